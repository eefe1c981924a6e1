"""Options that are written once, and shown by every function that takes them."""

import inspect

import pytest

import trainviz as tv

FILM = {"mode": "region", "interpolate": 1, "fps": 30, "shade": True, "hold": 0.0}


@pytest.mark.parametrize("function", [tv.animate, tv.compare, tv.Animation, tv.Comparison])
def test_help_shows_what_a_film_takes_and_its_defaults(function):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in FILM} == FILM


def test_help_shows_what_a_recorder_takes_and_its_defaults():
    parameters = inspect.signature(tv.Recorder).parameters
    assert parameters["batch_size"].default == "auto"
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def test_a_wrong_keyword_is_refused_by_its_name():
    domain = tv.Domain((0, 1), (0, 1), points_per_axis=2)
    with pytest.raises(TypeError, match=r"Recorder.* unexpected keyword argument 'evry'"):
        tv.Recorder(domain, evry=2)
