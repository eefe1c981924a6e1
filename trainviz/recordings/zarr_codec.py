"""Zarr's codec for packed maps: with trainviz installed, Zarr reads the maps of a recording.

Registered as the entry point ``trainviz.packed`` of ``zarr.codecs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import Self
from zarr.abc.codec import ArrayBytesCodec

from trainviz._common.output_kind import OutputKind
from trainviz.recordings.packed import PackedMap, pack

__all__ = ["PackedCodec"]


@dataclass(frozen=True)
class PackedCodec(ArrayBytesCodec):  # type: ignore[misc]
    """A chunk of one map, shape (1, C, H, W), as ``docs/format.md`` describes it.

    Attributes
    ----------
    precision : {"float16", "float32"}
        In which values are packed.
    output : OutputKind
        What the maps hold.
    """

    precision: str = "float16"
    output: OutputKind = OutputKind.PROBABILITIES

    is_fixed_size = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", OutputKind(self.output))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the codec that an array's document describes."""
        found = data.get("configuration") or {}
        return cls(
            str(found.get("precision", cls.precision)), OutputKind(found.get("output", cls.output))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as an array's document describes it."""
        configuration = {"precision": self.precision, "output": self.output.value}
        return {"name": "trainviz.packed", "configuration": configuration}

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        packed = PackedMap(chunk_bytes.to_bytes(), self.output, max_bytes=2**40)
        values = packed.dense().astype(chunk_spec.dtype.to_native_dtype(), copy=False)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(values.reshape(chunk_spec.shape))

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        (values,) = np.asarray(chunk_array.as_numpy_array())
        payload = pack(np.ascontiguousarray(values, dtype=self.precision), self.output)
        return chunk_spec.prototype.buffer.from_bytes(payload)

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: Any) -> int:
        """Raise: the size of a packed map depends on its values."""
        raise NotImplementedError
