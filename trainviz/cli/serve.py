"""The command ``trainviz serve``."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from trainviz.cli.command import command

__all__ = ["serve"]


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise BadParameter(f"{text!r} is no port; expected 0 to 65535, e.g. 8642")
    return int(text)


@command("Look", "serve runs/ --open", "serve runs/a.zarr runs/b.zarr --port 0")
def serve(
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH...", help="A recording, or a folder of some; it need not be there yet."
        ),
    ],
    open_browser: Annotated[
        bool, Option("--open", help="Open the page in the browser.")
    ] = False,
    port: Annotated[
        Any,
        Option(
            parser=_port, metavar="N",
            help="Default: 8642; if it is in use, the next free one is taken; 0 for any.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        Option(
            metavar="HOST",
            help="Default: 127.0.0.1, for this machine alone; with another one, whoever knows the "
            "page's address with its token can look on, without encryption.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Show recordings in the browser, while they grow."""
    from trainviz.player.server import serve

    given = {"port": port, "host": host}
    serve(
        paths, open_browser=open_browser,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
