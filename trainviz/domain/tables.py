"""Tables of numbers, booleans, categories and dates as rows of numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz.domain.axes import LONGEST_NAME
from trainviz.domain.inputs import (
    InputForm,
    Shape,
    column_names,
    fitted_columns,
    select_columns,
)

__all__ = ["Column", "Table", "TableForm", "is_missing", "is_table"]

Rows = npt.NDArray[np.float64]
Kind = Literal["number", "boolean", "category", "date"]

_MICROSECONDS = 86_400_000_000
"""In a day, the unit of dates in rows."""


def is_table(X: Any) -> bool:
    """Return whether ``X`` is a DataFrame of pandas or polars."""
    # By name, so that neither needs to be imported or installed.
    package = type(X).__module__.partition(".")[0]
    return package in ("pandas", "polars") and type(X).__name__ == "DataFrame"


def is_missing(value: Any) -> bool:
    """Return whether a value of a table is missing: None, NaN, NaT or NA."""
    # NaN differs from itself; pandas.NA refuses to be compared.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


@dataclass(frozen=True)
class Column:
    """A column of a table, and what its numbers in a row stand for.

    Attributes
    ----------
    label : object
        Its name in the table.
    name : str
        The name as text.
    kind : {"number", "boolean", "category", "date"}
        Numbers stand for themselves, dates for days since 1970-01-01, and k for
        the k-th of ``values``. NaN stands for a missing value.
    values : tuple
        Of booleans and categories, in their order.
    spread : float
        The standard deviation of numbers and dates, 1 where there is none.
    pool : object
        A series of the column's own dtype: of ``values``, or empty.
    """

    label: Any
    name: str
    kind: Kind
    values: tuple[Any, ...]
    spread: float
    pool: Any

    @property
    def has_values(self) -> bool:
        """Whether numbers in a row stand for values, not for themselves."""
        return self.kind in ("boolean", "category")

    @property
    def holds_numbers(self) -> bool:
        """Whether all values are numbers or booleans; dates and texts of digits are none."""
        numeric = all(isinstance(value, (int, float, np.number)) for value in self.values)
        return self.kind != "date" and numeric

    @property
    def is_integer(self) -> bool:
        """Whether it holds integers."""
        return self.kind == "number" and "int" in str(self.pool.dtype).lower()

    def shown(self, number: float) -> Any:
        """Return what a number in a row stands for, as a value of JSON."""
        if np.isnan(number):
            return None
        if self.kind == "date":
            return str(_moment(number).astype("datetime64[s]")).removesuffix("T00:00:00")
        if self.has_values:
            value = self.values[int(number)]
            return bool(value) if self.kind == "boolean" else str(value)[:LONGEST_NAME]
        # JSON knows no infinity.
        return float(number) if np.isfinite(number) else str(number)

    def number(self, value: Any) -> float:
        """Return the number that stands for a value in a row.

        Raises
        ------
        ValueError
            If the column cannot hold the value; the message continues a sentence.
        """
        if is_missing(value):
            return np.nan
        if self.has_values:
            if value in self.values:
                return float(self.values.index(value))
            raise ValueError(
                f"the column {self.name!r} holds {_listed(self.values)}, not {value!r}"
            )
        try:
            return _day(value) if self.kind == "date" else float(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"the column {self.name!r} holds {self.kind}s, not {value!r}"
            ) from None


class Table:
    """Converts DataFrames with the columns of one DataFrame to rows of numbers, and back.

    Parameters
    ----------
    frame : pandas.DataFrame or polars.DataFrame

    Attributes
    ----------
    columns : list of Column

    Raises
    ------
    ValueError
        If two columns have the same name, or one holds what cannot be compared.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table(pd.DataFrame({"age": [30, 41], "city": ["Rome", None]}))
    >>> rows = table.rows(pd.DataFrame({"city": [None, "Rome"], "age": [50, 60]}))
    >>> rows
    array([[50., nan],
           [60.,  0.]])
    >>> table.frame(rows)
       age  city
    0   50   NaN
    1   60  Rome
    """

    def __init__(self, frame: Any) -> None:
        names = column_names(frame) or []
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"X has several columns named {', '.join(map(repr, twice))}: columns are matched "
                "by name; rename or drop all but one of each"
            )
        self._is_polars = type(frame).__module__.partition(".")[0] == "polars"
        labels = list(frame.columns)
        self.columns = [
            self._column(label, name, frame[label])
            for label, name in zip(labels, names, strict=True)
        ]

    @property
    def names(self) -> list[str]:
        """The names of the columns as text."""
        return [column.name for column in self.columns]

    def rows(self, frame: Any) -> Rows:
        """Return the rows of a DataFrame that has these columns, in any order, as numbers.

        Raises
        ------
        ValueError
            If a column is missing or holds what it did not hold before.
        """
        # An index, which need not be unique, is not looked at.
        selected = select_columns(frame, self.names, "the domain has")
        found = [
            self._numbers(column, selected[label])
            for column, label in zip(self.columns, list(selected.columns), strict=True)
        ]
        return np.stack(found, axis=1)

    def frame(self, rows: Rows, free: Sequence[int] = ()) -> Any:
        """Return rows as a DataFrame with the columns' own dtypes.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, D)
        free : sequence of int
            Columns whose integers become floating-point numbers, since any value may come.
        """
        parts = {
            column.label: self._series(column, rows[:, at], at in free)
            for at, column in enumerate(self.columns)
        }
        if self._is_polars:
            import polars

            return polars.DataFrame(parts)
        from pandas import DataFrame

        found = DataFrame(dict(enumerate(parts.values())))
        found.columns = list(parts)
        return found

    def _column(self, label: Any, name: str, series: Any) -> Column:
        kind = (_polars_kind if self._is_polars else _pandas_kind)(series)
        if kind in ("number", "date"):
            numbers = self._plain_numbers(kind, series)
            finite = numbers[np.isfinite(numbers)]
            spread = float(finite.std()) if len(finite) else 0.0
            return Column(label, name, kind, (), spread or 1.0, series[:0])
        if kind == "boolean":
            return Column(label, name, kind, (False, True), 1.0, self._booleans(series))
        try:
            values = self._distinct(series)
        except TypeError:
            raise ValueError(
                f"the column {name!r} holds values such as {series[:1].to_list()!r:.60}, which "
                "cannot be told apart: expected numbers, booleans, texts, categories or dates; "
                "leave the column out"
            ) from None
        return Column(label, name, kind, tuple(values), 1.0, self._pool(series, values))

    def _numbers(self, column: Column, series: Any) -> Rows:
        if not column.has_values:
            try:
                return self._plain_numbers(column.kind, series)
            except Exception:
                raise ValueError(
                    f"X: the column {column.name!r} holds {column.kind}s in the table of the "
                    f"domain, and here values of the dtype {series.dtype}: convert it"
                ) from None
        codes = {value: float(code) for code, value in enumerate(column.values)}
        found, foreign = [], {}
        for value in series.to_list():
            code = np.nan if is_missing(value) else codes.get(value)
            if code is None:
                foreign[value] = code = np.nan
            found.append(code)
        if foreign:
            raise ValueError(
                f"X: the column {column.name!r} holds {_listed(tuple(foreign))}, which the table "
                f"of the domain does not; that has {_listed(column.values)}: make the domain from "
                "a table with all values, or leave the column out of both if the model does not "
                "use it"
            )
        return np.array(found, dtype=np.float64)

    def _plain_numbers(self, kind: Kind, series: Any) -> Rows:
        if kind == "date":
            return _days(self._moments(series))
        if self._is_polars:
            from polars import Float64

            return np.asarray(series.cast(Float64).to_numpy(), dtype=np.float64)
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))

    def _moments(self, series: Any) -> npt.NDArray[np.datetime64]:
        if self._is_polars:
            from polars import Datetime

            if getattr(series.dtype, "time_zone", None):
                series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            return np.asarray(series.cast(Datetime("us")).to_numpy(), dtype="datetime64[us]")
        if getattr(series.dtype, "tz", None):
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray(series.to_numpy(), dtype="datetime64[us]")

    def _distinct(self, series: Any) -> list[Any]:
        """Return the values that occur, in the order of the dtype's categories or sorted."""
        known = dict.fromkeys(value for value in series.to_list() if not is_missing(value))
        order = self._declared(series)
        if order is not None:
            return [value for value in order if value in known]
        try:
            return sorted(known)
        except TypeError:
            # Values of several types have no order but that in which they came.
            return list(known)

    def _declared(self, series: Any) -> list[Any] | None:
        if self._is_polars:
            from polars import Enum

            return list(series.dtype.categories) if isinstance(series.dtype, Enum) else None
        categories = getattr(series.dtype, "categories", None)
        return None if categories is None else list(categories)

    def _pool(self, series: Any, values: Sequence[Any]) -> Any:
        """Return the values as a series of the dtype of another."""
        first: dict[Any, int] = {}
        for place, value in enumerate(series.to_list()):
            if not is_missing(value):
                first.setdefault(value, place)
        places = [first[value] for value in values]
        if self._is_polars:
            return series.gather(places) if places else series[:0]
        return series.iloc[places].reset_index(drop=True)

    def _booleans(self, series: Any) -> Any:
        return type(series)([False, True], dtype=series.dtype)

    def _series(self, column: Column, numbers: Rows, is_free: bool) -> Any:
        known = numbers[~np.isnan(numbers)]
        is_whole = np.isfinite(known).all() and (known == np.rint(known)).all()
        whole = column.is_integer and not is_free and bool(is_whole)
        if self._is_polars:
            return _polars_series(column, numbers, whole)
        return _pandas_series(column, numbers, whole)


class TableForm(InputForm):
    """Converts the rows of a :class:`Table` to DataFrames, which are the model's inputs.

    Parameters
    ----------
    table : Table
    features : tuple of int
        The columns along the two axes.
    row : ndarray of float64, shape (1, D)
        On which ``preprocess`` is tried.
    shape, preprocess
        As for :class:`InputForm`; they are given DataFrames.

    Raises
    ------
    TypeError, ValueError
        As :class:`InputForm`, or if there is a ``shape``, which only ``preprocess`` can make.
    """

    def __init__(
        self, table: Table, features: tuple[int, int], row: Rows, shape: Shape | None,
        preprocess: Any,
    ) -> None:  # fmt: skip
        self.table, self._features = table, features
        if shape is not None and not hasattr(preprocess, "transform"):
            raise ValueError(
                f"input_shape={shape!r}: a domain of a table hands tables to the model; leave it "
                "out"
            )
        super().__init__(row, shape, preprocess, table.names)

    def rows(self, X: Any) -> Rows:
        """Return a table, or rows that this has returned before, as rows of numbers."""
        if column_names(X) is None:
            array = np.asarray(X)
            if (
                array.dtype.kind not in "fiub"
                or array.ndim != 2
                or array.shape[1] != len(self.table.columns)
            ):
                raise ValueError(
                    f"X is a {type(X).__name__}, and the domain was made from a table: expected a "
                    f"DataFrame with the columns {self.table.names}"
                )
            return array.astype(np.float64)
        found = self.table.rows(X)
        for at in self._features:
            lost = np.flatnonzero(~np.isfinite(found[:, at]))
            if len(lost):
                raise ValueError(
                    f"X: the column {self.table.names[at]!r} lies along an axis and has no finite "
                    f"value in {len(lost)} of {len(found)} rows (the first is row {lost[0]}): drop "
                    "those rows"
                )
        return found

    def raw(self, rows: npt.NDArray[Any]) -> Any:
        """Return rows as a DataFrame."""
        return self.table.frame(rows, self._features)

    def distance(self, rows: Rows, embedding: Any) -> Rows:
        """Return how far rows are from the plane: numbers in standard deviations, others 1."""
        apart = rows - embedding.embed(embedding.project(rows))
        for at, column in enumerate(self.table.columns):
            differs = apart[:, at] != 0
            # NaN, where a value is missing, differs from all but another missing one.
            differs &= ~(np.isnan(rows[:, at]) & np.isnan(embedding.row[at]))
            known = ~np.isnan(apart[:, at]) & (not column.has_values)
            apart[:, at] = np.where(known, apart[:, at] / column.spread, differs)
        return np.asarray(np.linalg.norm(apart, axis=1), dtype=np.float64)

    def _for_transformer(self, rows: npt.NDArray[Any]) -> Any:
        return fitted_columns(self.preprocess, self.raw(rows))


def _pandas_kind(series: Any) -> Kind:
    from pandas.api import types

    if hasattr(series.dtype, "categories"):
        return "category"
    if types.is_bool_dtype(series.dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(series.dtype):
        return "date"
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        return "number"
    if series.dtype.kind == "O":
        held = {type(value) for value in series.to_list() if not is_missing(value)}
        if held and held <= {int, float} | _NUMPY_NUMBERS:
            return "number"
    return "category"


_NUMPY_NUMBERS = {np.dtype(code).type for code in np.typecodes["AllInteger"] + "efd"}


def _polars_kind(series: Any) -> Kind:
    import polars

    dtype = series.dtype
    if dtype == polars.Boolean:
        return "boolean"
    if dtype in (polars.Date, polars.Datetime):
        return "date"
    return "number" if dtype.is_numeric() else "category"


def _pandas_series(column: Column, numbers: Rows, whole: bool) -> Any:
    from pandas import Series

    dtype = column.pool.dtype
    if column.has_values:
        # A label that is not in the pool becomes a missing value.
        codes = np.where(np.isnan(numbers), -1, numbers).astype(np.intp)
        return column.pool.reindex(codes).reset_index(drop=True)
    if column.kind == "date":
        found = Series(_moment(numbers))
        if getattr(dtype, "tz", None):
            found = found.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
        return found.astype(dtype)
    nullable = type(dtype).__module__.startswith("pandas")
    holds_all = whole and (nullable or not np.isnan(numbers).any())
    if dtype.kind == "O" or (dtype.kind in "iu" and not holds_all):
        dtype = "Float64" if nullable else "float64"
    return Series(numbers).astype(dtype)


def _polars_series(column: Column, numbers: Rows, whole: bool) -> Any:
    import polars

    dtype = column.pool.dtype
    if column.has_values:
        codes = polars.Series(numbers, nan_to_null=True).cast(polars.UInt32)
        return column.pool.gather(codes)
    if column.kind == "date":
        found = polars.Series(_moment(numbers))
        if getattr(dtype, "time_zone", None):
            found = found.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
        return found.cast(dtype)
    if not dtype.is_float() and not whole:
        dtype = polars.Float64
    return polars.Series(numbers, nan_to_null=True).cast(dtype)


def _days(moments: npt.NDArray[np.datetime64]) -> Rows:
    days = moments.astype("datetime64[us]").astype(np.int64) / _MICROSECONDS
    return np.where(np.isnat(moments), np.nan, days)


def _moment(days: Any) -> Any:
    """Return days since 1970-01-01 as moments, to the microsecond, which is what they resolve."""
    lost = np.isnan(days)
    whole = np.rint(np.where(lost, 0.0, days) * _MICROSECONDS).astype(np.int64)
    return np.where(lost, np.datetime64("NaT", "us"), whole.astype("datetime64[us]"))


def _day(value: Any) -> float:
    if getattr(value, "tzinfo", None) is not None:
        from datetime import timezone

        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    return float(_days(np.array([np.datetime64(value, "us")]))[0])


def _listed(values: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(value) for value in values[:8])
    return shown + (f", ... ({len(values)} in all)" if len(values) > 8 else "")
