"""The snapshots of a recording on disk, read one chunk at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from trainviz.errors import RecordingError
from trainviz.recordings.history import LogEntry
from trainviz.recordings.packed import PackedMap
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.zarr_store.chunks import Facts
from trainviz.recordings.zarr_store.contents import Contents, current_document, generation_of
from trainviz.recordings.zarr_store.places import Place

__all__ = ["DiskReader"]


_ATTEMPTS = 20
"""How often a recording is read again because a writer replaced its snapshots meanwhile."""


class DiskReader:
    """The snapshots of a recording on disk; opening it reads the last map at most.

    It stays at the snapshots that were there when it was opened. One that was
    replaced since raises when it is read.
    """

    def __init__(self, place: Place, contents: Contents) -> None:
        self.place = place
        self.contents = contents
        # A film marks the errors of the snapshots whose maps it has just read.
        self._predictions: deque[tuple[int, npt.NDArray[np.intp] | None]] = deque(maxlen=4)

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
        document = current_document(place, trust=trust)
        for attempt in range(_ATTEMPTS):
            if document is None:
                raise RecordingError(
                    f"{place.describe()} holds no recording: expected what a recorder wrote with "
                    "path=" if place.holds_anything()
                    else f"there is no recording at {place.describe()}"
                )  # fmt: skip
            failure = None
            try:
                reader = cls(place, Contents.read(place, document, trust=trust))
            except RecordingError as error:
                failure = error
            again = current_document(place, trust=trust)
            if again is not None and generation_of(again) == generation_of(document):
                # Between the same two states a file may be missing only if it is being written.
                if failure is None:
                    return reader
                if again == document or attempt == _ATTEMPTS - 1:
                    raise failure
            document = again
        raise RecordingError(
            f"{place.describe()} cannot be opened: other processes go on replacing it"
        )

    def grown(self) -> DiskReader:
        """Return a reader that also knows later snapshots; see :meth:`Contents.grown`."""
        return DiskReader(self.place, self.contents.grown(self.place))

    @property
    def n_classes(self) -> int | None:
        """The number of classes."""
        maps = self.contents.probabilities
        return None if maps is None else maps.row[0]

    def __len__(self) -> int:
        return len(self.contents)

    def read(self, index: int) -> Snapshot:
        """Return snapshot ``index``, whose map stays packed until it is used.

        Raises
        ------
        RecordingError
            If its chunk is damaged, missing, or replaced since the recording was opened.
        """
        facts, packed = self._chunk(index)
        self._predictions.append((index, facts.data_predictions))
        layout = self.contents.probabilities
        assert layout is not None
        source = f"{self._who(index)}, {self.place.describe(layout.key(index))},"
        packed_map = PackedMap(
            packed, self.contents.description.output, source, 4 * math.prod(layout.row)
        )
        return Snapshot(
            packed_map, facts.epoch, facts.step, facts.metrics, facts.evaluations,
            facts.data_predictions, facts.error, facts.method, facts.weights_epoch,
        )  # fmt: skip

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
        if self.contents.n_points is None:
            return None
        for read, found in list(self._predictions):
            if read == index:
                return found
        return self._chunk(index)[0].data_predictions

    def weights_epoch(self, index: int) -> int | None:
        """Return the epoch whose weights snapshot ``index`` shows, if not its own."""
        return self._chunk(index)[0].weights_epoch

    def logged(self) -> Sequence[LogEntry]:
        """Return what was logged beside the snapshots.

        Raises
        ------
        RecordingError
            If the log is damaged.
        """
        if self.contents.log.failure is not None:
            raise self.contents.log.failure
        return self.contents.log.entries[:]

    def generation_of(self, index: int) -> int:
        """Return the generation of the recording when snapshot ``index`` was captured."""
        return self._chunk(index)[0].generation

    def _chunk(self, index: int) -> tuple[Facts, bytes]:
        layout, contents = self.contents.probabilities, self.contents
        assert layout is not None
        who, chunk = self._who(index), self.place.describe(layout.key(index))
        try:
            found = contents.chunk(self.place, index)
        except RecordingError as error:
            self._require_same_generation(who)
            raise RecordingError(f"{who} cannot be read: {error}") from error
        if found is None:
            self._require_same_generation(who)
            raise RecordingError(f"{who} cannot be read: the chunk {chunk} is missing")
        if found[0].generation > contents.generation:
            raise self._replaced(who)
        return found

    def _require_same_generation(self, who: str) -> None:
        document = current_document(self.place, trust=self.contents.trust)
        if document is None or generation_of(document) > self.contents.generation:
            raise self._replaced(who)

    def _replaced(self, who: str) -> RecordingError:
        return RecordingError(
            f"{who} cannot be read: {self.place.describe()} was recorded anew or continued from an "
            "earlier epoch since it was opened; open it again"
        )

    def _who(self, index: int) -> str:
        return f"snapshot {index} (epoch {self.epoch(index)})"
