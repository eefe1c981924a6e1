"""What an error message advises works: no advice leads to another error."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC

from trainviz import Domain, Recorder, SklearnRecorder, TorchRecorder, record

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 0.7, (30, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat(["left", "right", "top"], 30)
TWO = np.stack([X[:, 0] > 0, X[:, 1] > 1], axis=1).astype(int)
WORDS = np.stack([Y, Y[::-1]], axis=1)
TARGETS = np.stack([X[:, 0], X[:, 1]], axis=1)
DOMAIN = Domain((-3, 3), (-2, 4), shape=(7, 9))
TABLES = Domain((-3, 3), (-2, 4), shape=(7, 9), input_shape={"a": (1,), "b": (1,)})
WIDE = Domain.around(np.concatenate([X, X], axis=1), resolution=9, features=(0, 1))


def looped(model, domain=DOMAIN, **options):
    return SklearnRecorder(model, domain, **options).start().recording


def called(predict_proba, **options):
    recorder = Recorder(DOMAIN, **options)
    recorder.capture(predict_proba, epoch=0)
    return recorder.recording


def of_torch(module, **options):
    return TorchRecorder(module, DOMAIN, **options).start().recording


class Outputs(torch.nn.Module):
    def forward(self, x):
        return {"a": x, "b": x}


VOTING = VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]).fit(X, Y)
BAYES = GaussianNB().fit(X, Y)
FOREST = RandomForestClassifier(2, random_state=0).fit(X, TWO)
WORDY = RandomForestClassifier(2, random_state=0).fit(X, WORDS)
PAIRS = SVC(decision_function_shape="ovo").fit(X, Y)
LINES = LinearRegression().fit(X, TARGETS)
TREES = GradientBoostingRegressor(n_estimators=2).fit(X, X[:, 0])
DETECTOR = IsolationForest(n_estimators=5, random_state=0).fit(X)
SCORED = SGDClassifier(random_state=0).fit(X, Y)
LOGITS = lambda points: np.stack([points[:, 0], -points[:, 0], 3 + points[:, 1]], 1)  # noqa: E731


def labels_of(points):
    return np.where(points[:, 0] > 0, 2, 1)


# What fails, a part of its message, and what the message advises.
CASES = {
    "labels alone": (
        lambda: looped(VOTING), "labels alone: say output='labels'",
        lambda: looped(VOTING, output="labels")),
    "a clustering": (
        lambda: looped(KMeans(3, n_init=1).fit(X)), "labels alone: say output='labels'",
        lambda: looped(KMeans(3, n_init=1).fit(X), output="labels")),
    "scores alone": (
        lambda: looped(SCORED), r"say output='logits' \(decision_function",
        lambda: looped(SCORED, output="logits")),
    "no scores": (
        lambda: looped(BAYES, output="logits"), "say output='probabilities'",
        lambda: looped(BAYES, output="probabilities")),
    "no scores of labels": (
        lambda: looped(FOREST, output="multilabel_logits"), "say output='multilabel'",
        lambda: looped(FOREST, output="multilabel")),
    "a regressor": (
        lambda: looped(TREES), "is a regressor, .* say output='values'",
        lambda: looped(TREES, output="values")),
    "values of a classifier": (
        lambda: looped(BAYES, output="values"), "use trainviz.Recorder with a callable",
        lambda: called(lambda points: BAYES.predict_proba(points)[:, 0], output="values")),
    "a detector": (
        lambda: looped(DETECTOR), "say output='labels' .* or output='values'",
        lambda: looped(DETECTOR, output="labels")),
    "values of a detector": (
        lambda: looped(DETECTOR, output="logits"), "or output='values'",
        lambda: looped(DETECTOR, output="values")),
    "a detector of its own data": (
        lambda: looped(LocalOutlierFactor().fit(X), output="labels"), "novelty=True",
        lambda: looped(LocalOutlierFactor(novelty=True).fit(X), output="labels")),
    "no classifier": (
        lambda: looped(len), "use trainviz.Recorder with a callable",
        lambda: called(lambda points: points[:, 0] > 0)),
    "several labels": (
        lambda: looped(FOREST), "say output='multilabel'",
        lambda: looped(FOREST, output="multilabel")),
    "several labels of a network": (
        lambda: looped(MLPClassifier((2,), tol=1).fit(X, TWO)), "say output='multilabel'",
        lambda: looped(MLPClassifier((2,), tol=1).fit(X, TWO), output="multilabel")),
    "several labels alone": (
        lambda: looped(KNeighborsClassifier().fit(X, WORDS), output="labels"),
        r"output=.labels., classes=\[...\], predict=lambda model, X: model.predict\(X\)\[:, 0\]",
        lambda: looped(KNeighborsClassifier().fit(X, WORDS), output="labels",
                       classes=["left", "right", "top"],
                       predict=lambda model, X: model.predict(X)[:, 0])),
    "several words": (
        lambda: looped(WORDY), r"say output='labels', classes=\[...\], predict=",
        lambda: looped(WORDY, output="labels", classes=["left", "right", "top"],
                       predict=lambda model, X: model.predict(X)[:, 0])),
    "several values": (
        lambda: looped(LINES, output="values"),
        r"give predict=lambda model, X: model.predict\(X\)\[:, 0\]",
        lambda: looped(LINES, output="values", predict=lambda model, X: model.predict(X)[:, 0])),
    "pairs of classes": (
        lambda: looped(PAIRS, output="logits"), 'set decision_function_shape="ovr"',
        lambda: looped(SVC(decision_function_shape="ovr").fit(X, Y), output="logits")),
    "several inputs": (
        lambda: looped(BAYES, TABLES), "leave out input_shape=", lambda: looped(BAYES)),
    "several inputs of a callable": (
        lambda: looped(BAYES, TABLES), "trainviz.Recorder with a callable",
        lambda: Recorder(TABLES).capture(
            lambda parts: BAYES.predict_proba(np.concatenate([*parts.values()], 1)), epoch=0)),
    "other inputs": (
        lambda: looped(BAYES, WIDE), "give the domain features=/fixed= or input_shape=/preprocess=",
        lambda: looped(BAYES, Domain.around(np.concatenate([X, X], 1), resolution=9,
                                            features=(0, 1), preprocess=lambda X: X[:, :2]))),
    "other inputs, wrapped": (
        lambda: looped(BAYES, WIDE), r"wrap the call \(predict=",
        lambda: looped(BAYES, WIDE, predict=lambda model, X: model.predict_proba(X[:, :2]))),
    "labels of a recorder": (
        lambda: called(labels_of, output="labels"), "one column a class, e.g. lambda X",
        lambda: called(lambda X: labels_of(X)[:, None] == [1, 2])),
    "labels for probabilities": (
        lambda: called(labels_of), "class labels, say output='labels'",
        lambda: record(labels_of, DOMAIN, output="labels", classes=[1, 2])),
    "words for probabilities": (
        lambda: called(BAYES.predict), "class labels, say output='labels'",
        lambda: record(BAYES.predict, DOMAIN, output="labels", classes=["left", "right", "top"])),
    "classes that nobody knows": (
        lambda: record(labels_of, DOMAIN, output="labels"), r"needs classes=\[...\]",
        lambda: record(labels_of, DOMAIN, output="labels", classes=[1, 2])),
    "logits": (
        lambda: called(LOGITS), 'say output="logits"', lambda: called(LOGITS, output="logits")),
    "a value": (
        lambda: called(lambda X: 9 * X[:, 0]), 'of a regression model output="values"',
        lambda: called(lambda X: 9 * X[:, 0], output="values")),
    "independent labels": (
        lambda: called(lambda X: X > 0), 'say output="multilabel"',
        lambda: called(lambda X: X > 0, output="multilabel")),
    "logits of labels": (
        lambda: called(LOGITS, output="multilabel"), 'say output="multilabel_logits"',
        lambda: called(LOGITS, output="multilabel_logits")),
    "no logarithms": (
        lambda: called(LOGITS, output="log_probabilities"), 'is output="logits"',
        lambda: called(LOGITS, output="logits")),
    "no logarithms of probabilities": (
        lambda: called(BAYES.predict_proba, output="log_probabilities"),
        'output="probabilities" meant', lambda: called(BAYES.predict_proba)),
    "logarithms of nothing": (
        lambda: called(lambda X: np.log(np.stack([X[:, 0] > 0, X[:, 0] <= 0], 1) + 0.0)),
        'allowed with output="log_probabilities"',
        lambda: called(lambda X: np.log(np.stack([X[:, 0] > 0, X[:, 0] <= 0], 1) + 0.0),
                       output="log_probabilities")),
    "two values of a callable": (
        lambda: called(lambda X: X, output="values"), r"a callable lambda X: \.\.\. in its place",
        lambda: called(lambda X: (lambda X: X)(X)[:, 0], output="values")),
    "two values of a module": (
        lambda: of_torch(torch.nn.Linear(2, 2), output="values"),
        r"predict=lambda model, X: \.\.\. of a framework's recorder",
        lambda: of_torch(torch.nn.Linear(2, 2), output="values",
                         predict=lambda model, X: model(X)[:, 0])),
    "a dict of a module": (
        lambda: of_torch(Outputs()), r"predict=lambda model, x: model\(x\)\['a'\]",
        lambda: of_torch(Outputs(), predict=lambda model, x: model(x)["a"])),
    "not fitted": (
        lambda: record(GaussianNB(), DOMAIN), "call its fit first",
        lambda: record(GaussianNB().fit(X, Y), DOMAIN)),
    "not fitted yet": (
        lambda: record(GaussianNB(), DOMAIN), "with trainviz.SklearnRecorder",
        lambda: len(SklearnRecorder(GaussianNB(), DOMAIN).start().recording) == 0),
    "a class": (
        lambda: record(LinearSVC, DOMAIN), "give a fitted instance",
        lambda: record(LinearSVC().fit(X, Y), DOMAIN)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(name):
    fails, message, advised = CASES[name]
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        fails()
    assert advised()
