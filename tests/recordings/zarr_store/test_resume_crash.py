"""What a process leaves that is killed while it continues a recording from an earlier epoch."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from trainviz import RecordingError, open_recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")

PARENT = """
import os, sys
import numpy as np
import trainviz as tv
from trainviz._common import jit
from trainviz.recordings.zarr_store import index

jit.POLICY = "numpy"  # Each child would compile for itself.
os.fsync = lambda descriptor: None  # What a process has written outlasts its end anyway.
domain = tv.Domain((-1, 1), (-1, 1), shape=(8, 10))


def record(path, log, training, start, seconds):
    index._SECONDS = seconds
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    random = np.random.default_rng(training)
    recorder = tv.Recorder(domain, path=path, resume=True, evaluation="dense", on_error="raise")
    epoch = start
    while True:
        os.write(told, b"begin %d %d\\n" % (training, epoch))
        recorder.capture(
            lambda X: np.where(X[:, 0] < 0, training / 1024, epoch / 1024), epoch=epoch,
            metrics={"training": training, "epoch": epoch})
        os.write(told, b"end %d %d\\n" % (training, epoch))
        if epoch and random.random() < 0.1:
            epoch = int(random.integers(epoch))
            recorder.rewind(epoch)
        epoch += 1


for line in sys.stdin:
    path, log, training, start, seconds = line.split()
    child = os.fork()
    if not child:
        try:
            record(path, log, int(training), int(start), float(seconds))
        finally:
            os._exit(1)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def parent():
    """An interpreter that forks for each run, because starting one takes most of a second."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def lines_of(log):
    return log.read_text().splitlines() if log.exists() else []


def continue_and_kill(parent, path, log, training, start, seconds, lines, delay):
    """Kill the process some time after it has logged a number of lines."""
    print(path, log, training, start, seconds, file=parent.stdin, flush=True)
    child, deadline = int(parent.stdout.readline()), time.monotonic() + 60
    while len(lines_of(log)) < lines:
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    assert int(parent.stdout.readline()) == -signal.SIGKILL, "the recording process has failed"


def allowed(before, log):
    """Return what may be found: what had returned, and what the capture in progress makes of it."""
    kept = following = before
    for line in lines_of(log):
        what, training, epoch = line.split()
        if what == "begin":
            # It replaces the snapshots from its epoch on, and nothing does before it is there.
            earlier = [one for one in kept if one[1] < int(epoch)]
            following = [*earlier, (int(training), int(epoch))]
        else:
            kept = following
    return kept, following


def found_in(path):
    try:
        recording, found = open_recording(path), []
    except RecordingError as error:
        # The process was killed before it had created the recording.
        if "there is no recording at" not in str(error):
            raise
        return []
    metrics = recording.metrics
    for position, snapshot in enumerate(recording):
        row = 1024 * snapshot.probabilities[1, 0]
        training, epoch = round(float(row[0])), round(float(row[-1]))
        assert snapshot.metrics == {"training": training, "epoch": epoch}
        assert (metrics["training"][position], metrics["epoch"][position]) == (training, epoch)
        assert snapshot.epoch == recording.epochs[position] == epoch
        found.append((training, epoch))
    return found


def kill_often(parent, tmp_path, runs):
    random = np.random.default_rng(5)
    replaced = 0
    for run in range(runs):
        # Ten processes continue one recording, each after the one before was killed.
        path, log = tmp_path / f"{run // 10}.zarr", tmp_path / f"{run}.log"
        before = found_in(path) if run % 10 else []
        start = int(random.integers(len(before) + 1))
        seconds, lines = random.choice([0, 0.01, 2]), random.integers(1, 16)
        delay = random.uniform(0, 0.02)
        continue_and_kill(parent, path, log, run + 1, start, seconds, lines, delay)
        found = found_in(path)
        assert found in allowed(before, log), run
        replaced += found[: len(before)] != before
    return replaced


def test_a_process_that_is_killed_while_it_resumes_removes_nothing_before_it_is_replaced(
    parent, tmp_path
):
    kill_often(parent, tmp_path, 3)


@pytest.mark.slow
def test_killed_at_fifty_moments_of_resuming_it_holds_all_that_was_not_replaced(parent, tmp_path):
    assert kill_often(parent, tmp_path, 50) > 10
