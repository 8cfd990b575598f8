"""Files as a real server leaves them, and one process per module for the reader that opens them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from readers_session import CHANNELS, EXPOSURE, OFFSET, SERIES, SLOPE, Session, Taken
from system_desk import Desk
from system_rig import CLOCK, Rig

from xsp3ioc.sdk import expected_frames
from xsp3ioc.stream.formulas import dead_time_factors

ECA_NORMAL = 1
CALIBRATION = {"energy_offset": OFFSET, "energy_slope": SLOPE}
SETTINGS = {
    "plain": {},
    "gzip": {"HDF1__Compression": "zlib"},
    "corrected": {"CTRL_DTC": 1},
    "swmr": {"HDF1__SWMRMode": 1},
}
BACK = {"HDF1__Compression": "BSLZ4", "CTRL_DTC": 0, "HDF1__SWMRMode": 0}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """By kind; each has the series of SERIES. `remote` is what xsp3-write makes of `plain`, `empty` has no series."""
    rig = Rig(tmp_path_factory.mktemp("readers"), parameters=CALIBRATION)
    root, saved = rig.directory / "remote", rig.directory / "saved"
    root.mkdir()
    saved.mkdir()
    writer = None
    try:
        # What the library writes is kept in the files.
        rig.ca.set(CONFIG_SAVE_PATH=str(saved), SAVE_SETTINGS=1)
        remote = _start_writer(rig, root)
        writer = remote
        taken = {"plain": _take(rig, "plain")}
        line = remote.stdout.readline()
        taken["remote"] = taken["plain"]._replace(path=line.partition(": ")[0])
        _end(remote)
        for kind in ("gzip", "corrected", "swmr"):
            taken[kind] = _take(rig, kind)
        path = rig.capture("empty")
        rig.ca.set(HDF1__Capture=0)
        assert rig.ca.put_status("capture") == ECA_NORMAL
        taken["empty"] = taken["plain"]._replace(path=path)
    finally:
        if writer is not None:
            _end(writer)
        code = rig.end()
    assert code == 0
    return taken


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The reader's process: what it writes for its user goes to a home of its own."""
    home = str(tmp_path_factory.mktemp("home"))
    places = {"HOME": home, "MPLCONFIGDIR": home, "MPLBACKEND": "agg"}
    desk = Desk(Session, environment=os.environ | places)
    yield desk
    desk.end()


def _take(rig, kind):
    rig.ca.set(**SETTINGS[kind])
    frames = sum(SERIES)
    path = rig.capture(kind, frames)
    for count in SERIES:
        assert rig.acquire(count, EXPOSURE) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(**{name: BACK[name] for name in SETTINGS[kind]})
    mca, scalers = expected_frames(rig.settings, round(EXPOSURE / CLOCK), 0, max(SERIES))
    rows = [number for count in SERIES for number in range(count)]
    mca, scalers = mca[rows], scalers[rows]
    factors = dead_time_factors(scalers, [6.0] * CHANNELS)
    data = mca * factors[..., None] if kind == "corrected" else mca
    return Taken(path, data, scalers, factors)


def _start_writer(rig, root):
    command = [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect", rig.server.data, "--root", str(root)]
    before = rig.ca.get("det1:Subscribers")
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    rig.ca.wait_for("det1:Subscribers", before + 1)
    return writer


def _end(writer):
    if writer.poll() is None:
        writer.terminate()
        writer.wait(60)
        writer.stdout.close()
