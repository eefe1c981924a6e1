"""The strip of metric curves under a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.recordings.history import History
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.curve_labels import Sheet
from trainviz.rendering.figure.fitting import pixel_box
from trainviz.rendering.figure.legend import in_rows, lies
from trainviz.rendering.figure.options import SceneOptions, check_metrics
from trainviz.rendering.figure.parts import Layout
from trainviz.rendering.figure.texts import prepare_texts
from trainviz.rendering.figure.ticks import thin_numbers

__all__ = [
    "draw_strip",
    "explain_curves",
    "history_places",
    "metric_names",
    "name_curves",
    "place_strip",
    "strip_axes",
]

_DECADES = 100
"""An axis is logarithmic where its largest value is at least so many times the smallest."""

_Values = Mapping[str, npt.NDArray[np.float64]]


def metric_names(recordings: Sequence[Recording], wanted: bool | Sequence[Any]) -> list[str]:
    """Return the metrics to draw of recordings that share their axes, in the order of the axes.

    ``loss``, ``train_loss``, ``val_loss`` and other losses share an axis, and so do
    scores such as the accuracy, and other names of comparable range. If all are
    wanted, those of two axes are drawn. ``loss``, ``loss_step`` and ``loss_epoch`` of
    Lightning are one curve. ``wanted`` may hold lists: the groups.
    """
    if all(len(recording) < 2 for recording in recordings):
        return []
    return [name for group in _groups(_joined(recordings), wanted) for name in group]


def _joined(recordings: Sequence[Recording]) -> dict[str, npt.NDArray[np.float64]]:
    """Return all values of each metric."""
    each = [recording.history.metrics for recording in recordings]
    return {
        name: np.concatenate([values[name] for values in each if name in values])
        for name in dict.fromkeys(name for values in each for name in values)
    }


def _groups(known: _Values, wanted: bool | Sequence[Any]) -> list[list[str]]:
    if wanted is False:
        return []
    if wanted is True:
        return _grouped(known, _drawn(known))[:2]
    check_metrics(wanted)
    assert isinstance(wanted, Sequence)
    parts = [wanted] if isinstance(wanted, str) else list(wanted)
    by_hand = any(not isinstance(part, str) for part in parts)
    groups = [[part] if isinstance(part, str) else list(part) for part in parts]
    for name in (name for group in groups for name in group):
        if name not in known:
            raise ValueError(
                f"metrics: the recording has no metric {name!r}; it has {list(known) or 'none'}"
            )
    return groups if by_hand else _grouped(known, [group[0] for group in groups])


def _drawn(known: _Values) -> list[str]:
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


def _grouped(known: _Values, names: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name in names:
        home = next((group for group in groups if _share(known, group, name)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return groups


def _share(known: _Values, group: Sequence[str], name: str) -> bool:
    """Tell whether a metric has the unit of a group or, with unknown units, a comparable range."""
    units = {_unit(other) for other in group}
    if _kind(name) in {_kind(other) for other in group}:
        return True
    if units != {None} or _unit(name) is not None:
        return _unit(name) in units
    sizes = [np.abs(_finite(known[other])).max(initial=0) for other in (*group, name)]
    return bool(max(sizes) <= 10 * min(sizes))


def _unit(name: str) -> str | None:
    return next((unit for unit, words in _UNITS.items() if any(w in name for w in words)), None)


_UNITS = {
    "loss": ("loss", "nll", "cross_entropy"),
    "score": ("acc", "auc", "auroc", "f1", "precision", "recall", "score"),
}
"""Parts of names of metrics that have one unit."""


def draw_strip(
    layout: Layout,
    recording: Recording,
    options: SceneOptions,
    among: Sequence[Recording] | None = None,
) -> None:
    """Draw the metric curves under the map, an axis for each group.

    Parameters
    ----------
    layout : Layout
    recording : Recording
    options : SceneOptions
    among : sequence of Recording, optional
        The recordings with which it shares axes, scales and colours.
    """
    sharing = list(among or [recording])
    known = _joined(sharing)
    wanted = options.get("metrics", True)
    groups, theme, history = _groups(known, wanted), layout.theme, recording.history
    colors, places = _colors(layout, groups), history_places(recording, history)
    names = [name for group in groups for name in group]
    axes = [layout.strip, *(layout.strip.twinx() for _ in groups[1:])]
    for ax, group in zip(axes, groups, strict=True):
        for name in group:
            values = history.metrics.get(name, np.full(len(history), np.nan))
            _draw_curve(layout, ax, places, values, name, colors[name], options)
        # An axis whose curves have one colour has it too; among several, the names tell.
        used = {colors[name] for name in group}
        color = used.pop() if len(used) == 1 else theme.foreground
        ax.set_ylabel(_title(group), color=color)
        ax.tick_params(colors=theme.muted, labelcolor=color, labelsize=8)
        ax.spines[:].set_color(theme.muted)
        ax.set_facecolor("none")
        ax.grid(visible=False)
        if len(names) > 1:
            # Room for their names above and below the curves.
            ax.margins(y=0.2)
        _scale(layout, ax, group, np.concatenate([_finite(known[name]) for name in group]), options)
    on_one_axis = len({counted_by(each) for each in sharing}) == 1
    ends = [end for each in (sharing if on_one_axis else [recording]) for end in _ends(each)]
    layout.strip.set_xlim(min(ends), max(*ends, min(ends) + 1))
    # Half an epoch is no moment.
    layout.strip.xaxis.get_major_locator().set_params(integer=True)
    unit = "step" if counted_by(recording) == "step" else recording.unit
    layout.strip.set_xlabel(unit, color=theme.foreground)
    left_out = [name for name in _drawn(known) if name not in names] if wanted is True else []
    if left_out:
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        layout.strip.set_xlabel(
            f"{unit} (not drawn: {', '.join(left_out[:3])}{more})",
            color=theme.foreground,
        )
    _mark_moments(layout, options)
    if layout.style.name:
        for ax in axes:
            layout.style.dress(ax)
            # The strip is low for the names of its axes.
            ax.yaxis.label.set_fontsize(layout.style.tick)
    if len(names) > 1 and not among and not _fit(layout, names):
        _add_legend(layout, names)


def _draw_curve(
    layout: Layout,
    ax: Any,
    places: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    name: str,
    color: str,
    options: SceneOptions,
) -> None:
    known, weight = np.isfinite(values), options.get("smooth", 0.0)
    places, values = places[known], values[known]
    look = {"linestyle": "--" if name.startswith(("val", "test")) else "-", "color": color}
    wide = layout.style.curve if layout.style.name else 1.6
    if weight:
        layout.curves += ax.plot(places, values, **look, linewidth=0.6 * wide, alpha=0.3)
        values = _smoothed(values, weight)
    layout.curves += ax.plot(
        places, values, **look, linewidth=wide, label=name, solid_capstyle="round"
    )


def _smoothed(values: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """Return the exponential moving average, without a bias towards the first value."""
    found, mean, total = np.empty(len(values)), 0.0, 0.0
    for index, value in enumerate(values.tolist()):
        mean, total = weight * mean + (1 - weight) * value, weight * total + 1 - weight
        found[index] = mean / total
    return found


def _scale(
    layout: Layout, ax: Any, group: Sequence[str], values: Any, options: SceneOptions
) -> None:
    """Set the limits of an axis, and make it logarithmic where its values span decades."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    few = layout.figure.get_size_inches()[1] < 4
    wanted = options.get("metric_scale", "auto")
    if not len(values):
        return
    positive = values.min() > 0
    ratio = values.max() / values.min() if positive else 0.0
    spans = ratio >= _DECADES * (1 - 1e-9) and _unit(group[0]) != "score"
    if (wanted == "log" and positive) or (wanted == "auto" and spans):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=3 if few else 4))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(1 if few else 3))
    ax.update_datalim([(0, values.min()), (0, values.max())], updatex=False)
    ax.autoscale_view(scalex=False)


def history_places(recording: Recording, history: History) -> npt.NDArray[np.float64]:
    """Return where each moment of a history is on the time axis of the recording."""
    epochs, steps = history.epochs.astype(np.float64), history.steps
    known = np.isfinite(steps)
    if counted_by(recording) == "step":
        return np.where(known, steps, np.interp(epochs, epochs[known], steps[known]))
    ends, first = np.unique(history.epochs, return_index=True)
    if len(ends) == len(epochs) or len(ends) < 2 or not known.all():
        return epochs
    # Steps within epochs are between their ends, as an epoch is counted once it is completed.
    pace = (steps[first[-1]] - steps[first[0]]) / (ends[-1] - ends[0])
    return np.where(
        steps > steps[first[-1]],
        ends[-1] + (steps - steps[first[-1]]) / max(pace, 1),
        np.interp(steps, steps[first], ends),
    )


def _ends(recording: Recording) -> list[float]:
    """Return the first and the last moment that is captured or reported."""
    history = recording.history
    known = [np.isfinite(values) for values in history.metrics.values()]
    told = np.any(known, axis=0) if known else np.zeros(len(history), dtype=bool)
    places = [*positions(recording), *history_places(recording, history)[told]]
    return [float(min(places)), float(max(places))]


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values[np.isfinite(values)]


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


def _fit(layout: Layout, names: Sequence[str]) -> bool:
    """Tell whether all names find room beside their curves, before the strip has its place."""
    tall, lines = layout.figure.get_size_inches()[1], 10 * layout.style.label / 72
    size = _room(layout), (tall - lines) / 6 * 72
    if min(size) < 20:
        return False
    sheet = Sheet(
        int(size[0]), int(size[1]),
        [_line_in(curve) * size for curve in _named(layout)],
    )  # fmt: skip
    points = _name_points(layout)
    places = [
        sheet.beside(k, int((0.62 * len(name) + 0.5) * points), int(1.2 * points))
        for k, name in enumerate(names)
    ]
    return all(place is not None and not place.crossed for place in places)


def _named(layout: Layout) -> list[Any]:
    return [curve for curve in layout.curves if not curve.get_label().startswith("_")]


def _line_in(curve: Any) -> npt.NDArray[np.float64]:
    """Return a curve in shares of its axes."""
    ax, points = curve.axes, curve.get_xydata()
    if not len(points):
        return np.zeros((1, 2)) - 1
    shares: npt.NDArray[np.float64] = (ax.transScale + ax.transLimits).transform(points)
    return shares


def _room(layout: Layout) -> float:
    """Return about how many points the strip is wide, before it has its place."""
    # At its sides are labels, and in a figure without a preset the legend.
    beside = 8 * layout.style.label / 72 if layout.style.name else 2.2
    return float(72 * (layout.figure.get_size_inches()[0] - beside))


def _name_points(layout: Layout) -> float:
    if layout.style.name:
        return layout.style.tick
    return 8.0 if layout.figure.get_size_inches()[1] >= 4 else 7.0


def name_curves(layout: Layout) -> bool:
    """Write what is marked, and the names of several curves beside these, into a placed strip.

    Returns
    -------
    bool
        Whether all names have found room, on no curve.
    """
    curves = _named(layout)
    if layout.strip.get_legend() is not None or len(curves) < 2:
        curves = []
    _, _, width, height = layout.strip_box
    if min(width, height) < 8:
        return False
    sheet = Sheet(
        width, height, [_line_in(curve) * (width, height) for curve in curves],
        round(1.6 * layout.figure.dpi / 72) + 1,
    )  # fmt: skip
    top, fit = strip_axes(layout)[-1], True
    for moment, text in layout.moments.items():
        x, _ = layout.strip.transData.transform((moment, 0))
        left = layout.strip.get_window_extent().x0
        written = _write(layout, top, text, layout.theme.muted)
        place = sheet.at(x - left, *_size_of(written))
        _put(written, place, width, height)
    for number, curve in enumerate(curves):
        if len(curve.get_xydata()):
            written = _write(layout, top, curve.get_label(), curve.get_color())
            place = sheet.beside(number, *_size_of(written))
            fit &= place is not None and not place.crossed
            _put(written, place, width, height)
            layout.names.append(written)
    return fit


def explain_curves(layouts: Sequence[Layout]) -> None:
    """Name the curves of several strips in a legend below that of the maps, if there is room."""
    figure, curves = layouts[0].figure, {}
    for layout in layouts:
        curves.update({curve.get_label(): curve for curve in reversed(_named(layout))})
    legend = figure.legend(
        handles=list(curves.values())[::-1], loc="lower right", frameon=False,
        fontsize=layouts[0].style.legend if layouts[0].style.name else 8,
        labelcolor=layouts[0].theme.foreground, handlelength=1.5,
    )  # fmt: skip
    prepare_texts(figure, legend.get_texts())
    box, renderer = legend.get_window_extent(), figure.canvas.get_renderer()
    others = [each.get_window_extent() for each in figure.legends if each is not legend]
    others += [ax.get_tightbbox(renderer) for ax in figure.axes]
    if any(box.overlaps(other) for other in others):
        legend.remove()
        return
    for text in [text for layout in layouts for text in layout.names]:
        if text.axes is not None:
            text.remove()


def _write(layout: Layout, ax: Any, text: str, color: str) -> Any:
    from matplotlib.patheffects import withStroke

    ground = withStroke(linewidth=2, foreground=layout.theme.background)
    written = ax.text(
        0, 0, text, transform=ax.transAxes, color=color, fontsize=_name_points(layout),
        ha="left", va="baseline", zorder=5, path_effects=[ground],
    )  # fmt: skip
    prepare_texts(layout.figure, [written])
    return written


def _size_of(text: Any) -> tuple[int, int]:
    box = text.get_window_extent()
    return int(np.ceil(box.width)), int(np.ceil(box.height))


def _put(text: Any, place: Any, width: int, height: int) -> None:
    if place is None:
        text.remove()
        return
    # Letters such as g and p reach below the line that they stand on.
    box = text.get_window_extent()
    origin = text.get_transform().transform((0, 0))
    below = origin[1] - box.y0
    text.set_position((place.x / width, (place.y + below) / height))


def _mark_moments(layout: Layout, options: SceneOptions) -> None:
    layout.moments = dict(options.get("annotate") or {})
    low, high = layout.strip.get_xlim()
    for moment in layout.moments:
        if low <= moment <= high:
            layout.strip.axvline(
                moment, color=layout.theme.muted, linewidth=1, linestyle=(0, (2, 2)), zorder=1
            )


def _add_legend(layout: Layout, names: Sequence[str]) -> None:
    """Add a legend above a strip in which the names have no room."""
    columns, size = _legend_columns(layout, names), _legend_points(layout)
    look: dict[str, Any] = {}
    if layout.style.name:
        look = {"labelspacing": 0.2, "handlelength": 1.5, "columnspacing": 1.2, "borderpad": 0.2}
    legend = layout.strip.legend(
        handles=in_rows(_named(layout), columns), loc="lower right", bbox_to_anchor=(1, 0.97),
        frameon=False, labelcolor=layout.theme.foreground, fontsize=size, ncols=columns,
        borderaxespad=0, **look,
    )  # fmt: skip
    # The layout engine would widen the margin for a legend wider than the strip, which
    # narrows the strip, and so on; a title reserves height alone.
    legend.set_in_layout(False)
    layout.strip.set_title("\n".join("x" * -(-len(names) // columns)), fontsize=size, alpha=0)


def strip_axes(layout: Layout) -> list[Any]:
    """Return the axes of a strip, one for each group of metrics."""
    return list(layout.strip.get_shared_x_axes().get_siblings(layout.strip))


def share_side(layout: Layout) -> None:
    """Let the numbers right of a strip lie below the colour bar, not between it and the map."""
    if layout.bar is None or lies(layout.bar):
        return
    for ax in strip_axes(layout):
        if ax.yaxis.get_label_position() == "right":
            ax.set_in_layout(False)


def place_strip(layout: Layout, left: float, width: float) -> None:
    """Put the strip exactly below the map, both in shares of the figure's width."""
    place, figure = layout.strip.get_position(), layout.figure
    for ax in strip_axes(layout):
        ax.set_position((left, place.y0, width, place.height))
    thin_numbers(layout.strip.xaxis, whole=True)
    layout.strip_box = pixel_box(layout.strip)
    legend, rim = layout.strip.get_legend(), max(4.0, layout.margin * figure.dpi)
    if legend is not None and legend.get_window_extent().x0 < rim:
        # A legend that is wider than the strip would be cut off at the left.
        lower = legend.get_window_extent().y0 / figure.bbox.height
        legend.set_loc("lower left")
        legend.set_bbox_to_anchor((rim / figure.bbox.width, lower), transform=figure.transFigure)


def _legend_columns(layout: Layout, names: Sequence[str]) -> int:
    """Return how many entries fit side by side above the strip."""
    around = 3.2 if layout.style.name else 4.5
    widths = [_legend_points(layout) * (0.6 * len(name) + around) for name in names]
    room = _room(layout)
    return len(names) if sum(widths) <= room else max(1, int(room / max(widths)))


def _legend_points(layout: Layout) -> float:
    return layout.style.tick if layout.style.name else 9.0


def _kind(name: str) -> str:
    for prefix in _PARTS:
        name = name.removeprefix(prefix)
    name = "accuracy" if name.endswith(" accuracy") else name
    name = name.removesuffix("_epoch").removesuffix("_step")
    return "" if name in ("train", "test", "val", "valid", "validation") else name
