"""Gates, triggers and the frame generator on a clock moved by hand: exact ticks, numbers, markers."""

import pytest
from sdk_bench import CIRCULAR, STRAIGHT, TICK, connect, internal, read, same, status

from xsp3ioc.sdk import ItfgTrigger, OutOfRange, Scaler, TimingSource, Xspress3Error, expected_frames, timed_frame
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Timing, TimingState
from xsp3ioc.sdk.constants import GapMode, InPause, MarkerSource, SyncMode
from xsp3ioc.sdk.emulator.pulses import Pulses

GAP = 80
GATES = [source for source in TimingSource if source >= TimingSource.idc]
WITH_ZERO = [TimingSource.idc, TimingSource.ttl_both, TimingSource.lvds_both]


def pulses(**ticks):
    """Pulses whose times are given in ticks."""
    for name in ("period", "width", "jitter", "delay", "glitch_width"):
        if name in ticks:
            ticks[name] *= TICK
    if "glitch_rate" in ticks:
        ticks["glitch_rate"] /= TICK
    return Pulses(**ticks)


def gated(source=TimingSource.ttl_veto, *, setting=None, frames=64, flags=CIRCULAR, **options):
    """A running gated system and its clock; the run starts at tick 0."""
    other = {
        name: options.pop(name) for name in ("pace", "ahead", "product", "channels", "cards", "seed") if name in options
    }
    handle, emulator, clock = connect(frames=frames, flags=flags, pulses=pulses(**options), **other)
    handle.set_timing(source, **(setting or {}))
    handle.start()
    return handle, emulator, clock


def ticks_of(handle, first, count, channel=0):
    return read(handle, first, count)[1][:, channel, Scaler.total_ticks].tolist()


def numbers(handle, count):
    return status(handle, 0, count)["time_frame"].tolist()


# ---- gates


@pytest.mark.parametrize("source", GATES)
def test_one_frame_for_each_gate(source):
    handle, emulator, clock = gated(source, period=10_000, width=4_000, delay=1_000)
    clock.ticks(998)
    assert handle.progress().frames == 0 and not handle.busy
    clock.ticks(4)
    assert handle.busy and handle.progress().frames == 0
    clock.ticks(3_996)
    assert handle.progress().frames == 0
    clock.ticks(2)
    assert handle.progress().frames == 1 and not handle.busy
    clock.ticks(10_000 * 9)
    assert handle.progress() == (10, 10, 0)
    assert same(read(handle, 0, 10), expected_frames(emulator.settings, 4_000, 0, 10))
    assert numbers(handle, 11) == [*range(10), -1]
    handle.stop()
    assert handle.progress().frames == 10


def test_gates_have_no_limit_and_end_only_with_stop():
    handle, _, clock = gated(period=1_000, width=600, frames=16)
    clock.ns -= 1_000
    for number in range(200):
        clock.ticks(1_000)
        assert handle.progress().frames == number + 1
        handle.acknowledge(number, 1)
    assert handle.overrun() == (0, -1)
    handle.stop()
    clock.ticks(100_000)
    assert handle.progress().frames == 200


def test_a_stop_amid_a_gate_closes_a_part_frame():
    handle, emulator, clock = gated(period=10_000, width=4_000)
    clock.ticks(31_234)
    assert handle.progress().frames == 3
    handle.stop()
    assert handle.progress().frames == 4 and not handle.busy
    assert ticks_of(handle, 0, 4) == [4_000] * 3 + [1_234]
    mca, scalers = read(handle, 3, 1)
    assert same((mca[0], scalers[0]), timed_frame(emulator.settings, 1_234, 3))


def test_a_stop_between_gates_adds_nothing():
    handle, _, clock = gated(period=10_000, width=4_000)
    clock.ticks(35_000)
    handle.stop()
    assert handle.progress().frames == 4 and ticks_of(handle, 0, 4) == [4_000] * 4


def test_a_frame_read_in_progress_is_not_kept_when_a_stop_cuts_it():
    handle, _, clock = gated(period=10_000, width=4_000, delay=500, jitter=100)
    clock.ticks(2_000)
    whole = ticks_of(handle, 0, 1)[0]
    handle.stop()
    assert 3_800 <= whole <= 4_200 and 1_400 <= ticks_of(handle, 0, 1)[0] <= 1_600


def test_inverted_gates_count_while_the_input_is_low():
    handle, _, clock = gated(setting={"invert_veto": True}, period=10_000, width=4_000, delay=2_500)
    assert handle.busy
    clock.ticks(2_500)
    assert handle.progress().frames == 1 and not handle.busy
    clock.ticks(40_000)
    assert ticks_of(handle, 0, 5) == [2_500] + [6_000] * 4


def test_nothing_connected_to_an_inverted_gate_counts_until_stopped():
    handle, _, clock = gated(setting={"invert_veto": True})
    clock.ticks(123_456)
    assert handle.busy and handle.progress().frames == 0
    handle.stop()
    assert handle.progress().frames == 1 and ticks_of(handle, 0, 1) == [123_456]


def test_jitter_gives_each_frame_its_own_exact_length():
    handle, emulator, clock = gated(period=10_000, width=4_000, jitter=50, seed=3)
    clock.ticks(10_000 * 30)
    assert handle.progress().frames == 30
    mca, scalers = read(handle, 0, 30)
    lengths = scalers[:, 0, Scaler.total_ticks].tolist()
    assert len(set(lengths)) > 20 and min(lengths) >= 3_900 and max(lengths) <= 4_100
    for number, ticks in enumerate(lengths):
        assert same((mca[number], scalers[number]), timed_frame(emulator.settings, ticks, number))
    again, _, later = gated(period=10_000, width=4_000, jitter=50, seed=3)
    later.ticks(10_000 * 30)
    assert ticks_of(again, 0, 30) == lengths


def test_glitches_shorter_than_the_debounce_are_ignored():
    noisy = {"period": 20_000, "width": 8_000, "glitch_rate": 1 / 500, "glitch_width": 40}
    handle, _, clock = gated(setting={"debounce": 80}, **noisy)
    clock.ticks(20_000 * 20 - 2_000)
    assert handle.progress().frames == 20
    assert all(abs(ticks - 8_000) <= 240 for ticks in ticks_of(handle, 0, 20))  # glitches at the edges move them
    for debounce in (0, 40):
        handle, _, clock = gated(setting={"debounce": debounce}, frames=4096, **noisy)
        clock.ticks(20_000 * 20 - 2_000)
        assert handle.progress().frames > 500


def test_gates_and_gaps_shorter_than_the_debounce_are_not_seen():
    handle, _, clock = gated(setting={"debounce": 80}, period=10_000, width=79)
    clock.ticks(1_000_000)
    assert handle.progress().frames == 0 and not handle.busy
    handle, _, clock = gated(setting={"debounce": 80}, period=10_000, width=80)
    clock.ticks(100_000)
    assert ticks_of(handle, 0, 10) == [80] * 10
    handle, _, clock = gated(setting={"debounce": 80}, period=10_000, width=9_921, count=5)
    clock.ticks(100_000)
    assert ticks_of(handle, 0, 2) == [4 * 10_000 + 9_921, 0]


def test_so_many_pulses_and_no_more():
    handle, _, clock = gated(period=10_000, width=4_000, count=3)
    clock.ticks(1_000_000)
    assert handle.progress().frames == 3
    handle.start()  # the pulses begin with the run
    assert handle.progress().frames == 0
    clock.ticks(1_000_000)
    assert handle.progress().frames == 3


def test_a_gated_run_that_is_armed_waits_for_count_enable():
    handle, _, clock = connect(pulses=pulses(period=10_000, width=4_000))
    handle.set_timing(TimingSource.ttl_veto)
    handle.arm()
    clock.ticks(50_000)
    assert handle.progress().frames == 0
    handle.resume()
    clock.ticks(24_000)
    assert handle.progress().frames == 3
    handle.pause()
    handle.resume()
    clock.ticks(10_000)
    assert handle.progress().frames == 4


def test_without_the_circular_flag_gates_fill_the_memory():
    handle, _, clock = gated(period=1_000, width=600, frames=8, flags=STRAIGHT)
    clock.ticks(100_000)
    assert handle.progress() == (8, 8, 0)


def test_overruns_of_gated_frames():
    handle, _, clock = gated(period=1_000, width=600, frames=8)
    clock.ticks(10_990)
    assert handle.progress().frames == 11 and handle.overrun() == (3, 0)


# ---- frame zero


@pytest.mark.parametrize("source", WITH_ZERO)
def test_frame_zero_restarts_the_number(source):
    handle, emulator, clock = gated(source, period=10_000, width=4_000, frame_zero_every=4)
    seen = []
    clock.ticks(-1_000)
    for _ in range(10):
        clock.ticks(10_000)
        seen.append(handle.progress().frames)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    assert same(read(handle, 0, 2), expected_frames(emulator.settings, 4_000, 0, 2))
    assert handle.overrun()[0] == 6  # frames 0..3 and 0..1, which nobody had acknowledged


def test_frame_zero_goes_back_to_the_first_frame_and_needs_its_source():
    for source, expected in ((TimingSource.ttl_both, 102), (TimingSource.ttl_veto, 105)):
        handle, _, clock = connect(frames=256, pulses=pulses(period=10_000, width=4_000, frame_zero_every=3))
        handle.set_timing(source)
        handle.set_first_frame(100)
        handle.start()
        clock.ticks(49_000)
        assert handle.progress().frames == expected
        assert handle.timing_state().frame == expected - 1


def test_inverted_frame_zero_restarts_where_the_input_is_low():
    handle, _, clock = gated(
        TimingSource.ttl_both, setting={"invert_f0": True}, period=10_000, width=4_000, frame_zero_every=4
    )
    seen = []
    clock.ticks(-1_000)
    for _ in range(10):
        clock.ticks(10_000)
        seen.append(handle.progress().frames)
    assert seen == [1, 1, 1, 1, 2, 1, 1, 1, 2, 1]


def test_frame_zero_does_not_forget_how_long_frames_were():
    handle, emulator, clock = gated(TimingSource.ttl_both, period=10_000, width=4_000, jitter=50, frame_zero_every=4)
    clock.ticks(10_000 * 6 - 1_000)
    assert handle.progress().frames == 2
    other, _, later = gated(period=10_000, width=4_000, jitter=50)
    later.ticks(10_000 * 6 - 1_000)
    assert ticks_of(handle, 0, 2) == ticks_of(other, 4, 2)


# ---- the reader's pace


@pytest.mark.parametrize("source", GATES)
def test_reader_pace_brings_gates_as_there_is_room(source):
    handle, emulator, _ = gated(source, period=1.0 / TICK, width=40_000, pace="reader", ahead=16)
    for first in range(0, 800, 16):
        assert handle.progress() == (first + 16, first + 16, 0)
        assert same(read(handle, first, 16), expected_frames(emulator.settings, 40_000, first, 16))
        handle.acknowledge(first, 16)
    assert handle.overrun() == (0, -1)
    handle.stop()
    assert handle.progress().frames == 816
    handle.acknowledge(800, 16)
    assert handle.progress().frames == 816


def test_reader_pace_ends_with_the_pulses():
    handle, _, _ = gated(period=1_000, width=400, count=20, pace="reader", ahead=16)
    handle.acknowledge(0, 16)
    assert handle.progress().frames == 20
    handle, _, _ = gated(pace="reader")
    assert handle.progress().frames == 0


def test_reader_pace_filters_and_jitters_too():
    handle, _, _ = gated(
        setting={"debounce": 80},
        period=10_000,
        width=4_000,
        jitter=20,
        glitch_rate=1 / 700,
        glitch_width=40,
        pace="reader",
    )
    ticks = ticks_of(handle, 0, 64)
    assert handle.progress().frames == 64 and len(set(ticks)) > 10
    assert all(abs(found - 4_000) <= 280 for found in ticks)


def test_reader_pace_does_not_lose_what_a_frame_zero_restarts():
    handle, _, _ = gated(TimingSource.ttl_both, period=1_000, width=400, frame_zero_every=5, pace="reader", ahead=64)
    for _ in range(10):
        assert handle.progress().frames == 5
        handle.acknowledge(0, 3)
        assert handle.progress().frames == 5
        handle.acknowledge(3, 2)
    assert handle.overrun() == (0, -1)


@pytest.mark.parametrize("trigger", [ItfgTrigger.hardware, ItfgTrigger.hardware_only_first])
def test_reader_pace_loses_no_trigger(trigger):
    handle, emulator, _ = connect(pace="reader", ahead=16, pulses=pulses(period=1_000, width=400))
    internal(handle, 50, 80_000, trigger)
    handle.start()
    for first in range(0, 50, 10):
        assert handle.progress().frames == min(first + 16, 50)
        assert same(read(handle, first, 10), expected_frames(emulator.settings, 80_000, first, 10))
        handle.acknowledge(first, 10)
    assert handle.timing_state() == TimingState(49, False, False, False, True)


def test_reader_pace_has_no_more_frames_than_triggers():
    for trigger, count in ((ItfgTrigger.hardware, 7), (ItfgTrigger.hardware_only_first, 20)):
        handle, _, _ = connect(pace="reader", pulses=pulses(period=1_000, width=400, count=7))
        internal(handle, 20, 80_000, trigger)
        handle.start()
        assert handle.progress().frames == count
    handle, _, _ = connect(pace="reader")
    internal(handle, 20, 80_000, ItfgTrigger.hardware_only_first)
    handle.start()
    assert handle.progress().frames == 0


# ---- hardware triggers


def triggered(trigger, exposure, frames=100, *, setting=None, setup=None, **options):
    handle, emulator, clock = connect(pulses=pulses(**options))
    handle.setup_itfg(frames, exposure, trigger, **(setup or {}))
    handle.set_timing(TimingSource.internal, **(setting or {}))
    handle.start()
    return handle, emulator, clock


def test_each_trigger_makes_one_frame():
    handle, emulator, clock = triggered(ItfgTrigger.hardware, 4_000, frames=5, period=10_000, width=100, delay=500)
    assert handle.timing_state() == TimingState(0, False, True, True, False)
    clock.ticks(502)
    assert handle.timing_state() == TimingState(0, True, True, False, False) and handle.busy
    clock.ticks(3_996)
    assert handle.progress().frames == 0
    clock.ticks(2)
    assert handle.progress().frames == 1
    clock.ticks(1_000)
    assert handle.timing_state() == TimingState(0, False, True, True, False) and not handle.busy
    clock.ticks(30_000)
    assert handle.progress().frames == 4
    clock.ticks(100_000)
    assert handle.progress() == (5, 5, 0)
    assert handle.timing_state() == TimingState(4, False, False, False, True)
    assert same(read(handle, 0, 5), expected_frames(emulator.settings, 4_000, 0, 5))
    handle.stop()
    assert handle.timing_state() == TimingState(4, False, False, False, False)


@pytest.mark.parametrize(
    "exposure, gap, every",
    [
        (9_920, GapMode.us1, 1),  # with the gap, just in time
        (9_921, GapMode.us1, 2),
        (9_998, GapMode.ns25, 1),
        (25_000, GapMode.us1, 3),
    ],
)
def test_triggers_during_a_frame_or_its_gap_are_lost(exposure, gap, every):
    handle, emulator, clock = triggered(ItfgTrigger.hardware, exposure, setup={"gap": gap}, period=10_000, width=100)
    clock.ticks(10_000 * 10 * every - 2)
    assert handle.progress().frames == 10
    assert same(read(handle, 0, 10), expected_frames(emulator.settings, exposure, 0, 10))


def test_the_first_trigger_starts_the_train():
    handle, emulator, clock = triggered(
        ItfgTrigger.hardware_only_first, 1_000, frames=6, period=50_000, width=100, delay=7_000
    )
    clock.ticks(6_998)
    assert handle.timing_state() == TimingState(0, False, True, True, False)
    clock.ticks(2 + 1_000 + 4 * (1_000 + GAP))
    assert handle.progress().frames == 5
    clock.ticks(100_000)
    assert handle.progress().frames == 6
    assert same(read(handle, 0, 6), expected_frames(emulator.settings, 1_000, 0, 6))


def test_inverted_triggers_come_at_the_end_of_the_pulse():
    for trigger in (ItfgTrigger.hardware, ItfgTrigger.hardware_only_first):
        handle, _, clock = triggered(trigger, 1_000, setting={"invert_veto": True}, period=10_000, width=3_000)
        clock.ticks(3_998)
        assert handle.progress().frames == 0
        clock.ticks(2)
        assert handle.progress().frames == 1


def test_triggers_pass_the_debounce_filter():
    noisy = {"period": 100_000, "width": 1_000, "glitch_rate": 1 / 2_000, "glitch_width": 40}
    for debounce, exact in ((80, True), (0, False)):
        handle, _, clock = triggered(ItfgTrigger.hardware, 500, setting={"debounce": debounce}, **noisy)
        clock.ticks(100_000 * 10 - 5_000)
        assert (handle.progress().frames == 10) is exact


def test_a_stop_amid_a_triggered_frame_closes_it():
    handle, _, clock = triggered(ItfgTrigger.hardware, 4_000, period=10_000, width=100)
    clock.ticks(21_500)
    handle.stop()
    assert handle.progress().frames == 3 and ticks_of(handle, 0, 3) == [4_000, 4_000, 1_500]


def test_many_triggers_of_which_some_are_lost():
    handle, _, clock = triggered(ItfgTrigger.hardware, 1_500, frames=0, period=1_000, width=400, jitter=90)
    frames = 0
    for _ in range(100):
        clock.ticks(100_000)
        found = handle.progress().frames
        handle.acknowledge(frames, found - frames)
        frames = found
    assert 4_900 <= frames <= 5_001


# ---- acquire in pause


@pytest.mark.parametrize("count", [1, 3])
def test_collecting_between_triggers(count):
    handle, _, clock = triggered(
        ItfgTrigger.hardware, count, setup={"in_pause": InPause.all_but_first}, period=10_000, width=100, delay=5_000
    )
    clock.ticks(4_998)
    assert not handle.busy
    clock.ticks(2 + 10_000 * count * 8)
    assert handle.progress().frames == 8
    first = 10_000 * count
    assert ticks_of(handle, 0, 8) == [first] + [first - GAP] * 7


def test_collecting_before_the_first_trigger_too():
    handle, _, clock = triggered(
        ItfgTrigger.hardware, 2, frames=4, setup={"in_pause": InPause.all}, period=10_000, width=100, delay=5_000
    )
    assert handle.busy
    clock.ticks(5_000)
    assert handle.progress().frames == 1
    clock.ticks(200_000)
    assert handle.progress().frames == 4
    assert ticks_of(handle, 0, 4) == [5_000] + [20_000 - GAP] * 3
    assert handle.timing_state().finished


def test_a_stop_amid_collecting():
    handle, _, clock = triggered(
        ItfgTrigger.hardware, 2, setup={"in_pause": InPause.all_but_first}, period=10_000, width=100
    )
    clock.ticks(45_000)
    handle.stop()
    assert ticks_of(handle, 0, 3) == [20_000, 20_000 - GAP, 5_000 - GAP]


def test_collecting_between_software_triggers():
    for mode, lengths in (
        (InPause.all, [7_000, 20_000 - GAP, 20_000 - GAP]),
        (InPause.all_but_first, [20_000, 20_000 - GAP]),
    ):
        handle, _, clock = connect()
        handle.setup_itfg(10, 2, ItfgTrigger.software, in_pause=mode)
        handle.set_timing(TimingSource.internal)
        handle.arm()
        clock.ticks(7_000)
        for _ in range(5):
            handle.trigger()
            clock.ticks(10_000)
        assert handle.progress().frames == len(lengths)
        assert ticks_of(handle, 0, len(lengths)) == lengths


def test_reader_pace_collects_between_triggers():
    handle, _, _ = connect(pace="reader", ahead=8, pulses=pulses(period=10_000, width=100, delay=3_000, count=12))
    handle.setup_itfg(0, 2, ItfgTrigger.hardware, in_pause=InPause.all)
    handle.set_timing(TimingSource.internal)
    handle.start()
    assert handle.progress().frames == 6
    assert ticks_of(handle, 0, 6) == [3_000] + [20_000 - GAP] * 5


def test_what_the_generator_refuses():
    handle, emulator, _ = connect()
    for trigger in (ItfgTrigger.burst, ItfgTrigger.software_only_first, ItfgTrigger.hardware_only_first):
        with pytest.raises(OutOfRange, match=f"trig_mode = {int(trigger)} is not 1 or 2, as acq_in_pause = 1 needs"):
            handle.setup_itfg(1, 2, trigger, in_pause=InPause.all)
    setup = emulator.xsp3_itfg_setup2
    for arguments in (
        (1, 0, 2, 0, 1, 0, 0), (1, 1, 2, 0, 0, 0, 0), (-1, 2, 0, 0, 0, 0, 0), (1 << 24, 2, 0, 0, 0, 0, 0),
        (1, 2, 3, 0, 0, 0, 0), (1, 2, 4, 0, 0, 0, 0), (1, 2, 7, 0, 0, 0, 0), (1, 2, 0, 4, 0, 0, 0),
        (1, 2, 2, 0, 3, 0, 0), (1, 2, 0, 0, 0, -1, 0), (1, 2, 0, 0, 0, 3, 3), (1, 2, 0, 0, 0, 0, 1),
    ):  # fmt: skip
        assert setup(0, 0, *arguments) == -6, arguments
    assert setup(0, 0, 1, 2, 2, 3, 0, 3, 2) == 0 and setup(0, 0, 1, 1, 2, 3, 2, 0, 0) == 0
    assert setup(0, 1, 1, 2, 0, 0, 0, 0, 0) == -3


def test_the_generator_says_how_it_is_programmed():
    handle, emulator, _ = connect(cards=2, channels=2)
    handle.setup_itfg(77, 0xFFFFFFFF, ItfgTrigger.hardware_only_first, GapMode.ns200)
    assert handle.itfg()[:4] == (77, 0xFFFFFFFF, ItfgTrigger.hardware_only_first, GapMode.ns200)
    assert emulator.xsp3_itfg_get_setup(0, -1, *[ffi.NULL] * 4) == -6
    pointers = ffi.new("int *"), ffi.new("uint32_t *"), ffi.new("int *"), ffi.new("int *")
    assert emulator.xsp3_itfg_get_setup(0, -1, *pointers) == -3
    assert emulator.xsp3_itfg_get_setup(0, 1, *pointers) == 0 and pointers[0][0] == 1


# ---- generator started and stopped


def test_rows_are_numbered_on():
    handle, emulator, clock = connect()
    internal(handle, 3, 1_000)
    handle.start()
    clock.ticks(10_000)
    assert handle.progress().frames == 3 and handle.timing_state().finished
    for row in range(1, 4):
        handle.stop_itfg()
        assert handle.timing_state() == TimingState(3 * row - 1, False, False, False, False)
        clock.ticks(50_000)
        handle.start_itfg()
        assert handle.timing_state().counting
        clock.ticks(10_000)
        assert handle.progress().frames == 3 * row + 3
    handle.stop()
    handle.start_itfg()
    clock.ticks(10_000)
    assert handle.progress().frames == 12
    assert same(read(handle, 0, 12), expected_frames(emulator.settings, 1_000, 0, 12))


def test_a_stopped_generator_closes_its_frame_and_goes_on_with_the_next():
    handle, emulator, clock = connect()
    internal(handle, 100, 1_000)
    handle.start()
    clock.ticks(1_000 + GAP + 300)
    handle.stop_itfg()
    assert handle.progress().frames == 2
    clock.ticks(100_000)
    assert handle.progress().frames == 2 and not handle.busy
    handle.setup_itfg(100, 2_000)
    handle.start_itfg()
    clock.ticks(2 * (2_000 + GAP) + 500)
    assert handle.progress().frames == 4
    handle.stop()
    assert ticks_of(handle, 0, 5) == [1_000, 300, 2_000, 2_000, 500]
    assert numbers(handle, 6) == [0, 1, 2, 3, 4, -1]
    mca, scalers = read(handle, 2, 1)
    assert same((mca[0], scalers[0]), timed_frame(emulator.settings, 2_000, 2))


def test_a_row_of_triggered_frames_waits_for_the_next_trigger():
    handle, _, clock = triggered(ItfgTrigger.hardware, 1_000, frames=2, period=10_000, width=100)
    clock.ticks(25_000)
    assert handle.progress().frames == 2
    handle.stop_itfg()
    clock.ticks(30_000)
    assert handle.progress().frames == 2
    handle.start_itfg()  # at tick 55,000
    assert handle.timing_state() == TimingState(1, False, True, True, False)
    clock.ticks(5_998)
    assert handle.progress().frames == 2
    clock.ticks(4)
    assert handle.progress().frames == 3


def test_a_row_of_software_triggered_frames_waits_for_the_software():
    handle, _, clock = connect()
    internal(handle, 2, 1_000, ItfgTrigger.software)
    handle.arm()
    for number in range(2):
        handle.trigger()
        clock.ticks(2_000)
        assert handle.progress().frames == number + 1
    handle.trigger()
    clock.ticks(2_000)
    assert handle.progress().frames == 2
    handle.start_itfg()
    clock.ticks(2_000)
    assert handle.progress().frames == 2
    handle.trigger()
    clock.ticks(2_000)
    assert handle.progress().frames == 3


def test_rows_at_the_reader_s_pace():
    handle, emulator, _ = connect(pace="reader", ahead=8)
    internal(handle, 12, 1_000)
    handle.start()
    first = 0
    for row in range(1, 4):
        while first < 12 * row:
            ready = handle.progress().frames
            assert first < ready <= 12 * row
            handle.acknowledge(first, ready - first)
            first = ready
        handle.stop_itfg()
        handle.start_itfg()
    assert handle.overrun() == (0, -1)


def test_starting_a_generator_that_runs_or_has_none_changes_nothing():
    handle, _, clock = connect()
    handle.start_itfg()
    handle.stop_itfg()
    internal(handle, 10, 1_000)
    handle.start()
    clock.ticks(500)
    handle.start_itfg()
    clock.ticks(500)
    assert handle.progress().frames == 1
    handle.set_timing(TimingSource.software)
    handle.start()
    handle.stop_itfg()
    handle.start_itfg()
    clock.ticks(500)
    handle.pause()
    assert handle.progress().frames == 1


# ---- markers


def markers(handle, first, count, channel=0):
    block = status(handle, first, count, channel)["markers"].tolist()
    lib = handle._lib
    alone = ffi.new("int[]", count)
    assert lib.xsp3_histogram_get_tf_markers(0, channel, first, count, alone) == 0 and list(alone) == block
    one = ffi.new("Xsp3TFStatus *")
    for index in range(count):
        assert lib.xsp3_histogram_get_tf_status(0, channel, first + index, one) == 0
        assert one.markers == block[index] and one.time_frame in (first + index, -1)
    return block


@pytest.mark.parametrize("pace", ["clock", "reader"])
@pytest.mark.parametrize("width, jitter", [(400, 0), (400, 100)])
def test_markers_of_gates(pace, width, jitter):
    handle, _, clock = gated(period=1_000, width=width, jitter=jitter, marker_every=(3, 4), pace=pace)
    clock.ticks(16_000 - 300)
    assert handle.progress().frames >= 16
    expected = [(n % 3 == 0) | (n % 4 == 0) << 1 for n in range(16)]
    assert markers(handle, 0, 16) == markers(handle, 0, 16, 3) == expected


def test_markers_of_inverted_gates_and_of_triggered_frames():
    handle, _, clock = gated(setting={"invert_veto": True}, period=1_000, width=400, delay=100, marker_every=(2, 0))
    clock.ticks(8_000)
    assert markers(handle, 0, 8) == [0] + [1, 0] * 3 + [1]
    handle, _, clock = triggered(ItfgTrigger.hardware, 1_500, period=1_000, width=400, marker_every=(4, 6))
    clock.ticks(16_000)  # every other trigger is lost; each frame lasts into the next pulse
    assert markers(handle, 0, 7) == [3, 0, 1, 2, 1, 0, 3]


def test_markers_from_other_inputs():
    handle, _, clock = connect(pulses=pulses(period=1_000, width=400, frame_zero_every=3, marker_every=(5, 0)))
    handle.set_timing(TimingSource.ttl_veto)
    handle.set_trigger_inputs((0, 1, 0, 1))
    assert handle.trigger_inputs() == (0, 1, 0, 1)
    handle.start()
    clock.ticks(6_000)
    assert markers(handle, 0, 6) == [3, 2, 2, 3, 2, 2]
    for wrong, message in (
        ((0, 0, 2, 3), r"trig_sel\[1\] = 0 is not emulated"),
        ((1, 1, 2, 3), r"trig_sel\[0\] = 1 is not emulated"),
        ((0, 1, 4, 3), r"trig_sel\[2\] = 4 is outside 0..3"),
    ):
        with pytest.raises(Xspress3Error, match=message):
            handle.set_trigger_inputs(wrong)


def test_markers_of_the_generator():
    handle, _, clock = connect()
    handle.setup_itfg(0, 1_000, marker_period=4, marker_frame=1)
    handle.set_timing(TimingSource.internal)
    handle.set_first_frame(0)
    handle.start()
    clock.ticks(10 * (1_000 + GAP))
    assert markers(handle, 0, 10) == [0, 1, 0, 0] * 2 + [0, 1]
    handle.set_first_frame(0, MarkerSource.ttl)
    handle.start()
    clock.ticks(10 * (1_000 + GAP))
    assert markers(handle, 0, 10) == [0] * 10


def test_markers_of_the_software():
    handle, emulator, clock = connect()
    handle.set_timing(TimingSource.software)
    handle.arm()
    for value in (0, 1, 3, 3, 2):
        assert emulator.xsp3_set_glob_timeA(0, 0, value << 12) == 0
        handle.resume()
        clock.ticks(100)
        handle.pause()
    assert markers(handle, 0, 6) == [0, 1, 3, 3, 2, 0]
    assert emulator.xsp3_set_glob_timeA(0, 0, 1 | 2 << 12) == 0
    handle.setup_itfg(4, 1_000)
    handle.set_first_frame(0, MarkerSource.software)
    handle.start()
    clock.ticks(1_000 + GAP + 500)
    assert emulator.xsp3_set_glob_timeA(0, 0, 1) == 0
    clock.ticks(10_000)
    assert markers(handle, 0, 4) == [2, 2, 0, 0]


def test_software_enable_with_hardware_markers():
    handle, _, clock = connect(pulses=pulses(period=10_000, width=100, marker_every=(2, 0)))
    handle.set_timing(TimingSource.software_marker)
    handle.start()  # frames of 5,000 ticks, one after the other
    for _ in range(8):
        clock.ticks(5_000)
        handle.pause()
        handle.resume()
    assert markers(handle, 0, 9) == [1, 1, 0, 0, 1, 1, 0, 0, 1]


# ---- frame capture


def test_frames_that_are_not_captured_are_deleted():
    for pace in ("clock", "reader"):
        handle, emulator, clock = connect(
            pace=pace, ahead=8, pulses=pulses(period=10_000, width=4_000, frame_zero_every=3, marker_every=(6, 0))
        )
        handle.set_timing(TimingSource.ttl_veto, frame_capture=True)
        handle.start()
        clock.ticks(10_000 * 24)
        assert handle.progress().frames == 8
        assert same(read(handle, 0, 8), expected_frames(emulator.settings, 4_000, 0, 8))
        assert status(handle, 0, 8)["markers"].tolist() == [1, 0] * 4
        assert status(handle, 0, 8)["state"].tolist() == [1] * 8
        handle.acknowledge(0, 8)
        clock.ticks(10_000 * 24)
        assert handle.progress().frames == 16
        handle.stop()
        clock.ticks(10_000 * 24)
        handle.acknowledge(8, 8)
        assert handle.progress().frames == 16


def test_capture_of_odd_frames_and_at_a_stop():
    handle, _, clock = connect(pulses=pulses(period=10_000, width=4_000, jitter=50, frame_zero_every=2))
    handle.set_timing(TimingSource.ttl_both, frame_capture=True)
    handle.start()
    clock.ticks(10_000 * 10 - 1_000)
    assert handle.progress().frames == 5
    other, _, later = gated(period=10_000, width=4_000, jitter=50)
    later.ticks(10_000 * 10 - 1_000)
    assert ticks_of(handle, 0, 5) == ticks_of(other, 0, 10)[::2]
    for more, frames in ((12_000, 6), (22_000, 6)):
        handle.start()
        clock.ticks(90_000 + more)
        handle.stop()
        assert handle.progress().frames == frames


def test_a_capture_input_that_is_never_high_deletes_everything():
    for pace in ("clock", "reader"):
        handle, _, clock = connect(pace=pace, pulses=pulses(period=10_000, width=4_000))
        handle.set_timing(TimingSource.ttl_veto, frame_capture=True)
        handle.start()
        clock.ticks(1_000_000)
        assert handle.progress().frames == 0


# ---- registers


def test_all_timing_at_once():
    handle, emulator, _ = connect(channels=3, cards=3)
    handle.setup_itfg(10, 1_000, gap=GapMode.ns500)

    def registers():
        return [handle.timing_register(card) for card in range(3)]

    handle.apply_timing(
        Timing(TimingSource.internal, 5, MarkerSource.itfg, debounce=12, card0_extra=1 << 24, other_extra=2 << 24)
    )
    assert registers() == [1 | 12 << 16 | 1 << 24] + [4 | 30 << 16 | 2 << 24] * 2
    assert [handle.first_frame(card) for card in range(3)] == [(5, MarkerSource.itfg)] * 3
    handle.apply_timing(Timing(TimingSource.ttl_both, invert_f0=True, invert_veto=True, loop_io=True, debounce=80))
    assert registers() == [5 | 1 << 3 | 1 << 4 | 1 << 7 | 80 << 16] + [4 | 1 << 7 | 80 << 16] * 2
    handle.apply_timing(Timing(TimingSource.internal, other_debounce=99))
    assert registers() == [1, 4 | 99 << 16, 4 | 99 << 16]
    for mode, follower in ((SyncMode.idc, 3), (SyncMode.midplane, 3), (SyncMode.lemo_radial, 4 | 1 << 15)):
        assert emulator.xsp3_set_sync_mode(0, mode, 1, 2) == 0
        handle.apply_timing(Timing(TimingSource.internal, other_debounce=7))
        assert registers() == [1, follower | 7 << 16, follower | 7 << 16]
    told = ffi.new("int *"), ffi.new("int *"), ffi.new("int *")
    assert emulator.xsp3_get_sync_mode(0, *told) == 0 and [each[0] for each in told] == [SyncMode.lemo_radial, 1, 2]


@pytest.mark.parametrize(
    "name, value", [("t_src", 8), ("t_src", -1), ("inv_f0", 2), ("inv_veto", -1), ("loop_io", 2), ("debounce", 256),
                    ("override_debounce_other", -1), ("fixed", 1 << 24), ("fixed", 3 << 30), ("card0_a_extra", 3 << 24),
                    ("cardn_a_extra", 15 << 24)],
)  # fmt: skip
def test_timing_that_there_is_not(name, value):
    handle, emulator, _ = connect()
    handle.set_timing(TimingSource.ttl_veto)
    setup = ffi.new("Xsp3Timing *")
    setattr(setup, name, value)
    assert emulator.xsp3_set_timing(0, setup) == -6
    assert name in ffi.string(emulator.xsp3_get_error_message()).decode()
    assert handle.timing_register() == 4
    assert emulator.xsp3_set_timing(0, ffi.NULL) == -6


def test_registers_that_are_refused():
    handle, emulator, _ = connect()
    word, number = ffi.new("uint32_t *"), ffi.new("int *")
    assert emulator.xsp3_set_glob_timeFixed(0, 0, 1 << 24) == -6
    assert emulator.xsp3_set_glob_timeFixed(0, 0, 3 << 30) == -6
    assert emulator.xsp3_set_glob_timeA(0, 0, 3 << 24) == -6
    assert emulator.xsp3_set_glob_timeA(0, 1, 0) == -3
    for name in ("timeA", "timeFixed", "time_statA"):
        read_one = getattr(emulator, f"xsp3_get_glob_{name}")
        assert read_one(0, -1, word) == read_one(0, 1, word) == -3 and read_one(0, 0, ffi.NULL) == -6
        assert read_one(9, 0, word) == -2
    assert emulator.xsp3_set_sync_mode(0, 6, 0, 0) == emulator.xsp3_set_sync_mode(0, 0, 2, 0) == -6
    assert emulator.xsp3_set_sync_mode(0, 0, 0, 1) == -3
    assert emulator.xsp3_get_sync_mode(0, number, number, ffi.NULL) == -6
    assert emulator.xsp3_set_alt_ttl_out(0, -1, 3, 0) == emulator.xsp3_set_alt_ttl_out(0, 0, 13, 0) == -6
    assert emulator.xsp3_set_alt_ttl_out(0, 0, 8, 2) == -6
    assert emulator.xsp3_set_alt_ttl_out(0, -1, 8, 0) == 0 and handle.timing_register() == 8 << 24
    assert emulator.xsp3_system_start_count_enb(0, 0, 2, 0, 0) == -6
    assert emulator.xsp3_system_start_count_enb(0, 0, 1, -1, 0) == -6


@pytest.mark.parametrize("product, cards, allowed", [("mini", 1, 0b11), ("x3x2", 2, 0b11), ("xspress4", 2, 0b1111)])
def test_terminations(product, cards, allowed):
    handle, emulator, _ = connect(product=product, channels=2, cards=cards)
    for put, get in (
        (handle.set_input_termination, handle.input_termination),
        (handle.set_output_termination, handle.output_termination),
    ):
        put(allowed)
        assert get() == allowed
        put(1, 0)
        assert get() == 1
        with pytest.raises(OutOfRange, match="has bits outside"):
            put(allowed + 1)
    if product == "xspress4":
        with pytest.raises(Xspress3Error, match="the mid-plane's trigger lines belong to card 0"):
            handle.set_input_termination(1, 1)
    elif cards > 1:
        handle.set_output_termination(2, 1)
        assert [handle.output_termination(card) for card in range(2)] == [1, 2]


def test_an_xspress3_has_no_terminations():
    handle, emulator, _ = connect()
    with pytest.raises(Xspress3Error, match="of xspress3 cannot be terminated"):
        handle.set_input_termination(0)
    with pytest.raises(Xspress3Error, match="of xspress3 cannot be terminated"):
        handle.output_termination()


def test_the_state_of_a_software_timed_run():
    handle, _, clock = connect()
    handle.set_first_frame(7)
    assert handle.timing_state() == TimingState(7, False, False, False, False)
    handle.set_timing(TimingSource.software)
    handle.start()
    for number in range(7, 10):
        assert handle.timing_state() == TimingState(number, False, False, False, False)
        handle.pause()
        assert handle.timing_state().frame == number
        handle.resume()


def test_the_state_within_a_burst():
    handle, _, clock = connect()
    internal(handle, 2, 1_000)
    handle.arm()
    assert handle.timing_state() == TimingState(0, False, True, True, False)
    handle.resume()
    assert handle.timing_state() == TimingState(0, True, True, False, False)
    clock.ticks(1_000 + GAP // 2)
    assert handle.timing_state() == TimingState(0, False, True, False, False)
    clock.ticks(GAP)
    assert handle.timing_state() == TimingState(1, True, True, False, False)
    clock.ticks(5_000)
    assert handle.timing_state() == TimingState(1, False, False, False, True)
