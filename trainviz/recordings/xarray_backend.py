"""A recording as an xarray Dataset, whose maps are read only when they are used.

Registered as the entry point ``trainviz`` of ``xarray.backends``, so that
``xarray.open_dataset(path, engine="trainviz")`` opens a recording.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from trainviz.domain.domain import Domain
from trainviz.errors import RecordingError
from trainviz.recordings.history import History, history_of
from trainviz.recordings.stores import Store

__all__ = ["TrainvizBackend", "as_dataset"]


def as_dataset(
    store: Store,
    domain: Domain,
    class_names: Sequence[str],
    n_points: int | None = None,
    groups: Sequence[str] | None = None,
) -> xarray.Dataset:
    """Return the snapshots of a store with named dimensions and coordinates.

    Parameters
    ----------
    store : Store
    domain : Domain
    class_names : sequence of str
        The labels along ``class``.
    n_points : int, optional
        The number of data points whose classes are predicted.
    groups : sequence of str, optional
        The name of each point's group.

    Returns
    -------
    xarray.Dataset
        ``probabilities``, whose chunks are single snapshots, and a variable for
        each metric; a metric whose name is taken gets the prefix ``metric_``.
        ``data_predictions`` is -1 where a snapshot has none. ``history_NAME`` along
        ``moment`` are the metrics of all moments, captured or not. Categories along an
        axis are the coordinate ``x_category`` or ``y_category``.
    """
    count = range(len(store))
    shape = (len(store), store.n_classes or 0, *domain.shape)
    steps = [store.step(index) for index in count]
    maps = _Lazy(store, _map_of, shape, np.dtype(np.float32))
    lazy = {"probabilities": maps.variable("class", "y", "x")}
    if n_points is not None:
        guesses = _Lazy(store, _predictions_of, (len(store), n_points), np.dtype(np.intp))
        lazy["data_predictions"] = guesses.variable("point")
    dataset = xarray.Dataset(
        lazy,
        {
            "epoch": ("snapshot", np.array([store.epoch(i) for i in count], dtype=np.int64)),
            "step": ("snapshot", np.array([np.nan if s is None else s for s in steps], float)),
            "class": list(class_names),
            "y": domain.y,
            "x": domain.x,
        },
    )
    if groups is not None:
        dataset = dataset.assign_coords(group=("point", list(groups)))
    rows = [store.metrics(index) for index in count]
    for name in dict.fromkeys(name for row in rows for name in row):
        taken = name in dataset.variables or name in dataset.sizes
        values = np.array([row.get(name, np.nan) for row in rows])
        dataset[f"metric_{name}" if taken else name] = ("snapshot", values)
    for which, places, axis in (
        ("x", domain.x, domain.axes[0]), ("y", domain.y, domain.axes[1])
    ):  # fmt: skip
        if axis.bands is not None:
            names = [axis.categories[band] for band in axis.band(places)]
            dataset = dataset.assign_coords({f"{which}_category": (which, names)})
    return _with_history(dataset, history_of(store))


def _with_history(dataset: xarray.Dataset, history: History) -> xarray.Dataset:
    if not history.metrics:
        return dataset
    times = {
        "history_epoch": ("moment", history.epochs), "history_step": ("moment", history.steps)
    }  # fmt: skip
    values = {f"history_{name}": ("moment", found) for name, found in history.metrics.items()}
    return dataset.assign_coords(times).assign(
        {name: found for name, found in values.items() if name not in times}
    )


class TrainvizBackend(BackendEntrypoint):  # type: ignore[misc]
    """Opens recordings for :func:`xarray.open_dataset`."""

    description = "Open a recording of trainviz"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "trust")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        trust: bool = False,
    ) -> xarray.Dataset:
        """Open a recording; with ``chunks={}`` as Dask arrays, one chunk a snapshot.

        Parameters
        ----------
        filename_or_obj : str or PathLike
        drop_variables : str or iterable of str, optional
            What to leave out.
        trust : bool, default False
            As for :func:`trainviz.open_recording`.

        Raises
        ------
        RecordingError
            If there is no recording, or it is damaged.
        """
        from trainviz.recordings.opening import open_recording

        dataset = open_recording(filename_or_obj, trust=trust).to_xarray()
        left_out = [drop_variables] if isinstance(drop_variables, str) else drop_variables or []
        return dataset.drop_vars(list(left_out), errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return whether a path holds a recording."""
        from trainviz.recordings.zarr_store.contents import current_document
        from trainviz.recordings.zarr_store.places import place_of

        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        if not os.path.exists(filename_or_obj):
            return False
        try:
            return current_document(place_of(filename_or_obj)) is not None
        except RecordingError:
            return False


class _Lazy(BackendArray):  # type: ignore[misc]
    """An array along the snapshots, each row of which is read when it is used."""

    def __init__(
        self,
        store: Store,
        read: Callable[[Store, int], npt.NDArray[Any]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._store = store
        self._read_row = read
        self.shape = shape
        self.dtype = dtype

    def variable(self, *dims: str) -> xarray.Variable:
        """Return a variable of this array with a chunk for each snapshot."""
        names = ("snapshot", *dims)
        chunks = dict(zip(names, (1, *self.shape[1:]), strict=True))
        lazy = indexing.LazilyIndexedArray(self)
        return xarray.Variable(names, lazy, encoding={"preferred_chunks": chunks})

    def __getitem__(self, key: Any) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._read)

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        wanted = np.arange(self.shape[0])[key[0]]
        if wanted.ndim == 0:
            return self._row(int(wanted), key[1:])
        if not len(wanted):
            return _along_each_axis(np.empty((0, *self.shape[1:]), self.dtype), key[1:], first=1)
        return np.stack([self._row(int(index), key[1:]) for index in wanted])

    def _row(self, index: int, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        row = np.broadcast_to(self._read_row(self._store, index), self.shape[1:])
        return _along_each_axis(row, key)


def _map_of(store: Store, index: int) -> npt.NDArray[np.float32]:
    return store.read(index).probabilities


def _predictions_of(store: Store, index: int) -> npt.NDArray[np.intp]:
    found = store.data_predictions(index)
    return np.array(-1, np.intp) if found is None else found


def _along_each_axis(
    values: npt.NDArray[Any], key: tuple[Any, ...], first: int = 0
) -> npt.NDArray[Any]:
    for axis in reversed(range(len(key))):
        values = values[(*[slice(None)] * (first + axis), key[axis])]
    return values
