"""Conversion between flat rows in the user's units and a model's inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz._common.checks import check_list
from trainviz.domain.columns import Columns

__all__ = [
    "InputForm",
    "Inputs",
    "Shape",
    "column_names",
    "convert_each",
    "count",
    "describe",
    "fitted_columns",
    "named_columns",
    "numeric_columns",
    "rows_and_shape",
    "select_columns",
    "to_numbers",
]

Inputs = Any
"""An array (N, ...), or for models of several inputs a dict or tuple of such arrays."""

Shape = tuple[int, ...] | Mapping[str, tuple[int, ...]] | tuple[tuple[int, ...], ...]

Rows = npt.NDArray[np.float64]


def convert_each(inputs: Inputs, convert: Callable[[Any], Any]) -> Inputs:
    """Apply a function to every array of a model's inputs; a dict or tuple stays one.

    Examples
    --------
    >>> convert_each({"a": np.ones(1), "b": np.ones(2)}, len)
    {'a': 1, 'b': 2}
    """
    if isinstance(inputs, Mapping):
        return {name: convert(part) for name, part in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(convert(part) for part in inputs)
    return convert(inputs)


def count(inputs: Inputs) -> int:
    """Return the number of points N in a model's inputs.

    Examples
    --------
    >>> count({"a": np.ones((5, 2)), "b": np.ones((5, 1))})
    5
    """
    return len(next(iter(_parts(inputs))))


def describe(inputs: Inputs) -> str:
    """Describe a model's inputs in words, for error messages.

    Examples
    --------
    >>> describe(np.ones((5, 2)))
    '5 points of shape (2,) and dtype float64'
    """
    if isinstance(inputs, Mapping):
        each = ", ".join(f"{name!r}: {part.shape[1:]}" for name, part in inputs.items())
        return f"{count(inputs)} points, a dict of arrays of the shapes {{{each}}}"
    if isinstance(inputs, tuple):
        each = ", ".join(str(part.shape[1:]) for part in inputs)
        return f"{count(inputs)} points, a tuple of arrays of the shapes ({each})"
    if hasattr(inputs, "columns"):
        return f"{len(inputs)} points, a table of the columns {list(inputs.columns)}"
    return f"{len(inputs)} points of shape {inputs.shape[1:]} and dtype {inputs.dtype}"


def rows_and_shape(X: Any, name: str = "X") -> tuple[Rows, Shape]:
    """Return data as flat rows, and the shape of one input.

    Parameters
    ----------
    X : array-like, shape (n, ...), or mapping or tuple of such arrays
        A tuple counts as several inputs where it holds arrays of two or more axes.
    name : str, default "X"
        The argument's name in error messages.

    Returns
    -------
    rows : ndarray of float64, shape (n, D)
    shape
        That of one input; a mapping or tuple of shapes if ``X`` has several arrays.

    Raises
    ------
    ValueError
        If there are no rows, they are no finite numbers, or differ in number.

    Examples
    --------
    >>> rows, shape = rows_and_shape({"size": np.ones((5, 2)), "image": np.ones((5, 4, 4))})
    >>> rows.shape, shape
    ((5, 18), {'size': (2,), 'image': (4, 4)})
    """
    several = isinstance(X, Mapping) or (
        isinstance(X, tuple) and all(getattr(part, "ndim", 0) >= 2 for part in X)
    )
    arrays = convert_each(X, lambda part: _numbers(part, name)) if several else _numbers(X, name)
    parts = list(_parts(arrays))
    if not parts or any(part.ndim == 0 or not part.size for part in parts):
        shapes = [part.shape for part in parts]
        raise ValueError(f"{name} has the shape {shapes}: expected (n, ...), n >= 1 rows")
    if len({len(part) for part in parts}) > 1:
        raise ValueError(
            f"{name}: its arrays have {[len(part) for part in parts]} rows; expected the same "
            "number in each"
        )
    rows = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds NaN or infinities: drop or fill those rows first")
    return rows, convert_each(arrays, lambda part: part.shape[1:])


def named_columns(fitted: Any, rows: npt.NDArray[Any], names: Sequence[str] | None = None) -> Any:
    """Return rows as the table that a scikit-learn object was fitted on: its columns, its order.

    Parameters
    ----------
    fitted : object
    rows : ndarray, shape (n, D)
    names : sequence of str, optional
        Of the columns of ``rows``; without them, they are taken to be in the object's order.
        :class:`Columns` also know types.

    Returns
    -------
    ndarray or pandas.DataFrame
        ``rows`` if the object was fitted without names.

    Raises
    ------
    ValueError
        If the object was fitted with a name that is not among ``names``.
    """
    wanted = _fitted_names(fitted)
    if wanted is None or (names is None and len(wanted) != rows.shape[1]):
        return rows
    if names is not None:
        rows = rows[:, _positions(wanted, names, f"{type(fitted).__name__} was fitted with")]
    from pandas import DataFrame

    table = DataFrame(rows, columns=wanted)
    return names.restored(table) if isinstance(names, Columns) else table


def _fitted_names(fitted: Any) -> list[str] | None:
    # The last two are those of the boosters of XGBoost and LightGBM.
    for attribute in ("feature_names_in_", "feature_names_", "feature_names", "feature_name"):
        names = getattr(fitted, attribute, None)
        names = names() if callable(names) else names
        # LightGBM and CatBoost make up names for arrays: Column_0, 0.
        if names is not None and not all(_MADE_UP.fullmatch(str(name)) for name in names):
            return [str(name) for name in names]
    return None


def _positions(wanted: Sequence[str], names: Sequence[str], what: str) -> list[int]:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(
            f"{what} the columns {list(wanted)}, and {missing} are not among {list(names)}: "
            "columns are matched by name; rename them, or make the domain from the same columns "
            "(those that hold text are supplied by preprocess=, e.g. preprocess=lambda X: "
            "pandas.DataFrame(X, columns=[...]).assign(city='Rome'))"
        )
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"{what} the columns {list(wanted)}, and {twice} are there several times: columns are "
            "matched by name; rename or drop all but one of each"
        )
    return [list(names).index(name) for name in wanted]


def select_columns(table: Any, wanted: Sequence[str], what: str) -> Any:
    """Return a table with the wanted columns alone, in their order.

    Raises
    ------
    ValueError
        If one is missing or there several times; the message begins with ``what``.
    """
    labels = list(table.columns)
    places = _positions(wanted, [str(label) for label in labels], what)
    return table if places == [*range(len(labels))] else table[[labels[at] for at in places]]


def fitted_columns(fitted: Any, table: Any) -> Any:
    """Return the columns of a table that a scikit-learn object was fitted on, in its order."""
    wanted = _fitted_names(fitted)
    if wanted is None:
        return table
    return select_columns(table, wanted, f"{type(fitted).__name__} was fitted with")


_MADE_UP = re.compile(r"(Column_)?\d+")


def column_names(X: Any) -> list[str] | None:
    """Return the names of a table's columns; None for anything but a table."""
    columns = getattr(X, "columns", None)
    if columns is None or isinstance(X, Mapping):
        return None
    return [str(name) for name in columns]


def numeric_columns(X: Any, wanted: Sequence[str] = ()) -> Any:
    """Return a table without the columns that hold no numbers, unless they are ``wanted``."""
    names = column_names(X)
    if names is None or len(set(names)) < len(names):
        return X
    kept = [
        name
        for own, name in zip(X.columns, names, strict=True)
        if name in wanted or _holds_numbers(X[own])
    ]
    return X if kept == names else X[[own for own in X.columns if str(own) in kept]]


def to_numbers(part: Any) -> npt.NDArray[Any]:
    """Return a model's input as an array, also where it is a table of numbers and booleans.

    Raises
    ------
    TypeError
        If a column of the table holds anything else.
    """
    if not hasattr(part, "columns"):
        return to_numpy(part)
    texts = [str(own) for own in part.columns if not _holds_numbers(part[own])]
    if texts:
        raise TypeError(
            f"the model takes arrays, and the columns {texts} of the domain's table hold no "
            "numbers: leave them out, or give the domain preprocess=, which makes arrays of tables"
        )
    array = to_numpy(part)
    return array if array.dtype.kind in "fiu" else array.astype(np.float64)


def _holds_numbers(column: Any) -> bool:
    try:
        np.asarray(to_numpy(column), dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


class InputForm:
    """Converts flat rows in the user's units to a model's inputs, and back.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, D)
        Example rows, on which the shape and ``preprocess`` are checked.
    shape : tuple of int, mapping of str to tuple, or tuple of tuples, optional
        Of one input; several inputs take their values from a row in this order.
        Default: flat.
    preprocess : transformer or callable, optional
        With a ``transform`` method: it is given flat rows, and ``shape`` is
        that of its result. Any other callable is given inputs of ``shape``
        and may return anything that the model takes.
    names : sequence of str, optional
        Of the D features.

    Attributes
    ----------
    shape
        Of one input of the model, or of a callable ``preprocess``.
    raw_shape
        Of one input in the user's units.

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit, or ``preprocess`` is neither or fails.

    Examples
    --------
    >>> form = InputForm(np.zeros((1, 3)), {"size": (2,), "age": (1,)}, None)
    >>> form.inputs(np.array([[1.0, 2.0, 3.0]]))
    {'size': array([[1., 2.]]), 'age': array([[3.]])}
    """

    def __init__(
        self,
        rows: Rows,
        shape: Shape | None,
        preprocess: Any,
        names: Sequence[str] | None = None,
    ) -> None:
        self.n_features = rows.shape[1]
        self.names = names if isinstance(names, Columns) else None
        if names is not None and self.names is None:
            listed = check_list("feature_names", names, "names, one a feature")
            self.names = Columns(str(name) for name in listed)
        if self.names is not None and len(self.names) != self.n_features:
            raise ValueError(
                f"feature_names={list(self.names)!r}: expected {self.n_features} names, one for "
                "each feature of the domain"
            )
        self.preprocess = preprocess
        self._transforms = hasattr(preprocess, "transform")
        if preprocess is not None and not (self._transforms or callable(preprocess)):
            raise TypeError(
                f"preprocess={preprocess!r}: expected a fitted transformer (with a method "
                "transform) or a callable (N, *input_shape) array -> what the model takes"
            )
        width = self.n_features
        if self._transforms:
            width = self._tried(self._transformed, rows).shape[1]
        self.shape = _checked_shape(shape, width, self._transforms)
        self.raw_shape: Shape = (self.n_features,) if self._transforms else self.shape
        self.n_values = max(width, self.n_features)
        if preprocess is not None and not self._transforms:
            given = self._tried(self._prepared, rows)
            self.n_values = max(self.n_values, sum(_size(part) for part in _parts(given)))

    def rows(self, X: Any) -> Rows:
        """Flatten inputs in the user's units.

        Parameters
        ----------
        X : array-like, mapping or tuple
            Of shape ``(n, *raw_shape)`` or ``(n, D)``.

        Returns
        -------
        ndarray of float64, shape (n, D)

        Raises
        ------
        ValueError
            If it has another form.
        """
        found = column_names(X)
        if found is not None and self.names is not None:
            X = to_numpy(select_columns(X, self.names, "the domain has"))
        parts = self._several(X)
        if parts is not None:
            return self._joined([_numbers(part, "X") for part in parts])
        rows = _numbers(X, "X")
        if rows.ndim < 2 or math.prod(rows.shape[1:]) != self.n_features:
            raise ValueError(_misfit(rows.shape, self.n_features, self.raw_shape))
        return rows.reshape(len(rows), self.n_features)

    def _several(self, X: Any) -> list[Any] | None:
        """Return the arrays of a dict or tuple, in the order of a row; None for anything else."""
        shape = self.raw_shape
        if isinstance(X, Mapping):
            names = list(shape) if isinstance(shape, Mapping) else []
            if set(X) != set(names):
                raise ValueError(
                    f"X has the entries {list(X)}, but an input of this domain has "
                    f"{names or f'the shape {shape}'}"
                )
            return [X[name] for name in names]
        if isinstance(X, tuple) and _is_several(shape) and len(X) == len(_shapes(shape)):
            return list(X)
        return None

    def _joined(self, parts: list[Rows]) -> Rows:
        found = [part.shape[1:] for part in parts]
        wanted = _shapes(self.raw_shape)
        sizes = [math.prod(shape) for shape in found]
        if sizes != [math.prod(shape) for shape in wanted] or len({len(p) for p in parts}) > 1:
            raise ValueError(
                f"X holds arrays of the shapes {[part.shape for part in parts]}; expected the "
                f"same number of rows in each, of the shapes {wanted}"
            )
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def raw(self, rows: npt.NDArray[Any]) -> Inputs:
        """Return flat rows in the shape of inputs in the user's units."""
        return _shaped(rows, self.raw_shape)

    def inputs(self, rows: npt.NDArray[Any], dtype: npt.DTypeLike = np.float64) -> Inputs:
        """Turn flat rows in the user's units into the model's inputs.

        Parameters
        ----------
        rows : ndarray, shape (n, D)
        dtype : dtype, default float64
            Of floating-point arrays; integers that ``preprocess`` returns are kept.

        Returns
        -------
        ndarray, or dict or tuple of ndarray, shapes (n, ...)
        """
        given = self._prepared(rows)
        if self.preprocess is not None and np.dtype(dtype) == np.float64:
            # What preprocess returns reaches the model as it is.
            return given
        return convert_each(given, lambda part: _cast(part, dtype))

    def distance(self, rows: Rows, embedding: Any) -> Rows:
        """Return how far rows are from the embedding of their projections."""
        if not self._transforms:
            away: Rows = embedding.distance(rows)
            return away
        shown = embedding.embed(embedding.project(rows))
        apart = _numbers(self._transformed(rows), "X") - _numbers(self._transformed(shown), "X")
        return np.asarray(np.linalg.norm(apart, axis=1), dtype=np.float64)

    def _prepared(self, rows: npt.NDArray[Any]) -> Inputs:
        if self._transforms:
            given = self._transformed(rows)
            if hasattr(given, "columns"):
                if self.shape == given.shape[1:]:
                    return given
                given = to_numpy(given)
            return _shaped(given, self.shape)
        inputs = self.raw(rows)
        if self.preprocess is None:
            return inputs
        given = self.preprocess(inputs)
        given = convert_each(tuple(given) if isinstance(given, list) else given, _array_or_table)
        found = {part.shape[:1] for part in _parts(given)}
        if found != {(len(rows),)}:
            raise ValueError(f"it returned {found} rows for {len(rows)}; expected as many")
        return given

    def _transformed(self, rows: npt.NDArray[Any]) -> Any:
        given = self.preprocess.transform(self._for_transformer(rows))
        given = _array_or_table(given.toarray() if hasattr(given, "toarray") else given)
        if given.ndim != 2 or len(given) != len(rows):
            raise ValueError(f"it returned the shape {given.shape} for {len(rows)} rows")
        return given

    def _for_transformer(self, rows: Rows) -> Any:
        return named_columns(self.preprocess, rows, self.names)

    def _tried(self, call: Callable[[Rows], Any], rows: Rows) -> Any:
        try:
            return call(rows)
        except Exception as error:
            raise ValueError(
                f"preprocess={self.preprocess!r} failed on a point of the window "
                f"({self.n_features} features): {error}. Is it fitted, on the columns of this "
                "domain?"
            ) from error


def _array_or_table(values: Any) -> Any:
    return values if hasattr(values, "columns") else to_numpy(values)


def _size(part: Any) -> int:
    return math.prod(part.shape[1:])


def _parts(inputs: Inputs) -> Iterable[Any]:
    if isinstance(inputs, Mapping):
        return inputs.values()
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _numbers(values: Any, name: str) -> Rows:
    try:
        return to_numpy(values).astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers of shape (n, ...): {error}") from None


def _cast(part: Any, dtype: npt.DTypeLike) -> Any:
    if hasattr(part, "columns"):
        return part
    return part.astype(dtype, copy=False) if part.dtype.kind == "f" else part


def _is_several(shape: Shape) -> bool:
    return isinstance(shape, Mapping) or isinstance(shape[0], tuple)


def _shapes(shape: Any) -> list[tuple[int, ...]]:
    if not _is_several(shape):
        return [shape]
    return list(shape.values() if isinstance(shape, Mapping) else shape)


def _shaped(rows: npt.NDArray[Any], shape: Shape) -> Inputs:
    shapes = _shapes(shape)
    if not _is_several(shape):
        return rows.reshape(len(rows), *shapes[0])
    ends = np.cumsum([math.prod(part) for part in shapes])[:-1]
    split = [
        part.reshape(len(rows), *own)
        for part, own in zip(np.split(rows, ends, axis=1), shapes, strict=True)
    ]
    return dict(zip(shape, split, strict=True)) if isinstance(shape, Mapping) else tuple(split)


def _checked_shape(shape: Any, width: int, transformed: bool) -> Shape:
    if shape is None:
        return (width,)
    checked: Any
    if isinstance(shape, Mapping):
        checked = {str(name): _sides(part, shape) for name, part in shape.items()}
    elif isinstance(shape, (tuple, list)) and shape and isinstance(shape[0], (tuple, list)):
        checked = tuple(_sides(part, shape) for part in shape)
    else:
        checked = _sides(shape, shape)
    held = sum(math.prod(part) for part in _shapes(checked)) if checked else 0
    if held != width:
        what = "preprocess makes of a point" if transformed else "a point of this domain has"
        raise ValueError(f"input_shape={shape!r} holds {held} values, but {what} {width} features")
    final: Shape = checked
    return final


def _sides(shape: Any, whole: Any) -> tuple[int, ...]:
    if (
        not isinstance(shape, (tuple, list))
        or any(isinstance(side, bool) or not hasattr(side, "__index__") for side in shape)
        or min(shape, default=1) < 1
    ):
        raise ValueError(
            f"input_shape={whole!r}: expected a tuple of sizes, e.g. (1, 2), or for several "
            'inputs a dict or tuple of such, e.g. {"image": (8, 8), "age": (1,)}'
        )
    return tuple(int(side) for side in shape)


def _misfit(found: tuple[int, ...], n_features: int, shape: Shape) -> str:
    wanted = f"inputs of the shapes {shape}, or (n, {n_features})"
    if not _is_several(shape):
        wanted = f"(n, {', '.join(map(str, shape))})"
    return (
        f"X has the shape {found}, but one input of this domain has {n_features} features "
        f"(shape {shape}): expected {wanted}. For data with more than two columns make the "
        "domain with Domain.around(X, features=(i, j))"
    )
