"""The file's settings and the capture command: names, templates, and the order to the writer."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.messages import Capture
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.recorder import CaptureFile, Recorder, RecordingError
from xsp3ioc.stream.store import shorten

STREAM_MODE = 2
CHUNK_BYTES = 1 << 20
"""Spectra per chunk of the file, before compression."""
COMPRESSIONS = {0: "none", 3: "gzip", 5: "bslz4"}
"""What the writer can do, by the number of the areaDetector's choice."""
ATTACH_TIMEOUT = 10.0
OPEN_TIMEOUT = 10.0
"""Seconds for the writer to be there, and to open a file."""
DISK_PATIENCE = 1.0
_WIDEST = 99
_WIDE = re.compile(r"%[^a-zA-Z%]*\d{3}")


def full_file_name(template: str, path: str, name: str, number: int) -> str:
    """Apply the C format `template` to path, name and number, as areaDetector does; ValueError if it does not fit."""
    arguments: tuple[Any, ...] = (path, name, number)
    wanted = template.replace("%%", "").count("%")
    if _WIDE.search(template):
        raise ValueError(f"FileTemplate {template!r} asks for a field of more than {_WIDEST} characters")
    try:
        return template % arguments[:wanted]
    except (TypeError, ValueError) as error:
        raise ValueError(f"FileTemplate {template!r} does not fit path, name and number: {error}") from None


def chunk_frames(explicit: int, channels: int, bins: int, exposure: float, capture_frames: int) -> int:
    """Frames per chunk: what is asked for, else the least of 1 MiB, the frames of a second, and the capture."""
    if explicit:
        return explicit
    largest = max(1, CHUNK_BYTES // (channels * bins * 4))
    return max(1, min(largest, int(1 / exposure), capture_frames or largest))


def missing_levels(create_directory: int, filename: str) -> int:
    """How many levels of directories may be made, counted from the leaf.

    areaDetector: -n is n levels from the leaf; 1 is all of them below the root, 2 all but the first, and so on.
    """
    if create_directory <= 0:
        return -create_directory
    depth = len(Path(filename).parent.parts) - 1
    return max(0, depth - create_directory + 1)


class FileCommands(Commanded):
    """Commands of the records `HDF1:`."""

    recorder: Recorder
    _capture_id = 0

    def _put_file_path(self, value: str, channel: int | None) -> None:
        self._refuse_while_capturing("FilePath")
        if value and not value.endswith("/"):
            value += "/"
        self.update("file_path", value)
        self._show_path_exists(value)

    def _put_file_name(self, value: str, channel: int | None) -> None:
        if "/" in value:
            raise ValueError(f"FileName = {value!r} has a slash; directories go into FilePath")
        self.update("file_name", value)

    def _put_file_template(self, value: str, channel: int | None) -> None:
        full_file_name(value, "/", "x", 0)
        self.update("file_template", value)

    def _put_file_write_mode(self, value: int, channel: int | None) -> None:
        if value != STREAM_MODE:
            raise ValueError("FileWriteMode: only Stream (2) is served; frames are written as they come")
        self.update("file_write_mode", value)

    def _put_file_compression(self, value: int, channel: int | None) -> None:
        if value not in COMPRESSIONS:
            names = self.parameters["file_compression"].choices
            allowed = ", ".join(f"{names[number]} ({number})" for number in COMPRESSIONS)
            raise ValueError(f"Compression = {names[value]} cannot be written; possible are {allowed}")
        self.update("file_compression", value)

    def _refuse_while_capturing(self, what: str) -> None:
        if self.values["capture"]:
            raise RuntimeError(f"{what} cannot change while {self.values['full_file_name']} is being written")

    def _show_path_exists(self, path: str) -> None:
        # In a thread of its own: a dead network file system answers never.
        found: list[bool] = []
        look = threading.Thread(target=lambda: found.append(os.path.isdir(path)), daemon=True)
        look.start()
        look.join(DISK_PATIENCE)
        self.update("file_path_exists", bool(found and found[0]))
        if not found:
            raise OSError(f"FilePath {path}: the file system has not answered for {DISK_PATIENCE:g} s")

    def _put_capture(self, value: bool, channel: int | None) -> Future[Any] | None:
        return self._begin_capture() if value else self._end_capture()

    def _begin_capture(self) -> Future[Any]:
        if self.values["capture"]:
            raise RuntimeError(f"Capture = 1: {self.values['full_file_name']} is being written already")
        if self.series is not None:
            raise RuntimeError("Capture = 1 while acquiring: open the file first, or stop the acquisition")
        self.update_all({"write_status": False, "write_message": ""})  # of the file before
        try:
            order = self._order()
            self._wait_for_writer()
        except Exception as error:
            self._show_file_error(str(error))
            raise
        file = self.recorder.open(order)
        try:
            name = self._patiently(file.opened, OPEN_TIMEOUT, f"The file writer has not opened {order.filename}")
        except Exception as error:
            if not file.closed.done():
                self.recorder.abandon(str(error))
            self._show_file_error(str(error))
            raise
        self.update_all(
            {
                "full_file_name": name,
                "captured": 0,
                "write_status": False,
                "write_message": "",
                "writing": True,
                "capture": True,
            }
        )
        if self.values["file_auto_increment"]:
            self.update("file_number", self.values["file_number"] + 1)
        self._show_capture(file)  # it may be over already
        return file.closed

    def _end_capture(self) -> Future[Any] | None:
        file = self.recorder.file
        if file is None or file.closed.done():
            self.update("capture", False)
            return None
        self.recorder.close("closed")
        return file.closed

    def _order(self) -> Capture:
        values = self.values
        if not values["file_path"] or not values["file_name"]:
            raise ValueError("Capture = 1 without a file name: set HDF1:FilePath and HDF1:FileName")
        filename = full_file_name(
            values["file_template"], values["file_path"], values["file_name"], values["file_number"]
        )
        if not os.path.isabs(filename):
            raise ValueError(f"Capture = 1: {filename} does not begin with /; set HDF1:FilePath")
        FileCommands._capture_id += 1
        return Capture(
            capture_id=FileCommands._capture_id,
            filename=filename,
            channels=values["channels"],
            bins=values["size_x"],
            frames=values["capture_frames"],
            overwrite=values["file_overwrite"],
            create_directories=missing_levels(values["file_create_directory"], filename),
            chunk_frames=chunk_frames(
                values["file_chunk_frames"],
                values["channels"],
                values["size_x"],
                values["exposure_time"],
                values["capture_frames"],
            ),
            compression=COMPRESSIONS[values["file_compression"]],
        )

    def _wait_for_writer(self) -> None:
        self.recorder.start()
        deadline = time.monotonic() + ATTACH_TIMEOUT
        while not self.recorder.attached:
            if self.recorder.pid is None:
                raise RecordingError("The file writer ended as soon as it was started; see the log")
            if time.monotonic() > deadline:
                raise RecordingError(f"The file writer did not start within {ATTACH_TIMEOUT:g} s; see the log")
            time.sleep(0.002)

    def _patiently(self, future: Future[Any], timeout: float, complaint: str) -> Any:
        deadline = time.monotonic() + timeout
        while not future.done():
            if time.monotonic() > deadline:
                raise RecordingError(f"{complaint} within {timeout:g} s")
            time.sleep(0.002)
        return future.result()

    def _show_capture(self, file: CaptureFile) -> None:
        """Show what the writer has reported; called from the data socket's thread."""
        if not file.over or not self.values["capture"]:
            return
        self.update("captured", file.frames)
        if file.error:
            self._show_file_error(file.error)
        self.update_all({"writing": False, "capture": False})

    def _show_file_error(self, text: str) -> None:
        longest = self.parameters["write_message"].length - 1
        self.update("write_status", True)
        self.update("write_message", shorten(text, longest), severity=Severity.major)
