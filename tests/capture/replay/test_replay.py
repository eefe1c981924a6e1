"""Recordings from checkpoints: of torch, Lightning, safetensors and anything else."""

import os
import pickle
import re
import shlex
import shutil
import sys
import warnings
from pathlib import Path

import joblib
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from sklearn.linear_model import SGDClassifier
from torch import nn

import trainviz as tv
from trainviz import CheckpointError, ReplayWarning, replay
from trainviz.cli.main import main

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(12, 16))
LARGE = tv.Domain((-2, 2), (-1, 1), shape=(90, 100))
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (40, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


def train(model, recorder=None, save=None, epochs=4):
    """A plain loop that is recorded, and saves a checkpoint each epoch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    inputs, labels = torch.from_numpy(X), torch.from_numpy(Y)
    if save:
        save(model, 0, None)
    for epoch in range(epochs):
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        if recorder:
            recorder.epoch_end(epoch, loss=loss)
        if save:
            save(model, epoch + 1, loss)


def saved(folder, epochs=4, save=None):
    """Checkpoints of an ordinary training; returns its network."""
    model = network()
    folder.mkdir(exist_ok=True)

    def as_state_dict(model, epoch, loss):
        torch.save(model.state_dict(), folder / f"epoch-{epoch}.pt")

    train(model, save=save or as_state_dict, epochs=epochs)
    return model


def assert_equal(one, other, atol=0.0):
    assert one.epochs.tolist() == other.epochs.tolist()
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, rtol=0, atol=atol)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


# The same as what was recorded in training.


@pytest.mark.parametrize("kind", ["state_dict", "dict", "safetensors", "compiled"])
def test_a_replay_equals_the_recording_of_the_same_training(runs, kind):
    runs.mkdir()

    def save(model, epoch, loss):
        if kind == "state_dict":
            torch.save(model.state_dict(), runs / f"model_{epoch}.pth")
        elif kind == "dict":
            state = {"epoch": epoch, "model_state_dict": model.state_dict(), "loss": loss}
            torch.save(state if epoch else {**state, "loss": None}, runs / f"{9 - epoch}.pt")
        elif kind == "compiled":
            state = {f"_orig_mod.{name}": value for name, value in model.state_dict().items()}
            torch.save({"epoch": epoch, "state_dict": state}, runs / f"{9 - epoch}.pt")
        else:
            metadata = {"format": "pt", "epoch": str(epoch)}
            save_file(model.state_dict(), runs / f"{9 - epoch}.safetensors", metadata)

    model = network()
    with tv.TorchRecorder(model, LARGE, data=(X, Y), evaluation="dense") as live:
        train(model, live, save)
    found = replay(runs, model=network(5), domain=LARGE, data=(X, Y), evaluation="dense")
    assert found.epochs.tolist() == [0, 1, 2, 3, 4]
    assert_equal(found, live.recording)
    for index in range(5):
        predicted = live.recording.data_predictions(index)
        assert found.data_predictions(index).tolist() == predicted.tolist()
    if kind == "dict":
        np.testing.assert_array_equal(found.metrics["loss"], live.recording.metrics["loss"])


def test_a_replay_has_the_accuracies_of_the_recording_of_the_same_training(runs):
    runs.mkdir()
    groups = {"train": (X[::2], Y[::2]), "test": (X[1::2], Y[1::2])}

    def save(model, epoch, loss):
        torch.save(model.state_dict(), runs / f"model_{epoch}.pth")

    model = network()
    with tv.TorchRecorder(model, LARGE, data=groups, evaluation="dense") as live:
        train(model, live, save)
    found = replay(runs, model=network(5), domain=LARGE, data=groups, evaluation="dense")
    assert {"train accuracy", "test accuracy"} == set(found.metrics)
    for name, values in found.metrics.items():
        np.testing.assert_array_equal(values, live.recording.metrics[name])


def test_an_adaptive_replay_equals_the_recording_within_its_tolerance(runs):
    model, domain = network(), tv.Domain((-2, 2), (-1, 1), points_per_axis=150)
    runs.mkdir()
    with tv.TorchRecorder(model, domain) as live:
        train(model, live, lambda m, e, _: torch.save(m.state_dict(), runs / f"{e}.pt"))
    found = replay(runs, model=model, domain=domain)
    assert found[-1].evaluations < domain.n_points / 2
    assert_equal(found, live.recording, atol=4 / 255)


class Classifier(pl.LightningModule):
    def __init__(self, hidden=4):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 3))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def fit(module, folder, recorder, **options):
    """Fit with Lightning, saving checkpoints; four steps an epoch."""
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[recorder, ModelCheckpoint(folder, save_top_k=-1, save_last=True, **options)],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=10))
    return trainer


@pytest.mark.parametrize("given", ["class", "instance", "factory", "inner network"])
def test_checkpoints_of_lightning_bring_epoch_and_step(runs, given):
    torch.manual_seed(0)
    module = Classifier(hidden=6)
    live = tv.LightningRecorder(DOMAIN)
    fit(module, runs, live)
    model = {
        "class": Classifier,  # whose arguments are in the checkpoints
        "instance": Classifier(hidden=6),
        "factory": lambda: Classifier(hidden=6),
        "inner network": Classifier(hidden=6).net,
    }[given]
    found = replay(runs, model=model, domain=DOMAIN)
    assert (runs / "last.ckpt").exists()  # of the same moment as another, and left out
    assert (found.epochs.tolist(), found.steps.tolist()) == ([1, 2, 3], [4, 8, 12])
    assert_equal(found, live.recording[1:])


def test_checkpoints_within_an_epoch_stand_at_their_steps(runs):
    live = tv.LightningRecorder(DOMAIN, every_n_steps=2, initial=False)
    fit(Classifier(), runs, live, every_n_train_steps=2)
    found = replay(runs, model=Classifier, domain=DOMAIN)
    assert found.steps.tolist() == live.recording.steps.tolist() == [2, 4, 6, 8, 10, 12]
    for ours, theirs in zip(found, live.recording, strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_a_checkpoint_saved_after_the_fit_is_of_its_last_epoch(tmp_path):
    live = tv.LightningRecorder(DOMAIN)
    trainer = fit(Classifier(), tmp_path / "others", live)
    trainer.save_checkpoint(tmp_path / "done.ckpt")
    found = replay(tmp_path / "done.ckpt", model=Classifier, domain=DOMAIN)
    assert (found.epochs.tolist(), found.steps.tolist()) == ([3], [12])


def test_anything_else_is_loaded_by_the_callers_own_function(tmp_path):
    model = SGDClassifier(loss="log_loss", random_state=0)
    with tv.SklearnRecorder(model, DOMAIN) as live:
        for epoch in range(3):
            model.partial_fit(X, Y, classes=[0, 1, 2])
            live.epoch_end(epoch)
            joblib.dump(model, tmp_path / f"{epoch + 1}.joblib")
    found = replay(tmp_path, load=joblib.load, domain=DOMAIN)
    assert found.epochs.tolist() == [1, 2, 3]
    assert_equal(found, live.recording)


@pytest.mark.parametrize(
    ("load", "output"),
    [
        (lambda path: lambda points: np.full((len(points), 3), 1 / 3), "probabilities"),
        (lambda path: nn.Sequential(nn.Flatten(), Zero()), "logits"),
    ],
)
def test_load_returns_a_model_or_a_callable(tmp_path, load, output):
    (tmp_path / "7.anything").touch()
    found = replay(str(tmp_path / "*.anything"), load=load, domain=DOMAIN)
    assert found.epochs.tolist() == [7]
    np.testing.assert_allclose(found[0].probabilities, 1 / 3, atol=1e-6)


class Zero(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 3)


# The caller's model, and the process.


@pytest.mark.parametrize("damaged", [False, True])
def test_the_given_model_keeps_its_weights_and_modes(runs, damaged):
    saved(runs)
    model = network(7)
    model[1].eval()
    before, modes = state_of(model), [part.training for part in model.modules()]
    parameters = list(model.parameters())
    if damaged:
        (runs / "epoch-2.pt").write_bytes(b"no checkpoint")
        torch.save(nn.Linear(2, 3).state_dict(), runs / "epoch-3.pt")
        with pytest.raises(CheckpointError):
            replay(runs, model=model, domain=DOMAIN)
    else:
        replay(runs, model=model, domain=DOMAIN)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert all(one is two for one, two in zip(model.parameters(), parameters, strict=True))


def test_random_streams_go_on_as_if_nothing_had_happened(runs):
    saved(runs)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002

    def factory():
        np.random.rand(5)  # noqa: NPY002
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))

    replay(runs, model=factory, domain=DOMAIN)
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])  # noqa: NPY002


def test_a_lazy_model_is_made_by_a_callable(runs):
    saved(runs)

    def lazy():
        return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(3))

    with pytest.raises(TypeError, match=r"lazy parameters.*give a callable"):
        replay(runs, model=lazy(), domain=DOMAIN)
    assert_equal(
        replay(runs, model=lazy, domain=DOMAIN), replay(runs, model=network, domain=DOMAIN)
    )


# Which, and in what order.


@pytest.mark.parametrize(
    "names",
    [
        ["m9.pt", "m10.pt", "m100.pt"],
        ["epoch=9-step=400.pt", "epoch=10-step=440.pt", "epoch=100-step=4000.pt"],
        ["resnet18_epoch09_0.93.pt", "resnet18_epoch10_0.95.pt", "resnet18_epoch100_0.9.pt"],
        ["v2-loss0.31-9.pt", "v2-loss0.31-10.pt", "v2-loss1.5-100.pt"],
        ["9/weights.pt", "10/weights.pt", "epoch_100/weights.pt"],
    ],
)
def test_numbers_in_the_names_are_the_epochs(runs, names):
    for seed, name in enumerate(names):
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(network(seed).state_dict(), runs / name)
    paths = [runs / name for name in reversed(names)]
    found = replay(paths, model=network, domain=DOMAIN)
    assert found.epochs.tolist() == [9, 10, 100]
    globbed = replay(str(runs / "**" / "*.pt"), model=network, domain=DOMAIN)
    assert_equal(globbed, found)
    first = replay(runs / names[0], model=network, domain=DOMAIN)
    np.testing.assert_array_equal(first[0].probabilities, found[0].probabilities)


def test_a_mapping_says_the_epochs_itself(runs):
    saved(runs)
    mapping = {30: runs / "epoch-1.pt", 20: runs / "epoch-2.pt", 10: runs / "epoch-2.pt"}
    found = replay(mapping, model=network, domain=DOMAIN)
    assert found.epochs.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(found[0].probabilities, found[1].probabilities)
    assert (found[2].probabilities != found[1].probabilities).any()


def test_a_folder_stands_for_the_checkpoints_in_it(runs):
    saved(runs)
    (runs / "notes.txt").write_text("mine")
    (runs / "sub-9").mkdir()
    os.symlink(runs / "epoch-4.pt", runs / "best.pt")
    assert replay(runs, model=network, domain=DOMAIN).epochs.tolist() == [0, 1, 2, 3, 4]


# What cannot be replayed.


def broken(runs):
    """One checkpoint of each kind of mischief among good ones; returns what is told of them."""
    saved(runs)
    shutil.copy(runs / "epoch-4.pt", runs / "epoch-4-again.pt")
    (runs / "epoch-5.pt").write_bytes((runs / "epoch-4.pt").read_bytes()[:-700])
    (runs / "epoch-6.pt").write_bytes(b"")
    torch.save(nn.Linear(2, 3).state_dict(), runs / "epoch-7.pt")
    torch.save({"epoch": 8, "model": [1, 2]}, runs / "epoch-8.pt")
    torch.save(network().state_dict(), runs / "best.pt")
    return {
        "epoch-4.pt": "so is",
        "epoch-5.pt": "damaged",
        "epoch-6.pt": "damaged",
        "epoch-7.pt": "does not fit the model Sequential: .*Missing key",
        "epoch-8.pt": "does not fit the model|expected a state_dict",
        "best.pt": "neither its content nor its name says its epoch",
        "epoch-9.pt": "there is no such file",
    }


def test_what_cannot_be_replayed_is_listed_and_the_rest_goes_on(runs):
    wanted = broken(runs)
    paths = [*runs.iterdir(), runs / "epoch-9.pt"]
    with pytest.warns(ReplayWarning, match="7 checkpoints were skipped") as told:
        found = replay(paths, model=network, domain=DOMAIN, on_error="skip")
    assert len(told) == 1
    assert found.epochs.tolist() == [0, 1, 2, 3, 4]
    skipped = dict(told[0].message.skipped)
    assert skipped.keys() == {str(runs / name) for name in wanted}
    for name, reason in wanted.items():
        assert re.search(reason, skipped[str(runs / name)])


@pytest.mark.parametrize("name", ["epoch-5.pt", "epoch-7.pt", "epoch-9.pt", "best.pt"])
def test_without_leave_to_skip_each_is_an_error_that_names_it(runs, name):
    reason = broken(runs)[name]
    with pytest.raises(CheckpointError, match=reason) as raised:
        replay([runs / "epoch-1.pt", runs / name], model=network, domain=DOMAIN)
    assert name in str(raised.value)


def test_nothing_that_can_be_replayed_is_an_error_even_so(runs):
    saved(runs)
    with pytest.raises(CheckpointError, match="none of 5 checkpoints could be replayed"):
        replay(runs, model=nn.Linear(2, 3), domain=DOMAIN, on_error="skip")


def test_checkpoints_of_two_trainings_are_told_apart_by_their_steps(runs):
    runs.mkdir()
    for epoch, step in [(1, 100), (2, 50), (3, 300)]:
        state = {"epoch": epoch, "global_step": step, "model": network().state_dict()}
        torch.save(state, runs / f"{epoch}.pt")
    with pytest.raises(CheckpointError, match=r"2\.pt.*step 50.*1\.pt.*step 100 already"):
        replay(runs, model=network, domain=DOMAIN)


def test_a_model_of_other_classes_in_the_middle_is_named(tmp_path):
    for epoch, classes in enumerate([3, 3, 4, 3]):
        (tmp_path / f"{epoch}.txt").write_text(str(classes))

    def load(path):
        n_classes = int(Path(path).read_text())
        return lambda points: np.full((len(points), n_classes), 1 / n_classes)

    with pytest.warns(ReplayWarning, match=r"2\.txt.*4 classes, after 3 before"):
        found = replay(tmp_path, load=load, domain=DOMAIN, on_error="skip")
    assert found.epochs.tolist() == [0, 1, 3]


class Hostile:
    def __reduce__(self):
        return os.makedirs, (os.environ["TRAINVIZ_HOSTILE"], 0o777, True)


@pytest.mark.parametrize("form", ["torch", "pickle"])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".pth"])
def test_nothing_in_a_checkpoint_is_executed(tmp_path, monkeypatch, form, suffix):
    monkeypatch.setenv("TRAINVIZ_HOSTILE", str(tmp_path / "executed"))
    path = tmp_path / f"1{suffix}"
    content = {"state_dict": network().state_dict(), "callbacks": Hostile()}
    if form == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"can run code .*allow_pickle=True"):
        replay(path, model=network, domain=DOMAIN)
    assert not (tmp_path / "executed").exists()
    if form == "torch":  # or this test could not fail
        replay(path, model=network, domain=DOMAIN, allow_pickle=True)
        assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("key", ["hyper_parameters", "hparams", "module_arguments"])
def test_no_code_that_a_checkpoint_names_is_imported(tmp_path, monkeypatch, key):
    (tmp_path / "named_by_a_checkpoint.py").write_text(
        "def build(cls, arguments):\n    return cls()"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = Classifier(hidden=6)
    content = {
        "pytorch-lightning_version": "2.4.0", "epoch": 1, "state_dict": module.state_dict(),
        key: {"hidden": 6, "_instantiator": "named_by_a_checkpoint.build"},
    }  # fmt: skip
    torch.save(content, tmp_path / "1.ckpt")
    found = replay(tmp_path / "1.ckpt", model=Classifier, domain=DOMAIN)
    assert_equal(found, replay(tmp_path / "1.ckpt", model=module, domain=DOMAIN))
    assert "named_by_a_checkpoint" not in sys.modules


def test_a_class_that_a_checkpoint_s_arguments_do_not_fit_says_what_to_do(tmp_path):
    content = {
        "pytorch-lightning_version": "2.4.0", "state_dict": Classifier().state_dict(),
        "hyper_parameters": {"hidden": {"class_path": "builtins.int"}},
    }  # fmt: skip
    torch.save(content, tmp_path / "1.ckpt")
    with pytest.raises(CheckpointError, match=r"does not fit .*Classifier.*allow_pickle=True"):
        replay(tmp_path / "1.ckpt", model=Classifier, domain=DOMAIN)


@pytest.mark.parametrize(("output", "n_outputs"), [("values", 1), ("multilabel_logits", 3)])
def test_values_and_labels_are_recorded_as_what_they_are(tmp_path, output, n_outputs):
    model = nn.Sequential(nn.Linear(2, n_outputs))
    y = np.zeros(len(X)) if output == "values" else np.zeros((len(X), n_outputs), int)
    recorder = tv.TorchRecorder(model, DOMAIN, output=output, data=(X, y)).start()
    torch.save({"epoch": 0, "state_dict": model.state_dict()}, tmp_path / "0.pt")
    found = replay(tmp_path / "0.pt", model=model, domain=DOMAIN, output=output, data=(X, y))
    assert found.output == recorder.recording.output
    assert_equal(found, recorder.recording)
    assert (found.data.y == y).all()


def test_a_file_with_more_than_weights_says_how_to_allow_it(tmp_path):
    path = tmp_path / "3.pt"
    torch.save(network(), path)
    with pytest.raises(CheckpointError, match=r"can run code .*Sequential.*allow_pickle=True"):
        replay(path, model=network, domain=DOMAIN)
    one = replay(path, domain=DOMAIN, allow_pickle=True)
    other = replay(path, model=network(5), domain=DOMAIN, allow_pickle=True)
    assert_equal(one, other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_says_what_to_do(tmp_path):
    path = tmp_path / "3.pt"
    torch.jit.save(torch.jit.trace(network().eval(), torch.zeros(1, 2)), path)
    with pytest.raises(CheckpointError, match=r"TorchScript.*load=torch\.jit\.load"):
        replay(path, model=network, domain=DOMAIN)
    assert len(replay(path, load=torch.jit.load, domain=DOMAIN)) == 1


def test_files_of_old_versions_of_torch_are_read(tmp_path):
    torch.save(network().state_dict(), tmp_path / "1.pt", _use_new_zipfile_serialization=False)
    torch.save(network().state_dict(), tmp_path / "2.pt")
    found = replay(tmp_path, model=network, domain=DOMAIN)
    np.testing.assert_array_equal(found[0].probabilities, found[1].probabilities)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"domain": None}, TypeError, "domain=None: expected a trainviz.Domain"),
        ({"model": None}, TypeError, "model= is missing"),
        ({"model": nn.Linear(2, 3).state_dict()}, TypeError, r"(?s)model=.*expected a callable"),
        ({"load": torch.load}, TypeError, "give one of them"),
        ({"on_error": "warn"}, ValueError, "on_error='warn': expected 'raise' or 'skip'"),
        ({"allow_pickle": "no"}, TypeError, "allow_pickle='no': expected True or False"),
        ({"output": "odds"}, ValueError, "output='odds'"),
        ({"evaluation": "sparse"}, ValueError, "evaluation='sparse'"),
        ({"resume": True}, ValueError, "resume=True needs path="),
        ({"model": lambda: 3}, TypeError, "model=.*returned int: expected a torch.nn.Module"),
        ({"model": nn.Linear}, TypeError, "model=Linear cannot be called without arguments"),
    ],
)
def test_arguments_that_are_none(runs, options, error, message):
    saved(runs)
    with pytest.raises(error, match=message):
        replay(runs, **{"model": network, "domain": DOMAIN, "on_error": "skip", **options})


@pytest.mark.parametrize(
    ("checkpoints", "error", "message"),
    [
        ("nowhere/*.pt", CheckpointError, "no file matches"),
        ("nowhere.pt", CheckpointError, "nowhere.pt: there is no such file"),
        ([], CheckpointError, "no checkpoint is listed"),
        (3, TypeError, "got 3, expected a path, a glob, a folder"),
        ([b"1.pt"], TypeError, "got b'1.pt'"),
        ({-1: "1.pt"}, ValueError, "the epoch -1 is negative"),
        ({"one": "1.pt"}, TypeError, "the epoch 'one' is no whole number"),
    ],
)
def test_checkpoints_that_are_none(checkpoints, error, message):
    with pytest.raises(error, match=message):
        replay(checkpoints, model=network, domain=DOMAIN)


def test_folders_and_kinds_that_cannot_be_read(runs):
    runs.mkdir()
    with pytest.raises(CheckpointError, match=r"holds no \.ckpt, .*load="):
        replay(runs, model=network, domain=DOMAIN)
    (runs / "1.onnx").touch()
    with pytest.raises(CheckpointError, match=r"1\.onnx: its kind is not known.*load="):
        replay([runs / "1.onnx"], model=network, domain=DOMAIN)
    (runs / "1.pt").touch()
    (runs / "2.keras").touch()
    with pytest.raises(CheckpointError, match="files of Keras and of torch"):
        replay(runs, model=network, domain=DOMAIN)


# On disk.


def test_a_replay_is_written_as_it_goes_and_can_be_continued(runs, tmp_path):
    saved(runs, epochs=6)
    path, whole = tmp_path / "a.zarr", tmp_path / "whole.zarr"
    good = (runs / "epoch-3.pt").read_bytes()
    (runs / "epoch-3.pt").write_bytes(b"unfinished")
    with pytest.raises(CheckpointError, match=r"epoch-3\.pt"):
        replay({3: runs / "epoch-3.pt"}, model=network, domain=LARGE, path=path)
    os.remove(runs / "epoch-3.pt")
    os.mkdir(runs / "epoch-3.pt")
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "other.pt")
    mapping = {epoch: runs / f"epoch-{epoch}.pt" for epoch in range(7)}
    with pytest.raises(CheckpointError, match=r"other\.pt does not fit"):
        replay({**mapping, 3: tmp_path / "other.pt"}, model=network, domain=LARGE, path=path)
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2]
    os.rmdir(runs / "epoch-3.pt")
    (runs / "epoch-3.pt").write_bytes(good)
    with pytest.raises(tv.RecordingError, match="holds a recording already"):
        replay(mapping, model=network, domain=LARGE, path=path)
    loaded = []

    def load(name):
        loaded.append(os.path.basename(name))
        model = network()
        model.load_state_dict(torch.load(name, weights_only=True))
        return model

    replay(mapping, load=load, domain=LARGE, path=path, resume=True)
    assert loaded == [f"epoch-{epoch}.pt" for epoch in (3, 4, 5, 6)]
    assert_equal(tv.open_recording(path), replay(runs, model=network, domain=LARGE, path=whole))


def test_what_comes_before_the_last_recorded_epoch_cannot_be_added(runs, tmp_path):
    saved(runs)
    path = tmp_path / "a.zarr"
    replay([runs / "epoch-1.pt", runs / "epoch-4.pt"], model=network, domain=DOMAIN, path=path)
    message = r"epoch-2\.pt: it is of epoch 2, and the recording goes to epoch 4 already"
    with pytest.raises(CheckpointError, match=message):
        replay(runs, model=network, domain=DOMAIN, path=path, resume=True)
    assert tv.open_recording(path).epochs.tolist() == [1, 4]
    replay(runs, model=network, domain=DOMAIN, path=path, overwrite=True)
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4]


def test_a_progress_bar_is_shown_when_asked_for(runs, capsys, monkeypatch):
    saved(runs)
    replay(runs, model=network, domain=DOMAIN)
    assert capsys.readouterr().err == ""
    replay(runs, model=network, domain=DOMAIN, progress=True)
    assert "5/5" in capsys.readouterr().err


# On the command line.

NETWORKS = """
import torch
from torch import nn

print("imported")
def network():
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
class Wrong:
    pass
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with checkpoints in ``runs``, data, and a module that makes the network."""
    saved(tmp_path / "runs")
    np.savez(tmp_path / "data.npz", X=X, y=Y)
    (tmp_path / "project_networks.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("project_networks", None)


WINDOW = ["--xlim", "-2", "2", "--ylim", "-1", "1", "--resolution", "20"]
MODEL = ["--model", "project_networks:network", "-o", "a.zarr"]


def test_the_command_records_and_says_how_to_go_on(project, capsys):
    assert main(["replay", "runs", *MODEL, *WINDOW, "--data", "data.npz"]) == 0
    told = capsys.readouterr()
    assert "a.zarr: Recording(5 snapshots, epochs 0 to 4, 3 classes, grid 20x20)" in told.out
    opened = tv.open_recording("a.zarr")
    assert opened.domain == tv.Domain((-2, 2), (-1, 1), points_per_axis=20)
    assert_equal(opened, replay("runs", model=network, domain=opened.domain), atol=1e-3)
    assert opened.data_labels.tolist() == Y.tolist()
    hint = told.out.split("Render it:\n")[1].strip()
    assert hint.startswith("trainviz render ")
    assert main(shlex.split(hint)[1:]) == 0
    assert Path("film.mp4").stat().st_size > 1000


def test_the_command_takes_data_in_groups(project):
    np.savez("groups.npz", X_train=X[:30], y_train=Y[:30], X_test=X[30:], y_test=Y[30:])
    assert main(["replay", "runs", *MODEL, "--data", "groups.npz", "--resolution", "20"]) == 0
    found = tv.open_recording("a.zarr")
    assert found.data.group_names == ("train", "test")
    assert found.domain == tv.Domain.around(X, resolution=20)


def test_the_command_lists_what_it_skips(project, capsys):
    (project / "runs" / "epoch-2.pt").write_bytes(b"damaged")
    files = sorted(str(path) for path in Path("runs").iterdir())
    arguments = ["replay", *files, *MODEL, "--data", "data.npz", "--resolution", "20"]
    assert main(arguments) == 1
    assert re.search(r"^trainviz: runs/epoch-2\.pt cannot be read", capsys.readouterr().err)
    assert main([*arguments, "--skip"]) == 0
    told = capsys.readouterr()
    assert re.fullmatch(r"trainviz: skipped: runs/epoch-2\.pt cannot be read[^\n]*\n", told.err)
    assert "4 snapshots" in told.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*MODEL, "--xlim", "0", "1"], "give --xlim LOW HIGH and --ylim LOW HIGH, or --data alone"),
        (["-o", "a.zarr", *WINDOW], "model= is missing"),
        (["-o", "a.zarr", *WINDOW, "--model", "project_networks"], "expected MODULE:NAME"),
        (["-o", "a.zarr", *WINDOW, "--model", "no_such:thing"], "no_such:thing: ModuleNotF"),
        (["-o", "a.zarr", *WINDOW, "--model", "project_networks:nothing"], "AttributeError"),
        (["-o", "a.zarr", *WINDOW, "--model", "project_networks:Wrong"], "returned Wrong: "),
        ([*MODEL, "--data", "runs/epoch-1.pt"], "epoch-1.pt: expected a file that numpy"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_work_is_one_line(project, capsys, arguments, message):
    assert main(["replay", "runs", *arguments]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("trainviz: ")
    assert message in told[0]
    assert not Path("a.zarr").exists()
