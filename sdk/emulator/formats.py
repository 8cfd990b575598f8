"""Emulated library functions that set up: format, windows, thresholds, trigger B."""

from typing import Any

from xsp3ioc.sdk.constants import BINS, RunFlag
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    EmulatedCalls,
    Refusal,
    check_channel,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.pool import Regions

_MAX_FRAMES = 1 << 20
_MAX_ITFG_FRAMES = 0xFFFFFF
_OWNED_TIMING_BITS = 1 << 5 | 1 << 6 | 0xF << 8 | 1 << 29 | 1 << 30 | 1 << 31  # start and stop set these


class FormatFunctions(EmulatedCalls):
    """Format, windows, thresholds and per-channel settings."""

    @emulated
    def xsp3_set_run_flags(self, path: int, flags: int) -> int:
        """Choose the streams; takes effect with the next start."""
        self.system(path).run_flags = RunFlag(flags)
        return OK

    @emulated
    def xsp3_get_run_flags(self, path: int) -> int:
        """Return the streams chosen."""
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
