"""The state of an emulated system of cards: registers, format, run."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS, GapMode, Generation, ItfgTrigger, RunFlag, TimingSource
from xsp3ioc.sdk.emulator.physics import sources
from xsp3ioc.sdk.emulator.pool import FramePool, Regions
from xsp3ioc.sdk.emulator.ring import Ring
from xsp3ioc.sdk.emulator.run import Run
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.timeline import ReaderTrain, SoftwareTimed, Timeline, Train, Triggered

SETTINGS_FILE = "xsp3ioc-emulator.json"
DEADTIME_TERMS = 8
"""AllEvent offset, gradient, rate offset, rate gradient, then the same for InWindow; s, s/keV, s/Hz, s/Hz/keV."""


class Itfg(NamedTuple):
    """Set-up of the internal time frame generator; `frames` 0 is until stopped."""

    frames: int = 1
    ticks: int = 80_000_000
    trigger: ItfgTrigger = ItfgTrigger.burst
    gap: GapMode = GapMode.us1


class ChannelSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What a settings directory keeps per channel."""

    threshold: int
    windows: list[tuple[int, int]]
    trigger_b: dict[str, int]
    deadtime: list[float]
    deadtime_flags: int = 0


class SavedSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator's own settings file."""

    revision: int
    channels: list[ChannelSettings]


class System:
    """Everything behind one handle; `lock` guards it, and is not held while frames are copied."""

    def __init__(self, settings: EmulatorSettings, cards: int, frames: int, clock: Callable[[], int]) -> None:
        self.settings = settings
        self.cards = cards
        self.frames = frames
        self.channels = settings.channels
        self.lock = threading.RLock()
        self.trigger_b = [_trigger_b(settings) for _ in range(self.channels)]
        self.deadtime = [_deadtime(settings) for _ in range(self.channels)]
        self.deadtime_flags = [0] * self.channels
        self.regions = Regions.of(self.channels)
        self.run_flags = RunFlag.scalers | RunFlag.histogram
        self.bits = 12
        self.time_a = [0] * cards
        self.time_fixed = [0] * cards
        self.itfg = Itfg()
        self.run: Run | None = None
        self._count_enable = False
        self._pool: FramePool | None = None
        self._clock = clock
        sources(settings)  # an unusable spectrum file shows here, and the first frame need not wait for it
        self._frequency = round(1 / settings.family.clock_period)

    @property
    def now(self) -> int:
        """The time in clock ticks."""
        return self._clock() * self._frequency // 1_000_000_000

    @property
    def bins(self) -> int:
        """Bins per spectrum in the present format."""
        return 1 << self.bits

    @property
    def ring(self) -> int:
        """Frames that fit in the memory in the present format."""
        return self.frames * BINS // self.bins

    def settled(self) -> Run | None:
        """Return the run, up to date; None before the first. Call with the lock held."""
        if self.run is not None:
            self.run.settle(self.now)
        return self.run

    def progress(self) -> int:
        """Return the number of complete frames of the run."""
        with self.lock:
            if self.run is None:
                return 0
            now = self.now
            self.run.settle(now)
            return self.run.complete(now)

    def start(self, *, count_enable: bool) -> None:
        """Begin a run, ending one in progress; without count enable it waits for a trigger."""
        with self.lock:
            timeline = self._timeline()
            pool = None if timeline.exposure is None else self._pool_for(timeline.exposure)
            first = self.time_fixed[0] & 0xFFFFFF
            compulsory = self.settings.family.compulsory_acknowledge
            circular = bool(self.run_flags & RunFlag.circular)
            ring = Ring(self.ring, self.channels, first, compulsory=compulsory and circular)
            self.run = Run(self.settings, timeline, ring, pool, self.regions, self.bits, first=first, circular=circular)
            self._count_enable = False
            if count_enable:
                self.resume()

    def _timeline(self) -> Timeline:
        source = TimingSource(self.time_a[0] & 7)
        if source in (TimingSource.software, TimingSource.software_marker):
            return SoftwareTimed()
        frames, ticks, trigger, gap = self.itfg
        if source is not TimingSource.internal or trigger in (ItfgTrigger.hardware, ItfgTrigger.hardware_only_first):
            return Timeline()
        reader = self.settings.pace == "reader"
        if trigger is ItfgTrigger.software:
            return Triggered(frames, ticks, gap.cycles, at_once=reader)
        return ReaderTrain(frames, ticks) if reader else Train(frames, ticks, gap.cycles)

    def _pool_for(self, ticks: int) -> FramePool:
        pool = self._pool
        if pool is None or (pool.ticks, pool.bits) != (ticks, self.bits):
            pool = self._pool = FramePool(self.settings, ticks, self.regions, self.bits)
        return pool

    def resume(self) -> None:
        """Count enable goes high."""
        with self.lock:
            if self.run is not None and not self._count_enable:
                self._count_enable = True
                self.run.timeline.rise(self.now)

    def pause(self) -> None:
        """Count enable goes low."""
        with self.lock:
            if self.run is not None and self._count_enable:
                self._count_enable = False
                self.run.timeline.fall(self.now)

    def stop(self) -> None:
        """End the run; its frames stay readable."""
        with self.lock:
            if self.run is not None:
                self.run.stop(self.now)
            self._count_enable = False

    def set_regions(self, regions: Regions) -> None:
        """Use other thresholds and windows."""
        with self.lock:
            self.regions = regions
            if self._pool is not None:
                self._pool.set_regions(regions)
            if self.run is not None:
                self.run.set_regions(regions)

    def save(self, directory: Path) -> None:
        """Write the settings into an existing directory; raises OSError."""
        with self.lock:
            channels = [
                ChannelSettings(int(threshold), windows.tolist(), trigger_b, deadtime, flags)
                for threshold, windows, trigger_b, deadtime, flags in zip(
                    *self.regions, self.trigger_b, self.deadtime, self.deadtime_flags, strict=True
                )
            ]
        saved = SavedSettings(self.settings.family.revision, channels)
        (directory / SETTINGS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(saved)))

    def restore(self, saved: SavedSettings) -> None:
        """Take over saved settings, for as many channels as there are on both sides."""
        with self.lock:
            threshold, windows = (array.copy() for array in self.regions)
            for index, channel in enumerate(saved.channels[: self.channels]):
                threshold[index], windows[index] = channel.threshold, channel.windows
                self.trigger_b[index] = dict(channel.trigger_b)
                self.deadtime[index] = list(channel.deadtime)
                self.deadtime_flags[index] = channel.deadtime_flags
            self.set_regions(Regions(threshold, windows))


def read_settings(directory: Path) -> SavedSettings:
    """Read a directory written by `System.save`; raises OSError, or ValueError for a damaged file."""
    return msgspec.json.decode((directory / SETTINGS_FILE).read_bytes(), type=SavedSettings)


def _trigger_b(settings: EmulatorSettings) -> dict[str, int]:
    fields = dict.fromkeys((name for name, _ in ffi.typeof("Xspress3_TriggerB").fields), 0)
    return fields | {"enable": 1, "arm_thres": 200, "end_thres": 180, "event_time": settings.event_width}


def _deadtime(settings: EmulatorSettings) -> list[float]:
    """Process dead times that match the emulated event width, without energy or rate terms."""
    width = (settings.event_width + 1) * settings.family.clock_period
    return [width, 0.0, 0.0, 0.0, width / 2, 0.0, 0.0, 0.0]


def clock_source_frequency(settings: EmulatorSettings) -> int:
    """Return what the clock set-up answers: 0 on Xspress3, else the measured frequency in Hz."""
    family = settings.family
    return 0 if family.generation <= Generation.xspress3_v7 else round(1 / family.clock_period)
