"""Write recordings and the player into one HTML page that works offline."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import class_map
from trainviz._common.output_kind import OutputKind
from trainviz._common.progress import progress_bar
from trainviz.evaluation.compact_map import CompactMap
from trainviz.evaluation.lattice import Lattice
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
from trainviz.recordings.packed import PackedMap, pack
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import positions
from trainviz.rendering.figure import data_points
from trainviz.rendering.figure.anchors import thumbnails
from trainviz.rendering.figure.highlights import highlights_of
from trainviz.rendering.figure.metric_strip import history_places
from trainviz.rendering.figure.options import MOST_POINTS, SceneOptions, check_scene
from trainviz.rendering.writers import check_path, finished_file

__all__ = [
    "SCENE",
    "bundle",
    "columns_of",
    "curves_of",
    "deflated",
    "document",
    "facts_of",
    "limits_of",
    "module_text",
    "packed_map",
    "page_of",
    "save_page",
    "static_text",
    "thinned",
    "worker_text",
]

MODULES = (
    "bytes.js", "lattice.js", "decode.js", "paint.js", "interpolate.js", "clock.js", "contours.js",
    "hash.js", "measure.js", "dom.js", "axes.js", "tasks.js", "store.js", "view.js", "charts.js",
    "source.js", "lesson.js", "player.js",
)  # fmt: skip
"""In an order in which each imports only from those before it."""

_PAINTED = (Region, Boundary, Entropy, Margin, Probability, Change, Difference, Values)

_WORKER = ("bytes.js", "lattice.js", "decode.js", "paint.js", "tasks.js")

_SCALES = (
    "plasma_r", "plasma", "viridis", "inferno", "cividis", "magma", "gray", "RdBu_r",
)  # fmt: skip
_CLASS_PALETTES = ("tab10", "Set1", "Dark2", "tab20")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="trainviz"><p class="tv-wait">Loading the recording &#8230;</p>
<noscript><p class="tv-wait">This page needs JavaScript, which is switched off here.</p>
</noscript></div>
{data}
<script type="text/plain" id="trainviz-worker">{worker}</script>
<script>{script}</script>
{maps}
</body>
</html>
"""


SCENE = ("xlabel", "ylabel", "aspect", "points", "max_points", "errors", "highlight")
"""The options of a page that concern what surrounds the map, and the points over it."""


def save_page(
    recordings: Recording | Sequence[Recording],
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Path:
    """Write a page, atomically.

    Parameters
    ----------
    recordings : Recording or sequence of Recording
        Several are shown side by side on one clock.
    path : path-like
        Ends in ``.html``.
    names : sequence of str, optional
        One a recording.
    limit : int, optional
        At most so many snapshots of each recording.
    progress : bool, optional
        Show a progress bar; default: if standard error is a terminal.
    **options
        As for :func:`page_of`.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the suffix is another, or an option is invalid.
    """
    target = check_path(path, (".html",))
    with progress_bar(target.name, "snapshot", shown=progress) as told:
        text = page_of(recordings, names=names, limit=limit, told=told, **options)
    with finished_file(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return target


def page_of(
    recordings: Recording | Sequence[Recording],
    *,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    title: str | None = None,
    subtitle: str | None = None,
    mode: str | type[Mode] | Mode = "region",
    palette: Any = None,
    cmap: Any = None,
    dark: bool | None = None,
    interpolation: str = "linear",
    seconds: float | None = None,
    shade: bool = True,
    xlabel: str | None = None,
    ylabel: str | None = None,
    aspect: str | None = None,
    points: bool = True,
    max_points: int | None = MOST_POINTS,
    errors: str | None = "ring",
    highlight: Any = None,
    metrics: bool | Sequence[str] = True,
    counter: bool | str = True,
    annotate: Mapping[float, str] | None = None,
    ask: Sequence[int] = (),
    by: str = "epoch",
    compact: bool = False,
    told: Callable[[int], Any] = lambda total: None,
) -> str:
    """Return a page as text.

    Parameters
    ----------
    recordings, names, limit
        As for :func:`save_page`.
    title, subtitle, palette, cmap, shade, xlabel, ylabel, aspect, metrics, counter
        As for :func:`trainviz.animate`.
    points, max_points, errors, highlight
        As for :func:`trainviz.animate`.
    annotate
        As for :func:`trainviz.animate`.
    mode : str, type or Mode
        Which is shown first. The page paints the built-in modes; it begins with
        another one if this is none of them, and says so.
    dark : bool, optional
        Default: as the reader's system prefers.
    interpolation : {"linear", "geometric", "smooth"}
    seconds : float, optional
        How long it plays; default by the number of snapshots.
    ask : sequence of int
        Epochs at which the page stops and asks the reader what will come.
    by : {"epoch", "step", "progress"}
        How several recordings are brought onto one clock at first.
    compact : bool
        As for :func:`document`.
    told : callable
        Called with the number of all snapshots, after each.

    Returns
    -------
    str
    """
    listed = [recordings] if isinstance(recordings, Recording) else list(recordings)
    if not listed:
        raise ValueError("recordings=[]: a page shows at least one recording")
    if names is not None and len(names) != len(listed):
        raise ValueError(f"names: {len(names)} for {len(listed)} recordings")
    if limit is not None and (isinstance(limit, bool) or not hasattr(limit, "__index__")):
        raise TypeError(f"limit={limit!r}: expected a whole number of snapshots")
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: expected at least 1 snapshot")
    whole = [recording[:] for recording in listed]
    given = [names[k] if names else "" for k in range(len(whole))]
    views = [view for view in whole if len(view)]
    shown = [name for name, view in zip(given, whole, strict=True) if len(view)]
    if not views:
        facts: dict[str, Any] = {"title": title or "", "recordings": []}
        return _written(facts, [], title or "trainviz", compact)
    kept = [_chosen(len(view), limit) for view in views]
    facts = facts_of(
        views, kept, shown, title=title or "", subtitle=subtitle or "", mode=mode,
        palette=palette, cmap=cmap, dark=dark, interpolation=interpolation, seconds=seconds,
        shade=shade, metrics=metrics, counter=counter, annotate=annotate, ask=ask,
        scene={
            "xlabel": xlabel, "ylabel": ylabel, "aspect": aspect, "points": points,
            "max_points": max_points, "errors": errors, "highlight": highlight,
        },
    )  # fmt: skip
    facts["by"] = by
    if len(views) < len(whole):
        empty = [name for name, view in zip(given, whole, strict=True) if not len(view)]
        facts["note"] = f"No snapshot was captured of {', '.join(empty)}. {facts['note']}".strip()
    return _written(facts, list(_maps(views, kept, told)), title or "trainviz", compact)


def facts_of(
    views: Sequence[Recording],
    kept: Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
    *,
    title: str = "",
    subtitle: str = "",
    mode: str | type[Mode] | Mode = "region",
    palette: Any = None,
    cmap: Any = None,
    dark: bool | None = None,
    interpolation: str = "linear",
    seconds: float | None = None,
    shade: bool = True,
    scene: Mapping[str, Any] = MappingProxyType({}),
    metrics: bool | Sequence[str] = True,
    counter: bool | str = True,
    annotate: Mapping[float, str] | None = None,
    ask: Sequence[int] = (),
) -> dict[str, Any]:
    """Return what a player must know of recordings but for their maps; docs/player.md lists it.

    Parameters
    ----------
    views : sequence of Recording
        That do not grow meanwhile, with at least one snapshot each.
    kept : sequence of sequence of int
        Which snapshots of each are shown.
    names : sequence of str, optional
    title, subtitle, mode, palette, cmap, dark, interpolation, seconds, shade, metrics, counter
        As for :func:`page_of`.
    annotate, ask
        As for :func:`page_of`.
    scene : mapping
        ``xlabel``, ``ylabel``, ``aspect``, ``points``, ``max_points``, ``errors`` and
        ``highlight``, as for :func:`page_of`.

    Returns
    -------
    dict
        As JSON can hold it.
    """
    check_scene(cast(SceneOptions, {**scene, "annotate": annotate}))
    stops = _stops(ask, views[0], kept[0])
    shown = find_mode(mode)
    if not views[0].output.has_classes and isinstance(mode, str) and mode == "region":
        shown = find_mode("values" if views[0].output.has_value else "probability")
    return {
        "title": title, "subtitle": subtitle, "dark": dark,
        "mode": shown.name, "levels": list(shown.levels), "note": _note(shown),
        "of": _column(shown, views[0]), "part": _part(shown, views[0]),
        "top": shown.top_k if isinstance(shown, Region) else None,
        "outline": isinstance(shown, Region) and shown.outline, "spread": _spread(views),
        "interpolation": interpolation, "shade": shade,
        "counter": counter if isinstance(counter, str) else None, "ask": stops,
        "marks": [[float(time), text] for time, text in (annotate or {}).items()],
        "seconds": seconds or min(30.0, max(6.0, len(kept[0]) / 10)),
        "palettes": _palettes(max(view.n_classes for view in views), palette),
        "scales": _scales(cmap), "scale": None if cmap is None else "film",
        "recordings": [
            _facts(view, picked, names[k] if names else "", scene, metrics)
            for k, (view, picked) in enumerate(zip(views, kept, strict=True))
        ],
    }  # fmt: skip


def _maps(
    views: list[Recording], kept: list[list[int]], told: Callable[[int], Any]
) -> Iterator[str]:
    """Yield the element that holds each snapshot's packed map."""
    total = sum(map(len, kept))
    for number, (view, picked) in enumerate(zip(views, kept, strict=True)):
        for place, index in enumerate(picked):
            yield (
                f'<script type="text/plain" class="trainviz-map" id="trainviz-{number}-{place}">'
                f"{_base64(packed_map(view, index))}</script>"
            )
            told(total)


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
    return {"shape": list(doubt.shape), "values": _base64(coded.tobytes())}


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


def _chosen(n: int, limit: int | None) -> list[int]:
    """Return which snapshots are kept: evenly spread, the first and the last among them."""
    if limit is None or limit >= n:
        return list(range(n))
    return (
        sorted({round(place) for place in np.linspace(0, n - 1, limit)}) if limit > 1 else [n - 1]
    )


def _facts(
    recording: Recording,
    picked: Sequence[int],
    name: str,
    scene: Mapping[str, Any],
    metrics: bool | Sequence[str],
) -> dict[str, Any]:
    domain = recording.domain
    x0, x1, y0, y1 = (float(end) for end in domain.extent)
    aspect = scene.get("aspect")
    if aspect is None:
        ratio = domain.ratio
        aspect = "equal" if ratio is not None and 0.5 < ratio < 2 else "auto"
    labels = domain.axis_names
    columns = columns_of(recording, picked, metrics, scene)
    predictions = columns.pop("predictions")
    points = _points(recording, scene) if scene.get("points", True) else None
    return {
        "name": name,
        "output": str(recording.output.value),
        "classes": recording.class_names,
        "shape": list(domain.shape),
        "xlim": [x0, x1], "ylim": [y0, y1],
        "xlabel": scene.get("xlabel") or labels[0] or "",
        "ylabel": scene.get("ylabel") or labels[1] or "",
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
        "curves": curves_of(recording, picked, metrics),
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
        As for :func:`page_of`.

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
    metrics: bool | Sequence[str] = True,
    scene: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what a player must know of each of some snapshots.

    Parameters
    ----------
    recording : Recording
    picked : sequence of int
    metrics : bool or sequence of str
        As for :func:`page_of`.
    scene : mapping
        As for :func:`facts_of`.

    Returns
    -------
    dict
        ``epochs``, ``steps``, ``metrics`` and ``predictions``.
    """
    rows = list(picked)
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
        "predictions": _predictions(recording, rows, scene),
    }


def _flat(metrics: Sequence[Any]) -> list[str]:
    parts = [metrics] if isinstance(metrics, str) else metrics
    return [name for part in parts for name in ([part] if isinstance(part, str) else part)]


def _numbers(values: npt.NDArray[Any], digits: int = 6) -> list[float | None]:
    """Return numbers as JSON has them; what is no finite number is null."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]


def _points(recording: Recording, scene: Mapping[str, Any]) -> dict[str, Any] | None:
    data = recording.data
    if data is None or not len(data.points):
        return None
    kept = _kept_points(recording, scene)
    rows = np.arange(len(data.points)) if kept is None else kept
    labels, faint = recording.data_labels, data_points.opacities(recording)[rows]
    places = {int(row): place for place, row in enumerate(rows)}
    picked = highlights_of(recording, scene.get("highlight"))
    facts: dict[str, Any] = {
        "x": _numbers(data.points[rows, 0]), "y": _numbers(data.points[rows, 1]),
        "labels": None if labels is None else labels[rows].tolist(),
        "opacity": None if faint.min() == 1 else _numbers(faint, 3),
        "targets": None,
        "groups": None if data.groups is None else data.groups[rows].tolist(),
        "groupNames": list(data.group_names),
        # Of a sample, the rows of the data that are in it.
        "rows": None if kept is None else kept.tolist(), "total": len(data.points),
        "errors": scene.get("errors", "ring"),
        "highlights": [[places[index], label] for index, label in picked if index in places],
    }  # fmt: skip
    if recording.output is OutputKind.VALUES:
        facts["targets"] = _numbers(data.y[rows])
    elif recording.output is OutputKind.MULTILABEL:
        facts["targets"] = data.y[rows].tolist()
    return facts


def _kept_points(recording: Recording, scene: Mapping[str, Any]) -> npt.NDArray[np.intp] | None:
    """Return which of too many points are shown, as in a film; None if all are."""
    options = cast(SceneOptions, scene)
    if data_points.points_text(recording, options) is None:
        return None
    return np.flatnonzero(data_points.points_shown(recording, options))


def _predictions(
    recording: Recording, picked: Sequence[int], scene: Mapping[str, Any]
) -> str | None:
    labels = recording.data_labels
    if labels is None or not len(labels):
        return None
    guesses = [recording.data_predictions(index) for index in picked]
    if all(guess is None for guess in guesses):
        return None
    # The type's largest number says that a snapshot has no predictions.
    unknown = np.full(len(labels), 65535)
    table = np.stack([unknown if guess is None else guess for guess in guesses])
    kept = _kept_points(recording, scene)
    return _base64((table if kept is None else table[:, kept]).astype("<u2").tobytes())


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
    return f"data:image/png;base64,{_base64(file.getvalue())}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def packed_map(recording: Recording, index: int) -> bytes:
    """Return a snapshot's map as a player reads it."""
    values = recording[index].map
    if isinstance(values, PackedMap):
        values = values.held()
    if not isinstance(values, CompactMap) and recording.output is OutputKind.PROBABILITIES:
        values = thinned(values)
    return pack(values, recording.output, grade="display")


def thinned(probabilities: npt.NDArray[np.float32]) -> CompactMap:
    """Keep the grid points of a dense map from which the others follow, to 1/255.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (C, H, W)

    Returns
    -------
    CompactMap

    Examples
    --------
    >>> y, x = np.mgrid[0:100, 0:100] / 10
    >>> p = 1 / (1 + np.exp(x - y))
    >>> found = thinned(np.stack([p, 1 - p]).astype(np.float32))
    >>> len(found.gaps) < 4000, float(np.abs(found.dense()[0] - p).max()) < 1 / 255
    (True, True)
    """
    n_classes, height, width = probabilities.shape
    lattice = Lattice.of((height, width))
    wanted = np.asarray(probabilities, dtype=np.float32)
    logs = np.log(np.maximum(wanted, _LOWEST)).reshape(n_classes, -1).T
    levels = lattice.first_levels(np.arange(height * width))
    known = levels == 0

    best = class_map(wanted)
    lead = np.diff(np.sort(wanted, axis=0)[-2:], axis=0)
    decided = (lead > _TIE).all(axis=0)

    def is_off(tolerance: float) -> npt.NDArray[np.bool_]:
        points = np.flatnonzero(known)
        shown = CompactMap.of((height, width), points, logs[points]).dense()
        far = (np.abs(shown - wanted) > tolerance).any(axis=0)
        found: npt.NDArray[np.bool_] = (far | (decided & (class_map(shown) != best))).ravel()
        return found

    # A level is interpolated from those before it, so each is decided in its turn; what a sharp
    # border hides from the coarse levels is added afterwards.
    for depth in range(1, lattice.levels + 1):
        known |= (levels == depth) & is_off(0.5 / 255)
    for _ in range(3):
        missed = is_off(1 / 255) & ~known
        if not missed.any():
            break
        known |= missed
    points = np.flatnonzero(known)
    return CompactMap.of((height, width), points, logs[points])


_LOWEST = 6e-6
"""Lower probabilities are shown as this."""

_TIE = 0.002
"""Where the two likeliest classes are nearer than this, either is shown."""


def _written(facts: dict[str, Any], maps: list[str], title: str, compact: bool) -> str:
    data = f'<script type="application/json" id="trainviz-facts">{_json(facts)}</script>'
    text, _ = document(
        MODULES, "startPage(document);", title=title, data=data, maps=maps, compact=compact
    )
    return text


def document(
    modules: Sequence[str],
    start: str,
    *,
    title: str,
    styles: Sequence[str] = ("style.css",),
    data: str = "",
    maps: Sequence[str] = (),
    sources: str = "",
    compact: bool = False,
) -> tuple[str, str]:
    """Return an HTML page with a player, and the policy that lets it do what it needs.

    Parameters
    ----------
    modules : sequence of str
        As for :func:`bundle`.
    start : str
        The JavaScript that starts it.
    title : str
    styles : sequence of str
        File names of stylesheets.
    data : str
        HTML that stands before the script, and ``maps`` what stands behind it.
    sources : str
        Further directives of the policy.
    compact : bool
        Compress the scripts, which the browser then unpacks into a blob.

    Returns
    -------
    page, policy : str

    Examples
    --------
    >>> page, policy = document(["bytes.js"], "canInflate();", title="<a>")
    >>> "<title>&lt;a&gt;</title>" in page, policy.split(";")[0] in page
    (True, True)
    """
    # Not a module, which would wait until the browser has read all maps.
    script = f'"use strict";\n(() => {{\n{bundle(modules)}\n{start}\n}})();\n'
    style = "".join(map(static_text, ("page.css", *styles)))
    worker = worker_text()
    if compact:
        script, worker = _UNPACKED_PAGE % (_UNPACK, deflated(worker), deflated(script)), ""
    blobs = " blob:" if compact else ""
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}'{blobs}; "
        f"style-src 'sha256-{_digest(style)}'; img-src data: blob:; worker-src blob:; "
        f"base-uri 'none'; form-action 'none'{sources}"
    )
    page = _PAGE.format(
        policy=policy, title=html.escape(title), style=style, data=data, worker=worker,
        script=script, maps="\n".join(maps),
    )  # fmt: skip
    return page, policy


def _json(facts: dict[str, Any]) -> str:
    """Return JSON that can stand within a script element."""
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    # Half a surrogate pair cannot be written as UTF-8.
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def worker_text() -> str:
    """Return the script of a worker that unpacks maps."""
    return bundle(_WORKER) + "\nlisten(self);\n"


def deflated(text: str) -> str:
    """Return a text as base64 of a raw deflate stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return _base64(packer.compress(text.encode()) + packer.flush())


def module_text(modules: Sequence[str], name: str) -> str:
    """Return a module that unpacks others and exports one of their names as its default."""
    return _UNPACKED_MODULE % (_UNPACK, deflated(bundle(modules) + f"\nexport default {name};\n"))


_TOO_OLD = (
    "This browser is too old to unpack the recording (it lacks DecompressionStream): please use a "
    "current Firefox, Chrome, Edge or Safari."
)

_UNPACK = f"""
const unpacked = async (coded) => {{
  if (typeof DecompressionStream === "undefined") throw new Error("{_TOO_OLD}");
  const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const text = await new Response(stream).text();
  return [text, URL.createObjectURL(new Blob([text], {{ type: "text/javascript" }}))];
}};
"""

_UNPACKED_PAGE = """(async () => {%s
const [worker] = await unpacked("%s");
document.getElementById("trainviz-worker").textContent = worker;
const script = document.createElement("script");
[, script.src] = await unpacked("%s");
document.body.append(script);
})().catch((error) => { document.querySelector(".tv-wait").textContent = error.message; });
"""

_UNPACKED_MODULE = """%s
let made;
try {
  const [, url] = await unpacked("%s");
  made = (await import(url)).default;
} catch (error) {
  made = { render: ({ el }) => { el.textContent = error.message; } };
}
export default made;
"""


def _digest(text: str) -> str:
    return _base64(hashlib.sha256(text.encode()).digest())


def static_text(name: str) -> str:
    """Return the text of a file of the player."""
    return resources.files("trainviz.player").joinpath("static", name).read_text(encoding="utf-8")


def bundle(modules: Sequence[str]) -> str:
    """Return modules as one, without their imports, exports and comments.

    Parameters
    ----------
    modules : sequence of str
        File names, each after those that it imports from.

    Returns
    -------
    str

    Examples
    --------
    >>> "export" in bundle(["bytes.js"]), "import" in bundle(["bytes.js", "lattice.js"])
    (False, False)
    """
    return "".join(_parts(modules))


def _parts(modules: Sequence[str]) -> Iterator[str]:
    for name in modules:
        text = re.sub(r"^import [^;]*;\n", "", static_text(name), flags=re.MULTILINE)
        # Types, comments and indentation are a third of all, and no string looks like them.
        text = re.sub(r"/\*\*((?!\*/).)*\*/ ?|^ *//[^\n]*\n", "", text, flags=re.M | re.S)
        text = re.sub(r"\n\s+", "\n", text)
        yield re.sub(r"^export ", "", text, flags=re.MULTILINE)
