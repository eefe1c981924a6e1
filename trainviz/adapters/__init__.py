"""Thin adapters: a framework's model and hooks become calls of a recorder.

Each module imports its framework only when it is itself imported, and says
which extra to install when the framework is missing.
"""

from __future__ import annotations

__all__ = ["missing"]


def missing(framework: str, extra: str) -> str:
    """Say how to install a framework that an adapter needs."""
    return (
        f'this adapter needs {framework}, which is not installed: pip install "trainviz[{extra}]"'
    )
