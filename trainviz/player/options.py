"""The options that a page, a live page and a notebook's widget share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import numpy as np

from trainviz._common.checks import check_switch, is_positive
from trainviz.modes import Mode
from trainviz.rendering.figure.options import MOST_POINTS, SceneOptions, check_scene
from trainviz.rendering.interpolation import check_interpolation

__all__ = ["PAGE_DEFAULTS", "PageOptions", "check_page", "scene_of"]


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


def check_page(options: PageOptions) -> None:
    """Raise for values that no page can show, whatever the recording."""
    check_scene(scene_of(options))
    check_interpolation(options["interpolation"])
    check_switch("shade", options["shade"])
    seconds, ask = options["seconds"], cast(Any, options["ask"])
    if seconds is not None and not is_positive(seconds):
        raise ValueError(f"seconds={seconds!r}: expected a positive number, or None")
    if isinstance(ask, str) or not hasattr(ask, "__len__"):
        raise TypeError(f"ask={ask!r}: expected a list of epochs, e.g. [10, 50]")
    for stop in ask:
        if isinstance(stop, bool) or not isinstance(stop, (int, float, np.number)):
            raise TypeError(f"ask={ask!r}: {stop!r} is no epoch; expected e.g. [10, 50]")


def scene_of(options: PageOptions) -> SceneOptions:
    """Return the options that concern what surrounds the map, and what is drawn over it."""
    known = SceneOptions.__annotations__
    scene = {name: value for name, value in options.items() if name in known}
    if scene["dark"] is None:
        del scene["dark"]  # As the reader's system prefers.
    return cast(SceneOptions, scene)
