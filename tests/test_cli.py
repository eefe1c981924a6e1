import os
import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import trainviz
from trainviz.cli import main
from trainviz.demo import record_demo, seven_clusters

BACKENDS = ("torch", "sklearn")
WRITTEN = ("boundary.mp4", "region.mp4", "region.png", "filmstrip.png")


def run(*command, folder, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def trainviz_module(*arguments, folder, **environment):
    return run(sys.executable, "-m", "trainviz", *arguments, folder=folder, **environment)


def one_line(result):
    """What a failing command told."""
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "snapshots"),
    # scikit-learn makes a network's weights in the first fit: there is no epoch 0 to show.
    [("torch", 4), ("sklearn", 3)],
)
def test_the_demo_writes_films_and_pictures_and_says_where(tmp_path, backend, snapshots):
    folder = tmp_path / "new" / "folder"
    result = trainviz_module(
        "demo", "--epochs", 3, "--backend", backend, "--out", "new/folder", folder=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert f"({backend}, 3 epochs)" in result.stdout
    assert f"Recording({snapshots} snapshots, " in result.stdout
    told = [Path(line.strip()) for line in result.stdout.split("Open:\n")[1].splitlines()]
    assert told == [folder / name for name in WRITTEN]
    assert sorted(os.listdir(folder)) == sorted(WRITTEN)
    for film in told[:2]:
        # Five frames from one snapshot to the next, and a rest of 1.5 s on the last.
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(film))
        assert frames == (snapshots - 1) * 5 + 1 + 45
    for picture in told[2:]:
        with Image.open(picture) as image:
            assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demo_records_the_seven_clusters_the_same_each_time(backend):
    one, same = (record_demo(epochs=2, seed=1, backend=backend) for _ in range(2))
    assert one.epochs.tolist()[-1] == 2
    assert one[-1].probabilities.shape == (7, 381, 361)
    assert (one[-1].probabilities == same[-1].probabilities).all()
    assert (one.data.points == seven_clusters(seed=1)[0]).all()
    assert "loss" in one.metrics
    other = record_demo(epochs=2, seed=2, backend=backend)
    assert (one[-1].probabilities != other[-1].probabilities).any()


def test_an_existing_folder_keeps_what_else_is_in_it(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["demo", "--epochs", "1", "--backend", "sklearn", "--out", str(tmp_path)]) == 0
    assert str(tmp_path / "region.mp4") in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == sorted([*WRITTEN, "notes.txt"])


def test_help_names_the_command_and_its_options(tmp_path):
    result = trainviz_module("--help", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "demo" in result.stdout
    result = trainviz_module("demo", "--help", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.findall(r"^  (--\w+)", result.stdout, flags=re.MULTILINE) == [
        "--out", "--epochs", "--seed", "--backend",
    ]  # fmt: skip


def test_the_console_script_is_the_same_command(tmp_path):
    script = Path(sys.executable).parent / "trainviz"
    result = run(script, "--version", folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"trainviz {trainviz.__version__}\n")
    assert (
        run(script, "demo", "--help", folder=tmp_path).stdout
        == trainviz_module("demo", "--help", folder=tmp_path).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demmo"], "invalid choice: 'demmo'"),
        ([], "the following arguments are required: command"),
        (["demo", "--fast"], "unrecognized arguments: --fast"),
        (["demo", "--epochs", "0"], "--epochs: '0' is no whole number of at least 1"),
        (["demo", "--epochs", "-5"], "--epochs: '-5' is no whole number"),
        (["demo", "--epochs", "ten"], "--epochs: 'ten' is no whole number"),
        (["demo", "--seed", "x"], "--seed: invalid int value: 'x'"),
        (["demo", "--backend", "jax"], "--backend: invalid choice: 'jax'"),
    ],
)
def test_a_command_that_is_none_exits_with_2_and_says_why(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_command_exits_with_2(tmp_path):
    result = trainviz_module("demmo", folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("out", "why"), [("file", "File exists"), ("file/folder", "Not a directory")]
)
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, out, why):
    (tmp_path / "file").write_text("")
    result = trainviz_module("demo", "--epochs", 1, "--out", out, folder=tmp_path)
    assert one_line(result) == f"trainviz: the folder '{out}' cannot be made: {why}"
    assert result.stdout == ""


def test_an_encoder_that_fails_is_one_line(tmp_path):
    encoder = tmp_path / "ffmpeg"
    # moviepy first asks whether it runs at all.
    encoder.write_text('#!/bin/sh\n[ $# -lt 5 ] && exit 0\necho "no encoder today" >&2\nexit 1\n')
    encoder.chmod(0o755)
    result = trainviz_module(
        "demo", "--epochs", 1, "--backend", "sklearn", "--out", "films",
        folder=tmp_path, FFMPEG_BINARY=str(encoder),
    )  # fmt: skip
    assert one_line(result) == "trainviz: the encoder 'libx264' failed on .mp4: no encoder today"
    assert os.listdir(tmp_path / "films") == []


WITHOUT = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.partition(".")[0] not in {hidden!r}
        return super().find_spec(name, path, target) if known else None
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from trainviz.cli import main
sys.exit(main())
"""


def without(*hidden, folder):
    """Run the demo where these packages are not installed."""
    code = WITHOUT.format(hidden=hidden)
    return run(sys.executable, "-c", code, "demo", "--epochs", 1, "--out", "films", folder=folder)


def test_the_demo_without_a_framework_says_what_to_install(tmp_path):
    told = one_line(without("torch", "sklearn", folder=tmp_path))
    assert told.startswith("trainviz: the demo needs PyTorch or scikit-learn: pip install")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_demo_takes_scikit_learn_where_torch_is_missing(tmp_path):
    result = without("torch", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "(sklearn, 1 epochs)" in result.stdout
    assert sorted(os.listdir(tmp_path / "films")) == sorted(WRITTEN)
