"""What a recording shows of itself in Jupyter."""

import base64
import io
import re

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

import trainviz as tv
from trainviz.recordings.time_axis import Moment


def table(recording):
    """The rows of the table, as a notebook is given them."""
    shown, _ = DisplayFormatter().format(recording)
    return dict(re.findall("<tr><th>(.*?)</th><td>(.*?)</td></tr>", shown["text/html"]))


def pictures(recording):
    """Every picture and the text below it."""
    shown = recording._repr_html_()
    encoded = re.findall('<img src="data:image/png;base64,([^"]+)">', shown)
    texts = re.findall("<td>((?:epoch|step) [^<]*)</td>", shown)
    images = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        for data in encoded
    ]
    return list(zip(texts, images, strict=True))


def test_the_table_says_what_is_in_the_recording(recording):
    assert table(recording) == {
        "snapshots": "5",
        "epochs": "0 to 40",
        "classes": "3: ash, birch, cedar",
        "grid": "12 x 16, x -2 to 2, y -1.5 to 1.5",
        "maps": "evaluated at every grid point",
        "data": "6 points",
        "metrics": "loss 1, accuracy 1 (the last)",
    }


@pytest.mark.parametrize(
    ("snapshots", "epochs"),
    [
        (1, [0]),
        (2, [0, 10]),
        (5, [0, 10, 20, 30, 40]),
        (6, [0, 20, 40, 50]),
        (41, [0, 100, 200, 300, 400]),
    ],
)
def test_at_most_five_maps_from_the_first_to_the_last(make_recording, snapshots, epochs):
    shown = pictures(make_recording(snapshots=snapshots))
    assert [text for text, _ in shown] == [f"epoch {epoch}" for epoch in epochs]


def test_the_maps_are_those_of_a_film_and_as_wide_as_the_window(recording):
    paint = tv.animate(recording).painter((96, 128))
    for index, (_, picture) in enumerate(pictures(recording)):
        assert np.array_equal(picture, paint(Moment(index, 0.0)))
    narrow = tv.Recorder(tv.Domain((0, 1), (0, 100), points_per_axis=5))
    narrow.capture(lambda X: X[:, 0], epoch=0)
    ((_, picture),) = pictures(narrow.recording)
    assert picture.shape == (96, 48, 3)


def test_a_recording_of_nothing_is_a_table_alone():
    empty = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5)).recording
    assert table(empty) == {
        "snapshots": "0",
        "classes": "unknown yet",
        "grid": "5 x 5, x 0 to 1, y 0 to 1",
        "metrics": "none",
    }
    assert pictures(empty) == []


def test_many_classes_are_not_all_named(make_recording):
    names = [f"c{index}" for index in range(12)]
    shown = table(make_recording(12, class_names=names))
    assert shown["classes"] == "12: c0, c1, c2, c3, c4, c5, c6, c7, ..."


def test_names_are_text_and_never_markup(make_recording):
    shown = make_recording(class_names=["<script>", "a & b", "c"])._repr_html_()
    assert "&lt;script&gt;, a &amp; b, c" in shown
    assert "<script>" not in shown


def test_regression_and_labels_say_what_they_are():
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=9)
    price = tv.Recorder(domain, output="values", class_names=["price"])
    price.capture(lambda X: X[:, 0], epoch=0)
    assert table(price.recording)["value"] == "price"
    assert len(pictures(price.recording)) == 1
    tags = tv.Recorder(domain, output="multilabel", class_names=["red", "round"])
    tags.capture(lambda X: 1 / (1 + np.exp(-X)), epoch=0)
    assert table(tags.recording)["labels"] == "2: red, round"
    assert pictures(tags.recording) == []


def test_a_damaged_snapshot_leaves_the_table(recording, tmp_path):
    recording.save(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/probabilities/c.2.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-20])
    damaged = tv.open_recording(tmp_path / "a.zarr")
    assert table(damaged)["snapshots"] == "5"
    assert pictures(damaged) == []


def test_a_metric_that_ends_early_shows_its_last_value():
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
    for epoch, metrics in enumerate([{"loss": 2.0, "lr": 0.1}, {"loss": 1.23456789}]):
        recorder.capture(lambda X: X[:, 0], epoch=epoch, metrics=metrics)
    assert table(recorder.recording)["metrics"] == "loss 1.235, lr 0.1 (the last)"
