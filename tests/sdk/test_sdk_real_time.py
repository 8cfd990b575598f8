"""Runs on the real clock, of the object in this process and of the shared library."""

import threading
import time

import numpy as np
import pytest
from sdk_bench import internal, read, same, status

from xsp3ioc.sdk import ErrorFlag, ItfgTrigger, Scaler, TimingSource, expected_frames, timed_frame

PRODUCTS = [
    {"channels": 3},
    {"product": "mini", "channels": 2},
    {"product": "xspress4", "channels": 4, "cards": 2},
]


def wait_for(handle, frames, seconds=60):
    end = time.monotonic() + seconds
    while handle.progress().frames < frames:
        assert time.monotonic() < end
        time.sleep(0.0005)


@pytest.mark.parametrize("fields", PRODUCTS, ids=["xspress3", "mini", "two cards"])
def test_a_burst(connected, fields):
    handle, _, settings = connected(frames=64, **fields)
    handle.setup_clocks()
    handle.clear(handle.ring)
    internal(handle, 60, 80_000)
    before = time.monotonic()
    handle.start()
    wait_for(handle, 60)
    assert time.monotonic() - before >= 59 * 80_000 * handle.clock_period()
    assert handle.progress() == (60, 60, 0) and not handle.busy
    assert same(read(handle, 0, 60), expected_frames(settings, 80_000, 0, 60))
    assert status(handle, 0, 60)["time_frame"].tolist() == list(range(60))
    handle.acknowledge(0, 60)
    handle.stop()
    handle.close()


def test_software_triggers(connected):
    handle, _, settings = connected()
    internal(handle, 3, 8_000, ItfgTrigger.software)
    handle.arm()
    for number in range(3):
        handle.resume()
        handle.pause()
        wait_for(handle, number + 1)
    assert handle.progress().frames == 3
    assert same(read(handle, 0, 3), expected_frames(settings, 8_000, 0, 3))


def test_software_timed_frames(connected):
    handle, _, settings = connected()
    handle.set_timing(TimingSource.software)
    handle.start()
    for _ in range(2):
        time.sleep(0.003)
        handle.pause()
        handle.resume()
    handle.stop()
    assert handle.progress().frames == 3
    mca, scalers = read(handle, 0, 3)
    ticks = scalers[:, 0, Scaler.total_ticks].tolist()
    assert min(ticks[:2]) >= 0.003 / handle.clock_period()
    for frame in range(3):
        assert same((mca[frame], scalers[frame]), timed_frame(settings, ticks[frame], frame))


def test_nobody_reads(connected):
    handle, _, _ = connected(frames=8)
    internal(handle, 40, 1_000)
    handle.start()
    wait_for(handle, 40)
    assert handle.progress() == (40, 40, ErrorFlag.circular_overrun)
    assert handle.overrun() == (32, 0)
    assert status(handle, 0, 8)["time_frame"].tolist() == list(range(32, 40))


def test_a_mini_stops(connected):
    handle, _, settings = connected(frames=8, product="mini", channels=2)
    internal(handle, 40, 1_000)
    handle.start()
    wait_for(handle, 8)
    time.sleep(0.001)
    assert handle.progress() == (8, 8, ErrorFlag.histogram_overrun)
    assert same(read(handle, 0, 8), expected_frames(settings, 1_000, 0, 8))


def test_a_slow_read_holds_nobody(connected):
    handle, _, _ = connected(faults={"slow_read": 1.0})
    internal(handle, 0, 80_000)
    handle.start()
    wait_for(handle, 8)
    done = []
    reader = threading.Thread(target=lambda: done.append(read(handle, 0, 4)))
    reader.start()
    polls = 0
    while reader.is_alive():
        handle.progress()
        polls += 1
    reader.join()
    assert polls > 20 and len(done) == 1 and np.any(done[0][0])
    handle.stop()
