"""Recordings that are damaged, half there, or made to do harm."""

import copy
import json
import os
import pickle
import shutil
import tracemalloc
import zipfile
from contextlib import contextmanager

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import blosc

from trainviz import Domain, Recorder, RecordingError, animate, open_recording

DATA = ([[-0.5, 0], [0.5, 1], [0.9, -1]], ["no", "yes", "yes"])


def ramp(X):
    return (1 + X[:, 0]) / 2


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "a.zarr"
    X = np.random.default_rng(0).normal(size=(10, 3))
    domain = Domain.around(X, features=(0, 2), resolution=(6, 8))
    recorder = Recorder(domain, path=path, data=(X, X[:, 1] > 0), class_names=["no", "yes"])
    for epoch in range(3):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=10 * epoch, metrics={"loss": 1.0})
    recorder.close()
    return path


@pytest.fixture
def path(original, tmp_path):
    shutil.copytree(original, tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


@contextmanager
def memory_below(limit):
    """Fail if the block allocates so many bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def edit(path, change):
    root = json.loads((path / "zarr.json").read_text())
    change(root, root["consolidated_metadata"]["metadata"], root["attributes"]["trainviz"])
    (path / "zarr.json").write_text(json.dumps(root))


def use(path):
    """Do all that a user does with a recording."""
    recording = open_recording(path)
    for snapshot in recording:
        assert snapshot.probabilities.shape[1:] == recording.domain.shape
    return recording.metrics, recording.class_names, recording.data_labels, repr(recording)


def chunk_of(path, index=1):
    return path / "probabilities" / "c" / str(index) / "0" / "0" / "0"


def with_checksum(payload):
    return payload + google_crc32c.value(payload).to_bytes(4, "little")


def set_shape(root, arrays, ours, *, snapshots=3, classes=2, height=6, width=8):
    maps = arrays["probabilities"]
    maps["shape"] = [snapshots, classes, height, width]
    maps["chunk_grid"]["configuration"]["chunk_shape"] = [1, classes, height, width]
    for name in ("epoch", "step", "evaluations", "metric_loss", "data_predictions"):
        arrays[name]["shape"][0] = snapshots
    ours["domain"]["shape"] = [height, width]


@pytest.mark.parametrize(
    "change",
    [
        lambda *root: set_shape(*root, height=10**6, width=10**6),
        lambda *root: set_shape(*root, snapshots=10**9),
        lambda *root: set_shape(*root, classes=10**8),
        lambda *root: set_shape(*root, classes=1),
        lambda *root: set_shape(*root, snapshots=-1),
        lambda root, arrays, ours: arrays["epoch"]["shape"].__setitem__(0, 2),
        lambda root, arrays, ours: arrays["epoch"].update(data_type="float64"),
        lambda root, arrays, ours: arrays["data_x"].update(data_type="object"),
        lambda root, arrays, ours: arrays["data_x"].update(data_type="complex128"),
        lambda root, arrays, ours: arrays["data_x"]["shape"].__setitem__(0, 10**12),
        lambda root, arrays, ours: arrays["data_points"]["shape"].__setitem__(0, 9),
        lambda root, arrays, ours: arrays["probabilities"].update(data_type="int8"),
        lambda root, arrays, ours: arrays["data_y"]["codecs"].append({"name": "pickle"}),
        lambda root, arrays, ours: arrays.update({"../../secret": arrays["x"]}),
        lambda root, arrays, ours: arrays.update({"/etc/passwd": arrays["x"]}),
        lambda root, arrays, ours: arrays.update({"embedding/..": arrays["x"]}),
        lambda root, arrays, ours: arrays.update({"strange": arrays["epoch"]}),
        lambda root, arrays, ours: arrays.pop("probabilities"),
        lambda root, arrays, ours: arrays.pop("epoch"),
        lambda root, arrays, ours: arrays.pop("data_points"),
        lambda root, arrays, ours: root.pop("consolidated_metadata"),
        lambda root, arrays, ours: ours.pop("domain"),
        lambda root, arrays, ours: ours.update(labels=[{"a": 1}]),
        lambda root, arrays, ours: ours["domain"].update(xlim=[1, 0]),
        lambda root, arrays, ours: ours["domain"].update(xlim=["a", "b"]),
        lambda root, arrays, ours: ours["domain"].update(input_shape=[10**9, 10**9]),
    ],
)
def test_metadata_that_lies_is_refused_before_memory_is_taken(path, change):
    edit(path, change)
    with memory_below(20e6), pytest.raises(RecordingError, match=r"a\.zarr cannot be opened: "):
        open_recording(path)


def zeros(count):
    return with_checksum(blosc.compress(b"\0" * count, b"zstd", 9))


def add_unknown_arrays(path):
    """Add arrays of zeros that no recorder writes, 16 MB each."""

    def change(root, arrays, ours):
        for number in range(40):
            name = f"strange{number}"
            arrays[name] = copy.deepcopy(arrays["data_points"])
            arrays[name].update(shape=[2**21, 1], data_type="float64")
            arrays[name]["chunk_grid"]["configuration"]["chunk_shape"] = [2**21, 1]
            (path / name / "c" / "0").mkdir(parents=True)
            (path / name / "c" / "0" / "0").write_bytes(payload)

    payload = zeros(2**24)
    edit(path, change)


def lengthen(path, names, length, rows, payload=None):
    """Let columns have another length, in chunks of so many rows, each with these bytes."""

    def change(root, arrays, ours):
        for name, array in arrays.items():
            if array.get("shape", [0])[0] == 3 and array["dimension_names"][0] == "snapshot":
                array["shape"][0] = length
                if name in names:
                    array["chunk_grid"]["configuration"]["chunk_shape"][0] = rows

    edit(path, change)
    for name in names if payload else ():
        for chunk in range(-(-length // rows)):
            (path / name / "c" / str(chunk)).write_bytes(payload)


def many_metrics(path):
    def change(root, arrays, ours):
        for number in range(3000):
            arrays[f"metric_{number}"] = copy.deepcopy(arrays["metric_loss"])

    edit(path, change)
    columns = ["epoch", "step", "evaluations"]
    lengthen(path, columns, 2**20, 2**16, zeros(2**19))


def many_sides(path):
    def change(root, arrays, ours):
        arrays["data_points"]["shape"] = [2] * 300_000
        arrays["data_points"]["chunk_grid"]["configuration"]["chunk_shape"] = [2] * 300_000
        arrays["data_points"]["dimension_names"] = ["a"] * 300_000

    edit(path, change)


def many_arrays(path):
    edit(path, lambda root, arrays, ours: arrays.update(
        {f"a{number}": arrays["x"] for number in range(20_000)}))  # fmt: skip


def large_table(path, chunks=128):
    """Let the data be of 4 GB, of a chunk of zeros again and again."""

    def change(root, arrays, ours):
        arrays["data_x"]["shape"] = [2**20 * chunks, 4]
        arrays["data_x"]["chunk_grid"]["configuration"]["chunk_shape"] = [2**20, 4]

    edit(path, change)
    payload = zeros(2**25)
    for chunk in range(chunks):
        (path / "data_x" / "c" / str(chunk)).mkdir(parents=True, exist_ok=True)
        (path / "data_x" / "c" / str(chunk) / "0").write_bytes(payload)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: lengthen(path, ["epoch", "step", "evaluations"], 2**26, 2**26), "'epoch'"),
        (lambda path: lengthen(path, ["epoch"], 2**26, 2**16, zeros(2**19)), "bytes of memory"),
        (many_metrics, "bytes of memory"),
        (many_sides, "'data_points' has 300000 dimensions"),
        (many_arrays, r"lists 20,\d+ arrays"),
        (large_table, "bytes of memory"),
    ],
    ids=["long chunks", "long columns", "metrics", "sides", "arrays", "table"],
)
def test_what_would_fill_memory_is_refused_before_it_does(path, harm, message):
    harm(path)
    refused = pytest.raises(RecordingError, match=f"cannot be opened: .*{message}")
    with memory_below(200e6), refused:
        open_recording(path)


def test_arrays_that_no_recorder_writes_are_not_read(path):
    add_unknown_arrays(path)
    with memory_below(20e6):
        assert len(use(path)[0]) == 1


def test_a_constant_map_of_few_bytes_does_not_fill_memory(path):
    edit(path, lambda *root: set_shape(*root, classes=20, height=7000, width=7000))
    edit(path, lambda root, arrays, ours: ours.update(class_names=None))
    with pytest.raises(RecordingError, match=r"map takes 3,920,000,000 bytes .*trust=True"):
        open_recording(path)[0]
    with pytest.raises(RecordingError, match="it holds 192 bytes, expected 1,960,000,000"):
        open_recording(path, trust=True)[0]


def test_a_recording_that_is_trusted_may_take_what_it_asks_for(path):
    large_table(path, chunks=3)
    with pytest.raises(RecordingError, match=r"bytes of memory; .*trust=True"):
        open_recording(path)
    with pytest.raises(RecordingError, match=r"description|points of the shape|labels"):
        open_recording(path, trust=True)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "its checksum is wrong"),
        (b"\0" * 40, "its checksum is wrong"),
        (pickle.dumps(print), "its checksum is wrong"),
        (with_checksum(blosc.compress(b"\0" * 30_000_000, b"zstd", 1)), "damaged"),
        (with_checksum(blosc.compress(b"\0" * 191, b"zstd", 3)), r"191 bytes, expected 192"),
        (with_checksum(blosc.compress(b"\0" * 192, b"zstd", 3)), "holds no probabilities"),
        (with_checksum(blosc.compress(b"\xff" * 192, b"zstd", 3)), "holds no probabilities"),
        (bytes(100_000), r"is larger than it can be \(212 bytes\)"),
    ],
)
def test_a_chunk_that_is_none_is_named_and_the_rest_is_drawn(path, payload, message):
    chunk_of(path).write_bytes(payload)
    recording = open_recording(path)
    with memory_below(20e6), pytest.raises(RecordingError, match=message) as raised:
        recording[1]
    assert str(raised.value).startswith("snapshot 1 (epoch 10) cannot be read: ")
    assert str(chunk_of(path)) in str(raised.value)
    assert next(iter(animate(recording[::2]))).ndim == 3


def test_a_bomb_of_an_honest_size_is_not_unpacked(path):
    packed = bytearray(blosc.compress(b"\0" * 192, b"zstd", 3))
    packed[4:8] = (2**31 - 1).to_bytes(4, "little")
    chunk_of(path).write_bytes(with_checksum(bytes(packed)))
    with pytest.raises(RecordingError, match=r"2,147,483,647 bytes, expected 192"):
        open_recording(path)[1]


def test_a_file_without_end_is_not_read(path):
    with open(chunk_of(path), "wb") as file:
        file.truncate(2**40)
    with pytest.raises(RecordingError, match="larger than it can be"):
        open_recording(path)[1]
    with open(path / "zarr.json", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(RecordingError, match="larger than it can be"):
        open_recording(path)


@pytest.mark.parametrize("target", ["/dev/zero", "zarr.json", "nowhere"])
def test_links_are_not_followed(path, target):
    chunk_of(path).unlink()
    chunk_of(path).symlink_to(path / target)
    with pytest.raises(RecordingError, match=r"snapshot 1 \(epoch 10\) cannot be read: .*c/1/0"):
        open_recording(path)[1]


def test_a_folder_that_is_a_link_is_neither_read_nor_written(path, tmp_path):
    shutil.move(path / "probabilities", tmp_path / "elsewhere")
    (path / "probabilities").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    with pytest.raises(RecordingError, match="leads out of the recording"):
        open_recording(path)[1]
    resumed = Recorder(open_recording(path).domain, path=path, resume=True)
    with pytest.raises(RecordingError, match="leads out of the recording"):
        resumed.capture(ramp, epoch=30)
    Recorder(Domain((0, 1), (0, 1), shape=(3, 3)), path=path, overwrite=True).check(ramp)
    assert not (path / "probabilities").is_symlink()
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block(path):
    chunk_of(path).unlink()
    os.mkfifo(chunk_of(path))
    with pytest.raises(RecordingError, match="is no plain file"):
        open_recording(path)[1]


@pytest.mark.parametrize("name", ["epoch", "step", "data_x", "embedding", "evaluations"])
def test_a_recording_that_is_half_deleted_says_what_is_missing(path, name):
    shutil.rmtree(path / name)
    with pytest.raises(RecordingError, match=rf"cannot be opened: .*{name}.*c/0.* is missing"):
        open_recording(path)


@pytest.mark.parametrize("name", ["probabilities", "data_predictions"])
def test_maps_that_are_gone_are_missed_only_when_they_are_read(path, name):
    shutil.rmtree(path / name)
    recording = open_recording(path)
    assert recording.epochs.tolist() == [0, 10, 20]
    with pytest.raises(RecordingError, match=r"snapshot 1 \(epoch 10\) cannot be read.*missing"):
        recording[1]


def test_coordinates_and_metrics_may_be_gone(path):
    for name in ("x", "y", "class", "metric_loss"):
        shutil.rmtree(path / name)
    use(path)


def test_an_unknown_embedding_is_drawn_but_leads_nowhere(path):
    edit(path, lambda root, arrays, ours: ours["domain"].update(embedding="wormhole"))
    recording = open_recording(path)
    assert next(iter(animate(recording))).ndim == 3
    assert recording.data.points.shape == (10, 2)
    for question in (recording.domain.points, lambda: recording.domain.project(np.zeros((1, 3)))):
        with pytest.raises(RecordingError, match="'wormhole', which could not be stored or is unk"):
            question()


def test_an_embedding_that_is_damaged_is_told(path):
    shutil.copy(path / "data_y/c/0", path / "embedding/features/c/0")
    with pytest.raises(RecordingError, match=r"embedding/features/c/0 is larger"):
        open_recording(path)


def places_in(document, here=()):
    yield here
    items = document.items() if isinstance(document, dict) else enumerate(document)
    if isinstance(document, (dict, list)):
        for key, value in items:
            yield from (
                places_in(value, (*here, key))
                if isinstance(value, (dict, list))
                else [(*here, key)]
            )


STRANGE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
    st.just([]), st.just({}), st.just([1, 2]), st.just("../../x"), st.just(10**12),
)  # fmt: skip


@given(st.data())
def test_whatever_the_metadata_say_the_answer_is_a_recording_or_a_recording_error(original, data):
    text = (original / "zarr.json").read_text()
    root = json.loads(text)
    changed = copy.deepcopy(root)
    where = data.draw(st.sampled_from([place for place in places_in(root) if place]))
    inner = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = data.draw(STRANGE)
    try:
        (original / "zarr.json").write_text(json.dumps(changed))
        use(original)
    except RecordingError:
        pass
    finally:
        (original / "zarr.json").write_text(text)


@given(st.data())
def test_whatever_a_file_holds_the_answer_is_a_recording_or_a_recording_error(original, data):
    files = sorted(file for file in original.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    whole = file.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        file.write_bytes(bytes(changed[:cut]) if data.draw(st.booleans()) else bytes(changed))
        use(original)
    except RecordingError:
        pass
    finally:
        file.write_bytes(whole)


@pytest.fixture(scope="module")
def archive(original):
    path = original.parent / "a.zarr.zip"
    open_recording(original).save(path)
    return path


@given(st.data())
def test_whatever_an_archive_holds_the_answer_is_a_recording_or_a_recording_error(archive, data):
    whole = archive.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        archive.write_bytes(bytes(changed))
        use(archive)
    except RecordingError:
        pass
    finally:
        archive.write_bytes(whole)


def test_an_archive_packed_for_harm_is_not_unpacked(original, tmp_path):
    path = tmp_path / "bomb.zarr.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zarr.json", b" " * 200_000_000)
    with memory_below(150e6), pytest.raises(RecordingError, match="larger than it can be"):
        open_recording(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as bomb:
        bomb.write(original / "zarr.json", "zarr.json")
    with pytest.raises(RecordingError, match="packed in an unusual way"):
        open_recording(path)
