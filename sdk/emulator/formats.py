"""Emulated library functions that set up what is histogrammed: streams, format, regions, windows, thresholds."""

from typing import Any

from xsp3ioc.sdk.companions import Region
from xsp3ioc.sdk.constants import BINS, RunFlag, Status
from xsp3ioc.sdk.emulator.arguments import check_bits, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    RANGE_CHECK,
    EmulatedCalls,
    Refusal,
    check_channel,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.layout import (
    AUX1_ROWS,
    CHARGE_SHARING,
    ChannelFormat,
    Layouts,
    region_fault,
)
from xsp3ioc.sdk.emulator.pool import Regions
from xsp3ioc.sdk.emulator.system import System
from xsp3ioc.sdk.options import Aux1Mode, FormatFlag

MOST_REGIONS = 8

_MOST_AUX1_MODE = 15
_MOST_SUB_FRAMES = 4096


class FormatFunctions(EmulatedCalls):
    """Streams, format, regions, windows and thresholds."""

    @emulated
    def xsp3_set_run_flags(self, path: int, flags: int) -> int:
        """Choose the streams; takes effect with the next start."""
        system = self.system(path)
        known = sum(RunFlag)
        system.run_flags = RunFlag(check_bits("flags", flags, known))
        return OK

    @emulated
    def xsp3_get_run_flags(self, path: int) -> int:
        """Return the streams chosen."""
        return int(self.system(path).run_flags)

    @emulated
    def xsp3_format_run(
        self, path: int, channel: int, aux1: int, threshold: int, aux2: int, flags: int, aux2_mode: int, bits: int
    ) -> int:
        """Divide the memory anew; returns the frames that fit on the channel where the fewest do.

        Regions and energy gain stay as they are.
        """
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("aux1_thres", threshold, 0, 1023)
        check_range("aux2_cont", aux2, 0, 7)
        check_range("aux2_mode", aux2_mode, 0, 7)
        check_range("nbits_eng", bits, 1, 12)
        _check_flags(flags)
        _check_aux1(system, aux1)
        if aux2 and system.settings.family.compulsory_acknowledge:
            raise Refusal(RANGE_CHECK, f"aux2_cont = {aux2}: {system.settings.product} has no auxiliary data, only 0")
        return _apply(
            system,
            channels,
            bits=bits,
            aux1_mode=aux1,
            aux1_threshold=threshold,
            aux2_code=aux2,
            aux2_mode=aux2_mode,
            flags=flags,
            sub_frames=0,
        )

    @emulated
    def xsp3_format_sub_frames(
        self,
        path: int,
        channel: int,
        just_good: int,
        threshold: int,
        flags: int,
        bits: int,
        sub_frames: int,
        divide: int,
    ) -> int:
        """Divide each frame into sub-frames of `divide` ticks; what comes after the last one is in that too."""
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("just_good", just_good, 0, 1)
        check_range("just_good_thres", threshold, 0, 1023)
        check_range("nbits_eng", bits, 1, 12)
        check_range("num_sub_frames", sub_frames, -0x80000000, _MOST_SUB_FRAMES)
        _check_flags(flags)
        if sub_frames >= 1:
            check_range("ts_divide", divide, 1, 0x7FFFFFFF)
        if system.settings.family.compulsory_acknowledge and (sub_frames >= 1 or just_good):
            raise Refusal(ERROR, f"{system.settings.product} has no auxiliary data, so no sub-frames")
        return _apply(
            system,
            channels,
            bits=bits,
            aux1_mode=Aux1Mode.good_grade if just_good else Aux1Mode.none,
            aux1_threshold=threshold,
            aux2_code=0,
            aux2_mode=0,
            flags=flags,
            sub_frames=max(sub_frames, 0),
            ticks_per_sub_frame=max(divide, 1),
        )

    @emulated
    def xsp3_get_format(self, path: int, channel: int, bins: Any, aux1: Any, aux2: Any, frames: Any) -> int:
        """Read bins, rows of auxiliary data 1 and 2 of a channel, and the frames that fit on all."""
        system = self.system(path)
        check_one_channel(system, channel)
        required(nbins_eng=bins, nbins_aux1=aux1, nbins_aux2=aux2, nbins_tf=frames)
        with system.lock:
            form = system.layouts.formats[channel]
            bins[0], aux1[0], aux2[0], frames[0] = form.bins, form.aux1_rows, form.aux2_rows, system.ring
        return OK

    @emulated
    def xsp3_read_format(
        self, path: int, channel: int, diagnostic: int, used: Any, bins: Any, aux1: Any, aux2: Any, frames: Any
    ) -> int:
        """Read the format from the hardware, with the number of channels; the same as `xsp3_get_format` here."""
        system = self.system(path)
        check_one_channel(system, channel)
        if check_range("diag_hist", diagnostic, 0, 1) and not system.settings.family.compulsory_acknowledge:
            raise Refusal(ERROR, f"diag_hist = 1: {system.settings.product} has no diagnostic histogram, only the Mini")
        required(num_used_chanP=used, nbins_eng=bins, nbins_aux1=aux1, nbins_aux2=aux2, nbins_tf=frames)
        with system.lock:
            form = system.layouts.formats[channel]
            bins[0], aux1[0], aux2[0], frames[0] = form.bins, form.aux1_rows, form.aux2_rows, system.ring
        used[0] = system.channels
        return OK

    @emulated
    def xsp3_get_num_tf(self, path: int) -> int:
        """Frames that fit."""
        return self.system(path).ring

    @emulated
    def xsp3_has_roi(self, path: int, channel: int) -> int:
        """Every emulated channel has regions."""
        check_one_channel(self.system(path), channel)
        return 1

    @emulated
    def xsp3_init_roi(self, path: int, channel: int) -> int:
        """Keep whole spectra again."""
        system = self.system(path)
        channels = check_channel(system, channel)
        with system.lock:
            system.set_layouts(system.layouts.replace(channels, regions=()))
        return OK

    @emulated
    def xsp3_set_roi(self, path: int, channel: int, number: int, table: Any) -> int:
        """Keep regions, one behind the other, and the rest in the last bin; returns the bins used for the regions.

        Only in a format of less than 12 bits: the order is format_run, then this.
        """
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("num_roi", number, 1, MOST_REGIONS)
        required(roi=table)
        regions = tuple(Region(table[index].lhs, table[index].rhs, table[index].out_bins) for index in range(number))
        with system.lock:
            for index in channels:
                form = system.layouts.formats[index]
                if form.bits == 12:
                    raise Refusal(RANGE_CHECK, f"nbits_eng of channel {index} is 12: call format_run with less first")
                fault = region_fault(regions, form.bins)
                if fault:
                    raise Refusal(RANGE_CHECK, f"roi: {fault}")
            system.set_layouts(system.layouts.replace(channels, regions=regions))
        return sum(region.bins for region in regions)

    @emulated
    def xsp3_set_window(self, path: int, channel: int, window: int, low: int, high: int) -> int:
        """Set the inclusive limits of an in-window scaler, in raw bins.

        Frames that were taken are counted anew; in real electronics they are not.
        """
        system = self.system(path)
        channels = check_channel(system, channel)
        check_range("win", window, 0, 1)
        check_range("high", high, 0, BINS - 1)
        check_range("low", low, 0, high)
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
        required(low=low, high=high)
        low[0], high[0] = system.regions.windows[channel, window].tolist()
        return OK

    @emulated
    def xsp3_set_good_thres(self, path: int, channel: int, threshold: int) -> int:
        """Set the lowest bin that AllGood counts, also in the frames that were taken."""
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
        check_one_channel(system, channel)
        required(good_thres=threshold)
        threshold[0] = int(system.regions.threshold[channel])
        return OK


def _check_flags(flags: int) -> None:
    word = flags & 0xFFFFFFFF if flags >= -0x80000000 else flags  # bit 31 of a C int is its sign
    check_bits("flags", word, sum(FormatFlag))
    if word & CHARGE_SHARING == CHARGE_SHARING:
        raise Refusal(RANGE_CHECK, f"flags = {flags:#x}: charge sharing is 0 (none), 1 (mark) or 2 (delete)")


def _check_aux1(system: System, mode: int) -> None:
    if mode != Aux1Mode.list:
        check_range("aux1_mode", mode, 0, _MOST_AUX1_MODE)
    if mode not in AUX1_ROWS:
        raise Refusal(ERROR, f"aux1_mode = {mode} is not emulated: the number of rows that it makes is not known")
    family = system.settings.family
    allowed = (Aux1Mode.none, Aux1Mode.list) if family.is_mark2 else (Aux1Mode.none,)
    if family.compulsory_acknowledge and mode not in allowed:
        raise Refusal(RANGE_CHECK, f"aux1_mode = {mode}: {system.settings.product} has no auxiliary data, only 0")


def _apply(system: System, channels: range, **changes: Any) -> int:
    """Give channels another format; returns the frames that fit now."""
    with system.lock:
        layouts: Layouts = system.layouts.replace(channels, **changes)
        if system.frames * BINS < layouts.words:
            form: ChannelFormat = layouts.formats[channels[0]]
            raise Refusal(
                Status.out_of_memory,
                f"{form.bins} bins x {form.rows} rows do not fit into memory for {system.frames} frames of {BINS} bins",
            )
        system.set_layouts(layouts)
        return system.ring
