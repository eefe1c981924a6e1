"""A recording as an xarray Dataset, whose maps are read only when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainviz._common.providers import install_hint
from trainviz.domain.domain import Domain
from trainviz.recordings.stores import Store

if TYPE_CHECKING:
    import xarray

__all__ = ["as_dataset"]


def as_dataset(store: Store, domain: Domain, class_names: Sequence[str]) -> xarray.Dataset:
    """Return the snapshots of a store with named dimensions and coordinates.

    Parameters
    ----------
    store : Store
    domain : Domain
    class_names : sequence of str
        The labels along ``class``.

    Returns
    -------
    xarray.Dataset
        ``probabilities`` and a variable for each metric; a metric whose name is
        taken gets the prefix ``metric_``.
    """
    try:
        import xarray
        from xarray.core import indexing
    except ImportError as error:
        raise ImportError(install_hint("xarray", "to_xarray()")) from error
    count = range(len(store))
    shape = (len(store), store.n_classes or 0, *domain.shape)
    maps = indexing.LazilyIndexedArray(_lazy_maps(store, shape))
    steps = [store.step(index) for index in count]
    dataset = xarray.Dataset(
        {"probabilities": (("snapshot", "class", "y", "x"), maps)},
        {
            "epoch": ("snapshot", np.array([store.epoch(i) for i in count], dtype=np.int64)),
            "step": ("snapshot", np.array([np.nan if s is None else s for s in steps], float)),
            "class": list(class_names),
            "y": domain.y,
            "x": domain.x,
        },
    )
    guesses = [store.data_predictions(index) for index in count]
    if guesses and all(row is not None for row in guesses):
        dataset["data_predictions"] = (("snapshot", "point"), np.array(guesses))
    rows = [store.metrics(index) for index in count]
    for name in dict.fromkeys(name for row in rows for name in row):
        taken = name in dataset.variables or name in dataset.sizes
        values = np.array([row.get(name, np.nan) for row in rows])
        dataset[f"metric_{name}" if taken else name] = ("snapshot", values)
    return dataset


def _lazy_maps(store: Store, shape: tuple[int, ...]) -> Any:
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Maps(BackendArray):  # type: ignore[misc]
        def __init__(self) -> None:
            self.shape = shape
            self.dtype = np.dtype(np.float32)

        def __getitem__(self, key: Any) -> Any:
            outer = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(key, shape, outer, self._read)

        def _read(self, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
            wanted = np.arange(shape[0])[key[0]]
            if wanted.ndim == 0:
                return self._map(int(wanted), key[1:])
            if not len(wanted):
                return _along_each_axis(np.empty((0, *shape[1:]), np.float32), key[1:], first=1)
            return np.stack([self._map(int(index), key[1:]) for index in wanted])

        def _map(self, index: int, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
            return _along_each_axis(store.read(index).probabilities, key)

    return Maps()


def _along_each_axis(
    values: npt.NDArray[np.float32], key: tuple[Any, ...], first: int = 0
) -> npt.NDArray[np.float32]:
    for axis in reversed(range(len(key))):
        values = values[(*[slice(None)] * (first + axis), key[axis])]
    return values
