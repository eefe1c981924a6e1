"""What a recorder writes down: in order, amended, superseded; and what happens when it fails."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from trainviz._common.random_state import host_rng_preserved
from trainviz.capture.background import BackgroundCaptures
from trainviz.capture.validation import SnapshotValidator, plain_metrics
from trainviz.errors import CaptureWarning
from trainviz.evaluation.evaluator import Evaluator
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.stores import WritableStore

__all__ = ["RecordingWriter"]


class RecordingWriter:
    """The writing side of a recording, with the error policy of :class:`~trainviz.Recorder`.

    Parameters
    ----------
    recording : Recording
        Grows with ``store``.
    store : WritableStore
    background : BackgroundCaptures
        Keeps what it makes in ``store``.
    path : str or PathLike, optional
        Where ``store`` is.
    on_error : {"warn", "raise"}, default "warn"

    Attributes
    ----------
    recording : Recording
    failures : list of tuple of (int, str)
        Epoch and message of each capture that was skipped.
    location : str or None
        The full ``path``.
    """

    _evaluator: Evaluator

    def __init__(
        self,
        recording: Recording,
        store: WritableStore,
        background: BackgroundCaptures,
        *,
        path: str | os.PathLike[str] | None = None,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        self.recording = recording
        self.failures: list[tuple[int, str]] = []
        self.location = _location(path)
        self._store = store
        self._background = background
        self._on_error = on_error
        self._validator = SnapshotValidator.of(recording)
        self._warned = False
        self._subscribers: dict[object, Callable[[Snapshot], object]] = {}
        self._untold: deque[Snapshot] = deque()
        self._asked = (-1, 0)
        self._supersedes = len(store) > 0

    @property
    def lost_last(self) -> bool:
        """Whether the last capture that went on in the background has failed."""
        return self._background.last_failed

    def drain(self) -> None:
        """Wait for the captures that go on in the background, and tell of their failures.

        Does nothing where there are none. Raises the first failure with
        ``on_error="raise"``; all of them are in ``failures`` then.

        Examples
        --------
        >>> import trainviz as tv
        >>> class Threshold:
        ...     def __init__(self, at):
        ...         self.at = at
        ...     def __call__(self, X):
        ...         return X[:, 0] > self.at
        ...     def frozen(self):
        ...         return Threshold(self.at)
        >>> model = Threshold(0)
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), background=True)
        >>> for epoch in range(3):
        ...     model.at = epoch / 4
        ...     _ = recorder.capture(model, epoch=epoch)
        >>> recorder.drain()
        >>> recorder.recording.epochs
        array([0, 1, 2])
        """
        self._background.drain()
        self._settle()

    def subscribe(self, callback: Callable[[Snapshot], object]) -> Callable[[], None]:
        """Call a function with each snapshot after it was kept.

        It is called in order, on the thread that trains. With ``background=True``
        a snapshot is told at the next call of the recorder, or when it is drained.
        An exception of the callback is handled as ``on_error`` says: it is listed
        in ``failures``, with one warning, and training goes on, or it is raised.
        What ``amend`` and ``relabel`` change afterwards is not told again. A copy
        of the recorder for another process has no subscribers.

        Parameters
        ----------
        callback : callable
            ``(snapshot) -> None``. Training waits for it; it must not change the
            snapshot or draw from the random streams of a framework.

        Returns
        -------
        callable
            Call it without arguments to end the subscription.

        Raises
        ------
        TypeError
            If ``callback`` is not callable.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
        >>> unsubscribe = recorder.subscribe(lambda snapshot: print(snapshot.epoch))
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=0)
        0
        >>> unsubscribe()
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=1)
        """
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

    def close(self) -> None:
        """Wait for what goes on in the background, and let others write to ``path``.

        A recorder that captures again afterwards takes ``path`` again. One
        that is never closed holds it until it is deleted or its process ends.
        """
        self.drain()
        self._store.close()

    def claim(self) -> None:
        """Take ``path`` now, so that one that is not free shows before training.

        Raises
        ------
        RecordingError
            If another process records there, or nobody allowed to continue
            what is there.
        """
        self._store.open()

    def continue_stored(self) -> None:
        """Let ``resume="checkpoint"`` continue what is at ``path``."""
        self._store.allow()

    def amend(self, metrics: Mapping[str, Any]) -> None:
        """Add metrics to the last snapshot (some frameworks know them only later)."""
        self._settle()
        plain = plain_metrics(metrics)
        if not self._background.amend(plain) and len(self._store):
            last = len(self._store) - 1
            self._attempt(lambda: self._store.amend(last, plain), "an addition to the metrics")

    def relabel(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Say that the last snapshot is also the state at the end of ``epoch``."""
        self._settle()
        plain = plain_metrics(metrics)
        if self._background.relabel(epoch, plain):
            return
        self.recording.require_snapshots()
        last = len(self._store) - 1
        self._attempt(lambda: self._store.relabel(last, epoch, plain), "the end")

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

    def rewind(self, epoch: int, step: int | None = None) -> None:
        """Forget the snapshots after ``epoch`` and ``step``: training continues from there."""
        self._background.forget_last()
        self._settle()
        later = self.recording.epochs > epoch
        if step is not None:
            later |= self.recording.steps > step  # NaN, where the step is unknown, is not later
        self._supersedes = False
        self._store.truncate(int((~later).sum()))
        self._asked = (epoch, step or 0)

    def _withdraw(self, found: Provisional, last: int) -> None:
        if found.epoch is None:
            self._store.truncate(last)
            return
        # A metric cannot be taken away, but one that is no number was not given.
        unknown = dict.fromkeys(self._store.metrics(last), float("nan"))
        self._store.relabel(last, found.epoch, {**unknown, **found.metrics})
        self._store.mark(None)

    def _supersede(self, epoch: int, step: int | None) -> None:
        """Where a stored recording is continued, forget what is about to be captured again."""
        if not self._supersedes:
            return
        self._validator.check_order(epoch, step, None)
        self._supersedes = False
        epochs, steps = self.recording.epochs, self.recording.steps
        again = epochs >= epoch
        if step is not None:
            # Of the epoch under way, the steps before are still true; NaN is no step before.
            again = (epochs > epoch) | ((epochs == epoch) & ~(steps < step)) | (steps >= step)
        self._store.truncate(int((~again).sum()))
        if len(self._store):
            last = len(self._store) - 1
            self._asked = self._store.epoch(last), self._store.step(last) or 0

    def __getstate__(self) -> dict[str, Any]:
        # A copy for another process must not miss what is under way.
        self._background.drain()
        return {**self.__dict__, "_subscribers": {}, "_untold": deque()}

    def _stop_background(self, reason: str) -> None:
        if not self._background.enabled:
            return
        self._background.forget_last()
        self._background.enabled = False
        warnings.warn(
            f"background=True has no effect on this model, because {reason}; its captures are "
            "made at once, while training waits",
            CaptureWarning,
            stacklevel=4,
        )
        self._settle()

    def _settle(self) -> None:
        """Apply the error policy, on the thread that trains, to what failed in the background."""
        errors = self._background.take_errors()
        self._evaluator.tell(stacklevel=4)
        if errors and self._on_error == "raise":
            self.failures += [
                (epoch, f"{type(error).__name__}: {error}") for epoch, error in errors
            ]
            raise errors[0][1]
        for epoch, error in errors:
            self._handle(error, epoch)
        self._tell_subscribers()

    def _keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot; the thread that trains tells the subscribers of it later."""
        self._store.append(snapshot)
        if self._subscribers:
            self._untold.append(snapshot)

    def _tell_subscribers(self) -> None:
        while self._untold:
            snapshot = self._untold.popleft()
            for callback in tuple(self._subscribers.values()):
                try:
                    with host_rng_preserved():
                        callback(snapshot)
                except Exception as error:
                    self._handle(error, snapshot.epoch, "telling a subscriber")

    def _last(self) -> tuple[int, int | None] | None:
        pending = self._background.pending
        if pending is not None or not len(self._store):
            return pending
        index = len(self._store) - 1
        return self._store.epoch(index), self._store.step(index)

    def _attempt(self, change: Callable[[], None], what: str) -> None:
        """Change the last snapshot; a disk that is full ends no training."""
        try:
            change()
        except Exception as error:
            self._handle(error, self._store.epoch(len(self._store) - 1), what)

    def _handle(
        self, error: Exception, epoch: int, what: str = "the capture", *, is_first: bool = False
    ) -> None:
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


def _location(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    text = os.fspath(path)
    return text if "://" in text else os.path.abspath(text)
