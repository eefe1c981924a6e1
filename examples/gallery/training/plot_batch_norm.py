"""
Batch normalisation
===================

A deep sigmoid network learns nothing for many epochs, for each layer squeezes its inputs to
nearly the same value. With batch normalisation the same network learns from the first epoch on.
"""

# %%
# The two runs differ in four layers.

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

X, y = make_moons(300, noise=0.15, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain.around(X, margin=0.2, resolution=120)


def make_network(normalised):
    layers, width = [], 2
    for _ in range(4):
        layers += [nn.Linear(width, 16)]
        layers += [nn.BatchNorm1d(16)] if normalised else []
        layers += [nn.Sigmoid()]
        width = 16
    return nn.Sequential(*layers, nn.Linear(16, 2))


# %%
# A map is always that of the network in evaluation mode, with the running averages; the mode and
# the averages of training are left as they are.


def train(normalised):
    torch.manual_seed(0)
    model = make_network(normalised)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with tv.TorchRecorder(model, domain, data=(X, y), class_names=["upper", "lower"]) as recorder:
        for epoch in range(50):
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
tv.compare(
    [train(False), train(True)],
    labels=["without", "with batch normalisation"],
    interpolate=4,
    hold=1.5,
    title="Four layers of sigmoids",
)
