"""
Seeds compared
==============

Three networks differ in nothing but the seed of their first weights and the order of the batches.
Where there are points they agree; the last panel shows that they disagree where there are none.
"""

# %%
# Three clouds with an empty middle.

import torch
from sklearn.datasets import make_blobs
from torch import nn

import trainviz as tv

X, y = make_blobs(240, centers=[(-3, -2), (3, -2), (0, 3.5)], cluster_std=0.7, random_state=0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
domain = tv.Domain((-8, 8), (-7, 9), points_per_axis=120)


def train(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with tv.TorchRecorder(model, domain, data=(X, y)) as recorder:
        for epoch in range(30):
            for batch in torch.randperm(len(X)).split(32):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            recorder.epoch_end(epoch)
    return recorder.recording


# %%
# Their agreement as one number is the share of the window on which both predict the same class.

runs = [train(seed) for seed in (0, 1, 2)]
print(f"the first two agree on {tv.reproducibility(*runs[:2]):.1%} of the window")

# %%
tv.compare(
    runs,
    labels=["seed 0", "seed 1", "seed 2"],
    disagreement=True,
    columns=2,
    interpolate=4,
    hold=1.5,
    title="Three seeds",
)
