"""Continuing a Keras run, from ``BackupAndRestore`` or ``initial_epoch``.

Runs on the backend that ``KERAS_BACKEND`` names; ``test_backends.py`` runs a part on the others.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import json
import signal
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(4, 6))
X = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)
STEPS = 4
"""A pass over the data; each batch is the same, so that the order does not matter."""


class Crash(keras.callbacks.Callback):
    """End the run in the middle of an epoch, or at its end, before the callbacks behind it."""

    def __init__(self, epoch, batch, hard):
        super().__init__()
        self.moment, self.hard = (epoch, batch), hard
        self.epoch = 0
        if batch == "end":
            self.on_epoch_end = self.end
        else:
            self.on_train_batch_begin = self.begin

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def begin(self, batch, logs=None):
        self.strike(batch)

    def end(self, epoch, logs=None):
        self.strike("end")

    def strike(self, batch):
        if (self.epoch, batch) == self.moment:
            if self.hard:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the run failed")


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(3, "softmax")]
    )
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def fit(
    path, epochs=6, backup=None, save_freq="epoch", order="recorder first", crash_at=None,
    hard=False, options=None, recorder=None, model=None, **fit_options,
):  # fmt: skip
    rec = recorder or tv.KerasRecorder(DOMAIN, path=path, **{"resume": True, **(options or {})})
    callbacks = [rec]
    if backup is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(backup, save_freq=save_freq))
    if order != "recorder first":
        callbacks.reverse()
    if crash_at is not None:
        # Between the two, where it strikes at the end of an epoch.
        callbacks.insert(1, Crash(*crash_at, hard))
    model = model or make_model()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=tv.CaptureWarning)
        model.fit(
            np.tile(X, (STEPS, 1)), np.tile(Y, STEPS), batch_size=len(X), shuffle=False,
            epochs=epochs, verbose=0, callbacks=callbacks, **fit_options,
        )  # fmt: skip
    return model


def fit_in_new_process(**arguments):
    code = "import json, runpy, sys\nrunpy.run_path(sys.argv[1])['fit'](**json.loads(sys.argv[2]))"
    command = [sys.executable, "-c", code, __file__, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def assert_same(path, expected, *, metrics=True):
    found, wanted = tv.open_recording(path), tv.open_recording(expected)
    assert found.epochs.tolist() == wanted.epochs.tolist()
    np.testing.assert_array_equal(found.steps, wanted.steps)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)
    if metrics:
        np.testing.assert_allclose(found.metrics["loss"], wanted.metrics["loss"], rtol=1e-4)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Return the path of a run that nobody interrupted."""
    made = {}

    def record(options=None):
        key = repr(options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole") / "whole.zarr"
            fit(made[key], options=options)
        return made[key]

    return record


@pytest.mark.every_backend
@pytest.mark.parametrize("order", ["recorder first", "backup first"])
@pytest.mark.parametrize("options", [{"every": 1}, {"every": 4}, {"every": 3, "every_n_steps": 5}])
@pytest.mark.slow_after(2)
def test_a_backup_is_continued_like_a_run_never_interrupted(whole_run, tmp_path, options, order):
    path, backup = tmp_path / "a.zarr", str(tmp_path / "backup")
    for moment in ((2, 1), (4, 3)):
        with pytest.raises(RuntimeError, match="the run failed"):
            fit(path, backup=backup, order=order, options=options, crash_at=moment)
    fit(path, backup=backup, order=order, options=options)
    assert_same(path, whole_run(options), metrics="every_n_steps" not in options)


@pytest.mark.parametrize("order", ["recorder first", "backup first"])
def test_a_run_that_ends_between_the_capture_and_the_backup_has_each_epoch_once(
    whole_run, tmp_path, order
):
    path, backup = tmp_path / "a.zarr", str(tmp_path / "backup")
    with pytest.raises(RuntimeError, match="the run failed"):
        fit(path, backup=backup, order=order, crash_at=(3, "end"))
    fit(path, backup=backup, order=order)
    # The logs of an epoch that was saved but not captured are gone.
    assert_same(path, whole_run(), metrics=order == "recorder first")


def test_the_same_recorder_goes_back_to_the_backup_too(whole_run, tmp_path):
    path, backup = tmp_path / "a.zarr", str(tmp_path / "backup")
    recorder = tv.KerasRecorder(DOMAIN, path=path)
    with pytest.raises(RuntimeError, match="the run failed"):
        fit(None, recorder=recorder, backup=backup, crash_at=(3, "end"))
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3, 4]
    fit(None, recorder=recorder, backup=backup)
    assert_same(path, whole_run())


def test_a_backup_within_an_epoch_keeps_the_steps_before_it(tmp_path):
    path, backup = tmp_path / "a.zarr", str(tmp_path / "backup")
    options = {"every_n_steps": 1}
    for epoch in (0, 2):
        with pytest.raises(RuntimeError, match="the run failed"):
            fit(path, backup=backup, save_freq=2, options=options, crash_at=(epoch, 3))
    fit(path, backup=backup, save_freq=2, options=options)
    recording = tv.open_recording(path)
    steps = recording.steps.tolist()
    assert steps == [*range(int(steps[-1]) + 1)]
    # Keras begins the epoch anew, with the steps that it had done.
    assert len(steps) > 1 + 6 * STEPS
    assert recording.epochs[-1] == 6


def test_a_run_killed_before_its_first_backup_begins_anew(whole_run, tmp_path):
    path, backup = tmp_path / "a.zarr", str(tmp_path / "backup")
    with pytest.raises(RuntimeError, match="the run failed"):
        fit(path, backup=backup, crash_at=(0, 2))
    fit(path, backup=backup)
    assert_same(path, whole_run())


def test_initial_epoch_continues_too_and_leaves_no_trace_of_the_end(whole_run, tmp_path):
    path = tmp_path / "a.zarr"
    model = fit(path, options={"every": 3}, epochs=4)
    assert tv.open_recording(path).epochs.tolist() == [0, 3, 4]
    fit(path, options={"every": 3}, model=model, initial_epoch=4)
    assert_same(path, whole_run({"every": 3}))


def test_a_fit_with_nothing_left_to_train_changes_nothing(tmp_path):
    path = tmp_path / "a.zarr"
    model = fit(path)
    fit(path, model=model, initial_epoch=6)
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_taken_path_is_refused_before_fit(tmp_path):
    fit(tmp_path / "a.zarr", epochs=1)
    with pytest.raises(tv.RecordingError, match=r"resume=True to continue.*overwrite=True to repl"):
        tv.KerasRecorder(DOMAIN, path=tmp_path / "a.zarr")


@pytest.mark.slow
def test_a_killed_process_is_continued_by_another(whole_run, tmp_path):
    path, backup = tmp_path / "a.zarr", tmp_path / "backup"
    common = {"path": str(path), "backup": str(backup), "order": "backup first"}
    status, told = fit_in_new_process(crash_at=(3, 2), hard=True, **common)
    assert status == -signal.SIGKILL, told
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2, 3]
    fit(**common)
    assert_same(path, whole_run())
