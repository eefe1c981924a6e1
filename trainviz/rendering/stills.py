"""Pictures of single moments, drawn completely by matplotlib: stills and filmstrips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from trainviz._common.arrays import Image
from trainviz.modes import Contour, Mode
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions, value_at
from trainviz.rendering.captions import Counter
from trainviz.rendering.compositor import mark_errors
from trainviz.rendering.figure.anchors import draw_anchors, draw_doubt
from trainviz.rendering.figure.contour_lines import draw_contours
from trainviz.rendering.figure.data_points import draw_points, fades
from trainviz.rendering.figure.fitting import (
    fit_text,
    fit_texts,
    heading_room,
    require_room,
    sized_texts,
    trim_height,
)
from trainviz.rendering.figure.highlights import draw_highlights
from trainviz.rendering.figure.layout import build_layout, draw_map, dress_axes, keep_outer_labels
from trainviz.rendering.figure.legend import explain_colors
from trainviz.rendering.figure.options import SceneOptions
from trainviz.rendering.figure.parts import Layout, Theme, new_figure, own_style
from trainviz.rendering.figure.texts import prepare_texts, without_glyph_warnings
from trainviz.rendering.figure.ticks import settle_ticks

__all__ = ["StillPanel", "panels_figure", "still_figure"]

_PANEL_INCHES = 2.6
_VECTOR_DPI = 200


@own_style()
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


@own_style()
@without_glyph_warnings()
def panels_figure(
    recording: Recording,
    panels: Sequence[StillPanel],
    explained: Mode,
    options: SceneOptions,
    columns: int,
    dpi: float | None = None,
    note: str = "",
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
    columns : int
        Panels in a row.
    dpi : float, optional
    note : str
        A remark that stands below all panels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes, theme = _panels(options, len(panels), columns, dpi)
    layouts = [Layout(figure, ax, None, theme, marker_scale=0.4) for ax in axes]
    has_points = options.get("points", True) and recording.data is not None
    for number, (layout, panel) in enumerate(zip(layouts, panels, strict=True)):
        dress_axes(layout, recording, options)
        layout.ax.set_title(panel.title, color=theme.foreground, size=11)
        keep_outer_labels(layout.ax, number, columns, len(panels))
        draw_doubt(layout, recording.domain)
        if has_points and not fades(recording, options):
            draw_points(layout, recording, panel.mode, options)
        if has_points:
            mark_errors(layout, recording, panel.mode, options, panel.snapshot)
    if options.get("title"):
        figure.suptitle(
            options["title"], x=0.01, ha="left", color=theme.foreground, size=14, weight="bold"
        )
    if options.get("legend", True):
        explain_colors(layouts[0], recording, explained, options, beside=axes)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", color=theme.muted, size=9)
    prepare_texts(figure)
    require_room(figure, axes)
    texts = sized_texts(figure)
    settle_ticks(axes)
    fit_texts(figure, axes, heading_room(figure, 8))
    if note:
        fit_text(figure._supxlabel, heading_room(figure, 8))
    if sized_texts(figure) != texts:
        require_room(figure, axes)
    if options.get("figsize") is None:
        trim_height(figure, axes, -(-len(axes) // columns))
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


def _panels(
    options: SceneOptions, count: int, columns: int, dpi: float | None
) -> tuple[Any, list[Any], Theme]:
    theme = Theme.of(options.get("dark", False))
    rows = -(-count // columns)
    legend = 1.6 if options.get("legend", True) else 0.2
    heading = 0.6 if options.get("title") else 0.2
    size = (columns * _PANEL_INCHES + legend, rows * (_PANEL_INCHES + 0.3) + heading)
    resolution = float(dpi or options.get("dpi", 100))
    figure = new_figure(options.get("figsize") or size, resolution, theme)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_visible(False)
    return figure, list(grid[:count]), theme
