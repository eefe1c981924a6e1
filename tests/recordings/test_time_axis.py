import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainviz as tv
from trainviz.recordings.time_axis import counted_by, positions, positions_on

EPOCHS = st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True).map(sorted)


def record(moments):
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
    for moment in moments:
        epoch, step = moment if isinstance(moment, tuple) else (moment, None)
        recorder.append(np.full((2, 2, 2), 0.5), epoch=epoch, step=step)
    return recorder.recording


def test_snapshots_are_counted_by_epoch_unless_epochs_repeat():
    assert counted_by(record([0, 5, 7])) == "epoch"
    assert positions(record([0, 5, 7])).tolist() == [0, 5, 7]
    steps = record([(0, 0), (0, 10), (1, 20)])
    assert counted_by(steps) == "step"
    assert positions(steps).tolist() == [0, 10, 20]


@given(epochs=EPOCHS)
def test_a_recording_is_at_its_own_snapshots(epochs):
    recording = record(epochs)
    np.testing.assert_allclose(positions_on(recording, recording), range(len(epochs)))


@given(ours=EPOCHS, theirs=EPOCHS)
def test_another_recording_is_where_its_epochs_lie(ours, theirs):
    found = positions_on(record(ours), record(theirs))
    for epoch, place in zip(ours, found, strict=True):
        left = min(int(place), len(theirs) - 1)
        right = min(left + 1, len(theirs) - 1)
        there = theirs[left] + (place - left) * (theirs[right] - theirs[left])
        assert there == pytest.approx(np.clip(epoch, theirs[0], theirs[-1]))


def test_of_several_snapshots_of_an_epoch_the_last_is_its_end():
    assert positions_on(record([0, 1]), record([(0, 1), (0, 2), (1, 3)])).tolist() == [1, 2]


def test_recordings_that_are_counted_by_steps_are_compared_by_steps():
    ours, theirs = record([(0, 5), (0, 10)]), record([(0, 0), (0, 10), (0, 20)])
    assert positions_on(ours, theirs).tolist() == [0.5, 1]
