"""The stages of boosted models, from the first tree to the last."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from trainviz.adapters.boosters import (
    BoosterPredictor,
    StageRecorder,
    is_booster,
    is_instance,
    names_of,
)
from trainviz.adapters.sklearn import (
    classes_of,
    kind_of,
    refuse_multioutput,
    require_fitted,
    table_of,
)
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.domain.domain import Domain, require_domain
from trainviz.domain.inputs import Inputs
from trainviz.domain.labelled_data import LabelledData
from trainviz.evaluation.outputs import Output, chunk_size, recorded_as, to_map_values
from trainviz.recordings.recording import Recording

__all__ = ["record_stages"]

Array = npt.NDArray[Any]


def record_stages(
    model: Any,
    domain: Domain,
    *,
    test: tuple[Any, Any] | None = None,
    **options: Unpack[RecorderOptions],
) -> Recording:
    """Record the stages of a fitted boosted model, tree by tree.

    A model of another kind is recorded once when it is fitted, by :func:`record`, or while it
    is trained, by the recorder that :func:`watch` chooses.

    Parameters
    ----------
    model : fitted classifier or regressor
        ``GradientBoosting...``, ``HistGradientBoosting...`` and ``AdaBoost...`` of
        scikit-learn, a model of XGBoost, LightGBM (native boosters, too) or CatBoost, or a
        pipeline or search that ends in one. Of a regressor the values are recorded.
    domain : Domain
    test : tuple of array-like, optional
        ``(X, y)`` of data that the model was not fitted on: scores are kept for both.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``, ``at``,
        ``schedule``, ``final``, ``data``, ``class_names``, ``batch_size``, ...
        ``classes`` are the model's own, unless they are given.

    Returns
    -------
    Recording
        One snapshot for each stage that is due by the schedule, and for the
        last; ``epoch`` is the number of stages, from 1. With ``data=``, the metrics
        are the ``accuracy`` on it at each stage, or the ``r2`` of a regressor; with
        ``test=``, ``train_accuracy`` (on ``data=``) and ``test_accuracy``.

    Raises
    ------
    TypeError
        If ``model`` has no stages.
    sklearn.exceptions.NotFittedError
        If ``model`` is not fitted.

    Examples
    --------
    >>> import trainviz as tv
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> X, y = [[-1, 0], [1, 0], [-2, 1], [2, 1]], [0, 1, 0, 1]
    >>> model = GradientBoostingClassifier(n_estimators=25).fit(X, y)
    >>> domain = tv.Domain.around(X, resolution=9)
    >>> recording = tv.record_stages(model, domain, every=10, data=(X, y))
    >>> recording.epochs, recording.metrics["accuracy"]
    (array([10, 20, 25]), array([1., 1., 1.]))
    >>> film = tv.animate(recording, counter="tree {epoch}")
    """
    require_domain(domain)
    stages = _stages_of(model, domain)
    held = recorded_as(stages.output)
    tested = None if test is None else LabelledData.of(test, domain, held)
    recorder = StageRecorder(domain, output=stages.output, **options)
    recorder.learn_classes(stages.classes)
    size = chunk_size(domain, options.get("batch_size", "auto"))
    with host_rng_preserved():
        _append_stages(stages, recorder, tested, size)
    recorder.close()
    return recorder.recording


@dataclass(frozen=True)
class _Stages:
    """The stages of a model.

    Attributes
    ----------
    last : int
        How many there are.
    output : {"probabilities", "values"}
    answers : callable
        ``(points, numbers) -> iterator`` of the output at each of these stages, ascending.
    classes : list, or None
        The label of each column.
    """

    last: int
    output: Output
    answers: Callable[[Inputs, list[int]], Iterator[Array]]
    classes: list[Any] | None = None


def _stages_of(model: Any, domain: Domain) -> _Stages:
    names = names_of(domain)
    if is_booster(model):
        whole = BoosterPredictor(model, names=names)

        def asked(points: Inputs, numbers: list[int]) -> Iterator[Array]:
            for number in numbers:
                yield whole.after(number)(points)

        return _Stages(whole.last, whole.output, asked)
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    before, final = None, model
    if hasattr(model, "named_steps"):
        before, final = model[:-1], model.steps[-1][1]
    output: Output = "values" if kind_of(final) == "regressor" else "probabilities"
    method = _method(final, output)
    require_fitted(model)

    def inputs(points: Inputs) -> Any:
        table = table_of(model, points, names)
        return before.transform(table) if before is not None and len(before) else table

    first = inputs(domain.points(0, 1))
    if output == "probabilities":
        refuse_multioutput(final, first)
    rounds = _rounds(final)
    if rounds is not None:
        last, option = rounds

        def predicted(points: Inputs, numbers: list[int]) -> Iterator[Array]:
            table = inputs(points)
            for number in numbers:
                yield getattr(final, method)(table, **option(number))

        return _Stages(last, output, predicted, classes_of(final))

    def staged(points: Inputs, numbers: list[int]) -> Iterator[Array]:
        wanted = set(numbers)
        for number, answer in enumerate(getattr(final, f"staged_{method}")(inputs(points)), 1):
            if number in wanted:
                # Some models add to one array from stage to stage.
                yield copy.copy(answer)

    # Counted, because of early stopping, and as each class stores the number in another attribute.
    last = sum(1 for _ in getattr(final, f"staged_{method}")(first))
    return _Stages(last, output, staged, classes_of(final))


def _method(final: Any, output: Output) -> str:
    method = "predict" if output == "values" else "predict_proba"
    if kind_of(final) in ("classifier", "regressor") and (
        hasattr(final, f"staged_{method}") or _is_boosted(final)
    ):
        return method
    name = final.__name__ if isinstance(final, type) else type(final).__name__
    raise TypeError(
        f"model={name} has no staged_{method}, so no stages to record: expected a fitted gradient "
        "boosting or AdaBoost model of scikit-learn, XGBoost, LightGBM or CatBoost; record other "
        "models with trainviz.SklearnRecorder while they learn"
    )


def _is_boosted(final: Any) -> bool:
    return is_instance(final, "xgboost", "XGBModel") or is_instance(final, "lightgbm", "LGBMModel")


def _rounds(final: Any) -> tuple[int, Callable[[int], dict[str, Any]]] | None:
    """Return the number of rounds of XGBoost and LightGBM, and how to ask for the first ones."""
    if is_instance(final, "xgboost", "XGBModel"):
        last = BoosterPredictor(final.get_booster()).last
        return last, lambda number: {"iteration_range": (0, number)}
    if is_instance(final, "lightgbm", "LGBMModel"):
        last = BoosterPredictor(final.booster_).last
        return last, lambda number: {"num_iteration": number}
    return None


def _append_stages(
    stages: _Stages, recorder: Recorder, tested: LabelledData | None, size: int
) -> None:
    domain, data, schedule = recorder.domain, recorder.recording.data, recorder.schedule
    wanted = [
        number
        for number in range(1, stages.last + 1)
        if schedule.due_epoch(number) or (schedule.final and number == stages.last)
    ]
    index = domain.distinct_points()
    index = np.arange(domain.n_points) if index is None else index
    n_grid, n_data = len(index), 0 if data is None else len(data.X)
    blocks = [domain.points_at(index[start : start + size]) for start in range(0, n_grid, size)]
    for held in (data, tested):
        if held is not None:
            starts = range(0, len(held.X), size)
            blocks += [domain.prepare(held.X[start : start + size]) for start in starts]
    # All blocks advance from stage to stage together, so that only one map is in memory.
    answers = [stages.answers(block, wanted) for block in blocks]
    total = n_grid + n_data + (0 if tested is None else len(tested.X))
    del blocks  # Frees memory, since most models have already copied their input.
    for number, parts in zip(wanted, zip(*answers, strict=True), strict=True):
        found = to_map_values(np.concatenate(parts), total, stages.output)
        grid, known, unseen = np.split(found, [n_grid, n_grid + n_data])
        is_classifier = stages.output == "probabilities"
        score = _Score(recorder.recording, found.shape[1])
        metrics = {}
        if data is not None and data.is_labelled:
            metrics[score.name("train" if tested is not None else "")] = score(data, known)
        if tested is not None and tested.is_labelled:
            metrics[score.name("test")] = score(tested, unseen)
        recorder.append(
            domain.spread(np.ascontiguousarray(grid.T, dtype=np.float32)),
            epoch=number,
            metrics=metrics,
            data_predictions=known.argmax(axis=1) if data is not None and is_classifier else None,
        )


class _Score:
    """The accuracy of class probabilities, or the R2 of values."""

    def __init__(self, recording: Recording, n_columns: int) -> None:
        self._recording, self._n_columns = recording, n_columns
        self._kind = "r2" if recording.output.has_value else "accuracy"

    def name(self, of: str) -> str:
        return f"{of}_{self._kind}" if of else self._kind

    def __call__(self, data: LabelledData, found: Array) -> float:
        if self._kind == "r2":
            from sklearn.metrics import r2_score

            return float(r2_score(data.y, found[:, 0])) if len(data.y) > 1 else np.nan
        labels = data.class_indices(
            self._n_columns, self._recording.given_names, self._recording.given_classes
        )
        return float((found.argmax(axis=1) == labels).mean())
