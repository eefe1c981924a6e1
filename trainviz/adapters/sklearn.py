"""scikit-learn: a recorder for ``partial_fit`` loops, and fitted models as predictors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, Unpack

from trainviz._common.providers import install_hint
from trainviz.adapters.boosters import advice_for, is_booster, names_of
from trainviz.adapters.loop import LoopRecorder
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs, describe, fitted_columns, named_columns
from trainviz.evaluation.outputs import (
    Output,
    PredictProba,
    check_output,
    one_hot,
)

try:
    from sklearn.base import BaseEstimator, is_classifier, is_outlier_detector, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(install_hint("scikit-learn", "SklearnRecorder")) from error

__all__ = [
    "SklearnPredictor",
    "SklearnRecorder",
    "classes_of",
    "default_output",
    "fitted_predictor",
    "kind_of",
    "refuse_multioutput",
    "require_fitted",
    "table_of",
]

Array = npt.NDArray[Any]
Predict = Callable[[Any, Any], Any]
Answer = Output | Literal["labels"]
"""What a model is asked for; "labels" become probabilities of 0 and 1."""

_METHODS: dict[Answer, str] = {
    "probabilities": "predict_proba",
    "log_probabilities": "predict_log_proba",
    "logits": "decision_function",
    "values": "predict",
    "multilabel": "predict_proba",
    "multilabel_logits": "decision_function",
    "labels": "predict",
}


class SklearnPredictor:
    """A scikit-learn classifier as a callable from numpy points to numpy outputs.

    Parameters
    ----------
    model : classifier
        With one output. It may still be unfitted.
    names : sequence of str, optional
        Of the columns of the points, which are put in the model's own order.
    predict : callable, optional
        ``(model, points) -> output``, instead of the method; it is given the points as
        the domain has them.
    output : str, default "probabilities"
        Selects the method that is called: ``predict_proba`` (also for
        ``"multilabel"``), ``predict_log_proba`` (``"log_probabilities"``),
        ``decision_function`` (``"logits"``, ``"multilabel_logits"``, and ``"values"``
        of an outlier detector), ``predict`` of a regressor (``"values"``), or
        ``predict`` of any model that returns labels (``"labels"``).
    classes : sequence, optional
        The labels in the order of the columns, for ``"labels"`` of a model that does
        not know them.

    Raises
    ------
    TypeError
        If ``model`` is no estimator, lacks the method, or has several outputs.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> model = GaussianNB().fit([[0, 0], [1, 1], [0, 1], [1, 2]], [0, 1, 0, 1])
    >>> SklearnPredictor(model)(np.zeros((5, 2))).shape
    (5, 2)
    """

    def __init__(
        self,
        model: Any,
        output: Answer = "probabilities",
        *,
        names: Sequence[str] | None = None,
        predict: Predict | None = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        check_output(recorded_output(output))
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
        if predict is None:
            _check_kind(model, output)
            if not hasattr(model, _method(model, output)):
                raise TypeError(_without_method(model, output))
        self.model = model
        self._names, self._predict = names, predict
        self._output = output
        self._classes = classes
        self._checked = False

    @property
    def fitted(self) -> bool:
        """Whether the model is fitted, so that it can be evaluated."""
        try:
            require_fitted(self.model)
        except NotFittedError:
            return False
        return True

    @property
    def classes(self) -> list[Any] | None:
        """The label of each output column; None if the model has no ``classes_`` array yet."""
        return None if self._output == "values" else classes_of(self.model)

    def __call__(self, points: Inputs) -> Array:
        """Return the model's output for ``points``, shape (N, C) or (N,)."""
        if self._predict is not None:
            return self._columns(np.asarray(self._predict(self.model, points)))
        inputs = table_of(self.model, points, self._names)
        if not self._checked and not self._output.startswith("multilabel"):
            refuse_multioutput(self.model, inputs)
        # predict_log_proba returns -inf for a probability of 0, which is correct.
        with np.errstate(divide="ignore"):
            method = getattr(self.model, _method(self.model, self._output))
            answer = _as_array(method(inputs), self.model)
        if not self._checked and self._output == "logits":
            _refuse_pairwise(self.model, answer)
        if self._output == "logits" and _breaks_no_ties(self.model, answer):
            answer = _as_predicted(answer, self.classes, self.model.predict(inputs))
        self._checked = True
        return self._columns(answer)

    def _columns(self, answer: Array) -> Array:
        if self._output != "labels":
            return answer
        classes = self.classes if self._classes is None else self._classes
        if classes is None:
            raise TypeError(
                f"model={type(self.model).__name__} does not say which labels it predicts: give "
                "classes=[...], in the order in which they are to be listed"
            )
        return one_hot(answer, classes)

    def frozen(self) -> SklearnPredictor:
        """Return a predictor of a copy of the model as it is now."""
        frozen = SklearnPredictor(
            copy.deepcopy(self.model), self._output, names=self._names, predict=self._predict,
            classes=self._classes,
        )  # fmt: skip
        frozen._checked = self._checked
        return frozen


class _TeachingPredictor(SklearnPredictor):
    """Passes the classes to a recorder at each call, as they are unknown before the first fit."""

    recorder: Recorder

    def __call__(self, points: Inputs) -> Array:
        answer = super().__call__(points)
        self.recorder.learn_classes(self.classes)
        return answer


class SklearnRecorder(LoopRecorder):
    """Record a scikit-learn classifier that learns by ``partial_fit`` or ``warm_start``.

    Parameters
    ----------
    model : classifier, or regressor with ``output="values"``
        Or an outlier detector or a clustering with ``output="labels"``. Fitted on arrays
        or on DataFrames. A model that is not fitted yet cannot be evaluated, so
        ``start()`` captures nothing then.
    domain : Domain
    output : str, default "probabilities"
        Selects the method that is called: ``predict_proba`` (also for
        ``"multilabel"``), ``predict_log_proba`` (``"log_probabilities"``),
        ``decision_function`` (``"logits"``, ``"multilabel_logits"``, and ``"values"``
        of an outlier detector), ``predict`` of a regressor (``"values"``), or
        ``predict`` of any model that returns labels (``"labels"``): their maps hold
        0 and 1 alone, and are evaluated densely unless you say otherwise.
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments.
    first_epoch : int, default 0
        The number your loop gives its first epoch.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``, ``at``,
        ``schedule``, ``data``, ``class_names``, ``on_error``, ... ``classes``
        are the model's own ``classes_``, unless they are given.

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Raises
    ------
    TypeError
        If ``model`` is not a classifier (or regressor), or has no method for ``output``.

    Notes
    -----
    Snapshots count *completed* epochs: ``epoch_end(0)``, at the end of the
    loop's first pass, records epoch 1.

    Examples
    --------
    >>> import trainviz as tv
    >>> from sklearn.linear_model import SGDClassifier
    >>> X, y = np.array([[-1.0, 0], [1, 0], [-2, 1], [2, 1]]), ["left", "right"] * 2
    >>> model = SGDClassifier(loss="log_loss", random_state=0)
    >>> domain = tv.Domain.around(X, resolution=9)
    >>> with tv.SklearnRecorder(model, domain, every=2, data=(X, y)) as rec:
    ...     for epoch in range(5):
    ...         _ = model.partial_fit(X, y, classes=["left", "right"])
    ...         rec.epoch_end(epoch, accuracy=model.score(X, y))
    >>> rec.recording.epochs, rec.recording.class_names
    (array([2, 4, 5]), ['left', 'right'])
    """

    def __init__(
        self,
        model: Any,
        domain: Domain,
        *,
        output: Answer = "probabilities",
        predict: Predict | None = None,
        first_epoch: int = 0,
        **options: Unpack[RecorderOptions],
    ) -> None:
        self._model = _TeachingPredictor(
            model, output, names=names_of(domain), predict=predict, classes=options.get("classes")
        )
        chosen = cast(RecorderOptions, {**defaults_for(model, output), **options})
        self._model.recorder = Recorder(domain, output=recorded_output(output), **chosen)
        super().__init__(self._model.recorder, self._model, first_epoch=first_epoch)

    def start(self, epoch: int | None = None, step: int | None = None) -> Self:
        """Capture the model before training, if it is already fitted.

        Parameters
        ----------
        epoch, step : int, optional
            Where a continued run resumes; see :meth:`LoopRecorder.start`.

        Returns
        -------
        SklearnRecorder
            Itself.
        """
        return super().start(epoch, step) if self._model.fitted else self


def kind_of(model: Any) -> str | None:
    """Return what an estimator is; CatBoost's say so without being scikit-learn's."""
    if isinstance(model, type):
        return None
    if not isinstance(model, BaseEstimator):
        return getattr(model, "_estimator_type", None)
    if is_classifier(model):
        return "classifier"
    if is_outlier_detector(model):
        return "outlier detector"
    return "regressor" if is_regressor(model) else None


def recorded_output(output: Answer) -> Output:
    """Return the ``output=`` of the recorder: labels are recorded as probabilities."""
    return "probabilities" if output == "labels" else output


def defaults_for(model: Any, output: Answer) -> RecorderOptions:
    """Return the options of a recorder that follow from the kind of a model and of its output.

    Maps of labels are evaluated densely, because they are nowhere smooth.
    """
    is_detector = kind_of(model) == "outlier detector"
    if output == "labels":
        names: RecorderOptions = {"class_names": ["outlier", "inlier"]} if is_detector else {}
        return {"evaluation": "dense", **names}
    return {"class_names": ["decision function"]} if is_detector else {}


def fitted_predictor(
    model: Any,
    domain: Domain,
    output: Answer | None = None,
    predict: Predict | None = None,
    classes: Sequence[Any] | None = None,
) -> tuple[PredictProba, Output, RecorderOptions]:
    """Return what asks a fitted model, what it returns, and the options that the model knows.

    Parameters
    ----------
    model : estimator
    domain : Domain
    output : str, optional
        Default: by the kind of the model, as for :func:`trainviz.record`.
    predict, classes
        As for :class:`SklearnPredictor`.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If ``model`` is not fitted.
    """
    chosen = output or default_output(model)
    asked = SklearnPredictor(
        model, chosen, names=names_of(domain), predict=predict, classes=classes
    )
    if not asked.fitted:
        raise NotFittedError(
            f"model={type(model).__name__} is not fitted: call its fit first, or record it while "
            "it learns, with trainviz.SklearnRecorder"
        )
    known = cast(RecorderOptions, {**defaults_for(model, chosen), "classes": asked.classes})
    return asked, recorded_output(chosen), known


def default_output(model: Any) -> Answer:
    """Return what an estimator is asked for by its kind, as :func:`trainviz.record` does."""
    kind = kind_of(model)
    if kind == "regressor":
        return "values"
    if kind == "outlier detector" or not hasattr(model, "predict_proba"):
        return "labels"
    return "multilabel" if isinstance(getattr(model, "classes_", None), list) else "probabilities"


def _method(model: Any, output: Answer) -> str:
    if output == "values" and kind_of(model) == "outlier detector":
        return "decision_function"
    return _METHODS[output]


def _last_step(model: Any) -> Any:
    """Return the estimator within pipelines and searches."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps") and hasattr(model, "named_steps"):
            model = model.steps[-1][1]
        else:
            return model


def require_fitted(model: Any) -> None:
    """Raise a NotFittedError for a model that is not fitted."""
    if isinstance(model, BaseEstimator):
        check_is_fitted(model)
    elif not getattr(model, "is_fitted", lambda: True)():
        raise NotFittedError(f"this {type(model).__name__} is not fitted yet")


def _check_classifier(model: Any) -> None:
    if kind_of(model) != "classifier":
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        raise TypeError(
            f"model={name}: expected an instance of a scikit-learn classifier; for anything else "
            "use trainviz.Recorder with a callable (N, D) array -> (N, C) probabilities"
        )


def _check_kind(model: Any, output: Answer) -> None:
    if is_booster(model):
        raise TypeError(advice_for(model))
    kind, name = kind_of(model), type(model).__name__
    if output == "values" and kind not in ("regressor", "outlier detector"):
        raise TypeError(
            f"model={name}: output='values' expects an instance of a scikit-learn "
            "regressor; for anything else use trainviz.Recorder with a callable"
        )
    if output != "values" and kind == "regressor":
        raise TypeError(f"model={name} is a regressor, not a classifier: say output='values'")
    if output not in ("values", "labels") and kind == "outlier detector":
        raise TypeError(
            f"model={name} is an outlier detector, not a classifier: say output='labels' "
            "(outlier or inlier) or output='values' (its decision_function)"
        )
    # Clusterings and mixtures are of no kind, and have the methods.
    if kind is None and not (isinstance(model, BaseEstimator) and hasattr(model, "predict")):
        _check_classifier(model)


def _as_array(answer: Any, model: Any) -> Array:
    """Join the outputs of multi-label trees, one array (N, 2) a label, into one array (N, L)."""
    if not isinstance(answer, list):
        return np.asarray(answer)
    # A label that all training examples have, or none of them, has a single column.
    has = [np.asarray(classes) == 1 for classes in model.classes_]
    return np.stack([columns[:, k].sum(axis=1) for columns, k in zip(answer, has, strict=True)], 1)


def _without_method(model: Any, output: Answer) -> str:
    alternatives = [
        other for other in _METHODS if other != "values" and hasattr(model, _METHODS[other])
    ]
    if output == "multilabel_logits" and "multilabel" in alternatives:
        alternatives = ["multilabel"]
    method = _method(model, output)
    hint = "it predicts nothing for other points than those of its fit: take a model with predict"
    if kind_of(model) == "outlier detector":
        hint = "an outlier detector needs it (LocalOutlierFactor: novelty=True)"
    elif alternatives:
        alone = "it predicts labels alone: " if alternatives == ["labels"] else ""
        hint = f"{alone}say output={alternatives[0]!r} ({_METHODS[alternatives[0]]})"
    return (
        f"model={type(model).__name__} has no {method} with its present parameters, "
        f"which output={output!r} needs: {hint}"
    )


def refuse_multioutput(model: Any, inputs: Any) -> None:
    """Raise for a model that predicts several outputs; asks it for the first of the inputs."""
    shape = np.shape(model.predict(inputs[:1]))
    if len(shape) == 1 or shape[1:] == (1,):
        return
    columns = getattr(model, "classes_", [])
    if kind_of(model) == "regressor":
        advice = "give predict=lambda model, X: model.predict(X)[:, 0]"
    elif hasattr(model, "predict_proba") and all(set(np.ravel(each)) <= {0, 1} for each in columns):
        advice = "for independent labels say output='multilabel'"
    else:
        advice = (
            "say output='labels', classes=[...], predict=lambda model, X: model.predict(X)[:, 0]"
        )
    raise TypeError(
        f"model={type(model).__name__} predicts several outputs for one input; a map shows "
        f"one: {advice}; or train on a single column of y"
    )


def _refuse_pairwise(model: Any, answer: Array) -> None:
    classes = classes_of(model)
    pairwise = getattr(model, "decision_function_shape", "ovr") == "ovo"
    if classes is None or len(classes) == 2 or answer.ndim != 2:
        return
    if pairwise or answer.shape[1] != len(classes):
        raise TypeError(
            f"the decision_function of {type(model).__name__} compares pairs of its {len(classes)} "
            'classes ("ovo"), which gives no score for each class: set '
            'decision_function_shape="ovr"'
        )


def _breaks_no_ties(model: Any, scores: Array) -> bool:
    """Return whether ``predict`` is not the highest score, as of an SVC of several classes."""
    wide = scores.ndim == 2 and scores.shape[1] > 2
    return wide and not getattr(_last_step(model), "break_ties", True)


def _as_predicted(scores: Array, classes: Any, labels: Any) -> Array:
    """Return scores of which the highest is that of the predicted label.

    Where pairs of classes have as many votes each, ``predict`` takes the first class, and
    ``decision_function`` the one with the higher margins: the two scores are exchanged.
    """
    rows, best = np.arange(len(scores)), scores.argmax(axis=1)
    chosen = one_hot(labels, classes).argmax(axis=1)
    scores = scores.copy()
    scores[rows, chosen], scores[rows, best] = scores[rows, best], scores[rows, chosen]
    return scores


def classes_of(model: Any) -> list[Any] | None:
    """Return the label of each output column, as far as the model knows it."""
    classes = getattr(model, "classes_", None)
    if classes is None and kind_of(model) == "outlier detector":
        return [-1, 1]
    last = _last_step(model)
    if classes is None and hasattr(last, "n_components") and hasattr(last, "predict_proba"):
        return list(range(last.n_components))
    if classes is None and kind_of(model) is None and hasattr(last, "labels_"):
        classes = np.unique(last.labels_)
    # Models with several outputs have a list of arrays instead.
    return cast("list[Any]", classes.tolist()) if isinstance(classes, np.ndarray) else None


def table_of(model: Any, points: Inputs, names: Sequence[str] | None = None) -> Any:
    """Return points as the table that a model was fitted on."""
    if isinstance(points, (Mapping, tuple)):
        raise TypeError(
            f"model={type(model).__name__} takes one table, but the domain hands it "
            f"{describe(points)}: leave out input_shape=, or use trainviz.Recorder with a callable"
        )
    if hasattr(points, "columns"):
        return points if names is None else fitted_columns(model, points)
    return named_columns(model, points.reshape(len(points), -1), names)
