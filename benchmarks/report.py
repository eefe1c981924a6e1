"""The machine, the table and the JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import Row

__all__ = ["heading", "machine", "table", "write_json"]

_PACKAGES = ("trainviz", "numpy", "torch", "matplotlib", "scikit-learn", "moviepy", "pillow")
_COLUMNS = ("name", "what", "against", "figure (min to max)", "goal", "reached")


def machine() -> dict[str, Any]:
    """Describe where the figures come from."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
    return {
        "cpu": _cpu_model(),
        "cores": len(cores),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def heading(about: dict[str, Any]) -> str:
    """Say in one line where the figures come from."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    load = f", load {about['load_before']:.1f} before" if about["load_before"] is not None else ""
    return (
        f"{about['cpu']}, {about['cores']} cores{load}; {about['system']}; "
        f"Python {about['python']}, {versions}"
    )


def table(rows: Sequence[Row], *, markdown: bool) -> str:
    """Lay the rows out for a terminal or for Markdown."""
    cells = [_COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells
    ]
    rule = ["-" * width for width in widths]
    lines = [padded[0], rule, *padded[1:]]
    if markdown:
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def write_json(
    path: Path, about: dict[str, Any], scale: str, rows: Sequence[Row], failures: dict[str, str]
) -> None:
    """Write everything that is known so far."""
    content = {
        "machine": about,
        "scale": scale,
        "rows": [row.as_dict() for row in rows],
        "failures": failures,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    figure = f"{_number(row.value, row.unit)} ({_number(min(row.samples), row.unit)} to "
    figure += f"{_number(max(row.samples), row.unit)})"
    if row.statistic != "median":
        figure = f"{row.statistic} {figure}"
    verdict = {None: "", True: "yes", False: "NO"}[row.reached]
    return row.name, row.what, row.against, figure, row.goal or "", verdict


def _number(value: float, unit: str) -> str:
    shown = 100 * value if unit == "%" else value
    text = f"{shown:.0f}" if shown >= 1000 else f"{shown:.3g}"
    return f"{text} {unit}".rstrip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
