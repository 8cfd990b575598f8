"""Files of a real server whose writer, or which itself, was killed: what `xsp3ioc salvage` makes of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from system_rig import Rig, Written

from xsp3ioc.receivers.superblock import SWMR, WRITER, Superblock

EXPOSURE = 0.0005
SERIES = 120


def run(*arguments):
    """The tool, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "salvage", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def killed(directory, swmr, whole_server):
    """A file of two series, the second cut short by kill -9; returns it, what was flushed, and the settings."""
    rig = Rig(directory)
    try:
        path = rig.capture("killed", 0, HDF1__SWMRMode=int(swmr), HDF1__NumFramesFlush=16)
        rig.acquire(SERIES, EXPOSURE)
        rig.begin(1_000_000, EXPOSURE)
        deadline = time.monotonic() + 20
        while rig.ca.get("HDF1:NumCaptured_RBV") < SERIES + 300:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        refused = run(path)
        assert refused.returncode == 2, refused
        assert "still being written" in refused.stderr
        flushed = rig.ca.get("HDF1:NumCaptured_RBV")
        (writer,) = rig.server.children()
        os.kill(rig.server.process.pid if whole_server else writer, signal.SIGKILL)
        if whole_server:
            os.kill(writer, signal.SIGKILL)
        settings = rig.settings
    finally:
        for desk in rig._desks:
            desk.end()
        rig.server.stop()
    return path, flushed, settings


@pytest.fixture(scope="module", params=["off", "swmr"])
def crashed(request, tmp_path_factory):
    swmr = request.param == "swmr"
    return killed(tmp_path_factory.mktemp(request.param), swmr, whole_server=swmr), swmr


def test_killed(crashed, tmp_path):
    (path, flushed, settings), swmr = crashed
    before = Path(path).read_bytes()
    with open(path, "rb") as file:
        assert Superblock.read(file).marks == (WRITER | SWMR if swmr else 0)
    looked = run(path, "--dry-run", "--json")
    assert looked.returncode == 0, looked
    told = json.loads(looked.stdout)
    assert not told["well"]
    assert told["written"] is None
    assert told["marked_as_open"] is swmr
    saved = tmp_path / "saved.h5"
    done = run(path, "--output", saved)
    assert done.returncode == 0, done
    assert "Salvaged" in done.stdout
    assert Path(path).read_bytes() == before
    written = Written(saved)
    assert written.frames == told["frames"] >= min(flushed, SERIES + 256)
    assert all(len(values) == written.frames for values in written.columns.values())
    written.check(settings, EXPOSURE)
    assert [one["frames"] for one in told["series"]] == [SERIES, written.frames - SERIES]
    assert written.end_time.startswith(b"20")
    with h5py.File(saved) as file:
        assert len(file["/entry/instrument/mca_00/data"]) == written.frames
        assert "Salvaged after a crash" in file["/entry/salvaged/description"].asstr()[()]
    again = run(saved)
    assert again.returncode == 0
    assert "is well" in again.stdout
