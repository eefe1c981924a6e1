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
"""The entry that no colour takes: it stands for what the frame before shows."""

_SAMPLED_FRAMES = 12
_PINNED = 24
"""How many of the most frequent colours are kept exactly."""

_BITS = 6
"""Colours are matched by their 6 upper bits: off by at most 2 of 255."""


class SharedPalette:
    """255 colours for the whole film, chosen from those that it is made of.

    Where the film does not know them, they are taken from frames all along it.

    Parameters
    ----------
    film : FrameSource

    Attributes
    ----------
    table : ndarray of uint8, shape (256, 3)
        The colours; the last is none.
    """

    def __init__(self, film: FrameSource) -> None:
        from PIL import Image as Images

        colors = film.colors()
        values, counts = _counted_colors(_sampled_colors(film) if colors is None else colors)
        sample = Images.fromarray(_by_importance(values, counts)[None])
        quantized = sample.quantize(TRANSPARENT, method=Images.Quantize.MEDIANCUT, kmeans=3)
        flat = (quantized.getpalette() or [])[: 3 * TRANSPARENT]
        self.table: npt.NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
        self.table[: len(flat) // 3] = np.array(flat, dtype=np.uint8).reshape(-1, 3)
        pinned = values[np.argsort(counts, kind="stable")[-_PINNED:]]
        places = _pin(self.table[:TRANSPARENT], pinned[::-1])[::-1]
        self._index = _nearest(self.table[:TRANSPARENT])
        # A neighbour may be nearer to the middle of the colour's cell than the colour itself.
        # The most frequent one comes last, and so wins a shared cell.
        self._index[color_cells(pinned, _BITS)] = places

    def apply(self, image: Image) -> npt.NDArray[np.uint8]:
        """Return the entry of each pixel's colour, shape (h, w, 3) to (h, w)."""
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
    # What red adds to a distance is the same for all of its slice.
    partial = norm - 2 * green_blue @ colors[:, 1:].T
    for index, red in enumerate(levels):
        distance = partial - 2 * red * colors[:, 0]
        table[index] = distance.argmin(axis=1).reshape(len(levels), len(levels))
    return table.ravel()
