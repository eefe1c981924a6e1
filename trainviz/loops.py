"""Loops over the pixels of maps, compiled: what numpy can do only in many passes.

Each says which function does the same with numpy. All arrays are C-contiguous.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz.jit import compiled

__all__ = [
    "cover",
    "fill_lattice",
    "mix_cubic",
    "normalise",
    "paint_highest",
    "paint_regions",
    "resample",
    "spline",
]


@compiled
def fill_lattice(values, points, ends, row_steps, column_steps, filled):
    """Do as :meth:`trainviz.lattice.Lattice.fill`.

    ``values`` (n, C) lie at the flat grid indices ``points``, ordered by level;
    those of each level end at ``ends``. The steps are those of each axis, see
    :class:`trainviz.lattice.Steps`.
    """
    row_lines, row_lines_ends, rows, row_shares, row_ends = row_steps
    column_lines, column_lines_ends, columns, column_shares, column_ends = column_steps
    for k in range(values.shape[1]):
        plane = filled[k]
        flat = plane.reshape(-1)
        for depth in range(len(ends)):
            if depth:
                first, last = column_ends[depth - 1], column_ends[depth]
                # Between the columns of the rows that are there, then whole rows between these.
                for line in range(row_lines_ends[depth - 1], row_lines_ends[depth]):
                    row = plane[row_lines[line]]
                    for i in range(first, last):
                        left = row[columns[i, 1]]
                        row[columns[i, 0]] = (row[columns[i, 2]] - left) * column_shares[i] + left
                first, last = column_lines_ends[depth], column_lines_ends[depth + 1]
                for i in range(row_ends[depth - 1], row_ends[depth]):
                    row, low, high = plane[rows[i, 0]], plane[rows[i, 1]], plane[rows[i, 2]]
                    share = row_shares[i]
                    if last - first == len(row):
                        for x in range(len(row)):
                            row[x] = (high[x] - low[x]) * share + low[x]
                    else:
                        for place in range(first, last):
                            x = column_lines[place]
                            row[x] = (high[x] - low[x]) * share + low[x]
            for i in range(ends[depth - 1] if depth else 0, ends[depth]):
                flat[points[i]] = values[i, k]


@compiled
def normalise(values):
    """Divide by the sum over the first axis, in place: as ``values /= values.sum(axis=0)``."""
    n, height, width = values.shape
    total = np.empty(width, np.float32)
    for y in range(height):
        total[:] = 0
        for k in range(n):
            for x in range(width):
                total[x] += values[k, y, x]
        for k in range(n):
            for x in range(width):
                values[k, y, x] /= total[x]


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


@compiled
def paint_highest(a, b, weight, low, factor, colors, picture):
    """Paint the highest of each pixel through a table of 256 colours.

    The map lies between ``a`` and ``b``, shape (C, h, w).
    """
    n, height, width = a.shape
    best = np.empty(width, np.float32)
    for y in range(height):
        for x in range(width):
            best[x] = (b[0, y, x] - a[0, y, x]) * weight + a[0, y, x]
        for k in range(1, n):
            for x in range(width):
                best[x] = max(best[x], (b[k, y, x] - a[k, y, x]) * weight + a[k, y, x])
        for x in range(width):
            level = np.intp(min(max(np.rint((best[x] - low) * factor), 0.0), 255.0))
            picture[y, x, 0] = colors[level, 0]
            picture[y, x, 1] = colors[level, 1]
            picture[y, x, 2] = colors[level, 2]


@compiled
def paint_regions(a, b, weight, low, factor, colors, levels, picture):
    """Do as :meth:`trainviz.modes.Region.paint`, of a map between ``a`` and ``b``.

    ``colors``, shape (C * levels, 3), are the shades of every class.
    """
    _, height, width = a.shape
    labels, shades = np.empty((height, width), np.uint8), np.empty((height, width), np.uint8)
    best, first = np.empty(width, np.float32), np.empty(width, np.int32)
    for y in range(height):
        find_highest(a, b, weight, y, best, first)
        for x in range(width):
            level = max(np.rint((best[x] - low) * factor), np.float32(0))
            labels[y, x] = first[x]
            shades[y, x] = np.uint8(np.int32(min(level, np.float32(levels - 1))))
        for x in range(width):
            color = np.intp(labels[y, x]) * levels + shades[y, x]
            picture[y, x, 0] = colors[color, 0]
            picture[y, x, 1] = colors[color, 1]
            picture[y, x, 2] = colors[color, 2]
    differ, covers = np.zeros(width, np.uint8), np.zeros(len(a), np.intp)
    around, lead = np.empty((9, 3), np.intp), np.empty((3, 3), np.float32)
    samples, winners = np.empty((2, 16), np.float32), np.empty(16, np.intp)
    for y in range(height):
        above, below = labels[max(y - 1, 0)], labels[min(y + 1, height - 1)]
        mark_borders(above, labels[y], below, differ)
        for x in range(width):
            if differ[x]:
                count = look_around(labels, y, x, around)
                share_out(a, b, weight, around, count, lead, samples, winners)
                for i in range(16):
                    covers[winners[i]] += 1
                average(covers, around[:count, 2], colors, levels, shades[y, x], picture[y, x])


@compiled
def find_highest(a, b, weight, y, best, first):
    """Find the highest of each pixel in a row, and the class that it belongs to."""
    n, _, width = a.shape
    for x in range(width):
        best[x] = (b[0, y, x] - a[0, y, x]) * weight + a[0, y, x]
        first[x] = 0
    for k in range(1, n):
        for x in range(width):
            value = (b[k, y, x] - a[k, y, x]) * weight + a[k, y, x]
            first[x] = k if value > best[x] else first[x]
            best[x] = max(best[x], value)


@compiled
def average(covers, meeting, colors, levels, shade, color):
    """Mix the colours of some classes, each as often of sixteen as it covers; forget how often."""
    for channel in range(3):
        total = 8
        for i in range(len(meeting)):
            total += covers[meeting[i]] * np.intp(colors[meeting[i] * levels + shade, channel])
        color[channel] = total // 16
    for i in range(len(meeting)):
        covers[meeting[i]] = 0


@compiled
def mark_borders(above, here, below, differ):
    """Mark the pixels of a row that differ from one of their eight neighbours."""
    width = len(here)
    for x in range(width):
        differ[x] = (above[x] ^ here[x]) | (below[x] ^ here[x])
    for x in range(1, width):
        found = (above[x - 1] ^ here[x]) | (here[x - 1] ^ here[x]) | (below[x - 1] ^ here[x])
        differ[x] |= found
    for x in range(width - 1):
        found = (above[x + 1] ^ here[x]) | (here[x + 1] ^ here[x]) | (below[x + 1] ^ here[x])
        differ[x] |= found


@compiled
def look_around(labels, y, x, around):
    """Write the rows and columns of the 3x3 pixels, and the classes there; return how many."""
    height, width = labels.shape
    for i in range(9):
        around[i, 0] = min(max(y + i // 3 - 1, 0), height - 1)
        around[i, 1] = min(max(x + i % 3 - 1, 0), width - 1)
    count = 0
    for i in range(9):
        label = np.intp(labels[around[i, 0], around[i, 1]])
        place = count
        while place and around[place - 1, 2] > label:
            place -= 1
        if place and around[place - 1, 2] == label:
            continue
        for later in range(count, place, -1):
            around[later, 2] = around[later - 1, 2]
        around[place, 2] = label
        count += 1
    return count


@compiled
def share_out(a, b, weight, around, count, lead, samples, winners):
    """Tell which of the classes around a pixel wins each of sixteen places in it."""
    found, best = samples
    low = around[0, 2]
    # Of two classes only the difference is looked at.
    for index in range(1 if count == 2 else 0, count):
        k = around[index, 2]
        for i in range(9):
            y, x = around[i, 0], around[i, 1]
            value = (b[k, y, x] - a[k, y, x]) * weight + a[k, y, x]
            if count == 2:
                value -= (b[low, y, x] - a[low, y, x]) * weight + a[low, y, x]
            lead[i // 3, i % 3] = value
        sample(lead, found)
        for i in range(16):
            if count == 2:
                winners[i] = k if found[i] > 0 else low
            elif index == 0 or found[i] > best[i]:
                winners[i] = k
                best[i] = found[i]


@compiled
def sample(around, found):
    """Interpolate nine values at sixteen places in the middle pixel."""
    for i in range(4):
        down = np.float32((i + 0.5) / 4 - 0.5)
        row, over = (0, -down) if i < 2 else (2, down)
        left = (np.float32(1) - over) * around[1, 0] + over * around[row, 0]
        middle = (np.float32(1) - over) * around[1, 1] + over * around[row, 1]
        right = (np.float32(1) - over) * around[1, 2] + over * around[row, 2]
        for j in range(4):
            along = np.float32((j + 0.5) / 4 - 0.5)
            if j < 2:
                found[4 * i + j] = (np.float32(1) + along) * middle - along * left
            else:
                found[4 * i + j] = (np.float32(1) - along) * middle + along * right
