"""The strip of metric curves under a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.fitting import pixel_box
from trainviz.rendering.figure.parts import Layout

__all__ = ["draw_strip", "metric_names", "place_strip"]

_BESIDE_STRIP = 2.2
"""Inches that the labels left and right of the strip take, and the figure's legend."""


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


def place_strip(layout: Layout, left: float, width: float) -> None:
    """Put the strip exactly below the map, both in shares of the figure's width."""
    place, figure = layout.strip.get_position(), layout.figure
    for ax in layout.strip.get_shared_x_axes().get_siblings(layout.strip):
        ax.set_position((left, place.y0, width, place.height))
    layout.strip_box = pixel_box(layout.strip)
    legend, rim = layout.strip.get_legend(), max(4.0, layout.margin * figure.dpi)
    if legend is not None and legend.get_window_extent().x0 < rim:
        # A legend that is wider than the strip would be cut off at the left.
        lower = legend.get_window_extent().y0 / figure.bbox.height
        legend.set_loc("lower left")
        legend.set_bbox_to_anchor((rim / figure.bbox.width, lower), transform=figure.transFigure)


def _legend_columns(layout: Layout, names: Sequence[str]) -> int:
    """Return how many entries fit side by side above the strip."""
    widths = [9 * (0.6 * len(name) + 4.5) for name in names]
    room = 72 * (layout.figure.get_size_inches()[0] - _BESIDE_STRIP)
    return len(names) if sum(widths) <= room else max(1, int(room / max(widths)))


def _kind(name: str) -> str:
    for prefix in ("val_", "valid_", "train_", "test_"):
        name = name.removeprefix(prefix)
    return name.removesuffix("_epoch").removesuffix("_step")
