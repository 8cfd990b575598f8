import signal
import subprocess
import sys

import pytest
from receivers_feed import PATIENCE, Feed, end, frames, header

from xsp3ioc.receivers.printer import main
from xsp3ioc.stream.messages import Credit, Refused


@pytest.fixture
def feed():
    with Feed("tcp://127.0.0.1:*") as feed:
        yield feed


@pytest.fixture
def start(feed):
    printers = []

    def start(*arguments, stdout=subprocess.PIPE):
        place = feed.endpoint.removeprefix("tcp://")
        command = [sys.executable, "-m", "xsp3ioc.receivers.printer", "--connect", place, *arguments]
        printers.append(subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True))
        feed.hello()
        return printers[-1]

    yield start
    for printer in printers:
        printer.kill()
        printer.communicate()


def test_a_series_is_shown(feed, start):
    printer = start("--count", "1")
    feed.send(header(frames=3), frames(0, 3), end(3))
    out, err = printer.communicate(timeout=PATIENCE)
    assert out.splitlines()[0].startswith("Series 1: 3 frames of 0.001 s, 2 channels x 64 bins, Internal")
    assert "simulated" in out
    assert out.splitlines()[-1] == "Series 1: complete; 3 acquired, 3 received, 0 missing"
    assert (printer.returncode, err) == (0, "")


def test_missing_frames_are_named_and_change_the_exit_code(feed, start):
    printer = start("--count", "2")
    feed.send(header(1), frames(0, 1), frames(3, 1), end(4), header(2), frames(0, 1, 2), end(1, 2))
    out, _ = printer.communicate(timeout=PATIENCE)
    assert "  missing 1..2: not received" in out
    assert printer.returncode == 1


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--count", "1"], 130)])
def test_ctrl_c_ends_it(feed, start, arguments, code):
    printer = start(*arguments)
    feed.send(header(), *(frames(k, 1) for k in range(16)))
    feed.wait(Credit)
    printer.send_signal(signal.SIGINT)
    assert printer.communicate(timeout=PATIENCE)[1] == ""
    assert printer.returncode == code


def test_who_reads_it_has_enough(feed, start):
    printer = start()
    printer.stdout.close()
    feed.send(header())
    assert (printer.wait(PATIENCE), printer.stderr.read()) == (0, "")


def test_there_is_no_room_for_it(feed, start):
    with open("/dev/full", "w") as full:
        printer = start(stdout=full)
    feed.send(header())
    assert printer.wait(PATIENCE) == 1
    assert printer.stderr.read() == "xsp3-print: standard output: no space left on device\n"


@pytest.mark.parametrize("count", ["-1", "x", "1.5"])
def test_a_count_that_is_none(count, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--count", count])
    assert stopped.value.code == 2
    assert "how many series, 0 for all" in capsys.readouterr().err


def test_a_refusal_ends_it(feed, start):
    printer = start()
    feed.send(Refused(error="not today"))
    assert "not today" in printer.communicate(timeout=PATIENCE)[1]
    assert printer.returncode == 1


def test_nobody_is_there(feed, start):
    feed.close()
    printer = subprocess.Popen(
        [sys.executable, "-m", "xsp3ioc.receivers.printer", "--connect", feed.endpoint],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert printer.stderr.readline() == f"xsp3-print: nobody answers at {feed.endpoint} yet; waits for it\n"
    finally:
        printer.kill()
        printer.communicate()


def test_a_series_without_an_end(feed, start):
    printer = start("--count", "2")
    feed.send(header(1), frames(0, 3), header(2), frames(0, 1, 2), end(1, 2))
    out, _ = printer.communicate(timeout=PATIENCE)
    assert "Series 1: its end never came; 3 received" in out.splitlines()
    assert "Series 2: complete; 1 acquired, 1 received, 0 missing" in out.splitlines()
    assert printer.returncode == 1


def test_a_server_that_dies(feed, start):
    printer = start()
    feed.send(header(1), frames(0, 3))
    feed.wait(Credit)
    feed.close()
    lost = f"xsp3-print: Connection to {feed.endpoint} lost in series 1, 3 frames of it are here\n"
    assert printer.stderr.readline() == lost
