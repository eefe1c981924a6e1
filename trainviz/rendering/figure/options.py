"""The options of a figure, and the checks that refuse them before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, Literal, TypedDict

import numpy as np

from trainviz._common.checks import check_switch, check_text, is_positive
from trainviz.rendering.figure.styles import Column, Style, StyleName, check_style, find_style

__all__ = [
    "MOST_POINTS",
    "SceneOptions",
    "check_columns",
    "check_fps",
    "check_scene",
    "check_size",
    "fields_of",
    "restyled",
    "style_of",
    "with_style",
]

MOST_POINTS = 2000
"""How many data points are drawn at most by default: more hide the map and each other."""


class SceneOptions(TypedDict, total=False):
    """The keyword arguments of :func:`trainviz.animate` that concern the scene.

    Attributes
    ----------
    title, subtitle : str
    dark : bool
    figsize : tuple of float
        Inches, ``(width, height)``.
    dpi : float
    axes : bool
        Ticks and axis labels.
    xlabel, ylabel : str
    aspect : {"equal", "auto"} or None
        None: equal where the window is less than twice as long as wide.
    counter : bool or str
        The epoch, top right; or another text, such as ``"tree {epoch}"``.
    legend : bool
        The classes, or the colour bar.
    points : bool
        The recording's data over the map, fainter the farther from its plane.
    max_points : int or None
        Of more points a sample is drawn, of each class and group its share.
    errors : {"ring", "cross", "fade"} or None
        How misclassified points are told; "fade" draws the others faint.
    highlight : sequence of int, mask or mapping
        Points that are ringed and labelled.
    anchors : bool
        The samples that :meth:`Domain.through` was given, images as thumbnails.
    metrics : bool or sequence of str
        The strip of metric curves: all (at most two axes), none, or these; lists of
        names share an axis.
    metric_scale : {"auto", "linear", "log"}
        Of the curves' axes; "auto": logarithmic where all values are positive and the
        largest is at least 100 times the smallest, but never for scores.
    smooth : float
        The weight of the exponential moving average that is drawn over the paler
        curves, from 0, none, to less than 1.
    annotate : mapping of number to str or None
        What happened at an epoch (or step, where the strip counts steps).
    margin : float
        Inches around everything.
    style : {"paper", "slides", "poster", "notebook", "minimal"} or None
        The preset for the sizes of type, lines, points and figure, and for ``axes``,
        ``counter``, ``metrics``, ``margin`` and ``dpi`` where these are not given.
    column : {"single", "double"} or None
        How wide the figure is by the preset; without a preset, that of a paper.
    """

    title: str | None
    subtitle: str | None
    dark: bool
    figsize: tuple[float, float] | None
    dpi: float
    axes: bool
    xlabel: str | None
    ylabel: str | None
    aspect: Literal["equal", "auto"] | None
    counter: bool | str
    legend: bool
    points: bool
    max_points: int | None
    errors: Literal["ring", "cross", "fade"] | None
    highlight: Any
    anchors: bool
    metrics: bool | Sequence[str]
    metric_scale: Literal["auto", "linear", "log"]
    smooth: float
    annotate: Mapping[float, str] | None
    margin: float
    style: StyleName | None
    column: Column | None


def fields_of(counter: Any) -> set[str]:
    """Return which of "epoch" and "step" a text for the counter shows; refuse any other."""
    try:
        parts = list(Formatter().parse(counter))
        counter.format(epoch=0, step=0)
    except (ValueError, LookupError, AttributeError) as error:
        raise ValueError(
            f"counter={counter!r}: expected True, False or a text with {{epoch}} or {{step}} in "
            f'the place of the number, e.g. "tree {{epoch}}" ({type(error).__name__}: {error})'
        ) from None
    return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in parts if name}


def check_fps(fps: Any) -> None:
    """Refuse what is no speed."""
    if not is_positive(fps) or fps < 0.01:
        raise ValueError(
            f"fps={fps!r}: expected a positive number of frames a second, 0.01 or more"
        )


def check_columns(columns: Any) -> None:
    """Refuse what is no number of panels in a row."""
    if columns is not None and not (hasattr(columns, "__index__") and columns >= 1):
        raise ValueError(f"columns={columns!r}: expected how many panels, at least 1")


def check_metrics(wanted: Any) -> None:
    """Refuse what names no metrics; whether a recording has them is told when they are drawn."""
    names = wanted if isinstance(wanted, Sequence) else ()
    groups = ([part] if isinstance(part, str) else part for part in names)
    if not isinstance(wanted, (bool, np.bool_, Sequence)) or not all(
        isinstance(group, Sequence) and all(isinstance(name, str) for name in group)
        for group in groups
    ):
        raise TypeError(
            f"metrics={wanted!r}: expected True, False, or a list of metrics' names, or of lists "
            "of names that share an axis"
        )


def check_size(figsize: Any, dpi: Any) -> None:
    """Refuse what is no size of a figure; without a ``figsize`` it has one by itself."""
    sides = () if isinstance(figsize, str) or not hasattr(figsize, "__len__") else tuple(figsize)
    if figsize is not None and not (len(sides) == 2 and all(map(_is_drawable, sides))):
        raise ValueError(f"figsize={figsize!r}: expected (width, height) in inches, e.g. (8, 6)")
    if not _is_drawable(dpi):
        raise ValueError(
            f"dpi={dpi!r}: expected a positive number of pixels an inch, less than 65536"
        )


def _is_drawable(size: Any) -> bool:
    # Agg draws no side of 2**16 pixels; how many there are in all is known once there is a figure.
    return is_positive(size) and size < 2**16


def check_scene(scene: SceneOptions) -> None:
    """Refuse what no scene can draw."""
    counter = scene.get("counter", True)
    if isinstance(counter, str):
        fields_of(counter)
    elif not isinstance(counter, (bool, np.bool_)):
        raise TypeError(
            f"counter={counter!r}: expected True or False, or a text such as 'tree {{epoch}}'"
        )
    for name in ("dark", "axes", "legend", "points", "anchors"):
        check_switch(name, scene.get(name, True))
    check_metrics(scene.get("metrics", True))
    for name in ("title", "subtitle", "xlabel", "ylabel"):
        if scene.get(name) is not None:
            check_text(name, scene.get(name))
    if scene.get("errors", "ring") not in ("ring", "cross", "fade", None):
        raise ValueError(
            f"errors={scene.get('errors')!r}: expected 'ring', 'cross', 'fade' or None"
        )
    most = scene.get("max_points", MOST_POINTS)
    if most is not None and (isinstance(most, bool) or not hasattr(most, "__index__")):
        raise TypeError(f"max_points={most!r}: expected a whole number, or None for all")
    if most is not None and most < 1:
        raise ValueError(f"max_points={most}: expected at least 1, or points=False for none")
    if scene.get("aspect") not in (None, "equal", "auto"):
        raise ValueError(f"aspect={scene.get('aspect')!r}: expected 'equal' or 'auto'")
    _check_curves(scene)
    check_style(scene.get("style"), scene.get("column"))
    check_size(scene.get("figsize"), scene.get("dpi", 100))
    margin = scene.get("margin", 0.1)
    if margin != 0 and not is_positive(margin):
        raise ValueError(f"margin={margin!r}: expected inches, 0 or more")


def _check_curves(scene: SceneOptions) -> None:
    if scene.get("metric_scale", "auto") not in ("auto", "linear", "log"):
        raise ValueError(
            f"metric_scale={scene.get('metric_scale')!r}: expected 'auto', 'linear' or 'log'"
        )
    smooth = scene.get("smooth", 0)
    if isinstance(smooth, bool) or not isinstance(smooth, (int, float, np.number)):
        raise TypeError(f"smooth={smooth!r}: expected a weight from 0 to less than 1, e.g. 0.9")
    if not 0 <= smooth < 1:
        raise ValueError(f"smooth={smooth!r}: expected a weight from 0 to less than 1, e.g. 0.9")
    marks = scene.get("annotate")
    if marks is None:
        return
    if not isinstance(marks, Mapping):
        raise TypeError(f"annotate={marks!r}: expected epochs and texts, e.g. {{120: 'lr / 10'}}")
    for moment, text in marks.items():
        if isinstance(moment, bool) or not isinstance(moment, (int, float, np.number)):
            raise TypeError(f"annotate: {moment!r} is no epoch, e.g. {{120: 'lr / 10'}}")
        if not isinstance(text, str):
            raise TypeError(f"annotate: {text!r} is no text, e.g. {{120: 'lr / 10'}}")


def style_of(scene: SceneOptions) -> Style:
    """Return the sizes that a scene's preset, figure and user ask for."""
    size = scene.get("figsize")
    return find_style(
        scene.get("style"), scene.get("column"), None if size is None else float(size[0])
    )


def with_style(scene: SceneOptions) -> SceneOptions:
    """Fill in what a scene's preset says of options that are not given."""
    style = style_of(scene)
    defaults: SceneOptions = {
        "axes": style.axes, "counter": style.counted, "margin": style.margin, "dpi": style.dpi,
    }  # fmt: skip
    if not style.metrics:
        defaults["metrics"] = False
    return {**defaults, **scene}


def restyled(
    scene: SceneOptions,
    style: StyleName | None,
    column: Column | None,
    *figsize: tuple[float, float] | None,
) -> SceneOptions:
    """Return a scene's options in another preset, and with another size if one is given."""
    check_style(style, column)
    options: SceneOptions = {**scene}
    if style is not None:
        options["style"] = style
    if column is not None:
        options["column"] = column
    if figsize:
        options["figsize"] = figsize[0]
    return with_style(options)
