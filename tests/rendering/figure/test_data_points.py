"""Data points over a map: groups, samples, highlights, and the marks of errors."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from trainviz import Domain, Recorder, animate, compare
from trainviz.rendering.figure.data_points import marker_of

DOMAIN = Domain((-1, 1), (-1, 1), shape=(20, 20))
SIZE = {"figsize": (6, 5), "dpi": 60, "metrics": False}


def recorded(data, epochs=2, **options):
    """Record a model that predicts class 1 on the left at first, then on the right."""
    recorder = Recorder(DOMAIN, data=data, **options)
    for epoch in range(epochs):
        sign = 1 if epoch else -1
        recorder.capture(lambda X, sign=sign: 1 / (1 + np.exp(-9 * sign * X[:, 0])), epoch=epoch)
    return recorder.recording


def points_of(count, seed=0):
    X = np.random.default_rng(seed).uniform(-0.9, 0.9, (count, 2))
    return X, (X[:, 0] > 0).astype(int)


def groups_of(**counts):
    return {name: points_of(count, seed) for seed, (name, count) in enumerate(counts.items())}


def figure_of(recording, epoch=-1, **options):
    figure = animate(recording, **{**SIZE, **options}).still(epoch=epoch)
    figure.canvas.draw()
    return figure


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def drawn(figure):
    """Return every place at which a marker is drawn."""
    found = [c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets())]
    return {tuple(place) for offsets in found for place in np.round(offsets, 6).tolist()}


def test_every_group_has_a_marker_of_its_own_and_the_legend_explains_it():
    recording = recorded(groups_of(train=5, test=4, later=3))
    figure = figure_of(recording)
    assert legend_of(figure) == ["0", "1", "train", "test", "later", "misclassified"]
    marks = [
        (handle.get_marker(), handle.get_markerfacecolor() == handle.get_color())
        for handle in figure.legends[0].legend_handles[2:5]
    ]
    assert marks == [("o", True), ("o", False), ("^", True)]
    shapes = [c.get_paths()[0].vertices.shape for c in figure.axes[0].collections]
    counts = [len(c.get_offsets()) for c in figure.axes[0].collections]
    # A disc has its halo below, a hollow one an outline as well.
    assert counts[:7] == [5, 5, 4, 4, 4, 3, 3]
    assert shapes[0] == shapes[2] != shapes[5]


def test_no_two_of_fourteen_groups_look_alike():
    assert len({marker_of(group) for group in range(14)}) == 14


def test_names_of_many_groups_leave_room_for_the_classes():
    figure = figure_of(recorded(groups_of(**{f"site {k}": 2 for k in range(20)})))
    assert "and 13 more groups" in legend_of(figure)
    assert legend_of(figure)[:2] == ["0", "1"]


def test_of_many_points_a_sample_is_drawn_which_the_legend_tells():
    X, y = points_of(3000)
    y[:30] = 1 - y[:30]
    recording = recorded({"train": (X, y), "test": points_of(40, 1)})
    figure = figure_of(recording, max_points=500)
    assert "500 of 3,040 points" in legend_of(figure)
    assert len(drawn(figure)) == 500
    assert drawn(figure) == drawn(figure_of(recording, max_points=500))
    assert not any("points" in text for text in legend_of(figure_of(recording, max_points=None)))
    assert "2,000 of 3,040 points" in legend_of(figure_of(recording))


def test_a_sample_has_a_share_of_every_class_and_group():
    X, y = points_of(2000)
    rare = np.array([[0.95, 0.95]])
    recording = recorded({"train": (X, y), "rare": (rare, [0])})
    figure = figure_of(recording, max_points=100, errors=None)
    assert (0.95, 0.95) in drawn(figure)
    right = sum(x > 0 for x, _ in drawn(figure))
    assert abs(right - 100 * y.mean()) <= 2


def test_of_the_sample_alone_the_errors_are_marked():
    recording = recorded(points_of(3000))
    figure = figure_of(recording, epoch=0, max_points=50)
    assert len(figure.axes[0].collections[-1].get_offsets()) == 50


@pytest.mark.parametrize("highlight", [
    [1, 3], np.array([False, True, False, True, False]), {1: "1", 3: "3"}, [-4, -2],
])  # fmt: skip
def test_highlighted_points_are_labelled(highlight):
    figure = figure_of(recorded(points_of(5)), highlight=highlight)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "3"]


def test_highlights_of_a_group_count_in_it_and_have_labels_of_their_own():
    recording = recorded(groups_of(train=3, test=4))
    highlight = {"train": [0], "test": {2: "the outlier"}}
    figure = figure_of(recording, highlight=highlight)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "the outlier"]
    rings = [c for c in figure.axes[0].collections if c.get_zorder() == 7]
    for ring in rings:
        np.testing.assert_array_equal(ring.get_offsets(), recording.data.points[[0, 5]])


def test_highlighted_points_are_in_every_sample():
    recording = recorded(points_of(3000))
    figure = figure_of(recording, max_points=10, highlight=[7, 8])
    places = {tuple(np.round(recording.data.points[index], 6)) for index in (7, 8)}
    assert places < drawn(figure)
    assert len(drawn(figure)) == 10


def test_a_mask_of_many_points_has_rings_alone():
    figure = figure_of(recorded(points_of(60)), highlight=np.arange(60) < 50)
    rings = [c for c in figure.axes[0].collections if c.get_zorder() == 7]
    assert [len(ring.get_offsets()) for ring in rings] == [50, 50]
    assert len(figure.axes[0].texts) == 0


def test_labels_stay_in_the_map_and_apart():
    corners = np.array([[0.97, 0.97], [0.97, 0.93], [-0.97, -0.97], [-0.97, 0.97]])
    figure = figure_of(
        recorded((corners, [1, 1, 0, 0])), highlight={k: f"label {k}" for k in range(4)}
    )
    box = figure.axes[0].get_window_extent()
    # Without the lines that lead to their points.
    places = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    for place in places:
        assert place.x0 > box.x0 - 2
        assert place.x1 < box.x1 + 2
    assert not places[0].overlaps(places[1])


@pytest.mark.parametrize(
    ("highlight", "error", "message"),
    [
        ([5], ValueError, "there is no point 5 among 5; expected indices"),
        ([True], ValueError, "the mask has 1 entries for 5 points"),
        ([0.5], TypeError, "expected indices of points, a mask"),
        (3, TypeError, "expected indices of points, a mask"),
        ({"test": [0]}, ValueError, r"no group 'test'; its groups are none: data=\(X, y\)"),
    ],
)
def test_what_is_no_highlight(highlight, error, message):
    with pytest.raises(error, match=message):
        animate(recorded(points_of(5)), highlight=highlight)


def test_a_recording_without_data_has_nothing_to_highlight():
    with pytest.raises(ValueError, match="the recording has no data; give data="):
        animate(recorded(None), highlight=[0])


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ({"errors": "x"}, ValueError, "errors='x': expected 'ring', 'cross', 'fade' or None"),
        ({"max_points": 0}, ValueError, "max_points=0: expected at least 1, or points=False"),
        ({"max_points": 2.5}, TypeError, "max_points=2.5: expected a whole number, or None"),
    ],
)
def test_options_of_points_that_are_none(option, error, message):
    with pytest.raises(error, match=message):
        animate(recorded(points_of(5)), **option)


def test_errors_are_crossed_faded_or_left_alone():
    recording = recorded(points_of(40))
    crossed = figure_of(recording, epoch=0, errors="cross")
    assert "misclassified" in legend_of(crossed)
    assert len(crossed.axes[0].collections[-1].get_offsets()) == 40
    assert "misclassified" not in legend_of(figure_of(recording, errors=None))
    faded = figure_of(recording, errors="fade")
    assert "correctly classified" in legend_of(faded)
    assert faded.axes[0].collections[1].get_facecolors()[:, 3].max() < 0.3
    in_full = figure_of(recording, epoch=0, errors="fade")
    assert in_full.axes[0].collections[1].get_facecolors()[:, 3].min() == 1


@pytest.mark.parametrize("errors", ["ring", "cross", "fade"])
def test_films_and_comparisons_mark_errors_as_stills_do(errors):
    recording = recorded(groups_of(train=8, test=8), epochs=2)
    film = animate(recording, errors=errors, **SIZE)
    both = compare([recording, recording], errors=errors, **SIZE)
    for source in (film, both):
        for epoch, frame in enumerate((source[0], source[-1])):
            still = source.still(epoch=epoch)
            still.canvas.draw()
            expected = np.array(still.canvas.buffer_rgba())[..., :3].astype(int)
            top, left = slice(60, -60), slice(60, 220)
            assert np.abs(expected[top, left] - frame[top, left]).mean() < 1.5
    assert (film[0] != animate(recording, errors=None, **SIZE)[0]).any()


def share_of_ink(frame, ink):
    near = np.abs(frame.astype(int) - np.array(to_rgb(ink)) * 255).max(axis=-1) < 60
    return near[40:-40, 60:240].mean()


def test_rings_do_not_bury_the_map_where_most_points_are_wrong():
    recording = recorded(points_of(2000))
    film = animate(recording, **SIZE)
    bare = animate(recording, errors=None, **SIZE)
    assert share_of_ink(film[0], "#222222") < share_of_ink(bare[0], "#222222") + 0.05
    few = recorded(points_of(20))
    assert share_of_ink(animate(few, **SIZE)[0], "#222222") > 2 * share_of_ink(
        animate(few, errors=None, **SIZE)[0], "#222222"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_points_stand_out_from_their_own_region(dark):
    X = np.array([[-0.5, 0.0], [0.5, 0.0]])
    recorder = Recorder(DOMAIN, data=(X, [0, 1]))
    recorder.capture(lambda X: 1 / (1 + np.exp(-50 * X[:, 0])), epoch=0)
    for palette in (["#F0E442", "#882255"], ["#0072B2", "#E69F00"]):
        options = {**SIZE, "palette": palette, "dark": dark, "dpi": 100}
        film = animate(recorder.recording, **options)
        figure = film.still()
        figure.canvas.draw()
        for point in X:
            x, y = figure.axes[0].transData.transform(point)
            row, column = int(figure.bbox.height - y), int(x)
            patch = film[0][row - 8 : row + 9, column - 8 : column + 9].astype(int)
            ground = patch[0, 0]
            assert np.abs(patch - ground).sum(axis=-1).max() > 200
