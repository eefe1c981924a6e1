"""The array types that packages exchange, and conversion to NumPy."""

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
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        # numpy would hand out what lies under the mask.
        values = np.ma.filled(values.astype(np.float64), np.nan)
    array: npt.NDArray[Any] = np.asarray(values)
    # JAX and TensorFlow return bfloat16 as a dtype with which NumPy cannot compute.
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
