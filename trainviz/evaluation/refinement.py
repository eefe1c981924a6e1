"""Adaptive evaluation: evaluate the model only where interpolation is not accurate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float32Array, IndexArray
from trainviz.evaluation.answers import Answers, Ask
from trainviz.evaluation.error_estimate import CORNERS, bilinear, excess_at
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.quadtree import EDGED, FOUND, LEAF, LOOK, SPLIT, SPLIT_ALWAYS, Quadtree

__all__ = ["Refinement", "Seeds"]


_STAYING = 0.9
"""A level's points are prefetched if the last map needed at least this share of the points that
the map before it needed on this level."""

_FEW = 64
"""Up to this many points, those that may be needed next are fetched in the same call, because a
call of the model costs more than the points."""

_BORDER_SHIFT = 0.25
"""How many grid points a border between two classes may be off at the centre of a cell: half of
the half grid point that is allowed, because the largest error of a kink is up to twice that at the
centre."""

AnyArray = npt.NDArray[Any]

_NO_CELLS = _NO_POINTS = np.empty(0, np.intp)


@dataclass
class Seeds:
    """Points of the plane with known values, with which the map has to agree.

    Attributes
    ----------
    rows, columns : ndarray of float64, shape (n,)
        Their positions in grid units; all inside the grid.
    values : ndarray of float32, shape (n, C), or None
        Log-probabilities; None for grid points, at which the model is evaluated.
    """

    rows: npt.NDArray[np.float64 | np.intp]
    columns: npt.NDArray[np.float64 | np.intp]
    values: Float32Array | None = None


class Refinement:
    """A quadtree over a grid, refined where log-probabilities are not bilinear.

    The model is evaluated at a cell's centre. Where the result differs from the
    interpolation between the corners, the middles of the edges are evaluated
    too, and where these differ, the cell's quarters are treated in the same
    way. A cell that is not divided, a leaf, is compared with the points of its
    finer neighbours on the common edge, and afterwards with the seeds. All
    cells are refined as far as the known values allow before the model is
    called again, so that its calls are few and large.

    Cells that were refined only because of a seed or a neighbour are refined
    again in the next map of the same object: a thin feature that was found
    once is followed while training moves it. Besides, the points of the levels
    that hardly changed are prefetched in the first call of the next map; only
    those that it needs are used, so that prefetching changes no map.

    Parameters
    ----------
    lattice : Lattice
    tolerance : float
        Allowed error of a probability.
    max_share : float, default 0.5
        Largest share of the grid's points that may be evaluated.
    """

    def __init__(self, lattice: Lattice, tolerance: float, max_share: float = 0.5) -> None:
        self._lattice = lattice
        n_points = lattice.shape[0] * lattice.shape[1]
        self._answers = Answers(n_points, int(max_share * n_points))
        self._tree = Quadtree(lattice, tolerance)
        self._tolerance = tolerance
        half = lattice.stride // 2
        y, x = lattice.cells
        self._coarse = self._tree.around(y, x, half)
        starts = lattice.rows * lattice.shape[1]
        self._first = (starts[::half, None] + lattice.columns[::half]).ravel()
        self._beside = [_beside(lines) for lines in (lattice.rows, lattice.columns)]
        self._compared = np.zeros(n_points, bool)
        self._before = _NO_POINTS, _NO_POINTS
        self._foretold = _NO_POINTS
        self._places: _SeedPlaces | None = None
        self._hidden = [(_NO_CELLS, LOOK), (_NO_CELLS, SPLIT_ALWAYS)]

    @property
    def asked(self) -> int:
        """How many points the last run evaluated."""
        return self._answers.count

    def run(
        self, ask: Ask, seeds: Seeds | None = None, suspects: IndexArray = _NO_POINTS
    ) -> tuple[IndexArray, Float32Array]:
        """Evaluate one map adaptively.

        Parameters
        ----------
        ask : callable
            ``(n,) flat grid indices -> (n, C) float32 log-probabilities``.
        seeds : Seeds, optional
        suspects : ndarray of int, optional
            Flat grid indices around which the map is refined down to the grid.

        Returns
        -------
        points : ndarray of int, shape (n,)
            The flat grid indices from which the map is interpolated, ascending.
        values : ndarray of float32, shape (n, C)
            Their log-probabilities.

        Raises
        ------
        TooRough
            If more than ``max_share`` of the grid would be evaluated.
        """
        self._answers.start(ask)
        self._compared.fill(False)
        self._tree.state.fill(0)
        for cells, mark in self._hidden:
            self._tree.state[cells] |= mark
        self._answers.put(self._first, beside=self._foretold)
        self._refine(_NO_CELLS, self._coarse)
        if seeds is not None:
            self._refine(self._wrong_at(seeds), _NO_CELLS)
        self._settle()
        return self.mend(suspects) if len(suspects) else self._answers.used()

    def look(self, points: IndexArray) -> Float32Array:
        """Return the model's log-probabilities at points, of which the map makes no use.

        Raises
        ------
        TooRough
            As :meth:`run`.
        """
        self._answers.fetch(points)
        return self._answers.values[self._answers.fetched[points]]

    def state(self) -> list[list[int]]:
        """Return the cells that the next map follows, as plain numbers."""
        return [cells.tolist() for cells, _ in self._hidden]

    def restore(self, state: list[list[int]]) -> None:
        """Follow the cells of a :meth:`state`."""
        self._hidden = [
            (np.array(cells, np.intp), mark)
            for cells, (_, mark) in zip(state, self._hidden, strict=True)
        ]

    def mend(self, points: IndexArray) -> tuple[IndexArray, Float32Array]:
        """Refine the last map down to the grid around points at which it is wrong.

        Parameters
        ----------
        points : ndarray of int
            Flat grid indices.

        Returns
        -------
        points, values
            As :meth:`run`.

        Raises
        ------
        TooRough
            As :meth:`run`.
        """
        self._answers.put(points)
        self._split_at(*self._squares(points))
        self._settle()
        return self._answers.used()

    def finish(self, points: IndexArray) -> None:
        """Remember what the map of these points needed, for the next one."""
        self._remember()
        self._foretell(points)

    def _settle(self) -> None:
        """Refine until leaves agree with all points on their edges, and borders are in place."""
        while self._split_at(*self._wrong_at_edges()) or self._split_at_borders():
            pass

    def _split_at(self, y: IndexArray, x: IndexArray) -> bool:
        """Refine the leaves that contain unit squares of places down to these squares."""
        cells = self._tree.around_all(y, x)[:-1]
        is_leaf = self._tree.state[cells] & LEAF > 0
        leaves = cells[is_leaf]
        if not len(leaves):
            return False
        self._tree.state[cells[:, is_leaf.any(axis=0)]] |= SPLIT_ALWAYS
        self._refine(self._tree.take(leaves), _NO_CELLS)
        return True

    def _squares(self, points: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the lower places of the unit squares around grid points, four for each."""
        row, column = np.divmod(points, self._lattice.shape[1])
        (down, up), (left, right) = self._beside[0][:, row], self._beside[1][:, column]
        return np.concatenate([down, down, up, up]), np.concatenate([left, right, left, right])

    def _wrong_at_edges(self) -> tuple[IndexArray, IndexArray]:
        """Return the unit squares where a leaf disagrees with a known point on its edge.

        A thin strip crosses the edge of a large leaf between the points that the leaf was
        compared with; its finer neighbour has evaluated points there.
        """
        # Each point once: leaves that become smaller agree with it at least as well.
        points = np.flatnonzero((self._answers.slots >= 0) & ~self._compared)
        self._compared[points] = True
        y, x = self._squares(points)
        cells = self._tree.around_all(y, x)[:-1]
        size, square = np.nonzero(self._tree.state[cells] & LEAF > 0)
        leaf, point = cells[size, square], points[square % len(points)]
        corners = self._tree.nine(leaf)[CORNERS]
        between = (corners != point).all(axis=0)
        leaf, point, square = leaf[between], point[between], square[between]
        row, column = np.divmod(point, self._lattice.shape[1])
        values = self._answers.values[self._answers.slots[point]]
        wrong = square[self._excess(row, column, values, leaf) > 2 * self._tolerance]
        return y[wrong], x[wrong]

    def _split_at_borders(self) -> bool:
        """Split the leaves in which the border between two classes is not where it seems to be.

        The border is where the difference of two log-probabilities changes its sign. Between two
        corners of different classes, its error at the centre divided by its slope is the error
        of the border's place.
        """
        answers, tree = self._answers, self._tree
        leaves = tree.which(LEAF)
        nine = tree.nine(leaves)
        first = answers.values[answers.slots[nine[CORNERS]]].argmax(axis=2)
        crossed = (first != first[0]).any(axis=0)
        leaves, nine, first = leaves[crossed], nine[:, crossed], first[:, crossed]
        if not len(leaves):
            return False
        answers.put(nine[4])
        corners = answers.values[answers.slots[nine[CORNERS]]]
        rows, columns = np.divmod(nine, self._lattice.shape[1])
        up, right = self._position(rows[4], columns[4], nine)
        error = bilinear(corners.copy(), up, right) - answers.values[answers.slots[nine[4]]]
        shifted, cell = np.zeros(len(leaves), bool), np.arange(len(leaves))
        for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
            a, b = first[i], first[j]
            start = corners[i, cell, a] - corners[i, cell, b]
            end = corners[j, cell, a] - corners[j, cell, b]
            distance = np.hypot(
                rows[CORNERS[i]] - rows[CORNERS[j]], columns[CORNERS[i]] - columns[CORNERS[j]]
            )
            off = np.abs(error[cell, a] - error[cell, b]) * distance
            shifted |= (a != b) & (off > _BORDER_SHIFT * np.abs(start - end))
        wrong = leaves[shifted]
        if not len(wrong):
            return False
        tree.state[wrong] |= SPLIT_ALWAYS
        self._refine(tree.take(wrong), _NO_CELLS)
        return True

    def _foretell(self, points: IndexArray) -> None:
        """Choose the points to prefetch for the next map: those of levels that hardly changed."""
        (before, needed), levels = self._before, self._lattice.first_levels(points)
        self._before = points, levels
        n_levels = self._lattice.levels + 1
        again = np.bincount(needed[self._answers.slots[before] >= 0], minlength=n_levels)
        stay = again >= _STAYING * np.bincount(needed, minlength=n_levels)
        self._foretold = points[stay[levels]] if len(before) else _NO_POINTS

    def _refine(self, centres: IndexArray, edged: IndexArray) -> None:
        """Check the centres of some cells and the edges of others, until none is left to refine."""
        while len(centres) or len(edged):
            centres, edged = self._tree.descend(centres, edged, self._answers)
            wanted = self._tree.wanted(centres, edged)
            if 0 < len(wanted) <= _FEW:
                wanted = np.concatenate([wanted, self._tree.after(centres, edged)])
            self._answers.fetch(wanted)

    def _remember(self) -> None:
        """Keep the cells that were refined only because of a seed or a neighbour."""
        tree = self._tree
        looked = tree.which(LOOK | FOUND | EDGED)
        split = tree.which(SPLIT | SPLIT_ALWAYS)
        if len(split):
            split = split[tree.ancestors(tree.which(FOUND))[split]]
        self._hidden = [(looked, LOOK), (split, SPLIT_ALWAYS)]

    # Seeds.

    def _wrong_at(self, seeds: Seeds) -> IndexArray:
        """Unmark and return the leaves that disagree with a seed; mark the cells there to split."""
        if self._places is None or self._places.rows is not seeds.rows:
            self._places = _SeedPlaces.of(seeds, self._lattice, self._tree)
        places, values = self._places, seeds.values
        if values is None:
            self._answers.put(places.points)
            values = self._answers.values[self._answers.slots[places.points]]
        # The smallest cells have no quarters that could be split.
        is_leaf = self._tree.state[places.cells[:-1]] & LEAF > 0
        size, seed = np.nonzero(is_leaf)
        leaf = places.cells[size, seed]
        excess = self._excess(seeds.rows[seed], seeds.columns[seed], values[seed], leaf)
        wrong = excess > 2 * self._tolerance
        self._tree.state[places.cells[:, seed[wrong]]] |= SPLIT_ALWAYS
        return self._tree.take(leaf[wrong])

    def _excess(
        self, rows: AnyArray, columns: AnyArray, values: Float32Array, leaf: IndexArray
    ) -> Float32Array:
        """Return how far values at positions in leaves are from the interpolation there."""
        nine = self._tree.nine(leaf)
        up, right = self._position(rows, columns, nine)
        answers = self._answers
        return excess_at(
            answers.values, answers.odds, answers.slots[nine[CORNERS]], up, right, values
        )

    def _position(
        self, rows: AnyArray, columns: AnyArray, nine: IndexArray
    ) -> tuple[Float32Array, Float32Array]:
        """Return positions in cells as shares of their sides."""
        width = self._lattice.shape[1]
        (bottom, left), (top, right) = (np.divmod(nine[k], width) for k in (0, 8))
        up = (rows - bottom) / np.maximum(top - bottom, 1)
        along = (columns - left) / np.maximum(right - left, 1)
        return up.astype(np.float32), along.astype(np.float32)


@dataclass
class _SeedPlaces:
    """The cells around seeds, which are the same in every map.

    Attributes
    ----------
    rows : ndarray, shape (n,)
        Of the seeds, by identity: tells whether these places are theirs.
    points : ndarray of int, shape (n,)
        The flat index of the grid point at or below each seed.
    cells : ndarray of int, shape (sizes, n)
        The cell of each size around each seed.
    """

    rows: npt.NDArray[np.float64 | np.intp]
    points: IndexArray
    cells: IndexArray

    @classmethod
    def of(cls, seeds: Seeds, lattice: Lattice, tree: Quadtree) -> _SeedPlaces:
        y, x = _places(lattice.rows, seeds.rows), _places(lattice.columns, seeds.columns)
        points = lattice.rows[y] * lattice.shape[1] + lattice.columns[x]
        return cls(seeds.rows, points, tree.around_all(y, x))


def _beside(lines: IndexArray) -> IndexArray:
    """Return the place before and the place after each grid line, shape (2, n)."""
    at = np.arange(lines[-1] + 1)
    below = np.searchsorted(lines, at, side="left") - 1
    above = np.searchsorted(lines, at, side="right") - 1
    return np.stack([np.maximum(below, 0), np.minimum(above, len(lines) - 2)])


def _places(lines: IndexArray, at: npt.NDArray[Any]) -> IndexArray:
    """Return the last place at or below each position, which is given in grid units."""
    places = np.searchsorted(lines, at, side="right") - 1
    return np.minimum(places, len(lines) - 2)
