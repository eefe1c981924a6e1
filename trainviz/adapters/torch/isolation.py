"""Evaluate a torch module without side effects on its training."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from trainviz.capture.random_streams import RandomStreams

__all__ = ["ThreadState", "TorchRandomStreams", "evaluating", "undisturbed"]


class TorchRandomStreams(RandomStreams):
    """Torch's default generators, those of the host and of a module's accelerators."""

    name = "torch"
    _accelerators: frozenset[Any] = frozenset()

    def cover(self, module: Any) -> None:
        """Include the accelerators that ``module`` is on."""
        if not any(_is_in_use(name) for name in ("cuda", "xpu")):
            return
        self._accelerators = frozenset(
            tensor.device for tensor in (*module.parameters(), *module.buffers())
            if tensor.device.type in ("cuda", "xpu")
        )  # fmt: skip

    def read(self) -> Any:
        """Return the state of each generator."""
        states = {
            device: torch.get_device_module(device.type).get_rng_state(device)
            for device in self._accelerators
        }
        return {torch.device("cpu"): torch.get_rng_state(), **states}

    def write(self, states: Any) -> None:
        """Set the state of each generator."""
        for device, state in states.items():
            if device.type == "cpu":
                torch.set_rng_state(state)
            else:
                torch.get_device_module(device.type).set_rng_state(state, device)

    def same(self, states: Any, others: Any) -> bool:
        """Return whether each generator has the same state."""
        return all(torch.equal(state, others[device]) for device, state in states.items())


@contextmanager
def undisturbed(
    module: Any,
    streams: TorchRandomStreams | None = None,
    again: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Evaluate a module without side effects on its training.

    Within the block: eval mode, no gradients, eager. Afterwards the train/eval
    mode of every submodule, the buffers and autocast's weight cache are restored,
    and so are torch's random states if the module draws.

    Parameters
    ----------
    module : nn.Module
    streams : TorchRandomStreams, optional
        What earlier calls have found out of the module's draws.
    again : callable, optional
        As for :meth:`RandomStreams.preserved`.

    Yields
    ------
    None
    """
    streams = TorchRandomStreams() if streams is None else streams
    streams.cover(module)
    with _eager(), evaluating(module), streams.preserved(again):
        yield


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module in eval mode without gradients; affect no other module and no other thread.

    Afterwards the train/eval mode of every submodule and the buffers are
    restored. ``no_grad`` is used instead of inference mode, because a module
    that caches a tensor in its forward could not train with an inference tensor.

    Parameters
    ----------
    module : nn.Module

    Yields
    ------
    None
    """
    modes = [(part, part.training) for part in module.modules()]
    owned = [(part, own) for part, _ in modes if (own := dict(part._buffers))]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()] if owned else []
    cache = torch.is_autocast_cache_enabled()
    with torch.no_grad():
        try:
            # A weight cast under no_grad and cached would lose its gradient in the next step.
            torch.set_autocast_cache_enabled(False)
            for part, _ in modes:
                _set_mode(part, False)
            yield
        finally:
            torch.set_autocast_cache_enabled(cache)
            for part, mode in modes:
                _set_mode(part, mode)
            for part, own in owned:
                # A forward may also have replaced a buffer's tensor (TorchScript is excluded,
                # since each access to its _buffers creates new objects).
                if isinstance(part._buffers, dict) and any(
                    part._buffers.get(name) is not own[name] for name in own
                ):
                    part._buffers.update(own)
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


def _set_mode(part: Any, training: bool) -> None:
    if "training" in part.__dict__:
        # As the module's own __setattr__ does in the end, which takes ten times as long.
        part.__dict__["training"] = training
    else:
        part.training = training  # TorchScript, which keeps it elsewhere.


def _is_in_use(accelerator: str) -> bool:
    """Return whether this process has used an accelerator, which takes no look at the module."""
    runtime = getattr(torch, accelerator, None)
    return runtime is not None and bool(runtime.is_initialized())


class ThreadState:
    """Torch's thread-local settings (autocast, default device) of the thread that creates this."""

    def __init__(self) -> None:
        self._autocast = [
            (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
            for kind in ("cpu", "cuda")
        ]
        self._device = torch.get_default_device()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Apply the settings to the current thread within the block."""
        # Leaving the outermost autocast clears the cache of all threads, and the gradients of
        # a forward that runs on another thread would then be accumulated in another order.
        torch.autocast_increment_nesting()
        try:
            with ExitStack() as stack:
                if self._device != torch.get_default_device():
                    stack.enter_context(self._device)
                for kind, dtype, enabled in self._autocast:
                    if enabled:
                        stack.enter_context(torch.autocast(kind, dtype, cache_enabled=False))
                yield
        finally:
            torch.autocast_decrement_nesting()


class _Stance:
    """The compiler stance, which is global to the process, and how many threads need it eager."""

    lock = threading.Lock()
    asking = 0
    eager: AbstractContextManager[Any] = nullcontext()


@contextmanager
def _eager() -> Iterator[None]:
    # With other grad mode and training flags a compiled module would be recompiled, which
    # counts towards the recompile limit and so could change how it trains.
    with _Stance.lock:
        if not _Stance.asking:
            known = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")
            _Stance.eager = torch.compiler.set_stance("force_eager") if known else nullcontext()
            _Stance.eager.__enter__()
        _Stance.asking += 1
    try:
        yield
    finally:
        with _Stance.lock:
            _Stance.asking -= 1
            if not _Stance.asking:
                # Only the last thread restores the stance: others found it already set to eager.
                _Stance.eager.__exit__(None, None, None)
