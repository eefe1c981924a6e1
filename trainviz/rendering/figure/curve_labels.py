"""Names of curves beside the curves: where no curve and no other name is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NamePlace", "Sheet"]

_GAP = 2
"""Pixels between a name and its curve."""

_EDGE = 4
"""Pixels that stay free between names and the edges of the axes."""


@dataclass(frozen=True)
class NamePlace:
    """Where the lower left corner of a name is, in pixels from that of the axes.

    Attributes
    ----------
    x, y : int
    crossed : int
        How many pixels of curves it lies on.
    """

    x: int
    y: int
    crossed: int


class Sheet:
    """The pixels of axes that curves and names take.

    Parameters
    ----------
    width, height : int
        Of the axes.
    curves : sequence of ndarray, shape (n, 2)
        In pixels from the lower left corner, ascending in x.
    thickness : int, default 2
        Of the curves.

    Examples
    --------
    >>> sheet = Sheet(100, 50, [np.array([[0, 10], [100, 10]])])
    >>> sheet.beside(0, 30, 8)
    NamePlace(x=66, y=12, crossed=0)
    >>> sheet.beside(0, 30, 8)
    NamePlace(x=66, y=0, crossed=0)
    """

    def __init__(
        self,
        width: int,
        height: int,
        curves: Sequence[npt.NDArray[np.float64]],
        thickness: int = 2,
    ) -> None:
        self._size = width, height
        self._spans = [_span(curve, width) for curve in curves]
        self._drawn = np.zeros((height, width), dtype=bool)
        self._named = np.zeros((height, width), dtype=bool)
        rows = np.arange(height)[:, None]
        for low, high in self._spans:
            self._drawn |= (rows >= low - thickness / 2) & (rows <= high + thickness / 2)

    def beside(self, curve: int, width: int, height: int) -> NamePlace | None:
        """Take the best place for the name of a curve: above or below it, near its right end.

        None if names take all the room there is.
        """
        low, high = self._spans[curve]
        found: list[tuple[float, NamePlace]] = []
        step = max(1, width // 8)
        for x in range(self._size[0] - _EDGE - width, _EDGE - 1, -step):
            part = slice(x, x + width)
            if np.isnan(low[part]).all():
                continue
            above, below = np.nanmax(high[part]) + _GAP, np.nanmin(low[part]) - _GAP - height
            for y in (int(np.ceil(above)), int(np.floor(below))):
                place = self._look(x, y, width, height)
                if place is not None:
                    away = (self._size[0] - x - width) / self._size[0]
                    found.append((10 * place.crossed + 20 * away, place))
        return self._take(found, width, height)

    def at(self, x: float, width: int, height: int) -> NamePlace | None:
        """Take the best place for a name at a vertical line: right or left of it, above first."""
        found = []
        for left in (int(x) + 2 * _GAP, int(x) - 2 * _GAP - width):
            for rank, y in enumerate(range(self._size[1] - height - 1, -1, -max(1, height // 2))):
                place = self._look(left, y, width, height)
                if place is not None:
                    found.append((place.crossed + rank, place))
        return self._take(found, width, height)

    def _look(self, x: int, y: int, width: int, height: int) -> NamePlace | None:
        if x < 0 or y < 0 or x + width > self._size[0] or y + height > self._size[1]:
            return None
        part = slice(y, y + height), slice(x, x + width)
        if self._named[part].any():
            return None
        return NamePlace(x, y, int(self._drawn[part].sum()))

    def _take(
        self, found: Sequence[tuple[float, NamePlace]], width: int, height: int
    ) -> NamePlace | None:
        if not found:
            return None
        place = min(found, key=lambda each: each[0])[1]
        self._named[place.y : place.y + height, place.x : place.x + width] = True
        return place


def _span(
    curve: npt.NDArray[np.float64], width: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the lowest and the highest point of a curve in every column, NaN where it is not."""
    x, y = curve[:, 0], curve[:, 1]
    edges = np.interp(np.arange(width + 1), x, y, left=np.nan, right=np.nan)
    low, high = np.fmin(edges[:-1], edges[1:]), np.fmax(edges[:-1], edges[1:])
    columns = np.clip(x.astype(np.intp), 0, width - 1)
    np.fmin.at(low, columns, y)
    np.fmax.at(high, columns, y)
    return low, high
