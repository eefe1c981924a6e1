"""
Overfitting, with train and test points
=======================================

A wide network learns 60 noisy points by heart: the accuracy on them rises to 1, while that on the
test points rises at first and then falls. In the film islands grow around single training points,
and test points fall into them.
"""

# %%
# Groups of points are given by name; each has its marker and its accuracy at every snapshot.

import torch
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_moons(360, noise=0.4, random_state=0)
X, X_test, y, y_test = train_test_split(X, y, train_size=60, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(
    nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

# %%
# What matters happens early, so the snapshots are spaced geometrically.

domain = tv.Domain.around(X, margin=0.2, resolution=140)
data = {"train": (X, y), "test": (X_test, y_test)}
with tv.TorchRecorder(model, domain, schedule="geometric", data=data) as recorder:
    for epoch in range(800):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.epoch_end(epoch)

# %%
tv.animate(
    recorder.recording,
    interpolate=4,
    hold=1.5,
    errors="fade",
    title="Sixty points, learnt by heart",
)
