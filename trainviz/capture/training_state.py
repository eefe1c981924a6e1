"""Where training stands, and what the last snapshot is of it: all that resuming goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from trainviz.capture.schedule import Schedule
from trainviz.recordings.recording import Recording

__all__ = ["Stage", "TrainingState", "last_captured"]

_COUNTS = ("epoch", "step", "epoch_offset", "step_offset", "stage")


class Stage(Enum):
    """What is known of the training that a recording is of; see :class:`TrainingState`."""

    NEW = "new"
    STORED = "stored"
    RESUMED = "resumed"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass
class TrainingState:
    """Where training stands, and what the last snapshot is of it.

    ========  =====================================  =========================================
    stage     means                                  is left by
    ========  =====================================  =========================================
    NEW       nothing is trained or recorded         any event, to RUNNING
    STORED    there are snapshots, of an earlier     a start or a capture, which tells where
              process; it is not known where         training goes on: what is recorded from
              training goes on                       there on is superseded, to RUNNING;
                                                     a checkpoint, to RESUMED
    RESUMED   a checkpoint says where training       a start or an epoch, which supersedes
              goes on; nothing is forgotten before   what lies after it, to RUNNING
              it does
    RUNNING   training goes on, or was broken off    the end, to FINISHED; a checkpoint, to
              by an exception; a start within its    RESUMED
              own epochs goes on from a backup
    FINISHED  training is over                       a start, which counts on, to RUNNING;
                                                     a checkpoint, to RESUMED
    ========  =====================================  =========================================

    Attributes
    ----------
    stage : Stage
    epoch : int
        Completed epochs, over all fits.
    step : int or None
        Completed steps, over all fits; None where they are not counted.
    epoch_offset, step_offset : int
        What is added to what a further fit counts, which may begin with 0 again.
    metrics : mapping
        Of the epoch or step.
    captured : tuple of (int, int or None), or None
        Epoch and step of the last snapshot.
    awaits_epoch : bool
        Whether the last snapshot was taken for a step: where the epoch ends with
        this step, it stands for the epoch, too.
    is_end : bool
        Whether the last snapshot is there only because a training had ended that
        goes on now: the next capture takes it away.
    """

    stage: Stage = Stage.NEW
    epoch: int = 0
    step: int | None = None
    epoch_offset: int = 0
    step_offset: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    captured: tuple[int, int | None] | None = None
    awaits_epoch: bool = False
    is_end: bool = False

    @classmethod
    def of(cls, recording: Recording) -> TrainingState:
        """Return the state of a training of which only the recording is known."""
        captured = last_captured(recording)
        # A recording that is continued has its initial state.
        return cls(Stage.NEW if captured is None else Stage.STORED, captured=captured)

    @property
    def goes_back(self) -> bool:
        """Whether the next start goes on within the recording."""
        return self.stage in (Stage.STORED, Stage.RESUMED)

    @property
    def position(self) -> tuple[int, int | None]:
        """Completed epochs and steps."""
        return self.epoch, self.step

    def move(self, epoch: int, step: int | None, metrics: Mapping[str, Any]) -> None:
        """``epoch`` epochs and ``step`` steps of this fit are completed."""
        self.stage = Stage.RUNNING
        self.epoch = epoch + self.epoch_offset
        if step is not None:
            self.step = step + self.step_offset
        self.metrics = metrics

    def pass_step(self, step: int) -> None:
        """``step`` steps of this fit are completed."""
        self.stage = Stage.RUNNING
        self.step = max(self.step or 0, step + self.step_offset)

    def count_on(self, epoch: int, step: int | None) -> None:
        """Let a further fit, which may count from 0 again, go on counting."""
        if epoch + self.epoch_offset < self.epoch:
            self.epoch_offset = self.epoch - epoch
            self.step_offset = (self.step or 0) - (step or 0)
        elif step is not None and step + self.step_offset < (self.step or 0):
            self.step_offset = (self.step or 0) - step

    def take(self, awaits_epoch: bool = False) -> None:
        """Note that a snapshot was taken of this state."""
        self.captured, self.awaits_epoch = self.position, awaits_epoch

    def lacks_due(self, schedule: Schedule) -> bool:
        """Tell whether the state that training goes on from was due, and is not recorded.

        A checkpoint may be written just before the capture of the same moment.
        """
        if self.captured is None:
            return False
        epoch, step = self.captured
        if epoch < self.epoch and schedule.due_epoch(self.epoch):
            return True
        now = self.step or 0
        return (step or 0) < now and schedule.due_step(now, since=now - 1)

    def resume(self, cursor: Mapping[str, Any], recording: Recording) -> None:
        """Take over what a checkpoint says; see :meth:`TrainingEvents.cursor`."""
        self.stage = Stage.RESUMED
        self.epoch, self.step = int(cursor["epoch"]), None
        self.epoch_offset = int(cursor["epoch_offset"])
        self.step_offset = int(cursor["step_offset"])
        self.captured = last_captured(recording, int((recording.epochs <= self.epoch).sum()))

    def counts(self) -> dict[str, Any]:
        """Return what is counted, for :meth:`follow` in another process."""
        return {name: getattr(self, name) for name in _COUNTS}

    def follow(self, counts: Mapping[str, Any]) -> None:
        """Count on as the state does whose :meth:`counts` these are."""
        self.__dict__.update(counts)


def last_captured(recording: Recording, length: int | None = None) -> tuple[int, int | None] | None:
    """Return epoch and step of the last snapshot, or of the last of the first ``length``."""
    kept = len(recording) if length is None else length
    if not kept:
        return None
    epoch, step = recording.epochs[kept - 1], recording.steps[kept - 1]
    return int(epoch), None if np.isnan(step) else int(step)
