"""Keras 3: a callback in a real ``fit``, and nothing about the training changes.

Runs on the backend that ``KERAS_BACKEND`` names; ``test_backends.py`` runs a part on the others.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import itertools
import random
import threading

import keras
import numpy as np
import pytest

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(4, 6))
X = np.random.default_rng(0).normal(size=(48, 2)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)
GRID = DOMAIN.points(dtype="float32")


def layers(*, last="softmax", units=3):
    return [
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(units, activation=last),
    ]


def sequential(**kwargs):
    return keras.Sequential([keras.Input((2,)), *layers(**kwargs)])


def functional(**kwargs):
    inputs = keras.Input((2,))
    outputs = inputs
    for layer in layers(**kwargs):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = layers()

    def call(self, x, training=False):
        for part in self.parts:
            x = part(x, training=training) if "Dense" not in type(part).__name__ else part(x)
        return x


class Cloneable(Subclassed):
    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def compiled(model, loss="sparse_categorical_crossentropy", **options):
    model.compile(keras.optimizers.Adam(0.01), loss, **options)
    return model


def fit(*callbacks, model=None, X=X, y=Y, epochs=3, **options):
    model = compiled(sequential()) if model is None else model
    settings = {"batch_size": 16, "epochs": epochs, "verbose": 0, **options}
    model.fit(X, y, callbacks=list(callbacks), **settings)
    return model


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


@pytest.mark.every_backend
@pytest.mark.parametrize("schedule", [{"every": 1}, {"every_n_steps": 1}])
def test_training_is_bit_identical_with_and_without_the_recorder(schedule):
    def run(*callbacks):
        keras.utils.set_random_seed(7)
        model = fit(*callbacks)
        streams = np.random.get_state()[1].tolist(), random.random()  # noqa: NPY002
        draw = np.array(keras.ops.convert_to_numpy(keras.random.normal((3,))))
        return values(model.variables), values(model.optimizer.variables), streams, draw

    plain = run()
    recorder = tv.KerasRecorder(DOMAIN, data=(X, Y), **schedule)
    recorded = run(recorder)

    assert len(recorder.recording) >= 4
    for before, after in zip(plain[0] + plain[1], recorded[0] + recorded[1], strict=True):
        np.testing.assert_array_equal(before, after)
    assert plain[2] == recorded[2]
    np.testing.assert_array_equal(plain[3], recorded[3])


def test_workers_of_a_py_dataset_never_draw_a_number_twice():
    drawn = []

    class Drawing(keras.utils.PyDataset):
        def __len__(self):
            return 40

        def __getitem__(self, index):
            drawn.append(np.random.random())  # noqa: NPY002
            return X[:16], Y[:16]

    recorder = tv.KerasRecorder(DOMAIN, every_n_steps=1)
    fit(recorder, X=Drawing(workers=2), y=None, batch_size=None, epochs=2)
    assert len(recorder.recording) > 40
    assert len(drawn) == len(set(drawn)) >= 80


def test_a_generator_of_tf_data_never_draws_a_number_twice():
    tensorflow = pytest.importorskip("tensorflow")
    drawn = []

    def batches():
        for _ in range(80):
            drawn.append(np.random.random())  # noqa: NPY002
            yield X[:16], Y[:16]

    made = tensorflow.data.Dataset.from_generator(
        batches, output_signature=(tensorflow.TensorSpec((16, 2)), tensorflow.TensorSpec((16,))),
    ).prefetch(4)  # fmt: skip
    recorder = tv.KerasRecorder(DOMAIN, every_n_steps=1)
    fit(recorder, X=made, y=None, batch_size=None, epochs=1)
    assert len(recorder.recording) > 80
    assert len(drawn) == len(set(drawn)) >= 80


@pytest.mark.every_backend
@pytest.mark.parametrize("make", [sequential, functional, Subclassed])
def test_the_map_is_the_models_own_answer(make):
    recorder = tv.KerasRecorder(DOMAIN)
    model = fit(recorder, model=compiled(make()))
    answer = keras.ops.convert_to_numpy(model(GRID, training=False))
    expected = np.asarray(answer).T.reshape(3, *DOMAIN.shape)
    np.testing.assert_allclose(recorder.recording[-1].probabilities, expected, atol=1e-6)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]


@pytest.mark.every_backend
def test_a_model_that_is_not_built_yet_is_recorded_from_its_initial_state():
    recorder = tv.KerasRecorder(DOMAIN)
    fit(recorder, model=compiled(keras.Sequential(layers())), epochs=1)
    assert recorder.recording.epochs.tolist() == [0, 1]


def test_every_kth_epoch_and_the_last_are_captured():
    recorder = tv.KerasRecorder(DOMAIN, every=3)
    fit(recorder, epochs=7)
    assert recorder.recording.epochs.tolist() == [0, 3, 6, 7]


@pytest.mark.every_backend
def test_metrics_come_from_the_logs_which_stay_as_they_are():
    recorder = tv.KerasRecorder(DOMAIN)
    model = compiled(sequential(), metrics=["accuracy"])
    fit(recorder, model=model, validation_data=(X, Y))
    metrics = recorder.recording.metrics
    assert set(metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert metrics["val_loss"][1:].tolist() == model.history.history["val_loss"]
    assert set(model.history.history) == set(metrics)


def test_metrics_of_every_epoch_are_kept_also_where_few_are_captured():
    rec, model = tv.KerasRecorder(DOMAIN, every=5), compiled(sequential())
    fitted = model.fit(X, Y, epochs=7, verbose=0, callbacks=[rec])
    assert rec.recording.epochs.tolist() == [0, 5, 7]
    history = rec.recording.history
    assert history.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert history.metrics["loss"][1:].tolist() == pytest.approx(fitted.history["loss"])


def test_a_second_fit_goes_on_counting():
    recorder = tv.KerasRecorder(DOMAIN)
    model = fit(recorder, epochs=2)
    fit(recorder, model=model, epochs=2)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4]


def test_a_fit_that_starts_at_a_later_epoch_keeps_its_numbers():
    recorder = tv.KerasRecorder(DOMAIN)
    model = fit(recorder, epochs=2)
    fit(recorder, model=model, epochs=4, initial_epoch=2)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4]


def test_steps_are_captured_within_epochs():
    recorder = tv.KerasRecorder(DOMAIN, every_n_steps=2)
    fit(recorder, epochs=2)
    assert recorder.recording.steps.tolist() == [0, 2, 4, 6]
    assert recorder.recording.epochs.tolist() == [0, 0, 1, 2]


@pytest.mark.every_backend
@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has no steps_per_execution on torch"
)
def test_steps_are_captured_when_batches_are_reported_in_groups():
    recorder = tv.KerasRecorder(DOMAIN, every_n_steps=3)
    model = compiled(sequential(), steps_per_execution=2)
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[recorder])
    assert recorder.recording.steps.tolist() == [0, 4, 6, 10, 12]


@pytest.mark.every_backend
def test_maps_within_an_epoch_see_the_weights_of_that_step():
    recorder = tv.KerasRecorder(DOMAIN, every_n_steps=1)
    fit(recorder, epochs=1)
    maps = [snapshot.probabilities for snapshot in recorder.recording]
    for before, after in itertools.pairwise(maps):
        assert np.abs(after - before).max() > 1e-5


@pytest.mark.every_backend
def test_batch_hooks_stay_untouched_unless_steps_are_asked_for():
    def has_batch_hook(recorder):
        hook = recorder.on_train_batch_end
        return not getattr(hook, "_is_default", False)

    assert not has_batch_hook(tv.KerasRecorder(DOMAIN, every=1))
    assert has_batch_hook(tv.KerasRecorder(DOMAIN, every_n_steps=10))


def test_early_stopping_still_gives_the_last_epoch():
    recorder = tv.KerasRecorder(DOMAIN, every=100)
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=100.0)
    model = fit(recorder, stop, epochs=20)
    done = len(model.history.history["loss"])
    assert done < 20
    assert recorder.recording.epochs.tolist() == [0, done]


def test_one_sigmoid_column_becomes_two_classes():
    recorder = tv.KerasRecorder(DOMAIN)
    model = compiled(sequential(last="sigmoid", units=1), "binary_crossentropy")
    fit(recorder, model=model, y=(Y > 0).astype("float32"))
    assert recorder.recording.n_classes == 2


def test_logits_are_told_apart_before_the_first_step_and_accepted_when_named():
    model = compiled(sequential(last=None))
    with pytest.raises(tv.PredictionError, match='output="logits"'):
        fit(tv.KerasRecorder(DOMAIN), model=model)
    assert int(model.optimizer.iterations) == 0

    recorder = tv.KerasRecorder(DOMAIN, output="logits")
    fit(recorder, model=model)
    sums = recorder.recording[-1].probabilities.sum(axis=0)
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_one_hot_labels_travel_with_the_recording():
    one_hot = np.eye(3)[Y]
    recorder = tv.KerasRecorder(DOMAIN, data=(X, one_hot))
    fit(recorder, model=compiled(sequential(), "categorical_crossentropy"), y=one_hot)
    assert recorder.recording.data_labels.tolist() == Y.tolist()
    assert recorder.recording[-1].data_predictions.shape == (48,)


def test_predict_replaces_the_call():
    recorder = tv.KerasRecorder(
        DOMAIN, predict=lambda model, x: model(x, training=False)[:, :2], output="logits"
    )
    fit(recorder)
    assert recorder.recording.n_classes == 2


def test_a_model_with_several_named_outputs_asks_for_predict():
    inputs = keras.Input((2,))
    heads = {"a": keras.layers.Dense(2)(inputs), "b": keras.layers.Dense(2)(inputs)}
    model = keras.Model(inputs, heads)
    model.compile("sgd", {"a": "mse", "b": "mse"})
    with pytest.raises(tv.EvaluationError, match="predict="):
        model.fit(
            X, {"a": X, "b": X}, verbose=0, callbacks=[tv.KerasRecorder(DOMAIN, output="logits")]
        )


@pytest.mark.every_backend
def test_a_failing_capture_warns_once_and_the_fit_goes_on():
    calls = []

    def predict(model, x):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("no more")
        return model(x, training=False)

    recorder = tv.KerasRecorder(DOMAIN, predict=predict)
    with pytest.warns(tv.CaptureWarning, match="no more") as caught:
        model = fit(recorder, epochs=4)
    assert len([w for w in caught if w.category is tv.CaptureWarning]) == 1
    assert len(model.history.history["loss"]) == 4
    assert recorder.recording.epochs.tolist() == [0]


def test_it_records_to_disk_and_continues_there(tmp_path):
    model = compiled(sequential())
    for first, options in ((0, {}), (2, {"resume": True})):
        recorder = tv.KerasRecorder(DOMAIN, path=tmp_path / "a.zarr", **options)
        model.fit(X, Y, epochs=first + 3, initial_epoch=first, verbose=0, callbacks=[recorder])
    opened = tv.open_recording(tmp_path / "a.zarr")
    assert opened.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isfinite(opened.metrics["loss"][1:]).all()


def test_several_recorders_live_together():
    first, second = tv.KerasRecorder(DOMAIN), tv.KerasRecorder(DOMAIN, at=[2])
    fit(first, second)
    assert first.recording.epochs.tolist() == [0, 1, 2, 3]
    assert second.recording.epochs.tolist() == [0, 2, 3]


@pytest.mark.every_backend
def test_mixed_and_double_precision_are_respected():
    for policy in ("float64", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            recorder = tv.KerasRecorder(DOMAIN)
            fit(recorder, epochs=1)
        finally:
            keras.config.set_dtype_policy("float32")
        assert recorder.recording.epochs.tolist() == [0, 1]


@pytest.mark.every_backend
@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize("schedule", [{"every": 1}, {"every_n_steps": 1}])
@pytest.mark.slow_after(2)
def test_a_recording_made_in_the_background_is_the_same(schedule, make):
    def run(**options):
        keras.utils.set_random_seed(7)
        recorder = tv.KerasRecorder(DOMAIN, data=(X, Y), **schedule, **options)
        model = fit(recorder, model=compiled(make()))
        streams = np.random.get_state()[1].tolist(), random.random()  # noqa: NPY002
        draw = np.array(keras.ops.convert_to_numpy(keras.random.normal((3,))))
        trained = [*values(model.variables), *values(model.optimizer.variables), draw]
        return recorder.recording, trained, streams

    at_once, trained, streams = run()
    later, other_trained, other_streams = run(background=True)
    assert later.epochs.tolist() == at_once.epochs.tolist()
    np.testing.assert_array_equal(later.steps, at_once.steps)
    assert list(later.metrics) == list(at_once.metrics)
    for a, b in zip(at_once, later, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        np.testing.assert_array_equal(a.data_predictions, b.data_predictions)
    for before, after in zip(trained, other_trained, strict=True):
        np.testing.assert_array_equal(before, after)
    assert streams == other_streams


@pytest.mark.every_backend
@pytest.mark.filterwarnings("ignore:the model draws from the random streams")
@pytest.mark.parametrize("custom", [False, True], ids=["layers", "class"])
def test_cloning_for_the_background_draws_nothing_while_other_threads_run(custom):
    stop = threading.Event()
    # It runs during whatever takes half a millisecond, and slows nothing down.
    beside = threading.Thread(target=lambda: any(iter(lambda: stop.wait(0.0005), True)))

    def make():
        if custom:
            return Cloneable()
        dropout = keras.layers.Dropout(0.5)
        return keras.Sequential([sequential(), dropout, keras.layers.Dense(3, "softmax")])

    def run(*recorders):
        keras.utils.set_random_seed(7)
        model = compiled(make())
        model.fit(X, Y, epochs=2, verbose=0, callbacks=list(recorders))
        return values(model.variables), random.random()

    alone, drawn_alone = run()
    beside.start()
    try:
        recorded, drawn = run(tv.KerasRecorder(DOMAIN, background=True))
    finally:
        stop.set()
        beside.join()
    for before, after in zip(alone, recorded, strict=True):
        np.testing.assert_array_equal(before, after)
    assert drawn_alone == drawn


WIDE = np.random.default_rng(1).normal(size=(48, 3)).astype("float32")


@pytest.mark.every_backend
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("form", ["dict", "tuple"])
def test_functional_models_of_several_inputs(form, background):
    one, other = keras.Input((2,), name="size"), keras.Input((1,), name="age")
    joined = keras.layers.Concatenate()([one, other])
    inputs = {"size": one, "age": other} if form == "dict" else [one, other]
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(joined))
    compiled(model)
    shape = {"size": (2,), "age": (1,)} if form == "dict" else ((2,), (1,))
    domain = tv.Domain.slice(WIDE, (0, 2), input_shape=shape, resolution=(4, 6))
    parts = WIDE[:, :2], WIDE[:, 2:]
    data = {"size": parts[0], "age": parts[1]} if form == "dict" else parts
    recorder = tv.KerasRecorder(domain, data=(data, Y), background=background)
    fit_data = data if form == "dict" else list(parts)
    model.fit(fit_data, Y, epochs=2, verbose=0, callbacks=[recorder])
    points = domain.points(dtype="float32")
    answer = model(points if form == "dict" else list(points), training=False)
    expected = np.asarray(keras.ops.convert_to_numpy(answer)).T.reshape(3, 4, 6)
    np.testing.assert_allclose(recorder.recording[-1].probabilities, expected, atol=1e-6)
    guesses = np.asarray(keras.ops.convert_to_numpy(model(fit_data, training=False))).argmax(axis=1)
    np.testing.assert_array_equal(recorder.recording[-1].data_predictions, guesses)
    assert recorder.recording.epochs.tolist() == [0, 1, 2]


def test_in_the_background_a_second_model_gets_a_copy_of_its_own():
    recorder = tv.KerasRecorder(DOMAIN, background=True)
    fit(recorder, epochs=2)
    model = fit(recorder, model=compiled(functional()), epochs=2)
    answer = np.asarray(keras.ops.convert_to_numpy(model(GRID, training=False)))
    np.testing.assert_allclose(
        recorder.recording[-1].probabilities, answer.T.reshape(3, *DOMAIN.shape), atol=1e-6
    )
    assert [part.epochs.tolist() for part in recorder.recordings] == [[0, 1, 2]] * 2


class Uncloneable(Cloneable):
    """Its configuration does not say what it was made with."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, x, training=False):
        return super().call(x, training=training) ** self.scale

    @classmethod
    def from_config(cls, config):
        return cls(scale=3.0)


@pytest.mark.every_backend
def test_a_model_whose_clone_answers_otherwise_is_captured_at_once():
    recorder = tv.KerasRecorder(DOMAIN, background=True)
    model = compiled(Uncloneable(scale=1.0))
    with pytest.warns(tv.CaptureWarning, match="answers otherwise") as told:
        fit(recorder, model=model)
    assert len([w for w in told if w.category is tv.CaptureWarning]) == 1
    answer = np.asarray(keras.ops.convert_to_numpy(model(GRID, training=False)))
    np.testing.assert_allclose(
        recorder.recording[-1].probabilities, answer.T.reshape(3, *DOMAIN.shape), atol=1e-6
    )
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]
