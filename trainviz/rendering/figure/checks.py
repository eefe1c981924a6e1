"""Arguments that are refused before anything is made of them."""

from __future__ import annotations

from typing import Any

from trainviz._common.checks import is_positive
from trainviz.rendering.figure.parts import SceneOptions

__all__ = ["check_columns", "check_fps", "check_scene", "check_size"]


def check_fps(fps: Any) -> None:
    """Refuse what is no speed."""
    if not is_positive(fps):
        raise ValueError(f"fps={fps!r}: expected a positive number of frames a second")


def check_columns(columns: Any) -> None:
    """Refuse what is no number of panels in a row."""
    if columns is not None and not (hasattr(columns, "__index__") and columns >= 1):
        raise ValueError(f"columns={columns!r}: expected how many panels, at least 1")


def check_size(figsize: Any, dpi: Any) -> None:
    """Refuse what is no size of a figure; without a ``figsize`` it has one by itself."""
    sides = () if isinstance(figsize, str) or not hasattr(figsize, "__len__") else tuple(figsize)
    if figsize is not None and not (len(sides) == 2 and all(map(is_positive, sides))):
        raise ValueError(f"figsize={figsize!r}: expected (width, height) in inches, e.g. (8, 6)")
    if not is_positive(dpi):
        raise ValueError(f"dpi={dpi!r}: expected a positive number of pixels an inch")


def check_scene(scene: SceneOptions) -> None:
    """Refuse what no scene knows, and what it cannot draw."""
    known = SceneOptions.__annotations__
    for name in scene:
        if name not in known:
            raise TypeError(
                f"animate() has no argument {name!r}; the scene's are {', '.join(known)}"
            )
    if scene.get("aspect") not in (None, "equal", "auto"):
        raise ValueError(f"aspect={scene.get('aspect')!r}: expected 'equal' or 'auto'")
    check_size(scene.get("figsize"), scene.get("dpi", 100))
    margin = scene.get("margin", 0.1)
    if margin != 0 and not is_positive(margin):
        raise ValueError(f"margin={margin!r}: expected inches, 0 or more")
