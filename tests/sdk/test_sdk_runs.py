"""Runs on a clock moved by hand: who makes frames, when they are complete, what start and stop do."""

import numpy as np
import pytest
from sdk_bench import CIRCULAR, STRAIGHT, connect, internal, read, same, status

from xsp3ioc.sdk import ItfgTrigger, Scaler, TimingSource, expected_frames, timed_frame

GAP = 80


def test_burst_follows_the_clock():
    handle, emulator, clock = connect()
    internal(handle, 3, 1000)
    assert handle.progress() == (0, 0, 0) and not handle.busy
    handle.start()
    clock.ticks(998)
    assert handle.progress().frames == 0 and handle.busy
    clock.ticks(4)
    assert handle.progress().frames == 1
    clock.ticks(1000 + GAP)
    assert handle.progress().frames == 2
    clock.ticks(10_000_000)
    assert handle.progress() == (3, 3, 0) and not handle.busy
    assert same(read(handle, 0, 3), expected_frames(emulator.settings, 1000, 0, 3))
    assert status(handle, 0, 4)["time_frame"].tolist() == [0, 1, 2, -1]


def test_frames_not_taken_are_zero():
    handle, _, clock = connect()
    internal(handle, 2, 1000)
    handle.start()
    clock.ticks(10_000)
    mca, scalers = read(handle, 2, 5)
    assert not mca.any() and not scalers.any()


def test_software_triggers_one_frame_each():
    handle, emulator, clock = connect()
    internal(handle, 5, 1000, ItfgTrigger.software)
    handle.arm()
    clock.ticks(50_000)
    assert handle.progress().frames == 0 and not handle.busy
    for number in range(5):
        handle.resume()
        handle.pause()
        clock.ticks(500)
        handle.resume()  # during the frame: lost
        handle.pause()
        assert handle.progress().frames == number
        clock.ticks(501)
        assert handle.progress().frames == number + 1
        clock.ticks(GAP + 5_000)
    handle.resume()
    clock.ticks(5_000)
    assert handle.progress().frames == 5
    assert same(read(handle, 0, 5), expected_frames(emulator.settings, 1000, 0, 5))


def test_only_an_edge_triggers():
    handle, _, clock = connect()
    internal(handle, 5, 1000, ItfgTrigger.software)
    handle.start()  # count enable is high already: the first frame at once
    clock.ticks(2_000)
    assert handle.progress().frames == 1
    handle.resume()
    clock.ticks(2_000)
    assert handle.progress().frames == 1
    handle.pause()
    handle.resume()
    clock.ticks(2_000)
    assert handle.progress().frames == 2


def test_one_trigger_starts_the_train():
    handle, _, clock = connect()
    internal(handle, 4, 1000, ItfgTrigger.software_only_first)
    handle.arm()
    clock.ticks(10_000)
    assert handle.progress().frames == 0
    handle.resume()
    handle.pause()
    clock.ticks(2 * (1000 + GAP))
    assert handle.progress().frames == 2
    clock.ticks(10_000)
    assert handle.progress().frames == 4


def test_pause_and_continue_do_not_disturb_a_burst():
    handle, _, clock = connect()
    internal(handle, 4, 1000)
    handle.start()
    for _ in range(10):
        clock.ticks(300)
        handle.pause()
        handle.resume()
    assert handle.progress().frames == 2
    clock.ticks(2_000)
    assert handle.progress().frames == 4


def test_software_timed_frames_last_as_long_as_they_are_open():
    handle, emulator, clock = connect()
    handle.set_timing(TimingSource.software)
    handle.start()
    lengths = [700, 80_000, 3, 2_000_000]
    for number, length in enumerate(lengths[:-1]):
        clock.ticks(length)
        handle.pause()
        assert handle.progress().frames == number + 1 and not handle.busy
        clock.ticks(999)
        handle.resume()
        assert handle.busy
    clock.ticks(lengths[-1])
    handle.stop()
    assert handle.progress().frames == 4
    mca, scalers = read(handle, 0, 4)
    ticks = scalers[:, 0, Scaler.total_ticks]
    assert np.abs(ticks.astype(int) - lengths).max() <= 1
    for number in range(4):
        assert same((mca[number], scalers[number]), timed_frame(emulator.settings, int(ticks[number]), number))


@pytest.mark.parametrize("first", [0, 5])
def test_stop_closes_a_part_frame(first):
    handle, emulator, clock = connect()
    internal(handle, 100, 80_000)
    handle.set_first_frame(first)
    handle.start()
    clock.ticks(2 * (80_000 + GAP) + 30_000)
    assert handle.progress().frames == first + 2
    handle.stop()
    assert handle.progress().frames == first + 3 and not handle.busy
    clock.ticks(1_000_000)
    assert handle.progress().frames == first + 3
    mca, scalers = read(handle, first, 3)
    assert same((mca[:2], scalers[:2]), expected_frames(emulator.settings, 80_000, first, 2))
    ticks = int(scalers[2, 0, Scaler.ticks])
    assert 29_990 <= ticks <= 30_010
    assert same((mca[2], scalers[2]), timed_frame(emulator.settings, ticks, first + 2))
    assert status(handle, 0, first + 4)["time_frame"].tolist() == [-1] * first + [first, first + 1, first + 2, -1]


def test_stop_in_the_gap_adds_no_frame():
    handle, _, clock = connect()
    internal(handle, 100, 80_000)
    handle.start()
    clock.ticks(80_000 + GAP // 2)
    handle.stop()
    assert handle.progress().frames == 1


def test_free_run_until_stopped():
    handle, _, clock = connect(frames=16)
    internal(handle, 0, 1000)
    handle.start()
    for number in range(100):
        clock.ticks(1000 + GAP)
        assert handle.progress().frames >= number + 1
        handle.acknowledge(number, 1)
    assert handle.busy and handle.overrun() == (0, -1)
    handle.stop()
    assert not handle.busy


def test_start_while_running_begins_again():
    handle, _, clock = connect()
    internal(handle, 10, 1000)
    handle.start()
    clock.ticks(5_000)
    assert handle.progress().frames == 4
    handle.start()
    assert handle.progress().frames == 0
    assert status(handle, 0, 2)["time_frame"].tolist() == [0, -1]


def test_stop_before_the_first_start_and_twice():
    handle, _, _ = connect()
    handle.stop()
    handle.stop()
    assert handle.progress().frames == 0


def test_without_the_circular_flag_the_memory_fills():
    handle, emulator, clock = connect(frames=8, flags=STRAIGHT)
    internal(handle, 100, 1000)
    handle.start()
    clock.ticks(1_000_000)
    assert handle.progress() == (8, 8, 0)
    assert handle.overrun() == (0, -1)
    assert same(read(handle, 0, 8), expected_frames(emulator.settings, 1000, 0, 8))
    handle.stop()
    assert handle.progress().frames == 8


@pytest.mark.parametrize("source", [source for source in TimingSource if source >= TimingSource.idc])
def test_no_frames_without_pulses(source):
    handle, _, clock = connect()
    handle.set_timing(source, debounce=80)
    handle.start()
    clock.ticks(10_000_000)
    assert handle.progress().frames == 0 and not handle.busy
    handle.stop()
    assert handle.progress().frames == 0


def test_hardware_triggers_are_waited_for():
    handle, _, clock = connect()
    internal(handle, 10, 1000, ItfgTrigger.hardware)
    handle.start()
    clock.ticks(1_000_000)
    assert handle.progress().frames == 0


def test_clear_zeroes_what_is_there_and_not_what_comes():
    handle, _, clock = connect()
    internal(handle, 6, 1000)
    handle.start()
    clock.ticks(3 * (1000 + GAP) - 10)
    handle.clear(2)
    clock.ticks(100_000)
    mca, scalers = read(handle, 0, 6)
    assert not mca[:2].any() and not scalers[:2].any()
    assert mca[2:].any(axis=(1, 2)).all() and scalers[2:].any(axis=(1, 2)).all()


def test_format_divides_the_memory_anew():
    handle, emulator, clock = connect(frames=64)
    assert handle.ring == 64
    assert handle.format(bits=10) == handle.ring == 256 and handle.bins == 1024
    internal(handle, 4, 100_000)
    handle.start()
    clock.ticks(1_000_000)
    found = read(handle, 0, 4)
    assert same(found, expected_frames(emulator.settings, 100_000, 0, 4, bits=10))
    whole, scalers = expected_frames(emulator.settings, 100_000, 0, 4)
    assert np.array_equal(whole.reshape(4, 4, 1024, 4).sum(-1), found[0])
    assert np.array_equal(scalers, found[1])


def test_reader_pace_needs_no_clock_and_never_overruns(connected):
    handle, _, settings = connected(frames=64, pace="reader", ahead=16)
    internal(handle, 1000, 80_000)
    handle.start()
    first = 0
    while first < 1000:
        ready = handle.progress().frames
        assert ready == min(1000, first + 16)
        count = min(ready - first, handle.ring - first % handle.ring)
        assert same(read(handle, first, count), expected_frames(settings, 80_000, first, count))
        assert status(handle, first, count)["time_frame"].tolist() == list(range(first, first + count))
        handle.acknowledge(first, count)
        first += count
    assert not handle.busy
    assert handle.progress() == (1000, 1000, 0) and handle.overrun() == (0, -1)


def test_reader_pace_waits_for_the_oldest_frame(connected):
    handle, _, _ = connected(frames=64, pace="reader", ahead=10)
    internal(handle, 0, 80_000)
    handle.start()
    handle.acknowledge(3, 4)
    assert handle.progress().frames == 10
    handle.acknowledge(0, 3)
    assert handle.progress().frames == 17
    handle.stop()
    handle.acknowledge(7, 10)
    assert handle.progress().frames == 17


def test_reader_pace_completes_each_trigger_at_once(connected):
    handle, _, _ = connected(pace="reader")
    internal(handle, 3, 80_000, ItfgTrigger.software)
    handle.arm()
    for number in range(5):
        handle.resume()
        handle.pause()
        assert handle.progress().frames == min(number + 1, 3)


def test_reader_pace_without_the_circular_flag(connected):
    handle, _, _ = connected(frames=8, flags=STRAIGHT, pace="reader", ahead=2)
    internal(handle, 100, 80_000)
    handle.start()
    assert handle.progress().frames == 8
    handle.set_run_flags(CIRCULAR)
    handle.start()
    assert handle.progress().frames == 2
