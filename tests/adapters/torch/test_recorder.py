import random
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch._dynamo
from torch import nn

from trainviz import CaptureWarning, Domain, EvaluationError, Schedule, TorchRecorder
from trainviz.adapters.torch.isolation import undisturbed
from trainviz.adapters.torch.predictor import TorchPredictor

DOMAIN = Domain((-2, 2), (-1, 3), shape=(9, 7))
X = torch.tensor(np.random.default_rng(0).normal(size=(64, 2)), dtype=torch.float32)
Y = (X[:, 0] * X[:, 1] > 0).long()


class Net(nn.Module):
    """Everything that a careless evaluation disturbs: dropout, batch norm, noise, a buffer."""

    def __init__(self, n_classes=2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_classes)
        )
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", None)

    def forward(self, x):
        self.calls += 1
        self.last = self.calls + 0
        return self.layers(x) + 1e-3 * torch.randn(()) * random.random() * np.random.random()  # noqa: NPY002


def seed():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


def train(model, optimizer, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), Y)
        loss.backward()
        optimizer.step()
    return loss.detach()


def own_map(model, domain=DOMAIN):
    """The softmax of the model's own eval forward, asked in the most ordinary way."""
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(domain.points(), dtype=torch.float32))
    return logits.softmax(dim=1).T.reshape(-1, *domain.shape).numpy()


def captured(model, **options):
    return TorchRecorder(model, DOMAIN, **options).start().recording[-1].probabilities


def everything(model, optimizer):
    """All that training can see, as a flat list of arrays."""
    state = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    for entry in optimizer.state.values():
        state += [value for value in entry.values() if isinstance(value, torch.Tensor)]
    state.append(torch.get_rng_state())
    numbers = [*np.random.get_state()[1], *random.getstate()[1]]  # noqa: NPY002
    return [tensor.detach().numpy().copy() for tensor in state] + [np.array(numbers)]


def run(recorded):
    seed()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rec = TorchRecorder(model, DOMAIN, every_n_steps=2, every=1, data=(X, Y)) if recorded else None
    if rec:
        rec.start()
    for _ in range(3):
        for _ in range(3):
            loss = train(model, optimizer, 1)
            if rec:
                rec.step_end(loss=loss)
        if rec:
            rec.epoch_end(loss=loss)
    if rec:
        assert len(rec.finish()) > 5
    return everything(model, optimizer)


def test_training_cannot_tell_whether_it_is_recorded():
    for bare, recorded in zip(run(False), run(True), strict=True):
        np.testing.assert_array_equal(bare, recorded)


def test_the_map_is_the_models_own_answer():
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3))
    np.testing.assert_allclose(captured(model), own_map(model), atol=1e-6)


def test_every_submodule_keeps_its_mode():
    model = Net().train()
    model.layers[1].eval()  # frozen by the user
    captured(model)
    assert [part.training for part in model.layers] == [True, False, True, True, True]
    assert model.training


def test_so_does_a_model_of_torchscript_which_is_asked_in_eval_mode_too():
    model = torch.jit.script(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))).train()
    found = captured(model)
    assert [part.training for part in model.modules()] == [True, True, True]
    np.testing.assert_allclose(found, own_map(model), atol=1e-6)


def test_buffers_are_restored_where_the_forward_changes_or_replaces_them():
    model = Net()
    calls = model.calls
    captured(model)
    assert model.calls is calls
    assert model.calls == 0
    assert model.last is None


def test_a_failing_forward_restores_everything_too():
    def fails(model, points):
        model(points)
        raise RuntimeError("out of memory")

    model = Net().train()
    before = torch.get_rng_state()
    with pytest.raises(EvaluationError, match="out of memory"):
        captured(model, predict=fails)
    assert model.training
    assert model.calls == 0
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert torch.is_autocast_cache_enabled()


def test_a_failing_capture_during_training_warns_and_training_goes_on():
    model = nn.Linear(2, 2)
    with TorchRecorder(model, DOMAIN) as rec:
        with torch.no_grad():
            model.weight.fill_(torch.nan)
        with pytest.warns(CaptureWarning, match="epoch 1 failed.*NaN or infinities"):
            rec.epoch_end(0)
        nn.init.zeros_(model.weight)
    assert rec.recording.epochs.tolist() == [0, 1]
    assert [epoch for epoch, _ in rec.recorder.failures] == [1]


def test_metrics_of_every_epoch_are_kept_also_of_captures_that_fail():
    model, broken = torch.nn.Linear(2, 3), []

    def predict(module, points):
        if broken:
            raise RuntimeError("no answer")
        return module(points)

    def loop(rec):
        with rec:
            for epoch in range(7):
                broken[:] = [True] if epoch == 2 else []
                rec.epoch_end(epoch, loss=torch.tensor(1 / (1 + epoch)))

    rec = TorchRecorder(model, DOMAIN, every=3, predict=predict)
    with pytest.warns(CaptureWarning, match="no answer"):
        loop(rec)
    assert rec.recording.epochs.tolist() == [0, 6, 7]
    history = rec.recording.history
    assert history.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert history.metrics["loss"][1:].tolist() == pytest.approx([1 / k for k in range(1, 8)])


def test_a_capture_inside_autocast_keeps_the_next_steps_gradients():
    def gradient(capture):
        torch.manual_seed(0)
        model = nn.Linear(2, 2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            capture(model)
            assert torch.is_autocast_cache_enabled()
            model(X).sum().backward()
        return model.weight.grad

    assert torch.equal(gradient(captured), gradient(lambda model: None))


def test_gradients_and_a_pending_graph_survive_a_capture():
    model = Net()
    loss = nn.functional.cross_entropy(model(X), Y)
    captured(model)
    loss.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    captured(model)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_a_module_that_keeps_a_tensor_of_its_forward_still_trains():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.cache = nn.Linear(2, 2), None

        def forward(self, x):
            if self.cache is None:
                self.cache = torch.ones(2) * 2
            return self.linear(x * self.cache)

    model = Cached()
    captured(model)
    assert not model.cache.is_inference()
    model(X).sum().backward()
    assert model.linear.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_models_of_any_precision(dtype):
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).to(dtype)
    probabilities = captured(model)
    assert probabilities.dtype == np.float32
    wanted = own_map(model.float())
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6 if dtype == torch.float64 else 0.02)


def test_one_sigmoid_column_is_two_classes():
    model = nn.Linear(2, 1)
    p = torch.sigmoid(model(torch.tensor(DOMAIN.points(), dtype=torch.float32))).detach()
    wanted = torch.cat([1 - p, p], dim=1).T.reshape(2, 9, 7).numpy()
    np.testing.assert_allclose(captured(model), wanted, atol=1e-6)
    squashed = nn.Sequential(model, nn.Sigmoid(), nn.Flatten(0))
    np.testing.assert_allclose(captured(squashed, output="probabilities"), wanted, atol=1e-6)


Named = namedtuple("Named", ["hidden", "logits"])


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda z: (z, "hidden"), "logits"),
        (lambda z: [z], "logits"),
        (lambda z: {"loss": 0, "logits": z}, "logits"),
        (lambda z: {"scores": z}, "logits"),
        (lambda z: Named(0, z), "logits"),
        (lambda z: {"logits": z, "probs": z.softmax(1)}, "probabilities"),
        (lambda z: {"logits": z, "log_probs": z.log_softmax(1)}, "log_probabilities"),
        (lambda z: z.softmax(1), "probabilities"),
        (lambda z: z.log_softmax(1), "log_probabilities"),
    ],
)
def test_answers_in_every_wrapping(wrap, output):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 3)

        def forward(self, x):
            return wrap(self.linear(x))

    model = Wrapped()
    np.testing.assert_allclose(captured(model, output=output), own_map(model.linear), atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda z: {"a": z, "b": z},
            r"entries \['a', 'b'\], none of them 'logits'.*predict=lambda",
        ),
        (lambda z: {}, "empty dict"),
        (lambda z: "cat", "returns str; expected a tensor"),
    ],
)
def test_answers_that_cannot_be_understood_ask_for_predict(answer, message):
    with pytest.raises(EvaluationError, match=message):
        captured(nn.Linear(2, 2), predict=lambda model, x: answer(model(x)))


def test_predict_says_how_the_model_is_called():
    class TwoInputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 3)

        def forward(self, a, b):
            return self.linear(torch.stack([a, b], dim=1))

    model = TwoInputs()
    probabilities = captured(model, predict=lambda model, x: model(x[:, 0], x[:, 1]))
    np.testing.assert_allclose(probabilities, own_map(model.linear), atol=1e-6)


WIDE = np.random.default_rng(0).normal(size=(40, 3))
FORMS = {
    "dict": ({"a": (2,), "b": (1,)}, None),
    "tuple": (((2,), (1,)), None),
    "preprocess": (None, lambda rows: {"a": rows[:, :2], "b": rows[:, 2:]}),
    "whole numbers": (
        None, lambda rows: {"a": rows[:, :2], "b": (rows[:, 2:] > 0).astype(np.int64)}
    ),
}  # fmt: skip


class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(1, 3)

    def forward(self, a, b):
        return self.first(a) + self.second(b.float())


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_several_inputs_come_as_keywords_or_in_order(form, background):
    shape, preprocess = FORMS[form]
    domain = Domain.slice(WIDE, (0, 2), input_shape=shape, preprocess=preprocess, resolution=(9, 7))
    model = TwoBranches()
    labels = np.arange(40) % 3
    rows = domain.embedding.embed(np.stack([a.ravel() for a in np.meshgrid(domain.x, domain.y)], 1))

    def answer(rows):
        inputs = torch.tensor(rows, dtype=torch.float32)
        last = (inputs[:, 2:] > 0).float() if form == "whole numbers" else inputs[:, 2:]
        with torch.no_grad():
            return (model.first(inputs[:, :2]) + model.second(last)).softmax(dim=1).numpy()

    expected = answer(rows).T.reshape(3, 9, 7)
    rec = TorchRecorder(model, domain, data=(WIDE, labels), background=background).start()
    rec.epoch_end(0)
    rec.recorder.drain()
    for snapshot in rec.recording:
        np.testing.assert_allclose(snapshot.probabilities, expected, atol=1e-6)
        np.testing.assert_array_equal(snapshot.data_predictions, answer(WIDE).argmax(axis=1))


def test_a_model_with_other_inputs_says_so_before_training():
    with pytest.raises(EvaluationError, match="features=/fixed= or input_shape="):
        TorchRecorder(nn.Linear(5, 2), DOMAIN, initial=False).start()


def test_models_that_are_none_are_refused():
    with pytest.raises(TypeError, match=r"model=function.*torch\.nn\.Module"):
        TorchRecorder(lambda x: x, DOMAIN)
    with pytest.raises(TypeError, match="predict='softmax': expected a callable"):
        TorchRecorder(nn.Linear(2, 2), DOMAIN, predict="softmax")


def test_lazy_parameters_are_refused_and_left_alone():
    model = nn.LazyLinear(2)
    with pytest.raises(EvaluationError, match=r"lazy parameters .* dummy batch"):
        captured(model)
    assert nn.parameter.is_lazy(model.weight)


def test_threads_that_ask_at_once_leave_the_compiler_as_it_was():
    before, barrier = torch._dynamo.eval_frame._stance, threading.Barrier(2, timeout=30)

    def ask(is_first):
        with undisturbed(nn.Linear(2, 2)):
            barrier.wait()
            if not is_first:
                barrier.wait()
                assert torch._dynamo.eval_frame._stance.stance == "force_eager"
        if is_first:
            barrier.wait()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(ask, is_first) for is_first in (True, False)]:
            done.result()
    assert torch._dynamo.eval_frame._stance == before


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_model_is_not_compiled_again(in_place):
    compilations = []

    def counting(graph, inputs):
        compilations.append(graph)
        return graph.forward

    class Plain(nn.Module):  # dynamo never compiles the forward of a bare nn.Sequential
        def __init__(self):
            super().__init__()
            self.linear, self.dropout = nn.Linear(2, 2), nn.Dropout(0.1)

        def forward(self, x):
            return self.dropout(self.linear(x))

    torch._dynamo.reset()
    inner = Plain()
    if in_place:
        inner.compile(backend=counting)
    model = inner if in_place else torch.compile(inner, backend=counting)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, DOMAIN) as rec:
        assert not compilations
        train(model, optimizer)
        compiled = len(compilations)
        assert compiled >= 1
        for _ in range(3):
            rec.epoch_end()
            train(model, optimizer)
        assert len(compilations) == compiled
    # It was trained once more after the last epoch that it told of.
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3, 3]
    with torch.compiler.set_stance("force_eager"):
        np.testing.assert_allclose(captured(model), own_map(inner), atol=1e-6)
    torch._dynamo.reset()


def test_wrappers_are_taken_off():
    model = nn.Linear(2, 3)
    wrapped = torch.compile(nn.DataParallel(model), backend="eager")
    np.testing.assert_allclose(captured(wrapped), own_map(model), atol=1e-6)
    asked = []
    captured(wrapped, predict=lambda module, x: asked.append(module) or module(x))
    assert all(module is model for module in asked)


def test_a_plain_loop():
    model = nn.Linear(2, 2)
    with TorchRecorder(model, DOMAIN, every=2, data=(X, Y), class_names=["no", "yes"]) as rec:
        for epoch in range(5):
            rec.epoch_end(epoch, loss=torch.tensor(1.0 / (epoch + 1), requires_grad=True))
    assert rec.recording.epochs.tolist() == [0, 2, 4, 5]
    np.testing.assert_allclose(rec.recording.metrics["loss"], [np.nan, 1 / 2, 1 / 4, 1 / 5])
    own = model(X).argmax(dim=1)
    assert (rec.recording[-1].data_predictions == own.numpy()).all()
    assert rec.recording is rec.recorder.recording


def test_a_loop_that_counts_from_one():
    with TorchRecorder(nn.Linear(2, 2), DOMAIN, first_epoch=1) as rec:
        for epoch in (1, 2):
            rec.epoch_end(epoch)
        with pytest.raises(ValueError, match="epoch=0 lies before first_epoch=1"):
            rec.epoch_end(0)
    assert rec.recording.epochs.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (Schedule(every_n_steps=3), [0, 3, 6, 8]),
        (Schedule.geometric(2, unit="step"), [0, 1, 2, 4, 8]),
        (Schedule(at=[1], every_n_steps=7), [0, 4, 7, 8]),
    ],
)
def test_step_schedules(schedule, steps):
    with TorchRecorder(nn.Linear(2, 2), DOMAIN, schedule=schedule) as rec:
        for _ in range(2):
            for _ in range(4):
                rec.step_end()
            rec.epoch_end()
    assert np.nan_to_num(rec.recording.steps).tolist() == steps
    assert rec.recording.epochs[-1] == 2


def test_an_error_in_the_loop_is_the_users_own():
    with pytest.raises(ZeroDivisionError), TorchRecorder(nn.Linear(2, 2), DOMAIN) as rec:
        rec.epoch_end(loss=1 // 0)
    assert rec.recording.epochs.tolist() == [0]


def test_undisturbed_is_eval_without_gradients():
    model = Net()
    with undisturbed(model):
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_cache_enabled()


def test_a_model_without_parameters():
    class Sign(nn.Module):
        def forward(self, x):
            return 9 * x[:, :1]

    assert TorchPredictor(Sign())(np.array([[1.0, 0.0]])).tolist() == [[9.0]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestCuda:
    def test_the_map_is_that_of_the_cpu(self):
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
        wanted = own_map(model)
        np.testing.assert_allclose(captured(model.cuda()), wanted, atol=1e-3)
        assert all(parameter.is_cuda for parameter in model.parameters())

    def test_its_random_stream_is_not_disturbed(self):
        class Noisy(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = nn.Linear(2, 2)

            def forward(self, x):
                return self.linear(x + 0.01 * torch.randn_like(x))

        model = Noisy().cuda()
        cuda, host = torch.cuda.get_rng_state(), torch.get_rng_state()
        captured(model, data=(X, Y))
        assert torch.equal(torch.cuda.get_rng_state(), cuda)
        assert torch.equal(torch.get_rng_state(), host)

    def test_a_capture_inside_autocast_keeps_the_next_steps_gradients(self):
        model = nn.Linear(2, 2).cuda()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            captured(model)
            model(X.cuda()).sum().backward()
        assert model.weight.grad is not None

    def test_metrics_may_live_on_the_gpu(self):
        with TorchRecorder(nn.Linear(2, 2).cuda(), DOMAIN) as rec:
            rec.epoch_end(loss=torch.tensor(0.5, device="cuda"))
        assert rec.recording[-1].metrics == {"loss": 0.5}


def test_a_failure_in_the_last_epoch_is_listed_once():
    class Breaking(nn.Linear):
        broken = False

        def forward(self, x):
            if self.broken:
                raise RuntimeError("boom")
            return super().forward(x)

    model = Breaking(2, 2)
    recorder = TorchRecorder(model, Domain((0, 1), (0, 1), points_per_axis=4))
    recorder.start()
    model.broken = True
    with pytest.warns(CaptureWarning, match="boom"):
        recorder.epoch_end(0)
    recorder.epoch_end(1)
    recorder.finish()
    assert [epoch for epoch, _ in recorder.recorder.failures] == [1, 2]


@pytest.mark.parametrize(
    ("first", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_the_first_epoch_is_a_whole_number(first, error):
    with pytest.raises(error, match=f"first_epoch={first}: expected a whole number, 0 to"):
        TorchRecorder(nn.Linear(2, 2), DOMAIN, first_epoch=first)
