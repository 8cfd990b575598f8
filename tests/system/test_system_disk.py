"""A disk that fails, fills, loses the file or does not answer, in mid-series: said, survived, and nothing else lost."""

from __future__ import annotations

import errno
import os
import subprocess
import time

import h5py
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_disk import Disk
from system_rig import Rig, Written, gone

OTHERS = [errno.EDQUOT, errno.EACCES, errno.ESTALE]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return Disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def rig(disk, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in disk.environment.items():
            patch.setenv(name, value)
        rig = Rig(tmp_path_factory.mktemp("rig"))
    yield rig
    assert rig.end() == 0


@pytest.fixture(autouse=True)
def _as_booted(rig, disk):
    yield
    disk.heal()
    rig.ca.put("det1:Acquire", 0)
    rig.ca.put("HDF1:Capture", 0)


def running(rig, name, directory=None, exposure=0.001, **settings):
    """A series without end into a file of which something has been flushed."""
    files, rig.files = rig.files, directory or rig.files
    try:
        path = rig.capture(name, **settings)
    finally:
        rig.files = files
    rig.begin(1_000_000, exposure)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 0)
    return path


def failed(rig, *words):
    """Series and capture have ended with an error that says all these words."""
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    shows_error(rig, *words)
    message = rig.message()
    assert all(word in message for word in words), message


def shows_error(rig, *words):
    names = "det1:Acquire_RBV", "HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus"
    assert rig.ca.gets(*names) == [0, 0, 0, 0, 1]
    message = rig.ca.get("HDF1:WriteMessage")
    assert all(word in message for word in words), message


def check(rig, path, least, most=None, exposure=0.001):
    """The file opens plainly, and holds the first frames of its series."""
    written = Written(path)
    assert least <= written.frames <= (written.frames if most is None else most)
    assert set(written.lengths().values()) == {written.frames}
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
    assert not written["frame_status"].any()
    written.check(rig.settings, exposure)


def works(rig, name):
    path = rig.capture(name, 20)
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    check(rig, path, 20, 20)


@pytest.mark.parametrize("number", [errno.EIO, *(pytest.param(number, marks=pytest.mark.slow) for number in OTHERS)])
def test_writes_that_fail(rig, disk, number):
    name = errno.errorcode[number]
    path = running(rig, name)
    disk.fail(number)
    failed(rig, path, os.strerror(number))
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    acquired, streamed, written, missing = rig.counters()
    assert acquired == streamed > written == captured
    assert missing == acquired - written
    check(rig, path, captured)
    # The disk is as it was, and says so again.
    assert rig.ca.put("HDF1:Capture", 1)[0] == ECA_PUTFAIL
    shows_error(rig, os.strerror(number))
    disk.heal()
    works(rig, f"after_{name}")


def test_the_last_frames_fail_at_the_close(rig, disk):
    path = rig.capture("close")
    assert rig.acquire(10) == ECA_NORMAL
    disk.fail(errno.EIO)
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    shows_error(rig, path, os.strerror(errno.EIO))
    check(rig, path, 10, 10)


@pytest.fixture
def small(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256M", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode()}")
    yield place
    # The writer lets go of its file when it is abandoned.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_filled_by_somebody_else(rig, small):
    path = running(rig, "full", small)
    with (small / "theirs").open("wb", buffering=0) as theirs:
        try:
            while theirs.write(bytes(1 << 16)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
    failed(rig, path)
    check(rig, path, rig.ca.get("HDF1:NumCaptured_RBV"))
    works(rig, "after_full")


def remove(path, elsewhere):
    os.unlink(path)
    os.rmdir(os.path.dirname(path))


def rename(path, elsewhere):
    os.rename(os.path.dirname(path), elsewhere)


def move_file(path, elsewhere):
    elsewhere.mkdir()
    os.rename(path, elsewhere / os.path.basename(path))


def replace(path, elsewhere):
    new = f"{path}.new"
    with open(new, "w") as file:
        file.write("precious")
    move_file(path, elsewhere)
    os.replace(new, path)


WAYS = [remove, rename, move_file, replace]
SAID = "removed, renamed or replaced while it was written"


@pytest.mark.parametrize("way", [remove, replace, *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[1:3])])
def test_a_file_that_leaves_its_place(rig, tmp_path, way):
    directory, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    directory.mkdir()
    path = running(rig, "left", directory)
    way(path, elsewhere)
    failed(rig, path, SAID)
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    if way is not remove:
        # Whole, wherever it is.
        there = elsewhere / os.path.basename(path)
        check(rig, there, captured, captured)
        assert Written(there).end_time
    if way is replace:
        with open(path) as file:
            assert file.read() == "precious"
    works(rig, f"after_{way.__name__}")


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_has_left_its_place_when_it_is_closed(rig, tmp_path, way):
    directory = tmp_path / "there"
    directory.mkdir()
    files, rig.files = rig.files, directory
    path = rig.capture("left", 0)
    rig.files = files
    assert rig.acquire(7) == ECA_NORMAL
    way(path, tmp_path / "elsewhere")
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    shows_error(rig, path, SAID)


def test_a_directory_that_nobody_may_enter_any_more(rig, tmp_path):
    directory = tmp_path / "closed"
    directory.mkdir()
    path = running(rig, "closed", directory)
    directory.chmod(0)
    try:
        rig.ca.wait_above("HDF1:NumCaptured_RBV", rig.ca.get("HDF1:NumCaptured_RBV"))
        # The open file is still written.
        assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
    finally:
        directory.chmod(0o755)
    frames = rig.ca.get("HDF1:NumCaptured_RBV")
    check(rig, path, frames, frames)


def test_a_stall_of_five_seconds_loses_nothing(rig, disk):
    path = rig.capture("stalled", 7000)
    rig.begin(7000, 0.001)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 0)
    before = rig.ca.get("det1:ArrayCounter_RBV")
    with disk.held():
        rig.ca.wait_above("det1:ArrayCounter_RBV", before + 5000)
        assert rig.ca.get("HDF1:NumCaptured_RBV") < before + 1000
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.counters() == [7000, 7000, 7000, 0]
    check(rig, path, 7000, 7000)


def test_a_write_that_never_returns(rig, disk):
    path = running(rig, "never")
    (writer,) = rig.server.children()
    with disk.held():
        before = rig.ca.get("det1:ArrayCounter_RBV")
        rig.ca.wait_above("det1:ArrayCounter_RBV", before + 1500)
        status, answered = rig.ca.put("det1:Acquire", 0)
        assert status == ECA_PUTFAIL
        assert "Stop waits for the file writer" in rig.message()
        assert rig.ca.is_open("acquire")
        assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
        failed_at_once = rig.ca.put_status("acquire"), rig.ca.put_status("capture")
        assert failed_at_once == (ECA_PUTFAIL, ECA_PUTFAIL)
        shows_error(rig, path, "bandoned by a second stop")
    assert answered < 5
    gone(writer)
    check(rig, path, 1)
    works(rig, "after_never")


def test_a_file_that_is_never_closed(rig, disk):
    path = rig.capture("unclosed")
    (writer,) = rig.server.children()
    assert rig.acquire(10) == ECA_NORMAL
    with disk.held():
        rig.ca.begin("HDF1:Capture", 0, "end")
        # What is not closed is given up by a later one; the server answers meanwhile.
        assert rig.acquire(3) == ECA_NORMAL
        for number in range(100):
            time.sleep(0.2)
            if not rig.ca.is_open("capture"):
                break
            rig.ca.begin("HDF1:Capture", 0, f"end{number}")
        assert rig.ca.put_status("end") == ECA_PUTFAIL
        assert rig.ca.put_status("capture") == ECA_PUTFAIL
    shows_error(rig, "bandoned by a second Capture = 0")
    gone(writer)
    check(rig, path, 10, 10)
    works(rig, "after_unclosed")


def test_a_reader_that_has_the_file_open_throughout(rig):
    path = rig.capture("read")
    with h5py.File(path, locking=False) as reader:
        rig.begin(3000, 0.001)
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
        assert rig.ca.gets("HDF1:WriteStatus", "HDF1:NumCaptured_RBV") == [0, 3000]
        assert reader
    check(rig, path, 3000, 3000)


def test_a_reader_that_follows_the_file(rig):
    """Every length that it sees is that of frames that are all there."""
    path = running(rig, "followed", HDF1__SWMRMode=1)
    rig.ca.set(NumImages=1)  # for whatever comes next
    seen = [0]
    with h5py.File(path, swmr=True) as reader:
        data = reader["/entry/data/data"]
        numbers = reader["/entry/instrument/xspress3/frame_in_series"]
        while len(seen) < 4:
            captured = rig.ca.get("HDF1:NumCaptured_RBV")
            for dataset in (numbers, data):
                dataset.refresh()
            assert len(data) >= captured and len(numbers) >= captured
            if captured > seen[-1]:
                np.testing.assert_array_equal(numbers[:captured], np.arange(captured))
                assert data[seen[-1] : captured].any(axis=(1, 2)).all()
                seen.append(captured)
        rig.ca.put("det1:Acquire", 0)
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        rig.ca.put("HDF1:Capture", 0)
        assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(HDF1__SWMRMode=0)
    frames = rig.ca.get("HDF1:NumCaptured_RBV")
    check(rig, path, frames, frames)
