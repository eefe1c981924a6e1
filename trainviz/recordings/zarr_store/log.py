"""The log of a recording: the metrics of moments that were not captured, in lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainviz.errors import RecordingError
from trainviz.recordings.history import LogEntry
from trainviz.recordings.stores import join_last
from trainviz.recordings.zarr_store.arrays import TooLargeError, checked, with_checksum
from trainviz.recordings.zarr_store.chunks import metrics_as_json, metrics_of_json, whole_number
from trainviz.recordings.zarr_store.places import Place

__all__ = ["LOG_FOLDER", "Log"]

LOG_FOLDER = "epoch"
"""Inside an array, where Zarr lists no files."""

_LINES, _BYTES = 1024, 2**20
"""A file takes no further entry once it has so many, or so many bytes."""

_LARGEST_ENTRY = 2**24
"""In bytes; 10,000 metrics take a megabyte."""

_LARGEST_LOG = 2**25
"""In bytes; a stranger's log of more would fill a gigabyte of memory."""


@dataclass
class Log:
    """The entries of a log, and the lines of its last file, which is written anew at each entry.

    Attributes
    ----------
    number : int
        Which log it is, as the root document says: another one replaces it where a
        run is continued from an earlier epoch.
    entries : list of LogEntry
    failure : RecordingError or None
        Why the files cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from trainviz.recordings.zarr_store.places import FolderPlace
    >>> place, log = FolderPlace(Path(tempfile.mkdtemp())), Log(7)
    >>> key, payload = log.add(LogEntry(3, None, {"loss": 0.5}))
    >>> key, payload[:-4]
    ('epoch/log.7.0', b'[3,null,{"loss":0.5}]')
    >>> place.write(key, payload)
    >>> Log.read(place, 7).entries
    [LogEntry(epoch=3, step=None, metrics={'loss': 0.5})]
    """

    number: int
    entries: list[LogEntry] = field(default_factory=list)
    failure: RecordingError | None = None
    _files: int = 0
    _lines: list[bytes] = field(default_factory=list)

    @classmethod
    def read(cls, place: Place, number: int, *, trust: bool = False) -> Log:
        """Return the log with a number; one that is damaged has a ``failure`` and no entries.

        Parameters
        ----------
        place : Place
        number : int
        trust : bool, default False
            Whether to read a log of any size.
        """
        return cls(number)._read_on(place, trust)

    def grown(self, place: Place, *, trust: bool = False) -> Log:
        """Return this log with what its last file and later ones hold by now."""
        if self.failure is not None:
            return Log.read(place, self.number, trust=trust)
        kept = self.entries[: len(self.entries) - len(self._lines)]
        return Log(self.number, kept, None, max(0, self._files - 1))._read_on(place, trust)

    def _read_on(self, place: Place, trust: bool) -> Log:
        size = 0
        try:
            while (
                payload := place.read(self._key(self._files), _BYTES + _LARGEST_ENTRY)
            ) is not None:
                size += len(payload)
                if size > _LARGEST_LOG and not trust:
                    raise TooLargeError(
                        f"the metrics that were logged take more than {_LARGEST_LOG:,} bytes; if "
                        "you trust it, open_recording(path, trust=True) reads them"
                    )
                self._take(place, payload)
        except RecordingError as error:
            self.entries, self.failure = [], error
        return self

    def _take(self, place: Place, payload: bytes) -> None:
        try:
            lines = checked(payload).split(b"\n")
            self.entries += [_entry_of(line) for line in lines]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            where = place.describe(self._key(self._files))
            raise RecordingError(
                f"the file of logged metrics {where} is damaged: {error}; without it, the rest of "
                "the recording is whole"
            ) from error
        self._lines, self._files = lines, self._files + 1

    def add(self, entry: LogEntry) -> tuple[str, bytes]:
        """Add an entry, or its metrics to the last one of the same moment.

        Returns
        -------
        key : str
        payload : bytes
            The file to be written.
        """
        joined = join_last(self.entries, entry)
        line = _line_of(joined or entry)
        if joined is not None and self._lines:
            self.entries[-1], self._lines[-1] = joined, line
        else:
            self._put(entry, line)
        return self._last_file()

    def moved(self, number: int, entries: Iterable[LogEntry]) -> tuple[Log, dict[str, bytes]]:
        """Return a log of these entries under another number, and its files."""
        log, files = Log(number), dict[str, bytes]()
        for entry in entries:
            if log._is_full:
                files.update([log._last_file()])
            log._put(entry, _line_of(entry))
        if log._lines:
            files.update([log._last_file()])
        return log, files

    def file_names(self) -> list[str]:
        """Return the names of its files."""
        return [self._key(number) for number in range(self._files)]

    def next_names(self) -> list[str]:
        """Return the names of the files that may be written next."""
        return [self._key(number) for number in (self._files - 1, self._files) if number >= 0]

    @property
    def _is_full(self) -> bool:
        return len(self._lines) >= _LINES or sum(map(len, self._lines)) >= _BYTES

    def _put(self, entry: LogEntry, line: bytes) -> None:
        if not self._lines or self._is_full:
            self._lines, self._files = [], self._files + 1
        self.entries.append(entry)
        self._lines.append(line)

    def _last_file(self) -> tuple[str, bytes]:
        return self._key(self._files - 1), with_checksum(b"\n".join(self._lines))

    def _key(self, file: int) -> str:
        return f"{LOG_FOLDER}/log.{self.number}.{file}"


def _line_of(entry: LogEntry) -> bytes:
    found = [entry.epoch, entry.step, metrics_as_json(entry.metrics)]
    line = json.dumps(found, separators=(",", ":")).encode()
    if len(line) > _LARGEST_ENTRY:
        raise RecordingError(f"{len(entry.metrics):,} metrics are too many")
    return line


def _entry_of(line: bytes) -> LogEntry:
    epoch, step, metrics = json.loads(line)
    step = None if step is None else whole_number(step)
    return LogEntry(whole_number(epoch), step, metrics_of_json(metrics))
