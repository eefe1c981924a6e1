"""Contour lines: vectors in stills, anti-aliased pixels in films."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz.domain.domain import Domain
from trainviz.modes.base import Contour
from trainviz.rendering.figure.parts import Layout, Theme

__all__ = ["ContourLines", "contour_paths", "draw_contours"]

_LINE, _HALO = 1.1, 2.6
"""Points: a dark line on a light rim, or the reverse, is seen on any colour."""

_HALO_OPACITY = 0.55


def contour_paths(
    contours: Iterable[Contour],
    x: Any = None,
    y: Any = None,
    bands: tuple[int | None, int | None] = (None, None),
) -> Iterator[Any]:
    """Find where quantities cross their levels.

    Parameters
    ----------
    contours : iterable of Contour
        Of values of shape (h, w).
    x, y : array-like, shape (w,) and (h,), optional
        The places of the columns and rows; default their numbers.
    bands : tuple of (int or None), optional
        The numbers of categories along y and x, as :attr:`Domain.bands`. From one to
        the next a quantity jumps, and crosses no level.

    Yields
    ------
    matplotlib.path.Path
        One a level that is crossed, of each band.

    Examples
    --------
    >>> ramp = np.tile(np.linspace(0, 1, 5), (3, 1))
    >>> path, = contour_paths([Contour(ramp, (0.375,))])
    >>> path.vertices[:, 0]
    array([1.5, 1.5, 1.5])
    """
    from contourpy import contour_generator
    from matplotlib.path import Path

    for values, levels in contours:
        height, width = np.shape(values)
        across, along = (np.arange(n) if given is None else np.asarray(given)
                         for n, given in ((width, x), (height, y)))  # fmt: skip
        for rows, columns in product(_parts(height, bands[0]), _parts(width, bands[1])):
            found: Any = contour_generator(
                across[columns], along[rows],
                np.asarray(values[rows, columns], dtype=np.float64),
                line_type="ChunkCombinedCode",
            )  # fmt: skip
            for level in levels:
                (vertices,), (codes,) = found.lines(level)
                if vertices is not None:
                    yield Path(vertices, codes)


def _parts(count: int, bands: int | None) -> list[slice]:
    """Return the lines of a grid, or of pixels, that belong to each category."""
    ends = np.round(np.linspace(0, count, (bands or 1) + 1)).astype(int)
    # A line between two places needs both.
    return [slice(first, end) for first, end in pairwise(ends) if end - first > 1]


def draw_contours(layout: Layout, contours: Iterable[Contour], domain: Domain) -> None:
    """Draw contour lines, of values on the domain's grid, into the axes of a still."""
    from matplotlib.patches import PathPatch

    x = np.linspace(*domain.xlim, domain.shape[1])
    y = np.linspace(*domain.ylim, domain.shape[0])
    scale = layout.marker_scale**0.5
    for path in contour_paths(contours, x, y, domain.bands):
        for color, width, opacity in _strokes(layout.theme):
            layout.ax.add_patch(
                PathPatch(
                    path, fill=False, edgecolor=color, linewidth=width * scale, alpha=opacity,
                    capstyle="round", joinstyle="round", zorder=1,
                )
            )  # fmt: skip


class ContourLines:
    """Draw contour lines into the pictures of a film.

    Parameters
    ----------
    shape : tuple of int
        ``(h, w)`` of the pictures.
    theme : Theme
    dpi : float
    bands : tuple of (int or None), optional
        As for :func:`contour_paths`.

    Examples
    --------
    >>> pen = ContourLines((20, 30), Theme.of(False), 100)
    >>> picture = np.full((20, 30, 3), 200, dtype=np.uint8)
    >>> pen.draw(picture, [Contour(np.tile(np.arange(30), (20, 1)), (9.5,))])
    >>> int(picture[10].min()) < 100, picture[10, 20]
    (True, array([200, 200, 200], dtype=uint8))
    """

    def __init__(
        self,
        shape: tuple[int, int],
        theme: Theme,
        dpi: float,
        bands: tuple[int | None, int | None] = (None, None),
    ) -> None:
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.transforms import Affine2D

        height, width = shape
        self._theme = theme
        self._bands = bands
        self._renderer: Any = RendererAgg(width, height, dpi)
        # A value belongs to the centre of its pixel; the renderer counts rows from below.
        self._places = Affine2D().scale(1, -1).translate(0.5, height - 0.5)

    def draw(self, picture: Image, contours: Iterable[Contour]) -> None:
        """Draw the lines of values, one a pixel, over a picture, in place."""
        paths = list(contour_paths(contours, bands=self._bands))
        if not paths:
            return
        self._renderer.clear()
        for color, width, opacity in _strokes(self._theme):
            style = self._style(color, width, opacity)
            for path in paths:
                self._renderer.draw_path(style, path, self._places, None)
            style.restore()
        _cover(picture, np.asarray(self._renderer.buffer_rgba()))

    def _style(self, color: str, width: float, opacity: float) -> Any:
        style = self._renderer.new_gc()
        style.set_foreground(color)
        style.set_alpha(opacity)
        style.set_linewidth(width)
        style.set_capstyle("round")
        style.set_joinstyle("round")
        style.set_snap(False)
        return style


def _strokes(theme: Theme) -> list[tuple[str, float, float]]:
    return [(theme.background, _HALO, _HALO_OPACITY), (theme.foreground, _LINE, 1.0)]


def _cover(picture: Image, layer: npt.NDArray[np.uint8]) -> None:
    """Put a partly transparent RGBA picture, shape (h, w, 4), over another."""
    seen = np.flatnonzero(layer[..., 3])
    over = layer.reshape(-1, 4)[seen]
    share = over[:, 3:].astype(np.float32) / np.float32(255)
    flat = picture.reshape(-1, 3)
    below = flat[seen].astype(np.float32)
    below += (over[:, :3] - below) * share
    flat[seen] = np.rint(below, out=below).astype(np.uint8)
