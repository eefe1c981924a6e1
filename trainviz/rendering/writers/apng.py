"""APNG: each frame stores only the rectangle that changes, compressed by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from trainviz._common.arrays import Image
from trainviz._common.checks import check_switch, check_whole
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.frame_diff import Box, changed_box
from trainviz.rendering.writers.gif_palette import SharedPalette
from trainviz.rendering.writers.prefetch import painted

__all__ = ["start_times", "write_apng"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LONGEST = 0xFFFF
"""The maximum duration of a frame, in milliseconds."""


def write_apng(path: Path, film: FrameSource, *, loop: int = 0, exact: bool = True) -> None:
    """Write an animated PNG.

    Parameters
    ----------
    path : Path
    film : FrameSource
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    exact : bool, default True
        False uses one palette of 255 colours, like a GIF, for a smaller file
        that is written faster.
    """
    check_whole("loop", loop, 0, 2**31 - 1)
    check_switch("exact", exact)
    durations = np.diff(start_times(film)).tolist()
    palette = None if exact else SharedPalette(film)
    with painted(film) as frames, open(path, "wb") as file:
        stream = _ApngStream(file, film.shape, palette, loop)
        for frame, milliseconds in zip(frames, durations, strict=True):
            stream.show(frame, milliseconds)
        stream.close()


def start_times(film: FrameSource) -> Any:
    """Return the start time of each frame, and the end of the film, in milliseconds.

    Start times are rounded instead of durations, so that rounding errors do not add up.
    """
    return np.rint(np.arange(film.n_frames + 1) * 1000 / film.fps).astype(int)


class _ApngStream:
    """An APNG that is written frame by frame; only the last two frames are in memory."""

    def __init__(
        self, file: BinaryIO, shape: tuple[int, int], palette: SharedPalette | None, loop: int
    ) -> None:
        height, width = shape
        self._file, self._palette, self._loop = file, palette, loop
        self._frame: Image | None = None
        self._box, self._milliseconds = Box(0, 0, 0, 0), 0
        self._n_frames = self._n_chunks = 0
        kind = 2 if palette is None else 3
        file.write(_SIGNATURE)
        self._chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        self._counted_at = file.tell()
        self._chunk(b"acTL", pack(">II", 0, loop))
        if palette is not None:
            self._chunk(b"PLTE", palette.table.tobytes())

    def show(self, frame: Image, milliseconds: int) -> None:
        """Add a frame; if it equals the previous one, extend the duration of that."""
        entries = frame if self._palette is None else self._palette.apply(frame)
        box = changed_box(self._frame, entries)
        if box is None and self._milliseconds + milliseconds > _LONGEST:
            box = Box(0, 0, 1, 1)
        if box is not None:
            self._write()
            self._frame, self._box, self._milliseconds = entries, box, 0
        self._milliseconds += milliseconds

    def close(self) -> None:
        """Write the last frame, and the number of frames into the header."""
        self._write()
        self._chunk(b"IEND", b"")
        self._file.seek(self._counted_at)
        self._chunk(b"acTL", pack(">II", self._n_frames, self._loop))

    def _write(self) -> None:
        if self._frame is None:
            return
        left, top, width, height = self._box
        place = pack(">IIII", width, height, left, top)
        self._numbered(b"fcTL", place + pack(">HHBB", self._milliseconds, 1000, 0, 0))
        for data in _compressed(self._box.cut(self._frame), self._palette):
            if self._n_frames == 0:
                self._chunk(b"IDAT", data)
            else:
                self._numbered(b"fdAT", data)
        self._n_frames += 1

    def _numbered(self, name: bytes, data: bytes) -> None:
        self._chunk(name, pack(">I", self._n_chunks) + data)
        self._n_chunks += 1

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(pack(">I", len(data)) + name + data + pack(">I", crc32(name + data)))


def _compressed(entries: Any, palette: SharedPalette | None) -> Iterator[bytes]:
    """Yield the contents of the IDAT chunks of a PNG of these pixels."""
    from PIL import Image as Images

    picture = Images.fromarray(entries)
    if palette is not None:
        picture.putpalette(palette.table.tobytes())
    file = BytesIO()
    picture.save(file, "PNG", bits=8)
    png, place = file.getvalue(), len(_SIGNATURE)
    while place < len(png):
        (size,) = unpack_from(">I", png, place)
        if png[place + 4 : place + 8] == b"IDAT":
            yield png[place + 8 : place + 8 + size]
        place += size + 12
