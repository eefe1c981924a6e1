"""Maps that other processes write beside a recording, for its one writer to append."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.zarr_store.contents import maps_layout
from trainviz.recordings.zarr_store.places import Place

__all__ = ["STAGED", "StagedSnapshot", "stage"]

STAGED = "x/.staged"
"""A folder beside the lock, inside an array, whose unknown files Zarr does not list."""


@dataclass(frozen=True, eq=False)
class StagedSnapshot:
    """A snapshot whose map lies in a file that is not yet part of the recording.

    Attributes
    ----------
    key : str
        The name of the file.
    shape : tuple of int
        ``(C, H, W)``.
    epoch, step, metrics, evaluations, data_predictions
        As of :class:`trainviz.Snapshot`.
    """

    key: str
    shape: tuple[int, int, int]
    epoch: int
    step: int | None
    metrics: Mapping[str, float]
    evaluations: int
    data_predictions: npt.NDArray[np.intp] | None


def stage(place: Place, name: str, snapshot: Snapshot, precision: str) -> StagedSnapshot:
    """Write the map of a snapshot beside a recording, without its lock and without changing it.

    Parameters
    ----------
    place : Place
        The recording.
    name : str
        A name that no other map has.
    snapshot : Snapshot
    precision : {"float16", "float32"}
        Of the recording.

    Returns
    -------
    StagedSnapshot
        For :meth:`~.store.DiskStore.append_staged`, in whichever process.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from trainviz.recordings.zarr_store.places import FolderPlace
    >>> place = FolderPlace(Path(tempfile.mkdtemp()))
    >>> half = Snapshot(np.full((2, 3, 3), 0.5, dtype=np.float32), epoch=4)
    >>> stage(place, "a", half, "float16").key
    'x/.staged/a'
    """
    key = f"{STAGED}/{name}"
    n_classes, height, width = snapshot.shape
    layout = maps_layout(n_classes, (height, width), precision)
    place.write(key, layout.encode(snapshot.probabilities[None]))
    return StagedSnapshot(
        key, snapshot.shape, snapshot.epoch, snapshot.step, snapshot.metrics,
        snapshot.evaluations, snapshot.data_predictions,
    )  # fmt: skip
