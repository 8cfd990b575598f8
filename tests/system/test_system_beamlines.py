"""The streams of the beamlines beside the native one, while their server is stopped or killed in mid-series."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import zmq
from ca_clients import ECA_NORMAL
from stream_legacy import StinsReceiver, WritingReceiver, streams_of

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.sdk import expected_frames
from xsp3ioc.stream.messages import Block, Header, SeriesEnd

TICKS = 80_000
"""Of an exposure of 1 ms."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_every_receiver_knows_what_it_has(start_rig, how):
    rig = start_rig(server={"legacy_port": 0, "stream1_port": 0})
    publisher, push = streams_of(rig.server.banner)
    subscriber, puller = WritingReceiver(publisher), StinsReceiver(push)
    with Receiver(rig.server.data, "native") as native:
        while not native.connected:
            assert native.receive(0.1) is None
        rig.ca.wait_for("det1:Subscribers", 1)
        while not (subscriber.complete() and puller.complete()):  # a PUB does not say who has joined
            assert rig.acquire(1) == ECA_NORMAL
            time.sleep(0.02)
        rig.begin(100_000, 0.001)
        rig.ca.wait_above("det1:ArrayCounter_RBV", 300)
        os.kill(rig.server.process.pid, how)
        events, end = [], None
        deadline = time.monotonic() + 20
        while (event := native.receive(0.1)) is not None or native.connected:
            assert time.monotonic() < deadline
            if isinstance(event, Header):
                events = []
            elif isinstance(event, Block):
                events.append(event)
            elif isinstance(event, SeriesEnd):
                end = event
    mca, scalers = (np.concatenate([getattr(block, name) for block in events]) for name in ("mca", "scalers"))
    series = subscriber.left(), puller.left()
    stopped = how == signal.SIGTERM
    assert (end is not None and end.reason == "stopped") == stopped
    for one in series:
        assert (one.end is not None) == stopped
        assert len(one.images) > 200
        assert one.numbers == list(range(len(one.images)))
        if stopped:
            assert len(one.images) == end.acquired == len(mca)
        spectra, _ = expected_frames(rig.settings, TICKS, 0, len(one.spectra))
        assert np.array(one.spectra).tobytes() == spectra.tobytes()
    if stopped:
        assert (series[1].end["reason"], series[1].end["dropped"]) == ("stopped", 0)
    _, counted = expected_frames(rig.settings, TICKS, 0, len(series[1].images))
    assert [image["scalers"] for image in series[1].images] == counted.tolist()
    # A server that dies may leave a frame whose other two messages never come.
    assert subscriber.error is None or (how == signal.SIGKILL and isinstance(subscriber.error, zmq.Again))
    assert puller.error is None
    subscriber.close()
    puller.close()
