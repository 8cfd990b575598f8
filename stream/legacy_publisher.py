"""The publisher for receivers of xspress3-streamer: lossy by nature, compatible byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from xsp3ioc.stream.legacy_images import END, LegacyImages, Pieces
from xsp3ioc.stream.messages import Block, Header
from xsp3ioc.stream.served_socket import MOST_AT_ONCE
from xsp3ioc.stream.side_socket import SideSocket

WAITING_BYTES = 1 << 30
"""Spectra that wait for a subscriber before it loses frames; copies, so that the pool is not held."""
LEAST_WAITING = 64
"""Frames that may wait, however large they are."""
COMINGS = "inproc://connections"
FULL = "a subscriber is slower than the detector, its frames are lost"


class LegacyPublisher(SideSocket):
    """An XPUB, to its subscribers a PUB: whom it cannot send a frame at once loses that frame, and nobody else does.

    A subscriber that comes in mid-series gets whole frames from the next block on, without a header.
    """

    name = "The xspress3-streamer compatible publisher"
    at_least = "at least "

    def __init__(
        self,
        endpoint: str,
        frame_bytes: int,
        in_parts: bool = False,
        on_drop: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`frame_bytes` are the bytes of a frame's spectra; `in_parts`: a frame is one message, not three."""
        self._in_parts = in_parts
        waiting = max(LEAST_WAITING, WAITING_BYTES // frame_bytes) * (1 if in_parts else len(Pieces._fields))
        super().__init__(
            zmq.XPUB, endpoint, "--legacy-port", on_drop, SNDHWM=waiting, XPUB_MANUAL=1, XPUB_NODROP=1
        )
        self._images: LegacyImages | None = None
        self._connected: set[int] = set()
        """Numbers of the connections that there are."""
        self.subscribers = 0
        """Those who take everything, as far as is known: anybody may tell of one who has left."""

    def _open_more(self) -> list[zmq.Socket[Any]]:
        # Of its subscribers anybody may say that they have left; of its connections only the socket itself.
        self._comings = self._context.socket(zmq.PAIR)
        self._comings.setsockopt(zmq.RCVHWM, 0)  # at its mark the socket itself would stand still
        self._socket.monitor(COMINGS, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._comings.connect(COMINGS)
        return [self._comings]

    def _look(self, readable: bool) -> None:
        with contextlib.suppress(zmq.Again):
            for _ in range(MOST_AT_ONCE):
                message = self._socket.recv(zmq.DONTWAIT)
                # Here, between two frames, and not when it comes: nobody is to begin with a piece of one. The socket
                # says whose turn it is with each part that it gives, be it a stranger's: after every one, then, and
                # for everything, which a SUB that wants less sorts out by itself.
                self._socket.setsockopt(zmq.SUBSCRIBE, b"")
                self.subscribers = max(0, self.subscribers + {b"\x01": 1, b"\x00": -1}.get(message, 0))
        with contextlib.suppress(zmq.Again):  # behind those who have subscribed: all of them have come
            while True:
                event = recv_monitor_message(self._comings, zmq.DONTWAIT)
                change = self._connected.add if event["event"] == zmq.EVENT_ACCEPTED else self._connected.discard
                change(event["value"])

    def _begin(self, header: Header) -> None:
        self._images = LegacyImages(header)
        self._send([self._images.begin()])

    def _frames(self, block: Block) -> None:
        self._look(True)
        if self._images is None or not self._connected:
            return  # nobody to lose them
        lost = 0
        for pieces in self._images.frames(block):
            messages = [pieces] if self._in_parts else [(piece,) for piece in pieces]
            lost += False in [self._send(parts) for parts in messages]
        if lost:
            self._drop(lost, FULL)

    def _end(self, header: Header, reason: str) -> None:
        self._send([END])

    def _drop(self, frames: int, why: str, news: bool = True) -> None:
        if self._connected:  # else there is nobody to lose them
            super()._drop(frames, why, news)

    def _send(self, parts: Sequence[Any]) -> bool:
        """Send a message to all who have room for it; return False if somebody has just run out of it.

        Who has none is left out until it has: those messages nobody counts, but the receiver by their frame numbers.
        """
        try:
            # With NODROP nothing is sent, and Again raised, where anybody has no room.
            self._socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            try:
                self._socket.send_multipart(parts, zmq.DONTWAIT)
            finally:
                self._socket.setsockopt(zmq.XPUB_NODROP, 1)
            return False
        return True
