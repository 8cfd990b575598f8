"""Emulated library functions of timing: frame sources and the internal time frame generator."""

from typing import Any

from xsp3ioc.sdk.constants import GapMode, ItfgTrigger
from xsp3ioc.sdk.emulator.calls import OK, RANGE_CHECK, EmulatedCalls, Refusal, check_card, check_range, emulated
from xsp3ioc.sdk.emulator.system import Itfg

_MAX_ITFG_FRAMES = 0xFFFFFF
_OWNED_TIMING_BITS = 1 << 5 | 1 << 6 | 0xF << 8 | 1 << 29 | 1 << 30 | 1 << 31  # start and stop set these


class TimingFunctions(EmulatedCalls):
    """Frame sources and the internal time frame generator."""

    @emulated
    def xsp3_set_glob_timeA(self, path: int, card: int, register: int) -> int:  # noqa: N802
        """Write the timing register, but for the bits that start and stop own."""
        system = self.system(path)
        for number in check_card(system, card):
            system.time_a[number] = register & ~_OWNED_TIMING_BITS
        return OK

    @emulated
    def xsp3_get_glob_timeA(self, path: int, card: int, register: Any) -> int:  # noqa: N802
        """Read the timing register."""
        system = self.system(path)
        register[0] = system.time_a[check_card(system, card)[0]]
        return OK

    @emulated
    def xsp3_set_glob_timeFixed(self, path: int, card: int, register: int) -> int:  # noqa: N802
        """Write the number of the first frame."""
        system = self.system(path)
        for number in check_card(system, card):
            system.time_fixed[number] = register
        return OK

    @emulated
    def xsp3_get_glob_timeFixed(self, path: int, card: int, register: Any) -> int:  # noqa: N802
        """Read the number of the first frame."""
        system = self.system(path)
        register[0] = system.time_fixed[check_card(system, card)[0]]
        return OK

    @emulated
    def xsp3_itfg_setup(self, path: int, card: int, frames: int, ticks: int, trigger: int, gap: int) -> int:
        """Program the generator of card 0; the other cards follow its veto."""
        system = self.system(path)
        check_card(system, card)
        check_range("num_tf", frames, 0, _MAX_ITFG_FRAMES)
        check_range("col_time", ticks, 2, 0xFFFFFFFF)
        if trigger not in ItfgTrigger.__members__.values():
            raise Refusal(RANGE_CHECK, f"trig_mode = {trigger} is no trigger mode")
        check_range("gap_mode", gap, 0, 3)
        if card <= 0:
            system.itfg = Itfg(frames, ticks, ItfgTrigger(trigger), GapMode(gap))
        return OK
