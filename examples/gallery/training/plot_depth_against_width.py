"""
Depth against width
===================

Three ReLU networks have about 500 weights each, in one wide layer, two, or four narrow ones. The
network of two layers separates the spirals first, with sharper borders than the single wide
layer; the four narrow layers are still far from it when the run ends.
"""

# %%
# Two arms of one turn and a half.

import numpy as np
import torch
from torch import nn

import trainviz as tv

rng = np.random.default_rng(0)
y = np.repeat([0, 1], 150)
radius = np.tile(np.linspace(0.1, 1, 150), 2)
angle = 3 * np.pi * radius + np.pi * y + rng.normal(0, 0.1, 300)
X = (radius * np.stack([np.cos(angle), np.sin(angle)])).T
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain((-1.2, 1.2), (-1.2, 1.2), points_per_axis=120)


def make_network(*widths):
    layers = []
    for before, width in zip((2, *widths), widths, strict=False):
        layers += [nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 2))


# %%
def train(*widths):
    torch.manual_seed(1)
    model = make_network(*widths)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with tv.TorchRecorder(model, domain, every=3, data=(X, y)) as recorder:
        for epoch in range(120):
            total = 0.0
            for batch in torch.randperm(len(X)).split(50):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(batch) / len(X)
            recorder.epoch_end(epoch, loss=total)
    return recorder.recording, sum(p.numel() for p in model.parameters())


# %%
shapes = [(100,), (20, 20), (12, 12, 12, 12)]
runs = [train(*widths) for widths in shapes]
tv.compare(
    [recording for recording, _ in runs], interpolate=4, hold=1.5, title="Depth against width",
    labels=[f"{len(w)} layer{'s' * (len(w) > 1)} of {w[0]}: {n} weights"
            for w, (_, n) in zip(shapes, runs, strict=True)],
)  # fmt: skip
