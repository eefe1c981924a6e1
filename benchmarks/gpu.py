"""``python -m benchmarks --gpu``: the CUDA tests, and what captures cost beside training there."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import trainviz as tv

__all__ = ["MODELS", "compare", "run"]

_EPOCHS, _STEPS, _BATCH = 8, 60, 256
_SIDE = 32
"""Pixels of the square images that the models are given."""


class _Residual(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        same = stride == 1 and width_in == width
        self.skip = nn.Identity() if same else nn.Conv2d(width_in, width, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def _resnet18() -> nn.Module:
    """Return a network of eighteen layers for small images (He et al. 2015, arXiv:1512.03385)."""
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    blocks = [
        _Residual(before, width, 1 if before == width or before == 3 else 2)
        for before, width in itertools.pairwise(widths)
    ]
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 1, 1), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


def _small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class _Encoder(nn.Module):
    """A transformer encoder over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * _SIDE, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        return self.head(self.encoder(self.embed(rows)).mean(dim=1))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "small CNN": _small_cnn, "ResNet-18": _resnet18, "transformer encoder": _Encoder,
}  # fmt: skip


def run() -> int:
    """Print what the CUDA tests and captures show; return 0 if all is well or there is no GPU."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was run")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    tests = [sys.executable, "-m", "pytest", "-q", "-k", "cuda or gpu", "tests/adapters/torch"]
    failed = subprocess.run(tests, cwd=Path(__file__).parents[1]).returncode
    for name in MODELS:
        for line in compare(name, "cuda"):
            print(line, flush=True)
    return failed


def compare(
    name: str, device: str, *, epochs: int = _EPOCHS, steps: int = _STEPS, points: int = 100
) -> Iterator[str]:
    """Yield a line for each way of evaluating a model beside its training.

    Parameters
    ----------
    name : str
        Of :data:`MODELS`.
    device : str
    epochs, steps : int
        How long to train; each epoch is captured.
    points : int
        Grid points per axis.
    """
    _train(name, device, 1, steps, points, None)  # Libraries are loaded and kernels chosen here.
    alone = _train(name, device, epochs, steps, points, None)[0]
    yield f"{name}: an epoch alone takes {1e3 * alone / epochs:.1f} ms"
    for method, background in (("adaptive", False), ("adaptive", True), ("dense", False)):
        seconds, evaluations, waits = _train(
            name, device, epochs, steps, points, (method, background)
        )
        where = ", in the background" if background else ""
        yield (
            f"{name}, {method}{where}: {seconds / alone:.2f} of training alone, "
            f"{evaluations:.0f} of {points**2} points and {waits:.1f} synchronisations a capture"
        )


def _train(
    name: str, device: str, epochs: int, steps: int, points: int, recorded: tuple[Any, bool] | None
) -> tuple[float, float, float]:
    """Return seconds, evaluations a capture and synchronisations a capture."""
    torch.manual_seed(0)
    model = MODELS[name]().to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    images = torch.randn(_BATCH, 3, _SIDE, _SIDE, device=device)
    labels = torch.randint(10, (_BATCH,), device=device)
    recorder = None
    if recorded is not None:
        corners = np.random.default_rng(0).normal(size=(3, 3, _SIDE, _SIDE)).astype(np.float32)
        domain = tv.Domain.through(*corners, resolution=points)
        method, background = recorded
        recorder = tv.TorchRecorder(
            model, domain, evaluation=method, background=background, initial=False
        )
        recorder.start()
    waits = 0
    _wait(device)
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
        if recorder is not None:
            waits += _synchronisations(device, lambda end=recorder.epoch_end, n=epoch: end(n))
    if recorder is not None:
        recorder.finish()
    _wait(device)
    seconds = time.perf_counter() - start
    if recorder is None:
        return seconds, 0.0, 0.0
    asked = [snapshot.evaluations for snapshot in recorder.recording]
    return seconds, float(np.mean(asked)), waits / epochs


def _synchronisations(device: str, action: Callable[[], Any]) -> int:
    """Return how often this thread waited for the device."""
    if device != "cuda":
        action()
        return 0
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            action()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum("synchroniz" in str(warning.message) for warning in told)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
