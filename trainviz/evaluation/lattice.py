"""The nested lattices on which a grid is refined, and the map between their points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trainviz._common import jit
from trainviz.evaluation.kernels import fill_lattice

__all__ = ["Lattice", "fill_between"]

Values = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
Places = npt.NDArray[np.uintp]


class Lattice:
    """Nested lattices of a grid, from a coarse one down to every grid point.

    Each level halves the intervals of the one before. A grid whose sides are
    no multiple of the coarse stride has intervals of nearly that length, and
    halves of nearly equal length, so that no point outside the grid is needed:
    on an axis, a *place* counts the halves, and :attr:`rows` (or
    :attr:`columns`) tells which grid line it is. Where an interval cannot be
    halved any more, two places are the same grid line.

    Parameters
    ----------
    shape : tuple of int
        ``(H, W)`` of the grid.
    stride : int
        Of the coarse lattice; a power of two.

    Attributes
    ----------
    stride : int
    levels : int
        How often the coarse intervals are halved.
    rows, columns : ndarray of int
        The grid line of every place of the finest level.

    Examples
    --------
    >>> lattice = Lattice((5, 7), 4)
    >>> lattice.rows, lattice.columns
    (array([0, 1, 2, 3, 4]), array([0, 0, 1, 2, 3, 3, 4, 5, 6]))
    """

    def __init__(self, shape: tuple[int, int], stride: int) -> None:
        self.shape = shape
        self.stride = stride
        self.levels = stride.bit_length() - 1
        self.rows = _places(shape[0], stride)
        self.columns = _places(shape[1], stride)
        self._first = tuple(_first_places(at, self.levels) for at in (self.rows, self.columns))
        by_level = [
            (self.rows[:: stride >> depth], self.columns[:: stride >> depth])
            for depth in range(self.levels + 1)
        ]
        self._level_shapes = [(len(rows), len(columns)) for rows, columns in by_level]
        self._level_shares = [(_shares(rows), _shares(columns)) for rows, columns in by_level[1:]]
        self._steps = [_steps(axis, self.levels) for axis in (self.rows, self.columns)]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, shape: tuple[int, int]) -> Lattice:
        """Return the lattice for a grid: coarse, but with eight intervals along its short side.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        Lattice
        """
        stride = 32
        while stride > 2 and (min(shape) - 1) < 8 * stride:
            stride //= 2
        return cls(shape, stride)

    @property
    def cells(self) -> tuple[Index, Index]:
        """The places of the lower corner of every coarse cell."""
        y, x = np.indices((len(self.rows) // self.stride, len(self.columns) // self.stride))
        return y.ravel() * self.stride, x.ravel() * self.stride

    def fill(self, points: Index, values: Values) -> Values:
        """Interpolate values at some grid points over the whole grid, level by level.

        Parameters
        ----------
        points : ndarray of int, shape (n,)
            Flat grid indices, among them the whole coarse lattice.
        values : ndarray of float32, shape (n, C)

        Returns
        -------
        ndarray of float32, shape (C, H, W)
            The values at the points, and between the points of a level the
            bilinear interpolation of those around.
        """
        if jit.available():
            return self._filled(points, values)
        places, known = self._by_level(points), np.ascontiguousarray(values.T)
        planes = [np.empty(shape, dtype=np.float32) for shape in self._level_shapes]
        filled = np.empty((len(known), *self.shape), dtype=np.float32)
        # Class by class, so that what is worked on stays in the processor's cache.
        for row, target in zip(known, filled, strict=True):
            for depth, (plane, (which, where)) in enumerate(zip(planes, places, strict=True)):
                if depth:
                    fill_between(planes[depth - 1], *self._level_shares[depth - 1], out=plane)
                plane.reshape(-1)[where] = row.take(which)
            self._pick(planes[-1], target)
        return filled

    def _filled(self, points: Index, values: Values) -> Values:
        levels = self.first_levels(points)
        order = np.argsort(levels, kind="stable")
        ends = np.searchsorted(levels[order], np.arange(self.levels + 1), side="right")
        filled = np.empty((values.shape[1], *self.shape), dtype=np.float32)
        fill_lattice(values[order], points[order].astype(np.uintp), ends, *self._steps, filled)
        return filled

    def first_levels(self, points: Index) -> Index:
        """Return the level at which each point, a flat grid index, appears first."""
        row, column = np.divmod(points, self.shape[1])
        (row_level, _), (column_level, _) = self._first
        levels: Index = np.maximum(row_level[row], column_level[column])
        return levels

    def _by_level(self, points: Index) -> list[tuple[Index, Index]]:
        """Return of every level which points appear first there, and their flat places."""
        row, column = np.divmod(points, self.shape[1])
        (_, row_place), (_, column_place) = self._first
        level, y, x = self.first_levels(points), row_place[row], column_place[column]
        placed = []
        for depth, (_, width) in enumerate(self._level_shapes):
            which, stride = np.flatnonzero(level == depth), self.stride >> depth
            placed.append((which, y[which] // stride * width + x[which] // stride))
        return placed

    def _pick(self, places: Values, target: Values) -> None:
        """Leave out the places that are the same grid line as another."""
        (_, rows), (_, columns) = self._first
        if len(self.rows) > self.shape[0]:
            places = places.take(rows, axis=0)
        if len(self.columns) > self.shape[1]:
            places = places.take(columns, axis=1)
        target[:] = places


def fill_between(
    values: Values, row_shares: Values, column_shares: Values, out: Values | None = None
) -> Values:
    """Put a value between each two neighbours, along both axes.

    Parameters
    ----------
    values : ndarray of float32, shape (h, w)
    row_shares, column_shares : ndarray of float32, shape (h - 1,) and (w - 1,)
        How far along its interval each new line lies.
    out : ndarray of float32, optional
        Where to write.

    Returns
    -------
    ndarray of float32, shape (2 * h - 1, 2 * w - 1)

    Examples
    --------
    >>> half = np.array([0.5], dtype=np.float32)
    >>> fill_between(np.array([[0, 2], [4, 6]], dtype=np.float32), half, half)
    array([[0., 1., 2.],
           [2., 3., 4.],
           [4., 5., 6.]], dtype=float32)
    """
    height, width = values.shape
    finer = np.empty((2 * height - 1, 2 * width - 1), dtype=np.float32) if out is None else out
    finer[::2, ::2] = values
    step = values[:, 1:] - values[:, :-1]
    step *= column_shares
    step += values[:, :-1]
    finer[::2, 1::2] = step
    lower = finer[:-1:2]
    climb = finer[2::2] - lower
    climb *= row_shares[:, None]
    climb += lower
    finer[1::2] = climb
    return finer


def _places(n: int, stride: int) -> Index:
    cells = max(1, -(-(n - 1) // stride))
    lines = np.rint(np.linspace(0, n - 1, cells + 1)).astype(np.intp)
    while stride > 1:
        finer = np.empty(2 * len(lines) - 1, dtype=np.intp)
        finer[::2] = lines
        finer[1::2] = (lines[:-1] + lines[1:]) // 2
        lines, stride = finer, stride // 2
    return lines


def _first_places(lines: Index, levels: int) -> tuple[Index, Index]:
    """Return the level at which each grid line appears first, and its place there."""
    level = np.full(lines[-1] + 1, -1, dtype=np.intp)
    place = np.zeros(lines[-1] + 1, dtype=np.intp)
    for depth in range(levels + 1):
        stride = 1 << (levels - depth)
        seen = np.arange(0, len(lines), stride)
        new = seen[level[lines[seen]] < 0][::-1]
        level[lines[new]] = depth
        place[lines[new]] = new
    return level, place


def _shares(lines: Index) -> Values:
    length = np.maximum(lines[2::2] - lines[:-2:2], 1)
    shares: Values = ((lines[1::2] - lines[:-2:2]) / length).astype(np.float32)
    return shares


def _steps(lines: Index, levels: int) -> tuple[Places, Index, Places, Values, Index]:
    """Return what :func:`trainviz.evaluation.kernels.fill_lattice` goes along on an axis.

    Returns
    -------
    lines, lines_ends
        The grid lines of each level, ascending, level after level; those of
        level d end at ``lines_ends[d + 1]``.
    steps : ndarray of int, shape (n, 3)
        Of each line that is new on a level: it, and the two around it.
    shares : ndarray of float32, shape (n,)
        How far it lies from the first of these to the second.
    ends
        Where the new lines of each level end.
    """
    there, steps = [np.unique(lines[:: 1 << levels])], []
    for depth in range(1, levels + 1):
        places = lines[:: 1 << (levels - depth)]
        new = np.stack([places[1::2], places[:-2:2], places[2::2]], axis=1)
        steps.append(new[new[:, 0] != new[:, 1]])
        there.append(np.unique(places))
    every = np.concatenate(steps) if steps else np.empty((0, 3), np.intp)
    line, before, after = every.T
    shares = ((line - before) / np.maximum(after - before, 1)).astype(np.float32)
    ends = np.cumsum([0, *map(len, steps)])
    there_ends = np.cumsum([0, *map(len, there)])
    # Unsigned, so that Numba skips the check for negative indices.
    return np.concatenate(there).astype(np.uintp), there_ends, every.astype(np.uintp), shares, ends
