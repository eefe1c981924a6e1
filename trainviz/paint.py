"""A class probability map becomes colours, by mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from trainviz.palettes import Palette

__all__ = [
    "MODES",
    "Boundary",
    "Mode",
    "Region",
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

    @property
    def colors(self) -> Image | None:
        """The colours of the mode's pictures, the most frequent first, or None.

        A GIF chooses its palette from them: ndarray of uint8, shape (n, 3).
        Without them it is chosen from a few frames of the film.
        """
        return None

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
        level = values - np.float32(low)
        level *= np.float32(255 / (high - low))
        np.clip(np.rint(level, out=level), 0, 255, out=level)
        return unpacked(self._table.take(level.astype(np.uint8)))


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

    @property
    def colors(self) -> Image:
        """The colormap, from its upper end: a trained model is sure of most points."""
        return self.palette.sequential[::-1]

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

    _LEVELS, _MIXED = 64, 24
    _PALEST, _FULL = 0.18, 0.72
    """How much of the class colour is used where the model knows nothing, and
    where it is certain; data points in the full colour stand out on either."""

    def __init__(self, n_classes: int, palette: Palette, *, shade: bool = True) -> None:
        super().__init__(n_classes, palette, shade=shade)
        self._levels = self._LEVELS if shade else 1
        strength = np.linspace(self._PALEST, self._FULL, self._LEVELS) if shade else np.ones(1)
        colors = palette.classes[:, None, :].astype(np.float64)
        ground = palette.background.astype(np.float64)
        mixed = ground + (colors - ground) * strength[None, :, None]
        self._colors = np.round(mixed).astype(np.uint8).reshape(-1, 3)
        self._words, self._spread = packed(self._colors), _spread(self._colors)

    @property
    def colors(self) -> Image:
        """The shades of every class, surest first, and of every two classes half and half."""
        shades = self._colors.reshape(self.n_classes, -1, 3)[:, ::-1].astype(np.uint16)
        first, second = np.triu_indices(min(self.n_classes, self._MIXED), k=1)
        mixtures = (shades[first, ::16] + shades[second, ::16]) // 2
        every = [shades.swapaxes(0, 1).reshape(-1, 3), mixtures.reshape(-1, 3)]
        return np.concatenate(every).astype(np.uint8)

    def paint(self, probabilities: Map) -> Image:
        """Paint the class of every pixel, then smooth the borders."""
        labels, highest = argmax(probabilities)
        shades = self._shades(highest)
        words = self._words.take(labels * np.uint16(self._levels) + shades)
        near = _neighbours(np.flatnonzero(_borders(labels)), *labels.shape)
        around = labels.reshape(-1).take(near)
        # Nearly all along a border two classes meet: then only these are compared.
        low, high = around.min(axis=0), around.max(axis=0)
        crowded = ~((around == low) | (around == high)).all(axis=0)
        flat, shade = probabilities.reshape(len(probabilities), -1), shades.reshape(-1)
        for part in _parts(np.flatnonzero(~crowded)):
            pixels = near[_CENTRE, part]
            total = self._pairs(flat, near[:, part], low[part], high[part], shade[pixels])
            words.reshape(-1)[pixels] = packed(_mean_color(total))
        for part in _parts(np.flatnonzero(crowded)):
            pixels = near[_CENTRE, part]
            total = self._crowds(flat, near[:, part], around[:, part], shade[pixels])
            words.reshape(-1)[pixels] = packed(_mean_color(total))
        return unpacked(words)

    def _shades(self, highest: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
        if not self.shade:
            return np.zeros(highest.shape, dtype=np.uint16)
        lowest, last = 1 / self.n_classes, self._levels - 1
        level = highest - np.float32(lowest)
        level *= np.float32(last / (1 - lowest))
        return np.clip(np.rint(level, out=level), 0, last, out=level).astype(np.uint16)

    def _pairs(
        self, flat: Map, near: Any, low: Any, high: Any, shade: Any
    ) -> npt.NDArray[np.uint64]:
        """Add up the colours of the sub-samples of pixels where two classes meet."""
        size = np.intp(flat.shape[1])
        margin = flat.reshape(-1).take(high * size + near)
        margin -= flat.reshape(-1).take(low * size + near)
        won = (np.matmul(_SUBSAMPLES, margin) > 0).view(np.uint8).sum(axis=0, dtype=np.uint64)
        levels = np.uint16(self._levels)
        total: npt.NDArray[np.uint64] = self._spread.take(low * levels + shade)
        total *= np.uint64(len(_SUBSAMPLES)) - won
        total += self._spread.take(high * levels + shade) * won
        return total

    def _crowds(self, flat: Map, near: Any, around: Any, shade: Any) -> npt.NDArray[np.uint64]:
        """Add up the colours of the sub-samples of pixels where more classes meet."""
        meeting = np.sort(around, axis=0)
        values = flat.reshape(-1).take(meeting[:, None] * np.intp(flat.shape[1]) + near)
        first = np.matmul(_SUBSAMPLES, values).argmax(axis=0)
        label = np.take_along_axis(meeting, first, axis=0)
        total: npt.NDArray[np.uint64] = self._spread.take(
            label * np.uint16(self._levels) + shade
        ).sum(axis=0)
        return total


def argmax(values: Map) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return index and value of the highest of 1 to 256 along the first axis (the first of equals).

    In bytes, of which the processor compares many at a time; ``numpy.argmax``
    takes ten times as long along the first axis.
    """
    highest = values.max(axis=0)
    last = len(values) - 1
    from_last = np.zeros(highest.shape, dtype=np.uint8)
    marks = np.empty(highest.shape, dtype=np.bool_)
    found = marks.view(np.uint8)
    for index in range(last):
        np.equal(values[index], highest, out=marks)
        np.multiply(found, np.uint8(last - index), out=found)
        np.maximum(from_last, found, out=from_last)
    return np.subtract(np.uint8(last), from_last, out=from_last), highest


def packed(colors: Image) -> npt.NDArray[np.uint32]:
    """Pack RGB rows into one 32-bit word each: looking up words beats looking up rows."""
    rgba = np.full((len(colors), 4), 255, dtype=np.uint8)
    rgba[:, :3] = colors
    return rgba.view(np.uint32)[:, 0]


def unpacked(words: npt.NDArray[np.uint32]) -> Image:
    """Unpack 32-bit words into RGB, shape (h, w) to (h, w, 3)."""
    channels = words.view(np.uint8).reshape(*words.shape, 4)
    image = np.empty((*words.shape, 3), dtype=np.uint8)
    # Three long copies are quicker than one for each pixel.
    for channel in range(3):
        image[..., channel] = channels[..., channel]
    return image


def _borders(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
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


def _neighbours(pixels: npt.NDArray[np.intp], height: int, width: int) -> npt.NDArray[np.intp]:
    """Return the flat indices of the 3x3 pixels around each pixel, shape (9, n)."""
    row, column = np.divmod(pixels, width)
    rows = [np.maximum(row - 1, 0), row, np.minimum(row + 1, height - 1)]
    columns = [np.maximum(column - 1, 0), column, np.minimum(column + 1, width - 1)]
    return np.stack([y * width + x for y in rows for x in columns])


def _parts(indices: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    return (indices[start : start + _PART] for start in range(0, len(indices), _PART))


def _spread(colors: Image) -> npt.NDArray[np.uint64]:
    """Give each channel 16 of 64 bits: colours are added up by adding words."""
    words = np.zeros((len(colors), 4), dtype=np.uint16)
    words[:, :3] = colors
    return words.view(np.uint64)[:, 0]


def _mean_color(total: npt.NDArray[np.uint64]) -> Image:
    """Divide sums of spread colours, one for each sub-sample, by their number."""
    channels = total.view(np.uint16).reshape(-1, 4)[:, :3]
    count = len(_SUBSAMPLES)
    return ((channels + count // 2) // count).astype(np.uint8)


def _subsample_weights(per_side: int) -> npt.NDArray[np.float32]:
    """Bilinear weights of a pixel's 3x3 neighbourhood at each of its sub-samples."""
    offsets = (np.arange(per_side) + 0.5) / per_side - 0.5
    axis = np.stack([np.maximum(-offsets, 0), 1 - np.abs(offsets), np.maximum(offsets, 0)], axis=1)
    both = axis[:, None, :, None] * axis[None, :, None, :]
    weights: npt.NDArray[np.float32] = both.reshape(per_side**2, 9).astype(np.float32)
    return weights


_SUBSAMPLES = _subsample_weights(4)
_CENTRE = 4
_PART = 1024
"""Pixels whose sub-samples are made at a time: a product so small is left to one thread by
BLAS, whose other threads would take the processor from the encoder."""
