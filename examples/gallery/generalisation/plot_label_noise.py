"""
Mislabelled points are learnt last
==================================

A tenth of the labels are wrong, and the network does not follow them at first: it learns the two
clouds within a few epochs. Hundreds of epochs later it has learnt most of the mislabelled points,
too, one by one, as islands and spikes.
"""

# %%
# Twenty of two hundred labels are flipped.

import numpy as np
import torch
from sklearn.datasets import make_blobs
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_blobs(200, centers=[(-2, 0), (2, 0)], cluster_std=1.0, random_state=0)
wrong = np.random.default_rng(0).choice(200, 20, replace=False)
y[wrong] = 1 - y[wrong]
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %%
clean = np.setdiff1d(np.arange(200), wrong)
data = {"right": (X[clean], y[clean]), "mislabelled": (X[wrong], y[wrong])}
domain = tv.Domain.around(X, resolution=140)
with tv.TorchRecorder(model, domain, schedule="geometric", data=data) as recorder:
    for epoch in range(600):
        for batch in torch.randperm(len(X)).split(100):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch)

# %%
# The accuracy on either group tells it in two curves.

tv.animate(recorder.recording, interpolate=4, hold=1.5, title="A tenth of the labels are wrong")
