"""The events of a training loop, as every adapter reports them to a recorder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainviz.capture.recorder import Recorder
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.snapshot import Provisional

__all__ = ["TrainingEvents"]


class TrainingEvents:
    """Turn "started", "epoch done", "step done", "finished" into captures.

    What adapters have in common lives here: the initial and the final state,
    never the same state twice, epochs that go on counting when ``fit`` is
    called again, and continuing after a checkpoint.

    Parameters
    ----------
    recorder : Recorder

    Attributes
    ----------
    continues : bool
        Whether the next start goes on within the recording, whose later
        snapshots are superseded then.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), every=4)
    >>> events, predict = TrainingEvents(recorder), lambda X: X[:, :1]
    >>> events.start(predict)
    >>> for epoch in range(1, 7):
    ...     _ = events.epoch_end(predict, epoch)
    >>> events.finish(predict)
    >>> recorder.recording.epochs
    array([0, 4, 6])
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._epoch = 0
        self._step: int | None = None
        self._epoch_offset = 0
        self._step_offset = 0
        self._metrics: Mapping[str, Any] = {}
        # A recording that is continued has its initial state.
        self._captured = self._last_captured(len(recorder.recording))
        self._from_step = False
        self.continues = self._captured is not None
        self._leaves_end = False
        self._running = False
        self._moved = False

    @property
    def epoch(self) -> int:
        """Completed epochs, over all fits."""
        return self._epoch

    def start(
        self,
        predict: PredictProba,
        epoch: int = 0,
        step: int | None = None,
        *,
        anew: bool | None = None,
    ) -> None:
        """Training starts (or goes on) with ``epoch`` epochs and ``step`` steps completed.

        ``anew`` says whether nothing is trained yet, where ``step`` does not.
        """
        # A fit that failed and starts within its own epochs goes on from a backup.
        if self.continues or (self._running and 0 < epoch + self._epoch_offset <= self._epoch):
            self.go_on(epoch, step, anew=anew)
            owes = self._owes()
        else:
            self._count_on(epoch, step)
            self._move(epoch, step, {})
            owes = False
        self._running = True
        if owes or (self.recorder.schedule.initial and self._captured is None):
            taken = self._capture(predict)
            # After a checkpoint that lies between them, the end of this step's epoch still comes.
            self._from_step = taken and owes and self._step is not None
        else:
            self.recorder.check(predict)

    def go_on(self, epoch: int, step: int | None = None, *, anew: bool | None = None) -> None:
        """Go back to ``epoch`` and ``step`` in what is recorded; capture nothing."""
        self.continues = False
        self._running = True
        self._step = None
        self._move(epoch, step, {})
        provisional = self.recorder.provisional
        if provisional is not None and provisional.epoch is not None:
            self.recorder.withdraw_provisional()
        if anew is None:
            anew = epoch == 0 and not step
        if anew:
            self._warn_of_loss()
        self.recorder.rewind(-1 if anew else self._epoch, None if anew else self._step)
        recording = self.recorder.recording
        self._captured = self._last_captured(len(recording))
        # What the step before a mid-epoch checkpoint gave can still stand for the epoch.
        self._from_step = self._captured is not None and self._captured[1] is not None
        self._leaves_end = self.recorder.provisional is not None and not self._due_by_epoch()

    def epoch_end(
        self,
        predict: PredictProba,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> bool:
        """``epoch`` epochs are completed; returns whether a snapshot stands for it."""
        self._running = True
        self._move(epoch, step, metrics or {})
        if not self.recorder.schedule.due_epoch(self._epoch):
            self.recorder.check(predict)
            return False
        return self._relabel() or self._capture(predict)

    def step_end(
        self, predict: PredictProba, step: int, metrics: Mapping[str, Any] | None = None
    ) -> bool:
        """``step`` steps are completed; returns whether a snapshot was captured."""
        due = self.step_due(step)
        self.pass_step(step)
        if not due:
            self.recorder.check(predict)
            return False
        self._metrics = metrics or {}
        self._from_step = self._capture(predict)
        return self._from_step

    def step_due(self, step: int) -> bool:
        """Tell whether the schedule asks for a capture at ``step``, and count nothing."""
        since = self._step or 0
        return self.recorder.schedule.due_step(max(since, step + self._step_offset), since)

    def pass_step(self, step: int) -> None:
        """Count ``step`` completed steps, and do nothing else."""
        self._moved = True
        self._step = max(self._step or 0, step + self._step_offset)

    def finish(self, predict: PredictProba) -> None:
        """Training is over: capture its last state, unless that is done or switched off."""
        self.recorder.drain()
        self._reconcile()
        is_missing = self.recorder.schedule.final and self._captured != (self._epoch, self._step)
        # Where nothing was trained, nothing is known of the epoch.
        if is_missing and self._moved:
            self._capture_end(predict)
        self._running = False
        self.recorder.close()

    def interrupt(self) -> None:
        """Training has failed: keep what was captured, and hide no exception by another."""
        try:
            self.recorder.close()
        except Exception as error:
            warnings.warn(
                f"a capture in the background failed: {type(error).__name__}: {error}",
                CaptureWarning,
                stacklevel=3,
            )

    def cursor(self) -> dict[str, Any]:
        """Return where the recording stands, for a checkpoint; empty before any capture."""
        if self.recorder.location is not None:
            # What a checkpoint has passed is not captured again.
            self.recorder.drain()
        self._reconcile()
        if self._captured is None:
            return {}
        found: dict[str, Any] = {
            "epoch": self._epoch,
            "epoch_offset": self._epoch_offset,
            "step_offset": self._step_offset,
        }
        if self.recorder.location is not None:
            found["path"] = self.recorder.location
        return found

    def counts(self) -> dict[str, Any]:
        """Return what is counted, for :meth:`follow` in another process."""
        names = ("_epoch", "_step", "_epoch_offset", "_step_offset", "_running", "_moved")
        return {name: getattr(self, name) for name in names}

    def follow(self, counts: Mapping[str, Any]) -> None:
        """Count on as the events do whose :meth:`counts` these are."""
        self.__dict__.update(counts)

    def resume(self, cursor: Mapping[str, Any]) -> None:
        """Continue from a checkpoint's cursor: later snapshots are superseded."""
        if not cursor:
            return
        self.continues = True
        self._epoch = int(cursor["epoch"])
        self._epoch_offset = int(cursor["epoch_offset"])
        self._step_offset = int(cursor["step_offset"])
        self._step = None
        self.recorder.drain()
        # Nothing is forgotten before training goes on: a checkpoint is loaded to test it, too.
        kept = int((self.recorder.recording.epochs <= self._epoch).sum())
        self._captured = self._last_captured(kept)

    def _count_on(self, epoch: int, step: int | None) -> None:
        """Let a further fit, which may count from 0 again, go on counting."""
        if epoch + self._epoch_offset < self._epoch:
            self._epoch_offset = self._epoch - epoch
            self._step_offset = (self._step or 0) - (step or 0)
        elif step is not None and step + self._step_offset < (self._step or 0):
            self._step_offset = (self._step or 0) - step

    def _owes(self) -> bool:
        """Whether the state that training goes on from was due, and is not recorded.

        A checkpoint may be written just before the capture of the same moment.
        """
        if self._captured is None:
            return False
        schedule, (epoch, step) = self.recorder.schedule, self._captured
        if epoch < self._epoch and schedule.due_epoch(self._epoch):
            return True
        now = self._step or 0
        return (step or 0) < now and schedule.due_step(now, since=now - 1)

    def _due_by_epoch(self) -> bool:
        """Whether the schedule asks for the last snapshot as the end of its epoch."""
        epochs = self.recorder.recording.epochs[-2:]
        is_first = len(epochs) < 2 or epochs[0] < epochs[1]
        return bool(is_first and self.recorder.schedule.due_epoch(int(epochs[-1])))

    def _warn_of_loss(self) -> None:
        recording = self.recorder.recording
        if len(recording) and recording.epochs[-1] > 0:
            warnings.warn(
                f"training begins anew at epoch 0, and {recording!r} is continued: what it holds "
                "is superseded. Load the checkpoint that training is to go on from, or take "
                "another path for another run",
                CaptureWarning,
                stacklevel=4,
            )

    def _capture_end(self, predict: PredictProba) -> None:
        recording = self.recorder.recording
        before = {name: float(values[-1]) for name, values in recording.metrics.items()}
        epoch = None if self._captured is None else self._captured[0]
        if self._relabel():
            self.recorder.mark_provisional(Provisional(epoch, before))
        elif self._capture(predict):
            self.recorder.drain()
            if not self.recorder.lost_last:
                self.recorder.mark_provisional(Provisional())

    def _last_captured(self, kept: int) -> tuple[int, int | None] | None:
        if not kept:
            return None
        recording = self.recorder.recording
        epoch, step = recording.epochs[kept - 1], recording.steps[kept - 1]
        return int(epoch), None if np.isnan(step) else int(step)

    def _move(self, epoch: int, step: int | None, metrics: Mapping[str, Any]) -> None:
        self._moved = True
        self._epoch = epoch + self._epoch_offset
        if step is not None:
            self._step = step + self._step_offset
        self._metrics = metrics

    def _relabel(self) -> bool:
        """Let the last step's snapshot stand for the epoch that it has just completed."""
        self._reconcile()
        if not self._from_step or self._captured is None or self._captured[1] != self._step:
            return False
        self.recorder.relabel(self._epoch, self._metrics)
        self._captured, self._from_step = (self._epoch, self._step), False
        return True

    def _capture(self, predict: PredictProba) -> bool:
        if self._leaves_end:
            self._leaves_end = False
            self.recorder.withdraw_provisional()
        taken = self.recorder.offer(predict, self._epoch, self._step, self._metrics, force=True)
        if taken is not False:
            self._captured, self._from_step = (self._epoch, self._step), False
        return taken is not False

    def _reconcile(self) -> None:
        """Take back a capture that was handed to the background and has failed there."""
        if self._captured is not None and self.recorder.lost_last:
            self._captured = self._last_captured(len(self.recorder.recording))
            self._from_step = False
