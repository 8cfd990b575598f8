"""One acquisition: what was asked for, how far it is, and what is missing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk import ItfgTrigger
from xsp3ioc.stream.attributes import Value
from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.connection import Trigger
from xsp3ioc.stream.messages import Block, Gap, Header, SeriesEnd
from xsp3ioc.stream.subscriber import Audience


class SeriesError(RuntimeError):
    """The series did not end as it was asked to."""


@dataclass(eq=False)
class Series:
    """From its header to its end message; made by the detector, filled by the acquisition thread."""

    header: Header
    trigger: Trigger
    """What makes its frames: whether their times follow from ticks, and whether a stop cuts the last one short."""
    event_widths: NDArray[np.float64]
    """(channels,), ticks."""
    stop_on_overrun: bool = True
    shown: bool = True
    """Whether displays follow it."""
    enabled: NDArray[np.bool_] | None = None
    """(channels,), which of them a whole frame needs; None: all."""
    read_attributes: Callable[[], dict[str, Value]] = dict
    """What is to be written beside the frames of a block that is read now."""
    attributes: dict[str, Value] = field(default_factory=dict)
    """The same of the block read last."""
    file: CaptureFile | None = None
    """Where it is written, or was: a file may end, and another one begin, in mid-series."""
    audience: Audience = Audience.others
    """Who gets its blocks: the writer too, while it is recorded."""
    joining: deque[Callable[[Block], None]] = field(default_factory=deque)
    """What the acquisition thread does before it hands on the next block."""
    recorded_from: int = 0
    """Frames in the file when it began there."""
    written_before: int = 0
    """Frames of it in files before that."""
    unrecorded: int = 0
    """Frames acquired that were for no file."""
    next: int = 0
    """Number of the next frame to read."""
    acquired: int = 0
    """Frames read whose data are their own."""
    handed_on: int = 0
    """The same, of the blocks that everybody has got: what is asked about them is known."""
    triggers_sent: int = 0
    """Triggers by software."""
    over: bool = False
    """All sinks have all of it, and it is about to be left."""
    written: int = 0
    """Frames of it that are in the file."""
    missing: list[Gap] = field(default_factory=list)
    reason: str = "complete"
    error: str = ""
    """Empty if it went as asked, a stop included."""
    latest: Block | None = None
    start_time: float = 0.0
    """Host clock around the start call, s since 1970."""
    start_monotonic: float = 0.0
    elapsed: float = 0.0
    """Seconds from the start to the end of the last frame's gap, by the clock of the hardware."""
    flushed: threading.Event = field(default_factory=threading.Event)
    """The writer has all of it, flushed."""
    stop_asked: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    end_told: threading.Lock = field(default_factory=threading.Lock)
    """Taken by who says its end to all receivers."""
    done: Future[None] = field(default_factory=Future)
    """The acquisition's put-callback."""

    @property
    def id(self) -> int:
        """Number of the series, from 1 in this server."""
        return self.header.series_id

    @property
    def confirmed(self) -> int:
        """Frames acquired, as clients count them: the last one counts when the series is over, for its file is then."""
        last = 0 if self.over or not self.header.frames else max(0, self.handed_on - self.header.frames + 1)
        return self.handed_on - last

    @property
    def ready_for_trigger(self) -> bool:
        """Whether software's trigger starts the next frame, or the first of all."""
        if self.trigger.generator is ItfgTrigger.software_only_first:
            return self.triggers_sent == 0
        more = not self.header.frames or self.triggers_sent < self.header.frames
        return self.trigger.armed and more and self.next == self.triggers_sent

    @property
    def corrected(self) -> bool:
        """Whether its spectra are shown and written times their dead-time factors."""
        return bool(self.header.parameters.get("corrected"))

    @property
    def recorded(self) -> bool:
        """Whether it was to be written to a file of the server, or a part of it."""
        return self.file is not None

    @property
    def unwritten(self) -> int:
        """Frames that were to be in a file and are not, or not yet."""
        return max(0, self.acquired - self.unrecorded - self.written)

    def record(self, file: CaptureFile, coming: int = 0) -> None:
        """Have it written to `file` from now on, the last `coming` frames that were acquired included."""
        self.file, self.audience, self.recorded_from = file, Audience.all, file.frames
        self.unrecorded = self.acquired - coming - self.written
        self.written_before = self.written
        self.flushed.clear()

    def audience_of(self, block: Block) -> Audience:
        """Whom a block is for; called once for each, before it is handed on."""
        while self.joining:
            self.joining.popleft()(block)
        return self.audience

    def time_remaining(self) -> float:
        """Seconds until its last frame is over; 0 where that is not known."""
        frame_time = self.header.exposure + self.header.gap
        if not self.header.exposure or not self.header.frames:
            return 0.0
        left = (self.header.frames - self.next) * frame_time
        if self.trigger.free_running:
            left = self.start_monotonic + self.header.frames * frame_time - time.monotonic()
        return max(0.0, left)

    def times(self, ticks: NDArray[np.uint32]) -> NDArray[np.float64] | float:
        """Return when the exposures of the next frames end, of total ticks `ticks`; s since 1970."""
        if not self.trigger.free_running:
            return self.start_time + (time.monotonic() - self.start_monotonic)
        header = self.header
        steps = ticks * header.clock_period
        if not ticks.all():
            steps[ticks == 0] = header.exposure  # overwritten: it took as long as all the others
        steps += header.gap
        ends: NDArray[np.float64] = steps.cumsum()
        start, self.elapsed = self.elapsed, self.elapsed + float(ends[-1])
        ends += self.start_time + start - header.gap
        return ends

    def lose(self, first: int, last: int, reason: str) -> None:
        """Account for frames that are lost."""
        if self.missing and self.missing[-1].last + 1 == first and self.missing[-1].reason == reason:
            self.missing[-1].last = last
        else:
            self.missing.append(Gap(first, last, reason))

    def gaps(self, first: int, end: int) -> list[Gap]:
        """Return what is known to be missing of the frames from `first` on, before `end`; they are the newest."""
        newest = takewhile(lambda gap: gap.last >= first, reversed(self.missing))  # there may be very many others
        inside = [Gap(max(gap.first, first), min(gap.last, end - 1), gap.reason) for gap in newest if gap.first < end]
        return inside[::-1]

    @property
    def length(self) -> int:
        """Frames that were read or are known to be missing."""
        return max(self.next, self.missing[-1].last + 1 if self.missing else 0)

    @property
    def lost(self) -> int:
        """How many frames are missing."""
        return sum(map(len, self.missing))

    def end(self, msg_number: int, streamed: int | None, written: int | None) -> SeriesEnd:
        """Return the message that ends it."""
        return SeriesEnd(
            msg_number=msg_number,
            series_id=self.id,
            reason=self.reason,
            acquired=self.acquired,
            streamed=streamed,
            written=written,
            missing=self.missing,
        )
