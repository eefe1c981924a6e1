"""Recordings from checkpoints of Keras: whole models and weights."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

import trainviz as tv
from trainviz import CheckpointError, ReplayWarning, replay

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(12, 16))
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (40, 2)).astype("float32")
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def network(units=3):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(units, activation="softmax"),
        ]
    )


def fit(model, folder, suffix, epochs=3):
    """Train, save each epoch, and return the live recording."""
    folder.mkdir()
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    live = tv.KerasRecorder(DOMAIN)
    save = keras.callbacks.ModelCheckpoint(
        folder / ("{epoch:02d}-{loss:.2f}" + suffix), save_weights_only=suffix != ".keras"
    )
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[live, save])
    return live.recording


def assert_equal(one, other):
    assert one.epochs.tolist() == other.epochs.tolist()
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.mark.every_backend
def test_whole_models_need_no_model(runs):
    live = fit(network(), runs, ".keras")
    assert_equal(replay(runs, domain=DOMAIN), live[1:])


@pytest.mark.every_backend
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_are_put_into_the_model_and_its_own_put_back(runs, suffix):
    live = fit(network(), runs, suffix)
    model = network()
    before = [np.array(value) for value in model.get_weights()]
    assert_equal(replay(runs, model=model, domain=DOMAIN), live[1:])
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert_equal(replay(runs, model=network, domain=DOMAIN), live[1:])


def test_a_model_without_shapes_is_built_from_the_domain(runs):
    live = fit(network(), runs, ".weights.h5")
    unbuilt = keras.Sequential(network().layers)
    assert_equal(replay(runs, model=unbuilt, domain=DOMAIN), live[1:])


def test_what_cannot_be_loaded_is_named_and_skipped(runs):
    fit(network(), runs, ".weights.h5", epochs=1)
    network(4).save_weights(runs / "2.weights.h5")
    (runs / "3.weights.h5").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"2\.weights\.h5 does not fit the model"):
        replay(runs / "2.weights.h5", model=network, domain=DOMAIN)
    with pytest.raises(CheckpointError, match=r"3\.weights\.h5 cannot be read"):
        replay(runs / "3.weights.h5", model=network, domain=DOMAIN)
    with pytest.warns(ReplayWarning, match="2 checkpoints were skipped"):
        found = replay(runs, model=network, domain=DOMAIN, on_error="skip")
    assert found.epochs.tolist() == [1]


def test_code_in_a_model_is_loaded_only_with_leave(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x - 1), keras.layers.Dense(3)]
    keras.Sequential([*layers, keras.layers.Softmax()]).save(tmp_path / "1.keras")
    with pytest.raises(CheckpointError, match=r"holds code.*allow_pickle=True"):
        replay(tmp_path, domain=DOMAIN)
    assert len(replay(tmp_path, domain=DOMAIN, allow_pickle=True)) == 1


def test_weights_without_a_model_say_what_is_missing(runs):
    fit(network(), runs, ".weights.h5", epochs=1)
    with pytest.raises(CheckpointError, match=r"give model= the network"):
        replay(runs, domain=DOMAIN)


def test_a_damaged_model_is_named(tmp_path):
    (tmp_path / "1.keras").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"1\.keras cannot be read"):
        replay(tmp_path, domain=DOMAIN)


def test_a_callable_that_makes_no_model_is_refused(tmp_path):
    (tmp_path / "1.keras").write_bytes(b"no model")
    with pytest.raises(TypeError, match=r"returned int: expected a keras\.Model"):
        replay(tmp_path, model=lambda: 3, domain=DOMAIN)


def test_load_may_return_a_model_of_keras(tmp_path):
    network().save(tmp_path / "5.keras")
    found = replay(tmp_path, load=keras.saving.load_model, domain=DOMAIN)
    assert_equal(found, replay(tmp_path, domain=DOMAIN))
