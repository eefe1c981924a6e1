"""Subdivision of a quadtree's cells, as far as the points are known that decide about it.

A compiled loop and the function that precedes it return the same bits.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.arrays import IndexArray
from trainviz._common.jit import inlined, kernel, kernels_of
from trainviz.evaluation.borders import (
    crossed,
    doubtful_at_centres,
    doubtful_points,
    is_crossed,
    is_off,
    may_be_off,
    may_be_off_in,
    off_at_centres,
)
from trainviz.evaluation.cells import (
    EDGED,
    FOUND,
    KNOWN_TYPE,
    LEAF,
    LOOK,
    MIDDLES,
    PLACES_TYPE,
    SPLIT,
    SPLIT_ALWAYS,
    cell_points,
    half_sides,
    nine_points,
    quarters,
    sorted_once,
)
from trainviz.evaluation.error_estimate import (
    centre_excess,
    edge_excess,
    errors_around,
    errors_at,
    excess_at_centres,
    excess_at_edges,
    excess_in_quarters,
    is_quarter_within,
)

__all__ = ["BORDER", "CENTRE", "EDGES", "KERNELS", "descend", "missing", "tasks_of"]

CENTRE = 1 << 4
EDGES = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7
BORDER = 1 << 9
"""What is to be checked of a cell, as bits of the points needed for that: its centre, which decides
whether it is a leaf; the middles of its edges, when its centre is known. ``BORDER | CENTRE`` checks
whether the border between classes in a leaf is where it seems to be; ``BORDER`` and some of the
edges, in one of the smallest leaves, whether these middles have another class than it seems."""

_LIMITS_TYPE = "Tuple((float32[::1], float32[::1], float32, float64))"


def tasks_of(cells: IndexArray, check: int) -> IndexArray:
    """Return rows of a cell and what is to be checked of it, which is the same for all."""
    return np.stack([cells, np.full(len(cells), check)], axis=1)


def _descend_by_numpy(tasks, state, fetched, known, places, limits):
    waiting = []
    while len(tasks):
        cells, checks = tasks.T
        tasks = tasks[(checks & BORDER == 0) | (state[cells] & LEAF > 0)]
        ready = _reveal(tasks, fetched, known[0], places)
        waiting.append(tasks[~ready])
        tasks = _step(tasks[ready], state, known, places, limits)
    return np.concatenate([tasks, *waiting])


def _reveal(tasks, fetched, slots, places):
    """Make known the points of tasks whose points were all fetched; return a mask of these."""
    cells, checks = tasks.T
    nine, needed = cell_points(cells, places), _needed(checks)
    ready = (~needed | (fetched[nine] >= 0)).all(axis=0)
    points = nine[needed & ready]
    slots[points] = fetched[points]
    return ready


def _needed(checks):
    return checks >> np.arange(9)[:, None] & 1 > 0


def _step(tasks, state, known, places, limits):
    """Check each cell; return what to check next."""
    centre_limits, edge_limits, tolerance, shift = limits
    width = len(places[1])
    cells, checks = tasks.T
    centres, edged, borders = (
        cells[checks == check] for check in (CENTRE, EDGES, BORDER | CENTRE)
    )  # fmt: skip
    half = half_sides(centres, width)
    state[centres[excess_at_centres(centres, known, places) > centre_limits[half]]] |= FOUND
    deeper = state[centres] & (FOUND | LOOK | SPLIT_ALWAYS) > 0

    half = half_sides(edged, width)
    shown = excess_at_centres(edged, known, places)
    wrong = np.maximum(shown, excess_at_edges(edged, known, places))
    state[edged] |= EDGED
    state[edged[shown <= centre_limits[half]]] |= LOOK
    state[edged[wrong > tolerance]] |= FOUND
    divide = (wrong > edge_limits[half]) | (state[edged] & SPLIT_ALWAYS > 0)
    split, whole = edged[divide & (half > 1)], edged[~divide & (half > 1)]
    state[split] |= SPLIT
    parts, origins = quarters(split, width), np.tile(split, 4)
    fine = excess_in_quarters(split, known, places) <= np.tile(
        edge_limits[half_sides(split, width)], 4
    )
    fine &= (state[origins] & SPLIT_ALWAYS == 0) & (state[parts] & (LOOK | SPLIT_ALWAYS) == 0)

    small = half_sides(borders, width) == 1
    middles = doubtful_at_centres(borders[small], known, places) & EDGES
    borders, small = borders[~small], borders[small][middles > 0]
    shifted = borders[off_at_centres(borders, known, places, shift)]
    state[shifted] &= ~LEAF
    leaves = np.concatenate([parts[fine], quarters(whole, width), centres[~deeper]])
    parents = np.full(len(leaves), -1)
    parents[: fine.sum() + 4 * len(whole)] = np.concatenate([origins[fine], np.tile(whole, 4)])
    state[leaves] |= LEAF
    touched = np.concatenate([leaves, _leaves_at(cells[checks & EDGES > 0], state, places)])
    off = np.unique(touched[excess_at_edges(touched, known, places) > tolerance])
    state[off] &= ~LEAF
    has_centre = known[0][cell_points(off, places)[4]] >= 0

    doubtful = (state[leaves] & LEAF > 0) & crossed(leaves, known, places)
    leaves, parents = leaves[doubtful], parents[doubtful]
    certain = parents >= 0
    certain[certain] = ~may_be_off(leaves[certain], parents[certain], known, places, shift)
    return np.concatenate([
        tasks_of(parts[~fine], CENTRE), tasks_of(off[~has_centre], CENTRE),
        tasks_of(centres[deeper], EDGES), tasks_of(off[has_centre], EDGES),
        tasks_of(shifted, EDGES), np.stack([small, BORDER | middles[middles > 0]], axis=1),
        tasks_of(leaves[~certain], BORDER | CENTRE),
    ])  # fmt: skip


def _leaves_at(cells, state, places):
    """Return the leaves on either side of cells' edges."""
    height, width = len(places[0]), len(places[1])
    y, x = np.divmod(cells, width)
    side = 2 * (y & -y)
    ys = np.concatenate([y - side, y + side, y, y, y])
    xs = np.concatenate([x, x, x - side, x + side, x])
    inside = (ys > 0) & (xs > 0) & (ys < height) & (xs < width)
    beside = (ys * width + xs)[inside]
    return beside[state[beside] & LEAF > 0]


@kernel(
    f"(intp[:, ::1], uint8[::1], int32[::1], {KNOWN_TYPE}, {PLACES_TYPE}, {_LIMITS_TYPE})",
    _descend_by_numpy,
)
def descend(tasks, state, fetched, known, places, limits):
    """Check cells, and those that follow from it, as far as points were fetched.

    Parameters
    ----------
    tasks : ndarray of int, shape (n, 2)
        Cells, and what is to be checked of each; see :data:`BORDER`.
    state
        Of :class:`trainviz.evaluation.quadtree.Quadtree`.
    fetched, known
        Of :class:`trainviz.evaluation.answers.Answers`; ``known`` are slots, values and odds.
    places
        See :data:`trainviz.evaluation.cells.PlaceTable`.
    limits
        For centres and for edges, by half a cell's side; the tolerance; and by how many grid
        points a border may be off.

    Returns
    -------
    ndarray of int, shape (m, 2)
        The tasks that wait for more points.
    """
    slots, values, _ = known
    centre_limits, edge_limits, tolerance, shift = limits
    height, width = len(places[0]), len(places[1])
    nine, around = np.empty(9, np.intp), np.empty(9, np.intp)
    errors = np.empty((5, values.shape[1]), np.float32)
    difference = errors[0]
    waiting, n_waiting = np.empty((64, 2), np.intp), 0
    now, n_now = tasks.copy(), len(tasks)
    # All cells go a step on together, so that it does not matter which comes first.
    while n_now:
        waiting = with_room(waiting, n_waiting, n_now)
        count, n_now = n_now, 0
        for i in range(count):
            cell, check = now[i, 0], now[i, 1]
            if check & BORDER and not state[cell] & LEAF:
                continue
            nine_points(cell, places, nine)
            if reveal(nine, check, fetched, slots):
                n_now = put(now, n_now, cell, check)
            else:
                n_waiting = put(waiting, n_waiting, cell, check)
        leaves, n_leaves = np.empty((4 * n_now, 2), np.intp), 0
        # Of a cell, its quarters and the leaves beside it at most; of a leaf, itself and these.
        then, n_then = np.empty((8 * n_now, 2), np.intp), 0
        for i in range(n_now):
            cell, check = now[i, 0], now[i, 1]
            half = nine_points(cell, places, nine)
            if check == BORDER | CENTRE:
                check = check_border(cell, half, nine, state, known, places, errors, shift)
                if check:
                    n_then = put(then, n_then, cell, check)
            elif check == CENTRE:
                wrong = centre_excess(cell, half, nine, known, places, difference)
                if wrong > centre_limits[half]:
                    state[cell] |= FOUND
                if state[cell] & (FOUND | LOOK | SPLIT_ALWAYS):
                    n_then = put(then, n_then, cell, EDGES)
                else:
                    n_leaves = put(leaves, n_leaves, cell, -1)
            elif check == EDGES:
                is_split = check_edges(cell, half, nine, state, known, places, limits, difference)
                if is_split:
                    errors_around(cell, half, nine, known, places, errors)
                for k in range(4 if half > 1 else 0):
                    part = cell + half // 2 * (width * (k // 2 * 2 - 1) + k % 2 * 2 - 1)
                    nine_points(part, places, around)
                    ordered = (state[cell] | state[part]) & SPLIT_ALWAYS | state[part] & LOOK
                    if is_split and (
                        ordered
                        or not is_quarter_within(edge_limits[half], k, around, known, errors)
                    ):
                        n_then = put(then, n_then, part, CENTRE)
                    else:
                        n_leaves = put(leaves, n_leaves, part, cell)
        for i in range(n_leaves):
            state[leaves[i, 0]] |= LEAF
        # Of the leaves, those that are new, and those on either side of edges that were found.
        for i in range(n_leaves + 5 * n_now):
            if i < n_leaves:
                leaf = leaves[i, 0]
            elif now[(i - n_leaves) // 5, 1] & EDGES:
                leaf = beside(now[(i - n_leaves) // 5, 0], (i - n_leaves) % 5, height, width)
            else:
                continue
            if leaf < 0 or not state[leaf] & LEAF:
                continue
            half = nine_points(leaf, places, nine)
            if edge_excess(leaf, half, nine, known, places, difference) > tolerance:
                state[leaf] &= ~LEAF
                n_then = put(then, n_then, leaf, EDGES if slots[nine[4]] >= 0 else CENTRE)
        last = -1
        for i in range(n_leaves):
            leaf, parent = leaves[i, 0], leaves[i, 1]
            half = nine_points(leaf, places, nine)
            if not state[leaf] & LEAF or not is_crossed(nine, known):
                continue
            if parent >= 0 and parent != last:
                last = parent
                size = nine_points(parent, places, around)
                errors_around(parent, size, around, known, places, errors)
            if parent < 0 or may_be_off_in(leaf, half, nine, known, places, errors, shift):
                n_then = put(then, n_then, leaf, BORDER | CENTRE)
        now, n_now = then, n_then
    return waiting[:n_waiting]


@inlined
def check_border(leaf, half, nine, state, known, places, errors, shift):
    """Return what to check next of a leaf with a known centre, as its border may be off; else 0."""
    errors_at(leaf, half, nine, 4, known, places, errors, 0)
    if half == 1:
        middles = EDGES & doubtful_points(leaf, half, nine, known, places, errors, 1)
        return BORDER | middles if middles else 0
    if not is_off(nine, known, places, errors, 1, shift):
        return 0
    state[leaf] &= ~LEAF
    return EDGES


@inlined
def check_edges(cell, half, nine, state, known, places, limits, difference):
    """Write into a cell's state what its edges show; return whether it is split."""
    centre_limits, edge_limits, tolerance, _ = limits
    wrong = centre_excess(cell, half, nine, known, places, difference)
    state[cell] |= EDGED if wrong > centre_limits[half] else EDGED | LOOK
    wrong = max(wrong, edge_excess(cell, half, nine, known, places, difference))
    if wrong > tolerance:
        state[cell] |= FOUND
    if half == 1 or not (wrong > edge_limits[half] or state[cell] & SPLIT_ALWAYS):
        return False
    state[cell] |= SPLIT
    return True


@inlined
def reveal(nine, check, fetched, slots):
    """Make known the points that a check needs, if all were fetched; return whether they were."""
    for k in range(9):
        if check >> k & 1 and fetched[nine[k]] < 0:
            return False
    for k in range(9):
        if check >> k & 1:
            slots[nine[k]] = fetched[nine[k]]
    return True


@inlined
def put(tasks, count, cell, check):
    """Write a row behind the first ``count``; return how many there are then."""
    tasks[count, 0], tasks[count, 1] = cell, check
    return count + 1


@inlined
def with_room(tasks, count, more):
    """Return an array that begins with the same ``count`` rows and has room for more."""
    if count + more <= len(tasks):
        return tasks
    return np.concatenate((tasks, np.empty((count + more, 2), np.intp)))


@inlined
def beside(cell, side, height, width):
    """Return the cell of the same size on the other side of one of four edges, or the cell."""
    if side == 4:
        return cell
    y, x = cell // width, cell % width
    step = 2 * (y & -y) * (side % 2 * 2 - 1)
    y, x = (y + step, x) if side < 2 else (y, x + step)
    return y * width + x if 0 < y < height and 0 < x < width else -1


def _missing_by_numpy(tasks, few, fetched, places):
    cells, checks = tasks.T
    nine = cell_points(cells, places)
    points = nine[_needed(checks)]
    points = np.unique(points[fetched[points] < 0])
    if len(points) > few:
        return points
    if 4 * (checks & BORDER > 0).sum() > few:
        cells, checks = tasks[checks & BORDER == 0].T
        nine = cell_points(cells, places)
    divided = cells[(checks != CENTRE) & (half_sides(cells, len(places[1])) > 1)]
    centres = cell_points(quarters(divided, len(places[1])), places)[4]
    ahead = np.concatenate([nine[MIDDLES][:, checks & CENTRE > 0].ravel(), centres])
    return np.unique(np.concatenate([points, ahead[fetched[ahead] < 0]]))


@kernel(f"(intp[:, ::1], intp, int32[::1], {PLACES_TYPE})", _missing_by_numpy)
def missing(tasks, few, fetched, places):
    """Return the points for which tasks wait, and if they are few, those that may be next.

    Parameters
    ----------
    tasks : ndarray of int, shape (n, 2)
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
    width, n_borders = len(columns), 0
    found, count = np.empty(9 * len(tasks), np.intp), 0
    nine = np.empty(9, np.intp)
    for i in range(len(tasks)):
        n_borders += tasks[i, 1] & BORDER > 0
    for ahead in (False, True):
        for i in range(len(tasks)):
            cell, check = tasks[i, 0], tasks[i, 1]
            if ahead and check & BORDER and 4 * n_borders > few:
                continue
            half = nine_points(cell, places, nine)
            wanted = check
            if ahead:
                wanted = EDGES if check & CENTRE else 0
            for k in range(9):
                if wanted >> k & 1:
                    found[count] = nine[k]
                    count += fetched[nine[k]] < 0
            if ahead and check != CENTRE and half > 1:
                step, y, x = half // 2, cell // width, cell % width
                for k in range(4):
                    row, column = y + step * (k // 2 * 2 - 1), x + step * (k % 2 * 2 - 1)
                    found[count] = starts[row] + columns[column]
                    count += fetched[found[count]] < 0
        count = sorted_once(found, count)
        if count > few:
            break
    return found[:count].copy()


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
