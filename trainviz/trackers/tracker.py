"""What an experiment tracker takes of a recording."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

__all__ = ["FilmFormat", "Tracker"]

FilmFormat = Literal["gif", "mp4"]


@runtime_checkable
class Tracker(Protocol):
    """A place in an experiment tracker: a run that pictures and curves are logged to.

    All methods are called on one thread that is not the one that trains, in the
    order of training. They may be slow, hang or raise: training does not notice.

    Attributes
    ----------
    name : str
        For messages, such as ``"TensorBoard"``.
    place : hashable
        Equal for two trackers that log to the same run.
    film_formats : tuple of {"gif", "mp4"}
        In which it shows films, the best one first.
    """

    name: str
    place: Hashable
    film_formats: tuple[FilmFormat, ...]

    def still(self, tag: str, png: bytes, step: int, caption: str) -> None:
        """Log a picture, encoded as PNG."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log a point of each curve."""

    def film(self, tag: str, path: Path, step: int) -> None:
        """Log a film, whose file is deleted afterwards."""

    def page(self, tag: str, path: Path, step: int) -> None:
        """Log an interactive page, whose file is deleted afterwards."""

    def close(self) -> None:
        """Write what is not written yet; whatever the user has opened stays open."""
