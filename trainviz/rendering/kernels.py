"""Compiled loops of the renderer: resampling, interpolating, covering, looking colours up.

Each says which function does the same with numpy. All arrays are C-contiguous.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import compiled

__all__ = [
    "cover",
    "look_up",
    "mix_cubic",
    "resample",
    "spline",
]


@compiled
def resample(values, rows, row_weights, columns, column_weights, picture):
    """Do as :class:`trainviz.rendering.resample.Resampler`."""
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
    """Do as :meth:`trainviz.rendering.compositor.Layer.put_on`."""
    for i in range(len(pixels)):
        for channel in range(3):
            below = picture[pixels[i], channel] * clear[i]
            picture[pixels[i], channel] = np.uint8(np.int32(below + color[i, channel]))


@compiled
def spline(before, a, b, after, has_before, has_after, slope, square, cube):
    """Do as ``_smooth`` of :mod:`trainviz.rendering.interpolation`, over flat arrays."""
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


@compiled
def look_up(image, table, bits, entries):
    """Do as :meth:`trainviz.rendering.writers.gif_palette.SharedPalette.apply`."""
    height, width, _ = image.shape
    cells = np.empty(width, np.uint32)
    for y in range(height):
        row = image[y]
        for x in range(width):
            cell = np.uint32(row[x, 0]) >> (8 - bits)
            cell = (cell << bits) | (np.uint32(row[x, 1]) >> (8 - bits))
            cells[x] = (cell << bits) | (np.uint32(row[x, 2]) >> (8 - bits))
        for x in range(width):
            entries[y, x] = table[cells[x]]
