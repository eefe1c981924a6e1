"""The data sets of the playground's example: what the recipes say of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

_PATH = Path(__file__).parents[2] / "examples" / "playground.py"
_SPEC = importlib.util.spec_from_file_location("playground", _PATH)
playground = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(playground)

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", list(playground.DATA))
def test_a_set_has_as_many_points_as_asked_for_of_two_classes(name):
    X, y = playground.DATA[name]()
    assert X.shape == (500, 2)
    assert sorted(np.unique(y)) == [0, 1]
    # The window is -6 to 6.
    assert (np.abs(X) < 6).all(axis=1).mean() > 0.99


@pytest.mark.parametrize("name", list(playground.DATA))
def test_a_seed_makes_the_same_points_again(name):
    make = playground.DATA[name]
    for one, other in zip(make(noise=0.2, seed=3), make(noise=0.2, seed=3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (make(noise=0.2, seed=3)[0] != make(noise=0.2, seed=4)[0]).any()


@given(st.integers(1, 300))
def test_spirals_without_noise_are_reflections_of_each_other(each):
    X, y = playground.make_spiral(2 * each)
    np.testing.assert_allclose(X[y == 1], -X[y == 0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(X[y == 1], axis=1), 5 * np.arange(each) / each)


def test_a_spirals_arm_turns_by_its_radius():
    X, y = playground.make_spiral()
    arm = X[y == 1][1:]
    turned = np.unwrap(np.arctan2(arm[:, 0], arm[:, 1]))
    np.testing.assert_allclose(turned, 1.75 * 2 * np.pi * np.linalg.norm(arm, axis=1) / 5)


@given(seeds, st.floats(0, 0.5))
def test_spirals_with_noise_stay_near_their_arms(seed, noise):
    clean, noisy = playground.make_spiral()[0], playground.make_spiral(noise=noise, seed=seed)[0]
    assert np.abs(noisy - clean).max() <= noise + 1e-12  # of rounding


@given(seeds)
def test_the_circle_lies_in_its_ring_with_nothing_between(seed):
    X, y = playground.make_circle(seed=seed)
    radius = np.linalg.norm(X, axis=1)
    assert radius[y == 1].max() < 2.5
    assert 3.5 <= radius[y == 0].min() <= radius[y == 0].max() < 5
    assert (y == 1).sum() == 250


@given(seeds)
def test_xor_is_the_sign_of_the_product_away_from_the_axes(seed):
    X, y = playground.make_xor(seed=seed)
    np.testing.assert_array_equal(y, X[:, 0] * X[:, 1] >= 0)
    assert np.abs(X).min() >= 0.3
    assert np.abs(X).max() <= 5.3


@pytest.mark.parametrize("noise", [0, 0.5])
def test_gaussians_have_the_variance_of_their_noise(noise):
    X, y = playground.make_gaussians(100_000, noise=noise)
    for label, middle in ((1, 2), (0, -2)):
        np.testing.assert_allclose(X[y == label].mean(axis=0), middle, atol=0.05)
        np.testing.assert_allclose(X[y == label].var(axis=0), 0.5 + 7 * noise, rtol=0.03)


@pytest.mark.parametrize("name", ["circle", "xor"])
def test_noise_moves_labels_and_not_points(name):
    (clean, y), (noisy, labels) = (playground.DATA[name](noise=noise) for noise in (0, 0.5))
    np.testing.assert_array_equal(clean, noisy)
    assert 0.05 < (y != labels).mean() < 0.5


def test_features_are_those_of_the_playground():
    x1, x2 = 0.5, -2.0
    made = playground.Features(4)(torch.tensor([[x1, x2]], dtype=torch.float64))
    expected = [x1, x2, x1 * x2, x1**2, x2**2, np.sin(x1), np.sin(x2)]
    np.testing.assert_allclose(made, [expected])
    assert playground.Features(2)(torch.zeros(5, 2)).shape == (5, 3)
