"""The reproducibility score: the share of the domain where two runs predict the same class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import class_map
from trainviz.recordings.compatibility import check_comparable, require_classes
from trainviz.recordings.recording import Recording

__all__ = ["reproducibility"]


@overload
def reproducibility(a: Recording, b: Recording, epochs: int = -1) -> float: ...
@overload
def reproducibility(
    a: Recording, b: Recording, epochs: Sequence[int] | npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]: ...
def reproducibility(
    a: Recording, b: Recording, epochs: int | Sequence[int] | npt.NDArray[np.integer] = -1
) -> float | npt.NDArray[np.float64]:
    """Return the share of the domain on which two runs predict the same class.

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
        Epochs that were captured in both runs; -1 is the last of each.

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


def _share_agreed(a: Recording, b: Recording, epoch: int) -> float:
    one, other = (class_map(recording.at(epoch).probabilities) for recording in (a, b))
    return float((one == other).mean())
