"""What the tests of the SDK layer share: a clock that stands still until told, and connected handles."""

import msgspec
import numpy as np

from xsp3ioc.sdk import (
    SCALERS,
    STATUS_DTYPE,
    EmulatedLibrary,
    EmulatorSettings,
    ItfgTrigger,
    RunFlag,
    TimingSource,
    Xspress3,
)

TICK = 12.5e-9
CIRCULAR = RunFlag.scalers | RunFlag.histogram | RunFlag.circular
STRAIGHT = RunFlag.scalers | RunFlag.histogram


class Clock:
    """Time in nanoseconds, moved by hand; its `sleep` moves it too."""

    def __init__(self):
        self.ns = 1_000_000_007  # no round number of ticks

    def __call__(self):
        return self.ns

    def ticks(self, count):
        self.ns += -(-count * 25 // 2)

    def sleep(self, seconds):
        self.ns += round(seconds * 1e9)


def connect(clock=None, *, frames=64, flags=CIRCULAR, library=lambda emulator: emulator, **settings):
    clock = clock or Clock()
    emulator = EmulatedLibrary(msgspec.convert(settings, EmulatorSettings), clock, clock.sleep)
    handle = Xspress3.configure(library(emulator), cards=emulator.settings.cards, frames=frames)
    handle.set_run_flags(flags)
    handle.format()
    return handle, emulator, clock


def internal(handle, frames, ticks, trigger=ItfgTrigger.burst):
    handle.setup_itfg(frames, ticks, trigger)
    handle.set_timing(TimingSource.internal)


def read(handle, first, count):
    mca = np.full((count, handle.channels, handle.bins), 0xDEADBEEF, np.uint32)
    scalers = np.full((count, handle.channels, SCALERS), 0xDEADBEEF, np.uint32)
    handle.read_mca(first, mca)
    handle.read_scalers(first, scalers)
    return mca, scalers


def status(handle, first, count, channel=0):
    found = np.zeros(count, STATUS_DTYPE)
    handle.frame_status(first, found, channel)
    return found


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
