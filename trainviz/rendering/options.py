"""The options that animations and comparisons share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from trainviz._common.checks import check_switch, is_positive
from trainviz.modes import Mode, find_mode
from trainviz.rendering.figure.options import SceneOptions, check_fps, check_scene
from trainviz.rendering.figure.parts import prefers_dark
from trainviz.rendering.interpolation import Interpolation, check_interpolation
from trainviz.rendering.pace import Pace, check_pace
from trainviz.rendering.story import check_story

__all__ = ["FILM_DEFAULTS", "FilmOptions", "check_film", "scene_of"]


class FilmOptions(SceneOptions, total=False):
    """The keyword arguments of :func:`trainviz.animate`, where they are documented."""

    mode: str | type[Mode] | Mode
    interpolate: int
    interpolation: Interpolation
    fps: float
    cmap: Any
    palette: Any
    shade: bool
    hold: float
    pace: Pace
    card: float
    captions: Mapping[float, str] | None
    bookmark: Sequence[float] | Mapping[float, str] | None


FILM_DEFAULTS: FilmOptions = {
    "mode": "region", "interpolate": 1, "interpolation": "linear", "fps": 30, "cmap": None,
    "palette": None, "shade": True, "hold": 0.0, "pace": "even", "card": 0.0, "captions": None,
    "bookmark": None,
}  # fmt: skip


def check_film(options: FilmOptions) -> FilmOptions:
    """Fill in the defaults, and raise for invalid values before anything is drawn."""
    known = FilmOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(
                f"animate() has no argument {name!r}; the scene's are "
                f"{', '.join(SceneOptions.__annotations__)}"
            )
    filled = cast(FilmOptions, {**FILM_DEFAULTS, **options})
    check_scene(scene_of(filled))
    if "dark" not in options and prefers_dark():
        filled["dark"] = True
    find_mode(filled["mode"])
    check_interpolation(filled["interpolation"])
    check_switch("shade", filled["shade"])
    check_fps(filled["fps"])
    if not (filled["hold"] == 0 or is_positive(filled["hold"])):
        raise ValueError(f"hold={filled['hold']!r}: expected seconds, 0 or more")
    check_pace(filled["pace"], filled["interpolate"])
    check_story(filled)
    return filled


def scene_of(options: FilmOptions) -> SceneOptions:
    """Return the options that concern the scene."""
    known = SceneOptions.__annotations__
    return cast(SceneOptions, {name: options[name] for name in options if name in known})  # type: ignore[literal-required]
