"""scikit-learn: iris, a table of four features, seen through two of them.

Shows ``Domain.around(X, features=..., fixed=...)``: petal length and width
vary, the two sepal measures stay at their medians. Two ways to record: a
``partial_fit`` loop, and the stages of a boosted model after it was fitted (an
epoch of that film is a stage).

Points are drawn where their petals are, but the model judges all four
features: a flower may be right although it lies in a foreign region.

Run it (about 15 seconds):

    python examples/sklearn_iris.py --epochs 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neural_network import MLPClassifier

import trainviz as tv

OUT = Path(__file__).with_name("output")


def record_network(
    domain: tv.Domain, X: np.ndarray, y: np.ndarray, names: list[str], epochs: int
) -> tv.Recording:
    model = MLPClassifier((16, 16), learning_rate_init=0.01, random_state=0)
    with tv.SklearnRecorder(
        model, domain, data=(X, y), class_names=names, evaluation="adaptive"
    ) as recorder:
        for epoch in range(epochs):
            model.partial_fit(X, y, classes=np.unique(y))
            recorder.epoch_end(epoch, loss=model.loss_, accuracy=model.score(X, y))
    return recorder.recording


def record_boosting(
    domain: tv.Domain, X: np.ndarray, y: np.ndarray, names: list[str], stages: int
) -> tv.Recording:
    model = GradientBoostingClassifier(
        n_estimators=stages, learning_rate=0.05, max_depth=2, random_state=0
    ).fit(X, y)
    return tv.record_stages(model, domain, data=(X, y), class_names=names)


def main() -> None:
    parser = argparse.ArgumentParser(description="Two classifiers learn iris.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=100, help="and stages of boosting")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    iris = load_iris()
    X, y, names = iris.data, iris.target, list(iris.target_names)
    domain = tv.Domain.around(X, features=(2, 3), fixed="median", resolution=300)

    recordings = {
        "network": record_network(domain, X, y, names, args.epochs),
        "boosting": record_boosting(domain, X, y, names, args.epochs),
    }
    for name, recording in recordings.items():
        film = tv.animate(
            recording, interpolate=3, hold=1.5, title=f"Iris: {name}",
            subtitle="sepal length and width at their medians",
            xlabel=iris.feature_names[2], ylabel=iris.feature_names[3],
        )  # fmt: skip
        print(film.save(args.out / f"iris_{name}.mp4"))
        still = args.out / f"iris_{name}.png"
        film.still(still)
        print(still)


if __name__ == "__main__":
    main()
