"""What adaptive evaluation finds, what it costs, and what it cannot see."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from trainviz import Domain, EvaluationWarning, Recorder, evaluate
from trainviz._common import jit
from trainviz.errors import EvaluationError, PredictionError

DOMAIN = Domain((-3, 3), (-2, 2), shape=(181, 240))
PIXEL = 6 / 239


pytestmark = pytest.mark.usefixtures("with_and_without_numba")


def adaptive_recorder(**options):
    return Recorder(DOMAIN, evaluation="adaptive", **options)


def counted(predict):
    def ask(X):
        ask.calls.append(len(X))
        return predict(X)

    ask.calls = []
    return ask


def both(predict, domain=DOMAIN, **options):
    """Return the adaptive map, the dense one, and the points that the former asked for."""
    asked = counted(predict)
    adaptive = evaluate(asked, domain, method="adaptive", **options)
    return adaptive, evaluate(predict, domain, method="dense", **options), sum(asked.calls)


def relu_network(seed, width, sharpness, n_classes=3):
    rng = np.random.default_rng(seed)
    sizes = [2, width, width, n_classes]
    layers = [
        (rng.normal(0, np.sqrt(2 / a), (a, b)), rng.normal(0, 0.5, b)) for a, b in pairwise(sizes)
    ]

    def logits(X):
        for W, b in layers[:-1]:
            X = np.maximum(X @ W + b, 0)
        W, b = layers[-1]
        return sharpness * (X @ W + b)

    return logits


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def disc(x, y, radius):
    return lambda X: (((X - (x, y)) ** 2).sum(axis=1) < radius**2).astype(float)


def wrong_pixels(recorder, predict, epoch=0):
    found = recorder.capture(predict, epoch=epoch).probabilities.argmax(axis=0)
    return int((found != evaluate(predict, DOMAIN, method="dense").argmax(axis=0)).sum())


# How good, and how cheap.


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([4, 8, 16]), st.floats(0.1, 3))
def test_of_relu_networks_the_error_is_bounded(seed, width, sharpness):
    network = relu_network(seed, width, sharpness)
    adaptive, dense, _ = both(network, output="logits")
    error = np.abs(adaptive - dense).max(axis=0)
    assert np.quantile(error, 0.99) < 1 / 255
    assert error.max() < 0.03
    # Where two classes are nearly as likely, another one may come first.
    margin = np.diff(np.sort(dense, axis=0)[-2:], axis=0)[0]
    assert margin[adaptive.argmax(axis=0) != dense.argmax(axis=0)].max(initial=0) < 0.03


@pytest.mark.parametrize(("sharpness", "wanted"), [(0.01, 0.034), (1.0, 0.098)])
def test_borders_are_where_they_are_also_where_classes_nearly_tie(sharpness, wanted):
    others, shares = [], []
    for seed in range(20):
        network = relu_network(seed, 16, sharpness)
        adaptive, dense, asked = both(network, output="logits")
        shares.append(asked / DOMAIN.n_points)
        margin = np.diff(np.sort(dense, axis=0)[-2:], axis=0)[0]
        # Two classes that are equal to single precision have no order.
        others.append(((adaptive.argmax(0) != dense.argmax(0)) & (margin > 1e-6)).mean())
    assert np.mean(others) < 0.0002
    assert max(others) < 0.001
    # Of the smallest cells beside a border, only points that may have another class are asked for;
    # of cells that are divided, only quarters in which their errors matter.
    assert np.mean(shares) < wanted


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([1 / 50, 1 / 100, 1 / 1000]))
def test_a_smaller_tolerance_gives_a_smaller_error(seed, tolerance):
    network = relu_network(seed, 8, 1.0)
    adaptive, dense, _ = both(network, output="logits", tolerance=tolerance)
    assert np.quantile(np.abs(adaptive - dense).max(axis=0), 0.99) < tolerance


def test_a_smooth_classifier_costs_a_few_per_cent_of_the_points():
    network = relu_network(1, 8, 1.0)
    *_, asked = both(network, output="logits")
    assert asked < 0.1 * DOMAIN.n_points


def test_the_model_sees_few_large_calls():
    ask = counted(relu_network(1, 8, 1.0))
    evaluate(ask, DOMAIN, method="adaptive", output="logits")
    assert len(ask.calls) < 20
    assert max(ask.calls) > 500


def test_what_was_needed_before_is_asked_for_in_one_call_and_changes_no_map():
    network = relu_network(1, 8, 1.0)
    ask = counted(network)
    recorder = adaptive_recorder(output="logits")
    maps, calls = [], []
    for epoch in range(3):
        maps.append(recorder.capture(ask, epoch=epoch))
        calls.append(len(ask.calls) - sum(calls))
    assert calls[2] < 0.5 * calls[0]
    assert maps[2].evaluations <= maps[0].evaluations
    np.testing.assert_array_equal(maps[2].probabilities, maps[0].probabilities)


def moving_network(seed):
    """Return a network in training, which computes each row by itself, whatever else is asked."""
    rng = np.random.default_rng(seed)
    weights, out = rng.normal(0, 1.2, (8, 3)), rng.normal(0, 1.5, (4, 8))

    def at(epoch):
        a, b, c = (weights + 0.02 * epoch * np.sin(weights)).T

        def logits(X):
            hidden = np.maximum(X[:, :1] * a + X[:, 1:] * b + c, 0).T
            rows = [sum(w * each for w, each in zip(row, hidden, strict=True)) for row in out]
            return np.stack(rows, axis=1)

        return logits

    return at


@pytest.mark.parametrize("seed", range(3))
def test_what_is_asked_for_ahead_changes_no_map_of_a_model_that_moves(seed):
    network, data = moving_network(seed), np.random.default_rng(seed).uniform(-2, 2, (60, 2))
    whole = adaptive_recorder(output="logits", data=(data, np.zeros(60, int)))
    for epoch in range(4):
        # It knows what it has to follow, but not which points were needed before.
        resumed = adaptive_recorder(output="logits", data=(data, np.zeros(60, int)))
        resumed.restore_evaluation(whole.evaluation_state())
        first, second = (each.capture(network(epoch), epoch=epoch) for each in (whole, resumed))
        assert first.method == "adaptive"
        np.testing.assert_array_equal(first.map.gaps, second.map.gaps)
        np.testing.assert_array_equal(first.map.logs, second.map.logs)
        assert whole.evaluation_state()["followed"] == resumed.evaluation_state()["followed"]


@pytest.mark.parametrize("seed", range(3))
def test_a_model_in_training_is_asked_in_few_calls(seed):
    network, recorder, calls = moving_network(seed), adaptive_recorder(output="logits"), []
    for epoch in range(8):
        ask = counted(network(epoch))
        recorder.capture(ask, epoch=epoch)
        calls.append(len(ask.calls))
    assert np.mean(calls[2:]) < 4


def test_what_was_asked_for_in_vain_counts():
    ask = counted(relu_network(1, 8, 1.0))
    recorder = adaptive_recorder(output="logits")
    for epoch in range(3):
        recorder.capture(ask, epoch=epoch)
    before = sum(ask.calls)
    last = recorder.capture(lambda X: 0.1 * X @ np.eye(2, 3) + 0 * ask(X), epoch=3)
    assert last.evaluations == sum(ask.calls) - before > len(last.map.gaps)


def test_a_linear_model_needs_the_coarse_lattice_and_the_check_points_alone():
    adaptive, dense, asked = both(lambda X: np.stack([X[:, 0], X[:, 1]], 1), output="logits")
    assert np.abs(adaptive - dense).max() < 1e-5
    assert asked < 0.03 * DOMAIN.n_points


@pytest.mark.parametrize("shape", [(97, 65), (65, 65), (70, 500), (129, 257), (3, 2000)])
def test_any_grid_will_do(shape):
    domain = Domain((-3, 3), (-2, 2), shape=shape)
    adaptive, dense, _ = both(relu_network(2, 8, 0.5), domain, output="logits")
    assert adaptive.shape == dense.shape == (3, *shape)
    assert np.quantile(np.abs(adaptive - dense), 0.99) < 1 / 255


def test_small_grids_are_dense():
    domain = Domain((-3, 3), (-2, 2), shape=(64, 64))
    adaptive, dense, asked = both(relu_network(3, 8, 1.0), domain, output="logits")
    assert asked == domain.n_points
    np.testing.assert_array_equal(adaptive, dense)


@pytest.mark.parametrize("output", ["logits", "probabilities", "log_probabilities"])
def test_whatever_the_model_returns(output):
    network = relu_network(4, 8, 0.7)
    convert = {
        "logits": network,
        "probabilities": lambda X: softmax(network(X)),
        "log_probabilities": lambda X: np.log(softmax(network(X))),
    }[output]
    adaptive, dense, asked = both(convert, output=output)
    assert np.quantile(np.abs(adaptive - dense).max(axis=0), 0.99) < 1 / 255
    assert asked < 0.2 * DOMAIN.n_points
    np.testing.assert_allclose(adaptive.sum(axis=0), 1, atol=1e-5)


@settings(max_examples=20)
@given(
    st.integers(0, 10_000), st.sampled_from([2, 3, 20]), st.floats(0.1, 3),
    st.tuples(st.integers(65, 200), st.integers(65, 200)),
)  # fmt: skip
def test_compiled_or_not_the_maps_are_the_same_to_the_bit(seed, n_classes, sharpness, shape):
    network = relu_network(seed, 8, sharpness, n_classes)
    X = np.random.default_rng(seed).normal(0, 1, (50, 2))
    domain, series = Domain((-3, 3), (-2, 2), shape=shape), []
    for policy in ("compiled", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jit, "POLICY", policy)
            recorder = Recorder(
                domain, output="logits", evaluation="adaptive", data=(X, np.zeros(len(X), int))
            )  # fmt: skip
            for epoch in range(3):
                recorder.capture(lambda X, epoch=epoch: (1 + epoch) * network(X), epoch=epoch)
            series.append(recorder.recording)
    for compiled, by_numpy in zip(*series, strict=True):
        np.testing.assert_array_equal(compiled.probabilities, by_numpy.probabilities)
        assert compiled.evaluations == by_numpy.evaluations


@pytest.mark.parametrize("total", [1.005, 0.985])
def test_rows_that_nearly_sum_to_one_are_normalised_either_way(total):
    network = relu_network(4, 8, 0.7)
    adaptive, dense, _ = both(lambda X: total * softmax(network(X)))
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-5)
    assert np.quantile(np.abs(adaptive - dense).max(axis=0), 0.99) < 1 / 255
    assert np.quantile(np.abs(adaptive - dense).max(axis=0), 0.5) < 1e-3


def test_a_hundred_classes():
    network = relu_network(5, 16, 0.5, n_classes=100)
    adaptive, dense, _ = both(network, output="logits")
    assert adaptive.shape == (100, *DOMAIN.shape)
    assert np.quantile(np.abs(adaptive - dense).max(axis=0), 0.99) < 1 / 255


# Where it is exact, and where it is not.


def test_a_tree_with_large_leaves_is_nearly_exact():
    model = DecisionTreeClassifier(max_depth=4)
    rng = np.random.default_rng(0)
    X = rng.uniform((-3, -2), (3, 2), (300, 2))
    model.fit(X, (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 0] > 1))
    adaptive, dense, asked = both(model.predict_proba)
    assert (np.abs(adaptive - dense).max(axis=0) > 1e-3).mean() < 0.002
    assert asked < 0.4 * DOMAIN.n_points


def test_a_checkerboard_of_large_squares_is_exact():
    def predict(X):
        return (np.floor(X[:, 0] / 1.3) + np.floor(X[:, 1] / 1.3)) % 2

    adaptive, dense, asked = both(predict)
    np.testing.assert_allclose(adaptive, dense, atol=1e-5)
    assert asked < 0.3 * DOMAIN.n_points


@pytest.mark.parametrize("side", [0.05, 0.02])
def test_a_model_that_is_rough_everywhere_is_evaluated_densely_with_one_warning(side):
    def predict(X):
        return (np.floor(X[:, 0] / side) + np.floor(X[:, 1] / side)) % 2

    recorder = adaptive_recorder()
    with pytest.warns(EvaluationWarning, match=r"most of the grid is needed.*dense"):
        recorder.capture(predict, epoch=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot = recorder.capture(predict, epoch=1)
    assert snapshot.evaluations == DOMAIN.n_points
    np.testing.assert_array_equal(snapshot.probabilities, evaluate(predict, DOMAIN, method="dense"))


@pytest.mark.parametrize("radius", [1.2 * PIXEL, 2 * PIXEL, 3 * PIXEL])
def test_a_small_disc_is_found_by_a_training_point_in_it_and_not_without(radius):
    point = (0.71, -0.33)
    predict = disc(*point, radius)
    with_data = adaptive_recorder(data=([point, (2, 1)], [1, 0]))
    assert wrong_pixels(with_data, predict) == 0
    assert wrong_pixels(adaptive_recorder(), predict) > 0


def test_a_disc_that_was_found_is_followed_when_it_leaves_its_point():
    recorder = adaptive_recorder(data=([(0.71, -0.33), (2, 1)], [1, 0]))
    for epoch in range(12):
        moved = disc(0.71 + 0.5 * epoch * PIXEL, -0.33, 4 * PIXEL)
        assert wrong_pixels(recorder, moved, epoch) <= 8


def test_a_disc_that_is_gone_is_forgotten():
    recorder = adaptive_recorder(data=([(0.71, -0.33), (2, 1)], [1, 0]))
    first = recorder.capture(disc(0.71, -0.33, 4 * PIXEL), epoch=0).evaluations
    for epoch in (1, 2):
        last = recorder.capture(disc(9, 9, 1), epoch=epoch).evaluations
    assert last < first
    assert last == adaptive_recorder().capture(disc(9, 9, 1), epoch=2).evaluations


def test_a_stripe_of_one_pixel_is_found_whole_by_one_datum_in_it():
    def predict(X):
        return (np.abs(X[:, 0] - DOMAIN.x[141]) < 0.6 * PIXEL).astype(float)

    recorder = adaptive_recorder(data=([(DOMAIN.x[141], 0.4), (2, 1)], [1, 0]))
    assert wrong_pixels(recorder, predict) == 0


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_a_strip_is_followed_across_the_map_from_one_datum_in_it(width, slope):
    def predict(X):
        across = (X[:, 0] + slope * X[:, 1] - DOMAIN.x[101]) / np.hypot(1, slope)
        return (np.abs(across) < 0.5 * width * PIXEL).astype(float)

    recorder = adaptive_recorder(data=([(DOMAIN.x[101], 0), (2, 1)], [1, 0]))
    missed = wrong_pixels(recorder, predict)
    assert missed <= (0 if width > 1 else 0.02 * DOMAIN.n_points)


def test_data_beside_the_plane_seed_it_where_they_are_projected_to():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-3, 3, 60), rng.uniform(-2, 2, 60), rng.normal(5, 1, 60)])
    X[0, :2] = 0.71, -0.33
    domain = Domain.around(X, margin=0, resolution=(181, 240), features=(0, 1), fixed="mean")
    centre = domain.points_at(np.array([90 * 240 + 120]))[0, :2]
    X[0, :2] = centre

    def predict(rows):
        return disc(*centre, 3 * PIXEL)(rows[:, :2])

    recorder = Recorder(domain, evaluation="adaptive", data=(X, np.arange(60) % 2))
    found = recorder.capture(predict, epoch=0).probabilities.argmax(axis=0)
    np.testing.assert_array_equal(found, evaluate(predict, domain, method="dense").argmax(axis=0))


# Bad models.


def test_a_model_that_answers_at_random_is_evaluated_densely_with_one_warning():
    rng = np.random.default_rng(0)
    recorder = adaptive_recorder()
    with pytest.warns(EvaluationWarning, match="answers differently"):
        recorder.capture(lambda X: rng.random(len(X)), epoch=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot = recorder.capture(lambda X: rng.random(len(X)), epoch=1)
    assert snapshot.evaluations == DOMAIN.n_points


def test_classes_that_change_between_calls_are_an_error():
    answers = iter(range(1000))

    def predict(X):
        n_classes = 2 if next(answers) < 3 else 3
        return softmax(9 * X[:, :1] ** 2 * np.arange(n_classes))

    with pytest.raises(PredictionError, match=r"returned 2 classes .* and 3"):
        evaluate(predict, DOMAIN, method="adaptive")


@pytest.mark.parametrize("method", ["adaptive", "dense"])
def test_a_model_that_runs_out_of_memory_gets_smaller_calls(method):
    network, sizes = relu_network(6, 8, 1.0), []

    def predict(X):
        if len(X) > 700:
            raise MemoryError
        sizes.append(len(X))
        return network(X)

    found = evaluate(predict, DOMAIN, method=method, output="logits")
    unlimited = evaluate(network, DOMAIN, method=method, output="logits")
    np.testing.assert_allclose(found, unlimited, atol=1e-6)
    assert max(sizes) > 350
    with pytest.raises(EvaluationError):
        evaluate(predict, DOMAIN, output="logits", method=method, batch_size=5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "quick"}, "method='quick': expected one of auto, adaptive, dense"),
        ({"tolerance": 0}, "tolerance=0: expected a difference of probabilities"),
        ({"tolerance": 2}, "tolerance=2: "),
        ({"tolerance": "x"}, "tolerance='x': "),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(disc(0, 0, 1), DOMAIN, **options)


def test_a_recorder_names_its_own_argument():
    with pytest.raises(
        ValueError, match="evaluation='quick': expected one of auto, adaptive, dense"
    ):
        Recorder(DOMAIN, evaluation="quick")


# What a recorder keeps.


def test_snapshots_tell_the_points_asked_for_and_are_compact():
    network = relu_network(7, 8, 1.0)
    recorder = adaptive_recorder(output="logits")
    snapshot = recorder.capture(network, epoch=0)
    dense = evaluate(network, DOMAIN, method="dense", output="logits")
    assert snapshot.evaluations < 0.1 * DOMAIN.n_points
    assert snapshot.map.nbytes < 0.1 * dense.nbytes
    assert snapshot.shape == dense.shape
    assert snapshot.probabilities.dtype == np.float32
    assert np.quantile(np.abs(snapshot.probabilities - dense), 0.99) < 1 / 255


def test_dense_snapshots_are_exact():
    network = relu_network(7, 8, 1.0)
    recorder = Recorder(DOMAIN, output="logits", evaluation="dense")
    snapshot = recorder.capture(network, epoch=0)
    assert snapshot.evaluations == DOMAIN.n_points
    np.testing.assert_array_equal(
        snapshot.probabilities, evaluate(network, DOMAIN, method="dense", output="logits")
    )


def test_adaptive_evaluation_of_a_usual_model_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(relu_network(8, 16, 3.0), DOMAIN, output="logits")


class Checkers:
    """A smooth model that turns into a checkerboard finer than the grid."""

    def __init__(self, rough=False):
        self.rough = rough

    def __call__(self, X):
        squares = np.floor(X * 150).sum(axis=1) % 2
        return squares if self.rough else 1 / (1 + np.exp(-X[:, 0]))

    def frozen(self):
        return Checkers(self.rough)


@pytest.mark.parametrize("background", [False, True])
def test_a_model_that_becomes_rough_is_captured_even_where_warnings_are_errors(background):
    model = Checkers()
    recorder = Recorder(
        Domain((-1, 1), (-1, 1), points_per_axis=100), background=background,
        evaluation="adaptive",
    )  # fmt: skip
    recorder.capture(model, epoch=0)
    model.rough = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EvaluationWarning, match="most of the grid"):
            _ = recorder.capture(model, epoch=1), recorder.drain()
    assert recorder.recording.epochs.tolist() == [0, 1]
    assert recorder.failures == []
    assert recorder.recording[1].evaluations == 100 * 100
