"""Emulated library functions of a channel's electronics: trigger B, control registers, memories, marker channels."""

from typing import Any

import numpy as np

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS
from xsp3ioc.sdk.emulator.arguments import array_at, check_finite, check_one_card, check_part, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_channel,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.electronics import MARKER_CHANNELS, REGISTERS, Ringing
from xsp3ioc.sdk.emulator.layout import ChannelFormat
from xsp3ioc.sdk.emulator.system import System

_CONTROL, _CONTROL2 = 2, 56
_QUOTIENT, _REGIONS, _LAST_MEMORY = 3, 4, 13
_MEMORY_WORDS = BINS
_UNITY = 1 << 16  # the quotient memory's word for a gain of 1
_NO_SCALING = -1.0
_MARKER_EDGES = 3  # marker register of rise, fall and source
_MOST_TICKS, _MOST_ADC, _MOST_MODE = 1023, 65535, 7
_TRIGGER_LIMITS = {
    "arm_thres": _MOST_ADC, "end_thres": _MOST_ADC, "rearm_thres": _MOST_ADC, "fast_arm_thres": _MOST_ADC,
    "fast_end_thres": _MOST_ADC, "avemode": _MOST_MODE, "fast_avemode": _MOST_MODE, "two_over_mode": _MOST_MODE,
    "scaled_thres_mode": _MOST_MODE, "enable": 1, "enb_otd_split": 1, "disable_split": 1, "combined": 1,
    "enb_fast_otd": 1, "enb_variable_width": 1, "enb_split_touching": 1, "enb_fast_diff2": 1,
}  # fmt: skip
"""Most that fields of Xspress3_TriggerB may be; the others are ticks."""
_ABSENT = {"test_data_source", "calibrator", "neighbour_events", "farm_mode", "scope_mode", "inl_corr"}
"""Features that are not emulated; the others count as built, in their first version."""


class RegisterFunctions(EmulatedCalls):
    """Trigger B, control registers, memories, marker channels and features."""

    @emulated
    def xsp3_get_trigger_b(self, path: int, channel: int, trigger: Any) -> int:
        """Read the trigger-B settings."""
        system = self.system(path)
        check_one_channel(system, channel)
        required(trig_b=trigger)
        for name, value in system.trigger_b[channel].items():
            setattr(trigger, name, value)
        return OK

    @emulated
    def xsp3_set_trigger_b(self, path: int, channel: int, trigger: Any) -> int:
        """Set the trigger-B settings; the emulated detector's dead time stays that of the emulator's settings."""
        system = self.system(path)
        channels = check_channel(system, channel)
        required(trig_b=trigger)
        values = {name: getattr(trigger, name) for name, _ in ffi.typeof("Xspress3_TriggerB").fields}
        for name, value in values.items():
            check_range(name, value, 0, _TRIGGER_LIMITS.get(name, _MOST_TICKS))
        with system.lock:
            for number in channels:
                system.trigger_b[number] = dict(values)
        return OK

    @emulated
    def xsp3_set_trigger_b_ringing(
        self, path: int, channel: int, scale_a: float, delay_a: int, scale_b: float, delay_b: int
    ) -> int:
        """Set the ringing removal; it is kept, the emulated signals do not ring."""
        system = self.system(path)
        channels = check_channel(system, channel)
        check_finite(scale_a=scale_a, scale_b=scale_b)
        for name, scale in (("scale_a", scale_a), ("scale_b", scale_b)):
            if abs(scale) > 0.5:
                raise Refusal(RANGE_CHECK, f"{name} = {scale} is outside -0.5..0.5")
        check_range("delay_a", delay_a, 3, 34)
        check_range("delay_b", delay_b, 3, 34)
        with system.lock:
            for number in channels:
                system.electronics.channels[number].ringing = Ringing(scale_a, delay_a, scale_b, delay_b)
        return OK

    @emulated
    def xsp3_get_chan_cont(self, path: int, channel: int, control: Any) -> int:
        """Read the channel control register."""
        system = self.system(path)
        check_one_channel(system, channel)
        required(chan_cont=control)
        control[0] = system.electronics.channels[channel].control
        return OK

    @emulated
    def xsp3_set_chan_cont(self, path: int, channel: int, control: int) -> int:
        """Write the channel control register."""
        system = self.system(path)
        for number in check_channel(system, channel):
            system.electronics.channels[number].control = control & 0xFFFFFFFF
        return OK

    @emulated
    def xsp3_set_chan_cont2(self, path: int, channel: int, control: int) -> int:
        """Write the second channel control register."""
        system = self.system(path)
        for number in check_channel(system, channel):
            system.electronics.channels[number].control2 = control & 0xFFFFFFFF
        return OK

    @emulated
    def xsp3_read_reg(self, path: int, channel: int, region: int, offset: int, size: int, value: Any) -> int:
        """Read words of a channel's registers (region 0) or of one of its memories (1..13).

        Registers other than the two of channel control, and memories other than those of the energy gain and of the
        regions, are 0: what is in them is not published.
        """
        system = self.system(path)
        check_one_channel(system, channel)
        check_range("region", region, 0, _LAST_MEMORY)
        check_part("offset", offset, size, _MEMORY_WORDS if region else REGISTERS)
        required(value=value)
        with system.lock:
            words = _memory(system.layouts.formats[channel], region) if region else _registers(system, channel)
        array_at(value, np.uint32, size)[:] = words[offset : offset + size]
        return OK

    @emulated
    def xsp3_bram_init(self, path: int, channel: int, region: int, scaling: float) -> int:
        """Fill memories with their defaults: whole spectra, and an energy gain of `scaling`, which spectra show."""
        system = self.system(path)
        channels = check_channel(system, channel)
        if region != -1:
            check_range("region", region, 1, _LAST_MEMORY)
        check_finite(scaling=scaling)
        if scaling != _NO_SCALING and not 0.5 <= scaling <= 2:
            raise Refusal(RANGE_CHECK, f"scaling = {scaling} is outside 0.5..2 and is not -1")
        changes: dict[str, Any] = {}
        if region in (-1, _QUOTIENT):
            changes["gain"] = 1.0 if scaling == _NO_SCALING else float(scaling)
        if region in (-1, _REGIONS):
            changes["regions"] = ()
        with system.lock:
            system.set_layouts(system.layouts.replace(channels, **changes))
        return OK

    @emulated
    def xsp3_read_marker_chan(self, path: int, channel: int, register: int, size: int, value: Any) -> int:
        """Read registers of a marker channel."""
        system = self._with_markers(path, channel)
        check_part("reg", register, size, REGISTERS)
        required(value=value)
        words = system.electronics.markers[channel][register : register + size]
        array_at(value, np.uint32, size)[:] = words
        return OK

    @emulated
    def xsp3_setup_marker_chan(self, path: int, channel: int, control: int, rise: int, fall: int, source: int) -> int:
        """Choose the edges of a TTL input that a marker channel notes; its control goes to register 2, these to 3."""
        system = self._with_markers(path, channel)
        check_range("rise", rise, 0, 1)
        check_range("fall", fall, 0, 1)
        check_range("sel", source, 0, 1)
        with system.lock:
            registers = system.electronics.markers[channel]
            registers[_CONTROL] = control & 0xFFFFFFFF
            registers[_MARKER_EDGES] = rise | fall << 1 | source << 2
        return OK

    def _with_markers(self, path: int, channel: int) -> System:
        system = self.system(path)
        if not system.settings.family.is_mark2:
            raise Refusal(ERROR, f"{system.settings.product} has no marker channels, only the X3X2")
        check_range("chan", channel, 0, MARKER_CHANNELS - 1)
        return system

    @emulated
    def xsp3_get_features(self, path: int, card: int, features: Any) -> int:
        """Say what the emulated firmware has built in."""
        system = self.system(path)
        check_one_card(system, card)
        required(features=features)
        family = system.settings.family
        for name, field in ffi.typeof("Xspress3_features").fields:
            if field.type.cname == "char":
                setattr(features, name, bytes([name not in _ABSENT]))
        features.timing_generator = b"\x05"  # N triggers per frame, and markers
        features.generation = int(family.generation)
        features.num_scope_dma = 0
        features.num_playback_streams = 1 if family.compulsory_acknowledge else 2
        features.max_real_dma_stream = system.settings.channels_per_card - 1
        features.min_nbits_eng, features.nbits_frac_be = 1, 0
        features.xsp3m_send_mode = system.electronics.cards[card].readout_mode
        features.reg_clock_period = family.clock_period
        return OK


def _registers(system: System, channel: int) -> list[int]:
    kept = system.electronics.channels[channel]
    words = [0] * REGISTERS
    words[_CONTROL], words[_CONTROL2] = kept.control, kept.control2
    return words


def _memory(form: ChannelFormat, region: int) -> np.ndarray[Any, Any]:
    if region == _QUOTIENT:
        return np.full(_MEMORY_WORDS, round(form.gain * _UNITY), np.uint32)
    if region == _REGIONS:
        return form.table.astype(np.uint32)
    return np.zeros(_MEMORY_WORDS, np.uint32)
