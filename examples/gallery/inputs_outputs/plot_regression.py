"""
Regression
==========

A model that returns a value instead of classes is recorded with ``output="values"``, and its
films have one colour scale for all epochs. The network finds the large hill and the hollow first,
and the small hills between them later.
"""

# %%
# Noisy heights at 400 places of a landscape.

import numpy as np
import torch
from torch import nn

import trainviz as tv

torch.manual_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform(-3, 3, (400, 2))
height = 3 * (1 - X[:, 0]) ** 2 * np.exp(-(X[:, 0] ** 2) - (X[:, 1] + 1) ** 2)
height -= (2 * X[:, 0] - 10 * X[:, 0] ** 3 - 10 * X[:, 1] ** 5) * np.exp(-(X**2).sum(axis=1))
y = (height + rng.normal(0, 0.2, 400)).astype("float32")
inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y)

# %%
model = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
domain = tv.Domain((-3, 3), (-3, 3), points_per_axis=120)
with tv.TorchRecorder(
    model, domain, output="values", class_names=["height"], every=2, data=(X, y)
) as recorder:
    for epoch in range(80):
        total = 0.0
        for batch in torch.randperm(len(X)).split(50):
            loss = nn.functional.mse_loss(model(inputs[batch])[:, 0], targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch) / len(X)
        recorder.epoch_end(epoch, **{"squared error": total})

# %%
tv.animate(recorder.recording, mode="values", interpolate=4, hold=1.5, title="A landscape")
