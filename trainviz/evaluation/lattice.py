"""The nested lattices on which a grid is refined, and interpolation between their points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float32Array, IndexArray, Int32Array
from trainviz._common.jit import ready
from trainviz.evaluation.kernels import by_level, fill_at, fill_lattice

__all__ = ["Lattice"]


class Lattice:
    """Nested lattices of a grid, from a coarse one down to every grid point.

    Each level halves the intervals of the one before. A grid whose sides are
    no multiple of the coarse stride has intervals of nearly that length, and
    halves of nearly equal length, so that no point outside the grid is needed.
    A *place* is an index along an axis of the finest level; :attr:`rows` and
    :attr:`columns` map places to grid lines. Where an interval is too short to
    be halved, two places are the same grid line.

    Parameters
    ----------
    shape : tuple of int
        ``(H, W)`` of the grid.
    stride : int
        Grid points per interval of the coarse lattice; a power of two.

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
        self.line_levels = tuple(_first_levels(at, self.levels) for at in (self.rows, self.columns))
        self.steps = [_steps(axis, self.levels) for axis in (self.rows, self.columns)]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, shape: tuple[int, int]) -> Lattice:
        """Return a grid's lattice: a stride of at most 32, and eight intervals on the short side.

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
    def cells(self) -> tuple[IndexArray, IndexArray]:
        """The places of the lower corner of every coarse cell."""
        y, x = np.indices((len(self.rows) // self.stride, len(self.columns) // self.stride))
        return y.ravel() * self.stride, x.ravel() * self.stride

    def fill(
        self, points: IndexArray, values: Float32Array, *, normalised: bool = False
    ) -> Float32Array:
        """Interpolate values at some grid points over the whole grid, level by level.

        Parameters
        ----------
        points : ndarray of int, shape (n,)
            Flat grid indices, among them the whole coarse lattice.
        values : ndarray of float32, shape (n, C)
        normalised : bool, default False
            Turn log-probabilities into probabilities that sum to 1.

        Returns
        -------
        ndarray of float32, shape (C, H, W)
            The given values at the points, elsewhere the bilinear interpolation
            between the surrounding points of the level before.
        """
        ordered, ends = np.empty(len(points), np.uintp), np.empty(self.levels + 1, np.intp)
        by_class = np.empty(values.shape[::-1], np.float32)
        by_level(ready(points, np.intp), ready(values), self.line_levels, ordered, ends, by_class)
        return self.fill_ordered(ordered, ends, by_class, normalised=normalised)

    def fill_ordered(
        self,
        points: npt.NDArray[np.uintp],
        ends: IndexArray,
        values: Float32Array,
        *,
        normalised: bool = False,
    ) -> Float32Array:
        """Interpolate as :meth:`fill` does, from points that are ordered by level.

        Parameters
        ----------
        points : ndarray of int, shape (n,)
            Ascending within each level.
        ends : ndarray of int
            Where each level ends among them.
        values : ndarray of float32, shape (C, n)
        normalised : bool, default False

        Returns
        -------
        ndarray of float32, shape (C, H, W)
        """
        filled = np.empty((len(values), *self.shape), dtype=np.float32)
        fill_lattice(ready(values), points, ends, *self.steps, normalised, filled)
        return filled

    def fill_at(self, slots: Int32Array, values: Float32Array, wanted: IndexArray) -> Float32Array:
        """Return what :meth:`fill` returns, but at some grid points alone.

        Parameters
        ----------
        slots : ndarray of int32, shape (H * W,)
            The row of each grid point in ``values``; -1 where there is none.
        values : ndarray of float32, shape (n, C)
        wanted : ndarray of int, shape (m,)
            Flat grid indices.

        Returns
        -------
        ndarray of float32, shape (C, m)
        """
        filled = np.empty((values.shape[1], len(wanted)), np.float32)
        lines = self.rows, self.columns
        fill_at(ready(values), slots, lines, self.stride, ready(wanted, np.intp), filled)
        return filled

    def order(self, points: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the indices that sort points by level, and where each level ends among them."""
        levels = self.first_levels(points)
        order = np.argsort(levels, kind="stable")
        ends: IndexArray = np.searchsorted(levels[order], np.arange(self.levels + 1), side="right")
        return order, ends

    def first_levels(self, points: IndexArray) -> IndexArray:
        """Return the level at which each point, a flat grid index, appears first."""
        row, column = np.divmod(points, self.shape[1])
        row_level, column_level = self.line_levels
        levels: IndexArray = np.maximum(row_level[row], column_level[column])
        return levels


def _places(n: int, stride: int) -> IndexArray:
    cells = max(1, -(-(n - 1) // stride))
    # In integers, so that a decoder in another language finds the same lines.
    lines = (2 * np.arange(cells + 1) * (n - 1) + cells) // (2 * cells)
    while stride > 1:
        finer = np.empty(2 * len(lines) - 1, dtype=np.intp)
        finer[::2] = lines
        finer[1::2] = (lines[:-1] + lines[1:]) // 2
        lines, stride = finer, stride // 2
    return lines


def _first_levels(lines: IndexArray, levels: int) -> IndexArray:
    """Return the level at which each grid line appears first."""
    level = np.full(lines[-1] + 1, levels, dtype=np.intp)
    for depth in range(levels, -1, -1):
        level[lines[:: 1 << (levels - depth)]] = depth
    return level


def _steps(
    lines: IndexArray, levels: int
) -> tuple[npt.NDArray[np.uintp], IndexArray, npt.NDArray[np.uintp], Float32Array, IndexArray]:
    """Return one axis's lines and weights for :func:`trainviz.evaluation.kernels.fill_lattice`.

    Returns
    -------
    lines, lines_ends
        The grid lines of each level, ascending, level after level; those of
        level d end at ``lines_ends[d + 1]``.
    steps : ndarray of int, shape (n, 3)
        Each line that is new on a level, and the two around it.
    shares : ndarray of float32, shape (n,)
        The new line's position between the two, from 0 to 1.
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
