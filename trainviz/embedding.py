"""How the points of a plane become inputs of a model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Embedding", "Fixed", "FloatArray", "Plane", "Slice"]

FloatArray = npt.NDArray[np.floating[Any]]
Fixed = Literal["mean", "median"] | int | Sequence[float] | npt.NDArray[Any]


class Embedding:
    """How points of the plane become inputs of the model, and back.

    Attributes
    ----------
    n_features : int
        The length of an embedded row, before it is given the model's shape.
    """

    n_features: int

    def embed(self, points: FloatArray) -> FloatArray:
        """Map ``(n, 2)`` plane coordinates to ``(n, n_features)`` rows."""
        raise NotImplementedError

    def project(self, rows: FloatArray) -> FloatArray:
        """Map ``(n, n_features)`` rows to ``(n, 2)`` plane coordinates."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plane(Embedding):
    """The identity: a model of two features, the window is its input space."""

    n_features: int = 2

    def embed(self, points: FloatArray) -> FloatArray:
        """Return ``points`` as they are."""
        return points

    def project(self, rows: FloatArray) -> FloatArray:
        """Return ``rows`` as they are."""
        return rows


@dataclass(frozen=True)
class Slice(Embedding):
    """Two features vary, the others stay at a fixed row.

    Parameters
    ----------
    features : tuple of int
        The columns along the window's x and y axis.
    row : tuple of float
        A whole input row; its entries at ``features`` are replaced.
    """

    features: tuple[int, int]
    row: tuple[float, ...]

    @classmethod
    def of(cls, rows: npt.NDArray[np.float64], features: tuple[int, int], fixed: Fixed) -> Slice:
        """Slice the data's space along two of its columns.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, D)
            The data.
        features : tuple of int
            The columns that vary.
        fixed : {"mean", "median"}, int or array-like
            Where the others stay: at their mean, their median, at a row of the
            data by its number, or at the given row of D values.

        Returns
        -------
        Slice

        Raises
        ------
        ValueError
            If ``fixed`` is no row of finite values.

        Examples
        --------
        >>> Slice.of(np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]), (0, 1), "mean").row
        (1.0, 2.0, 3.0)
        """
        return cls(features, _fixed_row(fixed, rows))

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """The length of an input row."""
        return len(self.row)

    def embed(self, points: FloatArray) -> FloatArray:
        """Write the points' coordinates into copies of the fixed row."""
        rows = np.tile(np.asarray(self.row, dtype=points.dtype), (len(points), 1))
        rows[:, list(self.features)] = points
        return rows

    def project(self, rows: FloatArray) -> FloatArray:
        """Keep the two features that vary."""
        return rows[:, list(self.features)]


def _fixed_row(fixed: Fixed, rows: npt.NDArray[np.float64]) -> tuple[float, ...]:
    if isinstance(fixed, str):
        if fixed not in ("mean", "median"):
            raise ValueError(
                f"fixed={fixed!r}: expected 'mean', 'median', a row number or a row of values"
            )
        row = rows.mean(axis=0) if fixed == "mean" else np.median(rows, axis=0)
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
