"""The command ``trainviz info``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from trainviz.cli.parsing import new_parser

__all__ = ["add_info"]


def add_info(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "info", usage="RECORDING",
        about="say what is in a recording, and whether it is whole",
        example="trainviz info runs/a.zarr",
    )  # fmt: skip
    parser.add_argument("path", metavar="RECORDING", help="a folder, a .zarr.zip, or an address")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from trainviz.recordings.zarr_store.inspection import inspect

    report = inspect(options.path)
    print("\n".join(report.lines))
    for problem in report.problems:
        print(f"trainviz: {problem}", file=sys.stderr)
    return 1 if report.problems else 0
