"""The loop of the packed form, compiled and by NumPy: residuals of integers on nested lattices.

All arrays are C-contiguous. The compiled loop and the function that precedes it return the
same integers.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import math

import numpy as np

from trainviz._common.jit import inlined, kernel

__all__ = ["KERNELS", "code_residuals"]

_STEPS = "Tuple((uintp[::1], intp[::1], uintp[:, ::1], float32[::1], intp[::1]))"
_LINES = "int64[:, ::1]"


def _code_residuals_by_numpy(values, coded, points, ends, axes, half, decode, plane):
    (rows, row_lines), (columns, column_lines) = axes
    flat = plane.reshape(-1)
    for given, made in zip(values, coded, strict=True):
        start = 0
        for depth, end in enumerate(ends):
            where, given_here = points[start:end].astype(np.intp), given[start:end]
            guess = np.zeros(len(where), np.int64)
            if depth:
                y, x = np.divmod(where, plane.shape[1])
                guess = _guessed(plane, y, x, depth, row_lines, column_lines)
            known = given_here + guess if decode else given_here - guess
            made[start:end] = ((known + half) & (2 * half - 1)) - half
            if depth and depth < len(ends) - 1:
                _fill_by_numpy(plane, depth, rows, columns)
                _fill_by_numpy(plane.T, depth, columns, rows, whole=True)
            flat[where] = made[start:end] if decode else given_here
            start = end


def _guessed(plane, y, x, depth, row_lines, column_lines):
    row_level, below, above = row_lines[:, y]
    column_level, left, right = column_lines[:, x]
    below, above = np.where(row_level == depth, (below, above), y)
    left, right = np.where(column_level == depth, (left, right), x)
    low = _between(plane[below, left], plane[below, right], x, left, right)
    high = _between(plane[above, left], plane[above, right], x, left, right)
    return _between(low, high, y, below, above)


def _between(low, high, at, before, after):
    span = np.maximum(after - before, 1)
    return low + ((high - low) * (at - before) + span // 2) // span


def _fill_by_numpy(plane, depth, rows, columns, whole=False):
    """Interpolate a level's new columns, in the rows of the level before, or in all of it."""
    lines, line_ends, _, _, _ = rows
    _, _, steps, _, ends = columns
    there = lines[line_ends[depth - 1 + whole] : line_ends[depth + whole]].astype(np.intp)
    new, before, after = steps[ends[depth - 1] : ends[depth]].astype(np.intp).T
    low, high = plane[there[:, None], before], plane[there[:, None], after]
    plane[there[:, None], new] = _between(low, high, new, before, after)


@kernel(
    f"(int64[:, ::1], int64[:, ::1], uintp[::1], intp[::1], UniTuple(Tuple(({_STEPS}, {_LINES})), "
    "2), int64, boolean, int64[:, ::1])",
    _code_residuals_by_numpy,
)
def code_residuals(values, coded, points, ends, axes, half, decode, plane):
    """Return by how much integers differ from the interpolation of coarser levels, or undo it.

    Parameters
    ----------
    values, coded : ndarray of int64, shape (C, n)
        What is given, and what is written; by level, in each class.
    points : ndarray of uintp, shape (n,)
        Flat grid indices, by level.
    ends : ndarray of int
        Where each level ends among them.
    axes
        Of the rows and of the columns: the steps of the lattice, and the level
        at which each grid line is new with its two neighbours there, shape (3, lines).
    half : int
        Half the number of values that there are; residuals wrap around.
    decode : bool
    plane : ndarray of int64, shape (H, W)
        Scratch.
    """
    (rows, row_lines), (columns, column_lines) = axes
    flat, mask, width = plane.reshape(-1), 2 * half - 1, plane.shape[1]
    for k in range(len(values)):
        for depth in range(len(ends)):
            start, end = ends[depth - 1] if depth else 0, ends[depth]
            for i in range(start, end):
                guess = np.int64(0)
                if depth:
                    y, x = np.int64(points[i]) // width, np.int64(points[i]) % width
                    below = above = y
                    left = right = x
                    if row_lines[0, y] == depth:
                        below, above = row_lines[1, y], row_lines[2, y]
                    if column_lines[0, x] == depth:
                        left, right = column_lines[1, x], column_lines[2, x]
                    low = between(plane[below, left], plane[below, right], x, left, right)
                    high = between(plane[above, left], plane[above, right], x, left, right)
                    guess = between(low, high, y, below, above)
                known = values[k, i] + guess if decode else values[k, i] - guess
                coded[k, i] = ((known + half) & mask) - half
            # What is finest is the basis of nothing.
            if depth and depth < len(ends) - 1:
                fill_new_columns(plane, depth, rows, columns)
                fill_new_rows(plane, depth, rows, columns)
            for i in range(start, end):
                flat[points[i]] = coded[k, i] if decode else values[k, i]


@inlined
def between(low, high, at, before, after):
    """Interpolate between two integers, rounded half up."""
    if before == after:
        return low
    span = after - before
    return low + share(high - low, at - before, span // 2, 1.0 / span)


@inlined
def share(difference, steps, half, inverse):
    """Return ``(difference * steps + half) // span``, with ``inverse`` being ``1 / span``.

    Processors divide integers slowly. What is multiplied here lies half a unit
    above an integer below 2**51, so that rounding cannot reach the next one.
    """
    return np.int64(math.floor((difference * steps + half + 0.5) * inverse))


@inlined
def fill_new_columns(plane, depth, row_steps, column_steps):
    """Interpolate a level's new columns, in the rows of the level before."""
    lines, line_ends, _, _, _ = row_steps
    _, _, columns, _, ends = column_steps
    for line in range(line_ends[depth - 1], line_ends[depth]):
        row = plane[lines[line]]
        for i in range(ends[depth - 1], ends[depth]):
            new, left, right = columns[i, 0], columns[i, 1], columns[i, 2]
            row[new] = between(
                row[left], row[right], np.int64(new), np.int64(left), np.int64(right)
            )


@inlined
def fill_new_rows(plane, depth, row_steps, column_steps):
    """Interpolate a level's new rows, in all of its columns."""
    _, _, rows, _, ends = row_steps
    lines, line_ends, _, _, _ = column_steps
    for i in range(ends[depth - 1], ends[depth]):
        row, low, high = plane[rows[i, 0]], plane[rows[i, 1]], plane[rows[i, 2]]
        at, before, after = np.int64(rows[i, 0]), np.int64(rows[i, 1]), np.int64(rows[i, 2])
        steps, half, inverse = at - before, (after - before) // 2, 1.0 / (after - before)
        for place in range(line_ends[depth], line_ends[depth + 1]):
            x = lines[place]
            row[x] = low[x] + share(high[x] - low[x], steps, half, inverse)


KERNELS = (code_residuals,)
