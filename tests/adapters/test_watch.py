"""``watch``: the recorder of any model and its data, and a line of code that makes the same."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import trainviz as tv

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(int)
WORDS = np.array(["left", "right"])[Y]
WIDE = RNG.normal(size=(60, 5))
IMAGES = RNG.normal(size=(60, 1, 8, 8))
FRAME = pd.DataFrame({"noise": X[:, 1], "age": 40 + 9 * X[:, 0], "income": X[:, 0] ** 3,
                      "city": np.array(["Oslo", "Rome"])[Y]})  # fmt: skip
TENSORS = TensorDataset(torch.tensor(X), torch.tensor(Y))


def keras_model(*layers, loss="sparse_categorical_crossentropy"):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(loss=loss)
    return model


def core(recorder):
    return getattr(recorder, "recorder", recorder)


def watched(capsys, model, *data, **options):
    """Return the recorder and its line, after checking that the line makes the same one."""
    recorder = tv.watch(model, *data, **options)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    names = dict(zip(("X", "y"), data, strict=False))
    twin = eval(line, {"tv": tv, "model": model, **names, **options})
    assert type(twin) is type(recorder)
    one, other = core(recorder), core(twin)
    assert one.domain == other.domain or one.domain.matches(other.domain)
    assert repr(one.schedule) == repr(other.schedule)
    ours, theirs = one.recording, other.recording
    assert (ours.given_names, ours.given_classes) == (theirs.given_names, theirs.given_classes)
    assert ours.output == theirs.output
    assert (ours.data is None) == (theirs.data is None)
    assert ours.data is None or ours.data.matches(theirs.data)
    return recorder, line.strip()


LINEAR = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("model", "data", "options", "line"),
    [
        (LINEAR, (X, Y), {"every": 5, "class_names": ["a", "b"]},
         "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1), data=(X, y), every=5, "
         "class_names=['a', 'b'])"),
        (LINEAR, (X,), {}, "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1), "
         "data=(X, None))"),
        (LINEAR, (X, pd.Series(WORDS, dtype="category")), {"resolution": (9, 8)},
         "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1, resolution=(9, 8)), "
         "data=(X, y), classes=['left', 'right'])"),
        (LINEAR, (X, X[:, 0]), {}, "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1), "
         "output='values', data=(X, y))"),
        (LINEAR, (X, (X > 0).astype(int)), {},
         "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1), output='multilabel_logits', "
         "data=(X, y))"),
        (nn.Sequential(LINEAR, nn.Sequential(nn.Softmax(1))), (X, Y), {},
         "tv.TorchRecorder(model, tv.Domain.around(X, margin=0.1), output='probabilities', "
         "data=(X, y))"),
        (LINEAR, (TENSORS,), {}, "tv.TorchRecorder(model, tv.Domain.around(X.tensors[0], "
         "margin=0.1), data=(X.tensors[0], X.tensors[1]))"),
        (LINEAR, (DataLoader(TENSORS),), {}, "tv.TorchRecorder(model, tv.Domain.around("
         "X.dataset.tensors[0], margin=0.1), data=(X.dataset.tensors[0], X.dataset.tensors[1]))"),
        (nn.Linear(5, 2), (WIDE, Y), {}, "tv.TorchRecorder(model, tv.Domain.principal(X, "
         "margin=0.1), data=(X, y))"),
        (nn.Flatten(), (IMAGES, Y), {}, "tv.TorchRecorder(model, tv.Domain.principal(X, "
         "margin=0.1), data=(X, y))"),
        (nn.Linear(4, 3), (load_iris(),), {}, 'tv.TorchRecorder(model, tv.Domain.principal('
         'X["data"], margin=0.1), data=(X["data"], X["target"]), class_names=['
         "'setosa', 'versicolor', 'virginica'])"),
        (BoringModel(), (X, Y), {"at": [3, 4]}, "tv.LightningRecorder(tv.Domain.around(X, "
         "margin=0.1), data=(X, y), at=[3, 4])"),
        (SGDClassifier(loss="log_loss"), (X, WORDS), {}, "tv.SklearnRecorder(model, "
         "tv.Domain.around(X, margin=0.1), data=(X, y))"),
        (SGDClassifier(), (X, WORDS), {}, "tv.SklearnRecorder(model, tv.Domain.around(X, "
         "margin=0.1), output='labels', data=(X, y))"),
        (SGDRegressor(), (load_diabetes(),), {}, 'tv.SklearnRecorder(model, tv.Domain.principal('
         "X[\"data\"], margin=0.1), output='values', data=(X[\"data\"], X[\"target\"]))"),
        (DecisionTreeClassifier(), (FRAME, Y), {}, "tv.SklearnRecorder(model, tv.Domain.slice(X, "
         "('age', 'income'), margin=0.1), data=(X, y))"),
        (DecisionTreeClassifier(), (FRAME[["age", "noise"]],), {"background": True},
         "tv.SklearnRecorder(model, tv.Domain.around(X, margin=0.1), data=(X, None), "
         "background=True)"),
        (len, (X, WORDS), {"class_names": ["right", "left"]}, "tv.Recorder(tv.Domain.around(X, "
         "margin=0.1), data=(X, y), class_names=['right', 'left'])"),
    ],
)  # fmt: skip
def test_what_was_chosen_is_a_line_that_makes_the_same_recorder(capsys, model, data, options, line):
    assert watched(capsys, model, *data, **options)[1] == line


def test_a_keras_model_returns_what_its_loss_takes(capsys):
    keras = pytest.importorskip("keras")
    softmax = keras_model(keras.layers.Dense(2, activation="softmax"))
    line = "tv.KerasRecorder(tv.Domain.around(X, margin=0.1), {}data=(X, y))"
    assert watched(capsys, softmax, X, Y)[1] == line.format("")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits = keras_model(keras.layers.Dense(2), loss=loss)
    assert watched(capsys, logits, X, Y)[1] == line.format("output='logits', ")
    # A fitted model is drawn by the same choice.
    assert tv.record(logits, X, resolution=5)[0].probabilities.min() >= 0


def test_what_is_no_literal_keeps_its_name(capsys):
    def predict(model, points):
        return model(points)

    recorder, line = watched(capsys, LINEAR, X, Y, predict=predict)
    assert "predict=predict" in line
    assert len(recorder.start().recording) == 1


def test_of_many_points_every_kth_one_is_drawn_and_no_label_is_lost(capsys):
    many = RNG.normal(size=(7000, 3))
    labels = np.tile(np.arange(4), 1750)  # every fourth point has the same label
    recorder, line = watched(capsys, nn.Linear(3, 4), many, labels)
    assert line.endswith("tv.Domain.principal(X[::5], margin=0.1), data=(X[::5], y[::5]))")
    assert set(recorder.recording.data.y) == {0, 1, 2, 3}
    assert len(tv.record(nn.Linear(3, 4), many, labels, resolution=5).data.y) == 7000


def test_a_record_of_a_fitted_model_has_the_same_window_and_names(capsys):
    iris = load_iris()
    recorder, _ = watched(capsys, nn.Linear(4, 3), iris, resolution=9)
    recording = tv.record(nn.Linear(4, 3), iris, resolution=9)
    assert recording.domain == recorder.recorder.domain
    assert recording.class_names == list(iris.target_names)
    ended = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    with torch.no_grad():
        wanted = ended(torch.tensor([[0.0, 0.0]])).item()
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=3)
    assert tv.record(ended, domain)[0].probabilities[1, 1, 1] == pytest.approx(wanted)


def test_training_of_a_watched_model_is_recorded(capsys):
    model = nn.Linear(2, 3)  # one output more than there are labels
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    points, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)
    with tv.watch(model, points, labels, resolution=20) as recorder:
        for epoch in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(points), labels).backward()
            optimizer.step()
            recorder.epoch_end(epoch)
    recording = recorder.recording
    assert capsys.readouterr().out.startswith("tv.TorchRecorder(")
    assert recording.epochs.tolist() == [0, 1, 2, 3]
    assert recording.class_names == ["0", "1", "2"]
    with torch.no_grad():
        wanted = model(points).argmax(1).numpy()
    np.testing.assert_array_equal(recording.data_predictions(-1), wanted)


class Stream(Dataset):
    def __getitem__(self, index):
        raise AssertionError("not to be asked")


@pytest.mark.parametrize(
    ("model", "data", "options", "error", "message"),
    [
        ("model", (X, Y), {}, TypeError, "nn.Module, a LightningModule, a keras.Model, an estim"),
        (nn.Linear, (X, Y), {}, TypeError, "Linear is a class: give an instance"),
        (LINEAR, (X[:, :1], Y), {}, ValueError, "two columns or more"),
        (LINEAR, (X[:, 0], Y), {}, ValueError, r"the shape \(60,\)"),
        (LINEAR, (FRAME[["age"]], Y), {}, ValueError, r"the columns \['age'\]"),
        (LINEAR, (["good", "bad"], [1, 0]), {}, TypeError, "For texts make a domain of their emb"),
        (LINEAR, (np.where(X > 2, np.nan, X), Y), {}, ValueError, "NaN or infinities"),
        (LINEAR, (X, Y[:-1]), {}, ValueError, "X has 60 rows and y 59 labels"),
        (LINEAR, (X, [*Y[:-1], None]), {}, ValueError, "y lacks the label of 1 of 60"),
        (LINEAR, (X, WORDS), {}, ValueError, r"'left', 'right', .* not known: give classes="),
        (LINEAR, (X, X[:, 0]), {"output": "logits"}, ValueError, "y holds fractions.*'values'"),
        (LINEAR, (TENSORS, Y), {}, TypeError, "y= is given twice"),
        (LINEAR, (Stream(),), {}, TypeError, r"X, y = next\(iter\(DataLoader"),
        (len, (X, Y), {"predict": len}, TypeError, "give watch the callable itself"),
        (LINEAR, (X, Y), {"evry": 3}, TypeError, "unexpected keyword argument 'evry'"),
    ],
)  # fmt: skip
def test_what_cannot_be_watched_says_why(model, data, options, error, message):
    with pytest.raises(error, match=message):
        tv.watch(model, *data, **options)


def test_labels_of_one_class_are_told_of():
    with pytest.warns(tv.CaptureWarning, match="one class only, 0"):
        tv.watch(LINEAR, X, np.zeros(60, dtype=int))


def test_more_labels_than_outputs_are_refused_before_training():
    recorder = tv.watch(LINEAR, X, np.arange(60) % 3)
    with pytest.raises(ValueError, match="labels 0, 1, 2, and the model has 2"):
        recorder.start()


@pytest.mark.parametrize("package", ["xgboost", "lightgbm"])
def test_a_native_booster_is_sent_to_what_records_its_rounds(package):
    found = pytest.importorskip(package)
    if package == "xgboost":
        booster = found.train({"objective": "binary:logistic"}, found.DMatrix(X, Y), 2)
    else:
        data = found.Dataset(X, Y)
        booster = found.train({"objective": "binary", "verbose": -1}, data, 2)
    domain = tv.Domain.around(X, resolution=9)
    for refused in (lambda: tv.watch(booster, X, Y), lambda: tv.SklearnRecorder(booster, domain)):
        with pytest.raises(TypeError, match=rf"{package}.Booster is a native.*record_stages\(boo"):
            refused()
    assert tv.record_stages(booster, domain).epochs.tolist() == [1, 2]


def test_watch_tells_how_it_differs_from_its_sisters():
    for name in ("record", "record_stages"):
        assert f":func:`{name}`" in inspect.getdoc(tv.watch)
        assert ":func:`watch`" in inspect.getdoc(getattr(tv, name))
