"""A table of objects that are looked up by name and imported only when they are used.

No package imports one of a higher layer, or a framework. Where it needs one
nevertheless (a recording shows itself in Jupyter, a checkpoint is read by its
framework), it looks it up in this table.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["PROVIDERS", "install_hint", "provided"]

PROVIDERS: dict[str, str] = {
    "card": "trainviz.rendering.html_card:recording_card",
    "page": "trainviz.player.page:save_page",
    "server": "trainviz.player.live_process:start_server",
    "widget": "trainviz.player.notebook:widget_of",
    "notebook": "trainviz.player.notebook:mimebundle",
    "picture": "trainviz.player.notebook:picture_of",
    "log": "trainviz.trackers.tracker_log:log_fit",
    "picture.last": "trainviz.player.notebook:picture_of_last",
    "film.mp4": "trainviz.rendering.writers.video:write_mp4",
    "film.webm": "trainviz.rendering.writers.video:write_webm",
    "film.gif": "trainviz.rendering.writers.gif:write_gif",
    "film.apng": "trainviz.rendering.writers.apng:write_apng",
    "film.webp": "trainviz.rendering.writers.webp:write_webp",
    "film.html": "trainviz.rendering.writers.html:write_html",
    "still.pgf": "trainviz.rendering.figure.latex:save_pgf",
    "kernels.rendering": "trainviz.rendering.kernels:KERNELS",
    "kernels.modes": "trainviz.modes.kernels:KERNELS",
    "kernels.evaluation": "trainviz.evaluation.kernels:KERNELS",
    "kernels.leaf_checks": "trainviz.evaluation.leaf_checks:KERNELS",
    "kernels.subdivision": "trainviz.evaluation.subdivision:KERNELS",
    "kernels.recordings": "trainviz.recordings.kernels:KERNELS",
    "checkpoints.torch": "trainviz.adapters.torch.checkpoints:TorchCheckpoints",
    "checkpoints.keras": "trainviz.adapters.keras.checkpoints:KerasCheckpoints",
    "predictor.torch": "trainviz.adapters.torch.predictor:TorchPredictor",
    "predictor.keras": "trainviz.adapters.keras.recorder:keras_predictor",
    "predictor.sklearn": "trainviz.adapters.sklearn:SklearnPredictor",
}
"""Name -> ``"module:attribute"``."""

_EXTRAS = {
    "PyTorch": "torch",
    "Lightning": "lightning",
    "Keras 3": "keras",
    "scikit-learn": "sklearn",
    "Zarr": "zarr",
    "fsspec": "zarr",
    "xarray": "xarray",
    "Dask": "dask",
    "Starlette": "live",
    "anywidget": "notebook",
    "TensorBoard": "tensorboard",
    "Weights & Biases": "wandb",
    "MLflow": "mlflow",
    "transformers": "transformers",
    "XGBoost": "xgboost",
    "LightGBM": "lightgbm",
    "skorch": "skorch",
}
"""Optional dependency -> the extra that installs it."""


def provided(name: str) -> Any:
    """Import and return the object that a name in :data:`PROVIDERS` stands for.

    Parameters
    ----------
    name : str

    Raises
    ------
    KeyError
        If the table has no such name.
    ImportError
        If a package that it needs is not installed; the message says how to install it.

    Examples
    --------
    >>> provided("film.gif").__name__
    'write_gif'
    """
    module, attribute = PROVIDERS[name].split(":")
    return getattr(import_module(module), attribute)


def install_hint(needed: str, by: str) -> str:
    """Return an error message that says how to install an optional dependency.

    Parameters
    ----------
    needed : str
        The name of the dependency, e.g. ``"PyTorch"``.
    by : str
        The feature that needs it.

    Examples
    --------
    >>> install_hint("Zarr", "recordings on disk")
    'recordings on disk needs Zarr, which is not installed: pip install "trainviz[zarr]"'
    """
    extra = _EXTRAS[needed]
    return f'{by} needs {needed}, which is not installed: pip install "trainviz[{extra}]"'
