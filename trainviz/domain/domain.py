"""The two-dimensional window onto a model's input space, and its grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.domain.axes import Axis
from trainviz.domain.checks import MAX_POINTS, check_axis_names, check_limits, grid_shape
from trainviz.domain.constructors import DomainConstructors
from trainviz.domain.embeddings import (
    Embedding,
    FloatArray,
    Plane,
    Slice,
    UnstoredEmbedding,
    name_of,
)
from trainviz.domain.inputs import InputForm, Inputs, Shape
from trainviz.domain.planes import GridRows
from trainviz.domain.table_slice import TableSlice
from trainviz.domain.tables import TableForm

__all__ = ["MAX_POINTS", "Domain", "Embedding", "Plane", "Slice", "require_domain"]

_BLOCK = 2**22
"""Largest number of values per block in :meth:`Domain.distance`, to bound its memory."""

_DOUBT_GRID = 200
"""Points along an axis at which :attr:`Domain.doubt` is computed."""


_GOLDEN, _PLASTIC = 0.6180339887, (0.7548776662, 0.5698402910)
"""Multiples of these fill an interval and a square evenly, however many there are."""

_WITHIN = 0.7
"""The part of a band in which points are scattered."""


class Domain(DomainConstructors):
    """A two-dimensional window onto a model's input space, with a grid on it.

    The grid includes both ends of both axes; row 0 is ``ylim[0]`` (origin
    lower). Give exactly one of ``step``, ``shape`` and ``points_per_axis``.

    Parameters
    ----------
    xlim, ylim : tuple of float
        The window, ``(low, high)``, in the units of the inputs.
    step : float, optional
        The distance of neighbouring grid points. Where it does not divide the
        window, the nearest distance that does is taken, axis by axis.
    shape : tuple of int, optional
        ``(H, W)``: points along y and along x.
    points_per_axis : int, optional
        The same number of points along either axis.
    embedding : Embedding, optional
        How plane coordinates become inputs; default is a model with two
        features. :meth:`around`, :meth:`slice`, :meth:`through`,
        :meth:`principal`, :meth:`from_reducer` and :meth:`from_embedding`
        make the others.
    input_shape : tuple of int, mapping of str to tuple, or tuple of tuples, optional
        The shape of one model input, if the model does not take its features
        as a flat row, e.g. ``(1, 2)`` for a sequence. With a
        mapping or a tuple of shapes the model is given a dict or a tuple of
        arrays, which take their values from a row in this order.
    preprocess : transformer or callable, optional
        Converts inputs in the user's units, those of the plane, to the model's:
        a fitted scikit-learn transformer or pipeline, which is given flat rows
        (``input_shape`` is that of its result), or a callable
        ``(N, *input_shape) array -> what the model takes``.
    axis_names : tuple of (str or None), optional
        What the axes mean, for the axis labels of pictures.
    feature_names : sequence of str, optional
        The columns of an input, in order; constructors take them from a table. A
        model that was fitted on a table is asked with its own columns and order,
        and a table of data is put in this order, by name. Columns of a pandas table that
        do not vary keep their types (integers, categories of numbers) where values allow it.

    Attributes
    ----------
    xlim, ylim : tuple of float
    shape : tuple of int
        ``(H, W)``.
    x : ndarray of float64, shape (W,)
    y : ndarray of float64, shape (H,)
    extent : tuple of float
        ``(x0, x1, y0, y1)``, as matplotlib's ``imshow`` takes it.
    n_points : int
        ``H * W``.
    input_shape : tuple of int, dict of str to tuple, or tuple of tuples
    preprocess : transformer, callable or None
    feature_names : tuple of str, or None
    axes : tuple of Axis
        What coordinates along x and y mean: their ``kind`` is ``"number"``,
        ``"category"`` or ``"date"``.

    Raises
    ------
    ValueError
        If a limit is not finite or not increasing, the step is larger than the
        window, the grid has over 50 million points, or the shapes disagree.
    TypeError
        If not exactly one of the three resolutions is given.

    Examples
    --------
    >>> domain = Domain(xlim=(-3, 15), ylim=(-5, 14), step=0.5)
    >>> domain.shape, domain.extent
    ((39, 37), (-3.0, 15.0, -5.0, 14.0))
    >>> domain.points(0, 2)
    array([[-3. , -5. ],
           [-2.5, -5. ]])
    """

    def __init__(
        self,
        xlim: tuple[float, float],
        ylim: tuple[float, float],
        *,
        step: float | None = None,
        shape: tuple[int, int] | None = None,
        points_per_axis: int | None = None,
        embedding: Embedding | None = None,
        input_shape: Shape | None = None,
        preprocess: Any = None,
        axis_names: tuple[str | None, str | None] = (None, None),
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.xlim = check_limits("xlim", xlim)
        self.ylim = check_limits("ylim", ylim)
        self.shape = grid_shape(self.xlim, self.ylim, step, shape, points_per_axis)
        self.embedding = embedding if embedding is not None else Plane()
        self.axis_names = check_axis_names(axis_names)
        self.preprocess = preprocess
        self.x: npt.NDArray[np.float64] = np.linspace(*self.xlim, self.shape[1])
        self.y: npt.NDArray[np.float64] = np.linspace(*self.ylim, self.shape[0])
        middle = np.array([[sum(self.xlim) / 2, sum(self.ylim) / 2]])
        tried = np.asarray(self.embedding.trial(middle), dtype=np.float64)
        for axis, limits, lines in zip(
            self.embedding.axes, (self.xlim, self.ylim), reversed(self.shape), strict=True
        ):
            axis.check_grid(limits, lines)
        self._form = self._make_form(tried, input_shape, feature_names)
        self.feature_names = self._form.names
        self.input_shape = self._form.shape
        self._rows = GridRows.of(self.embedding, self.n_points)

    def _make_form(
        self,
        tried: npt.NDArray[np.float64],
        shape: Shape | None,
        names: Sequence[str] | None,
    ) -> InputForm:
        slice_ = self.embedding
        if isinstance(slice_, TableSlice) and slice_.table is not None:
            return TableForm(slice_.table, slice_.features, tried, shape, self.preprocess)
        return InputForm(tried, shape, self.preprocess, names)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """What the coordinates along x and y mean: numbers, dates, or bands of categories."""
        return self.embedding.axes

    @property
    def bands(self) -> tuple[int | None, int | None]:
        """The numbers of categories along y and x; None where the axis has none."""
        x, y = self.axes
        return y.bands, x.bands

    @property
    def is_table(self) -> bool:
        """Whether inputs are DataFrames, whose rows :meth:`flatten` turns into numbers."""
        return isinstance(self._form, TableForm)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The window as ``(x0, x1, y0, y1)``."""
        return (*self.xlim, *self.ylim)

    @property
    def ratio(self) -> float | None:
        """The width of the window by its height; None where no units can be compared."""
        if any(axis.kind != "number" for axis in self.axes):
            return None
        return (self.xlim[1] - self.xlim[0]) / (self.ylim[1] - self.ylim[0])

    @property
    def n_points(self) -> int:
        """The number of grid points, ``H * W``."""
        return self.shape[0] * self.shape[1]

    @property
    def n_values(self) -> int:
        """The number of values in one input, before or after ``preprocess``: the larger one."""
        return int(self._form.n_values)

    def embed(self, points: npt.ArrayLike) -> Inputs:
        """Map plane coordinates to inputs in the user's units.

        Parameters
        ----------
        points : array-like, shape (n, 2)

        Returns
        -------
        ndarray, shape ``(n, *input_shape)``, or dict or tuple of ndarray
            What :meth:`prepare` takes. With a transformer as ``preprocess``:
            flat rows, shape (n, n_features).
        """
        plane = np.asarray(points, dtype=np.float64)
        return self._form.raw(self.embedding.embed(plane))

    def project(self, X: Inputs) -> npt.NDArray[np.float64]:
        """Map inputs in the user's units to plane coordinates, for the data overlay.

        Parameters
        ----------
        X : array-like, shape ``(n, *input_shape)`` or (n, n_features), or dict or tuple

        Returns
        -------
        ndarray of float64, shape (n, 2)

        Raises
        ------
        ValueError
            If the rows of ``X`` are not the inputs of this domain.
        """
        return np.asarray(self.embedding.project(self.flatten(X)), dtype=np.float64)

    def distance(self, X: Inputs) -> npt.NDArray[np.float64]:
        """Return how far inputs are from the plane: from the embedding of their projections.

        Parameters
        ----------
        X : array-like, dict or tuple
            As for :meth:`project`.

        Returns
        -------
        ndarray of float64, shape (n,)
            Euclidean, in the user's units; with a transformer as ``preprocess``
            in those of its result, which are comparable among features.

        Examples
        --------
        >>> X = [[0.0, 0.0, 5.0], [1.0, 1.0, 7.0]]
        >>> Domain.slice(X, (0, 1)).distance(X)
        array([1., 1.])
        """
        rows = self.flatten(X)
        # In blocks, because the computation copies the rows.
        size = max(1, _BLOCK // self.n_values)
        parts = [
            self._form.distance(rows[start : start + size], self.embedding)
            for start in range(0, len(rows), size)
        ]
        return np.concatenate([np.empty(0), *parts])

    def flatten(self, X: Inputs) -> npt.NDArray[np.float64]:
        """Return inputs in the user's units as flat rows, shape (n, n_features)."""
        return self._form.rows(X)

    def prepare(self, X: Inputs, dtype: npt.DTypeLike = np.float64) -> Inputs:
        """Turn inputs in the user's units into the model's inputs.

        Parameters
        ----------
        X : array-like, dict or tuple
            As for :meth:`project`.
        dtype : dtype, default float64

        Returns
        -------
        ndarray, or dict or tuple of ndarray
            As :meth:`points`.

        Examples
        --------
        >>> domain = Domain((0, 9), (0, 9), points_per_axis=2, preprocess=lambda X: X / 9)
        >>> domain.prepare([[9, 0]])
        array([[1., 0.]])
        """
        return self._form.inputs(self.flatten(X), dtype)

    @property
    def anchors(self) -> npt.NDArray[np.float64] | None:
        """Plane coordinates of the samples that the plane goes through, shape (k, 2), or None."""
        rows = self.embedding.anchors
        return None if rows is None else np.asarray(self.embedding.project(rows), dtype=np.float64)

    @property
    def anchor_inputs(self) -> Inputs:
        """The samples that the plane goes through, in the user's units, or None."""
        rows = self.embedding.anchors
        return None if rows is None else self._form.raw(rows)

    @property
    def poor(self) -> npt.NDArray[np.bool_] | None:
        """Where the map is unreliable, because inputs are badly reconstructed.

        ndarray of bool, shape (H, W); None where the embedding is exact.
        """
        doubt = self._doubt_at(self.x, self.y)
        return None if doubt is None else doubt >= 1

    @cached_property
    def doubt(self) -> FloatArray | None:
        """How unreliable the reconstructed inputs are; from 1 on, pictures are hatched.

        ndarray, shape (200, 200), over the window; None where the embedding is exact.
        """
        return self._doubt_at(
            np.linspace(*self.xlim, _DOUBT_GRID), np.linspace(*self.ylim, _DOUBT_GRID)
        )

    def _doubt_at(
        self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> FloatArray | None:
        if self.embedding.doubt(np.empty((0, 2))) is None:
            return None
        points = np.stack([part.ravel() for part in np.meshgrid(x, y)], axis=1)
        doubt = self.embedding.doubt(points)
        return None if doubt is None else doubt.reshape(len(y), len(x))

    def points(
        self, start: int = 0, stop: int | None = None, dtype: npt.DTypeLike = np.float64
    ) -> Inputs:
        """Return grid points ``start`` to ``stop`` as model inputs.

        The order is row by row from ``ylim[0]`` up, x running fastest, so that
        a result reshaped to ``(H, W)`` is the map.

        Parameters
        ----------
        start : int, default 0
        stop : int, optional
            Default: to the last point.
        dtype : dtype, default float64

        Returns
        -------
        ndarray, shape ``(stop - start, *input_shape)``, or dict or tuple of ndarray
        """
        end = self.n_points if stop is None else min(stop, self.n_points)
        return self.points_at(np.arange(start, end), dtype)

    def points_at(
        self, index: npt.NDArray[np.integer[Any]], dtype: npt.DTypeLike = np.float64
    ) -> Inputs:
        """Return the grid points at the given indices as model inputs.

        Parameters
        ----------
        index : ndarray of int, shape (n,)
            Flat grid indices, in the order of :meth:`points`.
        dtype : dtype, default float64

        Returns
        -------
        ndarray, shape ``(n, *input_shape)``, or dict or tuple of ndarray

        Examples
        --------
        >>> Domain((0, 1), (0, 1), points_per_axis=2).points_at(np.array([3, 0]))
        array([[1., 1.],
               [0., 0.]])
        """
        return self._form.inputs(self._rows(index, self._embedded), dtype)

    def _embedded(self, index: npt.NDArray[np.integer[Any]]) -> FloatArray:
        row, column = np.divmod(index, self.shape[1])
        return self.embedding.embed(np.stack([self.x[column], self.y[row]], axis=1))

    def distinct_points(self) -> npt.NDArray[np.intp] | None:
        """Return the indices of grid points that have different inputs; None if all have.

        All points of a category's band that have the same other coordinate have the same
        input; :meth:`spread` gives all of them the value of the first.

        Examples
        --------
        >>> Domain((0, 1), (0, 1), points_per_axis=2).distinct_points() is None
        True
        """
        if self.bands == (None, None):
            return None
        rows, columns = (
            np.arange(0, lines, lines // bands if bands else 1)
            for lines, bands in zip(self.shape, self.bands, strict=True)
        )
        return np.add.outer(rows * self.shape[1], columns).ravel()

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values at :meth:`distinct_points`, shape (C, n), at all grid points, (C, H, W)."""
        sides = [bands or lines for lines, bands in zip(self.shape, self.bands, strict=True)]
        found = values.reshape(len(values), *sides)
        for axis, (lines, side) in enumerate(zip(self.shape, sides, strict=True), 1):
            if lines > side:
                found = np.repeat(found, lines // side, axis=axis)
        return found

    def scattered(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return plane coordinates of data, those in the middle of a band scattered in it.

        Points of one band would lie on one line, and of one cell on each other. The same
        points are always scattered in the same way.
        """
        if self.bands == (None, None):
            return points
        cells = np.zeros(len(points), dtype=np.intp)
        for at, axis in enumerate(self.axes):
            if axis.bands is not None:
                cells = cells * axis.bands + axis.band(points[:, at])
        order = np.argsort(cells, kind="stable")
        starts = np.searchsorted(cells[order], cells[order])
        number = np.empty(len(points))
        number[order] = np.arange(len(points)) - starts
        both = None not in self.bands
        moved = points.copy()
        for at, axis in enumerate(self.axes):
            if axis.bands is not None:
                step = _PLASTIC[at] if both else _GOLDEN
                moved[:, at] += _WITHIN * ((0.5 + number * step) % 1 - 0.5)
        return moved

    def place(self, x: float, y: float) -> str:
        """Return in words where a point of the plane is."""
        parts = []
        for letter, name, axis, value in zip("xy", self.axis_names, self.axes, (x, y), strict=True):
            if axis.kind == "number":
                parts.append(f"{letter}={value:.6g}")
            else:
                parts.append(f"{name or letter} = {axis.name_at(value)}")
        return ", ".join(parts)

    def chunks(self, size: int, dtype: npt.DTypeLike = np.float64) -> Iterator[Inputs]:
        """Yield the whole grid as model inputs, at most ``size`` points at a time.

        Parameters
        ----------
        size : int
        dtype : dtype, default float64

        Yields
        ------
        ndarray, shape ``(n, *input_shape)`` with n <= size, or dict or tuple of ndarray

        Examples
        --------
        >>> domain = Domain((0, 1), (0, 1), points_per_axis=3)
        >>> [len(chunk) for chunk in domain.chunks(4)]
        [4, 4, 1]
        """
        if size < 1:
            raise ValueError(f"size={size}: a chunk holds at least one point")
        for start in range(0, self.n_points, size):
            yield self.points(start, start + size, dtype)

    def matches(self, other: Domain) -> bool:
        """Return whether both grids have the same points, as far as that is known.

        Embeddings that could not be stored with a recording are compared by kind alone.

        Parameters
        ----------
        other : Domain

        Returns
        -------
        bool
        """
        if (self.extent, self.shape) != (other.extent, other.shape):
            return False
        if isinstance(self.embedding, TableSlice):
            return self.embedding == other.embedding
        if isinstance(self.embedding, UnstoredEmbedding) or isinstance(
            other.embedding, UnstoredEmbedding
        ):
            return name_of(self.embedding) == name_of(other.embedding)
        return self == other

    def is_beside(self, other: Domain) -> bool:
        """Return whether both are the same window onto the same columns of a table.

        They may have other fixed values, as those of :meth:`slices` have.
        """
        own, theirs = self.embedding, other.embedding
        if not (isinstance(own, TableSlice) and isinstance(theirs, TableSlice)):
            return False
        return (self.extent, self.shape) == (other.extent, other.shape) and own.is_beside(theirs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Domain):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        shape = self.input_shape
        flat = tuple(shape.items()) if isinstance(shape, Mapping) else shape
        return (self.extent, self.shape, self.embedding, flat, self.preprocess)

    def __repr__(self) -> str:
        if isinstance(self.embedding, TableSlice):
            x, y = (
                f"{name!r} {'of' if axis.bands else 'from'} {axis.describe(limits)}"
                for name, axis, limits in zip(
                    self.axis_names, self.axes, (self.xlim, self.ylim), strict=True
                )
            )
            fixed = self.embedding.describe_fixed()
            return f"Domain({x}; {y}; shape={self.shape}, fixed={fixed})"
        wide = "" if self.embedding.n_features == 2 else f", n_features={self.embedding.n_features}"
        return f"Domain(xlim={self.xlim}, ylim={self.ylim}, shape={self.shape}{wide})"


def require_domain(domain: Any) -> None:
    """Raise a TypeError for what is no domain."""
    if not isinstance(domain, Domain):
        raise TypeError(f"domain={domain!r}: expected a trainviz.Domain, e.g. Domain.around(X)")
