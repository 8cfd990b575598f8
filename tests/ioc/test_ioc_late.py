"""A record that nobody has asked for yet shows its last update to the first who does."""

from __future__ import annotations

import time

from ca_clients import ECA_NORMAL, Put, pvs


def put(prefix):
    return Put(pvs(prefix, "det1:NumImages"), 5).wait(), time.time()


def refuse(prefix):
    Put(pvs(prefix, "det1:NumImages"), 0).wait()


def read(prefix, name):
    found = pvs(prefix, name).get_with_metadata(use_monitor=False)
    return found["value"], found["timestamp"], found["severity"]


def test_the_time_is_that_of_the_update(toy, libca):
    status, ended = libca(put, toy.prefix)
    assert status == ECA_NORMAL
    value, at, _ = libca(read, toy.prefix, "det1:NumImages_RBV")
    # Another client's process has been started meanwhile.
    assert value == 5
    assert at <= ended


def test_so_is_the_alarm(start_server, libca):
    # No calibration there: it cannot connect, and says so before anybody looks.
    server = start_server(detector={"emulate": True, "settings": "/nowhere"})
    server.wait_for_log("/nowhere")
    from ca_processes import Client

    client = Client(server.environment, read, server.prefix, "det1:StatusMessage_RBV")
    _, at, severity = client.result()
    assert severity > 0
    assert at < time.time()
