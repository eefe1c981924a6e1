"""A recording of one snapshot: a fitted model of any framework, in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from trainviz._common.providers import provided
from trainviz.adapters.boosters import BoosterPredictor, is_booster, is_instance, names_of
from trainviz.adapters.choices import Chosen, Target, choose, known_output
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.domain.domain import Domain
from trainviz.evaluation.evaluator import Method
from trainviz.evaluation.outputs import Output, PredictProba, one_hot, recorded_as
from trainviz.recordings.recording import Recording
from trainviz.recordings.zarr_store.store import Precision

__all__ = ["record"]

Answer = Output | Literal["labels"]
Predict = Callable[[Any, Any], Any]


def record(
    model: Any,
    domain: Domain | npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    output: Answer | None = None,
    predict: Predict | None = None,
    data: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    resolution: int | tuple[int, int] = 400,
    evaluation: Method = "auto",
    tolerance: float = 1 / 255,
    batch_size: int | Literal["auto"] = "auto",
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    precision: Precision = "float16",
) -> Recording:
    """Record a fitted model: one snapshot, whose pictures name no epoch.

    To record a model while it is trained, take the recorder that :func:`watch` chooses; the
    stages of a fitted boosted model are recorded by :func:`record_stages`.

    Parameters
    ----------
    model : estimator, nn.Module, keras.Model, booster or callable
        An estimator with scikit-learn's interface (a classifier, pipeline, regressor,
        outlier detector or clustering; XGBoost, LightGBM, CatBoost, skorch), a torch module,
        a Keras model, a native booster, or a callable ``(N, D) array -> (N, C)``.
    domain : Domain or array-like
        Where the model is evaluated; or data, for which the window is chosen as
        :func:`watch` does: around two columns, else their principal plane or a slice.
    y : array-like, shape (n,), optional
        The labels of those data. Without them, the points are drawn in grey, and none
        is marked as wrong.
    output : str, optional
        What the model returns, as for :func:`trainviz.evaluate`; or ``"labels"``, if it
        predicts class labels alone. Default: ``"logits"`` of torch, unless an
        ``nn.Sequential`` ends in a softmax or sigmoid; ``"values"`` of
        regressors, ``"labels"`` of outlier detectors and of what has no ``predict_proba``,
        by the objective of a native booster, and ``"probabilities"`` of all else.
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments.
    data : tuple of array-like, optional
        ``(X, y)``, with a ``domain``: points that are drawn over the map.
    class_names, classes
        As for :class:`~trainviz.Recorder`; estimators know their ``classes``.
    resolution : int or tuple of int, default 400
        As for :meth:`Domain.around`, if data are given instead of a domain.
    evaluation, tolerance, batch_size, path, overwrite, precision
        As for :class:`~trainviz.Recorder`. Labels are evaluated densely.

    Returns
    -------
    Recording

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message says which.
    PredictionError, EvaluationError
        If the model fails, or does not return what ``output`` says.

    Examples
    --------
    >>> import trainviz as tv
    >>> from sklearn.svm import LinearSVC
    >>> X, y = [[-1.0, 0], [1, 0], [-2, 1], [2, 1]], ["left", "right"] * 2
    >>> recording = tv.record(LinearSVC().fit(X, y), X, y, resolution=50)
    >>> recording
    Recording(1 snapshot, 2 classes (left, right), grid 50x50)
    >>> tv.animate(recording).still().axes[0].get_title(loc="right")
    ''
    """
    chosen: Chosen | None = None
    if isinstance(domain, Domain):
        if y is not None:
            raise TypeError("y= goes with data, and domain is a Domain: give data=(X, y)")
    else:
        if data is not None:
            raise TypeError(
                "data= is given twice: the second argument holds data, too; make it a "
                "Domain, e.g. Domain.around(X)"
            )
        chosen = choose(domain, y, resolution, most=None)
        data, domain = chosen.data, chosen.domain
    if predict is not None and not callable(predict):
        raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
    options: RecorderOptions = {
        "data": data, "class_names": class_names, "classes": classes,
        "tolerance": tolerance, "batch_size": batch_size, "path": path, "overwrite": overwrite,
        "precision": precision,
    }  # fmt: skip
    target = None if chosen is None else chosen.target
    ask, kind, known = _predictor(model, domain, output, predict, classes, target)
    if data is not None and data[1] is None and not recorded_as(kind).has_classes:
        options["data"] = None
    if chosen is not None and recorded_as(kind).has_classes:
        known = {**known, **chosen.options(kind, {"data": data})}
    for name, value in known.items():
        if options.get(name) is None:
            options[name] = value  # type: ignore[literal-required]
    if evaluation != "auto":
        options["evaluation"] = evaluation
    recorder = _FittedRecorder(domain, output=kind, **options)
    with host_rng_preserved():
        recorder.capture(ask, epoch=0, force=True)
    recorder.close()
    return recorder.recording


class _FittedRecorder(Recorder):
    _unit: ClassVar[str] = ""


def _predictor(
    model: Any,
    domain: Domain,
    output: Answer | None,
    predict: Predict | None,
    classes: Sequence[Any] | None,
    target: Target | None,
) -> tuple[PredictProba, Output, RecorderOptions]:
    """Return what asks the model, what it returns, and the options that the model knows."""
    # On the backend torch, a Keras model is a module as well.
    if is_instance(model, "keras", "Model"):
        kind = output or known_output(model, target) or "probabilities"
        return _labelled(provided("predictor.keras")(model, predict), kind, classes)
    if is_instance(model, "torch", "nn.Module"):
        kind = output or known_output(model, target) or "logits"
        entry = "logits" if kind == "labels" else kind
        asked = provided("predictor.torch")(model, predict=predict, output=entry)
        return _labelled(asked, kind, classes)
    if is_booster(model) and predict is None:
        booster = BoosterPredictor(model, names=names_of(domain))
        if output not in (None, booster.output):
            raise ValueError(
                f"output={output!r}: the booster's objective returns {booster.output}; leave "
                "output= out, or give predict="
            )
        return booster, booster.output, {}
    if isinstance(model, type):
        raise TypeError(f"model={model.__name__} is a class: give a fitted instance of it")
    if hasattr(model, "predict"):
        from trainviz.adapters.sklearn import fitted_predictor

        return fitted_predictor(model, domain, output, predict, classes)
    if predict is None and not callable(model):
        raise TypeError(
            f"model={type(model).__name__}: expected a fitted estimator with a method predict, a "
            "torch.nn.Module, a Keras model, or a callable (N, D) array -> (N, C)"
        )
    ask = model if predict is None else lambda points: predict(model, points)
    return _labelled(ask, output, classes)


def _labelled(
    ask: PredictProba, output: Answer | None, classes: Sequence[Any] | None
) -> tuple[PredictProba, Output, RecorderOptions]:
    if output != "labels":
        return ask, output or "probabilities", {}
    if classes is None:
        raise TypeError(
            "output='labels' needs classes=[...]: the labels, in the order in which they are to be "
            "listed"
        )
    return lambda points: one_hot(ask(points), classes), "probabilities", {"evaluation": "dense"}
