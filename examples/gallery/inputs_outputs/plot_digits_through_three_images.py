"""
Digits, on a plane through three images
=======================================

A plane through three images cuts the space of all images of 64 pixels, and every place on it is a
mixture of the three. Between a zero, a three and an eight the network also sees other digits,
whose regions shrink while it learns.
"""

# %%
# The images of scikit-learn, 8 by 8 pixels.

# sphinx_gallery_thumbnail_epoch = 3

import torch
from sklearn.datasets import load_digits
from torch import nn

import trainviz as tv

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

# %%
# The three images are the corners, and stand in the picture where they lie.

corners = [images[labels == digit][0] for digit in (0, 3, 8)]
domain = tv.Domain.through(*corners, resolution=120)
with tv.TorchRecorder(model, domain, class_names=[str(digit) for digit in range(10)]) as recorder:
    for epoch in range(20):
        right = 0
        for batch in torch.randperm(len(images)).split(64):
            logits = model(images[batch])
            loss = nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (logits.argmax(dim=1) == labels[batch]).sum().item()
        recorder.epoch_end(epoch, accuracy=right / len(images))

# %%
tv.animate(
    recorder.recording, interpolate=8, hold=1.5, interpolation="smooth", title="Between 0, 3 and 8"
)
