"""Temperatures, voltages, fans, and the library's log of them."""

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.calls import c_array, c_text
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Temperatures
from xsp3ioc.sdk.constants import Generation
from xsp3ioc.sdk.identity import Identity
from xsp3ioc.sdk.options import LogFlag, Xadc

_MOST_SENSORS = 5
_FEM_SENSORS = 2
_MID_PLANE_SENSORS = 3
_NOT_READ = math.nan


class Monitoring(Identity):
    """How warm the electronics are, and what cools them."""

    def temperatures(self) -> list[float]:
        """Temperatures of the ADC boards' sensors, card after card, in degrees Celsius."""
        return [value for card in range(self.cards) for value in self._adc(card)]

    def board_temperatures(self) -> Temperatures:
        """Temperatures of all boards that this product can tell."""
        cards = range(self.cards)
        has_fem = self.generation <= Generation.xspress3_v7
        return Temperatures(
            adc=tuple(self._adc(card) for card in cards),
            fem=tuple(self._sensors("xsp3_i2c_read_fem_temp", _FEM_SENSORS, card) for card in cards if has_fem),
            mid_plane=self._mid_plane() if self.generation is Generation.xspress4 else (),
        )

    def _adc(self, card: int) -> tuple[float, ...]:
        return self._sensors("xsp3_i2c_read_adc_temp", _MOST_SENSORS, card)

    def _mid_plane(self) -> tuple[float, ...]:
        return self._sensors("xsp3_i2c_read_mid_plane_temp", _MID_PLANE_SENSORS)

    def _sensors(self, name: str, most: int, *args: int) -> tuple[float, ...]:
        sensors = ffi.new("float[]", [_NOT_READ] * most)
        self._call(name, *args, sensors)
        return tuple(value for value in sensors if not math.isnan(value))

    def set_temperature_limit(self, limit: int, card: int = -1) -> None:
        """Temperature of the ADC boards, in degrees Celsius, at which they are switched off; card -1: of all."""
        self._call("xsp3_i2c_set_adc_temp_limit", card, limit)

    def monitors(self, card: int = 0) -> dict[Xadc, float]:
        """Ask the FPGAs' own monitor: temperatures in degrees Celsius, supplies in V."""
        found = np.zeros(len(Xadc), np.uint32)
        self._call("xsp3_read_xadc", card, 0, len(found), c_array(found))
        return {number: int(found[number]) / 1000 for number in Xadc}

    def read_fan(self, register: int, words: int = 1, card: int = 0) -> NDArray[np.uint32]:
        """Read registers of the fan controller, from a `FanRegister` on: uint32 (words,)."""
        found = np.zeros(max(words, 1), np.uint32)
        self._call("xsp3_read_fan_cont", card, register, words, c_array(found))
        return found[:words]

    def write_fan(self, register: int, values: Sequence[int], card: int = 0) -> None:
        """Write registers of the fan controller, from a `FanRegister` on; temperatures in half degrees Celsius."""
        words = np.array(values, np.uint32)
        self._call("xsp3_write_fan_cont", card, register, len(words), c_array(words))

    def start_log(
        self, file: str | os.PathLike[str], period: int = 10, count: int = 0, flags: LogFlag = LogFlag.start_new_file
    ) -> None:
        """Let the library log temperatures and voltages every `period` seconds, `count` times (0: for 40 days)."""
        self._call("xsp3_sys_log_start", c_text(file), period, count, int(flags))

    def pause_log(self) -> None:
        """Log nothing until `continue_log`."""
        self._call("xsp3_sys_log_pause")

    def continue_log(self) -> None:
        """Log again after `pause_log`."""
        self._call("xsp3_sys_log_continue")

    def stop_log(self) -> None:
        """End the log."""
        self._call("xsp3_sys_log_stop")
