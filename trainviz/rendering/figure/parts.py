"""The parts of a figure, and the few colours that are not data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Layout", "Theme", "new_figure", "own_style"]


@dataclass(frozen=True)
class Theme:
    """The few colours that are not data."""

    background: str
    foreground: str
    muted: str
    accent: str
    point_edge: str
    is_dark: bool = False

    @classmethod
    def of(cls, dark: bool) -> Theme:
        """Return the dark or the light theme."""
        if dark:
            return cls("#101216", "#e8e8e8", "#9aa0a8", "#ff9d76", "#101216", is_dark=True)
        return cls("#ffffff", "#222222", "#6b7077", "#c0392b", "#ffffff")


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
    moments : dict of float to str
        What is marked on the strip.
    names : list of matplotlib.text.Text
        Of the curves, beside these.
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
    moments: dict[float, str] = field(default_factory=dict)
    names: list[Any] = field(default_factory=list)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    strip_box: tuple[int, int, int, int] = (0, 0, 0, 0)


@contextmanager
def own_style() -> Iterator[None]:
    """Draw as by Matplotlib's defaults, whatever style sheet and settings the user chose.

    Only the font families are kept, since a paper has a typeface of its own.
    """
    import matplotlib.style

    fonts = ("family", "serif", "sans-serif", "cursive", "fantasy", "monospace")
    kept = {name: matplotlib.rcParams[name] for name in (f"font.{font}" for font in fonts)}
    with matplotlib.style.context(["default", kept]):
        yield


def new_figure(
    size: tuple[float, float],
    dpi: float,
    theme: Theme,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> Any:
    """Return an empty figure of a size in inches, that nothing shows before it is finished."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from trainviz.rendering.figure.shown import ShownFigure

    figure: Any = ShownFigure(size, dpi=dpi, facecolor=theme.background, layout=layout)
    FigureCanvasAgg(figure)
    return figure
