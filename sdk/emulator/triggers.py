"""Frames of the internal time frame generator from triggers: one for each, or from trigger to trigger."""

import numpy as np

from xsp3ioc.sdk.emulator.gates import Column, Gates
from xsp3ioc.sdk.emulator.pulses import Ticks

_TRIES = 16  # blocks without a trigger after which a reader is told that there is none yet


class Triggers(Gates):
    """Frames of fixed length, one for each trigger; triggers that come within `dead` ticks of a taken one are lost.

    `frames` 0 is without end; `after` is when the generator was started; `lasts` is how long a frame takes.
    """

    def __init__(self, gates: Gates, exposure: int, lasts: int, dead: int, frames: int, after: int, keep: int) -> None:
        self.exposure = exposure
        self._gates = gates
        self._lasts = lasts
        self._dead = dead
        self._frames = frames
        self._begin = Column(keep)
        self._reach = after - 1
        self._free = after  # earliest time of the next trigger
        self._over = False

    def begun(self, now: int) -> int:
        """Return how many frames have begun by then."""
        self._look(now)
        return self._begin.upto(now)

    def complete(self, now: int) -> int:
        """Return how many frames have ended by then."""
        self._look(now)
        return self._begin.upto(now - self._lasts)

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames begin and end: int64, same shape."""
        begin = self._begin.at(numbers)
        return begin, begin + self._lasts

    def ready(self, count: int) -> int:
        """Return how many of the first `count` frames there will be; perhaps more at a later call."""
        for _ in range(_TRIES):
            if len(self._begin) >= count or self._over:
                break
            self._go_on(self._reach + self._gates.ahead)
        return min(count, len(self._begin))

    def _look(self, now: int) -> None:
        while self._reach < now and not self._over:
            self._go_on(self._reach + self._gates.ahead)

    def _go_on(self, until: int) -> None:
        taken = self._take(self._gates.rising(self._reach, until))
        if self._frames:
            taken = taken[: self._frames - len(self._begin)]
        self._begin.append(taken)
        self._over = len(self._begin) == self._frames > 0 or not self._gates.ever_after(until)
        if len(taken):
            self._free = int(taken[-1]) + self._dead
        self._reach = until

    def _take(self, times: Ticks) -> Ticks:
        """Pick the triggers that find the generator waiting."""
        if not len(times) or (times[0] >= self._free and np.all(np.diff(times) >= self._dead)):
            return times
        following = np.searchsorted(times, times + max(self._dead, 1)).tolist()
        number = int(np.searchsorted(times, self._free))
        picked = []
        while number < len(times):
            picked.append(number)
            number = following[number]
        return times[picked]


class SoftwareTriggers(Gates):
    """Triggers given by hand; those within `dead` ticks of a taken one are lost."""

    def __init__(self, dead: int, keep: int) -> None:
        self._dead = dead
        self._times = Column(keep)
        self._free = 0

    def add(self, now: int) -> None:
        """Give a trigger."""
        if now >= self._free:
            self._times.append(np.array([now]))
            self._free = now + self._dead

    def begun(self, now: int) -> int:
        """Return how many triggers there have been by then."""
        return self._times.upto(now)

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these triggers came, twice: int64, same shape."""
        times = self._times.at(numbers)
        return times, times


class FromTriggerToTrigger(Gates):
    """Frames that collect while the generator waits: each ends at its last trigger, the next begins a gap later.

    `count` triggers make a frame. `at_once`: frame 0 is what comes from `after` to the first trigger.
    """

    even = False

    def __init__(
        self, triggers: Gates, exposure: int | None, count: int, gap: int, frames: int, after: int, *, at_once: bool
    ) -> None:
        self.exposure = exposure
        self._triggers = triggers
        self._count = count
        self._gap = gap
        self._frames = frames
        self._after = after
        self._at_once = at_once
        self._is_early: bool | None = None

    def begun(self, now: int) -> int:
        """Return how many frames have begun by then."""
        early = self._early()
        if early:
            begun = int(now >= self._after) + self._boundaries(now - self._gap)
        else:
            first = min(self._boundaries(now), 1)
            begun = first and max(first, self._boundaries(now - self._gap))
        return self._limited(begun)

    def complete(self, now: int) -> int:
        """Return how many frames have ended by then."""
        return self._limited(max(0, self._boundaries(now) - (not self._early())))

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames begin and end (`OPEN`: not known yet): int64, same shape."""
        early = self._early()
        last = numbers if early else numbers + 1
        first = np.int64(self._after) if early else self._at(np.zeros(1, np.int64))[0]
        return np.where(numbers == 0, first, self._at(last - 1) + self._gap), self._at(last)

    def ready(self, count: int) -> int:
        """Return how many of the first `count` frames there will be; perhaps more at a later call."""
        more = not self._early()
        wanted = (self._limited(count) - 1 + more) * self._count + 1
        return self._limited(min(count, max(0, self._whole(self._triggers.ready(wanted)) - more)))

    def _early(self) -> bool:
        """Whether frame 0 ends at the first trigger; not if that comes at once."""
        if self._is_early is None:
            self._is_early = self._at_once and self._triggers.begun(self._after) == 0
        return self._is_early

    def _boundaries(self, now: int) -> int:
        return self._whole(self._triggers.begun(now))

    def _whole(self, triggers: int) -> int:
        return -(-triggers // self._count)

    def _at(self, boundaries: Ticks) -> Ticks:
        begin, _ = self._triggers.spans(boundaries * self._count)
        return begin

    def _limited(self, frames: int) -> int:
        return min(frames, self._frames) if self._frames else frames
