"""
A PyTorch loop
==============

A recorder around your own training loop keeps the class probabilities at every epoch. The border
between two moons begins as a straight line, and then bends around both.
"""

# %%
# Two moons, and a network of two hidden layers.

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_moons(300, noise=0.15, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

# %%
# ``epoch_end`` is the one line that is added to the loop; what it is told besides the epoch
# becomes a curve below the map.

domain = tv.Domain.around(X, margin=0.2, resolution=140)
with tv.TorchRecorder(model, domain, data=(X, y), class_names=["upper", "lower"]) as recorder:
    for epoch in range(50):
        for batch in torch.randperm(len(X)).split(32):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch, loss=loss.item())

# %%
# A film is painted when it is shown or saved: ``film.save("moons.mp4")`` writes it.

film = tv.animate(recorder.recording, interpolate=4, hold=1.5, title="Two moons")
film
