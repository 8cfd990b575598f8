"""When frames begin and end: the frame sources of an emulated run, as functions of the clock.

A timeline counts frames from 0 and times in clock ticks. `begun(now)` and `complete(now)` are the numbers of frames
that have begun and ended by then; `lengths` holds the ticks of the frames that did not last `exposure`.
"""


class Timeline:
    """No frames at all: a source that waits for pulses which nobody gives."""

    exposure: int | None = None
    """Ticks of every frame that is not in `lengths`; None when each has its own."""

    def __init__(self) -> None:
        self.lengths: dict[int, int] = {}

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return 0

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return 0

    def running(self, now: int) -> bool:
        """Whether a frame is being counted."""
        return self.begun(now) > self.complete(now)

    def rise(self, now: int) -> None:
        """Raise the software's count enable."""

    def fall(self, now: int) -> None:
        """Lower the software's count enable."""

    def stop(self, now: int) -> None:
        """End the run; a frame in progress is closed with what it has."""


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

    def rise(self, now: int) -> None:
        """Start the train at the first trigger; later ones do nothing."""
        if self._start is None and self._closed is None:
            self._start = now

    def stop(self, now: int) -> None:
        """End the train; the frame in progress is closed with what it has."""
        if self._closed is None:
            begun = self.begun(now)
            if self._start is not None and begun > self.complete(now):
                self.lengths[begun - 1] = now - self._start - (begun - 1) * self._period
            self._closed = begun

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
        self._begun = 0
        self._last = 0  # when the last frame began
        self._stopped = False

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return self._begun

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        open_still = self._begun and not self._stopped and now - self._last < self._lasts
        return self._begun - 1 if open_still else self._begun

    def rise(self, now: int) -> None:
        """Begin the next frame, unless one is in progress or all have been taken."""
        if self._stopped or (self._frames and self._begun == self._frames):
            return
        if self._begun == 0 or now - self._last >= self._period:
            self._begun += 1
            self._last = now

    def stop(self, now: int) -> None:
        """End the run; the frame in progress is closed with what it has."""
        if self.running(now):
            self.lengths[self._begun - 1] = now - self._last
        self._stopped = True


class SoftwareTimed(Timeline):
    """Each frame lasts while the count enable is high."""

    def __init__(self) -> None:
        super().__init__()
        self._complete = 0
        self._opened: int | None = None
        self._stopped = False

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return self._complete + (self._opened is not None)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return self._complete

    def rise(self, now: int) -> None:
        """Open the next frame."""
        if self._opened is None and not self._stopped:
            self._opened = now

    def fall(self, now: int) -> None:
        """Close the open frame."""
        if self._opened is not None:
            self.lengths[self._complete] = now - self._opened
            self._complete += 1
            self._opened = None

    def stop(self, now: int) -> None:
        """Close the open frame, for good."""
        self.fall(now)
        self._stopped = True


class ReaderTrain(Timeline):
    """A train at the reader's pace: as many frames are ready as there is `room` for, whatever the clock says."""

    def __init__(self, frames: int, exposure: int) -> None:
        super().__init__()
        self.exposure: int = exposure
        self.room = 0
        """Number of frames that may be ready; the owner raises it as frames are acknowledged."""
        self._frames = frames
        self._started = False
        self._closed: int | None = None

    def begun(self, now: int) -> int:
        """Return the number of frames that are ready."""
        if self._closed is not None:
            return self._closed
        ready = self.room if self._started else 0
        return min(ready, self._frames) if self._frames else ready

    complete = begun

    def running(self, now: int) -> bool:
        """Whether more frames will come."""
        return self._closed is None and self._started and (not self._frames or self.room < self._frames)

    def rise(self, now: int) -> None:
        """Start the train at the first trigger."""
        self._started = True

    def stop(self, now: int) -> None:
        """No more frames than are ready now."""
        self._closed = self.begun(now)
