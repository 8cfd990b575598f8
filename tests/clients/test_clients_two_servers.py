"""Another IOC on the same host, with the same port to search for: whoever looks finds both."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from clients_base_tools import BaseTools
from clients_session import Session, until
from server_process import free_port
from system_desk import Desk

OTHER = "walk:"
EVERYBODY = {"EPICS_CA_ADDR_LIST": "127.255.255.255", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
"""On one host a datagram to one address reaches one of several servers with the same port; to all, all of them."""


@contextlib.contextmanager
def other_ioc(environment, log):
    """A random walk, an IOC of caproto-sandbox's."""
    command = [sys.executable, "-m", "caproto_sandbox.random_walk_modified", "--prefix", OTHER]
    beacons = {"EPICS_CAS_BEACON_ADDR_LIST": "127.255.255.255", "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment | EVERYBODY | beacons, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait(60)


def find_both(session, names):
    import epics

    pvs = [epics.PV(name) for name in names]
    found = [pv.wait_for_connection(60) for pv in pvs]
    return found, [pv.host for pv in pvs], [pv.get(timeout=60) for pv in pvs]


def write_both(session):
    import epics

    ours, theirs = session.prefix + "det1:NumImages", OTHER + "dt"
    for pv, value in ((ours, 12), (theirs, 1.5)):
        assert epics.caput(pv, value, wait=True, timeout=60) == 1
    return until(lambda: [epics.caget(ours), epics.caget(theirs)] == [12, 1.5], "both values")


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_both_are_found(start_rig, tmp_path, first):
    names = ["det1:Acquire_RBV", "x"]
    with contextlib.ExitStack() as stack:
        if first == "theirs":
            environment = on_port(port := free_port())
            stack.enter_context(other_ioc(environment, tmp_path / "other.log"))
            wait_for_theirs(environment)
            rig = start_rig(server={"ca_port": port})
        else:
            rig = start_rig()
            environment = on_port(rig.server.port)
            stack.enter_context(other_ioc(environment, tmp_path / "other.log"))
        desk = Desk(Session, rig.server.prefix, str(rig.files), environment=environment)
        stack.callback(desk.end)
        found, hosts, values = desk.run(find_both, [rig.server.prefix + names[0], OTHER + names[1]])
        assert found == [True, True], (tmp_path / "other.log").read_text()
        # Two servers indeed: one has the port itself, the other one of its own.
        assert len(set(hosts)) == 2
        assert values[0] == 0
        assert isinstance(values[1], float)
        assert desk.run(write_both)
        tools = BaseTools(rig.server.prefix, environment)
        said = tools.run("caget", "-t", ":det1:NumImages", OTHER + "dt")
        assert said.out.split() == ["12", "1.5"]


def on_port(port):
    return os.environ | EVERYBODY | {"EPICS_CA_SERVER_PORT": str(port), "EPICS_CAS_SERVER_PORT": str(port)}


def wait_for_theirs(environment):
    tools = BaseTools(OTHER, environment)
    until(lambda: tools.run("caget", "-w", "5", ":x").code == 0, "the other IOC")
