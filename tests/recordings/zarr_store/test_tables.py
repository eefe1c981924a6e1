"""Recordings on disk of domains that were made from tables."""

import json

import numpy as np
import pandas as pd
import pytest

import trainviz as tv
from trainviz.cli.main import main

N = 30
FRAME = pd.DataFrame({
    "age": np.arange(20, 20 + N),
    "city": (["Rome", "Paris", "Lyon"] * N)[:N],
    "since": pd.date_range("2020-01-01", periods=N, freq="D"),
    "score": np.where(np.arange(N) % 5 == 0, np.nan, 1.5),
})  # fmt: skip
Y = FRAME["age"].to_numpy() % 2


def predict(frame):
    return np.where(frame["city"] == "Rome", 0.9, 0.2)


def domain_of(features=("city", "age"), **options):
    return tv.Domain.slice(FRAME, features, resolution=6, **options)


def record(path, domain, epoch, **options):
    recorder = tv.Recorder(domain, path=path, data=(FRAME, Y), **options)
    recorder.capture(predict, epoch=epoch)
    recorder.close()
    return recorder.recording


@pytest.fixture
def path(tmp_path):
    record(tmp_path / "a.zarr", domain_of(), 0)
    return tmp_path / "a.zarr"


def edit(path, change):
    root = json.loads((path / "zarr.json").read_text())
    change(root["attributes"]["trainviz"]["domain"])
    (path / "zarr.json").write_text(json.dumps(root))


def test_what_is_drawn_is_stored(path):
    recording, domain = tv.open_recording(path), domain_of()
    assert recording.domain == domain
    assert recording.domain.matches(domain)
    assert recording.domain.axes == domain.axes
    assert repr(recording.domain) == repr(domain)
    assert np.isnan(recording.data.X).any()
    figures = [tv.animate(run).still() for run in (recording, record(None, domain, 0))]
    pictures = [np.asarray(figure.canvas.buffer_rgba()) for figure in figures]
    np.testing.assert_array_equal(*pictures)


def test_the_model_s_inputs_are_not_and_that_is_said(path):
    domain = tv.open_recording(path).domain
    for ask in (domain.points, lambda: domain.project(np.zeros((1, 4)))):
        with pytest.raises(tv.RecordingError, match="Make the domain again"):
            ask()


def test_a_run_is_continued_on_the_same_slice_only(path):
    assert record(path, domain_of(), 1, resume=True).epochs.tolist() == [0, 1]
    other = FRAME.assign(city=FRAME["city"].replace("Rome", "Oslo"))
    for stranger in (
        domain_of(fixed={"score": 2}), domain_of(fixed={"since": "2021-01-01"}),
        domain_of(("age", "city")), tv.Domain.slice(other, ("city", "age"), resolution=6),
    ):  # fmt: skip
        with pytest.raises(tv.RecordingError, match="was recorded on Domain"):
            tv.Recorder(stranger, path=path, resume=True)


def test_info_says_what_the_axes_show_and_what_is_fixed(path, capsys):
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "  grid       6 x 6, y 17.1 to 51.9, x Lyon, Paris, Rome\n" in out
    assert "  inputs     4 features (table)\n" in out
    assert "  fixed      {'since': '2020-01-15', 'score': 1.5}\n" in out


def test_a_missing_value_that_was_fixed_is_stored(tmp_path):
    domain = domain_of(fixed={"score": None})
    record(tmp_path / "b.zarr", domain, 0)
    assert tv.open_recording(tmp_path / "b.zarr").domain == domain
    assert tv.open_recording(tmp_path / "b.zarr").domain != domain_of()


def test_long_texts_and_infinities_are_stored_as_short_texts(tmp_path):
    frame = FRAME.assign(note="n" * 5000, city=FRAME["city"].str.repeat(2000))
    domain = tv.Domain.slice(frame, ("city", "age"), {"score": np.inf}, resolution=6)
    recorder = tv.Recorder(domain, path=tmp_path / "d.zarr")
    recorder.capture(lambda frame: frame["age"] > 30, epoch=0)
    recorder.close()
    again = tv.open_recording(tmp_path / "d.zarr").domain
    assert again == domain
    assert {len(name) for name in again.axes[0].categories} == {1000}
    assert again.embedding.fixed["score"] == "inf"


def test_what_preprocess_makes_of_tables_is_drawn_again(tmp_path):
    domain = domain_of(preprocess=lambda frame: frame[["age"]].to_numpy(float))
    recorder = tv.Recorder(domain, path=tmp_path / "c.zarr")
    recorder.capture(lambda X: X[:, 0] > 30, epoch=0)
    recorder.close()
    again = tv.open_recording(tmp_path / "c.zarr").domain
    assert again.axes == domain.axes
    assert again.matches(domain)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["table"]["axes"][0].update(kind="colour"),
        lambda d: d["table"]["axes"][0].update(categories=["x"] * 51),
        lambda d: d["table"]["axes"][0].update(categories=["x", "y"]),
        lambda d: d["table"]["axes"][0].update(categories="xyz"),
        lambda d: d["table"]["axes"][0].update(categories=["x" * 1001, "y", "z"]),
        lambda d: d["table"]["axes"][0].update(categories=[]),
        lambda d: d["table"]["axes"][1].update(categories=["x"]),
        lambda d: d["table"]["axes"][1].update(kind="date") or d.update(ylim=[0, 1e300]),
        lambda d: d["table"].update(axes=[]),
        lambda d: d["table"].update(features=[0, 0]),
        lambda d: d["table"].update(features=[0, 4]),
        lambda d: d["table"].update(fixed=[1, 2]),
        lambda d: d["table"].update(fixed=[{}, 1, 2, 3]),
        lambda d: d["table"].update(fixed=["x" * 1001, 1, 2, 3]),
        lambda d: d.update(feature_names=None),
        lambda d: d.update(table=7),
        lambda d: d.update(xlim=[-0.5, 3.5]),
    ],
)
def test_a_table_that_does_not_fit_is_damaged(path, change):
    edit(path, change)
    with pytest.raises(tv.RecordingError, match="its description is damaged"):
        tv.open_recording(path)
