"""Who may write: told to the clients, kept by the server, and in the log of puts."""

from __future__ import annotations

import re

import caproto
import pytest
from ca_clients import ECA_NOWTACCESS, Put, pvs
from ca_processes import Client as ClientProcess

from xsp3ioc.access import Client, WriteAccess
from xsp3ioc.ca_reader import Reader

LOCAL = Client("alice", "127.0.0.1", True)
OWN_ADDRESS = Client("bob", "10.1.2.3", True)
NEIGHBOUR = Client("alice", "10.1.2.4", False)
STRANGER = Client("", "192.0.2.7", False)
ALL = (LOCAL, OWN_ADDRESS, NEIGHBOUR, STRANGER)


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("everyone", ALL),
        ("host", (LOCAL, OWN_ADDRESS)),
        ("localhost", (LOCAL, OWN_ADDRESS)),
        ("10.1.2.4", (NEIGHBOUR,)),
        ("10.1.2.3, 10.1.2.4", (OWN_ADDRESS, NEIGHBOUR)),
        ("10.1.2.0/24", (OWN_ADDRESS, NEIGHBOUR)),
        ("10.1.*", (OWN_ADDRESS, NEIGHBOUR)),
        ("alice@*", (LOCAL, NEIGHBOUR)),
        ("alice@host", (LOCAL,)),
        ("a*@10.1.0.0/16", (NEIGHBOUR,)),
        (["bob@host", "192.0.2.7"], (OWN_ADDRESS, STRANGER)),
        ([], ()),
    ],
)
def test_rules(rules, allowed):
    access = WriteAccess(rules)
    assert tuple(client for client in ALL if access.allows(client)) == allowed


@pytest.mark.parametrize(
    "rule", ["", "@host", "alice@", "10.1.2.0/40", "10.1.2.1/24", "beam*", "no such host", "nowhere.invalid", "a,,b"]
)
def test_what_is_no_rule(rule):
    with pytest.raises(ValueError, match=r"none of|network|pattern|known"):
        WriteAccess(rule)


def look(prefix, name):
    """Rights to read and to write, what libca says of a put, and the value before and after."""
    import epics

    pv = pvs(prefix, name)
    rights = bool(epics.ca.read_access(pv.chid)), bool(epics.ca.write_access(pv.chid))
    value = pv.get()
    if rights[1]:
        status = Put(pv, 7).wait()
    else:
        number = epics.ca.ctypes.c_double(7)
        status = epics.ca.libca.ca_array_put(epics.dbr.DOUBLE, 1, pv.chid, epics.ca.ctypes.byref(number))
    return rights, status, value, pv.get(use_monitor=False)


@pytest.fixture
def libca():
    clients = []

    def run(server, function, *arguments):
        clients.append(ClientProcess(server.environment, function, server.prefix, *arguments))
        return clients[-1].result()

    yield run
    for client in clients:
        client.end()


NAMES = ("det1:NumImages", "det1:CTRL_DTC", "Proc1:NumFilter", "det1:NumImages.PROC", "det1:NumImages.EGU")


def test_a_client_that_may_not_write_sees_so(start_server, libca):
    server = start_server(access={"write": ["10.9.9.9", "nobody@host"]})
    for name in NAMES:
        rights, status, before, after = libca(server, look, name)
        assert rights == (True, False), name
        assert (status, before) == (ECA_NOWTACCESS, after), name


def test_one_that_may_does(start_server, libca):
    server = start_server(access={"write": "host"})
    assert libca(server, look, "det1:NumImages") == ((True, True), 1, 16000, 7)
    # What nobody can write he cannot either.
    assert libca(server, look, "det1:ArrayCounter_RBV")[:2] == ((True, False), ECA_NOWTACCESS)


class Stubborn(Reader):
    """A client that writes whatever it was told, and can change its name."""

    def __init__(self, server):
        super().__init__("127.0.0.1", server.port)

    def call_itself(self, name, channel):
        """The rights on `channel` that it has under that name."""
        self._send(caproto.ClientNameRequest(name))
        answer = self._wait(
            lambda command: isinstance(command, caproto.AccessRightsResponse) and command.cid == channel.cid
        )
        return answer.access_rights

    def write(self, channel, value):
        """The status of the answer."""
        request = channel.write((value,), notify=True)
        self._send(request)
        return self._wait(
            lambda command: isinstance(command, caproto.WriteNotifyResponse) and command.ioid == request.ioid
        ).status.code_with_severity

    def get(self, channel):
        return self.read(channel, "native").data[0]


def test_the_server_keeps_it_whatever_the_client_believes(start_server, tmp_path):
    log = tmp_path / "server.log"
    server = start_server("--write-access", "alice@host", "--log-file", str(log))
    with Stubborn(server) as client:
        channel = client.channel(f"{server.prefix}det1:NumImages")
        assert client.call_itself("mallory\nalice", channel) == caproto.AccessRights.READ
        assert client.write(channel, 5) == ECA_NOWTACCESS
        assert client.get(channel) == 16000
        (line,) = (line for line in log.read_text().splitlines() if "xsp3ioc.puts" in line and "NumImages" in line)
        said = rf"mallory\?alice@\S+\[127\.0\.0\.1\] {server.prefix}det1:NumImages = 5, refused: only alice@host may"
        assert re.search(said, line), line
        # The name is only what the client says; but who it is now counts, not who it was.
        assert client.call_itself("alice", channel) == caproto.AccessRights.READ | caproto.AccessRights.WRITE
        assert client.write(channel, 5) == 1
        assert client.get(channel) == 5
        client.call_itself("mallory", channel)
        assert client.write(channel, 6) == ECA_NOWTACCESS
        assert client.get(channel) == 5
