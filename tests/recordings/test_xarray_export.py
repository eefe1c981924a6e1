import numpy as np
import pytest

from trainviz import Domain, Recorder, RecordingError, open_recording


def test_dimensions_and_coordinates_have_names(recording):
    dataset = recording.to_xarray()
    assert dataset.probabilities.dims == ("snapshot", "class", "y", "x")
    assert dataset.epoch.values.tolist() == [0, 10, 20, 30, 40]
    assert dataset["class"].values.tolist() == ["ash", "birch", "cedar"]
    np.testing.assert_array_equal(dataset.x, recording.domain.x)
    np.testing.assert_array_equal(dataset.loss, recording.metrics["loss"])
    np.testing.assert_array_equal(dataset.data_predictions[4], recording[4].data_predictions)


@pytest.mark.parametrize(
    "key",
    [
        (2,), (-1, 1), (slice(1, 4, 2), slice(None), 3), ([4, 0], [1, 2], [0, 5, 7], 2),
        (slice(0, 0),), (slice(None), 0, slice(None, None, -1), [1]),
    ],
)  # fmt: skip
def test_every_index_picks_the_same_as_from_an_array(recording, key):
    dataset = recording.to_xarray()
    whole = np.stack([snapshot.probabilities for snapshot in recording])
    for axis in reversed(range(len(key))):
        whole = whole[(*[slice(None)] * axis, key[axis])]
    found = dataset.probabilities[key]
    np.testing.assert_array_equal(found, whole)
    assert found.dtype == np.float32


def test_only_the_maps_that_are_used_are_read(recording, tmp_path):
    recording.save(tmp_path / "a.zarr")
    (tmp_path / "a.zarr/probabilities/c/1/0/0/0").write_text("damaged")
    dataset = open_recording(tmp_path / "a.zarr").to_xarray()
    assert float(dataset.probabilities.sel({"class": "ash"}).isel(snapshot=[0, 3]).max()) > 0.9
    with pytest.raises(RecordingError, match=r"snapshot 1 \(epoch 10\)"):
        dataset.probabilities[1].load()


def test_a_metric_named_like_an_axis_gets_a_prefix():
    recorder = Recorder(Domain((0, 1), (0, 1), shape=(3, 4)))
    recorder.capture(lambda X: X[:, 0], epoch=0, metrics={"x": 3.0, "val/loss": 1.0})
    dataset = recorder.recording.to_xarray()
    assert dataset.metric_x.values.tolist() == [3.0]
    assert dataset["val/loss"].values.tolist() == [1.0]
    assert dataset.x.sizes == {"x": 4}


def test_an_empty_recording_is_an_empty_dataset():
    dataset = Recorder(Domain((0, 1), (0, 1), shape=(3, 4))).recording.to_xarray()
    assert dataset.sizes["snapshot"] == 0
