"""Registers, trigger B, marker channels, features, clocks, memory layout, playback."""

import numpy as np
import pytest
from sdk_bench import CIRCULAR, connect, internal, read, same

from xsp3ioc.sdk import RunFlag, expected_frames
from xsp3ioc.sdk.cdef import ffi


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


def word(emulator, channel, offset, region=0):
    value = ffi.new("uint32_t *")
    assert emulator.xsp3_read_reg(0, channel, region, offset, 1, value) == 0
    return value[0]


def test_channel_control_is_read_back_in_both_ways():
    _, emulator, _ = connect()
    assert emulator.xsp3_set_chan_cont(0, -1, 0xF0000006) == 0
    assert emulator.xsp3_set_chan_cont(0, 2, 0x1000) == 0
    assert emulator.xsp3_set_chan_cont2(0, 3, 0x12345678) == 0
    value = ffi.new("uint32_t *")
    found = []
    for channel in range(4):
        assert emulator.xsp3_get_chan_cont(0, channel, value) == 0
        found.append(value[0])
    assert found == [0xF0000006, 0xF0000006, 0x1000, 0xF0000006]
    assert found == [word(emulator, channel, 2) for channel in range(4)]
    assert [word(emulator, channel, 56) for channel in range(4)] == [0, 0, 0, 0x12345678]
    several = ffi.new("uint32_t[4]")
    assert emulator.xsp3_read_reg(0, 2, 0, 1, 4, several) == 0 and list(several) == [0, 0x1000, 0, 0]


@pytest.mark.parametrize(
    "region, offset, size", [(14, 0, 1), (-1, 0, 1), (0, 64, 1), (0, 60, 5), (4, 4096, 1), (0, 0, 0), (3, -1, 2)]
)
def test_registers_that_are_not_there(region, offset, size):
    _, emulator, _ = connect()
    assert emulator.xsp3_read_reg(0, 0, region, offset, size, ffi.new("uint32_t[8]")) == -6


def test_trigger_b_is_set_and_read():
    handle, emulator, _ = connect()
    fields = [name for name, _ in ffi.typeof("Xspress3_TriggerB").fields]
    assert len(fields) == 27
    values = {name: index % 2 for index, name in enumerate(fields)} | {"event_time": 33, "arm_thres": 500}
    assert emulator.xsp3_set_trigger_b(0, 1, ffi.new("Xspress3_TriggerB *", values)) == 0
    found = ffi.new("Xspress3_TriggerB *")
    assert emulator.xsp3_get_trigger_b(0, 1, found) == 0
    assert {name: getattr(found, name) for name in fields} == values
    assert emulator.xsp3_get_trigger_b(0, 0, found) == 0 and found.event_time == 6
    assert emulator.xsp3_set_trigger_b(0, -1, ffi.new("Xspress3_TriggerB *", values)) == 0
    assert [handle.event_width(channel) for channel in range(4)] == [33 - 3 * values["enb_variable_width"]] * 4


@pytest.mark.parametrize(
    "field, value", [("event_time", 1024), ("event_time", -1), ("enable", 2), ("arm_thres", 65536)]
)
def test_trigger_b_has_limits(field, value):
    _, emulator, _ = connect()
    assert emulator.xsp3_set_trigger_b(0, 0, ffi.new("Xspress3_TriggerB *", {field: value})) == -6
    assert field in message(emulator)


@pytest.mark.parametrize(
    "arguments, status",
    [
        ((0.5, 3, -0.5, 34), 0),
        ((0.51, 3, 0.0, 3), -6),
        ((0.0, 3, -0.6, 3), -6),
        ((0.0, 2, 0.0, 3), -6),
        ((0.0, 3, 0.0, 35), -6),
        ((float("nan"), 3, 0.0, 3), -6),
    ],
)
def test_ringing_removal(arguments, status):
    _, emulator, _ = connect()
    assert emulator.xsp3_set_trigger_b_ringing(0, -1, *arguments) == status
    kept = [registers.ringing for registers in emulator.system(0).electronics.channels]
    assert kept == ([arguments] * 4 if status == 0 else [(0.0, 3, 0.0, 3)] * 4)


@pytest.mark.parametrize(
    "region, scaling", [(3, 0.49), (3, 2.1), (3, -0.5), (0, 1.0), (14, 1.0), (-2, 1.0), (3, float("inf"))]
)
def test_memories_have_limits(region, scaling):
    _, emulator, _ = connect()
    assert emulator.xsp3_bram_init(0, -1, region, scaling) == -6
    assert word(emulator, 0, 0, 3) == 65536


def test_initialising_all_memories_forgets_regions_and_gain():
    _, emulator, _ = connect()
    emulator.xsp3_format_run(0, -1, 0, 0, 0, 0, 0, 8)
    assert emulator.xsp3_set_roi(0, 1, 1, ffi.new("XSP3Roi[]", [(16, 31, 16)])) == 16
    assert emulator.xsp3_bram_init(0, 1, 3, 2.0) == 0
    assert word(emulator, 1, 16, 4) == 0 and word(emulator, 1, 0, 4) == 255 and word(emulator, 1, 0, 3) == 131072
    assert emulator.xsp3_bram_init(0, 1, 5, -1.0) == 0
    assert word(emulator, 1, 0, 3) == 131072
    assert emulator.xsp3_bram_init(0, 1, 4, -1.0) == 0
    assert word(emulator, 1, 16, 4) == 1 and word(emulator, 1, 0, 3) == 131072
    assert emulator.xsp3_bram_init(0, -1, -1, -1.0) == 0
    assert word(emulator, 1, 0, 3) == 65536


def test_marker_channels_of_a_second_mini():
    _, emulator, _ = connect(product="x3x2", channels=2)
    assert emulator.xsp3_setup_marker_chan(0, 1, 0x1006, 1, 0, 1) == 0
    words = ffi.new("uint32_t[2]")
    assert emulator.xsp3_read_marker_chan(0, 1, 2, 2, words) == 0 and list(words) == [0x1006, 5]
    assert emulator.xsp3_read_marker_chan(0, 0, 2, 2, words) == 0 and list(words) == [0, 0]
    for channel, rise, fall, source in [(2, 1, 1, 0), (-1, 1, 1, 0), (0, 2, 1, 0), (0, 1, -1, 0), (0, 1, 1, 2)]:
        assert emulator.xsp3_setup_marker_chan(0, channel, 0, rise, fall, source) == -6
    assert emulator.xsp3_read_marker_chan(0, 0, 63, 2, words) == -6
    _, other, _ = connect()
    assert other.xsp3_setup_marker_chan(0, 0, 0, 1, 1, 0) == -1
    assert message(other) == "xspress3 has no marker channels, only the X3X2"


@pytest.mark.parametrize(
    "product, generation, period", [("xspress3", 0, 12.5e-9), ("mini", 2, 12.5e-9), ("xspress4", 3, 10e-9)]
)
def test_features(product, generation, period):
    _, emulator, _ = connect(product=product, channels=2)
    features = ffi.new("Xspress3_features *")
    assert emulator.xsp3_get_features(0, 0, features) == 0
    assert (features.generation, features.reg_clock_period) == (generation, period)
    assert ord(features.timing_generator) == 5 and ord(features.trigger_b) == 1 and ord(features.farm_mode) == 0
    assert emulator.xsp3_get_features(0, 1, features) == -3


@pytest.mark.parametrize(
    "product, good, bad, answer",
    [
        ("xspress3", [0, 1, 2], [3, 0x10, 0x11, 0x20, 0x21, -1, 4], 0),
        ("mini", [0x10, 0x11], [0, 1, 2, 3, 0x20, 0x21], 80_000_000),
        ("xspress4", [0x10, 0x11, 0x20, 0x21], [0, 1, 2, 3], 100_000_000),
        ("x3x2", [0x10, 0x11, 0x20, 0x21], [0, 1, 2, 3], 80_000_000),
    ],
)
def test_each_product_has_its_clocks(product, good, bad, answer):
    _, emulator, _ = connect(product=product, channels=2)
    for source in good:
        assert emulator.xsp3_clocks_setup(0, -1, source, 3, 0) == answer
        assert emulator.system(0).electronics.cards[0].clock == (source, 3, 0)
    for source in bad:
        assert emulator.xsp3_clocks_setup(0, 0, source, 3, 0) == -6
        assert f"is no clock of {product}" in message(emulator)
    assert emulator.xsp3_clocks_setup(0, 0, good[0], 0x80000, 0) == -6
    assert emulator.xsp3_clocks_setup(0, 1, good[0], 3, 0) == -3
    frequency = emulator.xsp3_measure_clock_frequency(0, 0)
    assert frequency == (answer or 80_000_000)
    assert emulator.xsp3_measure_clock_frequency(0, -1) == -3


def test_memory_layout_threading_and_readout_mode():
    _, emulator, _ = connect(product="mini", channels=2, cards=2)
    assert emulator.xsp3_dma_config_memory(0, 1, 5 << 14) == 0
    assert [emulator.xsp3_dma_get_memory_config(0, card) for card in (0, 1)] == [0, 5 << 14]
    assert emulator.xsp3_dma_config_memory(0, -1, -1) == -6 and emulator.xsp3_dma_config_memory(0, 2, 0) == -3
    assert emulator.xsp3_dma_get_memory_config(0, -1) == -3
    assert emulator.xsp3_set_disable_threading(0, 3) == 0 and emulator.xsp3_get_disable_threading(0) == 3
    assert emulator.xsp3_set_disable_threading(0, 4) == -6 and emulator.xsp3_get_disable_threading(0) == 3
    mode = ffi.new("uint32_t *")
    assert emulator.xsp3m_set_readout_mode(0, -1, 0x102) == 0
    assert emulator.xsp3m_get_readout_mode(0, 1, mode) == 0 and mode[0] == 0x102
    assert emulator.xsp3m_set_readout_mode(0, 0, 8) == -6
    assert emulator.xsp3_set_user_ts_sync_mode(0, -1, 2) == 0 and emulator.xsp3_set_user_ts_sync_mode(0, 0, -2) == -6
    assert emulator.xsp3_has_get_data_ptr(0) == 0


def test_unknown_run_flags_are_refused():
    handle, emulator, _ = connect()
    assert emulator.xsp3_set_run_flags(0, 0x20) == -6 and emulator.xsp3_set_run_flags(0, -1) == -6
    assert handle.run_flags() == CIRCULAR
    assert emulator.xsp3_set_run_flags(0, 0x11F) == 0 and emulator.xsp3_get_run_flags(0) == 0x11F


def played(tmp_path, content, streams=1, flags=CIRCULAR | RunFlag.playback):
    """Frames of a system that plays a file, twice."""
    handle, emulator, _ = connect(pace="reader")
    file = tmp_path / "playback.dat"
    file.write_bytes(content)
    name, sources = ffi.new("char[]", str(file).encode()), ffi.new("int[16]")
    samples = emulator.xsp3_playback_load_x3(0, -1, name, sources, streams, 0, 0, 0, 0, 0, 0)
    assert samples == len(content) // 2 // streams == emulator.xsp3_playback_get_num_t(0, 0)
    handle.set_run_flags(flags)
    runs = []
    for _ in range(2):
        internal(handle, 0, 80_000)
        handle.start()
        runs.append(read(handle, 0, 8))
    assert same(*runs)
    return runs[0], emulator


def test_what_is_played_is_the_same_in_every_run(tmp_path):
    once, emulator = played(tmp_path, bytes(range(64)), streams=2)
    assert same(once, played(tmp_path, bytes(range(64)), streams=2)[0])
    assert not same(once, played(tmp_path, bytes(range(1, 65)))[0])
    live = expected_frames(emulator.settings, 80_000, 0, 8)
    assert not same(once, live)
    assert same(live, played(tmp_path, bytes(64), flags=CIRCULAR)[0])  # loaded, and not played


def test_written_playback_data():
    handle, emulator, _ = connect()
    assert emulator.xsp3_playback_get_num_t(0, 0) == 0
    data = np.arange(100, dtype=np.uint32)
    assert emulator.xsp3_write_playback_data(0, 0, ffi.from_buffer("uint32_t[]", data), 400, 0) == 400
    assert emulator.xsp3_playback_get_num_t(0, 0) == 200
    for size in (0, 3, 1 << 40):
        assert emulator.xsp3_write_playback_data(0, 0, ffi.from_buffer("uint32_t[]", data), size, 0) == -6
    assert emulator.xsp3_write_playback_data(0, -1, ffi.from_buffer("uint32_t[]", data), 400, 0) == -3


@pytest.mark.parametrize(
    "name, content, streams, status",
    [
        ("nowhere/file", None, 1, -10),
        ("file", b"", 1, -11),
        ("file", bytes(10), 4, -11),
        ("file", bytes(64), 0, -6),
        ("file", bytes(64), 17, -6),
        (".", None, 1, -10),
        ("", None, 1, -6),
    ],
)
def test_playback_files_that_are_none(tmp_path, name, content, streams, status):
    _, emulator, _ = connect()
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    text = ffi.new("char[]", str(file).encode() if name else b"")
    arguments = (0, 0, text, ffi.new("int[16]"), streams, 7, -1, 9, 9, 9, 9)  # the last ones are anything
    assert emulator.xsp3_playback_load_x3(*arguments) == status
    assert emulator.xsp3_playback_get_num_t(0, 0) == 0


def test_the_scope_has_no_data():
    _, emulator, _ = connect()
    assert emulator.xsp3_scope_settings_from_mod(0) == 0 and emulator.xsp3_scope_wait(0, -1) == 0
    assert emulator.xsp3_read_scope_data(0, -1) == -7 and "no scope data" in message(emulator)
