"""Peers of a core's data socket: they vanish, they return under their own name, they sleep, they meet a fault."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager

import pytest
import zmq
from stream_core import running_core

from xsp3ioc.stream.expected import Expected
from xsp3ioc.stream.life import StateError
from xsp3ioc.stream.subscribers import MOST_SUBSCRIBERS


@pytest.fixture(scope="module")
def core():
    with running_core() as core:
        core.wait(lambda: core.detector.recorder.attached)
        yield core


@pytest.fixture
def peer(core):
    """Connect and join."""
    context, peers = zmq.Context(), []

    def join(name, credit=4, **options):
        socket = context.socket(zmq.DEALER)
        peers.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 20_000)
        for option, value in options.items():
            socket.setsockopt(getattr(zmq, option), value)
        socket.connect(core.detector.data.endpoint)
        socket.send(json.dumps({"htype": "hello", "name": name, "credit": credit}).encode())
        core.wait(lambda: name in names(core))
        return socket

    yield join
    context.destroy(linger=0)
    core.detector.data.probe(None)
    core.wait(lambda: not names(core))


def names(core):
    return [subscriber.name for subscriber in core.detector.data.subscribers.select()]


def told(socket):
    """JSON of the next message that is no ping."""
    while (message := json.loads(socket.recv_multipart()[0]))["htype"] == "ping":
        pass
    return message


def heard(socket):
    """The same, and credit for an image."""
    message = told(socket)
    if message["htype"] == "image":
        socket.send(b'{"htype": "credit", "n": 1}')
    return message


@contextmanager
def running(core, frames, exposure=0.001):
    core.set(frames=frames, exposure_time=exposure)
    done = core.detector.put("acquire", True)
    done.begun.result(20)
    try:
        yield
    finally:
        core.detector.put("acquire", False)  # answered before its end, if somebody takes nothing
        done.result(20)


def test_those_who_have_gone_while_nothing_runs_take_nobody_s_place(core, peer):
    for number in range(MOST_SUBSCRIBERS - 1):  # the server's writer is one
        peer(f"visitor {number}").close()
    assert core.get("subscribers") == MOST_SUBSCRIBERS - 1
    core.wait(lambda: core.get("subscribers") == 0)
    peer("one more")
    assert names(core) == ["one more"]


def test_one_with_an_identity_of_its_own_begins_anew_when_it_returns(core, peer):
    with running(core, 100_000):
        first = peer("map", ROUTING_ID=b"map")
        assert [told(first)["htype"] for _ in range(5)] == ["header", *["image"] * 4]
        first.close()
        time.sleep(0.3)  # its host says so
        again = peer("map", ROUTING_ID=b"map")
        assert [heard(again)["htype"] for _ in range(50)] == ["header", *["image"] * 49]
    assert names(core) == ["map"]


def test_a_second_hello_on_the_same_connection_gives_no_credit(core, peer):
    with running(core, 100_000):
        twice = peer("twice")
        assert [told(twice)["htype"] for _ in range(5)] == ["header", *["image"] * 4]
        before = core.get("frames_acquired")
        twice.send(json.dumps({"htype": "hello", "name": "twice", "credit": 4}).encode())
        core.wait(lambda: core.get("frames_acquired") > before + 100)
        while twice.poll(0):
            assert json.loads(twice.recv_multipart()[0])["htype"] == "ping"


def test_a_stop_does_not_fail_for_one_that_takes_nothing(core, peer):
    peer("deaf", credit=1)
    core.set(frames=100_000, exposure_time=0.001)
    done = core.detector.put("acquire", True)
    done.begun.result(20)
    core.wait(lambda: core.get("frames_acquired") > 50)
    core.put("acquire", False)
    assert done.result(20) is None
    assert core.get("status_message") == "Stopped Acquiring; subscriber deaf is behind"


def test_a_fault_at_the_end_of_a_series_ends_it_once(core, peer):
    slow = peer("slow", credit=1)
    core.set(frames=50, exposure_time=0.002)
    done = core.detector.put("acquire", True)
    core.wait(lambda: core.get("detector_state") and core.detector.state.value == "finishing")
    acquisition = core.detector._acquisition
    core.detector._fault("a call of the library hangs")
    with pytest.raises(RuntimeError, match="hangs"):
        done.result(20)
    acquisition.join(20)
    core.put("reset", True)
    core.acquire(3)
    kinds = []
    while kinds.count("series_end") < 2:
        kinds.append(heard(slow)["htype"])
    assert [kind for kind in kinds if kind != "image"] == ["header", "series_end"] * 2


def test_a_probe_for_some_is_not_forgotten_for_another(core, peer):
    """The watchdog asks at any time; who waits for the expected ones must not go on before it knows."""
    data = core.detector.data
    peer("map").close()
    time.sleep(0.3)  # its host says so
    with data.subscribers.changed:  # its thread cannot answer yet
        data.probe({"map"})
        data.probe()
        assert data.probing
    core.wait(lambda: not data.probing)
    assert names(core) == []
    with pytest.raises(StateError, match="without subscriber map"):
        Expected(["map"], 0.0).wait(data, "Acquire = 1", lambda text: None, lambda: False)


def test_one_that_sleeps_while_short_series_go_by_is_told_of_all_of_them(core, peer):
    series = 200
    asleep = peer("asleep", credit=32, RCVHWM=1, RCVBUF=4096)
    for _ in range(series):
        core.acquire(1)
    assert names(core) == ["asleep"]
    ends, images = [], 0
    while len(ends) < series:
        message = heard(asleep)
        images += message["htype"] == "image"
        if message["htype"] == "series_end":
            ends.append(message)
    assert [end["acquired"] for end in ends] == [1] * series
    assert [end["series_id"] for end in ends] == list(range(ends[0]["series_id"], ends[0]["series_id"] + series))
    assert images + sum(len(end["lost"]) for end in ends) == series


def test_one_that_sleeps_for_ever_takes_no_memory_for_ever(core, peer, monkeypatch):
    monkeypatch.setattr("xsp3ioc.stream.subscriber.MOST_TOLD", 50)
    asleep = peer("asleep", credit=1)
    for _ in range(100):
        core.acquire(1)
    (known,) = core.detector.data.subscribers.select()
    assert len(known.queue) <= 50 + 25 + 3  # with the blocks
    messages = [heard(asleep)]
    last = core.detector._series_id
    while messages[-1]["htype"] != "series_end" or messages[-1]["series_id"] != last:
        messages.append(heard(asleep))
    *_, refused = (place for place, message in enumerate(messages) if message["htype"] == "refused")
    assert "have waited for this receiver" in messages[refused]["error"]
    # It goes on with whole series.
    later = messages[refused + 1 :]
    ids = range(later[0]["series_id"], last + 1)
    assert [(message["htype"], message["series_id"]) for message in later] == [
        (kind, number) for number in ids for kind in ("header", "image", "series_end")
    ]


def test_a_writer_that_was_killed_is_started_for_a_series_that_waits_for_it():
    with running_core(places={"expect": ["writer"], "expect_timeout": 30}) as core:
        core.acquire(3)
        recorder = core.detector.recorder
        os.kill(recorder.pid, signal.SIGKILL)
        core.wait(lambda: not recorder.attached)
        core.acquire(3)
        assert recorder.attached
