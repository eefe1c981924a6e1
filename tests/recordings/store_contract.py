"""What every store that is written to promises: each store's test class inherits these tests."""

import numpy as np
import pytest

from trainviz import Snapshot
from trainviz.recordings.snapshot import Provisional
from trainviz.recordings.stores import ViewStore


def snapshot(epoch, step=None, **metrics):
    return Snapshot(np.full((2, 3, 4), 0.5, np.float32), epoch, step, metrics, evaluations=7)


class StoreContract:
    """Inherit, and give a fixture ``empty`` that returns an empty store of a grid of 3 x 4."""

    @pytest.fixture
    def store(self, empty):
        for epoch in range(4):
            empty.append(snapshot(epoch, 10 * epoch, loss=1.0 / (epoch + 1)))
        return empty

    def test_an_empty_store_knows_no_classes(self, empty):
        assert len(empty) == 0
        assert empty.n_classes is None

    def test_entries_come_back_in_order(self, store):
        assert [store.epoch(i) for i in range(len(store))] == [0, 1, 2, 3]
        assert [store.step(i) for i in range(len(store))] == [0, 10, 20, 30]
        assert store.n_classes == 2
        assert store.metrics(1) == {"loss": 0.5}

    def test_a_snapshot_is_read_as_it_was_kept(self, store):
        read = store.read(2)
        assert (read.epoch, read.step, read.evaluations) == (2, 20, 7)
        np.testing.assert_allclose(read.probabilities, 0.5, atol=3e-4)

    def test_amend_adds_metrics_and_leaves_older_copies_alone(self, store):
        before = store.read(3)
        store.amend(3, {"val_loss": 2.0, "loss": 0.125})
        assert store.metrics(3) == {"loss": 0.125, "val_loss": 2.0}
        assert before.metrics == {"loss": 0.25}

    def test_relabel_changes_the_epoch_and_adds_metrics(self, store):
        store.relabel(3, 9, {"loss": 0.5})
        assert (store.epoch(3), store.read(3).epoch, store.step(3)) == (9, 9, 30)
        assert store.metrics(3) == {"loss": 0.5}

    def test_truncate_keeps_the_first(self, store):
        store.truncate(2)
        assert [store.epoch(i) for i in range(len(store))] == [0, 1]
        store.append(snapshot(7))
        assert [store.epoch(i) for i in range(len(store))] == [0, 1, 7]

    def test_what_is_provisional_is_forgotten_once_the_run_goes_on(self, store):
        mark = Provisional(3, {"loss": 1.0})
        store.mark(mark)
        assert store.provisional == mark
        store.append(snapshot(4))
        assert store.provisional is None

    def test_a_closed_store_opens_again_when_it_is_written(self, store):
        store.close()
        store.append(snapshot(4))
        store.open()
        assert len(store) == 5

    def test_a_view_copies_nothing(self, store):
        view = ViewStore(store, [3, 1])
        assert (len(view), view.n_classes) == (2, 2)
        assert (view.epoch(1), view.step(1), view.metrics(1)) == (1, 10, {"loss": 0.5})
        assert view.read(0).epoch == 3
