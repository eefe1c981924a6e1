"""The command line: ``trainviz demo``, ``trainviz info`` and ``trainviz replay``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from trainviz import __version__
from trainviz.errors import TrainvizError
from trainviz.replay_command import add_replay

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
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (ImportError, OSError, ValueError, TrainvizError) as error:
        print(f"trainviz: {error}", file=sys.stderr)
        return 1


def _demo(options: argparse.Namespace) -> int:
    from trainviz.demo import run_demo

    run_demo(options.out, options.epochs, options.seed, options.backend)
    return 0


def _info(options: argparse.Namespace) -> int:
    from trainviz.disk.inspection import inspect

    report = inspect(options.path)
    print("\n".join(report.lines))
    for problem in report.problems:
        print(f"trainviz: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


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
    demo.set_defaults(run=_demo)
    info = commands.add_parser("info", help="say what is in a recording, and whether it is whole")
    info.add_argument("path", metavar="PATH", help="a folder, a .zarr.zip, or an address")
    info.set_defaults(run=_info)
    add_replay(commands)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
