"""Captures: many series in one file, files that close by themselves, stops that keep them open."""

from __future__ import annotations

import h5py
import numpy as np
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written


def close(rig):
    """Capture=0: the statuses of both put-callbacks."""
    status, _ = rig.ca.put("HDF1:Capture", 0)
    return status, rig.ca.put_status("capture")


def test_two_hundred_series_of_one_frame_in_one_file(rig):
    listener = rig.listener()
    rig.ca.monitor("HDF1:Capture_RBV", "HDF1:NumCaptured_RBV")
    rig.ca.seen("HDF1:Capture_RBV")
    path = rig.capture("points", 200)
    rig.ca.set(NumImages=1, AcquireTime=0.001)
    for point in range(200):
        rig.ca.begin("det1:Acquire", 1, "acquire")
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        if point < 199:
            # Written and flushed when it is over: the file can be read while it is open.
            assert rig.ca.last("HDF1:NumCaptured_RBV")[0].value == point + 1
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert [reading.value for reading in rig.ca.seen("HDF1:Capture_RBV")] == [1, 0]
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus") == [200, 0, 0]
    written = Written(path)
    np.testing.assert_array_equal(written["series_index"], np.arange(200))
    assert not written["frame_in_series"].any()
    written.check(rig.settings, 0.001)
    assert (np.diff(written["time_stamp"]) > 0.001).all()
    heard = listener.heard(200)
    assert heard.header.series_id - listener.heard(1).header.series_id == 199
    assert all(listener.heard(number).frames == 1 for number in range(1, 201))
    assert all(not listener.heard(number).wrong for number in range(1, 201))
    listener.end()


def test_a_stop_keeps_the_file_open(rig):
    path = rig.capture("resumed")
    counts = []
    for _ in range(3):
        rig.begin(16000, 0.001)
        rig.ca.wait_above("det1:ArrayCounter_RBV", 20)
        assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        acquired, streamed, written, missing = rig.counters()
        assert acquired == streamed == written > 20
        assert missing == 0
        counts.append(acquired)
        assert rig.ca.is_open("capture")
        assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:NumCaptured_RBV") == [1, sum(counts)]
        with h5py.File(path, locking=False) as file:
            assert len(file["/entry/data/data"]) == sum(counts)
    assert close(rig) == (ECA_NORMAL, ECA_NORMAL)
    written = Written(path)
    expected = [(series, frame) for series, count in enumerate(counts) for frame in range(count)]
    assert list(zip(written["series_index"], written["frame_in_series"], strict=True)) == expected
    written.check(rig.settings, 0.001)
    assert written.end_time


def test_a_file_that_is_full_closes_in_mid_series(rig):
    listener = rig.listener()
    path = rig.capture("full", 130)
    rig.begin(400, 0.002)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.get("HDF1:Capture_RBV") == 0
    assert rig.ca.is_open("acquire")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.counters() == [400, 400, 130, 0]
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:WriteStatus") == [130, 0]
    written = Written(path)
    assert written.frames == 130
    written.check(rig.settings, 0.002)
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.end.written) == (400, [], 130)
    # The next series is not recorded, and says so.
    assert rig.acquire(5) == ECA_NORMAL
    assert (listener.heard(2).header.capture_id, listener.heard(2).end.written) == (0, None)
    assert rig.counters() == [5, 5, 0, 0]
    listener.end()


def test_a_file_closed_in_mid_series(rig):
    path = rig.capture("closed")
    rig.begin(300, 0.002)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 30)
    assert close(rig) == (ECA_NORMAL, ECA_NORMAL)
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.counters() == [300, 300, captured, 0]
    written = Written(path)
    assert written.frames == captured >= 30
    written.check(rig.settings, 0.002)


def test_files_are_numbered(rig):
    rig.ca.set(HDF1__FileNumber=41)
    paths = []
    for _ in range(3):
        paths.append(rig.capture("numbered", 1))
        assert rig.acquire(1) == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
    assert paths == [str(rig.files / f"numbered_{number}.h5") for number in (41, 42, 43)]
    assert rig.ca.gets("HDF1:FileNumber", "HDF1:FileNumber_RBV") == [44, 44]
    rig.ca.set(HDF1__AutoIncrement=0)
    rig.capture("kept", 1)
    assert rig.acquire(1) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.get("HDF1:FileNumber") == 44
    rig.ca.set(HDF1__AutoIncrement=1)


def test_an_empty_file(rig):
    path = rig.capture("empty")
    assert close(rig) == (ECA_NORMAL, ECA_NORMAL)
    assert Written(path).frames == 0
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL


def test_frames_pass_the_file_by_while_it_is_disabled(rig):
    path = rig.capture("disabled", HDF1__EnableCallbacks=0)
    assert rig.acquire(5) == ECA_NORMAL
    assert rig.counters() == [5, 5, 0, 0]
    rig.ca.set(HDF1__EnableCallbacks=1)
    assert rig.acquire(3) == ECA_NORMAL
    assert rig.counters() == [3, 3, 3, 0]
    assert close(rig) == (ECA_NORMAL, ECA_NORMAL)
    assert Written(path).frames == 3


def test_a_second_capture_is_refused(rig):
    path = rig.capture("second")
    other = rig.client()
    status, seconds = other.put("HDF1:Capture", 1)
    assert (status, seconds < 5) == (ECA_PUTFAIL, True)
    assert path in rig.message()
    assert other.put("HDF1:FilePath", "/tmp")[0] == ECA_PUTFAIL
    assert rig.ca.is_open("capture")
    assert rig.acquire(4) == ECA_NORMAL
    assert close(rig) == (ECA_NORMAL, ECA_NORMAL)
    assert Written(path).frames == 4


def test_other_compressions_hold_the_same(rig):
    for compression, name in enumerate(("None", "zlib", "BSLZ4")):
        path = rig.capture(f"compressed{compression}", 20, HDF1__Compression=name)
        assert rig.acquire(20) == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
        Written(path).check(rig.settings, 0.001)
