"""How the frames of a film are distributed over the intervals between snapshots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainviz as tv
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.stores import MemoryStore
from trainviz.rendering.pace import frames_between
from trainviz.rendering.shared_timeline import SharedTimeline
from trainviz.rendering.timeline import Timeline

BARE = {
    "figsize": (3, 2.4), "dpi": 50, "axes": False, "legend": False, "metrics": False,
    "points": False,
}  # fmt: skip
PACES = ("even", "geometric", "by change")
WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=60).map(np.array)


def record(shares, epochs=None, metrics=None):
    """Two classes; everywhere in the map the second has one probability a snapshot."""
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(4, 4)))
    for epoch, share in zip(epochs or range(len(shares)), shares, strict=True):
        recorder.capture(lambda X, p=share: np.full(len(X), p), epoch=epoch)
    return recorder.recording


def lightness(film):
    """The mean of each frame, which in one colour's shades follows the probability."""
    return np.array([float(frame.mean()) for frame in film])


def frames_shown(film):
    """How many frames lead from each captured epoch to the next, by what the counter says."""
    epochs = [
        int(text.split()[-1])
        for text in (film._scene._counter.text(moment) for moment in film._timeline)
    ]
    return np.bincount(epochs)


@given(weights=WEIGHTS, factor=st.integers(1, 40))
def test_every_interval_keeps_some_frames_and_none_takes_the_film_over(weights, factor):
    frames, n = frames_between(weights, factor), len(weights)
    assert frames.sum() == n * factor
    assert frames.min() >= max(1, np.floor(factor / 4))
    if n > 2:
        assert frames.max() <= np.ceil(min(8 * factor, n * factor / 2, n * factor) + factor)
        assert frames.max() <= max(1.5 * factor, min(8 * factor, n * factor / 2)) + 1


@given(weights=WEIGHTS, factor=st.integers(1, 40))
def test_where_more_changes_there_are_never_fewer_frames(weights, factor):
    frames = frames_between(weights, factor)
    order = np.argsort(weights, kind="stable")
    # One frame that is left over by rounding goes to one of several alike.
    assert (np.diff(frames[order]) >= -1).all()


@given(weights=WEIGHTS, factor=st.integers(1, 12), hold=st.integers(0, 3))
def test_at_any_pace_each_snapshot_is_shown_and_the_film_is_as_long(weights, factor, hold):
    n = len(weights) + 1
    timeline = Timeline(n, factor, hold, frames_between(weights, factor))
    assert len(timeline) == len(Timeline(n, factor, hold))
    moments = list(timeline)
    assert [moment.left for moment in moments[: len(moments) - hold] if moment.weight == 0] == list(
        range(n)
    )
    assert [timeline[int(start)].position for start in timeline.starts] == list(range(n))
    assert (np.diff([moment.position for moment in moments]) >= 0).all()


@pytest.mark.parametrize("pace", PACES)
def test_the_pace_does_not_change_a_films_length(recording, pace):
    film = tv.animate(recording, interpolate=6, hold=0.5, pace=pace, **BARE)
    assert (len(film), film.duration) == (40, 40 / 30)


def test_an_even_film_is_the_default(recording):
    even = tv.animate(recording, interpolate=3, pace="even", **BARE)
    assert all(map(np.array_equal, even, tv.animate(recording, interpolate=3, **BARE)))


def test_a_geometric_film_is_slow_at_first():
    film = tv.animate(record(np.linspace(0.5, 1, 11)), interpolate=10, pace="geometric", **BARE)
    shown = frames_shown(film)[:-1]
    assert (np.diff(shown) <= 0).all()
    assert shown[0] > 2 * shown[2] > 2 * shown[-1]


@pytest.mark.parametrize("scale", [1, 100])
def test_epochs_of_a_geometric_schedule_pass_evenly(scale):
    epochs = [scale * (2**index - 1) for index in range(7)]
    recording = record(np.linspace(0.5, 1, 7), epochs)
    film = tv.animate(recording, interpolate=5, pace="geometric", mode="boundary", **BARE)
    even = tv.animate(recording, interpolate=5, mode="boundary", **BARE)
    assert all(map(np.array_equal, film, even))


def test_by_change_as_much_changes_in_each_second():
    # Most changes early; at an even pace the first interval moves nine times as fast as the last.
    shares = 0.5 + 0.45 * np.cumsum([0, 9, 7, 5, 4, 3, 2, 1]) / 31
    recording = record(shares)
    speed = {
        pace: np.abs(np.diff(lightness(
            tv.animate(recording, interpolate=40, pace=pace, mode="boundary", counter=False,
                       cmap="gray", **BARE)
        )))
        for pace in ("even", "by change")
    }  # fmt: skip
    steps = {pace: found.reshape(40, -1).sum(axis=1)[:32] for pace, found in speed.items()}
    assert steps["even"].max() > 5 * steps["even"].min()
    assert steps["by change"].max() < 1.5 * steps["by change"].min()


def test_a_recording_in_which_nothing_changes_has_an_even_pace():
    film = tv.animate(record([0.7] * 5), interpolate=4, pace="by change", **BARE)
    assert frames_shown(film).tolist() == [4, 4, 4, 4, 1]


def test_the_pace_of_values_and_of_one_snapshot():
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), shape=(4, 4)), output="values")
    for epoch, value in enumerate([0.0, 900.0, 1000.0]):
        recorder.capture(lambda X, v=value: np.full((len(X), 1), v), epoch=epoch)
    film = tv.animate(recorder.recording, mode="values", interpolate=8, pace="by change", **BARE)
    assert frames_shown(film).tolist() == [12, 4, 1]
    for pace in PACES:
        assert len(tv.animate(record([0.5]), interpolate=8, pace=pace, **BARE)) == 1


def test_a_film_by_change_reads_each_map_once_to_measure_it():
    class CountingStore(MemoryStore):
        reads = ()

        def read(self, index):
            self.reads = (*self.reads, index)
            return super().read(index)

    store = CountingStore()
    for epoch in range(6):
        store.append(Snapshot(np.full((2, 100, 100), 0.5, np.float32), epoch=epoch))
    recording = Recording(tv.Domain((-1, 1), (-1, 1), shape=(100, 100)), store)
    tv.animate(recording, interpolate=5, **BARE)
    before = len(store.reads)
    tv.animate(recording, interpolate=5, pace="by change", **BARE)
    assert sorted(store.reads[2 * before :]) == list(range(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pace": "slow"}, "pace='slow': expected one of 'even', 'geometric', 'by change'"),
        ({"pace": None}, "pace=None: expected one of"),
        ({"pace": "geometric"}, "interpolate=1 makes none: give more, e.g. interpolate=8"),
        ({"pace": "by change"}, "distributes the frames between snapshots"),
    ],
)
def test_a_pace_that_cannot_be_is_told(recording, options, message):
    for make in (tv.animate, lambda run, **options: tv.compare([run, run], **options)):
        with pytest.raises(ValueError, match=message):
            make(recording, **{"interpolate": 1, **options})


RUNS = st.lists(
    st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True).map(
        lambda run: np.array(sorted(run), dtype=float)
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("pace", ["geometric", "by change"])
@given(runs=RUNS, factor=st.integers(1, 5), seed=st.integers(0, 9))
def test_on_a_shared_clock_every_snapshot_of_every_run_is_shown(pace, runs, factor, seed):
    change = [np.random.default_rng(seed).random(len(run) - 1) for run in runs]
    clock = SharedTimeline(runs, factor, 0, pace, change)
    assert len(clock) == len(SharedTimeline(runs, factor))
    for index, run in enumerate(runs):
        shown = [clock.moments(frame)[index] for frame in range(len(clock))]
        assert {moment.left for moment in shown if moment.weight == 0} == set(range(len(run)))


@pytest.mark.parametrize("pace", PACES)
def test_runs_that_are_alike_are_compared_at_the_pace_of_one(pace):
    run = record([0.5, 0.8, 0.9, 0.92], epochs=[0, 5, 10, 40])
    single = tv.animate(run, interpolate=6, pace=pace, **BARE)
    both = tv.compare([run, run], interpolate=6, pace=pace, **BARE)
    assert [both._clock.moments(frame)[0] for frame in range(len(both))] == list(single._timeline)


def test_by_change_is_slow_where_either_run_changes():
    early, late = record([0.5, 0.9, 0.9, 0.9, 0.9]), record([0.5, 0.5, 0.5, 0.5, 0.9])
    film = tv.compare([early, late], interpolate=12, pace="by change", **BARE)
    assert np.diff(film._clock.starts).tolist() == [21, 3, 3, 21]
