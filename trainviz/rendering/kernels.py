"""The renderer's loops, each compiled by Numba and written with NumPy.

All arrays are C-contiguous. A compiled loop and its NumPy version, which
precedes it, return bit-identical results.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz._common.jit import inlined, kernel, kernels_of
from trainviz.modes.kernels import PART_HEIGHT, PART_WIDTH

__all__ = [
    "KERNELS",
    "color_cells",
    "cover",
    "find_likely",
    "find_ranges",
    "look_up",
    "mix_cubic",
    "resample",
    "spline",
    "stamp",
    "to_planes",
]


def _resample_by_numpy(values, rows, row_weights, columns, column_weights, wanted, picture):
    # What is not wanted is written as well.
    lines = np.empty((2, len(rows), values.shape[2]), np.float32)
    right = np.empty(picture.shape[1:], np.float32)
    # Class by class, so that the temporary arrays fit in the CPU cache.
    for plane, target in zip(values, picture, strict=True):
        _take_two(plane, rows.view(np.intp), 0, lines[0], lines[1])
        _mix(lines[0], lines[1], row_weights[:, None])
        _take_two(lines[0], columns.view(np.intp), 1, target, right)
        _mix(target, right, column_weights)


def _take_two(values, places, axis, first, second):
    """Take the values at ``places`` into ``first``, and those at ``places + 1`` into ``second``."""
    # With the default mode="raise", numpy would buffer the output.
    np.take(values, places, axis=axis, out=first, mode="clip")
    np.take(values, places + 1, axis=axis, out=second, mode="clip")


def _mix(first, second, weights):
    second -= first
    second *= weights
    first += second


def _find_ranges_by_numpy(values, rows, columns, lowest, highest):
    for y, (low, high) in enumerate(rows):
        least, most = values[:, low:high].min(axis=1), values[:, low:high].max(axis=1)
        for part, (first, last) in enumerate(columns):
            lowest[y, part] = least[:, first:last].min(axis=1)
            highest[y, part] = most[:, first:last].max(axis=1)


@kernel(
    "(float32[:, :, ::1], intp[:, ::1], intp[:, ::1], float32[:, :, ::1], float32[:, :, ::1])",
    _find_ranges_by_numpy,
)
def find_ranges(values, rows, columns, lowest, highest):
    """Find the lowest and the highest value of each class in parts of a map.

    Parameters
    ----------
    values : ndarray of float32, shape (C, H, W)
    rows, columns : ndarray of int, shape (n, 2) and (m, 2)
        Where each part begins and ends, on the grid.
    lowest, highest : ndarray of float32, shape (n, m, C)
        Are written.
    """
    n, _, width = values.shape
    least, most = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(len(rows)):
        for k in range(n):
            first = values[k, rows[y, 0]]
            for x in range(width):
                least[x], most[x] = first[x], first[x]
            for line in range(rows[y, 0] + 1, rows[y, 1]):
                row = values[k, line]
                for x in range(width):
                    least[x] = row[x] if row[x] < least[x] else least[x]
                    most[x] = row[x] if row[x] > most[x] else most[x]
            for part in range(len(columns)):
                start, stop = columns[part, 0], columns[part, 1]
                low, high = least[start], most[start]
                for x in range(start, stop):
                    low = least[x] if least[x] < low else low
                    high = most[x] if most[x] > high else high
                lowest[y, part, k], highest[y, part, k] = low, high


_RANGES = "float32[:, :, ::1], float32[:, :, ::1]"
_ROUNDING = np.float32(1e-6)
"""More than the rounding of an interpolated probability."""


def _find_likely_by_numpy(low_a, high_a, low_b, high_b, least, likely):
    first, second = (low.argmax(axis=2)[..., None] for low in (low_a, low_b))
    (a_first, a_second), (b_first, b_second) = (
        [np.take_along_axis(low, of, axis=2) for of in (first, second)] for low in (low_a, low_b)
    )
    down, up = a_first - a_second, b_second - b_first
    meeting = down / np.maximum(down + up, _TINY)
    there = (b_first - a_first) * meeting + a_first
    likely[:] = (high_b - high_a) * meeting + high_a >= there - _ROUNDING
    likely |= high_a >= a_first - _ROUNDING
    likely |= high_b >= b_second - _ROUNDING
    likely &= np.maximum(high_a, high_b) >= least
    likely |= ~likely.any(axis=2, keepdims=True)


_TINY = np.finfo(np.float32).tiny


@kernel(f"({_RANGES}, {_RANGES}, float32, boolean[:, :, ::1])", _find_likely_by_numpy)
def find_likely(low_a, high_a, low_b, high_b, least, likely):
    """Find which classes may be the likeliest in each part of some map between two.

    Along the way from one to the other, a class has at most what lies on a straight line. Two
    others have at least what lies on theirs, which meet in one point: the one that is certain of
    most in the first map, and the one in the second. The class is below both lines, or one,
    everywhere, if it is at either end and where they meet.

    Parameters
    ----------
    low_a, high_a, low_b, high_b : ndarray of float32, shape (n, m, C)
        The range of each class in each part of either map.
    least : float32
        What the likeliest class has at least.
    likely : ndarray of bool, shape (n, m, C)
        Is written: all classes of a part if none has so much.
    """
    n_rows, n_columns, n_classes = likely.shape
    for y in range(n_rows):
        for x in range(n_columns):
            from_low, to_low = low_a[y, x], low_b[y, x]
            first, second = 0, 0
            for k in range(1, n_classes):
                first = k if from_low[k] > from_low[first] else first
                second = k if to_low[k] > to_low[second] else second
            a_first, b_second = from_low[first], to_low[second]
            down, up = a_first - from_low[second], b_second - to_low[first]
            meeting = down / max(down + up, _TINY)
            there = (to_low[first] - a_first) * meeting + a_first
            found = False
            for k in range(n_classes):
                start, end = high_a[y, x, k], high_b[y, x, k]
                may = (end - start) * meeting + start >= there - _ROUNDING
                may |= start >= a_first - _ROUNDING
                may |= end >= b_second - _ROUNDING
                may &= max(start, end) >= least
                likely[y, x, k] = may
                found |= may
            if not found:
                likely[y, x] = True


@kernel(
    "(float32[:, :, ::1], uintp[::1], float32[::1], uintp[::1], float32[::1], boolean[:, :, ::1], "
    "float32[:, :, ::1])",
    _resample_by_numpy,
)
def resample(values, rows, row_weights, columns, column_weights, wanted, picture):
    """Interpolate bilinearly, between each of ``rows`` and ``columns`` and the one after it.

    A class is written where ``wanted``, shape (blocks, parts, C), is set; elsewhere it may be.
    A block has ``PART_HEIGHT`` rows of the picture, a part ``PART_WIDTH`` columns.
    """
    row, one = np.empty(values.shape[2], np.float32), np.uintp(1)
    height, width = len(rows), len(columns)
    for block in range(wanted.shape[0]):
        for k in range(wanted.shape[2]):
            part = 0
            while part < wanted.shape[1]:
                if not wanted[block, part, k]:
                    part += 1
                    continue
                start = part * PART_WIDTH
                while part < wanted.shape[1] and wanted[block, part, k]:
                    part += 1
                stop = min(part * PART_WIDTH, width)
                first, last = columns[start], columns[stop - 1] + np.uintp(2)
                for y in range(block * PART_HEIGHT, min((block + 1) * PART_HEIGHT, height)):
                    weight = row_weights[y]
                    low, high = values[k, rows[y], first:last], values[k, rows[y] + one, first:last]
                    for x in range(len(low)):
                        row[x] = (high[x] - low[x]) * weight + low[x]
                    to, place = picture[k, y, start:stop], columns[start:stop]
                    share = column_weights[start:stop]
                    for x in range(len(to)):
                        left = row[place[x] - first]
                        to[x] = (row[place[x] - first + one] - left) * share[x] + left


def _cover_by_numpy(picture, pixels, color, clear):
    below = picture[pixels] * clear[:, None]
    below += color.T
    picture[pixels] = below.astype(np.uint8)


@kernel(
    "(uint8[:, ::1], intp[::1], float32[:, ::1], float32[::1])",
    _cover_by_numpy,
)
def cover(picture, pixels, color, clear):
    """Blend a layer into pixels: multiply them by ``clear``, and add ``color``."""
    for i in range(len(pixels)):
        for channel in range(3):
            below = picture[pixels[i], channel] * clear[i]
            picture[pixels[i], channel] = np.uint8(np.int32(below + color[channel, i]))


def _stamp_by_numpy(clear, targets, corners, offsets, factors, pixels, shares):
    places = (corners[:, None] + offsets).reshape(-1)
    np.multiply.at(clear, places, np.tile(factors, len(corners)))
    found, first = np.unique(places, return_index=True)
    found = found[np.argsort(first)]
    seen = found[(targets[found] >= 0) & (clear[found] < 1)]
    pixels[: len(seen)], shares[: len(seen)] = targets[seen], clear[seen]
    clear[found] = 1
    return len(seen)


@kernel(
    "(float32[::1], int32[::1], intp[::1], intp[::1], float32[::1], intp[::1], float32[::1])",
    _stamp_by_numpy,
)
def stamp(clear, targets, corners, offsets, factors, pixels, shares):
    """Draw a marker at several places of a map that is transparent everywhere.

    Parameters
    ----------
    clear : ndarray of float32, shape (n,)
        The transparency of the map and a margin around it, 1; scratch, and 1 again afterwards.
    targets : ndarray of int32, shape (n,)
        The flat index in the frame of each of these pixels, -1 in the margin.
    corners, offsets : ndarray of int
        Flat indices of the places, and what is added to them for the marker's pixels.
    factors : ndarray of float32
        The transparency of each pixel of the marker. Where markers overlap, these are multiplied.
    pixels, shares : ndarray, shape (len(corners) * len(offsets),)
        Are written: the flat index in the frame of each pixel that is covered, and its
        transparency.

    Returns
    -------
    int
        How many pixels are covered.
    """
    count, one = 0, np.float32(1)
    for corner in corners:
        for i in range(len(offsets)):
            clear[corner + offsets[i]] *= factors[i]
    for corner in corners:
        for i in range(len(offsets)):
            place = corner + offsets[i]
            if clear[place] < one:
                if targets[place] >= 0:
                    pixels[count], shares[count] = targets[place], clear[place]
                    count += 1
                clear[place] = one
    return count


def _spline_by_numpy(before, a, b, after, has_before, has_after, slope, square, cube):
    step, first, last = b - a, a - before, after - b
    if has_before:
        slope[:] = _inner_slopes(first, step)
    else:
        slope[:] = _end_slopes(step, last) if has_after else step
    if has_after:
        slope_b = _inner_slopes(step, last)
    else:
        slope_b = _end_slopes(step, first) if has_before else step
    square[:] = 3 * step - 2 * slope - slope_b
    cube[:] = slope + slope_b - 2 * step


def _inner_slopes(left, right):
    product, total = left * right, left + right
    slope = np.zeros_like(product)
    np.divide(2 * product, total, out=slope, where=product > 0)
    return slope


def _end_slopes(near, far):
    slope = (3 * near - far) / 2
    slope = np.where(np.sign(slope) != np.sign(near), np.float32(0), slope)
    steep = (np.sign(near) != np.sign(far)) & (np.abs(slope) > 3 * np.abs(near))
    return np.where(steep, 3 * near, slope)


@kernel(
    "(" + "float32[::1], " * 4 + "boolean, boolean, float32[::1], float32[::1], float32[::1])",
    _spline_by_numpy,
)
def spline(before, a, b, after, has_before, has_after, slope, square, cube):
    """Compute the coefficients of a monotone cubic between ``a`` and ``b``, 1-D arrays.

    These are the slope at ``a``, and the coefficients of the weight's square and cube.
    """
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


@inlined
def inner_slope(left, right):
    """Return the harmonic mean of two secant slopes if they have the same sign, else 0."""
    product = left * right
    return np.float32(2) * product / (left + right) if product > 0 else np.float32(0)


@inlined
def end_slope(near, far):
    """Return a three-point estimate of the slope at an end, limited to keep the cubic monotone."""
    three = np.float32(3)
    slope = (three * near - far) / np.float32(2)
    if np.sign(slope) != np.sign(near):
        return np.float32(0)
    steep = np.sign(near) != np.sign(far) and abs(slope) > three * abs(near)
    return three * near if steep else slope


def _mix_cubic_by_numpy(start, slope, square, cube, weight, normalised, mixed):
    np.multiply(cube, weight, out=mixed)
    for term in (square, slope):
        mixed += term
        mixed *= weight
    mixed += start
    if normalised:
        np.maximum(mixed, 0, out=mixed)
        total = np.zeros(mixed.shape[1:], np.float32)
        for plane in mixed:
            total += plane
        mixed /= total


@kernel(
    "(" + "float32[:, :, ::1], " * 4 + "float32, boolean, float32[:, :, ::1])",
    _mix_cubic_by_numpy,
)
def mix_cubic(start, slope, square, cube, weight, normalised, mixed):
    """Evaluate a cubic polynomial at ``weight``; if ``normalised``, clip at 0 and normalise."""
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


def _look_up_by_numpy(image, table, bits, entries):
    table.take(color_cells(image, bits), out=entries, mode="clip")


def color_cells(colors: Image, bits: int) -> npt.NDArray[np.uint32]:
    """Return the index of each colour's cell: the ``bits`` upper bits of its channels, joined."""
    words = np.zeros(colors.shape[:-1], dtype=np.uint32)
    for channel in range(3):
        words <<= np.uint32(bits)
        words |= colors[..., channel] >> np.uint8(8 - bits)
    return words


@kernel(
    "(uint8[:, :, ::1], uint8[::1], intp, uint8[:, ::1])",
    _look_up_by_numpy,
)
def look_up(image, table, bits, entries):
    """Look up each pixel's colour in a table with an entry for each cell of colours."""
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


def _to_planes_by_numpy(frame, before, luma, blue, red):
    height, width = luma.shape
    changed = (frame != before).reshape(height // 2, -1).any(axis=1)
    pixels = frame.reshape(height // 2, 2, width, 3)[changed].astype(np.int32)
    light = _weighted(pixels, _LUMA) + np.int32((16 << 16) + (1 << 15))
    luma.reshape(height // 2, 2, width)[changed] = light >> 16
    blocks = pixels.reshape(-1, 2, width // 2, 2, 3).sum(axis=(1, 3), dtype=np.int32)
    middle = np.int32((128 << 18) + (1 << 17))
    blue[changed] = (_weighted(blocks, _BLUE) + middle) >> 18
    red[changed] = (_weighted(blocks, _RED) + middle) >> 18
    before[:] = frame


def _weighted(pixels, weights):
    r, g, b = (np.int32(weight) for weight in weights)
    return pixels[..., 0] * r + pixels[..., 1] * g + pixels[..., 2] * b


_LUMA, _BLUE, _RED = (11966, 40254, 4064), (-6596, -22189, 28785), (28785, -26145, -2640)
"""The matrix of ITU-R BT.709 for 16 to 235 and 16 to 240, times 2**16, each row with its sum."""

_BLOCKS = 32
"""How many neighbouring blocks of 2x2 pixels are compared at once."""


@kernel(
    "(uint8[:, :, ::1], uint8[:, :, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])",
    _to_planes_by_numpy,
)
def to_planes(frame, before, luma, blue, red):
    """Convert the 2x2 blocks of a frame that differ from ``before`` to YUV 4:2:0, BT.709.

    The colour of a block is that of its mean. ``before`` becomes the frame.
    """
    height, width = blue.shape
    rows, rows_before = frame.reshape(2 * height, 6 * width), before.reshape(2 * height, 6 * width)
    # Each channel in an array of its own, so that processors convert several pixels at once.
    channels, sums = np.empty((3, 2, 2 * width), np.uint8), np.empty((3, width), np.int32)
    for y in range(height):
        start = 0
        while start < width:
            stop = start
            while stop < width and differ(rows, rows_before, y, stop, min(stop + _BLOCKS, width)):
                stop = min(stop + _BLOCKS, width)
            if stop > start:
                convert_blocks(rows, rows_before, y, start, stop, luma, blue, red, channels, sums)
            # What follows was found not to differ.
            start = stop + _BLOCKS


@inlined
def differ(rows, rows_before, y, start, stop):
    """Tell whether two rows of blocks differ between two columns."""
    found = np.uint8(0)
    for line in range(2 * y, 2 * y + 2):
        now, then = rows[line, 6 * start : 6 * stop], rows_before[line, 6 * start : 6 * stop]
        for i in range(len(now)):
            found |= now[i] ^ then[i]
    return found != 0


@inlined
def convert_blocks(rows, rows_before, y, start, stop, luma, blue, red, channels, sums):
    """Convert neighbouring blocks, and note their colours; the last two arrays are scratch."""
    for row in range(2):
        now, then = (
            rows[2 * y + row, 6 * start : 6 * stop],
            rows_before[2 * y + row, 6 * start : 6 * stop],
        )
        for i in range(len(now)):
            then[i] = now[i]
        red_row, green_row, blue_row = channels[0, row], channels[1, row], channels[2, row]
        split_channels(now, red_row, green_row, blue_row)
        light = luma[2 * y + row, 2 * start : 2 * stop]
        find_luma(red_row, green_row, blue_row, light)
    for channel in range(3):
        add_blocks(channels[channel, 0], channels[channel, 1], sums[channel, : stop - start])
    find_chroma(sums, _BLUE, blue[y, start:stop])
    find_chroma(sums, _RED, red[y, start:stop])


@inlined
def split_channels(pixels, red, green, blue):
    """Write each channel of a row of pixels into an array of its own."""
    for x in range(len(pixels) // 3):
        red[x] = pixels[3 * x]
        green[x] = pixels[3 * x + 1]
        blue[x] = pixels[3 * x + 2]


@inlined
def find_luma(red, green, blue, luma):
    """Convert a row of pixels to luma."""
    for x in range(len(luma)):
        light = np.int32(_LUMA[0]) * np.int32(red[x]) + np.int32(_LUMA[1]) * np.int32(green[x])
        light += np.int32(_LUMA[2]) * np.int32(blue[x])
        luma[x] = (light + np.int32((16 << 16) + (1 << 15))) >> 16


@inlined
def add_blocks(above, below, sums):
    """Add up the values in each block of 2x2 pixels."""
    for x in range(len(sums)):
        first, second = np.int32(above[2 * x]), np.int32(above[2 * x + 1])
        sums[x] = first + second + np.int32(below[2 * x]) + np.int32(below[2 * x + 1])


@inlined
def find_chroma(sums, weights, chroma):
    """Convert the sums of blocks' channels to one of the two planes of chroma."""
    red, green, blue = sums[0], sums[1], sums[2]
    for x in range(len(chroma)):
        found = np.int32(weights[0]) * red[x] + np.int32(weights[1]) * green[x]
        found += np.int32(weights[2]) * blue[x]
        chroma[x] = (found + np.int32((128 << 18) + (1 << 17))) >> 18


KERNELS = kernels_of(globals())
"""Are compiled ahead, in this order."""
