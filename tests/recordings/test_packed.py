"""A map as bytes that stand alone, and as a stranger's decoder would read them."""

import contextlib
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainviz import RecordingError
from trainviz._common import jit
from trainviz._common.output_kind import OutputKind
from trainviz.evaluation.compact_map import CompactMap
from trainviz.evaluation.lattice import Lattice
from trainviz.recordings.packed import pack, unpack

GOLDEN = Path(__file__).with_name("packed")
SIDES = st.integers(2, 70)
SEEDS = st.integers(0, 2**32 - 1)


def compact_map(shape, n_classes, seed, spread=3.0, share=0.2):
    """Return a smooth map, known at the coarse lattice and at some other points."""
    rng = np.random.default_rng(seed)
    lattice = Lattice.of(shape)
    known = rng.random(shape) < share
    known[np.ix_(lattice.rows[:: lattice.stride], lattice.columns[:: lattice.stride])] = True
    points = np.flatnonzero(known)
    y, x = np.divmod(points, shape[1])
    waves = rng.normal(0, 0.2, (3, n_classes))
    logits = spread * np.sin(y[:, None] * waves[0] + x[:, None] * waves[1] + waves[2])
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return CompactMap.of(shape, points, logs)


def assert_equal(found, expected):
    if isinstance(expected, CompactMap):
        assert found.grid == expected.grid
        np.testing.assert_array_equal(np.cumsum(found.gaps), np.cumsum(expected.gaps))
        found, expected = found.logs, expected.logs
    assert found.dtype == expected.dtype
    size = expected.dtype.itemsize
    np.testing.assert_array_equal(found.view(f"u{size}"), expected.view(f"u{size}"))


@given(height=SIDES, width=SIDES, n_classes=st.sampled_from([1, 2, 7]), seed=SEEDS)
def test_exactly_packed_it_is_the_same_to_the_bit(height, width, n_classes, seed):
    packed = compact_map((height, width), n_classes, seed, spread=10.0 ** (seed % 4 - 1))
    assert_equal(unpack(pack(packed)), packed)


@given(height=SIDES, width=SIDES, seed=SEEDS, dtype=st.sampled_from([np.float16, np.float32]))
def test_any_numbers_come_back(height, width, seed, dtype):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 256, 2 * height * width * np.dtype(dtype).itemsize, np.uint8)
    values = bits.view(dtype).reshape(2, height, width)
    assert_equal(unpack(pack(values)), values)


@given(height=SIDES, width=SIDES, n_classes=st.sampled_from([2, 7]), seed=SEEDS)
def test_compiled_or_not_the_bytes_are_the_same(height, width, n_classes, seed):
    packed = compact_map((height, width), n_classes, seed)
    made = []
    for policy in ("compiled", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jit, "POLICY", policy)
            made.append(pack(packed))
            assert_equal(unpack(made[0]), packed)
    assert made[0] == made[1]


@given(
    height=st.integers(10, 90), width=st.integers(10, 90), n_classes=st.sampled_from([2, 3, 20]),
    spread=st.floats(0.001, 30), seed=SEEDS,
)  # fmt: skip
def test_displayed_it_is_as_close_as_it_says(height, width, n_classes, spread, seed):
    exact = compact_map((height, width), n_classes, seed, spread)
    for values in (exact, exact.dense()):
        wanted = values.dense() if isinstance(values, CompactMap) else values
        shown = unpack(pack(values, grade="display")).dense()
        assert np.abs(shown - wanted).max() <= 1 / 255 + 1e-6
        # At the finest scale a tie within half precision may still fall otherwise.
        top = np.sort(wanted, axis=0)[-2:]
        decided = top[1] - top[0] > 1e-3
        differs = (shown.argmax(axis=0) != wanted.argmax(axis=0)) & decided
        assert differs.mean() <= 0.0005


def test_labels_and_values_are_displayed_too():
    values = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
    labels = unpack(pack(values, OutputKind.MULTILABEL, grade="display"))
    assert np.abs(labels - values).max() <= 1 / 2040 + 1e-6
    heights = 300 * values[:1] - 7
    shown = unpack(pack(heights, OutputKind.VALUES, grade="display"))
    assert np.abs(shown - heights).max() <= np.ptp(heights) / 8000
    flat = np.full((1, 9, 9), 4.0, np.float32)
    np.testing.assert_array_equal(unpack(pack(flat, OutputKind.VALUES, grade="display")), flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:20], "too short"),
        (lambda b: b"PNG." + b[4:], "no packed map of version 1"),
        (lambda b: b[:4] + b"\2" + b[5:], "no packed map of version 1"),
        (lambda b: b[:8] + struct.pack("<4I", 2**31, 2**31, 2**31, 1) + b[24:], "bytes of memory"),
        (lambda b: b[:8] + struct.pack("<4I", 2, 0, 9, 0) + b[24:], "of the shape"),
        (lambda b: b[:-3], "inflate"),
        (lambda b: b + b"more", "inflates to"),
        (lambda b: b[:40] + b"\xff" * (len(b) - 40), "inflate"),
    ],
)
def test_bytes_that_are_none_are_refused(change, message):
    with pytest.raises(RecordingError, match=message):
        unpack(change(pack(compact_map((40, 50), 3, 0))))


@given(seed=SEEDS)
def test_whatever_the_bytes_the_answer_is_a_map_or_a_recording_error(seed):
    rng = np.random.default_rng(seed)
    payload = bytearray(pack(compact_map((20, 30), 2, 0)))
    for _ in range(rng.integers(1, 4)):
        payload[rng.integers(0, len(payload))] = rng.integers(0, 256)
    with contextlib.suppress(RecordingError):
        unpack(bytes(payload), max_bytes=2**20)


def test_a_bomb_is_not_inflated():
    head = pack(compact_map((40, 50), 3, 0))[:36]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(2**27)) + deflate.flush()
    with pytest.raises(RecordingError, match="inflate"):
        unpack(head[:28] + struct.pack("<2I", len(bomb), 0) + bomb + bomb)


# Golden files: decoders in other languages are held to them.


def golden_maps():
    rng = np.random.default_rng(7)
    noise = rng.dirichlet([0.3] * 3, (12, 17)).transpose(2, 0, 1)
    return {
        "two-classes": (compact_map((33, 33), 2, 1), "probabilities", "exact"),
        "seven-classes": (compact_map((61, 47), 7, 2), "probabilities", "exact"),
        "hundred-classes": (compact_map((17, 19), 100, 3), "probabilities", "exact"),
        "odd-sides": (compact_map((70, 9), 3, 4), "probabilities", "exact"),
        "smallest": (compact_map((2, 2), 2, 5), "probabilities", "exact"),
        "certain": (compact_map((40, 40), 3, 6, spread=300.0), "probabilities", "exact"),
        "display": (compact_map((61, 47), 7, 2), "probabilities", "display"),
        "display-ties": (compact_map((40, 40), 3, 8, spread=0.01), "probabilities", "display"),
        "dense-half": (noise.astype(np.float16), "probabilities", "exact"),
        "dense-single": (noise.astype(np.float32), "probabilities", "exact"),
        "labels": (noise.astype(np.float32), "multilabel", "display"),
        "values": ((50 * noise[:1] - 9).astype(np.float32), "values", "display"),
    }


@pytest.mark.parametrize("name", golden_maps())
def test_golden_files_are_read_as_before(name):
    payload = (GOLDEN / f"{name}.bin").read_bytes()
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    found = unpack(payload)
    values = found.logs.T if isinstance(found, CompactMap) else found.reshape(len(found), -1)
    assert list(found.shape) == expected["shape"]
    assert values.dtype.name == expected["dtype"]
    assert values.ravel()[:64].astype(float).tolist() == expected["first_values"]
    if isinstance(found, CompactMap):
        assert np.cumsum(found.gaps)[:64].tolist() == expected["first_points"]
    raw = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    assert zlib.crc32(raw) == expected["crc32_of_values"]


@pytest.mark.parametrize("name", ["two-classes", "odd-sides", "smallest", "display", "dense-half"])
def test_the_decoder_in_the_documentation_finds_the_same(name):
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    space = {}
    exec(page.split("```python")[1].split("```")[0], space)
    payload = (GOLDEN / f"{name}.bin").read_bytes()
    shape, classes = space["decode"](payload)
    found = unpack(payload)
    assert shape == found.shape
    compact = isinstance(found, CompactMap)
    points = np.cumsum(found.gaps) if compact else np.arange(found[0].size)
    values = found.logs.T if compact else found.reshape(len(found), -1)
    for mine, theirs in zip(values, classes, strict=True):
        assert [theirs[int(point)] for point in points] == pytest.approx(mine.tolist(), rel=1e-6)


def write_golden_files():
    GOLDEN.mkdir(exist_ok=True)
    for name, (values, kind, grade) in golden_maps().items():
        payload = pack(values, OutputKind(kind), grade=grade)
        found = unpack(payload)
        compact = isinstance(found, CompactMap)
        flat = found.logs.T if compact else found.reshape(len(found), -1)
        raw = np.ascontiguousarray(flat).astype(flat.dtype.newbyteorder("<")).tobytes()
        about = {
            "shape": list(found.shape), "dtype": flat.dtype.name,
            "first_points": np.cumsum(found.gaps)[:64].tolist() if compact else None,
            "first_values": flat.ravel()[:64].astype(float).tolist(),
            "crc32_of_values": zlib.crc32(raw),
        }  # fmt: skip
        (GOLDEN / f"{name}.bin").write_bytes(payload)
        (GOLDEN / f"{name}.json").write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    write_golden_files()
