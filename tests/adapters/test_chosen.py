"""Recorders of trainers that are given no domain: they choose one for the training data."""

import random

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import trainviz as tv

X = torch.tensor(np.random.default_rng(0).normal(size=(48, 2)), dtype=torch.float32)
Y = (X[:, 0] > 0).long()
LINE = "tv.LightningRecorder(tv.Domain.around(X, margin=0.1), data=(X, y), {}evaluation='dense')"


class Module(pl.LightningModule):
    def __init__(self, features=2, outputs=2):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(features, outputs))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


SHARED = np.random.default_rng(4)


class Noisy(Dataset):
    """Draws from every stream there is, also from two of its own, and counts its calls."""

    classes = ("left", "right")

    def __init__(self):
        self.rng, self.calls, self.shared = torch.Generator(), 0, lambda: SHARED.normal()

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        self.calls += 1
        noise = random.random() + np.random.random() + self.shared() + self.calls  # noqa: NPY002
        noise = noise + torch.randn(2) + torch.randn(2, generator=self.rng)
        return X[index] + 0.01 * noise, Y[index]


class Counting(IterableDataset):
    def __iter__(self):
        for point, label in zip(X, Y, strict=True):
            yield point + 0.1 * torch.randn(2), label


def fit(*callbacks, data=None, module=None, epochs=2, resume=None, **options):
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=list(callbacks), accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False,
        **{"enable_checkpointing": False, **options},
    )  # fmt: skip
    module = module or Module()
    loader = DataLoader(TensorDataset(X, Y), 16, shuffle=True) if data is None else data
    trainer.fit(module, loader, ckpt_path=resume)
    return module


@pytest.mark.parametrize("make", [Noisy, Counting, lambda: TensorDataset(X, Y)])
@pytest.mark.parametrize("workers", [0, 1])
def test_training_is_bit_identical_where_the_window_is_chosen(make, workers):
    def trained(*callbacks):
        pl.seed_everything(5)
        SHARED.bit_generator.state = np.random.default_rng(4).bit_generator.state
        dataset = make()
        shuffled = not isinstance(dataset, IterableDataset)
        loader = DataLoader(dataset, 16, shuffle=shuffled, num_workers=workers)
        module = fit(*callbacks, data=loader)
        streams = torch.get_rng_state().tolist(), random.random(), np.random.random()  # noqa: NPY002
        return module.state_dict(), streams, SHARED.random(), getattr(dataset, "calls", 0)

    bare = trained()
    recorder = tv.LightningRecorder(evaluation="dense")
    recorded = trained(recorder)
    assert len(recorder.recording) == 3
    assert len(recorder.recording.data.y) == 48
    for name, value in bare[0].items():
        assert torch.equal(value, recorded[0][name]), name
    assert recorded[1:] == bare[1:]


def test_the_line_makes_the_same_recorder(capsys):
    recorder = tv.LightningRecorder(evaluation="dense", weights="averaged", every=2)
    assert capsys.readouterr().out == ""
    average = pl.callbacks.EMAWeightAveraging()
    fit(recorder, average, data=DataLoader(Noisy(), 16))
    line = capsys.readouterr().out.strip()
    assert line.endswith("  # X, y: recording.data.X and .y, 48 samples of the training data")
    assert "weights='averaged', data=(X, y), evaluation='dense', every=2, class_names=" in line
    data = recorder.recording.data
    twin = eval(line, {"tv": tv, "X": data.X, "y": data.y})
    assert twin.recorder.domain == recorder.recorder.domain
    fit(twin, pl.callbacks.EMAWeightAveraging(), data=DataLoader(Noisy(), 16))
    assert twin.recording.epochs.tolist() == recorder.recording.epochs.tolist() == [0, 2]
    assert twin.recording.class_names == ["left", "right"]


def test_images_have_a_plane_and_only_the_samples_of_a_subset_are_drawn(capsys):
    images = torch.randn(48, 1, 4, 4)
    subset = Subset(TensorDataset(images, Y), range(10, 40))
    recorder = tv.LightningRecorder(evaluation="dense")
    fit(recorder, data=DataLoader(subset, 16), module=Module(16), epochs=1)
    assert "tv.Domain.principal(X, margin=0.1)" in capsys.readouterr().out
    assert recorder.recording.domain.input_shape == (1, 4, 4)
    np.testing.assert_array_equal(recorder.recording.data.X, images[10:40])


def test_before_the_fit_there_is_no_recording_and_a_dry_run_makes_none():
    recorder = tv.LightningRecorder(every=2)
    for ask in (lambda: recorder.recording, lambda: recorder.recorder, recorder.widget):
        with pytest.raises(tv.RecordingError, match="chooses one for the training data when a fit"):
            ask()
    assert recorder.state_dict() == {}
    fit(recorder, fast_dev_run=True)
    with pytest.raises(tv.RecordingError, match="no recording"):
        recorder.recording  # noqa: B018
    with pytest.raises(TypeError, match="evry"):
        tv.LightningRecorder(evry=2)
    with pytest.raises(ValueError, match="every=0"):
        tv.LightningRecorder(every=0)


def test_a_run_with_random_samples_is_resumed_on_the_same_window(tmp_path):
    def recorder():
        return tv.LightningRecorder(evaluation="dense", path=tmp_path / "run.zarr")

    checkpoint = ModelCheckpoint(tmp_path, save_last=True)
    options = {"enable_checkpointing": True, "default_root_dir": tmp_path}
    fit(recorder(), checkpoint, data=DataLoader(Noisy(), 16), **options)
    torch.randn(7)  # another process is at another place of its random streams
    again = recorder()
    fit(again, data=DataLoader(Noisy(), 16), epochs=4, resume=tmp_path / "last.ckpt", **options)
    assert again.recording.epochs.tolist() == [0, 1, 2, 3, 4]


def test_more_outputs_than_the_data_set_has_classes_are_refused_before_training():
    data, module = DataLoader(Noisy(), 16), Module(outputs=3)
    with pytest.raises(tv.PredictionError, match="2 names, but the model returns 3 classes"):
        fit(tv.LightningRecorder(), data=data, module=module)
    recorder = tv.LightningRecorder(class_names=None)
    fit(recorder, data=data, module=module)
    assert recorder.recording.class_names == ["0", "1", "2"]


def test_data_are_used_where_they_are_given(capsys):
    recorder = tv.LightningRecorder(data=(X, Y), evaluation="dense")
    assert capsys.readouterr().out.strip() == LINE.format("")
    assert recorder.recorder.domain == tv.Domain.around(X)
    tv.LightningRecorder(data={"train": (X, Y), "test": (X[:5], Y[:5])})
    line = capsys.readouterr().out
    assert "around(data['train'][0], margin=0.1), data=data)" in line
    fit(recorder)
    assert recorder.recording.epochs.tolist() == [0, 1, 2]


class Dicts(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"image": X[index], "label": Y[index]}


class Broken(Dicts):
    def __getitem__(self, index):
        raise OSError("no such file")


class Locked(Dicts):
    def __init__(self):
        self.file = open(__file__)  # noqa: SIM115


class Tokens(Dicts):
    def __getitem__(self, index):
        return Y[:3], Y[index]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DataLoader(Dicts()), r"are a dict of \['image', 'label'\]"),
        (DataLoader(Broken()), r"Broken cannot be taken \(OSError: no such file\)"),
        (DataLoader(Locked()), r"Locked cannot be copied .*TextIOWrapper"),
        (DataLoader(Tokens()), "are torch.int64: a plane is made of floating point"),
        ({"a": DataLoader(Dicts()), "b": DataLoader(Dicts())}, "the training data are a dict"),
        (DataLoader(TensorDataset(X, X[:, 0])), "y holds fractions.*say output='values'"),
    ],
)
def test_what_no_window_can_be_chosen_for_says_what_to_give(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit(tv.LightningRecorder(), data=data)
    assert (
        "tv.watch" in str(caught.value)
        or "output=" in str(caught.value)
        or ("trainviz.watch(model, X, y)" in str(caught.value))
    )


def test_keras_chooses_for_given_data_and_says_that_it_sees_no_other(capsys):
    keras = pytest.importorskip("keras")
    with pytest.raises(TypeError, match=r"give data=\(X, y\).*trainviz.watch\(model, X, y\)"):
        tv.KerasRecorder()
    points, labels = X.numpy(), np.arange(48) % 2
    recorder = tv.KerasRecorder(data=(points, labels), every=2, output="logits")
    line = capsys.readouterr().out.strip()
    assert line == (
        "tv.KerasRecorder(tv.Domain.around(X, margin=0.1), output='logits', data=(X, y), every=2)"
    )
    twin = eval(line, {"tv": tv, "X": points, "y": labels})
    assert twin.recorder.domain == recorder.recorder.domain
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(points, labels, epochs=2, verbose=0, callbacks=[recorder])
    assert recorder.recording.epochs.tolist() == [0, 2]
