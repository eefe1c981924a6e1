"""
Several labels at once
======================

A point may have several labels, each with a probability of its own, which do not sum to one. A
film shows one label at a time; a still draws all three discs side by side, which overlap as those
of the data do.
"""

# %%
# Each label is a disc, and a point has the labels of all discs that it lies in.

import numpy as np
import torch
from torch import nn

import trainviz as tv

torch.manual_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (500, 2))
middles = np.array([(-0.6, 0.4), (0.6, 0.4), (0.0, -0.6)])
y = (np.linalg.norm(X[:, None] - middles, axis=2) < 1).astype("float32")
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)

# %%
model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
domain = tv.Domain((-2, 2), (-2, 2), points_per_axis=120)
with tv.TorchRecorder(
    model, domain, output="multilabel_logits", data=(X, y), class_names=["A", "B", "C"]
) as recorder:
    for epoch in range(40):
        for batch in torch.randperm(len(X)).split(50):
            loss = nn.functional.binary_cross_entropy_with_logits(
                model(inputs[batch]), labels[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch)

# %%
# The line of each panel is where the label's probability is a half.

film = tv.animate(
    recorder.recording,
    mode=tv.modes.Probability("A"),
    interpolate=4,
    hold=1.5,
    title="Three labels",
)
film.panels()

# %%
film
