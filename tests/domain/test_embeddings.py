import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainviz import Domain
from trainviz.domain.embeddings import Embedding, Plane, Slice, rebuild
from trainviz.domain.learned_inverse import InverseErrors, KernelInverse, LearnedInverse
from trainviz.domain.planes import Linear, Nearest, Through

ROWS = np.random.default_rng(0).normal(size=(12, 5))


def kernel_inverse():
    rng = np.random.default_rng(1)
    inverse = KernelInverse(ROWS[:, :2], rng.normal(size=ROWS.shape), ROWS.mean(axis=0), 0.5)
    return LearnedInverse(
        inverse, ROWS[:, :2], ROWS, InverseErrors(ROWS[:, :2], np.full(12, 0.3), 0.7, 2.0)
    )


STORED = {
    "plane": Plane(),
    "slice": Slice((3, 1), tuple(ROWS[0].tolist())),
    "nearest": Nearest(ROWS, (3, 1)),
    "linear": Linear(ROWS[0], ROWS[1:3]),
    "through": Through(ROWS[:3]),
    "learned": kernel_inverse(),
}
points = arrays(np.float64, (6, 2), elements=st.floats(-10, 10))


@pytest.mark.parametrize("kind", STORED)
def test_an_embedding_made_again_from_its_arrays_is_the_same(kind):
    embedding = STORED[kind]
    assert embedding.kind == kind
    again = rebuild(kind, embedding.arrays())
    places = np.random.default_rng(2).normal(size=(7, 2))
    np.testing.assert_array_equal(again.embed(places), embedding.embed(places))
    rows = ROWS[:, : embedding.n_features]
    np.testing.assert_array_equal(again.project(rows), embedding.project(rows))
    assert again == embedding
    assert hash(again) == hash(embedding)


@pytest.mark.parametrize("kind", STORED)
def test_arrays_hold_plain_numbers_alone(kind):
    assert all(array.dtype.kind in "fi" for array in STORED[kind].arrays().values())


@pytest.mark.parametrize("kind", [kind for kind in STORED if kind != "learned"])
@given(points=points)
def test_projecting_an_embedded_point_returns_it(kind, points):
    embedding = STORED[kind]
    rows = embedding.embed(points)
    assert rows.shape == (6, embedding.n_features)
    np.testing.assert_allclose(embedding.project(rows), points, atol=1e-9)
    np.testing.assert_allclose(embedding.distance(rows), 0, atol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in STORED if kind != "plane"])
@pytest.mark.parametrize("fault", ["missing", "longer", "text", "object", "nan"])
def test_arrays_that_do_not_fit_are_refused(kind, fault):
    broken = {
        "missing": None,
        "longer": lambda array: array[None],
        "text": lambda array: array.astype(str),
        "object": lambda array: array.astype(object),
        "nan": lambda array: array * np.nan,
    }[fault]
    for name, array in STORED[kind].arrays().items():
        arrays = STORED[kind].arrays()
        if broken is None:
            del arrays[name]
        else:
            arrays[name] = broken(array)
        with pytest.raises(ValueError, match=f"'{name}' of an embedding"):
            rebuild(kind, arrays)


@pytest.mark.parametrize("features", [[1, 1], [0, 5], [-1, 0]])
@pytest.mark.parametrize("kind", ["slice", "nearest"])
def test_stored_features_are_two_of_the_columns(kind, features):
    with pytest.raises(ValueError, match="expected two of the columns 0 to 4"):
        rebuild(kind, {**STORED[kind].arrays(), "features": np.array(features)})


def test_an_unknown_kind_is_refused():
    with pytest.raises(LookupError, match=r"kind='sphere': expected one of .*plane.*through"):
        rebuild("sphere", {})


class Bent(Embedding):
    n_features = 3

    def embed(self, points):
        return np.concatenate([points, (points**2).sum(axis=1, keepdims=True)], axis=1)

    def project(self, rows):
        return rows[:, :2]


def test_an_embedding_of_ones_own_takes_two_methods():
    bent = Bent()
    domain = Domain((0, 1), (0, 1), points_per_axis=3, embedding=bent)
    assert domain.points().shape == (9, 3)
    assert domain.distance([[1, 1, 5], [0, 0, 0]]).tolist() == [3, 0]
    assert domain.anchors is None
    assert domain.poor is None
    assert bent.arrays() is None  # so no recording on disk can hold it
    assert bent == bent
    assert bent != Bent()
