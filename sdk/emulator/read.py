"""Emulated library functions that read: spectra and scalers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import SCALERS
from xsp3ioc.sdk.emulator.arguments import array_at, check_part, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    EmulatedCalls,
    Refusal,
    check_channels,
    check_frames,
    emulated,
)
from xsp3ioc.sdk.emulator.distribution import lay_out, recounted, sub_frame_scalers
from xsp3ioc.sdk.emulator.run import Kind
from xsp3ioc.sdk.emulator.system import System

_AT_ONCE = 64  # frames that are laid out together


class ReadFunctions(EmulatedCalls):
    """Spectra and scalers."""

    @emulated
    def xsp3_histogram_read4d(
        self,
        path: int,
        buffer: Any,
        bin_: int,
        aux: int,
        channel: int,
        frame: int,
        bins: int,
        auxes: int,
        channels: int,
        frames: int,
    ) -> int:
        """Copy spectra out, by frame, channel, row of auxiliary data, bin."""
        system = self.system(path)
        required(buffer=buffer)
        if system.layouts.plain:
            check_part("aux", aux, auxes, 1)
            check_part("eng", bin_, bins, system.bins)
            self._copy(system, "mca", buffer, (frame, channel, bin_), (frames, channels, bins))
        else:
            found = self.spectra(system, (frame, channel, aux, bin_), (frames, channels, auxes, bins))
            array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_histogram_read3d(
        self, path: int, buffer: Any, bin_: int, y: int, frame: int, bins: int, rows: int, frames: int
    ) -> int:
        """Copy spectra out, by frame, row, bin; the row y is the channel times its auxiliary rows, plus the row."""
        system = self.system(path)
        required(buffer=buffer)
        if system.layouts.plain:
            check_part("x", bin_, bins, system.bins)
            self._copy(system, "mca", buffer, (frame, y, bin_), (frames, rows, bins))
        else:
            found = self.rows(system, (frame, y, bin_), (frames, rows, bins))
            array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_histogram_read_chan(
        self, path: int, buffer: Any, channel: int, bin_: int, aux: int, frame: int, bins: int, auxes: int, frames: int
    ) -> int:
        """Copy one channel's spectra out, by frame, row of auxiliary data, bin."""
        system = self.system(path)
        required(buffer=buffer)
        found = self.spectra(system, (frame, channel, aux, bin_), (frames, 1, auxes, bins))
        array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_scaler_read(
        self, path: int, buffer: Any, scaler: int, channel: int, frame: int, scalers: int, channels: int, frames: int
    ) -> int:
        """Copy raw scalers out, by frame, channel, scaler."""
        system = self.system(path)
        required(dest=buffer)
        check_part("scaler", scaler, scalers, SCALERS)
        if system.layouts.plain:
            self._copy(system, "scalers", buffer, (frame, channel, scaler), (frames, channels, scalers))
        else:
            found = self.scalers(system, frame, channel, frames, channels)[..., scaler : scaler + scalers]
            array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_scaler_read_sf(
        self,
        path: int,
        buffer: Any,
        scaler: int,
        first_part: int,
        channel: int,
        frame: int,
        scalers: int,
        parts: int,
        channels: int,
        frames: int,
    ) -> int:
        """Copy raw scalers out, by frame, channel, sub-frame, scaler; without sub-frames there is one."""
        system = self.system(path)
        required(dest=buffer)
        check_part("scaler", scaler, scalers, SCALERS)
        found = self.scalers_of_parts(system, frame, channel, first_part, frames, channels, parts)
        found = found[..., scaler : scaler + scalers]
        array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    def rows(self, system: System, first: tuple[int, int, int], count: tuple[int, int, int]) -> NDArray[np.uint32]:
        """Read `count` (frames, rows, bins) from `first` on; a row is a channel's first row plus its auxiliary row."""
        frame, y, bin_ = first
        frames, rows, bins = count
        per_channel = {form.rows for form in system.layouts.formats}
        if len(per_channel) > 1:
            raise Refusal(ERROR, "y means nothing: the channels have different numbers of auxiliary rows; use read4d")
        (each,) = per_channel
        check_part("y", y, rows, system.channels * each)
        channel, last = y // each, (y + rows - 1) // each
        found = self.spectra(system, (frame, channel, 0, bin_), (frames, last - channel + 1, each, bins))
        start = y - channel * each
        return found.reshape(frames, -1, bins)[:, start : start + rows]

    def spectra(
        self, system: System, first: tuple[int, int, int, int], count: tuple[int, int, int, int]
    ) -> NDArray[np.uint32]:
        """Read `count` (frames, channels, auxiliary rows, bins) from `first` (frame, channel, row, bin) on."""
        frame, channel, row, bin_ = first
        frames, channels, rows, bins = count
        layouts = system.layouts
        check_channels(system, channel, channels)
        forms = layouts.formats[channel : channel + channels]
        check_part("aux", row, rows, min(form.rows for form in forms))
        check_part("eng", bin_, bins, min(form.bins for form in forms))
        raw = self._whole(system, "mca", frame, frames)[:, channel : channel + channels]
        if layouts.plain:
            return raw[:, :, np.newaxis, bin_ : bin_ + bins]
        scalers = self._whole(system, "scalers", frame, frames)[:, channel : channel + channels]
        found = np.empty(count, np.uint32)
        for index, form in enumerate(forms):
            for at in range(0, frames, _AT_ONCE):
                block = slice(at, at + _AT_ONCE)
                laid = lay_out(form, raw[block, index], scalers[block, index], row, rows)
                found[block, index] = laid[..., bin_ : bin_ + bins]
        return found

    def scalers(self, system: System, frame: int, channel: int, frames: int, channels: int) -> NDArray[np.uint32]:
        """Read all scalers of some frames and channels: (frames, channels, 9)."""
        check_channels(system, channel, channels)
        found = self._whole(system, "scalers", frame, frames)[:, channel : channel + channels]
        forms = system.layouts.formats
        if any(form.recounts for form in forms[channel : channel + channels]):
            raw = self._whole(system, "mca", frame, frames)
            threshold, windows = system.regions
            for index in range(channels):
                number = channel + index
                found[:, index] = recounted(
                    forms[number], raw[:, number], found[:, index], int(threshold[number]), windows[number]
                )
        return found

    def scalers_of_parts(
        self, system: System, frame: int, channel: int, first_part: int, frames: int, channels: int, parts: int
    ) -> NDArray[np.uint32]:
        """Read all scalers of some frames, channels and sub-frames: (frames, channels, sub-frames, 9)."""
        check_channels(system, channel, channels)
        forms = system.layouts.formats
        least = min(max(form.sub_frames, 1) for form in forms[channel : channel + channels])
        check_part("first_sf", first_part, parts, least)
        scalers = self._whole(system, "scalers", frame, frames)
        raw = self._whole(system, "mca", frame, frames)
        threshold, windows = system.regions
        found = np.empty((frames, channels, parts, SCALERS), np.uint32)
        for index in range(channels):
            number = channel + index
            form = forms[number]
            if system.layouts.plain:
                found[:, index, 0] = scalers[:, number]
                continue
            everything = sub_frame_scalers(
                form, raw[:, number], scalers[:, number], int(threshold[number]), windows[number]
            )
            found[:, index] = everything[:, first_part : first_part + parts]
        return found

    def _copy(
        self, system: System, kind: Kind, buffer: Any, first: tuple[int, int, int], count: tuple[int, int, int]
    ) -> None:
        """Copy out `count` (frames, channels, bins or scalers) from `first` (frame, channel, bin or scaler) on."""
        frame, channel, item = first
        frames, channels, items = count
        check_channels(system, channel, channels)
        slot = check_frames(system, frame, frames)
        out = array_at(buffer, np.uint32, frames, channels, items)
        if (channels, items) == self._shape(system, kind):
            self._read(system, kind, slot, out)
        else:
            out[:] = self._whole(system, kind, frame, frames)[:, channel : channel + channels, item : item + items]

    def _whole(self, system: System, kind: Kind, frame: int, frames: int) -> NDArray[np.uint32]:
        """Read all channels of some frames as they were drawn."""
        slot = check_frames(system, frame, frames)
        out = np.empty((frames, *self._shape(system, kind)), np.uint32)
        self._read(system, kind, slot, out)
        return out

    @staticmethod
    def _shape(system: System, kind: Kind) -> tuple[int, int]:
        return system.channels, system.bins if kind == "mca" else SCALERS

    def _read(self, system: System, kind: Kind, slot: int, out: NDArray[np.uint32]) -> None:
        """Copy what the slots hold; what is overwritten meanwhile comes out wrong, as from the real memory."""
        with system.lock:
            run = system.settled()
            held = None if run is None else run.held(slot, len(out))
            begun = 0 if run is None else run.ring.begun
        if run is None or held is None:
            out[:] = 0
            return
        run.fill(kind, slot, held, out)
        if run.timeline.room is not None and self.incidents is None:
            return  # at the reader's pace nothing is overwritten
        if kind == "mca" and self.settings.faults.slow_read:
            self._sleep(self.settings.faults.slow_read)
        with system.lock:
            if kind == "mca" and self.incidents is not None:
                self.incidents.overwrite_one_of(held, run)
            run.settle(system.now)
            if run.ring.begun == begun and not run.losses.any:
                return
            now_held = run.held(slot, len(out))
            if now_held.same(held):
                return
        newer = np.empty_like(out)
        run.fill(kind, slot, now_held, newer)
        changed = now_held.numbers(system.channels) != held.numbers(system.channels)
        torn = np.arange(out.shape[2]) >= out.shape[2] // 2  # the first half had been copied
        np.copyto(out, newer, where=changed[:, :, np.newaxis] & torn)
