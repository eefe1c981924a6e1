"""Every adapter records to disk, and continues there."""

import numpy as np
import pytest
import torch
from lightning import pytorch as pl
from sklearn.linear_model import SGDClassifier

from trainviz import (
    Domain,
    LightningRecorder,
    RecordingError,
    SklearnRecorder,
    TorchRecorder,
    open_recording,
    record_stages,
)

DOMAIN = Domain((-1, 1), (-1, 1), points_per_axis=5)
X = np.random.default_rng(0).normal(size=(32, 2))
y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


def loop(path, epochs, **options):
    model = torch.nn.Linear(2, 2)
    with TorchRecorder(model, DOMAIN, path=path, **options) as recorder:
        for epoch in epochs:
            recorder.epoch_end(epoch, loss=1.0 / (1 + epoch))
    return open_recording(path).epochs.tolist()


def test_a_torch_loop(path):
    assert loop(path, range(4), every=2) == [0, 2, 4]
    assert not (path / "x" / ".lock").exists()  # the end of the block has closed it


def test_a_torch_loop_is_continued_where_the_loop_says(path):
    loop(path, range(6))
    assert loop(path, range(3, 5), resume=True) == [0, 1, 2, 3, 4, 5]
    assert loop(path, range(5, 8), resume=True) == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_a_loop_that_has_nothing_left_to_do_changes_nothing(path):
    loop(path, range(6))
    assert loop(path, [], resume=True) == [0, 1, 2, 3, 4, 5, 6]


def test_a_path_that_is_taken_is_refused_when_the_recorder_is_made(path):
    loop(path, range(2))
    with pytest.raises(RecordingError, match="give resume=True to continue it"):
        TorchRecorder(torch.nn.Linear(2, 2), DOMAIN, path=path)


def test_a_loop_that_fails_leaves_its_recording_unlocked(path):
    recorder = TorchRecorder(torch.nn.Linear(2, 2), DOMAIN, path=path)
    with pytest.raises(ZeroDivisionError), recorder:
        recorder.epoch_end(0, loss=1 / 0)
    assert open_recording(path).epochs.tolist() == [0]
    assert not (path / "x" / ".lock").exists()


def test_scikit_learn(path):
    model = SGDClassifier(loss="log_loss")
    with SklearnRecorder(model, DOMAIN, path=path, data=(X, y)) as recorder:
        for epoch in range(3):
            model.partial_fit(X, y, classes=[0, 1])
            recorder.epoch_end(epoch)
    opened = open_recording(path)
    assert opened.epochs.tolist() == [1, 2, 3]
    assert opened.class_names == ["0", "1"]


def test_the_stages_of_a_boosting_model(path):
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=4).fit(X, y)
    record_stages(model, DOMAIN, every=2, path=path)
    assert open_recording(path).epochs.tolist() == [2, 4]


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(recorder, epochs, tmp_path, checkpoint=None):
    rows = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*rows), batch_size=16)
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[recorder], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Classifier(), loader, ckpt_path=checkpoint)
    trainer.save_checkpoint(tmp_path / f"{epochs}.ckpt")


@pytest.mark.filterwarnings("ignore")
def test_lightning_continues_the_recording_of_its_checkpoint(path, tmp_path):
    fit(LightningRecorder(DOMAIN, path=path), 2, tmp_path)
    fit(LightningRecorder(DOMAIN, path=path, resume=True), 5, tmp_path, tmp_path / "2.ckpt")
    assert open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4, 5]
    # What came after the checkpoint is superseded.
    fit(LightningRecorder(DOMAIN, path=path, resume=True), 3, tmp_path, tmp_path / "2.ckpt")
    assert open_recording(path).epochs.tolist() == [0, 1, 2, 3]
    assert open_recording(path).steps.tolist() == [0, 2, 4, 6]


def test_a_rank_that_does_not_record_touches_nothing(path, tmp_path):
    class Other(pl.Trainer):
        is_global_zero = False

    recorder = LightningRecorder(DOMAIN, path=path)
    other = Other(
        max_epochs=1, callbacks=[recorder], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    rows = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    other.fit(Classifier(), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*rows)))
    assert not path.exists()
