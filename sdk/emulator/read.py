"""Emulated library functions that read: spectra and scalers."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import SCALERS
from xsp3ioc.sdk.emulator.calls import OK, EmulatedCalls, check_channels, check_frames, check_range, emulated
from xsp3ioc.sdk.emulator.ring import frame_numbers
from xsp3ioc.sdk.emulator.run import Kind
from xsp3ioc.sdk.emulator.system import System


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
        """Copy spectra out, by frame, channel, bin."""
        check_range("aux", aux, 0, 0)
        check_range("num_aux", auxes, 1, 1)
        system = self.system(path)
        check_range("eng + num_eng", bin_ + bins, 1, system.bins)
        self._read_part(system, "mca", buffer, (frame, channel, bin_), (frames, channels, bins))
        return OK

    @emulated
    def xsp3_histogram_read3d(
        self, path: int, buffer: Any, bin_: int, channel: int, frame: int, bins: int, channels: int, frames: int
    ) -> int:
        """Copy spectra out; the same without auxiliary data."""
        system = self.system(path)
        check_range("x + dx", bin_ + bins, 1, system.bins)
        self._read_part(system, "mca", buffer, (frame, channel, bin_), (frames, channels, bins))
        return OK

    @emulated
    def xsp3_scaler_read(
        self, path: int, buffer: Any, scaler: int, channel: int, frame: int, scalers: int, channels: int, frames: int
    ) -> int:
        """Copy raw scalers out, by frame, channel, scaler."""
        system = self.system(path)
        check_range("scaler + n_scalers", scaler + scalers, 1, SCALERS)
        self._read_part(system, "scalers", buffer, (frame, channel, scaler), (frames, channels, scalers))
        return OK

    def _read_part(
        self, system: System, kind: Kind, buffer: Any, first: tuple[int, int, int], count: tuple[int, int, int]
    ) -> None:
        """Copy out `count` (frames, channels, bins or scalers) from `first` (frame, channel, bin or scaler) on."""
        frame, channel, item = first
        frames, channels, items = count
        check_channels(system, channel, channels)
        out = _array(buffer, frames, channels, items)
        whole = system.channels, system.bins if kind == "mca" else SCALERS
        if (channels, items) == whole:
            self._read(system, kind, frame, out)
        else:
            everything = np.empty((frames, *whole), np.uint32)
            self._read(system, kind, frame, everything)
            out[:] = everything[:, channel : channel + channels, item : item + items]

    def _read(self, system: System, kind: Kind, frame: int, out: NDArray[np.uint32]) -> None:
        """Copy what the slots hold; what is overwritten meanwhile comes out wrong, as from the real memory."""
        frames = len(out)
        slot = check_frames(system, frame, frames)
        with system.lock:
            run = system.settled()
            held = [] if run is None else run.ring.held(slot, frames)
        if run is None:
            out[:] = 0
            return
        run.fill(kind, slot, held, out)
        if kind == "mca" and self.settings.slow_read:
            self._sleep(self.settings.slow_read)
        with system.lock:
            run.settle(system.now)
            now_held = run.ring.held(slot, frames)
            if now_held == held:
                return
        newer = np.empty_like(out)
        run.fill(kind, slot, now_held, newer)
        changed = frame_numbers(now_held) != frame_numbers(held)
        torn = out.shape[2] // 2  # the first half had been copied
        out[changed, :, torn:] = newer[changed, :, torn:]


def _array(buffer: Any, *shape: int) -> NDArray[np.uint32]:
    """Return the caller's memory as an array."""
    size = 4 * math.prod(shape)
    return np.frombuffer(ffi.buffer(buffer, size), np.uint32).reshape(shape)


