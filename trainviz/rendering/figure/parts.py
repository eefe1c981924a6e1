"""What a scene is drawn with: its options, its colours, and the figure's parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

__all__ = ["Layout", "SceneOptions", "Theme"]


@dataclass(frozen=True)
class Theme:
    """The few colours that are not data."""

    background: str
    foreground: str
    muted: str
    accent: str
    point_edge: str

    @classmethod
    def of(cls, dark: bool) -> Theme:
        """Return the dark or the light theme."""
        if dark:
            return cls("#101216", "#e8e8e8", "#9aa0a8", "#ff9d76", "#101216")
        return cls("#ffffff", "#222222", "#6b7077", "#c0392b", "#ffffff")


class SceneOptions(TypedDict, total=False):
    """The keyword arguments of :func:`trainviz.animate` that concern the scene.

    Attributes
    ----------
    title, subtitle : str
    dark : bool
    figsize : tuple of float
        Inches, ``(width, height)``.
    dpi : float
    axes : bool
        Ticks and axis labels.
    xlabel, ylabel : str
    aspect : {"equal", "auto"} or None
        None: equal where the window is less than twice as long as wide.
    counter : bool
        The epoch, top right.
    legend : bool
        The classes, or the colour bar.
    points : bool
        The recording's data over the map, fainter the farther from its plane.
    anchors : bool
        The samples that :meth:`Domain.through` was given, images as thumbnails.
    metrics : bool or sequence of str
        The strip of metric curves: all (at most two kinds), none, or these.
    margin : float
        Inches around everything.
    """

    title: str | None
    subtitle: str | None
    dark: bool
    figsize: tuple[float, float] | None
    dpi: float
    axes: bool
    xlabel: str | None
    ylabel: str | None
    aspect: Literal["equal", "auto"] | None
    counter: bool
    legend: bool
    points: bool
    anchors: bool
    metrics: bool | Sequence[str]
    margin: float


@dataclass
class Layout:
    """A figure whose axes have their final places, in whole pixels.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes
        The map's.
    box : tuple of int
        ``(left, top, width, height)`` of the map in pixels from the top left.
    counter : matplotlib.text.Text
    margin : float
        Inches around everything.
    strip : matplotlib.axes.Axes or None
    curves : list of matplotlib.lines.Line2D
    """

    figure: Any
    ax: Any
    counter: Any
    theme: Theme
    marker_scale: float = 1.0
    margin: float = 0.0
    strip: Any = None
    bar: Any = None
    curves: list[Any] = field(default_factory=list)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    strip_box: tuple[int, int, int, int] = (0, 0, 0, 0)
