"""Paint the map of a recording at a moment, by a mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Any

import numpy as np

from trainviz._common.arrays import Image, Map
from trainviz._common.output_kind import OutputKind
from trainviz.modes.base import Contour, Mode
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.figure.contour_lines import ContourLines
from trainviz.rendering.interpolation import Blender, Interpolation
from trainviz.rendering.resample import Resampler

__all__ = ["Painter", "map_reader", "require_output"]


class Painter:
    """Paint the moments of a recording; snapshots are cached, so none is read twice in a row.

    Parameters
    ----------
    recording : Recording
    mode : Mode
        The result of :meth:`Mode.bound` for the recording.
    interpolation : {"linear", "geometric", "smooth"}, default "linear"
    resampler : Resampler, optional
        Resamples a map to the picture's pixels; by default a grid point is a pixel.
    contour_lines : ContourLines, optional
        Draws the mode's contour lines into the pictures.
    reader : Executor, optional
        Reads the next snapshot while one is painted; for films.

    Examples
    --------
    >>> import trainviz as tv
    >>> from trainviz.modes import find_mode
    >>> mode = find_mode("region").bound(2, tv.Palette.of(2))
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
    >>> _ = recorder.capture(lambda X: X[:, :1], epoch=0)
    >>> Painter(recorder.recording, mode)(Moment(0, 0)).shape
    (5, 5, 3)
    """

    def __init__(
        self,
        recording: Recording,
        mode: Mode,
        interpolation: Interpolation = "linear",
        resampler: Resampler | None = None,
        contour_lines: ContourLines | None = None,
        *,
        reader: Executor | None = None,
    ) -> None:
        self._executor = reader
        self._mode = mode
        self._interpolation = interpolation
        self._resampler = resampler
        self._contour_lines = contour_lines
        beside = mode.beside(Moment(0, 0.0))
        self._paint_between = None if beside is not None else mode.between()
        # Other modes, and other interpolations, look at all classes.
        self._all_classes = (
            self._paint_between is None or interpolation != "linear" or resampler is None
        )
        read = self._reader(recording)
        self._blend_beside: Blender | None = None
        if beside is not None and beside.recording is recording:
            # Shared by the two blenders, which read the same recording one snapshot apart.
            read = lru_cache(maxsize=4)(read)
            self._blend_beside = self._blender(recording, read, shared=True)
        elif beside is not None:
            self._blend_beside = self._blender(beside.recording, self._reader(beside.recording))
        shared = beside is not None and beside.recording is recording
        self._blend = self._blender(recording, read, shared=shared)
        self._left = -1
        self._paint_pair: Callable[[np.float32], Image] | None = None

    def maps(self, moment: Moment) -> tuple[Map, ...]:
        """Return the map of a moment, and the one that the mode compares it with, if any."""
        found = self._mixed(moment)
        beside = self._mode.beside(moment)
        if beside is None or self._blend_beside is None:
            return (found,)
        return found, self._blend_beside(beside.moment)

    def contours(self, moment: Moment) -> Iterable[Contour]:
        """Return the quantities whose contour lines belong to a moment."""
        return self._mode.contours(*self.maps(moment))

    def __call__(self, moment: Moment) -> Image:
        """Paint a moment."""
        if self._paint_between is not None:
            first, second, weight = self._blend.pair(moment)
            if moment.left != self._left:
                # The maps of another pair may have been overwritten since.
                self._left, self._paint_pair = moment.left, None
            if weight == 0:
                return self._between(first, first)(weight)
            if self._paint_pair is None:
                self._paint_pair = self._between(first, second)
            return self._paint_pair(weight)
        maps = self.maps(moment)
        picture = self._mode.paint(*maps)
        if self._contour_lines is not None:
            self._contour_lines.draw(picture, self._mode.contours(*maps))
        return picture

    def _mixed(self, moment: Moment) -> Map:
        """Return the map of a moment, all classes of it."""
        if self._all_classes:
            return self._blend(moment)
        pair: Any = self._blend.pair(moment)
        first, second = (found.whole() for found in pair[:2])
        mixed: Map = first if pair[2] == 0 else (second - first) * pair[2] + first
        return mixed

    def _between(self, first: Any, second: Any) -> Callable[[np.float32], Image]:
        assert self._paint_between is not None
        if not self._all_classes:
            return self._paint_between(first.picture, second.picture, first.beside(second))
        return self._paint_between(first, second)

    def _blender(
        self, recording: Recording, read: Callable[[int], Map], *, shared: bool = False
    ) -> Blender:
        return Blender(
            read, len(recording), self._interpolation, normalise=recording.output.has_classes,
            released=None if shared or self._resampler is None else self._resampler.reuse,
        )  # fmt: skip

    def _reader(self, recording: Recording) -> Callable[[int], Any]:
        resampler = self._resampler

        read = map_reader(recording, self._executor)
        if resampler is None:
            return read
        # Resampled by the thread that paints, as unpacking takes the longer part.
        resample = resampler if self._all_classes else resampler.likely
        return lambda index: resample(read(index))


def map_reader(recording: Recording, reader: Executor | None = None) -> Callable[[int], Map]:
    """Return a function that reads a recording's maps; with a ``reader``, it reads some ahead."""

    def read(index: int) -> Map:
        return recording[index].probabilities

    if reader is None:
        return read
    each = 4 * len(recording.class_names) * math.prod(recording.domain.shape)
    return _ReadAhead(read, len(recording), reader, max(1, min(_AHEAD, _AHEAD_BYTES // each)))


class _ReadAhead:
    """Read one map after another, each while those before it are painted.

    Parameters
    ----------
    read : callable
        ``index -> map``.
    count : int
        How many maps there are.
    reader : Executor
    ahead : int
        How many maps may be waiting to be painted.
    """

    def __init__(
        self, read: Callable[[int], Map], count: int, reader: Executor, ahead: int
    ) -> None:
        self._read, self._count, self._reader = read, count, reader
        self._ahead, self._last = ahead, -2
        self._coming: dict[int, Future[Map]] = {}

    def __call__(self, index: int) -> Map:
        """Return a map; if the one before it was asked for last, begin to read the next ones."""
        coming = self._coming.pop(index, None)
        found = self._read(index) if coming is None else coming.result()
        follows, self._last = index == self._last + 1, index
        wanted = range(index + 1, min(index + 1 + self._ahead, self._count)) if follows else ()
        self._coming = {
            each: self._coming.get(each) or self._reader.submit(self._read, each) for each in wanted
        }
        return found


_AHEAD, _AHEAD_BYTES = 3, 2**26
"""How many maps are read ahead: enough for uneven times, and no more than fit in so many bytes."""


def require_output(mode: Mode, recording: Recording) -> None:
    """Raise if a mode cannot show a recording's kind of output.

    Raises
    ------
    ValueError
        The message names the mode to use instead.
    """
    if recording.output in mode.outputs:
        return
    raise ValueError(
        f"mode={mode.name!r} shows {' or '.join(mode.outputs)}, but the recording holds "
        f"{recording.output}: use {_INSTEAD[recording.output]}"
    )


_INSTEAD = {
    OutputKind.PROBABILITIES: "mode='region', or another mode of class probabilities",
    OutputKind.VALUES: "mode='values'",
    OutputKind.MULTILABEL: "mode=trainviz.modes.Probability('name of a label'), and .panels() of "
    "that for all labels side by side",
}
