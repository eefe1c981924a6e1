"""What predictors of several frameworks have in common: one preparation for several answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy.typing as npt

from trainviz.domain.inputs import Inputs

__all__ = ["SessionPredictor"]


class SessionPredictor(ABC):
    """A callable that makes its model ready for each answer, or once for those of a session.

    Subclasses have ``undisturbed``, within which the model can be asked and after which it is as
    it was, and ``answer``.
    """

    _is_ready = False

    @contextmanager
    def session(self) -> Iterator[None]:
        """Make the model ready only once for several calls."""
        with self.undisturbed():
            self._is_ready = True
            try:
                yield
            finally:
                self._is_ready = False

    def __call__(self, points: Inputs) -> npt.NDArray[Any]:
        """Return the model's output for ``points``, shape (N, C) or (N,)."""
        if self._is_ready:
            return self.answer(points)
        with self.session():
            return self.answer(points)

    @abstractmethod
    def undisturbed(self) -> AbstractContextManager[None]:
        """Make the model ready, and put it back."""

    @abstractmethod
    def answer(self, points: Inputs) -> npt.NDArray[Any]:
        """Ask the model, which is ready."""
