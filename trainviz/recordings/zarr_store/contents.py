"""The contents of a recording on disk but for its maps: root document, columns and layouts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainviz.errors import RecordingError
from trainviz.recordings.zarr_store.arrays import (
    ArrayLayout,
    ReadBudget,
    check_installed,
    is_array_name,
    read_rows,
)
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.places import Place
from trainviz.version import __version__

__all__ = [
    "EMPTY_GROUP",
    "ROOT",
    "SCHEMA",
    "Contents",
    "as_json",
    "column",
    "maps_layout",
    "root_document",
]

SCHEMA = 1
"""The version of the format; a reader refuses a newer one."""

ROOT = "zarr.json"

_ROOT_LIMIT = 2**25
"""Largest root document in bytes; one with hundreds of metrics has 2**19."""

_ROWS = 1024
_MOST_ROWS, _MOST_ARRAYS = 2**16, 10_000
"""A stranger's recording that has more rows in a chunk of a column, or more arrays, is refused."""

_TABLES = ("data_x", "data_y", "data_points", "data_distances")
_INT_COLUMNS = ("epoch", "step", "evaluations")


def root_document(place: Place) -> dict[str, Any] | None:
    """Return the root document of a recording, or None if there is no recording.

    Raises
    ------
    RecordingError
        If a newer version of trainviz wrote it, or its file cannot be read.
    """
    payload = place.read(ROOT, _ROOT_LIMIT)
    if payload is None:
        return None
    try:
        document = json.loads(payload)
        ours = document["attributes"]["trainviz"]
        schema = ours["schema"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(schema, int) or schema < 1 or not isinstance(ours, dict):
        return None
    if schema > SCHEMA:
        raise RecordingError(
            f"{place.describe()} was written by a newer trainviz ({ours.get('version')!r}, schema "
            f"{schema}; this one reads up to {SCHEMA}): pip install -U trainviz"
        )
    return document if isinstance(document, dict) else None


def array_names(document: Mapping[str, Any]) -> list[str]:
    """Return the top-level names of the arrays that a root document lists."""
    try:
        names = [str(name) for name in document["consolidated_metadata"]["metadata"]]
    except (KeyError, TypeError):
        return []
    return sorted({name.partition("/")[0] for name in names if is_array_name(name)})


def is_empty(document: Mapping[str, Any]) -> bool:
    """Return whether a recording certainly holds no snapshot."""
    try:
        arrays = document["consolidated_metadata"]["metadata"]
        return "probabilities" not in arrays or arrays["probabilities"]["shape"][0] == 0
    except (KeyError, TypeError, IndexError):
        return False


@dataclass
class Contents:
    """The arrays of a recording, and all of its columns in memory.

    Attributes
    ----------
    description : Description
    fixed : dict of str to (ArrayLayout, int)
        The arrays that do not grow, and their lengths.
    probabilities : ArrayLayout or None
        None before the first snapshot.
    predictions : ArrayLayout or None
    columns : dict of str to list
        ``epoch``, ``step``, ``evaluations``.
    metrics : dict of str to list
        A column for each metric, by the metric's name.
    metric_arrays : dict of str to ArrayLayout
        Under the same names.
    """

    description: Description
    fixed: dict[str, tuple[ArrayLayout, int]]
    probabilities: ArrayLayout | None = None
    predictions: ArrayLayout | None = None
    columns: dict[str, list[int]] = field(
        default_factory=lambda: {name: [] for name in _INT_COLUMNS}
    )
    metrics: dict[str, list[float]] = field(default_factory=dict)
    metric_arrays: dict[str, ArrayLayout] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["epoch"])

    @classmethod
    def new(cls, description: Description) -> Contents:
        """Return the contents of a new recording, without snapshots."""
        layouts = {layout.name: (layout, len(rows)) for layout, rows in description.arrays()}
        return cls(description, layouts)

    @classmethod
    def read(cls, place: Place, document: Mapping[str, Any], *, trust: bool = False) -> Contents:
        """Read and check everything but the maps.

        Parameters
        ----------
        place : Place
        document : mapping
            The root document.
        trust : bool, default False
            Take as much memory as the document asks for.

        Raises
        ------
        RecordingError
            If anything is missing or not as a recorder writes it.
        """
        check_installed()
        where = place.describe()
        try:
            return cls._read(place, document, trust)
        except RecordingError as error:
            raise RecordingError(f"{where} cannot be opened: {error}") from error

    @classmethod
    def _read(cls, place: Place, document: Mapping[str, Any], trust: bool) -> Contents:
        found, budget = _layouts(document), ReadBudget(math.inf if trust else 2**26)
        fixed = {name: item for name, item in found.items() if item[0].dims[0] != "snapshot"}
        values = {
            name: read_rows(place, layout, length, budget)
            for name, (layout, length) in fixed.items()
            if name in _TABLES or name.startswith("embedding/")
        }
        for name, (layout, length) in fixed.items():
            if layout.attributes.get("scalar") is True and length == 1:
                values[name] = values[name].reshape(layout.row)
        contents = cls(Description.of(document["attributes"]["trainviz"], values), fixed)
        growing = {name: layout for name, (layout, _) in found.items() if name not in fixed}
        lengths = {length for name, (_, length) in found.items() if name not in fixed}
        if not growing:
            return contents
        if len(lengths) != 1 or not {"probabilities", *_INT_COLUMNS} <= growing.keys():
            raise RecordingError("its arrays do not belong together")
        contents.probabilities = growing.pop("probabilities")
        contents.predictions = growing.pop("data_predictions", None)
        contents._check_maps()
        # Columns become lists, which take four times as much.
        budget = ReadBudget(math.inf if trust else 2**24)
        contents._read_columns(place, growing, lengths.pop(), budget)
        return contents

    def _read_columns(
        self, place: Place, growing: dict[str, ArrayLayout], length: int, budget: ReadBudget
    ) -> None:
        for name in _INT_COLUMNS:
            layout = growing.pop(name)
            if layout.row or layout.dtype != "int64" or layout.rows > _MOST_ROWS:
                raise RecordingError(f"the array {name!r} is not as a recorder writes it")
            self.columns[name] = [int(value) for value in read_rows(place, layout, length, budget)]
        for name, layout in growing.items():
            if (
                layout.row
                or layout.dtype != "float64"
                or not name.startswith("metric_")
                or layout.rows > _MOST_ROWS
            ):
                raise RecordingError(f"the array {name!r} is not as a recorder writes it")
            metric = str(layout.attributes.get("metric", name))
            self.metric_arrays[metric] = layout
            self.metrics[metric] = read_rows(place, layout, length, budget, missing=np.nan).tolist()

    def _check_maps(self) -> None:
        maps, guesses, domain = self.probabilities, self.predictions, self.description.domain
        assert maps is not None
        if maps.rows != 1 or len(maps.row) != 3 or maps.row[1:] != domain.shape:
            raise RecordingError(f"maps of the shape {maps.row} on a grid {domain.shape}")
        if maps.row[0] < self.description.output.least_columns or maps.dtype not in (
            "float16",
            "float32",
        ):
            raise RecordingError(f"maps of {maps.row[0]} classes in {maps.dtype}")
        self.description.check_classes(maps.row[0])
        data = self.description.data
        if guesses is not None and (data is None or guesses.row != (len(data.y),)):
            raise RecordingError("its predictions do not belong to its data")
        if guesses is not None and guesses.rows > 1 and guesses.nbytes > 2**20:
            raise RecordingError("its predictions are in larger chunks than a recorder writes")

    def start_maps(self, n_classes: int, precision: str) -> None:
        """Define the arrays that depend on the number of classes, at the first snapshot."""
        self.probabilities = maps_layout(n_classes, self.description.domain.shape, precision)
        names = {"names": self.description.class_names} if self.description.class_names else {}
        classes = ArrayLayout("class", "int64", (), n_classes, ("class",), names)
        self.fixed["class"] = (classes, n_classes)
        if self.description.data is not None and self.description.output.has_classes:
            points = len(self.description.data.y)
            # A chunk is rewritten with every snapshot, so it has 64 kB at most, or a single row.
            rows = max(1, min(_ROWS, 2**16 // (4 * max(points, 1))))
            self.predictions = ArrayLayout(
                "data_predictions", "int32", (points,), rows, ("snapshot", "point")
            )

    def start_metric(self, metric: str) -> ArrayLayout:
        """Return the layout of a column for a new metric."""
        taken = {layout.name.casefold() for layout in self.metric_arrays.values()}
        plain = "".join(
            letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_"
            for letter in metric[:80]
        )
        name, number = f"metric_{plain}", 1
        while name.casefold() in taken:
            number += 1
            name = f"metric_{plain}_{number}"
        return ArrayLayout(name, "float64", (), _ROWS, ("snapshot",), {"metric": metric})

    def truncate(self, length: int) -> None:
        """Remove all entries but the first ``length``."""
        for counts in self.columns.values():
            del counts[length:]
        for numbers in self.metrics.values():
            del numbers[length:]

    def layouts(self) -> dict[str, tuple[ArrayLayout, int]]:
        """Return every array and its length."""
        found = dict(self.fixed)
        if self.probabilities is not None:
            growing = [self.probabilities, *map(column, _INT_COLUMNS), *self.metric_arrays.values()]
            if self.predictions is not None:
                growing.append(self.predictions)
            found |= {layout.name: (layout, len(self)) for layout in growing}
        return found

    def first_document(self) -> dict[str, Any]:
        """Return a root document without arrays, which can be opened before they are written."""
        ours = self.description.attributes()
        ours["domain"]["stored"] = False
        return _root({}, ours)

    def document(self, length: int) -> dict[str, Any]:
        """Return the root document of the recording with ``length`` snapshots."""
        inside: dict[str, Any] = {}
        for name, (layout, own) in self.layouts().items():
            inside[name] = layout.document(length if layout.dims[0] == "snapshot" else own)
        if any(name.startswith("embedding/") for name in inside):
            inside["embedding"] = EMPTY_GROUP
        return _root(inside, self.description.attributes())


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _root(arrays: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    attributes = {"trainviz": {"schema": SCHEMA, "version": __version__, **ours}}
    return _group(attributes) | {"consolidated_metadata": consolidated}


EMPTY_GROUP = _group({})
"""The document of a group without attributes."""


def column(name: str) -> ArrayLayout:
    """Return the layout of one of the columns that every recording has."""
    return ArrayLayout(name, "int64", (), _ROWS, ("snapshot",))


def maps_layout(n_classes: int, grid: tuple[int, int], precision: str) -> ArrayLayout:
    """Return the layout of the maps."""
    dims = ("snapshot", "class", "y", "x")
    return ArrayLayout(
        "probabilities", precision, (n_classes, *grid), 1, dims, {"coordinates": "epoch step"}
    )


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes of its file."""
    return json.dumps(document, separators=(",", ":")).encode()


def _layouts(document: Mapping[str, Any]) -> dict[str, tuple[ArrayLayout, int]]:
    try:
        inside = document["consolidated_metadata"]["metadata"].items()
        if len(inside) > _MOST_ARRAYS:
            raise RecordingError(f"its zarr.json lists {len(inside):,} arrays")
    except (KeyError, TypeError, AttributeError):
        raise RecordingError("its zarr.json lists no arrays") from None
    return {
        str(name): ArrayLayout.of_document(str(name), item)
        for name, item in inside
        if not (isinstance(item, dict) and item.get("node_type") == "group")
    }
