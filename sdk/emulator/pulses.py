"""What is cabled to the trigger inputs of an emulated system: a pulse generator.

Every pulse is a function of the settings, the seed and the pulse's number, so nothing has to be remembered of those
that are over. Times within are in clock ticks from the moment at which the run began to count.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.emulator.hashing import mixed

Ticks = NDArray[np.int64]

_SHORTEST = 100e-9  # seconds: no pulse, gap or glitch vanishes in rounding to ticks
_LEADING, _TRAILING, _GLITCH = range(3)  # which of a pulse's random numbers


class Pulses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pulses on TTL_IN(1), and as well on the LVDS and IDC inputs; times in seconds.

    TTL_IN(0), (2) and (3) are high from the beginning of every so manieth pulse to the beginning of the next. The
    generator begins anew with each run. Raises ValueError for pulses that nobody could make.
    """

    period: float = 0.0
    """From the beginning of a pulse to that of the next; 0: there are none."""
    width: float = 0.0
    jitter: float = 0.0
    """Each edge is early or late by at most this."""
    count: int = 0
    """How many; 0: without end."""
    delay: float = 0.0
    """From the start of the run to the first pulse."""
    glitch_rate: float = 0.0
    """Extra pulses per second, at random times; within a pulse they are gaps."""
    glitch_width: float = 50e-9
    frame_zero_every: int = 0
    """TTL_IN(0), which restarts the frame number, is high with every so manieth pulse; 0: never."""
    marker_every: tuple[int, int] = (0, 0)
    """The same for TTL_IN(2) and (3), markers 1 and 2."""

    def __post_init__(self) -> None:
        for name in ("period", "width", "jitter", "delay", "glitch_rate", "glitch_width"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"pulses.{name} = {getattr(self, name)} is not a number from 0 on")
        for name in ("count", "frame_zero_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"pulses.{name} = {getattr(self, name)} is below 0")
        if min(self.marker_every) < 0:
            raise ValueError(f"pulses.marker_every = {self.marker_every} has a number below 0")
        if self.period:
            self._check_shape()
        elif self.width or self.count:
            raise ValueError("pulses.width and pulses.count need a pulses.period")
        if self.glitch_rate and not 0 < self.glitch_width < 1 / self.glitch_rate - _SHORTEST:
            most = 1 / self.glitch_rate - _SHORTEST
            raise ValueError(f"pulses.glitch_width = {self.glitch_width} is outside 0..{most:g}, 1/glitch_rate")

    def _check_shape(self) -> None:
        for what, length in (("pulse", self.width), ("gap", self.period - self.width)):
            if length - 2 * self.jitter < _SHORTEST:
                raise ValueError(
                    f"pulses: with period = {self.period}, width = {self.width} and jitter = {self.jitter} "
                    f"a {what} can be shorter than {_SHORTEST:g} s"
                )


class PulseTrain:
    """The pulses of one run."""

    def __init__(self, pulses: Pulses, seed: int, clock_period: float) -> None:
        self.pulses = pulses
        self.period = pulses.period / clock_period
        """Ticks, not always a whole number."""
        self.width = max(1, round(pulses.width / clock_period))
        self.limit: int | None = (pulses.count or None) if pulses.period else 0
        """How many pulses there are; None: without end."""
        self._delay = round(pulses.delay / clock_period)
        self._jitter = pulses.jitter / clock_period
        self._seed = seed
        self._glitches = pulses.glitch_rate * clock_period  # per tick
        self._glitch_width = max(1, round(pulses.glitch_width / clock_period))

    @property
    def glitchy(self) -> bool:
        """Whether there are glitches."""
        return self._glitches > 0

    @property
    def even(self) -> bool:
        """Whether all pulses are equally long."""
        return not (self._jitter or self.glitchy)

    @property
    def shortest(self) -> tuple[int, int]:
        """How short a pulse and a gap can be, glitches left aside."""
        lost = math.ceil(2 * self._jitter) + 1 if self._jitter else 0
        return self.width - lost, math.floor(self.period) - self.width - lost

    @property
    def edges_last(self) -> float:
        """Mean time from edge to edge, the glitches' included; infinite if there are none."""
        often = self._glitches + (1 / self.period if self.period else 0.0)
        return 1 / (2 * often) if often else math.inf

    def leading(self, numbers: Ticks) -> Ticks:
        """When these pulses begin: int64, same shape."""
        return np.maximum(self._nominal(numbers) + self._late(_LEADING, numbers), 0)

    def trailing(self, numbers: Ticks) -> Ticks:
        """When these pulses end: int64, same shape."""
        return self._nominal(numbers) + self.width + self._late(_TRAILING, numbers)

    def begun(self, until: int) -> int:
        """Return how many pulses have begun by then."""
        return self._limited(self._last_one(until, 0) + 1)

    def ended(self, until: int) -> int:
        """Return how many pulses have ended by then."""
        return self._limited(self._last_one(until, self.width) + 1)

    def edges(self, after: int, until: int) -> Ticks:
        """Every change of TTL_IN(1) in after < t <= until, in order: int64."""
        found = [
            self.leading(np.arange(self.begun(after), self.begun(until))),
            self.trailing(np.arange(self.ended(after), self.ended(until))),
        ]
        if self.glitchy:
            first, last = (max(0, math.floor(time * self._glitches) - 1) for time in (after, until))
            begin = self._glitch(np.arange(first, last + 3))
            found += [begin, begin + self._glitch_width]
        edges = np.concatenate(found)
        times, counts = np.unique(edges[(edges > after) & (edges <= until)], return_counts=True)
        changes: Ticks = times[counts % 2 == 1]  # two at one time undo each other
        return changes

    def ever_after(self, time: int) -> bool:
        """Whether there is any change of TTL_IN(1) later than this."""
        return self.glitchy or self.limit is None or self.ended(time) < self.limit

    def high_at(self, every: int, times: Ticks) -> NDArray[np.bool_]:
        """Whether an input that is high with every so manieth pulse is high at these times: bool, same shape."""
        return self.high_within(every, times, times + 1)

    def high_within(self, every: int, begin: Ticks, end: Ticks) -> NDArray[np.bool_]:
        """Whether an input that is high with every so manieth pulse is so within begin <= t < end: bool, same shape."""
        if not (every and self.period):
            return np.zeros(np.shape(begin), bool)
        first = np.maximum(self._last(begin, 0), 0)
        last = self._last(np.maximum(end, begin + 1) - 1, 0)
        if self.limit is not None:
            last = np.minimum(last, self.limit - 1)
        result: NDArray[np.bool_] = (last >= 0) & (last // every * every >= first)
        return result

    def _limited(self, number: int) -> int:
        return number if self.limit is None else min(number, self.limit)

    def _last_one(self, until: int, edge: int) -> int:
        """Do what `_last` does for one time, quickly if nothing is random."""
        if self._jitter or not self.period:
            return int(self._last(np.array([until]), edge)[0])
        since = until - self._delay - edge
        number = math.floor(since / self.period) + 1
        while number >= 0 and round(number * self.period) > since:
            number -= 1
        return max(number, -1)

    def _last(self, until: Ticks, edge: int) -> Ticks:
        """Find the last pulse that began (`edge` 0) or ended (`width`) by then, -1 before: as if without limit."""
        if not self.period:
            return np.full(np.shape(until), -1)
        # Edges are off by less than half a period, so one of four neighbours is the last.
        guess = np.floor((until - self._delay - edge) / self.period).astype(np.int64) - 2
        time_of = self.trailing if edge else self.leading
        passed = sum(((guess + step < 0) | (time_of(guess + step) <= until)).astype(np.int64) for step in (1, 2, 3, 4))
        return np.maximum(guess + passed, -1)

    def _nominal(self, numbers: Ticks) -> Ticks:
        return self._delay + np.rint(numbers * self.period).astype(np.int64)

    def _late(self, edge: int, numbers: Ticks) -> Ticks | int:
        if not self._jitter:
            return 0
        return np.rint((2 * self._random(edge, numbers) - 1) * self._jitter).astype(np.int64)

    def _glitch(self, numbers: Ticks) -> Ticks:
        """When these glitches begin, one at a random place in each 1/rate."""
        room = 1 - (self._glitch_width + 1) * self._glitches
        return np.floor((numbers + room * self._random(_GLITCH, numbers)) / self._glitches).astype(np.int64)

    def _random(self, which: int, numbers: Ticks) -> NDArray[np.float64]:
        """Random numbers 0..1, one for each pulse."""
        words = numbers.astype(np.uint64) << np.uint64(2) | np.uint64(which)
        return mixed(self._seed, words).astype(np.float64) * 2.0**-64
