import pickle
import random
import warnings

import numpy as np
import pytest

from trainviz import (
    CaptureWarning,
    Domain,
    EvaluationError,
    PredictionError,
    Recorder,
    RecordingError,
    Schedule,
)

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))
DATA = ([[-1, 0], [1, 0], [1, 1]], [0, 1, 0])


def right(X):
    return (X[:, 0] > 0).astype(float)


def broken(X):
    raise RuntimeError("out of memory")


def test_captures_follow_the_schedule():
    recorder = Recorder(DOMAIN, every=5)
    answers = [recorder.capture(right, epoch=epoch) for epoch in range(12)]
    assert [epoch for epoch, snapshot in enumerate(answers) if snapshot] == [0, 5, 10]
    assert recorder.recording.epochs.tolist() == [0, 5, 10]
    assert answers[5].evaluations == DOMAIN.n_points


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"at": [2, 4]}, [0, 2, 4]),
        ({"schedule": "geometric"}, [0, 1, 2, 3, 4]),
        ({"schedule": Schedule(every=3, initial=False)}, [3]),
        ({"every": 2, "initial": False}, [2, 4]),
    ],
)
def test_schedules_in_every_form(options, epochs):
    recorder = Recorder(DOMAIN, **options)
    for epoch in range(5):
        recorder.capture(right, epoch=epoch)
    assert recorder.recording.epochs.tolist() == epochs


@pytest.mark.parametrize(
    ("options", "stride", "steps"),
    [
        ({"every_n_steps": 5}, 1, [0, 5, 10, 15, 20, 25]),
        ({"every_n_steps": 5}, 3, [0, 6, 12, 15, 21]),
        ({"every_n_steps": 7, "every": 1}, 1, [0, 7, 10, 14, 20, 21]),
        ({"every_n_steps": 5, "initial": False}, 1, [5, 10, 15, 20, 25]),
        ({"schedule": Schedule.geometric(2, unit="step")}, 1, [0, 1, 2, 4, 8, 16]),
        ({"at": [1]}, 10, [0, 10]),
    ],
)
def test_steps_follow_the_schedule_too(options, stride, steps):
    recorder = Recorder(DOMAIN, **options)
    for step in range(0, 26, stride):
        recorder.capture(right, epoch=step // 10, step=step)
    assert recorder.recording.steps.tolist() == steps


def test_a_failed_capture_waits_for_the_next_due_step():
    recorder = Recorder(DOMAIN, every_n_steps=5)
    for step in range(5):
        recorder.capture(right, epoch=0, step=step)
    with pytest.warns(CaptureWarning):
        recorder.capture(broken, epoch=0, step=5)
    for step in range(6, 11):
        recorder.capture(right, epoch=0, step=step)
    assert recorder.recording.steps.tolist() == [0, 10]


def test_after_a_rewind_steps_are_due_again():
    recorder = Recorder(DOMAIN, every_n_steps=5)
    for step in (*range(21), *range(8, 21)):
        if step == 8:
            recorder.rewind(0, step=7)
        recorder.capture(right, epoch=0, step=step)
    assert recorder.recording.steps.tolist() == [0, 5, 10, 15, 20]


def test_force_captures_whatever_the_schedule_says():
    recorder = Recorder(DOMAIN, every=5)
    assert recorder.capture(right, epoch=3, force=True).epoch == 3


def test_a_step_is_captured_once():
    recorder = Recorder(DOMAIN)
    assert recorder.capture(right, epoch=1, step=10) is not None
    assert recorder.capture(right, epoch=1, step=10) is None
    assert len(recorder.recording) == 1


def test_metrics_are_single_numbers():
    metrics = {"loss": np.float32(0.5), "acc": np.array([0.25]), "n": 3, "grid": [1, 2], "s": "x"}
    snapshot = Recorder(DOMAIN).capture(right, epoch=0, metrics=metrics)
    assert snapshot.metrics == {"loss": 0.5, "acc": 0.25, "n": 3.0}
    assert {type(value) for value in snapshot.metrics.values()} == {float}


@pytest.mark.parametrize("batch_size", ["auto", 2])
def test_data_are_predicted_at_every_capture(batch_size):
    snapshot = Recorder(DOMAIN, data=DATA, batch_size=batch_size).capture(right, epoch=0)
    assert snapshot.data_predictions.tolist() == [0, 1, 1]


POINTS = [[-0.5, 0], [0.5, 0]]
GROUPS = {
    "train": ([[-0.5, 0], [0.5, 0]], ["no", "yes"]), "test": ([[0.9, 0], [0.1, 0]], ["no", "yes"]),
}  # fmt: skip


def test_the_accuracy_in_each_group_is_a_metric():
    recorder = Recorder(DOMAIN, data=GROUPS, class_names=["no", "yes"])
    for epoch, limit in enumerate((0.3, 0.0)):
        recorder.capture(lambda X, limit=limit: X[:, 0] > limit, epoch=epoch, metrics={"loss": 1})
    assert list(recorder.recording.metrics) == ["loss", "train accuracy", "test accuracy"]
    assert recorder.recording.metrics["train accuracy"].tolist() == [1, 1]
    assert recorder.recording.metrics["test accuracy"].tolist() == [0, 0.5]


def test_a_metric_of_the_users_is_not_replaced():
    recorder = Recorder(DOMAIN, data=GROUPS, class_names=["no", "yes"])
    snapshot = recorder.capture(lambda X: X[:, 0] > 0, epoch=0, metrics={"train accuracy": 0.25})
    assert snapshot.metrics == {"train accuracy": 0.25, "test accuracy": 0.5}


def test_maps_computed_elsewhere_have_accuracies_too():
    recorder = Recorder(DOMAIN, data=GROUPS, class_names=["no", "yes"])
    half = np.full((2, *DOMAIN.shape), 0.5)
    recorder.append(half, epoch=0, data_predictions=[0, 1, 0, 0])
    recorder.append(half, epoch=1)
    assert recorder.recording[0].metrics == {"train accuracy": 1, "test accuracy": 0.5}
    assert recorder.recording[1].metrics == {}


@pytest.mark.parametrize("output", ["values", "multilabel"])
def test_what_is_no_class_has_no_accuracy(output):
    y = [0.5, 1.5] if output == "values" else [[0, 1], [1, 1]]
    recorder = Recorder(DOMAIN, data={"train": (POINTS, y), "test": (POINTS, y)}, output=output)
    columns = 1 if output == "values" else 2
    recorder.capture(lambda X: np.full((len(X), columns), 0.5), epoch=0)
    assert recorder.recording.metrics == {}
    assert recorder.recording.data.group_names == ("train", "test")


def test_a_group_with_a_label_that_the_model_does_not_know_is_refused_at_once():
    recorder = Recorder(DOMAIN, data={"train": (POINTS, [0, 1]), "test": (POINTS, [1, 2])})
    with pytest.raises(
        ValueError, match=r"data\['test'\]: y holds the labels 2, and the model has"
    ):
        recorder.check(lambda X: X[:, 0] > 0)


def test_probabilities_declared_as_logits_are_told_of_once():
    def predict(X):
        odds = 1 / (1 + np.exp(-X[:, 0]))
        return np.stack([1 - odds, odds], axis=1)

    recorder = Recorder(DOMAIN, output="logits")
    with pytest.warns(CaptureWarning, match='sum to 1 .* say output="probabilities"'):
        recorder.capture(predict, epoch=0)
    recorder.capture(predict, epoch=1)
    # Logits that happen not to be negative are no probabilities.
    Recorder(DOMAIN, output="logits").capture(lambda X: np.abs(X), epoch=0)


def test_the_hosts_random_streams_are_not_disturbed():
    def noisy(X):
        random.random()
        return right(X) * np.random.uniform(0.9, 1, len(X))  # noqa: NPY002

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    recorder = Recorder(DOMAIN, data=DATA)
    recorder.check(noisy)
    recorder.capture(noisy, epoch=0)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_the_first_capture_always_raises():
    recorder = Recorder(DOMAIN)
    with pytest.raises(EvaluationError, match="RuntimeError: out of memory"):
        recorder.capture(broken, epoch=0)
    assert len(recorder.recording) == 0


def test_later_failures_warn_once_and_are_skipped():
    recorder = Recorder(DOMAIN)
    recorder.capture(right, epoch=0)
    with pytest.warns(
        CaptureWarning, match="epoch 1 failed and was skipped.*out of memory"
    ) as told:
        assert recorder.capture(broken, epoch=1) is None
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.capture(broken, epoch=2)
        recorder.capture(lambda X: np.full((len(X), 2), np.nan), epoch=3)
        recorder.capture(right, epoch=4)
    assert recorder.recording.epochs.tolist() == [0, 4]
    assert [epoch for epoch, _ in recorder.failures] == [1, 2, 3]
    assert "NaN" in recorder.failures[-1][1]


def test_on_error_raise_raises():
    recorder = Recorder(DOMAIN, on_error="raise")
    recorder.capture(right, epoch=0)
    with pytest.raises(EvaluationError):
        recorder.capture(broken, epoch=1)


def test_an_interrupt_is_no_failure():
    def interrupted(X):
        raise KeyboardInterrupt

    recorder = Recorder(DOMAIN)
    recorder.capture(right, epoch=0)
    with pytest.raises(KeyboardInterrupt):
        recorder.capture(interrupted, epoch=1)


def test_epochs_and_steps_may_not_go_backwards():
    recorder = Recorder(DOMAIN)
    recorder.capture(right, epoch=5, step=50)
    with pytest.raises(ValueError, match=r"epoch=4 comes after epoch 5 .* make another recorder"):
        recorder.capture(right, epoch=4)
    with pytest.raises(ValueError, match="step=49 comes after step 50"):
        recorder.capture(right, epoch=6, step=49)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epoch": -1}, ValueError, "epoch=-1: expected 0"),
        ({"epoch": 1.5}, TypeError, r"epoch=1\.5: expected a whole number"),
        ({"epoch": None}, TypeError, "epoch=None: expected a whole number"),
        ({"epoch": 1, "step": True}, TypeError, "step=True: expected a whole number"),
        ({"epoch": 1, "step": -2}, ValueError, "step=-2"),
        ({"epoch": 2**63}, ValueError, r"below 2\*\*63"),
        ({"epoch": 1, "step": 2**70}, ValueError, r"step=.* below 2\*\*63"),
    ],
)
def test_epochs_that_are_none(arguments, error, message):
    with pytest.raises(error, match=message):
        Recorder(DOMAIN).capture(right, **arguments)


def test_the_number_of_classes_is_fixed():
    recorder = Recorder(DOMAIN, on_error="raise")
    recorder.capture(right, epoch=0)
    with pytest.raises(PredictionError, match="3 classes, after 2 before"):
        recorder.capture(lambda X: np.full((len(X), 3), 1 / 3), epoch=1)


def test_class_names_must_fit_the_model():
    with pytest.raises(PredictionError, match=r"class_names has 3 names, but .* 2 classes"):
        Recorder(DOMAIN, class_names=["a", "b", "c"]).capture(right, epoch=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every": 0}, ValueError, "every=0"),
        ({"on_error": "ignore"}, ValueError, "on_error='ignore': expected 'warn' or 'raise'"),
        ({"output": "scores"}, ValueError, "output='scores'"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"class_names": "abc"}, TypeError, "class_names='abc': expected a list"),
        ({"class_names": 3}, TypeError, "class_names=3: expected a list of names"),
        ({"class_names": {"b", "a"}}, TypeError, "class_names=.*: expected a list of names"),
        ({"classes": "ab"}, TypeError, "classes='ab': expected a list of labels"),
        ({"background": "yes"}, TypeError, "background='yes': expected True or False"),
        ({"durable": 1}, TypeError, "durable=1: expected True or False"),
        ({"data": ([[0, 0, 0]], [1])}, ValueError, r"X has the shape \(1, 3\)"),
        ({"schedule": Schedule(), "every": 2}, TypeError, "either schedule= or every="),
    ],
)
def test_arguments_are_checked_when_the_recorder_is_made(options, error, message):
    with pytest.raises(error, match=message):
        Recorder(DOMAIN, **options)


def test_domain_must_be_one():
    with pytest.raises(TypeError, match=r"domain=.*expected a trainviz\.Domain"):
        Recorder(((-1, 1), (-1, 1)))


def test_check_finds_mistakes_without_recording_anything():
    recorder = Recorder(DOMAIN)
    with pytest.raises(PredictionError, match='output="logits"'):
        recorder.check(lambda X: 9 * X[:, 0])
    recorder.check(right)
    assert len(recorder.recording) == 0
    recorder.check(broken)  # a check that has passed is not repeated


def test_append_takes_maps_that_were_computed_elsewhere():
    recorder = Recorder(DOMAIN, data=DATA)
    source = np.full((2, 3, 4), 0.5)
    snapshot = recorder.append(source, epoch=3, metrics={"loss": 1}, data_predictions=[0, 1, 1])
    source[:] = 0
    assert (snapshot.probabilities == 0.5).all()
    assert snapshot.data_predictions.tolist() == [0, 1, 1]
    assert recorder.recording.at(3) is snapshot


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full((2, 4, 3), 0.5), r"shape \(2, 4, 3\); expected \(C, H, W\)"),
        (np.full((1, 3, 4), 1.0), "at least 2 planes"),
        (np.full((2, 3, 4), 0.7), "sum to 1"),
        (np.full((2, 3, 4), np.nan), "must be finite"),
        (np.stack([np.full((3, 4), -1.0), np.full((3, 4), 2.0)]), "not negative"),
    ],
)
def test_append_refuses_maps_that_are_none(probabilities, message):
    with pytest.raises(PredictionError, match=message):
        Recorder(DOMAIN).append(probabilities, epoch=0)


def test_append_refuses_predictions_of_other_data():
    recorder = Recorder(DOMAIN, data=DATA)
    with pytest.raises(ValueError, match=r"data_predictions .*\(2,\).*3"):
        recorder.append(np.full((2, 3, 4), 0.5), epoch=0, data_predictions=[0, 1])
    with pytest.raises(ValueError, match=r"data_predictions .*data="):
        Recorder(DOMAIN).append(np.full((2, 3, 4), 0.5), epoch=0, data_predictions=[0])


def test_amend_adds_metrics_to_the_last_snapshot():
    recorder = Recorder(DOMAIN)
    recorder.amend({"loss": 1})  # nothing is there yet
    recorder.capture(right, epoch=0, metrics={"loss": 1})
    recorder.amend({"val_loss": np.float64(2)})
    assert recorder.recording[0].metrics == {"loss": 1.0, "val_loss": 2.0}


def test_relabel_lets_a_snapshot_stand_for_a_later_epoch():
    recorder = Recorder(DOMAIN)
    before = recorder.capture(right, epoch=1, step=10, metrics={"loss": 1})
    recorder.relabel(2, {"accuracy": 0.5})
    after = recorder.recording[-1]
    assert (len(recorder.recording), after.epoch, after.step) == (1, 2, 10)
    assert after.metrics == {"loss": 1.0, "accuracy": 0.5}
    assert after.probabilities is before.probabilities


def test_relabel_needs_a_snapshot():
    with pytest.raises(RecordingError, match="the recording is empty"):
        Recorder(DOMAIN).relabel(2, {})


def test_rewind_forgets_what_came_later():
    recorder = Recorder(DOMAIN)
    for epoch in range(4):
        recorder.capture(right, epoch=epoch, step=10 * epoch)
    recorder.rewind(2)
    assert recorder.recording.epochs.tolist() == [0, 1, 2]
    recorder.rewind(2, step=15)
    assert recorder.recording.epochs.tolist() == [0, 1]
    recorder.capture(right, epoch=2, step=20)


def test_learned_classes_are_used_unless_some_were_given():
    data = ([[0, 0], [1, 1]], ["b", "a"])
    recorder = Recorder(DOMAIN, data=data)
    recorder.learn_classes(["c", "b"])
    with pytest.raises(ValueError, match=r"among them every label of y \('a', 'b'\)"):
        recorder.capture(right, epoch=0)
    recorder = Recorder(DOMAIN, data=data, classes=["b", "a"])
    recorder.learn_classes(["a", "b"])
    recorder.capture(right, epoch=0)
    assert recorder.recording.data_labels.tolist() == [0, 1]
    assert recorder.recording.class_names == ["b", "a"]


def test_subscribers_are_told_of_each_snapshot_once_it_is_kept():
    recorder, told = Recorder(DOMAIN, every=2), []
    recorder.subscribe(lambda snapshot: told.append((snapshot, len(recorder.recording))))
    taken = [recorder.capture(right, epoch=epoch) for epoch in range(4)]
    taken.append(recorder.append(recorder.recording[0].probabilities, epoch=5))
    kept = [snapshot for snapshot in taken if snapshot is not None]
    assert [snapshot for snapshot, _ in told] == kept
    assert [length for _, length in told] == [1, 2, 3]


def test_who_unsubscribes_is_told_no_more():
    recorder, told = Recorder(DOMAIN), []
    ends = [recorder.subscribe(told.append) for _ in range(2)]
    recorder.capture(right, epoch=0)
    ends[0]()
    ends[0]()
    recorder.capture(right, epoch=1)
    assert [snapshot.epoch for snapshot in told] == [0, 0, 1]


def test_a_subscriber_that_fails_ends_no_training():
    recorder, told = Recorder(DOMAIN), []
    recorder.subscribe(broken)
    recorder.subscribe(told.append)
    with pytest.warns(CaptureWarning, match="telling a subscriber of epoch 0 failed"):
        assert recorder.capture(right, epoch=0) is not None
    for epoch in (1, 2):
        # A second warning would be an error.
        assert recorder.capture(right, epoch=epoch) is not None
    assert [epoch for epoch, _ in recorder.failures] == [0, 1, 2]
    assert len(recorder.recording) == len(told) == 3


def test_a_subscriber_that_fails_raises_where_errors_are_to_be_raised():
    recorder = Recorder(DOMAIN, on_error="raise")
    recorder.subscribe(broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        recorder.capture(right, epoch=0)
    assert len(recorder.recording) == 1


def test_a_subscriber_leaves_the_random_streams_alone():
    recorder = Recorder(DOMAIN)
    recorder.subscribe(lambda snapshot: (random.random(), np.random.random()))  # noqa: NPY002
    before = random.getstate()
    recorder.capture(right, epoch=0)
    assert random.getstate() == before


def test_what_cannot_be_called_cannot_subscribe():
    with pytest.raises(TypeError, match="callback=3: expected a function"):
        Recorder(DOMAIN).subscribe(3)


def test_a_copy_of_a_recorder_has_no_subscribers():
    recorder, told = Recorder(DOMAIN), []
    recorder.subscribe(told.append)
    pickle.loads(pickle.dumps(recorder)).capture(right, epoch=0)
    assert told == []


def test_a_subscriber_is_told_when_the_recorder_is_closed():
    recorder, told = Recorder(DOMAIN), []
    unsubscribe = recorder.subscribe(lambda snapshot: None, closed=lambda: told.append("closed"))
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    assert told == []
    recorder.close()
    assert told == ["closed"]
    unsubscribe()
    recorder.close()
    assert told == ["closed"]


def test_a_subscriber_that_fails_at_the_end_does_not_end_the_training():
    recorder = Recorder(DOMAIN)
    recorder.subscribe(lambda snapshot: None, closed=lambda: 1 / 0)
    with pytest.warns(CaptureWarning, match="telling a subscriber of the end of epoch 0"):
        recorder.close()
