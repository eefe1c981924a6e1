"""Films of several runs side by side, on a common clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import IO, Any, cast

import numpy as np
from typing_extensions import Unpack

from trainviz._common.arrays import Float64Array, Image
from trainviz._common.checks import check_switch
from trainviz._common.options import shows_defaults
from trainviz.domain.table_slice import TableSlice
from trainviz.errors import RecordingError
from trainviz.modes import Mode, find_mode
from trainviz.modes.comparing import Disagreement, disagreement
from trainviz.modes.palettes import Palette
from trainviz.recordings.compatibility import check_comparable, named, require_classes
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, positions, value_at
from trainviz.rendering.animation import Animation, page_options
from trainviz.rendering.captions import Caption
from trainviz.rendering.compositor import Compositor, draw_ground, mark_errors
from trainviz.rendering.figure.finishing import finish
from trainviz.rendering.figure.fitting import shrink
from trainviz.rendering.figure.layout import draw_map
from trainviz.rendering.figure.metric_strip import metric_names
from trainviz.rendering.figure.options import (
    SceneOptions,
    check_columns,
    check_size,
    fields_of,
    restyled,
    with_style,
)
from trainviz.rendering.figure.panel_grid import Panel, PanelGrid, build_grid, default_columns
from trainviz.rendering.figure.parts import Theme
from trainviz.rendering.figure.styles import Column, StyleName
from trainviz.rendering.film import Film
from trainviz.rendering.options import FILM_DEFAULTS, FilmOptions, check_film, scene_of
from trainviz.rendering.pace import changes
from trainviz.rendering.shared_timeline import By, SharedTimeline, clock_positions
from trainviz.rendering.story import Story
from trainviz.rendering.writers import still_target

__all__ = ["Comparison", "compare"]

Brush = Callable[[Sequence[Moment], float], tuple[list[Image], list[str]]]
"""``(moment of each run, the clock's value) -> (pictures, texts)``, one a panel."""


class Comparison(Film):
    """A film of several runs side by side; made by :func:`compare`.

    Like an :class:`Animation` it is a sequence of frames, is saved in the format
    of the path's suffix, and is displayed in Jupyter.

    Attributes
    ----------
    recordings : list of Recording
    labels : list of str
    by : {"epoch", "step", "progress"}
    fps : float
        Frames a second.
    shape : tuple of int
        ``(height, width)`` of a frame.
    map_shape : tuple of int
        ``(height, width)`` of each panel's map in a frame.
    """

    _story: Story

    @shows_defaults(FILM_DEFAULTS, complete=False)
    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        labels: Sequence[str] | None = None,
        by: By = "epoch",
        disagreement: bool = False,
        columns: int | None = None,
        modes: Sequence[str | type[Mode] | Mode] | None = None,
        **scene: Unpack[FilmOptions],
    ) -> None:
        check_switch("disagreement", disagreement)
        if modes is not None:
            shown = _check_modes(recordings, modes, scene, disagreement)
            recordings = [_only(recordings)] * len(shown)
            labels = [mode.name for mode in shown] if labels is None else labels
        self._several_modes = modes is not None
        self.labels = _check_labels(recordings, labels)
        # Where runs differ is asked point by point; beside one another may stand slices, too.
        check_comparable(recordings, self.labels, beside=not disagreement)
        if disagreement:
            require_classes(recordings, "disagreement=True")
        _check_panels(columns, scene)
        film = check_film(scene)
        _check_counter(film.get("counter", True), by)
        # Their metrics are checked together: one run may have what another has not. And a
        # comparison has one story and one pace, on its own clock.
        plain: FilmOptions = {
            **film, "metrics": False, "pace": "even", "card": 0.0, "captions": None,
            "bookmark": None,
        }  # fmt: skip
        films = []
        for number, recording in enumerate(recordings):
            own = plain if modes is None else cast(FilmOptions, {**plain, "mode": shown[number]})
            films.append(Animation(recording, **own))
        if modes is None:
            _require_same_limits(films)
        metric_names([each.recording for each in films], film.get("metrics", True))
        self.recordings = [film.recording for film in films]
        self.by, self.fps = by, film["fps"]
        self._films, self._given = films, scene_of(film)
        self._options = with_style(self._given)
        self._places = [
            clock_positions(recording, by, label)
            for recording, label in zip(self.recordings, self.labels, strict=True)
        ]
        self._clock = SharedTimeline(
            self._places, film["interpolate"], round(film["hold"] * film["fps"]), film["pace"],
            _changes(self.recordings) if film["pace"] == "by change" else (),
        )  # fmt: skip
        self._story = Story(
            film, self._options, self._clock.starts, self._tick,
            lambda tick: self._headline(float(self._clock.ticks[tick])),
        )  # fmt: skip
        self._columns = columns
        self._difference = self._make_difference() if disagreement else None

    def __len__(self) -> int:
        return self._story.n_card + len(self._clock)

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of a frame in pixels."""
        return self._story.shape(self._scenes[0].shape)

    @property
    def map_shape(self) -> tuple[int, int]:
        """``(height, width)`` of each panel's map in a frame."""
        return self._scenes[0].map_shape

    def still(
        self,
        path: str | os.PathLike[str] | IO[bytes] | None = None,
        epoch: float = -1,
        *,
        dpi: float | None = None,
        format: str | None = None,
        style: StyleName | None = None,
        column: Column | None = None,
    ) -> Any:
        """Draw the picture of one moment through matplotlib.

        Parameters
        ----------
        path : path-like or binary file object, optional
            Ends in ``.png``, ``.svg``, ``.pdf`` or ``.pgf``.
        epoch : float, default -1
            A value of the clock at which one of the runs was captured: an
            epoch, a step or a share of progress, by ``by``; -1 is the end.
        dpi : float, optional
            Default: that of the comparison.
        format : {"png", "svg", "pdf"}, optional
            Of a file object.
        style, column : str, optional
            As for :func:`animate`; default: those of the comparison.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        RecordingError
            If no run was captured then.
        ValueError
            If the suffix, the style or the column is unknown or the folder does not exist.
        """
        target = still_target(path, format)
        check_size(None, 100 if dpi is None else dpi)
        tick, options = self._tick(epoch), restyled(self._given, style, column)
        moments, grid = self._clock.moments_at(tick), self._grid(options, dpi, exact=True)
        _, _, width, height = grid.layouts[0].box
        value = float(self._clock.ticks[tick])
        images, statuses = self._brush((height, width))(moments, value)
        for layout, image, status in zip(grid.layouts, images, statuses, strict=True):
            draw_map(layout, image, self.recordings[0].domain.extent)
            layout.counter.set_text(status)
            shrink(layout.counter, width)
        for layout, film, moment in zip(grid.layouts, self._films, moments, strict=False):
            if options.get("points", True) and film.recording.data is not None:
                mark_errors(layout, film.recording, film.mode, options, moment.left)
            if layout.strip is not None:
                now = value_at(positions(film.recording), moment)
                layout.strip.axvline(now, color=layout.theme.accent, linewidth=1.5)
        if options.get("counter", True):
            grid.head.counter.set_text(self._headline(value))
        finish(grid.figure, target)
        return grid.figure

    def __repr__(self) -> str:
        return (
            f"Comparison({', '.join(map(repr, self.labels))}, by {self.by}, {len(self)} frames, "
            f"{self.duration:.1f} s at {self.fps:g} frames/s)"
        )

    def __getstate__(self) -> dict[str, Any]:
        # Cached properties hold figures and caches; they are created again when needed.
        made = ("_stage", "_html")
        return {name: value for name, value in vars(self).items() if name not in made}

    def _title(self) -> str:
        return self._options.get("title") or ""

    def _page(self) -> dict[str, Any] | None:
        first = self._films[0]
        # A page paints all of its panels in one mode.
        if self._several_modes or first._page() is None:
            return None
        return {
            **page_options(first, self._given), "recordings": self.recordings,
            "names": self.labels, "by": self.by, "interpolation": first._interpolation,
        }  # fmt: skip

    def _painter(self, *, reader: Executor | None = None) -> Callable[[int], Image]:
        brush = self._brush(self.map_shape, reader=reader)
        return self._story.told(
            lambda index: self._compose(brush, index), len(self), self._scenes[0].shape
        )

    def _compose(self, brush: Brush, index: int) -> Image:
        moments, value = self._clock.moments(index), self._clock.value(index)
        images, statuses = brush(moments, value)
        frame = self._ground.copy()
        for scene, image, moment in zip(
            self._scenes, images, [*moments, Moment(0, 0.0)], strict=False
        ):
            scene.put_on(frame, image, moment)
        for writing, status in zip(self._statuses, statuses, strict=True):
            writing.write(frame, status)
        if self._options.get("counter", True):
            self._head.write(frame, self._headline(value))
        return frame

    def _brush(self, shape: tuple[int, int], *, reader: Executor | None = None) -> Brush:
        """Return a function that returns the panels' pictures and the texts beside their titles."""
        painters = [film.painter(shape, reader=reader) for film in self._films]

        def paint(moments: Sequence[Moment], value: float) -> tuple[list[Image], list[str]]:
            images = [paint(moment) for paint, moment in zip(painters, moments, strict=True)]
            statuses = [self._status(run, value) for run in range(len(moments))]
            if self._difference is not None:
                planes = [
                    painter.maps(moment)[0]
                    for painter, moment in zip(painters, moments, strict=True)
                ]
                differing = disagreement(planes)
                images.append(self._difference.paint(differing[None]))
                statuses.append(_share(float(differing.mean()), len(moments)))
            return images, statuses

        return paint

    def _status(self, run: int, value: float) -> str:
        """Return a text if, at this clock value, a run has not begun or has ended; else ''."""
        places, end = self._places[run], float(self._clock.ticks[-1])
        if value < places[0]:
            return f"from {self.by} {places[0]:.0f}"
        if value >= places[-1] and places[-1] < end:
            return f"ended at {self.by} {places[-1]:.0f}"
        return ""

    def _headline(self, value: float) -> str:
        if self.by == "progress":
            return f"{100 * value + 1e-9:.0f} % of training"
        number, text = int(value + 1e-9), self._options.get("counter", True)
        if isinstance(text, str):
            return text.format(**{self.by: number})
        units = {recording.unit for recording in self.recordings}
        if self.by == "epoch" and len(units) == 1:
            (unit,) = units
            return f"{unit} {number}" if unit else ""
        return f"{self.by} {number}"

    def _make_difference(self) -> Disagreement:
        from matplotlib.colors import LinearSegmentedColormap

        dark = self._options.get("dark", False)
        # From the background's colour, where all runs agree, to a colour that no class has.
        ends = [Theme.of(dark).background, "#cdbcff" if dark else "#3f007d"]
        cmap = LinearSegmentedColormap.from_list("disagreement", ends)
        colors = Palette.of(self.recordings[0].n_classes, cmap=cmap, dark=dark, repeat=True)
        return Disagreement(len(self.recordings)).bound(self.recordings[0].n_classes, colors)

    def _panels(self) -> list[Panel]:
        points, ends = self._options.get("points", True), self._clock.ticks[[0, -1]]
        panels = []
        for run, film in enumerate(self._films):
            status = max((self._status(run, float(end)) for end in ends), key=len)
            panels.append(
                Panel(film.recording, film.mode, self.labels[run], status, points,
                      bar=self._several_modes)
            )  # fmt: skip
        if self._difference is not None:
            many = len(self._films) > 2
            panels.append(
                Panel(self.recordings[0], self._difference, "disagreement",
                      _share(1.0, len(self._films)), points=False, bar=many, strip=False)
            )  # fmt: skip
        return panels

    def _grid(
        self, options: SceneOptions, dpi: float | None = None, *, exact: bool = False
    ) -> PanelGrid:
        headline = max(map(self._headline, self._clock.ticks[[0, -1]]), key=len)
        panels, domain = self._panels(), self.recordings[0].domain
        columns = self._columns or default_columns(len(panels), domain, options)
        return build_grid(
            panels, options, min(columns, len(panels)), headline, named(self.recordings), dpi,
            exact=exact,
        )  # fmt: skip

    @cached_property
    def _stage(self) -> tuple[Image, list[Compositor], list[Caption], Caption]:
        grid, panels = self._grid(self._story.room(self._options)), self._panels()
        grid.head.counter.set_alpha(0)
        ground = draw_ground(grid.layouts)
        scenes = [
            Compositor(
                panel.recording, panel.mode,
                {**self._options, "counter": False, "points": panel.points}, layout, ground,
            )
            for panel, layout in zip(panels, grid.layouts, strict=True)
        ]  # fmt: skip
        return ground[0], scenes, [Caption(layout) for layout in grid.layouts], Caption(grid.head)

    @property
    def _ground(self) -> Image:
        return self._stage[0]

    @property
    def _scenes(self) -> list[Compositor]:
        return self._stage[1]

    @property
    def _statuses(self) -> list[Caption]:
        return self._stage[2]

    @property
    def _head(self) -> Caption:
        return self._stage[3]

    def _tick(self, value: float) -> int:
        ticks = self._clock.ticks
        if value == -1:
            return len(ticks) - 1
        found = np.flatnonzero(np.abs(ticks - value) < 1e-6)
        if len(found):
            return int(found[0])
        near = [f"{part:g}" for part in (*ticks[ticks < value][-1:], *ticks[ticks > value][:1])]
        raise RecordingError(
            f"epoch={value}: no run was captured at this {self.by}; the nearest are "
            f"{' and '.join(near)}"
        )


@shows_defaults(FILM_DEFAULTS, complete=False)
def compare(
    recordings: Sequence[Recording],
    *,
    labels: Sequence[str] | None = None,
    by: By = "epoch",
    disagreement: bool = False,
    columns: int | None = None,
    modes: Sequence[str | type[Mode] | Mode] | None = None,
    **scene: Unpack[FilmOptions],
) -> Comparison:
    """Show several runs side by side, on a common clock.

    All panels share colours, limits and legend. The clock has a tick wherever
    one of the runs was captured. A run that has ended keeps showing its last
    snapshot, and its panel says so.

    Parameters
    ----------
    recordings : sequence of Recording
        At least two, on the same domain (or, without ``disagreement``, on slices
        of a table that differ in fixed values, :meth:`Domain.slices`) and with
        the same classes; with ``modes`` one.
    labels : sequence of str, optional
        The panels' titles; default ``"run 1"``, ``"run 2"``, ..., or of slices
        the fixed value in which they differ.
    by : {"epoch", "step", "progress"}, default "epoch"
        What the clock counts; ``"progress"`` is the share of its own training
        that each run has completed.
    disagreement : bool, default False
        Add a panel that shows where predicted classes differ: with more than two
        runs, the share of pairs of runs that differ. The text beside its title is
        the mean over the window.
    columns : int, optional
        Panels in a row; default: with a given ``figsize``, the number that makes
        the maps largest; else up to three, and more panels in about a square.
    modes : sequence of str, Mode or type, optional
        Show one recording in several modes, a panel each, instead of several
        recordings in one: ``compare(recording, modes=("region", "boundary"))``. The
        panels' titles are the modes' names by default.
    mode, interpolate, interpolation, fps, cmap, palette, shade
        As for :func:`animate`.
    hold, pace, card, captions, bookmark
        As for :func:`animate`; ``interpolate`` frames lead from one tick to the next, and
        epochs are values of the clock at which one of the runs was captured.
    **scene
        As for :func:`animate`, without ``subtitle``. The strips of metrics below the
        panels share their scales; in a figure whose ``figsize`` leaves less than a
        quarter of an inch for each they are drawn only where ``metrics`` is given.

    Returns
    -------
    Comparison

    Raises
    ------
    RecordingError
        If a recording is empty or its time decreases, domains or classes differ,
        or steps are unknown for ``by="step"``.
    ValueError
        If there are fewer than two recordings, labels are missing, or a value
        is unknown.
    TypeError
        If a keyword is unknown, or a recording is not a Recording.

    Examples
    --------
    >>> import trainviz as tv
    >>> domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=20)
    >>> runs = []
    >>> for speed in (1, 3):
    ...     recorder = tv.Recorder(domain)
    ...     for epoch in (0, 5, 10):
    ...         _ = recorder.capture(
    ...             lambda X: 1 / (1 + np.exp(-speed * epoch * X[:, 0])), epoch=epoch)
    ...     runs.append(recorder.recording)
    >>> tv.compare(runs, labels=["slow", "fast"], interpolate=10)
    Comparison('slow', 'fast', by epoch, 21 frames, 0.7 s at 30 frames/s)
    """
    return Comparison(
        recordings, labels=labels, by=by, disagreement=disagreement, columns=columns,
        modes=modes, **scene,
    )  # fmt: skip


def _check_modes(recordings: Any, modes: Any, scene: FilmOptions, disagreement: bool) -> list[Mode]:
    if isinstance(modes, str) or not isinstance(modes, Sequence) or len(modes) < 2:
        raise ValueError(
            f"modes={modes!r}: expected at least two, e.g. modes=('region', 'boundary'); "
            "animate(mode=) shows a single one"
        )
    if not isinstance(recordings, Recording) and len(recordings) != 1:
        raise ValueError(
            f"modes= shows one recording in several modes, but {len(recordings)} recordings are "
            "given; give one of them, or all of them and mode="
        )
    if "mode" in scene or disagreement:
        name = "mode" if "mode" in scene else "disagreement"
        raise TypeError(f"compare() takes modes= or {name}=, not both")
    return [find_mode(mode) for mode in modes]


def _only(recordings: Recording | Sequence[Recording]) -> Recording:
    return recordings if isinstance(recordings, Recording) else recordings[0]


def _changes(recordings: Sequence[Recording]) -> list[Float64Array]:
    """Return how much each run changes; one that is shown in several modes is read once."""
    found = {id(recording): recording for recording in recordings}
    by_run = {key: changes(recording) for key, recording in found.items()}
    return [by_run[id(recording)] for recording in recordings]


def _check_labels(recordings: Any, labels: Sequence[str] | None) -> list[str]:
    if isinstance(recordings, Recording) or not isinstance(recordings, Sequence):
        raise TypeError(
            f"recordings={type(recordings).__name__}: expected a list of recordings, "
            "compare([a, b])"
        )
    if len(recordings) < 2:
        raise ValueError(
            f"recordings: got {len(recordings)}, expected at least two to compare; animate() "
            "shows a single one"
        )
    if labels is None:
        return _fixed_labels(recordings) or [f"run {at + 1}" for at in range(len(recordings))]
    sized = not isinstance(labels, str) and hasattr(labels, "__len__")
    if not sized or len(labels) != len(recordings):
        raise ValueError(f"labels={labels!r}: expected a list of {len(recordings)}, one a run")
    return [str(label) for label in labels]


def _fixed_labels(recordings: Sequence[Any]) -> list[str] | None:
    """Return the fixed value in which slices of one table differ, if it is a single one."""
    slices = [getattr(getattr(run, "domain", None), "embedding", None) for run in recordings]
    if not all(isinstance(one, TableSlice) for one in slices):
        return None
    fixed = [one.fixed for one in slices if isinstance(one, TableSlice)]
    differ = {name for other in fixed for name in other if other[name] != fixed[0].get(name)}
    if len(differ) != 1:
        return None
    (name,) = differ
    return [f"{name} = {other.get(name)}" for other in fixed]


def _require_same_limits(films: Sequence[Animation]) -> None:
    """Raise if the modes' limits differ by recording, since all panels share a colour bar."""
    lows, highs = zip(*(film.mode.limits for film in films), strict=True)
    if len(set(lows)) > 1 or len(set(highs)) > 1:
        raise ValueError(
            f"mode={films[0].mode.name!r} has other limits for each run, and one colour bar stands "
            f"for all: give them, e.g. Values(limits=({min(lows):.4g}, {max(highs):.4g}))"
        )


def _check_counter(counter: bool | str, by: str) -> None:
    if isinstance(counter, str) and not fields_of(counter) <= {by}:
        raise ValueError(f"counter={counter!r}: by={by!r} counts {{{by}}} alone")


def _check_panels(columns: Any, scene: FilmOptions) -> None:
    if scene.get("subtitle"):
        raise TypeError("compare() has no subtitle=: panels have labels= instead")
    check_columns(columns)


def _share(share: float, n_runs: int) -> str:
    """Return the share of disagreement as text; 0 % and 100 % only if it is exactly that."""
    percent = 100 * share
    text = f"{min(max(percent, 1), 99):.0f} %" if 0 < share < 1 else f"{percent:.0f} %"
    near = "<" if 0 < percent < 0.5 else ">" if 99.5 < percent < 100 else ""
    return f"{'mean ' if n_runs > 2 else ''}{near}{text}"
