"""Cells of a quadtree: their states, and where their nine points lie in the grid.

A cell is identified by the place of its centre in the lattice, row by row as one number; half its
side is the lowest bit of the centre's row. Its nine points are its corners, the middles of its
edges and its centre, row by row from below.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float32Array, IndexArray, Int32Array
from trainviz._common.jit import inlined

__all__ = [
    "EDGED",
    "FOUND",
    "KNOWN_TYPE",
    "LEAF",
    "LOOK",
    "MIDDLES",
    "PLACES_TYPE",
    "SPLIT",
    "SPLIT_ALWAYS",
    "AnyArray",
    "Known",
    "PlaceTable",
    "cell_points",
    "centre_shares",
    "half_sides",
    "inner_shares",
    "nine_points",
    "position",
    "quarters",
    "shares_at",
    "sorted_once",
]

AnyArray = npt.NDArray[Any]

Known = tuple[Int32Array, Float32Array, Float32Array]
"""Slots, values and odds of :class:`trainviz.evaluation.answers.Answers`."""

PlaceTable = tuple[IndexArray, IndexArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""What tells where a place of a lattice lies: the flat grid index at which its row starts, its
column, and how far up and to the right the centre of a cell of each size lies there."""

KNOWN_TYPE = "Tuple((int32[::1], float32[:, ::1], float32[:, ::1]))"
"""The type of :data:`Known` in Numba's notation."""

PLACES_TYPE = "Tuple((intp[::1], intp[::1], float32[:, ::1], float32[:, ::1]))"
"""The type of a :data:`PlaceTable` in Numba's notation."""

MIDDLES = np.array([1, 3, 5, 7])
"""Positions of the middles of a cell's edges among its nine points."""

LEAF, EDGED, FOUND, SPLIT, LOOK, SPLIT_ALWAYS = (np.uint8(1 << bit) for bit in range(6))
"""Bits of a cell's state: it is interpolated as it is; its edges were checked; its values differ
from the interpolation; it was split. And orders that hold whatever its values are: check its
edges; check them and split it."""


def cell_points(cells: IndexArray, places: PlaceTable) -> IndexArray:
    """Return the flat grid indices of each cell's corners, edges and centre, shape (9, n)."""
    starts, columns, _, _ = places
    y, x = np.divmod(cells, len(columns))
    steps = (y & -y) * _STEPS
    points: IndexArray = starts[y + steps][:, None] + columns[x + steps]
    return points.reshape(9, -1)


def position(
    rows: AnyArray, columns: AnyArray, nine: IndexArray, width: int
) -> tuple[Float32Array, Float32Array]:
    """Return positions in cells, which are given in grid units, as shares of the cells' sides."""
    (bottom, left), (top, right) = (np.divmod(nine[k], width) for k in (0, 8))
    up = (rows - bottom) / np.maximum(top - bottom, 1)
    along = (columns - left) / np.maximum(right - left, 1)
    return up.astype(np.float32), along.astype(np.float32)


def centre_shares(cells: IndexArray, places: PlaceTable) -> tuple[Float32Array, Float32Array]:
    """Return how far up and to the right the centres of cells lie, as shares of their sides."""
    _, columns, ups, rights = places
    y, x = np.divmod(cells, len(columns))
    half = y & -y
    return ups[half, y - half], rights[half, x - half]


def shares_at(k: int, cells: IndexArray, places: PlaceTable) -> tuple[Float32Array, Float32Array]:
    """Return how far up and to the right one of the nine points lies in its cell."""
    up, right = centre_shares(cells, places)
    ups, rights = ((np.zeros_like(at), at, np.ones_like(at)) for at in (up, right))
    return ups[k // 3], rights[k % 3]


def quarters(cells: IndexArray, width: int) -> IndexArray:
    """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
    y, x = np.divmod(cells, width)
    y, x = np.stack([y, x])[:, None] + _QUARTERS * ((y & -y) // 2)
    found: IndexArray = y * width + x
    return found.ravel()


def half_sides(cells: IndexArray, width: int) -> IndexArray:
    """Return half the side of each cell."""
    y = cells // width
    return y & -y


_STEPS = np.array([[-1], [0], [1]])
_QUARTERS = np.array([[[-1], [-1], [1], [1]], [[-1], [1], [-1], [1]]])


@inlined
def nine_points(cell, places, nine):
    """Write the flat grid indices of a cell's corners, edges and centre; return half its side."""
    starts, columns, _, _ = places
    y, x = cell // len(columns), cell % len(columns)
    half = y & -y
    for k in range(9):
        nine[k] = starts[y + half * (k // 3 - 1)] + columns[x + half * (k % 3 - 1)]
    return half


@inlined
def inner_shares(cell, half, places):
    """Return how far up and to the right a cell's nine points lie: three shares of its sides."""
    _, columns, ups, rights = places
    up = ups[half, cell // len(columns) - half]
    right = rights[half, cell % len(columns) - half]
    return (np.float32(0), up, np.float32(1)), (np.float32(0), right, np.float32(1))


@inlined
def sorted_once(values, count):
    """Sort the first ``count`` values in place, each once; return how many there are."""
    values[:count] = np.sort(values[:count])
    kept = 0
    for i in range(count):
        if i == 0 or values[i] != values[kept - 1]:
            values[kept] = values[i]
            kept += 1
    return kept
