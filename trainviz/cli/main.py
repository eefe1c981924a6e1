"""The command line: ``trainviz demo``, ``render``, ``still``, ``serve`` and others."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

# Importing a command registers it.
from trainviz.cli import (  # noqa: F401
    compare,
    convert,
    demo,
    export,
    info,
    kymograph,
    log,
    render,
    replay,
    serve,
    still,
)
from trainviz.cli.command import app
from trainviz.version import __version__

__all__ = ["main"]

_ORDER = (
    "demo", "render", "still", "filmstrip", "compare", "kymograph", "info", "serve", "replay",
    "convert", "export", "log",
)  # fmt: skip
app.registered_commands.sort(key=lambda each: _ORDER.index(each.name or ""))


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"trainviz {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 1 for an error, 2 for an invalid command
        line, 130 if interrupted.
    """
    try:
        try:
            app(arguments, prog_name="trainviz")
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not fail to flush it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    return status
