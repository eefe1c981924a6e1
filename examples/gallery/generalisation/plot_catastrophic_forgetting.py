"""
Two tasks in turn
=================

A network learns the left pair of moons, and then the right pair alone. As soon as the second task
begins, the border on the left is bent away, and what was learnt there is forgotten within a few
epochs.
"""

# %%
# Both tasks have the same two classes, in different places; the second has them the other way
# round.

import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X1, y1 = make_moons(150, noise=0.12, random_state=0)
X2, y2 = make_moons(150, noise=0.12, random_state=1)
X2, y2 = X2 + np.array([4, 0]), 1 - y2
tasks = {"first task": (X1, y1), "second task": (X2, y2)}
model = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %%
# The groups of the data are the tasks, so that each has an accuracy of its own.

domain = tv.Domain.around(np.concatenate([X1, X2]), margin=0.15, resolution=150)
with tv.TorchRecorder(model, domain, data=tasks) as recorder:
    epoch = 0
    for X, y in tasks.values():
        inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
        for _ in range(30):
            for batch in torch.randperm(len(X)).split(32):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            recorder.epoch_end(epoch)
            epoch += 1

# %%
tv.animate(
    recorder.recording,
    interpolate=4,
    hold=1.5,
    annotate={30: "second task begins"},
    title="Two tasks in turn",
)
