"""The command ``trainviz serve``."""

from __future__ import annotations

import argparse
from typing import Any

from trainviz.cli.parsing import new_parser

__all__ = ["add_serve"]


def add_serve(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "serve", usage="PATH [PATH ...] [--open] [--port N] [--host HOST]",
        about="show recordings in the browser, while they grow",
        example="trainviz serve runs/ --open",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "paths", nargs="+", metavar="PATH",
        help="a recording, or a folder of some; it need not be there yet",
    )  # fmt: skip
    add("--open", action="store_true", dest="open_browser", help="open the page in the browser")
    add(
        "--port", type=_port, metavar="N",
        help="default: 8642; if it is in use, the next free one is taken; 0 for any",
    )  # fmt: skip
    add(
        "--host",
        help="default: 127.0.0.1, for this machine alone; with another one, whoever knows the "
        "page's address with its token can look on, without encryption",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535, e.g. 8642")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from trainviz.player.server import serve

    given = vars(options)
    serve(
        options.paths,
        **{name: given[name] for name in ("host", "port", "open_browser") if name in given},
    )
    return 0
