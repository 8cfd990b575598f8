"""A subscriber of the data stream, run in a `Desk`: compares every frame with what the emulator must have made."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.messages import Block, Capture, CaptureEnd, Header, SeriesEnd


@dataclass
class Heard:
    """One series, as a subscriber got it."""

    header: Header
    frames: int = 0
    wrong: list[int] = field(default_factory=list)
    """Frames whose spectra or scalers are not their own."""
    invalid: list[int] = field(default_factory=list)
    """Frames that are marked as not valid."""
    disorder: int = 0
    times: list[float] = field(default_factory=list)
    factors: list[np.ndarray] = field(default_factory=list)
    end: SeriesEnd | None = None
    gaps: list = field(default_factory=list)


class Listener:
    """`settings` are those of the emulator; None where frames are not compared."""

    def __init__(self, endpoint: str, name: str, settings: EmulatorSettings | None, credit: int = 16):
        self.series: list[Heard] = []
        self.captures: list = []
        self._settings = settings
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._receiver = Receiver(endpoint, name, credit=credit)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            event = self._receiver.receive(1.0)
            with self._changed:
                match event:
                    case Header():
                        self.series.append(Heard(event))
                    case Block() if self.series:
                        self._take(event)
                    case SeriesEnd() if self.series:
                        self.series[-1].end = event
                        self.series[-1].gaps = self._receiver.gaps
                    case Capture() | CaptureEnd():
                        self.captures.append(event)
                self._changed.notify_all()

    def _take(self, block):
        heard = self.series[-1]
        status = block.frames["status"]
        numbers = np.arange(block.first, block.end)
        heard.disorder += bool(heard.times) and block.frames["time"][0] < heard.times[-1]
        heard.frames += len(block)
        heard.invalid += numbers[status != 0].tolist()
        heard.times += block.frames["time"].tolist()
        heard.factors += list(block.factors.copy())
        if self._settings is None or not heard.header.exposure:
            return
        ticks = round(heard.header.exposure / heard.header.clock_period)
        mca, scalers = expected_frames(self._settings, ticks, block.first, len(block))
        same = (block.mca == mca).all(axis=(1, 2)) & (block.scalers == scalers).all(axis=(1, 2))
        heard.wrong += numbers[~same & (status == 0)].tolist()

    def heard(self, count=1, seconds=60.0):
        """The last of `count` series that have ended since the beginning."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while sum(heard.end is not None for heard in self.series) < count:
                assert self._changed.wait(max(0, deadline - time.monotonic())), self._state()
            return self.series[count - 1]

    def frames(self):
        """Frames of the last series so far."""
        with self._changed:
            return self.series[-1].frames if self.series else 0

    def all_captures(self):
        return self.captures

    def _state(self):
        return f"{len(self.series)} series, {self.series[-1].frames if self.series else 0} frames in the last one"
