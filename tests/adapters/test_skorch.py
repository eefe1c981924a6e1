"""skorch: a callback in a real ``fit``, which scikit-learn can copy and set parameters of."""

import random
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LoadInitState

import trainviz as tv

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(center, 1, (20, 2)) for center in ((-1, 0), (1, 0), (0, 2))])
X = X.astype(np.float32)
Y = np.repeat([0, 1, 2], 20)
DOMAIN = tv.Domain((-3, 3), (-2, 4), shape=(7, 9))
GRID = DOMAIN.points().astype(np.float32)


class Module(torch.nn.Sequential):
    def __init__(self, n_outputs=3):
        super().__init__(
            torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3),
            torch.nn.Linear(8, n_outputs),
        )  # fmt: skip


def net(*callbacks, kind=NeuralNetClassifier, **options):
    chosen = {
        "criterion": torch.nn.CrossEntropyLoss, "max_epochs": 5, "lr": 0.1, "batch_size": 16,
        "iterator_train__shuffle": True, "verbose": 0, **options,
    }  # fmt: skip
    return kind(Module, callbacks=list(callbacks), **chosen)


def shown(model):
    return model.predict_proba(GRID).T.reshape(-1, 7, 9)


@pytest.mark.parametrize(
    "options", [{}, {"every_n_steps": 1}, {"evaluation": "dense"}], ids=["epochs", "steps", "dense"]
)
def test_training_is_bit_identical_with_and_without_the_recorder(options):
    found = []
    for callbacks in ([], [tv.SkorchRecorder(DOMAIN, data=(X, Y), **options)]):
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002
        model = net(*callbacks).fit(X, Y)
        streams = torch.rand(3).tolist(), random.random(), np.random.random()  # noqa: NPY002
        weights = [value.numpy() for value in model.module_.state_dict().values()]
        losses = model.history[:, ("train_loss", "valid_loss", "valid_acc")]
        found.append((weights, losses, streams))
    for before, after in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(before, after)
    assert found[0][1:] == found[1][1:]
    assert len(callbacks[0].recording) >= 6


def test_a_busy_thread_beside_the_fit_is_nothing_to_warn_of():
    # skorch makes a data loader for each answer, which draws a seed.
    end, counted = threading.Event(), []
    thread = threading.Thread(target=lambda: counted.extend(iter(lambda: end.wait(0.0005), True)))
    thread.start()
    try:
        rec = tv.SkorchRecorder(DOMAIN, every_n_steps=1)
        net(rec).fit(X, Y)  # A warning would fail this test.
    finally:
        end.set()
        thread.join()
    assert len(rec.recording) > 10
    assert len(counted) > 10


@pytest.mark.parametrize("predict", [None, lambda net, X: net.predict_proba(X)])
def test_a_generator_that_the_user_chose_for_validation_is_drawn_from_as_without_captures(predict):
    found = []
    for callbacks in ([], [tv.SkorchRecorder(DOMAIN, predict=predict)]):
        chosen = torch.Generator().manual_seed(3)
        model = net(*callbacks, iterator_valid__generator=chosen).fit(X, Y)
        assert model.get_params(deep=False)["iterator_valid__generator"] is chosen
        found.append(chosen.get_state().tolist())
    assert found[0] == found[1] != torch.Generator().manual_seed(3).get_state().tolist()
    assert len(callbacks[0].recording) == 6


def test_the_map_is_the_nets_own_answer_and_the_history_its_scores():
    rec = tv.SkorchRecorder(DOMAIN, every=3, data=(X, Y), class_names=["ash", "birch", "cedar"])
    late = EpochScoring("neg_log_loss", lower_is_better=False, name="late")
    model = net(rec, late).fit(X, Y)
    recording = rec.recording
    assert recording.epochs.tolist() == [0, 3, 5]
    np.testing.assert_allclose(recording[-1].probabilities, shown(model), atol=1e-6)
    assert (recording[-1].data_predictions == model.predict(X)).all()
    assert set(recording.metrics) == {"train_loss", "valid_loss", "valid_acc", "late"}
    for name in recording.metrics:
        wanted = list(model.history[:, name])
        assert recording.history.metrics[name][1:].tolist() == wanted
        assert recording.metrics[name][1:].tolist() == [wanted[2], wanted[4]]


def test_the_answer_of_each_kind_of_net_is_its_predict_proba():
    labels = (Y > 0).astype(np.float32)
    rec = tv.SkorchRecorder(DOMAIN)
    model = net(rec, kind=NeuralNetBinaryClassifier, module__n_outputs=1,
                criterion=torch.nn.BCEWithLogitsLoss).fit(X, labels)  # fmt: skip
    np.testing.assert_allclose(rec.recording[-1].probabilities, shown(model), atol=1e-6)

    target = X[:, :1] * 2
    rec = tv.SkorchRecorder(DOMAIN, output="values", data=(X, target[:, 0]))
    model = net(rec, kind=NeuralNetRegressor, module__n_outputs=1, lr=0.01,
                criterion=torch.nn.MSELoss).fit(X, target)  # fmt: skip
    np.testing.assert_allclose(rec.recording[-1].probabilities, shown(model), rtol=1e-4, atol=1e-5)

    rec = tv.SkorchRecorder(DOMAIN, output="logits", predict=lambda net, X: net.forward(X))
    model = net(rec).fit(X, Y)
    np.testing.assert_allclose(rec.recording[-1].probabilities, shown(model), atol=1e-6)


def test_steps_are_captured_within_epochs():
    rec = tv.SkorchRecorder(DOMAIN, every_n_steps=2)
    model = net(rec, max_epochs=2).fit(X, Y)
    assert rec.recording.steps.tolist() == [0, 2, 4, 6]
    assert rec.recording.epochs.tolist() == [0, 0, 1, 2]
    model.partial_fit(X, Y)
    assert rec.recording.steps.tolist() == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("first", ["recorder", "stopping"])
def test_the_last_epoch_is_captured_and_then_the_best_weights(first):
    rec, flat = tv.SkorchRecorder(DOMAIN, every=1), Y[RNG.permutation(60)]
    callbacks = [rec, EarlyStopping(patience=3, load_best=True)]
    torch.manual_seed(0)
    model = net(*callbacks[:: 1 if first == "recorder" else -1], max_epochs=40, lr=0.5)
    model.fit(X, flat)
    last = len(model.history)
    best = max(row["epoch"] for row in model.history if row["valid_loss_best"])
    assert best == last - 3 < 37
    assert rec.recording.epochs.tolist() == [*range(last + 1), last]
    assert rec.recording[-1].weights_epoch == best
    np.testing.assert_allclose(rec.recording[-1].probabilities, shown(model), atol=1e-6)
    assert np.abs(rec.recording[-2].probabilities - shown(model)).max() > 1e-3
    assert rec.recording.history.epochs.tolist()[-1] == last
    assert "trainviz_end" not in dict(model.callbacks_)


def test_an_epoch_that_is_interrupted_does_not_count():
    class Interrupt(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            if len(net.history) == 3 and not training:
                raise KeyboardInterrupt

    rec = tv.SkorchRecorder(DOMAIN)
    net(rec, Interrupt()).fit(X, Y)
    assert rec.recording.epochs.tolist()[:3] == [0, 1, 2]
    assert len(rec.recording.history) == 3


def test_partial_fit_goes_on_counting_and_another_fit_is_another_recording():
    rec = tv.SkorchRecorder(DOMAIN, every=2)
    model = net(rec, max_epochs=3).fit(X, Y)
    assert rec.recording.epochs.tolist() == [0, 2, 3]
    model.partial_fit(X, Y)
    assert rec.recording.epochs.tolist() == [0, 2, 3, 4, 6]
    model.fit(X, Y)
    assert [each.epochs.tolist() for each in rec.recordings] == [[0, 2, 3, 4, 6], [0, 2, 3]]


def test_a_recording_on_disk_is_continued_after_a_checkpoint(tmp_path):
    path, saved = tmp_path / "run.zarr", Checkpoint(dirname=tmp_path / "saved", monitor=None)
    rec = tv.SkorchRecorder(DOMAIN, every=2, path=path)
    net(rec, saved, max_epochs=3).fit(X, Y)
    rec.recorder.close()
    again = tv.SkorchRecorder(DOMAIN, every=2, path=path, resume=True)
    model = net(again, LoadInitState(Checkpoint(dirname=tmp_path / "saved", monitor=None)),
                max_epochs=3).fit(X, Y)  # fmt: skip
    assert len(model.history) == 6
    recording = tv.open_recording(path)
    assert recording.epochs.tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(recording[-1].probabilities, shown(model), atol=1e-3)


def test_scikit_learn_copies_it_and_sets_its_parameters():
    rec = tv.SkorchRecorder(DOMAIN, every=2, data=(X, Y))
    assert rec.get_params()["domain"] is DOMAIN
    model = net(rec).set_params(callbacks__SkorchRecorder__every=4).fit(X, Y)
    assert rec.recording.epochs.tolist() == [0, 4, 5]
    copied = clone(model)
    copied.set_params(callbacks__SkorchRecorder__every=5).fit(X, Y)
    other = dict(copied.callbacks_)["SkorchRecorder"]
    assert other is not rec
    assert other.recording.epochs.tolist() == [0, 5]
    assert rec.recording.epochs.tolist() == [0, 4, 5]

    search = GridSearchCV(net(rec, max_epochs=2), {"lr": [0.1, 0.2]}, cv=2).fit(X, Y)
    best = dict(search.best_estimator_.callbacks_)["SkorchRecorder"].recording
    assert best.epochs.tolist() == [0, 2]
    np.testing.assert_allclose(best[-1].probabilities, shown(search), atol=1e-6)
    assert rec.recording.epochs.tolist() == [0, 4, 5]


def test_a_recorder_that_is_given_twice_records_once():
    rec = tv.SkorchRecorder(DOMAIN, every_n_steps=2)
    net(("one", rec), ("other", rec), max_epochs=2).fit(X, Y)
    assert rec.recording.steps.tolist() == [0, 2, 4, 6]


def test_a_capture_in_the_background_is_made_at_once_with_one_warning():
    rec = tv.SkorchRecorder(DOMAIN, background=True)
    with pytest.warns(tv.CaptureWarning, match="only ask the net that is being trained") as told:
        net(rec, max_epochs=3).fit(X, Y)
    assert len(told) == 1
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_names": ["ash", "birch"]}, ValueError, "class_names"),
        ({"every": 0}, ValueError, "every=0"),
        ({"predict": 3}, TypeError, "predict=3: expected a callable"),
        ({"output": "logit"}, ValueError, "output='logit'"),
    ],
)
def test_mistakes_are_told_before_the_first_step(options, error, message):
    model = net(tv.SkorchRecorder(DOMAIN, **options))
    with pytest.raises(error, match=message):
        model.fit(X, Y)
    assert not getattr(model, "history_", None) or "train_loss" not in model.history[0]


def test_an_unknown_option_is_told_by_the_constructor():
    with pytest.raises(TypeError, match="unexpected keyword argument 'evry'"):
        tv.SkorchRecorder(DOMAIN, evry=3)
