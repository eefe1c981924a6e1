"""Columns are matched by name: the model's, the domain's and those of the data."""

import importlib

import numpy as np
import pandas as pd
import pytest
import skorch
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainviz import Domain, EvaluationError, SklearnRecorder, TorchRecorder, open_recording

RNG = np.random.default_rng(0)
AGE, INCOME = RNG.uniform(20, 80, 200), RNG.uniform(1000, 5000, 200)
Y = (AGE > 50).astype(int)
FRAME = pd.DataFrame({"age": AGE, "income": INCOME})
SWAPPED = FRAME[["income", "age"]]


def model():
    return make_pipeline(StandardScaler(), LogisticRegression(C=1e4)).fit(FRAME, Y)


def captured(fitted, domain, **options):
    return SklearnRecorder(fitted, domain, **options).start().recording


def test_a_model_is_asked_in_its_own_order_of_columns():
    recording = captured(model(), Domain.around(SWAPPED, resolution=9), data=(FRAME, Y))
    old = recording[-1].probabilities[1]
    # The y axis is the age here.
    assert (old[0] < 0.01).all()
    assert (old[-1] > 0.99).all()
    assert (recording.data_predictions(0) == Y).mean() == model().score(FRAME, Y)


def test_data_in_another_order_lie_where_they_belong():
    domain = Domain.around(FRAME, resolution=9)
    recording = captured(model(), domain, data=(SWAPPED, Y))
    np.testing.assert_array_equal(recording.data.points, FRAME)
    np.testing.assert_array_equal(domain.project(SWAPPED), FRAME)


def test_foreign_names_are_refused():
    foreign = FRAME.rename(columns={"income": "wage"})
    with pytest.raises(ValueError, match=r"\['income'\] are not among .*'wage'.*matched by name"):
        captured(model(), Domain.around(FRAME, resolution=9), data=(foreign, Y))
    with pytest.raises(EvaluationError, match=r"\['income'\] are not among"):
        captured(model(), Domain.around(foreign, resolution=9))


def test_text_columns_that_nobody_uses_do_not_matter():
    wide = pd.DataFrame({"name": ["x"] * 200, "income": INCOME, "city": ["y"] * 200, "age": AGE})
    domain = Domain.around(wide, resolution=9)
    assert domain.axis_names == ("income", "age")
    assert domain == Domain.around(SWAPPED, resolution=9)
    assert Domain.around(wide, resolution=9, features=(3, 1)).axis_names == ("age", "income")
    recording = captured(model(), domain, data=(wide, Y))
    np.testing.assert_array_equal(recording.data.points, SWAPPED)
    recording = captured(
        model(), Domain.around(wide, resolution=9, features=(3, 1)), data=(wide, Y)
    )
    np.testing.assert_array_equal(recording.data.points, FRAME)


def test_a_domain_of_limits_can_name_its_features():
    domain = Domain((1000, 5000), (20, 80), points_per_axis=9, feature_names=["income", "age"])
    assert (captured(model(), domain)[-1].probabilities[1][-1] > 0.99).all()
    with pytest.raises(ValueError, match="expected 2 names"):
        Domain((0, 1), (0, 1), points_per_axis=9, feature_names=["age"])


def test_the_names_are_stored(tmp_path):
    captured(model(), Domain.around(FRAME, resolution=9), path=tmp_path / "a.zarr")
    assert open_recording(tmp_path / "a.zarr").domain.feature_names == ("age", "income")


def test_a_transformer_is_given_its_own_columns():
    scaler = StandardScaler().set_output(transform="pandas").fit(FRAME)
    fitted = LogisticRegression(C=1e4).fit(scaler.transform(FRAME), Y)
    recording = captured(fitted, Domain.around(SWAPPED, resolution=9, preprocess=scaler))
    np.testing.assert_allclose(
        recording[-1].probabilities,
        captured(model(), Domain.around(SWAPPED, resolution=9))[-1].probabilities,
        atol=1e-3,
    )


def test_what_preprocess_returns_reaches_the_model_as_it_is():
    seen = []

    def frame(X):
        return pd.DataFrame(X[:, ::-1], columns=["age", "income"])

    def predict(fitted, points):
        seen.append(points)
        return fitted.predict_proba(points)

    domain = Domain((1000, 5000), (20, 80), points_per_axis=9, preprocess=frame)
    recording = captured(model(), domain, predict=predict)
    assert all(list(points.columns) == ["age", "income"] for points in seen)
    assert (recording[-1].probabilities[1][-1] > 0.99).all()
    assert (captured(model(), domain)[-1].probabilities[1][-1] > 0.99).all()


def test_single_precision_stays_single():
    seen = set()

    def predict(fitted, points):
        seen.add(points.dtype)
        return fitted.predict_proba(points)

    domain = Domain.around(FRAME.to_numpy(), resolution=9, preprocess=np.float32)
    captured(LogisticRegression().fit(FRAME.to_numpy(), Y), domain, predict=predict)
    assert seen == {np.dtype(np.float32)}


def test_a_table_reaches_a_torch_module_as_a_tensor():
    domain = Domain((0, 1), (0, 1), points_per_axis=5, preprocess=lambda X: pd.DataFrame(X))
    plain = Domain((0, 1), (0, 1), points_per_axis=5)
    module = torch.nn.Linear(2, 2)
    maps = [TorchRecorder(module, on).start().recording[-1].probabilities for on in (domain, plain)]
    np.testing.assert_array_equal(*maps)


def test_a_skorch_classifier_can_be_recorded():
    X = ((FRAME - FRAME.mean()) / FRAME.std()).to_numpy(np.float32)
    net = skorch.NeuralNetClassifier(
        torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softmax(dim=1)), max_epochs=2,
        verbose=0, train_split=None, criterion=torch.nn.CrossEntropyLoss,
    ).fit(X, Y)  # fmt: skip
    domain = Domain.around(X, resolution=9, preprocess=np.float32)
    recording = captured(net, domain, data=(X, Y))
    assert (recording.data_predictions(0) == net.predict(X)).all()


@pytest.mark.parametrize(
    ("package", "name", "options"),
    [
        ("xgboost", "XGBClassifier", {"n_estimators": 5}),
        ("lightgbm", "LGBMClassifier", {"n_estimators": 5, "verbose": -1}),
        ("catboost", "CatBoostClassifier",
         {"n_estimators": 5, "verbose": 0, "allow_writing_files": False}),
    ],
)  # fmt: skip
def test_boosters_are_asked_by_their_names(package, name, options):
    kind = getattr(importlib.import_module(package), name)
    named = kind(**options).fit(FRAME, Y)
    recording = captured(named, Domain.around(SWAPPED, resolution=9), data=(FRAME, Y))
    assert (recording.data_predictions(0) == named.predict(FRAME)).all()
    plain = kind(**options).fit(SWAPPED.to_numpy(), Y)
    recording = captured(plain, Domain.around(SWAPPED, resolution=9), data=(SWAPPED, Y))
    assert (recording.data_predictions(0) == plain.predict(SWAPPED.to_numpy())).all()


ROOMS, FLOOR = RNG.integers(1, 5, 200), RNG.integers(0, 3, 200)
HOUSES = pd.DataFrame({
    "size": AGE.astype(np.float32), "rooms": ROOMS, "floor": pd.Categorical(FLOOR),
    "balcony": FLOOR > 1, "garden": pd.array(FLOOR == 0, dtype="boolean"), "year": 1900 + ROOMS,
    "price": INCOME,
})  # fmt: skip


class Types(LogisticRegression):
    """Remembers the types of the tables that it is asked with."""

    def predict_proba(self, X):
        self.seen_ = [*getattr(self, "seen_", []), dict(X.dtypes)]
        return super().predict_proba(X)


def types_seen(domain, **options):
    fitted = Types(max_iter=1).fit(HOUSES, Y)
    captured(fitted, domain, **options)
    return fitted.seen_


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize("fixed", ["nearest", 7])
@pytest.mark.parametrize("options", [{}, {"data": (HOUSES, Y)}], ids=["grid", "data"])
def test_columns_that_do_not_vary_keep_their_types(fixed, options):
    domain = Domain.around(HOUSES, resolution=9, features=("price", "year"), fixed=fixed)
    wanted = {**HOUSES.dtypes, "price": np.dtype(float), "year": np.dtype(float)}
    assert all(types == wanted for types in types_seen(domain, **options))


@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_a_mean_of_integers_is_no_integer_and_a_category_has_no_mean():
    domain = Domain.around(HOUSES, resolution=9, features=("price", "size"))
    seen = types_seen(domain)[0]
    assert seen["rooms"] == seen["size"] == np.dtype(float)
    assert seen["floor"] == HOUSES.floor.dtype
    row = dict(zip(HOUSES.columns, domain.points(0, 1)[0], strict=True))
    assert row["rooms"] == pytest.approx(ROOMS.mean())
    assert row["floor"] == np.bincount(FLOOR).argmax()
    assert row["balcony"] == (np.bincount(FLOOR > 1).argmax())


@pytest.mark.parametrize(
    ("package", "name", "options"),
    [
        ("lightgbm", "LGBMClassifier", {"n_estimators": 5, "verbose": -1}),
        ("xgboost", "XGBClassifier", {"n_estimators": 5, "enable_categorical": True}),
        ("sklearn.ensemble", "HistGradientBoostingClassifier", {"max_iter": 5}),
    ],
)
def test_models_of_categories_are_asked_with_categories(package, name, options):
    table = HOUSES[["price", "floor", "size"]]
    labels = FLOOR > 0
    fitted = getattr(importlib.import_module(package), name)(**options).fit(table, labels)
    domain = Domain.around(table[["floor", "size", "price"]], resolution=9,
                           features=("size", "price"), fixed=0)  # fmt: skip
    recording = captured(fitted, domain, data=(table, labels))
    assert (recording.data_predictions(0) == fitted.predict(table)).all()
    points = pd.DataFrame(domain.points(), columns=["floor", "size", "price"])
    points["floor"] = points["floor"].astype(table.floor.dtype)
    wanted = fitted.predict_proba(points[["price", "floor", "size"]]).T.reshape(2, 9, 9)
    np.testing.assert_allclose(recording[0].probabilities, wanted, atol=1e-6)


def test_the_advice_for_a_model_of_text_columns_works():
    table = FRAME.assign(city=np.where(Y, "Rome", "Oslo"))
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    fitted = make_pipeline(encoder, StandardScaler(), LogisticRegression()).fit(table, Y)
    with pytest.raises(EvaluationError, match=r"text are supplied by preprocess=, .*\.assign\("):
        captured(fitted, Domain.around(table, resolution=9))
    domain = Domain.around(
        table, resolution=9,
        preprocess=lambda X: pd.DataFrame(X, columns=["age", "income"]).assign(city="Rome"),
    )  # fmt: skip
    assert captured(fitted, domain)[0].probabilities[1].mean() > 0.9
