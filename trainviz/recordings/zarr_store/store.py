"""Writing of snapshots to disk, so that each becomes visible as a whole or not at all."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from trainviz.errors import RecordingError
from trainviz.recordings.history import LogEntry
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.stores import join_last
from trainviz.recordings.zarr_store.arrays import MapLayout, check_installed, chunks_of
from trainviz.recordings.zarr_store.chunks import Facts, encode_chunk, packed_map
from trainviz.recordings.zarr_store.contents import (
    ROOT,
    Contents,
    array_names,
    current_document,
    generation_of,
    is_empty,
)
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.index import Index
from trainviz.recordings.zarr_store.lock import Lock
from trainviz.recordings.zarr_store.log import LOG_FOLDER, Log
from trainviz.recordings.zarr_store.places import Place
from trainviz.recordings.zarr_store.reader import DiskReader

__all__ = ["DiskStore", "Precision", "Resume", "check_precision"]

Precision = Literal["float16", "float32"]
Resume = bool | Literal["checkpoint"]


def check_precision(precision: Any) -> None:
    """Raise a ValueError for what is no precision of maps that are stored whole."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision={precision!r}: expected 'float16' or 'float32'")


class DiskStore(DiskReader):
    """A recording on disk that is being written.

    Nothing is written before :meth:`open`, which takes the lock. A snapshot is
    one file, its chunk, which appears as a whole. Columns and root document
    follow some seconds later, or at :meth:`close`; see :class:`Index`.

    Snapshots that were truncated stay on disk until the first one that
    replaces them is there: the copy of a root document of the next generation
    announces it, and its chunk, which states that generation, brings it about.
    What is logged until then is in memory alone, and reaches the disk with it.

    Parameters
    ----------
    place : Place
    description : Description
        What is to be recorded.
    overwrite : bool
        Replace a recording that is there.
    resume : bool or "checkpoint"
        Continue it; ``"checkpoint"`` only reads it until :meth:`allow_resume` is
        called. With neither of the two, an existing recording raises, unless
        it is empty.
    precision : {"float16", "float32"}
        In which dense maps are stored.
    durable : bool
        Whether a snapshot outlasts a power cut once it is appended, and not only after
        the next update of the index.

    Raises
    ------
    RecordingError
        If the place is not free, or what is there does not fit.
    """

    def __init__(
        self,
        place: Place,
        description: Description,
        *,
        overwrite: bool = False,
        resume: Resume = False,
        precision: Precision = "float16",
        durable: bool = False,
    ) -> None:
        check_installed()
        if not place.writable:
            place.write(ROOT, b"")
        super().__init__(place, Contents.new(description))
        self._overwrite = overwrite
        self._resume = resume
        # float16 ends at 65504, and the values of a regression model are unbounded.
        self._precision = "float32" if description.output.has_value else precision
        self._durable = durable
        self._length = 0
        self._lock: Lock | None = None
        self._is_copy = False
        self._has_news = False
        self._kept: list[LogEntry] | None = None
        """What was logged, as long as the log on disk is that of replaced snapshots."""
        self._ending: weakref.finalize[Any, Any] | None = None
        self._index = Index(place)
        self._mutex = threading.RLock()
        self._take_stock()

    def __len__(self) -> int:
        # What was truncated stays in the contents, as on disk, until it is replaced.
        return min(self._length, len(self.contents))

    @property
    def precision(self) -> str:
        """The dtype of dense maps on disk; a continued recording keeps its own."""
        maps = self.contents.probabilities
        return self._precision if maps is None else maps.precision

    def open(self) -> None:
        """Take the lock, and repair what a killed process has left."""
        with self._mutex:
            self._open()

    def _open(self) -> None:
        where = self.place.describe()
        if self._is_copy:
            raise RecordingError(
                f"{where} is written by the recorder that opened it, and this is a copy of that: "
                "only the original can write"
            )
        if self._lock is not None:
            self._lock.check()
            return
        if self._index.root is None:
            if self._resume == "checkpoint":
                self._resume = False  # allow() was not called
            self._take_stock()  # First, because taking the lock may take it from another holder.
        self._lock = Lock(self.place)
        self._ending = weakref.finalize(self, _end, self._lock, self._index)
        try:
            if self._index.root is None:
                self._begin()
            elif self.place.read(ROOT, 2**31) != self._index.root:
                raise RecordingError(
                    f"{where} was changed by another writer since this recorder closed it: make "
                    "another recorder with resume=True"
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock; writing again takes it again."""
        with self._mutex:
            if self._lock is not None and self._ending is not None:
                self._lock = None
                self._ending()

    def append(self, snapshot: Snapshot) -> None:
        """Store a snapshot; it is safe from a crash once this returns, or from a power cut."""
        with self._mutex:
            self._open()
            contents, index = self.contents, len(self)
            layout = self._maps_of(snapshot.shape)
            # What cannot be read again is not written.
            contents.check_metrics(snapshot.metrics)
            packed = packed_map(snapshot.map, contents.description.output, self.precision)
            if index < len(contents):
                self._replace(layout, index, snapshot, packed)
                return
            facts = Facts.of_snapshot(snapshot, contents.generation)
            self._index.put(layout.key(index), encode_chunk(facts, packed), sync=self._durable)
            contents.put(index, facts)
            self._index.outdate(contents, index)
            if index == 0 or self._has_news:
                self._begin_index(layout, index)
            elif self._index.is_due:
                self._update()
            self._length = index + 1

    def _begin_index(self, layout: MapLayout, index: int) -> None:
        """Write the index with what only it states: the classes, and the layout of the maps."""
        try:
            self._index.update(self.contents)
        except BaseException:
            self.contents.truncate(index)
            with contextlib.suppress(OSError):
                self.place.delete(layout.key(index))
            raise
        self._has_news = False

    def _update(self) -> None:
        # The chunks state the same, so a full disk loses nothing here.
        with contextlib.suppress(OSError):
            self._index.update(self.contents)

    def _replace(self, layout: MapLayout, index: int, snapshot: Snapshot, packed: bytes) -> None:
        """Store a snapshot in place of all from ``index`` on, which stay until it is there."""
        contents, before = self.contents, len(self.contents)
        if self._index.is_outdated:
            # The columns must hold all entries that the next root document states.
            self._index.update(contents)
        # It stays if writing fails: the old snapshots are of no later generation.
        contents.generation = _new_generation(contents.generation)
        log, former = self._moved_log(), contents.log
        following = replace(contents, log=log).document(index)
        self._index.announce(following)
        facts = Facts.of_snapshot(snapshot, contents.generation)
        # From here on the new snapshots hold.
        self._index.put(layout.key(index), encode_chunk(facts, packed), sync=True)
        contents.log, self._kept = log, None
        contents.truncate(index)
        contents.put(index, facts)
        self._index.outdate(contents, index)
        self._length = index + 1
        with contextlib.suppress(OSError):
            self._index.write_root(following)
        for replaced in range(index + 1, before):
            # A chunk that cannot be deleted is ignored, because its generation is over.
            with contextlib.suppress(OSError):
                self.place.delete(layout.key(replaced))
        if former is not log:
            self._delete_log(former)

    def amend(self, index: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to a stored snapshot."""
        self.relabel(index, self.epoch(index), metrics)

    def relabel(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Set the epoch of a stored snapshot, and add metrics; NaN removes one."""
        with self._mutex:
            self._open()
            facts, packed = self._chunk(index)
            together = {**facts.metrics, **{name: float(metrics[name]) for name in metrics}}
            known = {name: value for name, value in together.items() if not np.isnan(value)}
            self._rewrite(index, replace(facts, epoch=int(epoch), metrics=known), packed)

    def _rewrite(self, index: int, facts: Facts, packed: bytes) -> None:
        layout = self.contents.probabilities
        assert layout is not None
        self.contents.check_metrics(facts.metrics)
        self._index.rewrite(layout.key(index), encode_chunk(facts, packed), sync=self._durable)
        self.contents.put(index, facts)
        self._index.outdate(self.contents, index)
        if index < len(self.contents) - 1:
            # Opening reads the last chunk, and believes the columns of those before.
            self._update()

    def truncate(self, length: int) -> None:
        """Forget all snapshots but the first ``length``; on disk they stay until replaced."""
        with self._mutex:
            if length < len(self):
                self._open()
                self._length = length

    def logged(self) -> Sequence[LogEntry]:
        """Return what was logged beside the snapshots."""
        return super().logged() if self._kept is None else self._kept[:]

    def log(self, entry: LogEntry) -> None:
        """Store the metrics of a moment that is not captured; safe from a crash once this returns.

        While snapshots are truncated, it is safe once the first is replaced.
        """
        with self._mutex:
            self._open()
            is_truncated = len(self) < len(self.contents)
            if self._kept is None and not is_truncated:
                key, payload = self.contents.log.add(entry)
                self._index.put(key, payload, sync=self._durable)
                return
            kept = list(self.logged())
            joined = join_last(kept, entry)
            kept[len(kept) - (joined is not None) :] = [joined or entry]
            self.keep_logged(kept)

    def keep_logged(self, entries: Sequence[LogEntry]) -> None:
        """Replace what was logged; where snapshots are truncated too, on disk with them."""
        with self._mutex:
            self._open()
            self._kept = list(entries)
            if len(self) == len(self.contents):
                self.contents.generation = _new_generation(self.contents.generation)
                former = self.contents.log
                self.contents.log = self._moved_log()
                self._index.update(self.contents)
                self._kept = None
                self._delete_log(former)

    def _moved_log(self) -> Log:
        """Return the log that is to hold, whose files are written if it is another one."""
        if self._kept is None:
            return self.contents.log
        log, files = self.contents.log.moved(self.contents.generation, self._kept)
        for key, payload in files.items():
            self._index.put(key, payload)
        return log

    def _delete_log(self, log: Log) -> None:
        # Files that cannot be deleted are ignored, because no root document names their log.
        for key in log.file_names():
            with contextlib.suppress(OSError):
                self.place.delete(key)

    def learn_classes(self, classes: Sequence[Any]) -> None:
        """Set the label of each class, to be written with the next snapshot."""
        self._has_news |= self.contents.description.classes != list(classes)
        self.contents.description.classes = list(classes)

    @property
    def provisional(self) -> Provisional | None:
        """How to undo the end of the run in the last snapshot; None if it is not to be undone."""
        return self.contents.provisional if len(self) == len(self.contents) else None

    def mark(self, provisional: Provisional | None) -> None:
        """Set :attr:`provisional`."""
        with self._mutex:
            self._open()
            if len(self):
                facts, packed = self._chunk(len(self) - 1)
                self._rewrite(len(self) - 1, replace(facts, provisional=provisional), packed)

    def allow_resume(self) -> None:
        """Allow ``resume="checkpoint"`` to continue the stored recording."""
        if self._resume == "checkpoint":
            self._resume = True

    def _take_stock(self) -> bool:
        """Return whether an existing recording is continued; raise if the place is not free."""
        where = self.place.describe()
        document = current_document(self.place, trust=True)
        if document is None:
            if self.place.holds_anything():
                raise RecordingError(
                    f"path={where!r} is there already and holds no recording: take another path "
                    "(it is not overwritten, whatever it is)"
                )
            return False
        if is_empty(self.place, document):
            return self._continue_log(document)
        if self._overwrite:
            return False
        taken = RecordingError(
            f"path={where!r} holds a recording already: give resume=True to continue it, "
            "overwrite=True to replace it, or take another path"
        )
        if not self._resume:
            raise taken
        found = Contents.read(self.place, document, trust=True)
        if found.log.failure is not None:
            raise found.log.failure
        try:
            found.description.check_fits(self.contents.description, where)
        except RecordingError as error:
            raise (error if self._resume is True else taken) from error
        self._adopt(found)
        return True

    def _continue_log(self, document: Mapping[str, Any]) -> bool:
        """Continue a run that ended before its first capture, or else let it be replaced."""
        if self._overwrite or not self._resume:
            return False
        try:
            found = Contents.read(self.place, document, trust=True)
            found.description.check_fits(self.contents.description, self.place.describe())
        except RecordingError:
            return False
        if not found.log.entries:
            return False
        self._adopt(found)
        return True

    def _adopt(self, found: Contents) -> None:
        given = self.contents.description
        found.description.class_names = found.description.class_names or given.class_names
        found.description.classes = found.description.classes or given.classes
        found.description.domain = given.domain
        found.description.schedule = given.schedule or found.description.schedule
        self.contents, self._length = found, len(found)

    def _begin(self) -> None:
        """Write the arrays that do not grow; called once, with the lock held."""
        if self._take_stock():
            maps, first = self.contents.probabilities, self.contents.n_indexed
            if maps is not None:
                # A killed process leaves chunks that neither index nor sync has reached.
                self._index.note_unsynced(map(maps.key, range(first, len(self))))
            # After a power cut there may be more chunks behind one that is missing.
            self.contents.generation = _new_generation(self.contents.generation)
            self._index.update(self.contents)
            return
        old = current_document(self.place, trust=True)
        generation = _new_generation(0 if old is None else generation_of(old))
        self.contents, self._length = Contents.new(self.contents.description, generation), 0
        # First, so that a reader finds the new, empty recording and no mixture of the two.
        self._index.write_root(self.contents.first_document())
        for name in {*array_names(old or {}), LOG_FOLDER}:
            if name != "x":  # It contains the lock, and its values are overwritten below.
                self.place.delete(name)
        for layout, values in self.contents.description.arrays():
            for key, payload in chunks_of(layout, values):
                self._index.put(key, payload)
        self._index.update(self.contents)

    def _maps_of(self, shape: tuple[int, ...]) -> MapLayout:
        """Return the layout of the maps, which the first one determines."""
        if self.contents.probabilities is None:
            self.contents.start_maps(shape[0], self._precision)
            classes = self.contents.fixed["class"][0]
            for key, payload in chunks_of(classes, np.arange(shape[0])):
                self._index.put(key, payload)
        layout = self.contents.probabilities
        assert layout is not None
        if shape != layout.row:
            raise RecordingError(f"a map of the shape {shape}, after maps of {layout.row} before")
        return layout

    def __getstate__(self) -> dict[str, Any]:
        own: dict[str, Any] = {"_lock": None, "_ending": None, "_mutex": None}
        # Before it is opened a copy may write, as a rank that was spawned with it does.
        return {**self.__dict__, **own, "_is_copy": self._is_copy or self._index.root is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mutex = threading.RLock()


def _new_generation(old: int) -> int:
    """Return a number above ``old``, and above those of a recording that was here and deleted."""
    return max(old + 1, time.time_ns() // 1000)


def _end(lock: Lock, index: Index) -> None:
    """Write the outdated index and release the lock; called once, at interpreter exit at latest."""
    with contextlib.suppress(Exception):
        lock.check()
        index.finish()
    lock.release()
