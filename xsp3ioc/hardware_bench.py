"""A connected system on the bench: short runs of it, for the statements of `hardware_statements`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk import (
    Frames,
    GapMode,
    ItfgTrigger,
    Library,
    Progress,
    RunFlag,
    TimingSource,
    Xspress3,
)

STRAIGHT = RunFlag.scalers | RunFlag.histogram
CIRCULAR = STRAIGHT | RunFlag.circular
POLL = 0.001
_PATIENCE = 1.0  # seconds that a run may take longer than its frames
_BUSY = 2.0  # seconds in which the receivers have to come to rest after a stop
_BUSY_POLL = 0.01


class Differs(Exception):  # noqa: N818
    """The hardware does something else than the statement says; the message says what."""


class NotTestable(Exception):  # noqa: N818
    """The statement cannot be tested here; the message says why."""


class Inconclusive(Exception):  # noqa: N818
    """The program was held up, so the result means nothing: once more."""


class Point(NamedTuple):
    """Progress at a time, in seconds."""

    time: float
    frames: int


class Bench:
    """A handle, the time, and short runs."""

    def __init__(
        self,
        handle: Xspress3,
        library: Library,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        hollow: Callable[[], int] = lambda: 0,
    ) -> None:
        """Take over a prepared system; `hollow` counts what was read and is not real."""
        self.handle, self.library = handle, library
        self.clock, self.sleep = clock, sleep
        self._hollow = hollow
        self.period = handle.clock_period()
        self.kept: dict[str, Any] = {}
        """What one test leaves for those after it."""

    def ticks(self, seconds: float) -> int:
        """Return an exposure in clock ticks."""
        return max(2, round(seconds / self.period))

    def begin(
        self,
        frames: int,
        exposure: float,
        *,
        trigger: ItfgTrigger = ItfgTrigger.burst,
        gap: GapMode = GapMode.us1,
        flags: RunFlag = CIRCULAR,
        arm: bool = False,
    ) -> None:
        """Start (or arm) frames of `exposure` seconds of the internal generator; needs one."""
        if not self.handle.has_itfg:
            raise NotTestable("there is no internal time frame generator")
        self.handle.setup_itfg(frames, self.ticks(exposure), trigger, gap)
        self._begin(TimingSource.internal, flags, arm)

    def begin_software(self) -> None:
        """Arm frames that software opens and closes."""
        self._begin(TimingSource.software, CIRCULAR, arm=True)

    def _begin(self, source: TimingSource, flags: RunFlag, arm: bool) -> None:
        self.handle.set_run_flags(flags)
        self.handle.set_timing(source)
        self.handle.set_first_frame(0)
        self.handle.clear(self.handle.ring)
        if arm:
            self.handle.arm()
        else:
            self.handle.start()

    def progress(self) -> Progress:
        """Ask for the progress."""
        return self.handle.progress()

    def wait(self, frames: int, seconds: float) -> int:
        """Wait until so many frames are complete, which should take `seconds`; `Differs` if they don't come."""
        end = self.clock() + seconds + _PATIENCE
        while (found := self.progress()).frames < frames:
            if self.clock() > end:
                raise Differs(f"{found.frames} of {frames} frames {seconds + _PATIENCE:g} s after the start")
            self.sleep(POLL)
        return found.frames

    def watch(self, seconds: float, until: int) -> list[Point]:
        """Note the progress for so long, or until so many frames are complete."""
        end = self.clock() + seconds
        points: list[Point] = []
        while not points or (points[-1].time < end and points[-1].frames < until):
            found = self.progress().frames
            points.append(Point(self.clock(), found))
            self.sleep(POLL)
        return points

    def stop(self) -> None:
        """Stop, and wait until nothing is received any more."""
        self.handle.stop()
        if self.handle.must_acknowledge:  # it cannot say whether it is busy
            self.sleep(_BUSY_POLL)
            return
        end = self.clock() + _BUSY
        quiet = 0
        while quiet < 2:
            quiet = 0 if self.handle.busy else quiet + 1
            self.sleep(_BUSY_POLL)
            if self.clock() > end:
                raise Differs(f"the receivers still are busy {_BUSY:g} s after a stop")

    def settled(self, at_least: int, seconds: float = 0.5) -> int:
        """Return the progress after a stop: the last frame may take a moment to be flushed."""
        end = self.clock() + seconds
        while (found := self.progress().frames) < at_least and self.clock() < end:
            self.sleep(POLL)
        return found

    def read(self, first: int, frames: int) -> Frames:
        """Read frames with their status; `NotTestable` where a trace does not hold their content."""
        with self.whole():
            return self.handle.read(first, frames)

    def scalers(self, first: int, frames: int) -> NDArray[np.uint32]:
        """Read scalers: uint32 (frames, channels, 9)."""
        found = np.zeros((frames, self.handle.channels, 9), np.uint32)
        with self.whole():
            self.handle.read_scalers(first, found)
        return found

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Note whether what is read in this context is real: a trace may hold only sums."""
        before = self._hollow()
        yield
        if self._hollow() > before:
            raise NotTestable("the trace has only sums of these data, not the data")

    def raw(self, name: str, *args: Any) -> int:
        """Call the library itself and return its status, whatever that is; `NotTestable` if the function is missing."""
        if not self.library.has(name):
            raise NotTestable(f"the library has no {name}")
        return int(getattr(self.library, name)(*args))

    def __getitem__(self, name: str) -> Any:
        """Return what an earlier test has kept; `NotTestable` if that test did not get so far."""
        if name not in self.kept:
            raise NotTestable(f"there is no {name}: see above")
        return self.kept[name]
