"""TensorFlow Playground's four data sets: activations and features side by side.

Shows ``tv.compare``: each film has a network of two hidden layers with four
activations in its upper row, and in its lower row a model without hidden layers
on ever more features. What one needs a network for, the other does with the
right feature: the product for xor, the squares for the circle. Two seeds of
the ReLU network end in a disagreement map and the reproducibility score of
Somepalli et al. (2022).

The features are part of the model, and not of the domain, for runs are compared
on one domain.

Run it (about 40 seconds; ``--data spiral`` takes a quarter of it):

    python examples/playground.py --epochs 60
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import trainviz as tv

OUT = Path(__file__).with_name("output")

CLASSES = ["\N{MINUS SIGN}1", "+1"]
COLORS = ["#E69F00", "#0072B2"]  # as in the Playground: orange is negative, blue positive

Points = tuple[np.ndarray, np.ndarray]


def make_circle(n: int = 500, noise: float = 0.0, seed: int = 0) -> Points:
    """A disc of radius 2.5 (class 1) in a ring from 3.5 to 5 (class 0)."""
    rng = np.random.default_rng(seed)
    inside = np.arange(n) < n // 2
    radius = np.where(inside, rng.uniform(0, 2.5, n), rng.uniform(3.5, 5, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    X = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    judged = X + rng.uniform(-5, 5, X.shape) * noise
    return X, (np.linalg.norm(judged, axis=1) < 2.5).astype(int)


def make_xor(n: int = 500, noise: float = 0.0, seed: int = 0) -> Points:
    """Four quadrants, 0.3 away from the axes; class 1 where x and y have one sign."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-5, 5, (n, 2))
    X += np.where(X > 0, 0.3, -0.3)
    judged = X + rng.uniform(-5, 5, X.shape) * noise
    return X, (judged.prod(axis=1) >= 0).astype(int)


def make_gaussians(n: int = 500, noise: float = 0.0, seed: int = 0) -> Points:
    """One cloud around (2, 2) (class 1), one around (-2, -2) (class 0)."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < n // 2).astype(int)
    centers = np.where(y[:, None] == 1, 2.0, -2.0)
    return centers + rng.normal(0, np.sqrt(0.5 + 7 * noise), (n, 2)), y


def make_spiral(n: int = 500, noise: float = 0.0, seed: int = 0) -> Points:
    """Two arms of 1.75 turns, each the other's reflection through (0, 0)."""
    rng = np.random.default_rng(seed)
    each = n // 2
    share = np.arange(each) / each
    arms = []
    for start in (0.0, np.pi):
        radius, angle = 5 * share, 1.75 * 2 * np.pi * share + start
        arms.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1))
    X = np.concatenate(arms)
    return X + rng.uniform(-1, 1, X.shape) * noise, np.repeat([1, 0], each)


DATA: dict[str, Callable[..., Points]] = {
    "circle": make_circle,
    "xor": make_xor,
    "gaussians": make_gaussians,
    "spiral": make_spiral,
}

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh, "ReLU": nn.ReLU, "sigmoid": nn.Sigmoid, "linear": nn.Identity,
}  # fmt: skip

# Each set is added to those before it.
FEATURES: dict[str, Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]] = {
    "x₁, x₂": lambda x1, x2: [x1, x2],
    "… and x₁x₂": lambda x1, x2: [x1 * x2],
    "… and x₁², x₂²": lambda x1, x2: [x1**2, x2**2],
    "… and sin x₁, sin x₂": lambda x1, x2: [torch.sin(x1), torch.sin(x2)],
}


class Features(nn.Module):
    """The first ``count`` sets of features of a point."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.makers = list(FEATURES.values())[:count]

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        made = [part for maker in self.makers for part in maker(X[:, 0], X[:, 1])]
        return torch.stack(made, dim=1)


def make_network(activation: str) -> nn.Module:
    layer = ACTIVATIONS[activation]
    return nn.Sequential(
        nn.Linear(2, 16), layer(), nn.Linear(16, 16), layer(), nn.Linear(16, 2)
    )  # fmt: skip


def make_logistic(count: int) -> nn.Module:
    features = Features(count)
    width = features(torch.zeros(1, 2)).shape[1]
    return nn.Sequential(features, nn.Linear(width, 2))


def record(
    make: Callable[[], nn.Module], points: Points, epochs: int, seed: int = 0
) -> tv.Recording:
    torch.manual_seed(seed)
    X, y = torch.tensor(points[0], dtype=torch.float32), torch.tensor(points[1])
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    domain = tv.Domain((-6, 6), (-6, 6), points_per_axis=200)
    with tv.TorchRecorder(
        model, domain, every=3, evaluation="dense", data=points, class_names=CLASSES
    ) as recorder:
        for epoch in range(epochs):
            for batch in torch.randperm(len(X)).split(50):
                loss = nn.functional.cross_entropy(model(X[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            recorder.epoch_end(epoch)
    return recorder.recording


def main() -> None:
    parser = argparse.ArgumentParser(description="TensorFlow Playground's data, side by side.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--noise", type=float, default=0.0, help="0 to 0.5")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # Networks so small are slower on several threads.
    torch.set_num_threads(1)

    for name in args.data:
        points = DATA[name](noise=args.noise)
        models = [partial(make_network, activation) for activation in ACTIVATIONS]
        models += [partial(make_logistic, count) for count in range(1, len(FEATURES) + 1)]
        runs = [record(make, points, args.epochs) for make in models]
        film = tv.compare(
            runs, labels=[*ACTIVATIONS, *FEATURES], columns=4, interpolate=3, hold=1.5,
            palette=COLORS,
            title=f"{name.capitalize()}: a network's activations, and features without one",
        )  # fmt: skip
        print(film.save(args.out / f"playground_{name}.mp4"))
        still = args.out / f"playground_{name}.png"
        film.still(still)
        print(still)

        seeds = [runs[1], record(partial(make_network, "ReLU"), points, args.epochs, seed=1)]
        score = tv.reproducibility(*seeds)
        print(f"{name}: two seeds of the ReLU network agree on {score:.1%} of the window")
        still = args.out / f"playground_{name}_seeds.png"
        tv.compare(
            seeds, labels=["first seed", "second seed"], disagreement=True, palette=COLORS,
            title=f"{name.capitalize()}: two seeds, reproducibility {score:.3f}",
        ).still(still)  # fmt: skip
        print(still)


if __name__ == "__main__":
    main()
