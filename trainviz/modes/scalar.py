"""Modes that show one quantity of the class probabilities."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import TINY, Image, Map
from trainviz._common.jit import ready
from trainviz.modes.base import Mode, PaintBetween, Values, register_mode
from trainviz.modes.kernels import paint_highest, painter
from trainviz.modes.palettes import ramp, sequential_table
from trainviz.recordings.recording import Recording

__all__ = ["Boundary", "Entropy", "Margin", "Probability", "class_index"]


@register_mode
class Boundary(Mode):
    """The highest class probability, which is low along decision boundaries.

    The limits are [1/C, 1], the possible range of the highest of C class
    probabilities, so that a colour means the same in every frame.

    Parameters
    ----------
    levels : float or sequence of float, optional
        Contour lines.
    """

    name, label = "boundary", "highest class probability"

    def prepare(self) -> None:
        """Set the limits."""
        self.limits = 1 / self.n_classes, 1.0

    @property
    def colors(self) -> Image:
        """The colormap, from its upper end: a trained model is sure of most points."""
        return self.palette.sequential[::-1]

    def values(self, probabilities: Map) -> Values:
        """Return the highest class probability."""
        highest: Map = probabilities.max(axis=0)
        return highest

    def between(self) -> PaintBetween | None:
        """Return a function that paints between two maps, or None."""
        kind = type(self)
        own = kind.values, kind.paint, kind.scale, kind.contours
        expected = Boundary.values, Mode.paint, Mode.scale, Mode.contours
        if own != expected or self.levels:
            return None
        low, high = self.limits
        factor, colors = np.float32(255 / (high - low)), ready(self.palette.sequential, np.uint8)
        return painter(paint_highest, np.float32(low), factor, colors)


@register_mode
class Entropy(Mode):
    """How uncertain the model is: the Shannon entropy of the class probabilities.

    ``-sum(p * log(p)) / log(C)`` (Shannon, 1948): 0 where one class is
    certain, 1 where all C are equally likely.

    Parameters
    ----------
    levels : float or sequence of float, optional
        Contour lines.

    Examples
    --------
    >>> from trainviz.modes import find_mode
    >>> from trainviz.modes.palettes import Palette
    >>> mode = find_mode("entropy").bound(2, Palette.of(2))
    >>> mode.values(np.float32([[[0.5, 1]], [[0.5, 0]]])) + 0.0
    array([[1., 0.]], dtype=float32)
    """

    name, label, cmap = "entropy", "entropy / log C", "plasma"

    def prepare(self) -> None:
        """Write the number of classes into the label."""
        self.label = f"entropy / log {self.n_classes}"

    def values(self, probabilities: Map) -> Values:
        """Return the entropy, 0 to 1."""
        logs = np.log(np.maximum(probabilities, np.float32(TINY)))
        logs *= probabilities
        total: Map = logs.sum(axis=0)
        total *= np.float32(-1 / np.log(self.n_classes))
        return total


@register_mode
class Margin(Mode):
    """The highest probability minus the second highest: 0 on decision boundaries.

    Parameters
    ----------
    levels : float or sequence of float, optional
        Contour lines.
    """

    name, label = "margin", "highest \N{MINUS SIGN} second highest probability"

    @property
    def colors(self) -> Image:
        """The colormap, from its upper end: a trained model is sure of most points."""
        return self.palette.sequential[::-1]

    def values(self, probabilities: Map) -> Values:
        """Return the difference of the two highest probabilities."""
        first: Map = np.maximum(probabilities[0], probabilities[1])
        second = np.minimum(probabilities[0], probabilities[1])
        lower = np.empty_like(first)
        for plane in probabilities[2:]:
            np.minimum(first, plane, out=lower)
            np.maximum(second, lower, out=second)
            np.maximum(first, plane, out=first)
        first -= second
        return first


@register_mode
class Probability(Mode):
    """The probability of one class, or of one label of a multi-label model.

    Parameters
    ----------
    of : str, int or label, optional
        The class: its name, its label, or its output column. A binary model
        has a default, the second class.
    levels : float or sequence of float, default 0.5
        Contour lines.
    cmap : str or Colormap, optional
        Default: from the ground, where the probability is 0, to the colour of the class,
        which its points and the legend have; of a multi-label model, ``"viridis"``, whose
        ends its points have. ``animate(cmap=)`` is the same.

    Raises
    ------
    ValueError
        If ``cmap`` is unknown; when it is used, if the recording has no such class, or
        has more than two and none is given.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20),
    ...                        class_names=["cat", "dog"])
    >>> _ = recorder.capture(lambda X: 1 / (1 + np.exp(-9 * X[:, 0])), epoch=0)
    >>> tv.animate(recorder.recording, mode=Probability("cat", levels=(0.5, 0.9)))
    Animation(probability mode, 1 frames, ...)
    """

    name, label, cmap = "probability", "probability", "viridis"
    outputs = ("probabilities", "multilabel")

    def __init__(
        self, of: Any = None, *, levels: float | Sequence[float] = 0.5, cmap: Any = None
    ) -> None:
        super().__init__(levels=levels)
        self.of = of
        self._own = None if cmap is None else sequential_table(cmap)

    def prepare(self) -> None:
        """Find the class."""
        self.index = class_index(self.of, self.n_classes, self.recording, "Probability")
        named = self.recording.class_names[self.index] if self.recording else str(self.index)
        self._named = named
        self.label = f"probability of {named}"
        palette = self.palette
        if self._own is not None:
            self.palette = replace(palette, sequential=self._own, chosen=True)
        elif not palette.chosen and not (self.recording and self.recording.output.has_labels):
            color = palette.classes[self.index]
            self.palette = replace(palette, sequential=ramp(palette.background, color))

    def values(self, probabilities: Map) -> Values:
        """Return the probability of the class."""
        plane: Map = probabilities[self.index]
        return plane

    def point_colors(self, recording: Recording) -> Image:
        """Return, for a multi-label model, one colour for points with the label, one for others."""
        if not recording.output.has_labels:
            return super().point_colors(recording)
        assert recording.data is not None
        return self.palette.sequential[np.where(recording.data.y[:, self.index] > 0, 255, 0)]

    def legend(self, recording: Recording) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Explain, for a multi-label model, the two colours of the points."""
        if not recording.output.has_labels:
            return super().legend(recording)
        ends = self.palette.sequential
        return [(f"has {self._named}", ends[255]), (f"has not {self._named}", ends[0])]

    def of_any(self) -> Probability:
        """Return a copy whose colour bar and legend do not name the class."""
        mode = copy.copy(self)
        mode.label, mode._named = "probability", "the label"
        return mode


def class_index(of: Any, n_classes: int, recording: Recording | None, mode: str) -> int:
    """Return the output column of a class that is given by name, label or column.

    Raises
    ------
    ValueError
        If there is no such class, or none is given and there are more than two.
    """
    names = recording.class_names if recording else [str(index) for index in range(n_classes)]
    if of is None and n_classes <= 2 and (recording is None or not recording.output.has_labels):
        return n_classes - 1
    if isinstance(of, str) and of in names:
        return names.index(of)
    # A number is looked up among the labels first, since labels need not be 0 ... C - 1.
    if of is not None and not isinstance(of, (bool, str)) and str(of) in names:
        return names.index(str(of))
    if isinstance(of, (int, np.integer)) and not isinstance(of, bool) and 0 <= of < n_classes:
        return int(of)
    listed = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
    raise ValueError(
        f"{mode}({'' if of is None else repr(of)}): expected one of the recording's classes, "
        f"{listed}, or an output column, 0 to {n_classes - 1}; e.g. mode=trainviz.modes."
        f"{mode}({names[0]!r})"
    )
