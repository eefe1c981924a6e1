"""XGBoost: a callback that records training round by round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainviz._common.providers import install_hint
from trainviz.adapters.boosting import BoostingRecorder

try:
    import xgboost
except ImportError as error:
    raise ImportError(install_hint("XGBoost", "XGBoostRecorder")) from error

__all__ = ["XGBoostRecorder"]

EvalsLog = Mapping[str, Mapping[str, Any]]


class XGBoostRecorder(BoostingRecorder, xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Record a booster while ``xgboost.train`` or the ``fit`` of ``XGBClassifier`` trains it.

    Parameters
    ----------
    domain : Domain
    predict : callable, optional
        ``(booster, points) -> output``, for an objective of your own.
    output : str, default "probabilities"
        ``"values"`` for regression and ranking; what ``predict`` returns.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every`` (rounds), ``at``,
        ``schedule``, ``data``, ``class_names``, ``path``, ...

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Raises
    ------
    ValueError
        If ``output`` is unknown, or, after the first round, not what the objective returns.

    Notes
    -----
    Snapshots count rounds, from 1: a booster without a tree has no stage to show.
    What ``evals`` measure are the metrics, such as ``"validation_0 logloss"``.

    After early stopping, the last round is captured, and once more the best one, with which
    ``predict`` of the scikit-learn interface answers. Training that goes on from
    a booster (``xgb_model=``) continues the recording; in another process, with ``path=``
    and ``resume=True``. Several trainings from the start have a recording each
    (``recordings``). ``xgboost.cv`` is not recorded: one warning says so. In distributed
    training rank zero records.

    ``clone``, ``cross_val_score`` and ``GridSearchCV`` of scikit-learn copy an estimator
    with its callbacks: what a copy records is in its own
    ``model.callbacks[0].recording``.

    Examples
    --------
    >>> import numpy as np, trainviz as tv, xgboost
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> rec = tv.XGBoostRecorder(tv.Domain.around(X, resolution=9), every=10)
    >>> model = xgboost.XGBClassifier(n_estimators=25, callbacks=[rec]).fit(X, X[:, 0] > 0)
    >>> rec.recording.epochs
    array([10, 20, 25])
    """

    _evals_log: EvalsLog | None = None

    def before_training(self, model: Any) -> Any:
        """Start a recording, or continue it after the rounds that the booster has."""
        self._evals_log = None
        if not isinstance(model, xgboost.Booster):
            self._refuse_folds("xgboost.cv")
        elif _records(model):
            self._begin(model, model.num_boosted_rounds())
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: EvalsLog) -> bool:
        """Capture a round, if it is due."""
        if _records(model):
            self._evals_log = evals_log
            self._round_end(model, model.num_boosted_rounds(), _last(evals_log))
        return False

    def after_training(self, model: Any) -> Any:
        """Capture the last round, and the best one if training was stopped early."""
        if _records(model):
            rounds, known = model.num_boosted_rounds(), self._events.state.epoch
            if rounds > known:
                # A callback before this one has stopped the training, and so hidden its last round.
                self._round_end(model, rounds, _last(self._evals_log))
            best = model.attr("best_iteration")
            # EarlyStopping(save_best=True) before this one leaves the rounds up to the best one.
            is_whole = rounds >= known
            self._finish(
                model, rounds if is_whole else None, None if best is None else int(best) + 1
            )
        self._evals_log = self._whole = None
        return model


def _records(model: Any) -> bool:
    return isinstance(model, xgboost.Booster) and xgboost.collective.get_rank() == 0


def _last(evals_log: EvalsLog | None) -> dict[str, Any]:
    return {
        f"{data} {metric}": values[-1]
        for data, metrics in (evals_log or {}).items()
        for metric, values in metrics.items()
    }
