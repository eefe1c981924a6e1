"""A class probability map becomes colours, by mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from trainviz.palettes import Palette

__all__ = [
    "MODES",
    "Boundary",
    "Mode",
    "Region",
    "Resampler",
    "find_mode",
    "make_mode",
    "register_mode",
]

Map = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


class Mode(ABC):
    """How a class probability map becomes a picture.

    Subclass it, name it, decorate it with :func:`register_mode`, and
    ``animate(recording, mode="my-mode")`` uses it.

    Parameters
    ----------
    n_classes : int
    palette : Palette
    shade : bool, default True
        Whether the picture says how sure the model is, where a mode can choose.

    Attributes
    ----------
    name : str
        What ``mode=`` is called with.
    guide : {"classes", "scale"}
        What explains the colours: a legend of the classes, or a colour bar.
    label : str
        What the colour bar measures.
    limits : tuple of float
        The two ends of the colour bar; they never change within a film.

    Examples
    --------
    >>> @register_mode
    ... class Entropy(Mode):
    ...     name, guide, label = "my-entropy", "scale", "entropy (nats)"
    ...     @property
    ...     def limits(self):
    ...         return 0.0, float(np.log(self.n_classes))
    ...     def paint(self, probabilities):
    ...         p = np.maximum(probabilities, 1e-12)
    ...         return self.scale(-(p * np.log(p)).sum(axis=0))
    >>> mode = make_mode("my-entropy", 2, Palette.of(2))
    >>> mode.paint(np.full((2, 4, 4), 0.5, dtype=np.float32)).shape
    (4, 4, 3)
    >>> del MODES["my-entropy"]
    """

    name: ClassVar[str]
    guide: ClassVar[Literal["classes", "scale"]]
    label: ClassVar[str] = ""

    def __init__(self, n_classes: int, palette: Palette, *, shade: bool = True) -> None:
        self.n_classes = n_classes
        self.palette = palette
        self.shade = shade
        self._table = packed(palette.sequential)

    @property
    def limits(self) -> tuple[float, float]:
        """The two ends of the colour bar."""
        return 0.0, 1.0

    @abstractmethod
    def paint(self, probabilities: Map) -> Image:
        """Paint a map.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (C, h, w)
            One value a pixel, row 0 at the top of the picture.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3)
        """

    def scale(self, values: npt.NDArray[np.floating[Any]]) -> Image:
        """Paint one quantity through the sequential colormap, between the mode's limits."""
        low, high = self.limits
        level = (values - np.float32(low)) * np.float32(255 / (high - low))
        return unpacked(self._table, np.clip(np.rint(level), 0, 255).astype(np.uint8))


MODES: dict[str, type[Mode]] = {}
"""The registered modes, by name."""


def register_mode(mode: type[Mode]) -> type[Mode]:
    """Make a :class:`Mode` known by its name; usable as a class decorator.

    Parameters
    ----------
    mode : type
        A subclass of :class:`Mode` with a ``name``.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    TypeError
        If it is no subclass of :class:`Mode`, or has no name.
    """
    if not (isinstance(mode, type) and issubclass(mode, Mode)) or not hasattr(mode, "name"):
        raise TypeError(f"register_mode({mode!r}): expected a subclass of Mode with a name")
    MODES[mode.name] = mode
    return mode


def make_mode(
    mode: str | type[Mode], n_classes: int, palette: Palette, *, shade: bool = True
) -> Mode:
    """Make the painter that ``mode=`` asks for.

    Raises
    ------
    ValueError
        If no mode has this name.
    """
    return find_mode(mode)(n_classes, palette, shade=shade)


def find_mode(mode: str | type[Mode]) -> type[Mode]:
    """Return the mode of this name, or the mode itself.

    Raises
    ------
    ValueError
        If no mode has this name.
    """
    if isinstance(mode, type) and issubclass(mode, Mode):
        return mode
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(
            f"mode={mode!r}: expected one of {', '.join(map(repr, MODES))}, or a subclass of Mode"
        )
    return MODES[mode]


@register_mode
class Boundary(Mode):
    """The highest class probability: low where two classes meet.

    The limits are fixed to [1/C, 1], the range that a highest of C class
    probabilities can have, so that a colour means the same in every frame.
    """

    name, guide, label = "boundary", "scale", "highest class probability"

    @property
    def limits(self) -> tuple[float, float]:
        """``(1 / C, 1)``."""
        return 1 / self.n_classes, 1.0

    def paint(self, probabilities: Map) -> Image:
        """Paint the highest class probability."""
        return self.scale(probabilities.max(axis=0))


@register_mode
class Region(Mode):
    """One colour a class, paler where the model is unsure.

    Along the borders the colours of the true neighbours are mixed by the
    share of the pixel that each covers; a class index is never interpolated.
    """

    name, guide = "region", "classes"

    _LEVELS = 64
    _PALEST, _FULL = 0.18, 0.72
    """How much of the class colour is used where the model knows nothing, and
    where it is certain; data points in the full colour stand out on either."""

    def __init__(self, n_classes: int, palette: Palette, *, shade: bool = True) -> None:
        super().__init__(n_classes, palette, shade=shade)
        strength = np.linspace(self._PALEST, self._FULL, self._LEVELS) if shade else np.ones(1)
        colors = palette.classes[:, None, :].astype(np.float64)
        ground = palette.background.astype(np.float64)
        mixed = ground + (colors - ground) * strength[None, :, None]
        self._colors = np.round(mixed).astype(np.uint8).reshape(-1, 3)
        self._color_table = packed(self._colors)

    def paint(self, probabilities: Map) -> Image:
        """Paint the class of every pixel, then smooth the borders."""
        labels, highest = argmax(probabilities)
        image = unpacked(self._color_table, self._index(labels, highest))
        rows, columns = np.nonzero(_borders(labels))
        # In parts, so that many classes do not make the sub-samples of a border large.
        part = max(1, 2_000_000 // (self.n_classes * len(_SUBSAMPLES)))
        for start in range(0, len(rows), part):
            where = rows[start : start + part], columns[start : start + part]
            image[where] = self._covered(probabilities, *where)
        return image

    def _index(
        self, labels: npt.NDArray[np.intp], highest: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.intp]:
        if not self.shade:
            return labels
        lowest = 1 / self.n_classes
        level = (highest - np.float32(lowest)) * np.float32((self._LEVELS - 1) / (1 - lowest))
        step = np.clip(np.rint(level), 0, self._LEVELS - 1).astype(np.intp)
        index: npt.NDArray[np.intp] = labels * self._LEVELS + step
        return index

    def _covered(
        self,
        probabilities: Map,
        rows: npt.NDArray[np.intp],
        columns: npt.NDArray[np.intp],
    ) -> Image:
        """Return the mean colour of each pixel's sub-samples."""
        _, height, width = probabilities.shape
        near = np.stack([
            probabilities[:, np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)]
            for dy in (-1, 0, 1) for dx in (-1, 0, 1)
        ])  # fmt: skip
        samples = np.tensordot(_SUBSAMPLES, near, axes=1).transpose(1, 0, 2)
        labels, highest = argmax(samples)
        colors = self._colors[self._index(labels, highest)]
        mean: Image = np.round(colors.mean(axis=0)).astype(np.uint8)
        return mean


class Resampler:
    """Bring a map from its grid to the pixels of a picture, bilinearly.

    The outer grid points lie on the edges of the picture, and a pixel shows
    the value at its centre. Row 0 of the result is the top of the picture.

    Parameters
    ----------
    grid : tuple of int
        ``(H, W)`` of the map.
    pixels : tuple of int
        ``(h, w)`` of the picture.

    Examples
    --------
    >>> ramp = np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
    >>> Resampler((2, 2), (1, 4))(ramp)
    array([[[0.125, 0.375, 0.625, 0.875]]], dtype=float32)
    """

    def __init__(self, grid: tuple[int, int], pixels: tuple[int, int]) -> None:
        self._rows, self._row_weights = _places(grid[0], pixels[0], reverse=True)
        self._columns, self._column_weights = _places(grid[1], pixels[1], reverse=False)

    def __call__(self, probabilities: Map) -> Map:
        """Return the map at the pixels' centres, shape (C, h, w)."""
        left = probabilities.take(self._columns, axis=2)
        wide = probabilities.take(self._columns + 1, axis=2)
        wide -= left
        wide *= self._column_weights
        wide += left
        low = wide.take(self._rows, axis=1)
        tall = wide.take(self._rows + 1, axis=1)
        tall -= low
        tall *= self._row_weights[:, None]
        tall += low
        return tall


def argmax(values: Map) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return index and value of the highest entry along the first axis (the first of equals)."""
    labels = np.zeros(values.shape[1:], dtype=np.intp)
    highest = values[0].copy()
    for index in range(1, len(values)):
        higher = values[index] > highest
        labels[higher] = index
        np.maximum(highest, values[index], out=highest)
    return labels, highest


def packed(colors: Image) -> npt.NDArray[np.uint32]:
    """Pack RGB rows into one 32-bit word each: looking up words beats looking up rows."""
    rgba = np.full((len(colors), 4), 255, dtype=np.uint8)
    rgba[:, :3] = colors
    return rgba.view(np.uint32)[:, 0]


def unpacked(table: npt.NDArray[np.uint32], index: npt.NDArray[np.integer[Any]]) -> Image:
    """Look pixels up in a packed table, shape (h, w) to (h, w, 3)."""
    words = np.take(table, index)
    return np.ascontiguousarray(words.view(np.uint8).reshape(*index.shape, 4)[..., :3])


def _borders(labels: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Mark the pixels that differ from one of their eight neighbours' classes."""
    border = np.zeros(labels.shape, dtype=bool)
    across = labels[:, 1:] != labels[:, :-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    along = labels[1:] != labels[:-1]
    border[1:] |= along
    border[:-1] |= along
    slant = labels[1:, 1:] != labels[:-1, :-1]
    border[1:, 1:] |= slant
    border[:-1, :-1] |= slant
    slant = labels[1:, :-1] != labels[:-1, 1:]
    border[1:, :-1] |= slant
    border[:-1, 1:] |= slant
    return border


def _places(
    grid: int, pixels: int, *, reverse: bool
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    centres = (np.arange(pixels) + 0.5) / pixels * (grid - 1)
    if reverse:
        centres = centres[::-1]
    left = np.minimum(centres.astype(np.intp), grid - 2)
    return left, (centres - left).astype(np.float32)


def _subsample_weights(per_side: int) -> npt.NDArray[np.float32]:
    """Bilinear weights of a pixel's 3x3 neighbourhood at each of its sub-samples."""
    offsets = (np.arange(per_side) + 0.5) / per_side - 0.5
    axis = np.stack([np.maximum(-offsets, 0), 1 - np.abs(offsets), np.maximum(offsets, 0)], axis=1)
    both = axis[:, None, :, None] * axis[None, :, None, :]
    weights: npt.NDArray[np.float32] = both.reshape(per_side**2, 9).astype(np.float32)
    return weights


_SUBSAMPLES = _subsample_weights(4)
