"""What the writer does with the stream's events: files opened, filled, closed, and what is reported about them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from xsp3ioc.receivers.durability import Durability
from xsp3ioc.receivers.frame_files import FrameFiles
from xsp3ioc.receivers.naming import create, create_hidden, name_held
from xsp3ioc.receivers.paths import describe
from xsp3ioc.receivers.receiver import Event
from xsp3ioc.receivers.room import Open, Room
from xsp3ioc.receivers.series_table import CLOSED_FIRST, DISK_FULL, NOT_TOLD
from xsp3ioc.stream.messages import (
    Block,
    Capture,
    CaptureEnd,
    Closed,
    Failed,
    Flush,
    FromReceiver,
    Header,
    Opened,
    SeriesEnd,
    Written,
)

log = logging.getLogger(__name__)

REPORT_INTERVAL = 0.2
"""s between reports of progress."""

FAILURES = (OSError, ValueError, RuntimeError, MemoryError)
"""What may go wrong with a file: reported, and survived."""

Report = Callable[[FromReceiver], object]


class Recording:
    """The server's captures, each in the file that the server names.

    Whatever goes wrong with a file is reported (`Failed`); the rest of its capture is then ignored. So is a disk that
    is nearly full: the file is closed well before. `durability`: what survives a loss of power.
    """

    def __init__(self, report: Report, durability: Durability | None = None) -> None:
        self._report = report
        self._durability = durability or Durability()
        self._capture: Capture | None = None
        self._file: Open | None = None
        self._room: Room
        self._header: Header | None = None
        self._late = False
        self._failed = False
        self._flushed = self._reported = self._began = 0.0
        self._reported_frames = self._reported_missing = 0

    @property
    def path(self) -> str | None:
        """The file that is open."""
        return self._file.path if self._file else None

    def take(self, event: Event, late: bool = False) -> None:
        """Do what an event asks for; `late`: its series may have begun before this receiver had joined."""
        try:
            match event:
                case Block():
                    self._write(event)
                case Capture():
                    self._open(event)
                case Header():
                    self._begin(event, late)
                case SeriesEnd():
                    self._end_series(event)
                case Flush():
                    self._flush(event)
                case CaptureEnd():
                    self._end_capture(event)
        except FAILURES as error:
            self._fail(error)

    def misread(self, reason: str) -> None:
        """Give up the capture that runs: what the server has said just now, perhaps its end, was not understood."""
        capture = self._capture
        if capture is None or self._failed:
            return
        path = self._file.path if self._file else capture.filename
        try:
            frames = self._close_file(self._file, NOT_TOLD) if self._file else self._reported_frames
        except FAILURES as error:
            self._fail(error)
            return
        self._report_failed(capture, path, frames, f"{path}: a message of the server could not be read: {reason}")

    def tick(self) -> None:
        """Flush and report as time goes by; to be called several times a second."""
        file, capture = self._file, self._capture
        if file is None or capture is None:
            return
        now = time.monotonic()
        sync = self._durability.due(file.frames)
        if sync or (now - self._flushed >= capture.flush_interval and file.frames != file.flushed):
            try:
                file.flush()
                if sync:
                    self._durability.sync(file.current, file.frames)
            except FAILURES as error:
                self._fail(error)
                return
            self._flushed = now
        if now - self._reported >= REPORT_INTERVAL and file.flushed != self._reported_frames:
            self._report_written(file, capture)

    def close(self, reason: str = NOT_TOLD) -> None:
        """Close the file that is open, if any; a series that runs ends for this `reason`."""
        try:
            self._close(reason)
        except FAILURES as error:
            self._fail(error)

    def _create(self, capture: Capture) -> tuple[Open, int]:
        """Create the file of a capture, return it and its number; OSError or ValueError if that cannot be."""
        if capture.each_frame:
            return FrameFiles(capture, self._put_on_disk), capture.number
        if capture.hold:
            return create_hidden(capture, self._put_on_disk), capture.number
        return create(capture, capture.number, self._put_on_disk)

    def _open(self, capture: Capture) -> None:
        if self._file and capture == self._capture:
            # It comes again after a reconnection.
            return
        self.close()
        self._capture, self._header, self._failed = capture, None, False
        self._reported_frames = self._reported_missing = 0
        if capture.held:
            self._name(capture)
            return
        self._file, number = self._create(capture)
        self._room = Room(capture)
        if not capture.each_frame:
            self._durability.named(self._file.path, abs(capture.create_directories))
        self._flushed = self._reported = time.monotonic()
        self._began = 0.0
        log.info("Opened %s", self._file.path)
        self._report(Opened(capture_id=capture.capture_id, filename=self._file.path, number=number))

    def _name(self, capture: Capture) -> None:
        path, number = name_held(capture)
        self._put_on_disk(path)
        log.info("%s is now %s", capture.held, path)
        self._report(Opened(capture_id=capture.capture_id, filename=path, number=number))
        self._report(Closed(capture_id=capture.capture_id, filename=path, frames=capture.frames))

    def _begin(self, header: Header, late: bool) -> None:
        if self._header and (header.series_id, header.time) == (self._header.series_id, self._header.time):
            # It comes again after a reconnection: the series goes on, with a gap.
            return
        capture = self._capture
        if capture is None or header.capture_id != capture.capture_id:
            self._header = None
            return
        self._header, self._late = header, late
        if self._file and not late:
            self._file.begin(header, header.first)
            if self._file.swmr:
                self._report_written(self._file, capture)

    def _write(self, block: Block) -> None:
        file, header, capture = self._file, self._header, self._capture
        if file is None or header is None or capture is None or block.series_id != header.series_id:
            return
        self._began = self._began or time.monotonic()
        if self._late:
            # No place is kept for what went by before this receiver had joined.
            file.begin(header, block.first)
            self._late = False
        if full := self._room.shortage(file, header, block):
            frames = self._close_file(file, DISK_FULL)
            self._report_written(file, capture)
            self._report_failed(capture, file.path, frames, f"{full}: {frames:,} frames are safe in {file.path}")
            return
        file.write(block)
        if file.full:
            self._close()
        elif 0 < capture.flush_frames <= file.frames - file.flushed:
            file.flush()
            self._flushed = time.monotonic()

    def _end_series(self, end: SeriesEnd) -> None:
        if self._header is None or end.series_id != self._header.series_id:
            return
        file, capture, late = self._file, self._capture, self._late
        self._header, self._late = None, False
        if capture is None or self._failed or late:
            return
        if file is None:
            # The capture was full before its series was over.
            self._report(
                Written(
                    capture_id=capture.capture_id,
                    frames=self._reported_frames,
                    series_id=end.series_id,
                    missing=self._reported_missing,
                )
            )
            return
        file.end_series(end)
        self._flushed = time.monotonic()
        self._report_written(file, capture, end.series_id)
        if file.full:
            self._close()

    def _flush(self, order: Flush) -> None:
        file, capture = self._file, self._capture
        if capture is None or order.capture_id != capture.capture_id or self._failed:
            return
        if file is not None:
            file.flush()
            self._flushed = time.monotonic()
            self._report_written(file, capture, flush=order.flush)
            return
        frames, missing = self._reported_frames, self._reported_missing
        self._report(Written(capture_id=capture.capture_id, frames=frames, missing=missing, flush=order.flush))

    def _end_capture(self, end: CaptureEnd) -> None:
        if self._capture and end.capture_id == self._capture.capture_id:
            self._close()
            self._capture = self._header = None

    def _close(self, reason: str = CLOSED_FIRST) -> None:
        file, capture = self._file, self._capture
        if file is None or capture is None:
            return
        self._close_file(file, reason)
        self._report_written(file, capture)
        self._report(
            Closed(
                capture_id=capture.capture_id,
                filename=file.path,
                frames=file.frames,
                seconds=time.monotonic() - self._began if self._began else 0.0,
            )
        )

    def _close_file(self, file: Open, reason: str) -> int:
        """Close the file well, and return the frames in it."""
        file.close(reason)
        self._file, self._reported_frames = None, file.frames
        log.info("Closed %s with %d frames", file.path, file.frames)
        if not isinstance(file, FrameFiles):
            self._durability.sync(file.path)
        return file.frames

    def _put_on_disk(self, path: str) -> None:
        """Have a file that is complete survive a loss of power, with its name."""
        self._durability.sync(path)
        self._durability.named(path, abs(self._capture.create_directories) if self._capture else 0)

    def _report_written(self, file: Open, capture: Capture, series_id: int | None = None, flush: int = 0) -> None:
        frames, missing = file.flushed, file.flushed_missing
        self._reported, self._reported_frames, self._reported_missing = time.monotonic(), frames, missing
        self._report(
            Written(
                capture_id=capture.capture_id,
                frames=frames,
                series_id=series_id,
                missing=missing,
                flush=flush,
                swmr=file.swmr,
                stored=file.stored,
                filename=file.path if isinstance(file, FrameFiles) else "",
                number=file.number if isinstance(file, FrameFiles) else 0,
            )
        )

    def _fail(self, error: Exception) -> None:
        file, capture = self._file, self._capture
        self._file, self._failed = None, True
        if capture is None:
            log.error("Writing failed: %s", error)
            return
        path = file.path if file else capture.filename
        log.debug("", exc_info=error)
        if file:
            file.abandon()
        if isinstance(file, FrameFiles) and file.flushed:
            self._report_written(file, capture)  # the number of the last good one, from which its user goes on
        self._report_failed(capture, path, file.flushed if file else self._reported_frames, describe(error, path))

    def _report_failed(self, capture: Capture, path: str, frames: int, text: str) -> None:
        self._failed = True
        log.error("Capture %d failed: %s", capture.capture_id, text)
        self._report(Failed(capture_id=capture.capture_id, filename=path, frames=frames, error=text))
