"""A class probability map, stored as the points that adaptive evaluation used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from trainviz.evaluation.kernels import normalise_odds
from trainviz.evaluation.lattice import Lattice

__all__ = ["CompactMap", "as_kept", "gaps_of", "in_single_precision", "normalised_odds"]


@dataclass(frozen=True, eq=False)
class CompactMap:
    """The log-probabilities at the evaluated points, from which the rest is interpolated.

    Attributes
    ----------
    grid : tuple of int
        ``(H, W)``.
    gaps : ndarray of unsigned int, shape (n,)
        The distance of each point's flat grid index from the one before.
    logs : ndarray of float16, shape (n, C)
        The highest of each point is subtracted from all, which changes no
        probability. Half precision then keeps a probability to about 0.0003,
        and the order of the two likeliest classes however close they are.

    Examples
    --------
    >>> lattice = Lattice.of((3, 3))
    >>> compact = CompactMap.of((3, 3), np.arange(9), np.full((9, 2), np.log(0.5)))
    >>> compact.shape, compact.dense()[:, 0, 0]
    ((2, 3, 3), array([0.5, 0.5], dtype=float32))
    """

    grid: tuple[int, int]
    gaps: npt.NDArray[np.unsignedinteger]
    logs: npt.NDArray[np.float16]

    @classmethod
    def of(
        cls,
        grid: tuple[int, int],
        points: npt.NDArray[np.intp],
        logs: npt.NDArray[np.floating],
    ) -> CompactMap:
        """Make a map of the log-probabilities at some points.

        Parameters
        ----------
        grid : tuple of int
            ``(H, W)``.
        points : ndarray of int, shape (n,)
            Ascending flat grid indices, among them the whole coarse lattice.
        logs : ndarray, shape (n, C)
        """
        return cls(grid, gaps_of(points), as_kept(logs))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        return (self.logs.shape[1], *self.grid)

    @property
    def nbytes(self) -> int:
        """The bytes that the map takes."""
        return self.gaps.nbytes + self.logs.nbytes

    def dense(self) -> npt.NDArray[np.float32]:
        """Return the class probabilities on the whole grid, shape (C, H, W)."""
        points = np.cumsum(self.gaps, dtype=np.intp)
        return Lattice.of(self.grid).fill(points, in_single_precision(self.logs), normalised=True)


def gaps_of(points: npt.NDArray[np.intp]) -> npt.NDArray[np.unsignedinteger]:
    """Return the distance of each point from the one before, in the smallest integers that do.

    Examples
    --------
    >>> gaps_of(np.array([0, 2, 5]))
    array([0, 2, 3], dtype=uint8)
    """
    gaps = np.diff(points, prepend=0)
    small: npt.NDArray[np.unsignedinteger] = gaps.astype(np.min_scalar_type(gaps.max()))
    return small


def as_kept(logs: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """Return log-probabilities, shape (n, C), as a map keeps them: relative to the highest.

    Examples
    --------
    >>> as_kept(np.log([[0.5, 0.25]])).round(2)
    array([[ 0.  , -0.69]], dtype=float16)
    """
    highest = np.ascontiguousarray(logs.T).max(axis=0)  # Fast, unlike along the last axis.
    kept: npt.NDArray[np.float16] = (logs - highest[:, None]).astype(np.float16)
    return kept


def in_single_precision(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return values in single precision; half precision by a table, which is twice as fast.

    Examples
    --------
    >>> in_single_precision(np.array([0.5, -0.75], dtype=np.float16))
    array([ 0.5 , -0.75], dtype=float32)
    """
    if values.dtype != np.float16:
        return values.astype(np.float32)
    return _halves().take(values.view(np.uint16))


@cache
def _halves() -> npt.NDArray[np.float32]:
    """Return every number in half precision, in the order of their bits."""
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


def normalised_odds(logs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn log-probabilities, shape (C, H, W), into probabilities that sum to 1; in place."""
    normalise_odds(logs)
    return logs
