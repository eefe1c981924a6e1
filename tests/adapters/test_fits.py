"""Fits of one recorder: where a recording starts, goes on and ends."""

import keras
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from sklearn.linear_model import SGDClassifier

from trainviz import (
    Domain,
    KerasRecorder,
    LightningRecorder,
    RecordingError,
    SklearnRecorder,
    TorchRecorder,
    animate,
    open_recording,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
DOMAIN = Domain((-2, 2), (-2, 2), points_per_axis=7)


class Module(pl.LightningModule):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.net = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        if getattr(self, "fails", False):
            raise RuntimeError("stopped")
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def lightning_fit(recorder, model):
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    pl.Trainer(
        max_epochs=3, callbacks=[recorder], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(model, torch.utils.data.DataLoader(data, batch_size=20))  # fmt: skip


def keras_model(seed):
    init = keras.initializers.GlorotUniform(seed)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2, None, True, init)])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True))
    return model


def keras_fit(recorder, model):
    model.fit(X, Y, epochs=3, verbose=0, shuffle=False, callbacks=[recorder])


CALLBACKS = {
    "lightning": (lambda **o: LightningRecorder(DOMAIN, **o), Module, lightning_fit),
    "keras": (lambda **o: KerasRecorder(DOMAIN, output="logits", **o), keras_model, keras_fit),
}


@pytest.fixture(params=CALLBACKS)
def framework(request):
    return CALLBACKS[request.param]


@pytest.mark.parametrize("options", [{}, {"background": True}, {"every_n_steps": 2}])
def test_another_model_starts_another_recording(framework, options):
    make, model, fit = framework
    recorder, alone = make(**options), []
    for seed in range(3):
        fit(recorder, model(seed))
        alone.append(make(**options))
        fit(alone[-1], model(seed))
    assert recorder.recording is recorder.recordings[-1]
    assert len(recorder.recordings) == 3
    for recording, one in zip(recorder.recordings, alone, strict=True):
        assert recording.epochs.tolist() == one.recording.epochs.tolist()
        assert recording.epochs[0] == 0
        for snapshot, other in zip(recording, one.recording, strict=True):
            np.testing.assert_array_equal(snapshot.probabilities, other.probabilities)


@pytest.mark.parametrize("options", [{}, {"background": True}])
def test_the_accuracy_in_each_group_is_recorded_and_training_is_not_disturbed(framework, options):
    make, model, fit = framework
    groups = {"train": (X[:30], Y[:30]), "test": (X[30:], Y[30:])}
    one, other = make(data=groups, **options), make(data=(X, Y), **options)
    fit(one, model(0))
    fit(other, model(0))
    assert len(one.recording) == 4
    for snapshot, alone in zip(one.recording, other.recording, strict=True):
        np.testing.assert_array_equal(snapshot.probabilities, alone.probabilities)
        right = alone.data_predictions == Y
        assert snapshot.metrics["train accuracy"] == right[:30].mean()
        assert snapshot.metrics["test accuracy"] == right[30:].mean()
        assert {*snapshot.metrics} - {*alone.metrics} == {"train accuracy", "test accuracy"}


def test_the_same_model_is_recorded_further(framework):
    make, model, fit = framework
    recorder, one = make(), model(0)
    fit(recorder, one)
    fit(recorder, one)
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2, 3, 4, 5, 6]]


def test_another_model_is_refused_where_a_path_holds_one_run(framework, tmp_path):
    make, model, fit = framework
    recorder = make(path=tmp_path / "a.zarr")
    fit(recorder, model(0))
    with pytest.raises(RecordingError, match="holds one run: make another recorder with another"):
        fit(recorder, model(1))
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]


def test_another_model_after_a_fit_that_failed_starts_another_recording():
    recorder, broken = LightningRecorder(DOMAIN), Module(0)
    broken.fails = True
    with pytest.raises(RuntimeError, match="stopped"):
        lightning_fit(recorder, broken)
    broken.fails = False
    lightning_fit(recorder, broken)
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2, 3]]
    broken.fails = True
    with pytest.raises(RuntimeError, match="stopped"):
        lightning_fit(recorder, broken)
    lightning_fit(recorder, Module(1))
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2, 3]] * 2


def test_subscribers_hear_of_every_run():
    heard, recorder = [], LightningRecorder(DOMAIN)
    recorder.recorder.subscribe(lambda snapshot: heard.append(snapshot.epoch))
    for seed in range(2):
        lightning_fit(recorder, Module(seed))
    assert heard == [0, 1, 2, 3] * 2


def test_a_loop_over_seeds_that_resets_its_model_has_a_recording_each():
    model = torch.nn.Linear(2, 2)
    recorder = TorchRecorder(model, DOMAIN)
    for _ in range(2):
        model.reset_parameters()
        with recorder:
            for epoch in range(3):
                with torch.no_grad():
                    model.weight += 0.1
                recorder.epoch_end(epoch)
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2, 3]] * 2


def test_a_loop_that_goes_on_with_its_model_has_one_recording():
    model = torch.nn.Linear(2, 2)
    recorder = TorchRecorder(model, DOMAIN)
    for _ in range(2):
        with recorder:
            for _ in range(2):
                with torch.no_grad():
                    model.weight += 0.1
                recorder.epoch_end()
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2, 3, 4]]


def test_a_scikit_learn_loop_over_folds_has_a_recording_each():
    model = SGDClassifier(loss="log_loss", random_state=0)
    recorder = SklearnRecorder(model, DOMAIN)
    for fold in range(2):
        model.fit(X[fold::2], Y[fold::2])
        with recorder:
            for epoch in range(2):
                model.partial_fit(X[fold::2], Y[fold::2])
                recorder.epoch_end(epoch)
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2]] * 2


def test_a_model_that_answers_differently_each_time_is_recorded_further():
    class Noisy(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.randn(len(x), 1)

    recorder = TorchRecorder(Noisy(2, 2), DOMAIN)
    for _ in range(2):
        with recorder:
            recorder.epoch_end()
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2]]


# The last snapshot shows the model that one ends up with, and says which weights these are.

GRID = DOMAIN.points().astype(np.float32)


def probabilities(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).T.reshape(2, *DOMAIN.shape)


def answer(module):
    with torch.no_grad():
        return probabilities(module(torch.tensor(GRID)).numpy())


def fit(recorder, before=(), after=(), epochs=5):
    module = Module(0)
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    pl.Trainer(
        max_epochs=epochs, callbacks=[*before, recorder, *after], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, torch.utils.data.DataLoader(data, batch_size=20))  # fmt: skip
    return module


@pytest.mark.parametrize("weights", ["raw", "averaged"])
@pytest.mark.parametrize("first", [True, False])
def test_stochastic_weight_averaging_ends_with_its_average(weights, first):
    recorder, swa = LightningRecorder(DOMAIN, weights=weights), StochasticWeightAveraging(0.05, 2)
    module = fit(recorder, *(([swa], []) if first else ([], [swa])))
    recording = recorder.recording
    np.testing.assert_allclose(recording[-1].probabilities, answer(module), atol=1e-5)
    other = weights == "raw"
    assert recording.ends_with_other_weights == other
    assert recording.epochs.tolist() == [0, 1, 2, 3, 4, 5, *[5] * other]


def test_pictures_say_that_they_show_the_final_weights():
    recorder = LightningRecorder(DOMAIN)
    fit(recorder, after=[StochasticWeightAveraging(0.05, 2)])
    figure = animate(recorder.recording, metrics=False).still()
    assert "epoch 5, final weights" in {text.get_text() for text in figure.findobj(
        lambda part: hasattr(part, "get_text"))}  # fmt: skip


def test_ordinary_training_has_one_last_snapshot():
    recorder = LightningRecorder(DOMAIN)
    fit(recorder)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    assert not recorder.recording.ends_with_other_weights


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    ("every", "epochs", "captured"),
    [
        (1, 9, [0, 1, 2, 3, 3]),
        (1, 2, [0, 1, 2, 2]),
        (2, 9, [0, 2, 3, 3]),
        (5, 9, [0, 3, 3]),
        (5, 2, [0, 2, 2]),
    ],
)
def test_the_best_weights_that_keras_restores_are_the_last_snapshot(
    is_first, background, every, epochs, captured, tmp_path
):
    model = keras_model(0)
    recorder = KerasRecorder(
        DOMAIN, output="logits", every=every, background=background, path=tmp_path / "a.zarr"
    )
    trained = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: trained.append(logits_of(model))
    )
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True)
    order = [recorder, stop] if is_first else [stop, recorder]
    fitted = model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[watch, *order])
    for recording in (recorder.recording, open_recording(tmp_path / "a.zarr")):
        assert recording.epochs.tolist() == captured
        assert recording.ends_with_other_weights
        for snapshot in list(recording)[1:-1]:
            expected = probabilities(trained[snapshot.epoch - 1])
            np.testing.assert_allclose(snapshot.probabilities, expected, atol=1e-3)
        np.testing.assert_allclose(
            recording[-1].probabilities, probabilities(logits_of(model)), atol=1e-3
        )
        np.testing.assert_array_equal(logits_of(model), trained[0])
        assert recording[-1].weights_epoch == (1 if every == 1 else None)
        told = "weights of epoch 1" if every == 1 else "final weights"
        figure = animate(recording, metrics=False).still()
        assert figure.axes[0].get_title(loc="right") == f"epoch {captured[-1]}, {told}"
    assert fitted.history["loss"] == model.history.history["loss"]


def logits_of(model):
    return np.asarray(keras.ops.convert_to_numpy(model(GRID, training=False)))


def test_keras_trained_further_after_restored_weights_takes_them_back():
    model, recorder = keras_model(0), KerasRecorder(DOMAIN, output="logits")
    for _ in range(2):
        stop = keras.callbacks.EarlyStopping("loss", mode="max", restore_best_weights=True)
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[recorder, stop])
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4, 4]
    assert recorder.recording[-1].weights_epoch == 3


def test_the_best_weights_that_a_loop_loads_are_the_last_snapshot():
    model = torch.nn.Linear(2, 2)
    with TorchRecorder(model, DOMAIN) as recorder:
        best = {name: value.clone() for name, value in model.state_dict().items()}
        for _ in range(3):
            with torch.no_grad():
                model.weight += 0.5 * torch.eye(2)
            recorder.epoch_end()
        model.load_state_dict(best)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 3]
    np.testing.assert_allclose(recorder.recording[-1].probabilities, answer(model), atol=1e-5)


def test_training_that_goes_on_takes_the_final_weights_back():
    model = torch.nn.Linear(2, 2)
    recorder = TorchRecorder(model, DOMAIN)
    for _ in range(2):
        with recorder:
            with torch.no_grad():
                model.weight += 0.5 * torch.eye(2)
            recorder.epoch_end()
            with torch.no_grad():
                model.weight += 0.5 * torch.eye(2)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 2]
