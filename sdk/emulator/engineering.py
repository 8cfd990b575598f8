"""Emulated library functions that only engineers' programs and the Mini's own readers use."""

from typing import Any

import numpy as np

from xsp3ioc.sdk.constants import SCALERS, RunFlag
from xsp3ioc.sdk.emulator.arguments import array_at, check_bits, check_one_card, check_part, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    Refusal,
    check_card,
    check_frames,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.read import ReadFunctions
from xsp3ioc.sdk.emulator.system import System

_READOUT_MODES = 0x107  # Xsp3mReadoutMode
_THREADING_FLAGS = 0x3
_CALIBRATION_BINS = 1024
_DIAGNOSTIC_FRAMES = 10
_ALL_DIAGNOSTICS = 5  # "histogram options" in the memory layout


class EngineeringFunctions(ReadFunctions):
    """Calibration and diagnostic histograms, the Mini's own forms, memory layout, threading."""

    @emulated
    def xsp3_calib_histogram_read3d(
        self, path: int, buffer: Any, x: int, y: int, frame: int, bins: int, rows: int, frames: int, calibration: int
    ) -> int:
        """Copy out as read3d, or for `calibration` 1 the histogram of calibration events: there are none."""
        system = self.system(path)
        required(buffer=buffer)
        if check_range("calib", calibration, 0, 1):
            check_part("x", x, bins, _CALIBRATION_BINS)
            check_part("y", y, rows, system.channels)
            check_frames(system, frame, frames)
            array_at(buffer, np.uint32, frames, rows, bins)[:] = 0
        else:
            found = self.rows(system, (frame, y, x), (frames, rows, bins))
            array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_diag_histogram_read3d(
        self, path: int, buffer: Any, x: int, y: int, frame: int, bins: int, rows: int, frames: int
    ) -> int:
        """Copy a Mini's diagnostic histogram out: the spectra of its first frames, if that stream runs, else zero."""
        system = self.system(path)
        if not system.settings.family.compulsory_acknowledge:
            raise Refusal(ERROR, f"{system.settings.product} has no diagnostic histogram, only the Mini")
        required(buffer=buffer)
        option = system.electronics.cards[0].memory_layout >> 14 & 0x3F
        kept = system.ring if option == _ALL_DIAGNOSTICS else min(_DIAGNOSTIC_FRAMES, system.ring)
        check_part("t", frame, frames, kept)
        found = self.rows(system, (frame, y, x), (frames, rows, bins))
        runs = bool(system.run_flags & RunFlag.diagnostics)
        array_at(buffer, np.uint32, *found.shape)[:] = found if runs else 0
        return OK

    @emulated
    def xsp3m_histogram_read_frames(
        self, path: int, buffer: Any, bin_: int, channel: int, frame: int, bins: int, channels: int, frames: int
    ) -> int:
        """Copy a Mini's spectra out, by frame, channel, bin."""
        system = self._mini(path)
        required(buffer=buffer)
        found = self.spectra(system, (frame, channel, 0, bin_), (frames, channels, 1, bins))
        array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3m_scaler_read(
        self, path: int, buffer: Any, scaler: int, channel: int, frame: int, scalers: int, channels: int, frames: int
    ) -> int:
        """Copy a Mini's raw scalers out, by frame, channel, scaler."""
        system = self._mini(path)
        required(dest=buffer)
        check_part("scaler", scaler, scalers, SCALERS)
        found = self.scalers(system, frame, channel, frames, channels)[..., scaler : scaler + scalers]
        array_at(buffer, np.uint32, *found.shape)[:] = found
        return OK

    def _mini(self, path: int) -> System:
        system = self.system(path)
        if not system.settings.family.compulsory_acknowledge:
            raise Refusal(ERROR, f"{system.settings.product} is no Mini: read it with xsp3_ functions")
        return system

    @emulated
    def xsp3m_set_readout_mode(self, path: int, card: int, mode: int) -> int:
        """Choose what a Mini sends; card -1: of all."""
        system = self._mini(path)
        for number in check_card(system, card):
            system.electronics.cards[number].readout_mode = check_bits("readout_mode", mode, _READOUT_MODES)
        return OK

    @emulated
    def xsp3m_get_readout_mode(self, path: int, card: int, mode: Any) -> int:
        """Read what a Mini sends."""
        system = self._mini(path)
        check_one_card(system, card)
        required(readout_mode=mode)
        mode[0] = system.electronics.cards[card].readout_mode
        return OK

    @emulated
    def xsp3_set_user_ts_sync_mode(self, path: int, card: int, mode: int) -> int:
        """Keep how user time stamps are synchronised; which modes there are is not published."""
        system = self.system(path)
        check_range("mode", mode, 0, 0x7FFFFFFF)
        for number in check_card(system, card):
            system.electronics.cards[number].timestamp_sync = mode
        return OK

    @emulated
    def xsp3_dma_config_memory(self, path: int, card: int, layout: int) -> int:
        """Choose how a card's memory is laid out; 0 is the default."""
        system = self.system(path)
        check_range("layout", layout, 0, 0x3FFFFFFF)
        for number in check_card(system, card):
            system.electronics.cards[number].memory_layout = layout
        return OK

    @emulated
    def xsp3_dma_get_memory_config(self, path: int, card: int) -> int:
        """Return the layout chosen last."""
        system = self.system(path)
        return system.electronics.cards[check_one_card(system, card)].memory_layout

    @emulated
    def xsp3_get_disable_threading(self, path: int) -> int:
        """Return which threads are not used."""
        return self.system(path).electronics.disable_threading

    @emulated
    def xsp3_set_disable_threading(self, path: int, flags: int) -> int:
        """Choose threads that are not to be used; the emulator has none of them."""
        system = self.system(path)
        system.electronics.disable_threading = check_bits("flags", flags, _THREADING_FLAGS)
        return OK

    @emulated
    def xsp3_has_get_data_ptr(self, path: int) -> int:
        """1 where the frames are in the host's memory."""
        return int(not self.system(path).settings.family.compulsory_acknowledge)
