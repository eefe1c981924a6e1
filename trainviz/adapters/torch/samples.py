"""Samples of the data that a trainer trains on, taken without disturbing the training."""

from __future__ import annotations

import gc
import io
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate

from trainviz._common.arrays import to_numpy
from trainviz.adapters.torch.isolation import TorchRandomStreams

__all__ = ["training_samples"]

_SAMPLES = 1000

_ADVICE = "give a domain, or data=(X, y), or take trainviz.watch(model, X, y)"


def training_samples(loader: Any) -> tuple[tuple[Any, Any], str, list[str] | None]:
    """Return samples of a training set, as its loader hands them on.

    The loader's own iterator is not touched. The samples come from a copy of the data
    set (arrays and tensors are shared), and what it draws from random streams is undone.

    Parameters
    ----------
    loader : DataLoader

    Returns
    -------
    data : tuple
        ``(X, y)``; y is None if the batches hold no labels.
    note : str
        What X and y are, in words.
    class_names : list of str, or None
        The ``classes`` of the data set, as those of torchvision have.

    Raises
    ------
    ValueError
        If they cannot be taken; the message says why, and what to give instead.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> X, y = torch.arange(8.0).reshape(4, 2), torch.tensor([0, 1, 0, 1])
    >>> (inputs, labels), note, _ = training_samples(DataLoader(TensorDataset(X, y), batch_size=2))
    >>> len(inputs), labels.tolist(), note
    (4, [0, 1, 0, 1], 'X, y: recording.data.X and .y, 4 samples of the training data')
    """
    if not isinstance(loader, DataLoader):
        raise ValueError(
            f"no domain, and the training data are a {type(loader).__name__}: samples are taken "
            f"of a single DataLoader alone; {_ADVICE}"
        )
    batch = _undisturbed(loader)
    is_pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if not is_pair and not isinstance(batch, torch.Tensor):
        held = list(batch) if isinstance(batch, Mapping) else len(batch)
        raise ValueError(
            f"no domain, and the batches of the training data are a {type(batch).__name__} of "
            f"{held}: samples are taken of pairs (X, y) alone; {_ADVICE}"
        )
    X, y = batch if is_pair else (batch, None)
    if not isinstance(X, torch.Tensor) or not X.is_floating_point():
        kind = X.dtype if isinstance(X, torch.Tensor) else type(X).__name__
        raise ValueError(
            f"no domain, and the inputs of the training data are {kind}: a plane is made of "
            f"floating point numbers, and of tokens only by their embeddings; {_ADVICE}"
        )
    labels = None if y is None else to_numpy(y)
    name = "X" if y is None else "X, y"
    where = "recording.data.X" if y is None else "recording.data.X and .y"
    note = f"{name}: {where}, {len(X):,} samples of the training data"
    return (to_numpy(X), labels), note, _class_names(loader.dataset, labels)


def _class_names(dataset: Any, labels: Any) -> list[str] | None:
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset  # Of a Subset.
    names = getattr(dataset, "classes", None)
    is_list = isinstance(names, Sequence) and not isinstance(names, str) and len(names) > 1
    is_number = labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu"
    return [str(name) for name in names] if names is not None and is_list and is_number else None


def _undisturbed(loader: DataLoader[Any]) -> Any:
    """Return one batch of samples, and put the global random streams back."""
    try:
        dataset, collate = _copied((loader.dataset, loader.collate_fn))
    except Exception as error:
        raise ValueError(
            f"no domain, and the training data set {type(loader.dataset).__name__} cannot be "
            f"copied to take samples of it ({error}); {_ADVICE}"
        ) from error
    if loader.batch_sampler is None:
        collate = _joined
    indices = getattr(loader.sampler, "indices", None)
    with _streams_put_back():
        try:
            return collate(_items(dataset, indices))
        except Exception as error:
            raise ValueError(
                f"no domain, and samples of the training data set {type(loader.dataset).__name__} "
                f"cannot be taken ({type(error).__name__}: {error}); {_ADVICE}"
            ) from error


@contextmanager
def _streams_put_back() -> Iterator[None]:
    """Undo draws from all random streams, also from those that a data set holds somewhere.

    Before the first step no other threads run but those of the loader, which draw nothing.
    A ``torch.Generator`` that the data set does not hold as an attribute is not found.
    """
    streams = TorchRandomStreams()
    state = streams.read()
    others: list[tuple[Any, str, Any]] = []
    # By type, because isinstance asks some objects for their class, which warns.
    for thing in gc.get_objects():
        kind = type(thing)
        if issubclass(kind, np.random.BitGenerator):
            others.append((thing, "state", thing.state))
        elif issubclass(kind, random.Random) and not issubclass(kind, random.SystemRandom):
            others.append((thing, "setstate", thing.getstate()))
    try:
        yield
    finally:
        streams.write(state)
        for thing, how, before in others:
            if how == "state":
                thing.state = before
            else:
                thing.setstate(before)


def _items(dataset: Any, indices: Sequence[int] | None) -> list[Any]:
    if isinstance(dataset, IterableDataset):
        return list(islice(dataset, _SAMPLES))
    known = range(len(dataset)) if indices is None else indices
    places = np.linspace(0, len(known) - 1, min(_SAMPLES, len(known))).round().astype(int)
    return [dataset[known[place]] for place in places.tolist()]


def _joined(batches: list[Any]) -> Any:
    """Join the batches that a data set yields itself, where its loader has ``batch_size=None``."""
    items = [item for batch in batches for item in zip(*batch, strict=True)]
    return default_collate(items[:_SAMPLES])


class _Copier(pickle.Pickler):
    """Copies objects through a pickle; arrays, functions and classes are shared."""

    def __init__(self, file: io.BytesIO, shared: list[Any]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_id(self, thing: Any) -> int | None:
        """Return the place of an object that is shared, or None."""
        if not isinstance(thing, _SHARED):
            return None
        self._shared.append(thing)
        return len(self._shared) - 1


_SHARED = (torch.Tensor, np.ndarray, str, bytes, type, FunctionType, ModuleType)


class _Loader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: list[Any]) -> None:
        super().__init__(file)
        self.persistent_load: Callable[[Any], Any] = lambda place: shared[place]


def _copied(thing: Any) -> Any:
    file = io.BytesIO()
    shared: list[Any] = []
    _Copier(file, shared).dump(thing)
    file.seek(0)
    return _Loader(file, shared).load()
