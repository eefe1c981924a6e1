"""
Between two networks
====================

Planes in trainviz are planes of inputs and not of weights, but a walk in the space of weights can
be filmed: each snapshot is the map of the network at one place on the way. On the straight line
between two trained networks the map falls apart in the middle, where neither network's units fit
the other's.
"""

# %%
# Two networks of the same shape from two seeds; both classify all but a few points.

# sphinx_gallery_thumbnail_epoch = 50

import copy

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

X, y = make_moons(300, noise=0.12, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def train(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        for batch in torch.randperm(len(X)).split(50):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


# %%
# The time axis counts the percentage of the way, and the loss rises to a barrier.

first, second = train(1), train(2)
between = copy.deepcopy(first)


def predict_logits(points):
    with torch.no_grad():
        return between(torch.tensor(points, dtype=torch.float32)).numpy()


domain = tv.Domain.around(X, margin=0.2, resolution=140)
recorder = tv.Recorder(domain, output="logits", data=(X, y), class_names=["upper", "lower"])
for percent in range(0, 101, 2):
    ends = zip(first.parameters(), second.parameters(), strict=True)
    with torch.no_grad():
        for weight, (a, b) in zip(between.parameters(), ends, strict=True):
            weight.copy_(torch.lerp(a, b, percent / 100))
        loss = nn.functional.cross_entropy(between(inputs), labels).item()
    recorder.capture(predict_logits, epoch=percent, metrics={"loss": loss})

# %%
tv.animate(
    recorder.recording,
    interpolate=4,
    hold=1.5,
    counter="{epoch} % of the way",
    title="Between two networks",
)
