"""Each mode against a direct computation, through films as users make them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainviz as tv
from trainviz.modes import (
    MODES,
    Change,
    Difference,
    Entropy,
    Margin,
    Mode,
    Probability,
    Region,
    Values,
    find_mode,
)

BARE = {
    "figsize": (1.4, 1.2), "dpi": 50, "axes": False, "legend": False, "metrics": False,
    "points": False, "counter": False,
}  # fmt: skip
DOMAIN = tv.Domain((-1, 1), (-1, 1), shape=(12, 15))


def some_probabilities(seed, n_classes):
    raw = np.random.default_rng(seed).dirichlet([0.3] * n_classes, (4, 5))
    return raw.transpose(2, 0, 1).astype(np.float32)


def bound(mode, n_classes=3, **options):
    return find_mode(mode).bound(n_classes, tv.Palette.of(n_classes, cmap="gray"), **options)


def record(maps, domain=DOMAIN, epochs=None, **options):
    recorder = tv.Recorder(domain, **options)
    for epoch, values in zip(epochs or range(len(maps)), maps, strict=False):
        recorder.append(values, epoch=epoch)
    return recorder.recording


def flat(*shares, domain=DOMAIN):
    """A map that is the same everywhere."""
    return np.broadcast_to(np.float32(shares)[:, None, None], (len(shares), *domain.shape))


def level_shown(film, index):
    """The colour bar's share that a frame of a flat map in grey shows."""
    frame = film[index]
    height, width = frame.shape[:2]
    return frame[height // 2, width // 2, 0] / 255


# One quantity each.


@given(seed=st.integers(0, 100), n_classes=st.integers(2, 9))
def test_entropy_is_shannons_normalised(seed, n_classes):
    p = some_probabilities(seed, n_classes).astype(float)
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0)
    values = bound(Entropy, n_classes).values(p.astype(np.float32))
    assert np.allclose(values, -terms.sum(axis=0) / np.log(n_classes), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_entropy_is_0_where_a_class_is_certain_and_1_where_none_is(n_classes):
    certain = np.eye(n_classes, dtype=np.float32)[:, :, None]
    assert np.abs(bound(Entropy, n_classes).values(certain)).max() < 1e-6
    even = np.full((n_classes, 1, 1), 1 / n_classes, dtype=np.float32)
    assert bound(Entropy, n_classes).values(even) == pytest.approx(1, abs=1e-6)


@given(seed=st.integers(0, 100), n_classes=st.integers(2, 9))
def test_margin_is_the_lead_of_the_first_class_over_the_second(seed, n_classes):
    p = some_probabilities(seed, n_classes)
    ordered = np.sort(p, axis=0)
    np.testing.assert_array_equal(bound(Margin, n_classes).values(p), ordered[-1] - ordered[-2])


@given(seed=st.integers(0, 100), n_classes=st.integers(2, 9))
def test_change_and_difference_are_total_variation(seed, n_classes):
    p, q = some_probabilities(seed, n_classes), some_probabilities(seed + 1, n_classes)
    values = bound(Change, n_classes).values(p, q)
    assert np.allclose(values, np.abs(p.astype(float) - q).sum(axis=0) / 2, atol=1e-6)
    # Half the sum of differences is the highest difference that any set of classes has.
    assert np.allclose(values, np.maximum(p - q, 0).sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("mode", ["boundary", "entropy", "margin", "probability", "change"])
def test_no_mode_changes_the_map_that_it_paints(make_recording, mode):
    recording = make_recording(n_classes=2)
    before = [snapshot.probabilities.copy() for snapshot in recording]
    assert len(list(tv.animate(recording, mode=mode, interpolate=2, **BARE))) == 9
    for values, snapshot in zip(before, recording, strict=True):
        np.testing.assert_array_equal(values, snapshot.probabilities)


@pytest.mark.parametrize("mode", [name for name in MODES if name not in ("difference", "values")])
@pytest.mark.slow_after(2)
def test_every_mode_has_a_film_a_gif_and_a_still_by_its_name(make_recording, tmp_path, mode):
    recording = make_recording(n_classes=2)
    film = tv.animate(recording, mode=mode, interpolate=2, figsize=(4, 3), dpi=50)
    assert film.save(tmp_path / "film.gif").stat().st_size > 0
    figure = film.still(tmp_path / "still.svg")
    explained = {ax.get_ylabel().replace("\n", " ") for ax in figure.axes}
    assert MODES[mode].guide == "classes" or film._mode.label in explained


# A class.


@pytest.mark.parametrize(("of", "index"), [("birch", 1), (2, 2), (np.int64(0), 0), ("ash", 0)])
def test_a_class_is_given_by_its_name_or_its_column(recording, of, index):
    mode = bound(Probability(of), recording=recording)
    p = some_probabilities(0, 3)
    np.testing.assert_array_equal(mode.values(p), p[index])
    assert mode.label == f"probability of {recording.class_names[index]}"


def test_a_number_is_a_label_before_it_is_a_column(make_recording):
    recording = make_recording(labels=[2, 30, 10])
    assert bound(Probability(2), recording=recording).index == 0


@pytest.mark.parametrize("of", ["elm", 3, -1, 1.5, True, None])
def test_an_unknown_class_is_told_with_the_known_ones(recording, of):
    with pytest.raises(ValueError, match=r"Probability\(.*'ash', 'birch', 'cedar'.*0 to 2"):
        tv.animate(recording, mode=Probability(of))


def test_a_binary_model_has_a_class_to_show(make_recording):
    recording = make_recording(n_classes=2)
    assert bound("probability", 2, recording=recording).index == 1


# Two maps.


def test_change_is_measured_from_the_snapshot_before():
    recording = record([flat(1, 0), flat(0.8, 0.2), flat(0.1, 0.9)])
    film = tv.animate(recording, mode="change", cmap="gray", interpolate=2, **BARE)
    seen = [level_shown(film, index) for index in range(5)]
    # Between snapshots: from the moment one snapshot earlier.
    halfway = 0.55 - 0.1
    assert seen == pytest.approx([0, 0.1, 0.2, halfway, 0.7], abs=0.003)
    # Frames do not depend on those that were made before them.
    assert [level_shown(film, index) for index in (3, 0, 4)] == [seen[3], seen[0], seen[4]]


def test_change_reads_each_snapshot_once(make_recording):
    recording, reads = make_recording(snapshots=8), []
    read = recording._store.read
    recording._store.read = lambda index: reads.append(index) or read(index)
    film = tv.animate(recording, mode="change", interpolate=3, interpolation="smooth", **BARE)
    film.shape, film[0]
    reads.clear()
    try:
        assert len(list(film)) == 22
    finally:
        del recording._store.read
    assert sorted(reads) == list(range(8))


def test_difference_of_a_class_is_signed_and_of_all_is_a_distance():
    ours, theirs = record([flat(0.9, 0.1)]), record([flat(0.5, 0.5)])
    assert level_shown(
        tv.animate(ours, mode=Difference(theirs), cmap="gray", **BARE), 0
    ) == pytest.approx(0.4, abs=0.003)
    signed = tv.animate(ours, mode=Difference(theirs, of=1), cmap="gray", **BARE)
    assert signed._mode.limits == (-1, 1)
    assert level_shown(signed, 0) == pytest.approx((1 - 0.4) / 2, abs=0.003)


def test_difference_compares_the_same_epochs():
    ours = record([flat(1, 0)] * 4, epochs=[0, 5, 10, 20])
    theirs = record([flat(1, 0), flat(0, 1)], epochs=[0, 10])
    film = tv.animate(ours, mode=Difference(theirs), cmap="gray", interpolate=2, **BARE)
    seen = [level_shown(film, index) for index in range(7)]
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1], abs=0.003)


def test_a_recording_does_not_differ_from_itself(recording):
    film = tv.animate(recording, mode=Difference(recording), cmap="gray", interpolate=3, **BARE)
    assert [level_shown(film, index) for index in range(len(film))] == [0] * len(film)


def test_recordings_that_cannot_be_compared_are_refused(make_recording):
    ours = make_recording()
    elsewhere = make_recording(domain=tv.Domain((-2, 2), (-1.5, 1.5), shape=(12, 17)))
    with pytest.raises(ValueError, match=r"Difference.*was recorded on.*the same domain"):
        tv.animate(ours, mode=Difference(elsewhere))
    with pytest.raises(ValueError, match=r"Difference.*has 4 classes, and the recording has 3"):
        tv.animate(ours, mode=Difference(make_recording(n_classes=4)))
    with pytest.raises(ValueError, match=r"mode='difference' needs .*Difference\(other\)"):
        tv.animate(ours, mode="difference")
    with pytest.raises(TypeError, match=r"Difference\(Recorder\): expected the Recording"):
        Difference(tv.Recorder(DOMAIN))
    empty = tv.Recorder(DOMAIN).recording
    with pytest.raises(tv.RecordingError, match="empty"):
        tv.animate(ours, mode=Difference(empty))


# More classes than colours.


def many_classes(n_classes=300):
    """Class 7 has most of the area, then 100; 299 has a corner."""
    values = np.full((n_classes, *DOMAIN.shape), 0.1 / n_classes, dtype=np.float32)
    values[7, :6] += 0.9
    values[100, 6:11] += 0.9
    values[299, 11:] += 0.9
    return values


def test_too_many_classes_are_told_with_a_way_out():
    with pytest.raises(ValueError, match=r"300 classes: at most 256 .*Region\(top_k=12\)"):
        tv.animate(record([many_classes()]))


def test_the_most_common_classes_have_colours_and_the_rest_is_grey():
    recording = record([many_classes()], data=(np.array([[0, -0.5], [0, 0.95]]), [7, 299]))
    film = tv.animate(recording, mode=Region(top_k=2), shade=False, figsize=(4, 3))
    names = [text.get_text() for text in film.still().legends[0].get_texts()]
    assert names == ["7", "100", "298 others", "misclassified"]
    colors = tv.animate(recording, mode=Region(top_k=2), shade=False, **BARE)[0]
    shown = {tuple(color) for color in colors[:, colors.shape[1] // 2]}
    first, second = (tuple(color) for color in tv.Palette.of(2).classes)
    assert {first, second, (128, 128, 128)} <= shown
    points = film._mode.point_colors(recording)
    np.testing.assert_array_equal(points, [first, (128, 128, 128)])


def test_a_group_wins_where_one_of_its_classes_does_not_where_their_sum_would():
    p = np.float32([0.4, 0.3, 0.3])[:, None, None] * np.ones((1, 3, 3), dtype=np.float32)
    recording = record([flat(0.4, 0.3, 0.3)])
    mode = find_mode(Region(top_k=1)).bound(3, tv.Palette.of(1), shade=False, recording=recording)
    assert (mode.paint(p) == tv.Palette.of(1).classes[0]).all()


def test_grouping_fewer_classes_than_there_are_changes_nothing(make_recording):
    recording = make_recording(n_classes=3)
    np.testing.assert_array_equal(
        tv.animate(recording, mode=Region(top_k=5), **BARE)[2], tv.animate(recording, **BARE)[2]
    )


@pytest.mark.parametrize("top_k", [0, 256, 2.5, "3"])
def test_a_wrong_number_of_classes_to_keep_is_refused(top_k):
    with pytest.raises(ValueError, match=r"top_k=.*expected how many .*1 to 255"):
        Region(top_k=top_k)


# Values of a regression model.


@pytest.fixture(scope="module")
def heights():
    recorder = tv.Recorder(
        DOMAIN, output="values", class_names=["height"], data=([[0, 0], [0.5, 0]], [-1.5, 9.75])
    )
    for epoch in range(4):
        recorder.capture(lambda X, slope=epoch: 3 + slope * X[:, 0], epoch=epoch)
    return recorder.recording


def test_a_recording_says_what_it_holds(heights, recording):
    assert (heights.output, recording.output) == ("values", "probabilities")
    assert heights[1:].output == "values"
    assert heights[-1].probabilities.shape == (1, 12, 15)
    np.testing.assert_allclose(heights[-1].probabilities[0, 0], 3 + 3 * np.linspace(-1, 1, 15))


def test_a_recording_shows_what_it_holds_when_it_is_printed(heights, recording):
    assert repr(heights) == "Recording(4 snapshots, epochs 0 to 3, height, grid 12x15)"
    assert "3 classes" in repr(recording)


def test_values_have_the_limits_of_the_whole_recording(heights):
    film = tv.animate(heights, mode="values", figsize=(4, 3))
    assert film._mode.limits == (0, 6)
    bar = next(ax for ax in film.still().axes if ax.get_ylabel() == "height")
    assert [text.get_text() for text in bar.get_yticklabels()][:: len(bar.get_yticks()) - 1] == [
        "0", "6"
    ]  # fmt: skip
    ramp = tv.animate(heights, mode="values", cmap="gray", **BARE)
    assert level_shown(ramp, 0) == pytest.approx(0.5, abs=0.003)


def test_given_limits_are_kept_and_points_have_the_colour_of_their_value(heights):
    film = tv.animate(heights, mode=Values(limits=(-2, 10)), cmap="gray", **BARE)
    assert level_shown(film, 0) == pytest.approx(5 / 12, abs=0.003)
    np.testing.assert_array_equal(
        film._mode.point_colors(heights)[:, 0], np.round(255 * np.array([0.5, 11.75]) / 12)
    )


def test_a_model_that_says_the_same_everywhere_has_a_colour_bar():
    recording = record([flat(2)], output="values")
    assert tv.animate(recording, mode="values")._mode.limits == (1.5, 2.5)


@pytest.mark.parametrize("interpolation", ["linear", "smooth"])
def test_values_below_0_and_above_1_are_interpolated(interpolation):
    recording = record([flat(-10), flat(-5), flat(10)], output="values")
    film = tv.animate(
        recording, mode="values", interpolate=2, interpolation=interpolation, cmap="gray", **BARE
    )
    assert [level_shown(film, index) for index in (0, 2, 4)] == pytest.approx(
        [0, 0.25, 1], abs=0.003
    )
    assert 0.25 < level_shown(film, 3) < 1


def test_values_have_no_logarithms_to_mix(heights):
    with pytest.raises(ValueError, match=r"interpolation='geometric'.*'linear' or 'smooth'"):
        tv.animate(heights, mode="values", interpolation="geometric")


def test_the_difference_of_values_is_signed_within_symmetric_limits(heights):
    lower = record([flat(1)], output="values", class_names=["height"])
    mode = tv.animate(heights, mode=Difference(lower))._mode
    assert mode.limits == (-5, 5)
    assert (mode.values(flat(3), flat(1)) == 2).all()


@pytest.mark.parametrize("mode", ["region", "entropy", "probability", "change"])
def test_modes_of_classes_name_the_mode_of_values(heights, mode):
    with pytest.raises(ValueError, match=f"mode='{mode}' .*holds values: use mode='values'"):
        tv.animate(heights, mode=mode)


def test_the_mode_of_values_names_those_of_classes(recording):
    with pytest.raises(ValueError, match=r"mode='values' .*holds probabilities: use mode='region'"):
        tv.animate(recording, mode="values")


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, np.inf), 3, (1, 2, 3), "ab"])
def test_wrong_limits_are_refused(limits):
    with pytest.raises(ValueError, match=r"limits=.*expected two numbers, the lower first"):
        Values(limits=limits)


# Independent labels.


@pytest.fixture(scope="module")
def labels():
    X = np.array([[-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])
    recorder = tv.Recorder(
        DOMAIN, output="multilabel_logits", class_names=["right", "high"],
        data=(X, [[0, 1], [1, 1], [1, 0]]),
    )  # fmt: skip
    recorder.capture(lambda X: 4 * X, epoch=0)
    return recorder.recording


def test_labels_are_independent_probabilities(labels):
    assert labels.output == "multilabel"
    right, high = labels[0].probabilities
    x, y = np.linspace(-1, 1, 15), np.linspace(-1, 1, 12)
    np.testing.assert_allclose(right[3], 1 / (1 + np.exp(-4 * x)), atol=1e-6)
    np.testing.assert_allclose(high[:, 3], 1 / (1 + np.exp(-4 * y)), atol=1e-6)


def test_a_label_has_its_map_and_its_points(labels):
    film = tv.animate(labels, mode=Probability("high"), figsize=(4, 3))
    names = [text.get_text() for text in film.still().legends[0].get_texts()]
    assert names == ["has high", "has not high"]
    ends = film._mode.palette.sequential[[255, 255, 0]]
    np.testing.assert_array_equal(film._mode.point_colors(labels), ends)


@pytest.mark.parametrize("mode", ["region", "boundary", "entropy", "margin", "change"])
def test_modes_of_exclusive_classes_name_what_shows_labels(labels, mode):
    with pytest.raises(ValueError, match=r"holds multilabel: use mode=.*Probability\('"):
        tv.animate(labels, mode=mode)


def test_all_labels_are_shown_side_by_side(labels, tmp_path):
    film = tv.animate(labels, mode=Probability("right"), title="Labels")
    figure = film.panels(tmp_path / "panels.svg")
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == ["right", "high"]
    # The line where the one label is as likely as not is upright, that of the other is level.
    spreads = [np.ptp(ax.patches[0].get_path().vertices, axis=0) for ax in panels]
    assert np.allclose(spreads, [[0, 2], [2, 0]], atol=0.01)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "has the label", "has not the label"
    ]  # fmt: skip
    assert (tmp_path / "panels.svg").stat().st_size > 0


def test_all_classes_are_shown_side_by_side_whatever_the_films_mode(recording):
    figure = tv.animate(recording, mode="region", shade=False).panels(epoch=20, columns=2)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == ["ash", "birch", "cedar"]
    viridis = Probability(0, cmap="viridis").bound(3, tv.Palette.of(3))
    for index, ax in enumerate(panels):
        shown = {tuple(color) for color in ax.images[0].get_array()[::9, ::9].reshape(-1, 3)}
        every = {tuple(color) for color in viridis.palette.sequential}
        assert shown <= every
        assert len(shown) > 5, index


def test_values_have_no_panels(heights):
    with pytest.raises(ValueError, match=r"shows probabilities or multilabel, but .* values"):
        tv.animate(heights, mode="values").panels()


# Levels, and modes of one's own.


@pytest.mark.parametrize("levels", ["0.5", (0.5, "a"), None, np.nan, (0.1, np.inf)])
def test_levels_are_numbers(levels):
    with pytest.raises(ValueError, match=r"levels=.*expected a number or several"):
        Entropy(levels=levels)


def test_levels_lie_within_the_limits(recording):
    with pytest.raises(ValueError, match=r"levels=\(1.5,\): 1.5 lies outside .*'entropy'.* 0 to 1"):
        tv.animate(recording, mode=Entropy(levels=1.5))


def test_a_mode_with_options_is_used_again(recording, make_recording):
    mode = Probability(1, levels=0.7)
    first = tv.animate(recording, mode=mode, **BARE)[4]
    tv.animate(make_recording(n_classes=5), mode=mode, **BARE)[0]
    np.testing.assert_array_equal(tv.animate(recording, mode=mode, **BARE)[4], first)


def test_a_mode_of_ones_own_takes_a_few_lines(recording):
    @tv.register_mode
    class Gini(tv.Mode):
        name, label, limits = "gini", "Gini impurity", (0.0, 1.0)

        def values(self, probabilities):
            return 1 - (probabilities**2).sum(axis=0)

    try:
        film = tv.animate(recording, mode="gini", cmap="gray", **BARE)
        with_lines = tv.animate(recording, mode=Gini(levels=0.4), **BARE)
        expected = 1 - (recording[2].probabilities ** 2).sum(axis=0)
        seen = film[2][..., 0] / 255
        assert seen.min() == pytest.approx(expected.min(), abs=0.05)
        assert len(list(with_lines.still().axes[0].patches)) > 0
    finally:
        del MODES["gini"]


def test_a_mode_that_paints_nothing_is_refused():
    with pytest.raises(TypeError, match=r"Empty.*paints nothing; give it a method values"):
        tv.register_mode(type("Empty", (Mode,), {"name": "empty"}))
    assert "empty" not in MODES
