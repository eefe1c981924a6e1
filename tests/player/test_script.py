"""The player's JavaScript: its own tests, its types, and its painting against Python's."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import trainviz as tv
from trainviz._common.output_kind import OutputKind
from trainviz.modes import find_mode
from trainviz.player.page import bundle
from trainviz.player.server import LIVE_MODULES
from trainviz.recordings.packed import pack, unpack

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "trainviz" / "player" / "static"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def node(*arguments):
    result = subprocess.run([NODE, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_node
def test_its_own_tests_pass():
    files = sorted((HERE / "js").glob("*.test.js"))
    assert "# fail 0" in node("--test", "--test-reporter=tap", *files)


@needs_node
def test_all_modules_in_one_are_still_a_module(tmp_path):
    path = tmp_path / "player.mjs"
    path.write_text(bundle((*LIVE_MODULES, "widget.js")))
    node("--check", path)


def test_every_module_is_in_a_page():
    assert {path.name for path in STATIC.glob("*.js")} == {*LIVE_MODULES, "widget.js"}


@pytest.mark.skipif(shutil.which("tsc") is None, reason="TypeScript is not installed")
def test_its_types_are_right():
    result = subprocess.run(["tsc", "-p", STATIC], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def painted(tmp_path, maps, mode, *, weight=0.0, dark=False, shade=True):
    """Return the picture of JavaScript and that of Python, shape (h, w, 3)."""
    paths = [tmp_path / f"{k}.bin" for k in range(len(maps))]
    packed = [pack(values, OutputKind.PROBABILITIES, grade="display") for values in maps]
    for path, payload in zip(paths, packed, strict=True):
        path.write_bytes(payload)
    dense = [unpack(payload).dense() for payload in packed]
    n_classes, height, width = dense[0].shape
    colors = tv.Palette.of(n_classes, cmap=find_mode(mode).cmap, dark=dark)
    bound = find_mode(mode).bound(n_classes, colors, shade=shade)
    job = {
        "maps": list(map(str, paths)), "weight": weight, "mode": mode, "shade": shade,
        "colors": colors.classes.tolist(), "ground": colors.background.tolist(),
        "scale": colors.sequential.tolist(), "limits": list(bound.limits), "of": n_classes - 1,
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    node(HERE / "paint.mjs", tmp_path / "job.json", tmp_path / "out")
    raw = np.frombuffer((tmp_path / "out").read_bytes(), np.uint8).reshape(height, width, 4)
    mixed = dense[0] if len(dense) == 1 else dense[0] + np.float32(weight) * (dense[1] - dense[0])
    return raw[..., :3], bound.paint(np.ascontiguousarray(mixed[:, ::-1]))


@pytest.fixture(scope="module")
def maps():
    y, x = np.mgrid[0:90, 0:80] / 20
    made = []
    for turn in (0.0, 0.7):
        logits = [
            3 * np.sin(x * (k + 1) / 3 + turn + k) * np.cos(y * (k + 2) / 4) for k in range(5)
        ]
        odds = np.exp(logits)
        made.append((odds / odds.sum(axis=0)).astype(np.float32))
    return made


@needs_node
@pytest.mark.parametrize("mode", ["region", "boundary", "entropy", "margin"])
@pytest.mark.parametrize(("weight", "dark"), [(0.0, False), (0.4, True)])
def test_it_paints_as_python_does(tmp_path, maps, mode, weight, dark):
    ours, theirs = painted(tmp_path, maps, mode, weight=weight, dark=dark)
    off = np.abs(ours.astype(int) - theirs.astype(int)).max(axis=2)
    # A value that falls on the edge of two shades may be rounded either way; a shade is up to
    # three levels of a channel, and in a border pixel one sub-sample of sixteen may change side.
    assert (off > 1).mean() < 0.001
    assert off.max() <= 16


@needs_node
def test_uniform_regions_are_exactly_equal(tmp_path, maps):
    ours, theirs = painted(tmp_path, maps[:1], "region", shade=False)
    assert (np.abs(ours.astype(int) - theirs.astype(int)).max(axis=2) > 1).mean() < 0.0005
