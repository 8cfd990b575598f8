"""A server for the clients of a module, and one process for all of them."""

from __future__ import annotations

import pytest
from clients_session import Session
from system_desk import Desk
from system_fixtures import rig as rig
from system_fixtures import start_rig as start_rig


@pytest.fixture(scope="module")
def session(rig):
    """A client process of the module's server."""
    desk = Desk(Session, rig.server.prefix, str(rig.files), environment=rig.server.environment)
    yield desk
    desk.end()
