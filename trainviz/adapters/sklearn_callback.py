"""scikit-learn: a callback that records ``fit`` itself (experimental, SLEP023)."""

from __future__ import annotations

import warnings
from typing import Any, cast

from typing_extensions import Unpack

from trainviz.adapters.boosters import names_of
from trainviz.adapters.callback import CallbackRecorder
from trainviz.adapters.sklearn import (
    Answer,
    SklearnPredictor,
    defaults_for,
    recorded_output,
)
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.capture.training_events import TrainingEvents
from trainviz.domain.domain import Domain
from trainviz.errors import CaptureWarning

__all__ = ["SklearnFitRecorder"]


class SklearnFitRecorder(CallbackRecorder):
    """Record the iterations within ``fit``, as a callback of a scikit-learn estimator.

    .. warning::
       Experimental: it follows scikit-learn's callbacks (``set_callbacks``), which are
       new in 1.9 and may change. In 1.9 they report the iterations of
       ``LogisticRegression`` (``solver="lbfgs"``), and of no other classifier.

    Parameters
    ----------
    domain : Domain
    output : str, default "probabilities"
        As for :class:`SklearnRecorder`.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``, ``at``,
        ``schedule``, ``data``, ``class_names``, ... ``classes`` are the model's
        own, unless they are given.

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Notes
    -----
    Snapshots count iterations of the solver; 0 is the state before the first. A further ``fit``,
    also one of a search that copies the estimator, has another recording
    (``recordings``). Set it on the estimator itself; one that is set on a pipeline is told of no
    iteration. Within a pipeline the estimator is asked for what the steps before it return, so
    that the domain lies in that space.

    Examples
    --------
    >>> import numpy as np, trainviz as tv
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[-1.0, 0], [1, 0], [-2, 1], [2, 1]]), ["left", "right"] * 2
    >>> rec = tv.SklearnFitRecorder(tv.Domain.around(X, resolution=9), data=(X, y))
    >>> model = LogisticRegression().set_callbacks(rec).fit(X, y)
    >>> rec.recording.epochs[0], rec.recording.epochs[-1] == model.n_iter_[0]
    (np.int64(0), np.True_)
    """

    def __init__(
        self,
        domain: Domain,
        *,
        output: Answer = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        chosen = cast(RecorderOptions, {**defaults_for(None, output), **options})
        self.recorder = Recorder(domain, output=recorded_output(output), **chosen)
        self._events = TrainingEvents(self.recorder)
        self._output, self._names = output, names_of(domain)
        self._asked: SklearnPredictor | None = None
        self._iterations = 0
        self._seen = self._told = False

    def setup(self, estimator: Any, context: Any) -> None:
        """Expect the iterations of another fit."""
        self._asked, self._iterations, self._seen = None, 0, False
        if self._events.state.captured is not None and not self._events.state.goes_back:
            self.recorder.begin_another_run()
            self._events = TrainingEvents(self.recorder)

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Capture the state before the first iteration."""
        if not self._seen and _is_iteration(context) and fitted_estimator is not None:
            self._seen = True
            ask = self._asking(fitted_estimator)
            self._events.start(ask)
            self._asked = ask

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Capture the end of an iteration, if it is due."""
        # The task that is open when the solver ends comes without an estimator.
        if _is_iteration(context) and fitted_estimator is not None:
            self._iterations += 1
            self._asked = self._asking(fitted_estimator)
            self._events.epoch_end(self._asked, self._iterations)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Capture the last iteration, unless it is already captured."""
        if self._asked is not None:
            self._events.finish(self._asked)
            self._asked = None
        elif not (self._seen or self._told):
            self._told = True
            warnings.warn(
                f"scikit-learn has reported no iteration of {type(estimator).__name__}, so that "
                "nothing is recorded: it reports those of LogisticRegression(solver='lbfgs'), to "
                "the callbacks of that estimator; record others with trainviz.SklearnRecorder",
                CaptureWarning,
                stacklevel=2,
            )

    def _asking(self, estimator: Any) -> SklearnPredictor:
        ask = SklearnPredictor(estimator, self._output, names=self._names)
        self.recorder.learn_classes(ask.classes)
        return ask


def _is_iteration(context: Any) -> bool:
    """Return whether a task is a leaf below the fit of the same estimator."""
    above = context.parent
    same = above is not None and above.estimator_name == context.estimator_name
    return same and context.max_subtasks == 0
