"""The stages of boosted models of every package, with the scores of train and test data."""

import importlib

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    AdaBoostRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainviz import Domain, animate, record_stages

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 1, (40, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat(["left", "right", "top"], 40)
TARGET = X @ [1.0, 2.0] + RNG.normal(size=120)
TRAIN, TEST = np.arange(0, 120, 2), np.arange(1, 120, 2)
DOMAIN = Domain((-3, 3), (-2, 4), shape=(7, 9))
QUIET = {"verbose": 0, "allow_writing_files": False}


def boosted(name, **options):
    """Return a new model of 7 rounds, by its name."""
    if name.startswith("XGB"):
        return getattr(xgboost, name)(n_estimators=7, **options)
    if name.startswith("LGBM"):
        return getattr(lightgbm, name)(n_estimators=7, min_child_samples=5, verbose=-1, **options)
    return getattr(catboost, name)(iterations=7, **QUIET, **options)


def first_rounds(model, points, number):
    """Return the answer of the model's first rounds, as its package documents it."""
    name = type(model).__name__
    method = model.predict if name.endswith("Regressor") else model.predict_proba
    if name.startswith("XGB"):
        return method(points, iteration_range=(0, number))
    if name.startswith("LGBM"):
        return method(points, num_iteration=number)
    return method(points, ntree_end=number)


@pytest.mark.parametrize("name", ["XGBClassifier", "LGBMClassifier", "CatBoostClassifier"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_stages_of_a_classifier_are_its_first_rounds(name, n_classes):
    some = np.arange(40 * n_classes)
    labels = np.repeat([0, 1, 2], 40)[some]
    model = boosted(name).fit(X[some], labels)
    recording = record_stages(model, DOMAIN, every=3, data=(X[some], labels), batch_size=40)
    assert recording.epochs.tolist() == [3, 6, 7]
    for snapshot in recording:
        wanted = first_rounds(model, DOMAIN.points(), snapshot.epoch).T.reshape(-1, 7, 9)
        np.testing.assert_allclose(snapshot.probabilities, wanted, atol=1e-5)
    assert (recording[-1].data_predictions == np.ravel(model.predict(X[some]))).all()


@pytest.mark.parametrize("name", ["XGBRegressor", "LGBMRegressor", "CatBoostRegressor"])
def test_the_stages_of_a_regressor_are_its_first_rounds(name):
    model = boosted(name).fit(X, TARGET)
    recording = record_stages(model, DOMAIN, every=3, data=(X, TARGET))
    assert recording.output == "values"
    assert recording.epochs.tolist() == [3, 6, 7]
    for snapshot in recording:
        wanted = first_rounds(model, DOMAIN.points(), snapshot.epoch).reshape(1, 7, 9)
        np.testing.assert_allclose(snapshot.probabilities, wanted, rtol=1e-4, atol=1e-5)
        shown = first_rounds(model, X, snapshot.epoch)
        assert snapshot.metrics["r2"] == pytest.approx(r2_score(TARGET, shown), abs=1e-4)


@pytest.mark.parametrize(
    "model",
    [GradientBoostingRegressor(n_estimators=4), AdaBoostRegressor(n_estimators=4, random_state=0),
     HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=5)],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_the_stages_of_scikit_learns_regressors(model):
    model.fit(X[TRAIN], TARGET[TRAIN])
    recording = record_stages(
        model, DOMAIN, data=(X[TRAIN], TARGET[TRAIN]), test=(X[TEST], TARGET[TEST])
    )
    staged = list(model.staged_predict(DOMAIN.points()))
    assert len(recording) == len(staged)
    for snapshot, wanted in zip(recording, staged, strict=True):
        np.testing.assert_allclose(snapshot.probabilities.ravel(), wanted, rtol=1e-5)
    assert recording.metrics["train_r2"][-1] == pytest.approx(
        model.score(X[TRAIN], TARGET[TRAIN]), abs=1e-5
    )
    assert recording.metrics["test_r2"][-1] == pytest.approx(
        model.score(X[TEST], TARGET[TEST]), abs=1e-5
    )


@pytest.mark.parametrize(
    "kind", [GradientBoostingClassifier, "XGBClassifier", "CatBoostClassifier"]
)
def test_scores_of_train_and_test_data_are_kept_for_each_stage(kind):
    labels = Y if kind != "XGBClassifier" else np.repeat([0, 1, 2], 40)
    model = boosted(kind) if isinstance(kind, str) else kind(n_estimators=7)
    model.fit(X[TRAIN], labels[TRAIN])
    recording = record_stages(
        model, DOMAIN, data=(X[TRAIN], labels[TRAIN]), test=(X[TEST], labels[TEST])
    )
    for rows, name in ((TRAIN, "train_accuracy"), (TEST, "test_accuracy")):
        scores = recording.metrics[name]
        if isinstance(kind, str):
            answers = [first_rounds(model, X[rows], number) for number in range(1, 8)]
        else:
            answers = list(model.staged_predict_proba(X[rows]))
        wanted = [
            (model.classes_[answer.argmax(axis=1)] == labels[rows]).mean() for answer in answers
        ]
        np.testing.assert_allclose(scores, wanted)
    assert list(record_stages(model, DOMAIN, data=(X, labels)).metrics) == ["accuracy"]
    assert record_stages(model, DOMAIN).metrics == {}
    tested = record_stages(model, DOMAIN, test=(X[TEST], labels[TEST]))
    assert list(tested.metrics) == ["test_accuracy"]


FRAME = pd.DataFrame({"age": X[:, 0], "income": X[:, 1], "wealth": X[:, 0] ** 2})


@pytest.mark.parametrize("name", ["scikit-learn", "XGBClassifier", "LGBMClassifier"])
def test_the_last_step_of_a_pipeline_is_staged(name):
    labels = np.repeat([0, 1, 2], 40)
    last = GradientBoostingClassifier(n_estimators=7) if name == "scikit-learn" else boosted(name)
    chosen = make_column_transformer((StandardScaler(), ["income", "age"]))
    model = make_pipeline(chosen.set_output(transform="pandas"), StandardScaler(), last)
    model.fit(FRAME, labels)
    domain = Domain.around(FRAME[["income", "wealth", "age"]], resolution=9,
                           features=("age", "income"))  # fmt: skip
    recording = record_stages(model, domain, every=3, data=(FRAME, labels))
    assert recording.epochs.tolist() == [3, 6, 7]
    table = pd.DataFrame(domain.points(), columns=["income", "wealth", "age"])
    wanted = model.predict_proba(table).T.reshape(3, 9, 9)
    np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-5)
    assert recording.metrics["accuracy"][-1] == model.score(FRAME, labels)


def test_a_search_and_a_pipeline_of_one_step_are_staged():
    search = GridSearchCV(
        make_pipeline(HistGradientBoostingClassifier(max_iter=4)),
        {"histgradientboostingclassifier__max_depth": [2, 3]}, cv=2,
    ).fit(X, Y)  # fmt: skip
    recording = record_stages(search, DOMAIN)
    assert recording.class_names == ["left", "right", "top"]
    wanted = search.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-6)


@pytest.mark.parametrize("package", ["xgboost", "lightgbm", "catboost"])
def test_native_boosters_have_stages(package):
    found, labels = importlib.import_module(package), np.repeat([0, 1, 2], 40)
    if package == "xgboost":
        options = {"objective": "multi:softprob", "num_class": 3}
        model = found.train(options, found.DMatrix(X, labels), 7)
        wanted = model.predict(found.DMatrix(DOMAIN.points()), iteration_range=(0, 3))
    elif package == "lightgbm":
        options = {"objective": "multiclass", "num_class": 3, "verbose": -1}
        model = found.train(options, found.Dataset(X, labels), 7)
        wanted = model.predict(DOMAIN.points(), num_iteration=3)
    else:
        model = found.CatBoost({"loss_function": "MultiClass", "iterations": 7, **QUIET})
        model.fit(X, labels)
        wanted = model.predict(DOMAIN.points(), "Probability", ntree_end=3)
    recording = record_stages(model, DOMAIN, at=[3], data=(X, labels))
    assert recording.epochs.tolist() == [3, 7]
    found = recording[0].probabilities.reshape(3, -1).T
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["XGBClassifier", "LGBMClassifier", "CatBoostClassifier"])
def test_the_stages_of_an_early_stopped_model_end_where_its_predictions_do(name):
    labels = RNG.permutation(np.repeat([0, 1], 60))
    known = {"eval_set": [(X[TEST], labels[TEST])]}
    if name == "LGBMClassifier":
        model = boosted(name).set_params(n_estimators=60)
        model.fit(X[TRAIN], labels[TRAIN], callbacks=[lightgbm.early_stopping(2, verbose=False)],
                  **known)  # fmt: skip
    elif name == "XGBClassifier":
        model = boosted(name, early_stopping_rounds=2).set_params(n_estimators=60)
        model.fit(X[TRAIN], labels[TRAIN], verbose=False, **known)
    else:
        model = boosted(name, early_stopping_rounds=2).fit(X[TRAIN], labels[TRAIN], **known)
    recording = record_stages(model, DOMAIN, every=100)
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(2, 7, 9)
    np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-5)
    assert recording.epochs[-1] < 60


def test_pictures_count_stages_and_can_say_tree():
    model = GradientBoostingClassifier(n_estimators=3).fit(X, Y)
    recording = record_stages(model, DOMAIN, data=(X, Y))
    assert "stages 1 to 3" in repr(recording)
    still = animate(recording).still()
    assert still.axes[0].get_title(loc="right") == "stage 3"
    assert "stage" in {ax.get_xlabel() for ax in still.axes}
    still = animate(recording, counter="tree {epoch}").still()
    assert still.axes[0].get_title(loc="right") == "tree 3"


def test_a_domain_must_be_one():
    with pytest.raises(TypeError, match=r"domain=3: expected a trainviz\.Domain"):
        record_stages(GradientBoostingClassifier(), 3)
