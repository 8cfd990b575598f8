"""Servers with both faces."""

import pytest
from tango_client import Pair


@pytest.fixture
def start_pair(tmp_path):
    """Start servers; all end with the test."""
    pairs = []

    def start(*arguments, **tables):
        pairs.append(Pair(tmp_path, *arguments, **tables))
        return pairs[-1]

    yield start
    for pair in pairs:
        pair.end()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One server for all tests of a module, without files: a stop that waits for one may be refused at first."""
    pair = Pair(tmp_path_factory.mktemp("pair"), parameters={"destination": ""})
    yield pair
    pair.end()
    assert pair.server.process.returncode == 0
