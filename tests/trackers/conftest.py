"""Training that is logged, and readers of what trackers have kept."""

import json
import os
import random
import struct
import time

# Before MLflow is imported: its telemetry sends, and draws from Python's random stream.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
import pytest

import trainviz as tv

DOMAIN = tv.Domain((-2, 2), (-1.5, 1.5), shape=(12, 16))
X = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
BLOCK = 32768


@pytest.fixture
def train():
    """Train a network of torch that draws from every random stream; return all that it leaves."""
    import torch

    def train(log=None, epochs=5, each_epoch=lambda epoch, loss: None):
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        model = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 3)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = tv.TorchRecorder(model, DOMAIN, data=(X, Y), class_names=["ash", "birch", "oak"])
        logged = None if log is None else log(recorder)
        with recorder:
            for epoch in range(epochs):
                order = random.sample(range(len(X)), len(X))
                noise = np.random.normal(scale=0.01, size=X.shape)  # noqa: NPY002
                inputs = torch.tensor(X[order] + noise, dtype=torch.float32)
                loss = torch.nn.functional.cross_entropy(model(inputs), torch.tensor(Y[order]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                recorder.epoch_end(epoch, loss=loss.item())
                each_epoch(epoch, loss.item())
        weights = [value.tolist() for value in model.state_dict().values()]
        streams = (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
        )
        return recorder.recording, logged, (weights, streams)

    return train


@pytest.fixture
def wandb_run(tmp_path, monkeypatch):
    """Start an offline run of Weights & Biases in the test's folder."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    with wandb.init(project="test", dir=tmp_path, settings=wandb.Settings(console="off")) as run:
        yield run


def wandb_rows(folder):
    """Return the rows of the history of the one offline run in a folder, each a dict by key."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    kept = []
    # The process of wandb writes the end of the file after the run is finished here.
    for _ in range(500):
        kept = list(wandb_records(path.read_bytes()))
        if any(record.WhichOneof("record_type") == "exit" for record in kept):
            break
        time.sleep(0.02)
    return [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json)
         for item in record.history.item}
        for record in kept if record.WhichOneof("record_type") == "history"
    ]  # fmt: skip


def wandb_records(data):
    """Yield wandb's own messages from a log in LevelDB's format, after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    place, parts = 7, []
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        # 1 is a whole message, 2 to 4 are the first, middle and last parts of one.
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(b"".join(parts))
            parts = []


@pytest.fixture
def rows_of():
    return wandb_rows


@pytest.fixture
def mlflow_run(tmp_path, monkeypatch):
    """Start a run of MLflow whose store is a database in the test's folder."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("test", artifact_location=(tmp_path / "kept").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        yield run
    mlflow.set_tracking_uri(before)


@pytest.fixture
def events_of():
    """Read a folder of TensorBoard with all of its pictures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
        return found.Reload()

    return read
