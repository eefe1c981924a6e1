"""Ticks of axes that show dates or categories, and the lines between categories."""

from __future__ import annotations

from typing import Any

from trainviz.domain.axes import Axis, shortened
from trainviz.rendering.figure.parts import Theme

__all__ = ["dress_axis"]

_INCHES_PER_CHARACTER = 0.085
"""Of tick labels, about."""

_INCHES_PER_DATE = 0.6

_MOST_NAMES = 25
"""With more categories than this along an axis, some are left unnamed."""

_LINE_PIXELS = 2.0
"""A line covers the pixels on both sides of the edge of a band, where their colours are mixed."""


def dress_axis(ax: Any, which: str, axis: Axis, theme: Theme) -> None:
    """Give one axis of a map the ticks that its coordinates call for.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its limits.
    which : {"x", "y"}
    axis : Axis
    theme : Theme
    """
    drawn = ax.xaxis if which == "x" else ax.yaxis
    if axis.kind == "date":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        box = ax.get_window_extent()
        inches = (box.width if which == "x" else box.height) / ax.figure.dpi
        most = min(max(int(inches / _INCHES_PER_DATE), 2), 7)
        locator = AutoDateLocator(minticks=2, maxticks=most)
        drawn.set_major_locator(locator)
        drawn.set_major_formatter(ConciseDateFormatter(locator))
        drawn.get_offset_text().set_color(theme.foreground)
    elif axis.bands is not None:
        _name_bands(ax, which, axis)
        line = ax.axvline if which == "x" else ax.axhline
        for band in range(1, axis.bands):
            line(
                band - 0.5, color=theme.background, zorder=1.5, snap=True,
                linewidth=max(0.8, _LINE_PIXELS * 72 / ax.figure.dpi),
            )  # fmt: skip


def _name_bands(ax: Any, which: str, axis: Axis) -> None:
    from matplotlib.ticker import FixedLocator

    assert axis.bands is not None
    names = [shortened(name) for name in axis.categories]
    step = -(-len(names) // _MOST_NAMES)
    drawn = ax.xaxis if which == "x" else ax.yaxis
    drawn.set_major_locator(FixedLocator(list(range(0, len(names), step))))
    drawn.set_ticklabels(names[::step], parse_math=False)
    ax.tick_params(axis=which, length=0, pad=6)
    if which == "x":
        room = ax.get_window_extent().width / ax.figure.dpi / len(names[::step])
        if max(map(len, names)) * _INCHES_PER_CHARACTER > room:
            ax.tick_params(axis="x", rotation=35)
            for label in ax.get_xticklabels():
                label.set_horizontalalignment("right")
                label.set_rotation_mode("anchor")
