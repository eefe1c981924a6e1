"""
Dropout
=======

A wide network that is trained for long draws inlets around single noisy points, and its accuracy
on the test points falls. With half of its units left out at random in each step, the border stays
simpler and the accuracy higher.
"""

# %%
# Few points with much noise.

import torch
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from torch import nn

import trainviz as tv

X, y = make_moons(360, noise=0.4, random_state=0)
X, X_test, y, y_test = train_test_split(X, y, train_size=60, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain.around(X, margin=0.2, resolution=120)


# %%
# Maps are those of evaluation mode, in which all units take part.


def train(dropout):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 128), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(128, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 2),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    data = {"train": (X, y), "test": (X_test, y_test)}
    with tv.TorchRecorder(model, domain, schedule="geometric", data=data) as recorder:
        for epoch in range(800):
            loss = nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.epoch_end(epoch)
    return recorder.recording


# %%
tv.compare(
    [train(0.0), train(0.5)], labels=["without", "with dropout"], interpolate=4, hold=1.5,
    errors="fade", title="Dropout on 60 noisy points",
)  # fmt: skip
