"""The loops that paint a map, each compiled by Numba and written with NumPy.

All arrays are C-contiguous. A compiled loop and its NumPy version, which
precedes it, return bit-identical results.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image, Map, argmax
from trainviz._common.jit import inlined, kernel, kernels_of, ready
from trainviz.modes.base import PaintBetween
from trainviz.modes.pixels import packed, unpacked

__all__ = [
    "KERNELS",
    "PART_HEIGHT",
    "PART_WIDTH",
    "everywhere",
    "paint_highest",
    "paint_regions",
    "painter",
]

_MAPS = "float32[:, :, ::1], float32[:, :, ::1], float32"
_LIKELY = "boolean[:, :, ::1]"

PART_HEIGHT, PART_WIDTH = 8, 32
"""How many neighbouring rows and columns of pixels have a list of likely classes in common."""


def painter(paint: Callable[..., None], *options: Any) -> PaintBetween:
    """Return what :meth:`Mode.between` returns, for a ``paint`` of this module."""

    def between(
        a: Map, b: Map, likely: npt.NDArray[np.bool_] | None = None
    ) -> Callable[[np.float32], Image]:
        a, b = ready(a), ready(b)
        _, height, width = a.shape
        likely = everywhere(a) if likely is None else ready(likely, np.bool_)

        def painted(weight: np.float32) -> Image:
            picture = np.empty((height, width, 3), dtype=np.uint8)
            paint(a, b, weight, likely, *options, picture)
            return picture

        return painted

    return between


def everywhere(picture: Map) -> npt.NDArray[np.bool_]:
    """Return a mask of all classes in all parts of a map at a picture's pixels, (C, h, w)."""
    n_classes, height, width = picture.shape
    return np.ones((-(-height // PART_HEIGHT), -(-width // PART_WIDTH), n_classes), np.bool_)


def _likely_values(values, likely):
    """Return values that are below all others where a class is not likely."""
    rows, columns = np.arange(values.shape[1]), np.arange(values.shape[2])
    kept = likely.transpose(2, 0, 1)[:, rows[:, None] // PART_HEIGHT, columns // PART_WIDTH]
    return np.where(kept, values, np.float32(-1))


def _paint_highest_by_numpy(a, b, weight, likely, low, factor, colors, picture):
    highest = _likely_values(_mixed(a, b, weight), likely).max(axis=0)
    picture[:] = colors.take(_levels(highest, low, factor, 256), axis=0)


def _mixed(a, b, weight):
    if a is b:
        return a
    mixed = b - a
    mixed *= weight
    mixed += a
    return mixed


def _levels(values, low, factor, levels):
    """Quantise values: ``rint((values - low) * factor)``, clipped to 0 ... levels - 1."""
    level = values - low
    level *= factor
    return np.clip(np.rint(level, out=level), 0, levels - 1, out=level).astype(np.intp)


@kernel(
    f"({_MAPS}, {_LIKELY}, float32, float32, uint8[:, ::1], uint8[:, :, ::1])",
    _paint_highest_by_numpy,
)
def paint_highest(a, b, weight, likely, low, factor, colors, picture):
    """Paint the highest class probability of each pixel with a table of 256 colours.

    The map is interpolated between ``a`` and ``b``, shape (C, h, w). Only the classes are looked
    at that are ``likely`` in a part of ``PART_HEIGHT`` times ``PART_WIDTH`` pixels.
    """
    _, height, width = a.shape
    runs, n_runs = np.empty((likely.shape[1] * likely.shape[2], 3), np.int32), 0
    best, level = np.empty(width, np.float32), np.empty(width, np.int32)
    table, words = in_words(colors), np.empty(width, np.uint32)
    for y in range(height):
        if y % PART_HEIGHT == 0:
            n_runs = list_runs(likely[y // PART_HEIGHT], runs)
        find_highest(a, b, weight, y, runs[:n_runs], best, level)
        find_levels(best, low, factor, 256, level)
        color_row(table, level, words, picture[y].reshape(-1))


def _paint_regions_by_numpy(a, b, weight, likely, low, factor, colors, levels, picture):
    values = _mixed(a, b, weight)
    labels, highest = argmax(_likely_values(values, likely))
    shades = _levels(highest, low, factor, levels)
    words = packed(colors).take(labels * np.intp(levels) + shades)
    near = _neighbours(np.flatnonzero(_borders(labels)), *labels.shape)
    around = labels.reshape(-1).take(near)
    # On most border pixels exactly two classes meet, so only those two are compared there.
    first, last = around.min(axis=0), around.max(axis=0)
    crowded = ~((around == first) | (around == last)).all(axis=0)
    flat, shade, spread = values.reshape(len(values), -1), shades.reshape(-1), _spread(colors)
    for part in _parts(np.flatnonzero(~crowded)):
        pixels = near[_CENTRE, part]
        pair = first[part] * np.intp(levels), last[part] * np.intp(levels)
        margin = flat[last[part], near[:, part]] - flat[first[part], near[:, part]]
        won = (_subsamples(margin) > 0).sum(axis=0, dtype=np.uint64)
        total = spread.take(pair[0] + shade[pixels]) * (np.uint64(16) - won)
        total += spread.take(pair[1] + shade[pixels]) * won
        words.reshape(-1)[pixels] = packed(_mean_color(total))
    for part in _parts(np.flatnonzero(crowded)):
        pixels = near[_CENTRE, part]
        meeting = np.sort(around[:, part], axis=0)
        samples = np.stack([_subsamples(flat[label, near[:, part]]) for label in meeting])
        label = np.take_along_axis(meeting, samples.argmax(axis=0), axis=0)
        total = spread.take(label * np.intp(levels) + shade[pixels]).sum(axis=0)
        words.reshape(-1)[pixels] = packed(_mean_color(total))
    picture[:] = unpacked(words)


def _borders(labels):
    """Mark the pixels whose class differs from that of one of their eight neighbours."""
    border = np.zeros(labels.shape, dtype=bool)
    across = labels[:, 1:] != labels[:, :-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    along = labels[1:] != labels[:-1]
    border[1:] |= along
    border[:-1] |= along
    slant = labels[1:, 1:] != labels[:-1, :-1]
    border[1:, 1:] |= slant
    border[:-1, :-1] |= slant
    slant = labels[1:, :-1] != labels[:-1, 1:]
    border[1:, :-1] |= slant
    border[:-1, 1:] |= slant
    return border


def _neighbours(pixels, height, width):
    """Return the flat indices of the 3x3 neighbourhood of each pixel, shape (9, n)."""
    row, column = np.divmod(pixels, width)
    rows = [np.maximum(row - 1, 0), row, np.minimum(row + 1, height - 1)]
    columns = [np.maximum(column - 1, 0), column, np.minimum(column + 1, width - 1)]
    return np.stack([y * width + x for y in rows for x in columns])


def _subsamples(around):
    """Interpolate 3x3 neighbourhoods at 4x4 sub-samples of the centre pixel, (9, n) to (16, n)."""
    rows = around.reshape(3, 3, -1)
    lines = np.stack(_across_by_numpy(rows[:, 0], rows[:, 1], rows[:, 2]), axis=1)
    return np.concatenate(_across_by_numpy(*lines))


def _across_by_numpy(before, here, after):
    one, three, five, seven = np.array([0.125, 0.375, 0.625, 0.875], np.float32)
    return (
        before * three + here * five, before * one + here * seven,
        here * seven + after * one, here * five + after * three,
    )  # fmt: skip


def _parts(indices):
    return (indices[start : start + _PART] for start in range(0, len(indices), _PART))


def _spread(colors):
    """Pack RGB into uint64, 16 bits a channel, so that one addition adds all channels."""
    words = np.zeros((len(colors), 4), dtype=np.uint16)
    words[:, :3] = colors
    return words.view(np.uint64)[:, 0]


def _mean_color(total):
    """Return the mean RGB, rounded, from sums of the packed colours of 16 sub-samples."""
    return ((total.view(np.uint16).reshape(-1, 4)[:, :3] + 8) // 16).astype(np.uint8)


_CENTRE = 4
_PART = 1024
"""How many pixels are processed at a time, so that their sub-samples fit in the CPU cache."""


@kernel(
    f"({_MAPS}, {_LIKELY}, float32, float32, uint8[:, ::1], intp, uint8[:, :, ::1])",
    _paint_regions_by_numpy,
)
def paint_regions(a, b, weight, likely, low, factor, colors, levels, picture):
    """Interpolate two maps, paint the class of every pixel, and antialias the borders.

    What is ``likely`` is as for :func:`paint_highest`. ``colors``, shape (C * levels, 3),
    holds the ``levels`` shades of each class.
    """
    _, height, width = a.shape
    # A column more on each side repeats the outer ones, so that each pixel has eight neighbours.
    labels = np.empty((height, width + 2), np.uint8)
    shades = np.empty((height, width), np.uint8)
    best, first = np.empty(width, np.float32), np.empty(width, np.int32)
    level, columns = np.empty(width, np.int32), np.empty(width, np.uintp)
    around, leads = np.empty((2, width), np.uint8), np.empty((9, width), np.float32)
    meeting = np.zeros(-(-width // 8) * 8, np.uint8)
    table, words = in_words(colors), np.empty(width, np.uint32)
    runs, n_runs = np.empty((likely.shape[1] * likely.shape[2], 3), np.int32), 0
    for below in range(height + 1):
        if below < height:
            if below % PART_HEIGHT == 0:
                n_runs = list_runs(likely[below // PART_HEIGHT], runs)
            find_highest(a, b, weight, below, runs[:n_runs], best, first)
            find_levels(best, low, factor, levels, level)
            row = labels[below]
            for x in range(width):
                row[x + 1], shades[below, x] = first[x], level[x]
                level[x] += first[x] * np.int32(levels)
            row[0], row[width + 1] = row[1], row[width]
            color_row(table, level, words, picture[below].reshape(-1))
        # The row above is smoothed now because its neighbours are still in the CPU cache.
        if below and look_around(labels, below - 1, around):
            y = below - 1
            pairs, crowds = find_borders(labels, y, around, meeting, columns)
            pair, crowd = columns[:pairs], columns[crowds:]
            find_leads(a, b, weight, y, around, pair, leads)
            mix_two(leads, around, pair, shades[y], colors, levels, level, picture[y])
            for column in crowd:
                shade, at = shades[y, column], np.intp(column)
                mix_many(a, b, weight, labels, y, at, colors, levels, shade, picture)


@inlined
def list_runs(likely, runs):
    """List each class with the columns of neighbouring parts in which it is likely.

    ``likely`` has the shape (parts, C). Each of the ``runs`` becomes a class, the first column
    and that behind the last, the classes ascending; returned is how many there are.
    """
    n_parts, n_classes = likely.shape
    count = 0
    for k in range(n_classes):
        part = 0
        while part < n_parts:
            if not likely[part, k]:
                part += 1
                continue
            runs[count, 0], runs[count, 1] = k, part * PART_WIDTH
            while part < n_parts and likely[part, k]:
                part += 1
            runs[count, 2] = part * PART_WIDTH
            count += 1
    return count


@inlined
def find_highest(a, b, weight, y, runs, best, first):
    """Find the highest probability of each pixel in a row, and its class."""
    best[:], first[:] = np.float32(-1), 0
    for run in range(len(runs)):
        k, start, stop = runs[run, 0], runs[run, 1], min(runs[run, 2], len(best))
        low, high = a[k, y, start:stop], b[k, y, start:stop]
        best_here, first_here = best[start:stop], first[start:stop]
        for x in range(len(low)):
            value = (high[x] - low[x]) * weight + low[x]
            higher = value > best_here[x]
            first_here[x] = k if higher else first_here[x]
            best_here[x] = value if higher else best_here[x]


@inlined
def find_levels(values, low, factor, levels, level):
    """Quantise values: ``rint((values - low) * factor)``, clipped to 0 ... levels - 1."""
    none, last = np.float32(0), np.float32(levels - 1)
    for x in range(len(values)):
        found = np.rint((values[x] - low) * factor)
        found = found if found > none else none
        level[x] = np.int32(found if found < last else last)


@inlined
def in_words(colors):
    """Return colours as one word each, since processors look up several words at once."""
    words = np.empty(len(colors), np.uint32)
    for i in range(len(colors)):
        words[i] = np.uint32(colors[i, 0]) | np.uint32(colors[i, 1]) << np.uint32(8)
        words[i] |= np.uint32(colors[i, 2]) << np.uint32(16)
    return words


@inlined
def color_row(table, indices, words, row):
    """Write the colours with these indices into a row of pixels; ``words`` is scratch."""
    for x in range(len(indices)):
        words[x] = table[indices[x]]
    for x in range(len(indices)):
        word = words[x]
        row[3 * x], row[3 * x + 1] = word & np.uint32(255), word >> np.uint32(8) & np.uint32(255)
        row[3 * x + 2] = word >> np.uint32(16)


@inlined
def look_around(labels, y, around):
    """Find the lowest and the highest class in the 3x3 neighbourhood of each pixel in a row.

    They become ``around``, shape (2, w); returned is whether they differ anywhere.
    """
    above, here, below = rows_around(labels, y)
    lowest, highest = around[0], around[1]
    found = np.uint8(0)
    for x in range(len(lowest)):
        low = min(above[x], above[x + 1], above[x + 2], here[x], here[x + 1], here[x + 2])
        high = max(above[x], above[x + 1], above[x + 2], here[x], here[x + 1], here[x + 2])
        low = min(low, below[x], below[x + 1], below[x + 2])
        high = max(high, below[x], below[x + 1], below[x + 2])
        lowest[x], highest[x] = low, high
        found |= low ^ high
    return found


@inlined
def rows_around(labels, y):
    """Return a row and those above and below it, the outer ones repeated."""
    last = len(labels) - 1
    return labels[y - 1 if y else 0], labels[y], labels[y + 1 if y < last else last]


@inlined
def find_borders(labels, y, around, meeting, columns):
    """List the pixels of a row around which there are two classes, or more.

    The former come first in ``columns``, up to the first number that is returned; the latter
    begin at the second. ``meeting`` is scratch: 1 for the former, 2 for the latter.
    """
    above, here, below = rows_around(labels, y)
    lowest, highest, eights = around[0], around[1], meeting.view(np.uint64)
    for x in range(len(columns)):
        low, high = lowest[x], highest[x]
        others = (above[x] != low) & (above[x] != high)
        others |= (above[x + 1] != low) & (above[x + 1] != high)
        others |= (above[x + 2] != low) & (above[x + 2] != high)
        others |= (here[x] != low) & (here[x] != high)
        others |= (here[x + 1] != low) & (here[x + 1] != high)
        others |= (here[x + 2] != low) & (here[x + 2] != high)
        others |= (below[x] != low) & (below[x] != high)
        others |= (below[x + 1] != low) & (below[x + 1] != high)
        others |= (below[x + 2] != low) & (below[x + 2] != high)
        meeting[x] = np.uint8(low != high) + np.uint8(others)
    pairs, crowds = 0, len(columns)
    for eight in range(len(eights)):
        # Most pixels are no border, so that eight of them are looked at together.
        if eights[eight] == 0:
            continue
        for x in range(8 * eight, 8 * eight + 8):
            if meeting[x] == 1:
                columns[pairs] = x
                pairs += 1
            elif meeting[x] == 2:
                crowds -= 1
                columns[crowds] = x
    return pairs, crowds


@inlined
def find_leads(a, b, weight, y, around, columns, leads):
    """Find the probability of the higher class minus that of the lower, around each pixel.

    Of the neighbourhoods, 3x3, ``leads``, shape (9, w), has a column for each of ``columns``.
    """
    _, height, width = a.shape
    for i in range(len(columns)):
        x = columns[i]
        low, high = np.uintp(around[0, x]), np.uintp(around[1, x])
        before = x - np.uintp(1) if x else x
        after = x + np.uintp(1) if x + np.uintp(1) < np.uintp(width) else x
        place = 0
        for row in (y - 1 if y else 0, y, y + 1 if y < height - 1 else y):
            for column in (before, x, after):
                leads[place, i] = mixed_at(a, b, weight, high, row, column) - mixed_at(
                    a, b, weight, low, row, column
                )
                place += 1


@inlined
def mix_two(leads, around, columns, shades, colors, levels, won, picture):
    """Mix the colours of two classes by their shares of each pixel's 16 sub-samples."""
    none = np.float32(0)
    for i in range(len(columns)):
        count = np.int32(0)
        above = across(leads[0, i], leads[1, i], leads[2, i])
        here = across(leads[3, i], leads[4, i], leads[5, i])
        below = across(leads[6, i], leads[7, i], leads[8, i])
        for place in range(4):
            for lead in across(above[place], here[place], below[place]):
                count += np.int32(lead > none)
        won[i] = count
    for i in range(len(columns)):
        x = columns[i]
        first = np.uintp(around[0, x]) * np.uintp(levels) + np.uintp(shades[x])
        last = np.uintp(around[1, x]) * np.uintp(levels) + np.uintp(shades[x])
        for channel in range(3):
            total = (16 - won[i]) * np.int32(colors[first, channel])
            total += won[i] * np.int32(colors[last, channel])
            picture[x, channel] = (total + 8) >> 4


@inlined
def mixed_at(a, b, weight, k, y, x):
    """Return one value of the map that is interpolated between ``a`` and ``b``."""
    return (b[k, y, x] - a[k, y, x]) * weight + a[k, y, x]


@inlined
def across(before, here, after):
    """Interpolate three adjacent pixels linearly at four places within the middle one."""
    one, three, five, seven = (
        np.float32(0.125), np.float32(0.375), np.float32(0.625), np.float32(0.875),
    )  # fmt: skip
    return (
        before * three + here * five, before * one + here * seven,
        here * seven + after * one, here * five + after * three,
    )  # fmt: skip


@inlined
def mix_many(a, b, weight, labels, y, x, colors, levels, shade, picture):
    """Mix the colours of more than two classes by their shares of a pixel's 16 sub-samples."""
    _, height, width = a.shape
    rows = max(y - 1, 0), y, min(y + 1, height - 1)
    columns = max(x - 1, 0), x, min(x + 1, width - 1)
    best, winner = np.empty((4, 4), np.float32), np.empty((4, 4), np.intp)
    lines, done = np.empty((3, 4), np.float32), np.intp(-1)
    while True:
        # Classes are visited in ascending order, so that the lowest index wins a tie.
        k = np.intp(256)
        for row in rows:
            for column in columns:
                if done < labels[row, column + 1] < k:
                    k = np.intp(labels[row, column + 1])
        if k == 256:
            break
        for i in range(3):
            values = across(
                mixed_at(a, b, weight, k, rows[i], columns[0]),
                mixed_at(a, b, weight, k, rows[i], columns[1]),
                mixed_at(a, b, weight, k, rows[i], columns[2]),
            )
            lines[i, 0], lines[i, 1], lines[i, 2], lines[i, 3] = values
        for i in range(4):
            values = across(lines[0, i], lines[1, i], lines[2, i])
            for j in range(4):
                if done < 0 or values[j] > best[i, j]:
                    best[i, j], winner[i, j] = values[j], k
        done = k
    for channel in range(3):
        total = np.intp(8)
        for i in range(4):
            for j in range(4):
                total += np.intp(colors[winner[i, j] * levels + shade, channel])
        picture[y, x, channel] = total >> 4


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
