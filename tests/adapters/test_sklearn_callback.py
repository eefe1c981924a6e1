"""scikit-learn's own callbacks (experimental): the iterations within ``fit``."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import trainviz as tv

pytestmark = pytest.mark.skipif(
    not hasattr(LogisticRegression, "set_callbacks"), reason="scikit-learn has them from 1.9 on"
)

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 1, (30, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
Y = np.repeat(["ash", "birch", "cedar"], 30)
DOMAIN = tv.Domain((-3, 3), (-2, 4), shape=(7, 9))


def test_the_iterations_of_a_fit_are_recorded_and_change_nothing():
    rec = tv.SklearnFitRecorder(DOMAIN, every=3, data=(X, Y))
    bare, model = LogisticRegression().fit(X, Y), LogisticRegression().set_callbacks(rec).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, bare.coef_)
    np.testing.assert_array_equal(model.intercept_, bare.intercept_)
    recording, last = rec.recording, model.n_iter_[0]
    assert recording.epochs.tolist() == sorted({*range(0, last + 1, 3), last})
    assert recording.class_names == ["ash", "birch", "cedar"]
    np.testing.assert_allclose(recording[0].probabilities, 1 / 3, atol=1e-6)
    wanted = model.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(recording[-1].probabilities, wanted, atol=1e-6)


def test_each_iteration_is_the_model_of_so_many():
    rec = tv.SklearnFitRecorder(DOMAIN, evaluation="dense")
    LogisticRegression().set_callbacks(rec).fit(X, Y)
    for iterations in (1, 4):
        with pytest.warns(match="lbfgs failed to converge"):
            stopped = LogisticRegression(max_iter=iterations).fit(X, Y)
        wanted = stopped.predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
        np.testing.assert_allclose(rec.recording[iterations].probabilities, wanted, atol=1e-6)


def test_every_fit_of_a_search_has_a_recording_and_a_pipeline_is_asked_behind_its_first_steps():
    rec = tv.SklearnFitRecorder(DOMAIN, every=100)
    model = LogisticRegression().set_callbacks(rec)
    GridSearchCV(model, {"C": [0.1, 1]}, cv=2).fit(X, Y)
    assert len(rec.recordings) == 5
    made = make_pipeline(StandardScaler(), model).fit(X, Y)
    assert len(rec.recordings) == 6
    assert rec.recording.epochs.tolist() == [0, made[-1].n_iter_[0]]
    wanted = made[-1].predict_proba(DOMAIN.points()).T.reshape(3, 7, 9)
    np.testing.assert_allclose(rec.recording[-1].probabilities, wanted, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Callbacks are only supported")
@pytest.mark.parametrize(
    "model", [LogisticRegression(solver="newton-cg"), make_pipeline(LogisticRegression())]
)
def test_a_fit_whose_iterations_are_not_reported_says_so_and_goes_on(model):
    rec = tv.SklearnFitRecorder(DOMAIN)
    with pytest.warns(tv.CaptureWarning, match="has reported no iteration of"):
        model.set_callbacks(rec).fit(X, Y)
    assert model.score(X, Y) > 0.5
    assert len(rec.recording) == 0


def test_a_mistake_is_told_before_the_first_iteration():
    model = LogisticRegression().set_callbacks(tv.SklearnFitRecorder(DOMAIN, class_names=["a"]))
    with pytest.raises(ValueError, match="class_names"):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")
