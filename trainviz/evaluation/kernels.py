"""Compiled loops of the evaluation: refining a quadtree, filling a lattice, normalising.

Each says which function does the same with numpy. All arrays are C-contiguous.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import compiled

__all__ = [
    "EDGED",
    "FOUND",
    "LEAF",
    "LOOK",
    "LOW",
    "SPLIT",
    "SPLIT_ALWAYS",
    "descend",
    "fill_lattice",
    "normalise_odds",
]

LEAF, EDGED, FOUND, SPLIT, LOOK, SPLIT_ALWAYS = (np.uint8(1 << bit) for bit in range(6))
"""What is known of a cell: it is drawn as it is; its edges were looked at; something was found in
it; its quarters were looked at. And what is to be done whatever its values say: look at its edges,
look at its quarters too."""


@compiled
def descend(centres, edged, state, fetched, known, places, limits):
    """Refine cells as far as the answers go; return those that wait for more.

    Parameters
    ----------
    centres, edged, state
        As :class:`trainviz.evaluation.quadtree.Quadtree` has them.
    fetched, known
        Of :class:`trainviz.evaluation.answers.Answers`; ``known`` are slots, values and odds.
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


@compiled
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


@compiled
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


@compiled
def nine_points(cell, places, nine):
    """Write the flat grid indices of a cell's corners, edges and centre; return half its side."""
    starts, columns, _, _ = places
    y, x = cell // len(columns), cell % len(columns)
    half = y & -y
    for k in range(9):
        nine[k] = starts[y + half * (k // 3 - 1)] + columns[x + half * (k % 3 - 1)]
    return half


@compiled
def answered(nine, fetched, edges):
    """Tell whether a cell's centre was answered, or the middles of its edges."""
    if not edges:
        return fetched[nine[4]] >= 0
    return min(fetched[nine[1]], fetched[nine[3]], fetched[nine[5]], fetched[nine[7]]) >= 0


@compiled
def excess_of_cell(cell, half, nine, known, places, part, difference):
    """Do as :func:`trainviz.evaluation.error_estimate.excess`, of one cell.

    ``difference`` is written over.
    """
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


LOW = np.float32(-40)
"""Of the highest logarithm of a pixel. Far below it, the exponentials of all classes would be 0:
between two classes, each certain in its place, every class has a low logarithm."""


@compiled
def fill_lattice(values, points, ends, row_steps, column_steps, filled):
    """Do as :meth:`trainviz.evaluation.lattice.Lattice.fill`.

    ``values`` (n, C) lie at the flat grid indices ``points``, ordered by level;
    those of each level end at ``ends``. The steps of each axis are those of
    ``_steps`` in :mod:`trainviz.evaluation.lattice`.
    """
    for k in range(values.shape[1]):
        plane = filled[k]
        flat = plane.reshape(-1)
        for depth in range(len(ends)):
            if depth:
                fill_columns(plane, depth, row_steps, column_steps)
                fill_rows(plane, depth, row_steps, column_steps)
            for i in range(ends[depth - 1] if depth else 0, ends[depth]):
                flat[points[i]] = values[i, k]


@compiled
def fill_columns(plane, depth, row_steps, column_steps):
    """Interpolate a level's new columns, in the rows that are there."""
    lines, lines_ends, _, _, _ = row_steps
    _, _, columns, shares, ends = column_steps
    for line in range(lines_ends[depth - 1], lines_ends[depth]):
        row = plane[lines[line]]
        for i in range(ends[depth - 1], ends[depth]):
            left = row[columns[i, 1]]
            row[columns[i, 0]] = (row[columns[i, 2]] - left) * shares[i] + left


@compiled
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


@compiled
def normalise_odds(logs):
    """Do as :func:`trainviz.evaluation.compact_map.normalised_odds`.

    But for probabilities below 1e-30, which become 0.
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


@compiled
def raise_row(logs, y, highest):
    """Take the highest of each pixel from the logarithms in a row, if one is very low."""
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


@compiled
def exponentials(row, bits):
    """Take the exponential of each value, but of those below -69, which become 0.

    Powers of two times a polynomial of what is left, which errs by 1e-7 at
    most. Numbers that are smaller still are a hundred times as slow to reckon
    with. ``bits`` is scratch.
    """
    log2_e, half, one, none = (
        np.float32(1.44269504), np.float32(0.5), np.float32(1), np.float32(0),
    )  # fmt: skip
    ln2, ln2_rest = np.float32(0.693359375), np.float32(-2.12194440e-4)
    c2, c3 = np.float32(0.499992311), np.float32(0.166671142)
    c4, c5 = np.float32(0.0418901145), np.float32(0.00831252523)
    for x in range(len(row)):
        whole = np.floor(row[x] * log2_e + half)
        rest = row[x] - whole * ln2 - whole * ln2_rest
        row[x] = (((c5 * rest + c4) * rest + c3) * rest + c2) * rest * rest + rest + one
        exponent = whole + np.float32(127) if whole > np.float32(-100) else none
        bits[x] = np.int32(exponent * np.float32(2**23))
    powers = bits.view(np.float32)
    for x in range(len(row)):
        row[x] *= powers[x]
