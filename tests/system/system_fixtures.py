"""Servers with clients and subscribers, all of them real processes."""

import pytest
import zmq
from system_rig import Rig


@pytest.fixture
def start_rig(tmp_path):
    """Start servers; all end with the test, in order and without a traceback in the log."""
    rigs = []

    def start(*arguments, **tables):
        rig = Rig(tmp_path, *arguments, **tables)
        rigs.append(rig)
        return rig

    yield start
    for rig in rigs:
        rig.end()


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """One server for all tests of a module."""
    rig = Rig(tmp_path_factory.mktemp("rig"))
    yield rig
    assert rig.end() == 0


@pytest.fixture
def peer():
    """Connect bare sockets."""
    context = zmq.Context()
    peers = []

    def connect(kind, endpoint):
        peer = context.socket(kind)
        peers.append(peer)
        peer.setsockopt(zmq.LINGER, 0)
        peer.setsockopt(zmq.RCVTIMEO, 10_000)
        peer.connect(endpoint)
        return peer

    yield connect
    for peer in peers:
        peer.close()
    context.term()
