"""Which frames a run has: from the timing registers, the frame generator and what is cabled to the inputs."""

from typing import NamedTuple

from xsp3ioc.sdk.constants import GapMode, InPause, ItfgTrigger, TimingBit, TimingSource, TtlOut
from xsp3ioc.sdk.emulator.captured import Captured
from xsp3ioc.sdk.emulator.gated import FrameZero, Gated, SoftwareGated, TriggeredTrain
from xsp3ioc.sdk.emulator.gates import Gates, gates_of
from xsp3ioc.sdk.emulator.pulses import PulseTrain
from xsp3ioc.sdk.emulator.recorded import Recording
from xsp3ioc.sdk.emulator.timeline import ReaderTrain, SoftwareTimed, Timeline, Train, Triggered
from xsp3ioc.sdk.emulator.triggers import FromTriggerToTrigger, SoftwareTriggers, Triggers

_MOST_REMEMBERED = 1 << 22  # triggers
_SOFTWARE_TRIGGERS = (ItfgTrigger.software, ItfgTrigger.software_only_first)
_FREE = (ItfgTrigger.burst, ItfgTrigger.software_only_first)
_WITH_FRAME_ZERO = (TimingSource.idc, TimingSource.ttl_both, TimingSource.lvds_both)
EACH_FRAME = (ItfgTrigger.software, ItfgTrigger.hardware)
"""Modes in which every frame needs a trigger."""


class Itfg(NamedTuple):
    """Set-up of the internal time frame generator; `frames` 0 is until stopped.

    `ticks` is the exposure, or with `in_pause` the number of triggers to a frame.
    """

    frames: int = 1
    ticks: int = 80_000_000
    trigger: ItfgTrigger = ItfgTrigger.burst
    gap: GapMode = GapMode.us1
    in_pause: InPause = InPause.off
    marker_period: int = 0
    marker_frame: int = 0


class TimingRegister(NamedTuple):
    """The parts of timing register A that have an effect on frames."""

    source: TimingSource
    invert_f0: bool
    invert_veto: bool
    software_markers: int
    debounce: int
    ttl_out: int
    capture: bool

    @classmethod
    def of(cls, register: int) -> "TimingRegister":
        """Take a register apart."""
        return cls(
            TimingSource(register & 7),
            bool(register >> TimingBit.invert_f0 & 1),
            bool(register >> TimingBit.invert_veto & 1),
            register >> 12 & 3,
            register >> TimingBit.debounce & 0xFF,
            register >> TimingBit.ttl_out & 0xF,
            bool(register >> TimingBit.frame_capture & 1),
        )

    def followed_by(self, other: "TimingRegister", itfg: Itfg, train: PulseTrain, *, idc_cabled: bool) -> bool:
        """Whether a further card with this register sees the frames of card 0, which has `self`.

        It does through the TTL chain, or the IDC cable, unless its debounce filter takes them or their gaps away.
        """
        if other.invert_veto:
            return False
        if other.source in (TimingSource.ttl_veto, TimingSource.ttl_both):
            if self.ttl_out >= TtlOut.in_window:  # no timing leaves card 0
                return False
        elif other.source is not TimingSource.idc or not idc_cabled:
            return False
        return other.debounce <= self._shortest(itfg, train)

    def _shortest(self, itfg: Itfg, train: PulseTrain) -> float:
        """Return the shortest frame or gap, in ticks."""
        if self.source is TimingSource.internal:
            return itfg.gap.cycles if itfg.in_pause else min(itfg.ticks, itfg.gap.cycles)
        if self.source >= TimingSource.idc and train.period:
            return min(train.shortest)
        return 0xFF


class Demand(NamedTuple):
    """What a timeline is made for."""

    register: TimingRegister
    itfg: Itfg
    train: PulseTrain
    reader: bool
    """At the reader's pace instead of the clock's."""
    memory: int
    """Frames that fit."""


def timeline_of(demand: Demand, now: int, recording: Recording | None = None) -> Timeline:
    """Make the timeline of a run that is armed now; a recording sets the pace of a generator that runs freely."""
    register, itfg, train, reader, memory = demand
    free = register.source is TimingSource.internal and itfg.trigger in _FREE and not itfg.in_pause
    if recording is not None and free and not register.capture:
        return recording.timeline(itfg.frames, itfg.gap.cycles, reader=reader)
    if register.source is TimingSource.internal:
        return generated(demand, now, None)
    if register.source in (TimingSource.software, TimingSource.software_marker):
        return _captured(demand, SoftwareTimed(), None)
    # TTL_IN(0) is either frame zero or Capture.
    restarts = register.source in _WITH_FRAME_ZERO and not register.capture
    zero = FrameZero(train, register.invert_f0) if restarts else None
    return _captured(demand, Gated(_gates(demand, memory), reader=reader, zero=zero), None)


def generated(demand: Demand, now: int, origin: int | None) -> Timeline:
    """Make the frame generator's timeline from now on, of a run that counts since `origin`, None: not yet."""
    return _captured(demand, _generated(demand, now, origin), origin)


def _captured(demand: Demand, timeline: Timeline, origin: int | None) -> Timeline:
    return Captured(timeline, demand.train, origin) if demand.register.capture else timeline


def _generated(demand: Demand, now: int, origin: int | None) -> Timeline:
    itfg, reader = demand.itfg, demand.reader
    frames, ticks, gap = itfg.frames, itfg.ticks, itfg.gap.cycles
    if itfg.in_pause:
        return _in_pause(demand, now, origin)
    if itfg.trigger is ItfgTrigger.hardware:
        return Gated(_triggers(demand, now, origin), reader=reader, frames=frames, origin=origin)
    if itfg.trigger is ItfgTrigger.hardware_only_first:
        if not reader:
            after = 0 if origin is None else now - origin
            return TriggeredTrain(_gates(demand, 1), frames, ticks, gap, origin=origin, after=after)
        if not _triggers(demand, now, origin).ready(1):
            return Timeline()
    if itfg.trigger is ItfgTrigger.software:
        return Triggered(frames, ticks, gap, at_once=reader)
    return ReaderTrain(frames, ticks, gap) if reader else Train(frames, ticks, gap)


def triggered_by_software(itfg: Itfg) -> bool:
    """Whether the generator waits for count enable to rise."""
    return itfg.trigger in _SOFTWARE_TRIGGERS


def _gates(demand: Demand, memory: int) -> Gates:
    return gates_of(demand.train, demand.register.invert_veto, demand.register.debounce, memory)


def _triggers(demand: Demand, now: int, origin: int | None) -> Gates:
    after = 0 if origin is None else now - origin
    ticks, gap = demand.itfg.ticks, demand.itfg.gap.cycles
    lasts, dead = (1, 1) if demand.reader else (ticks, ticks + gap)
    gates = _gates(demand, demand.memory)
    return Triggers(gates, ticks, lasts, dead, demand.itfg.frames, after, demand.memory)


def _in_pause(demand: Demand, now: int, origin: int | None) -> Timeline:
    itfg, train = demand.itfg, demand.train
    frames, count, gap = itfg.frames, itfg.ticks, itfg.gap.cycles
    remembered = min(demand.memory * count, _MOST_REMEMBERED)
    at_once = itfg.in_pause is InPause.all
    if itfg.trigger is ItfgTrigger.software:
        given = SoftwareTriggers(gap + 1, remembered)
        by_hand = FromTriggerToTrigger(given, None, count, gap, frames, 0, at_once=at_once)
        return SoftwareGated(by_hand, given, frames=frames, origin=now)
    after = 0 if origin is None else now - origin
    triggers = Triggers(_gates(demand, remembered), 0, 0, gap + 1, 0, after, remembered)
    exposure = max(1, round(count * train.period) - gap) if train.period and not train.pulses.jitter else None
    collected = FromTriggerToTrigger(triggers, exposure, count, gap, frames, after, at_once=at_once)
    return Gated(collected, reader=demand.reader, frames=frames, origin=origin)
