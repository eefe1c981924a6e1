"""The few exception and warning classes of trainviz.

Each exception also is the built-in class that a caller would expect
(``ValueError``, ``RuntimeError``), so that nobody has to import these to
catch them.
"""

from __future__ import annotations

__all__ = [
    "CaptureWarning",
    "CheckpointError",
    "EvaluationError",
    "EvaluationWarning",
    "PredictionError",
    "RecordingError",
    "ReplayWarning",
    "TrainvizError",
    "WriterError",
    "WriterWarning",
]


class TrainvizError(Exception):
    """The common base of every exception that trainviz defines.

    Examples
    --------
    >>> issubclass(PredictionError, TrainvizError), issubclass(PredictionError, ValueError)
    (True, True)
    """


class PredictionError(TrainvizError, ValueError):
    """A predict callable answered something that is no class probabilities."""


class EvaluationError(TrainvizError, RuntimeError):
    """A predict callable raised an exception while it was evaluated on a domain."""


class RecordingError(TrainvizError, ValueError):
    """A recording does not hold what was asked of it."""


class CheckpointError(TrainvizError, ValueError):
    """A checkpoint cannot be replayed: it is missing, damaged, out of place or of another model."""


class WriterError(TrainvizError, RuntimeError):
    """A film or picture could not be written."""


class WriterWarning(UserWarning):
    """A film was written otherwise than it is, to keep to what was asked of the file."""


class CaptureWarning(UserWarning):
    """A capture failed and was skipped, or is made otherwise than asked for; training went on."""


class ReplayWarning(CaptureWarning):
    """Checkpoints were skipped by a replay with ``on_error="skip"``.

    Attributes
    ----------
    skipped : list of tuple of (str, str)
        Path and reason of each.

    Examples
    --------
    >>> print(ReplayWarning([("epoch=3.ckpt", "there is no such file")]))
    1 checkpoint was skipped: epoch=3.ckpt: there is no such file
    """

    def __init__(self, skipped: list[tuple[str, str]]) -> None:
        self.skipped = list(skipped)
        plural = "checkpoint was" if len(skipped) == 1 else "checkpoints were"
        reasons = "; ".join(
            reason if path in reason else f"{path}: {reason}" for path, reason in skipped
        )
        super().__init__(f"{len(skipped)} {plural} skipped: {reasons}")


class EvaluationWarning(UserWarning):
    """A model cannot be evaluated adaptively, and is evaluated densely instead."""
