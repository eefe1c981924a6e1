"""What every store that is written to promises: each store's test class inherits these tests."""

import pickle
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from trainviz import Snapshot
from trainviz.recordings.history import LogEntry
from trainviz.recordings.snapshot import Provisional
from trainviz.recordings.stores import ViewStore


def snapshot(epoch, step=None, *, data_predictions=None, **metrics):
    probabilities = np.full((2, 3, 4), 0.5, np.float32)
    return Snapshot(probabilities, epoch, step, metrics, 7, data_predictions)


class StoreContract:
    """Inherit, and give a fixture ``empty`` that returns an empty store.

    It is a store of two classes on a grid of 3 x 4, with two points of data.
    """

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

    def test_other_weights_are_told_with_and_without_the_map(self, store):
        store.append(replace(snapshot(4), weights_epoch=2, error=0.25, method="adaptive"))
        read = store.read(4)
        assert (store.weights_epoch(4), read.weights_epoch) == (2, 2)
        assert (read.error, read.method) == (0.25, "adaptive")
        assert (store.weights_epoch(3), store.read(3).weights_epoch) == (None, None)

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

    def test_what_is_logged_comes_back_in_order_and_changes_no_snapshot(self, store):
        entries = [LogEntry(epoch, 10 * epoch, {"loss": float(epoch)}) for epoch in (1, 5, 4)]
        for entry in entries:
            store.log(entry)
        assert list(store.logged()) == entries
        store.log(LogEntry(4, 40, {"rate": 0.5}))
        store.append(snapshot(6))
        joined = LogEntry(4, 40, {"loss": 4.0, "rate": 0.5})
        assert list(store.logged()) == [*entries[:2], joined]
        assert store.metrics(1) == {"loss": 0.5}
        assert list(pickle.loads(pickle.dumps(store)).logged()) == [*entries[:2], joined]

    def test_what_was_logged_is_replaced_whether_snapshots_are_or_not(self, store):
        for epoch in range(3):
            store.log(LogEntry(epoch, None, {"loss": 1.0}))
        store.keep_logged(store.logged()[:2])
        assert [entry.epoch for entry in store.logged()] == [0, 1]
        store.truncate(2)
        store.keep_logged(store.logged()[:1])
        store.log(LogEntry(7, None, {"loss": 2.0}))
        assert [entry.epoch for entry in store.logged()] == [0, 7]
        store.append(snapshot(8))
        store.log(LogEntry(9, None, {"loss": 2.0}))
        assert [entry.epoch for entry in store.logged()] == [0, 7, 9]

    def test_what_is_provisional_is_forgotten_once_the_run_goes_on(self, store):
        mark = Provisional(3, {"loss": 1.0})
        store.mark(mark)
        assert store.provisional == mark
        store.append(snapshot(4))
        assert store.provisional is None

    def test_predictions_for_the_data_are_read_with_and_without_the_map(self, store):
        store.append(snapshot(4, data_predictions=np.array([1, 0])))
        for found in (store.data_predictions(4), store.read(4).data_predictions):
            assert found.tolist() == [1, 0]
            assert found.dtype == np.intp
        # The snapshots before were kept without predictions.
        assert store.data_predictions(3) is None
        assert store.read(3).data_predictions is None

    def test_predictions_stay_when_a_snapshot_is_changed(self, empty):
        empty.append(snapshot(0, data_predictions=np.array([0, 1])))
        empty.amend(0, {"loss": 1.0})
        empty.relabel(0, 1, {})
        assert empty.data_predictions(0).tolist() == [0, 1]
        empty.truncate(0)
        empty.append(snapshot(5, data_predictions=np.array([1, 1])))
        assert empty.data_predictions(0).tolist() == [1, 1]

    def test_classes_may_be_learnt_at_any_time_and_change_no_snapshot(self, empty):
        empty.learn_classes(["ash", "birch"])
        assert len(empty) == 0
        empty.append(snapshot(0, loss=1.0))
        empty.learn_classes([3, 5])
        empty.append(snapshot(1))
        assert [empty.epoch(i) for i in range(len(empty))] == [0, 1]
        assert (empty.n_classes, empty.metrics(0)) == (2, {"loss": 1.0})

    def test_what_is_allowed_to_go_on_keeps_its_snapshots(self, store):
        store.mark(Provisional(3))
        store.allow_resume()
        assert [store.epoch(i) for i in range(len(store))] == [0, 1, 2, 3]
        assert store.provisional == Provisional(3)
        store.append(snapshot(4))
        assert len(store) == 5

    def test_a_closed_store_opens_again_when_it_is_written(self, store):
        store.close()
        store.append(snapshot(4))
        store.open()
        assert len(store) == 5

    def test_a_copy_for_another_process_reads_the_same(self, store):
        store.mark(Provisional(3))
        copy = pickle.loads(pickle.dumps(store))
        assert [copy.epoch(i) for i in range(len(copy))] == [0, 1, 2, 3]
        assert (copy.read(1).epoch, copy.metrics(1)) == (1, {"loss": 0.5})
        assert (copy.n_classes, copy.provisional) == (2, Provisional(3))

    def test_another_thread_may_append_while_this_one_reads(self, empty):
        def append():
            for epoch in range(20):
                empty.append(snapshot(epoch, 10 * epoch, loss=float(epoch)))

        thread = Thread(target=append)
        thread.start()
        while thread.is_alive():
            last = len(empty) - 1
            if last >= 0:
                found = empty.epoch(last), empty.step(last), empty.metrics(last)
                assert found == (last, 10 * last, {"loss": last})
        assert len(empty) == 20

    def test_a_view_copies_nothing(self, store):
        store.append(snapshot(4, data_predictions=np.array([1, 0])))
        view = ViewStore(store, [3, 1, 4])
        assert (len(view), view.n_classes) == (3, 2)
        assert (view.epoch(1), view.step(1), view.metrics(1)) == (1, 10, {"loss": 0.5})
        assert view.read(0).epoch == 3
        assert view.data_predictions(0) is None
        assert view.data_predictions(2).tolist() == [1, 0]
