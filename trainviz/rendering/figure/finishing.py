"""What becomes of a finished still: a file, or a picture on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainviz.rendering.writers import OpenFile, save_figure

__all__ = ["finish"]


def finish(figure: Any, target: Path | OpenFile | None) -> None:
    """Write a still; without a target let pyplot or the notebook show it."""
    if target is not None:
        save_figure(figure, target)
        return
    from trainviz.rendering.figure.shown import hand_to_pyplot

    hand_to_pyplot(figure)
