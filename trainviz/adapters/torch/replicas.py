"""Copies of a torch module that can be evaluated while the module itself is trained."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from trainviz.adapters.torch.isolation import TorchRandomStreams

__all__ = ["Replica", "Replicas"]

_INTERNAL = frozenset(torch.nn.Module().__dict__)
"""Attributes that every module has: parameters, buffers, hooks; they are copied separately."""

_SCALARS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, type)


class Replicas:
    """A pool of replicas of one module.

    Attributes
    ----------
    unsafe : str
        Why the module must not be evaluated on another thread; empty if it may.
    streams : TorchRandomStreams
        What is known of the module's draws.

    Examples
    --------
    >>> module = torch.nn.Linear(1, 1, bias=False)
    >>> pool = Replicas()
    >>> replica = pool.take(module)
    >>> before = module.weight.item()
    >>> _ = torch.nn.init.zeros_(module.weight)
    >>> replica.module.weight.item() == before
    True
    >>> replica.release()
    >>> pool.take(module) is replica, replica.module.weight.item()
    (True, 0.0)
    """

    def __init__(self) -> None:
        self.unsafe = ""
        self.streams = TorchRandomStreams()
        self._free: deque[Replica] = deque()

    def take(self, module: Any) -> Replica:
        """Return a replica of ``module`` in its current state, for exclusive use.

        Parameters
        ----------
        module : nn.Module

        Returns
        -------
        Replica

        Raises
        ------
        RuntimeError
            If the module must not be evaluated on another thread.
        """
        if self.unsafe:
            raise RuntimeError(self.unsafe)
        while self._free:
            replica = self._free.popleft()
            if replica.refresh(module):
                return replica
        return Replica(module, self._free)

    def __getstate__(self) -> dict[str, Any]:
        # CUDA streams and events cannot be pickled.
        return {"unsafe": self.unsafe, "streams": TorchRandomStreams(), "_free": deque()}


class Replica:
    """An independent copy of a module, which can be updated.

    Parameters
    ----------
    source : nn.Module
    home : deque of Replica
        The pool that :meth:`release` puts it into.

    Notes
    -----
    A refresh copies parameters, buffers, and attributes that are plain data:
    numbers, strings, tensors, arrays, and containers of these. An attribute
    of any other class is copied again only if it is a different object.
    """

    def __init__(self, source: Any, home: deque[Replica]) -> None:
        self._home = home
        self._shape = _shape(source)
        # Tensors created in inference mode could not be updated in place later.
        with torch.inference_mode(False), torch.no_grad():
            self.module = copy.deepcopy(source, _without_graphs(source))
        self._parts = list(self.module.modules())
        self._tensors = _tensors(self.module)
        self._objects = {
            (index, name): value
            for index, part in enumerate(source.modules())
            for name, value in _attributes(part).items()
            if not _is_plain(value)
        }
        # Attributes that __setstate__ adds to a copy, and that the source's state lacks.
        self._added = [
            set(own.__dict__) - set(_attributes(theirs))
            for own, theirs in zip(self._parts, source.modules(), strict=True)
        ]
        _take_off_compilers(self._parts)
        self._devices = _cuda_devices(self._tensors)
        self._streams = [torch.cuda.Stream(device) for device in self._devices]
        self._note_copied()

    def refresh(self, source: Any) -> bool:
        """Copy the current state of ``source``; return False if its structure differs."""
        if _shape(source) != self._shape:
            return False
        parts, tensors = list(source.modules()), _tensors(source)
        with torch.no_grad():
            for own, theirs in zip(self._tensors, tensors, strict=True):
                own.copy_(theirs)
        memo = {
            id(theirs): own
            for own, theirs in zip([*self._parts, *self._tensors], [*parts, *tensors], strict=True)
        }
        for index, (own, theirs) in enumerate(zip(self._parts, parts, strict=True)):
            self._refresh_attributes(index, own, theirs, memo)
        self._note_copied()
        return True

    def release(self) -> None:
        """Return the replica to its pool."""
        self._home.append(self)

    @contextmanager
    def on_side_stream(self) -> Iterator[None]:
        """Run on side CUDA streams: after the copying, and concurrently with the training."""
        if not self._devices:
            yield
            return
        with ExitStack() as stack:
            for stream, copied in zip(self._streams, self._copied, strict=True):
                stack.enter_context(torch.cuda.stream(stream))
                stream.wait_event(copied)
            stack.enter_context(torch.cuda.device(self._current))
            try:
                yield
            finally:
                # The next refresh must not overwrite weights that are still being read.
                for stream in self._streams:
                    stream.synchronize()

    def _note_copied(self) -> None:
        if not self._devices:
            return
        self._current = torch.cuda.current_device()
        self._copied = [torch.cuda.current_stream(d).record_event() for d in self._devices]

    def _refresh_attributes(self, index: int, own: Any, theirs: Any, memo: dict[int, Any]) -> None:
        values = _attributes(theirs)
        for name in set(own.__dict__) - set(values) - self._added[index]:
            del own.__dict__[name]
        for name, value in values.items():
            if isinstance(value, _SCALARS):
                own.__dict__[name] = value
                continue
            if not _is_plain(value):
                if self._objects.get((index, name)) is value:
                    continue
                self._objects[index, name] = value
            _detach(value, memo)
            own.__dict__[name] = copy.deepcopy(value, memo)


def _tensors(module: Any) -> list[Any]:
    return [*module.parameters(), *module.buffers()]


def _attributes(part: Any) -> dict[str, Any]:
    # The pickled state, since Lightning excludes its trainer from it.
    return {name: value for name, value in part.__getstate__().items() if name not in _INTERNAL}


def _shape(module: Any) -> list[Any]:
    """Return what a refresh cannot change: submodules, their hooks, tensor shapes and dtypes."""
    shape: list[Any] = [
        (name, type(part), tuple(part._forward_hooks), tuple(part._forward_pre_hooks))
        for name, part in module.named_modules()
    ]
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        shape.append((name, tensor.shape, tensor.dtype, tensor.device))
    return shape


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(entry) for entry in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(_is_plain(entry) for entry in value)
    return isinstance(value, (*_SCALARS, torch.Tensor, np.ndarray, np.generic))


def _without_graphs(source: Any) -> dict[int, Any]:
    """Return a memo for ``deepcopy``, which fails on non-leaf tensors, with detached copies."""
    memo: dict[int, Any] = {}
    for part in source.modules():
        _detach(part.__dict__, memo)
    return memo


def _detach(value: Any, memo: dict[int, Any]) -> None:
    if isinstance(value, torch.Tensor) and not value.is_leaf:
        memo.setdefault(id(value), value.detach().clone())
    elif isinstance(value, dict):
        for entry in value.values():
            _detach(entry, memo)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _detach(entry, memo)


def _take_off_compilers(parts: list[Any]) -> None:
    for part in parts:
        for name, child in part._modules.items():
            part._modules[name] = getattr(child, "_orig_mod", child)


def _cuda_devices(tensors: list[Any]) -> list[Any]:
    devices = {tensor.device for tensor in tensors}
    others = {device.type for device in devices} - {"cpu", "cuda"}
    if others:
        raise RuntimeError(f"models on {', '.join(others)} are not asked on another thread yet")
    return sorted((d for d in devices if d.type == "cuda"), key=str)
