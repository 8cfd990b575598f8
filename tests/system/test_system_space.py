"""Room on the disk: what is shown and said of it, and how a capture ends when there is none left."""

import os
import subprocess
import sys
import time

import numpy as np
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written

MINOR, MAJOR, INVALID = 1, 2, 3
ROOM = ("HDF1:DiskFree_RBV", "HDF1:FramesLeft_RBV", "HDF1:SecondsLeft_RBV")


def until(condition):
    """Wait for it; it does not come within a test's patience: the test fails."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_disk_that_fills_ends_the_capture_in_order(start_rig, small_disk):
    rig = start_rig()
    listener = rig.listener()
    small_disk.limit(*rig.server.children())
    rig.files = small_disk.directory
    path = rig.capture("full", HDF1__Compression=0)
    rig.begin(2000, 0.001)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    message = rig.ca.get("HDF1:WriteMessage")
    assert message.startswith(f"{small_disk.directory} is full, ")
    assert rig.message() == message
    assert rig.ca.gets("det1:Acquire_RBV", "HDF1:Capture_RBV", "HDF1:WriteStatus") == [0, 0, 1]
    assert rig.ca.read("HDF1:WriteMessage").severity == MAJOR
    written = Written(path)
    assert f"{written.frames:,} frames are safe in {path}" in message
    assert written.end_time
    assert 100 < written.frames < 400
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
    written.check(rig.settings, 0.001)
    acquired, streamed, in_file, missing = rig.counters()
    assert (in_file, missing) == (written.frames, acquired - in_file)
    heard = listener.heard()
    assert (heard.end.reason, heard.end.acquired, heard.end.written) == ("file", acquired, in_file)
    assert heard.frames == streamed == acquired
    # There is a next one.
    rig.files = rig.directory / "files"
    rig.capture("next", 20)
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]


def test_what_will_not_fit_is_said_but_not_refused(rig):
    ca = rig.ca
    path = rig.capture("huge", 2_000_000_000)
    for record in ("HDF1:WriteMessage", "det1:StatusMessage_RBV"):
        assert ca.get(record).startswith("2,000,000,000 frames need about ")
        assert ca.read(record).severity == MINOR
    assert f"{os.path.dirname(path)} has room for " in ca.get("HDF1:WriteMessage")
    ca.wait_for_severity("HDF1:FramesLeft_RBV", MINOR)
    assert ca.get("HDF1:WriteStatus") == 0
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.message() == "Completed Acquisition"
    ca.set(HDF1__Capture=0)
    assert ca.put_status("capture") == ECA_NORMAL
    assert ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    # A file without limit, but a series that does not fit, on any disk of less than a terabyte.
    rig.capture("long", HDF1__Compression=0)
    assert ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    rig.begin(16_777_215, 0.001)
    disk = os.statvfs(rig.files)
    if disk.f_bavail * disk.f_frsize < 1e12:
        until(lambda: rig.message().startswith("16,777,215 frames need about "))
        assert ca.get("HDF1:WriteMessage") == rig.message()
    ca.set(Acquire=0)
    ca.put_status("acquire")
    ca.set(HDF1__Capture=0, HDF1__Compression=5)
    ca.put_status("capture")


def test_the_room_is_shown(rig):
    ca = rig.ca
    rig.capture("shown", 2000)
    disk = os.statvfs(rig.files)
    until(
        lambda: abs(ca.get(ROOM[0]) * 1e9 - disk.f_bavail * disk.f_frsize) < 2e9 and ca.read(ROOM[1]).severity == 0
    )
    assert rig.acquire(2000) == ECA_NORMAL
    assert ca.put_status("capture") == ECA_NORMAL
    # Measured: more of them fit than was thought.
    size = os.stat(ca.get("HDF1:FullFileName_RBV")).st_size
    fits = min(2**31 - 1, (disk.f_bavail * disk.f_frsize - (32 << 20)) / (size / 2000))
    until(lambda: 0.9 * fits < ca.get(ROOM[1]) < 1.1 * fits)
    lines = subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "status", "--monitor", rig.server.monitor],
        capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "300"},
    ).stdout.splitlines()  # fmt: skip
    rows = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in lines}
    assert rows["disk"].startswith(f"{ca.get(ROOM[0]):.1f} GB free for {rig.files}/: room for ")
    # Pool and circular buffer at 1 kHz: what the disk may stand still without a loss.
    assert rows["stalls"].startswith("of the disk or of a subscriber cost no frame for up to 3")
    assert 30 < ca.get("det1:SecondsToOverrun") < 34


def test_no_room_is_known_without_a_directory(rig):
    rig.ca.set(HDF1__FilePath="")
    for name in ROOM:
        rig.ca.wait_for_severity(name, INVALID)


def test_files_that_survive_a_loss_of_power(start_rig):
    rig = start_rig("--fsync", "0.1")
    path = rig.capture("safe", 300)
    assert rig.acquire(300) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert Written(path).frames == 300


def test_the_name_in_the_stream_is_that_of_the_file(rig):
    listener = rig.listener("names")
    (rig.files / "taken_5.h5").write_text("precious")
    path = rig.capture("taken", 10, HDF1__FileNumber=5, HDF1__NextFreeNumber=1)
    assert path == str(rig.files / "taken_6.h5")
    assert rig.acquire(10) == ECA_NORMAL
    rig.ca.put_status("capture")
    rig.ca.set(HDF1__NextFreeNumber=0)
    assert listener.heard().header.filename == path
