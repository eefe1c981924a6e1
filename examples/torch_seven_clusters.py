"""A plain PyTorch loop: a small network learns seven Gaussian clusters.

Shows ``TorchRecorder`` as a context manager around your own training loop, a
geometric schedule (most happens early in training), metrics in the film, and
one recording rendered twice: how sure the network is, and of which class.

Run it (about 15 seconds):

    python examples/torch_seven_clusters.py --epochs 300
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

import trainviz as tv

OUT = Path(__file__).with_name("output")

CENTERS = torch.tensor(
    [(1.0, 1.0), (11.0, 1.0), (6.0, 5.0), (1.0, 8.0), (6.0, -1.0), (11.0, 8.0), (6.0, 10.0)]
)


def make_clusters(points_each: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(len(CENTERS)).repeat_interleave(points_each)
    return CENTERS[y] + 1.1 * torch.randn(len(y), 2), y


def train_one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, X: torch.Tensor, y: torch.Tensor
) -> dict[str, float]:
    loss_sum, correct = 0.0, 0
    for batch in torch.randperm(len(X)).split(64):
        logits = model(X[batch])
        loss = nn.functional.cross_entropy(logits, y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(batch)
        correct += int((logits.argmax(dim=1) == y[batch]).sum())
    return {"loss": loss_sum / len(X), "accuracy": correct / len(X)}


def main() -> None:
    parser = argparse.ArgumentParser(description="A network learns seven Gaussian clusters.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=300)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(1)
    X, y = make_clusters()
    model = nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(),
        nn.Linear(8, 16), nn.ReLU(),
        nn.Linear(16, 8), nn.ReLU(),
        nn.Linear(8, 7),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)

    domain = tv.Domain(xlim=(-3, 15), ylim=(-5, 14), step=0.05)
    schedule = tv.Schedule.geometric(1.06)
    names = [f"cluster {number}" for number in range(1, 8)]
    with tv.TorchRecorder(
        model, domain, schedule=schedule, data=(X, y), class_names=names, evaluation="adaptive"
    ) as recorder:
        for epoch in range(args.epochs):
            metrics = train_one_epoch(model, optimizer, X, y)
            recorder.epoch_end(epoch, **metrics)

    for mode in ("boundary", "region"):
        film = tv.animate(
            recorder.recording, mode=mode, interpolate=4, interpolation="smooth", hold=1.5,
            title="Seven Gaussian clusters", subtitle="MLP 2-8-16-8-7, ReLU, SGD",
        )  # fmt: skip
        print(film.save(args.out / f"seven_clusters_{mode}.mp4"))
    still = args.out / "seven_clusters.png"
    film.still(still)
    print(still)


if __name__ == "__main__":
    main()
