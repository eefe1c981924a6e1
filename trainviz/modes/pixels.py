"""The class of each pixel, and RGB colours packed into 32-bit words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image, Map

__all__ = ["argmax", "class_map", "packed", "unpacked"]


def argmax(values: Map) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return argmax and maximum along the first axis, of length 1 to 256 (the first of equals).

    Indices are uint8, so that SIMD instructions process many at a time;
    ``numpy.argmax`` takes ten times as long along the first axis.
    """
    highest = values.max(axis=0)
    last = len(values) - 1
    from_last = np.zeros(highest.shape, dtype=np.uint8)
    marks = np.empty(highest.shape, dtype=np.bool_)
    found = marks.view(np.uint8)
    for index in range(last):
        np.equal(values[index], highest, out=marks)
        np.multiply(found, np.uint8(last - index), out=found)
        np.maximum(from_last, found, out=from_last)
    return np.subtract(np.uint8(last), from_last, out=from_last), highest


def class_map(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.integer]:
    """Return the argmax over classes at each grid point (the first of equals), shape (H, W)."""
    if len(probabilities) > 256:
        wide: npt.NDArray[np.integer] = probabilities.argmax(axis=0)
        return wide
    return argmax(probabilities)[0]


def packed(colors: Image) -> npt.NDArray[np.uint32]:
    """Pack RGB rows into one 32-bit word each, since ``take`` is faster on words than on rows."""
    rgba = np.full((len(colors), 4), 255, dtype=np.uint8)
    rgba[:, :3] = colors
    return rgba.view(np.uint32)[:, 0]


def unpacked(words: npt.NDArray[np.uint32]) -> Image:
    """Unpack 32-bit words into RGB, shape (h, w) to (h, w, 3)."""
    channels = words.view(np.uint8).reshape(*words.shape, 4)
    image = np.empty((*words.shape, 3), dtype=np.uint8)
    # Copying channel by channel is faster than copying three bytes for each pixel.
    for channel in range(3):
        image[..., channel] = channels[..., channel]
    return image
