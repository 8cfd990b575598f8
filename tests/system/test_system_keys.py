"""Sockets that are open to known clients only."""

from __future__ import annotations

import json
import os

import pytest
import zmq
from ca_clients import ECA_NORMAL

from xsp3ioc.receivers.keys import OWN, SERVERS, make_keys
from xsp3ioc.receivers.monitor import Monitor, NoAnswerError, ask
from xsp3ioc.receivers.receiver import Receiver, RefusedError
from xsp3ioc.stream.messages import Header, SeriesEnd


@pytest.fixture
def keys(tmp_path):
    """Directories of the server, whom it knows (`clients/map.key`), and of a stranger."""
    for name, directory in (("server", "server"), ("map", "clients"), ("stranger", "elsewhere")):
        (tmp_path / directory).mkdir()
        make_keys(tmp_path / directory, name)
    return tmp_path


def use(monkeypatch, keys, own, server="server/server"):
    monkeypatch.setenv(OWN, str(keys / f"{own}.key_secret"))
    monkeypatch.setenv(SERVERS, str(keys / f"{server}.key"))


def refused(server, *words):
    """Both sockets refuse whoever has the keys that are in use, and say what to do."""
    with Receiver(server.data, "refused") as receiver, pytest.raises(RefusedError) as data:
        receiver.receive(10)
    with pytest.raises(NoAnswerError) as monitor:
        ask(server.monitor, "status", 1.0)
    for text in (str(data.value), f"{monitor.value}. {monitor.value.hint}"):
        assert all(word in text for word in words)


def test_known_clients_come_in_and_others_do_not(start_rig, keys, monkeypatch, peer, caplog):
    files = {"curve_key": str(keys / "server" / "server.key_secret"), "curve_clients": str(keys / "clients")}
    rig = start_rig(server=files)
    log = rig.server.wait_for_log
    # Without keys, with keys that nobody knows, with the key of another server.
    refused(rig.server, "is open to known keys only. Set XSP3IOC_KEY to", "XSP3IOC_SERVER_KEY to")
    dealer = peer(zmq.DEALER, rig.server.data)
    dealer.send(b'{"htype": "hello", "name": "bare"}')
    log("Refused a client: one without CURVE, or with a wrong key of this server")
    use(monkeypatch, keys, "elsewhere/stranger")
    refused(rig.server, "does not know this key. Its public half", "the directory that the server has as curve_clients")
    log("Refused a client: 127.0.0.1, whose key ")
    use(monkeypatch, keys, "clients/map", "elsewhere/stranger")
    with Receiver(rig.server.data, "misled") as receiver:
        assert receiver.receive(0.5) is None
        assert not receiver.connected
    assert "has another key than XSP3IOC_SERVER_KEY names" in caplog.text
    with pytest.raises(NoAnswerError, match="has another key than XSP3IOC_SERVER_KEY names"):
        ask(rig.server.monitor, "status", 0.5)
    assert rig.ca.get("det1:Subscribers") == 0
    # Whom it knows; the server's own writer, as ever.
    use(monkeypatch, keys, "clients/map")
    path = rig.capture("keys", 100)
    with Receiver(rig.server.data, "map", compression="bslz4") as receiver:
        assert receiver.receive(0.1) is None or receiver.connected
        rig.ca.wait_for("det1:Subscribers", 1)
        assert rig.acquire(100) == ECA_NORMAL
        events = []
        while not events or not isinstance(events[-1], SeriesEnd):
            events.append(receiver.receive(10))
        assert any(isinstance(event, Header) for event in events)
        assert (receiver.received, receiver.gaps) == (100, [])
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert os.path.exists(path)
    monitor = Monitor(rig.server.monitor)
    assert json.loads(monitor.ask("status")[0])["channels"] == 4
    monitor.close()
    # A client that is made known comes in without a new start.
    (keys / "clients" / "stranger.key").write_text((keys / "elsewhere" / "stranger.key").read_text())
    use(monkeypatch, keys, "elsewhere/stranger")
    monitor = Monitor(rig.server.monitor)
    assert json.loads(monitor.ask("status")[0])["channels"] == 4
    monitor.close()


def test_keys_for_a_server_that_has_none(start_rig, keys, monkeypatch):
    rig = start_rig()
    use(monkeypatch, keys, "clients/map")
    refused(rig.server, "has no keys. Unset XSP3IOC_KEY and XSP3IOC_SERVER_KEY")


def test_keys_that_a_receiver_cannot_use(keys, monkeypatch):
    use(monkeypatch, keys, "server/nobody")
    with pytest.raises(ValueError, match="nobody.key_secret"):
        Receiver("tcp://127.0.0.1:1", "me")
    monkeypatch.delenv(OWN)
    with pytest.raises(ValueError, match="both or none"):
        Monitor("tcp://127.0.0.1:1")
