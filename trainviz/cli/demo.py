"""The command ``trainviz demo``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainviz.cli.parsing import new_parser, positive

__all__ = ["add_demo"]


def add_demo(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "demo", usage="[options]",
        about="train a small classifier, record it, and write films and pictures",
        example="trainviz demo --epochs 200 --out demo",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "--out", type=Path, default=Path("trainviz-demo"), metavar="FOLDER",
        help="where to write (default: %(default)s)",
    )  # fmt: skip
    add("--epochs", type=positive, default=500, help="default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add(
        "--backend", choices=("torch", "sklearn"), default=None,
        help="what trains the classifier (default: torch if it is installed)",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from trainviz.demo import run_demo

    run_demo(options.out, options.epochs, options.seed, options.backend)
    return 0
