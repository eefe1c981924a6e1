"""The benchmarks run and say what they promise; how fast anything is, is not asked here."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Goals of the project, by row; None where there is none.
CHEAP = {
    "capture-mlp": "<= 1/3",
    "import": "<= 2",
    "training/every-epoch": "<= 1.3",
    "training/version-1": None,
    "training/background": None,
}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks") / "figures.json"
    cases = ["capture-mlp", "import", "train*"]
    result = run("--quick", "--markdown", "--json", path, "--only", *cases)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads(path.read_text())


def test_the_json_names_machine_rows_and_goals(finished):
    _, figures = finished
    assert figures["scale"] == "quick"
    assert figures["failures"] == {}
    assert {"cpu", "cores", "python", "versions"} <= figures["machine"].keys()
    assert {"numpy", "torch"} <= figures["machine"]["versions"].keys()
    assert {row["name"]: row["goal"] for row in figures["rows"]} == CHEAP


def test_every_figure_is_a_positive_ratio_with_its_spread(finished):
    for row in finished[1]["rows"]:
        assert all(math.isfinite(sample) and sample > 0 for sample in row["samples"])
        assert row["min"] <= row["median"] <= row["max"]
        assert row["what"]
        assert row["against"]
        ours, theirs = row["seconds"].values()
        assert row["samples"] == pytest.approx([a / b for a, b in zip(ours, theirs, strict=True)])
        assert row["reached"] is None if row["goal"] is None else row["reached"] in (True, False)


def test_the_table_has_a_line_for_every_row(finished):
    printed, figures = finished
    assert figures["machine"]["cpu"] in printed.splitlines()[0]
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    names = [line.split("|")[1].strip() for line in lines[2:]]
    assert names == [row["name"] for row in figures["rows"]]
    assert all(f"- {name}: " in printed for name in names)


def test_an_unknown_case_is_refused_with_the_known_ones():
    result = run("--only", "speed")
    assert result.returncode == 2
    assert "no case 'speed'; there are " in result.stderr
    assert "capture-mlp" in result.stderr


def test_without_a_gpu_its_script_says_so_and_ends():
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--gpu"],
        cwd=ROOT, env=hidden, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout == "no CUDA device: nothing was run\n"


CODE = """
from benchmarks import gpu
for line in gpu.compare("small CNN", "cpu", epochs=1, steps=1, points=12):
    print(line)
"""


def test_what_the_gpu_script_measures_can_be_measured_on_a_cpu():
    result = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert all("144 of 144 points" in line for line in lines[1:])
