"""Where runs agree: the reproducibility score, and what can be compared at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import overload

import numpy as np
import numpy.typing as npt

from trainviz.contours import class_map
from trainviz.errors import RecordingError
from trainviz.modes import Mode
from trainviz.pixels import Map
from trainviz.recording import Recording

__all__ = [
    "Disagreement",
    "check_comparable",
    "disagreement",
    "named",
    "reproducibility",
    "require_classes",
]


class Disagreement(Mode):
    """The share of pairs of runs whose classes differ, of a map of this share, (1, h, w).

    The upper limit is the share when votes are spread over the classes as
    evenly as can be.

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


@overload
def reproducibility(a: Recording, b: Recording, epochs: int = -1) -> float: ...
@overload
def reproducibility(
    a: Recording, b: Recording, epochs: Sequence[int] | npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]: ...
def reproducibility(
    a: Recording, b: Recording, epochs: int | Sequence[int] | npt.NDArray[np.integer] = -1
) -> float | npt.NDArray[np.float64]:
    """Return how far two runs came to the same decisions.

    The reproducibility score of Somepalli et al., Can neural nets learn the same
    model twice? Investigating reproducibility and double descent from the
    decision boundary perspective (CVPR 2022): the share of the window's grid
    points on which both predict the same class. They average it over many
    planes through three images each; this is the score on one plane, the domain.

    Parameters
    ----------
    a, b : Recording
        On the same domain, with the same classes.
    epochs : int or sequence of int, default -1
        Captured in both; -1 is the last of each.

    Returns
    -------
    float, or ndarray of float64, shape (n,), for a sequence
        0 to 1; 1 for a run and itself.

    Raises
    ------
    RecordingError
        If the domains or classes differ, or an epoch was not captured.

    Examples
    --------
    >>> import trainviz as tv
    >>> domain = tv.Domain((0, 1), (0, 1), points_per_axis=11)
    >>> runs = []
    >>> for edge in (0.45, 0.65):
    ...     recorder = tv.Recorder(domain)
    ...     _ = recorder.capture(lambda X: X[:, 0] > 0.5, epoch=0)
    ...     _ = recorder.capture(lambda X: X[:, 0] > edge, epoch=10)
    ...     runs.append(recorder.recording)
    >>> round(tv.reproducibility(*runs), 3)
    0.818
    >>> tv.reproducibility(*runs, epochs=[0, 10]).round(3)
    array([1.   , 0.818])
    """
    check_comparable([a, b], ["a", "b"])
    require_classes([a, b], "reproducibility()")
    given = np.asarray(epochs)
    if given.ndim > 1 or given.dtype.kind not in "iu":
        raise TypeError(f"epochs={epochs!r}: expected an epoch, or a list of them")
    wanted = given.reshape(-1).tolist()
    scores = [_share_agreed(a, b, epoch) for epoch in wanted]
    return scores[0] if np.ndim(epochs) == 0 else np.array(scores, dtype=np.float64)


def check_comparable(recordings: Sequence[Recording], names: Sequence[str]) -> None:
    """Refuse runs that cannot be laid over one another.

    Parameters
    ----------
    recordings : sequence of Recording
    names : sequence of str
        One each, for messages.

    Raises
    ------
    TypeError
        If one is no recording.
    RecordingError
        If one is empty, or domains, what maps hold, numbers of classes or class
        names differ.
    """
    for recording, name in zip(recordings, names, strict=True):
        if not isinstance(recording, Recording):
            raise TypeError(
                f"{name} is a {type(recording).__name__}: expected a Recording, which a recorder "
                "has as its attribute .recording"
            )
        if not len(recording):
            raise RecordingError(f"{name} is empty: nothing has been captured in it")
    first = recordings[0]
    for recording, name in zip(recordings[1:], names[1:], strict=True):
        if not recording.domain.matches(first.domain):
            raise RecordingError(
                f"{name} was recorded on {recording.domain!r}, and {names[0]} on "
                f"{first.domain!r}{_beyond_repr(first, recording)}: only maps of the same points "
                "can be compared; give every recorder the same domain"
            )
        if recording.output != first.output:
            raise RecordingError(
                f"{name} holds {recording.output}, and {names[0]} {first.output}: only models of "
                "one kind can be compared"
            )
        if recording.n_classes != first.n_classes:
            raise RecordingError(
                f"{name} has {recording.n_classes} classes, and {names[0]} has "
                f"{first.n_classes}: only models of the same classes can be compared"
            )
    _check_names(recordings, names)


def require_classes(recordings: Sequence[Recording], what: str) -> None:
    """Refuse recordings of anything but class probabilities.

    Raises
    ------
    RecordingError
        Names ``what`` needs the classes.
    """
    for recording in recordings:
        if recording.output != "probabilities":
            raise RecordingError(
                f"{what} is about classes that exclude one another, and the recording holds "
                f"{recording.output}; take a recording of class probabilities"
            )


def named(recordings: Sequence[Recording]) -> Recording:
    """Return the run that a legend is made of: with names if any has, and with data if one has."""
    return min(recordings, key=lambda run: (_is_numbered(run), run.data is None))


def _check_names(recordings: Sequence[Recording], names: Sequence[str]) -> None:
    # A run without names may be compared with one that has some.
    told = [(run.class_names, name) for run, name in zip(recordings, names, strict=True)
            if not _is_numbered(run)]  # fmt: skip
    for classes, name in told[1:]:
        if classes != told[0][0]:
            raise RecordingError(
                f"{name} has the classes {classes}, and {told[0][1]} has {told[0][0]}: the "
                "columns mean different things; record both with the same class_names= and classes="
            )


def _is_numbered(recording: Recording) -> bool:
    return recording.class_names == [str(index) for index in range(recording.n_classes)]


def _beyond_repr(first: Recording, other: Recording) -> str:
    return ", through another part of the input" if repr(first.domain) == repr(other.domain) else ""


def _share_agreed(a: Recording, b: Recording, epoch: int) -> float:
    one, other = (class_map(recording.at(epoch).probabilities) for recording in (a, b))
    return float((one == other).mean())
