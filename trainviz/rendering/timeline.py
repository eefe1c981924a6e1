"""The timeline of a film: which snapshots a frame shows, and with which weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from trainviz.recordings.time_axis import Moment

__all__ = ["Timeline"]


class Timeline(Sequence[Moment]):
    """The moments of a film, one a frame.

    Each snapshot is shown once: ``n`` snapshots with ``factor`` k make
    ``(n - 1) * k + 1`` frames, and ``hold`` more that repeat the last one.

    Parameters
    ----------
    n_snapshots : int
    factor : int, default 1
        Frames from one snapshot to the next; 1 shows only the snapshots.
    hold : int, default 0
        How many more frames show the last snapshot.
    frames : sequence of int, optional
        How many frames lead from each snapshot to the next; default: ``factor``.

    Attributes
    ----------
    starts : ndarray of int, shape (n_snapshots,)
        The frame that shows each snapshot as it is.

    Raises
    ------
    ValueError, TypeError
        If ``factor`` is not an integer of at least 1.

    Examples
    --------
    >>> [moment.position for moment in Timeline(3, factor=2)]
    [0.0, 0.5, 1.0, 1.5, 2.0]
    >>> [moment.position for moment in Timeline(3, factor=2, frames=[3, 1])]
    [0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 2.0]
    """

    def __init__(
        self,
        n_snapshots: int,
        factor: int = 1,
        hold: int = 0,
        frames: Sequence[int] | npt.NDArray[np.intp] | None = None,
    ) -> None:
        if isinstance(factor, bool) or not hasattr(factor, "__index__"):
            raise TypeError(f"interpolate={factor!r}: expected a whole number, e.g. interpolate=4")
        if factor < 1:
            raise ValueError(
                f"interpolate={factor}: expected at least 1 (1 shows the snapshots alone, "
                "4 makes four frames from one snapshot to the next)"
            )
        between = [int(factor)] * max(n_snapshots - 1, 0) if frames is None else frames
        self.starts = np.cumsum([0, *between])[:n_snapshots]
        self._moving = int(self.starts[-1]) + 1 if n_snapshots else 0
        self._hold = hold if n_snapshots else 0

    def __len__(self) -> int:
        return self._moving + self._hold

    def __getitem__(self, index: int) -> Moment:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of a film with {len(self)} frames")
        frame = min(index % len(self), self._moving - 1)
        left = int(np.searchsorted(self.starts, frame, side="right")) - 1
        rest = frame - int(self.starts[left])
        return Moment(left, rest / int(self.starts[left + 1] - self.starts[left]) if rest else 0.0)

    def __iter__(self) -> Iterator[Moment]:
        return (self[index] for index in range(len(self)))
