"""Frames that are deleted when TTL_IN(0), as Capture, is low at their end."""

from array import array

import numpy as np

from xsp3ioc.sdk.emulator.gates import OPEN
from xsp3ioc.sdk.emulator.pulses import PulseTrain, Ticks
from xsp3ioc.sdk.emulator.timeline import Timeline

_AT_ONCE = 1024


class Captured(Timeline):
    """Those frames of another timeline that are not deleted; a deleted one's number is used again by the next.

    TTL_IN(0) is high with every so manieth pulse. The pulses begin when count enable first rises.
    """

    def __init__(self, inner: Timeline, train: PulseTrain, origin: int | None = None) -> None:
        super().__init__()
        self.exposure = inner.exposure
        self._inner = inner
        self._train = train
        self._origin = origin
        self._kept = array("q")  # places in the inner timeline
        self._seen = 0  # complete frames there that have been decided on
        self._room = 0

    @property
    def room(self) -> int | None:
        """At the reader's pace: number of frames that may be ready."""
        return None if self._inner.room is None else self._room

    @room.setter
    def room(self, room: int | None) -> None:
        self._room = room or 0

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun; one of them may be deleted at its end."""
        return self.complete(now) + self._inner.running(now) * (self._inner.room is None)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended and were captured."""
        if self.stopped:
            return len(self._kept)
        if self._inner.room is None:
            self._decide(self._inner.complete(now))
            return len(self._kept)
        while len(self._kept) < self._room:
            self._inner.room = self._seen + max(self._room, _AT_ONCE)
            ready = self._inner.complete(now)
            if ready == self._seen:
                break
            before = len(self._kept)
            self._decide(ready)
            if len(self._kept) == before:
                break  # perhaps there will be more the next time
        return min(len(self._kept), self._room)

    def running(self, now: int) -> bool:
        """Whether a frame is being counted."""
        return self._inner.running(now)

    def waiting(self, now: int) -> bool:
        """Whether the next frame waits for a trigger."""
        return self._inner.waiting(now)

    def finished(self, now: int) -> bool:
        """Whether all frames that were asked for have been taken, or deleted."""
        return self._inner.finished(now)

    def rise(self, now: int) -> None:
        """Raise the software's count enable."""
        if self._origin is None:
            self._origin = now
        self._inner.rise(now)

    def fall(self, now: int) -> None:
        """Lower the software's count enable."""
        self._inner.fall(now)

    def stop(self, now: int) -> None:
        """End the run; a frame in progress is closed with what it has, and may be deleted."""
        if self.stopped:
            return
        if self._inner.room is None:
            begun = self._inner.begun(now)
            self._decide(self._inner.complete(now))
            if begun > self._seen:
                self._decide_on(np.arange(self._seen, begun), np.full(begun - self._seen, now))
        else:
            del self._kept[self.complete(now) :]
        self._inner.stop(now)
        self.stopped = True

    def uneven(self, first: int, count: int) -> dict[int, int]:
        """Return the ticks of those of `count` frames from `first` on that are complete and not as `exposure` says."""
        found: dict[int, int] = {}
        for index, place in enumerate(self._kept[first : first + count], first):
            ticks = self._inner.uneven(place, 1)
            if ticks:
                found[index] = ticks[place]
        return found

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and ended: int64, same shape."""
        kept = np.array(self._kept, np.int64)
        places = np.where(numbers < len(kept), np.append(kept, self._seen)[np.minimum(numbers, len(kept))], self._seen)
        return self._inner.spans(places)

    def _decide(self, complete: int) -> None:
        if complete > self._seen:
            numbers = np.arange(self._seen, complete)
            self._decide_on(numbers, self._inner.spans(numbers)[1])

    def _decide_on(self, numbers: Ticks, ends: Ticks) -> None:
        origin = self._origin or 0
        high = self._train.high_at(self._train.pulses.frame_zero_every, np.where(ends == OPEN, 0, ends) - 1 - origin)
        self._kept.extend(numbers[high].tolist())
        self._seen = int(numbers[-1]) + 1
