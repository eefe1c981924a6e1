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

    Its history is a table whose rows have steps that only rise; what is logged to an
    earlier step is lost. So that nothing of the user's is, what is logged here joins
    the row that the run is at and begins none. If that row has values of another moment
    already, they wait for the end, where they get rows of their own. All of them
    have a clock of their own, which curves are drawn over.

    Parameters
    ----------
    run : wandb.Run
    clock : str
        The name of the metric that holds the step.
    joins : bool, default True
        Whether to join the user's rows; False begins a row each time.
    """

    name = "Weights & Biases"
    film_formats: tuple[FilmFormat, ...] = ("mp4", "gif")

    def __init__(self, run: Any, clock: str = "trainviz/step", *, joins: bool = True) -> None:
        self._run = run
        self._clock = clock
        self._joins = joins
        self._joined: tuple[int, int] | None = None
        self._waiting: list[dict[str, Any]] = []
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
        """Write the rows that wait; who has started the run finishes it."""
        if self._waiting:
            # Otherwise the first of them would join the row that the run is at.
            self._run.log({}, commit=True)
        for row in self._waiting:
            self._run.log(row, commit=True)
        self._waiting = []

    def _log(self, values: dict[str, Any], step: int) -> None:
        for name in values.keys() - self._defined:
            self._run.define_metric(name, step_metric=self._clock)
            self._defined.add(name)
        values[self._clock] = step
        if not self._joins:
            self._run.log(values, commit=True)
        elif self._waiting and self._waiting[-1][self._clock] == step:
            self._waiting[-1].update(values)
        elif self._may_join(step):
            self._run.log(values, commit=False)
        else:
            self._waiting.append(values)

    def _may_join(self, step: int) -> bool:
        """Return whether the row that the run is at has no values of another moment."""
        row = self._run.step
        if self._joined is not None and self._joined[0] == row and self._joined[1] != step:
            return False
        self._joined = row, step
        return True
