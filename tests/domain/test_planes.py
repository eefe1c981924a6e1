import pickle
import threading

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from trainviz.domain.planes import GridRows, Linear, Nearest, Through, principal_axes

numbers = st.floats(-100, 100).map(lambda value: round(value, 3))


@given(arrays(np.float64, (3, 6), elements=numbers))
def test_anchors_land_where_the_lengths_of_their_sides_put_them(anchors):
    a, b, c = anchors
    along = np.linalg.norm(b - a)
    assume(along > 1)
    c1 = (c - a) @ (b - a) / along
    c2 = np.sqrt(max(((c - a) ** 2).sum() - c1**2, 0))
    assume(c2 > 1)
    places = Through(anchors).project(anchors)
    np.testing.assert_allclose(places, [[0, 0], [along, 0], [c1, c2]], atol=1e-6)
    np.testing.assert_allclose(Through(anchors).embed(places), anchors, atol=1e-6)


@given(arrays(np.float64, (4, 6), elements=numbers))
def test_distance_from_a_plane_through_samples_is_that_at_right_angles(rows):
    _, singular, axes = np.linalg.svd(rows[1:3] - rows[0], full_matrices=False)
    assume(singular[-1] > 1)
    away = rows[3] - rows[0]
    expected = np.linalg.norm(away - away @ axes.T @ axes)
    np.testing.assert_allclose(Through(rows[:3]).distance(rows[3:]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        ([[0, 0, 1], [0, 0, 1], [1, 0, 0]], "the samples a and b are equal"),
        ([[0, 0, 1], [1, 0, 0], [0, 0, 1]], "the samples a and c are equal"),
        ([[1, 0, 0], [0, 0, 1], [0, 0, 1]], "the samples b and c are equal"),
        ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], "are equal"),
        ([[0, 0, 0], [1, 2, 3], [2, 4, 6]], "a, b and c lie on a line.*another third sample"),
        ([[0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]], "lie on a line"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_samples_that_span_no_plane(anchors, message, dtype):
    with pytest.raises(ValueError, match=message):
        Through(np.array(anchors, dtype=dtype).astype(np.float64))


@given(arrays(np.float64, (5, 2), elements=numbers), arrays(np.float64, (9, 4), elements=numbers))
def test_the_nearest_row_lends_its_other_features(points, rows):
    embedded = Nearest(rows, (2, 0)).embed(points)
    np.testing.assert_array_equal(embedded[:, [2, 0]], points)
    spread = rows[:, [2, 0]].std(axis=0)
    scale = np.where(spread > 0, spread, 1)
    for point, row in zip(points, embedded, strict=True):
        away = (((rows[:, [2, 0]] - point) / scale) ** 2).sum(axis=1)
        lenders = rows[away <= away.min() + 1e-9 * (1 + away.min())][:, [1, 3]]
        assert (lenders == row[[1, 3]]).all(axis=1).any()


def test_data_are_in_the_plane_of_their_nearest_rows():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    assert Nearest(rows, (0, 1)).distance(rows).max() == 0


@given(arrays(np.float64, (2, 5), elements=numbers), arrays(np.float64, 5, elements=numbers))
def test_a_linear_maps_plane_shows_what_the_map_says(components, center):
    singular = np.linalg.svd(components, compute_uv=False)
    assume(singular[-1] > 0.1)
    plane = Linear(center, components)
    rows = np.random.default_rng(0).normal(size=(6, 5))
    np.testing.assert_allclose(plane.project(rows), (rows - center) @ components.T, atol=1e-6)
    shown = plane.embed(plane.project(rows))
    np.testing.assert_allclose(plane.project(shown), plane.project(rows), atol=1e-6)
    # Of all rows with these coordinates it is the one nearest to the centre.
    away = np.linalg.norm(shown - center, axis=1)
    assert (away <= np.linalg.norm(rows - center, axis=1) + 1e-6).all()


@pytest.mark.parametrize("components", [[[1, 2, 3], [2, 4, 6]], [[0, 0, 0], [1, 0, 0]]])
def test_a_linear_map_that_spans_no_plane(components):
    with pytest.raises(ValueError, match=r"components: .*span no plane"):
        Linear(np.zeros(3), np.array(components, dtype=float))


@pytest.mark.parametrize("shape", [(40, 6), (5, 30)])  # more rows than columns, and fewer
def test_principal_axes_are_those_of_scikit_learn(shape):
    rows = np.random.default_rng(3).normal(size=shape) * np.linspace(1, 4, shape[1])
    reference = PCA(2).fit(rows)
    center, axes, shares = principal_axes(rows)
    np.testing.assert_allclose(center, reference.mean_)
    known = reference.components_
    if sklearn.__version__.startswith("1.4."):  # of which the signs are chosen otherwise
        known = known * np.sign((axes * known).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(axes, known, atol=1e-9)
    np.testing.assert_allclose(shares, reference.explained_variance_ratio_)


@pytest.mark.parametrize("rows", [np.ones((1, 4)), np.ones((5, 4)), np.outer(np.arange(5), [1, 2])])
def test_data_that_vary_along_fewer_than_two_directions(rows):
    with pytest.raises(ValueError, match="fewer than two directions"):
        principal_axes(np.asarray(rows, dtype=float))


def square(index):
    return np.stack([index, index**2], axis=1).astype(float)


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=8), min_size=1, max_size=8))
def test_each_row_of_a_grid_is_asked_for_once(requests):
    asked = []
    rows = GridRows(20, 2)
    for request in requests:
        found = rows(np.array(request), lambda index: (asked.extend(index), square(index))[1])
        np.testing.assert_array_equal(found, square(np.array(request)))
    assert sorted(asked) == sorted({index for request in requests for index in request})


def test_a_grid_too_large_to_remember_asks_each_time():
    class Costly(Through):
        costly = True

    asked = []

    def embed(index):
        asked.append(len(index))
        return np.ones((len(index), 3))

    for n_points, calls in ((2**20, 1), (2**25, 2)):
        asked.clear()
        rows = GridRows.of(Costly(np.eye(3)), n_points)
        for _ in range(2):
            rows(np.arange(5), embed)
        assert len(asked) == calls


def test_threads_may_ask_for_the_same_rows_and_copies_ask_anew():
    rows = GridRows(1000, 2)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(rows(np.arange(1000), square)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((part == square(np.arange(1000))).all() for part in found)
    asked = []
    pickle.loads(pickle.dumps(rows))(np.arange(3), lambda i: (asked.append(i), square(i))[1])
    assert len(asked) == 1
