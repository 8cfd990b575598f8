"""Orders for files: made of the settings as they are, given to the writer, and waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from xsp3ioc.stream.capture_file import CaptureFile, RecordingError
from xsp3ioc.stream.commands import STARTS
from xsp3ioc.stream.file_names import chunk_frames, full_file_name, missing_levels, number_pattern
from xsp3ioc.stream.file_space import FileSpace
from xsp3ioc.stream.messages import Capture

ATTACH_TIMEOUT = 10.0
OPEN_TIMEOUT = 10.0
"""Seconds for the writer to be there, and to open a file."""
STOP_PATIENCE = 0.8
"""Seconds for a series that is told to stop to have its last frames written."""


class FileOrders(FileSpace):
    """What the commands of `HDF1:` order, and how patiently."""

    _capture_id = 0

    def _order(self, **changes: Any) -> Capture:
        """Return the order for a file named by the records `HDF1:` as they are now, with `changes`."""
        values = self.values
        parts = values["file_template"], values["file_path"], values["file_name"]
        if not values["file_path"] or not values["file_name"]:
            raise ValueError("Capture = 1 without a file name: set HDF1:FilePath and HDF1:FileName")
        filename = full_file_name(*parts, values["file_number"])
        if not os.path.isabs(filename):
            raise ValueError(f"Capture = 1: {filename} does not begin with /; set HDF1:FilePath")
        named = {
            "create_directories": missing_levels(values["file_create_directory"], filename),
            "overwrite": values["file_overwrite"],
            "pattern": number_pattern(*parts),
            "number": values["file_number"],
            "next_free": values["file_next_free"],
            "increment": values["file_auto_increment"],
        }
        return self._order_of(filename, values["exposure_time"], **named | changes)

    def _order_of(self, filename: str, exposure: float, **changes: Any) -> Capture:
        """Return the order for a file of frames of `exposure` s, written as the settings are now, with `changes`."""
        values = self.values
        FileOrders._capture_id += 1
        compression, options = self._filter()
        order = Capture(
            capture_id=FileOrders._capture_id,
            filename=filename,
            channels=values["channels"],
            bins=values["size_x"],
            frames=values["capture_frames"],
            compression=compression,
            compression_options=options,
            flush_frames=values["file_flush_frames"],
            swmr=values["file_swmr"],
            corrected=values["corrected"],
            part_frames=values["file_part_frames"],
            part_bytes=int(values["file_part_gigabytes"] * 1e9),
        )
        order = msgspec.structs.replace(order, **changes)
        self._refuse_many_parts(order)
        order.chunk_frames = chunk_frames(
            values["file_chunk_frames"], order.channels, order.bins, exposure, 1 if order.each_frame else order.frames,
        )  # fmt: skip
        return order

    def _open(self, file: CaptureFile) -> None:
        """Have the writer open a file; RecordingError if it does not."""
        self._wait_for_writer()
        self.recorder.open(file)
        try:
            self._patiently(file.opened.done, OPEN_TIMEOUT, f"The file writer has not opened {file.order.filename}")
            file.opened.result()
        except Exception as error:
            if not file.closed.done():
                self.recorder.abandon(str(error))
            raise

    def _wait_for_writer(self) -> None:
        self.recorder.start()
        self._patiently(self._writer_is_there, ATTACH_TIMEOUT, "The file writer, see the log, has not started")

    def _writer_is_there(self) -> bool:
        if self.recorder.attached:
            return True
        if self.recorder.pid is None:
            raise RecordingError("The file writer ended as soon as it was started; see the log")
        return False

    def _patiently(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        began = time.monotonic()
        command = self._queue.current
        arming = command is not None and command.name in STARTS
        while not condition():
            # A stop ends the start of a series, but not at once: opening a file takes a moment on any disk.
            patience = STOP_PATIENCE if arming and self._queue.interrupted.is_set() else timeout
            if time.monotonic() - began > patience:
                raise RecordingError(f"{complaint} within {patience:g} s")
            time.sleep(0.002)
