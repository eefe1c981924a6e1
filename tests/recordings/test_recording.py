import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainviz import Domain, Recorder, Recording, RecordingError

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))


def record(epochs=(0, 5, 10), **options):
    recorder = Recorder(DOMAIN, every=1, **options)
    for epoch in epochs:
        recorder.capture(
            lambda X: np.full((len(X), 3), 1 / 3), epoch=epoch, metrics={"loss": 1 / (1 + epoch)}
        )
    return recorder.recording


def test_it_is_a_sequence_of_snapshots():
    recording = record()
    assert len(recording) == 3
    assert [snapshot.epoch for snapshot in recording] == [0, 5, 10]
    assert recording[-1].epoch == 10
    assert recording[np.int64(1)].epoch == 5
    assert recording.n_classes == 3
    assert repr(recording) == "Recording(3 snapshots, epochs 0 to 10, 3 classes, grid 3x4)"


@given(st.slices(7))
def test_slices_are_recordings(picked):
    recording = record(range(7))
    part = recording[picked]
    assert isinstance(part, Recording)
    assert part.epochs.tolist() == list(range(7))[picked]
    assert [snapshot.epoch for snapshot in part[::-1]] == part.epochs.tolist()[::-1]


@pytest.mark.parametrize("index", [3, -4])
def test_indices_out_of_range(index):
    with pytest.raises(IndexError, match=f"snapshot {index} of a recording with 3 snapshots"):
        record()[index]


def test_metrics_and_steps_are_columns_with_gaps():
    recorder = Recorder(DOMAIN)
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    recorder.capture(lambda X: X[:, 0] > 0, epoch=1, step=8, metrics={"loss": 0.5})
    np.testing.assert_array_equal(recorder.recording.metrics["loss"], [np.nan, 0.5])
    np.testing.assert_array_equal(recorder.recording.steps, [np.nan, 8])


def test_at_finds_an_epoch():
    recording = record()
    assert recording.at(5).epoch == 5
    assert recording.at(-1).epoch == 10


@pytest.mark.parametrize(
    ("epoch", "near"), [(7, "epochs are 5 and 10"), (99, "epochs are 10"), (-5, "epochs are 0")]
)
def test_at_names_the_neighbours_of_an_epoch_that_was_not_captured(epoch, near):
    with pytest.raises(RecordingError, match=f"epoch={epoch} was not captured; .* {near}"):
        record().at(epoch)


@pytest.mark.parametrize("epoch", ["last", True, None])
def test_at_refuses_what_is_no_epoch(epoch):
    with pytest.raises(TypeError, match=f"epoch={epoch!r}: expected a captured epoch, or -1"):
        record().at(epoch)


def test_an_epoch_with_several_steps_is_its_last():
    recorder = Recorder(DOMAIN)
    for step in (1, 2, 3):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=1, step=step)
    assert recorder.recording.at(1).step == 3


@pytest.mark.parametrize(
    "question",
    [lambda r: r.n_classes, lambda r: r.at(0), lambda r: r.at(-1), lambda r: r.data_labels],
)
def test_an_empty_recording_says_what_to_do(question):
    empty = record((), data=([[0, 0]], [0]))
    assert len(empty) == 0
    assert empty.class_names == []
    assert empty.metrics == {}
    assert "empty" in repr(empty)
    with pytest.raises(RecordingError, match="the recording is empty: capture at least one"):
        question(empty)


def test_class_names_are_the_ones_given_or_the_labels_or_numbers():
    X = np.zeros((3, 2))
    assert record().class_names == ["0", "1", "2"]
    assert record(class_names=["a", "b", "c"]).class_names == ["a", "b", "c"]
    assert record(classes=[3, 5, 7]).class_names == ["3", "5", "7"]
    uvw = record(data=(X, ["u", "v", "w"]), classes=["w", "v", "u"])
    assert uvw.class_names == ["w", "v", "u"]
    assert record(data=(X, [0, 2, 2])).class_names == ["0", "1", "2"]


def test_data_labels_are_class_indices():
    assert record().data_labels is None
    recording = record(data=(np.zeros((3, 2)), [7, 3, 5]), classes=[3, 5, 7])
    assert recording.data_labels.tolist() == [2, 0, 1]
    assert recording[:1].data_labels.tolist() == [2, 0, 1]


def test_its_description_tells_the_order_of_the_labels():
    assert "3 classes, grid" in repr(record())
    assert "3 classes (7, 3, 5), grid" in repr(record(classes=[7, 3, 5]))
    assert "3 classes (a, b, c), grid" in repr(record(class_names=["a", "b", "c"]))


def test_data_may_be_empty():
    recording = record(data=(np.empty((0, 2)), []))
    assert recording.class_names == ["0", "1", "2"]
    assert recording.data_labels.tolist() == []
    assert recording[0].data_predictions.tolist() == []
