"""The command ``trainviz export``."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from trainviz.cli.command import command
from trainviz.cli.options import Output, RecordingPath, Selection, open_selected

__all__ = ["export"]


@command(
    "Keep and hand on recordings",
    "export runs/a.zarr maps.npz",
    "export runs/a.zarr dense.zarr --every 10",
    "export runs/a.zarr maps.nc --epochs :100",
)
def export(
    recording: RecordingPath,
    target: Annotated[
        str,
        Argument(
            metavar="TARGET",
            help="A folder .zarr, a file .npz or a file .nc that is not there yet.",
        ),
    ],
    selection: Selection,
    output: Output,
) -> None:
    """Write the whole maps as plain arrays, for NumPy, xarray or Zarr without trainviz."""
    from pathlib import Path

    opened = open_selected(recording, selection)
    with output.progress():
        opened.export(target)
    written = Path(target)
    size = sum(each.stat().st_size for each in (written, *written.rglob("*")) if each.is_file())
    output.tell(
        f"{target}: {len(opened)} maps, {size / 1e6:.3g} MB",
        path=target, snapshots=len(opened), bytes=size,
    )  # fmt: skip
