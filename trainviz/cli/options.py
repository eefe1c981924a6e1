"""The options that several commands share, under the names of the Python interface."""

from __future__ import annotations

import inspect
import json as json_format
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from typer import Argument, BadParameter, Option

from trainviz.cli.command import OptionGroup, UsageError

if TYPE_CHECKING:
    from trainviz.modes import Mode
    from trainviz.recordings.recording import Recording

__all__ = [
    "Basics",
    "Columns",
    "Films",
    "Look",
    "ModeName",
    "Output",
    "Pictures",
    "Quiet",
    "RecordingPath",
    "Saving",
    "Selection",
    "Shown",
    "Time",
    "class_of",
    "film_or_picture",
    "flag",
    "mode_of",
    "open_selected",
]

# Listed here, since importing the modes would import numpy; a test keeps the names in sync.
ModeName = Literal[
    "region", "boundary", "entropy", "margin", "probability", "change", "difference", "values"
]
StyleName = Literal["paper", "slides", "poster", "notebook", "minimal"]
Interpolation = Literal["linear", "geometric", "smooth"]
Pace = Literal["even", "geometric", "by-change"]


def _mark(text: str) -> tuple[float, str]:
    """Parse ``EPOCH=TEXT``.

    Examples
    --------
    >>> _mark("120=lr / 10")
    (120.0, 'lr / 10')
    """
    epoch, is_given, told = text.partition("=")
    try:
        if is_given:
            return float(epoch), told
    except ValueError:
        pass
    raise BadParameter(f"{text!r}: expected EPOCH=TEXT, e.g. 120='lr / 10'")


def _bookmark(text: str) -> tuple[float, str]:
    """Parse ``EPOCH=NAME``, or an epoch alone.

    Examples
    --------
    >>> _bookmark("10=settled"), _bookmark("50")
    ((10.0, 'settled'), (50.0, ''))
    """
    return _mark(text if "=" in text else f"{text}=")


def _span(text: str) -> tuple[int | None, int | None]:
    """Parse ``A:B``, either of which may be left out.

    Examples
    --------
    >>> _span("10:50"), _span("10:")
    ((10, 50), (10, None))
    """
    first, colon, last = text.partition(":")
    if not colon or not all(part.isdecimal() or not part for part in (first, last)):
        raise BadParameter(
            f"{text!r} is no range of epochs; expected FIRST:LAST, e.g. 10:50, 10: or :50"
        )
    span = int(first) if first else None, int(last) if last else None
    if span[0] is not None and span[1] is not None and span[0] > span[1]:
        raise BadParameter(f"{text!r} ends before it begins; expected FIRST:LAST")
    return span


def _point(text: str) -> int:
    # NumPy has no larger numbers than those of 18 digits.
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise BadParameter(f"{text!r} is no index of a point; expected a whole number, e.g. 3")
    return int(text)


def _most_points(text: str) -> int | str:
    """Parse a number of points, or ``all``."""
    if text != "all" and not (text.isdecimal() and int(text)):
        raise BadParameter(f"{text!r} is no whole number of at least 1, nor 'all'")
    return text if text == "all" else int(text)


def _film(text: str) -> Path:
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    if Path(text).suffix.lower() in STILL_SUFFIXES:
        raise BadParameter(
            f"{text!r} is a picture, which 'trainviz still' draws; a film ends in one of "
            f"{' '.join(FILM_SUFFIXES)}"
        )
    return _path(text, FILM_SUFFIXES)


def _picture(text: str) -> Path:
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    if Path(text).suffix.lower() in FILM_SUFFIXES:
        raise BadParameter(
            f"{text!r} is a film, which 'trainviz render' makes; a picture ends in one of "
            f"{' '.join(STILL_SUFFIXES)}"
        )
    return _path(text, STILL_SUFFIXES)


def film_or_picture(text: str) -> Path:
    """Parse the path of a film or a picture."""
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    return _path(text, FILM_SUFFIXES + STILL_SUFFIXES)


def _path(text: str, suffixes: tuple[str, ...]) -> Path:
    from trainviz.rendering.writers import check_path

    try:
        return check_path(text, suffixes)
    except ValueError as error:
        raise BadParameter(str(error)) from error


RecordingPath = Annotated[
    str, Argument(metavar="RECORDING", help="A folder, a .zarr.zip, or an address.")
]
Films = Annotated[
    list[Path],
    Option(
        "-o", "--out", parser=_film, metavar="FILE",
        help="Ends in .mp4 .webm .gif .apng .webp or .html; may be given several times.",
    ),
]  # fmt: skip
Pictures = Annotated[
    list[Path],
    Option(
        "-o", "--out", parser=_picture, metavar="FILE",
        help="Ends in .png .svg .pdf or .pgf; may be given several times.",
    ),
]  # fmt: skip
Columns = Annotated[int | None, Option(min=1, metavar="N", help="Panels in a row.")]


@dataclass
class Shown(OptionGroup):
    """Which mode, and how it is configured."""

    panel: ClassVar[str] = "What is shown"

    mode: Annotated[
        ModeName | None,
        Option(
            metavar="MODE",
            help=f"{', '.join(get_args(ModeName)[:-1])} or {get_args(ModeName)[-1]}; "
            "default: region.",
        ),
    ] = None
    of: Annotated[
        str | None,
        Option(
            "--class", metavar="NAME",
            help="The class of the modes probability (which this option implies) and "
            "difference: its name, or its output column.",
        ),
    ] = None  # fmt: skip
    levels: Annotated[
        list[float] | None, Option(metavar="LEVEL...", help="Draw contour lines at these.")
    ] = None
    outline: Annotated[bool, Option("--outline", help="Draw the borders, in mode region.")] = False
    top_k: Annotated[
        int | None, Option(min=1, metavar="K", help="Only the K most common classes, in region.")
    ] = None
    limits: Annotated[
        tuple[float, float] | None,
        Option(metavar="LOW HIGH", help="Ends of the colour bar, in mode values."),
    ] = None
    other: Annotated[
        str | None,
        Option(metavar="RECORDING", help="From which mode difference shows the difference."),
    ] = None


@dataclass
class Time(OptionGroup):
    """Interpolation and timing of a film."""

    panel: ClassVar[str] = "Time"

    interpolate: Annotated[
        int | None,
        Option(
            min=1, max=100_000, metavar="N",
            help="Frames from one snapshot to the next; default: 1.",
        ),
    ] = None  # fmt: skip
    interpolation: Annotated[Interpolation | None, Option(help="Default: linear.")] = None
    fps: Annotated[float | None, Option(metavar="N", help="Frames a second; default: 30.")] = None
    hold: Annotated[
        float | None, Option(max=3600, metavar="SECONDS", help="Rest on the last snapshot.")
    ] = None
    pace: Annotated[
        Pace | None,
        Option(
            help="Which intervals between snapshots last longer: none, the early ones, or those "
            "in which most changes; default: even."
        ),
    ] = None
    card: Annotated[
        float | None, Option(max=3600, metavar="SECONDS", help="Show the title alone first.")
    ] = None
    captions: Annotated[
        list[Any] | None,
        Option(
            parser=_mark, metavar="EPOCH=TEXT...",
            help="Sentences below the frames, each from its epoch until the next one.",
        ),
    ] = None  # fmt: skip
    bookmark: Annotated[
        list[Any] | None,
        Option(
            parser=_bookmark, metavar="EPOCH[=NAME]...",
            help="Where chapters of an .mp4 or .webm begin.",
        ),
    ] = None  # fmt: skip

    def given(self) -> dict[str, Any]:
        """Return the options that were given, as keyword arguments."""
        found = super().given()
        if self.pace:
            found["pace"] = self.pace.replace("-", " ")
        return found | {
            name: dict(found[name]) for name in ("captions", "bookmark") if name in found
        }


@dataclass
class Saving(OptionGroup):
    """How a film is saved."""

    panel: ClassVar[str] = "Output"

    max_bytes: Annotated[
        int | None,
        Option(
            min=1, metavar="N",
            help="The largest size of a .gif: fewer colours, frames, pixels.",
        ),
    ] = None  # fmt: skip
    jobs: Annotated[
        int, Option(min=1, max=256, metavar="N", help="Processes that make frames.")
    ] = 1


@dataclass
class Selection(OptionGroup):
    """Which snapshots are used."""

    panel: ClassVar[str] = "Which snapshots"

    span: Annotated[
        Any,
        Option(
            "--epochs", parser=_span, metavar="A:B",
            help="Those from epoch A to epoch B, both included; either may be left out.",
        ),
    ] = None  # fmt: skip
    every: Annotated[
        int | None, Option(min=1, metavar="N", help="Every N-th of them, and the last.")
    ] = None


@dataclass
class Basics(OptionGroup):
    """The look that every picture has."""

    panel: ClassVar[str] = "Look"

    title: Annotated[str | None, Option(metavar="TEXT", help="Above everything.")] = None
    dark: Annotated[bool, Option("--dark", help="Light text on a dark ground.")] = False
    palette: Annotated[
        list[str] | None,
        Option(metavar="COLOUR...", help="One a class, or the name of a qualitative colormap."),
    ] = None
    figsize: Annotated[
        tuple[float, float] | None, Option(metavar="WIDTH HEIGHT", help="In inches.")
    ] = None
    dpi: Annotated[float | None, Option(metavar="N", help="Pixels an inch; default: 100.")] = None
    style: Annotated[
        StyleName | None,
        Option(
            metavar="NAME",
            help=f"Sizes of type, lines, points and figure: {', '.join(get_args(StyleName))}.",
        ),
    ] = None
    column: Annotated[
        Literal["single", "double"] | None, Option(help="The width of the figure by the style.")
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, as keyword arguments."""
        found = super().given()
        if self.palette and len(self.palette) == 1:
            found["palette"] = self.palette[0]
        return found


@dataclass
class Look(Basics):
    """Colours, and everything around the map."""

    subtitle: Annotated[str | None, Option(metavar="TEXT", help="Below the title.")] = None
    xlabel: Annotated[str | None, Option(metavar="TEXT", help="Of the horizontal axis.")] = None
    ylabel: Annotated[str | None, Option(metavar="TEXT", help="Of the vertical axis.")] = None
    aspect: Annotated[Literal["equal", "auto"] | None, Option(help="Of the map.")] = None
    cmap: Annotated[
        str | None, Option(metavar="NAME", help="Colormap of the modes that show one quantity.")
    ] = None
    errors: Annotated[
        Literal["ring", "cross", "fade", "none"] | None,
        Option(help="How misclassified points are told; fade draws the others faint."),
    ] = None
    max_points: Annotated[
        Any,
        Option(
            parser=_most_points, metavar="N",
            help="Draw a sample of more points; default: 2000; 'all' for all.",
        ),
    ] = None  # fmt: skip
    highlight: Annotated[
        list[Any] | None,
        Option(parser=_point, metavar="INDEX...", help="Ring and label these points."),
    ] = None
    metrics: Annotated[
        list[str] | None,
        Option(metavar="NAME...", help="Curves in the strip; default: at most two."),
    ] = None
    metric_scale: Annotated[
        Literal["auto", "linear", "log"] | None, Option(help="Of the curves' axes.")
    ] = None
    smooth: Annotated[
        float | None,
        Option(metavar="WEIGHT", help="Of a moving average of the curves, e.g. 0.9."),
    ] = None
    annotate: Annotated[
        list[Any] | None,
        Option(
            parser=_mark, metavar="EPOCH=TEXT...",
            help="Mark what happened, e.g. 120='lr / 10'.",
        ),
    ] = None  # fmt: skip
    no_shade: Annotated[
        bool,
        Option("--no-shade", help="Plain colours, as strong where the model is unsure."),
    ] = False
    no_axes: Annotated[bool, Option("--no-axes", help="Without ticks and axis labels.")] = False
    no_counter: Annotated[bool, Option("--no-counter", help="Without the epoch.")] = False
    no_legend: Annotated[
        bool, Option("--no-legend", help="Without the classes or the colour bar.")
    ] = False
    no_points: Annotated[bool, Option("--no-points", help="Without the recording's data.")] = False
    no_anchors: Annotated[
        bool, Option("--no-anchors", help="Without the samples that the plane goes through.")
    ] = False
    no_metrics: Annotated[bool, Option("--no-metrics", help="Without the strip of curves.")] = False

    def given(self) -> dict[str, Any]:
        """Return the options that were given, as keyword arguments."""
        found = super().given()
        if self.errors == "none":
            found["errors"] = None
        if self.max_points == "all":
            found["max_points"] = None
        if self.annotate:
            found["annotate"] = dict(self.annotate)
        return found


@dataclass
class Quiet(OptionGroup):
    """Whether progress is shown."""

    panel: ClassVar[str] = "Output"

    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress bars.")] = False

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show how far the block is, on a terminal."""
        from trainviz._common.progress import bars_by
        from trainviz.cli.terminal import bar

        with bars_by(bar(self.quiet)):
            yield


@dataclass
class Output(Quiet):
    """What a command tells, and how."""

    json: Annotated[
        bool, Option("--json", help="Tell what was done as JSON, one object a line.")
    ] = False

    def tell(self, text: str, **facts: Any) -> None:
        """Print a result: as a sentence, or its facts as JSON."""
        print(json_format.dumps(facts, default=str) if self.json else text, flush=True)


def flag(name: str) -> str:
    """Return an option as it is written on the command line.

    Examples
    --------
    >>> flag("top_k"), flag("of"), flag("axes")
    ('--top-k', '--class', '--no-axes')
    """
    if name != "metrics" and hasattr(Look, f"no_{name}"):
        return f"--no-{name}"
    return "--class" if name == "of" else f"--{name.replace('_', '-')}"


def open_selected(path: str, selection: Selection) -> Recording:
    """Open a recording, and select its snapshots by ``--epochs`` and ``--every``."""
    from trainviz.recordings.opening import open_recording

    recording = open_recording(path)
    if selection.span:
        recording = _between(recording, *selection.span)
    if selection.every:
        recording = recording.thin(selection.every)
    return recording


def mode_of(shown: Shown, recording: Recording) -> Mode:
    """Make the mode that the options describe.

    Raises
    ------
    UsageError
        If an option does not belong to the mode.
    ValueError
        If the recording has no such class.
    """
    from trainviz.modes import MODES
    from trainviz.recordings.opening import open_recording

    wanted = shown.given()
    name = wanted.pop("mode", "probability" if "of" in wanted else "region")
    for option in wanted:
        if option not in inspect.signature(MODES[name]).parameters:
            takers = [mode for mode in MODES if option in inspect.signature(MODES[mode]).parameters]
            raise UsageError(f"{flag(option)} is not for --mode {name}, but for {_listed(takers)}")
    if name == "difference" and "other" not in wanted:
        raise UsageError("--mode difference needs --other RECORDING, to subtract from this one")
    if "of" in wanted or (name == "probability" and recording.n_classes > 2):
        wanted["of"] = class_of(wanted.get("of"), recording)
    if "other" in wanted:
        wanted["other"] = open_recording(wanted["other"])
    return MODES[name](**wanted)


def _between(recording: Recording, first: int | None, last: int | None) -> Recording:
    """Return the snapshots of these epochs, both included."""
    recording.require_snapshots()
    epochs = recording.epochs.tolist()
    inside = [
        index for index, epoch in enumerate(epochs)
        if (first is None or first <= epoch) and (last is None or epoch <= last)
    ]  # fmt: skip
    asked = f"--epochs {'' if first is None else first}:{'' if last is None else last}"
    if not inside:
        raise ValueError(
            f"{asked}: no snapshot lies there; the recording has epochs {min(epochs)} to "
            f"{max(epochs)}"
        )
    if inside[-1] - inside[0] >= len(inside):
        raise ValueError(f"{asked}: the recording passes there more than once; give no range")
    return recording[inside[0] : inside[-1] + 1]


def class_of(text: str | None, recording: Recording, option: str = "--class") -> str | int:
    """Return the name or the output column of a class that an option names."""
    names = recording.class_names
    if text in names:
        return text
    if text is not None and text.isdecimal() and int(text) < len(names):
        return int(text)
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    asked = "--mode probability needs --class NAME" if text is None else f"{option} {text!r}"
    raise ValueError(
        f"{asked}: the recording's are {listed} (or an output column, 0 to {len(names) - 1})"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
