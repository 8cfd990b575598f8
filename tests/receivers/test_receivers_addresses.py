"""Where a server is: read in one way by every tool."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xsp3ioc import get, list, status
from xsp3ioc.receivers import printer, view
from xsp3ioc.receivers.addresses import address
from xsp3ioc.receivers.monitor import Monitor
from xsp3ioc.receivers.receiver import Receiver

WRITER = [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect"]
WRONG = (
    "", ":9998", "tcp://", "tcp://:1", "host:", "host:port", "host:0", "host:65536", "tcp://host:99999", "host:-1",
    "host:0x10", "host:9_9", "host:\N{ARABIC-INDIC DIGIT THREE}", "two words", "host/x", "[::1]:9998", "::1",
    "udp://host:1", "http://host", "inproc://x", "host:1\n",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("b316a", "tcp://b316a:7"), ("10.1.2.3:8", "tcp://10.1.2.3:8"), ("tcp://b316a", "tcp://b316a:7"),
        ("tcp://b316a:65535", "tcp://b316a:65535"), ("b316a:0099", "tcp://b316a:99"), ("ipc:///tmp/x", "ipc:///tmp/x"),
    ],
)  # fmt: skip
def test_what_is_meant(text, meant):
    assert address(text, 7) == meant
    assert address(meant, 7) == meant


@pytest.mark.parametrize("text", WRONG)
def test_what_is_none(text):
    for connect in (Monitor, lambda endpoint: Receiver(endpoint, "x")):
        with pytest.raises(ValueError, match=r"is not an address like host, host:999\d .*ports are 1 to 65535"):
            connect(text)


def test_what_only_zeromq_knows():
    with pytest.raises(ValueError, match="tcp://a@b:9998 is not an address: invalid argument"):
        Monitor("a@b")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (view.main, ["--text", "--connect"]), (printer.main, ["--connect"]), (status.main, ["--monitor"]),
        (list.main, ["--monitor"]), (get.main, ["NumImages", "--monitor"]),
    ],
    ids=("view", "print", "status", "list", "get"),
)  # fmt: skip
def test_a_port_that_there_is_not_is_refused_at_once(main, arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "tcp://127.0.0.1:99999"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "error: 'tcp://127.0.0.1:99999' is not an address like" in said
    assert "ports are 1 to 65535" in said


def test_the_writer_too():
    done = subprocess.run([*WRITER, "127.0.0.1:99999"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ports are 1 to 65535" in done.stderr.splitlines()[-1]


def test_the_writer_at_a_host(tmp_path):
    with subprocess.Popen([*WRITER, "127.0.0.1"], stderr=subprocess.PIPE, text=True, cwd=tmp_path) as writer:
        assert "tcp://127.0.0.1:9999" in writer.stderr.readline()
        writer.terminate()
