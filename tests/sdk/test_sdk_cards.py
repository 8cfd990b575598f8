"""Several cards: who follows card 0, what each card's own handle shows; and the sequences of calls of known clients."""

import numpy as np
import pytest
from sdk_bench import CIRCULAR, TICK, Clock, connect, internal, read, same, status

from xsp3ioc.sdk import (
    SCALERS,
    EmulatedLibrary,
    EmulatorSettings,
    ItfgTrigger,
    Scaler,
    TimingSource,
    expected_frames,
    timed_frame,
)
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import TimingState
from xsp3ioc.sdk.constants import GapMode, SyncMode
from xsp3ioc.sdk.emulator.faults import CardLost, Faults
from xsp3ioc.sdk.emulator.pulses import Pulses

OK, BAD_PATH, BAD_CARD, BAD_CHANNEL, BAD_RANGE = 0, -2, -3, -4, -6
GAP = 80
PERIOD = 1_000 + GAP


def cards_of(product="xspress3", cards=4, per_card=2, **options):
    return connect(product=product, cards=cards, channels=cards * per_card, **options)


def word(kind="uint32_t *"):
    return ffi.new(kind)


def message(lib):
    return ffi.string(lib.xsp3_get_error_message()).decode()


# ---- card 0 and its followers


@pytest.mark.parametrize("product, per_card", [("xspress3", 2), ("xspress4", 10), ("x3x2", 2), ("mini", 1)])
def test_all_cards_count_what_card_0_does(product, per_card):
    handle, emulator, clock = cards_of(product, 4, per_card)
    internal(handle, 20, 80_000)
    handle.start()
    clock.ticks(20 * (80_000 + GAP))
    assert handle.progress() == (20, 20, 0)
    mca, scalers = read(handle, 0, 20)
    assert same((mca, scalers), expected_frames(emulator.settings, 80_000, 0, 20))
    ticks = scalers[:, :, Scaler.total_ticks].reshape(20, 4, per_card).astype(int) - 80_000
    assert (ticks[:, 0] == 0).all() and set(ticks[:, 1:].ravel()) == {1, 2}
    assert (ticks == ticks[0, :, :1]).all()  # a card's channels share its veto
    for channel in (0, per_card, 4 * per_card - 1):
        assert status(handle, 0, 20, channel)["time_frame"].tolist() == list(range(20))


def test_part_frames_are_longer_on_followers_too():
    handle, emulator, clock = cards_of(cards=3)
    handle.set_timing(TimingSource.software)
    handle.start()
    clock.ticks(5_000)
    handle.stop()
    mca, scalers = read(handle, 0, 1)
    assert scalers[0, :, Scaler.ticks].tolist() == [5_000] * 2 + [5_001] * 2 + [5_002] * 2
    assert same((mca[0], scalers[0]), timed_frame(emulator.settings, 5_000, 0))


def test_followers_first_and_card_0_last():
    handle, _, clock = cards_of()
    internal(handle, 3, 1_000)
    for card in (3, 1, 2):
        handle.start(card)
        clock.ticks(5_000)
        assert handle.progress() == (0, 0, 0) and not handle.busy
    handle.start(0)
    clock.ticks(3 * PERIOD)
    assert handle.progress().frames == 3


def test_cards_that_were_not_started_hold_the_progress():
    handle, emulator, clock = cards_of()
    internal(handle, 5, 1_000)
    for card in (0, 2):
        handle.start(card)
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (0, 5, 0)
    assert [emulator.xsp3_scaler_check_desc(0, card) for card in range(4)] == [5, 0, 0, 0]
    mca, scalers = read(handle, 0, 5)
    assert mca[:, :2].any() and not mca[:, 2:].any() and not scalers[:, 2:].any()
    assert status(handle, 0, 2, 1)["time_frame"].tolist() == [0, 1]
    assert status(handle, 0, 2, 2)["time_frame"].tolist() == [-1, -1] == status(handle, 0, 2, 7)["time_frame"].tolist()
    assert status(handle, 0, 2, 2)["state"].tolist() == [0, 0]
    handle.start()
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (5, 5, 0)


def test_a_card_may_come_as_long_as_nothing_was_counted():
    handle, _, clock = cards_of(cards=2)
    internal(handle, 5, 1_000, ItfgTrigger.software)
    handle.arm(0)
    clock.ticks(10_000)
    handle.start(1)
    handle.trigger()
    clock.ticks(2_000)
    assert handle.progress().frames == 1


def test_a_follower_that_is_not_started_again_does_not_take_part_again():
    handle, _, clock = cards_of(cards=2)
    internal(handle, 5, 1_000)
    handle.start()
    clock.ticks(10 * PERIOD)
    handle.start(0)
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (0, 5, 0)


def test_a_follower_that_stops_or_starts_amid_a_run_falls_back():
    for end in ("stop", "start"):
        handle, emulator, clock = cards_of(cards=2, frames=8)
        internal(handle, 0, 1_000)
        handle.start()
        clock.ticks(3 * PERIOD + 500)
        getattr(handle, end)(1)
        clock.ticks(2 * PERIOD)
        assert handle.progress()[:2] == (3, 5)
        assert [emulator.xsp3_scaler_check_progress(path) for path in (0, 1, 2)] == [3, 5, 3]
        assert status(handle, 0, 5, 3)["time_frame"].tolist() == [0, 1, 2, -1, -1]
        assert emulator.xsp3_histogram_is_busy(0, 0) == 1 and emulator.xsp3_histogram_is_busy(0, 3) == 0
        handle.stop()
        assert handle.progress()[:2] == (3, 6) and not handle.busy


def test_a_run_without_card_0_is_none():
    handle, _, clock = cards_of(cards=2)
    internal(handle, 5, 1_000)
    handle.start(1)
    handle.resume(1)
    handle.stop(1)
    clock.ticks(10_000)
    assert handle.progress() == (0, 0, 0)
    handle.start(0)
    clock.ticks(10_000)
    assert handle.progress() == (0, 5, 0)


def test_continue_and_pause_of_other_cards_do_nothing():
    handle, _, clock = cards_of(cards=2)
    internal(handle, 5, 1_000, ItfgTrigger.software)
    handle.arm()
    handle.resume(1)
    clock.ticks(2_000)
    assert handle.progress().frames == 0
    handle.resume(0)
    handle.pause(1)
    handle.resume(0)
    clock.ticks(2_000)
    assert handle.progress().frames == 1


@pytest.mark.parametrize(
    "register, follows",
    [
        (4, True),
        (4 | 80 << 16, True),
        (4 | 81 << 16, False),  # takes the gap of 80 for a glitch
        (4 | 1 << 4, False),  # counts in the gaps
        (5, True),
        (0, False),
        (1, False),
        (3, False),  # no such cable
        (6, False),
    ],
)
def test_what_a_follower_must_be_set_to(register, follows):
    handle, emulator, clock = cards_of(cards=2)
    internal(handle, 5, 1_000)
    assert emulator.xsp3_set_glob_timeA(0, 1, register) == OK
    handle.start()
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (5 * follows, 5, 0)
    assert handle.timing_state(1) == TimingState(4 * follows, False, False, False, False)


def test_short_frames_need_a_short_debounce():
    for gap, ticks, follows in ((GapMode.us1, 69, False), (GapMode.us1, 70, True), (GapMode.ns25, 2, True)):
        handle, _, clock = cards_of(cards=2)
        handle.setup_itfg(5, ticks, gap=gap)
        handle.set_timing(TimingSource.internal)
        handle.start()
        clock.ticks(10 * PERIOD)
        assert handle.progress().frames == 5 * follows


def test_the_veto_must_leave_card_0():
    handle, emulator, clock = cards_of(cards=2)
    internal(handle, 5, 1_000)
    for function, follows in ((8, False), (0, True)):
        assert emulator.xsp3_set_alt_ttl_out(0, 0, function, 0) == OK
        handle.start()
        clock.ticks(10 * PERIOD)
        assert handle.progress().frames == 5 * follows


@pytest.mark.parametrize("mode", [SyncMode.none, SyncMode.lemo_daisychain, SyncMode.idc, SyncMode.midplane])
def test_the_library_s_own_idea_of_the_cabling_works(mode):
    handle, emulator, clock = cards_of(cards=3)
    handle.setup_itfg(5, 1_000)
    assert emulator.xsp3_set_sync_mode(0, mode, 0, 0) == OK
    setup = ffi.new("Xsp3Timing *", {"t_src": 1})
    assert emulator.xsp3_set_timing(0, setup) == OK
    handle.start()
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (5, 5, 0)


def test_followers_of_gates():
    pulses = Pulses(period=10_000 * TICK, width=4_000 * TICK, jitter=20 * TICK, marker_every=(3, 0))
    handle, emulator, clock = cards_of(cards=2, pulses=pulses)
    handle.set_timing(TimingSource.ttl_veto, debounce=80)
    handle.start()
    clock.ticks(10_000 * 9)
    assert handle.progress() == (9, 9, 0)
    mca, scalers = read(handle, 0, 9)
    ticks = scalers[..., Scaler.ticks].astype(int)
    assert (ticks[:, 2:] == ticks[:, :1] + 1).all() and len(set(ticks[:, 0])) > 3
    for number in range(9):
        assert same((mca[number], scalers[number]), timed_frame(emulator.settings, int(ticks[number, 0]), number))
    assert status(handle, 0, 9, 3)["markers"].tolist() == [1, 0, 0] * 3


# ---- a card's own handle


def test_handles_of_cards():
    handle, emulator, _ = cards_of(cards=3, per_card=4)
    leaf, index = word("int *"), word("int *")
    for channel in range(12):
        assert emulator.xsp3_resolve_path(0, channel, leaf, index) == OK
        assert (leaf[0], index[0]) == (1 + channel // 4, channel % 4)
        assert emulator.xsp3_resolve_path(leaf[0], index[0], leaf, index) == OK
        assert (leaf[0], index[0]) == (1 + channel // 4, channel % 4)
    assert (
        emulator.xsp3_resolve_path(0, 12, leaf, index) == emulator.xsp3_resolve_path(1, 4, leaf, index) == BAD_CHANNEL
    )
    assert emulator.xsp3_resolve_path(0, -1, leaf, index) == BAD_CHANNEL
    assert emulator.xsp3_resolve_path(0, 0, ffi.NULL, index) == BAD_RANGE
    assert emulator.xsp3_resolve_path(4, 0, leaf, index) == BAD_PATH
    for path in (1, 2, 3):
        assert emulator.xsp3_get_num_chan(path) == emulator.xsp3_get_max_num_chan(path) == 4
        assert emulator.xsp3_get_num_cards(path) == 1 and emulator.xsp3_get_chans_per_card(path) == 4
        assert emulator.xsp3_get_num_chan_used(path, 0) == 4
        assert emulator.xsp3_get_num_chan_used(path, 1) == BAD_CARD
        assert emulator.xsp3_get_revision(path) == handle.revision and emulator.xsp3_get_generation(path, 0) == 0
        assert emulator.xsp3_get_clock_period(path, 0) == TICK
    for path in (4, -1, 99):
        assert emulator.xsp3_get_num_chan(path) == BAD_PATH and message(emulator) == f"path {path} is not open"
    assert emulator.xsp3_close(2) == OK
    assert emulator.xsp3_get_num_chan(0) == emulator.xsp3_get_num_chan(1) == BAD_PATH


def test_a_single_card_is_its_own_leaf():
    _, emulator, _ = connect()
    leaf, index = word("int *"), word("int *")
    assert emulator.xsp3_resolve_path(0, 3, leaf, index) == OK and (leaf[0], index[0]) == (0, 3)
    assert emulator.xsp3_get_num_chan(1) == BAD_PATH


def test_fewer_channels_fill_the_first_cards():
    _, emulator, _ = cards_of(cards=2, per_card=4)
    assert emulator.xsp3_config(2, 64, ffi.NULL, -1, ffi.NULL, 6, 1, ffi.NULL, 0, 0) == 0
    assert [emulator.xsp3_get_num_chan(path) for path in range(3)] == [6, 4, 2]
    assert [emulator.xsp3_get_num_chan_used(0, card) for card in range(2)] == [4, 2]
    leaf, index = word("int *"), word("int *")
    assert emulator.xsp3_resolve_path(0, 3, leaf, index) == OK and (leaf[0], index[0]) == (1, 3)


def test_reads_of_a_card_are_the_system_s():
    handle, emulator, clock = cards_of(cards=3, per_card=2)
    internal(handle, 8, 8_000)
    handle.start()
    clock.ticks(100_000)
    mca, scalers = read(handle, 0, 8)
    for card in range(3):
        path, own = 1 + card, slice(2 * card, 2 * card + 2)
        block, counters = np.empty((8, 2, 4096), np.uint32), np.empty((8, 2, SCALERS), np.uint32)
        pointer, counts = ffi.from_buffer("uint32_t[]", block), ffi.from_buffer("uint32_t[]", counters)
        for read_block in (
            lambda: emulator.xsp3_histogram_read4d(path, pointer, 0, 0, 0, 0, 4096, 1, 2, 8),  # noqa: B023
            lambda: emulator.xsp3_histogram_read3d(path, pointer, 0, 0, 0, 4096, 2, 8),  # noqa: B023
        ):
            block[:] = 7
            assert read_block() == OK and np.array_equal(block, mca[:, own])
        assert emulator.xsp3_scaler_read(path, counts, 0, 0, 0, 9, 2, 8) == OK
        assert np.array_equal(counters, scalers[:, own])
        assert emulator.xsp3_histogram_read4d(path, pointer, 0, 0, 1, 3, 4096, 1, 1, 1) == OK
        assert np.array_equal(block[0, 0], mca[3, 2 * card + 1])
        assert emulator.xsp3_histogram_read_chan(path, pointer, 1, 0, 0, 2, 4096, 1, 2) == OK
        assert np.array_equal(block.reshape(-1, 4096)[:2], mca[2:4, 2 * card + 1])
        for channel, count, answer in ((0, 3, BAD_RANGE), (2, 1, BAD_CHANNEL), (1, 2, BAD_RANGE), (0, 0, BAD_RANGE)):
            assert emulator.xsp3_histogram_read4d(path, pointer, 0, 0, channel, 0, 4096, 1, count, 1) == answer
            assert emulator.xsp3_scaler_read(path, counts, 0, channel, 0, 9, count, 1) == answer
        assert emulator.xsp3_histogram_read3d(path, pointer, 0, 1, 0, 4096, 2, 1) == BAD_RANGE
        assert emulator.xsp3_scaler_check_progress(path) == 8
        details = word("Xsp3ErrFlag *"), word("int64_t *")
        assert emulator.xsp3_scaler_check_progress_details(path, details[0], 1, details[1]) == 8 == details[1][0]
        found = ffi.new("Xsp3TFStatus[8]")
        assert emulator.xsp3_histogram_get_tf_status_block(path, 1, 0, 8, found) == OK
        assert [each.time_frame for each in found] == list(range(8))
        assert emulator.xsp3_histogram_get_tf_status_block(path, 2, 0, 8, found) == BAD_CHANNEL


def test_settings_of_a_card_are_the_system_s():
    handle, emulator, _ = cards_of(cards=3, per_card=2)
    assert emulator.xsp3_set_window(2, 1, 0, 100, 200) == OK
    assert [handle.window(channel, 0) for channel in range(6)] == [(0, 4095)] * 3 + [(100, 200)] + [(0, 4095)] * 2
    assert emulator.xsp3_set_window(3, -1, 1, 5, 6) == OK
    assert [handle.window(channel, 1) for channel in range(6)] == [(0, 4095)] * 4 + [(5, 6)] * 2
    assert emulator.xsp3_set_good_thres(1, -1, 77) == OK
    assert [handle.good_threshold(channel) for channel in range(6)] == [77] * 2 + [50] * 4
    low, high = word(), word()
    assert emulator.xsp3_get_window(2, 1, 0, low, high) == OK and (low[0], high[0]) == (100, 200)
    for wrong in (2, 5, -1):
        assert emulator.xsp3_get_window(2, wrong, 0, low, high) == BAD_CHANNEL
        assert message(emulator) == f"channel {wrong} is outside 0..1"
    assert emulator.xsp3_set_window(2, 2, 0, 1, 2) == BAD_CHANNEL
    assert emulator.xsp3_format_run(2, -1, 0, 0, 0, 0, 0, 12) == 64
    assert emulator.xsp3_format_run(2, 2, 0, 0, 0, 0, 0, 12) == BAD_CHANNEL
    trigger = word("Xspress3_TriggerB *")
    assert emulator.xsp3_get_trigger_b(3, 1, trigger) == OK and trigger.event_time == 6
    assert emulator.xsp3_set_chan_cont(2, 0, 6) == OK
    control = word()
    assert emulator.xsp3_get_chan_cont(0, 2, control) == OK and control[0] == 6


def test_timing_of_a_card_is_the_system_s():
    handle, emulator, _ = cards_of(cards=3)
    for card in (0, -1):
        assert emulator.xsp3_set_glob_timeA(2, card, 4 | 30 << 16) == OK
        assert [handle.timing_register(number) for number in range(3)] == [0, 4 | 30 << 16, 0]
    register = word()
    assert emulator.xsp3_get_glob_timeA(2, 0, register) == OK and register[0] == 4 | 30 << 16
    for card in (1, 2, -1):
        assert emulator.xsp3_get_glob_timeA(2, card, register) == BAD_CARD
    assert message(emulator) == "card -1 is outside 0..0"
    assert emulator.xsp3_set_glob_timeA(2, 1, 0) == BAD_CARD
    assert emulator.xsp3_itfg_setup(1, 0, 7, 1_000, 0, 3) == OK and handle.itfg()[0] == 7
    hot, as_hot, coolest = (ffi.new("float[4]") for _ in range(3))
    assert emulator.xsp3_i2c_read_adc_temp(3, -1, hot) == emulator.xsp3_i2c_read_adc_temp(0, 2, as_hot) == OK
    assert emulator.xsp3_i2c_read_adc_temp(1, 0, coolest) == OK
    assert list(hot) == list(as_hot) != list(coolest)


def test_cards_are_run_by_their_own_handles():
    handle, emulator, clock = cards_of(cards=3)
    internal(handle, 5, 1_000)
    for path in (3, 2, 1):
        assert emulator.xsp3_scaler_check_progress(path) == 0
        assert emulator.xsp3_histogram_start(path, 0) == OK
    clock.ticks(10 * PERIOD)
    assert handle.progress() == (5, 5, 0)
    assert emulator.xsp3_histogram_start(2, 1) == BAD_CARD
    assert emulator.xsp3_histogram_stop(1, -1) == OK
    assert handle.progress() == (5, 5, 0)


def test_the_format_of_a_card_has_its_own_number_of_channels():
    _, emulator, _ = connect(channels=7, cards=2)
    numbers = [word("int *") for _ in range(5)]
    for path, channel, expected in ((0, 6, 7), (1, 3, 4), (2, 2, 3)):
        assert emulator.xsp3_read_format(path, channel, 0, *numbers) == OK
        assert [number[0] for number in numbers] == [expected, 4096, 1, 1, 64]
    assert emulator.xsp3_read_format(2, 3, 0, *numbers) == BAD_CHANNEL


def test_a_card_of_a_mini_is_acknowledged_by_itself():
    handle, emulator, clock = cards_of("mini", cards=2, frames=8)
    internal(handle, 0, 1_000)
    handle.start()
    clock.ticks(6 * PERIOD - 100)
    assert emulator.xsp3_histogram_circ_ack(2, 0, 0, 1, 6) == OK  # one channel stands for the card
    assert [status(handle, 0, 6, channel)["state"].max() for channel in range(4)] == [1, 1, 0, 0]
    assert emulator.xsp3_histogram_circ_ack(2, 1, 0, 1, 6) < 0
    assert emulator.xsp3_histogram_circ_ack(0, 0, 0, 2, 6) == OK
    clock.ticks(10 * PERIOD)
    first = word("int64_t *")
    assert emulator.xsp3_histogram_get_circ_overrun(2, -1, first) == 1
    assert emulator.xsp3_histogram_get_circ_overrun(2, 2, first) == BAD_CHANNEL
    assert message(emulator) == "channel 2 is outside 0..1"


def test_overruns_by_card():
    handle, emulator, clock = cards_of(cards=2, frames=8)
    internal(handle, 0, 1_000)
    handle.start()
    clock.ticks(6 * PERIOD - 100)
    assert emulator.xsp3_histogram_circ_ack(2, 0, 0, 2, 6) == OK
    clock.ticks(4 * PERIOD)
    first = word("int64_t *")
    assert emulator.xsp3_histogram_get_circ_overrun(1, -1, first) == 2 and first[0] == 0
    assert emulator.xsp3_histogram_get_circ_overrun(2, -1, first) == 0 and first[0] == -1
    assert emulator.xsp3_histogram_get_circ_overrun(0, -1, first) == 2


# ---- what existing clients do


def client(product="xspress3", channels=4, cards=1, **options):
    clock = Clock()
    lib = EmulatedLibrary(
        EmulatorSettings(product=product, channels=channels, cards=cards, **options), clock, clock.sleep
    )
    return lib, clock


def opened(lib, cards, frames, address=ffi.NULL):
    return lib.xsp3_config(cards, frames, address, -1, ffi.NULL, -1, 1, ffi.NULL, 0, 0)


def test_epics_stops_starts_sets_up_and_starts_again():
    lib, clock = client(channels=4, cards=2)
    assert opened(lib, 2, 64) == 0
    for card in range(2):
        assert lib.xsp3_clocks_setup(0, card, 1, 3, 0) == OK
    assert all(lib.xsp3_format_run(0, channel, 0, 0, 0, 0, 0, 12) == 64 for channel in range(4))
    assert lib.xsp3_set_run_flags(0, 0x10C) == OK
    assert lib.xsp3_set_glob_timeA(0, 1, 4) == OK
    for repetition in range(3):
        assert lib.xsp3_histogram_stop(0, -1) == OK
        assert lib.xsp3_histogram_clear(0, 0, 4, 0, 64) == OK
        assert lib.xsp3_has_itfg(0, 0) > 0
        for _ in range(2):
            assert lib.xsp3_itfg_setup(0, 0, 10, 80_000, 0, 3) == OK
            assert lib.xsp3_set_glob_timeA(0, 0, 1) == OK
            assert lib.xsp3_histogram_start(0, -1) == OK
            clock.ticks(2_000)
        assert lib.xsp3_scaler_check_progress(0) == 0
        clock.ticks(10 * 80_080)
        assert lib.xsp3_scaler_check_progress(0) == 10, repetition
        assert lib.xsp3_histogram_circ_ack(0, 0, 0, 4, 10) == OK
    assert lib.xsp3_histogram_start(0, -1) == OK
    clock.ticks(5_000)
    assert lib.xsp3_histogram_is_any_busy(0) == 1
    assert lib.xsp3_histogram_stop(0, -1) == OK
    assert [lib.xsp3_histogram_is_any_busy(0) for _ in range(2)] == [0, 0]
    assert lib.xsp3_scaler_check_progress(0) == 1


def test_epics_with_pulses_per_trigger_and_with_software_frames():
    lib, clock = client(pulses=Pulses(period=10_000 * TICK, width=1_000 * TICK))
    assert opened(lib, 1, 64) == 0
    assert lib.xsp3_itfg_setup2(0, 0, 5, 4, 2, 3, 1, 0, 0) == OK and lib.xsp3_set_glob_timeA(0, 0, 1) == OK
    assert lib.xsp3_histogram_start(0, -1) == OK
    clock.ticks(10_000 * 40)
    assert lib.xsp3_scaler_check_progress(0) == 5
    # Mode 7 arms, then starts, twice: the first frame runs at once.
    assert lib.xsp3_histogram_stop(0, -1) == OK
    for _ in range(2):
        assert lib.xsp3_itfg_setup2(0, 0, 5, 4_000, 1, 3, 0, 0, 0) == OK
        assert lib.xsp3_histogram_arm(0, -1) == OK
        assert lib.xsp3_histogram_start(0, -1) == OK
    clock.ticks(5_000)
    assert lib.xsp3_scaler_check_progress(0) == 1
    for number in range(2, 5):
        assert lib.xsp3_histogram_pause(0, 0) == OK and lib.xsp3_histogram_continue(0, 0) == OK
        clock.ticks(5_000)
        assert lib.xsp3_scaler_check_progress(0) == number


def test_lima_pauses_and_continues_in_a_burst():
    lib, clock = client(channels=4, cards=2)
    empty = ffi.new("char[]", b"")
    assert lib.xsp3_config(2, 64, empty, -1, ffi.new("char[]", b"00:00:00:00:00:00"), -1, 1, empty, 0, 0) == 0
    assert lib.xsp3_init_roi(0, -1) == OK
    for card in range(2):
        assert lib.xsp3_clocks_setup(0, card, 1, 3, 0) >= 0
    assert lib.xsp3_set_run_flags(0, 0xC) == OK
    assert lib.xsp3_set_glob_timeA(0, 0, 1 | 80 << 16) == OK and lib.xsp3_set_glob_timeA(0, 1, 4) == OK
    assert lib.xsp3_set_glob_timeFixed(0, 0, 0) == OK
    assert lib.xsp3_itfg_setup(0, 0, 6, 8_000, 0, 3) == OK
    assert lib.xsp3_histogram_clear(0, 0, 4, 0, 6) == OK
    assert lib.xsp3_histogram_start(0, -1) == OK
    for _ in range(5):
        clock.ticks(8_000)
        assert lib.xsp3_histogram_pause(0, 0) == OK and lib.xsp3_histogram_continue(0, 0) == OK
    clock.ticks(8_480)
    assert lib.xsp3_histogram_stop(0, -1) == OK
    assert lib.xsp3_scaler_check_progress(0) == 6
    scalers, spectrum = ffi.new("uint32_t[36]"), ffi.new("uint32_t[4096]")
    for frame in range(6):
        assert lib.xsp3_scaler_read(0, scalers, 0, 0, frame, 9, 4, 1) == OK
        assert [scalers[9 * channel] for channel in range(4)] == [8_000, 8_000, 8_001, 8_001]
        for channel in range(4):
            assert lib.xsp3_histogram_read3d(0, spectrum, 0, channel, frame, 4096, 1, 1) == OK
            assert sum(spectrum) == sum(list(spectrum)[50:]) + sum(list(spectrum)[:50])
            assert sum(list(spectrum)[50:]) == scalers[9 * channel + 4]


def test_lima_takes_the_gate_as_the_exposure():
    lib, clock = client(channels=4, cards=2, pulses=Pulses(period=20_000 * TICK, width=8_000 * TICK))
    assert opened(lib, 2, 64) == 0
    assert lib.xsp3_set_glob_timeA(0, -1, 4 | 80 << 16) == OK
    assert lib.xsp3_histogram_start(0, -1) == OK
    clock.ticks(20_000 * 5)
    assert lib.xsp3_scaler_check_progress(0) == 5
    assert lib.xsp3_histogram_stop(0, -1) == OK


@pytest.mark.parametrize("product, channels, source", [("xspress3", 4, 1), ("mini", 2, 0x10)])
def test_the_streamer_s_sequence(product, channels, source):
    lib, clock = client(product, channels, pulses=Pulses(period=10_000 * TICK, width=4_000 * TICK))
    assert lib.xsp3_config(1, 16384, ffi.NULL, -1, ffi.NULL, -1, -1, ffi.NULL, -1, -1) == 0
    assert lib.xsp3_set_run_flags(0, 0x10C) == OK
    assert lib.xsp3_clocks_setup(0, 0, source, 3, 0) >= 0
    trigger = ffi.new("Xspress3_TriggerB *")
    assert all(lib.xsp3_get_trigger_b(0, channel, trigger) == OK for channel in range(channels))
    spectra, scalers = ffi.new("uint32_t[]", 4096 * channels), ffi.new("uint32_t[]", 9 * channels)

    def take(frame):
        assert lib.xsp3_histogram_get_circ_overrun(0, -1, ffi.NULL) == 0
        assert lib.xsp3_histogram_read3d(0, spectra, 0, 0, frame, 4096, channels, 1) == OK
        assert lib.xsp3_scaler_read(0, scalers, 0, 0, frame, 9, channels, 1) == OK
        assert lib.xsp3_histogram_circ_ack(0, 0, frame, channels, 1) == OK

    def set_up(register):
        fit = lib.xsp3_format_run(0, -1, 0, 0, 0, 0, 0, 12)
        assert fit == 16384
        assert lib.xsp3_histogram_clear(0, 0, channels, 0, fit) == OK
        assert lib.xsp3_set_glob_timeA(0, 0, register) == OK

    set_up(1)  # software triggers
    assert lib.xsp3_itfg_setup(0, 0, 5, 8_000, 1, 3) == OK and lib.xsp3_histogram_arm(0, 0) == OK
    for frame in range(5):
        assert lib.xsp3_histogram_continue(0, 0) == OK and lib.xsp3_histogram_pause(0, 0) == OK
        clock.ticks(9_000)
        assert lib.xsp3_scaler_check_progress(0) == frame + 1
        take(frame)
        assert scalers[0] == 8_000
    assert lib.xsp3_histogram_stop(0, 0) == OK
    set_up(1)  # external_multi
    assert lib.xsp3_itfg_setup(0, 0, 5, 8_000, 2, 3) == OK and lib.xsp3_histogram_start(0, 0) == OK
    clock.ticks(10_000 * 4 + 8_000)
    assert lib.xsp3_scaler_check_progress(0) == 5
    for frame in range(5):
        take(frame)
    assert lib.xsp3_histogram_stop(0, 0) == OK
    set_up(4 | 80 << 16)  # gates
    assert lib.xsp3_set_glob_timeFixed(0, 0, 0) == OK and lib.xsp3_histogram_start(0, 0) == OK
    for frame in range(20):
        clock.ticks(10_000 if frame else 5_000)
        assert lib.xsp3_scaler_check_progress(0) == frame + 1
        take(frame)
        assert scalers[0] == 4_000
    assert lib.xsp3_histogram_stop(0, 0) == OK


@pytest.mark.parametrize("trigger, arms", [(0, False), (1, True)])
def test_odin_starts_the_others_first_and_reads_by_card(trigger, arms):
    lib, clock = client(channels=4, cards=2)
    assert opened(lib, 2, 64) == 0
    assert lib.xsp3_format_run(0, -1, 0, 0, 0, 0, 0, 12) == 64
    assert lib.xsp3_set_run_flags(0, 0x10C) == OK
    assert lib.xsp3_get_clock_period(0, 0) == TICK
    mux = ffi.new("Xsp3TriggerMux *", {"trig_sel": [0, 1, 2, 3]})
    assert lib.xsp3_set_glob_trigger_select(0, 0, mux) == OK
    for _ in range(2):
        assert lib.xsp3_itfg_setup(0, 0, 6, 8_000, trigger, 3) == OK
        assert lib.xsp3_set_timing(0, ffi.new("Xsp3Timing *", {"t_src": 1})) == OK
        assert lib.xsp3_histogram_start(0, 1) == OK
        assert (lib.xsp3_histogram_arm if arms else lib.xsp3_histogram_start)(0, 0) == OK
        for _ in range(6):
            if arms:
                assert lib.xsp3_histogram_continue(0, 0) == OK and lib.xsp3_histogram_pause(0, 0) == OK
            clock.ticks(8_100)
        flags, furthest = ffi.new("Xsp3ErrFlag *"), ffi.new("int64_t *")
        assert lib.xsp3_scaler_check_progress_details(0, flags, 0, furthest) == 6 == furthest[0] and flags[0] == 0
        leaf, index = ffi.new("int *"), ffi.new("int *")
        whole, own = ffi.new("uint32_t[36]"), ffi.new("uint32_t[9]")
        for frame in range(6):
            assert lib.xsp3_scaler_read(0, whole, 0, 0, frame, 9, 4, 1) == OK
            for channel in range(4):
                assert lib.xsp3_resolve_path(0, channel, leaf, index) == OK and leaf[0] > 0
                assert lib.xsp3_scaler_read(leaf[0], own, 0, index[0], frame, 9, 1, 1) == OK
                assert list(own) == list(whole[9 * channel : 9 * channel + 9]) and own[0]
        assert lib.xsp3_histogram_circ_ack(0, 0, 0, 4, 6) == OK
        assert lib.xsp3_histogram_stop(0, -1) == OK


def test_a_poller_that_acknowledges_what_there_is_not():
    lib, clock = client()
    assert opened(lib, 1, 64) == 0 and lib.xsp3_set_run_flags(0, int(CIRCULAR)) == OK
    assert lib.xsp3_itfg_setup(0, 0, 5, 1_000, 0, 3) == OK and lib.xsp3_set_glob_timeA(0, 0, 1) == OK
    state = word()
    assert lib.xsp3_get_glob_time_statA(0, 0, state) == OK and state[0] == 0
    assert lib.xsp3_histogram_circ_ack(0, 0, 0xFFFFFFFF, 4, 1) == OK
    assert lib.xsp3_histogram_start(0, 0) == OK
    for frame in range(5):
        clock.ticks(PERIOD - 10 if not frame else PERIOD)
        assert lib.xsp3_get_glob_time_statA(0, 0, state) == OK
        assert state[0] == frame | 1 << 25 if frame < 4 else state[0] == 4 | 1 << 27
        assert lib.xsp3_histogram_circ_ack(0, 0, frame - 1 & 0xFFFFFFFF, 4, 1) == OK
    assert lib.xsp3_scaler_check_progress(0) == 5


def test_faults_meet_a_card_s_own_handle():
    _, emulator, clock = cards_of(cards=2, faults=Faults(card_lost=CardLost(card=1, after=1.0)))
    register = word()
    assert emulator.xsp3_get_glob_timeA(2, 0, register) == OK
    clock.sleep(2)
    assert emulator.xsp3_get_glob_timeA(1, 0, register) == OK
    for path, card in ((0, 1), (2, 0)):
        assert emulator.xsp3_get_glob_timeA(path, card, register) < 0
        assert message(emulator) == "xsp3_get_glob_timeA: card 1 does not answer"
