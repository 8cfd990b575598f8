"""The state of an emulated system of cards: registers, format, run."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS, RunFlag, SyncMode, TimingSource
from xsp3ioc.sdk.emulator.electronics import Electronics
from xsp3ioc.sdk.emulator.frame_source import (
    Demand,
    Itfg,
    TimingRegister,
    generated,
    timeline_of,
    triggered_by_software,
)
from xsp3ioc.sdk.emulator.gated import Rows
from xsp3ioc.sdk.emulator.layout import ChannelFormat, Layouts
from xsp3ioc.sdk.emulator.markers import TRIGGER_INPUTS, Markers
from xsp3ioc.sdk.emulator.physics import sources
from xsp3ioc.sdk.emulator.pool import FramePool, Regions
from xsp3ioc.sdk.emulator.pulses import PulseTrain
from xsp3ioc.sdk.emulator.recorded import RecordedPool, Recording
from xsp3ioc.sdk.emulator.ring import Ring
from xsp3ioc.sdk.emulator.run import Run
from xsp3ioc.sdk.emulator.settings import EmulatorSettings

_FIRST_FRAME = 0xFFFFFF
_COUNTING, _RUNNING, _WAITING, _FINISHED = (1 << bit for bit in range(24, 28))


class Sync(NamedTuple):
    """Cabling between the boxes, as xsp3_set_sync_mode was told."""

    mode: SyncMode = SyncMode.none
    global_reset: bool = False
    reset_card: int = 0


class System:
    """Everything behind one handle; `lock` guards it, and is not held while frames are copied."""

    def __init__(
        self, settings: EmulatorSettings, cards: int, frames: int, clock: Callable[[], int],
        recording: Recording | None = None, first_channel: int = 0,
    ) -> None:  # fmt: skip
        """Frames are those of `recording` if there is one, from its channel `first_channel` on."""
        self.settings = settings
        self.cards = cards
        self.frames = frames
        self.channels = settings.channels
        self.lock = threading.RLock()
        self.trigger_b = [_trigger_b(width) for width in settings.event_widths]
        self.deadtime = [_deadtime(width, settings.family.clock_period) for width in settings.event_widths]
        self.deadtime_flags = [0] * self.channels
        self.regions = Regions.of(self.channels)
        self.run_flags = RunFlag.scalers | RunFlag.histogram
        self.bits = 12
        self.layouts = Layouts.of([ChannelFormat()] * self.channels)
        self.electronics = Electronics.of(self.channels, cards)
        self.time_a = [0] * cards
        self.time_fixed = [0] * cards
        self.itfg = [Itfg()] * cards
        self.sync = Sync()
        self.trigger_inputs = [TRIGGER_INPUTS] * cards
        self.input_termination = [0] * cards
        self.output_termination = [0] * cards
        self.run: Run | None = None
        self._markers: Markers | None = None
        self._demand: Demand | None = None  # of the present run
        self._ended = True
        self._count_enable = False
        self._ready: set[int] = set()  # cards behind card 0 that were armed and have not begun
        self._following: set[int] = set()  # those that have
        self._pool: FramePool | None = None
        self._recording = recording
        self._first_channel = first_channel
        self._pool_key: tuple[EmulatorSettings, int, int] | None = None
        self._clock = clock
        sources(settings)  # an unusable spectrum file shows here, and the first frame need not wait for it
        self._frequency = round(1 / settings.family.clock_period)

    @property
    def now(self) -> int:
        """The time in clock ticks."""
        return self._clock() * self._frequency // 1_000_000_000

    @property
    def bins(self) -> int:
        """Bins per spectrum as drawn; what else the format makes of them is in `layouts`."""
        return 1 << self.bits

    @property
    def ring(self) -> int:
        """Frames that fit in the memory in the present format."""
        return self.frames * BINS // self.layouts.words

    @property
    def drawn(self) -> EmulatorSettings:
        """Settings that frames are drawn with: in playback, what card 0 plays stands in for the seed."""
        played = self.electronics.cards[0].playback_check if self.run_flags & RunFlag.playback else 0
        return msgspec.structs.replace(self.settings, seed=played) if played else self.settings

    def settled(self) -> Run | None:
        """Return the run, up to date; None before the first. Call with the lock held."""
        if self.run is not None:
            self.run.settle(self.now)
        return self.run

    def channels_of(self, card: int) -> range:
        """Return the channels of a card."""
        per_card = self.settings.channels_per_card
        return range(min(card * per_card, self.channels), min((card + 1) * per_card, self.channels))

    def progress(self, channels: range | None = None) -> int:
        """Return the number of frames of the run that are complete on some channels, or everywhere."""
        with self.lock:
            if self.run is None:
                return 0
            now = self.now
            self.run.settle(now)
            return self.run.complete(now, channels)

    def start(self, cards: range, *, count_enable: bool) -> None:
        """Begin a run if card 0 is among the cards; the others wait for that.

        Without count enable the run waits for a trigger. A run in progress is ended.
        """
        with self.lock:
            others = set(cards) - {0}
            self._drop(others)
            self._ready |= others
            if 0 in cards:
                self._begin(count_enable)
            elif self.run is not None and not self._ended and not self.run.timeline.begun(self.now):
                self._join()  # nothing has happened yet

    def _begin(self, count_enable: bool) -> None:
        register = TimingRegister.of(self.time_a[0])
        train = PulseTrain(self.settings.pulses, self.settings.seed, self.settings.family.clock_period)
        demand = Demand(register, self.itfg[0], train, self.settings.pace == "reader", self.ring)
        timeline = timeline_of(demand, self.now, self._recording)
        pool = self._recorded() or (None if timeline.exposure is None else self._pool_for(timeline.exposure))
        first = self.time_fixed[0] & _FIRST_FRAME
        compulsory = self.settings.family.compulsory_acknowledge
        circular = bool(self.run_flags & RunFlag.circular)
        ring = Ring(self.ring, self.channels, first, compulsory=compulsory and circular)
        self.run = Run(self.settings, timeline, ring, pool, self.regions, self.bits, first=first, circular=circular)
        self._markers = Markers(register, self.time_fixed[0], self.itfg[0], train, self.trigger_inputs[0])
        self._demand = demand
        self._following = set()
        self._join()
        self._ended = self._count_enable = False
        if count_enable:
            self.resume()

    def _join(self) -> None:
        """Let the cards that are ready take part in the run, as far as they see it."""
        run, demand = self.run, self._demand
        if run is None or demand is None:
            return
        idc_cabled = self.sync.mode in (SyncMode.idc, SyncMode.midplane)
        for card in range(1, self.cards):
            register = TimingRegister.of(self.time_a[card])
            seen = demand.register.followed_by(register, demand.itfg, demand.train, idc_cabled=idc_cabled)
            if card in self._ready and seen:
                self._following.add(card)
                run.losses.find(self.channels_of(card))
            elif card not in self._following:
                run.losses.lose(self.channels_of(card), run.first)
        self._ready.clear()

    def _drop(self, cards: set[int]) -> None:
        """Let cards that took part in the run deliver no more frames."""
        self._ready -= cards
        run = self.run
        for card in cards & self._following:
            if run is not None and not self._ended:
                run.settle(self.now)
                channels = self.channels_of(card)
                run.losses.lose(channels, max(run.first, run.complete(self.now, channels)))
            self._following.discard(card)

    def _recorded(self) -> RecordedPool | None:
        if self._recording is None:
            return None
        return RecordedPool(self._recording, self._first_channel, self.channels, self.bits)

    def _pool_for(self, ticks: int) -> FramePool:
        pool, key = self._pool, (self.drawn, ticks, self.bits)
        if pool is None or key != self._pool_key:
            pool = self._pool = FramePool(self.drawn, ticks, self.regions, self.bits)
            self._pool_key = key
        return pool

    def resume(self) -> None:
        """Count enable goes high."""
        with self.lock:
            if self.run is not None and not self._count_enable:
                self._count_enable = True
                now = self.now
                if self._markers is not None and self._markers.origin is None:
                    self._markers.origin = now
                self.run.timeline.rise(now)

    def pause(self) -> None:
        """Count enable goes low."""
        with self.lock:
            if self.run is not None and self._count_enable:
                self._count_enable = False
                self.run.timeline.fall(self.now)

    def stop(self, cards: range | None = None) -> None:
        """End the run of all cards, or let some end theirs; the frames stay readable."""
        with self.lock:
            if cards is not None and 0 not in cards:
                self._drop(set(cards))
                return
            if self.run is not None:
                self.run.stop(self.now)
            self._ended, self._count_enable = True, False
            self._ready -= set(range(self.cards) if cards is None else cards)

    def stop_generator(self) -> None:
        """Stop the frame generator of a run; a frame in progress is closed with what it has."""
        with self.lock:
            run = self.settled()
            if run is not None and self._source is TimingSource.internal and not self._ended:
                row = run.timeline.row if isinstance(run.timeline, Rows) else run.timeline
                row.stop(self.now)
                run.settle(self.now)

    def start_generator(self) -> None:
        """Let a stopped frame generator run its program, as it is set up now; frames are numbered on."""
        with self.lock:
            run, demand, markers = self.settled(), self._demand, self._markers
            if run is None or demand is None or markers is None or self._source is not TimingSource.internal:
                return
            now = self.now
            row = run.timeline.row if isinstance(run.timeline, Rows) else run.timeline
            if self._ended or not (row.stopped or row.finished(now)):
                return
            row.stop(now)  # one that has finished has nothing in progress
            self._demand = demand = demand._replace(itfg=self.itfg[0])
            new = generated(demand, now, markers.origin)
            run.timeline = Rows.after(run.timeline, run.timeline.begun(now), new)
            run.make_room()
            if self._count_enable or (markers.origin is not None and not triggered_by_software(demand.itfg)):
                new.rise(now)
            run.settle(now)

    @property
    def _source(self) -> TimingSource | None:
        """The frame source of the present run."""
        return None if self._demand is None else self._demand.register.source

    def set_software_markers(self, markers: int) -> None:
        """Give these markers to the frames to come."""
        with self.lock:
            run = self.settled()
            if run is not None and self._markers is not None:
                self._markers.change(run.timeline.begun(self.now), markers)

    def markers(self, run: Run, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the markers of frames of the present run, by their numbers: same shape. Call with the lock held."""
        if self._markers is None or self._markers.never:
            return np.zeros(numbers.shape, np.int32)
        return self._markers.of(run.timeline, run.indexes(numbers), numbers)

    def timing_state(self, card: int) -> int:
        """Return what register A of the timing status shows: the current frame, and what the frame generator does."""
        with self.lock:
            run, now = self.settled(), self.now
            if run is None or (card and card not in self._following):
                return self.time_fixed[card] & _FIRST_FRAME
            state = max(run.first, run.ring.begun - 1) & _FIRST_FRAME
            timeline = run.timeline.row if isinstance(run.timeline, Rows) else run.timeline
            if card or self._source is not TimingSource.internal or timeline.stopped:
                return state
            if timeline.finished(now):
                return state | _FINISHED
            counting = _COUNTING * timeline.running(now)
            return state | _RUNNING | counting | _WAITING * timeline.waiting(now)

    def set_layouts(self, layouts: Layouts) -> None:
        """Use other formats; where they divide the memory anew, there is no run any more."""
        with self.lock:
            shapes = [[(form.bits, form.rows) for form in of.formats] for of in (layouts, self.layouts)]
            if shapes[0] != shapes[1] or layouts.drawn_bits != self.bits:
                self.stop()
                self.run = None
            self.layouts = layouts
            self.bits = layouts.drawn_bits

    def set_regions(self, regions: Regions) -> None:
        """Use other thresholds and windows."""
        with self.lock:
            self.regions = regions
            if self._pool is not None:
                self._pool.set_regions(regions)
            if self.run is not None:
                self.run.set_regions(regions)


def _trigger_b(width: int) -> dict[str, int]:
    fields = dict.fromkeys((name for name, _ in ffi.typeof("Xspress3_TriggerB").fields), 0)
    return fields | {"enable": 1, "arm_thres": 200, "end_thres": 180, "event_time": width}


def _deadtime(width: int, clock_period: float) -> list[float]:
    """Process dead times, in the order of `DeadtimeParameters`, that match the event width; no energy or rate terms."""
    dead = (width + 1) * clock_period
    return [dead, 0.0, 0.0, 0.0, dead / 2, 0.0, 0.0, 0.0]
