"""Modes that compare a map with the previous snapshot or with another recording."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image, Map, class_map
from trainviz._common.output_kind import OutputKind
from trainviz.errors import RecordingError
from trainviz.modes.base import Beside, Contour, Mode, Values, register_mode
from trainviz.modes.scalar import class_index
from trainviz.recordings.compatibility import check_matching
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions_on

__all__ = ["Change", "Difference", "Disagreement", "disagreement", "total_variation"]


class _Pair(Mode):
    """A mode whose quantity depends on a second map."""

    def values(self, probabilities: Map, other: Map | None = None) -> Values:
        """Return the quantity; without another map, the difference from the same map."""
        raise NotImplementedError

    def paint(self, probabilities: Map, other: Map | None = None) -> Image:
        """Paint the quantity."""
        return self.scale(self.values(probabilities, other))

    def contours(self, probabilities: Map, other: Map | None = None) -> list[Contour]:
        """Return the quantity, if it has levels."""
        return [Contour(self.values(probabilities, other), self.levels)] if self.levels else []

    @property
    def colors(self) -> Image:
        """The colormap."""
        return self.palette.sequential


@register_mode
class Change(_Pair):
    """How much the prediction changed since the previous snapshot.

    The total variation distance, ``sum(|p - q|) / 2``: 0 where nothing
    changed, 1 where the model was certain and is now certain of another
    class. A frame between snapshots is compared with the moment one snapshot
    earlier; the first snapshot shows no change. The distance is not divided
    by the epochs between the two, so it is larger if they are far apart.

    Parameters
    ----------
    levels : float or sequence of float, optional
        Contour lines.
    """

    name, label, cmap = "change", "change since the snapshot before (total variation)", "inferno"

    def beside(self, moment: Moment) -> Beside | None:
        """Return the moment one snapshot earlier."""
        if self.recording is None:
            return None
        before = Moment(moment.left - 1, moment.weight) if moment.left else Moment(0, 0.0)
        return Beside(self.recording, before)

    def values(self, probabilities: Map, other: Map | None = None) -> Values:
        """Return the total variation distance, 0 to 1."""
        return total_variation(probabilities, probabilities if other is None else other)


@register_mode
class Difference(_Pair):
    """How a recording differs from another one of the same domain, at the same epoch.

    The total variation distance, ``sum(|p - q|) / 2``, 0 to 1; or, with
    ``of``, the probability of one class minus that in the other recording, -1
    to 1, in a diverging colormap. For regression, the difference of the
    values. The other recording is interpolated linearly between its snapshots;
    before its first and after its last one, that snapshot is used.

    Parameters
    ----------
    other : Recording
        The recording that is subtracted.
    of : str, int or label, optional
        The class; see :class:`Probability`.
    levels : float or sequence of float, optional
        Contour lines.

    Raises
    ------
    TypeError
        If ``other`` is not a recording.
    ValueError
        When it is used: if the recordings have different domains, outputs or
        numbers of classes.

    Examples
    --------
    >>> import trainviz as tv
    >>> def run(slope):
    ...     recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
    ...     _ = recorder.capture(lambda X: 1 / (1 + np.exp(-slope * X[:, 0])), epoch=0)
    ...     return recorder.recording
    >>> tv.animate(run(9), mode=Difference(run(3), of=1))
    Animation(difference mode, 1 frames, ...)
    """

    name, label, cmap = "difference", "difference (total variation)", "inferno"
    outputs = tuple(OutputKind)

    def __init__(
        self,
        other: Recording | None = None,
        of: Any = None,
        *,
        levels: float | Sequence[float] = (),
    ) -> None:
        super().__init__(levels=levels)
        if other is not None and not isinstance(other, Recording):
            raise TypeError(
                f"Difference({type(other).__name__}): expected the Recording to compare with, "
                "which a recorder has as its attribute .recording"
            )
        self.other = other
        self.of = of
        self._signed = of is not None

    def colormap(self, recording: Recording) -> str:
        """Return a diverging colormap for a signed difference."""
        return "RdBu_r" if self._signed or not recording.output.has_classes else self.cmap

    def prepare(self) -> None:
        """Check that the two recordings can be compared."""
        if self.other is None or self.recording is None:
            raise ValueError(
                "mode='difference' needs the recording to compare with: "
                "mode=trainviz.modes.Difference(other)"
            )
        _require_comparable(self.recording, self.other)
        # A slice has a fixed length, while the recording may still grow.
        self.other = self.other[:]
        self._positions = positions_on(self.recording, self.other)
        if self.recording.output.has_value:
            self._signed, self._index = True, 0
            self.label = f"difference of {self.recording.class_names[0]}"
            widest = max(self._widest(index) for index in range(len(self.recording)))
            self.limits = -widest, widest
        elif self._signed or self.recording.output.has_labels:
            self._signed = True
            self._index = class_index(self.of, self.n_classes, self.recording, "Difference")
            name = self.recording.class_names[self._index]
            self.label = f"difference in the probability of {name}"
            self.limits = -1.0, 1.0

    def beside(self, moment: Moment) -> Beside | None:
        """Return the same epoch of the other recording."""
        assert self.other is not None
        last = len(self._positions) - 1
        here = self._positions[moment.left]
        if moment.weight:
            here += moment.weight * (self._positions[min(moment.left + 1, last)] - here)
        left = int(here)
        return Beside(self.other, Moment(left, float(here - left)))

    def values(self, probabilities: Map, other: Map | None = None) -> Values:
        """Return the distance, or the signed difference of one class."""
        against = probabilities if other is None else other
        if self._signed:
            signed: Map = probabilities[self._index] - against[self._index]
            return signed
        return total_variation(probabilities, against)

    def _widest(self, index: int) -> float:
        assert self.recording is not None
        beside = self.beside(Moment(index, 0.0))
        assert beside is not None
        theirs, (left, weight) = beside.recording, (beside.moment.left, beside.moment.weight)
        other = theirs[left].probabilities
        if weight:
            other = other + np.float32(weight) * (theirs[left + 1].probabilities - other)
        return float(np.abs(self.recording[index].probabilities - other).max()) or 1.0


def total_variation(p: Map, q: Map) -> Map:
    """Return half the sum of absolute differences, shape (C, h, w) to (h, w).

    Examples
    --------
    >>> total_variation(np.float32([[[1]], [[0]]]), np.float32([[[0.25]], [[0.75]]]))
    array([[0.75]], dtype=float32)
    """
    total = np.zeros(p.shape[1:], dtype=np.float32)
    difference = np.empty_like(total)
    # Class by class, so that the temporary arrays fit in the CPU cache.
    for ours, theirs in zip(p, q, strict=True):
        np.subtract(ours, theirs, out=difference)
        np.abs(difference, out=difference)
        total += difference
    total *= np.float32(0.5)
    return total


def _require_comparable(ours: Recording, theirs: Recording) -> None:
    theirs.require_snapshots()
    try:
        check_matching([ours, theirs], ["the recording", "the other one"])
    except RecordingError as error:
        raise ValueError(f"Difference(other): {error}") from None


class Disagreement(Mode):
    """The share of pairs of runs that predict different classes.

    Its map, shape (1, h, w), holds this share. The upper limit is the share
    when the runs are distributed over the classes as evenly as possible.

    Parameters
    ----------
    n_runs : int, default 2
    """

    name, label = "disagreement", "share of pairs that disagree"

    def __init__(self, n_runs: int = 2) -> None:
        super().__init__()
        self.n_runs = n_runs

    def prepare(self) -> None:
        """Find the upper limit."""
        votes = np.bincount(np.arange(self.n_runs) % self.n_classes)
        pairs = self.n_runs * (self.n_runs - 1)
        self.limits = 0.0, float(1 - (votes * (votes - 1)).sum() / pairs)

    def values(self, probabilities: Map) -> npt.NDArray[np.float32]:
        """Return the share."""
        share: npt.NDArray[np.float32] = probabilities[0]
        return share


def disagreement(maps: Sequence[Map]) -> npt.NDArray[np.float32]:
    """Return the share of pairs of maps whose class differs, shape (h, w).

    Parameters
    ----------
    maps : sequence of ndarray of float32, shape (C, h, w)
        At least two.

    Examples
    --------
    >>> a, b = np.array([[[0.9, 0.2]], [[0.1, 0.8]]]), np.array([[[0.6, 0.6]], [[0.4, 0.4]]])
    >>> disagreement([a, b])
    array([[0., 1.]], dtype=float32)
    """
    labels = [class_map(probabilities) for probabilities in maps]
    pairs = list(combinations(labels, 2))
    differing = np.zeros(labels[0].shape, dtype=np.float32)
    for one, other in pairs:
        differing += one != other
    return differing / np.float32(len(pairs))
