"""A line across the map over time: the kymograph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array
from trainviz._common.checks import check_whole
from trainviz.modes import Region
from trainviz.modes.palettes import Palette
from trainviz.recordings.compatibility import require_classes
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.finishing import finish
from trainviz.rendering.figure.fitting import fit_texts, require_room
from trainviz.rendering.figure.options import check_size
from trainviz.rendering.figure.parts import Theme, new_figure
from trainviz.rendering.figure.styles import (
    Column,
    StyleName,
    check_style,
    find_style,
    user_style,
)
from trainviz.rendering.figure.texts import prepare_texts
from trainviz.rendering.figure.ticks import settle_ticks, thin_numbers
from trainviz.rendering.writers import save_figure, still_target

__all__ = ["Kymograph", "kymograph"]


@dataclass(frozen=True, eq=False)
class Kymograph:
    """The class probabilities along a line, at every snapshot; made by :func:`kymograph`.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n, m, C)
        Of n snapshots at m places along the line.
    points : ndarray of float64, shape (m, 2)
        The places, in the domain's plane.
    distances : ndarray of float64, shape (m,)
        Of the places from the start of the line, in plane units.
    times : ndarray of float64, shape (n,)
        The epoch or step of each snapshot, by ``unit``.
    unit : {"epoch", "step"}
    class_names : list of str
    """

    probabilities: npt.NDArray[np.float32]
    points: Float64Array
    distances: Float64Array
    times: Float64Array
    unit: str
    class_names: list[str]

    @property
    def classes(self) -> npt.NDArray[np.intp]:
        """The class at each place in each snapshot: ndarray of int, shape (n, m)."""
        classes: npt.NDArray[np.intp] = self.probabilities.argmax(axis=2)
        return classes

    def still(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        title: str | None = None,
        palette: Any = None,
        dark: bool | None = None,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        format: str | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the position along the line from left to right, and time downwards.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``.
        title : str, optional
        palette : str, Colormap or list of colours, optional
            As for :func:`trainviz.animate`.
        dark : bool, optional
            Default: whether the user's style sheet of matplotlib is dark.
        figsize : tuple of float, optional
            Inches; default (6, 5), or by the style.
        dpi : float, optional
            Default 100, or by the style.
        format : {"png", "svg", "pdf"}, optional
            Of a file object.
        style, column : str, optional
            As for :func:`trainviz.animate`.
        ax : matplotlib.axes.Axes, optional
            Axes to draw into, instead of a new figure's; their look is left as it is, and
            ``figsize``, ``dpi``, ``style`` and ``column`` do not count.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the suffix, the style or the column is unknown or the folder does not exist.
        """
        target = still_target(path, format)
        check_style(style, column)
        if ax is None:
            figure = self._draw(title, palette, dark, figsize, dpi, style, column)
            finish(figure, target)
            return figure
        self._paint(ax, palette, bool(dark))
        ax.grid(visible=False)
        if title:
            ax.set_title(title)
        prepare_texts(ax.figure, [*([ax.title] if title else []), ax.xaxis.label, ax.yaxis.label])
        save_figure(ax.figure, target)
        return ax.figure

    @user_style()
    def _draw(
        self,
        title: str | None,
        palette: Any,
        dark: bool | None,
        figsize: tuple[float, float] | None,
        dpi: float | None,
        style: StyleName | None,
        column: Column | None,
    ) -> Any:
        sizes = find_style(style, column, figsize[0] if figsize else None)
        width = sizes.width(column)
        size = figsize or ((width, 0.8 * width) if sizes.name else (6.0, 5.0))
        dpi = sizes.dpi if dpi is None else dpi
        check_size(size, dpi)
        theme = Theme.of(dark)
        figure = new_figure(size, dpi, theme)
        ax = figure.add_subplot(facecolor=theme.background)
        sizes.dress(ax)
        ax.tick_params(colors=theme.muted, labelcolor=theme.foreground)
        ax.spines[:].set_color(theme.muted)
        self._paint(ax, palette, theme.is_dark)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_color(theme.foreground)
        if title:
            own = {"size": sizes.title} if sizes.name else {}
            ax.set_title(title, color=theme.foreground, **own)
        prepare_texts(figure)
        require_room(figure, [ax])
        settle_ticks([ax], sizes.most_ticks)
        thin_numbers(ax.yaxis, sizes.most_ticks, whole=True)
        fit_texts(figure, [ax], 0)
        return figure

    def _paint(self, ax: Any, palette: Any, dark: bool) -> None:
        n_classes = len(self.class_names)
        colors = Palette.of(n_classes, classes=palette, dark=dark)
        picture = Region().bound(n_classes, colors).paint(
            np.ascontiguousarray(self.probabilities.transpose(2, 0, 1))
        )  # fmt: skip
        ax.pcolormesh(_edges(self.distances), _edges(self.times), picture, rasterized=True)
        ax.invert_yaxis()
        ax.set_xlabel("position along the line")
        ax.set_ylabel(self.unit)

    def __repr__(self) -> str:
        n, m, n_classes = self.probabilities.shape
        return f"Kymograph({n} snapshots, {m} places, {n_classes} classes, by {self.unit})"


def kymograph(
    recording: Recording,
    start: Sequence[float],
    end: Sequence[float],
    *,
    n_points: int = 240,
) -> Kymograph:
    """Follow the class probabilities along a line across the map over the whole training.

    Borders become curves in time, so that drift, oscillation and settling show
    in one picture.

    Parameters
    ----------
    recording : Recording
    start, end : sequence of float
        ``(x, y)`` in the domain's plane.
    n_points : int, default 240
        Places along the line, both ends included.

    Returns
    -------
    Kymograph

    Raises
    ------
    RecordingError
        If the recording is empty or holds no class probabilities.
    ValueError
        If an end lies outside the map, both are the same, or there are fewer than 2 places.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=21))
    >>> for epoch, edge in [(0, -0.5), (1, 0.5)]:
    ...     _ = recorder.capture(lambda X: X[:, 0] > edge, epoch=epoch)
    >>> found = tv.kymograph(recorder.recording, (-1, 0), (1, 0), n_points=5)
    >>> found.classes
    array([[0, 0, 1, 1, 1],
           [0, 0, 0, 0, 1]])
    """
    recording.require_snapshots()
    require_classes([recording], "kymograph()")
    try:
        ends = np.array([start, end], dtype=np.float64)
    except (ValueError, TypeError):
        ends = np.empty(0)
    x0, x1, y0, y1 = recording.domain.extent
    if ends.shape != (2, 2) or not np.isfinite(ends).all():
        raise ValueError(f"start={start!r}, end={end!r}: expected two points (x, y)")
    low, high = np.array([x0, y0]), np.array([x1, y1])
    slack = 1e-9 * (high - low)
    if (ends < low - slack).any() or (ends > high + slack).any():
        raise ValueError(
            f"start={start!r}, end={end!r}: outside of the map, x {x0:g} to {x1:g} and "
            f"y {y0:g} to {y1:g}"
        )
    if (ends[0] == ends[1]).all():
        raise ValueError(f"start={start!r}, end={end!r}: the line has no length")
    check_whole("n_points", n_points, 2, 2**16)
    points = np.linspace(ends[0], ends[1], n_points)
    height, width = recording.domain.shape
    places = (points - low) / (high - low) * [width - 1, height - 1]
    for at, (axis, lines) in enumerate(zip(recording.domain.axes, (width, height), strict=True)):
        if axis.bands is not None:
            # The first grid line of a band, because nothing lies between two.
            places[:, at] = axis.band(points[:, at]) * (lines // axis.bands)
    return Kymograph(
        np.stack([_sampled(snapshot.probabilities, places) for snapshot in recording[:]]),
        points, np.linalg.norm(points - ends[0], axis=1), positions(recording),
        counted_by(recording), recording.class_names,
    )  # fmt: skip


def _sampled(probabilities: npt.NDArray[np.float32], places: Float64Array) -> npt.NDArray[Any]:
    """Interpolate a map bilinearly at grid places, shape (m, 2) to (m, C)."""
    _, height, width = probabilities.shape
    column = np.clip(places[:, 0].astype(np.intp), 0, width - 2)
    row = np.clip(places[:, 1].astype(np.intp), 0, height - 2)
    u, v = (np.clip(places - np.stack([column, row], axis=1), 0, 1)).T
    low = probabilities[:, row, column] * (1 - u) + probabilities[:, row, column + 1] * u
    high = probabilities[:, row + 1, column] * (1 - u) + probabilities[:, row + 1, column + 1] * u
    return np.asarray((low * (1 - v) + high * v).T, dtype=np.float32)


def _edges(centres: Float64Array) -> Float64Array:
    """Return the borders between cells around given centres; the outer cells are symmetric."""
    if len(centres) < 2:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    between = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[0] - between[0], 2 * centres[-1] - between[-1]
    return np.concatenate([[ends[0]], between, [ends[1]]])
