"""The PVs of a running server: what they are called, and all about some of them."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading

import pytest
import zmq
from cli_command import refused, xsp3ioc
from server_process import ServerProcess

PREFIX, R = "XF:05IDD-ES{Xsp:1}", "cam1:"  # braces, and no colon at the end


@pytest.fixture(scope="module")
def braced(tmp_path_factory):
    directory = tmp_path_factory.mktemp("braced")
    tables = {"server": {"prefix": PREFIX}, "detector": {"emulate": True, "channels": 2}}
    server = ServerProcess(directory, "-r", R, **tables)
    yield server
    assert server.stop() == 0


def listed(server, cwd, *arguments):
    result = xsp3ioc("list", "--monitor", server.monitor, *arguments, cwd=cwd)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout.splitlines()


def got(server, cwd, *names):
    result = xsp3ioc("get", "--monitor", server.monitor, *names, cwd=cwd)
    assert (result.returncode, result.stderr) == (0, ""), result
    blocks = re.findall(r"^(\S.*)\n((?:  .*\n)+)", result.stdout, re.MULTILINE)
    return {name: dict(line.split(maxsplit=1) for line in rows.splitlines()) for name, rows in blocks}


def test_the_list_of_a_server_is_the_one_without_it(braced, tmp_path):
    for form in ("dbl", "table", "tsv"):
        offline = xsp3ioc(
            "--list-pvs", "--format", form, "--prefix", PREFIX, "--detector-prefix", R, "--channels", 2, cwd=tmp_path
        )
        assert offline.returncode == 0
        assert listed(braced, tmp_path, "--format", form) == offline.stdout.splitlines()


def test_every_name_of_the_list_is_served(braced, tmp_path):
    from xsp3ioc.ca_reader import Reader

    names = listed(braced, tmp_path, "--format", "dbl")
    assert len(names) == len(set(names)) > 5000
    with Reader("127.0.0.1", braced.port) as reader:
        assert [name for name in names[::7] if reader.channel(name) is None] == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("LogLevel", [f"{PREFIX}{R}LogLevel", f"{PREFIX}{R}LogLevel_RBV"]),
        ("*C?:EventWidth", [f"{PREFIX}C1:EventWidth", f"{PREFIX}C2:EventWidth"]),
        (f"{PREFIX}MCA2:ArrayData", [f"{PREFIX}MCA2:ArrayData"]),
    ],
)
def test_some_of_them(braced, tmp_path, pattern, names):
    assert listed(braced, tmp_path, pattern, "--format", "dbl") == names


def test_a_line_says_what_it_is(braced, tmp_path):
    (line,) = listed(braced, tmp_path, "*:NumImages")
    assert line.split(maxsplit=3) == [f"{PREFIX}{R}NumImages", "longout", "rw", "Frames per series"]
    heading, row = listed(braced, tmp_path, f"*{R}TriggerMode", "--format", "tsv")
    cells = dict(zip(heading.split("\t"), row.split("\t"), strict=True))
    assert (cells["record_type"], cells["native"], cells["access"]) == ("mbbo", "ENUM", "rw")
    assert cells["choices"].split("|")[1] == "Internal"


def test_none_is_like_that(braced, tmp_path):
    result = xsp3ioc("list", "--monitor", braced.monitor, "Picture", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"xsp3ioc list: none of \d+ PVs is like Picture\n", result.stderr)
    result = xsp3ioc("list", "--monitor", braced.monitor, "HDF1:Capture*", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith("PVs is like HDF1:Capture*; some are like '*HDF1:Capture*'\n")


def test_a_list_into_a_pipe_that_ends(braced, tmp_path):
    command = f"{sys.executable} -m xsp3ioc list --monitor {braced.monitor} | head -n 1"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_all_about_a_number(braced, tmp_path):
    name = f"{PREFIX}{R}NumImages"
    for written in (name, f"{R}NumImages", "NumImages"):
        rows = got(braced, tmp_path, written)[name]
        assert rows["DESC"] == "Frames per series"
        assert (rows["RTYP"], rows["type"], rows["access"]) == ("longout", "LONG", "read, write")
        assert rows["value"] == "16000"
        assert rows["alarm"] == "NO_ALARM"
        assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", rows["time"])


def test_all_about_others(braced, tmp_path):
    names = ("TriggerMode", "StatusMessage_RBV", "MCA1:ArrayData", "C2:EnergyOffset", "PortName_RBV", "NumImages.RTYP",
             "C1SCA:TS:TSNumPoints")  # fmt: skip
    rows = list(got(braced, tmp_path, *names).values())
    trigger, message, spectrum, offset, port, field, points = rows
    assert trigger["value"] == "1 Internal"
    assert trigger["choices"].startswith("0 Software, 1 Internal, 2 IDC, ")
    assert (message["type"], message["value"]) == ("CHAR[256]", "'System Connected'")
    assert (spectrum["type"], spectrum["value"], spectrum["access"]) == ("DOUBLE[4096]", "no values", "read only")
    assert (offset["unit"], offset["precision"], offset["value"]) == ("eV", "2", "0")
    assert port["value"] == "'XSP3'"
    assert field["value"] == "'longout'"
    assert "DESC" not in field
    assert points["limits"] == "1 .. 100000000"


def test_a_spectrum_and_an_alarm(start_server, tmp_path):
    server = start_server(server={"connect": False})
    state = got(server, tmp_path, "DetectorState_RBV")[f"{server.prefix}det1:DetectorState_RBV"]
    assert (state["value"], state["alarm"]) == ("9 Disconnected", "INVALID STATE")
    ca = f"import epics; epics.caput('{server.prefix}det1:CONNECT', 1, wait=True, timeout=60, connection_timeout=60);"
    ca += f"epics.caput('{server.prefix}det1:NumImages', 1, wait=True, connection_timeout=60);"
    ca += f"epics.caput('{server.prefix}det1:Acquire', 1, wait=True, timeout=60, connection_timeout=60)"
    subprocess.run([sys.executable, "-c", ca], env=server.environment, check=True, timeout=180)
    spectrum = got(server, tmp_path, "MCA1:ArrayData")[f"{server.prefix}MCA1:ArrayData"]
    assert re.fullmatch(r"(\d+ ){8}\.\.\. \(4096 values\)", spectrum["value"])


@pytest.mark.parametrize("command", [["status"], ["list"], ["get", "NumImages"]])
def test_an_address_as_people_write_it(braced, tmp_path, command):
    result = xsp3ioc(*command, "--monitor", braced.monitor.removeprefix("tcp://"), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_no_such_pv(braced, tmp_path):
    result = xsp3ioc("get", "--monitor", braced.monitor, "NumImages", "NumImage", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{PREFIX}{R}NumImages\n")
    assert result.stderr == (
        f"xsp3ioc get: NumImage or {PREFIX}NumImage or {PREFIX}{R}NumImage is none of its PVs\n"
    )


@pytest.mark.parametrize("command", [["list"], ["get", "x"]])
def test_nobody_there(tmp_path, braced, command):
    nobody = xsp3ioc(*command, "--monitor", "ipc://nobody", cwd=tmp_path)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "nobody answers at ipc://nobody" in nobody.stderr
    other = xsp3ioc(*command, "--monitor", braced.data, cwd=tmp_path)
    assert (other.returncode, len(other.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("command", [["list"], ["get", "x"]])
@pytest.mark.parametrize("answer", [b"no JSON", b"{}", b'{"htype": "records", "lines": [1]}'])
def test_a_server_of_another_version(tmp_path, command, answer):
    context = zmq.Context()
    server = context.socket(zmq.REP)
    port = server.bind_to_random_port("tcp://127.0.0.1")

    def serve():
        server.recv()
        server.send(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    result = xsp3ioc(*command, "--monitor", f"tcp://127.0.0.1:{port}", cwd=tmp_path)
    thread.join(10)
    context.destroy()
    assert (result.returncode, result.stdout) == (1, "")
    said = f"xsp3ioc {command[0]}: tcp://127.0.0.1:{port} answers, but not as a server of this version does\n"
    assert result.stderr == said


def test_libca_finds_a_name_with_braces(braced):
    names = [f"{PREFIX}{R}NumImages", f"{PREFIX}HDF1:NumCapture"]
    code = f"import epics; print(*(epics.caget(name, timeout=60, connection_timeout=60) for name in {names}))"
    result = subprocess.run(
        [sys.executable, "-c", code], env=braced.environment, capture_output=True, text=True, check=True, timeout=180
    )
    assert result.stdout.split() == ["16000", "16000"]


def test_wrong_write_access(tmp_path):
    line = refused(xsp3ioc("--emulate", "--write-access", "alice@", cwd=tmp_path))
    assert "'alice@' is none of everyone, host" in line
    line = refused(xsp3ioc("--emulate", "--write-access", f"{socket.gethostname()}.invalid", cwd=tmp_path))
    assert "no host" in line
