import random
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from trainviz import Domain, EvaluationError, SklearnRecorder, record_stages

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 0.7, (30, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat(["left", "right", "top"], 30)
DOMAIN = Domain((-3, 3), (-2, 4), shape=(17, 13))


def captured(model, domain=DOMAIN, **options):
    return SklearnRecorder(model, domain, **options).start().recording[-1]


@pytest.fixture
def fitted():
    return GaussianNB().fit(X, Y)


def test_the_map_is_the_models_own_answer(fitted):
    wanted = fitted.predict_proba(DOMAIN.points()).T.reshape(3, 17, 13).astype(np.float32)
    np.testing.assert_array_equal(captured(fitted).probabilities, wanted)


def test_the_map_is_that_of_scikit_learns_own_display(fitted):
    eps = 1.0
    domain = Domain(
        (X[:, 0].min() - eps, X[:, 0].max() + eps),
        (X[:, 1].min() - eps, X[:, 1].max() + eps),
        points_per_axis=25,
    )
    display = DecisionBoundaryDisplay.from_estimator(
        fitted, X, grid_resolution=25, eps=eps, response_method="predict_proba",
        class_of_interest="top", plot_method="contour",
    )  # fmt: skip
    np.testing.assert_array_equal(np.broadcast_to(domain.x, (25, 25)), display.xx0)
    np.testing.assert_array_equal(np.broadcast_to(domain.y[:, None], (25, 25)), display.xx1)
    mine = captured(fitted, domain).probabilities[2]
    np.testing.assert_allclose(mine, display.response, atol=1e-6)


def test_a_logistic_models_boundary_is_its_line():
    two = Y != "top"
    model = LogisticRegression().fit(X[two], Y[two])
    right = captured(model).probabilities[1].astype(np.float64)
    (a, b), c = model.coef_[0], model.intercept_[0]
    for row, y in enumerate(DOMAIN.y):
        # Between the two grid points where p crosses one half the logit is linear.
        logit = np.log(right[row] / (1 - right[row]))
        crossing = np.interp(0, logit, DOMAIN.x)
        assert crossing == pytest.approx(-(b * y + c) / a, abs=1e-4)


@pytest.mark.parametrize("output", ["probabilities", "log_probabilities", "logits"])
@pytest.mark.parametrize("classes", [["left", "right"], ["left", "right", "top"]])
def test_every_output_of_a_logistic_model_gives_the_same_map(output, classes):
    some = np.isin(Y, classes)
    model = LogisticRegression().fit(X[some], Y[some])
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(-1, 17, 13)
    np.testing.assert_allclose(captured(model, output=output).probabilities, wanted, atol=1e-6)


def test_a_table_model_of_images_is_given_flat_rows_and_of_several_inputs_says_no(fitted):
    square = Domain((-3, 3), (-2, 4), shape=(17, 13), input_shape=(2, 1))
    np.testing.assert_array_equal(
        captured(fitted, square).probabilities, captured(fitted).probabilities
    )
    several = Domain((-3, 3), (-2, 4), shape=(17, 13), input_shape={"a": (1,), "b": (1,)})
    with pytest.raises(EvaluationError, match=r"takes one table, .* leave out input_shape="):
        captured(fitted, several)


def test_a_probability_of_zero_has_a_logarithm_without_warning():
    model = RandomForestClassifier(5, random_state=0).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot = captured(model, output="log_probabilities")
    assert snapshot.probabilities.min() == 0


def test_a_partial_fit_loop():
    model = SGDClassifier(loss="log_loss", random_state=0)
    with SklearnRecorder(model, DOMAIN, every=2, data=(X, Y)) as rec:
        for epoch in range(5):
            model.partial_fit(X, Y, classes=["left", "right", "top"])
            rec.epoch_end(epoch, accuracy=model.score(X, Y))
    recording = rec.recording
    assert recording.epochs.tolist() == [2, 4, 5]  # nothing before training: not fitted yet
    assert recording.class_names == ["left", "right", "top"]
    assert recording[-1].metrics["accuracy"] == model.score(X, Y)
    assert recording.history.epochs.tolist() == [1, 2, 3, 4, 5]
    assert np.isfinite(recording.history.metrics["accuracy"]).all()
    guesses = np.array(recording.class_names)[recording[-1].data_predictions]
    assert (guesses == model.predict(X)).all()
    np.testing.assert_array_equal(recording.data_labels, np.repeat([0, 1, 2], 30))


def test_a_fitted_model_has_a_state_before_training(fitted):
    with SklearnRecorder(fitted, DOMAIN) as rec:
        fitted.partial_fit(X + 1, Y)
        rec.epoch_end()
    assert rec.recording.epochs.tolist() == [0, 1]
    assert (rec.recording[0].probabilities != rec.recording[1].probabilities).any()


def test_a_loop_that_counts_from_one_and_reports_batches():
    model = MLPClassifier((4,), random_state=0)
    with SklearnRecorder(model, DOMAIN, every_n_steps=2, first_epoch=1) as rec:
        for epoch in (1, 2):
            for part in range(3):
                model.partial_fit(X[part::3], Y[part::3], classes=np.unique(Y))
                rec.step_end(loss=model.loss_)
            rec.epoch_end(epoch)
    assert rec.recording.steps.tolist() == [2, 4, 6]
    assert rec.recording.epochs.tolist() == [0, 1, 2]


def test_an_error_in_the_loop_is_the_users_own(fitted):
    with pytest.raises(ZeroDivisionError), SklearnRecorder(fitted, DOMAIN) as rec:
        rec.epoch_end(1 // 0)
    assert rec.recording.epochs.tolist() == [0]


def test_labels_that_are_absent_from_the_data_keep_their_column():
    model = GaussianNB().partial_fit(X, np.repeat([-5, 3, 7], 30), classes=[-5, 0, 3, 7])
    model.class_prior_ = np.array([0.3, 0.1, 0.3, 0.3])
    model.var_[1] = 1
    recording = SklearnRecorder(model, DOMAIN, data=(X[30:], [3] * 30 + [7] * 30)).start().recording
    assert recording.class_names == ["-5", "0", "3", "7"]
    assert np.unique(recording.data_labels).tolist() == [2, 3]


def test_models_of_dataframes_do_not_warn():
    frame = pd.DataFrame({"width": X[:, 0], "height": X[:, 1], "age": 1.0})
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()).fit(frame, Y)
    domain = Domain.around(frame, features=("width", "height"), resolution=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording = SklearnRecorder(model, domain, data=(frame, Y)).start().recording
    wanted = model.predict_proba(pd.DataFrame(domain.points(), columns=frame.columns))
    np.testing.assert_array_equal(
        recording[0].probabilities.reshape(3, -1).T, wanted.astype(np.float32)
    )


def test_a_model_without_probabilities_names_the_output_it_has():
    model = SGDClassifier(loss="hinge", random_state=0)
    with pytest.raises(TypeError, match=r"SGDClassifier has no predict_proba .*output='logits'"):
        SklearnRecorder(model, DOMAIN)
    model.fit(X, Y)
    snapshot = captured(model, output="logits")
    best = np.array(["left", "right", "top"])[snapshot.probabilities.argmax(axis=0)]
    assert (best.ravel() == model.predict(DOMAIN.points())).all()


def test_a_model_without_decision_function_names_the_output_it_has():
    with pytest.raises(TypeError, match=r"GaussianNB has no decision_function.*'probabilities'"):
        SklearnRecorder(GaussianNB(), DOMAIN, output="logits")


@pytest.mark.parametrize("model", [StandardScaler(), GaussianNB, "model"])
def test_what_is_no_classifier_is_refused(model):
    with pytest.raises(TypeError, match=r"model=.*scikit-learn classifier.*trainviz\.Recorder"):
        SklearnRecorder(model, DOMAIN)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(2), MLPClassifier((2,), tol=1)])
def test_several_outputs_are_refused(estimator):
    model = estimator.fit(X, np.stack([Y == "left", X[:, 0] > 0], axis=1))
    with pytest.raises(EvaluationError, match="predicts several outputs for one input"):
        captured(model)


def test_scores_of_pairs_of_classes_are_refused():
    model = SVC(decision_function_shape="ovo").fit(X, Y)
    with pytest.raises(EvaluationError, match='set decision_function_shape="ovr"'):
        captured(model, output="logits")
    assert captured(model.set_params(decision_function_shape="ovr"), output="logits")


def test_epoch_end_before_any_fit_raises():
    with pytest.raises(EvaluationError, match="not fitted"):
        SklearnRecorder(GaussianNB(), DOMAIN).start().epoch_end(0)


BOOSTED = [
    GradientBoostingClassifier(n_estimators=7, max_depth=2),
    HistGradientBoostingClassifier(max_iter=7, min_samples_leaf=5),
    AdaBoostClassifier(n_estimators=7, random_state=0),
]


@pytest.mark.parametrize("model", BOOSTED, ids=lambda model: type(model).__name__)
def test_stages_are_those_of_the_model(model):
    model.fit(X, Y)
    recording = record_stages(model, DOMAIN, every=3, data=(X, Y), batch_size=40)
    assert recording.epochs.tolist() == [3, 6, 7]
    assert recording.class_names == ["left", "right", "top"]
    grid = list(model.staged_predict_proba(DOMAIN.points()))
    for snapshot in recording:
        stage = grid[snapshot.epoch - 1].T.reshape(3, 17, 13)
        np.testing.assert_array_equal(snapshot.probabilities, stage.astype(np.float32))
    guesses = np.array(recording.class_names)[recording[-1].data_predictions]
    assert (guesses == model.predict(X)).all()


def test_stages_have_the_accuracy_of_each_group_of_the_data():
    groups = {"train": (X[::2], Y[::2]), "test": (X[1::2], Y[1::2])}
    model = GradientBoostingClassifier(n_estimators=4, max_depth=1).fit(*groups["train"])
    recording = record_stages(model, DOMAIN, data=groups, batch_size=40)
    for name, (inputs, labels) in groups.items():
        expected = [np.mean(stage == labels) for stage in model.staged_predict(inputs)]
        np.testing.assert_allclose(recording.metrics[f"{name} accuracy"], expected)


def test_every_stage_is_recorded_unless_told_otherwise():
    model = BOOSTED[0].fit(X, Y == "top")
    assert record_stages(model, DOMAIN).epochs.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert record_stages(model, DOMAIN, at=[2], final=False).epochs.tolist() == [2]
    assert record_stages(model, DOMAIN, schedule="geometric").class_names == ["False", "True"]


def test_stages_of_dataframes_do_not_warn():
    model = BOOSTED[1].fit(pd.DataFrame(X, columns=["a", "b"]), Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(record_stages(model, DOMAIN, every=4)) == 2


def test_stages_are_asked_for_what_preprocessing_makes_of_the_points():
    scaler = StandardScaler().fit(X * 100)
    model = GradientBoostingClassifier(n_estimators=3).fit(scaler.transform(X * 100), Y)
    domain = Domain.around(X * 100, resolution=9, preprocess=scaler)
    recording = record_stages(model, domain, data=(X * 100, Y))
    expected = model.predict_proba(scaler.transform(domain.embed(domain.project(X * 100))))
    assert recording[-1].data_predictions.tolist() == expected.argmax(axis=1).tolist()
    wanted = model.predict_proba(domain.points()).T.reshape(3, 9, 9)
    np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-6)


def test_stages_of_an_early_stopped_model():
    model = GradientBoostingClassifier(n_estimators=50, n_iter_no_change=1, tol=0.1).fit(X, Y)
    assert record_stages(model, DOMAIN).epochs[-1] == model.n_estimators_ < 50


@pytest.mark.parametrize("options", [{}, {"background": True}])
def test_training_is_bit_identical_with_and_without_the_recorder(options):
    def trained(recorded):
        # It draws from numpy's global stream, as estimators do unless they are told otherwise.
        np.random.seed(0)  # noqa: NPY002
        model = MLPClassifier((8,)).partial_fit(X, Y, classes=["left", "right", "top"])
        recorder = SklearnRecorder(model, DOMAIN, data=(X, Y), **options) if recorded else None
        if recorder:
            recorder.start()
        for _ in range(4):
            model.partial_fit(X, Y)
            if recorder:
                recorder.epoch_end()
        if recorder:
            assert len(recorder.finish()) == 5
        return [*model.coefs_, *model.intercepts_, np.random.random(3)]  # noqa: NPY002

    for bare, recorded in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(bare, recorded)


def test_the_random_streams_are_not_disturbed():
    model = AdaBoostClassifier(n_estimators=3).fit(X, Y)
    state, python = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    record_stages(model, DOMAIN)
    captured(model)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert random.getstate() == python


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (IsolationForest(), TypeError, "expected a fitted gradient boosting or AdaBoost model"),
        (RandomForestClassifier(), TypeError, "RandomForestClassifier has no staged_predict_proba"),
        (GradientBoostingClassifier(), NotFittedError, "not fitted"),
    ],
)
def test_models_without_stages_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        record_stages(model, DOMAIN)


def test_a_recording_made_in_the_background_is_the_same():
    def record(model, **options):
        with SklearnRecorder(model, DOMAIN, data=(X, Y), **options) as recorder:
            for epoch in range(5):
                model.partial_fit(X, Y, classes=["left", "right", "top"])
                recorder.epoch_end(epoch, accuracy=model.score(X, Y))
        return model, recorder.recording

    model, at_once = record(MLPClassifier((8,), random_state=0))
    other, later = record(MLPClassifier((8,), random_state=0), background=True)
    assert later.epochs.tolist() == at_once.epochs.tolist()
    assert later.class_names == ["left", "right", "top"]
    for a, b in zip(at_once, later, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        np.testing.assert_array_equal(a.data_predictions, b.data_predictions)
        assert a.metrics == b.metrics
    for weights, others in zip(model.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(weights, others)


# Regressors and independent labels.


def test_a_regressors_map_is_its_predict():
    target = 10 * X[:, 0] - 3
    model = GradientBoostingRegressor(n_estimators=5).fit(X, target)
    recorder = SklearnRecorder(model, DOMAIN, output="values", data=(X, target))
    recording = recorder.start().recording
    assert recording.output == "values"
    expected = model.predict(DOMAIN.points(0, DOMAIN.n_points)).reshape(1, *DOMAIN.shape)
    np.testing.assert_allclose(recording[-1].probabilities, expected, rtol=1e-6)
    assert recording.data_predictions(0) is None


@pytest.mark.parametrize("kind", [MLPClassifier, RandomForestClassifier])
def test_independent_labels_are_the_models_own(kind):
    labels = np.stack([X[:, 0] > 0, X[:, 1] > 1, np.ones(len(X)), np.zeros(len(X))], 1).astype(int)
    model = kind(random_state=0, **({"max_iter": 20} if kind is MLPClassifier else {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, labels)
    found = captured(model, output="multilabel", data=(X, labels)).probabilities
    answer = model.predict_proba(DOMAIN.points(0, DOMAIN.n_points))
    if kind is RandomForestClassifier:
        # One array a label; the third label has one class, 1, and the fourth one class, 0.
        ones = np.ones(DOMAIN.n_points)
        answer = np.stack([answer[0][:, 1], answer[1][:, 1], ones, 0 * ones], 1)
    np.testing.assert_allclose(found, answer.T.reshape(4, *DOMAIN.shape), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "output", "message"),
    [
        (SGDRegressor(), "probabilities", "is a regressor, not a classifier: say output='values'"),
        (GaussianNB(), "values", "output='values' expects an instance of a scikit-learn regressor"),
        (SVC(), "multilabel", "has no predict_proba"),
    ],
)
def test_a_model_of_the_other_kind_is_told_what_to_say(model, output, message):
    with pytest.raises(TypeError, match=message):
        SklearnRecorder(model, DOMAIN, output=output)


def test_stages_need_the_memory_of_one_map_at_a_time(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = GradientBoostingClassifier(n_estimators=40, max_depth=2).fit(X, X[:, 0] > 0)
    domain = Domain.around(X, resolution=100)
    record_stages(model, domain, every=40, path=tmp_path / "warm.zarr")
    peaks = []
    for every in (20, 1):
        tracemalloc.start()
        record_stages(model, domain, every=every, path=tmp_path / f"{every}.zarr")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one_map = 2 * domain.n_points * 4
    assert peaks[1] < peaks[0] + 5 * one_map
