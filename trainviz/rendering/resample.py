"""From the grid of a map to the pixels of a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common import jit
from trainviz._common.arrays import Map
from trainviz.rendering.kernels import resample

__all__ = ["Resampler"]


class Resampler:
    """Bring a map from its grid to the pixels of a picture, bilinearly.

    The outer grid points lie on the edges of the picture, and a pixel shows
    the value at its centre. Row 0 of the result is the top of the picture.

    Parameters
    ----------
    grid : tuple of int
        ``(H, W)`` of the map.
    pixels : tuple of int
        ``(h, w)`` of the picture.

    Examples
    --------
    >>> ramp = np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
    >>> Resampler((2, 2), (1, 4))(ramp)
    array([[[0.125, 0.375, 0.625, 0.875]]], dtype=float32)
    """

    def __init__(self, grid: tuple[int, int], pixels: tuple[int, int]) -> None:
        self._rows, row_weights = _places(grid[0], pixels[0], reverse=True)
        self._columns, self._column_weights = _places(grid[1], pixels[1], reverse=False)
        self._row_weights = row_weights[:, None]
        # Unsigned, so that Numba skips the check for negative indices.
        self._unsigned = self._rows.astype(np.uintp), self._columns.astype(np.uintp)

    def __call__(self, probabilities: Map) -> Map:
        """Return the map at the pixels' centres, shape (C, h, w)."""
        shape = len(self._rows), len(self._columns)
        picture = np.empty((len(probabilities), *shape), dtype=np.float32)
        if jit.available():
            rows, columns = self._unsigned
            weights = self._row_weights[:, 0], self._column_weights
            values = jit.ready(probabilities)
            resample(values, rows, weights[0], columns, weights[1], picture)
            return picture
        rows = np.empty((2, len(self._rows), probabilities.shape[2]), dtype=np.float32)
        right = np.empty(shape, dtype=np.float32)
        # Class by class, so that what is worked on stays in the processor's cache.
        for plane, target in zip(probabilities, picture, strict=True):
            _gather(plane, self._rows, 0, rows[0], rows[1])
            _mix(rows[0], rows[1], self._row_weights)
            _gather(rows[0], self._columns, 1, target, right)
            _mix(target, right, self._column_weights)
        return picture


def _gather(values: Map, places: npt.NDArray[np.intp], axis: int, first: Map, second: Map) -> None:
    """Fetch what lies at the places, and what lies one further on."""
    # Without a mode that cannot fail, numpy would fetch into a copy first.
    np.take(values, places, axis=axis, out=first, mode="clip")
    np.take(values, places + 1, axis=axis, out=second, mode="clip")


def _mix(first: Map, second: Map, weights: npt.NDArray[np.float32]) -> None:
    second -= first
    second *= weights
    first += second


def _places(
    grid: int, pixels: int, *, reverse: bool
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    centres = (np.arange(pixels) + 0.5) / pixels * (grid - 1)
    if reverse:
        centres = centres[::-1]
    left = np.minimum(centres.astype(np.intp), grid - 2)
    return left, (centres - left).astype(np.float32)
