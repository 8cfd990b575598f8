"""Frame sources that follow the inputs: gates, triggers of the frame generator, and its rows."""

from collections.abc import Sequence

import numpy as np

from xsp3ioc.sdk.emulator.gates import OPEN, Gates
from xsp3ioc.sdk.emulator.pulses import PulseTrain, Ticks
from xsp3ioc.sdk.emulator.timeline import Timeline, Train
from xsp3ioc.sdk.emulator.triggers import SoftwareTriggers


class FrameZero:
    """TTL_IN(0), sampled as each gate opens: high, or low if inverted, it restarts the frame number."""

    def __init__(self, train: PulseTrain, inverted: bool) -> None:
        self._train = train
        self._inverted = inverted

    def at(self, times: Ticks) -> Ticks:
        """Return the positions of those times at which the number restarts: int64."""
        high = self._train.high_at(self._train.pulses.frame_zero_every, times)
        return np.flatnonzero(high ^ self._inverted)


class Gated(Timeline):
    """One frame for each gate, or whatever else `gates` are; the run counts from the first `rise` on, or from `origin`.

    At the `reader`'s pace the gates come as there is room for them, and none is lost. `frames` 0 is without end.
    """

    def __init__(
        self,
        gates: Gates,
        *,
        reader: bool,
        frames: int = 0,
        origin: int | None = None,
        zero: FrameZero | None = None,
    ) -> None:
        super().__init__()
        self.exposure = gates.exposure
        self.room = 0 if reader else None
        self._gates = gates
        self._frames = frames
        self._origin = origin
        self._zero = zero
        self._closed: int | None = None

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun; at the reader's pace, that are ready."""
        if self._closed is not None:
            return self._closed
        if self._origin is None:
            return 0
        return self._gates.begun(now - self._origin) if self.room is None else self._gates.ready(self.room)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        if self._closed is not None or self._origin is None or self.room is not None:
            return self.begun(now)
        return self._gates.complete(now - self._origin)

    def waiting(self, now: int) -> bool:
        """Whether the next frame waits for a trigger."""
        return not (self.stopped or self.running(now) or self.finished(now))

    def finished(self, now: int) -> bool:
        """Whether all frames have been taken."""
        return not self.stopped and self.complete(now) == self._frames > 0

    def rise(self, now: int) -> None:
        """Let the run count."""
        if self._origin is None:
            self._origin = now

    def stop(self, now: int) -> None:
        """No more gates; that in progress is closed with what it has."""
        if self._closed is None:
            begun = self.begun(now)
            if begun > self.complete(now):
                began, _ = self.spans(np.array([begun - 1]))
                self.cut = {begun - 1: now - int(began[0])}
            self._closed = begun
        self.stopped = True

    def uneven(self, first: int, count: int) -> dict[int, int]:
        """Return the ticks of those of `count` frames from `first` on whose end is known and not as `exposure` says."""
        found: dict[int, int] = {}
        if not self._gates.even:
            numbers = np.arange(first, first + count)
            begin, end = self._gates.spans(numbers)
            ticks = end - begin
            odd = (end != OPEN) & (begin != OPEN) & (ticks != (OPEN if self.exposure is None else self.exposure))
            found = dict(zip(numbers[odd].tolist(), ticks[odd].tolist(), strict=True))
        return found | super().uneven(first, count)

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end (`OPEN`: not known yet): int64, same shape."""
        begin, end = self._gates.spans(numbers)
        origin = self._origin or 0
        return begin + origin, np.where(end == OPEN, OPEN, end + origin)

    def zeros(self, first: int, end: int) -> Sequence[int]:
        """Which frames from `first` to `end` - 1 restart the frame number."""
        if self._zero is None or first >= end:
            return ()
        begin, _ = self._gates.spans(np.arange(first, end))
        zeros: list[int] = (first + self._zero.at(begin[begin != OPEN])).tolist()
        return zeros


class TriggeredTrain(Train):
    """A train that starts by itself at the first trigger later than `after`."""

    def __init__(
        self, gates: Gates, frames: int, exposure: int, gap: int, *, origin: int | None = None, after: int = 0
    ) -> None:
        super().__init__(frames, exposure, gap)
        self._gates = gates
        self._origin = origin
        self._looked = after - 1

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        self._look(now)
        return super().begun(now)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        self._look(now)
        return super().complete(now)

    def rise(self, now: int) -> None:
        """Let the run count."""
        if self._origin is None:
            self._origin = now

    def _look(self, now: int) -> None:
        if self._start is None and self._origin is not None and self._closed is None:
            while self._looked < now - self._origin:
                until = min(self._looked + self._gates.ahead, now - self._origin)
                times = self._gates.rising(self._looked, until)
                if len(times):
                    self._start = self._origin + int(times[0])
                    return
                self._looked = until


class SoftwareGated(Gated):
    """Frames that collect from software trigger to software trigger."""

    def __init__(self, gates: Gates, triggers: SoftwareTriggers, *, frames: int, origin: int) -> None:
        super().__init__(gates, reader=False, frames=frames, origin=origin)
        self._from = origin
        self._triggers = triggers

    def rise(self, now: int) -> None:
        """Give a trigger."""
        if not self.stopped:
            self._triggers.add(now - self._from)


class Rows(Timeline):
    """The generator's program run again and again, each time after a stop; frames are numbered on."""

    def __init__(self, rows: tuple[tuple[int, Timeline], ...]) -> None:
        super().__init__()
        self._rows = rows  # number of the first frame, and the rest
        self.exposure = rows[0][1].exposure

    @classmethod
    def after(cls, earlier: Timeline, begun: int, row: Timeline) -> "Rows":
        """Add a row to a timeline that has ended with `begun` frames."""
        rows = earlier.rows if isinstance(earlier, Rows) else ((0, earlier),)
        return cls((*rows, (begun, row)))

    @property
    def rows(self) -> tuple[tuple[int, Timeline], ...]:
        """Every row with the number of its first frame."""
        return self._rows

    @property
    def room(self) -> int | None:
        """At the reader's pace: number of frames that may be ready, of all rows."""
        first, row = self._rows[-1]
        return None if row.room is None else first + row.room

    @room.setter
    def room(self, room: int | None) -> None:
        first, row = self._rows[-1]
        if row.room is not None and room is not None:
            row.room = max(0, room - first)

    @property
    def row(self) -> Timeline:
        """The present row."""
        return self._rows[-1][1]

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return self._rows[-1][0] + self.row.begun(now)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return self._rows[-1][0] + self.row.complete(now)

    def running(self, now: int) -> bool:
        """Whether a frame is being counted."""
        return self.row.running(now)

    def waiting(self, now: int) -> bool:
        """Whether the next frame waits for a trigger."""
        return self.row.waiting(now)

    def finished(self, now: int) -> bool:
        """Whether the present row has been taken."""
        return self.row.finished(now)

    def rise(self, now: int) -> None:
        """Raise the software's count enable."""
        self.row.rise(now)

    def fall(self, now: int) -> None:
        """Lower the software's count enable."""
        self.row.fall(now)

    def stop(self, now: int) -> None:
        """End the run; a frame in progress is closed with what it has."""
        self.row.stop(now)
        self.stopped = True

    def uneven(self, first: int, count: int) -> dict[int, int]:
        """Return the ticks of those of `count` frames from `first` on that are not as the first row's `exposure`."""
        found: dict[int, int] = {}
        for start, begin, end, row in self._within(first, first + count):
            if row.exposure is not None and row.exposure != self.exposure:
                found |= dict.fromkeys(range(begin, end), row.exposure)
            found |= {start + number: ticks for number, ticks in row.uneven(begin - start, end - begin).items()}
        return found

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end: int64, same shape."""
        starts, ends = np.zeros_like(numbers), np.zeros_like(numbers)
        for start, begin, end, row in self._within(0, int(numbers.max(initial=-1)) + 1):
            chosen = (numbers >= begin) & (numbers < end)
            starts[chosen], ends[chosen] = row.spans(numbers[chosen] - start)
        return starts, ends

    def _within(self, begin: int, end: int) -> list[tuple[int, int, int, Timeline]]:
        """Rows that have a part in these frames: the row's first frame, the part's first and end, and the row."""
        found = []
        until = end
        for start, row in reversed(self._rows):
            if max(begin, start) < until:
                found.append((start, max(begin, start), until, row))
            until = min(until, start)
        return found
