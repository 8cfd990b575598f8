"""Emulated library functions of the dead-time correction: parameters, factors, corrected scalers and spectra."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import DeadtimeParameters
from xsp3ioc.sdk.constants import SCALERS, DeadtimeFlag
from xsp3ioc.sdk.deadtime import Correction, correct, corrected_scalers
from xsp3ioc.sdk.emulator.arguments import array_at, check_bits, check_finite, check_part, required
from xsp3ioc.sdk.emulator.calls import (
    OK,
    RANGE_CHECK,
    Refusal,
    check_channel,
    check_channels,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.read import ReadFunctions
from xsp3ioc.sdk.emulator.system import System

_FLAGS = 0x3
_MOST_FRAMES = 1 << 20


class DeadtimeFunctions(ReadFunctions):
    """The library's own dead-time model."""

    @emulated
    def xsp3_setDeadtimeCorrectionParameters(  # noqa: N802
        self,
        path: int,
        channel: int,
        flags: int,
        all_event_gradient: float,
        all_event_offset: float,
        in_window_offset: float,
        in_window_gradient: float,
    ) -> int:
        """Set the process dead times, in this function's own order; there are no rate terms any more."""
        all_event = all_event_offset, all_event_gradient, 0.0, 0.0
        in_window = in_window_offset, in_window_gradient, 0.0, 0.0
        return self._set(path, channel, flags, *all_event, *in_window)

    @emulated
    def xsp3_setDeadtimeCorrectionParameters2(  # noqa: N802
        self, path: int, channel: int, flags: int, *terms: float
    ) -> int:
        """Set the process dead times: offset, gradient, rate offset, rate gradient, for AllEvent and InWindow."""
        return self._set(path, channel, flags, *terms)

    def _set(self, path: int, channel: int, flags: int, *terms: float) -> int:
        system = self.system(path)
        channels = check_channel(system, channel)
        check_bits("flags", flags, _FLAGS)
        check_finite(**dict(zip(DeadtimeParameters._fields[1:], terms, strict=True)))
        with system.lock:
            for number in channels:
                system.deadtime[number] = [float(term) for term in terms]
                system.deadtime_flags[number] = flags
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
        check_one_channel(system, channel)
        required(
            flags=flags,
            processDeadTimeAllEventGradient=all_event_gradient,
            processDeadTimeAllEventOffset=all_event_offset,
            processDeadTimeInWindowOffset=in_window_offset,
            processDeadTimeInWindowGradient=in_window_gradient,
        )
        with system.lock:
            flags[0] = system.deadtime_flags[channel]
            all_event_offset[0], all_event_gradient[0] = system.deadtime[channel][0:2]
            in_window_offset[0], in_window_gradient[0] = system.deadtime[channel][4:6]
        return OK

    @emulated
    def xsp3_getDeadtimeCorrectionParameters2(  # noqa: N802
        self, path: int, channel: int, flags: Any, *terms: Any
    ) -> int:
        """Read the process dead times: offset, gradient, rate offset, rate gradient, for AllEvent and InWindow."""
        system = self.system(path)
        check_one_channel(system, channel)
        required(flags=flags, **dict(zip(DeadtimeParameters._fields[1:], terms, strict=True)))
        with system.lock:
            flags[0] = system.deadtime_flags[channel]
            for pointer, value in zip(terms, system.deadtime[channel], strict=True):
                pointer[0] = value
        return OK

    @emulated
    def xsp3_getDeadtimeCorrectionFlags(self, path: int, channel: int, flags: Any) -> int:  # noqa: N802
        """Read how the correction treats a channel."""
        system = self.system(path)
        check_one_channel(system, channel)
        required(flags=flags)
        flags[0] = system.deadtime_flags[channel]
        return OK

    @emulated
    def xsp3_setDeadtimeCalculationEnergy(self, path: int, energy: float) -> int:  # noqa: N802
        """Set the energy in keV that the process dead times are worked out for."""
        system = self.system(path)
        check_finite(energy=energy)
        if energy < 0:
            raise Refusal(RANGE_CHECK, f"energy = {energy} keV is below 0")
        system.electronics.energy = energy
        return OK

    @emulated
    def xsp3_getDeadtimeCalculationEnergy(self, path: int) -> float:  # noqa: N802
        """Return the energy in keV; 0 until it is set."""
        return self.system(path).electronics.energy

    @emulated
    def xsp3_calculateDeadtimeCorrectionFactors(  # noqa: N802
        self, path: int, scalers: Any, factors: Any, inputs: Any, frames: int, first_channel: int, channels: int
    ) -> int:
        """Work out factors and input counts, (frames, channels) each, from scalers (frames, channels, 9)."""
        return self._calculate(path, scalers, factors, inputs, frames, first_channel, channels, 1)

    @emulated
    def xsp3_calculateDeadtimeCorrectionFactors_sf(  # noqa: N802
        self,
        path: int,
        scalers: Any,
        factors: Any,
        inputs: Any,
        frames: int,
        first_channel: int,
        channels: int,
        sub_frames: int,
    ) -> int:
        """Work out the same from scalers (frames, channels, sub-frames, 9), one of each per sub-frame."""
        return self._calculate(path, scalers, factors, inputs, frames, first_channel, channels, sub_frames)

    def _calculate(
        self,
        path: int,
        scalers: Any,
        factors: Any,
        inputs: Any,
        frames: int,
        first_channel: int,
        channels: int,
        sub_frames: int,
    ) -> int:
        system = self.system(path)
        check_range("num_tf", frames, 1, _MOST_FRAMES)
        check_channels(system, first_channel, channels)
        check_range("num_sub_frames", sub_frames, 1, _MOST_FRAMES)
        required(hardwareScalerReadings=scalers, dtcFactors=factors, inpEst=inputs)
        shape = frames, channels, sub_frames
        counts = array_at(scalers, np.uint32, *shape, SCALERS)
        found, _ = _corrected(system, counts, first_channel)
        array_at(factors, np.float64, *shape)[:] = found.factors
        array_at(inputs, np.float64, *shape)[:] = found.inputs
        return OK

    @emulated
    def xsp3_scaler_dtc_read(
        self, path: int, dest: Any, scaler: int, channel: int, frame: int, scalers: int, channels: int, frames: int
    ) -> int:
        """Read corrected scalers, by frame, channel, scaler."""
        system = self.system(path)
        required(dest=dest)
        check_part("scaler", scaler, scalers, SCALERS)
        counts = self.scalers(system, frame, channel, frames, channels)[:, :, np.newaxis]
        found = _corrected(system, counts, channel)[1][:, :, 0, scaler : scaler + scalers]
        array_at(dest, np.float64, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_scaler_dtc_read_sf(
        self,
        path: int,
        dest: Any,
        scaler: int,
        first_part: int,
        channel: int,
        frame: int,
        scalers: int,
        parts: int,
        channels: int,
        frames: int,
    ) -> int:
        """Read corrected scalers, by frame, channel, sub-frame, scaler."""
        system = self.system(path)
        required(dest=dest)
        check_part("scaler", scaler, scalers, SCALERS)
        counts = self.scalers_of_parts(system, frame, channel, first_part, frames, channels, parts)
        found = _corrected(system, counts, channel)[1][..., scaler : scaler + scalers]
        array_at(dest, np.float64, *found.shape)[:] = found
        return OK

    @emulated
    def xsp3_hist_dtc_read4d(
        self,
        path: int,
        spectra: Any,
        scalers: Any,
        bin_: int,
        aux: int,
        channel: int,
        frame: int,
        bins: int,
        auxes: int,
        channels: int,
        frames: int,
    ) -> int:
        """Read corrected spectra, and all nine corrected scalers unless that pointer is NULL."""
        first, count = (frame, channel, aux, bin_), (frames, channels, auxes, bins)
        return self._read_corrected(path, spectra, scalers, first, count)

    @emulated
    def xsp3_hist_dtc_read4d_sf(
        self,
        path: int,
        spectra: Any,
        scalers: Any,
        bin_: int,
        aux: int,
        channel: int,
        frame: int,
        bins: int,
        auxes: int,
        channels: int,
        frames: int,
    ) -> int:
        """Read the same with sub-frames, which `xsp3_hist_dtc_read4d` does too in such a format."""
        first, count = (frame, channel, aux, bin_), (frames, channels, auxes, bins)
        return self._read_corrected(path, spectra, scalers, first, count)

    def _read_corrected(
        self, path: int, spectra: Any, scalers: Any, first: tuple[int, int, int, int], count: tuple[int, int, int, int]
    ) -> int:
        system = self.system(path)
        required(hist_buff=spectra)
        counts = self.spectra(system, first, count)
        frame, channel, aux, _ = first
        frames, channels, auxes, _ = count
        forms = system.layouts.formats[channel : channel + channels]
        if all(form.sub_frames for form in forms):
            measured = self.scalers_of_parts(system, frame, channel, aux, frames, channels, auxes)
        else:
            measured = self.scalers(system, frame, channel, frames, channels)[:, :, np.newaxis]
        correction, corrected = _corrected(system, measured, channel)
        factors = correction.factors[..., np.newaxis]
        np.multiply(counts, factors, out=array_at(spectra, np.float64, *counts.shape))
        if scalers != ffi.NULL:
            array_at(scalers, np.float64, *corrected.shape)[:] = corrected
        return OK

    @emulated
    def xsp3_hist_dtc_read3d(
        self, path: int, spectra: Any, bin_: int, y: int, frame: int, bins: int, rows: int, frames: int
    ) -> int:
        """Read corrected spectra, by frame, row, bin; rows as for `xsp3_histogram_read3d`."""
        system = self.system(path)
        required(hist_buff=spectra)
        counts = self.rows(system, (frame, y, bin_), (frames, rows, bins))
        form = system.layouts.formats[0]
        if form.sub_frames:
            measured = self.scalers_of_parts(system, frame, 0, 0, frames, system.channels, form.rows)
        else:
            measured = self.scalers(system, frame, 0, frames, system.channels)[:, :, np.newaxis]
        factors = np.broadcast_to(_corrected(system, measured, 0)[0].factors, (frames, system.channels, form.rows))
        factors = factors.reshape(frames, -1)[:, y : y + rows]
        np.multiply(counts, factors[..., np.newaxis], out=array_at(spectra, np.float64, *counts.shape))
        return OK


def _parameters(system: System, first: int, channels: int) -> list[DeadtimeParameters]:
    with system.lock:
        return [
            DeadtimeParameters(DeadtimeFlag(system.deadtime_flags[channel]), *system.deadtime[channel])
            for channel in range(first, first + channels)
        ]


def _corrected(system: System, scalers: NDArray[np.uint32], first: int) -> tuple[Correction, NDArray[np.float64]]:
    """Correct scalers (frames, channels, sub-frames, 9) of channels from `first` on.

    Returns the correction, (frames, channels, sub-frames), and the corrected scalers.
    """
    channels_last = np.swapaxes(scalers, 1, 2)
    parameters = _parameters(system, first, scalers.shape[1])
    found = correct(channels_last, parameters, system.electronics.energy, system.settings.family.clock_period)
    corrected = np.swapaxes(corrected_scalers(channels_last, parameters, found), 1, 2)
    return Correction(*(np.swapaxes(array, 1, 2) for array in found)), corrected
