"""Stores of snapshots: the protocols, and the stores in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trainviz.errors import RecordingError
from trainviz.recordings.history import LogEntry, time_of
from trainviz.recordings.snapshot import Provisional, Snapshot

__all__ = [
    "JoinedStore",
    "MemoryStore",
    "Store",
    "ViewStore",
    "WritableStore",
    "join_last",
]


class Store(Protocol):
    """An ordered collection of snapshots.

    Indices run from 0 to ``len - 1``; the recording converts negative ones.
    All others are cheap; only :meth:`read` reads the map.
    """

    @property
    def n_classes(self) -> int | None:
        """The number of classes, None as long as it is unknown."""
        ...

    def __len__(self) -> int:
        """Return the number of snapshots."""
        ...

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index``, 0 to ``len - 1``."""
        ...

    def epoch(self, index: int) -> int:
        """Return the epoch of snapshot ``index``."""
        ...

    def step(self, index: int) -> int | None:
        """Return the step of snapshot ``index``."""
        ...

    def metrics(self, index: int) -> Mapping[str, float]:
        """Return the metrics of snapshot ``index``."""
        ...

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return the classes that snapshot ``index`` predicts for the recording's data."""
        ...

    def weights_epoch(self, index: int) -> int | None:
        """Return the epoch whose weights snapshot ``index`` shows, if not its own."""
        ...

    def logged(self) -> Sequence[LogEntry]:
        """Return the metrics of moments that were not captured, in the order of their logging."""
        ...


class WritableStore(Store, Protocol):
    """A store that a recorder can write to.

    Appending and truncating reset ``provisional`` to None. With ``background=True``
    one thread appends while another reads. A recorder is pickled with its store;
    the copy must be able to read, but need not write.
    """

    @property
    def provisional(self) -> Provisional | None:
        """How to undo the end of the run in the last snapshot; None if it is not to be undone."""
        ...

    def mark(self, provisional: Provisional | None) -> None:
        """Set :attr:`provisional`."""
        ...

    def open(self) -> None:
        """Lock the store for writing; the methods below do so themselves."""
        ...

    def close(self) -> None:
        """Release the lock; writing again takes it again."""
        ...

    def allow_resume(self) -> None:
        """Allow ``resume="checkpoint"`` to continue what is stored."""
        ...

    def learn_classes(self, classes: Sequence[Any]) -> None:
        """Store the label of each class."""
        ...

    def append(self, snapshot: Snapshot) -> None:
        """Store a snapshot; it is safe once this returns."""
        ...

    def amend(self, index: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to a stored snapshot."""
        ...

    def relabel(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Set the epoch of a stored snapshot, and add metrics."""
        ...

    def truncate(self, length: int) -> None:
        """Remove all snapshots but the first ``length``."""
        ...

    def log(self, entry: LogEntry) -> None:
        """Store the metrics of a moment that is not captured; safe once this returns.

        An entry of the same epoch and step as the last one is added to it.
        """
        ...

    def keep_logged(self, entries: Sequence[LogEntry]) -> None:
        """Replace what was logged, from which a continued run drops the later entries."""
        ...


class MemoryStore:
    """Snapshots in this process's memory.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store.append(Snapshot(np.full((2, 3, 3), 0.5, dtype=np.float32), epoch=4))
    >>> len(store), store.epoch(0)
    (1, 4)
    """

    def __init__(self) -> None:
        self._snapshots: list[Snapshot] = []
        self._logged: list[LogEntry] = []
        self.provisional: Provisional | None = None

    @property
    def n_classes(self) -> int | None:
        """The number of classes."""
        return self._snapshots[0].shape[0] if self._snapshots else None

    def open(self) -> None:
        """Do nothing: memory is always open."""

    def close(self) -> None:
        """Do nothing."""

    def allow_resume(self) -> None:
        """Do nothing: memory holds nothing that could be continued."""

    def mark(self, provisional: Provisional | None) -> None:
        """Set :attr:`provisional`."""
        self.provisional = provisional

    def learn_classes(self, classes: Sequence[Any]) -> None:
        """Do nothing: the recording knows them."""

    def __len__(self) -> int:
        return len(self._snapshots)

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index``."""
        return self._snapshots[index]

    def epoch(self, index: int) -> int:
        """Return the epoch of snapshot ``index``."""
        return self._snapshots[index].epoch

    def step(self, index: int) -> int | None:
        """Return the step of snapshot ``index``."""
        return self._snapshots[index].step

    def metrics(self, index: int) -> Mapping[str, float]:
        """Return the metrics of snapshot ``index``."""
        return self._snapshots[index].metrics

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return the predictions of snapshot ``index``."""
        return self._snapshots[index].data_predictions

    def weights_epoch(self, index: int) -> int | None:
        """Return the epoch whose weights snapshot ``index`` shows, if not its own."""
        return self._snapshots[index].weights_epoch

    def append(self, snapshot: Snapshot) -> None:
        """Store a snapshot."""
        self._snapshots.append(snapshot)
        self.provisional = None

    def amend(self, index: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to a stored snapshot."""
        self.relabel(index, self.epoch(index), metrics)

    def relabel(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Set the epoch of a stored snapshot, and add metrics."""
        old = self._snapshots[index]
        self._snapshots[index] = replace(old, epoch=epoch, metrics={**old.metrics, **metrics})

    def truncate(self, length: int) -> None:
        """Remove all snapshots but the first ``length``."""
        if length < len(self._snapshots):
            del self._snapshots[length:]
            self.provisional = None

    def logged(self) -> Sequence[LogEntry]:
        """Return what was logged beside the snapshots."""
        return self._logged[:]

    def log(self, entry: LogEntry) -> None:
        """Store the metrics of a moment that is not captured."""
        joined = join_last(self._logged, entry)
        if joined is None:
            self._logged.append(entry)
        else:
            self._logged[-1] = joined

    def keep_logged(self, entries: Sequence[LogEntry]) -> None:
        """Replace what was logged."""
        self._logged = list(entries)


def join_last(entries: Sequence[LogEntry], entry: LogEntry) -> LogEntry | None:
    """Return the last entry with the metrics of one of the same moment, or None for another."""
    if not entries or (entries[-1].epoch, entries[-1].step) != (entry.epoch, entry.step):
        return None
    return replace(entry, metrics={**entries[-1].metrics, **entry.metrics})


class ViewStore:
    """Some snapshots of another store, in a given order; nothing is copied."""

    def __init__(self, base: Store, indices: Sequence[int]) -> None:
        self._base = base
        self._indices = list(indices)

    @property
    def n_classes(self) -> int | None:
        """The number of classes."""
        return self._base.n_classes

    def __len__(self) -> int:
        return len(self._indices)

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index`` of the view."""
        return self._base.read(self._indices[index])

    def epoch(self, index: int) -> int:
        """Return the epoch of snapshot ``index`` of the view."""
        return self._base.epoch(self._indices[index])

    def step(self, index: int) -> int | None:
        """Return the step of snapshot ``index`` of the view."""
        return self._base.step(self._indices[index])

    def metrics(self, index: int) -> Mapping[str, float]:
        """Return the metrics of snapshot ``index`` of the view."""
        return self._base.metrics(self._indices[index])

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return the predictions of snapshot ``index`` of the view."""
        return self._base.data_predictions(self._indices[index])

    def weights_epoch(self, index: int) -> int | None:
        """Return the epoch whose weights snapshot ``index`` of the view shows, if not its own."""
        return self._base.weights_epoch(self._indices[index])

    def logged(self) -> Sequence[LogEntry]:
        """Return what was logged between the first and the last snapshot of the view.

        Where these are the ends of the store, what was logged beyond them belongs to it.
        """
        base, found = self._base, self._base.logged()
        if not self._indices:
            return []
        low, high = min(self._indices), max(self._indices)
        if low > 0:
            first = time_of(base.epoch(low), base.step(low))
            found = [entry for entry in found if time_of(entry.epoch, entry.step) >= first]
        if high < len(base) - 1:
            last = time_of(base.epoch(high), base.step(high))
            found = [entry for entry in found if time_of(entry.epoch, entry.step) <= last]
        return found


class JoinedStore:
    """The snapshots of several stores, one store after another; nothing is copied.

    Parameters
    ----------
    parts : sequence of Store
        None of them empty.
    renumber : bool
        Whether to add the last epoch and step of each part to those of the next.

    Raises
    ------
    RecordingError
        If epochs would go backwards.
    """

    def __init__(self, parts: Sequence[Store], *, renumber: bool) -> None:
        self._entries: list[tuple[Store, int, int, int]] = []
        self._parts: list[tuple[Store, int, int]] = []
        end_epoch, end_step = 0, 0
        for number, part in enumerate(parts):
            shift = (end_epoch, end_step) if renumber else (0, 0)
            if part.epoch(0) + shift[0] < end_epoch:
                raise RecordingError(
                    f"recordings[{number}] begins with epoch {part.epoch(0)}, after epoch "
                    f"{end_epoch}: order them by epoch, or give renumber=True to go on counting"
                )
            self._entries += [(part, index, *shift) for index in range(len(part))]
            self._parts.append((part, *shift))
            last = len(part) - 1
            end_epoch = part.epoch(last) + shift[0]
            end_step = (part.step(last) or 0) + shift[1]

    @property
    def n_classes(self) -> int | None:
        """The number of classes."""
        return self._entries[0][0].n_classes

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index`` of the joined ones."""
        part, own, shift, _ = self._entries[index]
        return replace(
            part.read(own), epoch=part.epoch(own) + shift, step=self.step(index),
            weights_epoch=self.weights_epoch(index),
        )  # fmt: skip

    def epoch(self, index: int) -> int:
        """Return the epoch of snapshot ``index`` of the joined ones."""
        part, own, shift, _ = self._entries[index]
        return part.epoch(own) + shift

    def step(self, index: int) -> int | None:
        """Return the step of snapshot ``index`` of the joined ones."""
        part, own, _, shift = self._entries[index]
        step = part.step(own)
        return None if step is None else step + shift

    def metrics(self, index: int) -> Mapping[str, float]:
        """Return the metrics of snapshot ``index`` of the joined ones."""
        part, own, *_ = self._entries[index]
        return part.metrics(own)

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return the predictions of snapshot ``index`` of the joined ones."""
        part, own, *_ = self._entries[index]
        return part.data_predictions(own)

    def weights_epoch(self, index: int) -> int | None:
        """Return the epoch whose weights snapshot ``index`` shows, if not its own."""
        part, own, shift, _ = self._entries[index]
        weights = part.weights_epoch(own)
        return None if weights is None else weights + shift

    def logged(self) -> Sequence[LogEntry]:
        """Return what was logged in each part, up to where the next one begins."""
        found: list[LogEntry] = []
        for number, (part, epochs, steps) in enumerate(self._parts):
            shifted = [
                LogEntry(
                    entry.epoch + epochs,
                    None if entry.step is None else entry.step + steps,
                    entry.metrics,
                )
                for entry in part.logged()
            ]
            if number + 1 < len(self._parts):
                following, further, _ = self._parts[number + 1]
                end = following.epoch(0) + further
                shifted = [entry for entry in shifted if entry.epoch <= end]
            found += shifted
        return found
