import pytest
from store_contract import StoreContract, snapshot

from trainviz import Domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import RecordingError
from trainviz.recordings.opening import open_recording
from trainviz.recordings.stores import MemoryStore
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.places import place_of
from trainviz.recordings.zarr_store.store import DiskStore

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))
DATA = LabelledData.of(([[0, 0], [1, 1]], [0, 1]), DOMAIN)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def empty(self):
        return MemoryStore()


class TestDiskStoreInAFolder(StoreContract):
    @pytest.fixture
    def empty(self, tmp_path):
        return DiskStore(place_of(tmp_path / "a.zarr"), Description(DOMAIN, DATA))


class TestDiskStoreAtAnAddress(StoreContract):
    @pytest.fixture
    def empty(self, request):
        return DiskStore(place_of(f"memory://{request.node.name}.zarr"), Description(DOMAIN, DATA))


def test_classes_that_were_learnt_are_on_disk_with_the_next_snapshot(tmp_path):
    store = DiskStore(place_of(tmp_path / "a.zarr"), Description(DOMAIN))
    store.append(snapshot(0))
    store.learn_classes(["ash", "birch"])
    store.append(snapshot(1))
    assert open_recording(tmp_path / "a.zarr").class_names == ["ash", "birch"]


def test_a_snapshot_is_listed_on_disk_once_all_of_it_is_known(tmp_path):
    store = DiskStore(place_of(tmp_path / "a.zarr"), Description(DOMAIN))
    store.append(snapshot(0, 0, loss=0.0))
    seen = []

    class Column(list):
        def __setitem__(self, index, values):
            super().__setitem__(index, values)
            # What a thread reads that comes in just here.
            last = len(store) - 1
            seen.append((store.epoch(last), store.step(last), store.metrics(last)))

    columns, metrics = store.contents.columns, store.contents.metrics
    for group in (columns, metrics):
        group.update({name: Column(values) for name, values in group.items()})
    store.append(snapshot(1, 10, loss=1.0))
    before, after = (0, 0, {"loss": 0.0}), (1, 10, {"loss": 1.0})
    assert len(seen) == 4
    assert all(found in (before, after) for found in seen)
    assert (store.epoch(1), store.step(1), store.metrics(1)) == after


def test_what_a_checkpoint_is_to_continue_waits_until_it_is_allowed(tmp_path):
    def again():
        place = place_of(tmp_path / "a.zarr")
        return DiskStore(place, Description(DOMAIN), resume="checkpoint")

    store = again()
    store.append(snapshot(0))
    store.close()
    with pytest.raises(RecordingError, match="holds a recording already"):
        again().append(snapshot(1))
    continued = again()
    continued.allow_resume()
    continued.append(snapshot(1))
    assert open_recording(tmp_path / "a.zarr").epochs.tolist() == [0, 1]


def test_snapshot_says_what_it_is():
    text = "Snapshot(epoch=3, step=None, classes=2, grid=3x4, metrics={'loss': 0.5})"
    assert repr(snapshot(3, loss=0.5)) == text
