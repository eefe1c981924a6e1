"""The numbers along the axes of a picture: whole, apart from one another, and legible."""

from itertools import combinations

import numpy as np
import pytest

import trainviz as tv

WINDOWS = {
    "tiny": ((-1e-5, 1e-5), (0, 2e-5)),
    "narrow": ((5.0, 5.001), (0.1234, 0.1244)),
    "far": ((1e6, 1e6 + 0.001), (123456.0, 123456.001)),
    "thousands": ((-12345, 12345), (-12345, 12345)),
}


def record(window, snapshots=2):
    recorder = tv.Recorder(tv.Domain(*window, points_per_axis=12))
    (x0, x1), _ = window
    for epoch in range(snapshots):
        recorder.capture(lambda X: (X[:, 0] - x0) / (x1 - x0), epoch=epoch, metrics={"loss": 1.0})
    return recorder.recording


def numbers(axis):
    """The tick labels inside the axes, left to right or upwards."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    # There are no labels where another panel has them.
    pairs = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
    return [
        label
        for place, label in pairs
        if low - slack <= place <= high + slack and label.get_visible() and label.get_text()
    ]


def written(figure):
    """What is written beside the axes of a figure, with its place in pixels."""
    figure.canvas.draw()
    texts = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            texts += [*numbers(axis), axis.label]
            texts += [axis.get_offset_text()] if axis.get_offset_text().get_visible() else []
        texts += [ax.title, ax._left_title, ax._right_title]
    return [
        (text.get_text(), text.get_window_extent())
        for text in texts
        if text.get_text().strip() and text.get_alpha() != 0
    ]


PICTURES = {
    "still": lambda run: tv.animate(run, xlabel="width of petals").still(),
    "small still": lambda run: tv.animate(run, figsize=(4, 3), xlabel="width of petals").still(),
    "still of a column": lambda run: tv.animate(run, figsize=(3.25, 2.5), metrics=False).still(),
    "filmstrip": lambda run: tv.animate(run).filmstrip(),
    "panels": lambda run: tv.animate(run).panels(),
    "comparison": lambda run: tv.compare([run] * 3).still(),
    "dynamics": lambda run: tv.dynamics(run).still(),
    "kymograph": lambda run: tv.kymograph(
        run, (run.domain.xlim[0], run.domain.ylim[0]), (run.domain.xlim[1], run.domain.ylim[1])
    ).still(figsize=(3.5, 3)),
}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.slow_after(8)
def test_no_two_texts_lie_over_one_another(window, picture):
    texts = written(PICTURES[picture](record(WINDOWS[window])))
    for (first, a), (second, b) in combinations(texts, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (first, second)


@pytest.mark.parametrize("window", WINDOWS)
def test_each_axis_has_at_least_two_numbers(window):
    run = record(WINDOWS[window])
    for picture in ("still", "small still", "filmstrip", "comparison"):
        figure = PICTURES[picture](run)
        maps = [ax for ax in figure.axes if ax.images]
        assert len(numbers(maps[0].xaxis)) >= 2
        assert len(numbers(maps[0].yaxis)) >= 2


@pytest.mark.parametrize(
    ("xlim", "name", "label", "first"),
    [
        ((0, 1e-5), "width", "width (\N{MULTIPLICATION SIGN}1e\N{MINUS SIGN}5)", "0.0"),
        ((0, 1e-5), None, "\N{MULTIPLICATION SIGN}1e\N{MINUS SIGN}5", "0.0"),
        ((1e6, 1e6 + 1), "width", "width (+1000000)", "0.0"),
        ((123456.0, 123456.5), None, "+123456", "0.0"),
        ((-1e6 - 1, -1e6), "width", "width (\N{MINUS SIGN}1000000)", "\N{MINUS SIGN}1.0"),
        ((0, 3e7), "width", "width (\N{MULTIPLICATION SIGN}1e7)", "0.0"),
        ((5.0, 5.001), "width", "width", "5.0000"),
        ((-2, 2), "width", "width", "\N{MINUS SIGN}2.0"),
    ],
)
def test_what_all_numbers_have_in_common_stands_in_the_label(xlim, name, label, first):
    figure = tv.animate(record((xlim, (0, 1))), xlabel=name, aspect="auto").still()
    axis = figure.axes[0].xaxis
    assert axis.get_label_text() == label
    assert numbers(axis)[0].get_text() == first
    assert not axis.get_offset_text().get_visible()


def test_the_number_and_the_label_give_the_place_of_a_tick():
    figure = tv.animate(record(((123456.0, 123456.5), (0, 0.5)))).still()
    axis = figure.axes[0].xaxis
    offset = float(axis.get_label_text())
    for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True):
        assert offset + float(label.get_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(
            place, abs=1e-6
        )


@pytest.mark.parametrize("snapshots", [2, 3, 5])
def test_epochs_are_whole_numbers_wherever_they_are_counted(snapshots):
    run = record(WINDOWS["thousands"], snapshots)
    strip = tv.animate(run).still().axes[1].xaxis
    kymograph = tv.kymograph(run, (0, 0), (1, 1)).still().axes[0].yaxis
    bar = tv.dynamics(run).still().axes[1].yaxis
    plots = [ax.xaxis for ax in tv.dynamics(run).plot().flat[1:]]
    for axis in (strip, kymograph, bar, *plots):
        places = axis.get_majorticklocs()
        assert len(numbers(axis)) >= 2
        np.testing.assert_array_equal(places, np.round(places))


def test_small_figures_have_no_numbers_on_one_another_beside_the_curves():
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=8))
    for epoch in range(5):
        recorder.capture(lambda X: X[:, 0], epoch=epoch * 250_000, metrics={"loss": 2 - epoch / 5})
    texts = written(tv.animate(recorder.recording, figsize=(3.25, 2.5)).still())
    for (first, a), (second, b) in combinations(texts, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (first, second)
