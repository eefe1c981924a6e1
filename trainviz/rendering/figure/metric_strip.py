"""The strip of metric curves under a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.fitting import pixel_box
from trainviz.rendering.figure.parts import Layout

__all__ = ["draw_strip", "metric_groups", "metric_names", "place_strip"]

_BESIDE_STRIP = 2.2
"""Inches that the labels left and right of the strip take, and the figure's legend."""


def metric_names(recording: Recording, wanted: bool | Sequence[Any]) -> list[str]:
    """Return the metrics to draw, in the order of their axes; see :func:`metric_groups`."""
    return [name for group in metric_groups(recording, wanted) for name in group]


def metric_groups(recording: Recording, wanted: bool | Sequence[Any]) -> list[list[str]]:
    """Return the metrics of each axis, of which there are at most two if all are wanted.

    ``loss``, ``train_loss``, ``val_loss`` and other losses share an axis, and so do
    scores such as the accuracy, and other names of comparable range. ``loss``,
    ``loss_step`` and ``loss_epoch`` of Lightning are one curve. ``wanted`` may hold
    lists: the groups.
    """
    known = recording.metrics
    if wanted is False or len(recording) < 2:
        return []
    if wanted is True:
        return _grouped(known, _drawn(known))[:2]
    if not isinstance(wanted, Sequence):
        raise TypeError(
            f"metrics={wanted!r}: expected True, False, or a list of metrics' names, or of lists "
            "of names that share an axis"
        )
    parts = [wanted] if isinstance(wanted, str) else list(wanted)
    by_hand = any(not isinstance(part, str) for part in parts)
    groups = [[part] if isinstance(part, str) else list(part) for part in parts]
    for name in (name for group in groups for name in group):
        if name not in known:
            raise ValueError(
                f"metrics: the recording has no metric {name!r}; it has {list(known) or 'none'}"
            )
    return groups if by_hand else _grouped(known, [group[0] for group in groups])


def _drawn(known: dict[str, Any]) -> list[str]:
    """Return the metrics with values, and of Lightning's names for one metric a single one."""
    names = [name for name in known if np.isfinite(known[name]).any()]
    return [
        name
        for name in names
        if not (name.endswith("_epoch") and name.removesuffix("_epoch") in names)
        and not (
            name.endswith("_step")
            and {name.removesuffix("_step"), name.removesuffix("_step") + "_epoch"} & {*names}
        )
    ]


def _grouped(known: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name in names:
        home = next((group for group in groups if _share(known, group, name)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return groups


def _share(known: dict[str, Any], group: Sequence[str], name: str) -> bool:
    """Tell whether a metric has the unit of a group or, with unknown units, a comparable range."""
    units = {_unit(other) for other in group}
    if _kind(name) in {_kind(other) for other in group}:
        return True
    if units != {None} or _unit(name) is not None:
        return _unit(name) in units
    sizes = [np.nanmax(np.abs(known[other])) for other in (*group, name)]
    return bool(max(sizes) <= 10 * min(sizes))


def _unit(name: str) -> str | None:
    return next((unit for unit, words in _UNITS.items() if any(w in name for w in words)), None)


_UNITS = {
    "loss": ("loss", "nll", "cross_entropy"),
    "score": ("acc", "auc", "auroc", "f1", "precision", "recall", "score"),
}
"""Parts of names of metrics that have one unit."""


def draw_strip(layout: Layout, recording: Recording, wanted: bool | Sequence[Any]) -> None:
    """Draw the metric curves under the map, an axis for each group."""
    theme, values = layout.theme, recording.metrics
    groups = metric_groups(recording, wanted)
    names, colors = [name for group in groups for name in group], _colors(layout, groups)
    axes = [layout.strip, *(layout.strip.twinx() for _ in groups[1:])]
    for ax, group in zip(axes, groups, strict=True):
        for name in group:
            known = np.isfinite(values[name])
            style = "--" if name.startswith(("val", "test")) else "-"
            layout.curves += ax.plot(
                positions(recording)[known], values[name][known], style, color=colors[name],
                linewidth=1.6, label=name, solid_capstyle="round",
            )  # fmt: skip
        # An axis whose curves have one colour has it too; among several, the legend tells.
        used = {colors[name] for name in group}
        color = used.pop() if len(used) == 1 else theme.foreground
        ax.set_ylabel(_title(group), color=color)
        ax.tick_params(colors=theme.muted, labelcolor=color, labelsize=8)
        ax.spines[:].set_color(theme.muted)
        ax.set_facecolor("none")
        ax.grid(visible=False)
        ax.locator_params(axis="y", nbins=3 if layout.figure.get_size_inches()[1] >= 4 else 1)
    at = positions(recording)
    layout.strip.set_xlim(at.min(), max(at.max(), at.min() + 1))
    # Half an epoch is no moment.
    layout.strip.xaxis.get_major_locator().set_params(integer=True)
    layout.strip.set_xlabel(counted_by(recording), color=theme.foreground)
    left_out = [name for name in _drawn(values) if name not in names] if wanted is True else []
    if left_out:
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        layout.strip.set_xlabel(
            f"{counted_by(recording)} (not drawn: {', '.join(left_out[:3])}{more})",
            color=theme.foreground,
        )
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


def _colors(layout: Layout, groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return a colour for each kind of curve; a validation curve has that of training, dashed."""
    theme = layout.theme
    more = iter([*_MORE_COLORS] * (1 + sum(map(len, groups)) // len(_MORE_COLORS)))
    found: dict[str, str] = {}
    by_kind: dict[tuple[int, str], str] = {}
    for number, group in enumerate(groups):
        for name in group:
            key = number, _kind(name) if name.startswith(_PARTS) else name
            if key not in by_kind:
                first = not any(known == number for known, _ in by_kind)
                main = (theme.foreground, theme.accent)[number] if number < 2 else None
                by_kind[key] = main if first and main else next(more)
            found[name] = by_kind[key]
    return found


def _title(group: Sequence[str]) -> str:
    kinds = list(dict.fromkeys(_kind(name) or name for name in group))
    if len(kinds) == 1 or len(" / ".join(kinds)) <= 12:
        return " / ".join(kinds)
    return _unit(group[0]) or "value"


_MORE_COLORS = ("#2f7fc1", "#d98200", "#2a9d6f", "#a45bb5")
"""Of further curves on an axis; legible on the light and on the dark ground."""

_PARTS = ("val_", "valid_", "train_", "test_")


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
    for prefix in _PARTS:
        name = name.removeprefix(prefix)
    name = name.removesuffix("_epoch").removesuffix("_step")
    return "" if name in ("train", "test", "val", "valid", "validation") else name
