"""Bad input: a failed put-callback at once, the reason in words, the old value as invalid until the next good put."""

from __future__ import annotations

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL, INVALID, WRITE
from system_rig import Written

PROMPT = 6
"""s; a client's own time-out is longer."""


def refused(rig, name, value, *words, client=None):
    """Put; check all that a client sees of a refusal, but the end of the alarm."""
    client = client or rig.ca
    readback = None if name.endswith(("CONNECT", "ERASE")) else name + "_RBV"
    before = client.get(name)
    shown = readback and client.read(readback)
    status, seconds = client.put(name, value)
    assert status == ECA_PUTFAIL
    assert seconds < PROMPT
    message = rig.message()
    assert all(word in message for word in words), message
    setpoint = client.read(name)
    assert (client.get(name), setpoint.status, setpoint.severity) == (before, WRITE, INVALID)
    if readback:
        after = client.read(readback)
        assert str((after.value, after.severity)) == str((shown.value, shown.severity))


def accepted(rig, name, value):
    assert rig.ca.put(name, value)[0] == ECA_NORMAL
    assert rig.ca.read(name).severity == 0


VALUES = [
    ("det1:NumImages", 0, "NumImages = 0 is below 1"),
    ("det1:NumImages", 0x1000000, "is above 16777215"),
    ("det1:NumImages", "many", "'many' is not a whole number"),
    ("det1:AcquireTime", -1, "AcquireTime = -1 is below 1e-06 s"),
    ("det1:AcquireTime", float("nan"), "nan is not a number"),
    ("det1:AcquireTime", float("inf"), "is above"),
    ("det1:TriggerMode", 99, "TriggerMode = 99 is none of Software (0), Internal (1)"),
    ("det1:TriggerMode", "Sundial", "TriggerMode = 'Sundial' is none of"),
    ("det1:ImageMode", 3, "ImageMode = 3 is none of"),
    ("det1:C2_SCA4_THRESHOLD", 4096, "4096 is above 4095"),
    ("det1:C1_SCA5_HLM", -1, "-1 is below 0"),
    ("det1:DEBOUNCE", 256, "is above 255"),
    ("HDF1:FileTemplate", "%s%s%d%d", "does not fit"),
    ("HDF1:FileTemplate", "%s%s%q", "does not fit"),
    ("HDF1:FileTemplate", "%s%s%2000000000d", "FileTemplate"),
    ("HDF1:FileName", "../../etc/passwd", "slash"),
    ("HDF1:FileNumber", -1, "below 0"),
    ("HDF1:FileWriteMode", "Trickle", "is none of Single (0), Capture (1), Stream (2)"),
    ("HDF1:Compression", "JPEG", "cannot be written"),
    ("HDF1:NumCapture", -5, "below 0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), VALUES)
def test_values_out_of_range(rig, name, value, words):
    good = rig.ca.get(name)
    refused(rig, name, value, words)
    accepted(rig, name, good)


def test_a_window_upside_down(rig):
    rig.ca.set(C3_SCA5_HLM=100)
    refused(rig, "det1:C3_SCA5_LLM", 101, "Window 1 of channel 3 (Tango: Window1_Ch2): low 101 is above high 100")
    accepted(rig, "det1:C3_SCA5_LLM", 100)
    rig.ca.set(C3_SCA5_LLM=0, C3_SCA5_HLM=4095)


def test_a_second_acquire_by_another_client(rig):
    other = rig.client()
    rig.begin(16000, 0.001)
    refused(rig, "det1:Acquire", 1, "Acquire = 1 while acquiring", client=other)
    assert rig.ca.is_open("acquire")
    refused(rig, "det1:ERASE", 1, "ERASE while acquiring", client=other)
    refused(rig, "det1:CONNECT", 1, "Cannot connect while acquiring", client=other)
    refused(rig, "det1:DISCONNECT", 1, "Cannot disconnect while acquiring", client=other)
    assert rig.ca.is_open("acquire")
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.read("det1:Acquire").severity == 0
    assert rig.counters()[3] == 0


def test_nothing_is_acquired_while_disconnected(rig):
    rig.ca.set(DISCONNECT=1)
    assert rig.ca.gets("det1:CONNECTED", "det1:DetectorState_RBV") == [0, 9]
    refused(rig, "det1:Acquire", 1, "Not connected: write 1 to CONNECT (Tango: Init)")
    refused(rig, "det1:TriggerMode", 1, "Not connected")
    refused(rig, "det1:C1_SCA4_THRESHOLD", 10, "Not connected")
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    rig.ca.set(CONNECT=1)
    assert rig.ca.gets("det1:CONNECTED", "det1:DetectorState_RBV") == [1, 0]
    assert rig.acquire(3) == ECA_NORMAL


def test_a_settings_directory_that_is_not_there(rig, tmp_path):
    rig.ca.set(CONFIG_PATH=str(tmp_path / "nowhere"))
    refused(rig, "det1:CONNECT", 1, "nowhere", "CONFIG_PATH")
    assert rig.ca.get("det1:CONNECTED") == 1  # what is open stays open
    assert rig.acquire(3) == ECA_NORMAL
    rig.ca.set(CONFIG_PATH="")
    rig.ca.set(CONNECT=1)
    assert rig.acquire(3) == ECA_NORMAL


def open_file(rig, directory, name, template="%s%s_%d.h5"):
    rig.ca.set(HDF1__FilePath=directory, HDF1__FileName=name, HDF1__FileTemplate=template, HDF1__FileNumber=0)


def refused_file(rig, *words):
    """Capture=1 fails, says why in WriteMessage too, and leaves nothing behind."""
    name = rig.ca.get("HDF1:FullFileName_RBV")
    refused(rig, "HDF1:Capture", 1, *words)
    assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus") == [0, 0, 1]
    message = rig.ca.get("HDF1:WriteMessage")
    assert all(word in message for word in words), message
    assert rig.ca.gets("HDF1:FullFileName_RBV", "HDF1:FileNumber") == [name, 0]


def works(rig, name):
    """The next file is written; what was wrong is forgotten."""
    path = rig.capture(name, 5, HDF1__FileNumber=0)
    assert rig.acquire(5) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    assert rig.ca.read("HDF1:Capture").severity == 0
    Written(path).check(rig.settings, 0.001)


def test_a_directory_that_does_not_exist(rig, tmp_path):
    open_file(rig, str(tmp_path / "no" / "such"), "x")
    assert rig.ca.get("HDF1:FilePathExists_RBV") == 0
    refused_file(rig, "no", "no such directory")
    rig.ca.set(HDF1__CreateDirectory=-1)
    refused_file(rig, "no such directory")
    rig.ca.set(HDF1__CreateDirectory=-2)
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert (tmp_path / "no" / "such" / "x_0.h5").exists()
    rig.ca.set(HDF1__CreateDirectory=0)
    works(rig, "after_directory")


@pytest.mark.parametrize("place", ["file", "/proc", "/sys/kernel"])
def test_a_directory_that_cannot_be_written(rig, tmp_path, place):
    if place == "file":
        (tmp_path / "file").write_text("no directory")
        place = str(tmp_path / "file")
    open_file(rig, place, "x")
    refused_file(rig, place)
    works(rig, f"after_{place.rpartition('/')[2]}")


def test_a_file_that_exists(rig):
    precious = rig.files / "precious_0.h5"
    precious.write_text("precious")
    open_file(rig, str(rig.files), "precious")
    refused_file(rig, str(precious), "exists already")
    assert precious.read_text() == "precious"
    works(rig, "after_precious")


def test_a_capture_without_a_name(rig):
    open_file(rig, str(rig.files), "")
    refused_file(rig, "HDF1:FileName")
    open_file(rig, "", "name")
    refused_file(rig, "HDF1:FilePath")
    open_file(rig, "relative/path", "name")
    refused_file(rig, "does not begin with /")
    works(rig, "after_nothing")


def test_a_name_that_is_too_long_for_the_file_system(rig):
    open_file(rig, str(rig.files), "x" * 250, "%s%s_and_so_on_%d.h5")
    refused_file(rig, "too long")
    works(rig, "after_long")
