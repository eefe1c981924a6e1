"""Animations: the film of one recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from trainviz._common.arrays import Image, Map
from trainviz._common.checks import check_list
from trainviz._common.options import shows_defaults
from trainviz.modes import (
    Boundary,
    Change,
    Contour,
    Difference,
    Entropy,
    Margin,
    Mode,
    Probability,
    Region,
    Values,
    find_mode,
)
from trainviz.modes.palettes import Palette, sequential_table
from trainviz.modes.scalar import class_index
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions
from trainviz.rendering.captions import Counter
from trainviz.rendering.compositor import Compositor
from trainviz.rendering.display import require_axes, still_in
from trainviz.rendering.figure.contour_lines import ContourLines
from trainviz.rendering.figure.finishing import finish
from trainviz.rendering.figure.highlights import highlights_of
from trainviz.rendering.figure.metric_strip import metric_names
from trainviz.rendering.figure.options import (
    SceneOptions,
    check_columns,
    check_size,
    restyled,
    with_style,
)
from trainviz.rendering.figure.parts import Theme
from trainviz.rendering.figure.styles import Column, StyleName
from trainviz.rendering.film import Film
from trainviz.rendering.options import FILM_DEFAULTS, FilmOptions, check_film, scene_of
from trainviz.rendering.pace import changes, frames_between, geometric_weights
from trainviz.rendering.painter import Painter, require_output
from trainviz.rendering.resample import Resampler
from trainviz.rendering.stills import StillPanel, default_row, panels_figure, still_figure
from trainviz.rendering.story import Story
from trainviz.rendering.timeline import Timeline
from trainviz.rendering.writers import save_figure, still_target

__all__ = ["Animation", "animate", "page_options"]


class Animation(Film):
    """A film of a recording, made by :func:`animate`; its frames are painted on demand.

    It is a sequence of frames (``len``, indexing, iteration), is displayed in
    Jupyter, and is saved in the format of the path's suffix.

    Attributes
    ----------
    recording : Recording
    fps : float
        Frames a second.
    shape : tuple of int
        ``(height, width)`` of a frame.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
    >>> for epoch in range(3):
    ...     _ = recorder.capture(lambda X: 1 / (1 + np.exp(-epoch * X[:, 0])), epoch=epoch)
    >>> film = tv.animate(recorder.recording, interpolate=4, figsize=(4, 3))
    >>> len(film), film[0].shape
    (9, (300, 400, 3))
    """

    _story: Story

    @shows_defaults(FILM_DEFAULTS, complete=False)
    def __init__(self, recording: Recording, **scene: Unpack[FilmOptions]) -> None:
        if not isinstance(recording, Recording):
            raise TypeError(
                f"recording={type(recording).__name__}: expected a Recording, which a recorder "
                "has as its attribute .recording"
            )
        recording.require_snapshots()
        film = check_film(scene)
        # A slice has a fixed length, so that a growing recording does not change the film.
        self.recording = recording[:]
        self.fps = film["fps"]
        # What was given decides about pictures of another style.
        self._given = scene_of(film)
        self._options = with_style(self._given)
        self._interpolation = film["interpolation"]
        rest = round(film["hold"] * film["fps"])
        self._timeline = Timeline(len(self.recording), film["interpolate"], rest, self._paced(film))
        metric_names([self.recording], self._options.get("metrics", True))
        counter = Counter(self.recording, film.get("counter", True))
        self._story = Story(
            film, self._options, self._timeline.starts, self.recording.index_at,
            lambda index: counter.text(Moment(index, 0.0)),
        )  # fmt: skip
        highlights_of(self.recording, film.get("highlight"))
        wanted = find_mode(film["mode"])
        require_output(wanted, self.recording)
        by_class, cmap, palette = wanted.guide == "classes", film["cmap"], film["palette"]
        colors = Palette.of(
            wanted.distinct(recording.n_classes),
            classes=cmap if by_class and palette is None else palette,
            cmap=wanted.colormap(self.recording) if by_class or cmap is None else cmap,
            dark=film.get("dark", False), repeat=not by_class,
        )  # fmt: skip
        colors = replace(colors, chosen=cmap is not None and not by_class)
        self._mode = wanted.bound(
            recording.n_classes, colors, shade=film["shade"], recording=self.recording
        )
        # Created only to raise now for an interpolation that the recording does not support.
        Painter(self.recording, self._mode, self._interpolation)

    def __len__(self) -> int:
        return self._story.n_card + len(self._timeline)

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of a frame in pixels."""
        return self._story.shape(self._scene.shape)

    @property
    def mode(self) -> Mode:
        """The mode that paints the maps."""
        return self._mode

    def painter(self, shape: tuple[int, int], *, reader: Executor | None = None) -> Painter:
        """Return a painter of maps, ``(*shape, 3)``, without axes, legend and other decoration."""
        theme = Theme.of(self._options.get("dark", False))
        resample = Resampler(self.recording.domain.shape, shape, self.recording.domain.bands)
        contour_lines = ContourLines(
            shape, theme, self._options.get("dpi", 100), self.recording.domain.bands
        )
        return Painter(
            self.recording, self._mode, self._interpolation, resample, contour_lines, reader=reader
        )

    def still(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        epoch: int = -1,
        *,
        dpi: float | None = None,
        format: str | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the picture of one epoch through matplotlib.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``; the last three have text and
            points as vectors.
        epoch : int, default -1
            A captured epoch; -1 is the last.
        dpi : float, optional
            Default: that of the animation.
        format : {"png", "svg", "pdf"}, optional
            Of a file object.
        style, column : str, optional
            As for :func:`animate`; default: those of the animation.
        ax : matplotlib.axes.Axes, optional
            Axes to draw the map and the points into, instead of a new figure: their look,
            a legend and a colour bar are the caller's.

        Returns
        -------
        matplotlib.figure.Figure or StillDisplay
            Without a ``path`` a notebook shows it at the end of the cell, and a script by
            ``matplotlib.pyplot.show()``. With ``ax`` the display object, whose attributes are
            the axes, the figure, the artists, and the handles and labels of a legend.

        Raises
        ------
        RecordingError
            If the epoch was not captured.
        ValueError
            If the suffix, the style or the column is unknown or the folder does not exist.
        """
        target = still_target(path, format)
        check_size(None, 100 if dpi is None else dpi)
        moment = Moment(self.recording.index_at(epoch), 0.0)
        panel = self._panel("", moment.left, self._mode)
        if ax is not None:
            require_axes(ax)
            display = still_in(
                ax, self.recording, self._mode, restyled(self._given, style, column),
                panel.image_of, panel.contours_of, moment.left,
            )  # fmt: skip
            save_figure(display.figure_, target)
            return display
        figure = still_figure(
            self.recording, self._mode, restyled(self._given, style, column),
            panel.image_of, panel.contours_of, moment, dpi,
        )  # fmt: skip
        finish(figure, target)
        return figure

    def filmstrip(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        epochs: Sequence[int] | None = None,
        *,
        columns: int | None = None,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        format: str | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
    ) -> Any:
        """Draw several epochs side by side, for a paper or a poster.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``.
        epochs : sequence of int, optional
            Captured epochs; default: five, evenly spaced, or in a narrow figure as many as
            fill its rows.
        columns : int, optional
            Panels in a row; default up to five.
        figsize : tuple of float, optional
            Inches of the whole figure; default: by the number of panels, not
            the ``figsize`` of the animation.
        dpi : float, optional
            Default: that of the animation.
        format : {"png", "svg", "pdf"}, optional
            Of a file object.
        style, column : str, optional
            As for :meth:`still`; with a style, ``column`` is ``"double"`` by default.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        RecordingError, ValueError
            As :meth:`still`.
        """
        target = still_target(path, format)
        _check_panels(columns, figsize, dpi)
        options = restyled(self._given, style, column, figsize)
        if epochs is None:
            # Full rows: the columns of a narrow figure are fewer.
            row = 5 if columns else default_row(options, 5)
            many = row * max(1, round(5 / row))
            spread = np.linspace(0, len(self.recording) - 1, min(many, len(self.recording)))
            indices = [round(place) for place in spread]
        else:
            listed = check_list("epochs", epochs, "captured epochs")
            indices = [self.recording.index_at(epoch) for epoch in listed]
        if not indices:
            raise ValueError("epochs=[]: a filmstrip shows at least one epoch")
        counter = Counter(self.recording, self._options.get("counter", True))
        panels = [
            self._panel(counter.text(Moment(index, 0.0)), index, self._mode) for index in indices
        ]
        figure = panels_figure(self.recording, panels, self._mode, options, columns, dpi)
        finish(figure, target)
        return figure

    def panels(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        epoch: int = -1,
        *,
        classes: Sequence[Any] | None = None,
        levels: float | Sequence[float] = 0.5,
        columns: int | None = None,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        format: str | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
    ) -> Any:
        """Draw the probability of every class, or of every label, one panel each.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``.
        epoch : int, default -1
            A captured epoch; -1 is the last.
        classes : sequence, optional
            Names, labels or output columns, in the order of the panels. Default: all, except
            for those that no point of the data has and that are likely (0.5) nowhere, in no
            snapshot; a line below the panels names them.
        levels : float or sequence of float, default 0.5
            Contour lines.
        columns, figsize, dpi, format, style, column
            As for :meth:`filmstrip`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        RecordingError, ValueError
            As :meth:`still`; ValueError also if the recording is of a regression model,
            or has no such class.
        """
        target = still_target(path, format)
        _check_panels(columns, figsize, dpi)
        require_output(Probability(), self.recording)
        index, names = self.recording.index_at(epoch), self.recording.class_names
        shown, note = self._classes_shown(index, classes)
        colors = self._mode.palette
        if not (isinstance(self._mode, Probability) and colors.chosen):
            # One colour bar explains all panels.
            colors = replace(colors, sequential=sequential_table(Probability.cmap), chosen=True)
        modes = [
            Probability(names[column], levels=levels).bound(
                len(names), colors, recording=self.recording
            )
            for column in shown
        ]
        # Read once, and resampled once for each size, of which there are few: a panel of many
        # classes takes longer to read than to draw.
        probabilities = self.recording[index].probabilities

        @lru_cache(maxsize=2)
        def resampled(shape: tuple[int, int]) -> Map:
            return Resampler(self.recording.domain.shape, shape)(probabilities)

        def panel(mode: Probability) -> StillPanel:
            return StillPanel(
                names[mode.index], index, mode,
                lambda shape: mode.paint(resampled(shape)),
                lambda _: mode.contours(probabilities),
            )  # fmt: skip

        figure = panels_figure(
            self.recording,
            [panel(mode) for mode in modes],
            modes[0].of_any(), restyled(self._given, style, column, figsize), columns, dpi, note,
            most=4,
        )  # fmt: skip
        finish(figure, target)
        return figure

    def __repr__(self) -> str:
        return (
            f"Animation({self._mode.name} mode, {len(self)} frames, {self.duration:.1f} s at "
            f"{self.fps:g} frames/s, of {self.recording!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        # Cached properties hold figures and caches; they are created again when needed.
        made = ("_scene", "_html")
        return {name: value for name, value in vars(self).items() if name not in made}

    def _painter(self, *, reader: Executor | None = None) -> Callable[[int], Image]:
        paint = self.painter(self._scene.map_shape, reader=reader)

        def make(index: int) -> Image:
            moment = self._timeline[index]
            return self._scene.compose(paint(moment), moment)

        return self._story.told(make, len(self), self._scene.shape)

    def _title(self) -> str:
        return self._options.get("title") or ""

    def _page(self) -> dict[str, Any] | None:
        # A page paints in the browser, which knows the built-in modes of one recording only.
        if type(self._mode) not in _IN_PAGES:
            return None
        page = {**page_options(self, self._given), "interpolation": self._interpolation}
        if isinstance(self._mode, Difference):
            both = [self.recording, self._mode.other]
            return {**page, "recordings": both, "names": ["this", "the other"]}
        return {**page, "recordings": self.recording}

    def _colors(self) -> Image | None:
        colors = self._mode.colors
        return None if colors is None else self._scene.colors(colors)

    @cached_property
    def _scene(self) -> Compositor:
        return Compositor(self.recording, self._mode, self._story.room(self._options))

    def _paced(self, film: FilmOptions) -> npt.NDArray[np.intp] | None:
        """Return the number of frames between snapshots; None for an even pace."""
        if film["pace"] == "geometric":
            return frames_between(geometric_weights(positions(self.recording)), film["interpolate"])
        if film["pace"] == "by change":
            return frames_between(changes(self.recording), film["interpolate"])
        return None

    def _classes_shown(self, index: int, classes: Any) -> tuple[list[int], str]:
        """Return the output columns to draw, and what is to be said of the others."""
        recording, names = self.recording, self.recording.class_names
        if classes is not None:
            if isinstance(classes, (str, int)) or not len(classes):
                raise ValueError(
                    f"classes={classes!r}: expected a list of classes, e.g. [{names[0]!r}]"
                )
            try:
                return [class_index(of, len(names), recording, "classes") for of in classes], ""
            except ValueError:
                listed = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
                raise ValueError(
                    f"classes={classes!r}: expected classes of the recording, {listed}, or "
                    f"output columns, 0 to {len(names) - 1}"
                ) from None
        present = np.zeros(len(names), dtype=bool)
        if recording.data is not None and recording.output.has_labels:
            present |= recording.data.y.any(axis=0)
        elif recording.data_labels is not None:
            present[np.unique(recording.data_labels)] = True
        # The one that is drawn first: it often shows all classes, and then no other is read.
        for number in (index, *range(len(recording) - 1, -1, -1)):
            if present.all():
                return [*range(len(names))], ""
            absent = np.flatnonzero(~present)
            probabilities = recording[number].probabilities
            present[absent] = [(probabilities[column] >= 0.5).any() for column in absent]
        if present.all() or not present.any():
            return [*range(len(names))], ""
        left_out = [names[column] for column in np.flatnonzero(~present)]
        more = f" and {len(left_out) - 6} more" if len(left_out) > 6 else ""
        return np.flatnonzero(present).tolist(), (
            f"not drawn, since nowhere likely: {', '.join(left_out[:6])}{more}"
        )

    def _panel(self, title: str, index: int, mode: Mode) -> StillPanel:
        recording = self.recording

        def image_of(shape: tuple[int, int]) -> Image:
            resample = Resampler(recording.domain.shape, shape, recording.domain.bands)
            return Painter(recording, mode, resampler=resample)(Moment(index, 0.0))

        def contours_of(index: int) -> Iterable[Contour]:
            return Painter(recording, mode).contours(Moment(index, 0.0))

        return StillPanel(title, index, mode, image_of, contours_of)


@shows_defaults(FILM_DEFAULTS, complete=False)
def animate(recording: Recording, **scene: Unpack[FilmOptions]) -> Animation:
    """Make a film of a recording.

    Parameters
    ----------
    recording : Recording
    mode : str, Mode or type, default "region"
        The name of a mode, or one of :mod:`trainviz.modes` with options:
        ``"region"``, the regions that the classes occupy, one colour a class;
        ``"boundary"``, the highest class probability; ``"entropy"``;
        ``"margin"``; ``"probability"`` of one class, with contour lines;
        ``"change"`` since the snapshot before; ``modes.Difference(other)``
        from another recording; ``"values"`` of a regression model.
    interpolate : int, default 1
        Frames from one snapshot to the next: n snapshots make
        ``(n - 1) * interpolate + 1`` frames.
    interpolation : {"linear", "geometric", "smooth"}, default "linear"
        Interpolate probabilities linearly, their logarithms linearly, or
        probabilities by a monotone cubic.
    fps : float, default 30
        Frames a second.
    cmap : str or Colormap, optional
        The colormap of the modes that show one quantity; default: the mode's
        own. For modes that show classes, such as region, a synonym of ``palette``.
    palette : str, Colormap or list of colours, optional
        One colour a class: a list of matplotlib colours, or a colormap or its name, from which
        they are taken.
    shade : bool, default True
        Paler colours where the model is unsure; False gives uniform ones.
    hold : float, default 0
        Seconds for which the last snapshot is shown at the end.
    pace : {"even", "geometric", "by change"}, default "even"
        How the frames are distributed over the intervals between snapshots, where
        ``interpolate`` is how many each has on average: as many each; falling with
        the epoch, as the steps of its logarithm; or in proportion to the mean
        absolute difference of neighbouring maps, so that about equally much changes
        in each second. An interval has at least a quarter of its even share, and at
        most eight times that and half of all. Every snapshot is shown.
    card : float, default 0
        Seconds for which a card with the title and the subtitle is shown first.
    captions : mapping of int to str, optional
        Sentences below the frames: each from its captured epoch until the next
        one; an empty text ends it. (``annotate`` marks events on the time axis.)
    bookmark : sequence of int or mapping of int to str, optional
        Captured epochs at which chapters of an MP4 or WebM begin, or their names.
    **scene
        ``title``, ``subtitle``, ``dark``, ``figsize`` (inches), ``dpi``,
        ``axes`` (ticks and labels), ``xlabel``, ``ylabel``, ``aspect``
        (``"equal"`` or ``"auto"``), ``counter`` (the epoch, or a text
        such as ``"tree {epoch}"``), ``legend``,
        ``points`` (the recording's data), ``metrics`` (True, False, or names
        for the strip of curves, which are those of ``recording.history``),
        ``metric_scale`` (``"linear"``, ``"log"`` or, by default, ``"auto"``:
        logarithmic where all values of an axis are positive and the largest is at
        least 100 times the smallest, but never for scores), ``smooth`` (the weight
        of an exponential moving average, such as 0.9, over the paler curves),
        ``annotate`` (what happened when, ``{120: "lr / 10"}``: marked in the strip,
        and told beside the counter for a tenth of the run), ``margin`` (inches).
        ``max_points`` (default 2000, None for all): of more points a sample is
        drawn, always the same one, of each class and group its share; the legend
        says so. ``errors``: ``"ring"`` or ``"cross"`` marks misclassified points,
        the fainter the more there are; ``"fade"`` draws the others faint; None.
        ``highlight``: points that are ringed and labelled, as indices, as a mask,
        as a dict of index to label, or as a dict of these by group
        (``{"test": [3, 17]}``); more than 40 are ringed alone.
        ``style`` is ``"paper"``, ``"slides"``, ``"poster"``, ``"notebook"`` or
        ``"minimal"``, a preset of the sizes of type, lines, points and figure, whose
        width is that of a ``column``, ``"single"`` or ``"double"``. What a style
        sheet or ``rcParams`` of matplotlib set of type, lines and colours is kept.

    Returns
    -------
    Animation

    Raises
    ------
    RecordingError
        If the recording is empty, or a caption or bookmark is at an epoch that was
        not captured.
    ValueError
        If the mode, a colormap, the interpolation, the pace or a metric is unknown,
        the mode cannot show the recording's kind of output, a ``pace`` has no frames
        to distribute (``interpolate=1``), or a ``card`` has no title.
    TypeError
        If a keyword is unknown.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
    >>> for epoch in range(0, 11, 5):
    ...     _ = recorder.capture(lambda X: 1 / (1 + np.exp(-epoch * X[:, 0])), epoch=epoch)
    >>> tv.animate(recorder.recording, mode="boundary", interpolate=10, title="A line appears")
    Animation(boundary mode, 21 frames, 0.7 s at 30 frames/s, of Recording(3 snapshots, ...))
    """
    return Animation(recording, **scene)


_IN_PAGES = (Region, Boundary, Entropy, Margin, Probability, Change, Difference, Values)


def page_options(film: Animation, options: SceneOptions) -> dict[str, Any]:
    """Return what a page needs to begin with a film's mode, colours and texts."""
    shown = (
        "title", "subtitle", "dark", "xlabel", "ylabel", "aspect", "points", "max_points", "errors",
        "highlight", "metrics", "counter", "annotate",
    )  # fmt: skip
    mode = film.mode
    return {
        "mode": mode, "shade": mode.shade,
        "palette": mode.kept_colors if isinstance(mode, Region) else mode.palette.classes,
        # On a page, which switches modes, a colormap that nobody chose is the mode's own.
        "cmap": mode.palette.sequential if mode.palette.chosen else None,
        **{name: options[name] for name in shown if name in options},  # type: ignore[literal-required]
    }  # fmt: skip


def _check_panels(columns: Any, figsize: Any, dpi: Any) -> None:
    check_size(figsize, 100 if dpi is None else dpi)
    check_columns(columns)
