"""A real server's file through the emulator and another whole server: the same spectra and scalers come out."""

import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from system_rig import DETECTOR, Rig, Written

CLOCK = 12.5e-9
FIRST, SECOND = 150, 60
FRAMES = FIRST + SECOND
SETTINGS = {
    "good_threshold": [60, 70, 80],
    "window1_low": [100, 110, 120],
    "window1_high": [300, 310, 320],
    "energy_slope": [10.0, 10.5, 11.0],
    "event_width": [3, 6, 9],
}


def run(*arguments):
    """The tool, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "replay", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A file of two series of different exposures."""
    emulator = {"count_rate": [1e5, 5e5, 1e6], "event_width": [3, 6, 9]}
    rig = Rig(
        tmp_path_factory.mktemp("recorded"), detector={"emulate": True, "channels": 3}, emulator=emulator,
        parameters=SETTINGS,
    )  # fmt: skip
    path = rig.capture("recorded")
    rig.acquire(FIRST, 0.002)
    rig.acquire(SECOND, 0.001)
    rig.ca.begin("HDF1:Capture", 0, "over")
    rig.ca.wait_for("HDF1:Capture_RBV", 0)
    assert rig.end() == 0
    written = Written(path)
    assert written.frames == FRAMES
    return written


def content(written):
    return written.mca(0, written.frames), written.scalers(0, written.frames)


def test_check_and_write(recorded, tmp_path):
    """Everything once through a server, as fast as it is read."""
    done = run(recorded.path, "--write", tmp_path, "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["same"] is True
    assert told["frames"] == FRAMES
    again = Written(told["written"])
    for one, other in zip(content(again), content(recorded), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again["dead_time_correction"], recorded["dead_time_correction"])
    with h5py.File(again.path) as new, h5py.File(recorded.path) as old:
        assert new[f"{DETECTOR}/simulated"][()]
        assert b"replay of recorded_0.h5" in new[f"{DETECTOR}/config/library"][()]
        np.testing.assert_array_equal(new[f"{DETECTOR}/energy"][()], old[f"{DETECTOR}/energy"][()])
        for name in ("windows", "good_thresholds", "event_widths", "clock_period", "exposure"):
            np.testing.assert_array_equal(new[f"{DETECTOR}/config/{name}"][()], old[f"{DETECTOR}/config/{name}"][()])


@pytest.fixture(scope="module")
def rig(recorded, tmp_path_factory):
    """A server that replays, in real time."""
    directory = tmp_path_factory.mktemp("replaying")
    rig = Rig(directory, "--replay", recorded.path, detector={"channels": 3})
    yield rig
    assert rig.end() == 0


def test_server_at_its_own_pace(recorded, rig):
    """Frame n of each series is frame n of the file; after the last one comes the first one again."""
    assert rig.ca.get("det1:NumImages_RBV") == FRAMES
    assert rig.ca.get("det1:AcquireTime_RBV") == pytest.approx(0.002)
    path = rig.capture("replayed")
    frames = FRAMES + 20
    began = time.monotonic()
    rig.acquire(frames, 0.0001)  # whatever is asked for, frames last as long as they did
    assert time.monotonic() - began > FIRST * 0.002 + SECOND * 0.001
    rig.acquire(10, 0.002)
    rig.ca.begin("HDF1:Capture", 0, "over")
    rig.ca.wait_for("HDF1:Capture_RBV", 0)
    written = Written(path)
    order = [*range(FRAMES), *range(20), *range(10)]
    for one, other in zip(content(written), content(recorded), strict=True):
        np.testing.assert_array_equal(one, other[order])


def test_from_the_configuration_file(recorded, start_server):
    """The file says how many channels there are; its own words win."""
    server = start_server(
        emulator={"replay": recorded.path, "replay_end": "stop", "pace": "reader"}, parameters={"energy_slope": 12.0}
    )
    assert "3 channels" in server.banner


def foreign(path, recorded, layout):
    """The same frames in somebody else's layout."""
    mca, scalers = content(recorded)
    with h5py.File(path, "w") as file:
        if layout == "xspress3-streamer":
            group = file.create_group("/entry/instrument/xspress3")
            group["data"] = mca
            for name, scaler in (("clock_ticks", 0), ("reset_ticks", 1), ("all_events", 3), ("all_good", 4)):
                group[name] = scalers[..., scaler]
            group["total_ticks"] = scalers[..., 8]
            group["event_width"] = np.full(scalers.shape[:2], 6, "i4")
            return [0, 1, 3, 4, 8]
        file["/entry/instrument/detector/data"] = mca
        attributes = file.create_group("/entry/instrument/NDAttributes")
        for channel in range(3):
            for number in range(8):
                attributes[f"CHAN{channel + 1}SCA{number}"] = scalers[:, channel, number].astype(float)
        return list(range(9))


@pytest.mark.parametrize("layout", ["xspress3-streamer", "areaDetector"])
def test_layouts(recorded, tmp_path, layout):
    path = tmp_path / "foreign.h5"
    scalers = foreign(path, recorded, layout)
    done = run(path, "--write", tmp_path, "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    again = Written(told["written"])
    np.testing.assert_array_equal(content(again)[0], content(recorded)[0])
    np.testing.assert_array_equal(content(again)[1][..., scalers], content(recorded)[1][..., scalers])
    assert told["notes"]


def test_refusals(tmp_path):
    for name, make in {
        "nothing.h5": lambda path: None,
        "text.h5": lambda path: path.write_text("text"),
        "other.h5": lambda path: h5py.File(path, "w").close(),
    }.items():
        path = Path(tmp_path / name)
        make(path)
        for arguments in ((), ("--check",)):
            done = run(path, *arguments)
            assert done.returncode == 2, done
            assert name in done.stderr
            assert "Traceback" not in done.stderr
