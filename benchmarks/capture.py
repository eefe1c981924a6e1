"""What a capture asks of the model, and how long it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.measure import Row, case, interleave
from benchmarks.scale import Scale
from benchmarks.workloads import (
    TOLERANCE,
    Trained,
    convolutional,
    dense_map,
    hundred_classes,
    make_recorder,
    seven_classes,
    spread,
)
from trainviz import Domain

__all__: list[str] = []


class Counted:
    """A predict callable that counts the points it is asked for."""

    def __init__(self, predict: Any) -> None:
        self._predict = predict
        self.points = 0

    def __call__(self, points: npt.NDArray[Any]) -> Any:
        self.points += len(points)
        return self._predict(points)


@case("evaluations")
def evaluations(scale: Scale) -> list[Row]:
    """Count evaluations and errors over the whole demo."""
    trained = seven_classes(scale.epochs)
    recorder = make_recorder(trained)
    shares, claimed, errors, differing = [], [], [], []
    for epoch in range(scale.epochs + 1):
        model = Counted(trained.at(epoch))
        snapshot = recorder.capture(model, epoch=epoch)
        assert snapshot is not None
        shares.append(model.points / trained.domain.n_points)
        claimed.append(snapshot.evaluations / trained.domain.n_points)
        if epoch % scale.compare_every == 0:
            error, other = _compare(snapshot.probabilities, dense_map(trained, epoch))
            errors.append(error)
            differing.append(other)
    compared = f"{len(errors)} of {scale.epochs + 1} states compared, tolerance {TOLERANCE:.5f}"
    note = f"every point asked for, data included; the snapshots say {np.mean(claimed):.2%}"
    return [
        Row("evaluations/share", "points asked of the model, seven classes",
            "the grid's points", shares, "<= 4 %", "mean", "%", note),
        Row("evaluations/argmax", "pixels of another class than dense",
            "the grid's points", differing, "<= 0.05 %", "mean", "%", compared),
        Row("evaluations/error", "largest error of a probability",
            "dense evaluation", errors, "<= 0.01", "max", "", compared),
    ]  # fmt: skip


@case("capture-cnn")
def capture_cnn(scale: Scale) -> list[Row]:
    """Time a network for which a point is expensive."""
    return [_against_dense("capture-cnn", convolutional(scale.cnn_side, scale.states),
                           "capture, CNN on 32x32 images", "<= 1/10")]  # fmt: skip


@case("capture-mlp")
def capture_mlp(scale: Scale) -> list[Row]:
    """Time the tiny network, for which a point costs next to nothing."""
    trained = seven_classes(scale.epochs)
    recorder = make_recorder(trained)
    grid = torch.from_numpy(trained.domain.points(dtype=np.float32))
    chosen = sorted({max(index, 2) for index in spread(scale.epochs, scale.pairs)})

    def before(name: str, pair: int) -> None:
        if name == "trainviz":
            # A recorder that captures every epoch knows those before.
            for index in (chosen[pair] - 2, chosen[pair] - 1):
                recorder.capture(trained.at(index), epoch=index)
        trained.at(chosen[pair])

    def plain(_: int) -> None:
        with torch.no_grad():
            torch.max(torch.softmax(trained.model(grid), dim=1), dim=1)

    actions = {
        "trainviz": lambda pair: recorder.capture(trained.predictor, epoch=chosen[pair]),
        "plain torch": plain,
    }
    times = interleave(actions, len(chosen), before=before)
    seconds = f"{times.typical('trainviz')}, {times.typical('plain torch')}"
    return [Row("capture-mlp", "capture, tiny MLP, 7 classes", "plain torch.max(softmax)",
                times.ratio("trainviz", "plain torch"), "<= 1/3", times=times,
                note=f"{seconds} on a grid tensor made once")]  # fmt: skip


@case("capture-100-classes")
def capture_100_classes(scale: Scale) -> list[Row]:
    """Time maps whose size is in their classes."""
    return [_against_dense("capture-100-classes",
                           hundred_classes(scale.classes_side, scale.states),
                           "capture, 100 classes", None)]  # fmt: skip


@case("capture-large-grid")
def capture_large_grid(scale: Scale) -> list[Row]:
    """Time maps whose size is in their points."""
    demo = seven_classes(scale.epochs)
    states = [demo.states[index] for index in spread(scale.epochs, scale.states + 1)]
    domain = Domain(demo.domain.xlim, demo.domain.ylim, points_per_axis=scale.large_side)
    trained = Trained(demo.model, domain, states, demo.data)
    side = scale.large_side
    return [_against_dense("capture-large-grid", trained, f"capture, grid {side}x{side}", None)]


def _against_dense(name: str, trained: Trained, what: str, goal: str | None) -> Row:
    recorders = {kind: make_recorder(trained, kind) for kind in ("adaptive", "dense")}
    counted = Counted(trained.predictor)
    recorders["adaptive"].capture(trained.at(0), epoch=0)
    actions = {
        "adaptive": lambda pair: recorders["adaptive"].capture(counted, epoch=pair + 1),
        "dense": lambda pair: recorders["dense"].capture(trained.predictor, epoch=pair + 1),
    }
    pairs = len(trained.states) - 1
    times = interleave(actions, pairs, before=lambda _, pair: trained.at(pair + 1))
    share = counted.points / (pairs * trained.domain.n_points)
    ours, exact = (recorders[kind].recording[-pairs:] for kind in ("adaptive", "dense"))
    errors = [
        _compare(mine.probabilities, right.probabilities)[0]
        for mine, right in zip(ours, exact, strict=True)
    ]
    height, width = trained.domain.shape
    note = (
        f"grid {height}x{width}; {share:.2%} of its points asked, largest error {max(errors):.4f}; "
        f"{times.typical('adaptive')}, {times.typical('dense')}"
    )
    return Row(name, what, "dense evaluation", times.ratio("adaptive", "dense"), goal,
               note=note, times=times)  # fmt: skip


def _compare(ours: npt.NDArray[np.float32], exact: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the largest error, and the share of pixels with another class."""
    error = float(np.abs(ours - exact).max())
    return error, float((ours.argmax(axis=0) != exact.argmax(axis=0)).mean())
