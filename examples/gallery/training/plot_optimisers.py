"""
Optimisers
==========

Four optimisers start from the same weights on two spirals. Plain gradient descent still draws a
single wave when the other three have unwound the spirals.
"""

# %%
# Two arms of one turn.

# sphinx_gallery_thumbnail_epoch = 12

import numpy as np
import torch
from torch import nn

import trainviz as tv

rng = np.random.default_rng(0)
y = np.repeat([0, 1], 150)
radius = np.tile(np.linspace(0.1, 1, 150), 2)
angle = 2 * np.pi * radius + np.pi * y + rng.normal(0, 0.1, 300)
X = (4 * radius * np.stack([np.cos(angle), np.sin(angle)])).T
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain((-5, 5), (-5, 5), points_per_axis=120)

# %%
optimizers = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.005),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
}


def train(make_optimizer):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2)
    )
    optimizer = make_optimizer(model.parameters())
    with tv.TorchRecorder(model, domain, every=2, data=(X, y)) as recorder:
        for epoch in range(80):
            total = 0.0
            for batch in torch.randperm(len(X)).split(50):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(batch) / len(X)
            recorder.epoch_end(epoch, loss=total)
    return recorder.recording


# %%
runs = [train(make) for make in optimizers.values()]
tv.compare(
    runs, labels=list(optimizers), columns=2, interpolate=4, hold=1.5, title="Optimisers on spirals"
)
