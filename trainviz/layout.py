"""The matplotlib figure around the map: axes, title, legend, points, metric strip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np

from trainviz.paint import Mode
from trainviz.recording import Recording

__all__ = [
    "Layout",
    "SceneOptions",
    "Theme",
    "build_layout",
    "draw_map",
    "draw_points",
    "draw_wrong_points",
    "dress_axes",
    "explain_colors",
    "fit_text",
    "heading_room",
    "trim_panels",
]

_LEGEND_ROWS = 24
"""A longer legend would be taller than the picture: the rest is counted in its last row."""


@dataclass(frozen=True)
class Theme:
    """The few colours that are not data."""

    background: str
    foreground: str
    muted: str
    accent: str
    point_edge: str

    @classmethod
    def of(cls, dark: bool) -> Theme:
        """Return the dark or the light theme."""
        if dark:
            return cls("#101216", "#e8e8e8", "#9aa0a8", "#ff9d76", "#101216")
        return cls("#ffffff", "#222222", "#6b7077", "#c0392b", "#ffffff")


class SceneOptions(TypedDict, total=False):
    """The keyword arguments of :func:`trainviz.animate` that concern the scene.

    Attributes
    ----------
    title, subtitle : str
    dark : bool
    figsize : tuple of float
        Inches, ``(width, height)``.
    dpi : float
    axes : bool
        Ticks and axis labels.
    xlabel, ylabel : str
    aspect : {"equal", "auto"} or None
        None: equal where the window is less than twice as long as wide.
    counter : bool
        The epoch, top right.
    legend : bool
        The classes, or the colour bar.
    points : bool
        The recording's data over the map.
    metrics : bool or sequence of str
        The strip of metric curves: all (at most two kinds), none, or these.
    margin : float
        Inches around everything.
    """

    title: str | None
    subtitle: str | None
    dark: bool
    figsize: tuple[float, float] | None
    dpi: float
    axes: bool
    xlabel: str | None
    ylabel: str | None
    aspect: Literal["equal", "auto"] | None
    counter: bool
    legend: bool
    points: bool
    metrics: bool | Sequence[str]
    margin: float


@dataclass
class Layout:
    """A figure whose axes have their final places, in whole pixels.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes
        The map's.
    box : tuple of int
        ``(left, top, width, height)`` of the map in pixels from the top left.
    counter : matplotlib.text.Text
    strip : matplotlib.axes.Axes or None
    curves : list of matplotlib.lines.Line2D
    """

    figure: Any
    ax: Any
    counter: Any
    theme: Theme
    marker_scale: float = 1.0
    strip: Any = None
    bar: Any = None
    curves: list[Any] = field(default_factory=list)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    strip_box: tuple[int, int, int, int] = (0, 0, 0, 0)


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
    figure = Figure(figsize=_even(size, dpi), dpi=dpi, facecolor=theme.background, layout="constrained")
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
        _draw_strip(layout, recording, names)
    _settle(layout, options)
    return layout


def metric_names(recording: Recording, wanted: bool | Sequence[str]) -> list[str]:
    """Return the metrics to draw: those asked for, or all of the first two kinds.

    ``loss``, ``train_loss`` and ``val_loss`` are one kind and share an axis.
    """
    known = recording.metrics
    if wanted is False or len(recording) < 2:
        return []
    if wanted is True:
        kinds = list(dict.fromkeys(_kind(name) for name in known))[:2]
        return [name for name in known if _kind(name) in kinds and np.isfinite(known[name]).any()]
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            raise ValueError(
                f"metrics: the recording has no metric {name!r}; it has {list(known) or 'none'}"
            )
    return names


def draw_map(layout: Layout, image: Any, extent: tuple[float, float, float, float]) -> None:
    """Put a painted map into the axes of a still."""
    layout.ax.imshow(
        image, extent=extent, origin="upper", aspect="auto", interpolation="nearest", zorder=0
    )
    layout.ax.set_xlim(extent[:2])
    layout.ax.set_ylim(extent[2:])


def draw_wrong_points(layout: Layout, points: Any, n_points: int) -> None:
    """Put a ring around misclassified points, so that their own colour stays visible."""
    layout.ax.scatter(points[:, 0], points[:, 1], zorder=6, **ring_style(layout, n_points))


def ring_style(layout: Layout, n_points: int) -> dict[str, Any]:
    """Return the marker that tells a misclassified point, as ``scatter`` takes it."""
    return {
        "s": 2.2 * _point_area(layout, n_points) + 6, "marker": "o", "facecolors": "none",
        "edgecolors": layout.theme.foreground,
        "linewidths": (1.3 if n_points <= 1000 else 0.8) * layout.marker_scale**0.5,
    }  # fmt: skip


def _kind(name: str) -> str:
    for prefix in ("val_", "valid_", "train_", "test_"):
        name = name.removeprefix(prefix)
    return name.removesuffix("_epoch").removesuffix("_step")


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


def explain_colors(
    layout: Layout,
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    beside: Any = None,
) -> None:
    """Add the colour bar or the legend, at the right of the axes ``beside`` (or the map's)."""
    if mode.guide == "scale":
        _add_color_bar(layout, mode, layout.ax if beside is None else beside)
    has_points = recording.data is not None and options.get("points", True)
    if mode.guide == "classes" or has_points:
        _add_legend(layout, recording, mode, has_points)


def _add_color_bar(layout: Layout, mode: Mode, beside: Any) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    theme = layout.theme
    scale = ScalarMappable(Normalize(*mode.limits), ListedColormap(mode.palette.sequential / 255.0))
    bar = layout.figure.colorbar(scale, ax=beside, pad=0.02, fraction=0.05, aspect=30)
    layout.bar = bar.ax
    bar.set_label(mode.label, color=theme.foreground)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
    bar.outline.set_edgecolor(theme.muted)
    low, high = mode.limits
    inner = [tick for tick in bar.get_ticks() if low + 0.06 * (high - low) < tick < high * 0.97]
    bar.set_ticks([low, *inner, high])
    bar.ax.set_yticklabels([f"{tick:.2g}" for tick in (low, *inner, high)])


def _add_legend(layout: Layout, recording: Recording, mode: Mode, has_points: bool) -> None:
    from matplotlib.lines import Line2D

    theme, names = layout.theme, recording.class_names
    shown = names if len(names) <= _LEGEND_ROWS else names[: _LEGEND_ROWS - 1]
    handles = [
        Line2D([], [], linestyle="", marker="o" if has_points else "s", markersize=9,
               color=mode.palette.classes[index] / 255.0, label=name,
               markeredgecolor=theme.muted, markeredgewidth=0.5)
        for index, name in enumerate(shown)
    ]  # fmt: skip
    if len(shown) < len(names):
        more = f"and {len(names) - len(shown)} more"
        handles.append(Line2D([], [], linestyle="", label=more))
    if has_points:
        handles.append(
            Line2D([], [], linestyle="", marker="o", markersize=9, label="misclassified",
                   markerfacecolor="none", color=theme.foreground, markeredgewidth=1.4)
        )  # fmt: skip
    layout.figure.legend(
        handles=handles, loc="outside right upper", frameon=False, labelcolor=theme.foreground,
        handletextpad=0.3, borderaxespad=0.2,
    )  # fmt: skip


def draw_points(layout: Layout, recording: Recording, mode: Mode) -> None:
    """Draw the recording's data in the colours of their classes."""
    assert recording.data is not None
    points, labels = recording.data.points, recording.data_labels
    layout.ax.scatter(
        points[:, 0], points[:, 1], c=mode.palette.classes[labels] / 255.0,
        s=_point_area(layout, len(points)), edgecolors=layout.theme.point_edge,
        linewidths=(0.7 if len(points) <= 1000 else 0.3) * layout.marker_scale, zorder=5,
    )  # fmt: skip


def _point_area(layout: Layout, count: int) -> float:
    """Marker area in points squared: smaller where there are many, or the panel is small."""
    return float(np.clip(6000 / max(count, 1), 5, 26)) * layout.marker_scale


def _draw_strip(layout: Layout, recording: Recording, names: list[str]) -> None:
    theme, values = layout.theme, recording.metrics
    axes = {}
    for name in names:
        kind = _kind(name)
        if kind not in axes:
            axes[kind] = layout.strip if not axes else layout.strip.twinx()
        color = theme.foreground if axes[kind] is layout.strip else theme.accent
        known = np.isfinite(values[name])
        style = "--" if name.startswith(("val", "test")) else "-"
        layout.curves += axes[kind].plot(
            strip_positions(recording)[known], values[name][known], style, color=color,
            linewidth=1.6, label=name, solid_capstyle="round",
        )  # fmt: skip
    for kind, ax in axes.items():
        color = theme.foreground if ax is layout.strip else theme.accent
        ax.set_ylabel(kind, color=color)
        ax.tick_params(colors=theme.muted, labelcolor=color, labelsize=8)
        ax.spines[:].set_color(theme.muted)
        ax.set_facecolor("none")
    positions = strip_positions(recording)
    layout.strip.set_xlim(positions[0], max(positions[-1], positions[0] + 1))
    layout.strip.set_xlabel(counted_by(recording), color=theme.foreground)
    layout.strip.locator_params(axis="y", nbins=3)
    if len(names) > len(axes):
        layout.strip.legend(
            handles=layout.curves, loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False,
            labelcolor=theme.foreground, fontsize=9, ncols=min(len(names), 6), borderaxespad=0,
        )  # fmt: skip


def counted_by(recording: Recording) -> str:
    """Return what tells the snapshots apart: the epoch, or the step where epochs repeat."""
    epochs, steps = recording.epochs, recording.steps
    repeated = len(np.unique(epochs)) < len(epochs)
    return "step" if repeated and np.isfinite(steps).all() else "epoch"


def strip_positions(recording: Recording) -> Any:
    """Return the epoch (or step) of every snapshot, the strip's x axis."""
    if counted_by(recording) == "step":
        return recording.steps
    return recording.epochs.astype(np.float64)


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
    ax.set_position((left / width, bottom / height, (right - left) / width, (top - bottom) / height))
    if layout.bar is not None:
        place = layout.bar.get_position()
        layout.bar.set_aspect("auto")
        layout.bar.set_position((place.x0, bottom / height, place.width, (top - bottom) / height))
    if layout.strip is not None:
        # The strip stands exactly below the map, so that both end on the same lines.
        place = layout.strip.get_position()
        for strip in layout.figure.axes:
            if strip is layout.strip or strip in layout.strip.get_shared_x_axes().get_siblings(
                layout.strip
            ):
                strip.set_position((left / width, place.y0, (right - left) / width, place.height))
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
    figure.set_size_inches(*_even((size[0] - free[0], size[1] - free[1]), figure.dpi))


def _even(inches: Sequence[float], dpi: float) -> list[float]:
    """Round to even numbers of pixels: video encoders sub-sample colour by two."""
    return [max(2, round(side * dpi / 2) * 2) / dpi for side in inches]


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
    fit_text(
        layout.ax._left_title, renderer, layout.ax.get_window_extent().width - counter - 16
    )


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
    figure.set_size_inches(*_even((width, height - free), figure.dpi))
