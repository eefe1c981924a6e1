"""When each place was settled: areas with smooth borders, and the scale of their colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array, Int64Array, class_map
from trainviz.analysis.boundary import surroundings, two_highest
from trainviz.recordings.recording import Recording

__all__ = ["Scale", "TimeScale", "settled_areas"]

Scale = Literal["auto", "linear", "log", "quantile"]

_TINY = float(np.finfo(np.float32).tiny)

_LEAST_MARGIN = 1e-6
"""Where two classes are equally likely, the sign still says which one is the map's."""

_LEVELS = 64
"""Colours of areas; closer ones cannot be told apart, and each makes a file larger."""

_UNITS = 20
"""Units a grid step, of which a ninth is the precision of paths."""

_EARLY = 0.25
"""The share of the training in which learning counts as early."""


def settled_areas(recording: Recording, ends: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
    """Trace what is settled from a snapshot on, from the last snapshot to the first.

    A place is settled for a class if in all later snapshots the class's
    log-probability is above the highest of the others. The smallest of these
    margins is interpolated between grid points for each class alone, since it
    jumps where one class of the last snapshot meets another.

    Parameters
    ----------
    recording : Recording
    ends : mapping of int to int
        Indices of snapshots, and the time of each.

    Yields
    ------
    time : int
    path : matplotlib.path.Path
        Closed, in plane coordinates. A later one lies inside those before it.
    """
    from contourpy import FillType, contour_generator
    from matplotlib.path import Path

    x, y = recording.domain.x, recording.domain.y
    regions: list[_Region] = []
    for index in range(len(recording) - 1, min(ends, default=len(recording)) - 1, -1):
        probabilities = recording[index].probabilities
        labels = class_map(probabilities)
        regions = regions or [_Region.of(label, labels) for label in np.unique(labels)]
        logs = np.log(np.maximum(probabilities, _TINY))
        first, second = two_highest(logs, labels)
        for region in regions:
            region.narrow(logs, labels, first, second)
        if index not in ends:
            continue
        traced: list[Any] = []
        for region in regions:
            (rows, columns), margin = region.place, region.margin
            lines = contour_generator(
                x[columns], y[rows], margin, name="serial", fill_type=FillType.OuterCode
            ).filled(0.0, np.inf)
            traced += map(Path, *lines)
        if traced:
            yield ends[index], _simplified(Path.make_compound_path(*traced), x, y)


def _simplified(path: Any, x: Float64Array, y: Float64Array) -> Any:
    """Leave out points on straight pieces: nine in ten, and so of the file."""
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    # Matplotlib leaves out what is within a ninth of a unit.
    to_units = Affine2D().scale(_UNITS / np.ptp(x[:2]), _UNITS / np.ptp(y[:2]))
    found = path.cleaned(to_units, simplify=True)
    kept = found.codes != Path.STOP
    return Path(to_units.inverted().transform(found.vertices[kept]), found.codes[kept])


@dataclass(eq=False)
class _Region:
    """The smallest margin so far of a class around its region in the last snapshot."""

    label: int
    place: tuple[slice, slice]
    margin: npt.NDArray[np.float32]

    @classmethod
    def of(cls, label: int, labels: npt.NDArray[np.integer]) -> _Region:
        place = surroundings(labels == label)
        return cls(label, place, np.full(labels[place].shape, np.inf, dtype=np.float32))

    def narrow(
        self,
        logs: npt.NDArray[np.float32],
        labels: npt.NDArray[np.integer],
        first: npt.NDArray[np.float32],
        second: npt.NDArray[np.float32],
    ) -> None:
        """Take the margin in one more snapshot into account."""
        highest, place = first[self.place], self.place
        margin = np.minimum(logs[self.label][place] - highest, -_LEAST_MARGIN)
        leads = labels[place] == self.label
        np.copyto(margin, np.maximum(highest - second[place], _LEAST_MARGIN), where=leads)
        np.minimum(self.margin, margin, out=self.margin)


@dataclass(frozen=True, eq=False)
class TimeScale:
    """Where times lie on a scale from 0, the first snapshot, to 1, the last.

    Attributes
    ----------
    name : {"linear", "log", "quantile"}
    span : tuple of float
        The first and the last time.
    forward, inverse : callable
        From times to places, and back.
    times : ndarray of int64
        Those at which something was settled, without the first snapshot's.
    """

    name: str
    span: tuple[float, float]
    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    times: Int64Array

    @classmethod
    def of(cls, name: Scale, times: Int64Array, settled: Int64Array) -> TimeScale:
        """Choose a scale for settled times; see :meth:`Dynamics.still` for the rule."""
        if name not in get_args(Scale):
            known = ", ".join(repr(each) for each in get_args(Scale))
            raise ValueError(f"scale={name!r}: expected one of {known}")
        start, end = float(times[0]), float(max(times[-1], times[0] + 1))
        later = np.sort(settled[settled > start])
        chosen: str = name
        if name == "auto":
            early = len(later) > 0 and np.median(later) - start < _EARLY * (end - start)
            chosen = "log" if early else "linear"
        if chosen == "quantile" and not len(later):
            chosen = "linear"
        forward, inverse = _functions(chosen, start, end, times, later)
        return cls(chosen, (start, end), forward, inverse, np.unique(later))

    def ticks(self, gap: float = 0.1) -> list[int]:
        """Return whole times at least a gap apart on the scale: both ends and round numbers."""
        start, end = (int(side) for side in self.span)
        powers = [10**power for power in range(len(str(end)))]
        asked = [start, end, *(step * power for step in (1, 5, 2, 3) for power in powers)]
        taken: dict[int, float] = {}
        for time in [*asked, *self.times.tolist()]:
            # Where too few round numbers have room, times at which something was settled do.
            if not start <= time <= end or (len(taken) > 3 and time not in asked):
                continue
            place = float(self.forward(time))
            if all(abs(place - other) >= gap for other in taken.values()):
                taken[time] = place
        return sorted(taken)

    def ends(self, times: Int64Array, settled: Int64Array) -> tuple[int, dict[int, int]]:
        """Return the last settled time, and the snapshots at which earlier colours end."""
        found = np.unique(settled)
        levels = np.floor(np.asarray(self.forward(found)) * _LEVELS)
        lasts = found[np.append(np.diff(levels) > 0, True)]
        indices = np.searchsorted(times, lasts, side="right") - 1
        pairs = zip(indices.tolist(), lasts.tolist(), strict=True)
        *earlier, (_, last) = pairs
        return last, dict(earlier)


def _functions(
    name: str, start: float, end: float, times: Int64Array, later: Int64Array
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if name == "quantile":
        places: Float64Array = np.searchsorted(later, times, side="right") / len(later)
        # A scale has an inverse only if it increases, also where nothing was settled.
        known, first = np.unique(times, return_index=True)
        known = known.astype(np.float64)
        rising = 0.98 * places[first] + 0.02 * (known - start) / (end - start)
        return (
            lambda time: np.interp(time, known, rising),
            lambda place: np.interp(place, rising, known),
        )
    if name == "log":
        gaps = np.diff(times)
        # In units of the shortest distance, the first snapshots are as far apart as others.
        unit = float(gaps[gaps > 0].min(initial=int(end - start)))
        whole = np.log1p((end - start) / unit)

        def forward(time: Any) -> Any:
            passed = (np.asarray(time, dtype=np.float64) - start) / unit
            return np.sign(passed) * np.log1p(np.abs(passed)) / whole

        def inverse(place: Any) -> Any:
            logs = np.asarray(place, dtype=np.float64) * whole
            return start + unit * np.sign(logs) * np.expm1(np.abs(logs))

        return forward, inverse
    return (
        lambda time: (np.asarray(time, dtype=np.float64) - start) / (end - start),
        lambda place: start + np.asarray(place, dtype=np.float64) * (end - start),
    )
