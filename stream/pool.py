"""Memory for frames: slabs that are filled once, handed to every sink, and reused when the last one lets go.

A slab of about 1 MiB holds several blocks one after the other, so that frames read one by one fill the pool no
faster than frames read in blocks. Who still uses a block is counted by Python itself: all its arrays are views of
one array, and that one dies with the last of them, in whatever thread (ZeroMQ's included).
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.messages import FRAME_DTYPE, SCALERS

SLAB_BYTES = 1 << 20
"""Spectra per block at most: socket and file writes are fastest there (measured; 4 MiB is 7 times slower)."""
_ALIGN = 64


@dataclass(eq=False)
class _Slab:
    memory: NDArray[np.uint8]
    used: int = 0
    """Frames given away since the slab was free."""
    blocks: int = 0
    """Blocks of it that are still in use."""


class _Watch(weakref.ref):
    """Tells when the array of a lease is gone; a tenth of the cost of weakref.finalize."""

    __slots__ = ("slab",)
    slab: _Slab


@dataclass(slots=True)
class Lease:
    """Room for a block, to be filled by its one owner before others see it."""

    mca: NDArray[np.uint32]
    """(frames, channels, bins)."""
    scalers: NDArray[np.uint32]
    """(frames, channels, 9)."""
    factors: NDArray[np.float64]
    """(frames, channels)."""
    frames: NDArray[np.void]
    """(frames,) of FRAME_DTYPE."""


@dataclass(eq=False)
class Pool:
    """Room for at most `limit` bytes of spectra of (channels, bins); it grows as needed and is never given back."""

    channels: int
    bins: int
    limit: int = 1 << 30
    slab_frames: int = field(init=False)
    """Frames that a slab holds: the largest block."""
    slabs: int = field(init=False)
    """How many slabs there may be."""
    _free: list[_Slab] = field(init=False, default_factory=list)
    _made: int = field(init=False, default=0)
    _filling: _Slab | None = field(init=False, default=None)
    _returned: deque[_Slab] = field(init=False, default_factory=deque)
    _watches: dict[int, _Watch] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        frame_bytes = self.channels * self.bins * 4
        self.slab_frames = max(1, SLAB_BYTES // frame_bytes)
        # Four slabs at the least: one is being filled, one sent, one written, one shown.
        self.slabs = max(4, self.limit // (self.slab_frames * frame_bytes))
        slot = frame_bytes + self.channels * (SCALERS * 4 + 8) + FRAME_DTYPE.itemsize
        self._slot_bytes = -(-slot // _ALIGN) * _ALIGN
        self._free = [self._make() for _ in range(min(8, self.slabs))]

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
            start = slab.used * self._slot_bytes
            slab.used += frames
            slab.blocks += 1
        # numpy lets a view keep its base's base alive instead of its base, except where that is not an array: so the
        # lease is an array over a memoryview, and every array made of it keeps exactly this one alive.
        room = np.frombuffer(memoryview(slab.memory)[start : start + frames * self._slot_bytes], np.uint8)
        watch = _Watch(room, self._gone)
        watch.slab = slab
        self._watches[id(watch)] = watch
        return self._arrays(room, frames)

    def _gone(self, watch: _Watch) -> None:
        # Called wherever the last reference goes, a garbage collection included: it must not take a lock.
        self._returned.append(watch.slab)
        del self._watches[id(watch)]

    @property
    def headroom(self) -> float:
        """Part of the pool that is free, 0..1."""
        with self._lock:
            self._collect()
            return 1.0 - (self._made - len(self._free)) / self.slabs

    def _arrays(self, room: NDArray[np.uint8], frames: int) -> Lease:
        channels, bins = self.channels, self.bins
        # All start at multiples of 8 bytes, for any number of channels, if the scalers come last.
        factors = frames * channels * bins * 4
        infos = factors + frames * channels * 8
        scalers = infos + frames * FRAME_DTYPE.itemsize
        end = scalers + frames * channels * SCALERS * 4
        return Lease(
            room[:factors].view("<u4").reshape(frames, channels, bins),
            room[scalers:end].view("<u4").reshape(frames, channels, SCALERS),
            room[factors:infos].view("<f8").reshape(frames, channels),
            room[infos:scalers].view(FRAME_DTYPE),
        )

    def _take(self) -> _Slab | None:
        # The slab used last comes first: it is still in the processor's cache.
        if self._free:
            return self._free.pop()
        return self._make() if self._made < self.slabs else None

    def _make(self) -> _Slab:
        # Zeros are written, not asked for: the pages exist before the first frame needs them.
        memory = np.empty(self.slab_frames * self._slot_bytes, np.uint8)
        memory.fill(0)
        self._made += 1
        return _Slab(memory)

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
