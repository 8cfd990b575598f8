"""Servers for all tests: real ones, in processes of their own."""

import os
import signal
import tempfile

import hypothesis
import pytest
from server_process import ServerProcess
from small_disk import SmallDisk

# What is started in the background by a shell ignores SIGINT, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Nor do they leave settings in a user's home.
_state = tempfile.TemporaryDirectory(prefix="xsp3ioc-state-")
os.environ["XDG_STATE_HOME"] = _state.name
# How long an example takes, or is thought out, says something of the machine only, and of what else it does.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")


def pytest_xdist_auto_num_workers(config):
    """Two processes, as many tests wait rather than compute; one for single files and for the slow ones."""
    some = all(".py" in argument for argument in config.args)
    return 0 if some or config.option.markexpr != "not slow" else 2


@pytest.fixture
def start_server(tmp_path):
    """Start servers; all end with the test."""
    started = []

    def start(*arguments, **tables):
        server = ServerProcess(tmp_path, *arguments, **tables)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of a module."""
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server
    assert server.stop() == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MiB."""
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.end()
