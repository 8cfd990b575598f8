"""Gates that an input sees: pulses behind inversion and debounce filter, and the triggers that are their leading edges.

Gates are counted from 0; times are in clock ticks from the moment at which the run began to count.
"""

import numpy as np

from xsp3ioc.sdk.emulator.pulses import PulseTrain, Ticks

OPEN = -1
"""End of a gate that is not known yet."""

_AHEAD = 2048  # edges worked out at once
_TRIES = 16  # blocks without a gate after which a reader is told that there is none yet
_EVER = 1 << 61


class Column:
    """Growing int64 numbers in ascending order, of which only the last `keep` are sure to be remembered."""

    def __init__(self, keep: int) -> None:
        self._keep = keep + 2 * _AHEAD  # some are of the future
        self._buffer = np.empty(0, np.int64)
        self._start = 0  # of what is remembered, in the buffer
        self._held: tuple[int, Ticks] = (0, self._buffer)  # replaced at once: other threads read it

    def __len__(self) -> int:
        length, _ = self._held
        return length

    def append(self, values: Ticks) -> None:
        """Add numbers at the end."""
        length, view = self._held
        end = self._start + len(view)
        if end + len(values) > len(self._buffer):
            view = view[-self._keep :]
            self._buffer = np.empty(2 * (len(view) + len(values)) + _AHEAD, np.int64)
            self._buffer[: len(view)] = view
            self._start, end = 0, len(view)
        self._buffer[end : end + len(values)] = values
        self._held = length + len(values), self._buffer[self._start : end + len(values)]

    def upto(self, time: int) -> int:
        """Return how many numbers are at most this."""
        length, view = self._held
        return length - len(view) + int(np.searchsorted(view, time, side="right"))

    def at(self, numbers: Ticks) -> Ticks:
        """Return these numbers, `OPEN` for what there is not, or not any more: int64, same shape."""
        length, view = self._held
        places = numbers - (length - len(view))
        known = (places >= 0) & (places < len(view))
        found = np.full(np.shape(numbers), OPEN, np.int64)
        found[known] = view[places[known]]
        return found


class Gates:
    """What opens and closes; none at all."""

    exposure: int | None = None
    """How long all gates are but a few; None when each has its own length."""
    even = True
    """Whether all gates without exception last `exposure`."""
    ahead = _EVER
    """Ticks that it is worth to look ahead."""

    def begun(self, now: int) -> int:
        """Return how many gates have opened by then."""
        return 0

    def complete(self, now: int) -> int:
        """Return how many gates have closed by then."""
        return 0

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these gates open and close (`OPEN`: not known yet): int64, same shape."""
        return np.full_like(numbers, OPEN), np.full_like(numbers, OPEN)

    def ready(self, count: int) -> int:
        """Return how many of the first `count` gates there will be, whenever; perhaps more at a later call."""
        return 0

    def rising(self, after: int, until: int) -> Ticks:
        """When gates open in after < t <= until; one that was open from the beginning does not count: int64."""
        return np.empty(0, np.int64)

    def ever_after(self, time: int) -> bool:
        """Whether anything can change after this time."""
        return False


class PlainGates(Gates):
    """Each pulse is a gate."""

    def __init__(self, train: PulseTrain) -> None:
        self._train = train
        self.even = train.even
        self.exposure = train.width if train.even else None
        self.ahead = round(_AHEAD * train.period) or _EVER

    def begun(self, now: int) -> int:
        """Return how many gates have opened by then."""
        return self._train.begun(now)

    def complete(self, now: int) -> int:
        """Return how many gates have closed by then."""
        return self._train.ended(now)

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these gates open and close: int64, same shape."""
        return self._train.leading(numbers), self._train.trailing(numbers)

    def ready(self, count: int) -> int:
        """Return how many of the first `count` gates there will be."""
        return count if self._train.limit is None else min(count, self._train.limit)

    def rising(self, after: int, until: int) -> Ticks:
        """When gates open in after < t <= until: int64."""
        return self._train.leading(np.arange(self._train.begun(after), self._train.begun(until)))

    def ever_after(self, time: int) -> bool:
        """Whether another gate opens after this time."""
        return self._train.limit is None or self._train.begun(time) < self._train.limit


class FilteredGates(Gates):
    """Gates behind inversion and debounce: levels that last shorter than `debounce` ticks change nothing.

    They are worked out from the beginning on, a block at a time; the last `keep` are remembered.
    """

    def __init__(self, train: PulseTrain, inverted: bool, debounce: int, keep: int) -> None:
        self._train = train
        self._debounce = max(1, debounce)
        self._begin, self._end = Column(keep), Column(keep)
        self._reach = -1  # all edges until then are accounted for
        self._level = inverted  # after the last edge
        self._since = -_EVER  # the last edge
        self._open = False  # what the filter lets through
        self._open_at_first = inverted
        self.even = False
        if train.period and not train.pulses.jitter:
            self.exposure = round(train.period) - train.width if inverted else train.width
        self.ahead = _EVER if train.edges_last >= _EVER else round(_AHEAD * train.edges_last)

    def begun(self, now: int) -> int:
        """Return how many gates have opened by then."""
        self._look(now)
        return self._begin.upto(now)

    def complete(self, now: int) -> int:
        """Return how many gates have closed by then."""
        self._look(now)
        return self._end.upto(now)

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these gates open and close (`OPEN`: not known yet): int64, same shape."""
        return self._begin.at(numbers), self._end.at(numbers)

    def ready(self, count: int) -> int:
        """Return how many of the first `count` gates there will be; perhaps more at a later call."""
        for _ in range(_TRIES):
            if len(self._end) >= count or self._reach >= _EVER:
                break
            self._go_on(self._reach + self.ahead)
        return min(count, len(self._end))

    def rising(self, after: int, until: int) -> Ticks:
        """When gates open in after < t <= until, but not one that was open from the beginning: int64."""
        self._look(until)
        first = max(self._begin.upto(after), int(self._open_at_first))
        return self._begin.at(np.arange(first, self._begin.upto(until)))

    def ever_after(self, time: int) -> bool:
        """Whether anything can change after this time."""
        return self._train.ever_after(max(time - self._debounce, 0))

    def _look(self, now: int) -> None:
        while self._reach < now + self._debounce:
            self._go_on(self._reach + self.ahead)

    def _go_on(self, until: int) -> None:
        """Account for the edges up to a time; that of a level is decided when it has lasted long enough."""
        if not self._train.ever_after(max(self._reach, 0)):
            until = 2 * _EVER
        until = max(until, self._debounce + 1)  # what begins at 0 is decided at once
        edges = self._train.edges(self._reach, until)
        begins = np.concatenate([[self._since], edges])
        levels = (np.arange(len(begins)) % 2 == 1) ^ self._level
        lasting = np.diff(begins, append=until) >= self._debounce
        seen = levels[lasting]
        changed = seen != np.concatenate([[self._open], seen[:-1]])[: len(seen)]
        opened, closed = begins[lasting][changed & seen], begins[lasting][changed & ~seen]
        if self._open_at_first and not len(self._end):
            opened = np.maximum(opened, 0)
            if len(closed) and closed[0] <= 0:  # closes as the run begins
                opened, closed, self._open_at_first = opened[1:], closed[1:], False
        self._begin.append(opened)
        self._end.append(closed)
        self._open = bool(seen[-1]) if len(seen) else self._open
        self._level, self._since, self._reach = bool(levels[-1]), int(begins[-1]), until


def gates_of(train: PulseTrain, inverted: bool, debounce: int, keep: int) -> Gates:
    """Return what an input sees of these pulses; the last `keep` gates are remembered."""
    untouched = not train.period or min(train.shortest) >= debounce
    if inverted or train.glitchy or not untouched:
        return FilteredGates(train, inverted, debounce, keep)
    return PlainGates(train)
