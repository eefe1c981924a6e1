"""Resample a map from its grid to the pixels of a picture."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import IndexArray, Map
from trainviz._common.jit import ready
from trainviz._common.output_kind import SUM_TOLERANCE
from trainviz.modes.kernels import PART_HEIGHT, PART_WIDTH, everywhere
from trainviz.rendering.kernels import find_likely, find_ranges, resample

__all__ = ["LikelyMap", "Resampler"]


class Resampler:
    """Resample a map from its grid to the pixels of a picture, bilinearly.

    The outer grid points lie on the edges of the picture, and a pixel shows
    the value at its centre. Row 0 of the result is the top of the picture.
    Nothing is interpolated from one band of a category to the next.

    Parameters
    ----------
    grid : tuple of int
        ``(H, W)`` of the map.
    pixels : tuple of int
        ``(h, w)`` of the picture.
    bands : tuple of (int or None), optional
        The numbers of categories along y and x, as :attr:`Domain.bands`.

    Examples
    --------
    >>> ramp = np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
    >>> Resampler((2, 2), (1, 4))(ramp)
    array([[[0.125, 0.375, 0.625, 0.875]]], dtype=float32)
    """

    def __init__(
        self,
        grid: tuple[int, int],
        pixels: tuple[int, int],
        bands: tuple[int | None, int | None] = (None, None),
    ) -> None:
        rows, row_weights = _places(grid[0], pixels[0], bands[0], reverse=True)
        columns, column_weights = _places(grid[1], pixels[1], bands[1], reverse=False)
        self._shape = len(rows), len(columns)
        self._where = rows, row_weights, columns, column_weights
        self._spare: list[Map] = []
        self._shrinks = grid[0] * grid[1] > 2 * pixels[0] * pixels[1]

    def __call__(self, probabilities: Map) -> Map:
        """Return the map at the pixels' centres, shape (C, h, w)."""
        picture = self._reused(len(probabilities), np.empty)
        resample(ready(probabilities), *self._where, everywhere(picture), picture)
        return picture

    def likely(self, probabilities: Map) -> LikelyMap:
        """Return the map of class probabilities at the pixels' centres, where it can matter."""
        if self._shrinks:
            # It is not kept, as it may be many times as large as the picture.
            picture = self(probabilities)
            rows, columns = map(_parts, self._shape, (PART_HEIGHT, PART_WIDTH))
            return LikelyMap(picture, *_ranges(picture, rows, columns))
        values, picture = ready(probabilities), self._reused(len(probabilities), _sparse)

        def add(wanted: npt.NDArray[np.bool_]) -> None:
            resample(values, *self._where, wanted, picture)

        return LikelyMap(picture, *_ranges(values, *self._parts_on_grid), add)

    def reuse(self, picture: Map | LikelyMap) -> None:
        """Overwrite a map that it has returned with that of a later call.

        New memory takes several times as long as the arithmetic, since the system
        clears it page by page.
        """
        self._spare = [picture.picture if isinstance(picture, LikelyMap) else picture]

    def _reused(self, n_classes: int, new: Callable[..., Map]) -> Map:
        shape = (n_classes, *self._shape)
        picture = self._spare.pop() if self._spare else new(shape, np.float32)
        return picture if picture.shape == shape else new(shape, np.float32)

    @cached_property
    def _parts_on_grid(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Where the parts of the picture, and two pixels around them, lie on the grid."""
        rows, _, columns, _ = self._where
        return _on_grid(rows, PART_HEIGHT), _on_grid(columns, PART_WIDTH)


def _ranges(values: Map, rows: IndexArray, columns: IndexArray) -> tuple[Map, Map]:
    """Return the lowest and the highest value of each class in parts of a map."""
    lowest = np.empty((len(rows), len(columns), len(values)), np.float32)
    highest = np.empty_like(lowest)
    find_ranges(values, rows, columns, lowest, highest)
    return lowest, highest


def _sparse(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Map:
    """Return a new array of which small parts will be written here and there.

    NumPy asks for huge pages for arrays of 4 MiB or more. The system clears each of them whole
    for its first byte, and may have to move other memory before it finds one.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < 2**22 or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.empty(shape, dtype)
    memory = mmap.mmap(-1, size)
    # A kernel without huge pages refuses.
    with suppress(OSError):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)


class LikelyMap:
    """A map at a picture's pixels, computed only for classes that may be the likeliest there.

    In a part of the picture, a class is the likeliest nowhere, and between no two maps, if
    another has more at all grid points around that part. Then it is not needed there, neither
    for a pixel's class nor for the border between two, which looks one pixel further.

    Parameters
    ----------
    picture : ndarray of float32, shape (C, h, w)
        Is written by ``add``.
    lowest, highest : ndarray of float32, shape (ceil(h / PART_HEIGHT), ceil(w / PART_WIDTH), C)
        The range of each class around each part.
    add : callable, optional
        Resamples classes in parts of the picture; default: all are known.

    Attributes
    ----------
    picture : ndarray of float32, shape (C, h, w)
        Anything where a class is not known.
    lowest, highest : ndarray
        As given.
    """

    def __init__(
        self,
        picture: Map,
        lowest: Map,
        highest: Map,
        add: Callable[[npt.NDArray[np.bool_]], None] | None = None,
    ) -> None:
        self.picture, self.lowest, self.highest = picture, lowest, highest
        self._resample = add
        self._known = np.full(lowest.shape, add is None)
        self._alone = _likely_between(self, self)
        self._add(self._alone)

    def beside(self, other: LikelyMap) -> npt.NDArray[np.bool_]:
        """Return which classes may be the likeliest between this map and another; both know them.

        Returns
        -------
        ndarray of bool, shape (ceil(h / PART_HEIGHT), ceil(w / PART_WIDTH), C)
        """
        if other is self:
            return self._alone
        likely = _likely_between(self, other)
        self._add(likely)
        other._add(likely)
        return likely

    def whole(self) -> Map:
        """Return the map with all classes, shape (C, h, w)."""
        self._add(np.ones_like(self._known))
        return self.picture

    def _add(self, wanted: npt.NDArray[np.bool_]) -> None:
        missing = wanted & ~self._known
        if self._resample is not None and missing.any():
            self._resample(missing)
            self._known |= missing


def _likely_between(one: LikelyMap, other: LikelyMap) -> npt.NDArray[np.bool_]:
    """Return which classes may be the likeliest in each part of some map between two."""
    likely = np.empty(one.lowest.shape, np.bool_)
    # The likeliest of C classes has at least 1/C, as they sum to 1.
    least = np.float32((1 - 2 * SUM_TOLERANCE) / one.lowest.shape[2])
    find_likely(one.lowest, one.highest, other.lowest, other.highest, least, likely)
    return likely


_NEAR = 2
"""How many pixels from the edge of a part a class is looked for: a border is antialiased by the
values in the neighbours of a pixel, of the classes of its neighbours."""


def _parts(pixels: int, size: int) -> IndexArray:
    """Return where each group of ``size`` pixels begins and ends, shape (n, 2)."""
    starts = np.arange(0, pixels, size)
    return np.stack([starts, np.minimum(starts + size, pixels)], axis=1)


def _on_grid(places: npt.NDArray[np.uintp], size: int) -> IndexArray:
    """Return the grid lines, first and behind the last, around each group of ``size`` pixels."""
    found = []
    for start, stop in _parts(len(places), size):
        around = places[max(start - _NEAR, 0) : stop + _NEAR].astype(np.intp)
        found.append((around.min(), around.max() + 2))
    return np.array(found)


def _places(
    grid: int, pixels: int, bands: int | None, *, reverse: bool
) -> tuple[npt.NDArray[np.uintp], npt.NDArray[np.float32]]:
    shares = (np.arange(pixels) + 0.5) / pixels
    centres = shares * (grid - 1)
    if bands:
        first = (shares * bands).astype(np.intp) * (grid // bands)
        centres = centres.clip(first, first + grid // bands - 1)
    if reverse:
        centres = centres[::-1]
    left = np.minimum(centres.astype(np.intp), grid - 2)
    # Unsigned, so that Numba skips the check for negative indices.
    return ready(left, np.uintp), ready(centres - left)
