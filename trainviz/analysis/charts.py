"""The plots of the learning dynamics, on matplotlib axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array, Int64Array
from trainviz.analysis.boundary import Line
from trainviz.analysis.settling import TimeScale
from trainviz.domain.domain import Domain
from trainviz.modes.palettes import class_colors, sequential_table
from trainviz.rendering.figure.anchors import draw_anchors
from trainviz.rendering.figure.fitting import (
    fit_height,
    fit_name,
    fit_texts,
    heading_room,
    height_by_width,
    require_room,
    trim_height,
)
from trainviz.rendering.figure.layout import dress_domain
from trainviz.rendering.figure.legend import place_bar, place_legend
from trainviz.rendering.figure.options import check_size
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.styles import (
    Column,
    StyleName,
    check_style,
    find_style,
    user_style,
)
from trainviz.rendering.figure.texts import prepare_texts, without_glyph_warnings
from trainviz.rendering.figure.ticks import settle_ticks

__all__ = [
    "axes_in",
    "draw_areas",
    "draw_boundary",
    "draw_curve",
    "draw_events",
    "draw_forgetting",
    "draw_learnt",
    "draw_settled",
    "in_style",
    "new_axes",
    "own_axes",
    "portrait",
]

_SEQUENTIAL = "viridis"
"""Perceptually uniform, and safe for colour-blind readers."""

_COLOR = "#0072B2"
_COLORS = (_COLOR, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#882255")
"""Of groups of the data, the first as that of data without groups."""

_SHAPES = "os^DvPX"
"""Of groups; the fill tells how often a point was forgotten."""

Groups = Sequence[tuple[str, npt.NDArray[np.intp]]]
"""The name of each group of the data, and the indices of its points."""

_NAMED = 12
"""The maximum number of classes in the legend beside a plot."""

_BARS = 15
"""The maximum number of bars; with more distinct numbers of events, bars span several."""


def new_axes(rows: int, columns: int, figsize: tuple[float, float] | None) -> Any:
    """Return the axes of a new pyplot figure; Jupyter shows pyplot figures automatically."""
    import matplotlib.pyplot as plt

    size = figsize or (4.4 * columns, 3.4 * rows)
    check_size(size, 100)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)[1]


def axes_in(ax: Any, rows: int, columns: int) -> npt.NDArray[Any]:
    """Return the axes given, one a panel, or those of a grid in the place of a single one."""
    if hasattr(ax, "get_subplotspec"):
        spec = ax.get_subplotspec()
        if spec is None:
            raise ValueError(
                "ax: expected axes of a grid, such as those of plt.subplots, or one for each of "
                f"the {rows * columns} panels"
            )
        # As scikit-learn's displays do: what was a single panel is the frame of several.
        ax.set_axis_off()
        inner = spec.subgridspec(rows, columns)
        found = [ax.figure.add_subplot(inner[place]) for place in range(rows * columns)]
        return np.array(found, dtype=object).reshape(rows, columns)
    given = np.asarray(ax, dtype=object)
    if given.size != rows * columns or not all(hasattr(each, "plot") for each in given.flat):
        raise ValueError(
            f"ax: expected a single one of matplotlib's Axes, or {rows * columns}, one for each "
            f"panel, but got {given.size}"
        )
    return given


def in_style(
    axes: Any, style: StyleName | None, column: Column | None, figsize: tuple[float, float] | None
) -> None:
    """Give axes, their curves and legends the sizes of a preset."""
    if style is None and column is None:
        return
    from matplotlib.ticker import MaxNLocator

    sizes = find_style(style, column or "double", figsize[0] if figsize else None)
    for ax in axes:
        sizes.dress(ax)
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_locator(), MaxNLocator):
                axis.get_major_locator().set_params(nbins=sizes.most_ticks)
        # In a small panel the unit has a line of its own.
        ax.set_ylabel(ax.get_ylabel().replace(" (", "\n("))
        for line in ax.lines:
            line.set_linewidth(sizes.curve)
            line.set_markersize(2.2 * sizes.curve)
        legend = ax.get_legend()
        for text in legend.get_texts() if legend is not None else ():
            text.set_fontsize(sizes.legend)


def own_axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is None:
        return new_axes(1, 1, (6.4, 4.8))[0, 0]
    if not hasattr(ax, "plot") or not hasattr(ax, "figure"):
        raise TypeError(f"ax={ax!r}: expected matplotlib Axes, or None for those of a new figure")
    return ax


def draw_settled(
    ax: Any,
    domain: Domain,
    last: int,
    areas: Iterable[tuple[int, Any]],
    scale: TimeScale,
    unit: str,
    cmap: Any = None,
    theme: Theme | None = None,
) -> Any:
    """Draw the map of settled times; return the axes of its colour bar.

    ``last`` is the time of what lies outside all ``areas``; see :func:`settled_areas`.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import FuncNorm, ListedColormap
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.ticker import MaxNLocator

    given, theme = theme, theme or Theme.of(False)
    x0, x1, y0, y1 = domain.extent
    table = sequential_table(_SEQUENTIAL if cmap is None else cmap)
    norm = FuncNorm((scale.forward, scale.inverse), *scale.span)
    colors = ListedColormap(table / 255.0)
    ink = colors(norm(last))
    ax.add_artist(Rectangle((x0, y0), x1 - x0, y1 - y0, color=ink, lw=0, zorder=0))
    for time, area in areas:
        # Snapped to pixels, borders would move against each other.
        ink = colors(norm(time))
        ax.add_artist(PathPatch(area, color=ink, lw=0, zorder=0, snap=False))
    dress_domain(ax, domain, theme)
    if given is None:
        # Of the caller's axes; the texts of a still are prepared together.
        prepare_texts(ax.figure, [ax.xaxis.label, ax.yaxis.label])
    bar = ax.figure.colorbar(
        ScalarMappable(norm, colors), ax=ax, pad=0.02, fraction=0.05, aspect=30
    )
    bar.set_label(f"class settled at {unit}", color=theme.foreground)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    bar.outline.set_edgecolor(theme.muted)
    bar.minorticks_off()
    if scale.name == "linear":
        bar.locator = MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True)
        bar.update_ticks()
    else:
        bar.set_ticks(scale.ticks(), labels=[str(time) for time in scale.ticks()])
    return bar.ax


def draw_boundary(ax: Any, lines: Sequence[Line]) -> None:
    """Draw boundary lines in white with a black outline, so that they show on any colour."""
    from matplotlib.collections import LineCollection

    for color, width in (("black", 2.2), ("white", 1.0)):
        ax.add_collection(LineCollection(lines, colors=color, linewidths=width, zorder=3))
    ax.set_autoscale_on(False)


def draw_events(
    ax: Any,
    points: Float64Array,
    events: Int64Array,
    never: npt.NDArray[np.bool_],
    groups: Groups,
    scale: float = 1.0,
) -> None:
    """Mark points: larger and darker if forgotten more often, a cross if never learnt.

    Each group has a shape of its own.
    """
    from matplotlib import colormaps

    size = scale * float(np.clip(3000 / max(len(points), 1), 4, 16))
    most, thin = int(events.max(initial=0)), min(scale, 2) ** 0.5
    style: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.6 * thin, "zorder": 5}

    def area(count: Any) -> Any:
        return size * (1 + min(most, 6) * count / max(most, 1))

    def color(count: Any) -> Any:
        return colormaps["Oranges"](0.25 + 0.6 * count / max(most, 1))

    for index, (name, rows) in enumerate(groups):
        shape = _SHAPES[index % len(_SHAPES)]
        mine = np.isin(np.arange(len(points)), rows)
        kept, lost = mine & ~never & (events == 0), np.flatnonzero(mine & ~never & (events > 0))
        ax.scatter(*points[kept].T, s=size, c="white", marker=shape, **style)
        # The points that were forgotten most often are drawn last, on top.
        order = lost[np.argsort(events[lost], kind="stable")]
        ax.scatter(
            *points[order].T, s=area(events[order]), c=color(events[order]), marker=shape, **style
        )
        if name:
            ax.scatter([], [], s=2.5 * size, color="#808080", marker=shape, label=name, **style)
    if (~never & (events == 0)).any():
        ax.scatter([], [], s=size, color="white", label="never forgotten", **style)
    for level in _levels(most):
        name = f"forgotten {level}\N{MULTIPLICATION SIGN}"
        ax.scatter([], [], s=area(level), color=color(level), label=name, **style)
    if never.any():
        for width, ink, label in ((3.0, "black", None), (1.4, "#FF8A7A", "never learnt")):
            ax.scatter(
                *points[never].T, s=3 * size + 8 * scale, marker="x", c=ink,
                linewidths=width * thin,
                label=label, zorder=6,
            )  # fmt: skip


@user_style()
@without_glyph_warnings()
def portrait(
    draw: Callable[[Layout], Any],
    domain: Domain,
    title: str | None,
    dark: bool | None,
    figsize: tuple[float, float] | None,
    dpi: float | None,
    style: StyleName | None = None,
    column: Column | None = None,
) -> Any:
    """Build the figure of a still: a map, its legend at the right, and a title.

    Parameters
    ----------
    draw : callable
        ``layout -> axes of the colour bar``.
    domain : Domain
        The domain of the map; its anchors are marked.
    title : str, optional
    dark : bool, optional
    figsize : tuple of float, optional
        Inches; default 8 wide or by the style, and as high as the map needs.
    dpi : float, optional
    style, column : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    check_style(style, column)
    sizes = find_style(style, column, figsize[0] if figsize else None)
    dpi = sizes.dpi if dpi is None else dpi
    check_size(figsize, dpi)
    by_width = bool(sizes.name) and figsize is None
    theme, size = Theme.of(dark), figsize or (8.0, 6.4)
    if by_width:
        width = sizes.width(column)
        size = (width, width * height_by_width(domain) + 16 * sizes.legend / 72)
    figure = new_figure(size, dpi, theme)
    figure.get_layout_engine().set(w_pad=sizes.margin, h_pad=sizes.margin)
    ax = figure.subplots()
    layout = Layout(
        figure, ax, None, theme, sizes.marker_scale(size[0]) if sizes.name else 1.0, sizes,
        sized_by_width=by_width, margin=sizes.margin,
    )  # fmt: skip
    bar = layout.bar = draw(layout)
    sizes.dress(ax)
    sizes.dress(bar)
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        place_legend(
            layout, handles, labels, frameon=False, labelcolor=theme.foreground, handletextpad=0.3,
            fontsize=sizes.legend if sizes.name or min(size) >= 5 else 8,
        )  # fmt: skip
    if title:
        figure.suptitle(
            title, x=0.02, ha="left", color=theme.foreground, size=sizes.title, weight=sizes.weight
        )
    prepare_texts(figure)
    require_room(figure, [ax])
    settle_ticks([ax], sizes.most_ticks)
    fit_texts(figure, [ax], heading_room(figure, 16))
    require_room(figure, [ax])
    if by_width:
        fit_height(figure, [ax], 1, heading_room(figure, 16))
    elif figsize is None:
        trim_height(figure, [ax], 1)
    require_room(figure, [ax])
    # With a fixed aspect the map can be lower than its axes slot; the bar gets the map's height.
    figure.set_layout_engine("none")
    box = ax.get_position()
    place_bar(bar, box.y0, box.height)
    draw_anchors(layout, domain)
    return figure


def draw_areas(
    ax: Any, times: Int64Array, areas: Float64Array, names: Sequence[str], unit: str, palette: Any
) -> Any:
    """Draw the classes' shares of the area over time, as a stacked plot."""
    colors = class_colors(len(names), palette) / 255.0
    bands = ax.stackplot(times, areas.T, colors=colors, edgecolor="white", linewidth=0.3)
    ax.set_ylim(0, 1)
    # In reverse, so that the legend has the order of the bands from top to bottom.
    handles, labels = bands[:_NAMED], list(names[:_NAMED])
    if len(names) > _NAMED:
        labels[-1] = f"{labels[-1]}, and {len(names) - _NAMED} more"
    legend = ax.legend(
        handles[::-1], [fit_name(label, 24) for label in labels[::-1]], loc="upper left",
        bbox_to_anchor=(1, 1), frameon=False, fontsize=8,
    )  # fmt: skip
    # Texts of the caller's axes are the caller's.
    prepare_texts(ax.figure, legend.get_texts())
    return _over_time(ax, times, unit, "share of area")


def draw_curve(ax: Any, times: Int64Array, values: Float64Array, unit: str, label: str) -> Any:
    """Draw one quantity over time."""
    marker = "o" if len(times) <= 30 else ""
    ax.plot(times, values, color=_COLOR, marker=marker, markersize=3.5, linewidth=1.6)
    ax.set_ylim(bottom=0)
    return _over_time(ax, times, unit, label)


def draw_learnt(
    ax: Any, times: Int64Array, first_learnt: Float64Array, unit: str, groups: Groups
) -> Any:
    """Draw the share of points that were predicted correctly at least once, over time."""
    for index, (name, rows) in enumerate(groups):
        count, own = max(len(rows), 1), first_learnt[rows]
        shares = np.array([(own <= time).sum() for time in times]) / count
        ax.step(
            times, shares, where="post", color=_COLORS[index % len(_COLORS)], linewidth=1.6,
            label=name or None,
        )  # fmt: skip
    if groups[0][0]:
        ax.legend(frameon=False, fontsize=8, loc="lower right")
    ax.set_ylim(0, 1.02)
    return _over_time(ax, times, unit, "share of the data learnt once")


def draw_forgetting(
    ax: Any, events: Int64Array, never: npt.NDArray[np.bool_], groups: Groups
) -> Any:
    """Draw a histogram of the points' numbers of forgetting events."""
    from matplotlib.ticker import MaxNLocator

    most = int(events[~never].max(initial=0))
    width, place = -(-(most + 1) // _BARS), -1.5
    bar = 0.85 * width / len(groups)
    starts = np.arange(most // width + 1) * width
    # A bar that stands for one number is centred on it; one of several begins at the first.
    shift = 0.0 if width > 1 else -0.425 * width
    for index, (name, rows) in enumerate(groups):
        learnt = events[rows][~never[rows]]
        counts = np.bincount(learnt // width, minlength=len(starts))
        color = _COLORS[index % len(_COLORS)]
        at = starts + shift + index * bar
        ax.bar(at, counts, bar, align="edge", color=color, label=name or None)
        if never.any():
            # Named groups keep their colours; the place tells what was never learnt.
            left = place * width - 0.425 * width + index * bar
            ink, label = (color, None) if name else ("#D55E00", "never learnt")
            ax.bar(left, never[rows].sum(), bar, align="edge", color=ink, label=label)
    named = bool(groups[0][0])
    if named or never.any():
        ax.legend(frameon=False, fontsize=8)
    ax.set_xlim(right=starts[-1] + (1 if width > 1 else 0.75) * width)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= most]
    labels = [f"{tick:.0f}" for tick in ticks]
    if named and never.any():
        ticks, labels = [place * width, *ticks], ["never\nlearnt", *labels]
    ax.set_xticks(ticks, labels)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("forgetting events")
    ax.set_ylabel("points of the data")
    return ax


def _over_time(ax: Any, times: Int64Array, unit: str, label: str) -> Any:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(times[0], max(times[-1], times[0] + 1))
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.set_xlabel(unit)
    ax.set_ylabel(label)
    return ax


def _levels(most: int) -> list[int]:
    """Return the numbers of events in the legend: 1, the maximum and one in between."""
    return sorted({1, round(most**0.5), most}) if most else []
