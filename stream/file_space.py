"""Room on the disk: shown all the time, and a warning where what is to come will not fit."""

from __future__ import annotations

import logging
import os
import threading
import time

from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.disk import Space, ask, space
from xsp3ioc.stream.file_parameters import SINGLE
from xsp3ioc.stream.file_settings import FileSettingsCommands
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.storage import Kind, Stored, fitting, kind_of, urgency

log = logging.getLogger(__name__)

LOOK_AT_DISK = 1.0
"""Seconds between two looks."""
DEAD = 2.0
"""Seconds after which a disk that has not answered a look is asked no more."""
GIGA = 1e9
MOST = 2**31 - 1


class FileSpace(FileSettingsCommands):
    """What the records of the room show."""

    _looking_since: float | None = None
    """When the look began that has not ended (monotonic)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self._stored = Stored()
        self._shown_room: dict[str, tuple[float, Severity]] = {}

    def start_looking_at_disk(self, ended: threading.Event) -> None:
        """Look again and again until `ended`, in a thread that a dead disk may keep."""

        def look() -> None:
            while not ended.wait(LOOK_AT_DISK):
                directory = self._disk
                self._looking_since = time.monotonic()
                try:
                    found = space(directory) if directory else None
                except OSError:
                    log.debug("No room is known of %s", directory, exc_info=True)
                    found = None
                self._looking_since = None
                self._show_space(found)

        threading.Thread(target=look, name="disk space", daemon=True).start()

    @property
    def _disk(self) -> str:
        """Where the file is that is open, or where the next one will be."""
        file = self.recorder.file
        if file is not None and not file.over:
            return os.path.dirname(file.name or file.order.filename)
        return str(self.values["file_path"])

    def _kind(self, file: CaptureFile | None) -> Kind:
        if file is not None:
            order = file.order
            return kind_of(self.values, order.compression, order.compression_options, order.each_frame)
        return kind_of(self.values, *self._filter(), self.values["file_write_mode"] == SINGLE)

    def _measure(self, file: CaptureFile) -> None:
        """Learn from the file how much its frames take."""
        series = self.series
        if series is not None and series.file is file and not file.order.held:
            exposure = series.header.parameters["exposure_time"]  # a put meanwhile is for the next one
            self._stored.measure(self._kind(file)._replace(exposure=exposure), file.frames, file.stored)

    def _warn_of_space(self, file: CaptureFile, frames: int) -> None:
        """Say if the next `frames` frames will not fit; a disk that does not answer is left alone."""
        began = self._looking_since
        if began is not None and time.monotonic() - began > DEAD:
            return
        directory = self._disk
        try:
            found = ask(lambda: space(directory), directory)
        except OSError:
            log.debug("No room is known of %s", directory, exc_info=True)
            return
        limit = file.order.frames
        coming = min(frames, limit - file.frames) if limit else frames
        frame = self._stored.frame(self._kind(file))
        fits = fitting(*found, frame)
        if coming <= fits:
            return
        text = (
            f"{coming:,} frames need about {_size(coming * frame)}: {directory} has room for {fits:,} of them "
            f"({_size(found.free)} are free), and the file is closed before it is full"
        )
        self.say(text, Severity.minor)
        self.update("write_message", text, severity=Severity.minor)

    def _show_space(self, found: Space | None) -> None:
        """Show what there is; `found` None: it is not known."""
        if found is None:
            for name in ("disk_free", "frames_left", "seconds_left"):
                self._show_room(name, self.values[name], Severity.invalid)
            return
        file, series = self.recorder.file, self.series
        file = file if file is not None and not file.over else None
        fits = fitting(*found, self._stored.frame(self._kind(file)))
        frame_time = series.header.exposure + series.header.gap if series is not None else 0.0
        seconds = fits * (frame_time or self.values["exposure_time"])
        coming = []
        if file is not None and file.order.frames:
            coming.append(file.order.frames - file.frames)
        if file is not None and series is not None and series.file is file and series.header.frames:
            coming.append(series.header.frames - series.next)
        severity = urgency(fits, seconds, max(0, min(coming)) if coming else None)
        self._show_room("disk_free", round(found.free / GIGA, 3), severity)
        self._show_room("frames_left", min(fits, MOST), severity)
        self._show_room("seconds_left", round(seconds), severity)

    def _show_room(self, name: str, value: float, severity: Severity) -> None:
        shown = self._shown_room.get(name)
        if shown != (value, severity):
            self._shown_room[name] = value, severity
            self.update(name, value, severity=severity)


def _size(count: float) -> str:
    """Return bytes in words: MB below 1 GB."""
    return f"{count / GIGA:,.2f} GB" if count >= GIGA else f"{1000 * count / GIGA:,.1f} MB"
