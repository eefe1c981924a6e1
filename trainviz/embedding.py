"""How the points of a plane become inputs of a model, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from trainviz.errors import RecordingError

__all__ = ["Embedding", "Fixed", "FloatArray", "Opaque", "Plane", "Slice", "embedding_of_kind"]

FloatArray = npt.NDArray[np.floating[Any]]
Fixed = Literal["mean", "median"] | int | Sequence[float] | npt.NDArray[Any]


class Embedding:
    """How points of the plane become inputs of the model, and back.

    Attributes
    ----------
    n_features : int
        The length of an embedded row, before it is given the model's shape.
    kind : str
        What a recording on disk calls it; a subclass that sets it must have
        :meth:`arrays` and :meth:`from_arrays`.
    """

    kind: ClassVar[str] = ""
    n_features: int

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__dict__.get("kind"):
            _KINDS[cls.kind] = cls

    def embed(self, points: FloatArray) -> FloatArray:
        """Map ``(n, 2)`` plane coordinates to ``(n, n_features)`` rows."""
        raise NotImplementedError

    def project(self, rows: FloatArray) -> FloatArray:
        """Map ``(n, n_features)`` rows to ``(n, 2)`` plane coordinates."""
        raise NotImplementedError

    def arrays(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return all that is needed to make it anew; None if that cannot be said in numbers."""
        return None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Embedding:
        """Make it anew of what :meth:`arrays` returned."""
        raise NotImplementedError


_KINDS: dict[str, type[Embedding]] = {}


def embedding_of_kind(kind: str) -> type[Embedding] | None:
    """Return the class that stores itself under this name, None if there is none."""
    return _KINDS.get(kind)


@dataclass(frozen=True)
class Opaque(Embedding):
    """Stands for the embedding of a stored recording that cannot be made anew.

    Parameters
    ----------
    name : str
        What the embedding was.
    n_features : int
    """

    name: str
    n_features: int

    def embed(self, points: FloatArray) -> FloatArray:
        """Refuse."""
        raise self._refused()

    def project(self, rows: FloatArray) -> FloatArray:
        """Refuse."""
        raise self._refused()

    def _refused(self) -> RecordingError:
        return RecordingError(
            f"the recording was made on the embedding {self.name!r}, which could not be stored or "
            "is unknown here: it can be drawn, but its plane leads to no model inputs. Make the "
            "domain again as it was made for the recording"
        )


@dataclass(frozen=True)
class Plane(Embedding):
    """The identity: a model of two features, the window is its input space."""

    kind: ClassVar[str] = "plane"
    n_features: int = 2

    def embed(self, points: FloatArray) -> FloatArray:
        """Return ``points`` as they are."""
        return points

    def project(self, rows: FloatArray) -> FloatArray:
        """Return ``rows`` as they are."""
        return rows

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return nothing but the number of features."""
        return {"n_features": np.array([self.n_features])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Plane:
        """Make it anew."""
        return cls(int(arrays["n_features"][0]))


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

    kind: ClassVar[str] = "slice"
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

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the two columns and the fixed row."""
        return {"features": np.array(self.features), "row": np.array(self.row)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Slice:
        """Make it anew, and refuse columns that the row does not have."""
        first, second = (int(column) for column in arrays["features"])
        row = tuple(float(value) for value in arrays["row"])
        if not 0 <= first < len(row) or not 0 <= second < len(row):
            raise ValueError(f"features={(first, second)} of a row with {len(row)} values")
        return cls((first, second), row)


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
