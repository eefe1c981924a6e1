"""
A kymograph
===========

A kymograph shows one line across the map at all epochs in a single still: the line from left to
right, time downwards. Each border is a curve: all three appear within the first ten epochs, and
after that they only tremble.
"""

# %%
# Four stripes of two classes.

import numpy as np
import torch
from torch import nn

import trainviz as tv

torch.manual_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform([-3.6, -1.5], [3.6, 1.5], (400, 2))
y = (np.floor((X[:, 0] + 0.25 * X[:, 1]) / 2) % 2).astype(int)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

# %%
domain = tv.Domain((-4.5, 4.5), (-2, 2), step=0.05)
with tv.TorchRecorder(model, domain, data=(X, y), class_names=["a", "b"]) as recorder:
    for epoch in range(60):
        for batch in torch.randperm(len(X)).split(50):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch)
recording = recorder.recording

# %%
# The line leads through the middle of the window.

tv.kymograph(recording, (-4.5, 0), (4.5, 0)).still(title="y = 0, over time")

# %%
# In the player a line of your own is dragged with the mouse.

tv.animate(recording, interpolate=4, hold=1.5, title="Four stripes")
