"""What waits to be sent to one Channel Access client: in order, and never more than a bounded amount."""

from __future__ import annotations

import asyncio

BUDGET = 8 << 20
"""Bytes of updates that may wait for a client before only the newest value of each record is kept."""
ARRAY = 4096
"""From this size on only the newest update of a subscription waits: an old spectrum is of no use."""
SEND_AT_ONCE = 256 << 10
OVERHEAD = 200
"""What one waiting message costs in memory beyond its own bytes."""


class Outbox:
    """Updates and replies to one client.

    Every update of a scalar is kept, so that both edges of a short run arrive. A client that reads nothing any more
    keeps its place: beyond the budget its updates are thinned out to the newest per subscription, as EPICS base does.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, bytes] = {}
        self._size = 0
        self._limit = BUDGET
        self._count = 0
        self._ready = asyncio.Event()
        self.paused = False
        """The client asked for no updates for now (flow control); replies still go."""

    def __bool__(self) -> bool:
        """Is something waiting."""
        return bool(self._waiting)

    def update(self, subscription: int, message: bytes) -> None:
        """Queue a new value for a subscription."""
        if len(message) >= ARRAY:
            self._discard(subscription)
            self._add(subscription, message)
        else:
            self._count += 1
            self._add((subscription, self._count), message)
        if self._size > self._limit:
            self._thin_out()

    def reply(self, message: bytes) -> None:
        """Queue an answer, behind all updates so far."""
        self._count += 1
        self._add((None, self._count), message)

    def cancel(self, subscription: int) -> None:
        """Forget the updates of a subscription that has ended."""
        for key in [key for key in self._waiting if _subscription(key) == subscription]:
            self._discard(key)

    def pause(self, paused: bool) -> None:
        """Hold the updates back, or go on."""
        self.paused = paused
        self._ready.set()

    async def take(self) -> bytes:
        """Wait for something to send and remove it."""
        while True:
            taken = self._take()
            if taken:
                return taken
            self._ready.clear()
            await self._ready.wait()

    def _take(self) -> bytes:
        keys, size = [], 0
        for key, message in self._waiting.items():
            if self.paused and _subscription(key) is not None:
                continue
            keys.append(key)
            size += len(message)
            if size >= SEND_AT_ONCE:
                break
        taken = b"".join([self._waiting[key] for key in keys])
        for key in keys:
            self._discard(key)
        if not self._waiting:
            self._limit = BUDGET
        return taken

    def _add(self, key: object, message: bytes) -> None:
        self._waiting[key] = message
        self._size += len(message) + OVERHEAD
        self._ready.set()

    def _discard(self, key: object) -> None:
        message = self._waiting.pop(key, None)
        if message is not None:
            self._size -= len(message) + OVERHEAD

    def _thin_out(self) -> None:
        newest = {}
        for key in self._waiting:
            subscription = _subscription(key)
            newest[key if subscription is None else subscription] = key
        kept = set(newest.values())
        for key in [key for key in self._waiting if key not in kept]:
            self._discard(key)
        # So that the next time comes only when as much has been added again.
        self._limit = max(BUDGET, 2 * self._size)


def _subscription(key: object) -> int | None:
    return key[0] if isinstance(key, tuple) else key  # type: ignore[return-value]
