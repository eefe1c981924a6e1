"""One clock for several runs: which frame shows which moment of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array
from trainviz.errors import RecordingError
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions
from trainviz.rendering.timeline import Timeline

__all__ = ["By", "SharedTimeline", "clock_positions"]

By = Literal["epoch", "step", "progress"]


class SharedTimeline:
    """The moments of several runs, frame by frame.

    The clock ticks at each value at which one of the runs was captured, so that
    every snapshot is shown; ``factor`` frames lead from tick to tick. Runs that
    were captured alike move as each does in a film of its own. A run rests on
    its first snapshot until the clock gets there, and on its last one after it.

    Parameters
    ----------
    positions : sequence of ndarray of float64, shape (n_run,)
        Where on the clock each run's snapshots are; not decreasing.
    factor : int, default 1
        Frames from one tick to the next.
    hold : int, default 0
        How many more frames rest on the last tick.

    Attributes
    ----------
    ticks : ndarray of float64, shape (n,)

    Examples
    --------
    >>> clock = SharedTimeline([np.array([0.0, 10.0, 20.0]), np.array([0.0, 5.0])], factor=2)
    >>> clock.ticks
    array([ 0.,  5., 10., 20.])
    >>> [[moment.position for moment in clock.moments(frame)] for frame in range(len(clock))]
    [[0.0, 0.0], [0.25, 0.5], [0.5, 1.0], [0.75, 1.0], [1.0, 1.0], [1.5, 1.0], [2.0, 1.0]]
    """

    def __init__(self, positions: Sequence[Float64Array], factor: int = 1, hold: int = 0) -> None:
        self.ticks: Float64Array = np.unique(np.concatenate(positions))
        self._timeline = Timeline(len(self.ticks), factor, hold)
        self._runs = [_places(run, self.ticks) for run in positions]

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

    def _at(self, moment: Moment) -> list[Moment]:
        return [_between(lefts, shares, moment) for lefts, shares in self._runs]


def clock_positions(recording: Recording, by: By, name: str) -> Float64Array:
    """Return where on the clock a run's snapshots are.

    Parameters
    ----------
    recording : Recording
    by : {"epoch", "step", "progress"}
    name : str
        The run's, for messages.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If ``by`` is unknown.
    RecordingError
        If the steps are not known, or time runs backwards.
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
    # Equal shares of runs of different length are to be one tick.
    shares: Float64Array = np.round((values - values[0]) / max(values[-1] - values[0], 1), 9)
    return shares


def _places(run: Float64Array, ticks: Float64Array) -> tuple[npt.NDArray[np.intp], Float64Array]:
    """Return the snapshot before each tick, and the share of the next one that is over."""
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
        # A tick lies on every snapshot, so that none is passed between two of them.
        arrived = lefts[moment.left + 1] > left
        end = 1.0 if arrived else float(shares[moment.left + 1])
        share += moment.weight * (end - share)
    return Moment(left, share)
