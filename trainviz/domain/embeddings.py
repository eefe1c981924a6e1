"""How the points of a plane become inputs of a model, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz.domain.axes import NUMBERS, Axis
from trainviz.errors import RecordingError

__all__ = [
    "Embedding",
    "Fixed",
    "FloatArray",
    "Plane",
    "Slice",
    "UnstoredEmbedding",
    "name_of",
    "rebuild",
    "stored",
]

FloatArray = npt.NDArray[np.floating[Any]]
Arrays = dict[str, npt.NDArray[Any]]
Fixed = (
    Literal["mean", "median", "nearest"] | int | Sequence[Any] | npt.NDArray[Any]
    | Mapping[str, Any] | None
)  # fmt: skip

_KINDS: dict[str, type[Embedding]] = {}


class Embedding:
    """How points of the plane become inputs of the model, and back.

    A subclass defines :meth:`embed` and :meth:`project`, and, so that
    recordings on disk keep it, ``kind``, :meth:`arrays` and :meth:`from_arrays`.

    Attributes
    ----------
    kind : str
        The name under which recordings on disk store it.
    costly : bool
        Whether embedding a point is so slow that a domain caches the result.
    n_features : int
        The length of an embedded row, before it is given the model's shape.

    Examples
    --------
    >>> class Diagonal(Embedding):
    ...     n_features = 3
    ...     def embed(self, points):
    ...         return np.concatenate([points, points.sum(axis=1, keepdims=True)], axis=1)
    ...     def project(self, rows):
    ...         return rows[:, :2]
    >>> Diagonal().distance(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 5.0]]))
    array([0., 2.])
    """

    kind: ClassVar[str] = ""
    costly: ClassVar[bool] = False
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

    def trial(self, point: FloatArray) -> FloatArray:
        """Return a row on which a domain checks ``input_shape`` and ``preprocess``."""
        return self.embed(point)

    def distance(self, rows: FloatArray) -> FloatArray:
        """Return how far ``(n, n_features)`` rows are from the embedding of their projections."""
        away: FloatArray = np.linalg.norm(rows - self.embed(self.project(rows)), axis=1)
        return away

    def doubt(self, points: FloatArray) -> FloatArray | None:
        """Return how unreliable embedded points are, from 1 on poor; None if they are exact."""
        return None

    @property
    def anchors(self) -> FloatArray | None:
        """The rows that define the plane and are marked in pictures, ``(k, n_features)``."""
        return None

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """What the coordinates along x and y mean."""
        return NUMBERS

    def arrays(self) -> Arrays | None:
        """Return what :meth:`from_arrays` needs, or None if arrays cannot hold it."""
        return None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the embedding whose :meth:`arrays` these are.

        Raises
        ------
        ValueError
            If an array is missing or is not as described.
        """
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Embedding):
            return NotImplemented
        own, theirs = self.arrays(), other.arrays()
        if type(self) is not type(other) or own is None or theirs is None:
            return self is other
        return own.keys() == theirs.keys() and all(
            np.array_equal(own[name], theirs[name]) for name in own
        )

    def __hash__(self) -> int:
        own = self.arrays()
        if own is None:
            return id(self)
        return hash((self.kind, *((name, array.tobytes()) for name, array in own.items())))


def rebuild(kind: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Embedding:
    """Return the embedding of a kind from its arrays.

    Raises
    ------
    LookupError
        If no embedding of this kind is known.
    ValueError
        If the arrays do not fit it.

    Examples
    --------
    >>> import trainviz.domain.planes  # where most kinds are
    >>> slice_ = Slice((0, 2), (1.0, 2.0, 3.0))
    >>> rebuild(slice_.kind, slice_.arrays()) == slice_
    True
    """
    if kind not in _KINDS:
        raise LookupError(f"kind={kind!r}: expected one of {', '.join(sorted(_KINDS))}")
    return _KINDS[kind].from_arrays(arrays)


def stored(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, *shape: int | None
) -> npt.NDArray[np.float64]:
    """Return one of the arrays that :func:`rebuild` was given, as float64, after checking it.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    name : str
    *shape : int or None
        The lengths of its axes; None for any.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        If it is missing, of another shape, or not of finite numbers.
    """
    array = np.asarray(arrays.get(name))
    fits = array.ndim == len(shape) and all(
        wanted in (None, side) for wanted, side in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(
            f"{name!r} of an embedding: got {array.dtype} of the shape {array.shape}, expected "
            f"finite numbers of the shape {shape}"
        )
    return array.astype(np.float64)


@dataclass(frozen=True)
class UnstoredEmbedding(Embedding):
    """Placeholder for the embedding of a stored recording that cannot be rebuilt.

    Parameters
    ----------
    name : str
        What the embedding was.
    n_features : int
    """

    name: str
    n_features: int

    def trial(self, point: FloatArray) -> FloatArray:
        """Return rows of zeros, because no real row is known."""
        return np.zeros((len(point), self.n_features))

    def embed(self, points: FloatArray) -> FloatArray:
        """Raise a RecordingError: the mapping is not known."""
        raise self._refused()

    def project(self, rows: FloatArray) -> FloatArray:
        """Raise a RecordingError: the mapping is not known."""
        raise self._refused()

    def doubt(self, points: FloatArray) -> FloatArray | None:
        """Return None, because the embedding is not known."""
        return None

    def _refused(self) -> RecordingError:
        return RecordingError(
            f"the recording was made on the embedding {self.name!r}, which could not be stored or "
            "is unknown here: it can be drawn, but its plane leads to no model inputs. Make the "
            "domain again as it was made for the recording"
        )


def name_of(embedding: Embedding) -> str:
    """Return the name under which an embedding is stored."""
    if isinstance(embedding, UnstoredEmbedding):
        return embedding.name
    return embedding.kind or type(embedding).__name__


@dataclass(frozen=True)
class Plane(Embedding):
    """The identity: the inputs of a model of two features are the plane coordinates."""

    kind: ClassVar[str] = "plane"
    n_features: int = 2

    def embed(self, points: FloatArray) -> FloatArray:
        """Return ``points`` as they are."""
        return points

    def project(self, rows: FloatArray) -> FloatArray:
        """Return ``rows`` as they are."""
        return rows

    def arrays(self) -> Arrays:
        """Return an empty dict, because the plane has no parameters."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the plane."""
        return cls()


@dataclass(frozen=True)
class Slice(Embedding):
    """Two features vary, the others have the values of a fixed row.

    Parameters
    ----------
    features : tuple of int
        The columns along the window's x and y axis.
    row : tuple of float
        A whole input row; its entries at ``features`` are replaced.

    Examples
    --------
    >>> Slice((0, 2), (1.0, 2.0, 3.0)).embed(np.array([[7.0, 9.0]]))
    array([[7., 2., 9.]])
    """

    kind: ClassVar[str] = "slice"
    features: tuple[int, int]
    row: tuple[float, ...]

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

    def arrays(self) -> Arrays:
        """Return the two features and the fixed row."""
        return {"features": np.array(self.features), "row": np.array(self.row)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the slice with these :meth:`arrays`."""
        row = stored(arrays, "row", None)
        return cls(stored_pair(arrays, len(row)), tuple(row.tolist()))


def stored_pair(arrays: Mapping[str, npt.NDArray[Any]], n_columns: int) -> tuple[int, int]:
    """Return the two columns that :func:`rebuild` was given, as :func:`stored` does."""
    first, second = (int(column) for column in stored(arrays, "features", 2))
    if first == second or not 0 <= min(first, second) <= max(first, second) < n_columns:
        raise ValueError(
            f"'features' of an embedding: got {(first, second)}, expected two of the columns "
            f"0 to {n_columns - 1}"
        )
    return first, second
