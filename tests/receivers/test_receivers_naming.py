"""Names that are taken: what the file of a capture is called then."""

import threading

import pytest
from receivers_feed import PATIENCE, Feed, capture, end, frames, header, start_child

from xsp3ioc.receivers.naming import create
from xsp3ioc.receivers.paths import underscored
from xsp3ioc.stream.messages import CaptureEnd, Closed, Failed, Opened


@pytest.fixture
def feed(tmp_path):
    with Feed(f"ipc://{tmp_path}/data") as feed:
        yield feed


def test_the_underscore_of_tango(feed, tmp_path):
    directory = tmp_path / "v1.2"
    directory.mkdir()
    child = start_child(feed.endpoint)
    try:
        feed.hello()
        path = directory / "x.tar.h5"
        path.write_text("precious")
        (directory / "x.tar_.h5").symlink_to("nowhere")
        for number, name in ((1, "x.tar__.h5"), (2, "x.tar___.h5")):
            feed.send(capture(path, capture_id=number, underscore=True))
            assert feed.wait(Opened, capture_id=number).filename == str(directory / name)
            feed.send(header(number, number), frames(0, 1, number), end(1, number), CaptureEnd(capture_id=number))
            feed.wait(Closed, capture_id=number)
        feed.send(capture(path, capture_id=3, underscore=True, overwrite=True))
        feed.wait(Opened, capture_id=3, filename=str(path))
        feed.send(CaptureEnd(capture_id=3))
        feed.wait(Closed, capture_id=3)
        # The longest name that there can be does not hold another one.
        long = directory / ("x" * 252 + ".h5")
        long.write_text("precious")
        feed.send(capture(long, capture_id=4, underscore=True))
        assert feed.wait(Failed, capture_id=4).error.endswith(": File name too long")
    finally:
        child.stdin.close()
        child.wait(PATIENCE)
        child.stderr.close()


def test_who_is_first_has_the_name(tmp_path):
    path, names, together = tmp_path / "x.h5", [], threading.Barrier(4)

    def make(number):
        together.wait()
        file, _ = create(capture(path, capture_id=number, underscore=True), 0)
        names.append(file.path)
        file.close()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names, key=len) == [str(tmp_path / f"x{'_' * number}.h5") for number in range(4)]


def test_the_file_name_alone_counts():
    assert underscored("/data/v1.2/x.h5") == "/data/v1.2/x_.h5"
    assert underscored("/data/v1.2/x") == "/data/v1.2/x_"
