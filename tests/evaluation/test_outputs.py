"""What a model returns beside class probabilities: values, and independent labels."""

import numpy as np
import pytest
import torch

import trainviz as tv
from trainviz.errors import PredictionError

DOMAIN = tv.Domain((-1, 1), (-2, 2), shape=(70, 80))
X = np.array([[0.0, 0.0], [0.5, 1.0]])


def test_a_value_is_evaluated_at_every_point_of_the_grid():
    asked = []

    def height(points):
        asked.append(len(points))
        return 100 * points[:, 0] - points[:, 1]

    found = tv.evaluate(height, DOMAIN, output="values")
    x, y = np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-2, 2, 70))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], 100 * x - y, atol=1e-4)
    assert sum(asked) == DOMAIN.n_points


@pytest.mark.parametrize("output", ["multilabel", "multilabel_logits"])
def test_labels_do_not_have_to_sum_to_1(output):
    answers = np.array([[3.0, -200.0, 0.0]]) if output.endswith("logits") else [[0.9, 0, 0.5]]
    found = tv.evaluate(lambda X: np.repeat(answers, len(X), axis=0), DOMAIN, output=output)
    expected = [1 / (1 + np.exp(-3)), 0, 0.5] if output.endswith("logits") else [0.9, 0, 0.5]
    np.testing.assert_allclose(found[:, 5, 5], expected, atol=1e-6)


def test_a_single_label_stays_one():
    assert tv.evaluate(lambda X: X[:, :1] > 0, DOMAIN, output="multilabel").shape == (1, 70, 80)


@pytest.mark.parametrize(
    ("answer", "output", "message"),
    [
        (lambda X: X, "values", r"2 values a point.*record one column, .*predict="),
        (lambda X: X[:, 0] / 0, "values", "NaN or infinities"),
        (lambda X: 5 * X, "multilabel", r'from -10 to 10.*output="multilabel_logits"'),
        (lambda X: 5 * X, "probabilities", r'output="logits", or of a regression .*"values"'),
        (lambda X: 0.8 + 0 * X, "probabilities", r'independent labels say output="multilabel"'),
    ],
)
def test_what_does_not_fit_is_told_with_the_mend(answer, output, message):
    with pytest.raises(PredictionError, match=message), np.errstate(all="ignore"):
        tv.evaluate(answer, DOMAIN, output=output)


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        ("values", [1.0, np.nan], "expects one finite number a point"),
        ("values", ["a", "b"], "expects one finite number a point"),
        ("values", [[1, 2], [3, 4]], "expects one finite number a point"),
        ("multilabel", [0, 1], "a column of 0 and 1 for each label"),
        ("multilabel", [[0, 2], [1, 0]], "a column of 0 and 1 for each label"),
    ],
)
def test_targets_that_do_not_fit_are_refused_before_training(output, y, message):
    with pytest.raises(ValueError, match=message):
        tv.Recorder(DOMAIN, output=output, data=(X, y))


def test_an_indicator_matrix_has_a_column_for_each_label():
    recorder = tv.Recorder(DOMAIN, output="multilabel", data=(X, [[0, 1], [1, 1]]))
    with pytest.raises(ValueError, match="y has 2 columns, but the model returns 3 labels"):
        recorder.check(lambda X: np.full((len(X), 3), 0.5))


def test_names_are_counted():
    recorder = tv.Recorder(DOMAIN, output="values", class_names=["a", "b"])
    with pytest.raises(PredictionError, match="2 names, but the model returns 1 value"):
        recorder.check(lambda X: X[:, 0])


@pytest.mark.parametrize(
    ("output", "values", "message"),
    [
        ("values", np.zeros((2, 70, 80)), r"one plane"),
        ("values", np.full((1, 70, 80), np.inf), "finite"),
        ("multilabel", np.full((2, 70, 80), 1.5), "between 0 and 1"),
    ],
)
def test_maps_made_elsewhere_are_checked(output, values, message):
    with pytest.raises(PredictionError, match=message):
        tv.Recorder(DOMAIN, output=output).append(values, epoch=0)


@pytest.mark.parametrize(("output", "n_outputs"), [("values", 1), ("multilabel_logits", 3)])
@pytest.mark.parametrize("background", [False, True])
def test_a_torch_model_is_recorded(output, n_outputs, background):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, n_outputs)
    with tv.TorchRecorder(model, DOMAIN, output=output, background=background) as recorder:
        recorder.epoch_end(0)
    with torch.no_grad():
        answer = model(torch.tensor(DOMAIN.points(0, DOMAIN.n_points), dtype=torch.float32))
    answer = torch.sigmoid(answer) if n_outputs > 1 else answer
    expected = answer.numpy().T.reshape(n_outputs, *DOMAIN.shape)
    np.testing.assert_allclose(recorder.recording[-1].probabilities, expected, atol=1e-6)
    assert recorder.recording.output == ("values" if n_outputs == 1 else "multilabel")


def test_what_is_no_classifier_has_no_predicted_classes():
    recorder = tv.Recorder(DOMAIN, output="values", data=(X, [1.5, 2.5]))
    with pytest.raises(ValueError, match="are classes, which a recording of values has not"):
        recorder.append(np.zeros((1, 70, 80)), epoch=0, data_predictions=[0, 1])


@pytest.mark.parametrize(
    ("output", "answer", "y"),
    [
        ("values", lambda X: 1e6 * X[:, :1], [1.5, 2.5]),
        ("multilabel", lambda X: 1 / (1 + np.exp(-np.c_[X, X[:, :1]])), [[0, 1, 1], [0, 0, 0]]),
    ],
)
@pytest.mark.parametrize("saved", [False, True])
def test_they_come_back_from_disk(tmp_path, output, answer, y, saved):
    path = tmp_path / "a.zarr"
    recorder = tv.Recorder(DOMAIN, output=output, data=(X, y), path=None if saved else path)
    recorder.capture(answer, epoch=0)
    if saved:
        recorder.recording.save(path)
    opened = tv.open_recording(path)
    assert opened.output == output
    np.testing.assert_array_equal(opened.data.y, y)
    np.testing.assert_allclose(
        opened[0].probabilities, tv.evaluate(answer, DOMAIN, output=output), rtol=1e-3, atol=1e-3
    )
    assert repr(opened) == repr(recorder.recording)
    recorder.close()
    with pytest.raises(tv.RecordingError, match=f"holds {output}, and this run probabilities"):
        tv.Recorder(DOMAIN, path=path, resume=True)


@pytest.mark.parametrize("mask", [True, [[True, False]] * 4])
def test_masked_answers_are_no_probabilities(mask):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=2))
    with pytest.raises(tv.PredictionError, match="NaN or infinities"):
        recorder.capture(lambda X: np.ma.array(np.full((4, 2), 0.5), mask=mask)[: len(X)], epoch=0)
