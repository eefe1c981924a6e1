"""Plausibility of what a recorder is told of its model: warnings where it is hardly meant so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.terminal import warn
from trainviz.errors import CaptureWarning
from trainviz.recordings.recording import Recording

__all__ = ["doubt_logits", "doubt_order"]


def doubt_logits(answers: npt.NDArray[Any] | None) -> None:
    """Warn if what is declared as logits looks like probabilities.

    Parameters
    ----------
    answers : ndarray, shape (N, C), or None
        What the model returns at a few points, where that is known.
    """
    if answers is None or answers.ndim != 2 or answers.shape[1] < 2:
        return
    if (answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        warn(
            "the model's answers are not negative and sum to 1 at each point, as probabilities "
            'do, but output="logits" applies a softmax to them, which makes the map paler than '
            'the model is sure: say output="probabilities"',
            CaptureWarning,
            stacklevel=4,
        )


def doubt_order(recording: Recording) -> bool:
    """Warn if the labels of the data fit far better in another order of the columns.

    Parameters
    ----------
    recording : Recording
        Its last snapshot tells what the model predicts.

    Returns
    -------
    bool
        Whether it has warned.
    """
    if recording.data is None or not len(recording):
        return False
    labels, guesses = recording.data_labels, recording.data_predictions(len(recording) - 1)
    if labels is None or guesses is None:
        return False
    order = recording.data.better_order(labels, guesses, recording.n_classes)
    if order is None:
        return False
    names, own = recording.class_names, float((labels == guesses).mean())
    other = float((np.array(order)[labels] == guesses).mean())
    listed = [names[order.index(column)] for column in range(len(order))]
    warn(
        f"the model predicts {own:.3g} of data= as labelled, with the output columns "
        f"{names[:8]}; in the order {listed[:8]} it would be {other:.3g}: is that the order of "
        "the columns? Then say so with classes=[...]",
        CaptureWarning,
        stacklevel=4,
    )
    return True
