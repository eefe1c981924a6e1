"""Validation of a predict callable's output, and its conversion to class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import TINY, to_numpy
from trainviz._common.output_kind import SUM_TOLERANCE, OutputKind
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs, count, describe
from trainviz.errors import EvaluationError, PredictionError

__all__ = [
    "NotFinite",
    "Output",
    "PredictProba",
    "answer_at",
    "check_output",
    "chunk_size",
    "logarithms",
    "one_hot",
    "probabilities_at",
    "recorded_as",
    "to_log_probabilities",
    "to_map_values",
    "to_probabilities",
]

Output = Literal[
    "logits", "probabilities", "log_probabilities", "values", "multilabel", "multilabel_logits"
]
PredictProba = Callable[[Inputs], Any]

_ROUNDING = 1e-5
"""A row of single precision misses 1 by less; what misses it by more is divided by its sum."""

_LABELS = (
    "say output='labels' (trainviz.record, SklearnRecorder), or return one column a class, e.g. "
    "lambda X: predict(X)[:, None] == classes"
)

_LOWEST_LOG = -1e4
"""Not much above the lowest number of float16, in which maps are stored."""

_VALUES_PER_BATCH = 2**20
"""How many input values a call of the model gets when ``batch_size`` is "auto"."""


class NotFinite(PredictionError):  # noqa: N818
    """A model returned NaN or infinities; ``row`` is the first point of the call with one."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def probabilities_at(
    predict_proba: PredictProba, points: Inputs, output: Output
) -> npt.NDArray[np.floating[Any]]:
    """Evaluate the callable at some points and check its output.

    Parameters
    ----------
    predict_proba : callable
    points : ndarray, shape (N, *input_shape), or dict or tuple of ndarray
    output : {"probabilities", "logits", "log_probabilities"}

    Returns
    -------
    ndarray, shape (N, C)

    Raises
    ------
    PredictionError, EvaluationError
        As :func:`evaluate`.
    """
    return to_map_values(answer_at(predict_proba, points), count(points), output)


def answer_at(predict_proba: PredictProba, points: Inputs) -> Any:
    """Return the callable's output; its exceptions become an :class:`EvaluationError`."""
    try:
        return predict_proba(points)
    except Exception as error:
        raise EvaluationError(
            f"the model failed on {describe(points)}: {type(error).__name__}: {error}. If the "
            "model takes other inputs, give the domain features=/fixed= or input_shape=/"
            "preprocess=, or wrap the call (predict= of the recorders of frameworks)"
        ) from error


def to_probabilities(answer: Any, n_points: int, output: Output) -> npt.NDArray[np.floating[Any]]:
    """Check a predict callable's output and turn it into class probabilities.

    Parameters
    ----------
    answer : array-like, shape (N, C), (N, 1) or (N,)
    n_points : int
        The expected N.
    output : {"probabilities", "logits", "log_probabilities"}
        What the values are.

    Returns
    -------
    ndarray, shape (N, max(C, 2))

    Raises
    ------
    PredictionError
        As :func:`evaluate`.

    Examples
    --------
    >>> to_probabilities([[0.25], [1.0]], 2, "probabilities")
    array([[0.75, 0.25],
           [0.  , 1.  ]])
    """
    values = _checked_columns(_to_array(answer), n_points)
    if output == "log_probabilities":
        if np.isnan(values).any() or (values > SUM_TOLERANCE).any():
            raise PredictionError(
                "predict_proba returned NaN or values above 0, which are no log-probabilities: "
                'is output="logits" or output="probabilities" meant?'
            )
        values = np.exp(values)
    else:
        _check_finite(values)
    if output == "logits":
        return _softmax(values)
    return _checked_probabilities(values)


def to_log_probabilities(answer: Any, n_points: int, output: Output) -> npt.NDArray[np.float32]:
    """Check a predict callable's output and turn it into class log-probabilities.

    From logits directly, so that small probabilities do not underflow. See
    :func:`to_probabilities`.

    Returns
    -------
    ndarray of float32, shape (N, max(C, 2))
        Finite: a probability of 0 counts as 1e-12.

    Examples
    --------
    >>> to_log_probabilities([[0.0], [1.0]], 2, "logits").round(2)
    array([[-0.69, -0.69],
           [-1.31, -0.31]], dtype=float32)
    """
    if output == "logits":
        logits = _two_columns(_checked_columns(_to_array(answer), n_points))
        _check_finite(logits)
        by_class = _by_class(logits)
        by_class -= by_class.max(axis=0)
        by_class -= np.log(np.exp(by_class).sum(axis=0))
        np.maximum(by_class, _LOWEST_LOG, out=by_class)
        return np.ascontiguousarray(by_class.T, dtype=np.float32)
    return logarithms(to_probabilities(answer, n_points, output))


def logarithms(probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Return logarithms of probabilities, which are raised to at least 1e-12."""
    logs: npt.NDArray[np.float32] = np.log(np.maximum(probabilities, TINY)).astype(np.float32)
    return logs


def recorded_as(output: Output) -> OutputKind:
    """Return what a map of such an output holds; see ``Recording.output``.

    Examples
    --------
    >>> recorded_as("logits"), recorded_as("multilabel_logits")
    ('probabilities', 'multilabel')
    """
    if output == "values":
        return OutputKind.VALUES
    is_multilabel = output in ("multilabel", "multilabel_logits")
    return OutputKind.MULTILABEL if is_multilabel else OutputKind.PROBABILITIES


def to_map_values(answer: Any, n_points: int, output: Output) -> npt.NDArray[np.floating[Any]]:
    """Check a predict callable's output and turn it into the values that a map stores.

    Parameters
    ----------
    answer : array-like, shape (N, C), (N, 1) or (N,)
    n_points : int
        The expected N.
    output : str
        As for :func:`to_probabilities`; or ``"values"`` of a regression model,
        one per point; ``"multilabel"`` or ``"multilabel_logits"``, a
        probability or a logit for each label.

    Returns
    -------
    ndarray, shape (N, C)

    Raises
    ------
    PredictionError
        As :func:`evaluate`.

    Examples
    --------
    >>> to_map_values([[0.0, 50.0]], 1, "multilabel_logits")
    array([[0.5, 1. ]])
    """
    if recorded_as(output).has_classes:
        return to_probabilities(answer, n_points, output)
    values = _checked_columns(_to_array(answer), n_points)
    _check_finite(values)
    if output == "multilabel_logits":
        odds: npt.NDArray[np.floating[Any]] = 0.5 + 0.5 * np.tanh(0.5 * values)
        return odds
    if output == "values" and values.shape[1] > 1:
        raise PredictionError(
            f"the model returns {values.shape[1]} values a point, and a map of output='values' "
            "shows one: record one column, [:, 0] of what it returns (predict=lambda model, X: ... "
            "of a framework's recorder, else a callable lambda X: ... in its place)"
        )
    if output == "multilabel":
        _check_range(values, 'output="multilabel_logits"', output)
        return values.clip(0, 1)
    return values


def one_hot(labels: Any, classes: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return labels, shape (N,), as probabilities of 0 and 1, shape (N, C).

    Raises
    ------
    ValueError
        If a label is not among the classes.

    Examples
    --------
    >>> one_hot(["b", "a"], ["a", "b"])
    array([[0., 1.],
           [1., 0.]])
    """
    if len(classes) < 2:
        raise ValueError(f"classes={list(classes)!r}: a map shows at least two classes")
    given = to_numpy(labels)
    # CatBoost returns a column.
    found = given.reshape(len(given), -1)
    columns: npt.NDArray[np.float64] = (found[:, :1] == np.asarray(classes)).astype(np.float64)
    strange = (columns.sum(axis=1) != 1) | (found.shape[1] != 1)
    if strange.any():
        raise ValueError(
            f"the model predicts {found[strange.argmax()].tolist()} of shape {given.shape}, and "
            f"output='labels' expects one of classes={list(classes)!r} a point"
        )
    return columns


def chunk_size(domain: Domain, batch_size: int | Literal["auto"]) -> int:
    """Return the number of points in a call of the model."""
    if batch_size == "auto":
        return max(1, min(_VALUES_PER_BATCH // max(domain.n_values, 2), 2**16))
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r}: expected a positive whole number or 'auto'")
    return int(batch_size)


def check_output(output: str) -> None:
    """Raise a ValueError for an unknown ``output=``."""
    if output == "labels":
        raise ValueError(
            "output='labels': a model that predicts labels alone is recorded by "
            "trainviz.SklearnRecorder or, once it is fitted, by trainviz.record; elsewhere return "
            "one column a class, e.g. lambda X: predict(X)[:, None] == classes"
        )
    if output not in get_args(Output):
        raise ValueError(f"output={output!r}: expected one of {', '.join(get_args(Output))}")


def _to_array(answer: Any) -> npt.NDArray[Any]:
    try:
        return to_numpy(answer)
    except (TypeError, ValueError) as error:
        raise PredictionError(
            f"predict_proba returned {type(answer).__name__}, which is no array of shape (N, C): "
            f"{error}"
        ) from None


def _checked_columns(values: npt.NDArray[Any], n_points: int) -> npt.NDArray[np.floating[Any]]:
    if values.dtype.kind not in "fiub":
        raise PredictionError(
            f"predict_proba returned {values.dtype} values; expected numbers of shape (N, C): if "
            f"they are class labels, {_LABELS}"
        )
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] == 0:
        raise PredictionError(
            f"predict_proba returned the shape {values.shape} for {n_points} points; "
            "expected (N, C), one row a point and one column a class"
        )
    if len(values) != n_points:
        raise PredictionError(
            f"predict_proba returned {len(values)} rows for {n_points} points; expected one row "
            "a point, in order"
        )
    # float16 is too coarse for a softmax, and integers cannot hold probabilities.
    wanted = values.dtype if values.dtype in (np.float32, np.float64) else np.float32
    return values.astype(wanted, copy=False)


def _check_finite(values: npt.NDArray[np.floating[Any]]) -> None:
    # The sum is finite only if all values are, and is faster than isfinite of each.
    if np.isfinite(values.sum(dtype=np.float64)):
        return
    finite = np.isfinite(values)
    if not finite.all():
        bad = int((~finite.all(axis=1)).sum())
        raise NotFinite(
            int(finite.all(axis=1).argmin()),
            f"predict_proba returned NaN or infinities for {bad} of {len(values)} points: has the "
            "training diverged, or are the points far outside the data? (-inf is allowed with "
            'output="log_probabilities")',
        )


def _softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    powers = _by_class(_two_columns(logits))
    powers -= powers.max(axis=0)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=0)
    return powers.T


def _by_class(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return a copy with one row per class, because NumPy is slow along short rows."""
    return np.array(values.T, order="C")


def _two_columns(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the logits, with a column of 0 for the negative class of a binary model."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)


def _checked_probabilities(
    values: npt.NDArray[np.floating[Any]],
) -> npt.NDArray[np.floating[Any]]:
    slack = SUM_TOLERANCE
    hint = 'if the model returns logits, say output="logits"'
    _check_range(values, 'output="logits", or of a regression model output="values"')
    if values.min() < 0 or values.max() > 1:
        values = values.clip(0, 1)
    if values.shape[1] == 1:
        return np.concatenate([1 - values, values], axis=1)
    sums = values @ np.ones(values.shape[1], values.dtype)
    worst = float(sums[np.abs(sums - 1).argmax()])
    if abs(worst - 1) > slack:
        raise PredictionError(
            f"the rows of predict_proba do not sum to 1 (one sums to {worst:.4g}): {hint}; for "
            'independent labels say output="multilabel"'
        )
    if abs(worst - 1) > _ROUNDING:
        # As adaptive evaluation does, which normalises what it interpolates.
        return values / sums[:, None]
    return values


def _check_range(
    values: npt.NDArray[np.floating[Any]], instead: str, output: str = "probabilities"
) -> None:
    low, high = float(values.min()), float(values.max())
    if low < -SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
        column = "a single column of " if values.shape[1] == 1 else ""
        if column and output == "probabilities" and (values == np.round(values)).all():
            instead += f"; if they are class labels, {_LABELS}"
        raise PredictionError(
            f"predict_proba returned {column}values from {low:.4g} to {high:.4g}, which are no "
            f"probabilities (0 to 1): if the model returns logits, say {instead} (output= is "
            f"{output!r} now)"
        )
