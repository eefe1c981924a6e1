"""The progress of training and its last snapshot: the state that resuming depends on."""

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
    """The stages of the training behind a recording; see :class:`TrainingState`."""

    NEW = "new"
    STORED = "stored"
    RESUMED = "resumed"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass
class TrainingState:
    """The progress of training and its last snapshot.

    ========  =====================================  =========================================
    stage     meaning                                transitions
    ========  =====================================  =========================================
    NEW       nothing is trained or recorded         any event: to RUNNING
    STORED    there are snapshots of an earlier      a start or a capture tells the epoch, and
              process; the epoch at which training   snapshots from there on are superseded:
              continues is unknown                   to RUNNING; a checkpoint: to RESUMED
    RESUMED   a checkpoint tells the epoch at which  a start or an epoch supersedes the later
              training continues; no snapshot is     snapshots: to RUNNING
              removed before it does
    RUNNING   training goes on, or an exception has  the end: to FINISHED; a checkpoint: to
              interrupted it; a start within its     RESUMED
              epochs continues from a backup
    FINISHED  training is over                       a start continues the count of epochs: to
                                                     RUNNING; a checkpoint: to RESUMED
    ========  =====================================  =========================================

    Attributes
    ----------
    stage : Stage
    epoch : int
        Completed epochs, over all fits.
    step : int or None
        Completed steps, over all fits; None where they are not counted.
    epoch_offset, step_offset : int
        Added to the counts of a further fit, which may start at 0 again.
    metrics : mapping
        Of the last epoch or step.
    captured : tuple of (int, int or None), or None
        Epoch and step of the last snapshot.
    awaits_epoch : bool
        Whether the last snapshot was taken for a step: if the epoch ends with
        this step, the snapshot is relabelled as the epoch's.
    is_end : bool
        Whether the last snapshot exists only because training had ended, which
        now continues: the next capture removes it.
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
        """Return the state before training, which may continue a stored recording."""
        captured = last_captured(recording)
        # With snapshots, the initial state is among them.
        return cls(Stage.NEW if captured is None else Stage.STORED, captured=captured)

    @property
    def goes_back(self) -> bool:
        """Whether the next start may continue before the end of the recording."""
        return self.stage in (Stage.STORED, Stage.RESUMED)

    @property
    def position(self) -> tuple[int, int | None]:
        """Completed epochs and steps."""
        return self.epoch, self.step

    def move(self, epoch: int, step: int | None, metrics: Mapping[str, Any]) -> None:
        """Note that ``epoch`` epochs and ``step`` steps of this fit are completed."""
        self.stage = Stage.RUNNING
        self.epoch = epoch + self.epoch_offset
        if step is not None:
            self.step = step + self.step_offset
        self.metrics = metrics

    def pass_step(self, step: int) -> None:
        """Note that ``step`` steps of this fit are completed."""
        self.stage = Stage.RUNNING
        self.step = max(self.step or 0, step + self.step_offset)

    def count_on(self, epoch: int, step: int | None) -> None:
        """Set the offsets so that a fit that starts at 0 again continues the count."""
        if epoch + self.epoch_offset < self.epoch:
            self.epoch_offset = self.epoch - epoch
            self.step_offset = (self.step or 0) - (step or 0)
        elif step is not None and step + self.step_offset < (self.step or 0):
            self.step_offset = (self.step or 0) - step

    def take(self, awaits_epoch: bool = False) -> None:
        """Note that a snapshot was taken of this state."""
        self.captured, self.awaits_epoch = self.position, awaits_epoch

    def lacks_due(self, schedule: Schedule) -> bool:
        """Return whether the state from which training continues was due, but is not recorded.

        A checkpoint may have been written just before the capture of the same moment.
        """
        if self.captured is None:
            return False
        epoch, step = self.captured
        if epoch < self.epoch and schedule.due_epoch(self.epoch):
            return True
        now = self.step or 0
        return (step or 0) < now and schedule.due_step(now, since=now - 1)

    def resume(self, cursor: Mapping[str, Any], recording: Recording) -> None:
        """Restore the counts of a checkpoint; see :meth:`TrainingEvents.cursor`."""
        self.stage = Stage.RESUMED
        self.epoch, self.step = int(cursor["epoch"]), None
        self.epoch_offset = int(cursor["epoch_offset"])
        self.step_offset = int(cursor["step_offset"])
        self.captured = last_captured(recording, int((recording.epochs <= self.epoch).sum()))

    def counts(self) -> dict[str, Any]:
        """Return the stage and the counts, for :meth:`follow` in another process."""
        return {name: getattr(self, name) for name in _COUNTS}

    def follow(self, counts: Mapping[str, Any]) -> None:
        """Take over the :meth:`counts` of a state in another process."""
        self.__dict__.update(counts)


def last_captured(recording: Recording, length: int | None = None) -> tuple[int, int | None] | None:
    """Return epoch and step of the last snapshot, or of the last of the first ``length``."""
    kept = len(recording) if length is None else length
    if not kept:
        return None
    epoch, step = recording.epochs[kept - 1], recording.steps[kept - 1]
    return int(epoch), None if np.isnan(step) else int(step)
