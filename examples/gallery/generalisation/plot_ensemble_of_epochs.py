"""
An ensemble of epochs
=====================

With a high learning rate the border of the network jumps from epoch to epoch. The average of the
predictions of the last ten epochs stays calm, and is unsure just where the epochs contradict each
other.
"""

# %%
# Noisy moons, and steps that are too large to settle.

import copy
from collections import deque

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_moons(300, noise=0.3, random_state=0)
X_test, y_test = make_moons(300, noise=0.3, random_state=1)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
members = deque(maxlen=10)


# %%
# Two recorders look at one training: one at the network, the other at the mean of its last ten
# states.


def predict_mean(points):
    Z = torch.tensor(points, dtype=torch.float32)
    with torch.no_grad():
        return torch.stack([member(Z).softmax(dim=1) for member in members]).mean(dim=0).numpy()


domain = tv.Domain.around(X, margin=0.2, resolution=120)
test = {"test": (X_test, y_test)}
single = tv.TorchRecorder(model, domain, data=test, initial=False)
ensemble = tv.Recorder(domain, data=test)
for epoch in range(50):
    for batch in torch.randperm(len(X)).split(20):
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    members.append(copy.deepcopy(model))
    single.epoch_end(epoch)
    ensemble.capture(predict_mean, epoch=epoch + 1)

# %%
# In the player of a single recording, brushing a range of epochs shows their average as well.

tv.compare(
    [single.recording, ensemble.recording], labels=["each epoch", "mean of ten epochs"],
    interpolate=4, hold=1.5, title="An ensemble of epochs",
)  # fmt: skip
