"""Both faces in one process, on one core: PyTango's server in a thread beside caproto's loop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from server_process import free_port
from tango_client import DEVICE

ROOT = Path(__file__).parents[2]
ACQUIRE = "det1:Acquire"
LONG = 50.0
"""Seconds of an exposure that does not end by itself."""


def test_both_faces_answer(pair):
    assert pair.tango.state() == "STANDBY"
    assert pair.ca.get("det1:DetectorState_RBV") == 0
    assert pair.tango.status() == pair.ca.get("det1:StatusMessage_RBV")


def test_arm_is_seen_by_channel_access(pair):
    pair.set(20, 0.01)
    pair.ca.monitor("det1:Acquire_RBV")
    assert pair.tango.arm_and_look() == "RUNNING"
    pair.tango.wait_for("STANDBY")
    pair.ca.wait_for("det1:Acquire_RBV", 0)
    assert [reading.value for reading in pair.ca.seen("det1:Acquire_RBV")] == [0, 1, 0]
    assert pair.ca.get("det1:ArrayCounter_RBV") == 20


def test_acquire_is_seen_by_tango(pair):
    pair.set(20, 0.01)
    pair.tango.subscribe("State")
    pair.tango.subscribe("Status")
    pair.ca.begin(ACQUIRE, 1)
    pair.tango.events("State", "RUNNING")
    assert pair.ca.put_status(ACQUIRE) == ECA_NORMAL
    # Acquire's callback comes when the series is over: so it is for Tango.
    assert pair.tango.state() == "STANDBY"
    assert pair.tango.events("State", "STANDBY") == ["STANDBY", "RUNNING", "STANDBY"]
    assert pair.tango.events("Status", "Completed Acquisition")[1:] == ["Acquiring Data", "Completed Acquisition"]


def test_a_second_start_is_refused_by_both(pair):
    pair.set(1, LONG)
    assert pair.tango.arm_and_look() == "RUNNING"
    refusal = pair.tango.run("Arm")
    assert refusal.startswith("Arm while acquiring")
    assert pair.ca.get("det1:StatusMessage_RBV") == pair.tango.status() == refusal
    status, _ = pair.ca.put(ACQUIRE, 1)
    assert status == ECA_PUTFAIL
    assert pair.ca.get("det1:StatusMessage_RBV") == pair.tango.status() == f"Acquire = 1{refusal[3:]}"
    assert pair.tango.state() == "RUNNING"
    assert pair.ca.put(ACQUIRE, 0)[0] == ECA_NORMAL
    assert pair.tango.state() == "STANDBY"

    pair.ca.begin(ACQUIRE, 1)
    pair.tango.wait_for("RUNNING")
    assert pair.tango.run("Arm").startswith("Arm while acquiring")
    assert pair.tango.run("Stop") == ""
    assert pair.tango.state() == "STANDBY"
    assert pair.ca.put_status(ACQUIRE) == ECA_NORMAL


def test_of_two_who_start_at_once_one_does(pair):
    pair.set(1, LONG)
    for _ in range(20):
        pair.tango.tell("run", "Arm")
        pair.ca.begin(ACQUIRE, 1)
        refusal = pair.tango.answer()
        pair.tango.wait_for("RUNNING")
        # Behind the other in the queue, so that it is answered too.
        pair.ca.put("det1:NumImages", 1)
        assert pair.tango.run("Stop") == ""
        assert pair.ca.put_status(ACQUIRE) == (ECA_NORMAL if refusal else ECA_PUTFAIL)
        assert refusal == "" or refusal.startswith("Arm while acquiring")


def test_state_is_answered_during_a_storm_of_puts(pair):
    pair.set(1, LONG)
    assert pair.tango.arm_and_look() == "RUNNING"
    pair.tango.tell("poll", 2.0)
    deadline = time.monotonic() + 2.0
    last = 0
    while time.monotonic() < deadline:
        last += 500
        pair.ca.throw("det1:NumImages", list(range(last - 499, last + 1)))
        assert pair.ca.put("det1:NumImages", last)[0] == ECA_NORMAL
    assert pair.tango.answer() == {"RUNNING"}
    assert pair.ca.get("det1:NumImages_RBV") == last
    assert pair.tango.run("Stop") == ""
    assert pair.tango.state() == "STANDBY"


def test_init_disturbs_nothing(pair):
    assert pair.tango.run("Init") == ""
    assert pair.tango.state() == "STANDBY"


def test_what_is_not_connected_cannot_be_armed(start_pair):
    pair = start_pair(server={"connect": False})
    assert pair.tango.state() == "FAULT"
    assert pair.tango.run("Arm") == "Not connected: write 1 to CONNECT (Tango: Init)"
    pair.tango.subscribe("State")
    assert pair.ca.put("det1:CONNECT", 1)[0] == ECA_NORMAL
    assert pair.tango.events("State", "STANDBY") == ["FAULT", "INIT", "STANDBY"]


@pytest.mark.parametrize("running", [False, True], ids=["idle", "running"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_both_faces(start_pair, signum, running):
    pair = start_pair()
    if running:
        pair.set(100_000, 0.001)
        pair.tango.subscribe("State")
        assert pair.tango.arm_and_look() == "RUNNING"
        pair.ca.wait_above("det1:ArrayCounter_RBV", 10)
    assert pair.server.stop(signum) == 0  # long before the series would end by itself
    if running:
        # The clients hear of the end before their server goes.
        assert pair.tango.events("State", "STANDBY")[:3] == ["STANDBY", "RUNNING", "STANDBY"]
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", pair.port))


def test_a_kill_by_tango_ends_the_server_like_a_signal(start_pair):
    pair = start_pair()
    pair.set(1, LONG)
    assert pair.tango.arm_and_look() == "RUNNING"
    pair.tango.kill_server()
    assert pair.server.process.wait(LONG / 2) == 0
    assert "System disconnected." in pair.server.log.read_text()


def test_tango_listens_where_it_is_told_only(start_pair):
    pair = start_pair("--listen", "127.0.0.2")
    assert pair.name == f"tango://127.0.0.2:{pair.port}/{DEVICE}#dbase=no"
    pair.tango.subscribe("State")  # opens the sockets of the events too
    assert set(listening(pair.server.process.pid)) == {"127.0.0.2"}


def listening(pid):
    """Addresses on which the TCP sockets of a process listen."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in links:
            yield socket.inet_ntoa(bytes.fromhex(local.split(":")[0])[::-1])


# what cannot start


def serve(*arguments, directory, code="", main="from xsp3ioc.__main__ import main; sys.exit(main(sys.argv[1:]))"):
    program = [sys.executable, "-c", f"import sys\n{code}\n{main}", "--emulate", "--data-port", "0"]
    return subprocess.Popen(
        [*program, "--monitor-port", "0", *arguments],
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def refusal(process):
    """The one line with which it ends, behind what the file writer may have logged."""
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("xsp3ioc: ")]
    return line


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refusal(serve("--tango", DEVICE, "--tango-port", str(port), directory=tmp_path))
    assert line == f"xsp3ioc: Cannot serve Tango on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize("name", ["xspress3", "a/b", "a/b/c/d", "a/b/", "-nodb/b/c", "a/b/c,d/e/f", "tango://h:1/a/b/c"])
def test_a_wrong_device_name_is_said(tmp_path, name):
    line = refusal(serve(f"--tango={name}", directory=tmp_path))
    assert line == f"xsp3ioc: tango = {name} is no device name like test/xspress3/1"


# PyTango there or not; the folder tango/ in the way or not

WHERE = pytest.mark.parametrize("where", [ROOT, Path("/")], ids=["root", "elsewhere"])

NO_PYTANGO = """
import os
from importlib.machinery import PathFinder

class NoPyTango:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "tango" or name.startswith("tango."):
            spec = PathFinder.find_spec(name, [os.getcwd()] if name == "tango" else path)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return spec

sys.meta_path.insert(0, NoPyTango)
"""


def test_the_folder_tango_hides_no_pytango():
    # With an __init__.py, `import tango` at the root of the repository would find this folder instead of PyTango.
    assert not (ROOT / "tango" / "__init__.py").exists()


@WHERE
def test_both_tangos_can_be_imported(where):
    code = "import tango, xsp3ioc.tango.face as face; print(tango.DevState.STANDBY, face.TangoFace.__module__)"
    result = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["STANDBY", "xsp3ioc.tango.face"], result.stderr


@WHERE
def test_without_pytango_it_says_what_to_install(where):
    line = refusal(serve("--tango", DEVICE, directory=where, code=NO_PYTANGO))
    assert line.startswith("xsp3ioc: --tango needs PyTango: pip install 'xsp3ioc[tango]'")


@WHERE
def test_without_pytango_channel_access_is_served(where):
    with serve("--ca-port", str(free_port()), directory=where, code=NO_PYTANGO) as process:
        try:
            banner = iter(process.stdout.readline, "")
            assert any(line.startswith("Ctrl-C") for line in banner), process.stderr.read()
            process.terminate()
            assert process.wait(60) == 0, process.stderr.read()
        finally:
            process.kill()
