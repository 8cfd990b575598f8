"""Emulated library functions of playback and scope: what a card's playback memory holds decides what is played."""

import zlib
from pathlib import Path
from typing import Any

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import Status
from xsp3ioc.sdk.emulator.arguments import check_one_card, required, required_text
from xsp3ioc.sdk.emulator.calls import (
    CANNOT_OPEN_FILE,
    FILE_READ_FAILED,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.system import System

_SAMPLE_BYTES = 2
_MOST_STREAMS = 16
_MOST_BYTES = 0x7FFFFFFF
_READ_AT_ONCE = 1 << 20


class PlaybackFunctions(EmulatedCalls):
    """Playback and scope.

    A run with the playback flag shows the frames of a seed that follows from what card 0's memory holds: the same in
    every run, others for another file. The samples themselves are not processed into events.
    """

    @emulated
    def xsp3_playback_load_x3(
        self,
        path: int,
        card: int,
        name: Any,
        sources: Any,
        streams: int,
        digital: int,
        smooth: int,
        higher: int,
        no_retry: int,
        xspress4_digital: int,
        global_reset: int,
    ) -> int:
        """Load a file of 16-bit samples, `streams` at a time; returns the number of samples per stream.

        The other arguments are not looked at: a known client passes what happens to be in their variables.
        """
        system = self.system(path)
        cards = check_card(system, card)
        file = Path(required_text("filename", name))
        required(src=sources)
        check_range("file_streams", streams, 1, _MOST_STREAMS)
        size, checksum = _checksum(file)
        if size == 0 or size % (_SAMPLE_BYTES * streams):
            raise Refusal(FILE_READ_FAILED, f"{file}: {size} bytes are no whole number of samples of {streams} streams")
        samples = size // (_SAMPLE_BYTES * streams)
        for number in cards:
            _hold(system, number, samples, checksum)
        return samples

    @emulated
    def xsp3_write_playback_data(self, path: int, card: int, buffer: Any, size: int, no_retry: int) -> int:
        """Write the playback memory; returns the number of bytes."""
        system = self.system(path)
        check_one_card(system, card)
        required(buffer=buffer)
        check_range("nbytes", size, 1, _MOST_BYTES)
        if size % 4:
            raise Refusal(RANGE_CHECK, f"nbytes = {size} is no whole number of 32-bit words")
        _hold(system, card, size // _SAMPLE_BYTES, zlib.crc32(ffi.buffer(buffer, size)))
        return size

    @emulated
    def xsp3_playback_get_num_t(self, path: int, card: int) -> int:
        """Return the number of samples per stream in the playback memory, 0 if it is empty."""
        system = self.system(path)
        return system.electronics.cards[check_one_card(system, card)].playback_times

    @emulated
    def xsp3_scope_settings_from_mod(self, path: int) -> int:
        """Accept the scope's settings; nothing depends on them, as the emulated boxes take no scope data."""
        self.system(path)
        return OK

    @emulated
    def xsp3_scope_wait(self, path: int, card: int) -> int:
        """Return at once: no scope data are under way."""
        check_card(self.system(path), card)
        return OK

    @emulated
    def xsp3_read_scope_data(self, path: int, card: int) -> int:
        """Refuse: there are none."""
        check_card(self.system(path), card)
        raise Refusal(Status.invalid_scope_module, "there are no scope data: the emulated boxes take none")


def _hold(system: System, card: int, samples: int, checksum: int) -> None:
    with system.lock:
        kept = system.electronics.cards[card]
        kept.playback_times, kept.playback_check = samples, checksum


def _checksum(file: Path) -> tuple[int, int]:
    """Return a file's size in bytes, and a checksum of what is in it."""
    try:
        opened = file.open("rb")
    except OSError as error:
        raise Refusal(CANNOT_OPEN_FILE, f"cannot open {file}: {error.strerror}") from error
    size, checksum = 0, 0
    try:
        with opened:
            while part := opened.read(_READ_AT_ONCE):
                size += len(part)
                checksum = zlib.crc32(part, checksum)
    except OSError as error:
        raise Refusal(FILE_READ_FAILED, f"cannot read {file}: {error.strerror}") from error
    return size, checksum
