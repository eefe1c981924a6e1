"""
Too sure of itself
==================

On classes that overlap, a network that is trained for long becomes ever surer and not any better:
its mean confidence, which is the accuracy that it claims, rises far above its accuracy on the
test points. The map of the highest class probability shows where, for the pale seam of doubt
between the classes becomes thin.
"""

# %%
# Two overlapping clouds.

import torch
from sklearn.datasets import make_blobs
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_blobs(700, centers=[(-1, 0), (1, 0)], cluster_std=1.3, random_state=0)
X, X_test, y, y_test = X[:100], X[100:], y[:100], y[100:]
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
test, test_labels = torch.tensor(X_test, dtype=torch.float32), torch.tensor(y_test)
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

# %%
# The mean confidence of a calibrated model equals its accuracy.

domain = tv.Domain.around(X, resolution=140)
with tv.TorchRecorder(model, domain, data=(X, y), schedule="geometric") as recorder:
    for epoch in range(600):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            confidence, predicted = model(test).softmax(dim=1).max(dim=1)
        recorder.epoch_end(
            epoch,
            **{
                "claimed accuracy": confidence.mean().item(),
                "test accuracy": (predicted == test_labels).float().mean().item(),
            },
        )

# %%
tv.animate(
    recorder.recording,
    mode="boundary",
    interpolate=4,
    hold=1.5,
    metrics=["claimed accuracy", "test accuracy"],
    title="The highest class probability",
)
