"""Why there is no connection: told by a server that leaves before the receiver could see it."""

import contextlib
import socket
import threading

import pytest
import zmq

from xsp3ioc.receivers import monitor
from xsp3ioc.receivers.connection import GREETING, MECHANISM, mechanism
from xsp3ioc.receivers.keys import OWN, SERVERS, make_keys
from xsp3ioc.receivers.monitor import NoAnswerError, ask
from xsp3ioc.receivers.receiver import Receiver, RefusedError

WHOLE_GREETING = 64


@pytest.fixture(params=["NULL", "CURVE"])
def server(request):
    """A real socket of each kind, and its mechanism."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        if request.param == "CURVE":
            router.curve_server = True
            router.curve_publickey, router.curve_secretkey = zmq.curve_keypair()
        yield f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}", request.param.encode()


@pytest.fixture
def patience(monkeypatch):
    """Long enough for a refusal on a machine that does much else."""
    monkeypatch.setattr(monitor, "CONNECT", 5.0)


class Hasty(threading.Thread):
    """Leaves as soon as it has read a whole greeting, without one of its own: as a server does that is quicker."""

    def __init__(self, kind):
        super().__init__()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._greeting = (GREETING.ljust(MECHANISM.start, b"\0") + kind).ljust(WHOLE_GREETING, b"\0")
        self.left = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(60)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, contextlib.suppress(OSError):
                    self._greet(peer)

    def _greet(self, peer):
        peer.settimeout(60)
        peer.sendall(GREETING)
        greeting = b""
        while len(greeting) < len(GREETING) and (more := peer.recv(len(GREETING) - len(greeting))):
            greeting += more
        if greeting == GREETING:  # who only asks; what ZeroMQ begins with has a length in it
            peer.sendall(self._greeting[len(GREETING) :])
        elif peer.recv(WHOLE_GREETING):  # the rest of its own, as it knows our version
            self.left += 1


def test_a_server_says_how_clients_are_let_in(server):
    endpoint, kind = server
    assert mechanism(endpoint) == kind


def test_who_is_no_server_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and reads nothing
        endpoint = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert mechanism(endpoint) == b""
    assert mechanism(endpoint) == b""
    assert mechanism("ipc:///nowhere") == b""


def test_a_server_with_keys_that_leaves_first_is_told_as_one(patience):
    with Hasty(b"CURVE") as server:
        with Receiver(server.endpoint, "me") as receiver, pytest.raises(RefusedError, match="open to known keys only"):
            receiver.receive(60)
        with pytest.raises(NoAnswerError, match="open to known keys only"):
            ask(server.endpoint, "status", 1.0)
        assert server.left >= 2


@pytest.mark.parametrize(("kind", "what"), [(b"NULL", "has no keys"), (b"CURVE", "has another key than")])
def test_a_server_that_leaves_a_receiver_with_keys_is_told(tmp_path, monkeypatch, patience, kind, what):
    for name in ("me", "server"):
        make_keys(tmp_path, name)
    monkeypatch.setenv(OWN, str(tmp_path / "me.key_secret"))
    monkeypatch.setenv(SERVERS, str(tmp_path / "server.key"))
    with Hasty(kind) as server, pytest.raises(NoAnswerError, match=what):
        ask(server.endpoint, "status", 1.0)
