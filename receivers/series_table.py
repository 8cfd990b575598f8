"""The series of a file, one row each: made before any of them begins, and filled as they come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import h5py
import numpy as np

from xsp3ioc.receivers.entries import set_unit, tell
from xsp3ioc.receivers.facts import iso
from xsp3ioc.receivers.rows import write_rows
from xsp3ioc.stream.messages import Header

ROWS = 256
"""Series per chunk."""
CLOSED_FIRST = "file closed"
"""Why a series ended whose file was closed, as somebody wanted it, before all its frames had come."""
DISK_FULL = "disk full"
NOT_TOLD = "unknown"
"""The writer has not heard of its end: the server is gone, or was restarted."""
STOPPED = "writer stopped"
"""The writer was told to stop while it ran."""
RUNNING = "running"
"""Why a series ended, before it has: what a crash leaves."""


@dataclass
class Entry:
    """One series."""

    header: Header
    first: int
    """Number of its first frame in the capture."""
    frames: int = 0
    """Places in the file, missing frames included."""
    missing: int = 0
    reason: str = RUNNING


class SeriesColumn(NamedTuple):
    """A dataset with one value per series."""

    name: str
    dtype: str
    unit: str
    doc: str
    value: Callable[[Entry], object]


# Texts are of fixed length: others cannot be written under SWMR.
SERIES_COLUMNS = [
    SeriesColumn("series_id", "u8", "", "Number of the series in its server", lambda e: e.header.series_id),
    SeriesColumn("start_time", "S32", "", "Start", lambda e: iso(e.header.time)),
    SeriesColumn("exposure", "f8", "s", "Counting time of a frame; 0: a gate sets it", lambda e: e.header.exposure),
    SeriesColumn("trigger_mode", "S40", "", "Trigger mode", lambda e: e.header.trigger_mode),
    SeriesColumn("first_frame", "u8", "", "Its first frame: number in the capture", lambda e: e.first),
    SeriesColumn("frames", "u8", "", "Its frames in the file, missing ones included", lambda e: e.frames),
    SeriesColumn("acquired", "u8", "", "Those of them that are valid", lambda e: e.frames - e.missing),
    SeriesColumn(
        "end_reason", "S64", "", "Why it ended: complete, stopped, ...; running: it has not, or the writer died",
        lambda e: e.reason,
    ),
]  # fmt: skip


class SeriesTable:
    """The table in `group`; written by `flush`."""

    def __init__(self, group: h5py.Group) -> None:
        self._columns = [(column, _create(group, column)) for column in SERIES_COLUMNS]
        self._count = 0
        self._new: list[Entry] = []
        """Series whose rows are not in the file yet, or not as they are now; the last one may still run."""

    @property
    def _running(self) -> Entry | None:
        last = self._new[-1] if self._new else None
        return last if last is not None and last.reason == RUNNING else None

    def begin(self, header: Header, first: int) -> None:
        """Begin a series whose first frame is number `first` of the file."""
        self.end(NOT_TOLD)
        self._new.append(Entry(header, first))
        self._count += 1

    def count(self, frames: int, missing: int) -> None:
        """Take note that the file has `frames` frames now, `missing` of the running series are missing."""
        if self._running is not None:
            self._running.frames, self._running.missing = frames - self._running.first, missing

    def end(self, reason: str) -> None:
        """End the series that runs, if any."""
        if self._running is not None:
            self._running.reason = reason

    def flush(self) -> None:
        """Write what has changed."""
        if not self._new:
            return
        first = self._count - len(self._new)
        for column, dataset in self._columns:
            if dataset.shape[0] != self._count:
                dataset.set_extent((self._count,))
            write_rows(dataset, first, np.array([_value(column, entry) for entry in self._new], column.dtype))
        self._new = [self._running] if self._running is not None else []


def _value(column: SeriesColumn, entry: Entry) -> object:
    value = column.value(entry)
    return value.encode(errors="replace") if isinstance(value, str) else value


def _create(group: h5py.Group, column: SeriesColumn) -> h5py.h5d.DatasetID:
    dataset = group.create_dataset(column.name, (0,), column.dtype, maxshape=(None,), chunks=(ROWS,))
    set_unit(dataset, column.unit)
    tell(dataset, long_name=column.doc)
    return dataset.id
