"""The core with an emulated detector, in the process of the tests."""

from __future__ import annotations

import mmap
import threading
import time
from contextlib import contextmanager

import zmq

from xsp3ioc.sdk import Connection, EmulatedLibrary, EmulatorSettings, expected_frames
from xsp3ioc.stream.connection import System
from xsp3ioc.stream.detector import Detector
from xsp3ioc.stream.places import Places

MILLISECOND = 80_000
"""Ticks."""
PATIENCE = 60


class Core:
    """A connected detector; puts end before they return, and every update is remembered in its order."""

    def __init__(self, detector: Detector, settings: EmulatorSettings):
        self.detector, self.settings = detector, settings
        self.updates = []
        detector.subscribe(self.updates.append)

    def put(self, name, value, index=None):
        self.detector.put(name, value, index).result(PATIENCE)

    def set(self, **values):
        """Puts of what has one value, or of what has one per channel: the same for all."""
        for name, value in values.items():
            channels = range(self.settings.channels) if self.detector.parameters[name].per_channel else [None]
            for channel in channels:
                self.put(name, value, channel)

    def roi(self, channel, slot, first, size, **more):
        for name, value in {"min_x": first, "size_x": size, **more}.items():
            self.put(f"roi_{name}", value, (channel, slot))

    def get(self, name, index=None):
        return self.detector.get(name, index)

    def acquire(self, frames, exposure=0.001):
        self.set(frames=frames, exposure_time=exposure)
        self.put("acquire", True)

    def frames(self, count, first=0, ticks=MILLISECOND):
        """Spectra (frames, channels, bins) and scalers that were to come."""
        return expected_frames(self.settings, ticks, first, count)

    def said(self, name):
        """Updates of a parameter so far."""
        return [update for update in self.updates if update.name == name]

    def last(self, name):
        """Where among all updates the last one of a parameter is."""
        return max(place for place, update in enumerate(self.updates) if update.name == name)

    def wait(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.005)

    def wait_until_nobody_pulls(self):
        """Until stream1 knows that its receivers have left: what it sends to one that is leaving is lost."""
        push, nobody = self.detector.beside["stream1"], threading.Event()

        def look(readable):  # in the socket's own thread
            type(push)._look(push, readable)
            if not push._socket.getsockopt(zmq.EVENTS) & zmq.POLLOUT:
                nobody.set()

        def known():
            push._wake_up()
            return nobody.is_set()

        push._look = look
        try:
            self.wait(known)
        finally:
            del push._look


@contextmanager
def running_core(places=None, pool_bytes=1 << 30, **settings):
    """`places`: of sockets beside the two that are always there."""
    settings = EmulatorSettings(**{"count_rate": 2e6} | settings)
    connection = Connection(channels=settings.channels, cards=settings.cards)
    ports = {"data_port": 0, "monitor_port": 0} | (places or {})
    detector = Detector(System(EmulatedLibrary(settings), connection), Places(**ports), pool_bytes)
    try:
        core = Core(detector, settings)
        core.put("connect", True)
        yield core
    finally:
        detector.shut_down()
        # The thread of its commands lives as long as the process, and would keep all of it.
        detector.pool._map.madvise(mmap.MADV_REMOVE)
