"""The loops of the packed form, compiled and by NumPy: bits, bytes and residuals of integers.

All arrays are C-contiguous. A compiled loop and the function that precedes it return the
same integers.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import inlined, kernel, kernels_of

__all__ = ["KERNELS", "code_residuals", "join_bytes", "known_points"]

_STEPS = "Tuple((uintp[::1], intp[::1], uintp[:, ::1], float32[::1], intp[::1]))"
_LINES = "int64[:, ::1]"


def _code_residuals_by_numpy(values, coded, points, ends, axes, half, decode):
    (rows, row_lines), (columns, column_lines) = axes
    plane = np.zeros((row_lines.shape[1], column_lines.shape[1]), np.int64)
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
    "2), int64, boolean)",
    _code_residuals_by_numpy,
)
def code_residuals(values, coded, points, ends, axes, half, decode):
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
    """
    (rows, row_lines), (columns, column_lines) = axes
    finest, mask, n = len(ends) - 1, 2 * half - 1, len(points)
    # What is finest is the basis of nothing, so that only the other lines have a place.
    row_places, height = places_of(row_lines, finest)
    column_places, width = places_of(column_lines, finest)
    row_shares, column_shares = shares_of(row_lines), shares_of(column_lines)
    plane = np.zeros((height, width), np.int64)
    flat = plane.reshape(-1)
    # Unsigned, so that Numba skips the check for negative indices.
    corners, own, shares = np.empty((4, n), np.uintp), np.empty(n, np.uintp), np.empty((2, 3, n))
    grid_width = np.uint32(len(column_places))
    known, complete = np.zeros(height * width, np.bool_), True
    for depth in range(finest + 1):
        for i in range(ends[depth - 1] if depth else 0, ends[depth]):
            y = np.uint32(points[i]) // grid_width
            x = np.uint32(points[i]) - y * grid_width
            own[i] = row_places[y] * width + column_places[x]
            below, above = around(row_lines, row_shares, y, depth, shares[0, :, i])
            left, right = around(column_lines, column_shares, x, depth, shares[1, :, i])
            below, above = row_places[below] * width, row_places[above] * width
            left, right = column_places[left], column_places[right]
            corners[0, i], corners[1, i] = below + left, below + right
            corners[2, i], corners[3, i] = above + left, above + right
            for corner in range(4 if depth else 0):
                complete &= known[corners[corner, i]]
            if depth < finest:
                known[own[i]] = True
    for k in range(len(values)):
        for depth in range(finest + 1):
            here = slice(ends[depth - 1] if depth else 0, ends[depth])
            given, made = values[k, here], coded[k, here]
            if depth:
                predict(flat, corners[:, here], shares[:, :, here], made)
            else:
                made[:] = 0
            for i in range(len(made)):
                known = given[i] + made[i] if decode else given[i] - made[i]
                made[i] = ((known + half) & mask) - half
            # Where all corners are known, as in a map that was refined cell by cell, what lies
            # between them is the basis of nothing.
            if depth and depth < finest and not complete:
                places = row_places, column_places
                fill_new_columns(plane, depth, rows, columns, places, column_shares)
                fill_new_rows(plane, depth, rows, columns, places, row_shares)
            if depth < finest:
                place = own[here]
                for i in range(len(made)):
                    flat[place[i]] = made[i] if decode else given[i]


@inlined
def predict(flat, corners, shares, guesses):
    """Interpolate bilinearly between the four corners of each point."""
    first, second, third, fourth = corners[0], corners[1], corners[2], corners[3]
    up, up_half, up_inverse = shares[0, 0], shares[0, 1], shares[0, 2]
    right, right_half, right_inverse = shares[1, 0], shares[1, 1], shares[1, 2]
    for i in range(len(guesses)):
        low, high = flat[first[i]], flat[third[i]]
        low += share(flat[second[i]] - low, right[i], right_half[i], right_inverse[i])
        high += share(flat[fourth[i]] - high, right[i], right_half[i], right_inverse[i])
        guesses[i] = low + share(high - low, up[i], up_half[i], up_inverse[i])


@inlined
def places_of(lines, finest):
    """Return where each grid line lies among those that are not finest, and how many these are."""
    places, count = np.zeros(lines.shape[1], np.uintp), 0
    for line in range(lines.shape[1]):
        places[line] = count
        count += lines[0, line] < finest
    return places, count


@inlined
def shares_of(lines):
    """Return the last three arguments of :func:`share` for each line between its neighbours."""
    shares = np.empty((lines.shape[1], 3))
    for line in range(lines.shape[1]):
        span = max(lines[2, line] - lines[1, line], 1)
        shares[line, 0] = line - lines[1, line]
        shares[line, 1], shares[line, 2] = span // 2 + 0.5, 1.0 / span
    return shares


@inlined
def around(lines, line_shares, at, depth, shares):
    """Return the lines before and after one, and note how to interpolate between them."""
    if lines[0, at] == depth:
        for i in range(3):
            shares[i] = line_shares[at, i]
        return np.uint32(lines[1, at]), np.uint32(lines[2, at])
    # Between a line and itself there is nothing to share.
    shares[0], shares[1], shares[2] = 0.0, 0.5, 1.0
    return at, at


@inlined
def share(difference, steps, half, inverse):
    """Return ``(difference * steps + span // 2) // span``, all being whole numbers.

    ``half`` is ``span // 2 + 0.5``, and ``inverse`` is ``1 / span``, as processors
    divide integers slowly. What is multiplied by it lies half a unit above an
    integer below 2**51, so that rounding cannot reach the next one.
    """
    return np.int64(np.floor((np.float64(difference) * steps + half) * inverse))


@inlined
def fill_new_columns(plane, depth, row_steps, column_steps, places, shares):
    """Interpolate a level's new columns, in the rows of the level before."""
    lines, line_ends, _, _, _ = row_steps
    _, _, columns, _, ends = column_steps
    row_places, column_places = places
    for i in range(ends[depth - 1], ends[depth]):
        new, before, after = columns[i, 0], columns[i, 1], columns[i, 2]
        steps, half, inverse = shares[new, 0], shares[new, 1], shares[new, 2]
        new, before, after = column_places[new], column_places[before], column_places[after]
        for line in range(line_ends[depth - 1], line_ends[depth]):
            row = plane[row_places[lines[line]]]
            low = row[before]
            row[new] = low + share(row[after] - low, steps, half, inverse)


@inlined
def fill_new_rows(plane, depth, row_steps, column_steps, places, shares):
    """Interpolate a level's new rows, in all of its columns."""
    _, _, rows, _, ends = row_steps
    lines, line_ends, _, _, _ = column_steps
    first, last = line_ends[depth], line_ends[depth + 1]
    row_places, column_places = places
    for i in range(ends[depth - 1], ends[depth]):
        new = rows[i, 0]
        steps, half, inverse = shares[new, 0], shares[new, 1], shares[new, 2]
        below, above = plane[row_places[rows[i, 1]]], plane[row_places[rows[i, 2]]]
        row = plane[row_places[new]]
        if last - first == len(row):
            for x in range(len(row)):
                low = below[x]
                row[x] = low + share(above[x] - low, steps, half, inverse)
        else:
            for line in range(first, last):
                x = column_places[lines[line]]
                low = below[x]
                row[x] = low + share(above[x] - low, steps, half, inverse)


def _join_bytes_by_numpy(planes, integers):
    integers[:] = planes[0]
    for place in range(1, len(planes)):
        integers |= planes[place].astype(np.int64) << (8 * place)
    integers[:] = (integers >> 1) ^ -(integers & 1)


@kernel("(uint8[:, ::1], int64[::1])", _join_bytes_by_numpy)
def join_bytes(planes, integers):
    """Join bytes to integers, the lowest byte first, and turn 0, 1, 2, 3 ... to 0, -1, 1, -2 ...

    ``planes`` has a row for each byte of an integer.
    """
    lowest = planes[0]
    for i in range(len(integers)):
        integers[i] = lowest[i]
    for place in range(1, len(planes)):
        plane = planes[place]
        for i in range(len(integers)):
            integers[i] |= np.int64(plane[i]) << (8 * place)
    for i in range(len(integers)):
        integers[i] = (integers[i] >> 1) ^ -(integers[i] & 1)


def _known_points_by_numpy(bits, grid, grid_ends, points, ends):
    start = first = count = 0
    for level, last in enumerate(grid_ends):
        n_bytes = -(-(last - first) // 8)
        known = np.unpackbits(bits[start : start + n_bytes], count=last - first).view(np.bool_)
        found = grid[first:last][known]
        kept = found[: max(len(points) - count, 0)]
        points[count : count + len(kept)] = kept
        start, first, count = start + n_bytes, last, count + len(found)
        ends[level] = count


@kernel("(uint8[::1], uintp[::1], intp[::1], uintp[::1], intp[::1])", _known_points_by_numpy)
def known_points(bits, grid, grid_ends, points, ends):
    """List the grid points whose bits are set.

    Parameters
    ----------
    bits : ndarray of uint8
        A bit for each grid point, the highest of a byte first; each level begins with a new byte.
    grid : ndarray of uintp
        The flat indices of all grid points, by level.
    grid_ends : ndarray of int
        Where each level ends among them.
    points : ndarray of uintp
        Is written; what it has no room for is counted alone.
    ends : ndarray of int
        Is written: where each level ends among the points.
    """
    at, first, count = 0, 0, 0
    for level in range(len(grid_ends)):
        last = grid_ends[level]
        for start in range(first, last, 8):
            if bits[at]:
                for place in range(start, min(start + 8, last)):
                    if bits[at] >> np.uint8(7 - (place - start)) & np.uint8(1):
                        if count < len(points):
                            points[count] = grid[place]
                        count += 1
            at += 1
        first, ends[level] = last, count


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
