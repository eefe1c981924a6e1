"""The array types that packages exchange, conversion to NumPy, and the classes of a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "TINY",
    "BoolArray",
    "Float32Array",
    "Float64Array",
    "Image",
    "IndexArray",
    "Int32Array",
    "Int64Array",
    "Map",
    "argmax",
    "class_map",
    "to_numpy",
]

Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.intp]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Map = npt.NDArray[np.float32]
"""A map, shape (C, H, W), class first; row 0 is the lower end of the y axis."""

Image = npt.NDArray[np.uint8]
"""A picture, shape (h, w, 3), row 0 on top."""

TINY = 1e-12
"""Lower bound of probabilities before their logarithm is taken, because that of 0 is infinite."""


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


def to_numpy(values: Any) -> npt.NDArray[Any]:
    """Turn array-likes of any framework into numpy arrays.

    Parameters
    ----------
    values : array-like
        A list, numpy array, DataFrame, or a tensor on any device, with or
        without a gradient graph.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> to_numpy([[1, 2]]).shape
    (1, 2)
    """
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        # numpy would hand out what lies under the mask.
        values = np.ma.filled(values.astype(np.float64), np.nan)
    array: npt.NDArray[Any] = np.asarray(values)
    # JAX and TensorFlow return bfloat16 as a dtype with which NumPy cannot compute.
    is_bfloat16 = array.dtype.kind == "V" and array.dtype.name == "bfloat16"
    return array.astype(np.float32) if is_bfloat16 else array
