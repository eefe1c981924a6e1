"""The contents of a recording on disk but for its maps: root document, columns and layouts."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from trainviz.errors import RecordingError
from trainviz.recordings.snapshot import Provisional
from trainviz.recordings.zarr_store.arrays import (
    ArrayLayout,
    MapLayout,
    ReadBudget,
    TooLargeError,
    check_installed,
    is_array_name,
    read_rows,
)
from trainviz.recordings.zarr_store.chunks import Facts, read_chunk
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.log import Log
from trainviz.recordings.zarr_store.places import Place
from trainviz.version import __version__

__all__ = [
    "EMPTY_GROUP",
    "ROOT",
    "ROOT_COPY",
    "SCHEMA",
    "Contents",
    "array_names",
    "as_json",
    "current_document",
    "generation_of",
    "is_empty",
]

SCHEMA = 2
"""The version of the format; a reader refuses any other."""

ROOT = "zarr.json"

ROOT_COPY = "x/.zarr.json"
"""The next root document, which is written first: inside an array, where Zarr lists no files."""

_ROOT_LIMIT = 2**25
"""Largest root document in bytes; one with hundreds of metrics has 2**19."""

_ROWS = 1024
_MOST_ROWS, _MOST_ARRAYS = 2**16, 10_000
"""A stranger's recording that has more rows in a chunk of a column, or more arrays, is refused."""

_TABLES = ("data_x", "data_y", "data_points", "data_distances", "data_groups")
_INT_COLUMNS = ("epoch", "step", "evaluations")


class AnyLayout(Protocol):
    """What all arrays have in common."""

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of each axis."""
        ...

    def document(self, length: int) -> dict[str, Any]:
        """Return the array's Zarr document."""
        ...


def current_document(place: Place, *, trust: bool = False) -> dict[str, Any] | None:
    """Return the root document that holds, or None if there is no recording.

    Snapshots are replaced in this order: a copy of the next root document, the
    first of the new chunks, the root document. The copy holds as soon as that
    chunk is there, and where the root document itself cannot be read.

    Parameters
    ----------
    place : Place
    trust : bool, default False
        Read that chunk however large it may be.

    Raises
    ------
    RecordingError
        If another version of trainviz wrote it, or its file cannot be read.
    """
    payload, copy = (place.read(key, _ROOT_LIMIT) for key in (ROOT, ROOT_COPY))
    root = _parsed(payload, place)
    if copy is None or copy == payload:
        return root
    following = _parsed(copy, place)
    if following is None or root is None:
        # Another program's document is no torn one.
        return following if payload is None or not _is_json(payload) else root
    if generation_of(following) <= generation_of(root):
        return root
    return following if _has_begun(place, following, trust) else root


def _has_begun(place: Place, document: Mapping[str, Any], trust: bool) -> bool:
    """Return whether the chunk is there with which a document's generation begins."""
    try:
        maps = document["consolidated_metadata"]["metadata"]["probabilities"]
        layout, length = MapLayout.of_document(maps)
        found = read_chunk(place, layout, length, None, trust=trust)
    except (KeyError, TypeError, RecordingError):
        return False
    return found is not None and found[0].generation == generation_of(document)


def generation_of(document: Mapping[str, Any]) -> int:
    """Return the generation of a recording, which grows whenever snapshots are replaced."""
    return _number(document, "generation")


def _log_number(document: Mapping[str, Any]) -> int:
    """Return which log belongs to a recording; before there were logs, none was stated."""
    return _number(document, "log")


def _number(document: Mapping[str, Any], name: str) -> int:
    found = document["attributes"]["trainviz"].get(name)
    is_count = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**63
    return found if is_count else 0


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True


def _parsed(payload: bytes | None, place: Place) -> dict[str, Any] | None:
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
            f"{schema}; this one reads {SCHEMA}): pip install -U trainviz"
        )
    if schema < SCHEMA:
        raise RecordingError(
            f"{place.describe()} was written by an early trainviz ({ours.get('version')!r}, "
            f"schema {schema}; this one reads {SCHEMA}): record it again, or replay its checkpoints"
        )
    return document if isinstance(document, dict) else None


def array_names(document: Mapping[str, Any]) -> list[str]:
    """Return the top-level names of the arrays that a root document lists."""
    try:
        names = [str(name) for name in document["consolidated_metadata"]["metadata"]]
    except (KeyError, TypeError):
        return []
    return sorted({name.partition("/")[0] for name in names if is_array_name(name)})


def is_empty(place: Place, document: Mapping[str, Any]) -> bool:
    """Return whether a recording certainly holds no snapshot."""
    try:
        arrays = document["consolidated_metadata"]["metadata"]
        if "probabilities" not in arrays:
            return True
        # The first chunk is there before the document knows it if it has replaced another.
        return arrays["probabilities"]["shape"][0] == 0 and not _has_begun(place, document, True)
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
    generation : int
        Grows whenever a recording is continued, or snapshots are replaced, also by another
        recording at the same path.
    probabilities : MapLayout or None
        None before the first snapshot.
    columns : dict of str to list
        ``epoch``, ``step``, ``evaluations``.
    metrics : dict of str to list
        A column for each metric, by the metric's name.
    metric_arrays : dict of str to ArrayLayout
        Under the same names.
    provisional : Provisional or None
        How to undo the end of the run in the last snapshot.
    n_indexed : int
        How many snapshots the root document knew when it was read.
    trust : bool
        Whether to read maps of any size.
    log : Log
        The metrics of moments that were not captured.
    """

    description: Description
    fixed: dict[str, tuple[ArrayLayout, int]]
    generation: int = 0
    probabilities: MapLayout | None = None
    columns: dict[str, list[int]] = field(
        default_factory=lambda: {name: [] for name in _INT_COLUMNS}
    )
    metrics: dict[str, list[float]] = field(default_factory=dict)
    metric_arrays: dict[str, ArrayLayout] = field(default_factory=dict)
    provisional: Provisional | None = None
    n_indexed: int = 0
    trust: bool = True
    log: Log = field(default_factory=lambda: Log(0))

    def __len__(self) -> int:
        return len(self.columns["epoch"])

    @classmethod
    def new(cls, description: Description, generation: int = 0) -> Contents:
        """Return the contents of a new recording, without snapshots."""
        layouts = {layout.name: (layout, len(rows)) for layout, rows in description.arrays()}
        return cls(description, layouts, generation, log=Log(generation))

    @classmethod
    def read(cls, place: Place, document: Mapping[str, Any], *, trust: bool = False) -> Contents:
        """Read and check everything but the maps.

        Of the last snapshot that the document knows, and of later ones, the
        chunks are read too: they may be newer than the columns.

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
        (found, maps), budget = _layouts(document), ReadBudget(math.inf if trust else 2**26)
        fixed = {name: item for name, item in found.items() if item[0].dims[0] != "snapshot"}
        values = {
            name: read_rows(place, layout, length, budget)
            for name, (layout, length) in fixed.items()
            if name in _TABLES or name.startswith("embedding/")
        }
        for name, (layout, length) in fixed.items():
            if layout.attributes.get("scalar") is True and length == 1:
                values[name] = values[name].reshape(layout.row)
        contents = cls(
            Description.of(document["attributes"]["trainviz"], values), fixed,
            generation_of(document), trust=trust,
            log=Log.read(place, _log_number(document), trust=trust),
        )  # fmt: skip
        growing = {name: layout for name, (layout, _) in found.items() if name not in fixed}
        lengths = {length for name, (_, length) in found.items() if name not in fixed}
        if not growing and maps is None:
            return contents
        if maps is None or lengths != {maps[1]} or not {*_INT_COLUMNS} <= growing.keys():
            raise RecordingError("its arrays do not belong together")
        contents.probabilities, length = maps
        contents.n_indexed = length
        contents._check_maps()
        # Columns become lists, which take four times as much.
        budget = ReadBudget(math.inf if trust else 2**24)
        try:
            contents._read_columns(place, growing, length, budget)
        except _LostColumnError as error:
            contents._rebuild_columns(place, length, error)
        contents._catch_up(place, length)
        return contents

    def _read_columns(
        self, place: Place, growing: dict[str, ArrayLayout], length: int, budget: ReadBudget
    ) -> None:
        for name, layout in growing.items():
            is_count = name in _INT_COLUMNS
            if (
                layout.row
                or layout.dtype != ("int64" if is_count else "float64")
                or not (is_count or name.startswith("metric_"))
                or layout.rows > _MOST_ROWS
            ):
                raise RecordingError(f"the array {name!r} is not as a recorder writes it")
        for name, layout in growing.items():
            if name not in _INT_COLUMNS:
                metric = str(layout.attributes.get("metric", name))
                self.metric_arrays[metric] = layout
        try:
            for name in _INT_COLUMNS:
                rows = read_rows(place, growing[name], length, budget)
                self.columns[name] = rows.tolist()
            for metric, layout in self.metric_arrays.items():
                self.metrics[metric] = read_rows(place, layout, length, budget).tolist()
        except TooLargeError:
            raise
        except RecordingError as error:
            raise _LostColumnError(str(error)) from error

    def _rebuild_columns(self, place: Place, length: int, lost: Exception) -> None:
        """Read all chunks, because a column is damaged or missing."""
        self.columns, self.metrics = {name: [] for name in _INT_COLUMNS}, {}
        for index in range(length):
            try:
                found = self.chunk(place, index)
            except RecordingError as error:
                raise RecordingError(f"{lost}, and {error}") from error
            if found is None:
                raise RecordingError(f"{lost}, and so is the map of snapshot {index}") from lost
            self.put(index, found[0])

    def grown(self, place: Place) -> Contents:
        """Return these contents with what the last chunk and the chunks after it say by now.

        It is as good as reading everything again while the root document is the same.
        """
        found = replace(
            self,
            columns={name: [*counts] for name, counts in self.columns.items()},
            metrics={name: [*numbers] for name, numbers in self.metrics.items()},
            metric_arrays=dict(self.metric_arrays),
            log=self.log.grown(place, trust=self.trust),
        )
        if self.probabilities is not None:
            found._catch_up(place, len(self))
        return found

    def _catch_up(self, place: Place, length: int) -> None:
        """Take in what the last chunks say, which may be newer than the root document."""
        for index in itertools.count(max(0, length - 1)):
            is_known, facts = index < length, None
            try:
                found = self.chunk(place, index)
                facts = None if found is None else found[0]
            except RecordingError:
                # One that the document knows is reported when it is read; a later one is torn.
                if not is_known:
                    return
            if facts is not None and (
                facts.generation <= self.generation
                if is_known
                else facts.generation == self.generation
            ):
                self.put(index, facts)
            elif not is_known:
                return

    def chunk(self, place: Place, index: int) -> tuple[Facts, bytes] | None:
        """Return the facts and the packed map of a snapshot, or None if its file is missing.

        Raises
        ------
        RecordingError
            If it is damaged; the message names the file.
        """
        assert self.probabilities is not None
        return read_chunk(place, self.probabilities, index, self.n_points, trust=self.trust)

    @property
    def n_points(self) -> int | None:
        """The number of data points for which classes are predicted."""
        data = self.description.data
        return len(data.y) if data is not None and self.description.output.has_classes else None

    def put(self, index: int, facts: Facts) -> None:
        """Set the entries of a snapshot: one that is there, or the next one.

        Raises
        ------
        RecordingError
            If there are too many metrics.
        """
        self.check_metrics(facts.metrics)
        for name in facts.metrics:
            if name not in self.metric_arrays:
                self.metric_arrays[name] = self.start_metric(name)
            if name not in self.metrics:
                self.metrics[name] = [np.nan] * len(self)
        for name, numbers in self.metrics.items():
            numbers[index : index + 1] = [facts.metrics.get(name, np.nan)]
        step = -1 if facts.step is None else facts.step
        # The epoch last: len() counts epochs, and another thread may be reading.
        for name, count in (
            ("evaluations", facts.evaluations), ("step", step), ("epoch", facts.epoch),
        ):  # fmt: skip
            self.columns[name][index : index + 1] = [count]
        if index == len(self) - 1:
            self.provisional = facts.provisional

    def check_metrics(self, names: Iterable[str]) -> None:
        """Raise if these metrics and the ones that are there are more than a root may list."""
        new = sum(name not in self.metric_arrays for name in names)
        others = len(self.fixed) + len(_INT_COLUMNS) + 2  # the maps, and the embedding's group
        if new and new + len(self.metric_arrays) + others > _MOST_ARRAYS:
            raise RecordingError(f"more than {_MOST_ARRAYS:,} metrics and other arrays")

    def _check_maps(self) -> None:
        maps, domain = self.probabilities, self.description.domain
        assert maps is not None
        if maps.row[1:] != domain.shape:
            raise RecordingError(f"maps of the shape {maps.row} on a grid {domain.shape}")
        if maps.output is not self.description.output:
            raise RecordingError(
                f"maps of {maps.output} in a recording of {self.description.output}"
            )
        if maps.row[0] < self.description.output.least_columns:
            raise RecordingError(f"maps of {maps.row[0]} classes")
        self.description.check_classes(maps.row[0])

    def start_maps(self, n_classes: int, precision: str) -> None:
        """Define the arrays that depend on the number of classes, at the first snapshot."""
        height, width = self.description.domain.shape
        self.probabilities = MapLayout(
            (n_classes, height, width), precision, self.description.output
        )
        names = {"names": self.description.class_names} if self.description.class_names else {}
        classes = ArrayLayout("class", "int64", (), n_classes, ("class",), names)
        self.fixed["class"] = (classes, n_classes)

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
        self.provisional = None

    def column_arrays(self) -> Iterator[tuple[ArrayLayout, Sequence[float]]]:
        """Yield the layout and the entries of every column."""
        for name in _INT_COLUMNS:
            yield _column(name), self.columns[name]
        for name, layout in self.metric_arrays.items():
            yield layout, self.metrics.get(name) or [np.nan] * len(self)

    def layouts(self, length: int) -> dict[str, tuple[AnyLayout, int]]:
        """Return every array and its length, with ``length`` snapshots."""
        found: dict[str, tuple[AnyLayout, int]] = dict(self.fixed)
        if self.probabilities is not None:
            found["probabilities"] = self.probabilities, length
            found |= {layout.name: (layout, length) for layout, _ in self.column_arrays()}
        return found

    def first_document(self) -> dict[str, Any]:
        """Return a root document without arrays, which can be opened before they are written."""
        ours = self._attributes()
        ours["domain"]["stored"] = False
        return _root({}, ours)

    def document(self, length: int) -> dict[str, Any]:
        """Return the root document of the recording with ``length`` snapshots."""
        inside = {
            name: layout.document(own) for name, (layout, own) in self.layouts(length).items()
        }
        if any(name.startswith("embedding/") for name in inside):
            inside["embedding"] = EMPTY_GROUP
        return _root(inside, self._attributes())

    def _attributes(self) -> dict[str, Any]:
        told = {"generation": self.generation, "log": self.log.number}
        return {**told, **self.description.attributes()}


class _LostColumnError(RecordingError):
    """A column cannot be read."""


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _root(arrays: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    attributes = {"trainviz": {"schema": SCHEMA, "version": __version__, **ours}}
    return _group(attributes) | {"consolidated_metadata": consolidated}


EMPTY_GROUP = _group({})
"""The document of a group without attributes."""


def _column(name: str) -> ArrayLayout:
    return ArrayLayout(name, "int64", (), _ROWS, ("snapshot",))


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes of its file."""
    return json.dumps(document, separators=(",", ":")).encode()


def _layouts(
    document: Mapping[str, Any],
) -> tuple[dict[str, tuple[ArrayLayout, int]], tuple[MapLayout, int] | None]:
    """Return the layouts and lengths of the arrays, and those of the maps."""
    try:
        inside = document["consolidated_metadata"]["metadata"].items()
        if len(inside) > _MOST_ARRAYS:
            raise RecordingError(f"its zarr.json lists {len(inside):,} arrays")
    except (KeyError, TypeError, AttributeError):
        raise RecordingError("its zarr.json lists no arrays") from None
    arrays, maps = {}, None
    for name, item in inside:
        if name == MapLayout.name:
            maps = MapLayout.of_document(item)
        elif not (isinstance(item, dict) and item.get("node_type") == "group"):
            arrays[str(name)] = ArrayLayout.of_document(str(name), item)
    return arrays, maps
