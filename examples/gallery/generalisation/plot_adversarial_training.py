"""
Adversarial training
====================

Adversarial training shows the network each point moved by the small step that raises its loss the
most. Its border keeps a distance from the points, that of ordinary training passes close to some,
and fewer points cross it under attack.
"""

# %%
# Two classes that a narrow gap divides.

import numpy as np
import torch
from torch import nn

import trainviz as tv

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (900, 2))
height = X[:, 1] - 0.8 * np.sin(2 * X[:, 0])
X, height = X[np.abs(height) > 0.35], height[np.abs(height) > 0.35]
X, y = X[:250], (height[:250] > 0).astype(int)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain((-2.3, 2.3), (-2.3, 2.3), points_per_axis=120)


# %%
# The adversary moves a point by at most ``radius`` in each coordinate, in three steps.


def attacked(model, x, target, radius):
    moved = x.clone()
    for _ in range(3):
        moved.requires_grad_()
        loss = nn.functional.cross_entropy(model(moved), target)
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved + radius / 2 * gradient.sign()).detach()
        moved = x + (moved - x).clamp(-radius, radius)
    return moved


def train(radius):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with tv.TorchRecorder(model, domain, data=(X, y), class_names=["below", "above"]) as recorder:
        for epoch in range(50):
            for batch in torch.randperm(len(X)).split(50):
                x = inputs[batch]
                if radius:
                    x = attacked(model, x, labels[batch], radius)
                loss = nn.functional.cross_entropy(model(x), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            weak = attacked(model, inputs, labels, 0.25)
            right = (model(weak).argmax(dim=1) == labels).float().mean()
            recorder.epoch_end(epoch, **{"accuracy under attack": right.item()})
    return recorder.recording


# %%
tv.compare(
    [train(0), train(0.25)], labels=["ordinary", "adversarial"], interpolate=4, hold=1.5,
    title="Steps of up to 0.25",
)  # fmt: skip
