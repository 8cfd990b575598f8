"""The subscribers of the data socket: their queues of references, their credit, and what they lost."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from typing import Any

import msgspec

from xsp3ioc.stream.messages import (
    Block,
    Capture,
    CaptureEnd,
    Gap,
    Header,
    Image,
    Message,
    ProtocolError,
    SeriesEnd,
    encode,
)
from xsp3ioc.stream.pool import Pool

MOST_SUBSCRIBERS = 64
MOST_CREDIT = 32
"""Blocks on their way to one subscriber."""
MOST_SLABS = 8
"""Slabs of the pool that these blocks lie in: they are out of our hands, so a stopped one holds no more than that."""


class Audience(Enum):
    """Whom a message is for."""

    all = "all"
    writer = "writer"
    """The server's own file writer."""
    others = "others"


@dataclass(slots=True, eq=False)
class Item:
    """One message for some subscribers; its JSON part is made once for all."""

    message: Message
    head: bytes
    block: Block | None = None
    audience: Audience = Audience.all
    number: int = 0
    """Counts all items of the socket: who waits for an older one, holds more of the pool."""
    slab: int = 0
    """Slab of the pool that its block lies in."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """Who it is, what waits for it, and what it did not get."""

    identity: bytes
    name: str
    credit: int
    writer: bool = False
    """The server's own file writer: never cut off, and it finds blocks in our memory instead of getting them."""
    library: str = ""
    """Version of the HDF5 library that a writer has."""
    compressed: bool = False
    """Its spectra are compressed."""
    flight: deque[tuple[int, Block | None]] = field(default_factory=deque)
    """Slabs of the blocks on their way, and those that the writer looks at in our memory; each credit lets one go."""
    slabs: int = 0
    """Slabs that `flight` is in."""
    queue: deque[Item] = field(default_factory=deque)
    waiting: int = 0
    """Frames in the queue."""
    lost: list[tuple[int, Gap]] = field(default_factory=list)
    """Frames that it will never get, with the series that they are of; told with the end of that series."""
    moved: float = 0.0
    """When a block was sent to it, or it gave credit, s of time.monotonic."""
    cut_off: bool = False
    """It was too slow: it gets no more of the series before it gives credit."""
    full: bool = False
    """What is on its way to it takes all the memory that it may take."""
    stuck: bool = False
    """It made no progress when the end of a series waited for it; nobody waits for it again until it does."""

    def add(self, item: Item) -> None:
        """Queue a message; what one who is cut off does not get is lost."""
        if isinstance(item.message, Header):
            self.cut_off = False
        if item.block is None or not self.cut_off:
            self.queue.append(item)
            self.waiting += len(item.block) if item.block is not None else 0
        else:
            self._lose(item.block)

    def next(self, spare: bool = True) -> Item | None:
        """Return the message to send now, or None: nothing to send, or no credit for it, or no more memory.

        Where memory is not to `spare`, it gets blocks of one slab at a time.
        """
        if not self.queue or self.starved:
            return None
        item = self.queue[0]
        block = item.block
        if block is not None:
            news = not self.flight or self.flight[-1][0] != item.slab
            self.full = news and not self.writer and self.slabs >= (MOST_SLABS if spare else 1)
            if self.full:
                return None
            self.moved = time.monotonic()
            self.slabs += news
            self.credit -= 1
            self.waiting -= len(block)
            self.flight.append((item.slab, block if self.writer else None))
        return self.queue.popleft()

    def parts(self, item: Item) -> list[Any]:
        """Return the parts of the message for this subscriber."""
        message = item.message
        if self.writer and isinstance(message, Image) and item.block is not None and item.block.place is not None:
            return [encode(msgspec.structs.replace(message, shared=item.block.place))]
        if isinstance(message, SeriesEnd) and self.lost:
            # The end of a series tells each what it lost itself.
            lost = self.lost_of(message.series_id)
            self.lost = [entry for entry in self.lost if entry[0] >= message.series_id]
            return [encode(msgspec.structs.replace(message, lost=lost))]
        return [item.head] if item.block is None else [item.head, *item.block.parts()]

    def lost_of(self, series_id: int) -> list[Gap]:
        """Return what it lost of a series."""
        return [gap for series, gap in self.lost if series == series_id]

    @property
    def starved(self) -> bool:
        """Whether something waits for it that cannot be sent before it gives credit."""
        return bool(self.queue) and self.queue[0].block is not None and (self.credit <= 0 or self.full)

    def give_credit(self, blocks: int) -> None:
        """Take back credit: so many blocks are consumed."""
        self.credit = min(self.credit + max(0, blocks), MOST_CREDIT)
        if blocks > 0:
            self.moved = time.monotonic()
            self.stuck = self.full = self.cut_off = False
        for _ in range(min(blocks, len(self.flight))):
            slab, _block = self.flight.popleft()
            self.slabs -= not self.flight or self.flight[0][0] != slab

    @property
    def oldest(self) -> int | None:
        """Number of the oldest block that waits here; None: none does."""
        return next((item.number for item in self.queue if item.block is not None), None)

    def cut(self) -> list[Gap]:
        """Forget all blocks that wait and say which; what is not data (headers, ends) stays queued."""
        known = [gap.last for _, gap in self.lost]
        for item in self.queue:
            if item.block is not None:
                self._lose(item.block)
        self.queue = deque(item for item in self.queue if not isinstance(item.message, Image))
        self.waiting = 0
        # The last one that was known may have grown.
        return [gap for (_, gap), last in zip_longest(self.lost, known) if gap.last != last]

    def _lose(self, block: Block) -> None:
        series, gap = self.lost[-1] if self.lost else (0, None)
        if gap is not None and series == block.series_id and gap.last + 1 == block.first:
            gap.last = block.end - 1
        else:
            self.lost.append((block.series_id, Gap(block.first, block.end - 1, "subscriber too slow")))


class Subscribers:
    """Everybody on the data socket: who gets which message, who is behind, who has to be cut off.

    The socket's thread distributes; other threads only queue items, ask and wait.
    """

    def __init__(self, pool: Pool) -> None:
        """Blocks lie in `pool`; at most three quarters of it are out of our hands."""
        self._slab_bytes = pool.slab_bytes
        self._spare = pool.slabs // 2
        """Slabs that all together may take; beyond it each has only one."""
        self._most = min(MOST_SUBSCRIBERS, max(1, pool.slabs // 4))
        self.known: dict[bytes, Subscriber] = {}
        self.inbox: deque[Item] = deque()
        self.changed = threading.Condition()
        """Held by the socket's thread while it distributes and sends."""
        self._capture: Capture | None = None
        self._header: Header | None = None
        self._counter = 0

    def join(self, subscriber: Subscriber) -> None:
        """Take in a new one; who comes late, or again, gets the header and then the next block."""
        if not subscriber.writer and len(self.select()) >= self._most:
            more = "" if self._most == MOST_SUBSCRIBERS else ": a larger pool has room for more"
            raise ProtocolError(f"there are {self._most} subscribers already{more}")
        self.known[subscriber.identity] = subscriber
        if not subscriber.writer:
            for message in (self._capture, self._header):
                if message is not None:
                    subscriber.add(Item(message, encode(message)))

    def distribute(self) -> None:
        """Move what other threads have queued to the queues of those whom it is for."""
        while self.inbox:
            item = self.inbox.popleft()
            self._counter += 1
            item.number = self._counter
            if item.block is not None:
                item.slab = item.block.place[0] // self._slab_bytes if item.block.place else item.number
            message = item.message
            for subscriber in self.known.values():
                if item.audience not in (Audience.all, Audience.writer if subscriber.writer else Audience.others):
                    continue
                subscriber.add(item)
            if item.audience is not Audience.writer:
                self._remember(message)

    def spare(self) -> bool:
        """Whether the pool has memory for more than one slab for each."""
        return sum(known.slabs for known in self.select()) < self._spare

    def _remember(self, message: Message) -> None:
        if isinstance(message, Capture | CaptureEnd):
            self._capture = message if isinstance(message, Capture) else None
        elif isinstance(message, Header | SeriesEnd):
            self._header = message if isinstance(message, Header) else None

    def select(self, *, writer: bool = False) -> list[Subscriber]:
        """Return the writer, or the others."""
        return [subscriber for subscriber in list(self.known.values()) if subscriber.writer == writer]

    def streamed(self, series_id: int, acquired: int) -> int:
        """Frames of the running series sent to every subscriber; all of `acquired` if there is none."""
        behind = (known.waiting + sum(map(len, known.lost_of(series_id))) for known in self.select())
        return max(0, acquired - max(behind, default=0))

    def cut_laggiest(self, series_id: int, patience: float) -> tuple[str, list[Gap]] | None:
        """Cut off the subscriber that holds the oldest block, if that frees memory; say who lost what.

        One that has lost nothing of this series yet is given `patience` seconds since it took something.
        """
        with self.changed:
            until = time.monotonic() - patience
            lagging = {
                known: oldest
                for known in self.select()
                if (oldest := known.oldest) is not None and (known.moved <= until or known.lost_of(series_id))
            }
            if not lagging:
                return None
            worst = min(lagging, key=lambda known: lagging[known])
            held = (known.oldest for known in self.select(writer=True))
            if any(oldest is not None and oldest <= lagging[worst] for oldest in held):
                return None  # the writer holds the same blocks: nothing would be freed
            # Credit will come only from one who has got something.
            worst.cut_off = bool(worst.flight)
            return worst.name, worst.cut()

    def wait_sent(self, patience: float, give_up: Callable[[], bool], longest: float = math.inf) -> list[str]:
        """Wait until every queue is empty; return the names of those that are behind when it is over.

        It is when nobody took anything for `patience` seconds, and after `longest` seconds in any case. `give_up` is
        asked now and then and must not wait.
        """
        with self.changed:
            left, since = -1, time.monotonic()
            deadline = since + longest
            while not give_up():
                waiting = [known for known in self.select() if known.waiting and not known.stuck]
                if not waiting and not self.inbox:
                    break
                now_left = sum(known.waiting for known in waiting)
                if now_left != left:
                    left, since = now_left, time.monotonic()
                if time.monotonic() > deadline:
                    return [known.name for known in waiting]
                if time.monotonic() - since > patience:
                    for known in waiting:
                        known.stuck = True
                    return [known.name for known in waiting]
                self.changed.wait(0.05)
        return []

    def forget_capture(self) -> None:
        """Drop what waits for the writer: its file is over."""
        with self.changed:
            for subscriber in self.select(writer=True):
                subscriber.cut()

    def forget_writer(self) -> None:
        """Take the writer off the list: it is dead, or as good as dead."""
        with self.changed:
            for subscriber in self.select(writer=True):
                del self.known[subscriber.identity]
