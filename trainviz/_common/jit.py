"""Loops that Numba compiles to machine code, each beside a NumPy function that does the same.

Compiling takes seconds, and nobody's training waits for it. A kernel is loaded
from Numba's cache on the disk. While it is not there, its NumPy reference
serves, and one process of its own fills the cache. A kernel and its reference
return the same bits, so that it does not matter when the one takes over from
the other. NumPy serves for good where Numba is missing or turned off
(``NUMBA_DISABLE_JIT=1``), and where nothing can be kept on the disk
(``NUMBA_CACHE_DIR`` names another folder).
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.providers import PROVIDERS, provided

__all__ = ["POLICY", "Kernel", "Policy", "fill_cache", "inlined", "kernel", "ready"]

Policy = Literal["cached", "compiled", "numpy"]

POLICY: Policy = "cached"
"""``"cached"`` never waits for a compiler; ``"compiled"`` compiles at once what is not in the
cache, for tests and measurements; ``"numpy"`` takes the references."""

_LOOK_AGAIN = 0.25
"""Seconds from one look into the cache to the next, while it is being filled."""


class Kernel:
    """A compiled loop, or its NumPy reference: whichever can be had without waiting.

    Parameters
    ----------
    function : callable
        Loops over arrays, in the part of Python that Numba knows. It may call
        functions of its own module that are :func:`inlined`.
    signature : str
        The types of the arguments as Numba writes them. Arrays are those that
        :func:`ready` returns.
    reference : callable
        Does the same with NumPy, to the bit.
    """

    def __init__(
        self, function: Callable[..., Any], signature: str, reference: Callable[..., Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.reference = reference
        self._function, self._signature = function, signature
        self._compiled: Callable[..., Any] | None = None
        self._dispatcher: Any = None
        self._next_look = 0.0

    def __call__(self, *args: Any) -> Any:
        """Call the loop."""
        return self.choice()(*args)

    def choice(self) -> Callable[..., Any]:
        """Return what a call now would call."""
        if POLICY == "numpy":
            return self.reference
        if self._compiled is None and (POLICY == "compiled" or time.monotonic() >= self._next_look):
            self._look()
        return self._compiled or self.reference

    def compile(self) -> None:
        """Compile the loop, or load it, and wait for that; without Numba, do nothing."""
        if self._made() is not None:
            self._dispatcher.compile(self._types())
            self._compiled = self._dispatcher

    def _look(self) -> None:
        if POLICY == "compiled" or self._is_cached():
            self.compile()
        # Asked before the last look, the cache fills until after it.
        elif self._dispatcher is None or (_filling.has_ended() and not self._is_cached()):
            self._next_look = float("inf")
        else:
            self._next_look = time.monotonic() + _LOOK_AGAIN
            _filling.start()

    def _is_cached(self) -> bool:
        if self._made() is None:
            return False
        made = self._dispatcher
        try:
            found = made._cache.load_overload(self._types(), made.targetctx)
        except Exception:  # a file that was left unfinished, or comes from another version
            return False
        return found is not None

    def _types(self) -> Any:
        from numba.core.sigutils import normalize_signature

        return normalize_signature(self._signature)[0]

    def _made(self) -> Any:
        if self._dispatcher is None and _numba_works():
            try:
                self._dispatcher = _compiler(self._function, cache=True)
            except RuntimeError:  # nowhere to keep it
                return None
        return self._dispatcher


def kernel(signature: str, reference: Callable[..., Any]) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a :class:`Kernel` of a function.

    Examples
    --------
    >>> def total_by_numpy(values):
    ...     return np.add.accumulate(values)[-1]
    >>> @kernel("(float64[::1],)", total_by_numpy)
    ... def total(values):
    ...     result = 0.0
    ...     for value in values:
    ...         result += value
    ...     return result
    >>> float(total(np.arange(4.0)))
    6.0
    """
    return lambda function: Kernel(function, signature, reference)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function that kernels call: what is called for each pixel must cost no call.

    Examples
    --------
    >>> @inlined
    ... def half(value):
    ...     return value / 2
    """
    function._inlined = True  # type: ignore[attr-defined]
    return function


def ready(values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return an array of the one kind that kernels are compiled for; a copy if it is of another.

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


def fill_cache() -> None:
    """Compile every kernel that is not in the cache, and wait for that."""
    for name in PROVIDERS:
        if name.startswith("kernels."):
            for each in provided(name):
                each.compile()


class _Filling:
    """The process that fills the cache, one for each that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = False

    def start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                self._process = _start_process()

    def has_ended(self) -> bool:
        with self._lock:
            if not self._started:
                return False
            return self._process is None or self._process.poll() is not None


_filling = _Filling()


def _start_process() -> subprocess.Popen[bytes] | None:
    # In a program that was frozen to one file, this is that program and no interpreter.
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    command = "from trainviz._common.jit import _fill_cache_in_turn as fill; fill()"
    try:
        return subprocess.Popen(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None


def _fill_cache_in_turn() -> None:
    if hasattr(os, "nice"):
        os.nice(10)  # The training comes first.
    with _one_at_a_time():
        fill_cache()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for a process that does the same, as every rank of a training begins to."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = Path(provided("kernels.evaluation")[0]._made().stats.cache_path)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "compiling.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def _numba_works() -> bool:
    try:
        import numba
    except Exception:
        # It refuses what it does not know, a numpy or a Python, in several ways.
        return False
    return not numba.config.DISABLE_JIT


@functools.cache
def _compiler(function: Callable[..., Any], cache: bool) -> Any:
    import numba

    assert isinstance(function, FunctionType)
    # Numba knows its own functions, and not those that are still to be compiled.
    known = dict(function.__globals__)
    for name in function.__code__.co_names:
        if hasattr(known.get(name), "_inlined"):
            known[name] = _compiler(known[name], cache=False)
    own = FunctionType(function.__code__, known, function.__name__, function.__defaults__)
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    return numba.njit(nogil=True, error_model="numpy", forceinline=not cache, cache=cache)(own)
