"""
Two moons
=========

A small network learns two classes that no straight line separates.
"""

from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier

import trainviz as tv

X, y = make_moons(200, noise=0.15, random_state=0)
model = MLPClassifier((20, 20), random_state=0)
domain = tv.Domain.around(X, resolution=150)
with tv.SklearnRecorder(model, domain, every=5, data=(X, y)) as rec:
    for epoch in range(60):
        model.partial_fit(X, y, classes=[0, 1])
        rec.epoch_end(epoch)

tv.animate(rec.recording, title="Two moons").still()
