"""The time axis of a recording: moments between its snapshots, counted by epoch or by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainviz.recordings.recording import Recording

__all__ = ["Moment", "counted_by", "positions", "positions_on", "value_at"]


@dataclass(frozen=True)
class Moment:
    """A point in time: the mixture of snapshot ``left`` and the one after it.

    Attributes
    ----------
    left : int
        The snapshot at or before this moment.
    weight : float
        The share of snapshot ``left + 1``, 0 <= weight < 1.
    """

    left: int
    weight: float

    @property
    def position(self) -> float:
        """The moment as a fractional snapshot index."""
        return self.left + self.weight


def counted_by(recording: Recording) -> str:
    """Return the unit of the time axis: "step" if epochs repeat and steps are known."""
    epochs, steps = recording.epochs, recording.steps
    repeated = len(np.unique(epochs)) < len(epochs)
    return "step" if repeated and np.isfinite(steps).all() else "epoch"


def positions(recording: Recording) -> npt.NDArray[np.float64]:
    """Return the epoch (or step) of every snapshot, shape (n,)."""
    if counted_by(recording) == "step":
        return recording.steps
    return recording.epochs.astype(np.float64)


def positions_on(recording: Recording, other: Recording) -> npt.NDArray[np.float64]:
    """Return the time of each snapshot as a fractional index into ``other``, shape (n,).

    From 0 to ``len(other) - 1``; times beyond its ends are clipped. In steps if
    both recordings are counted by steps, else in epochs.

    Examples
    --------
    >>> import trainviz as tv
    >>> def run(epochs):
    ...     recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
    ...     for epoch in epochs:
    ...         _ = recorder.capture(lambda X: X[:, 0], epoch=epoch)
    ...     return recorder.recording
    >>> positions_on(run([0, 5, 10, 20]), run([0, 10]))
    array([0. , 0.5, 1. , 1. ])
    """
    by_step = counted_by(recording) == counted_by(other) == "step"
    ours = recording.steps if by_step else recording.epochs.astype(np.float64)
    theirs = other.steps if by_step else other.epochs.astype(np.float64)
    # The last snapshot of an epoch counts as its end, as in Recording.at.
    known, last = np.unique(theirs[::-1], return_index=True)
    return np.interp(ours, known, (len(theirs) - 1 - last).astype(np.float64))


def value_at(values: npt.NDArray[np.float64], moment: Moment) -> float:
    """Return the linear interpolation of the snapshots' ``values`` at a moment."""
    here = float(values[moment.left])
    if moment.weight == 0:
        return here
    return here + moment.weight * (float(values[moment.left + 1]) - here)
