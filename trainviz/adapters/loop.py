"""The base class of the recorders for hand-written training loops."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from typing_extensions import Self

from trainviz._common.checks import check_whole
from trainviz.capture.recorder import Recorder
from trainviz.capture.training_events import TrainingEvents
from trainviz.capture.training_state import Stage
from trainviz.evaluation.outputs import PredictProba
from trainviz.recordings.recording import Recording

__all__ = ["LoopRecorder"]


class LoopRecorder:
    """Base class of the recorders that are called from a hand-written training loop.

    Parameters
    ----------
    recorder : Recorder
    predict_proba : callable
        Evaluates the model in its current state.
    first_epoch : int, default 0
        The number your loop gives its first epoch.
    events : TrainingEvents, optional
        The recorder's events, if an instance of a subclass is needed.

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Notes
    -----
    With ``path=`` and ``resume=True`` a recording is continued from the first
    epoch that the loop reports; its stored snapshots of that epoch and of later
    ones are superseded. A loop that reports steps must first call :meth:`start`
    with the epoch and step, or :meth:`load_state_dict`.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
    >>> with LoopRecorder(recorder, lambda X: X[:, :1]) as rec:
    ...     for epoch in range(2):
    ...         rec.epoch_end(epoch)
    >>> rec.recording.epochs
    array([0, 1, 2])
    """

    def __init__(
        self,
        recorder: Recorder,
        predict_proba: PredictProba,
        *,
        first_epoch: int = 0,
        events: TrainingEvents | None = None,
    ) -> None:
        self.recorder = recorder
        self._predictor = predict_proba
        self._events = TrainingEvents(recorder) if events is None else events
        check_whole("first_epoch", first_epoch, 0, 2**31 - 1)
        self._first_epoch = first_epoch
        self._next_epoch = first_epoch
        self._steps = 0

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.recorder.recording

    def widget(self, **options: Any) -> Any:
        """Return the player as a widget; see :meth:`Recorder.widget`."""
        return self.recorder.widget(**options)

    @property
    def recordings(self) -> list[Recording]:
        """The recording of every model, in order; the last one is ``recording``."""
        return self.recorder.recordings

    def start(self, epoch: int | None = None, step: int | None = None) -> Self:
        """Capture the model before its first step, and check that it fits the domain.

        Parameters
        ----------
        epoch : int, optional
            For a continued run, the loop's number of the epoch that comes next;
            stored snapshots after that point are superseded. Default: taken
            from :meth:`load_state_dict` or the first ``epoch_end(epoch)``.
        step : int, optional
            The number of completed steps, if the loop counts them.

        Returns
        -------
        LoopRecorder
            Itself.

        Raises
        ------
        ValueError
            If ``epoch`` lies before ``first_epoch``.
        RecordingError
            If ``path`` is recorded by another process.
        """
        if epoch is not None:
            self._completed_before(epoch)
            self._next_epoch, self._steps = epoch, step or 0
            self._events.state.stage = Stage.RESUMED
        elif self._events.begin_if_another(self._predictor):
            self._next_epoch, self._steps = self._first_epoch, 0
        if self._is_lost:
            self.recorder.check(self._predictor)
        else:
            completed = self._completed_before(self._next_epoch)
            self._events.start(self._predictor, completed, self._steps or None)
        return self

    def step_end(self, step: int | None = None, **metrics: Any) -> None:
        """Report the end of an optimisation step (needed for step schedules only).

        Parameters
        ----------
        step : int, optional
            The number of completed steps; by default calls are counted.
        **metrics : float or array of one value

        Raises
        ------
        ValueError
            If a recording is continued, and the loop has not said from which step.
        """
        if self._is_lost:
            raise ValueError(
                "a recording is continued, and step_end() does not say where: call "
                "start(epoch=, step=) or load_state_dict(...) before the first step"
            )
        self._steps = self._steps + 1 if step is None else step
        self._events.step_end(self._predictor, self._steps, metrics)

    def epoch_end(self, epoch: int | None = None, **metrics: Any) -> None:
        """Report the end of an epoch.

        Parameters
        ----------
        epoch : int, optional
            The loop's own number of the epoch; by default calls are counted.
        **metrics : float or array of one value
            Stored with the snapshot if one is due, else in ``recording.history`` alone.

        Raises
        ------
        ValueError
            If ``epoch`` lies before ``first_epoch``, or is missing where a
            recording is continued.
        """
        if epoch is None:
            if self._is_lost:
                raise ValueError(
                    "a recording is continued, and epoch_end() does not say where: give the "
                    "epoch's number, or call start(epoch=) or load_state_dict(...) before"
                )
            epoch = self._next_epoch
        completed = self._completed_before(epoch) + 1
        if self._events.state.goes_back:
            # start() was not called, or without an epoch: this epoch says where the run resumes.
            self._events.go_on(completed - 1, anew=False)
        self._next_epoch = epoch + 1
        self._events.epoch_end(self._predictor, completed, self._steps or None, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return the recording's position, to be saved in the loop's own checkpoint.

        Call it after ``epoch_end``, so that it includes the epoch.

        Returns
        -------
        dict
            Numbers and the path; no maps.
        """
        state = {"next_epoch": self._next_epoch, "steps": self._steps}
        return {**state, **self._events.cursor()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint; call it before :meth:`start`.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned when the checkpoint was written.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
        >>> rec = LoopRecorder(recorder, lambda X: X[:, :1]).start()
        >>> rec.epoch_end()
        >>> state = rec.state_dict()
        >>> rec.epoch_end()
        >>> rec.load_state_dict(state)
        >>> rec.start().recording.epochs
        array([0, 1])
        """
        self._next_epoch = int(state["next_epoch"])
        self._steps = int(state["steps"])
        if "epoch" in state:
            self._events.resume(state)
        elif self._is_lost:
            self._events.state.stage = Stage.RESUMED

    @property
    def _is_lost(self) -> bool:
        """Whether a recording is continued, and the loop has not yet said from which epoch."""
        return self._events.state.stage is Stage.STORED

    def _completed_before(self, epoch: int) -> int:
        if epoch < self._first_epoch:
            raise ValueError(
                f"epoch={epoch} lies before first_epoch={self._first_epoch}, the number of the "
                "loop's first epoch"
            )
        return epoch - self._first_epoch

    def finish(self) -> Recording:
        """Capture the last state, unless the schedule has just done so.

        Returns
        -------
        Recording
        """
        self._events.finish(self._predictor)
        return self.recording

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._events.interrupt()
