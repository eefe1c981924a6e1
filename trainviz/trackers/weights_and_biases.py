"""Weights & Biases: stills with captions, the film as a video, the page as it is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from trainviz.trackers.tracker import FilmFormat

__all__ = ["WeightsAndBiases"]


class WeightsAndBiases:
    """A run of Weights & Biases.

    Parameters
    ----------
    run : wandb.Run
    clock : str
        The name of a metric that holds the step. The run's own step, which must only
        rise, is the user's: a curve of ours is drawn over this metric.
    """

    name = "Weights & Biases"
    film_formats: tuple[FilmFormat, ...] = ("mp4", "gif")

    def __init__(self, run: Any, clock: str = "trainviz/step") -> None:
        self._run = run
        self._clock = clock
        self._defined: set[str] = set()
        self.place: Hashable = (self.name, run.id)

    def still(self, tag: str, png: bytes, step: int, caption: str) -> None:
        """Log a picture with its caption."""
        import wandb
        from PIL import Image

        self._log({tag: wandb.Image(Image.open(BytesIO(png)), caption=caption)}, step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log a point of each curve."""
        self._log(dict(values), step)

    def film(self, tag: str, path: Path, step: int) -> None:
        """Log a video; without ``format`` W&B would encode it again."""
        import wandb

        self._log({tag: wandb.Video(str(path), format=path.suffix[1:])}, step)

    def page(self, tag: str, path: Path, step: int) -> None:
        """Log the page, without the style sheet that W&B would link to."""
        import wandb

        text = path.read_text(encoding="utf-8")
        self._log({tag: wandb.Html(text, inject=False)}, step)

    def close(self) -> None:
        """Do nothing: who has started the run finishes it."""

    def _log(self, values: dict[str, Any], step: int) -> None:
        for name in values.keys() - self._defined:
            self._run.define_metric(name, step_metric=self._clock)
            self._defined.add(name)
        self._run.log({**values, self._clock: step})
