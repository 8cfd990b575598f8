"""Preparing a system: clocks, cabling, settings directories, run flags, format of the memory."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from xsp3ioc.sdk.calls import c_text
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Format, Sync
from xsp3ioc.sdk.constants import ClockFlag, ClockSource, Generation, RunFlag, SyncMode
from xsp3ioc.sdk.errors import SettingsFileError
from xsp3ioc.sdk.identity import Identity
from xsp3ioc.sdk.options import Aux1Mode, Aux2Mode, FormatFlag, ThreadingFlag

_CANNOT_OPEN_FILE, _FILE_WRITE_FAILED = -10, -12
_AUX2_CODES: Mapping[int, int] = MappingProxyType({0: 0, 4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 16: 7})


class Preparation(Identity):
    """Clocks, settings directories and format, in the order in which they are to be called."""

    _bits = 12
    _aux = 1
    _ring = 0

    @property
    def bins(self) -> int:
        """Bins per spectrum, from the last `format`; 4096 before."""
        return 1 << self._bits

    @property
    def aux(self) -> int:
        """Rows of auxiliary data per spectrum, from the last `format`; 1 without."""
        return self._aux

    @property
    def ring(self) -> int:
        """Frames that fit in the memory, from the last `format`."""
        return self._ring

    def setup_clocks(
        self, source: ClockSource | None = None, flags: ClockFlag | None = None, test_pattern: int = 0
    ) -> tuple[int, ...]:
        """Select the clock of every card, as its generation needs it unless told otherwise.

        Returns the measured frequency of each card in Hz; 0 from an Xspress3, which does not measure it. An Xspress 3X
        Mk2 is told before that its cards are connected by the mid-plane.
        """
        usual_source, usual_flags = self._clock()
        source = usual_source if source is None else source
        flags = usual_flags if flags is None else flags
        if self.is_mark2:
            self.set_sync_mode(SyncMode.midplane)
        return tuple(
            self._call("xsp3_clocks_setup", card, int(source), int(flags), test_pattern) for card in range(self.cards)
        )

    def _clock(self) -> tuple[ClockSource, ClockFlag]:
        if self.is_mark2:
            return ClockSource.midplane_lmk61e2, ClockFlag.no_dither
        flags = ClockFlag.master | ClockFlag.no_dither
        if self.generation is Generation.mini:
            return ClockSource.mini_cdcm61004, flags
        if self.generation is Generation.xspress4:
            return (ClockSource.midplane_lmk61e2 if self.cards > 1 else ClockSource.mini_lmk61e2), flags
        return ClockSource.crystal, flags

    def set_sync_mode(self, mode: SyncMode, global_reset: bool = False, reset_card: int = 0) -> None:
        """Tell how the boxes are connected, and which card sends the global reset if there is one."""
        self._call("xsp3_set_sync_mode", int(mode), int(global_reset), reset_card)

    def sync_mode(self) -> Sync:
        """How the boxes are said to be connected."""
        mode, reset, card = (ffi.new("int *") for _ in range(3))
        self._call("xsp3_get_sync_mode", mode, reset, card)
        return Sync(SyncMode(mode[0]), bool(reset[0]), card[0])

    def restore_settings(self, directory: str | os.PathLike[str], force: bool = False, clock: bool = False) -> None:
        """Load registers, windows, thresholds and dead-time parameters from a directory.

        `force` accepts settings of another major firmware revision; `clock` also sets up the clock, instead of
        `setup_clocks`. Raises `SettingsFileError` when the directory or a file in it cannot be read. The timing may
        have changed: set it again afterwards.
        """
        name = "xsp3_restore_settings_and_clock" if clock else "xsp3_restore_settings"
        self._call(name, c_text(directory), int(force))

    def save_settings(self, directory: str | os.PathLike[str]) -> None:
        """Write all settings into a directory that exists and is empty, else raise `SettingsFileError`.

        The library itself would write over the files of other settings.
        """
        name, path = "xsp3_save_settings", Path(directory)
        try:
            found = sorted(entry.name for entry in path.iterdir())
        except OSError as error:
            reason = "no such directory" if isinstance(error, FileNotFoundError) else error.strerror
            raise SettingsFileError(name, _CANNOT_OPEN_FILE, f"cannot open {path}: {reason}") from None
        if found:
            held = found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
            raise SettingsFileError(name, _FILE_WRITE_FAILED, f"{path} is not empty, it holds {held}: name a new one")
        self._call(name, c_text(path))

    def set_run_flags(self, flags: RunFlag) -> None:
        """Choose which streams run, from the next start on."""
        self._call("xsp3_set_run_flags", int(flags))

    def run_flags(self) -> RunFlag:
        """Which streams run."""
        return RunFlag(self._call("xsp3_get_run_flags"))

    def format(
        self,
        channel: int = -1,
        bits: int = 12,
        *,
        aux1: Aux1Mode = Aux1Mode.none,
        aux1_threshold: int = 0,
        aux2_bits: int = 0,
        aux2: Aux2Mode = Aux2Mode.adc,
        flags: FormatFlag = FormatFlag(0),  # noqa: B008 (a constant)
    ) -> int:
        """Divide the memory into spectra of 2**bits bins (-1: of all channels); returns the frames that fit.

        Auxiliary data multiply each spectrum's rows, see `aux`: `aux1_threshold` is 0..1023, `aux2_bits` 0, 4, 6 .. 16.
        Format all channels alike: the handle reads them together.
        """
        if aux2_bits not in _AUX2_CODES:
            raise ValueError(f"aux2_bits = {aux2_bits} is none of {', '.join(map(str, _AUX2_CODES))}")
        code, signed = _AUX2_CODES[aux2_bits], int(flags)
        if signed & FormatFlag.pileup_reject:
            signed -= 1 << 32  # bit 31 of what C calls an int
        frames = self._call(
            "xsp3_format_run", channel, int(aux1), aux1_threshold, code, signed, int(aux2), bits
        )  # fmt: skip
        self._ring, self._bits, self._aux = frames, bits, 1
        if aux1 or aux2_bits:
            found = self.memory_format(max(channel, 0))
            self._aux = found.aux1 * found.aux2
        return frames

    def memory_format(self, channel: int = 0) -> Format:
        """How the library has divided the memory of a channel."""
        numbers = [ffi.new("int *") for _ in range(4)]
        self._call("xsp3_get_format", channel, *numbers)
        return Format(*(number[0] for number in numbers))

    def hardware_format(self, channel: int = 0) -> tuple[int, Format]:
        """How the hardware has divided the memory of a channel, and the number of channels in use."""
        numbers = [ffi.new("int *") for _ in range(5)]
        self._call("xsp3_read_format", channel, 0, *numbers)
        used, *found = (number[0] for number in numbers)
        return used, Format(*found)

    @property
    def scaler_frames(self) -> int:
        """Frames whose scalers fit in the memory."""
        return self._call("xsp3_scaler_get_num_tf")

    def set_memory_layout(self, layout: int, card: int = -1) -> None:
        """Choose the layout of the cards' memory (0: the default), before `format`; card -1: of all."""
        self._call("xsp3_dma_config_memory", card, layout)

    def memory_layout(self, card: int = 0) -> int:
        """Layout of a card's memory, as it was last chosen."""
        return self._call("xsp3_dma_get_memory_config", card)

    def set_threading_flags(self, flags: ThreadingFlag) -> None:
        """Keep the library from starting some of its threads."""
        self._call("xsp3_set_disable_threading", int(flags))

    def threading_flags(self) -> ThreadingFlag:
        """Threads that the library does not start."""
        return ThreadingFlag(self._call("xsp3_get_disable_threading"))
