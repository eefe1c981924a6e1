"""What is measured: networks in training, as the states that they went through."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.scale import demo_domain
from trainviz import Domain, Recorder, Recording, TorchRecorder, evaluate
from trainviz.adapters.torch.predictor import TorchPredictor
from trainviz.demo import seven_clusters

__all__ = [
    "TOLERANCE",
    "Trained",
    "convolutional",
    "demo_loop",
    "dense_map",
    "hundred_classes",
    "make_recorder",
    "make_torch_recorder",
    "record",
    "seven_classes",
    "spread",
]

State = dict[str, Any]

TOLERANCE = 1 / 255


@dataclass(frozen=True)
class Trained:
    """A network, its window, and the states of its training.

    Attributes
    ----------
    model : nn.Module
    domain : Domain
    states : list of dict
        ``states[0]`` is the untrained one.
    data : tuple of ndarray or None
    """

    model: nn.Module
    domain: Domain
    states: list[State]
    data: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None

    @property
    def predictor(self) -> TorchPredictor:
        """The model as a recorder asks it."""
        return TorchPredictor(self.model)

    def at(self, index: int) -> TorchPredictor:
        """Put the model back into one of its states."""
        self.model.load_state_dict(self.states[index])
        return self.predictor

    def on(self, domain: Domain) -> Trained:
        """Look at the same training through another window."""
        return Trained(self.model, domain, self.states, self.data)


@cache
def seven_classes(epochs: int) -> Trained:
    """Train the network of version 1.0's demo, and keep its state of every epoch."""
    model, train_epoch = demo_loop(seed=0)
    states = [copy.deepcopy(model.state_dict())]
    for _ in range(epochs):
        train_epoch()
        states.append(copy.deepcopy(model.state_dict()))
    return Trained(model, demo_domain(), states, seven_clusters())


def demo_loop(seed: int, state: State | None = None) -> tuple[nn.Module, Callable[[], float]]:
    """Return the network of version 1.0's demo, and a function that trains it for one epoch.

    It took a learning rate of 0.005, batches of 32 in order from a data
    loader, and the accuracy on all data at the end of every epoch.

    Parameters
    ----------
    seed : int
    state : dict, optional
        Where the training goes on.
    """
    torch.manual_seed(seed)
    X, y = seven_clusters()
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    model = _mlp(2, 8, 16, 8, 7)
    if state is not None:
        model.load_state_dict(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005)
    loss_of = nn.CrossEntropyLoss()
    batches = DataLoader(TensorDataset(inputs, labels), batch_size=32)

    def train_epoch() -> float:
        for points, targets in batches:
            loss = loss_of(model(points), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return (model(inputs).argmax(dim=1) == labels).float().mean().item()

    return model, train_epoch


@cache
def hundred_classes(side: int, states: int) -> Trained:
    """Train a network on a hundred clusters, ten by ten."""
    rng = np.random.default_rng(0)
    centers = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2)
    y = np.repeat(np.arange(100), 20)
    X = centers[y] + rng.normal(0, 0.2, (len(y), 2))
    torch.manual_seed(0)
    # Centred and scaled, or it would hardly learn in so few steps.
    model = nn.Sequential(_Scaled(4.5, 3.0), _mlp(2, 64, 64, 100))
    inputs = torch.tensor(X, dtype=torch.float32)
    kept = list(_adam_states(model, inputs, torch.tensor(y), states, steps=120))
    domain = Domain((-1, 10), (-1, 10), points_per_axis=side)
    return Trained(model, domain, kept, (X[::5], y[::5]))


@cache
def convolutional(side: int, states: int) -> Trained:
    """Train a small convolutional network on synthetic images of ten classes.

    The window is the plane through three images of different classes, with a
    margin: there is much between them, and none of it is constant.
    """
    rng = np.random.default_rng(0)
    themes = rng.normal(0, 1, (10, 3, 4, 4)).repeat(8, axis=2).repeat(8, axis=3)
    y = np.arange(300) % 10
    images = (themes[y] + rng.normal(0, 0.5, (300, 3, 32, 32))).astype(np.float32)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    labels = torch.tensor(y)
    kept = list(_adam_states(model, torch.from_numpy(images), labels, states, steps=8))
    domain = Domain.through(*images[:3], margin=0.5, resolution=side)
    return Trained(model, domain, kept)


def make_recorder(trained: Trained, evaluation: str = "adaptive") -> Recorder:
    """Return a recorder of a network's window."""
    options = {"evaluation": evaluation, "tolerance": TOLERANCE}
    return Recorder(trained.domain, output="logits", data=trained.data, **options)


def make_torch_recorder(trained: Trained, model: nn.Module, **options: Any) -> TorchRecorder:
    """Return a recorder of another model's training in the same window."""
    asked = {"evaluation": "adaptive", "tolerance": TOLERANCE, **options}
    return TorchRecorder(model, trained.domain, data=trained.data, **asked)


def record(trained: Trained, indices: list[int]) -> Recording:
    """Record some of a network's states."""
    recorder = make_recorder(trained)
    for index in indices:
        recorder.capture(trained.at(index), epoch=index)
    return recorder.recording


def dense_map(trained: Trained, index: int) -> npt.NDArray[np.float32]:
    """Evaluate one state on every point of the grid."""
    return evaluate(trained.at(index), trained.domain, output="logits", method="dense")


def spread(last: int, count: int) -> list[int]:
    """Choose ``count`` whole numbers evenly from 0 to ``last``."""
    return np.linspace(0, last, min(count, last + 1)).round().astype(int).tolist()


class _Scaled(nn.Module):
    def __init__(self, middle: float, scale: float) -> None:
        super().__init__()
        self._middle, self._scale = middle, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self._middle) / self._scale


def _mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _adam_states(
    model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, states: int, steps: int
) -> Iterator[State]:
    yield copy.deepcopy(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(states):
        for batch in torch.randint(len(inputs), (steps, 256)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        yield copy.deepcopy(model.state_dict())
