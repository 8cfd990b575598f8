"""EPICS base's own caget, caput, camonitor and cainfo."""

from __future__ import annotations

import signal
import subprocess
import threading
import time

import pytest
from clients_base_tools import BaseTools


@pytest.fixture(scope="module")
def tools(rig):
    return BaseTools(rig.server.prefix, rig.server.environment)


def test_caget_of_all_kinds(tools):
    names = [
        ":det1:Acquire", ":det1:AcquireTime", ":det1:NumImages", ":det1:TriggerMode", ":det1:Manufacturer_RBV",
        ":det1:DetectorState_RBV",
    ]  # fmt: skip
    assert tools.caget(*names) == ["Done", "0.25", "16000", "Internal", "Quantum Detectors", "Idle"]
    assert tools.caget("-n", ":det1:TriggerMode", ":det1:DetectorState_RBV") == ["1", "0"]
    assert tools.caget(":MCA1ROI:1:Use", ":C2SCA:TS:TSAcquireMode") == ["Yes", "Fixed length"]


def test_long_text(tools, rig):
    assert tools.caget("-S", ":HDF1:FileTemplate") == ["%s%s%d.hdf5"]
    assert tools.caget("-S", ":det1:StatusMessage_RBV") == ["System Connected"]
    assert tools.caget("-S", ":det1:NDAttributesFile") == ["XSP3.xml"]
    long = str(rig.files) + "/" + 150 * "x"
    said = tools.run("caput", "-c", "-S", ":HDF1:FilePath", long)
    assert said.code == 0, said
    assert f"New : :HDF1:FilePath {long}" in said.out
    # areaDetector puts a slash at the end.
    assert tools.caget("-S", ":HDF1:FilePath_RBV") == [long + "/"]
    assert tools.caget("-S", ":HDF1:FilePathExists_RBV") == ["No"]
    assert tools.run("caput", "-c", "-S", ":HDF1:FilePath", str(rig.files)).code == 0
    assert tools.caget(":HDF1:FilePathExists_RBV") == ["Yes"]
    # Without -S it is an array of numbers.
    count, *numbers = tools.caget("-#", "8", ":HDF1:FileTemplate")[0].split()
    assert (int(count), bytes(map(int, numbers))) == (8, b"%s%s%d.h")


def test_a_record_s_fields(tools):
    assert tools.caget(":det1:AcquireTime.RTYP", ":det1:NumImages.RTYP", ":MCA1:ArrayData.RTYP") == [
        "ao", "longout", "waveform",
    ]  # fmt: skip
    assert tools.caget(":HDF1:Capture.RTYP", ":det1:AcquireBusy.RTYP", ":det1:CONNECT.RTYP") == ["busy", "busy", "bo"]
    assert tools.caget(":HDF1:FullFileName_RBV.NELM", ":MCA1:ArrayData.NELM", ":MCASUM4:ArrayData.NELM") == [
        "512", "4096", "4096",
    ]  # fmt: skip
    assert all(tools.caget(":det1:AcquireTime.DESC", ":MCA1ROI:1:MinX.DESC", ":det1:ERASE.DESC"))
    assert tools.caget(":det1:AcquireTime.PREC", ":MCA1:ArrayData.LOPR", ":MCA1ROI:TSRead.SCAN") == [
        "3", "0.5", "1 second",
    ]  # fmt: skip
    assert tools.caget("-n", ":MCA1ROI:TSRead.SCAN") == ["6"]
    assert tools.caget(":C1SCA:TS:TSNumPoints.DRVL", ":C1SCA:TS:TSNumPoints.DRVH") == ["1", "100000000"]
    assert tools.caget(":HDF1:NumCapture_CALC.DISA") == ["0"]


def test_control_metadata(tools):
    said = tools.run("caget", "-d", "DBR_CTRL_DOUBLE", ":det1:AcquireTime")
    words = dict(line.strip().split(":", 1) for line in said.out.splitlines()[1:] if ":" in line)
    words = {key.strip(): value.strip() for key, value in words.items()}
    assert words["Native data type"] == "DBF_DOUBLE"
    assert words["Value"] == "0.25"
    assert words["Precision"] == "3"
    said = tools.run("caget", "-d", "DBR_CTRL_ENUM", ":det1:TriggerMode").out
    assert "Enums:            ( 8)" in said
    assert [line.split("]", 1)[1].strip() for line in said.splitlines() if line.strip().startswith("[")] == [
        "Software", "Internal", "IDC", "TTL Veto Only", "TTL Both", "LVDS Veto Only", "LVDS Both",
        "Software + Internal",
    ]  # fmt: skip
    said = tools.run("caget", "-d", "DBR_GR_LONG", ":C1SCA:TS:TSNumPoints").out
    assert "2048" in said
    said = tools.run("caget", "-d", "DBR_CTRL_LONG", ":C1SCA:TS:TSNumPoints").out
    assert "100000000" in said
    said = tools.run("caget", "-a", ":det1:DetectorState_RBV")
    assert said.out.split()[-1] == "Idle"
    assert said.code == 0


def test_cainfo(tools):
    said = tools.run("cainfo", ":MCA1:ArrayData")
    assert "DBF_DOUBLE" in said.out
    assert "Element count:    4096" in said.out
    said = tools.run("cainfo", ":det1:Acquire_RBV").out
    assert "DBF_ENUM" in said
    assert "State:            connected" in said


def test_caput_c_of_acquire_waits_for_the_end(tools, rig):
    assert tools.run("caput", "-c", ":det1:NumImages", "5").code == 0
    assert tools.run("caput", "-c", ":det1:AcquireTime", "0.1").code == 0
    start = time.monotonic()
    said = tools.run("caput", "-c", ":det1:Acquire", "1")
    seconds = time.monotonic() - start
    assert said.code == 0, said
    assert seconds > 0.5
    # It reads the new value after the callback: the run is over.
    assert "New : :det1:Acquire" in said.out
    assert said.out.split()[-1] == "Done"
    assert tools.caget(":det1:Acquire_RBV", ":det1:ArrayCounter_RBV", ":HDF1:NumCapture") == ["Done", "5", "5"]
    assert tools.caget(":det1:AcquireBusy") == ["Done"]


def test_caput_by_text_and_by_number(tools):
    for value, shown in (("TTL Veto Only", "TTL Veto Only"), ("5", "LVDS Veto Only"), ("Internal", "Internal")):
        assert tools.run("caput", "-c", ":det1:TriggerMode", value).code == 0
        assert tools.caget(":det1:TriggerMode_RBV") == [shown]


@pytest.mark.parametrize(
    ("name", "value"), [(":det1:NumImages", "7"), (":det1:TriggerMode", "IDC"), (":HDF1:FileName", "new")]
)
def test_a_plain_caput_shows_the_new_value(tools, name, value):
    """It puts, and reads: a record's server has done the one before it answers the other."""
    said = tools.run("caput", *(["-S"] if "File" in name else []), name, value)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines()][1] == ["New", ":", name, value]


def test_unknown_text_of_an_enumeration_is_refused(tools):
    before = tools.caget(":det1:TriggerMode", ":det1:TriggerMode_RBV")
    said = tools.run("caput", "-c", ":det1:TriggerMode", "Sundial")
    assert said.code != 0
    assert "Enum string value 'Sundial' invalid" in said.err
    assert tools.run("caput", "-c", "-n", ":det1:TriggerMode", "99").code != 0
    assert tools.caget(":det1:TriggerMode", ":det1:TriggerMode_RBV") == before


def test_a_refused_caput_says_so(tools):
    said = tools.run("caput", "-c", ":det1:NumImages", "0")
    assert said.code != 0
    assert "Channel write request failed" in said.err
    assert "WRITE INVALID" in tools.run("caget", "-a", ":det1:NumImages").out
    assert "NumImages = 0 is below 1" in tools.caget("-S", ":det1:StatusMessage_RBV")[0]
    assert tools.run("caput", "-c", ":det1:NumImages", "5").code == 0
    assert "INVALID" not in tools.run("caget", "-a", ":det1:NumImages").out


class Monitor:
    """A running camonitor and what it has said so far."""

    def __init__(self, tools, *names):
        self.lines = []
        self.process = tools.start("camonitor", "-t", "n", *names)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        self.lines += (line for line in iter(self.process.stdout.readline, ""))

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition(self.lines):
            assert time.monotonic() < end, self.lines
            time.sleep(0.02)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self._thread.join(60)
        self.process.stdout.close()


def test_camonitor_hears_both_edges(tools, rig):
    names = (":det1:Acquire_RBV", ":det1:ArrayCounter_RBV", ":MCA2:ArrayData")
    monitor = Monitor(tools, *names)
    try:
        # What has no value of its own yet, like an empty array, is heard of too.
        monitor.wait(lambda lines: len(lines) >= len(names))
        rig.ca.set(NumImages=1, AcquireTime=0.001, TriggerMode=1)
        for _ in range(3):
            assert rig.ca.put("det1:Acquire", 1)[0] == 1
        monitor.wait(lambda lines: sum("Acquire_RBV" in line and "Done" in line for line in lines) >= 4)
        monitor.wait(lambda lines: any(":MCA2:ArrayData" in line and len(line.split()) == 2 + 4096 for line in lines))
    finally:
        monitor.end()
    edges = [line.split()[1] for line in monitor.lines if "Acquire_RBV" in line]
    assert edges == ["Done"] + 3 * ["Acquiring", "Done"]


def test_what_is_not_there(tools):
    said = tools.run("caget", "-w", "0.5", ":det1:FrameAdvance")
    assert said.code != 0
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(tools.command("camonitor", ":det1:FrameAdvance"), timeout=1, capture_output=True)
