"""A server for the clients of a module, and one process for all of them."""

from __future__ import annotations

import pytest
from clients_session import Session
from system_desk import Desk
from system_rig import Rig


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """One server for all tests of a module; it ends without a traceback in its log."""
    rig = Rig(tmp_path_factory.mktemp("rig"))
    yield rig
    assert rig.end() == 0


@pytest.fixture(scope="module")
def session(rig):
    """A client process of the module's server."""
    desk = Desk(Session, rig.server.prefix, str(rig.files), environment=rig.server.environment)
    yield desk
    desk.end()


@pytest.fixture
def start_rig(tmp_path):
    """Start servers of a test's own."""
    rigs = []

    def start(*arguments, **tables):
        rig = Rig(tmp_path, *arguments, **tables)
        rigs.append(rig)
        return rig

    yield start
    for rig in rigs:
        rig.end()
