"""The lock file that allows one writer per recording and names its holder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from typing import Any

from trainviz._common.process import identity, is_dead, is_this_process
from trainviz.errors import RecordingError
from trainviz.recordings.zarr_store.places import Place

__all__ = ["LOCK", "Lock", "is_held"]

LOCK = "x/.lock"
"""The lock file: inside an array, because Zarr would list an unknown file in a group."""

_LIMIT = 4096


class Lock:
    """An exclusive lock for writing to a place, held as long as the lock file names it.

    The lock of a dead process is taken over, and so is one of this process (if
    a notebook cell is run again); the older holder then fails at its next
    write. Forked children and pickled copies do not hold the lock.

    Parameters
    ----------
    place : Place

    Raises
    ------
    RecordingError
        If another process holds it; the message names process and host.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from trainviz.recordings.zarr_store.places import FolderPlace
    >>> place = FolderPlace(Path(tempfile.mkdtemp()))
    >>> first, second = Lock(place), Lock(place)
    >>> first.check()
    Traceback (most recent call last):
        ...
    trainviz.errors.RecordingError: ... was taken over by a newer recorder of this process...
    >>> second.release()
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._pid = os.getpid()
        self._payload = json.dumps({**identity(), "token": secrets.token_hex(8)}).encode()
        self._acquire()

    def check(self) -> None:
        """Raise a :class:`RecordingError` if this object no longer holds the lock."""
        where = self._place.describe()
        if os.getpid() != self._pid:
            raise RecordingError(
                f"{where} is written by the process {self._pid}, and this is a fork of it: only "
                "the process that opened a recording may write to it"
            )
        found = self._place.read(LOCK, _LIMIT)
        if found == self._payload:
            return
        if found is None:
            raise RecordingError(f"{where} was removed or unlocked while it was being recorded")
        holder = _holder(found)
        who = (
            "a newer recorder of this process"
            if is_this_process(holder)
            else f"the process {holder.get('pid')} on {holder.get('host')}"
        )
        raise RecordingError(
            f"{where} was taken over by {who}: this recorder can write to it no more"
        )

    def release(self) -> None:
        """Delete the lock file, if this object still holds the lock."""
        if os.getpid() != self._pid:
            return
        # A lock file that stays counts as stale once this process has ended.
        with contextlib.suppress(Exception):
            if self._place.read(LOCK, _LIMIT) == self._payload:
                self._place.delete(LOCK)

    def _acquire(self) -> None:
        for _ in range(8):
            if self._place.create(LOCK, self._payload):
                return
            found = self._place.read(LOCK, _LIMIT)
            if found is None:
                continue
            holder = _holder(found)
            if not is_this_process(holder) and not is_dead(holder):
                raise RecordingError(
                    f"{self._place.describe()} is being recorded by the process "
                    f"{holder.get('pid')} on {holder.get('host')}: record to another path, or end "
                    f"that process first (if it is gone, delete {self._place.describe(LOCK)})"
                )
            self._set_aside(found)
        raise RecordingError(f"{self._place.describe(LOCK)} could not be taken: others want it too")

    def _set_aside(self, seen: bytes) -> None:
        aside = f"{LOCK}-{secrets.token_hex(4)}"
        try:
            self._place.move(LOCK, aside)
        except FileNotFoundError:
            return
        moved = self._place.read(aside, _LIMIT)
        if moved is not None and moved != seen:
            # Another process took over the stale lock first: restore that process's lock.
            self._place.create(LOCK, moved)
        self._place.delete(aside)


def is_held(place: Place) -> bool:
    """Return whether a process that runs, as far as can be known, holds the lock of a place."""
    found = place.read(LOCK, _LIMIT)
    return found is not None and not is_dead(_holder(found))


def _holder(payload: bytes) -> dict[str, Any]:
    try:
        holder = json.loads(payload)
    except ValueError:
        holder = None
    return holder if isinstance(holder, dict) else {}
