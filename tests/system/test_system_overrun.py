"""The circular buffer overrun on purpose: what was read is safe, what is missing is named, nothing is ever shifted."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written

# A block of at most 64 frames takes 0.1 s to read, frames come every millisecond, and 160 of them fit.
SLOW = {"emulator": {"faults": {"slow_read": 0.1}, "seed": 5}, "detector": {"ring_frames": 160}}


def named(gaps):
    return [number for gap in gaps for number in range(gap.first, gap.last + 1)]


def test_an_overrun_ends_the_series(start_rig):
    rig = start_rig(**SLOW)
    listener = rig.listener()
    path = rig.capture("ends")
    assert rig.acquire(2000, 0.001) == ECA_PUTFAIL
    message = rig.message()
    assert "Overrun: frame" in message
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV") == [0, 0]
    heard = listener.heard()
    end = heard.end
    acquired, streamed, in_file, missing = rig.counters()
    assert acquired == streamed == in_file == heard.frames == end.acquired > 0
    assert heard.wrong == heard.invalid == []
    assert end.reason == "overrun"
    assert end.missing[0].first == acquired
    assert all(gap.reason == "overrun" for gap in end.missing)
    assert len(named(end.missing)) == missing > 0
    assert f"frame {acquired} " in message
    # The capture is not over; the next series works.
    assert rig.ca.is_open("capture")
    assert rig.acquire(10, 0.01) == ECA_NORMAL
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    first = slice(0, acquired)
    assert (written["frame_status"][first] == 0).all()
    np.testing.assert_array_equal(written["frame_in_series"][first], np.arange(acquired))
    written.check(rig.settings, 0.001, first)
    # After them the missing ones, marked, then the second series.
    marked = written["frame_status"][acquired:-10]
    assert len(marked) == missing
    assert (marked == 1).all()
    written.check(rig.settings, 0.01, slice(written.frames - 10, written.frames))
    np.testing.assert_array_equal(written["series_index"][-10:], [1] * 10)
    assert rig.counters() == [10, 10, 10, 0]


@pytest.mark.parametrize("frames", [1000, pytest.param(8000, marks=pytest.mark.slow)])
def test_or_it_goes_on_with_the_gap_marked(start_rig, frames):
    rig = start_rig(**SLOW)
    listener = rig.listener()
    rig.ca.set(StopOnOverrun=0)
    path = rig.capture("goes_on", frames)
    assert rig.acquire(frames, 0.001) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    heard = listener.heard()
    written = Written(path)
    assert written.frames == frames
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(frames))
    written.check(rig.settings, 0.001)
    bad = np.flatnonzero(written["frame_status"]).tolist()
    assert 0 < len(bad) < frames
    assert heard.wrong == []
    assert heard.end.reason == "complete"
    assert named(heard.end.missing) == bad
    assert (written["frame_status"][bad] == 1).all()
    # Whoever got the stream knows the same: marked in its blocks, or not in them.
    assert sorted(heard.invalid + named(heard.gaps)) == bad
    good = frames - len(bad)
    assert heard.end.acquired == good
    assert rig.counters() == [good, good, good, len(bad)]
    # The times of the frames after a gap are still theirs.
    valid = written["frame_status"] == 0
    times = written["time_stamp"][valid]
    expected = np.flatnonzero(valid) * 0.001001
    np.testing.assert_allclose(times - times[0], expected - expected[0], atol=1e-5)


def test_the_room_that_is_left_is_shown(start_rig):
    rig = start_rig(server={"pool": 4}, detector={"ring_frames": 2048}, emulator={"faults": {"slow_read": 0.3}})
    rig.ca.monitor("det1:RingHeadroom")
    rig.begin(16000, 0.0015)
    rig.ca.wait_for_severity("det1:RingHeadroom", 2)
    readings = rig.ca.seen("det1:RingHeadroom")
    assert readings[0].value == 100
    assert readings[0].severity == 0
    assert [reading.severity for reading in readings] == sorted(reading.severity for reading in readings)
    for reading in readings:
        assert reading.severity == (0 if reading.value >= 50 else 1 if reading.value >= 20 else 2)
    rig.ca.put("det1:Acquire", 0)
    rig.ca.put_status("acquire")
