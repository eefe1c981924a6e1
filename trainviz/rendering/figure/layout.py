"""The matplotlib figure around the map: its axes, titles and their final places."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

from trainviz.domain.domain import Domain
from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.anchors import draw_anchors, draw_doubt
from trainviz.rendering.figure.data_points import draw_points
from trainviz.rendering.figure.legend import explain_colors
from trainviz.rendering.figure.metric_strip import draw_strip, metric_names
from trainviz.rendering.figure.options import SceneOptions
from trainviz.rendering.figure.parts import Layout, Theme

__all__ = [
    "build_layout",
    "draw_map",
    "dress_axes",
    "dress_domain",
    "even_size",
    "fit_labels",
    "fit_text",
    "heading_room",
    "require_room",
    "trim_panels",
]


_PAD = 0.1
"""Inches between the parts of a figure, unless its margin is narrower."""

_LEAST_INCHES = 0.5
"""A map whose longer side is shorter shows nothing."""


def build_layout(
    recording: Recording, mode: Mode, options: SceneOptions, counter: str, dpi: float | None = None
) -> Layout:
    """Build the figure without its map.

    Parameters
    ----------
    recording : Recording
    mode : Mode
    options : SceneOptions
    counter : str
        The widest text that the counter will show.
    dpi : float, optional
        Instead of the option's.

    Returns
    -------
    Layout
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = metric_names(recording, options.get("metrics", True))
    theme = Theme.of(options.get("dark", False))
    dpi = float(dpi or options.get("dpi", 100))
    size = options.get("figsize") or (8.0, 7.0 if names else 6.0)
    figure: Any = Figure(
        figsize=even_size(size, dpi), dpi=dpi, facecolor=theme.background, layout="constrained"
    )
    FigureCanvasAgg(figure)
    margin = options.get("margin", _PAD)
    figure.get_layout_engine().set(hspace=0.02, wspace=0.02)
    grid = figure.add_gridspec(2 if names else 1, 1, height_ratios=[5, 1] if names else [1])
    layout = Layout(figure, figure.add_subplot(grid[0]), None, theme, margin=margin)
    dress_axes(layout, recording, options)
    _write_titles(layout, options, counter)
    if options.get("legend", True):
        explain_colors(layout, recording, mode, options)
    draw_doubt(layout, recording.domain)
    if options.get("points", True) and recording.data is not None:
        draw_points(layout, recording, mode)
    if names:
        layout.strip = figure.add_subplot(grid[1])
        draw_strip(layout, recording, names)
    _keep_rim(layout)
    _settle(layout, options)
    if options.get("anchors", True):
        draw_anchors(layout, recording.domain)
    return layout


def draw_map(layout: Layout, image: Any, extent: tuple[float, float, float, float]) -> None:
    """Put a painted map into the axes of a still."""
    layout.ax.imshow(
        image, extent=extent, origin="upper", aspect="auto", interpolation="nearest", zorder=0
    )
    layout.ax.set_xlim(extent[:2])
    layout.ax.set_ylim(extent[2:])


def dress_axes(layout: Layout, recording: Recording, options: SceneOptions) -> None:
    """Set limits, aspect, ticks and labels of the map's axes."""
    ax, theme, domain = layout.ax, layout.theme, recording.domain
    dress_domain(ax, domain, theme, options.get("aspect"))
    if not options.get("axes", True):
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        ax.set_xlabel("")
        ax.set_ylabel("")
        return
    for name in ("xlabel", "ylabel"):
        if options.get(name):
            ax.set(**{name: options.get(name)})


def dress_domain(ax: Any, domain: Domain, theme: Theme, aspect: str | None = None) -> None:
    """Give axes the limits, the aspect and the axis names of a domain."""
    ax.set_xlim(domain.xlim)
    ax.set_ylim(domain.ylim)
    if aspect is None:
        spans = sorted((domain.xlim[1] - domain.xlim[0], domain.ylim[1] - domain.ylim[0]))
        aspect = "equal" if spans[1] < 2 * spans[0] else "auto"
    ax.set_aspect(aspect)
    for spine in ax.spines.values():
        spine.set_color(theme.muted)
    ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    ax.set_xlabel(domain.axis_names[0] or "", color=theme.foreground)
    ax.set_ylabel(domain.axis_names[1] or "", color=theme.foreground)


def _write_titles(layout: Layout, options: SceneOptions, counter: str) -> None:
    ax, theme = layout.ax, layout.theme
    if options.get("title"):
        layout.figure.suptitle(
            options["title"], x=0.02, ha="left", color=theme.foreground, size=14, weight="bold"
        )
    if options.get("subtitle"):
        ax.set_title(options["subtitle"], loc="left", color=theme.muted, size=11)
    shown = counter if options.get("counter", True) else ""
    layout.counter = ax.set_title(shown, loc="right", color=theme.foreground, size=12)


def _settle(layout: Layout, options: SceneOptions) -> None:
    """Fix the places that the layout engine found, the map's in whole pixels."""
    from matplotlib.ticker import FixedLocator

    figure, ax = layout.figure, layout.ax
    if options.get("figsize") is None:
        _trim(layout)
    _fit_titles(layout)
    require_room(figure, [ax])
    if _overhangs(layout):
        # Where other ticks fit before and after arranging, matplotlib makes room for the others.
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(FixedLocator(axis.get_ticklocs()))
        require_room(figure, [ax])
    figure.set_layout_engine("none")
    width, height = (round(side * figure.dpi) for side in figure.get_size_inches())
    ax.set_aspect("auto")
    left, bottom, right, top = _snap(ax)
    layout.box = (left, height - top, right - left, top - bottom)
    tall, wide = (top - bottom) / height, (right - left) / width
    ax.set_position((left / width, bottom / height, wide, tall))
    if layout.bar is not None:
        place = layout.bar.get_position()
        layout.bar.set_aspect("auto")
        layout.bar.set_position((place.x0, bottom / height, place.width, tall))
        _thin_ticks(layout.bar)
    if layout.strip is not None:
        # The strip stands exactly below the map, so that both end on the same lines.
        place = layout.strip.get_position()
        for strip in layout.figure.axes:
            if strip is layout.strip or strip in layout.strip.get_shared_x_axes().get_siblings(
                layout.strip
            ):
                strip.set_position((left / width, place.y0, wide, place.height))
        x0, y0, x1, y1 = _snap(layout.strip)
        layout.strip_box = (x0, height - y1, x1 - x0, y1 - y0)
        _keep_inside(layout.strip.get_legend(), max(4.0, layout.margin * figure.dpi))
    if figure._suptitle is not None:
        figure._suptitle.set_position((left / width, 1 - layout.margin * figure.dpi / height))
        # Wrapping a title moves the axes; what still meets the legend is made smaller.
        wide = figure._suptitle.get_window_extent(figure.canvas.get_renderer()).width
        share = heading_room(figure, left, layout.margin) / wide
        figure._suptitle.set_fontsize(figure._suptitle.get_fontsize() * min(1.0, share))


def _keep_rim(layout: Layout) -> None:
    """Keep the margin free around everything that the layout engine places."""
    figure, margin = layout.figure, layout.margin
    pad = min(margin, _PAD)
    # A rim that leaves nothing inside is told by require_room.
    x, y = (min(0.45, (margin - pad) / side) for side in figure.get_size_inches())
    # The engine pads each of the axes; what the margin has beyond that is outside of them all.
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad, rect=(x, y, 1 - 2 * x, 1 - 2 * y))
    for legend in figure.legends:
        legend.borderaxespad = margin * 72 / legend.get_texts()[0].get_fontsize()


def _arranged(figure: Any) -> bool:
    """Arrange a figure and tell whether everything in it found its place."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            figure.draw_without_rendering()
        except UserWarning:
            return False
    return True


def require_room(figure: Any, axes: Sequence[Any]) -> None:
    """Arrange a figure, and raise a :class:`ValueError` if that leaves no room for its maps."""
    arranged = _arranged(figure)
    longest = max(max(ax.get_window_extent().size) for ax in axes) / figure.dpi
    if not arranged or longest < _LEAST_INCHES:
        size = tuple(round(float(side), 2) for side in figure.get_size_inches())
        raise ValueError(
            f"figsize={size}: no room is left for the map; make the figure larger or leave "
            "something out, e.g. metrics=False, legend=False or axes=False"
        )


def _trim(layout: Layout) -> None:
    """Take away the room that a map of fixed aspect leaves free beside or above it."""
    figure = layout.figure
    _arranged(figure)
    across, down = _free(layout.ax)
    width, height = figure.get_size_inches()
    if layout.strip is not None:
        across = _free_above_strip(layout)
    tall = max(height - down, _legend_height(figure, layout.margin))
    figure.set_size_inches(even_size((width - across, tall), figure.dpi))
    _keep_rim(layout)


def _free(ax: Any) -> tuple[float, float]:
    """Return the inches that axes of fixed aspect and their labels leave free in their slot."""
    figure = ax.figure
    slot = ax.get_position(original=True).transformed(figure.transFigure)
    used = ax.get_tightbbox(figure.canvas.get_renderer(), for_layout_only=True)
    taken = slot.union([slot, used])
    return (taken.width - used.width) / figure.dpi, (taken.height - used.height) / figure.dpi


def _free_above_strip(layout: Layout) -> float:
    """Return the inches that a map leaves free in its slot, and its labels do not need."""
    figure, ax = layout.figure, layout.ax
    slot, used = ax.get_position(original=True), ax.get_position()
    free = (slot.width - used.width) * figure.get_size_inches()[0]
    # What lies left of the map now stands in its slot; then only the strip's room is left.
    labels, kept = (_left_labels(axes) for axes in (ax, layout.strip))
    return float(free - min(free / 2, max(labels - kept, 0)))


def _left_labels(ax: Any) -> float:
    """Return the inches that labels take at the left of axes."""
    box = ax.get_tightbbox(ax.figure.canvas.get_renderer(), for_layout_only=True)
    return float((ax.get_window_extent().x0 - box.x0) / ax.figure.dpi)


def _overhangs(layout: Layout) -> bool:
    """Tell whether ticks or labels of the map reach into the margin."""
    figure = layout.figure
    box = layout.ax.get_tightbbox(figure.canvas.get_renderer(), for_layout_only=True)
    return bool(min(box.x0, box.y0) < layout.margin * figure.dpi - 1)


def _legend_height(figure: Any, margin: float = _PAD) -> float:
    """Return the inches that the longest legend needs."""
    tall = [legend.get_window_extent().height for legend in figure.legends]
    return float(max(tall, default=0.0) / figure.dpi) + 2 * margin


def even_size(inches: Sequence[float], dpi: float) -> tuple[float, float]:
    """Round to even numbers of pixels: video encoders sub-sample colour by two."""
    width, height = (max(2, round(side * dpi / 2) * 2) / dpi for side in inches)
    return width, height


def _snap(ax: Any) -> tuple[int, int, int, int]:
    box = ax.get_window_extent()
    return round(box.x0), round(box.y0), round(box.x1), round(box.y1)


def _thin_ticks(bar: Any) -> None:
    """Leave only the ends where a colour bar is too short for all its numbers."""
    labels = bar.get_yticklabels()
    tall = bar.get_window_extent().height / bar.figure.dpi * 72
    if len(labels) * 1.3 * labels[0].get_fontsize() > tall:
        ends = [labels[0].get_text(), labels[-1].get_text()]
        bar.set_yticks([bar.get_yticks()[0], bar.get_yticks()[-1]], ends)


def _keep_inside(legend: Any, rim: float) -> None:
    """Move a legend that is wider than its strip, and would be cut off at the left."""
    if legend is None:
        return
    figure = legend.get_figure()
    box = legend.get_window_extent(figure.canvas.get_renderer())
    if box.x0 < rim:
        legend.set_loc("lower left")
        place = (rim / figure.bbox.width, box.y0 / figure.bbox.height)
        legend.set_bbox_to_anchor(place, transform=figure.transFigure)


def _fit_titles(layout: Layout) -> None:
    """Wrap a title that would meet the legend, and a subtitle that would meet the counter."""
    figure = layout.figure
    _arranged(figure)
    renderer = figure.canvas.get_renderer()
    left = layout.ax.get_window_extent().x0
    if figure._suptitle is not None:
        fit_text(figure._suptitle, renderer, heading_room(figure, left, layout.margin))
    fit_labels(layout.ax)
    room = layout.ax.get_window_extent().width
    counter = layout.counter.get_window_extent(renderer).width
    layout.counter.set_fontsize(layout.counter.get_fontsize() * min(1.0, room / max(counter, 1)))
    subtitle, beside = layout.ax._left_title, room - counter - 16
    fit_text(subtitle, renderer, beside if beside > room / 2 else room)
    if subtitle.get_text() and beside <= room / 2:
        # A narrow map has no room for both on a line: the subtitle goes above the counter.
        subtitle.set_text(subtitle.get_text() + "\n")


def heading_room(figure: Any, left: float = 0.0, margin: float = 0.0) -> float:
    """Return how many pixels a heading may take from ``left`` to the legend or the margin."""
    right = figure.bbox.width - max(8.0, margin * figure.dpi)
    for legend in figure.legends:
        right = min(right, legend.get_window_extent().x0 - 12)
    return float(right - left)


def fit_labels(ax: Any) -> None:
    """Wrap axis labels that are longer than their axis."""
    renderer, box = ax.figure.canvas.get_renderer(), ax.get_window_extent()
    fit_text(ax.xaxis.label, renderer, box.width)
    fit_text(ax.yaxis.label, renderer, box.height)


def fit_text(text: Any, renderer: Any, room: float) -> None:
    """Wrap a text into at most three lines, then shrink it, until its lines fit, in pixels."""
    along = "height" if text.get_rotation() == 90 else "width"
    width = getattr(text.get_window_extent(renderer), along)
    words = text.get_text()
    if not words or width <= room:
        return
    text.set_text(textwrap.fill(words, max(8, int(len(words) * room / width))))
    width = getattr(text.get_window_extent(renderer), along)
    many = max(1.0, (text.get_text().count("\n") + 1) / 3)
    text.set_fontsize(max(5.0, text.get_fontsize() * min(1.0, room / width) / many))


def trim_panels(figure: Any, axes: Sequence[Any], rows: int) -> None:
    """Take away the height that panels of fixed aspect leave free."""
    _arranged(figure)
    width, height = figure.get_size_inches()
    free = _free(axes[0])[1] * rows
    figure.set_size_inches(
        even_size((width, max(height - free, _legend_height(figure))), figure.dpi)
    )
