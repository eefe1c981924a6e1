"""The quadtree of a map in the making: which of its cells are looked at, split or left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common import jit
from trainviz.evaluation.answers import Answers
from trainviz.evaluation.error_estimate import excess
from trainviz.evaluation.kernels import EDGED, FOUND, LEAF, LOOK, SPLIT, SPLIT_ALWAYS, descend
from trainviz.evaluation.lattice import Lattice

__all__ = ["EDGED", "FOUND", "LEAF", "LOOK", "SPLIT", "SPLIT_ALWAYS", "Quadtree"]

Values = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_CENTRE_SHARES = {1: 1.5, 2: 0.2, 4: 0.3, 8: 0.25, 16: 0.5}
"""Of the tolerance, by half a cell's side: how far its centre may lie from what its corners
foretell. A centre sees little of a bend that passes near an edge. Found by trial on the training
of a ReLU network, as few points as possible for an error of about 2.5 times the tolerance."""

_EDGE_SHARES = {1: 2.0, 2: 1.8, 4: 1.5, 8: 1.5, 16: 2.0}
_COARSE_EDGE_SHARE = 0.3
"""The same, for a cell whose edges were asked for too: it is drawn with half the spacing, so its
error is a fraction of the difference found. The few coarse cells hide most."""

_STEPS = np.array([[-1], [0], [1]])
_MIDDLES = np.array([1, 3, 5, 7])
_AROUND = np.array([[[-1], [-1], [1], [1]], [[-1], [1], [-1], [1]]])


class Quadtree:
    """Square cells of any level, each known by the place of its centre.

    No two cells have the same centre, and a centre's place tells how large the
    cell is: half its side is the lowest bit of the row (and of the column).

    Parameters
    ----------
    lattice : Lattice
    tolerance : float
        Of a probability.

    Attributes
    ----------
    state : ndarray of uint8
        By place: the sum of what is known of the cell.
    """

    def __init__(self, lattice: Lattice, tolerance: float) -> None:
        self._starts, self._columns = lattice.rows * lattice.shape[1], lattice.columns
        self._largest = lattice.stride // 2
        self.shape = len(lattice.rows), len(lattice.columns)
        self.state = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        sizes = self._largest + 1
        self._up = _shares(lattice.rows, sizes)
        self._right = _shares(lattice.columns, sizes)
        self._tolerance = np.float32(tolerance)
        self._centre_limits = _by_half(_CENTRE_SHARES, sizes) * self._tolerance
        self._edge_limits = _by_half(_EDGE_SHARES, sizes) * self._tolerance
        self._edge_limits[-1] = self._tolerance * np.float32(_COARSE_EDGE_SHARE)

    # Places.

    def which(self, bits: np.uint8) -> Index:
        """Return the cells of which all these things are known."""
        return np.flatnonzero(self.state & bits == bits)

    def around(self, y: Index, x: Index, half: int) -> Index:
        """Return the cells of a size around places."""
        side = 2 * half
        cells: Index = (y // side * side + half) * self.shape[1] + x // side * side + half
        return cells

    def halves(self, cells: Index) -> Index:
        """Return half the side of each cell."""
        y: Index = cells // self.shape[1]
        return y & -y

    def quarters(self, cells: Index) -> Index:
        """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
        y, x = np.divmod(cells, self.shape[1])
        y, x = np.stack([y, x])[:, None] + _AROUND * ((y & -y) // 2)
        quarters: Index = (y * self.shape[1] + x).ravel()
        return quarters

    def ancestors(self, cells: Index) -> Mask:
        """Mark every cell that one of these lies in, without being it."""
        inside = np.zeros(len(self.state), bool)
        y, x = np.divmod(cells, self.shape[1])
        half, size = y & -y, 2
        while size <= self._largest:
            smaller = half < size
            inside[self.around(y[smaller], x[smaller], size)] = True
            size *= 2
        return inside

    def nine(self, cells: Index) -> Index:
        """Return the flat grid indices of each cell's corners, edges and centre, shape (9, n)."""
        y, x = np.divmod(cells, self.shape[1])
        steps = (y & -y) * _STEPS
        points: Index = self._starts[y + steps][:, None] + self._columns[x + steps]
        return points.reshape(9, -1)

    def take(self, leaves: Index) -> Index:
        """Return these leaves, each once; they are leaves no more."""
        leaves = np.unique(leaves)
        self.state[leaves] &= ~LEAF
        return leaves

    # Refining.

    def descend(self, centres: Index, edged: Index, answers: Answers) -> tuple[Index, Index]:
        """Refine cells as far as the answers go.

        Parameters
        ----------
        centres : ndarray of int
            Cells that are leaves unless their centres tell otherwise.
        edged : ndarray of int
            Cells whose centres are known, and whose edges are to be looked at.
        answers : Answers

        Returns
        -------
        centres, edged : ndarray of int
            The cells that wait for a point that was not asked for.
        """
        if jit.available():
            left: tuple[Index, Index] = descend(
                centres, edged, self.state, answers.fetched,
                (answers.slots, answers.values, answers.odds),
                (self._starts, self._columns, self._up, self._right),
                (self._centre_limits, self._edge_limits, self._tolerance),
            )  # fmt: skip
            return left
        waiting: list[tuple[Index, Index]] = []
        while len(centres) or len(edged):
            ready = (
                answers.reveal(self._centres(centres)[None]),
                answers.reveal(self._middles(edged)),
            )
            waiting.append((centres[~ready[0]], edged[~ready[1]]))
            centres, edged = self._step(centres[ready[0]], edged[ready[1]], answers)
        none = np.empty(0, np.intp)
        by_kind = zip((none, none), *waiting, strict=True)
        first, second = map(np.concatenate, by_kind)
        return first, second

    def wanted(self, centres: Index, edged: Index) -> Index:
        """Return the points that such cells need."""
        return np.concatenate([self._centres(centres), self._middles(edged).ravel()])

    def after(self, centres: Index, edged: Index) -> Index:
        """Return the points that the cells may need next."""
        return self.wanted(self.quarters(edged[self.halves(edged) > 1]), centres)

    def _centres(self, cells: Index) -> Index:
        y, x = np.divmod(cells, self.shape[1])
        centres: Index = self._starts[y] + self._columns[x]
        return centres

    def _middles(self, cells: Index) -> Index:
        middles: Index = self.nine(cells)[_MIDDLES]
        return middles

    def _step(self, centres: Index, edged: Index, answers: Answers) -> tuple[Index, Index]:
        """Let each cell go a step on; return the next ones."""
        deeper = self._look_at_centres(centres, answers)
        split, whole = self._look_at_edges(edged, answers)
        leaves = np.concatenate([centres[~deeper], whole])
        self.state[leaves] |= LEAF
        touched = np.concatenate([leaves, self._leaves_beside(edged)])
        wrong = self.take(touched[self._excess(touched, answers, 1) > self._tolerance])
        known = answers.slots[self._centres(wrong)] >= 0
        self.state[wrong[known]] |= LOOK
        return (
            np.concatenate([split, wrong[~known]]),
            np.concatenate([centres[deeper], wrong[known]]),
        )

    def _look_at_centres(self, cells: Index, answers: Answers) -> Mask:
        """Tell whose edges are to be looked at."""
        found = self._excess(cells, answers, 0) > self._centre_limits[self.halves(cells)]
        self.state[cells[found]] |= FOUND
        return found | (self.state[cells] & (LOOK | SPLIT_ALWAYS) > 0)

    def _look_at_edges(self, cells: Index, answers: Answers) -> tuple[Index, Index]:
        """Return the quarters that are to be looked at, and those that are leaves."""
        excess = self._excess(cells, answers, 2)
        half = self.halves(cells)
        self.state[cells] |= EDGED
        self.state[cells[excess > self._tolerance]] |= FOUND
        divide = (excess > self._edge_limits[half]) | (self.state[cells] & SPLIT_ALWAYS > 0)
        split, whole = cells[divide & (half > 1)], cells[~divide & (half > 1)]
        self.state[split] |= SPLIT
        return self.quarters(split), self.quarters(whole)

    def _leaves_beside(self, cells: Index) -> Index:
        """Return the leaves on the other side of cells' edges."""
        y, x = np.divmod(cells, self.shape[1])
        side = 2 * (y & -y)
        ys = np.concatenate([y - side, y + side, y, y])
        xs = np.concatenate([x, x, x - side, x + side])
        inside = (ys > 0) & (xs > 0) & (ys < self.shape[0]) & (xs < self.shape[1])
        beside = (ys * self.shape[1] + xs)[inside]
        leaves: Index = beside[self.state[beside] & LEAF > 0]
        return leaves

    def _excess(self, cells: Index, answers: Answers, part: int) -> Values:
        if not len(cells):
            return np.empty(0, np.float32)
        y, x = np.divmod(cells, self.shape[1])
        half = y & -y
        up, right = self._up[half, y - half], self._right[half, x - half]
        slots = answers.slots[self.nine(cells)]
        return excess(answers.values, answers.odds, slots, up, right, part)


def _by_half(shares: dict[int, float], sizes: int) -> Values:
    return np.array([shares.get(half, 0.0) for half in range(sizes)], np.float32)


def _shares(lines: Index, halves: int) -> Values:
    """Return how far along each cell its centre lies, by half its side and its lower place."""
    shares = np.zeros((halves, len(lines)), np.float32)
    for half in range(1, halves):
        start, centre, end = lines[: -2 * half], lines[half:-half], lines[2 * half :]
        shares[half, : len(start)] = (centre - start) / np.maximum(end - start, 1)
    return shares
