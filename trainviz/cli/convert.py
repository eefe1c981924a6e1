"""The command ``trainviz convert``."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from typer import Argument, Option

from trainviz.cli.command import command
from trainviz.cli.options import Output, RecordingPath, Selection, open_selected

__all__ = ["convert"]


@command(
    "Keep and hand on recordings",
    "convert runs/a.zarr a.zarr.zip",
    "convert runs/a.zarr small.zarr --every 10 --epochs 0:500",
    "convert a.zarr.zip s3://bucket/a.zarr --json",
)
def convert(
    recording: RecordingPath,
    target: Annotated[
        str, Argument(metavar="TARGET", help="A folder, a .zarr.zip, or an address that is free.")
    ],
    selection: Selection,
    output: Output,
    precision: Annotated[
        Literal["float16", "float32"] | None,
        Option(help="In which maps are stored; default: as in RECORDING."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace a recording at TARGET.")
    ] = False,
) -> None:
    """Write a recording in another form: folder or single file, newer format, fewer snapshots."""
    from trainviz.recordings.opening import open_recording
    from trainviz.recordings.zarr_store.places import ZipPlace, place_of
    from trainviz.recordings.zarr_store.reader import DiskReader

    opened = open_selected(recording, selection)
    maps = DiskReader.at(place_of(recording)).contents.probabilities
    kept: Any = precision or (maps.precision if maps else "float16")
    with output.progress():
        opened.save(target, overwrite=overwrite, precision=kept)
    place = place_of(target)
    is_file = isinstance(place, ZipPlace)
    size = os.path.getsize(target) if is_file else sum(size for _, size in place.sizes())
    output.tell(
        f"{target}: {open_recording(target)!r}, {size / 1e6:.3g} MB",
        path=target, snapshots=len(opened), precision=kept, bytes=size,
    )  # fmt: skip
