"""What a process leaves that is killed while it records."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray
import zarr

from trainviz import Domain, Recorder, open_recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")

PARENT = """
import os, sys, tempfile
import numpy as np
import trainviz as tv
from trainviz._common import jit

jit.POLICY = "numpy"  # Each child would load the compiled loops, or compile them, for itself.
domain = tv.Domain((-1, 1), (-1, 1), shape=(40, 50))
X = np.random.default_rng(0).normal(size=(30, 2))


def record(path, log, resume):
    recorder = tv.Recorder(domain, path=path, data=(X, X[:, 0] > 0), resume=resume)
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    there = recorder.recording.epochs.tolist()
    epoch = there[-1] + 1 if there else 0
    if there:
        os.write(told, b"resumes " + str(there).encode() + b"\\n")
    while True:
        metrics = {"loss": 1 / (1 + epoch)} | ({"late": epoch} if epoch > 5 else {})
        kept = recorder.capture(lambda X: 1 / (1 + np.exp(-(epoch % 7) * X[:, 0])), epoch=epoch,
                                metrics=metrics)
        assert kept is not None
        os.write(told, b"%d\\n" % epoch)
        if epoch % 5 == 4:
            recorder.amend({f"extra {epoch % 3}": 1.0})
            recorder.relabel(epoch + 1, {})
            os.write(told, b"%d\\n" % -epoch)
            epoch += 1
        epoch += 1


# What all runs have in common is loaded once, without which half of the time is spent on imports.
with tempfile.TemporaryDirectory() as folder:
    first = tv.Recorder(domain, path=folder + "/a.zarr", data=(X, X[:, 0] > 0))
    first.capture(lambda X: X[:, 0] > 0, epoch=0)
    first.close()
for line in sys.stdin:
    path, log, resume = line.split()
    child = os.fork()
    if not child:
        try:
            record(path, log, resume == "resume")
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


def told(log):
    return sum("r" not in line for line in log.read_text().splitlines()) if log.exists() else 0


def record_and_kill(parent, path, log, delay, *, resume):
    before = told(log)
    print(path, log, "resume" if resume else "new", file=parent.stdin, flush=True)
    child, deadline = int(parent.stdout.readline()), time.monotonic() + 60
    try:
        while told(log) == before:
            assert time.monotonic() < deadline
            time.sleep(0.004)
        time.sleep(delay)
    finally:
        os.kill(child, signal.SIGKILL)
    assert int(parent.stdout.readline()) == -signal.SIGKILL, "the recording process has failed"


def check(path, log):
    """Compare what can be opened with what had been told; return the number of snapshots."""
    returned = []
    for line in log.read_text().splitlines():
        # A negative line says that the last snapshot now stands for the epoch after.
        if line.startswith("resumes "):
            returned = json.loads(line.removeprefix("resumes "))
        elif line.startswith("-"):
            returned[-1] = -int(line) + 1
        else:
            returned.append(int(line))
    recording = open_recording(path)
    found = recording.epochs.tolist()
    # One more may be whole whose capture had not returned, or be relabelled already.
    relabelled = [*returned[:-1], returned[-1] + 1]
    assert found[: len(returned)] in (returned, relabelled)
    assert len(found) <= len(returned) + 1
    for snapshot in recording:
        # The model of epochs that are relabelled is the one of the epoch before.
        models = [snapshot.epoch, snapshot.epoch - 1]
        x = recording.domain.x
        expected = [1 / (1 + np.exp(-(epoch % 7) * x)) for epoch in models]
        errors = [np.abs(snapshot.probabilities[1] - row).max() for row in expected]
        assert min(errors) < 0.02
        assert snapshot.data_predictions.shape == (30,)
    np.testing.assert_allclose(
        [1 / loss - 1 for loss in recording.metrics["loss"]], found, atol=1.001
    )
    # The arrays may be some seconds behind, and lack the last label, but belong together.
    group = zarr.open_group(path, mode="r")
    epochs = group["epoch"][:].tolist()
    assert group["probabilities"].shape[0] == group["metric_loss"].shape[0] == len(epochs)
    assert epochs[:-1] == found[: len(epochs) - 1]
    assert epochs[-1] in (found[len(epochs) - 1], found[len(epochs) - 1] - 1)
    with xarray.open_zarr(path) as dataset:
        assert dataset.sizes["snapshot"] == len(epochs)
        assert np.isfinite(dataset.probabilities[-1].values).all()
    return len(found)


@pytest.mark.slow
def test_killed_at_fifty_moments_it_holds_all_that_was_captured(parent, tmp_path):
    random = np.random.default_rng(4)
    survived = 0
    for run in range(50):
        # Five processes continue one recording, each after the one before was killed.
        path, log = tmp_path / f"{run // 5}.zarr", tmp_path / f"{run // 5}.log"
        record_and_kill(parent, path, log, random.uniform(0, 0.08), resume=run % 5 > 0)
        check(path, log)
        survived += 1
    assert survived == 50


def test_what_was_left_behind_is_brought_to_order(parent, tmp_path):
    path, log = tmp_path / "a.zarr", tmp_path / "a.log"
    record_and_kill(parent, path, log, 0.02, resume=False)
    kept = len(open_recording(path))
    half = path / "probabilities" / f"c.{kept}.0.0.0"
    half.write_bytes(b"half a chunk")
    assert len(open_recording(path)) == kept
    (path / "epoch" / "zarr.json").write_text("{")
    record_and_kill(parent, path, log, 0.02, resume=True)
    check(path, log)
    assert zarr.open_array(path / "epoch", mode="r").shape[0] >= kept


def test_forked_children_neither_write_nor_unlock(tmp_path):
    path = tmp_path / "a.zarr"
    recorder = Recorder(Domain((0, 1), (0, 1), shape=(3, 3)), path=path, on_error="raise")
    recorder.capture(lambda X: X[:, 0], epoch=0)
    child = os.fork()
    if not child:
        try:
            recorder.capture(lambda X: X[:, 0], epoch=1)
        except ValueError as error:
            recorder.close()
            os._exit(0 if "is a fork" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.capture(lambda X: X[:, 0], epoch=2)
    assert open_recording(path).epochs.tolist() == [0, 2]
