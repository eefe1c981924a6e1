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
from trainviz.modes.region import by_area
from trainviz.player.document import bundle
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("tsc", ["-p", STATIC]),
        ("eslint", ["-c", HERE / "eslint.config.mjs", STATIC, HERE / "js", HERE / "paint.mjs"]),
    ],
    ids=["types", "lint"],
)
def test_its_types_and_its_style_are_right(tool, arguments):
    path = HERE / "node_modules" / ".bin" / tool
    if not path.exists():
        pytest.skip(f"no {tool}: npm install --prefix tests/player")
    result = subprocess.run([path, *arguments], capture_output=True, text=True, cwd=HERE.parents[1])
    assert result.returncode == 0, result.stdout + result.stderr


def run_painter(tmp_path, maps, **job):
    """Return what paint.mjs writes, and the maps as Python unpacks them."""
    paths = [tmp_path / f"{k}.bin" for k in range(len(maps))]
    packed = [pack(values, OutputKind.PROBABILITIES, grade="display") for values in maps]
    for path, payload in zip(paths, packed, strict=True):
        path.write_bytes(payload)
    (tmp_path / "job.json").write_text(json.dumps({"maps": list(map(str, paths)), **job}))
    node(HERE / "paint.mjs", tmp_path / "job.json", tmp_path / "out")
    return (tmp_path / "out").read_bytes(), [unpack(payload).dense() for payload in packed]


def painted(tmp_path, maps, mode, *, weight=0.0, dark=False, shade=True, recording=None, of=-1):
    """Return the picture of JavaScript and that of Python, shape (h, w, 3)."""
    n_classes, height, width = maps[0].shape
    mode = find_mode(mode)
    cmap = mode.cmap if recording is None else mode.colormap(recording)
    colors = tv.Palette.of(n_classes, cmap=cmap, dark=dark)
    bound = mode.bound(n_classes, colors, shade=shade, recording=recording)
    job = {
        "weight": weight, "mode": mode.name, "shade": shade, "of": of,
        "colors": colors.classes.tolist(), "ground": colors.background.tolist(),
        "scale": colors.sequential.tolist(), "limits": list(bound.limits),
    }  # fmt: skip
    if getattr(bound, "top_k", None):
        job["kept"] = sorted(by_area(recording)[: bound.top_k].tolist())
        job["colors"] = [*bound.kept_colors.tolist(), [128, 128, 128]]
    out, dense = run_painter(tmp_path, maps, **job)
    raw = np.frombuffer(out, np.uint8).reshape(height, width, 4)
    if mode.name in ("change", "difference"):
        return raw[..., :3], bound.paint(dense[0][:, ::-1], dense[1][:, ::-1])
    mixed = dense[0] if len(dense) == 1 else dense[0] + np.float32(weight) * (dense[1] - dense[0])
    return raw[..., :3], bound.paint(np.ascontiguousarray(mixed[:, ::-1]))


def assert_alike(ours, theirs):
    off = np.abs(ours.astype(int) - theirs.astype(int)).max(axis=2)
    # A value that falls on the edge of two shades may be rounded either way; a shade is up to
    # three levels of a channel, and in a border pixel one sub-sample of sixteen may change side.
    assert (off > 1).mean() < 0.001
    assert off.max() <= 16


def recorded(*maps):
    """Return a recording of maps."""
    _, height, width = maps[0].shape
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), shape=(height, width)))
    for epoch, values in enumerate(maps):
        recorder.append(values, epoch=epoch)
    return recorder.recording


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
    assert_alike(ours, theirs)


@needs_node
@pytest.mark.parametrize("of", [None, 3])
def test_it_paints_differences_as_python_does(tmp_path, maps, of):
    one, other = recorded(maps[0]), recorded(maps[1])
    mode = tv.modes.Difference(other, of)
    ours, theirs = painted(tmp_path, maps, mode, recording=one, of=-1 if of is None else of)
    assert_alike(ours, theirs)
    assert len(np.unique(theirs.reshape(-1, 3), axis=0)) > 30


@needs_node
def test_it_paints_change_as_python_does(tmp_path, maps):
    assert_alike(*painted(tmp_path, maps, "change"))


@needs_node
@pytest.mark.parametrize("shade", [True, False])
def test_the_largest_classes_have_a_colour_and_the_others_are_grey(tmp_path, maps, shade):
    mode = tv.modes.Region(top_k=2)
    ours, theirs = painted(tmp_path, maps[:1], mode, recording=recorded(maps[0]), shade=shade)
    assert_alike(ours, theirs)


@needs_node
def test_outlines_are_those_of_python(tmp_path, maps):
    bound = tv.modes.Region(outline=True).bound(5, tv.Palette.of(5))
    out, (dense,) = run_painter(tmp_path, maps[:1], weight=0, mode="leads")
    expected = [contour.values for contour in bound.contours(dense)]
    found = np.frombuffer(out, "<f4").reshape(len(expected), *dense.shape[1:])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@needs_node
def test_uniform_regions_are_exactly_equal(tmp_path, maps):
    ours, theirs = painted(tmp_path, maps[:1], "region", shade=False)
    assert (np.abs(ours.astype(int) - theirs.astype(int)).max(axis=2) > 1).mean() < 0.0005
