"""A long capture in parts: files of so many frames or bytes, one after the other, and a master that shows them all."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable

import h5py
import msgspec

from xsp3ioc.receivers.facts import write_end_time
from xsp3ioc.receivers.master import Part, Template, parts_of, put
from xsp3ioc.receivers.nexus import NexusFile, abandoned
from xsp3ioc.receivers.opening import FAILURES
from xsp3ioc.receivers.paths import prepare, provisional
from xsp3ioc.receivers.receiver import last_frame
from xsp3ioc.receivers.series_table import CLOSED_FIRST
from xsp3ioc.receivers.superblock import NotHdf5Error, Superblock
from xsp3ioc.stream.messages import MOST_PARTS, Block, Capture, Header, SeriesEnd, part_name

log = logging.getLogger(__name__)


class PartFiles:
    """Looks like one file to which frames are added; a part is complete, and closed, as soon as it is full.

    `path` is the master. It shows all frames of the parts that are complete, from the begin on, and at the end all
    frames. What it costs is the same for each frame, and bounded for each part. `finish` is called with the name of
    each file that is complete. Errors as `NexusFile` has them; FileExistsError also for a first part that exists.
    """

    def __init__(self, capture: Capture, path: str, finish: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.series = 0
        """Series that have begun."""
        self._capture = capture
        self._finished = finish
        self._header: Header | None = None
        self._next = 0
        self._number = 0
        """The number of the last part."""
        self._parts: list[Part] = []
        """Those that are complete."""
        self._before = self._missing_before = 0
        """Frames in them, and those of the running series that are missing there."""
        self._stored_before = 0
        self._described = False
        prepare(part_name(path, 1), capture.overwrite)
        provisional(path, capture.overwrite)  # nothing is made if it may not be replaced
        self._part: NexusFile | None = self._create()
        try:
            # What all masters have besides frames: the first part's tree.
            self._template = Template.of(self._part.file)
            put(self._template.master([]), path, capture.overwrite)
        except BaseException:
            self._part.abandon()
            os.unlink(self._part.path)
            raise

    @property
    def frames(self) -> int:
        """Frames in all parts, missing ones included."""
        return self._before + (self._part.frames if self._part else 0)

    @property
    def flushed(self) -> int:
        """Frames that a crash does not take away."""
        return self._before + (self._part.flushed if self._part else 0)

    @property
    def missing(self) -> int:
        """Frames of the running series that are missing, or marked as not valid."""
        return self._missing_before + (self._part.missing if self._part else 0)

    @property
    def flushed_missing(self) -> int:
        """`missing`, as of the last flush."""
        return self._missing_before + (self._part.flushed_missing if self._part else 0)

    @property
    def stored(self) -> int:
        """Bytes of all parts, as of the last flush."""
        return self._stored_before + (self._part.stored if self._part else 0)

    @property
    def current(self) -> str:
        """The file that takes the frames now."""
        return self._part.path if self._part else self.path

    @property
    def swmr(self) -> bool:
        """Others may read the part that is written, while it is written."""
        return self._part is not None and self._part.swmr

    @property
    def full(self) -> bool:
        """The capture has all its frames."""
        return 0 < self._capture.frames <= self.frames

    def begin(self, header: Header, first: int = 0) -> None:
        """Begin a series with its frame `first`; ValueError if its shape is not the file's."""
        self._header, self._next = header, first
        self.series += 1
        self._missing_before = 0
        if self._part is not None:
            self._begin_part(self._part, header)

    def write(self, block: Block) -> None:
        """Add a block of the running series; frames before it that never came are marked as missing."""
        while self._next < block.end and not self.full:
            part = self._running()
            before = part.frames
            part.write(block)
            self._next += part.frames - before
            if self._is_over(part):
                self._finish(part)

    def end_series(self, end: SeriesEnd) -> None:
        """End the running series: its last frames are marked as missing if they never came; flushed."""
        last = last_frame(end)
        while self._part is not None or (self._next <= last and not self.full):
            part = self._running()
            before = part.frames
            part.end_series(end)
            self._next += part.frames - before
            if not self._is_over(part):
                return
            self._finish(part)

    def flush(self) -> None:
        """Put all frames into their part, in the state that a crash leaves behind."""
        if self._part is not None:
            self._part.flush()

    def close(self, reason: str = CLOSED_FIRST) -> None:
        """Close the last part, and have all frames shown; after an error, only `abandon` is left to do.

        A series that runs ends for this `reason`.
        """
        if self._part is not None:
            self._finish(self._part, reason)
        self._show(last=True)

    def abandon(self) -> None:
        """Let go of the part in which an error came; its frames that were flushed are shown, if that can still be."""
        part, self._part = self._part, None
        if part is None:
            return
        frames, rows = part.flushed, {}
        try:
            rows = {path: row for path, row in self._template.rows(part.file, frames).items() if row < frames}
        except FAILURES:
            log.debug("%s does not say how long its tables are", part.path, exc_info=True)
        part.abandon()
        if not opens(part.path):
            # One part that does not would keep readers from all frames.
            log.warning("%s does not open: it has to be salvaged, and is not shown in %s", part.path, self.path)
        elif frames:
            self._parts.append(Part(os.path.basename(part.path), frames, rows))
            self._before += frames
            self._missing_before += part.flushed_missing
            self._try_to_show()

    def _running(self) -> NexusFile:
        """Return the part that is written, a new one if there is none."""
        if self._part is None:
            self._part = self._create()
            if self._header is not None:
                self._begin_part(self._part, self._header)
        return self._part

    def _create(self) -> NexusFile:
        capture = self._capture
        left = max(0, capture.frames - self._before)
        limits = [limit for limit in (left, capture.part_frames if self._number < MOST_PARTS - 1 else 0) if limit]
        frames = min(limits, default=0)
        chunk = min(capture.chunk_frames, frames) if frames else capture.chunk_frames
        order = msgspec.structs.replace(capture, frames=frames, chunk_frames=chunk)
        while True:
            self._number += 1
            name = part_name(self.path, self._number)
            try:
                return NexusFile(order, name, self._before, max(0, self.series - 1))
            except FileExistsError:
                if not self._parts:
                    raise
                # Not worth the frames that come now.
                log.warning("%s exists already: the next part gets another number", name)

    def _begin_part(self, part: NexusFile, header: Header) -> None:
        part.begin(header, self._next)
        if not self._described:
            self._described = True
            self._template = Template.of(part.file)
            self._try_to_show()

    def _is_over(self, part: NexusFile) -> bool:
        limit = self._capture.part_bytes
        return part.full or (0 < limit <= part.size and self._number < MOST_PARTS and part.frames > 0)

    def _finish(self, part: NexusFile, last: str = "") -> None:
        """Close the part, complete as it is, and show it; `last`: why the capture ends with it."""
        part.flush()
        rows = self._template.rows(part.file, part.frames)
        part.close(last or CLOSED_FIRST)
        self._part = None
        self._parts.append(Part(os.path.basename(part.path), part.frames, rows))
        self._before += part.frames
        self._missing_before += part.missing
        self._stored_before += os.stat(part.path).st_size
        self._finished(part.path)
        log.info("Closed %s with %d frames", part.path, part.frames)
        if not last and not self.full:
            self._try_to_show()

    def _show(self, last: bool = False) -> None:
        """Make the master anew."""
        put(self._template.master(self._parts, write_end_time if last else None), self.path, True)
        self._finished(self.path)

    def _try_to_show(self) -> None:
        try:
            self._show()
        except FAILURES as error:
            # The frames are safe in their parts, and the master will be made again.
            log.warning("%s does not show all frames yet: %s", self.path, error)


def open_file(
    capture: Capture, path: str, finish: Callable[[str], None] = lambda _: None
) -> NexusFile | PartFiles:
    """Make the file of a capture, or the first of its parts; its directory exists. Errors as they have them.

    The parts of a master that is overwritten are deleted.
    """
    old = _old_parts(path) if capture.overwrite else []
    if not capture.in_parts:
        file: NexusFile | PartFiles = NexusFile(capture, path)
    else:
        file = PartFiles(capture, path, finish)
        old = [name for name in old if name != part_name(path, 1)]
    for name in old:
        with contextlib.suppress(OSError):
            os.unlink(name)
    return file


def opens(path: str) -> bool:
    """Whether the file at `path` is as long as it says, and not marked as open; not seen with HDF5, which has it."""
    try:
        with open(path, "rb") as file:
            block = Superblock.read(file)
            return not block.marks and block.end <= os.stat(path).st_size
    except (OSError, NotHdf5Error):
        return False


def _old_parts(path: str) -> list[str]:
    """Return the parts that the master at `path` shows, if there is one, and that have the names of its parts."""
    try:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in {file.inode for file in abandoned}:
            return []  # HDF5 would not open this one
        with h5py.File(path, locking="best-effort") as file:
            shown = {os.path.join(os.path.dirname(path), part.name) for part in parts_of(file)}
    except FAILURES:
        return []
    return [name for number in range(1, MOST_PARTS + 1) if (name := part_name(path, number)) in shown]
