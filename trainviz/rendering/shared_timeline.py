"""The common timeline of several runs: which moment of each run a frame shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array
from trainviz.errors import RecordingError
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions
from trainviz.rendering.pace import Pace, frames_between, geometric_weights
from trainviz.rendering.timeline import Timeline

__all__ = ["By", "SharedTimeline", "clock_positions"]

By = Literal["epoch", "step", "progress"]


class SharedTimeline:
    """The moments of several runs, frame by frame.

    The clock has a tick at each value at which one of the runs was captured, so
    that every snapshot is shown, and ``factor`` frames from tick to tick. Runs
    that were captured at the same values look as in a film of their own. Before
    its first and after its last snapshot, a run shows that snapshot.

    Parameters
    ----------
    positions : sequence of ndarray of float64, shape (n_run,)
        The clock's value at each snapshot of each run; not decreasing.
    factor : int, default 1
        Frames from one tick to the next.
    hold : int, default 0
        How many more frames show the last tick.
    pace : {"even", "geometric", "by change"}, default "even"
    changes : sequence of ndarray of float64, shape (n_run - 1,)
        How much each run changes from snapshot to snapshot, for the pace "by change".

    Attributes
    ----------
    ticks : ndarray of float64, shape (n,)
    starts : ndarray of int, shape (n,)
        The frame that shows each tick.

    Examples
    --------
    >>> clock = SharedTimeline([np.array([0.0, 10.0, 20.0]), np.array([0.0, 5.0])], factor=2)
    >>> clock.ticks
    array([ 0.,  5., 10., 20.])
    >>> [[moment.position for moment in clock.moments(frame)] for frame in range(len(clock))]
    [[0.0, 0.0], [0.25, 0.5], [0.5, 1.0], [0.75, 1.0], [1.0, 1.0], [1.5, 1.0], [2.0, 1.0]]
    """

    def __init__(
        self,
        positions: Sequence[Float64Array],
        factor: int = 1,
        hold: int = 0,
        pace: Pace = "even",
        changes: Sequence[Float64Array] = (),
    ) -> None:
        self.ticks: Float64Array = np.unique(np.concatenate(positions))
        self._runs = [_places(run, self.ticks) for run in positions]
        frames = None
        if pace == "geometric":
            frames = frames_between(geometric_weights(self.ticks), factor)
        elif pace == "by change":
            frames = frames_between(self._changes(changes), factor)
        self._timeline = Timeline(len(self.ticks), factor, hold, frames)
        self.starts = self._timeline.starts

    def __len__(self) -> int:
        return len(self._timeline)

    def value(self, frame: int) -> float:
        """Return the clock's value in a frame."""
        moment = self._timeline[frame]
        here = float(self.ticks[moment.left])
        if moment.weight == 0:
            return here
        return here + moment.weight * (float(self.ticks[moment.left + 1]) - here)

    def moments(self, frame: int) -> list[Moment]:
        """Return the moment of each run in a frame."""
        return self._at(self._timeline[frame])

    def moments_at(self, tick: int) -> list[Moment]:
        """Return the moment of each run at a tick."""
        return self._at(Moment(tick, 0.0))

    def _changes(self, changes: Sequence[Float64Array]) -> Float64Array:
        """Return how much the runs change from tick to tick, in their mean."""
        passed = [
            np.diff(np.interp(lefts + shares, np.arange(len(change) + 1), np.cumsum([0, *change])))
            for (lefts, shares), change in zip(self._runs, changes, strict=True)
        ]
        mean: Float64Array = np.mean(passed, axis=0)
        return mean

    def _at(self, moment: Moment) -> list[Moment]:
        return [_between(lefts, shares, moment) for lefts, shares in self._runs]


def clock_positions(recording: Recording, by: By, name: str) -> Float64Array:
    """Return the clock's value at each snapshot of a run.

    Parameters
    ----------
    recording : Recording
    by : {"epoch", "step", "progress"}
    name : str
        The run's name in error messages.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If ``by`` is unknown.
    RecordingError
        If the steps are not known, or time decreases.
    """
    if by not in get_args(By):
        raise ValueError(f"by={by!r}: expected one of {', '.join(map(repr, get_args(By)))}")
    values = recording.epochs.astype(np.float64) if by == "epoch" else recording.steps
    if by == "progress":
        values = positions(recording)
    if not np.isfinite(values).all():
        raise RecordingError(
            f"by='step': {name} has snapshots whose step is not known; compare by='epoch' or "
            "by='progress', or give step= to capture()"
        )
    if (np.diff(values) < 0).any():
        raise RecordingError(
            f"{name} runs backwards; give its snapshots in the order of training, "
            "e.g. recording[::-1]"
        )
    if by != "progress":
        return values
    # Rounded, so that equal shares of runs of different length are the same tick.
    shares: Float64Array = np.round((values - values[0]) / max(values[-1] - values[0], 1), 9)
    return shares


def _places(run: Float64Array, ticks: Float64Array) -> tuple[npt.NDArray[np.intp], Float64Array]:
    """Return the last snapshot up to each tick, and the weight of the next one, 0 to 1."""
    lefts = np.clip(np.searchsorted(run, ticks, side="right") - 1, 0, len(run) - 1)
    rights = np.minimum(lefts + 1, len(run) - 1)
    shares = np.zeros(len(ticks))
    inside = (ticks > run[0]) & (rights > lefts)
    passed, whole = ticks - run[lefts], run[rights] - run[lefts]
    np.divide(passed, whole, out=shares, where=inside)
    return lefts, shares


def _between(lefts: npt.NDArray[np.intp], shares: Float64Array, moment: Moment) -> Moment:
    left, share = int(lefts[moment.left]), float(shares[moment.left])
    if moment.weight:
        # Every snapshot has a tick, so at most one is reached from this tick to the next.
        arrived = lefts[moment.left + 1] > left
        end = 1.0 if arrived else float(shares[moment.left + 1])
        share += moment.weight * (end - share)
    return Moment(left, share)
