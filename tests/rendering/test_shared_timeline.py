"""Several runs on one clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainviz as tv
from trainviz.rendering.shared_timeline import SharedTimeline, clock_positions
from trainviz.rendering.timeline import Timeline

RUNS = st.lists(
    st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True).map(
        lambda run: np.array(sorted(run), dtype=float)
    ),
    min_size=1,
    max_size=4,
)


def places(run, clock, index):
    """Where on the clock the run itself is, in each frame."""
    moments = [clock.moments(frame)[index] for frame in range(len(clock))]
    return [np.interp(moment.position, np.arange(len(run)), run) for moment in moments]


@given(runs=RUNS, factor=st.integers(1, 5))
def test_each_run_is_where_the_clock_is_or_rests_at_its_ends(runs, factor):
    clock = SharedTimeline(runs, factor)
    values = np.array([clock.value(frame) for frame in range(len(clock))])
    for index, run in enumerate(runs):
        np.testing.assert_allclose(
            places(run, clock, index), np.clip(values, run[0], run[-1]), atol=1e-9
        )


@given(runs=RUNS, factor=st.integers(1, 5))
def test_every_snapshot_of_every_run_is_shown_as_it_is(runs, factor):
    clock = SharedTimeline(runs, factor)
    for index, run in enumerate(runs):
        shown = [clock.moments(frame)[index] for frame in range(len(clock))]
        whole = {moment.left for moment in shown if moment.weight == 0}
        assert whole == set(range(len(run)))


@given(count=st.integers(1, 8), factor=st.integers(1, 7), hold=st.integers(0, 5))
def test_runs_that_were_captured_alike_move_as_a_single_film(count, factor, hold):
    run = np.arange(count) ** 2.0
    clock, single = SharedTimeline([run, run, run], factor, hold), Timeline(count, factor, hold)
    assert len(clock) == len(single)
    for frame, moment in enumerate(single):
        assert clock.moments(frame) == [moment] * 3


def test_the_clock_ticks_where_any_run_was_captured():
    clock = SharedTimeline([np.array([0.0, 10]), np.array([0.0, 4, 20])], factor=2, hold=1)
    assert clock.ticks.tolist() == [0, 4, 10, 20]
    assert [clock.value(frame) for frame in range(len(clock))] == [0, 2, 4, 7, 10, 15, 20, 20]
    assert [moment.position for moment in clock.moments_at(1)] == [0.4, 1]


def test_frames_count_from_either_end():
    clock = SharedTimeline([np.array([0.0, 10])], factor=2)
    assert clock.value(-1) == 10
    with pytest.raises(IndexError, match="frame 3 of a film with 3 frames"):
        clock.moments(3)


def record(epochs, steps=None):
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
    for index, epoch in enumerate(epochs):
        step = None if steps is None else steps[index]
        recorder.append(np.full((2, 2, 2), 0.5), epoch=epoch, step=step)
    return recorder.recording


def test_a_run_is_placed_by_epoch_step_or_progress():
    run = record([0, 5, 20], steps=[0, 100, 400])
    assert clock_positions(run, "epoch", "a").tolist() == [0, 5, 20]
    assert clock_positions(run, "step", "a").tolist() == [0, 100, 400]
    assert clock_positions(run, "progress", "a").tolist() == [0, 0.25, 1]


def test_progress_is_counted_in_steps_where_epochs_repeat():
    assert clock_positions(record([0, 1, 1], [0, 30, 40]), "progress", "a").tolist() == [0, 0.75, 1]


def test_equal_shares_of_different_runs_are_one_tick():
    runs = [clock_positions(record(range(0, n * 7 + 1, n)), "progress", "a") for n in (1, 3, 7)]
    assert len(SharedTimeline(runs).ticks) == 8


def test_one_snapshot_is_the_beginning():
    assert clock_positions(record([7]), "progress", "a").tolist() == [0]


def test_unknown_clocks_and_steps_are_refused():
    with pytest.raises(ValueError, match="by='time': expected one of 'epoch', 'step', 'progress'"):
        clock_positions(record([0]), "time", "a")
    with pytest.raises(tv.RecordingError, match="by='step': seed 3 has snapshots whose step is no"):
        clock_positions(record([0, 1], [0, None]), "step", "seed 3")
    with pytest.raises(tv.RecordingError, match="seed 3 runs backwards"):
        clock_positions(record([0, 1])[::-1], "epoch", "seed 3")
