"""Resample a map from its grid to the pixels of a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Map
from trainviz._common.jit import ready
from trainviz.rendering.kernels import resample

__all__ = ["Resampler"]


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

    def __call__(self, probabilities: Map) -> Map:
        """Return the map at the pixels' centres, shape (C, h, w)."""
        shape = (len(probabilities), *self._shape)
        picture = self._spare.pop() if self._spare else np.empty(shape, dtype=np.float32)
        if picture.shape != shape:
            picture = np.empty(shape, dtype=np.float32)
        resample(ready(probabilities), *self._where, picture)
        return picture

    def reuse(self, picture: Map) -> None:
        """Overwrite a map that it has returned with that of a later call.

        New memory takes several times as long as the arithmetic, since the system
        clears it page by page.
        """
        self._spare = [picture]


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
