"""`xsp3-write` as on another machine: a real process that chooses its own file names."""

import signal
import subprocess
import sys
import threading

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import PATIENCE, Feed, capture, end, frames, header

from xsp3ioc.receivers.writer import main
from xsp3ioc.stream.messages import CaptureEnd, Credit, Hello

END = CaptureEnd(capture_id=1)


@pytest.fixture
def feed():
    with Feed("tcp://127.0.0.1:*") as feed:
        yield feed


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def program(feed, root):
    return [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect", feed.endpoint, "--root", str(root)]


def heed_hang_ups():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may not


@pytest.fixture
def writer(feed, root):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program(feed, root), preexec_fn=heed_hang_ups, **pipes) as writer:
        late = threading.Timer(4 * PATIENCE, writer.kill)  # nothing is read for ever
        late.start()
        feed.hello()
        yield writer
        late.cancel()
        writer.kill()


def spectra(path):
    with h5py.File(path) as file:
        return file["/entry/data/data"][()]


def column(path, name):
    with h5py.File(path) as file:
        return list(file[f"/entry/instrument/xspress3/{name}"])


def test_captures_get_their_base_names(feed, writer, root):
    (root / "x.h5").write_text("precious")
    for number in (1, 2):
        feed.send(capture("/elsewhere/deep/x.h5", capture_id=number, overwrite=True), header(number, number))
        feed.send(frames(0, 2, number), end(2, number), CaptureEnd(capture_id=number))
        assert writer.stdout.readline() == f"{root}/x_{number}.h5: 2 frames\n"
        np.testing.assert_array_equal(spectra(root / f"x_{number}.h5"), frames(0, 2, number).mca)
    assert (root / "x.h5").read_text() == "precious"


def test_series_without_a_capture_get_files_of_their_own(feed, writer, root):
    for number in (1, 2):
        feed.send(header(number, 0), frames(0, 3, number), end(3, number))
        assert writer.stdout.readline() == f"{root}/series_{number:06}.h5: 3 frames\n"
        np.testing.assert_array_equal(spectra(root / f"series_{number:06}.h5"), frames(0, 3, number).mca)


def test_joining_late_keeps_no_place_for_what_went_by(feed, writer, root):
    feed.send(header(1, 0), frames(1000, 3), end(1003))
    late = "1000 went by before this writer had joined"
    assert writer.stdout.readline() == f"{root}/series_000001.h5: 3 frames; {late}\n"
    assert column(root / "series_000001.h5", "frame_in_series") == [1000, 1001, 1002]


def test_a_message_that_cannot_be_read_is_passed_over(feed, writer, root):
    feed.send(capture("x.h5"), header(), frames(0, 2))
    feed.send_parts(b"no json")
    feed.send(frames(3, 1), end(4), END)
    assert writer.stdout.readline() == f"{root}/x.h5: 4 frames, 1 of them missing\n"
    assert column(root / "x.h5", "frame_status") == [0, 0, 2, 0]


def test_a_server_that_comes_back_is_joined_and_its_series_goes_on(feed, writer, root):
    endpoint = feed.endpoint
    feed.send(capture("x.h5"), header(), frames(0, 2))
    feed.wait(Credit)
    feed.close()
    with Feed(endpoint) as again:
        again.hello()
        again.send(capture("x.h5"), header(), frames(5, 1), end(6), END)
        assert writer.stdout.readline() == f"{root}/x.h5: 6 frames, 3 of them missing\n"
    assert column(root / "x.h5", "frame_status") == [0, 0, 2, 2, 2, 0]
    assert column(root / "x.h5", "series_index") == [0] * 6


def test_a_new_server_gets_a_new_file(feed, writer, root):
    endpoint = feed.endpoint
    feed.send(header(1, 0), frames(0, 2))
    feed.wait(Credit)
    feed.close()
    with Feed(endpoint) as again:
        again.hello()
        again.send(header(1, 0, time=5.0), frames(0, 1), end(1))
        assert writer.stdout.readline() == f"{root}/series_000001.h5: 2 frames; their series had not ended\n"
        assert writer.stdout.readline() == f"{root}/series_000001_1.h5: 1 frames\n"


REFUSED = {
    "": "not a name for a file here",
    "/": "not a name for a file here",
    ".": "not a name for a file here",
    "..": "not a name for a file here",
    "../x.h5": "not a name for a file here",
    "/data/../../x.h5": "not a name for a file here",
    "a\0b.h5": r"a\x00b.h5: a name with control characters",
    "a\nb.h5: 99 frames": r"a\nb.h5: 99 frames: a name with control characters",
    "\x1b[2Jx.h5": r"\x1b[2Jx.h5: a name with control characters",
    "a\u202eb.h5": r"a\u202eb.h5: a name with control characters",
    ".x.h5": "begins with a dot",
    "/data/.bash_profile": "begins with a dot",
    "x" * 256: "(256 characters): a name of more than 255 bytes",
    "\u00e4" * 128 + ".h5": "a name of more than 255 bytes",
    "x" * 100_000: "(100000 characters): a name of more than 255 bytes",
    "link.h5": "leads out of",
    "/elsewhere/directory.h5": "leads out of",
    "taken": "taken: Is a directory",
}
CONFINED = {
    "/etc/passwd": "passwd",
    "no/such/directory/x.h5": "x.h5",
    "-rf": "-rf",
    "%s%n%d.h5": "%s%n%d.h5",
    "{0.__class__}.h5": "{0.__class__}.h5",
    "~/$HOME;x.h5": "$HOME;x.h5",
    "inside.h5": "inside_1.h5",  # a link to somewhere else in the root
    "dangling.h5": "dangling_1.h5",
    "x\u00e4 y.h5": "x\u00e4 y.h5",
}


def test_names_from_the_wire_are_refused_or_confined(feed, writer, root):
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "link.h5").symlink_to(outside / "link.h5")
    (root / "directory.h5").symlink_to(outside)
    (root / "taken").mkdir()
    (root / "old.h5").write_text("precious")
    (root / "inside.h5").symlink_to(root / "old.h5")
    (root / "dangling.h5").symlink_to(root / "new.h5")
    before = {path.name for path in root.iterdir()}
    # What the server says of its own files must not matter either.
    nonsense = {"pattern": "%n%s%s%999999999d", "number": -1, "overwrite": True, "create_directories": -9}
    for number, (name, reason) in enumerate(REFUSED.items(), 1):
        feed.send(capture(name, capture_id=number, **nonsense), header(number, number), frames(0, 1, number))
        feed.send(end(1, number), CaptureEnd(capture_id=number))
        line = writer.stdout.readline()
        assert "failed after 0 frames" in line and reason in line
        assert len(line) < 1000 and line[:-1].isprintable()
    assert {path.name for path in root.iterdir()} == before
    for number, (name, taken) in enumerate(CONFINED.items(), 100):
        feed.send(capture(name, capture_id=number, **nonsense), header(number, number), frames(0, 2, number))
        feed.send(end(2, number), CaptureEnd(capture_id=number))
        assert writer.stdout.readline() == f"{root}/{taken}: 2 frames\n"
        np.testing.assert_array_equal(spectra(root / taken), frames(0, 2, number).mca)
    assert {path.name for path in root.iterdir()} == before | set(CONFINED.values())
    assert (root / "old.h5").read_text() == "precious"
    assert sorted(path.name for path in root.parent.iterdir()) == ["outside", "root"]
    assert not list(outside.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_file(feed, writer, root, number):
    feed.send(capture("x.h5"), header(), *(frames(k, 1) for k in range(16)))
    feed.wait_until_taken()
    writer.send_signal(number)
    assert writer.stdout.readline() == f"{root}/x.h5: 16 frames; their series had not ended\n"
    assert writer.wait(PATIENCE) == 0
    np.testing.assert_array_equal(spectra(root / "x.h5"), frames(0, 16).mca)
    with h5py.File(root / "x.h5") as file:
        assert list(file["/entry/instrument/xspress3/series/end_reason"]) == [b"writer stopped"]


@pytest.mark.parametrize("output", ["pipe", "disk"])
def test_it_goes_on_when_nobody_can_read_what_it_says(feed, root, output):
    where = subprocess.PIPE if output == "pipe" else open("/dev/full", "w")
    with subprocess.Popen(program(feed, root), stdout=where, stderr=subprocess.PIPE, text=True) as writer:
        (writer.stdout or where).close()
        feed.hello()
        for number in (1, 2, 3):
            feed.send(header(number, 0), frames(0, 3, number), end(3, number))
        feed.wait_until_taken()
        writer.send_signal(signal.SIGTERM)
        assert writer.wait(PATIENCE) == 0
        assert writer.stderr.read().count("No more is said on standard output") == 1
    for number in (1, 2, 3):
        np.testing.assert_array_equal(spectra(root / f"series_{number:06}.h5"), frames(0, 3, number).mca)


def test_nohup_keeps_it(feed, root):
    command = ["nohup", *program(feed, root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:
        feed.hello()
        writer.send_signal(signal.SIGHUP)
        feed.send(header(1, 0), frames(0, 3), end(3))
        assert writer.stdout.readline() == f"{root}/series_000001.h5: 3 frames\n"
        writer.terminate()


def test_it_does_not_claim_to_be_the_servers_writer(feed, writer):
    hello = next(report for report in feed.reports if isinstance(report, Hello))
    assert hello.token == ""
    feed.send(capture("x.h5"), END)
    writer.stdout.readline()
    assert all(isinstance(report, Hello) for report in feed.reports)


@pytest.mark.parametrize(
    "arguments",
    [["--root", "/no/such/directory"], ["--template", "no number"], ["--template", "../%d"], ["--connect", "host:x"]],
)
def test_wrong_arguments_are_named(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err
