"""The log of puts, and how much else is logged."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import socket

import caproto
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL, Put, pvs
from ca_processes import Client

from xsp3ioc.log_lines import Formatter


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A server that logs to a file."""
    from server_process import ServerProcess

    directory = tmp_path_factory.mktemp("logged")
    server = ServerProcess(directory, "--log-file", str(directory / "server.log"), server={"prefix": "XF{Xsp:1}"})
    server.file = directory / "server.log"
    yield server
    assert server.stop() == 0


def put(prefix, name, value, as_text=False):
    import epics

    pv = pvs(prefix, name)
    if pv.type.endswith("char"):
        return ECA_NORMAL if pv.put(value, wait=True) else epics.ca.dbr.ECA_TIMEOUT
    return Put(pv, value, as_text).wait()


def do(server, *arguments):
    client = Client(server.environment, put, server.prefix, *arguments)
    try:
        return client.result()
    finally:
        client.end()


def puts(server):
    """What it has logged since the last time: (who, what) of each put of a client."""
    text = server.file.read_text()
    new = text[getattr(server, "seen", 0) :]
    server.seen = len(text)
    found = re.findall(r"^\S+Z INFO xsp3ioc\.puts: (\S+@\S+) (.*)$", new, re.MULTILINE)
    return [(who, what.removeprefix(server.prefix)) for who, what in found]


PUTS = [
    ("det1:NumImages", 12, False, "det1:NumImages = 12, was 16000"),
    # By the name that the client has used.
    ("det1:NumImages.VAL", 13, False, "det1:NumImages.VAL = 13, was 12"),
    ("det1:TriggerMode", "TTL Both", True, "det1:TriggerMode = 4 TTL Both, was 1 Internal"),
    ("C2:EnergyOffset", -1.5, False, "C2:EnergyOffset = -1.5, was 0.0"),
    ("det1:C3_SCA5_HLM", 99, False, "det1:C3_SCA5_HLM = 99, was 4095"),
    ("HDF1:FileName", "a scan", False, "HDF1:FileName = 'a scan', was ''"),
    # What is nothing to the detector, and a field.
    ("Proc1:NumFilter", 8, False, "Proc1:NumFilter = 8, was 1"),
    ("det1:NumImages.DESC", "frames", True, "det1:NumImages.DESC = 'frames', was 'Frames per series'"),
    ("det1:Acquire", 0, False, "det1:Acquire = 0 Done, was 0 Done"),
]


@pytest.mark.parametrize(("name", "value", "as_text", "line"), PUTS)
def test_each_put_is_one_line(logged, name, value, as_text, line):
    puts(logged)
    assert do(logged, name, value, as_text) == ECA_NORMAL
    ((who, what),) = puts(logged)
    assert re.fullmatch(r"\S+@\S+\[127\.0\.0\.1\]", who)
    assert what == line


REFUSED = [
    ("det1:NumImages", 0, False, "det1:NumImages = 0, was 13, refused: NumImages = 0 is below 1"),
    ("det1:ImageMode", "Often", True, "det1:ImageMode = 'Often', was 1 Multiple, refused: ImageMode = 'Often' is"),
    ("Proc1:NumFilter", "many", True, "Proc1:NumFilter = 'many', was 8, refused: "),
]


@pytest.mark.parametrize(("name", "value", "as_text", "line"), REFUSED)
def test_a_refused_put_has_its_reason(logged, name, value, as_text, line):
    puts(logged)
    assert do(logged, name, value, as_text) == ECA_PUTFAIL
    ((_, what),) = puts(logged)
    assert what.startswith(line), what


def levels(server, name):
    """Levels of what a put of `det1:AcquireTime` has made it log."""
    before = len(server.file.read_text())
    assert do(server, "det1:ERASE", 1) == ECA_NORMAL
    assert do(server, "det1:NumImages", 0) == ECA_PUTFAIL
    new = server.file.read_text()[before:]
    return {level for level, logger in re.findall(r"Z ([A-Z]+) (\S+):", new) if logger != "xsp3ioc.puts"}


def test_the_level_is_changed_while_it_runs(logged):
    assert levels(logged, "Info") == {"INFO", "ERROR"}
    assert do(logged, "det1:LogLevel", "Error", True) == ECA_NORMAL
    assert levels(logged, "Error") == {"ERROR"}
    # The account of puts is kept at any level.
    puts(logged)
    assert do(logged, "det1:NumImages", 14) == ECA_NORMAL
    assert [what for _, what in puts(logged)] == ["det1:NumImages = 14, was 13"]
    assert do(logged, "det1:LogLevel", "Debug", True) == ECA_NORMAL
    # Autosave says at this level what it does.
    logged.wait_for_log(" DEBUG xsp3ioc.")
    assert " DEBUG " in logged.file.read_text()
    assert do(logged, "det1:LogLevel", "Info", True) == ECA_NORMAL


FORGED = "2026-11-22T23:00:00.000Z INFO xsp3ioc.puts: boss@desk[10.0.0.9] det1:RESTART = 1 Restart"
LINE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: ")


@pytest.mark.parametrize(
    ("end", "reads"),
    [
        ('.{"arr":{"s":0}}', False),
        ('.{"arr":\n{"s":0}}', False),
        (f'.{{"arr":{{"s":0}},\n"{FORGED}"\n:0}}', False),
        (f'.{{"arr":{{"s":0}},\n"{FORGED}"\n:0}}', True),
        (f'.{{"arr":\r{{"s":0}},"\x1b[2K{FORGED}":0}}', False),
        (f"\n{FORGED}", False),
    ],
)
def test_a_name_makes_no_lines(logged, end, reads):
    """A client writes to, or reads what cannot be read of, a channel whose name has a line of the log in it."""
    before = len(logged.file.read_text())
    with socket.create_connection(("127.0.0.1", logged.port), 60) as sock:
        ask = caproto.CreateChanRequest(f"{logged.prefix}det1:NumImages{end}", 1, 13)
        sock.sendall(bytes(caproto.VersionRequest(0, 13)) + bytes(ask))
        sock.settimeout(2)
        received = b""
        with contextlib.suppress(TimeoutError):
            while answer := sock.recv(65536):
                received += answer
                if sid := created(received):
                    break
        if sid := created(received):
            request = caproto.ReadNotifyRequest(250, 1, sid, 5) if reads else None
            request = request or caproto.WriteNotifyRequest([13], caproto.ChannelType.LONG, 1, sid, 5)
            sock.sendall(bytes(request))
            with contextlib.suppress(TimeoutError):
                sock.recv(65536)
    new = logged.file.read_text()[before:]
    assert not re.search(f"^{re.escape(FORGED)}", new, re.MULTILINE)
    for line in re.split("[\n\r]", new):
        assert not line or line.startswith("    ") or LINE.match(line), new
    assert "\x1b" not in new


def created(data):
    """The server's number of the channel, if it has made it."""
    while len(data) >= 16:
        header = [int.from_bytes(data[at : at + 2], "big") for at in (0, 2)]
        if header[0] == 18:
            return int.from_bytes(data[12:16], "big")
        data = data[16 + header[1] :]
    return None


def test_a_traceback_is_indented():
    """The text of an exception may be a client's."""
    try:
        raise ValueError(f"bad\n{FORGED}\r{FORGED}")
    except ValueError as error:
        info = type(error), error, error.__traceback__
    record = logging.LogRecord("x", logging.ERROR, "", 1, "a\nb %s", ("c\td",), info, sinfo=f"Stack\n{FORGED}")
    first, *more = re.split("[\n\r]", Formatter().format(record))
    assert first.endswith("Z ERROR x: a\\nb c\td")
    assert len(more) > 5
    assert all(line.startswith("    ") for line in more)


def test_a_new_file_after_sighup(logged):
    old = logged.file.rename(logged.file.with_suffix(".old"))
    logged.process.send_signal(signal.SIGHUP)
    logged.wait_for_log("log file opened again")
    logged.seen = 0
    assert do(logged, "det1:NumImages", 15) == ECA_NORMAL
    assert [what for _, what in puts(logged)] == ["det1:NumImages = 15, was 14"]
    assert "det1:NumImages = 15" not in old.read_text()
