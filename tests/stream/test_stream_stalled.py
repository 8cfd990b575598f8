"""Subscribers that stop reading, with all the credit that there is, and a small pool: the others get everything."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager

import pytest
import zmq
from stream_core import running_core

from xsp3ioc.receivers.receiver import Receiver, RefusedError
from xsp3ioc.stream.messages import Block, Hello, SeriesEnd, encode

FRAMES = 20_000


@contextmanager
def stopped(endpoint, name):
    """Says hello, and takes no byte any more."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.rcvhwm, socket.rcvbuf, socket.linger = 1, 65536, 0
        socket.connect(endpoint)
        socket.send(encode(Hello(name=name, credit=32)))
        yield


class Reader(threading.Thread):
    """A receiver that gets a series."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.receiver = Receiver(endpoint, "reader")
        self.frames = 0
        self.end = None
        self.start()

    def run(self):
        with self.receiver:
            for event in self.receiver:
                if isinstance(event, Block):
                    self.frames += len(event)
                elif isinstance(event, SeriesEnd):
                    self.end = event
                    return


def test_those_who_stop_take_neither_the_others_nor_the_acquisition_along():
    # 16 slabs: each of the stopped could hold all of them.
    with running_core(pool_bytes=64 << 20, pace="reader") as core, ExitStack() as stack:
        for name in ("first", "second"):
            stack.enter_context(stopped(core.detector.data.endpoint, name))
        reader = Reader(core.detector.data.endpoint)
        core.wait(lambda: core.get("subscribers") == 3)
        core.acquire(FRAMES)
        reader.join(60)
        assert (reader.frames, reader.end.reason, reader.end.lost) == (FRAMES, "complete", [])
        assert core.get("frames_acquired") == FRAMES
        cut = [update.value for update in core.said("status_message") if "too slow" in str(update.value)]
        assert all(any(name in text for text in cut) for name in ("'first'", "'second'"))
        assert not any("'reader'" in text for text in cut)


def test_those_who_have_left_make_room_at_once():
    with running_core(pool_bytes=64 << 20) as core:
        endpoint = core.detector.data.endpoint
        with ExitStack() as stack:
            for name in "abcd":
                stack.enter_context(stopped(endpoint, name))
            core.wait(lambda: core.get("subscribers") == 4)
            with Receiver(endpoint, "one more") as receiver, pytest.raises(RefusedError, match="4 subscribers already"):
                receiver.receive(30)
        with Receiver(endpoint, "the next") as receiver:
            # It says hello where an event is asked for, and is refused where there is no room.
            core.wait(lambda: receiver.receive(0.01) is None and core.get("subscribers") == 1)
