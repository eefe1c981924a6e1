"""TorchRecorder(background=True): the copies, and the training beside them."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from trainviz import CaptureWarning, Domain, EvaluationError, TorchRecorder
from trainviz.adapters.torch.predictor import TorchPredictor

DOMAIN = Domain((-2, 2), (-1, 3), shape=(9, 7))
X = torch.tensor(np.random.default_rng(0).normal(size=(64, 2)), dtype=torch.float32)
Y = (X[:, 0] * X[:, 1] > 0).long()


class Net(nn.Module):
    """Dropout, batch norm, buffers that change and appear, plain attributes, a list of parts."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )
        self.parts = [self.layers[0], self.layers[4]]
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", None)
        self.temperature = 1.0
        self.scale = {"by": [torch.ones(3)]}
        self.features = None

    def forward(self, x):
        self.calls += 1
        self.last = self.calls + 0
        self.features = self.layers(x)
        short = self.parts[1](self.parts[0](x).relu())
        return (self.features + short) * self.scale["by"][0] / self.temperature


def run(device="cpu", **options):
    """Train with dropout and an annealed attribute; return all that training and recording saw."""
    torch.manual_seed(0)
    model = Net().to(device)
    model.scale["by"][0] = model.scale["by"][0].to(device)
    inputs, labels = X.to(device), Y.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    recorder = TorchRecorder(model, DOMAIN, data=(X, Y), **options) if options else None
    if recorder:
        recorder.start()
    for epoch in range(6):
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            if recorder:
                recorder.step_end(loss=loss)
        model.temperature *= 0.9
        model.scale["by"][0] = model.scale["by"][0] * 1.1
        if recorder:
            recorder.epoch_end(epoch, loss=loss)
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    state["random"] = torch.get_rng_state()
    for index, entry in enumerate(optimizer.state.values()):
        state |= {f"{name} {index}": value.cpu() for name, value in entry.items()}
    return state, recorder and recorder.finish()


def assert_equal_recordings(one, other):
    assert one.epochs.tolist() == other.epochs.tolist()
    np.testing.assert_array_equal(one.steps, other.steps)
    for name, values in one.metrics.items():
        np.testing.assert_array_equal(values, other.metrics[name])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        np.testing.assert_array_equal(a.data_predictions, b.data_predictions)


@pytest.mark.parametrize("schedule", [{"every": 1}, {"every": 1, "every_n_steps": 1}])
def test_recording_and_training_equal_those_of_captures_made_at_once(schedule):
    bare, _ = run()
    state, at_once = run(**schedule)
    other_state, later = run(background=True, **schedule)
    assert_equal_recordings(at_once, later)
    for name, value in bare.items():
        assert torch.equal(value, state[name]), name
        assert torch.equal(value, other_state[name]), name


def capture_twice(model, change, **options):
    """Record, change the model, record in the background; return map and what is wanted."""
    recorder = TorchRecorder(model, DOMAIN, background=True, **options).start()
    for _ in range(2):  # the second time a copy is used again
        change(model)
        recorder.epoch_end()
        recorder.recorder.drain()
    wanted = TorchRecorder(model, DOMAIN, **options).start().recording[-1].probabilities
    return recorder.recording[-1].probabilities, wanted


def replace_parameter(model):
    model.weight = nn.Parameter(torch.randn(2, 2))


def change_shape(model):
    model[2] = nn.Linear(8, 3)
    model[0] = nn.Linear(2, 8)


def add_hook(model):
    model.register_forward_hook(lambda module, inputs, output: output * 2)


def share(model):
    model[1].weight = model[0].weight
    with torch.no_grad():
        model[0].weight += 0.5


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (nn.Linear(2, 2), replace_parameter),
        (nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3)), change_shape),
        (nn.Linear(2, 2), add_hook),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), share),
        (nn.Linear(2, 2), lambda model: model.requires_grad_(False)),
    ],
)
def test_a_copy_follows_whatever_happens_to_the_model(model, change):
    found, wanted = capture_twice(model, change)
    np.testing.assert_array_equal(found, wanted)


def test_a_model_that_was_cast_on_the_way_is_followed():
    found, wanted = capture_twice(nn.Linear(2, 2), lambda model: model.double())
    np.testing.assert_array_equal(found, wanted)


def test_the_surrounding_autocast_is_that_of_the_capture():
    model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = capture_twice(model, lambda model: None)
    np.testing.assert_array_equal(found, wanted)


def test_a_training_inside_autocast_cannot_tell():
    def gradients(background):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 3))
        recorder = TorchRecorder(model, DOMAIN, background=background).start()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for epoch in range(20):
                recorder.epoch_end(epoch)
                (model(X).sum() + model(X + 1).square().sum()).backward()
        recorder.finish()
        return [parameter.grad for parameter in model.parameters()]

    for one, other in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(one, other)


def test_a_model_that_draws_random_numbers_when_asked_is_captured_at_once():
    class MonteCarlo(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x):
            return nn.functional.dropout(self.linear(x), 0.5, training=True)

    recorder = TorchRecorder(MonteCarlo(), DOMAIN, background=True).start()
    before = torch.get_rng_state()
    with pytest.warns(CaptureWarning, match="draws from torch's random stream"):
        recorder.epoch_end()
    assert recorder.recording.epochs.tolist() == [0, 1]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_cannot_be_copied_is_captured_at_once():
    model = nn.Linear(2, 2)
    model.lines = (line for line in [])
    recorder = TorchRecorder(model, DOMAIN, background=True).start()
    with pytest.warns(CaptureWarning, match="cannot be copied: TypeError: .*generator"):
        recorder.epoch_end()
    assert recorder.finish().epochs.tolist() == [0, 1]


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_a_compiled_model_is_not_compiled_again(in_place, inside):
    compilations = []

    def counting(graph, inputs):
        compilations.append(graph)
        return graph.forward

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.dropout = nn.Linear(2, 2), nn.Dropout(0.1)

        def forward(self, x):
            return self.dropout(self.linear(x))

    torch._dynamo.reset()
    model = Plain()
    if in_place:
        model.compile(backend=counting)
    else:
        model = torch.compile(model, backend=counting)
    if inside:
        model = nn.Sequential(model)
    with TorchRecorder(model, DOMAIN, background=True) as recorder:
        model(X).sum().backward()
        compiled = len(compilations)
        for _ in range(3):
            recorder.epoch_end()
            model(X).sum().backward()
    assert len(compilations) == compiled >= 1
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]
    assert recorder.recorder.failures == []
    torch._dynamo.reset()


def test_copies_are_used_again():
    seen = set()

    def predict(model, x):
        seen.add(id(model))
        return model(x)

    model = nn.Linear(2, 2)
    with TorchRecorder(model, DOMAIN, background=True, predict=predict) as recorder:
        for _ in range(12):
            recorder.epoch_end()
    assert len(seen - {id(model)}) <= 3
    assert len(recorder.recording) == 13


def failing_loop(recorder):
    with recorder:
        for epoch in range(4):
            recorder.epoch_end(epoch, loss=1 / (3 - epoch))


def test_an_error_in_the_loop_is_the_users_own_and_loses_nothing():
    recorder = TorchRecorder(nn.Linear(2, 2), DOMAIN, background=True)
    with pytest.raises(ZeroDivisionError):
        failing_loop(recorder)
    assert recorder.recording.epochs.tolist() == [0, 1, 2, 3]


def test_a_failure_hides_no_error_of_the_loop():
    def diverging(model, x):
        if threading.current_thread() is not threading.main_thread():
            asked.append(model)
        return model(x) * (torch.nan if len(asked) == 3 else 1)

    asked = []
    recorder = TorchRecorder(
        nn.Linear(2, 2), DOMAIN, predict=diverging, background=True, on_error="raise"
    )
    with (
        pytest.warns(CaptureWarning, match="NaN or infinities"),
        pytest.raises(ZeroDivisionError),
    ):
        failing_loop(recorder)
    assert recorder.recording.epochs.tolist() == [0, 1, 2]


def test_on_error_raise_ends_the_loop_at_the_next_call():
    model = nn.Linear(2, 2)
    recorder = TorchRecorder(model, DOMAIN, background=True, on_error="raise").start()
    nn.init.constant_(model.weight, torch.nan)
    recorder.epoch_end()
    with pytest.raises(ValueError, match="NaN or infinities"):
        recorder.finish()


def test_mistakes_show_before_training():
    with pytest.raises(EvaluationError, match="features=/fixed= or input_shape="):
        TorchRecorder(nn.Linear(5, 2), DOMAIN, background=True).start()


def test_a_frozen_predictor_answers_as_its_model_did():
    model = nn.Linear(2, 2)
    predictor = TorchPredictor(model)
    frozen = predictor.frozen()
    before = predictor(DOMAIN.points())
    nn.init.zeros_(model.weight)
    np.testing.assert_array_equal(frozen(DOMAIN.points()), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_recording_and_training_equal_those_of_captures_made_at_once():
    schedule = {"every": 1, "every_n_steps": 1}
    bare, _ = run("cuda")
    _, at_once = run("cuda", **schedule)
    state, later = run("cuda", background=True, **schedule)
    assert_equal_recordings(at_once, later)
    for name, value in bare.items():
        assert torch.equal(value, state[name]), name
