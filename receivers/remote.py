"""The writer on another machine: it chooses its own file names, in one directory, and never overwrites."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import msgspec

from xsp3ioc.receivers.durability import Durability
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.parts import PartFiles, open_file
from xsp3ioc.receivers.paths import confined, numbered, prepare, shown
from xsp3ioc.receivers.recording import Recording
from xsp3ioc.receivers.series_table import CLOSED_FIRST
from xsp3ioc.stream.messages import Block, Capture, CaptureEnd, Closed, Failed, FromReceiver, Header, SeriesEnd, Written

TEMPLATE = "series_%06d.h5"


class RemoteRecording(Recording):
    """The server's captures under their base names in `root`; a series without a capture gets its own file.

    `template` makes the name of the latter from the series id (ValueError if it cannot). A name that is taken gets
    the next free number. `tell` is given a line of text for every file.
    """

    def __init__(
        self,
        root: Path,
        template: str,
        tell: Callable[[str], object],
        durability: Durability | None = None,
        part_frames: int = 0,
        part_bytes: int = 0,
    ) -> None:
        """`part_frames` and `part_bytes`, where they are not 0, go before what the server says of its own file."""
        try:
            confined(root, template % 0)
        except (TypeError, ValueError, PermissionError) as error:
            raise ValueError(f"template {template!r} makes no file name: {error}") from error
        super().__init__(self._told, durability)
        self._root = root
        self._template = template
        self._tell = tell
        own = {"part_frames": part_frames, "part_bytes": part_bytes}
        self._parts = own if any(own.values()) else {}
        self._own = False
        self._missing = self._went_by = 0
        """Frames of the running series, or the last one: without data in the file, and before its first one there."""
        self._cut_short = False
        """The file is closed before its series has ended."""

    def _told(self, report: FromReceiver) -> None:
        if isinstance(report, Written):
            self._missing = report.missing
        elif isinstance(report, Closed):
            missing = f", {self._missing} of them missing" if self._missing else ""
            late = f"; {self._went_by} went by before this writer had joined" if self._went_by else ""
            short = "; their series had not ended" if self._cut_short else ""
            self._tell(f"{report.filename}: {report.frames} frames{missing}{late}{short}")
        elif isinstance(report, Failed):
            self._tell(f"{shown(report.filename)}: failed after {report.frames} frames: {report.error}")

    def misread(self, reason: str) -> None:
        """Go on: nobody waits for a report, and frames that are lost by it are marked as missing."""

    def _create(self, capture: Capture) -> tuple[NexusFile | PartFiles, int]:
        path = confined(self._root, capture.filename)
        capture = msgspec.structs.replace(capture, overwrite=False, swmr=False, **self._parts)
        for number in count():
            candidate = numbered(path, number)
            try:
                prepare(candidate)
                return open_file(capture, str(candidate), self._put_on_disk), number
            except FileExistsError:
                # Taken, perhaps by another writer a moment ago: creation is exclusive.
                continue
        raise AssertionError("unreachable")

    def _begin(self, header: Header, late: bool) -> None:
        if self._capture is None or self._own:
            if self._own and self._header and header.time == self._header.time:
                return
            self.close()
            self._open(
                Capture(
                    capture_id=header.capture_id,
                    filename=self._template % header.series_id,
                    channels=header.channels,
                    bins=header.bins,
                    frames=header.frames,
                    attributes=header.attributes,
                )
            )
            self._own = True
        super()._begin(header, late)

    def _open(self, capture: Capture) -> None:
        self._own = False
        # One file for each capture, whatever the server makes of it, and none of our files is renamed by it.
        super()._open(msgspec.structs.replace(capture, each_frame=False, hold=False, held=""))

    def _write(self, block: Block) -> None:
        if self._late:
            self._went_by = block.first
        super()._write(block)

    def _close(self, reason: str = CLOSED_FIRST) -> None:
        file = self._file
        self._cut_short = self._header is not None and file is not None and not file.full
        super()._close(reason)
        self._missing = self._went_by = 0

    def _end_series(self, end: SeriesEnd) -> None:
        ours = self._own and self._header and self._header.series_id == end.series_id
        super()._end_series(end)
        if ours and self._capture:
            self._own = False
            self._end_capture(CaptureEnd(capture_id=self._capture.capture_id))
