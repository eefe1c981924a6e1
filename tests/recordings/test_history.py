"""Metrics of every epoch are kept, whether it is captured or not."""

import os
import pickle
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

import trainviz as tv
from trainviz.errors import CaptureWarning
from trainviz.recordings.watching import RecordingWatch

DOMAIN = tv.Domain((-1, 1), (-1, 1), shape=(4, 5))


def model(X):
    return (1 + X[:, 0]) / 2


def train(recorder, epochs, **given):
    for epoch in epochs:
        recorder.capture(model, epoch=epoch, metrics={"loss": 1 / (1 + epoch)}, **given)


def losses(recording):
    history = recording.history
    return dict(zip(history.epochs.tolist(), history.metrics["loss"].tolist(), strict=True))


@pytest.fixture(params=["memory", "disk"])
def options(request, tmp_path):
    return {} if request.param == "memory" else {"path": tmp_path / "a.zarr"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


def test_metrics_of_epochs_that_the_schedule_skips_are_kept(options):
    recorder = tv.Recorder(DOMAIN, every=5, **options)
    train(recorder, range(12))
    assert recorder.recording.epochs.tolist() == [0, 5, 10]
    assert losses(recorder.recording) == {epoch: 1 / (1 + epoch) for epoch in range(12)}
    if options:
        assert losses(tv.open_recording(options["path"])) == losses(recorder.recording)


def test_log_keeps_metrics_without_a_capture_in_any_order(options):
    recorder = tv.Recorder(DOMAIN, **options)
    train(recorder, [0, 3])
    recorder.log(epoch=2, step=20, metrics={"loss": np.float32(0.5), "note": "x", "gap": np.nan})
    recorder.log(epoch=1, step=10, metrics={"loss": 0.75, "rate": 0.1})
    recorder.log(epoch=1, step=10, metrics={"rate": 0.2})
    history = recorder.recording.history
    assert history.epochs.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(history.steps, [np.nan, 10, 20, np.nan])
    np.testing.assert_array_equal(history.metrics["rate"], [np.nan, 0.2, np.nan, np.nan])
    assert history.metrics["loss"].tolist() == [1, 0.75, 0.5, 0.25]
    assert history.metrics.keys() == {"loss", "rate"}


def test_what_is_logged_of_the_last_snapshots_moment_is_added_to_it(options):
    recorder = tv.Recorder(DOMAIN, **options)
    train(recorder, [0, 1])
    recorder.log(epoch=1, metrics={"accuracy": 0.5})
    assert recorder.recording[-1].metrics == {"loss": 0.5, "accuracy": 0.5}
    assert len(recorder.recording.history) == 2


def test_metrics_without_a_step_are_those_of_the_end_of_an_epoch_with_steps():
    recorder = tv.Recorder(DOMAIN)
    for step in (10, 20):
        recorder.capture(model, epoch=1, step=step, metrics={"loss": 1 / step})
    recorder.log(epoch=1, metrics={"accuracy": 0.5})
    history = recorder.recording.history
    np.testing.assert_array_equal(history.steps, [10, 20])
    np.testing.assert_array_equal(history.metrics["accuracy"], [np.nan, 0.5])


def test_epochs_and_steps_that_are_none_are_refused():
    recorder = tv.Recorder(DOMAIN)
    with pytest.raises(ValueError, match="epoch=-1"):
        recorder.log(epoch=-1, metrics={"loss": 1.0})
    with pytest.raises(TypeError, match=r"step=0\.5"):
        recorder.log(epoch=1, step=0.5, metrics={"loss": 1.0})


def test_infinite_values_come_back_from_the_disk(path):
    recorder = tv.Recorder(DOMAIN, every=9, path=path)
    train(recorder, [0])
    recorder.log(epoch=1, metrics={"loss": np.inf})
    assert losses(tv.open_recording(path)) == {0: 1, 1: np.inf}


def test_slices_thinned_joined_saved_and_pickled_recordings_have_their_part(options, tmp_path):
    recorder = tv.Recorder(DOMAIN, every=4, initial=False, **options)
    train(recorder, range(1, 11))
    recording = recorder.recording
    assert recording.epochs.tolist() == [4, 8]
    assert [*losses(recording[:])] == [*range(1, 11)]
    assert [*losses(recording[:1])] == [1, 2, 3, 4]
    assert [*losses(recording[1:])] == [8, 9, 10]
    assert len(recording[:0].history) == 0
    assert [*losses(recording.thin(2))] == [*range(1, 11)]
    assert losses(pickle.loads(pickle.dumps(recording))) == losses(recording)
    recording.save(tmp_path / "b.zarr.zip")
    assert losses(tv.open_recording(tmp_path / "b.zarr.zip")) == losses(recording)
    both = tv.Recording.concat([recording, recording], renumber=True)
    assert [*losses(both)] == [*range(1, 19)]
    assert losses(both)[9] == losses(recording)[1]


def test_thousands_of_moments_are_read_as_they_were_logged(path):
    recorder = tv.Recorder(DOMAIN, every=5000, path=path)
    train(recorder, range(3000))
    recorder.close()
    assert losses(tv.open_recording(path)) == {epoch: 1 / (1 + epoch) for epoch in range(3000)}
    assert sum(file.is_file() for file in path.rglob("log.*")) == 3
    again = tv.Recorder(DOMAIN, every=5000, path=path, resume=True)
    train(again, range(3000, 3100))
    assert len(losses(tv.open_recording(path))) == 3100


@pytest.mark.parametrize("restart", [7, 10, 12])
def test_a_resumed_run_drops_what_was_logged_after_the_point_from_which_it_continues(path, restart):
    train(tv.Recorder(DOMAIN, every=5, path=path), range(14))
    recorder = tv.Recorder(DOMAIN, every=5, path=path, resume=True)
    for epoch in range(restart, 17):
        recorder.capture(model, epoch=epoch, metrics={"loss": -1.0})
        held = losses(recorder.recording)
        assert held == {
            before: 1 / (1 + before) if before < restart else -1.0 for before in range(epoch + 1)
        }
    recorder.close()
    assert losses(tv.open_recording(path)) == held


@pytest.mark.parametrize(("restart", "kept"), [(3, [1, 2]), (1, [])])
def test_a_run_that_ended_before_its_first_capture_is_continued_too(path, restart, kept):
    train(tv.Recorder(DOMAIN, at=[9], path=path), range(1, 5))
    recorder = tv.Recorder(DOMAIN, at=[9], path=path, resume=True)
    train(recorder, [restart])
    assert [*losses(tv.open_recording(path))] == [*kept, restart]
    recorder.close()
    again = tv.Recorder(DOMAIN, at=[9], path=path)
    train(again, [2])
    assert [*losses(tv.open_recording(path))] == [2]


def test_until_its_first_snapshot_replaces_others_a_resumed_run_leaves_the_old_one_whole(path):
    train(tv.Recorder(DOMAIN, every=5, path=path), range(14))
    before = losses(tv.open_recording(path))
    recorder = tv.Recorder(DOMAIN, every=5, path=path, resume=True)
    train(recorder, [7, 8, 9])
    recorder.close()
    found = tv.open_recording(path)
    assert (found.epochs.tolist(), losses(found)) == ([0, 5, 10], before)


def test_another_recording_at_the_path_knows_nothing_of_the_log_before(path):
    for start in (0, 3):
        recorder = tv.Recorder(DOMAIN, every=50, path=path, overwrite=True)
        train(recorder, range(start, 6))
        recorder.close()
    assert [*losses(tv.open_recording(path))] == [3, 4, 5]


def test_a_full_disk_warns_once_and_training_goes_on(path, monkeypatch):
    recorder = tv.Recorder(DOMAIN, every=50, path=path)
    train(recorder, [0, 1])
    with monkeypatch.context() as patched:

        def full(*arguments, **options):
            raise OSError("no space left")

        patched.setattr(os, "replace", full)
        with pytest.warns(CaptureWarning, match="no space left") as told:
            train(recorder, [2, 3])
    assert len(told) == 1
    train(recorder, [4])
    assert losses(tv.open_recording(path)).keys() >= {0, 1, 4}


def test_a_damaged_log_is_told_and_the_snapshots_are_still_there(path):
    recorder = tv.Recorder(DOMAIN, every=2, path=path)
    train(recorder, range(4))
    recorder.close()
    (file,) = path.rglob("log.*")
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.6"))
    found = tv.open_recording(path)
    assert found.metrics["loss"].tolist() == [1, 1 / 3]
    with pytest.raises(tv.RecordingError, match=f"{file.name} is damaged"):
        found.history  # noqa: B018
    with pytest.raises(tv.RecordingError, match=file.name):
        tv.Recorder(DOMAIN, every=2, path=path, resume=True)
    file.unlink()
    assert [*losses(tv.open_recording(path))] == [0, 2]


def test_a_log_of_any_size_is_read_only_where_it_is_trusted(path, monkeypatch):
    from google_crc32c import value

    recorder = tv.Recorder(DOMAIN, every=2, path=path)
    train(recorder, range(4))
    recorder.close()
    (file,) = path.rglob("log.*")
    # Long lines, since it is bytes that count, and each line takes time.
    payload = b"\n".join([b'[1,null,{"loss":1' + b" " * 1000 + b"}]"] * (10 * 2**10))
    for number in range(4):
        name = file.name.removesuffix("0") + str(number)
        file.with_name(name).write_bytes(payload + value(payload).to_bytes(4, "little"))
    with pytest.raises(tv.RecordingError, match="trust=True"):
        tv.open_recording(path).history  # noqa: B018
    assert [*losses(tv.open_recording(path, trust=True))] == [0, 1, 2]


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"[1,2]", b"[-1,null,{}]", b'[1,null,{"a":[]}]', b"[1.5,null,{}]", b"[" * 10**5],
)
def test_lines_that_no_recorder_writes_are_refused(path, line):
    from google_crc32c import value

    recorder = tv.Recorder(DOMAIN, every=2, path=path)
    train(recorder, range(3))
    recorder.close()
    (file,) = path.rglob("log.*")
    file.write_bytes(line + value(line).to_bytes(4, "little"))
    with pytest.raises(tv.RecordingError, match="is damaged"):
        tv.open_recording(path).history  # noqa: B018


def test_a_reader_sees_the_log_grow(path):
    recorder, watch = tv.Recorder(DOMAIN, every=50, path=path), RecordingWatch(str(path))
    train(recorder, [0])
    assert watch.look()
    for epoch in range(1, 5):
        train(recorder, [epoch])
        assert watch.look()
        assert [*losses(watch.recording)] == [*range(epoch + 1)]
        assert not watch.look()


def test_a_recording_without_a_log_has_a_history(path):
    # As it was written before there were logs.
    import json

    recorder = tv.Recorder(DOMAIN, path=path)
    train(recorder, range(3))
    recorder.close()
    for name in ("zarr.json", "x/.zarr.json"):
        root = json.loads((path / name).read_text())
        del root["attributes"]["trainviz"]["log"]
        (path / name).write_text(json.dumps(root))
    assert [*losses(tv.open_recording(path))] == [0, 1, 2]
    again = tv.Recorder(DOMAIN, every=5, path=path, resume=True)
    train(again, [3, 4])
    assert [*losses(tv.open_recording(path))] == [0, 1, 2, 3, 4]


CHILD = """
import os, sys
import trainviz as tv

path, told, start = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND), int(sys.argv[3])
domain = tv.Domain((-1, 1), (-1, 1), shape=(4, 5))
recorder = tv.Recorder(domain, every=40, path=path, resume=True)
for epoch in range(start, 10**6):
    recorder.capture(lambda X: (1 + X[:, 0]) / 2, epoch=epoch, metrics={"loss": start})
    os.write(told, b"%d\\n" % epoch)
"""


def test_killed_at_any_moment_it_holds_what_was_logged(path, tmp_path):
    told, random = tmp_path / "told", np.random.default_rng(0)
    told.touch()
    starts = [0]
    for _ in range(6):
        before = told.stat().st_size
        command = [sys.executable, "-c", CHILD, str(path), str(told), str(starts[-1])]
        with subprocess.Popen(command) as child:
            while told.stat().st_size == before:
                assert child.poll() is None
                time.sleep(0.001)
            time.sleep(random.uniform(0.01, 0.1))
            child.send_signal(signal.SIGKILL)
        last = int(told.read_text().split()[-1])
        found = losses(tv.open_recording(path))
        # Each epoch has the value of the last run that began before it, or of the one before
        # that, if none of its snapshots had been replaced yet.
        assert [*found][: last + 1] == [*range(last + 1)] or max(found) > last
        assert all(after - before == 1 for before, after in pairwise(found))
        assert {found[epoch] for epoch in range(starts[-1])} <= {*starts[:-1], 0}
        # Back by fewer epochs than there are between two snapshots.
        starts.append(max(0, last - 7))
