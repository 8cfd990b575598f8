"""The receiving end of the data stream: joins a server, returns credit, and accounts for every frame."""

from __future__ import annotations

import logging
import time
from bisect import bisect_right
from collections.abc import Iterator
from types import TracebackType

import zmq

from xsp3ioc.receivers.addresses import DATA_PORT, address
from xsp3ioc.receivers.connection import Connection
from xsp3ioc.receivers.keys import connect
from xsp3ioc.stream.messages import (
    Block,
    Capture,
    CaptureEnd,
    Credit,
    Flush,
    FromReceiver,
    Gap,
    Header,
    Hello,
    Image,
    Ping,
    ProtocolError,
    Refused,
    SeriesEnd,
    Unknown,
    block_from_parts,
    block_from_pool,
    decode_from_server,
    encode,
)

log = logging.getLogger(__name__)

NO_POOL = memoryview(b"")

Event = Capture | Header | Block | SeriesEnd | CaptureEnd | Flush

HEARTBEAT_INTERVAL = 10_000
HEARTBEAT_TIMEOUT = 30_000
"""ms: only a dead host is given up, never a slow one."""
IMAGE_PARTS = 5
MOST_MISSING = 1 << 24
"""Frames that may be missing one after the other; a number beyond that is none: every missing frame gets a place."""
COMPRESSION_HELP = "of the spectra on their way (default: as the server has it)"


class RefusedError(ConnectionError):
    """The server does not take this receiver; trying again is of no use."""


def last_frame(end: SeriesEnd) -> int:
    """Return the number of the last frame of a series, missing ones included; -1 if it has none."""
    # `acquired` does not count those that nobody got.
    due = end.acquired + sum(map(len, end.missing)) - 1
    return max([due, *(gap.last for gap in (*end.missing, *end.lost))])


class Receiver:
    """The events of a server's data stream, in order, each block as arrays over the received memory.

    `endpoint` is the server's data socket as `address` takes it, `name` is what the server calls this receiver, and
    `credit` blocks may be on their way at any time. A block's credit is returned when the next event is asked for:
    a consumer that stops asking holds at most `credit` blocks back. A server that is not there, or that is
    restarted, is joined as soon as it can be reached.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        *,
        credit: int = 16,
        token: str = "",
        library: str = "",
        pool: memoryview = NO_POOL,
        compression: str = "",
    ) -> None:
        """`compression` of the spectra on their way: none, bslz4, or as the server has it.

        `token`, `library` (HDF5's version) and `pool`, the server's memory, are for its own writer.

        A block in that memory is only valid until the next event is asked for.
        """
        self.endpoint = address(endpoint, DATA_PORT)
        self._pool = pool
        self.received = 0
        """Frames of the running series that arrived."""
        self.gaps: list[Gap] = []
        """Frames of the running series that did not arrive; complete once its SeriesEnd has been returned."""
        self.garbage = 0
        """Messages that were not understood."""
        self.misread = ""
        """Why the last of them was not."""
        self.late = False
        """The running series may have begun before this receiver had joined."""
        self._hello = encode(Hello(name=name, credit=credit, token=token, library=library, compression=compression))
        self._owed = 0
        self._series = (0, 0.0)
        self._next = 0
        self._running = False
        self._fresh = True
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.SNDTIMEO, 1000)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        self._connection = Connection(self._socket, self.endpoint)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._connection.monitor, zmq.POLLIN)
        try:
            connect(self._socket, self.endpoint)
        except ValueError:
            self.close()
            raise

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """Yield events for ever; RefusedError when the server does not take us."""
        while True:
            event = self.receive()
            if event is not None:
                yield event

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection.up

    @property
    def refusal(self) -> str:
        """Why there is no connection, and what to do, where the other side has said so; else empty."""
        refusal = self._connection.refusal
        return f"{refusal.what}. {refusal.hint}" if refusal is not None else ""

    def receive(self, timeout: float | None = None) -> Event | None:
        """Return the next event, or None when none came within `timeout` seconds (None: wait for ever).

        RefusedError when the server does not take this receiver. A block's arrays stay valid as long as they are
        referred to.
        """
        # One message for each block: gathering them measured slower.
        if self._owed:
            self._return_credit()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                if not self._wait(deadline):
                    return None
                continue
            event = self._understand(parts)
            if event is not None:
                return event

    def report(self, message: FromReceiver) -> bool:
        """Send a report to the server; False if there is no connection to send it on. RefusedError as `receive`."""
        return self._send(encode(message))

    def close(self) -> None:
        """Leave the server; reports sent before have a second to get through."""
        if not self._socket.closed:
            self._connection.close()
            self._socket.close()
            self._context.term()

    def _wait(self, deadline: float | None) -> bool:
        """Wait for data or a change of the connection; False when the deadline has passed."""
        if self._owed:
            self._return_credit()
        wait = None if deadline is None else max(0, round(1000 * (deadline - time.monotonic())))
        ready = self._poller.poll(wait)
        self._watch_connection()
        return bool(ready)

    def _watch_connection(self) -> None:
        """Say hello wherever there is a new connection; RefusedError where there never will be one."""
        before, refused = self.connected, self.refusal
        if self._connection.look():
            log.info("Connected to %s", self.endpoint)
            self._owed = 0
            self._fresh = True
            self._socket.send(self._hello)
        elif before and not self.connected:
            here = f" in series {self._series[0]}, {self.received} frames of it are here" if self._running else ""
            log.log(logging.WARNING if here else logging.INFO, "Connection to %s lost%s", self.endpoint, here)
        refusal = self._connection.refusal
        if refusal is not None and refusal.final:
            raise RefusedError(self.refusal)
        if self.refusal not in ("", refused):
            log.warning("%s", self.refusal)

    def _return_credit(self) -> None:
        credit, self._owed = self._owed, 0
        self._send(encode(Credit(n=credit)))

    def _send(self, message: bytes) -> bool:
        # What is sent without a connection would wait, and reach the next server before our hello.
        self._watch_connection()
        if not self.connected:
            return False
        try:
            self._socket.send(message)
        except zmq.Again:
            return False
        return True

    def _understand(self, parts: list[zmq.Frame]) -> Event | None:
        image = len(parts) == IMAGE_PARTS
        self._owed += image
        try:
            message = decode_from_server(parts[0].buffer)
            if isinstance(message, Image):
                self._owed += not image
                if image:
                    block = block_from_parts(message, [part.buffer for part in parts[1:]])
                else:
                    block = block_from_pool(message, self._pool)
                self._count(block)
                return block
            if isinstance(message, SeriesEnd):
                self._end(message)
        except ProtocolError as error:
            self.garbage += 1
            self.misread = str(error)
            log.warning("Message from %s ignored: %s", self.endpoint, error)
            return None
        if isinstance(message, Ping | Unknown):
            return None  # hello is said as soon as there is a connection
        if isinstance(message, Refused):
            raise RefusedError(f"{self.endpoint} refused: {message.error}")
        if isinstance(message, Header):
            self._begin(message)
        return message

    def _begin(self, header: Header) -> None:
        self.late, self._fresh = self._fresh, False
        self._running = True
        series = header.series_id, header.time
        # A header that comes again, after a reconnection, continues its series.
        if series != self._series:
            self._series = series
            self._next = self.received = 0
            self.gaps = []

    def _count(self, block: Block) -> None:
        if block.series_id != self._series[0]:
            return
        if block.first > self._next:
            self._check_gap(block.first)
            self._gap(block.first - 1, "before this receiver had joined" if self._joining else "not received")
        self.received += len(block)
        self._next = max(self._next, block.end)

    def _end(self, end: SeriesEnd) -> None:
        if end.series_id != self._series[0]:
            return
        self._running = False
        last = last_frame(end)
        if last >= self._next:
            self._check_gap(last)
            self._gap(last, "not received")
        # The server's reasons, where it has named all of a gap.
        named = sorted((*end.missing, *end.lost), key=lambda one: one.first)
        for gap in self.gaps:
            at = bisect_right(named, gap.first, key=lambda one: one.first) - 1
            if at >= 0 and gap.last <= named[at].last:
                gap.reason = named[at].reason

    @property
    def _joining(self) -> bool:
        """What it has missed may be everything that went by before it had joined; no file has places for that."""
        return self.late and not self.received

    def _check_gap(self, frame: int) -> None:
        if frame - self._next > MOST_MISSING and not self._joining:
            raise ProtocolError(f"frame {frame} behind frame {self._next - 1}: so many cannot be missing")

    def _gap(self, last: int, reason: str) -> None:
        self.gaps.append(Gap(first=self._next, last=last, reason=reason))
        self._next = last + 1
