"""The subscribers of the data socket: who gets which message, who is behind, who is cut off."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from xsp3ioc.stream.messages import Capture, CaptureEnd, Gap, Header, Message, ProtocolError, SeriesEnd, encode
from xsp3ioc.stream.pool import Pool
from xsp3ioc.stream.subscriber import Audience, Item, Subscriber

log = logging.getLogger(__name__)

MOST_SUBSCRIBERS = 64


class Subscribers:
    """Everybody on the data socket. The socket's thread distributes; others only queue items, ask and wait."""

    def __init__(self, pool: Pool) -> None:
        """Blocks lie in `pool`; at most half of it is out of our hands."""
        self._slab_bytes = pool.slab_bytes
        self._spare = pool.slabs // 4
        """Slabs that all together may take; beyond it each has only one."""
        self._most = min(MOST_SUBSCRIBERS, max(1, pool.slabs // 4))
        self.known: dict[bytes, Subscriber] = {}
        self.inbox: deque[Item] = deque()
        self.changed = threading.Condition()
        """Held by the socket's thread while it distributes and sends."""
        self._capture: Capture | None = None
        self._header: Header | None = None
        self._counter = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self.select()) >= self._most

    def join(self, subscriber: Subscriber) -> None:
        """Take in a new one; who comes late, or again, gets the header and then the next block."""
        if not subscriber.writer and self.full:
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

    def spare(self) -> int:
        """Slabs that may be on their way to subscribers beside those that are, and one to each."""
        return self._spare - sum(known.slabs for known in self.select())

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
        behind = (known.waiting + known.frames_lost(series_id) for known in self.select())
        return max(0, acquired - max(behind, default=0))

    def say_losses(self, series_id: int) -> None:
        """Say in the log, at the end of a series, how much of it each has lost."""
        for known in self.select():
            if lost := known.frames_lost(series_id):
                log.warning("Subscriber %r lost %d frames of series %d: it was too slow", known.name, lost, series_id)

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
