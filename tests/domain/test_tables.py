"""Domains made from tables: what models are given, and what is refused before training."""

import datetime

import numpy as np
import pandas as pd
import pytest

import trainviz as tv

N = 60
RNG = np.random.default_rng(0)
PANDAS = pd.DataFrame({
    "age": np.arange(20, 20 + N),
    "income": RNG.normal(3000, 500, N).astype(np.float32),
    "city": (["Rome", "Paris", "Rome", "Lyon"] * N)[:N],
    "member": ([True, True, False] * N)[:N],
    "plan": pd.Categorical((["s", "m"] * N)[:N], ["s", "m", "l"], ordered=True),
    "since": pd.date_range("2020-01-01", periods=N, freq="D"),
    "score": np.where(np.arange(N) % 5 == 0, np.nan, np.arange(N, dtype=float)),
    "kids": pd.array(([0, 1, 2, 3] * N)[:N], dtype="Int8"),
})  # fmt: skip


def polars_frame():
    polars = pytest.importorskip("polars")
    return polars.DataFrame({
        "age": list(range(20, 20 + N)),
        "income": polars.Series(PANDAS["income"].to_numpy()),
        "city": PANDAS["city"].tolist(),
        "member": PANDAS["member"].tolist(),
        "plan": polars.Series(PANDAS["plan"].tolist(), dtype=polars.Enum(["s", "m", "l"])),
        "since": [day.to_pydatetime() for day in PANDAS["since"]],
        "score": [None if np.isnan(value) else value for value in PANDAS["score"]],
        "kids": polars.Series([int(kids) for kids in PANDAS["kids"]], dtype=polars.Int8),
    })  # fmt: skip


FRAMES = {"pandas": lambda: PANDAS, "polars": polars_frame}
each_kind = pytest.mark.parametrize("kind", FRAMES)


def schema(frame):
    return dict(zip(frame.columns, frame.dtypes, strict=True))


@each_kind
def test_points_are_frames_of_the_same_columns_dtypes_and_categories(kind):
    frame = FRAMES[kind]()
    points = tv.Domain.slice(frame, ("income", "city"), resolution=5).points()
    assert type(points) is type(frame)
    assert schema(points) == schema(frame)


@each_kind
def test_other_columns_stay_at_their_median_or_most_frequent_value(kind):
    points = tv.Domain.slice(FRAMES[kind](), ("income", "plan"), resolution=5).points()
    row = {name: points[name].to_list()[0] for name in points.columns}
    # The lower of two integers in the middle; 48 values of the score are known.
    assert (row["age"], row["city"], row["member"], row["kids"]) == (49, "Rome", True, 1)
    assert row["score"] == np.nanmedian(PANDAS["score"])
    assert pd.Timestamp(row["since"]) == PANDAS["since"][29]


@each_kind
def test_values_can_be_fixed_by_name(kind):
    fixed = {"city": "Paris", "member": False, "kids": 3, "since": "2021-05-06", "score": None}
    domain = tv.Domain.slice(FRAMES[kind](), ("age", "income"), fixed=fixed, resolution=3)
    points = domain.points()
    assert points["city"].to_list() == ["Paris"] * 9
    assert points["member"].to_list() == [False] * 9
    assert points["kids"].to_list() == [3] * 9
    assert pd.Timestamp(points["since"].to_list()[0]) == pd.Timestamp("2021-05-06")
    assert all(value is None or value != value for value in points["score"].to_list())


@each_kind
def test_integers_along_an_axis_become_floating_point(kind):
    points = tv.Domain.slice(FRAMES[kind](), ("age", "kids"), margin=0, resolution=3).points()
    assert points["age"].to_list()[:3] == [20.0, 49.5, 79.0]
    assert {str(points[name].dtype).lower() for name in ("age", "kids")} == {"float64"}


@each_kind
def test_dates_lie_along_an_axis_as_dates(kind):
    domain = tv.Domain.slice(FRAMES[kind](), ("since", "age"), margin=0, resolution=3)
    moments = [pd.Timestamp(value) for value in domain.points()["since"].to_list()[:3]]
    assert moments == [pd.Timestamp(2020, 1, 1), pd.Timestamp(2020, 1, 30, 12),
                       pd.Timestamp(2020, 2, 29)]  # fmt: skip
    assert domain.axes[0].kind == "date"


def test_dates_keep_their_time_zone():
    frame = PANDAS.assign(since=PANDAS["since"].dt.tz_localize("Asia/Tokyo"))
    points = tv.Domain.slice(frame, ("since", "age"), margin=0, resolution=3).points()
    assert points["since"].dtype == frame["since"].dtype
    assert points["since"][0] == frame["since"][0]
    utc = datetime.datetime(2021, 1, 1, tzinfo=datetime.timezone.utc)
    fixed = tv.Domain.slice(frame, ("age", "income"), {"since": utc}, resolution=3).points()
    assert (fixed["since"] == utc).all()


@each_kind
def test_each_category_has_a_band_of_the_same_number_of_grid_lines(kind):
    domain = tv.Domain.slice(FRAMES[kind](), ("city", "member"), resolution=20)
    assert domain.shape == (20, 21)
    assert domain.extent == (-0.5, 2.5, -0.5, 1.5)
    assert [axis.categories for axis in domain.axes] == [
        ("Lyon", "Paris", "Rome"), ("False", "True"),
    ]  # fmt: skip
    points = domain.points()
    assert points["city"].to_list()[:21] == ["Lyon"] * 7 + ["Paris"] * 7 + ["Rome"] * 7
    assert points["member"].to_list()[::21] == [False] * 10 + [True] * 10


@each_kind
def test_categories_follow_the_order_of_their_dtype_and_only_those_that_occur(kind):
    domain = tv.Domain.slice(FRAMES[kind](), ("plan", "age"), resolution=20)
    assert domain.axes[0].categories == ("s", "m")


@each_kind
def test_frames_with_columns_in_another_order_are_the_same_rows(kind):
    frame = FRAMES[kind]()
    domain = tv.Domain.slice(frame, ("age", "income"), resolution=3)
    np.testing.assert_array_equal(domain.flatten(frame[list(frame.columns)[::-1]]),
                                  domain.flatten(frame))  # fmt: skip
    back = domain.prepare(frame)
    assert back["city"].to_list() == frame["city"].to_list()
    assert back["plan"].to_list() == frame["plan"].to_list()


@pytest.mark.parametrize("values", [[1, 2, 3], [True, False, True], [2.5, 1.0, 2.5]])
def test_categories_of_numbers_are_categories(values):
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": pd.Categorical(values)})
    domain = tv.Domain.slice(frame, ("b", "a"), resolution=6)
    assert domain.axes[0].categories == tuple(map(str, sorted(set(values))))
    assert domain.points()["b"].dtype == frame["b"].dtype


def test_an_index_need_not_be_unique():
    doubled = PANDAS.set_axis([0] * N)
    domain = tv.Domain.slice(doubled, ("city", "age"), resolution=5)
    assert domain == tv.Domain.slice(PANDAS, ("city", "age"), resolution=5)
    np.testing.assert_array_equal(domain.flatten(doubled), domain.flatten(PANDAS))


def test_preprocess_is_given_tables():
    def encode(frame):
        return np.stack([frame["age"], frame["city"] == "Rome"], axis=1).astype(np.float32)

    domain = tv.Domain.slice(PANDAS, ("age", "city"), resolution=3, preprocess=encode)
    points = domain.points(dtype=np.float32)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[:, 1], np.repeat([0, 0, 1], 3))


def test_a_row_of_the_table_can_be_fixed_with_its_missing_values():
    points = tv.Domain.slice(PANDAS, ("age", "income"), fixed=5, resolution=2).points()
    assert points["score"].isna().all()
    same = tv.Domain.slice(PANDAS, ("age", "income"), fixed=PANDAS.iloc[5], resolution=2)
    pd.testing.assert_frame_equal(same.points(), points)


def test_a_table_of_numbers_alone_is_given_as_an_array_as_before():
    plain = PANDAS[["age", "income"]].assign(other=1.0)
    domain = tv.Domain.slice(plain, ("age", "income"), resolution=3)
    assert isinstance(domain.points(), np.ndarray)
    named = tv.Domain.slice(plain, ("age", "income"), fixed={"other": 7}, resolution=3)
    assert (named.points()["other"] == 7).all()


def test_texts_of_digits_are_categories():
    frame = PANDAS[["age", "income"]].assign(code=["75001", "10115", "75001"] * 20)
    points = tv.Domain.slice(frame, ("age", "income"), resolution=3).points()
    assert points["code"].tolist() == ["75001"] * 9


def test_slices_differ_in_one_fixed_value():
    domains = tv.Domain.slices(
        PANDAS, ("age", "income"), over="city", fixed={"kids": 2}, resolution=3
    )
    assert list(domains) == ["Lyon", "Paris", "Rome"]
    for city, domain in domains.items():
        assert set(domain.points()["city"]) == {city}
        assert set(domain.points()["kids"]) == {2}
        assert domain.extent == domains["Rome"].extent
    assert list(tv.Domain.slices(PANDAS, ("age", "income"), "kids", [0, 3])) == [0, 3]


def test_domains_are_equal_where_they_show_the_same():
    of = tv.Domain.slice
    domain = of(PANDAS, ("age", "income"), resolution=3)
    assert domain == of(polars_frame(), ("age", "income"), resolution=3)
    assert domain != of(PANDAS, ("age", "income"), {"city": "Paris"}, resolution=3)
    assert domain != of(PANDAS, ("income", "age"), resolution=3)
    assert len({domain, of(PANDAS, ("age", "income"), resolution=3)}) == 1


def test_a_domain_says_what_it_shows():
    domain = tv.Domain.slice(PANDAS[["since", "city", "score"]], ("since", "city"), resolution=9)
    assert repr(domain) == (
        "Domain('since' from 2019-12-26 to 2020-03-05; 'city' of Lyon, Paris, Rome; "
        "shape=(9, 9), fixed={'score': 30})"
    )


def test_distances_count_standard_deviations_and_differing_categories():
    frame = PANDAS[["age", "income", "city", "score"]]
    domain = tv.Domain.slice(frame, ("age", "income"), {"city": "Rome", "score": 30}, resolution=3)
    away = domain.distance(frame.assign(city=["Rome", "Paris"] * 30, score=30.0))
    np.testing.assert_array_equal(away, [0, 1] * 30)
    away = domain.distance(frame.assign(city="Rome", score=30 + frame["score"].std(ddof=0)))
    np.testing.assert_allclose(away, 1)
    away = domain.distance(frame.assign(city="Rome", score=np.nan))
    np.testing.assert_array_equal(away, 1)


@pytest.mark.parametrize("features", [("city", "age"), ("city", "plan")])
def test_data_are_scattered_within_their_bands_in_the_same_way_each_time(features):
    domain = tv.Domain.slice(PANDAS, features, resolution=9)
    exact = domain.project(PANDAS)
    points = domain.scattered(exact)
    np.testing.assert_array_equal(points, domain.scattered(exact))
    assert np.abs(points - exact)[:, 0].max() <= 0.35
    assert len(np.unique(points, axis=0)) == N
    moves = np.abs(points - exact)[:, 1].max()
    assert (moves == 0) if features[1] == "age" else (0.2 < moves <= 0.35)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f, {"fixed": {"city": "Oslo"}}, r"'city' holds 'Lyon', .*, not 'Oslo'"),
        (lambda f: f, {"fixed": {"town": "Rome"}}, r"no columns \['town'\]; its columns are"),
        (lambda f: f, {"fixed": {"age": 30}}, r"\['age'\] lie along the axes"),
        (lambda f: f, {"fixed": {"score": "low"}}, "'score' holds numbers, not 'low'"),
        (lambda f: f, {"fixed": {"since": "soon"}}, "'since' holds dates, not 'soon'"),
        (lambda f: f, {"fixed": {"member": "yes"}}, "'member' holds False, True, not 'yes'"),
        (lambda f: f, {"fixed": "nearest"}, "'nearest' is for arrays"),
        (lambda f: f, {"fixed": 99}, "X has 60 rows"),
        (lambda f: f, {"fixed": [1, 2]}, "a row of 8 values"),
        (lambda f: f, {"features": ("age", "town")}, "no column 'town'"),
        (lambda f: f, {"features": ("age", "age")}, "two different columns"),
        (lambda f: f, {"input_shape": (8,)}, "hands tables to the model; leave it out"),
        (lambda f: f.assign(city=[f"town {k}" for k in range(N)]), {"features": ("city", "age")},
         "60 different values, .* at most 50"),
        (lambda f: f.assign(city=None), {}, r"'city' has no values, .*fixed=\{'city': None\}"),
        (lambda f: f.assign(score=np.nan), {"features": ("score", "age")}, "cannot lie along"),
        (lambda f: f.assign(score=np.inf), {"features": ("score", "age")}, "holds infinities"),
        (lambda f: f.assign(city=[[1]] * N), {}, r"\[\[1\]\], which cannot be told apart"),
        (lambda f: pd.concat([f, f[["age"]]], axis=1), {}, "several columns named 'age'"),
        (lambda f: f.iloc[:0], {}, r"X has the shape \(0, 8\)"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(change, options, message):
    with pytest.raises(ValueError, match=message):
        tv.Domain.slice(change(PANDAS), **{"features": ("age", "income"), **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "town"}, "no such column"),
        ({"over": "age"}, "0 values; expected 1 to 50: give values="),
        ({"over": "city", "values": ["Oslo"]}, "not 'Oslo'"),
        ({"over": "city", "fixed": "mean"}, "values by the names of columns"),
    ],
)
def test_bad_slices_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tv.Domain.slices(PANDAS, ("age", "income"), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(city="Oslo"), "'city' holds 'Oslo', which the table of the domain"),
        (lambda f: f.drop(columns="plan"), r"\['plan'\] are not among"),
        (lambda f: f.assign(age=np.nan), "'age' lies along an axis and has no finite .* row 0"),
        (lambda f: f.assign(score="high"), "'score' holds numbers in the table .* convert it"),
        (lambda f: f.to_numpy(), "expected a DataFrame with the columns"),
        (lambda f: pd.concat([f, f[["age"]]], axis=1), r"\['age'\] are there several times"),
    ],
)
def test_data_that_do_not_fit_the_table_are_refused(change, message):
    domain = tv.Domain.slice(PANDAS, ("age", "income"), resolution=3)
    with pytest.raises(ValueError, match=message):
        tv.Recorder(domain, data=(change(PANDAS), np.zeros(N, int)))
