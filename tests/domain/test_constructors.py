import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA, KernelPCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainviz import Domain, Recorder, evaluate

X, y = load_wine(return_X_y=True)
SCALER = StandardScaler().fit(X)
Z = SCALER.transform(X)
GRID = {"resolution": (70, 80)}  # large enough to be evaluated adaptively


def curved():
    return KernelPCA(2, kernel="rbf", gamma=0.05, fit_inverse_transform=True).fit(Z)


DOMAINS = {
    "mean": lambda: Domain.slice(Z, (0, 6), **GRID),
    "median": lambda: Domain.slice(Z, (0, 6), "median", **GRID),
    "row": lambda: Domain.slice(Z, (0, 6), 5, **GRID),
    "values": lambda: Domain.slice(Z, (0, 6), np.full(13, 0.5), **GRID),
    "nearest": lambda: Domain.slice(Z, (0, 6), "nearest", **GRID),
    "through": lambda: Domain.through(Z[0], Z[70], Z[150], **GRID),
    "principal": lambda: Domain.principal(Z, **GRID),
    "linear map": lambda: Domain.principal(Z, components=np.eye(13)[[3, 5]], **GRID),
    "reducer": lambda: Domain.from_reducer(PCA(2).fit(Z), Z, **GRID),
    "curved reducer": lambda: Domain.from_reducer(curved(), Z, **GRID),
    "learned": lambda: Domain.from_embedding(Z, PCA(2).fit_transform(Z) ** 3, **GRID),
}


@pytest.mark.filterwarnings("ignore::trainviz.errors.EvaluationWarning")
@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(5, random_state=0)])
@pytest.mark.parametrize("kind", DOMAINS)
def test_the_map_is_predict_proba_at_the_embedded_points(kind, model):
    domain = DOMAINS[kind]()
    model.fit(Z, y)
    places = np.stack([part.ravel() for part in np.meshgrid(domain.x, domain.y)], axis=1)
    expected = model.predict_proba(domain.embed(places)).T.reshape(3, *domain.shape)
    dense = evaluate(model.predict_proba, domain, method="dense")
    np.testing.assert_allclose(dense, expected, atol=1e-5)
    adaptive = evaluate(model.predict_proba, domain)
    wrong = np.abs(adaptive - expected).max(axis=0) > 0.02
    assert wrong.mean() < 0.01


@pytest.mark.parametrize("kind", DOMAINS)
def test_the_window_holds_the_data(kind):
    domain = DOMAINS[kind]()
    places = domain.project(Z) if kind != "through" else domain.anchors
    x0, x1, y0, y1 = domain.extent
    assert ((places > [x0, y0]) & (places < [x1, y1])).all()
    assert (domain.distance(Z) >= 0).all()


@pytest.mark.parametrize("kind", DOMAINS)
def test_recordings_of_every_domain_in_the_background_are_the_same(kind):
    class Model:
        def __call__(self, rows):
            return 1 / (1 + np.exp(-rows.sum(axis=1)))

        def frozen(self):
            return Model()

    domain = DOMAINS[kind]()
    maps = []
    for background in (False, True):
        recorder = Recorder(domain, data=(Z, y > 0), background=background, evaluation="dense")
        for epoch in range(2):
            recorder.capture(Model(), epoch=epoch)
        recorder.drain()
        maps.append(recorder.recording[-1].probabilities)
    np.testing.assert_array_equal(*maps)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_axes_carry_the_users_units_where_the_model_wants_others():
    model = MLPClassifier((8,), random_state=0, max_iter=50).fit(Z, y)
    pipeline = make_pipeline(SCALER, PCA(2)).fit(X)
    domain = Domain.from_reducer(pipeline, X, preprocess=SCALER, resolution=20)
    places = np.stack([part.ravel() for part in np.meshgrid(domain.x, domain.y)], axis=1)
    raw = domain.embed(places)
    assert raw[:, 12].mean() > 500  # proline, in mg/l
    expected = model.predict_proba(SCALER.transform(raw)).T.reshape(3, 20, 20)
    np.testing.assert_allclose(evaluate(model.predict_proba, domain), expected, atol=1e-6)
    np.testing.assert_allclose(domain.project(X), pipeline.transform(X))


def test_slices_name_their_axes_by_the_columns():
    frame = pd.DataFrame(X[:, :3], columns=["alcohol", "acid", "ash"])
    domain = Domain.slice(frame, ("ash", "alcohol"), "nearest")
    assert domain.axis_names == ("ash", "alcohol")
    assert Domain.slice(X, (2, 0)).axis_names == ("feature 2", "feature 0")


def test_the_axes_of_a_reducer_say_how_much_variance_they_show_where_it_knows():
    pipeline = make_pipeline(SCALER, PCA(2)).fit(X)
    shares = np.linalg.eigvalsh(np.corrcoef(X.T))[::-1] / 13
    expected = tuple(f"PCA {i + 1} ({100 * shares[i]:.0f} %)" for i in (0, 1))
    assert Domain.from_reducer(pipeline, X, resolution=3).axis_names == expected
    names = Domain.from_reducer(curved(), Z, resolution=3).axis_names
    assert names == ("KernelPCA 1", "KernelPCA 2")


def test_reducers_fitted_on_named_columns_are_asked_with_names(recwarn):
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(13)])
    domain = Domain.from_reducer(PCA(2).fit(frame), frame, resolution=3)
    domain.project(X)
    domain.points()
    assert not recwarn.list


@pytest.mark.parametrize(
    "form", [(8, 8), (1, 8, 8), (8, 8, 3), (3, 8, 8), "tensor", "dict"], ids=str
)
def test_samples_of_any_shape_lie_at_their_coordinates(form):
    rng = np.random.default_rng(0)
    if form == "dict":
        samples = [{"image": rng.random((8, 8)), "age": rng.random(1)} for _ in range(3)]
        flat = np.array([np.concatenate([part.ravel() for part in s.values()]) for s in samples])
    else:
        shape = (1, 8, 8) if form == "tensor" else form
        samples = [rng.random(shape) for _ in range(3)]
        flat = np.array([sample.ravel() for sample in samples])
        samples = [torch.tensor(s) for s in samples] if form == "tensor" else samples
    domain = Domain.through(*samples, resolution=9)
    a, b, c = flat
    along = np.linalg.norm(b - a)
    c1 = (c - a) @ (b - a) / along
    c2 = np.sqrt(((c - a) ** 2).sum() - c1**2)
    np.testing.assert_allclose(domain.anchors, [[0, 0], [along, 0], [c1, c2]], atol=1e-9)
    inputs = domain.embed(domain.anchors)
    if form == "dict":
        assert domain.input_shape == {"image": (8, 8), "age": (1,)}
        np.testing.assert_allclose(inputs["image"][1], samples[1]["image"])
    else:
        np.testing.assert_allclose(inputs[1], np.asarray(samples[1]))
        assert domain.points(0, 2).shape == (2, *samples[0].shape)
    np.testing.assert_allclose(domain.flatten(domain.anchor_inputs), flat)


def test_a_sample_may_be_a_plain_row():
    domain = Domain.through((0, 0, 1), (2, 0, 1), [1, 0, 4], margin=0.5, resolution=3)
    assert domain.input_shape == (3,)
    assert domain.extent == (-1, 3, -1.5, 4.5)


def test_the_principal_plane_of_a_subset_has_its_mean_in_the_middle_and_shows_all_data():
    mask = y == 0
    domain = Domain.principal(Z, subset=mask, resolution=5)
    np.testing.assert_allclose(domain.project(Z[mask]).mean(axis=0), 0, atol=1e-9)
    reference = PCA(2).fit(Z[mask])
    np.testing.assert_allclose(domain.project(Z), reference.transform(Z), atol=1e-9)
    assert domain.xlim[0] < domain.project(Z)[:, 0].min()
    same = Domain.principal(Z, subset=np.flatnonzero(mask), resolution=5)
    assert same == domain
    assert hash(same) == hash(domain)


def test_data_keep_their_shape():
    images = np.random.default_rng(0).random((20, 4, 4))
    for domain in (
        Domain.principal(images, resolution=5),
        Domain.from_reducer(PCA(2).fit(images.reshape(20, 16)), images, resolution=5),
        Domain.from_embedding(images, images[:, 0, :2], resolution=5),
    ):
        assert domain.input_shape == (4, 4)
        assert domain.points().shape == (25, 4, 4)
        assert domain.project(images).shape == (20, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_jobs value")
def test_umap_has_an_inverse_of_its_own():
    umap = pytest.importorskip("umap")
    reducer = umap.UMAP(n_components=2, random_state=0, n_epochs=20).fit(Z)
    domain = Domain.from_reducer(reducer, Z, resolution=4)
    assert domain.points().shape == (16, 13)
    np.testing.assert_array_equal(domain.points(), domain.points())


WITHOUT_INVERSE = r"transform and inverse_transform .*learn its inverse: Domain.from_embedding"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Domain.slice(X, (1, 1)), "two different columns"),
        (lambda: Domain.slice(X, (0, 13)), "X has 13 columns, 0 to 12"),
        (lambda: Domain.slice(X, (0, 1), "closest"), "'nearest', a row number"),
        (lambda: Domain.through(Z[0], Z[1], Z[1]), "the samples b and c are equal"),
        (lambda: Domain.through(Z[0], Z[2], (Z[0] + Z[2]) / 2), "lie on a line"),
        (lambda: Domain.through(Z[0], Z[1], Z[2, :5]), r"\(13,\), \(13,\) and \(5,\)"),
        (lambda: Domain.through(Z[0], Z[1], Z[2] * np.nan), "c holds NaN"),
        (lambda: Domain.through(Z[0], Z[1], Z[2], margin=-1), "margin=-1"),
        (lambda: Domain.through({"a": Z[0]}, {"b": Z[1]}, {"a": Z[2]}), "expected the same"),
        (lambda: Domain.principal(Z[:2]), "fewer than two directions"),
        (lambda: Domain.principal(Z, subset=y[:5] == 0), "subset: got bool .* a mask of 178"),
        (lambda: Domain.principal(Z, subset=y == 7), "at least one"),
        (lambda: Domain.principal(Z, subset=[0, 178]), "numbers of rows below that"),
        (lambda: Domain.principal(Z, components=np.eye(3)), r"expected \(2, 13\)"),
        (lambda: Domain.principal(Z, components=np.ones((2, 13))), "span no plane"),
        (lambda: Domain.from_reducer(TSNE(), Z), f"TSNE has no transform.*{WITHOUT_INVERSE}"),
        (lambda: Domain.from_reducer(PCA(2), Z), "PCA failed on transform: .*not fitted"),
        (lambda: Domain.from_reducer(KernelPCA(2).fit(Z), Z),
         "KernelPCA failed on inverse_transform.*fit_inverse_transform=True"),
        (lambda: Domain.from_reducer(PCA(3).fit(Z), Z), r"PCA.transform\(X\) .*two components"),
        (lambda: Domain.from_reducer(PCA(2).fit(Z), Z[:, :5]), "PCA failed on transform"),
        (lambda: Domain.from_embedding(Z, Z[:, :3]), r"shape \(178, 3\): expected \(178, 2\)"),
        (lambda: Domain.from_embedding(Z, Z[:5, :2]), r"expected \(178, 2\)"),
        (lambda: Domain.from_embedding(Z, Z[:, :2] * np.inf), "embedded holds NaN"),
        (lambda: Domain.from_embedding(Z, Z[:, :2], poor_above=0), "poor_above=0"),
        (lambda: Domain.from_embedding(Z[:5], Z[:5, :2]), "X has 5 rows: .* takes 10 or more"),
        (lambda: Domain.from_embedding(Z, np.zeros((178, 2))), "all places are the same"),
        (lambda: Domain.from_embedding(np.ones((20, 3)), Z[:20, :2]), "all rows are the same"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_spans_no_plane_says_how_to_mend_it(make, message):
    with pytest.raises(ValueError, match=message):
        make()
