"""
Double descent
==============

A linear model on ever more random features fits 40 noisy points exactly from about 40 features
on. There its map is at its wildest and the test accuracy at its lowest; with more features the
map becomes calmer and the accuracy rises again.
"""

# %%
# Ridgeless regression on random ReLU features, of which a model of size k takes the first k.

# sphinx_gallery_thumbnail_epoch = 55

import numpy as np
from sklearn.datasets import make_moons

import trainviz as tv

rng = np.random.default_rng(0)
X, y = make_moons(40, noise=0.3, random_state=0)
X_test, y_test = make_moons(400, noise=0.3, random_state=1)
weights = rng.normal(size=(3, 600))


def features(Z, count):
    return np.maximum(np.column_stack([Z, np.ones(len(Z))]) @ weights[:, :count], 0)


def fit(count):
    return np.linalg.pinv(features(X, count)) @ (2.0 * y - 1)


# %%
# The time axis of a film may count anything that grows: here, features.

domain = tv.Domain.around(X_test, resolution=120)
data = {"train": (X, y), "test": (X_test, y_test)}
recorder = tv.Recorder(domain, data=data, class_names=["upper", "lower"])
for count in np.unique(np.geomspace(2, 600, 56).astype(int)).tolist():
    beta = fit(count)

    def predict(points, count=count, beta=beta):
        return 1 / (1 + np.exp(-np.clip(3 * features(points, count) @ beta, -50, 50)))[:, None]

    recorder.capture(predict, epoch=count)

# %%
tv.animate(
    recorder.recording, interpolate=4, hold=1.5, pace="geometric", errors="fade",
    counter="{epoch} features", title="Double descent",
)  # fmt: skip
