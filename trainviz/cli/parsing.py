"""Helpers that the parsers of the commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = [
    "UsageError",
    "bookmark",
    "epoch_span",
    "film_path",
    "mark",
    "new_parser",
    "picture_path",
    "positive",
    "shown_path",
]


class UsageError(ValueError):
    """The command line is invalid, such as for options that cannot be combined."""


def new_parser(
    commands: Any, name: str, *, usage: str, about: str, example: str
) -> argparse.ArgumentParser:
    """Add the parser of a command.

    Parameters
    ----------
    commands : argparse._SubParsersAction
    name, usage, about, example : str
        ``usage`` follows the name; argparse's own would list every option.

    Returns
    -------
    argparse.ArgumentParser
        Options that are not given are absent from its namespace, so that the
        defaults of the Python interface apply.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, usage=f"trainviz {name} {usage}", help=about, description=f"{_sentence(about)}.",
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS, allow_abbrev=False,
    )  # fmt: skip
    parser.set_defaults(parser=parser)
    return parser


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def bookmark(text: str) -> tuple[float, str]:
    """Parse ``EPOCH=NAME``, or an epoch alone.

    Examples
    --------
    >>> bookmark("10=settled"), bookmark("50")
    ((10.0, 'settled'), (50.0, ''))
    """
    return mark(text if "=" in text else f"{text}=")


def epoch_span(text: str) -> tuple[int | None, int | None]:
    """Parse ``A:B``, either of which may be left out.

    Examples
    --------
    >>> epoch_span("10:50"), epoch_span("10:")
    ((10, 50), (10, None))
    """
    first, colon, last = text.partition(":")
    if not colon or not all(part.isdecimal() or not part for part in (first, last)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of epochs; expected FIRST:LAST, e.g. 10:50, 10: or :50"
        )
    span = int(first) if first else None, int(last) if last else None
    if span[0] is not None and span[1] is not None and span[0] > span[1]:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins; expected FIRST:LAST")
    return span


def mark(text: str) -> tuple[float, str]:
    """Parse ``EPOCH=TEXT``.

    Examples
    --------
    >>> mark("120=lr / 10")
    (120.0, 'lr / 10')
    """
    epoch, is_given, told = text.partition("=")
    try:
        if is_given:
            return float(epoch), told
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: expected EPOCH=TEXT, e.g. 120='lr / 10'")


def film_path(text: str) -> Path:
    """Parse the path of a film."""
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    if Path(text).suffix.lower() in STILL_SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is a picture, which 'trainviz still' draws; a film ends in one of "
            f"{' '.join(FILM_SUFFIXES)}"
        )
    return _path(text, FILM_SUFFIXES)


def picture_path(text: str) -> Path:
    """Parse the path of a picture."""
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    if Path(text).suffix.lower() in FILM_SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is a film, which 'trainviz render' makes; a picture ends in one of "
            f"{' '.join(STILL_SUFFIXES)}"
        )
    return _path(text, STILL_SUFFIXES)


def shown_path(text: str) -> Path:
    """Parse the path of a film or a picture."""
    from trainviz.rendering.writers import FILM_SUFFIXES, STILL_SUFFIXES

    return _path(text, FILM_SUFFIXES + STILL_SUFFIXES)


def _path(text: str, suffixes: tuple[str, ...]) -> Path:
    from trainviz.rendering.writers import check_path

    try:
        return check_path(text, suffixes)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
