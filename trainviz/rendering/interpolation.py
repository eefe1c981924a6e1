"""Interpolate between snapshots: linearly, geometrically or by a monotone cubic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from trainviz._common.arrays import TINY, Map
from trainviz._common.jit import ready
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.kernels import mix_cubic, spline

__all__ = ["Blender", "Interpolation", "check_interpolation"]

Interpolation = Literal["linear", "geometric", "smooth"]
Mixture = Callable[[float, Map | None], Map]
"""``(weight, output array or None) -> map`` between two snapshots."""


class Blender:
    """Interpolate between neighbouring snapshots; only those needed are kept in memory.

    Parameters
    ----------
    read : callable
        ``index -> (C, h, w) float32`` map. Linear interpolation accepts arrays of any shape, and
        keeps float64 arrays in double precision.
    n_snapshots : int
    interpolation : {"linear", "geometric", "smooth"}, default "linear"
        ``linear`` interpolates probabilities; ``geometric`` their logarithms,
        and normalises; ``smooth`` uses a monotone cubic through the snapshots
        (Fritsch and Butland, 1984, as scipy's ``PchipInterpolator``), so that
        motion does not change speed abruptly and no probability overshoots.
    normalise : bool, default True
        Whether the maps are class probabilities, which sum to 1; False for
        other values, for which ``geometric`` is not available.
    released : callable, optional
        Called with each map from ``read`` that is needed no more, and may be overwritten.

    Raises
    ------
    ValueError
        If ``interpolation`` is unknown, or is ``geometric`` without ``normalise``.

    Examples
    --------
    >>> maps = np.array([[[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]], dtype=np.float32)
    >>> Blender(maps.__getitem__, 2)(Moment(0, 0.25)).ravel()
    array([0.75, 0.25], dtype=float32)
    """

    def __init__(
        self,
        read: Callable[[int], Map],
        n_snapshots: int,
        interpolation: Interpolation = "linear",
        *,
        normalise: bool = True,
        released: Callable[[Map], object] | None = None,
    ) -> None:
        check_interpolation(interpolation, normalise)
        self._normalise = normalise
        self._n = n_snapshots
        self._interpolation = interpolation
        self._new, self._released = read, released
        self._kept: dict[int, Map] = {}
        self._room = 4 if interpolation == "smooth" else 2
        self._left = -1
        self._mixture: Mixture | None = None
        self._mixed: Map | None = None

    def __call__(self, moment: Moment) -> Map:
        """Return the map of a moment, shape (C, h, w); the next call may overwrite it."""
        if moment.weight == 0:
            return self._read(moment.left)
        if moment.left != self._left:
            # The previous pair is freed before the next one is created, to save memory.
            self._left, self._mixture = -1, None
            self._mixture = self._between(moment.left)
            self._left = moment.left
        assert self._mixture is not None
        self._mixed = self._mixture(float(moment.weight), self._mixed)
        return self._mixed

    def pair(self, moment: Moment) -> tuple[Map, Map, np.float32]:
        """Return two maps, and the weight of the second in the map of a moment."""
        if moment.weight == 0 or self._interpolation != "linear":
            found = self(moment)
            return found, found, np.float32(0)
        return self._read(moment.left), self._read(moment.left + 1), np.float32(moment.weight)

    def _read(self, index: int) -> Map:
        found = self._kept.pop(index, None)
        if found is None:
            if len(self._kept) == self._room:
                longest_unused = self._kept.pop(next(iter(self._kept)))
                # A mixture of an earlier pair may still refer to it.
                self._left, self._mixture = -1, None
                if self._released is not None:
                    self._released(longest_unused)
            found = self._new(index)
        self._kept[index] = found
        return found

    def _between(self, left: int) -> Mixture:
        a, b = self._read(left), self._read(left + 1)
        if self._interpolation == "linear":
            return _linear(a, b)
        if self._interpolation == "geometric":
            return _geometric(a, b)
        before = self._read(left - 1) if left > 0 else None
        after = self._read(left + 2) if left + 2 < self._n else None
        return _smooth(before, a, b, after, self._normalise)


def check_interpolation(interpolation: Any, normalise: bool = True) -> None:
    """Refuse what is no interpolation, or none of maps that are no class probabilities."""
    if interpolation not in get_args(Interpolation):
        raise ValueError(
            f"interpolation={interpolation!r}: expected one of {', '.join(get_args(Interpolation))}"
        )
    if interpolation == "geometric" and not normalise:
        raise ValueError(
            "interpolation='geometric' mixes the logarithms of class probabilities, which the "
            "recording does not hold; use 'linear' or 'smooth'"
        )


def _linear(a: Map, b: Map) -> Mixture:
    step = b - a

    def mix(weight: float, out: Map | None) -> Map:
        mixed: Map = np.multiply(step, weight, out=out)
        mixed += a
        return mixed

    return mix


def _geometric(a: Map, b: Map) -> Mixture:
    start = np.log(np.maximum(a, TINY))
    step = np.log(np.maximum(b, TINY)) - start

    def mix(weight: float, out: Map | None) -> Map:
        logs: Map = np.multiply(step, weight, out=out)
        logs += start
        logs -= logs.max(axis=0)
        return _normalised(np.exp(logs, out=logs))

    return mix


def _smooth(before: Map | None, a: Map, b: Map, after: Map | None, normalise: bool) -> Mixture:
    start = ready(a)
    parts = [ready(a if part is None else part) for part in (before, a, b, after)]
    slope, square, cube = (np.empty_like(start) for _ in range(3))
    spline(
        *(part.reshape(-1) for part in parts), before is not None, after is not None,
        slope.reshape(-1), square.reshape(-1), cube.reshape(-1),
    )  # fmt: skip

    def mix(weight: float, out: Map | None) -> Map:
        mixed = np.empty_like(start) if out is None else out
        mix_cubic(start, slope, square, cube, np.float32(weight), normalise, mixed)
        return mixed

    return mix


def _normalised(values: Map) -> Map:
    values /= values.sum(axis=0)
    return values
