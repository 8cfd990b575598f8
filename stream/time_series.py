"""A time series: a point per frame, in memory that grows with the points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHOWN = 16384
"""Points that a record can hold, and most that are kept: the first, or of a circular series the last."""
LENGTH = 2048
"""Points of a series, as long as nobody says otherwise."""
PERIODS = {
    "Passive": math.inf, "Event": math.inf, "I/O Intr": math.inf,
    "10 second": 10.0, "5 second": 5.0, "2 second": 2.0, "1 second": 1.0,
    ".5 second": 0.5, ".2 second": 0.2, ".1 second": 0.1,
}  # fmt: skip
"""How often a running series is published, in the words that a record's SCAN field has for it; s."""
_CHUNK = 1024


class _Chunk:
    """Points that have the same slots."""

    def __init__(self, slots: tuple[int, ...], kinds: int) -> None:
        # Memory that is not written to costs nothing, so no more is used than there are points.
        self.times = np.empty(_CHUNK)
        self.values = np.empty((_CHUNK, len(slots), kinds))
        self.columns = {slot: column for column, slot in enumerate(slots)}
        self.filled = 0

    def column(self, slot: int, kind: int) -> NDArray[np.float64]:
        column = self.columns.get(slot)
        return np.zeros(self.filled) if column is None else self.values[: self.filled, column, kind]


class TimeSeries:
    """Points of one channel: values of several kinds in each of its slots, and the time of each point.

    A point without a value, because the frame is missing, is NaN. A slot that was not in use is 0.
    """

    def __init__(self, kinds: int) -> None:
        self._kinds = kinds
        self.length = LENGTH
        self.circular = False
        """When it is full, the oldest points go; else it stops."""
        self.average = 1
        """Frames per point."""
        self.running = False
        self.erase()

    def erase(self) -> None:
        """Forget all points."""
        self._chunks: list[_Chunk] = []
        self._taken = 0
        self._rest: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.changed = True
        """There is something that has not been published."""

    @property
    def points(self) -> int:
        """How many points there are."""
        return min(self._taken, self.length)

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return not self.circular and self._taken >= self.length

    def add(self, times: NDArray[np.float64], values: NDArray[np.float64], slots: Sequence[int]) -> None:
        """Add frames, if it runs: `times` (frames,), `values` (frames, slots, kinds)."""
        if not self.running:
            return
        if self.average > 1:
            times, values = self._averaged(times, values)
        self._store(times, values, tuple(slots), len(times))

    def skip(self, frames: int, slots: Sequence[int]) -> None:
        """Add frames of which nothing is known, if it runs."""
        if not self.running:
            return
        begun = len(self._rest[0]) if self._rest is not None else 0
        points, left = divmod(begun + frames, self.average)
        self._store(*self._unknown(min(points, SHOWN), slots), tuple(slots), points)
        # A point that lacks a frame is unknown: those behind the gap are of the frames that they would be of without.
        self._rest = self._unknown(left, slots) if left else None

    def _unknown(self, count: int, slots: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.full(count, np.nan), np.full((count, len(slots), self._kinds), np.nan)

    def _averaged(
        self, times: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self._rest is not None and self._rest[1].shape[1:] == values.shape[1:]:
            times, values = (np.concatenate(pair) for pair in zip(self._rest, (times, values), strict=True))
        points = len(times) // self.average
        whole = points * self.average
        self._rest = times[whole:].copy(), values[whole:].copy()
        means = values[:whole].reshape(points, self.average, *values.shape[1:]).mean(axis=1)
        return times[self.average - 1 : whole : self.average], means

    def _store(
        self, times: NDArray[np.float64], values: NDArray[np.float64], slots: tuple[int, ...], points: int
    ) -> None:
        """Count `points`, and keep those of them that are given and can be shown."""
        if not self.circular:
            points = min(points, self.length - self._taken)
            given = min(points, max(0, SHOWN - self._taken), len(times))
        else:
            given = min(points, len(times))
        done = 0
        while done < given:
            chunk = self._chunk(slots)
            some = min(given - done, _CHUNK - chunk.filled)
            target = slice(chunk.filled, chunk.filled + some)
            chunk.times[target] = times[done : done + some]
            chunk.values[target] = values[done : done + some]
            chunk.filled += some
            done += some
        self._taken += points
        self.changed = self.changed or points > 0
        if self.full:
            self.running = False
        kept = sum(chunk.filled for chunk in self._chunks)
        while self.circular and kept and kept - self._chunks[0].filled >= min(self.length, SHOWN):
            kept -= self._chunks.pop(0).filled

    def _chunk(self, slots: tuple[int, ...]) -> _Chunk:
        last = self._chunks[-1] if self._chunks else None
        if last is None or last.filled == _CHUNK or tuple(last.columns) != slots:
            last = _Chunk(slots, self._kinds)
            self._chunks.append(last)
        return last

    def times(self) -> NDArray[np.float64]:
        """Return the time of each point, s since 1970."""
        return self._joined([chunk.times[: chunk.filled] for chunk in self._chunks])

    def values(self, slot: int, kind: int = 0) -> NDArray[np.float64]:
        """Return a slot's value of each point."""
        return self._joined([chunk.column(slot, kind) for chunk in self._chunks])

    def _joined(self, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        joined = np.concatenate(parts) if parts else np.zeros(0)
        kept = min(self.points, SHOWN)
        return joined[-kept:] if self.circular and kept else joined
