import math
from contextlib import contextmanager

import pytest

from trainviz import CaptureWarning, Domain, EvaluationError, PredictionError, Recorder
from trainviz.capture.training_events import TrainingEvents

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))


def right(X):
    return X[:, 0] > 0


def broken(X):
    raise RuntimeError


def train(events, first, last, steps_per_epoch=None):
    """Report the epochs first to last as done, as a loop does."""
    for epoch in range(first, last + 1):
        for step in range((steps_per_epoch or 0) * (epoch - 1), (steps_per_epoch or 0) * epoch):
            events.step_end(right, step + 1)
        events.epoch_end(right, epoch, steps_per_epoch and steps_per_epoch * epoch)


def fit(events, epochs, steps_per_epoch=None, start=0):
    events.start(right, start, steps_per_epoch and steps_per_epoch * start)
    train(events, start + 1, epochs, steps_per_epoch)
    events.finish(right)


def fitted(epochs, steps_per_epoch=None, **options):
    events = TrainingEvents(Recorder(DOMAIN, **options))
    fit(events, epochs, steps_per_epoch)
    return events


def moments(events):
    recording = events.recorder.recording
    return [(snapshot.epoch, snapshot.step) for snapshot in recording]


def test_initial_and_final_state_frame_the_schedule():
    assert fitted(7, every=3).recorder.recording.epochs.tolist() == [0, 3, 6, 7]
    assert fitted(6, every=3).recorder.recording.epochs.tolist() == [0, 3, 6]
    bare = fitted(7, every=3, initial=False, final=False)
    assert bare.recorder.recording.epochs.tolist() == [3, 6]


def test_a_capture_prepares_the_model_once():
    class Prepared:
        sessions = 0

        @contextmanager
        def session(self):
            self.sessions += 1
            yield

        def __call__(self, X):
            return X[:, 0] > 0

    model, events = Prepared(), TrainingEvents(Recorder(DOMAIN))
    events.start(model)
    for epoch in range(1, 4):
        before = model.sessions
        events.epoch_end(model, epoch)
        assert model.sessions == before + 1


def test_steps_and_epochs_never_record_a_state_twice():
    events = fitted(2, 4, every=1, every_n_steps=2)
    assert moments(events) == [(0, 0), (0, 2), (1, 4), (1, 6), (2, 8)]


def test_the_last_step_stands_for_the_final_state():
    events = fitted(2, 4, every_n_steps=4)
    assert moments(events) == [(0, 0), (0, 4), (2, 8)]


def test_a_second_fit_goes_on_counting():
    events = fitted(3, 2, every=1)
    fit(events, 2, 2)
    assert moments(events) == [(0, 0), (1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]


def test_a_second_fit_that_counts_on_by_itself_does_too():
    events = fitted(3, every=1)
    fit(events, 5, start=3)
    assert events.recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    assert events.state.epoch == 5


def test_a_second_fit_that_counts_epochs_on_and_steps_anew():
    events = fitted(2, 5, every=1)
    events.start(right, 2, 0)
    events.epoch_end(right, 3, 5)
    assert moments(events) == [(0, 0), (1, 5), (2, 10), (3, 15)]


def test_a_mistake_shows_before_training_even_where_nothing_is_due():
    events = TrainingEvents(Recorder(DOMAIN, every=100, initial=False))
    with pytest.raises(EvaluationError):
        events.start(broken)
    with pytest.raises(PredictionError):
        events.start(lambda X: 7 * X[:, 0])


def test_the_final_state_is_captured_where_the_last_epochs_capture_failed():
    events = TrainingEvents(Recorder(DOMAIN, every=1))
    events.start(right)
    with pytest.warns(CaptureWarning):
        assert not events.epoch_end(broken, 1)
    events.finish(right)
    assert events.recorder.recording.epochs.tolist() == [0, 1]


def test_metrics_stay_with_their_epoch():
    events = TrainingEvents(Recorder(DOMAIN, every=1, every_n_steps=2))
    events.start(right)
    events.step_end(right, 2, {"batch_loss": 2})
    assert events.epoch_end(right, 1, 2, {"loss": 1})
    assert events.recorder.recording[-1].metrics == {"batch_loss": 2, "loss": 1}


def test_a_cursor_is_empty_before_any_capture():
    events = TrainingEvents(Recorder(DOMAIN))
    assert events.cursor() == {}
    events.resume({})
    events.start(right)
    assert moments(events) == [(0, None)]


def test_resuming_from_a_checkpoint_forgets_what_came_after_it():
    events = TrainingEvents(Recorder(DOMAIN, every=1))
    events.start(right, 0, 0)
    train(events, 1, 2, 5)
    cursor = events.cursor()
    train(events, 3, 4, 5)
    events.resume(cursor)
    assert len(events.recorder.recording) == 5  # nothing is forgotten before training goes on
    fit(events, 3, 5, start=2)
    assert moments(events) == [(0, 0), (1, 5), (2, 10), (3, 15)]


def test_resuming_in_the_middle_of_an_epoch_forgets_the_later_steps():
    events = TrainingEvents(Recorder(DOMAIN, every_n_steps=10))
    events.start(right, 0, 0)
    for step in range(1, 16):
        events.step_end(right, step)
    cursor = events.cursor()
    for step in range(16, 31):
        events.step_end(right, step)
    events.resume(cursor)
    events.start(right, 0, 15)
    assert [step for _, step in moments(events)] == [0, 10]
    for step in range(16, 26):
        events.step_end(right, step)
    assert [step for _, step in moments(events)] == [0, 10, 20]


def test_resuming_in_a_new_process_starts_with_the_checkpoints_state():
    cursor = fitted(3, every=1).cursor()
    events = TrainingEvents(Recorder(DOMAIN, every=1))
    events.resume(cursor)
    fit(events, 5, start=3)
    assert events.recorder.recording.epochs.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("options", "moments_of_a_whole_run"),
    [
        ({"every": 4}, [(0, 0), (4, 8), (6, 12)]),
        ({"every": 3}, [(0, 0), (3, 6), (6, 12)]),
        ({"every_n_steps": 5}, [(0, 0), (2, 5), (4, 10), (6, 12)]),
        ({"every_n_steps": 6}, [(0, 0), (2, 6), (6, 12)]),
    ],
)
@pytest.mark.parametrize("end", [1, 3, 5])
def test_resuming_past_the_end_of_a_run_leaves_no_trace_of_it(options, moments_of_a_whole_run, end):
    events = fitted(end, 2, **options)
    assert moments(events)[-1] == (end, 2 * end)
    events.resume(events.cursor())
    fit(events, 6, 2, start=end)
    assert moments(events) == moments_of_a_whole_run == moments(fitted(6, 2, **options))


def test_a_metric_of_the_end_goes_with_it():
    events = TrainingEvents(Recorder(DOMAIN, every_n_steps=2))
    events.start(right, 0, 0)
    events.step_end(right, 2, {"batch_loss": 2})
    events.epoch_end(right, 1, 2, {"loss": 1})
    events.finish(right)
    assert events.recorder.recording[-1].metrics == {"batch_loss": 2, "loss": 1}
    events.resume(events.cursor())
    events.start(right, 1, 2)
    last = events.recorder.recording[-1]
    assert (last.epoch, last.step, last.metrics["batch_loss"]) == (0, 2, 2)
    assert math.isnan(last.metrics["loss"])


def test_an_end_that_is_due_by_a_new_schedule_stays(tmp_path):
    recorder = Recorder(DOMAIN, every=5, path=tmp_path / "a.zarr")
    fit(TrainingEvents(recorder), 8)
    events = TrainingEvents(Recorder(DOMAIN, every=4, path=tmp_path / "a.zarr", resume=True))
    fit(events, 12, start=8)
    assert events.recorder.recording.epochs.tolist() == [0, 5, 8, 12]


def test_a_fit_that_failed_goes_back_to_its_backup():
    events = TrainingEvents(Recorder(DOMAIN))
    events.start(right)
    train(events, 1, 4)
    events.interrupt()
    fit(events, 6, start=2)
    assert events.recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_fit_that_failed_and_begins_at_zero_again_is_a_second_fit():
    events = TrainingEvents(Recorder(DOMAIN))
    events.start(right)
    train(events, 1, 2)
    events.interrupt()
    fit(events, 2)
    assert events.recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4]


def test_nothing_trained_is_no_end():
    events = TrainingEvents(Recorder(DOMAIN))
    events.finish(right)
    assert len(events.recorder.recording) == 0


def test_resuming_a_second_fit_keeps_its_epochs():
    events = fitted(3, every=1)
    events.start(right, 0)
    train(events, 1, 2)
    cursor = events.cursor()
    resumed = TrainingEvents(Recorder(DOMAIN, every=1))
    resumed.resume(cursor)
    fit(resumed, 4, start=2)
    assert resumed.recorder.recording.epochs.tolist() == [5, 6, 7]
