"""What Numba compiles, and what happens where it cannot."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainviz._common import jit

numba = pytest.importorskip("numba")


def total(values: np.ndarray) -> float:
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_compiled_function_returns_what_the_function_returns() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert jit.compiled(total)(values) == total(values)


def test_nothing_is_compiled_before_the_first_call() -> None:
    code = (
        "import sys, trainviz._common.jit as jit\n"
        "jit.compiled(print)\nassert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numba_s_own_switch_turns_compiled_loops_off() -> None:
    code = "from trainviz._common import jit; print(jit.available())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True
    )
    assert found.stdout.strip() == "False"


def test_a_numba_that_cannot_be_imported_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    jit.available.cache_clear()
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.3 or less. Got NumPy 2.9.")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    try:
        assert not jit.available()
    finally:
        jit.available.cache_clear()


def test_a_function_of_no_file_is_compiled_all_the_same() -> None:
    space: dict[str, Any] = {}
    exec("def twice(value):\n    return 2 * value\n", space)
    assert jit.compiled(space["twice"])(21) == 42


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_no_hindrance(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "import trainviz as tv\n"
        "domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=100)\n"
        "snapshot = tv.Recorder(domain, output='logits').capture(lambda X: 5 * X[:, 0], epoch=0)\n"
        "print(snapshot.evaluations < 5000)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True
    )
    assert found.stdout.strip() == "True"
