"""What the connected system is: channels, generation, firmware, clock, temperatures."""

import math
from functools import cached_property
from typing import NamedTuple

from xsp3ioc.sdk.calls import LibraryCalls
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import DeadtimeFlag, Generation

XSPRESS3_CLOCK_PERIOD = 12.5e-9
_MOST_SENSORS = 5
_NOT_READ = math.nan


class DeadtimeParameters(NamedTuple):
    """The library's process dead times of one channel.

    Offsets in s, gradients in s/keV, rate offsets in s/Hz, rate gradients in s/Hz/keV.
    """

    flags: DeadtimeFlag
    all_event_offset: float
    all_event_gradient: float
    all_event_rate_offset: float
    all_event_rate_gradient: float
    in_window_offset: float
    in_window_gradient: float
    in_window_rate_offset: float
    in_window_rate_gradient: float


class Identity(LibraryCalls):
    """Properties of the system that do not change while it is open, and what its channels were calibrated with."""

    @property
    def library_name(self) -> str:
        """Path of the library, or "emulator"."""
        return self._lib.library_name

    @property
    def simulated(self) -> bool:
        """Whether an emulator answers instead of hardware."""
        return self._lib.simulated

    @cached_property
    def channels(self) -> int:
        """Number of channels."""
        return self._call("xsp3_get_num_chan")

    @cached_property
    def cards(self) -> int:
        """Number of cards."""
        return self._call("xsp3_get_num_cards")

    @cached_property
    def generation(self) -> Generation:
        """Hardware generation of card 0."""
        return Generation(self._call("xsp3_get_generation", 0))

    @cached_property
    def is_mark2(self) -> bool:
        """Whether this is an Xspress 3X Mk2, which reports itself as a Mini; False where the library cannot say."""
        return self._lib.has("xsp3_is_xsp3m_plus") and self._call("xsp3_is_xsp3m_plus") == 1

    @property
    def model(self) -> str:
        """Name of the product."""
        names = {Generation.mini: "Xspress3 Mini", Generation.xspress4: "Xspress4"}
        return "Xspress3X Mk2" if self.is_mark2 else names.get(self.generation, "Xspress3")

    @property
    def revision(self) -> int:
        """Firmware revision word: detector in bits 31..24, major 23..12, minor 11..0. Asked anew each time."""
        return self._call("xsp3_get_revision")

    @property
    def firmware(self) -> str:
        """Firmware revision as "major.minor"."""
        revision = self.revision
        return f"{revision >> 12 & 0xFFF}.{revision & 0xFFF}"

    @cached_property
    def has_itfg(self) -> bool:
        """Whether card 0 has an internal time frame generator."""
        return self._call("xsp3_has_itfg", 0) > 0

    def clock_period(self, card: int = 0) -> float:
        """Duration of a clock tick in seconds.

        Libraries that cannot say are older than any hardware with another clock than the Xspress3's 80 MHz.
        """
        if not self._lib.has("xsp3_get_clock_period"):
            return XSPRESS3_CLOCK_PERIOD
        return float(self._call("xsp3_get_clock_period", card))

    def temperatures(self) -> list[float]:
        """Temperatures of the ADC boards' sensors, card after card, in degrees Celsius."""
        found: list[float] = []
        for card in range(self.cards):
            sensors = ffi.new("float[]", [_NOT_READ] * _MOST_SENSORS)
            self._call("xsp3_i2c_read_adc_temp", card, sensors)
            found += [value for value in sensors if not math.isnan(value)]
        return found

    def deadtime_parameters(self, channel: int) -> DeadtimeParameters:
        """Return the process dead times of a channel; rate terms are 0 where the library is older than they are."""
        flags = ffi.new("int *")
        terms = [ffi.new("double *") for _ in range(8)]
        if self._lib.has("xsp3_getDeadtimeCorrectionParameters2"):
            self._call("xsp3_getDeadtimeCorrectionParameters2", channel, flags, *terms)
        else:  # gradient, offset, offset, gradient: this function's own order
            plain = (terms[1], terms[0], terms[4], terms[5])
            self._call("xsp3_getDeadtimeCorrectionParameters", channel, flags, *plain)
        return DeadtimeParameters(DeadtimeFlag(flags[0]), *(term[0] for term in terms))

    def trigger_b(self, channel: int) -> dict[str, int]:
        """Return the trigger-B settings of a channel, by their names in the library's structure."""
        settings = ffi.new("Xspress3_TriggerB *")
        self._call("xsp3_get_trigger_b", channel, settings)
        return {name: getattr(settings, name) for name, _field in ffi.typeof("Xspress3_TriggerB").fields}

    def event_width(self, channel: int) -> int:
        """Clock ticks for which an event blocks the channel; one less than what it is dead for."""
        settings = self.trigger_b(channel)
        return settings["event_time"] - (3 if settings["enb_variable_width"] else 0)
