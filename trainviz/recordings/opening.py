"""Opening a recording at a path to read it, and starting or continuing one."""

from __future__ import annotations

import os

from trainviz._common.checks import check_switch
from trainviz.recordings.recording import Recording
from trainviz.recordings.stores import MemoryStore, Store, WritableStore
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.places import place_of
from trainviz.recordings.zarr_store.reader import DiskReader
from trainviz.recordings.zarr_store.store import DiskStore, Precision, Resume, check_precision

__all__ = ["open_recording", "recording_of", "start_recording"]


def open_recording(path: str | os.PathLike[str], *, trust: bool = False) -> Recording:
    """Open a recording that a recorder has written with ``path=``.

    Opening reads epochs, steps and metrics; a map is read only when its
    snapshot is accessed. Nothing is unpickled or executed, whatever the files
    hold. A recording that is still being written opens with its snapshots so
    far.

    Parameters
    ----------
    path : str or PathLike
        A folder, a single file ``.zarr.zip``, or an address that fsspec knows
        (``s3://bucket/a.zarr``).
    trust : bool, default False
        Take as much memory as the recording asks for. By default a map of more
        than 1 GB raises when it is read, and so does opening a recording that
        would take 64 MB and 500 times its size on disk: it is damaged, or made
        to do harm.

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        If there is no recording, it is damaged, or a newer trainviz wrote it.
        A damaged snapshot raises only when it is read.
    ImportError
        If Zarr's codecs are not installed.

    Examples
    --------
    >>> import tempfile
    >>> import trainviz as tv
    >>> path = tempfile.mkdtemp() + "/a.zarr"
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5), path=path)
    >>> for epoch in range(3):
    ...     _ = recorder.capture(lambda X: X[:, 0] * epoch / 2, epoch=epoch)
    >>> tv.open_recording(path)
    Recording(3 snapshots, epochs 0 to 2, 2 classes, grid 5x5)
    """
    check_switch("trust", trust)
    reader = DiskReader.at(place_of(path), trust=trust)
    return recording_of(reader, reader.contents.description)


def start_recording(
    description: Description,
    *,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: Resume = False,
    precision: Precision = "float16",
    durable: bool = False,
) -> tuple[Recording, WritableStore]:
    """Return the recording and the store that a recorder writes to.

    Parameters
    ----------
    description : Description
        All of the recording but its snapshots.
    path, overwrite, resume, precision, durable
        As for :class:`~trainviz.Recorder`.

    Raises
    ------
    RecordingError
        If the path is not free, or the recording there does not fit.
    """
    check_precision(precision)
    if overwrite and resume:
        raise ValueError("overwrite=True replaces a recording, resume=True continues it: give one")
    if path is None:
        if overwrite or resume:
            name = "overwrite" if overwrite else "resume"
            raise ValueError(f"{name}=True needs path=, where the recording is")
        memory = MemoryStore()
        return recording_of(memory, description), memory
    store = DiskStore(
        place_of(path), description, overwrite=overwrite, resume=resume, precision=precision,
        durable=durable,
    )  # fmt: skip
    return recording_of(store, store.contents.description), store


def recording_of(store: Store, found: Description) -> Recording:
    """Return a recording of what a store holds."""
    return Recording(
        found.domain, store, data=found.data, class_names=found.class_names,
        classes=found.classes, output=found.output, unit=found.unit,
    )  # fmt: skip
