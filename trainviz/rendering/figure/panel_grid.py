"""Several maps in one figure, for films and stills that compare runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainviz.domain.domain import Domain
from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.data_points import draw_points, fades
from trainviz.rendering.figure.fitting import (
    even_size,
    fit_height,
    fit_name,
    fit_text,
    fit_texts,
    height_by_width,
    require_room,
    resize,
    room_beside,
    shrink,
    text_width,
)
from trainviz.rendering.figure.highlights import draw_highlights
from trainviz.rendering.figure.layout import dress_axes, keep_outer_labels
from trainviz.rendering.figure.legend import explain_colors, place_bar
from trainviz.rendering.figure.metric_strip import (
    draw_strip,
    explain_curves,
    metric_names,
    name_curves,
    place_strip,
    strip_axes,
)
from trainviz.rendering.figure.options import SceneOptions, style_of, with_style
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.styles import Style, user_style
from trainviz.rendering.figure.texts import prepare_texts, without_glyph_warnings
from trainviz.rendering.figure.ticks import settle_ticks

__all__ = ["Panel", "PanelGrid", "build_grid", "default_columns"]

_PANEL_INCHES = {1: 5.0, 2: 4.0, 3: 3.3}
_SMALL_INCHES = 2.8
"""With more columns."""

_STRIP_SHARE = 1 / 5
"""Of the height of a panel, the height of the strip below it."""

_LEAST_STRIP = 0.25
"""In inches; lower strips are drawn only where metrics are asked for."""

_LEGEND_INCHES = 1.6
_RIM = 0.12
"""Inches that stay free around a trimmed figure."""


@dataclass(frozen=True)
class Panel:
    """One map of a grid.

    Attributes
    ----------
    recording : Recording
    mode : Mode
    title : str
    status : str
        The widest text that will stand beside the title; empty if none will.
    points : bool
        Whether the recording's data is drawn.
    bar : bool
        Whether its mode, which the others do not have, is explained by a colour bar.
    strip : bool
        Whether it may have a strip of metrics.
    """

    recording: Recording
    mode: Mode
    title: str
    status: str = ""
    points: bool = True
    bar: bool = False
    strip: bool = True

    @property
    def has_points(self) -> bool:
        """Whether there is data to draw."""
        return self.points and self.recording.data is not None


@dataclass(frozen=True)
class PanelGrid:
    """A figure with a layout for each panel, and one whose counter is the clock."""

    figure: Any
    layouts: list[Layout]
    head: Layout


def default_columns(count: int, domain: Domain, options: SceneOptions) -> int:
    """Return how many panels in a row suit a figure.

    With a ``figsize``, those that make the maps largest; otherwise the figure
    follows: up to three side by side, more in a square or nearly so.

    Parameters
    ----------
    count : int
        Of panels.
    domain : Domain
    options : SceneOptions
    """
    size = options.get("figsize")
    if size is None:
        square = count if count <= 3 else math.ceil(math.sqrt(count))
        return min((square, square + 1), key=lambda columns: -count % columns)
    ratio = domain.ratio
    if options.get("aspect") == "auto" or ratio is None or not 0.5 < ratio < 2:
        ratio = 1.4
    width, height = size
    across = width - (_LEGEND_INCHES if options.get("legend", True) else 0.2)

    def map_height(columns: int) -> float:
        wide, tall = across / columns - 0.35, (height - 0.5) / -(-count // columns) - 0.6
        return round(min(wide / ratio, tall), 2)

    return max(range(1, count + 1), key=map_height)


@user_style()
@without_glyph_warnings()
def build_grid(
    panels: Sequence[Panel],
    options: SceneOptions,
    columns: int,
    headline: str,
    named: Recording,
    dpi: float | None = None,
    *,
    exact: bool = False,
) -> PanelGrid:
    """Build the figure of several maps, without these.

    Parameters
    ----------
    panels : sequence of Panel
    options : SceneOptions
    columns : int
        Panels in a row.
    headline : str
        The widest text that the clock will show.
    named : Recording
        Of which the legend takes the names of the classes.
    dpi : float, optional
        Instead of the option's.
    exact : bool
        Keep a ``figsize`` as it is; films need even numbers of pixels.

    Returns
    -------
    PanelGrid
    """
    options, style = with_style(options), style_of(options)
    has_strips = _has_strips(panels, options, columns)
    figure, axes, strips, theme = _figure(
        options, style, panels[0].recording.domain, len(panels), columns, dpi, has_strips, exact
    )
    wide = figure.get_size_inches()[0] / columns
    scale, small = min(1.0, wide / 6), min(max(wide / 2.6, 0.7), 1.0)
    if style.name:
        scale, small = style.marker_scale(wide), 1.0
    by_width = bool(style.name) and options.get("figsize") is None
    layouts = [
        Layout(figure, ax, None, theme, scale, style, sized_by_width=by_width) for ax in axes
    ]
    for number, (layout, panel) in enumerate(zip(layouts, panels, strict=True)):
        dress_axes(layout, panel.recording, options)
        keep_outer_labels(layout.ax, number, columns, len(panels))
        layout.ax.tick_params(labelsize=style.tick * small)
        _write_titles(layout, panel, small, columns)
        if panel.has_points and not fades(panel.recording, options):
            draw_points(layout, panel.recording, panel.mode, options)
    _draw_strips(layouts, panels, strips, options, columns)
    _explain(layouts, panels, options, named)
    # An empty heading keeps the room for the clock.
    shown = headline if options.get("counter", True) else ""
    figure.suptitle(
        options.get("title") or (" " if shown else ""), x=0.01, ha="left", size=style.title,
        weight=style.weight, color=theme.foreground,
    )  # fmt: skip
    clock = figure.text(
        0, 0, shown, ha="right", va="baseline", color=theme.foreground, size=style.counter
    )  # fmt: skip
    head = Layout(figure, None, clock, theme)
    prepare_texts(figure)
    _fit(layouts, head, options)
    _fix_places(layouts, head)
    for layout, panel in zip(layouts, panels, strict=True):
        if panel.has_points:
            draw_highlights(layout, panel.recording, options.get("highlight"))
    return PanelGrid(figure, layouts, head)


def _has_strips(panels: Sequence[Panel], options: SceneOptions, columns: int) -> bool:
    wanted, recordings = options.get("metrics"), [panel.recording for panel in panels]
    if not metric_names(recordings, True if wanted is None else wanted):
        return False
    size = options.get("figsize")
    if wanted is not None or size is None:
        return True
    # What titles, ticks and names take of a row is for neither.
    tall = (size[1] - 0.5) / -(-len(panels) // columns) - 1.1
    return tall * _STRIP_SHARE / (1 + _STRIP_SHARE) >= _LEAST_STRIP


def _draw_strips(
    layouts: Sequence[Layout],
    panels: Sequence[Panel],
    strips: Sequence[Any],
    options: SceneOptions,
    columns: int,
) -> None:
    """Draw the metrics' curves below the panels, on the same axes in all of them."""
    runs = [panel.recording for panel in panels if panel.strip]
    for number, (layout, panel, strip) in enumerate(zip(layouts, panels, strips, strict=False)):
        if not panel.strip:
            strip.remove()
            continue
        layout.strip = strip
        draw_strip(layout, panel.recording, options, runs)
        first, *others = sorted(strip_axes(layout), key=lambda ax: ax is not strip)
        keep_outer_labels(first, number, columns, len(runs))
        is_last = number % columns == columns - 1 or number == len(runs) - 1
        for ax in () if is_last else others:
            ax.set_ylabel("")
            ax.tick_params(labelright=False)


def _figure(
    options: SceneOptions,
    style: Style,
    domain: Domain,
    count: int,
    columns: int,
    dpi: float | None,
    has_strips: bool,
    exact: bool,
) -> tuple[Any, list[Any], list[Any], Theme]:
    theme, resolution = Theme.of(options.get("dark", False)), float(dpi or options["dpi"])
    rows, panel = -(-count // columns), _PANEL_INCHES.get(columns, _SMALL_INCHES)
    legend = _LEGEND_INCHES if options.get("legend", True) else 0.2
    tall = panel * (1 + has_strips * _STRIP_SHARE) + 0.3 + 0.2 * has_strips
    size = options.get("figsize") or (columns * panel + legend, rows * tall + 0.5)
    if style.name and options.get("figsize") is None:
        width = style.width(options.get("column"), "double")
        # More than the panels need; the rest is trimmed.
        ratio = height_by_width(domain, options.get("aspect")) * (1 + has_strips * _STRIP_SHARE)
        size = (width, rows * width / columns * ratio + (14 + 4 * rows) * style.legend / 72)
    size = size if exact else even_size(size, resolution)
    figure = new_figure(size, resolution, theme, "constrained" if style.name else "compressed")
    pad = min(options["margin"], 0.1)
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad, hspace=0.02, wspace=0.02)
    ratios = [1, _STRIP_SHARE] if has_strips else [1]
    grid = figure.add_gridspec(rows * len(ratios), columns, height_ratios=ratios * rows)
    places = [divmod(number, columns) for number in range(count)]
    axes = [figure.add_subplot(grid[len(ratios) * row, column]) for row, column in places]
    strips = [figure.add_subplot(grid[2 * row + 1, column]) for row, column in places * has_strips]
    return figure, axes, strips, theme


def _write_titles(layout: Layout, panel: Panel, small: float, columns: int) -> None:
    ax, theme, style = layout.ax, layout.theme, layout.style
    # No more than could fit, as a far too wide title would leave the maps no room.
    most = int(ax.figure.get_size_inches()[0] / columns * 72 / (0.35 * style.panel * small))
    title = fit_name(panel.title, most, 3)
    ax.set_title(title, loc="left", color=theme.foreground, size=style.panel * small)
    status = style.legend if style.name else 9 * small
    layout.counter = ax.set_title(panel.status, loc="right", color=theme.muted, size=status)


def _explain(
    layouts: Sequence[Layout], panels: Sequence[Panel], options: SceneOptions, named: Recording
) -> None:
    """Explain the colours of every mode once, at the right of all panels."""
    if not options.get("legend", True):
        return
    beside = [layout.ax for layout in layouts]
    with_data = any(panel.has_points for panel in panels)
    # Where each panel has a mode of its own, its bar stands beside it.
    each = all(panel.bar for panel in panels)
    # One legend of the classes stands for all panels, in whichever of them it is found.
    kinds = [panel.mode.guide for panel in panels]
    first = kinds.index("classes") if "classes" in kinds else 0
    for number, (layout, panel) in enumerate(zip(layouts, panels, strict=True)):
        if number == first or (panel.bar and panel.mode.guide == "scale"):
            shown = {**options, "points": with_data and number == first}
            place = [layout.ax] if each else beside
            explain_colors(layout, named, panel.mode, shown, place)  # type: ignore[arg-type]


def _fit(layouts: Sequence[Layout], head: Layout, options: SceneOptions) -> None:
    """Make every text fit its room, and take away what the panels leave free."""
    figure, axes = head.figure, [layout.ax for layout in layouts]
    strips = [ax for layout in layouts if layout.strip is not None for ax in strip_axes(layout)]
    require_room(figure, axes)
    if settle_ticks(axes, layouts[0].style.most_ticks):
        require_room(figure, axes)
    _fit_titles(layouts)
    if options.get("figsize") is None:
        _trim(figure, [*axes, *strips], maps=axes if layouts[0].style.name else ())
    require_room(figure, axes)
    fit_texts(figure, [*axes, *strips], _heading_room(layouts, head))
    require_room(figure, axes)


def _heading_room(layouts: Sequence[Layout], head: Layout) -> float:
    """Return how many pixels a title may take above the panels, beside the clock."""
    return max(room_beside(head.counter, [layout.ax for layout in layouts]), 40.0)


def _trim(figure: Any, axes: Sequence[Any], maps: Sequence[Any]) -> None:
    """Take away the rim that panels of fixed aspect leave free around them."""
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in axes]
    upper = [box.y1 for box in boxes]
    if figure._suptitle.get_text():
        upper = [figure._suptitle.get_window_extent().y1]
    width, height = figure.get_size_inches()
    if maps:
        # A column has its width; legends and clock are not part of the panels' boxes.
        rows = len({round(ax.get_position().y0, 3) for ax in maps})
        fit_height(figure, maps, rows)
        return
    left = min(box.x0 for box in boxes) / figure.dpi - _RIM
    below = min(box.y0 for box in boxes) / figure.dpi - _RIM
    above = height - max(upper) / figure.dpi - _RIM
    tall = height - max(below, 0) - max(above, 0)
    # Rounding to pixels is to cut nothing off.
    resize(figure, width - max(left, 0), tall + 0.01, 0.005)


def _fit_titles(layouts: Sequence[Layout]) -> None:
    room = min(layout.ax.get_window_extent().width for layout in layouts)
    titles = [layout.ax._left_title for layout in layouts]
    apart = any(
        layout.counter.get_text() and text_width(title) + text_width(layout.counter) + 12 > room
        for layout, title in zip(layouts, titles, strict=True)
    )
    for layout, title in zip(layouts, titles, strict=True):
        shrink(layout.counter, room)
        if " " in title.get_text().strip():
            fit_text(title, room)
        shrink(title, room)
        if apart:
            # All titles of a row stand on one line, and what they say below it.
            title.set_text(title.get_text() + "\n")


def _fix_places(layouts: Sequence[Layout], head: Layout) -> None:
    """Fix the places that the layout engine found: panels of one size, in whole pixels."""
    figure = head.figure
    figure.set_layout_engine("none")
    wide, tall = figure.bbox.size
    places = [layout.ax.get_window_extent() for layout in layouts]
    width = int(min(place.width for place in places) + 1e-6) // 2 * 2
    height = int(min(place.height for place in places) + 1e-6) // 2 * 2
    for layout, place in zip(layouts, places, strict=True):
        left, top = round(place.x0), round(tall) - round(place.y1)
        layout.box = (left, top, width, height)
        layout.ax.set_aspect("auto")
        bottom = round(tall) - top - height
        layout.ax.set_position((left / wide, bottom / tall, width / wide, height / tall))
    with_strip = [layout for layout in layouts if layout.strip is not None]
    for layout in with_strip:
        place_strip(layout, layout.box[0] / wide, width / wide)
    fit = [name_curves(layout) for layout in with_strip]
    if not all(fit):
        explain_curves(with_strip)
    upper = max(round(tall) - layout.box[1] for layout in layouts) / tall
    lower = min(round(tall) - layout.box[1] - height for layout in layouts) / tall
    for layout in layouts:
        if layout.bar is not None:
            place_bar(layout.bar, lower, upper - lower)
    _place_head(layouts, head)


def _place_head(layouts: Sequence[Layout], head: Layout) -> None:
    figure, clock = head.figure, head.counter
    left = min(layout.box[0] for layout in layouts)
    right = max(layout.box[0] + layout.box[2] for layout in layouts)
    title = figure._suptitle
    title.set_x(left / figure.bbox.width)
    for layout in layouts:
        # Where panels got smaller after their titles were fitted.
        for text in (layout.ax._left_title, layout.counter):
            shrink(text, layout.box[2])
    figure.canvas.draw()
    # Wrapping a title moves the panels; what still meets the clock is made smaller.
    shrink(title, _heading_room(layouts, head))
    top = title.get_window_extent().y1
    clock.set_position((right / figure.bbox.width, 0))
    drop = top - clock.get_window_extent().y1
    clock.set_position((right / figure.bbox.width, drop / figure.bbox.height))
