"""Scripts that put and wait for nothing: what is put behind a stop, or the close of a file, is done behind it."""

from __future__ import annotations

import pytest
from ca_clients import ECA_NORMAL

START, STOP = ("det1:Acquire", 1), ("det1:Acquire", 0)
OPEN, CLOSE = ("HDF1:Capture", 1), ("HDF1:Capture", 0)


def counted(rig):
    rig.ca.wait_above("det1:ArrayCounter_RBV", 10)


def settle(rig, message):
    """Until the last of the puts is done."""
    rig.ca.wait_for("det1:StatusMessage_RBV", message)


def test_erase_and_start_behind_a_stop(rig):
    rig.ca.set(NumImages=100_000, AcquireTime=0.005, EraseOnStart=0)
    for _ in range(5):
        rig.ca.throw_all([START])
        counted(rig)
        rig.ca.throw_all([STOP, ("det1:ERASE", 1)])
        settle(rig, "Erased Data")
        assert rig.ca.get("det1:ArrayCounter_RBV") == 0
        assert rig.ca.read("det1:ERASE").severity == 0
        assert not rig.ca.get("MCASUM1:ArrayData").any()


def test_connect_behind_a_stop(rig):
    rig.ca.set(NumImages=100_000, AcquireTime=0.005)
    for _ in range(3):
        rig.ca.throw_all([START])
        counted(rig)
        rig.ca.throw_all([STOP, ("det1:DISCONNECT", 1)])
        settle(rig, "System disconnected.")
        rig.ca.set(CONNECT=1)
        rig.ca.throw_all([START])
        counted(rig)
        rig.ca.throw_all([STOP, ("det1:CONNECT", 1)])
        settle(rig, "System Connected")


def test_a_capture_behind_another(rig):
    """What a script of plain caputs does: close, name, open, acquire."""
    rig.ca.set(NumImages=20, AcquireTime=0.002)
    names = [rig.capture("behind")]
    for number in (50, 60, 70):
        rig.ca.set(Acquire=1)
        rig.ca.throw_all([CLOSE, ("HDF1:FileNumber", number), OPEN])
        assert rig.ca.put_status("capture") == ECA_NORMAL
        rig.ca.wait_for("HDF1:FullFileName_RBV", f"{rig.files}/behind_{number}.h5")
        rig.ca.wait_for("HDF1:Capture_RBV", 1)
        names.append(rig.ca.get("HDF1:FullFileName_RBV"))
        rig.ca.begin("HDF1:FlushNow", 1, "capture")  # another to wait for
    rig.ca.set(Acquire=1)
    assert rig.ca.get("HDF1:NumCaptured_RBV") == 20
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert len(set(names)) == 4


@pytest.mark.parametrize(("setting", "value"), [("HDF1:FileWriteMode", 1), ("det1:CTRL_DTC", 1)])
def test_what_an_open_file_forbids_behind_its_close(rig, setting, value):
    before = rig.ca.get(setting)
    rig.ca.set(NumImages=50, AcquireTime=0.001)
    rig.capture("forbidden", HDF1__NextFreeNumber=1)
    rig.ca.set(Acquire=1)
    rig.ca.throw_all([CLOSE, (setting, value)])
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.wait_for(f"{setting}_RBV", value)
    assert rig.ca.read(setting).severity == 0
    rig.ca.put(setting, before)
