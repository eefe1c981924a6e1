"""The film of a recording: a lazy sequence of frames, and the pictures made of it."""

import base64
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from moviepy import (
    CompositeVideoClip,
    VideoClip,
    VideoFileClip,
    clips_array,
    concatenate_videoclips,
)
from PIL import Image
from scipy.interpolate import PchipInterpolator

import trainviz as tv
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.stores import MemoryStore
from trainviz.recordings.time_axis import Moment
from trainviz.rendering import painter

SMALL = {"figsize": (3, 2.4), "dpi": 50}
BARE = {**SMALL, "axes": False, "legend": False, "metrics": False, "points": False}
INTERPOLATIONS = ["linear", "geometric", "smooth"]


def film_of(recording, **options):
    return tv.animate(recording, **{**BARE, **options})


def even_recording(*shares):
    """Two classes, the second with one probability all over each snapshot."""
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(4, 4)))
    for epoch, share in enumerate(shares):
        recorder.capture(lambda X, p=share: np.full(len(X), p), epoch=epoch)
    return recorder.recording


def shares_shown(film, colors):
    """Read the highest probability off the middle of each frame of a boundary film."""
    levels = []
    for frame in film:
        color = frame[frame.shape[0] // 2, frame.shape[1] // 2].astype(int)
        levels.append(int(np.abs(colors - color).sum(axis=1).argmin()))
    return 0.5 + 0.5 * np.array(levels) / 255


# A sequence of frames.


@given(n=st.integers(1, 8), k=st.integers(1, 9), hold=st.floats(0, 2), fps=st.floats(1, 60))
def test_a_film_counts_its_frames_and_seconds(n, k, hold, fps):
    film = tv.animate(even_recording(*[0.5] * n), interpolate=k, hold=hold, fps=fps)
    assert len(film) == (n - 1) * k + 1 + round(hold * fps)
    assert film.duration == pytest.approx(len(film) / fps)
    assert film.fps == fps


def test_frames_are_pictures_in_eight_bits(recording):
    film = film_of(recording)
    for frame in film:
        assert frame.dtype == np.uint8
        assert frame.shape == (*film.shape, 3) == (120, 150, 3)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_indexing_gives_the_frames_that_iterating_gives(recording, interpolation):
    film = film_of(recording, interpolate=3, interpolation=interpolation, hold=0.1)
    frames = list(film)
    assert len(frames) == len(film) == 16
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(film[index], frame)
        np.testing.assert_array_equal(film[index - len(film)], frame)
    assert len({frame.tobytes() for frame in frames}) == 13


@pytest.mark.parametrize("index", [13, -14, 1000])
def test_there_is_no_frame_beyond_the_film(recording, index):
    with pytest.raises(IndexError, match=f"frame {index} of a film with 13 frames"):
        film_of(recording, interpolate=3)[index]


def test_a_film_can_be_watched_again_and_by_two_at_a_time(recording):
    film = film_of(recording, interpolate=2)
    for one, other in zip(film, film, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(list(film)) == 9


def test_writing_into_a_frame_does_not_change_the_film(recording):
    film = film_of(recording)
    expected = list(film)
    for frame in film:
        frame[:] = 0
    film[0][:] = 0
    for frame, before in zip(film, expected, strict=True):
        np.testing.assert_array_equal(frame, before)


def test_holding_rests_on_the_last_frame(recording):
    film, moving = film_of(recording, hold=0.5, fps=10), film_of(recording, fps=10)
    assert len(film) == len(moving) + 5
    for index in range(len(moving) - 1, len(film)):
        np.testing.assert_array_equal(film[index], moving[-1])


def test_the_speed_and_the_frames_between_do_not_change_what_snapshots_look_like(recording):
    film, other = film_of(recording), film_of(recording, interpolate=4, fps=7, hold=1)
    for index, frame in enumerate(film):
        np.testing.assert_array_equal(other[4 * index], frame)


def test_animate_makes_an_animation_of_the_recording(recording):
    film = tv.animate(recording)
    assert isinstance(film, tv.Animation)
    np.testing.assert_array_equal(film.recording.epochs, recording.epochs)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "Animation(region mode, 5 frames, 0.2 s at 30 frames/s, of Recording(5 snapshots, "),
        (
            {"mode": "boundary", "interpolate": 10, "fps": 12.5, "hold": 1},
            "Animation(boundary mode, 53 frames, 4.2 s at 12.5 frames/s, of Recording(5 snap",
        ),
    ],
)
def test_a_film_describes_itself_in_a_line(recording, options, told):
    assert repr(tv.animate(recording, **options)).startswith(told)


# Between snapshots.


def boundary_film(recording, **options):
    colors = tv.Palette.of(2).sequential.astype(int)
    return shares_shown(film_of(recording, mode="boundary", counter=False, **options), colors)


def test_linear_is_the_default_and_mixes_probabilities():
    shown = boundary_film(even_recording(0.5, 0.9), interpolate=4)
    assert shown == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9], abs=0.003)
    linear = boundary_film(even_recording(0.5, 0.9), interpolate=4, interpolation="linear")
    assert linear.tolist() == shown.tolist()


def test_geometric_mixes_log_odds():
    shown = boundary_film(even_recording(0.5, 0.9), interpolate=4, interpolation="geometric")
    odds = np.array([1, 3**0.5, 3, 3**1.5, 9])
    assert shown == pytest.approx(odds / (1 + odds), abs=0.003)


def test_geometric_is_safe_where_a_model_is_certain():
    recording = even_recording(1.0, 0.0, 1.0)
    with np.errstate(all="raise"):
        shown = boundary_film(recording, interpolate=2, interpolation="geometric")
    assert shown == pytest.approx([1, 0.5, 1, 0.5, 1], abs=0.003)


def test_smooth_is_a_monotone_cubic():
    shares = [0.5, 0.6, 0.95, 0.97]
    shown = boundary_film(even_recording(*shares), interpolate=5, interpolation="smooth")
    cubic = PchipInterpolator(range(4), shares)(np.arange(16) / 5)
    assert shown == pytest.approx(cubic, abs=0.003)
    assert np.abs(cubic - np.interp(np.arange(16) / 5, range(4), shares)).max() > 0.01


@pytest.mark.parametrize("mode", ["region", "boundary"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_snapshots_look_the_same_whatever_lies_between(recording, interpolation, mode):
    film = film_of(recording, mode=mode, interpolate=3, interpolation=interpolation)
    alone = film_of(recording, mode=mode)
    for index, frame in enumerate(alone):
        np.testing.assert_array_equal(film[3 * index], frame)
        if index:
            assert (film[3 * index - 1] != frame).any()


# Lazy.


class CountingStore(MemoryStore):
    """Makes its maps when they are asked for, as a recording on disk does."""

    def __init__(self, n_snapshots):
        super().__init__()
        self.reads = []
        for epoch in range(n_snapshots):
            self.append(Snapshot(np.empty((2, 0, 0), np.float32), epoch=epoch))

    def read(self, index):
        self.reads.append(index)
        share = np.full((100, 100), 0.1 + 0.8 * index / len(self), dtype=np.float32)
        return Snapshot(np.stack([share, 1 - share]), epoch=index)


def counted_film(n_snapshots, **options):
    """A film whose first frame has been seen, so that all is laid out, and its store."""
    store = CountingStore(n_snapshots)
    film = film_of(Recording(tv.Domain((-1, 1), (-1, 1), shape=(100, 100)), store), **options)
    assert film[0].shape == (120, 150, 3)
    store.reads.clear()
    return film, store


def test_making_a_film_reads_no_more_than_its_first_snapshot():
    store = CountingStore(20)
    recording = Recording(tv.Domain((-1, 1), (-1, 1), shape=(100, 100)), store)
    film = tv.animate(recording, interpolate=5, **SMALL)
    assert (len(film), film.duration) == (96, 3.2)
    repr(film)
    assert set(store.reads) <= {0}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_watching_a_film_reads_each_snapshot_once(interpolation):
    film, store = counted_film(9, interpolate=4, interpolation=interpolation, hold=0.2)
    assert len(list(film)) == 39
    assert sorted(store.reads) == list(range(9))


def test_saving_a_film_reads_each_snapshot_once(tmp_path):
    film, store = counted_film(9, interpolate=2)
    film.save(tmp_path / "film.mp4")
    assert sorted(store.reads) == list(range(9))


@pytest.mark.parametrize(("room", "ahead"), [(2**26, 3), (2 * 80_000, 2), (1, 1)])
def test_while_a_frame_is_painted_the_next_maps_are_read_if_there_is_room(room, ahead, monkeypatch):
    monkeypatch.setattr(painter, "_AHEAD_BYTES", room)
    film, store = counted_film(9)
    with ThreadPoolExecutor(1) as reader:
        paint = film.painter((20, 20), reader=reader)
        for index in (0, 1, 2):
            paint(Moment(index, 0.0))
    assert store.reads == list(range(3 + ahead))


def test_a_clip_that_is_played_reads_each_snapshot_once():
    film, store = counted_film(9, interpolate=2)
    clip = film.to_clip()
    store.reads.clear()
    assert len(list(clip.iter_frames())) == 17
    assert sorted({*store.reads, 0}) == list(range(9))
    assert len(store.reads) <= 9


def test_frames_are_made_when_they_are_asked_for():
    film, store = counted_film(9, interpolate=4)
    frames = iter(film)
    assert store.reads == []
    for _ in range(4):
        next(frames)
    assert store.reads == [0, 1]


@pytest.mark.parametrize(
    ("interpolation", "needed"),
    [("linear", [4, 5]), ("geometric", [4, 5]), ("smooth", [3, 4, 5, 6])],
)
def test_a_single_frame_reads_only_its_neighbours(interpolation, needed):
    film, store = counted_film(9, interpolate=4, interpolation=interpolation)
    film[18]
    assert sorted(store.reads) == needed


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_long_film_takes_no_more_memory_than_a_short_one(interpolation):
    def peak(n_snapshots):
        film, _ = counted_film(n_snapshots, interpolation=interpolation, interpolate=2)
        tracemalloc.start()
        for _ in film:
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    # A map takes 80 kB on its grid and more on the pixels of a frame.
    assert peak(50) - peak(8) < 2 * 80_000


def test_a_still_reads_one_map():
    film, store = counted_film(9)
    film.still(epoch=6)
    assert set(store.reads) <= {0, 6}


# The recording goes on.


def test_a_recording_that_grows_does_not_change_the_film():
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(8, 9)))

    def capture(epoch):
        recorder.capture(lambda X: X[:, 0] > epoch / 50, epoch=epoch, metrics={"loss": epoch})

    for epoch in (0, 10, 20):
        capture(epoch)
    film = film_of(recorder.recording, interpolate=2)
    before, told = list(film), repr(film)
    late = film_of(recorder.recording, interpolate=2)  # first watched when there is more
    for epoch in (30, 40):
        capture(epoch)
    for same in (film, late):
        assert (len(same), repr(same)) == (5, told)
        assert same.still().axes[0].get_title(loc="right") == "epoch 20"
        for frame, expected in zip(same, before, strict=True):
            np.testing.assert_array_equal(frame, expected)
    assert len(film_of(recorder.recording, interpolate=2)) == 9


def test_a_film_of_a_part_of_the_recording(recording):
    film = film_of(recording[::2])
    assert len(film) == 3
    whole = film_of(recording)
    for index, frame in enumerate(film):
        np.testing.assert_array_equal(frame, whole[2 * index])


# Wrong arguments.


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "regions"}, ValueError, "mode='regions': expected one of .*'region'"),
        ({"mode": None}, ValueError, "mode=None: expected"),
        ({"interpolation": "cubic"}, ValueError, "interpolation='cubic': .*geometric, smooth"),
        ({"interpolate": 0}, ValueError, "interpolate=0: expected at least 1"),
        ({"interpolate": 2.5}, TypeError, "interpolate=2.5: expected a whole number"),
        ({"fps": 0}, ValueError, "fps=0: expected a positive number of frames a second"),
        ({"fps": -30}, ValueError, "fps=-30: "),
        ({"fps": float("inf")}, ValueError, "fps=inf: "),
        ({"fps": "30"}, ValueError, "fps='30': "),
        ({"fps": None}, ValueError, "fps=None: "),
        ({"hold": -1}, ValueError, "hold=-1: expected seconds, 0 or more"),
        ({"hold": float("nan")}, ValueError, "hold=nan: "),
        ({"hold": "2"}, ValueError, "hold='2': "),
        ({"palette": "tab11"}, ValueError, "palette=.*'tab11': .*did you mean 'tab10'"),
        ({"palette": ["red"]}, ValueError, "palette has 1 colours for 3 classes"),
        ({"palette": ["red", "blue", "gren"]}, ValueError, "palette holds .*'gren'"),
        ({"cmap": "tab11"}, ValueError, "cmap=.*'tab11'"),
        ({"cmap": "plasmo", "mode": "boundary"}, ValueError, "cmap.*'plasmo': .*'plasma'"),
        ({"cmap": 5, "mode": "boundary"}, ValueError, "cmap.*=5: expected the name"),
        ({"metrics": "f1"}, ValueError, r"metrics: .*no metric 'f1'; it has \['loss', 'accuracy'"),
        ({"figsize": (8,)}, ValueError, r"figsize=\(8,\): expected \(width, height\) in inches"),
        ({"figsize": (8, -6)}, ValueError, r"figsize=\(8, -6\): "),
        ({"figsize": 8}, ValueError, "figsize=8: "),
        ({"figsize": "86"}, ValueError, "figsize='86': "),
        ({"margin": -1}, ValueError, "margin=-1: expected inches, 0 or more"),
        ({"margin": "x"}, ValueError, "margin='x': "),
        ({"metrics": 5}, TypeError, "metrics=5: expected True, False, or a list"),
        ({"dpi": 0}, ValueError, "dpi=0: expected a positive number of pixels an inch"),
        ({"dpi": "high"}, ValueError, "dpi='high': "),
        ({"dpi": None}, ValueError, "dpi=None: "),
        ({"aspect": "square"}, ValueError, "aspect='square': expected 'equal' or 'auto'"),
        ({"colour": 1}, TypeError, "no argument 'colour'; the scene's are title, subtitle, dark"),
    ],
)
def test_a_wrong_argument_is_told_when_the_film_is_made(recording, options, error, message):
    with pytest.raises(error, match=message):
        tv.animate(recording, **options)


def test_an_empty_recording_is_told():
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(4, 4)))
    with pytest.raises(tv.RecordingError, match="recording is empty: capture at least one"):
        tv.animate(recorder.recording)


@pytest.mark.parametrize("thing", [tv.Recorder(tv.Domain((0, 1), (0, 1), shape=(4, 4))), [], None])
def test_what_is_no_recording_is_told(thing):
    name = type(thing).__name__
    with pytest.raises(TypeError, match=rf"recording={name}: expected a Recording.*\.recording"):
        tv.animate(thing)


def test_all_but_the_recording_is_named(recording):
    with pytest.raises(TypeError, match="positional argument"):
        tv.animate(recording, "boundary")


# Stills.


def counter_of(figure):
    return figure.axes[0].get_title(loc="right")


def letters_of(svg):
    """What is written as text, and not drawn as outlines, in an SVG."""
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [({}, 40), ({"epoch": -1}, 40), ({"epoch": 0}, 0), ({"epoch": 20}, 20)],
)
def test_a_still_shows_the_chosen_epoch_or_the_last(recording, chosen, shown):
    film = film_of(recording)
    figure = film.still(**chosen)
    assert counter_of(figure) == f"epoch {shown}"
    figure.canvas.draw()
    still = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    distance = [np.abs(frame.astype(int) - still).mean() for frame in film]
    assert np.argmin(distance) == shown // 10


@pytest.mark.parametrize(
    ("epoch", "near"), [(13, "10 and 20"), (100, "40"), (-2, "0"), (19.5, "10 and 20")]
)
@pytest.mark.parametrize("picture", ["still", "filmstrip"])
def test_an_epoch_that_was_not_captured_is_told_with_its_neighbours(
    recording, tmp_path, picture, epoch, near
):
    film, path = film_of(recording), tmp_path / "a.png"
    with pytest.raises(tv.RecordingError, match=rf"epoch={epoch} was not .* epochs are {near}$"):
        film.still(path, epoch) if picture == "still" else film.filmstrip(path, [0, epoch])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, (150, 120)), ({"dpi": 100}, (300, 240)), ({"dpi": 33.5}, (100, 80))],
)
def test_a_png_has_the_films_size_or_more_pixels_an_inch(recording, tmp_path, options, size):
    film_of(recording).still(tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == pytest.approx(size, abs=2)


def test_a_png_shows_what_the_figure_shows(recording, tmp_path):
    figure = film_of(recording, dark=True).still(tmp_path / "a.png", epoch=20)
    figure.canvas.draw()
    with Image.open(tmp_path / "a.png") as picture:
        saved = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(saved, np.asarray(figure.canvas.buffer_rgba())[..., :3])
    assert saved[0, 0].tolist() == [16, 18, 22]


def test_text_in_an_svg_is_text(recording, tmp_path):
    film = tv.animate(recording, title="Three trees", xlabel="sun")
    film.still(tmp_path / "a.svg", epoch=10)
    letters = letters_of(tmp_path / "a.svg")
    assert {"Three trees", "epoch 10", "sun", "birch", "misclassified", "loss"} <= set(letters)


def test_in_an_svg_only_the_map_is_made_of_pixels(recording, tmp_path):
    tv.animate(recording, mode="region").still(tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert drawn.count("<image") == 1


def test_text_in_a_pdf_is_text(recording, tmp_path):
    film_of(recording, title="Three trees").still(tmp_path / "a.pdf")
    written = (tmp_path / "a.pdf").read_bytes()
    assert written.startswith(b"%PDF")
    assert b"/FontFile2" in written  # a TrueType font, which can be searched and edited


def test_ones_own_matplotlib_settings_stay_as_they_are(recording, tmp_path):
    before, figures = dict(matplotlib.rcParams), plt.get_fignums()
    film_of(recording).still(tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == figures


PICTURES = {
    "still": lambda film, *path, **options: film.still(*path, **options),
    "filmstrip": lambda film, *path, **options: film.filmstrip(*path, [0, 40], **options),
}
every_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


@every_picture
@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("A.PNG", b"\x89PNG")],
)
def test_the_suffix_says_what_is_written(recording, tmp_path, picture, name, start):
    figure = picture(film_of(recording), str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert figure.axes


@every_picture
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", r"ends in '\.jpg'; expected one of \.png \.svg \.pdf"),
        ("a.mp4", r"ends in '\.mp4'; expected one of \.png"),
        ("a", "has no suffix; expected one of"),
        ("missing/a.png", "folder .*missing' does not exist; make it first"),
        ("folder.png", "is a folder"),
    ],
)
def test_a_path_that_takes_no_picture_is_told(recording, tmp_path, picture, name, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=message):
        picture(film_of(recording), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@every_picture
@pytest.mark.parametrize("dpi", [0, -5, float("nan"), "high"])
def test_a_wrong_number_of_pixels_an_inch_is_told(recording, tmp_path, picture, dpi):
    with pytest.raises(ValueError, match=rf"dpi={dpi!r}: expected a positive number"):
        picture(film_of(recording), tmp_path / "a.png", dpi=dpi)
    assert list(tmp_path.iterdir()) == []


# Filmstrips.


def panels_of(figure):
    return [ax for ax in figure.axes if ax.images and ax.get_title()]


def titles_of(figure):
    return [ax.get_title() for ax in panels_of(figure)]


def places_of(figure):
    """The rows and columns of a filmstrip's panels, counted from the top left."""
    corners = [ax.get_window_extent() for ax in panels_of(figure)]
    down = sorted({-round(box.y0, -1) for box in corners})
    across = sorted({round(box.x0, -1) for box in corners})
    return [(down.index(-round(box.y0, -1)), across.index(round(box.x0, -1))) for box in corners]


@pytest.mark.parametrize(
    ("snapshots", "epochs"),
    [(1, [0]), (2, [0, 10]), (5, [0, 10, 20, 30, 40]), (9, [0, 20, 40, 60, 80])],
)
def test_by_default_up_to_five_epochs_are_spread_over_the_recording(
    make_recording, snapshots, epochs
):
    figure = film_of(make_recording(snapshots=snapshots)).filmstrip()
    assert titles_of(figure) == [f"epoch {epoch}" for epoch in epochs]


def test_epochs_are_shown_in_the_order_in_which_they_are_named(recording):
    film = film_of(recording)
    forth, back = film.filmstrip(epochs=[0, 20]), film.filmstrip(epochs=np.array([20, 0]))
    assert titles_of(back) == ["epoch 20", "epoch 0"]
    pictures = [[ax.images[0].get_array() for ax in panels_of(strip)] for strip in (forth, back)]
    np.testing.assert_array_equal(pictures[0], pictures[1][::-1])
    assert (pictures[0][0] != pictures[0][1]).any()


def test_a_panel_shows_the_map_of_its_epoch(recording):
    film = film_of(recording, shade=False)
    colors = tv.Palette.of(3).classes
    for panel, snapshot in zip(panels_of(film.filmstrip()), recording, strict=True):
        shown = np.asarray(panel.images[0].get_array())
        corners = snapshot.probabilities.argmax(axis=0)[[-1, -1, 0, 0], [0, -1, 0, -1]]
        assert shown[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == colors[corners].tolist()


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        (None, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]),
        (5, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]),
        (2, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]),
        (1, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]),
    ],
)
def test_panels_fill_their_columns_row_by_row(recording, columns, places):
    assert places_of(film_of(recording).filmstrip(columns=columns)) == places


def test_more_than_five_panels_go_into_several_rows(make_recording):
    film = film_of(make_recording(snapshots=7))
    assert places_of(film.filmstrip(epochs=range(0, 70, 10)))[-2:] == [(1, 0), (1, 1)]


def test_columns_without_panels_take_no_room(recording):
    film = film_of(recording)
    narrow, wide = film.filmstrip(columns=5), film.filmstrip(columns=50)
    assert wide.get_size_inches().tolist() == narrow.get_size_inches().tolist()


@pytest.mark.parametrize("columns", [0, -1, 2.5, "2"])
def test_a_wrong_number_of_columns_is_told(recording, columns):
    with pytest.raises(ValueError, match=rf"columns={columns!r}: expected .* at least 1"):
        film_of(recording).filmstrip(columns=columns)


def test_a_filmstrip_without_epochs_is_told(recording):
    with pytest.raises(ValueError, match=r"epochs=\[\]: .*at least one epoch"):
        film_of(recording).filmstrip(epochs=[])
    with pytest.raises(TypeError, match="epochs=10: expected a list of captured epochs"):
        film_of(recording).filmstrip(epochs=10)


def test_a_filmstrip_has_the_asked_size_and_not_the_films(recording, tmp_path):
    film = film_of(recording)
    film.filmstrip(tmp_path / "a.png", figsize=(9, 3), dpi=40)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (360, 120)
    assert film.filmstrip().get_size_inches()[0] > 2 * film.filmstrip().get_size_inches()[1]


@pytest.mark.parametrize("figsize", [(9,), (0, 3), 9])
def test_a_wrong_size_of_a_filmstrip_is_told(recording, figsize):
    with pytest.raises(ValueError, match=r"figsize=.*: expected \(width, height\) in inches"):
        film_of(recording).filmstrip(figsize=figsize)


@pytest.mark.parametrize(("dark", "ground"), [(True, "#101216"), (False, "#ffffff")])
def test_a_filmstrip_is_dark_or_light_as_the_film_is(recording, dark, ground):
    figure = film_of(recording, dark=dark).filmstrip(epochs=[0, 40])
    assert figure.get_facecolor()[:3] == pytest.approx(to_rgb(ground))
    for panel in panels_of(figure):
        assert abs(np.mean(to_rgb(panel.title.get_color())) - np.mean(to_rgb(ground))) > 0.5


def test_a_filmstrip_has_one_legend_for_all_its_panels(recording):
    figure = film_of(recording, legend=True, points=True).filmstrip()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["ash", "birch", "cedar", "misclassified"]
    right = max(panel.get_window_extent().x1 for panel in panels_of(figure))
    figure.canvas.draw()
    assert legend.get_window_extent().x0 > right
    assert film_of(recording, legend=False).filmstrip().legends == []


def test_text_in_a_filmstrip_is_text(recording, tmp_path):
    film_of(recording, title="Three trees").filmstrip(tmp_path / "a.svg", epochs=[0, 30])
    assert {"Three trees", "epoch 0", "epoch 30"} <= set(letters_of(tmp_path / "a.svg"))


# Clips of moviepy.


def test_a_clip_is_a_video_clip_of_the_films_length_speed_and_size(recording):
    film = film_of(recording, interpolate=4, fps=12)
    clip = film.to_clip()
    assert isinstance(clip, VideoClip)
    assert clip.duration == pytest.approx(film.duration)
    assert (clip.fps, tuple(clip.size)) == (12, (150, 120))


@pytest.mark.parametrize("fps", [7, 24, 29.97, 30, 60])
def test_a_clip_shows_each_frame_at_its_time(recording, fps):
    film = film_of(recording, interpolate=6, fps=fps)
    clip, frames = film.to_clip(), list(film)
    order = np.random.default_rng(0).permutation(len(frames))
    for index in order:
        np.testing.assert_array_equal(clip.get_frame(index / fps), frames[index])
        # Until the next one comes.
        np.testing.assert_array_equal(clip.get_frame((index + 0.9) / fps), frames[index])
    np.testing.assert_array_equal(clip.get_frame(film.duration), frames[-1])


# A quotient such as 29 / 25 times 25 is a little less than 29.
@pytest.mark.parametrize(("interpolate", "fps"), [(7, 25), (14, 25), (5, 30), (6, 12), (3, 29.97)])
def test_a_clip_that_is_written_by_moviepy_has_all_frames(recording, interpolate, fps):
    film = film_of(recording, interpolate=interpolate, fps=fps)
    written = list(film.to_clip().iter_frames())
    np.testing.assert_array_equal(written, list(film))


@given(n=st.integers(1, 3000), fps=st.integers(1, 120))
@settings(max_examples=20)
def test_a_clip_of_any_length_has_all_frames(n, fps):
    held = (n - 1) / fps
    clip = film_of(even_recording(0.7), hold=held, fps=fps).to_clip()
    assert int(clip.duration * clip.fps) == n


def test_clips_are_composed_with_others(recording):
    one, other = film_of(recording, fps=10), film_of(recording, fps=10, mode="boundary")
    beside = clips_array([[one.to_clip(), other.to_clip()]])
    assert tuple(beside.size) == (300, 120)
    np.testing.assert_array_equal(beside.get_frame(0.3), np.hstack([one[3], other[3]]))
    after = concatenate_videoclips([one.to_clip(), other.to_clip()])
    assert after.duration == pytest.approx(1.0)
    np.testing.assert_array_equal(after.get_frame(0.25), one[2])
    np.testing.assert_array_equal(after.get_frame(0.75), other[2])
    over = CompositeVideoClip([one.to_clip(), other.to_clip().resized(0.2).with_position((0, 0))])
    frame = over.get_frame(0.25)
    np.testing.assert_array_equal(frame[24:], one[2][24:])
    np.testing.assert_array_equal(frame[:, 30:], one[2][:, 30:])
    assert (frame[:24, :30] != one[2][:24, :30]).any()


# In a notebook.


def test_jupyter_plays_the_film(recording, tmp_path):
    film = film_of(recording, fps=10)
    element = film._repr_html_()
    assert element.startswith('<video width="150" height="120" controls')
    assert element == film.to_html5_video()
    inside = base64.b64decode(re.search(r'base64,([^"]+)', element)[1])
    (tmp_path / "inside.mp4").write_bytes(inside)
    with VideoFileClip(str(tmp_path / "inside.mp4")) as clip:
        assert (clip.fps, tuple(clip.size)) == (10, (150, 120))
        assert clip.duration == pytest.approx(0.5)
        assert np.abs(clip.get_frame(0).astype(int) - film[0]).mean() < 4


def test_showing_a_film_again_does_not_render_it_again():
    film, store = counted_film(4)
    shown = film._repr_html_()
    store.reads.clear()
    assert film._repr_html_() == shown
    assert store.reads == []


@pytest.mark.parametrize("mode", ["region", "boundary", "entropy", "change"])
@pytest.mark.parametrize("interpolation", ["linear", "geometric", "smooth"])
def test_a_clip_has_the_same_frames_in_any_order(recording, mode, interpolation):
    film = film_of(recording, mode=mode, interpolate=3, interpolation=interpolation)
    frames, clip = list(film), film.to_clip()
    order = np.random.default_rng(0).integers(0, len(film), 6 * len(film))
    for index in order:
        np.testing.assert_array_equal(clip.get_frame((index + 0.5) / film.fps), frames[index])


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        *[(name, value, "True or False") for name, value in [
            ("legend", "bottom"), ("axes", "off"), ("dark", "no"), ("points", [1, 2]),
            ("counter", 1), ("anchors", None)]],
        *[(name, 5, "a text") for name in ("title", "subtitle", "xlabel", "ylabel")],
    ],
)  # fmt: skip
def test_a_scene_argument_of_another_kind_is_refused_by_name(recording, name, value, wanted):
    with pytest.raises(TypeError, match=rf"{name}=.*expected {wanted}"):
        tv.animate(recording, **{name: value})


# Panels of classes.


def probabilities_of(*shares):
    """Classes that have the same probabilities everywhere in each snapshot."""
    names = [f"class {letter}" for letter in "abcdefghij"[: len(shares[0])]]
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(4, 4)), class_names=names)
    for epoch, share in enumerate(shares):
        recorder.capture(lambda X, p=share: np.tile(p, (len(X), 1)), epoch=epoch)
    return recorder.recording


@pytest.mark.parametrize(
    ("classes", "titles"),
    [
        (["class c"], ["class c"]),
        (["class c", "class a"], ["class c", "class a"]),
        ([2, 0], ["class c", "class a"]),
        (np.arange(3), ["class a", "class b", "class c"]),
    ],
)
def test_panels_show_the_classes_that_are_asked_for(classes, titles):
    film = tv.animate(probabilities_of([0.2, 0.3, 0.5]))
    assert titles_of(film.panels(classes=classes)) == titles


def test_panels_take_numbers_for_labels_before_columns(make_recording):
    film = tv.animate(make_recording(labels=[2, 0, 1]))
    assert titles_of(film.panels(classes=[2, 1])) == ["2", "1"]


@pytest.mark.parametrize("classes", [["class z"], [7], [], "class a", 0])
def test_unknown_classes_of_panels_are_refused_by_name(classes):
    film = tv.animate(probabilities_of([0.2, 0.3, 0.5]))
    with pytest.raises(ValueError, match=r"classes=.*expected .*'class a'"):
        film.panels(classes=classes)


def test_classes_that_are_nowhere_likely_have_no_panel_and_are_named():
    run = probabilities_of([0.1, 0.2, 0.7, 0.0], [0.9, 0.1, 0.0, 0.0])
    for epoch in (0, 1):
        figure = tv.animate(run).panels(epoch=epoch)
        assert titles_of(figure) == ["class a", "class c"]
        assert figure._supxlabel.get_text() == "not drawn, since nowhere likely: class b, class d"
    shown = tv.animate(run).panels(classes=["class b", "class d"])
    assert titles_of(shown) == ["class b", "class d"]
    assert shown._supxlabel is None


def test_of_many_classes_without_a_panel_the_first_are_named():
    run = probabilities_of([0.91] + [0.01] * 9)
    figure = tv.animate(run).panels()
    assert titles_of(figure) == ["class a"]
    assert figure._supxlabel.get_text().replace("\n", " ").endswith("class g and 3 more")


def test_a_class_of_the_data_has_a_panel_even_if_it_is_never_predicted():
    recorder = tv.Recorder(
        tv.Domain((-1, 1), (-1, 1), shape=(4, 4)), data=([[0, 0], [0.5, 0]], [0, 1])
    )
    recorder.capture(lambda X: np.tile([0.9, 0.1, 0.0], (len(X), 1)), epoch=0)
    assert titles_of(tv.animate(recorder.recording).panels()) == ["0", "1"]


def test_where_no_class_is_likely_all_have_a_panel():
    assert len(titles_of(tv.animate(probabilities_of([0.3, 0.3, 0.4])).panels())) == 3


def test_panels_of_many_classes_read_the_snapshot_once():
    film, store = counted_film(2)
    film.panels(classes=[0, 1])
    assert store.reads == [1]
