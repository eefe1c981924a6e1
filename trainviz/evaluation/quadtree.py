"""The quadtree of a map under evaluation: which cells are checked, split or left as leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import BoolArray, Float32Array, IndexArray
from trainviz._common.jit import ready
from trainviz.evaluation.answers import Answers
from trainviz.evaluation.cells import LEAF
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.leaf_checks import wrong_at_edges, wrong_seeds
from trainviz.evaluation.subdivision import descend, missing

__all__ = ["Quadtree"]

AnyArray = npt.NDArray[Any]

_CENTRE_SHARE = 0.5
"""How far a cell's centre may be from the interpolation between its corners, as a multiple of the
tolerance. The interpolation of a smooth function is worst near the centre; of one with a kink
along a side, ``max(0, t - x)`` with t from 0 to 1, the largest error is ``2 max(t, 1 - t)`` times
that at the centre, so at most twice."""

_EDGE_SHARE = 1.0
"""The same for a cell whose edges were evaluated too: its quarters are interpolated at half the
spacing, which divides the error by four where the function is smooth and keeps it about the same
in the worst case, a kink close to an evaluated point. If that is too much for the cell, it is
asked of each quarter, by the probabilities there."""

_BORDER_SHIFT = 0.125
"""How many grid points a border between two classes may be off at the centre of a cell: of a kink,
it is then off by a quarter at most. Of the smooth ones of the fitting half of
``benchmarks/models.py`` 0.005 % of the pixels get another class, for 0.6 % more of the points;
twice as much gives 0.010 % for 0.45 %."""


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
        The state bits of each cell, by place; see :mod:`trainviz.evaluation.cells`.
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
        centre_limits = np.full(sizes, _CENTRE_SHARE * tolerance, np.float32)
        # The smallest cells have no point further from the corners than their centre.
        centre_limits[1] = tolerance
        edge_limits = np.full(sizes, _EDGE_SHARE * tolerance, np.float32)
        self._limits = centre_limits, edge_limits, self._tolerance, _BORDER_SHIFT

    # Places.

    def which(self, bits: np.uint8) -> IndexArray:
        """Return the cells whose state has all of these bits."""
        return np.flatnonzero(self.state & bits == bits)

    def around(self, y: IndexArray, x: IndexArray, half: int) -> IndexArray:
        """Return the cells with half side ``half`` that contain places."""
        # The side is a power of two: its multiples are what its lower bits are taken from.
        cells: IndexArray = ((y & -2 * half) + half) * self.shape[1] + (x & -2 * half) + half
        return cells

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

    def descend(self, tasks: IndexArray, answers: Answers) -> IndexArray:
        """Check cells, and those that follow from it, as far as points were fetched.

        Parameters
        ----------
        tasks : ndarray of int, shape (n, 2)
            Cells, and what is to be checked of each.
        answers : Answers

        Returns
        -------
        ndarray of int, shape (m, 2)
            The tasks that wait for a point that was not fetched.
        """
        waiting: IndexArray = descend(
            tasks, self.state, answers.fetched,
            (answers.slots, answers.values, answers.odds), self._places, self._limits,
        )  # fmt: skip
        return waiting

    def missing(self, tasks: IndexArray, few: int, answers: Answers) -> IndexArray:
        """Return the points for which tasks wait; if they are few, with those that may be next."""
        points: IndexArray = missing(tasks, few, answers.fetched, self._places)
        return points

    def wrong_at_edges(self, answers: Answers) -> tuple[IndexArray, IndexArray]:
        """Return the unit squares where a leaf disagrees with a known point on its edge.

        Returns
        -------
        y, x : ndarray of int
            Their lower places.
        """
        known = answers.slots, answers.values, answers.odds
        found = wrong_at_edges(self.state, known, self._places, 2 * self._tolerance)
        y, x = np.divmod(found, self.shape[1])
        return y, x

    def wrong_seeds(
        self,
        rows: AnyArray,
        columns: AnyArray,
        values: Float32Array,
        cells: IndexArray,
        answers: Answers,
    ) -> IndexArray:
        """Return the leaf of each seed that disagrees with it; -1 where it agrees.

        Parameters
        ----------
        rows, columns : ndarray
            Their positions in grid units.
        values : ndarray of float32, shape (n, C)
            Their log-probabilities.
        cells : ndarray of int, shape (sizes, n)
            Those of :meth:`around_all`.
        answers : Answers
        """
        given = ready(rows, float), ready(columns, float), ready(values), ready(np.exp(values))
        known = answers.slots, answers.values, answers.odds
        leaves: IndexArray = wrong_seeds(
            given, cells, self.state, known, self._places, 2 * self._tolerance
        )
        return leaves


def _shares(lines: IndexArray, halves: int) -> Float32Array:
    """Return the centre's position in its cell, from 0 to 1, by half its side and lower place."""
    shares = np.zeros((halves, len(lines)), np.float32)
    for half in range(1, halves):
        start, centre, end = lines[: -2 * half], lines[half:-half], lines[2 * half :]
        shares[half, : len(start)] = (centre - start) / np.maximum(end - start, 1)
    return shares
