"""Settings directories in the emulator's own format: what is saved, and the library functions that do it."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Region
from xsp3ioc.sdk.constants import BINS, ClockFlag, ClockSource, Status
from xsp3ioc.sdk.emulator.arguments import required_text
from xsp3ioc.sdk.emulator.calls import (
    CANNOT_OPEN_FILE,
    ERROR,
    FILE_READ_FAILED,
    FILE_WRITE_FAILED,
    OK,
    EmulatedCalls,
    Refusal,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.electronics import FAN_WORDS, MARKER_CHANNELS, REGISTERS, ClockChoice, Ringing
from xsp3ioc.sdk.emulator.frame_source import Itfg
from xsp3ioc.sdk.emulator.layout import region_fault
from xsp3ioc.sdk.emulator.markers import TRIGGER_INPUTS
from xsp3ioc.sdk.emulator.pool import Regions
from xsp3ioc.sdk.emulator.system import Sync, System

SETTINGS_FILE = "xsp3ioc-emulator.json"
CLOCK_FILE = "xsp3ioc-emulator-clock.json"

_DEFAULT_CLOCK = ClockChoice(ClockSource.crystal, ClockFlag.master | ClockFlag.no_dither, 0)
_WORD = 0xFFFFFFFF
_MOST_ITFG_FRAMES = 0xFFFFFF
_LINES = 0xF
_MOST_TRIGGER = 0x7FFFFFFF
_MOST_LAYOUT = 0x3FFFFFFF
_DEADTIME_TERMS = 8


class ChannelSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What a settings directory keeps per channel."""

    threshold: int
    windows: tuple[tuple[int, int], ...]
    trigger_b: dict[str, int]
    deadtime: list[float]
    deadtime_flags: int = 0
    control: int = 0
    control2: int = 0
    ringing: Ringing = Ringing()
    regions: tuple[Region, ...] = ()
    gain: float = 1.0


class CardSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What a settings directory keeps per card."""

    time_a: int = 0
    time_fixed: int = 0
    memory_layout: int = 0
    temperature_limit: int = 85
    fan: list[int] = []
    timestamp_sync: int = 0
    itfg: Itfg = Itfg()
    trigger_inputs: tuple[int, int, int, int] = TRIGGER_INPUTS
    input_termination: int = 0
    output_termination: int = 0


class SavedSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator's own settings file; format and streams are not part of it, the user's program sets them."""

    revision: int
    channels: list[ChannelSettings]
    cards: list[CardSettings] = []
    markers: list[list[int]] = []
    energy: float = 0.0
    disable_threading: int = 0
    sync: Sync = Sync()


class SavedClocks(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator's own clock file: what each card was set up with, null for one that was not."""

    cards: list[ClockChoice | None]


class SavedFunctions(EmulatedCalls):
    """Settings directories."""

    @emulated
    def xsp3_restore_settings(self, path: int, directory: Any, force: int) -> int:
        """Load what `xsp3_save_settings` wrote, but for the clock; another major revision only when forced."""
        system = self.system(path)
        _restore(system, Path(required_text("dir_name", directory)), force)
        return OK

    @emulated
    def xsp3_restore_settings_and_clock(self, path: int, directory: Any, force: int) -> int:
        """Load settings and set the clocks up; without a clock file those of Xspress3 get their default."""
        system = self.system(path)
        name = Path(required_text("dir_name", directory))
        optional = system.settings.product == "xspress3" and not (name / CLOCK_FILE).exists()
        clocks = [_DEFAULT_CLOCK] * system.cards if optional else _clocks(name)
        _restore(system, name, force)
        with system.lock:
            for card, clock in zip(system.electronics.cards, clocks, strict=False):
                card.clock = clock
        return OK

    @emulated
    def xsp3_save_settings(self, path: int, directory: Any) -> int:
        """Write the settings into an existing directory, over what is there."""
        system = self.system(path)
        name = Path(required_text("dir_name", directory))
        if not name.is_dir():
            raise Refusal(CANNOT_OPEN_FILE, f"cannot open {name}: no such directory")
        with system.lock:
            clocks = SavedClocks([card.clock for card in system.electronics.cards])
            _write(name / SETTINGS_FILE, msgspec.json.encode(saved_settings(system)))
            _write(name / CLOCK_FILE, msgspec.json.encode(clocks))
        return OK


def saved_settings(system: System) -> SavedSettings:
    """Collect everything that is saved; call with the lock held."""
    electronics = system.electronics
    channels = [
        ChannelSettings(
            threshold=int(system.regions.threshold[channel]),
            windows=tuple((low, high) for low, high in system.regions.windows[channel].tolist()),
            trigger_b=dict(system.trigger_b[channel]),
            deadtime=list(system.deadtime[channel]),
            deadtime_flags=system.deadtime_flags[channel],
            control=registers.control,
            control2=registers.control2,
            ringing=registers.ringing,
            regions=system.layouts.formats[channel].regions,
            gain=system.layouts.formats[channel].gain,
        )
        for channel, registers in enumerate(electronics.channels)
    ]
    cards = [
        CardSettings(
            system.time_a[number],
            system.time_fixed[number],
            card.memory_layout,
            card.temperature_limit,
            list(card.fan),
            card.timestamp_sync,
            system.itfg[number],
            system.trigger_inputs[number],
            system.input_termination[number],
            system.output_termination[number],
        )
        for number, card in enumerate(electronics.cards)
    ]
    return SavedSettings(
        system.settings.family.revision,
        channels,
        cards,
        [list(registers) for registers in electronics.markers],
        electronics.energy,
        electronics.disable_threading,
        system.sync,
    )


def put_back(system: System, saved: SavedSettings) -> None:
    """Take over saved settings, for as many channels and cards as there are on both sides."""
    electronics = system.electronics
    with system.lock:
        threshold, windows = (array.copy() for array in system.regions)
        layouts = system.layouts
        for index, channel in enumerate(saved.channels[: system.channels]):
            threshold[index], windows[index] = channel.threshold, channel.windows
            system.trigger_b[index] |= channel.trigger_b
            system.deadtime[index] = list(channel.deadtime)
            system.deadtime_flags[index] = channel.deadtime_flags
            registers = electronics.channels[index]
            registers.control, registers.control2 = channel.control, channel.control2
            registers.ringing = channel.ringing
            layouts = layouts.replace([index], regions=channel.regions, gain=channel.gain)
        system.set_layouts(layouts)
        system.set_regions(Regions(threshold, windows))
        for number, card in enumerate(saved.cards[: system.cards]):
            system.time_a[number], system.time_fixed[number] = card.time_a, card.time_fixed
            system.itfg[number], system.trigger_inputs[number] = card.itfg, card.trigger_inputs
            system.input_termination[number] = card.input_termination
            system.output_termination[number] = card.output_termination
            kept = electronics.cards[number]
            kept.memory_layout, kept.temperature_limit = card.memory_layout, card.temperature_limit
            kept.fan, kept.timestamp_sync = list(card.fan) or kept.fan, card.timestamp_sync
        if saved.markers:
            electronics.markers = [list(registers) for registers in saved.markers]
        electronics.energy, electronics.disable_threading = saved.energy, saved.disable_threading
        if saved.sync.reset_card < system.cards:
            system.sync = saved.sync


def _restore(system: System, directory: Path, force: int) -> None:
    check_range("force_mismatch", force, 0, 1)
    saved = _read(directory / SETTINGS_FILE, SavedSettings)
    revision = system.settings.family.revision
    if saved.revision >> 12 != revision >> 12 and not force:
        raise Refusal(ERROR, f"settings in {directory} are for revision {saved.revision:#x}, this is {revision:#x}")
    wrong = _what_is_wrong(saved)
    if wrong:
        raise Refusal(FILE_READ_FAILED, f"cannot read settings in {directory}: {wrong}")
    put_back(system, saved)


def _clocks(directory: Path) -> list[ClockChoice | None]:
    clocks: SavedClocks = _read(directory / CLOCK_FILE, SavedClocks)
    return clocks.cards


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise Refusal(CANNOT_OPEN_FILE, f"cannot open settings in {path.parent}: {error.strerror}") from error
        raise Refusal(FILE_READ_FAILED, f"cannot read settings in {path.parent}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(FILE_READ_FAILED, f"cannot read settings in {path.parent}: {path.name}: {error}") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(msgspec.json.format(content))
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise Refusal(FILE_WRITE_FAILED, f"cannot write settings in {path.parent}: {error.strerror}") from error
    try:
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        text = f"cannot rename {unfinished.name} to {path}: {error.strerror}"
        raise Refusal(Status.file_rename_failed, text) from error


def _what_is_wrong(saved: SavedSettings) -> str:
    """Say what a file that can be read holds and no system can have; empty if there is nothing."""
    for number, channel in enumerate(saved.channels):
        wrong = _wrong_in_channel(channel)
        if wrong:
            return f"channel {number}: {wrong}"
    for number, card in enumerate(saved.cards):
        wrong = _wrong_in_card(card)
        if wrong:
            return f"card {number}: {wrong}"
    shape = [len(registers) for registers in saved.markers]
    words = all(0 <= word <= _WORD for registers in saved.markers for word in registers)
    if saved.markers and (shape != [REGISTERS] * MARKER_CHANNELS or not words):
        return f"markers have to be {MARKER_CHANNELS} times {REGISTERS} words"
    if not 0 <= saved.energy < math.inf or not 0 <= saved.disable_threading <= 3 or saved.sync.reset_card < 0:
        return f"energy {saved.energy}, disable_threading {saved.disable_threading} or sync is out of range"
    return ""


def _wrong_in_channel(channel: ChannelSettings) -> str:
    if not 0 <= channel.threshold < BINS:
        return f"threshold {channel.threshold} is outside 0..{BINS - 1}"
    if len(channel.windows) != 2:
        return f"{len(channel.windows)} windows instead of 2"
    for low, high in channel.windows:
        if not 0 <= low <= high < BINS:
            return f"window {low}..{high} is not within 0..{BINS - 1}"
    if not channel.trigger_b.keys() <= {name for name, _ in ffi.typeof("Xspress3_TriggerB").fields}:
        return "trigger_b has unknown fields"
    if not all(0 <= value <= _MOST_TRIGGER for value in channel.trigger_b.values()):
        return f"trigger_b has values outside 0..{_MOST_TRIGGER}"
    finite = all(math.isfinite(term) for term in channel.deadtime)
    if len(channel.deadtime) != _DEADTIME_TERMS or not finite or channel.deadtime_flags & ~3:
        return f"dead-time parameters are {_DEADTIME_TERMS} numbers and flags 0..3"
    if not 0.5 <= channel.gain <= 2:
        return f"gain {channel.gain} is outside 0.5..2"
    if not (0 <= channel.control <= _WORD and 0 <= channel.control2 <= _WORD):
        return "the control registers have 32 bits"
    return region_fault(channel.regions, BINS)


def _wrong_in_card(card: CardSettings) -> str:
    if len(card.fan) not in (0, FAN_WORDS) or not all(0 <= word <= _WORD for word in card.fan):
        return f"fan has to be {FAN_WORDS} words"
    if not (0 <= card.memory_layout <= _MOST_LAYOUT and 0 <= card.temperature_limit <= 125):
        return f"memory_layout {card.memory_layout} or temperature_limit {card.temperature_limit} is out of range"
    if not (0 <= card.time_a <= _WORD and 0 <= card.time_fixed <= _WORD):
        return "the timing registers have 32 bits"
    if not (0 <= card.itfg.frames <= _MOST_ITFG_FRAMES and 1 <= card.itfg.ticks <= _WORD):
        return f"{card.itfg.frames} frames of {card.itfg.ticks} ticks are out of range"
    if not 0 <= card.itfg.marker_frame <= max(card.itfg.marker_period - 1, 0):
        return f"marker_frame {card.itfg.marker_frame} is not within its period"
    if not all(0 <= source <= 3 for source in card.trigger_inputs):
        return "trigger_inputs have to be four of 0..3"
    if not (0 <= card.input_termination <= _LINES and 0 <= card.output_termination <= _LINES):
        return "only four lines can be terminated"
    return ""
