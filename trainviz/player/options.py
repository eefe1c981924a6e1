"""The options that a page, a live page and a notebook's widget share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from trainviz.modes import Mode
from trainviz.rendering.figure.options import MOST_POINTS, SceneOptions

__all__ = ["PAGE_DEFAULTS", "PageOptions", "scene_of"]


class PageOptions(TypedDict, total=False):
    """What is shown of recordings, and how; the rest are as for :func:`trainviz.animate`.

    Attributes
    ----------
    mode : str, type or Mode
        Which is shown first. The page paints the built-in modes; it begins with
        another one if this is none of them, and says so.
    dark : bool or None
        None: as the reader's system prefers.
    seconds : float or None
        How long it plays; None: by the number of snapshots.
    ask : sequence of int
        Epochs at which the page stops and asks the reader what will come.
    """

    title: str | None
    subtitle: str | None
    mode: str | type[Mode] | Mode
    palette: Any
    cmap: Any
    dark: bool | None
    interpolation: str
    seconds: float | None
    shade: bool
    xlabel: str | None
    ylabel: str | None
    aspect: str | None
    points: bool
    max_points: int | None
    errors: str | None
    highlight: Any
    metrics: bool | Sequence[str]
    counter: bool | str
    annotate: Mapping[float, str] | None
    ask: Sequence[int]


PAGE_DEFAULTS: PageOptions = {
    "title": None, "subtitle": None, "mode": "region", "palette": None, "cmap": None, "dark": None,
    "interpolation": "linear", "seconds": None, "shade": True, "xlabel": None, "ylabel": None,
    "aspect": None, "points": True, "max_points": MOST_POINTS, "errors": "ring", "highlight": None,
    "metrics": True, "counter": True, "annotate": None, "ask": (),
}  # fmt: skip

_SCENE = ("xlabel", "ylabel", "aspect", "points", "max_points", "errors", "highlight", "annotate")


def scene_of(options: PageOptions) -> SceneOptions:
    """Return the options that concern what surrounds the map, and what is drawn over it."""
    return cast(SceneOptions, {name: options[name] for name in _SCENE})  # type: ignore[literal-required]
