"""The mode for regression: the predicted value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image, Map
from trainviz.modes.base import Mode, register_mode
from trainviz.modes.base import Values as Quantity
from trainviz.recordings.recording import Recording

__all__ = ["Values"]


@register_mode
class Values(Mode):
    """The value that a regression model predicts, through a sequential colormap.

    Parameters
    ----------
    limits : tuple of float, optional
        The two ends of the colour bar; values outside have the colour of the
        nearer end. Default: the lowest and the highest value of the whole
        recording, so that a colour means the same in every frame; this reads
        every snapshot once.
    levels : float or sequence of float, optional
        Contour lines.

    Raises
    ------
    ValueError
        If the limits are not two finite numbers, the lower first.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20),
    ...                        output="values", class_names=["height"])
    >>> _ = recorder.capture(lambda X: X[:, 0] * X[:, 1], epoch=0)
    >>> tv.animate(recorder.recording, mode=Values(levels=(-0.5, 0, 0.5)))
    Animation(values mode, 1 frames, ...)
    """

    name, label, cmap = "values", "value", "viridis"
    outputs = ("values",)

    def __init__(
        self,
        *,
        limits: tuple[float, float] | None = None,
        levels: float | Sequence[float] = (),
    ) -> None:
        super().__init__(levels=levels)
        self._given = _checked_limits(limits)

    def prepare(self) -> None:
        """Set the limits, by default to the range of the whole recording."""
        if self.recording is not None:
            self.label = self.recording.class_names[0]
        if self._given is not None:
            self.limits = self._given
        elif self.recording is not None:
            ends = [(s.probabilities.min(), s.probabilities.max()) for s in self.recording]
            low, high = float(min(ends)[0]), float(max(end for _, end in ends))
            # A colour bar needs two different ends, even if all predictions are equal.
            self.limits = (low, high) if high > low else (low - 0.5, high + 0.5)

    def values(self, probabilities: Map) -> Quantity:
        """Return the predicted value."""
        predicted: Map = probabilities[0]
        return predicted

    def legend(self, recording: Recording) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Return no entries, since the colour bar explains the colours."""
        return []

    def point_colors(self, recording: Recording) -> Image:
        """Give each point the colour of its true value."""
        assert recording.data is not None
        colors: Image = self.scale(recording.data.y[None].astype(np.float64))[0]
        return colors


def _checked_limits(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    if limits is None:
        return None
    try:
        low, high = (float(end) for end in limits)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"limits={limits!r}: expected two numbers, the lower first, e.g. (0, 10)")
    return low, high
