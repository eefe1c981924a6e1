"""
partial_fit in scikit-learn
===========================

Any estimator with ``partial_fit`` can be recorded between its passes over the data. Of the three
kinds of iris, setosa is told apart at once, and the border between the other two is found slowly.
"""

# %%
# Two of the four features span the plane; the others stay at their medians.

from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

import trainviz as tv

iris = load_iris(as_frame=True)
X, y = iris.data, iris.target
domain = tv.Domain.slice(X, ("petal length (cm)", "petal width (cm)"), resolution=140)

# %%
model = MLPClassifier((16, 16), learning_rate_init=0.005, random_state=0)
names = list(iris.target_names)
with tv.SklearnRecorder(model, domain, every=2, data=(X, y), class_names=names) as recorder:
    for epoch in range(80):
        model.partial_fit(X, y, classes=[0, 1, 2])
        recorder.epoch_end(epoch, loss=model.loss_)

# %%
# Points are drawn fainter the farther they are from the plane.

tv.animate(recorder.recording, interpolate=4, hold=1.5, title="Iris, on the plane of its petals")
