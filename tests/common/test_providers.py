"""Everything that is looked up by name is there."""

import subprocess
import sys

import pytest

from trainviz._common.providers import PROVIDERS, install_hint, provided


@pytest.mark.parametrize("name", [name for name in PROVIDERS if "keras" not in name])
def test_every_name_stands_for_something(name):
    assert callable(provided(name))


def test_what_keras_provides_is_there():
    # Keras picks its backend once a process.
    names = [name for name in PROVIDERS if "keras" in name]
    code = (
        "from trainviz._common.providers import provided\n"
        f"print(all(callable(provided(name)) for name in {names}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "True", found.stderr


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="avi"):
        provided("film.avi")


def test_a_hint_names_the_extra_to_install():
    assert install_hint("Dask", "scheduler=").endswith('pip install "trainviz[dask]"')
