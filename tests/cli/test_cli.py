import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import get_args

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import trainviz
import trainviz as tv
from trainviz import modes
from trainviz.cli import options
from trainviz.cli.compare import Clock
from trainviz.cli.main import main
from trainviz.demo import record_demo, seven_clusters
from trainviz.rendering.figure.styles import StyleName
from trainviz.rendering.interpolation import Interpolation
from trainviz.rendering.pace import Pace
from trainviz.rendering.shared_timeline import By

BACKENDS = ("torch", "sklearn")
WRITTEN = ("boundary.mp4", "region.mp4", "region.png", "filmstrip.png")
PAGE = "training.html"


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
def test_the_demo_writes_films_and_pictures_and_says_where(tmp_path):
    folder = tmp_path / "new" / "folder"
    result = trainviz_module(
        "demo", "--epochs", 3, "--backend", "torch", "--out", "new/folder", folder=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "(torch, 3 epochs)" in result.stdout
    assert "Recording(4 snapshots, " in result.stdout
    *lines, last = result.stdout.split("Written:\n")[1].splitlines()
    told = [Path(line.strip()) for line in lines]
    assert told == [folder / name for name in WRITTEN]
    assert last.endswith(f"in a browser, offline: {folder / PAGE}")
    assert sorted(os.listdir(folder)) == sorted([*WRITTEN, PAGE])
    for film in told[:2]:
        # Five frames from one snapshot to the next, and a rest of 1.5 s on the last.
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(film))
        assert frames == 3 * 5 + 1 + 45
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
    assert sorted(os.listdir(tmp_path)) == sorted([*WRITTEN, PAGE, "notes.txt"])


def test_help_names_the_command_and_its_options(tmp_path):
    result = trainviz_module("--help", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "demo" in result.stdout
    result = trainviz_module("demo", "--help", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    for option in ("--out", "--epochs", "--seed", "--backend"):
        assert option in result.stdout


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
        (["demmo"], "No such command 'demmo'. Did you mean 'demo'?"),
        (["demo", "--fast"], "No such option: --fast"),
        (["demo", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["demo", "--epochs", "-5"], "Invalid value for '--epochs'"),
        (["demo", "--epochs", "ten"], "Invalid value for '--epochs'"),
        (["demo", "--seed", "x"], "Invalid value for '--seed'"),
        (["demo", "--backend", "jax"], "'jax' is not one of 'torch', 'sklearn'"),
        (["render", "a.zarr"], "Missing option '-o' / '--out'"),
        (["render", "a.zarr", "-o", "a.avi"], "ends in '.avi'; expected one of .mp4 .webm"),
        (["render", "a.zarr", "-o", "a.png"], "'a.png' is a picture, which 'trainviz still' draws"),
        (["render", "a.zarr", "-o", "no/a.mp4"], "the folder 'no' does not exist; make it first"),
        (
            ["render", "a.zarr", "-o", "a.mp4", "--mode", "regoin"],
            "'regoin' is not one of",
        ),
        (["render", "a.zarr", "-o", "a.mp4", "--epochs", "10"], "expected FIRST:LAST, e.g. 10:50"),
        (["render", "a.zarr", "-o", "a.mp4", "--epochs", "50:10"], "ends before it begins"),
        (["render", "a.zarr", "-o", "a.mp4", "--every", "0"], "Invalid value for '--every'"),
        (["render", "a.zarr", "-o", "a.mp4", "--epoch", "10"], "No such option: --epoch"),
        (["render", "a.zarr", "-o", "a.mp4", "--figsize", "8"], "'--figsize' requires 2 arguments"),
        (["still", "a.zarr", "-o", "a.mp4"], "'a.mp4' is a film, which 'trainviz render' makes"),
        (["still", "a.zarr", "-o", "a.png", "--filmstrip", "--dynamics"], "not allowed with"),
        (["still", "a.zarr", "-o", "a.png", "--epochs", "1"], "--epochs is not for a plain still"),
        (
            ["still", "a.zarr", "-o", "a.png", "--filmstrip", "--epoch", "1"],
            "--epoch is not for --filmstrip, but for a plain still and --panels",
        ),
        (
            ["still", "a.zarr", "-o", "a.png", "--dynamics", "--no-points"],
            "--no-points is not for --dynamics",
        ),
        (["render", "a.zarr", "--annotate", "ten=x"], "'ten=x': expected EPOCH=TEXT"),
        (
            ["still", "a.zarr", "-o", "a.png", "--highlight", "9" * 20],
            "'99999999999999999999' is no index of a point",
        ),
        (["render", "a.zarr", "-o", "a.mp4", "--hold", "1e9"], "Invalid value for '--hold'"),
        (["compare", "a.zarr"], "expected at least two; 'trainviz render' shows one"),
        (["compare", "a.zarr", "b.zarr", "--labels", "a"], "--labels: 1 given, expected 2"),
        (
            ["compare", "a.zarr", "b.zarr", "--subtitle", "a"],
            "--subtitle is not for compare",
        ),
        (["compare", "a.zarr", "b.zarr", "--epoch", "1"], "--epoch is for a picture"),
        (
            ["render", "a.zarr", "-o", "a.mp4", "--captions", "late=They move"],
            "'late=They move': expected EPOCH=TEXT",
        ),
        (["render", "a.zarr", "-o", "a.mp4", "--pace", "slow"], "'slow' is not one of 'even'"),
        (["render", "a.zarr", "-o", "a.mp4", "--max-bytes", "9"], "--max-bytes is for a GIF: give"),
        (["compare", "a.zarr", "--modes", "region"], "--modes: one given, expected at least two"),
        (
            ["compare", "a.zarr", "b.zarr", "--modes", "region", "entropy"],
            "--modes shows one RECORDING, got 2",
        ),
        (
            ["compare", "a.zarr", "--modes", "region", "entropy", "--disagreement"],
            "--modes cannot be combined with --disagreement",
        ),
        (
            ["compare", "a.zarr", "--modes", "region", "entropy", "--labels", "a"],
            "--labels: 1 given, expected 2, one a mode",
        ),
    ],
)
def test_a_command_that_is_none_exits_with_2_and_says_why(arguments, message, capsys, wide):
    assert main(arguments) == 2
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


@pytest.mark.slow
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
from trainviz.cli.main import main
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
    # scikit-learn makes a network's weights in the first fit: there is no epoch 0 to show.
    assert "Recording(1 snapshot, " in result.stdout
    assert sorted(os.listdir(tmp_path / "films")) == sorted([*WRITTEN, PAGE])


@pytest.fixture(scope="module")
def runs(make_recording, tmp_path_factory):
    """A folder with the recordings a and b: the same classes, of which b learns in fewer steps."""
    folder = tmp_path_factory.mktemp("runs")
    make_recording(class_names=["ash", "birch", "cedar"]).save(folder / "a.zarr")
    make_recording(snapshots=4, class_names=["ash", "birch", "cedar"]).save(folder / "b.zarr")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Be in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wide(monkeypatch):
    """Have a terminal in which no sentence is broken."""
    monkeypatch.setenv("COLUMNS", "300")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def frames(path, fps):
    """Every frame of an APNG, in which one that stays is stored once."""
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            shown = np.asarray(image.convert("RGB"))
            yield from [shown] * round(image.info["duration"] * fps / 1000)


SMALL = ["--figsize", "5", "4"]


def same_film(path, film, fps=30):
    shown = list(frames(path, fps))
    return len(shown) == len(film) and all(map(np.array_equal, shown, film))


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ([], {}),
        (
            ["--mode", "entropy", "--levels", "0.2", "0.5"],
            {"mode": modes.Entropy(levels=(0.2, 0.5))},
        ),
        (["--class", "birch"], {"mode": modes.Probability("birch")}),
        (["--class", "2", "--levels", "0.9"], {"mode": modes.Probability("cedar", levels=0.9)}),
        (["--outline", "--top-k", "2"], {"mode": modes.Region(outline=True, top_k=2)}),
        (
            ["--interpolate", "3", "--interpolation", "smooth", "--hold", "0.1", "--fps", "20"],
            {"interpolate": 3, "interpolation": "smooth", "hold": 0.1, "fps": 20},
        ),
        (
            [
                "--interpolate",
                "4",
                "--pace",
                "by-change",
                "--title",
                "Trees",
                "--card",
                "0.2",
                "--captions",
                "0=They move",
                "20=They = settle",
            ],
            {
                "interpolate": 4,
                "pace": "by change",
                "title": "Trees",
                "card": 0.2,
                "captions": {0: "They move", 20: "They = settle"},
            },
        ),
        (
            ["--dark", "--title", "Trees", "--no-points", "--no-metrics", "--dpi", "80"],
            {"dark": True, "title": "Trees", "points": False, "metrics": False, "dpi": 80},
        ),
        (
            ["--metrics", "loss", "--palette", "red", "green", "blue", "--no-shade"],
            {"metrics": ["loss"], "palette": ["red", "green", "blue"], "shade": False},
        ),
        (
            ["--smooth", "0.5", "--metric-scale", "log", "--annotate", "10=lr / 10", "20=a=b"],
            {"smooth": 0.5, "metric_scale": "log", "annotate": {10: "lr / 10", 20: "a=b"}},
        ),
        (
            ["--errors", "none", "--max-points", "3", "--highlight", "0", "2"],
            {"errors": None, "max_points": 3, "highlight": [0, 2]},
        ),
        (["--errors", "fade", "--max-points", "all"], {"errors": "fade", "max_points": None}),
        (
            ["--mode", "boundary", "--cmap", "cividis", "--palette", "Set1"],
            {"mode": "boundary", "cmap": "cividis", "palette": "Set1"},
        ),
    ],
)
@pytest.mark.slow_after(3)
def test_render_makes_the_film_that_animate_makes(runs, here, options, keywords):
    assert main(["render", str(runs / "a.zarr"), "-o", "film.apng", *SMALL, *options]) == 0
    film = tv.animate(tv.open_recording(runs / "a.zarr"), figsize=(5, 4), **keywords)
    assert same_film("film.apng", film, keywords.get("fps", 30))


def test_difference_is_from_another_recording(runs, here):
    a, b = (str(runs / f"{name}.zarr") for name in "ab")
    command = ["render", a, "-o", "film.apng", *SMALL, "--mode", "difference", "--epochs", ":30"]
    assert main([*command, "--other", b, "--class", "ash"]) == 0
    mode = modes.Difference(tv.open_recording(b), of="ash")
    film = tv.animate(tv.open_recording(a)[:4], mode=mode, figsize=(5, 4))
    assert same_film("film.apng", film)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--epochs", "10:30"], [1, 2, 3]),
        (["--epochs", "15:"], [2, 3, 4]),
        (["--epochs", ":10"], [0, 1]),
        (["--every", "3"], [0, 3, 4]),
        (["--epochs", "10:", "--every", "2"], [1, 3, 4]),
    ],
)
def test_render_shows_the_snapshots_that_were_asked_for(runs, here, options, kept):
    path = str(runs / "a.zarr")
    plain = ["--no-metrics", *SMALL]
    assert main(["render", path, "-o", "film.apng", *plain, *options]) == 0
    every = tv.animate(tv.open_recording(path), figsize=(5, 4), metrics=False)
    assert same_film("film.apng", [every[index] for index in kept])


def test_each_out_is_written_in_the_format_of_its_suffix_and_named(runs, here, capsys):
    out = ["-o", "film.mp4", "--out", "film.gif"]
    assert main(["render", str(runs / "a.zarr"), *out, *SMALL, "--fps", "10", "--jobs", "2"]) == 0
    told = capsys.readouterr()
    assert told.out == "film.mp4: 5 frames, 0.5 s\nfilm.gif: 5 frames, 0.5 s\n"
    assert told.err == ""
    assert imageio_ffmpeg.count_frames_and_secs("film.mp4")[0] == 5
    with Image.open("film.gif") as image:
        assert (image.format, image.n_frames) == ("GIF", 5)
    assert sorted(os.listdir()) == ["film.gif", "film.mp4"]


@pytest.mark.parametrize(
    ("options", "draw"),
    [
        ([], lambda run, out: tv.animate(run).still(out)),
        (
            ["--epoch", "20", "--mode", "margin", "--dark"],
            lambda run, out: tv.animate(run, mode="margin", dark=True).still(out, epoch=20),
        ),
        (["--filmstrip"], lambda run, out: tv.animate(run).filmstrip(out)),
        (
            ["--filmstrip", "--epochs", "0", "10", "40", "--columns", "2", "--figsize", "5", "4"],
            lambda run, out: tv.animate(run).filmstrip(
                out, epochs=[0, 10, 40], columns=2, figsize=(5, 4)
            ),
        ),
        (
            ["--panels", "--epoch", "10", "--levels", "0.2", "0.8", "--dpi", "50"],
            lambda run, out: tv.animate(run, dpi=50).panels(out, epoch=10, levels=(0.2, 0.8)),
        ),
        (
            ["--dynamics", "--title", "Trees", "--cmap", "magma", "--scale", "log", "--curves"],
            lambda run, out: tv.dynamics(run).still(
                out, title="Trees", cmap="magma", scale="log", curves=True
            ),
        ),
    ],
)
@pytest.mark.slow_after(2)
def test_still_draws_the_picture_that_the_interface_draws(runs, here, capsys, options, draw):
    assert main(["still", str(runs / "a.zarr"), "-o", "one.png", "-o", "one.svg", *options]) == 0
    assert capsys.readouterr().out == "one.png\none.svg\n"
    draw(tv.open_recording(runs / "a.zarr"), "other.png")
    assert np.array_equal(pixels("one.png"), pixels("other.png"))
    assert "</svg>" in Path("one.svg").read_text()


def test_compare_shows_the_film_and_the_picture_and_tells_the_scores(runs, here, capsys):
    paths = [str(runs / "a.zarr"), str(runs / "b.zarr")]
    options = ["--by", "progress", "--disagreement", "--columns", "1", "--no-legend"]
    out = ["-o", "film.apng", "-o", "end.png"]
    assert main(["compare", *paths, *out, "--labels", "long", "short", *options]) == 0
    a, b = map(tv.open_recording, paths)
    film = tv.compare(
        [a, b], labels=["long", "short"], by="progress", disagreement=True, columns=1, legend=False
    )
    assert same_film("film.apng", film)
    film.still("other.png")
    assert np.array_equal(pixels("end.png"), pixels("other.png"))
    told = capsys.readouterr().out.splitlines()
    assert told[1] == f"  long / short  {tv.reproducibility(a, b):.3f}"
    assert told[2:] == ["end.png", f"film.apng: {len(film)} frames, {film.duration:.1f} s"]


def test_compare_shows_one_recording_in_several_modes(runs, here, capsys):
    options = ["--modes", "region", "entropy", "--interpolate", "2"]
    assert main(["compare", str(runs / "a.zarr"), "-o", "film.apng", *options, *SMALL]) == 0
    run = tv.open_recording(runs / "a.zarr")
    film = tv.compare(run, modes=("region", "entropy"), interpolate=2, figsize=(5, 4))
    assert same_film("film.apng", film)
    assert capsys.readouterr().out == f"film.apng: {len(film)} frames, {film.duration:.1f} s\n"


def test_of_several_files_the_gif_is_made_no_larger_than_it_may_be(runs, here, capsys):
    out = ["-o", "film.gif", "-o", "film.mp4", *SMALL, "--interpolate", "4"]
    assert main(["render", str(runs / "a.zarr"), *out]) == 0
    whole = Path("film.gif").stat().st_size
    capsys.readouterr()
    assert main(["render", str(runs / "a.zarr"), *out, "--max-bytes", str(whole // 2)]) == 0
    assert Path("film.gif").stat().st_size <= whole // 2
    told = capsys.readouterr().err
    assert told.startswith("trainviz: ")
    assert f"to be no larger than max_bytes={whole // 2}" in told
    assert told.count("\n") == 1


def test_bookmarks_become_chapters(runs, here):
    marks = ["--bookmark", "10", "20=settled"]
    assert main(["render", str(runs / "a.zarr"), "-o", "film.mp4", *SMALL, *marks]) == 0
    told = run(imageio_ffmpeg.get_ffmpeg_exe(), "-i", "film.mp4", folder=here).stderr
    assert re.findall(r"title *: (.*)", told) == ["Start", "epoch 10", "settled"]


def test_a_picture_of_a_comparison_is_of_the_epoch_that_was_asked_for(runs, here):
    paths = [str(runs / "a.zarr"), str(runs / "b.zarr")]
    assert main(["compare", *paths, "-o", "one.png", "--epoch", "10"]) == 0
    film = tv.compare([tv.open_recording(path) for path in paths], labels=["a", "b"])
    film.still("other.png", epoch=10)
    assert np.array_equal(pixels("one.png"), pixels("other.png"))


def test_compare_alone_tells_the_score_of_every_pair(runs, here, capsys):
    paths = [str(runs / f"{name}.zarr") for name in "aba"]
    assert main(["compare", *paths, "--labels", "a", "b", "again", "--epochs", ":20"]) == 0
    a, b = (tv.open_recording(runs / f"{name}.zarr") for name in "ab")
    score = f"{tv.reproducibility(a, b, epochs=20):.3f}"
    assert score != "1.000"
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"  a / b      {score}", "  a / again  1.000", f"  b / again  {score}",
    ]  # fmt: skip
    assert os.listdir() == []


def test_panels_are_called_as_the_files_or_by_their_paths_where_names_do_not_differ(
    runs, here, capsys
):
    tv.open_recording(runs / "a.zarr").save("a.zarr.zip")
    main(["compare", str(runs / "a.zarr"), str(runs / "b.zarr")])
    assert capsys.readouterr().out.splitlines()[1].startswith("  a / b  ")
    main(["compare", str(runs / "a.zarr"), "a.zarr.zip"])
    assert capsys.readouterr().out.splitlines()[1] == f"  {runs / 'a.zarr'} / a.zarr.zip  1.000"


def test_regression_models_are_shown_and_compared_but_have_no_score(here, capsys):
    for name, slope in (("a", 1), ("b", 2)):
        recorder = tv.Recorder(
            tv.Domain((-1, 1), (-1, 1), points_per_axis=9), path=f"{name}.zarr", output="values"
        )
        recorder.capture(lambda X, slope=slope: slope * X[:, 0], epoch=0)
    shown = ["--mode", "values", "--limits", "-2", "2"]
    assert main(["compare", "a.zarr", "b.zarr", "-o", "one.png", *shown]) == 0
    assert capsys.readouterr().out.startswith(
        "no reproducibility score: the recordings hold values"
    )
    recordings = [tv.open_recording(f"{name}.zarr") for name in "ab"]
    mode = modes.Values(limits=(-2, 2))
    tv.compare(recordings, labels=["a", "b"], mode=mode).still("other.png")
    assert np.array_equal(pixels("one.png"), pixels("other.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class", "oak"], "--class 'oak': the recording's are ash, birch, cedar (or an output"),
        (["--mode", "probability"], "--mode probability needs --class NAME: the recording's are"),
        (["--epochs", "41:"], "--epochs 41:: no snapshot lies there; the recording has epochs 0"),
        (["--mode", "values"], "mode='values' shows values, but the recording holds"),
        (["--metrics", "lost"], "the recording has no metric 'lost'; it has ['loss', 'accuracy']"),
        (["--fps", "0"], "fps=0.0: expected a positive number of frames a second"),
        (["--fps", "1e-9"], "fps=1e-09: expected a positive number of frames a second, 0.01"),
        (["--figsize", "8", "-6"], "expected (width, height) in inches"),
        (["--palette", "tab11"], "did you mean"),
        (["--mode", "difference", "--other", "c.zarr"], "there is no recording at c.zarr"),
    ],
)
def test_what_does_not_fit_the_recording_is_one_line_and_writes_nothing(
    runs, here, capsys, options, message
):
    assert main(["render", str(runs / "a.zarr"), "-o", "film.mp4", *options]) == 1
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.startswith("trainviz: ")
    assert (told.err.count("\n"), told.out, os.listdir()) == (1, "", [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--levels", "0.5"],
            "--levels is not for --mode region, but for boundary, entropy",
        ),
        (["--mode", "margin", "--class", "ash"], "but for probability and difference"),
        (["--mode", "difference"], "--mode difference needs --other RECORDING"),
    ],
)
def test_options_that_do_not_go_together_are_a_wrong_command(
    runs, here, capsys, wide, options, message
):
    assert main(["render", str(runs / "a.zarr"), "-o", "film.mp4", *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Usage: trainviz render")
    assert message in told


@pytest.mark.parametrize("command", ["render", "still"])
def test_what_is_no_recording_is_one_line(here, command):
    Path("notes.txt").write_text("mine")
    Path("bad.zarr.zip").write_text("mine")
    out = {"render": "a.mp4", "still": "a.png"}[command]
    for path, why in [
        ("missing.zarr", "there is no recording at missing.zarr"),
        ("notes.txt", "holds no recording"),
        ("bad.zarr.zip", "bad.zarr.zip"),
    ]:
        result = trainviz_module(command, path, "-o", out, folder=here)
        assert why in one_line(result)
    assert sorted(os.listdir()) == ["bad.zarr.zip", "notes.txt"]


def test_a_damaged_snapshot_is_one_line_and_leaves_no_film(runs, here, capsys):
    tv.open_recording(runs / "a.zarr").save("a.zarr")
    chunk = Path("a.zarr/probabilities/c.2.0.0.0")
    chunk.write_bytes(chunk.read_bytes()[:-20])
    assert main(["render", "a.zarr", "-o", "film.mp4"]) == 1
    told = capsys.readouterr().err
    assert "probabilities/c.2" in told
    assert told.count("\n") == 1
    assert os.listdir() == ["a.zarr"]


def test_an_epoch_that_no_run_has_is_found_out_before_the_film_is_made(runs, here, capsys):
    paths = [str(runs / "a.zarr"), str(runs / "b.zarr")]
    assert main(["compare", *paths, "-o", "film.mp4", "-o", "one.png", "--epoch", "7"]) == 1
    assert "epoch=7.0: no run was captured at this epoch" in capsys.readouterr().err
    assert os.listdir() == []


def test_a_warning_is_one_line_without_a_place_in_the_code(runs, here, capsys):
    command = ["still", str(runs / "a.zarr"), "-o", "one.png", "--title", "\N{BUGINESE LETTER KA}"]
    assert main(command) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("trainviz: no installed font has these characters")
    assert "Noto Sans Buginese" in told[0]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (MemoryError(), 1, "trainviz: out of memory: make the picture smaller"),
        (KeyboardInterrupt(), 130, "trainviz: interrupted"),
    ],
)
def test_what_ends_a_command_midway_is_one_line(monkeypatch, capsys, error, status, told):
    def ended(*arguments):
        raise error

    monkeypatch.setattr("trainviz.demo.run_demo", ended)
    assert main(["demo"]) == status
    assert capsys.readouterr().err.startswith(told)


def test_recordings_that_cannot_be_compared_are_named_by_their_labels(runs, here, capsys):
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=3), path="c.zarr")
    recorder.capture(lambda X: X[:, 0], epoch=0)
    assert main(["compare", str(runs / "a.zarr"), "c.zarr", "-o", "film.mp4"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("trainviz: c was recorded on Domain(")
    assert told.out == ""


COMMANDS = (
    "demo", "render", "still", "filmstrip", "compare", "kymograph", "info", "serve", "replay",
    "convert", "export", "log",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_that_parse(command, capsys, here, wide):
    assert main([command, "--help"]) == 0
    examples = capsys.readouterr().out.rpartition("Examples")[2].strip().splitlines()
    for example in map(shlex.split, examples):
        assert example[:2] == ["trainviz", command]
        if command in ("demo", "serve", "replay"):
            continue
        # Its recordings do not exist, which is found out only once all options are understood.
        assert main(example[1:]) == 1
        assert re.search("there is no recording at|No such file", capsys.readouterr().err)


def test_the_choices_are_those_of_the_interface():
    assert set(get_args(options.ModeName)) == set(modes.MODES)
    assert get_args(options.Interpolation) == get_args(Interpolation)
    assert get_args(Clock) == get_args(By)
    assert get_args(options.StyleName) == get_args(StyleName)
    assert [name.replace("-", " ") for name in get_args(options.Pace)] == list(get_args(Pace))


HEAVY = [
    "numpy", "torch", "matplotlib", "moviepy", "numba", "PIL", "tqdm", "numcodecs",
]  # fmt: skip


def test_help_loads_nothing_heavy(here):
    code = (
        "import sys\nfrom trainviz.cli.main import main\n"
        "main(['--help']), main(['compare', '--help'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = run(sys.executable, "-c", code, folder=here)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_help_groups_the_commands_and_says_how_to_complete_them(capsys, wide):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for text in ("Make films and pictures", "Look", "hand on recordings", "--install-completion"):
        assert text in told
    assert all(re.search(rf"^│ {name} ", told, flags=re.MULTILINE) for name in COMMANDS)


def test_without_a_command_the_help_is_shown(capfd, wide):
    assert main([]) == 2
    told = capfd.readouterr()
    assert "Make films and pictures" in told.out + told.err


def test_completion_names_the_options_of_a_command(here):
    asked = {"_TRAINVIZ_COMPLETE": "complete_bash", "COMP_WORDS": "trainviz still --da"}
    told = run(sys.executable, "-m", "trainviz", folder=here, COMP_CWORD="2", **asked).stdout
    assert told.split() == ["--dark"]


@pytest.mark.parametrize(
    "options",
    [
        ["--dpi", "1e9"], ["--dpi", "1e308"], ["--dpi", "nan"], ["--dpi", "1e-9"],
        ["--figsize", "1e308", "2"], ["--figsize", "9", "1e5"], ["--smooth", "inf"],
        ["--epoch", "9" * 20],
    ],
)  # fmt: skip
def test_absurd_values_are_one_line(runs, here, capsys, options):
    assert main(["still", str(runs / "a.zarr"), "-o", "one.png", *options]) == 1
    told = capsys.readouterr().err
    assert told.startswith("trainviz: ")
    assert told.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("command", "facts"),
    [
        (["render", "A", "-o", "film.gif", *SMALL], {"path": "film.gif", "frames": 5}),
        (["still", "A", "-o", "one.png"], {"path": "one.png"}),
        (["compare", "A", "B"], {"labels": ["a", "b"]}),
        (["convert", "A", "c.zarr.zip"], {"path": "c.zarr.zip", "snapshots": 5}),
        (["export", "A", "maps.npz", "--every", "2"], {"path": "maps.npz", "snapshots": 3}),
    ],
)
def test_what_was_done_is_told_as_json(runs, here, capsys, command, facts):
    paths = {"A": str(runs / "a.zarr"), "B": str(runs / "b.zarr")}
    assert main([*(paths.get(word, word) for word in command), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told.items() >= facts.items()
    if "path" in facts:
        assert told["bytes"] == Path(facts["path"]).stat().st_size


def test_info_tells_machines_the_same_as_json(runs, capsys):
    assert main(["info", str(runs / "a.zarr"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["class_names"] == ["ash", "birch", "cedar"]
    assert (told["snapshots"], told["first_epoch"], told["last_epoch"]) == (5, 0, 40)
    assert told["accuracy"] == [0.0, 1.0]
    assert told["metrics"] == {"loss": [2.0, 1.0], "accuracy": [0.0, 1.0]}
    assert (told["whole"], told["problems"]) == (5, [])


def test_filmstrip_and_kymograph_draw_what_the_interface_draws(runs, here):
    run = tv.open_recording(runs / "a.zarr")
    assert main(["filmstrip", str(runs / "a.zarr"), "-o", "one.png", "--epochs", "0", "40"]) == 0
    tv.animate(run).filmstrip("other.png", epochs=[0, 40])
    assert np.array_equal(pixels("one.png"), pixels("other.png"))
    line = ["--from", "-1", "0.5", "--to", "1", "-0.5", "--points", "30"]
    assert main(["kymograph", str(runs / "a.zarr"), "-o", "one.png", *line, "--title", "T"]) == 0
    tv.kymograph(run, (-1, 0.5), (1, -0.5), n_points=30).still("other.png", title="T")
    assert np.array_equal(pixels("one.png"), pixels("other.png"))
    assert main(["kymograph", str(runs / "a.zarr"), "-o", "one.png"]) == 0
    tv.kymograph(run, (-2, 0), (2, 0)).still("other.png")
    assert np.array_equal(pixels("one.png"), pixels("other.png"))


def test_panels_are_of_the_classes_that_were_asked_for(runs, here, capsys):
    command = [
        "still",
        str(runs / "a.zarr"),
        "-o",
        "one.png",
        "--panels",
        "--classes",
        "cedar",
        "0",
    ]
    assert main(command) == 0
    run = tv.open_recording(runs / "a.zarr")
    tv.animate(run).panels("other.png", classes=["cedar", 0])
    assert np.array_equal(pixels("one.png"), pixels("other.png"))
    assert main([*command, "oak"]) == 1
    assert "--classes 'oak': the recording's are ash, birch, cedar" in capsys.readouterr().err


def test_a_recording_is_converted_there_and_back(runs, here, capsys):
    assert main(["convert", str(runs / "a.zarr"), "b.zarr.zip", "--precision", "float32"]) == 0
    assert main(["convert", "b.zarr.zip", "c.zarr", "--epochs", "10:", "--every", "2"]) == 0
    assert tv.open_recording("c.zarr").epochs.tolist() == [10, 30, 40]
    assert main(["convert", "b.zarr.zip", "c.zarr"]) == 1
    assert "holds a recording already" in capsys.readouterr().err
    assert main(["convert", "b.zarr.zip", "c.zarr", "--overwrite"]) == 0
    found, given = tv.open_recording("c.zarr"), tv.open_recording(runs / "a.zarr")
    # In the precision of what was converted, so that nothing is lost on the way.
    assert np.array_equal(found[-1].probabilities, given[-1].probabilities)


def test_a_recording_is_logged_to_a_tracker_with_the_options_of_a_picture(runs, here, capsys, wide):
    command = ["log", str(runs / "a.zarr"), "logs", "--no-page", "--film", "none", "--stills", "3"]
    assert main([*command, "--figsize", "3", "2", "--dpi", "50", "--no-legend"]) == 0
    assert capsys.readouterr().out.startswith("logs: TrackerLog(TensorBoard, 3 stills, 0 films)")
    (events,) = Path("logs").iterdir()
    pictures = re.findall(rb"\x89PNG.{8}IHDR(.{8})", events.read_bytes(), flags=re.DOTALL)
    assert pictures == [struct.pack(">II", 150, 100)] * 3
    assert main([*command[:-1], "x"]) == 2
    assert "expected geometric, none, or a whole number" in capsys.readouterr().err


ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, "-m", "trainviz", *sys.argv[1:]])))
"""


def on_a_terminal(*arguments, folder, **environment):
    """What a command shows on a terminal with 256 colours."""
    shown = {"TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "", **environment}
    done = run(sys.executable, "-c", ON_A_TERMINAL, *arguments, folder=folder, **shown)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(os.name == "nt", reason="pty is for Unix")
def test_info_shows_the_map_where_there_are_colours(runs, here):
    path = runs / "a.zarr"
    shown = on_a_terminal("info", path, folder=here)
    assert shown.count("\N{UPPER HALF BLOCK}") > 100
    assert re.search(r"\x1b\[38;5;\d+;48;5;\d+m\N{UPPER HALF BLOCK}", shown)
    assert "loss 2 to 1, accuracy 0 to 1" in shown
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = on_a_terminal("info", path, folder=here, **plain)
        assert "\N{UPPER HALF BLOCK}" not in shown
        assert not re.search(r"\x1b\[[\d;]*[34]8;", shown)
        assert "loss 2 to 1, accuracy 0 to 1" in shown


@pytest.mark.skipif(os.name == "nt", reason="pty is for Unix")
def test_a_bar_tells_the_time_that_is_left_unless_it_is_to_be_quiet(runs, here):
    command = ["render", runs / "a.zarr", "-o", "film.gif", *SMALL]
    assert re.search(
        r"film\.gif .*5/5.* frames .*\d:\d\d:\d\d", on_a_terminal(*command, folder=here)
    )
    shown = on_a_terminal(*command, "--quiet", folder=here)
    assert shown == "film.gif: 5 frames, 0.2 s\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes are read by head")
@pytest.mark.parametrize("command", ["trainviz --help", "trainviz info a.zarr"])
def test_an_output_that_no_one_reads_on_is_quiet(runs, here, command):
    shell = f"{command.replace('trainviz', sys.executable + ' -m trainviz')} | head -c 9 >&2"
    done = run("sh", "-c", shell, folder=runs)
    assert len(done.stderr) == 9
    closed = run("sh", "-c", shell.partition("|")[0] + ">&-", folder=runs)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_the_page_on_the_command_line_names_every_command_and_its_examples_run(runs, here, capsys):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "command-line.md").read_text("utf-8")
    assert set(re.findall(r"\| `trainviz (\w+)`", page)) == set(COMMANDS)
    shutil.copytree(runs, "runs")
    commands = "".join(re.findall(r"^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))
    for command in map(shlex.split, commands.splitlines()):
        name = command[1]
        assert name in (*COMMANDS, "--install-completion")
        if name in ("render", "compare", "still", "filmstrip"):
            # Until the recording is opened; what films are made is tested above.
            words = [word.replace("runs/", "none/") for word in command[1:]]
            assert main(words) == 1, command
            assert "there is no recording at none/" in capsys.readouterr().err
        elif name in ("kymograph", "info", "convert", "export", "log"):
            assert main(command[1:]) == 0, command
    assert sorted(os.listdir()) == [
        "a.zarr.zip", "b.zarr.zip", "borders.png", "dense.zarr", "logs", "maps.npz", "runs",
        "small.zarr",
    ]  # fmt: skip
