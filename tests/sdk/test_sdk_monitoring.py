"""Temperatures, voltages, fans, and the log of them."""

import gc
import threading
import time

import numpy as np
import pytest
from sdk_bench import connect

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.system_log import SystemLog

BOUND = 60  # seconds until a test gives up


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


def c_path(path):
    return ffi.new("char[]", str(path).encode())


@pytest.mark.parametrize("product, sensors", [("xspress3", 4), ("mini", 4), ("x3x2", 4), ("xspress4", 5)])
def test_adc_boards_have_their_sensors(product, sensors):
    handle, emulator, _ = connect(product=product, channels=4, cards=2)
    whole = ffi.new("float[12]", [-1.0] * 12)
    assert emulator.xsp3_i2c_read_adc_temp(0, -1, whole) == 0
    assert list(whole)[2 * sensors :] == [-1.0] * (12 - 2 * sensors)
    assert all(20 < value < 60 for value in list(whole)[: 2 * sensors])
    one = ffi.new("float[6]", [-1.0] * 6)
    assert emulator.xsp3_i2c_read_adc_temp(0, 1, one) == 0
    assert list(one)[:sensors] == list(whole)[sensors : 2 * sensors] and one[sensors] == -1.0
    assert len(handle.temperatures()) == 2 * sensors


@pytest.mark.parametrize("product", ["xspress3", "mini", "x3x2", "xspress4"])
def test_other_boards_of_the_products_that_have_them(product):
    _, emulator, _ = connect(product=product, channels=2)
    found = ffi.new("float[3]")
    assert emulator.xsp3_i2c_read_fem_temp(0, 0, found) == (0 if product == "xspress3" else -1)
    if product == "xspress3":
        assert found[1] > found[0] > 20 and found[2] == 0
    assert emulator.xsp3_i2c_read_mid_plane_temp(0, found) == (0 if product == "xspress4" else -1)
    if product == "xspress4":
        assert min(found) > 20


def test_the_limit_is_kept_per_card():
    _, emulator, _ = connect(cards=2)
    assert emulator.xsp3_i2c_set_adc_temp_limit(0, 1, 70) == 0
    assert [card.temperature_limit for card in emulator.system(0).electronics.cards] == [85, 70]
    assert emulator.xsp3_i2c_set_adc_temp_limit(0, -1, 60) == 0
    assert [card.temperature_limit for card in emulator.system(0).electronics.cards] == [60, 60]
    assert emulator.xsp3_i2c_set_adc_temp_limit(0, 0, 126) == -6
    assert emulator.xsp3_i2c_set_adc_temp_limit(0, 2, 60) == -3


def test_the_monitor_tells_milli_units():
    _, emulator, _ = connect(product="xspress4", channels=2)
    data = ffi.new("uint32_t[11]")
    assert emulator.xsp3_read_xadc(0, 0, 0, 11, data) == 0
    assert all(20_000 < value < 100_000 for value in list(data)[:2])
    assert all(900 <= value <= 3300 for value in list(data)[2:])
    part = ffi.new("uint32_t[3]")
    assert emulator.xsp3_read_xadc(0, 0, 2, 2, part) == 0 and list(part) == [data[2], data[3], 0]
    for first, number in [(0, 12), (11, 1), (-1, 1), (0, 0), (0, -3), (10, 2)]:
        assert emulator.xsp3_read_xadc(0, 0, first, number, data) == -6
    assert emulator.xsp3_read_xadc(0, -1, 0, 1, data) == -3
    _, other, _ = connect()
    assert other.xsp3_read_xadc(0, 0, 0, 11, data) == 0
    assert [index for index in range(11) if data[index] == 0] == [1, 8, 9, 10]  # no Virtex-7


def test_the_fan_controller():
    _, emulator, _ = connect(cards=2)
    words = ffi.new("uint32_t[12]")
    assert emulator.xsp3_read_fan_cont(0, 0, 0, 12, words) == 0
    temperatures = ffi.new("float[4]")
    emulator.xsp3_i2c_read_adc_temp(0, 0, temperatures)
    assert [word / 2 for word in words[2:6]] == pytest.approx(list(temperatures), abs=0.26)
    cold, fast = words[7], words[10]
    assert emulator.xsp3_write_fan_cont(0, 0, 7, 2, ffi.new("uint32_t[]", [cold - 20, 8])) == 0
    assert emulator.xsp3_read_fan_cont(0, 0, 7, 4, words) == 0
    assert words[0] == cold - 20 and words[3] > fast  # a lower set point makes it turn faster
    assert emulator.xsp3_write_fan_cont(0, 0, 0, 1, ffi.new("uint32_t[]", [0])) == 0
    assert emulator.xsp3_read_fan_cont(0, 0, 10, 1, words) == 0 and words[0] == 0
    assert emulator.xsp3_read_fan_cont(0, 1, 7, 1, words) == 0 and words[0] == cold
    for offset, size, status in [(12, 1, -6), (0, 13, -6), (-1, 1, -6), (0, 0, -6), (1, 2, -1), (10, 1, -1)]:
        assert emulator.xsp3_write_fan_cont(0, 0, offset, size, ffi.new("uint32_t[16]")) == status
    assert emulator.xsp3_read_fan_cont(0, 0, 11, 2, words) == -6
    assert emulator.xsp3_read_fan_cont(0, 2, 0, 1, words) == -3


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for(path, count):
    for _ in range(BOUND * 100):
        if len(lines(path)) >= count:
            return lines(path)
        time.sleep(0.01)
    raise AssertionError(f"{len(lines(path))} lines instead of {count} in {BOUND} s")


def test_a_line_is_written_at_every_period(tmp_path):
    path = tmp_path / "log"
    values = iter(range(1000))
    log = SystemLog(path, 0.02, 1000, ["value"], lambda: [str(next(values))])
    log.begin(new_file=False, keep_files=False)
    found = wait_for(path, 6)
    assert found[0] == "time (UTC)\tvalue"
    assert [line.split("\t")[1] for line in found[1:6]] == ["0", "1", "2", "3", "4"]
    log.pause()
    assert log.running
    paused = threading.Event()
    for _ in range(BOUND * 100):  # the line that was being written
        before = log.lines
        paused.wait(0.1)
        if log.lines == before:
            break
    assert log.lines == before
    log.resume()
    wait_for(path, before + 3)
    log.stop()
    assert not log.running and len(lines(path)) == log.lines + 1


def test_a_log_ends_after_its_last_line(tmp_path):
    log = SystemLog(tmp_path / "log", 0.001, 3, [], list)
    log.begin(new_file=False, keep_files=False)
    wait_for(tmp_path / "log", 4)
    for _ in range(BOUND * 100):
        if not log.running:
            break
        time.sleep(0.01)
    assert not log.running and log.lines == 3 and log.failure == ""


def test_a_log_that_cannot_be_written_ends(tmp_path):
    log = SystemLog(tmp_path / "log", 0.001, 3, [], lambda: (_ for _ in ()).throw(OSError("no more sensors")))
    log.begin(new_file=False, keep_files=False)
    log.stop()
    assert log.failure == "no more sensors" and log.lines == 0


def test_log_through_the_functions(tmp_path):
    _, emulator, _ = connect(cards=2)
    path = tmp_path / "log.txt"
    assert emulator.xsp3_sys_log_start(0, c_path(path), 1, 0, 1) == 0
    heading, first = [line.split("\t") for line in wait_for(path, 2)[:2]]
    assert len(heading) == len(first) == 1 + 2 * 4 + 2 * 11
    assert float(first[1]) == 38.5 and first[0].endswith("Z")
    assert emulator.xsp3_sys_log_pause(0) == 0 and emulator.xsp3_sys_log_continue(0) == 0
    assert len(wait_for(path, 3)) >= 3
    log = emulator.system(0).electronics.log
    assert emulator.xsp3_sys_log_stop(0) == 0
    assert not log.running
    for function in ("stop", "pause", "continue"):
        assert getattr(emulator, f"xsp3_sys_log_{function}")(0) == -14
    assert message(emulator) == "no system log has been started"


def test_files_of_the_log(tmp_path):
    _, emulator, _ = connect()
    path = tmp_path / "log.txt"

    def log(flags):
        before = len(lines(path))
        assert emulator.xsp3_sys_log_start(0, c_path(path), 100, 0, flags) == 0
        wait_for(path, 2 if flags & 1 else before + 1)
        assert emulator.xsp3_sys_log_stop(0) == 0
        return len(lines(path))

    assert log(0) == 2
    assert log(0) == 3  # added to
    assert log(1) == 2  # begun again
    assert not (tmp_path / "log.txt.1").exists()
    assert log(3) == 2
    assert len(lines(tmp_path / "log.txt.1")) == 2
    assert log(3) == 2 and (tmp_path / "log.txt.2").exists()
    assert log(0x11) == 2 and len(lines(path)[0].split("\t")) == 1 + 11


def test_the_log_ends_when_the_system_is_closed(tmp_path):
    handle, emulator, _ = connect()
    for end in (
        lambda: emulator.xsp3_close(0),
        lambda: emulator.xsp3_config(1, 8, *[ffi.NULL, -1] * 2, 1, ffi.NULL, 0, 0),
    ):
        assert emulator.xsp3_sys_log_start(0, c_path(tmp_path / "log"), 1, 0, 0) == 0
        log = emulator.system(0).electronics.log
        assert log.running
        assert end() == 0
        assert not log.running
        assert emulator.xsp3_config(1, 8, ffi.NULL, -1, ffi.NULL, -1, 1, ffi.NULL, 0, 0) == 0
    assert handle.path == 0


def test_a_forgotten_log_ends_with_its_system(tmp_path):
    def forget():
        _, emulator, _ = connect()
        assert emulator.xsp3_sys_log_start(0, c_path(tmp_path / "log"), 1000, 0, 0) == 0
        return emulator.system(0).electronics.log

    log = forget()
    for _ in range(BOUND * 100):
        gc.collect()
        if not log.running:
            break
        time.sleep(0.01)
    assert not log.running


@pytest.mark.parametrize("period, most, flags", [(-1, 0, 0), (0, -1, 0), (0, 0, 4), (40 * 86400 + 1, 0, 0)])
def test_arguments_of_the_log(tmp_path, period, most, flags):
    _, emulator, _ = connect()
    assert emulator.xsp3_sys_log_start(0, c_path(tmp_path / "log"), period, most, flags) == -6
    assert not (tmp_path / "log").exists()


def test_files_that_cannot_be_logged_to(tmp_path):
    _, emulator, _ = connect()
    assert emulator.xsp3_sys_log_start(0, c_path(tmp_path / "no" / "log"), 1, 0, 0) == -10
    assert emulator.xsp3_sys_log_start(0, c_path(tmp_path), 1, 0, 0) == -10
    assert emulator.xsp3_sys_log_start(0, ffi.NULL, 1, 0, 0) == -6
    assert emulator.xsp3_sys_log_start(0, c_path(""), 1, 0, 0) == -6
    assert emulator.xsp3_sys_log_stop(0) == -14


def test_temperatures_are_written_as_floats():
    _, emulator, _ = connect()
    out = np.full(4, np.nan, np.float32)
    assert emulator.xsp3_i2c_read_adc_temp(0, 0, ffi.from_buffer("float[]", out)) == 0
    assert out.tolist() == [38.5, 38.75, 39.0, 39.25]
