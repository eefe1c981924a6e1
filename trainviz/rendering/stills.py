"""Pictures of single moments, drawn completely by matplotlib: stills and filmstrips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from trainviz._common.arrays import Image
from trainviz.domain.domain import Domain
from trainviz.modes import Contour, Mode
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions, value_at
from trainviz.rendering.captions import Counter
from trainviz.rendering.compositor import mark_errors
from trainviz.rendering.figure.anchors import draw_anchors, draw_doubt
from trainviz.rendering.figure.contour_lines import draw_contours
from trainviz.rendering.figure.data_points import draw_points, fades
from trainviz.rendering.figure.fitting import (
    fit_height,
    fit_text,
    fit_texts,
    heading_room,
    height_by_width,
    require_room,
    sized_texts,
    trim_height,
)
from trainviz.rendering.figure.highlights import draw_highlights
from trainviz.rendering.figure.layout import build_layout, draw_map, dress_axes, keep_outer_labels
from trainviz.rendering.figure.legend import explain_colors
from trainviz.rendering.figure.options import SceneOptions, style_of
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.styles import Style, user_style
from trainviz.rendering.figure.texts import prepare_texts, without_glyph_warnings
from trainviz.rendering.figure.ticks import settle_ticks

__all__ = ["StillPanel", "default_row", "panels_figure", "still_figure"]

_PANEL_INCHES = 2.6
_VECTOR_DPI = 200


@user_style()
def still_figure(
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    image_of: Callable[[tuple[int, int]], Image],
    contours_of: Callable[[int], Iterable[Contour]],
    moment: Moment,
    dpi: float | None = None,
) -> Any:
    """Build the whole scene of one moment as a matplotlib figure.

    Parameters
    ----------
    recording : Recording
    mode : Mode
    options : SceneOptions
    image_of : callable
        ``(height, width) -> (height, width, 3) uint8``, the painted map.
    contours_of : callable
        ``snapshot -> iterable of Contour``, on the domain's grid.
    moment : Moment
    dpi : float, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    counter = Counter(recording, options.get("counter", True), options.get("annotate"))
    layout = build_layout(recording, mode, options, counter.widest, dpi, exact=True)
    _, _, width, height = layout.box
    draw_map(layout, image_of((height, width)), recording.domain.extent)
    draw_contours(layout, contours_of(moment.left), recording.domain)
    if options.get("counter", True):
        layout.counter.set_text(counter.text(moment))
    if options.get("points", True) and recording.data is not None:
        mark_errors(layout, recording, mode, options, moment.left)
    if layout.strip is not None:
        now = value_at(positions(recording), moment)
        layout.strip.axvline(now, color=layout.theme.accent, linewidth=1.5)
    return layout.figure


class StillPanel(NamedTuple):
    """One map among several.

    Attributes
    ----------
    title : str
    snapshot : int
    mode : Mode
    image_of : callable
        ``(height, width) -> (height, width, 3) uint8``, the painted map.
    contours_of : callable
        ``snapshot -> iterable of Contour``, on the domain's grid.
    """

    title: str
    snapshot: int
    mode: Mode
    image_of: Callable[[tuple[int, int]], Image]
    contours_of: Callable[[int], Iterable[Contour]]


@user_style()
@without_glyph_warnings()
def panels_figure(
    recording: Recording,
    panels: Sequence[StillPanel],
    explained: Mode,
    options: SceneOptions,
    columns: int | None,
    dpi: float | None = None,
    note: str = "",
    most: int = 5,
) -> Any:
    """Build several maps side by side as a matplotlib figure.

    Parameters
    ----------
    recording : Recording
    panels : sequence of StillPanel
        In their order.
    explained : Mode
        The mode whose legend or colour bar is drawn, for all panels.
    options : SceneOptions
    columns : int, optional
        Panels in a row; default: as many as suit the figure's width.
    dpi : float, optional
    note : str
        A remark that stands below all panels.
    most : int, default 5
        Panels in a row without ``columns``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    style = style_of(options)
    columns = min(columns or default_row(options, most), len(panels))
    figure, axes, theme = _panels(options, style, recording.domain, len(panels), columns, dpi)
    scale = style.marker_scale(figure.get_size_inches()[0] / columns) if style.name else 0.4
    by_width = bool(style.name) and options.get("figsize") is None
    layouts = [
        Layout(figure, ax, None, theme, scale, style, sized_by_width=by_width) for ax in axes
    ]
    has_points = options.get("points", True) and recording.data is not None
    for number, (layout, panel) in enumerate(zip(layouts, panels, strict=True)):
        dress_axes(layout, recording, options)
        layout.ax.set_title(panel.title, color=theme.foreground, size=style.panel)
        keep_outer_labels(layout.ax, number, columns, len(panels))
        draw_doubt(layout, recording.domain)
        if has_points and not fades(recording, options):
            draw_points(layout, recording, panel.mode, options)
        if has_points:
            mark_errors(layout, recording, panel.mode, options, panel.snapshot)
    if options.get("title"):
        figure.suptitle(
            options["title"], x=0.01, ha="left", color=theme.foreground, size=style.title,
            weight=style.weight,
        )  # fmt: skip
    if options.get("legend", True):
        explain_colors(layouts[0], recording, explained, options, beside=axes)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", color=theme.muted, size=0.9 * style.legend)
    prepare_texts(figure)
    require_room(figure, axes)
    texts = sized_texts(figure)
    settle_ticks(axes, style.most_ticks)
    fit_texts(figure, axes, heading_room(figure, 8))
    if note:
        fit_text(figure._supxlabel, heading_room(figure, 8))
    if sized_texts(figure) != texts:
        require_room(figure, axes)
    if options.get("figsize") is None:
        trim = fit_height if style.name else trim_height
        trim(figure, axes, -(-len(axes) // columns))
        require_room(figure, axes)
    if by_width:
        # The maps have become higher or lower.
        fit_texts(figure, axes, heading_room(figure, 8))
        require_room(figure, axes)
    for layout, panel in zip(layouts, panels, strict=True):
        box = layout.ax.get_window_extent()
        scale = max(1.0, _VECTOR_DPI / figure.dpi)
        shape = (round(box.height * scale), round(box.width * scale))
        aspect = layout.ax.get_aspect()
        draw_map(layout, panel.image_of(shape), recording.domain.extent)
        draw_contours(layout, panel.contours_of(panel.snapshot), recording.domain)
        layout.ax.set_aspect(aspect)
        if options.get("anchors", True):
            draw_anchors(layout, recording.domain)
        if has_points:
            draw_highlights(layout, recording, options.get("highlight"))
    return figure


def default_row(options: SceneOptions, most: int) -> int:
    """Return how many panels side by side are large enough to be looked at."""
    style = style_of(options)
    if not style.name:
        return most
    size = options.get("figsize")
    width = style.width(options.get("column"), "double") if size is None else size[0]
    return max(1, min(most, int(width / (11 * style.label / 72))))


def _panels(
    options: SceneOptions, style: Style, domain: Domain, count: int, columns: int, dpi: float | None
) -> tuple[Any, list[Any], Theme]:
    theme = Theme.of(options.get("dark", False))
    rows = -(-count // columns)
    legend = 1.6 if options.get("legend", True) else 0.2
    heading = 0.6 if options.get("title") else 0.2
    size = (columns * _PANEL_INCHES + legend, rows * (_PANEL_INCHES + 0.3) + heading)
    if style.name:
        width = style.width(options.get("column"), "double")
        # More than the panels need; the rest is trimmed.
        ratio = height_by_width(domain, options.get("aspect"))
        size = (width, rows * width / columns * ratio + (14 + 4 * rows) * style.legend / 72)
    resolution = float(dpi or options.get("dpi", style.dpi))
    figure = new_figure(options.get("figsize") or size, resolution, theme)
    if style.name:
        pad = options.get("margin", style.margin)
        figure.get_layout_engine().set(w_pad=pad, h_pad=pad, wspace=0.02, hspace=0.02)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_visible(False)
    return figure, list(grid[:count]), theme
