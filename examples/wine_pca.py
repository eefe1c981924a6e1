"""Wine: thirteen measurements, seen through their principal components.

Shows ``Domain.from_reducer`` with a scikit-learn pipeline: the window lies in
two principal components of the standardised measurements, the domain's own
units are those of the table, and ``preprocess=`` scales them for the model. The
same training is watched through two of the measurements, in their own units, at
the same time. ``tv.dynamics`` tells it in one still: which regions were settled
when, and which bottles were learnt and lost again.

Points are drawn fainter the farther they are from the plane: the model judges
all thirteen measurements.

Run it (about 15 seconds):

    python examples/wine_pca.py --epochs 60
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import trainviz as tv

OUT = Path(__file__).with_name("output")


def record(
    domains: dict[str, tv.Domain],
    scaler: StandardScaler,
    X: np.ndarray,
    y: np.ndarray,
    names: list[str],
    epochs: int,
) -> dict[str, tv.Recording]:
    model = MLPClassifier((16,), solver="sgd", learning_rate_init=0.005, random_state=0)
    recorders = {
        name: tv.SklearnRecorder(
            model, domain, data=(X, y), class_names=names, evaluation="adaptive"
        )
        for name, domain in domains.items()
    }
    scaled = scaler.transform(X)
    for epoch in range(epochs):
        model.partial_fit(scaled, y, classes=np.unique(y))
        metrics = {"loss": model.loss_, "accuracy": model.score(scaled, y)}
        for recorder in recorders.values():
            recorder.epoch_end(epoch, **metrics)
    for recorder in recorders.values():
        recorder.finish()
    return {name: recorder.recording for name, recorder in recorders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="A network learns where wines come from.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    wine = load_wine()
    X, y = wine.data, wine.target
    names = ["first grower", "second grower", "third grower"]
    scaler = StandardScaler().fit(X)
    reducer = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    pair = (wine.feature_names.index("flavanoids"), wine.feature_names.index("proline"))
    domains = {
        "pca": tv.Domain.from_reducer(reducer, X, preprocess=scaler),
        "units": tv.Domain.slice(X, pair, fixed="median", preprocess=scaler),
    }
    recordings = record(domains, scaler, X, y, names, args.epochs)

    film = tv.animate(
        recordings["pca"], interpolate=3, hold=1.5, title="Wine: three growers",
        subtitle="MLP 13-16-3, SGD",
    )  # fmt: skip
    print(film.save(args.out / "wine_pca.mp4"))
    still = args.out / "wine_pca.png"
    film.still(still)
    print(still)

    still = args.out / "wine_units.png"
    tv.animate(
        recordings["units"], title="Wine: three growers",
        subtitle="the other measurements at their medians",
        xlabel="flavanoids", ylabel="proline",
    ).still(still)  # fmt: skip
    print(still)

    still = args.out / "wine_learning.png"
    tv.dynamics(recordings["pca"]).still(still, title="Wine: when it was learnt")
    print(still)


if __name__ == "__main__":
    main()
