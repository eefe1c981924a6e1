"""Tests of whether the border between two classes is where interpolation puts it in a cell.

The border is where the difference of two log-probabilities changes its sign. Between two corners,
the error of this difference divided by its slope is the error of the border's place.

First in NumPy, for many leaves at once, then for one leaf, for compiled loops.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np

from trainviz._common.jit import inlined
from trainviz.evaluation.cells import cell_points, half_sides, inner_shares, shares_at
from trainviz.evaluation.error_estimate import CORNERS, INNER, bilinear, errors_of

__all__ = [
    "crossed",
    "doubtful_at_centres",
    "doubtful_points",
    "is_crossed",
    "is_off",
    "may_be_off",
    "may_be_off_in",
    "off_at_centres",
]


def crossed(leaves, known, places):
    """Return a mask of the leaves between whose corners a border between classes runs."""
    slots, values, _ = known
    first = values[slots[cell_points(leaves, places)[CORNERS]]].argmax(axis=2)
    return (first != first[0]).any(axis=0)


def off_at_centres(leaves, known, places, shift):
    """Return a mask of the leaves with known centres in which a border is off."""
    return _off(leaves, errors_of(leaves, 4, known, places)[None], known, places, shift)


def may_be_off(leaves, parents, known, places, shift):
    """Return a mask of the quarters of cells with known edges in which a border may be off.

    Interpolation at half the spacing is hardly worse than it was in the whole cell, kink or not.
    The smallest leaves have nine grid points: what counts is whether one changes its class.
    """
    errors = np.stack([errors_of(parents, k, known, places) for k in INNER])
    off = _off(leaves, errors, known, places, shift)
    small = half_sides(leaves, len(places[1])) == 1
    off[small] = _doubtful(leaves[small], errors[:, small], known, places) > 0
    return off


def doubtful_at_centres(leaves, known, places):
    """Return bits of the points of leaves with known centres at which another class may be."""
    return _doubtful(leaves, errors_of(leaves, 4, known, places)[None], known, places)


def _doubtful(leaves, errors, known, places):
    """Return bits of the points of leaves at which one of some errors may change the class."""
    slots, values, _ = known
    nine = slots[cell_points(leaves, places)]
    cell, found = np.arange(len(leaves)), np.zeros(len(leaves), np.intp)
    for k in INNER:
        there = bilinear(values[nine[CORNERS]], *shares_at(k, leaves, places))
        first = there.argmax(axis=1)
        for corner in CORNERS:
            other = values[nine[corner]].argmax(axis=1)
            margin = there[cell, first] - there[cell, other]
            off = np.abs(errors[:, cell, first] - errors[:, cell, other]).max(axis=0)
            found |= ((first != other) & (margin <= off)).astype(np.intp) << k
    return found


def _off(leaves, errors, known, places, shift):
    """Return a mask of the leaves in which one of some errors, (m, n, C), moves a border."""
    slots, values, _ = known
    nine = cell_points(leaves, places)
    corners = values[slots[nine[CORNERS]]]
    first = corners.argmax(axis=2)
    rows, columns = np.divmod(nine, places[1][-1] + 1)
    shifted, cell = np.zeros(len(leaves), bool), np.arange(len(leaves))
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = first[i], first[j]
            start = corners[i, cell, a] - corners[i, cell, b]
            end = corners[j, cell, a] - corners[j, cell, b]
            height = rows[CORNERS[i]] - rows[CORNERS[j]]
            width = columns[CORNERS[i]] - columns[CORNERS[j]]
            off = np.abs(errors[:, cell, a] - errors[:, cell, b]).max(axis=0)
            off = off * np.sqrt(height**2 + width**2)
            shifted |= (a != b) & (off > shift * np.abs(start - end).astype(float))
    return shifted


@inlined
def is_crossed(nine, known):
    """Return whether the likeliest class is not the same at all corners of a cell."""
    slots, values, _ = known
    first = likeliest(values, slots[nine[0]])
    return (
        likeliest(values, slots[nine[2]]) != first
        or likeliest(values, slots[nine[6]]) != first
        or likeliest(values, slots[nine[8]]) != first
    )


@inlined
def likeliest(values, slot):
    """Return the class with the highest value, the first of equals."""
    best, row = 0, np.uintp(slot)
    for k in range(1, values.shape[1]):
        if values[row, k] > values[row, best]:
            best = k
    return best


@inlined
def may_be_off_in(leaf, half, nine, known, places, errors, shift):
    """Return :func:`may_be_off` of one leaf, of the errors around its parent."""
    if half == 1:
        return doubtful_points(leaf, half, nine, known, places, errors, 5) > 0
    return is_off(nine, known, places, errors, 5, shift)


@inlined
def largest_error(errors, count, a, b):
    """Return the largest error of the difference of two classes in the first rows."""
    largest = abs(errors[0, a] - errors[0, b])
    for row in range(1, count):
        largest = max(largest, abs(errors[row, a] - errors[row, b]))
    return largest


@inlined
def is_off(nine, known, places, errors, count, shift):
    """Return whether one of the first errors moves a border between two corners of a cell."""
    slots, values, _ = known
    corners, n_columns = (0, 2, 6, 8), places[1][-1] + 1
    classes = (
        likeliest(values, slots[nine[0]]), likeliest(values, slots[nine[2]]),
        likeliest(values, slots[nine[6]]), likeliest(values, slots[nine[8]]),
    )  # fmt: skip
    for i in range(4):
        p, a = nine[corners[i]], classes[i]
        for j in range(i + 1, 4):
            q, b = nine[corners[j]], classes[j]
            if a == b:
                continue
            c, d = np.uintp(slots[p]), np.uintp(slots[q])
            start = values[c, a] - values[c, b]
            end = values[d, a] - values[d, b]
            height, width = p // n_columns - q // n_columns, p % n_columns - q % n_columns
            distance = np.sqrt(np.float64(height**2 + width**2))
            off = np.float64(largest_error(errors, count, a, b)) * distance
            if off > shift * np.float64(abs(start - end)):
                return True
    return False


@inlined
def doubtful_points(leaf, half, nine, known, places, errors, count):
    """Return bits of the points of a leaf at which one of the first errors may change the class."""
    slots, values, _ = known
    ups, rights = inner_shares(leaf, half, places)
    a, b = np.uintp(slots[nine[0]]), np.uintp(slots[nine[2]])
    c, d = np.uintp(slots[nine[6]]), np.uintp(slots[nine[8]])
    classes = likeliest(values, a), likeliest(values, b), likeliest(values, c), likeliest(values, d)
    found = 0
    for k in INNER:
        up, right = ups[k // 3], rights[k % 3]
        first, largest = 0, np.float32(-np.inf)
        for i in range(errors.shape[1]):
            low = values[a, i] + right * (values[b, i] - values[a, i])
            high = values[c, i] + right * (values[d, i] - values[c, i])
            if low + up * (high - low) > largest:
                first, largest = i, low + up * (high - low)
        for i in classes:
            low = values[a, i] + right * (values[b, i] - values[a, i])
            high = values[c, i] + right * (values[d, i] - values[c, i])
            margin = largest - (low + up * (high - low))
            if i != first and margin <= largest_error(errors, count, first, i):
                found |= 1 << k
                break
    return found
