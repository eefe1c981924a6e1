"""The command ``trainviz kymograph``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from trainviz.cli.command import command
from trainviz.cli.options import Basics, Output, Pictures, RecordingPath, Selection, open_selected

__all__ = ["kymograph"]


@command(
    "Make films and pictures",
    "kymograph runs/a.zarr -o borders.png",
    "kymograph runs/a.zarr -o borders.pdf --from -1 0 --to 1 0.5",
)
def kymograph(
    recording: RecordingPath,
    out: Pictures,
    selection: Selection,
    look: Basics,
    output: Output,
    start: Annotated[
        tuple[float, float] | None,
        Option("--from", metavar="X Y", help="Where the line begins; default: left, half way up."),
    ] = None,
    end: Annotated[
        tuple[float, float] | None,
        Option("--to", metavar="X Y", help="Where the line ends; default: right, half way up."),
    ] = None,
    points: Annotated[
        int, Option(min=2, max=10_000, metavar="N", help="Places along the line.")
    ] = 240,
) -> None:
    """Draw the classes along a line across the map, over the whole training."""
    from trainviz.analysis.kymograph import kymograph
    from trainviz.rendering.writers import save_figure

    opened = open_selected(recording, selection)
    x0, x1, y0, y1 = opened.domain.extent
    middle = (y0 + y1) / 2
    found = kymograph(opened, start or (x0, middle), end or (x1, middle), n_points=points)
    figure = found.still(**look.given())
    for path in out:
        save_figure(figure, path)
        output.tell(str(path), path=path, bytes=path.stat().st_size)
