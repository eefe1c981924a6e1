"""Marks over a map: the samples that a plane goes through, and where it is a guess."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.domain.domain import Domain
from trainviz.rendering.figure.parts import Layout

__all__ = ["draw_anchors", "draw_doubt", "guess_handle", "thumbnails"]

_HATCH = "////"

_SHARE = 0.14
"""The longer side of a thumbnail, of the map's shorter side: a plane's margin has room for it."""

_LEAST_SIDE = 4
"""Pixels; what has shorter sides is no image but a few numbers."""


def draw_doubt(layout: Layout, domain: Domain) -> None:
    """Hatch where the map is a guess."""
    doubt = domain.doubt
    if doubt is None or doubt.max() < 1:
        return
    x, y = (np.linspace(*limits, side) for limits, side in
            ((domain.xlim, doubt.shape[1]), (domain.ylim, doubt.shape[0])))  # fmt: skip
    hatched = layout.ax.contourf(
        x, y, np.minimum(doubt, 2), levels=[1, 3], colors="none", hatches=[_HATCH], zorder=1
    )
    hatched.set_edgecolor(layout.theme.point_edge)
    hatched.set_linewidth(0)


def guess_handle(layout: Layout, domain: Domain) -> list[Any]:
    """Return the legend's entry for the hatch, where there is one."""
    from matplotlib.patches import Patch

    doubt = domain.doubt
    if doubt is None or doubt.max() < 1:
        return []
    theme = layout.theme
    return [
        Patch(facecolor="none", edgecolor=theme.muted, hatch=_HATCH, linewidth=0.5, label="a guess")
    ]


def draw_anchors(layout: Layout, domain: Domain) -> None:
    """Mark the samples that the plane goes through, and show those that are images.

    The axes must have their final place: thumbnails are laid out in pixels.
    """
    anchors = domain.anchors
    if anchors is None:
        return
    ax, theme = layout.ax, layout.theme
    scale = min(1.0, layout.marker_scale * 1.8)
    for point, letter in zip(anchors, "abc", strict=False):
        ax.plot(*point, "o", ms=11 * scale, mfc=theme.foreground, mec=theme.background, zorder=9)
        ax.text(
            *point, letter, ha="center", va="center_baseline", size=8 * scale, weight="bold",
            color=theme.background, zorder=10,
        )  # fmt: skip
    images = thumbnails(domain)
    if images is None:
        return
    box = ax.get_window_extent()
    size = np.array([box.width, box.height])
    places = ax.transAxes.inverted().transform(ax.transData.transform(anchors)) * size
    clear = 7.5 * scale * ax.figure.dpi / 72
    for image, middle, half in zip(
        images, *_laid_out(places, images, size, clear), strict=True
    ):  # fmt: skip
        corners = (np.stack([middle - half, middle + half])) / size
        (x0, y0), (x1, y1) = ax.transData.inverted().transform(ax.transAxes.transform(corners))
        _show(layout, image, (float(x0), float(x1), float(y0), float(y1)))


def thumbnails(domain: Domain) -> list[npt.NDArray[np.float64]] | None:
    """Return the samples of a plane as pictures, shapes (H, W) or (H, W, 3), from 0 to 1.

    Parameters
    ----------
    domain : Domain

    Returns
    -------
    list of ndarray, or None
        None where they are no images: ``(H, W)``, ``(1, H, W)``, ``(H, W, 1)``,
        ``(H, W, 3)`` or ``(3, H, W)``. Of several inputs the first image counts.

    Examples
    --------
    >>> a, b, c = np.zeros((3, 8, 8)), np.ones((3, 8, 8)), np.eye(8) * np.ones((3, 1, 1))
    >>> [image.shape for image in thumbnails(Domain.through(a, b, c))]
    [(8, 8, 3), (8, 8, 3), (8, 8, 3)]
    """
    for samples in _parts(domain.anchor_inputs):
        images = _as_images(samples)
        if images is not None:
            low, high = min(0.0, images.min()), images.max()
            # What is a share already keeps its brightness.
            high = 1.0 if low == 0 and 0.5 < high <= 1 else high
            return list(((images - low) / max(high - low, 1e-300)).clip(0, 1))
    return None


def _as_images(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    if samples.ndim == 4 and samples.shape[1] == 1:
        samples = samples[:, 0]
    elif samples.ndim == 4 and samples.shape[3] == 1:
        samples = samples[..., 0]
    elif samples.ndim == 4 and samples.shape[1] == 3 and samples.shape[3] != 3:
        samples = samples.transpose(0, 2, 3, 1)
    colored = samples.ndim == 4 and samples.shape[3] == 3
    if not (samples.ndim == 3 or colored) or min(samples.shape[1:3]) < _LEAST_SIDE:
        return None
    return samples


def _parts(inputs: Any) -> Iterable[Any]:
    if inputs is None:
        return ()
    if isinstance(inputs, Mapping):
        return inputs.values()
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _laid_out(
    places: npt.NDArray[np.float64], images: list[Any], size: Any, clear: float
) -> tuple[list[Any], list[Any]]:
    """Return the middle and half the size of each thumbnail, in pixels of the map.

    Each lies beside its anchor, away from the others where there is room.
    """
    middles: list[Any] = []
    halves: list[Any] = []
    centre = places.mean(axis=0)
    turns = [turn * sign for turn, sign in itertools.product(np.linspace(0, np.pi, 9), (1, -1))]
    for place, image in zip(places, images, strict=True):
        tall, wide = image.shape[:2]
        half = np.array([wide, tall]) / max(wide, tall) * _SHARE * size.min() / 2
        outward = np.arctan2(*(place - centre)[::-1])
        tries = [_beside(place, outward + turn, half, clear) for turn in turns]
        free = [
            middle for middle in tries
            if (middle >= half + 2).all() and (middle <= size - half - 2).all()
            and not _meets(middle, half + clear * 0.9, places, 0 * half)
            and not any(_meets(middle, half + 2, np.array([m]), h) for m, h in
                        zip(middles, halves, strict=True))
        ]  # fmt: skip
        middles.append(free[0] if free else np.clip(tries[0], half + 2, size - half - 2))
        halves.append(half)
    return middles, halves


def _beside(place: Any, angle: float, half: Any, clear: float) -> Any:
    direction = np.array([np.cos(angle), np.sin(angle)])
    # So far that one of the sides clears the mark.
    return place + direction * ((half + clear) / np.maximum(np.abs(direction), 1e-9)).min()


def _meets(middle: Any, half: Any, others: Any, halves: Any) -> bool:
    return bool((np.abs(others - middle) < half + halves - 1e-6).all(axis=1).any())


def _show(layout: Layout, image: Any, extent: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Rectangle

    ax, aspect = layout.ax, layout.ax.get_aspect()
    limits = ax.get_xlim(), ax.get_ylim()
    ax.imshow(
        image, extent=extent, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto",
        zorder=8,
    )  # fmt: skip
    # A picture among the map's axes would otherwise become their measure.
    ax.set_aspect(aspect)
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    x0, x1, y0, y1 = extent
    ax.add_patch(
        Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=layout.theme.foreground, lw=1.2,
                  zorder=8.5)
    )  # fmt: skip
