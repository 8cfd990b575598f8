"""The demo, as a new user runs it, and when something goes wrong in it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from cli_command import xsp3ioc

OVERRUN = """
[detector]
ring_frames = 20
[emulator.faults]
slow_read = 0.2
"""


def demo(tmp_path, *arguments, **environment):
    return xsp3ioc("demo", "--output", tmp_path / "out", *arguments, cwd=tmp_path, timeout=120, **environment)


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A small demo, among EPICS variables of another place."""
    tmp_path = tmp_path_factory.mktemp("demo")
    elsewhere = {
        "EPICS_CA_ADDR_LIST": "192.0.2.1", "EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_SERVER_PORT": "5999",
        "EPICS_CAS_INTF_ADDR_LIST": "192.0.2.1", "EPICS_CAS_SERVER_PORT": "5998",
    }  # fmt: skip
    return tmp_path / "out", demo(tmp_path, "--frames", 60, "--exposure", 0.002, "--channels", 3, **elsewhere)


def test_nothing_is_lost(taken):
    _, result = taken
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("acquired", "streamed", "written"):
        assert re.search(rf"{word} +\S +60 +\S +0 ", result.stdout), result.stdout
    assert re.search(r"\b3 +\S +[\d,]+ +\S +[\d,]+ +\S +8\.\d\d %", result.stdout), "dead time of channel 3"
    assert "Nothing was lost" in result.stdout


def test_the_file_can_be_read(taken):
    directory, result = taken
    path = directory / "demo_0001.h5"
    assert str(path) in result.stdout
    with h5py.File(path) as file:
        data = file["/entry/data/data"]
        assert data.shape == (60, 3, 4096)
        assert np.all(data[:].sum(axis=(1, 2)) > 0)


def test_the_picture_is_one(taken):
    directory, result = taken
    path = directory / "demo_0001.png"
    assert str(path) in result.stdout
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.stat().st_size > 10_000


def test_again_takes_the_next_name_and_no_picture_is_no_error(taken, tmp_path):
    directory, _ = taken
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')")
    result = xsp3ioc("demo", "--frames", 5, "--output", directory, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result
    assert "pip install" in result.stdout
    assert (directory / "demo_0002.h5").exists()
    assert not (directory / "demo_0002.png").exists()


def test_lost_frames_are_an_error(tmp_path):
    (tmp_path / "slow.toml").write_text(OVERRUN)
    result = demo(tmp_path, "--frames", 200, "--config", tmp_path / "slow.toml")
    assert result.returncode == 1
    assert "Overrun" in result.stderr
    assert "frames were not acquired" in result.stderr
    assert "Nothing was lost" not in result.stdout


def test_a_server_that_cannot_start_has_the_last_word(tmp_path):
    (tmp_path / "wrong.toml").write_text("[server]\nprefx = 'a'\n")
    result = demo(tmp_path, "--config", tmp_path / "wrong.toml")
    assert result.returncode == 1
    assert "ended with exit code 2" in result.stderr
    assert "prefx" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_refused_setting_is_named(tmp_path):
    result = demo(tmp_path, "--exposure", 1000, "--frames", 1)
    assert result.returncode == 1
    assert "AcquireTime = 1000 is above 53.687 s" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("--frames", 0), ("--exposure", "-1"), ("--channels", "x")])
def test_wrong_arguments(tmp_path, arguments):
    result = demo(tmp_path, *arguments)
    assert result.returncode == 2
    assert arguments[0] in result.stderr


def test_output_that_cannot_be(tmp_path):
    (tmp_path / "out").write_text("a file")
    result = demo(tmp_path, "--frames", 1)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


SOME_FRAMES = 2 << 20
"""Bytes of a file that has some frames in it."""


class Running:
    """A demo of a hundred seconds, after its first frames."""

    def __init__(self, tmp_path: Path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xsp3ioc", "demo", "--frames", "100000", "--output", str(tmp_path / "out")],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        file = tmp_path / "out" / "demo_0001.h5"
        deadline = time.monotonic() + 60
        while not file.exists() or file.stat().st_size < SOME_FRAMES:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.server = children(self.process.pid)[0]

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_stops_its_server(tmp_path, signum):
    running = Running(tmp_path)
    writer = children(running.server)[0]
    running.process.send_signal(signum)
    code, errors = running.end()
    assert (code, errors) == (130, "xsp3ioc demo: interrupted; the server is stopped\n")
    for pid in (running.server, writer):
        assert not Path(f"/proc/{pid}").exists()
    with h5py.File(tmp_path / "out" / "demo_0001.h5") as file:
        assert len(file["/entry/data/data"]) > 0, "what was taken is in the file"


def test_death_of_the_server_ends_the_demo(tmp_path):
    running = Running(tmp_path)
    os.kill(running.server, signal.SIGKILL)
    code, errors = running.end()
    assert code == 1
    assert "The server was killed by signal 9" in errors
    assert "Traceback" not in errors


def test_death_of_the_writer_is_told(tmp_path):
    running = Running(tmp_path)
    os.kill(children(running.server)[0], signal.SIGKILL)
    code, errors = running.end()
    assert code == 1
    assert "frames were not written" in errors
    assert "file writer was killed" in errors
