"""Which tracker a target of ``log_to`` is."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import AbstractContextManager
from typing import Any

from trainviz._common.providers import install_hint
from trainviz.trackers.mlflow import MLflow
from trainviz.trackers.tensorboard import TensorBoard, TensorBoardWriter
from trainviz.trackers.tracker import Tracker
from trainviz.trackers.weights_and_biases import WeightsAndBiases

__all__ = ["LOGGERS", "new_run", "trackers_of"]

LOGGERS = "TensorBoard, Weights & Biases or MLflow"

ACCEPTED = (
    "a folder for TensorBoard or its SummaryWriter (torch, tensorboardX); the run that "
    "wandb.init() returns, or wandb; the run that mlflow.start_run() returns, (MlflowClient, "
    "run_id), or mlflow; a logger of Lightning for one of these, or the Trainer"
)

_LIGHTNING = ("lightning.pytorch", "pytorch_lightning")


def trackers_of(target: Any) -> list[Tracker]:
    """Return the trackers that a target of :func:`trainviz.log_to` stands for.

    Parameters
    ----------
    target : object

    Returns
    -------
    list of Tracker
        More than one, or none, for a Trainer: one for each of its loggers that is known.

    Raises
    ------
    TypeError
        If it is none that is known; the message lists those.
    ImportError
        If a package that it needs is not installed.

    Examples
    --------
    >>> trackers_of(7)
    Traceback (most recent call last):
        ...
    TypeError: target=7: expected a folder for TensorBoard or its SummaryWriter ...
    """
    if _is_a(target, "Trainer", *_LIGHTNING):
        found = (_tracker_of(logger) for logger in target.loggers if target.is_global_zero)
        return [tracker for tracker in found if tracker is not None]
    tracker = _tracker_of(target)
    if tracker is None:
        raise TypeError(f"target={target!r}: expected {ACCEPTED}")
    return [tracker]


def _tracker_of(target: Any) -> Tracker | None:
    if isinstance(target, str) and target in ("wandb", "mlflow"):
        return _active(target)
    if isinstance(target, (str, os.PathLike)):
        return TensorBoard(target)
    for package in ("wandb", "mlflow"):
        if target is not None and target is sys.modules.get(package):
            return _active(package)
    if (
        isinstance(target, tuple)
        and len(target) == 2
        and _is_a(target[0], "MlflowClient", "mlflow")
    ):
        return MLflow(*target)
    if _is_a(target, "SummaryWriter", "torch.utils.tensorboard", "tensorboardX"):
        return TensorBoardWriter(target)
    if _is_a(target, "Run", "wandb"):
        return WeightsAndBiases(target)
    if _is_a(target, "Run", "mlflow.entities"):
        return MLflow(_mlflow_client(), target.info.run_id)
    loggers = [f"{package}.loggers" for package in _LIGHTNING]
    if _is_a(target, "TensorBoardLogger", *loggers):
        return TensorBoardWriter(target.experiment)
    if _is_a(target, "WandbLogger", *loggers):
        # The metric that Lightning draws all curves over. Each row of its own begins at it.
        return WeightsAndBiases(target.experiment, clock="trainer/global_step", joins=False)
    if _is_a(target, "MLFlowLogger", *loggers):
        return MLflow(target.experiment, target.run_id)
    return target if isinstance(target, Tracker) else None


def _is_a(value: Any, name: str, *modules: str) -> bool:
    """Return whether it is an instance of a class that one of the modules has.

    A module that is not imported cannot have made it, and is not imported for this.
    """
    for module in modules:
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and isinstance(value, found):
            return True
    return False


def new_run(package: str) -> AbstractContextManager[Any]:
    """Begin a run of ``"wandb"`` or ``"mlflow"``, which ends with the block.

    Raises
    ------
    ImportError
        If the package is not installed.
    """
    module = _imported(package)
    run: AbstractContextManager[Any] = (
        module.init(project="trainviz") if package == "wandb" else module.start_run()
    )
    return run


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        names = {"wandb": "Weights & Biases", "mlflow": "MLflow"}
        raise ImportError(install_hint(names[package], "logging to it")) from error


def _active(package: str) -> Tracker:
    """Return the run of a package that is active in this process."""
    module = _imported(package)
    if package == "wandb":
        if module.run is None:
            raise ValueError(
                "target: no run of Weights & Biases is active; call wandb.init() first"
            )
        return WeightsAndBiases(module.run)
    run = module.active_run()
    if run is None:
        raise ValueError("target: no run of MLflow is active; call mlflow.start_run() first")
    return MLflow(_mlflow_client(), run.info.run_id)


def _mlflow_client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient()
