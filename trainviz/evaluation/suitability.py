"""Whether a model suits interpolation between grid points, judged by a few of its answers."""

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import Float32Array, IndexArray
from trainviz.evaluation.answers import Ask
from trainviz.evaluation.checking import ROUNDS, check_points

__all__ = ["answers_vary", "is_piecewise_constant"]

_PROBES = 32
"""How many points are evaluated twice, to detect a model whose output varies between calls."""

_NOISE = 0.02
"""Largest change of a probability that half precision and other batch sizes may cause."""

_CERTAIN = 1 - 1e-6
"""From this probability on, single precision may round the outputs of a smooth model to equal
numbers at neighbouring points."""

_CONSTANT_SHARE = 0.2
"""A model is piecewise constant if at least this share of neighbouring grid points with uncertain
outputs have equal ones. A continuous model has hardly any, unless all units of a network are zero
or a kernel has decayed to nothing in a large part of the window: 0.13 is the most in the set of
``benchmarks/models.py``, and 0.3 the least of forests of up to 500 trees."""


def answers_vary(ask: Ask, n_points: int) -> bool:
    """Return whether a model answers differently when it is asked again.

    Parameters
    ----------
    ask : callable
        Flat grid indices, shape (n,), to log-probabilities, shape (n, C).
    n_points : int
        Of the grid.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> answers_vary(lambda index: np.log(rng.random((len(index), 2))), 100)
    True
    """
    spread = np.linspace(0, n_points - 1, _PROBES).astype(np.intp)
    first, second = (np.exp(ask(spread)) for _ in range(2))
    return bool(np.abs(first - second).max() > _NOISE)


def is_piecewise_constant(ask: Ask, shape: tuple[int, int], seed: tuple[int, ...]) -> bool:
    """Judge a model by its log-probabilities at random grid points and the points beside these.

    Parameters
    ----------
    ask : callable
        As for :func:`answers_vary`.
    shape : tuple of int
        ``(H, W)`` of the grid.
    seed : tuple of int
        The points are drawn from it.

    Examples
    --------
    >>> def steps(index):
    ...     return np.log([[0.3, 0.7], [0.6, 0.4]])[index % 100 // 50]
    >>> is_piecewise_constant(steps, (100, 100), (0,))
    True
    """
    values, beside = np.split(ask(_neighbours(shape, seed)), 2)
    equal = (values == beside).all(axis=1)
    uncertain = np.maximum(_highest(values), _highest(beside)) < _CERTAIN
    if not uncertain.any():
        # Hard labels, unless log-probabilities of a network that is certain everywhere differ.
        return bool(equal.mean() > 0.5)
    return bool(equal[uncertain].mean() >= _CONSTANT_SHARE)


def _neighbours(shape: tuple[int, int], seed: tuple[int, ...]) -> IndexArray:
    """Return some random grid points, and for each of them one beside it."""
    points = check_points(shape, (*seed, ROUNDS))
    last = points % shape[1] == shape[1] - 1
    return np.concatenate([points, np.where(last, points - 1, points + 1)])


def _highest(logs: Float32Array) -> Float32Array:
    highest: Float32Array = np.exp(logs).max(axis=1)
    return highest
