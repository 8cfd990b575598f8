"""Emulated library functions that connect: configuration, identity, clocks."""

import ipaddress
import re
from typing import Any, NamedTuple

from xsp3ioc.sdk.constants import BINS, ClockSource, Generation
from xsp3ioc.sdk.emulator.arguments import check_bits, check_one_card, required, text_of
from xsp3ioc.sdk.emulator.calls import (
    DEVICE_NOT_FOUND,
    ERROR,
    FILE_READ_FAILED,
    ILLEGAL_CHANNEL,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.electronics import ClockChoice
from xsp3ioc.sdk.emulator.leaves import leaf_path
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.system import System

_MOST_CARDS = 16
_MOST_FRAMES = 1 << 20
_MOST_CARD_INDEX = 62
_MAC = re.compile(r"[0-9a-f]{1,2}([.:][0-9a-f]{1,2}){5}", re.IGNORECASE)
_CLOCK_FLAGS = 0x4003FFFF
_INIT_FLAGS = 0xF0001
_READOUT_MODES = 0x107

_XSPRESS3_CLOCKS = {ClockSource.internal, ClockSource.crystal, ClockSource.external}
_BOARD_CLOCKS = {ClockSource.mini_cdcm61004, ClockSource.mini_lmk61e2}
_MIDPLANE_CLOCKS = {ClockSource.midplane_cdcm61004, ClockSource.midplane_lmk61e2}
_CLOCKS = {
    "xspress3": _XSPRESS3_CLOCKS,
    "mini": _BOARD_CLOCKS,
    "xspress4": _BOARD_CLOCKS | _MIDPLANE_CLOCKS,
    "x3x2": _BOARD_CLOCKS | _MIDPLANE_CLOCKS,
}


class Configuration(NamedTuple):
    """What a system was asked for; the same again is the same system."""

    cards: int
    frames: int
    base_ip: str
    base_port: int
    base_mac: str
    channels: int
    card_index: int


class ConnectFunctions(EmulatedCalls):
    """Connection, identity and clocks."""

    _configuration: Configuration | None = None
    _left: System | None = None
    """What the last close left in the electronics."""

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
        """Connect to the emulated system.

        There is one system, so its handle is always 0: also when it is open and is initialised again, with the same
        parameters or with others. A second handle would be one that clients with a hard-coded 0 never use.
        """
        wanted = self._wanted(cards, frames, base_ip, base_port, base_mac, channels, create_module, debug, card_index)
        return self._connect(wanted)

    @emulated
    def xsp3_config_init(
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
        init: int,
        readout: int,
        dummy: int,
    ) -> int:
        """Connect; without `init` the registers, and a run, stay as they are."""
        wanted = self._wanted(cards, frames, base_ip, base_port, base_mac, channels, create_module, debug, card_index)
        check_bits("do_init", init, _INIT_FLAGS)
        check_bits("xsp3m_readout", readout, _READOUT_MODES)
        check_range("dummy_system", dummy, 0, 4)
        if dummy:
            raise Refusal(ERROR, f"dummy_system = {dummy} is not emulated: this is an emulated system already, use 0")
        if not init & 1:
            found = self._systems.get(0) or self._left
            if found is not None:
                if wanted != self._configuration:
                    raise Refusal(RANGE_CHECK, f"the system is configured otherwise: {self._configuration}")
                self._systems[0] = found
                return 0
        self._connect(wanted)
        for card in self._systems[0].electronics.cards:
            card.readout_mode = readout
        return 0

    def _wanted(
        self,
        cards: int,
        frames: int,
        base_ip: Any,
        base_port: int,
        base_mac: Any,
        channels: int,
        create_module: int,
        debug: int,
        card_index: int,
    ) -> Configuration:
        settings = self.settings
        check_range("ncards", cards, 1, _MOST_CARDS)
        check_range("num_tf", frames, 1, _MOST_FRAMES)
        check_range("card_index", card_index, -1, _MOST_CARD_INDEX)
        check_range("createmodule", create_module, -1, 1)
        check_range("debug", debug, -1, 2)
        if base_port != -1:
            check_range("basePort", base_port, 1, 65535)
        ip, mac = text_of(base_ip), text_of(base_mac)
        _check_addresses(ip, mac)
        if channels != -1:
            check_range("nchan", channels, 1, cards * settings.family.channels_per_card)
        first = max(card_index, 0)
        if first + cards > settings.cards:
            raise Refusal(DEVICE_NOT_FOUND, f"card {settings.cards} does not answer: {settings.cards} emulated")
        per_card = settings.channels_per_card
        available = max(min(settings.channels - first * per_card, cards * per_card), 0)
        if channels == -1:
            channels = available
        check_range("nchan", channels, 1, available)
        return Configuration(cards, frames, ip, base_port, mac, channels, first)

    def _connect(self, wanted: Configuration) -> int:
        settings = self.settings
        try:
            first = wanted.card_index * settings.channels_per_card
            used = settings.narrowed(wanted.channels, wanted.cards, first)
            system = System(used, wanted.cards, wanted.frames, self._clock, self.recording, first)
        except (OSError, ValueError) as error:
            raise Refusal(FILE_READ_FAILED, f"spectrum {settings.spectrum}: {error}") from error
        before = self._systems.get(0)
        if before is not None:
            _shut(before)
        self._systems[0] = system
        self._configuration = wanted
        return 0

    @emulated
    def xsp3_close(self, path: int) -> int:
        """End the run and forget the handle."""
        system = self.system(path)
        _shut(system)
        self._left = system
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
        """Hardware generation of a card; XspressGenError (-1) for one that is not there."""
        try:
            check_one_card(self.system(path), card)
        except Refusal as refusal:
            raise Refusal(ERROR, str(refusal)) from None
        return int(self.settings.family.generation)

    @emulated
    def xsp3_get_num_chan(self, path: int) -> int:
        """Channels configured."""
        return len(self.part(path).channels)

    @emulated
    def xsp3_get_max_num_chan(self, path: int) -> int:
        """Channels the emulated system has, or the card."""
        part = self.part(path)
        return self.settings.channels if part.channels == range(part.system.channels) else len(part.channels)

    @emulated
    def xsp3_get_num_cards(self, path: int) -> int:
        """Cards configured."""
        return len(self.part(path).cards)

    @emulated
    def xsp3_get_chans_per_card(self, path: int) -> int:
        """Channels on a card."""
        self.system(path)
        return self.settings.channels_per_card

    @emulated
    def xsp3_get_num_chan_used(self, path: int, card: int) -> int:
        """Channels configured on one card."""
        system = self.system(path)
        first = check_one_card(system, card) * self.settings.channels_per_card
        return max(min(system.channels - first, self.settings.channels_per_card), 0)

    @emulated
    def xsp3_resolve_path(self, path: int, channel: int, leaf: Any, index: Any) -> int:
        """Say on which card's handle a channel is; a single card is its own leaf, others have handles from 1 on."""
        part = self.part(path)
        required(thisPath=leaf, chanIdx=index)
        if not 0 <= channel < len(part.channels):
            raise Refusal(ILLEGAL_CHANNEL, f"channel {channel} is outside 0..{len(part.channels) - 1}")
        number = part.channels[channel]
        card = next(card for card in part.cards if number in part.system.channels_of(card))
        leaf[0] = leaf_path(0, part.system.cards, card)
        index[0] = number - part.system.channels_of(card)[0]
        return OK

    @emulated
    def xsp3_get_bins_per_mca(self, path: int) -> int:
        """Return 4096, whatever the format."""
        self.system(path)
        return BINS

    @emulated
    def xsp3_get_clock_period(self, path: int, card: int) -> float:
        """Return the processing clock period in seconds."""
        check_one_card(self.system(path), card)
        return self.settings.family.clock_period

    @emulated
    def xsp3_has_itfg(self, path: int, card: int) -> int:
        """Every emulated card has the generator."""
        check_one_card(self.system(path), card)
        return 1

    @emulated
    def xsp3_is_xsp3m_plus(self, path: int) -> int:
        """1 for the X3X2."""
        self.system(path)
        return int(self.settings.family.is_mark2)

    @emulated
    def xsp3_clocks_setup(self, path: int, card: int, source: int, flags: int, test_pulse: int) -> int:
        """Select one of the product's clocks; 0 on Xspress3, else the frequency in Hz."""
        system = self.system(path)
        cards = check_card(system, card)
        allowed = _CLOCKS[system.settings.product]
        if source not in allowed:
            names = ", ".join(f"{clock:#x}" for clock in sorted(allowed))
            raise Refusal(RANGE_CHECK, f"clk_src = {source:#x} is no clock of {system.settings.product}: {names}")
        check_bits("flags", flags, _CLOCK_FLAGS)
        check_range("tp_type", test_pulse, 0, 0xFF)
        with system.lock:
            for number in cards:
                system.electronics.cards[number].clock = ClockChoice(source, flags, test_pulse)
        return clock_answer(system.settings)

    @emulated
    def xsp3_measure_clock_frequency(self, path: int, card: int) -> int:
        """Return the processing clock's frequency in Hz, on every product."""
        system = self.system(path)
        check_one_card(system, card)
        return round(1 / system.settings.family.clock_period)


def clock_answer(settings: EmulatorSettings) -> int:
    """Return what the clock set-up answers: 0 on Xspress3, else the measured frequency in Hz."""
    family = settings.family
    return 0 if family.generation <= Generation.xspress3_v7 else round(1 / family.clock_period)


def _shut(system: System) -> None:
    system.stop()
    log, system.electronics.log = system.electronics.log, None
    if log is not None:
        log.stop()


def _check_addresses(ip: str, mac: str) -> None:
    if ip:
        try:
            ipaddress.IPv4Address(ip)
        except ValueError:
            raise Refusal(RANGE_CHECK, f"baseIPaddress = {ip!r} is no dotted quad such as 192.168.0.1") from None
    if mac and not _MAC.fullmatch(mac):
        raise Refusal(RANGE_CHECK, f"baseMACaddress = {mac!r} is not six bytes such as 02.00.00.00.00.00")
