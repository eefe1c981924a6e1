"""The commands ``trainviz still`` and ``trainviz filmstrip``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from trainviz.cli.command import UsageError, command
from trainviz.cli.options import (
    Columns,
    Look,
    Output,
    Pictures,
    RecordingPath,
    Shown,
    class_of,
    flag,
    mode_of,
)

if TYPE_CHECKING:
    from trainviz.recordings.recording import Recording
    from trainviz.rendering.animation import Animation

__all__ = ["draw", "filmstrip", "still"]

Epochs = Annotated[
    list[int] | None, Option(metavar="EPOCH...", help="Of the filmstrip; default: five of them.")
]

_MODE = {field.name for field in fields(Shown)}
_LOOK = {field.name.removeprefix("no_") for field in fields(Look)}
_TAKES = {
    "still": {"epoch", *_MODE, *_LOOK},
    "filmstrip": {"epochs", "columns", *_MODE, *_LOOK},
    "panels": {"epoch", "classes", "levels", "columns", *_LOOK},
    "dynamics": {
        "title", "dark", "figsize", "dpi", "cmap", "scale", "curves", "style", "column",
    },
}  # fmt: skip
"""The options that each kind of picture accepts."""


@command(
    "Make films and pictures",
    "still runs/a.zarr -o last.png",
    "still runs/a.zarr -o ten.pdf --epoch 10 --mode entropy --levels 0.5",
    "still runs/a.zarr -o trees.svg --panels --classes birch cedar",
    "still runs/a.zarr -o learnt.png --dynamics --curves",
)
def still(
    recording: RecordingPath,
    out: Pictures,
    shown: Shown,
    look: Look,
    output: Output,
    epoch: Annotated[
        int | None, Option(metavar="EPOCH", help="A captured epoch; default: -1, the last.")
    ] = None,
    strip: Annotated[bool, Option("--filmstrip", help="Several epochs side by side.")] = False,
    panels: Annotated[
        bool, Option("--panels", help="The probability of each class, side by side.")
    ] = False,
    dynamics: Annotated[
        bool, Option("--dynamics", help="When each region settled, and what was forgotten.")
    ] = False,
    epochs: Epochs = None,
    classes: Annotated[
        list[str] | None,
        Option(metavar="NAME...", help="Of --panels: these classes alone, in this order."),
    ] = None,
    columns: Columns = None,
    scale: Annotated[
        Literal["auto", "linear", "log", "quantile"] | None,
        Option(help="Of the epochs' colours, of --dynamics."),
    ] = None,
    curves: Annotated[
        bool,
        Option(
            "--curves",
            help="Of --dynamics: areas, boundary length, churn and the data learnt, too.",
        ),
    ] = False,
) -> None:
    """Draw a picture of one epoch, of its classes, or of the whole training."""
    kinds = {"filmstrip": strip, "panels": panels, "dynamics": dynamics}
    asked = [kind for kind, is_asked in kinds.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} is not allowed with --{asked[1]}: give one of them")
    kind = asked[0] if asked else "still"
    own = {
        "epoch": epoch, "epochs": epochs, "classes": classes, "columns": columns, "scale": scale,
        "curves": curves or None,
    }  # fmt: skip
    given = look.given() | {name: value for name, value in own.items() if value is not None}
    _check(kind, shown.given() | given)
    draw(_DRAW[kind], recording, out, shown, given, output)


@command(
    "Make films and pictures",
    "filmstrip runs/a.zarr -o strip.pdf",
    "filmstrip runs/a.zarr -o strip.png --epochs 0 10 50 --columns 3 --mode boundary",
)
def filmstrip(
    recording: RecordingPath,
    out: Pictures,
    shown: Shown,
    look: Look,
    output: Output,
    epochs: Epochs = None,
    columns: Columns = None,
) -> None:
    """Draw several epochs side by side."""
    own = {"epochs": epochs, "columns": columns}
    given = look.given() | {name: value for name, value in own.items() if value is not None}
    draw(_filmstrip, recording, out, shown, given, output)


def _check(kind: str, given: dict[str, Any]) -> None:
    """Raise for an option that the picture would ignore."""
    for name in given:
        if name in _TAKES[kind]:
            continue
        takers = [other for other, takes in _TAKES.items() if name in takes]
        listed = " and ".join(map(_named, takers))
        raise UsageError(f"{flag(name)} is not for {_named(kind)}, but for {listed}")


def _named(kind: str) -> str:
    return "a plain still" if kind == "still" else f"--{kind}"


Draw = Callable[["Recording", Shown, "dict[str, Any]", Path], Any]


def draw(
    picture: Draw, recording: str, out: list[Path], shown: Shown, given: dict[str, Any],
    output: Output,
) -> None:  # fmt: skip
    """Draw a picture, write it to each path, and tell the paths."""
    from trainviz.recordings.opening import open_recording
    from trainviz.rendering.writers import save_figure

    first, *others = out
    figure = picture(open_recording(recording), shown, given, first)
    for path in out:
        if path in others:
            save_figure(figure, path)
        output.tell(str(path), path=path, bytes=path.stat().st_size)


def _film(recording: Recording, shown: Shown, given: dict[str, Any], leave: str = "") -> Animation:
    from trainviz.rendering.animation import animate

    return animate(recording, mode=mode_of(shown, recording), **_picked(given, _LOOK - {leave}))


def _still(recording: Recording, shown: Shown, given: dict[str, Any], path: Path) -> Any:
    return _film(recording, shown, given).still(path, **_picked(given, {"epoch"}))


def _filmstrip(recording: Recording, shown: Shown, given: dict[str, Any], path: Path) -> Any:
    # figsize is the size of the whole filmstrip, not of a panel.
    film = _film(recording, shown, given, leave="figsize")
    return film.filmstrip(path, **_picked(given, {"epochs", "columns", "figsize"}))


def _panels(recording: Recording, shown: Shown, given: dict[str, Any], path: Path) -> Any:
    from trainviz.modes import Probability
    from trainviz.rendering.animation import animate

    # panels() makes a mode for each class, so this one is not shown; class 0 always exists.
    film = animate(recording, mode=Probability(0), **_picked(given, _LOOK - {"figsize"}))
    chosen = _picked(given, {"epoch", "columns", "figsize"}) | _picked(shown.given(), {"levels"})
    if "classes" in given:
        chosen["classes"] = [class_of(each, recording, "--classes") for each in given["classes"]]
    return film.panels(path, **chosen)


def _dynamics(recording: Recording, shown: Shown, given: dict[str, Any], path: Path) -> Any:
    from trainviz.analysis.dynamics import dynamics

    return dynamics(recording).still(path, **_picked(given, _TAKES["dynamics"]))


def _picked(given: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in names}


_DRAW: dict[str, Draw] = {
    "still": _still, "filmstrip": _filmstrip, "panels": _panels, "dynamics": _dynamics,
}  # fmt: skip
