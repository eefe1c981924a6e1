import numpy as np
import pytest

from trainviz import Snapshot
from trainviz.recordings.stores import MemoryStore, ViewStore


def snapshot(epoch, step=None, **metrics):
    return Snapshot(np.full((2, 2, 3), 0.5, np.float32), epoch, step, metrics)


@pytest.fixture
def store():
    store = MemoryStore()
    for epoch in range(4):
        store.append(snapshot(epoch, 10 * epoch, loss=1.0 / (epoch + 1)))
    return store


def test_entries_come_back_in_order(store):
    assert [store.epoch(i) for i in range(len(store))] == [0, 1, 2, 3]
    assert [store.step(i) for i in range(len(store))] == [0, 10, 20, 30]
    assert store.read(2).epoch == 2
    assert store.metrics(1) == {"loss": 0.5}


def test_amend_adds_metrics_and_leaves_older_copies_alone(store):
    before = store.read(3)
    store.amend(3, {"val_loss": 2.0, "loss": 0.1})
    assert store.metrics(3) == {"loss": 0.1, "val_loss": 2.0}
    assert before.metrics == {"loss": 0.25}


def test_truncate_keeps_the_first(store):
    store.truncate(2)
    assert [store.epoch(i) for i in range(len(store))] == [0, 1]


def test_view_copies_nothing(store):
    view = ViewStore(store, [3, 1])
    assert len(view) == 2
    assert view.read(0) is store.read(3)
    assert (view.epoch(1), view.step(1), view.metrics(1)) == (1, 10, {"loss": 0.5})


def test_snapshot_says_what_it_is():
    text = "Snapshot(epoch=3, step=None, classes=2, grid=2x3, metrics={'loss': 0.5})"
    assert repr(snapshot(3, loss=0.5)) == text
