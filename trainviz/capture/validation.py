"""Validation of snapshots: in order, with the same classes, with single numbers as metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz._common.checks import check_list
from trainviz._common.output_kind import OutputKind
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import PredictionError
from trainviz.recordings.recording import Recording

__all__ = ["SnapshotValidator", "check_classes", "check_names", "plain_metrics"]


class SnapshotValidator:
    """Checks what is to be recorded; raises with a message that says what does not fit.

    Parameters
    ----------
    grid : tuple of int
        ``(H, W)``.
    data : LabelledData, optional
        The points that are stored with the recording.
    class_names, classes : sequence, optional
        As for :class:`~trainviz.Recorder`.
    output : OutputKind, default "probabilities"
        What the maps hold.

    Attributes
    ----------
    n_classes : int or None
        None until the first map.
    model_checked : bool
        Whether an output of the model was valid once. A continued recording
        knows its classes before that.

    Examples
    --------
    >>> validator = SnapshotValidator((2, 2), class_names=["no", "yes"])
    >>> validator.check_classes(3)
    Traceback (most recent call last):
        ...
    trainviz.errors.PredictionError: class_names has 2 names, but the model returns 3 classes...
    """

    def __init__(
        self,
        grid: tuple[int, int],
        data: LabelledData | None = None,
        class_names: Sequence[str] | None = None,
        classes: Sequence[Any] | None = None,
        output: OutputKind = OutputKind.PROBABILITIES,
    ) -> None:
        self._output = output
        self.n_classes: int | None = None
        self.model_checked = False
        self.classes = list(classes) if classes is not None else None
        self._grid = grid
        self._data = data
        self._class_names = class_names

    @classmethod
    def of(cls, recording: Recording) -> SnapshotValidator:
        """Return the validator for a recording, which may hold snapshots already."""
        own = cls(
            recording.domain.shape, recording.data, recording.given_names,
            recording.given_classes, recording.output,
        )  # fmt: skip
        own.n_classes = recording.n_classes if len(recording) else None
        return own

    def check_classes(self, n_classes: int) -> None:
        """Take the number of classes from the first map; raise if a later one differs."""
        if self.n_classes is None:
            if self._class_names is not None and len(self._class_names) != n_classes:
                raise PredictionError(
                    f"class_names has {len(self._class_names)} names, but the model returns "
                    f"{self._output.counted(n_classes)}{_ASIDE.get(self._output, '')}"
                )
            if self._data is not None and self._output.has_labels:
                self._data.require_labels(n_classes)
            elif self._data is not None and self._output.has_classes and self._data.is_labelled:
                _require_same_order(self._class_names, self.classes)
                self._data.class_indices(n_classes, self._class_names, self.classes)
            self.n_classes = n_classes
        elif n_classes != self.n_classes:
            raise PredictionError(
                f"predict_proba returned {n_classes} classes, after {self.n_classes} before; "
                "all snapshots of a recording have the same classes"
            )
        self.model_checked = True

    def map(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Check and copy a map that was computed elsewhere.

        Parameters
        ----------
        probabilities : array-like, shape (C, H, W)

        Returns
        -------
        ndarray of float32, shape (C, H, W)
            A copy.
        """
        values = np.array(probabilities, dtype=np.float32)
        if values.ndim != 3 or values.shape[1:] != self._grid:
            raise PredictionError(
                f"probabilities have the shape {values.shape}; expected (C, H, W) with "
                f"(H, W) = {self._grid}"
            )
        fault = self._output.fault(values)
        if fault is not None:
            raise PredictionError(fault)
        self.check_classes(len(values))
        return values

    def predictions(self, guesses: npt.ArrayLike | None) -> npt.NDArray[np.intp] | None:
        """Check the predicted class of each data point, and return it as integers, shape (n,)."""
        if guesses is None:
            return None
        if not self._output.has_classes:
            raise ValueError(
                f"data_predictions are classes, which a recording of {self._output} has not"
            )
        classes = np.asarray(guesses, dtype=np.intp)
        if self._data is None:
            raise ValueError("data_predictions were given to a recorder that has no data=")
        if classes.shape != self._data.y.shape:
            raise ValueError(
                f"data_predictions have the shape {classes.shape}; expected one class for each of "
                f"the {len(self._data.y)} points of data="
            )
        return classes

    def with_accuracies(
        self, metrics: Mapping[str, float], guesses: npt.NDArray[np.intp] | None
    ) -> dict[str, float]:
        """Return metrics with the accuracy in each group of the data, unless one has that name.

        Parameters
        ----------
        metrics : mapping of str to float
        guesses : ndarray of int, shape (n,), or None
            The predicted class of each point.
        """
        if guesses is None or self._data is None or self._data.groups is None:
            return dict(metrics)
        assert self.n_classes is not None
        labels = self._data.class_indices(self.n_classes, self._class_names, self.classes)
        found = self._data.accuracies(labels, guesses)
        return {**metrics, **{name: found[name] for name in found if name not in metrics}}

    @staticmethod
    def check_order(epoch: int, step: int | None, last: tuple[int, int | None] | None) -> None:
        """Raise for an epoch or step that lies before the last captured one.

        Parameters
        ----------
        epoch : int
        step : int or None
        last : tuple of (int, int or None), or None
            Epoch and step of the last capture.
        """
        for name, value in (("epoch", epoch), ("step", 0 if step is None else step)):
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise TypeError(f"{name}={value!r}: expected a whole number")
            if not 0 <= value < _LIMIT:
                raise ValueError(
                    f"{name}={value}: expected 0 (before training) or more, below 2**63"
                )
        if last is None:
            return
        last_epoch, last_step = last
        if epoch < last_epoch:
            raise ValueError(
                f"epoch={epoch} comes after epoch {last_epoch} was captured: epochs may not go "
                "backwards. For another run make another recorder"
            )
        if step is not None and last_step is not None and step < last_step:
            raise ValueError(f"step={step} comes after step {last_step} was captured")


def _require_same_order(names: Sequence[str] | None, classes: Sequence[Any] | None) -> None:
    """Raise if the class names are the labels of the columns, but in another order."""
    if names is None or classes is None:
        return
    labels = [str(label) for label in classes]
    if labels != list(names) and sorted(labels) == sorted(names):
        raise ValueError(
            f"class_names={list(names)!r}, but the output columns stand for {labels!r}, in this "
            "order: give the names in the order of the columns"
        )


_ASIDE = {
    OutputKind.PROBABILITIES: " (one sigmoid column counts as two)",
    OutputKind.VALUES: ", which one name is for",
}


_LIMIT = 2**63
"""Epochs and steps are stored as int64."""


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are single numbers, as floats.

    Examples
    --------
    >>> plain_metrics({"loss": np.float32(0.5), "batch": [1, 2], "note": "x"})
    {'loss': 0.5}
    """
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            number = to_numpy(value)
            if number.size == 1:
                plain[str(name)] = float(number.reshape(()))
        except (TypeError, ValueError):
            continue
    return plain


def check_names(names: Sequence[str] | None) -> list[str] | None:
    """Return class names as a list of str; raise a TypeError for what is no list."""
    if names is None:
        return None
    return [str(name) for name in check_list("class_names", names, "names, one a class")]


def check_classes(classes: Sequence[Any] | None) -> list[Any] | None:
    """Return the labels of classes as a list; raise a TypeError for what is none."""
    return None if classes is None else check_list("classes", classes, "labels, one a column")
