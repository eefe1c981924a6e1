"""What a snapshot says of its own error, and how that is found out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from trainviz import Domain, Recorder, evaluate
from trainviz.evaluation.checking import check_points, upper_bound
from trainviz.evaluation.lattice import Lattice

DOMAIN = Domain((-3, 3), (-2, 2), shape=(181, 240))
PIXEL = 6 / 239
TOLERANCE = 1 / 255


def disc(x, y, radius):
    return lambda X: (((X - (x, y)) ** 2).sum(axis=1) < radius**2).astype(float)


def share_off(snapshot, predict):
    exact = evaluate(predict, DOMAIN, method="dense")
    return (np.abs(snapshot.probabilities - exact).max(axis=0) > TOLERANCE).mean()


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.9875]))
def test_the_bound_is_that_of_clopper_and_pearson(checked, share, confidence):
    wrong = int(share * (checked - 1))
    expected = beta.ppf(confidence, wrong + 1, checked - wrong)
    assert upper_bound(wrong, checked, confidence) == pytest.approx(expected, abs=1e-9)


@given(
    st.tuples(st.integers(2, 400), st.integers(2, 400)),
    st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 100)),
)
def test_check_points_are_spread_over_the_grid_and_depend_on_the_seed_alone(shape, seed):
    points = check_points(shape, seed)
    np.testing.assert_array_equal(points, check_points(shape, seed))
    assert points.min() >= 0
    assert points.max() < shape[0] * shape[1]
    assert len(points) <= 520


@pytest.mark.usefixtures("with_and_without_numba")
@settings(max_examples=25)
@given(
    st.tuples(st.integers(2, 300), st.integers(2, 300)), st.integers(1, 5), st.integers(0, 5000),
    st.integers(0, 1000),
)  # fmt: skip
def test_at_a_check_point_a_map_has_the_value_that_the_whole_map_has_there(
    shape, n_classes, n_known, seed
):
    lattice, rng = Lattice.of(shape), np.random.default_rng(seed)
    n_points = shape[0] * shape[1]
    coarse = lattice.rows[:: lattice.stride, None] * shape[1] + lattice.columns[:: lattice.stride]
    known = np.unique(np.append(coarse, rng.integers(0, n_points, n_known)))
    values = rng.normal(0, 5, (len(known), n_classes)).astype(np.float32)
    slots = np.full(n_points, -1, np.int32)
    slots[known] = np.arange(len(known))
    wanted = rng.integers(0, n_points, 300)
    whole = lattice.fill(known, values).reshape(n_classes, -1)
    np.testing.assert_array_equal(lattice.fill_at(slots, values, wanted), whole[:, wanted])


def test_of_many_maps_the_bound_holds_for_nineteen_in_twenty():
    held = []
    rng = np.random.default_rng(0)
    for epoch in range(40):
        X = rng.uniform((-3, -2), (3, 2), (150, 2))
        model = DecisionTreeClassifier(random_state=0).fit(X, rng.integers(0, 2, 150))
        recorder = Recorder(DOMAIN, evaluation="adaptive")
        snapshot = recorder.capture(model.predict_proba, epoch=epoch)
        held.append(share_off(snapshot, model.predict_proba) <= snapshot.error)
    assert np.mean(held) >= 0.95


def test_a_feature_that_the_lattice_misses_is_found_by_a_check_point_sooner_or_later():
    predict = disc(0.71, -0.33, 5 * PIXEL)
    recorder = Recorder(DOMAIN, evaluation="adaptive")
    off = []
    for epoch in range(12):
        snapshot = recorder.capture(predict, epoch=epoch)
        off.append(share_off(snapshot, predict))
        assert off[-1] <= snapshot.error
    assert off[-1] == 0
    # Once found, it stays found.
    first = off.index(0)
    assert not any(off[first:])


def test_dense_maps_have_no_error():
    assert Recorder(DOMAIN, evaluation="dense").capture(disc(0, 0, 1), epoch=0).error == 0


def test_maps_from_elsewhere_have_an_unknown_error():
    snapshot = Recorder(DOMAIN).append(np.full((2, *DOMAIN.shape), 0.5), epoch=0)
    assert snapshot.error is None
    assert snapshot.method == ""


@pytest.mark.filterwarnings("error")
def test_trees_and_neighbours_are_exact_from_the_first_snapshot_on_without_a_warning():
    rng = np.random.default_rng(1)
    X = rng.uniform((-3, -2), (3, 2), (200, 2))
    y = rng.integers(0, 3, 200)
    for model in (DecisionTreeClassifier(random_state=0), KNeighborsClassifier(1)):
        predict = model.fit(X, y).predict_proba
        snapshot = Recorder(DOMAIN).capture(predict, epoch=0)
        assert share_off(snapshot, predict) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_thin_stripes_of_a_tree_are_right_from_the_first_snapshot_on(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform((-3, -2), (3, 2), (300, 2))
    # A few points of the other class, each of which gets a stripe of its own.
    y = (X[:, 0] > 0).astype(int) ^ (rng.random(300) < 0.05)
    predict = DecisionTreeClassifier(random_state=seed).fit(X, y).predict_proba
    recorder = Recorder(DOMAIN, data=(X, y))
    for epoch in range(4):
        snapshot = recorder.capture(predict, epoch=epoch)
        assert share_off(snapshot, predict) == snapshot.error == 0


@pytest.mark.filterwarnings("error")
def test_a_growing_forest_is_right_from_the_first_snapshot_on():
    rng = np.random.default_rng(0)
    X = rng.uniform((-3, -2), (3, 2), (200, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    forest = RandomForestClassifier(1, warm_start=True, random_state=0)
    recorder = Recorder(DOMAIN, data=(X, y))
    for n_trees in range(1, 7):
        predict = forest.set_params(n_estimators=n_trees).fit(X, y).predict_proba
        snapshot = recorder.capture(predict, epoch=n_trees)
        assert share_off(snapshot, predict) == snapshot.error == 0


def test_a_recording_sums_up_how_good_its_maps_are():
    recorder = Recorder(DOMAIN, evaluation="adaptive")
    recorder.capture(lambda X: 1 / (1 + np.exp(-X[:, 0])), epoch=0)
    shown = f"{100 * recorder.recording[0].error:.2g} %"
    assert f"1 adaptive and 0 dense; at most {shown}" in recorder.recording.summary()
