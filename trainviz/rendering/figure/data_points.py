"""The data points over a map, and the rings around the misclassified ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.parts import Layout

__all__ = [
    "FAINTEST",
    "any_faint",
    "draw_points",
    "draw_wrong_points",
    "points_shown",
    "ring_styles",
]

FAINTEST = 0.35
"""The opacity of points far from the plane: their colour can still be told."""

_ROUNDING = 1e-9
"""Of the window: no more than rounding makes of a point that lies in the plane."""


def draw_points(layout: Layout, recording: Recording, mode: Mode) -> None:
    """Draw the recording's data in the mode's colours, far from the plane fainter."""
    assert recording.data is not None
    from matplotlib.colors import to_rgba_array

    shown = points_shown(recording)
    shown_opacities = opacities(recording)
    # The nearest last, so that they lie over the others.
    order = np.flatnonzero(shown)[np.argsort(shown_opacities[shown], kind="stable")]
    points, colors = recording.data.points[order], mode.point_colors(recording)[order] / 255.0
    layout.ax.scatter(
        points[:, 0], points[:, 1], c=to_rgba_array(colors, shown_opacities[order]),
        s=_point_area(layout, len(points)),
        edgecolors=to_rgba_array([layout.theme.point_edge] * len(order), shown_opacities[order]),
        linewidths=(0.7 if len(points) <= 1000 else 0.3) * layout.marker_scale, zorder=5,
    )  # fmt: skip


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
