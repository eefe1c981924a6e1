"""An embedding with a learnt inverse, for t-SNE and the like, which have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz.domain.embeddings import Arrays, Embedding, FloatArray, stored

__all__ = ["InverseErrors", "KernelInverse", "LearnedInverse"]

Rows = npt.NDArray[np.float64]

_BLOCK = 2**21
"""Largest number of pairwise distances in memory at a time."""

_NEIGHBOURS = 10
"""How many nearest held-out errors are averaged to estimate the error at a point."""

_AROUND = 5
"""How many nearest rows are averaged to place a new row in the plane."""


@dataclass(frozen=True)
class KernelInverse:
    """A Gaussian kernel regression from the plane to rows.

    Parameters
    ----------
    centers : ndarray of float64, shape (m, 2)
    weights : ndarray of float64, shape (m, D)
    mean : ndarray of float64, shape (D,)
        The value far from all centres.
    gamma : float
        The kernel is ``exp(-gamma * distance**2)``.

    Examples
    --------
    >>> inverse = KernelInverse(np.zeros((1, 2)), np.ones((1, 3)), np.full(3, 5.0), 1.0)
    >>> inverse(np.array([[0.0, 0.0], [9.0, 9.0]]))
    array([[6., 6., 6.],
           [5., 5., 5.]])
    """

    centers: Rows
    weights: Rows
    mean: Rows
    gamma: float

    def __call__(self, points: FloatArray) -> FloatArray:
        """Return the rows at plane coordinates, shape (n, D)."""
        rows = np.empty((len(points), len(self.mean)))
        for part in _blocks(len(points), len(self.centers)):
            near = np.exp(-self.gamma * _squares(points[part], self.centers))
            rows[part] = self.mean + near @ self.weights
        return rows


@dataclass(frozen=True)
class InverseErrors:
    """How unreliable a learnt inverse is at points of the plane.

    Parameters
    ----------
    places : ndarray of float64, shape (m, 2)
    errors : ndarray of float64, shape (m,)
        Of held-out rows, as a share of the data's spread.
    tolerance : float
        The largest error that is not poor.
    reach : float
        At this distance from every place the inverse counts as poor.
    """

    places: Rows
    errors: Rows
    tolerance: float
    reach: float

    def __call__(self, points: FloatArray) -> FloatArray:
        """Return how unreliable the inverse is at plane coordinates, from 1 on poor."""
        doubts = np.empty(len(points))
        few = min(_NEIGHBOURS, len(self.places))
        for part in _blocks(len(points), len(self.places)):
            squares = _squares(points[part], self.places)
            near = np.argpartition(squares, few - 1, axis=1)[:, :few]
            away = np.sqrt(squares.min(axis=1)) / self.reach
            doubts[part] = np.maximum(self.errors[near].mean(axis=1) / self.tolerance, away)
        return doubts


class LearnedInverse(Embedding):
    """The plane of a finished two-dimensional embedding, whose inverse was learnt.

    Parameters
    ----------
    inverse : callable
        ``(n, 2) -> (n, D)``; only a :class:`KernelInverse` can be stored.
    embedded : ndarray of float64, shape (n, 2)
    rows : ndarray of float64, shape (n, D)
        What was embedded. Other rows are placed by their nearest ones.
    doubts : InverseErrors
    """

    kind: ClassVar[str] = "learned"
    costly: ClassVar[bool] = True

    def __init__(
        self, inverse: Callable[[FloatArray], FloatArray], embedded: Rows, rows: Rows,
        doubts: InverseErrors,
    ) -> None:  # fmt: skip
        self._inverse = inverse
        self._embedded = embedded
        self._rows = rows.astype(np.float32)
        self._doubts = doubts
        self.n_features = rows.shape[1]

    def embed(self, points: FloatArray) -> FloatArray:
        """Return the rows that the learnt inverse predicts."""
        return np.asarray(self._inverse(points), dtype=np.float64)

    def project(self, rows: FloatArray) -> FloatArray:
        """Return the mean place of the nearest embedded rows, weighted by inverse distance."""
        points = np.empty((len(rows), 2))
        few = min(_AROUND, len(self._rows))
        for part in _blocks(len(rows), len(self._rows)):
            squares = _squares(rows[part].astype(np.float32), self._rows)
            near = np.argpartition(squares, few - 1, axis=1)[:, :few]
            # Recomputed, because _squares cancels: it leaves rounding errors of a distance of 0.
            away = rows[part, None].astype(np.float32) - self._rows[near]
            weights = 1 / ((away.astype(np.float64) ** 2).sum(axis=2) + 1e-30)
            weights /= weights.sum(axis=1, keepdims=True)
            points[part] = (weights[..., None] * self._embedded[near]).sum(axis=1)
        return points

    def doubt(self, points: FloatArray) -> FloatArray:
        """Return how unreliable the learnt inverse is, from 1 on poor."""
        return self._doubts(points)

    def arrays(self) -> Arrays | None:
        """Return the data and the fitted kernel; None for the user's own regressor."""
        inverse, doubts = self._inverse, self._doubts
        if not isinstance(inverse, KernelInverse):
            return None
        return {
            "embedded": self._embedded, "rows": self._rows, "centers": inverse.centers,
            "weights": inverse.weights, "mean": inverse.mean, "places": doubts.places,
            "errors": doubts.errors,
            "settings": np.array([inverse.gamma, doubts.tolerance, doubts.reach]),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the embedding with these :meth:`arrays`."""
        mean, settings = stored(arrays, "mean", None), stored(arrays, "settings", 3)
        centers, places = stored(arrays, "centers", None, 2), stored(arrays, "places", None, 2)
        embedded = stored(arrays, "embedded", None, 2)
        if not (len(centers) and len(places) and len(embedded) and settings.min() > 0):
            raise ValueError("a learnt embedding: expected data, and settings above 0")
        gamma, tolerance, reach = settings.tolist()
        weights = stored(arrays, "weights", len(centers), len(mean))
        doubts = InverseErrors(places, stored(arrays, "errors", len(places)), tolerance, reach)
        rows = stored(arrays, "rows", len(embedded), len(mean))
        return cls(KernelInverse(centers, weights, mean, gamma), embedded, rows, doubts)


def _blocks(count: int, width: int) -> list[slice]:
    size = max(1, _BLOCK // width)
    return [slice(start, start + size) for start in range(0, count, size)]


def _squares(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the squared distances of all pairs of rows, shape (len(a), len(b))."""
    squares: npt.NDArray[Any] = a @ b.T
    squares *= -2
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)
    np.maximum(squares, 0, out=squares)
    return squares
