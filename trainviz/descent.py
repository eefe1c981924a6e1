"""The refinement of a tree's cells, compiled: see :meth:`trainviz.tree.Tree.descend`."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from trainviz import jit

__all__ = ["EDGED", "FOUND", "LEAF", "LOOK", "SPLIT", "SPLIT_ALWAYS", "descend"]

LEAF, EDGED, FOUND, SPLIT, LOOK, SPLIT_ALWAYS = (np.uint8(1 << bit) for bit in range(6))
"""What is known of a cell: it is drawn as it is; its edges were looked at; something was found in
it; its quarters were looked at. And what is to be done whatever its values say: look at its edges,
look at its quarters too."""


@jit.compiled
def descend(centres, edged, state, fetched, known, places, limits):
    """Refine cells as far as the answers go; return those that wait for more.

    Parameters
    ----------
    centres, edged, state
        As :class:`trainviz.tree.Tree` has them.
    fetched, known
        Of :class:`trainviz.answers.Answers`; ``known`` are slots, values and odds.
    places
        What tells where a place lies: starts, columns, up and right.
    limits
        For centres and for edges, by half a cell's side; and the tolerance.
    """
    slots, values, _ = known
    starts, columns, _, _ = places
    centre_limits, edge_limits, tolerance = limits
    width = len(columns)
    # An entry is twice a cell's place, and one more where its edges are to be looked at.
    stack = np.empty(len(centres) + len(edged) + len(state) // 2 + 8, np.intp)
    stack[: len(centres)] = 2 * centres
    top = len(centres) + len(edged)
    stack[len(centres) : top] = 2 * edged + 1
    waiting, n_waiting = np.empty_like(stack), 0
    touched, nine = np.empty(8, np.intp), np.empty(9, np.intp)
    difference = np.empty(values.shape[1], np.float32)
    while top:
        top -= 1
        cell, edges = stack[top] // 2, stack[top] % 2
        half = nine_points(cell, places, nine)
        if not answered(nine, fetched, edges):
            waiting[n_waiting] = stack[top]
            n_waiting += 1
            continue
        for k in range(1 if edges else 4, 8 if edges else 5, 2 if edges else 1):
            slots[nine[k]] = fetched[nine[k]]
        wrong = excess_of_cell(cell, half, nine, known, places, 2 * edges, difference)
        if edges:
            state[cell] |= EDGED | (FOUND if wrong > tolerance else 0)
            split = wrong > edge_limits[half] or state[cell] & SPLIT_ALWAYS > 0
            top, n_touched = quarter(cell, half, split, state, width, stack, top, touched)
            n_touched = beside(cell, half, len(starts), width, touched, n_touched)
        else:
            state[cell] |= FOUND if wrong > centre_limits[half] else 0
            if state[cell] & (FOUND | LOOK | SPLIT_ALWAYS):
                stack[top], top, n_touched = 2 * cell + 1, top + 1, 0
            else:
                state[cell] |= LEAF
                touched[0], n_touched = cell, 1
        for i in range(n_touched):
            leaf = touched[i]
            if not state[leaf] & LEAF:
                continue
            half = nine_points(leaf, places, nine)
            if excess_of_cell(leaf, half, nine, known, places, 1, difference) > tolerance:
                edges = slots[nine[4]] >= 0
                state[leaf] ^= LEAF | (LOOK if edges and not state[leaf] & LOOK else 0)
                stack[top], top = 2 * leaf + edges, top + 1
    waiting = waiting[:n_waiting]
    return waiting[waiting % 2 == 0] // 2, waiting[waiting % 2 == 1] // 2


@jit.compiled
def quarter(cell, half, split, state, width, stack, top, touched):
    """Let a cell's quarters be looked at, or be leaves."""
    if half == 1:
        return top, 0
    if split:
        state[cell] |= SPLIT
    for k in range(4):
        part = cell + half // 2 * (width * (k // 2 * 2 - 1) + k % 2 * 2 - 1)
        if split:
            stack[top] = 2 * part
            top += 1
        else:
            state[part] |= LEAF
            touched[k] = part
    return top, 0 if split else 4


@jit.compiled
def beside(cell, half, height, width, touched, count):
    """Add the cells of the same size on the other side of a cell's edges."""
    y, x = cell // width, cell % width
    for k in range(4):
        step = 2 * half * (k % 2 * 2 - 1)
        to_y, to_x = (y + step, x) if k < 2 else (y, x + step)
        if 0 < to_y < height and 0 < to_x < width:
            touched[count] = to_y * width + to_x
            count += 1
    return count


@jit.compiled
def nine_points(cell, places, nine):
    """Write the flat grid indices of a cell's corners, edges and centre; return half its side."""
    starts, columns, _, _ = places
    y, x = cell // len(columns), cell % len(columns)
    half = y & -y
    for k in range(9):
        nine[k] = starts[y + half * (k // 3 - 1)] + columns[x + half * (k % 3 - 1)]
    return half


@jit.compiled
def answered(nine, fetched, edges):
    """Tell whether a cell's centre was answered, or the middles of its edges."""
    if not edges:
        return fetched[nine[4]] >= 0
    return min(fetched[nine[1]], fetched[nine[3]], fetched[nine[5]], fetched[nine[7]]) >= 0


@jit.compiled
def excess_of_cell(cell, half, nine, known, places, part, difference):
    """Do as :func:`trainviz.excess.excess`, of a single cell; ``difference`` is written over."""
    slots, values, odds = known
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    worst, n_classes = np.float32(0), values.shape[1]
    for edge in range(0 if part == 0 else 4):
        start = (0, 6, 0, 2)[edge]
        step, share = (1, right) if edge < 2 else (3, up)
        middle = slots[nine[start + step]]
        if middle < 0:
            continue
        # What cannot be negative spares the loops a look at each.
        m, a = np.uintp(middle), np.uintp(slots[nine[start]])
        b = np.uintp(slots[nine[start + 2 * step]])
        common = np.float32(0)
        for k in range(n_classes):
            low = values[a, k]
            difference[k] = low + share * (values[b, k] - low) - values[m, k]
            common += difference[k] * odds[m, k]
        for k in range(n_classes):
            weight = max(odds[m, k], odds[a, k], odds[b, k])
            worst = max(worst, abs(difference[k] - common) * weight)
    if part == 1:
        return worst
    m, a, b = np.uintp(slots[nine[4]]), np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]])
    common = np.float32(0)
    for k in range(n_classes):
        low = values[a, k] + right * (values[b, k] - values[a, k])
        high = values[c, k] + right * (values[d, k] - values[c, k])
        difference[k] = low + up * (high - low) - values[m, k]
        common += difference[k] * odds[m, k]
    for k in range(n_classes):
        weight = max(odds[m, k], odds[a, k], odds[b, k], odds[c, k], odds[d, k])
        worst = max(worst, abs(difference[k] - common) * weight)
    return worst
