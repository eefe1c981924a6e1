"""The events of a training loop, as every adapter reports them to a recorder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from trainviz.errors import CaptureWarning
from trainviz.predictions import PredictProba
from trainviz.recorder import Recorder

__all__ = ["TrainingEvents"]


class TrainingEvents:
    """Turn "started", "epoch done", "step done", "finished" into captures.

    What adapters have in common lives here: the initial and the final state,
    never the same state twice, epochs that go on counting when ``fit`` is
    called again, and continuing after a checkpoint.

    Parameters
    ----------
    recorder : Recorder

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
        # A recording that is continued has its initial state, and stands where the loop will say.
        self._captured = self._last_captured(len(recorder.recording))
        self._continued = self._captured is not None
        self._from_step = False
        self._resumed = False

    @property
    def epoch(self) -> int:
        """Completed epochs, over all fits."""
        return self._epoch

    def start(self, predict: PredictProba, epoch: int = 0, step: int | None = None) -> None:
        """Training starts (or goes on) with ``epoch`` epochs and ``step`` steps completed."""
        if self._resumed:
            self._resumed = False
            self.recorder.rewind(
                epoch + self._epoch_offset, None if step is None else step + self._step_offset
            )
            self._captured = self._last_captured(len(self.recorder.recording))
        elif epoch + self._epoch_offset < self._epoch:
            self._epoch_offset = self._epoch - epoch
            self._step_offset = (self._step or 0) - (step or 0)
        elif step is not None and step + self._step_offset < (self._step or 0):
            self._step_offset = (self._step or 0) - step
        waits = self._continued and epoch == 0
        self._move(epoch, step, {})
        self._continued = waits
        if self.recorder.schedule.initial and self._captured is None:
            self._capture(predict)
        else:
            self.recorder.check(predict)

    def epoch_end(
        self,
        predict: PredictProba,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> bool:
        """``epoch`` epochs are completed; returns whether a snapshot stands for it."""
        self._move(epoch, step, metrics or {})
        if not self.recorder.schedule.due_epoch(self._epoch):
            self.recorder.check(predict)
            return False
        return self._relabel() or self._capture(predict)

    def step_end(
        self, predict: PredictProba, step: int, metrics: Mapping[str, Any] | None = None
    ) -> bool:
        """``step`` steps are completed; returns whether a snapshot was captured."""
        self._continued = False
        since = self._step or 0
        self._step = max(since, step + self._step_offset)
        if not self.recorder.schedule.due_step(self._step, since):
            self.recorder.check(predict)
            return False
        self._metrics = metrics or {}
        self._from_step = self._capture(predict)
        return self._from_step

    def finish(self, predict: PredictProba) -> None:
        """Training is over: capture its last state, unless that is done or switched off."""
        self.recorder.drain()
        self._reconcile()
        is_new = self._captured != (self._epoch, self._step) and not self._continued
        if self.recorder.schedule.final and is_new and not self._relabel():
            self._capture(predict)
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

    def cursor(self) -> dict[str, int]:
        """Return where the recording stands, for a checkpoint; empty before any capture."""
        self._reconcile()
        if self._captured is None:
            return {}
        return {
            "epoch": self._epoch,
            "epoch_offset": self._epoch_offset,
            "step_offset": self._step_offset,
        }

    def resume(self, cursor: Mapping[str, int]) -> None:
        """Continue from a checkpoint's cursor: later snapshots are superseded."""
        if not cursor:
            return
        self._resumed = True
        self._epoch = int(cursor["epoch"])
        self._epoch_offset = int(cursor["epoch_offset"])
        self._step_offset = int(cursor["step_offset"])
        self._step = None
        self.recorder.drain()
        # Nothing is forgotten before training goes on: a checkpoint is loaded to test it, too.
        kept = int((self.recorder.recording.epochs <= self._epoch).sum())
        self._captured = self._last_captured(kept)

    def _last_captured(self, kept: int) -> tuple[int, int | None] | None:
        recording = self.recorder.recording[:kept]
        return (recording[-1].epoch, recording[-1].step) if len(recording) else None

    def _move(self, epoch: int, step: int | None, metrics: Mapping[str, Any]) -> None:
        self._continued = False
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
        taken = self.recorder.offer(predict, self._epoch, self._step, self._metrics, force=True)
        if taken is not False:
            self._captured, self._from_step = (self._epoch, self._step), False
        return taken is not False

    def _reconcile(self) -> None:
        """Take back a capture that was handed to the background and has failed there."""
        if self._captured is not None and self.recorder.lost_last:
            self._captured = self._last_captured(len(self.recorder.recording))
            self._from_step = False
