"""Evaluation of a predict callable on a domain's grid, densely or adaptively."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Map
from trainviz._common.terminal import warn
from trainviz.domain.domain import Domain, Plane, require_domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import EvaluationWarning
from trainviz.evaluation.answers import Ask, TooRough
from trainviz.evaluation.batches import Batches, require_same_classes
from trainviz.evaluation.checking import CONFIDENCE, ROUNDS, check_points, upper_bound
from trainviz.evaluation.choice import Calls, Choice
from trainviz.evaluation.compact_map import CompactMap
from trainviz.evaluation.lattice import Lattice
from trainviz.evaluation.outputs import (
    Output,
    PredictProba,
    check_output,
    logarithms,
    recorded_as,
)
from trainviz.evaluation.refinement import Refinement, Seeds
from trainviz.evaluation.suitability import answers_vary, is_piecewise_constant

__all__ = ["Evaluated", "Evaluator", "Method", "check_method", "evaluate", "session"]

Method = Literal["auto", "adaptive", "dense"]

_SMALL_GRID = 64 * 64
"""Largest number of grid points on which one dense call is cheaper than any refinement."""

_SEED_SHARE = 0.01
"""Largest share of the grid evaluated as seeds, where the data lie outside the plane."""

_ROUGH_SHARE = 0.01
"""If more of the last check points than this are wrong, the model is evaluated densely."""


def evaluate(
    predict_proba: PredictProba,
    domain: Domain,
    *,
    method: Method = "auto",
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
        inputs pass it a dict or tuple of arrays, those of tables a DataFrame.
    domain : Domain
    method : {"auto", "adaptive", "dense"}, default "auto"
        ``"dense"`` evaluates every grid point. ``"adaptive"`` evaluates a
        coarse lattice, refines it where log-probabilities are not bilinear to
        within ``tolerance``, interpolates the rest, and compares the map with
        the model at random points: for a smooth classifier it evaluates a few
        per cent of the points. ``"auto"`` evaluates piecewise constant models
        (trees, nearest neighbours) densely and the others adaptively; a
        recorder then takes what the first two captures show to be faster.
        Grids of up to 4096 points are always dense, and so are the outputs
        ``"values"`` and ``"multilabel"``, because log-probabilities do not
        measure their smoothness, and domains with categories along an axis, each
        of which is asked for once at each value of the other axis.
    tolerance : float, default 1/255
        Wanted error of a probability, for the adaptive method. See the notes.
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
        If the callable returns other values when called again, or, with
        ``method="adaptive"``, is so rough that most of the grid is needed: it
        is evaluated densely then.

    Notes
    -----
    What is guaranteed of an adaptive map: with a confidence of 95 %, at most
    the share ``error`` of its pixels (of a recorder's :class:`Snapshot`) is off
    by more than ``tolerance``. That is the bound of Clopper and Pearson from a
    comparison at 100 to 500 stratified random points, drawn from a stream of
    their own that depends on the epoch and step alone. Where one of these is
    off by more than twice the tolerance, the map is refined around it and
    compared at other points, four times at most; the bound allows for that.
    Without a single error it is about 0.9 % at 500 points and 4 % at 100, so
    that it says nothing of a few pixels.

    What is not guaranteed: the error of a single pixel. Between the evaluated
    points nothing is known. A feature that is smaller than the coarse cells
    (16 grid points, or a sixteenth of the short side) and contains no evaluated
    point is missed, unless a recorder's data or a check point lie in it, a
    refined neighbour touches it, or it was found in the snapshot before and has
    moved by less than its own size. A strip is followed across the map from
    any point in it. Borders between two classes that lie in one cell are placed to
    within half a grid point at its centre. If more than 1 % of the last check
    points are wrong, or half of the grid's points are needed, the map is
    evaluated densely. Use ``method="dense"`` where every point counts.

    Examples
    --------
    >>> domain = Domain((-1, 1), (-1, 1), points_per_axis=3)
    >>> evaluate(lambda X: 10 * X[:, 0], domain, output="logits")[1].round(2)
    array([[0. , 0.5, 1. ],
           [0. , 0.5, 1. ],
           [0. , 0.5, 1. ]], dtype=float32)
    """
    require_domain(domain)
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
    error : float, default 0
        With a confidence of 95 %, an upper bound of the share of grid points at
        which the map is off by more than the tolerance.
    method : {"dense", "adaptive"}, default "dense"
    """

    map: Map | CompactMap
    evaluations: int
    data_predictions: npt.NDArray[np.intp] | None = None
    error: float = 0.0
    method: str = "dense"


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
        method: Method = "auto",
        tolerance: float = 1 / 255,
        output: Output = "probabilities",
        batch_size: int | Literal["auto"] = "auto",
        dtype: npt.DTypeLike = np.float64,
        data: LabelledData | None = None,
    ) -> None:
        check_output(output)
        check_method(method, tolerance)
        self._domain = domain
        self._tolerance = tolerance
        self._data = data
        self._batches = Batches(domain, output, batch_size, dtype)
        self._by_class = recorded_as(output).has_classes
        self._choice = Choice()
        self._refinement: Refinement | None = None
        # Nothing is to be interpolated from one category to the next.
        smooth = domain.bands == (None, None)
        if method != "dense" and domain.n_points > _SMALL_GRID and self._by_class and smooth:
            self._refinement = Refinement(Lattice.of(domain.shape), tolerance)
        else:
            self._choice.method = "dense"
        self._chooses = method == "auto" and self._refinement is not None
        self._suspects: npt.NDArray[np.intp] = np.empty(0, np.intp)
        self._notice: str | None = None
        self._places = _seed_places(domain, data) if data is not None else None

    def __call__(
        self, predict_proba: PredictProba, moment: tuple[int, int | None] = (0, None)
    ) -> Evaluated:
        """Evaluate the model as it is now.

        Parameters
        ----------
        predict_proba : callable
        moment : tuple of (int, int or None), default (0, None)
            Epoch and step, from which the check points are drawn.

        Raises
        ------
        PredictionError, EvaluationError
            As :func:`evaluate`.
        """
        at_data = self._at_data(predict_proba)
        guesses = None if at_data is None else at_data.argmax(axis=1)
        seed = tuple(abs(int(part or 0)) for part in moment)
        refined = self._refined(predict_proba, at_data, seed)
        if refined is None or self._refinement is None:
            dense, distinct = self._timed_dense(predict_proba, seed), self._domain.distinct_points()
            asked = self._domain.n_points if distinct is None else len(distinct)
            return Evaluated(dense, asked, guesses, 0.0, "dense")
        compact = self._refinement.compact_map()
        return Evaluated(compact, self._refinement.asked, guesses, refined, "adaptive")

    def probabilities(self, predict_proba: PredictProba) -> Map:
        """Return the map as a float32 array, shape (C, H, W)."""
        refined = self._refined(predict_proba, self._at_data(predict_proba), (0, 0))
        if refined is None or self._refinement is None:
            return self._batches.on_grid(predict_proba)
        return self._refinement.probabilities()

    @property
    def choice(self) -> Choice:
        """The method of the next evaluation, and why."""
        return self._choice

    def state(self) -> dict[str, Any]:
        """Return what the next map depends on besides the model, as plain values."""
        if self._refinement is None:
            return {}
        return {
            "choice": self._choice.state(),
            "followed": self._refinement.state(),
            "suspects": self._suspects.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where another evaluator with this :meth:`state` has stopped."""
        if self._refinement is None or not state:
            return
        self._choice.restore(state["choice"])
        self._refinement.restore(state["followed"])
        self._suspects = np.array(state["suspects"], np.intp)

    @property
    def undecided(self) -> bool:
        """Whether a method is to be chosen, and nothing was evaluated yet."""
        return self._chooses and self._choice.evaluations == 0

    def follow(self, method: str) -> None:
        """Choose the method of a snapshot after which training continues."""
        if method in ("adaptive", "dense"):
            self._choice.method, self._choice.reason = method, "as in the snapshot before"
            self._choice.evaluations, self._choice.probed = 2, True

    def _refined(
        self,
        predict_proba: PredictProba,
        at_data: npt.NDArray[np.floating[Any]] | None,
        seed: tuple[int, ...],
    ) -> float | None:
        """Refine the map, and return a bound of the share of errors; None to evaluate densely."""
        if self._refinement is None or self._choice.method == "dense":
            return None
        model = partial(self._batches.log_probabilities, predict_proba)
        if not self._choice.probed and self._is_unsuitable(model, seed):
            return None
        self._choice.probed = True
        start, calls, known = time.perf_counter(), Calls(), []
        timed = calls.timed(model)

        def ask(index: npt.NDArray[np.intp]) -> Map:
            logs = timed(index)
            known.append(logs.shape[1])
            require_same_classes(known[0], known[-1])
            return logs

        try:
            found = self._checked_map(
                self._refinement, ask, self._seeds(at_data), seed,
                doubt=lambda: self._is_unsuitable(model, seed),
            )  # fmt: skip
        except TooRough as rough:
            refining = time.perf_counter() - start - calls.total
            if self._choice.method == "adaptive" and not self._is_noisy(model):
                self._give_up(str(rough), refining)
            return None
        if self._chooses:
            elapsed = time.perf_counter() - start
            self._choice.after_adaptive(elapsed, calls, self._domain.n_points)
        else:
            self._choice.evaluations += 1
        return found

    def _checked_map(
        self,
        refinement: Refinement,
        ask: Ask,
        seeds: Seeds | None,
        seed: tuple[int, ...],
        doubt: Callable[[], bool] = lambda: False,
    ) -> float:
        """Refine a map, and compare it with the model at random points until it is good.

        Returns a bound of the share of errors. Where the map is wrong for the first time,
        ``doubt`` says whether the model is to blame.
        """
        sample = check_points(self._domain.shape, (*seed, 0))
        refinement.run(ask, seeds, self._suspects, beside=sample)
        for number in range(ROUNDS):
            if number:
                sample = check_points(self._domain.shape, (*seed, number))
            error = refinement.compare(sample)
            # Twice the tolerance is an error of the refinement, of which there may be more nearby.
            self._suspects = sample[error > 2 * self._tolerance]
            if not len(self._suspects) or number == ROUNDS - 1:
                break
            if number == 0 and doubt():
                raise TooRough(_PIECEWISE_CONSTANT)
            refinement.mend(self._suspects)
        if len(self._suspects) > _ROUGH_SHARE * len(sample):
            raise TooRough(
                f"after {ROUNDS} corrections the map is still wrong at {len(self._suspects)} of "
                f"{len(sample)} random points"
            )
        refinement.finish()
        wrong = int((error > self._tolerance).sum())
        return upper_bound(wrong, len(sample), 1 - (1 - CONFIDENCE) / ROUNDS)

    def _timed_dense(self, predict_proba: PredictProba, seed: tuple[int, ...]) -> Map:
        compares = self._chooses and self._choice.compares()
        start = time.perf_counter()
        found = self._batches.on_grid(predict_proba)
        seconds = time.perf_counter() - start
        if compares and self._choice.repeats(seconds):
            start = time.perf_counter()
            self._batches.on_grid(predict_proba)
            seconds = min(seconds, time.perf_counter() - start)
        self._choice.after_dense(seconds)
        if compares:
            self._compare(found, predict_proba, seed)
        return found

    def _compare(self, found: Map, predict_proba: PredictProba, seed: tuple[int, ...]) -> None:
        """Measure adaptive evaluation on a dense map, which costs no call of the model."""
        values = found.reshape(len(found), -1)

        def look_up(index: npt.NDArray[np.intp]) -> Map:
            return np.ascontiguousarray(logarithms(values[:, index]).T)

        if is_piecewise_constant(look_up, self._domain.shape, seed):
            return
        refinement, calls = Refinement(Lattice.of(self._domain.shape), self._tolerance), Calls()
        start = time.perf_counter()
        try:
            self._checked_map(refinement, calls.timed(look_up), None, seed)
        except TooRough:
            self._choice.refining_seconds = time.perf_counter() - start - calls.total
            if not self._choice.warned:
                self._is_noisy(partial(self._batches.log_probabilities, predict_proba))
            return
        refining = time.perf_counter() - start - calls.total
        self._choice.compare(refining, len(calls.sizes), refinement.asked)

    def _is_unsuitable(self, ask: Ask, seed: tuple[int, ...]) -> bool:
        """Return whether interpolation cannot work: the model is noisy, or piecewise constant."""
        if self._is_noisy(ask):
            return True
        if not self._chooses or not is_piecewise_constant(ask, self._domain.shape, seed):
            return False
        self._choice.give_up(_PIECEWISE_CONSTANT)
        return True

    def _is_noisy(self, ask: Ask) -> bool:
        if not answers_vary(ask, self._domain.n_points):
            return False
        self._choice.probed = False
        reason = "the model answers differently when it is asked again"
        self._give_up(reason, self._choice.refining_seconds, warn=True)
        return True

    def _give_up(self, reason: str, refining_seconds: float = 0.0, *, warn: bool = False) -> None:
        self._choice.refining_seconds = refining_seconds
        self._choice.give_up(reason)
        if self._choice.warned or (self._chooses and not warn):
            return
        self._choice.warned = True
        until = "as long as that is so" if self._chooses else "from now on"
        self._notice = (
            f"{reason}: every grid point is asked for {until} (say so beforehand with "
            'method="dense", of a recorder evaluation="dense")'
        )

    def tell(self, stacklevel: int = 2) -> None:
        """Warn if the evaluator has switched to dense evaluation since the last call.

        Separate from evaluating, which may run where no warning should be raised: on another
        thread, or where a warning turned into an exception would count as a failed capture.
        """
        notice, self._notice = self._notice, None
        if notice is not None:
            warn(notice, EvaluationWarning, stacklevel=stacklevel + 1)

    def _at_data(self, predict_proba: PredictProba) -> npt.NDArray[np.floating[Any]] | None:
        if self._data is None or not self._by_class:
            return None
        return self._batches.at_inputs(predict_proba, self._data.X)

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


_PIECEWISE_CONSTANT = "the model is piecewise constant"


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
