"""Formats: rows of auxiliary data, regions, sub-frames, gain. What is in the rows adds up to the plain spectrum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_bench import connect, internal

from xsp3ioc.sdk import Scaler, expected_frames
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Region
from xsp3ioc.sdk.emulator.distribution import lay_out, recounted, seen, sub_frame_scalers
from xsp3ioc.sdk.emulator.layout import AUX1_ROWS, AUX2_BITS, ChannelFormat, region_fault

TICKS = 400_000
NO_AUX, MIN_DISTANCE, PILEUP, GOOD_GRADE, TIMESTAMPED = 0, 1, 7, 15, 100
REJECT = -0x80000000
SETTINGS = {"count_rate": 400_000.0, "pileup_window": 2e-7}


def running(frames=64, **settings):
    """A system with some frames ready, as drawn: spectra (8, channels, 4096) and scalers (8, channels, 9)."""
    handle, emulator, _ = connect(frames=frames, pace="reader", **(SETTINGS | settings))
    return handle, emulator, expected_frames(emulator.settings, TICKS, 0, 8)


def start(handle):
    internal(handle, 0, TICKS)
    handle.start()


def format_run(emulator, channel=-1, aux1=0, threshold=0, aux2=0, flags=0, aux2_mode=0, bits=12):
    return emulator.xsp3_format_run(0, channel, aux1, threshold, aux2, flags, aux2_mode, bits)


def read4d(emulator, rows, bins=4096, frame=0, frames=8, channel=0, channels=4, row=0, bin_=0):
    out = np.full((frames, channels, rows, bins), 0xDEADBEEF, np.uint32)
    pointer = ffi.from_buffer("uint32_t[]", out)
    assert emulator.xsp3_histogram_read4d(0, pointer, bin_, row, channel, frame, bins, rows, channels, frames) == 0
    return out


def scalers_of(emulator, parts=None, frames=8, channels=4):
    shape = (frames, channels, 9) if parts is None else (frames, channels, parts, 9)
    out = np.full(shape, 0xDEADBEEF, np.uint32)
    pointer = ffi.from_buffer("uint32_t[]", out)
    if parts is None:
        assert emulator.xsp3_scaler_read(0, pointer, 0, 0, 0, 9, channels, frames) == 0
    else:
        assert emulator.xsp3_scaler_read_sf(0, pointer, 0, 0, 0, 0, 9, parts, channels, frames) == 0
    return out


def get_format(emulator, channel=0):
    numbers = [ffi.new("int *") for _ in range(4)]
    assert emulator.xsp3_get_format(0, channel, *numbers) == 0
    return [number[0] for number in numbers]


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


def test_before_any_format_there_are_4096_bins_and_one_row():
    _, emulator, _ = connect(frames=100)
    emulator.xsp3_close(0)
    assert emulator.xsp3_config(1, 100, ffi.NULL, -1, ffi.NULL, -1, 1, ffi.NULL, 0, 0) == 0
    assert get_format(emulator) == [4096, 1, 1, 100]
    assert emulator.xsp3_get_num_tf(0) == emulator.xsp3_scaler_get_num_tf(0) == 100
    assert emulator.xsp3_get_bins_per_mca(0) == 4096


@pytest.mark.parametrize(
    "aux1, aux2, bits, rows1, rows2, fit",
    [
        (PILEUP, 0, 12, 2, 1, 500),
        (MIN_DISTANCE, 0, 12, 16, 1, 62),
        (MIN_DISTANCE, 0, 10, 16, 1, 250),
        (PILEUP, 1, 12, 2, 16, 31),
        (NO_AUX, 2, 6, 1, 64, 1000),
        (11, 0, 9, 8, 1, 1000),
        (10, 0, 12, 16, 1, 62),
        (GOOD_GRADE, 0, 12, 1, 1, 1000),
        (TIMESTAMPED, 0, 12, 1, 1, 1000),
        (NO_AUX, 0, 11, 1, 1, 2000),
    ],
)
def test_rows_and_bins_share_the_memory_out(aux1, aux2, bits, rows1, rows2, fit):
    _, emulator, _ = connect(frames=1000, product="xspress4")
    assert format_run(emulator, aux1=aux1, aux2=aux2, bits=bits) == fit
    assert get_format(emulator, 3) == [1 << bits, rows1, rows2, fit]
    assert emulator.xsp3_get_num_tf(0) == fit
    assert format_run(emulator) == 1000


def test_what_does_not_fit_is_refused_and_changes_nothing():
    _, emulator, _ = connect(frames=64)
    assert format_run(emulator, aux2=3) == -8
    assert "4096 bins x 256 rows do not fit into memory for 64 frames" in message(emulator)
    assert get_format(emulator) == [4096, 1, 1, 64]
    assert format_run(emulator, aux2=2) == 1


@pytest.mark.parametrize("aux1", [PILEUP, MIN_DISTANCE, 10, 11])
@pytest.mark.parametrize("aux2", [0, 1])
def test_rows_add_up_to_the_plain_spectrum(aux1, aux2):
    handle, emulator, (mca, scalers) = running(frames=2048)
    format_run(emulator, aux1=aux1, aux2=aux2, bits=12)
    start(handle)
    rows = AUX1_ROWS[aux1] << AUX2_BITS[aux2]
    found = read4d(emulator, rows)
    assert np.array_equal(found.sum(axis=2), mca)
    assert np.array_equal(scalers_of(emulator), scalers)
    assert np.array_equal(read4d(emulator, 1, row=rows - 1)[:, :, 0], found[:, :, rows - 1])
    if aux2:
        by_aux2 = found.reshape(8, 4, 16, -1, 4096).sum(axis=(3, 4)).astype(int)
        assert np.ptp(by_aux2, axis=2).max() <= AUX1_ROWS[aux1]  # evenly, but for what does not divide
    if aux1 == PILEUP:
        piled = found.reshape(8, 4, -1, 2, 4096).sum(axis=2)[:, :, 1]
        assert np.array_equal(piled.sum(axis=-1), scalers[..., Scaler.pileup])
        assert piled.sum() > 1000
        energies = np.arange(4096)
        assert (piled @ energies).sum() / piled.sum() > 1.4 * (mca @ energies).sum() / mca.sum()
    if aux1 == MIN_DISTANCE and not aux2:
        shares = found.sum(axis=(0, 1, 3)) / found.sum()
        assert 0.04 < shares[0] < 0.12 and (np.diff(shares[:15]) < 0.001).all() and shares[15] > 0.2


def test_fewer_bits_of_energy_with_rows():
    handle, emulator, (mca, _) = running()
    format_run(emulator, aux1=PILEUP, bits=8)
    start(handle)
    found = read4d(emulator, 2, bins=256)
    assert np.array_equal(found.sum(axis=2), mca.reshape(8, 4, 256, 16).sum(axis=-1))
    part = read4d(emulator, 1, bins=10, frame=3, frames=2, channel=1, channels=2, row=1, bin_=40)
    assert np.array_equal(part, found[3:5, 1:3, 1:2, 40:50])


def test_rejected_pile_up_is_missing_in_spectra_and_windows_only():
    handle, emulator, (mca, scalers) = running()
    assert format_run(emulator, flags=REJECT) == 64
    handle.set_window(-1, 0, 0, 4095)
    handle.set_window(-1, 1, 500, 900)
    start(handle)
    found, counted = read4d(emulator, 1)[:, :, 0], scalers_of(emulator)
    assert np.array_equal(mca.sum(axis=-1) - found.sum(axis=-1), scalers[..., Scaler.pileup])
    assert (found <= mca).all() and (found < mca).any(axis=-1).all()
    assert np.array_equal(counted[..., Scaler.window0], found.sum(axis=-1))
    assert np.array_equal(counted[..., Scaler.window1], found[..., 500:901].sum(axis=-1))
    others = [Scaler.ticks, Scaler.all_event, Scaler.all_good, Scaler.pileup, Scaler.resets]
    assert np.array_equal(counted[..., others], scalers[..., others])


def test_the_reject_flag_is_taken_as_c_callers_pass_it():
    _, emulator, _ = connect()
    function = ffi.callback("int(int,int,int,int,int,int,int,int)", emulator.xsp3_format_run)
    assert function(0, -1, 0, 0, 0, ffi.cast("int", 0x80000000), 0, 12) == 64
    assert emulator.system(0).layouts.formats[0].rejects_pileup
    assert function(0, -1, 0, 0, 0, 2 | 8, 0, 12) == 64
    assert not emulator.system(0).layouts.formats[0].rejects_pileup


def test_a_good_grade_masks_what_is_too_close():
    handle, emulator, (mca, scalers) = running()
    sums = []
    for threshold in (0, 8, 64, 1023):
        format_run(emulator, aux1=GOOD_GRADE, threshold=threshold)
        start(handle)
        found = read4d(emulator, 1)[:, :, 0]
        assert (found <= mca).all()
        assert np.array_equal(scalers_of(emulator), scalers)
        sums.append(int(found.sum()))
    assert sums[0] == mca.sum() and sums == sorted(sums, reverse=True) and 0 < sums[3] < 0.6 * sums[0]


def test_channels_may_differ():
    handle, emulator, (mca, _) = running(frames=64)
    assert format_run(emulator, 1, aux1=PILEUP) == 32
    assert format_run(emulator, 2, bits=10) == 32
    assert [get_format(emulator, channel) for channel in range(4)] == [
        [4096, 1, 1, 32],
        [4096, 2, 1, 32],
        [1024, 1, 1, 32],
        [4096, 1, 1, 32],
    ]
    start(handle)
    assert np.array_equal(read4d(emulator, 2, channel=1, channels=1).sum(axis=2), mca[:, 1:2])
    assert np.array_equal(
        read4d(emulator, 1, bins=1024, channel=2, channels=1)[:, 0, 0], mca[:, 2].reshape(8, 1024, 4).sum(-1)
    )
    assert np.array_equal(read4d(emulator, 1, channel=3, channels=1)[:, :, 0], mca[:, 3:])
    buffer = ffi.new("uint32_t[]", 4 * 4096)
    assert emulator.xsp3_histogram_read4d(0, buffer, 0, 0, 1, 0, 4096, 1, 2, 1) == -6
    assert emulator.xsp3_histogram_read4d(0, buffer, 0, 1, 0, 0, 4096, 1, 1, 1) == -6
    assert emulator.xsp3_histogram_read3d(0, buffer, 0, 0, 0, 4096, 1, 1) == -1
    assert "different numbers of auxiliary rows" in message(emulator)


def test_rows_of_read3d_and_read_chan():
    handle, emulator, _ = running()
    format_run(emulator, aux1=PILEUP)
    start(handle)
    whole = read4d(emulator, 2)
    flat = whole.reshape(8, 8, 4096)
    out = np.zeros((3, 4, 100), np.uint32)
    pointer = ffi.from_buffer("uint32_t[]", out)
    assert emulator.xsp3_histogram_read3d(0, pointer, 700, 3, 2, 100, 4, 3) == 0
    assert np.array_equal(out, flat[2:5, 3:7, 700:800])
    out = np.zeros((3, 2, 100), np.uint32)
    pointer = ffi.from_buffer("uint32_t[]", out)
    assert emulator.xsp3_histogram_read_chan(0, pointer, 2, 700, 0, 2, 100, 2, 3) == 0
    assert np.array_equal(out, whole[2:5, 2, :, 700:800])
    assert emulator.xsp3_calib_histogram_read3d(0, pointer, 700, 3, 2, 100, 2, 3, 0) == 0
    assert np.array_equal(out, flat[2:5, 3:5, 700:800])
    assert emulator.xsp3_calib_histogram_read3d(0, pointer, 700, 2, 2, 100, 2, 3, 1) == 0
    assert not out.any()
    assert emulator.xsp3_calib_histogram_read3d(0, pointer, 1000, 0, 0, 100, 2, 3, 1) == -6
    assert emulator.xsp3_histogram_read3d(0, pointer, 0, 7, 0, 10, 2, 1) == -6


def test_plain_formats_through_the_other_reads():
    handle, emulator, (mca, scalers) = running(product="mini", channels=2)
    start(handle)
    out = np.zeros((8, 2, 4096), np.uint32)
    pointer = ffi.from_buffer("uint32_t[]", out)
    assert emulator.xsp3m_histogram_read_frames(0, pointer, 0, 0, 0, 4096, 2, 8) == 0
    assert np.array_equal(out, mca)
    counted = np.zeros((8, 2, 9), np.uint32)
    assert emulator.xsp3m_scaler_read(0, ffi.from_buffer("uint32_t[]", counted), 0, 0, 0, 9, 2, 8) == 0
    assert np.array_equal(counted, scalers)
    assert np.array_equal(scalers_of(emulator, parts=1, channels=2)[:, :, 0], scalers)
    out[:] = 7
    assert emulator.xsp3_diag_histogram_read3d(0, pointer, 0, 0, 0, 4096, 2, 8) == 0
    assert not out.any()  # that stream does not run
    emulator.xsp3_set_run_flags(0, 0x11C)
    assert emulator.xsp3_diag_histogram_read3d(0, pointer, 0, 0, 0, 4096, 2, 8) == 0
    assert np.array_equal(out, mca)
    assert emulator.xsp3_diag_histogram_read3d(0, pointer, 0, 0, 8, 4096, 2, 3) == -6  # ten frames of diagnostics
    emulator.xsp3_dma_config_memory(0, -1, 5 << 14)
    assert emulator.xsp3_diag_histogram_read3d(0, pointer, 0, 0, 8, 4096, 2, 3) == 0


def test_only_a_mini_has_a_diagnostic_histogram_and_its_own_reads():
    _, emulator, _ = connect()
    buffer = ffi.new("uint32_t[]", 4096)
    numbers = [ffi.new("int *") for _ in range(5)]
    assert emulator.xsp3_diag_histogram_read3d(0, buffer, 0, 0, 0, 10, 1, 1) == -1
    assert emulator.xsp3m_histogram_read_frames(0, buffer, 0, 0, 0, 10, 1, 1) == -1
    assert emulator.xsp3m_scaler_read(0, buffer, 0, 0, 0, 9, 1, 1) == -1
    assert emulator.xsp3_read_format(0, 0, 1, *numbers) == -1
    assert emulator.xsp3_read_format(0, 0, 0, *numbers) == 0
    assert [number[0] for number in numbers] == [4, 4096, 1, 1, 64]


def test_regions_are_kept_and_the_rest_is_in_the_last_bin():
    handle, emulator, (mca, scalers) = running(frames=64)
    table = ffi.new("XSP3Roi[]", [(100, 199, 100), (300, 302, 1), (400, 410, 4)])
    assert format_run(emulator, bits=8) == 1024
    assert emulator.xsp3_set_roi(0, -1, 3, table) == 105
    assert get_format(emulator) == [256, 1, 1, 1024]
    start(handle)
    found = read4d(emulator, 1, bins=256)[:, :, 0]
    assert np.array_equal(found[..., :100], mca[..., 100:200])
    assert np.array_equal(found[..., 100], mca[..., 300:303].sum(-1))
    edges = [400, 403, 406, 409, 411]  # 11 bins into 4: bin 400 + i goes to i * 4 // 11
    for index, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        assert np.array_equal(found[..., 101 + index], mca[..., low:high].sum(-1))
    assert not found[..., 105:255].any()
    assert np.array_equal(found.sum(-1), mca.sum(-1))
    assert np.array_equal(scalers_of(emulator), scalers)  # windows and threshold look at raw bins
    memory = ffi.new("uint32_t[4096]")
    assert emulator.xsp3_read_reg(0, 2, 4, 0, 4096, memory) == 0
    words = list(memory)
    assert words[99:101] == [255, 0] and words[199:201] == [99, 255]
    assert words[300:303] == [100] * 3 and words[400:412] == [
        101,
        101,
        101,
        102,
        102,
        102,
        103,
        103,
        103,
        104,
        104,
        255,
    ]
    assert emulator.xsp3_init_roi(0, -1) == 0
    start(handle)
    assert np.array_equal(read4d(emulator, 1, bins=256)[:, :, 0], mca.reshape(8, 4, 256, 16).sum(-1))


def test_regions_need_a_format_of_less_than_12_bits():
    _, emulator, _ = connect()
    table = ffi.new("XSP3Roi[]", [(100, 199, 100)])
    assert emulator.xsp3_set_roi(0, 0, 1, table) == -6
    assert "nbits_eng of channel 0 is 12" in message(emulator)
    assert format_run(emulator, bits=7) == 2048
    assert emulator.xsp3_set_roi(0, 0, 1, table) == 100
    assert emulator.xsp3_has_roi(0, 0) == 1
    assert format_run(emulator, bits=6) == 4096  # the regions stand, what does not fit goes to the last bin
    assert emulator.system(0).layouts.formats[0].table[100:200].max() == 63


@pytest.mark.parametrize(
    "regions, why",
    [
        ([(0, 4096, 10)], "not within 0..4095"),
        ([(-1, 5, 1)], "not within"),
        ([(10, 9, 1)], "not within"),
        ([(0, 9, 11)], "out_bins = 11 of lhs = 0, rhs = 9 is outside 1..10"),
        ([(0, 9, 0)], "out_bins = 0"),
        ([(0, 100, 5), (100, 120, 5)], "overlaps"),
        ([(0, 255, 256)], "256 bins are more than 255"),
    ],
)
def test_regions_that_cannot_be(regions, why):
    _, emulator, _ = connect()
    format_run(emulator, bits=8)
    table = ffi.new("XSP3Roi[]", regions)
    assert emulator.xsp3_set_roi(0, -1, len(regions), table) == -6
    assert why in message(emulator)
    assert emulator.system(0).layouts.formats[0].regions == ()


@pytest.mark.parametrize("number", [0, -1, 9, 1000])
def test_there_are_one_to_eight_regions(number):
    _, emulator, _ = connect()
    format_run(emulator, bits=8)
    assert emulator.xsp3_set_roi(0, -1, number, ffi.new("XSP3Roi[9]")) == -6
    assert emulator.xsp3_set_roi(0, -1, 1, ffi.NULL) == -6


def test_sub_frames_share_a_frame_out_by_time():
    handle, emulator, (mca, scalers) = running()
    assert emulator.xsp3_format_sub_frames(0, -1, 0, 0, 0, 12, 4, 150_000) == 16
    assert get_format(emulator) == [4096, 4, 1, 16]
    start(handle)
    spectra, parts = read4d(emulator, 4), scalers_of(emulator, parts=4)
    assert np.array_equal(spectra.sum(axis=2), mca)
    assert np.array_equal(parts.sum(axis=2), scalers)
    assert parts[0, 0, :, Scaler.ticks].tolist() == [150_000, 150_000, 100_000, 0]
    assert not spectra[:, :, 3].any() and not parts[:, :, 3].any()
    assert np.array_equal(parts[..., Scaler.all_good], spectra[..., 50:].sum(-1))
    assert np.array_equal(parts[..., Scaler.window0], spectra.sum(-1))
    ratio = spectra[:, :, 2].sum() / spectra[:, :, 0].sum()
    assert ratio == pytest.approx(2 / 3, rel=0.01)
    assert np.array_equal(scalers_of(emulator), scalers)
    out = np.zeros((2, 1, 2, 3), np.uint32)
    assert emulator.xsp3_scaler_read_sf(0, ffi.from_buffer("uint32_t[]", out), 3, 1, 2, 4, 3, 2, 1, 2) == 0
    assert np.array_equal(out, parts[4:6, 2:3, 1:3, 3:6])
    assert emulator.xsp3_scaler_read_sf(0, ffi.from_buffer("uint32_t[]", out), 0, 3, 0, 0, 9, 2, 1, 1) == -6
    assert emulator.xsp3_format_sub_frames(0, -1, 0, 0, 0, 12, 0, 0) == 64
    assert get_format(emulator) == [4096, 1, 1, 64]


def test_sub_frames_without_pile_up():
    handle, emulator, (_, scalers) = running()
    emulator.xsp3_format_sub_frames(0, -1, 0, 0, REJECT, 10, 2, 200_000)
    start(handle)
    spectra, parts = read4d(emulator, 2, bins=1024), scalers_of(emulator, parts=2)
    assert np.array_equal(parts[..., Scaler.window0], spectra.sum(-1))
    assert np.array_equal(parts[..., Scaler.all_good].sum(-1), scalers[..., Scaler.all_good])
    assert (parts[..., Scaler.window0].sum(-1) < scalers[..., Scaler.window0]).all()


@pytest.mark.parametrize(
    "arguments, status",
    [
        ((4, 0, 0, 0, 0, 0, 12), -4),
        ((-1, 16, 0, 0, 0, 0, 12), -6),
        ((-1, -1, 0, 0, 0, 0, 12), -6),
        ((-1, 2, 0, 0, 0, 0, 12), -1),
        ((-1, 0, 1024, 0, 0, 0, 12), -6),
        ((-1, 0, -1, 0, 0, 0, 12), -6),
        ((-1, 0, 0, 8, 0, 0, 12), -6),
        ((-1, 0, 0, 0, 1, 0, 12), -6),
        ((-1, 0, 0, 0, 6, 0, 12), -6),
        ((-1, 0, 0, 0, 0, 8, 12), -6),
        ((-1, 0, 0, 0, 0, 0, 0), -6),
        ((-1, 0, 0, 0, 0, 0, 13), -6),
    ],
)
def test_formats_that_are_none(arguments, status):
    _, emulator, _ = connect()
    assert emulator.xsp3_format_run(0, *arguments) == status
    assert get_format(emulator) == [4096, 1, 1, 64]


@pytest.mark.parametrize(
    "product, aux1, status", [("mini", 1, -6), ("mini", 100, -6), ("x3x2", 7, -6), ("x3x2", 100, 64)]
)
def test_a_mini_has_no_auxiliary_data(product, aux1, status):
    _, emulator, _ = connect(product=product, channels=2)
    assert format_run(emulator, aux1=aux1) == status
    assert format_run(emulator, aux2=1) == -6
    assert emulator.xsp3_format_sub_frames(0, -1, 0, 0, 0, 12, 4, 1000) == -1
    assert emulator.xsp3_format_sub_frames(0, -1, 0, 0, 0, 11, -1, 0) == 128


def test_another_format_ends_the_run():
    handle, emulator, _ = running()
    start(handle)
    assert emulator.system(0).run is not None
    format_run(emulator)  # the same as before
    assert emulator.system(0).run is not None
    format_run(emulator, 1, bits=11)
    assert emulator.system(0).run is None and not read4d(emulator, 1, bins=2048).any()


def test_the_energy_gain_shifts_spectra_and_what_the_scalers_see():
    handle, emulator, (mca, scalers) = running()
    assert emulator.xsp3_bram_init(0, 1, 3, 1.25) == 0
    start(handle)
    found, counted = read4d(emulator, 1)[:, :, 0], scalers_of(emulator)
    assert np.array_equal(found[:, [0, 2, 3]], mca[:, [0, 2, 3]])
    energies = np.arange(4096) + 0.5
    mean = (mca[:, 1] @ energies).sum() / mca[:, 1].sum()
    assert (found[:, 1] @ energies).sum() / found[:, 1].sum() == pytest.approx(1.25 * mean, rel=0.02)
    assert found[:, 1].sum() == pytest.approx(mca[:, 1].sum(), rel=0.01)
    assert np.array_equal(counted[..., Scaler.all_good], found[..., 50:].sum(-1))
    assert np.array_equal(counted[..., Scaler.window0], found.sum(-1))
    word = ffi.new("uint32_t *")
    assert emulator.xsp3_read_reg(0, 1, 3, 17, 1, word) == 0 and word[0] == 1.25 * 65536
    assert emulator.xsp3_bram_init(0, -1, -1, -1.0) == 0
    start(handle)
    assert np.array_equal(read4d(emulator, 1)[:, :, 0], mca) and np.array_equal(scalers_of(emulator), scalers)


counts = st.lists(st.integers(0, 50), min_size=64, max_size=64)


@given(
    counts=counts,
    pileup=st.integers(0, 4000),
    ticks=st.integers(0, 10**6),
    aux1=st.sampled_from(sorted(AUX1_ROWS)),
    aux2=st.integers(0, 2),
    bits=st.integers(1, 12),
    sub_frames=st.integers(0, 5),
    reject=st.booleans(),
    gain=st.sampled_from([1.0, 0.5, 0.77]),
)
def test_every_event_goes_to_one_place(counts, pileup, ticks, aux1, aux2, bits, sub_frames, reject, gain):
    raw = np.zeros((1, 4096), np.uint32)
    raw[0, 1000:2024:16] = counts
    scalers = np.zeros((1, 9), np.uint32)
    scalers[0, [Scaler.ticks, Scaler.total_ticks]] = ticks
    scalers[0, Scaler.all_event] = raw.sum()
    scalers[0, Scaler.pileup] = pileup
    if sub_frames:
        aux1, aux2 = 0, 0
    form = ChannelFormat(bits, aux1, 0, aux2, 0, REJECT if reject else 0, sub_frames, 1000, gain=gain)
    assert seen(form, raw).sum() == raw.sum() and (seen(form, raw) >= 0).all()
    found = lay_out(form, raw, scalers, 0, form.rows)
    assert found.shape == (1, form.rows, form.bins) and (found >= 0).all()
    rejected = min(pileup, int(raw.sum())) if reject else 0
    assert found.sum() == raw.sum() - rejected
    windows = np.array([(0, 4095), (1200, 1300)])
    again = recounted(form, raw, scalers, 1100, windows)
    assert again[0, Scaler.window0] == found.sum()
    parts = sub_frame_scalers(form, raw, scalers, 1100, windows)
    assert np.array_equal(parts.sum(axis=1)[0], again[0])


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 300), st.integers(1, 300)), max_size=8))
def test_regions_keep_every_event_in_order(triples):
    regions = tuple(Region(low, low + width, bins) for low, width, bins in triples)
    form = ChannelFormat(bits=11, regions=regions)
    if region_fault(regions, form.bins):
        return
    raw = np.arange(1, 4097, dtype=np.uint32)[np.newaxis]
    found = lay_out(form, raw, np.zeros((1, 9), np.uint32), 0, 1)[0, 0]
    assert found.sum() == raw.sum()
    assert np.array_equal(found, np.bincount(form.table, weights=raw[0], minlength=form.bins).astype(int))
    for region in regions:
        bins = [
            (raw_bin - region.low) * region.bins // (region.high - region.low + 1)
            for raw_bin in range(region.low, region.high + 1)
        ]
        assert np.array_equal(form.table[region.low : region.high + 1] - form.table[region.low], bins)
