"""Subscribers that stall, come and go, read slowly, shout, or lose their server: nothing is lost, or it is named."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time

import pytest
import zmq
from ca_clients import ECA_NORMAL

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.stream.messages import Block, Header, SeriesEnd

HELLO = {"htype": "hello", "name": "x", "version": 1, "credit": 4}
LARGEST = 1 << 16


def join(receiver):
    """Have it say hello, which it does where an event is asked for."""
    deadline = time.monotonic() + 20
    while not receiver.connected:
        assert receiver.receive(0.1) is None
        assert time.monotonic() < deadline


@pytest.mark.parametrize("seconds", [1.5, pytest.param(10, marks=pytest.mark.slow)])
def test_one_that_stops_for_a_while_gets_all(rig, seconds):
    frames = round(1000 * seconds) + 1500
    others, stopped = rig.listener("others"), rig.listener("stopped")
    rig.begin(frames, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 200)
    stopped.signal(signal.SIGSTOP)
    time.sleep(seconds)
    stopped.signal(signal.SIGCONT)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    for listener in (others, stopped):
        heard = listener.heard()
        assert (heard.frames, heard.wrong, heard.gaps, heard.end.lost) == (frames, [], [], [])
        listener.end()


def test_fifty_that_come_and_go(rig, peer):
    listener = rig.listener("stays")
    rig.begin(3000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 50)
    heard = []
    for number in range(50):
        dealer = peer(zmq.DEALER, rig.server.data)
        dealer.send(json.dumps(HELLO | {"name": f"visitor {number}"}).encode())
        if number % 2:
            heard.append(json.loads(dealer.recv_multipart()[0])["htype"])
        dealer.close()
    assert heard == ["header"] * 25
    assert rig.ca.is_open("acquire")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    series = listener.heard()
    assert (series.frames, series.wrong, series.gaps, series.end.lost) == (3000, [], [], [])
    assert rig.counters() == [3000, 3000, 0, 0]
    rig.ca.wait_for("det1:Subscribers", 1)
    rig.server.wait_for_log(" were waiting for ")
    told = [line for line in rig.server.log.read_text().splitlines() if "were waiting for" in line]
    assert len(told) <= 3  # when it is quiet for a second, which the 50 need not keep to
    assert all(" WARNING " in line for line in told)
    assert not any(" ERROR " in line for line in rig.server.log.read_text().splitlines())
    listener.end()


def test_messages_that_are_too_large(rig, peer):
    listener = rig.listener("good")
    rig.begin(1500, 0.001)
    for address in (rig.server.data, rig.server.monitor):
        for size in (LARGEST + 1, 10_000_000):
            dealer = peer(zmq.DEALER, address)
            dealer.send(json.dumps(HELLO | {"name": "large"}).encode())
            dealer.send(bytes(size))
            dealer.send_multipart([b"x" * size] * 3)
    # The largest that is taken is refused in words.
    dealer = peer(zmq.DEALER, rig.server.data)
    dealer.send(b"x" * LARGEST)
    assert b"refused" in dealer.recv_multipart()[0]
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.gaps) == (1500, [], [])
    listener.end()


def test_one_that_reads_a_megabyte_a_second(start_rig, peer):
    rig = start_rig(server={"pool": 32}, detector={"ring_frames": 2048})
    listener = rig.listener("fast")
    slow = peer(zmq.DEALER, rig.server.data)
    slow.send(json.dumps(HELLO | {"name": "slow", "credit": 1}).encode())
    rig.ca.wait_for("det1:Subscribers", 2)
    rig.begin(2500, 0.001)
    hurry = time.monotonic() + 3.0  # what waits then would take long, and tell nothing new
    got, end = set(), None
    while end is None:
        parts = slow.recv_multipart()
        head = json.loads(parts[0])
        if head["htype"] == "image":
            got.update(range(head["frame"], head["frame"] + head["shape"][0]))
            if time.monotonic() < hurry:
                time.sleep(len(parts[1]) / 1e6)
            slow.send(b'{"htype": "credit", "n": 1}')
        elif head["htype"] == "series_end":
            end = head
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.gaps, heard.end.lost) == (2500, [], [], [])
    lost = {number for gap in end["lost"] for number in range(gap["first"], gap["last"] + 1)}
    assert lost
    assert got | lost == set(range(2500))
    assert not got & lost
    # Said when it begins, and how much it was.
    log = rig.server.log.read_text()
    assert log.count("Subscriber 'slow' is too slow and lost frames") == 1
    assert f"Subscriber 'slow' lost {len(lost)} frames of series 1" in log


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_stops_in_mid_series(start_rig, how):
    rig = start_rig()
    with Receiver(rig.server.data, "left behind") as receiver:
        join(receiver)
        rig.ca.wait_for("det1:Subscribers", 1)
        rig.begin(100_000, 0.001)
        events = [receiver.receive(10)]
        assert isinstance(events[0], Header)
        while receiver.received < 100:
            events.append(receiver.receive(10))
        os.kill(rig.server.process.pid, how)
        while (event := receiver.receive(3)) is not None:
            events.append(event)
        assert not receiver.connected
        assert receiver.gaps == []
        frames = sum(len(event) for event in events if isinstance(event, Block))
        assert frames == receiver.received
        if how == signal.SIGTERM:
            end = events[-1]
            assert isinstance(end, SeriesEnd)
            assert (end.reason, end.acquired, end.lost) == ("stopped", frames, [])
        else:
            assert isinstance(events[-1], Block)


def test_what_a_stopping_server_waits_for_is_said_once_and_true(start_rig, peer):
    rig = start_rig()
    slow = peer(zmq.DEALER, rig.server.data)
    slow.send(json.dumps(HELLO | {"name": "slow", "credit": 1}).encode())
    rig.ca.wait_for("det1:Subscribers", 1)
    rig.begin(100_000, 0.001)
    slow.recv_multipart()
    # It takes a block now and then, so that it is waited for.
    stop = threading.Event()

    def take():
        while not stop.wait(0.2):
            slow.send(b'{"htype": "credit", "n": 1}')

    taking = threading.Thread(target=take)
    taking.start()
    try:
        rig.ca.wait_above("det1:ArrayCounter_RBV", 500)
        assert rig.server.stop(signal.SIGTERM, patience=12) == 0
    finally:
        stop.set()
        taking.join()
    log = rig.server.log.read_text()
    assert log.count("Stop waits for subscriber slow to take its frames") == 1
    assert "the server waits a few seconds more, then it ends" in log
    assert "stop again" not in log


class Cable:
    """Between a receiver and the server, to be pulled out."""

    def __init__(self, address):
        host, port = address.removeprefix("tcp://").split(":")
        self._there = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._there)
                self._ends += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)

    def pull(self):
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.pull()


def test_a_receiver_that_loses_its_connection_goes_on_with_the_next_block(start_rig):
    rig = start_rig()  # its own: subscribers that are gone are counted until something is sent to them
    cable = Cable(rig.server.data)
    with Receiver(cable.address, "cut off") as receiver:
        join(receiver)
        rig.ca.wait_for("det1:Subscribers", 1)
        rig.begin(100_000, 0.001)
        frames, headers, end, stopped = [], [], None, False
        while end is None:
            event = receiver.receive(20)
            assert event is not None
            if isinstance(event, Header):
                headers.append(event.series_id)
            elif isinstance(event, Block):
                frames += range(event.first, event.end)
                if len(headers) == 3 and not stopped:
                    rig.ca.throw("det1:Acquire", [0])
                    stopped = True
            elif isinstance(event, SeriesEnd):
                end = event
            if len(headers) == 1 and len(frames) > 300:
                cable.pull()
                headers.append(0)
        assert headers == [headers[0], 0, headers[0]]
        assert len(frames) == len(set(frames)) == receiver.received < end.acquired
        missed = [number for gap in receiver.gaps for number in range(gap.first, gap.last + 1)]
        assert sorted(frames + missed) == list(range(end.acquired))
        assert end.reason == "stopped"
    cable.close()
    assert rig.ca.put_status("acquire") == ECA_NORMAL
