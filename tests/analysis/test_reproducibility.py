"""How far two runs came to the same decisions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier

import trainviz as tv
from trainviz.modes.comparing import Disagreement, disagreement

DOMAIN = tv.Domain((-1.5, 2.5), (-1, 1.5), shape=(30, 40))


def record(*labels, epochs=None, domain=DOMAIN, n_classes=3, **options):
    recorder = tv.Recorder(domain, **options)
    for index, label in enumerate(labels):
        plane = np.broadcast_to(label, domain.shape)
        recorder.append(
            np.eye(n_classes)[plane].transpose(2, 0, 1),
            epoch=index if epochs is None else epochs[index],
        )
    return recorder.recording


def train(seed, X, y):
    model = MLPClassifier((6,), random_state=seed, learning_rate_init=0.03)
    grids = []
    with tv.SklearnRecorder(model, DOMAIN, data=(X, y), evaluation="dense") as recorder:
        for epoch in range(4):
            model.partial_fit(X, y, classes=[0, 1])
            recorder.epoch_end(epoch)
            grids.append(model.predict(DOMAIN.points()))
    return recorder.recording, grids


def test_the_score_of_two_seeds_is_the_share_of_equal_predictions():
    X, y = make_moons(80, noise=0.2, random_state=0)
    (a, predicted_a), (b, predicted_b) = (train(seed, X, y) for seed in (0, 1))
    direct = [(one == other).mean() for one, other in zip(predicted_a, predicted_b, strict=True)]
    assert 0.1 < direct[-1] < 1
    assert tv.reproducibility(a, b) == pytest.approx(direct[-1], abs=1e-12)
    np.testing.assert_allclose(tv.reproducibility(a, b, epochs=[1, 2, 3, 4]), direct)


def test_a_run_reproduces_itself():
    run = record(0, 1, 2)
    assert tv.reproducibility(run, run) == 1
    assert tv.reproducibility(run, run, epochs=run.epochs).tolist() == [1, 1, 1]


def test_the_score_is_symmetric_and_by_default_that_of_the_last_snapshots():
    half = (np.arange(40) < 10).astype(int)
    a, b = record(0, 0, epochs=[0, 5]), record(0, half, epochs=[0, 9])
    assert tv.reproducibility(a, b) == tv.reproducibility(b, a) == 0.75
    assert tv.reproducibility(a, b, epochs=0) == 1


def test_an_epoch_that_one_run_lacks_is_refused():
    with pytest.raises(tv.RecordingError, match=r"epoch=5 was not captured; .* 0 and 9"):
        tv.reproducibility(record(0, 0, epochs=[0, 5]), record(0, 0, epochs=[0, 9]), epochs=5)


@pytest.mark.parametrize("epochs", ["last", 1.5, [[1]], None])
def test_what_is_no_epoch_is_refused(epochs):
    with pytest.raises(TypeError, match="expected an epoch, or a list of them"):
        tv.reproducibility(record(0), record(0), epochs=epochs)


# What can be compared.

ELSEWHERE = tv.Domain((-1.5, 2.5), (-1, 2), shape=(30, 40))
COARSER = tv.Domain((-1.5, 2.5), (-1, 1.5), shape=(15, 20))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (record(0, domain=ELSEWHERE), r"b was recorded on .*ylim=\(-1.0, 2.0\).* the same domain"),
        (record(0, domain=COARSER), r"b was recorded on .*shape=\(15, 20\).* and a on"),
        (record(0, n_classes=4), "b has 4 classes, and a has 3"),
        (record(), "b is empty: nothing has been captured"),
        (record(0, class_names=["x", "z", "y"]), r"b has the classes \['x', 'z', 'y'\], and a has"),
    ],
)
def test_runs_that_cannot_be_compared_are_told_apart(other, message):
    with pytest.raises(tv.RecordingError, match=message):
        tv.reproducibility(record(0, class_names=["x", "y", "z"]), other)


def test_planes_through_different_parts_of_the_input_cannot_be_compared():
    X = np.array([[0.0, 0, 0], [1, 1, 1]])
    runs = [
        record(0, domain=tv.Domain.around(X, features=(0, 1), fixed=[0, 0, z], resolution=4))
        for z in (0.0, 1.0)
    ]
    with pytest.raises(tv.RecordingError, match="through another part of the input"):
        tv.reproducibility(*runs)


def test_names_may_be_missing_in_one():
    assert tv.reproducibility(record(0), record(0, class_names=["x", "y", "z"])) == 1


def test_what_is_no_recording_is_refused():
    with pytest.raises(TypeError, match="b is a list: expected a Recording"):
        tv.reproducibility(record(0), [])


# Disagreement of several.


@given(labels=arrays.arrays(int, st.tuples(st.integers(2, 6), st.just(5)),
                            elements=st.integers(0, 3)))  # fmt: skip
def test_disagreement_is_the_share_of_pairs_that_differ(labels):
    maps = [np.eye(4, dtype=np.float32)[row][:, None].transpose(2, 1, 0) for row in labels]
    found = disagreement(maps)
    for place, votes in enumerate(labels.T):
        pairs = [a != b for i, a in enumerate(votes) for b in votes[:i]]
        assert found[0, place] == pytest.approx(np.mean(pairs))
    mode = Disagreement(len(labels)).bound(4, tv.Palette.of(4))
    assert found.max() <= mode.limits[1] + 1e-6


@pytest.mark.parametrize(
    ("n_runs", "n_classes", "most"), [(2, 2, 1), (3, 2, 2 / 3), (3, 3, 1), (6, 2, 0.6)]
)
def test_the_colours_reach_to_the_most_that_can_be(n_runs, n_classes, most):
    mode = Disagreement(n_runs).bound(n_classes, tv.Palette.of(n_classes))
    assert mode.limits == (0, pytest.approx(most))
