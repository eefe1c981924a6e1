"""Which process made a file, and whether it still runs."""

import os
import subprocess
import sys

import pytest

from trainviz._common.process import identity, is_dead, is_this_process, mark, mark_of_dead


def identity_of_another():
    code = "import json; from trainviz._common.process import identity as i; print(json.dumps(i()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return eval(found.stdout.replace("null", "None"))


def test_this_process_runs():
    assert is_this_process(identity())
    assert not is_dead(identity())


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody can know")
def test_one_that_has_ended_is_dead():
    ended = identity_of_another()
    assert not is_this_process(ended)
    assert is_dead(ended)


@pytest.mark.parametrize("name", ["host", "boot", "pid_namespace"])
def test_a_number_of_another_host_boot_or_container_means_nothing_here(name):
    other = {**identity(), "pid": 4_000_000, name: "another"}
    assert not is_this_process(other)
    assert not is_dead(other)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody can know")
def test_a_name_tells_whether_its_maker_has_ended():
    code = "from trainviz._common.process import mark; print(mark())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    ended = found.stdout.strip()
    assert mark_of_dead(f".a.zarr.{ended}.partial")
    assert not mark_of_dead(f".a.zarr.{mark()}.partial")
    assert not mark_of_dead(f".a.zarr.0{ended[1:]}.partial") or ended[0] == "0"
    assert not mark_of_dead("a.zarr")
