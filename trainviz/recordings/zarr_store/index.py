"""The index of a recording: its columns and root document, which sum up what the chunks state."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from trainviz.recordings.zarr_store.arrays import chunks_of
from trainviz.recordings.zarr_store.contents import (
    EMPTY_GROUP,
    ROOT,
    ROOT_COPY,
    Contents,
    as_json,
)
from trainviz.recordings.zarr_store.places import Place

__all__ = ["Index"]

_SECONDS = 2.0
"""Least time between two updates while snapshots are appended."""

_LARGEST_SHARE = 0.01
"""Of the time that goes by, how much the updates may take: on a slow disk they become rarer."""


class Index:
    """Writes columns, root document and the arrays' own documents, some time after the chunks.

    The chunks state everything, so that nothing is lost if a process is killed
    before an update: a recording is opened with what the index knows and the
    chunks that follow. Chunks, columns and root document reach the disk in this
    order, so that after a power cut the root document states nothing that is
    not there.

    Parameters
    ----------
    place : Place
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.root: bytes | None = None
        """The root document as it was last written or found."""
        self._waiting: Contents | None = None
        self._first = 0
        self._columns: set[str] = set()
        self._unsynced: set[str] = set()
        self._next = 0.0

    @property
    def is_outdated(self) -> bool:
        """Whether the chunks state more than the index."""
        return self._waiting is not None

    @property
    def is_due(self) -> bool:
        """Whether an update is needed, and the last one was long enough ago."""
        return self._waiting is not None and time.monotonic() >= self._next

    def put(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Write a file that the next update lets outlast a power cut, or ``sync`` does at once."""
        self._place.write(key, payload, sync=sync)
        if not sync:
            self._unsynced.add(key)

    def rewrite(self, key: str, payload: bytes, *, sync: bool = False) -> None:
        """Write a file anew; if the old one would outlast a power cut, so does the new one."""
        self.put(key, payload, sync=sync or key not in self._unsynced)

    def note_unsynced(self, keys: Iterable[str]) -> None:
        """Let the next update sync files that another process has written too."""
        self._unsynced.update(keys)

    def outdate(self, contents: Contents, index: int) -> None:
        """Note that the entries from ``index`` on are to be written."""
        self._first = index if self._waiting is None else min(self._first, index)
        self._waiting = contents

    def update(self, contents: Contents) -> None:
        """Write the index, and let everything that it states outlast a power cut."""
        begun = time.monotonic()
        self._sync()
        for layout, values in contents.column_arrays():
            first = self._first if layout.name in self._columns else 0
            for key, payload in chunks_of(layout, values, first):
                self.put(key, payload)
            self._columns.add(layout.name)
        self._sync()
        self.write_root(contents.document(len(contents)))
        self._waiting, self._first = None, len(contents)
        # For readers that do not use the consolidated metadata; the root states the same.
        with contextlib.suppress(OSError):
            for name, (array, length) in contents.layouts(len(contents)).items():
                self.put(f"{name}/{ROOT}", as_json(array.document(length)))
            if any(name.startswith("embedding/") for name in contents.fixed):
                self.put(f"embedding/{ROOT}", as_json(EMPTY_GROUP))
        now = time.monotonic()
        self._next = now + max(_SECONDS, (now - begun) / _LARGEST_SHARE)

    def write_root(self, document: Mapping[str, Any]) -> None:
        """Write the root document, after its copy: at any moment one of the two is whole."""
        payload = as_json(document)
        self._place.write(ROOT_COPY, payload, sync=True)
        self._place.write(ROOT, payload, sync=True)
        self.root = payload

    def announce(self, document: Mapping[str, Any]) -> None:
        """Write the copy of the root document that is to hold once a certain chunk is there."""
        self._sync()
        self._place.write(ROOT_COPY, as_json(document), sync=True)

    def finish(self) -> None:
        """Write what is outdated, and let all of it outlast a power cut."""
        if self._waiting is not None:
            self.update(self._waiting)
        self._sync()

    def _sync(self) -> None:
        self._place.sync(self._unsynced)
        self._unsynced.clear()
