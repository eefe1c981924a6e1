"""The decision boundary of a map, as lines and as a length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainviz._common.arrays import class_map
from trainviz.analysis.boundary import boundary_lines, line_length

X = np.linspace(-2, 2, 61)
Y = np.linspace(-1.5, 1.5, 46)
PLANE = np.stack(np.meshgrid(X, Y))


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=0))
    return (odds / odds.sum(axis=0)).astype(np.float32)


def length(probabilities):
    return line_length(boundary_lines(probabilities, X, Y)) / 2


def two_classes(score):
    return softmax(np.stack([np.zeros_like(score), score]))


@given(angle=st.floats(0, np.pi), steepness=st.floats(0.1, 60))
def test_a_straight_boundary_is_as_long_as_the_chord_of_the_window(angle, steepness):
    normal = np.array([np.cos(angle), np.sin(angle)])
    found = length(two_classes(steepness * np.tensordot(normal, PLANE, 1)))
    reach = min(2 / max(abs(normal[1]), 1e-9), 1.5 / max(abs(normal[0]), 1e-9))
    assert found == pytest.approx(2 * reach, rel=2e-3)


@given(radius=st.floats(0.4, 1.4), steepness=st.floats(0.5, 60))
def test_a_circle_is_2_pi_r_long(radius, steepness):
    found = length(two_classes(steepness * (np.hypot(*PLANE) - radius)))
    assert found == pytest.approx(2 * np.pi * radius, rel=3e-3)


def test_finer_grids_are_closer_to_the_circle():
    errors = []
    for points in (20, 40, 80):
        axis = np.linspace(-2, 2, points)
        score = 9 * (np.hypot(*np.meshgrid(axis, axis)) - 1)
        lines = boundary_lines(two_classes(score), axis, axis)
        errors.append(abs(line_length(lines) / 2 - 2 * np.pi))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_where_three_classes_meet_each_border_counts_once():
    hours = 2 * np.pi * np.arange(3) / 3
    found = length(softmax(9 * np.tensordot(np.stack([np.cos(hours), np.sin(hours)], 1), PLANE, 1)))
    # Between the classes at 0 and 120 degrees runs a ray at 60 degrees, and so on.
    rays = [1.5 / np.sin(np.pi / 3), 2, 1.5 / np.sin(np.pi / 3)]
    assert found == pytest.approx(sum(rays), rel=0.01)


def test_certain_classifiers_change_half_way_between_grid_points():
    right = (PLANE[0] > 0.01).astype(np.float32)
    lines = boundary_lines(np.stack([1 - right, right]), X, Y)
    middle = (X[X <= 0.01].max() + X[X > 0.01].min()) / 2
    for line in lines:
        np.testing.assert_allclose(line[:, 0], middle, atol=1e-6)
    assert line_length(lines) / 2 == pytest.approx(3)


def test_oblique_borders_of_certain_classifiers_are_at_most_8_per_cent_too_long():
    for angle in np.linspace(0, np.pi, 30):
        across = np.cos(angle) * PLANE[0] + np.sin(angle) * PLANE[1]
        right = (across > 0).astype(np.float32)
        reach = min(2 / max(abs(np.sin(angle)), 1e-9), 1.5 / max(abs(np.cos(angle)), 1e-9))
        assert 0.97 < length(np.stack([1 - right, right])) / (2 * reach) < 1.085


def test_axes_may_have_units_of_their_own():
    score = two_classes(PLANE[0] - 0.3)
    assert line_length(boundary_lines(score, 1000 * X, Y)) / 2 == pytest.approx(3)
    assert line_length(boundary_lines(score, X, 1000 * Y)) / 2 == pytest.approx(3000)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.8), (1.0, 0.0)])
def test_one_class_everywhere_has_no_boundary(shares):
    flat = np.ones((2, *PLANE.shape[1:]), dtype=np.float32) * np.reshape(shares, (2, 1, 1))
    assert boundary_lines(flat.astype(np.float32), X, Y) == []


def test_a_region_of_one_grid_point_has_a_border():
    dot = np.zeros(PLANE.shape[1:], dtype=np.float32)
    dot[20, 30] = 1
    side = np.hypot(X[1] - X[0], Y[1] - Y[0]) / 2
    assert length(np.stack([1 - dot, dot])) == pytest.approx(4 * side)


@pytest.mark.parametrize("n_classes", [2, 7, 256, 300])
def test_the_class_map_is_the_first_of_the_highest(n_classes):
    rng = np.random.default_rng(n_classes)
    maps = rng.integers(0, 9, (n_classes, 6, 5)).astype(np.float32)
    np.testing.assert_array_equal(class_map(maps), maps.argmax(axis=0))
