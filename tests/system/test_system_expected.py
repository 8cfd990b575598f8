"""A series that waits for its subscribers: they come, they do not, they have died, or somebody stops."""

from __future__ import annotations

import signal
import time

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL


def test_a_series_without_the_subscribers_that_are_expected_is_refused(start_rig):
    rig = start_rig("--expect", "writer,map", "--expect-timeout", "1.5", parameters={"frames": 20})
    rig.ca.set(NumImages=20, AcquireTime=0.001)
    refusal = "Acquire = 1 without subscriber map: waited 1.5 s; start what is missing, or take it out of --expect"
    # Nobody but the server's writer is there.
    assert rig.acquire(20) == ECA_PUTFAIL
    assert rig.message() == refusal
    assert rig.ca.get("det1:Acquire_RBV") == 0
    # Others do not count, not even with the writer's name.
    rig.listener("writer", compare=False)
    assert rig.acquire(20) == ECA_PUTFAIL
    listener = rig.listener("map")
    assert rig.acquire(20) == ECA_NORMAL
    # One that has died since is not there, though nothing was sent to it meanwhile.
    listener.end()
    time.sleep(0.3)  # its host says so
    assert rig.acquire(20) == ECA_PUTFAIL
    assert rig.message() == refusal


def test_a_series_waits_for_the_subscribers_that_are_expected(start_rig):
    rig = start_rig("--expect", "writer,map", "--expect-timeout", "60")
    rig.ca.set(NumImages=20, AcquireTime=0.001)
    # A stop ends the wait; the put-callback and the stop are answered.
    rig.ca.begin("det1:Acquire", 1, "acquire")
    rig.ca.wait_for("det1:StatusMessage_RBV", "Waiting for subscriber map")
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert "Stopped before it began" in rig.server.log.read_text()
    # One that comes while it is waited for gets all.
    rig.ca.begin("det1:Acquire", 1, "acquire")
    rig.ca.wait_for("det1:StatusMessage_RBV", "Waiting for subscriber map")
    listener = rig.listener("map")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert listener.heard().frames == 20
    assert listener.heard().gaps == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_while_a_series_waits_ends_without_an_error(start_rig, signum):
    rig = start_rig("--expect", "map", "--expect-timeout", "60")
    rig.ca.begin("det1:Acquire", 1, "acquire")
    rig.ca.wait_for("det1:StatusMessage_RBV", "Waiting for subscriber map")
    assert rig.server.stop(signum) == 0
    log = rig.server.log.read_text()
    assert "Stopped before it began" in log
    assert not [line for line in log.splitlines() if " ERROR " in line]
