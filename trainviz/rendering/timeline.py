"""The timeline of a film: which snapshots a frame shows, and with which weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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

    Raises
    ------
    ValueError, TypeError
        If ``factor`` is not an integer of at least 1.

    Examples
    --------
    >>> [moment.position for moment in Timeline(3, factor=2)]
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    def __init__(self, n_snapshots: int, factor: int = 1, hold: int = 0) -> None:
        if isinstance(factor, bool) or not hasattr(factor, "__index__"):
            raise TypeError(f"interpolate={factor!r}: expected a whole number, e.g. interpolate=4")
        if factor < 1:
            raise ValueError(
                f"interpolate={factor}: expected at least 1 (1 shows the snapshots alone, "
                "4 makes four frames from one snapshot to the next)"
            )
        self._factor = int(factor)
        self._moving = (n_snapshots - 1) * self._factor + 1 if n_snapshots else 0
        self._hold = hold if n_snapshots else 0

    def __len__(self) -> int:
        return self._moving + self._hold

    def __getitem__(self, index: int) -> Moment:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of a film with {len(self)} frames")
        frame = min(index % len(self), self._moving - 1)
        left, rest = divmod(frame, self._factor)
        return Moment(left, rest / self._factor)

    def __iter__(self) -> Iterator[Moment]:
        return (self[index] for index in range(len(self)))
