"""The runs that a live page offers: recordings under some paths, each with an id."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainviz.player.facts import columns_of, curves_of, facts_of
from trainviz.player.options import PAGE_DEFAULTS
from trainviz.recordings.packed import PackedMap, pack
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment
from trainviz.recordings.watching import RecordingWatch
from trainviz.recordings.zarr_store.contents import ROOT

__all__ = ["GoneError", "Run", "RunTable", "UnknownError"]

_MOST_RUNS, _MOST_FOLDERS, _DEPTH = 1000, 10_000, 5
"""Bounds of what is looked through in a folder of runs."""

_MOST_METRICS = 8
"""How many metrics the list of runs tells of each."""

_SCAN_SECONDS = 2.0
"""Least time between two searches for new runs."""

_THUMBNAIL = 160
"""Height of a thumbnail in pixels."""


class GoneError(LookupError):
    """A snapshot is not there any more, or not yet."""


class UnknownError(GoneError):
    """There never was such a run or snapshot."""


class Run:
    """One recording of the table.

    Attributes
    ----------
    id : str
        Stands for it in addresses; says nothing of its path.
    name : str
        The path, relative to the folder of runs.
    edition : int
        The number of the table's change that changed it last.
    """

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self.path = path
        self.id = hashlib.blake2b(os.fsencode(path), digest_size=6).hexdigest()
        self.edition = 0
        self._watch = RecordingWatch(path)
        self._limits: tuple[int, int, float, float] = (0, 0, np.inf, -np.inf)

    @property
    def version(self) -> int:
        """A number that differs once snapshots were replaced; JavaScript gets it as text."""
        return self._watch.generation

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted, or is not there yet."""
        return self._watch.state == "gone"

    def look(self) -> bool:
        """Read what is new, and return whether anything has changed."""
        return self._watch.look()

    def summary(self) -> dict[str, Any]:
        """Return what the list of runs says of it."""
        watch, recording = self._watch, self._watch.recording
        count = 0 if recording is None else len(recording)
        found = {
            "id": self.id, "name": self.name, "state": watch.state, "problem": watch.problem,
            "version": str(watch.generation), "edition": self.edition, "count": count,
            "epoch": None, "step": None, "metrics": {}, "group": None,
        }  # fmt: skip
        if recording is not None and count:
            last = recording[count - 1 :]
            step = last.steps[0]
            found["epoch"] = int(last.epochs[0])
            found["step"] = int(step) if np.isfinite(step) else None
            known = [(name, row[0]) for name, row in last.metrics.items() if np.isfinite(row[0])]
            found["metrics"] = {name: float(f"{v:.4g}") for name, v in known[:_MOST_METRICS]}
            found["group"] = _group(recording)
        return found

    def facts(self, before: int | None = None) -> dict[str, Any]:
        """Return what a player must know of the recording; docs/player.md lists it.

        Parameters
        ----------
        before : int, optional
            The version that a page has shown so far; ``kept`` says how many of the
            first snapshots are still those.
        """
        recording, version = self._current()
        picked = range(len(recording))
        facts = facts_of([recording], [picked], [self.name], {**PAGE_DEFAULTS, "title": self.name})
        (own,) = facts["recordings"]
        own["limits"] = self._limits_of(recording, version)
        kept = 0 if before is None else self._watch.kept_since(before)
        return {**facts, "version": str(version), "kept": kept}

    def news(self, version: int, since: int) -> dict[str, Any] | None:
        """Return the facts of the snapshots from ``since`` on; None if others were replaced."""
        recording, current = self._current()
        if current != version or not 0 <= since <= len(recording):
            return None
        return {
            **columns_of(recording, range(since, len(recording))),
            "curves": curves_of(recording, range(len(recording))),
            "version": str(version), "since": since, "total": len(recording),
            "limits": self._limits_of(recording, version),
        }  # fmt: skip

    def packed(self, index: int, version: int) -> bytes:
        """Return the packed map of a snapshot, as it is on disk."""
        recording, _ = self._current(version)
        values = _snapshot(recording, index).map
        return values.payload if isinstance(values, PackedMap) else pack(values, recording.output)

    def thumbnail(self, index: int, version: int, dark: bool) -> bytes:
        """Return a small picture of a snapshot as PNG."""
        recording, _ = self._current(version)
        _snapshot(recording, index)
        from trainviz.modes import Mode, Probability
        from trainviz.rendering.animation import animate

        output = recording.output
        mode: str | Mode = Probability(0) if output.has_labels else "region"
        mode = "values" if output.has_value else mode
        ratio = recording.domain.ratio or 1.0
        width = round(_THUMBNAIL * min(max(ratio, 0.5), 2))
        # Of this snapshot alone, so that limits need not be sought in all others.
        film = animate(recording[index : index + 1], mode=mode, dark=dark)
        return _png(film.painter((_THUMBNAIL, width))(Moment(0, 0.0)))

    def _current(self, version: int | None = None) -> tuple[Recording, int]:
        recording, current = self._watch.recording, self._watch.generation
        if recording is None or not len(recording):
            raise GoneError(f"{self.name} holds no snapshot yet")
        if version not in (None, current):
            raise GoneError(f"{self.name} was recorded anew or continued from an earlier epoch")
        return recording, current

    def _limits_of(self, recording: Recording, version: int) -> list[float] | None:
        """Return the range of the values, which grows with the recording."""
        if not recording.output.has_value:
            return None
        known, count, low, high = self._limits
        if known != version:
            count, low, high = 0, np.inf, -np.inf
        for index in range(count, len(recording)):
            values = recording[index].probabilities
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        self._limits = version, len(recording), low, high
        return [low, high] if high > low else [low - 0.5, high + 0.5]


class RunTable:
    """The recordings at some paths and in folders of them, looked at when asked to.

    Attributes
    ----------
    edition : int
        Grows with each change; a reader that knows the last one that it has seen
        asks for what came since, so that nothing is queued for it.
    note : str
        Said above the list, if there are more runs than are shown.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = [path if "://" in path else os.path.abspath(path) for path in paths]
        self.edition = 0
        self.note = ""
        self._runs: dict[str, Run] = {}
        self._scanned = -np.inf
        self._pause = _SCAN_SECONDS
        self._mutex = threading.Lock()

    def refresh(self) -> None:
        """Look at every run, and from time to time for new ones."""
        with self._mutex:
            begun = time.monotonic()
            self._add((path, _name(path)) for path in self.paths if _is_run(path))
            if begun - self._scanned >= self._pause:
                found = [*self._scan()]
                self._scanned = time.monotonic()
                # Runs that are new take long to open, which says nothing of the next search.
                self._pause = max(_SCAN_SECONDS, 20 * (self._scanned - begun))
                self._add(found)
            for run in tuple(self._runs.values()):
                if run.look():
                    self._note(run)

    def since(self, edition: int) -> list[Run]:
        """Return the runs that have changed after an edition."""
        return [run for run in tuple(self._runs.values()) if run.edition > edition]

    def run(self, id: str) -> Run:
        """Return a run by its id."""
        found = self._runs.get(id)
        if found is None:
            raise UnknownError("there is no such run")
        return found

    def _note(self, run: Run) -> None:
        run.edition = self.edition + 1
        self.edition += 1

    def _add(self, found: Iterable[tuple[str, str]]) -> None:
        for path, name in found:
            run = Run(path, name)
            if run.id in self._runs:
                continue
            run.look()
            if run.is_gone:  # Another program's Zarr group.
                continue
            if len(self._runs) >= _MOST_RUNS:
                self._forget_one()
            if len(self._runs) >= _MOST_RUNS:
                self.note = f"There are more than {_MOST_RUNS} runs; these are the first ones."
                return
            self._runs[run.id] = run
            self._note(run)

    def _forget_one(self) -> None:
        gone = next((run.id for run in self._runs.values() if run.is_gone), None)
        if gone is not None:
            del self._runs[gone]

    def _scan(self) -> Iterator[tuple[str, str]]:
        """Yield the recordings within the folders, and their names."""
        waiting = deque((Path(path), Path(path), 0) for path in self.paths if not _is_run(path))
        for _ in range(_MOST_FOLDERS):
            if not waiting:
                return
            folder, root, depth = waiting.popleft()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            if any(entry.name == ROOT for entry in entries):
                yield str(folder), self._name_within(root, folder)
                continue
            for entry in entries:
                path = Path(entry.path)
                # Links to folders are not followed, because they may lead round in a circle.
                if depth < _DEPTH and _is_folder(entry):
                    waiting.append((path, root, depth + 1))
                elif entry.name.endswith(".zarr.zip"):
                    yield entry.path, self._name_within(root, path)

    def _name_within(self, root: Path, path: Path) -> str:
        name = path.relative_to(root).as_posix()
        return name if len(self.paths) < 2 else f"{root.name}/{name}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_run(path: str) -> bool:
    """Return whether a path that was given is a recording itself, and no folder of some."""
    if "://" in path:
        return True
    return os.path.isfile(path) or os.path.exists(os.path.join(path, ROOT))


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] if "://" in path else os.path.basename(path)


def _snapshot(recording: Recording, index: int) -> Any:
    if not 0 <= index < len(recording):
        raise UnknownError(f"there is no snapshot {index}")
    return recording[index]


def _group(recording: Recording) -> str:
    """Return a text that is the same for recordings that can be shown side by side."""
    domain = recording.domain
    what = (
        recording.output.value, recording.class_names, domain.extent, domain.shape, domain.axes,
    )  # fmt: skip
    return hashlib.blake2b(repr(what).encode(errors="replace"), digest_size=6).hexdigest()


def _png(picture: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
