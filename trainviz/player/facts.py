"""What a player must know of recordings but for their maps, as JSON can hold it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.output_kind import OutputKind
from trainviz.modes import (
    Boundary,
    Change,
    Difference,
    Entropy,
    Margin,
    Mode,
    Probability,
    Region,
    Values,
    find_mode,
)
from trainviz.modes.palettes import Palette, class_colors, sequential_table
from trainviz.modes.region import by_area
from trainviz.modes.scalar import class_index
from trainviz.player.document import as_base64
from trainviz.player.options import PAGE_DEFAULTS, PageOptions, scene_of
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import positions
from trainviz.rendering.captions import Counter
from trainviz.rendering.figure import data_points
from trainviz.rendering.figure.anchors import thumbnails
from trainviz.rendering.figure.highlights import highlights_of
from trainviz.rendering.figure.metric_strip import history_places
from trainviz.rendering.interpolation import check_interpolation

__all__ = ["columns_of", "curves_of", "facts_of", "limits_of"]

_PAINTED = (Region, Boundary, Entropy, Margin, Probability, Change, Difference, Values)

_SCALES = (
    "plasma_r", "plasma", "viridis", "inferno", "cividis", "magma", "gray", "RdBu_r",
)  # fmt: skip
_CLASS_PALETTES = ("tab10", "Set1", "Dark2", "tab20")


def facts_of(
    views: Sequence[Recording],
    kept: Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
    options: PageOptions = PAGE_DEFAULTS,
) -> dict[str, Any]:
    """Return what a player must know of recordings but for their maps; docs/player.md lists it.

    Parameters
    ----------
    views : sequence of Recording
        That do not grow meanwhile, with at least one snapshot each.
    kept : sequence of sequence of int
        Which snapshots of each are shown.
    names : sequence of str, optional
    options : PageOptions
        All of them, which ``check_page`` has accepted.

    Returns
    -------
    dict
        As JSON can hold it.

    Raises
    ------
    ValueError, TypeError
        If an option does not fit the recordings.
    """
    for view in views:
        check_interpolation(options["interpolation"], view.output.has_classes)
        Counter(view, options["counter"])  # Raises if it shows steps that are not known.
    stops = _stops(options["ask"], views[0], kept[0])
    mode, counter, cmap = options["mode"], options["counter"], options["cmap"]
    shown = find_mode(mode)
    if not views[0].output.has_classes and isinstance(mode, str) and mode == "region":
        shown = find_mode("values" if views[0].output.has_value else "probability")
    return {
        "title": options["title"] or "", "subtitle": options["subtitle"] or "",
        "dark": options["dark"],
        "mode": shown.name, "levels": list(shown.levels), "note": _note(shown),
        "of": _column(shown, views[0]), "part": _part(shown, views[0]),
        "top": shown.top_k if isinstance(shown, Region) else None,
        "outline": isinstance(shown, Region) and shown.outline, "spread": _spread(views),
        "interpolation": options["interpolation"], "shade": options["shade"],
        "counter": counter if isinstance(counter, str) else None, "ask": stops,
        "marks": [[float(time), text] for time, text in (options["annotate"] or {}).items()],
        "seconds": options["seconds"] or min(30.0, max(6.0, len(kept[0]) / 10)),
        "palettes": _palettes(max(view.n_classes for view in views), options["palette"]),
        "scales": _scales(cmap), "scale": None if cmap is None else "film",
        "recordings": [
            _facts(view, picked, names[k] if names else "", options)
            for k, (view, picked) in enumerate(zip(views, kept, strict=True))
        ],
    }  # fmt: skip


def _note(mode: Mode) -> str:
    if type(mode) in _PAINTED:
        return ""
    return (
        f"The film's mode, {mode.name}, is painted by Python only; the page shows the built-in "
        "modes."
    )


def _column(mode: Mode, recording: Recording) -> int | None:
    """Return the class that the mode shows, if it is one of a single class."""
    if not isinstance(mode, Probability):
        return None
    if mode.of is None and (recording.n_classes > 2 or recording.output.has_labels):
        return 0
    return class_index(mode.of, recording.n_classes, recording, "Probability")


def _part(mode: Mode, recording: Recording) -> int | None:
    """Return the class whose probability is subtracted; None if it is not one class."""
    if not isinstance(mode, Difference) or mode.of is None:
        return None
    return class_index(mode.of, recording.n_classes, recording, "Difference")


def _spread(views: Sequence[Recording]) -> float | None:
    """Return the largest difference of the values of the first two recordings, if they have any."""
    if len(views) < 2 or not views[0].output.has_value:
        return None
    colors = Palette.of(views[0].n_classes)
    bound = Difference(views[1]).bound(views[0].n_classes, colors, recording=views[0])
    return float(bound.limits[1])


def _doubt(recording: Recording) -> dict[str, Any] | None:
    """Return where the map is a guess, as 100 times its doubt, row 0 at the lower end."""
    doubt = recording.domain.doubt
    if doubt is None or doubt.max() < 1:
        return None
    coded = np.round(100 * np.minimum(doubt, 2)).astype(np.uint8)
    return {"shape": list(doubt.shape), "values": as_base64(coded.tobytes())}


def _stops(ask: Sequence[int], recording: Recording, picked: Sequence[int]) -> list[int]:
    """Return the epochs of the page that are nearest to those at which it is to ask."""
    if not len(ask):
        return []
    if recording.output is not OutputKind.PROBABILITIES:
        raise ValueError(f"ask={ask!r}: only recordings of class probabilities have lessons")
    epochs = np.unique(recording.epochs[list(picked)])
    for stop in ask:
        if not epochs[0] <= stop < epochs[-1]:
            raise ValueError(
                f"ask={ask!r}: at epoch {stop} nothing is to come; the page shows epochs "
                f"{epochs[0]} to {epochs[-1]}"
            )
    nearest = {int(epochs[:-1][np.abs(epochs[:-1] - stop).argmin()]) for stop in ask}
    return sorted(nearest)


def _facts(
    recording: Recording, picked: Sequence[int], name: str, options: PageOptions
) -> dict[str, Any]:
    domain = recording.domain
    x0, x1, y0, y1 = (float(end) for end in domain.extent)
    aspect = options["aspect"]
    if aspect is None:
        ratio = domain.ratio
        aspect = "equal" if ratio is not None and 0.5 < ratio < 2 else "auto"
    labels = domain.axis_names
    columns = columns_of(recording, picked, options)
    predictions = columns.pop("predictions")
    points = _points(recording, options) if options["points"] else None
    return {
        "name": name,
        "output": str(recording.output.value),
        "classes": recording.class_names,
        "shape": list(domain.shape),
        "xlim": [x0, x1], "ylim": [y0, y1],
        "xlabel": options["xlabel"] or labels[0] or "",
        "ylabel": options["ylabel"] or labels[1] or "",
        "aspect": aspect,
        "axes": [axis.stored() for axis in domain.axes],
        "unit": recording.unit,
        "points": points and {**points, "predictions": predictions},
        "anchors": None if domain.anchors is None else np.asarray(domain.anchors).tolist(),
        "thumbnails": [_png(image) for image in thumbnails(domain) or []] or None,
        "limits": limits_of(recording, picked),
        "doubt": _doubt(recording),
        # Of two classes neither is left without a colour, so that no map is read for their order.
        "order": by_area(recording).tolist()
        if recording.output is OutputKind.PROBABILITIES and recording.n_classes > 2 else None,
        "total": len(recording),
        "curves": curves_of(recording, picked, options["metrics"]),
        **columns,
    }  # fmt: skip


def curves_of(
    recording: Recording, picked: Sequence[int], metrics: bool | Sequence[str] = True
) -> dict[str, Any] | None:
    """Return the metrics of all moments between some snapshots, captured or not.

    Parameters
    ----------
    recording : Recording
    picked : sequence of int
        All snapshots that the player knows.
    metrics : bool or sequence of str
        As for :func:`trainviz.animate`.

    Returns
    -------
    dict or None
        ``places``, fractional indices into ``picked``, and ``metrics``; None if the
        snapshots have them all.
    """
    history, rows = recording.history, list(picked)
    if len(history) <= len(rows) or len(rows) < 2:
        return None
    times, own = history_places(recording, history), positions(recording)[rows]
    # The last snapshot of an epoch counts as its end.
    known, last = np.unique(own[::-1], return_index=True)
    within = np.flatnonzero((times >= known[0]) & (times <= known[-1]))
    within = within[np.unique(np.linspace(0, len(within) - 1, _MOST_MOMENTS).astype(int))]
    names = history.metrics if metrics is True else _flat(metrics or ())
    return {
        "places": _numbers(np.interp(times[within], known, len(own) - 1.0 - last)),
        "metrics": {
            name: _numbers(history.metrics[name][within])
            for name in names if name in history.metrics
        },
    }  # fmt: skip


_MOST_MOMENTS = 2000
"""More than a strip has pixels."""


def columns_of(
    recording: Recording,
    picked: Sequence[int],
    options: PageOptions = PAGE_DEFAULTS,
) -> dict[str, Any]:
    """Return what a player must know of each of some snapshots.

    Parameters
    ----------
    recording : Recording
    picked : sequence of int
    options : PageOptions
        All of them.

    Returns
    -------
    dict
        ``epochs``, ``steps``, ``metrics`` and ``predictions``.
    """
    rows, metrics = list(picked), options["metrics"]
    shown = recording.metrics
    if metrics is not True:
        # Not every metric is known at a snapshot: some were logged between them, or come later.
        blank = np.full(len(recording), np.nan)
        shown = {name: shown.get(name, blank) for name in _flat(metrics or ())}
    steps = recording.steps[rows]
    return {
        "epochs": recording.epochs[rows].tolist(),
        "steps": steps.tolist() if np.isfinite(steps).all() else None,
        "metrics": {key: _numbers(values[rows]) for key, values in shown.items()},
        "predictions": _predictions(recording, rows, options),
    }


def _flat(metrics: Sequence[Any]) -> list[str]:
    parts = [metrics] if isinstance(metrics, str) else metrics
    return [name for part in parts for name in ([part] if isinstance(part, str) else part)]


def _numbers(values: npt.NDArray[Any], digits: int = 6) -> list[float | None]:
    """Return numbers as JSON has them; what is no finite number is null."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]


def _points(recording: Recording, options: PageOptions) -> dict[str, Any] | None:
    data = recording.data
    if data is None or not len(data.points):
        return None
    kept = _kept_points(recording, options)
    rows = np.arange(len(data.points)) if kept is None else kept
    labels, faint = recording.data_labels, data_points.opacities(recording)[rows]
    places = {int(row): place for place, row in enumerate(rows)}
    picked = highlights_of(recording, options["highlight"])
    facts: dict[str, Any] = {
        "x": _numbers(data.points[rows, 0]), "y": _numbers(data.points[rows, 1]),
        "labels": None if labels is None else labels[rows].tolist(),
        "opacity": None if faint.min() == 1 else _numbers(faint, 3),
        "targets": None,
        "groups": None if data.groups is None else data.groups[rows].tolist(),
        "groupNames": list(data.group_names),
        # Of a sample, the rows of the data that are in it.
        "rows": None if kept is None else kept.tolist(), "total": len(data.points),
        "errors": options["errors"],
        "highlights": [[places[index], label] for index, label in picked if index in places],
    }  # fmt: skip
    if recording.output is OutputKind.VALUES:
        facts["targets"] = _numbers(data.y[rows])
    elif recording.output is OutputKind.MULTILABEL:
        facts["targets"] = data.y[rows].tolist()
    return facts


def _kept_points(recording: Recording, options: PageOptions) -> npt.NDArray[np.intp] | None:
    """Return which of too many points are shown, as in a film; None if all are."""
    scene = scene_of(options)
    if data_points.points_text(recording, scene) is None:
        return None
    return np.flatnonzero(data_points.points_shown(recording, scene))


def _predictions(recording: Recording, picked: Sequence[int], options: PageOptions) -> str | None:
    labels = recording.data_labels
    if labels is None or not len(labels):
        return None
    guesses = [recording.data_predictions(index) for index in picked]
    if all(guess is None for guess in guesses):
        return None
    # The type's largest number says that a snapshot has no predictions.
    unknown = np.full(len(labels), 65535)
    table = np.stack([unknown if guess is None else guess for guess in guesses])
    kept = _kept_points(recording, options)
    return as_base64((table if kept is None else table[:, kept]).astype("<u2").tobytes())


def limits_of(recording: Recording, picked: Sequence[int]) -> list[float] | None:
    """Return the lowest and the highest value of snapshots; None of a classifier's."""
    if recording.output is not OutputKind.VALUES:
        return None
    maps = [recording[index].probabilities for index in picked]
    low, high = float(min(m.min() for m in maps)), float(max(m.max() for m in maps))
    return [low, high] if high > low else [low - 0.5, high + 0.5]


def _palettes(n_classes: int, palette: Any) -> dict[str, list[list[int]]]:
    shown = min(n_classes, 256)
    found: dict[str, list[list[int]]] = {}
    if isinstance(palette, np.ndarray):
        found["film"] = palette[:shown].tolist()
    elif palette is not None:
        found["film"] = class_colors(shown, palette).tolist()
    found["default"] = class_colors(shown).tolist()
    for name in _CLASS_PALETTES:
        try:
            found[name] = class_colors(shown, name).tolist()
        except ValueError:
            continue
    return {
        key: [colors[k % len(colors)] for k in range(n_classes)] for key, colors in found.items()
    }


def _scales(cmap: Any) -> dict[str, str]:
    found = {name: sequential_table(name) for name in _SCALES}
    if cmap is not None:
        own = cmap if isinstance(cmap, np.ndarray) else sequential_table(cmap)
        found = {"film": own, **found}
    return {name: table.tobytes().hex() for name, table in found.items()}


def _png(image: npt.NDArray[np.float64]) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.round(255 * image).astype(np.uint8)).save(file, "PNG")
    return f"data:image/png;base64,{as_base64(file.getvalue())}"
