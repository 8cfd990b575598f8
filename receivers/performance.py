"""How fast a file was written, as areaDetector's files say it: five numbers for each frame."""

from __future__ import annotations

import time

import h5py
import numpy as np

from xsp3ioc.receivers.entries import tell
from xsp3ioc.receivers.rows import ROWS, write_rows

NUMBERS = 5
UNIT = "s, s, s, byte/s, byte/s"
DOC = "Time to write the frame, since the one before, since the begin of the first; bytes per second of the last two"


class Performance:
    """The dataset `timestamp` in `group`. Frames come in blocks, and each has an equal part of its block's time."""

    def __init__(self, group: h5py.Group, frame_bytes: int) -> None:
        shape, chunks = (None, NUMBERS), (ROWS, NUMBERS)
        dataset = group.create_dataset("timestamp", (0, NUMBERS), "f8", maxshape=shape, chunks=chunks)
        tell(dataset, units=UNIT, long_name=DOC)
        self._dataset = dataset.id
        self._frame_bytes = frame_bytes
        self._rows = np.zeros((ROWS, NUMBERS))
        self._gathered = 0
        self._written = 0
        self._first: float | None = None
        self._before = 0.0

    def append(self, frames: int, began: float) -> None:
        """Add frames that are written now; that `began` at this time (time.perf_counter)."""
        now = time.perf_counter()
        if self._first is None:
            self._first = self._before = began
        period = (now - self._before) / frames
        rows = np.empty((frames, NUMBERS))
        rows[:, 0] = (now - began) / frames
        rows[:, 1] = period
        rows[:, 2] = self._before - self._first + period * np.arange(1, frames + 1)
        rows[:, 3] = self._frame_bytes / period
        rows[:, 4] = self._frame_bytes * np.arange(self._count + 1, self._count + frames + 1) / rows[:, 2]
        self._before = now
        self._add(rows)

    def skip(self, frames: int) -> None:
        """Add frames that are missing: zeros."""
        self._add(np.zeros((frames, NUMBERS)))

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            self._dataset.set_extent((self._count, NUMBERS))
            write_rows(self._dataset, self._written, self._rows[: self._gathered])
            self._written, self._gathered = self._count, 0

    @property
    def _count(self) -> int:
        return self._written + self._gathered

    def _add(self, rows: np.ndarray) -> None:
        while len(rows):
            take = min(len(rows), ROWS - self._gathered)
            self._rows[self._gathered : self._gathered + take] = rows[:take]
            self._gathered += take
            rows = rows[take:]
            if self._gathered == ROWS:
                self.flush()
