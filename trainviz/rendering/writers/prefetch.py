"""Paint frames in a thread, a few frames ahead of the encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread

from trainviz._common.arrays import Image
from trainviz.rendering.writers import FrameSource

__all__ = ["painted"]

_AHEAD = 8
"""The length of the queue: long enough for uneven painting times, short to save memory."""

_PATIENCE = 0.05
"""Seconds after which the waiting painter checks whether the writer has given up."""


@contextmanager
def painted(film: FrameSource, indices: Sequence[int] | None = None) -> Iterator[Iterator[Image]]:
    """Paint a film's frames in a thread while the block consumes them.

    Parameters
    ----------
    film : FrameSource
    indices : sequence of int, optional
        Which frames, in ascending order; default: all.

    Yields
    ------
    iterator of ndarray
        The frames. It raises the exceptions of the painting thread. The thread
        has ended when the block is left, also by an exception.
    """
    wanted = range(film.n_frames) if indices is None else indices
    queue: Queue[Image | BaseException] = Queue(_AHEAD)
    given_up = Event()
    painter = Thread(target=_paint, args=(film, wanted, queue, given_up), name="trainviz-painter")
    painter.start()
    try:
        yield _arriving(film, wanted, queue)
    finally:
        given_up.set()
        painter.join()


def _arriving(
    film: FrameSource, wanted: Sequence[int], queue: Queue[Image | BaseException]
) -> Iterator[Image]:
    told = 0
    for index in wanted:
        frame = queue.get()
        if isinstance(frame, BaseException):
            raise frame
        # Not in the thread, because the callback may draw a progress bar or use a GUI.
        told = _tell(film, told, index + 1)
        yield frame
    _tell(film, told, film.n_frames)


def _tell(film: FrameSource, start: int, stop: int) -> int:
    """Report frames as done, including those that are skipped."""
    for index in range(start, stop):
        film.told(index, film.n_frames)
    return stop


def _paint(
    film: FrameSource,
    wanted: Sequence[int],
    queue: Queue[Image | BaseException],
    given_up: Event,
) -> None:
    try:
        for frame in film.frames(wanted):
            if not _handed_over(frame, queue, given_up):
                return
    except BaseException as error:
        _handed_over(error, queue, given_up)


def _handed_over(
    thing: Image | BaseException, queue: Queue[Image | BaseException], given_up: Event
) -> bool:
    while not given_up.is_set():
        try:
            queue.put(thing, timeout=_PATIENCE)
        except Full:
            continue
        return True
    return False
