import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainviz import Domain, Mode, Recorder, animate, register_mode
from trainviz.errors import WriterError
from trainviz.modes import MODES
from trainviz.rendering.writers import FILM_SUFFIXES
from trainviz.rendering.writers.gif import gif_timing

DECODED = (".mp4", ".webm", ".gif", ".apng", ".webp")
VIDEOS = (".mp4", ".webm")
SMALL = {"figsize": (3, 2.4), "dpi": 50}


def make_recording(snapshots=5):
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(12, 16)))
    for epoch in range(snapshots):
        place = epoch / snapshots - 0.5
        recorder.capture(lambda X, at=place: sigmoid(8 * (X[:, 0] + X[:, 1] - at)), epoch=epoch)
    return recorder.recording


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


RECORDING = make_recording()


def make_film(**options):
    return animate(RECORDING, **{"interpolate": 4, **SMALL, **options})


def decode(path):
    """The frames of a film, and its seconds, as a player sees them."""
    if path.suffix.lower() in VIDEOS:
        return decode_video(path)
    with Image.open(path) as picture:
        frames, milliseconds = [], 0
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")))
            milliseconds += picture.info.get("duration", 0)
    return np.stack(frames), milliseconds / 1000


def decode_video(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    reader.close()
    # Every frame that is stored, none repeated or left out to keep a constant speed.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo",
               "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    _, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3), seconds


def flat(frames, side=9):
    """Mark the pixels whose whole neighbourhood has one colour: no edge, no letter."""
    low = high = frames
    for axis in (1, 2):
        low = np.lib.stride_tricks.sliding_window_view(low, side, axis=axis).min(axis=-1)
        high = np.lib.stride_tricks.sliding_window_view(high, side, axis=axis).max(axis=-1)
    marks = np.zeros(frames.shape[:3], dtype=bool)
    edge = side // 2
    marks[:, edge:-edge, edge:-edge] = (low == high).all(axis=-1)
    return marks


@pytest.fixture
def failing_mode():
    """A mode that paints a few frames and then does as it is told."""
    state = {"frames": 6, "then": KeyboardInterrupt, "painted": 0}

    @register_mode
    class Failing(Mode):
        name, guide, label = "failing", "scale", "nothing"

        def paint(self, probabilities):
            state["painted"] += 1
            if state["painted"] > state["frames"]:
                outcome = state["then"]
                if not callable(outcome) or isinstance(outcome, type):
                    raise outcome
                outcome()
            return self.scale(probabilities[0])

    yield state
    del MODES["failing"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where films go; temporary files of any writer would show in the folder beside it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    films = tmp_path / "films"
    films.mkdir()
    yield films
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("suffix", DECODED)
def test_a_saved_film_holds_every_frame_once(folder, suffix):
    film = make_film()
    path = film.save(folder / f"film{suffix}")
    frames, seconds = decode(path)
    assert frames.shape == (17, 120, 150, 3) == (len(film), *film.shape, 3)
    # Videos state their length, and GIF each frame's, in hundredths of a second.
    assert seconds == pytest.approx(film.duration, abs=0.0101)
    assert os.listdir(folder) == [path.name]


@pytest.mark.parametrize(
    "fps",
    [*(pytest.param(fps, marks=pytest.mark.slow) for fps in (12, 24, 60, 100)), 29.97, 30],
)
@pytest.mark.parametrize("suffix", DECODED)
def test_a_film_lasts_as_long_as_its_frames_at_its_speed(folder, suffix, fps):
    film = make_film(interpolate=20)
    frames, seconds = decode(film.save(folder / f"film{suffix}", fps=fps))
    assert seconds == pytest.approx(81 / fps, abs=0.0101)
    assert len(frames) == 81 or (suffix == ".gif" and fps > 50)


@pytest.mark.parametrize("fps", [60, 75, 100])
def test_a_gif_leaves_frames_out_above_the_speed_that_browsers_play(folder, fps):
    frames, _ = decode(make_film(interpolate=20).save(folder / "film.gif", fps=fps))
    assert 81 * 33 / fps <= len(frames) <= 81 * 50 / fps + 1
    with Image.open(folder / "film.gif") as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            assert picture.info["duration"] >= 20


@given(n_frames=st.integers(1, 500), fps=st.floats(0.5, 500))
def test_gif_frames_keep_their_order_and_the_films_length(n_frames, fps):
    chosen = gif_timing(n_frames, fps)
    frames, hundredths = zip(*chosen, strict=True)
    assert frames[0] == 0
    assert all(one < next_one for one, next_one in pairwise(frames))
    assert frames[-1] < n_frames
    assert min(hundredths) >= 2
    # The last frame may have to be longer than is left of the film.
    assert -0.5 <= sum(hundredths) - n_frames * 100 / fps <= 2.5
    if fps <= 50:
        assert len(chosen) == n_frames


@pytest.mark.parametrize("suffix", DECODED)
def test_resting_on_the_last_snapshot_counts_as_time(folder, suffix):
    film = make_film(hold=1.0)
    frames, seconds = decode(film.save(folder / f"film{suffix}"))
    assert film.duration == pytest.approx(47 / 30)
    assert seconds == pytest.approx(47 / 30, abs=0.0101)
    assert len(frames) <= 47


@pytest.mark.parametrize("suffix", DECODED)
def test_a_film_of_one_snapshot_is_one_frame(folder, suffix):
    film = animate(RECORDING[:1], **SMALL)
    frames, _ = decode(film.save(folder / f"film{suffix}"))
    assert frames.shape == (1, 120, 150, 3)


LOOKS = {
    "region": {},
    "dark": {"dark": True},
    "boundary": {"mode": "boundary"},
    "plain": {"shade": False},
}


@cache
def look(name):
    """A film, its frames, and where they are of one colour."""
    film = make_film(title="A line moves", **LOOKS[name])
    frames = np.stack(list(film))
    return film, frames, flat(frames)


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize(
    ("suffix", "everywhere", "areas"),
    # Of 255: the mean over a frame, and over the even areas of a colour. Measured at most: videos
    # 3.1 and 2.3 (they keep half of the colours' resolution), WebP 1.7 and 1.2, GIF 0.2 and 0.
    # A film whose matrix is taken for the other one is off by 5 and more.
    [(".mp4", 3.5, 3), (".webm", 3.5, 3), (".webp", 2.5, 2), (".gif", 0.5, 0.25), (".apng", 0, 0)],
)
@pytest.mark.slow_after(5)
def test_colours_are_those_of_the_animation(folder, suffix, everywhere, areas, name):
    film, source, even = look(name)
    frames, _ = decode(film.save(folder / f"film{suffix}"))
    off = np.abs(frames.astype(int) - source)
    assert off.mean(axis=(1, 2, 3)).max() <= everywhere
    assert even.mean() > 0.15
    # A shift of a colour as a whole, as a wrong matrix makes it, is no noise of the encoder's.
    for color in np.unique(source[even], axis=0):
        seen = frames[even & (source == color).all(axis=-1)]
        assert np.abs(seen.mean(axis=0) - color).max() <= areas, color


@pytest.mark.parametrize("suffix", VIDEOS)
def test_videos_say_how_their_colours_are_stored(folder, suffix):
    path = make_film(interpolate=1).save(folder / f"film{suffix}")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    # Half the colours' resolution is what every player knows. One name means that matrix,
    # primaries and transfer are all stated: Chromium overrules a matrix that stands alone.
    assert re.search(r"Video: (h264|vp9) .*yuv420p\(tv, bt709[,)]", told)


def test_a_video_keeps_the_colour_of_each_pixel_where_its_format_does(folder):
    film = make_film(interpolate=1)
    source, off = np.stack(list(film)).astype(int), []
    for options in ({}, {"ffmpeg_params": ["-pix_fmt", "yuv444p"]}):
        frames, _ = decode(film.save(folder / "film.mp4", crf=0, **options))
        off.append(np.abs(frames - source).mean())
    assert off[0] > 2 * off[1]


@pytest.mark.parametrize("dark", [False, True])
def test_a_gif_keeps_the_ground_exactly_and_does_not_flicker(folder, dark):
    film = make_film(dark=dark, shade=False, title="A line moves")
    source = np.stack(list(film))
    frames, _ = decode(film.save(folder / "film.gif"))
    ground = np.array([16, 18, 22] if dark else [255, 255, 255])
    assert (frames[(source == ground).all(axis=-1)] == ground).all()
    still = (source == source[0]).all(axis=(0, 3))
    assert still.mean() > 0.5
    assert (frames[:, still] == frames[0, still]).all()


@pytest.mark.parametrize("suffix", DECODED)
@pytest.mark.parametrize("figsize", [(3.03, 2.41), (2.99, 2.43)])
def test_odd_figure_sizes_become_even_frames(folder, suffix, figsize):
    film = make_film(figsize=figsize)
    frames, _ = decode(film.save(folder / f"film{suffix}"))
    height, width = film.shape
    assert frames.shape[1:3] == (height, width)
    assert (height % 2, width % 2) == (0, 0)
    assert (height, width) == pytest.approx((50 * figsize[1], 50 * figsize[0]), abs=2)


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
def test_suffixes_may_be_written_in_capitals(folder, suffix):
    film = make_film(interpolate=1)
    path = film.save(folder / f"FILM{suffix.upper()}")
    assert path.name == f"FILM{suffix.upper()}"
    if suffix == ".html":
        assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    else:
        assert len(decode(path)[0]) == 5


@pytest.mark.parametrize("name", ["two words.mp4", "-i.mp4", "50 %d.mp4", "a:b.mp4", "größe ∇.mp4"])
def test_any_file_name_will_do(folder, name, monkeypatch):
    monkeypatch.chdir(folder)
    film = make_film(interpolate=1)
    film.save(name)
    assert os.listdir(folder) == [name]
    assert len(decode(folder / name)[0]) == 5


def test_a_path_may_begin_in_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert make_film(interpolate=1).save("~/film.gif") == folder / "film.gif"
    assert (folder / "film.gif").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("film.avi", r"ends in '\.avi'; expected one of \.mp4 \.webm \.gif"),
        ("film.png", r"ends in '\.png'; expected one of"),
        ("film", "has no suffix; expected one of"),
        ("missing/film.mp4", "folder .*missing' does not exist; make it first"),
        ("folder.gif", "is a folder"),
    ],
)
def test_a_wrong_path_is_refused_before_anything_is_rendered(folder, failing_mode, name, message):
    (folder / "folder.gif").mkdir()
    with pytest.raises(ValueError, match=message):
        make_film(mode="failing").save(folder / name)
    assert failing_mode["painted"] == 0
    assert os.listdir(folder) == ["folder.gif"]


@pytest.mark.parametrize("fps", [0, -30, float("nan"), float("inf")])
def test_a_wrong_speed_is_refused_before_anything_is_rendered(folder, failing_mode, fps):
    with pytest.raises(ValueError, match=r"fps=.*expected a positive number"):
        make_film(mode="failing").save(folder / "film.mp4", fps=fps)
    assert failing_mode["painted"] == 0
    assert os.listdir(folder) == []


@pytest.mark.parametrize("older", [None, b"an older film"])
@pytest.mark.parametrize("outcome", [KeyboardInterrupt, OSError(5, "the recording is gone")])
@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
@pytest.mark.slow_after(12)
def test_an_interrupted_save_leaves_everything_as_it_was(
    folder, failing_mode, suffix, outcome, older
):
    path = folder / f"film{suffix}"
    if older:
        path.write_bytes(older)
    failing_mode["then"] = outcome
    before = children()
    kind = outcome if isinstance(outcome, type) else type(outcome)
    # What went wrong is told as it is: it is no failure of the encoder.
    with pytest.raises(kind) as told:
        make_film(mode="failing").save(path)
    assert told.type is kind
    assert failing_mode["painted"] == 7
    assert os.listdir(folder) == ([path.name] if older else [])
    if older:
        assert path.read_bytes() == older
    assert children() <= before


def test_a_gif_that_is_interrupted_while_it_is_written_leaves_nothing(folder, failing_mode):
    failing_mode["frames"] = 12 + 8  # beyond those that are looked at for their colours
    with pytest.raises(KeyboardInterrupt):
        make_film(mode="failing").save(folder / "film.gif")
    assert os.listdir(folder) == []


def test_a_new_film_takes_the_place_of_an_older_one(folder):
    path = folder / "film.gif"
    path.write_bytes(b"an older film")
    make_film().save(path)
    assert len(decode(path)[0]) == 17


@pytest.mark.parametrize("suffix", VIDEOS)
def test_an_unknown_codec_is_told_in_the_encoders_words(folder, suffix):
    path = folder / f"film{suffix}"
    path.write_bytes(b"an older film")
    with pytest.raises(WriterError, match=f"'h266' failed on {suffix}: .*Unknown encoder 'h266'"):
        make_film().save(path, codec="h266")
    assert path.read_bytes() == b"an older film"
    assert os.listdir(folder) == [path.name]


def children():
    """The processes that this one has started and that still run."""
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(number) for text in lists for number in text.read_text().split()}


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the encoder is found through /proc, on Linux"
)


@needs_proc
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".html"])
def test_an_encoder_that_is_killed_mid_film_is_told_and_leaves_nothing(
    folder, failing_mode, suffix
):
    before, killed = children(), []

    def kill_the_encoder():
        for process in children() - before - set(killed):
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    failing_mode["then"] = kill_the_encoder
    with pytest.raises(WriterError, match=r"'lib[a-z0-9-]+' failed on .*: killed by signal 9"):
        make_film(mode="failing", interpolate=40).save(folder / f"film{suffix}")
    assert len(killed) == 1
    assert os.listdir(folder) == []


@pytest.fixture
def full_disk(folder):
    """A file system of one megabyte, nearly full."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if shutil.which("mount") is None or os.getuid() != 0:
        pytest.skip("a small disk can be mounted by root alone")
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        (disk / "older.bin").write_bytes(bytes(1020 * 1024))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
@pytest.mark.slow_after(2)
def test_a_full_disk_is_told_and_leaves_nothing(full_disk, suffix):
    film = make_film(figsize=(6, 5), dpi=100, interpolate=10)
    with pytest.raises((WriterError, OSError), match=r"[Nn]o space left on device"):
        film.save(full_disk / f"film{suffix}")
    assert os.listdir(full_disk) == ["older.bin"]


@pytest.mark.parametrize(
    ("suffix", "option"),
    [
        (".mp4", "loop"),
        (".webm", "preset"),
        (".gif", "crf"),
        (".apng", "quality"),
        (".webp", "codec"),
        (".html", "bitrate"),
    ],
)
def test_an_option_of_another_format_is_refused(folder, failing_mode, suffix, option):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        make_film(mode="failing").save(folder / f"film{suffix}", **{option: 1})
    assert failing_mode["painted"] == 0
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("suffix", "options", "error", "message"),
    [
        (".mp4", {"codec": 264}, TypeError, "codec=264: expected a text"),
        (".mp4", {"preset": 3}, TypeError, "preset=3: expected a text"),
        (".mp4", {"crf": "low"}, TypeError, "crf='low': expected a number, 0 to 63"),
        (".webm", {"crf": 64}, ValueError, "crf=64: expected a number, 0 to 63"),
        (".webm", {"threads": 1.5}, TypeError, "threads=1.5: expected a whole number"),
        (".mp4", {"ffmpeg_params": "-an"}, TypeError, "ffmpeg_params='-an': expected a list of"),
        (".gif", {"loop": -1}, ValueError, "loop=-1: expected a whole number, 0 to 65535"),
        (".gif", {"loop": 70_000}, ValueError, "loop=70000: expected a whole number, 0 to 65535"),
        (".apng", {"loop": True}, TypeError, "loop=True: expected a whole number"),
        (".apng", {"exact": "no"}, TypeError, "exact='no': expected True or False"),
        (".webp", {"loop": "for ever"}, TypeError, "loop='for ever': expected a whole number"),
        (".webp", {"quality": 101}, ValueError, "quality=101: expected a number, 0 to 100"),
        (".webp", {"lossless": 1}, TypeError, "lossless=1: expected True or False"),
        (".html", {"autoplay": 1}, TypeError, "autoplay=1: expected True or False"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_rendered(
    folder, failing_mode, suffix, options, error, message
):
    with pytest.raises(error, match=re.escape(message)):
        make_film(mode="failing").save(folder / f"film{suffix}", **options)
    assert failing_mode["painted"] == 0
    assert os.listdir(folder) == []


def test_a_bitrate_may_be_a_number(folder):
    path = make_film(interpolate=1).save(folder / "film.mp4", bitrate=200_000)
    assert len(decode(path)[0]) > 1


@pytest.mark.slow
def test_quality_options_reach_the_encoder(folder):
    film = make_film(figsize=(6, 4), dpi=100)

    def size(suffix, **options):
        return film.save(folder / f"film{suffix}", **options).stat().st_size

    assert size(".mp4", crf=45) < size(".mp4") < size(".mp4", crf=0)
    assert size(".mp4", bitrate="50k") < size(".mp4", bitrate="2000k")
    assert size(".webm", crf=60) < size(".webm")
    assert size(".webp", quality=5) < size(".webp")
    film.save(folder / "exact.webp", lossless=True)
    assert (decode(folder / "exact.webp")[0] == np.stack(list(film))).all()


@pytest.mark.parametrize("suffix", [".gif", ".apng", ".webp"])
def test_films_repeat_for_ever_unless_told_otherwise(folder, suffix):
    film = make_film(interpolate=1)
    with Image.open(film.save(folder / f"a{suffix}")) as picture:
        assert picture.info["loop"] == 0
    with Image.open(film.save(folder / f"b{suffix}", loop=3)) as picture:
        assert picture.info["loop"] == 3


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
def test_progress_shows_the_frames_on_standard_error(folder, suffix, capsys):
    make_film().save(folder / f"film{suffix}", progress=True)
    shown = capsys.readouterr()
    assert f"film{suffix}: 100%" in shown.err
    assert ("5/5" if suffix == ".html" else "17/17") in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
def test_saving_is_silent_where_there_is_no_terminal(folder, suffix, capfd):
    make_film(interpolate=1).save(folder / f"film{suffix}")
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_unless_it_is_switched_off(folder, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    make_film().save(folder / "film.gif", progress=False)
    assert terminal.getvalue() == ""
    make_film().save(folder / "film.gif")
    assert "17/17" in terminal.getvalue()


def test_saving_works_without_a_standard_error(folder, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert make_film(interpolate=1).save(folder / "film.gif").exists()


def test_html_is_one_file_that_needs_nothing_else(folder):
    film = make_film(title="<script>\"Tom\" & 'Anna'</script>")
    page = film.save(folder / "film.html", player=False).read_text(encoding="utf-8")
    assert "https:" not in page
    assert "http:" not in page
    assert re.findall(r'(?:src|href)="([^"]{15})', page) == ["data:video/mp4;"]
    assert "<script" not in page
    assert "<title>&lt;script&gt;&quot;Tom&quot; &amp; &#x27;Anna&#x27;&lt;/script&gt;" in page
    (folder / "inside.mp4").write_bytes(base64.b64decode(re.search(r'base64,([^"]+)', page)[1]))
    frames, _ = decode(folder / "inside.mp4")
    assert frames.shape == (17, 120, 150, 3)
    assert " loop autoplay " in page


def test_html_without_a_title_and_without_playing_by_itself(folder):
    path = make_film(interpolate=1).save(
        folder / "film.html", player=False, loop=False, autoplay=False
    )
    page = path.read_text(encoding="utf-8")
    assert "<title>trainviz</title>" in page
    assert not re.search(r"\b(loop|autoplay)\b", re.sub(r'base64,[^"]+', "", page))


def test_jupyter_shows_the_film_itself(folder):
    film = make_film()
    element = film._repr_html_()
    assert element == film.to_html5_video()
    assert element.startswith('<video width="150" height="120" controls')
    assert "autoplay" not in element[:200]
    (folder / "inside.mp4").write_bytes(base64.b64decode(re.search(r'base64,([^"]+)', element)[1]))
    assert len(decode(folder / "inside.mp4")[0]) == 17


@pytest.mark.parametrize("letter", ["f", "\N{SNOWMAN}"])
def test_a_name_as_long_as_the_file_system_allows_will_do(folder, letter):
    name = letter * ((255 - 4) // len(letter.encode())) + ".gif"
    make_film().save(folder / name)
    assert os.listdir(folder) == [name]
