"""Frames through the handle: status of all channels, parts, blocks across the ring's end, waiting, corrected frames."""

import numpy as np
import pytest
from sdk_bench import CIRCULAR, connect, internal, read
from sdk_recorder import Recorder

from xsp3ioc.sdk import (
    STATUS_DTYPE,
    DeadtimeFlag,
    DeadtimeParameters,
    EmulatedLibrary,
    EmulatorSettings,
    MissingFunction,
    OutOfRange,
    SettingsFileError,
    TimingSource,
    Xspress3,
    Xspress3Error,
)


def running(frames=0, ticks=1000, **settings):
    handle, emulator, clock = connect(**{"pace": "reader"} | settings)
    internal(handle, frames, ticks)
    handle.start()
    return handle, emulator, clock


def test_status_of_all_channels_is_one_call_each():
    libraries = []

    def record(emulator):
        libraries.append(Recorder(emulator))
        return libraries[0]

    handle, _, _ = running(library=record)
    found = np.zeros((handle.channels, 10), STATUS_DTYPE)
    libraries[0].calls.clear()
    handle.frame_status(5, found)
    assert libraries[0].names == ["xsp3_histogram_get_tf_status_block"] * 4
    assert [arguments[:3] for _, arguments in libraries[0].calls] == [(channel, 5, 10) for channel in range(4)]
    assert (found["time_frame"] == np.arange(5, 15)).all() and (found["state"] == 1).all()


def test_status_fills_a_part_of_a_larger_array():
    handle, _, _ = running()
    whole = np.zeros((4, 64), STATUS_DTYPE)
    handle.frame_status(0, whole[:, 10:20])
    assert (whole["time_frame"][:, 10:20] == np.arange(10)).all()
    assert not whole["time_frame"][:, :10].any() and not whole["state"][:, 20:].any()


@pytest.mark.parametrize("shape", [(3, 10), (5, 10), (4, 10, 1), ()])
def test_status_arrays_of_another_shape(shape):
    handle, _, _ = running()
    with pytest.raises(ValueError, match=r"STATUS_DTYPE \(4, frames\)"):
        handle.frame_status(0, np.zeros(shape, STATUS_DTYPE))


def test_status_arrays_of_another_kind():
    handle, _, _ = running()
    with pytest.raises(ValueError, match="int64"):
        handle.frame_status(0, np.zeros((4, 10), np.int64))
    with pytest.raises(ValueError, match="not C-contiguous"):
        handle.frame_status(0, np.zeros((4, 20), STATUS_DTYPE)[:, ::2])
    with pytest.raises(ValueError, match="straddle the end of the ring of 64"):
        handle.frame_status(60, np.zeros((4, 10), STATUS_DTYPE))


def test_frames_below_0_are_no_frames():
    handle, _, _ = running()
    for call in (lambda: read(handle, -1, 1), lambda: handle.acknowledge(-1, 1), lambda: handle.read(-5, 2)):
        with pytest.raises(ValueError, match="is below 0"):
            call()


def test_reading_goes_on_across_the_end_of_the_ring():
    handle, emulator, _ = running(frames=64, ahead=64)
    internal(handle, 200, 1000)
    handle.start()
    handle.acknowledge(0, 50)
    found = handle.read(50, 40)
    mca, scalers = emulator.frames(50, 40)
    assert found.first == 50 and found.whole.all()
    assert np.array_equal(found.mca, mca) and np.array_equal(found.scalers, scalers)


def test_frames_that_are_not_whole():
    handle, _, _ = running()
    found = handle.read(8, 3)
    found.status["time_frame"][2, 1] = 0
    assert found.whole.tolist() == [True, False, True]


def test_parts_and_channels():
    handle, _, _ = running()
    mca, _ = read(handle, 0, 6)
    part = np.zeros((3, 2, 50), np.uint32)
    handle.read_part(2, part, channel=1, bin=780)
    assert np.array_equal(part, mca[2:5, 1:3, 780:830])
    with pytest.raises(OutOfRange):
        handle.read_part(2, part, channel=1, bin=4080)
    with pytest.raises(ValueError, match=r"\(frames, channels, bins\)"):
        handle.read_part(2, part[0])


def test_waiting_for_frames():
    handle, _, _ = connect(EmulatorClock())
    internal(handle, 10, 1000)
    handle.start()
    assert handle.wait(10, 60).frames == 10
    with pytest.raises(TimeoutError, match=r"10 of 11 frames are complete after 0.01 s"):
        handle.wait(11, 0.01)


class EmulatorClock:
    """Time that goes on by a microsecond whenever somebody asks."""

    def __init__(self):
        self.ns = 0

    def __call__(self):
        self.ns += 1000
        return self.ns

    def sleep(self, seconds):
        self.ns += round(seconds * 1e9)


SOME = DeadtimeParameters(DeadtimeFlag.use_good_event, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
NO_RATES = SOME._replace(
    all_event_rate_offset=0.0, all_event_rate_gradient=0.0, in_window_rate_offset=0.0, in_window_rate_gradient=0.0
)


def test_dead_time_parameters_in_the_order_of_each_function():
    new = Recorder(EmulatedLibrary(EmulatorSettings()), xsp3_setDeadtimeCorrectionParameters2=lambda *_: 0)
    handle = Xspress3.configure(new, frames=64)
    handle.set_dead_time_parameters(-1, SOME)
    assert new.last("xsp3_setDeadtimeCorrectionParameters2") == (-1, 2, 1, 2, 3, 4, 5, 6, 7, 8)
    old = Recorder(
        EmulatedLibrary(EmulatorSettings()), {"xsp3_setDeadtimeCorrectionParameters2"},
        xsp3_setDeadtimeCorrectionParameters=lambda *_: 0,
    )  # fmt: skip
    handle = Xspress3.configure(old, frames=64)
    handle.set_dead_time_parameters(1, NO_RATES)
    assert old.last("xsp3_setDeadtimeCorrectionParameters") == (1, 2, 2, 1, 5, 6)
    with pytest.raises(MissingFunction, match="xsp3_setDeadtimeCorrectionParameters2"):
        handle.set_dead_time_parameters(1, SOME)


def test_dead_time_parameters_come_back():
    handle, _, _ = connect()
    handle.set_dead_time_parameters(2, SOME)
    assert handle.dead_time_parameters(2) == SOME and handle.dead_time_flags(2) == DeadtimeFlag.use_good_event
    assert handle.dead_time_parameters(1) != SOME
    handle.dead_time_energy = 6.4
    assert handle.dead_time_energy == 6.4


def test_corrected_frames_are_the_raw_ones_times_the_factors():
    handle, _, _ = running(ticks=800_000)
    mca, scalers = read(handle, 0, 8)
    factors, counts = handle.dead_time_factors(scalers)
    assert factors.shape == counts.shape == (8, 4) and (factors > 1).all() and (counts > scalers[..., 3]).all()
    one, _ = handle.dead_time_factors(scalers[:, 2:3].copy(), first_channel=2)
    assert np.array_equal(one, factors[:, 2:3])
    corrected, corrected_scalers = np.zeros((8, 4, 4096)), np.zeros((8, 4, 9))
    handle.read_corrected(0, corrected, corrected_scalers)
    np.testing.assert_allclose(corrected, mca * factors[..., None])
    alone = np.zeros((8, 4, 9))
    handle.read_corrected_scalers(0, alone)
    assert np.array_equal(alone, corrected_scalers)
    again, _ = read(handle, 0, 8)
    assert np.array_equal(again, mca)


def test_given_arrays_are_filled():
    seen = []

    def calculate(path, scalers, factors, counts, frames, first_channel, channels):
        seen.append((frames, first_channel, channels))
        for index in range(frames * channels):
            factors[index], counts[index] = scalers[9 * index + 8], index
        return 0

    library = Recorder(EmulatedLibrary(EmulatorSettings()), xsp3_calculateDeadtimeCorrectionFactors=calculate)
    handle = Xspress3.configure(library, frames=64)
    scalers = np.arange(2 * 3 * 9, dtype=np.uint32).reshape(2, 3, 9)
    scalers.flags.writeable = False
    factors, counts = np.zeros((2, 3)), np.zeros((2, 3))
    found = handle.dead_time_factors(scalers, factors, counts, first_channel=1)
    assert found[0] is factors and found[1] is counts and seen == [(2, 1, 3)]
    assert np.array_equal(factors, scalers[..., 8]) and np.array_equal(counts, np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match=r"float64 \(2, 2\), not C-contiguous float64 \(2, 3\)"):
        handle.dead_time_factors(scalers, np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"\(frames, channels, 9\)"):
        handle.dead_time_factors(np.zeros((2, 3, 8), np.uint32))


def test_auxiliary_rows_are_an_axis():
    seen = []

    def four_numbers(path, channel, eng, aux1, aux2, frames):
        eng[0], aux1[0], aux2[0], frames[0] = 4096, 2, 1, 32
        return 0

    def read4d(path, buffer, *arguments):
        seen.append(arguments)
        return 0

    library = Recorder(
        EmulatedLibrary(EmulatorSettings()),
        xsp3_format_run=lambda *_: 32, xsp3_get_format=four_numbers, xsp3_histogram_read4d=read4d,
    )  # fmt: skip
    handle = Xspress3.configure(library, frames=64)
    assert handle.format(aux1=7) == 32 and handle.aux == 2
    handle.read_mca(33, np.zeros((3, 4, 2, 4096), np.uint32))
    assert seen == [(0, 0, 0, 1, 4096, 2, 4, 3)]
    with pytest.raises(ValueError, match=r"\(frames, 4, 2, 4096\)"):
        handle.read_mca(0, np.zeros((3, 4, 4096), np.uint32))
    with pytest.raises(ValueError, match="aux2_bits = 5 is none of 0, 4, 6"):
        handle.format(aux2_bits=5)


def test_a_full_directory_is_not_written_over(tmp_path):
    handle, emulator, _ = connect()
    (tmp_path / "region0.dat").write_text("of another")
    with pytest.raises(SettingsFileError, match="is not empty, it holds region0.dat: name a new one"):
        handle.save_settings(tmp_path)
    (tmp_path / "region1.dat").mkdir()
    with pytest.raises(SettingsFileError, match="it holds region0.dat and 1 more"):
        handle.save_settings(tmp_path)
    with pytest.raises(SettingsFileError, match="no such directory"):
        handle.save_settings(tmp_path / "new")
    with pytest.raises(SettingsFileError, match="Not a directory"):
        handle.save_settings(tmp_path / "region0.dat")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["region0.dat", "region1.dat"]
    with pytest.raises(ValueError, match="zero byte"):
        handle.restore_settings("/tmp/settings\0")


def test_settings_with_their_clock(tmp_path):
    handle, _, _ = connect()
    handle.set_window(-1, 1, 7, 8)
    handle.save_settings(tmp_path)
    handle.set_window(-1, 1, 0, 1)
    handle.restore_settings(tmp_path, clock=True)
    assert handle.window(2, 1) == (7, 8)


def test_who_must_acknowledge():
    for product, expected in {"xspress3": False, "mini": True, "xspress4": False, "x3x2": True}.items():
        handle, _, _ = connect(product=product, channels=2, flags=CIRCULAR)
        assert handle.must_acknowledge is expected
        internal(handle, 10, 1000)
        handle.start()
        handle.acknowledge(0, 1)
        if expected:
            with pytest.raises(Xspress3Error, match="already acknowledged"):
                handle.acknowledge(0, 1)
        else:
            handle.acknowledge(0, 1)


def test_frequencies_of_the_clocks():
    for product, frequency in {"xspress3": 0, "mini": 80_000_000, "xspress4": 100_000_000}.items():
        handle, _, _ = connect(product=product, channels=2)
        assert handle.setup_clocks() == (frequency,)


def test_a_clock_without_a_period():
    library = Recorder(EmulatedLibrary(EmulatorSettings()), xsp3_get_clock_period=lambda *_: 0.0)
    handle = Xspress3.configure(library)
    with pytest.raises(Xspress3Error, match=r"card 0 has a clock period of 0.0 s: call setup_clocks first"):
        handle.clock_period()


def test_a_handle_in_a_notebook():
    handle, _, _ = connect(product="mini", channels=2)
    assert repr(handle) == "<Xspress3 Xspress3 Mini: 2 channels on 1 card; path 0 of emulator>"
    with handle:
        handle.close()
    handle.close()
    assert repr(handle) == "<Xspress3 closed, emulator>"
    with pytest.raises(Xspress3Error, match="this handle has been closed.*connect again with Xspress3.configure"):
        handle.set_timing(TimingSource.internal)
