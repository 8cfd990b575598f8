"""The emulated functions of the dead-time correction: orders of arguments and arrays, checks, sub-frames."""

import numpy as np
from sdk_bench import connect, internal

from xsp3ioc.sdk.cdef import ffi

RANGE_CHECK = -6


def test_corrected_spectra_are_the_raw_ones_times_the_factors():
    handle, emulator, _ = connect(pace="reader", count_rate=500_000.0)
    internal(handle, 0, 400_000)
    handle.start()
    raw, scalers = np.zeros((3, 2, 100), np.uint32), np.zeros((3, 2, 9), np.uint32)
    pointers = [ffi.from_buffer("uint32_t[]", array) for array in (raw, scalers)]
    assert emulator.xsp3_histogram_read4d(0, pointers[0], 700, 0, 1, 4, 100, 1, 2, 3) == 0
    assert emulator.xsp3_scaler_read(0, pointers[1], 0, 1, 4, 9, 2, 3) == 0
    rates = (2e-9, 1e-7, 5e-8, 3e-9)  # gradient, offset, offset, gradient
    assert emulator.xsp3_setDeadtimeCorrectionParameters(0, 2, 2, *rates) == 0
    assert emulator.xsp3_setDeadtimeCalculationEnergy(0, 6.4) == 0
    factors, inputs = np.zeros((3, 2)), np.zeros((3, 2))
    out = [ffi.from_buffer("double[]", array) for array in (factors, inputs)]
    assert emulator.xsp3_calculateDeadtimeCorrectionFactors(0, pointers[1], *out, 3, 1, 2) == 0
    assert (factors > 1).all() and not np.allclose(factors[:, 0], factors[:, 1])
    spectra, corrected = np.zeros((3, 2, 100)), np.zeros((3, 2, 9))
    memory = [ffi.from_buffer("double[]", array) for array in (spectra, corrected)]
    assert emulator.xsp3_hist_dtc_read4d(0, *memory, 700, 0, 1, 4, 100, 1, 2, 3) == 0
    assert np.array_equal(spectra, raw * factors[..., np.newaxis])
    expected = scalers.astype(float)
    expected[..., 5:7] *= factors[..., np.newaxis]
    expected[:, 0, 3], expected[:, 1, 4] = inputs[:, 0], inputs[:, 1]  # channel 2 uses good events
    assert np.array_equal(corrected, expected)
    again = np.zeros_like(spectra)
    assert (
        emulator.xsp3_hist_dtc_read4d(0, ffi.from_buffer("double[]", again), ffi.NULL, 700, 0, 1, 4, 100, 1, 2, 3) == 0
    )
    assert np.array_equal(again, spectra)
    again[:] = 0
    assert emulator.xsp3_hist_dtc_read3d(0, ffi.from_buffer("double[]", again), 700, 1, 4, 100, 2, 3) == 0
    assert np.array_equal(again, spectra)
    part = np.zeros((3, 2, 4))
    assert emulator.xsp3_scaler_dtc_read(0, ffi.from_buffer("double[]", part), 3, 1, 4, 4, 2, 3) == 0
    assert np.array_equal(part, expected[..., 3:7])


def test_corrected_sub_frames():
    handle, emulator, _ = connect(pace="reader", count_rate=500_000.0, channels=2)
    assert emulator.xsp3_format_sub_frames(0, -1, 0, 0, 0, 12, 2, 200_000) == 32
    internal(handle, 0, 300_000)
    handle.start()
    raw, scalers = np.zeros((3, 2, 2, 4096), np.uint32), np.zeros((3, 2, 2, 9), np.uint32)
    pointers = [ffi.from_buffer("uint32_t[]", array) for array in (raw, scalers)]
    assert emulator.xsp3_histogram_read4d(0, pointers[0], 0, 0, 0, 0, 4096, 2, 2, 3) == 0
    assert emulator.xsp3_scaler_read_sf(0, pointers[1], 0, 0, 0, 0, 9, 2, 2, 3) == 0
    factors, inputs = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    out = [ffi.from_buffer("double[]", array) for array in (factors, inputs)]
    assert emulator.xsp3_calculateDeadtimeCorrectionFactors_sf(0, pointers[1], *out, 3, 0, 2, 2) == 0
    spectra, corrected = np.zeros((3, 2, 2, 4096)), np.zeros((3, 2, 2, 9))
    memory = [ffi.from_buffer("double[]", array) for array in (spectra, corrected)]
    for read in (emulator.xsp3_hist_dtc_read4d_sf, emulator.xsp3_hist_dtc_read4d):
        assert read(0, *memory, 0, 0, 0, 0, 4096, 2, 2, 3) == 0
        assert np.array_equal(spectra, raw * factors[..., np.newaxis])
        assert np.array_equal(corrected[..., 3], inputs)
    part = np.zeros((3, 2, 1, 9))
    assert emulator.xsp3_scaler_dtc_read_sf(0, ffi.from_buffer("double[]", part), 0, 1, 0, 0, 9, 1, 2, 3) == 0
    assert np.array_equal(part[:, :, 0], corrected[:, :, 1])
    flat = np.zeros((3, 3, 4096))
    assert emulator.xsp3_hist_dtc_read3d(0, ffi.from_buffer("double[]", flat), 0, 1, 0, 4096, 3, 3) == 0
    assert np.array_equal(flat, spectra.reshape(3, 4, 4096)[:, 1:])


def test_dead_time_parameters_in_both_orders():
    _, emulator, _ = connect()
    flags, plain, whole = (
        ffi.new("int *"),
        [ffi.new("double *") for _ in range(4)],
        [ffi.new("double *") for _ in range(8)],
    )
    assert emulator.xsp3_setDeadtimeCorrectionParameters2(0, -1, 3, *range(1, 9)) == 0
    assert emulator.xsp3_getDeadtimeCorrectionParameters2(0, 3, flags, *whole) == 0
    assert flags[0] == 3 and [value[0] for value in whole] == list(range(1, 9))
    assert emulator.xsp3_getDeadtimeCorrectionParameters(0, 2, flags, *plain) == 0
    assert [value[0] for value in plain] == [2, 1, 5, 6]  # gradient, offset, offset, gradient
    assert emulator.xsp3_setDeadtimeCorrectionParameters(0, 2, 1, 20, 10, 50, 60) == 0
    assert emulator.xsp3_getDeadtimeCorrectionParameters2(0, 2, flags, *whole) == 0
    assert flags[0] == 1 and [value[0] for value in whole] == [10, 20, 0, 0, 50, 60, 0, 0]
    flags[0] = 7
    assert emulator.xsp3_getDeadtimeCorrectionFlags(0, 1, flags) == 0 and flags[0] == 3
    for wrong in ((4, *range(8)), (-1, *range(8)), (0, float("nan"), *range(7)), (0, *range(7), float("inf"))):
        assert emulator.xsp3_setDeadtimeCorrectionParameters2(0, 2, *wrong) == RANGE_CHECK
    assert emulator.xsp3_getDeadtimeCalculationEnergy(0) == 0.0
    assert (
        emulator.xsp3_setDeadtimeCalculationEnergy(0, 12.5) == 0
        and emulator.xsp3_getDeadtimeCalculationEnergy(0) == 12.5
    )
    for energy in (-0.1, float("nan"), float("inf")):
        assert emulator.xsp3_setDeadtimeCalculationEnergy(0, energy) == RANGE_CHECK
    assert emulator.xsp3_getDeadtimeCalculationEnergy(0) == 12.5
