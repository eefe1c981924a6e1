"""GIF: one palette, and each frame stores only the pixels that change. Pillow compresses it."""

from __future__ import annotations

from pathlib import Path
from struct import pack
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.frame_diff import Box, changed_box
from trainviz.rendering.writers.gif_palette import TRANSPARENT, SharedPalette
from trainviz.rendering.writers.prefetch import painted

__all__ = ["gif_timing", "write_gif"]

_LONGEST = 0xFFFF
"""The maximum duration of a frame, in hundredths of a second."""


def write_gif(path: Path, film: FrameSource, *, loop: int = 0) -> None:
    """Write a GIF with one palette for the whole film, so that colours do not flicker.

    GIF durations are hundredths of a second, so frames last unequally long to
    keep the speed right on average. Above 50 frames a second, which browsers do
    not play, frames are skipped.

    Parameters
    ----------
    path : Path
    film : FrameSource
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    """
    chosen = gif_timing(film.n_frames, film.fps)
    palette = SharedPalette(film)
    with painted(film, [index for index, _ in chosen]) as frames, open(path, "wb") as file:
        stream = _GifStream(file, film.shape, palette, loop)
        for frame, (_, hundredths) in zip(frames, chosen, strict=True):
            stream.show(frame, hundredths)
        stream.close()


def gif_timing(n_frames: int, fps: float) -> list[tuple[int, int]]:
    """Choose which frames a GIF contains, and the duration of each.

    Parameters
    ----------
    n_frames : int
    fps : float

    Returns
    -------
    list of tuple of int
        ``(frame, hundredths of a second)``, at least 2 hundredths each.

    Examples
    --------
    >>> gif_timing(4, fps=30)
    [(0, 3), (1, 4), (2, 3), (3, 3)]
    >>> gif_timing(4, fps=100)
    [(0, 2), (2, 2)]
    """
    starts = [round(index * 100 / fps) for index in range(n_frames + 1)]
    chosen = [0]
    for index in range(1, n_frames):
        if starts[index] - starts[chosen[-1]] >= 2:
            chosen.append(index)
    ends = [*(starts[index] for index in chosen[1:]), starts[-1]]
    return [(index, max(end - starts[index], 2)) for index, end in zip(chosen, ends, strict=True)]


class _GifStream:
    """A GIF that is written frame by frame; only the last two frames are in memory."""

    def __init__(
        self, file: BinaryIO, shape: tuple[int, int], palette: SharedPalette, loop: int
    ) -> None:
        height, width = shape
        self._file, self._palette = file, palette
        self._frame: Image | None = None
        self._entries: npt.NDArray[np.uint8] = np.empty(shape, dtype=np.uint8)
        self._picture, self._box, self._hundredths = self._entries, Box(0, 0, 0, 0), 0
        # 0xf7: a global colour table of 256 entries follows, 8 bits a channel.
        file.write(b"GIF89a" + pack("<HHBBB", width, height, 0xF7, 0, 0))
        file.write(palette.table.tobytes())
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + pack("<HB", loop, 0))

    def show(self, frame: Image, hundredths: int) -> None:
        """Add a frame; if it equals the previous one, extend the duration of that."""
        box = changed_box(self._frame, frame)
        if box is not None:
            entries, shown = self._palette.apply(box.cut(frame)), box.cut(self._entries)
            # Unchanged pixels become transparent, since long runs of one entry compress well.
            news = entries if self._frame is None else _only_new(shown, entries)
            shown[:] = entries
        elif self._hundredths + hundredths > _LONGEST:
            box, news = Box(0, 0, 1, 1), np.full((1, 1), TRANSPARENT, dtype=np.uint8)
        if box is not None:
            self._write()
            self._picture, self._box, self._hundredths = news.copy(), box, 0
        self._frame = frame
        self._hundredths += hundredths

    def close(self) -> None:
        """Write the last frame and the trailer."""
        self._write()
        self._file.write(b";")

    def _write(self) -> None:
        from PIL import GifImagePlugin
        from PIL import Image as Images

        if not self._box.width:
            return
        blocks = GifImagePlugin.getdata(
            Images.fromarray(self._picture), self._box[:2],
            duration=10 * self._hundredths, disposal=1, transparency=TRANSPARENT,
        )  # fmt: skip
        self._file.write(b"".join(blocks))


def _only_new(
    shown: npt.NDArray[np.uint8], entries: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    return np.where(shown == entries, np.uint8(TRANSPARENT), entries)
