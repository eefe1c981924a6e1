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
from trainviz.evaluation.error_estimate import CORNERS, bilinear, excess, excess_at, weighed

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
    "missing",
    "position",
    "quarters",
    "wrong_at_edges",
    "wrong_seeds",
]

AnyArray = npt.NDArray[Any]

PlaceTable = tuple[IndexArray, IndexArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""What tells where a place of a lattice lies: the flat grid index at which its row starts, its
column, and how far up and to the right the centre of a cell of each size lies there."""

_KNOWN = "Tuple((int32[::1], float32[:, ::1], float32[:, ::1]))"
_PLACES = "Tuple((intp[::1], intp[::1], float32[:, ::1], float32[:, ::1]))"
_LIMITS = "Tuple((float32[::1], float32[::1], float32, float64))"

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


def _descend_by_numpy(centres, edged, borders, state, fetched, known, places, limits):
    made = [[np.empty(0, np.intp)] for _ in range(3)]
    while len(centres) or len(edged) or len(borders):
        borders = borders[state[borders] & LEAF > 0]
        ready = (
            _reveal(cell_points(centres, places)[4:5], fetched, known[0]),
            _reveal(cell_points(edged, places)[_MIDDLES], fetched, known[0]),
            _reveal(cell_points(borders, places)[4:5], fetched, known[0]),
        )
        for cells, there, waiting in zip((centres, edged, borders), ready, made, strict=True):
            waiting.append(cells[~there])
        centres, edged, borders = _step(
            centres[ready[0]], edged[ready[1]], borders[ready[2]], state, known, places, limits
        )
    return tuple(map(np.concatenate, made))


def _reveal(points, fetched, slots):
    """Make known the columns of points that were all fetched; return a mask of these columns."""
    found = fetched[points]
    ready = (found >= 0).all(axis=0)
    slots[points[:, ready]] = found[:, ready]
    return ready


def _step(centres, edged, borders, state, known, places, limits):
    """Refine each cell; return those whose centres, edges and borders to check next."""
    centre_limits, edge_limits, tolerance, shift = limits
    width = len(places[1])
    found = _excess_of_cells(centres, known, places, 0) > centre_limits[_halves(centres, width)]
    state[centres[found]] |= FOUND
    deeper = found | (state[centres] & (LOOK | SPLIT_ALWAYS) > 0)

    half = _halves(edged, width)
    shown = _excess_of_cells(edged, known, places, 0)
    wrong = np.maximum(shown, _excess_of_cells(edged, known, places, 1))
    state[edged] |= EDGED
    state[edged[shown <= centre_limits[half]]] |= LOOK
    state[edged[wrong > tolerance]] |= FOUND
    divide = (wrong > edge_limits[half]) | (state[edged] & SPLIT_ALWAYS > 0)
    split, whole = edged[divide & (half > 1)], edged[~divide & (half > 1)]
    state[split] |= SPLIT

    shifted = borders[_shifted(borders, known, places, shift)]
    state[shifted] &= ~LEAF
    leaves = np.concatenate([centres[~deeper], quarters(whole, width)])
    parents = np.concatenate([np.full(len(leaves) - 4 * len(whole), -1), np.tile(whole, 4)])
    state[leaves] |= LEAF
    touched = np.concatenate([leaves, _leaves_beside(edged, state, places)])
    off = np.unique(touched[_excess_of_cells(touched, known, places, 1) > tolerance])
    state[off] &= ~LEAF
    has_centre = known[0][cell_points(off, places)[4]] >= 0
    crossed = (state[leaves] & LEAF > 0) & _crossed(leaves, known, places)
    leaves, parents = leaves[crossed], parents[crossed]
    certain = parents >= 0
    certain[certain] = ~_may_be_shifted(leaves[certain], parents[certain], known, places, shift)
    return (
        np.concatenate([quarters(split, width), off[~has_centre]]),
        np.concatenate([centres[deeper], off[has_centre], shifted]),
        leaves[~certain],
    )


def _crossed(leaves, known, places):
    """Return a mask of the leaves between whose corners a border between classes runs."""
    slots, values, _ = known
    first = values[slots[cell_points(leaves, places)[CORNERS]]].argmax(axis=2)
    return (first != first[0]).any(axis=0)


def _shifted(leaves, known, places, shift):
    """Return a mask of the leaves with known centres in which a border is off."""
    return _off(leaves, _errors(leaves, 4, known, places)[None], known, places, shift)


def _may_be_shifted(leaves, parents, known, places, shift):
    """Return a mask of the quarters of cells with known edges in which a border may be off."""
    errors = np.stack([_errors(parents, k, known, places) for k in (1, 3, 4, 5, 7)])
    return _off(leaves, errors, known, places, shift)


def _errors(cells, k, known, places):
    """Return how far the interpolation between corners is off at one of nine points, (n, C)."""
    slots, values, _ = known
    nine = cell_points(cells, places)
    rows, columns = np.divmod(nine[k], places[1][-1] + 1)
    up, right = position(rows, columns, nine, places[1][-1] + 1)
    return bilinear(values[slots[nine[CORNERS]]], up, right) - values[slots[nine[k]]]


def _off(leaves, errors, known, places, shift):
    """Return a mask of the leaves in which one of some errors, (m, n, C), moves a border."""
    slots, values, _ = known
    nine = cell_points(leaves, places)
    corners = values[slots[nine[CORNERS]]]
    first = corners.argmax(axis=2)
    rows, columns = np.divmod(nine, places[1][-1] + 1)
    shifted, cell = np.zeros(len(leaves), bool), np.arange(len(leaves))
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = first[i], first[j]
            start = corners[i, cell, a] - corners[i, cell, b]
            end = corners[j, cell, a] - corners[j, cell, b]
            height = rows[CORNERS[i]] - rows[CORNERS[j]]
            width = columns[CORNERS[i]] - columns[CORNERS[j]]
            off = np.abs(errors[:, cell, a] - errors[:, cell, b]).max(axis=0)
            off = off * np.sqrt(height**2 + width**2)
            shifted |= (a != b) & (off > shift * np.abs(start - end).astype(float))
    return shifted


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
    f"(intp[::1], intp[::1], intp[::1], uint8[::1], int32[::1], {_KNOWN}, {_PLACES}, {_LIMITS})",
    _descend_by_numpy,
)
def descend(centres, edged, borders, state, fetched, known, places, limits):
    """Refine cells as far as points were fetched.

    A leaf with corners of different classes is asked for its centre, too. The border is where the
    difference of two log-probabilities changes its sign. Between two corners, its error at
    the centre divided by its slope is the error of the border's place.

    Parameters
    ----------
    centres, edged, borders : ndarray of int
        Cells whose centres are to be checked, which decides whether they are
        leaves; cells whose centres are known and whose edges are to be checked; and leaves
        with a border between classes, whose centres tell whether it is where it seems to be.
    state
        Of :class:`trainviz.evaluation.quadtree.Quadtree`.
    fetched, known
        Of :class:`trainviz.evaluation.answers.Answers`; ``known`` are slots, values and odds.
    places
        See ``Places``: starts, columns, up and right.
    limits
        For centres and for edges, by half a cell's side; the tolerance; and by how many grid
        points a border may be off.

    Returns
    -------
    centres, edged, borders
        The cells that wait for more points.
    """
    slots, values, _ = known
    starts, columns, _, _ = places
    centre_limits, edge_limits, tolerance, shift = limits
    height, width = len(starts), len(columns)
    now, now_edged, now_borders = centres.copy(), edged.copy(), borders.copy()
    n_now, n_now_edged, n_now_borders = len(centres), len(edged), len(borders)
    waiting, waiting_edged = np.empty(64, np.intp), np.empty(64, np.intp)
    waiting_borders = np.empty(64, np.intp)
    n_waiting = n_waiting_edged = n_waiting_borders = 0
    nine, difference = np.empty(9, np.intp), np.empty(values.shape[1], np.float32)
    around = np.empty(9, np.intp)
    # All cells go a step on together, so that it does not matter which comes first.
    while n_now or n_now_edged or n_now_borders:
        waiting = with_room(waiting, n_waiting, n_now)
        waiting_edged = with_room(waiting_edged, n_waiting_edged, n_now_edged)
        waiting_borders = with_room(waiting_borders, n_waiting_borders, n_now_borders)
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
        count, n_now_borders = n_now_borders, 0
        for i in range(count):
            leaf = now_borders[i]
            if not state[leaf] & LEAF:
                continue
            nine_points(leaf, places, nine)
            if fetched[nine[4]] < 0:
                waiting_borders[n_waiting_borders] = leaf
                n_waiting_borders += 1
            else:
                slots[nine[4]] = fetched[nine[4]]
                now_borders[n_now_borders] = leaf
                n_now_borders += 1
        leaves = np.empty(n_now + 4 * n_now_edged, np.intp)
        parents = np.full(len(leaves), -1)
        next_ = np.empty(len(leaves) + 8 * n_now_edged, np.intp)
        next_edged = np.empty(n_now + len(next_) + n_now_borders, np.intp)
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
            state[cell] |= EDGED
            if wrong <= centre_limits[half]:
                state[cell] |= LOOK
            wrong = max(wrong, excess_at_edges(cell, half, nine, known, places, difference))
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
                    leaves[n_leaves], parents[n_leaves] = part, cell
                    n_leaves += 1
        for i in range(n_now_borders):
            leaf = now_borders[i]
            nine_points(leaf, places, nine)
            errors_at(nine, 4, known, places, difference)
            if is_off(nine, known, places, difference, shift):
                state[leaf] &= ~LEAF
                next_edged[n_next_edged] = leaf
                n_next_edged += 1
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
                next_edged[n_next_edged] = leaf
                n_next_edged += 1
            else:
                next_[n_next] = leaf
                n_next += 1
        now_borders, n_now_borders = np.empty(n_leaves, np.intp), 0
        for i in range(n_leaves):
            if state[leaves[i]] & LEAF:
                nine_points(leaves[i], places, nine)
                if not is_crossed(nine, known):
                    continue
                if parents[i] >= 0 and not may_be_off(
                    parents[i], nine, around, known, places, difference, shift
                ):
                    continue
                now_borders[n_now_borders] = leaves[i]
                n_now_borders += 1
        now, now_edged, n_now, n_now_edged = next_, next_edged, n_next, n_next_edged
    return (
        waiting[:n_waiting],
        waiting_edged[:n_waiting_edged],
        waiting_borders[:n_waiting_borders],
    )


@inlined
def with_room(values, count, more):
    """Return an array that begins with the same ``count`` values and has room for more."""
    if count + more <= len(values):
        return values
    return np.concatenate((values, np.empty(count + more, np.intp)))


@inlined
def is_crossed(nine, known):
    """Return whether the likeliest class is not the same at all corners of a cell."""
    slots, values, _ = known
    first = highest(values, slots[nine[0]])
    return (
        highest(values, slots[nine[2]]) != first
        or highest(values, slots[nine[6]]) != first
        or highest(values, slots[nine[8]]) != first
    )


@inlined
def highest(values, slot):
    """Return the class with the highest value, the first of equals."""
    best, row = 0, np.uintp(slot)
    for k in range(1, values.shape[1]):
        if values[row, k] > values[row, best]:
            best = k
    return best


@inlined
def may_be_off(parent, nine, around, known, places, error, shift):
    """Return whether a border may be off in a quarter of a cell with known edges.

    Interpolation at half the spacing is hardly worse than it was in the whole cell, kink or not.
    ``nine`` are the quarter's points; ``around`` and ``error`` are scratch.
    """
    nine_points(parent, places, around)
    for k in (1, 3, 4, 5, 7):
        errors_at(around, k, known, places, error)
        if is_off(nine, known, places, error, shift):
            return True
    return False


@inlined
def errors_at(around, k, known, places, error):
    """Write how far the interpolation between a cell's corners is off at one of its points."""
    slots, values, _ = known
    n_columns = places[1][-1] + 1
    row, column = around[k] // n_columns, around[k] % n_columns
    bottom, left = around[0] // n_columns, around[0] % n_columns
    top, end = around[8] // n_columns, around[8] % n_columns
    up = np.float32((row - bottom) / max(top - bottom, 1))
    right = np.float32((column - left) / max(end - left, 1))
    a, b = np.uintp(slots[around[0]]), np.uintp(slots[around[2]])
    c, d, m = np.uintp(slots[around[6]]), np.uintp(slots[around[8]]), np.uintp(slots[around[k]])
    for i in range(len(error)):
        low = values[a, i] + right * (values[b, i] - values[a, i])
        high = values[c, i] + right * (values[d, i] - values[c, i])
        error[i] = low + up * (high - low) - values[m, i]


@inlined
def is_off(nine, known, places, error, shift):
    """Return whether an error moves a border between the classes of two corners of a cell."""
    slots, values, _ = known
    corners, n_columns = (0, 2, 6, 8), places[1][-1] + 1
    for i in range(4):
        p = nine[corners[i]]
        c, a = np.uintp(slots[p]), highest(values, slots[p])
        for j in range(i + 1, 4):
            q = nine[corners[j]]
            d, b = np.uintp(slots[q]), highest(values, slots[q])
            if a == b:
                continue
            start = values[c, a] - values[c, b]
            end = values[d, a] - values[d, b]
            height, width = p // n_columns - q // n_columns, p % n_columns - q % n_columns
            distance = np.sqrt(np.float64(height**2 + width**2))
            off = np.float64(abs(error[a] - error[b])) * distance
            if off > shift * np.float64(abs(start - end)):
                return True
    return False


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
    f"uint8[::1], {_KNOWN}, {_PLACES}, float32)",
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
        As for :func:`descend`.
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


def _missing_by_numpy(centres, edged, borders, few, fetched, places):
    width = len(places[1])
    at_centres = cell_points(np.concatenate([centres, borders]), places)[4]
    at_edges = cell_points(edged, places)[_MIDDLES].ravel()
    points = np.concatenate([at_centres, at_edges])
    points = np.unique(points[fetched[points] < 0])
    if len(points) > few:
        return points
    borders = borders[: len(borders) if 4 * len(borders) <= few else 0]
    parents = np.concatenate([edged, borders])
    parents = parents[_halves(parents, width) > 1]
    at_edges = cell_points(np.concatenate([centres, borders]), places)[_MIDDLES].ravel()
    ahead = np.concatenate([at_edges, cell_points(quarters(parents, width), places)[4]])
    return np.unique(np.concatenate([points, ahead[fetched[ahead] < 0]]))


@kernel(
    f"(intp[::1], intp[::1], intp[::1], intp, int32[::1], {_PLACES})",
    _missing_by_numpy,
)
def missing(centres, edged, borders, few, fetched, places):
    """Return the points for which cells wait, and if they are few, those that may be next.

    Parameters
    ----------
    centres, edged, borders : ndarray of int
        What :func:`descend` returned.
    few : int
        If no more points are wanted, those are added that are needed if the cells are divided:
        the middles of their edges, and the centres of their quarters. Of leaves with borders,
        most of which stay, only if they are no more than a fourth of it.
    fetched, places
        As for :func:`descend`.

    Returns
    -------
    ndarray of int
        Flat grid indices, ascending, each once.
    """
    starts, columns, _, _ = places
    width, n_centres, n_edged = len(columns), len(centres), len(edged)
    n_cells = n_centres + n_edged + len(borders)
    found, count = np.empty(9 * n_cells, np.intp), 0
    nine = np.empty(9, np.intp)
    for part in range(2):
        if part and 4 * len(borders) > few:
            n_cells -= len(borders)
        for i in range(n_cells):
            is_edged = n_centres <= i < n_centres + n_edged
            if i < n_centres:
                cell = centres[i]
            elif is_edged:
                cell = edged[i - n_centres]
            else:
                cell = borders[i - n_centres - n_edged]
            half = nine_points(cell, places, nine)
            if part == 0 and not is_edged:
                if fetched[nine[4]] < 0:
                    found[count] = nine[4]
                    count += 1
            elif (part == 0) == is_edged:
                for k in range(1, 8, 2):
                    if fetched[nine[k]] < 0:
                        found[count] = nine[k]
                        count += 1
            if part == 1 and i >= n_centres and half > 1:
                step, y, x = half // 2, cell // width, cell % width
                for k in range(4):
                    row, column = y + step * (k // 2 * 2 - 1), x + step * (k % 2 * 2 - 1)
                    if fetched[starts[row] + columns[column]] < 0:
                        found[count] = starts[row] + columns[column]
                        count += 1
        count = sorted_once(found, count)
        if count > few:
            break
    return found[:count].copy()


@inlined
def sorted_once(values, count):
    """Sort the first ``count`` values in place, each once; return how many there are."""
    values[:count] = np.sort(values[:count])
    kept = 0
    for i in range(count):
        if i == 0 or values[i] != values[kept - 1]:
            values[kept] = values[i]
            kept += 1
    return kept


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


@kernel(f"(uint8[::1], {_KNOWN}, {_PLACES}, float32)", _wrong_at_edges_by_numpy)
def wrong_at_edges(state, known, places, limit):
    """Return the lower places of the unit squares where a leaf disagrees with a known point.

    Parameters
    ----------
    state, known, places
        As for :func:`descend`.
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


KERNELS = (missing, wrong_seeds, wrong_at_edges, descend)
"""In compilation order: last the one that compiles longest."""
