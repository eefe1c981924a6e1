"""Random streams beside other threads: what they draw is never drawn again."""

import io
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from torch import nn
from tqdm import tqdm

from trainviz import CaptureWarning, Domain, Recorder, TorchRecorder

DOMAIN = Domain((-1, 1), (-1, 1), shape=(30, 30))


def right(X):
    return (X[:, 0] > 0).astype(float)


def slow(X):
    time.sleep(0.003)
    return right(X)


@contextmanager
def beside(draw):
    """Call ``draw`` on another thread, again and again; yield the list of what it returns."""
    drawn, stop = [], threading.Event()

    def prefetch():
        while not stop.wait(0.0005):
            drawn.append(draw())

    thread = threading.Thread(target=prefetch, name="prefetch")
    thread.start()
    try:
        yield drawn
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("model", [right, slow])
@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        lambda: np.random.random(),  # noqa: NPY002
    ],
)
def test_another_thread_never_draws_a_number_twice(model, draw):
    recorder = Recorder(DOMAIN)
    with beside(draw) as drawn:
        recorder.check(model)
        for epoch in range(20):
            recorder.capture(model, epoch=epoch)
            time.sleep(0.001)
    assert len(drawn) == len(set(drawn)) > 10


@pytest.mark.parametrize("options", [{}, {"background": True}])
def test_a_thread_that_draws_from_torch_never_draws_a_number_twice(options):
    model = nn.Sequential(nn.Linear(2, 32), nn.Dropout(0.5), nn.Linear(32, 3))
    recorder = TorchRecorder(model, DOMAIN, **options)
    with beside(lambda: torch.randint(1 << 62, ()).item()) as drawn:
        recorder.start()
        for epoch in range(20):
            recorder.epoch_end(epoch)
            time.sleep(0.001)
        recorder.finish()
    assert len(drawn) == len(set(drawn)) > 10


def test_a_model_that_draws_beside_a_thread_has_its_draws_undone_and_says_so_once():
    def noisy(X):
        return slow(X) * np.random.uniform(0.9, 1)  # noqa: NPY002

    recorder = Recorder(DOMAIN, evaluation="dense")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with beside(lambda: sum(range(1000))):
        with pytest.warns(CaptureWarning) as told:
            recorder.capture(noisy, epoch=0)
        for epoch in range(1, 5):
            recorder.capture(noisy, epoch=epoch)
    assert [str(warning.message)[:70] for warning in told] == [
        "the model draws from the random streams of Python or numpy when it is "
    ]
    assert "prefetch" in str(told[0].message)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_the_monitor_of_a_progress_bar_is_nothing_to_warn_of(monkeypatch):
    def noisy(X):
        return slow(X) * random.uniform(0.9, 1)

    if tqdm.monitor is not None:  # Of a bar of another test: it wakes every ten seconds.
        tqdm.monitor.exit()
        monkeypatch.setattr(tqdm, "monitor", None)
    monkeypatch.setattr(tqdm, "monitor_interval", 0.0005)
    recorder, before = Recorder(DOMAIN, evaluation="dense"), random.getstate()
    with tqdm(total=5, file=io.StringIO()) as bar:
        woken = tqdm.monitor.woken
        for epoch in range(5):
            recorder.capture(noisy, epoch=epoch)  # A warning would fail this test.
            bar.update()
        assert tqdm.monitor.woken > woken
        tqdm.monitor.exit()
    assert random.getstate() == before


def test_a_pool_that_has_just_done_its_task_is_nothing_to_warn_of():
    def noisy(X):
        return right(X) * random.uniform(0.9, 1)

    recorder = Recorder(DOMAIN, evaluation="dense")
    with ThreadPoolExecutor(1) as pool:
        for epoch in range(300):
            pool.submit(sum, range(100))
            recorder.capture(noisy, epoch=epoch)  # A warning would fail this test.


def test_a_pool_that_does_tasks_is_told_of():
    def noisy(X):
        return slow(X) * random.uniform(0.9, 1)

    def prefetch():
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass

    def train(pool):
        recorder = Recorder(DOMAIN, evaluation="dense")
        for epoch in range(20):
            pool.submit(prefetch)
            recorder.capture(noisy, epoch=epoch)

    with ThreadPoolExecutor(1) as pool, pytest.warns(CaptureWarning, match="ThreadPoolExecutor"):
        train(pool)


def test_the_threads_of_jupyter_are_nothing_to_warn_of():
    captures = """
import random, time
import trainviz as tv

def noisy(X):
    time.sleep(0.01)
    return (X[:, 0] > 0) * random.uniform(0.9, 1)

recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(30, 30)), evaluation="dense")
for epoch in range(20):
    print(epoch, flush=True)  # Keeps the thread busy that sends it to the notebook.
    recorder.capture(noisy, epoch=epoch)
print(len(recorder.recording))
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(captures)])
    NotebookClient(notebook, timeout=120).execute()
    written = {output["name"]: output["text"] for output in notebook.cells[0].outputs}
    assert "stderr" not in written
    assert written["stdout"].split()[-1] == "20"


def test_beside_an_idle_thread_a_model_that_draws_is_undisturbed_without_a_word():
    def noisy(X):
        return right(X) * random.uniform(0.9, 1)

    waits, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (waits.set(), end.wait()))
    thread.start()
    # On a busy machine, a thread that has just been started runs on for a while.
    waits.wait()
    time.sleep(0.05)
    before, recorder = random.getstate(), Recorder(DOMAIN, evaluation="dense")
    recorder.capture(noisy, epoch=0)
    end.set()
    thread.join()
    assert random.getstate() == before


def test_a_model_that_refuses_a_single_point_is_captured_beside_a_thread():
    def sociable(X):
        if len(X) < 2:
            raise ValueError("two points are needed")
        time.sleep(0.005)
        return right(X)

    with beside(random.random):
        for epoch in range(3):
            Recorder(DOMAIN, batch_size=100, evaluation="dense").capture(sociable, epoch=epoch)


class Numbered(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        point = torch.randn(2)
        return point, int(point[0] > 0)


@pytest.mark.parametrize("options", [{}, {"background": True}])
def test_with_workers_of_a_data_loader_training_is_bit_identical(options):
    def trained(recorded):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        loader = torch.utils.data.DataLoader(Numbered(), 16, shuffle=True, num_workers=2)
        rec = TorchRecorder(model, DOMAIN, every_n_steps=1, **options) if recorded else None
        if rec:
            rec.start()
        for epoch in range(2):
            for points, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(points), labels).backward()
                optimizer.step()
                if rec:
                    rec.step_end()
            if rec:
                rec.epoch_end(epoch)
        if rec:
            assert len(rec.finish()) == 9
        return [*model.parameters(), torch.get_rng_state()]

    for bare, recorded in zip(trained(False), trained(True), strict=True):
        assert torch.equal(bare, recorded)
