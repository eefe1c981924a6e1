"""The arrays that pass from room to room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Image", "Map"]

Map = npt.NDArray[np.float32]
"""A map, shape (C, H, W), class first; row 0 is the lower end of the y axis."""

Image = npt.NDArray[np.uint8]
"""A picture, shape (h, w, 3), row 0 on top."""
