"""Stills as commands of the LaTeX package pgf, whose texts are set in the document's fonts.

matplotlib's pgf backend reads every text as LaTeX, and puts rasters into files beside its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainviz.errors import WriterError
from trainviz.rendering.figure.texts import for_tex

__all__ = ["save_pgf"]

_MATH = re.compile(r"(?<!\\)\$")


def save_pgf(figure: Any, target: Path) -> None:
    """Write a figure and the pictures that it holds, ``NAME-img0.png`` and so on.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    target : Path
        A file whose name ends in ``.pgf``.

    Raises
    ------
    WriterError
        If LaTeX, which measures the texts, is not installed or cannot set them.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".trainviz-") as folder:
        try:
            with _as_latex(figure):
                figure.savefig(
                    Path(folder) / target.name, dpi=figure.dpi, backend="pgf",
                    facecolor=figure.get_facecolor(),
                )  # fmt: skip
        except (RuntimeError, OSError, ValueError) as error:
            import matplotlib

            raise WriterError(
                f"{target.name}: {matplotlib.rcParams['pgf.texsystem']} could not measure the "
                f"texts ({error}); install LaTeX with pgf, set matplotlib's "
                "rcParams['pgf.texsystem'] to one that is installed, or write a .pdf"
            ) from error
        # The file that names the others comes last.
        for part in sorted(Path(folder).iterdir(), key=lambda path: path.name == target.name):
            os.replace(part, target.parent / part.name)


@contextmanager
def _as_latex(figure: Any) -> Iterator[None]:
    """Let the texts of a figure be LaTeX that shows what they are."""
    from matplotlib.text import Text

    texts = [(text, text.get_text()) for text in figure.findobj(Text) if not text.get_usetex()]
    ticks = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    kept = [axis.major.formatter for axis in ticks]
    try:
        for text, words in texts:
            text.set_text(_latex(words) if text.get_parse_math() else for_tex(words))
        for axis in ticks:
            labels = axis.get_majorticklabels()
            if labels and not labels[0].get_usetex():
                axis.major.formatter = _latex_formatter(
                    axis.major.formatter, _latex if labels[0].get_parse_math() else for_tex
                )
        yield
    finally:
        for axis, formatter in zip(ticks, kept, strict=True):
            axis.major.formatter = formatter
        for text, words in texts:
            text.set_text(words)


def _latex_formatter(own: Any, convert: Callable[[str], str]) -> Any:
    """Return a formatter of ticks that writes what another one does as LaTeX."""
    from matplotlib.ticker import Formatter

    class Converted(Formatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return convert(own(x, pos))

        def format_ticks(self, values: Any) -> list[str]:
            return [convert(words) for words in own.format_ticks(values)]

        def get_offset(self) -> str:
            return convert(own.get_offset())

    return Converted()


def _latex(words: str) -> str:
    """Return a text of matplotlib's mathtext as LaTeX: the same between dollar signs."""
    parts = _MATH.split(words)
    if len(parts) % 2 == 0:
        return for_tex(words)
    return "$".join(
        part if number % 2 else for_tex(part.replace(r"\$", "$"))
        for number, part in enumerate(parts)
    )
