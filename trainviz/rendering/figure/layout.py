"""The matplotlib figure around the map: its axes, titles and their final places."""

from __future__ import annotations

from typing import Any

from trainviz.domain.domain import Domain
from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.anchors import draw_anchors, draw_doubt
from trainviz.rendering.figure.axis_ticks import dress_axis
from trainviz.rendering.figure.data_points import draw_points, fades
from trainviz.rendering.figure.fitting import (
    PAD,
    arrange,
    even_size,
    fit_text,
    fit_texts,
    free_inches,
    heading_room,
    pixel_box,
    require_room,
    resize,
    room_beside,
    shrink,
    sized_texts,
    thin_ticks,
)
from trainviz.rendering.figure.highlights import draw_highlights
from trainviz.rendering.figure.legend import explain_colors, fit_bar, lay_bar, lies, place_bar
from trainviz.rendering.figure.metric_strip import (
    draw_strip,
    metric_names,
    name_curves,
    place_strip,
    share_side,
    strip_axes,
)
from trainviz.rendering.figure.options import SceneOptions, style_of, with_style
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.styles import Style
from trainviz.rendering.figure.texts import prepare_texts, without_glyph_warnings
from trainviz.rendering.figure.ticks import settle_ticks

__all__ = ["build_layout", "draw_map", "dress_axes", "dress_domain", "keep_outer_labels"]


@without_glyph_warnings()
def build_layout(
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    counter: str,
    dpi: float | None = None,
    *,
    exact: bool = False,
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
    exact : bool
        Keep a ``figsize`` as it is; films need even numbers of pixels.

    Returns
    -------
    Layout
    """
    options, style = with_style(options), style_of(options)
    names = metric_names([recording], options.get("metrics", True))
    theme = Theme.of(options.get("dark", False))
    dpi = float(dpi or options["dpi"])
    size = options.get("figsize") or _size(style, recording.domain, options, bool(names))
    by_width = bool(style.name) and options.get("figsize") is None and size[1] <= style.tallest
    size = (size[0], min(size[1], style.tallest)) if options.get("figsize") is None else size
    figure = new_figure(size if exact else even_size(size, dpi), dpi, theme)
    margin = options["margin"]
    figure.get_layout_engine().set(hspace=0.02, wspace=0.02)
    # Large type in a low strip would leave no room for curves.
    strip = min(max(11 * style.label / 72 / size[0] * 5, 0.8), 1.5) if style.name else 1.0
    grid = figure.add_gridspec(2 if names else 1, 1, height_ratios=[5, strip] if names else [1])
    scale = style.marker_scale(size[0]) if style.name else 1.0
    layout = Layout(
        figure, figure.add_subplot(grid[0]), None, theme, scale, style, margin=margin,
        sized_by_width=by_width,
    )  # fmt: skip
    dress_axes(layout, recording, options)
    # They are thinner than the margin, and measuring them takes longer than drawing them.
    layout.ax.spines[:].set_in_layout(False)
    _write_titles(layout, options, counter)
    if options.get("legend", True):
        explain_colors(layout, recording, mode, options)
    draw_doubt(layout, recording.domain)
    has_points = options.get("points", True) and recording.data is not None
    if has_points and not fades(recording, options):
        draw_points(layout, recording, mode, options)
    if names:
        layout.strip = figure.add_subplot(grid[1])
        draw_strip(layout, recording, options)
        share_side(layout)
    prepare_texts(figure)
    _keep_rim(layout)
    _fix_places(layout, options)
    if options.get("anchors", True):
        draw_anchors(layout, recording.domain)
    if has_points:
        draw_highlights(layout, recording, options.get("highlight"))
    return layout


def _size(
    style: Style, domain: Domain, options: SceneOptions, with_strip: bool
) -> tuple[float, float]:
    """Return inches in which a map fits that is as wide as the figure; more are trimmed."""
    if not style.name:
        return (8.0, 7.0 if with_strip else 6.0)
    width = style.width(options.get("column"))
    x0, x1, y0, y1 = domain.extent
    ratio = (y1 - y0) / (x1 - x0)
    if options.get("aspect") == "auto" or not 0.5 < ratio < 2:
        return (width, width * (0.95 if with_strip else 0.8))
    lines = 16 * style.legend / 72
    return (width, (ratio * width + lines) * (1.4 if with_strip else 1.0))


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
    layout.style.dress(ax)
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
        ratio = domain.ratio
        aspect = "equal" if ratio is not None and 0.5 < ratio < 2 else "auto"
    ax.set_aspect(aspect)
    # The user's settings of matplotlib may draw one, which lies over the map.
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_color(theme.muted)
    ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    ax.set_xlabel(domain.axis_names[0] or "", color=theme.foreground)
    ax.set_ylabel(domain.axis_names[1] or "", color=theme.foreground)
    dress_axis(ax, "x", domain.axes[0], theme)
    dress_axis(ax, "y", domain.axes[1], theme)


def keep_outer_labels(ax: Any, number: int, columns: int, count: int) -> None:
    """Leave ticks and axis names only at the left of a grid and below it."""
    if number % columns:
        ax.set_ylabel("")
        ax.tick_params(labelleft=False)
    if number + columns < count:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)


def _write_titles(layout: Layout, options: SceneOptions, counter: str) -> None:
    ax, theme, style = layout.ax, layout.theme, layout.style
    if options.get("title"):
        layout.figure.suptitle(
            options["title"], x=0.02, ha="left", color=theme.foreground, size=style.title,
            weight=style.weight,
        )  # fmt: skip
    pad = {"pad": 0.4 * style.counter} if style.name else {}
    if options.get("subtitle"):
        ax.set_title(
            options["subtitle"], loc="left", color=theme.muted, size=style.subtitle, **pad
        )  # fmt: skip
    shown = counter if options.get("counter", True) else ""
    layout.counter = ax.set_title(
        shown, loc="right", color=theme.foreground, size=style.counter, **pad
    )  # fmt: skip
    layout.counter.set_parse_math(False)


def _fix_places(layout: Layout, options: SceneOptions) -> None:
    """Fix the places that the layout engine found, the map's in whole pixels."""
    from matplotlib.ticker import FixedLocator

    figure, ax = layout.figure, layout.ax
    arranged = arrange(figure)
    # Fewer numbers than matplotlib draws may be shorter, too.
    if settle_ticks([ax], layout.style.most_ticks) or layout.style.name:
        arranged = arrange(figure)
    if options.get("figsize") is None:
        # The strip has a share of the height, so trimming it leaves some more.
        for _ in range(3 if layout.style.name and layout.strip is not None else 1):
            _trim(layout)
            arranged = arrange(figure)
    texts = sized_texts(figure)
    _fit_titles(layout)
    strips = [] if layout.strip is None else strip_axes(layout)
    fit_texts(figure, [ax, *strips], heading_room(figure, ax.get_window_extent().x0, layout.margin))
    if layout.bar is not None:
        fit_bar(layout.bar)
    if sized_texts(figure) != texts:
        # Arranging takes longer than all else here.
        arranged = arrange(figure)
    require_room(figure, [ax], arranged)
    if _overhangs(layout):
        # Where other ticks fit before and after arranging, matplotlib makes room for the others.
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(FixedLocator(axis.get_ticklocs()))
        require_room(figure, [ax])
    figure.set_layout_engine("none")
    width, height = figure.bbox.size
    layout.box = left, top, wide, tall = pixel_box(ax)
    lower = (round(height) - top - tall) / height
    ax.set_aspect("auto")
    ax.set_position((left / width, lower, wide / width, tall / height))
    if layout.bar is not None:
        if lies(layout.bar):
            lay_bar(layout.bar, left / width, wide / width)
        else:
            place_bar(layout.bar, lower, tall / height)
        thin_ticks(layout.bar)
    if layout.strip is not None:
        place_strip(layout, left / width, wide / width)
        name_curves(layout)
    if figure._suptitle is not None:
        figure._suptitle.set_position((left / width, 1 - layout.margin * figure.dpi / height))
        # Wrapping a title moves the axes; what still meets the legend is made smaller.
        shrink(figure._suptitle, heading_room(figure, left, layout.margin))


def _fit_titles(layout: Layout) -> None:
    """Fit the counter to the map, and the subtitle beside it or, on a narrow map, above it."""
    room, beside = layout.ax.get_window_extent().width, room_beside(layout.counter, [layout.ax])
    shrink(layout.counter, room)
    subtitle = layout.ax._left_title
    fit_text(subtitle, beside if beside > room / 2 else room)
    if subtitle.get_text() and beside <= room / 2:
        subtitle.set_text(subtitle.get_text() + "\n")


def _keep_rim(layout: Layout) -> None:
    """Keep the margin free around everything that the layout engine places."""
    figure, margin = layout.figure, layout.margin
    pad = min(margin, PAD)
    # A rim that leaves nothing inside is told by require_room.
    x, y = (min(0.45, (margin - pad) / side) for side in figure.get_size_inches())
    # The engine pads each of the axes; what the margin has beyond that is outside of them all.
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad, rect=(x, y, 1 - 2 * x, 1 - 2 * y))
    for legend in figure.legends:
        legend.borderaxespad = margin * 72 / legend.get_texts()[0].get_fontsize()


def _trim(layout: Layout) -> None:
    """Take away the room that a map of fixed aspect leaves free beside or above it."""
    figure = layout.figure
    across, down = free_inches(layout.ax)
    if layout.style.name:
        # A column has its width.
        across = 0.0
    elif layout.strip is not None:
        across = _free_above_strip(layout)
    width, height = figure.get_size_inches()
    resize(figure, width - across, height - down, layout.margin)
    _keep_rim(layout)


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
    box = ax.get_tightbbox(for_layout_only=True)
    return float((ax.get_window_extent().x0 - box.x0) / ax.figure.dpi)


def _overhangs(layout: Layout) -> bool:
    """Tell whether ticks or labels of the map reach into the margin."""
    ax, most = layout.ax, layout.margin * layout.figure.dpi - 1
    boxes = [axis.get_tightbbox(for_layout_only=True) for axis in (ax.xaxis, ax.yaxis)]
    return any(box is not None and min(box.x0, box.y0) < most for box in boxes)
