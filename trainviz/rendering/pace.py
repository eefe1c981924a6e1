"""The pace of a film: how many of its frames each interval between two snapshots gets."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array
from trainviz.recordings.recording import Recording

__all__ = ["Pace", "changes", "check_pace", "frames_between", "geometric_weights"]

Pace = Literal["even", "geometric", "by change"]

_LEAST, _MOST = 1 / 4, 8
"""An interval gets from a quarter to eight times the frames that it has in an even film."""

_SIDE = 100
"""Of a map, about so many points along each axis are compared: enough for a mean."""


def check_pace(pace: Any, factor: Any) -> None:
    """Refuse an unknown pace, and one that has no frames to distribute.

    Raises
    ------
    ValueError
    """
    if pace not in get_args(Pace):
        raise ValueError(f"pace={pace!r}: expected one of {', '.join(map(repr, get_args(Pace)))}")
    if pace != "even" and factor == 1:
        raise ValueError(
            f"pace={pace!r} distributes the frames between snapshots, of which interpolate=1 "
            "makes none: give more, e.g. interpolate=8"
        )


def geometric_weights(times: Float64Array) -> Float64Array:
    """Return weights of the intervals that fall with time, as the logarithm's steps do.

    Parameters
    ----------
    times : ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n - 1,)
        Time counts from the first snapshot, in the shortest interval, so that snapshots
        at 0, 1, 3, 7, ... are equally far apart.

    Examples
    --------
    >>> geometric_weights(np.array([0.0, 10.0, 30.0, 70.0])).round(3)
    array([0.693, 0.693, 0.693])
    >>> geometric_weights(np.array([0.0, 1.0, 2.0, 3.0])).round(3)
    array([0.693, 0.405, 0.288])
    """
    gaps = np.abs(np.diff(times))
    if not gaps.any():
        return np.ones(len(gaps))
    passed = (times - times.min()) / gaps[gaps > 0].min()
    weights: Float64Array = np.abs(np.diff(np.log1p(passed)))
    return weights


def changes(recording: Recording) -> Float64Array:
    """Return how much the map changes from each snapshot to the next; reads each map once.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    ndarray of float64, shape (n - 1,)
        The mean absolute difference of neighbouring maps.
    """
    found, before = [], None
    step_y, step_x = (max(1, round(side / _SIDE)) for side in recording.domain.shape)
    for index in range(len(recording)):
        # A copy, so that the whole map need not stay in memory.
        now = recording[index].probabilities[:, ::step_y, ::step_x].astype(np.float64)
        if before is not None:
            found.append(float(np.abs(now - before).mean()))
        before = now
    return np.array(found, dtype=np.float64)


def frames_between(weights: Float64Array, factor: int) -> npt.NDArray[np.intp]:
    """Distribute frames over the intervals in proportion to weights, within bounds.

    Parameters
    ----------
    weights : ndarray of float64, shape (n,)
        Not negative.
    factor : int
        Frames an interval, on average.

    Returns
    -------
    ndarray of int, shape (n,)
        Their sum is ``n * factor``. Each is at least 1 and a quarter of ``factor``, and
        at most eight times ``factor`` and half of all.

    Examples
    --------
    >>> frames_between(np.array([4.0, 2.0, 1.0, 1.0]), factor=8)
    array([16,  8,  4,  4])
    >>> frames_between(np.array([1.0, 0.0, 0.0, 0.0]), factor=8)
    array([16,  6,  5,  5])
    """
    n = len(weights)
    if not n or not weights.any():
        return np.full(n, factor, dtype=np.intp)
    total = n * factor
    least = max(_LEAST / n, 1 / total)
    # Two intervals cannot both have at most half of the film, and differ.
    most = max(1.5 / n, min(_MOST / n, 1 / 2))
    # Where bounds leave room that no weight asks for, all other intervals share it.
    relative = np.maximum(weights / weights.max(), 1e-6)
    shares = _bounded(relative, least, most)
    exact = shares * total
    frames = np.floor(exact + 1e-6).astype(np.intp)
    short = total - int(frames.sum())
    frames[np.argsort(frames - exact, kind="stable")[:short]] += 1
    return frames


def _bounded(relative: Float64Array, least: float, most: float) -> Float64Array:
    """Scale weights so that, clipped to the bounds, they sum to 1."""
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        if np.clip(np.exp(middle) * relative, least, most).sum() < 1:
            low = middle
        else:
            high = middle
    shares: Float64Array = np.clip(np.exp(high) * relative, least, most)
    shares /= shares.sum()
    return shares
