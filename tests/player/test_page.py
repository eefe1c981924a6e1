"""The offline page: what is in the file, and what is refused."""

import base64
import json
import re
from functools import partial

import numpy as np
import pytest

import trainviz as tv
from trainviz.player.maps import thinned
from trainviz.player.page import page_of
from trainviz.recordings.packed import unpack

EVIL = "</script><img src=x onerror=alert(1)> $\\alpha$ \u202eabc\u2028 " + "x" * 200


def facts_of(page):
    return json.loads(re.search(r'id="trainviz-facts">(.*?)</script>', page, re.S)[1])


def record(n_classes=3, epochs=(0, 1, 2), **options):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20), **options)
    for epoch in epochs:
        model = partial(waves, n_classes=n_classes, epoch=epoch)
        recorder.capture(model, epoch=epoch, metrics={"loss": 1.0})
    return recorder.recording


def waves(X, n_classes, epoch):
    odds = np.exp(np.stack([np.sin(X[:, 0] * k + X[:, 1] + epoch) for k in range(n_classes)], 1))
    return odds / odds.sum(axis=1, keepdims=True)


def test_a_recording_writes_one_file_that_asks_for_nothing(recording, tmp_path):
    path = recording.save_page(tmp_path / "page.html", title="A run")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>A run</title>" in page
    assert not re.findall(r'(?:src|href)="', page)
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert "http://www.w3.org" in page
    assert not [url for url in re.findall(r"https?://[^\s\"'<]+", page) if "w3.org" not in url]


def test_the_scripts_are_those_that_the_policy_allows(recording, tmp_path):
    import hashlib

    page = recording.save_page(tmp_path / "page.html").read_text(encoding="utf-8")
    for element in ("style", "script"):
        (text,) = re.findall(rf'<{element}(?: type="module")?>(.*?)</{element}>', page, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in page


def test_it_holds_every_map_and_what_lies_over_it(recording, tmp_path):
    page = recording.save_page(tmp_path / "page.html").read_text(encoding="utf-8")
    facts = facts_of(page)["recordings"][0]
    maps = re.findall(r'id="trainviz-0-(\d+)">([^<]+)<', page)
    assert [int(number) for number, _ in maps] == list(range(len(recording)))
    for snapshot, (_, text) in zip(recording, maps, strict=True):
        found = unpack(base64.b64decode(text)).dense()
        np.testing.assert_allclose(found, snapshot.probabilities, atol=1 / 255 + 1e-6)
    assert facts["epochs"] == recording.epochs.tolist()
    assert facts["classes"] == recording.class_names
    assert set(facts["metrics"]) == set(recording.metrics)
    np.testing.assert_allclose(facts["points"]["x"], recording.data.points[:, 0], rtol=1e-5)
    assert facts["points"]["labels"] == recording.data_labels.tolist()
    coded = np.frombuffer(base64.b64decode(facts["points"]["predictions"]), "<u2")
    np.testing.assert_array_equal(
        coded.reshape(len(recording), -1)[2], recording.data_predictions(2)
    )


@pytest.mark.parametrize("metrics", [["loss", "extra"], [["loss"], ["extra"]]])
def test_metrics_are_chosen_by_name_also_what_no_snapshot_has(tmp_path, metrics):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20), every=2)
    for epoch in range(4):
        values = {"loss": 1.0, "other": 2.0} | ({"extra": 3.0} if epoch % 2 else {})
        recorder.capture(partial(waves, n_classes=3, epoch=epoch), epoch=epoch, metrics=values)
    film = tv.animate(recorder.recording, metrics=metrics)
    film.save(tmp_path / "page.html")
    (facts,) = facts_of((tmp_path / "page.html").read_text())["recordings"]
    assert facts["metrics"] == {"loss": [1, 1], "extra": [None, None]}


def test_marks_are_those_of_the_film(tmp_path):
    film = tv.animate(record(), annotate={1: "lr / 10", 1.5: "</script>"})
    film.save(tmp_path / "page.html")
    assert facts_of((tmp_path / "page.html").read_text())["marks"] == [
        [1, "lr / 10"], [1.5, "</script>"]
    ]  # fmt: skip


def test_a_limit_chooses_snapshots_and_the_page_knows_how_many_there_were(tmp_path):
    recording = record(epochs=range(10))
    page = recording.save_page(tmp_path / "page.html", limit=4).read_text()
    (facts,) = facts_of(page)["recordings"]
    assert facts["epochs"] == [0, 3, 6, 9]
    assert facts["total"] == 10
    assert recording.save_page(tmp_path / "one.html", limit=1).stat().st_size < len(page)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit=0"),
        ({"mode": "vague"}, "mode='vague'"),
        ({"ask": [2]}, "nothing is to come"),
        ({"ask": [-1]}, "nothing is to come"),
        ({"seconds": 0}, "seconds=0: expected a positive number"),
        ({"seconds": float("nan")}, "seconds=nan"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_left(tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        record().save_page(tmp_path / "page.html", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"annotate": [120]}, "annotate=[120]: expected epochs and texts"),
        ({"ask": 3}, "ask=3: expected a list of epochs"),
        ({"ask": "late"}, "ask='late': expected a list of epochs"),
        ({"ask": ["late"]}, "'late' is no epoch"),
    ],
)
def test_what_are_no_epochs_is_refused(tmp_path, options, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        record().save_page(tmp_path / "page.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_recording_makes_a_page_without_maps(tmp_path):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5))
    page = recorder.recording.save_page(tmp_path / "page.html", title="A run").read_text()
    assert facts_of(page) == {"title": "A run", "recordings": []}
    both = page_of([record(), recorder.recording], names=["one", "other"])
    assert [one["name"] for one in facts_of(both)["recordings"]] == ["one"]
    assert "No snapshot was captured of other." in facts_of(both)["note"]


def test_names_cannot_leave_the_text(tmp_path):
    recording = record(2, class_names=[EVIL, "b"])
    page = recording.save_page(tmp_path / "page.html", title=EVIL).read_text(encoding="utf-8")
    assert "<img" not in page
    assert page.count("</script>") == 3 + len(recording)
    assert facts_of(page)["title"] == EVIL
    assert facts_of(page)["recordings"][0]["classes"][0] == EVIL


def test_a_film_is_saved_as_a_page_with_its_mode_colours_and_texts(recording, tmp_path):
    film = tv.animate(
        recording, mode=tv.modes.Entropy(levels=0.5), cmap="magma", title="T", dark=True,
        interpolation="smooth", interpolate=5, fps=10,
    )  # fmt: skip
    facts = facts_of(film.save(tmp_path / "film.html", ask=recording.epochs[[1]]).read_text())
    assert (facts["mode"], facts["title"], facts["dark"]) == ("entropy", "T", True)
    assert (facts["interpolation"], facts["levels"]) == ("smooth", [0.5])
    assert facts["seconds"] == pytest.approx(len(film) / 10)
    assert facts["scales"]["film"] == facts["scales"]["magma"]
    assert facts["ask"] == recording.epochs[[1]].tolist()


def test_a_mode_that_only_python_paints_is_saved_as_a_video(recording, tmp_path):
    class Half(tv.Mode):
        name = "my-half"

        def values(self, probabilities):
            return probabilities[0] / 2

    page = tv.animate(recording, mode=Half()).save(tmp_path / "film.html").read_text()
    assert "video/mp4" in page


def test_a_difference_is_saved_as_a_page_of_both_recordings(recording, tmp_path):
    mode = tv.modes.Difference(recording[1:], of="birch")
    facts = facts_of(tv.animate(recording, mode=mode).save(tmp_path / "film.html").read_text())
    assert (facts["mode"], facts["part"]) == ("difference", 1)
    assert [len(one["epochs"]) for one in facts["recordings"]] == [5, 4]


def test_a_film_of_the_largest_classes_is_saved_with_their_colours(recording, tmp_path):
    mode = tv.modes.Region(top_k=2, outline=True)
    film = tv.animate(recording, mode=mode)
    facts = facts_of(film.save(tmp_path / "film.html").read_text())
    assert (facts["top"], facts["outline"]) == (2, True)
    kept = sorted(facts["recordings"][0]["order"][:2])
    shown = [colour.tolist() for _, colour in film.mode.legend(recording)[:2]]
    assert facts["palettes"]["film"][:2] == shown
    names = [name for name, _ in film.mode.legend(recording)[:2]]
    assert [recording.class_names[k] for k in kept] == names


def test_a_comparison_is_saved_as_a_page_of_several_recordings(recording, tmp_path):
    film = tv.compare([recording, recording[::2]], labels=["all", "half"])
    facts = facts_of(film.save(tmp_path / "film.html").read_text())
    assert [one["name"] for one in facts["recordings"]] == ["all", "half"]


def test_a_kymograph_is_the_map_along_a_line(recording):
    x0, x1, y0, _y1 = recording.domain.extent
    found = tv.kymograph(recording, (x0, y0), (x1, y0), n_points=recording.domain.shape[1])
    for snapshot, line in zip(recording, found.probabilities, strict=True):
        np.testing.assert_allclose(line, snapshot.probabilities[:, 0].T, atol=1e-6)
    assert found.classes.shape == (len(recording), recording.domain.shape[1])
    assert found.distances[-1] == pytest.approx(x1 - x0)


def test_a_kymograph_is_drawn(recording, tmp_path):
    x0, x1, y0, y1 = recording.domain.extent
    found = tv.kymograph(recording, (x0, y0), (x1, y1))
    found.still(tmp_path / "line.png", title="Across", dark=True)
    assert (tmp_path / "line.png").stat().st_size > 3000


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (((0, 0), (0, 0)), "no length"), (((0, 0), (99, 0)), "outside"),
        (((0,), (1,)), "two points"), ((3, (1, 1)), "start=3, .* two points"),
        (("ab", (1, 1)), "start='ab', .* two points"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(ends, message):
    with pytest.raises(ValueError, match=message):
        tv.kymograph(record(), *ends)


@pytest.mark.parametrize(("n_points", "error"), [(1, ValueError), (2.5, TypeError)])
def test_a_line_of_less_than_two_points_is_refused(n_points, error):
    with pytest.raises(error, match=f"n_points={n_points}: expected a whole number, 2 to"):
        tv.kymograph(record(), (-1, 0), (1, 0), n_points=n_points)


def test_a_dense_map_keeps_the_points_from_which_the_others_follow():
    y, x = np.mgrid[0:150, 0:130] / 25
    odds = np.exp([4 * np.sin(x * k + y) for k in (0.5, 0.8, 1.1)])
    wanted = (odds / odds.sum(axis=0)).astype(np.float32)
    found = thinned(wanted)
    assert len(found.gaps) < 0.4 * x.size
    assert np.abs(found.dense() - wanted).max() <= 1.5 / 255
    top = np.sort(wanted, axis=0)
    decided = top[-1] - top[-2] > 0.002
    assert (found.dense().argmax(axis=0) != wanted.argmax(axis=0))[decided].mean() < 0.0005


def test_a_recording_from_disk_makes_the_same_page(tmp_path, make_recording):
    recording = make_recording(snapshots=3)
    recording.save(tmp_path / "a.zarr", precision="float32")
    recording.save_page(tmp_path / "memory.html")
    tv.open_recording(tmp_path / "a.zarr").save_page(tmp_path / "disk.html")
    assert (tmp_path / "disk.html").read_text() == (tmp_path / "memory.html").read_text()


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_the_first_of_several_labels_is_shown_first(tmp_path, n_labels):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=5)
    recorder = tv.Recorder(domain, output="multilabel")
    recorder.capture(lambda X: (X[:, [0, 1, 0][:n_labels]] > 0) * 1.0, epoch=0)
    path = recorder.recording.save_page(tmp_path / "page.html")
    facts = facts_of(path.read_text(encoding="utf-8"))
    assert (facts["mode"], facts["of"]) == ("probability", 0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"errors": "x"}, "errors='x': expected"), ({"max_points": 0}, "max_points=0: expected"),
        ({"highlight": [4]}, "there is no point 4 among 1"), ({"dark": 3}, "dark=3: expected"),
        ({"title": 3}, "title=3: expected"), ({"subtitle": 3}, "subtitle=3: expected"),
        ({"shade": "x"}, "shade='x': expected True"), ({"counter": 3}, "counter=3: expected"),
        ({"counter": "{stp}"}, "counter='{stp}': expected"),
        ({"counter": "{step}"}, "the steps of this recording are not known"),
        ({"interpolation": "x"}, "interpolation='x': expected one of"),
        ({"metrics": 3}, "metrics=3: expected"), ({"metrics": [3]}, "metrics=[3]: expected"),
        ({"metrics": ["los"]}, "no metric 'los'; it has ['loss']"),
    ],
)  # fmt: skip
def test_a_page_refuses_what_a_film_refuses(option, message):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=5)
    recorder = tv.Recorder(domain, data=([[0, 0]], [1]))
    for epoch in range(2):
        recorder.capture(lambda X: X[:, 0] > 0, epoch=epoch, metrics={"loss": 1.0})
    for show in (page_of, lambda *args, **options: next(iter(tv.animate(*args, **options)))):
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            show(recorder.recording, **option)


def test_logarithms_are_mixed_only_if_there_are_some():
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5), output="values")
    recorder.capture(lambda X: X[:, 0], epoch=0)
    with pytest.raises(ValueError, match="mixes the logarithms of class probabilities"):
        page_of(recorder.recording, interpolation="geometric")


def test_facts_of_a_sample_are_of_its_points_alone():
    X = np.random.default_rng(1).uniform(-0.9, 0.9, (40, 2))
    groups = {"a": (X[:30], [0] * 30), "b": (X[30:], [1] * 10)}
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5), data=groups)
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    recording = recorder.recording
    scene = {"max_points": 12, "highlight": {"b": [2]}}
    points = facts_of(page_of(recording, **scene))["recordings"][0]["points"]
    rows = points["rows"]
    assert len(rows) == 12
    assert points["groups"] == recording.data.groups[rows].tolist()
    assert points["groupNames"] == ["a", "b"]
    assert points["labels"] == recording.data_labels[rows].tolist()
    assert points["highlights"] == [[rows.index(32), "2"]]
    coded = np.frombuffer(base64.b64decode(points["predictions"]), "<u2")
    assert coded.tolist() == recording.data_predictions(0)[rows].tolist()


def test_curves_have_the_metrics_of_every_epoch_not_only_of_those_captured(tmp_path):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20), every=4)
    for epoch in range(9):
        model = partial(waves, n_classes=3, epoch=epoch)
        values = {"loss": 1 / (1 + epoch)}
        if epoch % 4:
            recorder.log(epoch=epoch, metrics=values)
        else:
            recorder.capture(model, epoch=epoch, metrics=values)
    (facts,) = facts_of(page_of(recorder.recording))["recordings"]
    assert facts["metrics"]["loss"] == pytest.approx([1, 1 / 5, 1 / 9], abs=1e-6)
    assert facts["curves"]["places"] == [epoch / 4 for epoch in range(9)]
    assert facts["curves"]["metrics"]["loss"] == pytest.approx(
        [1 / (1 + epoch) for epoch in range(9)], abs=1e-6
    )
    assert facts_of(page_of(record()))["recordings"][0]["curves"] is None
