"""The accuracy that a recording shows is the model's own, whatever the labels look like."""

import warnings

import keras
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from trainviz import (
    CaptureWarning,
    Domain,
    EvaluationError,
    KerasRecorder,
    LightningRecorder,
    SklearnRecorder,
    TorchRecorder,
)

RNG = np.random.default_rng(3)
CENTERS = np.array([[-2, 0], [2, 0], [0, 2.5]])
Y = RNG.permutation(np.repeat([0, 1, 2], 40))
X = (CENTERS[Y] + RNG.normal(0, 1.2, (120, 2))).astype(np.float32)
DOMAIN = Domain.around(X, resolution=9)
WEIGHTS = np.array([[-1.0, 1.0, 0.0], [0.0, 0.0, 1.5]], dtype=np.float32)
"""A linear model that is right for most points."""


def torch_loop(**options):
    recorder = TorchRecorder(torch_model(), DOMAIN, **options)
    return recorder.start().finish()


def torch_model():
    model = torch.nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(WEIGHTS.T))
        model.bias.zero_()
    return model


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch_model()

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def lightning(**options):
    recorder = LightningRecorder(DOMAIN, **options)
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[recorder], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=60))
    return recorder.recording


def keras_fit(**options):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    model.set_weights([WEIGHTS, np.zeros(3)])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(True))
    recorder = KerasRecorder(DOMAIN, output="logits", **options)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[recorder])
    return recorder.recording


FRAMEWORKS = [torch_loop, lightning, keras_fit]
GUESSES = (X @ WEIGHTS).argmax(axis=1)
BY_HAND = float((GUESSES == Y).mean())

NAMES = np.array(["sun", "moon", "comet"])
LABELS = {
    "integers": (Y, {}),
    "integers of which one is absent": (np.where(Y == 1, 0, Y), {}),
    "integers from one": (Y + 1, {"classes": [1, 2, 3]}),
    "shuffled integers": (np.array([7, 5, 9])[Y], {"classes": [7, 5, 9]}),
    "strings": (NAMES[Y], {"classes": NAMES}),
    "strings that are class names": (NAMES[Y], {"class_names": list(NAMES)}),
    "strings of which one is absent": (np.where(Y == 1, "sun", NAMES[Y]), {"classes": NAMES}),
}


def shown(recording):
    return float((recording.data_predictions(len(recording) - 1) == recording.data_labels).mean())


@pytest.mark.parametrize("fit", FRAMEWORKS)
@pytest.mark.parametrize("labels", LABELS)
def test_the_accuracy_shown_is_the_one_computed_by_hand(fit, labels):
    y, options = LABELS[labels]
    columns = np.where(Y == 1, 0, Y) if "absent" in labels else Y
    recording = fit(data=(X, y), **options)
    assert shown(recording) == float((columns == GUESSES).mean())
    assert len(np.unique(recording.data_labels)) == len(np.unique(y))


@pytest.mark.parametrize("y", [NAMES[Y], Y + 1, np.where(Y == 1, "sun", NAMES[Y])])
@pytest.mark.parametrize("fit", FRAMEWORKS)
def test_labels_whose_columns_are_unknown_are_refused_before_training(fit, y):
    with pytest.raises(ValueError, match=r"which label each column stands for .* classes=\[...\]"):
        fit(data=(X, y))


@pytest.mark.parametrize("y", [Y == 1, (Y == 1).astype(object), (Y == 1).astype(float)])
def test_booleans_are_the_columns_zero_and_one(y):
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.2]]))
    recording = TorchRecorder(model, DOMAIN, data=(X, y)).start().finish()
    with torch.no_grad():
        by_hand = float(((model(torch.tensor(X))[:, 0] > 0).numpy() == (Y == 1)).mean())
    assert shown(recording) == by_hand


@pytest.mark.parametrize(
    "y",
    [Y, Y + 1, NAMES[Y], Y == 1, (Y == 1).astype(object), (Y - 1).astype(float), 2 * (Y == 1) - 1],
)
def test_a_scikit_learn_model_knows_its_columns(y):
    y = np.array(y.tolist())
    model = LogisticRegression().fit(X, y)
    recording = SklearnRecorder(model, DOMAIN, data=(X, y)).start().finish()
    assert shown(recording) == model.score(X, y)
    part = y == y[0]
    recording = SklearnRecorder(model, DOMAIN, data=(X[part], y[part])).start().finish()
    assert shown(recording) == model.score(X[part], y[part])


def test_class_names_in_another_order_than_the_models_classes_are_refused():
    model = LogisticRegression().fit(X, NAMES[Y])
    with pytest.raises(ValueError, match=r"stand for \['comet', 'moon', 'sun'\], in this order"):
        SklearnRecorder(model, DOMAIN, data=(X, NAMES[Y]), class_names=list(NAMES)).start()


def test_an_order_that_would_be_far_better_is_told_once():
    swapped = np.array([1, 0, 2])[Y]
    recorder = TorchRecorder(torch_model(), DOMAIN, data=(X, swapped))
    told = rf"in the order \['1', '0', '2'\] it would be {BY_HAND:.3g}"
    recorder.start()
    with pytest.warns(CaptureWarning, match=told):
        recorder.finish()
    recorder.finish()


@pytest.mark.parametrize("y", [Y, RNG.permutation(Y), np.zeros(120, int)])
def test_no_other_order_is_suggested_where_the_model_is_right_or_nothing_fits(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        TorchRecorder(torch_model(), DOMAIN, data=(X, y)).start().finish()


def test_labels_that_a_scikit_learn_model_does_not_know_are_refused():
    model = LogisticRegression().fit(X, NAMES[Y])
    with pytest.raises((ValueError, EvaluationError), match="among them every label of y"):
        SklearnRecorder(model, DOMAIN, data=(X, Y)).start()
