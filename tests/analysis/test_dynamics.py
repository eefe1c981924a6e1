"""What one recording says of the learning."""

import gc
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import trainviz as tv
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot

DOMAIN = tv.Domain((0, 3), (0, 2), shape=(3, 4))
LABELS = arrays.arrays(np.int64, st.tuples(st.integers(1, 7), st.just(3), st.just(4)),
                       elements=st.integers(0, 2))  # fmt: skip


def record(labels, epochs=None, steps=None, guesses=None, data=None):
    """Record maps of three classes that are certain of the labels given, (n, H, W)."""
    recorder = tv.Recorder(DOMAIN, data=data)
    for index, plane in enumerate(labels):
        recorder.append(
            np.eye(3)[plane].transpose(2, 0, 1),
            epoch=index if epochs is None else int(epochs[index]),
            step=None if steps is None else int(steps[index]),
            data_predictions=None if guesses is None else guesses[index],
        )
    return recorder.recording


def flat(*classes):
    return np.array([np.full(DOMAIN.shape, label) for label in classes])


# Maps.


@given(labels=LABELS, gaps=st.lists(st.integers(1, 9), min_size=7, max_size=7))
def test_a_class_is_settled_from_the_first_snapshot_on_that_agrees_with_the_last(labels, gaps):
    epochs = np.cumsum(gaps)[: len(labels)]
    found = tv.dynamics(record(labels, epochs))
    for row, column in np.ndindex(DOMAIN.shape):
        series = labels[:, row, column]
        first = next(i for i in range(len(series)) if (series[i:] == series[-1]).all())
        assert found.settled[row, column] == epochs[first]
    np.testing.assert_array_equal(found.classes, labels[-1])


@given(labels=LABELS, gaps=st.lists(st.integers(1, 9), min_size=7, max_size=7))
def test_areas_and_churn_are_shares_of_the_grid(labels, gaps):
    epochs = np.cumsum(gaps)[: len(labels)]
    found = tv.dynamics(record(labels, epochs))
    shares = [[(plane == index).mean() for index in range(3)] for plane in labels]
    np.testing.assert_allclose(found.areas, shares)
    changed = [(b != a).mean() for a, b in pairwise(labels)]
    np.testing.assert_allclose(found.changed, [np.nan, *changed])
    np.testing.assert_allclose(found.churn[1:], changed / np.diff(epochs))


def test_the_boundary_is_measured_in_every_snapshot():
    recorder = tv.Recorder(tv.Domain((-2, 2), (-2, 2), points_per_axis=81))
    radii = [0.0, 0.5, 1.0, 1.5]
    for epoch, radius in enumerate(radii):
        recorder.capture(
            lambda X, r=radius: 1 / (1 + np.exp(9 * (np.hypot(*X.T) - r))), epoch=epoch
        )
    found = tv.dynamics(recorder.recording)
    np.testing.assert_allclose(found.boundary_length, 2 * np.pi * np.array(radii), rtol=0.01)


def test_a_disc_that_grows_is_settled_from_the_middle_outwards():
    recorder = tv.Recorder(tv.Domain((-2, 2), (-2, 2), points_per_axis=41))
    for epoch in range(0, 21, 5):
        recorder.capture(lambda X, r=epoch / 10: np.hypot(*X.T) < r - 0.01, epoch=epoch)
    found = tv.dynamics(recorder.recording)
    distance = np.hypot(*np.meshgrid(*[np.linspace(-2, 2, 41)] * 2))
    expected = np.ceil((distance + 0.01) / 0.5).astype(int) * 5
    expected[distance >= 1.99] = 0
    np.testing.assert_array_equal(found.settled, expected)


def test_a_model_that_does_not_change_was_settled_at_the_start():
    found = tv.dynamics(record(flat(1, 1, 1), [4, 6, 9]))
    assert (found.settled == 4).all()
    assert found.changed[1:].tolist() == found.churn[1:].tolist() == [0, 0]
    assert found.boundary_length.tolist() == [0, 0, 0]


def test_one_snapshot_is_enough():
    found = tv.dynamics(record(flat(2), [5]))
    assert (found.settled == 5).all()
    assert np.isnan(found.churn).all()
    assert found.areas.tolist() == [[0, 0, 1]]


# The clock.


def test_times_are_epochs():
    found = tv.dynamics(record(flat(0, 1), [0, 10], steps=[0, 320]))
    assert found.unit == "epoch"
    assert found.times.tolist() == [0, 10]
    assert found.churn[1] == 0.1


def test_times_are_steps_where_epochs_repeat():
    found = tv.dynamics(record(flat(0, 1, 1), [0, 1, 1], steps=[0, 20, 40]))
    assert found.unit == "step"
    assert (found.settled == 20).all()
    assert found.churn[1] == 1 / 20


def test_churn_is_unknown_where_no_time_passed():
    found = tv.dynamics(record(flat(0, 1, 0), [0, 1, 1]))
    assert found.changed[1:].tolist() == [1, 1]
    np.testing.assert_array_equal(found.churn, [np.nan, 1, np.nan])


# The data.


def learning_of(guesses, labels, epochs=None):
    n_points = len(labels)
    data = (np.zeros((n_points, 2)), labels)
    maps = flat(*[0] * len(guesses))
    return tv.dynamics(record(maps, epochs, guesses=guesses, data=data))


@given(right=arrays.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 5))),
       gaps=st.lists(st.integers(1, 9), min_size=8, max_size=8))  # fmt: skip
def test_points_are_learnt_when_first_right_and_forgotten_when_wrong_after_that(right, gaps):
    epochs = np.cumsum(gaps)[: len(right)]
    labels = np.arange(right.shape[1]) % 3
    found = learning_of(np.where(right, labels, (labels + 1) % 3), labels, epochs)
    for point, series in enumerate(right.T):
        hits = np.flatnonzero(series)
        first = epochs[hits[0]] if len(hits) else np.nan
        np.testing.assert_equal(found.first_learnt[point], first)
        text = "".join("+" if hit else "-" for hit in series)
        assert found.forgetting[point] == text.count("+-")


def test_the_predictions_are_those_of_the_model():
    X, y = np.array([[-1.0, 0], [1, 0]]), [0, 1]
    recorder = tv.Recorder(tv.Domain((-2, 2), (-2, 2), points_per_axis=5), data=(X, y))
    for epoch, edge in enumerate([-1.5, 1.5, 0, 1.5]):
        recorder.capture(lambda X, at=edge: X[:, 0] > at, epoch=epoch)
    found = tv.dynamics(recorder.recording)
    assert found.first_learnt.tolist() == [1, 0]
    assert found.forgetting.tolist() == [0, 2]


def test_snapshots_without_predictions_are_passed_over():
    found = learning_of([[0, 1], None, [1, 1]], [0, 1])
    assert found.first_learnt.tolist() == [0, 0]
    assert found.forgetting.tolist() == [1, 0]


@pytest.mark.parametrize("data", [None, (np.zeros((2, 2)), [0, 1])])
def test_without_data_or_predictions_nothing_is_said_of_points(data):
    found = tv.dynamics(record(flat(0, 1), data=data))
    assert found.first_learnt is None
    assert found.forgetting is None


def test_no_points_have_no_events():
    found = tv.dynamics(record(flat(0, 1), data=(np.zeros((0, 2)), []), guesses=[[], []]))
    assert found.first_learnt.shape == found.forgetting.shape == (0,)


# What is refused, and what it costs.


def test_what_is_no_recording_is_refused():
    with pytest.raises(TypeError, match="recording=list: expected a Recording"):
        tv.dynamics([])


def test_an_empty_recording_is_refused():
    with pytest.raises(tv.RecordingError, match="empty"):
        tv.dynamics(tv.Recorder(DOMAIN).recording)


def test_a_recording_that_runs_backwards_is_refused():
    with pytest.raises(tv.RecordingError, match=r"run backwards.*recording\[::-1\]"):
        tv.dynamics(record(flat(0, 1))[::-1])


class ReadOnce:
    """A store that makes each map when it is read, and counts."""

    n_classes = 2

    def __init__(self, count, grid):
        self.count, self.grid, self.reads = count, grid, []

    def __len__(self):
        return self.count

    def read(self, index):
        self.reads.append(index)
        p = np.full(self.grid, (index + 1) / (self.count + 2), dtype=np.float32)
        return Snapshot(np.stack([p, 1 - p]), epoch=index)

    def epoch(self, index):
        return index

    def step(self, index):
        return None

    def metrics(self, index):
        return {}

    def data_predictions(self, index):
        return None

    def weights_epoch(self, index):
        return None


def test_maps_are_read_once_in_order_and_not_kept():
    domain = tv.Domain((0, 1), (0, 1), points_per_axis=300)
    store = ReadOnce(40, domain.shape)
    tv.dynamics(Recording(domain, ReadOnce(2, domain.shape), class_names=["a", "b"]))
    gc.collect()
    tracemalloc.start()
    try:
        tv.dynamics(Recording(domain, store, class_names=["a", "b"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert store.reads == list(range(40))
    assert peak < 12 * 2 * 300 * 300 * 4


# xarray.


def test_an_xarray_dataset_holds_all_of_it(recording):
    found = tv.dynamics(recording)
    dataset = found.to_xarray()
    assert isinstance(dataset, xarray.Dataset)
    assert dataset.sizes == {"snapshot": 5, "class": 3, "y": 12, "x": 16, "point": 6}
    for name in ("settled", "classes", "areas", "boundary_length", "changed", "churn",
                 "first_learnt", "forgetting"):  # fmt: skip
        np.testing.assert_array_equal(dataset[name], getattr(found, name))
    assert dataset["areas"].sel({"class": "birch"}).shape == (5,)
    assert dataset["settled"].sel(x=2, y=-1.5) == found.settled[0, -1]
    assert dataset["churn"].attrs["units"] == "1/epoch"
    np.testing.assert_array_equal(dataset["epoch"], recording.epochs)


def test_without_data_the_dataset_has_no_points(make_recording):
    dataset = tv.dynamics(make_recording(points=False)).to_xarray()
    assert "point" not in dataset.sizes
    assert "forgetting" not in dataset


def test_a_missing_xarray_names_the_extra_and_is_needed_by_nothing_else():
    code = (
        "import sys, trainviz as tv\n"
        "sys.modules['xarray'] = None\n"
        "recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=3))\n"
        "recorder.capture(lambda X: X[:, 0], epoch=0)\n"
        "found = tv.dynamics(recorder.recording)\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
        "try: found.to_xarray()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "False", done.stderr
    assert 'pip install "trainviz[xarray]"' in done.stdout


def test_groups_of_the_data_are_told_apart():
    X = np.array([[-0.5, 0.0], [0.5, 0], [-0.2, 0], [0.2, 0]])
    groups = {"train": (X[:2], [0, 1]), "test": (X[2:], [0, 1])}
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5), data=groups)
    for epoch, edge in enumerate((-0.3, 0.0, 0.4)):
        recorder.capture(lambda X, edge=edge: X[:, 0] > edge, epoch=epoch)
    found = tv.dynamics(recorder.recording)
    assert found.first_learnt.tolist() == [0, 0, 1, 0]
    assert found.forgetting.tolist() == [0, 0, 0, 1]
    dataset = found.to_xarray()
    assert dataset["group"].values.tolist() == ["train", "train", "test", "test"]
    assert dataset.forgetting.groupby("group").sum().sel(group="test") == 1

    lines = found.plot_learnt().lines
    assert [line.get_label() for line in lines] == ["train", "test"]
    assert [line.get_ydata().tolist() for line in lines] == [[1, 1, 1], [0.5, 1, 1]]
    bars = found.plot_forgetting().containers
    assert [bar.get_label() for bar in bars] == ["train", "test"]
    assert [[patch.get_height() for patch in bar] for bar in bars] == [[2, 0], [1, 1]]
    legend = [text.get_text() for text in found.still().legends[0].get_texts()]
    assert legend[:2] == ["train", "test"]
