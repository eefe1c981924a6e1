"""What a second process is worth to a capture."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.measure import Row, Times, case
from benchmarks.scale import Scale
from benchmarks.workloads import convolutional, make_torch_recorder

__all__: list[str] = []

_RANKS = 2
_SIDE = 128
"""Of the grid, at most: dense evaluation in one thread takes long."""
_WAYS = ("shard", "rank_zero")


@case("capture-shared")
def capture_shared(scale: Scale) -> list[Row]:
    """Time captures that two processes share, a thread each."""
    with tempfile.TemporaryDirectory() as folder:
        side = min(scale.cnn_side, _SIDE)
        torch.multiprocessing.spawn(_rank, (folder, side, scale.states), _RANKS)
        seconds = json.loads((Path(folder) / "seconds.json").read_text())
    rows = []
    for evaluation, by_way in seconds.items():
        times = Times(by_way)
        note = f"{times.typical('shard')}, {times.typical('rank_zero')}; one thread each"
        rows.append(
            Row(f"capture-shared/{evaluation}", f"capture, CNN, {_RANKS} processes, {evaluation}",
                "rank zero alone", times.ratio("shard", "rank_zero"), note=note, times=times)
        )  # fmt: skip
    return rows


def _rank(rank: int, folder: str, side: int, states: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=_RANKS
    )
    seconds = {kind: _times(kind, side, states) for kind in ("adaptive", "dense")}
    if rank == 0:
        (Path(folder) / "seconds.json").write_text(json.dumps(seconds))
    dist.destroy_process_group()


def _times(evaluation: str, side: int, states: int) -> dict[str, list[float]]:
    trained = convolutional(side, states)
    options: dict[str, Any] = {"evaluation": evaluation, "final": False}
    trained.at(0)
    recorders = {
        way: make_torch_recorder(trained, trained.model, distributed=way, **options).start()
        for way in _WAYS
    }
    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
    for index in range(1, states + 1):
        trained.at(index)
        for way in _WAYS[:: (-1) ** index]:
            dist.barrier()
            started = time.perf_counter()
            recorders[way].epoch_end()
            dist.barrier()
            seconds[way].append(time.perf_counter() - started)
    return seconds
