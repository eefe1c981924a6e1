"""The few exception and warning classes of trainviz.

Each exception also is the built-in class that a caller would expect
(``ValueError``, ``RuntimeError``), so that nobody has to import these to
catch them.
"""

from __future__ import annotations

__all__ = [
    "CaptureWarning",
    "EvaluationError",
    "EvaluationWarning",
    "PredictionError",
    "RecordingError",
    "TrainvizError",
    "WriterError",
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


class WriterError(TrainvizError, RuntimeError):
    """A film or picture could not be written."""


class CaptureWarning(UserWarning):
    """A capture failed and was skipped, or is made otherwise than asked for; training went on."""


class EvaluationWarning(UserWarning):
    """A model cannot be evaluated adaptively, and is evaluated densely instead."""
