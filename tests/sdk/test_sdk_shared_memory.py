"""Shared memory that was left behind: only ours, and only what nobody uses, is removed."""

import logging
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Xspress3, shared_memory
from xsp3ioc.sdk.shared_memory import remove_stale_segments, segments

MAPPER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0)
if sys.argv[2] == "open":
    file = open(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""

# Who may read another's /proc/PID/maps depends on the user: never root here, who may read all.
HIDER = """
import ctypes, logging, mmap, os, sys, tempfile
from pathlib import Path
from xsp3ioc.sdk.shared_memory import remove_stale_segments, segments

PR_SET_DUMPABLE = 4
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
directory = Path(tempfile.mkdtemp())
path = directory / "xsp3_hist0"
path.write_bytes(bytes(4096))
ready, end = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    os.close(end[1])
    os.write(ready[1], b"x")
    os.read(end[0], 1)
    os._exit(0)
os.read(ready[0], 1)
try:
    Path(f"/proc/{child}/maps").read_text()
    print("readable")
except PermissionError:
    print("hidden" if child in segments(directory)[0].unknown else "overlooked")
print("removed", len(remove_stale_segments(directory)))
os.close(end[1])
os.waitpid(child, 0)
path.unlink(missing_ok=True)
directory.rmdir()
"""


@pytest.fixture(autouse=True)
def told(caplog):
    caplog.set_level(logging.INFO)


@pytest.fixture(autouse=True)
def nobody_else_hides(monkeypatch):
    """Do not depend on what else our user runs: ssh-agent lets nobody look."""
    monkeypatch.setattr(shared_memory, "_is_ours", lambda process: False)


@pytest.fixture
def directory(tmp_path):
    for name in ("xsp3_scalers0", "xsp3_hist0", "sem.other"):
        (tmp_path / name).write_bytes(bytes(4096))
    return tmp_path


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_is_left_behind_is_removed_and_told(directory, caplog):
    assert remove_stale_segments(directory) == [directory / "xsp3_hist0", directory / "xsp3_scalers0"]
    assert names(directory) == ["sem.other"]
    assert f"Removed shared memory {directory / 'xsp3_scalers0'} (4096 bytes), left by an earlier" in caplog.text
    assert remove_stale_segments(directory) == []


@pytest.mark.parametrize("how", ["mapped", "open"])
def test_what_a_process_uses_stays(directory, how, caplog):
    with subprocess.Popen(
        [sys.executable, "-c", MAPPER, directory / "xsp3_scalers0", how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as user:
        assert user.stdout.readline() == b"ready\n"
        found = {segment.path.name: segment for segment in segments(directory)}
        assert found["xsp3_scalers0"].users == (user.pid,) and not found["xsp3_scalers0"].stale
        assert found["xsp3_hist0"].users == () and found["xsp3_hist0"].stale
        remove_stale_segments(directory)
        assert names(directory) == ["sem.other", "xsp3_scalers0"]
        assert f"xsp3_scalers0 (4096 bytes, our own, used by process {user.pid}) is left alone" in caplog.text
        user.stdin.close()
    remove_stale_segments(directory)
    assert names(directory) == ["sem.other"]


def test_what_this_process_uses_stays(directory):
    with (directory / "xsp3_hist0").open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert remove_stale_segments(directory) == [directory / "xsp3_scalers0"]


def test_a_segment_in_use_under_another_name_stays(directory):
    os.link(directory / "xsp3_hist0", directory / "elsewhere")
    with (directory / "elsewhere").open("rb"):
        assert remove_stale_segments(directory) == [directory / "xsp3_scalers0"]


def test_what_a_process_may_use_that_cannot_be_looked_into_stays():
    result = subprocess.run([sys.executable, "-c", HIDER], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    if lines[0] == "readable":
        pytest.skip("everybody may look into every process here")
    assert lines[0] == "hidden" and lines[-1] == "removed 0"
    assert "cannot be looked into) is left alone" in lines[1]


@pytest.mark.parametrize(
    ("what", "user", "state", "kept"),
    [("maps", "own", "S", True), ("fd", "own", "S", True), ("maps", "other", "S", False), ("maps", "own", "Z", False)],
)
def test_whose_process_cannot_be_looked_into(directory, monkeypatch, tmp_path_factory, what, user, state, kept):
    processes = tmp_path_factory.mktemp("proc")
    process = processes / "4711"
    process.mkdir()
    uid = os.geteuid() + (user == "other")
    (process / "status").write_text(f"Name:\tother\nState:\t{state} (some)\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    # Neither can be read, whoever tries.
    (process / "maps").mkdir() if what == "maps" else (process / "maps").touch()
    (process / "fd").touch() if what == "fd" else (process / "fd").mkdir()
    monkeypatch.undo()
    monkeypatch.setattr(shared_memory, "_PROCESSES", processes)
    # Somebody has them open, so that the kernel does not say that they are free.
    opened = [segment.path.open("rb") for segment in segments(directory)]
    assert all(segment.unknown == ((4711,) if kept else ()) for segment in segments(directory))
    if kept:
        assert remove_stale_segments(directory) == []
    for file in opened:
        file.close()
    # It says so now: the process that cannot be looked into does not use them.
    assert remove_stale_segments(directory)


def test_other_peoples_segments_stay(directory, monkeypatch, caplog):
    mine = os.geteuid()
    monkeypatch.setattr(shared_memory.os, "geteuid", lambda: mine + 1)
    assert remove_stale_segments(directory) == []
    assert len(names(directory)) == 3
    assert f"of user {mine}, not seen in use) is left alone" in caplog.text


def test_links_and_directories_are_no_segments(tmp_path):
    (tmp_path / "target").write_bytes(bytes(10))
    (tmp_path / "xsp3_link").symlink_to(tmp_path / "target")
    (tmp_path / "xsp3_directory").mkdir()
    assert segments(tmp_path) == [] and remove_stale_segments(tmp_path) == []
    assert len(names(tmp_path)) == 3


def test_errors_are_said_not_raised(directory, monkeypatch, caplog):
    def unlink(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", unlink)
    assert remove_stale_segments(directory) == []
    assert "Cannot remove shared memory" in caplog.text and "Permission denied" in caplog.text


def test_a_segment_that_goes_away_meanwhile(directory, monkeypatch):
    def unlink(path):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "unlink", unlink)
    assert remove_stale_segments(directory) == []


def test_a_directory_that_is_not_there(tmp_path):
    assert remove_stale_segments(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("simulated", "init", "left"), [(False, 1, False), (False, 0, True), (True, 1, True)])
def test_it_is_done_before_a_library_initialises_hardware(directory, simulated, init, left):
    seen = []

    class Library(EmulatedLibrary):
        def xsp3_config(self, *arguments):
            seen.append("xsp3_scalers0" in names(directory))
            return super().xsp3_config(*arguments)

        def xsp3_config_init(self, *arguments):
            return self.xsp3_config(*arguments[:10])

    Library.simulated = simulated
    Xspress3.configure(Library(EmulatorSettings()), frames=64, init=init, shared_memory=directory)
    assert seen == [left]


def test_it_is_not_done_when_not_wanted(directory):
    class Library(EmulatedLibrary):
        simulated = False

    Xspress3.configure(Library(EmulatorSettings()), frames=64, shared_memory=None)
    assert len(names(directory)) == 3
