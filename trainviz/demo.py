"""The demo: train on seven Gaussian clusters, record, render."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.progress import progress_bar
from trainviz.capture.schedule import Schedule
from trainviz.domain.domain import Domain
from trainviz.recordings.recording import Recording
from trainviz.rendering.animation import animate

__all__ = ["CENTERS", "record_demo", "run_demo", "seven_clusters"]

CENTERS = ((1, 1), (11, 1), (6, 5), (1, 8), (6, -1), (11, 8), (6, 10))
"""Of the seven clusters; the standard deviation is 1.1."""

_DOMAIN = {"xlim": (-3, 15), "ylim": (-5, 14), "step": 0.05}


def seven_clusters(
    points_per_class: int = 60, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw seven Gaussian clusters in the plane.

    Parameters
    ----------
    points_per_class : int, default 60
    seed : int, default 0

    Returns
    -------
    X : ndarray of float64, shape (7 * points_per_class, 2)
    y : ndarray of int64, shape (7 * points_per_class,)

    Examples
    --------
    >>> X, y = seven_clusters()
    >>> X.shape, np.bincount(y)
    ((420, 2), array([60, 60, 60, 60, 60, 60, 60]))
    """
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(center, 1.1, (points_per_class, 2)) for center in CENTERS])
    return X, np.repeat(np.arange(len(CENTERS)), points_per_class)


def record_demo(epochs: int = 500, seed: int = 0, backend: str | None = None) -> Recording:
    """Train a small MLP on the seven clusters and record it.

    Parameters
    ----------
    epochs : int, default 500
    seed : int, default 0
    backend : {"torch", "sklearn"}, optional
        Default: torch if it is installed.

    Returns
    -------
    Recording

    Raises
    ------
    ImportError
        If neither torch nor scikit-learn is installed.
    """
    backend = backend or _installed_backend()
    options: dict[str, Any] = {
        "schedule": Schedule.geometric(1.06),
        "data": seven_clusters(seed=seed),
        "class_names": [f"cluster {number}" for number in range(1, 8)],
        # Not "auto", which goes by measured times: each demo is to be the same.
        "evaluation": "adaptive",
    }
    domain = Domain(**_DOMAIN)  # type: ignore[arg-type]
    record = _record_torch if backend == "torch" else _record_sklearn
    with progress_bar("training", "epoch", epochs) as advance:
        return record(domain, epochs, seed, options, advance)


def run_demo(
    folder: Path, epochs: int = 500, seed: int = 0, backend: str | None = None
) -> list[Path]:
    """Train, record, and write a film of each mode, a still, a filmstrip and a page.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    epochs, seed, backend
        As for :func:`record_demo`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ImportError
        As :func:`record_demo`.
    OSError
        If the folder cannot be made.
    WriterError
        If a film cannot be written.
    """
    backend = backend or _installed_backend()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"the folder {str(folder)!r} cannot be made: {error.strerror}") from error
    started = time.perf_counter()
    print(f"Training a 2-8-16-8-7 MLP on seven Gaussian clusters ({backend}, {epochs} epochs) ...")
    recording = record_demo(epochs, seed, backend)
    print(f"Recorded {recording!r}")
    written = []
    heading = {"title": "Seven Gaussian clusters", "subtitle": "MLP 2-8-16-8-7, ReLU, SGD"}
    for mode, dark in (("boundary", True), ("region", False)):
        film = animate(
            recording, mode=mode, interpolate=5, interpolation="smooth", hold=1.5, dark=dark,
            **heading,  # type: ignore[arg-type]
        )  # fmt: skip
        written.append(film.save(folder / f"{mode}.mp4"))
    film.still(folder / "region.png")
    film.filmstrip(folder / "filmstrip.png")
    written += [folder / "region.png", folder / "filmstrip.png"]
    page = film.save(folder / "training.html")
    print(f"Done in {time.perf_counter() - started:.0f} s. Written:")
    for path in written:
        print(f"  {path.resolve()}")
    written.append(page)
    print(f"To explore the training, open this page in a browser, offline: {page.resolve()}")
    return written


def _installed_backend() -> str:
    for module, backend in (("torch", "torch"), ("sklearn", "sklearn")):
        if importlib.util.find_spec(module) is not None:
            return backend
    raise ImportError('the demo needs PyTorch or scikit-learn: pip install "trainviz[sklearn]"')


def _record_torch(
    domain: Domain, epochs: int, seed: int, options: dict[str, Any], advance: Callable[[], Any]
) -> Recording:
    import torch

    from trainviz.adapters.torch.recorder import TorchRecorder

    torch.manual_seed(seed)
    X, y = options["data"]
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    sizes = (2, 8, 16, 8, 7)
    layers: list[Any] = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04)
    loss_of = torch.nn.CrossEntropyLoss()
    with _one_thread(torch), TorchRecorder(model, domain, **options) as recorder:
        for epoch in range(epochs):
            total, right = torch.zeros(()), torch.zeros(())
            for batch in torch.randperm(len(inputs)).split(64):
                logits = model(inputs[batch])
                loss = loss_of(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(batch)
                right += (logits.argmax(dim=1) == labels[batch]).sum()
            recorder.epoch_end(
                epoch, loss=float(total) / len(inputs), accuracy=float(right) / len(inputs)
            )
            advance()
    return recorder.recording


def _record_sklearn(
    domain: Domain, epochs: int, seed: int, options: dict[str, Any], advance: Callable[[], Any]
) -> Recording:
    from sklearn.neural_network import MLPClassifier

    from trainviz.adapters.sklearn import SklearnRecorder

    X, y = options["data"]
    model = MLPClassifier(
        (8, 16, 8), solver="sgd", learning_rate_init=0.02, batch_size=32, momentum=0.0,
        alpha=0.0, random_state=seed,
    )  # fmt: skip
    with SklearnRecorder(model, domain, **options) as recorder:
        for epoch in range(epochs):
            model.partial_fit(X, y, classes=np.arange(7))
            recorder.epoch_end(epoch, loss=model.loss_)
            advance()
    return recorder.recording


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    # Threads that wait for each other at every step of so small a network cost more
    # than they save: fifteen times the CPU time on a machine that is busy otherwise.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
