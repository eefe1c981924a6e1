"""Checks of arguments that several packages use."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["check_list", "check_number", "check_switch", "check_text", "check_whole", "is_positive"]


def is_positive(value: Any) -> bool:
    """Return whether an argument is a finite number above 0."""
    return isinstance(value, Real) and math.isfinite(value) and float(value) > 0


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Examples
    --------
    >>> check_switch("exact", "no")
    Traceback (most recent call last):
        ...
    TypeError: exact='no': expected True or False
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r}: expected True or False")


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Refuse what is no whole number between two.

    Examples
    --------
    >>> check_whole("loop", -1, 0, 65535)
    Traceback (most recent call last):
        ...
    ValueError: loop=-1: expected a whole number, 0 to 65535
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r}: expected a whole number, {least} to {most}")
    if not least <= value <= most:
        raise ValueError(f"{name}={value!r}: expected a whole number, {least} to {most}")


def check_number(name: str, value: Any, least: float, most: float) -> None:
    """Refuse what is no number between two.

    Examples
    --------
    >>> check_number("quality", 101, 0, 100)
    Traceback (most recent call last):
        ...
    ValueError: quality=101: expected a number, 0 to 100
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}: expected a number, {least} to {most}")
    if not least <= float(value) <= most:
        raise ValueError(f"{name}={value!r}: expected a number, {least} to {most}")


def check_text(name: str, value: Any) -> None:
    """Refuse what is no text.

    Examples
    --------
    >>> check_text("codec", 264)
    Traceback (most recent call last):
        ...
    TypeError: codec=264: expected a text
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected a text")


def check_list(name: str, values: Any, of: str) -> list[Any]:
    """Return values as a list; refuse what has no order, and a text, which is a single value.

    Examples
    --------
    >>> check_list("class_names", "ash", "names, one a class")
    Traceback (most recent call last):
        ...
    TypeError: class_names='ash': expected a list of names, one a class
    """
    if isinstance(values, (str, bytes, set, frozenset)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name}={values!r}: expected a list of {of}")
    return list(values)
