"""Continuing a run: the recording is the one of a run that nobody interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.linear_model import SGDClassifier
from torch.utils.data import DataLoader, TensorDataset

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(4, 6))
X = torch.tensor(np.random.default_rng(0).normal(size=(16, 2)), dtype=torch.float32)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
STEPS = 4
"""A pass over the data; each batch is the same, so that a run resumed within a pass is too."""

SCHEDULES = [
    {"every": 1},
    {"every": 3},
    {"at": [2, 5]},
    {"schedule": "geometric"},
    {"every_n_steps": 5},
    {"every_n_steps": 4},
    {"every": 2, "every_n_steps": 3},
    {"every": 3, "initial": False, "final": False},
]


def call_in_new_process(function, **arguments):
    """Run a function of this file in a process of its own; return how that ended."""
    code = (
        "import json, runpy, sys\n"
        "runpy.run_path(sys.argv[1])[sys.argv[2]](**json.loads(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, __file__, function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def assert_same(path, expected, *, metrics=True):
    found, wanted = tv.open_recording(path), tv.open_recording(expected)
    assert found.epochs.tolist() == wanted.epochs.tolist()
    np.testing.assert_array_equal(found.steps, wanted.steps)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    if metrics:
        # A metric that was only known at an end that is no more may have left an empty column.
        known = {name for name, values in found.metrics.items() if np.isfinite(values).any()}
        assert known == set(wanted.metrics)
        for name in known:
            np.testing.assert_array_equal(found.metrics[name], wanted.metrics[name])
        logged, expected = found.history, wanted.history
        np.testing.assert_array_equal(logged.epochs, expected.epochs)
        np.testing.assert_array_equal(logged.steps, expected.steps)
        for name in expected.metrics:
            np.testing.assert_array_equal(logged.metrics[name], expected.metrics[name])


def crash(hard):
    if hard:
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("the run failed")


# Lightning ------------------------------------------------------------------------------------


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5, momentum=0.9)


class Crash(pl.Callback):
    def __init__(self, at, hard):
        self.at, self.hard = at, hard

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.at:
            crash(self.hard)


def lightning(
    path, epochs=8, crash_at=None, hard=False, save=None, keep=None, resume_from=None, options=None,
    recorder=None, others=(), trainer_options=None,
):  # fmt: skip
    """Fit with a recorder and a checkpoint of each epoch (or as ``save`` says) below ``keep``."""
    rec = recorder or tv.LightningRecorder(DOMAIN, path=path, **(options or {}))
    callbacks = [rec, *others]
    if keep is not None:
        callbacks.append(ModelCheckpoint(keep, save_last=True, **(save or {"every_n_epochs": 1})))
    if crash_at is not None:
        callbacks.append(Crash(crash_at, hard))
    trainer = pl.Trainer(
        **{
            "max_epochs": epochs, "callbacks": callbacks, "accelerator": "cpu", "logger": False,
            "enable_progress_bar": False, "enable_model_summary": False,
            "enable_checkpointing": keep is not None, **(trainer_options or {}),
        }
    )  # fmt: skip
    copies = TensorDataset(X.repeat(STEPS, 1), Y.repeat(STEPS))
    loader = DataLoader(copies, batch_size=len(X))
    validation = DataLoader(TensorDataset(X, Y), batch_size=len(X))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        warnings.filterwarnings("error", category=tv.CaptureWarning)
        trainer.fit(Module(), loader, validation, ckpt_path=resume_from)
    return rec


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Return the path of a Lightning run that nobody interrupted."""
    made = {}

    def record(options=None):
        key = repr(options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole") / "whole.zarr"
            lightning(made[key], options=options)
        return made[key]

    return record


def keeps_metrics(options, save):
    """Whether all metrics are as in a whole run: Lightning itself forgets what was logged before a
    checkpoint, so a mean over an epoch begins anew in its middle, and at a step the epoch before
    is not known.
    """
    return "every_n_epochs" in save and "every_n_steps" not in options


@pytest.mark.parametrize("save", [{"every_n_epochs": 1}, {"every_n_train_steps": 3}])
@pytest.mark.parametrize("options", SCHEDULES)
@pytest.mark.slow_after(6)
def test_lightning_continues_from_a_checkpoint_like_a_run_never_interrupted(
    whole_run, tmp_path, options, save
):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    rng = random.Random(str(options) + str(save))
    with pytest.raises(RuntimeError, match="the run failed"):
        lightning(path, options=options, keep=keep, save=save, crash_at=rng.randrange(5, 30))
    lightning(path, options=options, keep=keep, save=save, resume_from=str(keep / "last.ckpt"))
    assert_same(path, whole_run(options), metrics=keeps_metrics(options, save))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "save"),
    [
        ({"every": 1}, {"every_n_epochs": 1}),
        ({"every": 2, "every_n_steps": 3}, {"every_n_train_steps": 3}),
        ({"every": 1, "background": True}, {"every_n_epochs": 1}),
    ],
)
def test_lightning_continues_in_another_process_after_a_kill(whole_run, tmp_path, options, save):
    path, keep = str(tmp_path / "a.zarr"), str(tmp_path / "kept")
    common = {"path": path, "keep": keep, "save": save, "options": options}
    status, told = call_in_new_process("lightning", crash_at=19, hard=True, **common)
    assert status == -signal.SIGKILL, told
    assert len(tv.open_recording(path)) > 3
    lightning(resume_from=f"{keep}/last.ckpt", **common)
    assert_same(path, whole_run(options), metrics=keeps_metrics(options, save))


def test_lightning_supersedes_what_an_earlier_checkpoint_had_not_seen(whole_run, tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    lightning(path, keep=keep, save={"save_top_k": -1, "filename": "{epoch}"})
    lightning(path, resume_from=str(keep / "epoch=2.ckpt"), epochs=4)
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4]
    lightning(path, resume_from=str(keep / "epoch=1.ckpt"))
    assert_same(path, whole_run())


@pytest.mark.parametrize("options", [*SCHEDULES, {"every": 2, "every_n_steps": 4}])
def test_a_checkpoint_written_at_the_end_of_validation_loses_no_epoch(whole_run, tmp_path, options):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    # Before the epoch is captured, but after all of its steps.
    save = {"save_on_train_epoch_end": False, "monitor": "val_loss"}
    with pytest.raises(RuntimeError, match="the run failed"):
        lightning(path, options=options, keep=keep, save=save, crash_at=17)
    lightning(path, options=options, resume_from=keep / "last.ckpt")
    assert_same(path, whole_run(options), metrics=False)


@pytest.mark.parametrize("options", SCHEDULES)
def test_lightning_continued_past_an_orderly_end_leaves_no_trace_of_it(
    whole_run, tmp_path, options
):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    lightning(path, options=options, keep=keep, epochs=4)
    end = tv.open_recording(path)
    if options.get("final", True):
        assert end.epochs[-1] == 4
        assert end.steps[-1] == 16
    lightning(path, options=options, resume_from=str(keep / "last.ckpt"))
    assert_same(path, whole_run(options), metrics="every_n_steps" not in options)


def test_the_end_of_a_run_stays_until_the_next_capture(tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    lightning(path, options={"every": 3}, keep=keep, epochs=4)
    with pytest.raises(RuntimeError, match="the run failed"):
        lightning(path, options={"every": 3}, resume_from=keep / "last.ckpt", crash_at=21)
    assert tv.open_recording(path).epochs.tolist() == [0, 3, 4]
    lightning(path, options={"every": 3}, resume_from=keep / "last.ckpt", epochs=5)
    assert tv.open_recording(path).epochs.tolist() == [0, 3, 5]


def test_a_run_stopped_within_an_epoch_is_continued_there(whole_run, tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    options = {"every": 1, "every_n_steps": 3}
    lightning(
        path, options=options, keep=keep, save={"every_n_train_steps": 1},
        trainer_options={"max_steps": 10},
    )  # fmt: skip
    assert tv.open_recording(path).steps.tolist()[-2:] == [9, 10]
    lightning(path, options=options, resume_from=str(keep / "last.ckpt"))
    assert_same(path, whole_run(options), metrics=False)


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_a_checkpoint_that_is_only_evaluated_forgets_nothing(tmp_path, stage):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    rec = lightning(path, keep=keep, save={"save_top_k": -1, "filename": "{epoch}"})
    before = tv.open_recording(path).epochs.tolist()
    module = Module()
    module.test_step = module.validation_step
    data = DataLoader(TensorDataset(X, Y), batch_size=len(X))
    for recorder in (rec, tv.LightningRecorder(DOMAIN, path=path)):
        trainer = pl.Trainer(
            callbacks=[recorder], accelerator="cpu", logger=False, enable_progress_bar=False
        )
        getattr(trainer, stage)(module, data, ckpt_path=keep / "epoch=1.ckpt", verbose=False)
        assert tv.open_recording(path).epochs.tolist() == before
    trainer.fit_loop.max_epochs = 1
    with pytest.raises(tv.RecordingError, match="holds a recording already"):
        trainer.fit(module, data)
    assert tv.open_recording(path).epochs.tolist() == before


def test_lightning_refuses_a_taken_path_before_the_first_step(tmp_path):
    path = tmp_path / "a.zarr"
    lightning(path, epochs=2)
    before = tv.open_recording(path).epochs.tolist()

    class Never(pl.Callback):
        def on_sanity_check_start(self, trainer, pl_module):
            raise AssertionError("training has begun")

        on_train_start = on_sanity_check_start

    with pytest.raises(tv.RecordingError, match=r"resume=True to continue.*overwrite=True to repl"):
        lightning(path, others=[Never()])
    assert tv.open_recording(path).epochs.tolist() == before
    lightning(path, options={"overwrite": True}, epochs=1)
    assert tv.open_recording(path).epochs.tolist() == [0, 1]


def test_a_checkpoint_of_another_recording_gives_no_leave_to_continue(tmp_path):
    path, other, keep = tmp_path / "a.zarr", tmp_path / "b.zarr", tmp_path / "kept"
    lightning(path, keep=keep, epochs=2)
    lightning(other, epochs=4)
    with pytest.raises(tv.RecordingError, match="holds a recording already"):
        lightning(other, resume_from=keep / "last.ckpt")
    assert tv.open_recording(other).epochs.tolist() == [0, 1, 2, 3, 4]


def test_resume_true_continues_a_recording_that_was_moved(whole_run, tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    lightning(path, keep=keep, epochs=3)
    moved = tmp_path / "moved.zarr"
    path.rename(moved)
    lightning(moved, resume_from=keep / "last.ckpt", options={"resume": True})
    assert_same(moved, whole_run())


def test_a_checkpoint_holds_a_path_and_numbers_but_no_maps(tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    rec = lightning(path, keep=keep, epochs=2)
    state = torch.load(keep / "last.ckpt", weights_only=True)["callbacks"][rec.state_key]
    assert state == {"epoch": 2, "epoch_offset": 0, "step_offset": 0, "path": str(path)}


def test_two_recorders_in_one_training_are_both_continued(tmp_path):
    keep = tmp_path / "kept"
    paths = [tmp_path / f"{name}.zarr" for name in "abcd"]
    options = [{"every": 1}, {"every": 1}]

    def record(paths, **arguments):
        first, second = (
            tv.LightningRecorder(DOMAIN, path=path, **own)
            for path, own in zip(paths, options, strict=True)
        )
        lightning(None, recorder=first, others=[second], **arguments)

    record(paths[:2])
    with pytest.raises(RuntimeError):
        record(paths[2:], keep=keep, crash_at=18)
    record(paths[2:], keep=keep, resume_from=keep / "last.ckpt")
    assert_same(paths[2], paths[0])
    assert_same(paths[3], paths[1])


def test_two_recorders_cannot_share_a_path(tmp_path):
    path = tmp_path / "a.zarr"
    first, second = (tv.LightningRecorder(DOMAIN, path=path, every=every) for every in (1, 2))
    with pytest.raises(tv.RecordingError, match="taken over by a newer recorder of this process"):
        lightning(None, recorder=first, others=[second, Crash(at=0, hard=False)])


@pytest.mark.slow
def test_a_second_process_cannot_continue_what_is_being_recorded(tmp_path):
    path, keep = tmp_path / "a.zarr", tmp_path / "kept"
    rec = lightning(path, keep=keep, epochs=1)
    rec.recorder.claim()
    status, told = call_in_new_process(
        "lightning", path=str(path), resume_from=str(keep / "last.ckpt")
    )
    assert status == 1
    assert f"is being recorded by the process {os.getpid()}" in told
    assert len(rec.recording) == 2


# Loops of one's own ---------------------------------------------------------------------------


def make_loop():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)


def loop(
    path, epochs=8, crash_at=None, hard=False, saved=None, first_epoch=0, options=None, tell="epoch"
):
    """Train on, from the checkpoint at ``saved`` where there is one."""
    model, optimizer = make_loop()
    rec = tv.TorchRecorder(
        model, DOMAIN, path=path, first_epoch=first_epoch, **{"resume": True, **(options or {})}
    )
    start, step = first_epoch, 0
    if saved is not None and os.path.exists(saved):
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start, step = state["epoch"] + 1, state["step"]
        if tell == "state":
            rec.load_state_dict(state["recorder"])
        if tell == "start":
            rec.start(epoch=start, step=step if rec.recorder.schedule.counts_steps else None)
    if tell != "start" or start == first_epoch:
        rec.start()
    for epoch in range(start, first_epoch + epochs):
        for _ in range(STEPS):
            if step == crash_at:
                crash(hard)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(X), Y)
            loss.backward()
            optimizer.step()
            step += 1
            if rec.recorder.schedule.counts_steps:
                rec.step_end()
        rec.epoch_end(epoch, loss=loss)
        if saved is not None:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"epoch": epoch, "step": step, "recorder": rec.state_dict()}
            torch.save(state, saved)
    rec.finish()
    return rec


@pytest.mark.parametrize("first_epoch", [0, 1])
@pytest.mark.parametrize(
    ("options", "tell"),
    [
        (options, tell)
        for options in SCHEDULES
        for tell in ("epoch", "start", "state")
        if tell != "epoch" or "every_n_steps" not in options  # only the loop knows its steps
    ],
)
@pytest.mark.slow_after(14)
def test_a_loop_is_continued_like_one_never_interrupted(tmp_path, options, first_epoch, tell):
    whole, path, saved = tmp_path / "whole.zarr", tmp_path / "a.zarr", tmp_path / "saved.pt"
    loop(whole, options=options, first_epoch=first_epoch)
    rng = random.Random(str(options) + tell)
    for moment in (rng.randrange(5, 16), rng.randrange(17, 32)):
        with pytest.raises(RuntimeError, match="the run failed"):
            loop(
                path, options=options, saved=saved, first_epoch=first_epoch, tell=tell,
                crash_at=moment,
            )  # fmt: skip
    loop(path, options=options, saved=saved, first_epoch=first_epoch, tell=tell)
    assert_same(path, whole)


@pytest.mark.parametrize("tell", ["epoch", "start", "state"])
def test_a_loop_continued_past_its_end_leaves_no_trace_of_it(tmp_path, tell):
    whole, path, saved = tmp_path / "whole.zarr", tmp_path / "a.zarr", tmp_path / "saved.pt"
    loop(whole, options={"every": 3})
    loop(path, options={"every": 3}, saved=saved, tell=tell, epochs=4)
    assert tv.open_recording(path).epochs.tolist() == [0, 3, 4]
    loop(path, options={"every": 3}, saved=saved, tell=tell)
    assert_same(path, whole)


@pytest.mark.parametrize("tell", ["epoch", "start", "state"])
def test_a_loop_that_has_nothing_left_to_do_changes_nothing(tmp_path, tell):
    path, saved = tmp_path / "a.zarr", tmp_path / "saved.pt"
    loop(path, options={"every": 3}, saved=saved)
    before = tv.open_recording(path).epochs.tolist()
    loop(path, options={"every": 3}, saved=saved, tell=tell)
    assert tv.open_recording(path).epochs.tolist() == before == [0, 3, 6, 8]


@pytest.mark.slow
def test_a_loop_is_continued_in_a_new_process_after_a_kill(tmp_path):
    whole, path, saved = tmp_path / "whole.zarr", tmp_path / "a.zarr", tmp_path / "saved.pt"
    loop(whole)
    for moment in (9, 22):
        status, told = call_in_new_process(
            "loop", path=str(path), saved=str(saved), crash_at=moment, hard=True
        )
        assert status == -signal.SIGKILL, told
    loop(path, saved=saved)
    assert_same(path, whole)


def test_a_loop_that_does_not_say_where_it_goes_on_is_told_to(tmp_path):
    path = tmp_path / "a.zarr"
    loop(path, epochs=2)
    rec = tv.TorchRecorder(make_loop()[0], DOMAIN, path=path, resume=True).start()
    with pytest.raises(ValueError, match=r"epoch_end\(\) does not say where: give the epoch's"):
        rec.epoch_end()
    with pytest.raises(ValueError, match=r"step_end\(\) does not say where: call start\(epoch=, "):
        rec.step_end()
    with pytest.raises(ValueError, match="epoch=-1 lies before first_epoch=0"):
        rec.start(epoch=-1)
    assert len(rec.recording) == 3


def test_a_loop_without_resume_is_refused(tmp_path):
    loop(tmp_path / "a.zarr", epochs=1)
    with pytest.raises(tv.RecordingError, match=r"resume=True to continue.*overwrite=True to repl"):
        loop(tmp_path / "a.zarr", options={"resume": False})


def test_what_only_a_mistake_has_begun_is_free(tmp_path):
    path = tmp_path / "a.zarr"
    recorder = tv.Recorder(DOMAIN, path=path)
    with pytest.raises(tv.PredictionError):
        recorder.capture(lambda X: 7 * X[:, 0], epoch=0)
    recorder = tv.Recorder(DOMAIN, path=path)
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    assert len(tv.open_recording(path)) == 1


def test_training_that_begins_anew_says_that_it_replaces_what_it_continues(tmp_path):
    path = tmp_path / "a.zarr"
    loop(path, epochs=4)
    rec = tv.TorchRecorder(make_loop()[0], DOMAIN, path=path, resume=True)
    with pytest.warns(tv.CaptureWarning, match="begins anew at epoch 0"):
        rec.start(epoch=0)
    assert rec.recording.epochs.tolist() == [0]


def test_a_checkpoint_written_before_its_capture_loses_no_epoch(tmp_path):
    path = tmp_path / "a.zarr"
    loop(path, epochs=2)
    # The model has three epochs, and the process was killed before the third was captured.
    rec = tv.TorchRecorder(make_loop()[0], DOMAIN, path=path, resume=True).start(epoch=3)
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3]


def test_a_loop_in_memory_goes_back_too():
    rec = tv.TorchRecorder(make_loop()[0], DOMAIN)
    rec.start()
    states = []
    for epoch in range(5):
        rec.epoch_end(epoch)
        states.append(rec.state_dict())
    rec.load_state_dict(states[1])
    rec.start()
    assert rec.recording.epochs.tolist() == [0, 1, 2]
    rec.epoch_end()
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3]


# scikit-learn ---------------------------------------------------------------------------------


def teach(path, epochs=8, saved=None, options=None):
    model, start = SGDClassifier(loss="log_loss", random_state=0, shuffle=False), 0
    if saved:
        model, start = saved
    with tv.SklearnRecorder(model, DOMAIN, path=path, resume=True, **(options or {})) as rec:
        for epoch in range(start, epochs):
            model.partial_fit(X.numpy(), Y.numpy(), classes=[0, 1, 2])
            rec.epoch_end(epoch, accuracy=model.score(X, Y))
    return model


@pytest.mark.parametrize("options", [{"every": 1}, {"every": 3}, {"at": [2, 5]}])
@pytest.mark.parametrize("end", [1, 4, 6])
def test_scikit_learn_goes_on_with_the_epoch_it_names(tmp_path, options, end):
    whole, path = tmp_path / "whole.zarr", tmp_path / "a.zarr"
    teach(whole, options=options)
    model = teach(path, epochs=end, options=options)
    teach(path, saved=(model, end), options=options)
    assert_same(path, whole)
    assert tv.open_recording(path).class_names == ["0", "1", "2"]
