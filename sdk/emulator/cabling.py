"""Emulated library functions of what is connected: boxes, TTL inputs and outputs."""

from typing import Any

from xsp3ioc.sdk.constants import Generation, SyncMode, TimingBit, TtlOut
from xsp3ioc.sdk.emulator.arguments import check_bits, check_one_card, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    ILLEGAL_CARD,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.system import Sync, System

_TTL_OUT_BITS = 0xF << TimingBit.ttl_out
_VETO = 1  # trigger function, and the input that pulses


class CablingFunctions(EmulatedCalls):
    """Synchronisation, TTL inputs and outputs."""

    @emulated
    def xsp3_set_sync_mode(self, path: int, mode: int, global_reset: int, card: int) -> int:
        """Say how the boxes are connected."""
        system = self.system(path)
        check_range("sync_mode", mode, 0, max(SyncMode))
        check_range("enb_global_reset", global_reset, 0, 1)
        with system.lock:
            system.sync = Sync(SyncMode(mode), bool(global_reset), check_one_card(system, card))
        return OK

    @emulated
    def xsp3_get_sync_mode(self, path: int, mode: Any, global_reset: Any, card: Any) -> int:
        """Tell what was said about the connections."""
        system = self.system(path)
        required(sync_mode=mode, enb_global_reset=global_reset, gr_card=card)
        mode[0], global_reset[0], card[0] = (int(value) for value in system.sync)
        return OK

    @emulated
    def xsp3_set_alt_ttl_out(self, path: int, card: int, function: int, force: int) -> int:
        """Choose what the TTL outputs show."""
        system = self.system(path)
        cards = check_card(system, card)
        check_ttl_out("alt_ttl", function)
        check_range("force", force, 0, 1)
        with system.lock:
            for number in cards:
                system.time_a[number] = system.time_a[number] & ~_TTL_OUT_BITS | function << TimingBit.ttl_out
        return OK

    @emulated
    def xsp3_set_trig_in_term(self, path: int, card: int, flags: int) -> int:
        """Terminate TTL inputs with 50 ohm."""
        system = self.system(path)
        _terminate(system, system.input_termination, card, flags)
        return OK

    @emulated
    def xsp3_set_trig_out_term(self, path: int, card: int, flags: int) -> int:
        """Put 50 ohm in series with TTL outputs."""
        system = self.system(path)
        _terminate(system, system.output_termination, card, flags)
        return OK

    @emulated
    def xsp3_get_trig_in_term(self, path: int, card: int, flags: Any) -> int:
        """Tell which TTL inputs are terminated."""
        system = self.system(path)
        required(flags=flags)
        _terminable(system)
        flags[0] = system.input_termination[_one_terminated(system, card)]
        return OK

    @emulated
    def xsp3_get_trig_out_term(self, path: int, card: int, flags: Any) -> int:
        """Tell which TTL outputs have 50 ohm in series."""
        system = self.system(path)
        required(flags=flags)
        _terminable(system)
        flags[0] = system.output_termination[_one_terminated(system, card)]
        return OK

    @emulated
    def xsp3_set_glob_trigger_select(self, path: int, card: int, inputs: Any) -> int:
        """Choose the TTL input of frame zero, veto and the two markers; only input 1 pulses by itself."""
        system = self.system(path)
        cards = check_card(system, card)
        required(trig_mux=inputs)
        chosen = tuple(inputs.trig_sel)
        for function, number in enumerate(chosen):
            check_range(f"trig_sel[{function}]", number, 0, 3)
        if chosen[_VETO] != _VETO:
            raise Refusal(ERROR, f"trig_sel[1] = {chosen[_VETO]} is not emulated: the pulses are on TTL input 1")
        if chosen[0]:
            raise Refusal(ERROR, f"trig_sel[0] = {chosen[0]} is not emulated: frame zero comes on TTL input 0")
        with system.lock:
            for number in cards:
                system.trigger_inputs[number] = chosen
        return OK

    @emulated
    def xsp3_get_glob_trigger_select(self, path: int, card: int, inputs: Any) -> int:
        """Tell which TTL inputs were chosen."""
        system = self.system(path)
        number = check_one_card(system, card)
        required(trig_mux=inputs)
        inputs.trig_sel = list(system.trigger_inputs[number])
        return OK


def check_ttl_out(name: str, function: int) -> None:
    """Refuse a function of the TTL outputs that there is not."""
    if function not in TtlOut.__members__.values():
        allowed = ", ".join(str(int(known)) for known in TtlOut)
        raise Refusal(RANGE_CHECK, f"{name} = {function} is none of {allowed}")


def _terminate(system: System, registers: list[int], card: int, flags: int) -> None:
    cards = check_card(system, card)
    check_bits("flags", flags, _terminable(system))
    if card >= 0:
        _one_terminated(system, card)
    with system.lock:
        for number in cards:
            registers[number] = flags


def _terminable(system: System) -> int:
    """Return the lines of a product that can be terminated, a bit for each."""
    family = system.settings.family
    if family.generation is Generation.mini:
        return 0b11
    if family.generation is Generation.xspress4:
        return 0b1111
    raise Refusal(ERROR, f"flags: trigger lines of {system.settings.product} cannot be terminated")


def _one_terminated(system: System, card: int) -> int:
    """Check one card; several Xspress4 have their trigger lines on the mid-plane, which belongs to card 0."""
    check_one_card(system, card)
    if card and system.settings.family.generation is Generation.xspress4:
        raise Refusal(ILLEGAL_CARD, f"card {card}: the mid-plane's trigger lines belong to card 0")
    return card
