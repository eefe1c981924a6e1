"""
When each place was settled
===========================

``tv.dynamics`` measures a recording: the epoch from which on each place has its final class, the
areas of the classes, and how much changes. Of three classes the two common ones soon divide the
map between them, and the region of the rare one is the last to be settled.
"""

# %%
# Two hundred points of two classes, and twelve of a third one between them.

import torch
from sklearn.datasets import make_blobs
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_blobs(
    [100, 100, 12], centers=[(-2, 0), (2, 0), (0, 1.5)], cluster_std=[0.9, 0.9, 0.4], random_state=2
)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

# %%
domain = tv.Domain.around(X, resolution=140)
names = ["left", "right", "rare"]
with tv.TorchRecorder(model, domain, data=(X, y), class_names=names) as recorder:
    for epoch in range(60):
        for batch in torch.randperm(len(X)).split(50):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch)

# %%
tv.dynamics(recorder.recording).still(title="When it was learnt", curves=True)

# %%
tv.animate(recorder.recording, interpolate=4, hold=1.5, title="A rare class")
