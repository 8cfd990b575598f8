"""Names and numbers of files: the next free one, a file for every frame, hidden files that get their name later."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import capture, end, frames, header, record

from xsp3ioc.receivers import paths
from xsp3ioc.receivers.recording import Recording
from xsp3ioc.stream.messages import CaptureEnd, Closed, Failed, Flush, Gap, Opened, SeriesEnd, Written

DETECTOR = "/entry/instrument/xspress3"


@pytest.fixture
def order(tmp_path):
    """Make a capture whose files are x_<number>.h5."""

    def make(number=0, **changes):
        pattern = f"{tmp_path}/x_%d.h5"
        return capture(pattern % number, pattern=pattern, number=number, **changes)

    return make


def length(path):
    """Frames that another process finds."""
    code = "import h5py, sys; print(len(h5py.File(sys.argv[1], locking=False)['/entry/data/data']))"
    return int(subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout)


def of(kind, reports):
    return [report for report in reports if isinstance(report, kind)]


def names(directory):
    return sorted(path.name for path in Path(directory).iterdir())


def read(path, name="data"):
    with h5py.File(path, locking=False) as file:
        return file[DETECTOR][name][()]


def test_the_next_free_number(order, tmp_path):
    for number in (3, 4, 6):
        (tmp_path / f"x_{number}.h5").write_text("taken")
    reports = record(order(3, next_free=True), header(), frames(0, 2), end(2))
    assert of(Opened, reports) == [Opened(capture_id=1, filename=f"{tmp_path}/x_5.h5", number=5)]
    assert len(read(tmp_path / "x_5.h5")) == 2
    assert (tmp_path / "x_3.h5").read_text() == "taken"
    failed = of(Failed, record(order(3)))
    assert failed[0].error == f"{tmp_path}/x_3.h5 exists already"


def test_a_name_without_a_number_has_no_next_one(tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("taken")
    (failed,) = of(Failed, record(capture(path, next_free=True)))
    assert failed.error == f"{path} exists already"


def test_a_file_for_every_frame(order, tmp_path):
    reports = record(order(7, each_frame=True), header(), frames(0, 3), frames(3, 1), end(4))
    assert names(tmp_path) == [f"x_{number}.h5" for number in (10, 7, 8, 9)]
    for frame in range(4):
        path = tmp_path / f"x_{7 + frame}.h5"
        np.testing.assert_array_equal(read(path), frames(frame, 1).mca)
        assert list(read(path, "frame_in_series")) == [frame]
    written = of(Written, reports)[-1]
    assert (written.frames, written.missing, written.number, written.filename) == (4, 0, 10, f"{tmp_path}/x_10.h5")
    assert of(Closed, reports)[0].frames == 4


def test_frames_that_never_came_have_no_file_and_keep_their_number(order, tmp_path):
    gap = [Gap(first=5, last=6, reason="slow")]
    reports = record(order(0, each_frame=True), header(), frames(0, 1), frames(3, 2), end(5, missing=gap))
    assert names(tmp_path) == ["x_0.h5", "x_3.h5", "x_4.h5"]
    written = [report for report in of(Written, reports) if report.series_id == 1]
    assert [(report.frames, report.missing) for report in written] == [(7, 4)]


def test_so_many_frames_and_no_more(order, tmp_path):
    events = header(first=5), frames(5, 1), frames(6, 1), SeriesEnd(msg_number=0, series_id=1, reason="", acquired=7)
    reports = record(order(0, each_frame=True, frames=1), *events)
    assert names(tmp_path) == ["x_0.h5"]
    assert list(read(tmp_path / "x_0.h5", "frame_in_series")) == [5]
    assert of(Closed, reports)[0].frames == 1


def test_a_number_that_stays(order, tmp_path):
    events = order(2, each_frame=True, increment=False), header(), frames(0, 2)
    assert of(Failed, record(*events))[0].error == f"{tmp_path}/x_2.h5 exists already"
    os.unlink(tmp_path / "x_2.h5")
    events = order(2, each_frame=True, increment=False, overwrite=True), header(), frames(0, 2), end(2)
    assert of(Closed, record(*events))[0].frames == 2
    np.testing.assert_array_equal(read(tmp_path / "x_2.h5"), frames(1, 1).mca)


def test_frames_pass_over_taken_numbers(order, tmp_path):
    (tmp_path / "x_1.h5").write_text("taken")
    record(order(0, each_frame=True, next_free=True), header(), frames(0, 3), end(3))
    assert names(tmp_path) == ["x_0.h5", "x_1.h5", "x_2.h5", "x_3.h5"]
    np.testing.assert_array_equal(read(tmp_path / "x_3.h5"), frames(2, 1).mca)


def held(order, tmp_path, count=3):
    """A hidden file: its name."""
    reports = record(order(0, hold=True), header(), frames(0, count), end(count), CaptureEnd(capture_id=1))
    (opened,) = of(Opened, reports)
    assert Path(opened.filename).parent == tmp_path
    assert Path(opened.filename).name.startswith(".")
    assert names(tmp_path) == [Path(opened.filename).name]
    return opened.filename


def test_a_held_file_gets_its_name(order, tmp_path):
    hidden = held(order, tmp_path)
    reports = record(order(5, capture_id=2, held=hidden, frames=3))
    path = f"{tmp_path}/x_5.h5"
    assert reports == [
        Opened(capture_id=2, filename=path, number=5),
        Closed(capture_id=2, filename=path, frames=3),
    ]
    assert names(tmp_path) == ["x_5.h5"]
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)


def test_a_held_file_replaces_no_other_unless_it_may(order, tmp_path):
    hidden = held(order, tmp_path)
    (tmp_path / "x_5.h5").write_text("taken")
    (failed,) = record(order(5, capture_id=2, held=hidden, frames=3))
    assert failed.error == f"{tmp_path}/x_5.h5 exists already"
    assert (tmp_path / "x_5.h5").read_text() == "taken"
    assert len(read(hidden)) == 3
    (tmp_path / "x_5.h5").chmod(0o640)
    record(order(5, capture_id=3, held=hidden, frames=3, overwrite=True))
    assert len(read(tmp_path / "x_5.h5")) == 3
    assert (tmp_path / "x_5.h5").stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["x_5.h5"]


def test_a_held_file_moves_to_another_file_system(order, tmp_path, monkeypatch):
    hidden = held(order, tmp_path)
    replace = os.replace

    def across(source, target):
        # As the kernel says where the two are not on one file system.
        if source == hidden:
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        replace(source, target)

    monkeypatch.setattr(paths.os, "replace", across)
    record(order(1, capture_id=2, held=hidden, frames=3))
    assert names(tmp_path) == ["x_1.h5"]
    np.testing.assert_array_equal(read(tmp_path / "x_1.h5"), frames(0, 3).mca)


def test_a_held_file_needs_a_directory(order, tmp_path):
    hidden = held(order, tmp_path)
    path = tmp_path / "no" / "x.h5"
    (failed,) = record(capture(path, capture_id=2, held=hidden))
    assert failed.error == f"{tmp_path}/no: no such directory"
    record(capture(path, capture_id=3, held=hidden, create_directories=1))
    assert len(read(path)) == 3


def test_a_flush_on_demand(order, tmp_path):
    reports = []
    recording = Recording(reports.append)
    for event in (order(), header(), frames(0, 3), Flush(capture_id=1, flush=4)):
        recording.take(event)
    assert reports[-1] == Written(capture_id=1, frames=3, flush=4, stored=reports[-1].stored)
    assert length(tmp_path / "x_0.h5") == 3
    recording.take(Flush(capture_id=9, flush=5))
    assert len(of(Written, reports)) == 1
    recording.close()


def test_a_flush_of_a_full_file_is_answered(order):
    reports = []
    recording = Recording(reports.append)
    for event in (order(frames=2), header(), frames(0, 3), Flush(capture_id=1, flush=1)):
        recording.take(event)
    assert reports[-1] == Written(capture_id=1, frames=2, flush=1, stored=reports[-1].stored)


def test_a_flush_after_so_many_frames(order, tmp_path):
    recording = Recording(lambda _: None)
    for event in (order(flush_frames=4), header(), *(frames(k, 1) for k in range(6))):
        recording.take(event)
    assert length(tmp_path / "x_0.h5") == 4
    recording.close()


def test_the_time_of_writing_is_reported(order):
    (closed,) = of(Closed, record(order(), header(), frames(0, 3), end(3)))
    assert closed.seconds > 0
    (closed,) = of(Closed, record(order(1)))
    assert closed.seconds == 0
