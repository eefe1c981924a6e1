"""Recordings by their path: begin, open, continue, replace."""

import json
import random

import numpy as np
import pytest
import xarray
import zarr

from trainviz import (
    Domain,
    Recorder,
    Recording,
    RecordingError,
    animate,
    open_recording,
    reproducibility,
)
from trainviz.domain.embeddings import Embedding

DOMAIN = Domain((-1, 1), (-2, 2), shape=(12, 16))
DATA = ([[-0.5, 0], [0.5, 1], [0.9, -1]], ["no", "yes", "yes"])


def slope(steepness):
    return lambda X: 1 / (1 + np.exp(-steepness * X[:, 0]))


def record(path, epochs=range(4), **options):
    if "data" in options:
        options = {"classes": ["no", "yes"], **options}
    recorder = Recorder(DOMAIN, path=path, **options)
    for epoch in epochs:
        recorder.capture(slope(epoch), epoch=epoch, metrics={"loss": 1 / (1 + epoch)})
    return recorder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


def test_what_was_recorded_opens_again(path):
    recorder = record(path, data=DATA)
    opened = open_recording(path)
    assert opened.epochs.tolist() == [0, 1, 2, 3]
    assert opened.metrics["loss"].tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert opened.domain == DOMAIN
    assert opened.class_names == ["no", "yes"]
    assert opened.data_labels.tolist() == [0, 1, 1]
    assert opened.data_predictions(3).tolist() == [0, 1, 1]
    assert repr(opened) == repr(recorder.recording)
    assert opened[3].evaluations == recorder.recording[3].evaluations > 0


@pytest.mark.parametrize(("precision", "error"), [("float16", 3e-4), ("float32", 0)])
def test_maps_come_back_in_the_precision_asked_for(path, precision, error):
    maps = np.random.default_rng(0).dirichlet(np.full(5, 0.2), DOMAIN.shape).astype(np.float32)
    maps = np.moveaxis(maps, -1, 0)
    recorder = Recorder(DOMAIN, path=path, precision=precision)
    recorder.append(maps, epoch=0)
    found = open_recording(path)[0].probabilities
    assert found.dtype == np.float32
    assert np.abs(found - maps).max() <= error
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)


def test_an_opened_recording_is_drawn_like_the_one_in_memory(path, tmp_path):
    memory = Recorder(DOMAIN, data=DATA, classes=["no", "yes"])
    stored = Recorder(DOMAIN, data=DATA, classes=["no", "yes"], path=path, precision="float32")
    for recorder in (memory, stored):
        recorder.capture(slope(3), epoch=0)
    films = [animate(memory.recording), animate(open_recording(path))]
    one, other = (next(iter(film)) for film in films)
    # Not exactly: memory keeps logarithms in half precision.
    assert np.abs(one.astype(int) - other).max() <= 2


def test_zarr_and_xarray_open_it_without_us(path):
    record(path, class_names=["no", "yes"]).close()
    group = zarr.open_group(path, mode="r")
    assert group["probabilities"].shape == (4, 2, 12, 16)
    assert group["probabilities"].chunks == (1, 2, 12, 16)
    assert group["epoch"][:].tolist() == [0, 1, 2, 3]
    assert group["class"].attrs["names"] == ["no", "yes"]
    with xarray.open_zarr(path) as dataset:
        assert dataset.probabilities.dims == ("snapshot", "class", "y", "x")
        assert set(dataset.coords) == {"epoch", "step", "class", "x", "y"}
        np.testing.assert_array_equal(dataset.y, DOMAIN.y)
        right = dataset.probabilities.sel({"class": 1, "x": 1}, method="nearest")[3].mean()
        assert float(right) == pytest.approx(1 / (1 + np.exp(-3)), abs=0.01)
    with xarray.open_zarr(path, consolidated=False) as dataset:
        assert dataset.sizes["snapshot"] == 4


def test_addresses_of_fsspec_are_paths_too():
    url = "memory://test_opening/a.zarr"
    record(url, data=DATA, overwrite=True).close()
    assert open_recording(url).epochs.tolist() == [0, 1, 2, 3]
    with xarray.open_zarr(url) as dataset:
        assert dataset.sizes["snapshot"] == 4
    with pytest.raises(RecordingError, match="holds a recording already"):
        Recorder(DOMAIN, path=url)


def test_a_path_that_is_taken_is_refused_before_training(path):
    record(path)
    message = "holds a recording already: give resume=True to continue it, overwrite=True to repl"
    with pytest.raises(RecordingError, match=message):
        Recorder(DOMAIN, path=path)
    assert len(open_recording(path)) == 4


def test_overwrite_replaces_a_recording(path):
    record(path, data=DATA).close()
    other = Domain((0, 1), (0, 1), shape=(3, 3))
    recorder = Recorder(other, path=path, overwrite=True)
    assert len(open_recording(path)) == 4  # nothing is lost before the first capture
    recorder.capture(slope(1), epoch=7)
    opened = open_recording(path)
    assert (opened.epochs.tolist(), opened.domain, opened.data) == ([7], other, None)
    assert opened.metrics == {}


@pytest.mark.parametrize("name", ["notes.txt", "folder/notes.txt", "zarr.json"])
def test_nothing_else_is_ever_overwritten(path, name):
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("{}")
    with pytest.raises(RecordingError, match="is there already and holds no recording"):
        Recorder(DOMAIN, path=path, overwrite=True)
    assert (path / name).read_text() == "{}"


def test_an_empty_folder_is_free(path):
    path.mkdir()
    record(path)
    assert len(open_recording(path)) == 4


def test_a_file_is_no_place_for_a_recording(path):
    path.write_text("mine")
    with pytest.raises(RecordingError, match="holds no recording"):
        Recorder(DOMAIN, path=path, overwrite=True)
    with pytest.raises(RecordingError, match=r"a\.zarr"):
        open_recording(path)


def test_resume_continues_and_supersedes_what_is_captured_again(path):
    record(path, range(6), data=DATA).close()
    recorder = Recorder(DOMAIN, path=path, resume=True)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    recorder.capture(slope(9), epoch=3)
    assert open_recording(path).epochs.tolist() == [0, 1, 2, 3]
    assert recorder.recording[3].probabilities.max() > 0.99
    assert recorder.recording[3].data_predictions.tolist() == [0, 1, 1]


def test_resume_knows_steps(path):
    recorder = Recorder(DOMAIN, path=path, every_n_steps=5)
    for step in range(0, 21, 5):
        recorder.capture(slope(step), epoch=step // 10, step=step)
    recorder.close()
    recorder = Recorder(DOMAIN, path=path, every_n_steps=5, resume=True)
    for step in range(12, 21):
        recorder.capture(slope(step), epoch=step // 10, step=step)
    assert recorder.recording.steps.tolist() == [0, 5, 10, 15, 20]


def test_resume_without_a_recording_begins_one(path):
    record(path, resume=True)
    assert len(open_recording(path)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": Domain((-1, 1), (-2, 2), shape=(12, 17))}, r"was recorded on Domain\("),
        ({"class_names": ["a", "b"]}, r"class_names=\['no', 'yes'\], not \['a', 'b'\]"),
        ({"data": ([[0, 0]], ["no"])}, "other data="),
    ],
)
def test_resume_with_something_else_is_refused(path, options, message):
    record(path, data=DATA, class_names=["no", "yes"]).close()
    domain = options.pop("domain", DOMAIN)
    with pytest.raises(RecordingError, match=message):
        Recorder(domain, path=path, resume=True, **options)


def test_resume_with_a_model_of_other_classes_is_refused(path):
    record(path).close()
    recorder = Recorder(DOMAIN, path=path, resume=True)
    with pytest.raises(ValueError, match="3 classes, after 2 before"):
        recorder.capture(lambda X: np.full((len(X), 3), 1 / 3), epoch=9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"overwrite": True}, ValueError, "overwrite=True needs path="),
        ({"resume": True}, ValueError, "resume=True needs path="),
        ({"path": "a.zarr", "overwrite": True, "resume": True}, ValueError, "give one"),
        ({"precision": "float64"}, ValueError, "precision='float64': expected"),
        ({"path": 3}, TypeError, "path=3: expected a path"),
        ({"path": ""}, ValueError, "path=''"),
        ({"path": "a.zarr.zip"}, RecordingError, "can only be read: record into a folder"),
        ({"path": "nonsense://a"}, RecordingError, "no address that fsspec knows"),
    ],
)
def test_options_that_are_none(options, error, message):
    with pytest.raises(error, match=message):
        Recorder(DOMAIN, **options)


def test_a_path_without_a_recording_says_so(tmp_path):
    with pytest.raises(RecordingError, match=r"there is no recording at .*missing\.zarr"):
        open_recording(tmp_path / "missing.zarr")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(RecordingError, match=r"other\.zarr holds no recording"):
        open_recording(tmp_path / "other.zarr")


def test_a_newer_version_is_refused(path):
    record(path)
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["trainviz"] |= {"schema": 99, "version": "9.0"}
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(RecordingError, match=r"newer trainviz \('9\.0', schema 99.*pip install -U"):
        open_recording(path)


def test_classes_that_a_model_learns_are_kept(path):
    recorder = Recorder(DOMAIN, path=path, data=DATA)
    recorder.learn_classes(["yes", "no"])
    recorder.capture(slope(1), epoch=0)
    opened = open_recording(path)
    assert opened.class_names == ["yes", "no"]
    assert opened.data_labels.tolist() == [1, 0, 0]


def test_the_hosts_random_streams_are_not_disturbed(path):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = state()
    recorder = record(path, data=DATA)
    recorder.amend({"late": 1.0})
    recorder.close()
    open_recording(path)[0]
    assert state() == before


def test_other_dimensions_come_back(path):
    X = np.random.default_rng(0).normal(size=(20, 5))
    domain = Domain.around(X, features=(1, 4), fixed="median", resolution=8, input_shape=(5, 1))
    recorder = Recorder(domain, path=path, data=(X, X[:, 0] > 0))
    recorder.capture(lambda X: X[:, 1, :] > 0, epoch=0)
    opened = open_recording(path)
    assert opened.domain == domain
    np.testing.assert_array_equal(opened.domain.points(), domain.points())
    assert opened.domain.axis_names == ("feature 1", "feature 4")
    np.testing.assert_array_equal(opened.data.X, X[:, :, None])


class Tilted(Embedding):
    kind = "tilted for a test"
    n_features = 3

    def __init__(self, slope, matrix):
        self.slope, self.matrix = slope, matrix

    def embed(self, points):
        return np.concatenate([points, self.slope * points[:, :1]], axis=1) @ self.matrix

    def project(self, rows):
        return (rows @ np.linalg.inv(self.matrix))[:, :2]

    def arrays(self):
        return {"slope": np.float64(self.slope), "matrix": self.matrix}

    @classmethod
    def from_arrays(cls, arrays):
        assert arrays["slope"].shape == ()
        return cls(float(arrays["slope"]), arrays["matrix"])


class Unstorable(Tilted):
    kind = "unstorable for a test"

    def arrays(self):
        return {"slope": np.array([{"an": "object"}])}


def test_an_embedding_of_ones_own_is_stored_by_its_arrays(path):
    domain = Domain((-1, 1), (-1, 1), shape=(4, 5), embedding=Tilted(0.5, 2 * np.eye(3)))
    Recorder(domain, path=path).capture(slope(1), epoch=0)
    opened = open_recording(path)
    np.testing.assert_array_equal(opened.domain.points(), domain.points())
    Recorder(domain, path=path, resume=True)
    other = Domain((-1, 1), (-1, 1), shape=(4, 5), embedding=Tilted(0.6, 2 * np.eye(3)))
    with pytest.raises(RecordingError, match="was recorded on"):
        Recorder(other, path=path, resume=True)


def test_an_embedding_that_cannot_be_stored_is_drawn_all_the_same(path):
    domain = Domain((-1, 1), (-1, 1), shape=(4, 5), embedding=Unstorable(0.5, np.eye(3)))
    X = domain.points()[:4]
    Recorder(domain, path=path, data=(X, [0, 1, 1, 0])).capture(slope(1), epoch=0)
    opened = open_recording(path)
    np.testing.assert_allclose(opened.data.points, domain.project(X))
    assert next(iter(animate(opened))).ndim == 3
    with pytest.raises(RecordingError, match="'unstorable for a test', which could not be stored"):
        opened.domain.points()
    opened.save(path, overwrite=True)
    assert len(open_recording(path)) == 1
    Recorder(domain, path=path, resume=True).capture(slope(2), epoch=1)
    assert len(open_recording(path)) == 2


ROWS = np.random.default_rng(0).normal(size=(30, 4))
WIDE = {
    "slice": lambda: Domain.slice(ROWS, (0, 2), resolution=12),
    "nearest": lambda: Domain.slice(ROWS, (0, 2), fixed="nearest", resolution=12),
    "through": lambda: Domain.through(*ROWS[:3].reshape(3, 2, 2), resolution=12),
    "principal": lambda: Domain.principal(ROWS, resolution=12),
    "dict": lambda: Domain.slice(
        ROWS, (0, 2), resolution=12, input_shape={"size": (3,), "age": (1,)}
    ),
    "tuple": lambda: Domain.slice(ROWS, (0, 2), resolution=12, input_shape=((3,), (1,))),
}


def first_column(inputs):
    if isinstance(inputs, dict):
        inputs = inputs["size"]
    elif isinstance(inputs, tuple):
        inputs = inputs[0]
    return 1 / (1 + np.exp(-inputs.reshape(len(inputs), -1)[:, 0]))


@pytest.mark.parametrize("kind", WIDE)
def test_every_plane_comes_back(path, kind):
    domain, y = WIDE[kind](), np.arange(30) % 2
    X = ROWS.reshape(-1, 2, 2) if kind == "through" else ROWS
    recorder = Recorder(domain, path=path, data=(X, y))
    recorder.capture(first_column, epoch=0)
    recorder.close()
    opened = open_recording(path)
    assert opened.domain == domain
    again = open_recording(path).domain.points(0, 5)
    for ours, theirs in zip(*map(as_arrays, (domain.points(0, 5), again)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(opened.data.distances, recorder.recording.data.distances)
    assert Recorder(domain, path=path, resume=True, data=(X, y)).recording.epochs.tolist() == [0]


def as_arrays(inputs):
    if isinstance(inputs, dict):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple) else [inputs]


def test_a_plane_with_code_in_it_can_be_drawn_and_continued(path, tmp_path):
    domain = Domain.slice(ROWS, (0, 2), resolution=12, preprocess=lambda X: X / 2)
    recorder = Recorder(domain, path=path, data=(ROWS, np.arange(30) % 2))
    recorder.capture(first_column, epoch=0)
    recorder.close()
    opened = open_recording(path)
    animate(opened).still(tmp_path / "still.png")
    with pytest.raises(RecordingError, match="leads to no model inputs"):
        opened.domain.points()
    assert reproducibility(opened, recorder.recording) == 1
    resumed = Recorder(domain, path=path, resume=True)
    resumed.capture(first_column, epoch=1)
    assert open_recording(path).epochs.tolist() == [0, 1]


POINTS = np.array([[0.1, 0.2], [0.8, 0.4], [0.6, 0.9]])
GROUPS = {"train": (POINTS, [0, 1, 1]), "test": (POINTS[:2] + 0.05, [0, 1])}


def record_groups(data, **options):
    recorder = Recorder(Domain((0, 1), (0, 1), shape=(4, 5)), data=data, **options)
    for epoch in range(2):
        recorder.capture(lambda X, limit=1 - epoch / 2: X[:, 0] > limit, epoch=epoch)
    recorder.close()
    return recorder.recording


def test_groups_and_their_accuracies_come_back_from_disk(tmp_path):
    record_groups(GROUPS, path=tmp_path / "a.zarr").save(tmp_path / "b.zarr.zip")
    for name in ("a.zarr", "b.zarr.zip"):
        opened = open_recording(tmp_path / name)
        assert opened.data.group_names == ("train", "test")
        assert opened.data.groups.tolist() == [0, 0, 0, 1, 1]
        assert opened.metrics["train accuracy"].tolist() == [pytest.approx(1 / 3), 1]
        assert opened.metrics["test accuracy"].tolist() == [0.5, 1]


def test_a_recording_of_a_pair_is_stored_as_ever_and_has_one_group(tmp_path):
    record_groups(GROUPS["train"], path=tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr/data_groups").exists()
    opened = open_recording(tmp_path / "a.zarr")
    assert opened.data.groups is None
    assert list(opened.metrics) == []


def test_a_run_is_continued_with_the_same_groups_alone(tmp_path):
    options = {"path": tmp_path / "a.zarr", "resume": True}
    record_groups(GROUPS, **options)
    domain = Domain((0, 1), (0, 1), shape=(4, 5))
    both = tuple(np.concatenate([group[k] for group in GROUPS.values()]) for k in (0, 1))
    renamed = dict(zip(("train", "validation"), GROUPS.values(), strict=True))
    for other in (both, renamed, dict(reversed(GROUPS.items()))):
        with pytest.raises(RecordingError, match="recorded with other data= than given now"):
            Recorder(domain, data=other, **options).claim()
    recorder = Recorder(domain, data=GROUPS, **options)
    recorder.capture(lambda X: X[:, 0] > 0.5, epoch=2)
    recorder.close()
    assert recorder.recording.metrics["test accuracy"].tolist() == [0.5, 1, 1]


def test_groups_are_a_coordinate_for_xarray(tmp_path):
    recording = record_groups(GROUPS)
    assert recording.to_xarray()["group"].values.tolist() == 3 * ["train"] + 2 * ["test"]
    recording.export(tmp_path / "dense.zarr")
    dense = xarray.open_zarr(tmp_path / "dense.zarr", consolidated=False)
    assert dense["group"].values.tolist() == 3 * ["train"] + 2 * ["test"]
    assert dense["test accuracy"].values.tolist() == [0.5, 1]


def test_slices_joined_recordings_and_copies_keep_their_groups():
    recording = record_groups(GROUPS)
    joined = Recording.concat([recording, recording], renumber=True)
    for one in (recording[1:], recording.thin(2), joined):
        assert one.data.group_names == ("train", "test")
    with pytest.raises(RecordingError, match="other data than the first"):
        Recording.concat([recording, record_groups(GROUPS["train"])], renumber=True)
