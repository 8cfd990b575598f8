"""Questions to a server's monitor socket."""

from __future__ import annotations

import zmq

from xsp3ioc.receivers.addresses import MONITOR_PORT, address
from xsp3ioc.receivers.connection import Connection
from xsp3ioc.receivers.keys import connect

HINT = "Does the server run, is this its monitor port, and may other hosts reach it (xsp3ioc --listen)?"
"""Where nothing better is known."""
CONNECT = 1.5
"""Seconds for a server to be reached; one that is there takes a request at once."""
PATIENCE = 4.0
"""Seconds for its answer; on a machine that does much else it is not at once."""
LARGEST_ANSWER = 256 << 20
"""Bytes of a part."""


class NoAnswerError(ConnectionError):
    """Nobody answers there; `hint` says what to do about it."""

    def __init__(self, text: str, hint: str = HINT) -> None:
        super().__init__(text)
        self.hint = hint


class Monitor:
    """A connection to ask through, as often as one likes, whether the server is there or not; of one thread."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` as `address` takes it; ValueError if it is none."""
        self.endpoint = address(endpoint, MONITOR_PORT)
        self._context = zmq.Context()
        self._socket: zmq.Socket | None = None
        self._connection: Connection
        try:
            self._socket = self._connect()
        except ValueError:
            self._context.term()
            raise

    def _connect(self) -> zmq.Socket:
        socket = self._context.socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_ANSWER)
        # Nothing is taken before somebody is there: who waits long for a large answer hears soon that nobody is.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDTIMEO, round(1000 * CONNECT))
        self._connection = Connection(socket, self.endpoint)
        try:
            connect(socket, self.endpoint)
        except ValueError:
            self._leave(socket)
            raise
        return socket

    def _leave(self, socket: zmq.Socket) -> None:
        self._connection.close()
        socket.close()

    def ask(self, request: str, timeout: float = PATIENCE) -> list[bytes]:
        """Return the parts of the answer to `request` (docs/stream.md has them all); part 0 is JSON.

        NoAnswerError if nobody is there, or after `timeout` seconds without an answer.
        """
        if self._socket is None:
            self._socket = self._connect()
        try:
            self._socket.send_string(request)
            answered = self._socket.poll(round(1000 * timeout))
        except zmq.Again:
            answered = False
        if not answered:
            # A late answer, or that of a server that was started meanwhile, would be taken for the next question's.
            self._connection.look()
            self._leave(self._socket)
            self._socket = None
            refusal = self._connection.refusal
            if refusal is not None:
                raise NoAnswerError(refusal.what, refusal.hint)
            raise NoAnswerError(f"nobody answers at {self.endpoint}")
        return self._socket.recv_multipart()

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._leave(self._socket)
        self._context.term()

    def __enter__(self) -> Monitor:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self.close()


def ask(endpoint: str, request: str, timeout: float = PATIENCE) -> list[bytes]:
    """Return the parts of the answer to one request, as `Monitor.ask` does; ValueError as `Monitor` does."""
    with Monitor(endpoint) as monitor:
        return monitor.ask(request, timeout)
