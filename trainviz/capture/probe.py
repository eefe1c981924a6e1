"""A model's answers at a few points, which tell whether its weights are those of another moment."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz.domain.domain import Domain
from trainviz.evaluation.outputs import PredictProba, answer_at

__all__ = ["Probe", "alike", "digest"]

Answers = npt.NDArray[Any]

_POINTS = 16


class Probe:
    """Asks models at the same few points of a window.

    Parameters
    ----------
    domain : Domain

    Examples
    --------
    >>> probe = Probe(Domain((0, 1), (0, 1), points_per_axis=2))
    >>> probe(lambda X: X[:, 0])
    array([0., 1., 0., 1.])
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        spread = np.linspace(0, domain.n_points - 1, _POINTS)
        self._index = np.unique(spread.astype(np.intp))

    def __call__(self, predict_proba: PredictProba, *, is_sure: bool = True) -> Answers | None:
        """Return what a model answers.

        Parameters
        ----------
        predict_proba : callable
        is_sure : bool, default True
            Whether the model is known to answer the same when it is asked again.

        Returns
        -------
        ndarray or None
            None if it fails, or answers differently when it is asked again.
        """
        try:
            answers = self._ask(predict_proba)
            if is_sure or np.array_equal(answers, self._ask(predict_proba), equal_nan=True):
                return answers
        except Exception:  # Where a model cannot be asked, a capture tells why.
            pass
        return None

    def _ask(self, predict_proba: PredictProba) -> Answers:
        # Not kept between calls, because a model may change the points that it is given.
        points = self._domain.points_at(self._index)
        return np.array(to_numpy(answer_at(predict_proba, points)))


def alike(answers: Answers, others: Answers | None) -> bool:
    """Return whether two probes found the same weights, but for rounding.

    Examples
    --------
    >>> alike(np.array([0.25]), np.array([0.25 + 1e-8])), alike(np.array([0.25]), None)
    (True, False)
    """
    return (
        others is not None
        and answers.shape == others.shape
        and np.allclose(answers, others, rtol=1e-5, atol=1e-6, equal_nan=True)
    )


def digest(answers: Answers) -> bytes:
    """Return a few bytes by which the same answers are found again.

    Examples
    --------
    >>> digest(np.zeros(3)) == digest(np.zeros(3))
    True
    """
    return hashlib.sha256(answers.tobytes()).digest()
