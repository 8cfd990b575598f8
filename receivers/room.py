"""Room on the disk for the file that is written: looked at so often that the file ends before the disk is full."""

from __future__ import annotations

import logging
import os
import resource
import time

from xsp3ioc.receivers.chunks import frames_per_chunk
from xsp3ioc.receivers.frame_files import FrameFiles
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.parts import PartFiles
from xsp3ioc.receivers.rows import ROWS
from xsp3ioc.stream.messages import Block, Capture, Header, reserve, row_bytes

log = logging.getLogger(__name__)

Open = NexusFile | PartFiles | FrameFiles

INTERVAL = 0.2
"""s between two looks at the disk, if not much is written."""
FILE_BYTES = 2 << 20
"""Of a file without frames, and of what HDF5 allocates ahead: more than they take."""
FORGET = 0.8
"""Part of the fastest rate that is still believed at the next look."""
MEGA = 1e6


class Room:
    """Of one capture; it takes blocks to be as large as they are before compression."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        spectra = capture.channels * capture.bins * (12 if capture.corrected else 4)
        row = row_bytes(capture.channels)
        self._frame = spectra + row + capture.each_frame * FILE_BYTES
        self._row = row
        chunk = frames_per_chunk(capture.channels, capture.bins, capture.frames, capture.chunk_frames)
        self._chunk = spectra * chunk
        # A limit that the service's administrator has set.
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        self._limit = None if limit == resource.RLIM_INFINITY or capture.each_frame else limit
        self._looked = self._since = 0.0
        self._free: int | None = None
        self._rate = 0.0

    def shortage(self, file: Open, header: Header, block: Block) -> str:
        """Return why `block` must not be written to the file; empty if it may be.

        What fits to the last frame of its series or capture is written, however full the disk is by then. The file
        may be flushed. OSError and the like as the file has them.
        """
        coming = self._frame * len(block)
        now = time.monotonic()
        self._since += coming
        if now - self._looked < INTERVAL and (self._free is None or self._since < self._free / 4):
            return ""
        free, total = self._look(file.current)
        if total == 0:
            self._looked, self._free = now, None
            return ""  # a file system that does not say
        if self._looked and self._free is not None and now > self._looked:
            self._rate = max((self._free - free) / (now - self._looked), FORGET * self._rate)
        self._looked, self._since, self._free = now, 0.0, free
        if self._fits(free, file, header, block):
            return ""
        # The end of a file writes the chunks that are not full, and the rows that HDF5 still has in its memory.
        kept = reserve(total, self._rate) + coming + self._chunk + self._row * ROWS
        if free < kept + self._row * (file.frames - file.flushed) and file.frames != file.flushed:
            file.flush()
            free = self._free = self._look(file.current)[0]
        return "" if free >= kept else f"{os.path.dirname(file.path)} is full, {free / MEGA:.0f} MB are left"

    def _fits(self, free: int, file: Open, header: Header, block: Block) -> bool:
        """Return whether there is room for all that is still to come."""
        ends = (header.frames, header.frames - block.first), (self._capture.frames, self._capture.frames - file.frames)
        left = [frames for limit, frames in ends if limit > 0]
        unflushed = self._row * (file.frames - file.flushed) + FILE_BYTES
        return bool(left) and max(0, min(left)) * self._frame + unflushed <= free

    def _look(self, path: str) -> tuple[int, int]:
        """Return bytes that are free, and that there are; 0, 0 if that is not known."""
        try:
            disk = os.statvfs(os.path.dirname(path))
            free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            if self._limit is not None:
                free, total = min(free, self._limit - os.stat(path).st_size), min(total, self._limit)
        except OSError:
            log.debug("%s does not say how much room there is", path, exc_info=True)
            return 0, 0
        return max(0, free), total
