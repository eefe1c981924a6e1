import sys
from pathlib import Path

import pytest

from trainviz import Domain
from trainviz.recordings.stores import MemoryStore
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.places import place_of
from trainviz.recordings.zarr_store.store import DiskStore

sys.path.insert(0, str(Path(__file__).parent))
from store_contract import StoreContract, snapshot

DOMAIN = Domain((-1, 1), (-1, 1), shape=(3, 4))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def empty(self):
        return MemoryStore()


class TestDiskStoreInAFolder(StoreContract):
    @pytest.fixture
    def empty(self, tmp_path):
        return DiskStore(place_of(tmp_path / "a.zarr"), Description(DOMAIN))


class TestDiskStoreAtAnAddress(StoreContract):
    @pytest.fixture
    def empty(self, request):
        return DiskStore(place_of(f"memory://{request.node.name}.zarr"), Description(DOMAIN))


def test_snapshot_says_what_it_is():
    text = "Snapshot(epoch=3, step=None, classes=2, grid=3x4, metrics={'loss': 0.5})"
    assert repr(snapshot(3, loss=0.5)) == text
