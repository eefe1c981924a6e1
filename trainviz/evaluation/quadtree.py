"""The quadtree of a map in the making: which of its cells are looked at, split or left."""

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import BoolArray, Float32Array, IndexArray
from trainviz._common.jit import ready
from trainviz.evaluation.answers import Answers
from trainviz.evaluation.kernels import (
    EDGED,
    FOUND,
    LEAF,
    LOOK,
    SPLIT,
    SPLIT_ALWAYS,
    cell_points,
    descend,
    quarters,
)
from trainviz.evaluation.lattice import Lattice

__all__ = ["EDGED", "FOUND", "LEAF", "LOOK", "SPLIT", "SPLIT_ALWAYS", "Quadtree"]


_CENTRE_SHARES = {1: 1.5, 2: 0.2, 4: 0.3, 8: 0.25, 16: 0.5}
"""Of the tolerance, by half a cell's side: how far its centre may lie from what its corners
foretell. A centre sees little of a bend that passes near an edge. Found by trial on the training
of a ReLU network, as few points as possible for an error of about 2.5 times the tolerance."""

_EDGE_SHARES = {1: 2.0, 2: 1.8, 4: 1.5, 8: 1.5, 16: 2.0}
_COARSE_EDGE_SHARE = 0.3
"""The same, for a cell whose edges were asked for too: it is drawn with half the spacing, so its
error is a fraction of the difference found. The few coarse cells hide most."""

_MIDDLES = np.array([1, 3, 5, 7])


class Quadtree:
    """Square cells of any level, each known by the place of its centre.

    No two cells have the same centre, and a centre's place tells how large the
    cell is: half its side is the lowest bit of the row (and of the column).

    Parameters
    ----------
    lattice : Lattice
    tolerance : float
        Of a probability.

    Attributes
    ----------
    state : ndarray of uint8
        By place: the sum of what is known of the cell.
    """

    def __init__(self, lattice: Lattice, tolerance: float) -> None:
        self._starts, self._columns = lattice.rows * lattice.shape[1], lattice.columns
        self._largest = lattice.stride // 2
        self.shape = len(lattice.rows), len(lattice.columns)
        self.state = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        sizes = self._largest + 1
        self._places = (
            self._starts, self._columns, _shares(lattice.rows, sizes),
            _shares(lattice.columns, sizes),
        )  # fmt: skip
        self._tolerance = np.float32(tolerance)
        self._centre_limits = _by_half(_CENTRE_SHARES, sizes) * self._tolerance
        self._edge_limits = _by_half(_EDGE_SHARES, sizes) * self._tolerance
        self._edge_limits[-1] = self._tolerance * np.float32(_COARSE_EDGE_SHARE)

    # Places.

    def which(self, bits: np.uint8) -> IndexArray:
        """Return the cells of which all these things are known."""
        return np.flatnonzero(self.state & bits == bits)

    def around(self, y: IndexArray, x: IndexArray, half: int) -> IndexArray:
        """Return the cells of a size around places."""
        side = 2 * half
        cells: IndexArray = (y // side * side + half) * self.shape[1] + x // side * side + half
        return cells

    def halves(self, cells: IndexArray) -> IndexArray:
        """Return half the side of each cell."""
        y: IndexArray = cells // self.shape[1]
        return y & -y

    def quarters(self, cells: IndexArray) -> IndexArray:
        """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
        return quarters(cells, self.shape[1])

    def ancestors(self, cells: IndexArray) -> BoolArray:
        """Mark every cell that one of these lies in, without being it."""
        inside = np.zeros(len(self.state), bool)
        y, x = np.divmod(cells, self.shape[1])
        half, size = y & -y, 2
        while size <= self._largest:
            smaller = half < size
            inside[self.around(y[smaller], x[smaller], size)] = True
            size *= 2
        return inside

    def nine(self, cells: IndexArray) -> IndexArray:
        """Return the flat grid indices of each cell's corners, edges and centre, shape (9, n)."""
        return cell_points(cells, self._places)

    def take(self, leaves: IndexArray) -> IndexArray:
        """Return these leaves, each once; they are leaves no more."""
        leaves = np.unique(leaves)
        self.state[leaves] &= ~LEAF
        return leaves

    # Refining.

    def descend(
        self, centres: IndexArray, edged: IndexArray, answers: Answers
    ) -> tuple[IndexArray, IndexArray]:
        """Refine cells as far as the answers go.

        Parameters
        ----------
        centres : ndarray of int
            Cells that are leaves unless their centres tell otherwise.
        edged : ndarray of int
            Cells whose centres are known, and whose edges are to be looked at.
        answers : Answers

        Returns
        -------
        centres, edged : ndarray of int
            The cells that wait for a point that was not asked for.
        """
        left: tuple[IndexArray, IndexArray] = descend(
            ready(centres, np.intp), ready(edged, np.intp), self.state, answers.fetched,
            (answers.slots, answers.values, answers.odds), self._places,
            (self._centre_limits, self._edge_limits, self._tolerance),
        )  # fmt: skip
        return left

    def wanted(self, centres: IndexArray, edged: IndexArray) -> IndexArray:
        """Return the points that such cells need."""
        return np.concatenate([self._centres(centres), self._middles(edged).ravel()])

    def after(self, centres: IndexArray, edged: IndexArray) -> IndexArray:
        """Return the points that the cells may need next."""
        return self.wanted(self.quarters(edged[self.halves(edged) > 1]), centres)

    def _centres(self, cells: IndexArray) -> IndexArray:
        y, x = np.divmod(cells, self.shape[1])
        centres: IndexArray = self._starts[y] + self._columns[x]
        return centres

    def _middles(self, cells: IndexArray) -> IndexArray:
        middles: IndexArray = self.nine(cells)[_MIDDLES]
        return middles


def _by_half(shares: dict[int, float], sizes: int) -> Float32Array:
    return np.array([shares.get(half, 0.0) for half in range(sizes)], np.float32)


def _shares(lines: IndexArray, halves: int) -> Float32Array:
    """Return how far along each cell its centre lies, by half its side and its lower place."""
    shares = np.zeros((halves, len(lines)), np.float32)
    for half in range(1, halves):
        start, centre, end = lines[: -2 * half], lines[half:-half], lines[2 * half :]
        shares[half, : len(start)] = (centre - start) / np.maximum(end - start, 1)
    return shares
