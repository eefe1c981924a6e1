"""What ``import trainviz`` costs those who do not use it yet, and the first use those who do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, Times, case
from benchmarks.scale import Scale
from trainviz._common.providers import PROVIDERS, provided

__all__: list[str] = []


@case("import")
def import_time(scale: Scale) -> list[Row]:
    """Import in fresh processes, in turn; what the interpreter takes to start is left out."""
    times = Times({"trainviz": [], "numpy": []})
    for round_ in range(-1, 5 * scale.repeats):
        for module in list(times) if round_ % 2 == 0 else reversed(times):
            seconds = _import_seconds(module)
            # The first round finds cold disks and unwritten bytecode.
            if round_ >= 0:
                times[module].append(seconds)
    note = f"{times.typical('trainviz')}, {times.typical('numpy')}"
    return [Row("import", "import trainviz", "import numpy",
                times.ratio("trainviz", "numpy"), "<= 2", note=note, times=times)]  # fmt: skip


def _import_seconds(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return float(result.stdout)


@case("first-use")
def first_use(scale: Scale) -> list[Row]:
    """Capture and render in fresh processes, with Numba's cache empty and with it filled."""
    times = {name: Times({"cold": [], "warm": []}) for name in ("capture", "film")}
    for _ in range(scale.repeats):
        with tempfile.TemporaryDirectory() as folder:
            # The film is that of what was captured before.
            for name, found in times.items():
                cache = Path(folder) / f"cache of {name}"
                for state in found:
                    found[state].append(_first_seconds(name, Path(folder), cache))
                    _wait_until_filled(cache)
    return [
        Row(f"first-use/{name}", f"a first {name}, nothing compiled yet", "all compiled",
            found.ratio("cold", "warm"),
            note=f"{found.typical('cold')}, {found.typical('warm')}; wanted: at most "
            f"{pause} s longer", times=found)
        for (name, found), pause in zip(times.items(), (1, 2), strict=True)
    ]  # fmt: skip


_FIRST = """
import sys, time
import numpy as np
import trainviz as tv
rng = np.random.default_rng(0)
weights = rng.normal(size=(2, 16)), rng.normal(size=(16, 7))
def predict(X):
    return epoch * np.maximum(X @ weights[0], 0) @ weights[1] / 20
domain = tv.Domain((-5, 14), (-4, 14), shape=(360, 380))
if sys.argv[1] == "capture":
    recorder = tv.Recorder(domain, output="logits", path=sys.argv[2], overwrite=True)
    for epoch in range(11):
        start = time.perf_counter()
        recorder.capture(predict, epoch=epoch)
        if epoch == 0:
            print(time.perf_counter() - start)
    recorder.close()
else:
    film = tv.animate(tv.open_recording(sys.argv[2]), interpolate=10)
    start = time.perf_counter()
    film.save(sys.argv[2] + ".mp4", progress=False)
    print(time.perf_counter() - start)
"""


def _first_seconds(name: str, folder: Path, cache: Path) -> float:
    result = subprocess.run(
        [sys.executable, "-c", _FIRST, name, str(folder / "recording")],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(result.stdout)


def _wait_until_filled(cache: Path) -> None:
    """Let the process end that fills a cache: it would take time from what is measured next."""
    while len(list(cache.rglob("*.nbi"))) < _N_KERNELS:
        time.sleep(0.2)


_N_KERNELS = sum(len(provided(name)) for name in PROVIDERS if name.startswith("kernels."))
