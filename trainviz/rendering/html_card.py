"""The HTML representation of a recording in Jupyter: a small table, and a few of its maps."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from contextlib import suppress
from html import escape

import numpy as np

from trainviz._common.arrays import Image
from trainviz.errors import RecordingError
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import quality_of
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.animation import animate
from trainviz.rendering.captions import Counter

__all__ = ["recording_card"]

_MAPS = 5
_HEIGHT = 96
_NAMES = 8


def recording_card(recording: Recording) -> str:
    """Return a recording as HTML.

    At most five snapshots are read, whatever the recording's length.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    str
        Tables only, without styles or scripts.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
    >>> _ = recorder.capture(lambda X: X[:, :1], epoch=3)
    >>> "<th>epochs</th><td>3</td>" in recording_card(recorder.recording)
    True
    """
    rows = "".join(
        f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in _rows(recording)
    )
    # A multi-label recording has one map a label, of which none represents the others.
    shown = len(recording) and not recording.output.has_labels
    return f"<table>{rows}</table>{_strip(recording) if shown else ''}"


def _rows(recording: Recording) -> Iterator[tuple[str, str]]:
    yield "snapshots", str(len(recording))
    if len(recording):
        first, last = recording.epochs[[0, -1]].tolist()
        if recording.unit:
            yield f"{recording.unit}s", str(first) if first == last else f"{first} to {last}"
    yield _held(recording)
    domain = recording.domain
    height, width = domain.shape
    x, y = (axis.describe(ends) for axis, ends in zip(domain.axes, (domain.xlim, domain.ylim),
                                                      strict=True))  # fmt: skip
    yield "grid", f"{height} x {width}, x {x}, y {y}"
    # Of a damaged snapshot it is not known; which one, is said when it is drawn.
    with suppress(RecordingError):
        quality = quality_of(recording)
        if quality is not None:
            yield "maps", quality
    if recording.data is not None:
        yield "data", recording.data.counted()
    known = {name: values[np.isfinite(values)] for name, values in recording.metrics.items()}
    last_values = [f"{name} {values[-1]:.4g}" for name, values in known.items() if len(values)]
    yield "metrics", f"{', '.join(last_values)} (the last)" if last_values else "none"


def _held(recording: Recording) -> tuple[str, str]:
    names = recording.class_names
    if recording.output.has_value:
        return "value", "".join(names)
    kind = recording.output.plural
    if not names:
        return kind, "unknown yet"
    return kind, f"{len(names)}: {', '.join(names[:_NAMES])}{', ...' if names[_NAMES:] else ''}"


def _strip(recording: Recording) -> str:
    """Return a few maps, a column each, over their epochs."""
    try:
        pictures = list(_pictures(recording))
    except ValueError:
        # With a damaged snapshot, or more classes than colours, only the table is shown.
        return ""
    shown = "".join(f'<td><img src="data:image/png;base64,{data}"></td>' for data, _ in pictures)
    told = "".join(f"<td>{title}</td>" for _, title in pictures)
    return f"<table><tr>{shown}</tr><tr>{told}</tr></table>"


def _pictures(recording: Recording) -> Iterator[tuple[str, str]]:
    """Yield a PNG in base64 and its title, for each of a few snapshots."""
    mode = "values" if recording.output.has_value else "region"
    # Only these are animated, so that the mode values need not read all others for its limits.
    few = recording.thin(max(1, math.ceil((len(recording) - 1) / (_MAPS - 1))))
    width = round(_HEIGHT * min(max(recording.domain.ratio or 1.0, 0.5), 2))
    paint, counter = animate(few, mode=mode).painter((_HEIGHT, width)), Counter(few)
    for index in range(len(few)):
        moment = Moment(index, 0.0)
        yield _png(paint(moment)), counter.text(moment)


def _png(picture: Image) -> str:
    from PIL import Image as Pillow

    file = io.BytesIO()
    Pillow.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
