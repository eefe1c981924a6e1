"""Estimates of the interpolation error of probabilities from that of log-probabilities.

First in NumPy, for many cells at once, then for one cell, for compiled loops. Both return the same
bits: they add up the classes in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import Float32Array, IndexArray, Int32Array
from trainviz._common.jit import inlined
from trainviz.evaluation.cells import (
    Known,
    PlaceTable,
    cell_points,
    centre_shares,
    inner_shares,
    quarters,
    shares_at,
)

__all__ = [
    "CORNERS",
    "INNER",
    "bilinear",
    "centre_excess",
    "edge_excess",
    "errors_around",
    "errors_at",
    "errors_of",
    "excess_at",
    "excess_at_centres",
    "excess_at_edges",
    "excess_in_quarters",
    "excess_inside",
    "excess_of",
    "is_quarter_within",
    "weighed",
]


CORNERS = np.array([0, 2, 6, 8])
"""Positions of a cell's corners among its nine points."""

INNER = 1, 3, 4, 5, 7
"""Positions of a cell's centre and the middles of its edges among its nine points."""

_LINES = np.array([[0, 6, 0, 2], [1, 7, 3, 5], [2, 8, 6, 8]])
"""Start, middle and end of a cell's four edges among its nine points."""

_ROWS_OF_QUARTERS = (2, 0, 1), (2, 0, 3), (2, 4, 1), (2, 4, 3)
"""Of each quarter, the points among the inner ones that are on its edges."""


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


def errors_of(cells: IndexArray, k: int, known: Known, places: PlaceTable) -> Float32Array:
    """Return how far the interpolation between corners is off at one of nine points, (n, C)."""
    slots, values, _ = known
    nine = slots[cell_points(cells, places)]
    errors = bilinear(values[nine[CORNERS]], *shares_at(k, cells, places))
    errors -= values[nine[k]]
    return errors


def excess_in_quarters(cells: IndexArray, known: Known, places: PlaceTable) -> Float32Array:
    """Return how far quarters of cells may be off; all nine points of a cell are known.

    Interpolation at half the spacing is hardly worse than it was in the whole cell, kink or not. So
    the errors at the cell's centre and on its edges at the quarter are those of the quarter, but
    weighted by the probabilities at its own corners.

    Returns
    -------
    ndarray of float32, shape (4 * n,)
        In the order of :func:`trainviz.evaluation.cells.quarters`.
    """
    slots, _, odds = known
    parts, n = quarters(cells, len(places[1])), len(cells)
    a, b, c, d = around = odds[slots[cell_points(parts, places)[CORNERS]]]
    mean, highest = (a + b + c + d) * np.float32(0.25), around.max(axis=0)
    largest = np.zeros(4 * n, np.float32)
    for part in range(4):
        own = slice(part * n, (part + 1) * n)
        for row in _ROWS_OF_QUARTERS[part]:
            difference = errors_of(cells, INNER[row], known, places)
            difference -= np.add.accumulate(difference * mean[own], axis=1)[:, -1:]
            wrong = (np.abs(difference) * highest[own]).max(axis=1)
            largest[own] = np.maximum(largest[own], wrong)
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
    (_, up, _), (_, right, _) = inner_shares(cell, half, places)
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
    ups, rights = inner_shares(cell, half, places)
    return excess_inside(nine, known[0][nine[4]], ups[1], rights[1], known, difference)


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


@inlined
def errors_around(cell, half, nine, known, places, errors):
    """Write the errors at all inner points of a cell, row by row."""
    for row in range(5):
        errors_at(cell, half, nine, INNER[row], known, places, errors, row)


@inlined
def errors_at(cell, half, nine, k, known, places, errors, row):
    """Write :func:`errors_of` one cell into a row."""
    slots, values, _ = known
    ups, rights = inner_shares(cell, half, places)
    up, right = ups[k // 3], rights[k % 3]
    a, b = np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d, m = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]]), np.uintp(slots[nine[k]])
    for i in range(errors.shape[1]):
        low = values[a, i] + right * (values[b, i] - values[a, i])
        high = values[c, i] + right * (values[d, i] - values[c, i])
        errors[row, i] = low + up * (high - low) - values[m, i]


@inlined
def is_quarter_within(limit, part, nine, known, errors):
    """Return whether :func:`excess_in_quarters` is at most that in a quarter with these points."""
    slots, _, odds = known
    a, b = np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]])
    for row in _ROWS_OF_QUARTERS[part]:
        common = np.float32(0)
        for k in range(errors.shape[1]):
            mean = (odds[a, k] + odds[b, k] + odds[c, k] + odds[d, k]) * np.float32(0.25)
            common += errors[row, k] * mean
        for k in range(errors.shape[1]):
            weight = max(odds[a, k], odds[b, k], odds[c, k], odds[d, k])
            if abs(errors[row, k] - common) * weight > limit:
                return False
    return True
