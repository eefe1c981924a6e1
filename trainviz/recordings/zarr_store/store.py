"""Writing of snapshots to disk, so that each becomes visible as a whole or not at all."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz.errors import RecordingError
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.zarr_store.arrays import ArrayLayout, check_installed, write_rows
from trainviz.recordings.zarr_store.contents import (
    EMPTY_GROUP,
    ROOT,
    Contents,
    array_names,
    as_json,
    column,
    is_empty,
    root_document,
)
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.lock import Lock
from trainviz.recordings.zarr_store.places import Place
from trainviz.recordings.zarr_store.reader import DiskReader
from trainviz.recordings.zarr_store.staging import STAGED, StagedSnapshot

__all__ = ["DiskStore", "Precision", "Resume"]

Precision = Literal["float16", "float32"]
Resume = bool | Literal["checkpoint"]

_SECONDS = 2.0
"""Least time between two updates of the lengths in the arrays' own documents."""


class DiskStore(DiskReader):
    """A recording on disk that is being written.

    Nothing is written before :meth:`open`, which takes the lock. A snapshot is
    written in this order: its chunk, its entry in each column (a file that is
    replaced as a whole), and last the root document, which states the length
    of all arrays. What a killed process has written beyond it is ignored.

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
        In which the maps are stored.

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
    ) -> None:
        check_installed()
        if not place.writable:
            place.write(ROOT, b"")
        super().__init__(place, Contents.new(description))
        self._overwrite = overwrite
        self._resume = resume
        # float16 ends at 65504, and the values of a regression model are unbounded.
        self._precision = "float32" if description.output.has_value else precision
        self._root: bytes | None = None
        self._lock: Lock | None = None
        self._is_copy = False
        self._ending: weakref.finalize[Any, Any] | None = None
        self._arrays = _ArrayDocuments(place)
        self._mutex = threading.RLock()
        self._take_stock()

    @property
    def precision(self) -> str:
        """The dtype of the maps on disk; a continued recording keeps its own."""
        maps = self.contents.probabilities
        return self._precision if maps is None else maps.dtype

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
        if self._root is None:
            if self._resume == "checkpoint":
                self._resume = False  # allow() was not called
            self._take_stock()  # First, because taking the lock may take it from another holder.
        self._lock = Lock(self.place)
        self._ending = weakref.finalize(self, _end, self._lock, self._arrays)
        try:
            if self._root is None:
                self._begin()
            elif self.place.read(ROOT, 2**31) != self._root:
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
        """Store a snapshot; it is safe once this returns."""
        self._append(snapshot, lambda index: self._write_map(index, snapshot.probabilities))

    def append_staged(self, snapshot: StagedSnapshot) -> None:
        """Store a snapshot whose map another process has written with :func:`stage`."""
        self._append(snapshot, lambda index: self._take_in(index, snapshot))

    def clear_staged(self) -> None:
        """Delete the maps that were staged but not appended."""
        with self._mutex:
            self._open()
            self.place.delete(STAGED)

    def _append(self, snapshot: Snapshot | StagedSnapshot, put_map: Callable[[int], None]) -> None:
        with self._mutex:
            self._open()
            contents, index = self.contents, len(self)
            put_map(index)
            step = -1 if snapshot.step is None else int(snapshot.step)
            entry = {
                "epoch": int(snapshot.epoch), "step": step, "evaluations": snapshot.evaluations,
            }  # fmt: skip
            for name, value in entry.items():
                self._write_entry(column(name), contents.columns[name], index, value)
            self._write_guesses(index, snapshot.data_predictions)
            contents.description.provisional = None
            metrics = {**dict.fromkeys(contents.metrics, np.nan), **snapshot.metrics}
            with self._new_metrics(metrics):
                self._write_metrics(index, metrics)
                self._commit(index + 1)
            for name, number in metrics.items():
                contents.metrics.setdefault(name, [np.nan] * index).append(float(number))
            # The epoch last: len() counts epochs, and another thread may be reading.
            for name, value in reversed(entry.items()):
                contents.columns[name].append(value)
            if index == 0:
                self._arrays.write(contents)
            self._arrays.outdate(contents)

    def amend(self, index: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to a stored snapshot."""
        self.relabel(index, self.epoch(index), metrics)

    def relabel(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Set the epoch of a stored snapshot, and add metrics."""
        with self._mutex:
            self._open()
            contents = self.contents
            if epoch != self.epoch(index):
                self._write_entry(column("epoch"), contents.columns["epoch"], index, int(epoch))
                contents.columns["epoch"][index] = int(epoch)
            with self._new_metrics(metrics) as added:
                self._write_metrics(index, metrics)
                if added:
                    self._commit(len(self))
            for name, value in metrics.items():
                contents.metrics.setdefault(name, [np.nan] * len(self))[index] = float(value)
            if added:
                self._arrays.write(contents)

    def truncate(self, length: int) -> None:
        """Remove all snapshots but the first ``length``."""
        with self._mutex:
            before = len(self)
            if length >= before:
                return
            self._open()
            self.contents.description.provisional = None
            self._commit(length)
            self.contents.truncate(length)
            self._guesses = (-1, None)
            self._arrays.write(self.contents)
            for index in range(length, before):
                # A chunk that cannot be deleted is ignored, because it lies beyond the length.
                with contextlib.suppress(Exception):
                    self.place.delete(f"probabilities/c/{index}")

    def learn_classes(self, classes: Sequence[Any]) -> None:
        """Set the label of each class, to be written with the next snapshot."""
        self.contents.description.classes = list(classes)

    @property
    def provisional(self) -> Provisional | None:
        """How to undo the end of the run in the last snapshot; None if it is not to be undone."""
        return self.contents.description.provisional

    def mark(self, provisional: Provisional | None) -> None:
        """Set :attr:`provisional`."""
        with self._mutex:
            self._open()
            self.contents.description.provisional = provisional
            self._commit(len(self))

    def allow_resume(self) -> None:
        """Allow ``resume="checkpoint"`` to continue the stored recording."""
        if self._resume == "checkpoint":
            self._resume = True

    def _take_stock(self) -> bool:
        """Return whether an existing recording is continued; raise if the place is not free."""
        where = self.place.describe()
        document = root_document(self.place)
        if document is None:
            if self.place.holds_anything():
                raise RecordingError(
                    f"path={where!r} is there already and holds no recording: take another path "
                    "(it is not overwritten, whatever it is)"
                )
            return False
        if is_empty(document):
            return False  # A run that ended before its first capture may be replaced.
        if self._overwrite:
            return False
        taken = RecordingError(
            f"path={where!r} holds a recording already: give resume=True to continue it, "
            "overwrite=True to replace it, or take another path"
        )
        if not self._resume:
            raise taken
        found = Contents.read(self.place, document, trust=True)
        try:
            found.description.check_fits(self.contents.description, where)
        except RecordingError as error:
            raise (error if self._resume is True else taken) from error
        self._adopt(found)
        return True

    def _adopt(self, found: Contents) -> None:
        given = self.contents.description
        found.description.class_names = found.description.class_names or given.class_names
        found.description.classes = found.description.classes or given.classes
        found.description.domain = given.domain
        found.description.schedule = given.schedule or found.description.schedule
        self.contents = found

    def _begin(self) -> None:
        """Write the arrays that do not grow; called once, with the lock held."""
        if self._take_stock():
            self.place.delete(f"probabilities/c/{len(self)}")
            self._root = self.place.read(ROOT, 2**31)
        else:
            self.contents = Contents.new(self.contents.description)
            old = array_names(root_document(self.place) or {})
            # First, so that a reader finds the new, empty recording and no mixture of the two.
            self._write_root(self.contents.first_document())
            for name in old:
                if name != "x":  # It contains the lock, and its values are overwritten below.
                    self.place.delete(name)
            for layout, values in self.contents.description.arrays():
                write_rows(self.place, layout, values)
            self._commit(0)
        self._arrays.write(self.contents)

    def _write_map(self, index: int, probabilities: npt.NDArray[np.float32]) -> None:
        layout = self._maps_of(probabilities.shape)
        self.place.write(layout.key(index), layout.encode(probabilities[None]))

    def _take_in(self, index: int, staged: StagedSnapshot) -> None:
        self.place.move(staged.key, self._maps_of(staged.shape).key(index))

    def _maps_of(self, shape: tuple[int, ...]) -> ArrayLayout:
        """Return the layout of the maps, which the first one determines."""
        if self.contents.probabilities is None:
            self.contents.start_maps(shape[0], self._precision)
            classes = self.contents.fixed["class"][0]
            write_rows(self.place, classes, np.arange(shape[0]))
        layout = self.contents.probabilities
        assert layout is not None
        if shape != layout.row:
            raise RecordingError(f"a map of the shape {shape}, after maps of {layout.row} before")
        return layout

    def _write_entry(
        self, layout: ArrayLayout, values: Sequence[float], index: int, value: float
    ) -> None:
        number, row = divmod(index, layout.rows)
        part = list(values[number * layout.rows : (number + 1) * layout.rows])
        part[row : row + 1] = [value]
        self.place.write(layout.key(number), layout.encode(np.array(part, dtype=layout.dtype)))

    def _write_guesses(self, index: int, guesses: npt.NDArray[np.intp] | None) -> None:
        layout = self.contents.predictions
        if layout is None:
            return
        number, row = divmod(index, layout.rows)
        before = layout.read(self.place, number) if row else None
        chunk = np.full((layout.rows, *layout.row), -1, dtype=layout.dtype)
        if before is not None:
            chunk[:row] = before[:row]
        if guesses is not None:
            chunk[row] = guesses
        self.place.write(layout.key(number), layout.encode(chunk))
        self._guesses = (-1, None)

    def _write_metrics(self, index: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            layout = self.contents.metric_arrays[name]
            values = self.contents.metrics.get(name) or [np.nan] * len(self)
            self._write_entry(layout, values, index, float(value))

    @contextlib.contextmanager
    def _new_metrics(self, metrics: Mapping[str, float]) -> Iterator[list[str]]:
        """Add columns for new metrics, and remove them again if writing fails."""
        arrays = self.contents.metric_arrays
        added = [name for name in metrics if name not in arrays]
        try:
            for name in added:
                arrays[name] = self.contents.start_metric(name)
                self.place.delete(arrays[name].name)  # remains of a failed attempt
            yield added
        except BaseException:
            for name in added:
                arrays.pop(name, None)
            raise

    def _commit(self, length: int) -> None:
        """Set the recording's length to ``length`` snapshots, atomically for readers."""
        self._write_root(self.contents.document(length))

    def _write_root(self, document: Mapping[str, Any]) -> None:
        assert self._lock is not None
        self._lock.check()
        root = as_json(document)
        self.place.write(ROOT, root)
        self._root = root

    def __getstate__(self) -> dict[str, Any]:
        own: dict[str, Any] = {"_lock": None, "_ending": None, "_mutex": None}
        # Before it is opened a copy may write, as a rank that was spawned with it does.
        return {**self.__dict__, **own, "_is_copy": self._is_copy or self._root is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mutex = threading.RLock()


class _ArrayDocuments:
    """The arrays' own documents, for readers that do not use the root's consolidated metadata.

    Their lengths are updated only every few seconds, because the files are
    many. If a process is killed before, the next recorder that opens the
    recording updates them.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waiting: Contents | None = None
        self._written = 0.0

    def outdate(self, contents: Contents) -> None:
        """Note that the recording has grown; write the documents if the last write is old."""
        self._waiting = contents
        if time.monotonic() > self._written + _SECONDS:
            self.write(contents)

    def write(self, contents: Contents) -> None:
        """Write all documents; errors are ignored, because the root states the same."""
        self._waiting, self._written = None, time.monotonic()
        with contextlib.suppress(Exception):
            for name, (layout, length) in contents.layouts().items():
                self._place.write(f"{name}/{ROOT}", as_json(layout.document(length)))
            if any(name.startswith("embedding/") for name in contents.fixed):
                self._place.write(f"embedding/{ROOT}", as_json(EMPTY_GROUP))

    def finish(self) -> None:
        """Write the documents if they are outdated."""
        if self._waiting is not None:
            self.write(self._waiting)


def _end(lock: Lock, arrays: _ArrayDocuments) -> None:
    """Write outdated documents and release the lock; called once, at interpreter exit at latest."""
    with contextlib.suppress(Exception):
        lock.check()
        arrays.finish()
    lock.release()
