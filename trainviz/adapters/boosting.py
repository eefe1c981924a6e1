"""The base class of the recorders that follow a booster from round to round."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Unpack

from trainviz.adapters.boosters import BoosterPredictor, StageRecorder, names_of
from trainviz.adapters.callback import CallbackRecorder
from trainviz.capture.recorder import RecorderOptions
from trainviz.capture.training_events import TrainingEvents
from trainviz.capture.training_state import Stage
from trainviz.domain.domain import Domain
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import Output, PredictProba

__all__ = ["BoostingRecorder"]

Predict = Callable[[Any, Any], Any]


class BoostingRecorder(CallbackRecorder):
    """Record a booster from round to round; each package reports its rounds in its own way.

    Parameters
    ----------
    domain : Domain
    predict : callable, optional
        ``(booster, points) -> output``.
    output : str, default "probabilities"
        Must be what the booster's objective returns, unless ``predict`` is given.
    **options
        The keyword arguments of :class:`trainviz.Recorder`, but for ``every_n_steps``.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        predict: Predict | None = None,
        output: Output = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        super().__init__()
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (booster, points) -> output")
        if predict is None and output not in ("probabilities", "values"):
            raise ValueError(
                f"output={output!r}: expected 'probabilities' or 'values', or also "
                "predict=(booster, points) -> output"
            )
        self.recorder = StageRecorder(domain, output=output, **options)
        if self.recorder.schedule.counts_steps:
            raise ValueError(
                "every_n_steps= counts optimisation steps, which boosting does not have: give "
                "every=, which counts its rounds"
            )
        self._events = TrainingEvents(self.recorder)
        self._names = names_of(domain)
        self._predict, self._output = predict, output
        self._whole: BoosterPredictor | None = None
        self._refused = False

    def _refuse_folds(self, function: str) -> None:
        """Warn once that cross-validation is not recorded."""
        if not self._refused:
            self._refused = True
            warnings.warn(
                f"{function} trains a booster for each fold, and a recording shows one: nothing is "
                "recorded; record a fold by training on it alone",
                CaptureWarning,
                stacklevel=4,
            )

    def _begin(self, booster: Any, rounds: int) -> None:
        """Report a booster that has so many rounds, and will be trained further."""
        self._whole = None
        state = self._events.state
        if rounds:
            if state.captured is not None:
                # It goes on from a booster, maybe from an earlier one than the last that was seen.
                state.stage = Stage.RESUMED
            self._events.start(self._asking(booster, rounds), rounds)
        elif state.goes_back:
            self._events.go_on(0, anew=True)
        elif state.captured is not None:
            self.recorder.begin_another_run()
            self._events = TrainingEvents(self.recorder)

    def _round_end(self, booster: Any, rounds: int, metrics: Mapping[str, Any]) -> None:
        self._events.epoch_end(self._asking(booster, rounds), rounds, metrics=metrics)

    def _finish(self, booster: Any, rounds: int | None, best: int | None = None) -> None:
        """Report the end: the last round, and the best one if predictions end there.

        Without ``rounds`` only those up to the best one are left.
        """
        if rounds is not None:
            self._events.finish(self._asking(booster, rounds))
        if best is not None and best != rounds:
            self._events.finish(self._asking(booster, best), weights_epoch=best)

    def _asking(self, booster: Any, rounds: int) -> PredictProba:
        predict = self._predict
        if predict is not None:
            return lambda points: predict(booster, points)
        if self._whole is None or self._whole.booster is not booster:
            # Its objective is read once: that takes longer than a prediction.
            self._whole = BoosterPredictor(booster, names=self._names)
            if self._whole.output != self._output:
                raise ValueError(
                    f"output={self._output!r}: the booster's objective returns "
                    f"{self._whole.output}: give output={self._whole.output!r}, or for an "
                    "objective of your own predict=(booster, points) -> output"
                )
        return self._whole.after(rounds)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A booster in training cannot be copied, and a copy records another one.
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        for name, value in self.__dict__.items():
            made.__dict__[name] = None if name in self._UNCOPIED else copy.deepcopy(value, memo)
        return made

    _UNCOPIED: tuple[str, ...] = ("_whole",)
