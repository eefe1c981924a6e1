"""The loops over a quadtree's cells, for Numba and in NumPy: refining cells, checking leaves.

All arrays are C-contiguous. A compiled loop and the function that precedes it return
the same bits: each adds up the classes in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float32Array, IndexArray
from trainviz._common.jit import inlined, kernel
from trainviz.evaluation.error_estimate import CORNERS, bilinear, excess, excess_at

__all__ = [
    "EDGED",
    "FOUND",
    "KERNELS",
    "LEAF",
    "LOOK",
    "SPLIT",
    "SPLIT_ALWAYS",
    "border_cells",
    "cell_points",
    "descend",
    "position",
    "quarters",
    "wrong_at_edges",
]

AnyArray = npt.NDArray[Any]

PlaceTable = tuple[IndexArray, IndexArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""What tells where a place of a lattice lies: the flat grid index at which its row starts, its
column, and how far up and to the right the centre of a cell of each size lies there."""

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


def position(
    rows: AnyArray, columns: AnyArray, nine: IndexArray, width: int
) -> tuple[Float32Array, Float32Array]:
    """Return positions in cells, which are given in grid units, as shares of the cells' sides."""
    (bottom, left), (top, right) = (np.divmod(nine[k], width) for k in (0, 8))
    up = (rows - bottom) / np.maximum(top - bottom, 1)
    along = (columns - left) / np.maximum(right - left, 1)
    return up.astype(np.float32), along.astype(np.float32)


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
    made = [[np.empty(0, np.intp)] for _ in range(4)]
    while len(centres) or len(edged):
        ready = (
            _reveal(cell_points(centres, places)[4:5], fetched, known[0], made[3]),
            _reveal(cell_points(edged, places)[_MIDDLES], fetched, known[0], made[3]),
        )
        made[0].append(centres[~ready[0]])
        made[1].append(edged[~ready[1]])
        centres, edged, leaves = _step(
            centres[ready[0]], edged[ready[1]], state, known, places, limits
        )
        made[2].append(leaves)
    return tuple(map(np.concatenate, made))


def _reveal(points, fetched, slots, revealed):
    """Make known the columns of points that were all fetched; return a mask of these columns."""
    found = fetched[points]
    ready = (found >= 0).all(axis=0)
    points = points[:, ready]
    revealed.append(np.unique(points[slots[points] < 0]))
    slots[points] = found[:, ready]
    return ready


def _step(centres, edged, state, known, places, limits):
    """Refine each cell; return those whose centres and edges to check next, and new leaves."""
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
        leaves,
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
    """Refine cells as far as points were fetched.

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

    Returns
    -------
    centres, edged
        The cells that wait for more points.
    leaves
        The cells that became leaves, some of which were divided later.
    revealed
        The points that became known.
    """
    slots, values, _ = known
    starts, columns, _, _ = places
    centre_limits, edge_limits, tolerance = limits
    height, width = len(starts), len(columns)
    room = len(centres) + len(edged) + len(state) // 2 + 8
    now, next_, waiting = np.empty(room, np.intp), np.empty(room, np.intp), np.empty(room, np.intp)
    now_edged, next_edged = np.empty(room, np.intp), np.empty(room, np.intp)
    waiting_edged, leaves = np.empty(room, np.intp), np.empty(room, np.intp)
    revealed, n_leaves, n_revealed = np.empty(len(fetched), np.intp), 0, 0
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
                if slots[nine[4]] < 0:
                    slots[nine[4]] = fetched[nine[4]]
                    revealed[n_revealed] = nine[4]
                    n_revealed += 1
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
                    if slots[nine[k]] < 0:
                        slots[nine[k]] = fetched[nine[k]]
                        revealed[n_revealed] = nine[k]
                        n_revealed += 1
                now_edged[n_now_edged] = now_edged[i]
                n_now_edged += 1
        n_next = n_next_edged = 0
        first_leaf = n_leaves
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
        for i in range(first_leaf, n_leaves):
            state[leaves[i]] |= LEAF
        # Of the leaves, those that are new, and those on the other side of edges that were found.
        for i in range(first_leaf, n_leaves + 4 * n_now_edged):
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
    # Copies, because a view would keep all of the room.
    return (
        waiting[:n_waiting].copy(), waiting_edged[:n_waiting_edged].copy(),
        leaves[:n_leaves].copy(), revealed[:n_revealed].copy(),
    )  # fmt: skip


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
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    return excess_inside(nine, known[0][nine[4]], up, right, known, difference)


@inlined
def excess_inside(nine, slot, up, right, known, difference):
    """Return :func:`trainviz.evaluation.error_estimate.excess_at` of a known point in a cell."""
    slots, values, odds = known
    m, a, b = np.uintp(slot), np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
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


def _wrong_at_edges_by_numpy(points, state, known, places, beside, limit):
    slots, values, odds = known
    _, columns, ups, _ = places
    row, column = np.divmod(points, columns[-1] + 1)
    y, x = beside[0][:, row], beside[1][:, column]
    # Four unit squares around each point, one after the other.
    y, x = np.stack([y[0], y[0], y[1], y[1]], axis=1), np.stack([x[0], x[1]] * 2, axis=1)
    found = []
    for half in 1 << np.arange(len(ups).bit_length())[:-1]:
        cells = ((y & -2 * half) + half) * len(columns) + (x & -2 * half) + half
        point, square = np.nonzero(state[cells] & LEAF > 0)
        nine = cell_points(cells[point, square], places)
        between = (nine[CORNERS] != points[point]).all(axis=0)
        point, square, nine = point[between], square[between], nine[:, between]
        up, right = position(row[point], column[point], nine, columns[-1] + 1)
        at = values[slots[points[point]]]
        wrong = excess_at(values, odds, slots[nine[CORNERS]], up, right, at) > limit
        found.append(y[point, square][wrong] * len(columns) + x[point, square][wrong])
    return np.sort(np.concatenate(found))


@kernel(
    f"(intp[::1], uint8[::1], {_KNOWN}, {_PLACES}, Tuple((intp[:, ::1], intp[:, ::1])), float32)",
    _wrong_at_edges_by_numpy,
)
def wrong_at_edges(points, state, known, places, beside, limit):
    """Return the lower places of the unit squares where a leaf disagrees with a known point.

    Parameters
    ----------
    points : ndarray of int
        Flat grid indices of known points.
    state, known, places
        As for :func:`descend`.
    beside : tuple of ndarray of int, shape (2, H) and (2, W)
        The places before and after each row and column of the grid.
    limit : float32
        Disagreement that is allowed.

    Returns
    -------
    ndarray of int
        A place as one number, row by row; ascending, once for each point.
    """
    slots, values, _ = known
    starts, columns, ups, _ = places
    width, n_columns = len(columns), columns[-1] + 1
    nine, difference = np.empty(9, np.intp), np.empty(values.shape[1], np.float32)
    found, count = np.empty(64, np.intp), 0
    for point in points:
        row, column = point // n_columns, point % n_columns
        for square in range(4):
            y, x = beside[0][square // 2, row], beside[1][square % 2, column]
            half = 1
            while half < len(ups):
                to_y, to_x = (y & -2 * half) + half, (x & -2 * half) + half
                if state[to_y * width + to_x] & LEAF:
                    break
                half *= 2
            if half >= len(ups):
                continue
            bottom, top = starts[to_y - half], starts[to_y + half]
            left, end = columns[to_x - half], columns[to_x + half]
            up, right = point - column - bottom, column - left
            if (up == 0 or up == top - bottom) and (right == 0 or right == end - left):
                continue  # A corner.
            nine[0], nine[2], nine[6], nine[8] = bottom + left, bottom + end, top + left, top + end
            up = np.float32(up / max(top - bottom, 1))
            right = np.float32(right / max(end - left, 1))
            if excess_inside(nine, slots[point], up, right, known, difference) > limit:
                if count == len(found):
                    found = np.concatenate((found, found))
                found[count] = y * width + x
                count += 1
    return np.sort(found[:count])


def _border_cells_by_numpy(leaves, state, known, places, shift):
    slots, values, _ = known
    leaves = leaves[state[leaves] & LEAF > 0]
    nine = cell_points(leaves, places)
    first = values[slots[nine[CORNERS]]].argmax(axis=2)
    crossed = (first != first[0]).any(axis=0)
    waits = crossed & (slots[nine[4]] < 0)
    waiting, crossed = leaves[waits], crossed & ~waits
    leaves, nine, first = leaves[crossed], nine[:, crossed], first[:, crossed]
    corners, centre = values[slots[nine[CORNERS]]], values[slots[nine[4]]]
    rows, columns = np.divmod(nine, places[1][-1] + 1)
    up, right = position(rows[4], columns[4], nine, places[1][-1] + 1)
    error = bilinear(corners.copy(), up, right) - centre
    shifted, cell = np.zeros(len(leaves), bool), np.arange(len(leaves))
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = first[i], first[j]
            start = corners[i, cell, a] - corners[i, cell, b]
            end = corners[j, cell, a] - corners[j, cell, b]
            height = rows[CORNERS[i]] - rows[CORNERS[j]]
            width = columns[CORNERS[i]] - columns[CORNERS[j]]
            off = np.abs(error[cell, a] - error[cell, b]) * np.sqrt(height**2 + width**2)
            shifted |= (a != b) & (off > shift * np.abs(start - end).astype(float))
    return waiting, leaves[shifted]


@kernel(f"(intp[::1], uint8[::1], {_KNOWN}, {_PLACES}, float64)", _border_cells_by_numpy)
def border_cells(leaves, state, known, places, shift):
    """Return the leaves in which a border between two classes may not be where it seems to be.

    The border is where the difference of two log-probabilities changes its sign. Between two
    corners of different classes, its error at the centre divided by its slope is the error
    of the border's place.

    Parameters
    ----------
    leaves : ndarray of int
        Cells, of which those that are no leaves any more are left out.
    state, known, places
        As for :func:`descend`.
    shift : float
        By how many grid points a border may be off.

    Returns
    -------
    waiting, shifted : ndarray of int
        The leaves whose centres are not known, and those in which the border is off.
    """
    slots, values, _ = known
    _, columns, ups, rights = places
    width, n_columns, n_classes = len(columns), columns[-1] + 1, values.shape[1]
    waiting, shifted = np.empty(64, np.intp), np.empty(64, np.intp)
    n_waiting = n_shifted = 0
    nine, corners, first = np.empty(9, np.intp), np.empty(4, np.uintp), np.empty(4, np.uintp)
    error = np.empty(n_classes, np.float32)
    for cell in leaves:
        if not state[cell] & LEAF:
            continue
        half = nine_points(cell, places, nine)
        for i in range(4):
            corners[i] = np.uintp(slots[nine[(0, 2, 6, 8)[i]]])
            best = 0
            for k in range(1, n_classes):
                if values[corners[i], k] > values[corners[i], best]:
                    best = k
            first[i] = np.uintp(best)
        if first[0] == first[1] and first[0] == first[2] and first[0] == first[3]:
            continue
        if slots[nine[4]] < 0:
            if n_waiting == len(waiting):
                waiting = np.concatenate((waiting, waiting))
            waiting[n_waiting] = cell
            n_waiting += 1
            continue
        up, right = ups[half, cell // width - half], rights[half, cell % width - half]
        for k in range(n_classes):
            low, high = values[corners[0], k], values[corners[2], k]
            low = low + right * (values[corners[1], k] - low)
            high = high + right * (values[corners[3], k] - high)
            error[k] = low + up * (high - low) - values[np.uintp(slots[nine[4]]), k]
        if is_shifted(nine, corners, first, error, values, n_columns, shift):
            if n_shifted == len(shifted):
                shifted = np.concatenate((shifted, shifted))
            shifted[n_shifted] = cell
            n_shifted += 1
    return waiting[:n_waiting], shifted[:n_shifted]


@inlined
def is_shifted(nine, corners, first, error, values, n_columns, shift):
    """Return whether the border between the classes of two corners of a cell is off."""
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = first[i], first[j]
            if a == b:
                continue
            start = values[corners[i], a] - values[corners[i], b]
            end = values[corners[j], a] - values[corners[j], b]
            p, q = nine[(0, 2, 6, 8)[i]], nine[(0, 2, 6, 8)[j]]
            height, width = p // n_columns - q // n_columns, p % n_columns - q % n_columns
            distance = np.sqrt(np.float64(height**2 + width**2))
            off = np.float64(abs(error[a] - error[b])) * distance
            if off > shift * np.float64(abs(start - end)):
                return True
    return False


KERNELS = (border_cells, wrong_at_edges, descend)
"""In compilation order: last the one that compiles longest."""
