"""The loops of evaluation, for Numba and in NumPy: refining, filling a lattice, normalising.

All arrays are C-contiguous. A compiled loop and the function that precedes it return
the same bits: each adds up the classes in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import IndexArray
from trainviz._common.jit import inlined, kernel
from trainviz.evaluation.error_estimate import excess

__all__ = [
    "EDGED",
    "FOUND",
    "KERNELS",
    "LEAF",
    "LOOK",
    "SPLIT",
    "SPLIT_ALWAYS",
    "cell_points",
    "descend",
    "fill_lattice",
    "normalise_odds",
    "quarters",
]

PlaceTable = tuple[IndexArray, IndexArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""What tells where a place of a lattice lies: the flat grid index at which its row starts, its
column, and how far up and to the right the centre of a cell of each size lies there."""

_AXIS_STEPS = "Tuple((uintp[::1], intp[::1], uintp[:, ::1], float32[::1], intp[::1]))"
_KNOWN = "Tuple((int32[::1], float32[:, ::1], float32[:, ::1]))"
_PLACES = "Tuple((intp[::1], intp[::1], float32[:, ::1], float32[:, ::1]))"
_LIMITS = "Tuple((float32[::1], float32[::1], float32))"

LEAF, EDGED, FOUND, SPLIT, LOOK, SPLIT_ALWAYS = (np.uint8(1 << bit) for bit in range(6))
"""Bits of a cell's state: it is interpolated as it is; its edges were checked; its values differ
from the interpolation; it was split. And orders that hold whatever its values are: check its
edges; check them and split it."""


def cell_points(cells: IndexArray, places: PlaceTable) -> IndexArray:
    """Return the flat grid indices of each cell's corners, edges and centre, shape (9, n)."""
    starts, columns, _, _ = places
    y, x = np.divmod(cells, len(columns))
    steps = (y & -y) * _STEPS
    points: IndexArray = starts[y + steps][:, None] + columns[x + steps]
    return points.reshape(9, -1)


def quarters(cells: IndexArray, width: int) -> IndexArray:
    """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
    y, x = np.divmod(cells, width)
    y, x = np.stack([y, x])[:, None] + _QUARTERS * ((y & -y) // 2)
    found: IndexArray = y * width + x
    return found.ravel()


_STEPS = np.array([[-1], [0], [1]])
_MIDDLES = np.array([1, 3, 5, 7])
_QUARTERS = np.array([[[-1], [-1], [1], [1]], [[-1], [1], [-1], [1]]])


def _descend_by_numpy(centres, edged, state, fetched, known, places, limits):
    waiting = [(np.empty(0, np.intp), np.empty(0, np.intp))]
    while len(centres) or len(edged):
        ready = (
            _reveal(cell_points(centres, places)[4:5], fetched, known[0]),
            _reveal(cell_points(edged, places)[_MIDDLES], fetched, known[0]),
        )
        waiting.append((centres[~ready[0]], edged[~ready[1]]))
        centres, edged = _step(centres[ready[0]], edged[ready[1]], state, known, places, limits)
    first, second = map(np.concatenate, zip(*waiting, strict=True))
    return first, second


def _reveal(points, fetched, slots):
    """Make known the columns of points that were all fetched; return a mask of these columns."""
    found = fetched[points]
    ready = (found >= 0).all(axis=0)
    slots[points[:, ready]] = found[:, ready]
    return ready


def _step(centres, edged, state, known, places, limits):
    """Refine each cell by one step; return the cells whose centres and edges to check next."""
    centre_limits, edge_limits, tolerance = limits
    width = len(places[1])
    found = _excess_of_cells(centres, known, places, 0) > centre_limits[_halves(centres, width)]
    state[centres[found]] |= FOUND
    deeper = found | (state[centres] & (LOOK | SPLIT_ALWAYS) > 0)

    wrong = _excess_of_cells(edged, known, places, 2)
    half = _halves(edged, width)
    state[edged] |= EDGED
    state[edged[wrong > tolerance]] |= FOUND
    divide = (wrong > edge_limits[half]) | (state[edged] & SPLIT_ALWAYS > 0)
    split, whole = edged[divide & (half > 1)], edged[~divide & (half > 1)]
    state[split] |= SPLIT

    leaves = np.concatenate([centres[~deeper], quarters(whole, width)])
    state[leaves] |= LEAF
    touched = np.concatenate([leaves, _leaves_beside(edged, state, places)])
    off = np.unique(touched[_excess_of_cells(touched, known, places, 1) > tolerance])
    state[off] &= ~LEAF
    has_centre = known[0][cell_points(off, places)[4]] >= 0
    state[off[has_centre]] |= LOOK
    return (
        np.concatenate([quarters(split, width), off[~has_centre]]),
        np.concatenate([centres[deeper], off[has_centre]]),
    )


def _halves(cells, width):
    y = cells // width
    return y & -y


def _leaves_beside(cells, state, places):
    """Return the leaves on the other side of cells' edges."""
    height, width = len(places[0]), len(places[1])
    y, x = np.divmod(cells, width)
    side = 2 * (y & -y)
    ys = np.concatenate([y - side, y + side, y, y])
    xs = np.concatenate([x, x, x - side, x + side])
    inside = (ys > 0) & (xs > 0) & (ys < height) & (xs < width)
    beside = (ys * width + xs)[inside]
    return beside[state[beside] & LEAF > 0]


def _excess_of_cells(cells, known, places, part):
    if not len(cells):
        return np.empty(0, np.float32)
    slots, values, odds = known
    _, columns, ups, rights = places
    y, x = np.divmod(cells, len(columns))
    half = y & -y
    up, right = ups[half, y - half], rights[half, x - half]
    return excess(values, odds, slots[cell_points(cells, places)], up, right, part)


@kernel(
    f"(intp[::1], intp[::1], uint8[::1], int32[::1], {_KNOWN}, {_PLACES}, {_LIMITS})",
    _descend_by_numpy,
)
def descend(centres, edged, state, fetched, known, places, limits):
    """Refine cells as far as points were fetched; return those that wait for more points.

    Parameters
    ----------
    centres, edged : ndarray of int
        Cells whose centres are to be checked, which decides whether they are
        leaves; cells whose centres are known and whose edges are to be checked.
    state
        Of :class:`trainviz.evaluation.quadtree.Quadtree`.
    fetched, known
        Of :class:`trainviz.evaluation.answers.Answers`; ``known`` are slots, values and odds.
    places
        See ``Places``: starts, columns, up and right.
    limits
        For centres and for edges, by half a cell's side; and the tolerance.
    """
    slots, values, _ = known
    starts, columns, _, _ = places
    centre_limits, edge_limits, tolerance = limits
    height, width = len(starts), len(columns)
    room = len(centres) + len(edged) + len(state) // 2 + 8
    now, next_, waiting = np.empty(room, np.intp), np.empty(room, np.intp), np.empty(room, np.intp)
    now_edged, next_edged = np.empty(room, np.intp), np.empty(room, np.intp)
    waiting_edged, leaves = np.empty(room, np.intp), np.empty(room, np.intp)
    n_now, n_now_edged, n_waiting, n_waiting_edged = len(centres), len(edged), 0, 0
    now[:n_now] = centres
    now_edged[:n_now_edged] = edged
    nine, difference = np.empty(9, np.intp), np.empty(values.shape[1], np.float32)
    # All cells go a step on together, so that it does not matter which comes first.
    while n_now or n_now_edged:
        count, n_now = n_now, 0
        for i in range(count):
            nine_points(now[i], places, nine)
            if fetched[nine[4]] < 0:
                waiting[n_waiting] = now[i]
                n_waiting += 1
            else:
                slots[nine[4]] = fetched[nine[4]]
                now[n_now] = now[i]
                n_now += 1
        count, n_now_edged = n_now_edged, 0
        for i in range(count):
            nine_points(now_edged[i], places, nine)
            if min(fetched[nine[1]], fetched[nine[3]], fetched[nine[5]], fetched[nine[7]]) < 0:
                waiting_edged[n_waiting_edged] = now_edged[i]
                n_waiting_edged += 1
            else:
                for k in range(1, 8, 2):
                    slots[nine[k]] = fetched[nine[k]]
                now_edged[n_now_edged] = now_edged[i]
                n_now_edged += 1
        n_next = n_next_edged = n_leaves = 0
        for i in range(n_now):
            cell = now[i]
            half = nine_points(cell, places, nine)
            if excess_at_centre(cell, half, nine, known, places, difference) > centre_limits[half]:
                state[cell] |= FOUND
            if state[cell] & (FOUND | LOOK | SPLIT_ALWAYS):
                next_edged[n_next_edged] = cell
                n_next_edged += 1
            else:
                leaves[n_leaves] = cell
                n_leaves += 1
        for i in range(n_now_edged):
            cell = now_edged[i]
            half = nine_points(cell, places, nine)
            wrong = excess_at_centre(cell, half, nine, known, places, difference)
            wrong = max(wrong, excess_at_edges(cell, half, nine, known, places, difference))
            state[cell] |= EDGED
            if wrong > tolerance:
                state[cell] |= FOUND
            split = wrong > edge_limits[half] or state[cell] & SPLIT_ALWAYS > 0
            if split and half > 1:
                state[cell] |= SPLIT
            for k in range(4 if half > 1 else 0):
                part = cell + half // 2 * (width * (k // 2 * 2 - 1) + k % 2 * 2 - 1)
                if split:
                    next_[n_next] = part
                    n_next += 1
                else:
                    leaves[n_leaves] = part
                    n_leaves += 1
        for i in range(n_leaves):
            state[leaves[i]] |= LEAF
        # Of the leaves, those that are new, and those on the other side of edges that were found.
        for i in range(n_leaves + 4 * n_now_edged):
            if i < n_leaves:
                leaf = leaves[i]
            else:
                leaf = beside(now_edged[(i - n_leaves) // 4], (i - n_leaves) % 4, height, width)
            if leaf < 0 or not state[leaf] & LEAF:
                continue
            half = nine_points(leaf, places, nine)
            if excess_at_edges(leaf, half, nine, known, places, difference) <= tolerance:
                continue
            state[leaf] &= ~LEAF
            if slots[nine[4]] >= 0:
                state[leaf] |= LOOK
                next_edged[n_next_edged] = leaf
                n_next_edged += 1
            else:
                next_[n_next] = leaf
                n_next += 1
        now, next_, n_now = next_, now, n_next
        now_edged, next_edged, n_now_edged = next_edged, now_edged, n_next_edged
    return waiting[:n_waiting], waiting_edged[:n_waiting_edged]


@inlined
def beside(cell, side, height, width):
    """Return the cell of the same size on the other side of one of four edges; -1 without."""
    y, x = cell // width, cell % width
    step = 2 * (y & -y) * (side % 2 * 2 - 1)
    y, x = (y + step, x) if side < 2 else (y, x + step)
    return y * width + x if 0 < y < height and 0 < x < width else -1


@inlined
def nine_points(cell, places, nine):
    """Write the flat grid indices of a cell's corners, edges and centre; return half its side."""
    starts, columns, _, _ = places
    y, x = cell // len(columns), cell % len(columns)
    half = y & -y
    for k in range(9):
        nine[k] = starts[y + half * (k // 3 - 1)] + columns[x + half * (k % 3 - 1)]
    return half


@inlined
def excess_at_edges(cell, half, nine, known, places, difference):
    """Return :func:`trainviz.evaluation.error_estimate.excess` of the known edges of a cell.

    ``difference`` is scratch.
    """
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
def excess_at_centre(cell, half, nine, known, places, difference):
    """Return :func:`trainviz.evaluation.error_estimate.excess` of the centre of a cell."""
    slots, values, odds = known
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    m, a, b = np.uintp(slots[nine[4]]), np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]])
    worst = common = np.float32(0)
    for k in range(len(difference)):
        low = values[a, k] + right * (values[b, k] - values[a, k])
        high = values[c, k] + right * (values[d, k] - values[c, k])
        difference[k] = low + up * (high - low) - values[m, k]
        common += difference[k] * odds[m, k]
    for k in range(len(difference)):
        weight = max(odds[m, k], odds[a, k], odds[b, k], odds[c, k], odds[d, k])
        worst = max(worst, abs(difference[k] - common) * weight)
    return worst


LOW = np.float32(-40)
"""Below this, the highest logarithm of a pixel is subtracted from all, because the exponentials of
all classes would underflow to 0: interpolation between two regions, each of which is certain of
another class, gives every class a low logarithm."""


def _fill_lattice_by_numpy(values, points, ends, row_steps, column_steps, filled):
    rows, row_ends, new_rows, row_shares, new_row_ends = row_steps
    columns, column_ends, new_columns, column_shares, new_column_ends = column_steps
    # Class by class, so that the plane at work stays in the processor's cache.
    for plane, known in zip(filled, values, strict=True):
        flat, start = plane.reshape(-1), 0
        for depth, end in enumerate(ends):
            if depth:
                there = rows[row_ends[depth - 1] : row_ends[depth]]
                which = slice(new_column_ends[depth - 1], new_column_ends[depth])
                new, left, right = new_columns[which].T
                lines = plane[there]
                low = lines[:, left]
                between = (lines[:, right] - low) * column_shares[which] + low
                plane[there[:, None], new] = between
                there = columns[column_ends[depth] : column_ends[depth + 1]]
                which = slice(new_row_ends[depth - 1], new_row_ends[depth])
                new, below, above = new_rows[which].T
                low = plane[below][:, there]
                between = (plane[above][:, there] - low) * row_shares[which, None] + low
                plane[new[:, None], there] = between
            flat[points[start:end]] = known[start:end]
            start = end


@kernel(
    f"(float32[:, ::1], uintp[::1], intp[::1], {_AXIS_STEPS}, {_AXIS_STEPS}, float32[:, :, ::1])",
    _fill_lattice_by_numpy,
)
def fill_lattice(values, points, ends, row_steps, column_steps, filled):
    """Interpolate values over a whole grid, level by level.

    ``values`` (C, n) lie at the flat grid indices ``points``, ordered by level;
    those of each level end at ``ends``. The steps of each axis are those of
    ``_steps`` in :mod:`trainviz.evaluation.lattice`.
    """
    for k in range(len(values)):
        plane = filled[k]
        flat = plane.reshape(-1)
        for depth in range(len(ends)):
            if depth:
                fill_columns(plane, depth, row_steps, column_steps)
                fill_rows(plane, depth, row_steps, column_steps)
            for i in range(ends[depth - 1] if depth else 0, ends[depth]):
                flat[points[i]] = values[k, i]


@inlined
def fill_columns(plane, depth, row_steps, column_steps):
    """Interpolate a level's new columns, in the rows of the level before."""
    lines, lines_ends, _, _, _ = row_steps
    _, _, columns, shares, ends = column_steps
    for line in range(lines_ends[depth - 1], lines_ends[depth]):
        row = plane[lines[line]]
        for i in range(ends[depth - 1], ends[depth]):
            left = row[columns[i, 1]]
            row[columns[i, 0]] = (row[columns[i, 2]] - left) * shares[i] + left


@inlined
def fill_rows(plane, depth, row_steps, column_steps):
    """Interpolate a level's new rows, in all of its columns."""
    _, _, rows, shares, ends = row_steps
    lines, lines_ends, _, _, _ = column_steps
    first, last = lines_ends[depth], lines_ends[depth + 1]
    for i in range(ends[depth - 1], ends[depth]):
        row, low, high = plane[rows[i, 0]], plane[rows[i, 1]], plane[rows[i, 2]]
        if last - first == len(row):
            for x in range(len(row)):
                row[x] = (high[x] - low[x]) * shares[i] + low[x]
        else:
            for place in range(first, last):
                x = lines[place]
                row[x] = (high[x] - low[x]) * shares[i] + low[x]


def _normalise_by_numpy(logs):
    highest = logs.max(axis=0)
    low = (highest < LOW).any(axis=1)
    if low.any():
        logs[:, low] -= highest[low]
    total = np.zeros(logs.shape[1:], np.float32)
    for plane in logs:
        _exponentials_by_numpy(plane)
        total += plane
    for plane in logs:
        plane /= total


def _exponentials_by_numpy(values):
    whole = np.floor(values * _LOG2_E + _HALF)
    rest = values - whole * _LN2 - whole * _LN2_REST
    np.multiply(rest, _C5, out=values)
    for term in (_C4, _C3, _C2):
        values += term
        values *= rest
    values *= rest
    values += rest
    values += _ONE
    exponent = np.where(whole > _LOWEST_POWER, whole + _BIAS, _NONE)
    values *= (exponent * _MANTISSA).astype(np.int32).view(np.float32)


_LOG2_E, _LN2, _LN2_REST, _C2, _C3, _C4, _C5 = (
    np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4),
    np.float32(0.499992311), np.float32(0.166671142), np.float32(0.0418901145),
    np.float32(0.00831252523),
)  # fmt: skip
_NONE, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOWEST_POWER, _BIAS, _MANTISSA = np.float32(-100), np.float32(127), np.float32(2**23)


@kernel("(float32[:, :, ::1],)", _normalise_by_numpy)
def normalise_odds(logs):
    """Turn log-probabilities, shape (C, H, W), into probabilities that sum to 1; in place.

    Those below 1e-30 become 0.
    """
    n, height, width = logs.shape
    total, bits = np.empty(width, np.float32), np.empty(width, np.int32)
    for y in range(height):
        raise_row(logs, y, total)
        for x in range(width):
            total[x] = 0
        for k in range(n):
            row = logs[k, y]
            exponentials(row, bits)
            for x in range(width):
                total[x] += row[x]
        for k in range(n):
            row = logs[k, y]
            for x in range(width):
                row[x] /= total[x]


@inlined
def raise_row(logs, y, highest):
    """Subtract each pixel's highest logarithm in a row of pixels, if one of them is below LOW."""
    n_low = np.int32(0)
    for x in range(len(highest)):
        highest[x] = logs[0, y, x]
    for k in range(1, len(logs)):
        row = logs[k, y]
        for x in range(len(row)):
            highest[x] = row[x] if row[x] > highest[x] else highest[x]
    for x in range(len(highest)):
        n_low += np.int32(highest[x] < LOW)
    if n_low:
        for k in range(len(logs)):
            row = logs[k, y]
            for x in range(len(row)):
                row[x] -= highest[x]


@inlined
def exponentials(row, bits):
    """Replace each value by its exponential, or by 0 if the value is below -69.

    A power of two times a polynomial of the remainder, with an error of 1e-7
    at most. Smaller results become 0 because arithmetic with denormal numbers
    is a hundred times as slow. ``bits`` is scratch.
    """
    for x in range(len(row)):
        whole = np.floor(row[x] * _LOG2_E + _HALF)
        rest = row[x] - whole * _LN2 - whole * _LN2_REST
        power = (((_C5 * rest + _C4) * rest + _C3) * rest + _C2) * rest * rest + rest + _ONE
        exponent = whole + _BIAS if whole > _LOWEST_POWER else _NONE
        row[x], bits[x] = power, np.int32(exponent * _MANTISSA)
    powers = bits.view(np.float32)
    for x in range(len(row)):
        row[x] *= powers[x]


KERNELS = (fill_lattice, normalise_odds, descend)
"""In compilation order: first those that films need, last the one that compiles longest."""
