"""A snapshot's map as bytes that stand alone; ``docs/format.md`` describes them.

The same bytes are meant for a file, a page and a stream: the header, which grid points
are known, and their values as residuals of an integer prediction.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import IndexArray, Int64Array, class_map
from trainviz._common.jit import ready
from trainviz._common.output_kind import OutputKind
from trainviz.errors import RecordingError
from trainviz.evaluation.compact_map import CompactMap, gaps_of, in_single_precision
from trainviz.evaluation.lattice import Lattice
from trainviz.recordings.kernels import code_residuals, join_bytes, known_points

__all__ = [
    "Grade",
    "PackedMap",
    "deflated",
    "facts_of",
    "inflated",
    "pack",
    "unpack",
    "with_facts",
]

Grade = Literal["exact", "display"]

_Float = TypeVar("_Float", bound=np.floating[Any])

_MAGIC, _VERSION = b"TVSM", 1
_HEADER = struct.Struct("<4s4B4IfII")
"""Magic, version, whether the values are logarithms, bits, whether they are quantised; classes,
height, width, points; scale; bytes of the positions, bytes of the facts."""

_LOWEST_LOG = -12.0
"""Lower logarithms are displayed as this, a probability of 6e-6, where that is close enough."""

_HIGHEST_LOG = 1.0
"""Logarithms of probabilities are at most 0; no recorder rounds them up to this."""

_FIRST_SCALE, _LAST_SCALE = 32, 8192
_LARGEST_ERROR, _LARGEST_SHARE = 1 / 255, 0.0005
_LABEL_SCALE, _VALUE_LEVELS = 1020, 4095


def pack(
    values: CompactMap | npt.NDArray[np.floating[Any]],
    kind: OutputKind = OutputKind.PROBABILITIES,
    *,
    grade: Grade = "exact",
) -> bytes:
    """Pack a map.

    Parameters
    ----------
    values : CompactMap, or ndarray of float16 or float32, shape (C, H, W)
    kind : OutputKind, default "probabilities"
    grade : {"exact", "display"}, default "exact"
        ``"exact"`` loses nothing. ``"display"`` quantises: class probabilities
        are off by at most 1/255, and another class is the likeliest at no more
        than 0.05 % of the grid points, unless they are tied within half
        precision; the probabilities of labels are off by at most 1/2040,
        values by at most 1/8190 of their range.

    Returns
    -------
    bytes

    Examples
    --------
    >>> half = np.full((2, 9, 9), 0.5, dtype=np.float16)
    >>> unpack(pack(half)).dtype, len(pack(half)) < 80
    (dtype('float16'), True)
    """
    if grade == "exact":
        held = values.logs if isinstance(values, CompactMap) else values
        bits = 8 * held.dtype.itemsize
        return _packed(values, _ordered(held), bits, 0.0)
    if not kind.has_classes:
        dense = np.asarray(values, dtype=np.float64)
        span = float(dense.max() - dense.min())
        scale = _LABEL_SCALE if kind.has_labels else _VALUE_LEVELS / span if span else 1.0
        # As it is stored, so that the decoder divides by the same number.
        scale = float(np.float32(scale))
        return _packed(values, np.rint(dense * scale).astype(np.int64), 32, scale)
    if not isinstance(values, CompactMap):
        height, width = values.shape[1:]
        logs = np.log(np.maximum(values.reshape(len(values), -1).T, math.exp(_LOWEST_LOG)))
        values = CompactMap(
            (height, width), gaps_of(np.arange(height * width)), logs.astype(np.float32)
        )
    return _displayed(values)


def _displayed(exact: CompactMap) -> bytes:
    """Pack by the coarsest scale whose map is close enough."""
    wanted = exact.dense()
    labels = class_map(wanted)
    every, lowest, scale = exact.logs.astype(np.float64), _LOWEST_LOG, _FIRST_SCALE
    at_points = _shares(every)

    def is_close(logs: npt.NDArray[np.float64]) -> bool:
        # Most scales that are too coarse fail at the points already, without the whole map.
        if np.abs(_shares(logs) - at_points).max() > 1.01 * _LARGEST_ERROR:
            return False
        shown = CompactMap(exact.grid, exact.gaps, logs.astype(np.float32)).dense()
        return bool(
            (class_map(shown) != labels).mean() <= _LARGEST_SHARE
            and np.abs(np.subtract(shown, wanted, out=shown), out=shown).max() <= _LARGEST_ERROR
        )

    # A low logarithm is no probability by itself, but the points between are interpolated from it.
    while lowest > every.min() and not is_close(np.maximum(every, lowest)):
        lowest *= 2
    logs = np.maximum(every, lowest)
    while scale < _LAST_SCALE and not is_close(np.rint(logs * scale) / scale):
        scale *= 2
    # Between a scale that is too coarse and its double a third one may do, which saves half a bit.
    between = scale * 3 // 4
    if scale > _FIRST_SCALE and is_close(np.rint(logs * between) / between):
        scale = between
    steps = np.rint(logs * scale).astype(np.int64)
    bits = 16 if np.abs(steps).max() < 2**15 else 32
    return _packed(exact, steps, bits, scale)


def _shares(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities, shape (n, C), that belong to log-probabilities."""
    odds = np.exp(logs)
    shares: npt.NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def unpack(payload: bytes, *, max_bytes: int = 2**30) -> CompactMap | npt.NDArray[np.floating[Any]]:
    """Unpack a map.

    Parameters
    ----------
    payload : bytes
    max_bytes : int, default 2**30
        Of the whole map as float32.

    Returns
    -------
    CompactMap, or ndarray of float16 or float32, shape (C, H, W)
        As it was packed, ``exact``; of a quantised map float32.

    Raises
    ------
    RecordingError
        If the bytes are not a packed map, or it is larger than ``max_bytes``.
    """
    decoded = _decoded(payload, max_bytes)
    return decoded.compact() if decoded.is_log else decoded.whole(decoded.values)


class _Decoded(NamedTuple):
    """What a packed map holds: values, shape (C, n), at grid points that are ordered by level."""

    is_log: bool
    shape: tuple[int, int, int]
    points: npt.NDArray[np.uintp]
    ends: IndexArray
    values: npt.NDArray[np.floating[Any]]

    def compact(self) -> CompactMap:
        """Return logarithms as a map of a few points."""
        order = np.argsort(self.points)
        logs = np.ascontiguousarray(self.values[:, order].T)
        return CompactMap(self.shape[1:], gaps_of(self.points[order].astype(np.intp)), logs)

    def whole(self, values: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
        """Return values of all grid points, by level, as a map of shape (C, H, W)."""
        found = np.empty_like(values)
        found[:, self.points] = values
        return found.reshape(self.shape)


def _decoded(payload: bytes, max_bytes: int) -> _Decoded:
    try:
        header = _HEADER.unpack_from(payload)
    except struct.error:
        raise RecordingError("it is too short for a packed map") from None
    magic, version, is_log, bits, quantised, n_classes, height, width, *rest = header
    n_points, scale, length, facts = rest
    if magic != _MAGIC or version != _VERSION or bits not in (16, 32) or max(is_log, quantised) > 1:
        raise RecordingError(f"it is no packed map of version {_VERSION}")
    n_grid = height * width
    if min(height, width) < 2 or not 0 < n_points <= n_grid or n_classes < 1:
        raise RecordingError(f"a packed map of the shape {(n_classes, height, width)}")
    if 4 * n_classes * n_grid > max_bytes:
        raise RecordingError(
            f"its map takes {4 * n_classes * n_grid:,} bytes of memory, and the limit is "
            f"{max_bytes:,}"
        )
    if quantised and (not np.isfinite(scale) or scale <= 0):
        raise RecordingError(f"a packed map of the scale {scale}")
    lattice, start = Lattice.of((height, width)), _HEADER.size + facts
    points, ends = _unpacked_points(payload[start : start + length], lattice, n_points)
    if not is_log and n_points < n_grid:
        raise RecordingError("a packed map of values lacks some of its grid points")
    planes = _inflated_bytes(payload[start + length :], n_classes * n_points * bits // 8)
    residuals = np.empty((n_classes, n_points), np.int64)
    join_bytes(planes.reshape(bits // 8, -1), residuals.reshape(-1))
    whole = _coded(residuals, points, ends, lattice, bits, decode=True)
    values = (whole / scale).astype(np.float32) if quantised else _unordered(whole, bits)
    return _Decoded(bool(is_log), (n_classes, height, width), points, ends, values)


def with_facts(payload: bytes, facts: Mapping[str, Any]) -> bytes:
    """Return a packed map that states facts about itself, e.g. its epoch, in place of others.

    Parameters
    ----------
    payload : bytes
    facts : mapping
        What JSON can hold; no NaN.

    Examples
    --------
    >>> half = pack(np.full((2, 9, 9), 0.5, dtype=np.float16))
    >>> facts, plain = facts_of(with_facts(half, {"epoch": 3}))
    >>> facts, plain == half
    ({'epoch': 3}, True)
    """
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False).encode()
    old, at = _length_of_facts(payload), _HEADER.size
    return payload[: at - 4] + len(text).to_bytes(4, "little") + text + payload[at + old :]


def facts_of(payload: bytes, *, most: int = 2**24) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a packed map, and the map without them.

    Parameters
    ----------
    payload : bytes
    most : int, default 2**24
        Largest size of the facts in bytes.

    Raises
    ------
    RecordingError
        If the bytes are not a packed map with facts in JSON, or these are larger.
    """
    length, at = _length_of_facts(payload), _HEADER.size
    plain = payload[: at - 4] + b"\0\0\0\0" + payload[at + length :]
    if not length:
        return {}, plain
    if length > most:
        raise RecordingError(f"its facts take {length:,} bytes, and the limit is {most:,}")
    try:
        facts = json.loads(payload[at : at + length])
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise RecordingError("the facts of a packed map are no JSON object")
    return facts, plain


def _length_of_facts(payload: bytes) -> int:
    if len(payload) < _HEADER.size or payload[:4] != _MAGIC:
        raise RecordingError("it is no packed map")
    return int.from_bytes(payload[_HEADER.size - 4 : _HEADER.size], "little")


@dataclass(frozen=True, eq=False)
class PackedMap:
    """A map that stays packed until its values are used.

    Attributes
    ----------
    payload : bytes
        The packed map.
    kind : OutputKind
    source : str
        Where it comes from, for messages.
    max_bytes : int
        Largest size of the whole map as float32.

    Examples
    --------
    >>> lazy = PackedMap(pack(np.full((2, 9, 9), 0.5, dtype=np.float16)))
    >>> lazy.shape, lazy.dense()[:, 0, 0]
    ((2, 9, 9), array([0.5, 0.5], dtype=float32))
    """

    payload: bytes
    kind: OutputKind = OutputKind.PROBABILITIES
    source: str = "a packed map"
    max_bytes: int = 2**30

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``, as the header says."""
        n_classes, height, width = struct.unpack_from("<3I", self.payload, 8)
        return n_classes, height, width

    @property
    def nbytes(self) -> int:
        """The bytes that the map takes."""
        return len(self.payload)

    @property
    def dtype(self) -> str | None:
        """Of the values, "float16" or "float32"; None of logarithms and of quantised values."""
        is_log, bits, quantised = self.payload[5:8]
        return None if is_log or quantised else f"float{bits}"

    def held(self) -> CompactMap | npt.NDArray[np.float32]:
        """Return the map as a snapshot in memory holds it: compact, or whole as float32.

        Raises
        ------
        RecordingError
            If it is damaged, larger than ``max_bytes``, or no map of its kind; the
            message names the source.
        """
        decoded, values = self._checked()
        return decoded.compact() if decoded.is_log else self._whole(decoded, values)

    def dense(self) -> npt.NDArray[np.float32]:
        """Return the whole map, shape (C, H, W).

        Raises
        ------
        RecordingError
            As :meth:`held`.
        """
        decoded, values = self._checked()
        if not decoded.is_log:
            return self._whole(decoded, values)
        # Its points are ordered by level already, which those of a compact map are not.
        lattice = Lattice.of(decoded.shape[1:])
        return lattice.fill_ordered(decoded.points, decoded.ends, values, normalised=True)

    def _checked(self) -> tuple[_Decoded, npt.NDArray[np.float32]]:
        """Decode the map, and return its values in single precision as well."""
        try:
            decoded = _decoded(self.payload, self.max_bytes)
            if decoded.is_log and not self.kind.has_classes:
                raise RecordingError(f"logarithms are no {self.kind}")
            values = in_single_precision(decoded.values)
            if decoded.is_log:
                # What is not finite, or is no logarithm of a probability, cannot be normalised.
                fits = values.min() > -math.inf and values.max() <= _HIGHEST_LOG
            else:
                fits = self.kind.fault(values[:, None]) is None
            if not fits:
                raise RecordingError(f"it holds no {self.kind}")
        except RecordingError as error:
            raise RecordingError(f"{self.source} cannot be read: {error}") from error
        return decoded, values

    def _whole(self, decoded: _Decoded, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        whole = decoded.whole(values)
        if decoded.values.dtype == np.float16 and self.kind.has_classes:
            # float16 loses up to 0.0003 of a probability: normalise, so that the sums are 1 again.
            whole /= whole.sum(axis=0)
        return whole


def _packed(
    values: CompactMap | npt.NDArray[np.floating[Any]],
    integers: Int64Array,
    bits: int,
    scale: float,
) -> bytes:
    """Pack integers: the bits of floats, or with a scale, its multiples."""
    is_log = isinstance(values, CompactMap)
    n_classes, height, width = values.shape
    if isinstance(values, CompactMap):
        points = np.cumsum(values.gaps, dtype=np.intp)
        by_class = integers.T
    else:
        points = np.arange(height * width, dtype=np.intp)
        by_class = integers.reshape(n_classes, -1)
    lattice = Lattice.of((height, width))
    order, ends = lattice.order(points)
    by_level, ordered = by_class[:, order], points[order].astype(np.uintp)
    residuals = _coded(by_level, ordered, ends, lattice, bits, decode=False).ravel()
    zigzag = (residuals << 1) ^ (residuals >> 63)
    planes = [((zigzag >> (8 * plane)) & 255).astype(np.uint8) for plane in range(bits // 8)]
    positions = _packed_points(points, lattice)
    head = _HEADER.pack(
        _MAGIC, _VERSION, is_log, bits, scale > 0, n_classes, height, width, len(points), scale,
        len(positions), 0,
    )  # fmt: skip
    # What is displayed travels; what is exact is written while training waits.
    level = 9 if scale else 4
    return head + positions + deflated(np.concatenate(planes).tobytes(), level)


def _coded(
    values: Int64Array,
    points: npt.NDArray[np.uintp],
    ends: IndexArray,
    lattice: Lattice,
    bits: int,
    *,
    decode: bool,
) -> Int64Array:
    """Turn integers, shape (C, n), of points ordered by level into residuals, or back."""
    given = np.ascontiguousarray(values)
    coded = np.empty_like(given)
    code_residuals(given, coded, points, ends, _axes(lattice), 1 << (bits - 1), decode)
    return coded


@lru_cache(maxsize=4)
def _axes(lattice: Lattice) -> tuple[tuple[Any, Int64Array], ...]:
    """Return the steps of rows and columns, each with the neighbours of its lines."""
    return tuple(
        (steps, _neighbours(steps, level))
        for steps, level in zip(lattice.steps, lattice.line_levels, strict=True)
    )


def _neighbours(steps: Any, level: IndexArray) -> Int64Array:
    """Return the level at which each grid line is new, and the lines before and after it there."""
    found = np.zeros((3, len(level)), np.int64)
    line, before, after = steps[2].astype(np.int64).T
    found[0], found[1, line], found[2, line] = level, before, after
    return found


def _packed_points(points: IndexArray, lattice: Lattice) -> bytes:
    """Return a bit for every grid point, level by level, deflated; nothing if all are known."""
    if len(points) == lattice.shape[0] * lattice.shape[1]:
        return b""
    known = np.zeros(lattice.shape[0] * lattice.shape[1], bool)
    known[points] = True
    grid, ends = _points_by_level(lattice)
    parts = [np.packbits(part) for part in np.split(known[grid.view(np.intp)], ends[:-1])]
    return deflated(np.concatenate(parts).tobytes())


def _unpacked_points(
    payload: bytes, lattice: Lattice, n_points: int
) -> tuple[npt.NDArray[np.uintp], IndexArray]:
    """Return the flat indices of the known grid points, by level, and where each level ends."""
    grid, grid_ends = _points_by_level(lattice)
    if n_points == len(grid):
        return grid, grid_ends
    points, ends = np.empty(n_points, np.uintp), np.empty_like(grid_ends)
    n_bytes = int((-(-np.diff(grid_ends, prepend=0) // 8)).sum())
    known_points(_inflated_bytes(payload, n_bytes), grid, grid_ends, points, ends)
    if ends[-1] != n_points or ends[0] != grid_ends[0]:
        raise RecordingError("the positions of a packed map are not as its header says")
    return points, ends


@lru_cache(maxsize=4)
def _points_by_level(lattice: Lattice) -> tuple[npt.NDArray[np.uintp], IndexArray]:
    """Return the flat indices of all grid points, by level, and where each level ends."""
    order, ends = lattice.order(np.arange(lattice.shape[0] * lattice.shape[1]))
    return order.astype(np.uintp), ends


def _ordered(values: npt.NDArray[np.floating[Any]]) -> Int64Array:
    """Return the bits of floats as integers in the order of the floats."""
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values).view(f"<i{size}").astype(np.int64)
    return np.where(bits < 0, -1 - (bits & (2 ** (8 * size - 1) - 1)), bits)


def _unordered(ordered: Int64Array, bits: int) -> npt.NDArray[np.floating[Any]]:
    """Return the floats whose bits :func:`_ordered` has made integers of."""
    small = ordered.astype(f"<i{bits // 8}")
    negative = (small >> (bits - 1)).view(f"<u{bits // 8}")  # All bits set, or none.
    found = small.view(f"<u{bits // 8}") ^ (negative >> 1)
    return cast("npt.NDArray[np.floating[Any]]", found.view(f"<f{bits // 8}"))


def deflated(raw: bytes, level: int = 4) -> bytes:
    """Return a raw deflate stream; level 6 takes a quarter longer for 1.5 % fewer bytes."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    return deflate.compress(raw) + deflate.flush()


def _inflated_bytes(payload: bytes, size: int) -> npt.NDArray[np.uint8]:
    """Return what :func:`inflated` returns as a writable array, as kernels take it."""
    return ready(np.frombuffer(inflated(payload, size), np.uint8), np.uint8)


def inflated(payload: bytes, size: int) -> bytes:
    """Inflate to exactly ``size`` bytes; no more are ever made.

    Raises
    ------
    RecordingError
        If it is no deflate stream of so many bytes.
    """
    inflate = zlib.decompressobj(-15)
    try:
        raw = inflate.decompress(payload, size + 1)
    except zlib.error as error:
        raise RecordingError(f"a packed map cannot be inflated: {error}") from None
    if len(raw) != size or not inflate.eof or inflate.unused_data:
        raise RecordingError(f"a packed map inflates to {len(raw):,} bytes, expected {size:,}")
    return raw
