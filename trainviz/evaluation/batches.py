"""Calls of a model in batches, at points of a domain and at data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Map
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs
from trainviz.errors import EvaluationError, PredictionError
from trainviz.evaluation.outputs import (
    NotFinite,
    Output,
    PredictProba,
    answer_at,
    chunk_size,
    to_log_probabilities,
    to_map_values,
    to_probabilities,
)

__all__ = ["Batches", "require_same_classes"]


class Batches:
    """Asks a model at many points, in batches of a size that memory allows.

    Parameters
    ----------
    domain, output, batch_size, dtype
        As for :func:`trainviz.evaluate`.

    Examples
    --------
    >>> batches = Batches(Domain((0, 1), (0, 1), points_per_axis=5))
    >>> batches.log_probabilities(lambda X: X[:, 0], np.array([2])).round(2)
    array([[-0.69, -0.69]], dtype=float32)
    """

    def __init__(
        self,
        domain: Domain,
        output: Output = "probabilities",
        batch_size: int | Literal["auto"] = "auto",
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self._domain, self._output, self._dtype = domain, output, dtype
        self._shrinks = batch_size == "auto"
        self._size = chunk_size(domain, batch_size)

    def at_inputs(self, predict_proba: PredictProba, X: Any) -> npt.NDArray[np.floating[Any]]:
        """Return the probabilities at inputs, such as data, shape (n, C)."""
        parts = [
            to_probabilities(answer, stop - start, self._output)
            for start, stop, answer in self._answers(
                predict_proba, len(X), lambda part: self._domain.prepare(X[part], self._dtype)
            )
        ]
        return np.concatenate(parts) if parts else np.empty((0, 2))

    def log_probabilities(self, predict_proba: PredictProba, index: npt.NDArray[np.intp]) -> Map:
        """Return the log-probabilities at some grid points, shape (n, C)."""
        parts: list[Map] = []
        for start, stop, answer in self._answers(
            predict_proba, len(index),
            lambda part: self._domain.points_at(index[part], self._dtype),
        ):  # fmt: skip
            with self._naming(index[start:stop]):
                parts.append(to_log_probabilities(answer, stop - start, self._output))
            require_same_classes(parts[0].shape[1], parts[-1].shape[1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def on_grid(self, predict_proba: PredictProba) -> Map:
        """Return the probabilities, or the values, at every grid point, shape (C, H, W)."""
        domain, result = self._domain, None
        index = domain.distinct_points()
        n_points = domain.n_points if index is None else len(index)

        def inputs(part: slice) -> Inputs:
            if index is None:
                return domain.points(part.start, part.stop, self._dtype)
            return domain.points_at(index[part], self._dtype)

        for start, stop, answer in self._answers(predict_proba, n_points, inputs):
            with self._naming(range(start, stop) if index is None else index[start:stop]):
                columns = to_map_values(answer, stop - start, self._output)
            if result is None:
                result = np.empty((columns.shape[1], n_points), dtype=np.float32)
            require_same_classes(len(result), columns.shape[1])
            result[:, start:stop] = columns.T
        assert result is not None
        return domain.spread(result)

    @contextmanager
    def _naming(self, index: Sequence[int] | npt.NDArray[np.intp]) -> Iterator[None]:
        """Add the coordinates of the first NaN or infinity to the message about it."""
        try:
            yield
        except NotFinite as error:
            row, column = divmod(int(index[error.row]), self._domain.shape[1])
            place = self._domain.place(self._domain.x[column], self._domain.y[row])
            raise PredictionError(f"{error}; the first is at {place}") from None

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


def require_same_classes(before: int, now: int) -> None:
    """Raise a PredictionError if two batches have different numbers of classes."""
    if before != now:
        raise PredictionError(
            f"predict_proba returned {before} classes for one batch and {now} for the next; "
            "every call must return the same columns"
        )


def _out_of_memory(error: BaseException | None) -> bool:
    # By name, so that the classes of torch and TensorFlow need not be imported.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"})
