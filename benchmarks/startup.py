"""What ``import trainviz`` costs those who do not use it yet."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import Row, Times, case
from benchmarks.scale import Scale

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
