"""Emulated library functions of timing: frame sources and the internal time frame generator."""

from typing import Any

from xsp3ioc.sdk.constants import GapMode, InPause, ItfgTrigger, SyncMode, TimingBit, TimingSource
from xsp3ioc.sdk.emulator.arguments import check_bits, check_one_card, required
from xsp3ioc.sdk.emulator.cabling import check_ttl_out
from xsp3ioc.sdk.emulator.calls import (
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.frame_source import EACH_FRAME, Itfg, TimingRegister
from xsp3ioc.sdk.emulator.system import System

_MAX_ITFG_FRAMES = 0xFFFFFF
_OWNED_TIMING_BITS = 1 << 5 | 1 << 6 | 0xF << 8 | 1 << 29 | 1 << 30 | 1 << 31  # start and stop set these
_FROM_RADIAL = 1 << 15
_FIXED_BITS = 0xC0FFFFFF
_MOST_DEBOUNCE = 255


class TimingFunctions(EmulatedCalls):
    """Frame sources and the internal time frame generator."""

    @emulated
    def xsp3_set_glob_timeA(self, path: int, card: int, register: int) -> int:  # noqa: N802
        """Write the timing register, but for the bits that start and stop own."""
        system = self.system(path)
        cards = check_card(system, card)
        _check_register("time", register)
        with system.lock:
            for number in cards:
                _write(system, number, register)
        return OK

    @emulated
    def xsp3_get_glob_timeA(self, path: int, card: int, register: Any) -> int:  # noqa: N802
        """Read the timing register."""
        system = self.system(path)
        required(time=register)
        register[0] = system.time_a[check_one_card(system, card)]
        return OK

    @emulated
    def xsp3_set_glob_timeFixed(self, path: int, card: int, register: int) -> int:  # noqa: N802
        """Write the number of the first frame and the generator's marker source."""
        system = self.system(path)
        cards = check_card(system, card)
        _check_fixed("time", register)
        with system.lock:
            for number in cards:
                system.time_fixed[number] = register
        return OK

    @emulated
    def xsp3_get_glob_timeFixed(self, path: int, card: int, register: Any) -> int:  # noqa: N802
        """Read the number of the first frame and the generator's marker source."""
        system = self.system(path)
        required(time=register)
        register[0] = system.time_fixed[check_one_card(system, card)]
        return OK

    @emulated
    def xsp3_get_glob_time_statA(self, path: int, card: int, register: Any) -> int:  # noqa: N802
        """Read the current frame's number and what the generator does."""
        system = self.system(path)
        required(time=register)
        register[0] = system.timing_state(check_one_card(system, card))
        return OK

    @emulated
    def xsp3_set_timing(self, path: int, setup: Any) -> int:
        """Set the timing of card 0, and of the others so that they follow it as the cabling says.

        Where their debounce is 0 it is what the generator's gap needs, or that of card 0 with other sources.
        """
        system = self.system(path)
        required(setup=setup)
        for name, low, high in (
            ("t_src", 0, 7), ("inv_f0", 0, 1), ("inv_veto", 0, 1), ("loop_io", 0, 1),
            ("debounce", 0, _MOST_DEBOUNCE), ("override_debounce_other", 0, _MOST_DEBOUNCE),
        ):  # fmt: skip
            check_range(name, getattr(setup, name), low, high)
        _check_fixed("fixed", setup.fixed)
        first = setup.t_src | setup.inv_f0 << TimingBit.invert_f0 | setup.inv_veto << TimingBit.invert_veto
        first |= setup.loop_io << TimingBit.loop_io | setup.debounce << TimingBit.debounce | setup.card0_a_extra
        _check_register("card0_a_extra", first)
        with system.lock:
            debounce = setup.override_debounce_other
            if not debounce:
                internal = setup.t_src == TimingSource.internal
                debounce = system.itfg[0].gap.debounce if internal else setup.debounce
            other = _following(system.sync.mode) | debounce << TimingBit.debounce | setup.cardn_a_extra
            other |= setup.loop_io << TimingBit.loop_io
            _check_register("cardn_a_extra", other)
            for number in range(system.cards):
                _write(system, number, other if number else first)
                system.time_fixed[number] = setup.fixed
        return OK

    @emulated
    def xsp3_itfg_setup(self, path: int, card: int, frames: int, ticks: int, trigger: int, gap: int) -> int:
        """Program the generator, from the next start on; only that of card 0 makes frames."""
        system = self.system(path)
        self._program(system, card, _itfg(frames, ticks, trigger, gap))
        return OK

    @emulated
    def xsp3_itfg_setup2(
        self, path: int, card: int, frames: int, ticks: int, trigger: int, gap: int, in_pause: int, period: int, at: int
    ) -> int:
        """Program the generator, with collection between triggers and markers."""
        system = self.system(path)
        check_range("acq_in_pause", in_pause, 0, max(InPause))
        check_range("marker_period", period, 0, _MAX_ITFG_FRAMES)
        check_range("marker_frame", at, 0, max(period - 1, 0))
        itfg = _itfg(frames, ticks, trigger, gap, 1 if in_pause else 2)
        if in_pause and itfg.trigger not in EACH_FRAME:
            raise Refusal(RANGE_CHECK, f"trig_mode = {trigger} is not 1 or 2, as acq_in_pause = {in_pause} needs")
        self._program(system, card, itfg._replace(in_pause=InPause(in_pause), marker_period=period, marker_frame=at))
        return OK

    @staticmethod
    def _program(system: System, card: int, itfg: Itfg) -> None:
        with system.lock:
            for number in check_card(system, card):
                system.itfg[number] = itfg

    @emulated
    def xsp3_itfg_get_setup(self, path: int, card: int, frames: Any, ticks: Any, trigger: Any, gap: Any) -> int:
        """Tell how the generator is programmed."""
        system = self.system(path)
        required(num_tf=frames, col_time=ticks, trig_mode=trigger, gap_mode=gap)
        itfg = system.itfg[check_one_card(system, card)]
        frames[0], ticks[0], trigger[0], gap[0] = itfg.frames, itfg.ticks, int(itfg.trigger), int(itfg.gap)
        return OK

    @emulated
    def xsp3_itfg_stop(self, path: int, card: int) -> int:
        """Stop the generator amid a run; a frame in progress is closed."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.stop_generator()
        return OK

    @emulated
    def xsp3_itfg_start(self, path: int, card: int) -> int:
        """Let the generator run its program again, in the same run."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.start_generator()
        return OK


def _write(system: System, card: int, register: int) -> None:
    """Write a card's register A; the software's markers take effect in the run in progress."""
    register &= ~_OWNED_TIMING_BITS
    if card == 0:
        markers = TimingRegister.of(register).software_markers
        if markers != TimingRegister.of(system.time_a[0]).software_markers:
            system.set_software_markers(markers)
    system.time_a[card] = register


def _check_register(name: str, register: int) -> None:
    check_ttl_out(f"{name} = {register:#x}: ALT_TTL", register >> TimingBit.ttl_out & 0xF)


def _check_fixed(name: str, register: int) -> None:
    check_bits(name, register, _FIXED_BITS)
    if register >> 30 == 3:
        raise Refusal(RANGE_CHECK, f"{name} = {register:#x}: marker source 3 (bits 31..30) is outside 0..2")


def _following(mode: SyncMode) -> int:
    """Return the register of a card that follows card 0."""
    if mode in (SyncMode.idc, SyncMode.midplane):
        return int(TimingSource.idc)
    return TimingSource.ttl_veto | (_FROM_RADIAL if mode is SyncMode.lemo_radial else 0)


def _itfg(frames: int, ticks: int, trigger: int, gap: int, least: int = 2) -> Itfg:
    check_range("num_tf", frames, 0, _MAX_ITFG_FRAMES)
    check_range("col_time", ticks, least, 0xFFFFFFFF)
    if trigger not in ItfgTrigger.__members__.values():
        allowed = ", ".join(str(int(known)) for known in ItfgTrigger)
        raise Refusal(RANGE_CHECK, f"trig_mode = {trigger} is none of {allowed}")
    check_range("gap_mode", gap, 0, max(GapMode))
    return Itfg(frames, ticks, ItfgTrigger(trigger), GapMode(gap))
