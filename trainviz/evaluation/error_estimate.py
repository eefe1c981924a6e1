"""Estimates of the interpolation error of probabilities from that of log-probabilities."""

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import Float32Array, Int32Array

__all__ = ["CORNERS", "bilinear", "excess", "excess_at", "weighed"]


CORNERS = np.array([0, 2, 6, 8])
"""Positions of a cell's corners among its nine points."""

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
    """Return how far points of cells are from the interpolation between their corners.

    Differences of log-probabilities are weighted by the highest probability of
    the class around the point, so that they bound those of probabilities.

    Parameters
    ----------
    values, odds : ndarray of float32, shape (m, C)
        Log-probabilities and probabilities of the known points.
    slots : ndarray of int32, shape (9, n)
        Index of each cell's nine points in these, row by row; -1 where an
        edge's middle is not known.
    up, right : ndarray of float32, shape (n,)
        Position of the centre in its cell, as shares of the cell's sides.
    part : {0, 1, 2}
        Compare the centres; the edges; both.

    Returns
    -------
    ndarray of float32, shape (n,)
        The largest difference in each cell, 0 where no point of it is known.
    """
    found = np.zeros(slots.shape[1], np.float32)
    if part != 1:
        foretold = bilinear(values[slots[CORNERS]], up, right)
        centre = slots[4]
        found = weighed(foretold, values[centre], odds[centre], odds, slots[CORNERS])
    if part != 0:
        a, m, b = slots[_LINES]
        line, cell = np.nonzero(m >= 0)
        share = np.stack([right, right, up, up])[line, cell, None]
        start, end, middle = a[line, cell], b[line, cell], m[line, cell]
        low = values[start]
        low += share * (values[end] - low)
        wrong = weighed(low, values[middle], odds[middle], odds, np.stack([start, end]))
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
    """Return how far values anywhere in cells are from the interpolation there.

    Parameters
    ----------
    values, odds
        As for :func:`excess`.
    corners : ndarray of int32, shape (4, n)
    up, right : ndarray of float32, shape (n,)
        Position in the cell, as shares of its sides.
    found : ndarray of float32, shape (n, C)
        Log-probabilities.

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    return weighed(bilinear(values[corners], up, right), found, np.exp(found), odds, corners)


def bilinear(around: Float32Array, up: Float32Array, right: Float32Array) -> Float32Array:
    """Interpolate between the values at cells' corners, shape (4, n, C), which are overwritten."""
    low: Float32Array = around[0]
    low += right[:, None] * (around[1] - low)
    high = around[2]
    high += right[:, None] * (around[3] - high)
    low += up[:, None] * (high - low)
    return low


def weighed(
    foretold: Float32Array,
    found: Float32Array,
    at: Float32Array,
    odds: Float32Array,
    around: Int32Array,
) -> Float32Array:
    """Return how far values are from the foretold ones, which are overwritten.

    Parameters
    ----------
    foretold, found : ndarray of float32, shape (n, C)
        Log-probabilities.
    at : ndarray of float32, shape (n, C)
        The probabilities that belong to those that were found.
    odds, around
        The probabilities of the known points, and which of them lie around each, shape (m, n).
    """
    difference = foretold
    difference -= found
    # Adding the same number to all log-probabilities changes no probability.
    difference -= np.add.accumulate(difference * at, axis=1)[:, -1:]
    np.abs(difference, out=difference)
    highest = at.copy()
    for corner in around:
        np.maximum(highest, odds[corner], out=highest)
    difference *= highest
    largest: Float32Array = difference.max(axis=1)
    return largest
