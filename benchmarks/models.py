"""A varied set of classifiers of the plane, one half to fit constants on, the other held out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz.evaluation.outputs import Output

__all__ = ["Model", "models"]

Array = npt.NDArray[Any]

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: z / (1 + np.exp(-1.702 * z.clip(-300, 300))),
    "sine": np.sin,
}


@dataclass(frozen=True)
class Model:
    """One classifier on the window from -3 to 3.

    Attributes
    ----------
    name : str
    predict : callable
    output : str
    smooth : bool
        Whether it is continuous, with no feature thinner than a few hundredths of the window.
    held_out : bool
        Whether no constant may be chosen by it.
    """

    name: str
    predict: Callable[[Any], Array]
    output: Output
    smooth: bool
    held_out: bool


def models() -> list[Model]:
    """Return the whole set, the same each time; every other one of a kind is held out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [*_networks(), *_fitted(), *_by_hand()]
    return [Model(*entry, held_out=number % 2 == 1) for number, entry in enumerate(found)]


_Entry = tuple[str, Callable[[Any], Array], Output, bool]


def _networks() -> Iterator[_Entry]:
    kinds = [
        ("relu", 8, 2, 3, 1.0), ("relu", 16, 2, 3, 3.0), ("relu", 32, 3, 7, 1.0),
        ("relu", 64, 2, 2, 10.0), ("relu", 128, 4, 10, 1.0), ("relu", 16, 1, 2, 0.01),
        ("tanh", 16, 2, 3, 3.0), ("tanh", 64, 3, 3, 10.0), ("tanh", 32, 2, 10, 0.01),
        ("tanh", 32, 2, 60, 1.0), ("gelu", 32, 3, 5, 3.0), ("gelu", 128, 2, 20, 1.0),
        ("gelu", 32, 2, 2, 100.0), ("relu", 32, 2, 5, 100.0), ("sine", 16, 2, 3, 1.0),
        ("sine", 32, 3, 4, 3.0), ("sine", 64, 2, 2, 10.0), ("tanh", 16, 5, 4, 100.0),
    ]  # fmt: skip
    for seed, (activation, width, depth, classes, inverse_temperature) in enumerate(kinds):
        name = f"{activation} {width}x{depth}, {classes} classes, sharpness {inverse_temperature:g}"
        yield (
            name,
            network(seed, activation, width, depth, classes, inverse_temperature),
            "logits",
            True,
        )


def network(
    seed: int, activation: str, width: int, depth: int, classes: int, sharpness: float
) -> Callable[[Any], Array]:
    """Return the logits of a network with random weights."""
    rng, act = np.random.default_rng(seed), _ACTIVATIONS[activation]
    sizes = [2, *[width] * depth, classes]
    gain = {"relu": 2.0, "gelu": 2.0, "tanh": 2.0, "sine": 3.0}[activation]
    layers = [
        (rng.normal(0, np.sqrt(gain / a), (a, b)), rng.normal(0, 0.5, b))
        for a, b in pairwise(sizes)
    ]

    def logits(X: Array) -> Array:
        for weights, bias in layers[:-1]:
            X = act(X @ weights + bias)
        weights, bias = layers[-1]
        return sharpness * (X @ weights + bias)

    return logits


def _spirals(n: int, classes: int, noise: float, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    radius = np.sqrt(rng.uniform(0.02, 1, n))
    angle = 4 * radius + 2 * np.pi * y / classes
    X = 2.7 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return X + rng.normal(0, noise, X.shape), y


def _fitted() -> Iterator[_Entry]:
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.ensemble import (
        AdaBoostClassifier,
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    X, y = _spirals(300, 3, 0.15, 0)
    kinds: list[tuple[str, Any, bool]] = [
        ("logistic regression", LogisticRegression(), True),
        ("naive Bayes", GaussianNB(), True),
        ("quadratic discriminant", QuadraticDiscriminantAnalysis(), True),
        ("support vectors, wide", SVC(gamma=1, probability=True, random_state=0), True),
        ("support vectors, narrow", SVC(gamma=20, probability=True, random_state=0), True),
        ("Gaussian process", GaussianProcessClassifier(RBF(0.6), optimizer=None), True),
        ("Gaussian process, short", GaussianProcessClassifier(RBF(0.2), optimizer=None), True),
        ("three spirals, tanh", MLPClassifier((32, 32), "tanh", random_state=0), True),
        ("three spirals, relu", MLPClassifier((32, 32), random_state=0), True),
        ("tree, depth 4", DecisionTreeClassifier(max_depth=4, random_state=0), False),
        ("tree, full", DecisionTreeClassifier(random_state=0), False),
        ("forest of 10", RandomForestClassifier(10, random_state=0), False),
        ("forest of 50", RandomForestClassifier(50, random_state=0), False),
        ("extra trees of 10", ExtraTreesClassifier(10, random_state=0), False),
        ("extra trees of 30", ExtraTreesClassifier(30, random_state=0), False),
        ("boosted trees of 20", GradientBoostingClassifier(n_estimators=20, random_state=0), False),
        ("boosted trees of 60", GradientBoostingClassifier(n_estimators=60, random_state=0), False),
        ("boosted histograms", HistGradientBoostingClassifier(max_iter=15, random_state=0), False),
        ("boosted stumps", AdaBoostClassifier(n_estimators=20, random_state=0), False),
        ("nearest neighbour", KNeighborsClassifier(1), False),
        ("5 nearest neighbours", KNeighborsClassifier(5), False),
        ("15 weighted neighbours", KNeighborsClassifier(15, weights="distance"), False),
    ]  # fmt: skip
    for name, model, smooth in kinds:
        if isinstance(model, MLPClassifier):
            model.max_iter = 300
        yield name, model.fit(X, y).predict_proba, "probabilities", smooth


def _by_hand() -> Iterator[_Entry]:
    rng = np.random.default_rng(5)
    for classes, spread in ((2, 1.0), (8, 0.5), (30, 0.3), (60, 0.2)):
        centres = rng.uniform(-2.5, 2.5, (classes, 2))
        yield f"mixture of {classes}", _mixture(centres, spread), "logits", True
    for width in (0.02, 0.05, 0.1):
        yield f"upright stripe of {width}", _stripe(0.737, width), "probabilities", False
        yield f"slanted stripe of {width}", _stripe(0.737, width, 0.3), "probabilities", False
    for radius in (0.05, 0.15):
        yield f"disc of {radius}", _disc(radius), "probabilities", False
        yield f"soft disc of {radius}", _soft_disc(radius), "logits", False
    yield "squares of 0.7", _squares(0.7), "probabilities", False
    yield "squares of 0.2", _squares(0.2), "probabilities", False


def _mixture(centres: Array, spread: float) -> Callable[[Any], Array]:
    return lambda X: -((X[:, None] - centres) ** 2).sum(axis=2) / (2 * spread**2)


def _stripe(at: float, width: float, slope: float = 0) -> Callable[[Any], Array]:
    return lambda X: (np.abs(X[:, 0] + slope * X[:, 1] - at) < width / 2).astype(float)


def _disc(radius: float) -> Callable[[Any], Array]:
    return lambda X: (((X - (0.71, -0.33)) ** 2).sum(axis=1) < radius**2).astype(float)


def _soft_disc(radius: float) -> Callable[[Any], Array]:
    return lambda X: 4 - 8 * np.sqrt(((X - (0.71, -0.33)) ** 2).sum(axis=1)) / radius


def _squares(side: float) -> Callable[[Any], Array]:
    return lambda X: np.floor(X / side).sum(axis=1) % 2
