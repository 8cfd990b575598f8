"""A disk that fills: the file ends well before it is full, and what is in it is complete."""

import h5py
import numpy as np
import pytest
from receivers_feed import PATIENCE, Feed, capture, end, frames, header, start_child

from xsp3ioc.receivers.layout import DETECTOR
from xsp3ioc.receivers.summary import summarize
from xsp3ioc.stream.messages import Block, CaptureEnd, Closed, Failed, Opened, Written, reserve

MIB = 1 << 20


@pytest.fixture
def feed(tmp_path):
    with Feed(f"ipc://{tmp_path}/data") as feed:
        yield feed


@pytest.fixture
def child(feed):
    child = start_child(feed.endpoint)
    try:
        feed.hello()
        yield child
        child.stdin.close()
        assert child.wait(PATIENCE) == 0
        assert "Traceback" not in child.stderr.read()
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def long_series(feed, blocks, series_id=1):
    """256 frames of 512 bytes a block, always the same content; it is not compressed."""
    block = frames(0, 256)
    for number in range(blocks):
        if any(isinstance(report, Failed) for report in feed.reports):
            break
        feed.send(Block(series_id, 256 * number, block.mca, block.scalers, block.factors, block.frames))


def failure(feed):
    """The report, which may have come while frames were sent."""
    return next((report for report in feed.reports if isinstance(report, Failed)), None) or feed.wait(Failed)


def check(path, count):
    """All of it is there, and was ended in order."""
    content = frames(0, 256).mca
    with h5py.File(path) as file:
        assert file["/entry/end_time"][()]
        detector = file[DETECTOR]
        lengths = {name: len(item) for name, item in detector.items() if getattr(item, "maxshape", (0,))[:1] == (None,)}
        assert set(lengths.values()) == {count}, lengths
        np.testing.assert_array_equal(detector["data"][count - count % 256 - 256 : count - count % 256], content)
        np.testing.assert_array_equal(detector["frame_number"][()], np.arange(count))
    assert summarize(path).missing == 0


def test_a_disk_that_fills_ends_the_file_in_order(feed, child, small_disk):
    small_disk.limit(child.pid)
    path = small_disk.directory / "x.h5"
    feed.send(capture(path, compression="none"), header())
    feed.wait(Opened)
    long_series(feed, 400)
    failed = failure(feed)
    assert failed.error.startswith(f"{path.parent} is full, ")
    assert failed.error.endswith(f" MB are left: {failed.frames:,} frames are safe in {path}")
    # A tenth of it stays free, but for what was to come next.
    assert 10 * MIB < path.stat().st_size < 22 * MIB
    check(path, failed.frames)
    with h5py.File(path) as file:
        assert list(file[f"{DETECTOR}/series/end_reason"]) == [b"disk full"]
    written = [report for report in feed.reports if isinstance(report, Written)][-1]
    assert (written.frames, written.stored > 10 * MIB) == (failed.frames, True)
    # The rest of the capture is not for it; what is small enough still fits.
    feed.send(end(400 * 256), CaptureEnd(capture_id=1))
    feed.send(capture(path.with_name("y.h5"), capture_id=2, frames=8), header(2, 2), frames(0, 8, 2), end(8, 2))
    feed.wait(Closed, capture_id=2)
    np.testing.assert_array_equal(h5py.File(path.with_name("y.h5"))[f"{DETECTOR}/data"][()], frames(0, 8, 2).mca)


def test_a_disk_that_somebody_else_fills_keeps_what_was_flushed(feed, child, small_disk):
    small_disk.limit(child.pid)
    path = small_disk.directory / "x.h5"
    feed.send(capture(path, compression="none"), header(), frames(0, 256))
    feed.send(end(256))
    feed.wait(Written, series_id=1)
    small_disk.fill(child.pid)
    feed.send(header(2))
    long_series(feed, 20, 2)
    failed = failure(feed)
    assert failed.frames >= 256
    if not small_disk.mounted:
        return  # a limit that is lowered under an open file even keeps HDF5 from setting its length: no full disk does
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[f"{DETECTOR}/data"][:256], frames(0, 256).mca)


def test_files_of_single_frames_end_too(feed, child, small_disk):
    if not small_disk.mounted:
        small_disk.limit(child.pid)  # each file fits: nothing ends them but the disk
    feed.send(capture(small_disk.directory / "x_0.h5", pattern=f"{small_disk.directory}/x_%d.h5", each_frame=True))
    feed.send(header())
    for number in range(100):
        feed.send(frames(number, 1))
    feed.send(end(100))
    if small_disk.mounted:
        failed = failure(feed)
        assert failed.error.startswith(f"{small_disk.directory} is full, ")
        assert failed.filename == str(small_disk.directory / f"x_{failed.frames - 1}.h5")
        assert len(list(small_disk.directory.glob("x_*.h5"))) == failed.frames > 10
    else:
        assert feed.wait(Written, series_id=1).frames == 100


def test_what_is_left_free():
    assert reserve(1 << 40) == 32 * MIB
    assert reserve(1 << 40, 100e6) == 200_000_000
    assert reserve(100 * MIB, 1e9) == 10 * MIB
