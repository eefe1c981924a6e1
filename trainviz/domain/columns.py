"""The names of a table's columns, with the types of those that do not vary on a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

__all__ = ["Columns"]


class Columns(tuple[str, ...]):
    """Names of columns; equal to a tuple of them.

    Attributes
    ----------
    dtypes : mapping of str to dtype
        Of the columns of a pandas table that keep their type: integers, categories
        of numbers and the like. All others hold floats.
    """

    dtypes: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, X: Any, names: Iterable[str], free: Iterable[int]) -> Self:
        """Return the names of a table whose columns ``free`` vary over the plane.

        Examples
        --------
        >>> import pandas as pd
        >>> table = pd.DataFrame({"age": [30], "rooms": [2], "size": [1.5]})
        >>> Columns.of(table, table.columns, free=(0, 2)).dtypes
        {'rooms': dtype('int64')}
        """
        columns = cls(names)
        if hasattr(X, "iloc"):
            varying = set(free)
            columns.dtypes = {
                name: dtype
                for place, (name, dtype) in enumerate(zip(columns, X.dtypes, strict=True))
                if place not in varying and dtype != np.float64
            }
        return columns

    @property
    def discrete(self) -> list[int]:
        """The places of columns that have no mean: categories and truth values."""
        return [
            place
            for place, name in enumerate(self)
            if _categories(self.dtypes.get(name)) is not None
            or str(self.dtypes.get(name)) in ("bool", "boolean")
        ]

    def restored(self, table: Any) -> Any:
        """Return a pandas table of floats with the types of the columns, where values allow it.

        A mean of integers, such as 2.5, stays a float.
        """
        fitting = {
            name: dtype
            for name, dtype in self.dtypes.items()
            if name in table.columns and _fits(table[name].to_numpy(), dtype)
        }
        return table.astype(fitting) if fitting else table


def _categories(dtype: Any) -> Any:
    return getattr(dtype, "categories", None)


def _fits(values: npt.NDArray[np.float64], dtype: Any) -> bool:
    categories = _categories(dtype)
    if categories is not None:
        return bool(np.isin(values, np.asarray(categories, dtype=np.float64)).all())
    kind = getattr(dtype, "kind", "f")
    if kind == "b":
        return bool(np.isin(values, (0, 1)).all())
    return kind == "f" or bool((values == np.rint(values)).all())
