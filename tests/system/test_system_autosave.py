"""Settings outlive the server, whatever ends it; what is damaged, foreign or refused is said and left out."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

PREFIX = "XF:05IDD-ES{Xsp:7}"  # no colon at its end
MINOR, MAJOR = 1, 2
OFF, ON, FAILED = range(3)


@pytest.fixture
def start(start_rig):
    def start(*arguments, **tables):
        return start_rig(*arguments, **(tables | {"server": {"prefix": PREFIX} | tables.get("server", {})}))

    return start


def saved(rig):
    return rig.server.state / f"{PREFIX}.emulated.toml"


def lines(rig):
    """The settings in its file: name -> text."""
    path = saved(rig)
    return dict(re.findall(r'^"(.+)" = (.*)$', path.read_text(), re.MULTILINE)) if path.exists() else {}


def wait_for_file(rig, name, text, seconds=20):
    deadline = time.monotonic() + seconds
    while lines(rig).get(name) != text:
        assert time.monotonic() < deadline, (name, text, lines(rig))
        time.sleep(0.05)


def status(rig):
    return rig.ca.get("det1:AutosaveStatus_RBV"), rig.ca.get("det1:AutosaveMessage_RBV")


SETTINGS = {
    "det1:NumImages": (123, "123"),
    "det1:AcquireTime": (0.0125, "0.0125"),
    "det1:TriggerMode": (3, '"TTL Veto Only"'),
    "det1:ImageMode": (2, '"Continuous"'),
    "det1:EraseOnStart": (0, '"No"'),
    "det1:LogLevel": (2, '"Warning"'),
    "C3:EnergyOffset": (-12.5, "-12.5"),
    "C1:EnergySlope": (9.875, "9.875"),
    "HDF1:FileName": ('a "b"', '"a \\"b\\""'),
    "HDF1:NumCapture": (16000, "16000"),
    "HDF1:FramesPerPart": (1000, "1000"),
    "HDF1:GigabytesPerPart": (1.5, "1.5"),
    "MCA1ROI:1:Name": ("Fe Ka", '"Fe Ka"'),
    "MCA4ROI:48:MinX": (640, "640"),
    "MCA4ROI:48:SizeX": (20, "20"),
    "MCA4ROI:48:Use": (0, '"No"'),
    # Of these the detector knows nothing.
    "Proc1:NumFilter": (8, "8"),
    "Proc1:FilterType": (4, '"RecursiveAveDiff"'),
    "HDF1:Compression": (0, '"None"'),
}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_has_the_settings_of_before(start, signum):
    rig = start()
    ca = rig.ca
    for name, (value, _) in SETTINGS.items():
        assert ca.put(name, value)[0] == 1, name
    ca.set(HDF1__FilePath=str(rig.files))
    ca.begin("HDF1:Capture", 1, "capture")
    ca.wait_for("HDF1:Capture_RBV", 1)
    ca.begin("det1:Acquire", 1, "acquire")
    ca.wait_for("det1:Acquire_RBV", 1)
    if signum == signal.SIGKILL:
        # A few seconds after the change they are on the disk, whatever happens then.
        wait_for_file(rig, "HDF1:Compression", '"None"')
    rig.server.stop(signum)
    assert {name: lines(rig).get(name) for name in SETTINGS if name != "HDF1:NumCapture"} == {
        name: text for name, (_, text) in SETTINGS.items() if name != "HDF1:NumCapture"
    }
    rig = start()
    for name, (value, _) in SETTINGS.items():
        assert rig.ca.get(name) == value, name
    assert rig.ca.get("HDF1:FilePath") == f"{rig.files}/"
    # Nothing has been started by it.
    assert rig.ca.gets("det1:Acquire_RBV", "HDF1:Capture_RBV", "det1:DetectorState_RBV") == [0, 0, 0]
    state, message = status(rig)
    assert state == ON
    assert re.fullmatch(r"Restored \d+ settings of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", message)
    assert rig.ca.read("det1:AutosaveMessage_RBV").severity == 0


def test_what_nobody_has_changed_follows_the_configuration(start):
    rig = start(parameters={"frames": 5, "exposure_time": 0.5, "debounce": 3})
    rig.ca.set(NumImages=7, DEBOUNCE=9)
    # Back to what is configured: not a setting of its own any more.
    rig.ca.set(DEBOUNCE=3)
    rig.server.stop()
    assert lines(rig)["det1:NumImages"] == "7"
    assert not {"det1:AcquireTime", "det1:DEBOUNCE"} & lines(rig).keys()
    rig = start(parameters={"frames": 5, "exposure_time": 0.75, "debounce": 4})
    assert rig.ca.gets("det1:NumImages", "det1:AcquireTime", "det1:DEBOUNCE") == [7, 0.75, 4]


def test_rois_are_configured_and_then_changed(start):
    configured = {"roi_name": [["Fe Ka", "Cu Ka"], ["Fe Ka"], [], []], "roi_size_x": 12}
    names = ("MCA1ROI:1:Name", "MCA1ROI:2:Name", "MCA2ROI:1:Name", "MCA2ROI:2:Name", "MCA4ROI:48:SizeX")
    rig = start(parameters=configured)
    assert rig.ca.gets(*names) == ["Fe Ka", "Cu Ka", "Fe Ka", "", 12]
    rig.ca.set(MCA1ROI__2__Name="Zn Ka", MCA2ROI__2__Name="Cu Kb")
    rig.server.stop()
    assert {name: text for name, text in lines(rig).items() if "ROI" in name} == {
        "MCA1ROI:2:Name": '"Zn Ka"', "MCA2ROI:2:Name": '"Cu Kb"',
    }  # fmt: skip
    rig = start(parameters=configured | {"roi_name": "Pb La"})
    assert rig.ca.gets(*names) == ["Pb La", "Zn Ka", "Pb La", "Cu Kb", 12]


def test_the_calibration_wins_unless_told_otherwise(start):
    rig = start(parameters={"good_threshold": [10, 20, 30, 40]})
    rig.ca.wait_for("det1:C4_SCA4_THRESHOLD", 40)
    calibrated = rig.ca.gets("det1:C2_SCA5_LLM", "det1:C2_SCA5_HLM", "C2:EventWidth", "det1:C1_SCA5_HLM")
    rig.ca.set(C2_SCA5_HLM=900, C2_SCA5_LLM=800, C3_SCA4_THRESHOLD=33, C2__EventWidth=8)
    rig.server.stop()
    assert {name for name in lines(rig) if "SCA4" in name} == {"det1:C3_SCA4_THRESHOLD"}

    rig = start()
    assert rig.ca.gets("det1:C2_SCA5_LLM", "det1:C2_SCA5_HLM", "C2:EventWidth", "det1:C1_SCA5_HLM") == calibrated
    assert rig.ca.get("det1:C3_SCA4_THRESHOLD") != 33
    rig.server.stop()

    rig = start(autosave={"restore_calibration": True})
    rig.ca.wait_for("det1:C3_SCA4_THRESHOLD", 33)
    names = ("det1:C2_SCA5_LLM", "det1:C2_SCA5_HLM", "C2:EventWidth", "det1:C1_SCA5_HLM")
    assert rig.ca.gets(*names) == [800, 900, 8, calibrated[3]]
    rig.server.wait_for_log(f"C2_SCA5_HLM: {calibrated[1]} of the calibration is replaced by 900")
    assert "C1_SCA5_HLM: " not in rig.server.log.read_text()
    # The next CONNECT has the latest, not those of the start.
    rig.ca.set(C2_SCA5_HLM=950)
    rig.ca.set(CONNECT=1)
    assert rig.ca.gets(*names) == [800, 950, 8, calibrated[3]]


def cut(path):
    """At the end of a line: all that is left is good TOML."""
    text = path.read_text()
    path.write_text(text[: text.index('"det1:NumImages"')])


def test_a_bad_file_is_put_aside_and_the_newest_good_copy_taken(start):
    for frames in (11, 12, 13):
        rig = start()
        rig.ca.set(NumImages=frames)
        assert rig.server.stop() == 0
    path = saved(rig)
    cut(path)
    (path.parent / f"{path.name}.1").write_text("damaged too")
    rig = start()
    state, message = status(rig)
    assert state == ON
    assert message.startswith(f"{path.name} is ignored: its end is missing; so is .1; restored .2 of 20"), message
    assert rig.ca.read("det1:AutosaveMessage_RBV").severity == MINOR
    assert rig.ca.get("det1:NumImages") == 11
    assert (path.parent / f"{path.name}.bad").exists()
    rig.ca.set(NumImages=14)
    assert rig.server.stop() == 0
    assert start().ca.get("det1:NumImages") == 14


def test_when_no_copy_is_good_it_starts_as_configured(start):
    rig = start(parameters={"frames": 21})
    rig.ca.set(NumImages=22)
    rig.server.stop()
    cut(saved(rig))
    rig = start(parameters={"frames": 21})
    assert rig.ca.get("det1:NumImages") == 21
    assert status(rig)[0] == ON
    assert rig.ca.read("det1:AutosaveMessage_RBV").severity == MAJOR
    assert rig.acquire(3) == 1


def test_a_file_that_was_removed_by_hand_is_a_new_beginning(start):
    for frames in (11, 12):
        rig = start()
        rig.ca.set(NumImages=frames)
        rig.server.stop()
    saved(rig).unlink()
    rig = start()
    assert rig.ca.get("det1:NumImages") == 16000
    assert status(rig) == (ON, f"Nothing was saved before in {saved(rig)}")


def test_what_is_unknown_or_refused_is_left_out(start):
    rig = start()
    rig.ca.set(NumImages=31)
    rig.server.stop()
    path = saved(rig)
    wrong = '"det1:NoSuch" = 1\n"det1:AcquireTime" = -3.0\n"C9:EnergyOffset" = 1.0\n"det1:ImageMode" = "Sometimes"\n'
    path.write_text(path.read_text().replace('"det1:NumImages"', f'{wrong}"det1:Acquire" = 1\n"det1:NumImages"'))
    rig = start()
    names = ("det1:NumImages", "det1:AcquireTime", "det1:ImageMode", "det1:Acquire_RBV")
    assert rig.ca.gets(*names) == [31, 0.25, 1, 0]
    state, message = status(rig)
    assert state == ON
    assert "5 could not be" in message
    log = rig.server.log.read_text()
    for name in ("det1:NoSuch is", "C9:EnergyOffset is", "det1:Acquire is", "AcquireTime = -3", "'Sometimes' is none"):
        assert name in log


def test_a_full_disk_is_said_and_stops_nothing(start):
    rig = start()
    rig.ca.set(NumImages=41)
    wait_for_file(rig, "det1:NumImages", "41")
    names = "det1:AutosaveStatus_RBV", "det1:AutosaveMessage_RBV", "det1:StatusMessage_RBV"
    rig.ca.monitor(*names)
    # The disk of this file is always full.
    saved(rig).with_suffix(".new").symlink_to("/dev/full")
    rig.ca.set(NumImages=42)
    rig.ca.wait_for("det1:AutosaveStatus_RBV", FAILED)
    assert lines(rig)["det1:NumImages"] == "41"
    # It tries again; meanwhile all else goes on.
    assert rig.acquire(3) == 1
    rig.ca.wait_for("det1:AutosaveStatus_RBV", ON)
    assert rig.ca.read("det1:AutosaveMessage_RBV").severity == 0
    wait_for_file(rig, "det1:NumImages", "3")
    states, *messages = (rig.ca.seen(name) for name in names)
    assert (FAILED, MAJOR) in {(reading.value, reading.severity) for reading in states}
    text = f"Settings cannot be saved in {saved(rig)}: No space left on device"
    for readings in messages:
        said = {(bytes(reading.value).split(b"\0")[0].decode(), reading.severity) for reading in readings}
        assert (text, MAJOR) in said


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_in_the_middle_of_a_save(start, signum):
    rig = start()
    rig.ca.set(NumImages=51)
    wait_for_file(rig, "det1:NumImages", "51")
    # Opening this file takes as long as nobody reads it: the server is in the middle of saving.
    new = saved(rig).with_suffix(".new")
    os.mkfifo(new)
    rig.ca.set(NumImages=52)
    time.sleep(4)
    # Which holds nobody.
    assert rig.acquire(2) == 1
    assert rig.server.stop(signum) == (0 if signum == signal.SIGTERM else -signal.SIGKILL)
    assert lines(rig)["det1:NumImages"] == "51"
    new.unlink()
    new.write_text("half a fi")
    rig = start()
    assert rig.ca.get("det1:NumImages") == 51
    assert status(rig)[1].startswith("Restored")


def test_a_directory_that_cannot_be(start, tmp_path):
    (tmp_path / "file").write_text("")
    rig = start("--autosave", str(tmp_path / "file" / "state"))
    state, message = status(rig)
    assert state == FAILED
    assert "Not a directory" in message
    assert rig.acquire(2) == 1


def test_a_second_server_of_that_name_does_not_touch_them(start):
    first = start()
    first.ca.set(NumImages=61)
    wait_for_file(first, "det1:NumImages", "61")
    second = start()
    # Its own log: they have the same name.
    (line,) = (line for line in second.server.log.read_text().splitlines() if "another server" in line)
    assert str(saved(first)) in line
    assert second.server.stop() == 0
    assert first.server.stop() == 0
    assert lines(first)["det1:NumImages"] == "61"


def test_no_autosave(start):
    rig = start("--no-autosave")
    assert status(rig)[0] == OFF
    rig.ca.set(NumImages=71)
    assert rig.server.stop() == 0
    assert not rig.server.state.exists()
