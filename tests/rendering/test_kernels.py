"""What compiled loops make is what numpy makes, to the bit."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import trainviz as tv
from trainviz._common import jit
from trainviz.evaluation.compact_map import CompactMap, as_kept, normalised_odds
from trainviz.evaluation.kernels import keep
from trainviz.evaluation.lattice import Lattice
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.stores import MemoryStore
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.resample import Resampler
from trainviz.rendering.writers import FrameSource, write_film

pytest.importorskip("numba")

SIDES = st.integers(2, 70)
SEEDS = st.integers(0, 2**32 - 1)


def by_numpy_and_compiled(make):
    """What is made without compiled loops, and with them."""
    made = []
    for policy in ("numpy", "compiled"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jit, "POLICY", policy)
            made.append(make())
    return made


def some_points(shape, rng):
    lattice = Lattice.of(shape)
    coarse = np.zeros(shape, dtype=bool)
    coarse[np.ix_(lattice.rows[:: lattice.stride], lattice.columns[:: lattice.stride])] = True
    return np.flatnonzero(coarse | (rng.random(shape) < rng.random()))


@given(height=SIDES, width=SIDES, n_classes=st.sampled_from([1, 2, 7, 100]), seed=SEEDS)
def test_a_map_of_few_points_has_the_same_probabilities(height, width, n_classes, seed):
    rng = np.random.default_rng(seed)
    points = some_points((height, width), rng)
    logits = rng.normal(0, 10 ** rng.uniform(-2, 2.5), size=(len(points), n_classes))
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    compact = CompactMap.of((height, width), points, logs)
    slow, fast = by_numpy_and_compiled(compact.dense)
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(fast.sum(axis=0), 1, rtol=1e-5)


@given(n_classes=st.integers(1, 9), power=st.floats(-9, 3.5), seed=SEEDS)
def test_log_probabilities_are_kept_as_numpy_rounds_them(n_classes, power, seed):
    logs = -np.random.default_rng(seed).exponential(10**power, (40, n_classes)).astype(np.float32)
    logs[::7] = np.round(logs[::7] * 2**12) / 2**12  # Halfway between two numbers, and equal ones.

    def make():
        halves, rounded = np.empty(logs.shape, np.uint16), np.empty(logs.shape, np.float32)
        keep(logs, halves, rounded)
        return halves.view(np.float16), rounded

    (slow, slow_rounded), (fast, fast_rounded) = by_numpy_and_compiled(make)
    np.testing.assert_array_equal(slow, as_kept(logs))
    np.testing.assert_array_equal(fast.view(np.uint16), slow.view(np.uint16))
    np.testing.assert_array_equal(fast_rounded.view(np.uint32), slow_rounded.view(np.uint32))


@given(n_classes=st.integers(1, 9), spread=st.floats(0, 60), seed=SEEDS)
def test_probabilities_are_those_of_double_precision(n_classes, spread, seed):
    logs = np.random.default_rng(seed).normal(0, spread, (n_classes, 3, 40)).astype(np.float32)
    logs -= logs.max(axis=0)
    powers = np.exp(logs.astype(np.float64))
    for found in by_numpy_and_compiled(lambda: normalised_odds(logs.copy())):
        np.testing.assert_allclose(found, powers / powers.sum(axis=0), rtol=2e-5, atol=2e-30)


def test_equal_logarithms_are_equal_probabilities():
    logs = np.full((9, 4), np.log(0.25))
    slow, fast = by_numpy_and_compiled(CompactMap.of((3, 3), np.arange(9), logs).dense)
    np.testing.assert_array_equal(fast, 0.25)
    np.testing.assert_array_equal(slow, 0.25)


@pytest.mark.usefixtures("with_and_without_numba")
def test_between_places_of_two_certain_classes_both_are_as_likely():
    shape, lattice = (33, 33), Lattice.of((33, 33))
    rows, columns = (at[:: lattice.stride] for at in (lattice.rows, lattice.columns))
    points = (rows[:, None] * shape[1] + columns).ravel()
    left = np.tile(np.arange(len(columns)) % 2 == 0, len(rows))
    logs = np.where(np.stack([left, ~left], axis=1), 0.0, -1000.0)
    middle = CompactMap.of(shape, points, logs).dense()[:, :, lattice.stride // 2]
    np.testing.assert_allclose(middle, 0.5)


def noise_film(rng, shape, n_classes, **options):
    """Two snapshots that nearly everywhere have another class than next to it."""
    store = MemoryStore()
    for epoch in range(2):
        noise = rng.dirichlet(np.full(n_classes, 0.3), shape).transpose(2, 0, 1)
        store.append(Snapshot(np.ascontiguousarray(noise, dtype=np.float32), epoch))
    return tv.animate(Recording(tv.Domain((0, 1), (0, 1), shape=shape), store), **options)


@given(
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    pixels=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    n_classes=st.sampled_from([2, 3, 7, 100]),
    mode=st.sampled_from(["region", "boundary", "margin"]),
    interpolation=st.sampled_from(["linear", "geometric", "smooth"]),
    weight=st.sampled_from([0.0, 0.25, 0.9]),
    shade=st.booleans(),
    seed=SEEDS,
)
def test_noise_has_the_same_picture(
    shape, pixels, n_classes, mode, interpolation, weight, shade, seed
):
    film = noise_film(
        np.random.default_rng(seed), shape, n_classes, mode=mode, interpolation=interpolation,
        shade=shade,
    )  # fmt: skip
    slow, fast = by_numpy_and_compiled(lambda: film.painter(pixels)(Moment(0, weight)))
    np.testing.assert_array_equal(fast, slow)


def smooth_film(rng, shape, n_classes, n_snapshots=2, **options):
    """Snapshots of smooth regions: nearly everywhere only few of the classes are likely."""
    store, grid = MemoryStore(), np.indices(shape) / max(shape)
    for epoch in range(n_snapshots):
        centres = rng.random((n_classes, 2, 1, 1))
        logits = -20 * ((grid - centres) ** 2).sum(axis=1)
        powers = np.exp(logits - logits.max(axis=0))
        store.append(Snapshot((powers / powers.sum(axis=0)).astype(np.float32), epoch))
    return tv.animate(Recording(tv.Domain((0, 1), (0, 1), shape=shape), store), **options)


@given(
    pixels=st.tuples(st.integers(1, 50), st.integers(1, 100)),
    n_classes=st.sampled_from([2, 7, 100]),
    mode=st.sampled_from(["region", "boundary"]),
    weight=st.sampled_from([0.0, 0.25, 0.9]),
    seed=SEEDS,
)
def test_smooth_regions_have_the_same_picture(pixels, n_classes, mode, weight, seed):
    film = smooth_film(np.random.default_rng(seed), (20, 30), n_classes, mode=mode)
    slow, fast = by_numpy_and_compiled(lambda: film.painter(pixels)(Moment(0, weight)))
    np.testing.assert_array_equal(fast, slow)


def islands_film(rng, shape, n_classes, **options):
    """Two snapshots of one class, with single points of others; most classes are nowhere."""
    store = MemoryStore()
    for epoch in range(2):
        labels = np.where(rng.random(shape) < 0.03, rng.integers(0, n_classes, shape), 0)
        certain = np.arange(n_classes)[:, None, None] == labels
        store.append(Snapshot((0.8 * certain + 0.2 / n_classes).astype(np.float32), epoch))
    return tv.animate(Recording(tv.Domain((0, 1), (0, 1), shape=shape), store), **options)


@given(
    make=st.sampled_from([noise_film, smooth_film, islands_film]),
    shape=st.tuples(st.integers(2, 60), st.integers(2, 130)),
    pixels=st.tuples(st.integers(1, 50), st.integers(1, 100)),
    n_classes=st.sampled_from([2, 7, 30]),
    mode=st.sampled_from(["region", "boundary"]),
    weight=st.sampled_from([0.0, 0.25, 0.9]),
    seed=SEEDS,
)
# So large that the map's memory is taken page by page.
@example(smooth_film, (20, 30), (190, 200), 30, "region", 0.25, 0)
def test_classes_that_are_unlikely_somewhere_are_left_out_without_a_trace(
    make, shape, pixels, n_classes, mode, weight, seed
):
    film = make(np.random.default_rng(seed), shape, n_classes, mode=mode)
    resampler = Resampler(shape, pixels)
    first, second = (resampler(snapshot.probabilities) for snapshot in film.recording)
    expected = film.mode.paint((second - first) * np.float32(weight) + first)
    for picture in by_numpy_and_compiled(lambda: film.painter(pixels)(Moment(0, weight))):
        np.testing.assert_array_equal(picture, expected)


@given(
    make=st.sampled_from([noise_film, smooth_film, islands_film]),
    pixels=st.tuples(st.integers(1, 50), st.integers(1, 100)),
    n_classes=st.sampled_from([2, 7, 30]),
    seed=SEEDS,
)
def test_the_same_classes_are_left_out(make, pixels, n_classes, seed):
    recording = make(np.random.default_rng(seed), (20, 30), n_classes).recording

    def find():
        resampler = Resampler((20, 30), pixels)
        first, second = (resampler.likely(snapshot.probabilities) for snapshot in recording)
        return first.beside(second), first.beside(first)

    for slow, fast in zip(*by_numpy_and_compiled(find), strict=True):
        np.testing.assert_array_equal(fast, slow)


_EVEN, _TRADED = [[0.55, 0.05, 0.4]] * 2, [[0.05, 0.55, 0.4]] * 2
_SLOPING, _GONE = [[0.45, 0.5, 0.05], [0.45, 0.0, 0.55]], [[0.45, 0.53, 0.02]] * 2


@pytest.mark.parametrize("mode", ["region", "boundary"])
@pytest.mark.parametrize(
    ("first", "second", "weight"),
    [(_EVEN, _TRADED, 0.5), (_SLOPING, _GONE, 0.1), (_GONE, _SLOPING, 0.9)],
    ids=["between", "at the first", "at the second"],
)
def test_a_class_is_shown_wherever_it_is_the_likeliest_between_two_snapshots(
    first, second, weight, mode
):
    # The probabilities of three classes at the left and the right edge of a map.
    maps = [np.float32([edges] * 2).transpose(2, 0, 1).copy() for edges in (first, second)]
    store = MemoryStore()
    for epoch, probabilities in enumerate(maps):
        store.append(Snapshot(probabilities, epoch))
    film = tv.animate(Recording(tv.Domain((0, 1), (0, 1), shape=(2, 2)), store), mode=mode)
    a, b = (Resampler((2, 2), (8, 32))(probabilities) for probabilities in maps)
    mixed = (b - a) * np.float32(weight) + a
    assert (mixed.argmax(axis=0) == 2).any()
    for picture in by_numpy_and_compiled(lambda: film.painter((8, 32))(Moment(0, weight))):
        np.testing.assert_array_equal(picture, film.mode.paint(mixed))


@pytest.mark.parametrize("weight", [0.0, 0.25])
@pytest.mark.parametrize("mode", ["region", "margin"])
def test_the_maps_of_a_moment_have_all_classes_whether_or_not_it_was_painted(mode, weight):
    film = smooth_film(np.random.default_rng(0), (20, 30), 7, mode=mode)
    paint, resampler = film.painter((40, 70)), Resampler((20, 30), (40, 70))
    first, second = (resampler(snapshot.probabilities) for snapshot in film.recording)
    expected = (second - first) * np.float32(weight) + first
    for _ in range(2):
        (found,) = paint.maps(Moment(0, weight))
        np.testing.assert_array_equal(found, expected)
        paint(Moment(0, weight))


def test_of_hundreds_of_classes_the_last_can_be_the_likeliest():
    certain = np.zeros((300, 8, 40), np.float32)
    certain[299] = 1
    store = MemoryStore()
    for epoch, share in enumerate((1.0, 0.5)):
        store.append(Snapshot(certain * np.float32(share) + np.float32((1 - share) / 300), epoch))
    domain = tv.Domain((0, 1), (0, 1), shape=(8, 40))
    film = tv.animate(Recording(domain, store), mode="boundary", legend=False)
    slow, fast = by_numpy_and_compiled(lambda: film.painter((8, 40))(Moment(0, 0.5)))
    np.testing.assert_array_equal(fast, slow)


@given(
    moments=st.lists(
        st.builds(Moment, st.integers(0, 3), st.sampled_from([0.0, 0.25, 0.5])), max_size=8
    )
)
def test_a_picture_does_not_depend_on_those_before_it(moments):
    film = smooth_film(np.random.default_rng(0), (9, 11), 5, n_snapshots=5)
    paint = film.painter((20, 40))
    for moment in moments:
        np.testing.assert_array_equal(paint(moment), film.painter((20, 40))(moment))


def test_misclassified_points_are_ringed_alike():
    rng = np.random.default_rng(0)
    recorder = tv.Recorder(
        tv.Domain((0, 1), (0, 1), points_per_axis=9),
        data=(rng.random((300, 2)), rng.integers(0, 2, 300)), evaluation="dense",
    )  # fmt: skip
    for epoch in (0, 1):
        recorder.capture(lambda X, epoch=epoch: (X[:, :1] > 0.3 + 0.4 * epoch) * 1.0, epoch=epoch)
    film = tv.animate(recorder.recording, figsize=(3, 2), interpolate=2)
    slow, fast = by_numpy_and_compiled(lambda: list(film))
    assert (fast[0] != fast[2]).any()
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("mode", ["region", "boundary"])
def test_a_map_that_may_not_be_written_is_painted(mode):
    maps = np.random.default_rng(0).dirichlet(np.ones(3), (2, 5, 6)).astype(np.float32)
    store = MemoryStore()
    for epoch, values in enumerate(maps.transpose(0, 3, 1, 2)):
        values.setflags(write=False)
        store.append(Snapshot(values, epoch))
    film = tv.animate(Recording(tv.Domain((0, 1), (0, 1), shape=(5, 6)), store), mode=mode)
    slow, fast = by_numpy_and_compiled(lambda: film.painter((8, 9))(Moment(0, 0.5)))
    np.testing.assert_array_equal(fast, slow)


def test_a_gif_is_the_same_file(tmp_path):
    frames = list(noise_film(np.random.default_rng(0), (6, 7), 5, interpolate=5, figsize=(2, 1.5)))
    film = FrameSource(
        lambda indices: (frames[index] for index in indices), len(frames), frames[0].shape[:2], 30
    )
    slow, fast = by_numpy_and_compiled(
        lambda: write_film(tmp_path / "film.gif", film, progress=False).read_bytes()
    )
    assert fast == slow


def test_a_video_is_the_same_file(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (24, 36, 3), dtype=np.uint8)]
    for _ in range(5):
        # A frame changes in some places, among them single pixels and the corners.
        frames.append(np.where(rng.random((24, 36, 1)) < 0.05, 255 - frames[-1], frames[-1]))
    film = FrameSource(lambda indices: (frames[i] for i in indices), len(frames), (24, 36), 30)
    slow, fast = by_numpy_and_compiled(
        lambda: write_film(tmp_path / "film.mp4", film, progress=False).read_bytes()
    )
    assert fast == slow
