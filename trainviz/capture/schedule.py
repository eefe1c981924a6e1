"""Which epochs and steps of a training run are captured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from trainviz._common.checks import check_switch, is_positive

__all__ = ["Schedule", "make_schedule"]


@dataclass(frozen=True)
class Schedule:
    """The epochs and steps at which a snapshot is captured.

    Epochs are counted as *completed* epochs: 0 is the model before its first
    step, 1 the model after the first pass over the data. Steps are completed
    optimisation steps. A snapshot is due when any of the conditions holds.

    Parameters
    ----------
    every : int, optional
        Every ``every``-th epoch. Default 1 when nothing else is given.
    every_n_steps : int, optional
        Every ``every_n_steps``-th optimisation step, within epochs too.
    at : iterable of int, optional
        These epochs.
    growth : float, optional
        A geometric schedule: each captured epoch (or step, see ``unit``) is
        about ``growth`` times the one before, because most happens early in
        training. See :meth:`geometric`.
    unit : {"epoch", "step"}, default "epoch"
        What ``growth`` counts.
    initial : bool, default True
        Capture the state before the first step.
    final : bool, default True
        Capture the state at the end of training, due or not.

    Raises
    ------
    ValueError
        If ``every`` or ``every_n_steps`` is below 1, ``at`` is empty or holds
        a negative epoch, ``growth`` is not above 1, or ``unit`` is unknown.
    TypeError
        If one of the counts is no integer.

    Examples
    --------
    >>> schedule = Schedule(every=10)
    >>> [epoch for epoch in range(31) if schedule.due_epoch(epoch)]
    [0, 10, 20, 30]
    >>> [epoch for epoch in range(60) if Schedule.geometric(growth=2).due_epoch(epoch)]
    [0, 1, 2, 4, 8, 16, 32]
    """

    every: int | None = None
    every_n_steps: int | None = None
    at: frozenset[int] | None = None
    growth: float | None = None
    unit: Literal["epoch", "step"] = "epoch"
    initial: bool = True
    final: bool = True

    def __post_init__(self) -> None:
        check_switch("initial", self.initial)
        check_switch("final", self.final)
        _check_count("every", self.every)
        _check_count("every_n_steps", self.every_n_steps)
        if self.at is not None:
            object.__setattr__(self, "at", _check_epochs(self.at))
        if self.growth is not None and not (is_positive(self.growth) and self.growth > 1):
            raise ValueError(
                f"growth={self.growth!r}: each capture of a geometric schedule comes growth times "
                "later than the one before, so growth must be a finite number above 1, e.g. 1.25"
            )
        if self.unit not in ("epoch", "step"):
            raise ValueError(f"unit={self.unit!r}: a schedule counts in 'epoch' or 'step'")
        if self.every is None and not self.counts_steps and self.at is None and not self.growth:
            object.__setattr__(self, "every", 1)

    @classmethod
    def geometric(
        cls,
        growth: float = 1.25,
        *,
        unit: Literal["epoch", "step"] = "epoch",
        initial: bool = True,
        final: bool = True,
    ) -> Schedule:
        """Return a schedule whose captures become rarer by a constant ratio.

        Parameters
        ----------
        growth : float, default 1.25
            The ratio of one captured epoch to the one before; at first, where
            they would be less than one epoch apart, every epoch is captured.
        unit : {"epoch", "step"}, default "epoch"
            What is counted.
        initial, final : bool, default True
            As for :class:`Schedule`.

        Returns
        -------
        Schedule

        Examples
        --------
        >>> early = Schedule.geometric(1.5)
        >>> [epoch for epoch in range(1, 40) if early.due_epoch(epoch)]
        [1, 2, 3, 5, 8, 12, 18, 27]
        """
        return cls(growth=growth, unit=unit, initial=initial, final=final)

    @property
    def counts_steps(self) -> bool:
        """Whether any condition counts steps, so that adapters need hooks for steps."""
        return self.every_n_steps is not None or (self.growth is not None and self.unit == "step")

    def due_epoch(self, epoch: int) -> bool:
        """Return whether the state after ``epoch`` completed epochs is captured.

        Parameters
        ----------
        epoch : int
            Completed epochs; 0 is the state before training.

        Returns
        -------
        bool
        """
        if epoch == 0:
            return self.initial
        if self.every is not None and epoch % self.every == 0:
            return True
        if self.at is not None and epoch in self.at:
            return True
        return (
            self.growth is not None
            and self.unit == "epoch"
            and _grows_past(self.growth, epoch - 1, epoch)
        )

    def due_step(self, step: int, since: int) -> bool:
        """Return whether a step in ``(since, step]`` is due.

        The argument is an interval because some loops report only every n-th
        step (Keras with ``steps_per_execution``).

        Parameters
        ----------
        step : int
            Completed optimisation steps.
        since : int
            The completed steps at the previous call.

        Returns
        -------
        bool

        Examples
        --------
        >>> Schedule(every_n_steps=100).due_step(128, since=96)
        True
        """
        n = self.every_n_steps
        if n is not None and step // n > since // n:
            return True
        return (
            self.growth is not None
            and self.unit == "step"
            and _grows_past(self.growth, since, step)
        )


def make_schedule(
    schedule: Schedule | Literal["geometric"] | None = None,
    every: int | None = None,
    every_n_steps: int | None = None,
    at: Iterable[int] | None = None,
    initial: bool = True,
    final: bool = True,
) -> Schedule:
    """Return the schedule for the arguments that every recorder takes.

    Parameters
    ----------
    schedule : Schedule or "geometric", optional
        Instead of the next three.
    every, every_n_steps, at : optional
        As for :class:`Schedule`.
    initial, final : bool, default True
        False switches them off in a given ``schedule`` too.

    Returns
    -------
    Schedule

    Raises
    ------
    TypeError
        If a schedule is given and a condition as well.
    ValueError
        If ``schedule`` is neither a :class:`Schedule` nor "geometric".

    Examples
    --------
    >>> make_schedule("geometric").due_epoch(100)
    False
    """
    conditions = {"every": every, "every_n_steps": every_n_steps, "at": at}
    given = [name for name, value in conditions.items() if value is not None]
    if schedule is None:
        return Schedule(every, every_n_steps, at, initial=initial, final=final)  # type: ignore[arg-type]
    if given:
        raise TypeError(f"give either schedule= or {' and '.join(f'{name}=' for name in given)}")
    if schedule == "geometric":
        return Schedule.geometric(initial=initial, final=final)
    if isinstance(schedule, Schedule):
        return replace(
            schedule, initial=schedule.initial and initial, final=schedule.final and final
        )
    raise ValueError(f"schedule={schedule!r}: expected a trainviz.Schedule or 'geometric'")


def _grows_past(growth: float, since: int, now: int) -> bool:
    """Return whether 1, then ``max(n + 1, ceil(growth * n))``, has a term in ``(since, now]``."""
    captured = 1
    while captured <= since:
        captured = max(captured + 1, math.ceil(captured * growth))
    return captured <= now


def _check_count(name: str, value: int | None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r}: expected a whole number, e.g. {name}=5")
    if value < 1:
        raise ValueError(
            f"{name}={value}: expected at least 1 ({name}=1 captures each one; "
            "to capture nothing but the start and the end, use at=[0])"
        )


def _check_epochs(at: object) -> frozenset[int]:
    if isinstance(at, str) or not isinstance(at, Iterable):
        raise TypeError(f"at={at!r}: expected a list of epochs, e.g. at=[1, 2, 5, 10, 100]")
    epochs = list(at)
    for epoch in epochs:
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__"):
            raise TypeError(f"at holds {epoch!r}: expected whole epochs, e.g. at=[1, 2, 5, 10]")
        if epoch < 0:
            raise ValueError(f"at holds {epoch}: epochs count from 0, the state before training")
    if not epochs:
        raise ValueError("at=[] captures nothing: name at least one epoch, or use every=")
    return frozenset(int(epoch) for epoch in epochs)
