"""Cache of a model's log-probabilities at grid points, some of which were prefetched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainviz._common.arrays import Float32Array, IndexArray, Int32Array
from trainviz.evaluation.kernels import keep

__all__ = ["Answers", "Ask", "TooRough"]

Ask = Callable[[IndexArray], Float32Array]


class TooRough(Exception):  # noqa: N818
    """Adaptive evaluation would need more of the grid than makes it worth while."""


class Answers:
    """The log-probabilities at the grid points at which a model was evaluated.

    A prefetched point is not known until :meth:`put` is called with it, so
    that prefetching saves calls and has no other effect.

    Parameters
    ----------
    n_points : int
        Of the grid.
    limit : int
        How many may be evaluated.

    Attributes
    ----------
    count : int
        How many points were evaluated.
    slots : ndarray of int32, shape (n_points,)
        Row of ``values`` of each grid point; -1 where it is not known.
    fetched : ndarray of int32, shape (n_points,)
        The same for all evaluated points, known or not.
    values, odds : ndarray of float32, shape (m, C), m >= count
        Log-probabilities and probabilities, in the order of evaluation.
    kept, rounded : ndarray of float16 and of float32, shape (m, C)
        The log-probabilities as a map keeps them; see :func:`trainviz.evaluation.kernels.keep`.
    """

    def __init__(self, n_points: int, limit: int) -> None:
        self._limit = limit
        self.slots: Int32Array = np.full(n_points, -1, np.int32)
        self.fetched: Int32Array = np.full(n_points, -1, np.int32)
        self._wanted = np.zeros(n_points, bool)
        self.count = 0
        self._make(0, 0)

    def start(self, ask: Ask) -> None:
        """Forget all values, and use ``ask`` to evaluate points from now on."""
        self._ask = ask
        self.slots.fill(-1)
        self.fetched.fill(-1)
        self.count = 0

    def known(self) -> IndexArray:
        """Return the points that are known, ascending."""
        return np.flatnonzero(self.slots >= 0)

    def put(self, points: IndexArray, beside: IndexArray | None = None) -> None:
        """Make points known, evaluating those that were not evaluated yet.

        Parameters
        ----------
        points : ndarray of int
            Flat grid indices.
        beside : ndarray of int, optional
            Points to prefetch in the same call.

        Raises
        ------
        TooRough
            If it would be more than the limit.
        """
        self.fetch(points if beside is None else np.concatenate([points, beside]))
        self.slots[points] = self.fetched[points]

    def fetch(self, points: IndexArray) -> None:
        """Evaluate the points that were not evaluated yet, without making them known.

        Raises
        ------
        TooRough
            If it would be more than the limit.
        """
        self._wanted[points] = True
        self._wanted[points[self.fetched[points] >= 0]] = False
        missing = np.flatnonzero(self._wanted)
        self._wanted[missing] = False
        self.fetch_missing(missing)

    def fetch_missing(self, points: IndexArray) -> None:
        """Do so for points of which none was evaluated yet; ascending, each once.

        In the order of the grid, in whatever order cells were refined: a row of a matrix product
        may depend on where in the batch it is.
        """
        start, end = self.count, self.count + len(points)
        if start == end:
            return
        if end > self._limit:
            raise TooRough(
                "the map changes so much from point to point that most of the grid is needed"
            )
        found = self._ask(points)
        if end > len(self.values) or found.shape[1] != self.values.shape[1]:
            former = self.values, self.odds, self.rounded, self.kept
            self._make(2 * end, found.shape[1])
            if start:
                self.values[:start], self.odds[:start] = former[0][:start], former[1][:start]
                self.rounded[:start], self.kept[:start] = former[2][:start], former[3][:start]
        self.values[start:end] = found
        np.exp(found, out=self.odds[start:end])
        keep(self.values[start:end], self.kept[start:end].view(np.uint16), self.rounded[start:end])
        self.fetched[points] = np.arange(start, end, dtype=np.int32)
        self.count = end

    def _make(self, size: int, n_classes: int) -> None:
        self.values, self.odds, self.rounded = (
            np.empty((size, n_classes), np.float32) for _ in range(3)
        )
        self.kept = np.empty((size, n_classes), np.float16)
