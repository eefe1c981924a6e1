"""What a power cut leaves of a recording, and what a damaged file costs.

The operations of a recorder on its folder are logged. A cut may come during any of them. A write
that was not synced by then is done, dropped, empty or torn, each independently of the others; one
that is being synced is done or not; a deletion may be undone until the file is written and synced
again. The states that this allows are built in memory, all of them or, where they are too many, a
sample, and each is opened and read; a part of them is continued too. The slow test checks some
50,000 different states, the fast one some 10,000.
"""

import itertools
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from trainviz import Domain, Recorder, RecordingError, open_recording
from trainviz.recordings import opening
from trainviz.recordings.zarr_store import index, saving
from trainviz.recordings.zarr_store.places import FolderPlace
from trainviz.recordings.zarr_store.reader import DiskReader

DOMAIN = Domain((-1, 1), (-1, 1), shape=(4, 5))
DATA = ([[-0.5, 0.5], [0.5, -0.5], [0.9, 0.1]], [0, 1, 1])
needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/fd"), reason="cannot tell which file is synced"
)
NOTHING = None
"""What is there where no recording is."""


def model(training, epoch):
    """Return a model whose map states a number of a training and an epoch."""

    def predict_proba(X):
        return np.where(X[:, 0] < 0, training / 64, epoch / 64)

    return predict_proba


def capture(recorder, training, epoch):
    metrics = {"training": training, "epoch": epoch}
    assert recorder.capture(model(training, epoch), epoch=epoch, metrics=metrics) is not None


def entry(training, epoch, label=None, extra=None):
    return training, epoch, epoch if label is None else label, extra


def entries(training, epochs):
    return tuple(entry(training, epoch) for epoch in epochs)


def contents_of(reader):
    """Return the entries of a recording; fail if map, label and metrics do not belong together."""
    found = []
    for position in range(len(reader)):
        snapshot = reader.read(position)
        row = 64 * snapshot.probabilities[1, 0]
        training, epoch = round(float(row[0])), round(float(row[-1]))
        metrics = dict(snapshot.metrics)
        assert (metrics["training"], metrics["epoch"]) == (training, epoch)
        assert reader.metrics(position) == metrics
        assert reader.epoch(position) == snapshot.epoch
        assert len(snapshot.data_predictions) == 3
        found.append(entry(training, epoch, snapshot.epoch, metrics.get("extra")))
    return tuple(found)


class Files:
    """A place in memory."""

    writable = True

    def __init__(self, files):
        self.files = files

    def describe(self, key=""):
        return f"/cut/{key}"

    def read(self, key, limit):
        return self.files.get(key)

    def write(self, key, payload, *, sync=False):
        self.files[key] = payload

    def sync(self, keys):
        pass

    def create(self, key, payload):
        return self.files.setdefault(key, payload) is payload

    def move(self, key, to):
        self.files[to] = self.files.pop(key)

    def delete(self, key):
        for name in [name for name in self.files if name == key or name.startswith(f"{key}/")]:
            del self.files[name]

    def holds_anything(self):
        return any(not key.rpartition("/")[2].startswith(".") for key in self.files)


class Disk:
    """What may be on a disk after a cut: for each file all the bytes that it can have."""

    def __init__(self):
        self.now = {}
        self.options = {}

    def after(self, kind, key, payload, sync):
        """Carry out a whole operation."""
        if kind == "sync":
            for name in payload:
                if name in self.now:
                    self.options[name] = [self.now[name]]
        elif kind == "move":
            self.options = self.during(kind, key, payload, sync)
            self.now[payload] = self.now.pop(key)
        elif kind == "delete":
            self.options = self.during(kind, key, payload, sync)
            for name in self._below(key):
                del self.now[name]
        else:
            self.options = self.during(kind, key, payload, sync)
            self.now[key] = payload
            if sync:
                self.options[key] = [payload]

    def during(self, kind, key, payload, sync):
        """Return what is possible if the cut comes while an operation is carried out."""
        found = dict(self.options)
        if kind == "delete":
            for name in self._below(key):
                found[name] = _with(found[name], None)
        elif kind == "move":
            found[key] = _with(found[key], None)
            found[payload] = _with(found.get(payload, [None]), self.now[key])
        elif kind in ("write", "create"):
            torn = [] if sync or kind == "create" else [b"", payload[: len(payload) // 2]]
            found[key] = _with(found.get(key, [None]), payload, *torn)
        return found

    def _below(self, key):
        return [name for name in self.now if name == key or name.startswith(f"{key}/")]


def _with(options, *more):
    return [*options, *(item for item in more if item not in options)]


class Log:
    """The operations on one folder, each with what may be found if the cut comes during it.

    Attributes
    ----------
    steps : list of (tuple, tuple)
        Operation; and the contents that are allowed, each with the least number of its snapshots.
    """

    def __init__(self, path, *, durable):
        self.path, self.durable = path, durable
        self.steps = []
        self.allowed = ((NOTHING, 0), ((), 0))
        self.contents, self._following, self._replaces = (), (), False

    @contextmanager
    def call(self, following, *, replaces=False, overwrites=False):
        """Note what a call of the recorder is to bring about."""
        if overwrites:
            self.contents = ()
            self.allowed += (((), 0),)
        self._following, self._replaces = following, replaces
        self.allowed += ((following, self._least(following)),)
        yield
        self.contents = following
        if self.durable:
            self.allowed = ((following, len(following)),)

    def closed(self):
        self.allowed = ((self.contents, len(self.contents)),)

    def _least(self, following):
        # What replaces others is synced; an appended one only if each is.
        if self.durable or self._replaces:
            return len(following)
        return self.allowed[-1][1]

    def add(self, kind, key, payload=None, sync=False):
        """Log an operation, which is complete."""
        self.steps.append(((kind, key, payload, sync), self.allowed))
        if kind == "write" and key == "zarr.json":
            self._take_in(json.loads(payload))

    def _take_in(self, root):
        """Note which snapshots a root document that is on disk has made safe."""
        arrays = root["consolidated_metadata"]["metadata"]
        following = (self._following, self._least(self._following))
        if "probabilities" not in arrays:
            self.allowed = (((), 0), following)
            return
        length = arrays["probabilities"]["shape"][0]
        if self._replaces and length < len(self.contents):
            self.allowed = ((self._following, length + 1),)
        elif self._replaces:
            assert length == len(self.contents)
            self.allowed = ((self.contents, length), following)
        else:
            self.allowed = ((self._following, length),)


def logged(monkeypatch, path, *, durable):
    """Return a log to which every operation on a folder is added from now on."""
    log = Log(path, durable=durable)

    def watch(name):
        original = getattr(FolderPlace, name)

        def call(place, key, *args, **options):
            is_logged = place.root == path
            if name == "sync":
                key = sorted(key)
            result = original(place, key, *args, **options)
            if is_logged and result is not False:
                if name == "sync":
                    log.add("sync", "", key)
                else:
                    log.add(name, key, *args, **options)
            return result

        monkeypatch.setattr(FolderPlace, name, call)

    for name in ("write", "sync", "create", "move", "delete"):
        watch(name)
    return log


def fits(found, allowed):
    """Return whether contents are one of those that are allowed."""
    if found is NOTHING:
        return any(contents is NOTHING for contents, _ in allowed)
    known = [contents for contents, _ in allowed if contents is not NOTHING]

    def versions(which, position):
        here = [contents[position] for contents in known if position < len(contents)]
        return [one for one in here if one[:2] == which[position][:2]]

    return any(
        contents is not NOTHING
        and least <= len(found) <= len(contents)
        and all(one in versions(contents, position) for position, one in enumerate(found))
        for contents, least in allowed
    )


def is_read(key):
    """Return whether a file matters for what is read: neither the lock, nor arrays' documents."""
    return key != "x/.lock" and (key == "zarr.json" or not key.endswith("/zarr.json"))


def states(log, most, random):
    """Yield the different states after a cut, each with what is allowed.

    Of the states that a cut during one operation can leave, at most ``most`` are drawn.
    """
    disk, seen = Disk(), set()
    for operation, allowed in [*log.steps, (("sync", "", [], False), log.allowed)]:
        options = disk.during(*operation)
        disk.after(*operation)
        names = sorted(key for key in options if is_read(key))
        counts = [len(options[name]) for name in names]
        if np.prod(counts, dtype=float) <= most:
            picks = itertools.product(*map(range, counts))
        else:
            first = [tuple(0 for _ in counts), tuple(count - 1 for count in counts)]
            drawn = random.integers(0, counts, (most - 2, len(counts)))
            picks = itertools.chain(first, map(tuple, drawn.tolist()))
        others = {key: options[key] for key in options if not is_read(key)}
        for pick in picks:
            chosen = [options[name][which] for name, which in zip(names, pick, strict=True)]
            state = hash((tuple(zip(names, chosen, strict=True)), allowed))
            if state in seen:
                continue
            seen.add(state)
            files = dict(zip(names, chosen, strict=True))
            files |= {key: list_[random.integers(len(list_))] for key, list_ in others.items()}
            yield {key: held for key, held in files.items() if held is not None}, allowed


def found_in(files):
    try:
        reader = DiskReader.at(Files(files))
    except RecordingError as error:
        if "there is no recording at" not in str(error):
            raise
        return NOTHING
    return contents_of(reader)


def resume(files, monkeypatch):
    """Continue what a cut has left, as the next run does."""
    before, place = found_in(files) or (), Files(files)
    with monkeypatch.context() as patched:
        patched.setattr(opening, "place_of", lambda path: place)
        recorder = Recorder(DOMAIN, path="cut", resume=True, data=DATA, evaluation="dense")
    epoch = before[-1][2] + 1 if before else 0
    capture(recorder, 50, epoch)
    recorder.close()
    after = contents_of(DiskReader.at(place))
    assert after == (*before, entry(50, epoch)), (before, after)


def new(log, **options):
    return Recorder(DOMAIN, path=log.path, data=DATA, evaluation="dense", **options)


def record(log, count=4, training=1, **options):
    """Capture some epochs; return the recorder, which must not be deleted before the end."""
    recorder = new(log, durable=log.durable, **options)
    for epoch in range(count):
        with log.call((*log.contents, entry(training, epoch))):
            capture(recorder, training, epoch)
    return [recorder]


def record_and_close(log):
    kept = record(log)
    kept[0].close()
    log.closed()
    return kept


def amend_and_relabel(log):
    kept = record(log)
    *before, last = log.contents
    with log.call((*before, entry(1, last[1], extra=5.0))):
        kept[0].amend({"extra": 5})
    with log.call((*before, entry(1, last[1], 7, 6.0))):
        kept[0].relabel(7, {"extra": 6})
    with log.call((*log.contents, entry(1, 9))):
        capture(kept[0], 1, 9)
    kept[0].close()
    log.closed()
    return kept


def resume_and_replace_two(log):
    kept = record_and_close(log)
    recorder = new(log, durable=log.durable, resume=True)
    with log.call((*log.contents[:2], entry(2, 2)), replaces=True):
        capture(recorder, 2, 2)
    for epoch in (3, 4):
        with log.call((*log.contents, entry(2, epoch))):
            capture(recorder, 2, epoch)
    recorder.close()
    log.closed()
    return [*kept, recorder]


def replace_all(log):
    kept = record_and_close(log)
    recorder = new(log, durable=log.durable, resume=True)
    with log.call((entry(2, 0),), replaces=True):
        capture(recorder, 2, 0)
    with log.call((*log.contents, entry(2, 1))):
        capture(recorder, 2, 1)
    return [*kept, recorder]


def rewind_twice(log):
    kept = record(log)
    for training, epoch in ((2, 3), (3, 1)):
        kept[0].rewind(epoch - 1)
        following = (*log.contents[:epoch], entry(training, epoch))
        with log.call(following, replaces=True):
            capture(kept[0], training, epoch)
        with log.call((*log.contents, entry(training, epoch + 1))):
            capture(kept[0], training, epoch + 1)
    return kept


def resume_after_a_kill(log):
    kept = record(log)
    recorder = new(log, durable=log.durable, resume=True)
    for epoch in (4, 5):
        with log.call((*log.contents, entry(2, epoch))):
            capture(recorder, 2, epoch)
    return [*kept, recorder]


def overwrite(log):
    kept = record_and_close(log)
    recorder = new(log, durable=log.durable, overwrite=True)
    with log.call(entries(2, [0]), overwrites=True):
        capture(recorder, 2, 0)
    for epoch in (1, 2):
        with log.call((*log.contents, entry(2, epoch))):
            capture(recorder, 2, epoch)
    recorder.close()
    log.closed()
    return [*kept, recorder]


SCENARIOS = [
    record_and_close,
    amend_and_relabel,
    resume_and_replace_two,
    replace_all,
    rewind_twice,
    resume_after_a_kill,
    overwrite,
]


def cut_everywhere(scenario, tmp_path, monkeypatch, *, durable, seconds, most, every):
    """Check every state; return their number."""
    monkeypatch.setattr(index, "_SECONDS", seconds)
    monkeypatch.setattr(index, "_LARGEST_SHARE", 1e9)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # Only the log of it counts here.
    log, random = (
        logged(monkeypatch, tmp_path / "a.zarr", durable=durable),
        np.random.default_rng(0),
    )
    kept = scenario(log)
    number = 0
    for number, (files, allowed) in enumerate(states(log, most, random), 1):
        found = found_in(files)
        assert fits(found, allowed), (found, allowed)
        if number % every == 0:
            resume(files, monkeypatch)
    del kept
    return number


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("durable", [True, False])
def test_a_cut_costs_what_was_not_synced(tmp_path, monkeypatch, record_property, scenario, durable):
    found = cut_everywhere(
        scenario, tmp_path, monkeypatch, durable=durable, seconds=2, most=30, every=20
    )
    record_property("states", found)
    assert found > 50


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 2])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("durable", [True, False])
def test_a_cut_costs_what_was_not_synced_in_any_state(
    tmp_path, monkeypatch, record_property, scenario, durable, seconds
):
    found = cut_everywhere(
        scenario, tmp_path, monkeypatch, durable=durable, seconds=seconds, most=80, every=40
    )
    record_property("states", found)
    print(f"{scenario.__name__}, durable={durable}, {seconds} s: {found:,} states")


@pytest.mark.parametrize("durable", [True, False])
def test_chunk_columns_and_root_are_synced_in_this_order(tmp_path, monkeypatch, durable):
    monkeypatch.setattr(index, "_SECONDS", 0)
    monkeypatch.setattr(index, "_LARGEST_SHARE", 1e9)
    log = logged(monkeypatch, tmp_path / "a.zarr", durable=durable)
    recorder = new(log, durable=durable)
    for epoch in range(3):
        begun = len(log.steps)
        capture(recorder, 1, epoch)
        chunk, column = f"probabilities/c.{epoch}.0.0.0", "epoch/c.0"
        synced = []
        for (kind, key, payload, sync), _ in log.steps[begun:]:
            if kind == "sync" or sync:
                synced += payload if kind == "sync" else [key]
        wanted = [chunk, column, "x/.zarr.json", "zarr.json"]
        # The first capture writes the root document of the empty recording too.
        last = {name: len(synced) - synced[::-1].index(name) for name in wanted}
        assert sorted(last, key=last.get) == wanted
    recorder.close()


@needs_proc
def test_a_file_is_synced_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor):
        done.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def watched_replace(source, target):
        done.append(("replace", Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    root = tmp_path / "a.zarr"
    FolderPlace(root).write("epoch/c.0", b"123", sync=True)
    unfinished = done.pop(0)
    assert unfinished[0] == "fsync"
    assert unfinished[1].name.endswith(".partial")
    assert done == [("replace", root / "epoch" / "c.0"), ("fsync", root / "epoch")]
    done.clear()
    FolderPlace(root).write("step/c.0", b"123")
    assert done == [("replace", root / "step" / "c.0")]
    FolderPlace(root).sync(["step/c.0", "gone/c.0"])
    synced = [path for what, path in done if what == "fsync"]
    assert synced == [root / "step" / "c.0", root / "step", root, tmp_path]


NEEDED = ("data_x/c.0.0", "data_y/c.0", "data_points/c.0.0", "data_distances/c.0")


def damaged(payload):
    return {"emptied": b"", "cut in half": payload[: len(payload) // 2], "deleted": None}


def test_a_damaged_file_costs_one_snapshot_or_says_what_it_was(tmp_path):
    """All but the data and the embedding can do without any one of their files."""
    path = tmp_path / "a.zarr"
    X = np.random.default_rng(0).normal(size=(10, 3))
    domain = Domain.around(X, features=(0, 2), resolution=(6, 8))
    recorder = Recorder(domain, path=path, data=(X, X[:, 1] > 0), evaluation="dense")
    for epoch in range(4):
        capture(recorder, 1, epoch)
    recorder.close()
    whole = {key: (path / key).read_bytes() for key, _ in FolderPlace(path).sizes()}
    refused, costly = set(), set()
    for key, payload in whole.items():
        for how, left in damaged(payload).items():
            files = {**whole, key: left}
            reader = _opened({name: held for name, held in files.items() if held is not None})
            if isinstance(reader, str):
                assert key in reader, (key, how, reader)
                refused.add(key)
                continue
            assert [reader.epoch(i) for i in range(len(reader))] in ([0, 1, 2, 3], [0, 1, 2])
            lost = [i for i in range(4) if not _is_right(reader, i)]
            assert len(lost) <= 1, (key, how)
            if lost:
                assert key == f"probabilities/c.{lost[0]}.0.0.0"
                costly.add(key)
    assert costly == {f"probabilities/c.{number}.0.0.0" for number in range(4)}
    embedding = {key for key in whole if key.startswith("embedding/") and "/c." in key}
    assert embedding
    assert refused == embedding | {key for key in NEEDED if key in whole}


def _opened(files):
    try:
        return DiskReader.at(Files(files))
    except RecordingError as error:
        return str(error)


def _is_right(reader, position):
    try:
        snapshot = reader.read(position)
    except RecordingError as error:
        if f"snapshot {position} (epoch {position}) cannot be read" not in str(error):
            raise
        return False
    row = 64 * snapshot.probabilities[1].reshape(-1)
    assert set(np.rint(row)) <= {1.0, float(position)}
    return snapshot.epoch == position == snapshot.metrics["epoch"] == reader.epoch(position)


@needs_proc
@pytest.mark.parametrize("name", ["a.zarr", "a.zarr.zip"])
def test_at_every_moment_of_a_save_one_of_the_two_recordings_is_whole(
    tmp_path, monkeypatch, recording, name
):
    """Between the two renamings of a folder both have hidden names, at any other moment neither."""
    target = tmp_path / "saved" / name
    target.parent.mkdir()
    recording[:2].save(target)
    events, lengths = [], []

    def watch(module, function, describe):
        original = getattr(module, function)

        def call(*args, **options):
            events.append((function, describe(*args)))
            lengths.append(_whole(target.parent))
            result = original(*args, **options)
            lengths.append(_whole(target.parent))
            return result

        monkeypatch.setattr(module, function, call)

    watch(os, "replace", lambda source, to: Path(to))
    watch(saving, "sync_folder", lambda folder: folder)
    watch(shutil, "rmtree", lambda path, **_: Path(path))
    watch(os, "fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
    recording.save(target, overwrite=True)
    monkeypatch.undo()
    assert all({2, 5} & set(found) for found in lengths)
    assert len(open_recording(target)) == 5
    renamed = events.index(("replace", target))
    synced = events.index(("sync_folder", target.parent))
    assert renamed < synced
    removals = [
        number for number, (what, path) in enumerate(events)
        if what == "rmtree" and number > renamed and path.exists() is False
    ]  # fmt: skip
    assert all(synced < number for number in removals)
    if name.endswith(".zip"):
        packed = [
            n for n, (what, path) in enumerate(events) if what == "fsync" and path.endswith("/.zip")
        ]
        assert packed
        assert packed[0] < renamed


def _whole(folder):
    """Return the numbers of snapshots of the recordings in a folder that are whole."""
    found = []
    for path in folder.iterdir():
        try:
            opened = open_recording(path)
            found.append(sum(1 for snapshot in opened if snapshot.probabilities.ndim == 3))
        except (RecordingError, OSError, ValueError):
            continue
    return found
