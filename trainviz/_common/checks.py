"""Checks of arguments that several packages use."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

__all__ = ["is_positive"]


def is_positive(value: Any) -> bool:
    """Return whether an argument is a finite number above 0."""
    return isinstance(value, Real) and math.isfinite(value) and float(value) > 0
