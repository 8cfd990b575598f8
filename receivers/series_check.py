"""A check of a file's table of series against the frames that it has of each."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.checked_rows import CheckedRows
from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.receivers.opening import decoded
from xsp3ioc.receivers.series_table import RUNNING

GOOD_ENDS = ("complete", "stopped", "file full", "file closed")
CLOCK_TOLERANCE = 1.0
"""s by which the first frame of a series may be before its start."""
SHOWN = 5
"""Series that a finding names."""


class SeriesCheck:
    """The table of series says what the frames say."""

    def __init__(self, table: dict[str, NDArray], closed: bool, number: int) -> None:
        """Take the table, which is complete if the file is `closed`, and the number of the first frame."""
        self._number = number
        self.check = Check("series", "the table of series says what the frames say")
        self._table, self._closed = table, closed
        lengths = {len(column) for column in table.values()}
        self._count = min(lengths, default=0)
        if len(lengths) > 1:
            self.check.find(ERROR, f"its columns have different lengths: {', '.join(map(str, sorted(lengths)))}")
        self._frames, self._valid = np.zeros(self._count, np.int64), np.zeros(self._count, np.int64)
        self._first = np.full(self._count, -1, np.int64)
        self._first_time = np.full(self._count, np.inf)
        self._beyond = 0

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        series = rows.values.get("series_index")
        if series is None or not self._table:
            return
        known = series < self._count
        self._beyond += int((~known).sum())
        here = series[known].astype(np.int64)
        self._frames += np.bincount(here, minlength=self._count)
        self._valid += np.bincount(here, rows.valid[known], minlength=self._count).astype(np.int64)
        numbers = np.arange(rows.first, rows.first + rows.count)[known]
        found, places = np.unique(here, return_index=True)
        new = self._first[found] < 0
        self._first[found[new]] = numbers[places[new]]
        times = rows.values.get("time_stamp")
        if times is not None:
            timed = known & (times > 0)
            np.minimum.at(self._first_time, series[timed].astype(np.int64), times[timed])

    def end(self, frames: int) -> None:
        """Compare, and sum up."""
        if not self._table:
            self.check.skip("the file has no such table")
            return
        self.check.done = f"{self._count:,} series"
        if not self._closed:
            self.check.done += "; not compared: the file is not closed"
            return
        if self._beyond:
            self.check.find(ERROR, f"{self._beyond:,} frames are of series that it does not have")
        self._compare("frames", self._frames)
        self._compare("acquired", self._valid)
        self._compare("first_frame", self._first + self._number, self._frames > 0)
        ids = self._table.get("series_id")
        if ids is not None and not (np.diff(ids.astype(np.int64)) > 0).all():
            self.check.find(ERROR, "series_id does not rise")
        self._look_at_ends()
        self._look_at_starts()

    def _compare(self, name: str, counted: NDArray[np.int64], where: NDArray[np.bool_] | bool = True) -> None:
        said = self._table.get(name)
        if said is None:
            self.check.find(ERROR, f"{name} is not there")
            return
        said = said[: self._count].astype(np.int64)
        for series in np.flatnonzero((said != counted) & where)[:SHOWN]:
            self.check.find(ERROR, f"series {series}: {name} is {said[series]:,} instead of {counted[series]:,}")

    def _look_at_ends(self) -> None:
        reasons = [decoded(reason) for reason in self._table.get("end_reason", [])]
        for series in [number for number, reason in enumerate(reasons) if reason not in GOOD_ENDS][:SHOWN]:
            if reasons[series] == RUNNING:
                self.check.find(ERROR, f"series {series} has no end, though the file was closed")
            else:
                self.check.find(WARNING, f"series {series} did not end well: {reasons[series]}").cut = True

    def _look_at_starts(self) -> None:
        before = -np.inf
        for series, text in enumerate(self._table.get("start_time", [])[: self._count]):
            try:
                start = datetime.fromisoformat(decoded(text)).timestamp()
            except ValueError:
                self.check.find(ERROR, f"series {series}: start_time is {decoded(text)!r}, no time")
                continue
            if start > self._first_time[series] + CLOCK_TOLERANCE or start < before - CLOCK_TOLERANCE:
                self.check.find(WARNING, f"series {series}: start_time is not before its frames, or out of order")
            before = start
