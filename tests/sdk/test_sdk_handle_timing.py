"""Timing through the handle: one card and several, start order, what a register keeps."""

import numpy as np
import pytest
from sdk_bench import connect, internal
from sdk_recorder import Recorder

from xsp3ioc.sdk import (
    GapMode,
    InPause,
    ItfgTrigger,
    MarkerSource,
    OutOfRange,
    Scaler,
    SyncMode,
    TimingSource,
    TtlOut,
)


def recorder(**answers):
    """A library that answers 0 to what it is asked for, and a list with it in it once it is connected."""
    kept = []

    def make(emulator):
        kept.append(Recorder(emulator, **answers))
        return kept[0]

    return make, kept


def registers(library):
    """What set_timing wrote: the register of each card, in order."""
    return [arguments for name, arguments in library.calls if name == "xsp3_set_glob_timeA"]


GAPS = [(GapMode.ns25, 0), (GapMode.ns200, 10), (GapMode.ns500, 30), (GapMode.us1, 70)]


@pytest.mark.parametrize("gap, debounce", GAPS)
def test_cards_behind_the_generator_get_what_its_gap_needs(gap, debounce):
    make, kept = recorder()
    handle, _, _ = connect(library=make, channels=3, cards=3)
    handle.setup_itfg(10, 1000, ItfgTrigger.hardware, gap)
    handle.set_timing(TimingSource.internal, debounce=200)  # of the trigger; the others would not see the gap
    assert registers(kept[0]) == [(0, 1 | 200 << 16), (1, 4 | debounce << 16), (2, 4 | debounce << 16)]


def test_cards_behind_a_gate_are_debounced_like_it():
    make, kept = recorder()
    handle, _, _ = connect(library=make, channels=2, cards=2)
    handle.set_timing(TimingSource.ttl_veto, debounce=80, invert_veto=True)
    assert registers(kept[0]) == [(0, 4 | 1 << 4 | 80 << 16), (1, 4 | 80 << 16)]
    kept[0].calls.clear()
    handle.set_timing(TimingSource.lvds_both, debounce=80, other_debounce=255, loop_io=True, frame_capture=True)
    bits = 1 << 7 | 1 << 14
    assert registers(kept[0]) == [(0, 7 | bits | 80 << 16), (1, 4 | bits | 255 << 16)]


@pytest.mark.parametrize("debounce", [-1, 256])
def test_a_debounce_cannot_reach_other_bits(debounce):
    handle, _, _ = connect()
    with pytest.raises(ValueError, match=f"debounce = {debounce} is outside 0..255"):
        handle.set_timing(TimingSource.ttl_veto, debounce=debounce)


def test_the_function_of_the_outputs_stays():
    make, kept = recorder(xsp3_set_alt_ttl_out=lambda *_: 0)
    handle, _, _ = connect(library=make, channels=2, cards=2)
    handle.set_ttl_out(TtlOut.in_window_live, 1)
    handle.set_timing(TimingSource.software)
    assert registers(kept[0]) == [(0, 0), (1, 4 | 9 << 24)]
    handle.set_ttl_out(TtlOut.all)
    kept[0].calls.clear()
    handle.set_timing(TimingSource.software)
    assert registers(kept[0]) == [(0, 1 << 24), (1, 4 | 1 << 24)]


def test_a_mid_plane_is_left_to_the_library():
    seen = []

    def set_timing(path, setup):
        seen.append((setup.t_src, setup.fixed, setup.debounce, setup.override_debounce_other, setup.card0_a_extra))
        return 0

    make, kept = recorder(xsp3_set_timing=set_timing)
    handle, _, _ = connect(library=make, product="x3x2", channels=4, cards=2)
    handle.setup_clocks()
    assert kept[0].last("xsp3_set_sync_mode") == (SyncMode.midplane, 0, 0)
    handle.set_first_frame(3)
    internal(handle, 10, 1000)
    assert seen == [(1, 3, 0, 70, 0)] and not registers(kept[0])
    handle.set_timing(TimingSource.ttl_veto, card=1)
    assert registers(kept[0]) == [(1, 4)]


def test_card_0_comes_last():
    make, kept = recorder()
    handle, _, _ = connect(library=make, channels=3, cards=3)
    assert handle.cards == 3
    kept[0].calls.clear()
    handle.start(one_by_one=True)
    handle.arm(one_by_one=True)
    handle.start()
    assert kept[0].calls == [
        ("xsp3_histogram_start", (1,)), ("xsp3_histogram_start", (2,)), ("xsp3_histogram_start", (0,)),
        ("xsp3_histogram_start", (1,)), ("xsp3_histogram_start", (2,)), ("xsp3_histogram_arm", (0,)),
        ("xsp3_histogram_start", (-1,)),
    ]  # fmt: skip


@pytest.mark.parametrize("gap", GapMode)
@pytest.mark.parametrize("product", ["xspress3", "mini", "xspress4", "x3x2"])
def test_cards_run_together(product, gap):
    handle, _, clock = connect(product=product, channels=4, cards=2)
    handle.setup_clocks()
    handle.setup_itfg(5, 1000, ItfgTrigger.software_only_first, gap)
    handle.set_timing(TimingSource.internal, debounce=100)
    handle.arm(one_by_one=True)
    handle.trigger()
    clock.ticks(6000)
    assert handle.progress() == (5, 5, 0)
    found = handle.read(0, 5)
    assert found.whole.all() and np.ptp(found.scalers[..., Scaler.total_ticks].astype(int)) <= 2
    handle.acknowledge(0, 5)
    assert handle.overrun()[0] == 0
    handle.stop()


def test_the_generator_as_it_is_programmed():
    handle, _, _ = connect()
    handle.setup_itfg(10, 3, ItfgTrigger.hardware, GapMode.ns500, in_pause=InPause.all_but_first, marker_period=5)
    assert handle.itfg() == (10, 3, ItfgTrigger.hardware, GapMode.ns500, InPause.all_but_first, 5, 0)
    handle.set_first_frame(0)
    assert handle.first_frame() == (0, MarkerSource.itfg)
    handle.setup_itfg(10, 3)
    handle.set_first_frame(0)
    assert handle.first_frame() == (0, MarkerSource.ttl)


def test_the_generators_markers_are_in_the_frames():
    handle, _, clock = connect()
    handle.setup_itfg(10, 1000, marker_period=4, marker_frame=1)
    handle.set_timing(TimingSource.internal)
    handle.set_first_frame(0)
    handle.start()
    clock.ticks(20_000)
    assert handle.wait(10, 1).frames == 10
    markers = np.zeros(10, np.int32)
    handle.read_markers(0, markers)
    assert np.flatnonzero(markers).tolist() == [1, 5, 9]
    assert np.array_equal(handle.read(0, 10).status["markers"][2], markers)


@pytest.mark.parametrize("frame", [-1, 1 << 24])
def test_first_frames_that_do_not_fit(frame):
    handle, _, _ = connect()
    with pytest.raises(ValueError, match=f"first frame = {frame} is outside 0..0xffffff"):
        handle.set_first_frame(frame)


def test_the_first_frame_is_read_back():
    handle, _, _ = connect()
    handle.set_first_frame(1000, MarkerSource.itfg)
    assert handle.first_frame() == (1000, MarkerSource.itfg)
    handle.set_timing(TimingSource.ttl_veto, debounce=9)
    assert handle.timing_register() == 4 | 9 << 16


def test_numbers_that_c_cannot_hold():
    make, _ = recorder()
    handle, _, _ = connect(library=make)
    with pytest.raises(OutOfRange, match="xsp3_itfg_setup: "):
        handle.setup_itfg(10, -1)
    with pytest.raises(OutOfRange, match="xsp3_itfg_setup: "):
        handle.setup_itfg(1 << 40, 1000)


def test_the_state_of_the_timing():
    register = 123 | 1 << 25 | 1 << 26

    def answer(path, card, out):
        out[0] = register
        return 0

    make, _ = recorder(xsp3_get_glob_time_statA=answer)
    handle, _, _ = connect(library=make)
    assert handle.timing_state() == (123, False, True, True, False)
