"""What the file plugin's settings make of a file, and what its counters say of the frames in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import DETECTOR, Written, gone

READ = """
import sys, h5py, hdf5plugin
with h5py.File(sys.argv[1], swmr=len(sys.argv) > 2, locking=False) as file:
    detector = file["/entry/instrument/detector"]
    print(len(detector["data"]), len(detector["time_stamp"]), int(detector["data"][-1].any()))
"""
FLOAT64, UINT32 = 9, 5
SLOW = {"emulator": {"faults": {"slow_read": 0.1}, "seed": 5}, "detector": {"ring_frames": 160}}
MISSING = {"emulator": {"faults": {"missing": {"rate": 0.2}}, "seed": 3}}


def look(path, swmr=False):
    """What another program finds in a file that is open: frames, rows, whether there are counts in the last one."""
    command = [sys.executable, "-c", READ, path, *(["swmr"] if swmr else [])]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(int, result.stdout.split()))


def refused(rig, name, value, *words):
    assert rig.ca.put(name, value)[0] == ECA_PUTFAIL
    message = rig.message()
    assert all(word in message for word in words), message


def close(rig):
    rig.ca.set(HDF1__Capture=0)
    return rig.ca.put_status("capture")


# flushes


def test_flush_now(rig):
    path = rig.capture("flushed")
    rig.begin(1_000_000, 0.001)
    rig.ca.monitor("HDF1:FlushNow")
    for _ in range(3):
        rig.ca.wait_above("det1:ArrayCounter_RBV", rig.ca.get("det1:ArrayCounter_RBV") + 20)
        before = rig.ca.get("det1:ArrayCounter_RBV")
        assert rig.ca.put("HDF1:FlushNow", 1)[0] == ECA_NORMAL
        captured = rig.ca.get("HDF1:NumCaptured_RBV")
        assert captured >= before
        frames, rows, counts = look(path)
        assert frames >= captured
        assert frames == rows
        assert counts
    assert rig.ca.get("HDF1:FlushNow") == 0
    assert [reading.value for reading in rig.ca.seen("HDF1:FlushNow")] == [0, 1, 0, 1, 0, 1, 0]
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert close(rig) == ECA_NORMAL
    Written(path).check(rig.settings, 0.001)


def test_flush_now_without_a_file(rig):
    assert rig.ca.put("HDF1:FlushNow", 1)[0] == ECA_NORMAL
    assert rig.ca.get("HDF1:FlushNow") == 0


def look_between_flushes(path):
    """Without SWMR nothing keeps a reader from coming in the middle of a flush, where the file is not whole."""
    for _ in range(10):
        with contextlib.suppress(subprocess.CalledProcessError):
            return look(path)
    return look(path)


def test_flush_of_so_many_frames(rig):
    path = rig.capture("counted", HDF1__NumFramesFlush=1)
    rig.begin(400, 0.05)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 3)
    assert look_between_flushes(path)[0] >= 1
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 2)
    rig.ca.set(HDF1__NumFramesFlush=0)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert close(rig) == ECA_NORMAL


def test_read_while_it_is_written(rig):
    path = rig.capture("swmr", HDF1__SWMRMode=1)
    assert rig.ca.get("HDF1:SWMRActive_RBV") == 0  # it becomes readable with the first series
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_for("HDF1:SWMRActive_RBV", 1)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 100)
    assert rig.ca.put("HDF1:FlushNow", 1)[0] == ECA_NORMAL
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    assert rig.ca.get("HDF1:SWMRCbCounter_RBV") >= captured
    frames, _, counts = look(path, swmr=True)
    assert frames >= captured
    assert counts
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.acquire(20) == ECA_NORMAL
    assert close(rig) == ECA_NORMAL
    assert rig.ca.get("HDF1:SWMRActive_RBV") == 0
    rig.ca.set(HDF1__SWMRMode=0)
    written = Written(path)
    assert written.frames == rig.ca.get("HDF1:NumCaptured_RBV") > captured
    written.check(rig.settings, 0.001)


# compression and chunks

COMPRESSIONS = [
    ("szip", {"SZipNumPixels": 32}, 4, slice(1, 2), (32,)),
    ("zlib", {"ZLevel": 3}, 1, slice(None), (3,)),
    ("Blosc", {"BloscCompressor": 5, "BloscShuffle": 2, "BloscLevel": 1}, 32001, slice(4, 7), (1, 2, 5)),
    ("BSLZ4", {}, 32008, slice(0), ()),
    ("LZ4", {}, 32004, slice(0), ()),
]


@pytest.mark.parametrize(("name", "settings", "number", "where", "options"), COMPRESSIONS)
def test_compressions(rig, name, settings, number, where, options):
    for record, value in settings.items():
        assert rig.ca.put(f"HDF1:{record}", value)[0] == ECA_NORMAL
        assert rig.ca.get(f"HDF1:{record}_RBV") == value
    path = rig.capture(f"with_{name}", 30, HDF1__Compression=name)
    rig.ca.set(HDF1__Compression="BSLZ4")
    assert rig.acquire(30) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    with h5py.File(path) as file:
        found, _, values, _ = file[f"{DETECTOR}/data"].id.get_create_plist().get_filter(0)
    assert (found, values[where]) == (number, options)
    Written(path).check(rig.settings, 0.001)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Compression", "N-bit", "cannot be written; possible are None (0), szip (2), zlib (3)"),
        ("SZipNumPixels", 7, "odd"),
        ("ZLevel", 10, "above 9"),
        ("NumExtraDims", 1, "above 0"),
        ("PositionMode", 1, "in the order in which they come"),
        ("ReadFile", 1, "written, not read"),
        ("WriteFile", 1, "Stream: frames are written as they come"),
    ],
)
def test_what_is_refused(rig, name, value, words):
    before = rig.ca.get(f"HDF1:{name}_RBV")
    refused(rig, f"HDF1:{name}", value, words)
    assert rig.ca.get(f"HDF1:{name}_RBV") == before


def test_explicit_chunks(rig):
    path = rig.capture("chunks", 10, HDF1__NumFramesChunks=1)
    rig.ca.set(HDF1__NumFramesChunks=0)
    assert rig.acquire(10) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    with h5py.File(path) as file:
        assert file["/entry/data/data"].chunks == (1, 4, 4096)
    Written(path).check(rig.settings, 0.001)


LAYOUT = '<?xml version="1.0"?>\n<hdf5_layout>\n\t<group name="entry"/>\n</hdf5_layout>\n' + "<!-- long -->" * 60


def test_a_layout_is_kept_and_not_used(rig):
    rig.ca.set(HDF1__XMLFileName=LAYOUT)
    assert rig.ca.get("HDF1:XMLFileName_RBV") == LAYOUT
    assert rig.ca.get("HDF1:XMLValid_RBV") == 0
    assert "Not used" in rig.ca.get("HDF1:XMLErrorMsg_RBV")
    path = rig.capture("layout", 2)
    assert rig.acquire(2) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert Written(path).frames == 2
    rig.ca.set(HDF1__XMLFileName="")
    assert rig.ca.gets("HDF1:XMLValid_RBV", "HDF1:XMLErrorMsg_RBV") == [1, "Default layout selected"]


# corrected spectra


def spectra(path):
    with h5py.File(path) as file:
        detector = file[DETECTOR]
        raw = detector["data_raw"][()] if "data_raw" in detector else None
        return detector["data"][()], raw, detector["dead_time_correction"][()]


def test_the_type_is_that_of_the_setting_now(rig):
    """After a corrected run the next file is uncorrected, and the other way round; none gets stuck."""
    for corrected in (0, 1, 0):
        rig.ca.set(CTRL_DTC=corrected)
        assert rig.ca.get("HDF1:DataType_RBV") == (FLOAT64 if corrected else UINT32)
        path = rig.capture(f"type{corrected}", 5)
        refused(rig, "det1:CTRL_DTC", 1 - corrected, "cannot change while", path)
        assert rig.acquire(5) == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
        assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:Capture_RBV", "HDF1:WriteStatus") == [5, 0, 0]
        data, raw, factors = spectra(path)
        if corrected:
            assert (data.dtype, raw.dtype) == (np.float64, np.uint32)
            np.testing.assert_array_equal(data, raw * factors[..., np.newaxis])
            assert (factors > 1).any()
        else:
            assert (data.dtype, raw) == (np.uint32, None)
        # Raw counts are the same in both.
        plain = data if raw is None else raw
        if corrected == 0:
            first = plain
        np.testing.assert_array_equal(plain, first)


# when a file closes


def test_an_abort_may_close_the_file(rig):
    rig.ca.set(HDF1__CloseOnAbort=1)
    path = rig.capture("aborted")
    assert rig.acquire(5) == ECA_NORMAL  # an end that is no abort
    assert rig.ca.is_open("capture")
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 20)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    # Closed when the stop is answered.
    assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus") == [0, 0, 0]
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(HDF1__CloseOnAbort=0)
    written = Written(path)
    assert written.frames == rig.ca.get("HDF1:NumCaptured_RBV") > 25
    written.check(rig.settings, 0.001)


def test_frames_that_are_lost_leave_no_capture_open(start_rig):
    """A series that was to fill its file and fails closes it: nobody waits for ever for the rest."""
    rig = start_rig(**SLOW)
    path = rig.capture("short", 2000)
    assert rig.acquire(2000, 0.001) == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    written = Written(path)
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    assert rig.ca.gets("HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus") == [0, 0, 0, 1]
    message = rig.ca.get("HDF1:WriteMessage")
    assert message.startswith(f"{path} was closed with {captured} of 2000 frames: Overrun")
    assert 0 < written.frames == captured < 2000
    acquired, _, in_file, missing = rig.counters()
    assert acquired == in_file
    assert 0 < missing
    assert rig.ca.get("HDF1:DroppedArrays_RBV") == captured - acquired


def test_frames_that_are_missing_count_as_places_in_the_file(start_rig):
    rig = start_rig(**MISSING)
    path = rig.capture("gaps", 200)
    rig.acquire(200)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:Capture_RBV") == [200, 0]
    status = Written(path)["frame_status"]
    dropped = np.count_nonzero(status)
    assert 0 < dropped < 200
    assert rig.ca.get("HDF1:DroppedArrays_RBV") == dropped == rig.ca.get("det1:FramesMissing")
    rig.ca.set(HDF1__DroppedArrays=0)
    assert rig.ca.get("HDF1:DroppedArrays_RBV") == 0


# counters


def test_counters_of_the_plugin(rig):
    rig.ca.set(HDF1__ArrayCounter=0, HDF1__DroppedArrays=0)
    assert rig.acquire(4) == ECA_NORMAL  # for no file
    assert rig.ca.get("HDF1:ArrayCounter_RBV") == 0
    path = rig.capture("counts")
    for count in (3, 5):
        assert rig.acquire(count) == ECA_NORMAL
        assert rig.ca.get("HDF1:UniqueId_RBV") == count
    assert rig.ca.gets("HDF1:ArrayCounter", "HDF1:ArrayCounter_RBV") == [8, 8]
    rig.ca.set(HDF1__ArrayCounter=100)
    assert rig.acquire(1) == ECA_NORMAL
    assert rig.ca.get("HDF1:ArrayCounter_RBV") == 101
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("HDF1:ArrayRate_RBV", 100)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.get("HDF1:ArrayRate_RBV") == 0
    assert close(rig) == ECA_NORMAL
    run_time, speed = rig.ca.gets("HDF1:RunTime", "HDF1:IOSpeed")
    size = Written(path).frames * 4 * 4096 * 4
    assert run_time > 0.1
    assert speed * run_time == pytest.approx(size * 8 / 2**20)
    assert rig.ca.get("HDF1:DroppedArrays_RBV") == 0


def test_the_queue_is_the_memory_for_frames(start_rig):
    # Frames pile up in a small memory while the writer does nothing.
    rig = start_rig(server={"pool": 64})
    rig.capture("queue")
    rig.ca.set(HDF1__QueueSize=100)
    assert rig.ca.gets("HDF1:QueueFree", "HDF1:QueueUse") == [100, 0]
    rig.begin(1_000_000, 0.0005)
    (writer,) = rig.server.children()
    os.kill(writer, signal.SIGSTOP)
    try:
        rig.ca.wait_for("HDF1:QueueFree", 0)
        assert rig.ca.get("HDF1:QueueUse") == 100
        assert rig.ca.read("HDF1:QueueFree").severity == 2
    finally:
        os.kill(writer, signal.SIGCONT)
    rig.ca.wait_above("HDF1:QueueFree", 90)
    assert rig.ca.read("HDF1:QueueUse").severity == 0
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert close(rig) == ECA_NORMAL
    assert rig.counters()[3] == 0


def test_a_writer_that_does_not_close_is_given_up(start_rig):
    rig = start_rig()
    path = rig.capture("stuck")
    assert rig.acquire(10) == ECA_NORMAL
    (writer,) = rig.server.children()
    os.kill(writer, signal.SIGSTOP)
    rig.ca.begin("HDF1:Capture", 0, "close")
    time.sleep(5.5)
    assert rig.ca.is_open("close")
    assert rig.ca.is_open("capture")
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_PUTFAIL
    assert rig.ca.put_status("close") == rig.ca.put_status("capture") == ECA_PUTFAIL
    assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteStatus") == [0, 1]
    assert "Abandoned by a second Capture = 0" in rig.ca.get("HDF1:WriteMessage")
    gone(writer)  # it holds its lock until then
    assert Written(path).frames == 10
    rig.capture("next", 3)
    assert rig.acquire(3) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
