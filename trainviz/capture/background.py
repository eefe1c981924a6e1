"""Captures off the training path: one worker thread behind a bounded queue.

A capture copies the model and training goes on; one thread evaluates the
copies, in order. The thread changes no global state of the process: no random
stream, no default dtype, no compiler stance. The notes of
:class:`trainviz.Recorder` say what the copy includes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trainviz.capture.random_streams import host_rng_preserved
from trainviz.evaluation.evaluator import session
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.history import LogEntry
from trainviz.recordings.snapshot import Snapshot

__all__ = ["BackgroundCaptures", "check_freezable"]

Evaluate = Callable[[PredictProba, int, "int | None", Mapping[str, Any]], Snapshot]

_WAITING = 2
"""Captures that may wait behind the one being evaluated; each holds a copy of the weights."""

_LINGER = 2.0
"""Seconds after which an idle worker ends: frameworks keep a thread pool for each thread."""

_POLL = 0.1
"""Seconds after which a waiting thread checks that the other one is still alive."""


def check_freezable(predict_proba: PredictProba) -> None:
    """Raise a TypeError for a predict callable that cannot be copied.

    Parameters
    ----------
    predict_proba : callable
        With a method ``frozen()`` that returns an independent callable with
        the outputs that this one has now. The copy may have a method
        ``release()``, which is called once it is no longer needed.

    Raises
    ------
    TypeError
        If there is no such method; the message says what to pass instead.
    """
    if not callable(getattr(predict_proba, "frozen", None)):
        name = getattr(predict_proba, "__qualname__", type(predict_proba).__name__)
        raise TypeError(
            f"background=True needs a copy of the model as it is at the capture, and {name} offers "
            "none: pass an object with __call__(X) and a method frozen() that returns an "
            "independent copy of itself, use the recorder of your framework, or leave "
            "background=True out"
        )


@dataclass(eq=False)
class _Job:
    predict: PredictProba | None
    epoch: int
    step: int | None
    metrics: dict[str, float]
    started: bool = False
    done: bool = False
    failed: bool = False


class BackgroundCaptures:
    """Evaluate frozen models in order on one thread, while training goes on.

    The thread is no daemon, so that the interpreter waits for the queued
    captures, also after an exception. It ends when it has been idle.

    Parameters
    ----------
    evaluate : callable
        ``(predict_proba, epoch, step, metrics) -> Snapshot``; runs on the worker,
        in a session of the copy.
    keep : callable
        ``(snapshot) -> None``; runs on the worker, never at the same time as
        :meth:`amend` or :meth:`relabel`.
    enabled : bool, default True
        Whether captures are made in the background; only the caller uses it.
    waiting : int, default 2
        Captures that may wait behind the one being evaluated.

    Examples
    --------
    >>> import numpy as np
    >>> kept = []
    >>> def evaluate(predict_proba, epoch, step, metrics):
    ...     return Snapshot(predict_proba(np.zeros((2, 1, 1))), epoch, step, metrics)
    >>> captures = BackgroundCaptures(evaluate, kept.append)
    >>> class Half:
    ...     def __call__(self, X):
    ...         return X + 0.5
    ...     def frozen(self):
    ...         return self
    >>> captures.submit(Half(), epoch=3, step=None, metrics={"loss": 2.0})
    >>> captures.drain()
    >>> kept
    [Snapshot(epoch=3, step=None, classes=2, grid=1x1, metrics={'loss': 2.0})]
    """

    def __init__(
        self,
        evaluate: Evaluate,
        keep: Callable[[Snapshot], None],
        enabled: bool = True,
        waiting: int = _WAITING,
    ) -> None:
        self.enabled = enabled
        self._evaluate = evaluate
        self._keep = keep
        self._limit = waiting + 1
        self._jobs: deque[_Job] = deque()
        self._last: _Job | None = None
        self._errors: deque[tuple[LogEntry, Exception]] = deque()
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    def submit(
        self,
        predict_proba: PredictProba,
        epoch: int,
        step: int | None,
        metrics: Mapping[str, float],
    ) -> None:
        """Queue a capture; waits while the queue is full.

        Parameters
        ----------
        predict_proba : callable
            As :func:`check_freezable` requires. It is copied once there is
            room, so that no more copies exist than the queue holds.
        epoch, step, metrics
            Of the snapshot.
        """
        self._wait_until(lambda: len(self._jobs) < self._limit)
        with host_rng_preserved():
            frozen = predict_proba.frozen()  # type: ignore[attr-defined]
        job = _Job(frozen, epoch, step, dict(metrics))
        with self._changed:
            self._jobs.append(job)
            self._last = job
            self._ensure_worker()
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until every queued capture is stored or has failed."""
        self._wait_until(lambda: not self._jobs)

    def forget_last(self) -> None:
        """Wait for all captures; then no snapshot counts as the last capture's any more."""
        self.drain()
        self._last = None

    def take_errors(self) -> list[tuple[LogEntry, Exception]]:
        """Return moment, metrics and exception of the captures that failed since the last call."""
        taken = []
        while self._errors:
            taken.append(self._errors.popleft())
        return taken

    @property
    def pending(self) -> tuple[int, int | None] | None:
        """Epoch and step of the last queued capture, until it is stored; then None."""
        last = self._last
        return (last.epoch, last.step) if last is not None and not last.done else None

    @property
    def last_failed(self) -> bool:
        """Whether the last queued capture has failed."""
        return self._last is not None and self._last.failed

    def amend(self, metrics: Mapping[str, float]) -> bool:
        """Add metrics to the last capture; return False if it is stored already."""
        with self._changed:
            if self._last is None or (self._last.done and not self._last.failed):
                return False
            self._last.metrics.update(metrics)
            return True

    def relabel(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Set the last capture's epoch and add metrics; return False if it is stored already."""
        with self._changed:
            if self._last is None or self._last.done:
                return False
            self._last.epoch = epoch
            self._last.metrics.update(metrics)
            return True

    def _wait_until(self, met: Callable[[], bool]) -> None:
        with self._changed:
            while not met():
                self._ensure_worker()
                self._changed.wait(_POLL)

    def _ensure_worker(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        if self._jobs and self._jobs[0].started:
            self._finish(self._jobs[0], RuntimeError("the thread that evaluated it has died"))
        self._thread = threading.Thread(target=self._work, name="trainviz", daemon=False)
        try:
            self._thread.start()
        except RuntimeError:
            # No thread can be started (a limit, or interpreter shutdown): run the jobs here.
            while self._jobs:
                self._run(self._jobs[0])

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            self._run(job)

    def _next_job(self) -> _Job | None:
        deadline = time.monotonic() + _LINGER
        with self._changed:
            while not self._jobs:
                if time.monotonic() > deadline or not threading.main_thread().is_alive():
                    self._thread = None
                    return None
                self._changed.wait(_POLL)
            return self._jobs[0]

    def _run(self, job: _Job) -> None:
        job.started = True
        assert job.predict is not None
        try:
            with session(job.predict):
                outcome: Snapshot | Exception = self._evaluate(
                    job.predict, job.epoch, job.step, dict(job.metrics)
                )
        except Exception as error:
            outcome = error
        except BaseException as error:
            # SystemExit and the like must not end the worker, for which training would wait.
            outcome = RuntimeError(f"the model raised {type(error).__name__}: {error}")
        self._finish(job, outcome)

    def _finish(self, job: _Job, outcome: Snapshot | Exception) -> None:
        with self._changed:
            try:
                _release(job.predict)
                if isinstance(outcome, Exception):
                    raise outcome
                # The epoch may have been relabelled during the evaluation, and metrics added.
                metrics = {**outcome.metrics, **job.metrics}
                self._keep(replace(outcome, epoch=job.epoch, metrics=metrics))
            except Exception as error:
                job.failed = True
                self._errors.append((LogEntry(job.epoch, job.step, job.metrics), error))
            finally:
                job.predict, job.done = None, True
                if self._jobs and self._jobs[0] is job:
                    self._jobs.popleft()
                self._changed.notify_all()

    def __getstate__(self) -> dict[str, Any]:
        # Locks and threads cannot be pickled, which processes that a trainer spawns need.
        own: dict[str, Any] = {"_changed": None, "_thread": None, "_last": None, "_jobs": deque()}
        return {**self.__dict__, **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._changed = threading.Condition()


def _release(predict_proba: PredictProba | None) -> None:
    release = getattr(predict_proba, "release", None)
    if release is not None:
        release()
