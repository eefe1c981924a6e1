"""Native models of XGBoost, LightGBM and CatBoost, without scikit-learn's interface."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from trainviz.capture.recorder import Recorder
from trainviz.domain.inputs import Inputs, fitted_columns, named_columns
from trainviz.evaluation.outputs import Output

__all__ = [
    "BoosterPredictor",
    "StageRecorder",
    "advice_for",
    "is_booster",
    "is_instance",
    "names_of",
]

_KINDS = (("xgboost", "Booster"), ("lightgbm", "Booster"), ("catboost", "CatBoost"))
_CLASSES = ("binary", "multi", "cross_entropy", "Logloss", "CrossEntropy", "MultiClass")


def is_booster(model: Any) -> bool:
    """Return whether a model is a ``Booster`` (of CatBoost, a plain ``CatBoost``).

    Examples
    --------
    >>> is_booster("model")
    False
    """
    return _package(model) is not None


def advice_for(booster: Any) -> str:
    """Return the message for a native booster where a model with a ``fit`` is expected."""
    name = f"{type(booster).__module__.partition('.')[0]}.{type(booster).__name__}"
    return (
        f"model={name} is a native booster, which learns in rounds of its own training function: "
        "record its rounds after training by trainviz.record_stages(booster, domain), or while it "
        "trains by callbacks=[trainviz.XGBoostRecorder(domain)] (LightGBMRecorder)"
    )


def _package(model: Any) -> str | None:
    for package, name in _KINDS:
        # CatBoost's classifier and regressor are subclasses with scikit-learn's interface.
        if is_instance(model, package, name) and not hasattr(model, "_estimator_type"):
            return package
    return None


def is_instance(value: Any, package: str, name: str) -> bool:
    """Return whether a value is an instance of a class of a package, which is not imported.

    Examples
    --------
    >>> is_instance(np.zeros(3), "numpy", "ndarray"), is_instance(3, "torch", "nn.Module")
    (True, False)
    """
    # If a value is an object of a package, that package has been imported already.
    found: Any = sys.modules.get(package)
    for part in name.split("."):
        found = getattr(found, part, None)
    return isinstance(found, type) and isinstance(value, found)


def names_of(domain: Any) -> Sequence[str] | None:
    """Return the names of the columns that a model is given."""
    # What preprocess= returns has columns of its own.
    plain = getattr(domain, "preprocess", None) is None
    return getattr(domain, "feature_names", None) if plain else None


class StageRecorder(Recorder):
    """A recorder whose snapshots are counted in stages."""

    _unit: ClassVar[str] = "stage"


class BoosterPredictor:
    """A native booster as a callable from points to class probabilities, or to values.

    Parameters
    ----------
    booster : xgboost.Booster, lightgbm.Booster or catboost.CatBoost
        Asked with its own feature names and in their order.
    names : sequence of str, optional
        Of the columns of the points.
    rounds : int, optional
        How many of its rounds are asked; default: all, or the best ones where it
        was stopped early.

    Attributes
    ----------
    output : {"probabilities", "values"}
        By its objective.
    last : int
        The number of its rounds.
    """

    def __init__(
        self, booster: Any, *, names: Sequence[str] | None = None, rounds: int | None = None
    ) -> None:
        self.booster = booster
        self._names, self._rounds = names, rounds
        is_classifier = _objective(booster).startswith(_CLASSES)
        self.output: Output = "probabilities" if is_classifier else "values"

    @property
    def last(self) -> int:
        """The number of rounds that are asked by default."""
        package, booster = _package(self.booster), self.booster
        if package == "catboost":
            return int(booster.tree_count_)
        if package == "lightgbm":
            return int(max(booster.best_iteration, 0) or booster.current_iteration())
        stopped = booster.attr("best_iteration")
        return int(booster.num_boosted_rounds() if stopped is None else int(stopped) + 1)

    def after(self, rounds: int) -> BoosterPredictor:
        """Return a predictor of the first rounds alone."""
        first = copy.copy(self)
        first._rounds = rounds
        return first

    def frozen(self) -> BoosterPredictor:
        """Return a predictor of a copy of the booster as it is now."""
        frozen = copy.copy(self)
        frozen.booster = copy.deepcopy(self.booster)
        return frozen

    def __call__(self, points: Inputs) -> npt.NDArray[Any]:
        """Return the booster's answer, shape (N, C) or (N,)."""
        table = points
        if not hasattr(points, "columns"):
            table = named_columns(self.booster, points.reshape(len(points), -1), self._names)
        elif self._names is not None:
            table = fitted_columns(self.booster, points)
        rounds = self.last if self._rounds is None else self._rounds
        package = _package(self.booster)
        if package == "xgboost":
            return self._xgboost(table, rounds)
        if package == "lightgbm":
            return np.asarray(self.booster.predict(table, num_iteration=rounds))
        kind = "Probability" if self.output == "probabilities" else "RawFormulaVal"
        answer = self.booster.predict(table, prediction_type=kind, ntree_end=rounds)
        return np.asarray(answer)

    def _xgboost(self, table: Any, rounds: int) -> npt.NDArray[Any]:
        from xgboost import DMatrix

        data, first = DMatrix(table, enable_categorical=True), (0, rounds)
        if self.output == "values":
            return np.asarray(self.booster.predict(data, iteration_range=first))
        # Some objectives return labels or raw scores, and all have margins.
        margins = self.booster.predict(data, output_margin=True, iteration_range=first)
        if margins.ndim == 2 and _objective(self.booster).startswith("binary"):
            raise TypeError(
                f"the booster predicts {margins.shape[1]} labels for one input, which are no "
                'classes: give output="multilabel" and predict=lambda booster, X: '
                "booster.predict(xgboost.DMatrix(X))"
            )
        return _odds(margins)


def _objective(booster: Any) -> str:
    package = _package(booster)
    if package == "xgboost":
        return str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    if package == "lightgbm":
        return str(booster.dump_model(num_iteration=1).get("objective", ""))
    return str(booster.get_all_params()["loss_function"])


def _odds(margins: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if margins.ndim == 1:
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * margins))
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
