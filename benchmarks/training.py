"""What training costs with a recorder on it."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.measure import Row, case, interleave
from benchmarks.scale import Scale
from benchmarks.workloads import demo_loop, make_torch_recorder, seven_classes, spread
from trainviz import TorchRecorder

__all__: list[str] = []


@case("training")
def training(scale: Scale) -> list[Row]:
    """Train blocks of epochs, all along the demo, with and without captures.

    Every block goes on from the same state with the same random numbers. The
    captures that still wait when it ends are part of its time.
    """
    trained = seven_classes(scale.epochs)
    starts = spread(scale.epochs - 1, scale.blocks)
    ready: dict[str, Any] = {}

    def before(name: str, block: int) -> None:
        model, ready["train_epoch"] = demo_loop(block, trained.states[starts[block]])
        if name != "alone":
            background = name == "background"
            ready["recorder"] = make_torch_recorder(trained, model, background=background).start()
            _wait_for_first(ready["recorder"])

    def alone(_: int) -> None:
        for _ in range(scale.block_epochs):
            ready["train_epoch"]()

    def recorded(_: int) -> None:
        for epoch in range(scale.block_epochs):
            ready["recorder"].epoch_end(epoch, loss=ready["train_epoch"]())
        ready["recorder"].finish()

    actions = {"alone": alone, "every epoch": recorded, "background": recorded}
    times = interleave(actions, len(starts), before=before)
    epochs = scale.block_epochs
    return [
        Row(f"training/{part}", f"training, {what}", "training alone",
            times.ratio(name, "alone"), goal, times={n: times[n] for n in (name, "alone")},
            note=f"epochs: {times.speed(name, epochs)}, {times.speed('alone', epochs)}")
        for part, name, what, goal in (
            ("every-epoch", "every epoch", "a capture every epoch", "<= 1.3"),
            ("background", "background", "the same with background=True", None),
        )
    ]  # fmt: skip


def _wait_for_first(recorder: TorchRecorder, seconds: float = 30) -> None:
    """Let a capture in the background end, which is none of the block's."""
    end = time.monotonic() + seconds
    while not len(recorder.recording) and time.monotonic() < end:
        time.sleep(0.001)
