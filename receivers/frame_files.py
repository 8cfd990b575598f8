"""A file for every frame: the Single mode of areaDetector's file plugins."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
import numpy as np

from xsp3ioc.receivers.naming import create
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.parts import PartFiles
from xsp3ioc.receivers.receiver import last_frame
from xsp3ioc.stream.messages import Block, Capture, Header, SeriesEnd


class FrameFiles:
    """Looks like one file to which frames are added; each is complete, and closed, when the next one comes.

    `finish` is called with the name of each that is closed. OSError and ValueError as `NexusFile` has them.
    """

    swmr = False

    def __init__(self, capture: Capture, finish: Callable[[str], None] = lambda _: None) -> None:
        self.path = capture.filename
        """The last file."""
        self.number = capture.number
        """The one in its name."""
        self.frames = 0
        self.missing = 0
        """Frames of the running series that are missing, and have no file, or are marked as not valid."""
        self.stored = 0
        """Bytes of all files."""
        self._finish = finish
        self._capture = msgspec.structs.replace(capture, frames=1)
        self._limit = capture.frames
        self._next_number = capture.number
        self._header: Header | None = None
        self._next = 0
        self._file: NexusFile | PartFiles | None = None

    @property
    def current(self) -> str:
        """The file that takes the frames now."""
        return self.path

    @property
    def flushed(self) -> int:
        """Frames that a crash does not take away."""
        return self.frames

    @property
    def flushed_missing(self) -> int:
        """`missing`, likewise."""
        return self.missing

    @property
    def full(self) -> bool:
        """The capture has all its frames."""
        return 0 < self._limit <= self.frames

    def begin(self, header: Header, first: int = 0) -> None:
        """Begin a series with its frame `first`."""
        self._header, self._next, self.missing = header, first, 0

    def write(self, block: Block) -> None:
        """Write the frames of a block; the numbers of those before it that never came stay free."""
        self._skip(block.first - self._next)
        for number in range(max(block.first, self._next), block.end):
            if self.full:
                return
            self._write_frame(block.part(number - block.first, 1))

    def _write_frame(self, frame: Block) -> None:
        if self._header is None:
            raise ValueError("frames before the header of their series")
        self._file, self.number = create(self._capture, self._next_number)
        self.path = self._file.path
        self._file.begin(self._header, frame.first)
        self._file.write(frame)
        self._file.close()
        self._file = None
        self._finish(self.path)
        self.stored += os.stat(self.path).st_size
        self._next_number = self.number + self._capture.increment
        self._next = frame.end
        self.frames += 1
        self.missing += int(np.count_nonzero(frame.frames["status"]))

    def _skip(self, frames: int) -> None:
        if frames > 0:
            self._next += frames
            self._next_number += frames * self._capture.increment
            self.frames += frames
            self.missing += frames

    def end_series(self, end: SeriesEnd) -> None:
        """Account for the last frames, if they never came."""
        self._skip(last_frame(end) + 1 - self._next)

    def flush(self) -> None:
        """Nothing is left to be written."""

    def close(self, reason: str = "") -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Let go of the file in which an error came."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
