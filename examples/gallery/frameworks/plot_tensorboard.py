"""
A film in TensorBoard
=====================

``tv.log_to`` shows a recording in an experiment tracker: stills, the film as a GIF that plays
there, and the curves of the learning. A folder stands for TensorBoard, and the runs of Weights &
Biases and MLflow are given to the same function.
"""

# %%
# Two moons, as in any training.

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import make_moons
from torch import nn

import trainviz as tv

torch.manual_seed(0)
X, y = make_moons(200, noise=0.15, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)

domain = tv.Domain.around(X, margin=0.2, resolution=120)
with tv.TorchRecorder(model, domain, data=(X, y), class_names=["upper", "lower"]) as recorder:
    for epoch in range(30):
        for batch in torch.randperm(len(X)).split(32):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.epoch_end(epoch)

# %%
# Given the recorder before training instead, the tracker is told of each snapshot while it
# trains.

folder = Path(tempfile.mkdtemp())
tv.log_to(folder, recorder.recording, title="Two moons")

# %%
# What ``tensorboard --logdir`` finds there.

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(str(folder), size_guidance={"images": 0})
events.Reload()
for tag in events.Tags()["images"]:
    print(f"{tag}: {len(events.Images(tag))} pictures")
print("curves:", ", ".join(events.Tags()["scalars"]))

# %%
tv.animate(recorder.recording, interpolate=4, hold=1.5, title="Two moons")
