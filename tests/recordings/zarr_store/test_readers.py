"""What other processes read of a recording while it is written, rewound, continued and replaced."""

import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from trainviz import RecordingError, open_recording

WRITER = """
import os, sys
import numpy as np
import trainviz as tv
from trainviz.recordings.zarr_store import index

WAYS = "overwrite", "resume", "rewind"
os.fsync = lambda descriptor: None  # Readers do not see it, and the writer is to be fast.

domain = tv.Domain((-1, 1), (-1, 1), shape=(8, 10))
path, random, started = sys.argv[1], np.random.default_rng(int(sys.argv[2])), None
training = begun = 0
index._LARGEST_SHARE = 1e9
while True:
    # Each training is a new recording, a continued one, or goes back within the same process.
    way = "overwrite" if not training else str(random.choice(WAYS, p=[0.2, 0.4, 0.4]))
    training += 1
    index._SECONDS = random.choice([0, 0.005, 2])
    if way == "rewind":
        recorder.rewind(int(random.integers(-1, last + 1)))
    else:
        if training > 1:
            recorder.close()
        recorder = tv.Recorder(domain, path=path, evaluation="dense", on_error="raise",
                               **{way: True})
    begun = training if way == "overwrite" else begun
    kept = recorder.recording.epochs
    epoch = int(random.integers(len(kept) + 1)) if way == "resume" else len(kept)
    if way == "overwrite":
        epoch = 0
    for last in range(epoch, epoch + int(random.integers(1, 8))):
        metrics = {"training": training, "epoch": last, "begun": begun}
        recorder.capture(
            lambda X: np.where(X[:, 0] < 0, training % 1024 / 1024, last / 1024), epoch=last,
            metrics=metrics)
        if random.random() < 0.2:
            recorder.amend({"late": 1000 * training + last})
    if training == 1:
        print("recording", flush=True)
"""


@pytest.fixture
def written(tmp_path):
    """The path of a recording that another process goes on changing."""
    path = tmp_path / "a.zarr"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "3"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"recording\n"
        yield path
        assert process.poll() is None, "the writing process has failed"
        process.kill()


def check(recording, position):
    """Fail if what is read of a snapshot does not belong together."""
    snapshot, columns = recording[position], recording.metrics
    row = 1024 * snapshot.probabilities[1, 0]
    training, epoch = int(snapshot.metrics["training"]), int(snapshot.metrics["epoch"])
    assert (round(float(row[0])), round(float(row[-1]))) == (training % 1024, epoch)
    assert snapshot.epoch == recording.epochs[position] == epoch
    for name in ("training", "epoch", "begun"):
        assert columns[name][position] == snapshot.metrics[name]
    late = snapshot.metrics.get("late", 1000 * training + epoch)
    assert late == 1000 * training + epoch
    if "late" in columns and not np.isnan(columns["late"][position]):
        assert columns["late"][position] == late
    return training


def check_columns(recording):
    """Fail if the columns are not those of one recording."""
    columns, epochs = recording.metrics, recording.epochs
    assert epochs.tolist() == list(range(len(recording)))
    assert columns.get("epoch", epochs).tolist() == epochs.tolist()
    assert (np.diff(columns.get("training", epochs)) >= 0).all()
    assert len(set(columns.get("begun", ()))) <= 1


def read_often(path, times):
    """Open the recording often and read some of it; return how often something happened."""
    random, seen, held = np.random.default_rng(1), Counter(), []
    trainings = set()
    for _ in range(times):
        opened = open_recording(path)
        check_columns(opened)
        # Some stay open while the recording is replaced and continued.
        held = [*held[-3:], opened] if random.random() < 0.1 else held
        for recording in (opened, *held[:2]):
            if not len(recording):
                seen["empty"] += 1
                continue
            try:
                trainings.add(check(recording, int(random.integers(len(recording)))))
                seen["read"] += 1
            except RecordingError as error:
                if not str(error).endswith("open it again"):
                    raise
                seen["replaced"] += 1
    seen["trainings"] = len(trainings)
    return seen


def test_beside_a_writer_each_read_is_right_or_raises(written):
    seen = read_often(written, 300)
    assert seen["read"] > 100


@pytest.mark.slow
def test_of_three_thousand_openings_beside_a_writer_none_is_torn_or_mispaired(
    written, record_property
):
    seen = read_often(written, 3000)
    record_property("seen", dict(seen))
    print(dict(seen))
    assert seen["read"] > 1000
    assert seen["replaced"] > 30
    assert seen["trainings"] > 15


def test_held_open_over_a_resume_each_read_is_right_or_raises(written):
    recording = open_recording(written)
    expected = recording.metrics["training"].tolist() if len(recording) else []
    deadline, replaced = time.monotonic() + 30, 0
    while len(expected) == 0 or replaced < len(expected):
        assert time.monotonic() < deadline
        if not expected:
            recording = open_recording(written)
            expected = recording.metrics["training"].tolist() if len(recording) else []
            continue
        replaced = 0
        for position, training in enumerate(expected):
            try:
                assert check(recording, position) == training
            except RecordingError as error:
                if not str(error).endswith("open it again"):
                    raise
                replaced += 1
