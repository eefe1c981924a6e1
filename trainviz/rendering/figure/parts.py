"""The parts of a figure, and the few colours that are not data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trainviz.rendering.figure.styles import Style, user_set

__all__ = ["Layout", "Theme", "new_figure", "prefers_dark"]

_MOST_PIXELS_A_SIDE, _MOST_PIXELS = 2**16, 2**29
"""Agg draws no longer side, and a picture of this area takes 2 GB."""


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
    def of(cls, dark: bool | None = None) -> Theme:
        """Return the dark or the light theme, with the colours of the user's settings.

        By default it is dark if these are.
        """
        dark = prefers_dark() if dark is None else dark
        theme = cls("#ffffff", "#222222", "#6b7077", "#c0392b", "#ffffff")
        if dark:
            theme = cls("#101216", "#e8e8e8", "#9aa0a8", "#ff9d76", "#101216", is_dark=True)
        if prefers_dark() != dark:
            return theme
        ground = _user_color("figure.facecolor")
        if ground is not None:
            theme = replace(theme, background=ground, point_edge=ground)

        def chosen(setting: str, default: str) -> str:
            color = _user_color(setting)
            # Style sheets have white axes around grey maps, which are not to be seen on white.
            return color if color and _are_apart(color, theme.background) else default

        return replace(
            theme,
            foreground=chosen("text.color", theme.foreground),
            muted=chosen("axes.edgecolor", theme.muted),
        )


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
    marker_scale : float
        Of the area of points.
    style : Style
        The sizes of type and lines.
    margin : float
        Inches around everything.
    sized_by_width : bool
        Whether the figure has the width of a column and the height that its maps need.
    strip : matplotlib.axes.Axes or None
    legend : tuple
        The handles and labels of the legend, and its look.
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
    style: Style = field(default_factory=Style)
    margin: float = 0.0
    sized_by_width: bool = False
    strip: Any = None
    bar: Any = None
    legend: tuple[list[Any], list[str], dict[str, Any]] = field(
        default_factory=lambda: ([], [], {})
    )
    curves: list[Any] = field(default_factory=list)
    moments: dict[float, str] = field(default_factory=dict)
    names: list[Any] = field(default_factory=list)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    strip_box: tuple[int, int, int, int] = (0, 0, 0, 0)


def prefers_dark() -> bool:
    """Tell whether the user's settings of matplotlib, such as a style sheet, are dark."""
    from matplotlib.colors import to_rgb

    ground = _user_color("figure.facecolor")
    return ground is not None and sum(to_rgb(ground)) < 1.5


def _are_apart(color: str, ground: str) -> bool:
    """Tell whether one colour can be seen on another."""
    from matplotlib.colors import to_rgb

    weights = (0.2126, 0.7152, 0.0722)
    first, second = (
        sum(weight * part**2.2 for weight, part in zip(weights, to_rgb(each), strict=True))
        for each in (color, ground)
    )
    return bool((max(first, second) + 0.05) / (min(first, second) + 0.05) >= 1.5)


def _user_color(name: str) -> str | None:
    from matplotlib.colors import to_hex, to_rgba

    color = user_set(name)
    if color is None or color == "auto" or to_rgba(color)[3] == 0:
        return None
    return to_hex(color)


def new_figure(
    size: tuple[float, float],
    dpi: float,
    theme: Theme,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> Any:
    """Return an empty figure of a size in inches, that nothing shows before it is finished.

    Raises
    ------
    ValueError
        If it would have more pixels than can be drawn.
    """
    width, height = (float(side) * float(dpi) for side in size)
    if not (max(width, height) < _MOST_PIXELS_A_SIDE and width * height <= _MOST_PIXELS):
        raise ValueError(
            f"figsize=({size[0]:g}, {size[1]:g}), dpi={dpi:g}: a picture of {width:.3g} x "
            f"{height:.3g} pixels is too large; expected less than {_MOST_PIXELS_A_SIDE} a side, "
            f"{_MOST_PIXELS:.2g} in all: make figsize= or dpi= smaller"
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from trainviz.rendering.figure.shown import ShownFigure

    figure: Any = ShownFigure(size, dpi=dpi, facecolor=theme.background, layout=layout)
    FigureCanvasAgg(figure)
    return figure
