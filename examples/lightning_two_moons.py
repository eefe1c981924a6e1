"""Lightning: a network learns to tell two moons apart.

Shows ``LightningRecorder`` as one more callback of the ``Trainer``; what the
module logs becomes the metric curves of the film.

Run it (about 15 seconds):

    python examples/lightning_two_moons.py --epochs 60
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lightning.pytorch as pl
import torch
from sklearn.datasets import make_moons
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import trainviz as tv

OUT = Path(__file__).with_name("output")


class MoonClassifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, y = batch
        logits = self(x)
        loss = nn.functional.cross_entropy(logits, y)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.log_dict({"loss": loss, "accuracy": accuracy}, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description="A Lightning module learns two moons.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    pl.seed_everything(0)
    X, y = make_moons(n_samples=300, noise=0.15, random_state=0)
    dataset = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y))
    loader = DataLoader(dataset, batch_size=32, shuffle=True)

    recorder = tv.LightningRecorder(
        tv.Domain.around(X, margin=0.15), data=(X, y), class_names=["upper moon", "lower moon"],
        evaluation="adaptive",
    )  # fmt: skip
    trainer = pl.Trainer(
        max_epochs=args.epochs, callbacks=[recorder], accelerator="cpu",
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(MoonClassifier(), loader)

    film = tv.animate(
        recorder.recording, interpolate=4, interpolation="smooth", hold=1.5,
        title="Two moons", subtitle="MLP 2-16-16-2, tanh, Adam",
    )  # fmt: skip
    print(film.save(args.out / "two_moons.mp4"))
    still = args.out / "two_moons.png"
    film.still(still)
    print(still)


if __name__ == "__main__":
    main()
