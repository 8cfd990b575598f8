"""One subscriber of the data socket: its queue of references, its credit, and what it lost."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from typing import Any

import msgspec

from xsp3ioc.stream.messages import Block, Gap, Header, Image, Message, Refused, SeriesEnd, encode

log = logging.getLogger(__name__)

LONGEST_NAME = 64
"""Letters that the server knows of its name."""
MOST_CREDIT = 32
"""Blocks on their way to one subscriber."""
MOST_SLABS = 8
"""Slabs of the pool that these blocks lie in: they are out of our hands, so a stopped one holds no more than that."""
MOST_TOLD = 3000
"""Messages without a block that wait for one subscriber: of a thousand series."""


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
    moved: float = -math.inf
    """When a block was sent to it, or it gave credit, s of time.monotonic, which may have begun just now."""
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
            if len(self.queue) >= MOST_TOLD:
                self._give_up_if_asleep()
        if item.block is None or not self.cut_off:
            self.queue.append(item)
            self.waiting += len(item.block) if item.block is not None else 0
        else:
            self._lose(item.block)

    def _give_up_if_asleep(self) -> None:
        """Forget series that it has slept through, where there are too many of them, and say so to it."""
        told = sum(item.block is None for item in self.queue)
        if told < MOST_TOLD:
            return
        log.warning("Subscriber %r takes nothing: %d frames and the ends of series are lost", self.name, self.waiting)
        refused = Refused(error=f"{told} messages about series have waited for this receiver: it has lost all of them")
        self.queue = deque([Item(refused, encode(refused))])
        self.waiting, self.lost = 0, []

    def next(self, spare: bool = True) -> Item | None:
        """Return the message to send now, or None: nothing to send, or no credit for it, or no more memory.

        Where memory is not to `spare`, it gets blocks of one slab at a time.
        """
        if not self.queue or self.starved:
            return None
        item = self.queue[0]
        if item.block is not None:
            self.full = self._is_news(item) and not self.writer and self.slabs >= (MOST_SLABS if spare else 1)
            if self.full:
                return None
        return item

    def sent(self, item: Item) -> None:
        """Note that the next message is on its way."""
        self.queue.popleft()
        block = item.block
        if block is not None:
            self.moved = time.monotonic()
            self.slabs += self._is_news(item)
            self.credit -= 1
            self.waiting -= len(block)
            self.flight.append((item.slab, block if self.writer else None))

    def _is_news(self, item: Item) -> bool:
        """Whether its block lies in another slab than the one before it."""
        return not self.flight or self.flight[-1][0] != item.slab

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

    def frames_lost(self, series_id: int) -> int:
        """Return how many frames of a series it lost."""
        return sum(map(len, self.lost_of(series_id)))

    @property
    def starved(self) -> bool:
        """Whether something waits for it that cannot be sent before it gives credit."""
        return bool(self.queue) and self.queue[0].block is not None and (self.credit <= 0 or self.full)

    def give_credit(self, blocks: int) -> None:
        """Take back credit: so many blocks are consumed."""
        self.credit = min(self.credit + max(0, blocks), MOST_CREDIT)
        if blocks > 0:
            if self.cut_off:
                log.debug("Subscriber %r takes frames again", self.name)
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
