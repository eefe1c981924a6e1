"""Which process made a file, and whether it still runs."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["hidden", "identity", "is_dead", "is_this_process", "mark", "mark_of_dead"]

_MACHINE = ("host", "boot", "pid_namespace")


def identity() -> dict[str, Any]:
    """Return what tells this process from all others, of any host and container.

    Returns
    -------
    dict
        ``pid``; ``host``; ``boot``, the id of the system's start; ``pid_namespace``,
        in which ``pid`` counts; ``started``, when the process was started. The last
        three are None where there is no ``/proc``.

    Examples
    --------
    >>> is_this_process(identity()), is_dead(identity())
    (True, False)
    """
    return {"pid": os.getpid(), **_machine(), "started": _start_of(os.getpid())}


def is_this_process(other: Mapping[str, Any]) -> bool:
    """Return whether an :func:`identity` is that of this process."""
    own = identity()
    return all(other.get(name) == own[name] for name in own)


def is_dead(other: Mapping[str, Any]) -> bool:
    """Return whether the process of an :func:`identity` has ended, as far as can be known.

    A process of another host, boot or container counts as running: its number
    means nothing here.
    """
    pid, own = other.get("pid"), _machine()
    if any(other.get(name) != own[name] for name in _MACHINE):
        return False
    if not isinstance(pid, int) or pid < 1 or os.name != "posix":
        return False  # On Windows os.kill(pid, 0) can end the process.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    # The number may belong to another process by now.
    return other.get("started") is not None and other["started"] != _start_of(pid)


def mark() -> str:
    """Return this process's :func:`identity` for the name of a temporary file or folder.

    Examples
    --------
    >>> mark_of_dead(f".film.{mark()}.mp4")
    False
    """
    own = identity()
    return f"{_digest()}-{own['pid']}-{own['started'] or 0}"


def hidden(name: str) -> str:
    """Return the beginning of a hidden name for what becomes a file of this name.

    Examples
    --------
    >>> hidden("film"), len(hidden(250 * "f"))
    ('.film', 25)
    """
    encoded = os.fsencode(name)
    # File systems allow 255 bytes, and the mark of a process is to follow.
    return "." + (name if len(encoded) <= 120 else hashlib.sha256(encoded).hexdigest()[:24])


def mark_of_dead(name: str) -> bool:
    """Return whether a name holds the :func:`mark` of a process that has ended."""
    found = re.search(rf"\.{_digest()}-(\d+)-(\d+)\.", name)
    if found is None:
        return False
    number, started = found.groups()
    return is_dead(
        {**_machine(), "pid": int(number), "started": None if started == "0" else started}
    )


def _digest() -> str:
    """Return a short name of the host, boot and namespace in which process numbers are unique."""
    text = "\0".join(str(_machine()[name]) for name in _MACHINE)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@functools.cache
def _machine() -> dict[str, str | None]:
    return {
        "host": socket.gethostname(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "pid_namespace": _link("/proc/self/ns/pid"),
    }


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError):
        return None


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    """Return when a process started, or None if it does not run or there is no /proc."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The program's name, in parentheses, may itself contain spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
