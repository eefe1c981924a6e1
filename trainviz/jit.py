"""Loops that Numba compiles to machine code, where it is installed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["available", "compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def available() -> bool:
    """Tell whether compiled loops can be used; ``NUMBA_DISABLE_JIT=1`` says no.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    try:
        import numba
    except Exception:
        # It refuses what it does not know, a numpy or a Python, in several ways.
        return False
    return not numba.config.DISABLE_JIT


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, and keep what came of it on the disk.

    It holds no interpreter lock while it runs. Call it only where
    :func:`available` says that it can be.

    Parameters
    ----------
    function : callable
        Loops over arrays, in the part of Python that Numba knows.

    Examples
    --------
    >>> @compiled
    ... def total(values):
    ...     result = 0.0
    ...     for value in values:
    ...         result += value
    ...     return result
    >>> import numpy as np
    >>> total(np.arange(4.0)) if available() else 6.0
    6.0
    """
    made: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not made:
            made.append(_compile(function))
        return made[0](*args)

    return call  # type: ignore[return-value]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    options = {"nogil": True, "error_model": "numpy"}
    try:
        made: Callable[..., Any] = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it: a source that is no file, a disk that is full
        made = numba.njit(**options)(function)
    return made
