"""Masters of parts made anew: after kill -9, without parts or without the old master, with files that are none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import capture, end, frames, header

from xsp3ioc.receivers.check import check
from xsp3ioc.receivers.layout import SALVAGED
from xsp3ioc.receivers.parts import open_file
from xsp3ioc.receivers.remaster import examine_parts, salvage_parts, shows_parts
from xsp3ioc.receivers.salvage import BusyError, examine
from xsp3ioc.receivers.survey import NothingLeftError
from xsp3ioc.stream.messages import FrameStatus, part_name

DETECTOR = "/entry/instrument/xspress3"
PART, FRAMES = 20, 70
SERIES = (30, 40)


def write(path, close=True, **changes):
    """A capture of two series in parts: three complete ones, and one that may be left open."""
    file = open_file(capture(path, **{"part_frames": PART, "chunk_frames": 4, **changes}), str(path))
    for number, length in enumerate(SERIES, 1):
        file.begin(header(number))
        for first in range(0, length, 10):
            file.write(frames(first, 10, number))
        if close or number < len(SERIES):
            file.end_series(end(length, number))
    file.flush()
    if close:
        file.close()
    return file


CRASH = """
import os, sys
sys.path[:0] = {paths}
from test_receivers_remaster import write
write(sys.argv[1], close=False, swmr={swmr})
os.kill(os.getpid(), 9)
"""


def killed(path, swmr=False):
    code = CRASH.format(paths=[os.path.dirname(__file__)], swmr=swmr)
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    path = tmp_path_factory.mktemp("crashed") / "x.h5"
    killed(path)
    return path.parent


@pytest.fixture
def path(crashed, tmp_path):
    """The master of a capture whose writer was killed."""
    shutil.copytree(crashed, tmp_path / "files")
    return tmp_path / "files" / "x.h5"


def copy(path):
    return path.with_name(f"{path.stem}_salvaged.h5")


def part(path, number):
    return Path(part_name(str(path), number))


def spectra():
    return np.concatenate([frames(0, length, number).mca for number, length in enumerate(SERIES, 1)])


def assert_whole(path):
    """The master shows all frames, as one that was closed does."""
    with h5py.File(path) as master:
        detector = master[DETECTOR]
        np.testing.assert_array_equal(detector["data"], spectra())
        np.testing.assert_array_equal(detector["frame_number"], np.arange(FRAMES))
        np.testing.assert_array_equal(detector["series_index"], np.repeat([0, 1], SERIES))
        table = detector["series"]
        assert table["frames"][()].tolist() == table["acquired"][()].tolist() == [20, 10, 10, 20, 10]
        assert [reason == b"crash" for reason in table["end_reason"]] == [False, False, False, False, True]
        assert master["/entry/end_time"][()].startswith(b"20")
        assert master[f"{SALVAGED}/frames_kept"][()] == FRAMES
    assert not [one for one in check(path).checks if one.name in ("end", "lengths", "numbers", "series", "names")
                for found in one.findings if found.severity == "error"]  # fmt: skip


def contents(directory):
    return {name: (directory / name).read_bytes() for name in os.listdir(directory)}


@pytest.mark.parametrize("swmr", [False, True], ids=["off", "swmr"])
def test_killed(tmp_path, swmr):
    path = tmp_path / "x.h5"
    killed(path, swmr)
    before = contents(tmp_path)
    assert shows_parts(path)
    found = examine_parts(path)
    assert not found.well
    assert [one.shown.frames for one in found.parts] == [20, 20, 20, 10]
    assert [one.finding is not None for one in found.parts] == [False, False, False, True]
    assert contents(tmp_path) == before
    salvage_parts(found, copy(path), copy, "test")
    after = contents(tmp_path)
    assert after.keys() - before.keys() == {"x_salvaged.h5", "x_part0004_salvaged.h5"}
    assert {name: after[name] for name in before} == before
    assert_whole(copy(path))
    found = examine_parts(path)
    salvage_parts(found, path, None, "test")
    assert contents(tmp_path).keys() == after.keys()
    assert_whole(path)
    for name in (path, copy(path)):
        assert examine_parts(name).well


def test_a_part_alone(path):
    """A part whose frames and series do not begin at 0."""
    found = examine(part(path, 4))
    assert found.survey.frames == 10
    assert [(one.index, one.frames, one.last) for one in found.survey.series] == [(1, 10, 39)]
    assert not shows_parts(part(path, 4))


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 1000)], ids=["gone", "cut off"])
def test_without_the_old_master(path, damage):
    damage(path)
    assert shows_parts(path)
    found = examine_parts(path)
    salvage_parts(found, path, None, "test")
    assert_whole(path)


@pytest.mark.parametrize("master", [True, False], ids=["master", "no master"])
def test_a_part_that_is_gone_keeps_its_place(path, master):
    lost = part(path, 2).rename(path.with_name("elsewhere.h5"))
    if not master:
        path.unlink()
    found = examine_parts(path)
    assert found.gone == ["x_part0002.h5"]
    salvage_parts(found, path, None, "test")
    with h5py.File(path) as file:
        status = file[DETECTOR]["frame_status"][()]
        np.testing.assert_array_equal(status == FrameStatus.missing, np.arange(FRAMES) // PART == 1)
        np.testing.assert_array_equal(file[DETECTOR]["data"][40:], spectra()[40:])
    lost.rename(part(path, 2))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[DETECTOR]["data"], spectra())
    assert examine_parts(path).gone == []


def test_what_is_no_part_is_left_out(path, tmp_path):
    other = tmp_path / "other.h5"
    write(other)
    shutil.copy(part(other, 4), part(path, 6))
    part(path, 5).write_text("text")
    found = examine_parts(path)
    assert list(found.left_out) == ["x_part0005.h5", "x_part0006.h5"]
    assert "begins with frame 60, and not with 70" in found.left_out["x_part0006.h5"]
    salvage_parts(found, path, None, "test")
    assert_whole(path)


def test_a_complete_one_is_well(tmp_path):
    path = tmp_path / "x.h5"
    write(path)
    before = contents(tmp_path)
    assert examine_parts(path).well
    part(path, 3).unlink()
    found = examine_parts(path)
    assert found.gone == ["x_part0003.h5"]
    assert found.well
    assert contents(tmp_path).keys() == before.keys() - {"x_part0003.h5"}


def test_nothing_is_done_to_what_is_written(tmp_path):
    path = tmp_path / "x.h5"
    file = write(path, close=False)
    try:
        with pytest.raises(BusyError, match="x_part0004"):
            examine_parts(path)
    finally:
        file.close()
    assert examine_parts(path).well


def test_where_it_cannot_be_made(path, tmp_path):
    before = contents(path.parent)
    with pytest.raises(OSError, match="beside its parts"):
        salvage_parts(examine_parts(path), tmp_path / "x.h5", copy, "test")
    copy(path).write_text("mine")
    with pytest.raises(FileExistsError):
        salvage_parts(examine_parts(path), copy(path), copy, "test")
    copy(path).unlink()
    assert contents(path.parent) == before
    for number in range(1, 5):
        part(path, number).unlink()
    with pytest.raises(NothingLeftError):
        examine_parts(path)
