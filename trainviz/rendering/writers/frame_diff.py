"""The rectangle that changes from one frame to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "changed_box"]


class Box(NamedTuple):
    """A rectangle of a frame."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of an image's part in the rectangle."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def changed_box(before: npt.NDArray[Any] | None, now: npt.NDArray[Any]) -> Box | None:
    """Return the bounding box of the pixels that differ between two images.

    Parameters
    ----------
    before : ndarray, shape (h, w, ...), or None
        With None, the box is the whole image.
    now : ndarray, shape (h, w, ...)

    Returns
    -------
    Box or None
        None if they are equal.

    Examples
    --------
    >>> before, now = np.zeros((2, 4, 6), dtype=np.uint8)
    >>> now[1, 2] = now[3, 4] = 1
    >>> changed_box(before, now)
    Box(left=2, top=1, width=3, height=3)
    >>> changed_box(before, before) is None
    True
    """
    height, width = now.shape[:2]
    if before is None:
        return Box(0, 0, width, height)
    differs = before != now
    rows = np.flatnonzero(differs.reshape(height, -1).any(axis=1))
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    along = differs[top:bottom].any(axis=0).reshape(width, -1).any(axis=1)
    columns = np.flatnonzero(along)
    left, right = int(columns[0]), int(columns[-1]) + 1
    return Box(left, top, right - left, bottom - top)
