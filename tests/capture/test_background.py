"""Captures off the training path: equal to those made at once, and training cannot tell."""

import copy
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from trainviz import CaptureWarning, Domain, EvaluationError, PredictionError, Recorder
from trainviz.capture.training_events import TrainingEvents

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))
DATA = ([[-1, 0], [1, 0], [1, 1]], [0, 1, 0])


class Threshold:
    """A classifier that learns one number, and whose copies wait for a gate to open."""

    def __init__(self, at=0.0, gate=None, fails=None):
        self.at, self.gate, self.fails = at, gate, fails

    def __call__(self, X):
        if self.gate is not None and threading.current_thread() is not threading.main_thread():
            self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return 1 / (1 + np.exp(self.at - X[:, 0]))

    def frozen(self):
        return copy.copy(self)


def train(model, recorder, epochs):
    for epoch in epochs:
        model.at = epoch / 10
        recorder.capture(model, epoch=epoch, metrics={"loss": 1 / (1 + epoch)})


def gated(**options):
    """Return a model and a recorder whose captures are all held up until the gate is opened."""
    gate = threading.Event()
    model, recorder = Threshold(gate=gate), Recorder(DOMAIN, background=True, **options)
    recorder.capture(model, epoch=0)
    return model, recorder, gate


def test_the_recording_equals_that_of_captures_made_at_once():
    recordings = []
    for background in (False, True):
        recorder = Recorder(DOMAIN, data=DATA, background=background)
        train(Threshold(), recorder, range(12))
        recorder.drain()
        recordings.append(recorder.recording)
    at_once, later = recordings
    assert later.epochs.tolist() == at_once.epochs.tolist() == list(range(12))
    assert later.metrics["loss"].tolist() == at_once.metrics["loss"].tolist()
    for a, b in zip(at_once, later, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        np.testing.assert_array_equal(a.data_predictions, b.data_predictions)
        assert a.evaluations == b.evaluations


def test_training_goes_on_while_a_capture_is_evaluated():
    model, recorder, gate = gated()
    assert recorder.capture(model, epoch=1) is None
    assert recorder.recording.epochs.tolist() == [0]
    gate.set()
    recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 1]


def test_training_waits_once_three_captures_are_under_way():
    model, recorder, gate = gated()
    trained = []

    def loop():
        for epoch in range(1, 6):
            recorder.capture(model, epoch=epoch)
            trained.append(epoch)

    thread = threading.Thread(target=loop)
    thread.start()
    thread.join(0.3)
    assert len(trained) <= 3
    gate.set()
    thread.join()
    recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_first_capture_is_made_at_once_and_raises():
    recorder = Recorder(DOMAIN, background=True)
    with pytest.raises(EvaluationError, match="no memory"):
        recorder.capture(Threshold(fails=RuntimeError("no memory")), epoch=0)
    assert recorder.capture(Threshold(), epoch=0) is recorder.recording[0]


def test_a_callable_that_offers_no_copy_is_refused_before_training():
    recorder = Recorder(DOMAIN, background=True)
    for ask in (recorder.check, lambda model: recorder.capture(model, epoch=0)):
        with pytest.raises(TypeError, match=r"background=True .* method frozen\(\)"):
            ask(lambda X: X[:, 0])


def test_a_model_that_cannot_be_copied_is_captured_at_once_with_one_warning():
    class Stuck(Threshold):
        def frozen(self):
            raise OSError("a file is open")

    model, recorder = Stuck(), Recorder(DOMAIN, background=True)
    recorder.capture(model, epoch=0)
    with pytest.warns(CaptureWarning, match="cannot be copied: OSError: a file is open") as told:
        train(model, recorder, range(1, 4))
    assert len(told) == 1
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]
    assert recorder.failures == []


def test_a_model_that_draws_from_shared_random_streams_is_captured_at_once():
    class Noisy(Threshold):
        def __call__(self, X):
            return super().__call__(X) * np.random.uniform(0.9, 1)  # noqa: NPY002

    recorder = Recorder(DOMAIN, background=True)
    with pytest.warns(CaptureWarning, match="random streams of Python or numpy"):
        recorder.capture(Noisy(), epoch=0)
    assert recorder.capture(Noisy(), epoch=1) is recorder.recording[1]


def test_copying_the_model_disturbs_no_random_stream():
    class Careless(Threshold):
        def frozen(self):
            np.random.random()  # noqa: NPY002
            return super().frozen()

    recorder = Recorder(DOMAIN, background=True)
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random(3).tolist()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    drawn = []
    for epoch in range(3):
        recorder.capture(Careless(), epoch=epoch)
        drawn.append(np.random.random())  # noqa: NPY002
    assert drawn == expected


def test_a_failure_warns_once_at_the_next_call_on_the_thread_that_trains():
    _, recorder, gate = gated()
    recorder.capture(Threshold(gate=gate, fails=RuntimeError("no memory")), epoch=1)
    recorder.capture(Threshold(gate=gate, fails=RuntimeError("no memory")), epoch=2)
    gate.set()
    with pytest.warns(CaptureWarning, match="epoch 1 failed and was skipped.*no memory") as told:
        train(Threshold(), recorder, range(3, 7))
    assert len(told) == 1
    recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 3, 4, 5, 6]
    assert [epoch for epoch, _ in recorder.failures] == [1, 2]


def test_on_error_raise_raises_at_the_drain():
    recorder = Recorder(DOMAIN, background=True, on_error="raise")
    recorder.capture(Threshold(), epoch=0)
    recorder.capture(Threshold(fails=RuntimeError("no memory")), epoch=1)
    with pytest.raises(EvaluationError, match="no memory"):
        recorder.drain()
    recorder.drain()
    assert [epoch for epoch, _ in recorder.failures] == [1]


def test_a_wrong_number_of_classes_is_a_failure_too():
    class Three(Threshold):
        def __call__(self, X):
            return np.full((len(X), 3), 1 / 3)

    recorder = Recorder(DOMAIN, background=True, on_error="raise")
    recorder.capture(Threshold(), epoch=0)
    recorder.capture(Three(), epoch=1)
    with pytest.raises(PredictionError, match="3 classes, after 2 before"):
        recorder.drain()


def test_a_model_that_ends_its_thread_holds_nothing_up():
    recorder = Recorder(DOMAIN, background=True)
    recorder.capture(Threshold(), epoch=0)
    recorder.capture(Threshold(fails=SystemExit("enough")), epoch=1)
    with pytest.warns(CaptureWarning, match="SystemExit: enough"):
        recorder.drain()
    recorder.capture(Threshold(), epoch=2)
    recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 2]


def test_epochs_and_steps_are_checked_against_what_was_handed_in():
    model, recorder, gate = gated()
    recorder.capture(model, epoch=5, step=50)
    with pytest.raises(ValueError, match="epoch=4 comes after epoch 5"):
        recorder.capture(model, epoch=4)
    with pytest.raises(ValueError, match="step=49 comes after step 50"):
        recorder.capture(model, epoch=6, step=49)
    recorder.capture(model, epoch=5, step=50)  # the same state once more
    gate.set()
    recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 5]


@pytest.mark.parametrize("early", [True, False])
def test_a_capture_can_be_amended_and_relabelled_before_and_after_it_is_ready(early):
    model, recorder, gate = gated()
    recorder.capture(model, epoch=1, step=10, metrics={"loss": 1})
    if not early:
        gate.set()
        recorder.drain()
    recorder.amend({"val_loss": 2})
    recorder.relabel(2, {"accuracy": 0.5})
    gate.set()
    recorder.drain()
    snapshot = recorder.recording[-1]
    assert (len(recorder.recording), snapshot.epoch, snapshot.step) == (2, 2, 10)
    assert snapshot.metrics == {"loss": 1.0, "val_loss": 2.0, "accuracy": 0.5}


def test_metrics_of_a_failed_capture_go_to_no_other():
    recorder = Recorder(DOMAIN, background=True)
    recorder.capture(Threshold(), epoch=0)
    recorder.capture(Threshold(fails=RuntimeError()), epoch=1)
    with pytest.warns(CaptureWarning):
        recorder.drain()
    recorder.amend({"loss": 1})
    assert recorder.recording[-1].metrics == {}


def test_metrics_are_those_of_the_capture():
    model, recorder, gate = gated()
    metrics = {"loss": np.array(1.0)}
    recorder.capture(model, epoch=1, metrics=metrics)
    metrics["loss"] += 1
    metrics["late"] = 3
    gate.set()
    recorder.drain()
    assert recorder.recording[-1].metrics == {"loss": 1.0}


def test_rewind_and_append_wait_for_what_is_under_way():
    recorder = Recorder(DOMAIN, background=True)
    train(Threshold(), recorder, range(4))
    recorder.rewind(2)
    assert recorder.recording.epochs.tolist() == [0, 1, 2]
    recorder.capture(Threshold(), epoch=3)
    recorder.append(np.full((2, 3, 4), 0.5), epoch=4)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4]
    recorder.amend({"loss": 1})
    assert recorder.recording[-1].metrics == {"loss": 1.0}


def test_a_recorder_travels_to_another_process():
    recorder = Recorder(DOMAIN, background=True)
    train(Threshold(), recorder, range(3))
    other = pickle.loads(pickle.dumps(recorder))
    train(Threshold(), other, range(3, 5))
    other.drain()
    assert other.recording.epochs.tolist() == [0, 1, 2, 3, 4]
    assert len(recorder.recording) == 3


def test_steps_and_epochs_are_counted_as_with_captures_made_at_once():
    def moments(background):
        events = TrainingEvents(Recorder(DOMAIN, every=1, every_n_steps=2, background=background))
        model = Threshold()
        events.start(model, 0, 0)
        for epoch in range(1, 4):
            for step in range(4 * epoch - 3, 4 * epoch + 1):
                model.at = step / 10
                events.step_end(model, step, {"batch_loss": step})
            events.epoch_end(model, epoch, 4 * epoch, {"loss": epoch})
        events.finish(model)
        assert events.cursor()["epoch"] == 3
        return [(s.epoch, s.step, s.metrics) for s in events.recorder.recording]

    assert moments(True) == moments(False)


def test_the_final_state_is_captured_where_the_last_epochs_capture_failed():
    events = TrainingEvents(Recorder(DOMAIN, background=True))
    events.start(Threshold())
    assert events.epoch_end(Threshold(fails=RuntimeError()), 1)
    with pytest.warns(CaptureWarning):
        events.finish(Threshold())
    assert events.recorder.recording.epochs.tolist() == [0, 1]
    assert [epoch for epoch, _ in events.recorder.failures] == [1]


def test_an_epoch_is_captured_where_its_last_steps_capture_failed():
    events = TrainingEvents(Recorder(DOMAIN, every=1, every_n_steps=2, background=True))
    events.start(Threshold(), 0, 0)
    events.step_end(Threshold(fails=RuntimeError()), 2)
    with pytest.warns(CaptureWarning):
        events.recorder.drain()
    events.epoch_end(Threshold(), 1, 2)
    events.finish(Threshold())
    assert events.recorder.recording.epochs.tolist() == [0, 1]


@pytest.mark.parametrize("ending", ["", "raise RuntimeError('the loop failed')"])
def test_the_interpreter_waits_for_what_was_handed_in(ending):
    code = (
        "import time, trainviz as tv\n"
        "class Slow:\n"
        "    def __init__(self, epoch): self.epoch = epoch\n"
        "    def __call__(self, X):\n"
        "        time.sleep(0.1)\n"
        "        print(self.epoch, flush=True)\n"
        "        return X[:, 0]\n"
        "    def frozen(self): return self\n"
        "domain = tv.Domain((0, 1), (0, 1), points_per_axis=3)\n"
        "recorder = tv.Recorder(domain, background=True, batch_size=9)\n"
        "for epoch in range(4): recorder.capture(Slow(epoch), epoch=epoch)\n" + ending
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert list(dict.fromkeys(done.stdout.split())) == ["0", "1", "2", "3"], done.stderr
    assert ("the loop failed" in done.stderr) == bool(ending)


def test_nothing_is_warned_of_where_nothing_fails():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder = Recorder(DOMAIN, background=True)
        train(Threshold(), recorder, range(5))
        recorder.drain()


def test_subscribers_are_told_on_the_thread_that_trains_and_in_order():
    recorder, told = Recorder(DOMAIN, background=True), []
    recorder.subscribe(lambda snapshot: told.append((snapshot.epoch, threading.current_thread())))
    for epoch in range(5):
        recorder.capture(Threshold(epoch / 5), epoch=epoch)
    recorder.drain()
    assert told == [(epoch, threading.main_thread()) for epoch in range(5)]
