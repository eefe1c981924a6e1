"""Frames of a film made by several processes."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import wait as ended
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, NamedTuple

import numpy as np

from trainviz._common.arrays import Image
from trainviz.errors import WriterError

__all__ = ["made_by_processes"]

MakeFrames = Callable[[Sequence[int]], Iterator[Image]]

_CHUNK_BYTES = 16_000_000
"""The size of a chunk: consecutive frames for one process, so that few snapshots are read twice."""

_WAITING = 2
"""Chunks per process: one is made while the other is written."""


@contextmanager
def made_by_processes(
    make_frames: MakeFrames, shape: tuple[int, int], jobs: int
) -> Iterator[MakeFrames]:
    """Distribute the frames that a function makes over several processes.

    On Linux processes are forked, and so share the memory of this one, such as
    a recording. Elsewhere the function is pickled.

    Parameters
    ----------
    make_frames : callable
        ``indices -> iterator`` of ``(height, width, 3)`` frames.
    shape : tuple of int
        ``(height, width)``.
    jobs : int
        How many processes; with 1, ``make_frames`` itself is yielded.

    Yields
    ------
    callable
        Returns the same frames in the same order as ``make_frames``.

    Raises
    ------
    ValueError
        If ``jobs`` is not an integer of at least 1.
    WriterError
        By the iterator, if a process ends prematurely. Exceptions that are
        raised in a process are raised again by the iterator.
    """
    if isinstance(jobs, bool) or not hasattr(jobs, "__index__") or jobs < 1:
        raise ValueError(f"jobs={jobs!r}: expected how many processes, at least 1")
    if jobs == 1:
        yield make_frames
        return
    forks = sys.platform == "linux"
    chunk = max(1, _CHUNK_BYTES // (3 * shape[0] * shape[1]))
    slots = _shared((_WAITING * jobs, chunk, *shape, 3)) if forks else None
    context = multiprocessing.get_context("fork" if forks else "spawn")
    pool = ProcessPoolExecutor(jobs, context, _start, (make_frames, slots))
    try:
        # Fork now, before the writer starts threads whose locks the processes would inherit.
        pool.submit(int).result()
        yield lambda indices: _gathered(pool, indices, slots, chunk, _WAITING * jobs)
    finally:
        pool.shutdown(cancel_futures=True)


class _Task(NamedTuple):
    slot: int
    indices: Sequence[int]


def _shared(shape: tuple[int, ...]) -> Image:
    """Return an array in shared memory, for this process and those forked from it."""
    return np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), dtype=np.uint8).reshape(shape)


def _gathered(
    pool: ProcessPoolExecutor, indices: Sequence[int], slots: Image | None, chunk: int, ahead: int
) -> Iterator[Image]:
    parts = [indices[start : start + chunk] for start in range(0, len(indices), chunk)]
    tasks = (_Task(number % ahead, part) for number, part in enumerate(parts))
    under_way: deque[tuple[_Task, Future[Any]]] = deque()
    try:
        for _ in range(ahead):
            _submit_next(pool, tasks, under_way)
        while under_way:
            task, future = under_way.popleft()
            made = future.result()
            frames = made if slots is None else slots[task.slot, : len(task.indices)]
            for frame in frames:
                yield frame.copy()
            _submit_next(pool, tasks, under_way)
    except BrokenProcessPool as error:
        raise WriterError(
            "a process that made frames ended before its time, perhaps for want of memory; "
            "jobs=1 needs the least"
        ) from error
    finally:
        for _, future in under_way:
            future.cancel()
        # One that is running writes into a slot that the next painting would use.
        ended([future for _, future in under_way])


def _submit_next(
    pool: ProcessPoolExecutor,
    tasks: Iterator[_Task],
    under_way: deque[tuple[_Task, Future[Any]]],
) -> None:
    task = next(tasks, None)
    if task is not None:
        under_way.append((task, pool.submit(_make, task)))


_in_process: dict[str, Any] = {}
"""The arguments of ``_start``, in a worker process."""


def _start(make_frames: MakeFrames, slots: Image | None) -> None:
    # Ctrl-C signals all processes; workers ignore it, since the parent shuts them down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _in_process.update(make_frames=make_frames, slots=slots)


def _end_with_parent() -> None:
    # A parent that is killed shuts nothing down, and the workers hold one another's pipes open.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _make(task: _Task) -> Image | None:
    frames, slots = _in_process["make_frames"](task.indices), _in_process["slots"]
    if slots is None:
        return np.stack(list(frames))
    for place, frame in zip(slots[task.slot], frames, strict=False):
        place[:] = frame
    return None
