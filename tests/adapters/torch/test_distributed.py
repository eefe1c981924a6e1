"""Several ranks, one recording: real process groups of two processes on gloo.

The processes live as long as this file's tests; each test hands both of them a
function of this file, which runs there as it would under ``torchrun``.
"""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
import pickle
import random
import runpy
import time
import warnings

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

import trainviz as tv

RANKS = 2
PATIENCE = 60
DENSE = tv.Domain((-2, 2), (-1, 3), shape=(20, 30))
FINE = tv.Domain((-2, 2), (-1, 3), shape=(80, 90))
X = torch.tensor(np.random.default_rng(0).normal(size=(64, 2)), dtype=torch.float32)
Y = (X[:, 0] * X[:, 1] > 0).long() + (X[:, 1] > 1).long()


def serve(connection, rank, store):
    """Be one rank: run what is asked for, and send back what it returns or raises."""
    torch.set_num_threads(1)
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS,
           "TORCHELASTIC_RUN_ID": "trainviz", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1,
           "GROUP_RANK": 0}  # fmt: skip
    os.environ.update({name: str(value) for name, value in own.items()})
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS,
        timeout=datetime.timedelta(seconds=PATIENCE),
    )  # fmt: skip
    connection.send(None)
    while (task := connection.recv()) is not None:
        name, options = task
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = globals()[name](rank, **options)
            except Exception as error:
                result = error
        told = [w.message for w in caught if isinstance(w.message, tv.CaptureWarning)]
        try:
            connection.send((result, told))
        except Exception as error:
            connection.send((RuntimeError(f"{error}: {result!r}"), told))


class Ranks:
    def __init__(self, folder):
        context = multiprocessing.get_context("spawn")
        self.connections, self.processes = [], []
        for rank in range(RANKS):
            mine, theirs = context.Pipe()
            given = {"connection": theirs, "rank": rank, "store": str(folder / "store")}
            process = context.Process(
                target=runpy.run_path, args=(__file__, given, "one_rank"), daemon=True
            )
            process.start()
            self.connections.append(mine)
            self.processes.append(process)
        # A rank that left its group while another still entered it would make that one fail.
        for rank in range(RANKS):
            self.receive(rank, serve)

    def __call__(self, function, **options):
        """Run a function on all ranks; returns what each of them returns, and its warnings."""
        self.send(function, **options)
        answers = [self.receive(rank, function) for rank in range(RANKS)]
        self.warnings = [[str(message) for message in told] for _, told in answers]
        return [result for result, _ in answers]

    def send(self, function, **options):
        for connection in self.connections:
            connection.send((function.__name__, options))

    def receive(self, rank, function):
        if not self.connections[rank].poll(PATIENCE):
            pytest.fail(f"rank {rank} hangs in {function.__name__}")
        return self.connections[rank].recv()

    def close(self):
        for process in self.processes:
            process.kill()
            process.join()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    running = Ranks(tmp_path_factory.mktemp("ranks"))
    yield running
    running.close()


class Net(nn.Module):
    """Everything that a careless evaluation disturbs: dropout, batch norm, a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
        )
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.layers(x)


def seeded(rank=0):
    torch.manual_seed(rank)
    random.seed(rank)
    np.random.seed(rank)  # noqa: NPY002


def replica(rank):
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Net())
    seeded(rank)  # other dropout on each rank, as in real training
    return model


def steps(model, rank, count, observe=lambda: None):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(count):
        batch = torch.randperm(len(X))[:16]
        nn.functional.cross_entropy(model(X[batch]), Y[batch]).backward()
        optimizer.step()
        optimizer.zero_grad()
        observe()
    return optimizer


def everything(model, optimizer):
    """All that training can see, as a flat list of arrays."""
    state = [*model.state_dict().values()]
    for entry in optimizer.state.values():
        state += [value for value in entry.values() if isinstance(value, torch.Tensor)]
    state = [getattr(t, "to_local", lambda t=t: t)() for t in state]
    state.append(torch.get_rng_state())
    modes = [part.training for part in model.modules()]
    numbers = [*np.random.get_state()[1], *random.getstate()[1]]  # noqa: NPY002
    return [t.detach().numpy().copy() for t in state] + [np.array(numbers), np.array(modes)]


def assert_same_training(one, other):
    for before, after in zip(one, other, strict=True):
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)


def maps(recording):
    return [snapshot.probabilities for snapshot in recording]


def assert_same_maps(recording, wanted, atol=1e-5):
    assert len(recording) == len(wanted) > 0
    for ours, theirs in zip(recording, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)


# One recording, and it is the one that a single process makes.


def three_recordings(rank, **options):
    model = replica(rank)
    recs = [
        tv.TorchRecorder(
            model, domain, data=(X, Y), distributed=way, every_n_steps=2, evaluation="adaptive"
        )
        for domain in (DENSE, FINE)
        for way in ("rank_zero", "shard")
    ]
    states = [{k: v.clone() for k, v in model.module.state_dict().items()}]
    for rec in recs:
        rec.start()

    def observe():
        states.append({k: v.clone() for k, v in model.module.state_dict().items()})
        for rec in recs:
            rec.step_end()

    steps(model, rank, 5, observe)
    made = [rec.finish() for rec in recs]
    return [
        (maps(r), np.nan_to_num(r.steps).tolist(), [s.data_predictions for s in r]) for r in made
    ], states


def test_the_recording_is_the_one_of_a_single_process(ranks):
    (made, states), (others, their_states) = ranks(three_recordings)
    assert [ours for ours, _, _ in others] == [[]] * 4
    assert not torch.equal(
        states[-1]["layers.1.running_mean"], their_states[-1]["layers.1.running_mean"]
    ), "the ranks' own buffers are to differ, or this shows little"
    model = Net()
    for (recorded, counted, guesses), domain in zip(made, [DENSE] * 2 + [FINE] * 2, strict=True):
        # "auto" chooses by the time that evaluation takes, which is another in one process.
        single = tv.TorchRecorder(model, domain, data=(X, Y), evaluation="adaptive")
        for index, state in enumerate(states[k] for k in (0, 2, 4, 5)):
            model.load_state_dict(state)
            single.start() if index == 0 else single.epoch_end()
        assert counted == [0, 2, 4, 5]
        assert_same_maps(recorded, maps(single.recording))
        for ours, snapshot in zip(guesses, single.recording, strict=True):
            np.testing.assert_array_equal(ours, snapshot.data_predictions)


def counted_points(rank, points_per_axis):
    asked = []

    def predict(model, x):
        # Of so few points rank zero asks by itself, to know the model again.
        asked.append(len(x) if len(x) > 16 else 0)
        return model(x)

    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=points_per_axis)
    tv.TorchRecorder(replica(rank), domain, predict=predict, distributed="shard").start()
    return sum(asked)


def test_each_rank_is_asked_for_its_share(ranks):
    assert ranks(counted_points, points_per_axis=40) == [800, 800]


def test_few_points_are_not_worth_a_message(ranks):
    assert ranks(counted_points, points_per_axis=5) == [25, 0]


def of_one_rank_alone(rank):
    made = []
    if rank == 0:
        rec = tv.TorchRecorder(replica_alone(), DENSE, distributed="rank_zero")
        made = maps(rec.start().recording)
    return made


def replica_alone():
    torch.manual_seed(0)
    return Net()


def test_on_rank_zero_alone_no_other_rank_needs_a_recorder(ranks):
    own, other = ranks(of_one_rank_alone)
    assert len(own) == 1
    assert other == []


# Training cannot tell.


def trained(rank, distributed=None, fails_on=None, **options):
    def predict(model, x):
        answer = model(x) + 0 * torch.rand(()) * random.random() * np.random.random()  # noqa: NPY002
        if failing and rank == fails_on:
            raise RuntimeError("no luck with this")
        return answer

    failing = False
    model = replica(rank)
    rec = None
    if distributed:
        rec = tv.TorchRecorder(
            model, DENSE, distributed=distributed, predict=predict, data=(X, Y), **options
        ).start()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for epoch in range(3):
        for _ in range(3):
            batch = torch.randperm(len(X))[:16]
            nn.functional.cross_entropy(model(X[batch]), Y[batch]).backward()
            optimizer.step()
            optimizer.zero_grad()
            if rec:
                rec.step_end()
        failing = epoch == 1
        if rec:
            rec.epoch_end(loss=epoch)
        failing = False
    made = rec.finish() if rec else []
    captured = [(s.epoch, dict(s.metrics)) for s in made]
    return everything(model, optimizer), captured, rec.recorder.failures if rec else []


@pytest.mark.parametrize("distributed", ["rank_zero", "shard"])
@pytest.mark.parametrize("schedule", [{"every": 1}, {"every_n_steps": 1}])
def test_training_is_bit_identical_on_every_rank(ranks, distributed, schedule):
    bare = ranks(trained)
    recorded = ranks(trained, distributed=distributed, **schedule)
    assert_same_training([state for state, *_ in bare], [state for state, *_ in recorded])
    (_, captured, failures), (_, others, _) = recorded
    assert len(captured) == (4 if "every" in schedule else 10)
    assert captured[-1] == (3, {"loss": 2})
    assert failures == []
    assert others == []


@pytest.mark.parametrize("fails_on", [0, 1])
def test_a_rank_that_fails_makes_the_capture_fail_and_training_goes_on(ranks, fails_on):
    bare = ranks(trained)
    recorded = ranks(trained, distributed="shard", fails_on=fails_on)
    assert_same_training([state for state, *_ in bare], [state for state, *_ in recorded])
    (_, captured, failures), (_, others, other_failures) = recorded
    assert [epoch for epoch, _ in captured] == [0, 1, 3]
    [(epoch, message)] = failures
    assert epoch == 2
    assert "no luck with this" in message
    assert ("on rank 1" in message) == (fails_on == 1)
    assert others == other_failures == []
    [warning], none = ranks.warnings
    assert "epoch 2 failed" in warning
    assert none == []


def failing_first(rank, fails_on):
    def predict(model, x):
        if rank == fails_on:
            raise RuntimeError("a shape of another kind")
        return model(x)

    tv.TorchRecorder(replica(rank), DENSE, distributed="shard", predict=predict).start()


@pytest.mark.parametrize("fails_on", [0, 1])
def test_a_first_capture_that_fails_raises_on_every_rank(ranks, fails_on):
    own, other = ranks(failing_first, fails_on=fails_on)
    assert isinstance(own, tv.EvaluationError)
    assert isinstance(other, tv.EvaluationError)
    assert "a shape of another kind" in str(own)
    assert "failed on rank zero" in str(other)


def raising(rank):
    def predict(model, x):
        if broken and rank == 1:
            raise RuntimeError("broken")
        return model(x)

    broken = False
    rec = tv.TorchRecorder(
        replica(rank), DENSE, distributed="shard", predict=predict, on_error="raise"
    ).start()
    broken = True
    rec.epoch_end()


def test_on_error_raise_raises_on_every_rank(ranks):
    assert [type(error) for error in ranks(raising)] == [tv.EvaluationError] * RANKS


def short_of_memory(rank):
    def predict(model, x):
        asked.append(len(x))
        if rank == 1 and len(x) > 100:
            raise torch.OutOfMemoryError("too much at once")
        return model(x)

    asked = []
    rec = tv.TorchRecorder(replica(rank), DENSE, distributed="shard", predict=predict).start()
    return len(rec.recording), max(asked[1:])


def test_a_rank_that_runs_out_of_memory_gets_smaller_calls(ranks):
    (captured, _), (_, largest) = ranks(short_of_memory)
    assert captured == 1
    assert largest <= 150


def diverged(rank):
    model = replica(rank)
    rec = tv.TorchRecorder(model, DENSE, distributed="shard").start()
    if rank == 1:
        with torch.no_grad():
            model.module.layers[0].weight[0, 0] += 1e-3
    rec.epoch_end()
    return rec.recorder.failures


def test_replicas_that_differ_make_no_patchwork(ranks):
    [(epoch, message)], _ = ranks(diverged)
    assert epoch == 1
    assert "the weights of rank 1 are not those of rank 0" in message
    assert "distributed='rank_zero'" in message


def other_arguments(rank):
    every = {0: 2, 1: 1}[rank]
    domain = tv.Domain((0, rank + 1), (0, 1), points_per_axis=30)
    rec = tv.TorchRecorder(
        replica(rank), domain, distributed="shard", every_n_steps=every, final=False
    ).start()
    for _ in range(4):
        rec.step_end()
    rec.finish()
    return np.nan_to_num(rec.recording.steps).tolist()


def test_rank_zeros_domain_and_schedule_count(ranks):
    assert ranks(other_arguments) == [[0, 2, 4], []]


def out_of_step(rank):
    rec = tv.TorchRecorder(
        replica(rank), DENSE, distributed="shard", every_n_steps=100, final=False
    ).start()
    for turn in range(RANKS):
        if turn == rank:
            rec.step_end()
        dist.barrier()
    rec.finish()
    return len(rec.recording)


def test_a_step_that_is_not_due_waits_for_no_other_rank(ranks):
    assert ranks(out_of_step) == [1, 0]


def travelling(rank):
    model = replica(rank)
    rec = tv.TorchRecorder(model, DENSE, distributed="shard").start()
    copy = pickle.loads(pickle.dumps(rec))
    copy.epoch_end()
    return maps(copy.recording)


def test_a_recorder_travels_to_another_process(ranks):
    own, other = ranks(travelling)
    assert_same_maps(own[1:], own[:1])
    assert other == []


# Sharded models.


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(),
                         nn.Linear(16, 3))  # fmt: skip


def fully_sharded(kind):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    model = layers()
    if kind == "FullyShardedDataParallel":
        model[2] = FullyShardedDataParallel(model[2], device_id=torch.device("cpu"))
        return FullyShardedDataParallel(model, device_id=torch.device("cpu"))
    mesh = init_device_mesh("cpu", (RANKS,))
    fully_shard(model[2], mesh=mesh)
    return fully_shard(model, mesh=mesh)


def whole_weights(model, kind):
    from torch.distributed.fsdp import FullyShardedDataParallel

    if kind == "fully_shard":
        return {name: value.full_tensor() for name, value in model.state_dict().items()}
    with FullyShardedDataParallel.summon_full_params(model, writeback=False):
        return {
            name.replace("_fsdp_wrapped_module.", ""): value.detach().clone()
            for name, value in model.named_parameters()
        }


def sharded(rank, kind="fully_shard", distributed=None, domain=DENSE, initial=True):
    model = fully_sharded(kind)
    seeded(rank)
    rec, weights = None, []
    if distributed:
        rec = tv.TorchRecorder(
            model, domain, distributed=distributed, every_n_steps=2, initial=initial
        ).start()

    def observe():
        if rec:
            rec.step_end()
        weights.append(whole_weights(model, kind))

    optimizer = steps(model, rank, 4, observe)
    return everything(model, optimizer), maps(rec.recording) if rec else [], weights


@pytest.mark.parametrize("kind", ["fully_shard", "FullyShardedDataParallel"])
def test_a_sharded_model_is_asked_on_all_ranks(ranks, kind):
    bare = ranks(sharded, kind=kind)
    recorded = ranks(sharded, kind=kind, distributed="shard")
    assert_same_training([state for state, *_ in bare], [state for state, *_ in recorded])
    (_, made, weights), (_, others, _) = recorded
    assert len(made) == 3
    assert others == []
    model = layers()
    for recorded_map, step in zip(made[1:], (2, 4), strict=True):
        model.load_state_dict(weights[step - 1])
        assert_same_maps([recorded_map], maps(tv.TorchRecorder(model, DENSE).start().recording))


@pytest.mark.parametrize("initial", [True, False])
def test_a_sharded_model_can_be_asked_for_a_few_points(ranks, initial):
    domain = tv.Domain((0, 1), (0, 1), shape=(2, 2))
    (_, made, _), _ = ranks(sharded, distributed="shard", domain=domain, initial=initial)
    assert len(made) == 2 + initial


def failing_sharded(rank):
    def predict(model, x):
        # A forward that stops midway leaves the other ranks waiting in it, as it does in training.
        answer = model(x)
        if failing and rank == 1:
            raise RuntimeError("no luck with this")
        return answer

    failing = False
    rec = tv.TorchRecorder(
        fully_sharded("fully_shard"), DENSE, distributed="shard", predict=predict
    ).start()
    failing = True
    rec.epoch_end()
    failing = False
    rec.epoch_end()
    return rec.recording.epochs.tolist(), rec.recorder.failures


def test_a_sharded_model_that_fails_is_asked_again_at_the_next_capture(ranks):
    (epochs, failures), _ = ranks(failing_sharded)
    assert epochs == [0, 2]
    assert [epoch for epoch, _ in failures] == [1]


def test_rank_zero_alone_is_refused_for_a_sharded_model_on_every_rank(ranks):
    for error in ranks(sharded, distributed="rank_zero"):
        assert isinstance(error, ValueError)
        assert "distributed='shard'" in str(error)


def tensor_parallel(rank):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3))
    whole = maps(tv.TorchRecorder(model, DENSE).start().recording)
    mesh = init_device_mesh("cpu", (RANKS,))
    model = parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    rec = tv.TorchRecorder(model, DENSE, distributed="shard").start()
    return maps(rec.recording), whole


def test_ranks_that_share_each_layer_see_the_same_points(ranks):
    (made, whole), (others, _) = ranks(tensor_parallel)
    assert_same_maps(made, whole)
    assert others == []


# Lightning.


def make_module():
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True, on_step=False, sync_dist=True)
            return loss

        def on_train_epoch_end(self):
            self.log("late", float(self.current_epoch), sync_dist=True)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    return Module()


def lightning(rank, strategy="ddp", fails_on=None, recorded=True, **options):
    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, TensorDataset

    def predict(module, x):
        if rank == fails_on and module.current_epoch == 1:
            raise RuntimeError("no luck with this")
        return module(x)

    pl.seed_everything(3, verbose=False)
    module = make_module()
    rec = tv.LightningRecorder(DENSE, predict=predict, data=(X, Y), **options)
    trainer = pl.Trainer(
        max_epochs=3, callbacks=[rec] if recorded else [], accelerator="cpu", devices=RANKS,
        strategy=strategy, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True))
    metrics = {name: values.tolist() for name, values in rec.recording.metrics.items()}
    state = everything(module, trainer.optimizers[0])
    return state, maps(rec.recording), metrics, rec.recorder.failures


@pytest.mark.parametrize("schedule", [{"every": 1}, {"every_n_steps": 3}])
def test_lightning_ddp_is_recorded_once_and_the_same_either_way(ranks, schedule):
    bare = ranks(lightning, recorded=False)
    alone = ranks(lightning, distributed="rank_zero", **schedule)
    shared = ranks(lightning, distributed="shard", **schedule)
    states = [[state for state, *_ in run] for run in (bare, alone, shared)]
    assert_same_training(states[0], states[1])
    assert_same_training(states[0], states[2])
    (_, made, metrics, _), (_, others, _, _) = shared
    assert_same_maps(alone[0][1], made)
    assert others == alone[1][1] == []
    assert set(metrics) == {"loss", "late"}
    np.testing.assert_array_equal(metrics["loss"], alone[0][2]["loss"])


def test_in_lightning_a_rank_that_fails_ends_no_training(ranks):
    bare = ranks(lightning, recorded=False)
    shared = ranks(lightning, distributed="shard", fails_on=1)
    assert_same_training([state for state, *_ in bare], [state for state, *_ in shared])
    (_, made, _, failures), _ = shared
    assert len(made) == 3
    assert [epoch for epoch, _ in failures] == [2]
    assert "on rank 1" in failures[0][1]


def model_parallel(rank, recorded=True):
    import lightning.pytorch as pl
    from lightning.pytorch.strategies import ModelParallelStrategy
    from torch.distributed.fsdp import fully_shard
    from torch.utils.data import DataLoader, TensorDataset

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = layers()

        def configure_model(self):
            fully_shard(self.net, mesh=self.device_mesh["data_parallel"])

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    module, rec = Module(), tv.LightningRecorder(DENSE, distributed="shard")
    pl.seed_everything(3, verbose=False)
    trainer = pl.Trainer(
        max_epochs=2, callbacks=[rec] if recorded else [], accelerator="cpu", devices=RANKS,
        strategy=ModelParallelStrategy(data_parallel_size=RANKS, tensor_parallel_size=1),
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True))
    weights = whole_weights(module.net, "fully_shard")
    return everything(module, trainer.optimizers[0]), maps(rec.recording), weights


def test_lightnings_sharded_strategy_is_asked_on_all_ranks(ranks):
    bare = ranks(model_parallel, recorded=False)
    recorded = ranks(model_parallel)
    assert_same_training([state for state, *_ in bare], [state for state, *_ in recorded])
    (_, made, weights), (_, others, _) = recorded
    assert len(made) == 3
    assert others == []
    model = layers()
    model.load_state_dict(weights)
    assert_same_maps(made[-1:], maps(tv.TorchRecorder(model, DENSE).start().recording))


# Ranks that die.


def abandoned(rank, dead):
    def predict(model, x):
        if dies and rank == dead:
            os._exit(1)
        return model(x)

    dies = False
    model = replica(rank)
    rec = tv.TorchRecorder(model, DENSE, distributed="shard", predict=predict).start()
    dies = True
    rec.epoch_end()
    dies = False
    rec.epoch_end()
    return rec.recording.epochs.tolist(), [epoch for epoch, _ in rec.recorder.failures]


def late(rank):
    # Of this group alone: the training's own timeout is the one that counts.
    dist.destroy_process_group()
    dist.init_process_group(
        "gloo", init_method=f"file://{store}-late", rank=rank, world_size=RANKS,  # noqa: F821
        timeout=datetime.timedelta(seconds=2),
    )  # fmt: skip
    rec = tv.TorchRecorder(replica(rank), DENSE, distributed="shard").start()
    started = time.monotonic()
    if rank == 0:
        return None  # and never comes back to the recorder
    rec.epoch_end()
    return time.monotonic() - started


@pytest.mark.slow
def test_nobody_waits_longer_than_the_training_would(tmp_path):
    running = Ranks(tmp_path)
    try:
        running.send(late)
        waited, [warning] = running.receive(1, late)
    finally:
        running.close()
    assert 1 < waited < 30
    assert "lost touch" in str(warning)


@pytest.mark.slow
@pytest.mark.parametrize(("dead", "left"), [(1, ([0, 2], [1])), (0, ([], []))])
def test_a_rank_that_dies_makes_nobody_wait(tmp_path, dead, left):
    running = Ranks(tmp_path)
    try:
        running.send(abandoned, dead=dead)
        result, [warning] = running.receive(1 - dead, abandoned)
    finally:
        running.close()
    assert result == left
    assert "lost touch; later captures are made by rank zero alone" in str(warning)


# One place on disk.


def on_disk(rank, path, distributed, **options):
    model = replica(rank)
    if rank == 1 and distributed == "rank_zero":
        dist.barrier()  # by the next line rank zero has written
    rec = tv.TorchRecorder(model, DENSE, distributed=distributed, path=path, **options).start()
    if rank == 0 and distributed == "rank_zero":
        dist.barrier()
    rec.epoch_end()
    rec.finish()
    return len(rec.recording)


@pytest.mark.parametrize("distributed", ["rank_zero", "shard"])
def test_only_rank_zero_opens_a_path(ranks, tmp_path, distributed):
    path = str(tmp_path / "run.zarr")
    assert ranks(on_disk, path=path, distributed=distributed) == [2, 0]
    assert tv.open_recording(path).epochs.tolist() == [0, 1]
    again = ranks(on_disk, path=path, distributed=distributed, overwrite=True)
    assert again == [2, 0]


def test_a_trainers_recorder_leaves_the_path_to_rank_zero_before_there_is_a_group(
    tmp_path, monkeypatch
):
    path = tmp_path / "run.zarr"
    tv.LightningRecorder(DENSE, path=path).recorder.capture(lambda x: x, epoch=0)
    with pytest.raises(tv.RecordingError, match=r"run\.zarr"):
        tv.LightningRecorder(DENSE, path=path).recorder.claim()
    monkeypatch.setenv("LOCAL_RANK", "1")
    other = tv.LightningRecorder(DENSE, path=path)
    other.recorder.claim()
    assert len(other.recording) == 0


# Arguments.


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="distributed='all': expected one of rank_zero, shard"):
        tv.TorchRecorder(nn.Linear(2, 2), DENSE, distributed="all")


def test_sharing_in_the_background_is_refused():
    with pytest.raises(ValueError, match="distributed='shard' with background=True"):
        tv.TorchRecorder(nn.Linear(2, 2), DENSE, distributed="shard", background=True)


def test_without_a_process_group_a_shared_recording_is_an_ordinary_one():
    model = nn.Linear(2, 2)
    ours = tv.TorchRecorder(model, DENSE, distributed="shard").start().recording
    assert_same_maps(maps(ours), maps(tv.TorchRecorder(model, DENSE).start().recording), atol=0)


if __name__ == "one_rank":
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        serve(connection, rank, store)  # noqa: F821
