"""Everything that is looked up by name is there."""

import pytest

from trainviz._common.providers import PROVIDERS, install_hint, provided


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_name_stands_for_something(name):
    found = provided(name)
    assert callable(found) or all(map(callable, found))


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="avi"):
        provided("film.avi")


def test_a_hint_names_the_extra_to_install():
    assert install_hint("Dask", "scheduler=").endswith('pip install "trainviz[dask]"')
