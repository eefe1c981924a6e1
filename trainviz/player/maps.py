"""Maps as a player reads them: packed, with no more grid points than a screen shows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import class_map
from trainviz._common.output_kind import OutputKind
from trainviz.evaluation.compact_map import CompactMap
from trainviz.evaluation.lattice import Lattice
from trainviz.recordings.packed import PackedMap, pack
from trainviz.recordings.recording import Recording

__all__ = ["packed_map", "thinned"]


def packed_map(recording: Recording, index: int) -> bytes:
    """Return a snapshot's map as a player reads it."""
    values = recording[index].map
    if isinstance(values, PackedMap):
        values = values.held()
    if not isinstance(values, CompactMap) and recording.output is OutputKind.PROBABILITIES:
        values = thinned(values)
    return pack(values, recording.output, grade="display")


def thinned(probabilities: npt.NDArray[np.float32]) -> CompactMap:
    """Keep the grid points of a dense map from which the others follow, to 1/255.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (C, H, W)

    Returns
    -------
    CompactMap

    Examples
    --------
    >>> y, x = np.mgrid[0:100, 0:100] / 10
    >>> p = 1 / (1 + np.exp(x - y))
    >>> found = thinned(np.stack([p, 1 - p]).astype(np.float32))
    >>> len(found.gaps) < 4000, float(np.abs(found.dense()[0] - p).max()) < 1 / 255
    (True, True)
    """
    n_classes, height, width = probabilities.shape
    lattice = Lattice.of((height, width))
    wanted = np.asarray(probabilities, dtype=np.float32)
    logs = np.log(np.maximum(wanted, _LOWEST)).reshape(n_classes, -1).T
    levels = lattice.first_levels(np.arange(height * width))
    known = levels == 0

    best = class_map(wanted)
    lead = np.diff(np.sort(wanted, axis=0)[-2:], axis=0)
    decided = (lead > _TIE).all(axis=0)

    def is_off(tolerance: float) -> npt.NDArray[np.bool_]:
        points = np.flatnonzero(known)
        shown = CompactMap.of((height, width), points, logs[points]).dense()
        far = (np.abs(shown - wanted) > tolerance).any(axis=0)
        found: npt.NDArray[np.bool_] = (far | (decided & (class_map(shown) != best))).ravel()
        return found

    # A level is interpolated from those before it, so each is decided in its turn; what a sharp
    # border hides from the coarse levels is added afterwards.
    for depth in range(1, lattice.levels + 1):
        known |= (levels == depth) & is_off(0.5 / 255)
    for _ in range(3):
        missed = is_off(1 / 255) & ~known
        if not missed.any():
            break
        known |= missed
    points = np.flatnonzero(known)
    return CompactMap.of((height, width), points, logs[points])


_LOWEST = 6e-6
"""Lower probabilities are shown as this."""

_TIE = 0.002
"""Where the two likeliest classes are nearer than this, either is shown."""
