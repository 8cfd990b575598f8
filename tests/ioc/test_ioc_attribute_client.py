"""The client that follows records of other servers, among strangers: none of them stops it, or fills its memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import caproto
import pytest
from server_process import free_port

from xsp3ioc import attribute_client
from xsp3ioc.attribute_client import RecordClient, search_addresses
from xsp3ioc.stream.attribute_values import RecordValues, Wanted

IOC = Path(__file__).parents[1] / "system" / "system_attribute_ioc.py"
ENERGY = Wanted("BL:energy")
SEARCH = 6
"""Command number."""


@pytest.fixture(scope="module")
def beamline():
    """The port of an IOC with the records BL:..."""
    port = free_port()
    own = dict.fromkeys(("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT"), str(port))
    own["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "NO"
    process = subprocess.Popen([sys.executable, IOC, "BL:"], env=os.environ | own, stderr=subprocess.DEVNULL)
    yield port
    process.kill()
    process.wait(60)


class Stranger:
    """Answers the first searches with `answer(cid, port)`; whoever connects to the port gets `greeting`."""

    def __init__(self, answer, greeting=b"", listens=True, answers=1):
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._udp.getsockname()[1]
        self._answer, self._greeting, self._answers = answer, greeting, answers
        self.answered = self.connected = 0
        self._kept = []
        target = self._tcp.getsockname()[1]
        if listens:
            threading.Thread(target=self._greet, daemon=True).start()
        else:
            self._tcp.close()
        threading.Thread(target=self._hear, args=(target,), daemon=True).start()

    def close(self):
        for sock in (self._udp, self._tcp, *self._kept):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _hear(self, target):
        while self.answered < self._answers:
            try:
                data, address = self._udp.recvfrom(65536)
            except OSError:
                return
            while data:
                command, size, _, _, cid, _ = struct.unpack(">HHHHII", data[:16])
                data = data[16 + size :]
                if command == SEARCH and self.answered < self._answers:
                    self.answered += 1
                    self._udp.sendto(self._answer(cid, target), address)

    def _greet(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            self.connected += 1
            self._kept.append(connection)
            connection.sendall(self._greeting)


@pytest.fixture
def strange():
    """Make strangers."""
    made = []

    def make(*arguments, **options):
        made.append(Stranger(*arguments, **options))
        return made[-1]

    yield make
    for stranger in made:
        stranger.close()


def found(cid, port):
    return struct.pack(">HHHHII", SEARCH, 8, port, 0, 0xFFFFFFFF, cid) + bytes(8)


def follow(monkeypatch, wanted, ports, until, seconds=60.0):
    """Follow records until `until(values)`."""
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", " ".join(f"127.0.0.1:{port}" for port in ports))
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")

    async def run():
        values = RecordValues(lambda missing: None)
        client = RecordClient(values)
        values.want(frozenset(wanted))
        try:
            end = asyncio.get_running_loop().time() + seconds
            while not until(values):
                assert asyncio.get_running_loop().time() < end
                await asyncio.sleep(0.01)
        finally:
            await client.close()

    asyncio.run(run())


def is_there(values):
    return values.latest(ENERGY) == 7.112


def test_a_record_is_found(monkeypatch, beamline):
    follow(monkeypatch, [ENERGY, Wanted("BL:energy", True)], [beamline], is_there)


@pytest.mark.parametrize(
    "answer",
    [
        lambda cid, port: b"",
        lambda cid, port: b"\xff" * 40,
        lambda cid, port: found(cid, port)[:10],
        lambda cid, port: found(cid + 1000, port),
    ],
)
def test_answers_that_are_none(monkeypatch, beamline, strange, answer):
    stranger = strange(answer)
    follow(monkeypatch, [ENERGY], [stranger.port, beamline], lambda values: stranger.answered and is_there(values))
    assert not stranger.connected


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 1000,
        struct.pack(">HHHHII", 1, 0xFFFF, 6, 0, 1, 1) + struct.pack(">II", 0xFFFFFFF0, 0xFFFF),
        struct.pack(">HHHHII", 18, 0, 6, 1, 7, 7),
        struct.pack(">HHHHII", 1, 8, 6, 1, 1, 99) + bytes(8),
    ],
)
def test_servers_that_are_none(monkeypatch, beamline, strange, greeting):
    """It answers first, and what it says costs it the connection; then the other one is found."""
    stranger = strange(found, greeting)

    def over(values):
        if stranger.connected:
            monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{beamline}")
        return is_there(values)

    follow(monkeypatch, [ENERGY], [stranger.port], over)
    assert stranger.connected == 1


def test_a_server_that_takes_no_connection(monkeypatch, strange):
    """It is asked again, but not as fast as it answers."""
    stranger = strange(found, listens=False, answers=3)
    follow(monkeypatch, [ENERGY], [stranger.port], lambda values: stranger.answered == 3)


def test_a_host_by_its_name(monkeypatch, beamline):
    """The name server is slow, and the loop does not wait for it."""
    turns, asked, find = [], [], socket.getaddrinfo

    def slow(host, *arguments, **more):
        asked.append(host)
        before, end = len(turns), time.monotonic() + 20
        while len(turns) <= before + 3 and time.monotonic() < end:
            time.sleep(0.01)
        turned.append(len(turns) - before)
        return find("127.0.0.1" if host == "ioc.example" else host, *arguments, **more)

    turned = []
    monkeypatch.setattr(socket, "getaddrinfo", slow)

    def until(values):
        turns.append(1)
        monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"ioc.example:{beamline}")
        return is_there(values)

    follow(monkeypatch, [ENERGY], [], until)
    assert asked == ["ioc.example"]
    assert turned[0] > 3


def test_a_host_that_nobody_knows(monkeypatch, beamline):
    def until(values):
        monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"nobody.invalid {'x' * 300}.y 1.2.3.4:99999 127.0.0.1:{beamline}")
        return is_there(values)

    follow(monkeypatch, [ENERGY], [], until)


def test_no_socket_at_first(monkeypatch, beamline, caplog):
    """It goes on when there is one again."""
    make, failed = caproto.bcast_socket, []

    def fail():
        if len(failed) == 2:
            return make()
        failed.append(1)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(caproto, "bcast_socket", fail)
    monkeypatch.setattr(attribute_client, "LAST_PAUSE", 0.1)
    follow(monkeypatch, [ENERGY], [beamline], is_there)
    assert caplog.text.count("Too many open files") == 2


def test_where_records_are_searched_for(monkeypatch):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "127.0.0.1 10.1.2.3:6064 nonsense:x 10.1.2.3:99999")
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "5099")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")
    assert search_addresses() == [("127.0.0.1", 5099), ("10.1.2.3", 6064)]
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "YES")
    assert ("127.255.255.255", 5099) in search_addresses()
