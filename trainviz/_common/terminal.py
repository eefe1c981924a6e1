"""What is printed while a progress bar runs, so that no line of the bar is broken."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

__all__ = ["bar_begins", "bar_ends", "clear_line", "has_room_for_bar", "say", "warn"]


_line_bars: WeakSet[Any] = WeakSet()
"""What draws bars that cannot be asked whether they run, such as those of Keras."""


def bar_begins(owner: object) -> None:
    """Note that a bar of ``owner`` is drawn on the standard output from now on.

    Its unfinished line is cleared before something is printed; the bar draws it again.
    """
    _line_bars.add(owner)


def bar_ends(owner: object) -> None:
    """Note that no bar of ``owner`` is drawn any longer."""
    _line_bars.discard(owner)


def say(text: str) -> None:
    """Print a line to the standard output, between the lines of running progress bars.

    Examples
    --------
    >>> say("tv.Domain((0, 1), (0, 1), step=0.1)")
    tv.Domain((0, 1), (0, 1), step=0.1)
    """
    with _between_lines():
        if _is_rich(sys.stdout):
            # Rich would wrap the line, and colour what looks like code.
            from rich import get_console

            get_console().print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)
        else:
            print(text, flush=True)


def warn(
    message: str | Warning, category: type[Warning] | None = None, stacklevel: int = 1
) -> None:
    """Warn as ``warnings.warn`` does, between the lines of running progress bars.

    Examples
    --------
    >>> import pytest
    >>> with pytest.warns(UserWarning, match="late"):
    ...     warn("it is late")
    """
    with _between_lines():
        warnings.warn(message, category, stacklevel=stacklevel + 1)


def has_room_for_bar() -> bool:
    """Return whether standard error is a terminal on which no bar of rich is drawn.

    Beside one, each step of another bar would be a line of its own.
    """
    return _is_terminal(sys.stderr) and not _is_rich(sys.stderr)


def clear_line() -> None:
    """Clear the unfinished line of a bar that :func:`bar_begins` told of."""
    if _line_bars and _is_terminal(sys.stdout):
        sys.stdout.write("\r\x1b[2K")
        sys.stdout.flush()


@contextmanager
def _between_lines() -> Iterator[None]:
    clear_line()
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is None or not getattr(tqdm, "_instances", None):
        yield
        return
    # Clears the bars on both standard streams, and draws them again afterwards.
    with tqdm.external_write_mode(file=sys.stderr):
        yield


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def _is_rich(stream: Any) -> bool:
    """Return whether a running display of rich has replaced a standard stream."""
    proxy = getattr(sys.modules.get("rich.file_proxy"), "FileProxy", ())
    return isinstance(stream, proxy)
