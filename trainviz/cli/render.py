"""The command ``trainviz render``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainviz.cli.command import UsageError, command
from trainviz.cli.options import (
    Films,
    Look,
    Output,
    RecordingPath,
    Saving,
    Selection,
    Shown,
    Time,
    mode_of,
    open_selected,
)

if TYPE_CHECKING:
    from trainviz.rendering.film import Film

__all__ = ["render", "save_film"]


@command(
    "Make films and pictures",
    "render runs/a.zarr -o film.mp4",
    "render runs/a.zarr -o film.gif --interpolate 8 --pace by-change --max-bytes 2000000",
    "render runs/a.zarr -o film.mp4 --mode entropy --levels 0.2 0.5 --epochs 10:50 --dark",
)
def render(
    recording: RecordingPath,
    out: Films,
    shown: Shown,
    time: Time,
    selection: Selection,
    look: Look,
    saving: Saving,
    output: Output,
) -> None:
    """Make a film of a recording."""
    from trainviz.rendering.animation import animate

    require_gif(out, saving)
    opened = open_selected(recording, selection)
    film = animate(opened, mode=mode_of(shown, opened), **time.given(), **look.given())
    for path in out:
        save_film(film, path, saving, output)


def save_film(film: Film, path: Path, saving: Saving, output: Output) -> None:
    """Write a film, and tell its path, frames and duration."""
    limit: dict[str, Any] = {}
    # Of several files, those of other formats have no such limit.
    if saving.max_bytes and path.suffix.lower() == ".gif":
        limit["max_bytes"] = saving.max_bytes
    with output.progress():
        film.save(path, jobs=saving.jobs, **limit)
    output.tell(
        f"{path}: {len(film)} frames, {film.duration:.1f} s",
        path=path, frames=len(film), seconds=film.duration, bytes=path.stat().st_size,
    )  # fmt: skip


def require_gif(out: list[Path], saving: Saving) -> None:
    """Refuse a largest size where no file can have one."""
    if saving.max_bytes and not any(each.suffix.lower() == ".gif" for each in out):
        raise UsageError("--max-bytes is for a GIF: give -o FILE.gif")
