"""Commands other than the server, and how an idle server ends."""

import signal
import subprocess
import sys

import pytest
from cli_command import xsp3ioc

from xsp3ioc import __version__
from xsp3ioc.receivers.monitor import NoAnswerError, ask


def test_version(tmp_path):
    result = xsp3ioc("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"xsp3ioc {__version__}\n")


def test_help_names_the_other_commands(tmp_path):
    result = xsp3ioc("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "xsp3ioc demo" in result.stdout
    assert "xsp3ioc status" in result.stdout


def test_list_of_pvs(tmp_path):
    result = xsp3ioc("--list-pvs", "--channels", "2", "--prefix", "XF:05IDD-ES{Xsp:1}:", cwd=tmp_path)
    assert result.returncode == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert len(names) == len(set(names))
    for name in ("det1:Acquire", "det1:Acquire_RBV", "HDF1:Capture", "MCA2:ArrayData", "C2SCA:0:Value_RBV"):
        assert "XF:05IDD-ES{Xsp:1}:" + name in names
    assert "XF:05IDD-ES{Xsp:1}:MCA3:ArrayData" not in names


def test_list_of_pvs_into_a_pipe_that_ends(tmp_path):
    command = f"{sys.executable} -m xsp3ioc --list-pvs --channels 9 | head -n 1"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [("> /dev/full", 1, "xsp3ioc: the output cannot be written: No space left on device\n"), (">&-", 0, "")],
)
@pytest.mark.parametrize("command", ["--list-pvs", "screens"])
def test_output_that_has_no_place(tmp_path, command, where, code, said):
    result = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m xsp3ioc {command} {where}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (code, said)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_idle_server_ends(start_server, signum):
    server = start_server()
    assert server.stop(signum) == 0


def test_status_of_a_server(server, tmp_path):
    result = xsp3ioc("status", "--monitor", server.monitor, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    rows = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in result.stdout.splitlines()}
    assert "(emulated), 4 channels" in rows["detector"]
    assert rows["state"] == "Idle"
    assert rows["message"] == "System Connected"
    assert rows["series"] == "0 of 16,000 frames of 0.25 s"
    assert rows["missing"] == "0"
    assert rows["file"] == "none yet"


def test_status_of_nobody(tmp_path):
    result = xsp3ioc("status", "--monitor", "ipc://nobody", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("xsp3ioc status: nobody answers at ipc://nobody. ")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_status_of_something_else(server, tmp_path):
    # The data socket is ZeroMQ, but no monitor.
    result = xsp3ioc("status", "--monitor", server.data, cwd=tmp_path)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_status_on_a_terminal_without_a_size(server, tmp_path):
    result = xsp3ioc("status", "--monitor", server.monitor, cwd=tmp_path, COLUMNS="0", LINES="0")
    assert (result.returncode, result.stderr) == (0, "")
    assert "state     Idle" in result.stdout


def test_ask_waits_no_longer_than_told():
    # With no end to the waiting this test would have none.
    with pytest.raises(NoAnswerError):
        ask("tcp://127.0.0.1:1", "status", 0.2)
