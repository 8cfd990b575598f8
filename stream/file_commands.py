"""What can be done with a file: captures, files of single frames, names for what was captured, flushes."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from typing import Any

import msgspec

from xsp3ioc.stream.blocks import Block
from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.disk import delete
from xsp3ioc.stream.file_orders import STOP_PATIENCE, FileOrders
from xsp3ioc.stream.file_parameters import CAPTURE, SINGLE, STREAM
from xsp3ioc.stream.file_settings import CLOSE_PATIENCE
from xsp3ioc.stream.messages import Header, Value, image_of
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.store import shorten
from xsp3ioc.stream.subscriber import Audience

LAZY = "Lazy Open..."


class FileCommands(FileOrders):
    """Commands of the records `HDF1:`."""

    data: DataSocket
    latest_frame: tuple[Header, Block, dict[str, Value]] | None = None
    """The block read last, in this series or the one before, with the header of its series and its attributes."""
    _held: tuple[str, int] | None = None
    """The hidden file of the last capture in mode Capture, and its frames."""

    def _put_capture(self, value: bool, channel: int | None) -> Future[Any] | None:
        return self._begin_capture() if value else self._end_capture()

    def _begin_capture(self) -> Future[Any]:
        mode = self.values["file_write_mode"]
        if mode == SINGLE:
            raise ValueError(
                "Capture = 1 in FileWriteMode Single: WriteFile writes a frame, AutoSave each of them; "
                "for many frames in a file choose Stream"
            )
        self._let_close()
        if self._occupied:
            raise RuntimeError(f"Capture = 1 while {self._occupied}")
        self.update_all({"write_status": False, "write_message": ""})  # of the file before
        try:
            # The other subscribers are in the middle of a series that was for no file: to them it stays so.
            file = CaptureFile(self._order(hold=mode == CAPTURE), private=self.series is not None)
            if mode == STREAM and self.values["file_lazy_open"] and self.series is None:
                file.waiting = True
                self.recorder.file = file
            else:
                self._open(file)
        except Exception as error:
            self._show_file_error(str(error))
            raise
        if mode == CAPTURE:
            self._free_held()
        self._show_begin(file)
        if file.order.frames:
            self._warn_of_space(file, file.order.frames)
        self._join_series(file)
        return file.until_named()

    def _end_capture(self) -> Future[Any] | None:
        file = self.recorder.file
        if file is None or file.over:
            self.update("capture", False)
            return None
        series = self.series
        if series is not None and series.file is file and series.stop_asked.is_set():
            wait([series.done], STOP_PATIENCE)  # Acquire = 0 came just before: its last frames belong to the file
        if file.closing and time.monotonic() - file.closing_since > CLOSE_PATIENCE:
            self.recorder.abandon("Abandoned by a second Capture = 0")
        self.recorder.close("closed")
        return file.until_named()

    def _join_series(self, file: CaptureFile) -> None:
        """Have a series that runs already written to a file, from its next block on."""

    # files of single frames, and names for what is captured

    def _put_writing(self, value: bool, channel: int | None) -> Future[Any] | None:
        mode = self.values["file_write_mode"]
        if not value:
            self.update("writing", self.values["writing"])  # it ends by itself
            return None
        if mode == STREAM:
            raise ValueError("WriteFile = 1 in FileWriteMode Stream: frames are written as they come, by Capture = 1")
        self._let_close()
        if self._occupied:
            raise RuntimeError(f"WriteFile = 1 while {self._occupied}")
        self.update_all({"write_status": False, "write_message": ""})
        try:
            return (self._write_latest() if mode == SINGLE else self._name_held()).closed
        except Exception as error:
            self._show_file_error(str(error))
            raise

    def _write_latest(self) -> CaptureFile:
        """Write the frame that is shown."""
        if self.latest_frame is None:
            raise RuntimeError("WriteFile = 1: there is no frame yet")
        header, block, attributes = self.latest_frame
        file = CaptureFile(self._order(each_frame=True, frames=1), private=True)
        self._open(file)
        self._show_begin(file)
        last = Block(
            block.series_id, block.end - 1, block.mca[-1:], block.scalers[-1:], block.factors[-1:], block.frames[-1:]
        )
        self.data.publish(header_for(header, file, last.first), audience=Audience.writer)
        self.data.publish(image_of(last, 1, attributes), last, Audience.writer)
        self.recorder.close("complete")
        return file

    def _name_held(self) -> CaptureFile:
        """Give what was captured its name."""
        if self._held is None:
            raise RuntimeError("WriteFile = 1: nothing is captured; begin with Capture = 1")
        name, frames = self._held
        file = CaptureFile(self._order(frames=frames, held=name), private=True)
        if not self.recorder.attached:
            self._wait_for_writer()
        self.recorder.open(file)
        file.close_from_now()
        self._show_begin(file)
        return file

    def _name_at_once(self) -> Future[int]:
        """Give what was captured its name as part of the capture; called from the data socket's thread."""
        try:
            return self._name_held().closed
        except Exception as error:
            self._show_file_error(str(error))
            self.update_all({"writing": False, "capture": False})
            failed: Future[int] = Future()
            failed.set_exception(error)
            return failed

    def _put_file_free(self, value: bool, channel: int | None) -> None:
        self._free_held()
        self.update("file_free", False)

    def _free_held(self, patience: float = 0.0) -> None:
        """Delete the hidden file; do not wait for a file system that does not answer."""
        held, self._held = self._held, None
        if held is not None:
            delete(held[0], patience)

    def _put_file_read(self, value: bool, channel: int | None) -> None:
        if value:
            raise ValueError("ReadFile = 1: files are written, not read")
        self.update("file_read", False)

    def _put_file_flush(self, value: bool, channel: int | None) -> Future[Any] | None:
        file = self.recorder.file
        if not value or file is None or not file.is_open:
            self.update("file_flush", False)
            return None
        self.update("file_flush", True)
        flushed = self.recorder.flush(file)
        flushed.add_done_callback(lambda _: self.update("file_flush", False))
        return flushed

    # show

    def _show_begin(self, file: CaptureFile) -> None:
        """Show a file that is open, or waits to be."""
        order = file.order
        self.update_all({"captured": 0, "file_swmr_frames": 0, "write_status": False})
        self.update("write_message", LAZY if file.waiting else "")
        if not (file.waiting or order.each_frame or order.hold or order.held):
            self._show_name(file)
        if order.hold:
            self._show_directory_of(file.name)
        elif not file.waiting:
            self.update("writing", True)
        if not (order.each_frame or order.held):
            self.update("capture", True)
        file.shown = True
        self._show_capture(file)  # it may be over already

    def _show_name(self, file: CaptureFile) -> None:
        """Show the file that was opened, and the number of the next one."""
        self.update("full_file_name", file.name)
        self._show_directory_of(file.name)
        self.update("file_number", file.number + int(self.values["file_auto_increment"]))

    def _show_capture(self, file: CaptureFile) -> None:
        """Show the end of a file; called from the data socket's thread."""
        order = file.order
        with self._lock:
            if not file.shown or not file.over:
                return
            file.shown = False
        if order.held and not file.error:
            self._held = None
            self._show_name(file)
        elif order.each_frame and file.frames:
            self._show_name(file)
        elif order.hold and file.name:
            self._held = file.name, file.frames
            if not file.frames:
                self._free_held()
        self.update("captured", file.frames)
        if file.seconds:
            size = order.channels * order.bins * (8 if order.corrected else 4)
            speed = file.frames * size * 8 / (1 << 20) / file.seconds
            self.update_all({"file_run_time": file.seconds, "file_speed": speed})
        if file.error:
            self._show_file_error(file.error)
        elif self.values["write_message"]:
            self.update("write_message", "")  # what was said of it has not come true
        at_once = order.hold and self.values["file_auto_save"] and self._held is not None
        if at_once and not file.error and self.recorder.attached:
            file.named = self._name_at_once()  # the capture is not over before
            return
        self.update_all({"file_swmr_active": False, "writing": False, "capture": False})
        if at_once:
            self.put("writing", True, who="AutoSave")  # by another writer, for which nobody must wait here

    def _show_file_error(self, text: str) -> None:
        longest = self.parameters["write_message"].length - 1
        self.update("write_status", True)
        self.update("write_message", shorten(text, longest), severity=Severity.major)


def header_for(header: Header, file: CaptureFile, first: int) -> Header:
    """Return the header of a series for a file that gets its frames from number `first` on."""
    order = file.order
    return msgspec.structs.replace(header, capture_id=order.capture_id, filename=order.filename, first=first)
