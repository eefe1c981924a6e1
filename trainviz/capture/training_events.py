"""The events of a training loop, as every adapter reports them to a recorder."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from trainviz._common.terminal import warn
from trainviz.capture.probe import alike, digest
from trainviz.capture.recorder import Recorder
from trainviz.capture.training_state import Stage, TrainingState, last_captured
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.snapshot import Provisional

__all__ = ["TrainingEvents"]


class TrainingEvents:
    """Turn "started", "epoch done", "step done", "finished" into captures.

    All adapters share this logic: it captures the initial and the final state,
    no state twice, continues the count of epochs when ``fit`` is called again,
    and continues after a checkpoint.

    Parameters
    ----------
    recorder : Recorder

    Attributes
    ----------
    recorder : Recorder
    state : TrainingState
        The progress of training.

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
        self.state = recorder.state = TrainingState.of(recorder.recording)
        self._answers: npt.NDArray[Any] | None = None
        self._captured_answers: npt.NDArray[Any] | None = None
        # What the model answered at every capture, to find the epoch of weights that return.
        self._epochs_by_answers: dict[bytes, int] = {}
        self._module: weakref.ref[Any] | None = None

    def start(
        self,
        predict: PredictProba,
        epoch: int = 0,
        step: int | None = None,
        *,
        anew: bool | None = None,
    ) -> None:
        """Report that training starts or continues after ``epoch`` epochs and ``step`` steps.

        ``anew`` says whether nothing is trained yet; by default that is so if both are 0.
        """
        if not epoch and not step:
            self.begin_if_another(predict)
        self._module = _reference(predict)
        state, schedule = self.state, self.recorder.schedule
        # After an exception, a start within the epochs already trained continues from a backup.
        from_backup = state.stage is Stage.RUNNING and 0 < epoch + state.epoch_offset <= state.epoch
        lacks_due = False
        if state.goes_back or from_backup:
            self.go_on(epoch, step, anew=anew)
            lacks_due = state.lacks_due(schedule)
        else:
            state.count_on(epoch, step)
            state.move(epoch, step, {})
        if lacks_due or (schedule.initial and state.captured is None):
            # If this step is the last of its epoch, the snapshot can be relabelled as the epoch's.
            self._capture(predict, awaits_epoch=lacks_due and state.step is not None)
        else:
            self.recorder.check(predict)

    def begin_if_another(self, predict: PredictProba) -> bool:
        """Begin another recording if this is another model than at the end of the last fit.

        After a fit that was interrupted, only another object counts as another model.
        """
        state = self.state
        if state.captured is None or state.stage not in (Stage.RUNNING, Stage.FINISHED):
            return False
        if state.stage is Stage.FINISHED:
            known = self._answers is not None
            now = self.recorder.probe(predict, is_sure=False) if known else None
            another = now is not None and not alike(now, self._answers)
        else:
            before, after = self._module, _reference(predict)
            another = before is not None and after is not None and before() is not after()
        if another:
            self.recorder.begin_another_run()
            self.state = self.recorder.state
            self._answers = self._captured_answers = None
            self._epochs_by_answers = {}
        return another

    def go_on(self, epoch: int, step: int | None = None, *, anew: bool | None = None) -> None:
        """Forget the snapshots after ``epoch`` and ``step``; capture nothing."""
        state, writer, recording = self.state, self.recorder.writer, self.recorder.recording
        state.step = None
        state.move(epoch, step, {})
        provisional = writer.provisional
        if provisional is not None and provisional.epoch is not None:
            writer.withdraw_provisional()
        if anew is None:
            anew = epoch == 0 and not step
        if anew:
            self._warn_of_loss()
        self.recorder.rewind(-1 if anew else state.epoch, None if anew else state.step)
        state.captured = last_captured(recording)
        # The epoch may end with the last captured step, whose snapshot is relabelled then.
        state.awaits_epoch = state.captured is not None and state.captured[1] is not None
        state.is_end = writer.provisional is not None and not self._due_by_epoch()

    def epoch_end(
        self,
        predict: PredictProba,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> bool:
        """Report that ``epoch`` epochs are completed; return whether that state is recorded."""
        self.state.move(epoch, step, metrics or {})
        if not self.recorder.schedule.due_epoch(self.state.epoch):
            self.recorder.check(predict)
        elif self._relabel() or self._capture(predict):
            return True
        self._log()
        return False

    def amend(self, metrics: Mapping[str, Any]) -> None:
        """Report metrics of the last epoch that some frameworks know only later."""
        self.state.metrics = {**self.state.metrics, **metrics}
        self._reconcile()
        if self.state.captured == self.state.position:
            self.recorder.amend(metrics)
        else:
            self._log()

    def step_end(
        self, predict: PredictProba, step: int, metrics: Mapping[str, Any] | None = None
    ) -> bool:
        """Report that ``step`` steps are completed; return whether a snapshot was captured."""
        due = self.step_due(step)
        self.state.pass_step(step)
        if not due:
            self.recorder.check(predict)
            return False
        self.state.metrics = metrics or {}
        return self._capture(predict, awaits_epoch=True)

    def step_due(self, step: int) -> bool:
        """Return whether a capture is due at ``step``, without changing the state."""
        since = self.state.step or 0
        now = max(since, step + self.state.step_offset)
        return self.recorder.schedule.due_step(now, since)

    def finish(self, predict: PredictProba, weights_epoch: int | None = None) -> None:
        """Report that training is over: capture its last state, unless done or switched off.

        ``weights_epoch`` is the epoch whose weights the model has by now, where that is known.
        """
        self.recorder.drain()
        self._reconcile()
        is_missing = self.state.captured != self.state.position
        # In any other stage nothing was trained since, so that there is nothing to capture.
        if self.state.stage is Stage.RUNNING and self.recorder.schedule.final and is_missing:
            self._capture_end(predict, weights_epoch)
        if self.state.stage in (Stage.RUNNING, Stage.FINISHED):
            self.state.stage = Stage.FINISHED
            self._answers = self.recorder.probe(predict, is_sure=False)
            if self.recorder.schedule.final and not is_missing:
                self._capture_changed(predict, weights_epoch)
        self.recorder.close()

    def interrupt(self) -> None:
        """Report that training has failed: close the recorder, and only warn if that fails too."""
        try:
            self.recorder.close()
        except Exception as error:
            warn(
                f"a capture in the background failed: {type(error).__name__}: {error}",
                CaptureWarning,
                stacklevel=3,
            )

    def cursor(self) -> dict[str, Any]:
        """Return the recording's progress, for a checkpoint; empty if nothing is recorded."""
        if self.recorder.location is not None:
            # Captures before the checkpoint must be stored now: resuming does not repeat them.
            self.recorder.drain()
        self._reconcile()
        if self.state.captured is None and not len(self.recorder.recording.history):
            return {}
        found: dict[str, Any] = {
            "epoch": self.state.epoch,
            "epoch_offset": self.state.epoch_offset,
            "step_offset": self.state.step_offset,
        }
        evaluation = self.recorder.evaluation_state()
        if evaluation:
            found["evaluation"] = evaluation
        if self.recorder.location is not None:
            found["path"] = self.recorder.location
        return found

    def resume(self, cursor: Mapping[str, Any]) -> None:
        """Continue from a checkpoint's cursor: later snapshots will be superseded."""
        if cursor:
            # They are removed only when training starts: a checkpoint is loaded for testing, too.
            self.recorder.drain()
            self.state.resume(cursor, self.recorder.recording)
            if "evaluation" in cursor:  # A grid that is always dense has none.
                self.recorder.restore_evaluation(cursor["evaluation"])

    def _log(self) -> None:
        state = self.state
        self.recorder.log(epoch=state.epoch, step=state.step, metrics=state.metrics)

    def _due_by_epoch(self) -> bool:
        """Return whether the schedule asks for the last snapshot as the end of its epoch."""
        epochs = self.recorder.recording.epochs[-2:]
        is_first = len(epochs) < 2 or epochs[0] < epochs[1]
        return bool(is_first and self.recorder.schedule.due_epoch(int(epochs[-1])))

    def _warn_of_loss(self) -> None:
        recording = self.recorder.recording
        if len(recording) and recording.epochs[-1] > 0:
            warn(
                f"training begins anew at epoch 0, and {recording!r} is continued: what it holds "
                "is superseded. Load the checkpoint that training is to go on from, or take "
                "another path for another run",
                CaptureWarning,
                stacklevel=4,
            )

    def _capture_end(self, predict: PredictProba, weights_epoch: int | None) -> None:
        writer = self.recorder.writer
        before = {name: float(values[-1]) for name, values in writer.recording.metrics.items()}
        epoch = None if self.state.captured is None else self.state.captured[0]
        if self._relabel():
            writer.mark_provisional(Provisional(epoch, before))
        elif self._capture(predict, weights_epoch=weights_epoch):
            self.recorder.drain()
            if not writer.lost_last:
                writer.mark_provisional(Provisional())

    def _capture_changed(self, predict: PredictProba, weights_epoch: int | None) -> None:
        """Capture the end again if its weights were changed: averaged, or restored from the best.

        The second snapshot of the same epoch and step is known by that; see
        ``Recording.ends_with_other_weights``.
        """
        now, before = self._answers, self._captured_answers
        if now is None or before is None or alike(now, before):
            return
        if weights_epoch is None:
            weights_epoch = self._epochs_by_answers.get(digest(now))
        if self._capture(predict, again=True, weights_epoch=weights_epoch):
            self.recorder.drain()
            if not self.recorder.writer.lost_last:
                self.recorder.writer.mark_provisional(Provisional())
                self.state.is_end = True

    def _relabel(self) -> bool:
        """Relabel the last step's snapshot as that of the epoch which the step completed."""
        self._reconcile()
        state = self.state
        if not state.awaits_epoch or state.captured is None or state.captured[1] != state.step:
            return False
        self.recorder.relabel(state.epoch, state.metrics)
        state.take()
        return True

    def _capture(
        self,
        predict: PredictProba,
        *,
        awaits_epoch: bool = False,
        again: bool = False,
        weights_epoch: int | None = None,
    ) -> bool:
        state = self.state
        if state.is_end:
            state.is_end = False
            self.recorder.writer.withdraw_provisional()
        taken = self.recorder.offer(
            predict, state.epoch, state.step, state.metrics, force=True, again=again,
            weights_epoch=weights_epoch, probes=True,
        )  # fmt: skip
        if taken is False:
            state.awaits_epoch = False
            return False
        state.take(awaits_epoch)
        self._captured_answers = self.recorder.answers
        if self._captured_answers is not None and not again:
            self._epochs_by_answers[digest(self._captured_answers)] = state.epoch
        return True

    def _reconcile(self) -> None:
        """Correct the state if the last capture has failed in the background."""
        if self.state.captured is not None and self.recorder.writer.lost_last:
            self.state.captured = last_captured(self.recorder.recording)
            self.state.awaits_epoch = False

    def __getstate__(self) -> dict[str, Any]:
        # A weak reference cannot be pickled.
        return {**self.__dict__, "_module": None}


def _reference(predict: Any) -> weakref.ref[Any] | None:
    module = getattr(predict, "module", None)
    return None if module is None else weakref.ref(module)
