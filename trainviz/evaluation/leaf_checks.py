"""Checks of leaves against what is known of the model: at seeds, and on their edges.

A compiled loop and the function that precedes it return the same bits: each adds up the classes
in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import kernel, kernels_of
from trainviz.evaluation.cells import (
    KNOWN_TYPE,
    LEAF,
    PLACES_TYPE,
    cell_points,
    nine_points,
    position,
    sorted_once,
)
from trainviz.evaluation.error_estimate import (
    CORNERS,
    bilinear,
    excess_at,
    excess_inside,
    excess_of,
    weighed,
)

__all__ = ["KERNELS", "wrong_at_edges", "wrong_seeds"]


def _wrong_seeds_by_numpy(seeds, cells, state, known, places, limit):
    rows, columns, found, at = seeds
    slots, values, odds = known
    # The smallest cells have no quarters that could be split.
    size, seed = np.nonzero(state[cells[:-1]] & LEAF > 0)
    nine = cell_points(cells[size, seed], places)
    up, right = position(rows[seed], columns[seed], nine, places[1][-1] + 1)
    foretold = bilinear(values[slots[nine[CORNERS]]], up, right)
    off = weighed(foretold, found[seed], at[seed], odds, slots[nine[CORNERS]])
    leaves = np.full(len(rows), -1)
    wrong = off > limit
    leaves[seed[wrong]] = cells[size[wrong], seed[wrong]]
    return leaves


@kernel(
    "(Tuple((float64[::1], float64[::1], float32[:, ::1], float32[:, ::1])), intp[:, ::1], "
    f"uint8[::1], {KNOWN_TYPE}, {PLACES_TYPE}, float32)",
    _wrong_seeds_by_numpy,
)
def wrong_seeds(seeds, cells, state, known, places, limit):
    """Return the leaf of each seed that disagrees with it; -1 where it agrees.

    Parameters
    ----------
    seeds : tuple of ndarray
        Their rows and columns, which are given in grid units, log-probabilities and probabilities.
    cells : ndarray of int, shape (sizes, n)
        The cell of each size around each seed, from large to small.
    state, known, places
        As for :func:`trainviz.evaluation.subdivision.descend`.
    limit : float32
        Disagreement that is allowed.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    rows, lines, found, at = seeds
    values = known[1]
    starts, columns, _, _ = places
    n_columns, leaves = columns[-1] + 1, np.full(len(rows), -1)
    nine, difference = np.empty(9, np.intp), np.empty(values.shape[1], np.float32)
    for seed in range(len(rows)):
        # The smallest cells have no quarters that could be split.
        for size in range(len(cells) - 1):
            leaf = cells[size, seed]
            if not state[leaf] & LEAF:
                continue
            half = nine_points(leaf, places, nine)
            y, x = leaf // len(columns), leaf % len(columns)
            bottom, top = starts[y - half] // n_columns, starts[y + half] // n_columns
            left, right_end = columns[x - half], columns[x + half]
            up = np.float32((rows[seed] - bottom) / max(top - bottom, 1))
            right = np.float32((lines[seed] - left) / max(right_end - left, 1))
            off = excess_of(nine, found[seed], at[seed], up, right, known, difference)
            if off > limit:
                leaves[seed] = leaf
    return leaves


def _wrong_at_edges_by_numpy(state, known, places, limit):
    slots, values, odds = known
    starts, columns, ups, _ = places
    height, width, found = len(starts), len(columns), [np.empty(0, np.intp)]
    for half in 1 << np.arange(1, len(ups).bit_length() - 1):
        y, x = np.meshgrid(*(np.arange(half, n, 2 * half) for n in (height, width)), indexing="ij")
        cells = (y * width + x).ravel()
        cells = cells[state[cells] & LEAF > 0]
        nine, (y, x) = cell_points(cells, places), np.divmod(cells, width)
        # Places on the lower, upper, left and right edges.
        along, across = np.arange(1 - half, half)[:, None], np.full((2 * half - 1, 1), half)
        to_y = np.stack([y - across, y + across, y + along, y + along])
        to_x = np.stack([x + along, x + along, x - across, x + across])
        points = starts[to_y] + columns[to_x]
        between = (slots[points] >= 0) & (nine[CORNERS][:, None, None] != points).all(axis=0)
        side, _, cell = np.nonzero(between)
        at, around, to_y, to_x = points[between], nine[:, cell], to_y[between], to_x[between]
        rows, lines = np.divmod(at, columns[-1] + 1)
        up, right = position(rows, lines, around, columns[-1] + 1)
        there = values[slots[at]]
        wrong = excess_at(values, odds, slots[around[CORNERS]], up, right, there) > limit
        # The square before the point, and the one behind it.
        for back in (1, 0):
            low_y = to_y - (side == 1) - back * (side > 1)
            low_x = to_x - (side == 3) - back * (side < 2)
            found.append((low_y * width + low_x)[wrong])
    return np.unique(np.concatenate(found))


@kernel(f"(uint8[::1], {KNOWN_TYPE}, {PLACES_TYPE}, float32)", _wrong_at_edges_by_numpy)
def wrong_at_edges(state, known, places, limit):
    """Return the lower places of the unit squares where a leaf disagrees with a known point.

    Parameters
    ----------
    state, known, places
        As for :func:`trainviz.evaluation.subdivision.descend`.
    limit : float32
        Disagreement that is allowed, at a point on the edge of a leaf that can be divided.

    Returns
    -------
    ndarray of int
        A place as one number, row by row; ascending, each once.
    """
    slots, values, _ = known
    starts, columns, ups, _ = places
    height, width = len(starts), len(columns)
    nine, difference = np.empty(9, np.intp), np.empty(values.shape[1], np.float32)
    found, count = np.empty(64, np.intp), 0
    half = 2
    while half < len(ups):
        for y in range(half, height, 2 * half):
            for x in range(half, width, 2 * half):
                if not state[y * width + x] & LEAF:
                    continue
                nine_points(y * width + x, places, nine)
                for side in range(4):
                    for step in range(1 - half, half):
                        to_y = y + (2 * side - 1) * half if side < 2 else y + step
                        to_x = x + step if side < 2 else x + (2 * side - 5) * half
                        point = starts[to_y] + columns[to_x]
                        if slots[point] < 0:
                            continue
                        if (
                            point == nine[0] or point == nine[2] or point == nine[6]
                            or point == nine[8]
                        ):  # fmt: skip
                            continue
                        top, bottom = starts[y + half], starts[y - half]
                        end, left = columns[x + half], columns[x - half]
                        rows = max((top - bottom) // (columns[-1] + 1), 1)
                        up = np.float32((starts[to_y] - bottom) // (columns[-1] + 1) / rows)
                        right = np.float32((columns[to_x] - left) / max(end - left, 1))
                        off = excess_inside(nine, slots[point], up, right, known, difference)
                        if off > limit:
                            if count + 2 > len(found):
                                found = np.concatenate((found, found))
                            low_y, low_x = to_y - (side == 1), to_x - (side == 3)
                            found[count] = low_y * width + low_x
                            found[count + 1] = found[count] - (1 if side < 2 else width)
                            count += 2
        half *= 2
    count = sorted_once(found, count)
    return found[:count].copy()


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
