"""Progress bars: the one place that shows how far a long task is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from trainviz._common.terminal import clear_line, has_room_for_bar

__all__ = ["Advance", "Bar", "bars_by", "progress_bar"]

Advance = Callable[..., None]
"""``advance()`` after each part; ``advance(total)`` where the total becomes known on the way."""

Bar = Callable[[str, str, "int | None"], AbstractContextManager[Advance]]
"""``(name, unit, total)`` to a bar that is shown within the block."""

_bars: ContextVar[Bar | None] = ContextVar("trainviz_bars", default=None)


@contextmanager
def bars_by(bar: Bar) -> Iterator[None]:
    """Show all progress within the block by these bars, as the command line does."""
    token = _bars.set(bar)
    try:
        yield
    finally:
        _bars.reset(token)


def progress_bar(
    name: str, unit: str, total: int | None = None, *, shown: bool | None = None
) -> AbstractContextManager[Advance]:
    """Return a progress bar, which may show nothing.

    Parameters
    ----------
    name, unit : str
        What is being made, and what it is counted in.
    total : int, optional
    shown : bool, optional
        Default: if standard error is a terminal without bars of rich. Within
        :func:`bars_by` its bars decide.

    Examples
    --------
    >>> with progress_bar("film.mp4", "frame", 2, shown=False) as advance:
    ...     for _ in range(2):
    ...         advance()
    """
    bar = _bars.get()
    if bar is None:
        bar = _by_tqdm if (has_room_for_bar() if shown is None else shown) else _hidden
    return bar(name, unit, total)


def _hidden(name: str, unit: str, total: int | None) -> AbstractContextManager[Advance]:
    return nullcontext(lambda total=None: None)


@contextmanager
def _by_tqdm(name: str, unit: str, total: int | None) -> Iterator[Advance]:
    from tqdm.auto import tqdm

    clear_line()
    with tqdm(desc=name, unit=unit, total=total) as bar:

        def advance(total: int | None = None) -> None:
            if total is not None:
                bar.total = total
            bar.update()

        yield advance
