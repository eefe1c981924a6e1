"""Slices of tables: two columns vary, the others have fixed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from trainviz.domain.axes import LONGEST_NAME, MAX_CATEGORIES, Axis
from trainviz.domain.checks import padded
from trainviz.domain.embeddings import Embedding, FloatArray, UnstoredEmbedding
from trainviz.domain.tables import Column, Table

__all__ = ["TableSlice", "axis_of", "fixed_values"]

Rows = npt.NDArray[np.float64]

_FEW = 4
"""So many fixed values are listed."""


class TableSlice(Embedding):
    """Two columns of a table vary, the others have the values of a fixed row.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    features : tuple of int
        The columns along the window's x and y axis.
    axes : tuple of Axis
    shown : sequence
        The fixed row as values of JSON, by which slices are compared.
    table : Table, optional
        None for a recording on disk, which does not hold it.
    row : ndarray of float64, shape (D,), optional
        The fixed row as the table's numbers.
    """

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        names: Sequence[str],
        features: tuple[int, int],
        axes: tuple[Axis, Axis],
        shown: Sequence[Any],
        table: Table | None = None,
        row: Rows | None = None,
    ) -> None:
        self.names, self.features = tuple(names), features
        self.table, self.row = table, row
        self._axes, self._shown = axes, tuple(shown)
        self.n_features = len(self.names)

    @classmethod
    def of(
        cls, table: Table, features: tuple[int, int], axes: tuple[Axis, Axis], row: Rows
    ) -> TableSlice:
        """Return the slice of a table with the fixed row as its numbers."""
        columns = zip(table.columns, row, strict=True)
        shown = [column.shown(float(number)) for column, number in columns]
        return cls(table.names, features, axes, shown, table, row)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """What the coordinates along x and y mean."""
        return self._axes

    @property
    def fixed(self) -> dict[str, Any]:
        """The fixed values by the names of their columns; None for a missing one."""
        return {
            name: value for at, (name, value) in enumerate(zip(self.names, self._shown,
                                                               strict=True))
            if at not in self.features
        }  # fmt: skip

    def embed(self, points: FloatArray) -> FloatArray:
        """Write the points' coordinates into copies of the fixed row."""
        if self.row is None:
            return self._unstored().embed(points)
        rows = np.tile(self.row, (len(points), 1))
        for at, column in enumerate(self.features):
            axis, places = self._axes[at], points[:, at]
            rows[:, column] = places if axis.bands is None else axis.band(places)
        return rows

    def project(self, rows: FloatArray) -> FloatArray:
        """Keep the two columns that vary."""
        return rows[:, list(self.features)] if self.table else self._unstored().project(rows)

    def trial(self, point: FloatArray) -> FloatArray:
        """Return a row on which a domain checks ``preprocess``."""
        return self.embed(point) if self.table else self._unstored().trial(point)

    def is_beside(self, other: TableSlice) -> bool:
        """Return whether both show the same columns, perhaps at other fixed values."""
        own, theirs = (self.names, self.features), (other.names, other.features)
        return own == theirs and self.axes == other.axes

    def describe_fixed(self) -> str:
        """Return the fixed values in words."""
        fixed = self.fixed
        listed = [
            f"{name!r}: {value:.6g}" if isinstance(value, float) else f"{name!r}: {value!r}"
            for name, value in list(fixed.items())[:_FEW]
        ]
        more = ["..."] if len(fixed) > _FEW else []
        return f"{{{', '.join(listed + more)}}}"

    def stored(self) -> dict[str, Any]:
        """Return what a recording on disk holds, as JSON values."""
        return {
            "features": list(self.features), "axes": [axis.stored() for axis in self.axes],
            "fixed": list(self._shown),
        }  # fmt: skip

    @classmethod
    def from_stored(cls, found: Mapping[str, Any], names: Sequence[str]) -> TableSlice:
        """Return the slice of a recording on disk, which leads to no inputs.

        Raises
        ------
        ValueError
            If it does not fit the columns.
        """
        first, second = (int(feature) for feature in found["features"])
        x, y = (Axis.from_stored(axis) for axis in found["axes"])
        fixed = found["fixed"]
        plain = all(
            len(value) <= LONGEST_NAME
            if isinstance(value, str)
            else value is None or isinstance(value, (bool, int, float))
            for value in fixed
        )
        if len(fixed) != len(names) or not plain:
            raise ValueError(f"{len(fixed)} fixed values for {len(names)} columns")
        if first == second or not {first, second} <= {*range(len(names))}:
            raise ValueError(f"the columns {first} and {second} of {len(names)} as axes")
        return cls(names, (first, second), (x, y), fixed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TableSlice):
            return NotImplemented
        return self.is_beside(other) and self.fixed == other.fixed

    def __hash__(self) -> int:
        return hash((self.names, self.features, self._axes))

    def _unstored(self) -> UnstoredEmbedding:
        return UnstoredEmbedding(self.kind, self.n_features)


def fixed_values(
    table: Table, rows: Rows, features: tuple[int, int], fixed: Any
) -> npt.NDArray[np.float64]:
    """Return the fixed row of a slice, as the table's numbers.

    Parameters
    ----------
    table : Table
    rows : ndarray of float64, shape (n, D)
        Of the table.
    features : tuple of int
        The columns along the axes, whose values do not matter.
    fixed
        As for :meth:`trainviz.Domain.slice`.

    Raises
    ------
    ValueError
        If ``fixed`` does not fit the table, or a column that it does not name has no values.
    """
    if isinstance(fixed, (int, np.integer)) and not isinstance(fixed, bool):
        if not -len(rows) <= fixed < len(rows):
            raise ValueError(f"fixed={fixed}: X has {len(rows)} rows, 0 to {len(rows) - 1}")
        return np.array(rows[fixed])
    if isinstance(fixed, str) and fixed not in ("mean", "median"):
        mend = " ('nearest' is for arrays of numbers)" if fixed == "nearest" else ""
        raise ValueError(
            f"fixed={fixed!r}: expected 'median', 'mean', a row number, or values by the names of "
            f"columns, e.g. fixed={{{table.names[-1]!r}: ...}}{mend}"
        )
    given = _given(table, fixed, features)
    row = np.zeros(len(table.columns))
    for at, column in enumerate(table.columns):
        if column.name in given:
            row[at] = _number(column, given[column.name])
        elif at not in features:
            row[at] = _usual(column, rows[:, at], mean=isinstance(fixed, str) and fixed == "mean")
    return row


def _given(table: Table, fixed: Any, features: tuple[int, int]) -> dict[str, Any]:
    """Return the values that a user gave, by the names of columns."""
    if fixed is None or isinstance(fixed, str):
        return {}
    names = table.names
    if hasattr(fixed, "items"):
        # A mapping, or a row of a pandas table.
        given = {str(name): value for name, value in fixed.items()}
    elif np.ndim(fixed) == 1 and len(fixed) == len(names):
        given = dict(zip(names, fixed, strict=True))
    else:
        raise ValueError(
            f"fixed={fixed!r:.80}: expected 'median', 'mean', a row number, values by the names of "
            f"columns, or a row of {len(names)} values"
        )
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"fixed: X has no columns {unknown}; its columns are {names}")
    along = [names[at] for at in features if names[at] in given]
    if along and len(given) < len(names):
        raise ValueError(
            f"fixed: {along} lie along the axes and vary; leave them out of fixed=, or take other "
            "features="
        )
    return {name: value for name, value in given.items() if name not in along}


def _number(column: Column, value: Any) -> float:
    try:
        return column.number(value)
    except ValueError as error:
        raise ValueError(f"fixed={{{column.name!r}: {value!r}}}: {error}") from None


def _usual(column: Column, numbers: Rows, *, mean: bool) -> float:
    """Return the median or mean of numbers and dates, or the most frequent value of others."""
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        raise ValueError(
            f"the column {column.name!r} has no values, so none to be fixed at: leave the column "
            f"out of the table, or say fixed={{{column.name!r}: None}} if the model takes that"
        )
    if column.has_values:
        return float(np.bincount(known.astype(np.intp)).argmax())
    if mean:
        return float(known.mean())
    # Half of two integers may be none, and the middle of two dates no date of the calendar.
    lower = column.kind == "date" or column.is_integer
    return float(np.quantile(known, 0.5, method="lower" if lower else "linear"))


def axis_of(column: Column, numbers: Rows, margin: float) -> tuple[Axis, tuple[float, float]]:
    """Return the axis along which a column of a table lies, and its two ends.

    Raises
    ------
    ValueError
        If the column has no values, infinite ones, or too many categories.
    """
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        raise ValueError(
            f"the column {column.name!r} has no values: it cannot lie along an axis; take another "
            "feature"
        )
    if not np.isfinite(known).all():
        raise ValueError(f"the column {column.name!r} holds infinities: drop or fill those rows")
    if not column.has_values:
        return Axis("date" if column.kind == "date" else "number"), padded(known, margin)
    count = len(column.values)
    if count > MAX_CATEGORIES:
        raise ValueError(
            f"the column {column.name!r} has {count} different values, and an axis shows at most "
            f"{MAX_CATEGORIES} categories: take another feature, or group the rare ones"
        )
    axis = Axis("category", tuple(str(value)[:LONGEST_NAME] for value in column.values))
    return axis, axis.limits
