"""
Learning rates
==============

The same network from the same weights is trained with three learning rates. The smallest has
hardly begun when the run ends, the middle one settles, and the border of the largest jumps from
epoch to epoch.
"""

# %%
# One function makes a run, so that only one thing differs.

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

X, y = make_moons(200, noise=0.15, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain.around(X, margin=0.2, resolution=120)


def train(learning_rate):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    with tv.TorchRecorder(model, domain, data=(X, y), class_names=["upper", "lower"]) as recorder:
        for epoch in range(50):
            total = 0.0
            for batch in torch.randperm(len(X)).split(32):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(batch) / len(X)
            recorder.epoch_end(epoch, loss=total)
    return recorder.recording


# %%
rates = [0.003, 0.3, 3.0]
runs = [train(rate) for rate in rates]
tv.compare(
    runs, labels=[f"learning rate {rate:g}" for rate in rates], interpolate=4, hold=1.5,
    title="Too slow, right, too fast",
)  # fmt: skip
