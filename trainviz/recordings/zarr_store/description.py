"""A recording's domain, data and class names, as attributes and arrays on disk."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.output_kind import OutputKind
from trainviz.domain.domain import Domain
from trainviz.domain.embeddings import Embedding, UnstoredEmbedding, name_of, rebuild
from trainviz.domain.inputs import Shape
from trainviz.domain.labelled_data import LabelledData
from trainviz.domain.table_slice import TableSlice
from trainviz.errors import RecordingError
from trainviz.recordings.compatibility import mismatch
from trainviz.recordings.zarr_store.arrays import ArrayLayout, is_storable

__all__ = ["Description"]

_CHUNK_BYTES = 2**24

_MOST_FEATURES = 2**27
"""A file that states more is refused, because it may be malicious."""


@dataclass
class Description:
    """All of a recording but its snapshots.

    Attributes
    ----------
    domain : Domain
    data : LabelledData or None
    class_names : list of str, or None
    classes : list, or None
        As for :class:`~trainviz.Recorder`.
    schedule : str
        The recorder's schedule as text.
    output : OutputKind
        What the maps hold.
    unit : str
        As for :class:`~trainviz.Recording`.

    Examples
    --------
    >>> before = Description(Domain((0, 1), (0, 2), points_per_axis=3), class_names=["no", "yes"])
    >>> arrays = {layout.name: values for layout, values in before.arrays()}
    >>> after = Description.of(before.attributes(), arrays)
    >>> after.domain == before.domain, after.class_names
    (True, ['no', 'yes'])
    """

    domain: Domain
    data: LabelledData | None = None
    class_names: list[str] | None = None
    classes: list[Any] | None = None
    schedule: str = ""
    output: OutputKind = OutputKind.PROBABILITIES
    unit: str = "epoch"

    def attributes(self) -> dict[str, Any]:
        """Return the part that is stored as JSON attributes."""
        domain = self.domain
        embedding = domain.embedding
        found: dict[str, Any] = {
            "domain": {
                "xlim": list(domain.xlim),
                "ylim": list(domain.ylim),
                "shape": list(domain.shape),
                "input_shape": _listed(domain.input_shape),
                "preprocessed": domain.preprocess is not None,
                "axis_names": list(domain.axis_names),
                "feature_names": None
                if domain.feature_names is None
                else list(domain.feature_names),
                "embedding": name_of(embedding),
                "stored": _stored(domain) is not None,
                "n_features": int(embedding.n_features),
            },
            "class_names": self.class_names,
            "classes": None if self.classes is None else [_plain(label) for label in self.classes],
            "schedule": self.schedule,
            "output": self.output.value,
            "unit": self.unit,
        }
        if isinstance(embedding, TableSlice):
            found["domain"]["table"] = embedding.stored()
        if self.data is not None and self.output.has_classes:
            found["labels"] = [_plain(label) for label in np.unique(self.data.y)]
        if self.data is not None and self.data.groups is not None:
            found["groups"] = list(self.data.group_names)
        return found

    def arrays(self) -> list[tuple[ArrayLayout, npt.NDArray[Any]]]:
        """Return the part that is stored as arrays, which do not change during recording."""
        domain, data = self.domain, self.data
        found = [_table("x", domain.x, ("x",)), _table("y", domain.y, ("y",))]
        for name, values in (_stored(domain) or {}).items():
            rows = np.atleast_1d(values)
            dims = tuple(f"{name}_{axis}" for axis in range(rows.ndim))
            layout, rows = _table(f"embedding/{name}", rows, dims)
            found.append((replace(layout, attributes={"scalar": values.ndim == 0}), rows))
        if data is not None:
            X = data.X if data.X.dtype.kind in "fiub" else data.X.astype(np.float64)
            targets, dims = data.y, ("point", "class")[: data.y.ndim]
            if self.output.has_classes:
                targets = np.unique(data.y, return_inverse=True)[1].reshape(-1).astype(np.int32)
            features = tuple(f"feature_{axis}" for axis in range(X.ndim - 1))
            found += [
                _table("data_x", X, ("point", *features)),
                _table("data_y", targets, dims),
                _table("data_points", data.points, ("point", "coordinate")),
            ]
            if data.distances is not None:
                found.append(_table("data_distances", data.distances, ("point",)))
            if data.groups is not None:
                found.append(_table("data_groups", data.groups.astype(np.int32), ("point",)))
        return found

    @classmethod
    def of(
        cls, attributes: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Description:
        """Make a description from its attributes and arrays.

        Raises
        ------
        RecordingError
            If they do not form a description.
        """
        try:
            domain = _domain(attributes["domain"], arrays)
            names, classes = attributes["class_names"], attributes["classes"]
            return cls(
                domain,
                _data(attributes, arrays, domain),
                None if names is None else [str(name) for name in names],
                None if classes is None else [_plain(label) for label in classes],
                str(attributes["schedule"]),
                _output(attributes),
                str(attributes.get("unit", "epoch")),
            )
        except RecordingError:
            raise
        except Exception as error:  # Attributes of unknown origin can fail in any way.
            raise RecordingError(
                f"its description is damaged: {type(error).__name__}: {error}"
            ) from error

    def check_classes(self, n_classes: int) -> None:
        """Raise if names or labels do not fit the number of classes."""
        names = self.class_names
        if names is not None and len(names) != n_classes:
            raise RecordingError(f"it has {len(names)} class names for {n_classes} classes")
        if self.classes is not None and len(self.classes) != n_classes:
            raise RecordingError(f"it has {len(self.classes)} labels for {n_classes} classes")
        if self.data is not None and self.output.has_classes and self.classes is None:
            # Early versions took labels in sorted order without saying so.
            self.classes = self.data.sorted_classes(n_classes, names)
        try:
            if self.data is not None and self.output.has_labels:
                self.data.require_labels(n_classes)
            elif self.data is not None and self.output.has_classes and self.data.is_labelled:
                self.data.class_indices(n_classes, names, self.classes)
        except (ValueError, TypeError) as error:
            raise RecordingError(f"its labels do not fit its classes: {error}") from error

    def check_fits(self, other: Description, path: str) -> None:
        """Raise if this recording cannot be continued with what ``other`` describes.

        Raises
        ------
        RecordingError
            If domain, data or classes differ; the message says how.
        """
        mend = "resume with what it was recorded with, or record to another path"
        differ = mismatch(other, self, ("this run", path))
        if differ is not None:
            raise RecordingError(f"{differ}: {mend}")
        if other.data is not None and not other.data.matches(self.data):
            raise RecordingError(f"{path} was recorded with other data= than given now: {mend}")
        for name in ("class_names", "classes"):
            old, new = getattr(self, name), getattr(other, name)
            if old is not None and new is not None and [*map(_plain, new)] != [*map(_plain, old)]:
                raise RecordingError(
                    f"{path} was recorded with {name}={old!r}, not {new!r}: {mend}"
                )


def _stored(domain: Domain) -> dict[str, npt.NDArray[Any]] | None:
    """Return the arrays of an embedding, or None if they cannot be stored."""
    if domain.preprocess is not None:
        # The embedding alone does not give the model's inputs, and code is not stored.
        return None
    own = domain.embedding.arrays()
    if own is None or not all(is_storable(f"embedding/{name}", own[name]) for name in own):
        return None
    return own


def _domain(found: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Domain:
    kind, n_features = str(found["embedding"]), int(found["n_features"])
    prefix = "embedding/"
    own = {
        name[len(prefix) :]: values for name, values in arrays.items() if name.startswith(prefix)
    }
    if not 0 < n_features <= _MOST_FEATURES:
        raise ValueError(f"inputs of {n_features} features")
    embedding: Embedding = UnstoredEmbedding(kind, n_features)
    input_shape: Shape | None = None
    if found["stored"]:
        with contextlib.suppress(LookupError):
            embedding, input_shape = rebuild(kind, own), _shape(found["input_shape"])
    first, second = (None if name is None else str(name) for name in found["axis_names"])
    names = found.get("feature_names")
    if "table" in found:
        embedding = TableSlice.from_stored(found["table"], [str(name) for name in names or []])
    return Domain(
        tuple(found["xlim"]), tuple(found["ylim"]), shape=tuple(found["shape"]),
        embedding=embedding, input_shape=input_shape, axis_names=(first, second),
        feature_names=None if names is None else [str(name) for name in names],
    )  # fmt: skip


def _listed(shape: Shape) -> Any:
    if isinstance(shape, Mapping):
        return {name: list(part) for name, part in shape.items()}
    return [list(part) if isinstance(part, tuple) else part for part in shape]


def _shape(found: Any) -> Shape:
    if isinstance(found, Mapping):
        return {str(name): tuple(part) for name, part in found.items()}
    return tuple(tuple(part) if isinstance(part, list) else part for part in found)


def _output(attributes: Mapping[str, Any]) -> OutputKind:
    return OutputKind(attributes.get("output", OutputKind.PROBABILITIES))


def _data(
    attributes: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], domain: Domain
) -> LabelledData | None:
    if "data_x" not in arrays:
        return None
    X, targets, points = arrays["data_x"], arrays["data_y"], arrays["data_points"]
    output = _output(attributes)
    if points.shape != (len(X), 2) or len(targets) != len(X):
        raise ValueError(f"points of the shape {points.shape}, labels of {targets.shape}")
    if targets.ndim != (2 if output.has_labels else 1):
        raise ValueError(f"labels of the shape {targets.shape} for maps of {output}")
    if math.prod(X.shape[1:]) != domain.embedding.n_features:
        raise ValueError(f"data of the shape {X.shape}, inputs of {domain.input_shape}")
    distances = arrays.get("data_distances")
    if distances is not None and distances.shape != (len(X),):
        raise ValueError(f"distances of the shape {distances.shape} for {len(X)} points")
    groups, names = _groups(attributes, arrays, len(X))
    if not output.has_classes:
        return LabelledData(X, targets, points, distances, groups, names)
    labels = np.array(attributes["labels"] if len(attributes["labels"]) else [0])
    if labels.dtype.kind not in "iuU":
        raise ValueError(f"labels of the type {labels.dtype}")
    return LabelledData(X, labels[targets], points, distances, groups, names)


def _groups(
    attributes: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], n_points: int
) -> tuple[npt.NDArray[np.intp] | None, tuple[str, ...]]:
    """Return the group of each point and the groups' names; a file without has one group."""
    if "groups" not in attributes and "data_groups" not in arrays:
        return None, ()
    names, groups = attributes["groups"], arrays["data_groups"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"groups of the type {type(names).__name__}, expected a list of names")
    if not 0 < len(names) <= n_points or len({*names}) < len(names):
        raise ValueError(f"{len(names)} names of groups for {n_points} points")
    if groups.shape != (n_points,) or groups.dtype.kind not in "iu":
        raise ValueError(f"groups of the shape {groups.shape} for {n_points} points")
    if groups.min() < 0 or groups.max() >= len(names):
        raise ValueError(f"a group beyond the {len(names)} that have names")
    return groups.astype(np.intp), tuple(names)


def _table(
    name: str, values: npt.NDArray[Any], dims: Sequence[str]
) -> tuple[ArrayLayout, npt.NDArray[Any]]:
    row_bytes = max(1, values[:1].nbytes)
    rows = max(1, min(len(values), _CHUNK_BYTES // row_bytes))
    return ArrayLayout(name, values.dtype.name, values.shape[1:], rows, tuple(dims)), values


def _plain(label: Any) -> Any:
    value = label.item() if isinstance(label, np.generic) else label
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, (str, int, float, bool)) else str(value)
