"""What is looked up by name and imported only when it is used: one table for the whole package.

A room never imports a room above it, nor a framework. Where it hands work on to
one all the same (a recording shows itself in Jupyter, a checkpoint is read by its
framework), it asks this table by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["PROVIDERS", "install_hint", "provided"]

PROVIDERS: dict[str, str] = {
    "card": "trainviz.rendering.html_card:recording_card",
    "film.mp4": "trainviz.rendering.writers.video:write_mp4",
    "film.webm": "trainviz.rendering.writers.video:write_webm",
    "film.gif": "trainviz.rendering.writers.gif:write_gif",
    "film.apng": "trainviz.rendering.writers.apng:write_apng",
    "film.webp": "trainviz.rendering.writers.webp:write_webp",
    "film.html": "trainviz.rendering.writers.html:write_html",
    "kernels.rendering": "trainviz.rendering.kernels:KERNELS",
    "kernels.modes": "trainviz.modes.kernels:KERNELS",
    "kernels.evaluation": "trainviz.evaluation.kernels:KERNELS",
    "checkpoints.torch": "trainviz.adapters.torch.checkpoints:TorchCheckpoints",
    "checkpoints.keras": "trainviz.adapters.keras.checkpoints:KerasCheckpoints",
    "predictor.torch": "trainviz.adapters.torch.predictor:TorchPredictor",
    "predictor.keras": "trainviz.adapters.keras.recorder:keras_predictor",
    "predictor.sklearn": "trainviz.adapters.sklearn:SklearnPredictor",
}
"""Name of what is wanted -> ``"module:attribute"``."""

_EXTRAS = {
    "PyTorch": "torch",
    "Lightning": "lightning",
    "Keras 3": "keras",
    "scikit-learn": "sklearn",
    "Zarr": "zarr",
    "fsspec": "zarr",
    "xarray": "xarray",
    "Dask": "dask",
}
"""What somebody may have to install -> the extra that brings it."""


def provided(name: str) -> Any:
    """Import what a name of :data:`PROVIDERS` stands for.

    Parameters
    ----------
    name : str

    Raises
    ------
    KeyError
        If the table has no such name.
    ImportError
        If what it needs is not installed; the module says how to install it.

    Examples
    --------
    >>> provided("film.gif").__name__
    'write_gif'
    """
    module, attribute = PROVIDERS[name].split(":")
    return getattr(import_module(module), attribute)


def install_hint(needed: str, by: str) -> str:
    """Say how to install what something needs.

    Parameters
    ----------
    needed : str
        As people call it, e.g. ``"PyTorch"``.
    by : str
        What needs it.

    Examples
    --------
    >>> install_hint("Zarr", "recordings on disk")
    'recordings on disk needs Zarr, which is not installed: pip install "trainviz[zarr]"'
    """
    extra = _EXTRAS[needed]
    return f'{by} needs {needed}, which is not installed: pip install "trainviz[{extra}]"'
