"""What explains the colours of a map: the legend and the colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.anchors import guess_handle
from trainviz.rendering.figure.data_points import (
    FAINTEST,
    any_faint,
    fades,
    marker_of,
    points_text,
)
from trainviz.rendering.figure.fitting import fit_names, fit_text, shrink
from trainviz.rendering.figure.options import SceneOptions
from trainviz.rendering.figure.parts import Layout

__all__ = [
    "explain_colors",
    "fit_bar",
    "in_rows",
    "lay_bar",
    "lies",
    "place_bar",
    "place_legend",
]

_LEGEND_ROWS = 24
"""A longer legend is more than one reads: the rest is counted in its last row."""


def explain_colors(
    layout: Layout,
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    beside: Any = None,
) -> None:
    """Add the colour bar or the legend, at the right of the axes ``beside`` (or the map's)."""
    if mode.guide == "scale":
        below = (
            beside is None
            and layout.style.compact
            and _side_is_dear(layout, 6 * layout.style.label / 72)
        )
        _add_color_bar(layout, mode, layout.ax if beside is None else beside, below)
    has_points = recording.data is not None and options.get("points", True)
    explained = has_points and (
        mode.legend(recording)
        or any_faint(recording)
        or _group_names(recording)
        or points_text(recording, options)
    )
    if mode.guide == "classes" or explained or guess_handle(layout, recording.domain):
        _add_legend(layout, recording, mode, options, has_points, beside)


def color_scale(mode: Mode) -> Any:
    """Return the colours and the limits of a mode that shows one quantity."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    return ScalarMappable(Normalize(*mode.limits), ListedColormap(mode.palette.sequential / 255.0))


def _add_color_bar(layout: Layout, mode: Mode, beside: Any, below: bool) -> None:
    theme, style = layout.theme, layout.style
    scale = color_scale(mode)
    place = {"location": "bottom", "shrink": 1.0} if below else {}
    bar = layout.figure.colorbar(scale, ax=beside, pad=0.02, fraction=0.05, aspect=30, **place)
    layout.bar = bar.ax
    bar.set_label(mode.label, color=theme.foreground)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    style.dress(bar.ax)
    bar.outline.set_linewidth(style.frame)
    bar.outline.set_edgecolor(theme.muted)
    low, high = mode.limits
    near = 0.1 * (high - low)
    inner = [tick for tick in bar.get_ticks() if low + near < tick < high - near / 2]
    if below:
        # What the bar shows stands between the ends of its scale, on the same line.
        inner = []
        bar.ax.xaxis.label.set_fontsize(style.tick)
        bar.ax.xaxis.labelpad = -1.15 * style.tick
    bar.set_ticks([low, *inner, high])
    digits = 2 if max(-low, high) <= 1 else 4
    bar.set_ticklabels([f"{tick:.{digits}g}" for tick in (low, *inner, high)])
    if below:
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "right"), strict=True):
            label.set_horizontalalignment(side)
    mark = bar.ax.axvline if below else bar.ax.axhline
    for level in mode.levels:
        mark(level, color=theme.background, linewidth=2.6, alpha=0.55)
        mark(level, color=theme.foreground, linewidth=1.1)


def lies(bar: Any) -> bool:
    """Tell whether a colour bar lies below its map."""
    box = bar.get_window_extent()
    return bool(box.width > box.height)


def lay_bar(bar: Any, left: float, width: float) -> None:
    """Make a colour bar below a map as wide as the map, in shares of the figure's width."""
    place = bar.get_position()
    bar.set_aspect("auto")
    bar.set_position((left, place.y0, width, place.height))


def fit_bar(bar: Any) -> None:
    """Fit the label of a colour bar to its length."""
    box = bar.get_window_extent()
    shrink(bar.xaxis.label, 0.7 * box.width)
    fit_text(bar.yaxis.label, box.height)


def place_bar(bar: Any, lower: float, height: float) -> None:
    """Make a colour bar as high as the maps, in shares of the figure's height."""
    place = bar.get_position()
    bar.set_aspect("auto")
    bar.set_position((place.x0, lower, place.width, height))


def _group_names(recording: Recording) -> tuple[str, ...]:
    return () if recording.data is None else recording.data.group_names


def _add_legend(
    layout: Layout,
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    has_points: bool,
    beside: Any,
) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    theme, entries = layout.theme, mode.legend(recording)
    # Points without labels have no class's colour, and are not wrong.
    is_labelled = has_points and (
        recording.data_labels is not None or not recording.output.has_classes
    )
    if mode.guide != "classes" and not is_labelled:
        entries = []
    style = layout.style
    size = style.legend if style.name or min(layout.figure.get_size_inches()) >= 4 else 8
    extra = _point_handles(layout, recording, options, size) if has_points else []
    extra += guess_handle(layout, recording.domain)
    # Points have the full colours; areas have the shades, the strongest where the model is sure.
    shades = [mode.certain(color) for _, color in entries] if mode.guide == "classes" else []
    rows = min(_LEGEND_ROWS, int(layout.figure.get_size_inches()[1] * 72 / (1.6 * size)) - 1)
    if style.name and layout.bar is None:
        longest = max((len(name) for name, _ in entries), default=0)
        rows = max(min(rows, _most_below(layout, min(longest, 24), size)), _lines(extra) + 4)
    shown = fit_names([name for name, _ in entries], rows - _lines(extra))

    def mark(marker: str, color: Any) -> Any:
        return Line2D(
            [], [], linestyle="", marker=marker, markersize=0.9 * size, color=color / 255.0,
            markeredgecolor=theme.muted, markeredgewidth=0.5,
        )  # fmt: skip

    handles: list[Any] = []
    for index in range(len(shown)):
        marks = [mark("s", shades[index])] if shades else []
        marks += [mark("o", entries[index][1])] if is_labelled else []
        handles.append(tuple(marks))
    labels = list(shown)
    if len(shown) < len(entries):
        handles.append(Line2D([], [], linestyle=""))
        labels.append(f"and {len(entries) - len(shown)} more")
    place_legend(
        layout, handles + extra, labels + [handle.get_label() for handle in extra], beside,
        apart=len(extra), handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)}, frameon=False,
        labelcolor=theme.foreground, handletextpad=0.3, borderpad=0, fontsize=size,
    )  # fmt: skip


def _most_below(layout: Layout, characters: int, size: float) -> int:
    """Return how many entries a legend below a map may have without taking more than a fifth."""
    wide, tall = (side * 72 / size for side in layout.figure.get_size_inches())
    return int(0.2 * tall / 1.35) * max(1, int(wide / (0.55 * characters + 3.6)))


def _lines(handles: list[Any]) -> int:
    return sum(handle.get_label().count("\n") + 1 for handle in handles)


def _point_handles(
    layout: Layout, recording: Recording, options: SceneOptions, size: float
) -> list[Any]:
    """Return the entries for the groups of the data, the marks of errors, and what is left out."""
    from matplotlib.lines import Line2D

    theme, wide = layout.theme, 0.9 * size

    def dot(label: str, marker: str = "o", **style: Any) -> Any:
        own = {"markersize": wide, "color": theme.foreground, "markeredgewidth": 0, **style}
        return Line2D([], [], linestyle="", marker=marker, label=label, **own)

    found = []
    names = _group_names(recording)
    fitted = fit_names(names, _MOST_GROUPS)
    for index, name in enumerate(fitted):
        marker = marker_of(index)
        if marker.hollow:
            style = {"markersize": 0.75 * wide, "markeredgewidth": 0.25 * wide}
            found.append(dot(name, marker.shape, markerfacecolor=theme.background, **style))
        else:
            found.append(dot(name, marker.shape))
    if len(fitted) < len(names):
        found.append(dot(f"and {len(names) - len(fitted)} more groups", "None"))
    errors = options.get("errors", "ring")
    has_errors = recording.data_labels is not None
    if has_errors and errors == "ring":
        found.append(dot("misclassified", markerfacecolor="none", markeredgewidth=0.14 * size))
    elif has_errors and errors == "cross":
        found.append(dot("misclassified", "x", markersize=0.7 * wide, markeredgewidth=0.16 * size))
    elif fades(recording, options):
        found.append(dot("correctly classified", alpha=0.3))
    if any_faint(recording):
        found.append(dot("far from the plane", alpha=FAINTEST))
    told = points_text(recording, options)
    return found if told is None else [*found, dot(told, "None")]


_MOST_GROUPS = 8
"""How many groups the legend names; their shapes could hardly be told beyond."""


def place_legend(
    layout: Layout,
    handles: list[Any],
    labels: list[str],
    beside: Any = None,
    apart: int = 0,
    **look: Any,
) -> None:
    """Put a legend at the right, or below where the right would take too much of the maps.

    There it reads row by row; the last ``apart`` entries end the last row, apart from the
    others if that takes no row more.
    """
    figure, style = layout.figure, layout.style
    layout.legend = (handles, labels, look)
    legend = figure.legend(handles, labels, loc="outside right upper", **look)
    if not style.compact:
        return
    size, dpi = figure.get_size_inches(), figure.dpi
    if not _side_is_dear(layout, legend.get_window_extent().width / dpi, beside):
        return
    room, columns = (size[0] - 2 * layout.margin) * dpi, min(len(handles), 12)
    entries = list(zip(handles, labels, strict=True))
    while True:
        # As few columns as have no more rows, which are then equally long.
        columns = -(-len(entries) // -(-len(entries) // columns))
        shown = in_rows(_parted(entries, apart, columns), columns)
        for spacing in (1.2, 0.6):
            legend.remove()
            legend = figure.legend(
                *zip(*shown, strict=True), loc="outside lower center", ncols=columns,
                columnspacing=spacing, labelspacing=0.3, **look,
            )  # fmt: skip
            wide = legend.get_window_extent().width
            if wide <= room:
                return
        if columns == 1:
            return
        columns = min(columns - 1, max(1, int(columns * room / wide)))


def in_rows(entries: Sequence[Any], columns: int) -> list[Any]:
    """Return entries in the order in which a legend of so many columns reads row by row.

    Examples
    --------
    >>> in_rows([1, 2, 3, 4, 5], 2)  # matplotlib fills the first column first
    [1, 3, 5, 2, 4]
    """
    return [entry for column in range(columns) for entry in entries[column::columns]]


def _parted(entries: list[Any], apart: int, columns: int) -> list[Any]:
    """Put empty entries before the last ones, as many as the last row has room for."""
    from matplotlib.lines import Line2D

    first = len(entries) - apart
    # The names of groups are longer; at the left they would part the columns of classes.
    blank = (Line2D([], [], linestyle=""), "")
    return [*entries[:first], *[blank] * (-len(entries) % columns), *entries[first:]]


def _side_is_dear(layout: Layout, inches: float, beside: Any = None) -> bool:
    """Tell whether a map would be larger with so many inches more at its right, but less below."""
    wide, tall = layout.figure.get_size_inches()
    if layout.sized_by_width:
        return bool(inches > 0.1 * wide)
    em, ax = layout.style.label / 72, layout.ax
    if layout.bar is not None and not lies(layout.bar):
        wide -= 6 * em
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    ratio = (x1 - x0) / (y1 - y0)
    if beside is not None:
        grid = ax.get_subplotspec().get_gridspec()
        ratio *= grid.ncols / grid.nrows

    def area(width: float, height: float) -> float:
        width, height = max(width - 2.8 * em, 0), max(height - 5 * em, 0)
        if ax.get_aspect() == "auto":
            return width * height
        return float(min(width / ratio, height) ** 2 * ratio)

    # Long entries leave room for few in a row.
    lines = 2.2 * em * max(1.0, inches / 0.8)
    return area(wide - inches, tall) < 0.95 * area(wide, tall - lines)
