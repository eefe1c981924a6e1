import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainviz import Domain
from trainviz.domain.domain import Plane
from trainviz.domain.embeddings import Slice

coordinates = st.floats(-1e6, 1e6)
windows = st.tuples(coordinates, st.floats(1e-3, 1e6)).map(lambda pair: (pair[0], sum(pair)))
shapes = st.tuples(st.integers(2, 12), st.integers(2, 12))


@given(windows, windows, shapes)
def test_grid_includes_both_ends_of_both_axes_and_is_even(xlim, ylim, shape):
    domain = Domain(xlim, ylim, shape=shape)
    points = domain.points().reshape(*shape, 2)
    assert tuple(points[0, 0]) == (xlim[0], ylim[0])  # row 0 is the lower end
    assert tuple(points[-1, -1]) == (xlim[1], ylim[1])
    np.testing.assert_allclose(np.diff(domain.x), domain.x[1] - domain.x[0], rtol=1e-3)
    np.testing.assert_array_equal(points[1, :, 0], domain.x)  # x runs fastest
    np.testing.assert_array_equal(points[:, 1, 1], domain.y)


@given(shapes, st.integers(1, 50))
def test_chunks_are_the_grid_in_order(shape, size):
    domain = Domain((-1, 2), (0, 5), shape=shape)
    chunks = list(domain.chunks(size, dtype=np.float32))
    assert all(1 <= len(chunk) <= size and chunk.dtype == np.float32 for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), domain.points(dtype=np.float32))


@given(windows, st.floats(0.01, 1))
def test_step_that_does_not_divide_the_window_is_made_the_nearest_that_does(xlim, share):
    width = xlim[1] - xlim[0]
    step = width * share
    domain = Domain(xlim, (0, 2 * step), step=step)
    actual = width / (domain.shape[1] - 1)
    others = [width / n for n in (domain.shape[1] - 2, domain.shape[1]) if n > 0]
    assert all(abs(width / step - width / actual) <= abs(width / step - width / o) + 1e-6
               for o in others)  # fmt: skip
    assert domain.shape[0] == 3


@given(arrays(np.float64, (7, 4), elements=st.floats(-100, 100)), shapes)
def test_projecting_an_embedded_point_returns_it(X, shape):
    domain = Domain.around(X, resolution=shape, features=(3, 1))
    rows = domain.points()
    assert rows.shape == (domain.n_points, 4)
    np.testing.assert_array_equal(domain.embed(domain.project(rows)), rows)
    np.testing.assert_allclose(rows[:, [0, 2]], np.tile(X.mean(axis=0)[[0, 2]], (len(rows), 1)))


@given(arrays(np.float64, (5, 2), elements=st.floats(-1e3, 1e3)), st.floats(0, 2))
def test_around_holds_every_row(X, margin):
    domain = Domain.around(X, margin=margin, resolution=3)
    x0, x1, y0, y1 = domain.extent
    assert (([x0, y0] <= X) & ([x1, y1] >= X)).all()


def test_around_adds_the_margin_on_every_side():
    assert Domain.around([[0, 0], [10, 2]], margin=0.1).extent == (-1, 11, -0.2, 2.2)


def test_around_a_constant_column_still_has_a_width():
    assert Domain.around([[1, 5], [2, 5]], margin=0).ylim == (4.5, 5.5)


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [("mean", 4.0), ("median", 2.0), (1, 2.0), (-1, 9.0), ([7.0, 7.0, 8.0], 8.0)],
)
def test_fixed_says_where_the_other_columns_stay(fixed, expected):
    X = np.array([[0, 0, 1], [1, 1, 2], [2, 2, 9]])
    domain = Domain.around(X, features=(0, 1), fixed=fixed, resolution=2)
    assert domain.points()[:, 2].tolist() == [expected] * 4


def test_dataframe_columns_go_by_name_and_name_the_axes():
    frame = pd.DataFrame({"a": [0, 1], "b": [5, 6], "c": [2, 3]})
    domain = Domain.around(frame, features=("c", "a"), resolution=2)
    assert domain.axis_names == ("c", "a")
    assert domain.embedding == Slice((2, 0), (0.5, 5.5, 2.5))
    assert domain.points(0, 1).tolist() == [[-0.1, 5.5, 1.9]]


def test_input_shape_is_the_models_own():
    domain = Domain((0, 1), (0, 1), points_per_axis=3, input_shape=(1, 2))
    assert domain.points().shape == (9, 1, 2)
    assert domain.project(np.zeros((4, 1, 2))).shape == (4, 2)


def test_equal_windows_are_equal():
    one, other = (Domain((0, 1), (0, 1), points_per_axis=3) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Domain((0, 1), (0, 1), points_per_axis=4)
    assert one != "domain"
    assert one.embedding == Plane()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((3, -3), r"xlim=\(3, -3\).*low < high; did you mean \(-3, 3\)"),
        ((1, 1), r"xlim=\(1, 1\).*low < high; the window has no width"),
        ((0, np.inf), "xlim=.*both limits must be finite"),
        ((np.nan, 1), "xlim=.*both limits must be finite"),
        ((-1e308, 1e308), "xlim=.*wider than floating point"),
    ],
)
def test_limits_that_are_no_window(limits, message):
    with pytest.raises(ValueError, match=message):
        Domain(limits, (0, 1), step=0.1)


@pytest.mark.parametrize("limits", [3, (1, 2, 3), ("a", "b"), None])
def test_limits_that_are_no_pair(limits):
    with pytest.raises(TypeError, match=r"ylim=.*expected two numbers \(low, high\)"):
        Domain((0, 1), limits, step=0.1)


def test_step_larger_than_the_window():
    with pytest.raises(ValueError, match=r"step=3 is larger than the window ylim=\(0, 2\).*0.02"):
        Domain((0, 10), (0, 2), step=3)


@pytest.mark.parametrize("step", [0, -1, np.nan, np.inf, "0.1", [0.1]])
def test_step_that_is_no_distance(step):
    with pytest.raises(ValueError, match=r"step=.*expected a positive distance"):
        Domain((0, 1), (0, 1), step=step)


@pytest.mark.parametrize(
    "resolution",
    [{"points_per_axis": 10_000}, {"shape": (2, 50_000_000)}, {"step": 1e-5}, {"step": 5e-324}],
)
def test_grid_of_over_50_million_points_is_refused_before_anything_is_allocated(resolution):
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{next(iter(resolution))} gives .* limit is 50,000,000"):
        Domain((0, 1), (0, 1), **resolution)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@pytest.mark.parametrize("given_too", [{}, {"step": 0.1, "points_per_axis": 5}])
def test_exactly_one_resolution(given_too):
    with pytest.raises(TypeError, match="exactly one of step=, shape= and points_per_axis="):
        Domain((0, 1), (0, 1), **given_too)


@pytest.mark.parametrize(
    ("resolution", "error", "message"),
    [
        ({"shape": (5, 1)}, ValueError, "shape: got 1, a grid needs at least 2"),
        ({"shape": 5}, TypeError, r"shape=5: expected \(H, W\)"),
        ({"shape": (5, 2.5)}, TypeError, "shape: got 2.5, expected a whole number"),
        ({"points_per_axis": True}, TypeError, "points_per_axis: got True"),
        ({"shape": (5, 5), "input_shape": (3,)}, ValueError, r"input_shape=\(3,\) holds 3 values"),
        ({"shape": (5, 5), "input_shape": 2}, ValueError, "input_shape=2: expected a tuple"),
        ({"shape": (5, 5), "input_shape": (-1, -2)}, ValueError, "input_shape=.*expected a tuple"),
    ],
)
def test_shapes_that_are_no_grid(resolution, error, message):
    with pytest.raises(error, match=message):
        Domain((0, 1), (0, 1), **resolution)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({"axis_names": "xy"}, TypeError, "axis_names='xy': expected a list of two"),
        ({"axis_names": 3}, TypeError, "axis_names=3: expected a list of two"),
        ({"axis_names": ["x"]}, ValueError, r"axis_names=\['x'\]: expected two"),
        ({"feature_names": 3}, TypeError, "feature_names=3: expected a list of names"),
        ({"feature_names": "ab"}, TypeError, "feature_names='ab': expected a list of names"),
    ],
)
def test_names_that_are_none(names, error, message):
    with pytest.raises(error, match=message):
        Domain((0, 1), (0, 1), points_per_axis=3, **names)


def test_names_of_axes_are_texts():
    assert Domain((0, 1), (0, 1), points_per_axis=3, axis_names=[1, None]).axis_names == ("1", None)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.zeros((0, 2)), {}, r"X has the shape \(0, 2\): expected \(n, D\)"),
        (np.zeros(5), {}, r"X has the shape \(5,\)"),
        ([["a", "b"]], {}, "X must be numbers"),
        ([[np.nan, 1]], {}, "X holds NaN or infinities: drop"),
        (np.eye(3), {}, r"X has 3 columns .* features=\(i, j\)"),
        (np.eye(3), {"features": (1, -2)}, "two different columns"),
        (np.eye(3), {"features": (0, 3)}, "X has 3 columns, 0 to 2"),
        (np.eye(3), {"features": ("a", "b")}, "it has no column names, use positions"),
        (np.eye(3), {"features": (0,)}, "expected two columns"),
        (pd.DataFrame(np.eye(2), columns=["u", "v"]), {"features": ("u", "w")},
         r"no column 'w'; its columns are \['u', 'v'\]"),
        (np.eye(3), {"features": (0, 1), "fixed": "mode"}, "fixed='mode': expected 'mean'"),
        (np.eye(3), {"features": (0, 1), "fixed": 3}, "fixed=3: X has 3 rows"),
        (np.eye(3), {"features": (0, 1), "fixed": [0, 1]}, "fixed has the shape"),
        (np.eye(2), {"margin": -1}, "margin=-1: expected a share"),
        (np.eye(2), {"margin": "wide"}, "margin='wide': expected a share"),
    ],
)  # fmt: skip
def test_around_refuses_data_it_cannot_frame(X, options, message):
    with pytest.raises(ValueError, match=message):
        Domain.around(X, **options)


@pytest.mark.parametrize("resolution", [np.int64(7), (7, 7), [7, 7]])
def test_resolution_may_come_from_numpy(resolution):
    assert Domain.around(np.eye(2), resolution=resolution).shape == (7, 7)


def test_resolution_names_itself():
    with pytest.raises(ValueError, match="resolution: got 1"):
        Domain.around(np.eye(2), resolution=1)


def test_data_with_the_wrong_number_of_columns():
    domain = Domain((0, 1), (0, 1), points_per_axis=3)
    with pytest.raises(
        ValueError, match=r"X has the shape \(5, 3\).*2 features.*features=\(i, j\)"
    ):
        domain.project(np.zeros((5, 3)))


def test_a_chunk_holds_at_least_one_point():
    with pytest.raises(ValueError, match="size=0"):
        next(Domain((0, 1), (0, 1), points_per_axis=3).chunks(0))


@settings(max_examples=20)
@given(shapes)
def test_repr_tells_window_and_shape(shape):
    domain = Domain((0, 1), (0, 2), shape=shape)
    assert repr(domain) == f"Domain(xlim=(0.0, 1.0), ylim=(0.0, 2.0), shape={shape})"
