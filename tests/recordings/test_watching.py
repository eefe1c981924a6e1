"""Watching a recording that another process writes."""

import shutil

import numpy as np
import pytest

import trainviz as tv
from trainviz.recordings.watching import RecordingWatch


def recorder_at(path, **options):
    return tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5), path=path, **options)


def capture(recorder, *epochs):
    for epoch in epochs:
        recorder.append(np.full((2, 5, 5), 0.5), epoch=epoch)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.zarr")


def test_each_snapshot_is_seen_once(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    assert not watch.look()
    for epoch in range(5):
        capture(recorder, epoch)
        assert watch.look()
        assert watch.recording.epochs.tolist() == list(range(epoch + 1))
        assert not watch.look()
        assert not watch.look()


def test_what_it_saw_grow_is_what_one_finds_who_opens_it(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    for epoch in range(30):
        recorder.append(np.full((2, 5, 5), 0.5), epoch=epoch, metrics={f"m{epoch // 9}": epoch})
        if epoch % 4 == 0:
            watch.look()
        earlier = watch.recording
        length = len(earlier)
    recorder.amend({"late": 1})
    watch.look()
    assert len(earlier) == length
    found, expected = watch.recording, tv.open_recording(path)
    assert found.epochs.tolist() == expected.epochs.tolist()
    assert found.metrics.keys() == expected.metrics.keys()
    for name, values in expected.metrics.items():
        np.testing.assert_array_equal(found.metrics[name], values)


def test_metrics_that_are_added_are_seen(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, 0, 1)
    watch.look()
    recorder.amend({"late": 3})
    assert watch.look()
    assert watch.recording.metrics["late"][1] == 3


def test_it_says_whether_the_run_is_being_recorded(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, 0)
    watch.look()
    assert watch.state == "recording"
    recorder.close()
    assert watch.look()
    assert watch.state == "idle"
    shutil.rmtree(path)
    assert watch.look()
    assert watch.state == "gone"
    assert len(watch.recording) == 1


def test_a_run_that_is_recorded_anew_is_seen_from_its_beginning(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, 0, 1, 2)
    watch.look()
    recorder.close()
    shutil.rmtree(path)
    watch.look()
    anew = recorder_at(path)
    anew.claim()
    for _ in range(3):
        watch.look()
        assert len(watch.recording) == 0
    for count in (1, 2):
        capture(anew, count)
        assert watch.look()
        assert len(watch.recording) == count


def test_snapshots_that_were_replaced_are_counted(path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, *range(6))
    recorder.close()
    watch.look()
    before = watch.generation
    assert watch.kept_since(before) == 6
    resumed = recorder_at(path, resume=True)
    capture(resumed, 4)
    watch.look()
    assert watch.generation != before
    assert watch.kept_since(before) == 4
    assert watch.kept_since(watch.generation) == 5
    resumed.close()
    capture(recorder_at(path, overwrite=True), 0, 1, 2)
    watch.look()
    assert watch.kept_since(before) == 0


def test_a_damaged_recording_is_said_and_seen_again_once_it_is_mended(path, tmp_path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, 0, 1)
    recorder.close()
    watch.look()
    root, copy = (tmp_path / "a.zarr" / name for name in ("zarr.json", "x/.zarr.json"))
    text = root.read_text()
    for file in (root, copy):
        file.write_text(text.replace('"schema":2', '"schema":9'))
    assert watch.look()
    assert watch.state == "damaged"
    assert "newer trainviz" in watch.problem
    for file in (root, copy):
        file.write_text(text)
    assert watch.look()
    assert (watch.state, watch.problem, len(watch.recording)) == ("idle", "", 2)


def test_looking_leaves_no_trace(path, tmp_path):
    watch, recorder = RecordingWatch(path), recorder_at(path)
    capture(recorder, 0)
    before = sorted((str(file), file.stat().st_mtime_ns) for file in tmp_path.rglob("*"))
    for _ in range(3):
        watch.look()
    assert sorted((str(file), file.stat().st_mtime_ns) for file in tmp_path.rglob("*")) == before
