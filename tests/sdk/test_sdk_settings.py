"""Settings directories: everything that was set comes back, and a damaged directory is refused with its own code."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_bench import connect

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.electronics import REGISTERS
from xsp3ioc.sdk.emulator.saved import CLOCK_FILE, SETTINGS_FILE, saved_settings


def c_path(path):
    return ffi.new("char[]", str(path).encode())


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


def setup(emulator):
    """Set everything that there is to set, on a system of two cards with two channels each."""
    trigger = ffi.new("Xspress3_TriggerB *", {"event_time": 40, "enable": 1})
    table = ffi.new("XSP3Roi[]", [(100, 199, 50), (300, 399, 20)])
    rates = (1e-7, 2e-9, 3e-14, 4e-16, 5e-8, 6e-10, 7e-15, 8e-17)
    calls = [
        emulator.xsp3_set_good_thres(0, 1, 77),
        emulator.xsp3_set_window(0, -1, 0, 100, 200),
        emulator.xsp3_set_window(0, 3, 1, 5, 6),
        emulator.xsp3_set_trigger_b(0, 2, trigger),
        emulator.xsp3_set_trigger_b_ringing(0, 1, 0.25, 5, -0.5, 6),
        emulator.xsp3_setDeadtimeCorrectionParameters2(0, 1, 2, *rates),
        emulator.xsp3_setDeadtimeCalculationEnergy(0, 8.05),
        emulator.xsp3_set_chan_cont(0, 3, 0x10000006),
        emulator.xsp3_set_chan_cont2(0, 2, 17),
        emulator.xsp3_bram_init(0, 2, 3, 1.5),
        emulator.xsp3_set_disable_threading(0, 1),
        emulator.xsp3_dma_config_memory(0, 1, 1 << 14),
        emulator.xsp3_i2c_set_adc_temp_limit(0, 1, 61),
        emulator.xsp3_write_fan_cont(0, 0, 6, 2, ffi.new("uint32_t[]", [200, 70])),
        emulator.xsp3_set_user_ts_sync_mode(0, 1, 3),
        emulator.xsp3_set_glob_timeA(0, 1, 4 | 70 << 16),
        emulator.xsp3_set_glob_timeFixed(0, -1, 5),
        emulator.xsp3_itfg_setup2(0, 0, 10, 5000, 1, 2, 0, 4, 1),
        emulator.xsp3_set_glob_trigger_select(0, 0, ffi.new("Xsp3TriggerMux *", {"trig_sel": [0, 1, 0, 1]})),
        emulator.xsp3_set_sync_mode(0, 2, 1, 1),
    ]
    assert set(calls) == {0}
    assert emulator.xsp3_format_run(0, -1, 0, 0, 0, 0, 0, 8) > 0
    assert emulator.xsp3_set_roi(0, 0, 2, table) == 70
    assert emulator.xsp3_clocks_setup(0, -1, 1, 3, 0) == 0


def everything(emulator):
    system = emulator.system(0)
    return saved_settings(system), [card.clock for card in system.electronics.cards]


def two_cards(**changes):
    return connect(**({"channels": 4, "cards": 2} | changes))


def test_everything_comes_back(tmp_path):
    _, emulator, _ = two_cards()
    setup(emulator)
    before, clocks = everything(emulator)
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    _, other, _ = two_cards()
    fresh, _ = everything(other)
    assert fresh != before
    changed = {name for name in before.__struct_fields__ if getattr(before, name) != getattr(fresh, name)}
    assert changed == {"channels", "cards", "energy", "disable_threading", "sync"}
    assert other.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0
    assert everything(other) == (before, [None, None])
    assert other.xsp3_restore_settings_and_clock(0, c_path(tmp_path), 0) == 0
    assert everything(other) == (before, clocks) and clocks == [(1, 3, 0)] * 2
    value, energy = ffi.new("uint32_t *"), other.xsp3_getDeadtimeCalculationEnergy(0)
    assert energy == 8.05 and other.xsp3_get_glob_timeA(0, 1, value) == 0 and value[0] == 4 | 70 << 16


def test_the_format_is_the_programs_own(tmp_path):
    _, emulator, _ = two_cards()
    setup(emulator)
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    _, other, _ = two_cards()
    ring = other.xsp3_get_num_tf(0)
    assert other.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0
    assert other.xsp3_get_num_tf(0) == ring
    assert [form.bits for form in other.system(0).layouts.formats] == [12] * 4
    assert [bool(form.regions) for form in other.system(0).layouts.formats] == [True, False, False, False]


def test_terminations_come_back(tmp_path):
    _, emulator, _ = connect(product="mini", channels=2)
    assert emulator.xsp3_set_trig_in_term(0, -1, 3) == 0 and emulator.xsp3_set_trig_out_term(0, 0, 2) == 0
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    _, other, _ = connect(product="mini", channels=2)
    assert other.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0
    flags = ffi.new("int *")
    assert other.xsp3_get_trig_in_term(0, 0, flags) == 0 and flags[0] == 3
    assert other.xsp3_get_trig_out_term(0, 0, flags) == 0 and flags[0] == 2


def test_marker_channels_come_back(tmp_path):
    _, emulator, _ = connect(product="x3x2", channels=2)
    emulator.xsp3_setup_marker_chan(0, 1, 9, 1, 1, 1)
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    _, other, _ = connect(product="x3x2", channels=2)
    assert other.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0
    assert other.system(0).electronics.markers[1][2:4] == [9, 7]


def test_saving_over_what_is_there_replaces_it(tmp_path):
    _, emulator, _ = two_cards()
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    setup(emulator)
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([SETTINGS_FILE, CLOCK_FILE])
    _, other, _ = two_cards()
    assert other.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0
    assert everything(other)[0] == everything(emulator)[0]


def test_fewer_channels_take_what_is_theirs(tmp_path):
    _, emulator, _ = two_cards()
    setup(emulator)
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == 0
    handle, _, _ = connect(channels=2)
    handle.restore_settings(tmp_path)
    assert handle.window(1, 0) == (100, 200) and handle.good_threshold(1) == 77 and handle.good_threshold(0) == 50


def test_another_major_revision_has_to_be_forced(tmp_path):
    connect(product="xspress4")[0].save_settings(tmp_path)
    _, emulator, _ = connect()
    for restore in (emulator.xsp3_restore_settings, emulator.xsp3_restore_settings_and_clock):
        assert restore(0, c_path(tmp_path), 0) == -1
        assert "are for revision 0x32003, this is 0x2007" in message(emulator)
        assert restore(0, c_path(tmp_path), 2) == -6
        assert restore(0, c_path(tmp_path), 1) == 0


def test_another_minor_revision_is_the_same(tmp_path):
    handle, emulator, _ = connect()
    handle.save_settings(tmp_path)
    file = tmp_path / SETTINGS_FILE
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"revision": content["revision"] + 1}))
    assert emulator.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0


@pytest.mark.parametrize("product, status", [("xspress3", 0), ("mini", -10), ("xspress4", -10)])
def test_only_an_xspress3_does_without_a_clock_file(tmp_path, product, status):
    handle, emulator, _ = connect(product=product, channels=2)
    handle.save_settings(tmp_path)
    (tmp_path / CLOCK_FILE).unlink()
    assert emulator.xsp3_restore_settings_and_clock(0, c_path(tmp_path), 0) == status
    assert emulator.xsp3_restore_settings(0, c_path(tmp_path), 0) == 0


def test_without_a_clock_file_the_default_clock_is_set_up(tmp_path):
    handle, emulator, _ = connect()
    handle.save_settings(tmp_path)
    (tmp_path / CLOCK_FILE).unlink()
    assert emulator.system(0).electronics.cards[0].clock is None
    assert emulator.xsp3_restore_settings_and_clock(0, c_path(tmp_path), 0) == 0
    assert emulator.system(0).electronics.cards[0].clock == (1, 3, 0)


def test_directories_that_are_not_there(tmp_path):
    _, emulator, _ = connect()
    file = tmp_path / "file"
    file.write_text("")
    for place in (tmp_path / "nowhere", file, tmp_path):
        for restore in (emulator.xsp3_restore_settings, emulator.xsp3_restore_settings_and_clock):
            assert restore(0, c_path(place), 0) == -10
            assert str(place) in message(emulator)
    for place in (tmp_path / "nowhere", file):
        assert emulator.xsp3_save_settings(0, c_path(place)) == -10
    for pointer in (ffi.NULL, c_path("")):
        assert emulator.xsp3_save_settings(0, pointer) == -6
        assert emulator.xsp3_restore_settings(0, pointer, 0) == -6


def test_what_cannot_be_read_written_or_renamed(tmp_path):
    handle, emulator, _ = connect()
    (tmp_path / SETTINGS_FILE).mkdir()
    assert emulator.xsp3_restore_settings(0, c_path(tmp_path), 0) == -11
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == -13
    assert "cannot rename" in message(emulator)
    assert os.listdir(tmp_path) == [SETTINGS_FILE]
    (tmp_path / f".{CLOCK_FILE}.{os.getpid()}").mkdir()
    (tmp_path / SETTINGS_FILE).rmdir()
    assert emulator.xsp3_save_settings(0, c_path(tmp_path)) == -12
    assert handle.path == 0


def damaged(content, path, value):
    """The saved settings with one thing changed."""
    changed = json.loads(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    "path, value, why",
    [
        (["channels", 1, "threshold"], 4096, "channel 1: threshold 4096 is outside 0..4095"),
        (["channels", 0, "windows"], [[5, 4], [0, 1]], "channel 0: window 5..4"),
        (["channels", 0, "windows"], [[0, 1]], "1 windows instead of 2"),
        (["channels", 0, "deadtime"], [1.0], "dead-time parameters are 8 numbers"),
        (["channels", 0, "deadtime_flags"], 4, "flags 0..3"),
        (["channels", 0, "trigger_b"], {"tea": 1}, "unknown fields"),
        (["channels", 0, "trigger_b"], {"event_time": 1 << 40}, "values outside 0..2147483647"),
        (["cards", 0, "memory_layout"], 1 << 31, "memory_layout 2147483648"),
        (["cards", 0, "temperature_limit"], 126, "temperature_limit 126"),
        (["energy"], -1.0, "energy -1.0"),
        (["disable_threading"], 4, "disable_threading 4"),
        (["channels", 0, "gain"], 3.0, "gain 3.0 is outside"),
        (["channels", 0, "control"], -1, "control registers have 32 bits"),
        (["channels", 0, "regions"], [[0, 4096, 1]], "not within 0..4095"),
        (["channels", 0, "threshold"], "many", "Expected `int`"),
        (["cards", 0, "fan"], [1], "fan has to be 12 words"),
        (["cards", 0, "time_a"], 1 << 32, "timing registers have 32 bits"),
        (["cards", 0, "itfg", 0], -1, "-1 frames of"),
        (["cards", 0, "itfg", 2], 4, "Invalid enum value 4"),
        (["cards", 0, "trigger_inputs"], [0, 1, 2, 4], "four of 0..3"),
        (["cards", 0, "trigger_inputs"], [0, 1, 2], "length 4"),
        (["cards", 0, "input_termination"], 16, "only four lines"),
        (["sync", 0], 9, "Invalid enum value 9"),
        (["markers"], [[0] * REGISTERS], "markers have to be 2 times 64"),
        (["revision"], None, "Expected `int`"),
        (["tea"], 1, "unknown field"),
    ],
)
def test_damaged_settings_are_refused_whole(tmp_path, path, value, why):
    handle, emulator, _ = connect()
    handle.save_settings(tmp_path)
    file = tmp_path / SETTINGS_FILE
    file.write_text(damaged(file.read_text(), path, value))
    handle.set_good_threshold(-1, 99)
    before = everything(emulator)
    assert emulator.xsp3_restore_settings(0, c_path(tmp_path), 1) == -11
    assert why in message(emulator)
    assert everything(emulator) == before


@given(cut=st.integers(0, 400), junk=st.binary(max_size=20))
@settings(max_examples=40)
def test_truncated_and_garbled_files(tmp_path_factory, cut, junk):
    directory = tmp_path_factory.mktemp("settings")
    handle, emulator, _ = connect(channels=1)
    handle.save_settings(directory)
    for name in (SETTINGS_FILE, CLOCK_FILE):
        file = directory / name
        content = file.read_bytes()
        file.write_bytes(content[: min(cut, len(content) - 2)] + junk)
        assert emulator.xsp3_restore_settings_and_clock(0, c_path(directory), 1) == -11
        file.write_bytes(content)
    assert emulator.xsp3_restore_settings_and_clock(0, c_path(directory), 1) == 0
