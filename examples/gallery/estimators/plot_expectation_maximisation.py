"""
EM and k-means on stretched clusters
====================================

A Gaussian mixture learns by EM how each cluster is stretched, and assigns points by probability.
k-means, from the same three points, cuts across the clusters with straight lines that are equally
sharp everywhere.
"""

# %%
# Three clusters, stretched by one linear map. Both methods begin at one point of each, so that
# their clusters have the names of the true ones.

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import trainviz as tv

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = make_blobs(450, centers=3, random_state=170)
X = X @ [[0.61, -0.64], [-0.41, 0.85]]
domain = tv.Domain.around(X, resolution=140)
start = np.array([X[y == k][0] for k in range(3)])

# %%
# Each iteration is one fit with ``max_iter=1``.

options = {"data": (X, y), "class_names": ["a", "b", "c"]}
em, k_means = tv.Recorder(domain, **options), tv.Recorder(domain, **options)
mixture = GaussianMixture(3, means_init=start, max_iter=1, warm_start=True, random_state=0)
centers = start
for iteration in range(1, 31):
    em.capture(mixture.fit(X).predict_proba, epoch=iteration)
    clusters = KMeans(3, init=centers, n_init=1, max_iter=1).fit(X)
    centers = clusters.cluster_centers_
    k_means.capture(
        lambda points, clusters=clusters: np.eye(3)[clusters.predict(points)], epoch=iteration
    )

# %%
tv.compare(
    [k_means.recording, em.recording], labels=["k-means", "EM"], interpolate=4, hold=1.5,
    counter="iteration {epoch}", title="Stretched clusters",
)  # fmt: skip
