"""The fast renderer against a slow one, and what it costs in reads, memory and threads."""

import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates

import trainviz as tv
from trainviz._common import jit
from trainviz.errors import WriterError
from trainviz.modes import MODES
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.stores import MemoryStore

BARE = {
    "figsize": (1.4, 1.2), "dpi": 50, "axes": False, "legend": False, "metrics": False,
    "points": False, "counter": False,
}  # fmt: skip
SMALL = {"figsize": (6, 4.8), "dpi": 25}
FILMS = [".mp4", ".webm", ".gif", ".apng", ".webp", ".html"]


# A slow reference, written for reading and in double precision.


def reference_map(recording, position, interpolation, pixels):
    """The class probabilities at a moment, at the centres of a picture's pixels."""
    height, width = recording.domain.shape
    rows = (1 - (np.arange(pixels[0]) + 0.5) / pixels[0]) * (height - 1)
    columns = (np.arange(pixels[1]) + 0.5) / pixels[1] * (width - 1)
    places = np.meshgrid(rows, columns, indexing="ij")
    maps = np.array([
        [map_coordinates(image.astype(float), places, order=1) for image in snapshot.probabilities]
        for snapshot in recording
    ])  # fmt: skip
    left = min(int(position), len(maps) - 2)
    weight = position - left
    if interpolation == "linear":
        return (1 - weight) * maps[left] + weight * maps[left + 1]
    if interpolation == "geometric":
        low = np.maximum(maps, 1e-12)
        mixed = low[left] ** (1 - weight) * low[left + 1] ** weight
    else:
        mixed = PchipInterpolator(np.arange(len(maps)), maps)(position)
    return mixed / mixed.sum(axis=0)


def reference_boundary(probabilities, palette):
    n_classes = len(probabilities)
    level = (probabilities.max(axis=0) - 1 / n_classes) / (1 - 1 / n_classes)
    return palette.sequential[np.round(255 * level).astype(int)]


def reference_region(probabilities, palette, shade=True):
    n_classes, height, width = probabilities.shape
    labels = probabilities.argmax(axis=0)

    def color(label, row, column):
        sure = (probabilities[:, row, column].max() - 1 / n_classes) / (1 - 1 / n_classes)
        strength = 0.18 + 0.54 * np.round(63 * sure) / 63 if shade else 1
        ground, full = palette.background.astype(float), palette.classes[label].astype(float)
        return np.round(ground + strength * (full - ground))

    def at(row, column):
        return probabilities[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]

    def sample(row, column, down, right):
        below, beside = (1 if down > 0 else -1), (1 if right > 0 else -1)
        a, b = abs(down), abs(right)
        here = (1 - b) * at(row, column) + b * at(row, column + beside)
        there = (1 - b) * at(row + below, column) + b * at(row + below, column + beside)
        return (1 - a) * here + a * there

    image = np.zeros((height, width, 3))
    offsets = (-0.375, -0.125, 0.125, 0.375)
    for row, column in np.ndindex(height, width):
        near = np.unique(labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2])
        if len(near) == 1:
            image[row, column] = color(near[0], row, column)
            continue
        samples = [sample(row, column, down, right) for down in offsets for right in offsets]
        winners = [near[values[near].argmax()] for values in samples]
        colors = [color(label, row, column) for label in winners]
        image[row, column] = np.floor(np.mean(colors, axis=0) + 0.5)
    return image.astype(np.uint8)


def whereabouts(recording):
    """Where the map is in a bare frame: found with a mode that paints all in one colour."""

    @tv.register_mode
    class Plain(tv.Mode):
        name, guide = "plain-red", "classes"

        def paint(self, probabilities):
            return np.full((*probabilities.shape[1:], 3), (255, 0, 0), dtype=np.uint8)

    try:
        frame = tv.animate(recording, mode="plain-red", **BARE)[0]
    finally:
        del MODES["plain-red"]
    rows, columns = np.nonzero((frame == (255, 0, 0)).all(axis=-1))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.fixture(scope="module")
def painted_slowly():
    """Return a slow reference's picture, which compiled and numpy frames are both held against."""
    pictures = {}

    def paint(key, picture):
        if key not in pictures:
            pictures[key] = picture()
        return pictures[key]

    return paint


@pytest.mark.usefixtures("with_and_without_numba")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("interpolation", ["linear", "geometric", "smooth"])
@pytest.mark.parametrize(
    ("mode", "reference", "options"),
    [
        ("boundary", reference_boundary, {}),
        ("region", reference_region, {}),
        ("region", lambda p, palette: reference_region(p, palette, shade=False), {"shade": False}),
    ],
)
@pytest.mark.slow_after(12)
def test_frames_are_those_of_a_slow_painter(
    make_recording, painted_slowly, mode, reference, options, interpolation, dark
):
    recording = make_recording(n_classes=5, snapshots=4, points=False)
    rows, columns = whereabouts(recording)
    film = tv.animate(
        recording, mode=mode, interpolate=3, interpolation=interpolation, dark=dark, **options,
        **BARE,
    )  # fmt: skip
    palette = tv.Palette.of(5, dark=dark)
    pixels = rows.stop - rows.start, columns.stop - columns.start
    assert min(pixels) > 30
    for index in (0, 2, 4, 9):
        seen = film[index][rows, columns].astype(int)
        slow = painted_slowly(
            (reference, interpolation, dark, index, pixels),
            lambda index=index: reference(
                reference_map(recording, index / 3, interpolation, pixels), palette
            ),
        )
        # Rounding may fall otherwise in single precision, for a level or for one of 16 samples.
        off = np.abs(seen - slow).max(axis=-1)
        assert (off > 0).mean() < 0.005
        assert off.max() <= 16


@pytest.mark.usefixtures("with_and_without_numba")
def test_where_many_classes_meet_a_frame_is_that_of_a_slow_painter():
    rng = np.random.default_rng(0)
    store = MemoryStore()
    for epoch in range(2):
        noise = rng.dirichlet(np.full(6, 0.3), (9, 11)).transpose(2, 0, 1)
        store.append(Snapshot(noise.astype(np.float32), epoch))
    recording = Recording(tv.Domain((-2, 2), (-1.5, 1.5), shape=(9, 11)), store)
    rows, columns = whereabouts(recording)
    pixels = rows.stop - rows.start, columns.stop - columns.start
    film = tv.animate(recording, interpolate=2, **BARE)
    slow = reference_region(reference_map(recording, 0.5, "linear", pixels), tv.Palette.of(6))
    off = np.abs(film[1][rows, columns].astype(int) - slow).max(axis=-1)
    assert (off > 0).mean() < 0.005


@pytest.mark.parametrize(
    ("n_classes", "interpolation"),
    [
        (7, "linear"), (7, "smooth"),
        *(pytest.param(*case, marks=pytest.mark.slow)
          for case in ((2, "linear"), (7, "geometric"), (100, "linear"))),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "mode",
    [
        "boundary", "region", tv.modes.Region(top_k=1), tv.modes.Region(outline=True),
        tv.modes.Boundary(levels=0.5), "entropy",
    ],
    ids=["boundary", "region", "others", "outline", "contours", "entropy"],
)  # fmt: skip
def test_compiled_or_not_the_frames_are_the_same_to_the_bit(
    monkeypatch, mode, n_classes, interpolation
):
    rng = np.random.default_rng(0)
    slopes = rng.normal(0, 0.7, (2, n_classes))
    recorder = tv.Recorder(
        tv.Domain((-2, 2), (-1.5, 1.5), shape=(70, 81)), output="logits",
        data=(rng.normal(0, 1, (40, 2)), np.arange(40) % n_classes),
    )  # fmt: skip
    for epoch in range(4):
        recorder.capture(lambda X, epoch=epoch: epoch * np.sin(X @ slopes), epoch=epoch)
    frames = []
    for policy in ("compiled", "numpy"):
        monkeypatch.setattr(jit, "POLICY", policy)
        film = tv.animate(
            recorder.recording, mode=mode, interpolate=2, interpolation=interpolation, **SMALL
        )
        frames.append(np.stack([film[index] for index in (0, 1, 3, 6)]))
    np.testing.assert_array_equal(*frames)


# What is read, and kept.


class LazyStore(MemoryStore):
    """Makes its maps when they are asked for, as a recording on disk does."""

    def __init__(self, n_snapshots, n_points=0):
        super().__init__()
        self.reads = []
        guesses = np.arange(n_points) % 2
        for epoch in range(n_snapshots):
            empty = np.empty((2, 0, 0), np.float32)
            self.append(Snapshot(empty, epoch, data_predictions=np.roll(guesses, epoch)))

    def read(self, index):
        self.reads.append(index)
        ramp = np.linspace(0, 1, 60, dtype=np.float32)
        share = np.clip(ramp[None] + ramp[:, None] - 0.02 * (index % 50), 0, 1)
        return Snapshot(np.stack([share, 1 - share]), index)


def lazy_film(n_snapshots, n_points=0, **options):
    """A film whose first frame has been seen, so that all is laid out, and its store."""
    store = LazyStore(n_snapshots, n_points)
    domain = tv.Domain((-1, 1), (-1, 1), shape=(60, 60))
    data = None
    if n_points:
        X = np.random.default_rng(0).uniform(-1, 1, (n_points, 2))
        data = tv.Recorder(domain, data=(X, np.arange(n_points) % 2)).recording.data
    film = tv.animate(Recording(domain, store, data=data), **{**SMALL, **options})
    assert film[0].shape == (*film.shape, 3)
    store.reads.clear()
    return film, store


@pytest.mark.parametrize("mode", ["region", "boundary"])
@pytest.mark.parametrize("suffix", FILMS)
def test_misclassified_points_cost_no_second_reading_of_a_map(tmp_path, suffix, mode):
    film, store = lazy_film(9, n_points=20, interpolate=2, mode=mode)
    film.save(tmp_path / f"film{suffix}")
    assert store.reads == list(range(9))


@pytest.mark.parametrize(
    "suffix",
    [".mp4", *(pytest.param(s, marks=pytest.mark.slow) for s in (".gif", ".apng", ".webp"))],
)
def test_ten_times_as_many_snapshots_take_no_more_memory(tmp_path, suffix):
    # What an encoder loads once is no memory of the film.
    short, _ = lazy_film(5, n_points=20, dpi=50)
    short.save(tmp_path / f"first{suffix}")
    ahead = 10 * short[0].nbytes

    def peak(n_snapshots):
        film, _ = lazy_film(n_snapshots, n_points=20, dpi=50)
        tracemalloc.start()
        try:
            film.save(tmp_path / f"film{suffix}")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Of a short film, the encoder may take all before a few frames have to wait.
    assert peak(300) <= 1.1 * peak(30) + ahead


# What goes on beside.


@pytest.fixture
def no_threads():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


@pytest.fixture
def failing_mode():
    """A mode whose fifth picture fails as it is told to."""
    state = {"error": RuntimeError("no more paint"), "painted": 0}

    @tv.register_mode
    class Failing(tv.Mode):
        name, guide, label = "failing", "scale", "nothing"
        colors = np.zeros((1, 3), dtype=np.uint8)

        def paint(self, probabilities):
            state["painted"] += 1
            if state["painted"] == 5:
                raise state["error"]
            return self.scale(probabilities[0])

    yield state
    del MODES["failing"]


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("suffix", FILMS)
def test_nothing_goes_on_once_a_film_is_saved(recording, tmp_path, suffix):
    tv.animate(recording, interpolate=5, **SMALL).save(tmp_path / f"film{suffix}")


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("suffix", FILMS)
def test_nothing_goes_on_once_painting_has_failed(recording, tmp_path, failing_mode, suffix):
    film = tv.animate(recording, interpolate=5, mode="failing", **SMALL)
    with pytest.raises(RuntimeError) as told:
        film.save(tmp_path / f"film{suffix}")
    assert told.value is failing_mode["error"]
    assert failing_mode["painted"] == 5
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("no_threads")
def test_nothing_goes_on_once_the_encoder_has_failed(recording, tmp_path):
    with pytest.raises(WriterError, match="Unknown encoder"):
        tv.animate(recording, interpolate=200, **SMALL).save(tmp_path / "a.mp4", codec="h266")
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("no_threads")
def test_a_film_that_cannot_be_opened_for_writing_ends_painting(recording, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.open", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "ro")))
    with pytest.raises(OSError, match="ro"):
        tv.animate(recording, interpolate=200, **SMALL).save(tmp_path / "a.gif")


@pytest.mark.usefixtures("no_threads")
def test_an_interrupt_ends_painting_too(recording, tmp_path):
    film = tv.animate(recording, interpolate=2000, **SMALL)
    film[0]
    # A shell that runs the tests in the background lets them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            film.save(tmp_path / "film.mp4")
    finally:
        signal.signal(signal.SIGINT, before)
    timer.join()
    assert os.listdir(tmp_path) == []


# Several processes.


@pytest.mark.parametrize("suffix", [".gif", ".apng"])
@pytest.mark.parametrize(
    "options", [{}, {"mode": "boundary", "interpolation": "smooth", "dark": True, "hold": 0.5}]
)
@pytest.mark.slow_after(1)
def test_several_processes_make_the_same_film(make_recording, tmp_path, options, suffix):
    film = tv.animate(make_recording(snapshots=9), interpolate=4, **SMALL, **options)
    alone = film.save(tmp_path / f"alone{suffix}").read_bytes()
    for jobs in (2, 3):
        assert film.save(tmp_path / f"jobs{suffix}", jobs=jobs).read_bytes() == alone


def test_several_processes_make_long_films_in_order(tmp_path):
    film, store = lazy_film(1500, n_points=20, metrics=False)
    one, two = (film.save(tmp_path / f"{jobs}.gif", jobs=jobs) for jobs in (1, 2))
    assert store.reads == list(range(1500))
    assert one.read_bytes() == two.read_bytes()


def test_a_film_that_is_watched_can_be_handed_to_another_process(recording):
    import pickle

    film = tv.animate(recording, interpolate=2, **SMALL)
    frames = list(film)
    np.testing.assert_array_equal(list(pickle.loads(pickle.dumps(film))), frames)


@pytest.mark.usefixtures("no_threads")
def test_what_fails_in_a_process_is_told_as_it_is(recording, tmp_path, failing_mode):
    before = children()
    film = tv.animate(recording, interpolate=5, mode="failing", **SMALL)
    with pytest.raises(RuntimeError, match="no more paint"):
        film.save(tmp_path / "film.mp4", jobs=2)
    assert os.listdir(tmp_path) == []
    assert children() <= before


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are killed on Linux")
@pytest.mark.usefixtures("no_threads")
def test_a_process_that_is_killed_is_told(recording, tmp_path):
    @tv.register_mode
    class Deadly(tv.Mode):
        name, guide, label = "deadly", "scale", "nothing"

        def paint(self, probabilities):
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.scale(probabilities[0])

    parent, before = os.getpid(), children()
    try:
        film = tv.animate(recording, mode="deadly", **SMALL)
        with pytest.raises(WriterError, match="ended before its time"):
            film.save(tmp_path / "film.mp4", jobs=2)
    finally:
        del MODES["deadly"]
    assert os.listdir(tmp_path) == []
    assert children() <= before


FILM_OF_TWO_PROCESSES = """
import sys, time
import numpy as np
import trainviz as tv

class Slow(tv.Mode):
    name, label = "slow", "nothing"
    def values(self, probabilities):
        time.sleep(0.2)
        return probabilities[0]

recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=4))
for epoch in range(200):
    recorder.append(np.full((2, 4, 4), 0.5), epoch=epoch)
print("saving", flush=True)
tv.animate(recorder.recording, mode=Slow(), figsize=(8, 8)).save(sys.argv[1], jobs=2)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are killed on Linux")
def test_processes_end_with_the_one_that_was_killed_and_the_next_save_tidies_up(
    recording, tmp_path
):
    command = [sys.executable, "-c", FILM_OF_TWO_PROCESSES, str(tmp_path / "film.gif")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as saving:
        saving.stdout.readline()
        wait_until(lambda: len(children(saving.pid)) >= 2 and os.listdir(tmp_path))
        workers = children(saving.pid)
        saving.kill()
        assert saving.stdout.read() == b""  # None of them keeps a pipe open.
    wait_until(lambda: not any(map(runs, workers)))
    (left,) = os.listdir(tmp_path)
    assert left != "film.gif"
    tv.animate(recording, **SMALL).save(tmp_path / "film.gif")
    assert os.listdir(tmp_path) == ["film.gif"]


def wait_until(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid=None):
    lists = Path(f"/proc/{pid or os.getpid()}/task").glob("*/children")
    return {int(number) for text in lists for number in text.read_text().split()}


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2", None, True])
def test_a_wrong_number_of_processes_is_refused(recording, tmp_path, jobs):
    with pytest.raises(ValueError, match=r"jobs=.*expected how many processes, at least 1"):
        tv.animate(recording, **SMALL).save(tmp_path / "film.mp4", jobs=jobs)


# Pictures that hold only what is new.


@pytest.mark.parametrize("options", [{".gif": {}}, {".apng": {}}, {".apng": {"exact": False}}])
def test_only_the_rectangle_that_changes_is_stored(make_recording, tmp_path, options):
    ((suffix, extra),) = options.items()
    recording = make_recording(snapshots=4, points=False, metrics=False)
    film = tv.animate(recording, **SMALL)
    path = film.save(tmp_path / f"film{suffix}", **extra)
    with Image.open(path) as picture:
        sizes = []
        for index in range(picture.n_frames):
            picture.seek(index)
            left, top, right, bottom = (
                picture.tile[0][1] if picture.tile else picture.dispose_extent
            )
            sizes.append((right - left) * (bottom - top))
    frames = np.stack(list(film)).astype(int)
    rows, columns = np.nonzero((frames != frames[0]).any(axis=(0, 3)))
    changing = (rows.max() + 1 - rows.min()) * (columns.max() + 1 - columns.min())
    assert sizes[0] == 120 * 150
    assert max(sizes[1:]) <= changing < 0.7 * sizes[0]


@pytest.mark.parametrize("suffix", [".gif", pytest.param(".apng", marks=pytest.mark.slow)])
def test_resting_takes_hardly_any_room(recording, tmp_path, suffix):
    moving = tv.animate(recording, **SMALL).save(tmp_path / f"moving{suffix}").stat().st_size
    resting = tv.animate(recording, hold=200, **SMALL).save(tmp_path / f"resting{suffix}")
    assert resting.stat().st_size < moving + 5000
    with Image.open(resting) as picture:
        total = 0
        for index in range(picture.n_frames):
            picture.seek(index)
            total += picture.info["duration"]
    assert total == pytest.approx(1000 * (200 + 5 / 30), abs=20)


def test_a_palette_makes_an_apng_smaller_and_keeps_its_colours_near(make_recording, tmp_path):
    film = tv.animate(make_recording(n_classes=7), interpolate=4, **SMALL)
    exact = film.save(tmp_path / "exact.apng")
    small = film.save(tmp_path / "small.apng", exact=False)
    assert small.stat().st_size < exact.stat().st_size
    with Image.open(small) as picture:
        for index, frame in enumerate(film):
            picture.seek(index)
            off = np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame)
            assert off.mean() < 1


@pytest.mark.parametrize("told", [True, False])
def test_a_modes_own_colours_are_those_of_its_gif(make_recording, tmp_path, told):
    @tv.register_mode
    class Greens(tv.Mode):
        name, guide, label = "greens", "scale", "greenness"
        table = np.stack([np.zeros(256), np.arange(256), np.zeros(256)], 1).astype(np.uint8)
        colors = table if told else None

        def paint(self, probabilities):
            return self.table[(255 * probabilities.max(axis=0)).astype(np.uint8)]

    try:
        film = tv.animate(make_recording(n_classes=3), mode="greens", interpolate=4, **SMALL)
        path = film.save(tmp_path / "film.gif")
        frames = list(film)
    finally:
        del MODES["greens"]
    with Image.open(path) as picture:
        for index, frame in enumerate(frames):
            picture.seek(index)
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame).mean() < 1
