import os
import shutil
from collections import Counter

# Before numpy and the frameworks are imported. A worker of pytest-xdist gets its share of the
# cores: more threads than cores wait for one another.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(variable, str(share))
# Keras picks its backend when it is first imported, wherever that is.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import pytest
from hypothesis import settings

from trainviz import Domain, Recorder
from trainviz._common import jit
from trainviz.modes import MODES

# Before a test module imports it, so that a failing assert of the contract shows its values.
pytest.register_assert_rewrite("store_contract")

# No test waits for another process to compile, or depends on when it is done.
jit.POLICY = "compiled"

# A deadline for each example fails where the machine is busy with something else.
settings.register_profile("trainviz", deadline=None, max_examples=50)
settings.load_profile("trainviz")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Count as slow what repeats a test with further parameters; see ``slow_after``."""
    seen = Counter()
    for item in items:
        kept = item.get_closest_marker("slow_after")
        if kept is not None:
            name = item.nodeid.partition("[")[0]
            seen[name] += 1
            if seen[name] > kept.args[0]:
                item.add_marker("slow")


@pytest.fixture(params=["compiled", "numpy"])
def with_and_without_numba(request, monkeypatch):
    """Run the test by compiled loops, and again by numpy."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(jit, "POLICY", request.param)


@pytest.fixture(scope="session")
def make_recording():
    """Record classes that lie around the origin like the hours of a clock.

    At first the model is one hour late, so that every point is misclassified; at
    the end each class has its own points.
    """

    def record(n_classes=3, snapshots=5, *, points=True, labels=None, metrics=True, **options):
        domain = options.pop("domain", Domain((-2, 2), (-1.5, 1.5), shape=(12, 16)))
        hours = 2 * np.pi * np.arange(n_classes) / n_classes
        if points:
            X = np.concatenate([r * np.stack([np.cos(hours), np.sin(hours)], 1) for r in (0.7, 1)])
            y = np.tile(np.arange(n_classes), 2)
            options["data"] = (X, y if labels is None else np.asarray(labels)[y])
            options.setdefault("classes", labels)
        recorder = Recorder(domain, **options)
        for index in range(snapshots):
            share = index / max(snapshots - 1, 1)
            late = hours + (1 - share) * 2 * np.pi / n_classes
            values = {"loss": 2 - share, "accuracy": share} if metrics else None
            recorder.capture(clock(late), epoch=10 * index, metrics=values)
        return recorder.recording

    return record


def clock(hours):
    def predict_proba(X):
        logits = 4 * X @ np.stack([np.cos(hours), np.sin(hours)])
        logits *= max(1, len(hours) / 3)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    return predict_proba


@pytest.fixture(scope="session")
def recording(make_recording):
    """Three classes, five snapshots of the epochs 0, 10, ... 40, with data and metrics."""
    return make_recording(class_names=["ash", "birch", "cedar"])


@pytest.fixture
def clean_modes():
    """Forget the modes that a test registers."""
    before = dict(MODES)
    yield
    MODES.clear()
    MODES.update(before)


@pytest.fixture(scope="module")
def browser():
    """Return a Chromium that stays open for a module."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                 None)  # fmt: skip
    if found is None:
        reason = "no chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    arguments = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()
