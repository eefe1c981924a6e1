"""One palette for a whole film, so that its colours do not flicker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz._common.jit import ready
from trainviz.rendering.kernels import color_cells, look_up
from trainviz.rendering.writers import FrameSource

__all__ = ["TRANSPARENT", "SharedPalette"]

TRANSPARENT = 255
"""The palette index of transparent pixels, which keep the colour of the previous frame."""

_SAMPLED_FRAMES = 12
_PINNED = 24
"""How many of the most frequent colours are in the palette exactly."""

_BITS = 6
"""Colours are matched by the 6 upper bits of each channel, an error of at most 2 of 255."""


class SharedPalette:
    """At most 255 colours for the whole film, computed from the colours of its frames.

    If ``film.colors()`` returns None, they are computed from a few of its frames.

    Parameters
    ----------
    film : FrameSource
    n_colors : int, default 255

    Attributes
    ----------
    table : ndarray of uint8, shape (256, 3)
        The colours; the last entry is unused, as it means transparent.
    """

    def __init__(self, film: FrameSource, n_colors: int = TRANSPARENT) -> None:
        from PIL import Image as Images

        colors = film.colors()
        values, counts = _counted_colors(_sampled_colors(film) if colors is None else colors)
        sample = Images.fromarray(_by_importance(values, counts)[None])
        quantized = sample.quantize(n_colors, method=Images.Quantize.MEDIANCUT, kmeans=3)
        flat = (quantized.getpalette() or [])[: 3 * n_colors]
        self.table: npt.NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
        self.table[: len(flat) // 3] = np.array(flat, dtype=np.uint8).reshape(-1, 3)
        pinned = values[np.argsort(counts, kind="stable")[-min(_PINNED, n_colors // 4) :]]
        places = _pin(self.table[:n_colors], pinned[::-1])[::-1]
        self._index = _nearest(self.table[:n_colors])
        # Set explicitly, as another colour may be nearer to the centre of a pinned colour's cell.
        # The most frequent colour is last, and so gets a cell that several share.
        self._index[color_cells(pinned, _BITS)] = places

    def apply(self, image: Image) -> npt.NDArray[np.uint8]:
        """Return the palette index of each pixel, shape (h, w, 3) to (h, w)."""
        entries = np.empty(image.shape[:2], dtype=np.uint8)
        look_up(ready(image, np.uint8), self._index, _BITS, entries)
        return entries


def _sampled_colors(film: FrameSource) -> Image:
    places = np.unique(np.linspace(0, film.n_frames - 1, _SAMPLED_FRAMES).astype(int))
    return np.concatenate([frame.reshape(-1, 3) for frame in film.frames(places.tolist())])


def _counted_colors(pixels: Image) -> tuple[Image, npt.NDArray[np.intp]]:
    codes = pixels.astype(np.uint32)
    words = (codes[:, 0] << 16) | (codes[:, 1] << 8) | codes[:, 2]
    values, counts = np.unique(words, return_counts=True)
    colors = np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=1)
    return colors.astype(np.uint8), counts


def _by_importance(values: Image, counts: npt.NDArray[np.intp]) -> Image:
    """Repeat colours by the square root of their counts, at most 64 times.

    In proportion to their counts, a large uniform background would get most of
    the palette, and the shades of thin borders and small letters nothing.
    """
    repeats = np.minimum(np.ceil(np.sqrt(counts)), 64).astype(int)
    return np.repeat(values, repeats, axis=0)


def _pin(palette: Image, colors: Image) -> list[int]:
    """Replace palette entries by the most frequent colours, so that white stays exactly white."""
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
    # The red term is constant for each slice of the table, so it is added in the loop.
    partial = norm - 2 * green_blue @ colors[:, 1:].T
    for index, red in enumerate(levels):
        distance = partial - 2 * red * colors[:, 0]
        table[index] = distance.argmin(axis=1).reshape(len(levels), len(levels))
    return table.ravel()
