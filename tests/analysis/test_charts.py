"""The plots and the still of the learning dynamics."""

import dataclasses
import re
from itertools import combinations, pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

import trainviz as tv

PLOTS = ["settled", "areas", "boundary_length", "churn", "learnt", "forgetting"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found(recording):
    return tv.dynamics(recording)


def texts(figure):
    figure.canvas.draw()
    # Labels of ticks beyond the limits are there, but not drawn.
    beyond = [
        text for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for text in (tick.label1, tick.label2)
    ]  # fmt: skip
    return [text for text in figure.findobj(matplotlib.text.Text)
            if text.get_text() and text.get_visible() and text not in beyond]  # fmt: skip


@pytest.mark.parametrize("name", PLOTS)
def test_every_quantity_has_a_plot_in_axes_given_or_its_own(found, name):
    plot = getattr(found, f"plot_{name}")
    own = plot()
    assert isinstance(own, Axes)
    _, ax = plt.subplots()
    assert plot(ax=ax) is ax
    assert own.figure is not ax.figure


@pytest.mark.parametrize(
    ("name", "across", "up"),
    [
        ("areas", "epoch", "share of area"),
        ("boundary_length", "epoch", "boundary length (plane units)"),
        ("churn", "epoch", "churn (share of area per epoch)"),
        ("learnt", "epoch", "share of the data learnt once"),
        ("forgetting", "forgetting events", "points of the data"),
    ],
)
def test_axes_say_what_they_measure(found, name, across, up):
    ax = getattr(found, f"plot_{name}")()
    assert (ax.get_xlabel(), ax.get_ylabel()) == (across, up)


@pytest.mark.parametrize("name", ["churn", "boundary_length"])
def test_curves_show_the_numbers(found, name):
    (curve,) = getattr(found, f"plot_{name}")().lines
    np.testing.assert_array_equal(curve.get_xdata(), found.times)
    np.testing.assert_array_equal(curve.get_ydata(), getattr(found, name))


def bar_of(figure):
    """Return the axes of the colour bar."""
    (bar,) = (ax for ax in figure.axes if "settled at" in ax.get_ylabel())
    return bar


def place_of(epoch, bar):
    """Return the place of an epoch on a colour bar, from 0 at its lower end to 1."""
    box = bar.get_window_extent()
    return (bar.transData.transform((0, epoch))[1] - box.y0) / box.height


def colors_of(bar, epochs):
    table = bar._colorbar.cmap
    return table([place_of(epoch, bar) for epoch in epochs])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_map_shows_when_classes_were_settled_where_they_are(seed, scale):
    domain = tv.Domain((-2, 2), (-1.5, 1.5), shape=(12, 16))
    rng, recorder = np.random.default_rng(seed), tv.Recorder(domain)
    epochs = [0, 10, 20, 30, 40]
    for epoch in epochs:
        sure = np.eye(3)[rng.choice(3, (12, 16), p=[0.2, 0.4, 0.4])]
        recorder.append((0.1 + 0.7 * sure).transpose(2, 0, 1), epoch=epoch)
    found = tv.dynamics(recorder.recording)
    ax = found.plot_settled(scale=scale)
    texts(ax.figure)
    colors = dict(zip(epochs, colors_of(bar_of(ax.figure), epochs), strict=True))
    for row, column in np.ndindex(10, 14):
        point = ax.transData.transform((domain.x[column + 1], domain.y[row + 1]))
        shown = [patch for patch in ax.patches if patch.contains_point(point)][-1]
        expected = colors[found.settled[row + 1, column + 1]]
        np.testing.assert_allclose(shown.get_facecolor(), expected, atol=0.02)
    assert ax.get_xlim() == (-2, 2)
    assert ax.get_ylim() == (-1.5, 1.5)


def moving_lines(edges, epochs, points=31):
    """Record a linear model whose border x + 0.4 y moves to the edges given."""
    recorder = tv.Recorder(tv.Domain((-2, 2), (-2, 2), points_per_axis=points))
    for edge, epoch in zip(edges, epochs, strict=True):
        recorder.capture(
            lambda X, edge=edge: 1 / (1 + np.exp(-5 * (X @ [1, 0.4] - edge))), epoch=epoch
        )
    return tv.dynamics(recorder.recording)


def test_borders_of_a_linear_model_are_straight_in_an_svg(tmp_path):
    edges, step = np.array([-0.83, -0.27, 0.31, 0.77]), 4 / 30
    figure = moving_lines(edges, [0, 1, 2, 3]).still(tmp_path / "still.svg")
    filled = re.findall(
        r'<path d="([^"]+)" clip-path[^>]*style="fill: (#[0-9a-f]{6})',
        (tmp_path / "still.svg").read_text(),
    )
    # The window, and what was settled at epochs 2, 1 and 0.
    assert [color for _, color in filled] == [
        matplotlib.colors.to_hex(color) for color in colors_of(bar_of(figure), [3, 2, 1, 0])
    ]
    outlines = [np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2)
                for path, _ in filled]  # fmt: skip
    low, high = outlines[0].min(axis=0), outlines[0].max(axis=0)
    for number, outline in enumerate(outlines[1:], 1):
        points = (outline - low) / (high - low) * 4 - 2
        points[:, 1] *= -1
        inside = points[(np.abs(points) < 1.999).all(axis=1)]
        distances = np.abs((inside @ [1, 0.4])[:, None] - edges) / np.hypot(1, 0.4)
        assert (distances.min(axis=1) < 0.1 * step).all()
        # Nor does a border end before the edge of the window.
        for edge in (edges[3 - number], edges[3]):
            mine = points[np.abs(points @ [1, 0.4] - edge) < 0.1 * step]
            assert np.ptp(mine[:, 1]) == pytest.approx(4, abs=0.01)


FAST = [*range(21), *range(30, 201, 10)]


@pytest.fixture(scope="module")
def fast():
    """Learning that is nearly done after a twentieth of the training."""
    return moving_lines([1.5 - 2 * epoch / (epoch + 5) for epoch in FAST], FAST)


def test_early_learning_has_most_of_the_colours(fast):
    shares = {}
    for scale in ("auto", "linear", "log", "quantile"):
        figure = fast.still(scale=scale)
        shares[scale] = place_of(20, bar_of(figure))
    later = fast.settled[fast.settled > 0]
    assert shares["linear"] == pytest.approx(0.1, abs=0.01)
    assert shares["auto"] == shares["log"] == pytest.approx(np.log(21) / np.log(201), abs=0.01)
    assert shares["quantile"] == pytest.approx((later <= 20).mean(), abs=0.03)
    assert shares["auto"] > 0.5


def test_even_learning_has_even_colours():
    epochs = range(0, 101, 5)
    found = moving_lines([1.5 - epoch / 40 for epoch in epochs], epochs)
    assert place_of(50, bar_of(found.still())) == pytest.approx(0.5, abs=0.01)


def test_the_first_snapshots_have_colours_too_where_steps_are_counted():
    """Step 500 of 100 000 is not half of the scale."""
    steps = [500 * step for step in FAST]
    found = moving_lines([1.5 - 2 * step / (step + 2500) for step in steps], steps)
    assert place_of(500, bar_of(found.still(scale="log"))) == pytest.approx(
        np.log(2) / np.log(201), abs=0.01
    )


@pytest.mark.parametrize("scale", ["linear", "log", "quantile"])
def test_the_numbers_of_a_colour_bar_are_whole_epochs_that_keep_apart(fast, scale):
    bar = bar_of(fast.still(scale=scale, figsize=(5, 3)))
    labels = [label for label in texts(bar.figure) if label in bar.get_yticklabels()]
    assert len(labels) >= 4
    spans = sorted((box.y0, box.y1) for box in (label.get_window_extent() for label in labels))
    assert all(lower[1] < upper[0] for lower, upper in pairwise(spans))
    for label in labels:
        assert float(label.get_text()) == int(label.get_text())


def test_an_unknown_scale_is_refused(found):
    with pytest.raises(ValueError, match="scale='ln': expected one of 'auto', 'linear', 'log'"):
        found.still(scale="ln")
    with pytest.raises(ValueError, match="scale='ln': expected one of"):
        found.plot_settled(scale="ln")


def test_without_its_recording_there_is_no_map(fast):
    copied = dataclasses.replace(fast, recording=None)
    with pytest.raises(tv.RecordingError, match=r"make Dynamics with trainviz.dynamics"):
        copied.plot_settled()


@pytest.mark.parametrize("scale", ["auto", "linear", "log", "quantile"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_model_that_does_not_change_has_one_colour(scale, count):
    found = moving_lines([0.1] * count, range(4, 4 + count))
    (ground, *others) = found.plot_settled(scale=scale).patches
    assert {patch.get_facecolor() for patch in others} <= {ground.get_facecolor()}
    found.still(scale=scale, curves=True)


def test_the_default_colours_get_steadily_lighter(found):
    colors = bar_of(found.still())._colorbar.cmap(np.linspace(0, 1, 32))[:, :3]
    lightness = (colors**2.2) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_areas_have_the_colours_of_the_film(found):
    bands = found.plot_areas().collections
    colors = [tuple(np.round(band.get_facecolor()[0, :3] * 255).astype(int)) for band in bands]
    assert colors == [tuple(color) for color in tv.Palette.of(3).classes]
    changed = found.plot_areas(palette=["red", "green", "blue"]).collections
    assert tuple(changed[0].get_facecolor()[0]) == (1, 0, 0, 1)


def test_many_classes_are_counted_in_the_legend(make_recording):
    ax = tv.dynamics(make_recording(n_classes=20)).plot_areas()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(names) == 12
    assert names[0] == "11, and 8 more"


def test_forgetting_counts_every_point_once():
    guesses = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1]])
    recorder = tv.Recorder(
        tv.Domain((0, 1), (0, 1), points_per_axis=2), data=(np.zeros((4, 2)), [0, 1, 1, 0])
    )
    for epoch, row in enumerate(guesses):
        recorder.append(np.full((2, 2, 2), 0.5), epoch=epoch, data_predictions=row)
    ax = tv.dynamics(recorder.recording).plot_forgetting()
    heights = {round(bar.get_x() + bar.get_width() / 2, 6): bar.get_height() for bar in ax.patches}
    # Twice forgotten; never; once (at epoch 2); and never learnt, at the left.
    assert heights == {-1.5: 1, 0: 1, 1: 1, 2: 1}


def test_many_events_share_bars(make_recording):
    found = tv.dynamics(make_recording())
    events = np.arange(6) * 40
    object.__setattr__(found, "forgetting", events)
    ax = found.plot_forgetting()
    assert len(ax.patches) <= 16
    assert sum(bar.get_height() for bar in ax.patches) == 6


@pytest.mark.parametrize("points", [True, False])
def test_the_overview_has_a_panel_for_all_there_is(make_recording, points):
    axes = tv.dynamics(make_recording(points=points)).plot(figsize=(12, 7))
    assert axes.shape == (2, 3 if points else 2)
    assert len({ax.get_ylabel() for ax in axes.flat}) == axes.size


@pytest.mark.parametrize("name", ["learnt", "forgetting"])
def test_plots_of_points_need_points(make_recording, name):
    found = tv.dynamics(make_recording(points=False))
    with pytest.raises(tv.RecordingError, match=rf"plot_{name}\(\) shows .*: give data=\(X, y\)"):
        getattr(found, f"plot_{name}")()


def test_what_is_no_axes_is_refused(found):
    with pytest.raises(TypeError, match="ax='left': expected matplotlib Axes"):
        found.plot_churn(ax="left")


# The still.


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_still_is_written_by_its_suffix(found, tmp_path, suffix):
    path = tmp_path / f"still{suffix}"
    found.still(path)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)


def test_a_still_has_the_size_asked_for(found, tmp_path):
    found.still(tmp_path / "still.png", figsize=(6.4, 4.8), dpi=50)
    assert Image.open(tmp_path / "still.png").size == (320, 240)


def test_text_of_a_still_stays_text(found, tmp_path):
    found.still(tmp_path / "still.svg", title="When it was learnt")
    content = (tmp_path / "still.svg").read_text()
    assert "When it was learnt</text>" in content
    assert "class settled at epoch</text>" in content


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("figsize", [None, (6.4, 4.8), (14, 9), (4, 3)])
def test_nothing_of_a_still_is_cut_off_or_overlaps(found, dark, figsize):
    figure = found.still(figsize=figsize, dark=dark, title="A title that is as long as a title is")
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts(figure)]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
    legend = figure.legends[0].get_window_extent()
    assert not figure._suptitle.get_window_extent(renderer).overlaps(legend)
    for ax in figure.axes:
        assert not ax.get_tightbbox(renderer).overlaps(legend)


def test_a_still_marks_the_points_by_what_became_of_them(found):
    legend = found.still().legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    assert np.isnan(found.first_learnt).sum() == 0
    assert found.forgetting.max() == 0
    assert names == ["never forgotten"]


def test_a_still_marks_forgotten_and_never_learnt_points():
    X = np.array([[0.2, 0.2], [0.8, 0.8], [0.5, 0.5]])
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), data=(X, [0, 0, 1]))
    for epoch, row in enumerate([[0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]]):
        recorder.append(np.full((2, 2, 2), 0.5), epoch=epoch, data_predictions=row)
    figure = tv.dynamics(recorder.recording).still()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["never forgotten", "forgotten 1\u00d7", "forgotten 2\u00d7", "never learnt"]
    places = {tuple(point) for marks in figure.axes[0].collections
              for point in np.asarray(marks.get_offsets())}  # fmt: skip
    assert {tuple(point) for point in X} <= places


def test_a_still_marks_the_samples_that_the_plane_goes_through():
    a, b, c = np.zeros((8, 8)), np.eye(8), np.ones((8, 8))
    recorder = tv.Recorder(tv.Domain.through(a, b, c, resolution=20))
    recorder.capture(lambda X: X[:, 0, 0] > 0.5, epoch=0)
    figure = tv.dynamics(recorder.recording).still(dpi=50)
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    assert len(ax.images) == 3  # thumbnails
    np.testing.assert_allclose(ax.get_xlim(), recorder.domain.xlim)
    np.testing.assert_allclose(ax.get_ylim(), recorder.domain.ylim)


def test_a_still_without_data_has_no_legend(make_recording):
    assert tv.dynamics(make_recording(points=False)).still().legends == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "still.jpg"}, "expected one of .png .svg .pdf .pgf"),
        ({"path": "nowhere/still.png"}, "does not exist"),
        ({"figsize": (8,)}, "figsize=(8,): expected (width, height)"),
        ({"dpi": 0}, "dpi=0: expected a positive number"),
        ({"cmap": "virids"}, "did you mean 'viridis'"),
    ],
)
def test_a_still_refuses_what_it_cannot_draw(found, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        found.still(**options)


# The still with curves.


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (60, 2))
    y = (X @ [1, 0.4] > 0).astype(int)
    domain = tv.Domain((-2, 2), (-2, 2), points_per_axis=31)
    recorder = tv.Recorder(domain, data={"train": (X[:40], y[:40]), "test": (X[40:], y[40:])})
    for epoch in FAST:
        edge = 1.5 - 2 * epoch / (epoch + 5)
        recorder.capture(
            lambda X, edge=edge: 1 / (1 + np.exp(-5 * (X @ [1, 0.4] - edge))), epoch=epoch
        )
    return tv.dynamics(recorder.recording)


TITLES = [
    "share of area of each class",
    "boundary length (plane units)",
    "churn (share of area per epoch)",
    "share of data learnt once",
]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("figsize", [None, (7, 4), (6.75, 4.5), (3.35, 5.2), (3.25, 6)])
def test_a_map_and_its_curves_fit_a_page(grouped, dark, figsize):
    figure = grouped.still(curves=True, figsize=figsize, dark=dark, title="A linear model")
    named = [ax.get_title("left") for ax in figure.axes]
    assert [name for name in named if name] == TITLES
    assert figure.get_size_inches()[0] == (figsize or (7,))[0]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for name, box in boxes:
        assert min(box.x0, box.y0) >= 0, name
        assert box.x1 <= figure.bbox.width, name
        assert box.y1 <= figure.bbox.height, name
    for (first, a), (second, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (first, second)
    assert min(text.get_fontsize() for text in texts(figure)) >= 5.6
    legends = [text.get_text() for each in figure.legends for text in each.get_texts()]
    assert {"0", "1", "train", "test", "never forgotten"} <= set(legends)
    beside = (figsize or (7,))[0] > 5
    map_, strip = (ax.get_window_extent() for ax in (figure.axes[0], figure.axes[1]))
    assert strip.x0 > map_.x1 if beside else strip.y1 < map_.y0
    assert map_.width * map_.height > 0.25 * figure.bbox.width * figure.bbox.height


def test_curves_have_the_time_scale_of_the_colours(grouped):
    for scale in ("log", "linear", "quantile"):
        figure = grouped.still(curves=True, scale=scale)
        bar = bar_of(figure)
        (churn,) = (ax for ax in figure.axes if ax.get_title("left").startswith("churn"))
        box = churn.get_window_extent()
        for epoch in (1, 20, 100):
            across = (churn.transData.transform((epoch, 0))[0] - box.x0) / box.width
            assert across == pytest.approx(place_of(epoch, bar), abs=0.01)


def test_without_data_there_is_no_curve_of_what_was_learnt(fast):
    named = [ax.get_title("left") for ax in fast.still(curves=True).axes]
    assert [name for name in named if name] == TITLES[:3]


def test_groups_have_curves_of_their_own(grouped):
    figure = grouped.still(curves=True)
    (learnt,) = (ax for ax in figure.axes if ax.get_title("left") == TITLES[3])
    names = [text.get_text() for text in learnt.get_legend().get_texts()]
    assert names == ["train", "test"]
