import json
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import xarray
import zarr

from trainviz import Domain, Recorder, Recording, RecordingError, open_recording
from trainviz._common.process import identity
from trainviz.cli.main import main


@pytest.fixture
def stored(tmp_path, recording):
    path = tmp_path / "a.zarr"
    recording.save(path)
    return path


def same(one, other, atol=3e-4):
    assert one.epochs.tolist() == other.epochs.tolist()
    assert one.class_names == other.class_names
    np.testing.assert_array_equal(one.steps, other.steps)
    assert list(one.metrics) == list(other.metrics)
    np.testing.assert_equal(one.metrics, other.metrics)
    np.testing.assert_array_equal(one.data_labels, other.data_labels)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left.probabilities, right.probabilities, atol=atol)
        np.testing.assert_array_equal(left.data_predictions, right.data_predictions)


@pytest.mark.parametrize("name", ["b.zarr", "b.zarr.zip", "a folder/b"])
def test_saved_and_opened_it_is_the_same(tmp_path, recording, name):
    recording.save(tmp_path / name)
    same(open_recording(tmp_path / name), recording)
    hidden = [file for file in os.listdir((tmp_path / name).parent) if file.startswith(".")]
    assert hidden == []


def test_an_archive_is_one_file_that_zarr_and_xarray_open(tmp_path, recording):
    path = tmp_path / "b.zarr.zip"
    recording.save(path)
    assert zipfile.is_zipfile(path)
    with zarr.storage.ZipStore(path, mode="r") as archive:
        assert zarr.open_group(archive, mode="r")["epoch"][:].tolist() == [0, 10, 20, 30, 40]
        with xarray.open_zarr(archive) as dataset:
            assert dataset.sizes["snapshot"] == 5


def test_an_address_is_a_place_to_save_to(recording):
    url = "memory://test_disk_saving/c.zarr"
    recording.save(url)
    same(open_recording(url), recording)
    with pytest.raises(ValueError, match="delete it first"):
        recording.save(url, overwrite=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "half"}, ValueError, "precision='half': expected 'float16' or 'float32'"),
        ({"overwrite": "yes"}, TypeError, "overwrite='yes': expected True or False"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_replaced(stored, options, error, message):
    recording = open_recording(stored)
    with pytest.raises(error, match=re.escape(message)):
        recording.save(stored, **{"overwrite": True, **options})
    same(open_recording(stored), recording)
    with pytest.raises(TypeError, match="trust='yes': expected True or False"):
        open_recording(stored, trust="yes")


def test_float32_keeps_the_bits(tmp_path, recording):
    recording.save(tmp_path / "b.zarr", precision="float32")
    same(open_recording(tmp_path / "b.zarr"), recording, atol=0)


@pytest.mark.parametrize("name", ["a.zarr", "a.zarr.zip"])
def test_a_path_that_is_taken_is_replaced_only_when_asked(tmp_path, recording, name):
    path = tmp_path / name
    recording.save(path)
    with pytest.raises(RecordingError, match="give overwrite=True to replace it"):
        recording[:2].save(path)
    open_recording(path).thin(every=4).save(path, overwrite=True)
    assert open_recording(path).epochs.tolist() == [0, 40]
    assert os.listdir(tmp_path) == [name]


def test_what_is_no_recording_is_never_replaced(tmp_path, recording):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "b.zip").write_text("mine")
    for name in ("notes", "b.zip"):
        with pytest.raises(RecordingError, match="no recording that opens"):
            recording.save(tmp_path / name, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["b.zip", "notes"]


def test_thin_keeps_every_nth_and_the_last(recording):
    assert recording.thin(every=3).epochs.tolist() == [0, 30, 40]
    assert recording.thin(every=1).epochs.tolist() == recording.epochs.tolist()
    assert recording[:0].thin(every=3).epochs.tolist() == []
    with pytest.raises(ValueError, match="every=0: expected at least 1"):
        recording.thin(every=0)
    with pytest.raises(TypeError, match=r"every=1\.5"):
        recording.thin(every=1.5)


def test_concat_joins_the_parts_of_a_training(recording):
    joined = Recording.concat([recording[:2], recording[:0], recording[2:]])
    same(joined, recording, atol=0)
    assert joined[1:][0].epoch == 10


def test_concat_can_go_on_counting(make_recording):
    first, second = make_recording(snapshots=3), make_recording(snapshots=2)
    with pytest.raises(
        RecordingError, match=r"recordings\[1\] begins with epoch 0, after epoch 20"
    ):
        Recording.concat([first, second])
    joined = Recording.concat([first, second], renumber=True)
    assert joined.epochs.tolist() == [0, 10, 20, 20, 30]
    assert joined[4].epoch == 30


def test_concat_refuses_what_does_not_belong_together(make_recording, recording):
    other = Domain((-2, 2), (-2, 2), shape=(12, 16))
    for stranger, message in [
        (make_recording(domain=other), r"recordings\[1\] was recorded on Domain"),
        (make_recording(class_names=["a", "b", "c"]), "has the classes"),
        (make_recording(class_names=recording.class_names, points=False), "other data"),
    ]:
        with pytest.raises(RecordingError, match=message):
            Recording.concat([recording, stranger])
    with pytest.raises(RecordingError, match="at least one recording that is not empty"):
        Recording.concat([])


def test_info_says_what_is_in_a_recording(stored, capsys):
    assert main(["info", str(stored)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    for line in [
        f"{stored}: a recording by trainviz",
        "  snapshots  5, epochs 0 to 40",
        "  classes    3: ash, birch, cedar",
        "  grid       12 x 16, y -1.5 to 1.5, x -2 to 2",
        "  inputs     2 features (plane)",
        "  data       6 points",
        "  metrics    loss 2 to 1, accuracy 0 to 1",
        "  accuracy   0 to 1 of the data's points",
        "  precision  float16",
        "  integrity  5 of 5 snapshots are whole",
    ]:
        assert line in told.out
    assert re.search(r"size .* MB in \d+ files, .* kB a map", told.out)


def test_info_shows_control_characters_of_a_stranger_s_names(tmp_path, make_recording, capsys):
    forged = "ash\n  integrity  9 of 9 snapshots are whole\x1b[2J"
    make_recording(class_names=[forged, "birch", "cedar"]).save(tmp_path / "a.zarr")
    assert main(["info", str(tmp_path / "a.zarr")]) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("  integrity") for line in out.splitlines()) == 1
    assert r"ash\n  integrity" in out
    assert "\x1b" not in out


def test_info_names_what_is_damaged(stored, capsys):
    chunk = stored / "probabilities/c.2.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-10])
    (stored / "probabilities/c.4.0.0.0").unlink()
    assert main(["info", str(stored)]) == 1
    told = capsys.readouterr()
    assert "3 of 5 snapshots are whole" in told.out
    first, second = told.err.splitlines()
    assert first.startswith("trainviz: snapshot 2 (epoch 20) cannot be read: the chunk ")
    assert f"{chunk} is damaged: its checksum is wrong" in first
    assert re.search(r"snapshot 4 \(epoch 40\) .*4\.0\.0\.0 is missing", second)


def test_info_names_the_process_that_records(tmp_path, capsys):
    recorder = Recorder(Domain((0, 1), (0, 1), shape=(3, 3)), path=tmp_path / "b.zarr")
    recorder.capture(lambda X: X[:, 0], epoch=0)
    assert main(["info", str(tmp_path / "b.zarr")]) == 0
    assert f"the process {os.getpid()} on " in capsys.readouterr().out


def test_info_of_no_recording_is_one_line(tmp_path, capsys):
    assert main(["info", str(tmp_path / "none.zarr")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"trainviz: there is no recording at {tmp_path / 'none.zarr'}\n"


def test_a_swap_that_fails_puts_the_old_recording_back(stored, recording, monkeypatch):
    replace = os.replace

    def fail_at_the_end(old, new):
        if str(old).endswith(".partial"):
            raise OSError("no room")
        replace(old, new)

    before = set(os.listdir(stored.parent))
    monkeypatch.setattr(os, "replace", fail_at_the_end)
    with pytest.raises(OSError, match="no room"):
        recording[:2].save(stored, overwrite=True)
    monkeypatch.undo()
    assert len(open_recording(stored)) == 5
    assert set(os.listdir(stored.parent)) == before
    recording[:2].save(stored, overwrite=True)
    assert len(open_recording(stored)) == 2


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody can know which process has ended")
def test_what_killed_saves_have_left_is_undone_or_removed(stored, recording):
    code = "from trainviz._common.process import mark; print(mark())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    mark = found.stdout.strip()
    (stored.parent / f".{stored.name}.{mark}.partial").mkdir()
    stored.rename(stored.parent / f".{stored.name}.{mark}.old")
    with pytest.raises(RecordingError, match="holds a recording already"):
        recording[:2].save(stored)
    assert len(open_recording(stored)) == 5
    assert os.listdir(stored.parent) == [stored.name]


def test_a_recording_that_another_process_writes_is_not_replaced(stored, recording):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = {**identity(), "pid": other.pid, "started": None, "token": "x"}
    (stored / "x" / ".lock").write_text(json.dumps(holder))
    try:
        with pytest.raises(RecordingError, match=f"recorded by the process {other.pid} on"):
            recording.save(stored, overwrite=True)
        assert len(open_recording(stored)) == 5
    finally:
        other.communicate(b"\n")
    recording[:2].save(stored, overwrite=True)  # the process has ended
    assert len(open_recording(stored)) == 2


def test_a_name_as_long_as_the_file_system_allows_will_do(tmp_path, recording):
    path = tmp_path / (250 * "a" + ".zarr")
    for _ in range(2):
        recording.save(path, overwrite=True)
    assert len(open_recording(path)) == 5
    assert os.listdir(tmp_path) == [path.name]
