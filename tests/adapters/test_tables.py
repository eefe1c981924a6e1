"""Maps of models that were fitted on tables are what these models say of tables made by hand."""

import pickle

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import trainviz as tv

N = 200
RNG = np.random.default_rng(0)
CITIES = np.array(["Lyon", "Paris", "Rome"])
PLANS = ["s", "m", "l"]
COLUMNS = {
    "age": RNG.integers(20, 70, N),
    "income": RNG.normal(3000, 500, N),
    "score": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
    "city": RNG.choice(CITIES, N),
    "member": RNG.random(N) < 0.5,
    "plan": RNG.choice(PLANS[:2], N),
}
Y = np.where(COLUMNS["income"] + 600 * (COLUMNS["city"] == "Rome") > 3200, "yes", "no")
FIXED = {"age": 31, "plan": "m", "member": True, "score": None}
ALONG = np.linspace(2000, 4000, 9)


def pandas_frame(columns):
    """Columns in the order and with the dtypes of the table that models are fitted on."""
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS})
    return frame.assign(plan=pd.Categorical(columns["plan"], PLANS))


def polars_frame(columns):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({name: columns[name] for name in COLUMNS})
    return frame.with_columns(polars.col("plan").cast(polars.Enum(PLANS)))


KINDS = {"pandas": pandas_frame, "polars": polars_frame}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def by_hand(make, city, income):
    count = len(income)
    return make({
        "age": np.full(count, 31), "income": income, "score": np.full(count, np.nan),
        "city": np.full(count, city), "member": np.full(count, True), "plan": ["m"] * count,
    })  # fmt: skip


def pipeline():
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income", "score"]),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "member", "plan"]),
    )
    return make_pipeline(columns, LogisticRegression(C=100))


def domain_of(frame, features=("income", "city"), resolution=(12, 9), **options):
    domain = tv.Domain.slice(frame, features, FIXED, resolution=resolution, margin=0, **options)
    if features != ("income", "city"):
        return domain
    # The same window as the frames made by hand.
    return tv.Domain((2000, 4000), domain.ylim, shape=domain.shape, embedding=domain.embedding,
                     axis_names=domain.axis_names, feature_names=domain.feature_names)  # fmt: skip


def captured(model, domain, **options):
    return tv.SklearnRecorder(model, domain, **options).start().recording


@each_kind
def test_the_map_of_a_pipeline_is_what_it_says_of_frames_made_by_hand(make):
    frame = make(COLUMNS)
    model = pipeline().fit(frame, Y)
    recording = captured(model, domain_of(frame), data=(frame, Y))
    probabilities = recording[-1].probabilities
    for band, city in enumerate(CITIES):
        wanted = model.predict_proba(by_hand(make, city, ALONG)).T.astype(np.float32)
        for line in range(4 * band, 4 * band + 4):
            np.testing.assert_array_equal(probabilities[:, line], wanted)
    assert recording[-1].evaluations == 3 * 9
    assert list(recording.class_names) == ["no", "yes"]
    guesses = np.array(recording.class_names)[recording.data_predictions(0)]
    np.testing.assert_array_equal(guesses, model.predict(frame))


@each_kind
def test_a_model_of_fewer_columns_is_asked_for_these_in_its_own_order(make):
    frame = make(COLUMNS)
    names = ["income", "age"]
    model = LogisticRegression().fit(frame[names], Y)
    recording = captured(model, domain_of(frame))
    wanted = model.predict_proba(by_hand(make, "Rome", ALONG)[names]).T
    np.testing.assert_array_equal(recording[-1].probabilities[:, 0], wanted.astype(np.float32))


def booster(package):
    if package == "lightgbm":
        return lightgbm.LGBMClassifier(n_estimators=8, verbose=-1)
    if package == "xgboost":
        return xgboost.XGBClassifier(n_estimators=8, enable_categorical=True)
    return catboost.CatBoostClassifier(
        n_estimators=8, verbose=0, allow_writing_files=False,
        cat_features=["city", "member", "plan"],
    )  # fmt: skip


@pytest.mark.parametrize("package", ["lightgbm", "xgboost", "catboost"])
def test_boosters_are_given_categories(package):
    def make(columns):
        frame = pandas_frame(columns)
        if package == "catboost":
            return frame.assign(plan=frame["plan"].astype(object))
        return frame.assign(city=pd.Categorical(frame["city"], CITIES))

    frame, y = make(COLUMNS), (Y == "yes").astype(int)
    model = booster(package).fit(frame, y)
    recording = captured(model, domain_of(frame), data=(frame, y))
    for band, city in enumerate(CITIES):
        wanted = model.predict_proba(by_hand(make, city, ALONG)).T.astype(np.float32)
        np.testing.assert_allclose(recording[-1].probabilities[:, 4 * band], wanted, atol=1e-6)
    np.testing.assert_array_equal(recording.data_predictions(0), model.predict(frame))


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_a_bare_booster_is_given_its_own_columns_of_a_table(package):
    frame, y = pandas_frame(COLUMNS), (Y == "yes").astype(int)
    own = frame[["plan", "income"]]
    model = booster(package).fit(own, y)
    bare = model.booster_ if package == "lightgbm" else model.get_booster()
    recording = tv.record(bare, domain_of(frame))
    wanted = model.predict_proba(by_hand(pandas_frame, "Rome", ALONG)[["plan", "income"]]).T
    np.testing.assert_allclose(recording[-1].probabilities[:, 0], wanted, atol=1e-6)


def test_groups_of_points_do_not_lie_on_one_another():
    frame = pandas_frame(COLUMNS)
    domain = tv.Domain.slice(frame, ("plan", "city"), resolution=24)
    groups = {"train": (frame[:100], Y[:100]), "test": (frame[100:], Y[100:])}
    recording = captured(pipeline().fit(frame, Y), domain, data=groups)
    assert len(np.unique(recording.data.points, axis=0)) == N
    with pytest.raises(
        ValueError, match=r"data\['test'\]=\(X, y\): X: the column 'city' holds 'Oslo'"
    ):
        captured(pipeline(), domain, data={**groups, "test": (frame.assign(city="Oslo"), Y)})


def test_stages_of_boosting_are_recorded_on_a_table():
    frame = pandas_frame(COLUMNS).assign(city=pd.Categorical(COLUMNS["city"], CITIES))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    model.fit(frame, Y)
    recording = tv.record_stages(model, domain_of(frame), every=5, data=(frame, Y))

    def make(columns):
        return pandas_frame(columns).assign(city=pd.Categorical(columns["city"], CITIES))

    wanted = model.predict_proba(by_hand(make, "Paris", ALONG)).T.astype(np.float32)
    np.testing.assert_array_equal(recording[-1].probabilities[:, 4], wanted)
    assert recording.domain.shape == recording[-1].probabilities.shape[1:]


@each_kind
def test_two_categories_are_a_cell_each(make):
    frame = make(COLUMNS)
    model = pipeline().fit(frame, Y)
    domain = tv.Domain.slice(frame, ("plan", "city"), {"age": 31}, resolution=24)
    recording = captured(model, domain)
    probabilities = recording[-1].probabilities
    assert recording[-1].evaluations == 2 * 3
    cells = probabilities.reshape(2, 3, 8, 2, 12)
    assert (cells == cells[:, :, :1, :, :1]).all()
    assert len(np.unique(cells[0, :, 0, :, 0])) == 6


def test_maps_with_categories_are_dense_and_smooth_ones_with_dates_are_not():
    frame = pandas_frame(COLUMNS).assign(since=pd.date_range("2020", periods=N, freq="D"))

    def predict(frame):
        days = (frame["since"] - pd.Timestamp("2020-04-01")).dt.total_seconds() / 86400
        return 1 / (1 + np.exp(-(days / 20 + (frame["income"] - 3000) / 300)))

    methods = {}
    for features in [("since", "income"), ("since", "city")]:
        recorder = tv.Recorder(tv.Domain.slice(frame, features, resolution=120))
        methods[features[1]] = recorder.capture(predict, epoch=0).method
    assert methods == {"income": "adaptive", "city": "dense"}


def test_a_category_that_the_model_never_saw_is_refused_before_training():
    frame = pandas_frame(COLUMNS)
    columns = make_column_transformer((OneHotEncoder(), ["city"]))
    model = make_pipeline(columns, LogisticRegression()).fit(
        frame[frame["city"] != "Rome"], Y[COLUMNS["city"] != "Rome"]
    )
    with pytest.raises(tv.EvaluationError, match=r"unknown categories .*'Rome'"):
        captured(model, domain_of(frame))


def test_what_is_wrong_is_named_with_its_category():
    frame = pandas_frame(COLUMNS)

    def predict(frame):
        return np.where(frame["city"] == "Paris", np.nan, 0.5)

    with pytest.raises(tv.PredictionError, match=r"the first is at x=2000, city = Paris"):
        tv.evaluate(predict, domain_of(frame))


def test_a_network_is_given_a_table_of_numbers_as_a_tensor_and_others_are_refused():
    torch = pytest.importorskip("torch")
    frame = pandas_frame(COLUMNS)
    numbers = frame[["age", "income", "member"]]
    module = torch.nn.Linear(3, 2)
    domain = tv.Domain.slice(numbers, ("age", "income"), {"member": True}, resolution=5)
    recording = tv.TorchRecorder(module, domain).start().recording
    points = domain.points().to_numpy(np.float32)
    wanted = module(torch.from_numpy(points)).softmax(dim=1).detach().numpy().T
    np.testing.assert_allclose(recording[-1].probabilities.reshape(2, -1), wanted, rtol=1e-5)
    with pytest.raises(tv.EvaluationError, match=r"columns \['city'.* preprocess="):
        tv.TorchRecorder(module, domain_of(frame)).start()


def test_lightning_tells_the_states_of_several_slices_apart():
    pytest.importorskip("lightning")
    slices = tv.Domain.slices(pandas_frame(COLUMNS), ("age", "income"), over="city")
    assert len({tv.LightningRecorder(domain).state_key for domain in slices.values()}) == 3


def test_a_recording_of_a_table_goes_to_other_processes():
    frame = pandas_frame(COLUMNS)
    recording = captured(pipeline().fit(frame, Y), domain_of(frame), data=(frame, Y))
    again = pickle.loads(pickle.dumps(recording))
    assert again.domain == recording.domain
    pd.testing.assert_frame_equal(again.domain.points(), recording.domain.points())
