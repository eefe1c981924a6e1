"""``record``: a fitted model of any framework in one line, as one snapshot without an epoch."""

import importlib

import catboost
import keras
import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from sklearn.cluster import DBSCAN, Birch, KMeans, MeanShift, MiniBatchKMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

import trainviz as tv

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 0.7, (30, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat(["left", "right", "top"], 30)
DOMAIN = tv.Domain((-3, 3), (-2, 4), shape=(17, 13))


def classes_of(recording):
    """Return the predicted label at each grid point, in the order of the domain's points."""
    best = recording[0].probabilities.argmax(axis=0).ravel()
    return np.array(recording.given_classes)[best]


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(match=lambda x: hasattr(x, "get_text"))]


def test_a_fitted_model_is_one_snapshot_whose_pictures_say_no_epoch(tmp_path):
    model = GaussianNB().fit(X, Y)
    recording = tv.record(model, X, Y, resolution=20, path=tmp_path / "a.zarr")
    assert len(recording) == 1
    assert recording.class_names == ["left", "right", "top"]
    wanted = model.predict_proba(recording.domain.points()).T.reshape(3, 20, 20)
    np.testing.assert_allclose(recording[0].probabilities, wanted, atol=5e-4)
    assert (
        np.array(["left", "right", "top"])[recording.data_predictions(0)] == model.predict(X)
    ).all()
    for one in (recording, recording[:], tv.open_recording(tmp_path / "a.zarr")):
        assert "epoch" not in repr(one)
        assert "epoch" not in one._repr_html_()
        film = tv.animate(one)
        for figure in (
            film.still(),
            film.filmstrip(),
            film.panels(),
            tv.compare([one, one]).still(),
        ):
            assert not any("epoch" in text for text in texts_of(figure))
        assert (film[0] == tv.animate(one, counter=False)[0]).all()


def test_a_recorders_snapshots_still_say_their_epoch():
    recorder = tv.SklearnRecorder(GaussianNB().fit(X, Y), DOMAIN).start()
    assert "epoch 0" in texts_of(tv.animate(recorder.recording).still())


HARD = [
    LinearSVC(), VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]),
    RidgeClassifier(), Perceptron(), SVC(), SGDClassifier(random_state=0),
    make_pipeline(StandardScaler(), LinearSVC()), GridSearchCV(LinearSVC(), {"C": [1, 2]}),
]  # fmt: skip


@pytest.mark.parametrize("model", HARD, ids=lambda model: type(model).__name__)
def test_a_model_that_predicts_labels_alone_is_drawn_as_it_predicts(model):
    model.fit(X, Y)
    recording = tv.record(model, DOMAIN, data=(X, Y))
    assert (classes_of(recording) == model.predict(DOMAIN.points())).all()
    assert set(np.unique(recording[0].probabilities)) == {0, 1}
    assert recording[0].method == "dense"
    looped = tv.SklearnRecorder(model, DOMAIN, output="labels").start().recording
    np.testing.assert_array_equal(looped[0].probabilities, recording[0].probabilities)


@pytest.mark.parametrize(
    "model",
    [KMeans(4, n_init=1), MiniBatchKMeans(4), Birch(n_clusters=3), MeanShift(bandwidth=1)],
    ids=str,
)
@pytest.mark.parametrize("scaled", [False, True])
def test_a_clustering_has_the_classes_of_its_fit(model, scaled):
    model = (make_pipeline(StandardScaler(), model) if scaled else model).fit(X)
    recording = tv.record(model, DOMAIN)
    assert (classes_of(recording) == model.predict(DOMAIN.points())).all()


def test_a_mixture_has_probabilities():
    model = GaussianMixture(3, random_state=0).fit(X)
    recording = tv.record(model, DOMAIN)
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(3, 17, 13)
    np.testing.assert_allclose(recording[0].probabilities, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [IsolationForest(random_state=0), LocalOutlierFactor(novelty=True), OneClassSVM(nu=0.1),
     EllipticEnvelope(random_state=0), make_pipeline(StandardScaler(), OneClassSVM(nu=0.1))],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_an_outlier_detector_has_inliers_and_outliers_or_its_decision_function(model):
    model.fit(X)
    recording = tv.record(model, DOMAIN, data=(X, model.predict(X)))
    assert recording.class_names == ["outlier", "inlier"]
    assert (classes_of(recording) == model.predict(DOMAIN.points())).all()
    assert (recording.data_labels == recording.data_predictions(0)).all()
    values = tv.record(model, DOMAIN, output="values")
    wanted = model.decision_function(DOMAIN.points()).reshape(1, 17, 13)
    np.testing.assert_allclose(values[0].probabilities, wanted, rtol=1e-5)
    assert values.class_names == ["decision function"]


def test_regressors_and_independent_labels_need_no_output():
    target = X @ [1.0, 2.0]
    recording = tv.record(LinearRegression().fit(X, target), X, target, resolution=9)
    assert recording.output == "values"
    model = RandomForestClassifier(3, random_state=0).fit(
        X, np.stack([X[:, 0] > 0, X[:, 1] > 1], 1)
    )
    assert tv.record(model, DOMAIN).output == "multilabel"


def test_modules_and_callables():
    module = torch.nn.Linear(2, 3)
    with torch.no_grad():
        wanted = torch.softmax(
            module(torch.tensor(DOMAIN.points(), dtype=torch.float32)), 1
        ).numpy()
    module.train()
    found = tv.record(module, DOMAIN)[0].probabilities
    np.testing.assert_allclose(found, wanted.T.reshape(3, 17, 13), atol=1e-6)
    assert module.training
    hard = tv.record(module, DOMAIN, output="labels", classes=[0, 1, 2],
                     predict=lambda model, x: model(x).argmax(1))  # fmt: skip
    assert (hard[0].probabilities.argmax(0).ravel() == wanted.argmax(1)).all()
    called = tv.record(lambda points: points[:, 0] > 0, DOMAIN)
    assert called[0].probabilities[1, 0, -1] == 1
    names = tv.record(lambda points: np.where(points[:, 0] > 0, "b", "a"), DOMAIN,
                      output="labels", classes=["a", "b"])  # fmt: skip
    np.testing.assert_array_equal(names[0].probabilities, called[0].probabilities)


def test_a_keras_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    wanted = np.asarray(model(DOMAIN.points().astype(np.float32))).T.reshape(3, 17, 13)
    np.testing.assert_allclose(tv.record(model, DOMAIN)[0].probabilities, wanted, atol=1e-6)


FRAME = pd.DataFrame({"age": X[:, 0], "income": X[:, 1]})
NUMBERS = np.repeat([0, 1, 2], 30)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("named", [False, True])
def test_boosters_are_asked_by_their_names(named, classes):
    some = classes > NUMBERS
    table, labels = (FRAME if named else X)[some], NUMBERS[some]
    domain = tv.Domain.around(FRAME[["income", "age"]] if named else X, resolution=9)
    points = domain.points()
    asked = pd.DataFrame(points[:, ::-1], columns=["age", "income"]) if named else points
    found = {}

    objective = {2: "binary:logistic", 3: "multi:softmax"}[classes]
    more = {"num_class": 3} if classes == 3 else {}
    model = xgboost.train({"objective": objective, **more}, xgboost.DMatrix(table, labels), 5)
    found["xgboost"] = tv.record(model, domain), np.rint(model.predict(xgboost.DMatrix(asked)))

    options = {"objective": {2: "binary", 3: "multiclass"}[classes], "verbose": -1, **more}
    model = lightgbm.train(options, lightgbm.Dataset(table, labels), 5)
    answer = model.predict(asked)
    found["lightgbm"] = (
        tv.record(model, domain),
        np.rint(answer) if classes == 2 else answer.argmax(1),
    )

    loss = {2: "Logloss", 3: "MultiClass"}[classes]
    model = catboost.CatBoost({"loss_function": loss, "iterations": 5, "verbose": 0,
                               "allow_writing_files": False}).fit(table, labels)  # fmt: skip
    found["catboost"] = tv.record(model, domain), model.predict(asked, "Class").ravel()

    for package, (recording, wanted) in found.items():
        best = recording[0].probabilities.argmax(axis=0).ravel()
        assert (best == wanted.astype(int)).all(), package


@pytest.mark.parametrize("package", ["xgboost", "lightgbm", "catboost"])
def test_boosters_of_regression_have_values(package):
    found = importlib.import_module(package)
    target = X @ [1.0, 2.0]
    if package == "xgboost":
        model = found.train({"objective": "reg:squarederror"}, found.DMatrix(X, target), 5)
        wanted = model.predict(found.DMatrix(DOMAIN.points()))
    elif package == "lightgbm":
        model = found.train({"objective": "regression", "verbose": -1}, found.Dataset(X, target), 5)
        wanted = model.predict(DOMAIN.points())
    else:
        model = found.CatBoost({"loss_function": "RMSE", "iterations": 5, "verbose": 0,
                                "allow_writing_files": False}).fit(X, target)  # fmt: skip
        wanted = model.predict(DOMAIN.points())
    recording = tv.record(model, DOMAIN, data=(X, target))
    np.testing.assert_allclose(recording[0].probabilities.ravel(), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "arguments", "options", "error", "message"),
    [
        (GaussianNB(), (DOMAIN,), {}, NotFittedError, "not fitted: call its fit first"),
        (GaussianNB, (DOMAIN,), {}, TypeError, "is a class: give a fitted instance"),
        ("model", (DOMAIN,), {}, TypeError, "expected a fitted estimator .* or a callable"),
        (len, (DOMAIN, Y), {}, TypeError, r"give data=\(X, y\)"),
        (len, (X, Y), {"data": (X, Y)}, TypeError, "data= is given twice"),
        (len, (DOMAIN,), {"output": "labels"}, TypeError, r"needs classes=\[...\]"),
        (len, (DOMAIN,), {"output": "label"}, ValueError, "expected one of"),
        (len, (DOMAIN,), {"predict": 1}, TypeError, "expected a callable"),
        (DBSCAN().fit(X), (DOMAIN,), {}, TypeError, "estimator with a method predict"),
        (LocalOutlierFactor().fit(X), (DOMAIN,), {}, TypeError, "expected a fitted estimator"),
        (KMeans(1).fit(X), (DOMAIN,), {}, tv.EvaluationError, "shows at least two"),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_says_why(model, arguments, options, error, message):
    with pytest.raises(error, match=message):
        tv.record(model, *arguments, **options)


@pytest.mark.parametrize("seed", range(3))
def test_an_svc_of_several_classes_is_drawn_as_it_predicts_under_logits(seed):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(c, 1, (20, 2)) for c in ((-1, 0), (1, 0), (0, 1), (0, -1))])
    model = make_pipeline(StandardScaler(), SVC(C=10, gamma=3)).fit(
        points, np.repeat(list("dbca"), 20)
    )
    domain = tv.Domain.around(points, resolution=100)
    recording = tv.record(model, domain, output="logits", evaluation="dense")
    scores = model.decision_function(domain.points())
    predicted = model.predict(domain.points())
    assert (model.classes_[scores.argmax(1)] != predicted).mean() > 0.005
    assert (classes_of(recording) == predicted).all()
