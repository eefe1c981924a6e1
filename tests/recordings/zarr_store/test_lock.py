"""One writer a recording, whatever becomes of the writers."""

import copy
import gc
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys

import pytest

from trainviz import CaptureWarning, Domain, Recorder, RecordingError, open_recording
from trainviz._common.process import identity

DOMAIN = Domain((0, 1), (0, 1), shape=(3, 3))
WRITER = """
import sys, trainviz as tv
recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), shape=(3, 3)), path=sys.argv[1])
recorder.capture(lambda X: X[:, 0], epoch=0)
print("recording", flush=True)
sys.stdin.read()
"""


def ramp(X):
    return X[:, 0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


def lock_of(path):
    return path / "x" / ".lock"


def record(path, epoch=0, **options):
    recorder = Recorder(DOMAIN, path=path, **options)
    recorder.capture(ramp, epoch=epoch)
    return recorder


@pytest.fixture
def other_process(path):
    """Another process that records to the path."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"recording\n"
        yield process
        process.kill()


@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_a_second_writer_is_told_who_the_first_is(path, other_process, option):
    recorder = Recorder(DOMAIN, path=path, **{option: True})
    message = f"being recorded by the process {other_process.pid} on {socket.gethostname()}"
    with pytest.raises(RecordingError, match=message):
        recorder.check(ramp)
    with pytest.raises(RecordingError, match=message):
        recorder.capture(ramp, epoch=1)
    assert open_recording(path).epochs.tolist() == [0]


def test_the_lock_of_a_killed_process_is_taken_over(path, other_process):
    other_process.kill()
    other_process.wait()
    assert lock_of(path).exists()
    record(path, 1, resume=True)
    assert open_recording(path).epochs.tolist() == [0, 1]


def test_a_process_that_is_dead_but_not_yet_reaped_counts_as_dead(path, other_process):
    other_process.kill()
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    record(path, 1, resume=True)


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"started": "1"}, True),  # the number belongs to another process by now
        ({}, False),
        ({"host": "elsewhere", "pid": 4_000_000}, False),  # nobody here can know
        ({"boot": "another", "pid": 4_000_000}, False),
        ({"pid_namespace": "pid:[1]", "pid": 4_000_000}, False),  # of a container
        ({"pid": 4_000_000}, True),
        ({"pid": "many"}, False),
    ],
)
def test_which_locks_are_stale(path, change, taken):
    record(path).close()
    parent = os.getppid()
    holder = {**identity(), "pid": parent, "started": None, "token": "x"}
    lock_of(path).write_text(json.dumps(holder | change))
    if taken:
        record(path, 1, resume=True)
    else:
        with pytest.raises(RecordingError, match=r"if it is gone, delete .*\.lock"):
            record(path, 1, resume=True)


def test_a_cell_that_is_run_again_takes_over_and_the_older_recorder_says_so(path):
    older = record(path)
    newer = record(path, 5, overwrite=True)
    with pytest.warns(CaptureWarning, match="taken over by a newer recorder of this process"):
        older.capture(ramp, epoch=1)
    older.close()
    del older
    gc.collect()
    newer.capture(ramp, epoch=6)
    assert open_recording(path).epochs.tolist() == [5, 6]


def test_close_unlocks_and_writing_locks_again(path):
    recorder = record(path)
    recorder.close()
    assert not lock_of(path).exists()
    recorder.capture(ramp, epoch=1)
    assert lock_of(path).exists()
    assert open_recording(path).epochs.tolist() == [0, 1]


def test_a_closed_recorder_does_not_write_over_what_another_wrote_since(path):
    older = record(path)
    older.close()
    record(path, 1, resume=True).close()
    with pytest.warns(CaptureWarning, match="changed by another writer"):
        older.capture(ramp, epoch=2)
    assert open_recording(path).epochs.tolist() == [0, 1]


def test_a_recorder_that_is_deleted_unlocks(path):
    recorder = record(path)
    assert lock_of(path).exists()
    del recorder
    gc.collect()
    assert not lock_of(path).exists()


def test_the_end_of_the_interpreter_unlocks(path, other_process):
    other_process.communicate(b"")
    assert other_process.returncode == 0
    assert not lock_of(path).exists()


def test_a_recording_removed_under_way_is_not_begun_again_in_the_middle(path):
    recorder = record(path)
    shutil.rmtree(path)
    with pytest.warns(CaptureWarning, match="was removed or unlocked while it was being recorded"):
        recorder.capture(ramp, epoch=1)
    assert not path.exists()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_read_and_never_write(path, copied):
    recorder = record(path)
    twin = copied(recorder)
    assert twin.recording[0].epoch == 0
    with pytest.warns(CaptureWarning, match="a copy of that: only the original can write"):
        twin.capture(ramp, epoch=1)
    twin.close()
    del twin
    gc.collect()
    recorder.capture(ramp, epoch=2)
    assert open_recording(path).epochs.tolist() == [0, 2]


def test_a_copy_made_before_anything_was_opened_is_as_good_as_the_original(path):
    twin = pickle.loads(pickle.dumps(Recorder(DOMAIN, path=path)))
    assert not path.exists()  # as on every rank but the one that records
    twin.capture(ramp, epoch=0)
    assert open_recording(path).epochs.tolist() == [0]


def test_two_recorders_of_one_path_do_not_mix(path):
    first, second = (Recorder(DOMAIN, path=path) for _ in range(2))
    first.capture(ramp, epoch=0)
    with pytest.raises(RecordingError, match="holds a recording already"):
        second.capture(ramp, epoch=0)
    first.capture(ramp, epoch=1)
    assert open_recording(path).epochs.tolist() == [0, 1]


def test_addresses_are_locked_too():
    url = "memory://test_disk_lock/a.zarr"
    older = record(url, overwrite=True)
    newer = record(url, 3, resume=True)
    with pytest.warns(CaptureWarning, match="taken over by a newer recorder"):
        older.capture(ramp, epoch=9)
    newer.capture(ramp, epoch=4)
    assert open_recording(url).epochs.tolist() == [0, 3, 4]
