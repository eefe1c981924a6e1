"""Hands pictures and numbers to a tracker on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, Full, Queue

__all__ = ["PATIENCE", "Delivery"]

PATIENCE = 10.0
"""For so many seconds may one call last until nobody waits for it any longer."""

_WAITING = 64
"""So many calls may wait for a slow tracker; further ones are dropped."""

_LINGER = 2.0
"""Seconds after which an idle thread ends; the next call starts another one."""


class Delivery:
    """Calls a tracker on another thread, in order, and never makes the caller wait for long.

    The thread is a daemon, so that a tracker that hangs does not keep the
    interpreter from ending.

    Parameters
    ----------
    name : str
        The tracker's, for the message.

    Attributes
    ----------
    failure : str or None
        What went wrong first.
    is_lost : bool
        Whether the tracker has failed or hangs, so that it is called no more.

    Examples
    --------
    >>> told, delivery = [], Delivery("a list")
    >>> for step in range(3):
    ...     delivery.send(lambda step=step: told.append(step))
    >>> delivery.wait()
    >>> told, delivery.failure
    ([0, 1, 2], None)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: str | None = None
        self._calls: Queue[Callable[[], None]] = Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.is_lost = False
        self._progress = time.monotonic()

    def send(self, call: Callable[[], None], *, wait: bool = False) -> None:
        """Queue a call; drop it if the queue is full, or the tracker has failed before.

        With ``wait``, room in the queue is waited for, as long as the tracker gets on.
        """
        while not self.is_lost:
            try:
                self._calls.put_nowait(call)
            except Full:
                if not wait:
                    self._fail("it is too slow, and what it cannot take is dropped")
                    return
                if self._hangs():
                    return
                time.sleep(0.01)
            else:
                self._start()
                return

    def wait(self) -> None:
        """Wait until all is delivered; give up if one call lasts too long."""
        self._start()
        while self._calls.unfinished_tasks and not self.is_lost and not self._hangs():
            time.sleep(0.005)

    def _hangs(self) -> bool:
        """Give up, and return True, if the call that is being made lasts too long."""
        if time.monotonic() - self._progress < PATIENCE:
            return False
        self._give_up(f"it has not answered for {PATIENCE:g} seconds")
        return True

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and self._calls.unfinished_tasks and not self.is_lost:
                # While it was idle nobody waited.
                self._progress = time.monotonic()
                self._thread = threading.Thread(
                    target=self._work, name="trainviz-tracker", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=_LINGER)
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._thread = None
                        return
                continue
            try:
                if not self.is_lost:
                    call()
            except Exception as error:
                # A tracker that has failed is left alone: its time-outs may take minutes each.
                self._give_up(f"{type(error).__name__}: {error}")
            finally:
                self._progress = time.monotonic()
                self._calls.task_done()

    def _give_up(self, reason: str) -> None:
        self.is_lost = True
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = reason
