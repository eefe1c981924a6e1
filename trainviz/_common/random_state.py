"""The global random streams of Python and NumPy, which all libraries of a process share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["HostStreams", "host_rng_preserved"]


@dataclass
class HostStreams:
    """Whether something drew from Python's or numpy's global random stream."""

    drawn: bool = False


@contextmanager
def host_rng_preserved() -> Iterator[HostStreams]:
    """Restore Python's and numpy's global random streams at the end of the block.

    Yields
    ------
    HostStreams
        Set when the block is left.

    Examples
    --------
    >>> with host_rng_preserved() as streams:
    ...     _ = random.random()
    >>> streams.drawn
    True
    """
    python_state, numpy_state = random.getstate(), _numpy_state()
    streams = HostStreams()
    try:
        yield streams
    finally:
        now = _numpy_state()
        streams.drawn = random.getstate() != python_state or not _same(now, numpy_state)
        if streams.drawn:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def _numpy_state() -> dict[str, Any]:
    state: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002
    return state


def _same(state: dict[str, Any], other: dict[str, Any]) -> bool:
    key, other_key = state["state"], other["state"]
    return (
        state["bit_generator"] == other["bit_generator"]
        and all(np.array_equal(key[name], other_key[name]) for name in key)
        and state.get("has_gauss") == other.get("has_gauss")
    )
