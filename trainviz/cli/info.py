"""The command ``trainviz info``."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from trainviz.cli.command import command, tell_problem
from trainviz.cli.options import RecordingPath

if TYPE_CHECKING:
    from trainviz.recordings.recording import Recording
    from trainviz.recordings.zarr_store.inspection import Report

__all__ = ["info"]

_COLUMNS, _ROWS = 36, 16
"""The largest map, in characters."""

_WIDE = 90
"""From so many characters on, the map is beside the table, not above it."""


@command("Look", "info runs/a.zarr", "info a.zarr.zip --json")
def info(
    recording: RecordingPath,
    json: Annotated[bool, Option("--json", help="As a JSON object.")] = False,
) -> int:
    """Say what is in a recording, and whether it is whole."""
    from trainviz.recordings.zarr_store.inspection import inspect

    report = inspect(recording)
    if json:
        print(json_format.dumps(report.facts))
    elif sys.stdout is not None and sys.stdout.isatty():
        _show(report, recording)
    else:
        print("\n".join([report.heading, *(f"  {name:9}  {text}" for name, text in report.rows)]))
    for problem in report.problems:
        tell_problem(problem)
    return 1 if report.problems else 0


def _show(report: Report, path: str) -> None:
    """Print a table on the terminal, and beside it the last map if there are colours."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    for name, text in report.rows:
        table.add_row(Text(name, "bold cyan"), Text(text))
    has_colors = console.color_system in ("truecolor", "256") and not console.no_color
    console.print(Text(report.heading, "bold"))
    if not has_colors or report.problems or not report.facts["snapshots"]:
        console.print(table)
        return
    from trainviz.recordings.opening import open_recording

    picture = _last_map(open_recording(path))
    if console.width < _WIDE:
        console.print(picture, table)
        return
    both = Table.grid(padding=(0, 3))
    both.add_row(picture, table)
    console.print(both)


def _last_map(recording: Recording) -> Any:
    from rich.console import Group

    from trainviz.cli.terminal import half_blocks
    from trainviz.modes import MODES
    from trainviz.modes.palettes import Palette
    from trainviz.rendering.resample import Resampler

    domain = recording.domain
    ratio = domain.ratio or 1.0
    columns = max(4, round(min(_COLUMNS, 2 * _ROWS * ratio)))
    rows = max(2, round(min(_ROWS, _COLUMNS / ratio / 2)))
    mode = MODES["values" if recording.output.has_value else "region"]()
    palette = Palette.of(recording.n_classes, repeat=True)
    bound = mode.bound(recording.n_classes, palette, recording=recording)
    resampled = Resampler(domain.shape, (2 * rows, columns), domain.bands)
    picture = half_blocks(bound.paint(resampled(recording[-1].probabilities)))
    return Group(picture, _legend(bound.legend(recording)[:8], columns))


def _legend(entries: Sequence[tuple[str, Any]], width: int) -> Any:
    """Return the names of the classes, each behind a square of its colour."""
    from rich.text import Text

    from trainviz.recordings.zarr_store.inspection import visible

    legend = Text()
    for name, color in entries:
        legend.append("\N{BLACK SQUARE} ", f"rgb({','.join(map(str, color.tolist()))})")
        legend.append(f"{visible(name)[: width - 4]}  ")
    return legend
