"""Animated WebP, through Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainviz.writers import Film
from trainviz.writers.apng import start_times
from trainviz.writers.painting import painted

__all__ = ["write_webp"]


def write_webp(
    path: Path, film: Film, *, loop: int = 0, lossless: bool = False, quality: int = 85
) -> None:
    """Write an animated WebP.

    Parameters
    ----------
    path : Path
    film : Film
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    lossless : bool, default False
    quality : int, default 85
        0 to 100.
    """
    from PIL import Image as Images

    with painted(film) as frames:
        pictures = (Images.fromarray(frame) for frame in frames)
        next(pictures).save(
            path, format="WEBP", save_all=True, append_images=pictures, loop=loop,
            duration=np.diff(start_times(film)).tolist(), lossless=lossless, quality=quality,
            method=3,
        )  # fmt: skip
