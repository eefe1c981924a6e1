"""Estimates of the interpolation error of probabilities from that of log-probabilities.

First in NumPy, for many cells at once, then for one cell, for compiled loops. Both return the same
bits: they add up the classes in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import Float32Array, IndexArray, Int32Array
from trainviz._common.jit import inlined
from trainviz.evaluation.cells import Known, PlaceTable, cell_points, centre_shares

__all__ = [
    "CORNERS",
    "bilinear",
    "centre_excess",
    "edge_excess",
    "excess_at",
    "excess_at_centres",
    "excess_at_edges",
    "excess_inside",
    "excess_of",
    "weighed",
]


CORNERS = np.array([0, 2, 6, 8])
"""Positions of a cell's corners among its nine points."""

_LINES = np.array([[0, 6, 0, 2], [1, 7, 3, 5], [2, 8, 6, 8]])
"""Start, middle and end of a cell's four edges among its nine points."""


def excess_at_centres(cells: IndexArray, known: Known, places: PlaceTable) -> Float32Array:
    """Return how far the centres of cells are from the interpolation between their corners.

    Differences of log-probabilities are weighted by the highest probability of
    the class around the point, so that they bound those of probabilities.

    Parameters
    ----------
    cells : ndarray of int, shape (n,)
        Cells whose centres are known.
    known : tuple of ndarray
        Slots, values and odds of :class:`trainviz.evaluation.answers.Answers`.
    places
        See :data:`trainviz.evaluation.cells.PlaceTable`.

    Returns
    -------
    ndarray of float32, shape (n,)
        The largest difference in each cell.
    """
    slots, values, odds = known
    nine = slots[cell_points(cells, places)]
    foretold = bilinear(values[nine[CORNERS]], *centre_shares(cells, places))
    return weighed(foretold, values[nine[4]], odds[nine[4]], odds, nine[CORNERS])


def excess_at_edges(cells: IndexArray, known: Known, places: PlaceTable) -> Float32Array:
    """Return the same for the middles of cells' edges, as far as they are known; else 0."""
    slots, values, odds = known
    a, m, b = slots[cell_points(cells, places)][_LINES]
    up, right = centre_shares(cells, places)
    line, cell = np.nonzero(m >= 0)
    share = np.stack([right, right, up, up])[line, cell, None]
    start, end, middle = a[line, cell], b[line, cell], m[line, cell]
    low = values[start]
    low += share * (values[end] - low)
    wrong = weighed(low, values[middle], odds[middle], odds, np.stack([start, end]))
    edges = np.zeros(m.shape, np.float32)
    edges[line, cell] = wrong
    largest: Float32Array = edges.max(axis=0)
    return largest


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
        Log-probabilities and probabilities of the known points.
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


@inlined
def edge_excess(cell, half, nine, known, places, difference):
    """Return :func:`excess_at_edges` of one cell; ``difference`` is scratch."""
    slots, values, odds = known
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    worst = np.float32(0)
    for edge in range(4):
        start = (0, 6, 0, 2)[edge]
        step, share = (1, right) if edge < 2 else (3, up)
        middle = slots[nine[start + step]]
        if middle < 0:
            continue
        # Unsigned, so that Numba skips the check for negative indices.
        m, a = np.uintp(middle), np.uintp(slots[nine[start]])
        b = np.uintp(slots[nine[start + 2 * step]])
        common = np.float32(0)
        for k in range(len(difference)):
            low = values[a, k]
            difference[k] = low + share * (values[b, k] - low) - values[m, k]
            common += difference[k] * odds[m, k]
        for k in range(len(difference)):
            weight = max(odds[m, k], odds[a, k], odds[b, k])
            worst = max(worst, abs(difference[k] - common) * weight)
    return worst


@inlined
def centre_excess(cell, half, nine, known, places, difference):
    """Return :func:`excess_at_centres` of one cell."""
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    return excess_inside(nine, known[0][nine[4]], up, right, known, difference)


@inlined
def excess_inside(nine, slot, up, right, known, difference):
    """Return :func:`excess_at` of one known point in a cell."""
    _, values, odds = known
    return excess_of(nine, values[slot], odds[slot], up, right, known, difference)


@inlined
def excess_of(nine, found, at, up, right, known, difference):
    """Return the same of log-probabilities and probabilities at a point in a cell."""
    slots, values, odds = known
    # Unsigned, so that Numba skips the check for negative indices.
    a, b = np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]])
    worst = common = np.float32(0)
    for k in range(len(difference)):
        low = values[a, k] + right * (values[b, k] - values[a, k])
        high = values[c, k] + right * (values[d, k] - values[c, k])
        difference[k] = low + up * (high - low) - found[k]
        common += difference[k] * at[k]
    for k in range(len(difference)):
        weight = max(at[k], odds[a, k], odds[b, k], odds[c, k], odds[d, k])
        worst = max(worst, abs(difference[k] - common) * weight)
    return worst
