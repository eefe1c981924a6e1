"""By how much probabilities are wrong where log-probabilities are not what was foretold."""

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import Float32Array, Int32Array

__all__ = ["CORNERS", "excess", "excess_at"]


CORNERS = np.array([0, 2, 6, 8])
"""Of a cell, among its nine points."""

_LINES = np.array([[0, 6, 0, 2], [1, 7, 3, 5], [2, 8, 6, 8]])
"""Start, middle and end of a cell's four edges among its nine points."""


def excess(
    values: Float32Array,
    odds: Float32Array,
    slots: Int32Array,
    up: Float32Array,
    right: Float32Array,
    part: int,
) -> Float32Array:
    """Compare points of cells with what is foretold between the corners.

    Differences of log-probabilities are weighed by the highest probability that
    a class has around the point, so that they bound those of probabilities.

    Parameters
    ----------
    values, odds : ndarray of float32, shape (m, C)
        Log-probabilities and probabilities of what is known.
    slots : ndarray of int32, shape (9, n)
        Where the points of each cell lie in these, row by row; -1 where an
        edge's middle is not known.
    up, right : ndarray of float32, shape (n,)
        How far along the cell its centre lies.
    part : {0, 1, 2}
        Look at the centres; at the edges; at both.

    Returns
    -------
    ndarray of float32, shape (n,)
        The largest of each cell, 0 where nothing of it is known.
    """
    found = np.zeros(slots.shape[1], np.float32)
    if part != 1:
        foretold = _bilinear(values[slots[CORNERS]], up, right)
        centre = slots[4]
        found = _weighed(foretold, values[centre], odds[centre], odds, slots[CORNERS])
    if part != 0:
        a, m, b = slots[_LINES]
        line, cell = np.nonzero(m >= 0)
        share = np.stack([right, right, up, up])[line, cell, None]
        start, end, middle = a[line, cell], b[line, cell], m[line, cell]
        low = values[start]
        low += share * (values[end] - low)
        wrong = _weighed(low, values[middle], odds[middle], odds, np.stack([start, end]))
        edges = np.zeros(m.shape, np.float32)
        edges[line, cell] = wrong
        np.maximum(found, edges.max(axis=0), out=found)
    return found


def excess_at(
    values: Float32Array,
    odds: Float32Array,
    corners: Int32Array,
    up: Float32Array,
    right: Float32Array,
    found: Float32Array,
) -> Float32Array:
    """Compare what was found anywhere in cells with what is foretold there.

    Parameters
    ----------
    values, odds
        As for :func:`excess`.
    corners : ndarray of int32, shape (4, n)
    up, right : ndarray of float32, shape (n,)
        Where in the cell.
    found : ndarray of float32, shape (n, C)

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    return _weighed(_bilinear(values[corners], up, right), found, np.exp(found), odds, corners)


def _bilinear(around: Float32Array, up: Float32Array, right: Float32Array) -> Float32Array:
    low: Float32Array = around[0]
    low += right[:, None] * (around[1] - low)
    high = around[2]
    high += right[:, None] * (around[3] - high)
    low += up[:, None] * (high - low)
    return low


def _weighed(
    foretold: Float32Array,
    found: Float32Array,
    at: Float32Array,
    odds: Float32Array,
    around: Int32Array,
) -> Float32Array:
    difference = foretold
    difference -= found
    # What all classes have in common changes no probability.
    difference -= np.add.accumulate(difference * at, axis=1)[:, -1:]
    np.abs(difference, out=difference)
    highest = at.copy()
    for corner in around:
        np.maximum(highest, odds[corner], out=highest)
    difference *= highest
    largest: Float32Array = difference.max(axis=1)
    return largest
