"""Several runs side by side."""

import pickle
import re

import matplotlib
import numpy as np
import pytest
from moviepy import VideoFileClip, concatenate_videoclips
from PIL import Image, ImageSequence

import trainviz as tv

SMALL = {"figsize": (5, 3), "dpi": 60}
BARE = {"axes": False, "legend": False, "points": False}


@pytest.fixture(scope="module")
def runs(make_recording):
    """Three runs of the epochs 0 to 40, that turn differently."""
    return [make_recording(n_classes=3, snapshots=count)[:5] for count in (5, 7, 9)]


def find(frame, image):
    """Return the corners (top, left) where a frame holds an image."""
    height, width = image.shape[:2]
    found = []
    corner = (frame == image[0, 0]).all(axis=2)
    for top, left in np.argwhere(corner[: -height + 1, : -width + 1]):
        if (frame[top, left : left + width] == image[0]).all() and (
            frame[top : top + height, left : left + width] == image
        ).all():
            found.append((int(top), int(left)))
    return found


def alone(recording, shape, **options):
    """Make the film of one run, of nothing but a map of this shape."""
    height, width = shape
    film = tv.animate(
        recording, figsize=(width / 100, height / 100), counter=False, metrics=False, margin=0,
        aspect="auto", **BARE, **options,
    )  # fmt: skip
    assert film.shape == shape
    return film


@pytest.mark.parametrize("mode", ["region", "boundary"])
@pytest.mark.parametrize("interpolation", ["linear", "geometric", "smooth"])
def test_panels_show_the_pixels_of_the_single_films(runs, mode, interpolation):
    options = {"mode": mode, "interpolate": 3, "interpolation": interpolation}
    film = tv.compare(runs, **SMALL, **BARE, **options)
    singles = [alone(run, film.map_shape, **options) for run in runs]
    assert len(film) == len(singles[0]) == 13
    for index in (0, 5, 12):
        places = [find(film[index], single[index]) for single in singles]
        assert all(places)
        # From left to right, in the order given.
        lefts = [place[0][1] for place in places]
        if index:
            assert lefts == sorted(lefts)


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 1, 2), (3, 2, 2), (6, 3, 2), (3, 9, 1)])
def test_the_grid_has_the_columns_asked_for(make_recording, count, columns, rows):
    runs = [make_recording(snapshots=2 + number)[:2] for number in range(count)]
    film = tv.compare(runs, columns=columns, figsize=(6, 5), dpi=60, **BARE)
    places = []
    for run in runs:
        places += find(film[-1], alone(run, film.map_shape)[-1])
    assert len({top for top, _ in places}) == rows
    assert len({left for _, left in places}) == min(columns, count)
    order = [find(film[-1], alone(run, film.map_shape)[-1])[0] for run in runs]
    assert order == sorted(order)


@pytest.mark.slow
def test_a_screen_is_filled_as_well_as_can_be(runs):
    def columns(count, **options):
        figure = tv.compare((runs * 3)[:count], legend=False, **options).still(dpi=40)
        return len({round(ax.get_position().x0, 2) for ax in figure.axes if ax.get_visible()})

    assert [columns(count) for count in (3, 4, 7, 9)] == [3, 2, 4, 3]
    assert columns(3, figsize=(4, 9)) == 1
    assert columns(4, figsize=(16, 4)) == 4


# The clock.


def status(figure, label):
    """Return what stands beside a panel's title."""
    for ax in figure.axes:
        if ax.get_title(loc="left").strip() == label:
            return ax.get_title(loc="right")
    raise AssertionError(f"no panel is called {label!r}")


def clock(figure):
    return [text.get_text() for text in figure.texts if text is not figure._suptitle][-1]


def test_a_run_that_is_over_rests_and_says_so(runs):
    short, long = runs[0][:3], runs[1]
    film = tv.compare([short, long], interpolate=2, **SMALL, **BARE)
    single = alone(short, film.map_shape, interpolate=2)
    assert len(film) == 9
    for index in (4, 6, 8):
        assert find(film[index], single[-1])
    still = film.still(epoch=30)
    assert status(still, "run 1") == "ended at epoch 20"
    assert status(still, "run 2") == ""
    assert clock(still) == "epoch 30"
    assert status(film.still(epoch=10), "run 1") == ""


def test_the_film_says_it_too(runs):
    short, long = runs[0][:3], runs[1]
    for by, told in (("epoch", True), ("progress", False)):
        film = tv.compare([short, long], by=by, **SMALL, **BARE, counter=False)
        ((top, _),) = find(film[2], alone(short, film.map_shape)[1 if by == "progress" else 2])
        before, after = film[0][:top], film[-1][:top]
        assert np.array_equal(before, after) != told


def test_a_run_that_begins_later_says_so(runs):
    still = tv.compare([runs[0][2:], runs[1]], labels=["late", "early"]).still(epoch=0)
    assert status(still, "late") == "from epoch 20"


def test_runs_that_end_together_say_nothing(runs):
    still = tv.compare(runs).still()
    assert {status(still, f"run {number}") for number in (1, 2, 3)} == {""}


def test_by_progress_all_end_together(runs):
    short, long = runs[0][:3], runs[1]
    film = tv.compare([short, long], by="progress", **SMALL, **BARE)
    assert len(film) == 5
    middle = film.still(epoch=0.5)
    assert clock(middle) == "50 % of training"
    assert status(film.still(), "run 1") == ""
    assert find(film[2], alone(short, film.map_shape)[1])
    assert find(film[2], alone(long, film.map_shape)[2])


def test_by_step_the_steps_are_compared():
    recordings = []
    for pace in (10, 20):
        recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=9))
        for epoch in range(3):
            recorder.capture(lambda X, e=epoch: X[:, 0] > e / 2, epoch=epoch, step=pace * epoch)
        recordings.append(recorder.recording)
    film = tv.compare(recordings, by="step", **SMALL)
    assert len(film) == 4
    assert clock(film.still()) == "step 40"
    assert status(film.still(), "run 1") == "ended at step 20"


def test_a_still_is_of_a_moment_that_was_captured(runs):
    film = tv.compare([runs[0][::2], runs[1]])
    assert clock(film.still(epoch=10)) == "epoch 10"
    with pytest.raises(tv.RecordingError, match=r"epoch=15: no run .* nearest are 10 and 20"):
        film.still(epoch=15)


# What stands around the maps.


def test_colours_and_limits_are_the_same_in_all_panels(runs):
    figure = tv.compare(runs, mode="boundary", points=False).still()
    bars = [ax for ax in figure.axes if ax.get_ylabel() == "highest class probability"]
    assert len(bars) == 1
    film = tv.compare(runs, palette=["red", "lime", "blue"], shade=False, **SMALL, **BARE)
    picture = film[-1].reshape(-1, 3).tolist()
    for color in ([255, 0, 0], [0, 255, 0], [0, 0, 255]):
        assert color in picture


def test_there_is_one_legend_with_the_names_that_any_run_has(make_recording):
    plain, named = make_recording(), make_recording(class_names=["ash", "birch", "cedar"])
    (legend,) = tv.compare([plain, named]).still().legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["ash", "birch", "cedar", "misclassified"]


def test_panels_are_called_by_their_labels(runs):
    figure = tv.compare(runs, labels=["SGD", "Adam", 3], metrics=False).still()
    assert [ax.get_title(loc="left").strip() for ax in figure.axes] == ["SGD", "Adam", "3"]


def strips_of(figure):
    """Return the axes with curves."""
    return [ax for ax in figure.axes if any(not c.get_label().startswith("_") for c in ax.lines)]


def run_with(epochs, *, jitter=0.0, **spans):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(8, 9)), every=10)
    for epoch in range(epochs + 1):
        share = epoch / epochs
        off = jitter * (-1) ** epoch
        values = {name: a + (b - a) * share + off for name, (a, b) in spans.items()}
        recorder.capture(lambda X: X[:, 0] > 0, epoch=epoch, metrics=values)
    return recorder.recording


def test_each_run_has_its_curves_on_the_scales_of_all():
    runs = [
        run_with(30, loss=(2, 1), accuracy=(0.5, 0.9)),
        run_with(50, loss=(5, 0.5)),
        run_with(20, accuracy=(0.1, 0.2)),
    ]
    figure = tv.compare(runs, disagreement=True).still()
    found = strips_of(figure)
    names = [[line.get_label() for line in ax.lines if line.get_label()[0] != "_"] for ax in found]
    assert names == [["loss"]] * 3 + [["accuracy"]] * 3
    for axes in (found[:3], found[3:]):
        assert len({ax.get_ylim() for ax in axes}) == 1
    assert {ax.get_xlim() for ax in found} == {(0, 50)}
    low, high = found[0].get_ylim()
    assert low < 0.5
    assert high > 5
    (loss,) = [line for line in found[1].lines if line.get_label() == "loss"]
    assert loss.get_xdata().tolist() == list(range(51))
    # The curves are exactly below their maps, and the map of disagreement has none.
    maps = [ax for ax in figure.axes if ax.images]
    assert len(maps) == 4
    for ax, strip in zip(maps, found[:3], strict=False):
        place, own = ax.get_window_extent(), strip.get_window_extent()
        assert (own.x0, own.x1) == pytest.approx((place.x0, place.x1), abs=1)
        assert own.y1 < place.y0


def test_a_line_moves_along_the_curves_of_every_run():
    runs = [run_with(40, loss=(2, 1)), run_with(20, loss=(3, 1))]
    film = tv.compare(runs)
    figure = film.still(epoch=30)
    now = [
        line.get_xdata()[0] for ax in strips_of(figure) for line in ax.lines
        if list(line.get_ydata()) == [0, 1]
    ]  # fmt: skip
    assert now == [30, 20]
    height = round(figure.bbox.height)
    for number, ax in enumerate(strips_of(figure)):
        box = ax.get_window_extent()
        rows = slice(height - round(box.y1) + 2, height - round(box.y0) - 2)
        for frame, epoch in zip(film, film._clock.ticks, strict=True):
            red = (frame[rows, :, 0] > 170) & (frame[rows, :, 1] < 80) & (frame[rows, :, 2] < 70)
            columns = np.flatnonzero(red.mean(axis=0) > 0.9)
            inside = columns[(columns >= box.x0 - 1) & (columns <= box.x1 + 1)]
            expected = min(epoch, runs[number].epochs[-1]) / 40
            assert inside.mean() == pytest.approx(box.x0 + expected * box.width, abs=2)


def test_strips_are_left_out_where_there_is_no_room_unless_they_are_asked_for():
    runs = [run_with(20, loss=(2, 1)), run_with(20, loss=(3, 1))]
    assert not strips_of(tv.compare(runs, figsize=(5, 2.4)).still())
    assert not strips_of(tv.compare(runs, metrics=False).still())
    assert len(strips_of(tv.compare(runs, figsize=(5, 2.4), metrics=True).still())) == 2
    assert not strips_of(tv.compare([run_with(20), run_with(20)], metrics=True).still())


def test_names_of_curves_that_have_no_room_beside_them_are_in_a_legend():
    spans = {
        "train_loss": (2, 1), "val_loss": (2, 1.2), "train_acc": (0.2, 1), "val_acc": (0.2, 0.8)
    }  # fmt: skip
    runs = [run_with(100, jitter=0.2, **spans) for _ in range(2)]
    figure = tv.compare(runs, figsize=(6, 4), metrics=True, disagreement=True).still()
    assert not [text for ax in strips_of(figure) for text in ax.texts]
    assert [text.get_text() for text in figure.legends[-1].get_texts()] == [*spans]


def test_only_the_outer_panels_have_numbers(make_recording):
    figure = tv.compare([make_recording()] * 6, columns=3, metrics=False).still()
    down = [ax.xaxis.get_tick_params()["labelbottom"] for ax in figure.axes]
    left = [ax.yaxis.get_tick_params()["labelleft"] for ax in figure.axes]
    assert down == [False] * 3 + [True] * 3
    assert left == [True, False, False] * 2


@pytest.mark.parametrize("figsize", [None, (6.4, 4.8), (19.2, 10.8)])
@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.slow_after(3)
def test_nothing_is_cut_off_or_overlaps(make_recording, count, figsize):
    runs = [
        make_recording(snapshots=3, class_names=["ash", "birch", "cedar"]) for _ in range(count)
    ]
    runs[-1] = runs[-1][:2]
    film = tv.compare(
        runs, labels=[f"seed {number}, with dropout" for number in range(count)],
        title="Runs of the same network", disagreement=True, figsize=figsize, dpi=60,
    )  # fmt: skip
    figure = film.still()
    renderer = figure.canvas.get_renderer()
    figure.canvas.draw()
    shown = [text for text in figure.findobj(matplotlib.text.Text)
             if text.get_text().strip() and text.get_visible()]  # fmt: skip
    titles = {id(title) for ax in figure.axes for title in (ax._left_title, ax._right_title)}
    titles |= {id(text) for text in figure.texts}
    for ax in figure.axes:
        for title in (ax._left_title, ax._right_title):
            assert title.get_window_extent(renderer).width <= ax.bbox.width + 1
    boxes = []
    for text in shown:
        box = text.get_window_extent(renderer)
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= figure.bbox.width + 0.5, text
        assert box.y1 <= figure.bbox.height + 0.5, text
        if id(text) in titles:
            boxes.append((text, box.padded(-1)))
    for number, (text, box) in enumerate(boxes):
        for other, beside in boxes[:number]:
            ended = text.get_text().endswith("\n") or other.get_text().endswith("\n")
            assert ended or not box.overlaps(beside), (text, other)
    maps = [ax.get_window_extent() for ax in figure.axes if ax.images]
    assert len(maps) == count + 1
    for number, box in enumerate(maps):
        assert not any(box.overlaps(other) for other in maps[:number])
        assert not box.overlaps(figure.legends[0].get_window_extent())
    assert len({tuple(np.round(box.size)) for box in maps}) == 1


# Disagreement.


def split(*edges, points=41):
    """Record a run for each edge, of two classes that meet there."""
    recordings = []
    for edge in edges:
        recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=points))
        recorder.capture(lambda X, at=edge: 1 / (1 + np.exp(-9 * (X[:, 0] - at))), epoch=0)
        recordings.append(recorder.recording)
    return recordings


def test_the_panel_shows_where_two_runs_differ():
    film = tv.compare(split(-0.5, 0.5), disagreement=True, figsize=(9, 3), **BARE)
    figure = film.still()
    panel = figure.axes[-1]
    assert panel.get_title(loc="left").strip() == "disagreement"
    assert panel.get_title(loc="right") == "50 %"
    picture = panel.images[0].get_array()
    width = picture.shape[1]
    differs = (picture[picture.shape[0] // 2] != [255, 255, 255]).any(axis=1)
    x = (np.arange(width) + 0.5) / width * 2 - 1
    np.testing.assert_array_equal(differs, np.abs(x) < 0.5)


def test_of_more_runs_the_share_of_pairs_is_explained_by_a_bar():
    figure = tv.compare(split(-0.5, 0.0, 0.5), disagreement=True).still()
    bars = [ax for ax in figure.axes if ax.get_ylabel() == "share of pairs that disagree"]
    assert len(bars) == 1
    assert bars[0].get_ylim() == (0, pytest.approx(2 / 3))
    # Between -0.5 and 0.5, one of three disagrees with the two others.
    assert status(figure, "disagreement") == "mean 33 %"


def test_equal_runs_disagree_nowhere(runs):
    film = tv.compare([runs[0], runs[0]], disagreement=True, metrics=False)
    assert status(film.still(), "disagreement") == "0 %"
    assert (film.still().axes[-1].images[0].get_array() == 255).all()


def test_little_is_not_called_nothing():
    runs = split(0.0, 0.004, points=400)
    figure = tv.compare(runs, disagreement=True, figsize=(15, 6)).still()
    assert status(figure, "disagreement") == "<1 %"


# It behaves like a film.


def test_it_is_a_sequence_of_frames(runs):
    film = tv.compare(runs, interpolate=2, hold=0.1, fps=20, **SMALL)
    assert len(film) == 11
    assert film.duration == 11 / 20
    frames = list(film)
    for index, frame in enumerate(frames):
        assert frame.shape == (*film.shape, 3) == (180, 300, 3)
        np.testing.assert_array_equal(film[index], frame)
    np.testing.assert_array_equal(film[-1], frames[-1])
    with pytest.raises(IndexError, match="frame 11 of a film with 11 frames"):
        film[11]


def test_frame_and_still_show_the_same(runs):
    film = tv.compare(runs, disagreement=True, dpi=100, title="Three")
    figure = film.still()
    figure.canvas.draw()
    still = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    frame = film[-1]
    assert still.shape == frame.shape
    # Text is drawn by another library, and rings at whole pixels.
    assert (np.abs(still.astype(int) - frame).max(axis=2) > 40).mean() < 0.01


@pytest.mark.parametrize("suffix", ["mp4", "gif", "webp", "html"])
@pytest.mark.slow_after(2)
def test_it_is_saved_by_suffix(runs, tmp_path, suffix):
    film = tv.compare(runs, disagreement=True, **SMALL)
    path = film.save(tmp_path / f"film.{suffix}")
    if suffix == "html":
        assert path.read_text().count('"name":"run ') == 3
    elif suffix == "mp4":
        with VideoFileClip(str(path)) as clip:
            assert clip.size == [300, 180]
            assert clip.n_frames == 5
    else:
        pictures = list(ImageSequence.Iterator(Image.open(path)))
        assert len(pictures) == 5
        assert pictures[0].size == (300, 180)


def test_several_processes_make_the_same_film(runs, tmp_path):
    film = tv.compare(runs, **SMALL)
    one = film.save(tmp_path / "one.apng").read_bytes()
    assert film.save(tmp_path / "two.apng", jobs=2).read_bytes() == one


def test_it_plays_in_a_notebook_and_in_moviepy(runs):
    film = tv.compare(runs[:2], **SMALL)
    assert film._repr_html_().startswith("<video")
    clip = concatenate_videoclips([film.to_clip(), film.to_clip()])
    np.testing.assert_array_equal(clip.get_frame(4 / 30), film[4])


def test_it_can_be_pickled_after_it_was_shown(runs):
    film = tv.compare(runs[:2], **SMALL)
    last = film[-1]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(film))[-1], last)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_still_is_written_by_its_suffix(runs, tmp_path, suffix):
    path = tmp_path / f"still.{suffix}"
    tv.compare(runs, title="Three runs").still(path)
    assert path.stat().st_size > 2000
    if suffix == "svg":
        assert "Three runs</text>" in path.read_text()


def test_a_recording_that_grows_does_not_change_the_film():
    recorders = [tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5)) for _ in range(2)]
    for recorder in recorders:
        recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    film = tv.compare([recorder.recording for recorder in recorders], **SMALL)
    before = film[-1]
    recorders[0].capture(lambda X: X[:, 0] < 0, epoch=1)
    assert len(film) == 1
    np.testing.assert_array_equal(film[-1], before)


def test_a_comparison_describes_itself_in_a_line(runs):
    film = tv.compare(runs[:2], labels=["a", "b"], interpolate=4)
    assert repr(film) == "Comparison('a', 'b', by epoch, 17 frames, 0.6 s at 30 frames/s)"


# What is refused.


def test_runs_of_other_domains_or_classes_are_refused_by_their_labels(make_recording):
    wide = make_recording(domain=tv.Domain((-3, 2), (-1.5, 1.5), shape=(12, 16)))
    with pytest.raises(
        tv.RecordingError, match=r"wide was recorded on .*, and run on .*: .* give every"
    ):
        tv.compare([make_recording(), wide], labels=["run", "wide"])
    with pytest.raises(tv.RecordingError, match="run 2 has 4 classes, and run 1 has 3"):
        tv.compare([make_recording(), make_recording(n_classes=4)])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": ["a"]}, ValueError, "labels=['a']: expected a list of 2, one a run"),
        ({"labels": "ab"}, ValueError, "labels='ab': expected a list of 2"),
        ({"labels": 3}, ValueError, "labels=3: expected a list of 2"),
        ({"disagreement": "a"}, TypeError, "disagreement='a': expected True or False"),
        ({"by": "hour"}, ValueError, "by='hour': expected one of 'epoch', 'step', 'progress'"),
        ({"by": "step"}, tv.RecordingError, "by='step': run 1 has snapshots whose step is not"),
        ({"columns": 0}, ValueError, "columns=0: expected how many panels"),
        ({"metrics": ["f1"]}, ValueError, "metrics: the recording has no metric 'f1'"),
        ({"subtitle": "x"}, TypeError, "compare() has no subtitle="),
        ({"mode": "regions"}, ValueError, "mode='regions': expected one of"),
        ({"titel": "x"}, TypeError, "has no argument 'titel'"),
        ({"fps": 0}, ValueError, "fps=0: expected a positive number"),
        ({"hold": -1}, ValueError, "hold=-1: expected seconds"),
        ({"interpolate": 0}, ValueError, "interpolate=0: expected at least 1"),
    ],
)
def test_arguments_are_checked_before_anything_is_drawn(recording, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        tv.compare([recording, recording], **options)


def test_what_is_no_list_of_recordings_is_refused(recording):
    with pytest.raises(TypeError, match=r"recordings=Recording: expected a list .* compare\(\[a, "):
        tv.compare(recording)
    with pytest.raises(ValueError, match=r"got 1, expected at least two .* animate\(\)"):
        tv.compare([recording])
    with pytest.raises(TypeError, match="run 2 is a str: expected a Recording"):
        tv.compare([recording, "b.zarr"])


def test_a_figure_without_room_is_refused(runs):
    with pytest.raises(ValueError, match="no room is left for the map"):
        tv.compare(runs, figsize=(1, 1))[0]


def regression(slope):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20), output="values")
    for epoch in (0, 5):
        recorder.capture(lambda X, epoch=epoch: slope * epoch * X[:, 0], epoch=epoch)
    return recorder.recording


def test_values_are_compared_within_limits_that_all_share():
    runs = [regression(1), regression(2)]
    with pytest.raises(ValueError, match=r"limits=\(-10, 10\)"):
        tv.compare(runs, mode="values")
    film = tv.compare(runs, mode=tv.modes.Values(limits=(-10, 10)))
    assert film[len(film) - 1].shape == (*film.shape, 3)


def test_what_is_about_classes_refuses_values():
    runs = [regression(1), regression(2)]
    with pytest.raises(tv.RecordingError, match="disagreement=True is about classes"):
        tv.compare(runs, mode="values", disagreement=True)
    with pytest.raises(tv.RecordingError, match="is about classes"):
        tv.reproducibility(*runs)
    with pytest.raises(tv.RecordingError, match="is about classes"):
        tv.dynamics(runs[0])


# One recording in several modes.


def test_one_recording_is_shown_in_several_modes(runs):
    film = tv.compare(runs[0], modes=("region", "boundary"), interpolate=3, **SMALL, **BARE)
    assert film.labels == ["region", "boundary"]
    singles = [alone(runs[0], film.map_shape, mode=mode, interpolate=3) for mode in film.labels]
    assert len(film) == 13
    for index in (0, 5, 12):
        places = [find(film[index], single[index]) for single in singles]
        assert [len(place) for place in places] == [1, 1]
        assert places[0][0][1] < places[1][0][1]


def test_modes_may_have_options_labels_and_limits_of_their_own(recording):
    modes = (tv.modes.Probability("birch"), "entropy", tv.modes.Region(outline=True))
    film = tv.compare([recording], modes=modes, labels=["birch", "doubt", "all"], **SMALL)
    assert film.labels == ["birch", "doubt", "all"]
    still = film.still(epoch=20)
    assert status(still, "doubt") == ""
    assert clock(still) == "epoch 20"


@pytest.mark.parametrize(
    ("modes", "bars"),
    [
        (("region", "boundary"), ["highest class probability"]),
        (("boundary", "region"), ["highest class probability"]),
        (("boundary", "entropy"), ["highest class probability", "entropy / log 3"]),
        (("region", tv.modes.Region(outline=True)), []),
    ],
)
def test_each_colour_bar_stands_beside_its_panel_and_classes_are_explained_once(
    recording, modes, bars
):
    figure = tv.compare(recording, modes=modes, figsize=(9, 4)).still()
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    found = [ax for ax in figure.axes if ax.get_ylabel() in bars]
    assert sorted(ax.get_ylabel() for ax in found) == sorted(bars)
    for bar in found:
        ends = [ax.get_position().x1 for ax in panels]
        places = [end for end in ends if end < bar.get_position().x0]
        shown = panels[len(places) - 1].get_title(loc="left")
        assert {"boundary": "highest class probability", "entropy": "entropy / log 3"}[shown] == (
            bar.get_ylabel()
        )
        assert bar.get_position().x0 - places[-1] < 0.08
    assert len(figure.legends) == 1
    assert len({tuple(np.round(ax.get_position().size, 3)) for ax in panels}) == 1


def test_a_page_of_several_modes_is_a_video(runs, tmp_path):
    film = tv.compare(runs[0], modes=("region", "boundary"), **SMALL)
    assert "<video" in film.save(tmp_path / "film.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("count", "options", "error", "message"),
    [
        (
            1,
            {"modes": ["region"]},
            ValueError,
            r"modes=\['region'\]: expected at least two.*mode=",
        ),
        (1, {"modes": "region"}, ValueError, "modes='region': expected at least two"),
        (2, {"modes": ["region", "entropy"]}, ValueError, "but 2 recordings are given; give one"),
        (1, {"modes": ["region", "regoin"]}, ValueError, "regoin"),
        (1, {"modes": ["region", "values"]}, ValueError, "mode='values' shows values"),
        (1, {"modes": ["region", "entropy"], "mode": "margin"}, TypeError, "modes= or mode=, not"),
        (
            1,
            {"modes": ["region", "entropy"], "disagreement": True},
            TypeError,
            "modes= or disagreement=, not both",
        ),
        (1, {"modes": ["region", "entropy"], "labels": ["a"]}, ValueError, "a list of 2"),
    ],
)
def test_modes_that_cannot_be_shown_together_are_told(runs, count, options, error, message):
    with pytest.raises(error, match=message):
        tv.compare(runs[:count], **options)
