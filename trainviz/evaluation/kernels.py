"""The loops over a map's pixels, for Numba and in NumPy: filling a lattice, normalising.

All arrays are C-contiguous. A compiled loop and the function that precedes it return
the same bits: each adds up the classes in their order, in single precision.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import inlined, kernel, kernels_of

__all__ = ["KERNELS", "by_level", "fill_at", "fill_lattice", "keep", "normalise_odds"]

_AXIS_STEPS = "Tuple((uintp[::1], intp[::1], uintp[:, ::1], float32[::1], intp[::1]))"

LOW = np.float32(-40)
"""Below this, the highest logarithm of a pixel is subtracted from all, because the exponentials of
all classes would underflow to 0: interpolation between two regions, each of which is certain of
another class, gives every class a low logarithm."""


def _by_level_by_numpy(points, values, line_levels, ordered, ends, by_class):
    row_levels, column_levels = line_levels
    row, column = np.divmod(points, len(column_levels))
    levels = np.maximum(row_levels[row], column_levels[column])
    order = np.argsort(levels, kind="stable")
    ends[:] = np.searchsorted(levels[order], np.arange(len(ends)), side="right")
    ordered[:] = points[order]
    np.take(values.T, order, axis=1, out=by_class, mode="clip")


@kernel(
    "(intp[::1], float32[:, ::1], Tuple((intp[::1], intp[::1])), uintp[::1], intp[::1], "
    "float32[:, ::1])",
    _by_level_by_numpy,
)
def by_level(points, values, line_levels, ordered, ends, by_class):
    """Order grid points by the level at which they appear first, and their values by class.

    Parameters
    ----------
    points : ndarray of int, shape (n,)
        Flat grid indices.
    values : ndarray of float32, shape (n, C)
    line_levels : tuple of ndarray of int
        The level at which each row, and each column, appears first.
    ordered : ndarray of uintp, shape (n,)
        Is written: the points.
    ends : ndarray of int
        Is written: where each level ends among them.
    by_class : ndarray of float32, shape (C, n)
        Is written: their values.
    """
    row_levels, column_levels = line_levels
    width, levels = np.uint32(len(column_levels)), np.empty(len(points), np.uint8)
    ends[:] = 0
    for i in range(len(points)):
        row = np.uint32(points[i]) // width
        column = np.uint32(points[i]) - row * width
        levels[i] = max(row_levels[row], column_levels[column])
        ends[levels[i]] += 1
    first = np.zeros(len(ends), np.intp)
    for level in range(1, len(ends)):
        first[level] = first[level - 1] + ends[level - 1]
    ends[:] = first
    for i in range(len(points)):
        slot = ends[levels[i]]
        ends[levels[i]] += 1
        ordered[slot] = points[i]
        for k in range(values.shape[1]):
            by_class[k, slot] = values[i, k]


def _fill_lattice_by_numpy(values, points, ends, row_steps, column_steps, normalised, filled):
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
    if normalised:
        _normalise_by_numpy(filled)


@kernel(
    f"(float32[:, ::1], uintp[::1], intp[::1], {_AXIS_STEPS}, {_AXIS_STEPS}, boolean, "
    "float32[:, :, ::1])",
    _fill_lattice_by_numpy,
)
def fill_lattice(values, points, ends, row_steps, column_steps, normalised, filled):
    """Interpolate values over a whole grid, level by level.

    ``values`` (C, n) lie at the flat grid indices ``points``, ordered by level and ascending in
    each; those of each level end at ``ends``. The steps of each axis are those of ``_steps`` in
    :mod:`trainviz.evaluation.lattice`. If ``normalised``, values are log-probabilities, and
    what is written is the result of :func:`normalise_odds`.
    """
    lines, line_ends, steps, shares, step_ends = row_steps
    n, _, width = filled.shape
    n_levels, coarse = len(ends), lines[: line_ends[1]].astype(np.intp)
    # From one coarse row to the next, so that all classes stay in the CPU cache.
    strip = np.empty((n, np.diff(coarse).max() + 1, width), np.float32)
    total, bits = np.empty(width, np.float32), np.empty(width, np.int32)
    # Where a strip's lines, new lines and points begin and end, of each level.
    from_line, to_line = line_ends[:-1].copy(), line_ends[:-1].copy()
    from_step, to_step = step_ends[:-1].copy(), step_ends[:-1].copy()
    from_point, to_point = np.zeros(n_levels, np.intp), np.zeros(n_levels, np.intp)
    from_point[1:] = ends[:-1]
    to_point[1:] = ends[:-1]
    for number in range(len(coarse) - 1):
        top, bottom = coarse[number], coarse[number + 1]
        # The row between two strips belongs to both.
        for level in range(n_levels):
            while from_line[level] < line_ends[level + 1] and lines[from_line[level]] < top:
                from_line[level] += 1
            while to_line[level] < line_ends[level + 1] and lines[to_line[level]] <= bottom:
                to_line[level] += 1
            while from_point[level] < ends[level] and points[from_point[level]] < top * width:
                from_point[level] += 1
            while to_point[level] < ends[level] and points[to_point[level]] < (bottom + 1) * width:
                to_point[level] += 1
        for level in range(n_levels - 1):
            from_step[level] = to_step[level]
            while to_step[level] < step_ends[level + 1] and steps[to_step[level], 0] < bottom:
                to_step[level] += 1
        for k in range(n):
            plane = strip[k]
            flat = plane.reshape(-1)
            for level in range(n_levels):
                if level:
                    there = lines[from_line[level - 1] : to_line[level - 1]]
                    fill_columns(plane, there, top, level, column_steps)
                    new = slice(from_step[level - 1], to_step[level - 1])
                    fill_rows(plane, steps[new], shares[new], top, level, column_steps)
                for i in range(from_point[level], to_point[level]):
                    flat[points[i] - top * width] = values[k, i]
        for y in range(top + (number > 0), bottom + 1):
            if normalised:
                normalise_row(strip, y - top, filled, y, total, bits)
                continue
            for k in range(n):
                row, to = strip[k, y - top], filled[k, y]
                for x in range(width):
                    to[x] = row[x]


@inlined
def fill_columns(plane, rows, top, level, column_steps):
    """Interpolate a level's new columns, in some rows of a plane that begins with row ``top``."""
    _, _, columns, shares, ends = column_steps
    top = np.uintp(top)
    # Four rows at a time, as finding the columns takes longer than the arithmetic.
    for line in range(0, len(rows) - 3, 4):
        one, two = plane[rows[line] - top], plane[rows[line + 1] - top]
        three, four = plane[rows[line + 2] - top], plane[rows[line + 3] - top]
        for i in range(ends[level - 1], ends[level]):
            new, before, after, share = columns[i, 0], columns[i, 1], columns[i, 2], shares[i]
            one[new] = (one[after] - one[before]) * share + one[before]
            two[new] = (two[after] - two[before]) * share + two[before]
            three[new] = (three[after] - three[before]) * share + three[before]
            four[new] = (four[after] - four[before]) * share + four[before]
    for line in range(len(rows) // 4 * 4, len(rows)):
        row = plane[rows[line] - top]
        for i in range(ends[level - 1], ends[level]):
            left = row[columns[i, 1]]
            row[columns[i, 0]] = (row[columns[i, 2]] - left) * shares[i] + left


@inlined
def fill_rows(plane, steps, shares, top, level, column_steps):
    """Interpolate new rows of a plane that begins with row ``top``, in all of a level's columns."""
    lines, line_ends, _, _, _ = column_steps
    top = np.uintp(top)
    there = lines[line_ends[level] : line_ends[level + 1]]
    for i in range(len(steps)):
        row, low, high = (
            plane[steps[i, 0] - top],
            plane[steps[i, 1] - top],
            plane[steps[i, 2] - top],
        )
        if len(there) == len(row):
            for x in range(len(row)):
                row[x] = (high[x] - low[x]) * shares[i] + low[x]
        else:
            for x in there:
                row[x] = (high[x] - low[x]) * shares[i] + low[x]


def _fill_at_by_numpy(values, slots, lines, stride, wanted, filled):
    rows, columns = lines
    at = np.divmod(wanted, columns[-1] + 1)
    places = [np.searchsorted(axis, each) for axis, each in zip(lines, at, strict=True)]
    y, x = (
        np.minimum(place // stride * stride, len(axis) - 1 - stride)
        for place, axis in zip(places, lines, strict=True)
    )
    corners = [
        values[slots[rows[y + up] * (columns[-1] + 1) + columns[x + right]]]
        for up in (0, stride) for right in (0, stride)
    ]  # fmt: skip
    while stride > 1:
        stride //= 2
        (r0, r1, r2), (c0, c1, c2) = (
            [axis[place + step * stride] for step in range(3)]
            for axis, place in ((rows, y), (columns, x))
        )
        up, right = ((
            (middle - low) / np.maximum(high - low, 1)).astype(np.float32)[:, None]
            for low, middle, high in ((r0, r1, r2), (c0, c1, c2))
        )  # fmt: skip
        a, b, c, d = corners
        low, high = (b - a) * right + a, (d - c) * right + c
        nine = [a, low, b, (c - a) * up + a, (high - low) * up + low, (d - b) * up + b, c, high, d]
        for k in (1, 3, 4, 5, 7):
            slot = slots[(r0, r1, r2)[k // 3] * (columns[-1] + 1) + (c0, c1, c2)[k % 3]]
            nine[k] = np.where(slot[:, None] >= 0, values[slot], nine[k])
        upper, later = places[0] - y >= stride, places[1] - x >= stride
        first, pick = 3 * upper + later, np.arange(len(wanted))
        stacked = np.stack(nine)
        corners = [stacked[first + step, pick] for step in (0, 1, 3, 4)]
        y, x = y + stride * upper, x + stride * later
    stacked = np.stack(corners)
    filled[:] = stacked[2 * (places[0] - y) + places[1] - x, np.arange(len(wanted))].T


@kernel(
    "(float32[:, ::1], int32[::1], Tuple((intp[::1], intp[::1])), intp, intp[::1], "
    "float32[:, ::1])",
    _fill_at_by_numpy,
)
def fill_at(values, slots, lines, stride, wanted, filled):
    """Interpolate values at some grid points, as :func:`fill_lattice` does over the whole grid.

    Parameters
    ----------
    values : ndarray of float32, shape (n, C)
    slots : ndarray of int32, shape (H * W,)
        The row of each grid point in these; -1 where there is none.
    lines : tuple of ndarray of int
        The grid lines of the places along either axis.
    stride : int
        Places per interval of the coarse lattice.
    wanted : ndarray of int, shape (m,)
        Flat grid indices.
    filled : ndarray of float32, shape (C, m)
        To write to.
    """
    rows, columns = lines
    width, n_classes = columns[-1] + 1, values.shape[1]
    nine = np.empty((9, n_classes), np.float32)
    for i in range(len(wanted)):
        row, column = wanted[i] // width, wanted[i] % width
        to_y, to_x = np.searchsorted(rows, row), np.searchsorted(columns, column)
        y = min(to_y // stride * stride, len(rows) - 1 - stride)
        x = min(to_x // stride * stride, len(columns) - 1 - stride)
        for k in (0, 2, 6, 8):
            corner = rows[y + k // 6 * stride] * width + columns[x + k % 3 // 2 * stride]
            for c in range(n_classes):
                nine[k, c] = values[slots[corner], c]
        half = stride
        while half > 1:
            half //= 2
            r0, r1, r2 = rows[y], rows[y + half], rows[y + 2 * half]
            c0, c1, c2 = columns[x], columns[x + half], columns[x + 2 * half]
            up = np.float32((r1 - r0) / max(r2 - r0, 1))
            right = np.float32((c1 - c0) / max(c2 - c0, 1))
            for c in range(n_classes):
                nine[1, c] = (nine[2, c] - nine[0, c]) * right + nine[0, c]
                nine[7, c] = (nine[8, c] - nine[6, c]) * right + nine[6, c]
                nine[3, c] = (nine[6, c] - nine[0, c]) * up + nine[0, c]
                nine[5, c] = (nine[8, c] - nine[2, c]) * up + nine[2, c]
                nine[4, c] = (nine[7, c] - nine[1, c]) * up + nine[1, c]
            for k in (1, 3, 4, 5, 7):
                slot = slots[(r0, r1, r2)[k // 3] * width + (c0, c1, c2)[k % 3]]
                if slot >= 0:
                    for c in range(n_classes):
                        nine[k, c] = values[slot, c]
            # Go on in the quarter in which the point lies.
            upper, later = np.intp(to_y - y >= half), np.intp(to_x - x >= half)
            y, x, first = y + half * upper, x + half * later, 3 * upper + later
            for c in range(n_classes):
                a, b = nine[first, c], nine[first + 1, c]
                nine[6, c], nine[8, c] = nine[first + 3, c], nine[first + 4, c]
                nine[0, c], nine[2, c] = a, b
        corner = 6 * (to_y - y) + 2 * (to_x - x)
        for c in range(n_classes):
            filled[c, i] = nine[corner, c]


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
    total, bits = np.empty(logs.shape[2], np.float32), np.empty(logs.shape[2], np.int32)
    for y in range(logs.shape[1]):
        normalise_row(logs, y, logs, y, total, bits)


@inlined
def normalise_row(logs, y, shares, to, total, bits):
    """Normalise a row of pixels into row ``to`` of ``shares``; the last two are scratch."""
    n, _, width = logs.shape
    raise_row(logs, y, total)
    for x in range(width):
        total[x] = 0
    for k in range(n):
        row = shares[k, to]
        exponentials(logs[k, y], row, bits)
        for x in range(width):
            total[x] += row[x]
    for k in range(n):
        row = shares[k, to]
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
def exponentials(values, row, bits):
    """Write the exponential of each value into a row, or 0 if the value is below -69.

    A power of two times a polynomial of the remainder, with an error of 1e-7
    at most. Smaller results become 0 because arithmetic with denormal numbers
    is a hundred times as slow. ``bits`` is scratch.
    """
    for x in range(len(row)):
        whole = np.floor(values[x] * _LOG2_E + _HALF)
        rest = values[x] - whole * _LN2 - whole * _LN2_REST
        power = (((_C5 * rest + _C4) * rest + _C3) * rest + _C2) * rest * rest + rest + _ONE
        exponent = whole + _BIAS if whole > _LOWEST_POWER else _NONE
        row[x], bits[x] = power, np.int32(exponent * _MANTISSA)
    powers = bits.view(np.float32)
    for x in range(len(row)):
        row[x] *= powers[x]


def _keep_by_numpy(logs, halves, rounded):
    highest = np.ascontiguousarray(logs.T).max(axis=0)  # Fast, unlike along the last axis.
    kept = (logs - highest[:, None]).astype(np.float16)
    halves[:] = kept.view(np.uint16)
    rounded[:] = kept


@kernel("(float32[:, ::1], uint16[:, ::1], float32[:, ::1])", _keep_by_numpy)
def keep(logs, halves, rounded):
    """Write log-probabilities as a map keeps them: relative to the highest, in half precision.

    Parameters
    ----------
    logs : ndarray of float32, shape (n, C)
        Those of a point are apart by less than the largest number in half precision.
    halves : ndarray of uint16, shape (n, C)
        To write the bits to.
    rounded : ndarray of float32, shape (n, C)
        To write the same numbers to, in single precision.
    """
    n_classes = logs.shape[1]
    below = np.empty(n_classes, np.float32)
    bits = below.view(np.uint32)
    for i in range(len(logs)):
        highest = logs[i, 0]
        for k in range(1, n_classes):
            highest = max(highest, logs[i, k])
        for k in range(n_classes):
            below[k] = highest - logs[i, k]
        for k in range(n_classes):
            negative = np.uint32(below[k] > _NONE)
            # To the nearest half; of two that are as near, to the even one.
            if below[k] >= _SMALLEST_NORMAL:
                odd = (bits[k] >> _DROPPED) & np.uint32(1)
                half = np.uint32(bits[k] + _ROUNDED_UP + odd) >> _DROPPED
                back = np.uint32(half << _DROPPED) + _REBIASED
            else:
                below[k] += _HALF
                half = bits[k] - _HALF_BITS
                below[k] = np.float32(half) * _SMALLEST
                back = bits[k]
            halves[i, k] = np.uint16(half | (negative << np.uint32(15)))
            bits[k] = back | (negative << np.uint32(31))
            rounded[i, k] = below[k]


_SMALLEST_NORMAL, _SMALLEST = np.float32(2**-14), np.float32(2**-24)
_DROPPED, _ROUNDED_UP = np.uint32(13), np.uint32(((15 - 127) * 2**23 + 0xFFF) % 2**32)
_REBIASED, _HALF_BITS = np.uint32((127 - 15) * 2**23), np.uint32(126 * 2**23)


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
