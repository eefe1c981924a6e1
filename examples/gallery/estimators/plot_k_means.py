"""
k-means from a bad start
========================

Any function from points to probabilities can be recorded, even one that learns without labels.
All five centres begin in one corner and spread out; from this start two of them end in one
cluster, while another has two clusters to itself.
"""

# %%
# One iteration of k-means is a fit with ``max_iter=1`` from the centres so far.

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

import trainviz as tv

warnings.simplefilter("ignore", ConvergenceWarning)
X, _ = make_blobs(400, centers=5, cluster_std=1.6, random_state=7)
centers = [X.min(axis=0) + np.random.default_rng(1).uniform(0, 2, (5, 2))]
for _ in range(20):
    step = KMeans(5, init=centers[-1], n_init=1, max_iter=1).fit(X)
    centers.append(step.cluster_centers_)

# %%
# The prediction is a row of zeros with a one for the nearest centre. Points without labels,
# ``data=(X, None)``, are drawn in grey.


def nearest(points, centers):
    return np.linalg.norm(points[:, None] - centers, axis=2).argmin(axis=1)


domain = tv.Domain.around(X, resolution=140)
recorder = tv.Recorder(domain, data=(X, None), class_names=list("abcde"))
for iteration, places in enumerate(centers):
    recorder.capture(
        lambda points, places=places: np.eye(5)[nearest(points, places)], epoch=iteration
    )

# %%
tv.animate(
    recorder.recording, interpolate=8, hold=1.5, counter="iteration {epoch}", title="k-means"
)
