"""The arrays of a recording: their Zarr documents, and their chunks with checksums."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.output_kind import OutputKind
from trainviz._common.providers import install_hint
from trainviz.errors import RecordingError
from trainviz.recordings.zarr_store.places import Place

__all__ = [
    "ArrayLayout",
    "MapLayout",
    "ReadBudget",
    "TooLargeError",
    "check_installed",
    "checked",
    "chunks_of",
    "is_storable",
    "read_rows",
    "with_checksum",
]

_LEVEL = 3
"""Compression level of zstd; 5 makes the demo's chunks 7 % smaller and takes a quarter longer."""

_LARGEST = 2**31 - 1024
"""Largest number of bytes that blosc can compress at once."""

_MOST_DIMENSIONS = 16

_LARGEST_RATIO = 500

_OVERHEAD = 16 + 4
"""Bytes of blosc's header and of the checksum."""

_NAME = re.compile(r"(embedding/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,119}")
_KINDS = (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
_CODECS = ["bytes", "blosc", "crc32c"]
_MAP_CODECS = ["trainviz.packed", "crc32c"]


def check_installed() -> None:
    """Raise an ImportError that names the extra to install if Zarr's codecs are missing."""
    try:
        import google_crc32c  # noqa: F401
        import numcodecs.blosc  # noqa: F401
    except ImportError as error:
        raise ImportError(install_hint("Zarr", "a recording on disk")) from error


@dataclass(frozen=True)
class ArrayLayout:
    """The layout of an array; its chunks are whole rows, so that a chunk has one number.

    Attributes
    ----------
    name : str
        ``embedding/NAME`` for an array of the embedding.
    dtype : str
        Of numpy, e.g. ``"float16"``.
    row : tuple of int
        The shape of one entry along the first axis.
    rows : int
        The entries in a chunk.
    dims : tuple of str
        The name of each axis.
    attributes : mapping
        The attributes in the array's Zarr document.

    Examples
    --------
    >>> layout = ArrayLayout("epoch", "int64", (), 1024, ("snapshot",))
    >>> layout.key(2), layout.nbytes
    ('epoch/c.2', 8192)
    >>> layout.decode(layout.encode(np.arange(3)))[:3]
    array([0, 1, 2])
    """

    name: str
    dtype: str
    row: tuple[int, ...]
    rows: int
    dims: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.nbytes > _LARGEST:
            raise RecordingError(
                f"a chunk of {self.name} takes {self.nbytes:,} bytes, and {_LARGEST:,} is the "
                "limit: take a coarser grid, or precision='float16'"
            )

    @classmethod
    def of_document(cls, name: str, document: Any) -> tuple[ArrayLayout, int]:
        """Return the layout in a Zarr document; raise if no recorder writes such an array.

        Returns
        -------
        layout : ArrayLayout
        length : int
            The size of the first axis.

        Raises
        ------
        RecordingError
            If it is no array that a recorder writes.
        """
        if not is_array_name(name):
            raise RecordingError(f"it has an array with the name {name[:80]!r}")
        shape, chunks, codecs = _sizes(name, document)
        try:
            known = (
                document["data_type"] in _KINDS
                and [codec["name"] for codec in codecs] == _CODECS
                and codecs[0]["configuration"]["endian"] == "little"
            )
            if known:
                dims = tuple(str(dim) for dim in document["dimension_names"])
                attributes = dict(document.get("attributes", {}))
                layout = cls(
                    name, document["data_type"], tuple(shape[1:]), chunks[0], dims, attributes
                )
                return layout, shape[0]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, RecordingError):
                raise
        raise _strange(name)

    @property
    def nbytes(self) -> int:
        """The bytes of a chunk before compression."""
        return self.rows * math.prod(self.row) * np.dtype(self.dtype).itemsize

    def document(self, length: int) -> dict[str, Any]:
        """Return the array's Zarr document, the content of its ``zarr.json``."""
        fill: Any = {"f": "NaN", "b": False, "u": 0}.get(np.dtype(self.dtype).kind, -1)
        blosc = {
            "typesize": np.dtype(self.dtype).itemsize, "cname": "zstd", "clevel": _LEVEL,
            "shuffle": "shuffle", "blocksize": 0,
        }  # fmt: skip
        codecs: list[dict[str, Any]] = [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "blosc", "configuration": blosc},
            {"name": "crc32c"},
        ]
        return _document(
            (length, *self.row), (self.rows, *self.row), self.dtype, fill, codecs, self.dims,
            self.attributes,
        )  # fmt: skip

    def key(self, chunk: int) -> str:
        """Return the file name of a chunk."""
        return _key(self.name, chunk, len(self.row))

    def encode(self, values: npt.NDArray[Any]) -> bytes:
        """Compress up to ``rows`` entries to the bytes of a chunk."""
        from numcodecs import blosc

        stored = np.dtype(self.dtype).newbyteorder("<")
        if len(values) == self.rows:
            whole = np.ascontiguousarray(values, dtype=stored)
        else:
            whole = np.zeros((self.rows, *self.row), dtype=stored)
            whole[: len(values)] = values
        packed = blosc.compress(whole.reshape(-1), b"zstd", _LEVEL, blosc.SHUFFLE)
        return with_checksum(packed)

    def decode(self, payload: bytes) -> npt.NDArray[Any]:
        """Return the entries of a chunk, shape (rows, *row).

        Raises
        ------
        RecordingError
            If the bytes are not those of such a chunk. They are decompressed
            only if the size in their header is the expected one.
        """
        from numcodecs import blosc

        packed = checked(payload)
        if len(packed) < 16:
            raise RecordingError("its checksum is wrong")
        announced = int.from_bytes(packed[4:8], "little")
        if announced != self.nbytes or int.from_bytes(packed[12:16], "little") != len(packed):
            raise RecordingError(f"it holds {announced:,} bytes, expected {self.nbytes:,}")
        try:
            raw = blosc.decompress(packed)
        except (RuntimeError, ValueError) as error:
            raise RecordingError(f"it cannot be unpacked: {error}") from error
        values = np.frombuffer(raw, dtype=np.dtype(self.dtype).newbyteorder("<"))
        return values.reshape(self.rows, *self.row)

    def read(
        self, place: Place, chunk: int, budget: ReadBudget | None = None
    ) -> npt.NDArray[Any] | None:
        """Return a chunk of a place, None if its file is missing.

        Raises
        ------
        RecordingError
            If it is damaged, or exceeds the budget; the message names the file.
        """
        # The decompressed size is known, so a larger file is no chunk.
        payload = place.read(self.key(chunk), self.nbytes + _OVERHEAD)
        if payload is None:
            return None
        try:
            if budget is not None:
                budget.take(len(payload), self.nbytes)
            return self.decode(payload)
        except TooLargeError:
            raise
        except RecordingError as error:
            raise RecordingError(
                f"the chunk {place.describe(self.key(chunk))} is damaged: {error}"
            ) from error


@dataclass(frozen=True)
class MapLayout:
    """The layout of the maps: one packed map in a chunk.

    Attributes
    ----------
    row : tuple of int
        ``(C, H, W)``.
    precision : str
        "float16" or "float32": how values that are no logarithms are packed.
    output : OutputKind
        What the maps hold.
    """

    row: tuple[int, int, int]
    precision: str
    output: OutputKind

    name = "probabilities"
    dims = ("snapshot", "class", "y", "x")

    @classmethod
    def of_document(cls, document: Any) -> tuple[MapLayout, int]:
        """Return the layout in a Zarr document, and the number of maps.

        Raises
        ------
        RecordingError
            If it is no array that a recorder writes.
        """
        shape, chunks, codecs = _sizes(cls.name, document)
        try:
            precision = codecs[0]["configuration"]["precision"]
            output = OutputKind(codecs[0]["configuration"]["output"])
            if (
                len(shape) == 4
                and chunks[0] == 1
                and document["data_type"] == "float32"
                and [codec["name"] for codec in codecs] == _MAP_CODECS
                and precision in ("float16", "float32")
            ):
                return cls((shape[1], shape[2], shape[3]), precision, output), shape[0]
        except (KeyError, TypeError, ValueError, IndexError):
            pass
        raise _strange(cls.name)

    def document(self, length: int) -> dict[str, Any]:
        """Return the array's Zarr document, the content of its ``zarr.json``."""
        codecs: list[dict[str, Any]] = [
            {
                "name": _MAP_CODECS[0],
                "configuration": {"precision": self.precision, "output": self.output.value},
            },
            {"name": _MAP_CODECS[1]},
        ]
        return _document(
            (length, *self.row), (1, *self.row), "float32", "NaN", codecs, self.dims,
            {"coordinates": "epoch step"},
        )  # fmt: skip

    def key(self, index: int) -> str:
        """Return the file name of a map."""
        return _key(self.name, index, len(self.row))


def with_checksum(payload: bytes) -> bytes:
    """Return bytes followed by their CRC-32C, as Zarr's codec ``crc32c`` does."""
    import google_crc32c

    checksum: int = google_crc32c.value(payload)
    return bytes(payload) + checksum.to_bytes(4, "little")


def checked(payload: bytes) -> bytes:
    """Return the bytes before a checksum.

    Raises
    ------
    RecordingError
        If it is wrong.
    """
    import google_crc32c

    found = payload[:-4]
    if len(payload) < 4 or google_crc32c.value(found) != int.from_bytes(payload[-4:], "little"):
        raise RecordingError("its checksum is wrong")
    return found


def is_array_name(name: str) -> bool:
    """Return whether an array may have this name; no path out of the recording matches."""
    return _NAME.fullmatch(name) is not None


def is_storable(name: str, values: npt.NDArray[Any]) -> bool:
    """Return whether a recording can store an array with this name and dtype."""
    return is_array_name(name) and values.dtype.name in _KINDS


class TooLargeError(RecordingError):
    """A recording would take more memory than its size on disk can justify."""


class ReadBudget:
    """How much may be decompressed while a recording is opened, by what it has on disk.

    Arrays that a recorder writes shrink by less than 500 times; a stranger's
    archive of 100 kB must not fill gigabytes of memory.

    Parameters
    ----------
    unquestioned : float, default 2**26
        Bytes of memory that may be taken whatever was read.
    """

    def __init__(self, unquestioned: float = 2**26) -> None:
        self._unquestioned = unquestioned
        self._read = self._decoded = 0

    def take(self, read: int, decoded: int) -> None:
        """Count bytes on disk and the bytes of memory that they are to become.

        Raises
        ------
        TooLargeError
            If they are more than ``unquestioned``, and more than 500 times what was read.
        """
        self._read += read
        self._decoded += decoded
        if self._decoded > max(self._unquestioned, _LARGEST_RATIO * self._read):
            raise TooLargeError(
                f"{self._read:,} bytes that were read of it would take {self._decoded:,} bytes "
                "of memory; if you trust it, open_recording(path, trust=True) opens it"
            )


def read_rows(
    place: Place,
    layout: ArrayLayout,
    length: int,
    budget: ReadBudget,
) -> npt.NDArray[Any]:
    """Return the first ``length`` entries of an array.

    Parameters
    ----------
    place : Place
    layout : ArrayLayout
    length : int
        From the metadata; memory is allocated only for chunks that exist.
    budget : ReadBudget
        Raises before too much is allocated.

    Raises
    ------
    RecordingError
        If a chunk is missing or damaged.
    """
    parts: list[npt.NDArray[Any]] = []
    for chunk in range(-(-length // layout.rows)):
        part = layout.read(place, chunk, budget)
        if part is None:
            raise RecordingError(f"the chunk {place.describe(layout.key(chunk))} is missing")
        parts.append(part)
    if not parts:
        return np.empty((0, *layout.row), dtype=layout.dtype)
    native = np.concatenate(parts)[:length]
    return native.astype(layout.dtype, copy=False)


def chunks_of(
    layout: ArrayLayout, values: Sequence[Any] | npt.NDArray[Any], first: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Yield file name and bytes of an array's chunks, from the one that holds entry ``first``."""
    for chunk in range(first // layout.rows, -(-len(values) // layout.rows)):
        part = values[chunk * layout.rows : (chunk + 1) * layout.rows]
        yield layout.key(chunk), layout.encode(np.asarray(part, dtype=layout.dtype))


def _key(name: str, chunk: int, n_axes: int) -> str:
    # One folder for an array: a folder for each axis would take three more for each snapshot.
    return f"{name}/c.{chunk}" + ".0" * n_axes


def _document(
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: str,
    fill: Any,
    codecs: list[dict[str, Any]],
    dims: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": dict(attributes),
        "dimension_names": list(dims),
        "storage_transformers": [],
    }


def _sizes(name: str, document: Any) -> tuple[list[int], list[int], list[Any]]:
    """Return the shape, the shape of a chunk and the codecs in a Zarr document."""
    try:
        # Before anything is multiplied: a product of 300,000 sides takes minutes.
        if not 1 <= len(document["shape"]) <= _MOST_DIMENSIONS:
            raise RecordingError(f"the array {name!r} has {len(document['shape'])} dimensions")
        shape = [_count(side) for side in document["shape"]]
        chunks = [_count(side) for side in document["chunk_grid"]["configuration"]["chunk_shape"]]
        if (
            document["chunk_key_encoding"]["configuration"]["separator"] == "."
            and len(shape) == len(chunks) == len(document["dimension_names"])
            and chunks[0] >= 1 and shape[1:] == chunks[1:]
        ):  # fmt: skip
            return shape, chunks, list(document["codecs"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, RecordingError):
            raise
    raise _strange(name)


def _strange(name: str) -> RecordingError:
    return RecordingError(f"the array {name!r} is not as a recorder writes it")


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**48:
        raise ValueError(f"{value!r} is no count")
    return value
