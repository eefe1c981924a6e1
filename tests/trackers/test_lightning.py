"""Lightning: the loggers that the trainer has, at the steps of its own curves."""

import warnings

import lightning.pytorch as pl
import mlflow
import pytest
import pytorch_lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(6, 8))
X = torch.randn(48, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def fit(recorders, loggers, library=pl, epochs=3, fail_at=None):
    """Fit 3 batches an epoch, with two optimisers, so that a batch counts as two global steps."""

    class Module(library.LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.first, self.last = torch.nn.Linear(2, 8), torch.nn.Linear(8, 3)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)))

        def training_step(self, batch, batch_idx):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            optimizers = self.optimizers()
            self.manual_backward(loss)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            self.log("loss", loss, on_epoch=True, on_step=False)
            if self.current_epoch == fail_at:
                raise RuntimeError("out of memory")

        def configure_optimizers(self):
            return [torch.optim.SGD(part.parameters(), 0.1) for part in (self.first, self.last)]

    torch.manual_seed(1)
    module = Module()
    trainer = library.Trainer(
        max_epochs=epochs, callbacks=recorders, logger=loggers,
        accelerator="cpu", enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True))
    return [
        *(value.tolist() for value in module.state_dict().values()),
        torch.get_rng_state().tolist(),
    ]


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("library", [pl, pytorch_lightning])
def test_every_logger_gets_stills_film_and_page(tmp_path, monkeypatch, events_of, rows_of, library):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    kept = library.loggers
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    loggers = [
        kept.TensorBoardLogger(tmp_path, "board", 0),
        kept.WandbLogger(save_dir=tmp_path, settings={"console": "off"}),
        kept.MLFlowLogger("test", tracking_uri=store, artifact_location=(tmp_path / "m").as_uri()),
        kept.CSVLogger(tmp_path, "csv"),
    ]
    recorder = tv.LightningRecorder(DOMAIN, data=(X, Y), log=True)
    recorded = fit([recorder], loggers, library)
    loggers[1].experiment.finish()

    board = events_of(tmp_path / "board" / "version_0")
    curve = [point.step for point in board.Scalars("loss")]
    assert curve == [2, 5, 8]
    assert [point.step for point in board.Images("trainviz/still")] == [0, *curve]
    assert [point.step for point in board.Images("trainviz/film")] == curve[-1:]
    assert [point.step for point in board.Scalars("trainviz/churn")] == curve

    rows = rows_of(tmp_path)
    stills = [row for row in rows if "trainviz/still/path" in row]
    assert [row["trainer/global_step"] for row in stills] == [0, *curve]
    assert [row["trainer/global_step"] for row in rows if "loss" in row] == curve
    last = {name for row in rows for name in row if row["trainer/global_step"] == curve[-1]}
    assert {"trainviz/film/path", "trainviz/page/path"} <= last

    client, run_id = mlflow.MlflowClient(store), loggers[2].run_id
    artifacts = {file.path for file in client.list_artifacts(run_id, "trainviz")}
    assert artifacts == {"trainviz/trainviz.gif", "trainviz/trainviz.html"}
    points = client.get_metric_history(run_id, "trainviz/churn")
    assert sorted(point.step for point in points) == curve
    assert recorded == fit([], False, library)


def test_a_fit_that_fails_leaves_its_film(tmp_path, events_of):
    recorder = tv.LightningRecorder(DOMAIN, log="plane")
    with pytest.raises(RuntimeError, match="out of memory"):
        fit([recorder], pl.loggers.TensorBoardLogger(tmp_path, "", ""), epochs=5, fail_at=2)
    found = events_of(tmp_path)
    assert [film.step for film in found.Images("plane/film")] == [5]
    assert [still.step for still in found.Images("plane/still")] == [0, 2, 5]


def test_steps_captured_in_the_background_stand_where_their_batch_does(tmp_path, events_of):
    recorder = tv.LightningRecorder(DOMAIN, every_n_steps=2, background=True, log=True)
    fit([recorder], pl.loggers.TensorBoardLogger(tmp_path, "", ""), epochs=2)
    # Two optimisers: every batch. The first batch's curves are at step 0, as is the start.
    found = events_of(tmp_path)
    assert [point.step for point in found.Scalars("trainviz/area of 0")] == [0, 0, 1, 2, 3, 4, 5]


def test_two_recorders_have_tags_of_their_own(tmp_path, events_of):
    first, second = (tv.LightningRecorder(DOMAIN, log=True, **k) for k in ({}, {"at": [1]}))
    fit([first, second], pl.loggers.TensorBoardLogger(tmp_path, "", ""), epochs=1)
    tags = events_of(tmp_path).Tags()["images"]
    assert sorted(tags) == [
        "trainviz 2/film", "trainviz 2/still", "trainviz/film", "trainviz/still",
    ]  # fmt: skip


def test_a_trainer_without_a_logger_is_told_of():
    recorder = tv.LightningRecorder(DOMAIN, log=True)
    with pytest.warns(tv.CaptureWarning, match="log=True has no effect: the trainer has no logger"):
        fit([recorder], False, epochs=1)
    assert recorder.recording.epochs.tolist() == [0, 1]


def test_a_trainer_is_a_target_for_a_finished_recording(tmp_path, events_of):
    recorder = tv.LightningRecorder(DOMAIN)
    logger = pl.loggers.TensorBoardLogger(tmp_path, "", "")
    fit([recorder], logger, epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tv.log_to(logger, recorder, film=None, page=False)
    found = events_of(tmp_path)
    assert [still.step for still in found.Images("trainviz/still")] == [0, 2, 5]
