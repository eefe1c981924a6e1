"""The square cells of a refinement, as arrays: one entry a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Cells", "Leaves"]

Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass
class Cells:
    """Square cells of any level: the places of their lower corners, and half their sides.

    The place of a cell's centre belongs to no other cell, so it stands for the cell.
    """

    y: Index
    x: Index
    half: Index

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, which: Index | Mask) -> Cells:
        return Cells(self.y[which], self.x[which], self.half[which])

    @property
    def centres(self) -> tuple[Index, Index]:
        """The places of the centres."""
        return self.y + self.half, self.x + self.half

    def quarters(self) -> Cells:
        """Return four blocks: each cell's lower left, lower right, upper left, upper right one."""
        y, x, half = self.y, self.x, self.half
        return Cells(
            np.concatenate([y, y, y + half, y + half]),
            np.concatenate([x, x + half, x, x + half]),
            np.tile(half // 2, 4),
        )

    def joined(self, other: Cells) -> Cells:
        """Return these cells and then the others."""
        return Cells(
            np.concatenate([self.y, other.y]),
            np.concatenate([self.x, other.x]),
            np.concatenate([self.half, other.half]),
        )


@dataclass
class Leaves:
    """Cells that are drawn as they are, with their nine points, and which edges were compared."""

    cells: Cells
    nine: Index
    compared: Mask

    @classmethod
    def of(cls, cells: Cells, nine: Index) -> Leaves:
        """Return leaves of which no edge was compared yet."""
        return cls(cells, nine, np.zeros((4, len(cells)), bool))

    def __getitem__(self, which: Mask) -> Leaves:
        return Leaves(self.cells[which], self.nine[:, which], self.compared[:, which])

    def joined(self, other: Leaves) -> Leaves:
        """Return these leaves and then the others."""
        return Leaves(
            self.cells.joined(other.cells),
            np.concatenate([self.nine, other.nine], axis=1),
            np.concatenate([self.compared, other.compared], axis=1),
        )
