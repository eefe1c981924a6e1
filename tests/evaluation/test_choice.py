"""How ``evaluation="auto"`` chooses between adaptive and dense evaluation."""

import time

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from trainviz import Domain, EvaluationWarning, Recorder
from trainviz.capture.training_events import TrainingEvents
from trainviz.evaluation.evaluator import Evaluator

DOMAIN = Domain((-3, 3), (-3, 3), points_per_axis=200)


class Clock:
    """A clock that only the model's calls advance, and refining by a little."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", self.read)

    def read(self):
        self.now += 1e-4
        return self.now


class Model:
    def __init__(self, clock, per_call, per_point, sharpness=1.0):
        self.clock, self.per_call, self.per_point = clock, per_call, per_point
        self.sharpness = sharpness
        self.asked = 0
        self.first_large = 0.0

    def __call__(self, X):
        self.clock.now += self.per_call + self.per_point * len(X)
        self.asked += len(X)
        if len(X) > 10_000:
            self.clock.now += self.first_large
            self.first_large = 0.0
        wave = np.sin(X[:, 0]) + X[:, 1]
        return 1 / (1 + np.exp(-self.sharpness * wave))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def methods(recorder):
    return [snapshot.method for snapshot in recorder.recording]


def record(model, n=5, **options):
    recorder = Recorder(DOMAIN, **options)
    for epoch in range(n):
        recorder.capture(model, epoch=epoch)
    return recorder


def test_where_points_are_costly_evaluation_is_adaptive(clock):
    model = Model(clock, per_call=1e-3, per_point=1e-3)
    assert methods(record(model)) == ["adaptive"] * 5
    assert model.asked < 5 * 0.4 * DOMAIN.n_points


def test_where_calls_are_costly_evaluation_is_dense_from_the_second_capture_on(clock):
    model = Model(clock, per_call=1.0, per_point=1e-7)
    assert methods(record(model)) == ["adaptive", *["dense"] * 4]


def test_a_choice_that_became_wrong_is_changed(clock):
    model = Model(clock, per_call=1e-3, per_point=1e-3)
    recorder = record(model, 3)
    model.per_call, model.per_point = 100.0, 1e-5
    for epoch in range(3, 8):
        recorder.capture(model, epoch=epoch)
    assert methods(recorder)[-1] == "dense"


def test_a_large_call_that_is_slow_for_the_first_time_does_not_decide(clock):
    model = Model(clock, per_call=3e-2, per_point=1e-6)
    model.first_large = 0.9
    assert methods(record(model)) == ["adaptive", *["dense"] * 4]


def test_small_grids_and_values_are_dense(clock):
    model = Model(clock, per_call=1e-3, per_point=1e-3)
    small = Recorder(Domain((-3, 3), (-3, 3), points_per_axis=64))
    assert small.capture(model, epoch=0).method == "dense"
    assert Recorder(DOMAIN, output="values").capture(model, epoch=0).method == "dense"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        DecisionTreeClassifier(max_depth=5, random_state=0),
        RandomForestClassifier(10, random_state=0),
        ExtraTreesClassifier(100, random_state=0),
        GradientBoostingClassifier(n_estimators=100, random_state=0),
        KNeighborsClassifier(1),
        KNeighborsClassifier(5),
    ],
    ids=repr,
)
def test_piecewise_constant_models_are_dense_at_once_without_a_warning(model):
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (200, 2))
    model.fit(X, (X[:, 0] * X[:, 1] + rng.normal(0, 0.5, 200) > 0) + (X[:, 0] > 2))
    snapshot = Recorder(DOMAIN).capture(model.predict_proba, epoch=0)
    assert snapshot.method == "dense"
    assert snapshot.error == 0


class Changing:
    """A model that is smooth, rough (a checkerboard finer than the grid) or noisy in turn."""

    def __init__(self, clock, kinds):
        self.clock, self.kinds, self.epoch = clock, kinds, 0
        self.rng = np.random.default_rng(0)

    def __call__(self, X):
        self.clock.now += 1e-3 + 1e-3 * len(X)
        kind = self.kinds[self.epoch]
        if kind == "rough":
            return np.floor(X * 150).sum(axis=1) % 2
        smooth = 1 / (1 + np.exp(-np.sin(X[:, 0]) - X[:, 1]))
        if kind == "noisy":
            smooth = np.clip(smooth + self.rng.normal(0, 0.1, len(X)), 0, 1)
        return smooth

    def record(self, **options):
        recorder = Recorder(DOMAIN, **options)
        for epoch in range(len(self.kinds)):
            self.epoch = epoch
            recorder.capture(self, epoch=epoch)
        return recorder


@pytest.mark.filterwarnings("error")
def test_a_model_that_becomes_rough_is_dense_from_that_snapshot_on(clock):
    found = methods(Changing(clock, ["smooth"] * 5 + ["rough"] * 4).record())
    assert found == ["adaptive"] * 5 + ["dense"] * 4


@pytest.mark.filterwarnings("error")
def test_a_model_that_becomes_smooth_is_adaptive_a_few_snapshots_later(clock):
    found = methods(Changing(clock, ["rough"] * 21 + ["smooth"] * 20).record())
    assert found[:21] == ["dense"] * 21
    assert found[30:] == ["adaptive"] * 11


@pytest.mark.parametrize("evaluation", ["auto", "adaptive"])
def test_a_model_that_becomes_noisy_is_dense_from_that_snapshot_on_and_told_of_once(
    clock, evaluation
):
    model = Changing(clock, ["smooth"] * 5 + ["noisy"] * 20)
    with pytest.warns(EvaluationWarning, match="answers differently") as caught:
        recorder = model.record(evaluation=evaluation)
    assert len(caught) == 1
    assert methods(recorder) == ["adaptive"] * 5 + ["dense"] * 20


@pytest.mark.filterwarnings("ignore:the model answers differently")
def test_a_model_that_is_noisy_no_longer_is_adaptive_a_few_snapshots_later(clock):
    found = methods(Changing(clock, ["noisy"] * 5 + ["smooth"] * 20).record())
    assert found[:5] == ["dense"] * 5
    assert found[15:] == ["adaptive"] * 10


@pytest.mark.filterwarnings("error")
def test_a_model_that_becomes_piecewise_constant_is_dense_from_that_snapshot_on():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (200, 2))
    tree = DecisionTreeClassifier(random_state=0).fit(X, rng.integers(0, 2, 200))
    recorder = Recorder(DOMAIN)
    for epoch in range(4):
        recorder.capture(lambda X: 1 / (1 + np.exp(-X[:, 0])), epoch=epoch)
    snapshot = recorder.capture(tree.predict_proba, epoch=4)
    assert snapshot.method == "dense"
    assert snapshot.error == 0


@pytest.mark.parametrize(("per_call", "per_point"), [(1e-3, 1e-3), (1.0, 1e-7)])
def test_a_resumed_run_makes_the_maps_of_an_uninterrupted_one(clock, tmp_path, per_call, per_point):
    def run(path, stop, cursor=None):
        recorder = Recorder(DOMAIN, path=path, resume=cursor is not None)
        events = TrainingEvents(recorder)
        model = Model(clock, per_call, per_point)
        first = 0
        if cursor is not None:
            events.resume(cursor)
            first = cursor["epoch"]
        model.sharpness = 1 + first
        events.start(model, first)
        for epoch in range(first + 1, stop + 1):
            model.sharpness = 1 + epoch
            events.epoch_end(model, epoch)
        found = events.cursor()
        recorder.close()
        return found, recorder.recording

    _, whole = run(tmp_path / "whole.zarr", 6)
    cursor, _ = run(tmp_path / "parts.zarr", 3)
    _, parts = run(tmp_path / "parts.zarr", 6, cursor)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)


def test_without_a_cursor_the_method_of_the_last_snapshot_is_continued(clock):
    recorder = record(Model(clock, per_call=1.0, per_point=1e-7), 3)
    other = Evaluator(DOMAIN)
    other.follow(recorder.recording[-1].method)
    assert other(Model(clock, 1.0, 1e-7), (3, None)).method == "dense"
