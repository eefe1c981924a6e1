"""Measures of the learning dynamics: settled times, areas, boundary length, forgetting."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array
from trainviz._common.providers import install_hint
from trainviz.analysis import charts
from trainviz.analysis.boundary import Line
from trainviz.analysis.map_measures import measure_map
from trainviz.analysis.page import map_with_curves
from trainviz.analysis.settling import Scale, TimeScale, settled_areas
from trainviz.domain.domain import Domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import RecordingError
from trainviz.recordings.compatibility import require_classes
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import counted_by, positions
from trainviz.rendering.figure.finishing import finish
from trainviz.rendering.figure.options import check_size
from trainviz.rendering.figure.parts import Layout
from trainviz.rendering.figure.styles import Column, StyleName, check_style, find_style
from trainviz.rendering.writers import still_target

__all__ = ["Dynamics", "dynamics"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The learning dynamics of a recording with n snapshots; made by :func:`dynamics`.

    Integers are epochs, or steps if several snapshots have the same epoch; see
    ``unit``.

    Attributes
    ----------
    unit : {"epoch", "step"}
    epochs : ndarray of int64, shape (n,)
    steps : ndarray of float64, shape (n,)
        NaN where unknown.
    times : ndarray of int64, shape (n,)
        The epoch or step of each snapshot, by ``unit``.
    settled : ndarray of int64, shape (H, W)
        When each grid point's class was settled: the time of the first snapshot
        from which on it is the class of the last snapshot.
    classes : ndarray of int64, shape (H, W)
        The class of each grid point in the last snapshot.
    areas : ndarray of float64, shape (n, C)
        The share of grid points that each class has; rows sum to 1.
    boundary_length : ndarray of float64, shape (n,)
        Length of the decision boundary in plane units, without the window's
        edge. Marching squares (contourpy) on the log-probability of each class
        minus the highest of the others; a border's two lines, one from each of
        its classes, are averaged. If probabilities are only 0 or 1, as those of
        a single tree, lines run in steps between the grid points, and oblique
        ones come out up to 8 % too long.
    changed : ndarray of float64, shape (n,)
        The share of grid points whose class differs from the snapshot before;
        NaN for the first.
    churn : ndarray of float64, shape (n,)
        ``changed`` per epoch (or step) since the previous snapshot; NaN if
        there is none, or if it has the same epoch (or step).
    first_learnt : ndarray of float64, shape (m,), or None
        The time at which each point of the recording's data was first predicted
        correctly; NaN if never. None without data.
    forgetting : ndarray of int64, shape (m,), or None
        The forgetting events of each point of the data: how often it was
        predicted correctly in one snapshot and wrongly in the next (Toneva et
        al., An empirical study of example forgetting, ICLR 2019, who compare
        successive presentations of a point during training; here snapshots are
        compared, so events between two of them are missed). 0 for a point that
        was never learnt, with NaN in ``first_learnt``. None without data.
    recording : Recording or None
        Its maps are read once more where settled times are drawn, for the borders
        between grid points.
    """

    domain: Domain
    class_names: list[str]
    data: LabelledData | None
    unit: str
    epochs: Ints
    steps: Float64Array
    settled: Ints
    classes: Ints
    areas: Float64Array
    boundary_length: Float64Array
    changed: Float64Array
    first_learnt: Float64Array | None
    forgetting: Ints | None
    boundary: list[Line] = field(repr=False, default_factory=list)
    recording: Recording | None = field(repr=False, default=None)

    @property
    def times(self) -> Ints:
        """The epoch or step of each snapshot, by ``unit``."""
        return self.steps.astype(np.int64) if self.unit == "step" else self.epochs

    @property
    def churn(self) -> Float64Array:
        """The share of grid points that changed class, per epoch or step."""
        passed = np.diff(self.times, prepend=self.times[0]).astype(np.float64)
        passed[passed == 0] = np.nan
        return self.changed / passed

    def to_xarray(self) -> Any:
        """Return all of it as an xarray Dataset.

        Dimensions are ``snapshot``, ``class``, ``y``, ``x`` and, with data,
        ``point``; units are in the attributes. With groups, ``group`` is a
        coordinate of the points, for ``dataset.groupby("group")``.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise ImportError(install_hint("xarray", "to_xarray()")) from error
        share = {"units": "1"}
        variables: dict[str, Any] = {
            "settled": (("y", "x"), self.settled, {"units": self.unit}),
            "classes": (("y", "x"), self.classes),
            "areas": (("snapshot", "class"), self.areas, share),
            "boundary_length": ("snapshot", self.boundary_length, {"units": "plane"}),
            "changed": ("snapshot", self.changed, share),
            "churn": ("snapshot", self.churn, {"units": f"1/{self.unit}"}),
        }
        if self.first_learnt is not None:
            variables["first_learnt"] = ("point", self.first_learnt, {"units": self.unit})
            variables["forgetting"] = ("point", self.forgetting, {"units": "events"})
        coordinates: dict[str, Any] = {
            "epoch": ("snapshot", self.epochs), "step": ("snapshot", self.steps),
            "x": self.domain.x, "y": self.domain.y, "class": self.class_names,
        }  # fmt: skip
        if self.first_learnt is not None and self.data is not None and self.data.groups is not None:
            coordinates["group"] = ("point", self.data.groups_of_points)
        return xarray.Dataset(variables, coordinates)

    def plot(
        self,
        ax: Any = None,
        *,
        figsize: tuple[float, float] | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
    ) -> npt.NDArray[Any]:
        """Draw every quantity, a panel each, in a new figure or in the caller's axes.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, optional
            One for each panel; or a single one of a grid, in whose place the panels are drawn.
        figsize : tuple of float, optional
            Inches, of a new figure.
        style, column : str, optional
            As for :func:`trainviz.animate`; a new figure is two columns wide by default.

        Returns
        -------
        ndarray of matplotlib.axes.Axes, shape (2, 3), or (2, 2) without data

        Raises
        ------
        ValueError
            If there are too few axes or too many, or the style or the column is unknown.
        """
        check_style(style, column)
        panels: list[Callable[..., Any]] = [
            self.plot_settled,
            self.plot_areas,
            self.plot_boundary_length,
            self.plot_churn,
        ]
        if self.first_learnt is not None:
            panels += [self.plot_learnt, self.plot_forgetting]
        columns = len(panels) // 2
        if figsize is None and (style or column):
            width = find_style(style, column).width(column, "double")
            figsize = (width, 1.75 * width / columns)
        if ax is None:
            axes: npt.NDArray[Any] = charts.new_axes(2, columns, figsize)
        else:
            axes = charts.axes_in(ax, 2, columns)
        for panel, place in zip(panels, axes.flat, strict=True):
            panel(ax=place)
        bars = [bar for bar in axes.flat[0].figure.axes if hasattr(bar, "_colorbar")]
        charts.in_style([*axes.flat, *bars], style, column, figsize)
        return axes

    def plot_settled(self, ax: Any = None, *, cmap: Any = None, scale: Scale = "auto") -> Any:
        """Draw when the class of each place was settled, with the last decision boundary.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Default: those of a new figure.
        cmap : str or Colormap, optional
            Sequential; default ``"viridis"``.
        scale : {"auto", "linear", "log", "quantile"}, default "auto"
            Of the colours; see :meth:`still`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        chosen = TimeScale.of(scale, self.times, self.settled)
        ax = charts.own_axes(ax)
        self._draw_settled(ax, chosen, cmap)
        return ax

    def plot_areas(self, ax: Any = None, *, palette: Any = None) -> Any:
        """Draw the share of area that each class has over time; see :meth:`plot_settled`.

        ``palette`` is as for :func:`trainviz.animate`.
        """
        return charts.draw_areas(
            charts.own_axes(ax), self.times, self.areas, self.class_names, self.unit, palette
        )

    def plot_boundary_length(self, ax: Any = None) -> Any:
        """Draw the length of the decision boundary over time; see :meth:`plot_settled`."""
        return charts.draw_curve(
            charts.own_axes(ax), self.times, self.boundary_length, self.unit,
            "boundary length (plane units)",
        )  # fmt: skip

    def plot_churn(self, ax: Any = None) -> Any:
        """Draw the prediction churn over time; see :meth:`plot_settled`."""
        return charts.draw_curve(
            charts.own_axes(ax), self.times, self.churn, self.unit,
            f"churn (share of area per {self.unit})",
        )  # fmt: skip

    def plot_learnt(self, ax: Any = None) -> Any:
        """Draw the share of each group of the data that has been learnt at least once, over time.

        See :meth:`plot_settled`.

        Raises
        ------
        RecordingError
            If the recording has no data.
        """
        learnt, _ = self._of_points("plot_learnt")
        ax = charts.own_axes(ax)
        return charts.draw_learnt(ax, self.times, learnt, self.unit, self._groups)

    def plot_forgetting(self, ax: Any = None) -> Any:
        """Draw how many points of each group were forgotten how often; see :meth:`plot_settled`.

        Raises
        ------
        RecordingError
            If the recording has no data.
        """
        learnt, events = self._of_points("plot_forgetting")
        return charts.draw_forgetting(charts.own_axes(ax), events, np.isnan(learnt), self._groups)

    def still(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        title: str | None = None,
        dark: bool | None = None,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        format: str | None = None,
        cmap: Any = None,
        scale: Scale = "auto",
        curves: bool = False,
        style: StyleName | None = None,
        column: Column | None = None,
    ) -> Any:
        """Draw one picture that summarises the whole training.

        It shows the epoch at which the class of each place was settled, the
        decision boundary of the last snapshot, the samples that the plane goes
        through, and the data: a larger marker if a point was forgotten more
        often, and a cross if it was never learnt; each of its groups has a shape.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``.
        title : str, optional
        dark : bool, optional
            Default: whether the user's style sheet of matplotlib is dark.
        figsize : tuple of float, optional
            Inches; default 8 wide, 7 with curves, or by the style, and as high as the
            map needs.
        dpi : float, optional
            Default 100, or by the style.
        format : {"png", "svg", "pdf"}, optional
            Of a file object.
        cmap : str or Colormap, optional
            Sequential; default ``"viridis"``.
        scale : {"auto", "linear", "log", "quantile"}, default "auto"
            Of the colours of epochs. ``"log"`` is by log(1 + t / d), with the epochs t
            since the first snapshot and the shortest distance d between two snapshots;
            ``"quantile"`` is by the share of the area settled after the first snapshot
            that was settled by then, so that equal areas have equally many colours.
            ``"auto"`` is ``"log"`` if half of that area was settled in the first quarter
            of the training, and otherwise ``"linear"``.
        curves : bool, default False
            Draw the share of area of each class, the boundary length, the churn and,
            with data, the share learnt of each group on the same scale: beside the map,
            or below it in a figure narrower than 5 inches, as in one column of a paper.
        style, column : str, optional
            As for :func:`trainviz.animate`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the suffix, the scale, the style or the column is unknown, the folder does not
            exist, or a size is invalid.
        """
        target = still_target(path, format)
        chosen = TimeScale.of(scale, self.times, self.settled)

        def draw(layout: Layout) -> Any:
            return self._draw_portrait(layout, chosen, cmap)

        if curves:
            plots: dict[str, Callable[[Any], Any]] = {
                "share of area of each class": self.plot_areas,
                "boundary length (plane units)": self.plot_boundary_length,
                f"churn (share of area per {self.unit})": self.plot_churn,
            }
            if self.first_learnt is not None:
                plots["share of data learnt once"] = self.plot_learnt
            check_style(style, column)
            sizes = find_style(style, column, figsize[0] if figsize else None)
            dpi = sizes.dpi if dpi is None else dpi
            check_size(figsize, dpi)
            given = sizes.width(column, "double") if style or column else None
            width, height = figsize or (given, None)
            figure = map_with_curves(
                draw, plots, chosen, self.domain, title, dark, width, height, dpi,
                sizes if sizes.name else None,
            )  # fmt: skip
        else:
            figure = charts.portrait(
                draw, self.domain, title, dark, figsize, dpi, style, column
            )  # fmt: skip
        finish(figure, target)
        return figure

    def _draw_settled(self, ax: Any, scale: TimeScale, cmap: Any, theme: Any = None) -> Any:
        last, ends = scale.ends(self.times, self.settled)
        if self.recording is None:
            raise RecordingError(
                "recording=None: settled times are drawn from the recording's maps; make Dynamics "
                "with trainviz.dynamics(recording)"
            )
        areas = settled_areas(self.recording, ends)
        bar = charts.draw_settled(ax, self.domain, last, areas, scale, self.unit, cmap, theme)
        charts.draw_boundary(ax, self.boundary)
        return bar

    def _draw_portrait(self, layout: Layout, scale: TimeScale, cmap: Any) -> Any:
        ax = layout.ax
        bar = self._draw_settled(ax, scale, cmap, layout.theme)
        if self.data is not None and self.first_learnt is not None:
            assert self.forgetting is not None
            never = np.isnan(self.first_learnt)
            charts.draw_events(
                ax, self.data.points, self.forgetting, never, self._groups, layout.marker_scale
            )
        return bar

    @property
    def _groups(self) -> charts.Groups:
        assert self.data is not None
        return self.data.in_groups()

    def _of_points(self, asked: str) -> tuple[Float64Array, Ints]:
        if self.first_learnt is None or self.forgetting is None:
            raise RecordingError(
                f"{asked}() shows the recording's data, and it has none (or no predictions for "
                "it): give data=(X, y) to the recorder"
            )
        return self.first_learnt, self.forgetting


def dynamics(recording: Recording) -> Dynamics:
    """Measure the learning dynamics of a recording.

    The maps are read once, in order, and only one is in memory at a time.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    Dynamics
        The measures as arrays, ``.to_xarray()``, ``.plot()`` and the single
        plots such as ``.plot_settled()``, and ``.still(path)``.

    Raises
    ------
    RecordingError
        If the recording is empty, or its epochs decrease.

    Examples
    --------
    >>> import trainviz as tv
    >>> X = np.array([[-0.5, 0.0], [0.5, 0.0]])
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5), data=(X, [0, 1]))
    >>> for epoch, edge in [(0, -0.8), (10, 0.7), (20, 0.1)]:
    ...     _ = recorder.capture(lambda X: X[:, 0] > edge, epoch=epoch)
    >>> found = tv.dynamics(recorder.recording)
    >>> found.settled[0]
    array([ 0, 10, 10, 20,  0])
    >>> found.churn
    array([ nan, 0.06, 0.02])
    >>> found.first_learnt, found.forgetting
    (array([10.,  0.]), array([0, 1]))
    """
    if not isinstance(recording, Recording):
        raise TypeError(
            f"recording={type(recording).__name__}: expected a Recording, which a recorder has "
            "as its attribute .recording"
        )
    recording.require_snapshots()
    require_classes([recording], "dynamics()")
    # A slice has a fixed length, while the recording may still grow.
    recording = recording[:]
    times = positions(recording).astype(np.int64)
    if (np.diff(times) < 0).any():
        raise RecordingError(
            "recording: its epochs run backwards, so nothing is learnt in it; give the snapshots "
            "in the order of training, e.g. recording[::-1]"
        )
    learnt = _follow_points(recording, times)
    return Dynamics(
        domain=recording.domain, class_names=recording.class_names, data=recording.data,
        unit=counted_by(recording), epochs=recording.epochs, steps=recording.steps,
        recording=recording,
        **_follow_maps(recording, times), first_learnt=learnt[0], forgetting=learnt[1],
    )  # fmt: skip


def _follow_maps(recording: Recording, times: Ints) -> dict[str, Any]:
    settled = np.full(recording.domain.shape, times[0])
    areas, lengths, changed = [], [], [np.nan]
    before: npt.NDArray[np.integer] | None = None
    lines: list[Line] = []
    for time, snapshot in zip(times, recording, strict=True):
        found = measure_map(snapshot.probabilities, recording.domain)
        labels, lines = found.classes, found.boundary
        areas.append(found.areas)
        lengths.append(found.boundary_length)
        if before is not None:
            moved = labels != before
            settled[moved] = time
            changed.append(float(moved.mean()))
        before = labels
    assert before is not None
    return {
        "settled": settled, "classes": before.astype(np.int64), "areas": np.array(areas),
        "boundary_length": np.array(lengths), "changed": np.array(changed), "boundary": lines,
    }  # fmt: skip


def _follow_points(recording: Recording, times: Ints) -> tuple[Float64Array | None, Ints | None]:
    """Return ``first_learnt`` and ``forgetting``; None without labels or stored predictions."""
    labels = recording.data_labels
    if labels is None:
        return None, None
    first = np.full(len(labels), np.nan)
    events = np.zeros(len(labels), dtype=np.int64)
    before: npt.NDArray[np.bool_] | None = None
    for index, time in enumerate(times):
        guesses = recording.data_predictions(index)
        if guesses is None:
            continue
        right = guesses == labels
        first[right & np.isnan(first)] = time
        if before is not None:
            events += before & ~right
        before = right
    return (None, None) if before is None else (first, events)
