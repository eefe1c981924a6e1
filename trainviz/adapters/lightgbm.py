"""LightGBM: a callback that records training round by round."""

from __future__ import annotations

from typing import Any

from trainviz._common.providers import install_hint
from trainviz.adapters.boosting import BoostingRecorder
from trainviz.recordings.recording import Recording

try:
    import lightgbm
except ImportError as error:
    raise ImportError(install_hint("LightGBM", "LightGBMRecorder")) from error

__all__ = ["LightGBMRecorder"]


class LightGBMRecorder(BoostingRecorder):
    """Record a booster while ``lightgbm.train`` or the ``fit`` of ``LGBMClassifier`` trains it.

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
    order : int
        When LightGBM calls it among other callbacks: before early stopping.

    Raises
    ------
    ValueError
        If ``output`` is unknown, or, after the first round, not what the objective returns.

    Notes
    -----
    Snapshots count rounds, from 1: a booster without a tree has no stage to show.
    What ``valid_sets`` (``eval_set``) measure are the metrics, such as
    ``"valid_0 binary_logloss"``.

    LightGBM does not tell callbacks that training was stopped early. The end is captured
    when ``recording`` is read next, or by :meth:`finish`: the best round, with which
    ``predict`` answers, and before it the last one, if the schedule asks for it or LightGBM
    has kept it (``keep_training_booster``). Training that goes on from a booster (``init_model=``)
    continues the recording; in another process, with ``path=`` and ``resume=True``.
    Several trainings from the start have a recording each (``recordings``).
    ``lightgbm.cv`` is not recorded: one warning says so.

    Examples
    --------
    >>> import numpy as np, trainviz as tv, lightgbm
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> rec = tv.LightGBMRecorder(tv.Domain.around(X, resolution=9), every=10)
    >>> model = lightgbm.LGBMClassifier(n_estimators=25, verbose=-1)
    >>> _ = model.fit(X, X[:, 0] > 0, callbacks=[rec])
    >>> rec.recording.epochs
    array([10, 20, 25])
    """

    order = 25
    before_iteration = False
    _booster: Any = None
    _UNCOPIED = ("_whole", "_booster")

    def __call__(self, env: Any) -> None:
        """Capture a round, if it is due; LightGBM calls this after each."""
        if isinstance(env.model, lightgbm.CVBooster):
            self._refuse_folds("lightgbm.cv")
            return
        if env.iteration == env.begin_iteration:
            self.finish()
            self._begin(env.model, env.begin_iteration)
        rounds = env.iteration + 1
        measured = {f"{data} {metric}": value
                    for data, metric, value, *_ in env.evaluation_result_list or ()}  # fmt: skip
        self._round_end(env.model, rounds, measured)
        self._booster, self._rounds = env.model, rounds
        if rounds == env.end_iteration:
            self._finish(env.model, rounds)

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        self.finish()
        return super().recording

    @property
    def recordings(self) -> list[Recording]:
        """The recording of every model, in order; the last one is ``recording``."""
        self.finish()
        return super().recordings

    def finish(self) -> None:
        """Capture the end of a training that was stopped early; do nothing while it goes on."""
        booster = self._booster
        # LightGBM sets the best iteration once training is over.
        if booster is not None and booster.best_iteration > 0:
            self._booster = None
            # Unless it is to train further, it is cut to its best round.
            is_whole = booster.current_iteration() >= self._rounds
            self._finish(booster, self._rounds if is_whole else None, booster.best_iteration)
            self._whole = None
