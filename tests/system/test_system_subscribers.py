"""Subscribers of the stream: all lossless, and the one that stalls loses alone. Garbage harms nobody."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time

import numpy as np
import pytest
import zmq
from ca_clients import ECA_NORMAL
from system_rig import Written

from xsp3ioc.sdk import expected_frames


def named(gaps):
    return [number for gap in gaps for number in range(gap.first, gap.last + 1)]


@pytest.mark.parametrize("frames", [5000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_two_subscribers_lose_nothing(start_rig, frames):
    rig = start_rig(emulator={"pace": "reader"})
    listeners = [rig.listener("one"), rig.listener("two", credit=4)]
    assert rig.acquire(frames) == ECA_NORMAL
    for listener in listeners:
        heard = listener.heard()
        assert (heard.frames, heard.wrong, heard.gaps, heard.end.lost) == (frames, [], [], [])
    assert rig.counters() == [frames, frames, 0, 0]


def test_a_killed_subscriber_disturbs_nobody(start_rig):
    rig = start_rig()
    stays, killed = rig.listener("stays"), rig.listener("killed")
    path = rig.capture("killed", 1500)
    rig.begin(1500, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 200)
    killed.signal(signal.SIGKILL)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    heard = stays.heard()
    assert (heard.frames, heard.wrong, heard.end.reason) == (1500, [], "complete")
    assert rig.counters() == [1500, 1500, 1500, 0]
    Written(path).check(rig.settings, 0.001)
    rig.ca.wait_for("det1:Subscribers", 1)


# At the reader's pace the detector waits for room, so the file loses nothing either.
@pytest.mark.parametrize("pace", ["clock", pytest.param("reader", marks=pytest.mark.slow)])
def test_a_stopped_subscriber_is_cut_off_alone(start_rig, pace):
    rig = start_rig(server={"pool": 32}, detector={"ring_frames": 2048}, emulator={"pace": pace})
    good, stopped = rig.listener("good"), rig.listener("stopped one", credit=4)
    path = rig.capture("stopped", 6000)
    rig.ca.set(NumImages=6000, AcquireTime=0.0005)
    rig.ca.monitor("det1:StatusMessage_RBV")
    rig.ca.begin("det1:Acquire", 1, "acquire")
    rig.ca.wait_above("det1:ArrayCounter_RBV", 100)
    stopped.signal(signal.SIGSTOP)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    heard = good.heard()
    assert (heard.frames, heard.wrong, heard.invalid, heard.gaps, heard.end.lost) == (6000, [], [], [], [])
    written = Written(path)
    assert written.frames == 6000
    assert not written["frame_status"].any()
    written.check(rig.settings, 0.0005)
    acquired, streamed, in_file, missing = rig.counters()
    assert (acquired, in_file, missing) == (6000, 6000, 0)
    assert streamed < 6000
    log = rig.server.log.read_text()
    assert "Subscriber 'stopped one' is too slow and lost frames" in log
    assert "'good'" not in log.partition("is too slow")[2].replace("Subscriber 'good' joined", "")
    # Another series, which it misses too: what it lost of the first one is not forgotten.
    assert rig.acquire(10) == ECA_NORMAL
    assert good.heard(2).frames == 10
    stopped.signal(signal.SIGCONT)
    first = stopped.heard(1)
    assert 0 < first.frames < 6000
    assert first.wrong == []
    assert first.end.lost
    assert all(gap.reason == "subscriber too slow" for gap in first.end.lost)
    assert first.frames + len(named(first.end.lost)) == 6000
    assert named(first.gaps) == named(first.end.lost)
    assert (stopped.heard(2).frames, stopped.heard(2).end.lost) == (10, [])
    # It is as good as any other from now on.
    assert rig.acquire(300) == ECA_NORMAL
    assert (stopped.heard(3).frames, stopped.heard(3).wrong) == (300, [])


def test_a_late_subscriber_gets_the_header_and_the_next_block(rig):
    rig.begin(1000, 0.002)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 100)
    late = rig.listener("late")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = late.heard()
    assert heard.header.frames == 1000
    assert 0 < heard.frames < 900
    assert heard.wrong == []
    assert named(heard.gaps) == list(range(1000 - heard.frames))
    assert heard.end.acquired == 1000
    late.end()


HELLO = {"htype": "hello", "name": "x", "version": 1, "credit": 4}
GARBAGE = [
    [b""],
    [b"\0\xff\xfe not text"],
    [b"{}"],
    [b'{"htype": "hello"}'],
    [b"[" * 60_000],
    [json.dumps(HELLO | {"version": 99}).encode()],
    [json.dumps(HELLO | {"credit": -5}).encode()],
    [json.dumps(HELLO | {"credit": 10**30}).encode()],
    [json.dumps(HELLO | {"name": "\ud800"}).encode()],
    [json.dumps(HELLO | {"token": "\ud800 guess"}).encode()],
    [json.dumps(HELLO | {"token": "é" * 1000}).encode()],
    [json.dumps(HELLO | {"name": "n" * 60_000}).encode()],
    [json.dumps(HELLO).encode(), b"more"],
    [json.dumps({"htype": "credit", "n": 5}).encode()],
    [json.dumps({"htype": "closed", "capture_id": 1, "filename": "x", "frames": 1}).encode()],
    [json.dumps({"htype": "failed", "capture_id": 1, "filename": "x", "frames": 1, "error": "not at all"}).encode()],
    [json.dumps({"htype": "series_end", "series_id": 1}).encode()],
]
ANSWERS = dict.fromkeys((b"nnnn", b"00000000", b"u00e9"), b"capture")
ANSWERS |= dict.fromkeys((b'"credit", "n"', b"closed", b'"failed"'), b"unknown")
"""To a good hello the stream, and to what may have been meant for another server no refusal."""


def test_garbage_on_the_sockets_harms_nobody(rig, peer):
    listener = rig.listener()
    path = rig.capture("garbage")
    rig.begin(1000, 0.001)
    for address in (rig.server.data, rig.server.monitor):
        host, port = address.removeprefix("tcp://").split(":")
        for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), b"\xff" * 64):
            with socket.create_connection((host, int(port))) as sock:
                sock.sendall(junk)
    for parts in GARBAGE:
        dealer = peer(zmq.DEALER, rig.server.data)
        dealer.send_multipart(parts)
        answer = next((answer for sent, answer in ANSWERS.items() if sent in parts[0]), b"refused")
        assert b'{"htype":"%b"' % answer in dealer.recv_multipart()[0], parts
    joined = peer(zmq.DEALER, rig.server.data)
    joined.send(json.dumps(HELLO).encode())
    assert b"capture" in joined.recv_multipart()[0]
    for parts in GARBAGE:
        joined.send_multipart(parts)
    for parts in GARBAGE:
        request = peer(zmq.REQ, rig.server.monitor)
        request.send_multipart(parts)
        request.recv_multipart()
    request = peer(zmq.DEALER, rig.server.monitor)
    request.send_multipart([b"no", b"envelope"])
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.end.reason) == (1000, [], "complete")
    assert rig.ca.is_open("capture")
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    Written(path).check(rig.settings, 0.001)
    listener.end()


def test_a_complaint_names_who_has_sent_it(start_rig, peer):
    rig = start_rig()
    stranger, known = (peer(zmq.DEALER, rig.server.data) for _ in range(2))
    stranger.send(b"nonsense")
    rig.server.wait_for_log("Data socket: 127.0.0.1: not a message of xsp3ioc 1")
    time.sleep(1.1)  # of complaints there is one a second
    known.send(json.dumps(HELLO | {"name": "map"}).encode())
    known.send(b"nonsense")
    rig.server.wait_for_log("Data socket: 'map' at 127.0.0.1: not a message of xsp3ioc 1")
    time.sleep(1.1)
    stranger.send(json.dumps(HELLO | {"name": "old", "version": 9}).encode())
    rig.server.wait_for_log("Data socket: 'old' at 127.0.0.1: version 9")


NO_HELLO = [
    (b"{}", "refused"),
    (b'{"htype": "hello", "name": 5}', "refused"),
    (b'{"htype": "credit", "n": 1}', "unknown"),
    (b'{"htype": "written", "capture_id": 1, "frames": 1}', "unknown"),
]


def test_who_has_not_said_hello_is_told_what_to_send(start_rig, peer):
    rig = start_rig()
    for sent, htype in NO_HELLO:
        dealer = peer(zmq.DEALER, rig.server.data)
        for _ in range(1000):
            dealer.send(sent)
        answer = json.loads(dealer.recv_multipart()[0])
        assert answer["htype"] == htype
        for allowed in ('"htype": "hello", "name": "map", "version": 1, "credit": 16', "1 to 32", "none or bslz4"):
            assert allowed in answer["error"]
        assert ("not said hello" in answer["error"]) == (htype == "unknown")
        # What it was told to send is good, and the answers were not endless.
        hello = re.search(r"\{.*?\}", answer["error"][answer["error"].index("sends") :])[0]
        dealer.send(hello.encode())
        rig.ca.wait_for("det1:Subscribers", 1)
        assert rig.acquire(1) == ECA_NORMAL
        heard = [json.loads(dealer.recv_multipart()[0])["htype"] for _ in range(19 + 3)]
        assert heard == [htype] * 19 + ["header", "image", "series_end"]
        dealer.close()
        rig.acquire(1)  # it is forgotten when something is sent to it
        rig.ca.wait_for("det1:Subscribers", 0)


def test_a_flood_of_messages_stops_nobody(start_rig, peer):
    rig = start_rig()
    listener = rig.listener()
    flood = peer(zmq.DEALER, rig.server.data)
    flood.setsockopt(zmq.SNDHWM, 0)
    flood.send(json.dumps(HELLO | {"name": "flood"}).encode())
    rig.ca.set(NumImages=500, AcquireTime=0.001)
    rig.ca.begin("det1:Acquire", 1, "acquire")
    credit = json.dumps({"htype": "credit", "n": 0}).encode()
    while rig.ca.is_open("acquire"):
        for _ in range(5000):
            flood.send(credit)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong) == (500, [])


def ask(request, word):
    request.send_string(word)
    return request.recv_multipart()


def test_the_monitor_socket(start_rig, peer):
    rig = start_rig()
    request = peer(zmq.REQ, rig.server.monitor)
    # Before the first frame: zeros, in the same two parts.
    head, spectra = ask(request, "frame")
    head = json.loads(head)
    assert (head["htype"], head["type"], head["shape"]) == ("image", "uint32", [4, 4096])
    assert spectra == bytes(4 * 4096 * 4)
    assert json.loads(ask(request, "header")[0])["htype"] == "refused"
    status = json.loads(ask(request, "status")[0])
    assert status["channels"] == 4
    assert status["acquire"] is False
    rig.begin(400, 0.005)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 20)
    seen = set()
    for _ in range(50):
        head, spectra = ask(request, "")
        head = json.loads(head)
        seen.add(head["frame"])
        mca, _ = expected_frames(rig.settings, 400_000, head["frame"], 1)
        assert spectra == mca.tobytes()
        assert head["exptime"] == 0.005
    assert len(seen) > 1
    header = json.loads(ask(request, "header")[0])
    assert (header["htype"], header["frames"]) == ("header", 400)
    assert json.loads(ask(request, "status")[0])["acquire"] is True
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    head, spectra = ask(request, "frame")
    mca, _ = expected_frames(rig.settings, 400_000, 0, 400)
    assert json.loads(head)["frame"] == 399
    assert spectra == mca[-1].tobytes()
    head, total = ask(request, "sum")
    head = json.loads(head)
    assert (head["type"], head["shape"], head["frames"]) == ("uint64", [4, 4096], 400)
    np.testing.assert_array_equal(np.frombuffer(total, np.uint64).reshape(4, 4096), mca.sum(axis=0))
