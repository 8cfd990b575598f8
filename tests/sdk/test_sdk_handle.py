"""The handle: identity, registers, errors, faults, several cards."""

import threading

import numpy as np
import pytest
from sdk_bench import connect, internal, read, status

from xsp3ioc.sdk import (
    STATUS_DTYPE,
    DeviceNotFound,
    EmulatedLibrary,
    EmulatorSettings,
    Faults,
    GapMode,
    Generation,
    IllegalCard,
    InvalidPath,
    OutOfRange,
    RunFlag,
    SettingsFileError,
    TimingSource,
    Xspress3,
    Xspress3Error,
)
from xsp3ioc.sdk.cdef import ffi


def test_identity(connected):
    handle, lib, _ = connected(channels=6)
    assert (handle.path, handle.channels, handle.cards, handle.bins, handle.ring) == (0, 6, 1, 4096, 64)
    assert (handle.generation, handle.firmware, handle.model) == (Generation.xspress3, "2.7", "Xspress3")
    assert handle.revision == 2 << 12 | 7
    assert handle.simulated and handle.library_name == lib.library_name and handle.has_itfg
    assert handle.clock_period() == 12.5e-9


@pytest.mark.parametrize(
    "product, generation, model, period",
    [
        ("xspress3", Generation.xspress3, "Xspress3", 12.5e-9),
        ("mini", Generation.mini, "Xspress3 Mini", 12.5e-9),
        ("xspress4", Generation.xspress4, "Xspress4", 10e-9),
        ("x3x2", Generation.mini, "Xspress3X Mk2", 12.5e-9),
    ],
)
def test_products(connected, product, generation, model, period):
    handle, _, _ = connected(product=product, channels=2)
    handle.setup_clocks()
    assert (handle.generation, handle.model, handle.clock_period()) == (generation, model, period)


@pytest.mark.parametrize(
    "product, cards, expected",
    [
        ("xspress3", 2, (1, 3)),
        ("mini", 1, (0x10, 3)),
        ("xspress4", 1, (0x11, 3)),
        ("xspress4", 2, (0x21, 3)),
        ("x3x2", 2, (0x21, 2)),
    ],
)
def test_each_card_gets_the_clock_of_its_generation(product, cards, expected):
    handle, emulator, _ = connect(product=product, channels=2, cards=cards)
    seen = []
    emulator.xsp3_clocks_setup = lambda path, *args: seen.append(args) or 0
    handle.setup_clocks()
    assert seen == [(card, *expected, 0) for card in range(cards)]


def test_no_progress_before_the_first_arm_of_a_mini(connected):
    handle, _, _ = connected(product="mini", channels=2)
    with pytest.raises(Xspress3Error, match="before the first arm"):
        handle.progress()
    handle.set_timing(TimingSource.ttl_veto)
    handle.start()
    assert handle.progress().frames == 0


def test_the_other_cards_follow_card_0(connected):
    handle, emulator, _ = connected(channels=4, cards=3)
    internal(handle, 10, 1000)
    registers = ffi.new("uint32_t *")

    def register(card):
        assert emulator.xsp3_get_glob_timeA(0, card, registers) == 0
        return registers[0]

    assert [register(card) for card in range(3)] == [1, 4 | 70 << 16, 4 | 70 << 16]
    handle.setup_itfg(10, 1000, gap=GapMode.ns25)
    handle.set_timing(TimingSource.internal)
    assert [register(card) for card in range(3)] == [1, 4, 4]
    handle.set_timing(TimingSource.ttl_both, invert_veto=True, invert_f0=True, debounce=80)
    assert [register(card) for card in range(3)] == [5 | 1 << 3 | 1 << 4 | 80 << 16, 4 | 80 << 16, 4 | 80 << 16]
    handle.set_timing(TimingSource.idc, card=2)
    assert register(2) == 3


def test_refusals_name_function_value_and_limits(connected):
    handle, emulator, _ = connected()
    with pytest.raises(OutOfRange, match=r"xsp3_set_window: high = 4096 is outside 0..4095 \(status -6\)"):
        handle.set_window(0, 0, 10, 4096)
    with pytest.raises(OutOfRange, match="low = 20 is outside 0..10"):
        handle.set_window(0, 0, 20, 10)
    with pytest.raises(IllegalCard, match="channel 4 is outside 0..3"):
        handle.set_window(4, 0, 0, 10)
    with pytest.raises(IllegalCard, match="card 1 is outside 0..0"):
        handle.start(1)
    with pytest.raises(OutOfRange, match="col_time = 1 is outside 2"):
        handle.setup_itfg(1, 1)
    with pytest.raises(OutOfRange, match="nbits_eng = 13"):
        handle.format(bits=13)
    assert handle.bins == 4096
    with pytest.raises(DeviceNotFound, match="card 1 does not answer"):
        Xspress3.configure(emulator, cards=2)
    with pytest.raises(OutOfRange, match="nchan = 5 is outside 1..4"):
        Xspress3.configure(emulator, channels=5)


def test_a_closed_handle_is_refused(connected):
    handle, emulator, _ = connected()
    with handle:
        pass
    with pytest.raises(InvalidPath, match="path 0 is not open"):
        handle.stop()
    assert Xspress3.configure(emulator).path == 0


def test_an_unusable_spectrum_shows_at_the_connection(connected, tmp_path):
    with pytest.raises(SettingsFileError, match="nowhere.mca"):
        connected(spectrum=str(tmp_path / "nowhere.mca"))


def test_arrays_of_another_kind_are_refused(connected):
    handle, _, _ = connected()
    with pytest.raises(ValueError, match=r"uint64 \(2, 4, 4096\), not C-contiguous uint32 \(frames, 4, 4096\)"):
        handle.read_mca(0, np.zeros((2, 4, 4096), np.uint64))
    with pytest.raises(ValueError, match="frames, 4, 4096"):
        handle.read_mca(0, np.zeros((2, 3, 4096), np.uint32))
    with pytest.raises(ValueError, match="C-contiguous"):
        handle.read_mca(0, np.zeros((2, 4, 8192), np.uint32)[..., ::2])
    with pytest.raises(ValueError, match="frames, 4, 9"):
        handle.read_scalers(0, np.zeros((2, 4, 8), np.uint32))
    with pytest.raises(ValueError, match="int64"):
        handle.frame_status(0, np.zeros(3, np.int64))
    frozen = np.zeros((2, 4, 9), np.uint32)
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        handle.read_scalers(0, frozen)


def test_settings_are_saved_and_restored(connected, tmp_path):
    handle, _, _ = connected(event_width=9)
    handle.set_window(-1, 0, 100, 200)
    handle.set_window(3, 1, 5, 6)
    handle.set_good_threshold(2, 77)
    handle.save_settings(tmp_path)
    other, _, _ = connected()
    assert other.event_width(0) == 6
    other.restore_settings(tmp_path)
    assert other.event_width(0) == 9
    assert [other.window(channel, 0) for channel in range(4)] == [(100, 200)] * 4
    assert other.window(3, 1) == (5, 6) and other.good_threshold(2) == 77 and other.good_threshold(0) == 50
    assert other.dead_time_parameters(1) == handle.dead_time_parameters(1)


def test_settings_of_other_firmware_need_force(connected, tmp_path):
    connected(product="mini", channels=2)[0].save_settings(tmp_path)
    handle, _, _ = connected()
    with pytest.raises(Xspress3Error, match="are for revision 0x22001, this is 0x2007"):
        handle.restore_settings(tmp_path)
    handle.restore_settings(tmp_path, force=True)


def test_settings_directories_that_are_not(connected, tmp_path):
    handle, _, _ = connected()
    with pytest.raises(SettingsFileError, match=r"cannot open .*nowhere: no such directory \(status -10\)"):
        handle.save_settings(tmp_path / "nowhere")
    with pytest.raises(SettingsFileError, match=r"cannot open settings in .*nowhere: No such file") as caught:
        handle.restore_settings(tmp_path / "nowhere")
    assert caught.value.status == -10
    handle.save_settings(tmp_path)
    next(tmp_path.iterdir()).write_text("{")
    with pytest.raises(SettingsFileError, match="cannot read settings") as caught:
        handle.restore_settings(tmp_path)
    assert caught.value.status == -11


def test_variable_event_width_counts_three_less():
    handle, emulator, _ = connect(event_width=20)
    emulator.system(0).trigger_b[1]["enb_variable_width"] = 1
    assert [handle.event_width(channel) for channel in range(2)] == [20, 17]


def test_a_call_fails_when_asked_to(connected):
    handle, _, _ = connected(faults={"fail": {"xsp3_histogram_read4d": 2}}, pace="reader")
    internal(handle, 10, 1000)
    handle.start()
    read(handle, 0, 1)
    with pytest.raises(Xspress3Error, match="xsp3_histogram_read4d: failure asked for"):
        read(handle, 0, 1)
    read(handle, 0, 1)


def test_a_call_hangs_when_asked_to():
    handle, _, clock = connect(faults={"hang": {"xsp3_histogram_stop": (1, 30.0)}})
    before = clock()
    handle.stop()
    assert clock() - before == 30_000_000_000
    handle.stop()
    assert clock() - before == 30_000_000_000


def test_a_hanging_call_does_not_hold_the_others():
    waiting, released = threading.Event(), threading.Event()
    emulator = EmulatedLibrary(
        EmulatorSettings(faults=Faults(hang={"xsp3_histogram_read4d": (1, 1.0)}), pace="reader"),
        sleep=lambda _seconds: (waiting.set(), released.wait(30)),
    )
    handle = Xspress3.configure(emulator, frames=64)
    handle.set_run_flags(RunFlag.histogram | RunFlag.scalers)
    internal(handle, 10, 1000)
    handle.start()
    reader = threading.Thread(target=read, args=(handle, 0, 4))
    reader.start()
    assert waiting.wait(30)
    assert handle.progress().frames == 10
    assert handle.pending is not None and handle.pending[0] == "xsp3_histogram_read4d"
    handle.stop()
    released.set()
    reader.join(30)
    assert not reader.is_alive() and handle.pending is None


def test_several_threads_use_one_handle(connected):
    handle, emulator, _ = connected(frames=256, pace="reader", ahead=64)
    internal(handle, 2000, 8000)
    handle.start()
    failures = []

    def watch():
        try:
            while not done.is_set():
                handle.progress()
                handle.temperatures()
                handle.overrun()
                handle.set_good_threshold(-1, 50)
        except Exception as error:  # whatever it is, the test shows it
            failures.append(error)

    done = threading.Event()
    threads = [threading.Thread(target=watch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for first in range(0, 2000, 16):
        read(handle, first, 16)
        assert status(handle, first, 16)["time_frame"].tolist() == list(range(first, first + 16))
        handle.acknowledge(first, 16)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures and handle.progress().frames == 2000


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"product": "xspress5"}, "none of xspress3, mini"),
        ({"channels": 10}, "outside 1..9"),
        ({"channels": 1, "cards": 2}, "outside 2..18"),
        ({"pace": "fast"}, "neither clock nor reader"),
        ({"seed": -1}, "seed"),
        ({"count_rate": (1.0, 2.0)}, "one value, or 4"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        EmulatorSettings(**settings)


def test_status_without_a_run(connected):
    handle, _, _ = connected()
    found = np.ones(4, STATUS_DTYPE)
    handle.frame_status(0, found)
    assert found["time_frame"].tolist() == [-1] * 4 and not found["state"].any()
