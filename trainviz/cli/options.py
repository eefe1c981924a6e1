"""The options that several commands share, under the names of the Python interface."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from trainviz.cli.parsing import UsageError, bookmark, epoch_span, mark, positive

if TYPE_CHECKING:
    from trainviz.modes import Mode
    from trainviz.recordings.recording import Recording

__all__ = [
    "LOOK",
    "MODE",
    "TIME",
    "add_look",
    "add_mode",
    "add_selection",
    "add_time",
    "flag",
    "mode_of",
    "open_selected",
    "picked",
]

# Listed here, since importing the modes would import numpy; a test keeps the names in sync.
MODE_NAMES = (
    "region", "boundary", "entropy", "margin", "probability", "change", "difference", "values",
)  # fmt: skip
STYLES = ("paper", "slides", "poster", "notebook", "minimal")
INTERPOLATIONS = ("linear", "geometric", "smooth")

MODE = ("mode", "of", "levels", "outline", "top_k", "limits", "other")
PACES = ("even", "geometric", "by change")
TIME = ("interpolate", "interpolation", "fps", "hold", "pace", "card", "captions", "bookmark")
_HIDEABLE = ("shade", "axes", "counter", "legend", "points", "anchors", "metrics")
LOOK = (
    "cmap", "palette", "title", "subtitle", "xlabel", "ylabel", "dark", "figsize", "dpi", "aspect",
    "errors", "max_points", "highlight", "metric_scale", "smooth", "annotate", "style", "column",
    *_HIDEABLE,
)  # fmt: skip


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a mode and configure it."""
    add = parser.add_argument_group("what is shown").add_argument
    add("--mode", choices=MODE_NAMES, help="default: region")
    add(
        "--class", dest="of", metavar="NAME",
        help="the class of the modes probability (which this option implies) and difference: its "
        "name, or its output column",
    )  # fmt: skip
    add("--levels", nargs="+", type=float, metavar="LEVEL", help="draw contour lines at these")
    add("--outline", action="store_true", help="draw the borders, in mode region")
    add("--top-k", type=positive, metavar="K", help="only the K most common classes, in region")
    add(
        "--limits", nargs=2, type=float, metavar=("LOW", "HIGH"),
        help="ends of the colour bar, in mode values",
    )  # fmt: skip
    add("--other", metavar="RECORDING", help="from which mode difference shows the difference")


def add_time(parser: argparse.ArgumentParser) -> None:
    """Add the options for interpolation and timing."""
    add = parser.add_argument_group("time").add_argument
    add(
        "--interpolate", type=positive, metavar="N",
        help="frames from one snapshot to the next; default: 1",
    )  # fmt: skip
    add("--interpolation", choices=INTERPOLATIONS, help="default: linear")
    add("--fps", type=float, help="frames a second; default: 30")
    add("--hold", type=float, metavar="SECONDS", help="rest on the last snapshot")
    add(
        "--pace", choices=PACES, type=lambda text: text.replace("-", " "),
        help="which intervals between snapshots last longer: none, the early ones, or those in "
        "which most changes (by-change); default: even",
    )  # fmt: skip
    add("--card", type=float, metavar="SECONDS", help="show the title alone first")
    add(
        "--captions", nargs="+", type=mark, metavar="EPOCH=TEXT",
        help="sentences below the frames, each from its epoch until the next one",
    )  # fmt: skip
    add(
        "--bookmark", nargs="+", type=bookmark, metavar="EPOCH[=NAME]",
        help="where chapters of an .mp4 or .webm begin",
    )  # fmt: skip
    add(
        "--max-bytes", type=positive, metavar="N",
        help="the largest size of a .gif: fewer colours, frames, pixels",
    )  # fmt: skip
    add("--jobs", type=positive, metavar="N", default=1, help="processes that make frames")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that select snapshots."""
    add = parser.add_argument_group("which snapshots").add_argument
    add(
        "--epochs", dest="span", type=epoch_span, metavar="A:B",
        help="those from epoch A to epoch B, both included; either may be left out",
    )  # fmt: skip
    add("--every", type=positive, metavar="N", help="every N-th of them, and the last")


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add the options for colours and for everything around the map."""
    add = parser.add_argument_group("look").add_argument
    for name in ("title", "subtitle", "xlabel", "ylabel"):
        add(f"--{name}", metavar="TEXT")
    add("--dark", action="store_true", help="light text on a dark ground")
    add("--figsize", nargs=2, type=float, metavar=("WIDTH", "HEIGHT"), help="in inches")
    add("--dpi", type=float, help="pixels an inch; default: 100")
    add("--style", choices=STYLES, help="sizes of type, lines, points and figure")
    add("--column", choices=("single", "double"), help="the width of the figure by the style")
    add("--aspect", choices=("equal", "auto"), help="of the map")
    add("--cmap", metavar="NAME", help="colormap of the modes that show one quantity")
    add(
        "--palette", nargs="+", metavar="COLOUR",
        help="one a class, or the name of a qualitative colormap",
    )  # fmt: skip
    add(
        "--errors", choices=("ring", "cross", "fade", "none"),
        help="how misclassified points are told; fade draws the others faint",
    )  # fmt: skip
    add(
        "--max-points", type=_all_or_positive, metavar="N",
        help="draw a sample of more points; default: 2000; 'all' for all",
    )  # fmt: skip
    add("--highlight", nargs="+", type=int, metavar="INDEX", help="ring and label these points")
    add("--metrics", nargs="+", metavar="NAME", help="curves in the strip; default: at most two")
    add("--metric-scale", choices=("auto", "linear", "log"), help="of the curves' axes")
    add(
        "--smooth", type=float, metavar="WEIGHT", help="of a moving average of the curves, e.g. 0.9"
    )
    add(
        "--annotate", nargs="+", type=mark, metavar="EPOCH=TEXT",
        help="mark what happened, e.g. 120='lr / 10'",
    )  # fmt: skip
    for name in _HIDEABLE:
        add(f"--no-{name}", dest=name, action="store_false", help=_WITHOUT[name])


def _all_or_positive(text: str) -> int | None:
    return None if text == "all" else positive(text)


_WITHOUT = {
    "shade": "plain colours, as strong where the model is unsure",
    "axes": "without ticks and axis labels",
    "counter": "without the epoch",
    "legend": "without the classes or the colour bar",
    "points": "without the recording's data",
    "anchors": "without the samples that the plane goes through",
    "metrics": "without the strip of curves",
}


def picked(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named options that were given, as keyword arguments."""
    given = {name: value for name, value in vars(options).items() if name in set(names)}
    if given.get("errors") == "none":
        given["errors"] = None
    if len(given.get("palette", ())) == 1:
        given["palette"] = given["palette"][0]
    for name in ("annotate", "captions", "bookmark"):
        if name in given:
            given[name] = dict(given[name])
    return given


def flag(name: str) -> str:
    """Return an option as it is written on the command line.

    Examples
    --------
    >>> flag("top_k"), flag("of"), flag("axes")
    ('--top-k', '--class', '--no-axes')
    """
    if name in _HIDEABLE and name != "metrics":
        return f"--no-{name}"
    return "--class" if name == "of" else f"--{name.replace('_', '-')}"


def open_selected(path: str, options: argparse.Namespace) -> Recording:
    """Open a recording, and select its snapshots by ``--epochs`` and ``--every``."""
    from trainviz.recordings.opening import open_recording

    recording = open_recording(path)
    if "span" in options:
        recording = _between(recording, *options.span)
    if "every" in options:
        recording = recording.thin(options.every)
    return recording


def mode_of(options: argparse.Namespace, recording: Recording) -> Mode:
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

    name = getattr(options, "mode", "probability" if "of" in options else "region")
    wanted = picked(options, MODE[1:])
    for option in wanted:
        if option not in inspect.signature(MODES[name]).parameters:
            takers = [mode for mode in MODES if option in inspect.signature(MODES[mode]).parameters]
            raise UsageError(f"{flag(option)} is not for --mode {name}, but for {_listed(takers)}")
    if name == "difference" and "other" not in wanted:
        raise UsageError("--mode difference needs --other RECORDING, to subtract from this one")
    if "of" in wanted or (name == "probability" and recording.n_classes > 2):
        wanted["of"] = _class(wanted.get("of"), recording)
    if "other" in wanted:
        wanted["other"] = open_recording(wanted["other"])
    if "limits" in wanted:
        wanted["limits"] = tuple(wanted["limits"])
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


def _class(text: str | None, recording: Recording) -> str | int:
    names = recording.class_names
    if text in names:
        return text
    if text is not None and text.isdecimal() and int(text) < len(names):
        return int(text)
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    asked = "--mode probability needs --class NAME" if text is None else f"--class {text!r}"
    raise ValueError(
        f"{asked}: the recording's are {listed} (or an output column, 0 to {len(names) - 1})"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
