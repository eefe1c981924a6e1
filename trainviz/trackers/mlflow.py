"""MLflow: stills as images with steps, film and page as artifacts."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Hashable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from trainviz.trackers.tracker import FilmFormat

__all__ = ["MLflow"]


class MLflow:
    """A run of MLflow.

    Parameters
    ----------
    client : mlflow.MlflowClient
    run_id : str
    """

    name = "MLflow"
    film_formats: tuple[FilmFormat, ...] = ("gif", "mp4")

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self.place: Hashable = (self.name, run_id)
        # Between two attempts to reach a server that is down, MLflow would draw from Python's
        # random stream, and training would no longer be what it is without the tracker.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")

    def still(self, tag: str, png: bytes, step: int, caption: str) -> None:
        """Log an image."""
        from PIL import Image

        image = Image.open(BytesIO(png))
        self._client.log_image(self._run_id, image, key=_allowed(tag), step=step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log a point of each curve, all in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(_allowed(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=points)

    def film(self, tag: str, path: Path, step: int) -> None:
        """Log the film as an artifact, which the page of MLflow plays."""
        self._client.log_artifact(self._run_id, str(path), artifact_path=_folder(tag))

    def page(self, tag: str, path: Path, step: int) -> None:
        """Log the page as an artifact, which the page of MLflow shows."""
        self._client.log_artifact(self._run_id, str(path), artifact_path=_folder(tag))

    def close(self) -> None:
        """Do nothing: who has started the run ends it."""


def _folder(tag: str) -> str:
    return _allowed(tag.partition("/")[0])


def _allowed(name: str) -> str:
    """Return a name without the characters that MLflow takes neither for images nor metrics."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)
