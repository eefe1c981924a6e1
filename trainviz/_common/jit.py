"""Loops that Numba compiles to machine code, where it is installed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

__all__ = ["available", "compiled", "ready"]


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


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep what came of it on the disk.

    It holds no interpreter lock while it runs. Call it only where
    :func:`available` says that it can be. It may call other compiled functions.

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

    def machine(kept: bool = True) -> Callable[..., Any]:
        if not made or not kept:
            made[:] = [_compile(cast(FunctionType, function), kept)]
        return made[0]

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        try:
            return machine()(*args)
        except OSError:  # of the disk, which has no room: loops know no such thing
            return machine(kept=False)(*args)

    call._machine = machine  # type: ignore[attr-defined]
    return call


def ready(values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return an array of the one kind that loops are compiled for; a copy if it is of another.

    Numba compiles anew for an array that may not be written, or lies otherwise.

    Parameters
    ----------
    values : array-like
    dtype : dtype, default float32

    Returns
    -------
    ndarray
        Writable and C-contiguous.

    Examples
    --------
    >>> ready(np.eye(2).T).flags.c_contiguous
    True
    """
    return np.require(values, dtype, ("C", "W"))


def _compile(function: FunctionType, kept: bool) -> Callable[..., Any]:
    import numba

    # Numba knows its own functions, and not those that are still to be compiled.
    known = dict(function.__globals__)
    for name in function.__code__.co_names:
        if hasattr(known.get(name), "_machine"):
            known[name] = known[name]._machine(kept)
    own = FunctionType(function.__code__, known, function.__name__, function.__defaults__)
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    # What is called in a loop over pixels costs more to call than to do.
    options = {"nogil": True, "error_model": "numpy", "forceinline": True}
    compiler = functools.partial(numba.njit, **options)
    made: Callable[..., Any]
    try:
        made = compiler(cache=kept)(own)
    except RuntimeError:  # nowhere to keep it: a source that is no file
        made = compiler()(own)
    return made
