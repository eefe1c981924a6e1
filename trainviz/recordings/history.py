"""The metrics of a run at every moment that was reported, whether it was captured or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from trainviz.recordings.stores import Store

__all__ = ["History", "LogEntry", "history_of", "time_of"]


@dataclass(frozen=True)
class LogEntry:
    """The metrics of a moment that was reported, but not captured.

    Attributes
    ----------
    epoch : int
    step : int or None
    metrics : mapping of str to float
    """

    epoch: int
    step: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class History:
    """The metrics at every moment that was reported; see :attr:`trainviz.Recording.history`.

    Attributes
    ----------
    epochs : ndarray of int64, shape (n,)
        Completed epochs, ascending.
    steps : ndarray of float64, shape (n,)
        Completed steps, NaN where unknown.
    metrics : dict of str to ndarray of float64, shape (n,)
        The values of each metric, NaN where it was not given.

    Examples
    --------
    >>> history = History.of([LogEntry(2, None, {"loss": 0.5}), LogEntry(1, None, {"loss": 1.0})])
    >>> history
    History(2 moments, epochs 1 to 2, metrics: loss)
    >>> history.epochs, history.metrics["loss"]
    (array([1, 2]), array([1. , 0.5]))
    """

    epochs: npt.NDArray[np.int64]
    steps: npt.NDArray[np.float64]
    metrics: dict[str, npt.NDArray[np.float64]]

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> History:
        """Join entries of the same moment, of which the later ones count, and sort them by time."""
        found = list(entries)
        last_steps: dict[int, int] = {}
        for entry in found:
            if entry.step is not None:
                last_steps[entry.epoch] = max(entry.step, last_steps.get(entry.epoch, 0))
        rows: dict[tuple[int, float], dict[str, float]] = {}
        for entry in found:
            # Without a step, metrics are those of the epoch's end, which may have been captured.
            step = last_steps.get(entry.epoch) if entry.step is None else entry.step
            rows.setdefault(time_of(entry.epoch, step), {}).update(entry.metrics)
        times = sorted(rows)
        names = dict.fromkeys(name for time in times for name in rows[time])
        return cls(
            np.array([epoch for epoch, _ in times], dtype=np.int64),
            np.array([math.nan if step == math.inf else step for _, step in times], np.float64),
            {name: np.array([rows[time].get(name, np.nan) for time in times]) for name in names},
        )

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        if not len(self):
            return "History(empty)"
        names = ", ".join(self.metrics) or "none"
        return (
            f"History({len(self)} moment{'' if len(self) == 1 else 's'}, epochs {self.epochs[0]} "
            f"to {self.epochs[-1]}, metrics: {names})"
        )


def history_of(store: Store) -> History:
    """Return the history that a store holds: its snapshots' metrics, and what was logged."""
    captured = [
        LogEntry(store.epoch(index), store.step(index), store.metrics(index))
        for index in range(len(store))
    ]
    return History.of([*captured, *store.logged()])


def time_of(epoch: int, step: int | None) -> tuple[int, float]:
    """Return what moments are sorted by; without a step, it is the end of the epoch."""
    return epoch, math.inf if step is None else float(step)
