"""Settings of the file that need more than to be kept: what is refused, and what follows from them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.disk import ask
from xsp3ioc.stream.file_names import full_file_name, missing_levels
from xsp3ioc.stream.file_parameters import BLOSC_CODECS, BLOSC_SHUFFLES
from xsp3ioc.stream.messages import MOST_PARTS, Capture
from xsp3ioc.stream.recorder import Recorder

CLOSE_PATIENCE = 5.0
"""Seconds for a file to be closed; Capture = 0 after that gives it up."""
FILTERS = {0: "none", 2: "szip", 3: "gzip", 4: "blosc", 5: "bslz4", 6: "lz4"}
"""What the writer can do, by the number of the areaDetector's choice."""


class FileSettingsCommands(Commanded):
    """Puts to the settings of the records `HDF1:`."""

    recorder: Recorder

    # where

    def _put_file_path(self, value: str, channel: int | None) -> None:
        self._refuse_while_capturing("FilePath")
        if value and not value.endswith("/"):
            value += "/"
        exists, problem = self._look_for(value)  # first: a put that is refused changes nothing
        self.update("file_path", value)
        self.update("file_path_exists", exists)
        if problem:
            self.say(problem)

    def _put_file_name(self, value: str, channel: int | None) -> None:
        if "/" in value:
            raise ValueError(f"FileName = {value!r} has a slash; directories go into FilePath")
        self.update("file_name", value)

    def _put_file_template(self, value: str, channel: int | None) -> None:
        full_file_name(value, "/", "x", 0)
        self.update("file_template", value)

    def _put_file_write_mode(self, value: int, channel: int | None) -> None:
        if value != self.values["file_write_mode"]:
            self._refuse_while_capturing("FileWriteMode")
        self.update("file_write_mode", value)

    @property
    def _occupied(self) -> str:
        """What is being written, or waits to be: words that follow "while"; empty if nothing is."""
        file = self.recorder.file
        if file is None or (file.over and file.closed.done()):  # between the two its end is shown, and it may be named
            return ""
        if file.waiting:
            return f"{file.order.filename} waits for its first frame"
        return f"{file.name or file.order.filename} is being written"

    def _let_close(self) -> None:
        """Let a file that ends be closed, and its end be shown, before what was put behind that."""
        file = self.recorder.file
        while file is not None and file.closing and self._occupied:
            if time.monotonic() - file.closing_since > CLOSE_PATIENCE:
                return
            time.sleep(0.001)

    def _refuse_while_capturing(self, what: str) -> None:
        self._let_close()
        if self._occupied:
            raise RuntimeError(f"{what} cannot change while {self._occupied}")

    def _look_for(self, path: str) -> tuple[bool, str]:
        """Return whether the directory is there, made if that is allowed, and what went wrong."""
        levels = missing_levels(self.values["file_create_directory"], path + "x")
        return ask(lambda: _make_directory(path, levels), f"FilePath {path}")

    def _show_directory_of(self, name: str) -> None:
        """Show that the directory of a file is there: it may have been made with the file."""
        if os.path.dirname(name) == os.path.dirname(self.values["file_path"]):
            self.update_changed({"file_path_exists": True})

    # how

    def _put_file_compression(self, value: int, channel: int | None) -> None:
        if value not in FILTERS:
            names = self.parameters["file_compression"].choices
            allowed = ", ".join(f"{names[number]} ({number})" for number in FILTERS)
            raise ValueError(f"Compression = {names[value]} cannot be written; possible are {allowed}")
        self.update("file_compression", value)

    def _put_szip_pixels(self, value: int, channel: int | None) -> None:
        if value % 2:
            raise ValueError(f"SZipNumPixels = {value} is odd; szip takes even numbers from 2 to 32")
        self.update("szip_pixels", value)

    def _filter(self) -> tuple[str, dict[str, int | str]]:
        """Name and options of the compression, as a capture has them."""
        values = self.values
        name = FILTERS[values["file_compression"]]
        options: dict[str, dict[str, Any]] = {
            "gzip": {"level": values["zlib_level"]},
            "szip": {"pixels": values["szip_pixels"]},
            "blosc": {
                "codec": BLOSC_CODECS[values["blosc_compressor"]].lower(),
                "shuffle": BLOSC_SHUFFLES[values["blosc_shuffle"]].lower(),
                "level": values["blosc_level"],
            },
        }
        return name, options.get(name, {})

    def _refuse_many_parts(self, order: Capture) -> None:
        """Raise ValueError for a file of more parts than there may be."""
        if order.in_parts and order.frames > order.part_frames * MOST_PARTS > 0:
            raise ValueError(
                f"Capture = 1: {order.frames} frames in parts of FramesPerPart = {order.part_frames} are more than "
                f"{MOST_PARTS} parts; FramesPerPart must be {-(-order.frames // MOST_PARTS)} or more"
            )

    def _put_file_position_mode(self, value: bool, channel: int | None) -> None:
        if value:
            raise ValueError("PositionMode = On: frames are written in the order in which they come")
        self.update("file_position_mode", value)

    def _put_file_layout(self, value: str, channel: int | None) -> None:
        self.update_all(
            {
                "file_layout": value,
                "file_layout_valid": not value.strip(),
                "file_layout_message": "Not used: the layout of the file is fixed, see the documents"
                if value.strip()
                else "Default layout selected",
            }
        )

    # how many

    def _put_frames(self, value: int, channel: int | None) -> None:
        self.update("frames", value)
        self._put_capture_frames_copy(value, None)

    def _put_capture_frames_copy(self, value: float, channel: int | None) -> None:
        # The record reckons its value anew whatever is put to it.
        if self.values["capture_frames_apart"] != 1:
            self._put_capture_frames(self.values["frames"], None)
            self.update("capture_frames_copy", float(self.values["frames"]))

    def _put_capture_frames(self, value: int, channel: int | None) -> None:
        new = value != self.values["capture_frames"]
        self.update("capture_frames", value)
        if new and self.values["capture"]:
            self.say(f"NumCapture = {value} is for the next file; {self.values['full_file_name']} goes on")

    def _put_file_queue_size(self, value: int, channel: int | None) -> None:
        self.update("file_queue_size", value)
        self._show_queue()

    def _show_queue(self) -> None:
        """Show how much of the memory for frames is free."""


def _make_directory(path: str, levels: int) -> tuple[bool, str]:
    """Make at most `levels` directories that are missing; return whether it is there, and what went wrong."""
    missing = [part for part in (Path(path), *Path(path).parents) if not part.exists()]
    if not path or not missing or len(missing) > levels:
        return os.path.isdir(path), ""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        return False, f"FilePath {path} cannot be made: {error.strerror}"
    return True, ""
