"""Emulated library functions that connect and set up: identity, clocks, settings, format, windows, timing."""

from pathlib import Path
from typing import Any

import msgspec

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS, GapMode, ItfgTrigger, RunFlag
from xsp3ioc.sdk.emulated_system import Itfg, System, clock_source_frequency, read_settings
from xsp3ioc.sdk.emulator_calls import (
    CANNOT_OPEN_FILE,
    DEVICE_NOT_FOUND,
    ERROR,
    FILE_READ_FAILED,
    FILE_WRITE_FAILED,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_channel,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.pool import Regions

_MAX_FRAMES = 1 << 20
_MAX_ITFG_FRAMES = 0xFFFFFF
_OWNED_TIMING_BITS = 1 << 5 | 1 << 6 | 0xF << 8 | 1 << 29 | 1 << 30 | 1 << 31  # start and stop set these


class ConnectFunctions(EmulatedCalls):
    """Connection, identity, clocks and settings directories."""

    @emulated
    def xsp3_config(
        self,
        cards: int,
        frames: int,
        base_ip: Any,
        base_port: int,
        base_mac: Any,
        channels: int,
        create_module: int,
        module_name: Any,
        debug: int,
        card_index: int,
    ) -> int:
        """Connect; a second call with the system open initialises it again."""
        settings = self.settings
        check_range("ncards", cards, 1, 16)
        if cards > settings.cards:
            raise Refusal(DEVICE_NOT_FOUND, f"card {settings.cards} does not answer: {settings.cards} emulated")
        check_range("num_tf", frames, 1, _MAX_FRAMES)
        available = min(settings.channels, cards * settings.channels_per_card)
        if channels != -1:
            available = check_range("nchan", channels, 1, available)
        rates = tuple(settings.rates[:available].tolist())
        used = msgspec.structs.replace(settings, channels=available, cards=cards, count_rate=rates)
        try:
            self._systems[0] = System(used, cards, frames, self._clock)
        except (OSError, ValueError) as error:
            raise Refusal(FILE_READ_FAILED, f"spectrum {settings.spectrum}: {error}") from error
        return 0

    @emulated
    def xsp3_close(self, path: int) -> int:
        """End the run and forget the handle."""
        self.system(path).stop()
        del self._systems[path]
        return OK

    def xsp3_get_error_message(self) -> Any:
        """The last failure's text, in one buffer of 1024 bytes."""
        return self._message

    @emulated
    def xsp3_get_revision(self, path: int) -> int:
        """Firmware revision word."""
        return self.system(path).settings.family.revision

    @emulated
    def xsp3_get_generation(self, path: int, card: int) -> int:
        """Hardware generation of a card."""
        check_card(self.system(path), card)
        return int(self.settings.family.generation)

    @emulated
    def xsp3_get_num_chan(self, path: int) -> int:
        """Channels configured."""
        return self.system(path).channels

    @emulated
    def xsp3_get_max_num_chan(self, path: int) -> int:
        """Channels the emulated system has."""
        self.system(path)
        return self.settings.channels

    @emulated
    def xsp3_get_num_cards(self, path: int) -> int:
        """Cards configured."""
        return self.system(path).cards

    @emulated
    def xsp3_get_chans_per_card(self, path: int) -> int:
        """Channels on a card."""
        self.system(path)
        return self.settings.channels_per_card

    @emulated
    def xsp3_get_bins_per_mca(self, path: int) -> int:
        """Always 4096, whatever the format."""
        self.system(path)
        return BINS

    @emulated
    def xsp3_get_clock_period(self, path: int, card: int) -> float:
        """Processing clock period in seconds."""
        check_card(self.system(path), card)
        return self.settings.family.clock_period

    @emulated
    def xsp3_has_itfg(self, path: int, card: int) -> int:
        """Every emulated card has the generator."""
        check_card(self.system(path), card)
        return 1

    @emulated
    def xsp3_is_xsp3m_plus(self, path: int) -> int:
        """1 for the X3X2."""
        self.system(path)
        return int(self.settings.family.is_mark2)

    @emulated
    def xsp3_clocks_setup(self, path: int, card: int, source: int, flags: int, test_pulse: int) -> int:
        """Accept any clock; 0 on Xspress3, else the frequency in Hz."""
        check_card(self.system(path), card)
        return clock_source_frequency(self.settings)

    @emulated
    def xsp3_set_sync_mode(self, path: int, mode: int, global_reset: int, card: int) -> int:
        """Accept any cabling."""
        self.system(path)
        return OK

    @emulated
    def xsp3_restore_settings(self, path: int, directory: Any, force: int) -> int:
        """Load what `xsp3_save_settings` wrote; another major revision only when forced."""
        system = self.system(path)
        name = _text(directory)
        try:
            saved = read_settings(Path(name))
        except OSError as error:
            raise Refusal(CANNOT_OPEN_FILE, f"cannot open settings in {name}: {error.strerror}") from error
        except ValueError as error:
            raise Refusal(FILE_READ_FAILED, f"cannot read settings in {name}: {error}") from error
        revision = system.settings.family.revision
        if saved.revision >> 12 != revision >> 12 and not force:
            raise Refusal(ERROR, f"settings in {name} are for revision {saved.revision:#x}, this is {revision:#x}")
        system.restore(saved)
        return OK

    @emulated
    def xsp3_save_settings(self, path: int, directory: Any) -> int:
        """Write the settings into an existing directory."""
        name = _text(directory)
        system = self.system(path)
        if not Path(name).is_dir():
            raise Refusal(CANNOT_OPEN_FILE, f"cannot open {name}: no such directory")
        try:
            system.save(Path(name))
        except OSError as error:
            raise Refusal(FILE_WRITE_FAILED, f"cannot write settings in {name}: {error.strerror}") from error
        return OK

    @emulated
    def xsp3_i2c_read_adc_temp(self, path: int, card: int, temperatures: Any) -> int:
        """Four sensors per card, a few tenths of a degree apart."""
        for index, number in enumerate(check_card(self.system(path), card)):
            for sensor in range(4):
                temperatures[4 * index + sensor] = 38.5 + 0.25 * sensor + 0.5 * number
        return OK


class FormatFunctions(EmulatedCalls):
    """Format, windows, thresholds and per-channel settings."""

    @emulated
    def xsp3_set_run_flags(self, path: int, flags: int) -> int:
        """Choose the streams; takes effect with the next start."""
        self.system(path).run_flags = RunFlag(flags)
        return OK

    @emulated
    def xsp3_get_run_flags(self, path: int) -> int:
        """The streams chosen."""
        return int(self.system(path).run_flags)

    @emulated
    def xsp3_format_run(
        self, path: int, channel: int, aux1: int, threshold: int, aux2: int, flags: int, aux2_mode: int, bits: int
    ) -> int:
        """Set the bins per spectrum, of all channels whichever is named; no auxiliary data."""
        system = self.system(path)
        check_channel(system, channel)
        check_range("nbits_eng", bits, 1, 12)
        if aux1 or aux2 or aux2_mode:
            raise Refusal(ERROR, "xsp3_format_run: auxiliary data are not emulated")
        with system.lock:
            if system.bits != bits:
                system.stop()
                system.run = None  # the memory is divided anew
                system.bits = bits
        return system.ring

    @emulated
    def xsp3_get_num_tf(self, path: int) -> int:
        """Frames that fit."""
        return self.system(path).ring

    @emulated
    def xsp3_set_window(self, path: int, channel: int, window: int, low: int, high: int) -> int:
        """Set the inclusive limits of an in-window scaler, in raw bins."""
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("win", window, 0, 1)
        check_range("low", low, 0, high)
        check_range("high", high, 0, BINS - 1)
        with system.lock:
            windows = system.regions.windows.copy()
            windows[list(channels), window] = low, high
            system.set_regions(Regions(system.regions.threshold, windows))
        return OK

    @emulated
    def xsp3_get_window(self, path: int, channel: int, window: int, low: Any, high: Any) -> int:
        """Read the limits of an in-window scaler."""
        system = self.system(path)
        check_one_channel(system, channel)
        check_range("win", window, 0, 1)
        low[0], high[0] = system.regions.windows[channel, window].tolist()
        return OK

    @emulated
    def xsp3_set_good_thres(self, path: int, channel: int, threshold: int) -> int:
        """Set the lowest bin that AllGood counts."""
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("good_thres", threshold, 0, BINS - 1)
        with system.lock:
            thresholds = system.regions.threshold.copy()
            thresholds[list(channels)] = threshold
            system.set_regions(Regions(thresholds, system.regions.windows))
        return OK

    @emulated
    def xsp3_get_good_thres(self, path: int, channel: int, threshold: Any) -> int:
        """Read the lowest bin that AllGood counts."""
        system = self.system(path)
        threshold[0] = int(system.regions.threshold[check_one_channel(system, channel)])
        return OK

    @emulated
    def xsp3_get_trigger_b(self, path: int, channel: int, trigger: Any) -> int:
        """Read the trigger-B settings; only the event width and some thresholds are not 0."""
        system = self.system(path)
        for name, value in system.trigger_b[check_one_channel(system, channel)].items():
            setattr(trigger, name, value)
        return OK

    @emulated
    def xsp3_getDeadtimeCorrectionParameters2(  # noqa: N802
        self, path: int, channel: int, flags: Any, *terms: Any
    ) -> int:
        """Read the process dead times: offset, gradient, rate offset, rate gradient, for AllEvent and InWindow."""
        system = self.system(path)
        flags[0] = system.deadtime_flags[check_one_channel(system, channel)]
        for pointer, value in zip(terms, system.deadtime[channel], strict=True):
            pointer[0] = value
        return OK

    @emulated
    def xsp3_getDeadtimeCorrectionParameters(  # noqa: N802
        self,
        path: int,
        channel: int,
        flags: Any,
        all_event_gradient: Any,
        all_event_offset: Any,
        in_window_offset: Any,
        in_window_gradient: Any,
    ) -> int:
        """Read the process dead times without rate terms, in this function's own order."""
        system = self.system(path)
        flags[0] = system.deadtime_flags[check_one_channel(system, channel)]
        all_event_offset[0], all_event_gradient[0] = system.deadtime[channel][0:2]
        in_window_offset[0], in_window_gradient[0] = system.deadtime[channel][4:6]
        return OK


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
            raise Refusal(RANGE_CHECK, f"trig_mode = {trigger} is not one of {', '.join(str(int(t)) for t in ItfgTrigger)}")
        check_range("gap_mode", gap, 0, 3)
        if card <= 0:
            system.itfg = Itfg(frames, ticks, ItfgTrigger(trigger), GapMode(gap))
        return OK


def _text(pointer: Any) -> str:
    """A C string argument, empty for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode(errors="replace")
