"""Handwritten digits: a small CNN, seen on the plane through three images.

Shows ``Domain.through`` (an image is 64 numbers; the window lies flat among them,
through a zero, a three and an eight), a recording on disk that is opened again,
and what it tells: which digit the network sees, how unsure it is, and when each
region was settled.

Run it (about 20 seconds):

    python examples/digits_cnn.py --epochs 15
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import trainviz as tv

OUT = Path(__file__).with_name("output")

THROUGH = (0, 3, 8)


def load_images() -> tuple[torch.Tensor, torch.Tensor]:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    return images, torch.tensor(digits.target)


def make_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


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
    parser = argparse.ArgumentParser(description="A small CNN learns handwritten digits.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=15)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    X, y = load_images()
    model = make_network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

    anchors = [X[y == digit][0] for digit in THROUGH]
    domain = tv.Domain.through(*anchors, resolution=300)
    names = [str(digit) for digit in range(10)]
    path = args.out / "digits.zarr"
    with tv.TorchRecorder(
        model, domain, class_names=names, evaluation="adaptive", path=path, overwrite=True
    ) as recorder:
        for epoch in range(args.epochs):
            metrics = train_one_epoch(model, optimizer, X, y)
            recorder.epoch_end(epoch, **metrics)
    print(path)

    recording = tv.open_recording(path)
    for mode in ("region", "entropy"):
        film = tv.animate(
            recording, mode=mode, interpolate=12, interpolation="smooth", hold=1.5,
            title="Between a zero, a three and an eight",
            subtitle="CNN, two layers, Adam",
        )  # fmt: skip
        print(film.save(args.out / f"digits_{mode}.mp4"))
        still = args.out / f"digits_{mode}.png"
        film.still(still)
        print(still)

    still = args.out / "digits_learning.png"
    tv.dynamics(recording).still(still, title="When it was learnt")
    print(still)


if __name__ == "__main__":
    main()
