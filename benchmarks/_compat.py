"""Run the benchmarks on a trainviz whose recorders do not know every keyword yet."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from trainviz import Recorder

__all__ = ["known"]


def known(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """Keep the options that ``function`` takes.

    An adapter's ``**options`` are those of :class:`trainviz.Recorder`.
    """
    parameters = dict(inspect.signature(function).parameters)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        parameters |= inspect.signature(Recorder).parameters
    return {name: value for name, value in options.items() if name in parameters}
