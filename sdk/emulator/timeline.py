"""When frames begin and end: the frame sources of an emulated run, as functions of the clock.

A timeline counts frames from 0 and times in clock ticks. `begun(now)` and `complete(now)` are the numbers of frames
that have begun and ended by then; `uneven` tells the ticks of the frames that did not last `exposure`.
"""

from array import array
from collections.abc import Sequence

import numpy as np

from xsp3ioc.sdk.emulator.pulses import Ticks


class Timeline:
    """No frames at all: a source that waits for pulses which nobody gives."""

    exposure: int | None = None
    """Ticks of every frame that `uneven` does not tell; None when each has its own."""
    room: int | None = None
    """At the reader's pace: number of frames that may be ready; the owner raises it as frames are acknowledged."""
    stopped = False

    def __init__(self) -> None:
        self.cut: dict[int, int] = {}
        """Ticks of the frame that a stop has closed."""

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return 0

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return 0

    def running(self, now: int) -> bool:
        """Whether a frame is being counted."""
        return self.begun(now) > self.complete(now)

    def waiting(self, now: int) -> bool:
        """Whether the next frame waits for a trigger."""
        return not self.stopped

    def finished(self, now: int) -> bool:
        """Whether all frames that were asked for have been taken."""
        return False

    def rise(self, now: int) -> None:
        """Raise the software's count enable."""

    def fall(self, now: int) -> None:
        """Lower the software's count enable."""

    def stop(self, now: int) -> None:
        """End the run; a frame in progress is closed with what it has."""
        self.stopped = True

    def uneven(self, first: int, count: int) -> dict[int, int]:
        """Return the ticks of those of `count` frames from `first` on that are complete and not as `exposure` says."""
        return {number: ticks for number, ticks in self.cut.items() if first <= number < first + count}

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end: int64, same shape. At the reader's pace, when they would have."""
        return np.zeros_like(numbers), np.zeros_like(numbers)

    def zeros(self, first: int, end: int) -> Sequence[int]:
        """Which frames from `first` to `end` - 1 restart the frame number."""
        return ()


class Train(Timeline):
    """Frames one after the other, from the start or from the first trigger on."""

    def __init__(self, frames: int, exposure: int, gap: int) -> None:
        super().__init__()
        self.exposure: int = exposure
        self._frames = frames  # 0: until stopped
        self._period = exposure + gap
        self._gap = gap
        self._start: int | None = None
        self._closed: int | None = None

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        if self._closed is not None:
            return self._closed
        return 0 if self._start is None else self._limited((now - self._start) // self._period + 1)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        if self._closed is not None:
            return self._closed
        return 0 if self._start is None else self._limited((now - self._start + self._gap) // self._period)

    def waiting(self, now: int) -> bool:
        """Whether the first frame waits for a trigger."""
        return not self.stopped and self.begun(now) == 0

    def finished(self, now: int) -> bool:
        """Whether all frames have been taken."""
        return not self.stopped and self.complete(now) == self._frames > 0

    def rise(self, now: int) -> None:
        """Start the train at the first trigger; later ones do nothing."""
        if self._start is None and self._closed is None:
            self._start = now

    def stop(self, now: int) -> None:
        """End the train; the frame in progress is closed with what it has."""
        if self._closed is None:
            begun = self.begun(now)
            if self._start is not None and begun > self.complete(now):
                self.cut = {begun - 1: now - self._start - (begun - 1) * self._period}
            self._closed = begun
        self.stopped = True

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end: int64, same shape."""
        begin = (self._start or 0) + numbers * self._period
        return begin, begin + self.exposure

    def _limited(self, frames: int) -> int:
        return min(frames, self._frames) if self._frames else frames


class Triggered(Timeline):
    """One frame for each trigger; triggers that come during a frame or its gap are lost.

    At the reader's pace a frame ends as it begins, and no trigger is lost.
    """

    def __init__(self, frames: int, exposure: int, gap: int, *, at_once: bool = False) -> None:
        super().__init__()
        self.exposure: int = exposure
        self._frames = frames
        self._lasts = 0 if at_once else exposure
        self._period = 0 if at_once else exposure + gap
        self._times = array("q")  # when each began

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return len(self._times)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        begun = len(self._times)
        open_still = begun and not self.stopped and now - self._times[-1] < self._lasts
        return begun - 1 if open_still else begun

    def waiting(self, now: int) -> bool:
        """Whether the next frame waits for a trigger."""
        return not (self.stopped or self.running(now) or self.finished(now))

    def finished(self, now: int) -> bool:
        """Whether all frames have been taken."""
        return not self.stopped and self.complete(now) == self._frames > 0

    def rise(self, now: int) -> None:
        """Begin the next frame, unless one is in progress or all have been taken."""
        begun = len(self._times)
        if self.stopped or (self._frames and begun == self._frames):
            return
        if begun == 0 or now - self._times[-1] >= self._period:
            self._times.append(now)

    def stop(self, now: int) -> None:
        """End the run; the frame in progress is closed with what it has."""
        if self.running(now):
            self.cut = {len(self._times) - 1: now - self._times[-1]}
        self.stopped = True

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end: int64, same shape."""
        begin = np.array(self._times, np.int64)[numbers]
        return begin, begin + max(self._lasts, 1)


class SoftwareTimed(Timeline):
    """Each frame lasts while the count enable is high."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = array("q")
        self._closed = array("q")

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return len(self._opened)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return len(self._closed)

    def rise(self, now: int) -> None:
        """Open the next frame."""
        if len(self._opened) == len(self._closed) and not self.stopped:
            self._opened.append(now)

    def fall(self, now: int) -> None:
        """Close the open frame."""
        if len(self._opened) > len(self._closed):
            self._closed.append(now)

    def stop(self, now: int) -> None:
        """Close the open frame, for good."""
        self.fall(now)
        self.stopped = True

    def uneven(self, first: int, count: int) -> dict[int, int]:
        """Return the ticks of the complete ones of `count` frames from `first` on."""
        end = min(first + count, len(self._closed))
        return {number: self._closed[number] - self._opened[number] for number in range(first, end)}

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and ended: int64, same shape; one that is open ends as it begins."""
        begin = np.array(self._opened, np.int64)
        end = begin.copy()
        end[: len(self._closed)] = self._closed[: len(begin)]
        return begin[numbers], end[numbers]


class ReaderTrain(Timeline):
    """A train at the reader's pace: as many frames are ready as there is `room` for, whatever the clock says."""

    def __init__(self, frames: int, exposure: int, gap: int) -> None:
        super().__init__()
        self.exposure: int = exposure
        self.room: int = 0
        self._frames = frames
        self._period = exposure + gap
        self._start: int | None = None
        self._closed: int | None = None

    def begun(self, now: int) -> int:
        """Return the number of frames that are ready."""
        if self._closed is not None:
            return self._closed
        ready = 0 if self._start is None else self.room
        return min(ready, self._frames) if self._frames else ready

    complete = begun

    def running(self, now: int) -> bool:
        """Whether more frames will come."""
        more = not self._frames or self.room < self._frames
        return self._closed is None and self._start is not None and more

    def waiting(self, now: int) -> bool:
        """Whether the first frame waits for a trigger."""
        return self._start is None and not self.stopped

    def finished(self, now: int) -> bool:
        """Whether all frames have been taken."""
        return not self.stopped and self.begun(now) == self._frames > 0

    def rise(self, now: int) -> None:
        """Start the train at the first trigger."""
        if self._start is None:
            self._start = now

    def stop(self, now: int) -> None:
        """No more frames than are ready now."""
        self._closed = self.begun(now)
        self.stopped = True

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames would have begun and ended: int64, same shape."""
        begin = (self._start or 0) + numbers * self._period
        return begin, begin + self.exposure
