"""
A callback for Lightning
========================

``LightningRecorder`` is one more callback of the ``Trainer``, and what the module logs becomes
the curves of the film. The region of the ring closes around the disc within ten epochs, while the
accuracy rises to 1.
"""

# %%
# A module as any other.

import logging

import lightning.pytorch as pl
import torch
from sklearn.datasets import make_circles
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import trainviz as tv

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch):
        x, y = batch
        logits = self(x)
        loss = nn.functional.cross_entropy(logits, y)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.log_dict({"loss": loss, "accuracy": accuracy}, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.005)


# %%
# The recorder evaluates the module between epochs. Training cannot tell: the weights are bit for
# bit those of a run without it.

pl.seed_everything(0, verbose=False)
X, y = make_circles(300, noise=0.1, factor=0.4, random_state=0)
dataset = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y))
recorder = tv.LightningRecorder(
    tv.Domain.around(X, margin=0.2, resolution=140), data=(X, y), class_names=["ring", "disc"]
)
trainer = pl.Trainer(
    max_epochs=40, callbacks=[recorder], accelerator="cpu", logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
)  # fmt: skip
trainer.fit(Classifier(), DataLoader(dataset, batch_size=32, shuffle=True))

# %%
tv.animate(recorder.recording, interpolate=4, hold=1.5, title="A disc within a ring")
