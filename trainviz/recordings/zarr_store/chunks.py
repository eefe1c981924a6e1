"""The chunks of a recording: each holds one snapshot, its packed map and all facts about it."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.output_kind import OutputKind
from trainviz.errors import RecordingError
from trainviz.evaluation.compact_map import CompactMap
from trainviz.recordings.packed import (
    PackedMap,
    deflated,
    facts_of,
    inflated,
    pack,
    with_facts,
)
from trainviz.recordings.snapshot import Provisional, Snapshot
from trainviz.recordings.zarr_store.arrays import MapLayout, checked, with_checksum
from trainviz.recordings.zarr_store.places import Place

__all__ = [
    "Facts",
    "encode_chunk",
    "metrics_as_json",
    "metrics_of_json",
    "packed_map",
    "read_chunk",
    "whole_number",
]

_MOST_FACTS, _MOST_FOR_A_POINT = 2**24, 6
"""Bytes of the facts about a snapshot, of which 10,000 metrics take a megabyte, and more for each
data point: its predicted class takes four at most, as text six."""

_LARGEST_MAP = 2**30
"""Of a map as float32; a stranger's constant map of 0.5 MB on disk can be larger than memory."""


@dataclass(frozen=True)
class Facts:
    """What a chunk states beside its map.

    Attributes
    ----------
    generation : int
        Of the recording when the chunk was written: greater than that of all
        snapshots that it has replaced since.
    epoch, step, metrics, evaluations, data_predictions, error, method, weights_epoch
        As of :class:`trainviz.Snapshot`.
    provisional : Provisional or None
        How to undo the end of the run, if this is the last snapshot.

    Examples
    --------
    >>> facts = Facts(7, 3, None, {"loss": 0.5}, data_predictions=np.array([1, 0]))
    >>> Facts.of_json(facts.as_json(), 2).data_predictions
    array([1, 0])
    """

    generation: int
    epoch: int
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluations: int = 0
    data_predictions: npt.NDArray[np.intp] | None = None
    provisional: Provisional | None = None
    error: float | None = None
    method: str = ""
    weights_epoch: int | None = None

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot, generation: int) -> Facts:
        """Return the facts of a snapshot that is to be stored."""
        step = None if snapshot.step is None else int(snapshot.step)
        metrics = {name: float(value) for name, value in snapshot.metrics.items()}
        return cls(
            generation, int(snapshot.epoch), step, metrics, int(snapshot.evaluations),
            snapshot.data_predictions, None, snapshot.error, snapshot.method,
            snapshot.weights_epoch,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON can hold them."""
        found: dict[str, Any] = {
            "generation": self.generation,
            "epoch": self.epoch,
            "step": self.step,
            "evaluations": self.evaluations,
            "metrics": metrics_as_json(self.metrics),
        }
        if self.method:
            found["method"] = self.method
        if self.error is not None:
            found["error"] = float(self.error)
        if self.weights_epoch is not None:
            found["weights_epoch"] = int(self.weights_epoch)
        if self.data_predictions is not None:
            found["data_predictions"] = _packed_integers(self.data_predictions)
        if self.provisional is not None:
            found["provisional"] = {
                "epoch": self.provisional.epoch,
                "metrics": metrics_as_json(self.provisional.metrics),
            }
        return found

    @classmethod
    def of_json(cls, found: Mapping[str, Any], n_points: int | None) -> Facts:
        """Return the facts in a chunk.

        Parameters
        ----------
        found : mapping
        n_points : int or None
            The number of data points; predictions of another number are refused.
            With None they are not read.

        Raises
        ------
        RecordingError
            If they are not as a recorder writes them.
        """
        try:
            step, provisional = found["step"], found.get("provisional")
            guesses = found.get("data_predictions") if n_points is not None else None
            error, shown = found.get("error"), found.get("weights_epoch")
            return cls(
                whole_number(found["generation"]),
                whole_number(found["epoch"]),
                None if step is None else whole_number(step),
                metrics_of_json(found["metrics"]),
                whole_number(found["evaluations"]),
                None if guesses is None else _unpacked_integers(guesses, n_points or 0),
                None if provisional is None else _provisional(provisional),
                None if error is None else float(error),
                str(found.get("method", "")),
                None if shown is None else whole_number(shown),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError("its facts are not as a recorder writes them") from None


def encode_chunk(facts: Facts, packed: bytes) -> bytes:
    """Return the bytes of a chunk: a packed map with its facts, and a checksum."""
    return with_checksum(with_facts(packed, facts.as_json()))


def packed_map(
    values: npt.NDArray[np.float32] | CompactMap | PackedMap, kind: OutputKind, precision: str
) -> bytes:
    """Return the map of a snapshot packed as it is stored; packed bytes stay what they are.

    Parameters
    ----------
    values : ndarray, CompactMap or PackedMap
    kind : OutputKind
    precision : {"float16", "float32"}
        Of a map that is an array. The logarithms of a compact map are in half
        precision already.
    """
    if isinstance(values, PackedMap):
        if values.dtype in (None, precision):
            return values.payload
        values = values.dense()
    held = values.astype(precision) if isinstance(values, np.ndarray) else values
    return pack(held, kind)


def read_chunk(
    place: Place,
    layout: MapLayout,
    index: int,
    n_points: int | None,
    *,
    trust: bool = False,
) -> tuple[Facts, bytes] | None:
    """Return the facts and the packed map in a chunk, or None if its file is missing.

    Parameters
    ----------
    place : Place
    layout : MapLayout
    index : int
    n_points : int or None
        As for :meth:`Facts.of_json`.
    trust : bool, default False
        Read a chunk whose map takes more than a gigabyte.

    Raises
    ------
    RecordingError
        If it is damaged; the message names the file.
    """
    size = 4 * math.prod(layout.row)
    if size > _LARGEST_MAP and not trust:
        raise RecordingError(
            f"its map takes {size:,} bytes of memory, and the limit is {_LARGEST_MAP:,}; if you "
            "trust it, open_recording(path, trust=True) reads it"
        )
    most_facts = _MOST_FACTS + _MOST_FOR_A_POINT * (n_points or 0)
    # What cannot be deflated becomes a little larger.
    payload = place.read(layout.key(index), size + size // 4 + most_facts)
    if payload is None:
        return None
    try:
        found, packed = facts_of(checked(payload), most=most_facts)
        if PackedMap(packed).shape != layout.row:
            raise RecordingError(f"its map has the shape {PackedMap(packed).shape}")
        return Facts.of_json(found, n_points), packed
    except RecordingError as error:
        raise RecordingError(
            f"the chunk {place.describe(layout.key(index))} is damaged: {error}"
        ) from error


def metrics_as_json(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Return metrics as JSON can hold them."""
    # JSON has no infinity, and NaN says that a metric was not given.
    return {
        name: value if math.isfinite(value) else str(value)
        for name, value in metrics.items()
        if not math.isnan(value)
    }


def _provisional(found: Mapping[str, Any]) -> Provisional:
    epoch = found["epoch"]
    return Provisional(
        None if epoch is None else whole_number(epoch), metrics_of_json(found["metrics"])
    )


def metrics_of_json(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics in a JSON object; raise what ``float`` does."""
    return {str(name): float(value) for name, value in found.items()}


def _packed_integers(values: npt.NDArray[np.intp]) -> dict[str, str]:
    small = values.astype(np.min_scalar_type(int(values.max(initial=0))))
    little = small.astype(small.dtype.newbyteorder("<"), copy=False)
    packed = base64.b64encode(deflated(little.tobytes())).decode("ascii")
    return {"dtype": small.dtype.name, "deflate": packed}


def _unpacked_integers(found: Mapping[str, Any], n_points: int) -> npt.NDArray[np.intp]:
    if found["dtype"] not in ("uint8", "uint16", "uint32"):
        raise ValueError(found["dtype"])
    dtype = np.dtype(found["dtype"]).newbyteorder("<")
    raw = inflated(base64.b64decode(found["deflate"], validate=True), n_points * dtype.itemsize)
    return np.frombuffer(raw, dtype).astype(np.intp)


def whole_number(value: Any) -> int:
    """Return an epoch, step or count in JSON; raise a ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(value)
    return value
