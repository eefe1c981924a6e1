"""A replay on the workers of a Dask cluster: whole, and equal to the serial one."""

import os
import signal
import threading
import time
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from torch import nn

import trainviz as tv
from trainviz import CheckpointError, ReplayWarning, replay

pytestmark = pytest.mark.slow

DOMAIN = tv.Domain((-2, 2), (-1, 1), shape=(90, 100))
DATA = (np.random.default_rng(0).uniform(-1, 1, (20, 2)), np.arange(20) % 3)


def network():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    for epoch in range(12):
        torch.manual_seed(epoch)
        torch.save(network().state_dict(), folder / f"{epoch}.pt")
    return folder


def serial(runs, folder, **options):
    options = {"model": network, "domain": DOMAIN, "data": DATA, **options}
    return replay(runs, path=folder / "serial.zarr", **options)


def chunks(path):
    """The bytes of every chunk of a recording."""
    files = (file for file in Path(path).rglob("*") if file.is_file() and "/c/" in str(file))
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def assert_same_files(one, other):
    ours, theirs = chunks(one), chunks(other)
    assert ours.keys() == theirs.keys()
    assert ours == theirs
    assert not list(Path(one).rglob(".staged*"))


@pytest.mark.parametrize("model", ["factory", "instance"])
def test_the_recording_is_the_serial_one_to_the_byte(client, runs, tmp_path, monkeypatch, model):
    serial(runs, tmp_path)
    monkeypatch.chdir(tmp_path)  # where the workers are not
    given = network if model == "factory" else network()
    found = replay("runs", model=given, domain=DOMAIN, data=DATA, path="a.zarr", scheduler=client)
    assert found.epochs.tolist() == list(range(12))
    assert_same_files("a.zarr", "serial.zarr")
    assert tv.open_recording("a.zarr").epochs.tolist() == list(range(12))


def test_an_address_is_a_scheduler_too(client, runs, tmp_path):
    address = client.scheduler.address
    path = tmp_path / "a.zarr"
    serial(runs, tmp_path)
    replay(runs, model=network, domain=DOMAIN, data=DATA, path=path, scheduler=address)
    assert_same_files(path, tmp_path / "serial.zarr")


class Slow(nn.Sequential):
    """Waits at every call, so that there is a middle in which to be killed."""

    def __init__(self):
        super().__init__(*network())

    def forward(self, x):
        time.sleep(0.05)
        return super().forward(x)


def test_a_worker_killed_in_the_middle_costs_nothing(client, runs, tmp_path):
    serial(runs, tmp_path)
    path = tmp_path / "a.zarr"
    pids = list(client.run(os.getpid).values())
    killed = []

    def kill_in_the_middle():
        deadline = time.monotonic() + 60
        while not (path / "zarr.json").exists() or len(tv.open_recording(path)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        killed.append(len(tv.open_recording(path)))

    killer = threading.Thread(target=kill_in_the_middle, daemon=True)
    killer.start()
    found = replay(runs, model=Slow, domain=DOMAIN, data=DATA, path=path, scheduler=client)
    killer.join()
    assert 3 <= killed[0] < 12
    assert len(found) == 12
    assert_same_files(path, tmp_path / "serial.zarr")
    assert pids[0] not in client.run(os.getpid).values()


def test_what_cannot_be_replayed_is_skipped_and_leaves_no_gap(client, runs, tmp_path):
    torch.save(nn.Linear(2, 3).state_dict(), runs / "2.pt")
    torch.save(nn.Linear(2, 3).state_dict(), runs / "7.pt")
    with pytest.warns(ReplayWarning):
        serial(runs, tmp_path, on_error="skip")
    path = tmp_path / "a.zarr"
    options = {"model": network, "domain": DOMAIN, "data": DATA, "scheduler": client, "path": path}
    with pytest.warns(ReplayWarning, match="2 checkpoints were skipped") as told:
        found = replay(runs, on_error="skip", **options)
    assert [Path(name).name for name, _ in told[0].message.skipped] == ["2.pt", "7.pt"]
    assert found.epochs.tolist() == [0, 1, 3, 4, 5, 6, 8, 9, 10, 11]
    assert_same_files(path, tmp_path / "serial.zarr")


def test_an_error_keeps_what_came_before_and_a_resumed_replay_completes_it(client, runs, tmp_path):
    serial(runs, tmp_path)
    path = tmp_path / "a.zarr"
    options = {"model": network, "domain": DOMAIN, "data": DATA, "scheduler": client, "path": path}
    good = (runs / "5.pt").read_bytes()
    torch.save(nn.Linear(2, 3).state_dict(), runs / "5.pt")
    with pytest.raises(CheckpointError, match=r"5\.pt does not fit the model"):
        replay(runs, **options)
    assert tv.open_recording(path).epochs.tolist() == [0, 1, 2, 3, 4]
    (runs / "5.pt").write_bytes(good)
    replay(runs, resume=True, **options)
    assert_same_files(path, tmp_path / "serial.zarr")


def test_threads_of_a_worker_do_not_share_a_model(runs, tmp_path):
    serial(runs, tmp_path)
    path = tmp_path / "a.zarr"
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        replay(runs, model=Slow(), domain=DOMAIN, data=DATA, path=path, scheduler=client)
    assert_same_files(path, tmp_path / "serial.zarr")


def end_worker(path):
    os._exit(1)


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_that_ends_its_workers_is_named(client, runs, tmp_path):
    with pytest.raises(CheckpointError, match=r"0\.pt .*ended its worker"):
        replay(
            [runs / "0.pt"], load=end_worker, domain=DOMAIN, path=tmp_path / "a.zarr",
            scheduler=client,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("scheduler", "error", "message"),
    [
        (3, TypeError, "scheduler=3: expected a distributed.Client"),
        ("tcp://127.0.0.1:1", CheckpointError, "does not answer"),
    ],
)
def test_schedulers_that_are_none(runs, tmp_path, scheduler, error, message):
    patience = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with patience, pytest.raises(error, match=message):
        replay(runs, model=network, domain=DOMAIN, path=tmp_path / "a.zarr", scheduler=scheduler)
