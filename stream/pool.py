"""Memory for frames: slabs that are filled once, handed to every sink, and reused when the last one lets go.

A slab of about 4 MiB holds several blocks one after the other, so that frames read one by one fill the pool no
faster than frames read in blocks. Who still uses a block is counted by Python itself: all its arrays are views of
one array, and that one dies with the last of them, in whatever thread (ZeroMQ's included).
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from xsp3ioc.stream.blocks import Arrays, frame_bytes, lay_out

KEPT_SLABS = 8
"""Slabs whose memory is kept from one series to the next."""
SLAB_BYTES = 4 << 20
"""Spectra per block at most. In the whole server 4 MiB are a third faster than 1 MiB: fewer turns of all threads."""
_ALIGN = 64


@dataclass(eq=False)
class _Slab:
    start: int
    """Bytes from the begin of the memory."""
    used: int = 0
    """Frames given away since the slab was free."""
    blocks: int = 0
    """Blocks of it that are still in use."""
    held: bool = True
    """Its pages exist."""


class _Watch(weakref.ref):
    """Tells when the array of a lease is gone; a tenth of the cost of weakref.finalize."""

    __slots__ = ("slab",)
    slab: _Slab


class Lease(NamedTuple):
    """Room for a block, to be filled by its one owner before others see it."""

    arrays: Arrays
    place: tuple[int, int]
    """Where it lies: bytes from the begin of the memory, frames of its layout."""


class Usage(NamedTuple):
    """What the pool takes."""

    held: int
    """Slabs that have memory."""
    used: int
    """Slabs that are not free."""


@dataclass(eq=False)
class Pool:
    """Room for at most `limit` bytes of spectra of (channels, bins); it grows as needed, `trim` gives back.

    The memory can be mapped by a child process (`descriptor`, `size`).
    """

    channels: int
    bins: int
    limit: int = 1 << 30
    slab_frames: int = field(init=False)
    """Frames that a slab holds: the largest block."""
    slabs: int = field(init=False)
    """How many slabs there may be."""
    size: int = field(init=False)
    """Bytes of the memory."""
    slab_bytes: int = field(init=False)
    """Bytes of a slab, all its arrays together."""
    descriptor: int = field(init=False)
    """File descriptor of the memory."""
    _map: mmap.mmap = field(init=False)
    _memory: memoryview = field(init=False)
    _slot_bytes: int = field(init=False)
    _free: list[_Slab] = field(init=False, default_factory=list)
    _made: int = field(init=False, default=0)
    _filling: _Slab | None = field(init=False, default=None)
    _returned: deque[_Slab] = field(init=False, default_factory=deque)
    _watches: dict[int, _Watch] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        spectra = self.channels * self.bins * 4
        self.slab_frames = max(1, SLAB_BYTES // spectra)
        # Four slabs at the least: one is being filled, one sent, one written, one shown.
        self.slabs = max(4, self.limit // (self.slab_frames * spectra))
        self._slot_bytes = -(-frame_bytes(self.channels, self.bins) // _ALIGN) * _ALIGN
        # Whole pages, so that the memory of one slab can be given back.
        self.slab_bytes = -(-self.slab_frames * self._slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.size = self.slabs * self.slab_bytes
        # Pages exist from their first use on, so the limit costs nothing until it is needed.
        self.descriptor = os.memfd_create("xsp3ioc-pool")
        os.ftruncate(self.descriptor, self.size)
        self._map = mmap.mmap(self.descriptor, self.size)
        self._memory = memoryview(self._map)
        self._free = [self._make() for _ in range(min(KEPT_SLABS, self.slabs))]

    def lease(self, frames: int) -> Lease | None:
        """Room for at most `frames` frames, possibly fewer; None if everything is in use."""
        with self._lock:
            self._collect()
            slab = self._filling
            if slab is None or slab.used >= self.slab_frames:
                slab = self._filling = self._take()
                if slab is None:
                    return None
            frames = min(frames, self.slab_frames - slab.used)
            start = slab.start + slab.used * self._slot_bytes
            slab.used += frames
            slab.blocks += 1
        # numpy lets a view keep its base's base alive instead of its base, except where that is not an array: so the
        # lease is an array over a memoryview, and every array made of it keeps exactly this one alive.
        room = np.frombuffer(self._memory[start : start + frames * self._slot_bytes], np.uint8)
        watch = _Watch(room, self._gone)
        watch.slab = slab
        self._watches[id(watch)] = watch
        return Lease(lay_out(room, frames, self.channels, self.bins), (start, frames))

    def _gone(self, watch: _Watch) -> None:
        # Called wherever the last reference goes, a garbage collection included: it must not take a lock.
        self._returned.append(watch.slab)
        del self._watches[id(watch)]

    @property
    def in_use(self) -> int:
        """Slabs that are not free."""
        with self._lock:
            self._collect()
            return self._made - len(self._free)

    def usage(self) -> Usage:
        """Count the slabs."""
        with self._lock:
            self._collect()
            used = self._made - len(self._free)
            return Usage(used + sum(slab.held for slab in self._free), used)

    @property
    def headroom(self) -> float:
        """Part of the pool that is free, 0..1."""
        return 1.0 - self.in_use / self.slabs

    def trim(self) -> None:
        """Give the memory of free slabs back to the system, but for the few that every series needs."""
        with self._lock:
            self._collect()
            self._free.sort(key=lambda slab: slab.start, reverse=True)
            for slab in self._free[:-KEPT_SLABS]:
                if slab.held:
                    # Takes the pages from every process that has mapped them, the writer too.
                    self._map.madvise(mmap.MADV_REMOVE, slab.start, self.slab_bytes)
                    slab.held = False

    def _take(self) -> _Slab | None:
        # The slab used last comes first: it is still in the processor's cache.
        if self._free:
            slab = self._free.pop()
            slab.held = True
            return slab
        return self._make() if self._made < self.slabs else None

    def _make(self) -> _Slab:
        start = self._made * self.slab_bytes
        # Written to, so that its pages exist before the first frame needs them.
        np.frombuffer(self._memory[start : start + self.slab_bytes], np.uint8).fill(0)
        self._made += 1
        return _Slab(start)

    def _collect(self) -> None:
        while self._returned:
            slab = self._returned.popleft()
            slab.blocks -= 1
            if slab.blocks == 0 and slab is not self._filling:
                self._reuse(slab)
            elif slab.blocks == 0 and slab.used >= self.slab_frames:
                self._filling = None
                self._reuse(slab)

    def _reuse(self, slab: _Slab) -> None:
        slab.used = 0
        self._free.append(slab)
