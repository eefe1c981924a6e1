"""The matplotlib figure around the map: its axes, titles and their final places."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from trainviz.canvas import Layout, SceneOptions, Theme
from trainviz.guides import draw_points, draw_strip, explain_colors, metric_names
from trainviz.paint import Mode
from trainviz.recording import Recording

__all__ = [
    "build_layout",
    "draw_map",
    "dress_axes",
    "fit_text",
    "heading_room",
    "trim_panels",
]


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
        figsize=_even(size, dpi), dpi=dpi, facecolor=theme.background, layout="constrained"
    )
    FigureCanvasAgg(figure)
    pad = options.get("margin", 0.1)
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad, hspace=0.02, wspace=0.02)
    grid = figure.add_gridspec(2 if names else 1, 1, height_ratios=[5, 1] if names else [1])
    layout = Layout(figure, figure.add_subplot(grid[0]), None, theme)
    dress_axes(layout, recording, options)
    _write_titles(layout, options, counter)
    if options.get("legend", True):
        explain_colors(layout, recording, mode, options)
    if options.get("points", True) and recording.data is not None:
        draw_points(layout, recording, mode)
    if names:
        layout.strip = figure.add_subplot(grid[1])
        draw_strip(layout, recording, names)
    _settle(layout, options)
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
    ax.set_xlim(domain.xlim)
    ax.set_ylim(domain.ylim)
    aspect = options.get("aspect")
    if aspect is None:
        spans = sorted((domain.xlim[1] - domain.xlim[0], domain.ylim[1] - domain.ylim[0]))
        aspect = "equal" if spans[1] < 2 * spans[0] else "auto"
    ax.set_aspect(aspect)
    for spine in ax.spines.values():
        spine.set_color(theme.muted)
    if not options.get("axes", True):
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        return
    ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    labels = (options.get("xlabel"), options.get("ylabel"))
    ax.set_xlabel(labels[0] or domain.axis_names[0] or "", color=theme.foreground)
    ax.set_ylabel(labels[1] or domain.axis_names[1] or "", color=theme.foreground)


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
    figure, ax = layout.figure, layout.ax
    if options.get("figsize") is None:
        _trim(layout)
    _fit_titles(layout)
    figure.canvas.draw()
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
    if figure._suptitle is not None:
        figure._suptitle.set_x(left / width)
        # Wrapping a title moves the axes; what still meets the legend is made smaller.
        wide = figure._suptitle.get_window_extent(figure.canvas.get_renderer()).width
        share = heading_room(figure, left) / wide
        figure._suptitle.set_fontsize(figure._suptitle.get_fontsize() * min(1.0, share))


def _trim(layout: Layout) -> None:
    """Take away the room that a map of fixed aspect leaves free beside or above it."""
    figure = layout.figure
    figure.canvas.draw()
    slot, used = layout.ax.get_position(original=True), layout.ax.get_position()
    size = figure.get_size_inches()
    free = ((slot.width - used.width) * size[0], (slot.height - used.height) * size[1])
    figure.set_size_inches(_even((size[0] - free[0], size[1] - free[1]), figure.dpi))


def _even(inches: Sequence[float], dpi: float) -> tuple[float, float]:
    """Round to even numbers of pixels: video encoders sub-sample colour by two."""
    width, height = (max(2, round(side * dpi / 2) * 2) / dpi for side in inches)
    return width, height


def _snap(ax: Any) -> tuple[int, int, int, int]:
    box = ax.get_window_extent()
    return round(box.x0), round(box.y0), round(box.x1), round(box.y1)


def _fit_titles(layout: Layout) -> None:
    """Wrap a title that would meet the legend, and a subtitle that would meet the counter."""
    figure = layout.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    left = layout.ax.get_window_extent().x0
    if figure._suptitle is not None:
        fit_text(figure._suptitle, renderer, heading_room(figure, left))
    counter = layout.counter.get_window_extent(renderer).width
    fit_text(layout.ax._left_title, renderer, layout.ax.get_window_extent().width - counter - 16)


def heading_room(figure: Any, left: float = 0.0) -> float:
    """Return how many pixels a heading may take from ``left`` to the legend or the edge."""
    right = figure.bbox.width - 8
    for legend in figure.legends:
        right = min(right, legend.get_window_extent().x0 - 12)
    return float(right - left)


def fit_text(text: Any, renderer: Any, room: float) -> None:
    """Wrap a text into at most three lines, then shrink it, until it fits a width in pixels."""
    width = text.get_window_extent(renderer).width
    words = text.get_text()
    if not words or width <= room:
        return
    text.set_text(textwrap.fill(words, max(8, int(len(words) * room / width))))
    width = text.get_window_extent(renderer).width
    many = max(1.0, (text.get_text().count("\n") + 1) / 3)
    text.set_fontsize(max(5.0, text.get_fontsize() * min(1.0, room / width) / many))


def trim_panels(figure: Any, axes: Sequence[Any], rows: int) -> None:
    """Take away the height that panels of fixed aspect leave free."""
    figure.canvas.draw()
    slot, used = axes[0].get_position(original=True), axes[0].get_position()
    width, height = figure.get_size_inches()
    free = (slot.height - used.height) * rows * height
    figure.set_size_inches(_even((width, height - free), figure.dpi))
