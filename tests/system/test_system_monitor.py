"""The monitor socket: every request decoded by hand, and clients that nobody wishes for."""

from __future__ import annotations

import json
import os
import socket
import struct
import time

import numpy as np
import pytest
import zmq
from ca_clients import ECA_NORMAL

from xsp3ioc.sdk import expected_frames
from xsp3ioc.stream.formulas import dead_time_factors

TICKS = 400_000
CHANNELS, BINS = 4, 4096
WORDS = ("status", "header", "sum", "roi", "scalers", "channel 1 to channel 4")
NAMES = [
    "clock_ticks", "reset_ticks", "reset_count", "all_events", "all_good",
    "window1", "window2", "pileup", "total_ticks",
]  # fmt: skip


@pytest.fixture(scope="module")
def connect(rig):
    """Connect another client."""
    context = zmq.Context()

    def make(kind=zmq.REQ):
        client = context.socket(kind)
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.SNDHWM, 0)
        client.setsockopt(zmq.RCVTIMEO, 20_000)
        client.connect(rig.server.monitor)
        return client

    yield make
    context.destroy(linger=0)


@pytest.fixture(scope="module")
def ask(connect):
    client = connect()

    def ask(request):
        client.send(request if isinstance(request, bytes) else request.encode())
        head, *arrays = client.recv_multipart()
        return json.loads(head), *arrays

    return ask


def test_before_the_first_frame(ask):
    head, spectra = ask("give me a frame")
    assert head == {
        "htype": "image", "exptime": 0.25, "frame": 0, "series_id": 0, "time": 0.0, "frame_status": 0,
        "type": "uint32", "shape": [CHANNELS, BINS],
    }  # fmt: skip
    assert spectra == bytes(4 * CHANNELS * BINS)
    head, scalers = ask("scalers")
    assert (head["factors"], head["dead_time"], head["input_rate"]) == ([1.0] * 4, [0.0] * 4, [0.0] * 4)
    assert scalers == bytes(4 * CHANNELS * 9)
    head, statistics = ask("roi")
    assert (head["rois"], head["shape"], statistics) == ([], [0, 5], b"")
    head, total = ask("sum")
    assert (head["frames"], head["type"], total) == (0, "uint64", bytes(8 * CHANNELS * BINS))
    status = ask("status")[0]
    assert (status["htype"], status["state"], status["simulated"], status["series_id"]) == ("status", "idle", True, 0)
    assert (status["energy_offset"], status["energy_slope"]) == ([0.0] * 4, [10.0] * 4)
    refused = ask("header")[0]
    assert refused["htype"] == "refused"
    assert "no series is running" in refused["error"]


def test_every_request_is_of_the_frame_that_it_names(rig, ask):
    rig.ca.set(MCA2ROI__1__Name="Mn", MCA2ROI__1__MinX=570, MCA2ROI__1__SizeX=40, MCA2ROI__1__BgdWidth=2)
    rig.begin(300, 0.005)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 5)
    assert ask("header")[0]["frames"] == 300
    status = ask("status")[0]
    assert (status["state"], status["frames_asked"], status["exposure_time"]) == ("acquiring", 300, 0.005)
    # While it runs, and when it is over.
    for over in (False, True):
        if over:
            assert rig.ca.put_status("acquire") == ECA_NORMAL
            rig.ca.set(AcquireTime=0.125)  # for the next series; these frames were of another exposure
        for request in ("", "image", "live view please\0", "channel 3", " CHANNEL  4\n", "scalers", "roi"):
            head, array = ask(request)
            assert head["exptime"] == 0.005
            assert head["series_id"] > 0
            assert abs(time.time() - head["time"]) < 60
            mca, scalers = (part[0] for part in expected_frames(rig.settings, TICKS, head["frame"], 1))
            if head["htype"] == "image":
                assert head["shape"] == [CHANNELS, BINS]
                assert array == mca.tobytes()
            elif head["htype"] == "channel":
                assert (head["shape"], head["type"]) == ([BINS], "uint32")
                assert array == mca[head["channel"] - 1].tobytes()
                assert str(head["channel"]) in request
            elif head["htype"] == "scalers":
                assert (head["names"], head["shape"]) == (NAMES, [CHANNELS, 9])
                assert array == scalers.tobytes()
                factors = dead_time_factors(scalers, head["event_widths"])
                np.testing.assert_allclose(head["factors"], factors)
                np.testing.assert_allclose(head["dead_time"], 100 * (1 - 1 / factors))
                good, seconds = scalers[:, NAMES.index("all_good")], scalers[:, -1] * head["clock_period"]
                np.testing.assert_allclose(head["output_rate"], good / seconds)
                np.testing.assert_allclose(head["input_rate"], good / seconds * factors)
            else:
                assert head["rois"] == [[2, "Mn", 570, 40]]
                assert (head["columns"], head["shape"]) == (
                    ["total", "net", "min_value", "max_value", "mean_value"],
                    [1, 5],
                )
                part = mca[1, 570:610].astype(float)
                net = part.sum() - (part[:2].sum() + part[-2:].sum()) / 4 * 40
                expected = [part.sum(), net, part.min(), part.max(), part.mean()]
                np.testing.assert_allclose(np.frombuffer(array), expected)
    head, total = ask("sum")
    mca, _ = expected_frames(rig.settings, TICKS, 0, 300)
    assert head["frames"] == 300
    assert total == mca.sum(axis=0, dtype=np.uint64).tobytes()
    assert ask("frame")[0]["frame"] == 299


@pytest.mark.parametrize(
    "request_",
    [
        "channel", "channel 0", "channel 5", "channel 99", "channel x", "channel -1", "channel 1.0", "channel 1 2",
        "channel ²", "channel " + "9" * 200, "sum of all", "status?\x07", b"\x80\x04\x95junk", b"\xff\xfe\x00\x01",
        b"\0\1\2", os.urandom(1) * 3000, b"x" * 60_000,
    ],
    ids=range(17),
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_is_allowed(ask, request_):
    head, *arrays = ask(request_)
    assert (head["htype"], arrays) == ("refused", [])
    assert len(head["error"]) < 400
    if str(request_).startswith("channel"):
        assert "channels are 1 to 4" in head["error"]
    else:
        assert all(word in head["error"] for word in WORDS)


def test_clients_that_nobody_wishes_for_harm_nobody(rig, connect, ask):
    listener = rig.listener()
    rig.begin(100_000, 0.005)
    host, port = rig.server.monitor.removeprefix("tcp://").split(":")
    began = resident(rig)
    vanishing = [connect() for _ in range(50)]
    for client in vanishing:
        client.send(b"sum")
        client.close()
    # They never read the answers.
    floods = [connect(zmq.DEALER) for _ in range(3)]
    for request in (b"image", b"sum", b"roi", b"records") * 500:
        for flood in floods:
            flood.send_multipart([b"", request], zmq.DONTWAIT)
    many = connect(zmq.DEALER)
    many.send_multipart([b"", *[bytes(50_000)] * 2000])  # 100 MB
    parts = connect()
    parts.send_multipart([b"status", b"more"])
    head, *_ = parts.recv_multipart()
    assert json.loads(head)["error"] == "a request of several parts: it is one"
    endless = connect(zmq.DEALER)
    endless.send_multipart([*[b"x"] * 100_000, b"", b"status"])
    large = connect(zmq.DEALER)
    large.send_multipart([b"", bytes(100_000_000)])
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(os.urandom(100_000))
    # It speaks ZeroMQ, and says that a message of 2**62 bytes comes.
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32))
        stranger.sendall(b"\x02" + struct.pack(">Q", 1 << 62))
    frames, deadline = set(), time.monotonic() + 30
    while len(frames) < 3:
        frames.add(ask("image")[0]["frame"])
        assert time.monotonic() < deadline, frames
    rig.ca.put("det1:Acquire", 0)  # answered before its end where the listener is behind
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.end.reason) == (heard.end.acquired, [], "stopped")
    assert (heard.gaps, heard.end.lost) == ([], [])
    assert ask("image")[0]["frame"] == heard.frames - 1
    head = json.loads(many.recv_multipart()[1])
    assert head["error"] == "a request of several parts: it is one"
    for client in (*floods, many, parts, endless, large):
        client.close()
    assert ask("status")[0]["frames_missing"] == 0
    assert resident(rig) - began < 400 << 20
    listener.end()


def resident(rig):
    """Bytes of memory that the server has."""
    with open(f"/proc/{rig.server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
