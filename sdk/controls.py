"""Setting the system up and running it: clocks, settings directories, format, windows, timing, start and stop."""

import os

from xsp3ioc.sdk.calls import c_text
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import (
    ClockFlag,
    ClockSource,
    GapMode,
    Generation,
    ItfgTrigger,
    RunFlag,
    SyncMode,
    TimingBit,
    TimingSource,
)
from xsp3ioc.sdk.identity import Identity


class Setup(Identity):
    """Clocks, settings directories, format, windows and thresholds."""

    _bits = 12
    _ring = 0

    @property
    def bins(self) -> int:
        """Bins per spectrum, from the last `format`; 4096 before."""
        return 1 << self._bits

    @property
    def ring(self) -> int:
        """Frames that fit in the memory, from the last `format`."""
        return self._ring

    def setup_clocks(self) -> None:
        """Select the clock of every card, as its generation needs it."""
        source, flags = self._clock()
        if self.is_mark2:
            self._call("xsp3_set_sync_mode", SyncMode.midplane, 0, 0)
        for card in range(self.cards):
            self._call("xsp3_clocks_setup", card, source, flags, 0)

    def _clock(self) -> tuple[ClockSource, ClockFlag]:
        if self.is_mark2:
            return ClockSource.midplane_lmk61e2, ClockFlag.no_dither
        flags = ClockFlag.master | ClockFlag.no_dither
        if self.generation is Generation.mini:
            return ClockSource.mini_cdcm61004, flags
        if self.generation is Generation.xspress4:
            return (ClockSource.midplane_lmk61e2 if self.cards > 1 else ClockSource.mini_lmk61e2), flags
        return ClockSource.crystal, flags

    def restore_settings(self, directory: str | os.PathLike[str], force: bool = False) -> None:
        """Load registers, windows, thresholds and dead-time parameters from a directory.

        `force` accepts settings of another major firmware revision. Raises `SettingsFileError` when the directory or a
        file in it cannot be read.
        """
        self._call("xsp3_restore_settings", c_text(os.fspath(directory)), int(force))

    def save_settings(self, directory: str | os.PathLike[str]) -> None:
        """Write all settings into an existing directory, over what is there. Raises `SettingsFileError`."""
        self._call("xsp3_save_settings", c_text(os.fspath(directory)))

    def set_run_flags(self, flags: RunFlag) -> None:
        """Choose which streams run, from the next start on."""
        self._call("xsp3_set_run_flags", int(flags))

    def run_flags(self) -> RunFlag:
        """Which streams run."""
        return RunFlag(self._call("xsp3_get_run_flags"))

    def format(self, channel: int = -1, bits: int = 12) -> int:
        """Divide the memory into spectra of 2**bits bins (-1: of all channels); returns the frames that fit."""
        self._ring = self._call("xsp3_format_run", channel, 0, 0, 0, 0, 0, bits)
        self._bits = bits
        return self._ring

    def set_window(self, channel: int, window: int, low: int, high: int) -> None:
        """Limits of in-window scaler 0 or 1, inclusive, in raw bins 0..4095; channel -1: of all."""
        self._call("xsp3_set_window", channel, window, low, high)

    def window(self, channel: int, window: int) -> tuple[int, int]:
        """Limits (low, high) of in-window scaler 0 or 1, inclusive, in raw bins."""
        low, high = ffi.new("uint32_t *"), ffi.new("uint32_t *")
        self._call("xsp3_get_window", channel, window, low, high)
        return low[0], high[0]

    def set_good_threshold(self, channel: int, bin: int) -> None:  # noqa: A002
        """Lowest bin that AllGood counts; channel -1: of all."""
        self._call("xsp3_set_good_thres", channel, bin)

    def good_threshold(self, channel: int) -> int:
        """Lowest bin that AllGood counts."""
        threshold = ffi.new("uint32_t *")
        self._call("xsp3_get_good_thres", channel, threshold)
        return threshold[0]


class Controls(Setup):
    """Timing and run control."""

    _gap = GapMode.us1

    def set_timing(
        self,
        source: TimingSource,
        *,
        card: int = -1,
        invert_f0: bool = False,
        invert_veto: bool = False,
        debounce: int = 0,
    ) -> None:
        """Choose who makes frames.

        With card -1, card 0 gets the source and the others follow its veto on their TTL input. `debounce` is in clock
        cycles, 0..255; where it is 0, cards that follow the internal generator get what the gap needs.
        """
        register = source | debounce << TimingBit.debounce
        register |= invert_f0 << TimingBit.invert_f0 | invert_veto << TimingBit.invert_veto
        if card >= 0:
            self._call("xsp3_set_glob_timeA", card, register)
            return
        self._call("xsp3_set_glob_timeA", 0, register)
        if not debounce and source is TimingSource.internal:
            debounce = self._gap.debounce
        for other in range(1, self.cards):
            self._call("xsp3_set_glob_timeA", other, TimingSource.ttl_veto | debounce << TimingBit.debounce)

    def set_first_frame(self, frame: int) -> None:
        """Set the number of a run's first frame, 0..0xFFFFFF, on every card."""
        self._call("xsp3_set_glob_timeFixed", -1, frame)

    def setup_itfg(
        self, frames: int, ticks: int, trigger: ItfgTrigger = ItfgTrigger.burst, gap: GapMode = GapMode.us1
    ) -> None:
        """Program the internal time frame generator of card 0.

        `frames` is 1..0xFFFFFF, or 0 for until stopped; `ticks` the exposure in clock ticks, at least 2. Set the gap
        before `set_timing`: the other cards' debounce follows from it.
        """
        self._call("xsp3_itfg_setup", 0, frames, ticks, int(trigger), int(gap))
        self._gap = GapMode(gap)

    def clear(self, frames: int) -> None:
        """Zero the first `frames` slots of the memory."""
        self._call("xsp3_histogram_clear", 0, self.channels, 0, frames)

    def arm(self, card: int = -1) -> None:
        """Get ready; frames wait for `resume`."""
        self._call("xsp3_histogram_arm", card)

    def start(self, card: int = -1) -> None:
        """Count, or wait for the hardware's trigger or gate; a run in progress is begun again."""
        self._call("xsp3_histogram_start", card)

    def resume(self, card: int = 0) -> None:
        """Count enable goes high: a software trigger, or the next software-timed frame opens."""
        self._call("xsp3_histogram_continue", card)

    def pause(self, card: int = 0) -> None:
        """Count enable goes low: a software-timed frame closes; the next `resume` triggers again."""
        self._call("xsp3_histogram_pause", card)

    def stop(self, card: int = -1) -> None:
        """End the run; a frame in progress is closed, and all stay readable. Succeeds without a run."""
        self._call("xsp3_histogram_stop", card)

    @property
    def busy(self) -> bool:
        """Whether frames are being received."""
        return self._call("xsp3_histogram_is_any_busy") > 0
