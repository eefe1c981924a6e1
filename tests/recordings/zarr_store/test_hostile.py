"""Recordings that are damaged, half there, or made to do harm."""

import base64
import copy
import json
import math
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import blosc

from trainviz import Domain, Recorder, RecordingError, animate, open_recording
from trainviz.evaluation.compact_map import CompactMap
from trainviz.recordings.packed import pack, with_facts

HALF = np.full((2, 6, 8), 0.5, np.float32)
FACTS = {"generation": 0, "epoch": 10, "step": None, "evaluations": 0, "metrics": {}}


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
def grouped(tmp_path):
    X = np.random.default_rng(0).normal(size=(10, 2))
    recorder = Recorder(
        Domain.around(X, resolution=(6, 8)), path=tmp_path / "g.zarr",
        data={"train": (X[:6], X[:6, 1] > 0), "test": (X[6:], X[6:, 1] > 0)},
    )  # fmt: skip
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    recorder.close()
    return tmp_path / "g.zarr"


@pytest.mark.parametrize(
    "change",
    [
        lambda root, arrays, ours: ours.pop("groups"),
        lambda root, arrays, ours: arrays.pop("data_groups"),
        lambda root, arrays, ours: ours.update(groups=["train"]),
        lambda root, arrays, ours: ours.update(groups=["train", "train"]),
        lambda root, arrays, ours: ours.update(groups=["train", 2]),
        lambda root, arrays, ours: ours.update(groups={"train": 0, "test": 1}),
        lambda root, arrays, ours: ours.update(groups=[str(k) for k in range(11)]),
        lambda root, arrays, ours: arrays["data_groups"]["shape"].__setitem__(0, 9),
        lambda root, arrays, ours: arrays["data_groups"].update(data_type="float32"),
        lambda root, arrays, ours: arrays["data_groups"]["shape"].__setitem__(0, 10**12),
    ],
)
def test_groups_that_lie_are_refused_before_memory_is_taken(grouped, change):
    assert open_recording(grouped).data.group_names == ("train", "test")
    edit(grouped, change)
    with memory_below(20e6), pytest.raises(RecordingError, match=r"g\.zarr cannot be opened: "):
        open_recording(grouped)


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
    return path / "probabilities" / f"c.{index}.0.0.0"


def with_checksum(payload):
    return payload + google_crc32c.value(payload).to_bytes(4, "little")


def set_shape(root, arrays, ours, *, snapshots=3, classes=2, height=6, width=8):
    maps = arrays["probabilities"]
    maps["shape"] = [snapshots, classes, height, width]
    maps["chunk_grid"]["configuration"]["chunk_shape"] = [1, classes, height, width]
    for name in ("epoch", "step", "evaluations", "metric_loss"):
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
            (path / name).mkdir()
            (path / name / "c.0.0").write_bytes(payload)

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
            (path / name / f"c.{chunk}").write_bytes(payload)


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
        (path / "data_x" / f"c.{chunk}.0").write_bytes(payload)


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
    with pytest.raises(RecordingError, match=r"shape \(2, 6, 8\)"):
        open_recording(path, trust=True)[0]


def test_a_recording_that_is_trusted_may_take_what_it_asks_for(path):
    large_table(path, chunks=3)
    with pytest.raises(RecordingError, match=r"bytes of memory; .*trust=True"):
        open_recording(path)
    with pytest.raises(RecordingError, match=r"description|points of the shape|labels"):
        open_recording(path, trust=True)


def chunk(values=HALF, facts=None, packed=None):
    """Return a chunk as a recorder writes it, but for what is given."""
    packed = pack(values) if packed is None else packed
    return with_checksum(with_facts(packed, FACTS if facts is None else facts))


def patched(at, code, *values):
    """Return a packed map with other values in its header."""
    packed = bytearray(pack(HALF))
    struct.pack_into(code, packed, at, *values)
    return bytes(packed)


def with_text(text, length=None):
    """Return a chunk with these bytes as its facts."""
    packed = pack(HALF)
    size = len(text) if length is None else length
    return with_checksum(packed[:32] + size.to_bytes(4, "little") + text + packed[36:])


def stream(raw):
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compress.compress(raw) + compress.flush()


def guesses(raw, dtype="uint8"):
    return {"dtype": dtype, "deflate": base64.b64encode(stream(raw)).decode()}


UNREADABLE = {
    "nothing": (b"", "its checksum is wrong"),
    "zeros": (b"\0" * 40, "its checksum is wrong"),
    "a pickle": (pickle.dumps(print), "its checksum is wrong"),
    "an empty map": (with_checksum(b""), "it is no packed map"),
    "an array": (with_checksum(blosc.compress(b"\0" * 192, b"zstd", 3)), "it is no packed map"),
    "a long file": (bytes(20_000_000), r"is larger than it can be \(16,777,756 bytes\)"),
    "another grid": (chunk(np.full((2, 6, 9), 0.5, np.float32)), r"shape \(2, 6, 9\)"),
    "a huge grid": (
        chunk(packed=patched(8, "<3I", *[2**32 - 1] * 3)), r"shape \(4294967295, 4294967295"
    ),
    "long facts": (with_text(b"{}", 2**32 - 1), "its facts take 4,294,967,295 bytes"),
    "cut facts": (with_text(b'{"generation": 1, ', 10_000), "no JSON object"),
    "facts in another text": (with_text(b"\xff\xfe"), "no JSON object"),
    "a list of facts": (with_text(b"[1, 2]"), "no JSON object"),
    "nested facts": (with_text(b"[" * 10**6), "no JSON object"),
    "nested objects": (with_text(b'{"a":' * 10**6), "no JSON object"),
    "a long number": (with_text(b'{"epoch": ' + b"9" * 10**6 + b"}"), "no JSON object"),
    "no facts": (chunk(facts={}), "its facts are not as a recorder writes them"),
}  # fmt: skip

STRANGE_FACTS = {
    "generation": [None, -1, 1.5, True, "1", [1], 2**63],
    "epoch": [None, -1, 1.5, True, "1", {}, 10**400],
    "step": [-1, 1.5, False, "1", [[]]],
    "evaluations": [None, -1, 0.5],
    "metrics": [None, 3, [["loss", 1]], {"loss": None}, {"loss": "low"}, {"loss": 10**400}],
    "provisional": [3, [], {}, {"epoch": -1, "metrics": {}}, {"epoch": 1, "metrics": 2}],
    "data_predictions": [
        3, [1, 0], {}, {"dtype": "uint8"}, {"dtype": "uint8", "deflate": 3},
        {"dtype": "uint8", "deflate": "?"}, {"dtype": "uint8", "deflate": "\u00e9"},
        {"dtype": "uint8", "deflate": "AAAA"}, guesses(bytes(10), "object"),
        guesses(bytes(10), "uint64"), guesses(bytes(10), ["uint8"]), guesses(bytes(9)),
        guesses(bytes(11)), guesses(bytes(300_000_000)), guesses(bytes(10), "uint16"),
    ],
}  # fmt: skip
"""Values that a recorder does not write."""


def check_that_only_the_second_is_damaged(path, message):
    recording = open_recording(path)
    with memory_below(70e6), pytest.raises(RecordingError, match=message) as raised:
        _ = recording[1].probabilities
    assert str(raised.value).startswith("snapshot 1 (epoch 10)")
    assert "cannot be read: " in str(raised.value)
    assert str(chunk_of(path)) in str(raised.value)
    assert next(iter(animate(recording[::2]))).ndim == 3


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_chunk_that_is_none_is_named_and_the_rest_is_drawn(path, kind):
    payload, message = UNREADABLE[kind]
    chunk_of(path).write_bytes(payload)
    with pytest.raises(RecordingError):
        open_recording(path)[1]
    check_that_only_the_second_is_damaged(path, message)


@pytest.mark.parametrize("name", STRANGE_FACTS)
def test_facts_that_no_recorder_writes_are_refused(path, name):
    for value in STRANGE_FACTS[name]:
        chunk_of(path).write_bytes(chunk(facts=FACTS | {name: value}))
        recording = open_recording(path)
        with memory_below(20e6), pytest.raises(RecordingError, match=r"snapshot 1.* is damaged: "):
            recording[1]


def compact(value):
    """Return a map of logarithms, one of which is another value."""
    logs = np.full((48, 2), math.log(0.5), np.float32)
    logs[7, 0] = value
    return CompactMap((6, 8), np.array([0, *[1] * 47], np.uint8), logs)


QUANTISED = patched(7, "<B", 1)[:24] + struct.pack("<f", math.nan) + pack(HALF)[28:]


UNDRAWABLE = {
    "zeros": (pack(np.zeros((2, 6, 8), np.float32)), "holds no probabilities"),
    "not numbers": (pack(np.full((2, 6, 8), np.nan, np.float32)), "holds no probabilities"),
    "infinity": (pack(np.full((2, 6, 8), np.inf, np.float16)), "holds no probabilities"),
    "minus": (pack(np.full((2, 6, 8), [[[-0.5]], [[1.5]]], np.float32)), "holds no probabilities"),
    "twos": (pack(np.full((2, 6, 8), 2, np.float32)), "holds no probabilities"),
    "no logarithm": (pack(compact(math.nan)), "holds no probabilities"),
    "an infinite logarithm": (pack(compact(math.inf)), "holds no probabilities"),
    "a logarithm of zero": (pack(compact(-math.inf)), "holds no probabilities"),
    "a positive logarithm": (pack(compact(700)), "holds no probabilities"),
    "another version": (patched(4, "<B", 2), "no packed map of version 1"),
    "bits": (patched(6, "<B", 64), "no packed map of version 1"),
    "a scale that is none": (QUANTISED, "of the scale nan"),
    "no points": (patched(20, "<I", 0), "of the shape"),
    "too many points": (patched(20, "<I", 2**32 - 1), "of the shape"),
    "fewer points": (patched(20, "<I", 47), "inflates to|inflated"),
    "positions": (patched(28, "<I", 2**32 - 1), "inflate"),
    "a stream that is none": (pack(HALF)[:36] + b"\xff" * 40, "cannot be inflated"),
    "no stream": (pack(HALF)[:36], "inflates to 0 bytes, expected 384"),
    "a bomb": (pack(HALF)[:36] + stream(bytes(300_000_000)), "inflates to 385 bytes, expected 384"),
}


@pytest.mark.parametrize("kind", UNDRAWABLE)
def test_a_map_that_is_none_is_named_and_the_rest_is_drawn(path, kind):
    packed, message = UNDRAWABLE[kind]
    chunk_of(path).write_bytes(chunk(packed=packed))
    # The map is unpacked only when it is used.
    assert open_recording(path)[1].epoch == 10
    check_that_only_the_second_is_damaged(path, message)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_last_chunk_that_is_none_is_read_by_its_columns_and_a_later_one_is_ignored(path, kind):
    payload, _ = UNREADABLE[kind]
    chunk_of(path, 2).write_bytes(payload)
    chunk_of(path, 3).write_bytes(payload)
    with memory_below(70e6):
        recording = open_recording(path)
    assert recording.epochs.tolist() == [0, 10, 20]
    assert recording.metrics["loss"].tolist() == [1, 1, 1]
    with pytest.raises(RecordingError, match=r"snapshot 2 \(epoch 20\) cannot be read"):
        recording[2]


def test_chunks_with_more_metrics_than_a_recording_can_have_are_refused(path):
    metrics = {str(number): 1.0 for number in range(20_000)}
    chunk_of(path, 2).write_bytes(chunk(facts=FACTS | {"metrics": metrics}))
    with memory_below(70e6), pytest.raises(RecordingError, match="more than 10,000 metrics"):
        open_recording(path)


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
    with pytest.raises(RecordingError, match=r"snapshot 1 \(epoch 10\) cannot be read: .*c\.1\.0"):
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


@pytest.mark.parametrize("name", ["data_x", "embedding"])
def test_a_recording_that_is_half_deleted_says_what_is_missing(path, name):
    shutil.rmtree(path / name)
    with pytest.raises(RecordingError, match=rf"cannot be opened: .*{name}.*c\.0.* is missing"):
        open_recording(path)


COLUMNS = ["epoch", "step", "evaluations", "metric_loss"]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("damage", [None, b"", b"\0" * 100, zeros(8), zeros(2**24)])
def test_a_column_that_is_gone_or_damaged_is_made_again_from_the_chunks(path, name, damage):
    before = open_recording(path)
    if damage is None:
        shutil.rmtree(path / name)
    else:
        (path / name / "c.0").write_bytes(damage)
    with memory_below(20e6):
        opened = open_recording(path)
    assert opened.epochs.tolist() == before.epochs.tolist() == [0, 10, 20]
    assert opened.metrics["loss"].tolist() == [1, 1, 1]
    assert [snapshot.evaluations for snapshot in opened] == [one.evaluations for one in before]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_and_a_chunk_that_are_gone_are_both_told(path, name):
    shutil.rmtree(path / name)
    chunk_of(path).unlink()
    message = rf"cannot be opened: .*{name}.*c\.0 is missing, and so is the map of snapshot 1"
    with pytest.raises(RecordingError, match=message):
        open_recording(path)
    chunk_of(path).write_bytes(b"damaged")
    message = rf"cannot be opened: .*{name}.*c\.0 is missing, and .*c\.1\.0\.0\.0 is damaged"
    with pytest.raises(RecordingError, match=message):
        open_recording(path)


def test_maps_that_are_gone_are_missed_only_when_they_are_read(path):
    shutil.rmtree(path / "probabilities")
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
    shutil.copy(path / "data_y/c.0", path / "embedding/features/c.0")
    with pytest.raises(RecordingError, match=r"embedding/features/c\.0 is larger"):
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
