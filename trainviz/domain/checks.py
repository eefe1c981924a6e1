"""Validation of a domain's arguments, before they are used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz._common.checks import check_list
from trainviz.domain.embeddings import Fixed, FloatArray
from trainviz.domain.inputs import Shape, convert_each, rows_and_shape

__all__ = [
    "MAX_POINTS",
    "as_batch",
    "ask_reducer",
    "check_axis_names",
    "check_components",
    "check_embedded",
    "check_features",
    "check_limits",
    "check_margin",
    "check_resolution",
    "check_rows",
    "check_shape",
    "check_subset",
    "component_names",
    "default_shape",
    "fixed_row",
    "framed",
    "grid_shape",
    "padded",
    "reducer_lacks",
]

MAX_POINTS = 50_000_000
"""The largest number of grid points that a domain accepts."""


def check_limits(name: str, limits: tuple[float, float]) -> tuple[float, float]:
    """Return ``(low, high)`` as floats; raise unless they are finite and increasing."""
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


def check_axis_names(names: Any) -> tuple[str | None, str | None]:
    """Return the names of the x and the y axis; raise unless it is a list of two."""
    listed = check_list("axis_names", names, "two, of the x and the y axis")
    if len(listed) != 2:
        raise ValueError(f"axis_names={names!r}: expected two, of the x and the y axis")
    x, y = (None if name is None else str(name) for name in listed)
    return x, y


def grid_shape(
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    step: float | None,
    shape: tuple[int, int] | None,
    points_per_axis: int | None,
) -> tuple[int, int]:
    """Return ``(H, W)`` from the one resolution that was given."""
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
        points = check_shape("points_per_axis", (points_per_axis, points_per_axis))
    else:
        points = check_shape("shape", shape)
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
        # Clipped before rounding, because a tiny step overflows to infinity, which round refuses.
        counts.append(round(min((high - low) / step, 2.0 * MAX_POINTS)) + 1)
    return counts[0], counts[1]


def check_shape(name: str, shape: Any) -> tuple[int, int]:
    """Return ``(H, W)`` as integers; raise unless both are at least 2."""
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


def check_features(
    features: tuple[int | str, int | str] | None, names: list[str], n_columns: int
) -> tuple[int, int]:
    """Return the positions of the two columns that ``features`` names."""
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


def check_margin(margin: Any) -> float:
    """Return the margin as a float; raise if it is negative or not finite."""
    if not (isinstance(margin, (int, float, np.number)) and 0 <= margin < math.inf):
        raise ValueError(f"margin={margin!r}: expected a share of the data's range, e.g. 0.1")
    return float(margin)


def check_rows(X: Any) -> npt.NDArray[np.float64]:
    """Return a table of numbers, shape (n, D), with at least one row and two columns."""
    try:
        rows = np.asarray(to_numpy(X), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must be numbers of shape (n, D): {error}") from None
    if rows.ndim != 2 or rows.shape[1] < 2 or not len(rows):
        raise ValueError(f"X has the shape {rows.shape}: expected (n, D), n >= 1 rows, D >= 2")
    if not np.isfinite(rows).all():
        raise ValueError("X holds NaN or infinities: drop or fill those rows first")
    return rows


def check_embedded(embedded: Any, n_rows: int, name: str = "embedded") -> npt.NDArray[np.float64]:
    """Return the plane coordinates of the rows, shape (n, 2); raise if they do not fit."""
    try:
        places = np.asarray(to_numpy(embedded), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers of shape (n, 2): {error}") from None
    if places.shape != (n_rows, 2):
        raise ValueError(
            f"{name} has the shape {places.shape}: expected ({n_rows}, 2), a place in the plane "
            "for each row of X (two components, n_components=2)"
        )
    if not np.isfinite(places).all():
        raise ValueError(f"{name} holds NaN or infinities")
    return places


def fixed_row(
    fixed: Fixed, rows: npt.NDArray[np.float64], discrete: Sequence[int] = ()
) -> tuple[float, ...]:
    """Return the row that gives the features that do not vary their values.

    Columns that are ``discrete`` have their most frequent value instead of a mean.
    """
    if isinstance(fixed, str):
        if fixed not in ("mean", "median"):
            raise ValueError(
                f"fixed={fixed!r}: expected 'mean', 'median', 'nearest', a row number or a row "
                "of values"
            )
        row = rows.mean(axis=0) if fixed == "mean" else np.median(rows, axis=0)
        for place in discrete:
            known, counts = np.unique(rows[:, place], return_counts=True)
            row[place] = known[counts.argmax()]
    elif isinstance(fixed, (int, np.integer)):
        if not -len(rows) <= fixed < len(rows):
            raise ValueError(f"fixed={fixed}: X has {len(rows)} rows, 0 to {len(rows) - 1}")
        row = rows[fixed]
    else:
        row = np.asarray(fixed, dtype=np.float64)
        if row.shape != rows.shape[1:] or not np.isfinite(row).all():
            raise ValueError(
                f"fixed has the shape {row.shape}: expected one row of {rows.shape[1]} finite "
                "values, as X has columns"
            )
    return tuple(float(value) for value in row)


def framed(places: FloatArray, margin: float) -> list[tuple[float, float]]:
    """Return ``[xlim, ylim]``, which enclose ``(n, 2)`` points with a margin."""
    return [padded(places[:, axis], margin) for axis in (0, 1)]


def padded(values: FloatArray, margin: float) -> tuple[float, float]:
    """Return the two ends of an axis that encloses values with a margin."""
    low, high = float(values.min()), float(values.max())
    # A constant column has a range of 0, of which any share is 0.
    pad = margin * (high - low) if high > low else max(margin, 0.5)
    return low - pad, high + pad


def check_resolution(resolution: Any) -> tuple[int, int]:
    """Return ``(H, W)``; a single number is used for both."""
    pair = resolution if np.ndim(resolution) else (resolution, resolution)
    return check_shape("resolution", pair)


def as_batch(sample: Any) -> Any:
    """Return one sample as a batch of one: add a leading axis to each of its arrays."""
    several = isinstance(sample, Mapping) or (
        isinstance(sample, tuple) and all(getattr(part, "ndim", 0) for part in sample)
    )
    if several:
        return convert_each(sample, lambda part: to_numpy(part)[None])
    return to_numpy(sample)[None]


def default_shape(given: Shape | None, own: Shape, preprocess: Any) -> Shape | None:
    """Return ``given``, or by default the data's shape, which a transformer may change."""
    return own if given is None and not hasattr(preprocess, "transform") else given


def check_subset(rows: npt.NDArray[np.float64], subset: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the rows that a boolean mask or row numbers select."""
    chosen = np.asarray(subset)
    fits = chosen.ndim == 1 and (
        (chosen.dtype.kind == "b" and len(chosen) == len(rows))
        or (chosen.dtype.kind in "iu" and (np.abs(chosen + 0.5) < len(rows)).all())
    )
    if not fits or not chosen.size or (chosen.dtype.kind == "b" and not chosen.any()):
        raise ValueError(
            f"subset: got {chosen.dtype} of the shape {chosen.shape}; expected a mask of "
            f"{len(rows)} values, or numbers of rows below that, and at least one"
        )
    part: npt.NDArray[np.float64] = rows[chosen]
    return part


def check_components(components: npt.ArrayLike, n_features: int) -> npt.NDArray[np.float64]:
    """Return the linear map as an array of shape (2, D); raise if it has another shape."""
    rows, _ = rows_and_shape(components, "components")
    if rows.shape != (2, n_features):
        raise ValueError(
            f"components has the shape {rows.shape}: expected (2, {n_features}), a row for each "
            "axis and a column for each feature of X"
        )
    return rows


def ask_reducer(reducer: Any, method: str, given: Any) -> Any:
    """Call a method of a reducer; its exceptions become a ValueError that says what to pass."""
    try:
        return getattr(reducer, method)(given)
    except Exception as error:
        raise ValueError(reducer_lacks(reducer, f"failed on {method}: {error}")) from error


def component_names(name: str, shares: Any = None) -> tuple[str, str]:
    """Return the names of two axes, with the explained variance of each if it is known."""
    if shares is None or len(shares) < 2:
        return f"{name} 1", f"{name} 2"
    first, second = (f"{name} {i + 1} ({100 * float(shares[i]):.0f} %)" for i in (0, 1))
    return first, second


def reducer_lacks(reducer: Any, problem: str) -> str:
    """Return an error message that states a reducer's problem and what is expected."""
    return (
        f"reducer={type(reducer).__name__} {problem}. Expected one that is fitted, with transform "
        "and inverse_transform (KernelPCA: fit_inverse_transform=True); for any other embedding "
        "learn its inverse: Domain.from_embedding(X, embedded), where embedded is what its "
        "fit_transform returned"
    )
