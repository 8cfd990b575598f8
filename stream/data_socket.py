"""The data socket, which loses nothing: it sends each subscriber what waits for it."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import zmq

from xsp3ioc.stream.complaints import Complaints
from xsp3ioc.stream.curve import Curve
from xsp3ioc.stream.departures import Departure
from xsp3ioc.stream.messages import NONE, Block, Credit, FromReceiver, Hello, Message, Ping, ProtocolError, encode
from xsp3ioc.stream.orders import Report
from xsp3ioc.stream.packing import Packer
from xsp3ioc.stream.pool import Pool
from xsp3ioc.stream.served_socket import MOST_AT_ONCE, ServedSocket
from xsp3ioc.stream.strangers import WAY, Strangers, newcomer, understand
from xsp3ioc.stream.subscriber import LONGEST_NAME, MOST_CREDIT, Audience, Item, Subscriber
from xsp3ioc.stream.subscribers import Subscribers

log = logging.getLogger(__name__)


class DataSocket(ServedSocket):
    """A ROUTER; every other thread only hands it messages.

    Each subscriber has a queue of references into the pool and is sent what its credit allows. One that stalls fills
    its own queue only; when the pool is full, the worst one's queue is emptied.
    """

    def __init__(
        self,
        endpoints: list[str],
        pool: Pool,
        token: str = "",
        on_report: Callable[[Report], None] = lambda report: None,
        on_change: Callable[[Departure | None], None] = lambda left: None,
        compression: str = NONE,
        curve: Curve | None = None,
    ) -> None:
        """`on_report` hears the reports of the writer that knows `token`, `on_change` that somebody came or went.

        Both are called from the socket's thread and must not wait; `on_change` hears who left frames behind, if so.
        `compression` is that of the spectra for those who ask for none in particular.
        """
        # Mandatory: sending to one who is gone is an error, not silence. Credit bounds what is on its way, the mark
        # what costs none, and what goes to one who gives credit and takes nothing. Heartbeats find dead hosts only.
        super().__init__(
            zmq.ROUTER,
            endpoints,
            "--data-port",
            curve,
            ROUTER_MANDATORY=1,
            SNDHWM=4 * MOST_CREDIT,
            HEARTBEAT_IVL=10_000,
            HEARTBEAT_TIMEOUT=30_000,
        )
        self._token = token
        self._on_report = on_report
        self._on_change = on_change
        self._compression = compression
        self._packer = Packer()
        if compression != NONE:
            self._packer.prepare()
        self._probes: deque[Collection[str] | None] = deque()
        self._complaints, self._strangers = Complaints(), Strangers()
        self.subscribers = Subscribers(pool)
        self.beside: list[Callable[[Message, Block | None], None]] = []
        """Who gets all messages too that are not for the writer alone; they are called by who publishes."""

    def publish(self, message: Message, block: Block | None = None, audience: Audience = Audience.all) -> None:
        """Queue a message; from any thread, never waits."""
        self.subscribers.inbox.append(Item(message, encode(message), block, audience))
        self._wake_up()
        if audience is not Audience.writer:
            for take in self.beside:
                take(message, block)

    def probe(self, names: Collection[str] | None = ()) -> None:
        """Find out who is gone: of those to whom nothing can be sent, and of `names` (None: of all); never waits."""
        self._probes.append(names)
        self._wake_up()

    @property
    def probing(self) -> bool:
        """Whether that is not known yet."""
        return bool(self._probes)

    def _busy(self) -> bool:
        return bool(self.subscribers.inbox) or self.probing

    def _turn(self, readable: bool) -> None:
        with self.subscribers.changed:
            if readable:
                self._receive()
            self.subscribers.distribute()
            spare = self.subscribers.spare()
            for subscriber in list(self.subscribers.known.values()):
                spare = self._send(subscriber, spare)
            for _ in range(len(self._probes)):
                self._ping(self._probes[0])
                self._probes.popleft()  # now it is known
            self.subscribers.changed.notify_all()

    def _ping(self, names: Collection[str] | None) -> None:
        for known in list(self.subscribers.known.values()):
            if names is None or known.starved or known.name in names:
                self._send_parts(known, [encode(Ping())])

    def _send(self, subscriber: Subscriber, spare: int) -> int:
        """Send what can be sent; return how many of the `spare` slabs are left."""
        left = spare + subscriber.slabs
        while (item := subscriber.next(left > subscriber.slabs)) is not None:
            packed = self._packer.parts(item) if subscriber.compressed else None
            if not self._send_parts(subscriber, packed or subscriber.parts(item)):
                break
            subscriber.sent(item)
        return spare if subscriber.writer else left - subscriber.slabs

    def _send_parts(self, subscriber: Subscriber, parts: list[Any]) -> bool:
        """Return whether they are on their way: else it takes nothing at the moment, or has left."""
        try:
            self._socket.send_multipart([subscriber.identity, *parts], zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            log.debug("Sending to subscriber %r: %s", subscriber.name, error.strerror)
            self._leave(subscriber)
            return False
        return True

    def _leave(self, subscriber: Subscriber) -> None:
        del self.subscribers.known[subscriber.identity]
        log.info("Subscriber %r left the data socket", subscriber.name)
        self._on_change(Departure(subscriber.name, subscriber.waiting) if subscriber.waiting else None)

    def close(self) -> None:
        """Send what can be sent at once, and end the thread; what nobody can be sent any more is said."""
        super().close()
        for known in self.subscribers.select():
            if known.waiting:
                log.warning("Subscriber %r did not take %d frames before the server ended", known.name, known.waiting)

    def _receive(self) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)  # a copy forgets whence it came
            except zmq.Again:
                return
            identity, *parts = (frame.bytes for frame in frames)
            message = None
            try:
                message = understand(parts)
                self._handle(identity, message)
            except ProtocolError as error:
                who = _sender(frames[-1], self.subscribers.known.get(identity) or message)
                self._complaints.say(f"Data socket: {who}: {str(error).removesuffix(WAY)}")
                self._answer(self._strangers.refuse(identity, error))

    def _answer(self, parts: list[bytes]) -> None:
        if parts:
            with contextlib.suppress(zmq.ZMQError):  # it is gone already
                self._socket.send_multipart(parts, zmq.DONTWAIT)

    def _handle(self, identity: bytes, message: FromReceiver) -> None:
        subscriber = self.subscribers.known.get(identity)
        if isinstance(message, Hello):
            # Who has chosen its own identity (the others' begin with 0) has the same one in its next connection.
            if subscriber is None or identity[:1] != b"\0":
                self._join(identity, message)
        elif subscriber is None:
            self._answer(self._strangers.ask_for_hello(identity, message))
        elif isinstance(message, Credit):
            subscriber.give_credit(message.n)
        elif subscriber.writer:
            self._on_report(message)
        else:
            raise ProtocolError("only the server's own writer reports")

    def _join(self, identity: bytes, hello: Hello) -> None:
        subscriber = newcomer(identity, hello, self._token, self._compression)
        if subscriber.compressed:
            self._packer.prepare()
        if (before := self.subscribers.known.get(identity)) is not None:
            self._leave(before)
        if self.subscribers.full:
            self._ping(None)  # who is gone makes room
        self.subscribers.join(subscriber)
        log.info("Subscriber %r joined the data socket", subscriber.name)
        self._on_change(None)


def _sender(frame: zmq.Frame, known: Subscriber | FromReceiver | None) -> str:
    """Return who has sent `frame`, for people to read: the name said in a hello, and the address, as far as known."""
    name = repr(known.name[:LONGEST_NAME]) if isinstance(known, Subscriber | Hello) else ""
    address = ""
    with contextlib.suppress(zmq.ZMQError):  # no TCP
        address = str(frame.get("Peer-Address"))
    return " at ".join(filter(None, (name, address))) or "somebody"
