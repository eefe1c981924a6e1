"""Kernels: compiled loops that nobody waits for."""

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
from trainviz._common.providers import PROVIDERS, provided

numba = pytest.importorskip("numba")

PROVIDING = [name for name in PROVIDERS if name.startswith("kernels.")]
KERNELS = [each for name in PROVIDING for each in provided(name)]


@jit.inlined
def twice(value: float) -> float:
    return 2 * value


def _total_by_numpy(values: np.ndarray) -> str:
    return "numpy"


@jit.kernel("(float64[::1],)", _total_by_numpy)
def total(values: np.ndarray) -> float:
    result = 0.0
    for value in values:
        result += twice(value)
    return result


def run(code: str, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    return found.stdout.strip()


def test_a_kernel_returns_what_the_function_returns() -> None:
    assert total(np.arange(4.0)) == 12.0


def test_its_reference_serves_by_that_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "POLICY", "numpy")
    assert total(np.arange(4.0)) == "numpy"


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_every_kernel_compiles_for_its_signature(kernel: jit.Kernel) -> None:
    kernel.compile()
    assert kernel.choice() is not kernel.reference


@pytest.mark.parametrize("provider", PROVIDING)
def test_every_kernel_of_a_module_is_compiled_ahead(provider: str) -> None:
    # One that is not listed is never in the cache, and served by NumPy for ever.
    module = sys.modules[PROVIDERS[provider].partition(":")[0]]
    own = [each for each in vars(module).values()
           if isinstance(each, jit.Kernel) and each.__module__ == module.__name__]  # fmt: skip
    assert {each.__name__ for each in own} == {each.__name__ for each in provided(provider)}


def test_no_module_has_kernels_that_are_not_compiled_ahead() -> None:
    listed = {target.partition(":")[0] for target in PROVIDERS.values()}
    folder = Path(jit.__file__).parents[1]
    having = {
        ".".join(["trainviz", *path.relative_to(folder).with_suffix("").parts])
        for path in folder.rglob("*.py") if "\n@kernel(" in path.read_text(encoding="utf-8")
    }  # fmt: skip
    assert having <= listed


def test_nothing_is_compiled_before_the_first_call() -> None:
    code = "import sys, trainviz.rendering.kernels\nassert 'numba' not in sys.modules"
    run(code)


FIRST_USE = """
import sys, time, numpy as np
from trainviz.evaluation.kernels import normalise_odds as kernel
start = time.monotonic()
first = kernel.choice() is kernel.reference
logs = np.zeros((2, 3, 4), np.float32)
kernel(logs)
assert (logs == 0.5).all()
while kernel.choice() is kernel.reference and time.monotonic() < start + float(sys.argv[1]):
    time.sleep(0.1)
print(first, kernel.choice() is kernel.reference)
"""


@pytest.mark.slow
def test_numpy_serves_until_another_process_has_filled_the_cache(tmp_path: Path) -> None:
    code = FIRST_USE.replace("sys.argv[1]", "200")
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True False"
    # From then on it is loaded at once.
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == "False False"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_on_a_full_disk_numpy_serves(tmp_path: Path) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    code += FIRST_USE.replace("sys.argv[1]", "3")
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"


def test_a_program_without_an_interpreter_starts_no_process(tmp_path: Path) -> None:
    code = "import sys; sys.frozen = True\n" + FIRST_USE.replace("sys.argv[1]", "0.5")
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    assert not list(tmp_path.rglob("*.nbi"))


def test_a_file_of_the_cache_that_was_left_unfinished_is_no_hindrance(tmp_path: Path) -> None:
    run("from trainviz.rendering.kernels import cover; cover.compile()",
        NUMBA_CACHE_DIR=str(tmp_path))  # fmt: skip
    for path in tmp_path.rglob("*.nbc"):
        path.write_bytes(path.read_bytes()[:100])
    code = (
        "import sys; sys.frozen = True\nfrom trainviz.rendering.kernels import cover\n"
        "print(cover.choice() is cover.reference)"
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True"


LOOP = """
from trainviz._common.jit import kernel
from shared import scaled

@kernel("(float64,)", None)
def loop(value):
    return scaled(value)
"""

SHARED = """
from trainviz._common.jit import inlined

FACTOR = {}

@inlined
def scaled(value):
    return FACTOR * value{}
"""


def test_a_loop_is_compiled_again_when_what_it_inlines_from_another_file_has_changed(
    tmp_path: Path,
) -> None:
    folders = os.pathsep.join([str(tmp_path), *sys.path])
    code = (
        "from loops import loop\nloop.compile()\n"
        "print(loop(1.0), loop._dispatcher.stats.cache_hits.total())"
    )
    (tmp_path / "loops.py").write_text(LOOP)
    found = []
    for contents in ((2, ""), (2, ""), (3, ""), (3, " + 1")):
        (tmp_path / "shared.py").write_text(SHARED.format(*contents))
        # Without bytecode, which two versions of the same second and size would share.
        options = {"PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}
        found.append(run(code, NUMBA_CACHE_DIR=str(tmp_path / "cache"), **options))
    assert found == ["2.0 0", "2.0 1", "3.0 0", "4.0 0"]


def test_numba_s_own_switch_turns_compiled_loops_off() -> None:
    code = FIRST_USE.replace("sys.argv[1]", "0.5")
    assert run(code, NUMBA_DISABLE_JIT="1") == "True True"


def test_a_numba_that_cannot_be_imported_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    jit._numba_works.cache_clear()
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.3 or less. Got NumPy 2.9.")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    fresh = jit.Kernel(total._function, "(float64[::1],)", _total_by_numpy)
    try:
        assert fresh(np.arange(4.0)) == "numpy"
    finally:
        jit._numba_works.cache_clear()


def test_a_loop_of_no_file_cannot_be_kept_and_numpy_serves() -> None:
    space: dict[str, Any] = {}
    exec("def twice(value):\n    return 2 * value\n", space)
    made = jit.Kernel(space["twice"], "(int64,)", lambda value: "numpy")
    assert made(21) == "numpy"
