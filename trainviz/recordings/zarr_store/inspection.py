"""Reports on the contents and the integrity of a recording on disk."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainviz.domain.table_slice import TableSlice
from trainviz.errors import RecordingError
from trainviz.recordings.opening import recording_of
from trainviz.recordings.snapshot import Snapshot, quality_of
from trainviz.recordings.zarr_store.contents import current_document
from trainviz.recordings.zarr_store.lock import LOCK
from trainviz.recordings.zarr_store.places import Place, place_of
from trainviz.recordings.zarr_store.reader import DiskReader

__all__ = ["Report", "inspect", "visible"]


@dataclass(frozen=True)
class Report:
    """The result of :func:`inspect`.

    Attributes
    ----------
    heading : str
    rows : list of (str, str)
        The contents of the recording to be shown: a name, and what is to be said of it.
    facts : dict
        The same for machines, ready for JSON.
    problems : list of str
        What is damaged or missing; empty for an intact recording.
    """

    heading: str
    rows: list[tuple[str, str]]
    facts: dict[str, Any]
    problems: list[str]


def inspect(path: str | os.PathLike[str]) -> Report:
    """Return a report on a recording, every snapshot of which is read once.

    Parameters
    ----------
    path : str or PathLike
        As for :func:`trainviz.open_recording`.

    Returns
    -------
    Report

    Raises
    ------
    RecordingError
        If there is no recording, or it cannot be opened.
    """
    place = place_of(path)
    reader = DiskReader.at(place)
    document = current_document(place)
    version = document["attributes"]["trainviz"].get("version") if document else None
    whole, problems = _read_all(reader)
    if reader.contents.log.failure is not None:
        problems.append(str(reader.contents.log.failure))
    sizes = dict(place.sizes())
    rows = [
        *_contents(reader),
        ("size", _size(sizes, len(reader))),
        ("maps", quality_of(whole) or "of unknown quality"),
        ("integrity", f"{len(whole)} of {len(reader)} snapshots are whole"),
    ]
    facts = {
        "path": place.describe(), "version": version, **_facts(reader),
        "bytes": sum(sizes.values()), "files": len(sizes), "whole": len(whole),
        "problems": problems,
    }  # fmt: skip
    return Report(
        visible(f"{place.describe()}: a recording by trainviz {version}"),
        [(name, visible(text)) for name, text in rows],
        facts,
        [visible(problem) for problem in problems],
    )


def _facts(reader: DiskReader) -> dict[str, Any]:
    found, maps = reader.contents.description, reader.contents.probabilities
    epochs = [reader.epoch(index) for index in range(len(reader))]
    return {
        "snapshots": len(reader), "first_epoch": min(epochs, default=None),
        "last_epoch": max(epochs, default=None), "output": str(found.output),
        "n_classes": reader.n_classes, "class_names": _names(reader),
        "xlim": list(found.domain.xlim), "ylim": list(found.domain.ylim),
        "shape": list(found.domain.shape), "precision": None if maps is None else maps.precision,
        "points": 0 if found.data is None else len(found.data.points),
        "metrics": {name: list(ends) for name, ends in _ends(reader).items()},
        "accuracy": _accuracy(reader),
    }  # fmt: skip


def _names(reader: DiskReader) -> list[str]:
    found = reader.contents.description
    return found.class_names or [str(label) for label in found.classes or []]


def _ends(reader: DiskReader) -> dict[str, tuple[float, float]]:
    """Return the first and the last value of each metric that has one."""
    ends: dict[str, tuple[float, float]] = {}
    for index in range(len(reader)):
        for name, value in reader.metrics(index).items():
            if math.isfinite(value):
                ends[name] = ends.get(name, (value, value))[0], value
    return ends


def _accuracy(reader: DiskReader) -> list[float] | None:
    """Return the shares of the data that the first and the last snapshot classify rightly."""
    if not len(reader):
        return None
    try:
        labels = recording_of(reader, reader.contents.description).data_labels
        first, last = reader.data_predictions(0), reader.data_predictions(len(reader) - 1)
    except (RecordingError, ValueError):  # One is damaged, or a label is none of the classes.
        return None
    if labels is None or first is None or last is None:
        return None
    return [float(np.mean(first == labels)), float(np.mean(last == labels))]


def _contents(reader: DiskReader) -> Iterator[tuple[str, str]]:
    found = reader.contents.description
    domain, maps = found.domain, reader.contents.probabilities
    epochs = f", epochs {reader.epoch(0)} to {reader.epoch(len(reader) - 1)}" if len(reader) else ""
    yield "snapshots", f"{len(reader)}{epochs}"
    names = _names(reader)
    shown = f": {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else ""
    yield "classes", f"{reader.n_classes or 'unknown yet'}{shown}"
    height, width = domain.shape
    x, y = (axis.describe(ends) for axis, ends in zip(domain.axes, (domain.xlim, domain.ylim),
                                                      strict=True))  # fmt: skip
    yield "grid", f"{height} x {width}, y {y}, x {x}"
    embedding = domain.embedding
    kind = embedding.kind or type(embedding).__name__.lower()
    yield "inputs", f"{embedding.n_features} features ({kind})"
    if isinstance(embedding, TableSlice):
        yield "fixed", f"{embedding.describe_fixed()}"
    if found.data is not None:
        yield "data", f"{found.data.counted()}"
    ends = _ends(reader)
    told = [f"{name} {ends[name][0]:.4g} to {ends[name][1]:.4g}" if name in ends else name
            for name in reader.contents.metrics]  # fmt: skip
    yield "metrics", ", ".join(told) or "none"
    right = _accuracy(reader)
    if right:
        yield "accuracy", f"{right[0]:.4g} to {right[1]:.4g} of the data's points"
    if reader.contents.log.entries:
        yield "log", f"{len(reader.contents.log.entries)} moments between snapshots"
    if found.schedule:
        # What was left to its default says nothing.
        parts = [part for part in str(found.schedule).split(", ") if not part.endswith("=None")]
        yield "schedule", ", ".join(parts)
    if maps is not None:
        yield "precision", f"{maps.precision}"
    holder = _writer(reader.place)
    if holder:
        yield "writer", f"{holder}"


def visible(text: str) -> str:
    """Escape control characters: a stranger's class name must not forge another line."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _read_all(reader: DiskReader) -> tuple[list[Snapshot], list[str]]:
    """Return the snapshots that are whole, still packed, and what is wrong with the others."""
    whole, problems = [], []
    for index in range(len(reader)):
        try:
            snapshot = reader.read(index)
            _ = snapshot.probabilities
            whole.append(snapshot)
        except RecordingError as error:
            problems.append(str(error))
    return whole, problems


def _size(sizes: dict[str, int], snapshots: int) -> str:
    maps = sum(size for key, size in sizes.items() if key.startswith("probabilities/c."))
    each = f", {maps / snapshots / 1e3:.3g} kB a map" if snapshots else ""
    return f"{sum(sizes.values()) / 1e6:.3g} MB in {len(sizes)} files{each}"


def _writer(place: Place) -> str | None:
    payload = place.read(LOCK, 4096)
    if payload is None:
        return None
    try:
        holder = json.loads(payload)
        return f"the process {holder['pid']} on {holder['host']} (if it still runs)"
    except (ValueError, KeyError, TypeError):
        return f"unknown: {place.describe(LOCK)} cannot be read"
