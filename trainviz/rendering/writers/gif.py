"""GIF: one palette, and each frame stores only the pixels that change. Pillow compresses it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from shutil import copyfileobj
from struct import pack
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz._common.checks import check_whole, is_positive
from trainviz._common.terminal import warn
from trainviz.errors import WriterError, WriterWarning
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.frame_diff import Box, changed_box
from trainviz.rendering.writers.gif_palette import TRANSPARENT, SharedPalette
from trainviz.rendering.writers.prefetch import painted

__all__ = ["gif_timing", "write_gif"]

_LONGEST = 0xFFFF
"""The maximum duration of a frame, in hundredths of a second."""

_FASTEST, _SLOWEST = 50, 5
"""Frames a second: what browsers play, and what is left if a smaller file needs fewer."""


def write_gif(
    path: Path, film: FrameSource, *, loop: int = 0, max_bytes: float | None = None
) -> None:
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
    max_bytes : int, optional
        The file has at most so many bytes: with fewer colours; if that is not
        enough, with fewer frames too; and at last with fewer pixels. A
        :class:`WriterWarning` says what was done.

    Raises
    ------
    ValueError
        If ``max_bytes`` is not positive.
    WriterError
        If no such file is small enough.
    """
    check_whole("loop", loop, 0, 65535)
    if max_bytes is not None and not is_positive(max_bytes):
        raise ValueError(f"max_bytes={max_bytes!r}: expected a positive number, e.g. 2_000_000")
    chosen = gif_timing(film.n_frames, film.fps)
    film, limit = _told_once(film), inf if max_bytes is None else float(max_bytes)
    palette = SharedPalette(film)
    with painted(film, [index for index, _ in chosen]) as frames, open(path, "wb") as file:
        stream = _GifStream(file, film.shape, palette, loop)
        for frame, (_, hundredths) in zip(frames, chosen, strict=True):
            stream.show(frame, hundredths)
            if file.tell() > limit:
                break
        stream.close()
        if file.tell() <= limit:
            return
    _write_smaller(path, film, loop, limit, chosen)


@dataclass(frozen=True)
class _Version:
    """A GIF with fewer colours, frames or pixels than the film."""

    colors: int
    every: int = 1
    scale: float = 1.0

    def __str__(self) -> str:
        frames = "" if self.every == 1 else f", one frame in {self.every}"
        pixels = "" if self.scale == 1 else f", {100 * self.scale:.0f} % of its width and height"
        return f"{self.colors} colours{frames}{pixels}"


def _versions(fps: float) -> list[_Version]:
    """Return what is tried to make a GIF smaller, the best first."""
    colors = [_Version(count) for count in (128, 64, 32)]
    rate = min(fps, _FASTEST)
    steps = [step for step in (2, 3, 4, 6, 8, 10) if rate / step >= _SLOWEST]
    frames = [replace(colors[-1], every=step) for step in steps]
    shares = (0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25)
    return [*colors, *frames, *(replace([*colors, *frames][-1], scale=each) for each in shares)]


def _write_smaller(
    path: Path, film: FrameSource, loop: int, limit: float, chosen: list[tuple[int, int]]
) -> None:
    """Write the best version of a film that is small enough; all are made from one painting."""
    palettes: dict[int, SharedPalette] = {}
    drafts = []
    with ExitStack() as stack:
        for version in _versions(film.fps):
            if version.colors not in palettes:
                palettes[version.colors] = SharedPalette(film, version.colors)
            # Beside the film, since the folder of temporary files may be small.
            file = stack.enter_context(TemporaryFile(dir=path.parent))
            palette = palettes[version.colors]
            drafts.append(_Draft(version, file, film.shape, palette, loop, chosen))
        smallest = drafts[-1]
        with painted(film, [index for index, _ in chosen]) as frames:
            for place, frame in enumerate(frames):
                scaled: dict[float, Image] = {1.0: frame}
                for draft in drafts:
                    draft.show(place, scaled)
                # The smallest is finished in any case, to tell its size.
                drafts = [each for each in drafts if each.size <= limit or each is smallest]
        for draft in drafts:
            draft.stream.close()
        best = next((each for each in drafts if each.size <= limit), None)
        if best is None:
            raise WriterError(
                f"max_bytes={limit:.0f}: the smallest possible GIF of this film has "
                f"{smallest.size} bytes ({smallest.version}); give at least that, or make a "
                "shorter film"
            )
        size = best.size
        best.file.seek(0)
        with open(path, "wb") as target:
            copyfileobj(best.file, target)
    warn(
        f"the GIF has {best.version}, to be no larger than max_bytes={limit:.0f}: {size} bytes",
        WriterWarning, stacklevel=5,
    )  # fmt: skip


class _Draft:
    """A version of a film while it is written."""

    def __init__(
        self,
        version: _Version,
        file: IO[bytes],
        shape: tuple[int, int],
        palette: SharedPalette,
        loop: int,
        chosen: list[tuple[int, int]],
    ) -> None:
        height, width = (max(1, round(version.scale * side)) for side in shape)
        self.version, self.file = version, file
        self._size = width, height
        self.stream = _GifStream(file, (height, width), palette, loop)
        # The last frame is shown in any case.
        last = len(chosen) - 1
        places = [*range(0, last, version.every), last]
        hundredths = [duration for _, duration in chosen]
        self._durations = {
            place: sum(hundredths[place:after])
            for place, after in zip(places, [*places[1:], last + 1], strict=True)
        }

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.file.tell()

    def show(self, place: int, scaled: dict[float, Image]) -> None:
        """Add a frame, unless this version leaves it out; ``scaled`` keeps it by size."""
        if place not in self._durations:
            return
        scale = self.version.scale
        if scale not in scaled:
            from PIL import Image as Images

            picture = Images.fromarray(scaled[1.0])
            smaller = picture.resize(self._size, Images.Resampling.HAMMING)
            scaled[scale] = np.asarray(smaller)
        self.stream.show(scaled[scale], self._durations[place])


def _told_once(film: FrameSource) -> FrameSource:
    """Return a film that tells of each frame once, also if it is painted a second time."""
    done = 0

    def told(index: int, n_frames: int) -> None:
        nonlocal done
        if index == done:
            done += 1
            film.told(index, n_frames)

    return replace(film, told=told)


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
        self, file: IO[bytes], shape: tuple[int, int], palette: SharedPalette, loop: int
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
