"""Animated WebP, by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Images

from trainviz._common.arrays import Image
from trainviz._common.checks import check_number, check_switch, check_whole
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.apng import start_times
from trainviz.rendering.writers.prefetch import painted

__all__ = ["write_webp"]


def write_webp(
    path: Path, film: FrameSource, *, loop: int = 0, lossless: bool = False, quality: int = 85
) -> None:
    """Write an animated WebP.

    Parameters
    ----------
    path : Path
    film : FrameSource
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    lossless : bool, default False
    quality : int, default 85
        0 to 100.
    """
    check_whole("loop", loop, 0, 65535)
    check_switch("lossless", lossless)
    check_number("quality", quality, 0, 100)
    with painted(film) as frames:
        _WebpStream(frames, film.n_frames).save(
            path, format="WEBP", save_all=True, loop=loop,
            duration=np.diff(start_times(film)).tolist(), lossless=lossless, quality=quality,
            method=3,
        )  # fmt: skip


class _WebpStream(Images.Image):
    """A multi-frame image with one frame in memory; Pillow would keep all frames of a list."""

    def __init__(self, frames: Iterator[Image], n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self._frames, self._place = frames, -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to the next frame; ignore Pillow's seek to the first frame after the last."""
        if frame != self._place + 1:
            return
        picture = Images.fromarray(next(self._frames))
        self.im, self._mode, self._size = picture.im, picture.mode, picture.size
        self._place = frame

    def tell(self) -> int:
        """Return the index of the current frame."""
        return self._place
