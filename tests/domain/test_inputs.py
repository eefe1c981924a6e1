import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainviz import Domain
from trainviz.domain.inputs import rows_and_shape

X = np.random.default_rng(0).normal(size=(30, 4)) * [1, 10, 100, 1000]
SHAPES = {
    "flat": None,
    "row": (1, 4),
    "square": (2, 2),
    "dict": {"size": (3,), "age": (1,)},
    "tuple": ((1, 1), (3,)),
}


def parts(inputs):
    if isinstance(inputs, dict):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple) else [inputs]


@pytest.mark.parametrize("form", SHAPES)
@given(points=arrays(np.float64, (5, 2), elements=st.floats(-100, 100)))
def test_inputs_of_every_form_hold_a_rows_values_in_order_and_come_back(form, points):
    domain = Domain.slice(X, (0, 3), input_shape=SHAPES[form], resolution=3)
    inputs = domain.embed(points)
    flat = np.concatenate([part.reshape(5, -1) for part in parts(inputs)], axis=1)
    np.testing.assert_array_equal(flat, domain.embedding.embed(points))
    np.testing.assert_array_equal(domain.project(inputs), points)
    np.testing.assert_array_equal(domain.flatten(flat), flat)  # flat rows are taken in any case


def test_grid_points_of_several_inputs_come_in_their_shapes_and_dtype():
    domain = Domain.slice(X, (0, 3), input_shape=SHAPES["dict"], resolution=3)
    points = domain.points(dtype=np.float32)
    assert {name: part.shape for name, part in points.items()} == {"size": (9, 3), "age": (9, 1)}
    assert {part.dtype for part in points.values()} == {np.dtype(np.float32)}
    assert [len(chunk["age"]) for chunk in domain.chunks(4)] == [4, 4, 1]
    assert isinstance(Domain.slice(X, (0, 3), input_shape=SHAPES["tuple"]).points(0, 2), tuple)


def test_a_transformer_stands_between_the_users_units_and_the_model():
    scaler = StandardScaler().fit(X)
    domain = Domain.slice(X, (1, 2), preprocess=scaler, resolution=5)
    assert domain.xlim[1] > 10  # the axes carry the user's units
    places = np.array([[3.0, 40.0]])
    np.testing.assert_array_equal(domain.embed(places)[:, [1, 2]], places)
    np.testing.assert_allclose(domain.prepare(X), scaler.transform(X))
    np.testing.assert_allclose(domain.points(), scaler.transform(domain.embedding.embed(
        np.stack([part.ravel() for part in np.meshgrid(domain.x, domain.y)], axis=1))))  # fmt: skip


def test_a_transformer_may_change_the_number_of_columns_and_input_shape_is_of_its_result():
    pipeline = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    domain = Domain.slice(X, (1, 2), preprocess=pipeline, input_shape=(3, 1), resolution=5)
    assert domain.points().shape == (25, 3, 1)
    assert domain.project(X).shape == (30, 2)


def test_a_transformer_may_return_sparse_columns():
    frame = pd.DataFrame({"a": [0.0, 1, 2], "b": [0, 1, 0], "c": [3.0, 4, 5]})
    encoder = make_column_transformer(
        (OneHotEncoder(), ["b"]), remainder="passthrough", sparse_threshold=1.0
    ).fit(frame)
    domain = Domain.slice(frame, ("a", "c"), 0, preprocess=encoder, resolution=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn's about missing column names, for one
        assert domain.points().shape == (9, 4)
        assert domain.project(frame).tolist() == frame[["a", "c"]].to_numpy().tolist()


def test_distance_is_told_in_the_transformers_units():
    scaler = StandardScaler().fit(X)
    raw = Domain.slice(X, (0, 1), resolution=3)
    scaled = Domain.slice(X, (0, 1), preprocess=scaler, resolution=3)
    expected = np.linalg.norm(scaler.transform(X)[:, 2:], axis=1)
    np.testing.assert_allclose(scaled.distance(X), expected)
    assert raw.distance(X).mean() > 100


def test_a_callable_is_given_inputs_of_the_models_shape_and_returns_what_it_takes():
    seen = []

    def split(images):
        seen.append(images.shape[1:])
        whole = images.sum(axis=(1, 2)).astype(np.int64)
        return {"image": images / 1000, "token": whole, "tensor": torch.ones(len(images), 2)}

    domain = Domain.slice(X, (0, 3), preprocess=split, input_shape=(2, 2), resolution=3)
    points = domain.points(dtype=np.float32)
    assert set(seen) == {(2, 2)}
    assert points["image"].dtype == np.float32
    assert points["token"].dtype == np.int64  # whole numbers stay such
    assert isinstance(points["tensor"], np.ndarray)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"a": (2,), "b": (3,)}, r"input_shape=.* holds 5 values, but a point .* has 4 features"),
        ({"a": 4}, "expected a tuple of sizes"),
        ({}, "holds 0 values"),
        (((2,), (3,)), "holds 5 values"),
        ((2.0, 2), "expected a tuple of sizes"),
    ],
)
def test_shapes_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        Domain.slice(X, (0, 1), input_shape=shape)


@pytest.mark.parametrize(
    ("preprocess", "error", "message"),
    [
        ("standard", TypeError, "preprocess='standard': expected a fitted transformer"),
        (StandardScaler(), ValueError, "preprocess=StandardScaler.*not fitted.*Is it fitted"),
        (StandardScaler().fit(X[:, :3]), ValueError, "expecting 3 features.*columns of this"),
        (lambda rows: rows[:0], ValueError, "failed on a point of the window"),
        (lambda rows: 1 / 0, ValueError, "division by zero"),
    ],
)
def test_preprocessing_is_tried_when_the_domain_is_made(preprocess, error, message):
    with pytest.raises(error, match=message):
        Domain.slice(X, (0, 1), preprocess=preprocess)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"size": X[:, :3]}, r"X has the entries \['size'\], but .* \['size', 'age'\]"),
        ({"size": X[:, :2], "age": X[:, :1]}, r"expected the\s+same number of rows"),
        ({"size": X[:, :3], "age": X[:5, :1]}, "same number of rows in each"),
        (X[:, :3], r"X has the shape \(30, 3\), but one input of this domain has 4 features"),
    ],
)
def test_data_of_another_form(inputs, message):
    domain = Domain.slice(X, (0, 1), input_shape=SHAPES["dict"])
    with pytest.raises(ValueError, match=message):
        domain.project(inputs)


def test_a_dict_where_the_model_takes_one_array():
    with pytest.raises(ValueError, match=r"X has the entries .* has the shape"):
        Domain.slice(X, (0, 1)).project({"size": X})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.empty((0, 3)), r"expected \(n, \.\.\.\), n >= 1 rows"),
        ({}, "n >= 1 rows"),
        (3.0, "n >= 1 rows"),
        ({"a": np.ones((3, 1)), "b": np.ones((2, 1))}, r"its arrays have \[3, 2\] rows"),
        (np.full((2, 2), np.nan), "X holds NaN or infinities"),
        ([["a"]], "X must be numbers"),
    ],
)
def test_data_that_are_no_rows(data, message):
    with pytest.raises(ValueError, match=message):
        rows_and_shape(data)
