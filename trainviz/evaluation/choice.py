"""The choice between adaptive and dense evaluation, from what both were measured to cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainviz._common.arrays import Float32Array, IndexArray
from trainviz.evaluation.answers import Ask

__all__ = ["Calls", "Choice"]

_CLEARLY = 0.4
"""Below this ratio of times, adaptive evaluation is chosen without a dense one for comparison: the
estimate of the latter comes from smaller calls, whose points cost up to about twice as much."""

_UNNOTICED = 1.0
"""Seconds."""

_SLOWER = 1.15
"""Above this ratio of times, in the last few evaluations, adaptive evaluation ends. Up to it
adaptive evaluation is preferred: its maps take a tenth of the memory."""

_FEW = 4
"""So many: a machine that is busy for a moment must not change the method."""

_FASTER = 0.8
"""Below this ratio of times, dense evaluation ends: apart from 1, so that noise in the times does
not change the method back and forth."""


_OFTEN = 8
"""A model may become smooth during training: so many dense evaluations later it is noticed."""


@dataclass
class Calls:
    """The sizes and seconds of the calls of a model in one evaluation."""

    sizes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def timed(self, ask: Ask) -> Ask:
        """Return a function that asks as ``ask`` does, and notes each call."""

        def timed(index: IndexArray) -> Float32Array:
            begin = time.perf_counter()
            answer = ask(index)
            self.sizes.append(len(index))
            self.seconds.append(time.perf_counter() - begin)
            return answer

        return timed

    @property
    def total(self) -> float:
        """Seconds of all calls."""
        return sum(self.seconds)

    def per_call_and_point(self) -> tuple[float, float] | None:
        """Return the seconds that a call costs, and those that each of its points adds.

        None if there is no small call, from which to tell them apart.
        """
        sizes, seconds = np.array(self.sizes, float), np.array(self.seconds)
        largest = sizes.argmax()
        small = sizes <= sizes[largest] / 4
        if not small.any():
            return None
        # Medians, because the first call of a model is often slow.
        size, second = np.median(sizes[small]), np.median(seconds[small])
        point = max(seconds[largest] - second, 0) / (sizes[largest] - size)
        return max(float(second - point * size), 0.0), float(point)


@dataclass
class Choice:
    """The method of the next evaluation, and what it was chosen by.

    The first evaluation is adaptive. Unless it is clearly cheaper than asking for all points at
    the measured price, the second is dense, and the cheaper one is chosen. Later ones are
    compared with these figures.

    Attributes
    ----------
    method : {"adaptive", "dense"}
    reason : str
        Why, in words; empty before the choice.
    evaluations : int
        How many were made.
    dense_seconds : float
        Of a dense evaluation; 0 as long as it is not known.
    refining_seconds : float
        Of adaptive evaluation, besides the model.
    slow : int
        How many adaptive evaluations in a row were slower than a dense one.
    probed : bool
        Whether the model was found to be suited for adaptive evaluation, and is not to be asked
        again beforehand.
    warned : bool
        Whether the user was told that the model is not.

    Examples
    --------
    >>> choice, calls = Choice(), Calls([1000, 100, 100], [0.1, 0.01, 0.01])
    >>> choice.after_adaptive(seconds=0.13, calls=calls, n_points=90_000)
    >>> choice.method, choice.reason
    ('adaptive', '0.13 s against about 9 s of dense evaluation')
    """

    method: str = "adaptive"
    reason: str = ""
    evaluations: int = 0
    dense_seconds: float = 0.0
    per_call: float = 0.0
    per_point: float = 0.0
    refining_seconds: float = 0.0
    slow: int = 0
    probed: bool = False
    warned: bool = False

    def after_adaptive(self, seconds: float, calls: Calls, n_points: int) -> None:
        """Choose from an adaptive evaluation."""
        self.evaluations += 1
        self.refining_seconds = seconds - calls.total
        prices = calls.per_call_and_point()
        if prices is None and not self.per_point:
            prices = 0.0, calls.total / sum(calls.sizes)
        if prices is not None:
            self.per_call, self.per_point = prices
        dense = self.dense_seconds or n_points * self.per_point
        about = "" if self.dense_seconds else "about "
        if self.evaluations == 1:
            if seconds < _CLEARLY * dense:
                self.reason = f"{seconds:.2g} s against {about}{dense:.2g} s of dense evaluation"
            else:
                self.method, self.reason = "dense", "to measure what it costs"
            return
        self.slow = self.slow + 1 if seconds > _SLOWER * dense else 0
        if self.slow == _FEW:
            self.method, self.slow = "dense", 0
            self.reason = f"{about}{dense:.2g} s against {seconds:.2g} s of adaptive evaluation"

    def compares(self) -> bool:
        """Return whether the next dense evaluation is to be compared with an adaptive one.

        The second one is; later ones only where refining costs so little that the comparison
        hardly takes longer.
        """
        number = self.evaluations + 1
        if number == 2:
            return True
        often = number & (number - 1) == 0 or number % _OFTEN == 0
        return often and self.refining_seconds < (_SLOWER - 1) * self.dense_seconds

    def repeats(self, seconds: float) -> bool:
        """Return whether to time a dense evaluation again: the first may be slow by chance.

        Only the one that decides, and only where nobody notices how long it takes.
        """
        return self.evaluations == 1 and seconds < _UNNOTICED

    def after_dense(self, seconds: float) -> None:
        """Note a dense evaluation."""
        self.evaluations += 1
        self.dense_seconds = seconds

    def compare(self, refining_seconds: float, n_calls: int, n_points: int) -> None:
        """Choose from what refining the dense map took, and would have asked of the model."""
        self.refining_seconds = refining_seconds
        adaptive = refining_seconds + n_calls * self.per_call + n_points * self.per_point
        ratio = adaptive / max(self.dense_seconds, 1e-9)
        if ratio < (_SLOWER if self.evaluations == 2 else _FASTER):
            self.method = "adaptive"
            self.reason = f"about {adaptive:.2g} s against {self.dense_seconds:.2g} s"
        else:
            self.reason = f"{self.dense_seconds:.2g} s against about {adaptive:.2g} s"
        self.reason += f" of {'dense' if self.method == 'adaptive' else 'adaptive'} evaluation"

    def give_up(self, reason: str) -> None:
        """Choose dense evaluation because adaptive evaluation cannot work."""
        self.method, self.reason = "dense", reason

    def state(self) -> dict[str, Any]:
        """Return the choice as plain values, for a checkpoint."""
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a :meth:`state`."""
        for name in vars(self):
            if name in state:
                setattr(self, name, state[name])
