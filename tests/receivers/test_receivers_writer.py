"""The writer as the server's child: a real process, fed over a real socket."""

import itertools
import resource
import signal
import time

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import PATIENCE, TOKEN, Feed, capture, end, frames, header, start_child

from xsp3ioc.stream.messages import Block, CaptureEnd, Closed, Failed, FrameStatus, Gap, Opened, Written

DATA = "/entry/instrument/xspress3/data"
END = CaptureEnd(capture_id=1)


@pytest.fixture
def feed(tmp_path):
    with Feed(f"ipc://{tmp_path}/data") as feed:
        yield feed


@pytest.fixture
def start(feed):
    children = []

    def start(**options):
        child = start_child(feed.endpoint, **options)
        children.append(child)
        assert feed.hello().token == TOKEN
        return child

    yield start
    feed.close()
    for child in children:
        child.stdin.close()
        child.wait(PATIENCE)
        child.stderr.close()


@pytest.fixture
def child(start):
    return start()


def read(path, name=DATA):
    with h5py.File(path) as file:
        return file[name][()]


def test_a_capture_of_two_series(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path))
    assert feed.wait(Opened) == Opened(capture_id=1, filename=str(path))
    feed.send(header(1), frames(0, 3), frames(3, 2), end(5))
    assert feed.wait(Written, series_id=1).frames == 5
    feed.send(header(2), frames(0, 1, 2), end(1, 2))
    assert feed.wait(Written, series_id=2).frames == 6
    feed.send(END)
    closed = feed.wait(Closed)
    assert closed == Closed(capture_id=1, filename=str(path), frames=6, seconds=closed.seconds)
    np.testing.assert_array_equal(read(path), np.concatenate([frames(0, 5).mca, frames(0, 1, 2).mca]))


def test_progress_is_reported_meanwhile(feed, child, tmp_path):
    feed.send(capture(tmp_path / "x.h5"), header(), frames(0, 3))
    assert feed.wait(Written, frames=3).series_id is None


def test_captures_follow_one_another(feed, child, tmp_path):
    for number in range(1, 6):
        feed.send(capture(tmp_path / f"{number}.h5", capture_id=number))
        feed.send(header(number, number), frames(0, 2, number), end(2, number), CaptureEnd(capture_id=number))
    for number in range(1, 6):
        feed.wait(Closed, capture_id=number)
        np.testing.assert_array_equal(read(tmp_path / f"{number}.h5"), frames(0, 2, number).mca)


def test_the_limit_closes_the_file_once(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path, frames=4), header(), frames(0, 3), frames(3, 3))
    assert feed.wait(Closed).frames == 4
    feed.send(frames(6, 3), end(9))
    assert feed.wait(Written, series_id=1).frames == 4
    feed.send(header(2), frames(0, 1, 2), end(1, 2), END)
    feed.send(capture(tmp_path / "y.h5", capture_id=2))
    feed.wait(Opened, capture_id=2)
    assert sum(isinstance(report, Closed) for report in feed.reports) == 1
    np.testing.assert_array_equal(read(path), frames(0, 4).mca)


def test_blocks_that_were_cut_are_marked(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path), header(), frames(0, 2), frames(4, 1))
    feed.send(end(7, lost=[Gap(first=2, last=3, reason="slow"), Gap(first=5, last=6, reason="slow")]))
    written = feed.wait(Written, series_id=1)
    assert (written.frames, written.missing) == (7, 4)
    feed.send(END)
    feed.wait(Closed)
    valid, missing = FrameStatus.valid, FrameStatus.missing
    status = read(path, "/entry/instrument/xspress3/frame_status")
    assert list(status) == [valid, valid, missing, missing, valid, missing, missing]


def test_series_of_no_capture_are_not_written(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(header(1, 0), frames(0, 1), end(1))
    feed.send(capture(path), header(2, 0), frames(0, 1, 2), end(1, 2), header(3), frames(0, 1, 3), end(1, 3), END)
    assert feed.wait(Closed).frames == 1
    np.testing.assert_array_equal(read(path), frames(0, 1, 3).mca)


def refused(feed, *captures):
    feed.send(*captures)
    return feed.wait(Failed)


def test_an_existing_file_is_refused(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("precious")
    failed = refused(feed, capture(path))
    assert failed.error == f"{path} exists already"
    assert failed.filename == str(path)
    assert path.read_text() == "precious"


def test_a_file_to_be_overwritten_is_kept_when_the_new_one_cannot_be_made(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("precious")
    assert refused(feed, capture(path, overwrite=True, channels=1 << 20, bins=1 << 30)).filename == str(path)
    assert path.read_text() == "precious"
    feed.send(capture(path, capture_id=2, overwrite=True), header(1, 2), frames(0, 1), end(1))
    feed.wait(Written, series_id=1)
    feed.send(CaptureEnd(capture_id=2))
    feed.wait(Closed)
    np.testing.assert_array_equal(read(path), frames(0, 1).mca)


def test_a_missing_directory_is_refused_or_made(feed, child, tmp_path):
    path = tmp_path / "a" / "b" / "x.h5"
    assert refused(feed, capture(path, create_directories=1)).error == f"{tmp_path}/a/b: no such directory"
    feed.send(capture(path, capture_id=2, create_directories=-2))
    feed.wait(Opened, capture_id=2)


@pytest.mark.parametrize("path", ["/proc/x.h5", "/dev/null/x.h5", "/dev/full"])
def test_places_that_cannot_be_written(feed, child, path):
    failed = refused(feed, capture(path))
    assert failed.error.startswith(path[:5])
    assert "\n" not in failed.error


def test_frames_that_do_not_fit_into_memory_are_refused(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    failed = refused(feed, capture(path, channels=1 << 20, bins=1 << 30))
    assert failed.error.startswith(f"{path}: ")
    assert list(tmp_path.glob("*.h5")) == []
    feed.send(capture(path, capture_id=2))
    feed.wait(Opened, capture_id=2)


@pytest.mark.parametrize("garbage", [b"no json", b'{"htype": "series_end"}', b""])
def test_a_message_that_cannot_be_read_ends_the_capture(feed, child, tmp_path, garbage):
    path = tmp_path / "x.h5"
    feed.send_parts(garbage)
    feed.send(capture(path), header(), frames(0, 3))
    feed.send_parts(garbage)
    feed.send_parts(garbage)
    failed = feed.wait(Failed)
    assert (failed.capture_id, failed.filename, failed.frames) == (1, str(path), 3)
    assert failed.error.startswith(f"{path}: a message of the server could not be read: ")
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)
    feed.send(frames(3, 1), end(4), END)
    feed.send(capture(tmp_path / "y.h5", capture_id=2), header(2, 2), frames(0, 1, 2), end(1, 2))
    assert feed.wait(Written, series_id=2).frames == 1
    assert sum(isinstance(report, Failed) for report in feed.reports) == 1


def test_a_message_that_cannot_be_read_fails_the_series_of_a_full_file(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path, frames=3), header(), frames(0, 5))
    feed.wait(Closed)
    feed.send_parts(b"no json")
    assert feed.wait(Failed, capture_id=1, frames=3).filename == str(path)
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)


def test_after_a_failure_the_rest_is_ignored_and_the_next_capture_works(feed, child, tmp_path):
    feed.send(capture(tmp_path / "no" / "x.h5"), header(), *(frames(k, 1) for k in range(40)), end(40), END)
    feed.send(capture(tmp_path / "y.h5", capture_id=2), header(2, 2), frames(0, 1, 2), end(1, 2))
    assert feed.wait(Written, series_id=2).frames == 1
    assert [type(report) for report in feed.reports[1:3]] == [Failed, Opened]
    assert sum(isinstance(report, Failed) for report in feed.reports) == 1


def test_a_full_disk_keeps_what_was_flushed(feed, start, tmp_path):
    # As on a disk that others fill, writes fail from a certain length on, of which nobody knew.
    child = start()
    path = tmp_path / "x.h5"
    feed.send(capture(path, compression="none", chunk_frames=16), header(), frames(0, 64), end(64))
    feed.wait(Written, series_id=1)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    big = frames(0, 256, 2)
    feed.send(header(2), *(Block(2, 256 * k, *big.parts()) for k in range(40)), END)
    failed = feed.wait(Failed)
    assert failed.error == f"{path}: File too large"
    assert failed.frames >= 64
    np.testing.assert_array_equal(read(path)[:64], frames(0, 64).mca)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    feed.send(capture(tmp_path / "y.h5", capture_id=2), header(3, 2), frames(0, 4, 3), end(4, 3))
    feed.send(CaptureEnd(capture_id=2))
    feed.wait(Closed, capture_id=2)
    np.testing.assert_array_equal(read(tmp_path / "y.h5"), frames(0, 4, 3).mca)
    child.stdin.close()
    assert child.wait(PATIENCE) == 0


def test_when_the_parent_goes_the_file_is_closed(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path), header(), frames(0, 3))
    feed.wait(Written, frames=3)
    feed.close()
    child.stdin.close()
    assert child.wait(PATIENCE) == 0
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)
    with h5py.File(path) as file:
        assert list(file["/entry/instrument/xspress3/series/end_reason"]) == [b"unknown"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_all_processes_do_not_end_it(feed, child, tmp_path, number):
    path = tmp_path / "x.h5"
    feed.send(capture(path))
    feed.wait(Opened)
    child.send_signal(number)
    feed.send(header(), frames(0, 3))
    feed.wait(Written, frames=3)
    assert child.poll() is None
    feed.send(frames(3, 2), end(5), END)
    assert feed.wait(Closed).frames == 5
    child.stdin.close()
    assert child.wait(PATIENCE) == 0
    np.testing.assert_array_equal(read(path), frames(0, 5).mca)


def test_at_the_end_a_backlog_is_written(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path))
    feed.wait(Opened)
    child.send_signal(signal.SIGSTOP)
    series = range(1, 31)
    for number in series:
        feed.send(header(number), frames(0, 2, number), end(2, number))
    feed.send(END)
    child.stdin.close()
    child.send_signal(signal.SIGCONT)
    assert feed.wait(Closed).frames == 60
    assert child.wait(PATIENCE) == 0
    np.testing.assert_array_equal(read(path), np.concatenate([frames(0, 2, number).mca for number in series]))


def test_after_the_end_of_its_input_it_waits_for_the_end_of_the_capture(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path), header(), frames(0, 1))
    feed.wait(Opened)
    child.stdin.close()
    time.sleep(0.5)
    feed.send(frames(1, 2), end(3), END)
    assert feed.wait(Closed).frames == 3
    assert child.wait(PATIENCE) == 0
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)


def test_it_does_not_wait_for_ever(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path), header(), frames(0, 3))
    feed.wait(Opened)
    child.stdin.close()
    assert feed.wait(Closed).frames == 3
    assert child.wait(PATIENCE) == 0
    np.testing.assert_array_equal(read(path), frames(0, 3).mca)


def test_killed_it_leaves_what_was_flushed(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path), header(), frames(0, 30), end(30))
    feed.wait(Written, series_id=1)
    feed.send(header(2), frames(0, 7, 2))
    feed.wait(Written, frames=37)
    feed.send(frames(7, 1, 2))
    child.kill()
    child.wait(PATIENCE)
    np.testing.assert_array_equal(read(path)[:37], np.concatenate([frames(0, 30).mca, frames(0, 7, 2).mca]))


def test_progress_is_what_a_flush_has_put_into_the_file(feed, child, tmp_path):
    path = tmp_path / "x.h5"
    feed.send(capture(path, flush_interval=0.5), header())
    deadline = time.monotonic() + PATIENCE
    for first in itertools.count(0, 2):
        feed.send(frames(first, 1))
        time.sleep(0.05)
        reports = feed.came(Written)
        if len(reports) >= 2:
            break
        assert time.monotonic() < deadline
    child.kill()
    child.wait(PATIENCE)
    status = read(path, "/entry/instrument/xspress3/frame_status")
    for report in reports:
        assert len(status) >= report.frames > 0
        assert report.missing == np.count_nonzero(status[: report.frames])
