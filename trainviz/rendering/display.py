"""A still in the caller's own axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from trainviz._common.arrays import Image
from trainviz.modes import Contour, Mode
from trainviz.recordings.recording import Recording
from trainviz.rendering.compositor import mark_errors
from trainviz.rendering.figure.anchors import draw_anchors, draw_doubt
from trainviz.rendering.figure.contour_lines import draw_contours
from trainviz.rendering.figure.data_points import draw_points, fades
from trainviz.rendering.figure.highlights import draw_highlights
from trainviz.rendering.figure.layout import draw_map
from trainviz.rendering.figure.legend import color_scale, explain_colors
from trainviz.rendering.figure.options import SceneOptions, style_of
from trainviz.rendering.figure.parts import Layout, Theme, new_figure
from trainviz.rendering.figure.texts import prepare_texts

__all__ = ["StillDisplay", "require_axes", "still_in"]

_VECTOR_DPI = 200


@dataclass(frozen=True)
class StillDisplay:
    """What :meth:`Animation.still` has drawn into given axes, as scikit-learn's displays are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    image_ : matplotlib.image.AxesImage
        The map.
    points_, wrong_ : list of matplotlib.collections.PathCollection
        The recording's data, and the marks of what is misclassified.
    contours_ : list of matplotlib artists
    mappable_ : matplotlib.cm.ScalarMappable or None
        Of the modes that show one quantity: ``fig.colorbar(display.mappable_, ax=ax)``.
    handles_, labels_ : list
        Of a legend: ``ax.legend(display.handles_, display.labels_, **display.legend_)``.
    legend_ : dict
        What a legend needs beside these.
    """

    ax_: Any
    figure_: Any
    image_: Any
    points_: list[Any]
    wrong_: list[Any]
    contours_: list[Any]
    mappable_: Any
    handles_: list[Any]
    labels_: list[str]
    legend_: dict[str, Any] = field(default_factory=dict)


def require_axes(ax: Any) -> None:
    """Refuse what no map can be drawn into."""
    if not hasattr(ax, "imshow") or not hasattr(ax, "figure"):
        raise TypeError(f"ax={ax!r}: expected matplotlib Axes, or None for those of a new figure")


def still_in(
    ax: Any,
    recording: Recording,
    mode: Mode,
    options: SceneOptions,
    image_of: Callable[[tuple[int, int]], Image],
    contours_of: Callable[[int], Iterable[Contour]],
    snapshot: int,
) -> StillDisplay:
    """Draw the map of a snapshot, its points and the names of its axes, and nothing else.

    The look of the axes, their title and their grid's place stay the caller's.
    """
    figure, theme = ax.figure, Theme.of(options.get("dark", False))
    box, domain, style = ax.get_window_extent(), recording.domain, style_of(options)
    inches = max(box.width / figure.dpi, 0.1)
    layout = Layout(figure, ax, None, theme, min(1.0, style.marker_scale(inches)), style)
    titled = {"title": options.get("title"), **_labels(recording, options)}
    ax.set(**{name: text for name, text in titled.items() if text})
    texts = {"title": ax.title, "xlabel": ax.xaxis.label, "ylabel": ax.yaxis.label}
    prepare_texts(figure, [texts[name] for name, text in titled.items() if text])
    draw_doubt(layout, domain)
    before = set(ax.collections)
    has_points = options.get("points", True) and recording.data is not None
    if has_points and not fades(recording, options):
        draw_points(layout, recording, mode, options)
    points, before = [c for c in ax.collections if c not in before], set(ax.collections)
    if has_points:
        mark_errors(layout, recording, mode, options, snapshot)
    rings, before = [c for c in ax.collections if c not in before], set(ax.get_children())
    if fades(recording, options):
        points, rings = rings, []
    scale = max(1.0, _VECTOR_DPI / figure.dpi)
    shape = (max(2, round(box.height * scale)), max(2, round(box.width * scale)))
    draw_map(layout, image_of(shape), domain.extent)
    image = ax.images[-1]
    draw_contours(layout, contours_of(snapshot), domain)
    lines = [a for a in ax.get_children() if a not in before and a is not image]
    ax.set_aspect(options.get("aspect") or _aspect(domain.extent))
    # A style sheet's grid would lie over the map.
    ax.grid(visible=False)
    if options.get("anchors", True):
        ax.apply_aspect()
        draw_anchors(layout, domain)
    if has_points:
        ax.apply_aspect()
        draw_highlights(layout, recording, options.get("highlight"))
    handles, labels, look = _legend(recording, mode, options)
    mappable = color_scale(mode) if mode.guide == "scale" else None
    return StillDisplay(
        ax, figure, image, points, rings, lines, mappable, handles, labels,
        {"handler_map": look["handler_map"]} if "handler_map" in look else {},
    )  # fmt: skip


def _legend(
    recording: Recording, mode: Mode, options: SceneOptions
) -> tuple[list[Any], list[str], dict[str, Any]]:
    """Return the handles and labels that the legend of a figure of its own has."""
    theme = Theme.of(options.get("dark", False))
    figure = new_figure((8.0, 6.0), 100, theme)
    layout = Layout(figure, figure.subplots(), None, theme)
    explain_colors(layout, recording, mode, options)
    return layout.legend


def _labels(recording: Recording, options: SceneOptions) -> dict[str, str | None]:
    names = recording.domain.axis_names
    return {
        "xlabel": options.get("xlabel") or names[0],
        "ylabel": options.get("ylabel") or names[1],
    }


def _aspect(extent: tuple[float, float, float, float]) -> str:
    x0, x1, y0, y1 = extent
    spans = sorted((x1 - x0, y1 - y0))
    return "equal" if spans[1] < 2 * spans[0] else "auto"
