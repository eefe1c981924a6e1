"""Timing in turns, and what becomes of it: ratios with their spread, beside their goals."""

from __future__ import annotations

import gc
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.scale import Scale

__all__ = ["CASES", "Case", "Goal", "Row", "Times", "case", "interleave"]

Action = Callable[[int], Any]
Statistic = Literal["median", "mean", "max"]

_GOAL = re.compile(r"(<=|>=) (\d+(?:\.\d+)?)(?:/(\d+))?(?: (%|MB))?")
_SUMMARIES: dict[str, Callable[[Iterable[float]], float]] = {
    "median": statistics.median, "mean": statistics.fmean, "max": max,
}  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A bound to reach, as the table of goals writes it.

    Examples
    --------
    >>> Goal("<= 1/10").reached(0.08), Goal(">= 12").reached(10), Goal("<= 4 %").reached(0.05)
    (True, False, False)
    """

    text: str

    def reached(self, value: float) -> bool:
        """Tell whether ``value`` (a share where the goal is in percent) keeps the bound."""
        match = _GOAL.fullmatch(self.text)
        if match is None:
            raise ValueError(f"goal {self.text!r}: expected e.g. '<= 1/10', '>= 12' or '<= 4 %'")
        relation, number, divisor, unit = match.groups()
        bound = float(number) / float(divisor or 1) / (100 if unit == "%" else 1)
        return value <= bound if relation == "<=" else value >= bound


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name : str
        ``case`` or ``case/part``.
    what, against : str
        The two sides of the ratio.
    samples : sequence of float
        The ratio of every pair.
    goal : str or None
    statistic : {"median", "mean", "max"}
        Which of the samples' figures the goal speaks of.
    unit : {"", "%", "MB"}
        Samples in percent are kept as shares.
    note : str
    times : mapping of str to list of float
        Seconds of either side, where it was time that was measured.
    """

    name: str
    what: str
    against: str
    samples: Sequence[float]
    goal: str | None = None
    statistic: Statistic = "median"
    unit: Literal["", "%", "MB"] = ""
    note: str = ""
    times: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The figure that the goal speaks of."""
        return _SUMMARIES[self.statistic](self.samples)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else Goal(self.goal).reached(self.value)

    def as_dict(self) -> dict[str, Any]:
        """Return everything there is to say, for JSON."""
        return {
            "name": self.name, "what": self.what, "against": self.against, "unit": self.unit,
            "statistic": self.statistic, "value": self.value,
            "median": statistics.median(self.samples), "mean": statistics.fmean(self.samples),
            "min": min(self.samples), "max": max(self.samples), "samples": list(self.samples),
            "goal": self.goal, "reached": self.reached, "note": self.note,
            "seconds": {name: list(values) for name, values in self.times.items()},
        }  # fmt: skip


class Times(dict[str, list[float]]):
    """Seconds of each action, one a round."""

    def ratio(self, above: str, below: str) -> list[float]:
        """Divide one action's seconds by another's, round by round."""
        return [a / b for a, b in zip(self[above], self[below], strict=True)]

    def speed(self, name: str, count: int) -> str:
        """Say how many of ``count`` things a second an action did."""
        return f"{name} {count / statistics.median(self[name]):.3g}/s"

    def typical(self, name: str) -> str:
        """Say how long an action took."""
        return f"{name} {1000 * statistics.median(self[name]):.3g} ms"


def interleave(
    actions: Mapping[str, Action],
    repeats: int,
    *,
    before: Callable[[str, int], Any] | None = None,
) -> Times:
    """Time actions in turn, every other round in the opposite order.

    What else the machine does then falls on all of them alike, and none profits
    from always coming after another.

    Parameters
    ----------
    actions : mapping of str to callable
        Each is given the number of the round.
    repeats : int
        Rounds.
    before : callable, optional
        Given the action's name and the round before each action, not timed.

    Returns
    -------
    Times
    """
    times = Times({name: [] for name in actions})
    for round_ in range(repeats):
        for name in list(actions) if round_ % 2 == 0 else reversed(actions):
            # The garbage of one is not to be collected in another's time; and before what makes
            # ready, as it leaves the processor's caches empty.
            gc.collect()
            if before is not None:
                before(name, round_)
            gc.disable()
            try:
                start = time.perf_counter()
                actions[name](round_)
                times[name].append(time.perf_counter() - start)
            finally:
                gc.enable()
    return times


@dataclass(frozen=True)
class Case:
    """Rows that are measured together."""

    name: str
    rows: Callable[[Scale], list[Row]]


CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Callable[[Scale], list[Row]]], Callable[[Scale], list[Row]]]:
    """Enter a function into the table of cases."""

    def enter(function: Callable[[Scale], list[Row]]) -> Callable[[Scale], list[Row]]:
        CASES[name] = Case(name, function)
        return function

    return enter
