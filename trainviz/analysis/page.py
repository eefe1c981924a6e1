"""A map and the curves of the learning dynamics in one figure, as wide as a column or a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trainviz.analysis.settling import TimeScale
from trainviz.domain.domain import Domain
from trainviz.rendering.figure.anchors import draw_anchors
from trainviz.rendering.figure.fitting import fit_text, free_inches, height_by_width, require_room
from trainviz.rendering.figure.legend import in_rows, place_bar
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.styles import Style, user_style
from trainviz.rendering.figure.ticks import settle_ticks, thin_numbers

__all__ = ["map_with_curves"]

_WIDTH = 7.0
"""Inches: two columns of a paper."""

_BESIDE = 5.0
"""In figures at least so wide, curves are beside the map, and otherwise below it."""

_STRIP = 0.62
"""The least height of a plot of curves with its title, in inches."""

_LIGHT = "#56B4E9"
"""Of a single curve on a dark ground."""

_PLAIN = Style(
    "page",
    title=10.0,
    label=7.0,
    tick=7.0,
    legend=7.0,
    panel=7.0,
    curve=1.1,
    frame=0.8,
    margin=0.035,
)
"""Without a style: sizes for print, in a figure of a page's width."""


@user_style()
def map_with_curves(
    draw: Callable[[Layout], Any],
    plots: Mapping[str, Callable[[Any], Any]],
    scale: TimeScale,
    domain: Domain,
    title: str | None,
    dark: bool | None,
    width: float | None,
    height: float | None,
    dpi: float,
    style: Style | None = None,
) -> Any:
    """Build the figure of a still with curves, which have the time scale of the map's colours.

    Parameters
    ----------
    draw : callable
        ``layout -> axes of the colour bar``; draws the map.
    plots : mapping of str to callable
        The title of each plot over time, and what draws it into axes.
    scale : TimeScale
    domain : Domain
    title : str, optional
    dark : bool, optional
    width, height : float, optional
        Inches; default 7 wide, and as high as the map or the curves need.
    dpi : float
    style : Style, optional
        The sizes of type, lines and points; default those of a page in print.

    Returns
    -------
    matplotlib.figure.Figure
    """
    theme, width = Theme.of(dark), width or _WIDTH
    beside = width >= _BESIDE
    tall = width * height_by_width(domain)
    sizes = style or _PLAIN
    # Inches of a plot of curves: the room that its title and numbers take, and some more.
    each = _STRIP * sizes.tick / _PLAIN.tick
    least = each * len(plots)
    figure = new_figure((width, height or (width if beside else tall + least)), dpi, theme)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.03, hspace=0, wspace=0.02)
    if beside:
        grid = figure.add_gridspec(1, 2, width_ratios=(1.2, 1))
    else:
        share = min(least / figure.get_size_inches()[1], 0.5)
        grid = figure.add_gridspec(2, 1, height_ratios=(1 - share, share))
    ax = figure.add_subplot(grid[0])
    strips = grid[1].subgridspec(len(plots), 1).subplots(sharex=True, squeeze=False)[:, 0]
    bar = draw(Layout(figure, ax, None, theme))
    # Beside its colour bar, also where the height does not let it fill the width.
    ax.set_anchor("NE")
    bar.set_anchor("N")
    _shrink_marks(ax, sizes.marks * min(1.0, (width / 2 if beside else width) / 6))
    for part in (ax, bar):
        sizes.dress(part)
    for strip, (name, plot) in zip(strips, plots.items(), strict=True):
        plot(strip)
        _dress(strip, name, scale, theme, sizes, last=strip is strips[-1])
    _add_legends(figure, ax, strips[0], theme, sizes, beside)
    if title:
        figure.suptitle(
            title, x=0.02, ha="left", color=theme.foreground, size=sizes.title, weight=sizes.weight
        )
        fit_text(figure._suptitle, 0.96 * figure.bbox.width)
    require_room(figure, [ax])
    settle_ticks([ax])
    require_room(figure, [ax])
    _fill(figure, grid, ax, strips, beside, each, trim=height is None)
    require_room(figure, [ax])
    for strip in strips:
        thin_numbers(strip.yaxis, 3)
    if scale.name == "linear":
        thin_numbers(strips[-1].xaxis, 6, whole=True)
    require_room(figure, [ax])
    figure.set_layout_engine("none")
    box = ax.get_position()
    place_bar(bar, box.y0, box.height)
    draw_anchors(Layout(figure, ax, None, theme), domain)
    return figure


def _fill(
    figure: Any, grid: Any, ax: Any, strips: Sequence[Any], beside: bool, each: float, trim: bool
) -> None:
    """Take away the height that the map leaves free, or give it to the curves below."""
    (width, height), spare = figure.get_size_inches(), free_inches(ax)[1]
    if beside:
        used = sum(strip.get_window_extent().height for strip in strips) / figure.dpi
        spare = min(spare, max(used - 0.6 * each * len(strips), 0.0))
    else:
        upper, lower = (share * height for share in grid.get_height_ratios())
        grid.set_height_ratios((upper - spare, lower if trim else lower + spare))
    if trim:
        figure.set_size_inches(width, height - spare)


def _shrink_marks(ax: Any, share: float) -> None:
    from matplotlib.collections import LineCollection, PathCollection

    for marks in ax.collections:
        if isinstance(marks, PathCollection):
            marks.set_sizes(share * marks.get_sizes())
        if isinstance(marks, PathCollection | LineCollection):
            marks.set_linewidth(share**0.5 * np.atleast_1d(marks.get_linewidth()))


def _dress(ax: Any, name: str, scale: TimeScale, theme: Theme, sizes: Style, last: bool) -> None:
    ax.set_facecolor(theme.background)
    ax.set_title(name, loc="left", size=sizes.tick, color=theme.foreground, pad=2)
    ax.set_ylabel("")
    ax.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=sizes.tick, length=2)
    for side, spine in ax.spines.items():
        spine.set_linewidth(sizes.frame)
        spine.set_color(theme.muted)
        spine.set_visible(side in ("left", "bottom"))
    for line in ax.lines:
        line.set_linewidth(sizes.curve)
        line.set_markersize(1.8 * sizes.curve)
        if theme.is_dark and len(ax.lines) == 1:
            line.set_color(_LIGHT)
    if scale.name != "linear":
        ax.set_xscale("function", functions=(scale.forward, scale.inverse))
        ticks = scale.ticks(0.12)
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xlim(scale.span)
    ax.tick_params(labelbottom=last)
    ax.set_xlabel(ax.get_xlabel() if last else "", size=sizes.tick, color=theme.foreground)
    handles, labels = ax.get_legend_handles_labels()
    if len(handles) and len(ax.lines) > 1:
        # Beside a title in large type there is no room; shares learnt leave the corner free.
        place = (1, 1 if sizes.tick < 10 else 0)
        ax.legend(
            handles, labels, loc="lower right", bbox_to_anchor=place, ncols=len(handles),
            frameon=False, fontsize=sizes.legend, labelcolor=theme.foreground, handlelength=1.2,
            handletextpad=0.4, columnspacing=1, borderpad=0, borderaxespad=0.2,
        )  # fmt: skip


def _add_legends(
    figure: Any, ax: Any, areas: Any, theme: Theme, sizes: Style, beside: bool
) -> None:
    """Explain classes and markers below everything, beside one another or together."""
    legend = areas.get_legend()
    classes = [*reversed(legend.legend_handles)], [*reversed(legend.get_texts())]
    legend.remove()
    handles, labels = ax.get_legend_handles_labels()
    named = (classes[0], [text.get_text() for text in classes[1]])
    room = figure.bbox.width
    if beside:
        _place_legend(figure, handles, labels, "outside lower left", 0.56 * room, theme, sizes)
        _place_legend(figure, *named, "outside lower right", 0.43 * room, theme, sizes)
    else:
        _place_legend(
            figure, named[0] + handles, named[1] + labels, "outside lower left", room, theme, sizes
        )  # fmt: skip


def _place_legend(
    figure: Any,
    handles: list[Any],
    labels: list[str],
    loc: str,
    room: float,
    theme: Theme,
    sizes: Style,
) -> None:
    """Place a legend in as many columns as fit into so many pixels."""
    for columns in range(min(len(handles), 8), 0, -1):
        legend = figure.legend(
            in_rows(handles, columns), in_rows(labels, columns), loc=loc, ncols=columns,
            frameon=False, fontsize=sizes.legend, labelcolor=theme.foreground, handlelength=1,
            handletextpad=0.4, columnspacing=1.2, borderpad=0.2, labelspacing=0.3,
        )  # fmt: skip
        if legend.get_window_extent().width <= room or columns == 1:
            return
        legend.remove()
