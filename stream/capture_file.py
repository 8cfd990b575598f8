"""A file that the server's own writer is told to write: from the order to open it to its closing."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from xsp3ioc.stream.messages import Capture

TAKEN = " exists already"
"""How the writer says that there is a file of the name."""


class RecordingError(RuntimeError):
    """The file could not be written."""


@dataclass(eq=False)
class CaptureFile:
    """One file: from the order to open it to its closing."""

    order: Capture
    opened: Future[str] = field(default_factory=Future)
    """Its name, or RecordingError."""
    closed: Future[int] = field(default_factory=Future)
    """Frames in it, or RecordingError: the capture's put-callback."""
    name: str = ""
    """The file that the writer has opened, and the number in its name."""
    number: int = 0
    frames: int = 0
    """Frames in it and flushed, missing ones included."""
    missing: int = 0
    """Those of the series last written that are missing, or not valid."""
    swmr: bool = False
    """Others may read it."""
    seconds: float = 0.0
    """From its first frame to its end."""
    stored: int = 0
    """Bytes on the disk."""
    with_series: bool = False
    """It was opened for one series, and ends with it."""
    private: bool = False
    """It is between server and writer: other subscribers do not hear of it."""
    waiting: bool = False
    """It will be ordered when the next series begins."""
    shown: bool = False
    """Its beginning has been shown to clients, and its end not yet."""
    closing: bool = False
    """It has been ordered closed."""
    closing_since: float = 0.0
    """When (monotonic)."""
    shortfall: str = ""
    """Why it was ordered closed before it had all that it was opened for."""
    over: bool = False
    error: str = ""
    """Why it is not complete; empty if it is."""
    named: Future[int] | None = None
    """Ends when the file has got the name that it gets at once after its end, if it does."""
    flushes: dict[int, Future[None]] = field(default_factory=dict)
    """Orders to flush that are not answered."""

    @property
    def is_open(self) -> bool:
        """Whether it takes frames."""
        return self.opened.done() and not self.opened.exception() and not self.closed.done()

    @property
    def of_series(self) -> bool:
        """Whether it ends with its series, whatever it holds then."""
        return self.with_series or self.order.each_frame

    def until_named(self) -> Future[int]:
        """Return what ends when it is closed, and has the name that it may get at once."""
        ended: Future[int] = Future()

        def end(done: Future[int]) -> None:
            if (error := done.exception()) is not None:
                ended.set_exception(error)
            else:
                ended.set_result(done.result())

        self.closed.add_done_callback(lambda done: (self.named or done).add_done_callback(end))
        return ended

    def close_from_now(self) -> None:
        """Note that it has been ordered closed."""
        self.closing, self.closing_since = True, time.monotonic()

    def fail(self, error: str) -> None:
        """End it; whoever waits for it hears why."""
        for future in (self.opened, self.closed):
            with contextlib.suppress(InvalidStateError):  # it has ended well before
                future.set_exception(RecordingError(error))


def with_way_out(error: str) -> str:
    """Return a writer's error with what its user can do, where that is known."""
    if not error.endswith(TAKEN):
        return error
    return f"{error}: HDF1:NextFreeNumber passes over it, HDF1:Overwrite replaces it"
