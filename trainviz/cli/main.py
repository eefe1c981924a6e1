"""The command line: ``trainviz demo``, ``render``, ``still``, ``serve`` and others."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence

from trainviz.cli.compare import add_compare
from trainviz.cli.demo import add_demo
from trainviz.cli.info import add_info
from trainviz.cli.parsing import UsageError
from trainviz.cli.render import add_render
from trainviz.cli.replay import add_replay
from trainviz.cli.serve import add_serve
from trainviz.cli.still import add_still
from trainviz.errors import TrainvizError
from trainviz.version import __version__

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
        The exit status: 0 for success, 1 for an error, 130 if interrupted.

    Raises
    ------
    SystemExit
        With 2 for an invalid command line, with 0 after ``--help``.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return run(options)
    except UsageError as error:
        options.parser.error(str(error))
    except (ImportError, OSError, ValueError, TrainvizError) as error:
        print(f"trainviz: {error}", file=sys.stderr)
    except MemoryError:
        print(
            "trainviz: out of memory: make the picture smaller (--figsize, --dpi)", file=sys.stderr
        )
    except KeyboardInterrupt:
        print("trainviz: interrupted", file=sys.stderr)
        return 130
    return 1


def _warn(message: Warning | str, *details: object, **more: object) -> None:
    """Print a warning without its file name and line number."""
    print(f"trainviz: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainviz", description="Watch a classifier learn.",
        epilog="'trainviz COMMAND --help' has the options of each, and an example.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"trainviz {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for add_command in (
        add_demo,
        add_render,
        add_still,
        add_compare,
        add_info,
        add_replay,
        add_serve,
    ):
        add_command(commands)
    return parser
