"""Loops that Numba compiles to machine code, each with an equivalent NumPy function.

Compiling takes seconds, for which training must not wait. A kernel is therefore
loaded from Numba's cache on disk. Until it is there, its NumPy reference is
called, while a separate process fills the cache. A kernel and its reference
return the same bits, so that results do not depend on when the kernel replaces
the reference. Only the references are used if Numba is missing or disabled
(``NUMBA_DISABLE_JIT=1``), or if its cache cannot be written
(``NUMBA_CACHE_DIR`` names another folder).
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.providers import PROVIDERS, provided

__all__ = ["POLICY", "Kernel", "Policy", "fill_cache", "inlined", "kernel", "kernels_of", "ready"]

Policy = Literal["cached", "compiled", "numpy"]

POLICY: Policy = "cached"
"""``"cached"`` never waits for the compiler; ``"compiled"`` compiles what is not in the cache at
the first call, for tests and measurements; ``"numpy"`` uses the references."""

_LOOK_AGAIN = 0.25
"""Seconds between two checks of the cache, while it is being filled."""


class Kernel:
    """A compiled loop, or its NumPy reference as long as the loop is not compiled.

    Parameters
    ----------
    function : callable
        Loops over arrays, in the subset of Python that Numba supports. It may
        call functions that are :func:`inlined`.
    signature : str
        The argument types in Numba's notation. Pass arrays through
        :func:`ready`.
    reference : callable
        Returns the same bits with NumPy.
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
        """Call the compiled loop or the reference."""
        return self.choice()(*args)

    def choice(self) -> Callable[..., Any]:
        """Return the function that a call would use now."""
        if POLICY == "numpy":
            return self.reference
        if self._compiled is None and (POLICY == "compiled" or time.monotonic() >= self._next_look):
            self._look()
        return self._compiled or self.reference

    def compile(self) -> None:
        """Load the loop from the cache, or wait while it compiles; without Numba, do nothing."""
        if self._made() is not None:
            self._dispatcher.compile(self._types())
            self._compiled = self._dispatcher

    def _look(self) -> None:
        if POLICY == "compiled" or self._is_cached():
            self.compile()
        # The cache is checked again after has_ended(), as it may have been filled in between.
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
        except Exception:  # An unfinished file, or one of another version of Numba.
            return False
        return found is not None

    def _types(self) -> Any:
        from numba.core.sigutils import normalize_signature

        return normalize_signature(self._signature)[0]

    def _made(self) -> Any:
        if self._dispatcher is None and _numba_works():
            try:
                self._dispatcher = _compiler(self._function, cache=True)
            except RuntimeError:  # Numba finds no writable folder for its cache.
                return None
        return self._dispatcher


def kernel(signature: str, reference: Callable[..., Any]) -> Callable[[Callable[..., Any]], Kernel]:
    """Return a decorator that makes a :class:`Kernel` of a function.

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


def kernels_of(module: Mapping[str, Any]) -> tuple[Kernel, ...]:
    """Return the kernels that a module defines, given its ``globals()``, in their order.

    Examples
    --------
    >>> @kernel("(float64,)", None)
    ... def loop(value):
    ...     return value
    >>> [each.__name__ for each in kernels_of({"__name__": __name__, "loop": loop, "other": 3})]
    ['loop']
    """
    return tuple(
        each for each in module.values()
        if isinstance(each, Kernel) and each.__module__ == module["__name__"]
    )  # fmt: skip


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function that kernels call, so that Numba inlines it: calls per pixel are costly.

    Examples
    --------
    >>> @inlined
    ... def half(value):
    ...     return value / 2
    """
    function._inlined = True  # type: ignore[attr-defined]
    return function


def ready(values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return an array with the dtype and memory layout of kernels; a copy only if needed.

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
    """Compile every kernel that is not in the cache, and wait until all are."""
    for name in PROVIDERS:
        if name.startswith("kernels."):
            for each in provided(name):
                each.compile()


class _Filling:
    """The child process that fills the cache; at most one is started."""

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
    # In a frozen program (PyInstaller), sys.executable is that program and no interpreter.
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
        os.nice(10)  # Training has priority.
    with _one_at_a_time():
        fill_cache()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold a file lock, because every rank of a distributed training starts such a process."""
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
        # Numba raises various exceptions for versions of NumPy or Python that it does not support.
        return False
    return not numba.config.DISABLE_JIT


@functools.cache
def _compiler(function: Callable[..., Any], cache: bool) -> Any:
    import numba

    assert isinstance(function, FunctionType)
    # Compiled code can call only compiled functions, so the inlined ones are replaced by those.
    known = dict(function.__globals__)
    for name in function.__code__.co_names:
        if hasattr(known.get(name), "_inlined"):
            known[name] = _compiler(known[name], cache=False)
    own = FunctionType(function.__code__, known, function.__name__, function.__defaults__)
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    if cache:
        # Numba compiles anew when the function's own file has changed, and knows of no other.
        contents = _contents(function.__code__, function.__globals__)
        own.__qualname__ += f"_{hashlib.sha256(contents.encode()).hexdigest()[:8]}"
    return numba.njit(nogil=True, error_model="numpy", forceinline=not cache, cache=cache)(own)


def _contents(code: CodeType, known: Mapping[str, Any]) -> str:
    """Return the instructions of a function, its constants and what it takes from its module."""
    parts = [code.co_code.hex()]
    for value in (*code.co_consts, *(known.get(name) for name in code.co_names)):
        if isinstance(value, CodeType):
            parts.append(_contents(value, known))
        elif isinstance(value, np.ndarray):
            parts.append(value.tobytes().hex())
        elif isinstance(value, (int, float, str, tuple, np.generic)):
            parts.append(repr(value))
        elif hasattr(value, "_inlined"):
            parts.append(_contents(value.__code__, value.__globals__))
    return " ".join(parts)
