"""A snapshot: the map of one moment of training, with its epoch, step and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainviz.evaluation.compact_map import CompactMap
from trainviz.recordings.packed import PackedMap

__all__ = ["Provisional", "Snapshot", "quality_of"]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The class probability map of one moment of training.

    Parameters
    ----------
    map : ndarray of float32, shape (C, H, W), CompactMap or PackedMap
        The map itself, the points from which it is interpolated, or its bytes.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (C, H, W)
        Row 0 is the lower end of the domain's y axis. A compact map is
        interpolated, a packed one is unpacked at each access.
    shape : tuple of int
        ``(C, H, W)``.
    epoch : int
        Completed epochs; 0 is the state before training.
    step : int or None
        Completed optimisation steps, if the loop counts them.
    metrics : mapping of str to float
        Loss, accuracy and the like at that moment.
    evaluations : int
        The number of grid points at which the model was evaluated.
    data_predictions : ndarray of int, shape (n,), or None
        The class that the model predicts for each point of the recording's data.
    error : float or None
        With a confidence of 95 %, an upper bound of the share of grid points at
        which a probability is off by more than the tolerance, from a comparison
        with the model at random points; 0 for dense evaluation; None where it
        is not known. See the notes of :func:`trainviz.evaluate`.
    method : str
        How the model was evaluated: ``"dense"`` or ``"adaptive"``; empty where
        that is not known.
    weights_epoch : int or None
        The epoch whose weights it shows, where these were put in place again once
        training was over, such as the best ones; else None.

    Examples
    --------
    >>> snapshot = Snapshot(np.full((2, 3, 3), 0.5, dtype=np.float32), epoch=4)
    >>> snapshot
    Snapshot(epoch=4, step=None, classes=2, grid=3x3, metrics={})
    """

    map: npt.NDArray[np.float32] | CompactMap | PackedMap
    epoch: int
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluations: int = 0
    data_predictions: npt.NDArray[np.intp] | None = None
    error: float | None = None
    method: str = ""
    weights_epoch: int | None = None

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """The class probabilities on the grid, shape (C, H, W)."""
        return self.map if isinstance(self.map, np.ndarray) else self.map.dense()

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``, without interpolating or unpacking."""
        n_classes, height, width = self.map.shape
        return n_classes, height, width

    def __repr__(self) -> str:
        classes, height, width = self.shape
        return (
            f"Snapshot(epoch={self.epoch}, step={self.step}, classes={classes}, "
            f"grid={height}x{width}, metrics={dict(self.metrics)})"
        )


@dataclass(frozen=True)
class Provisional:
    """How to undo the end of a run in its last snapshot, if the run is continued.

    A run that ends captures or relabels its last state, whether the schedule
    asks for it or not. If it is continued from there, this is undone.

    Attributes
    ----------
    epoch : int or None
        The snapshot's epoch before the end; None if it was captured for the end alone.
    metrics : mapping of str to float
        Its metrics before the end.
    """

    epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def quality_of(snapshots: Iterable[Snapshot]) -> str | None:
    """Return how maps were evaluated and how good they are, in words; None if it is not known.

    Examples
    --------
    >>> half = np.full((2, 3, 3), 0.5, dtype=np.float32)
    >>> quality_of([Snapshot(half, 0, error=0.0, method="dense")])
    'evaluated at every grid point'
    """
    told = [(each.method, each.error) for each in snapshots]
    errors = [error for _, error in told if error is not None]
    if not errors:
        return None
    adaptive, dense = (sum(name == method for method, _ in told) for name in ("adaptive", "dense"))
    if not adaptive:
        return "evaluated at every grid point"
    worst = f"{100 * max(errors):.2g} %"
    sure = "" if max(errors) == 0 else " (each with 95 % confidence)"
    return (
        f"{adaptive} adaptive and {dense} dense; at most {worst} of a map's pixels are off by more "
        f"than the tolerance{sure}"
    )
