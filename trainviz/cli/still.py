"""The command ``trainviz still``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainviz.cli.options import LOOK, MODE, add_look, add_mode, flag, mode_of, picked
from trainviz.cli.parsing import UsageError, new_parser, picture_path, positive

if TYPE_CHECKING:
    from trainviz.recordings.recording import Recording
    from trainviz.rendering.animation import Animation

__all__ = ["add_still"]

_TAKES = {
    "still": {"epoch", *MODE, *LOOK},
    "filmstrip": {"epochs", "columns", *MODE, *LOOK},
    "panels": {"epoch", "levels", "columns", *LOOK},
    "dynamics": {
        "title",
        "dark",
        "figsize",
        "dpi",
        "cmap",
        "scale",
        "curves",
        "style",
        "column",
    },
}
"""The options that each kind of picture accepts."""


def add_still(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "still",
        usage="RECORDING -o FILE [--filmstrip | --panels | --dynamics] [options]",
        about="draw a picture of a recording",
        example="trainviz still runs/a.zarr -o strip.pdf --filmstrip --epochs 0 10 50",
    )  # fmt: skip
    add = parser.add_argument
    add("recording", metavar="RECORDING", help="a folder, a .zarr.zip, or an address")
    add(
        "-o", "--out", type=picture_path, action="append", required=True, metavar="FILE",
        help="ends in .png .svg or .pdf; may be given several times",
    )  # fmt: skip
    add("--epoch", type=int, help="a captured epoch; default: -1, the last")
    kinds = parser.add_mutually_exclusive_group()
    for kind, about in (
        ("filmstrip", "several epochs side by side"),
        ("panels", "the probability of each class, side by side"),
        ("dynamics", "when each region was settled, and what was forgotten"),
    ):
        kinds.add_argument(
            f"--{kind}", dest="kind", action="store_const", const=kind, default="still", help=about
        )
    add(
        "--epochs", nargs="+", type=int, metavar="EPOCH",
        help="of the filmstrip; default: five of them",
    )  # fmt: skip
    add("--columns", type=positive, metavar="N", help="panels in a row")
    add(
        "--scale", choices=("auto", "linear", "log", "quantile"),
        help="of the epochs' colours, of --dynamics",
    )  # fmt: skip
    add(
        "--curves", action="store_const", const=True,
        help="of --dynamics: areas, boundary length, churn and the data learnt, too",
    )  # fmt: skip
    add_mode(parser)
    add_look(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from trainviz.recordings.opening import open_recording
    from trainviz.rendering.writers import save_figure

    _check(options)
    first, *others = options.out
    figure = _DRAW[options.kind](open_recording(options.recording), options, first)
    print(first)
    for path in others:
        save_figure(figure, path)
        print(path)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise for an option that the picture would ignore."""
    kind = options.kind
    for name in picked(options, set().union(*_TAKES.values()) - _TAKES[kind]):
        takers = [other for other, takes in _TAKES.items() if name in takes]
        shown = " and ".join(
            "a plain still" if taker == "still" else f"--{taker}" for taker in takers
        )
        raise UsageError(
            f"{flag(name)} is not for {'a plain still' if kind == 'still' else f'--{kind}'}, "
            f"but for {shown}"
        )


def _film(recording: Recording, options: argparse.Namespace, leave: str = "") -> Animation:
    from trainviz.rendering.animation import animate

    look = picked(options, set(LOOK) - {leave})
    return animate(recording, mode=mode_of(options, recording), **look)


def _still(recording: Recording, options: argparse.Namespace, path: Path) -> Any:
    return _film(recording, options).still(path, **picked(options, ("epoch",)))


def _filmstrip(recording: Recording, options: argparse.Namespace, path: Path) -> Any:
    # figsize is the size of the whole filmstrip, not of a panel.
    film = _film(recording, options, leave="figsize")
    return film.filmstrip(path, **picked(options, ("epochs", "columns", "figsize")))


def _panels(recording: Recording, options: argparse.Namespace, path: Path) -> Any:
    from trainviz.modes import Probability
    from trainviz.rendering.animation import animate

    # panels() makes a mode for each class, so this one is not shown; class 0 always exists.
    film = animate(recording, mode=Probability(0), **picked(options, set(LOOK) - {"figsize"}))
    return film.panels(path, **picked(options, ("epoch", "levels", "columns", "figsize")))


def _dynamics(recording: Recording, options: argparse.Namespace, path: Path) -> Any:
    from trainviz.analysis.dynamics import dynamics

    return dynamics(recording).still(path, **picked(options, _TAKES["dynamics"]))


_DRAW = {"still": _still, "filmstrip": _filmstrip, "panels": _panels, "dynamics": _dynamics}
