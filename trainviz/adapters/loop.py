"""What the recorders for plain training loops have in common."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from typing_extensions import Self

from trainviz.predictions import PredictProba
from trainviz.recorder import Recorder
from trainviz.recording import Recording
from trainviz.training import TrainingEvents

__all__ = ["LoopRecorder"]


class LoopRecorder:
    """A recorder that the user's own loop calls: the base of one for each framework.

    Parameters
    ----------
    recorder : Recorder
    predict_proba : callable
        Asks the model as it is at the moment of the call.
    first_epoch : int, default 0
        The number your loop gives its first epoch.
    events : TrainingEvents, optional
        Of this recorder, where they are of another kind.

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

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
        self._first_epoch = first_epoch
        self._next_epoch = first_epoch
        self._steps = 0

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.recorder.recording

    def start(self) -> Self:
        """Capture the model before its first step, and check that it fits the domain.

        Returns
        -------
        LoopRecorder
            Itself.
        """
        self._events.start(self._predictor, epoch=self._next_epoch - self._first_epoch)
        return self

    def step_end(self, step: int | None = None, **metrics: Any) -> None:
        """Tell that an optimisation step is done (needed for step schedules only).

        Parameters
        ----------
        step : int, optional
            Completed steps; default counts the calls.
        **metrics : float or array of one value
        """
        self._steps = self._steps + 1 if step is None else step
        self._events.step_end(self._predictor, self._steps, metrics)

    def epoch_end(self, epoch: int | None = None, **metrics: Any) -> None:
        """Tell that an epoch is done.

        Parameters
        ----------
        epoch : int, optional
            The loop's own number of the epoch; default counts the calls.
        **metrics : float or array of one value
            Kept beside the snapshot, if one is due.

        Raises
        ------
        ValueError
            If ``epoch`` lies before ``first_epoch``.
        """
        if epoch is None:
            epoch = self._next_epoch
        completed = epoch - self._first_epoch + 1
        if completed < 1:
            raise ValueError(
                f"epoch={epoch} lies before first_epoch={self._first_epoch}, the number of the "
                "loop's first epoch"
            )
        self._next_epoch = epoch + 1
        self._events.epoch_end(self._predictor, completed, self._steps or None, metrics)

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
