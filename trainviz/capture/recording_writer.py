"""What a recorder writes down: in order, amended, superseded; and what happens when it fails."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from trainviz._common.random_state import host_rng_preserved
from trainviz.capture.background import BackgroundCaptures, Evaluate
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.stores import WritableStore

__all__ = ["RecordingWriter"]


class RecordingWriter:
    """The writing side of a recording: what is kept, changed, told, and what fails.

    Parameters
    ----------
    recording : Recording
        Grows with ``store``.
    store : WritableStore
    evaluate : callable
        ``(predict_proba, epoch, step, metrics) -> Snapshot``, for captures in the background.
    background : bool, default False
        Whether captures are made there.
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
        self._subscribers: dict[object, Callable[[Snapshot], object]] = {}
        self._untold: deque[Snapshot] = deque()

    # What is kept.

    @property
    def last(self) -> tuple[int, int | None] | None:
        """Epoch and step of the last capture, also of one that is under way."""
        pending = self._background.pending
        if pending is not None or not len(self._store):
            return pending
        index = len(self._store) - 1
        return self._store.epoch(index), self._store.step(index)

    def keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot that does not come from the background, and tell of it."""
        self._background.forget_last()
        self._append(snapshot)
        self._tell_subscribers()

    def learn_classes(self, classes: list[Any]) -> None:
        """Keep the labels of the output columns."""
        self.recording.learn_classes(classes)
        self._store.learn_classes(classes)

    def amend(self, metrics: Mapping[str, float]) -> None:
        """Add metrics to the last snapshot."""
        self.settle()
        if not self._background.amend(metrics) and len(self._store):
            last = len(self._store) - 1
            self._attempt(lambda: self._store.amend(last, metrics), "an addition to the metrics")

    def relabel(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Let the last snapshot stand for ``epoch``."""
        self.settle()
        if self._background.relabel(epoch, metrics):
            return
        self.recording.require_snapshots()
        last = len(self._store) - 1
        self._attempt(lambda: self._store.relabel(last, epoch, metrics), "the end")

    def truncate(self, length: int) -> None:
        """Forget all snapshots but the first ``length``."""
        self._background.forget_last()
        self.settle()
        self._store.truncate(length)

    @property
    def provisional(self) -> Provisional | None:
        """What the last snapshot is to be if training goes on from it."""
        return self._store.provisional

    def mark_provisional(self, provisional: Provisional) -> None:
        """Say that the last snapshot is as it is only because training has ended."""
        self.drain()
        self._attempt(lambda: self._store.mark(provisional), "the end")

    def withdraw_provisional(self) -> None:
        """Make the last snapshot what it is to be where training goes on."""
        found, last = self._store.provisional, len(self._store) - 1
        if found is not None and last >= 0:
            self._background.forget_last()
            self._attempt(lambda: self._withdraw(found, last), "continuing after the end")

    def _append(self, snapshot: Snapshot) -> None:
        """Store a snapshot; the thread that trains tells the subscribers of it later."""
        self._store.append(snapshot)
        if self._subscribers:
            self._untold.append(snapshot)

    def _withdraw(self, found: Provisional, last: int) -> None:
        if found.epoch is None:
            self._store.truncate(last)
            return
        # A metric cannot be taken away, but one that is no number was not given.
        unknown = dict.fromkeys(self._store.metrics(last), float("nan"))
        self._store.relabel(last, found.epoch, {**unknown, **found.metrics})
        self._store.mark(None)

    def _attempt(self, change: Callable[[], None], what: str) -> None:
        """Change the last snapshot; a disk that is full ends no training."""
        try:
            change()
        except Exception as error:
            self.handle(error, self._store.epoch(len(self._store) - 1), what)

    # Where it is kept.

    def open(self) -> None:
        """Take the place where the recording is, or raise because it is not free."""
        self._store.open()

    def close(self) -> None:
        """Wait for what goes on in the background, and let others write there."""
        self.drain()
        self._store.close()

    def allow_resume(self) -> None:
        """Let ``resume="checkpoint"`` continue what is there."""
        self._store.allow_resume()

    # In the background.

    @property
    def in_background(self) -> bool:
        """Whether captures are made there."""
        return self._background.enabled

    @property
    def lost_last(self) -> bool:
        """Whether the last capture that went on in the background has failed."""
        return self._background.last_failed

    def submit(
        self, predict_proba: PredictProba, epoch: int, step: int | None, metrics: dict[str, float]
    ) -> bool:
        """Hand a capture to the background; False where the model cannot be copied."""
        try:
            self._background.submit(predict_proba, epoch, step, metrics)
        except Exception as error:
            self.stop_background(f"it cannot be copied: {type(error).__name__}: {error}")
            return False
        return True

    def stop_background(self, reason: str) -> None:
        """Make captures at once from now on, because of the model."""
        if not self._background.enabled:
            return
        self._background.forget_last()
        self._background.enabled = False
        warnings.warn(
            f"background=True has no effect on this model, because {reason}; its captures are "
            "made at once, while training waits",
            CaptureWarning,
            stacklevel=5,
        )
        self.settle()

    def drain(self) -> None:
        """Wait for the captures that go on in the background, and tell of their failures."""
        self._background.drain()
        self.settle()

    # What is told.

    def subscribe(self, callback: Callable[[Snapshot], object]) -> Callable[[], None]:
        """Call a function with each snapshot after it was kept; see the recorder's."""
        if not callable(callback):
            raise TypeError(
                f"callback={callback!r}: expected a function of one argument, the snapshot"
            )
        # Not by the function itself, which may subscribe twice.
        key = object()
        self._subscribers[key] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)

        return unsubscribe

    def settle(self) -> None:
        """Apply the error policy, on the thread that trains, to what failed in the background."""
        errors = self._background.take_errors()
        if errors and self._on_error == "raise":
            self.failures += [
                (epoch, f"{type(error).__name__}: {error}") for epoch, error in errors
            ]
            raise errors[0][1]
        for epoch, error in errors:
            self.handle(error, epoch)
        self._tell_subscribers()

    def handle(
        self, error: Exception, epoch: int, what: str = "the capture", *, is_first: bool = False
    ) -> None:
        """Raise an error, or list it and warn of the first one."""
        if is_first or self._on_error == "raise":
            raise error
        self.failures.append((epoch, f"{type(error).__name__}: {error}"))
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{what} of epoch {epoch} failed and was skipped; training goes on, and so "
                f"does the recording (further failures are only listed in recorder.failures): "
                f"{type(error).__name__}: {error}",
                CaptureWarning,
                stacklevel=3,
            )

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
        # A copy for another process must not miss what is under way.
        self._background.drain()
        return {**self.__dict__, "_subscribers": {}, "_untold": deque()}
