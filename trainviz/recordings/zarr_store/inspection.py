"""Reports on the contents and the integrity of a recording on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from trainviz.domain.table_slice import TableSlice
from trainviz.errors import RecordingError
from trainviz.recordings.snapshot import Snapshot, quality_of
from trainviz.recordings.zarr_store.contents import current_document
from trainviz.recordings.zarr_store.lock import LOCK
from trainviz.recordings.zarr_store.places import Place, place_of
from trainviz.recordings.zarr_store.reader import DiskReader

__all__ = ["Report", "inspect"]


@dataclass(frozen=True)
class Report:
    """The result of :func:`inspect`.

    Attributes
    ----------
    lines : list of str
        The contents of the recording, to be printed.
    problems : list of str
        What is damaged or missing; empty for an intact recording.
    """

    lines: list[str]
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
    lines = [f"{place.describe()}: a recording by trainviz {version}", *_contents(reader)]
    lines += [
        _size(place, len(reader)),
        f"  maps       {quality_of(whole) or 'of unknown quality'}",
        f"  integrity  {len(whole)} of {len(reader)} snapshots are whole",
    ]
    return Report([_visible(line) for line in lines], [_visible(line) for line in problems])


def _contents(reader: DiskReader) -> Iterator[str]:
    found = reader.contents.description
    domain, maps = found.domain, reader.contents.probabilities
    epochs = f", epochs {reader.epoch(0)} to {reader.epoch(len(reader) - 1)}" if len(reader) else ""
    yield f"  snapshots  {len(reader)}{epochs}"
    names = found.class_names or [str(label) for label in found.classes or []]
    shown = f": {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else ""
    yield f"  classes    {reader.n_classes or 'unknown yet'}{shown}"
    height, width = domain.shape
    x, y = (axis.describe(ends) for axis, ends in zip(domain.axes, (domain.xlim, domain.ylim),
                                                      strict=True))  # fmt: skip
    yield f"  grid       {height} x {width}, y {y}, x {x}"
    embedding = domain.embedding
    kind = embedding.kind or type(embedding).__name__.lower()
    yield f"  inputs     {embedding.n_features} features ({kind})"
    if isinstance(embedding, TableSlice):
        yield f"  fixed      {embedding.describe_fixed()}"
    if found.data is not None:
        yield f"  data       {found.data.counted()}"
    yield f"  metrics    {', '.join(reader.contents.metrics) or 'none'}"
    if reader.contents.log.entries:
        yield f"  log        {len(reader.contents.log.entries)} moments between snapshots"
    if found.schedule:
        yield f"  schedule   {found.schedule}"
    if maps is not None:
        yield f"  precision  {maps.precision}"
    holder = _writer(reader.place)
    if holder:
        yield f"  writer     {holder}"


def _visible(text: str) -> str:
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


def _size(place: Place, snapshots: int) -> str:
    sizes = dict(place.sizes())
    maps = sum(size for key, size in sizes.items() if key.startswith("probabilities/c."))
    each = f", {maps / snapshots / 1e3:.3g} kB a map" if snapshots else ""
    return f"  size       {sum(sizes.values()) / 1e6:.3g} MB in {len(sizes)} files{each}"


def _writer(place: Place) -> str | None:
    payload = place.read(LOCK, 4096)
    if payload is None:
        return None
    try:
        holder = json.loads(payload)
        return f"the process {holder['pid']} on {holder['host']} (if it still runs)"
    except (ValueError, KeyError, TypeError):
        return f"unknown: {place.describe(LOCK)} cannot be read"
