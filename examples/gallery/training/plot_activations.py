"""
Activations
===========

The activation decides which borders a network can draw. ReLU bends lines at corners, tanh rounds
them, a sine makes waves far from the data, and without any activation there is only a line.
"""

# %%
# A ring around a disc, and a window that is wider than both.

import torch
from sklearn.datasets import make_circles
from torch import nn

import trainviz as tv


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(2 * x)


X, y = make_circles(300, noise=0.1, factor=0.5, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain((-2, 2), (-2, 2), points_per_axis=120)


# %%
def train(activation):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 12), activation(), nn.Linear(12, 12), activation(), nn.Linear(12, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with tv.TorchRecorder(model, domain, data=(X, y), class_names=["ring", "disc"]) as recorder:
        for epoch in range(40):
            for batch in torch.randperm(len(X)).split(50):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            recorder.epoch_end(epoch)
    return recorder.recording


# %%
activations = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sine": Sine, "none": nn.Identity}
runs = [train(activation) for activation in activations.values()]
tv.compare(runs, labels=list(activations), columns=2, interpolate=4, hold=1.5, title="Activations")
