"""XGBoost and LightGBM, recorded round by round while they are trained by their own functions."""

import random

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import trainviz as tv

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 1, (60, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat([0, 1, 2], 60)
TRAIN, TEST = np.arange(0, 180, 2), np.arange(1, 180, 2)
NOISY = np.where(RNG.random(180) < 0.4, RNG.permutation(Y), Y)
DOMAIN = tv.Domain((-3, 3), (-2, 4), shape=(7, 9))

RECORDERS = {"xgboost": tv.XGBoostRecorder, "lightgbm": tv.LightGBMRecorder}
PACKAGES = pytest.mark.parametrize("package", list(RECORDERS))
# Both draw rows and columns by chance, so that a draw of the recorder's would change the trees.
OPTIONS = {
    "xgboost": {"objective": "multi:softprob", "num_class": 3, "subsample": 0.5, "seed": 3,
                "colsample_bynode": 0.5, "max_depth": 3, "nthread": 1},
    "lightgbm": {"objective": "multiclass", "num_class": 3, "bagging_fraction": 0.5, "seed": 3,
                 "bagging_freq": 1, "feature_fraction_bynode": 0.5, "min_data_in_leaf": 5,
                 "verbose": -1, "num_threads": 1},
}  # fmt: skip


def trained(package, *callbacks, rounds=12, before=None, labels=Y, evals=False, **options):
    """Train a native booster on every other point."""
    chosen, callbacks = {**OPTIONS[package], **options}, list(callbacks)
    if package == "xgboost":
        sets = [(xgboost.DMatrix(X[TEST], labels[TEST]), "test")] if evals else []
        return xgboost.train(chosen, xgboost.DMatrix(X[TRAIN], labels[TRAIN]), rounds, evals=sets,
                             callbacks=callbacks, xgb_model=before, verbose_eval=False)  # fmt: skip
    data = lightgbm.Dataset(X[TRAIN], labels[TRAIN])
    sets = [lightgbm.Dataset(X[TEST], labels[TEST], reference=data)] if evals else None
    return lightgbm.train(chosen, data, rounds, valid_sets=sets, callbacks=callbacks,
                          valid_names=["test"] if evals else None, init_model=before)  # fmt: skip


def text_of(booster):
    if isinstance(booster, xgboost.Booster):
        return bytes(booster.save_raw("json"))
    return booster.model_to_string()


def first_rounds(booster, number, points=None):
    points = DOMAIN.points() if points is None else points
    if isinstance(booster, xgboost.Booster):
        return booster.predict(xgboost.DMatrix(points), iteration_range=(0, number))
    return booster.predict(points, num_iteration=number)


def stop_early(package, rounds=2):
    if package == "xgboost":
        return xgboost.callback.EarlyStopping(rounds=rounds)
    return lightgbm.early_stopping(rounds, verbose=False)


@PACKAGES
@pytest.mark.parametrize("booster", ["trees", "dart"])
@pytest.mark.parametrize("options", [{}, {"background": True}], ids=["at once", "background"])
def test_training_is_bit_identical_with_and_without_the_recorder(package, booster, options):
    name, trees = {"xgboost": ("booster", "gbtree"), "lightgbm": ("boosting", "gbdt")}[package]
    found, kind = [], trees if booster == "trees" else booster
    for callbacks in ([], [RECORDERS[package](DOMAIN, data=(X, Y), **options)]):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        model = trained(package, *callbacks, evals=True, **{name: kind})
        found.append((text_of(model), random.random(), np.random.random()))  # noqa: NPY002
    assert found[0] == found[1]
    assert len(callbacks[0].recording) == 12


@PACKAGES
@pytest.mark.parametrize("options", [{}, {"background": True}], ids=["at once", "background"])
def test_each_map_is_the_answer_of_the_first_rounds(package, options):
    rec = RECORDERS[package](DOMAIN, every=5, data=(X, Y), **options)
    model = trained(package, rec)
    assert rec.recording.epochs.tolist() == [5, 10, 12]
    assert rec.recording.unit == "stage"
    for snapshot in rec.recording:
        wanted = first_rounds(model, snapshot.epoch).T.reshape(3, 7, 9)
        np.testing.assert_allclose(snapshot.probabilities, wanted, atol=1e-5)
    guesses = first_rounds(model, 12, X).argmax(axis=1)
    assert (rec.recording[-1].data_predictions == guesses).all()


@PACKAGES
def test_the_stages_are_those_of_the_fitted_model(package):
    rec = RECORDERS[package](DOMAIN, every=4, evaluation="dense")
    model = trained(package, rec)
    staged = tv.record_stages(model, DOMAIN, every=4)
    assert rec.recording.epochs.tolist() == staged.epochs.tolist()
    for one, other in zip(rec.recording, staged, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@PACKAGES
def test_what_is_measured_at_each_round_is_kept_for_each(package):
    rec, measured = RECORDERS[package](DOMAIN, every=5), {}
    if package == "xgboost":

        class Keep(xgboost.callback.TrainingCallback):
            def after_training(self, model):
                return model

            def after_iteration(self, model, epoch, evals_log):
                measured.update(evals_log)
                return False

        keep = Keep()
    else:
        keep = lightgbm.record_evaluation(measured)
    trained(package, rec, keep, evals=True)
    history = rec.recording.history
    assert history.epochs.tolist() == list(range(1, 13))
    ((name, values),) = measured["test"].items()
    assert history.metrics[f"test {name}"].tolist() == pytest.approx(values)
    assert rec.recording.metrics[f"test {name}"][1] == pytest.approx(values[9])


@PACKAGES
@pytest.mark.parametrize("first", ["recorder", "stopping"])
def test_early_stopping_ends_with_the_last_round_and_the_best(package, first):
    rec, every = (RECORDERS[package](DOMAIN, every=n, data=(X, NOISY)) for n in (50, 1))
    callbacks = [rec, every, stop_early(package)]
    model = trained(package, *callbacks[:: 1 if first == "recorder" else -1], rounds=60,
                    labels=NOISY, evals=True)  # fmt: skip
    best = model.best_iteration + (package == "xgboost")
    last = len(every.recording) - 1
    assert best == last - 2 < 48
    assert every.recording.epochs.tolist() == [*range(1, last + 1), last]
    # LightGBM leaves only the rounds up to the best one.
    kept = [best] if package == "lightgbm" else [None, best]
    assert rec.recording.epochs.tolist() == [last] * len(kept)
    assert [snapshot.weights_epoch for snapshot in rec.recording] == kept
    for recording in (rec.recording, every.recording):
        wanted = first_rounds(model, best).T.reshape(3, 7, 9)
        np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-5)
        assert recording[-1].weights_epoch == best
        assert recording.history.epochs.tolist() == list(range(1, last + 1))
        title = tv.animate(recording).still().axes[0].get_title(loc="right")
        assert title == f"stage {last}, as of stage {best}"
    assert np.abs(every.recording[-2].probabilities - wanted).max() > 0.01


def test_a_booster_that_is_cut_to_its_best_round_is_recorded_to_the_end():
    rec, after = (tv.XGBoostRecorder(DOMAIN, every=50) for _ in range(2))
    stopping = xgboost.callback.EarlyStopping(rounds=2, save_best=True)
    model = trained("xgboost", rec, stopping, after, rounds=60, labels=NOISY, evals=True)
    best = model.num_boosted_rounds()
    assert [snapshot.weights_epoch for snapshot in rec.recording] == [None, best]
    assert rec.recording.epochs.tolist() == [best + 2, best + 2]
    # Its turn came when the last rounds were gone.
    assert [snapshot.weights_epoch for snapshot in after.recording] == [best]
    assert after.recording.epochs.tolist() == [best + 1]


def estimator(package, rec, **options):
    """Return the scikit-learn classifier of a package, and the arguments of its fit."""
    if package == "xgboost":
        return xgboost.XGBClassifier(n_estimators=9, callbacks=[rec], **options), {}
    made = lightgbm.LGBMClassifier(n_estimators=9, min_child_samples=5, verbose=-1, **options)
    return made, {"callbacks": [rec]}


@PACKAGES
def test_the_interface_of_scikit_learn(package):
    rec = RECORDERS[package](DOMAIN, every=4, data=(X, Y), class_names=["ash", "birch", "cedar"])
    model, options = estimator(package, rec)
    model.fit(X, Y, **options)
    assert rec.recording.epochs.tolist() == [4, 8, 9]
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, atol=1e-5)
    assert (rec.recording[-1].data_predictions == model.predict(X)).all()


def test_a_search_over_lightgbm_has_a_recording_of_each_fit():
    rec = tv.LightGBMRecorder(DOMAIN, every=4)
    model, options = estimator("lightgbm", rec)
    search = GridSearchCV(model, {"num_leaves": [2, 4]}, cv=2).fit(X, Y, **options)
    assert [each.epochs.tolist() for each in rec.recordings] == [[4, 8, 9]] * 5
    wanted = search.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, atol=1e-5)


def test_a_copy_of_an_xgboost_estimator_has_a_recorder_of_its_own():
    rec = tv.XGBoostRecorder(DOMAIN, every=4)
    model, _ = estimator("xgboost", rec)
    model.fit(X, Y)
    before = rec.recording[-1].probabilities
    copied = clone(model).fit(X[:, ::-1], Y)
    other = copied.callbacks[0]
    assert [each.epochs.tolist() for each in other.recordings] == [[4, 8, 9], [4, 8, 9]]
    wanted = copied.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(other.recording[-1].probabilities, wanted, atol=1e-5)
    assert len(rec.recordings) == 1
    np.testing.assert_array_equal(rec.recording[-1].probabilities, before)


@PACKAGES
def test_training_that_goes_on_from_a_booster_counts_on(package):
    rec = RECORDERS[package](DOMAIN, every=4)
    first = trained(package, rec, rounds=6)
    assert rec.recording.epochs.tolist() == [4, 6]
    model = trained(package, rec, before=first, rounds=4)
    assert rec.recording.epochs.tolist() == [4, 8, 10]
    np.testing.assert_allclose(
        rec.recording[-1].probabilities, first_rounds(model, 10).T.reshape(3, 7, 9), atol=1e-5
    )
    trained(package, rec, rounds=3)
    assert [each.epochs.tolist() for each in rec.recordings] == [[4, 8, 10], [3]]


@PACKAGES
def test_a_recording_on_disk_is_continued_by_another_recorder(package, tmp_path):
    path = tmp_path / "run.zarr"
    first = trained(package, RECORDERS[package](DOMAIN, every=4, path=path), rounds=6)
    rec = RECORDERS[package](DOMAIN, every=4, path=path, resume=True)
    model = trained(package, rec, before=first, rounds=4)
    recording = tv.open_recording(path)
    assert recording.epochs.tolist() == [4, 8, 10]
    for snapshot in recording:
        wanted = first_rounds(model, snapshot.epoch).T.reshape(3, 7, 9)
        np.testing.assert_allclose(snapshot.probabilities, wanted, atol=1e-3)
    with pytest.raises(tv.RecordingError, match=r"one run: make another recorder"):
        trained(package, rec, rounds=1)


@PACKAGES
def test_a_booster_that_goes_on_is_recorded_from_where_it_stands(package):
    first, rec = trained(package, rounds=6), RECORDERS[package](DOMAIN, every=4)
    trained(package, rec, before=first, rounds=4)
    assert rec.recording.epochs.tolist() == [6, 8, 10]
    np.testing.assert_allclose(
        rec.recording[0].probabilities, first_rounds(first, 6).T.reshape(3, 7, 9), atol=1e-5
    )


@PACKAGES
def test_cross_validation_is_not_recorded_and_goes_on(package):
    rec = RECORDERS[package](DOMAIN)

    def folds(*callbacks):
        if package == "xgboost":
            return xgboost.cv(OPTIONS[package], xgboost.DMatrix(X, Y), 3, nfold=2, seed=0,
                              callbacks=list(callbacks), as_pandas=False)  # fmt: skip
        return lightgbm.cv(OPTIONS[package], lightgbm.Dataset(X, Y), 3, nfold=2, seed=0,
                           callbacks=list(callbacks))  # fmt: skip

    with pytest.warns(tv.CaptureWarning, match=rf"{package}\.cv trains a booster for each") as told:
        found = folds(rec)
    assert len(told) == 1
    assert found == folds()
    assert len(rec.recording) == 0
    trained(package, rec, rounds=2)
    assert rec.recording.epochs.tolist() == [1, 2]


@PACKAGES
def test_a_recorder_that_is_given_twice_records_once(package):
    rec, other = RECORDERS[package](DOMAIN), RECORDERS[package](DOMAIN, every=2)
    trained(package, rec, rec, other, rounds=4)
    assert rec.recording.epochs.tolist() == [1, 2, 3, 4]
    assert other.recording.epochs.tolist() == [2, 4]


TARGET = X @ [1.0, 2.0]


@PACKAGES
def test_regression_says_values_and_two_classes_need_nothing(package):
    rec = RECORDERS[package](DOMAIN, output="values", data=(X, TARGET))
    objective = {"xgboost": "reg:squarederror", "lightgbm": "regression"}[package]
    model = trained(package, rec, objective=objective, num_class=1, labels=TARGET)
    assert rec.recording.output == "values"
    wanted = first_rounds(model, 12).reshape(1, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, rtol=1e-4, atol=1e-5)
    rec = RECORDERS[package](DOMAIN)
    objective = {"xgboost": "binary:logistic", "lightgbm": "binary"}[package]
    model = trained(package, rec, objective=objective, num_class=1, labels=(Y > 0) * 1)
    wanted = first_rounds(model, 12).reshape(7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities[1], wanted, atol=1e-5)


@PACKAGES
def test_mistakes_are_told_after_the_first_round_at_the_latest(package):
    kind = RECORDERS[package]
    with pytest.raises(ValueError, match=r"output='values': .* returns probabilities: give output"):
        trained(package, kind(DOMAIN, output="values"))
    with pytest.raises(ValueError, match=r"class_names.* 2 .*3|3 .*class_names.* 2"):
        trained(package, kind(DOMAIN, every=100, class_names=["ash", "birch"]))
    with pytest.raises(ValueError, match=r"every_n_steps= .* give every="):
        kind(DOMAIN, every_n_steps=2)
    with pytest.raises(ValueError, match=r"output='logits': expected 'probabilities' or 'values'"):
        kind(DOMAIN, output="logits")
    with pytest.raises(TypeError, match=r"predict=3: expected a callable"):
        kind(DOMAIN, predict=3)


@PACKAGES
def test_an_objective_of_ones_own_needs_predict(package):
    def objective(margins, data):
        odds = 1 / (1 + np.exp(-margins))
        return odds - data.get_label(), odds * (1 - odds)

    def train(rec):
        labels = (Y > 0) * 1.0
        if package == "xgboost":
            return xgboost.train({}, xgboost.DMatrix(X, labels), 3, obj=objective, callbacks=[rec])
        data, options = lightgbm.Dataset(X, labels), {"objective": objective, "verbose": -1}
        return lightgbm.train(options, data, 3, callbacks=[rec])

    def predict(booster, points):
        if package == "xgboost":
            points = xgboost.DMatrix(points)
        return 1 / (1 + np.exp(-np.asarray(booster.predict(points))))

    with pytest.raises(ValueError, match="for an objective of your own predict="):
        train(RECORDERS[package](DOMAIN))
    rec = RECORDERS[package](DOMAIN, predict=predict)
    model = train(rec)
    wanted = predict(model, DOMAIN.points()).reshape(7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities[1], wanted, atol=1e-5)


def test_a_linear_booster_is_recorded_too():
    rec = tv.XGBoostRecorder(DOMAIN, every=5)
    model = xgboost.train({"booster": "gblinear", "objective": "multi:softprob", "num_class": 3},
                          xgboost.DMatrix(X, Y), 12, callbacks=[rec])  # fmt: skip
    assert rec.recording.epochs.tolist() == [5, 10, 12]
    wanted = model.predict(xgboost.DMatrix(DOMAIN.points())).T.reshape(3, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, atol=1e-2)
    first, last = rec.recording[0].probabilities, rec.recording[-1].probabilities
    assert np.abs(first - last).max() > 0.01


def test_several_labels_in_one_booster_are_refused():
    labels = np.stack([Y > 0, Y > 1], axis=1) * 1
    with pytest.raises(tv.EvaluationError, match="predicts 2 labels for one input"):
        xgboost.XGBClassifier(n_estimators=3, callbacks=[tv.XGBoostRecorder(DOMAIN)]).fit(X, labels)

    def predict(booster, points):
        return booster.predict(xgboost.DMatrix(points))

    rec = tv.XGBoostRecorder(DOMAIN, output="multilabel", predict=predict, data=(X, labels))
    model = xgboost.XGBClassifier(n_estimators=3, callbacks=[rec]).fit(X, labels)
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(2, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, atol=1e-5)
