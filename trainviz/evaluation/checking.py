"""Check points: how good a map is, from the model's outputs at random points of the grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from trainviz._common.arrays import IndexArray

__all__ = ["CONFIDENCE", "ROUNDS", "check_points", "upper_bound"]

CONFIDENCE = 0.95
"""Probability with which ``Snapshot.error`` is an upper bound."""

ROUNDS = 4
"""How often a map is checked at most. A bound has to hold whichever round is the last, so each is
made for a fourth of the allowed probability of failure."""


def check_points(shape: tuple[int, int], seed: tuple[int, ...]) -> IndexArray:
    """Draw stratified random points of a grid, one from each of some equal rectangles.

    Parameters
    ----------
    shape : tuple of int
        ``(H, W)`` of the grid.
    seed : tuple of int
        Of a random stream of their own.

    Returns
    -------
    ndarray of int, shape (n,)
        Flat grid indices: a two-hundredth of the grid, but at least about 100 and at most 500.

    Examples
    --------
    >>> points = check_points((300, 300), (0,))
    >>> len(points), bool(points.max() < 90000)
    (441, True)
    """
    height, width = shape
    wanted = min(max(height * width / 200, 100), 500)
    rows = max(1, min(height, round(math.sqrt(wanted * height / width))))
    columns = max(1, min(width, round(wanted / rows)))
    shares = np.random.default_rng(seed).random((2, rows, columns))
    y = (np.arange(rows)[:, None] + shares[0]) / rows * height
    x = (np.arange(columns) + shares[1]) / columns * width
    y, x = np.minimum(y, height - 1), np.minimum(x, width - 1)
    points: IndexArray = (y.astype(np.intp) * width + x.astype(np.intp)).ravel()
    return points


@lru_cache(maxsize=256)
def upper_bound(wrong: int, checked: int, confidence: float = CONFIDENCE) -> float:
    """Return an upper bound of a share, from how many of some random points are among it.

    The bound of Clopper and Pearson. It holds for stratified points too, whose count varies less.

    Parameters
    ----------
    wrong, checked : int
    confidence : float, default 0.95

    Returns
    -------
    float

    Examples
    --------
    >>> round(upper_bound(0, 300), 4), round(upper_bound(3, 300), 4), upper_bound(5, 5)
    (0.0099, 0.0256, 1.0)
    """
    if wrong >= checked:
        return 1.0
    low, high = wrong / checked, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _at_most(wrong, checked, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, trials: int, share: float) -> float:
    """Return the probability of at most ``count`` hits in some trials."""
    if not 0 < share < 1:
        return float(share <= 0)
    counts = np.arange(count + 1)
    ways = np.array([
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in counts
    ])  # fmt: skip
    return float(np.exp(
        ways + counts * math.log(share) + (trials - counts) * math.log1p(-share)
    ).sum())  # fmt: skip
