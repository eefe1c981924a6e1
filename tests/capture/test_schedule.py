from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainviz import Schedule
from trainviz.capture.schedule import make_schedule


def due(schedule, stop):
    return [epoch for epoch in range(stop) if schedule.due_epoch(epoch)]


@given(st.integers(1, 20))
def test_every_captures_multiples_and_the_start(every):
    assert due(Schedule(every=every), 60) == list(range(0, 60, every))


def test_default_is_every_epoch():
    assert due(Schedule(), 4) == [0, 1, 2, 3]


def test_conditions_add_up():
    assert due(Schedule(every=4, at=[1, 9]), 12) == [0, 1, 4, 8, 9]


def test_at_alone_captures_nothing_else():
    assert due(Schedule(at=[3, 3, 5], initial=False), 12) == [3, 5]


def test_initial_false_skips_the_start():
    assert due(Schedule(every=2, initial=False), 5) == [2, 4]


@given(st.floats(1.01, 5))
def test_geometric_captures_grow_by_the_ratio(growth):
    epochs = due(Schedule.geometric(growth), 200)[1:]
    assert epochs[0] == 1
    for before, after in pairwise(epochs):
        assert after - before == 1 or growth <= after / before < growth + 1 / before + 1e-9


@given(st.floats(1.05, 3), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_geometric_steps_are_found_however_seldom_they_are_asked_for(growth, strides):
    schedule = Schedule.geometric(growth, unit="step")
    assert schedule.counts_steps
    now, by_stride = 0, 0
    for stride in strides:
        singly = any(schedule.due_step(s, s - 1) for s in range(now + 1, now + stride + 1))
        assert schedule.due_step(now + stride, now) == singly
        now += stride
        by_stride += singly
    assert by_stride >= 1  # the first step is captured


@given(st.integers(1, 50), st.integers(0, 300), st.integers(1, 60))
def test_every_n_steps_is_due_where_a_multiple_was_passed(n, since, stride):
    now = since + stride
    expected = any(step % n == 0 for step in range(since + 1, now + 1))
    assert Schedule(every_n_steps=n).due_step(now, since) == expected


def test_steps_alone_capture_no_epoch_but_the_start():
    schedule = Schedule(every_n_steps=10)
    assert schedule.counts_steps
    assert due(schedule, 20) == [0]
    assert not Schedule(every=1).counts_steps
    assert not Schedule(every=1).due_step(10, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, ValueError, "every=0: expected at least 1.*at=\\[0\\]"),
        ({"every": -2}, ValueError, "every=-2"),
        ({"every": 2.0}, TypeError, "every=2.0: expected a whole number, e.g. every=5"),
        ({"every": True}, TypeError, "every=True"),
        ({"every_n_steps": 0}, ValueError, "every_n_steps=0"),
        ({"at": []}, ValueError, "at=\\[\\] captures nothing"),
        ({"at": [-1]}, ValueError, "at holds -1: epochs count from 0"),
        ({"at": [1.5]}, TypeError, "at holds 1.5"),
        ({"at": 5}, TypeError, "at=5: expected a list"),
        ({"at": "12"}, TypeError, "at='12': expected a list"),
        ({"growth": 1}, ValueError, "growth=1: .* above 1"),
        ({"growth": float("nan")}, ValueError, "growth=nan"),
        ({"growth": "fast"}, ValueError, "growth='fast': .* above 1"),
        ({"initial": 0}, TypeError, "initial=0: expected True or False"),
        ({"final": "yes"}, TypeError, "final='yes': expected True or False"),
        ({"growth": 2, "unit": "batch"}, ValueError, "unit='batch'"),
    ],
)
def test_conditions_that_are_none(arguments, error, message):
    with pytest.raises(error, match=message):
        Schedule(**arguments)


def test_make_schedule_of_plain_arguments():
    assert make_schedule(every=3) == Schedule(every=3)
    assert make_schedule(at=iter([1, 2])) == Schedule(at=[1, 2])
    assert make_schedule("geometric", final=False) == Schedule.geometric(final=False)


def test_make_schedule_keeps_what_a_given_schedule_switched_off():
    quiet = Schedule(every=2, initial=False)
    assert make_schedule(quiet) == quiet
    assert make_schedule(quiet, final=False) == Schedule(every=2, initial=False, final=False)


def test_make_schedule_refuses_two_answers():
    with pytest.raises(TypeError, match="either schedule= or every= and at="):
        make_schedule(Schedule(), every=2, at=[1])
    with pytest.raises(ValueError, match=r"schedule='linear': expected a trainviz.Schedule"):
        make_schedule("linear")
