import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray
import zarr

from trainviz import Domain, Recorder, RecordingError, open_recording
from trainviz.recordings.zarr_codec import PackedCodec


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
    (tmp_path / "a.zarr/probabilities/c.1.0.0.0").write_text("damaged")
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


def test_xarray_opens_a_recording_on_disk_lazily(recording, tmp_path):
    recording.save(tmp_path / "a.zarr", precision="float32")
    dataset = xarray.open_dataset(tmp_path / "a.zarr", engine="trainviz")
    xarray.testing.assert_identical(dataset.load(), recording.to_xarray().load())
    assert xarray.open_dataset(tmp_path / "a.zarr").sizes == dataset.sizes
    kept = xarray.open_dataset(tmp_path / "a.zarr", engine="trainviz", drop_variables="loss")
    assert "loss" not in kept


def test_dask_reads_a_recording_snapshot_by_snapshot_in_other_processes(recording, tmp_path):
    recording.save(tmp_path / "a.zarr.zip", precision="float32")
    dataset = xarray.open_dataset(tmp_path / "a.zarr.zip", engine="trainviz", chunks={})
    maps = dataset.probabilities
    assert maps.chunks[0] == (1,) * len(recording)
    mean = pickle.loads(pickle.dumps(maps)).mean("snapshot").compute()
    expected = np.mean([snapshot.probabilities for snapshot in recording], axis=0)
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_what_is_no_recording_is_left_to_other_engines(tmp_path):
    xarray.Dataset({"a": ("x", [1.0, 2.0])}).to_zarr(tmp_path / "other.zarr")
    assert xarray.open_dataset(tmp_path / "other.zarr", engine="zarr").sizes == {"x": 2}
    with pytest.raises(RecordingError, match="holds no recording"):
        xarray.open_dataset(tmp_path / "other.zarr", engine="trainviz")


def test_zarr_reads_the_packed_maps_with_our_codec(recording, tmp_path):
    recording.save(tmp_path / "a.zarr", precision="float32")
    maps = zarr.open_group(tmp_path / "a.zarr", mode="r")["probabilities"]
    for index, snapshot in enumerate(recording):
        np.testing.assert_array_equal(maps[index], snapshot.probabilities)


def test_zarr_writes_maps_that_it_reads_again(tmp_path):
    codec = PackedCodec(precision="float32", output="values")
    values = np.random.default_rng(0).normal(size=(2, 1, 20, 30)).astype(np.float32)
    array = zarr.create_array(
        tmp_path / "v.zarr", shape=values.shape, chunks=(1, 1, 20, 30), dtype="float32",
        serializer=codec, compressors=None,
    )  # fmt: skip
    array[:] = values
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "v.zarr")[:], values)


CODE = """
import sys
import importlib.metadata as metadata
import xarray, zarr
group = zarr.open_group(sys.argv[1], mode="r")
with xarray.open_zarr(sys.argv[1]) as dataset:
    assert dataset.probabilities.dims == ("snapshot", "class", "y", "x")
    assert dataset.epoch.values.tolist() == [0, 10, 20, 30, 40]
    print(float(group["probabilities"][3].sum()), float(dataset.loss[1]))
assert "trainviz" not in sys.modules
"""


def test_an_export_is_read_without_us(recording, tmp_path):
    path = tmp_path / "dense.zarr"
    recording.export(path)
    told = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert float(told[0]) == pytest.approx(recording[3].probabilities.sum(), rel=1e-5)
    assert float(told[1]) == recording.metrics["loss"][1]
    with pytest.raises(RecordingError, match="is there already"):
        recording.export(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["dense.zarr"]


def test_metrics_of_moments_without_a_snapshot_are_kept(tmp_path):
    recorder = Recorder(Domain((0, 1), (0, 1), points_per_axis=4))
    for epoch in range(5):
        if epoch % 2:
            recorder.log(epoch=epoch, metrics={"loss": 1.0 / epoch})
        else:
            recorder.capture(lambda X: X[:, 0], epoch=epoch, metrics={"loss": 5.0})
    recorder.recording.export(tmp_path / "whole.zarr")
    for dataset in (recorder.recording.to_xarray(), xarray.open_zarr(tmp_path / "whole.zarr")):
        assert dataset["history_epoch"].values.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(dataset["history_loss"], [5, 1, 5, 1 / 3, 5])
        assert dataset["loss"].dims == ("snapshot",)


def test_categories_along_an_axis_are_named():
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "city": ["b", "a", "b", "c"]})
    recorder = Recorder(Domain.slice(frame, ("age", "city"), resolution=6))
    recorder.capture(lambda rows: np.full((len(rows), 2), 0.5), epoch=0)
    dataset = recorder.recording.to_xarray()
    assert dataset["y_category"].values.tolist() == ["a", "a", "b", "b", "c", "c"]
    assert "x_category" not in dataset.coords
