"""When it is time to read a block: there is memory for it, and it stays in the processor's cache."""

from __future__ import annotations

import time

from xsp3ioc.stream.messages import Gap
from xsp3ioc.stream.pool import Lease, Pool
from xsp3ioc.stream.subscribers import Subscribers

EASY_SLABS = 8
"""Slabs in use above which frames wait in the ring, as long as that has room: these stay in the cache."""
EASY_PATIENCE = 0.02
"""Seconds of waiting in vain after which twice as many slabs are used: somebody stalls."""
POOL_PATIENCE = 1.0
"""Seconds in which a subscriber has to take something while the pool is full, before it is cut off."""


class Room:
    """Gives out the pool's memory.

    While the sinks are behind and the ring has room, frames are as safe there as in the pool: so the pool stays
    small, and its memory in the processor's cache. Then the pool fills, then the ring; a subscriber that takes
    nothing, or is the last one behind when the ring is half full, pays for it before the acquisition does.
    """

    def __init__(self, pool: Pool, subscribers: Subscribers, ring: int) -> None:
        """`ring`: frames that the hardware keeps."""
        self._pool = pool
        self._subscribers = subscribers
        self._ring = ring
        self._easy = EASY_SLABS
        self._since: float | None = None
        """Since when there is no room, s of time.monotonic."""

    def lease(self, frames: int, behind: int) -> Lease | None:
        """Room for `frames` frames, or fewer; None: not yet. `behind`: frames in the ring that are not read yet."""
        in_use = self._pool.in_use
        if in_use < self._easy or behind > self._ring // 4:
            lease = self._pool.lease(frames)
            if lease is not None:
                self._since = None
                if in_use < self._easy // 2:
                    self._easy = max(EASY_SLABS, self._easy - 1)  # grows in a stall, and goes back after it
                return lease
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now - self._since > EASY_PATIENCE and in_use < self._pool.slabs:
            self._easy, self._since = 2 * self._easy, now
        return None

    def cut_off(self, series_id: int, behind: int) -> tuple[str, list[Gap]] | None:
        """If the pool is full, make room at the cost of a subscriber of a series; say who lost what."""
        if self._pool.in_use < self._pool.slabs:
            return None
        return self._subscribers.cut_laggiest(series_id, 0.0 if behind > self._ring // 2 else POOL_PATIENCE)
