import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainviz import Domain, EvaluationError, PredictionError, TrainvizError, evaluate
from trainviz.evaluation.outputs import to_probabilities

DOMAIN = Domain((-1, 1), (-2, 2), shape=(5, 4))
logits = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)),
                elements=st.floats(-50, 50))  # fmt: skip


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def constant(value):
    return lambda X: np.full((len(X), 2), value)


@given(logits)
def test_logits_become_their_softmax(values):
    answer = to_probabilities(values, len(values), "logits")
    np.testing.assert_allclose(answer, softmax(values), atol=1e-12)
    np.testing.assert_allclose(answer.sum(axis=1), 1)


@given(logits, st.floats(-1e4, 1e4))
def test_logits_may_be_shifted(values, shift):
    shifted = to_probabilities(values + shift, len(values), "logits")
    np.testing.assert_allclose(shifted, softmax(values), atol=1e-8)


@given(logits)
def test_probabilities_are_kept_and_log_probabilities_undone(values):
    wanted = softmax(values)
    np.testing.assert_array_equal(to_probabilities(wanted, len(values), "probabilities"), wanted)
    logs = to_probabilities(np.log(wanted), len(values), "log_probabilities")
    np.testing.assert_allclose(logs, wanted, atol=1e-12)


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(-30, 30)))
def test_single_column_is_the_positive_class(z):
    both = np.stack([1 - sigmoid(z), sigmoid(z)], axis=1)
    for column in (z, z[:, None]):
        answer = to_probabilities(column, len(z), "logits")
        np.testing.assert_allclose(answer, both, atol=1e-9)
    answer = to_probabilities(sigmoid(z)[:, None], len(z), "probabilities")
    np.testing.assert_array_equal(answer, both)


def test_log_probability_of_zero_is_allowed():
    answer = to_probabilities([[-np.inf, 0.0]], 1, "log_probabilities")
    assert answer.tolist() == [[0, 1]]


def test_map_is_class_first_and_its_first_row_the_lower_end():
    probabilities = evaluate(lambda X: (X[:, 1] + 2) / 4, DOMAIN)
    assert probabilities.shape == (2, 5, 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[1, :, 0], [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("batch_size", [1, 3, 20, 1000, np.int64(7), "auto"])
def test_batches_change_nothing(batch_size):
    asked = []

    def predict(X):
        asked.append(len(X))
        return sigmoid(X @ [3, 1])

    whole = evaluate(lambda X: sigmoid(X @ [3, 1]), DOMAIN)
    np.testing.assert_array_equal(evaluate(predict, DOMAIN, batch_size=batch_size), whole)
    assert sum(asked) == 20
    assert batch_size == "auto" or max(asked) <= batch_size


def test_points_come_in_the_asked_dtype():
    seen = set()
    evaluate(lambda X: seen.add(X.dtype) or X[:, 0] > 0, DOMAIN, dtype=np.float32)
    assert seen == {np.dtype(np.float32)}


def test_half_precision_rows_are_probabilities_too():
    answer = evaluate(lambda X: softmax(X @ np.ones((2, 7))).astype(np.float16), DOMAIN)
    assert answer.dtype == np.float32


def test_rounding_beyond_zero_and_one_is_cut_off():
    answer = to_probabilities([[-1e-3, 1 + 1e-3]], 1, "probabilities")
    assert answer.tolist() == [[0, 1]]
    assert to_probabilities([1.01], 1, "probabilities").tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda X: np.full((3, 2), 0.5), "returned 3 rows for 20 points; expected one row a point"),
        (constant(np.nan), "NaN or infinities for 20 of 20 points: has the training diverged"),
        (constant(np.inf), "NaN or infinities"),
        (constant(-np.inf), "NaN or infinities"),
        (constant(0.7), r"do not sum to 1 \(one sums to 1.4\).*output=\"logits\""),
        (constant(-3.0), r"values from -3 to -3, which are no probabilities.*output=\"logits\""),
        (lambda X: 4 * X[:, :1], r"a single column of values from -4 to 4.*output=\"logits\""),
        (lambda X: 4 * X[:, 0], r"a single column of values from -4 to 4.*output=\"logits\""),
        (lambda X: np.zeros((len(X), 0)), r"shape \(20, 0\)"),
        (
            lambda X: np.zeros((len(X), 2, 2)),
            r"shape \(20, 2, 2\) for 20 points; expected \(N, C\)",
        ),
        (lambda X: None, "returned object values; expected numbers"),
        (lambda X: ["cat"] * len(X), "expected numbers of shape"),
        (lambda X: [[1], [1, 2]], r"returned list, which is no array of shape \(N, C\)"),
    ],
)
def test_answers_that_are_no_probabilities(predict, message):
    with pytest.raises(PredictionError, match=message) as caught:
        evaluate(predict, DOMAIN)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TrainvizError)


@pytest.mark.parametrize("method", ["auto", "adaptive", "dense"])
@pytest.mark.parametrize("output", ["probabilities", "logits"])
def test_nan_in_a_corner_is_named_with_its_coordinates(method, output):
    def predict(X):
        return np.where((X[:, 0] > 2.87) & (X[:, 1] > 1.87), np.nan, 1 / (1 + np.exp(-X[:, 0])))

    domain = Domain((-3, 3), (-2, 2), shape=(81, 121))
    with pytest.raises(
        PredictionError, match=r"NaN .*; the first is at x=(2\.9|2\.95|3), y=(1\.9|1\.95|2)"
    ):
        evaluate(predict, domain, method=method, output=output)


def test_log_probabilities_above_zero():
    with pytest.raises(PredictionError, match=r"above 0.*output=\"logits\""):
        evaluate(constant(1.0), DOMAIN, output="log_probabilities")


def test_classes_that_change_from_batch_to_batch():
    sizes = iter([2, 3])

    def predict(X):
        n = next(sizes)
        return np.full((len(X), n), 1 / n)

    with pytest.raises(PredictionError, match="2 classes for one batch and 3 for the next"):
        evaluate(predict, DOMAIN, batch_size=10)


def test_a_model_that_raises_is_the_cause():
    with pytest.raises(EvaluationError, match=r"20 points of shape \(2,\).*KeyError") as caught:
        evaluate(lambda X: {}["weights"], DOMAIN)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, "all"])
def test_batch_size_that_is_none(batch_size):
    with pytest.raises(ValueError, match=r"batch_size=.*positive whole number or 'auto'"):
        evaluate(constant(0.5), DOMAIN, batch_size=batch_size)


def test_output_that_is_unknown():
    with pytest.raises(ValueError, match="output='scores': expected one of logits, probabilities"):
        evaluate(constant(0.5), DOMAIN, output="scores")


def test_a_domain_must_be_one():
    with pytest.raises(TypeError, match=r"domain=3: expected a trainviz\.Domain"):
        evaluate(lambda X: X[:, 0], 3)
