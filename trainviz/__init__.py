"""trainviz: watch a classifier learn.

During training, trainviz evaluates the model on a two-dimensional window of
its input space and keeps the class probability map of each chosen epoch.
Afterwards one renderer turns the maps into films and pictures.

The public names load on first use (PEP 562), so that ``import trainviz``
imports numpy at most: frameworks, matplotlib and moviepy take seconds.

Examples
--------
>>> import trainviz as tv
>>> domain = tv.Domain(xlim=(-3, 3), ylim=(-3, 3), points_per_axis=50)
>>> tv.evaluate(lambda X: X[:, :1] > 0, domain).shape
(2, 50, 50)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from trainviz.version import __version__

_HOMES = {
    "Animation": "rendering.animation",
    "CaptureWarning": "errors",
    "CheckpointError": "errors",
    "Comparison": "rendering.comparison",
    "Domain": "domain.domain",
    "Dynamics": "analysis.dynamics",
    "EvaluationError": "errors",
    "EvaluationWarning": "errors",
    "KerasRecorder": "adapters.keras.recorder",
    "LightGBMRecorder": "adapters.lightgbm",
    "Kymograph": "analysis.kymograph",
    "LightningRecorder": "adapters.lightning",
    "Mode": "modes",
    "Palette": "modes.palettes",
    "PredictionError": "errors",
    "Recorder": "capture.recorder",
    "Recording": "recordings.recording",
    "RecordingError": "errors",
    "ReplayWarning": "errors",
    "Schedule": "capture.schedule",
    "SklearnFitRecorder": "adapters.sklearn_callback",
    "SklearnRecorder": "adapters.sklearn",
    "SkorchRecorder": "adapters.skorch",
    "Snapshot": "recordings.snapshot",
    "StillDisplay": "rendering.display",
    "TorchRecorder": "adapters.torch.recorder",
    "TrainvizError": "errors",
    "TransformersRecorder": "adapters.transformers",
    "WriterError": "errors",
    "WriterWarning": "errors",
    "XGBoostRecorder": "adapters.xgboost",
    "animate": "rendering.animation",
    "compare": "rendering.comparison",
    "dynamics": "analysis.dynamics",
    "evaluate": "evaluation.evaluator",
    "kymograph": "analysis.kymograph",
    "log_to": "trackers.tracker_log",
    "make_map": "v1",
    "math": "rendering.figure.texts",
    "open_recording": "recordings.opening",
    "plot_maps": "v1",
    "record": "adapters.fitted",
    "record_stages": "adapters.stages",
    "register_mode": "modes",
    "replay": "capture.replay.replay",
    "reproducibility": "analysis.reproducibility",
    "watch": "adapters.watch",
}

_MODULES = {"modes"}

__all__ = [
    "Animation",
    "CaptureWarning",
    "CheckpointError",
    "Comparison",
    "Domain",
    "Dynamics",
    "EvaluationError",
    "EvaluationWarning",
    "KerasRecorder",
    "Kymograph",
    "LightGBMRecorder",
    "LightningRecorder",
    "Mode",
    "Palette",
    "PredictionError",
    "Recorder",
    "Recording",
    "RecordingError",
    "ReplayWarning",
    "Schedule",
    "SklearnFitRecorder",
    "SklearnRecorder",
    "SkorchRecorder",
    "Snapshot",
    "StillDisplay",
    "TorchRecorder",
    "TrainvizError",
    "TransformersRecorder",
    "WriterError",
    "WriterWarning",
    "XGBoostRecorder",
    "__version__",
    "animate",
    "compare",
    "dynamics",
    "evaluate",
    "kymograph",
    "log_to",
    "make_map",
    "math",
    "modes",
    "open_recording",
    "plot_maps",
    "record",
    "record_stages",
    "register_mode",
    "replay",
    "reproducibility",
    "watch",
]

if TYPE_CHECKING:
    from trainviz import modes
    from trainviz.adapters.fitted import record
    from trainviz.adapters.keras.recorder import KerasRecorder
    from trainviz.adapters.lightgbm import LightGBMRecorder
    from trainviz.adapters.lightning import LightningRecorder
    from trainviz.adapters.sklearn import SklearnRecorder
    from trainviz.adapters.sklearn_callback import SklearnFitRecorder
    from trainviz.adapters.skorch import SkorchRecorder
    from trainviz.adapters.stages import record_stages
    from trainviz.adapters.torch.recorder import TorchRecorder
    from trainviz.adapters.transformers import TransformersRecorder
    from trainviz.adapters.watch import watch
    from trainviz.adapters.xgboost import XGBoostRecorder
    from trainviz.analysis.dynamics import Dynamics, dynamics
    from trainviz.analysis.kymograph import Kymograph, kymograph
    from trainviz.analysis.reproducibility import reproducibility
    from trainviz.capture.recorder import Recorder
    from trainviz.capture.replay.replay import replay
    from trainviz.capture.schedule import Schedule
    from trainviz.domain.domain import Domain
    from trainviz.errors import (
        CaptureWarning,
        CheckpointError,
        EvaluationError,
        EvaluationWarning,
        PredictionError,
        RecordingError,
        ReplayWarning,
        TrainvizError,
        WriterError,
        WriterWarning,
    )
    from trainviz.evaluation.evaluator import evaluate
    from trainviz.modes import Mode, register_mode
    from trainviz.modes.palettes import Palette
    from trainviz.recordings.opening import open_recording
    from trainviz.recordings.recording import Recording
    from trainviz.recordings.snapshot import Snapshot
    from trainviz.rendering.animation import Animation, animate
    from trainviz.rendering.comparison import Comparison, compare
    from trainviz.rendering.display import StillDisplay
    from trainviz.rendering.figure.texts import math
    from trainviz.trackers.tracker_log import log_to
    from trainviz.v1 import make_map, plot_maps


if not TYPE_CHECKING:
    # A type checker that sees it takes any name for one of the package, even a misspelt one.
    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"trainviz.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'trainviz' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"trainviz.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
