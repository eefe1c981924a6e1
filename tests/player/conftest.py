"""What several tests of the live page use."""

import pytest
from live import Server


@pytest.fixture
def serving():
    """Return a function that starts a server, which ends with the test."""
    started = []

    def start(*arguments, **options):
        started.append(Server(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()
