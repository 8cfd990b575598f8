"""What the clients of Xspress3DS do, step by step: scans, bursts, gates, live mode; and what they find in the files."""

from __future__ import annotations

import os
import re
import time

import h5py
import hdf5plugin  # noqa: F401  for h5py
import numpy as np
import pytest
from server_process import ServerProcess
from system_desk import Desk
from system_libca import LibcaClient
from system_listener import Listener
from tango_client import DEVICE, TangoClient
from tango_contrast import ContrastDetector

GROUP = "/entry/instrument/xspress3"
TICK = 12.5e-9
PULSES = {"period": 0.004, "width": 0.002, "delay": 0.02}


class Beamline:
    """A server with both faces, and a client of each kind."""

    def __init__(self, directory, **tables):
        tables["parameters"] = {"destination": str(directory / "temp.h5")}
        self.server = ServerProcess(directory, "--tango", DEVICE, "--tango-port", "0", **tables)
        name = re.search(r"tango://\S+", self.server.banner)[0]
        self.contrast = Desk(ContrastDetector, name)
        self.tango = Desk(TangoClient, name)
        self.ca = Desk(LibcaClient, self.server.prefix, environment=self.server.environment)
        self.tango.wait_for("STANDBY")

    def listener(self):
        """A subscriber of the stream, joined; the one before has left."""
        self.ca.wait_for("det1:Subscribers", 0)
        desk = Desk(Listener, self.server.data, "listener", None)
        self.ca.wait_for("det1:Subscribers", 1)
        return desk

    def end(self):
        for desk in (self.contrast, self.tango, self.ca):
            desk.end()
        self.server.stop()
        log = self.server.log.read_text()
        assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def one_beamline(tmp_path_factory):
    beamline = Beamline(tmp_path_factory.mktemp("beamline"), emulator={"pulses": PULSES})
    yield beamline
    beamline.end()


@pytest.fixture
def beamline(one_beamline):
    yield one_beamline
    one_beamline.contrast.stop()
    one_beamline.contrast.set(nTriggers=1, nFramesPerTrigger=1, DestinationFileOverwritable=False, WriteHdf5=True)


def file_of(path):
    """Spectra and scalers' counting time (ticks) in a file that is closed, as a link to it finds them."""
    with h5py.File(path, "r") as file:
        return file[f"{GROUP}/data"][()], file[f"{GROUP}/total_ticks"][()]


def test_the_frame_period_becomes_ticks_as_known(beamline):
    beamline.contrast.set(ExposureTime=0.1, LatencyTime=1e-7)
    assert beamline.contrast.get("ReadoutTime", "ExposureTime", "LatencyTime") == [2.5e-8, 0.1, 1e-7]
    assert beamline.ca.get("det1:AcquireTime_RBV") == 0.099999875
    assert round(0.099999875 / TICK) == 7_999_990


def test_step_scan(beamline, tmp_path):
    """One file, armed once; a software trigger per step."""
    path = str(tmp_path / "scan_000001_xspress3.hdf5")
    listener = beamline.listener()
    beamline.contrast.prepare(0.01, path, starts=5)
    for step in range(1, 6):
        state, frames = beamline.contrast.step()
        assert frames == step
        assert state == ("RUNNING" if step < 5 else "STANDBY")
        assert beamline.contrast.get("ReadyForSwTrigger") == [step < 5]
    data, ticks = file_of(path)
    assert data.shape == (5, 4, 4096)
    np.testing.assert_array_equal(ticks, round((0.01 - 1e-7 - 2.5e-8) / TICK))
    heard = listener.heard()
    assert (heard.frames, heard.end.acquired, heard.end.written) == (5, 5, 5)
    assert heard.header.filename == path
    listener.end()


def test_the_exposure_in_the_stream(beamline):
    listener = beamline.listener()
    beamline.contrast.prepare(0.1, "", starts=1)
    beamline.contrast.step()
    header = listener.heard().header
    assert (header.exposure, header.filename, header.gap) == (0.099999875, "", 2.5e-8)
    listener.end()


def test_burst_scan(beamline, tmp_path):
    """A file and an Arm per step, each with many frames."""
    for step in range(3):
        path = str(tmp_path / f"scan_{step:06}_xspress3.hdf5")
        beamline.contrast.prepare(0.002, path, starts=1, burst=20)
        assert beamline.contrast.step() == ("STANDBY", 20)
        assert len(file_of(path)[0]) == 20


def test_bursts_into_one_name(beamline, tmp_path):
    """Armed at each step as contrast does it: the files that exist are kept."""
    beamline.contrast.prepare(0.002, str(tmp_path / "scan.hdf5"), starts=1, burst=3)
    for _ in range(3):
        assert beamline.contrast.step() == ("STANDBY", 3)
    assert sorted(os.listdir(tmp_path)) == ["scan.hdf5", "scan_.hdf5", "scan__.hdf5"]


def test_hardware_triggers(beamline, tmp_path):
    path = str(tmp_path / "hw.hdf5")
    beamline.contrast.prepare(0.001, path, starts=2, hw_trig_n=10)
    # All 20 pulses come; the client asks for its first ten and goes on.
    beamline.contrast.arm()
    beamline.contrast.arm()
    assert beamline.contrast.wait() == "STANDBY"
    assert beamline.contrast.get("nFramesAcquired") == [20]
    assert len(file_of(path)[0]) == 20


def test_many_hardware_triggers_of_bursts_are_refused(beamline):
    beamline.contrast.prepare(0.001, "", starts=1, burst=5, hw_trig_n=10)
    refusal = beamline.contrast.run("Arm")
    assert refusal.startswith("nFramesPerTrigger can only be > 1 if nTriggers = 1")
    assert beamline.tango.state() == "STANDBY"
    assert beamline.tango.status() == refusal


def test_gates_stop_at_the_count(beamline, tmp_path):
    """More gates come than frames are due; the original stayed RUNNING for ever."""
    path = str(tmp_path / "gated.hdf5")
    beamline.contrast.set(
        TriggerMode="EXTERNAL_MULTI_GATE", nTriggers=15, nFramesPerTrigger=1, DestinationFileName=path
    )
    assert beamline.contrast.run("Arm") == ""
    assert beamline.contrast.wait() == "STANDBY"
    assert beamline.contrast.get("nFramesAcquired") == [15]
    data, ticks = file_of(path)
    assert len(data) == 15
    np.testing.assert_array_equal(ticks, round(PULSES["width"] / TICK))


def test_live_mode_and_no_file(beamline, tmp_path):
    for _ in range(5):
        beamline.contrast.prepare(0.005, "", starts=1)
        assert beamline.contrast.step() == ("STANDBY", 1)
    beamline.contrast.prepare(50.0, "", starts=1)
    beamline.contrast.arm()
    beamline.contrast.start()
    assert beamline.tango.state() == "RUNNING"
    assert beamline.contrast.stop() == "STANDBY"
    assert os.listdir(tmp_path) == []


def test_no_hdf5_by_the_device(beamline, tmp_path):
    beamline.contrast.set(WriteHdf5=False)
    beamline.contrast.prepare(0.005, str(tmp_path / "x.hdf5"), starts=1)
    assert beamline.contrast.step() == ("STANDBY", 1)
    assert os.listdir(tmp_path) == []


def test_a_file_may_be_overwritten(beamline, tmp_path):
    path = tmp_path / "x.hdf5"
    path.write_bytes(b"somebody's")
    beamline.contrast.set(DestinationFileOverwritable=True)
    beamline.contrast.prepare(0.005, str(path), starts=2)
    beamline.contrast.step()
    assert beamline.contrast.step() == ("STANDBY", 2)
    assert os.listdir(tmp_path) == ["x.hdf5"]
    assert len(file_of(path)[0]) == 2


def test_stop_in_a_scan_keeps_what_there_is(beamline, tmp_path):
    path = str(tmp_path / "stopped.hdf5")
    beamline.contrast.prepare(0.005, path, starts=100)
    for _ in range(3):
        beamline.contrast.step()
    assert beamline.contrast.stop() == "STANDBY"
    assert beamline.contrast.get("nFramesAcquired") == [3]
    assert len(file_of(path)[0]) == 3


def test_at_standby_every_file_is_closed(beamline, tmp_path):
    """Asked as fast as it goes: never STANDBY, and never the last frame, with a file that cannot be opened."""
    for number in range(10):
        path = str(tmp_path / f"{number}.hdf5")
        beamline.contrast.prepare(0.001, path, starts=1, burst=10)
        assert beamline.contrast.step() == ("STANDBY", 10)
        assert len(file_of(path)[0]) == 10


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DestinationFileName", "x.hdf5", "begins with /"),
        ("DestinationFileName", "/no/such/directory/x.hdf5", ""),
        ("TriggerMode", "BULB", "TriggerMode can be SOFTWARE, EXTERNAL_MULTI, EXTERNAL_MULTI_GATE"),
        ("LatencyTime", 0.2, ""),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(beamline, name, value, words):
    beamline.contrast.prepare(0.1, "", starts=1)
    beamline.contrast.stop()
    before = beamline.contrast.get("DestinationFileName", "TriggerMode", "LatencyTime")
    refusal = beamline.tango.write(name, value)
    if words:
        assert words in refusal
        assert beamline.contrast.get("DestinationFileName", "TriggerMode", "LatencyTime") == before
    else:
        assert refusal == ""  # possible by itself, if not with the rest: Arm says so
        refusal = beamline.contrast.run("Arm")
        assert "/no/such/directory" in refusal or "leave -0.1" in refusal
    assert beamline.tango.state() == "STANDBY"
    beamline.contrast.set(DestinationFileName="", LatencyTime=0.0)
    assert beamline.contrast.run("Arm") == ""


def test_software_trigger_in_the_wrong_state(beamline):
    assert beamline.contrast.run("SoftwareTrigger") == "SoftwareTrigger while not acquiring: Arm first"


def test_a_scan_is_seen_by_channel_access(beamline):
    beamline.ca.monitor("det1:Acquire_RBV")
    beamline.contrast.prepare(0.01, "", starts=3)
    assert beamline.ca.get("det1:Acquire_RBV") == 1
    assert beamline.ca.get("det1:NumImages_RBV") == 3
    assert beamline.ca.get("det1:AcquireTime_RBV") == 0.009999875
    for _ in range(3):
        beamline.contrast.step()
    beamline.ca.wait_for("det1:Acquire_RBV", 0)
    assert beamline.ca.get("det1:ArrayCounter_RBV") == 3


def test_settings_of_channel_access_are_seen_at_once(beamline):
    beamline.ca.set(NumImages=12, AcquireTime=0.05, TriggerMode=1)
    assert beamline.contrast.get("nTriggers", "nFramesPerTrigger", "TriggerMode") == [1, 12, "INTERNAL"]
    latency = beamline.contrast.get("LatencyTime")[0]
    assert beamline.contrast.get("ExposureTime") == [pytest.approx(0.05 + latency + 2.5e-8, abs=1e-12)]


def test_a_second_client_gets_a_clear_refusal(beamline):
    beamline.contrast.prepare(0.01, "", starts=100)
    refusal = beamline.tango.run("Arm")
    assert refusal.startswith("Arm while acquiring")
    status, _ = beamline.ca.put("det1:Acquire", 1)
    assert status != 1
    assert beamline.tango.state() == "RUNNING"


def test_a_disk_that_hangs_holds_nobody(beamline, tmp_path):
    """Arm comes back, RUNNING; a stop is answered, and the next series goes to another disk."""
    os.mkfifo(tmp_path / "hangs.hdf5")
    beamline.contrast.set(DestinationFileOverwritable=True, DestinationFileName=str(tmp_path / "hangs.hdf5"))
    beamline.contrast.set(TriggerMode="SOFTWARE", nTriggers=1, nFramesPerTrigger=1, ExposureTime=0.01)
    beamline.contrast.tell("run", "Arm")
    beamline.tango.wait_for("RUNNING")
    assert beamline.contrast.answer() == ""
    assert beamline.contrast.get("nFramesAcquired") == [0]
    assert beamline.contrast.stop() == "STANDBY"
    beamline.contrast.set(DestinationFileName=str(tmp_path / "good.hdf5"))
    assert beamline.contrast.run("Arm") == ""
    beamline.contrast.start()
    beamline.tango.wait_for("STANDBY")
    assert len(file_of(str(tmp_path / "good.hdf5"))[0]) == 1


def test_a_fault_of_the_library_is_shown_and_left_by_init(tmp_path):
    beamline = Beamline(tmp_path, emulator={"faults": {"hang": {"xsp3_histogram_read4d": [3, 6.5]}}})
    try:
        beamline.contrast.prepare(0.01, str(tmp_path / "f.hdf5"), starts=20)
        for _ in range(2):
            beamline.contrast.step()
        beamline.contrast.arm()
        beamline.contrast.start()
        beamline.tango.wait_for("FAULT")
        assert "has not returned" in beamline.tango.status()
        assert "(fault; write 1 to RESET or CONNECT, or Init in Tango)" in beamline.contrast.run("Arm")
        beamline.ca.wait_for("HDF1:Capture_RBV", 0)
        assert len(file_of(str(tmp_path / "f.hdf5"))[0]) == 2
        refusals = []
        while refused := beamline.contrast.run("Init"):
            refusals.append(refused)
            assert len(refusals) < 1000
            time.sleep(0.02)
        assert all("has not returned" in refused for refused in refusals)
        beamline.tango.wait_for("STANDBY")
        beamline.contrast.prepare(0.01, str(tmp_path / "after.hdf5"), starts=2)
        beamline.contrast.step()
        assert beamline.contrast.step() == ("STANDBY", 2)
        assert len(file_of(str(tmp_path / "after.hdf5"))[0]) == 2
    finally:
        beamline.end()
