"""The plots and the still of the learning dynamics."""

import re

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


def test_the_map_shows_when_classes_were_settled_where_they_are(found):
    ax = found.plot_settled()
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), found.settled)
    assert image.get_clim() == (0, 40)
    x0, x1, y0, y1 = image.get_extent()
    # The outer grid points, and not the edges of their pixels, lie on the window's edge.
    np.testing.assert_allclose(x0 + (x1 - x0) / 16 * (np.arange(16) + 0.5), found.domain.x)
    np.testing.assert_allclose(y0 + (y1 - y0) / 12 * (np.arange(12) + 0.5), found.domain.y)
    assert ax.get_xlim() == (-2, 2)
    assert ax.get_ylim() == (-1.5, 1.5)
    labels = [text.get_text() for text in texts(ax.figure)]
    assert "class settled at epoch" in labels


def test_the_default_colours_get_steadily_lighter(found):
    (image,) = found.plot_settled().images
    colors = image.get_cmap()(np.linspace(0, 1, 32))[:, :3]
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
    assert len(ax.images) == 4  # the map and three thumbnails
    np.testing.assert_allclose(ax.get_xlim(), recorder.domain.xlim)
    np.testing.assert_allclose(ax.get_ylim(), recorder.domain.ylim)


def test_a_still_without_data_has_no_legend(make_recording):
    assert tv.dynamics(make_recording(points=False)).still().legends == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "still.jpg"}, "expected one of .png .svg .pdf"),
        ({"path": "nowhere/still.png"}, "does not exist"),
        ({"figsize": (8,)}, "figsize=(8,): expected (width, height)"),
        ({"dpi": 0}, "dpi=0: expected a positive number"),
        ({"cmap": "virids"}, "did you mean 'viridis'"),
    ],
)
def test_a_still_refuses_what_it_cannot_draw(found, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        found.still(**options)
