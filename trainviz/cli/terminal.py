"""What is drawn on a terminal: progress bars, and a map in coloured half blocks. Internal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trainviz._common.progress import Advance, Bar

if TYPE_CHECKING:
    from trainviz._common.arrays import Image

__all__ = ["bar", "half_blocks"]


def bar(is_quiet: bool) -> Bar:
    """Return how progress is shown: by a bar on standard error, if that is a terminal."""
    is_hidden = is_quiet or sys.stderr is None or not sys.stderr.isatty()

    @contextmanager
    def shown(name: str, unit: str, total: int | None) -> Iterator[Advance]:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}", markup=False), progress.BarColumn(),
            progress.MofNCompleteColumn(), progress.TextColumn(f"{unit}s"),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
        )  # fmt: skip
        console = Console(stderr=True)
        with progress.Progress(*columns, console=console, disable=is_hidden) as bars:
            task = bars.add_task(name, total=total)

            def advance(total: int | None = None) -> None:
                bars.update(task, advance=1, total=total)

            yield advance

    return shown


def half_blocks(picture: Image) -> Any:
    """Draw a small picture with two pixels a character.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        Row 0 on top; ``h`` is even.

    Returns
    -------
    rich.text.Text
    """
    from rich.text import Text

    lines = []
    for upper, lower in zip(picture[::2], picture[1::2], strict=True):
        line = Text(end="")
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("\N{UPPER HALF BLOCK}", f"rgb({_rgb(above)}) on rgb({_rgb(below)})")
        lines.append(line)
    return Text("\n").join(lines)


def _rgb(color: list[int]) -> str:
    return ",".join(map(str, color))
