"""A ZeroMQ socket that is served in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

import zmq

from xsp3ioc.stream.curve import Curve, Gate

log = logging.getLogger(__name__)

MOST_AT_ONCE = 256
"""Messages taken before blocks are sent again: nobody can keep the socket busy by talking."""
SHORTEST_TURN = 0.0005
"""Seconds between two turns of a socket's thread, at least."""
LOOPBACK_BUFFER = 256 << 10
"""Bytes in the kernel on the way to a receiver on this host. 4 MiB, its own choice, have left the processor's cache
when the receiver copies them: a third fewer frames/s. On a network the kernel knows better what the way needs."""
LARGEST_REQUEST = 1 << 16
"""Bytes; receivers and viewers only send short texts."""


class PortInUseError(OSError):
    """Another program has the port."""


class ServedSocket(ABC):
    """A bound socket and the thread that serves it."""

    def __init__(
        self, kind: int, endpoints: list[str], option: str, curve: Curve | None = None, /, **socket_options: int
    ) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_REQUEST)
        self._socket.setsockopt(zmq.LINGER, 500)
        for name, value in socket_options.items():
            self._socket.setsockopt(getattr(zmq, name), value)
        self._gate = Gate(self._context, self._socket, curve) if curve is not None else None
        self._looked_at = [self._socket, *self._open_more()]
        for endpoint in endpoints:
            if curve is not None and endpoint.startswith("tcp:"):
                curve.protect(self._socket)
            if endpoint.startswith("tcp://127."):
                self._socket.setsockopt(zmq.SNDBUF, LOOPBACK_BUFFER)
            try:
                self._socket.bind(endpoint)
            except zmq.ZMQError as error:
                self._close_gate()
                self._context.destroy(linger=0)
                if error.errno == zmq.EADDRINUSE:
                    raise PortInUseError(
                        f"{endpoint} is in use. Is a server running already? Else choose another port: {option}"
                    ) from None
                raise OSError(f"Cannot serve {endpoint} (--listen, {option}): {error.strerror}") from None
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """The last one of `endpoints`, with the port that it got."""
        self._stopping = False
        self._rest = SHORTEST_TURN
        """Seconds before the next turn."""
        self._asleep = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name=option.strip("-"), daemon=True)

    def _open_more(self) -> list[zmq.Socket[Any]]:
        """Open, before anybody can connect, other sockets that call for a turn when something comes; return them."""
        return []

    def start(self) -> None:
        """Begin to serve: from now on the callbacks are called."""
        self._thread.start()

    def _wake_up(self) -> None:
        if not self._asleep:
            return  # it looks once more before it sleeps
        with contextlib.suppress(OSError):  # closed meanwhile
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        rested = 0.0
        poller = zmq.Poller()
        for each in (*self._looked_at, self._wake):
            poller.register(each, zmq.POLLIN)
        while not self._stopping:
            # First asleep, then a look at what there is: a wake-up in between is not lost. Waking a thread that is
            # awake costs the acquisition thread its turn.
            self._asleep = True
            events = dict(poller.poll(0 if self._stopping or self._busy() else None))
            self._asleep = False
            if self._wake in events:
                os.eventfd_read(self._wake)
            # At high rates several blocks a turn: each wake-up drives the acquisition thread off its processor, and
            # its data out of the cache.
            time.sleep(max(0.0, rested - time.monotonic()))
            try:
                self._turn(self._socket in events or rested > 0)
            except Exception:
                # Whatever one message was: the others' frames must get through.
                log.exception("The thread of %s stumbled and goes on", self.endpoint)
            rested = time.monotonic() + self._rest
        self._turn(False)
        self._socket.close()

    def _busy(self) -> bool:
        """Whether there is something to do at once."""
        return False

    @abstractmethod
    def _turn(self, readable: bool) -> None:
        """Do what there is to do; `readable`: messages have come."""

    def close(self) -> None:
        """Send what can be sent at once, and end the thread."""
        self._stopping = True
        self._wake_up()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._close_gate()
        self._context.destroy(linger=500)
        os.close(self._wake)

    def _close_gate(self) -> None:
        if self._gate is not None:
            self._gate.close()
