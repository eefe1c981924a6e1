import os
import pickle
import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from trainviz import Domain, Palette, Recorder, animate
from trainviz.modes import find_mode

SIZE = {"figsize": (5, 4), "dpi": 50}
BARE = {**SIZE, "metrics": False, "legend": False, "axes": False, "counter": False}
DARK_GROUND, LIGHT_GROUND = (16, 18, 22), (255, 255, 255)
INK = np.array(to_rgb("#222222")) * 255


def film_of(recording, **options):
    return animate(recording, **{**SIZE, **options})


def figure_of(recording, **options):
    """Return the figure of a still, which is laid out as the film's frames are."""
    figure = film_of(recording, **options).still()
    figure.canvas.draw()
    return figure


def texts(figure):
    """Return what is written in a figure; ticks outside the axes are not drawn."""
    unseen = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                unseen |= {tick.label1, tick.label2}
    found = [text for text in figure.findobj(Text) if text.get_text().strip()]
    return [t for t in found if t.get_visible() and t.get_alpha() != 0 and t not in unseen]


def written(figure):
    return [text.get_text() for text in texts(figure)]


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def counter_of(figure):
    return figure.axes[0].get_title(loc="right")


def map_box(figure):
    """Return the rows and columns of a frame that the map takes."""
    box = figure.axes[0].get_window_extent()
    height = round(figure.bbox.height)
    rows = slice(height - round(box.y1), height - round(box.y0))
    return rows, slice(round(box.x0), round(box.x1))


def pixel_of(figure, point):
    x, y = figure.axes[0].transData.transform(point)
    return int(figure.bbox.height - y), int(x)


def near(frame, pixel, reach=5):
    row, column = pixel
    return frame[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]


def has_ring(frame, pixel):
    """A ring is the only dark thing that is so far from the middle of a point of these films."""
    away = np.hypot(*np.mgrid[-8:9, -8:9])
    return np.abs(near(frame, pixel, 8) - INK).max(axis=-1)[away >= 5].min() < 60


def rings_of(figure):
    """Return the ringed points of a still, in the plane."""
    return figure.axes[0].collections[-1].get_offsets()


def strip_times(film):
    """Return the column of the line that moves along the metrics, for each frame."""
    # Where the red line is and the curve in the same colour is not: nearly a whole column.
    rows = slice(film.shape[0] * 3 // 4, None)
    accent = np.array(to_rgb("#c0392b")) * 255
    columns = []
    for frame in film:
        red = (np.abs(frame[rows] - accent).max(axis=-1) < 3).sum(axis=0)
        columns.append(int(np.median(np.flatnonzero(red >= 0.8 * red.max()))))
    return columns


# Nothing is cut off, nothing overlaps.

LONG_NAMES = [f"a class with the rather long name number {number}" for number in range(3)]
SETTINGS = {
    "plain": ({}, {}),
    "dark": ({"n_classes": 12}, {"dark": True, "title": "In the dark"}),
    "long title": ({}, {"title": "A title that goes on " * 9, "subtitle": "and on and on " * 12}),
    "one long word": ({}, {"title": "Antidisestablishmentarianism" * 5}),
    "long names": ({"class_names": LONG_NAMES}, {}),
    "long labels": ({}, {"xlabel": "the first feature " * 6, "ylabel": "the other feature " * 6}),
    "100 classes": ({"n_classes": 100}, {"title": "Many"}),
    "12 classes, small": ({"n_classes": 12}, {"figsize": (4, 3), "metrics": False}),
    "boundary": ({"n_classes": 8}, {"mode": "boundary", "dark": True}),
    "boundary, long names, small": (
        {"class_names": LONG_NAMES},
        {"mode": "boundary", "figsize": (5, 4)},
    ),
    "no axes": ({}, {"axes": False, "title": "No axes"}),
    "portrait": ({}, {"figsize": (4, 8), "title": "A portrait " * 5, "subtitle": "words " * 9}),
    "landscape": ({}, {"figsize": (9, 3), "metrics": False, "title": "A landscape"}),
    "10 to 1": ({"domain": Domain((0, 10), (0, 1), shape=(12, 16))}, {"title": "Wide"}),
    "10 to 1, equal": (
        {"domain": Domain((0, 10), (0, 1), shape=(12, 16)), "n_classes": 30},
        {"title": "Wide", "aspect": "equal"},
    ),
}


@pytest.mark.parametrize(("data", "options"), SETTINGS.values(), ids=SETTINGS)
@pytest.mark.slow_after(5)
def test_no_text_is_cut_off_or_written_over_another(make_recording, data, options):
    figure = figure_of(make_recording(**data), **{"figsize": None, "dpi": 100, **options})
    renderer = figure.canvas.get_renderer()
    boxes = {}
    for text in texts(figure):
        box = text.get_window_extent(renderer)
        boxes[text.get_text()] = box
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < figure.bbox.width + 1, text
        assert box.y1 < figure.bbox.height + 1, text
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        # The empty last line of a subtitle makes room for the counter.
        assert min(across, along) <= 2 or one.endswith("\n"), (one, other)


@pytest.mark.parametrize(("data", "options"), SETTINGS.values(), ids=SETTINGS)
@pytest.mark.slow_after(5)
def test_the_rim_of_a_frame_is_empty(make_recording, data, options):
    film = film_of(make_recording(**data), **{"figsize": None, "dpi": 60, **options})
    frame = film[-1]
    rim = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
    assert (rim == (DARK_GROUND if options.get("dark") else LIGHT_GROUND)).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dark": True, "title": "A title", "subtitle": "a subtitle"},
        {"mode": "boundary"},
        {"axes": False, "metrics": False},
        {"figsize": (4.04, 5), "legend": False},
    ],
)
@pytest.mark.parametrize("epoch", [0, 20])
@pytest.mark.slow_after(4)
def test_a_frame_of_the_film_is_the_still_of_its_epoch(recording, options, epoch):
    film = film_of(recording, **{"dpi": 100, **options})
    figure = film.still(epoch=epoch)
    figure.canvas.draw()
    still = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    frame = film[recording.index_at(epoch)].astype(int)
    assert frame.shape == still.shape
    # Letters of the counter and the curves yet to come differ a little.
    assert (np.abs(frame - still).max(axis=-1) > 60).mean() < 0.01


@pytest.mark.parametrize("figsize", [(1, 1), (1.2, 0.9), (0.1, 4)])
@pytest.mark.parametrize("picture", ["film", "still"])
def test_a_figure_without_room_for_the_map_is_refused(recording, figsize, picture):
    film = animate(recording, figsize=figsize, title="A title")
    with pytest.raises(ValueError, match=r"figsize=.*no room.*metrics=False, legend=False"):
        film[0] if picture == "film" else film.still()


@pytest.mark.parametrize(("figsize", "dpi"), [((5, 4), 50), ((5.03, 4.01), 100), ((7, 3), 33.3)])
def test_frames_are_of_the_asked_size_in_even_numbers_of_pixels(recording, figsize, dpi):
    film = animate(recording, figsize=figsize, dpi=dpi, metrics=False)
    assert film.shape == film[0].shape[:2]
    assert all(side % 2 == 0 for side in film.shape)
    assert np.allclose(film.shape, np.multiply(figsize[::-1], dpi), atol=1.001)


# Axes.


def test_a_window_has_its_true_proportions(recording):
    rows, columns = map_box(figure_of(recording, dpi=100))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert abs(width / height - 4 / 3) < 0.02


@pytest.mark.parametrize(
    ("aspect", "proportion"), [("equal", 10), (None, None), ("auto", None)], ids=str
)
def test_a_long_window_fills_the_picture_unless_told_otherwise(make_recording, aspect, proportion):
    recording = make_recording(domain=Domain((0, 10), (0, 1), shape=(12, 16)))
    rows, columns = map_box(figure_of(recording, aspect=aspect, dpi=100))
    found = (columns.stop - columns.start) / (rows.stop - rows.start)
    assert abs(found / proportion - 1) < 0.05 if proportion else found < 3


def test_axes_show_the_window(recording):
    ax = figure_of(recording).axes[0]
    assert ax.get_xlim() == (-2, 2)
    assert ax.get_ylim() == (-1.5, 1.5)


def test_axis_labels_are_the_features_names_or_ones_own():
    X = np.random.default_rng(0).random((20, 4))
    recorder = Recorder(Domain.around(X, features=(1, 3), resolution=(8, 9)))
    recorder.capture(lambda X: X[:, 1] > 0.5, epoch=0)
    names = recorder.domain.axis_names
    shown = figure_of(recorder.recording).axes[0]
    assert (shown.get_xlabel(), shown.get_ylabel()) == names
    assert all(names)
    own = figure_of(recorder.recording, xlabel="length", ylabel="width").axes[0]
    assert (own.get_xlabel(), own.get_ylabel()) == ("length", "width")


def test_long_tick_and_axis_labels_beside_a_metric_strip_do_not_make_the_map_lower(make_recording):
    heights = []
    for low in (0.0, -0.00123):
        domain = Domain((low, low + 1), (low, low + 1), shape=(12, 16))
        label = "towards c" if low else ""
        figure = figure_of(
            make_recording(domain=domain, metrics=True), figsize=None, dpi=100, ylabel=label
        )
        rows, _ = map_box(figure)
        heights.append(rows.stop - rows.start)
    assert abs(heights[0] - heights[1]) <= 3


def test_without_axes_there_are_neither_ticks_nor_labels_and_more_map(recording):
    options = {"metrics": False, "xlabel": "length"}
    with_axes, without = (figure_of(recording, axes=axes, **options) for axes in (True, False))
    numbers = {
        text
        for text in written(with_axes)
        if text.strip("\N{MINUS SIGN}").replace(".", "").isdigit()
    }
    assert numbers
    assert not numbers & set(written(without))
    assert "length" not in written(without)
    assert map_box(without)[0].stop > map_box(with_axes)[0].stop


@pytest.mark.parametrize(
    "options",
    [{}, {"title": "A title " * 20}, {"mode": "boundary"}, {"legend": False, "axes": False},
     {"figsize": None}],
)  # fmt: skip
@pytest.mark.slow_after(2)
def test_a_margin_keeps_the_rim_free(recording, options):
    options = {"figsize": (6, 5), "dpi": 100, **options}
    (narrow, _), (wide, _) = (
        map_box(figure_of(recording, **options, margin=margin)) for margin in (0.05, 0.5)
    )
    assert wide.stop - wide.start < narrow.stop - narrow.start
    film = film_of(recording, **options, margin=0.5)
    still = np.asarray(figure_of(recording, **options, margin=0.5).canvas.buffer_rgba())[..., :3]
    for picture in (film[0], still):
        inked = (picture != 255).any(axis=-1)
        inked[48:-48, 48:-48] = False
        assert not inked.any()


@pytest.mark.parametrize("margin", [2, 3, 50])
def test_a_margin_that_leaves_no_room_is_refused(recording, margin):
    with pytest.raises(ValueError, match="no room is left for the map"):
        film_of(recording, margin=margin)[0]


# Titles and counter.


def test_titles_are_written(recording):
    figure = figure_of(recording, title="Ash, birch, cedar", subtitle="a clock", dpi=100)
    assert {"Ash, birch, cedar", "a clock"} <= set(written(figure))


def test_the_counter_tells_the_epoch(recording):
    film = film_of(recording)
    counters = [counter_of(film.still(epoch=epoch)) for epoch in (0, 10, 40)]
    assert counters == ["epoch 0", "epoch 10", "epoch 40"]


def test_the_counter_tells_the_step_where_epochs_repeat():
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)), every_n_steps=5)
    for step in range(0, 21, 5):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=step // 10, step=step)
    recording = recorder.recording
    assert len(recording) == 5
    assert counter_of(figure_of(recording)) == "epoch 2, step 20"
    assert counter_of(figure_of(recording[:2])) == "epoch 0, step 5"


def test_the_counter_counts_between_snapshots_too(make_recording):
    recording = make_recording(snapshots=2)
    film = film_of(recording, **{**BARE, "counter": True}, interpolate=10)
    top = map_box(film.still())[0].start
    pictures = {frame[:top].tobytes() for frame in film}
    # Epochs 0 to 10.
    assert len(pictures) == 11


@pytest.mark.parametrize("counter", [True, False])
def test_the_counter_is_all_that_changes_where_nothing_is_learnt(counter):
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)))
    for epoch in (5, 60):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=epoch)
    film = film_of(recorder.recording, counter=counter)
    changed = (film[0] != film[1]).any(axis=-1)
    top = map_box(film.still())[0].start
    assert not changed[top:].any()
    assert changed[:top].any() == counter


# Themes.


@pytest.mark.parametrize(("dark", "ground"), [(True, DARK_GROUND), (False, LIGHT_GROUND)])
@pytest.mark.parametrize("mode", ["region", "boundary"])
def test_the_theme_is_dark_or_light_throughout(recording, dark, ground, mode):
    frame = film_of(recording, dark=dark, mode=mode, title="Title", metrics=False)[0]
    rows, columns = map_box(
        figure_of(recording, dark=dark, mode=mode, title="Title", metrics=False)
    )
    around = np.ones(frame.shape[:2], dtype=bool)
    around[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1] = False
    most = np.mean((frame[around] == ground).all(axis=-1))
    assert most > 0.7
    # Letters stand out.
    assert np.abs(frame[: rows.start].astype(int) - ground).max() > 150


# Legend and colour bar.


def test_the_legend_names_the_classes_in_their_colours(recording):
    figure = figure_of(recording)
    assert legend_of(figure) == ["ash", "birch", "cedar", "misclassified"]
    dots = [mark for mark in legend_marks(figure) if mark.get_marker() == "o"][:3]
    colors = [np.array(to_rgb(dot.get_markerfacecolor())) * 255 for dot in dots]
    assert np.allclose(colors, Palette.of(3).classes)


def test_without_points_the_legend_does_not_speak_of_misclassified_ones(make_recording):
    for recording, options in (
        (make_recording(points=False), {}),
        (make_recording(), {"points": False}),
    ):
        assert legend_of(figure_of(recording, **options)) == ["0", "1", "2"]


@pytest.mark.parametrize("shade", [True, False])
def test_without_points_the_legend_has_the_colours_of_the_map(shade):
    recorder = Recorder(Domain((0, 3), (0, 3), points_per_axis=31))
    recorder.capture(lambda X: np.eye(3)[np.minimum(X[:, 0].astype(int), 2)], epoch=0)
    film = film_of(recorder.recording, shade=shade)
    figure, frame = film.still(), film[0]
    handles = figure.legends[0].legend_handles
    listed = [np.round(np.array(to_rgb(handle.get_markerfacecolor())) * 255) for handle in handles]
    shown = [frame[pixel_of(figure, (x, 1.5))] for x in (0.5, 1.5, 2.5)]
    np.testing.assert_array_equal(listed, shown)


@pytest.mark.parametrize("figsize", [None, (5, 4)])
@pytest.mark.parametrize("n_classes", [24, 25, 100])
def test_a_long_legend_counts_what_it_leaves_out(make_recording, n_classes, figsize):
    figure = figure_of(make_recording(n_classes=n_classes), figsize=figsize, dpi=100)
    *names, last, _ = legend_of(figure)
    if last.isdigit():
        assert [*names, last] == [str(index) for index in range(n_classes)]
        return
    left_out = int(last.removeprefix("and ").removesuffix(" more"))
    assert names == [str(index) for index in range(n_classes - left_out)]
    assert 5 < len(names) < n_classes


def test_a_class_may_be_called_anything(make_recording):
    names = ["_hidden", "$5 & more", "two\nlines"]
    assert legend_of(figure_of(make_recording(class_names=names)))[:3] == [
        "_hidden",
        "$5 & more",
        "two lines",
    ]


def test_a_colour_bar_tells_its_fixed_limits(make_recording):
    figure = figure_of(make_recording(n_classes=4), mode="boundary", points=False, dpi=100)
    assert not figure.legends
    assert "highest class probability" in written(figure)
    assert {"0.25", "1"} <= set(written(figure))
    (bar,) = (ax for ax in figure.axes if ax.get_ylabel() == "highest class probability")
    bar, beside = (ax.get_window_extent() for ax in (bar, figure.axes[0]))
    assert (bar.y0, bar.y1) == pytest.approx((beside.y0, beside.y1), abs=1)


def test_a_small_colour_bar_has_no_crowded_numbers(make_recording):
    figure = figure_of(make_recording(n_classes=4), mode="boundary", figsize=(5, 4))
    assert {"0.25", "1"} <= set(written(figure))


def legend_marks(figure):
    return [line for line in figure.legends[0].findobj(Line2D) if line.get_marker() in ("o", "s")]


def test_beside_the_dot_of_a_class_the_legend_shows_its_shade_in_the_map(make_recording):
    recording = make_recording(n_classes=3)
    marks = legend_marks(figure_of(recording))
    for number, color in enumerate(Palette.of(3).classes):
        square, dot = marks[2 * number : 2 * number + 2]
        assert np.allclose(to_rgb(dot.get_color()), color / 255)
        sure = find_mode("region").bound(3, Palette.of(3)).certain(color)
        assert np.allclose(to_rgb(square.get_color()), sure / 255)


@pytest.mark.parametrize("mode", ["region", "boundary"])
def test_the_legend_can_be_left_out(recording, mode):
    figure = figure_of(recording, legend=False, mode=mode, metrics=False)
    assert not figure.findobj(Legend)
    assert len(figure.axes) == 1


# Data points.


def test_points_have_the_colours_of_their_classes(make_recording):
    for labels in (None, [-1, 5, 70], ["ant", "bee", "cow"]):
        recording = make_recording(labels=labels)
        points = figure_of(recording).axes[0].collections[1]  # over their halos
        assert np.allclose(points.get_offsets(), recording.data.points)
        # The first three points lie at the hours of the classes 0, 1, 2, as the next do.
        expected = np.tile(Palette.of(3).classes / 255, (2, 1))
        assert np.allclose(points.get_facecolors()[:, :3], expected)
        if labels is not None:
            assert legend_of(figure_of(recording))[:3] == [str(label) for label in labels]


@pytest.mark.parametrize("labels", [None, [-7, 0, 3], ["x", "y", "z"]])
def test_misclassified_points_are_ringed(make_recording, labels):
    recording = make_recording(labels=labels)
    film = film_of(recording, metrics=False, legend=False, dpi=100)
    figure = film.still()
    figure.canvas.draw()
    for point in recording.data.points:
        pixel = pixel_of(figure, point)
        assert has_ring(film[0], pixel)
        assert not has_ring(film[-1], pixel)


def test_only_the_points_that_are_misclassified_are_ringed(make_recording):
    recording = make_recording(snapshots=2)
    wrong = recording[1:].data.points[:0]
    assert len(rings_of(figure_of(recording[1:]))) == len(wrong)
    assert np.allclose(rings_of(figure_of(recording[:1])), recording.data.points)


def test_rings_keep_the_points_own_colour_visible(recording):
    film = film_of(recording, metrics=False, legend=False, dpi=100)
    figure = film.still()
    figure.canvas.draw()
    row, column = pixel_of(figure, recording.data.points[0])
    np.testing.assert_array_equal(film[0][row, column], Palette.of(3).classes[0])


def test_points_on_the_edge_of_the_window_are_ringed_too():
    corners = [[x, y] for x in (-1, 1) for y in (-1, 1)]
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)), data=(corners, [0, 0, 0, 0]))
    recorder.capture(lambda X: np.full(len(X), 0.9), epoch=0)
    film = film_of(recorder.recording, dpi=100, axes=False, legend=False)
    figure = film.still()
    figure.canvas.draw()
    for point in corners:
        assert has_ring(film[0], pixel_of(figure, point)), point


def test_classes_without_points_and_classes_never_predicted_are_fine():
    X, y = [[-0.5, 0], [0.5, 0]], ["ant", "cow"]
    recorder = Recorder(
        Domain((-1, 1), (-1, 1), shape=(8, 9)), data=(X, y), class_names=["ant", "bee", "cow"]
    )
    recorder.capture(lambda X: np.tile([0.8, 0.15, 0.05], (len(X), 1)), epoch=0)
    figure = figure_of(recorder.recording)
    assert legend_of(figure)[:3] == ["ant", "bee", "cow"]
    assert rings_of(figure).tolist() == [[0.5, 0]]
    film = film_of(recorder.recording)
    assert film[0].shape[:2] == film.shape


@pytest.mark.parametrize("times", [1, 500])
def test_points_outside_the_window_are_not_drawn(times):
    domain = Domain((-1, 1), (-1, 1), shape=(8, 9))
    inside, outside = [[0.5, 0.5]], [[1.2, 0], [-3, 0], [0, 1.001], [0, -50]] * times
    frames = []
    for X in (inside, inside + outside):
        recorder = Recorder(domain, data=(X, [0] * len(X)))
        recorder.capture(lambda X: np.full(len(X), 0.9), epoch=0)
        frames.append(film_of(recorder.recording)[0])
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize("points", [True, False])
def test_points_can_be_left_out(make_recording, points):
    options = {**BARE, "points": points}
    frames = [film_of(make_recording(points=data), **options)[0] for data in (True, False)]
    assert np.array_equal(*frames) == (not points)


# Metrics.


def curves_of(figure):
    """Return the metrics' curves by name; the line at the present moment has none."""
    lines = [line for ax in figure.axes[1:] for line in ax.get_lines()]
    return {line.get_label(): line for line in lines if not line.get_label().startswith("_")}


def recording_with(*metrics):
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)))
    for epoch, values in enumerate(metrics):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=epoch, metrics=values)
    return recorder.recording


def test_metrics_are_curves_over_the_epochs(recording):
    curves = curves_of(figure_of(recording))
    assert list(curves) == ["loss", "accuracy"]
    assert curves["loss"].get_xdata().tolist() == [0, 10, 20, 30, 40]
    assert curves["accuracy"].get_ydata().tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_line_moves_along_the_metrics_at_the_films_speed(recording):
    film = film_of(recording, interpolate=5, dpi=100, legend=False, figsize=(6, 5))
    columns = strip_times(film)
    rows_columns = map_box(film.still())[1]
    expected = np.linspace(rows_columns.start, rows_columns.stop, len(film))
    assert np.abs(np.array(columns) - expected).max() <= 2


def test_what_is_yet_to_come_is_faint(recording):
    film = film_of(recording, legend=False, dpi=100, figsize=(6, 5))
    left = map_box(film.still())[1]
    part = slice(left.start + 20, left.stop - 20)
    rows = slice(film.shape[0] * 3 // 4, film.shape[0] * 9 // 10)
    first, last = (film[index][rows, part].astype(float) for index in (0, -1))
    ink = [np.clip(255 - picture, 0, None).sum() for picture in (first, last)]
    assert 0.1 * ink[1] < ink[0] < 0.5 * ink[1]


def test_the_present_is_marked_in_stills(recording):
    film = film_of(recording)
    for epoch in (0, 20):
        lines = [line.get_xdata() for ax in film.still(epoch=epoch).axes[1:] for line in ax.lines]
        assert [epoch, epoch] in [list(xs) for xs in lines]


def test_missing_values_leave_gaps_only():
    nan = float("nan")
    recording = recording_with({"loss": 3, "f1": nan}, {"loss": nan}, {"loss": 1, "f1": 0.5}, {})
    curves = curves_of(figure_of(recording))
    assert curves["loss"].get_xydata().tolist() == [[0, 3], [2, 1]]
    assert curves["f1"].get_xydata().tolist() == [[2, 0.5]]
    assert len(list(film_of(recording, interpolate=2))) == 7


@pytest.mark.parametrize(
    "metrics", [({}, {}), ({"loss": 1.0},), ({"loss": float("nan")}, {"loss": float("inf")})]
)
def test_without_values_to_draw_there_is_no_strip(metrics):
    assert len(figure_of(recording_with(*metrics), legend=False).axes) == 1


def test_metrics_can_be_left_out(recording):
    assert len(figure_of(recording, metrics=False).axes) == 1


def strip_of(spans, **options):
    recorder = Recorder(Domain((0, 1), (0, 1), points_per_axis=5))
    for epoch in range(3):
        values = {name: first + epoch * (last - first) / 2 for name, (first, last) in spans.items()}
        recorder.capture(lambda X: X[:, 0], epoch=epoch, metrics=values)
    figure = figure_of(recorder.recording, **options)
    return figure, [
        [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
        for ax in figure.axes[1:]
    ]


@pytest.mark.parametrize(
    ("metrics", "axes"),
    [
        ({"train": (0.5, 1.0), "test": (0.5, 0.7)}, [["train", "test"]]),
        ({"ours": (0.5, 1.0), "theirs": (0.5, 0.7)}, [["ours", "theirs"]]),
        ({"main_loss": (2, 1), "aux_loss": (0.2, 0.1)}, [["main_loss", "aux_loss"]]),
        (
            {"accuracy": (0.1, 1), "f1": (0.2, 0.9), "loss": (1, 0.3)},
            [["accuracy", "f1"], ["loss"]],
        ),
        ({"ours": (0.5, 1.0), "lr": (1e-3, 1e-4)}, [["ours"], ["lr"]]),
        ({"loss": (2, 1), "loss_step": (2, 1.1), "loss_epoch": (2, 1)}, [["loss"]]),
        ({"loss_step": (2, 1.1), "loss_epoch": (2, 1)}, [["loss_epoch"]]),
    ],
)
def test_curves_of_one_unit_share_an_axis(metrics, axes):
    figure, found = strip_of(metrics)
    assert found == axes
    looks = [
        (line.get_color(), line.get_linestyle())
        for ax in figure.axes[1:] for line in ax.lines if not line.get_label().startswith("_")
    ]  # fmt: skip
    assert len(set(looks)) == len(looks)


def run_of(*names, epochs=60, every=20, values=None):
    """Record falling losses and rising scores of every epoch, few of which are captured."""
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)), every=every)
    for epoch in range(epochs + 1):
        share = epoch / epochs
        made = {
            name: (0.4 + 0.3 / (1 + k) * share if "acc" in name else 2 / (1 + k + 4 * share))
            for k, name in enumerate(names)
        }
        recorder.capture(
            lambda X: X[:, 0] > 0, epoch=epoch, metrics=values(epoch) if values else made
        )
    return recorder.recording


def test_curves_have_the_metrics_of_epochs_that_were_not_captured():
    curves = curves_of(figure_of(run_of("loss")))
    assert curves["loss"].get_xdata().tolist() == list(range(61))


def test_what_is_reported_after_the_last_snapshot_is_drawn():
    figure = figure_of(run_of("loss", epochs=50))
    assert figure.axes[1].get_xlim() == (0, 50)
    film = film_of(run_of("loss", epochs=50), legend=False, dpi=100, figsize=(6, 5))
    _, columns = map_box(film.still())
    share = (strip_times(film)[-1] - columns.start) / (columns.stop - columns.start)
    assert share == pytest.approx(40 / 50, abs=0.02)


def names_beside(figure):
    """Return the names beside the curves: their texts, by name."""
    return {text.get_text(): text for ax in figure.axes[1:] for text in ax.texts}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ["loss", "accuracy"],
        ["train_loss", "val_loss"],
        ["train_loss", "val_loss", "train_acc", "val_acc"],
    ],
)
def test_curves_are_named_beside_themselves_in_their_colours(names, dark):
    figure = animate(run_of(*names), dark=dark).still()
    figure.canvas.draw()
    found, curves = names_beside(figure), curves_of(figure)
    assert found.keys() == curves.keys() == {*names}
    assert figure.axes[1].get_legend() is None
    boxes = {name: text.get_window_extent() for name, text in found.items()}
    strip = figure.axes[1].get_window_extent()
    for name, box in boxes.items():
        assert found[name].get_color() == curves[name].get_color()
        assert strip.x0 <= box.x0 <= box.x1 <= strip.x1
        assert strip.y0 <= box.y0 <= box.y1 <= strip.y1
        assert sum(box.overlaps(other) for other in boxes.values()) == 1
        for line in curves.values():
            xs = np.linspace(box.x0, box.x1, 50)
            ys = np.interp(xs, *line.get_transform().transform(line.get_xydata()).T)
            assert not ((ys > box.y0) & (ys < box.y1)).any()


def test_one_curve_is_named_by_its_axis_alone():
    figure = animate(run_of("loss")).still()
    assert figure.axes[1].get_ylabel() == "loss"
    assert not names_beside(figure)


def test_where_names_have_no_room_there_is_a_legend():
    names = ["train_loss", "val_loss", "train_acc", "val_acc"]
    figure = animate(run_of(*names), figsize=(4, 3.6), metrics=True).still()
    assert not names_beside(figure)
    assert {text.get_text() for text in figure.axes[1].get_legend().get_texts()} == {*names}


@pytest.mark.parametrize(
    ("name", "values", "options", "scale"),
    [
        ("loss", (300, 0.1), {}, "log"),
        ("loss", (3, 0.1), {}, "linear"),
        ("loss", (300, 0), {}, "linear"),
        ("loss", (300, -1), {"metric_scale": "log"}, "linear"),
        ("lr", (0.1, 0.001), {}, "log"),
        ("accuracy", (0.001, 1), {}, "linear"),
        ("loss", (300, 0.1), {"metric_scale": "linear"}, "linear"),
        ("accuracy", (0.5, 1), {"metric_scale": "log"}, "log"),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_span_decades(name, values, options, scale):
    figure, _ = strip_of({name: values}, **options)
    figure.canvas.draw()
    assert figure.axes[1].get_yscale() == scale
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert all("$" not in label for label in labels)


def test_a_smoothed_curve_is_drawn_over_the_paler_one():
    recording = run_of(values=lambda epoch: {"loss": 2.0 + (-1) ** epoch})
    figure = figure_of(recording, smooth=0.9)
    raw, smoothed = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 61]
    assert (raw.get_alpha(), smoothed.get_alpha()) == (0.3, None)
    assert np.ptp(raw.get_ydata()) == 2
    values, means = raw.get_ydata(), smoothed.get_ydata()
    for epoch in (0, 1, 7, 60):
        weights = 0.9 ** np.arange(epoch, -1, -1)
        assert means[epoch] == pytest.approx((weights @ values[: epoch + 1]) / weights.sum())
    assert len(list(film_of(recording, smooth=0.9, legend=False))) == 4


def test_what_happened_is_marked_in_the_strip_and_told_over_the_map():
    recording = run_of("loss", "accuracy", epochs=100, every=2)
    film = animate(recording, annotate={40: "lr / 10", 41.5: "$5"})
    told = {epoch: counter_of(film.still(epoch=epoch)) for epoch in (38, 40, 42, 50, 60)}
    assert "lr / 10" in told[40]
    assert told[40].endswith("epoch 40")
    assert told[42].startswith("$5")
    assert (told[38], told[60]) == ("epoch 38", "epoch 60")
    figure = film.still()
    assert {"lr / 10", "$5"} <= names_beside(figure).keys()
    assert [40, 40] in [list(line.get_xdata()) for line in figure.axes[1].lines]
    plain = animate(recording)
    assert np.abs(film[20].astype(int) - plain[20])[:100].max() > 50
    assert len(film) == len(plain)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"smooth": 1}, ValueError, "smooth=1: expected a weight from 0"),
        ({"smooth": "much"}, TypeError, "smooth='much': expected"),
        ({"metric_scale": "decades"}, ValueError, "metric_scale='decades': expected 'auto'"),
        ({"annotate": [120]}, TypeError, r"annotate=\[120\]: expected epochs and texts"),
        ({"annotate": {"120": "lr"}}, TypeError, "annotate: '120' is no epoch"),
        ({"annotate": {120: 0.1}}, TypeError, "annotate: 0.1 is no text"),
    ],
)
def test_wrong_curves_are_told(recording, options, error, message):
    with pytest.raises(error, match=message):
        animate(recording, **options)


def test_steps_within_epochs_are_drawn_between_their_ends():
    recorder = Recorder(Domain((-1, 1), (-1, 1), shape=(8, 9)))
    for epoch in range(3):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=epoch, step=10 * epoch)
        for step in range(5):
            moment = {"epoch": epoch, "step": 10 * epoch + 2 * step}
            recorder.log(**moment, metrics={"loss": 1 / (1 + moment["step"])})
    curves = curves_of(figure_of(recorder.recording))
    np.testing.assert_allclose(curves["loss"].get_xdata(), np.arange(0, 3, 0.2))


def test_metrics_can_be_grouped_by_hand():
    metrics = {"a": (1, 2), "b": (1, 2), "c": (1, 2)}
    assert strip_of(metrics, metrics=[["a", "c"], ["b"]])[1] == [["a", "c"], ["b"]]
    assert strip_of(metrics, metrics=["c", "a"])[1] == [["c", "a"]]


def test_curves_that_are_left_out_are_named():
    figure, _ = strip_of({"loss": (1, 0), "accuracy": (0, 1), "lr": (1, 2), "norm": (99, 98)})
    assert figure.axes[1].get_xlabel() == "epoch (not drawn: lr, norm)"


def test_epochs_have_whole_ticks():
    figure, _ = strip_of({"loss": (1, 0)})
    figure.canvas.draw()
    ticks = figure.axes[1].get_xticks()
    assert (ticks == ticks.round()).all()


def test_only_the_first_two_kinds_of_metrics_are_drawn_by_themselves():
    values = {"loss": 1.0, "lr": 0.1, "val_loss": 2.0, "accuracy": 0.5, "train_loss": 1.5}
    recording = recording_with(values, values)
    figure = figure_of(recording)
    # One kind shares an axis, two have one each.
    drawn = [[line.get_label() for line in ax.lines] for ax in figure.axes[1:]]
    named = [[name for name in names if not name.startswith("_")] for names in drawn]
    assert named == [["loss", "val_loss", "train_loss"], ["lr"]]
    key = figure.axes[1].get_legend()
    # Two by two, which matplotlib lists column by column.
    assert [text.get_text() for text in key.get_texts()] == ["loss", "train_loss", "val_loss", "lr"]


@pytest.mark.parametrize("wanted", [["accuracy"], ("accuracy",), "accuracy"])
def test_metrics_are_drawn_by_name(recording, wanted):
    assert list(curves_of(figure_of(recording, metrics=wanted))) == ["accuracy"]


def test_an_unknown_metric_is_told_with_the_known_ones(recording):
    with pytest.raises(ValueError, match=r"no metric 'f1'; it has \['loss', 'accuracy'\]"):
        animate(recording, metrics=["loss", "f1"])


def test_a_recording_can_be_played_backwards(recording):
    film = film_of(recording[::-1], legend=False, dpi=100, figsize=(6, 5))
    columns = strip_times(film)
    assert columns == sorted(columns, reverse=True)
    assert counter_of(film.still()) == "epoch 0"


def test_an_svg_is_well_formed_whatever_the_names_are(make_recording, tmp_path):
    names = ["a\x00sh", "bi\x1b[2Jrch", "cedar & <co>"]
    film = animate(make_recording(class_names=names), title="a\x08b\uffff")
    film.still(tmp_path / "a.svg")
    text = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "a\N{REPLACEMENT CHARACTER}sh" in text
    assert "& <co>" in text


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_a_full_disk_is_an_oserror(recording, tmp_path, suffix):
    code = (
        "import resource, signal, pickle, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "film = pickle.load(open(sys.argv[1], 'rb'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n    film.still(sys.argv[2])\nexcept OSError as error:\n    print('told')\n"
    )
    (tmp_path / "film").write_bytes(pickle.dumps(animate(recording)))
    command = [sys.executable, "-c", code, str(tmp_path / "film"), str(tmp_path / f"a{suffix}")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "told\n", found.stderr
    assert os.listdir(tmp_path) == ["film"]
