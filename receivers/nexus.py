"""A NeXus/HDF5 file that is being written: made whole when it is opened, filled block by block."""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import Any

import h5py
import numpy as np

from xsp3ioc import __version__
from xsp3ioc.receivers import layout
from xsp3ioc.receivers.attributes import AttributeDatasets
from xsp3ioc.receivers.chunks import SpectraFile
from xsp3ioc.receivers.compression import FILTERS
from xsp3ioc.receivers.facts import HDF5, PROGRAM, create_end_time, create_facts, describe_facts, iso, write_end_time
from xsp3ioc.receivers.paths import in_place, provisional, replace
from xsp3ioc.receivers.performance import Performance
from xsp3ioc.receivers.receiver import last_frame
from xsp3ioc.receivers.rows import Rows
from xsp3ioc.receivers.series_table import CLOSED_FIRST, SeriesTable
from xsp3ioc.receivers.virtual import add_channel_groups
from xsp3ioc.stream.messages import Block, Capture, FrameStatus, Gap, Header, SeriesEnd

log = logging.getLogger(__name__)

abandoned: list[NexusFile] = []
"""Files that were given up; they must not be closed, not even by the garbage collector."""

CHUNK_CACHE = 1 << 17
"""Bytes per dataset: the chunk being filled. HDF5's own 8 MiB (2.0) for each of our many columns are never read."""


class NexusFile:
    """One capture's file at `path`; its directory exists. It holds any number of series, one after the other.

    `frames` counts the frames in it, missing ones included; `full` says that it holds all that the capture asked
    for. After `flush` every dataset has `frames` rows and a crash takes none of them away. OSError and ValueError
    come as h5py and the file system have them; FileExistsError if `path` exists and may not be overwritten;
    FileNotFoundError when it has left its place while it was written. A file that is overwritten stays until the new
    one has been made.
    """

    def __init__(self, capture: Capture, path: str, first_frame: int = 0, first_series: int = 0) -> None:
        """`first_frame` and `first_series` are so many of the same capture that are in other files."""
        if capture.channels < 1 or capture.bins < 1:
            raise ValueError(f"{capture.channels} channels of {capture.bins} bins cannot be written")
        if capture.compression not in FILTERS:
            raise ValueError(f"compression {capture.compression!r}: it may be {', '.join(FILTERS)}")
        self.path = path
        self.series = first_series
        """Series of the capture that have begun."""
        self.missing = 0
        """Frames of the running series that are missing, or marked as not valid."""
        self.flushed = 0
        """Frames that a crash does not take away."""
        self.flushed_missing = 0
        """`missing`, as of the last flush."""
        self.stored = 0
        """Bytes of the file, as of then."""
        self._capture = capture
        self._first_frame = first_frame
        self._next = 0
        """Number of the running series' next frame."""
        self._begun = self._row = 0
        """Number of its first frame here, and the row of that."""
        self._frames_wanted = 0
        self._described = False
        name = provisional(path, capture.overwrite)
        self.inode = claim(name)
        try:
            self._file = h5py.File(
                name, "w", libver=version(capture.swmr), locking="best-effort", rdcc_nbytes=CHUNK_CACHE
            )
        except BaseException:
            os.unlink(name)
            raise
        try:
            self._create(capture)
            self._file.flush()
            replace(path, name)
        except BaseException:
            self.abandon()
            os.unlink(name)
            raise

    @property
    def frames(self) -> int:
        """Frames in the file, missing ones included."""
        return self._rows.count

    @property
    def file(self) -> h5py.File:
        """What is open; to read only."""
        return self._file

    @property
    def current(self) -> str:
        """The file that takes the frames now."""
        return self.path

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return int(self._file.id.get_filesize())

    @property
    def swmr(self) -> bool:
        """Others may read it now, while it is written."""
        return self._described and self._capture.swmr

    @property
    def full(self) -> bool:
        """The capture has all its frames."""
        return 0 < self._capture.frames <= self.frames

    def begin(self, header: Header, first: int = 0) -> None:
        """Begin a series with its frame `first`; ValueError if its shape is not the file's."""
        shape, ours = (header.channels, header.bins), (self._capture.channels, self._capture.bins)
        if shape != ours:
            raise ValueError(f"the series has {shape} (channels, bins), the file {ours}")
        if not self._described:
            self._describe(header)
            self._described = True
            if self._capture.swmr:
                # From now on nothing can be added but frames.
                self._file.flush()
                self._file.swmr_mode = True
        self._rows.begin(header.clock_period, header.event_widths, header.dead_time_model)
        self._table.begin(header, self._first_frame + self.frames)
        self._frames_wanted = header.frames
        self.series += 1
        self.missing = self.flushed_missing = 0
        self._next = self._begun = first
        self._row = self.frames

    def write(self, block: Block) -> None:
        """Add a block of the running series; frames before it that never came are marked as missing."""
        if block.first > self._next:
            self._skip(block.first - self._next)
            for gap in block.missing:
                self._mark(gap)
        block = block.part(self._next - block.first, self._room(len(block)))
        if len(block):
            began = time.perf_counter()
            self._spectra.append(block)
            self._rows.append(block, self.series - 1)
            self._attributes.append(len(block), block.attributes)
            self._performance.append(len(block), began)
            self._next = block.end
            self.missing += int(np.count_nonzero(block.frames["status"]))

    def end_series(self, end: SeriesEnd) -> None:
        """End the running series: its last frames are marked if they never came, and each as the end says; flushed."""
        last = last_frame(end)
        if last >= self._next:
            self._skip(last + 1 - self._next)
        for gap in end.missing:
            self._mark(gap)
        self._table.count(self._first_frame + self.frames, self.missing)
        self._table.end(end.reason)
        self.flush()

    def flush(self) -> None:
        """Put all frames into the file, in the state that a crash leaves behind."""
        self._spectra.flush()
        self._rows.flush()
        self._attributes.flush()
        self._performance.flush()
        self._table.count(self._first_frame + self.frames, self.missing)
        self._table.flush()
        self._file.flush()
        self.flushed, self.flushed_missing = self.frames, self.missing
        self.stored = os.fstat(self._file.id.get_vfd_handle()).st_size
        if not in_place(self.path, self._file.id.get_vfd_handle()):
            self._finish()  # whole, wherever it is now
            raise FileNotFoundError(errno.ENOENT, "removed, renamed or replaced while it was written", self.path)

    def close(self, reason: str = CLOSED_FIRST) -> None:
        """Flush and close; after an error, only `abandon` is left to do. A series that runs ends for this `reason`."""
        self._table.count(self._first_frame + self.frames, self.missing)
        self._table.end(self._why_ended() or reason)
        self.flush()
        self._finish()

    def _finish(self) -> None:
        # Kept: closing a dataset writes too, and where it cannot, that has to wait until the file is given up.
        self._end_time = write_end_time(self._file)
        self._file.flush()  # what cannot be written any more fails here, and not in the middle of HDF5's close
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file after an error of the file system; it keeps what was flushed before.

        HDF5 crashes the process when it closes a file that it cannot write (2.0, full disk). So it keeps the file
        open for ever, but over an empty piece of memory: the real file is closed, unlocked, and left as it is. A
        process with abandoned files has to end with os._exit, past HDF5's own end.
        """
        if not self._file:
            return  # it was closed, whole, before the error
        memory = os.memfd_create("abandoned")
        os.dup2(memory, self._file.id.get_vfd_handle())
        os.close(memory)
        abandoned.append(self)

    def _room(self, frames: int) -> int:
        limit = self._capture.frames
        return min(frames, limit - self.frames) if limit else frames

    def _skip(self, frames: int) -> None:
        frames = self._room(frames)
        if frames > 0:
            log.warning("%s: %d frames from %d on are missing", self.path, frames, self._next)
            self._spectra.skip(frames)
            self._rows.skip(self._next, frames, self.series - 1)
            self._attributes.skip(frames)
            self._performance.skip(frames)
            self._next += frames
            self.missing += frames

    def _mark(self, gap: Gap) -> None:
        """Say of frames that are in the file, in their places, why they are missing."""
        first, last = max(gap.first, self._begun), min(gap.last, self._next - 1)
        if first <= last and gap.status != FrameStatus.missing:
            row = self._row + first - self._begun
            self._rows.mark(range(row, row + last + 1 - first), gap.status)

    def _create(self, capture: Capture) -> None:
        file, channels = self._file, capture.channels
        for path, group in layout.GROUPS.items():
            file.require_group(path).attrs.update({"NX_class": group.kind, **group.attributes})
        made_with = {"creator": f"{PROGRAM} {__version__}", "HDF5_Version": HDF5, "h5py_version": h5py.__version__}
        file.attrs.update({"file_time": iso(), **made_with})
        detector = file[layout.DETECTOR]
        self._spectra = SpectraFile(detector, capture)
        detector["data"].attrs.update(layout.DATA_ATTRIBUTES)
        self._rows = Rows([(detector, column) for column in layout.DETECTOR_COLUMNS], channels, self._first_frame)
        self._attributes = AttributeDatasets(file, self._rows, capture.attributes, channels)
        self._table = SeriesTable(file[layout.SERIES])
        self._performance = Performance(file[layout.PERFORMANCE], channels * capture.bins * 4)
        create_facts(file, capture)
        add_channel_groups(file, channels)
        create_end_time(file)
        for name, target in layout.LINKS.items():
            file[name] = file[target]

    def _describe(self, header: Header) -> None:
        """Write what the first header knows: calibration, settings, where the data come from."""
        describe_facts(self._file, header)
        self._file[layout.ATTRIBUTES].attrs["hostname"] = header.host

    def _why_ended(self) -> str:
        """Return why the running series is over with the frames that it has, if it is."""
        wanted = self._frames_wanted
        return "complete" if wanted and self._next >= wanted else "file full" if self.full else ""


def version(swmr: bool) -> Any:
    """Return in which versions of the format a file is written."""
    # The earliest format, flushed now and then, opens after a crash; later ones do not, but SWMR needs one.
    return ("v110", "v110") if swmr else "earliest"


def claim(path: str) -> tuple[int, int]:
    """Make an empty file and return its device and inode; FileExistsError if there is one already."""
    # HDF5 takes a file for an abandoned one, still open, if it has got the inode of that after its deletion.
    taken = {file.inode for file in abandoned}
    held = []
    try:
        while True:
            held.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            status = os.fstat(held[-1])
            if (status.st_dev, status.st_ino) not in taken:
                return status.st_dev, status.st_ino
            os.unlink(path)
    finally:
        for descriptor in held:
            os.close(descriptor)
