"""The command ``trainviz log``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from trainviz.cli.command import command
from trainviz.cli.options import (
    Look,
    Output,
    RecordingPath,
    Selection,
    Shown,
    mode_of,
    open_selected,
)

__all__ = ["log"]


def _stills(text: str) -> int | str:
    """Parse ``geometric``, ``none`` or a number of snapshots."""
    if text in ("geometric", "none"):
        return text
    if text.isdecimal() and int(text):
        return int(text)
    raise BadParameter(f"{text!r}: expected geometric, none, or a whole number of at least 1")


@command(
    "Keep and hand on recordings",
    "log runs/a.zarr logs/a",
    "log runs/a.zarr wandb --film mp4 --stills 10",
    "log runs/a.zarr mlflow --mode entropy --title 'Run a'",
)
def log(
    recording: RecordingPath,
    target: Annotated[
        str,
        Argument(
            metavar="TARGET",
            help="A folder for TensorBoard; or wandb or mlflow, for a new run there.",
        ),
    ],
    shown: Shown,
    selection: Selection,
    look: Look,
    output: Output,
    stills: Annotated[
        Any,
        Option(
            parser=_stills, metavar="K",
            help="Every K-th snapshot; none; or geometric: the first and those after 1, 2, 4, "
            "8, ... more.",
        ),
    ] = "geometric",
    film: Annotated[
        Literal["auto", "gif", "mp4", "none"],
        Option(help="The film's format; auto: what the tracker plays."),
    ] = "auto",
    no_page: Annotated[
        bool, Option("--no-page", help="Without the interactive page.")
    ] = False,
    by: Annotated[
        Literal["epoch", "step"] | None, Option(help="What the tracker counts as steps.")
    ] = None,
    name: Annotated[
        str, Option(metavar="TEXT", help="The first part of all names in the tracker.")
    ] = "trainviz",
) -> int:  # fmt: skip
    """Show a recording in TensorBoard, Weights & Biases or MLflow: pictures, film, page, curves."""
    from trainviz.trackers.targets import new_run
    from trainviz.trackers.tracker_log import log_to

    opened = open_selected(recording, selection)
    mode = mode_of(shown, opened)
    starts = target in ("wandb", "mlflow")
    with output.progress(), new_run(target) if starts else nullcontext(target) as run:
        logged = log_to(
            run, opened, stills=None if stills == "none" else stills,
            film=None if film == "none" else film, page=not no_page, by=by, name=name,
            mode=mode, **look.given(),
        )  # fmt: skip
    output.tell(f"{target}: {logged!r}", target=target, snapshots=len(opened))
    return 1 if logged.failures else 0
