"""Ask a torch module so that its training cannot notice."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["ThreadState", "TorchRandomStreams", "evaluating", "undisturbed"]


@dataclass
class TorchRandomStreams:
    """Whether a forward drew from torch's random streams."""

    drawn: bool = False


@contextmanager
def undisturbed(module: Any) -> Iterator[TorchRandomStreams]:
    """Evaluate a module so that its training cannot notice.

    Inside: eval mode, no gradients, eager. Afterwards the train/eval mode of
    every submodule, the buffers, torch's random streams and autocast's weight
    cache are as before.

    Parameters
    ----------
    module : nn.Module

    Yields
    ------
    TorchRandomStreams
        What is known once the block is left.
    """
    accelerators = {
        tensor.device for tensor in (*module.parameters(), *module.buffers())
        if tensor.device.type in ("cuda", "xpu")
    }  # fmt: skip
    streams = TorchRandomStreams()
    with ExitStack() as stack:
        kind = next(iter(accelerators)).type if accelerators else "cuda"
        stack.enter_context(
            torch.random.fork_rng(devices=[d.index or 0 for d in accelerators], device_type=kind)
        )
        stack.enter_context(_eager())
        stack.enter_context(evaluating(module))
        before = _random_states(accelerators)
        yield streams
        after = _random_states(accelerators)
        streams.drawn = not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module in eval mode without gradients; change only it and this thread.

    Afterwards the train/eval mode of every submodule and the buffers are as
    before. ``no_grad`` and not inference mode, because a module that caches a
    tensor in its forward could not train with an inference tensor.

    Parameters
    ----------
    module : nn.Module

    Yields
    ------
    None
    """
    modes = [(part, part.training) for part in module.modules()]
    owned = [(part, dict(part._buffers)) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    cache = torch.is_autocast_cache_enabled()
    with torch.no_grad():
        try:
            # A weight cast under no_grad and cached would lose its gradient in the next step.
            torch.set_autocast_cache_enabled(False)
            for part, _ in modes:
                part.training = False
            yield
        finally:
            torch.set_autocast_cache_enabled(cache)
            for part, mode in modes:
                part.training = mode
            for part, own in owned:
                # A forward may also put another tensor in a buffer's place (not of TorchScript,
                # which makes these objects anew whenever it is asked).
                if isinstance(part._buffers, dict) and any(
                    part._buffers.get(name) is not own[name] for name in own
                ):
                    part._buffers.update(own)
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


class ThreadState:
    """What torch keeps for each thread, as it is on the thread that makes this."""

    def __init__(self) -> None:
        self._autocast = [
            (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
            for kind in ("cpu", "cuda")
        ]
        self._device = torch.get_default_device()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Put this thread into that state, and back."""
        # Leaving the outermost autocast empties the cache of all threads, and the gradients of
        # a forward that goes on elsewhere would then be summed up in another order.
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
    """What the compiler does, which a process has only once, while any thread asks a model."""

    lock = threading.Lock()
    asking = 0
    eager: AbstractContextManager[Any] = nullcontext()


@contextmanager
def _eager() -> Iterator[None]:
    # Under grad mode and training flags of its own a compiled module would be compiled again,
    # and the recompile limit would then change how it trains.
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
                # Each thread that restored what it found would restore another one's stance.
                _Stance.eager.__exit__(None, None, None)


def _random_states(accelerators: Iterable[Any]) -> list[Any]:
    own = [torch.get_device_module(d.type).get_rng_state(d) for d in accelerators]
    return [torch.get_rng_state(), *own]
