"""What training costs with a recorder on it."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from benchmarks.measure import Row, case, interleave
from benchmarks.plain import version_one_map
from benchmarks.scale import Scale
from benchmarks.workloads import demo_loop, make_torch_recorder, seven_classes, spread
from trainviz import TorchRecorder

__all__: list[str] = []


class Blocks:
    """Blocks of epochs, all along the demo: each goes on from a state of it.

    The captures that still wait when a block ends are part of its time.
    """

    def __init__(self, scale: Scale, count: int) -> None:
        self._trained = seven_classes(scale.epochs)
        self._starts = spread(scale.epochs - 1, count)
        self._epochs = scale.block_epochs
        self.actions = {
            "alone": self._alone, "every epoch": self._recorded, "background": self._recorded,
            "version 1.0": self._version_one,
        }  # fmt: skip

    def before(self, name: str, block: int) -> None:
        """Make ready what an action trains, and capture what it starts from."""
        while threading.active_count() > 1 and name == "alone":
            # A worker that has nothing to do holds a pool of threads for a while.
            time.sleep(0.05)
        self._model, self._train_epoch = demo_loop(block, self._trained.states[self._starts[block]])
        if name in ("every epoch", "background"):
            self._recorder = make_torch_recorder(
                self._trained, self._model, background=name == "background"
            ).start()
            _wait_for_first(self._recorder)

    def times(self, *names: str) -> Any:
        """Time the actions in turn."""
        actions = {name: self.actions[name] for name in names}
        return interleave(actions, len(self._starts), before=self.before)

    def _alone(self, _: int) -> None:
        for _ in range(self._epochs):
            self._train_epoch()

    def _recorded(self, _: int) -> None:
        for epoch in range(self._epochs):
            self._recorder.epoch_end(epoch, accuracy=self._train_epoch())
        self._recorder.finish()

    def _version_one(self, _: int) -> None:
        kept = []
        for _ in range(self._epochs):
            self._train_epoch()
            kept.append(version_one_map(self._model, self._trained.domain))


@case("training")
def training(scale: Scale) -> list[Row]:
    """Train with captures, without, and with those of version 1.0."""
    times = Blocks(scale, scale.blocks).times("alone", "every epoch", "version 1.0")
    alone, ours, before = (statistics.median(times[name]) for name in times)
    epochs = scale.block_epochs
    speeds = ", ".join(times.speed(name, epochs) for name in times)
    return [
        Row("training/every-epoch", "training, a capture every epoch", "training alone",
            times.ratio("every epoch", "alone"), "<= 1.3",
            note=f"epochs: {speeds}; a capture adds {1000 * (ours - alone) / epochs:.3g} ms to an "
            f"epoch, that of version 1.0 {1000 * (before - alone) / epochs:.3g} ms",
            times={name: times[name] for name in ("every epoch", "alone")}),
        Row("training/version-1", "training, version 1.0's map every epoch", "training alone",
            times.ratio("version 1.0", "alone"),
            times={name: times[name] for name in ("version 1.0", "alone")}),
    ]  # fmt: skip


@case("training-background")
def training_background(scale: Scale) -> list[Row]:
    """Train with captures on another thread."""
    times = Blocks(scale, max(scale.blocks // 3, 2)).times("background", "alone")
    speeds = ", ".join(times.speed(name, scale.block_epochs) for name in times)
    return [Row("training/background", "training, the same with background=True", "training alone",
                times.ratio("background", "alone"), times=times,
                note=f"epochs: {speeds}")]  # fmt: skip


def _wait_for_first(recorder: TorchRecorder, seconds: float = 30) -> None:
    """Let a capture in the background end, which is none of the block's."""
    end = time.monotonic() + seconds
    while not len(recorder.recording) and time.monotonic() < end:
        time.sleep(0.001)
