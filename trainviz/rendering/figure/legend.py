"""What explains a map: data points, legend, colour bar, metric strip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.anchors import guess_handle
from trainviz.rendering.figure.options import SceneOptions
from trainviz.rendering.figure.parts import Layout

__all__ = [
    "draw_points",
    "draw_strip",
    "draw_wrong_points",
    "explain_colors",
    "metric_names",
    "points_shown",
    "ring_styles",
]

_LEGEND_ROWS = 24
"""A longer legend is more than one reads: the rest is counted in its last row."""

_BESIDE_STRIP = 2.2
"""Inches that the labels left and right of the strip take, and the figure's legend."""

_NAME_WIDTH = 24
"""Characters of a class name on a line; a wider legend takes the room of the map."""


_FAINTEST = 0.35
"""The opacity of points far from the plane: their colour can still be told."""

_ROUNDING = 1e-9
"""Of the window: no more than rounding makes of a point that lies in the plane."""


def metric_names(recording: Recording, wanted: bool | Sequence[str]) -> list[str]:
    """Return the metrics to draw: those asked for, or all of the first two kinds.

    ``loss``, ``train_loss`` and ``val_loss`` are one kind and share an axis.
    """
    known = recording.metrics
    if wanted is False or len(recording) < 2:
        return []
    if wanted is True:
        drawn = [name for name in known if np.isfinite(known[name]).any()]
        kinds = list(dict.fromkeys(_kind(name) for name in drawn))[:2]
        return [name for name in drawn if _kind(name) in kinds]
    if not isinstance(wanted, Sequence):
        raise TypeError(f"metrics={wanted!r}: expected True, False, or a list of metrics' names")
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            raise ValueError(
                f"metrics: the recording has no metric {name!r}; it has {list(known) or 'none'}"
            )
    return names


def draw_points(layout: Layout, recording: Recording, mode: Mode) -> None:
    """Draw the recording's data in the mode's colours, far from the plane fainter."""
    assert recording.data is not None
    from matplotlib.colors import to_rgba_array

    shown = points_shown(recording)
    opacities = _opacities(recording)
    # The nearest last, so that they lie over the others.
    order = np.flatnonzero(shown)[np.argsort(opacities[shown], kind="stable")]
    points, colors = recording.data.points[order], mode.point_colors(recording)[order] / 255.0
    layout.ax.scatter(
        points[:, 0], points[:, 1], c=to_rgba_array(colors, opacities[order]),
        s=_point_area(layout, len(points)),
        edgecolors=to_rgba_array([layout.theme.point_edge] * len(order), opacities[order]),
        linewidths=(0.7 if len(points) <= 1000 else 0.3) * layout.marker_scale, zorder=5,
    )  # fmt: skip


def _opacities(recording: Recording) -> npt.NDArray[np.float64]:
    """Return how opaque each data point is drawn: 1 in the plane, at least ``_FAINTEST`` away."""
    assert recording.data is not None
    distances = recording.data.distances
    x0, x1, y0, y1 = recording.domain.extent
    if distances is None or not len(distances):
        return np.ones(len(recording.data.points))
    far = float(np.quantile(distances, 0.95))
    if far <= _ROUNDING * max(x1 - x0, y1 - y0):
        return np.ones(len(distances))
    opacities: npt.NDArray[np.float64] = 1 - (1 - _FAINTEST) * np.minimum(distances / far, 1)
    return opacities


def _any_faint(recording: Recording) -> bool:
    return bool(_opacities(recording).min(initial=1) < 1)


def points_shown(recording: Recording) -> npt.NDArray[np.bool_]:
    """Tell which points of the recording's data lie in the window, its edge included."""
    assert recording.data is not None
    x0, x1, y0, y1 = recording.domain.extent
    x, y = recording.data.points.T
    shown: npt.NDArray[np.bool_] = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return shown


def draw_wrong_points(layout: Layout, points: Any, n_points: int) -> None:
    """Put a ring around misclassified points, so that their own colour stays visible."""
    for style in ring_styles(layout, n_points):
        layout.ax.scatter(points[:, 0], points[:, 1], zorder=6, **style)


def ring_styles(layout: Layout, n_points: int) -> list[dict[str, Any]]:
    """Return the markers that tell a misclassified point, as ``scatter`` takes them.

    A ring, and before it one that is wider and of the ground's colour: it shows
    on maps of any colour.
    """
    width = (1.3 if n_points <= 1000 else 0.8) * layout.marker_scale**0.5
    ring = {"s": 2.2 * _point_area(layout, n_points) + 6, "marker": "o", "facecolors": "none"}
    return [
        {**ring, "edgecolors": color, "linewidths": wide}
        for color, wide in (
            (layout.theme.background, width + 1.2 * layout.marker_scale**0.5),
            (layout.theme.foreground, width),
        )
    ]


def _point_area(layout: Layout, count: int) -> float:
    """Marker area in points squared: smaller where there are many, or the panel is small."""
    return float(np.clip(6000 / max(count, 1), 5, 26)) * layout.marker_scale


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
    explained = has_points and (mode.legend(recording) or _any_faint(recording))
    if mode.guide == "classes" or explained or guess_handle(layout, recording.domain):
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
    near = 0.1 * (high - low)
    inner = [tick for tick in bar.get_ticks() if low + near < tick < high - near / 2]
    bar.set_ticks([low, *inner, high])
    digits = 2 if max(-low, high) <= 1 else 4
    bar.ax.set_yticklabels([f"{tick:.{digits}g}" for tick in (low, *inner, high)])
    for level in mode.levels:
        bar.ax.axhline(level, color=theme.background, linewidth=2.6, alpha=0.55)
        bar.ax.axhline(level, color=theme.foreground, linewidth=1.1)


def _add_legend(layout: Layout, recording: Recording, mode: Mode, has_points: bool) -> None:
    from matplotlib.lines import Line2D

    theme, entries = layout.theme, mode.legend(recording)
    if mode.guide != "classes" and not has_points:
        entries = []
    names = [_wrapped(name) for name, _ in entries]
    size = 10 if min(layout.figure.get_size_inches()) >= 4 else 8
    extra = guess_handle(layout, recording.domain)
    if has_points and _any_faint(recording):
        extra.append(
            Line2D([], [], linestyle="", marker="o", markersize=0.9 * size, alpha=_FAINTEST,
                   color=theme.foreground, markeredgewidth=0, label="far from the plane")
        )  # fmt: skip
    # Points have the full colours, and alone the areas are to be recognised.
    colors = [color if has_points else mode.certain(color) for _, color in entries]
    shown = _fitting(names, _legend_rows(layout, size) - has_points - len(extra))
    handles = [
        Line2D([], [], linestyle="", marker="o" if has_points else "s", markersize=0.9 * size,
               color=colors[index] / 255.0, label=name,
               markeredgecolor=theme.muted, markeredgewidth=0.5)
        for index, name in enumerate(shown)
    ]  # fmt: skip
    if len(shown) < len(names):
        more = f"and {len(names) - len(shown)} more"
        handles.append(Line2D([], [], linestyle="", label=more))
    if has_points and recording.output.has_classes:
        handles.append(
            Line2D([], [], linestyle="", marker="o", markersize=0.9 * size, label="misclassified",
                   markerfacecolor="none", color=theme.foreground, markeredgewidth=1.4)
        )  # fmt: skip
    layout.figure.legend(
        handles=handles + extra, loc="outside right upper", frameon=False,
        labelcolor=theme.foreground, handletextpad=0.3, borderpad=0, fontsize=size,
    )  # fmt: skip


def _legend_rows(layout: Layout, size: float) -> int:
    """Return how many rows of text the figure is high enough for."""
    return min(_LEGEND_ROWS, int(layout.figure.get_size_inches()[1] * 72 / (1.6 * size)) - 1)


def _wrapped(name: str) -> str:
    return textwrap.fill(name, _NAME_WIDTH, max_lines=2, placeholder=" \u2026")


def _fitting(names: list[str], rows: int) -> list[str]:
    """Return the first names, as many as have room beside a last row that counts the others."""
    taken = list(accumulate(name.count("\n") + 1 for name in names))
    if not names or taken[-1] <= rows:
        return names
    return names[: sum(used < rows for used in taken)]


def _kind(name: str) -> str:
    for prefix in ("val_", "valid_", "train_", "test_"):
        name = name.removeprefix(prefix)
    return name.removesuffix("_epoch").removesuffix("_step")


def draw_strip(layout: Layout, recording: Recording, names: list[str]) -> None:
    """Draw the metric curves under the map, at most two kinds, an axis each."""
    theme, values = layout.theme, recording.metrics
    axes: dict[str, Any] = {}
    for name in names:
        kind = _kind(name)
        if kind not in axes:
            axes[kind] = layout.strip if not axes else layout.strip.twinx()
        color = theme.foreground if axes[kind] is layout.strip else theme.accent
        known = np.isfinite(values[name])
        style = "--" if name.startswith(("val", "test")) else "-"
        layout.curves += axes[kind].plot(
            positions(recording)[known], values[name][known], style, color=color,
            linewidth=1.6, label=name, solid_capstyle="round",
        )  # fmt: skip
    for kind, ax in axes.items():
        color = theme.foreground if ax is layout.strip else theme.accent
        ax.set_ylabel(kind, color=color)
        ax.tick_params(colors=theme.muted, labelcolor=color, labelsize=8)
        ax.spines[:].set_color(theme.muted)
        ax.set_facecolor("none")
        ax.locator_params(axis="y", nbins=3 if layout.figure.get_size_inches()[1] >= 4 else 1)
    at = positions(recording)
    layout.strip.set_xlim(at.min(), max(at.max(), at.min() + 1))
    layout.strip.set_xlabel(counted_by(recording), color=theme.foreground)
    if len(names) > len(axes):
        columns = _legend_columns(layout, names)
        legend = layout.strip.legend(
            handles=layout.curves, loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False,
            labelcolor=theme.foreground, fontsize=9, ncols=columns, borderaxespad=0,
        )  # fmt: skip
        # The layout engine would widen the margin for a legend wider than the strip, which
        # narrows the strip, and so on; a title reserves height alone.
        legend.set_in_layout(False)
        layout.strip.set_title("\n".join("x" * -(-len(names) // columns)), fontsize=9, alpha=0)


def _legend_columns(layout: Layout, names: Sequence[str]) -> int:
    """Return how many entries fit side by side above the strip."""
    widths = [9 * (0.6 * len(name) + 4.5) for name in names]
    room = 72 * (layout.figure.get_size_inches()[0] - _BESIDE_STRIP)
    return len(names) if sum(widths) <= room else max(1, int(room / max(widths)))
