"""Files cut off, marked as open, with holes and damaged chunks: what is kept of them, and that nothing else changes."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from receivers_feed import BINS, CHANNELS, capture, end, frames, header

from xsp3ioc.receivers.layout import SALVAGED
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.rows_left import Span
from xsp3ioc.receivers.salvage import BusyError, examine, salvage
from xsp3ioc.receivers.superblock import Mended, NotHdf5Error, Superblock, _checksum, mend
from xsp3ioc.receivers.survey import NothingLeftError, NotOursError

DETECTOR = "/entry/instrument/xspress3"
FRAMES = 4000
"""So many that the columns have several chunks."""


def write(path, close=True, missing=False, **changes):
    """A file of two series; `missing` leaves a hole in the second one."""
    file = NexusFile(capture(path, **{"chunk_frames": 16, **changes}), str(path))
    file.begin(header(1, parameters={"frames": FRAMES}))
    file.write(frames(0, 1000))
    file.end_series(end(1000))
    file.begin(header(2))
    for first in range(0, FRAMES - 1000, 200):
        if not missing or first != 1000:
            file.write(frames(first, 200, 2))
        file.flush()
    if close:
        file.end_series(end(FRAMES - 1000, 2))
        file.close()
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    write(path)
    return path


def columns(path):
    with h5py.File(path) as file:
        detector = file[DETECTOR]
        return {
            name: item[()]
            for name, item in detector.items()
            if isinstance(item, h5py.Dataset) and item.maxshape[:1] == (None,)
        }


def saved(path, tmp_path):
    finding = examine(path)
    target = tmp_path / "saved.h5"
    salvage(finding, target, "test")
    return finding, target


def test_well(whole):
    before = whole.read_bytes()
    finding = examine(whole)
    assert finding.well
    assert finding.done == []
    assert finding.survey.frames == FRAMES
    assert [(one.frames, one.last) for one in finding.survey.series] == [(1000, 999), (3000, 2999)]
    assert finding.survey.asked == FRAMES
    assert whole.read_bytes() == before


def test_a_part_counts_on(tmp_path):
    """A part that was killed: its frames and series have the numbers of the capture."""
    path, left = tmp_path / "part0002.h5", tmp_path / "left.h5"
    file = NexusFile(capture(path, chunk_frames=16), str(path), 5000, 2)
    file.begin(header(1), 500)
    file.write(frames(500, 1000))
    file.end_series(end(1500))
    file.begin(header(2))
    file.write(frames(0, 300, 2))
    file.flush()
    shutil.copyfile(path, left)
    os.utime(left, (0, 0))
    file.close()
    finding, target = saved(left, tmp_path)
    assert [(one.index, one.frames, one.last) for one in finding.survey.series] == [(2, 1000, 1499), (3, 300, 299)]
    kept, full = columns(target), columns(path)
    for name, values in kept.items():
        np.testing.assert_array_equal(values, full[name], err_msg=name)
    with h5py.File(target) as opened:
        table = opened[f"{DETECTOR}/series"]
        assert table["frames"][:].tolist() == [1000, 300]
        assert table["end_reason"][:].tolist() == [b"complete", b"crash"]
    assert examine(target).well


def test_hole_of_missing_frames_is_well(tmp_path):
    path = tmp_path / "missing.h5"
    write(path, missing=True)
    finding = examine(path)
    assert finding.well
    assert sum(one.missing for one in finding.survey.series) == 200


@pytest.mark.parametrize("share", [0.95, 0.8, 0.6, 0.4, 0.2])
def test_cut_off(whole, tmp_path, share):
    """Every frame that is kept is the one that was written; what is kept grows with what there is."""
    path = tmp_path / "cut.h5"
    shutil.copyfile(whole, path)
    os.truncate(path, int(share * whole.stat().st_size))
    with pytest.raises(OSError, match="truncated"):
        h5py.File(path)
    before = path.read_bytes()
    try:
        finding, target = saved(path, tmp_path)
    except NothingLeftError:
        assert share < 0.5
        return
    assert path.read_bytes() == before
    assert finding.cut == whole.stat().st_size - len(before)
    kept, full = columns(target), columns(whole)
    count = finding.survey.frames
    assert (share - 0.3) * FRAMES < count < FRAMES
    valid = kept["frame_status"] == 0
    damaged = {int(i) for spans in finding.survey.damaged.values() for s in spans for i in range(s[0], s[1] + 1)}
    assert set(np.flatnonzero(~valid).tolist()) == damaged
    for name, values in kept.items():
        assert len(values) == count, name
        np.testing.assert_array_equal(values[valid], full[name][:count][valid], err_msg=name)
    assert examine(target).well


def test_in_place(whole, tmp_path):
    path = tmp_path / "here.h5"
    shutil.copyfile(whole, path)
    os.truncate(path, int(0.9 * whole.stat().st_size))
    finding = examine(path)
    salvage(finding, path, "test")
    assert examine(path).well
    assert os.listdir(tmp_path) == ["here.h5"]
    with h5py.File(path) as file:
        assert file[SALVAGED].attrs["NX_class"] == "NXnote"
        assert file[f"{SALVAGED}/frames_kept"][()] == finding.survey.frames
        assert file[f"{SALVAGED}/author"].asstr()[()] == "test"


def test_damaged_in_the_middle(whole, tmp_path):
    """Frames that cannot be read keep their places, and are marked."""
    path = tmp_path / "damaged.h5"
    shutil.copyfile(whole, path)
    with h5py.File(path) as file:
        info = file[f"{DETECTOR}/data"].id.get_chunk_info_by_coord((160, 0, 0))
    with path.open("r+b") as file:
        file.seek(info.byte_offset)
        file.write(bytes(info.size))
    with h5py.File(path) as file, pytest.raises(OSError):
        file[f"{DETECTOR}/data"][160]
    finding, target = saved(path, tmp_path)
    assert finding.survey.damaged == {f"{DETECTOR}/data": [Span(160, 175)]}
    kept, full = columns(target), columns(whole)
    assert np.flatnonzero(kept["frame_status"]).tolist() == list(range(160, 176))
    assert not kept["data"][160:176].any()
    for name in ("data", "dead_time_correction"):
        others = (np.delete(values[name], range(160, 176), axis=0) for values in (kept, full))
        np.testing.assert_array_equal(*others)
    np.testing.assert_array_equal(kept["total_ticks"], full["total_ticks"])
    assert examine(target).well


def test_unfilled_places_at_the_end(whole, tmp_path):
    """A crash between making room and filling it: the longest dataset does not say how many frames there are."""
    path = tmp_path / "long.h5"
    shutil.copyfile(whole, path)
    with h5py.File(path, "r+") as file:
        file[f"{DETECTOR}/data"].resize(FRAMES + 1024, axis=0)
        for name in ("frame_status", "frame_number", "time_stamp", "dead_time_correction", "all_good"):
            file[f"{DETECTOR}/{name}"].resize(FRAMES + 30, axis=0)
        file[f"{DETECTOR}/all_events"].resize(FRAMES - 100, axis=0)
    finding, target = saved(path, tmp_path)
    assert finding.survey.frames == FRAMES - 100
    assert finding.survey.limited_by == f"{DETECTOR}/all_events"
    kept, full = columns(target), columns(whole)
    for name, values in kept.items():
        np.testing.assert_array_equal(values, full[name][: FRAMES - 100], err_msg=name)


CRASH = """
import os, sys
sys.path[:0] = {paths}
from test_receivers_salvage import write
file = write(sys.argv[1], close=False, swmr={swmr}, compression={compression!r})
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("swmr", [False, True], ids=["off", "swmr"])
@pytest.mark.parametrize("compression", ["bslz4", "gzip", "none", "blosc"])
def test_killed(tmp_path, whole, swmr, compression):
    path = tmp_path / "killed.h5"
    code = CRASH.format(paths=[os.path.dirname(__file__)], swmr=swmr, compression=compression)
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)
    finding = examine(path)
    assert not finding.well
    assert bool(finding.marks) is swmr
    assert finding.survey.frames == FRAMES
    salvage(finding, path, "test")
    assert examine(path).well
    kept, full = columns(path), columns(whole)
    for name, values in kept.items():
        np.testing.assert_array_equal(values, full[name], err_msg=name)


def test_being_written(tmp_path):
    for swmr in (False, True):
        path = tmp_path / f"busy{swmr}.h5"
        file = write(path, close=False, swmr=swmr)
        try:
            with pytest.raises(BusyError):
                examine(path)
        finally:
            file.close()
        assert examine(path).survey.frames == FRAMES


def test_marks_alone(whole, tmp_path):
    """What h5clear does, on a file of the format that has marks."""
    path = tmp_path / "marked.h5"
    write(path, swmr=True)
    raw = bytearray(path.read_bytes())
    with path.open("rb") as file:
        block = Superblock.read(file)
    assert block.marks == 0
    raw[11] = 5
    path.write_bytes(bytes(raw))
    with path.open("rb") as file, pytest.raises(NotHdf5Error, match="checksum"):
        Superblock.read(file)
    marked = Superblock(bytes(raw[:48]))
    raw[44:48] = _checksum(bytes(marked.raw[:44]))
    path.write_bytes(bytes(raw))
    with pytest.raises(OSError, match="already open"):
        h5py.File(path, "r")
    with path.open("rb") as file, h5py.File(Mended(file), "r") as opened:
        assert opened[f"{DETECTOR}/data"].shape == (FRAMES, CHANNELS, BINS)
    mend(path)
    with path.open("rb") as file:
        assert Superblock.read(file) == block
    with h5py.File(path, "r+") as file:
        assert len(file[f"{DETECTOR}/data"]) == FRAMES


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_not_ours(tmp_path, content):
    path = tmp_path / "other.h5"
    path.write_bytes(content)
    with pytest.raises((NotOursError, NothingLeftError)):
        examine(path)


def test_of_another_program(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["a"] = 1
    with pytest.raises(NotOursError):
        examine(path)


def test_master(whole, tmp_path):
    """A file that only shows the frames of others has none to save."""
    path = tmp_path / "master.h5"
    with h5py.File(path, "w") as file, h5py.File(whole) as part:
        group = file.create_group(DETECTOR)
        for name in ("data", "frame_status", "frame_number"):
            source = part[f"{DETECTOR}/{name}"]
            view = h5py.VirtualLayout(source.shape, source.dtype)
            view[:] = h5py.VirtualSource(source)
            group.create_virtual_dataset(name, view)
    with pytest.raises(NotOursError, match="one by one"):
        examine(path)


def test_no_frame(tmp_path):
    path = tmp_path / "empty.h5"
    file = NexusFile(capture(path), str(path))
    file.flush()
    shutil.copyfile(path, tmp_path / "copy.h5")
    file.close()
    with pytest.raises(NothingLeftError):
        examine(tmp_path / "copy.h5")


def test_target_is_there(whole, tmp_path):
    path = tmp_path / "cut.h5"
    shutil.copyfile(whole, path)
    os.truncate(path, int(0.9 * whole.stat().st_size))
    finding = examine(path)
    other = tmp_path / "other.h5"
    other.write_text("mine")
    with pytest.raises(FileExistsError):
        salvage(finding, other, "test")
    assert other.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["cut.h5", "other.h5"]
