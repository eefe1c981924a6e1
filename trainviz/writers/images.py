"""GIF, APNG and animated WebP, through Pillow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.writers import Film, Image

__all__ = ["write_apng", "write_gif", "write_webp"]

_SAMPLED_FRAMES = 12
_PINNED = 12
"""How many of the most frequent colours a GIF keeps exactly."""

_BITS = 6
"""Colours are matched by their 6 upper bits: off by at most 2 of 255."""


def write_gif(path: Path, film: Film, *, loop: int = 0) -> None:
    """Write a GIF with one palette for the whole film, so that colours do not flicker.

    GIF counts time in hundredths of a second, so frames last unequally long
    for the speed to be right on average; above 50 frames a second, which
    browsers refuse to play, frames are left out.

    Parameters
    ----------
    path : Path
    film : Film
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    """
    palette = _SharedPalette(film)
    chosen = gif_timing(film.n_frames, film.fps)
    wanted = {index for index, _ in chosen}

    def frames() -> Iterator[Any]:
        return (palette.apply(frame) for frame in _only(film.frames(), wanted))

    _save_all(path, frames, format="GIF", loop=loop, optimize=False, disposal=1,
              duration=[10 * hundredths for _, hundredths in chosen])  # fmt: skip


def write_apng(path: Path, film: Film, *, loop: int = 0) -> None:
    """Write an animated PNG in full colour.

    Parameters
    ----------
    path : Path
    film : Film
    loop : int, default 0
        How often the film is repeated; 0 is for ever.
    """
    # The disposal that keeps the frame: only changed rectangles are stored.
    _save_all(path, _pictures(film), format="PNG", loop=loop, duration=_milliseconds(film),
              disposal=0, blend=0)  # fmt: skip


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
    _save_all(path, _pictures(film), format="WEBP", loop=loop, duration=_milliseconds(film),
              lossless=lossless, quality=quality, method=3)  # fmt: skip


def _pictures(film: Film) -> Callable[[], Iterator[Any]]:
    from PIL import Image as Images

    return lambda: (Images.fromarray(frame) for frame in film.frames())


def _milliseconds(film: Film) -> list[int]:
    """Round when frames start, not how long they last, so that errors do not add up."""
    starts = np.rint(np.arange(film.n_frames + 1) * 1000 / film.fps).astype(int)
    durations: list[int] = np.diff(starts).tolist()
    return durations


def gif_timing(n_frames: int, fps: float) -> list[tuple[int, int]]:
    """Choose a GIF's frames and how long each lasts.

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


class _SharedPalette:
    """256 colours for the whole film, chosen from frames all along it."""

    def __init__(self, film: Film) -> None:
        from PIL import Image as Images

        wanted = set(np.linspace(0, film.n_frames - 1, _SAMPLED_FRAMES).astype(int).tolist())
        rows = [frame.reshape(-1, 3) for frame in _only(film.frames(), wanted)]
        values, counts = _counted_colors(np.concatenate(rows))
        sample = Images.fromarray(_by_importance(values, counts)[None])
        quantized = sample.quantize(256, method=Images.Quantize.MEDIANCUT, kmeans=3)
        flat = quantized.getpalette() or []
        self._palette: npt.NDArray[np.uint8] = np.array(flat, dtype=np.uint8).reshape(-1, 3)
        pinned = values[np.argsort(counts)[-_PINNED:]]
        places = _pin(self._palette, pinned[::-1])[::-1]
        self._index = _nearest(self._palette)
        # A neighbour may be nearer to the middle of the colour's cell than the colour itself.
        # The most frequent one comes last, and so wins a shared cell.
        self._index[_cells(pinned)] = places

    def apply(self, frame: Image) -> Any:
        from PIL import Image as Images

        picture = Images.fromarray(np.take(self._index, _cells(frame)))
        picture.putpalette(self._palette.tobytes())
        return picture


def _cells(colors: Image) -> npt.NDArray[np.integer[Any]]:
    """Return the number of each colour's cell, from the ``_BITS`` upper bits of its channels."""
    word = (colors >> (8 - _BITS)).astype(np.uint32)
    return (word[..., 0] << (2 * _BITS)) | (word[..., 1] << _BITS) | word[..., 2]


def _counted_colors(pixels: Image) -> tuple[Image, npt.NDArray[np.intp]]:
    codes = pixels.astype(np.uint32)
    words = (codes[:, 0] << 16) | (codes[:, 1] << 8) | codes[:, 2]
    values, counts = np.unique(words, return_counts=True)
    colors = np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=1)
    return colors.astype(np.uint8), counts


def _by_importance(values: Image, counts: npt.NDArray[np.intp]) -> Image:
    """Repeat frequent colours, but not by their area.

    By area a large even background would take most of the palette, and the
    shades of thin borders and small letters none of it.
    """
    repeats = np.minimum(np.ceil(np.sqrt(counts)), 64).astype(int)
    return np.repeat(values, repeats, axis=0)


def _pin(palette: Image, colors: Image) -> list[int]:
    """Put the most frequent colours into the palette as they are: a white ground stays white."""
    free = np.ones(len(palette), dtype=bool)
    places = []
    for color in colors:
        distance = ((palette.astype(int) - color) ** 2).sum(axis=1)
        nearest = int(np.where(free, distance, distance.max() + 1).argmin())
        palette[nearest] = color
        free[nearest] = False
        places.append(nearest)
    return places


def _nearest(palette: Image) -> npt.NDArray[np.uint8]:
    """Return the palette entry nearest to each colour of ``_BITS`` bits a channel."""
    levels = ((np.arange(2**_BITS) + 0.5) * 2 ** (8 - _BITS)).astype(np.float32)
    colors = palette.astype(np.float32)
    norm = (colors**2).sum(axis=1)
    table = np.empty((2**_BITS,) * 3, dtype=np.uint8)
    green_blue = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1).reshape(-1, 2)
    for index, red in enumerate(levels):
        cell = np.concatenate([np.full((len(green_blue), 1), red), green_blue], axis=1)
        distance = norm - 2 * cell.astype(np.float32) @ colors.T
        table[index] = distance.argmin(axis=1).reshape(len(levels), len(levels))
    return table.ravel()


def _only(frames: Iterator[Image], wanted: set[int]) -> Iterator[Image]:
    return (frame for index, frame in enumerate(frames) if index in wanted)


def _save_all(path: Path, frames: Callable[[], Iterator[Any]], **options: Any) -> None:
    next(frames()).save(path, save_all=True, append_images=_Rest(frames), **options)


class _Rest:
    """All frames but the first, as often as they are asked for: Pillow walks an APNG's twice."""

    def __init__(self, frames: Callable[[], Iterator[Any]]) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[Any]:
        return islice(self._frames(), 1, None)
