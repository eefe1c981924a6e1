"""Compose frames: what surrounds the map is drawn once, what changes is drawn in each frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz._common.jit import ready
from trainviz.modes import Mode
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions, value_at
from trainviz.rendering.captions import Caption, Counter
from trainviz.rendering.figure.data_points import (
    draw_points,
    draw_wrong_points,
    error_styles,
    fades,
    mark_strength,
    points_shown,
)
from trainviz.rendering.figure.layout import build_layout
from trainviz.rendering.figure.options import SceneOptions
from trainviz.rendering.figure.parts import Layout
from trainviz.rendering.figure.styles import user_style
from trainviz.rendering.figure.texts import without_glyph_warnings
from trainviz.rendering.kernels import cover, stamp

__all__ = ["Compositor", "WrongPoints", "draw_ground", "mark_errors"]


class Compositor:
    """Compose frames: a static layer drawn by matplotlib once, and the painted map.

    Parameters
    ----------
    recording : Recording
    mode : Mode
    options : SceneOptions
    layout : Layout, optional
        The map's place in a figure with several; default: a figure of its own.
    ground : tuple of ndarray, optional
        The result of :func:`draw_ground`, if the figure is drawn already.

    Attributes
    ----------
    shape : tuple of int
        ``(height, width)`` of a frame; both even.
    map_shape : tuple of int
        ``(height, width)`` of the map in a frame.

    Examples
    --------
    >>> import trainviz as tv
    >>> from trainviz.modes import find_mode
    >>> from trainviz.rendering.timeline import Timeline
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
    >>> _ = recorder.capture(lambda X: X[:, :1], epoch=0)
    >>> mode = find_mode("region").bound(2, tv.Palette.of(2))
    >>> scene = Compositor(recorder.recording, mode, {"figsize": (4, 3)})
    >>> blank = np.zeros((*scene.map_shape, 3), dtype=np.uint8)
    >>> scene.compose(blank, Timeline(1)[0]).shape
    (300, 400, 3)
    """

    @user_style()
    def __init__(
        self,
        recording: Recording,
        mode: Mode,
        options: SceneOptions,
        layout: Layout | None = None,
        ground: tuple[Image, Image] | None = None,
    ) -> None:
        self._counter = Counter(recording, options.get("counter", True), options.get("annotate"))
        self._layout = layout or build_layout(recording, mode, options, self._counter.widest)
        self._show_counter = options.get("counter", True)
        self._positions = positions(recording)
        self._recording = recording
        has_points = options.get("points", True) and recording.data is not None
        self._wrong = WrongPoints(recording, options) if has_points else None
        self._fades = self._wrong is not None and fades(recording, options)
        self._mode, self._options = mode, options
        left, top, width, height = self._layout.box
        self.map_shape = (height, width)
        self._box = (slice(top, top + height), slice(left, left + width))
        self._draw_static(ground)
        self._mask = lru_cache(maxsize=2)(self._find_wrong)
        # By what is marked, which snapshots late in training often have in common.
        self._marks = lru_cache(maxsize=2)(self._draw_marks)
        self._drawn_markers = lru_cache(maxsize=16)(self._draw_markers)
        self._markers: list[_Marker] = []
        self._faded = lru_cache(maxsize=2)(self._draw_faded)

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of a frame."""
        return self._static.shape[0], self._static.shape[1]

    def compose(self, image: Image, moment: Moment) -> Image:
        """Return a frame with a painted map.

        Parameters
        ----------
        image : ndarray of uint8, shape (*map_shape, 3)
        moment : Moment

        Returns
        -------
        ndarray of uint8, shape (*shape, 3)
            A new array.
        """
        frame = self._static.copy()
        self.put_on(frame, image, moment)
        return frame

    def put_on(self, frame: Image, image: Image, moment: Moment) -> None:
        """Draw a painted map, its points, progress and counter into a frame, in place."""
        frame[self._box] = image
        self._overlay.put_on(frame)
        if self._wrong is not None:
            wrong = self._mask(moment.left)
            if self._fades:
                self._faded(wrong).put_on(frame)
            for marks in self._marks(wrong):
                marks.put_on(frame)
        if self._layout.strip is not None:
            self._advance_strip(frame, moment)
        if self._show_counter:
            self._writing.write(frame, self._counter.text(moment))

    def colors(self, painted: Image) -> Image:
        """Return the colours of frames, repeated by importance, for the palette of a GIF.

        Parameters
        ----------
        painted : ndarray of uint8, shape (n, 3)
            The colours of maps, the most frequent first.

        Returns
        -------
        ndarray of uint8, shape (m, 3)
        """
        around = np.ones(self.shape, dtype=bool)
        around[self._box] = self._opaque
        parts = [self._static[around], np.repeat(painted, _by_rank(len(painted)), axis=0)]
        if self._layout.strip is not None:
            parts.append(self._strip_future.reshape(-1, 3))
            # The line of the present is thin, but its colour is that of nothing else.
            parts.append(np.tile(self._accent, (_OFTEN, 1)))
        if self._fades:
            # The points are not part of what is drawn once.
            found = np.unique(self._mode.point_colors(self._recording), axis=0)
            parts.append(np.repeat(found, 256, axis=0))
        return np.concatenate(parts)

    def _draw_static(self, ground: tuple[Image, Image] | None) -> None:
        layout = self._layout
        self._static, drawn = ground or draw_ground([layout])
        self._writing = Caption(layout)
        self._overlay = Layer.of(drawn, self._box)
        self._opaque = drawn[self._box][..., 3] == 255
        if layout.strip is not None:
            self._strip_limits = layout.strip.get_xlim()
            self._accent = _rgb(layout.theme.accent)
            for curve in layout.curves:
                curve.set_alpha(0.25 * (curve.get_alpha() or 1))
            faint = _render(layout.figure)
            self._strip_future = _cut(faint, layout.strip_box)

    def _find_wrong(self, snapshot: int) -> bytes:
        """Return the mask of the points that a snapshot misclassifies."""
        assert self._wrong is not None
        return self._wrong.mask(snapshot).tobytes()

    def _draw_marks(self, wrong: bytes) -> list[Layer]:
        """Return the marks of errors, for each marker that one consists of."""
        assert self._recording.data is not None
        points = self._pixels(self._recording.data.points[np.frombuffer(wrong, np.bool_)])
        if not len(points):
            return []
        drawn = self._drawn_markers(mark_strength(len(points)))
        return [
            marker.at(points, clear) for marker, clear in zip(self._markers, drawn, strict=True)
        ]

    def _draw_markers(self, strength: float) -> list[npt.NDArray[np.float32]]:
        assert self._wrong is not None
        layout, n_points, options = self._layout, self._wrong.n_points, self._options
        if not self._markers:
            strongest = error_styles(layout, n_points, 1.0, options)
            dpi = layout.figure.dpi
            self._markers = [_Marker(dpi, style, self._box, self.shape) for style in strongest]
        styles = error_styles(layout, n_points, strength, options)
        return [marker.drawn(style) for marker, style in zip(self._markers, styles, strict=True)]

    def _draw_faded(self, wrong: bytes) -> Layer:
        """Return the points as a layer, those that are classified correctly faint."""
        figure = self._layout.figure
        artists = draw_points(
            self._layout, self._recording, self._mode, self._options, np.frombuffer(wrong, np.bool_)
        )
        renderer = figure.canvas.get_renderer()
        renderer.clear()
        for artist in artists:
            artist.draw(renderer)
            artist.remove()
        return Layer.of(np.array(figure.canvas.buffer_rgba()), self._box)

    def _pixels(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        if not len(points):
            return np.empty((0, 2), dtype=np.intp)
        x0, x1, y0, y1 = self._recording.domain.extent
        height, width = self.map_shape
        columns = (points[:, 0] - x0) / (x1 - x0) * width
        rows = (y1 - points[:, 1]) / (y1 - y0) * height
        places = np.stack([rows, columns], axis=1)
        # A point on the right or lower edge, where Domain.around may put some, gets the last pixel.
        last = np.array(self.map_shape, dtype=np.intp) - 1
        pixels: npt.NDArray[np.intp] = np.minimum(places.astype(np.intp), last)
        return pixels

    def _advance_strip(self, frame: Image, moment: Moment) -> None:
        left, top, width, height = self._layout.strip_box
        low, high = self._strip_limits
        share = (value_at(self._positions, moment) - low) / (high - low)
        now = min(max(round(share * width), 0), width)
        part = frame[top : top + height, left : left + width]
        part[:, now:] = self._strip_future[:, now:]
        part[:, max(now - 1, 0) : now + 1] = self._accent


class WrongPoints:
    """Which of the drawn points a snapshot misclassifies."""

    def __init__(self, recording: Recording, options: SceneOptions) -> None:
        self._recording = recording
        self._labels = recording.data_labels
        self._shown = points_shown(recording, options)
        self.n_points = int(self._shown.sum())

    def mask(self, snapshot: int) -> npt.NDArray[np.bool_]:
        """Tell which points of the data are drawn and misclassified."""
        guesses = self._recording.data_predictions(snapshot)
        if guesses is None or self._labels is None:
            return np.zeros(len(self._shown), dtype=bool)
        wrong: npt.NDArray[np.bool_] = (guesses != self._labels) & self._shown
        return wrong


def mark_errors(
    layout: Layout, recording: Recording, mode: Mode, options: SceneOptions, snapshot: int
) -> None:
    """Mark the points that a snapshot misclassifies, in a figure that matplotlib draws."""
    assert recording.data is not None
    found = WrongPoints(recording, options)
    wrong = found.mask(snapshot)
    if fades(recording, options):
        draw_points(layout, recording, mode, options, wrong)
    draw_wrong_points(layout, recording.data.points[wrong], found.n_points, options)


@without_glyph_warnings()
def draw_ground(layouts: Sequence[Layout]) -> tuple[Image, Image]:
    """Draw a figure, RGB, and what lies over the maps of its layouts, RGBA."""
    from matplotlib.colors import to_rgb

    figure = layouts[0].figure
    for layout in layouts:
        # alpha=0, since set_visible(False) would make matplotlib move the other titles.
        layout.counter.set_alpha(0)
        layout.ax.set_facecolor("none")
    figure.patch.set_visible(False)
    figure.canvas.draw()
    drawn: Image = np.array(figure.canvas.buffer_rgba())
    figure.patch.set_visible(True)
    behind = 255 * np.array(to_rgb(figure.get_facecolor()), dtype=np.float32)
    ground = np.tile(np.rint(behind).astype(np.uint8), (*drawn.shape[:2], 1))
    covered = np.flatnonzero(drawn[..., 3])
    color = drawn.reshape(-1, 4).take(covered, axis=0)
    passed = 1 - color[:, 3:] / np.float32(255)
    ground.reshape(-1, 3)[covered] = np.rint(color[:, :3] * (1 - passed) + behind * passed)
    return ground, drawn


@without_glyph_warnings()
def _render(figure: Any) -> Image:
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3].copy()


class _Marker:
    """A marker that is drawn in several strengths, and at many places of the map.

    Parameters
    ----------
    dpi : float
    strongest : dict
        The style of the largest, as ``scatter`` takes it.
    box : tuple of slice
        The rows and columns of the frame that the map takes.
    shape : tuple of int
        ``(height, width)`` of the frame.
    """

    def __init__(
        self,
        dpi: float,
        strongest: dict[str, Any],
        box: tuple[slice, slice],
        shape: tuple[int, int],
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import PathCollection
        from matplotlib.figure import Figure
        from matplotlib.markers import MarkerStyle
        from matplotlib.transforms import IdentityTransform

        across = np.sqrt(strongest["s"]) + 2 * strongest["linewidths"]
        # An odd number of pixels, so that one is in the middle.
        margin = int(np.ceil(across / 2 * dpi / 72))
        side, marker = 2 * margin + 1, MarkerStyle(strongest["marker"])
        color = strongest.get("edgecolors") or strongest["color"]
        figure = Figure(figsize=(side / dpi, side / dpi), dpi=dpi)
        self._renderer = FigureCanvasAgg(figure).get_renderer()
        # What scatter draws, without axes, whose making takes most of the time.
        self._artist = PathCollection(
            (marker.get_path().transformed(marker.get_transform()),), (strongest["s"],),
            offsets=[(side / 2, side / 2)], offset_transform=IdentityTransform(),
            facecolors="none", edgecolors=color,
        )  # fmt: skip
        self._artist.set_transform(IdentityTransform())
        self._artist.set_figure(figure)
        self._color = _rgb(color).astype(np.float32)
        # In a margin around the map, so that markers at its edge need no clipping.
        frame = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
        targets = np.pad(frame[box], margin, constant_values=-1)
        self._width, self._targets = targets.shape[1], targets.reshape(-1)
        # Kept, since new memory takes as long as the arithmetic.
        self._clear = np.ones(targets.size, np.float32)
        self._pixels, self._shares = np.empty(0, np.intp), np.empty(0, np.float32)

    def drawn(self, style: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Return the transparency of each pixel of the marker in another size, width and alpha."""
        self._renderer.clear()
        self._artist.set(sizes=[style["s"]], linewidths=[style["linewidths"]], alpha=style["alpha"])
        self._artist.draw(self._renderer)
        opaque = np.array(self._renderer.buffer_rgba())[..., 3]
        return (1 - opaque / np.float32(255)).astype(np.float32)

    def at(self, points: npt.NDArray[np.intp], drawn: npt.NDArray[np.float32]) -> Layer:
        """Return the marker at each point, a row and a column of the map."""
        down, right = places = np.nonzero(drawn < 1)
        size = len(points) * len(down)
        if len(self._pixels) < size:
            self._pixels, self._shares = np.empty(size, np.intp), np.empty(size, np.float32)
        count = stamp(
            self._clear, self._targets, points @ (self._width, 1), down * self._width + right,
            drawn[places], self._pixels, self._shares,
        )  # fmt: skip
        clear = self._shares[:count].copy()
        return Layer(self._color[:, None] * (1 - clear), self._pixels[:count].copy(), clear)


class Layer:
    """A partly transparent overlay of a map.

    Parameters
    ----------
    color : ndarray of float32, shape (3, n)
        The colour of each pixel multiplied by its opacity.
    pixels : ndarray of int, shape (n,)
        The flat indices of the pixels that it covers, in the frame.
    clear : ndarray of float32, shape (n,)
        The transparency of each, 0 to 1.
    """

    def __init__(
        self, color: Any, pixels: npt.NDArray[np.intp], clear: npt.NDArray[np.float32]
    ) -> None:
        self._color = ready(color + np.float32(0.5))
        self._pixels, self._clear = pixels, clear

    @classmethod
    def of(cls, drawn: Image, box: tuple[slice, slice]) -> Layer:
        """Return what was drawn on clear ground, RGBA, in a box of the frame."""
        rows, columns = np.nonzero(drawn[box][..., 3])
        pixels = (rows + box[0].start) * drawn.shape[1] + columns + box[1].start
        color = drawn.reshape(-1, 4).take(pixels, axis=0).T
        opacity = color[3] / np.float32(255)
        return cls(color[:3] * opacity, pixels, (1 - opacity).astype(np.float32))

    def put_on(self, frame: Image) -> None:
        """Blend the overlay into a frame, in place."""
        cover(frame.reshape(-1, 3), self._pixels, self._color, self._clear)


_OFTEN = 4096
"""The made-up frequency of a colour that matters."""


def _by_rank(count: int) -> npt.NDArray[np.intp]:
    """Return made-up frequencies, ~ 1 / rank, for colours of which only the order is known."""
    often: npt.NDArray[np.intp] = np.maximum(_OFTEN // np.arange(1, count + 1), 64)
    return often


def _cut(image: Image, box: tuple[int, int, int, int]) -> Image:
    left, top, width, height = box
    return image[top : top + height, left : left + width].copy()


def _rgb(color: str) -> Any:
    from matplotlib.colors import to_rgb

    return np.round(np.array(to_rgb(color)) * 255).astype(np.uint8)
