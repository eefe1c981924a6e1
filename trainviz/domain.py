"""The two-dimensional window onto a model's input space, and its grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.embedding import Embedding, Fixed, FloatArray, Plane, Slice

__all__ = ["MAX_POINTS", "Domain", "Embedding", "Plane", "Slice"]

MAX_POINTS = 50_000_000
"""The largest number of grid points that a domain accepts."""


class Domain:
    """A two-dimensional window onto a model's input space, with a grid on it.

    The grid includes both ends of both axes; row 0 is ``ylim[0]`` (origin
    lower). Give exactly one of ``step``, ``shape`` and ``points_per_axis``.

    Parameters
    ----------
    xlim, ylim : tuple of float
        The window, ``(low, high)``, in the units of the model's input.
    step : float, optional
        The distance of neighbouring grid points. Where it does not divide the
        window, the nearest distance that does is taken, axis by axis.
    shape : tuple of int, optional
        ``(H, W)``: points along y and along x.
    points_per_axis : int, optional
        The same number of points along either axis.
    embedding : Embedding, optional
        How plane coordinates become model inputs; default is a model with two
        features. :meth:`around` makes the others.
    input_shape : tuple of int, optional
        The shape of one model input, when the model wants its features in
        another shape than a flat row, e.g. ``(1, 2)`` for a sequence.
    axis_names : tuple of (str or None), optional
        What the axes mean, for the axis labels of pictures.

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
        input_shape: tuple[int, ...] | None = None,
        axis_names: tuple[str | None, str | None] = (None, None),
    ) -> None:
        self.xlim = _check_limits("xlim", xlim)
        self.ylim = _check_limits("ylim", ylim)
        self.shape = _grid_shape(self.xlim, self.ylim, step, shape, points_per_axis)
        self.embedding = embedding if embedding is not None else Plane()
        self.input_shape = _check_input_shape(input_shape, self.embedding.n_features)
        self.axis_names = axis_names
        self.x: npt.NDArray[np.float64] = np.linspace(*self.xlim, self.shape[1])
        self.y: npt.NDArray[np.float64] = np.linspace(*self.ylim, self.shape[0])

    @classmethod
    def around(
        cls,
        X: npt.ArrayLike,
        margin: float = 0.1,
        resolution: int | tuple[int, int] = 400,
        *,
        features: tuple[int | str, int | str] | None = None,
        fixed: Fixed = "mean",
        input_shape: tuple[int, ...] | None = None,
    ) -> Domain:
        """Frame the data: the window that holds every row of ``X``, and a margin.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, D)
            The data in the model's own units.
        margin : float, default 0.1
            What is added on every side, as a share of the data's range.
        resolution : int or tuple of int, default 400
            Grid points along either axis, or ``(H, W)``.
        features : tuple of int or str, optional
            The two columns that vary, by position or (in a DataFrame) by name;
            needed when ``X`` has more than two.
        fixed : {"mean", "median"}, int or array-like, default "mean"
            Where the other columns stay: at their mean, their median, at row
            number ``fixed`` of ``X``, or at the given row of D values.
        input_shape : tuple of int, optional
            As for :class:`Domain`.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If ``X`` is empty, not finite or not two-dimensional, has more than
            two columns and ``features`` is missing, ``features`` are equal or
            out of range, or ``fixed`` fits no row.

        Examples
        --------
        >>> X = [[0.0, 10.0, 5.0], [2.0, 30.0, 7.0]]
        >>> domain = Domain.around(X, margin=0, resolution=(2, 3), features=(0, 2), fixed="mean")
        >>> domain.extent
        (0.0, 2.0, 5.0, 7.0)
        >>> domain.points(0, 3)
        array([[ 0., 20.,  5.],
               [ 1., 20.,  5.],
               [ 2., 20.,  5.]])
        """
        names = [str(name) for name in getattr(X, "columns", [])]
        rows = _check_rows(X)
        pair = _check_features(features, names, rows.shape[1])
        if not (isinstance(margin, (int, float, np.number)) and 0 <= margin < math.inf):
            raise ValueError(f"margin={margin!r}: expected a share of the data's range, e.g. 0.1")
        limits = [_padded(rows[:, column], margin) for column in pair]
        wide = rows.shape[1] > 2 or pair != (0, 1)
        default_names = (f"feature {pair[0]}", f"feature {pair[1]}") if wide else (None, None)
        return cls(
            limits[0],
            limits[1],
            shape=_check_shape(
                "resolution", resolution if np.ndim(resolution) else (resolution, resolution)
            ),
            embedding=Slice.of(rows, pair, fixed) if wide else None,
            input_shape=input_shape,
            axis_names=(names[pair[0]], names[pair[1]]) if names else default_names,
        )

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The window as ``(x0, x1, y0, y1)``."""
        return (*self.xlim, *self.ylim)

    @property
    def n_points(self) -> int:
        """The number of grid points, ``H * W``."""
        return self.shape[0] * self.shape[1]

    def embed(self, points: npt.ArrayLike) -> FloatArray:
        """Map plane coordinates to model inputs.

        Parameters
        ----------
        points : array-like, shape (n, 2)

        Returns
        -------
        ndarray, shape (n, *input_shape)
        """
        plane = np.asarray(points, dtype=np.float64)
        return self.embedding.embed(plane).reshape(len(plane), *self.input_shape)

    def project(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map model inputs to plane coordinates, for the data overlay.

        Parameters
        ----------
        X : array-like, shape (n, *input_shape) or (n, n_features)

        Returns
        -------
        ndarray of float64, shape (n, 2)

        Raises
        ------
        ValueError
            If the rows of ``X`` are not the model inputs of this domain.
        """
        inputs = np.asarray(X, dtype=np.float64)
        if inputs.ndim < 2 or math.prod(inputs.shape[1:]) != self.embedding.n_features:
            raise ValueError(
                f"X has the shape {inputs.shape}, but one input of this domain has "
                f"{self.embedding.n_features} features (shape {self.input_shape}): expected "
                f"(n, {', '.join(map(str, self.input_shape))}). For data with more than two "
                "columns make the domain with Domain.around(X, features=(i, j))"
            )
        rows = inputs.reshape(len(inputs), self.embedding.n_features)
        return np.asarray(self.embedding.project(rows), dtype=np.float64)

    def points(
        self, start: int = 0, stop: int | None = None, dtype: npt.DTypeLike = np.float64
    ) -> FloatArray:
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
        ndarray, shape (stop - start, *input_shape)
        """
        end = self.n_points if stop is None else min(stop, self.n_points)
        return self.points_at(np.arange(start, end), dtype)

    def points_at(
        self, index: npt.NDArray[np.integer[Any]], dtype: npt.DTypeLike = np.float64
    ) -> FloatArray:
        """Return single grid points as model inputs.

        Parameters
        ----------
        index : ndarray of int, shape (n,)
            Flat grid indices, in the order of :meth:`points`.
        dtype : dtype, default float64

        Returns
        -------
        ndarray, shape (n, *input_shape)

        Examples
        --------
        >>> Domain((0, 1), (0, 1), points_per_axis=2).points_at(np.array([3, 0]))
        array([[1., 1.],
               [0., 0.]])
        """
        row, column = np.divmod(index, self.shape[1])
        plane = np.stack([self.x[column], self.y[row]], axis=1)
        return self.embed(plane).astype(dtype, copy=False)

    def chunks(self, size: int, dtype: npt.DTypeLike = np.float64) -> Iterator[FloatArray]:
        """Hand out the whole grid as model inputs, at most ``size`` points at a time.

        Parameters
        ----------
        size : int
        dtype : dtype, default float64

        Yields
        ------
        ndarray, shape (n, *input_shape) with n <= size

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Domain):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.extent, self.shape, self.embedding, self.input_shape)

    def __repr__(self) -> str:
        wide = "" if self.embedding.n_features == 2 else f", n_features={self.embedding.n_features}"
        return f"Domain(xlim={self.xlim}, ylim={self.ylim}, shape={self.shape}{wide})"


def _check_limits(name: str, limits: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}={limits!r}: expected two numbers (low, high), e.g. {name}=(-3, 3)"
        ) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name}={limits!r}: both limits must be finite numbers")
    if low >= high:
        mend = f"did you mean ({high:g}, {low:g})?" if low > high else "the window has no width"
        raise ValueError(f"{name}={limits!r}: expected (low, high) with low < high; {mend}")
    if not math.isfinite(high - low):
        raise ValueError(f"{name}={limits!r}: the window is wider than floating point can count")
    return low, high


def _grid_shape(
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    step: float | None,
    shape: tuple[int, int] | None,
    points_per_axis: int | None,
) -> tuple[int, int]:
    given = [name for name, value in
             (("step", step), ("shape", shape), ("points_per_axis", points_per_axis))
             if value is not None]  # fmt: skip
    if len(given) != 1:
        raise TypeError(
            "Domain needs exactly one of step=, shape= and points_per_axis=, got "
            + (" and ".join(given) if given else "none of them")
        )
    if step is not None:
        points = _shape_from_step(xlim, ylim, step)
    elif points_per_axis is not None:
        points = _check_shape("points_per_axis", (points_per_axis, points_per_axis))
    else:
        points = _check_shape("shape", shape)
    if points[0] * points[1] > MAX_POINTS:
        raise ValueError(
            f"{given[0]} gives a grid of {points[0]} x {points[1]} = {points[0] * points[1]:,} "
            f"points; the limit is {MAX_POINTS:,}. Take a larger step or fewer points: a picture "
            "shows no more than its own pixels"
        )
    return points


def _shape_from_step(
    xlim: tuple[float, float], ylim: tuple[float, float], step: float
) -> tuple[int, int]:
    if not (isinstance(step, (int, float, np.number)) and math.isfinite(step) and step > 0):
        raise ValueError(f"step={step!r}: expected a positive distance between grid points")
    counts = []
    for name, (low, high) in (("ylim", ylim), ("xlim", xlim)):
        if step > high - low:
            raise ValueError(
                f"step={step:g} is larger than the window {name}=({low:g}, {high:g}), which is "
                f"{high - low:g} wide: take a smaller step, e.g. {(high - low) / 100:g}"
            )
        # Bounded before it is rounded: a tiny step would overflow to infinity.
        counts.append(round(min((high - low) / step, 2.0 * MAX_POINTS)) + 1)
    return counts[0], counts[1]


def _check_shape(name: str, shape: Any) -> tuple[int, int]:
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise TypeError(f"{name}={shape!r}: expected (H, W), two whole numbers") from None
    for count in (height, width):
        if isinstance(count, bool) or not hasattr(count, "__index__"):
            raise TypeError(f"{name}: got {count!r}, expected a whole number of grid points")
        if count < 2:
            raise ValueError(f"{name}: got {count}, a grid needs at least 2 points along an axis")
    return int(height), int(width)


def _check_input_shape(shape: tuple[int, ...] | None, n_features: int) -> tuple[int, ...]:
    if shape is None:
        return (n_features,)
    if not isinstance(shape, (tuple, list)) or min(shape, default=1) < 1:
        raise ValueError(f"input_shape={shape!r}: expected a tuple of sizes, e.g. (1, 2)")
    if math.prod(shape) != n_features:
        raise ValueError(
            f"input_shape={shape!r} holds {math.prod(shape)} values, but a point of this domain "
            f"has {n_features} features"
        )
    return tuple(int(side) for side in shape)


def _check_rows(X: Any) -> npt.NDArray[np.float64]:
    try:
        rows = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must be numbers of shape (n, D): {error}") from None
    if rows.ndim != 2 or rows.shape[1] < 2 or not len(rows):
        raise ValueError(f"X has the shape {rows.shape}: expected (n, D), n >= 1 rows, D >= 2")
    if not np.isfinite(rows).all():
        raise ValueError("X holds NaN or infinities: drop or fill those rows first")
    return rows


def _check_features(
    features: tuple[int | str, int | str] | None, names: list[str], n_columns: int
) -> tuple[int, int]:
    if features is None:
        if n_columns > 2:
            raise ValueError(
                f"X has {n_columns} columns and a window shows two: name them with "
                "features=(i, j); fixed= says where the others stay"
            )
        return 0, 1
    if isinstance(features, str) or len(features) != 2:
        raise ValueError(f"features={features!r}: expected two columns, e.g. features=(0, 1)")
    columns = []
    for feature in features:
        if isinstance(feature, str) and feature not in names:
            known = f"its columns are {names}" if names else "it has no column names, use positions"
            raise ValueError(f"features={features!r}: X has no column {feature!r}; {known}")
        column = names.index(feature) if isinstance(feature, str) else int(feature)
        if not -n_columns <= column < n_columns:
            raise ValueError(
                f"features={features!r}: X has {n_columns} columns, 0 to {n_columns - 1}"
            )
        columns.append(column % n_columns)
    if columns[0] == columns[1]:
        raise ValueError(f"features={features!r}: the two axes need two different columns")
    return columns[0], columns[1]


def _padded(values: npt.NDArray[np.float64], margin: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    # A column with one value has no range to take a share of.
    pad = margin * (high - low) if high > low else max(margin, 0.5)
    return low - pad, high + pad
