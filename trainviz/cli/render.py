"""The command ``trainviz render``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainviz.cli.options import (
    LOOK,
    TIME,
    add_look,
    add_mode,
    add_selection,
    add_time,
    mode_of,
    open_selected,
    picked,
)
from trainviz.cli.parsing import UsageError, film_path, new_parser

if TYPE_CHECKING:
    from trainviz.rendering.film import Film

__all__ = ["add_render", "require_gif", "save_film"]


def add_render(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "render", usage="RECORDING -o FILE [-o FILE ...] [options]",
        about="make a film of a recording",
        example="trainviz render runs/a.zarr -o film.mp4 --mode entropy --interpolate 4",
    )  # fmt: skip
    parser.add_argument(
        "recording", metavar="RECORDING", help="a folder, a .zarr.zip, or an address"
    )
    parser.add_argument(
        "-o", "--out", type=film_path, action="append", required=True, metavar="FILE",
        help="ends in .mp4 .webm .gif .apng .webp or .html; may be given several times",
    )  # fmt: skip
    for add_group in (add_mode, add_time, add_selection, add_look):
        add_group(parser)
    parser.set_defaults(run=_run)


def save_film(film: Film, path: Path, options: argparse.Namespace) -> None:
    """Write a film, and print its path, frames and duration."""
    # Of several files, those of other formats have no such limit.
    limit = picked(options, ["max_bytes"]) if path.suffix.lower() == ".gif" else {}
    film.save(path, jobs=options.jobs, **limit)
    print(f"{path}: {len(film)} frames, {film.duration:.1f} s")


def require_gif(options: argparse.Namespace) -> None:
    """Refuse a largest size where no file can have one."""
    if "max_bytes" in options and not any(each.suffix.lower() == ".gif" for each in options.out):
        raise UsageError("--max-bytes is for a GIF: give -o FILE.gif")


def _run(options: argparse.Namespace) -> int:
    from trainviz.rendering.animation import animate

    require_gif(options)
    recording = open_selected(options.recording, options)
    mode = mode_of(options, recording)
    film = animate(recording, mode=mode, **picked(options, (*TIME, *LOOK)))
    for path in options.out:
        save_film(film, path, options)
    return 0
