"""Every frame, bit for bit: in the file and on the stream, as the emulator must have made it."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL
from system_rig import CLOCK, GAP, Written


def check_whole(rig, path, heard, frames, exposure):
    written = Written(path)
    assert written.frames == frames
    written.check(rig.settings, exposure)
    assert (written["frame_status"] == 0).all()
    np.testing.assert_array_equal(written["frame_number"], np.arange(frames))
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(frames))
    assert (written["series_index"] == 0).all()
    assert (heard.frames, heard.wrong, heard.invalid, heard.gaps) == (frames, [], [], [])
    assert (heard.end.reason, heard.end.acquired, heard.end.streamed, heard.end.written) == (
        "complete", frames, frames, frames,
    )  # fmt: skip
    assert (heard.end.missing, heard.end.lost) == ([], [])
    np.testing.assert_array_equal(written["time_stamp"], heard.times)
    np.testing.assert_array_equal(written["dead_time_correction"], heard.factors)
    # The end of the exposure, by the clock of the hardware: exact but for the rounding of seconds since 1970.
    np.testing.assert_allclose(np.diff(heard.times), exposure + GAP, atol=1e-6)
    assert heard.times[0] == pytest.approx(heard.header.time + exposure, abs=1.0)
    assert rig.counters() == [frames, frames, frames, 0]


def test_a_thousand_frames_of_a_millisecond(start_rig):
    rig = start_rig(emulator={"seed": 7})
    listener = rig.listener()
    path = rig.capture("clock", 1000)
    assert rig.acquire(1000, 0.001) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    heard = listener.heard()
    assert heard.header.frames == 1000
    assert heard.header.filename == path
    assert heard.header.simulated
    assert heard.header.clock_period == CLOCK
    check_whole(rig, path, heard, 1000, 0.001)


@pytest.mark.parametrize("frames", [5000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_at_the_readers_pace(start_rig, frames):
    rig = start_rig(emulator={"pace": "reader", "seed": 3}, detector={"channels": 4})
    listener = rig.listener()
    path = rig.capture("reader", frames)
    assert rig.acquire(frames, 0.001) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    check_whole(rig, path, listener.heard(), frames, 0.001)


def test_more_frames_than_the_circular_buffer_holds(start_rig):
    rig = start_rig(detector={"channels": 3, "ring_frames": 100}, emulator={"seed": 11})
    listener = rig.listener()
    path = rig.capture("wrap", 1234)
    assert rig.acquire(1234, 0.0005) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    check_whole(rig, path, listener.heard(), 1234, 0.0005)
