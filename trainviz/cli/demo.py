"""The command ``trainviz demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from trainviz.cli.command import command
from trainviz.cli.options import Quiet

__all__ = ["demo"]


@command("Start here", "demo", "demo --epochs 200 --out demo")
def demo(
    quiet: Quiet,
    out: Annotated[Path, Option(metavar="FOLDER", help="Where to write.")] = Path("trainviz-demo"),
    epochs: Annotated[int, Option(min=1, metavar="N", help="How long to train.")] = 500,
    seed: Annotated[
        int, Option(min=0, max=2**32 - 1, metavar="N", help="Of weights, data and batches.")
    ] = 0,
    backend: Annotated[
        Literal["torch", "sklearn"] | None,
        Option(help="What trains the classifier; default: torch if it is installed."),
    ] = None,
) -> None:
    """Train a small classifier, record it, and write films and pictures."""
    from trainviz.demo import run_demo

    with quiet.progress():
        run_demo(out, epochs, seed, backend)
