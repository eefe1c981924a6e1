"""GIFs that are no larger than they may be."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image

import trainviz as tv
from trainviz.errors import WriterError, WriterWarning

WIDTH, HEIGHT, FRAMES, FPS = 240, 200, 61, 30


@pytest.fixture(scope="module")
def film():
    """A film of many colours, in which much moves."""
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=60))
    for epoch in range(6):
        turn = epoch / 2
        recorder.capture(
            lambda X, t=turn: 1 / (1 + np.exp(-3 * (X @ [np.cos(t), np.sin(t)]))), epoch=epoch
        )
    return tv.animate(recorder.recording, interpolate=12, figsize=(4.8, 4), dpi=50, mode="boundary")


@pytest.fixture(scope="module")
def whole(film, tmp_path_factory):
    """The bytes of its GIF."""
    return film.save(tmp_path_factory.mktemp("whole") / "film.gif").read_bytes()


def read(path):
    """Return the number of colours, of frames, the size and the seconds of a GIF."""
    colors, seconds = set(), 0
    with Image.open(path) as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            colors.update(map(tuple, np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3),
                                               axis=0)))  # fmt: skip
            seconds += picture.info["duration"] / 1000
        return len(colors), picture.n_frames, picture.size, seconds


def test_a_gif_that_is_small_enough_is_written_as_it_is_without_a_word(film, whole, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = film.save(tmp_path / "film.gif", max_bytes=len(whole))
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("share", "told", "colors", "frames", "scale"),
    [
        (0.95, "has 128 colours, to be", 128, FRAMES, 1),
        (0.4, "has 32 colours, to be", 32, FRAMES, 1),
        (0.15, r"has 32 colours, one frame in \d, to be", 32, FRAMES // 2 + 1, 1),
        (0.025, r"has 32 colours, one frame in 6, \d\d % of its width and height, to be", 32,
         FRAMES // 6 + 2, 0.85),
    ],
)  # fmt: skip
def test_colours_go_first_then_frames_then_pixels(
    film, whole, tmp_path, share, told, colors, frames, scale
):
    limit = int(share * len(whole))
    with pytest.warns(WriterWarning, match=told) as said:
        path = film.save(tmp_path / "film.gif", max_bytes=limit)
    assert len(said) == 1
    assert said[0].filename == __file__
    assert f"max_bytes={limit}: {path.stat().st_size} bytes" in str(said[0].message)
    assert path.stat().st_size <= limit
    found = read(path)
    assert found[0] <= colors
    assert found[1] <= frames
    assert found[2][0] <= scale * WIDTH
    if scale == 1:
        assert found[2] == (WIDTH, HEIGHT)
    if frames == FRAMES:
        assert found[1] == FRAMES
    assert found[3] == pytest.approx(FRAMES / FPS, abs=0.03)
    assert os.listdir(tmp_path) == ["film.gif"]


def test_the_last_frame_is_kept_whatever_is_left_out(film, whole, tmp_path):
    with pytest.warns(WriterWarning, match="one frame in"):
        path = film.save(tmp_path / "film.gif", max_bytes=0.15 * len(whole))
    with Image.open(path) as picture:
        picture.seek(picture.n_frames - 1)
        last = np.asarray(picture.convert("RGB")).astype(int)
    off = [np.abs(last - frame).mean() for frame in film]
    assert int(np.argmin(off)) == FRAMES - 1


def test_what_cannot_be_reached_tells_the_smallest_size_and_writes_nothing(film, whole, tmp_path):
    (tmp_path / "film.gif").write_bytes(b"an older film")
    with pytest.raises(WriterError, match="max_bytes=1000: the smallest possible GIF") as raised:
        film.save(tmp_path / "film.gif", max_bytes=1000)
    assert (tmp_path / "film.gif").read_bytes() == b"an older film"
    assert os.listdir(tmp_path) == ["film.gif"]
    smallest = int(str(raised.value).split(" has ")[1].split()[0])
    with pytest.warns(WriterWarning, match=f"{smallest} bytes"):
        path = film.save(tmp_path / "film.gif", max_bytes=smallest)
    assert path.stat().st_size == smallest
    assert read(path)[2] == (WIDTH // 4, HEIGHT // 4)
    with pytest.raises(WriterError, match=f"has {smallest} bytes"):
        film.save(tmp_path / "film.gif", max_bytes=smallest - 1)


@pytest.mark.parametrize("limit", [0, -5, float("nan"), float("inf"), "2 MB"])
def test_a_limit_is_a_positive_number(film, tmp_path, limit):
    with pytest.raises(ValueError, match=r"max_bytes=.*: expected a positive number"):
        film.save(tmp_path / "film.gif", max_bytes=limit)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".webp", ".apng", ".html"])
def test_a_limit_is_for_gifs_alone(film, tmp_path, suffix):
    with pytest.raises(ValueError, match=rf"max_bytes=5000 is for \.gif, but .* \{suffix}: give"):
        film.save(tmp_path / f"film{suffix}", max_bytes=5000)
    assert os.listdir(tmp_path) == []


def test_a_file_object_has_the_same_limit(film, whole, tmp_path):
    with (tmp_path / "film").open("wb") as file, pytest.warns(WriterWarning, match="128 colours"):
        film.save(file, format="gif", max_bytes=0.95 * len(whole))
    assert 0 < (tmp_path / "film").stat().st_size <= 0.95 * len(whole)


def test_progress_tells_of_each_frame_once(film, whole, tmp_path, capsys):
    with pytest.warns(WriterWarning):
        film.save(tmp_path / "film.gif", max_bytes=0.4 * len(whole), progress=True)
    assert f"{FRAMES}/{FRAMES}" in capsys.readouterr().err


def test_several_processes_write_the_same_file(film, whole, tmp_path):
    paths = []
    for jobs in (1, 3):
        with pytest.warns(WriterWarning):
            paths.append(film.save(tmp_path / f"{jobs}.gif", max_bytes=0.2 * len(whole), jobs=jobs))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_line_of_the_present_keeps_its_colour_in_few_colours(recording, tmp_path):
    film = tv.animate(recording, figsize=(6, 5), interpolate=4, title="Trees")
    size = film.save(tmp_path / "film.gif").stat().st_size
    with pytest.warns(WriterWarning, match="32 colours"):
        film.save(tmp_path / "film.gif", max_bytes=0.3 * size)
    with Image.open(tmp_path / "film.gif") as picture:
        seen = np.asarray(picture.convert("RGB")).astype(int)
    accent = np.array([192, 57, 43])
    assert (np.abs(seen - accent).max(axis=-1) <= 4).sum() > 20
