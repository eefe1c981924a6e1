"""The quadtree of a map under evaluation: which cells are checked, split or left as leaves."""

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import BoolArray, Float32Array, IndexArray
from trainviz._common.jit import ready
from trainviz.evaluation.answers import Answers
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.quadtree_kernels import (
    EDGED,
    FOUND,
    LEAF,
    LOOK,
    SPLIT,
    SPLIT_ALWAYS,
    border_cells,
    cell_points,
    descend,
    quarters,
    wrong_at_edges,
)

__all__ = ["EDGED", "FOUND", "LEAF", "LOOK", "SPLIT", "SPLIT_ALWAYS", "Quadtree"]


_CENTRE_SHARE = 0.5
"""How far a cell's centre may be from the interpolation between its corners, as a multiple of the
tolerance. The interpolation of a smooth function is worst near the centre; of one with a kink
along a side, ``max(0, t - x)`` with t from 0 to 1, the largest error is ``2 max(t, 1 - t)`` times
that at the centre, so at most twice."""

_EDGE_SHARE = 1.0
"""The same for a cell whose edges were evaluated too: its quarters are interpolated at half the
spacing, which divides the error by four where the function is smooth and keeps it about the same
in the worst case, a kink close to an evaluated point."""

_MIDDLES = np.array([1, 3, 5, 7])


class Quadtree:
    """Square cells of all levels, each identified by the place of its centre.

    No two cells have the same centre, and a centre's place tells how large the
    cell is: half its side is the lowest bit of the row (and of the column).

    Parameters
    ----------
    lattice : Lattice
    tolerance : float
        Allowed error of a probability.

    Attributes
    ----------
    state : ndarray of uint8
        The state bits of each cell, by place; see ``LEAF`` and the others.
    new_leaves : list of ndarray of int
        The cells that became leaves, until they are taken from it.
    """

    def __init__(self, lattice: Lattice, tolerance: float) -> None:
        self._starts, self._columns = lattice.rows * lattice.shape[1], lattice.columns
        self._largest = lattice.stride // 2
        self.shape = len(lattice.rows), len(lattice.columns)
        self.state = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        self.new_leaves: list[IndexArray] = []
        sizes = self._largest + 1
        self._places = (
            self._starts, self._columns, _shares(lattice.rows, sizes),
            _shares(lattice.columns, sizes),
        )  # fmt: skip
        self._tolerance = np.float32(tolerance)
        self._centre_limits = np.full(sizes, _CENTRE_SHARE * tolerance, np.float32)
        # The smallest cells have no point further from the corners than their centre.
        self._centre_limits[1] = tolerance
        self._edge_limits = np.full(sizes, _EDGE_SHARE * tolerance, np.float32)

    # Places.

    def which(self, bits: np.uint8) -> IndexArray:
        """Return the cells whose state has all of these bits."""
        return np.flatnonzero(self.state & bits == bits)

    def around(self, y: IndexArray, x: IndexArray, half: int) -> IndexArray:
        """Return the cells with half side ``half`` that contain places."""
        # The side is a power of two: its multiples are what its lower bits are taken from.
        cells: IndexArray = ((y & -2 * half) + half) * self.shape[1] + (x & -2 * half) + half
        return cells

    def halves(self, cells: IndexArray) -> IndexArray:
        """Return half the side of each cell."""
        y: IndexArray = cells // self.shape[1]
        return y & -y

    def quarters(self, cells: IndexArray) -> IndexArray:
        """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
        return quarters(cells, self.shape[1])

    def ancestors(self, cells: IndexArray) -> BoolArray:
        """Return a mask of all larger cells that contain one of these."""
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

    def around_all(self, y: IndexArray, x: IndexArray) -> IndexArray:
        """Return the cell of each size that contains places, from large to small, (sizes, n)."""
        halves = [self._largest >> depth for depth in range(self._largest.bit_length())]
        return np.stack([self.around(y, x, half) for half in halves])

    def take(self, leaves: IndexArray) -> IndexArray:
        """Return these leaves without duplicates, and clear their leaf bit."""
        leaves = np.unique(leaves)
        self.state[leaves] &= ~LEAF
        return leaves

    # Refining.

    def descend(
        self, centres: IndexArray, edged: IndexArray, answers: Answers
    ) -> tuple[IndexArray, IndexArray]:
        """Refine cells as far as points were fetched.

        Parameters
        ----------
        centres : ndarray of int
            Cells whose centres are to be checked, which decides whether they are leaves.
        edged : ndarray of int
            Cells whose centres are known, and whose edges are to be checked.
        answers : Answers

        Returns
        -------
        centres, edged : ndarray of int
            The cells that wait for a point that was not fetched.
        """
        *left, leaves, revealed = descend(
            ready(centres, np.intp), ready(edged, np.intp), self.state, answers.fetched,
            (answers.slots, answers.values, answers.odds), self._places,
            (self._centre_limits, self._edge_limits, self._tolerance),
        )  # fmt: skip
        self.new_leaves.append(leaves)
        answers.revealed.append(revealed)
        return left[0], left[1]

    def wrong_at_edges(
        self, beside: tuple[IndexArray, IndexArray], answers: Answers
    ) -> tuple[IndexArray, IndexArray]:
        """Return the unit squares where a leaf disagrees with a point that became known.

        Each point is compared once: leaves that become smaller agree with it at least as well.

        Parameters
        ----------
        beside : tuple of ndarray of int
            The places before and after each row and column of the grid.
        answers : Answers

        Returns
        -------
        y, x : ndarray of int
            Their lower places.
        """
        points = np.concatenate(answers.revealed)
        answers.revealed.clear()
        known = answers.slots, answers.values, answers.odds
        found = wrong_at_edges(points, self.state, known, self._places, beside, 2 * self._tolerance)
        y, x = np.divmod(found, self.shape[1])
        return y, x

    def border_cells(
        self, leaves: IndexArray, shift: float, answers: Answers
    ) -> tuple[IndexArray, IndexArray]:
        """Return the leaves at borders between classes that are to be checked, and to be split.

        Parameters
        ----------
        leaves : ndarray of int
            The leaves that are looked at.
        shift : float
            By how many grid points a border may be off.
        answers : Answers

        Returns
        -------
        waiting, shifted : ndarray of int
            The leaves whose centres are not known, and those in which the border is off.
        """
        known = answers.slots, answers.values, answers.odds
        found: tuple[IndexArray, IndexArray] = border_cells(
            leaves, self.state, known, self._places, shift
        )
        return found

    def wanted(self, centres: IndexArray, edged: IndexArray) -> IndexArray:
        """Return the points needed to check these centres and edges."""
        return np.concatenate([self.centres(centres), self._middles(edged).ravel()])

    def after(self, centres: IndexArray, edged: IndexArray) -> IndexArray:
        """Return the points that may be needed next: the quarters' centres, the cells' edges."""
        return self.wanted(self.quarters(edged[self.halves(edged) > 1]), centres)

    def centres(self, cells: IndexArray) -> IndexArray:
        """Return the flat grid index of each cell's centre."""
        y, x = np.divmod(cells, self.shape[1])
        centres: IndexArray = self._starts[y] + self._columns[x]
        return centres

    def _middles(self, cells: IndexArray) -> IndexArray:
        middles: IndexArray = self.nine(cells)[_MIDDLES]
        return middles


def _shares(lines: IndexArray, halves: int) -> Float32Array:
    """Return the centre's position in its cell, from 0 to 1, by half its side and lower place."""
    shares = np.zeros((halves, len(lines)), np.float32)
    for half in range(1, halves):
        start, centre, end = lines[: -2 * half], lines[half:-half], lines[2 * half :]
        shares[half, : len(start)] = (centre - start) / np.maximum(end - start, 1)
    return shares
