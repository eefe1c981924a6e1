"""The data points over a map, and the marks of the misclassified ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.highlights import highlights_of
from trainviz.rendering.figure.options import MOST_POINTS, SceneOptions
from trainviz.rendering.figure.parts import Layout

__all__ = [
    "FAINTEST",
    "Marker",
    "any_faint",
    "draw_points",
    "draw_wrong_points",
    "error_styles",
    "fades",
    "mark_strength",
    "marker_of",
    "points_shown",
    "points_text",
]

FAINTEST = 0.35
"""The opacity of points far from the plane: their colour can still be told."""

_FADED = 0.2
"""The opacity of points that are classified correctly, where those that are not stand out."""

_ROUNDING = 1e-9
"""Of the window: no more than rounding makes of a point that lies in the plane."""

_INK, _PAPER = "#222222", "#ffffff"
"""The tones of outlines: one of them is told from any ground."""

_FEW_WRONG = 40
"""Up to so many errors are marked in full; with more, marks become smaller and fainter."""


class Marker(NamedTuple):
    """What tells a group of points: a shape of matplotlib, filled or hollow."""

    shape: str
    hollow: bool


def marker_of(group: int) -> Marker:
    """Return the marker of a group: filled, hollow, then other shapes, then those hollow.

    Examples
    --------
    >>> [marker_of(group) for group in range(3)]
    [Marker(shape='o', hollow=False), Marker(shape='o', hollow=True), Marker(shape='^', hollow=...)]
    """
    return _MARKERS[group % len(_MARKERS)]


_SHAPES = "^sDvPX"
_MARKERS = [
    Marker("o", hollow=False),
    Marker("o", hollow=True),
    *(Marker(shape, hollow) for hollow in (False, True) for shape in _SHAPES),
]


def draw_points(
    layout: Layout,
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    wrong: npt.NDArray[np.bool_] | None = None,
) -> list[Any]:
    """Draw the recording's data in the mode's colours, far from the plane fainter.

    An outline, and around it a halo of the figure's ground, keep a point apart from ground
    of its own colour.

    Parameters
    ----------
    layout : Layout
    recording : Recording
    mode : Mode
    options : SceneOptions
    wrong : ndarray of bool, shape (n,), optional
        If given, the other points are drawn faint.

    Returns
    -------
    list of matplotlib.artist.Artist
        In the order in which they are drawn.
    """
    assert recording.data is not None
    shown, opacity = points_shown(recording, options), opacities(recording)
    if wrong is not None:
        opacity = np.where(wrong, opacity, _FADED * opacity)
    colors = mode.point_colors(recording)
    drawn: list[Any] = []
    for group, (_, rows) in enumerate(recording.data.in_groups()):
        # The nearest last, so that they lie over the others.
        rows = rows[shown[rows]]
        order = rows[np.argsort(opacity[rows], kind="stable")]
        drawn += _draw_group(
            layout, recording.data.points[order], colors[order], opacity[order], mode,
            marker_of(group), int(shown.sum()),
        )  # fmt: skip
    return drawn


def _draw_group(
    layout: Layout,
    points: npt.NDArray[np.float64],
    colors: npt.NDArray[np.uint8],
    opacity: npt.NDArray[np.float64],
    mode: Mode,
    marker: Marker,
    n_shown: int,
) -> list[Any]:
    from matplotlib.colors import to_rgba_array

    diameter = np.sqrt(_point_area(layout, n_shown)) * _SIZES.get(marker.shape, 1.0)
    line = 0.1 * np.sqrt(_point_area(layout, n_shown))
    outline = to_rgba_array(_outlines(layout, colors, mode), opacity)
    faces = to_rgba_array(colors / 255.0, opacity)
    paper = to_rgba_array([layout.theme.background] * len(points), opacity)

    def scatter(size: float, inside: Any, around: Any = "none", wide: float = 0.0) -> Any:
        return layout.ax.scatter(
            points[:, 0], points[:, 1], s=size**2, c=inside, edgecolors=around, linewidths=wide,
            marker=marker.shape, zorder=5,
        )  # fmt: skip

    # Of faint points the halo would be all that is seen.
    halo = to_rgba_array([layout.theme.background] * len(points), opacity**2)
    drawn = [scatter(diameter + (1.5 + 2.5 * _freedom(layout, n_shown)) * line, halo)]
    if not marker.hollow:
        return [*drawn, scatter(diameter, faces, outline, line)]
    ring = 0.26 * diameter
    return [
        *drawn,
        scatter(diameter + line, outline),
        scatter(diameter - ring, paper, faces, ring),
    ]


def _freedom(layout: Layout, count: int) -> float:
    """Return from 1, of few points on a large map, to 0, of many, whose halos would hide it."""
    side = 72 * 5 * layout.marker_scale / layout.style.marks
    covered = count * _point_area(layout, count) / side**2
    return min(1.0, 0.012 / covered) if covered else 1.0


_SIZES = {"^": 1.15, "v": 1.15, "D": 0.9, "s": 0.95, "P": 1.2, "X": 1.2}
"""Diameters of shapes beside that of a disc, so that they look equally large."""


def _outlines(layout: Layout, colors: npt.NDArray[np.uint8], mode: Mode) -> list[str]:
    """Return black or white for each point, whichever stands out from its own ground.

    That is the shade of its class where a mode shows classes. Elsewhere the ground has any
    colour, and outlines are to be told from the halo or from the point itself.
    """
    if mode.guide == "classes" and len(colors):
        kinds, index = np.unique(colors, axis=0, return_inverse=True)
        ground = np.array([mode.certain(color) for color in kinds])[index.reshape(-1)]
        bright = _luminance(ground) > _MIDDLE
    else:
        bright = (_luminance(colors) > _MIDDLE) | (not layout.theme.is_dark)
    return [_INK if light else _PAPER for light in bright]


_MIDDLE = 0.18
"""Black and white are told equally well from a ground of this luminance."""


def _luminance(colors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the relative luminance of sRGB colours, 0 to 1 (WCAG 2)."""
    share = colors / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    found: npt.NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return found


def opacities(recording: Recording) -> npt.NDArray[np.float64]:
    """Return how opaque each data point is drawn: 1 in the plane, at least ``FAINTEST`` away."""
    assert recording.data is not None
    distances = recording.data.distances
    x0, x1, y0, y1 = recording.domain.extent
    if distances is None or not len(distances):
        return np.ones(len(recording.data.points))
    far = float(np.quantile(distances, 0.95))
    if far <= _ROUNDING * max(x1 - x0, y1 - y0):
        return np.ones(len(distances))
    opacities: npt.NDArray[np.float64] = 1 - (1 - FAINTEST) * np.minimum(distances / far, 1)
    return opacities


def any_faint(recording: Recording) -> bool:
    """Tell whether some of the recording's data is drawn fainter than the rest."""
    return bool(opacities(recording).min(initial=1) < 1)


def points_shown(recording: Recording, options: SceneOptions) -> npt.NDArray[np.bool_]:
    """Tell which points of the recording's data are drawn.

    Those in the window, its edge included; of more than ``max_points`` those that are
    highlighted and a sample, in which every class of every group has its share.
    """
    assert recording.data is not None
    inside = _inside(recording)
    limit = options.get("max_points", MOST_POINTS)
    if limit is None or inside.sum() <= limit:
        return inside
    shown, labels = np.zeros(len(inside), dtype=bool), recording.data_labels
    for index, _ in highlights_of(recording, options.get("highlight")):
        shown[index] = inside[index]
    rows = np.flatnonzero(inside & ~shown)
    strata = np.zeros(len(inside), np.intp) if labels is None else labels
    if recording.data.groups is not None:
        strata = strata + (strata.max() + 1) * recording.data.groups
    shown[_sampled(rows, strata[rows], max(limit - int(shown.sum()), 0))] = True
    return shown


def points_text(recording: Recording, options: SceneOptions) -> str | None:
    """Say how many of the points in the window are drawn; None if all are."""
    shown, inside = int(points_shown(recording, options).sum()), int(_inside(recording).sum())
    return None if shown == inside else f"{shown:,} of {inside:,} points"


def _inside(recording: Recording) -> npt.NDArray[np.bool_]:
    assert recording.data is not None
    x0, x1, y0, y1 = recording.domain.extent
    x, y = recording.data.points.T
    inside: npt.NDArray[np.bool_] = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def _sampled(
    rows: npt.NDArray[np.intp], strata: npt.NDArray[np.intp], limit: int
) -> npt.NDArray[np.intp]:
    """Return ``limit`` of the rows, of each stratum its share and, if there is room, one at least.

    They are always the same: the first in the order of a hash of the row numbers.
    """
    kinds, index, counts = np.unique(strata, return_inverse=True, return_counts=True)
    exact = limit * counts / len(rows)
    quota = np.floor(exact).astype(np.intp)
    if len(kinds) <= limit:
        quota = np.maximum(quota, 1)
    while quota.sum() > limit:
        quota[np.argmax(quota - exact)] -= 1
    for stratum in np.argsort(quota - exact, kind="stable")[: limit - quota.sum()]:
        quota[stratum] += 1
    mixed = rows.astype(np.uint64) * np.uint64(11400714819323198485)
    order = np.lexsort((mixed, index))
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(rows)) - np.repeat(starts, counts)
    return rows[order[rank < np.repeat(quota, counts)]]


def fades(recording: Recording, options: SceneOptions) -> bool:
    """Tell whether the points that are drawn faint change from snapshot to snapshot."""
    return options.get("errors", "ring") == "fade" and recording.data_labels is not None


def draw_wrong_points(layout: Layout, points: Any, n_points: int, options: SceneOptions) -> None:
    """Mark misclassified points, so that their own colour stays visible."""
    for style in error_styles(layout, n_points, mark_strength(len(points)), options):
        layout.ax.scatter(points[:, 0], points[:, 1], zorder=6, **style)


def error_styles(
    layout: Layout, n_points: int, strength: float, options: SceneOptions
) -> Sequence[dict[str, Any]]:
    """Return the markers that tell a misclassified point, as ``scatter`` takes them.

    A ring or a cross, and before it one that is wider and of the ground's colour: it
    shows on maps of any colour. By their ``strength`` (see :func:`mark_strength`) they
    are the smaller and fainter the more there are, so that the map is seen where most
    points are wrong, as before training.
    """
    kind = options.get("errors", "ring")
    if kind not in ("ring", "cross"):
        return ()
    width = (0.55 + 0.75 * strength) * (1 if n_points <= 1000 else 0.75) * layout.marker_scale**0.5
    point = np.sqrt(_point_area(layout, n_points))
    size = point + (2.2 + 2.6 * strength) * layout.marker_scale**0.5
    mark: dict[str, Any] = {"s": size**2, "marker": "o", "facecolors": "none"}
    if kind == "cross":
        mark = {"s": (0.8 * size) ** 2, "marker": "x"}
    color = "edgecolors" if kind == "ring" else "color"
    return [
        {**mark, color: tone, "linewidths": wide, "alpha": strength}
        for tone, wide in (
            (layout.theme.background, width + 1.2 * strength * layout.marker_scale**0.5),
            (layout.theme.foreground, width),
        )
    ]


def mark_strength(n_wrong: int) -> float:
    """Return how strong the marks of so many errors are: 1 for few, in steps down to an eighth.

    Examples
    --------
    >>> [mark_strength(count) for count in (0, 40, 160, 10_000)]
    [1.0, 1.0, 0.5, 0.125]
    """
    exact = (_FEW_WRONG / max(n_wrong, 1)) ** 0.5
    return float(np.clip(np.round(16 * exact) / 16, 0.125, 1.0))


def _point_area(layout: Layout, count: int) -> float:
    """Marker area in points squared: smaller where there are many, or the panel is small."""
    return float(np.clip(5000 / max(count, 1), 6, 26)) * layout.marker_scale
