"""Captures in parts: `HDF1:FramesPerPart`, `HDF1:GigabytesPerPart`, and what clients see of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import DETECTOR, Written

from xsp3ioc import check, info, plot
from xsp3ioc.receivers.check import check as check_file
from xsp3ioc.receivers.summary import summarize


@pytest.fixture(autouse=True)
def as_it_was(request):
    yield
    if "rig" in request.fixturenames:
        rig = request.getfixturevalue("rig")
        rig.ca.set(HDF1__FramesPerPart=0, HDF1__GigabytesPerPart=0, HDF1__SWMRMode=0, HDF1__FileWriteMode=2)
        rig.ca.set(HDF1__NextFreeNumber=0, HDF1__AutoSave=0, HDF1__Compression=5)


def names(path):
    """The files of a capture, by their names."""
    stem = os.path.basename(path).removesuffix(".h5")
    return sorted(name for name in os.listdir(os.path.dirname(path)) if name.startswith(stem))


def of(path, parts):
    stem = os.path.basename(path).removesuffix(".h5")
    return [f"{stem}.h5", *(f"{stem}_part{number:04}.h5" for number in range(1, parts + 1))]


def test_series_that_cross_the_ends_of_parts(rig):
    path = rig.capture("crossed", 100, HDF1__FramesPerPart=30)
    for frames in (20, 20, 60):
        assert rig.acquire(frames) == ECA_NORMAL
        assert rig.counters() == [frames, frames, frames, 0]
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:WriteStatus", "HDF1:FramesPerPart_RBV") == [100, 0, 30]
    assert rig.ca.get("HDF1:FullFileName_RBV") == path
    assert names(path) == of(path, 4)
    written = Written(path)
    np.testing.assert_array_equal(written["series_index"], np.repeat([0, 1, 2], (20, 20, 60)))
    np.testing.assert_array_equal(written["frame_in_series"], np.concatenate([np.arange(n) for n in (20, 20, 60)]))
    written.check(rig.settings, 0.001)
    with h5py.File(path) as file:
        assert len(file["/entry/instrument/mca_03/data"]) == 100
        assert len(file["/entry/instrument/NDAttributes/CHAN1SCA0"]) == 100
    for name in names(path):
        assert not [one.text for part in check_file(os.path.join(rig.files, name)).checks for one in part.findings]
    first = Written(os.path.join(rig.files, names(path)[1]))
    assert (first.frames, bool(first.end_time)) == (30, True)
    first.check(rig.settings, 0.001)


def test_in_mid_capture_complete_parts_are_there(rig):
    path = rig.capture("growing", HDF1__FramesPerPart=20, HDF1__SWMRMode=1)
    assert rig.acquire(50) == ECA_NORMAL
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:SWMRActive_RBV", "HDF1:SWMRCbCounter_RBV") == [50, 1, 50]
    assert Written(path).frames == 40
    found = check_file(path)
    assert found.state == "being written"
    assert [part.name for part in found.checks if part.findings] == ["end"]
    with h5py.File(os.path.join(rig.files, names(path)[-1]), swmr=True) as running:
        assert len(running[f"{DETECTOR}/data"]) == 10
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    assert written.frames == 50
    written.check(rig.settings, 0.001)


def test_parts_of_so_many_bytes(rig):
    path = rig.capture("large", 300, HDF1__GigabytesPerPart=0.004, HDF1__Compression=0)
    assert rig.acquire(300) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert len(names(path)) > 2
    written = Written(path)
    assert written.frames == 300
    written.check(rig.settings, 0.001)


def test_a_name_whose_parts_exist_is_taken(rig):
    path = str(rig.files / "taken_0.h5")
    with open(path.replace(".h5", "_part0001.h5"), "w") as other:
        other.write("precious")
    rig.ca.set(HDF1__FileNumber=0, HDF1__FilePath=str(rig.files), HDF1__FileName="taken")
    rig.ca.set(HDF1__FileTemplate="%s%s_%d.h5", HDF1__NumCapture=20, HDF1__FramesPerPart=10)
    assert rig.ca.put("HDF1:Capture", 1)[0] == ECA_PUTFAIL
    assert "taken_0_part0001.h5 exists already" in rig.ca.get("HDF1:WriteMessage")
    path = rig.capture("taken", 20, HDF1__NextFreeNumber=1)
    assert path.endswith("taken_1.h5")
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert Written(path).frames == 20


def test_too_many_parts_are_refused(rig):
    rig.ca.set(HDF1__FilePath=str(rig.files), HDF1__FileName="many", HDF1__NumCapture=100000, HDF1__FramesPerPart=100)
    assert rig.ca.put("HDF1:Capture", 1)[0] == ECA_PUTFAIL
    assert "FramesPerPart must be 200 or more" in rig.message()


def test_what_is_captured_is_named_with_its_parts(rig):
    rig.ca.set(HDF1__FileWriteMode=1, HDF1__FramesPerPart=10)
    rig.capture("captured", 25)
    assert rig.acquire(25) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.put("HDF1:WriteFile", 1)[0] == ECA_NORMAL
    path = rig.ca.get("HDF1:FullFileName_RBV")
    assert names(path) == of(path, 3)
    Written(path).check(rig.settings, 0.001)
    rig.capture("forgotten", 25)
    assert rig.acquire(25) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.put("HDF1:FreeCapture", 1)[0] == ECA_NORMAL
    deadline = time.monotonic() + 10
    while [name for name in os.listdir(rig.files) if name.startswith(".")]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_writer_leaves_what_was_flushed(start_rig):
    rig = start_rig()
    path = rig.capture("killed", HDF1__FramesPerPart=20)
    assert rig.acquire(50) == ECA_NORMAL
    assert rig.ca.get("HDF1:NumCaptured_RBV") == 50
    os.kill(rig.server.children()[0], signal.SIGKILL)
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert Written(path).frames == 40
    assert Written(os.path.join(rig.files, names(path)[-1])).frames == 10


def run(capsys, command, *arguments):
    """Its exit code and what it says, on one line."""
    code = command.main([str(one) for one in arguments])
    said = capsys.readouterr()
    return code, " ".join((said.out + said.err).split())


def findings(path):
    return [(part.name, one.text) for part in check_file(path).checks for one in part.findings]


def test_the_tools_on_masters_and_parts(rig, tmp_path, capsys):
    name = rig.capture("tools", 100, HDF1__FramesPerPart=30)
    for frames in (20, 20, 60):
        assert rig.acquire(frames) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    for each in names(name):
        shutil.copy(rig.files / each, tmp_path)
    master, *parts = [tmp_path / each for each in of(name, 4)]
    # Complete ones
    assert run(capsys, check, "-q", master) == (
        0, f"{master}: complete, 100 SIMULATED frames; a master of 4 parts"
    )  # fmt: skip
    code, said = run(capsys, check, "-q", *parts)
    assert code == 0
    assert f"{parts[0]}: complete, 30 SIMULATED frames; part 1 of {master.name}" in said
    assert f"{parts[3]}: complete, 10 SIMULATED frames; part 4 of {master.name}" in said
    assert [findings(path) for path in (master, *parts)] == [[]] * 5
    size = sum(path.stat().st_size for path in (master, *parts))
    code, said = run(capsys, info, master)
    assert code == 0
    assert "a master of 4 parts" in said
    assert f"parts in 4 files; {size / 1e6:,.1f} MB" in said
    code, said = run(capsys, info, parts[1])
    assert code == 0
    assert f"part 2 of {master.name}: frames 30..59 of the capture" in said
    counts = summarize(master).spectra.sum(axis=1)
    for paths in ([master], parts):
        drawn = [curves(capsys, path) for path in paths]
        np.testing.assert_array_equal(np.sum(drawn, axis=0), counts)
    done = tool("replay", "--check", master)
    assert done.returncode == 0, done
    # One is gone
    parts[1].unlink()
    code, said = run(capsys, check, "-q", master)
    assert code == 1
    assert said.startswith(f"{master}: INCOMPLETE, 70 valid SIMULATED frames, 30 lost")
    assert f"{parts[1].name} (frames 30..59) is not there" in said
    assert findings(master)[0][0] == "parts"
    assert f"NOT THERE: {parts[1].name} (frames 30..59)" in run(capsys, info, master)[1]
    code, said = run(capsys, plot, master, "--overwrite")
    assert code == 0
    assert f"not in the picture, as they are not there: {parts[1].name} (frames 30..59)" in said
    done = tool("replay", "--check", master)
    assert done.returncode == 2
    assert f"{parts[1].name} (frames 30..59)" in done.stderr


def curves(capsys, path):
    """Counts of each channel in a picture."""
    assert plot.main([str(path), "--json"]) == 0
    return [one["counts"] for one in json.loads(capsys.readouterr().out)["curves"]]


def tool(command, *arguments):
    """A command on files, in a process of its own."""
    words = [sys.executable, "-m", "xsp3ioc", command, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("swmr", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_capture_whose_server_was_killed_gets_a_whole_master(start_rig, swmr):
    rig = start_rig()
    path = rig.capture("salvaged", HDF1__FramesPerPart=300, HDF1__SWMRMode=swmr)
    assert rig.acquire(30) == ECA_NORMAL
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 650)
    refused = tool("salvage", path)
    assert refused.returncode == 2
    assert "still being written" in refused.stderr
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    (writer,) = rig.server.children()
    os.kill(rig.server.process.pid, signal.SIGKILL)
    os.kill(writer, signal.SIGKILL)
    for desk in rig._desks:
        desk.end()
    rig.server.stop()
    before = Written(path).frames
    assert tool("check", "-q", path).returncode == 1
    done = tool("salvage", path, "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["frames"] >= captured
    assert [one["frames"] for one in told["parts"][:-1]] == [300] * (len(told["parts"]) - 1)
    assert told["frames_gone"] == 0
    assert len(told["left_out"]) <= 1, "one that had just been begun"
    assert Written(path).frames == before, "the old one is as it was"
    written = Written(told["written"])
    assert written.frames == told["frames"]
    written.check(rig.settings, 0.001)
    np.testing.assert_array_equal(written["series_index"], np.arange(written.frames) >= 30)
    checked = tool("check", told["written"])
    assert checked.returncode == 0, checked.stdout
    assert tool("salvage", path, "--in-place").returncode == 0
    assert Written(path).frames == told["frames"]
    assert "is well" in tool("salvage", path).stdout
