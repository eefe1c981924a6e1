"""Watching a recording on disk that may grow, be replaced or be deleted."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from pathlib import Path
from typing import Any, Literal

from trainviz.errors import RecordingError
from trainviz.recordings.opening import recording_of
from trainviz.recordings.recording import Recording
from trainviz.recordings.zarr_store.contents import ROOT, ROOT_COPY, current_document
from trainviz.recordings.zarr_store.lock import LOCK, is_held
from trainviz.recordings.zarr_store.places import RemotePlace, place_of
from trainviz.recordings.zarr_store.reader import DiskReader

__all__ = ["RecordingWatch", "State"]

State = Literal["recording", "idle", "gone", "damaged"]

_REMOTE_SECONDS = 5.0
"""Least time between two readings of what is not on a disk of this machine."""


_Stamps = tuple[tuple[Any, ...], tuple[Any, ...]]


class RecordingWatch:
    """A recording on disk that another process may be writing, looked at again and again.

    Looking only reads, and takes no lock: the process that records never waits.

    Parameters
    ----------
    path : str
        As for :func:`trainviz.open_recording`.

    Attributes
    ----------
    recording : Recording or None
        As it was at the last look; it does not grow. The last one that could be
        read, if it is gone or damaged now.
    generation : int
        Differs once snapshots were replaced: the recording was continued from an
        earlier epoch, or recorded anew. 0 as long as nothing was read.
    state : {"recording", "idle", "gone", "damaged"}
        Whether a process records it just now.
    problem : str
        Why it cannot be read, if it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import trainviz as tv
    >>> path = tempfile.mkdtemp() + "/a.zarr"
    >>> watch = RecordingWatch(path)
    >>> watch.look(), watch.state
    (False, 'gone')
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5), path=path)
    >>> _ = recorder.capture(lambda X: X[:, 0], epoch=0)
    >>> watch.look(), watch.state, watch.recording
    (True, 'recording', Recording(1 snapshot, epochs 0 to 0, 2 classes, grid 5x5))
    >>> watch.look()
    False
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.recording: Recording | None = None
        self.generation = 0
        self.state: State = "gone"
        self.problem = ""
        self._place = place_of(path)
        self._reader: DiskReader | None = None
        self._seen: _Stamps | None = None
        self._next = 0.0

    def look(self) -> bool:
        """Read what is new, and return whether anything has changed."""
        before, stamp = self._told(), self._stamp()
        if stamp is None:
            if time.monotonic() < self._next:
                return False
            self._next = time.monotonic() + _REMOTE_SECONDS
        if stamp is None or stamp != self._seen:
            seen, self._seen = self._seen, stamp
            self._read(is_same_index=stamp is not None and seen is not None and stamp[0] == seen[0])
        elif self.state == "recording":
            # At every look, because a process that is killed leaves its lock as it was.
            self.state = self._use()
        return before != self._told()

    def kept_since(self, generation: int) -> int:
        """Return how many of the first snapshots are those of an earlier generation."""
        reader = self._reader
        if reader is None:
            return 0
        # Chunks are written in ascending order, each with the generation of its time.
        return bisect_right(
            range(len(reader)), generation, key=lambda index: reader.generation_of(index)
        )

    def _told(self) -> tuple[object, ...]:
        reader = self._reader
        count = 0 if reader is None else len(reader)
        last: object = None
        log = () if reader is None else reader.contents.log.entries
        if reader is not None and count:
            last = reader.epoch(count - 1), reader.step(count - 1), reader.metrics(count - 1)
        return self.state, self.problem, self.generation, count, last, len(log), log[-1:]

    def _use(self) -> State:
        try:
            return "recording" if is_held(self._place) else "idle"
        except RecordingError:
            return "idle"

    def _read(self, is_same_index: bool) -> None:
        reader = self._reader
        try:
            if is_same_index and reader is not None and self.state in ("recording", "idle"):
                # Only chunks are new, of which there are some seconds' worth at most.
                reader = reader.grown()
            else:
                # A zip archive that was opened before would go on showing the old file.
                self._place = place_of(self.path)
                if current_document(self._place) is None:
                    self.state, self.problem = "gone", ""
                    return
                reader = DiskReader.at(self._place)
        except Exception as error:  # A stranger's files can fail in any way.
            self.state, self.problem = "damaged", str(error)
            return
        self.state, self.problem = self._use(), ""
        self._reader, self.generation = reader, reader.contents.generation
        self.recording = recording_of(reader, reader.contents.description)

    def _stamp(self) -> _Stamps | None:
        """Return what differs once the index or a chunk was written; None if it cannot be told."""
        if isinstance(self._place, RemotePlace):
            return None
        root = Path(self._place.describe())
        if not root.is_dir():
            return (_stamp_of(root),), ()
        index = tuple(_stamp_of(root / key) for key in (ROOT, ROOT_COPY, LOCK))
        maps = None if self._reader is None else self._reader.contents.probabilities
        if self._reader is None:
            return index, ()
        keys = self._reader.contents.log.next_names()
        if maps is not None:
            # The last snapshot may get further metrics, and the next one may appear.
            count = len(self._reader)
            keys += [maps.key(each) for each in (count - 1, count) if each >= 0]
        return index, tuple(_stamp_of(root / key) for key in keys)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
