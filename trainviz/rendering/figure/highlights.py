"""Points of the data that are picked out, with labels beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.domain.labelled_data import LabelledData
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.parts import Layout
from trainviz.rendering.figure.texts import prepare_texts

__all__ = ["draw_highlights", "highlights_of"]

_EXPECTED = (
    "expected indices of points, a mask with an entry for each point, a dict of index to label, or "
    'a dict of such by group, e.g. {"test": [3, 17]}'
)


def highlights_of(recording: Recording, highlight: Any) -> list[tuple[int, str]]:
    """Return the index of each highlighted point of a recording's data, and its label.

    Parameters
    ----------
    recording : Recording
    highlight : sequence of int, mask, mapping, or None
        See :func:`trainviz.animate`.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or no such point is there.
    """
    if highlight is None:
        return []
    data = recording.data
    if data is None:
        raise ValueError(
            f"highlight={highlight!r}: the recording has no data; give data= to the recorder"
        )
    if isinstance(highlight, Mapping) and any(isinstance(key, str) for key in highlight):
        return [
            (int(rows[index]), label)
            for name, part in highlight.items()
            for rows in [_rows_of(data, name)]
            for index, label in _picked(part, len(rows), f"highlight[{name!r}]")
        ]
    return _picked(highlight, len(data.points), "highlight")


def _rows_of(data: LabelledData, name: Any) -> npt.NDArray[np.intp]:
    groups = dict(data.in_groups())
    if name not in groups or not name:
        known = list(data.group_names) or "none: data=(X, y) is one group without a name"
        raise ValueError(f"highlight: the data has no group {name!r}; its groups are {known}")
    return groups[name]


def _picked(part: Any, count: int, where: str) -> list[tuple[int, str]]:
    if isinstance(part, Mapping):
        labels = {index: str(label) for index, label in part.items()}
        return [(index, labels[index]) for index in _indices([*part], count, where)]
    return [(index, str(index)) for index in _indices(part, count, where)]


def _indices(part: Any, count: int, where: str) -> list[int]:
    try:
        given = np.asarray(part)
    except ValueError:
        given = np.empty((1, 1))
    if given.ndim != 1 or (given.dtype.kind not in "biu" and len(given)):
        raise TypeError(f"{where}={part!r}: {_EXPECTED}")
    if given.dtype.kind == "b":
        if len(given) != count:
            raise ValueError(
                f"{where}: the mask has {len(given)} entries for {count} points; {_EXPECTED}"
            )
        return [int(index) for index in np.flatnonzero(given)]
    beyond = [int(index) for index in given if not -count <= index < count]
    if beyond:
        raise ValueError(f"{where}: there is no point {beyond[0]} among {count}; {_EXPECTED}")
    return [int(index) % count for index in given]


def draw_highlights(layout: Layout, recording: Recording, highlight: Any) -> None:
    """Put a ring around highlighted points, and their labels where they cover least.

    The axes must have their final place: labels are laid out in pixels.
    """
    picked = highlights_of(recording, highlight)
    if not picked:
        return
    assert recording.data is not None
    from matplotlib.patheffects import withStroke

    x0, x1, y0, y1 = recording.domain.extent
    ax, theme, scale = layout.ax, layout.theme, max(layout.marker_scale, 0.5)
    points = recording.data.points
    inside = [
        (index, label) for index, label in picked
        if x0 <= points[index, 0] <= x1 and y0 <= points[index, 1] <= y1
    ]  # fmt: skip
    places = points[[index for index, _ in inside]]
    for color, wide in ((theme.background, 3.2), (theme.accent, 1.6)):
        ax.scatter(
            places[:, 0], places[:, 1], s=110 * scale, facecolors="none", edgecolors=color,
            linewidths=wide * scale**0.5, zorder=7,
        )  # fmt: skip
    if len(inside) > _MOST_LABELS:
        return
    every = ax.transData.transform(points)
    dots, box = ax.figure.dpi / 72, ax.get_window_extent()
    taken: list[npt.NDArray[np.float64]] = []
    labels: list[Any] = []
    for index, label in inside:
        size = layout.style.tick if layout.style.name else 8.5 * scale**0.5
        extent = np.array([0.62 * size * len(label), 1.1 * size]) * dots
        place = every[index]
        away = (5.5 * scale**0.5 + 1.5) * dots
        corner = _best_corner(place, extent, away, every, taken, box)
        # Where there is no room beside the point, a line leads to it.
        far = np.maximum(np.maximum(corner - place, place - corner - extent), 0).max() > 1.5 * away
        line = {"arrowstyle": "-", "color": theme.accent, "shrinkA": 0, "shrinkB": 5 * scale**0.5}
        taken.append(np.array([corner, corner + extent]))
        text = ax.annotate(
            label, points[index], xytext=(corner + extent / 2 - place) / dots,
            textcoords="offset points", ha="center", va="center", size=size, weight="bold",
            color=theme.foreground, zorder=8, annotation_clip=False,
            arrowprops=line if far else None,
            path_effects=[withStroke(linewidth=2.4, foreground=theme.background)],
        )  # fmt: skip
        labels.append(text)
    prepare_texts(ax.figure, labels)


_MOST_LABELS = 40
"""More would hide the map and each other; then there are rings alone."""


def _best_corner(
    place: npt.NDArray[np.float64],
    extent: npt.NDArray[np.float64],
    away: float,
    points: npt.NDArray[np.float64],
    taken: Iterable[npt.NDArray[np.float64]],
    box: Any,
) -> npt.NDArray[np.float64]:
    """Return the lower left corner of a label beside a point, in pixels.

    Of eight places around it, near or farther off, it is the one that is in the map, and
    covers fewest labels and points.
    """
    width, height = extent
    tries = [
        (place + offset, number)
        for number, gap in enumerate(away * np.array([1.0, 2.2, 3.4]))
        for offset in (
            (gap, -height / 2), (-gap - width, -height / 2),
            (-width / 2, gap), (-width / 2, -gap - height),
            (0.7 * gap, 0.7 * gap), (0.7 * gap, -0.7 * gap - height),
            (-0.7 * gap - width, 0.7 * gap), (-0.7 * gap - width, -0.7 * gap - height),
        )
    ]  # fmt: skip

    def cost(tried: tuple[npt.NDArray[np.float64], int]) -> float:
        low, high = tried[0], tried[0] + extent
        outside = (
            np.maximum((box.x0, box.y0) - low, 0) + np.maximum(high - (box.x1, box.y1), 0)
        ).sum()
        covered = ((points >= low - 2) & (points <= high + 2)).all(axis=1).sum()
        met = sum(bool(((low < other[1]) & (high > other[0])).all()) for other in taken)
        return float(1e6 * outside + 1e3 * met + covered + 10 * tried[1])

    best: npt.NDArray[np.float64] = min(tries, key=cost)[0]
    return best
