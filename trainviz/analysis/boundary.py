"""The decision boundary of a map as polylines, and its length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import class_map

__all__ = ["Line", "boundary_lines", "line_length", "surroundings", "two_highest"]

Line = npt.NDArray[np.float64]
"""A polyline in plane coordinates, shape (k, 2)."""

_TINY = float(np.finfo(np.float32).tiny)


def boundary_lines(
    probabilities: npt.NDArray[np.float32],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
) -> list[Line]:
    """Trace the border of each class's region by marching squares.

    The border of a class is where its log-probability equals the highest of
    the others. Logarithms are interpolated since they are closer to linear
    between grid points than probabilities, where these are steep. The edge of
    the window is not part of a border.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (C, H, W)
    x : ndarray of float64, shape (W,)
    y : ndarray of float64, shape (H,)

    Returns
    -------
    list of ndarray of float64, shape (k, 2)
        Two lines wherever two classes meet, one traced for each class.

    Examples
    --------
    >>> x = np.linspace(0, 1, 5)
    >>> right = np.tile(x, (3, 1)).astype(np.float32)
    >>> lines = boundary_lines(np.stack([1 - right, right]), x, np.array([0.0, 1.0, 2.0]))
    >>> line_length(lines) / 2
    2.0
    """
    return list(_lines(probabilities, x, y))


def line_length(lines: Sequence[Line]) -> float:
    """Return the summed length of polylines."""
    steps = [np.hypot(*np.diff(line, axis=0).T).sum() for line in lines]
    return float(sum(steps))


def _lines(
    probabilities: npt.NDArray[np.float32],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
) -> Iterator[Line]:
    from contourpy import LineType, contour_generator

    labels = class_map(probabilities)
    present = np.unique(labels)
    if len(present) < 2:
        return
    logs = np.log(np.maximum(probabilities, _TINY))
    first, second = two_highest(logs, labels)
    for index in present:
        rows, columns = surroundings(labels == index)
        own = logs[index, rows, columns]
        rival = np.where(
            labels[rows, columns] == index, second[rows, columns], first[rows, columns]
        )
        traced = contour_generator(
            x[columns], y[rows], own - rival, name="serial", line_type=LineType.Separate
        ).lines(0.0)
        yield from (np.asarray(line, dtype=np.float64) for line in traced)


def two_highest(
    logs: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the highest log-probability at each grid point, and the highest of the others."""
    second = np.full(labels.shape, -np.inf, dtype=np.float32)
    for index, plane in enumerate(logs):
        np.maximum(second, plane, out=second, where=labels != index)
    return logs.max(axis=0), second


def surroundings(region: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the bounding box of a region, one grid point larger on each side, as slices."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - 1, 0), rows[-1] + 2),
        slice(max(columns[0] - 1, 0), columns[-1] + 2),
    )
