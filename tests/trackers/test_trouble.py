"""A tracker that is down, full, slow or not there: training and recording do not notice."""

import random
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest

import trainviz as tv
from trainviz.trackers import delivery

DOMAIN = tv.Domain((0, 1), (0, 1), points_per_axis=5)


def warnings_of(record):
    return [str(each.message) for each in record if each.category is tv.CaptureWarning]


@pytest.fixture
def untouched(train):
    """Train with a log; return its warnings, after checking that all else is as without it."""
    expected, _, left_alone = train()

    def untouched(log):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            recording, found, left = train(log)
        assert left == left_alone
        assert recording.epochs.tolist() == expected.epochs.tolist()
        for snapshot, other in zip(recording, expected, strict=True):
            assert (snapshot.probabilities == other.probabilities).all()
        return warnings_of(record), found

    return untouched


def test_a_file_in_the_folders_place_is_one_warning(tmp_path, untouched):
    (tmp_path / "runs").write_text("no folder")
    told, log = untouched(lambda recorder: tv.log_to(tmp_path / "runs", recorder))
    assert len(told) == 1
    assert "TensorBoard failed" in told[0]
    assert "training and the recording go on" in told[0]
    assert "FileExistsError" in log.failures["TensorBoard"]


@pytest.fixture
def down(monkeypatch):
    """Return a client of MLflow whose server is down."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return MlflowClient(f"http://127.0.0.1:{free.getsockname()[1]}")


def test_a_server_of_mlflow_that_is_down_is_one_warning(down, untouched):
    told, log = untouched(lambda recorder: tv.log_to((down, "a" * 32), recorder))
    assert len(told) == 1
    assert "MLflow failed" in told[0]
    assert list(log.failures) == ["MLflow"]


def test_attempts_to_reach_a_server_draw_from_no_random_stream(down):
    recorder = tv.Recorder(DOMAIN)
    log = tv.log_to((down, "a" * 32), recorder, stills=None)
    state = random.getstate()
    with warnings.catch_warnings():
        # It may fail before the capture ends, which then warns.
        warnings.simplefilter("ignore", tv.CaptureWarning)
        recorder.capture(lambda X: X[:, 0], epoch=0)
    while not log.failures:
        time.sleep(0.01)
    assert random.getstate() == state


def test_nobody_waits_for_a_server_that_never_answers(monkeypatch, untouched):
    from mlflow import MlflowClient

    monkeypatch.setattr(delivery, "PATIENCE", 1.0)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        client = MlflowClient(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        begun = time.monotonic()
        told, log = untouched(lambda recorder: tv.log_to((client, "a" * 32), recorder))
        # MLflow itself waits for two minutes.
        assert time.monotonic() - begun < 60
    assert log.failures == {"MLflow": "it has not answered for 1 seconds"}
    assert len(told) == 1


def test_the_interpreter_ends_while_a_server_does_not_answer():
    done = subprocess.run(
        [sys.executable, "-c",
         "import socket, trainviz as tv\n"
         "from mlflow import MlflowClient\n"
         "from trainviz.trackers import delivery\n"
         "delivery.PATIENCE = 0.5\n"
         "deaf = socket.create_server(('127.0.0.1', 0))\n"
         "client = MlflowClient(f'http://127.0.0.1:{deaf.getsockname()[1]}')\n"
         "recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))\n"
         "log = tv.log_to((client, 'a' * 32), recorder, film=None, page=False)\n"
         "recorder.capture(lambda X: X[:, 0], epoch=0)\n"
         "log.close()\n"
         "print(log.failures)"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert "has not answered" in done.stdout, done.stderr
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_is_one_warning(tmp_path):
    # A process that may write no more than 20 kB to a file gets an error, as on a full disk.
    done = subprocess.run(
        [sys.executable, "-c",
         "import resource, signal, trainviz as tv\n"
         "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
         "recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))\n"
         f"log = tv.log_to({str(tmp_path)!r}, recorder, page=False)\n"
         "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
         "for epoch in range(9):\n"
         "    recorder.capture(lambda X: X[:, 0], epoch=epoch)\n"
         "log.close()\n"
         "print(len(recorder.recording), log.failures)"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.startswith("9 {'TensorBoard': 'OSError: "), done.stderr
    assert done.stderr.count("CaptureWarning") == 1


def capture(recorder, epochs):
    for epoch in range(epochs):
        recorder.capture(lambda X: X[:, 0], epoch=epoch)


class Slow:
    """A tracker that takes nothing until it is told to."""

    name, place, film_formats = "Slow", "slow", ("gif",)

    def __init__(self):
        self.goes_on = threading.Event()
        self.taken = []

    def scalars(self, values, step):
        self.goes_on.wait()
        self.taken.append(step)

    def film(self, tag, path, step):
        self.taken.append("a picture")

    still = page = film

    def close(self):
        self.taken.append("closed")


def test_what_a_slow_tracker_cannot_take_is_dropped_and_training_goes_on():
    tracker = Slow()
    recorder = tv.Recorder(DOMAIN)
    log = tv.log_to(tracker, recorder, stills=None, page=False)
    with pytest.warns(tv.CaptureWarning, match="too slow, and what it cannot take is dropped"):
        capture(recorder, 200)
    tracker.goes_on.set()
    log.close()
    assert len(recorder.recording) == 200
    # What was waiting is logged all the same, in order.
    *steps, film, last = tracker.taken
    assert (film, last) == ("a picture", "closed")
    assert 60 < len(steps) < 100
    assert steps == list(range(len(steps)))


def test_a_recorder_is_logged_once_to_a_place(tmp_path):
    recorder = tv.Recorder(DOMAIN)
    first = tv.log_to(tmp_path, recorder)
    with pytest.warns(tv.CaptureWarning, match="there already; the second call is ignored"):
        assert tv.log_to(str(tmp_path), recorder) is first
    with tv.log_to(tmp_path / "other", recorder) as other:
        assert other is not first
    first.close()
    assert tv.log_to(tmp_path, recorder) is not first


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"target": 7}, TypeError, "expected a folder for TensorBoard or its SummaryWriter"),
        ({"recording": "a.zarr"}, TypeError, "expected a Recording, or a recorder"),
        ({"recording": tv.Recorder(DOMAIN).recording}, tv.RecordingError, "recording is empty"),
        ({"stills": 0}, ValueError, "stills=0: expected 'geometric', a whole number k"),
        ({"film": "mp4"}, ValueError, "film='mp4': TensorBoard shows gif alone"),
        ({"film": "avi"}, ValueError, "film='avi': expected 'auto', 'gif', 'mp4' or None"),
        ({"by": "hour"}, ValueError, "by='hour': expected 'epoch' or 'step'"),
        ({"fps": -1}, ValueError, "fps=-1"),
        ({"mode": "regions"}, ValueError, "mode='regions': expected one of"),
        ({"interpolation": "none"}, ValueError, "interpolation='none': expected one of"),
        ({"page": "no"}, TypeError, "page='no': expected True or False"),
        ({"scalars": 3}, TypeError, "scalars=3: expected True or False"),
        ({"name": 3}, TypeError, "name=3: expected a text"),
        ({"modus": "region"}, TypeError, "no argument 'modus'"),
        ({"target": "wandb"}, ValueError, r"call wandb.init\(\) first"),
        ({"target": "mlflow"}, ValueError, r"call mlflow.start_run\(\) first"),
    ],
)
def test_mistakes_are_told_before_anything_is_logged(tmp_path, recording, given, error, told):
    arguments = {"target": tmp_path / "run", "recording": recording, **given}
    with pytest.raises(error, match=told):
        tv.log_to(**arguments)
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_drawn_does_not_end_the_training(tmp_path):
    recorder = tv.Recorder(DOMAIN, on_error="raise")
    state = random.getstate()
    # A mode for values alone.
    log = tv.log_to(tmp_path, recorder, mode="values", page=False)
    with pytest.warns(tv.CaptureWarning, match="a picture could not be made"):
        capture(recorder, 3)
    assert len(recorder.recording) == 3
    assert list(log.failures) == ["trainviz"]
    assert random.getstate() == state
