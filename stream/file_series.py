"""What a series has to do with the file: whether it is written, whether all of it is, and what is shown of that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from functools import partial

import numpy as np

from xsp3ioc.stream.blocks import Block, FrameStatus
from xsp3ioc.stream.capture_file import CaptureFile, RecordingError
from xsp3ioc.stream.file_commands import CLOSE_PATIENCE, FileCommands, header_for
from xsp3ioc.stream.file_parameters import SINGLE
from xsp3ioc.stream.messages import Written
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.pool import Pool
from xsp3ioc.stream.series import Series
from xsp3ioc.stream.subscriber import Audience

LOOK = 0.02
"""Seconds between two looks at whether a series is given up."""
QUEUE_LOW = 0.25


class FileSeries(FileCommands):
    """The way of a series into files."""

    pool: Pool
    _handed = 0
    """Frames given to the file since ArrayCounter was set to 0."""

    # the beginning

    def _file_for_series(self) -> CaptureFile | None:
        """Return the file that the next series is written to; RecordingError if one that is due cannot be opened."""
        values = self.values
        if not values["file_enabled"] or not values["array_callbacks"]:
            return None
        if values["file_write_mode"] == SINGLE:
            return self._open_frame_files() if values["file_auto_save"] else None
        file = self.recorder.file
        if file is not None and file.waiting and not file.closing:
            self._open_waiting(file)
        return file if file is not None and file.is_open and not file.closing else None

    def _open_waiting(self, file: CaptureFile) -> None:
        frames = file.order.frames  # a scan's NumImages may have been copied to NumCapture since
        try:
            file.order = self._order(frames=frames)
            self._open(file)
        except Exception as error:
            self.recorder.give_up(file, str(error))
            raise
        self._show_begin(file)

    def _open_frame_files(self) -> CaptureFile:
        self._close_series_file()  # of a series that did not start
        return self._open_for_series(lambda: CaptureFile(self._order(each_frame=True, frames=0)))

    def _open_for_series(self, make: Callable[[], CaptureFile]) -> CaptureFile:
        """Open what `make` returns, and show it; or why it cannot be made or opened, which is raised."""
        self.update_all({"write_status": False, "write_message": ""})
        try:
            file = make()
            self._open(file)
        except Exception as error:
            self._show_file_error(str(error))
            raise
        self._show_begin(file)
        return file

    def _close_series_file(self) -> None:
        """End a file that was for one series, and is still open; leave a writer that does nothing.

        RecordingError if it still writes frames of a series that was given up.
        """
        file = self.recorder.file
        if file is None or not file.of_series or file.over:
            return
        self.recorder.close("series over")
        before = file.frames
        wait([file.closed], CLOSE_PATIENCE)
        if file.closed.done():
            return
        if file.frames > before:
            raise RecordingError(
                f"Frames of the series before are still being written, now {file.name}: "
                "wait, or give them up by Capture = 0"
            )
        self.recorder.abandon(f"The file writer has not closed the file within {CLOSE_PATIENCE:g} s")

    def _join_series(self, file: CaptureFile) -> None:
        series = self.series
        if series is not None and series.shown and self.values["file_enabled"] and file.is_open:
            series.joining.append(partial(self._join, series, file))

    def _join(self, series: Series, file: CaptureFile, block: Block) -> None:
        """Begin to record; called from the acquisition thread, before it hands on `block`."""
        if file.closing or not file.is_open:
            return
        series.record(file, int(np.count_nonzero(block.frames["status"] == FrameStatus.valid)))
        self.data.publish(header_for(series.header, file, block.first), audience=Audience.writer)

    # the way

    def _note_block(self, series: Series, block: Block) -> None:
        """Know the latest frame, for WriteFile, and how many there were; called from the acquisition thread."""
        self.latest_frame = series.header, block, series.attributes
        if series.audience is Audience.all:
            self._handed += len(block)

    def _put_file_handed(self, value: int, channel: int | None) -> None:
        self._handed = value
        self.update("file_handed", value)

    def _on_written(self, report: Written) -> None:
        """Hear from the writer; called from the data socket's thread."""
        file, series = self.recorder.file, self.series
        if file is None:
            return
        self._measure(file)
        if file.order.each_frame and file.shown and report.frames:
            self._show_name(file)
        if report.flush or report.swmr:
            self.update_changed({"captured": file.frames, "file_swmr_active": file.swmr})
            self.update_changed({"file_swmr_frames": file.frames if file.swmr else 0})
        if series is None or series.file is not file:
            return
        series.written = series.written_before + max(0, report.frames - report.missing - series.recorded_from)
        if report.series_id == series.id:
            series.flushed.set()

    def _on_capture_over(self, file: CaptureFile) -> None:
        """Write no more of a series whose file is over; end it if the file failed, as it was to be recorded."""
        series = self.series
        if series is None or series.file is not file:
            return
        series.audience = Audience.others
        if file.error and not file.shortfall:
            series.reason = "file"
            series.stop_asked.set()

    # the end

    def _finish_file(self, series: Series, number: int) -> None:
        """Have all of a series in its file, and close that if it is time; `number` is that of the end message."""
        file = series.file
        if file is None:
            return
        self.data.publish(series.end(number, None, None), audience=Audience.writer)
        self._wait_for_file(series, file)
        self._check_written(series, file)
        self._count_dropped(series, file)
        self._close_after(series, file)

    def _wait_for_file(self, series: Series, file: CaptureFile) -> None:
        """Wait until the writer has flushed the series; a failed or left writer ends the wait."""
        while not file.closed.done() and not series.abandoned.is_set():
            if series.flushed.wait(LOOK):
                return
        if not file.closed.done():
            return
        error = file.closed.exception()
        if error is None:
            # It holds all the frames that it was ordered to hold.
            written = file.frames - file.missing - series.recorded_from
            series.written = max(series.written, series.written_before + written)
        elif not series.error:
            series.reason, series.error = "file", str(error)

    def _check_written(self, series: Series, file: CaptureFile) -> None:
        """Fail a series that was to be recorded and is not all in the file, unless that was full or closed."""
        if series.error or file.closing or series.abandoned.is_set():
            return
        if series.unwritten:
            series.reason = "file"
            series.error = (
                f"{series.unwritten} of {series.acquired} frames of series {series.id} are not in {file.name}"
            )

    def _count_dropped(self, series: Series, file: CaptureFile) -> None:
        failed = series.reason == "file" or series.abandoned.is_set()
        dropped = series.unwritten if failed else file.missing
        if dropped:
            self.update("file_dropped", self.values["file_dropped"] + dropped)

    def _close_after(self, series: Series, file: CaptureFile) -> None:
        """Close a file that is to end with the series: so nobody waits for ever for frames that will not come."""
        frames = f"{file.frames} of {file.order.frames} frames"
        if self._order_closed(series, file, f"was closed with {frames}: {series.error}" if series.error else ""):
            while not file.closed.done() and not series.abandoned.is_set():
                wait([file.closed], LOOK)

    def _order_closed(self, series: Series, file: CaptureFile, fate: str) -> bool:
        """Order a file closed that is to end with a series, and return whether it is.

        `fate` is what the file's user hears if it was opened for more frames than will come; empty: no error.
        """
        if file.over:
            return False
        if file.order.each_frame or (file.with_series and not fate):
            self.recorder.close("series over")
        elif series.stop_asked.is_set() and self.values["file_close_on_abort"]:
            self.recorder.close("aborted")
        elif fate and 0 < file.order.frames <= series.recorded_from + series.header.frames:
            self.recorder.close("series failed", f"{file.name} {fate}")
        else:
            return False
        return True

    # show

    def _show_file_progress(self, series: Series) -> None:
        file = series.file
        if file is None:
            return
        self.update_changed({"file_handed": self._handed, "file_unique_id": series.next})
        if file is self.recorder.file:
            swmr = {"file_swmr_active": file.swmr and not file.over, "file_swmr_frames": file.frames * file.swmr}
            self.update_changed({"captured": file.frames} | swmr)

    def _show_queue(self) -> None:
        size = self.values["file_queue_size"]
        free = round(size * self.pool.headroom)
        severity = Severity.major if free == 0 else Severity.minor if free <= QUEUE_LOW * size else Severity.good
        if (free, size - free) != (self.values["file_queue_free"], self.values["file_queue_used"]):
            self.update("file_queue_free", free, severity=severity)
            self.update("file_queue_used", size - free, severity=severity)
