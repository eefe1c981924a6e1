"""The command line: ``trainviz demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainviz import __version__
from trainviz.errors import TrainvizError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        The exit status.
    """
    options = _parser().parse_args(arguments)
    from trainviz.demo import run_demo

    try:
        run_demo(options.out, options.epochs, options.seed, options.backend)
    except (ImportError, OSError, ValueError, TrainvizError) as error:
        print(f"trainviz: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainviz", description="Watch a classifier learn.")
    parser.add_argument("--version", action="version", version=f"trainviz {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="train a small classifier, record it, and write films and pictures"
    )
    demo.add_argument(
        "--out", type=Path, default=Path("trainviz-demo"), metavar="FOLDER",
        help="where to write (default: %(default)s)",
    )  # fmt: skip
    demo.add_argument("--epochs", type=_positive, default=500, help="default: %(default)s")
    demo.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    demo.add_argument(
        "--backend", choices=("torch", "sklearn"),
        help="what trains the classifier (default: torch if it is installed)",
    )  # fmt: skip
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
