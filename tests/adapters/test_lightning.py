"""Lightning: a callback in a real Trainer, and nothing about the training changes."""

from __future__ import annotations

import random

import lightning.pytorch as pl
import numpy as np
import pytest
import pytorch_lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(4, 6))
X = torch.tensor(np.random.default_rng(0).normal(size=(48, 2)), dtype=torch.float32)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def make_module(base=pl.LightningModule):
    class Module(base):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(
                torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3),
                torch.nn.Linear(8, 3),
            )  # fmt: skip
            self.seen_modes = []

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            self.seen_modes.append([part.training for part in self.modules()])
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True, on_step=False)
            return loss

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

        def on_train_epoch_end(self):
            self.log("late", float(self.current_epoch))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    return Module()


def loader(batch_size=16, dtype=torch.float32, shuffle=True):
    return DataLoader(TensorDataset(X.to(dtype), Y), batch_size=batch_size, shuffle=shuffle)


def make_trainer(*callbacks, epochs=3, library=pl, **options):
    options = {"logger": False, "enable_checkpointing": False, **options}
    return library.Trainer(
        max_epochs=epochs, callbacks=list(callbacks), accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip


def fit(*callbacks, module=None, validate=False, resume=None, data=None, **options):
    module = make_module() if module is None else module
    trainer = make_trainer(*callbacks, **options)
    data = data or loader()
    trainer.fit(module, data, loader(shuffle=False) if validate else None, ckpt_path=resume)
    return trainer, module


def state_after(recorder=None, **options):
    pl.seed_everything(7)
    module = make_module()
    module.net[0].eval()  # a submodule that its owner froze
    trainer, _ = fit(*([recorder] if recorder else []), module=module, **options)
    streams = (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.random())  # noqa: NPY002
    return module, trainer.optimizers[0].state_dict(), streams


@pytest.mark.parametrize("schedule", [{"every": 1}, {"every_n_steps": 1}])
def test_training_is_bit_identical_with_and_without_the_recorder(schedule):
    module, optimizer, streams = state_after()
    recorded = tv.LightningRecorder(DOMAIN, data=(X, Y), **schedule)
    other, other_optimizer, other_streams = state_after(recorded)

    assert len(recorded.recording) >= 4
    for name, value in module.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    for key, values in optimizer["state"].items():
        for name, value in values.items():
            assert torch.equal(value, other_optimizer["state"][key][name]), name
    assert streams == other_streams
    assert module.seen_modes == other.seen_modes


def test_the_first_and_the_last_state_and_every_kth_epoch_are_captured():
    rec = tv.LightningRecorder(DOMAIN, every=3)
    fit(rec, epochs=7)
    assert rec.recording.epochs.tolist() == [0, 3, 6, 7]
    assert rec.recording.steps.tolist() == [0, 9, 18, 21]


def test_the_map_is_the_softmax_of_the_modules_own_forward():
    rec = tv.LightningRecorder(DOMAIN)
    _, module = fit(rec)
    module.eval()
    with torch.no_grad():
        points = torch.tensor(DOMAIN.points(), dtype=torch.float32)
        expected = module(points).softmax(dim=1).T.reshape(3, *DOMAIN.shape)
    np.testing.assert_allclose(rec.recording[-1].probabilities, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("background", "precision", "dtype"),
    [(False, "64-true", torch.float64), (True, "32-true", torch.float32)],
)
def test_several_inputs_come_as_keywords_in_the_trainers_precision(background, precision, dtype):
    class Branches(type(make_module())):
        def forward(self, x, scale=None):
            return self.net(x) if scale is None else self.net(x) * scale

    wide = np.concatenate([X.numpy(), np.ones((48, 1))], axis=1)
    domain = tv.Domain.slice(
        wide, (0, 1), 0, input_shape={"x": (2,), "scale": (1,)}, resolution=(4, 6)
    )
    rec = tv.LightningRecorder(domain, data=(wide, Y), background=background)
    _, module = fit(rec, module=Branches(), precision=precision, data=loader(dtype=dtype))
    module.eval()
    with torch.no_grad():
        points = {name: torch.tensor(part, dtype=dtype) for name, part in domain.points().items()}
        expected = module(**points).softmax(dim=1).T.reshape(3, 4, 6)
    np.testing.assert_allclose(rec.recording[-1].probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("final", [False, True])
def test_metrics_of_every_epoch_are_kept_also_where_few_are_captured(final, background):
    every, few = (
        tv.LightningRecorder(DOMAIN, every=k, final=final, background=background) for k in (1, 5)
    )
    fit(every, few, validate=True, epochs=7)
    assert few.recording.epochs.tolist() == ([0, 5, 7] if final else [0, 5])
    found, expected = few.recording.history, every.recording.history
    assert found.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert found.metrics["late"][1:].tolist() == [0, 1, 2, 3, 4, 5, 6]
    for name in ("loss", "val_loss", "late"):
        np.testing.assert_array_equal(found.metrics[name], expected.metrics[name])


def test_predict_replaces_forward():
    rec = tv.LightningRecorder(DOMAIN, predict=lambda module, x: module(x)[:, :2])
    fit(rec)
    assert rec.recording.n_classes == 2


def test_metrics_stand_beside_the_snapshots_also_those_logged_at_the_very_end_of_an_epoch():
    rec = tv.LightningRecorder(DOMAIN)
    trainer, _ = fit(rec, validate=True, num_sanity_val_steps=2)
    metrics = rec.recording.metrics
    assert set(metrics) == {"loss", "val_loss", "late"}
    assert np.isnan(metrics["loss"][0])
    assert np.isfinite(metrics["loss"][1:]).all()
    assert metrics["late"][1:].tolist() == [0, 1, 2]
    assert metrics["val_loss"][-1] == pytest.approx(float(trainer.callback_metrics["val_loss"]))


def test_sanity_checking_captures_nothing_before_the_initial_state():
    rec = tv.LightningRecorder(DOMAIN)
    fit(rec, validate=True, num_sanity_val_steps=2, epochs=1)
    assert rec.recording.epochs.tolist() == [0, 1]


def test_a_fast_dev_run_is_not_recorded():
    rec = tv.LightningRecorder(DOMAIN)
    fit(rec, fast_dev_run=True)
    assert len(rec.recording) == 0


def test_steps_are_captured_once_under_gradient_accumulation():
    rec = tv.LightningRecorder(DOMAIN, every_n_steps=1)
    fit(rec, data=loader(batch_size=8), accumulate_grad_batches=2, epochs=2)
    assert rec.recording.steps.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert rec.recording.epochs.tolist()[-1] == 2


def test_several_recorders_live_together():
    first = tv.LightningRecorder(DOMAIN, every=1)
    second = tv.LightningRecorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=3), at=[2])
    fit(first, second)
    assert first.recording.epochs.tolist() == [0, 1, 2, 3]
    assert second.recording.epochs.tolist() == [0, 2, 3]
    assert first.state_key != second.state_key


def test_early_stopping_still_gives_the_last_epoch():
    rec = tv.LightningRecorder(DOMAIN, every=100)
    trainer, _ = fit(rec, EarlyStopping("late", mode="min", patience=1), epochs=20)
    assert trainer.current_epoch < 20
    assert rec.recording.epochs.tolist() == [0, trainer.current_epoch]


def test_fitting_again_with_the_same_trainer_goes_on():
    rec = tv.LightningRecorder(DOMAIN)
    trainer, module = fit(rec, epochs=2)
    trainer.fit_loop.max_epochs = 4
    trainer.fit(module, loader())
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3, 4]


def test_fitting_again_with_a_new_trainer_goes_on_counting():
    rec = tv.LightningRecorder(DOMAIN)
    _, module = fit(rec, epochs=2)
    fit(rec, module=module, epochs=2)
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture
def checkpoint(tmp_path):
    rec = tv.LightningRecorder(DOMAIN)
    keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    fit(rec, keep, epochs=4, enable_checkpointing=True)
    return rec, str(tmp_path / "epoch=1.ckpt")


def test_a_resumed_fit_goes_on_from_the_checkpoints_epoch(checkpoint):
    _, path = checkpoint
    fresh = tv.LightningRecorder(DOMAIN)
    fit(fresh, epochs=4, resume=path)
    assert fresh.recording.epochs.tolist() == [2, 3, 4]


def test_resuming_with_the_same_recorder_supersedes_what_came_after_the_checkpoint(checkpoint):
    rec, path = checkpoint
    before = rec.recording[2].probabilities
    fit(rec, epochs=5, resume=path)
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(rec.recording[2].probabilities, before)


def test_a_checkpoint_holds_a_cursor_and_no_maps(checkpoint):
    rec, path = checkpoint
    state = torch.load(path, weights_only=True)["callbacks"][rec.state_key]
    assert all(isinstance(value, int) for value in state.values())
    assert tv.LightningRecorder(DOMAIN).state_dict() == {}


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32", torch.float32), ("bf16-mixed", torch.float32), ("64-true", torch.float64),
     ("bf16-true", torch.bfloat16)],
)  # fmt: skip
def test_the_trainers_precision_is_respected(precision, dtype):
    seen = []

    def predict(module, points):
        seen.append((points.dtype, module(points).dtype))
        return module(points)

    rec = tv.LightningRecorder(DOMAIN, predict=predict)
    fit(rec, precision=precision, epochs=1)
    assert rec.recording.epochs.tolist() == [0, 1]
    answer = torch.bfloat16 if precision.startswith("bf16") else dtype
    assert set(seen) == {(dtype, answer)}


def test_a_failing_capture_warns_once_and_the_fit_goes_on():
    calls = []

    def predict(module, points):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("no more")
        return module(points)

    rec = tv.LightningRecorder(DOMAIN, predict=predict)
    with pytest.warns(tv.CaptureWarning, match="no more") as caught:
        trainer, _ = fit(rec, epochs=4)
    assert len([w for w in caught if w.category is tv.CaptureWarning]) == 1
    assert trainer.current_epoch == 4
    assert rec.recording.epochs.tolist() == [0]


def test_a_domain_that_does_not_fit_the_module_shows_before_the_first_step():
    wide = tv.Domain.around(np.random.default_rng(0).normal(size=(9, 4)), features=(0, 1))
    module = make_module()
    with pytest.raises(tv.EvaluationError, match="features="):
        fit(tv.LightningRecorder(wide), module=module)
    assert module.seen_modes == []


def test_the_averaged_weights_can_be_recorded():
    raw = tv.LightningRecorder(DOMAIN, weights="raw")
    averaged = tv.LightningRecorder(DOMAIN, weights="averaged")
    fit(raw, averaged, EMAWeightAveraging(decay=0.9))
    assert averaged.recording.epochs.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(
        averaged.recording[0].probabilities, raw.recording[0].probabilities, atol=1e-6
    )
    trained, final = raw.recording[-2:]
    assert np.abs(averaged.recording[-1].probabilities - trained.probabilities).max() > 1e-4
    # At the end, the callback puts the average in place.
    np.testing.assert_allclose(averaged.recording[-1].probabilities, final.probabilities, atol=1e-6)


def test_averaged_weights_that_do_not_exist_show_before_the_first_step():
    with pytest.raises(ValueError, match="WeightAveraging"):
        fit(tv.LightningRecorder(DOMAIN, weights="averaged"))
    with pytest.raises(ValueError, match="weights='mean'"):
        tv.LightningRecorder(DOMAIN, weights="mean")


def test_what_is_neither_a_switch_nor_a_name_is_no_log():
    with pytest.raises(TypeError, match="log=3: expected True, False, or the first part"):
        tv.LightningRecorder(DOMAIN, log=3)


@pytest.mark.parametrize("compile_all", [True, False])
def test_a_compiled_module_is_asked_without_compiling_it_again(compile_all):
    compiled_graphs = []

    def backend(graph, inputs):
        compiled_graphs.append(graph)
        return graph.forward

    def run(*callbacks):
        torch._dynamo.reset()
        compiled_graphs.clear()
        torch.manual_seed(0)
        module = make_module()
        # Dynamo cannot trace Lightning's self.log with this torch.
        module.log = lambda *args, **kwargs: None
        if compile_all:
            module = torch.compile(module, backend=backend)
        else:
            module.net = torch.compile(module.net, backend=backend)
        fit(*callbacks, module=module, epochs=2)
        return len(compiled_graphs), module.state_dict()

    rec = tv.LightningRecorder(DOMAIN)
    graphs, weights = run()
    graphs_recorded, weights_recorded = run(rec)
    assert rec.recording.epochs.tolist() == [0, 1, 2]
    assert graphs_recorded == graphs > 0
    for name, value in weights.items():
        assert torch.equal(value, weights_recorded[name]), name


def test_it_works_with_the_pytorch_lightning_namespace():
    rec = tv.LightningRecorder(DOMAIN)
    module = make_module(pytorch_lightning.LightningModule)
    trainer = make_trainer(rec, library=pytorch_lightning, epochs=2)
    trainer.fit(module, loader())
    assert rec.recording.epochs.tolist() == [0, 1, 2]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("schedule", [{"every": 1}, {"every": 1, "every_n_steps": 1}])
def test_a_recording_made_in_the_background_is_the_same(schedule, precision):
    at_once = tv.LightningRecorder(DOMAIN, data=(X, Y), **schedule)
    later = tv.LightningRecorder(DOMAIN, data=(X, Y), background=True, **schedule)
    module, optimizer, streams = state_after(at_once, precision=precision, validate=True)
    other, other_optimizer, other_streams = state_after(later, precision=precision, validate=True)

    assert at_once.recording.epochs.tolist() == later.recording.epochs.tolist()
    np.testing.assert_array_equal(at_once.recording.steps, later.recording.steps)
    assert list(at_once.recording.metrics) == list(later.recording.metrics)
    for name, values in at_once.recording.metrics.items():
        np.testing.assert_array_equal(values, later.recording.metrics[name])
    for a, b in zip(at_once.recording, later.recording, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        np.testing.assert_array_equal(a.data_predictions, b.data_predictions)
    for name, value in module.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert str(optimizer) == str(other_optimizer)
    assert streams == other_streams
    assert module.seen_modes == other.seen_modes


def test_in_the_background_a_module_that_logs_sees_the_counters_of_the_capture():
    seen = []

    def predict(module, x):
        seen.append((module.current_epoch, module.global_step))
        module.log("asked", 1.0)
        return module(x)

    recorder = tv.LightningRecorder(DOMAIN, predict=predict, background=True)
    trainer, _ = fit(recorder)
    # The last one is the end of training, which a later fit is compared with.
    assert sorted(set(seen)) == [(0, 0), (0, 3), (1, 6), (2, 9), (3, 9)]
    assert "asked" not in trainer.callback_metrics
    assert recorder.recorder.failures == []


def test_in_the_background_an_exception_loses_nothing():
    class Failing(pl.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                raise RuntimeError("the run failed")

    recorder = tv.LightningRecorder(DOMAIN, background=True)
    with pytest.raises(RuntimeError, match="the run failed"):
        fit(recorder, Failing())
    assert recorder.recording.epochs.tolist() == [0, 1, 2]
    assert recorder.recording[-1].metrics["late"] == 1.0


def test_a_precision_that_changes_the_whole_process_is_captured_at_once():
    recorder = tv.LightningRecorder(DOMAIN, background=True)
    with pytest.warns(tv.CaptureWarning, match="default dtype of the process"):
        fit(recorder, precision="64-true", data=loader(dtype=torch.float64))
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]


def test_averaged_weights_are_recorded_in_the_background_too():
    def record(**options):
        pl.seed_everything(7)
        recorder = tv.LightningRecorder(DOMAIN, weights="averaged", **options)
        fit(EMAWeightAveraging(decay=0.5), recorder)
        return [snapshot.probabilities for snapshot in recorder.recording]

    np.testing.assert_array_equal(record(), record(background=True))
