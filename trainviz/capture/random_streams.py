"""The random streams that all libraries and threads of a process share."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from trainviz._common.terminal import warn
from trainviz.errors import CaptureWarning

__all__ = ["HostStreams", "RandomStreams", "ThreadClocks", "host_rng_preserved"]

_ATTEMPTS = 10
"""How often a model is asked again until no other thread was in the way."""

_IDLE = 0.01
"""Seconds in which other threads are watched, three times, if they were in the way each time."""


_PUT_AWAY = 1_000_000
"""Nanoseconds that the worker of a pool may take to put away a task that is done."""

_DRAW_NOTHING = (
    "trainviz", "tqdm_monitor",
    "IOPub", "Heartbeat", "Control", "Shell channel", "IPythonHistorySavingThread",
)  # fmt: skip
"""How the names of threads begin that draw nothing: our own (a model that draws is not called on
them), the monitor of tqdm's bars, and those of Jupyter, beside which many models train."""


class RandomStreams:
    """Random streams of a process, in which a model's own draws are undone, and no others.

    A stream's state is only written if the model itself draws from it when it
    is called. If a state has changed after the first call while other threads
    ran, the model is called again to find out whose draws they were.

    Attributes
    ----------
    name : str
        Whose streams these are, for messages.
    draws : bool or None
        Whether the model draws from them; None until it was found out.

    Notes
    -----
    A state can only be put back as a whole. If the model draws, what other
    threads drew from the same stream during the call is drawn again, of which
    one warning tells. Where other threads draw in each of the calls that are to
    find out, and without them too, the streams are left as they are. So they are
    if the model draws only once, at its first call, or only later, beside threads.
    """

    name = "the process"

    def __init__(self) -> None:
        self.draws: bool | None = None
        self._told = False

    def read(self) -> Any:
        """Return the states."""
        raise NotImplementedError

    def write(self, states: Any) -> None:
        """Set the states to what :meth:`read` has returned."""
        raise NotImplementedError

    def same(self, states: Any, others: Any) -> bool:
        """Return whether two results of :meth:`read` are equal."""
        raise NotImplementedError

    @contextmanager
    def preserved(self, again: Callable[[], object] | None = None) -> Iterator[None]:
        """Undo what the block, which calls the model, draws from the streams.

        Parameters
        ----------
        again : callable, optional
            Calls the model once more, with little to do. Without it, draws are
            undone unless a thread of Python ran beside the block.
        """
        # The clocks first, so that whoever draws after the reading is known to have run.
        clocks = ThreadClocks()
        before, completed = self.read(), False
        try:
            yield
            completed = True
        finally:
            if self.same(before, self.read()):
                if completed and self.draws is None:
                    self.draws = False
            else:
                beside = [thread.name for thread in clocks.others_ran()]
                if self._own(clocks, again if completed else None):
                    self.write(before)
                    if beside and again is not None:
                        self._tell(beside)

    def _own(self, clocks: ThreadClocks, again: Callable[[], object] | None) -> bool:
        """Return whether the draws were the block's."""
        if self.draws:
            return True
        if clocks.none_ran():
            # A model that drew once, because it imported something, need not do so again.
            self.draws = again is None or self._found_out(again)
            return True
        if again is None:
            return not clocks.others_ran()
        if self.draws is None:
            self.draws = self._found_out(again)
        return bool(self.draws)

    def _found_out(self, again: Callable[[], object]) -> bool:
        for _ in range(_ATTEMPTS):
            clocks = ThreadClocks()
            before = self.read()
            try:
                again()
            except Exception:
                return False  # Whatever a model has against so small a call, it is no capture's.
            if self.same(before, self.read()):
                return False
            if clocks.none_ran():
                return True
        for _ in range(3):
            before = self.read()
            time.sleep(_IDLE)
            if not self.same(before, self.read()):
                return False  # Others draw so often that the order of all draws is left to chance.
        return True

    def _tell(self, others: list[str]) -> None:
        if not self._told:
            self._told = True
            warn(
                f"the model draws from the random streams of {self.name} when it is called, and "
                f"other threads run ({', '.join(sorted(others))}). Each capture puts the streams "
                "back, so that training goes on as without it; what the other threads draw from "
                "them during a capture, they draw again afterwards. Give the model or the threads "
                "a generator of their own to avoid this",
                CaptureWarning,
                stacklevel=8,
            )


class HostStreams(RandomStreams):
    """The global random streams of Python and NumPy.

    Examples
    --------
    >>> streams, state = HostStreams(), random.getstate()
    >>> with streams.preserved():
    ...     _ = random.random()
    >>> random.getstate() == state
    True
    """

    name = "Python or numpy"

    def read(self) -> Any:
        """Return the states of both."""
        return random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002

    def write(self, states: Any) -> None:
        """Set the states of both."""
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002

    def same(self, states: Any, others: Any) -> bool:
        """Return whether both states are equal."""
        return bool(states[0] == others[0]) and _same(states[1], others[1])


class ThreadClocks:
    """The processor time that each thread of this process has used so far.

    Threads that are known to draw nothing are left out. Without Linux, any other
    thread of Python counts as running.

    Examples
    --------
    >>> clocks = ThreadClocks()
    >>> clocks.none_ran() in (True, False)  # it depends on what else runs
    True
    """

    def __init__(self) -> None:
        self._used = _processor_times()

    def none_ran(self) -> bool:
        """Return whether no other thread has run since, whether it runs Python or not."""
        own: set[int | None] = {threading.get_native_id()}
        own |= {thread.native_id for thread in threading.enumerate() if _draws_nothing(thread)}
        return not self._running() - own if self._used else not self.others_ran()

    def others_ran(self) -> list[threading.Thread]:
        """Return the other threads of Python that have run since and are still there.

        A worker of a pool that waits for a task, and ran for less than a millisecond, is
        left out: it has only put away its last task, e.g. one of Keras's callbacks.
        """
        now, here = _processor_times(), threading.current_thread()
        found = []
        for thread in threading.enumerate():
            task = thread.native_id or 0
            ran = now.get(task, 0) - self._used.get(task, 0)
            if thread is here or _draws_nothing(thread) or (self._used and not ran):
                continue
            if ran > _PUT_AWAY or not _waits_for_task(thread):
                found.append(thread)
        return found

    def _running(self) -> set[int | None]:
        now = _processor_times()
        return {task for task in {*now, *self._used} if now.get(task) != self._used.get(task)}


@contextmanager
def host_rng_preserved(again: Callable[[], object] | None = None) -> Iterator[HostStreams]:
    """Undo what the block draws from Python's and numpy's global random streams.

    Parameters
    ----------
    again : callable, optional
        As for :meth:`RandomStreams.preserved`.

    Yields
    ------
    HostStreams

    Examples
    --------
    >>> state = random.getstate()
    >>> with host_rng_preserved():
    ...     _ = random.random()
    >>> random.getstate() == state
    True
    """
    streams = HostStreams()
    with streams.preserved(again):
        yield streams


def _draws_nothing(thread: threading.Thread) -> bool:
    return thread.name.startswith(_DRAW_NOTHING)


def _waits_for_task(thread: threading.Thread) -> bool:
    """Return whether a thread is a worker of a pool that has nothing to do."""
    frame = sys._current_frames().get(thread.ident or 0)
    # What a task calls has frames of its own; waiting for one is not written in Python.
    return frame is not None and frame.f_globals.get("__name__") == "concurrent.futures.thread"


def _processor_times() -> Mapping[int, int]:
    """Return the nanoseconds that each thread has run, also those that run no Python."""
    times = {}
    try:
        tasks = os.listdir("/proc/self/task")
    except OSError:
        return {}
    for task in map(int, tasks):
        try:
            # How Linux encodes the clock of a thread: CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED.
            times[task] = time.clock_gettime_ns((~task << 3) | 6)
        except OSError:
            continue  # The thread has ended.
    return times


def _same(state: dict[str, Any], other: dict[str, Any]) -> bool:
    key, other_key = state["state"], other["state"]
    return (
        state["bit_generator"] == other["bit_generator"]
        and all(np.array_equal(key[name], other_key[name]) for name in key)
        and state.get("has_gauss") == other.get("has_gauss")
    )
