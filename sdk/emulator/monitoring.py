"""Emulated library functions that watch the boxes: temperatures, voltages, fans, and the log of them."""

import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from xsp3ioc.sdk.constants import Status
from xsp3ioc.sdk.emulator.arguments import array_at, check_bits, check_one_card, check_part, required, required_text
from xsp3ioc.sdk.emulator.calls import (
    CANNOT_OPEN_FILE,
    ERROR,
    OK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.electronics import FAN_WORDS
from xsp3ioc.sdk.emulator.system import System
from xsp3ioc.sdk.emulator.system_log import SystemLog

_COOLEST = 38.5  # degrees Celsius of card 0's first sensor
_SENSORS = {"xspress4": 5}
_USUAL_SENSORS = 4
_VOLTAGES = (1000, 1800, 1000, 1000, 1800, 1500, 1000, 1800, 1000)  # mV, by XSP3_XADC_* from 2 on
_XADC_CHANNELS = 11
_ZYNQ_TEMPERATURE, _VIRTEX_TEMPERATURE = 0, 1
_VIRTEX = {1, 8, 9, 10}

_FAN_TEMPERATURES = range(2, 6)
_FAN_SET_POINT, _FAN_PROPORTIONAL, _FAN_NOW, _FAN_LOG = 7, 8, 10, 11
_FAN_MEASURED = {*_FAN_TEMPERATURES, _FAN_NOW, _FAN_LOG}
_FAN_MOST = 255

_NEW_FILE, _KEEP_FILES, _NO_ADC = 1, 2, 0x10
_PERIOD = 10
_LONGEST = 40 * 86400


class MonitoringFunctions(EmulatedCalls):
    """Temperatures, voltages, fans and the system log."""

    def temperature(self, card: int, sensor: int = 0) -> float:
        """Return the temperature of an ADC board's sensor in degrees Celsius."""
        warmer = 0.0 if self.incidents is None else self.incidents.warmth(card)
        return _COOLEST + 0.25 * sensor + 0.5 * card + warmer

    @emulated
    def xsp3_i2c_read_adc_temp(self, path: int, card: int, temperatures: Any) -> int:
        """Read the sensors of the ADC boards, four per card and five on Xspress4."""
        system = self.system(path)
        cards = check_card(system, card)
        required(temp=temperatures)
        sensors = _sensors(system)
        found = [[self.temperature(number, sensor) for sensor in range(sensors)] for number in cards]
        array_at(temperatures, np.float32, len(cards), sensors)[:] = found
        return OK

    @emulated
    def xsp3_i2c_read_fem_temp(self, path: int, card: int, temperatures: Any) -> int:
        """Read board and FPGA of the front-end module, which only Xspress3 has."""
        system = self.system(path)
        cards = check_card(system, card)
        if system.settings.product != "xspress3":
            raise Refusal(ERROR, f"{system.settings.product} has no front-end module with sensors, only xspress3")
        required(temp=temperatures)
        found = [(self.temperature(number) + 4, self.temperature(number) + 17) for number in cards]
        array_at(temperatures, np.float32, len(cards), 2)[:] = found
        return OK

    @emulated
    def xsp3_i2c_read_mid_plane_temp(self, path: int, temperatures: Any) -> int:
        """Read the three sensors of an Xspress4's mid-plane."""
        system = self.system(path)
        if system.settings.product != "xspress4":
            raise Refusal(ERROR, f"{system.settings.product} has no mid-plane with sensors, only xspress4")
        required(temp=temperatures)
        array_at(temperatures, np.float32, 3)[:] = [self.temperature(0) - 6 + 0.5 * sensor for sensor in range(3)]
        return OK

    @emulated
    def xsp3_i2c_set_adc_temp_limit(self, path: int, card: int, limit: int) -> int:
        """Set the temperature in degrees Celsius at which a card switches itself off."""
        system = self.system(path)
        check_range("critTemp", limit, 0, 125)
        for number in check_card(system, card):
            system.electronics.cards[number].temperature_limit = limit
        return OK

    @emulated
    def xsp3_read_xadc(self, path: int, card: int, first: int, number: int, data: Any) -> int:
        """Read temperatures in milli-degC and voltages in mV; those of a Virtex-7 are 0 where there is none."""
        system = self.system(path)
        check_one_card(system, card)
        check_part("first", first, number, _XADC_CHANNELS)
        required(data=data)
        array_at(data, np.uint32, number)[:] = self.xadc(system, card)[first : first + number]
        return OK

    def xadc(self, system: System, card: int) -> list[int]:
        """Return what the FPGAs' own monitor says, by XSP3_XADC_*: milli-degC and mV."""
        hot = round(1000 * (self.temperature(card) + 12))
        found = [hot, hot + 3000, *_VOLTAGES]
        with_virtex = system.settings.product == "xspress4"
        return [value if with_virtex or index not in _VIRTEX else 0 for index, value in enumerate(found)]

    @emulated
    def xsp3_write_fan_cont(self, path: int, card: int, offset: int, size: int, value: Any) -> int:
        """Write words of the fan controller, but for what it measures."""
        system = self.system(path)
        check_one_card(system, card)
        check_part("offset", offset, size, FAN_WORDS)
        required(value=value)
        measured = sorted(_FAN_MEASURED.intersection(range(offset, offset + size)))
        if measured:
            raise Refusal(ERROR, f"offset {measured[0]} of the fan controller is measured, and cannot be written")
        with system.lock:
            system.electronics.cards[card].fan[offset : offset + size] = array_at(value, np.uint32, size).tolist()
        return OK

    @emulated
    def xsp3_read_fan_cont(self, path: int, card: int, offset: int, size: int, value: Any) -> int:
        """Read words of the fan controller."""
        system = self.system(path)
        check_one_card(system, card)
        check_part("offset", offset, size, FAN_WORDS)
        required(value=value)
        array_at(value, np.uint32, size)[:] = self._fan(system, card)[offset : offset + size]
        return OK

    def _fan(self, system: System, card: int) -> list[int]:
        """Work the controller out: four temperatures in half degrees, and how fast the fan turns, up to 255."""
        words = list(system.electronics.cards[card].fan)
        for sensor, word in enumerate(_FAN_TEMPERATURES):
            words[word] = round(2 * self.temperature(card, sensor))
        above = max(words[word] for word in _FAN_TEMPERATURES) - words[_FAN_SET_POINT]
        mode, start, most = words[0], words[1], words[6]
        speed = min(max(start + above * words[_FAN_PROPORTIONAL], start), most, _FAN_MOST)
        words[_FAN_NOW] = words[_FAN_LOG] = speed if mode else 0
        return words

    @emulated
    def xsp3_sys_log_start(self, path: int, name: Any, period: int, most: int, flags: int) -> int:
        """Begin to write temperatures and voltages to a file, every `period` seconds (0: ten).

        `most` lines, 0 for as many as 40 days take. A log that runs ends first.
        """
        system = self.system(path)
        file = Path(required_text("fname", name))
        check_range("period", period, 0, _LONGEST)
        check_range("max_count", most, 0, 0x7FFFFFFF)
        check_bits("flags", flags, _NEW_FILE | _KEEP_FILES | _NO_ADC)
        seconds = period or _PERIOD
        log = self._new_log(system, file, seconds, most or math.ceil(_LONGEST / seconds), not flags & _NO_ADC)
        self._end_log(system)
        try:
            log.begin(new_file=bool(flags & _NEW_FILE), keep_files=bool(flags & _KEEP_FILES))
        except FileExistsError as error:
            raise Refusal(Status.file_rename_failed, f"cannot keep the old {file}: {error.strerror}") from error
        except OSError as error:
            raise Refusal(CANNOT_OPEN_FILE, f"cannot open {file}: {error.strerror}") from error
        system.electronics.log = log
        return OK

    def _new_log(self, system: System, file: Path, seconds: float, most: int, with_adc: bool) -> SystemLog:
        sensors = _sensors(system) if with_adc else 0
        heading = [f"card {card} ADC {sensor} (C)" for card in range(system.cards) for sensor in range(sensors)]
        heading += [f"card {card} XADC {index}" for card in range(system.cards) for index in range(_XADC_CHANNELS)]

        watched, library = weakref.ref(system), weakref.ref(self)

        def measure() -> list[str] | None:
            """Measure as long as the system is there: a log does not keep it alive."""
            known, functions = watched(), library()
            if known is None or functions is None:
                return None
            cards = range(known.cards)
            words = [f"{functions.temperature(card, sensor):.2f}" for card in cards for sensor in range(sensors)]
            return words + [str(value) for card in cards for value in functions.xadc(known, card)]

        log = SystemLog(file, seconds, most, heading, measure)
        weakref.finalize(system, log.end)
        return log

    @emulated
    def xsp3_sys_log_continue(self, path: int) -> int:
        """Write lines again after a pause."""
        self._log(path).resume()
        return OK

    @emulated
    def xsp3_sys_log_pause(self, path: int) -> int:
        """Write no more lines for the time being."""
        self._log(path).pause()
        return OK

    @emulated
    def xsp3_sys_log_stop(self, path: int) -> int:
        """End the log."""
        self._log(path)
        self._end_log(self.system(path))
        return OK

    def _log(self, path: int) -> SystemLog:
        log = self.system(path).electronics.log
        if log is None:
            raise Refusal(Status.log_file_missing, "no system log has been started")
        return log

    @staticmethod
    def _end_log(system: System) -> None:
        log, system.electronics.log = system.electronics.log, None
        if log is not None:
            log.stop()


def _sensors(system: System) -> int:
    return _SENSORS.get(system.settings.product, _USUAL_SENSORS)
