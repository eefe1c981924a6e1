import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import PchipInterpolator

from trainviz.recordings.time_axis import Moment
from trainviz.rendering.interpolation import Blender
from trainviz.rendering.timeline import Timeline

COUNTS = st.integers(1, 30)
WEIGHTS = st.floats(0, 1, exclude_max=True)
KINDS = ("linear", "geometric", "smooth")


@st.composite
def map_series(draw, n_classes=None):
    """Some maps of one shape, zeros included."""
    shape = (draw(st.integers(2, 7)), n_classes or draw(st.integers(2, 4)), 2, 3)
    raw = draw(arrays(np.float64, shape, elements=st.floats(0, 1)))
    raw[raw.sum(axis=1).repeat(shape[1], axis=0).reshape(shape) == 0] = 1
    return (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)


def blender(maps, interpolation):
    return Blender(maps.__getitem__, len(maps), interpolation)


def blend(a, b, weight, interpolation):
    return Blender([a, b].__getitem__, 2, interpolation)(Moment(0, weight))


def one_point(*values):
    """Return a map of one grid point."""
    return np.array(values, dtype=np.float32)[:, None, None]


def recorded_reads(n_snapshots, interpolation):
    reads = []

    def read(index):
        reads.append(index)
        return one_point(0.5, 0.5)

    return Blender(read, n_snapshots, interpolation), reads


@given(n=COUNTS, factor=COUNTS)
def test_a_film_has_one_frame_per_step_between_snapshots(n, factor):
    timeline = Timeline(n, factor)
    assert len(timeline) == len(list(timeline)) == (n - 1) * factor + 1


@given(n=COUNTS, factor=COUNTS)
def test_each_snapshot_is_shown_exactly_once(n, factor):
    alone = [moment.left for moment in Timeline(n, factor) if moment.weight == 0]
    assert alone == list(range(n))


@given(n=st.integers(2, 30), factor=COUNTS)
def test_frames_are_evenly_spaced(n, factor):
    positions = [moment.position for moment in Timeline(n, factor)]
    assert (positions[0], positions[-1]) == (0, n - 1)
    assert np.allclose(np.diff(positions), 1 / factor)


@given(n=COUNTS, factor=COUNTS, hold=COUNTS)
def test_holding_rests_on_the_last_snapshot(n, factor, hold):
    still, moving = Timeline(n, factor, hold), Timeline(n, factor)
    assert list(still) == list(moving) + [Moment(n - 1, 0.0)] * hold


@given(n=COUNTS, factor=COUNTS)
def test_moments_count_from_the_end_too(n, factor):
    timeline = Timeline(n, factor)
    assert [timeline[-index] for index in range(len(timeline), 0, -1)] == list(timeline)


@pytest.mark.parametrize("index", [-10, 9, 100])
def test_there_is_no_moment_after_the_film(index):
    with pytest.raises(IndexError, match="film with 9 frames"):
        Timeline(3, 4)[index]


def test_without_snapshots_there_are_no_frames():
    assert len(Timeline(0, 5, hold=3)) == 0


@pytest.mark.parametrize("factor", [0, -1])
def test_less_than_one_frame_a_snapshot_is_refused(factor):
    with pytest.raises(ValueError, match=f"interpolate={factor}: expected at least 1"):
        Timeline(3, factor)


@pytest.mark.parametrize("factor", [1.5, "2", True, None])
def test_only_whole_numbers_of_frames_are_taken(factor):
    with pytest.raises(TypeError, match=r"interpolate=.*whole number"):
        Timeline(3, factor)


def test_whole_numbers_of_numpy_are_taken():
    assert len(Timeline(3, np.int64(4))) == 9


@pytest.mark.parametrize("interpolation", KINDS)
@given(maps=map_series(), weight=WEIGHTS, data=st.data())
def test_mixtures_are_class_probabilities(interpolation, maps, weight, data):
    left = data.draw(st.integers(0, len(maps) - 2))
    mixed = blender(maps, interpolation)(Moment(left, weight))
    assert mixed.dtype == np.float32
    assert mixed.shape == maps.shape[1:]
    assert (mixed > -1e-6).all()
    assert np.allclose(mixed.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("interpolation", KINDS)
@given(maps=map_series())
def test_snapshots_are_shown_as_they_were_recorded(interpolation, maps):
    mix = blender(maps, interpolation)
    for index, expected in enumerate(maps):
        np.testing.assert_array_equal(mix(Moment(index, 0.0)), expected)


@pytest.mark.parametrize("interpolation", KINDS)
@given(maps=map_series(), weight=WEIGHTS)
def test_mixing_leaves_the_snapshots_alone(interpolation, maps, weight):
    before = maps.copy()
    mix = blender(maps, interpolation)
    for left in range(len(maps) - 1):
        mix(Moment(left, weight))
    np.testing.assert_array_equal(maps, before)


@given(maps=map_series(), weight=WEIGHTS)
def test_linear_is_the_straight_line(maps, weight):
    a, b = maps[:2].astype(np.float64)
    mixed = blend(maps[0], maps[1], weight, "linear")
    assert np.allclose(mixed, (1 - weight) * a + weight * b, atol=1e-6)


def test_geometric_mixes_log_odds():
    # Log-odds of log 9 and -log 9; a quarter of the way they are log 3.
    mixed = blend(one_point(0.9, 0.1), one_point(0.1, 0.9), 0.25, "geometric")
    assert np.allclose(mixed.ravel(), [0.75, 0.25])


@given(maps=map_series(), weight=WEIGHTS)
def test_geometric_is_the_normalised_weighted_geometric_mean(maps, weight):
    a, b = np.maximum(maps[:2], 1e-4).astype(np.float64)
    a, b = a / a.sum(axis=0), b / b.sum(axis=0)
    mean = a ** (1 - weight) * b**weight
    mixed = blend(a.astype(np.float32), b.astype(np.float32), weight, "geometric")
    assert np.allclose(mixed, mean / mean.sum(axis=0), atol=1e-5)


def test_geometric_is_safe_at_zero():
    halfway = blend(one_point(1, 0, 0), one_point(0, 1, 0), 0.5, "geometric")
    assert np.allclose(halfway.ravel(), [0.5, 0.5, 0], atol=1e-5)


def test_a_class_that_both_snapshots_exclude_stays_excluded():
    for weight in (0.1, 0.5, 0.9):
        mixed = blend(one_point(0.3, 0.7, 0), one_point(0.6, 0.4, 0), weight, "geometric")
        assert mixed[2, 0, 0] < 1e-9


@given(maps=map_series(), weight=WEIGHTS, data=st.data())
def test_smooth_is_the_monotone_cubic_of_scipy(maps, weight, data):
    left = data.draw(st.integers(0, len(maps) - 2))
    cubic = PchipInterpolator(np.arange(len(maps)), maps.astype(np.float64))(left + weight)
    mixed = blender(maps, "smooth")(Moment(left, weight))
    assert np.allclose(mixed, cubic / cubic.sum(axis=0), atol=1e-5)


@given(maps=map_series(n_classes=2), weight=WEIGHTS, data=st.data())
def test_smooth_of_two_classes_is_the_monotone_cubic_as_it_is(maps, weight, data):
    left = data.draw(st.integers(0, len(maps) - 2))
    cubic = PchipInterpolator(np.arange(len(maps)), maps.astype(np.float64))(left + weight)
    assert np.allclose(blender(maps, "smooth")(Moment(left, weight)), cubic, atol=1e-5)


@given(maps=map_series(n_classes=2), weight=WEIGHTS, data=st.data())
def test_smooth_does_not_overshoot(maps, weight, data):
    left = data.draw(st.integers(0, len(maps) - 2))
    mixed = blender(maps, "smooth")(Moment(left, weight))
    low, high = np.minimum(*maps[left : left + 2]), np.maximum(*maps[left : left + 2])
    assert (mixed >= low - 1e-5).all()
    assert (mixed <= high + 1e-5).all()


def test_smooth_moves_without_sudden_changes_of_speed():
    maps = [one_point(1 - p, p) for p in (0, 0.1, 0.7, 0.8)]
    film = [
        Blender(maps.__getitem__, 4, kind)(moment)[1, 0, 0]
        for kind in ("linear", "smooth")
        for moment in Timeline(4, 50)
    ]
    linear, smooth = np.abs(np.diff(np.reshape(film, (2, -1)), n=2)).max(axis=1)
    assert smooth < linear / 4


@pytest.mark.parametrize("interpolation", KINDS)
def test_a_film_reads_every_snapshot_once_and_in_time(interpolation):
    mix, reads = recorded_reads(6, interpolation)
    ahead = []
    for moment in Timeline(6, 4):
        mix(moment)
        ahead.append(max(reads) - moment.left)
    assert sorted(reads) == list(range(6))
    assert max(ahead) == (2 if interpolation == "smooth" else 1)


@pytest.mark.parametrize(
    ("interpolation", "needed"),
    [("linear", {5, 6}), ("geometric", {5, 6}), ("smooth", {4, 5, 6, 7})],
)
def test_a_moment_reads_only_its_neighbours(interpolation, needed):
    mix, reads = recorded_reads(12, interpolation)
    mix(Moment(5, 0.5))
    assert sorted(reads) == sorted(needed)


@pytest.mark.parametrize("interpolation", KINDS)
def test_a_moment_on_a_snapshot_reads_that_one(interpolation):
    mix, reads = recorded_reads(12, interpolation)
    mix(Moment(11, 0.0))
    assert reads == [11]


@pytest.mark.parametrize("interpolation", ["cubic", None])
def test_an_unknown_interpolation_is_told_with_the_known_ones(interpolation):
    with pytest.raises(ValueError, match=r"interpolation=.*linear, geometric, smooth"):
        blender([one_point(1, 0)], interpolation)


def test_smooth_values_run_through_scipys_pchip_unnormalised():
    values = np.array([-3.0, 5.0, 4.0, 40.0], dtype=np.float32)
    blend_values = Blender(lambda i: one_point(values[i]), 4, "smooth", normalise=False)
    curve = PchipInterpolator(np.arange(4), values)
    for left in range(3):
        for weight in (0.25, 0.5, 0.9):
            found = blend_values(Moment(left, weight)).item()
            assert found == pytest.approx(curve(left + weight), abs=1e-4)


def test_values_that_are_no_probabilities_have_no_geometric_mean():
    with pytest.raises(ValueError, match=r"interpolation='geometric'.*'linear' or 'smooth'"):
        Blender(one_point, 2, "geometric", normalise=False)
