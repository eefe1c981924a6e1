"""Adaptive evaluation: evaluate the model only where interpolation is not accurate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float32Array, IndexArray, Map
from trainviz.evaluation.answers import Answers, Ask
from trainviz.evaluation.cells import EDGED, FOUND, LEAF, LOOK, SPLIT, SPLIT_ALWAYS
from trainviz.evaluation.compact_map import CompactMap, gaps_of, normalised_odds
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.quadtree import Quadtree
from trainviz.evaluation.subdivision import CENTRE, EDGES, tasks_of

__all__ = ["Refinement", "Seeds"]


_STAYING = 0.9
"""A level's points are prefetched if the last map needed at least this share of the points that
the map before it needed on this level."""

_FEW = 64
"""Up to this many points, those that may be needed next are fetched in the same call, because a
call of the model costs more than the points."""

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
    too, and where these differ, those of the cell's quarters are treated in the
    same way in which the differences matter to a probability. A cell that is not
    divided, a leaf, is compared with the points of its finer neighbours on the
    common edge; if its corners have different classes, the border between them is
    checked at its centre; and afterwards it is compared with the seeds. All cells
    are refined as far as the known values allow before the model is called again,
    so that its calls are few and large.

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
        self._beside = _beside(lattice.rows), _beside(lattice.columns)
        self._before = _NO_POINTS, _NO_POINTS
        self._points = self._foretold = _NO_POINTS
        self._places: _SeedPlaces | None = None
        self._hidden = [(_NO_CELLS, LOOK), (_NO_CELLS, SPLIT_ALWAYS)]

    @property
    def asked(self) -> int:
        """How many points the last run evaluated."""
        return self._answers.count

    def run(
        self,
        ask: Ask,
        seeds: Seeds | None = None,
        suspects: IndexArray = _NO_POINTS,
        beside: IndexArray = _NO_POINTS,
    ) -> None:
        """Evaluate one map adaptively.

        Parameters
        ----------
        ask : callable
            ``(n,) flat grid indices -> (n, C) float32 log-probabilities``.
        seeds : Seeds, optional
        suspects : ndarray of int, optional
            Flat grid indices around which the map is refined down to the grid.
        beside : ndarray of int, optional
            Points that are asked for in the first call, for :meth:`compare`.

        Raises
        ------
        TooRough
            If more than ``max_share`` of the grid would be evaluated.
        """
        self._answers.start(ask)
        self._tree.state.fill(0)
        for cells, mark in self._hidden:
            self._tree.state[cells] |= mark
        self._answers.put(self._first, beside=np.concatenate([self._foretold, beside]))
        self._refine(self._coarse, EDGES)
        if seeds is not None:
            self._refine(self._wrong_at(seeds), CENTRE)
        self._settle()
        if len(suspects):
            self.mend(suspects)

    def compact_map(self) -> CompactMap:
        """Return the map, after :meth:`finish`."""
        kept = self._answers.kept[self._answers.slots[self._points]]
        return CompactMap(self._lattice.shape, gaps_of(self._points), kept)

    def probabilities(self) -> Map:
        """Return the map on the whole grid, shape (C, H, W), after :meth:`finish`."""
        values = self._answers.values[self._answers.slots[self._points]]
        return self._lattice.fill(self._points, values, normalised=True)

    def compare(self, points: IndexArray) -> Float32Array:
        """Return how far class probabilities of the map are off at some grid points.

        Of the map as it is kept, in half precision. It makes no use of the model's outputs there.

        Parameters
        ----------
        points : ndarray of int
            Flat grid indices.

        Returns
        -------
        ndarray of float32, shape (n,)
            The largest difference of each point.

        Raises
        ------
        TooRough
            As :meth:`run`.
        """
        answers = self._answers
        answers.fetch(points)
        logs = self._lattice.fill_at(answers.slots, answers.rounded, points)
        found = normalised_odds(logs[:, None])[:, 0]
        found -= answers.odds[answers.fetched[points]].T
        largest: Float32Array = np.abs(found).max(axis=0)
        return largest

    def state(self) -> list[list[int]]:
        """Return the cells that the next map follows, as plain numbers."""
        return [cells.tolist() for cells, _ in self._hidden]

    def restore(self, state: list[list[int]]) -> None:
        """Follow the cells of a :meth:`state`."""
        self._hidden = [
            (np.array(cells, np.intp), mark)
            for cells, (_, mark) in zip(state, self._hidden, strict=True)
        ]

    def mend(self, points: IndexArray) -> None:
        """Refine the last map down to the grid around points at which it is wrong.

        Parameters
        ----------
        points : ndarray of int
            Flat grid indices.

        Raises
        ------
        TooRough
            As :meth:`run`.
        """
        self._answers.put(points)
        self._split_at(*self._squares(points))
        self._settle()

    def finish(self) -> None:
        """End the map, and remember for the next one what it needed."""
        self._points = self._answers.known()
        self._remember()
        self._foretell()

    def _split_at(self, y: IndexArray, x: IndexArray) -> bool:
        """Refine the leaves that contain unit squares of places down to these squares."""
        cells = self._tree.around_all(y, x)[:-1]
        is_leaf = self._tree.state[cells] & LEAF > 0
        leaves = cells[is_leaf]
        if not len(leaves):
            return False
        self._tree.state[cells[:, is_leaf.any(axis=0)]] |= SPLIT_ALWAYS
        self._refine(self._tree.take(leaves), CENTRE)
        return True

    def _squares(self, points: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the lower places of the unit squares around grid points, four for each."""
        row, column = np.divmod(points, self._lattice.shape[1])
        (down, up), (left, right) = self._beside[0][:, row], self._beside[1][:, column]
        return np.concatenate([down, down, up, up]), np.concatenate([left, right, left, right])

    def _settle(self) -> None:
        """Split the leaves that disagree with a known point on their edge, until none does.

        A thin strip crosses the edge of a large leaf between the points that the leaf was
        compared with; its finer neighbour has evaluated points there.
        """
        while self._split_at(*self._tree.wrong_at_edges(self._answers)):
            pass

    def _foretell(self) -> None:
        """Choose the points to prefetch for the next map: those of levels that hardly changed."""
        (before, needed), levels = self._before, self._lattice.first_levels(self._points)
        self._before = self._points, levels
        n_levels = self._lattice.levels + 1
        again = np.bincount(needed[self._answers.slots[before] >= 0], minlength=n_levels)
        stay = again >= _STAYING * np.bincount(needed, minlength=n_levels)
        self._foretold = self._points[stay[levels]] if len(before) else _NO_POINTS

    def _refine(self, cells: IndexArray, check: int) -> None:
        """Check some cells, until none is left to refine."""
        waiting = tasks_of(cells, check)
        while len(waiting):
            waiting = self._tree.descend(waiting, self._answers)
            self._answers.fetch_missing(self._tree.missing(waiting, _FEW, self._answers))

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
        at = seeds.rows, seeds.columns, values
        leaves = self._tree.wrong_seeds(*at, places.cells, self._answers)
        wrong = np.flatnonzero(leaves >= 0)
        self._tree.state[places.cells[:, wrong]] |= SPLIT_ALWAYS
        return self._tree.take(leaves[wrong])


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
