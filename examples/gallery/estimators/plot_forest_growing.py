"""
A forest grows
==============

A forest averages its trees, and each tree alone is sure of itself everywhere. The more trees
vote, the smoother the probabilities become, although no tree has changed.
"""

# %%
# With ``warm_start`` a second ``fit`` adds trees to those that are there, and a
# :class:`~trainviz.Recorder` takes any function from points to probabilities.

from sklearn.datasets import make_blobs
from sklearn.ensemble import RandomForestClassifier

import trainviz as tv

X, y = make_blobs(300, centers=4, cluster_std=1.8, random_state=3)
forest = RandomForestClassifier(warm_start=True, max_depth=6, random_state=0)
recorder = tv.Recorder(tv.Domain.around(X, resolution=140), data=(X, y))
for n_trees in [*range(1, 21), *range(25, 101, 5)]:
    forest.set_params(n_estimators=n_trees).fit(X, y)
    recorder.capture(forest.predict_proba, epoch=n_trees)

# %%
# Most happens at first, so the film is slower there.

tv.animate(
    recorder.recording, interpolate=3, hold=1.5, pace="geometric", counter="trees: {epoch}",
    title="Random forest",
)  # fmt: skip
