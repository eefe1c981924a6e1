"""The snapshots of a recording on disk, read one chunk at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.errors import RecordingError
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.zarr_store.contents import Contents, root_document
from trainviz.recordings.zarr_store.places import Place

__all__ = ["DiskReader"]


_LARGEST_MAP = 2**30
"""Of a map as float32; a stranger's constant map of 0.5 MB on disk can be larger than memory."""


class DiskReader:
    """The snapshots of a recording on disk; opening it reads no map."""

    def __init__(self, place: Place, contents: Contents, trust: bool = True) -> None:
        self.place = place
        self._trust = trust
        self.contents = contents
        self._guesses: tuple[int, npt.NDArray[Any] | None] = (-1, None)

    @classmethod
    def at(cls, place: Place, *, trust: bool = False) -> DiskReader:
        """Open the recording at a place.

        Parameters
        ----------
        place : Place
        trust : bool, default False
            Whether to take as much memory as the recording asks for.

        Raises
        ------
        RecordingError
            If there is none, or it is damaged.
        """
        document = root_document(place)
        if document is None:
            raise RecordingError(
                f"{place.describe()} holds no recording: expected what a recorder wrote with path="
                if place.holds_anything()
                else f"there is no recording at {place.describe()}"
            )
        return cls(place, Contents.read(place, document, trust=trust), trust)

    @property
    def n_classes(self) -> int | None:
        """The number of classes."""
        maps = self.contents.probabilities
        return None if maps is None else maps.row[0]

    def __len__(self) -> int:
        return len(self.contents)

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index``.

        Raises
        ------
        RecordingError
            If its chunk is damaged or missing.
        """
        return Snapshot(
            self.map(index), self.epoch(index), self.step(index), self.metrics(index),
            self.contents.columns["evaluations"][index], self.data_predictions(index),
        )  # fmt: skip

    def map(self, index: int) -> npt.NDArray[np.float32]:
        """Return the class probabilities of snapshot ``index``, shape (C, H, W)."""
        layout = self.contents.probabilities
        assert layout is not None
        who = f"snapshot {index} (epoch {self.epoch(index)}) cannot be read"
        size = 4 * math.prod(layout.row)
        if size > _LARGEST_MAP and not self._trust:
            raise RecordingError(
                f"{who}: its map takes {size:,} bytes of memory, and the limit is "
                f"{_LARGEST_MAP:,}; if you trust it, open_recording(path, trust=True) reads it"
            )
        try:
            chunk = layout.read(self.place, index)
        except RecordingError as error:
            raise RecordingError(f"{who}: {error}") from error
        if chunk is None:
            missing = self.place.describe(layout.key(index))
            raise RecordingError(f"{who}: the chunk {missing} is missing")
        values: npt.NDArray[np.float32] = chunk[0].astype(np.float32)
        output = self.contents.description.output
        if output.fault(values) is not None:
            raise RecordingError(
                f"{who}: the chunk {self.place.describe(layout.key(index))} holds no {output}"
            )
        if layout.dtype == "float16" and output.has_classes:
            # float16 loses up to 0.0003 of a probability: normalise, so that the sums are 1 again.
            values /= values.sum(axis=0)
        return values

    def epoch(self, index: int) -> int:
        """Return the epoch of snapshot ``index``."""
        return self.contents.columns["epoch"][index]

    def step(self, index: int) -> int | None:
        """Return the step of snapshot ``index``."""
        step = self.contents.columns["step"][index]
        return None if step < 0 else step

    def metrics(self, index: int) -> Mapping[str, float]:
        """Return the metrics of snapshot ``index``."""
        # A copy, because the recording thread may add a metric meanwhile.
        columns = tuple(self.contents.metrics.items())
        return {name: row[index] for name, row in columns if not np.isnan(row[index])}

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return the predictions of snapshot ``index``."""
        layout = self.contents.predictions
        if layout is None:
            return None
        number, row = divmod(index, layout.rows)
        if self._guesses[0] != number:
            self._guesses = number, layout.read(self.place, number)
        chunk = self._guesses[1]
        if chunk is None:
            raise RecordingError(
                f"the predictions of snapshot {index} (epoch {self.epoch(index)}) cannot be read: "
                f"the chunk {self.place.describe(layout.key(number))} is missing"
            )
        guesses: npt.NDArray[np.intp] = chunk[row].astype(np.intp)
        return None if len(guesses) and guesses[0] < 0 else guesses
