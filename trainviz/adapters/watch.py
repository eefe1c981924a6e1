"""The shortest way in: a recorder for a model and its data, by what both are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from typing_extensions import Unpack

from trainviz._common.arrays import to_numpy
from trainviz._common.terminal import say
from trainviz.adapters.boosters import advice_for, is_booster, is_instance
from trainviz.adapters.choices import Chosen, Code, call, choose, known_output
from trainviz.capture.recorder import RecorderOptions
from trainviz.domain.constructors import Resolution
from trainviz.evaluation.outputs import Output

__all__ = ["watch"]


def watch(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    output: Any = None,
    predict: Callable[[Any, Any], Any] | None = None,
    resolution: Resolution = 400,
    **options: Unpack[RecorderOptions],
) -> Any:
    """Return a recorder for a model that is to be trained, chosen by the model and its data.

    What was chosen is printed as one line of code, which makes the same recorder: paste it
    to change something. ``watch`` is for during training; :func:`record` takes a fitted model
    once, and :func:`record_stages` the rounds of a fitted boosted model.

    Parameters
    ----------
    model : nn.Module, LightningModule, keras.Model, estimator or callable
        The recorder is that of its framework: :class:`TorchRecorder`,
        :class:`LightningRecorder` (a callback), :class:`KerasRecorder` (a callback) or
        :class:`SklearnRecorder`; for a callable ``(N, D) array -> (N, C)`` it is
        :class:`Recorder`, whose ``capture`` is given the callable.
    X : array-like or DataFrame, or mapping or tuple of arrays
        What the model is trained on, as it is given to it. Two columns: the window is
        around them. More, also images: their principal plane
        (:meth:`Domain.principal`; scale columns of different units first). A DataFrame of
        more columns: the slice along the two that tell the classes apart best, with the
        others fixed (:meth:`Domain.slice`). A ``Bunch`` of scikit-learn, a
        ``TensorDataset`` of torch or its ``DataLoader`` hold ``y`` as well.
    y : array-like, shape (n,), optional
        Labels, or numbers for a regression, drawn as points over the map; of more than
        2000 points every k-th one. Labels of pandas' categorical dtype tell the
        order of the output columns, and a ``Bunch`` tells the names of the classes.
    output : str, optional
        What the model returns. Default: ``"values"`` where ``y`` holds fractions,
        ``"multilabel"`` (of torch ``"multilabel_logits"``) where it holds a column of 0 and 1 for
        each label; by the last layer of an ``nn.Sequential`` (softmax, sigmoid), the
        ``from_logits`` of a Keras loss, or the kind of an estimator; otherwise that of the
        recorder.
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments.
    resolution : int or tuple of int, default 400
        As for :meth:`Domain.around`.
    **options
        The keyword arguments of :class:`Recorder`: ``every``, ``path``,
        ``class_names``, ``classes``, ...

    Returns
    -------
    TorchRecorder, LightningRecorder, KerasRecorder, SklearnRecorder or Recorder

    Raises
    ------
    TypeError
        If the model is of no known kind, or ``X`` holds no numbers.
    ValueError
        If ``X`` and ``y`` do not fit each other or the model.

    Examples
    --------
    >>> import trainviz as tv
    >>> from sklearn.linear_model import SGDClassifier
    >>> X, y = [[-1.0, 0], [1, 0], [-2, 1], [2, 1]], ["left", "right"] * 2
    >>> model = SGDClassifier(loss="log_loss", random_state=0)
    >>> with tv.watch(model, X, y, every=2) as rec:
    ...     for epoch in range(4):
    ...         _ = model.partial_fit(X, y, classes=["left", "right"])
    ...         rec.epoch_end(epoch)
    tv.SklearnRecorder(model, tv.Domain.around(X, margin=0.1), data=(X, y), every=2)
    >>> rec.recording
    Recording(2 snapshots, epochs 2 to 4, 2 classes (left, right), grid 400x400)
    """
    name = _recorder_for(model)
    chosen = choose(X, y, resolution)
    usual = _USUAL[name]
    known = output if output is not None else _output_of(name, model, chosen)
    given: dict[str, Any] = {} if known in (None, usual) else {"output": known}
    if predict is not None:
        if name == "Recorder":
            raise TypeError("predict= is for models of a framework: give watch the callable itself")
        given["predict"] = predict
    held: Output = "probabilities" if known == "labels" else known or usual
    own = chosen.options(held, options)
    if name == "SklearnRecorder":
        own.pop("classes", None)  # The model knows them once it is fitted.
    elif own.get("classes") is None and held not in ("values", "multilabel", "multilabel_logits"):
        _require_columns(chosen, options)
    given = {**given, **own, **options}
    recorder = getattr(import_module("trainviz"), name)(
        *([model] if name in _TAKES_MODEL else []), chosen.domain, **given
    )
    codes = {**given, **({"data": chosen.data_code} if "data" in own else {})}
    models = [Code("model")] if name in _TAKES_MODEL else []
    say(call(f"tv.{name}", [*models, chosen.domain_code], codes))
    return recorder


_USUAL: dict[str, Output] = {
    "TorchRecorder": "logits", "LightningRecorder": "logits", "KerasRecorder": "probabilities",
    "SklearnRecorder": "probabilities", "Recorder": "probabilities",
}  # fmt: skip

_TAKES_MODEL = ("TorchRecorder", "SklearnRecorder")


def _recorder_for(model: Any) -> str:
    if isinstance(model, type):
        raise TypeError(f"model={model.__name__} is a class: give an instance of it")
    if is_booster(model):
        raise TypeError(advice_for(model))
    for package in ("lightning.pytorch", "pytorch_lightning"):
        if is_instance(model, package, "LightningModule"):
            return "LightningRecorder"
    # On the backend torch, a Keras model is a module as well.
    if is_instance(model, "keras", "Model"):
        return "KerasRecorder"
    if is_instance(model, "torch", "nn.Module"):
        return "TorchRecorder"
    if hasattr(model, "fit") and hasattr(model, "predict"):
        return "SklearnRecorder"
    if callable(model):
        return "Recorder"
    raise TypeError(
        f"model={type(model).__name__}: expected a torch.nn.Module, a LightningModule, a "
        "keras.Model, an estimator of scikit-learn with fit and predict, or a callable "
        "(N, D) array -> (N, C) class probabilities"
    )


def _output_of(name: str, model: Any, chosen: Chosen) -> Any:
    if name != "SklearnRecorder":
        known = known_output(model, chosen.target)
        # A callable returns probabilities, so those of labels, too.
        return "multilabel" if name == "Recorder" and known == "multilabel_logits" else known
    from trainviz.adapters.sklearn import default_output

    kind = default_output(model)
    is_multilabel = chosen.target == "multilabel" and kind == "probabilities"
    return "multilabel" if is_multilabel else kind


def _require_columns(chosen: Chosen, options: RecorderOptions) -> None:
    """Raise if nothing tells which output column a label stands for."""
    labels = chosen.data[1]
    if labels is None or options.get("classes") is not None or "data" in options:
        return
    known = {label for label in to_numpy(labels).ravel().tolist() if isinstance(label, str)}
    if not known <= set(options.get("class_names") or ()):
        listed = ", ".join(sorted(map(repr, known))[:6])
        raise ValueError(
            f"y holds the labels {listed}, and which output column of the model each stands for "
            "is not known: give classes=[...], the labels in the order of the columns"
        )
