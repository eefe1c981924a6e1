import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import KNeighborsRegressor

from trainviz import Domain
from trainviz.domain.embeddings import rebuild

# Two rolls of a sheet, far from one another in the plane.
_sheet = np.random.default_rng(0).random((300, 2)) * [4, 2] + np.repeat([[0, 0], [10, 0]], 150, 0)
_rolled = np.stack([np.cos(_sheet[:, 0]), np.sin(_sheet[:, 0]), _sheet[:, 1]], axis=1)
DOMAIN = Domain.from_embedding(_rolled, _sheet, resolution=60)


def test_the_inverse_of_a_smooth_embedding_is_learnt():
    inner = np.stack([part.ravel() for part in np.meshgrid([0.5, 1.5, 2.5, 3.5], [0.5, 1, 1.5])], 1)
    wanted = np.stack([np.cos(inner[:, 0]), np.sin(inner[:, 0]), inner[:, 1]], axis=1)
    np.testing.assert_allclose(DOMAIN.embed(inner), wanted, atol=0.15)


def test_data_lie_where_they_were_embedded_and_other_rows_near_their_neighbours():
    np.testing.assert_allclose(DOMAIN.project(_rolled), _sheet, atol=1e-6)
    np.testing.assert_allclose(
        DOMAIN.project(_rolled[:150] + 1e-4)[:, 1], _sheet[:150, 1], atol=0.1
    )
    assert np.median(DOMAIN.distance(_rolled)) < 0.1


def test_where_no_data_are_the_map_is_a_guess():
    poor = DOMAIN.poor
    assert poor.shape == DOMAIN.shape
    x, y = np.meshgrid(DOMAIN.x, DOMAIN.y)
    between = (x > 6) & (x < 8)
    among = (((x > 0.5) & (x < 3.5)) | ((x > 10.5) & (x < 13.5))) & (y > 0.3) & (y < 1.7)
    assert poor[between].all()
    assert not poor[among].any()
    assert DOMAIN.doubt.shape == (200, 200)


def test_where_rows_are_not_reconstructed_the_map_is_a_guess():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 6))  # which has nothing to do with its places
    domain = Domain.from_embedding(noise, rng.random((200, 2)), resolution=20)
    assert domain.poor.mean() > 0.9
    generous = Domain.from_embedding(noise, rng.random((200, 2)), resolution=20, poor_above=5)
    assert generous.poor.mean() < 0.1


@pytest.mark.parametrize("regressor", [None, KNeighborsRegressor(3)])
def test_learning_is_the_same_each_time_and_leaves_the_regressor_alone(regressor):
    domains = [Domain.from_embedding(_rolled, _sheet, regressor, resolution=9) for _ in range(2)]
    np.testing.assert_array_equal(domains[0].points(), domains[1].points())
    np.testing.assert_array_equal(domains[0].poor, domains[1].poor)
    assert regressor is None or not hasattr(regressor, "n_features_in_")


def test_a_recording_on_disk_can_hold_what_was_learnt_but_no_foreign_regressor():
    again = rebuild("learned", DOMAIN.embedding.arrays())
    same = Domain(DOMAIN.xlim, DOMAIN.ylim, shape=DOMAIN.shape, embedding=again)
    np.testing.assert_array_equal(same.points(), DOMAIN.points())
    np.testing.assert_array_equal(same.poor, DOMAIN.poor)
    assert same == DOMAIN
    foreign = Domain.from_embedding(_rolled, _sheet, KNeighborsRegressor(3), resolution=9)
    assert foreign.embedding.arrays() is None


@given(arrays(np.float64, (7, 2), elements=st.floats(-1e3, 1e3)))
def test_far_from_all_data_it_answers_with_their_mean(points):
    rows = DOMAIN.embed(points)
    assert np.isfinite(rows).all()
    away = np.abs(points - np.clip(points, [0, 0], [14, 2])).max(axis=1) > 50
    np.testing.assert_allclose(rows[away], np.tile(_rolled.mean(axis=0), (away.sum(), 1)))


@pytest.mark.slow
def test_of_many_rows_only_some_are_learnt_from_and_all_keep_their_places():
    rng = np.random.default_rng(0)
    places = rng.random((5000, 2))
    rows = np.concatenate([places, places**2], axis=1)
    domain = Domain.from_embedding(rows, places, resolution=10)
    assert len(domain.embedding.arrays()["centers"]) == 2000
    np.testing.assert_allclose(domain.project(rows), places, atol=1e-6)
