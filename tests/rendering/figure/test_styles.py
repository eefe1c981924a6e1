"""Presets of sizes, settings of matplotlib, and stills in the caller's own axes."""

import matplotlib.style
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import trainviz as tv


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (60, 2))
    labels = (points @ [1, 2] > 0).astype(int) + (points[:, 0] > 0.5)
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=41, axis_names=("length", "width"))
    recorder = tv.Recorder(
        domain, data=(points, labels), class_names=["setosa", "versicolor", "virginica"]
    )
    for epoch in range(0, 30, 5):
        recorder.capture(
            lambda X, epoch=epoch: _softmax(np.c_[-X[:, 0], X[:, 1], X[:, 0]] * (1 + epoch)),
            epoch=epoch, metrics={"loss": 1 / (1 + epoch)},
        )  # fmt: skip
    return recorder.recording


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def share(figure):
    """Return the share of a figure's area that its first axes have."""
    box = figure.axes[0].get_window_extent()
    return box.width * box.height / (figure.bbox.width * figure.bbox.height)


def draw(figure):
    """Draw a figure of which something has changed since it was drawn."""
    if figure.stale:
        figure.canvas.draw()


def sizes(figure):
    draw(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    return [text.get_fontsize() for text in texts if text.get_visible()]


def cut_off(figure):
    """Return the titles, labels and entries of legends that reach beyond the figure."""
    draw(figure)
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        texts += [ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]
    boxes = [(text, text.get_window_extent()) for text in texts if text.get_text().strip()]
    whole = figure.bbox.padded(1)
    return [text.get_text() for text, box in boxes
            if (box.min < whole.min).any() or (box.max > whole.max).any()]  # fmt: skip


@pytest.mark.parametrize(
    "scene",
    [{"style": "paper"}, {"style": "paper", "title": "Iris"}, {"style": "minimal"},
     {"style": "paper", "mode": "boundary"}, {"column": "single"}, {"figsize": (3.25, 3.25)},
     {"figsize": (3.25, 3.6), "title": "Iris"}],
)  # fmt: skip
def test_the_map_has_most_of_a_column(recording, scene):
    figure = tv.animate(recording, **scene).still()
    assert figure.get_size_inches()[0] == pytest.approx(3.25, abs=1e-9)
    assert share(figure) >= 0.6
    assert min(sizes(figure)) >= 6
    assert not cut_off(figure)


@pytest.mark.parametrize(
    ("style", "column"),
    [("paper", "single"), ("paper", "double"), ("slides", "single"), ("poster", "single"),
     ("notebook", "single"), ("minimal", "single")],
)  # fmt: skip
@pytest.mark.slow_after(3)
def test_every_picture_follows_a_style(recording, style, column):
    film = tv.animate(recording, style=style, column=column, title="Iris")
    wide = film.still().get_size_inches()[0]
    look = {"style": style, "column": column}
    figures = [
        film.filmstrip(), film.panels(), tv.compare([recording, recording], **look).still(),
        tv.dynamics(recording).still(**look),
        tv.kymograph(recording, (-1, 0), (1, 0)).still(**look),
    ]  # fmt: skip
    for figure in figures:
        assert figure.get_size_inches()[0] == pytest.approx(wide, abs=1e-9)
        assert min(sizes(figure)) >= 6
        assert not cut_off(figure)


def test_type_lines_and_points_follow_the_style(recording):
    small, large = (tv.animate(recording, style=style).still() for style in ("paper", "slides"))
    for pick in (
        lambda figure: figure.axes[0].xaxis.label.get_fontsize(),
        lambda figure: figure.axes[0].spines["left"].get_linewidth(),
        lambda figure: figure.legends[0].get_texts()[0].get_fontsize(),
        lambda figure: figure.axes[0].collections[0].get_sizes()[0],
    ):
        assert pick(small) < 0.6 * pick(large)


def test_a_still_may_have_another_style_than_its_film(recording):
    film = tv.animate(recording, title="Iris")
    shape = film.shape
    assert film.still(style="paper").get_size_inches()[0] == pytest.approx(3.25, abs=1e-9)
    assert film.filmstrip(style="paper").get_size_inches()[0] == pytest.approx(6.75, abs=1e-9)
    assert film.shape == shape


def test_a_comparisons_still_may_have_another_style_than_its_film(recording):
    runs = [recording, recording]
    film, wanted = tv.compare(runs), tv.compare(runs, style="paper", column="double").still()
    shape, still = film.shape, film.still(style="paper", column="double")
    wanted.canvas.draw()
    still.canvas.draw()
    np.testing.assert_array_equal(still.canvas.buffer_rgba(), wanted.canvas.buffer_rgba())
    assert film.shape == shape


def test_a_filmstrip_fills_its_rows(recording):
    film = tv.animate(recording)
    assert len(film.filmstrip().axes) == 5
    assert len(film.filmstrip(columns=3).axes) == 6  # one of them hidden
    narrow = film.filmstrip(style="paper", column="single")
    assert len({round(ax.get_position().x0, 2) for ax in narrow.axes}) == 2
    assert len(narrow.axes) == 4


def test_what_is_given_goes_before_the_style(recording):
    figure = tv.animate(recording, style="minimal", axes=True, metrics=True, dpi=80).still()
    assert figure.axes[0].get_xlabel() == "length"
    assert len(figure.axes) == 2
    assert figure.dpi == 80


def test_a_film_in_a_style_has_frames_like_its_still(recording, tmp_path):
    film = tv.animate(recording, style="paper", dpi=80)
    still = film.still()
    still.canvas.draw()
    assert film.shape == np.asarray(still.canvas.buffer_rgba()).shape[:2]
    frame = film[len(film) - 1].astype(int)
    differing = np.abs(frame - np.asarray(still.canvas.buffer_rgba())[..., :3]).max(axis=2) > 60
    assert differing.mean() < 0.02
    assert film.save(tmp_path / "film.gif").exists()


@pytest.mark.parametrize("draw", ["animate", "still", "filmstrip", "panels", "compare", "compared",
                                  "dynamics", "plot", "kymograph"])  # fmt: skip
def test_an_unknown_style_is_refused_with_a_list_of_those_there_are(recording, draw):
    film = tv.animate(recording)
    call = {
        "animate": lambda **look: tv.animate(recording, **look), "still": film.still,
        "filmstrip": film.filmstrip, "panels": film.panels,
        "compare": lambda **look: tv.compare([recording, recording], **look),
        "compared": tv.compare([recording, recording]).still,
        "dynamics": tv.dynamics(recording).still, "plot": tv.dynamics(recording).plot,
        "kymograph": tv.kymograph(recording, (-1, 0), (1, 0)).still,
    }[draw]  # fmt: skip
    names = "'paper', 'slides', 'poster', 'notebook' or 'minimal'"
    with pytest.raises(ValueError, match=f"style='journal': expected {names}"):
        call(style="journal")
    with pytest.raises(ValueError, match="column='triple': expected 'single' or 'double'"):
        call(column="triple")


def test_settings_of_matplotlib_are_honoured(recording):
    settings = {
        "font.size": 8, "axes.labelsize": 13, "axes.linewidth": 2.5, "figure.facecolor": "#fff8e0",
        "text.color": "#330000", "legend.fontsize": "large",
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        figure = tv.animate(recording).still()
        paper = tv.animate(recording, style="paper").still()
    for found in (figure, paper):
        assert found.axes[0].xaxis.label.get_fontsize() == 13
        assert found.axes[0].spines["left"].get_linewidth() == 2.5
        assert matplotlib.colors.to_hex(found.get_facecolor()) == "#fff8e0"
        assert found.legends[0].get_texts()[0].get_fontsize() == pytest.approx(9.6)
        color = found.legends[0].get_texts()[0].get_color()
        assert matplotlib.colors.to_hex(color) == "#330000"
    assert figure.axes[0].get_xticklabels()[0].get_fontsize() == 8


def test_a_dark_style_sheet_makes_a_dark_film_without_grid_lines(recording):
    with matplotlib.style.context(["dark_background", {"axes.grid": True}]):
        film = tv.animate(recording)
        corner = film[0][2, 2]
        figure = film.still()
        line = tv.kymograph(recording, (-1, 0), (1, 0)).still()
    assert corner.tolist() == [0, 0, 0]
    assert figure.get_facecolor()[:3] == (0, 0, 0)
    for ax in (figure.axes[0], line.axes[0]):
        ax.figure.canvas.draw()
        assert not any(tick.gridline.get_visible() for tick in ax.xaxis.get_major_ticks())
    assert tv.animate(recording)[0][2, 2].tolist() == [255, 255, 255]


def test_text_stays_text_in_a_pdf_of_a_style(recording, tmp_path):
    tv.animate(recording, style="paper").still(tmp_path / "still.pdf")
    content = (tmp_path / "still.pdf").read_bytes()
    assert b"/Type0" in content
    assert b"/Type3" not in content


def test_a_still_is_drawn_into_own_axes(recording):
    figure = Figure((8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_title("mine $a$")
    display = tv.animate(recording).still(ax=left)
    assert isinstance(display, tv.StillDisplay)
    assert (display.ax_, display.figure_) == (left, figure)
    assert (left.get_title(), left.get_xlabel(), left.get_xlim()) == ("mine $a$", "length", (-1, 1))
    assert display.image_ in left.images
    assert display.points_[0] in left.collections
    assert len(display.wrong_) >= 1
    assert display.labels_ == ["setosa", "versicolor", "virginica", "misclassified"]
    assert display.mappable_ is None
    legend = left.legend(display.handles_, display.labels_, **display.legend_)
    assert len(legend.get_texts()) == 4
    assert not right.has_data()
    assert not figure.legends
    figure.canvas.draw()


def test_a_still_of_a_quantity_in_own_axes_brings_its_scale(recording):
    figure = Figure()
    ax = figure.subplots()
    display = tv.animate(recording, mode="boundary", title="$5").still(ax=ax, epoch=10)
    assert ax.get_title() == "$5"
    bar = figure.colorbar(display.mappable_, ax=ax)
    assert bar.vmin == pytest.approx(1 / 3)
    contoured = tv.animate(recording, mode=tv.modes.Probability("setosa", levels=0.5))
    assert contoured.still(ax=Figure().subplots()).contours_
    with pytest.raises(TypeError, match="ax=3: expected matplotlib Axes"):
        tv.animate(recording).still(ax=3)


def test_dynamics_and_kymographs_are_drawn_into_own_axes(recording):
    figure = Figure((12, 6), layout="constrained")
    axes = figure.subplots(2, 4)
    found = tv.dynamics(recording)
    assert (found.plot(ax=axes[:, :3]) == axes[:, :3]).all()
    assert axes[0, 1].get_ylabel() == "share of area"
    inner = found.plot(ax=axes[0, 3])
    assert inner.shape == (2, 3)
    assert {ax.figure for ax in inner.flat} == {figure}
    assert tv.kymograph(recording, (-1, 0), (1, 0)).still(ax=axes[1, 3]) is figure
    assert axes[1, 3].get_ylabel() == "epoch"
    with pytest.raises(ValueError, match="6, one for each panel, but got 4"):
        found.plot(ax=axes[:, :2])


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.default_rng(0)
    data = {}
    for name, count in (("train", 60), ("test", 30)):
        points = rng.uniform(-1, 1, (count, 2))
        data[name] = points, (points[:, 0] > 0).astype(int)
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=41), data=data)
    for epoch in range(0, 30, 5):
        recorder.capture(
            lambda X, epoch=epoch: _softmax(np.c_[-X[:, 0], X[:, 0]] * (1 + epoch)),
            epoch=epoch, metrics={"$5 loss": 1 / (1 + epoch), tv.math(r"\alpha loss"): 0.5},
        )  # fmt: skip
    return recorder.recording


@pytest.mark.parametrize("style", ["paper", pytest.param("slides", marks=pytest.mark.slow)])
def test_groups_highlights_and_curves_have_the_sizes_of_a_style(grouped, style):
    scene = {"style": style, "metrics": True, "highlight": {"test": [0], "train": {3: "$5-$10"}}}
    pair = tv.compare([grouped, grouped], **scene)
    for figure in (tv.animate(grouped, **scene).still(), pair.still()):
        assert min(sizes(figure)) >= 6
        entries = [text.get_text() for text in figure.legends[0].get_texts()]
        assert {"train", "test", "misclassified"} <= {*entries}
        labels = [text for text in figure.axes[0].texts if text.get_text() == "$5-$10"]
        assert [text.get_parse_math() for text in labels] == [False]
        assert labels[0].get_fontsize() == figure.axes[0].get_xticklabels()[0].get_fontsize()


def test_what_names_the_curves_of_a_column_does_not_meet_the_map(grouped):
    figure = tv.animate(grouped, style="paper", metrics=True).still()
    figure.canvas.draw()
    ax, *strip = figure.axes
    legends = [each.get_legend() for each in strip if each.get_legend() is not None]
    names = [*legends, *(text for each in strip for text in each.texts)]
    assert names
    for name in names:
        assert name.get_window_extent().y1 < ax.get_tightbbox().y0


def test_the_names_of_curves_are_plain_but_for_math(grouped):
    figure = tv.animate(grouped, figsize=(8, 7)).still()
    texts = [text for ax in figure.axes[1:] for text in ax.texts]
    texts += [text for ax in figure.axes[1:] if ax.get_legend() for text in ax.get_legend().texts]
    math = {text.get_text().strip("\u2061"): text.get_parse_math() for text in texts}
    assert math["$5 loss"] is False
    assert math[r"$\alpha loss$"] is True


@pytest.fixture(scope="module")
def eleven():
    """Eleven classes, and data in two groups."""
    rng = np.random.default_rng(1)
    points, labels = rng.uniform(-1, 1, (110, 2)), np.arange(110) % 11
    recorder = tv.Recorder(
        tv.Domain((-1, 1), (-1, 1), points_per_axis=21),
        data={"train": (points[:60], labels[:60]), "test": (points[60:], labels[60:])},
    )
    recorder.capture(
        lambda X: _softmax(X @ rng.normal(size=(2, 11))), epoch=0, metrics={"loss": 1.0}
    )
    return recorder.recording


@pytest.mark.parametrize("style", ["paper", "slides"])
def test_a_legend_below_the_map_reads_row_by_row_and_ends_with_the_groups(eleven, style):
    figure = tv.animate(eleven, style=style).still()
    figure.canvas.draw()
    texts = [text for text in figure.legends[0].get_texts() if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    rows = [-round(box.y0 / box.height) for box in boxes]
    read = [texts[n].get_text() for n in np.lexsort([[box.x0 for box in boxes], rows])]
    assert len(set(rows)) > 1
    assert read == [*map(str, range(11)), "train", "test", "misclassified"]


@pytest.mark.parametrize("column", ["single", "double"])
@pytest.mark.parametrize("strip", [False, True])
def test_a_slide_is_never_higher_than_a_slide(eleven, column, strip):
    figure = tv.animate(eleven, style="slides", column=column, title="A", metrics=strip).still()
    assert figure.get_size_inches()[1] <= 7.5
    assert not cut_off(figure)


def test_a_colour_bar_stands_beside_its_map_not_beyond_the_numbers_of_the_strip(eleven):
    figure = tv.animate(eleven, mode="boundary", metrics=["loss", "train accuracy"]).still()
    bar = next(ax for ax in figure.axes if ax.get_ylabel() == "highest class probability")
    gap = bar.get_window_extent().x0 - figure.axes[0].get_window_extent().x1
    assert 0 < gap < 0.25 * figure.dpi
    assert not cut_off(figure)


def test_points_have_the_smaller_halos_the_more_of_a_map_they_cover(eleven):
    def halo(recording):
        halos, points = tv.animate(recording, metrics=False).still().axes[0].collections[:2]
        return (halos.get_sizes()[0] / points.get_sizes()[0]) ** 0.5

    rng = np.random.default_rng(2)
    recorder = tv.Recorder(eleven.domain, data=(rng.uniform(-1, 1, (800, 2)), np.arange(800) % 2))
    recorder.capture(lambda X: _softmax(X), epoch=0)
    few = tv.Recorder(eleven.domain, data=(rng.uniform(-1, 1, (20, 2)), np.arange(20) % 2))
    few.capture(lambda X: _softmax(X), epoch=0)
    assert halo(few.recording) < 1.5
    assert halo(recorder.recording) - 1 < 0.7 * (halo(few.recording) - 1)
