"""Presets for a paper, slides, a poster and a notebook: sizes of type, lines, points and figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

__all__ = [
    "STYLES",
    "Column",
    "Style",
    "StyleName",
    "check_style",
    "find_style",
    "user_set",
    "user_style",
]

StyleName = Literal["paper", "slides", "poster", "notebook", "minimal"]
Column = Literal["single", "double"]

_LEAST_SIZE = 6.0
"""Points; smaller type cannot be read in print."""

_COMPACT_INCHES = 4.5
"""In a narrower figure without a preset, type, lines and points follow its width."""


@dataclass(frozen=True)
class Style:
    """The sizes of what stands around a map: type in points, lines in points.

    Attributes
    ----------
    name : str
        Empty without a preset.
    single, double : float
        Inches: the width of a figure by ``column``.
    dpi : float
    title, subtitle, counter, label, tick, legend, panel : float
        Sizes of type; ``panel`` is that of the titles of small maps.
    weight : str
        Of the title.
    curve, frame : float
        Widths of the lines of curves, and of axes and ticks.
    marks : float
        The area of points, relative to that in a figure 6 inches wide.
    margin : float
        Inches around everything.
    tallest : float
        Inches; a map that would make a figure higher is smaller instead.
    axes, metrics, counted : bool
        Whether ticks and labels, the strip of curves, and the counter are drawn by default.
    """

    name: str = ""
    single: float = 8.0
    double: float = 8.0
    dpi: float = 100.0
    title: float = 14.0
    subtitle: float = 11.0
    counter: float = 12.0
    label: float = 10.0
    tick: float = 10.0
    legend: float = 10.0
    panel: float = 11.0
    weight: str = "bold"
    curve: float = 1.6
    frame: float = 0.8
    marks: float = 1.0
    margin: float = 0.1
    tallest: float = math.inf
    axes: bool = True
    metrics: bool = True
    counted: bool = True

    @property
    def compact(self) -> bool:
        """Whether a legend or a colour bar at the right may take too much of the map."""
        return bool(self.name)

    @property
    def most_ticks(self) -> int:
        """The most intervals between ticks: large numbers take the room of a small map."""
        return 5 if self.name else 9

    def width(self, column: Column | None, default: Column = "single") -> float:
        """Return the inches of a figure's width."""
        return self.single if (column or default) == "single" else self.double

    def marker_scale(self, width: float) -> float:
        """Return the scale of the points' area on a map, or in a figure, of so many inches."""
        return self.marks * min(max(width / 6, 0.25), 4.0)

    def scaled(self, factor: float, least: float = 0.0) -> Style:
        """Return the style with larger or smaller type and lines, but no type under ``least``."""
        type_sizes = {name: max(min(getattr(self, name), least), getattr(self, name) * factor)
                      for name in _TYPE}  # fmt: skip
        lines = {name: getattr(self, name) * min(factor, 1.5) for name in ("curve", "frame")}
        return replace(self, **type_sizes, **lines)

    def dress(self, ax: Any) -> None:
        """Give axes, and their ticks and labels, the sizes of the style."""
        for spine in ax.spines.values():
            spine.set_linewidth(self.frame)
        ticks = {"labelsize": self.tick}
        if self.name:
            ticks.update(length=0.35 * self.tick, width=self.frame, pad=0.3 * self.tick)
        ax.tick_params(**ticks)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_fontsize(self.label)
            if self.name:
                axis.labelpad = 0.3 * self.label


_TYPE = ("title", "subtitle", "counter", "label", "tick", "legend", "panel")

STYLES: Mapping[str, Style] = {
    # A column and the text's width of most journals and conferences.
    "paper": Style(
        "paper", 3.25, 6.75, 300, title=8, subtitle=7, counter=7, label=7.5, tick=6.5, legend=7,
        panel=7.5, curve=1.0, frame=0.5, marks=0.9, margin=0.035, metrics=False,
    ),
    # Half of a slide of 13.33 by 7.5 inches, and a whole one.
    "slides": Style(
        "slides", 6.0, 12.0, 150, title=22, subtitle=17, counter=18, label=17, tick=15, legend=16,
        panel=17, curve=2.6, frame=1.2, marks=1.6, margin=0.1, tallest=7.5, metrics=False,
    ),
    "poster": Style(
        "poster", 11.0, 23.0, 150, title=36, subtitle=28, counter=28, label=28, tick=24, legend=26,
        panel=28, curve=4.0, frame=1.8, marks=2.4, margin=0.15, metrics=False,
    ),
    "notebook": Style(
        "notebook", 6.5, 10.0, 100, title=13, subtitle=10, counter=11, label=10, tick=9, legend=9,
        panel=10, curve=1.5, frame=0.8, marks=1.0, margin=0.08,
    ),
    "minimal": Style(
        "minimal", 3.25, 6.75, 300, title=8, subtitle=7, counter=7, label=7.5, tick=6.5, legend=7,
        panel=7.5, weight="normal", curve=1.0, frame=0.5, marks=0.9, margin=0.035, axes=False,
        metrics=False, counted=False,
    ),
}  # fmt: skip


def check_style(style: Any, column: Any) -> None:
    """Refuse a preset or a column that there is not."""
    if style is not None and not (isinstance(style, str) and style in STYLES):
        raise ValueError(f"style={style!r}: expected {_listed(STYLES)}, or None")
    if column is not None and column not in get_args(Column):
        raise ValueError(f"column={column!r}: expected {_listed(get_args(Column))}, or None")


def find_style(
    style: StyleName | None, column: Column | None = None, width: float | None = None
) -> Style:
    """Return a preset, with what the user's settings of matplotlib set instead.

    Parameters
    ----------
    style : str, optional
        Default: that of a paper if there is a ``column``; else type as large as in a
        figure of 8 inches, but smaller in a figure that is narrower than 4.5 inches.
    column : {"single", "double"}, optional
    width : float, optional
        Inches, of a figure of given size.
    """
    name = style or ("paper" if column else None)
    found = Style() if name is None else STYLES[name]
    if name is None and width is not None and width < _COMPACT_INCHES:
        # Between a column of a paper and a small figure on a screen.
        found = replace(STYLES["paper"], name="narrow", dpi=Style.dpi)
        found = found.scaled(max(1.0, width / found.single), _LEAST_SIZE)
        return _honoured(found)
    if name is not None and width is not None:
        # A wider figure than a column's will be printed in that size, or smaller.
        found = found.scaled(min(max(width / found.width(column), 0.8), 1.25) ** 0.5, _LEAST_SIZE)
    return _honoured(found)


@contextmanager
def user_style() -> Iterator[None]:
    """Draw with what the user's settings of matplotlib say of type, lines and colours.

    All else is as by matplotlib's defaults: grid lines would lie over maps, and other places of
    axes, ticks and titles leave no room where the layout expects some.
    """
    import matplotlib.style

    kept = {
        name: value for name, value in matplotlib.rcParams.items()
        if name in _HONOURED or name.startswith(_HONOURED_KINDS)
    }  # fmt: skip
    with matplotlib.style.context(["default", kept]):
        yield


def user_set(name: str) -> Any:
    """Return what a style sheet, a matplotlibrc or ``rcParams`` sets; None for the default."""
    from matplotlib import rcParams, rcParamsDefault

    return rcParams[name] if rcParams[name] != rcParamsDefault[name] else None


def _honoured(style: Style) -> Style:
    base = user_set("font.size")
    if base is not None:
        style = style.scaled(float(base) / style.label)
    sizes = {
        field: _points(user_set(name))
        for field, name in _SETTINGS.items()
        if user_set(name) is not None
    }
    return replace(style, **sizes)


_SETTINGS = {
    "title": "figure.titlesize", "panel": "axes.titlesize", "subtitle": "axes.titlesize",
    "label": "axes.labelsize", "tick": "xtick.labelsize", "legend": "legend.fontsize",
    "curve": "lines.linewidth", "frame": "axes.linewidth", "weight": "figure.titleweight",
}  # fmt: skip


_HONOURED = {
    *_SETTINGS.values(), "figure.facecolor", "text.color", "axes.edgecolor", "axes.unicode_minus",
    "text.usetex", "text.latex.preamble",
}  # fmt: skip
_HONOURED_KINDS = ("font.", "mathtext.", "pgf.")


def _points(size: Any) -> Any:
    """Return a relative size of type, such as "large", in points."""
    from matplotlib.font_manager import FontProperties, font_scalings

    if isinstance(size, str) and size in font_scalings:
        return float(FontProperties(size=size).get_size_in_points())
    return size


def _listed(names: Any) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} or {last}"
