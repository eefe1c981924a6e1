"""How much memory rendering and recording take, each in a process of its own."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, case
from benchmarks.scale import Scale, demo_domain
from trainviz import Recording, Snapshot, animate
from trainviz.recordings.history import LogEntry

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parent.parent


@case("memory-render")
def memory_render(scale: Scale) -> list[Row]:
    """Render a short and a long recording that itself takes no memory."""
    short, long = scale.memory_snapshots
    rows = []
    for suffix in ("mp4", "gif"):
        pairs = [
            (_child("render", short, suffix), _child("render", long, suffix))
            for _ in range(scale.repeats)
        ]
        peaks = [f"{np.median(side) / 1e6:.0f} MB" for side in zip(*pairs, strict=True)]
        rows.append(
            Row(f"memory-render/{suffix}", f"peak memory of rendering {long} snapshots, {suffix}",
                f"rendering {short}", [after / before for before, after in pairs], "<= 1.1",
                note=f"whole process: {peaks[1]} against {peaks[0]}")
        )  # fmt: skip
    return rows


@case("memory-recording")
def memory_recording(scale: Scale) -> list[Row]:
    """Train the demo with a capture every epoch, and see what the process has grown by."""
    grown = [_child("record", scale.epochs, "") / 1e6]
    domain = demo_domain()
    raw = 4 * 7 * domain.n_points * (scale.epochs + 1) / 1e6
    note = f"{grown[0] / raw:.2%} of {raw:.0f} MB as float32 maps; {scale.epochs + 1} snapshots"
    return [Row("memory-recording", "memory of the demo's recording", "(absolute)", grown,
                "<= 120 MB", unit="MB", note=note)]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Do one job in this process and print its bytes."""
    job, count, suffix = arguments
    taken = _render(int(count), suffix) if job == "render" else _record(int(count))
    print(json.dumps(taken))


class Turning:
    """A store of snapshots that are made as they are read: the mixtures of two maps."""

    n_classes = 7

    def __init__(self, length: int) -> None:
        rng = np.random.default_rng(0)
        domain = demo_domain()
        ground = np.stack(np.meshgrid(domain.x, domain.y), axis=-1)
        logits = [np.moveaxis(ground @ rng.normal(size=(2, 7)), -1, 0) for _ in range(2)]
        odds = [np.exp(part - part.max(axis=0)).astype(np.float32) for part in logits]
        self._ends = [part / part.sum(axis=0) for part in odds]
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> Snapshot:
        share = np.float32(index / max(self._length - 1, 1))
        return Snapshot((1 - share) * self._ends[0] + share * self._ends[1], index)

    def epoch(self, index: int) -> int:
        return index

    def step(self, index: int) -> int | None:
        return None

    def metrics(self, index: int) -> Mapping[str, float]:
        return {"loss": 1 / (1 + index)}

    def data_predictions(self, index: int) -> None:
        return None

    def weights_epoch(self, index: int) -> None:
        return None

    def logged(self) -> Sequence[LogEntry]:
        return ()


def _render(snapshots: int, suffix: str) -> int:
    recording = Recording(demo_domain(), Turning(snapshots))
    with tempfile.TemporaryDirectory() as folder:
        film = animate(recording, figsize=(6.4, 4.8), dpi=100)
        film.save(Path(folder) / f"film.{suffix}", progress=False)
    return _peak()


def _record(epochs: int) -> int:
    # Torch is as large as what is measured elsewhere in this file.
    from benchmarks.workloads import demo_loop, make_torch_recorder, seven_classes

    def run(epochs: int) -> Any:
        model, train_epoch = demo_loop(seed=0)
        with make_torch_recorder(seven_classes(0), model) as recorder:
            for epoch in range(epochs):
                recorder.epoch_end(epoch, loss=train_epoch())
        return recorder.recording

    run(3)
    gc.collect()
    before = _resident()
    recording = run(epochs)
    gc.collect()
    taken = _resident() - before
    assert len(recording) == epochs + 1
    return taken


def _child(*arguments: object) -> int:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", *map(str, arguments)],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode:
        raise RuntimeError(f"the measured process failed: {result.stderr.strip()}")
    return int(json.loads(result.stdout))


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # A child inherits its parent's ru_maxrss, but not this.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _resident() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        return _peak()
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(sys.argv[1:])
