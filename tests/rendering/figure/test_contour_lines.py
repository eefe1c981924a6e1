import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import trainviz as tv
from trainviz.modes import Contour, Entropy, Probability, Region
from trainviz.rendering.figure.contour_lines import ContourLines, contour_paths
from trainviz.rendering.figure.parts import Theme

DOMAIN = tv.Domain((-2, 3), (-1, 2), points_per_axis=60)
SMALL = {"figsize": (4, 3), "dpi": 50, "axes": False, "legend": False, "counter": False}


def lines_of(figure):
    """The contour lines of a still, in plane coordinates."""
    return [patch for patch in figure.axes[0].patches if not patch.get_fill()]


def record(predict, **options):
    recorder = tv.Recorder(DOMAIN, **options)
    recorder.capture(predict, epoch=0)
    return recorder.recording


def ring(X):
    """Class 1 lies within the unit circle around (0.5, 0.5)."""
    return 1 / (1 + np.exp(4 * (((X - 0.5) ** 2).sum(axis=1) - 1)))


# Where the lines are.


@given(seed=st.integers(0, 200))
def test_p_one_half_of_a_logistic_model_is_its_line(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(0.5, 1, (60, 2))
    along = X @ rng.normal(size=2)
    model = LogisticRegression().fit(X, along > np.quantile(along, rng.uniform(0.1, 0.9)))
    w, b = model.coef_[0], model.intercept_[0]
    probabilities = tv.evaluate(model.predict_proba, DOMAIN, method="dense")
    x, y = np.linspace(-2, 3, DOMAIN.shape[1]), np.linspace(-1, 2, DOMAIN.shape[0])
    paths = list(contour_paths([Contour(probabilities[1], (0.5,))], x, y))
    corners = np.array([[-2, -1], [3, -1], [-2, 2], [3, 2]]) @ w + b
    # There is a line where the corners of the window lie on both sides of it.
    assert len(paths) == (corners.min() < 0 < corners.max())
    for path in paths:
        away = np.abs(path.vertices @ w + b) / np.linalg.norm(w)
        assert away.max() < 0.002


def test_a_still_shows_the_line_of_a_logistic_model():
    w, b = np.array([2.0, -3.0]), 0.4
    recording = record(lambda X: 1 / (1 + np.exp(-(X @ w + b))), evaluation="dense")
    figure = tv.animate(recording, mode=Probability(levels=(0.5, 0.9)), **SMALL).still()
    offsets = sorted({round(float(np.median(line.get_path().vertices @ w + b)), 1)
                      for line in lines_of(figure)})  # fmt: skip
    assert offsets == [0, pytest.approx(np.log(9), abs=0.1)]


@pytest.mark.parametrize("mode", [Region(outline=True), Probability(1)])
def test_the_border_of_a_disc_is_a_circle(mode):
    figure = tv.animate(record(ring), mode=mode, **SMALL).still()
    vertices = np.concatenate([line.get_path().vertices for line in lines_of(figure)])
    # matplotlib repeats the first vertex, or adds an empty one, to close a line.
    vertices = vertices[np.abs(vertices).sum(axis=1) > 0]
    radii = np.linalg.norm(vertices - 0.5, axis=1)
    assert len(radii) > 50
    assert np.abs(radii - 1).max() < 0.03


def test_a_level_that_is_not_reached_has_no_line():
    recording = record(lambda X: np.full(len(X), 0.2))
    film = tv.animate(recording, mode=Probability(1, levels=(0.5, 0.9)), **SMALL)
    assert lines_of(film.still()) == []
    np.testing.assert_array_equal(
        film[0], tv.animate(recording, mode=Probability(1, levels=()), **SMALL)[0]
    )


def test_the_outline_of_regions_meets_no_third_class(make_recording):
    figure = tv.animate(make_recording(n_classes=3), mode=Region(outline=True), **SMALL).still()
    # Each of the three borders is drawn from both sides, with a rim.
    assert len(lines_of(figure)) == 3 * 2


# Vectors.


@pytest.mark.parametrize("mode", [Probability(1, levels=(0.3, 0.5)), Region(outline=True)])
def test_an_svg_holds_the_lines_as_paths(tmp_path, mode):
    recording = record(ring)
    plain = Region() if isinstance(mode, Region) else Probability(1, levels=())

    def curves(used):
        path = tmp_path / "still.svg"
        tv.animate(recording, mode=used, **SMALL).still(path)
        paths = ET.parse(path).iter("{http://www.w3.org/2000/svg}path")
        return [p for p in paths if len(re.findall(r"[LC]", p.get("d"))) > 40]

    assert len(curves(mode)) == len(curves(plain)) + 2 * 2
    assert all("fill: none" in curve.get("style") for curve in curves(mode))


def test_a_pdf_is_larger_for_its_lines_and_its_picture_is_the_same(tmp_path):
    recording = record(ring)
    sizes = [
        tv.animate(recording, mode=Probability(1, levels=levels), **SMALL)
        .still(tmp_path / f"{len(levels)}.pdf") and (tmp_path / f"{len(levels)}.pdf").stat().st_size
        for levels in ((), (0.5,))
    ]  # fmt: skip
    assert sizes[1] > sizes[0]


def test_a_filmstrip_has_its_lines_too(make_recording):
    figure = tv.animate(make_recording(), mode=Entropy(levels=0.5)).filmstrip()
    panels = [ax for ax in figure.axes if ax.images]
    assert len(panels) == 5
    assert all(any(not patch.get_fill() for patch in ax.patches) for ax in panels)


@pytest.mark.parametrize(("figsize", "side"), [((6, 4), "y"), ((3.25, 3), "x")])
def test_the_colour_bar_marks_the_levels(figsize, side):
    film = tv.animate(record(ring), mode=Probability(1, levels=(0.25, 0.75)), figsize=figsize)
    axes = {getattr(ax, f"get_{side}label")(): ax for ax in film.still().axes}
    lines = axes["probability of 1"].lines
    assert {getattr(line, f"get_{side}data")()[0] for line in lines} >= {0.25, 0.75}


# Films.


@pytest.mark.parametrize("dark", [False, True])
def test_a_film_shows_the_line_where_the_still_has_it(dark):
    recording = record(ring)
    options = {**SMALL, "dark": dark, "dpi": 100}
    lined = tv.animate(recording, mode=Probability(1), **options)
    bare = tv.animate(recording, mode=Probability(1, levels=()), **options)
    changed = np.abs(lined[0].astype(int) - bare[0]).max(axis=-1) > 40
    rows, columns = np.nonzero(changed)
    left, top, width, height = lined._scene._layout.box
    x = -2 + 5 * (columns + 0.5 - left) / width
    y = 2 - 3 * (rows + 0.5 - top) / height
    away = np.abs(np.hypot(x - 0.5, y - 0.5) - 1)
    assert len(rows) > 100
    assert away.max() < 4 * 5 / width


def test_lines_are_anti_aliased():
    picture = np.full((40, 60, 3), 255, dtype=np.uint8)
    rows, columns = np.mgrid[:40, :60]
    ContourLines((40, 60), Theme.of(False), 100).draw(
        picture, [Contour(columns - 0.37 * rows, (20.0,))]
    )
    assert len(np.unique(picture[..., 0])) > 20
    assert picture.min() < 90


@pytest.mark.parametrize("place", [9.5, 10.0, 10.25])
def test_a_line_is_darkest_where_the_level_lies(place):
    picture = np.full((9, 20, 3), 255, dtype=np.uint8)
    ramp = np.tile(np.arange(20.0), (9, 1))
    ContourLines((9, 20), Theme.of(False), 100).draw(picture, [Contour(ramp, (place,))])
    ink = 255 - picture[4, :, 0].astype(float)
    assert (ink * np.arange(20)).sum() / ink.sum() == pytest.approx(place, abs=0.1)
    assert ink.sum() > 100


def test_row_0_is_the_top():
    picture = np.full((20, 9, 3), 255, dtype=np.uint8)
    ramp = np.tile(np.arange(20.0)[:, None], (1, 9))
    ContourLines((20, 9), Theme.of(False), 100).draw(picture, [Contour(ramp, (3.0,))])
    assert picture[:, 4, 0].argmin() == 3


def test_frames_with_lines_do_not_depend_on_one_another(make_recording):
    film = tv.animate(make_recording(), mode=Region(outline=True), interpolate=2, **SMALL)
    frames = list(film)
    for index in (8, 0, 3):
        np.testing.assert_array_equal(film[index], frames[index])


def test_several_processes_draw_the_same_lines(make_recording, tmp_path):
    film = tv.animate(make_recording(), mode=Probability(0), interpolate=3, **SMALL)
    one, two = (film.save(tmp_path / f"{jobs}.gif", jobs=jobs) for jobs in (1, 2))
    assert one.read_bytes() == two.read_bytes()
