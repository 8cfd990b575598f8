"""What becomes of a connection: whether there is one and, where the other side refuses it, why and what to do."""

from __future__ import annotations

import contextlib
import socket as sockets
from typing import Any, NamedTuple

import zmq
from zmq.utils.monitor import recv_monitor_message

from xsp3ioc.receivers.keys import OWN, SERVERS

EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
UNKNOWN_KEY = 400
"""What a server answers to a key that it does not know."""
GREETING = b"\xff" + bytes(8) + b"\x7f\x03"
"""So much of ZeroMQ's greeting (RFC 23) that the other side sends its own: signature and version."""
MECHANISM = slice(12, 32)
"""Where a greeting names how clients are let in."""
PATIENCE = 3.0
"""Seconds for a greeting."""


class Refusal(NamedTuple):
    """Why there is no connection."""

    what: str
    hint: str
    """What to do about it."""
    final: bool
    """ZeroMQ does not try again, or would for ever."""


class Connection:
    """Looks at what becomes of the connection of a socket with one endpoint, made after this."""

    def __init__(self, socket: zmq.Socket[Any], endpoint: str) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self.monitor = socket.get_monitor_socket(EVENTS)
        """Readable when there is something to look at."""
        self.up = False
        self.refusal: Refusal | None = None

    def look(self) -> bool:
        """Take in what has happened; return whether there is a new connection.

        Where one has failed, the server is asked why: this takes up to some seconds then.
        """
        new, failed = False, None
        while self.monitor.poll(0):
            happened = recv_monitor_message(self.monitor)
            event = happened["event"]
            new = self.up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if self.up:
                self.refusal = failed = None
            elif event != zmq.EVENT_DISCONNECTED:  # which follows each failure, too
                failed = event, happened["value"]
        if failed is not None:  # only now: more may happen while one finds out why
            self.refusal = self._why(*failed) or self.refusal
        return new

    def close(self) -> None:
        """Look no more."""
        self._socket.disable_monitor()
        self.monitor.close(0)

    def _why(self, event: int, value: int) -> Refusal | None:
        where, encrypted = self._endpoint, self._socket.mechanism == zmq.CURVE
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == UNKNOWN_KEY:
            hint = "Its public half (*.key) belongs into the directory that the server has as curve_clients."
            return Refusal(f"{where} does not know this key", hint, final=True)
        # Which end notices first that they do not speak alike is chance: if it is the other one, it just leaves.
        theirs = b"NULL" if encrypted else b"CURVE"
        if value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH or mechanism(where) == theirs:
            if encrypted:
                return Refusal(f"{where} has no keys", f"Unset {OWN} and {SERVERS}.", final=True)
            hint = f"Set {OWN} to the file of your secret key and {SERVERS} to that of the server's public one."
            return Refusal(f"{where} is open to known keys only", hint, final=True)
        if encrypted:
            hint = "Is it the public one of this server?"
            return Refusal(f"{where} has another key than {SERVERS} names", hint, final=False)
        return None


def mechanism(endpoint: str) -> bytes:
    """Return how the ZeroMQ socket at a TCP endpoint lets clients in, b"NULL" or b"CURVE"; empty: it does not say."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    greeting = b""
    with contextlib.suppress(OSError, ValueError), sockets.create_connection((host, int(port)), PATIENCE) as peer:
        peer.sendall(GREETING)
        while len(greeting) < MECHANISM.stop and (more := peer.recv(MECHANISM.stop - len(greeting))):
            greeting += more
    return greeting[MECHANISM].rstrip(b"\0")
