"""Emulated library functions that connect: identity, clocks, settings directories, temperatures."""

from pathlib import Path
from typing import Any

import msgspec

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS
from xsp3ioc.sdk.emulator.calls import (
    CANNOT_OPEN_FILE,
    DEVICE_NOT_FOUND,
    ERROR,
    FILE_READ_FAILED,
    FILE_WRITE_FAILED,
    OK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.system import System, clock_source_frequency, read_settings

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
        """Return the last failure's text, in one buffer of 1024 bytes."""
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
        """Return 4096, whatever the format."""
        self.system(path)
        return BINS

    @emulated
    def xsp3_get_clock_period(self, path: int, card: int) -> float:
        """Return the processing clock period in seconds."""
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


def _text(pointer: Any) -> str:
    """Return a C string argument, empty for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode(errors="replace")
