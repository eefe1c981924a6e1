"""
Boosting, tree by tree
======================

Each round of boosting adds a small tree, and ``record_stages`` shows a fitted model at every
stage. The early rounds draw the coarse shape in rectangles; the late ones fence in single
training points, while the accuracy on the test points no longer rises.
"""

# %%
# No callback is needed, for a boosted model keeps all of its stages.

from sklearn.datasets import make_moons
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split

import trainviz as tv

X, y = make_moons(400, noise=0.35, random_state=0)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)
model = GradientBoostingClassifier(n_estimators=150, learning_rate=0.2, max_depth=3, random_state=0)
model = model.fit(X, y)

# %%
# The same call takes the boosters of XGBoost, LightGBM and CatBoost.

domain = tv.Domain.around(X, resolution=140)
recording = tv.record_stages(
    model, domain, every=4, data=(X, y), test=(X_test, y_test),
    class_names=["upper", "lower"],
)  # fmt: skip
tv.animate(recording, interpolate=3, hold=1.5, counter="tree {epoch}", title="Gradient boosting")
