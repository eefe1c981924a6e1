"""Keyword arguments that several functions share, with types and defaults written once.

A function takes them as ``**options: Unpack[...]`` of a ``TypedDict``, which
editors and type checkers understand. Its signature shows their defaults, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

__all__ = ["shows_defaults", "with_defaults"]

Function = TypeVar("Function", bound=Callable[..., Any])
Options = TypeVar("Options", bound=Mapping[str, Any])


def shows_defaults(
    defaults: Mapping[str, Any], *, complete: bool
) -> Callable[[Function], Function]:
    """Return a decorator that shows ``**`` options in a function's signature, for ``help``.

    Parameters
    ----------
    defaults : mapping of str to object
    complete : bool
        Whether these are all options; otherwise the signature keeps its ``**``.

    Examples
    --------
    >>> @shows_defaults({"every": 1}, complete=True)
    ... def record(model, **options): ...
    >>> str(inspect.signature(record))
    '(model, *, every=1)'
    """

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, others = signature.parameters.values()
        parameters = [
            *own,
            *(others.replace(name=name, kind=others.KEYWORD_ONLY, default=default,
                             annotation=others.empty) for name, default in defaults.items()),
            *([] if complete else [others]),
        ]  # fmt: skip
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return show


def with_defaults(options: Options, defaults: Options, function: str) -> Options:
    """Return the options, with defaults for those that were not given.

    Raises
    ------
    TypeError
        If one is unknown, with Python's own message for the named function.

    Examples
    --------
    >>> with_defaults({"every": 2}, {"every": 1, "at": None}, "Recorder")
    {'every': 2, 'at': None}
    """
    for name in options:
        if name not in defaults:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    return cast(Options, {**defaults, **options})
