"""The refinement of a tree's cells, compiled: see :meth:`trainviz.tree.Tree.descend`."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, type-var, operator"

from __future__ import annotations

import numpy as np

from trainviz import jit

__all__ = ["descend"]

_LEAF, _EDGED, _FOUND, _SPLIT, _LOOK, _SPLIT_ALWAYS = (1 << bit for bit in range(6))


@jit.compiled
def descend(
    centres, edged, state, slots, fetched, values, odds, starts, columns, up, right,
    centre_limits, edge_limits, tolerance,
):  # fmt: skip
    """Refine cells as far as the answers go; return those that wait for more."""
    width = len(columns)
    # An entry is twice a cell's place, and one more where its edges are to be looked at.
    stack = np.empty(len(centres) + len(edged) + len(state) // 2 + 8, np.intp)
    waiting = np.empty_like(stack)
    touched = np.empty(8, np.intp)
    nine = np.empty(9, np.intp)
    difference = np.empty(values.shape[1], np.float32)
    for i in range(len(centres)):
        stack[i] = 2 * centres[i]
    for i in range(len(edged)):
        stack[len(centres) + i] = 2 * edged[i] + 1
    top = len(centres) + len(edged)
    n_waiting = n_edged = 0
    while top:
        top -= 1
        cell, edges = stack[top] // 2, stack[top] % 2
        y, x = cell // width, cell % width
        half = y & -y
        nine_points(nine, y, x, half, starts, columns)
        if not known(nine, fetched, edges):
            waiting[n_waiting] = stack[top]
            n_waiting += 1
            n_edged += edges
            continue
        n_touched = 0
        for k in range(1 if edges else 4, 8 if edges else 5, 2 if edges else 1):
            slots[nine[k]] = fetched[nine[k]]
        wrong = excess_of_cell(
            nine, slots, values, odds, up[half, y - half], right[half, x - half], 2 * edges,
            difference,
        )  # fmt: skip
        if not edges:
            if wrong > centre_limits[half]:
                state[cell] |= _FOUND
            if wrong > centre_limits[half] or state[cell] & (_LOOK | _SPLIT_ALWAYS):
                stack[top] = 2 * cell + 1
                top += 1
            else:
                state[cell] |= _LEAF
                touched[0] = cell
                n_touched = 1
        else:
            state[cell] |= _EDGED
            if wrong > tolerance:
                state[cell] |= _FOUND
            split = wrong > edge_limits[half] or state[cell] & _SPLIT_ALWAYS
            if half > 1 and split:
                state[cell] |= _SPLIT
            for k in range(4 if half > 1 else 0):
                quarter = cell + half // 2 * (width * (k // 2 * 2 - 1) + k % 2 * 2 - 1)
                if split:
                    stack[top] = 2 * quarter
                    top += 1
                else:
                    state[quarter] |= _LEAF
                    touched[n_touched] = quarter
                    n_touched += 1
            for k in range(4):
                step = 2 * half * (k % 2 * 2 - 1)
                to_y, to_x = (y + step, x) if k < 2 else (y, x + step)
                if 0 < to_y < len(starts) and 0 < to_x < width:
                    touched[n_touched] = to_y * width + to_x
                    n_touched += 1
        for i in range(n_touched):
            leaf = touched[i]
            if not state[leaf] & _LEAF:
                continue
            y, x = leaf // width, leaf % width
            half = y & -y
            nine_points(nine, y, x, half, starts, columns)
            wrong = excess_of_cell(
                nine, slots, values, odds, up[half, y - half], right[half, x - half], 1, difference
            )
            if wrong > tolerance:
                centre_known = slots[nine[4]] >= 0
                state[leaf] ^= _LEAF
                if centre_known:
                    state[leaf] |= _LOOK
                stack[top] = 2 * leaf + centre_known
                top += 1
    left = np.empty(n_waiting - n_edged, np.intp)
    left_edged = np.empty(n_edged, np.intp)
    for i in range(n_waiting):
        if waiting[i] % 2:
            n_edged -= 1
            left_edged[n_edged] = waiting[i] // 2
        else:
            left[i - len(left_edged) + n_edged] = waiting[i] // 2
    return left, left_edged


@jit.compiled
def nine_points(nine, y, x, half, starts, columns):
    """Write the flat grid indices of a cell's corners, edges and centre."""
    for k in range(9):
        nine[k] = starts[y + half * (k // 3 - 1)] + columns[x + half * (k % 3 - 1)]


@jit.compiled
def known(nine, fetched, edges):
    """Tell whether a cell's centre was answered, or the middles of its edges."""
    if not edges:
        return fetched[nine[4]] >= 0
    return min(fetched[nine[1]], fetched[nine[3]], fetched[nine[5]], fetched[nine[7]]) >= 0


@jit.compiled
def excess_of_cell(nine, slots, values, odds, up, right, part, difference):
    """Do as :func:`trainviz.excess.excess`, of a single cell; ``difference`` is written over."""
    worst = np.float32(0)
    n_classes = values.shape[1]
    if part != 0:
        for edge in range(4):
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
    if part != 1:
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
