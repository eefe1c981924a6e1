"""Adaptive evaluation: ask the model only where the map is not what its surroundings foretell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.cells import Cells, Leaves
from trainviz.lattice import Lattice

__all__ = ["Refinement", "Seeds", "TooRough"]

Values = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Ask = Callable[[Index], Values]
Slots = npt.NDArray[np.int32]
Excess = npt.NDArray[np.float32]

_CENTRE_SHARES = {1: 1.0, 2: 0.15, 4: 0.3, 8: 0.35, 16: 0.5}
"""Of the tolerance, by half a cell's side: how far its centre may lie from what its corners
foretell. A centre sees little of a bend that passes near an edge. Found by trial on the training
of a ReLU network, as few points as possible for an error of about 2.5 times the tolerance."""

_EDGE_SHARES = {1: 2.0, 2: 1.5, 4: 2.0, 8: 2.0, 16: 2.0}
_COARSE_EDGE_SHARE = 0.3
"""The same, for a cell whose edges were asked for too: it is drawn with half the spacing, so its
error is a fraction of the difference found. The few coarse cells hide most."""

_ROUNDS = 24
"""How often neighbours are compared again, at most, after some were refined."""

_EDGES, _SPLIT = 1, 2
"""Marks of cells that are refined whatever their own values say."""

_NINE = np.divmod(np.arange(9), 3)
_LINES = np.array([[0, 6, 0, 2], [1, 7, 3, 5], [2, 8, 6, 8]])
"""Start, middle and end of a cell's four edges among its nine points."""


class TooRough(Exception):  # noqa: N818
    """More of the grid would have to be asked for than adaptive evaluation is worth."""


@dataclass
class Seeds:
    """Known values somewhere on the plane, that the map has to agree with.

    Attributes
    ----------
    rows, columns : ndarray of float64, shape (n,)
        Where they lie, in grid lines; all inside the grid.
    values : ndarray of float32, shape (n, C), or None
        Log-probabilities; None for grid points, which are asked for.
    """

    rows: npt.NDArray[np.float64 | np.intp]
    columns: npt.NDArray[np.float64 | np.intp]
    values: Values | None = None


class Refinement:
    """A quadtree over a grid, refined where log-probabilities are not bilinear.

    A cell's centre is asked for. Where it differs from what the corners
    foretell, its edges are asked for too, and where these differ, its quarters
    are treated in the same way. Differences of log-probabilities are weighed
    by the highest probability that a class has in the cell, so that they bound
    those of probabilities. Afterwards each cell is compared with what its finer
    neighbours found on the common edge, and with the seeds.

    What no cell found by itself (a seed did, or a neighbour) is looked for
    again in the next map of the same object: a thin feature that was found
    once is followed while training moves it.

    Parameters
    ----------
    lattice : Lattice
    tolerance : float
        Of a probability.
    max_share : float, default 0.3
        Of the grid's points that may be asked for.
    """

    def __init__(self, lattice: Lattice, tolerance: float, max_share: float = 0.3) -> None:
        self._lattice = lattice
        n_points = lattice.shape[0] * lattice.shape[1]
        self._limit = max_share * n_points
        self._slots: npt.NDArray[np.int32] = np.empty(n_points, np.int32)
        self._starts = lattice.rows * lattice.shape[1]
        self._marks = np.zeros((len(lattice.rows), len(lattice.columns)), np.int8)
        self._hidden: list[tuple[Cells, int]] = []
        sizes = lattice.stride // 2 + 1
        self._up = _shares(lattice.rows, sizes)
        self._right = _shares(lattice.columns, sizes)
        self._tolerance = tolerance
        self._centre_limits = _by_half(_CENTRE_SHARES, sizes) * tolerance
        self._edge_limits = _by_half(_EDGE_SHARES, sizes) * tolerance
        self._edge_limits[-1] = tolerance * _COARSE_EDGE_SHARE

    def run(self, ask: Ask, seeds: Seeds | None = None) -> tuple[Index, Values]:
        """Refine one map.

        Parameters
        ----------
        ask : callable
            ``(n,) flat grid indices -> (n, C) float32 log-probabilities``.
        seeds : Seeds, optional

        Returns
        -------
        points : ndarray of int, shape (n,)
            The flat grid indices that were asked for, ascending.
        values : ndarray of float32, shape (n, C)
            Their log-probabilities.

        Raises
        ------
        TooRough
            If more than ``max_share`` of the grid would be asked for.
        """
        self._ask = ask
        self._start()
        self._settle()
        if seeds is not None and self._plant(seeds):
            self._settle()
        points = np.flatnonzero(self._slots >= 0)
        return points, self._values[self._slots[points]]

    def _start(self) -> None:
        """Refine from the coarse lattice down."""
        self._slots.fill(-1)
        self._count = 0
        self._values = self._odds = np.empty((0, 0), np.float32)
        none = np.empty(0, np.intp)
        self._leaves = Leaves.of(Cells(none, none, none), np.empty((9, 0), np.intp))
        self._new: list[Leaves] = []
        before, self._hidden = self._hidden, []
        for cells, mark in before:
            self._marks[cells.centres] = mark
        y, x = self._lattice.cells
        half = self._lattice.stride // 2
        self._put((self._starts[::half, None] + self._lattice.columns[::half]).ravel())
        cells = Cells(y, x, np.full(len(y), half))
        self._descend_edged(cells, self._nine(cells))
        for cells, _ in before:
            self._marks[cells.centres] = 0

    # Asking.

    def _put(self, points: Index) -> None:
        """Ask for the points that are not known yet."""
        points = points[self._slots[points] < 0]
        order = np.arange(len(points), dtype=np.int32)
        self._slots[points] = order
        points = points[self._slots[points] == order]
        if not len(points):
            return
        start, end = self._count, self._count + len(points)
        if end > self._limit:
            raise TooRough
        values = self._ask(points)
        if end > len(self._values):
            grown = (2 * end, values.shape[1])
            self._values, self._odds = (
                np.concatenate([old[:start].reshape(-1, grown[1]), np.empty(grown, np.float32)])
                for old in (self._values, self._odds)
            )
        self._values[start:end] = values
        np.exp(values, out=self._odds[start:end])
        self._slots[points] = np.arange(start, end, dtype=np.int32)
        self._count = end

    def _nine(self, cells: Cells) -> Index:
        """Return the flat grid indices of each cell's corners, edges and centre, shape (9, n)."""
        rows = cells.y + cells.half * _NINE[0][:, None]
        columns = cells.x + cells.half * _NINE[1][:, None]
        points: Index = self._starts[rows] + self._lattice.columns[columns]
        return points

    # Cells.

    def _descend(self, cells: Cells) -> Mask:
        """Ask for the centres of cells; returns which have something in them."""
        nine = self._nine(cells)
        self._put(nine[4])
        found = self._centre_excess(cells, nine) > self._centre_limits[cells.half]
        deeper = found | (self._marks[cells.centres] > 0)
        self._new.append(Leaves.of(cells[~deeper], nine[:, ~deeper]))
        if deeper.any():
            found[deeper] |= self._descend_edged(cells[deeper], nine[:, deeper])
        return found

    def _descend_edged(self, cells: Cells, nine: Index) -> Mask:
        """Ask for the edges of cells whose centres are known, and refine where it is needed."""
        self._put(nine[_LINES[1]].ravel())
        excess = np.maximum(self._edge_excess(cells, nine), self._centre_excess(cells, nine))
        marks = self._marks[cells.centres]
        found = excess > self._tolerance
        self._remember(cells[found & (marks == _EDGES)], _EDGES)
        split = (excess > self._edge_limits[cells.half]) | (marks == _SPLIT)
        divisible = cells.half > 1
        whole, split = divisible & ~split, divisible & split
        if whole.any():
            quarters = cells[whole].quarters()
            self._new.append(Leaves.of(quarters, self._nine(quarters)))
        if split.any():
            parents = cells[split]
            inside = self._descend(parents.quarters()).reshape(4, -1).any(axis=0)
            self._remember(parents[inside & (marks[split] == _SPLIT)], _SPLIT)
            found[split] |= inside
        return found

    def _remember(self, cells: Cells, mark: int) -> None:
        if len(cells):
            self._hidden.append((cells, mark))

    def _centre_excess(self, cells: Cells, nine: Index) -> Excess:
        corners, centre = self._slots[nine[[0, 2, 6, 8]]], self._slots[nine[4]]
        up, right = self._up[cells.half, cells.y], self._right[cells.half, cells.x]
        foretold = self._bilinear(corners, up, right)
        return self._excess(foretold, self._values[centre], self._odds[centre], corners)

    def _bilinear(self, corners: Slots, up: Values, right: Values) -> Values:
        around = self._values[corners]
        low: Values = around[0]
        low += right[:, None] * (around[1] - low)
        high = around[2]
        high += right[:, None] * (around[3] - high)
        low += up[:, None] * (high - low)
        return low

    def _edge_excess(self, cells: Cells, nine: Index) -> Excess:
        a, m, b = self._slots[nine[_LINES]].reshape(3, -1)
        up, right = self._up[cells.half, cells.y], self._right[cells.half, cells.x]
        share = np.concatenate([right, right, up, up])
        excess: Excess = self._between(a, m, b, share).reshape(4, -1).max(axis=0)
        return excess

    def _between(self, a: Slots, m: Slots, b: Slots, share: Values) -> Excess:
        low = self._values[a]
        low += share[:, None] * (self._values[b] - low)
        return self._excess(low, self._values[m], self._odds[m], np.stack([a, b]))

    def _excess(self, foretold: Values, found: Values, odds: Values, around: Slots) -> Excess:
        """Return by how much probabilities may be wrong where ``foretold`` is not ``found``.

        The arrays are the caller's no more.
        """
        difference = foretold
        difference -= found
        # What all classes have in common changes no probability.
        difference -= np.einsum("nc,nc->n", difference, odds)[:, None]
        np.abs(difference, out=difference)
        for corner in around:
            np.maximum(odds, self._odds[corner], out=odds)
        difference *= odds
        excess: Excess = difference.max(axis=1)
        return excess

    # Neighbours and seeds.

    def _settle(self) -> None:
        for _ in range(_ROUNDS):
            if not self._compare():
                break
        self._collect()

    def _collect(self) -> None:
        for leaves in self._new:
            self._leaves = self._leaves.joined(leaves)
        self._new = []

    def _plant(self, seeds: Seeds) -> bool:
        """Refine the leaves that disagree with a seed, down to the grid; tell if there are."""
        y, x = (
            self._places(self._lattice.rows, seeds.rows),
            self._places(self._lattice.columns, seeds.columns),
        )
        values = seeds.values
        if values is None:
            points = self._starts[y] + self._lattice.columns[x]
            self._put(points)
            values = self._values[self._slots[points]]
        leaf = self._leaf_at(y, x)
        within = np.flatnonzero(leaf >= 0)
        wrong = within[self._seed_excess(seeds, values, within, leaf[within]) > 2 * self._tolerance]
        wrong = wrong[self._leaves.cells.half[leaf[wrong]] > 1]
        if not len(wrong):
            return False
        chosen = np.zeros(len(self._leaves.cells), bool)
        chosen[leaf[wrong]] = True
        cells, self._leaves = self._leaves.cells[chosen], self._leaves[~chosen]
        half = self._lattice.stride // 2
        marked = []
        while half:
            corners = (y[wrong] // (2 * half)) * 2 * half, (x[wrong] // (2 * half)) * 2 * half
            marked.append(Cells(*corners, np.full(len(wrong), half)))
            self._marks[marked[-1].centres] = _SPLIT
            half //= 2
        self._descend(cells)
        for around in marked:
            self._marks[around.centres] = 0
        return True

    def _places(self, lines: Index, at: npt.NDArray[Any]) -> Index:
        """Return the last place at or below each position, which is given in grid lines."""
        places = np.searchsorted(lines, at, side="right") - 1
        return np.minimum(places, len(lines) - 2)

    def _leaf_at(self, y: Index, x: Index) -> Index:
        """Return the leaf around each place, -1 where every grid point is known."""
        cells = self._leaves.cells
        by_centre = np.full(self._marks.shape, -1, np.int32)
        by_centre[cells.centres] = np.arange(len(cells))
        leaf = np.full(len(y), -1, np.intp)
        half = self._lattice.stride // 2
        while half:
            here = by_centre[y // (2 * half) * 2 * half + half, x // (2 * half) * 2 * half + half]
            leaf = np.maximum(leaf, here)
            half //= 2
        return leaf

    def _seed_excess(self, seeds: Seeds, values: Values, which: Index, leaf: Index) -> Excess:
        corners = self._leaves.nine[:, leaf][[0, 2, 6, 8]]
        width = self._lattice.shape[1]
        (bottom, left), (top, right) = (np.divmod(corners[k], width) for k in (0, 3))
        up = (seeds.rows[which] - bottom) / np.maximum(top - bottom, 1)
        along = (seeds.columns[which] - left) / np.maximum(right - left, 1)
        slots = self._slots[corners]
        foretold = self._bilinear(slots, up.astype(np.float32), along.astype(np.float32))
        return self._excess(foretold, values[which], np.exp(values[which]), slots)

    def _compare(self) -> bool:
        """Refine the leaves that a finer neighbour's points disagree with; tell if there are."""
        self._collect()
        wrong = self._edges_differ(self._leaves)
        if not wrong.any():
            return False
        leaves, self._leaves = self._leaves[wrong], self._leaves[~wrong]
        # The quarters of a cell whose edges were asked for have no centre yet.
        known = self._slots[leaves.nine[4]] >= 0
        if not known.all():
            self._descend(leaves.cells[~known])
        if known.any():
            cells = leaves.cells[known]
            self._marks[cells.centres] = _EDGES
            self._descend_edged(cells, leaves.nine[:, known])
            self._marks[cells.centres] = 0
        return True

    def _edges_differ(self, leaves: Leaves) -> Mask:
        cells, nine = leaves.cells, leaves.nine
        middles = self._slots[nine[_LINES[1]]]
        fresh = (middles >= 0) & ~leaves.compared
        leaves.compared |= fresh
        line, cell = np.nonzero(fresh)
        differ = np.zeros(len(cells), bool)
        if len(cell):
            half = cells.half[cell]
            share = np.where(
                line < 2, self._right[half, cells.x[cell]], self._up[half, cells.y[cell]]
            )
            start, end = (self._slots[nine[_LINES[k, line], cell]] for k in (0, 2))
            wrong = self._between(start, middles[line, cell], end, share) > self._tolerance
            differ[cell[wrong]] = True
        return differ


def _by_half(shares: dict[int, float], sizes: int) -> Values:
    return np.array([shares.get(half, 0.0) for half in range(sizes)], np.float32)


def _shares(lines: Index, halves: int) -> Values:
    """Return how far along each cell its centre lies, by half its side and its lower place."""
    shares = np.zeros((halves, len(lines)), np.float32)
    for half in range(1, halves):
        start, centre, end = lines[: -2 * half], lines[half:-half], lines[2 * half :]
        shares[half, : len(start)] = (centre - start) / np.maximum(end - start, 1)
    return shares
