"""Loops over the pixels of maps, compiled: what numpy can do only in many passes.

Each says which function does the same with numpy. All arrays are C-contiguous.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz.jit import compiled

__all__ = [
    "LOW",
    "cover",
    "fill_lattice",
    "mix_cubic",
    "normalise_odds",
    "resample",
    "spline",
]

LOW = np.float32(-40)
"""Of the highest logarithm of a pixel. Far below it, the exponentials of all classes would be 0:
between two classes, each certain in its place, every class has a low logarithm."""


@compiled
def fill_lattice(values, points, ends, row_steps, column_steps, filled):
    """Do as :meth:`trainviz.lattice.Lattice.fill`.

    ``values`` (n, C) lie at the flat grid indices ``points``, ordered by level;
    those of each level end at ``ends``. The steps of each axis are those of
    ``_steps`` in :mod:`trainviz.lattice`.
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
    """Do as :func:`trainviz.compact.normalised_odds`, but for probabilities below 1e-30: 0."""
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


@compiled
def resample(values, rows, row_weights, columns, column_weights, picture):
    """Do as :class:`trainviz.resample.Resampler`."""
    row, one = np.empty(values.shape[2], np.float32), np.uintp(1)
    for k in range(values.shape[0]):
        for y in range(len(rows)):
            low, high, weight = values[k, rows[y]], values[k, rows[y] + one], row_weights[y]
            for x in range(len(row)):
                row[x] = (high[x] - low[x]) * weight + low[x]
            to = picture[k, y]
            for x in range(len(columns)):
                left = row[columns[x]]
                to[x] = (row[columns[x] + one] - left) * column_weights[x] + left


@compiled
def cover(picture, pixels, color, clear):
    """Do as :meth:`trainviz.scene.Layer.put_on`."""
    for i in range(len(pixels)):
        for channel in range(3):
            below = picture[pixels[i], channel] * clear[i]
            picture[pixels[i], channel] = np.uint8(np.int32(below + color[i, channel]))


@compiled
def spline(before, a, b, after, has_before, has_after, slope, square, cube):
    """Do as ``_smooth`` of :mod:`trainviz.timeline`, over flat arrays."""
    two, three = np.float32(2), np.float32(3)
    for i in range(len(a)):
        step, first, last = b[i] - a[i], a[i] - before[i], after[i] - b[i]
        if has_before:
            slope_a = inner_slope(first, step)
        else:
            slope_a = end_slope(step, last) if has_after else step
        if has_after:
            slope_b = inner_slope(step, last)
        else:
            slope_b = end_slope(step, first) if has_before else step
        slope[i] = slope_a
        square[i] = three * step - two * slope_a - slope_b
        cube[i] = slope_a + slope_b - two * step


@compiled
def inner_slope(left, right):
    """Return the harmonic mean of two secants where they agree in sign, else 0."""
    product = left * right
    return np.float32(2) * product / (left + right) if product > 0 else np.float32(0)


@compiled
def end_slope(near, far):
    """Return a three-point estimate at an end, kept monotone."""
    three = np.float32(3)
    slope = (three * near - far) / np.float32(2)
    if np.sign(slope) != np.sign(near):
        return np.float32(0)
    steep = np.sign(near) != np.sign(far) and abs(slope) > three * abs(near)
    return three * near if steep else slope


@compiled
def mix_cubic(start, slope, square, cube, weight, normalised, mixed):
    """Evaluate a cubic polynomial of ``weight``, and make class probabilities of it."""
    n, height, width = start.shape
    total = np.empty(width, np.float32)
    for y in range(height):
        total[:] = 0
        for k in range(n):
            for x in range(width):
                value = (cube[k, y, x] * weight + square[k, y, x]) * weight + slope[k, y, x]
                value = value * weight + start[k, y, x]
                if normalised:
                    value = max(value, np.float32(0))
                    total[x] += value
                mixed[k, y, x] = value
        if normalised:
            for k in range(n):
                for x in range(width):
                    mixed[k, y, x] /= total[x]
