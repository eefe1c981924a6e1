"""Writing of a recording: storing, changing and removing snapshots, and handling failures."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from trainviz._common.terminal import warn
from trainviz.capture.background import BackgroundCaptures, Evaluate
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.history import LogEntry
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.stores import WritableStore

__all__ = ["RecordingWriter"]


class RecordingWriter:
    """Writes a recording: stores and changes snapshots, notifies subscribers, handles failures.

    Parameters
    ----------
    recording : Recording
        Reads from ``store``.
    store : WritableStore
    evaluate : callable
        ``(predict_proba, epoch, step, metrics) -> Snapshot``, for captures in the background.
    background : bool, default False
        Whether captures are made in the background.
    on_error : {"warn", "raise"}, default "warn"

    Attributes
    ----------
    recording : Recording
    failures : list of tuple of (int, str)
        Epoch and message of each capture that was skipped.
    """

    def __init__(
        self,
        recording: Recording,
        store: WritableStore,
        evaluate: Evaluate,
        *,
        background: bool = False,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        self.recording = recording
        self.failures: list[tuple[int, str]] = []
        self._store = store
        self._background = BackgroundCaptures(evaluate, self._append, background)
        self._on_error = on_error
        self._warned = False
        self._is_open = False
        self._subscribers: dict[object, Callable[[Snapshot], object]] = {}
        self._closed: dict[object, Callable[[], object]] = {}
        self._untold: deque[Snapshot] = deque()

    # Snapshots.

    @property
    def last(self) -> tuple[int, int | None] | None:
        """Epoch and step of the last capture, including one still in the background."""
        pending = self._background.pending
        if pending is not None or not len(self._store):
            return pending
        index = len(self._store) - 1
        return self._store.epoch(index), self._store.step(index)

    def keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot that was not made in the background, and notify the subscribers."""
        self._background.forget_last()
        self._append(snapshot)
        self._tell_subscribers()

    def follow(self, former: RecordingWriter) -> None:
        """Take over the subscribers and the failures of the writer of an earlier run."""
        self.failures, self._warned = former.failures, former._warned
        self._subscribers, self._closed = former._subscribers, former._closed

    def learn_classes(self, classes: list[Any]) -> None:
        """Store the labels of the output columns."""
        self.recording.learn_classes(classes)
        self._store.learn_classes(classes)

    def amend(self, metrics: Mapping[str, float]) -> None:
        """Add metrics to the last snapshot."""
        self.settle()
        if not self._background.amend(metrics) and len(self._store):
            last = len(self._store) - 1
            self._attempt(lambda: self._store.amend(last, metrics), "an addition to the metrics")

    def log(self, entry: LogEntry) -> None:
        """Store the metrics of a moment that is not captured, or add them to the last snapshot."""
        self.settle()
        if self.last == (entry.epoch, entry.step):
            self.amend(entry.metrics)
        elif entry.metrics:
            try:
                self._store.log(entry)
            except Exception as error:
                self.handle(error, entry.epoch, "logging the metrics")

    def keep_until(self, epoch: int, step: int | None) -> None:
        """Forget what was captured or logged after a moment."""
        later = self.recording.epochs > epoch
        if step is not None:
            later |= self.recording.steps > step  # False for NaN, an unknown step
        self._keep(
            int((~later).sum()),
            lambda entry: (
                entry.epoch <= epoch and (step is None or entry.step is None or entry.step <= step)
            ),
        )

    def keep_before(self, epoch: int, step: int | None) -> None:
        """Forget what was captured or logged at a moment, which comes again, and after it."""
        epochs, steps = self.recording.epochs, self.recording.steps
        again = epochs >= epoch
        if step is not None:
            # Earlier steps of the same epoch stay. NaN, an unknown step, is not earlier.
            again = (epochs > epoch) | ((epochs == epoch) & ~(steps < step)) | (steps >= step)
        self._keep(
            int((~again).sum()),
            lambda entry: (
                entry.epoch < epoch
                if step is None or entry.step is None
                else entry.epoch <= epoch and entry.step < step
            ),
        )

    def _keep(self, length: int, is_kept: Callable[[LogEntry], bool]) -> None:
        """Forget all snapshots but the first ``length``, and some of what was logged."""
        self._background.forget_last()
        self.settle()
        self._store.truncate(length)
        entries = self._store.logged()
        kept = [entry for entry in entries if is_kept(entry)]
        if len(kept) < len(entries):
            self._store.keep_logged(kept)

    def relabel(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Set the last snapshot's epoch, and add metrics to it."""
        self.settle()
        if self._background.relabel(epoch, metrics):
            return
        self.recording.require_snapshots()
        last = len(self._store) - 1
        self._attempt(lambda: self._store.relabel(last, epoch, metrics), "the end")

    @property
    def provisional(self) -> Provisional | None:
        """The label that the last snapshot gets back if training continues, or None."""
        return self._store.provisional

    def mark_provisional(self, provisional: Provisional) -> None:
        """Mark the last snapshot as made or relabelled only because training has ended."""
        self.drain()
        self._attempt(lambda: self._store.mark(provisional), "the end")

    def withdraw_provisional(self) -> None:
        """Undo what the end of training did to the last snapshot, because training continues."""
        found, last = self._store.provisional, len(self._store) - 1
        if found is not None and last >= 0:
            self._background.forget_last()
            self._attempt(lambda: self._withdraw(found, last), "continuing after the end")

    def _append(self, snapshot: Snapshot) -> None:
        """Store a snapshot; the training thread notifies the subscribers later."""
        self._store.append(snapshot)
        if self._subscribers:
            self._untold.append(snapshot)

    def _withdraw(self, found: Provisional, last: int) -> None:
        if found.epoch is None:
            self._store.truncate(last)
            return
        # Metrics cannot be removed, but NaN means that a metric was not given.
        unknown = dict.fromkeys(self._store.metrics(last), float("nan"))
        self._store.relabel(last, found.epoch, {**unknown, **found.metrics})
        self._store.mark(None)

    def _attempt(self, change: Callable[[], None], what: str) -> None:
        """Change the last snapshot; a failure (a full disk) is handled as ``on_error`` says."""
        try:
            change()
        except Exception as error:
            self.handle(error, self._store.epoch(len(self._store) - 1), what)

    # The store.

    def open(self) -> None:
        """Lock the recording's path for writing; raise if another process holds it.

        Once it is locked, only storing checks that it still is, which may take a while.
        """
        if not self._is_open:
            self._store.open()
            self._is_open = True

    def close(self) -> None:
        """Wait for the captures in the background, and release the recording's path."""
        self.drain()
        self._store.close()
        self._is_open = False
        for closed in tuple(self._closed.values()):
            try:
                with host_rng_preserved():
                    closed()
            except Exception as error:
                epoch = 0 if self.last is None else self.last[0]
                self.handle(error, epoch, "telling a subscriber of the end")

    def allow_resume(self) -> None:
        """Allow ``resume="checkpoint"`` to continue the stored recording."""
        self._store.allow_resume()

    # In the background.

    @property
    def in_background(self) -> bool:
        """Whether captures are made in the background."""
        return self._background.enabled

    @property
    def lost_last(self) -> bool:
        """Whether the last capture in the background has failed."""
        return self._background.last_failed

    def submit(
        self, predict_proba: PredictProba, epoch: int, step: int | None, metrics: dict[str, float]
    ) -> bool:
        """Queue a capture for the background; return False if the model cannot be copied."""
        try:
            self._background.submit(predict_proba, epoch, step, metrics)
        except Exception as error:
            self.stop_background(f"it cannot be copied: {type(error).__name__}: {error}")
            return False
        return True

    def stop_background(self, reason: str) -> None:
        """Make captures at once from now on, and warn of the reason."""
        if not self._background.enabled:
            return
        self._background.forget_last()
        self._background.enabled = False
        warn(
            f"background=True has no effect on this model, because {reason}; its captures are "
            "made at once, while training waits",
            CaptureWarning,
            stacklevel=5,
        )
        self.settle()

    def drain(self) -> None:
        """Wait for the captures in the background, and report their failures."""
        self._background.drain()
        self.settle()

    # Subscribers and failures.

    def subscribe(
        self,
        callback: Callable[[Snapshot], object],
        closed: Callable[[], object] | None = None,
    ) -> Callable[[], None]:
        """Call a function with each stored snapshot; see ``Recorder.subscribe``."""
        if not callable(callback):
            raise TypeError(
                f"callback={callback!r}: expected a function of one argument, the snapshot"
            )
        # The key is not the callback, because a callback may subscribe twice.
        key = object()
        self._subscribers[key] = callback
        if closed is not None:
            self._closed[key] = closed

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)
            self._closed.pop(key, None)

        return unsubscribe

    def settle(self) -> None:
        """Handle background failures as ``on_error`` says, and notify the subscribers.

        Runs on the training thread.
        """
        errors = self._background.take_errors()
        if errors and self._on_error == "raise":
            for lost, error in errors:
                self._list(error, lost.epoch)
            raise errors[0][1]
        for lost, error in errors:
            self.handle(error, lost.epoch)
            # A full disk takes neither, and one failure tells that.
            with contextlib.suppress(Exception):
                self._store.log(lost)
        self._tell_subscribers()

    def handle(
        self, error: Exception, epoch: int, what: str = "the capture", *, is_first: bool = False
    ) -> None:
        """Raise an error, or list it in ``failures`` and warn of the first one."""
        if is_first or self._on_error == "raise":
            raise error
        self._list(error, epoch)
        if not self._warned:
            self._warned = True
            warn(
                f"{what} of epoch {epoch} failed and was skipped; training goes on, and so "
                f"does the recording (further failures are only listed in recorder.failures): "
                f"{type(error).__name__}: {error}",
                CaptureWarning,
                stacklevel=3,
            )

    def _list(self, error: Exception, epoch: int) -> None:
        failure = epoch, f"{type(error).__name__}: {error}"
        # The end of training tries once more what failed in the last epoch.
        if failure not in self.failures[-1:]:
            self.failures.append(failure)

    def _tell_subscribers(self) -> None:
        while self._untold:
            snapshot = self._untold.popleft()
            for callback in tuple(self._subscribers.values()):
                try:
                    with host_rng_preserved():
                        callback(snapshot)
                except Exception as error:
                    self.handle(error, snapshot.epoch, "telling a subscriber")

    def __getstate__(self) -> dict[str, Any]:
        # A pickled copy must hold the captures that are still in the background.
        self._background.drain()
        return {**self.__dict__, "_subscribers": {}, "_closed": {}, "_untold": deque()}
