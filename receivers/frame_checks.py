"""Checks of a file's rows: what became of each frame, its number, its time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.checked_rows import CheckedRows, Settings
from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.stream.messages import FrameStatus

TIME_TOLERANCE = 2e-6
"""s; a time since 1970 is known to 2.4e-7 s."""
FILE_TOLERANCE = 5.0
"""s by which frames may be outside the file's own begin and end: clocks of two hosts."""
MOST_SERIES = 1000
"""Series that are described one by one."""


class StatusCheck:
    """Every frame is valid."""

    def __init__(self) -> None:
        self.check = Check("status", "every frame is there")
        self.counts: Counter[int] = Counter()

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        status = rows.values.get("frame_status")
        if status is None:
            self.counts[FrameStatus.valid] += rows.count
            return
        self.counts.update(dict(zip(*np.unique(status, return_counts=True), strict=True)))
        mark, overrun = self.check.mark, status == FrameStatus.overrun
        mark(ERROR, "overwritten in the circular buffer before they were read", rows.first, overrun)
        mark(ERROR, "missing", rows.first, status == FrameStatus.missing)
        mark(ERROR, "a status that does not exist", rows.first, status > FrameStatus.missing, lambda i: f"{status[i]}")

    def end(self, frames: int) -> None:
        """Sum up."""
        valid, overrun, missing = (self.counts[one] for one in FrameStatus)
        self.check.done = f"{valid:,} valid, {overrun:,} overrun, {missing:,} missing"
        if not frames:
            self.check.find(WARNING, "there is no frame in it")


class NumberCheck:
    """Frames and series follow one another without a hole."""

    def __init__(self, filled: NDArray[np.bool_] | None, single: bool = False) -> None:
        """Take which series have frames, if the file says it; `single`: each frame is in a file of its own."""
        self.check = Check("numbers", "frames and series are numbered without a hole")
        self._single = single
        self._filled = np.ones(0, np.bool_) if filled is None else filled
        self.series: list[dict[str, Any]] = []
        """The first `MOST_SERIES`."""
        self.count = 0
        """Series."""
        self._number = 0
        self._before: tuple[int, int] | None = None

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        self._number = rows.number
        expected = rows.number + np.arange(rows.first, rows.first + rows.count)
        if (numbers := rows.values.get("frame_number")) is not None:
            self.check.mark(
                ERROR, "frame_number is not the place in the file", rows.first, numbers != expected.astype(np.uint64),
                lambda i: f"{numbers[i]}",
            )  # fmt: skip
        if "series_index" not in rows.values or "frame_in_series" not in rows.values:
            return
        series, number = (rows.values[name].astype(np.int64) for name in ("series_index", "frame_in_series"))
        before = self._before or (-1, -1)
        step = np.diff(series, prepend=before[0])
        follows = number - np.concatenate([[before[1]], number[:-1]])
        begins = step != 0
        jumps = (step < 0) | self._left_out(series, step)
        self.check.mark(
            ERROR, "series_index does not count series one by one", rows.first, jumps,
            lambda i: f"{series[i]} after {series[i] - step[i]}",
        )  # fmt: skip
        self.check.mark(
            ERROR, "frame_in_series does not count on", rows.first, ~begins & (follows != 1),
            lambda i: f"{number[i]} after {number[i] - follows[i]}",
        )  # fmt: skip
        late = begins & (number != 0)
        joined = np.zeros_like(late)
        joined[:1] = self._before is None
        expected_late = self._single or rows.number > 0
        begun_before = self.check.mark(
            WARNING, "the file begins in mid-series", rows.first, late & joined & (not expected_late),
            lambda i: f"with frame {number[i]} of it",
        )  # fmt: skip
        if begun_before is not None:
            begun_before.cut = True
        self.check.mark(
            ERROR, "a series does not begin with its frame 0", rows.first, late & ~joined, lambda i: f"with {number[i]}"
        )
        self._before = int(series[-1]), int(number[-1])
        self._describe(rows, series, np.flatnonzero(begins))

    def _left_out(self, series: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(count,): a series that has frames was left out before this frame."""
        left_out = step > 1
        for place in np.flatnonzero(left_out):
            between = self._filled[series[place] - step[place] + 1 : series[place]]
            left_out[place] = len(between) < step[place] - 1 or bool(between.any())
        return left_out

    def _describe(self, rows: CheckedRows, series: NDArray[np.int64], begins: NDArray[np.intp]) -> None:
        self.count += len(begins)
        valid, times = rows.valid, rows.values.get("time_stamp")
        for begin, stop in zip([0, *begins], [*begins, rows.count], strict=True):
            if begin == stop:
                continue
            if begin in begins:
                if len(self.series) == MOST_SERIES:
                    return
                first = rows.first + int(begin)
                self.series.append(
                    {"series": int(series[begin]), "first": first, "frames": 0, "valid": 0, "ended": None}
                )
            if not self.series or self.series[-1]["series"] != series[begin]:
                return
            one = self.series[-1]
            one["frames"] += int(stop - begin)
            one["valid"] += int(valid[begin:stop].sum())
            if times is not None and times[stop - 1] > 0:
                one["ended"] = float(times[stop - 1])

    def end(self, frames: int) -> None:
        """Sum up."""
        self.check.done = f"{frames:,} frame{'s' * (frames != 1)}"
        self.check.done += f" in {self.count:,} series" if self.count else ""
        if self._number:
            self.check.done += f"; its first is frame {self._number:,} of the capture"


class TimeCheck:
    """Times rise, and as the ticks say where they were made of them."""

    def __init__(self, settings: Settings, start: str, end: str) -> None:
        self.check = Check("times", "times rise, and as the ticks say")
        self._settings = settings
        self._span = _seconds(start), _seconds(end)
        self._last: tuple[float, int, int] | None = None
        """Time, series and number of the last frame that has a time."""
        self._compared = 0

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        times = rows.values.get("time_stamp")
        if times is None:
            return
        zeros = np.zeros(rows.count, np.int64)
        series = rows.values.get("series_index", zeros).astype(np.int64)
        number = rows.values.get("frame_in_series", np.arange(rows.first, rows.first + rows.count)).astype(np.int64)
        timed = rows.valid | (np.nan_to_num(times, nan=-1.0) != 0)
        mark = self.check.mark
        mark(ERROR, "no time", rows.first, timed & ~(times > 0), lambda i: f"{times[i]}")
        timed &= times > 0
        places = np.flatnonzero(timed)
        if not len(places):
            return
        early, late = self._span
        outside = timed & ((times < early - FILE_TOLERANCE) | (times > late + FILE_TOLERANCE))
        mark(WARNING, "a time outside of the file's begin and end", rows.first, outside, lambda i: f"{times[i]:.3f}")
        found = times[places], series[places], number[places]
        before = [np.roll(one, 1) for one in found]
        for one, last in zip(before, self._last or (-np.inf, -1, -1), strict=True):
            one[0] = last
        same, step = found[1] == before[1], found[0] - before[0]
        backwards = np.zeros(rows.count, np.bool_)
        backwards[places] = same & (step < 0)
        mark(ERROR, "earlier than the frame before", rows.first, backwards)
        set_back = np.zeros(rows.count, np.bool_)
        set_back[places] = ~same & (step < 0)
        mark(WARNING, "a series before the one before: the host's clock was set back", rows.first, set_back)
        self._compare(rows, places, step, same & (found[2] == before[2] + 1))
        self._last = float(found[0][-1]), int(found[1][-1]), int(found[2][-1])

    def _compare(
        self, rows: CheckedRows, places: NDArray[np.intp], step: NDArray[np.float64], next_one: NDArray[np.bool_]
    ) -> None:
        """Compare the steps from frame to frame with their ticks."""
        settings = self._settings
        ticks = rows.values.get("total_ticks")
        if settings.times != "ticks" or ticks is None or not settings.clock_period:
            return
        next_one = next_one & rows.timed_by_ticks(settings)[places]
        counted = ticks[places, 0] * settings.clock_period
        expected = np.where(counted > 0, counted, rows.exposure(settings)[places]) + settings.gap
        flags = np.zeros(rows.count, np.bool_)
        with np.errstate(invalid="ignore"):
            flags[places] = next_one & ~(np.abs(step - expected) < TIME_TOLERANCE)
        self._compared += int(next_one.sum())
        steps = dict(zip(places.tolist(), zip(step.tolist(), expected.tolist(), strict=True), strict=True))
        self.check.mark(
            ERROR, "the step of time_stamp is not that of the ticks", rows.first, flags,
            lambda i: "{:.7f} s instead of {:.7f} s".format(*steps[i]),
        )  # fmt: skip

    def end(self, frames: int) -> None:
        """Sum up."""
        if self._last is None and not self.check.findings:
            self.check.skip("the file has no times")
        elif self._settings.times == "ticks":
            self.check.done = f"{self._compared:,} steps compared with ticks"
        else:
            self.check.done = "only that they do not fall: frames have the time of their read-out"


def _seconds(iso: str) -> float:
    """Return a time of the file in s since 1970; NaN, which nothing is outside of, if there is none."""
    try:
        return datetime.fromisoformat(iso).timestamp()
    except ValueError:
        return float("nan")
