"""Planes through wide input spaces: near data, through samples, of linear maps and reducers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz._common.arrays import to_numpy
from trainviz.domain.embeddings import Arrays, Embedding, FloatArray, stored, stored_pair
from trainviz.domain.inputs import named_columns

__all__ = ["GridRows", "Linear", "Nearest", "Reduced", "Through", "principal_axes"]

Rows = npt.NDArray[np.float64]

_BLOCK = 2**21
"""Largest number of differences in memory at a time in the search for nearest rows."""

_KEPT = 2**25
"""Largest number of values of embedded rows that a domain caches: 256 MiB."""

_FLAT = 1e-6
"""Relative length that counts as 0: float32, in which samples often come, resolves no less."""


class Nearest(Embedding):
    """Two features vary, the others are those of the data row that is nearest in these two.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, D)
        The data. Nearness is measured in standard deviations of each feature.
    features : tuple of int
        The columns along the window's x and y axis.

    Examples
    --------
    >>> rows = np.array([[0.0, 0.0, 5.0], [1.0, 1.0, 7.0]])
    >>> Nearest(rows, (0, 1)).embed(np.array([[0.1, 0.2], [0.9, 0.7]]))
    array([[0.1, 0.2, 5. ],
           [0.9, 0.7, 7. ]])
    """

    kind: ClassVar[str] = "nearest"
    costly: ClassVar[bool] = True

    def __init__(self, rows: Rows, features: tuple[int, int]) -> None:
        self._rows = rows
        self.features = features
        self.n_features = rows.shape[1]
        spread = rows[:, list(features)].std(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._places = rows[:, list(features)] / self._scale

    def embed(self, points: FloatArray) -> FloatArray:
        """Write the points' coordinates into copies of their nearest rows."""
        rows: FloatArray = self._rows[_nearest(points / self._scale, self._places)]
        rows[:, list(self.features)] = points
        return rows

    def project(self, rows: FloatArray) -> FloatArray:
        """Keep the two features that vary."""
        return rows[:, list(self.features)]

    def arrays(self) -> Arrays:
        """Return the two features and the data."""
        return {"features": np.array(self.features), "rows": self._rows}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the slice with these :meth:`arrays`."""
        rows = stored(arrays, "rows", None, None)
        if not len(rows):
            raise ValueError("'rows' of an embedding: expected at least one")
        return cls(rows, stored_pair(arrays, rows.shape[1]))


class Linear(Embedding):
    """The plane whose coordinates are the two components of a linear map.

    Parameters
    ----------
    center : ndarray of float64, shape (D,)
        The row at (0, 0).
    components : ndarray of float64, shape (2, D)
        A row's coordinates are ``components @ (row - center)``. A point is
        embedded as the row nearest to the centre that has its coordinates.

    Raises
    ------
    ValueError
        If the components are parallel or 0.

    Examples
    --------
    >>> plane = Linear(np.array([1.0, 1.0, 1.0]), np.array([[2.0, 0, 0], [0, 0, 1]]))
    >>> plane.embed(np.array([[2.0, 3.0]]))
    array([[2., 1., 4.]])
    """

    kind: ClassVar[str] = "linear"

    def __init__(self, center: Rows, components: Rows) -> None:
        lengths = np.linalg.norm(components, axis=1)
        if not (np.isfinite(lengths).all() and lengths.min() > 0) or (
            np.linalg.svd(components / lengths[:, None], compute_uv=False)[-1] < _FLAT
        ):
            raise ValueError(
                f"components: the lengths of the two rows are {lengths[0]:.3g} and "
                f"{lengths[1]:.3g}, and they span no plane: expected two directions that are "
                "neither 0 nor parallel"
            )
        self.center = center
        self.components = components
        self.n_features = len(center)
        self._directions = np.linalg.pinv(components).T

    def embed(self, points: FloatArray) -> FloatArray:
        """Return the rows at plane coordinates."""
        rows: FloatArray = self.center + points @ self._directions
        return rows

    def project(self, rows: FloatArray) -> FloatArray:
        """Apply the linear map."""
        points: FloatArray = (rows - self.center) @ self.components.T
        return points

    def arrays(self) -> Arrays:
        """Return the centre and the components."""
        return {"center": self.center, "components": self.components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the plane with these :meth:`arrays`."""
        center = stored(arrays, "center", None)
        return cls(center, stored(arrays, "components", 2, len(center)))


class Through(Embedding):
    r"""The plane through three samples, in their own units of length.

    The first lies at (0, 0), the second at (\|b - a\|, 0), the third above the
    x axis. Rows outside the plane are projected orthogonally.

    Parameters
    ----------
    anchors : ndarray of float64, shape (3, D)

    Raises
    ------
    ValueError
        If two of the samples are equal, or the three lie on a line.

    Examples
    --------
    >>> plane = Through(np.array([[0.0, 0, 1], [2, 0, 1], [1, 0, 4]]))
    >>> plane.project(plane.anchors)
    array([[0., 0.],
           [2., 0.],
           [1., 3.]])
    """

    kind: ClassVar[str] = "through"

    def __init__(self, anchors: Rows) -> None:
        self._anchors = anchors
        self.n_features = anchors.shape[1]
        a, b, c = anchors
        sides = {
            "a and b": np.linalg.norm(b - a),
            "a and c": np.linalg.norm(c - a),
            "b and c": np.linalg.norm(c - b),
        }
        longest = max(float(side) for side in sides.values())
        for names, side in sides.items():
            if not side > _FLAT * max(longest, 1e-300):
                raise ValueError(
                    f"the samples {names} are equal: expected three different ones, not on a line"
                )
        along = (b - a) / sides["a and b"]
        # Twice, because for nearly parallel vectors the first difference is mostly rounding error.
        up = (c - a) - ((c - a) @ along) * along
        up -= (up @ along) * along
        height = np.linalg.norm(up)
        if not (np.isfinite(longest) and height > _FLAT * longest):
            raise ValueError(
                f"the samples a, b and c lie on a line (c is {height:.3g} away from it), which "
                "spans no plane: take another third sample"
            )
        self._axes = np.stack([along, up / height])

    @property
    def anchors(self) -> FloatArray:
        """The three samples, shape (3, D)."""
        return self._anchors

    def embed(self, points: FloatArray) -> FloatArray:
        """Return the rows at plane coordinates."""
        rows: FloatArray = self._anchors[0] + points @ self._axes
        return rows

    def project(self, rows: FloatArray) -> FloatArray:
        """Project rows orthogonally onto the plane."""
        points: FloatArray = (rows - self._anchors[0]) @ self._axes.T
        return points

    def arrays(self) -> Arrays:
        """Return the three samples."""
        return {"anchors": self._anchors}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the plane with these :meth:`arrays`."""
        return cls(stored(arrays, "anchors", 3, None))


class Reduced(Embedding):
    """The transform of a fitted reducer to two dimensions, and its inverse.

    Parameters
    ----------
    reducer : object
        With ``transform`` and ``inverse_transform``, as scikit-learn has them.
    n_features : int

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> rows = np.array([[0.0, 0, 0], [1, 0, 2], [0, 3, 0]])
    >>> plane = Reduced(PCA(2).fit(rows), 3)
    >>> plane.embed(plane.project(rows)).round(6) + 0.0
    array([[0., 0., 0.],
           [1., 0., 2.],
           [0., 3., 0.]])
    """

    kind: ClassVar[str] = "reduced"
    costly: ClassVar[bool] = True

    def __init__(self, reducer: Any, n_features: int) -> None:
        self._reducer = reducer
        self.n_features = n_features

    def embed(self, points: FloatArray) -> FloatArray:
        """Return the reducer's inverse transform."""
        return np.asarray(to_numpy(self._reducer.inverse_transform(points)), dtype=np.float64)

    def project(self, rows: FloatArray) -> FloatArray:
        """Return the reducer's transform."""
        given = self._reducer.transform(named_columns(self._reducer, rows))
        return np.asarray(to_numpy(given), dtype=np.float64)


class GridRows:
    """The embedded rows of a grid, cached if the embedding is costly.

    Parameters
    ----------
    n_points, n_features : int
        With 0 nothing is cached.

    Examples
    --------
    >>> rows = GridRows(4, 1)
    >>> rows(np.array([2, 0]), lambda index: index[:, None] * 10.0)
    array([[20.],
           [ 0.]])
    >>> rows(np.array([0, 2]), None)
    array([[ 0.],
           [20.]])
    """

    def __init__(self, n_points: int = 0, n_features: int = 0) -> None:
        self._rows = np.empty((n_points, n_features))
        self._known = np.zeros(n_points, dtype=bool)

    @classmethod
    def of(cls, embedding: Embedding, n_points: int) -> Self:
        """Return one that caches if the embedding is costly and the rows fit in 256 MiB."""
        size = n_points * embedding.n_features
        return cls(n_points, embedding.n_features) if embedding.costly and size <= _KEPT else cls()

    def __call__(
        self,
        index: npt.NDArray[np.integer[Any]],
        embed: Callable[[npt.NDArray[np.integer[Any]]], FloatArray],
    ) -> FloatArray:
        """Return the rows of grid points by their flat index."""
        if not len(self._known):
            return embed(index)
        new = np.unique(index[~self._known[index]])
        if len(new):
            # Rows before marks, because another thread may be reading.
            self._rows[new] = embed(new)
            self._known[new] = True
        rows: FloatArray = self._rows[index]
        return rows

    def __reduce__(self) -> tuple[Any, ...]:
        # The cache is not pickled: copies, and other processes, fill their own.
        return type(self), self._rows.shape


def principal_axes(rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the mean of data, their first two principal axes and the variance along each.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, D)

    Returns
    -------
    center : ndarray of float64, shape (D,)
    components : ndarray of float64, shape (2, D)
        Of length 1, each with its largest entry positive.
    shares : ndarray of float64, shape (2,)
        The share of the total variance along each.

    Raises
    ------
    ValueError
        If the data vary along less than two directions.

    Examples
    --------
    >>> center, components, shares = principal_axes(np.array([[0.0, 0, 1], [4, 0, 1], [2, 1, 1]]))
    >>> center.round(2), components.round(2), shares.round(2)
    (array([2.  , 0.33, 1.  ]), array([[1., 0., 0.],
           [0., 1., 0.]]), array([0.92, 0.08]))
    """
    center = rows.mean(axis=0)
    away = rows - center
    size = np.abs(away).max()
    away = away / (size if size > 0 else 1.0)
    # Of the covariance (D, D) and the Gram matrix (n, n) the smaller one is decomposed.
    tall = len(rows) >= rows.shape[1]
    values, vectors = np.linalg.eigh(away.T @ away if tall else away @ away.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    if len(values) < 2 or not values[1] > _FLAT**2 * values[0]:
        raise ValueError(
            "X varies along fewer than two directions, which span no plane: expected at least "
            "three rows that are not on a line"
        )
    axes = vectors[:, :2].T if tall else vectors[:, :2].T @ away
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.sign(axes[[0, 1], largest])[:, None]
    return center, axes, values[:2] / values.sum()


def _nearest(points: FloatArray, places: Rows) -> npt.NDArray[np.intp]:
    size = max(1, _BLOCK // len(places))
    parts = [np.empty(0, dtype=np.intp)]
    for start in range(0, len(points), size):
        x, y = (points[start : start + size, axis, None] for axis in (0, 1))
        parts.append(((x - places[:, 0]) ** 2 + (y - places[:, 1]) ** 2).argmin(axis=1))
    return np.concatenate(parts)
