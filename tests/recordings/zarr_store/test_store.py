"""What the store promises beyond what a recorder shows."""

import contextlib
import errno
import os
import subprocess
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import xarray
import zarr

from trainviz import (
    CaptureWarning,
    Domain,
    Recorder,
    RecordingError,
    Snapshot,
    animate,
    open_recording,
)
from trainviz.recordings.stores import MemoryStore
from trainviz.recordings.zarr_store import index
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.places import FolderPlace
from trainviz.recordings.zarr_store.store import DiskStore

DOMAIN = Domain((-1, 1), (-1, 1), shape=(20, 30))


def ramp(X):
    return (1 + X[:, 0]) / 2


def snapshot(epoch, step=None, **metrics):
    maps = np.full((2, 20, 30), 0.5, np.float32)
    return Snapshot(maps, epoch, step, metrics, evaluations=7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


class Frozen:
    def __call__(self, X):
        return ramp(X)

    def frozen(self):
        return self


@pytest.fixture(params=["memory", "disk"])
def store(request, path):
    if request.param == "memory":
        return MemoryStore()
    return DiskStore(FolderPlace(path), Description(DOMAIN))


def state(store):
    count = range(len(store))
    return [(store.epoch(i), store.step(i), dict(store.metrics(i))) for i in count]


def test_memory_and_disk_keep_the_same(store):
    for epoch in range(3):
        store.append(snapshot(epoch, 10 * epoch, loss=1.0 / (epoch + 1)))
    store.amend(0, {"late": 2.0})
    store.relabel(2, 5, {"loss": 0.25})
    store.append(snapshot(6))
    assert state(store) == [
        (0, 0, {"loss": 1.0, "late": 2.0}),
        (1, 10, {"loss": 0.5}),
        (5, 20, {"loss": 0.25}),
        (6, None, {}),
    ]
    assert store.n_classes == 2
    store.truncate(1)
    store.append(snapshot(8, late=3.0))
    assert state(store) == [(0, 0, {"loss": 1.0, "late": 2.0}), (8, None, {"late": 3.0})]
    assert store.read(1).probabilities.shape == (2, 20, 30)
    store.truncate(0)
    assert (len(store), state(store)) == (0, [])


def test_each_change_is_on_disk_when_it_returns(path):
    store = DiskStore(FolderPlace(path), Description(DOMAIN))

    def on_disk():
        return state(open_recording(path)._store)

    store.append(snapshot(0))
    assert on_disk() == state(store)
    store.append(snapshot(1, 5, loss=1.0))
    assert on_disk() == state(store)
    store.amend(0, {"loss": 2.0, "late": 1.0})
    assert on_disk() == state(store)
    store.relabel(1, 3, {})
    assert on_disk() == state(store)
    kept = (0, None, {"loss": 2.0, "late": 1.0})
    store.truncate(1)
    # What is given up stays on disk until there is something in its place.
    assert state(store) == [kept]
    assert on_disk() == [kept, (3, 5, {"loss": 1.0})]
    store.append(snapshot(2))
    assert on_disk() == state(store) == [kept, (2, None, {})]
    store.append(snapshot(3))
    assert on_disk() == state(store)
    store.close()
    assert on_disk() == state(store)
    for consolidated in (True, False):
        with xarray.open_zarr(path, consolidated=consolidated) as dataset:
            assert dataset.epoch.values.tolist() == [0, 2, 3]


def test_columns_follow_within_seconds_and_when_it_is_closed(path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(index, "time", SimpleNamespace(monotonic=lambda: now[0]))
    recorder = Recorder(DOMAIN, path=path)

    def capture(epoch):
        recorder.append(np.full((2, 20, 30), 0.5), epoch=epoch, metrics={"loss": epoch})
        assert open_recording(path).epochs.tolist() == [*range(epoch + 1)]

    def in_columns():
        with xarray.open_zarr(path) as dataset:
            assert dataset.metric_loss.values.tolist() == dataset.epoch.values.tolist()
            return dataset.epoch.values.tolist()

    for epoch in range(3):
        capture(epoch)
    assert in_columns() == [0]
    now[0] += 3
    capture(3)
    assert in_columns() == [0, 1, 2, 3]
    capture(4)
    assert in_columns() == [0, 1, 2, 3]
    recorder.close()
    assert in_columns() == [0, 1, 2, 3, 4]


def test_snapshots_that_are_replaced_stay_until_the_first_of_the_new_ones_is_there(
    path, monkeypatch
):
    recorder = Recorder(DOMAIN, path=path)
    for epoch in range(5):
        recorder.capture(ramp, epoch=epoch, metrics={"loss": 1.0})
    opened = open_recording(path)
    recorder.rewind(1)
    assert recorder.recording.epochs.tolist() == [0, 1]
    assert open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4]
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "write", full_disk)
        with pytest.warns(CaptureWarning, match="No space left on device"):
            recorder.capture(ramp, epoch=7)
    assert open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4]
    assert opened[4].epoch == 4
    recorder.capture(ramp, epoch=8)
    found = open_recording(path)
    assert found.epochs.tolist() == [0, 1, 8]
    assert [snapshot.epoch for snapshot in found] == [0, 1, 8]
    np.testing.assert_array_equal(found.metrics["loss"], [1, 1, np.nan])
    # Who opened it before is told, and goes on with what has not changed.
    assert opened[1].epoch == 1
    for position in (2, 3, 4):
        with pytest.raises(RecordingError, match="open it again"):
            opened[position]


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_write_that_fails_while_snapshots_are_replaced_loses_nothing(path, monkeypatch, failing):
    recorder = Recorder(DOMAIN, path=path)
    for epoch in range(4):
        recorder.capture(ramp, epoch=epoch, metrics={"loss": 1.0})
    recorder.rewind(1)
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "write", failing_write(failing))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaptureWarning)
            kept = recorder.capture(ramp, epoch=9, metrics={"loss": 0.5, "new": 1.0})
        assert open_recording(path).epochs.tolist() == ([0, 1, 9] if kept else [0, 1, 2, 3])
        recorder.close()
    found = open_recording(path)
    assert found.epochs.tolist() == ([0, 1, 9] if kept else [0, 1, 2, 3])
    assert [snapshot.epoch for snapshot in found] == found.epochs.tolist()
    recorder.capture(ramp, epoch=10, metrics={"loss": 0.25})
    found = open_recording(path)
    assert found.epochs.tolist() == ([0, 1, 9, 10] if kept else [0, 1, 10])
    assert found.metrics["loss"][-1] == 0.25
    assert not list(path.rglob("*.partial"))


@pytest.mark.slow
def test_columns_grow_over_many_chunks(path):
    tiny = Domain((0, 1), (0, 1), shape=(2, 2))
    recorder = Recorder(tiny, path=path, data=([[0, 0], [1, 1]], [0, 1]))
    maps = np.full((2, 2, 2), 0.5)
    for epoch in range(1100):
        metrics = {name: epoch for name, first in (("a", 900), ("b", 1030)) if epoch >= first}
        recorder.append(maps, epoch=epoch, metrics=metrics, data_predictions=[epoch % 2, 1])
    recorder.rewind(1060)
    recorder.append(maps, epoch=3000, metrics={"c": 1})
    opened = open_recording(path)
    assert opened.epochs.tolist() == [*range(1061), 3000]
    for name, first in (("a", 900), ("b", 1030)):
        column = opened.metrics[name]
        assert np.isnan([*column[:first], column[-1]]).all()
        assert column[first:-1].tolist() == list(range(first, 1061))
    assert np.isnan(opened.metrics["c"][:-1]).all()
    assert [opened.data_predictions(index)[0] for index in (0, 1023, 1024, 1059)] == [0, 1, 0, 1]
    assert opened.data_predictions(1061) is None
    recorder.close()
    assert zarr.open_group(path, mode="r")["epoch"][-1] == 3000


def test_opening_reads_no_map_and_drawing_ten_reads_ten(path, monkeypatch):
    recorder = Recorder(DOMAIN, path=path)
    for epoch in range(60):
        recorder.append(np.full((2, 20, 30), 0.5), epoch=epoch, metrics={"loss": 1.0})
    recorder.close()
    read = []
    whole = FolderPlace.read
    monkeypatch.setattr(
        FolderPlace,
        "read",
        lambda place, key, limit: (read.append(key), whole(place, key, limit))[1],
    )
    opened = open_recording(path)
    # The last chunk may be newer than the columns.
    assert {key for key in read if key.startswith("probabilities/")} <= {
        "probabilities/c.59.0.0.0",
        "probabilities/c.60.0.0.0",
    }
    assert len(read) < 16
    read.clear()
    assert opened.metrics["loss"].shape == opened.epochs.shape == (60,)
    for _ in animate(opened.thin(every=7)):
        pass
    maps = {key for key in read if key.startswith("probabilities/")}
    assert len(maps) == len(opened.thin(every=7)) == 10


def test_metrics_with_strange_names(path):
    names = ["val/loss", "val.loss", "val_loss", "Val_loss", "../../x", "Verlust ü", "", "m" * 300]
    recorder = Recorder(DOMAIN, path=path)
    values = {name: float(number) for number, name in enumerate(names)}
    recorder.capture(ramp, epoch=0, metrics=values)
    assert dict(open_recording(path)[0].metrics) == values
    recorder.close()
    arrays = [name for name in zarr.open_group(path, mode="r").array_keys() if "metric" in name]
    assert len({name.casefold() for name in arrays}) == len(names)


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing_write(failing):
    """Return a method that writes a file, and fails at one of the calls, counted from 1."""
    left, whole = [failing], FolderPlace.write

    def write(place, key, payload, *, sync=False):
        left[0] -= 1
        if not left[0]:
            full_disk()
        whole(place, key, payload, sync=sync)

    return write


def train_on(recorder):
    for epoch in range(1, 4):
        recorder.capture(Frozen(), epoch=epoch, metrics={"loss": 1.0, "new": 2.0})
        recorder.drain()
    recorder.amend({"late": 1.0})
    recorder.relabel(3, {})
    recorder.drain()


@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_skips_captures_and_training_goes_on(path, monkeypatch, background):
    recorder = Recorder(DOMAIN, path=path, background=background)
    recorder.capture(Frozen(), epoch=0, metrics={"loss": 1.0})
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "write", full_disk)
        with pytest.warns(CaptureWarning, match="No space left on device") as told:
            train_on(recorder)
    assert len(told) == 1
    assert [epoch for epoch, _ in recorder.failures][:3] == [1, 2, 3]
    assert open_recording(path).epochs.tolist() == [0]
    recorder.capture(Frozen(), epoch=4, metrics={"new": 3.0})
    recorder.drain()
    opened = open_recording(path)
    assert opened.epochs.tolist() == [0, 4]
    np.testing.assert_array_equal(opened.metrics["new"], [np.nan, 3.0])
    assert "late" not in opened.metrics


def test_a_full_disk_at_the_first_capture_raises(path, monkeypatch):
    recorder = Recorder(DOMAIN, path=path)
    monkeypatch.setattr(FolderPlace, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        recorder.capture(ramp, epoch=0)


@pytest.mark.parametrize("failing", range(1, 14))
def test_a_write_that_fails_anywhere_leaves_what_was_there(path, monkeypatch, failing):
    recorder = Recorder(DOMAIN, path=path, data=([[0.5, 0]], [1]))
    recorder.capture(ramp, epoch=0, metrics={"loss": 1.0})
    # The first file that is written is the chunk, and all that follow state what it states.
    there = [0] if failing == 1 else [0, 1]
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "write", failing_write(failing))
        with pytest.warns(CaptureWarning) if failing == 1 else contextlib.nullcontext():
            recorder.capture(ramp, epoch=1, metrics={"loss": 0.5, "new": 1.0})
        assert open_recording(path).epochs.tolist() == there
        recorder.close()
    opened = open_recording(path)
    assert opened.epochs.tolist() == there
    assert opened.metrics["loss"].tolist() == [1.0, 0.5][: len(there)]
    recorder.capture(ramp, epoch=2, metrics={"loss": 0.25})
    assert open_recording(path).epochs.tolist() == [*there, 2]
    assert open_recording(path).metrics["loss"][[0, -1]].tolist() == [1.0, 0.25]
    recorder.close()
    with xarray.open_zarr(path) as dataset:
        assert dataset.epoch.values.tolist() == [*there, 2]
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("failing", range(1, 24))
def test_a_first_capture_that_fails_anywhere_leaves_a_free_path(
    path, monkeypatch, failing, overwrite
):
    before = [0, 1] if overwrite else []
    for epoch in before:
        old = Recorder(DOMAIN, path=path, resume=True)
        old.capture(ramp, epoch=epoch, metrics={"old": 1.0})
        old.close()
    domain = Domain.around(np.eye(3), features=(0, 1), resolution=4)
    recorder = Recorder(domain, path=path, overwrite=overwrite, data=(np.eye(3), [0, 1, 1]))
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "write", failing_write(failing))
        with contextlib.suppress(OSError):  # the later ones are array documents, and no loss
            recorder.capture(right, epoch=5, metrics={"loss": 1.0})
    recorder.close()
    found = []
    if (path / "zarr.json").exists():
        found = open_recording(path).epochs.tolist()
        assert found in ([], [5], before)
    again = {"overwrite": True} if found else {}
    second = Recorder(domain, path=path, data=(np.eye(3), [0, 1, 1]), **again)
    second.capture(right, epoch=6)
    opened = open_recording(path)
    assert (opened.epochs.tolist(), opened.metrics) == ([6], {})
    np.testing.assert_array_equal(opened.domain.points(), domain.points())
    np.testing.assert_array_equal(opened.data.X, np.eye(3))


def right(X):
    return X[:, 0] > 0.5


def rough(X):
    return np.random.default_rng(len(X)).dirichlet((1, 1), len(X))


def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        domain = Domain((0, 1), (0, 1), shape=(100, 100))
        recorder = Recorder(domain, path=disk / "a.zarr", evaluation="dense")
        with pytest.warns(CaptureWarning, match="No space left on device") as told:
            kept = [epoch for epoch in range(20) if recorder.capture(rough, epoch=epoch)]
        assert [warning.category for warning in told].count(CaptureWarning) == 1
        assert 0 < len(kept) < 20
        opened = open_recording(disk / "a.zarr")
        assert opened.epochs.tolist() == kept
        assert all(snapshot.shape == (2, 100, 100) for snapshot in opened)
        assert not list(disk.rglob("*.partial"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_captures_in_the_background_are_written_before_the_interpreter_ends(tmp_path):
    code = """
import sys, time, trainviz as tv
class Slow:
    def __call__(self, X):
        time.sleep(0.05)
        return X[:, 0]
    def frozen(self):
        return self
domain = tv.Domain((0, 1), (0, 1), shape=(3, 3))
recorder = tv.Recorder(domain, path=sys.argv[1], background=True, evaluation="dense")
for epoch in range(3):
    recorder.capture(Slow(), epoch=epoch)
"""
    path = tmp_path / "a.zarr"
    subprocess.run([os.sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert open_recording(path).epochs.tolist() == [0, 1, 2]
    assert not (path / "x/.lock").exists()


def test_predictions_are_those_of_their_snapshot_whatever_was_read_before(path):
    points, labels = [[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]], [0, 1, 0]
    made = Recorder(Domain((0, 1), (0, 1), shape=(3, 3)), path=path, data=(points, labels))
    for epoch in range(8):
        made.append(np.full((2, 3, 3), 0.5), epoch=epoch, data_predictions=[epoch % 2, 1, 0])
    made.close()
    opened = open_recording(path)
    for at in (0, 5, 6, 7, 0, 5):
        assert opened[at].data_predictions.tolist() == [at % 2, 1, 0]
        assert opened.data_predictions(at).tolist() == [at % 2, 1, 0]
        assert opened.data_predictions(7 - at).tolist() == [(7 - at) % 2, 1, 0]
