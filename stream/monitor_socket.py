"""The monitor socket: requests and answers, whoever asks and however."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from xsp3ioc.stream.curve import Curve
from xsp3ioc.stream.messages import Refused, encode
from xsp3ioc.stream.served_socket import SHORTEST_TURN, ServedSocket

Reply = Sequence[Any]
MOST_ANSWERS = 32
"""Requests to the monitor that are answered in a turn."""
LONGEST_REST = 0.05
"""Seconds."""
MOST_WAITING = 32
"""Requests of a client, and answers to it, that wait."""
MOST_PARTS = 16
"""Of a request with the envelope that it has collected on its way."""


class MonitorSocket(ServedSocket):
    """For REQ clients: any request is answered at once with what `answer` says; it never delays the acquisition.

    A ROUTER that behaves as a REP: one message that is no ZeroMQ makes a real REP deaf for all others (libzmq 4.3).
    """

    def __init__(self, endpoint: str, answer: Callable[[bytes], Reply], curve: Curve | None = None) -> None:
        """`answer` gets a request and returns the parts of the reply; its ValueError is told to who has asked."""
        # A client that asks and does not read costs a few answers of memory.
        marks = {"RCVHWM": MOST_WAITING, "SNDHWM": MOST_WAITING}
        super().__init__(zmq.ROUTER, [endpoint], "--monitor-port", curve, **marks)
        self._answer = answer

    def _turn(self, readable: bool) -> None:
        began = time.monotonic()
        for _ in range(MOST_ANSWERS if readable else 0):
            try:
                parts, more = self._receive()
            except zmq.Again:
                break
            if b"" not in parts[1 : -1 if not more else None]:
                continue  # no request: it has no envelope
            body = parts.index(b"", 1) + 1
            try:
                if more or len(parts) > body + 1:
                    raise ValueError("a request of several parts: it is one")
                reply = self._answer(parts[body])
            except ValueError as error:
                reply = [encode(Refused(error=str(error)))]
            with contextlib.suppress(zmq.ZMQError):  # it is gone already
                self._socket.send_multipart([*parts[:body], *reply], zmq.DONTWAIT, copy=False)
        # Whatever they ask: who floods this socket gets a part of a processor, and the detector keeps the rest.
        self._rest = min(max(SHORTEST_TURN, 2 * (time.monotonic() - began)), LONGEST_REST)

    def _receive(self) -> tuple[list[bytes], bool]:
        """Return the first parts of a message, and whether there were more; zmq.Again if there is none."""
        parts = [self._socket.recv(zmq.DONTWAIT)]
        more = False
        while self._socket.getsockopt(zmq.RCVMORE):
            part = self._socket.recv(zmq.DONTWAIT)
            if len(parts) < MOST_PARTS:
                parts.append(part)
            else:
                more = True
        return parts, more
