"""The curves of a recording: how large, long and changeable its maps are, one after another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import class_map
from trainviz.analysis.map_measures import measure_map
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot

__all__ = ["Curves"]


class Curves:
    """Measures snapshots in the order of training.

    Parameters
    ----------
    recording : Recording
        That the snapshots belong to.
    after : int, default 0
        So many snapshots come before the first that is measured.
    """

    def __init__(self, recording: Recording, after: int = 0) -> None:
        self._recording = recording
        self._classes: npt.NDArray[np.integer] | None = None
        self._epoch = 0
        self._learnt: npt.NDArray[np.bool_] | None = None
        if after and recording.output.has_classes:
            for index in range(after):
                self._learn(recording.data_predictions(index))
            last = recording[after - 1]
            self._classes, self._epoch = class_map(last.probabilities), last.epoch

    def of(self, snapshot: Snapshot) -> dict[str, float]:
        """Return a point of each curve; none for maps without classes that exclude one another.

        ``"area of NAME"`` is the share of the window, ``"boundary length"`` in plane
        units, ``"churn"`` the share of the window that changed class, per epoch since
        the snapshot before, and ``"first learnt"`` the share of the data that has been
        predicted correctly at least once.
        """
        recording = self._recording
        if not recording.output.has_classes:
            return {}
        found = measure_map(snapshot.probabilities, recording.domain)
        values = {
            f"area of {name}": float(area)
            for name, area in zip(recording.class_names, found.areas, strict=True)
        }
        values["boundary length"] = found.boundary_length
        passed = snapshot.epoch - self._epoch
        if self._classes is not None:
            # Within an epoch, or where epochs are not counted, per snapshot.
            values["churn"] = float((found.classes != self._classes).mean()) / max(passed, 1)
        self._classes, self._epoch = found.classes, snapshot.epoch
        self._learn(snapshot.data_predictions)
        if self._learnt is not None:
            values["first learnt"] = float(self._learnt.mean())
        return values

    def _learn(self, predictions: npt.NDArray[np.intp] | None) -> None:
        labels = self._recording.data_labels
        if labels is not None and predictions is not None:
            right = predictions == labels
            self._learnt = right if self._learnt is None else self._learnt | right
