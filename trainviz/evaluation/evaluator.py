"""Evaluation of a predict callable on a domain's grid, densely or adaptively."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Map
from trainviz.domain.domain import Domain, Plane
from trainviz.domain.inputs import Inputs
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import EvaluationError, EvaluationWarning, PredictionError
from trainviz.evaluation.answers import TooRough
from trainviz.evaluation.compact_map import CompactMap, normalised_odds
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.outputs import (
    Output,
    PredictProba,
    answer_at,
    check_output,
    chunk_size,
    logarithms,
    recorded_as,
    to_log_probabilities,
    to_map_values,
    to_probabilities,
)
from trainviz.evaluation.refinement import Refinement, Seeds

__all__ = ["Evaluated", "Evaluator", "Method", "check_method", "evaluate", "session"]

Method = Literal["adaptive", "dense"]

_SMALL_GRID = 64 * 64
"""Largest number of grid points on which one dense call is cheaper than any refinement."""

_SEED_SHARE = 0.01
"""Largest share of the grid evaluated as seeds, where the data lie outside the plane."""

_PROBES = 32
"""How many points are evaluated twice, to detect a model whose output varies between calls."""

_NOISE = 0.02
"""Largest change of a probability that half precision and other batch sizes may cause."""


def evaluate(
    predict_proba: PredictProba,
    domain: Domain,
    *,
    method: Method = "adaptive",
    tolerance: float = 1 / 255,
    output: Output = "probabilities",
    batch_size: int | Literal["auto"] = "auto",
    dtype: npt.DTypeLike = np.float64,
) -> Map:
    """Evaluate a classifier on the whole grid of a domain.

    Parameters
    ----------
    predict_proba : callable
        ``(N, *input_shape) array -> (N, C)`` array. A single column, or a flat
        array, is the positive class of a binary model. Domains of several
        inputs pass it a dict or tuple of arrays.
    domain : Domain
    method : {"adaptive", "dense"}, default "adaptive"
        ``"dense"`` evaluates every grid point. ``"adaptive"`` evaluates a
        coarse lattice, refines it where log-probabilities are not bilinear to
        within ``tolerance``, and interpolates the rest: for a smooth classifier
        it evaluates a few per cent of the points. Grids of up to 4096 points
        are always dense, and so are the outputs ``"values"`` and
        ``"multilabel"``, because log-probabilities do not measure their
        smoothness.
    tolerance : float, default 1/255
        Allowed error of a probability, for the adaptive method. See the notes.
    output : str, default "probabilities"
        What the callable returns, which is never guessed from the values:
        ``"probabilities"``, ``"logits"`` or ``"log_probabilities"`` of classes
        that exclude one another; ``"multilabel"`` or ``"multilabel_logits"``,
        a probability or logit for each of several independent labels;
        ``"values"``, the prediction of a regression model of one output.
    batch_size : int or "auto", default "auto"
        Points per call; "auto" is about a million input values per call, and
        fewer after a call that ran out of memory.
    dtype : dtype, default float64
        Of the points passed to the callable.

    Returns
    -------
    ndarray of float32, shape (C, H, W)
        Row 0 is ``domain.ylim[0]``. C is 1 for ``"values"``.

    Raises
    ------
    PredictionError
        (a ``ValueError``) If the callable returns the wrong number of rows,
        NaN or infinities, or values that are not what ``output`` says.
    EvaluationError
        (a ``RuntimeError``) If the callable itself raises; its exception is the cause.

    Warns
    -----
    EvaluationWarning
        If the callable returns other values when called again, or is so rough
        that most of the grid is needed: it is evaluated densely then.

    Notes
    -----
    ``tolerance`` controls the refinement and bounds no error: between the
    evaluated points nothing is known. In the training of small ReLU networks,
    999 of 1000 pixels were within the tolerance, the worst pixel of nearly
    every map within 2.5 times and of all within about 4 times of it. A feature
    that is smaller than the coarse cells (32 grid points, or an eighth of the
    short side) and contains no evaluated point is missed, unless a recorder's
    data lie in it, a refined neighbour touches it, or it was found in the
    previous snapshot and has moved by less than its own size. Regions of
    constant probability with straight borders (trees) are exact where they are
    larger than that; finer checkerboards are evaluated densely. Use
    ``method="dense"`` where every point counts.

    Examples
    --------
    >>> domain = Domain((-1, 1), (-1, 1), points_per_axis=3)
    >>> evaluate(lambda X: 10 * X[:, 0], domain, output="logits")[1].round(2)
    array([[0. , 0.5, 1. ],
           [0. , 0.5, 1. ],
           [0. , 0.5, 1. ]], dtype=float32)
    """
    evaluator = Evaluator(
        domain, method=method, tolerance=tolerance, output=output, batch_size=batch_size,
        dtype=dtype,
    )  # fmt: skip
    with session(predict_proba):
        found = evaluator.probabilities(predict_proba)
    evaluator.tell()
    return found


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation.

    Attributes
    ----------
    map : ndarray of float32, shape (C, H, W), or CompactMap
    evaluations : int
        The number of grid points at which the model was evaluated.
    data_predictions : ndarray of int, shape (n,), or None
        The class that the model predicts for each data point.
    """

    map: Map | CompactMap
    evaluations: int
    data_predictions: npt.NDArray[np.intp] | None = None


class Evaluator:
    """Evaluates one model repeatedly while it is trained.

    Parameters
    ----------
    domain : Domain
    method, tolerance, output, batch_size, dtype
        As for :func:`evaluate`.
    data : LabelledData, optional
        Points with which the map has to agree, so that the regions around them
        are found, however small.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> evaluator = Evaluator(Domain((-1, 1), (-1, 1), points_per_axis=200))
    >>> found = evaluator(lambda X: 1 / (1 + np.exp(-5 * X[:, 0])))
    >>> found.map.shape, found.evaluations < 4000
    ((2, 200, 200), True)
    """

    def __init__(
        self,
        domain: Domain,
        *,
        method: Method = "adaptive",
        tolerance: float = 1 / 255,
        output: Output = "probabilities",
        batch_size: int | Literal["auto"] = "auto",
        dtype: npt.DTypeLike = np.float64,
        data: LabelledData | None = None,
    ) -> None:
        check_output(output)
        check_method(method, tolerance)
        self._domain = domain
        self._output = output
        self._dtype = dtype
        self._data = data
        self._shrinks = batch_size == "auto"
        self._size = chunk_size(domain, batch_size)
        self._refinement: Refinement | None = None
        self._by_class = recorded_as(output).has_classes
        if method == "adaptive" and domain.n_points > _SMALL_GRID and self._by_class:
            self._refinement = Refinement(Lattice.of(domain.shape), tolerance)
        self._probed = False
        self._notice: str | None = None
        self._places = _seed_places(domain, data) if data is not None else None

    def __call__(self, predict_proba: PredictProba) -> Evaluated:
        """Evaluate the model as it is now.

        Raises
        ------
        PredictionError, EvaluationError
            As :func:`evaluate`.
        """
        at_data = self._at_data(predict_proba)
        guesses = None if at_data is None else at_data.argmax(axis=1)
        refined = self._refined(predict_proba, at_data)
        if refined is None or self._refinement is None:
            return Evaluated(self._dense(predict_proba), self._domain.n_points, guesses)
        points, values = refined
        compact = CompactMap.of(self._domain.shape, points, values)
        return Evaluated(compact, self._refinement.asked, guesses)

    def probabilities(self, predict_proba: PredictProba) -> Map:
        """Return the map as a float32 array, shape (C, H, W)."""
        refined = self._refined(predict_proba, self._at_data(predict_proba))
        if refined is None:
            return self._dense(predict_proba)
        return normalised_odds(Lattice.of(self._domain.shape).fill(*refined))

    def _refined(
        self, predict_proba: PredictProba, at_data: npt.NDArray[np.floating[Any]] | None
    ) -> tuple[npt.NDArray[np.intp], Map] | None:
        """Return the evaluated points and their log-probabilities; None to evaluate densely."""
        if self._refinement is None or self._is_noisy(predict_proba):
            return None
        known: list[int] = []

        def ask(index: npt.NDArray[np.intp]) -> Map:
            logs = self._logs(predict_proba, index)
            known.append(logs.shape[1])
            _require_same_classes(known[0], known[-1])
            return logs

        try:
            refined = self._refinement.run(ask, self._seeds(at_data))
            self._refinement.finish(refined[0])
            return refined
        except TooRough:
            self._give_up(
                "the map changes so much from point to point that most of the grid is needed"
            )
            return None

    def _is_noisy(self, predict_proba: PredictProba) -> bool:
        if self._probed:
            return False
        self._probed = True
        spread = np.linspace(0, self._domain.n_points - 1, _PROBES).astype(np.intp)
        twice = [np.exp(self._logs(predict_proba, spread)) for _ in range(2)]
        if np.abs(twice[0] - twice[1]).max() <= _NOISE:
            return False
        self._give_up("the model answers differently when it is asked again")
        return True

    def _give_up(self, reason: str) -> None:
        self._refinement = None
        self._notice = (
            f"{reason}: every grid point is asked for from now on (say so beforehand with "
            'method="dense", of a recorder evaluation="dense")'
        )

    def tell(self, stacklevel: int = 2) -> None:
        """Warn if the evaluator has switched to dense evaluation since the last call.

        Separate from evaluating, which may run where no warning should be raised: on another
        thread, or where a warning turned into an exception would count as a failed capture.
        """
        notice, self._notice = self._notice, None
        if notice is not None:
            warnings.warn(notice, EvaluationWarning, stacklevel=stacklevel + 1)

    def _seeds(self, at_data: npt.NDArray[np.floating[Any]] | None) -> Seeds | None:
        if self._places is None or at_data is None or not len(self._places[0]):
            return None
        rows, columns, inside = self._places
        if isinstance(self._domain.embedding, Plane):
            return Seeds(rows, columns, logarithms(at_data[inside]))
        # Data outside the plane have other outputs than the grid points that they project to, so
        # the model is evaluated at these instead.
        nearest = np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)
        index = np.unique(np.ravel_multi_index(nearest, self._domain.shape))
        index = index[:: -(-len(index) // int(_SEED_SHARE * self._domain.n_points))]
        return Seeds(*np.divmod(index, self._domain.shape[1]))

    def _at_data(self, predict_proba: PredictProba) -> npt.NDArray[np.floating[Any]] | None:
        if self._data is None or not self._by_class:
            return None
        X = self._data.X
        parts = [
            to_probabilities(answer, stop - start, self._output)
            for start, stop, answer in self._answers(
                predict_proba, len(X), lambda part: self._domain.prepare(X[part], self._dtype)
            )
        ]
        return np.concatenate(parts) if parts else np.empty((0, 2))

    def _logs(self, predict_proba: PredictProba, index: npt.NDArray[np.intp]) -> Map:
        parts: list[Map] = []
        for start, stop, answer in self._answers(
            predict_proba, len(index),
            lambda part: self._domain.points_at(index[part], self._dtype),
        ):  # fmt: skip
            parts.append(to_log_probabilities(answer, stop - start, self._output))
            _require_same_classes(parts[0].shape[1], parts[-1].shape[1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _dense(self, predict_proba: PredictProba) -> Map:
        result: Map | None = None
        for start, stop, answer in self._answers(
            predict_proba, self._domain.n_points,
            lambda part: self._domain.points(part.start, part.stop, self._dtype),
        ):  # fmt: skip
            columns = to_map_values(answer, stop - start, self._output)
            if result is None:
                result = np.empty((columns.shape[1], self._domain.n_points), dtype=np.float32)
            _require_same_classes(len(result), columns.shape[1])
            result[:, start:stop] = columns.T
        assert result is not None
        return result.reshape(len(result), *self._domain.shape)

    def _answers(
        self,
        predict_proba: PredictProba,
        count: int,
        points: Callable[[slice], Inputs],
    ) -> Iterator[tuple[int, int, Any]]:
        """Yield the model's outputs in large batches, which are halved when memory runs out."""
        start = 0
        while start < count:
            stop = min(start + self._size, count)
            try:
                answer = answer_at(predict_proba, points(slice(start, stop)))
            except EvaluationError as error:
                if not (self._shrinks and _out_of_memory(error.__cause__) and stop - start > 1):
                    raise
                self._size = max(1, (stop - start) // 2)
                continue
            yield start, stop, answer
            start = stop


def session(predict_proba: PredictProba) -> AbstractContextManager[Any]:
    """Return the callable's own context, which prepares the model once for several calls."""
    begin = getattr(predict_proba, "session", nullcontext)
    context: AbstractContextManager[Any] = begin()
    return context


def check_method(method: str, tolerance: float, argument: str = "method") -> None:
    """Raise a ValueError for an unknown method or a tolerance outside (0, 1)."""
    if method not in get_args(Method):
        raise ValueError(f"{argument}={method!r}: expected one of {', '.join(get_args(Method))}")
    if not (isinstance(tolerance, (int, float, np.number)) and 0 < tolerance < 1):
        raise ValueError(
            f"tolerance={tolerance!r}: expected a difference of probabilities, e.g. 1/255"
        )


def _seed_places(
    domain: Domain, data: LabelledData
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return the rows, columns and indices of the data inside the window, in grid units."""
    (x0, x1), (y0, y1) = domain.xlim, domain.ylim
    rows = (data.points[:, 1] - y0) / (y1 - y0) * (domain.shape[0] - 1)
    columns = (data.points[:, 0] - x0) / (x1 - x0) * (domain.shape[1] - 1)
    inside = np.flatnonzero(
        (rows >= 0) & (rows <= domain.shape[0] - 1)
        & (columns >= 0) & (columns <= domain.shape[1] - 1)
    )  # fmt: skip
    return rows[inside], columns[inside], inside


def _require_same_classes(before: int, now: int) -> None:
    if before != now:
        raise PredictionError(
            f"predict_proba returned {before} classes for one batch and {now} for the next; "
            "every call must return the same columns"
        )


def _out_of_memory(error: BaseException | None) -> bool:
    # By name, so that the classes of torch and TensorFlow need not be imported.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"})
