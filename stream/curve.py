"""CURVE: sockets that are encrypted, and open only to clients whose public keys lie in a directory."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import zmq
from zmq.auth import load_certificate
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

log = logging.getLogger(__name__)

LOOK = 200
"""ms between two looks whether the socket is closed."""
AGAIN = 60.0
"""Seconds before the same client is named again: it tries several times a second."""
MOST_NAMED = 256
"""Clients of whom it is known when they were named."""
FAILURES = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
"""Either end may notice first that they do not speak alike."""
STRANGER = "one without CURVE, or with a wrong key of this server"


class Curve:
    """The server's keys, and the directory with those of its clients."""

    def __init__(self, key: str, clients: str) -> None:
        """`key` is a file with the secret key; OSError says what is wrong with either."""
        if not key or not clients:
            raise OSError("curve_key and curve_clients: set both, the server's secret key and its clients' public ones")
        try:
            public, secret = load_certificate(key)
        except (OSError, ValueError) as error:
            raise OSError(f"curve_key: {error}") from None
        if secret is None:
            raise OSError(f"curve_key: {key} has no secret key: it is the file that ends with .key_secret")
        if not Path(clients).is_dir():
            raise OSError(f"curve_clients: {clients} is no directory with public keys (*.key)")
        self._public, self._secret = public, secret
        self._clients = Path(clients)
        self._unread: dict[Path, str] = {}
        """Files that are no keys, and why: said once."""

    def protect(self, socket: zmq.Socket[Any]) -> None:
        """Have all that is bound from now on take clients of ours only."""
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self._public, self._secret

    def name(self, key: bytes) -> str | None:
        """Return whose public key it is; None: nobody's. Files that come or go are seen at once."""
        for file in sorted(self._clients.glob("*.key")):
            try:
                public, _ = load_certificate(file)
            except (OSError, ValueError) as error:
                if self._unread.get(file) != str(error):
                    log.warning("%s lets nobody in: %s", file, error)
                    self._unread[file] = str(error)
                continue
            self._unread.pop(file, None)
            if public == key:
                return file.stem
        return None


class Gate(threading.Thread):
    """Answers a context's questions who may come in (ZeroMQ's RFC 27), and names in the log who may not."""

    def __init__(self, context: zmq.Context[Any], socket: zmq.Socket[Any], curve: Curve) -> None:
        super().__init__(name="curve", daemon=True)
        self._curve = curve
        self._questions = context.socket(zmq.REP)
        self._questions.bind("inproc://zeromq.zap.01")
        self._failures = socket.get_monitor_socket(FAILURES)
        self._closing = threading.Event()
        self._named: dict[str, float] = {}
        self.start()

    def run(self) -> None:
        """Answer until it is closed."""
        poller = zmq.Poller()
        poller.register(self._questions, zmq.POLLIN)
        poller.register(self._failures, zmq.POLLIN)
        while not self._closing.is_set():
            ready = dict(poller.poll(LOOK))
            if self._failures in ready and recv_monitor_message(self._failures)["event"] != zmq.EVENT_MONITOR_STOPPED:
                self._refuse(STRANGER)
            if self._questions in ready:
                self._questions.send_multipart(self._answer(self._questions.recv_multipart()))
        self._questions.close(0)
        self._failures.close(0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        version, number, _, address, _, mechanism, *credentials = question
        name = None
        if mechanism == b"CURVE" and len(credentials) == 1:
            key = z85.encode(credentials[0])
            name = self._curve.name(key)
            if name is None:
                self._refuse(f"{address.decode(errors='replace')}, whose key {key.decode()} is not known")
            else:
                log.debug("%r comes in from %s", name, address.decode(errors="replace"))
        status = (b"200", b"OK") if name is not None else (b"400", b"no such key")
        return [version, number, *status, (name or "").encode(), b""]

    def _refuse(self, who: str) -> None:
        now = time.monotonic()
        if now - self._named.get(who, -AGAIN) < AGAIN:
            return
        if len(self._named) >= MOST_NAMED:
            self._named.clear()
        self._named[who] = now
        log.warning("Refused a client: %s", who)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self.join(5)
