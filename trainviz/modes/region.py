"""The regions that the classes occupy, one colour a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image, Map, argmax
from trainviz.modes.base import Contour, Mode, PaintBetween, register_mode
from trainviz.modes.kernels import paint_regions, painter
from trainviz.modes.palettes import MAX_CLASSES
from trainviz.recordings.recording import Recording

__all__ = ["Region", "by_area"]


@register_mode
class Region(Mode):
    """One colour a class, paler where the model is unsure.

    Borders are antialiased: a pixel there mixes the colours of the classes
    that meet in it, by area. Class indices are never interpolated.

    Parameters
    ----------
    outline : bool, default False
        Draw the borders as contour lines, which are vectors in SVG and PDF.
    top_k : int, optional
        Give a colour only to the ``top_k`` classes with the largest area in the
        last snapshot, and one grey to all others; for models with more classes
        than can be told apart by colour.

    Raises
    ------
    ValueError
        If ``top_k`` is not 1 to 255.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
    >>> _ = recorder.capture(lambda X: np.full((len(X), 1000), 1 / 1000), epoch=0)
    >>> tv.animate(recorder.recording, mode=Region(top_k=7))
    Animation(region mode, 1 frames, ...)
    """

    name, guide = "region", "classes"

    _LEVELS, _MIXED = 64, 24
    _PALEST, _FULL = 0.18, 0.72
    """The weight of the class colour, against the background, at the probabilities 1/C and 1.
    It is below 1, so that data points, which have the full colour, stand out."""

    def __init__(self, *, outline: bool = False, top_k: int | None = None) -> None:
        super().__init__()
        if top_k is not None and not (hasattr(top_k, "__index__") and 1 <= top_k < MAX_CLASSES):
            raise ValueError(
                f"top_k={top_k!r}: expected how many classes have a colour, 1 to {MAX_CLASSES - 1}"
            )
        self.outline = outline
        self.top_k = top_k

    def distinct(self, n_classes: int) -> int:
        """Return how many classes need a colour of their own."""
        return n_classes if self.top_k is None else min(self.top_k, n_classes)

    def prepare(self) -> None:
        """Compute the shades of each class."""
        self._kept = None
        shown = self.palette.classes
        if self.top_k is not None and self.top_k < self.n_classes:
            self._kept = _most_common(self.recording, self.top_k)
            self._others = np.setdiff1d(np.arange(self.n_classes), self._kept)
            shown = np.concatenate([shown[: self.top_k], _OTHERS])
            every = np.repeat(_OTHERS, self.n_classes, axis=0)
            every[self._kept] = shown[: self.top_k]
            self.palette = replace(self.palette, classes=every)
        self._levels = self._LEVELS if self.shade else 1
        strength = np.linspace(self._PALEST, self._FULL, self._LEVELS) if self.shade else np.ones(1)
        self._colors = self._mixed(shown[:, None], strength[None, :, None]).reshape(-1, 3)

    def certain(self, color: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the shade of a class where its probability is 1."""
        return self._mixed(color, self._FULL if self.shade else 1.0)

    def _mixed(self, colors: Any, strength: Any) -> npt.NDArray[np.uint8]:
        ground = self.palette.background.astype(np.float64)
        mixed: npt.NDArray[np.uint8] = np.round(ground + (colors - ground) * strength).astype(
            np.uint8
        )
        return mixed

    @property
    def colors(self) -> Image:
        """The shades of every class, strongest first, and the 50:50 mixtures of two classes."""
        count = len(self._colors) // self._levels
        shades = self._colors.reshape(count, -1, 3)[:, ::-1].astype(np.uint16)
        first, second = np.triu_indices(min(count, self._MIXED), k=1)
        mixtures = (shades[first, ::16] + shades[second, ::16]) // 2
        every = [shades.swapaxes(0, 1).reshape(-1, 3), mixtures.reshape(-1, 3)]
        return np.concatenate(every).astype(np.uint8)

    @property
    def kept_colors(self) -> npt.NDArray[np.uint8]:
        """The colours of the classes that have one, uint8, shape (n, 3)."""
        every = self.palette.classes
        return every if self._kept is None else every[self._kept]

    def legend(self, recording: Recording) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Return the name and colour of each class; with ``top_k``, one entry for the others."""
        if self._kept is None:
            return super().legend(recording)
        names = recording.class_names
        listed = [(names[index], self.palette.classes[index]) for index in self._kept]
        return [*listed, (f"{len(self._others)} others", _OTHERS[0])]

    def contours(self, probabilities: Map) -> Iterator[Contour]:
        """Yield the probability of each class minus the highest of the others; 0 on its border."""
        if not self.outline:
            return
        probabilities = self._grouped(probabilities)
        labels, first = argmax(probabilities)
        second = np.zeros_like(first)
        for index, plane in enumerate(probabilities):
            np.maximum(second, plane, out=second, where=labels != index)
        for index in np.unique(labels):
            plane = probabilities[index]
            yield Contour(plane - np.where(labels == index, second, first), (0.0,))

    def paint(self, probabilities: Map) -> Image:
        """Paint the class of every pixel, then antialias the borders."""
        grouped = self._grouped(probabilities)
        return self._painter()(grouped, grouped)(np.float32(0))

    def between(self) -> PaintBetween | None:
        """Return a function that paints between two maps, or None."""
        own = (type(self).paint, type(self).contours) == (Region.paint, Region.contours)
        return None if not own or self.outline or self._kept is not None else self._painter()

    def _painter(self) -> PaintBetween:
        lowest, levels = 1 / self.n_classes, self._levels
        factor = np.float32((levels - 1) / (1 - lowest))
        return painter(paint_regions, np.float32(lowest), factor, self._colors, levels)

    def _grouped(self, probabilities: Map) -> Map:
        """Merge all classes without a colour into one, whose probability is their highest."""
        if self._kept is None:
            return probabilities
        grouped = np.empty((len(self._kept) + 1, *probabilities.shape[1:]), dtype=np.float32)
        np.take(probabilities, self._kept, axis=0, out=grouped[:-1], mode="clip")
        np.max(probabilities[self._others], axis=0, out=grouped[-1])
        return grouped


def by_area(recording: Recording) -> npt.NDArray[np.intp]:
    """Return the classes, that with the largest area in the last snapshot first, shape (C,)."""
    last = recording[-1].probabilities
    area = np.bincount(last.argmax(axis=0).ravel(), minlength=len(last))
    return np.argsort(-area, kind="stable")


def _most_common(recording: Recording | None, count: int) -> npt.NDArray[np.intp]:
    if recording is None or not len(recording):
        return np.arange(count)
    return np.sort(by_area(recording)[:count])


_OTHERS = np.array([[128, 128, 128]], dtype=np.uint8)
